//! Envelopes: configured JSON skeletons for pages, compiled for a route. Items keep the bytes that the upstream sent.

pub mod convention;
pub mod error_form;
pub mod links;
pub mod members;
pub mod page_facts;
pub mod page_source;
pub mod places;
pub mod schema;

use http::{HeaderName, HeaderValue};

use super::{
    render::{
        facts::{Presence, Slot},
        output::Output,
        skeleton::{Skeleton, holds},
    },
    request::preference::MediaRange,
};
use cursorgate_config::{
    diagnostic::{Diagnostics, Located},
    settings::EnvelopeSettings,
};
use cursorgate_core::{json::Pointer, pagination::page::Page};
use error_form::ErrorForm;
use error_form::content_type;
use page_facts::Facts;
use page_source::PageSource;
use places::EnvelopePlaces;

/// The costly facts that an envelope uses. Costly facts that it doesn't use aren't computed for a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// `true` if the envelope has a cursor for each item.
    pub item_cursors: bool,
    /// `true` if the envelope has the item cursor of the first or of the last item.
    pub edge_cursors: bool,
    /// `true` if the envelope has the time, as `{now}`.
    pub now: bool,
}

/// An envelope, compiled for a route: its skeletons, and the facts that they need.
#[derive(Debug)]
pub struct EnvelopeTemplate {
    body: Skeleton,
    content_type: HeaderValue,
    media_type: MediaRange,
    headers: Vec<(HeaderName, Presence, Skeleton)>,
    needs: Needs,
    size_around_items: usize,
    runs_through: bool,
    request_places: Vec<Pointer>,
    places: EnvelopePlaces,
    total_header: Option<HeaderName>,
    error: Option<ErrorForm>,
}

impl EnvelopeTemplate {
    /// Compiles an envelope for a collection. Reports all faults, and returns `None` if there are any.
    pub fn compile(settings: &EnvelopeSettings, collection: &str, diagnostics: &mut Diagnostics) -> Option<Self> {
        let body_type = content_type(&settings.content_type, settings.at, diagnostics);
        let mut requests = Vec::new();
        let mut headers = Some(Vec::with_capacity(settings.headers.len()));
        for (name, value) in &settings.headers {
            match (compile_header(name, value, collection, &mut requests, diagnostics), &mut headers) {
                (Some(header), Some(headers)) => headers.push(header),
                _ => headers = None,
            }
        }
        let body = Skeleton::compile_body(&settings.body, collection, &mut requests, diagnostics);
        let error =
            settings.error.as_ref().map(|error| ErrorForm::compile(error, settings.at, collection, diagnostics));
        // All parts are compiled before the first `?`, so all faults are reported at once. Test:
        // `faults_of_envelopes_point_at_their_text`.
        let (body, content_type, headers) = (body?, body_type?, headers?);
        let media_type = MediaRange::parse(&settings.content_type)?;
        let error = match error {
            Some(form) => Some(form?),
            None => None,
        };
        let uses = |slot| body.uses(slot) || headers.iter().any(|(_, _, value)| value.uses(slot));
        let needs = Needs {
            item_cursors: uses(Slot::ItemCursor),
            edge_cursors: uses(Slot::StartCursor) || uses(Slot::EndCursor),
            now: uses(Slot::Now),
        };
        let cursor = if needs.item_cursors { TYPICAL_CURSOR } else { 0 };
        let size_around_items = body.size_around_items() + cursor;
        let runs_through = body.has_bare_items();
        let request_places = requests;
        // A header with `{total_at_least}` isn't the header of the total, because its value may be a lower bound.
        let is_total = |text: &str| matches!(text, "{total}" | "{total|null}");
        let total = settings.headers.iter().find(|(_, value)| is_total(&value.value));
        let total_header = total.and_then(|(name, _)| name.value.parse().ok());
        Some(Self {
            body,
            content_type,
            media_type,
            headers,
            needs,
            size_around_items,
            runs_through,
            request_places,
            places: EnvelopePlaces::of_body(&settings.body, collection),
            total_header,
            error,
        })
    }

    /// Appends the body of a page to `out`.
    pub fn render(&self, facts: &Facts<'_>, page: &Page, out: &mut Output) {
        self.body.render(&PageSource::new(facts, page), out);
    }

    /// Returns the places in the body at which clients find the items and the facts.
    #[must_use]
    pub fn places(&self) -> &EnvelopePlaces {
        &self.places
    }

    /// Returns the header whose whole value is the total; `None` if the envelope has no such header.
    #[must_use]
    pub fn total_header(&self) -> Option<&HeaderName> {
        self.total_header.as_ref()
    }

    /// Returns the content type of the body.
    #[must_use]
    pub fn content_type(&self) -> &HeaderValue {
        &self.content_type
    }

    /// Returns the content type for comparison with `Accept`.
    #[must_use]
    pub fn media_type(&self) -> &MediaRange {
        &self.media_type
    }

    /// Returns the envelope's own headers, without those that contain unknown facts.
    #[must_use]
    pub fn headers(&self, facts: &Facts<'_>, page: &Page) -> Vec<(HeaderName, HeaderValue)> {
        let source = PageSource::new(facts, page);
        let known = |presence: &Presence| match presence {
            Presence::Always => true,
            Presence::If(condition) => holds(condition, &source, 0),
        };
        let sent = self.headers.iter().filter(|(_, presence, _)| known(presence));
        sent.filter_map(|(name, _, value)| {
            // A header whose value contains a line end is left out. So a client's text can't add a header. Test:
            // `headers_are_left_out_where_something_in_them_is_unknown`.
            let mut output = Output::default();
            value.render(&source, &mut output);
            Some((name.clone(), HeaderValue::from_bytes(&output.bytes).ok()?))
        })
        .collect()
    }

    /// Returns the names of all headers that the envelope may send. Headers of the upstream with these names are
    /// dropped.
    pub fn header_names(&self) -> impl Iterator<Item = &HeaderName> {
        self.headers.iter().map(|(name, ..)| name)
    }

    /// Returns the approximate number of bytes in the body for each item, not counting the item itself but including
    /// its cursor.
    #[must_use]
    pub fn size_around_items(&self) -> usize {
        self.size_around_items
    }

    /// Returns whether the body has the items with only commas between them, so a run of items can be sent as one
    /// piece.
    #[must_use]
    pub fn runs_through(&self) -> bool {
        self.runs_through
    }

    /// Returns the costly facts that rendering needs.
    #[must_use]
    pub fn needs(&self) -> Needs {
        self.needs
    }

    /// Returns the places in the request's body whose values the envelope repeats.
    #[must_use]
    pub fn request_places(&self) -> &[Pointer] {
        &self.request_places
    }

    /// Returns the error envelope; `None` if problems are sent as `application/problem+json`.
    #[must_use]
    pub fn error(&self) -> Option<&ErrorForm> {
        self.error.as_ref()
    }
}

/// The approximate length of an item cursor in bytes.
const TYPICAL_CURSOR: usize = 96;

/// Headers that envelopes can't set, because the gateway writes them itself.
const WRITTEN_BY_THE_GATEWAY: [&str; 12] = [
    "age",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "etag",
    "link",
    "transfer-encoding",
    "vary",
    "x-content-type-options",
];

fn compile_header(
    name: &Located<String>,
    value: &Located<String>,
    collection: &str,
    requests: &mut Vec<Pointer>,
    diagnostics: &mut Diagnostics,
) -> Option<(HeaderName, Presence, Skeleton)> {
    let parsed = name.value.parse::<HeaderName>().ok();
    if parsed.is_none() {
        let help = "letters, digits and hyphens, as in X-Total-Count";
        diagnostics.error(name.at, format!("\"{}\" is not a header name", name.value), help);
    }
    if parsed.as_ref().is_some_and(|name| WRITTEN_BY_THE_GATEWAY.contains(&name.as_str())) {
        diagnostics.error(name.at, format!("the gateway writes {} itself", name.value), "choose another name");
        return None;
    }
    if value.value.chars().any(char::is_control) {
        diagnostics.error(value.at, "a header is one line of text", "leave out line ends and control characters");
        return None;
    }
    let (presence, value) = Skeleton::compile_header(value, collection, requests, diagnostics)?;
    Some((parsed?, presence, value))
}

#[cfg(test)]
mod tests;
