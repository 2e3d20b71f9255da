//! The form in which clients get a page: a configured JSON skeleton, compiled for a route. Items stand in it as
//! the bytes that the upstream sent.

pub mod convention;
pub mod error_form;
pub mod links;
pub mod members;
pub mod page_source;
pub mod schema;

use http::{HeaderName, HeaderValue};

use super::{
    render::{
        facts::Slot,
        output::Output,
        skeleton::{Presence, Skeleton, holds},
    },
    request::preference::MediaRange,
};
use crate::{
    config::{
        diagnostic::{Diagnostics, Located, Location},
        settings::EnvelopeSettings,
    },
    json::Pointer,
    pagination::{answer::Total, page::Page},
};
use error_form::ErrorForm;
use links::LinkSet;
use page_source::PageSource;

/// What an envelope says about one page, beside its items.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// The limit that was used.
    pub limit: u32,
    /// The path of the request, as it came.
    pub path: &'a str,
    /// How sure the page is: `exact`, `checked`, `anchored`, `positional`.
    pub level: &'a str,
    /// The time, RFC 3339; needed where [`Needs::now`].
    pub now: Option<&'a str>,
    /// Whether there is a next cursor.
    pub has_next: bool,
    /// Whether there is a previous cursor.
    pub has_prev: bool,
    /// The one of the two in the direction asked.
    pub has_more: bool,
    /// The size of the collection.
    pub total: Option<Total>,
    /// The page as the client counts, for requests by page.
    pub page: Option<u64>,
    /// How many pages there are, for requests by page where the total is known.
    pub pages: Option<u64>,
    /// The cursor of the next page.
    pub next_cursor: Option<&'a str>,
    /// The cursor of the previous page.
    pub prev_cursor: Option<&'a str>,
    /// The item cursor of the first item; needed where [`Needs::edge_cursors`].
    pub start_cursor: Option<&'a str>,
    /// The item cursor of the last item; needed where [`Needs::edge_cursors`].
    pub end_cursor: Option<&'a str>,
    /// The links.
    pub links: &'a LinkSet,
    /// What the envelope repeats of the request's body, in the sequence of [`EnvelopeTemplate::request_places`]; empty
    /// where there was no body.
    pub request: &'a [Option<&'a [u8]>],
    /// What makes the cursors of items; needed where [`Needs::item_cursors`].
    pub item_cursors: Option<&'a dyn ItemCursors>,
}

/// What makes the cursors of a page's items.
pub trait ItemCursors {
    /// Appends the cursor of the item at an index; false, and nothing appended, where it has none.
    fn push(&self, index: usize, out: &mut Vec<u8>) -> bool;
}

/// What an envelope uses that costs something to have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// A cursor for each item.
    pub item_cursors: bool,
    /// Item cursors of the first and the last item.
    pub edge_cursors: bool,
    /// The time.
    pub now: bool,
}

/// A compiled envelope.
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
    error: Option<ErrorForm>,
}

impl EnvelopeTemplate {
    /// Compiles an envelope for a collection. Every fault is reported; then there is none.
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
        Some(Self {
            body,
            content_type,
            media_type,
            headers,
            needs,
            size_around_items,
            runs_through,
            request_places,
            error,
        })
    }

    /// Appends the body.
    pub fn render(&self, facts: &Facts<'_>, page: &Page, out: &mut Output) {
        self.body.render(&PageSource::new(facts, page), out);
    }

    /// The body's content type.
    #[must_use]
    pub fn content_type(&self) -> &HeaderValue {
        &self.content_type
    }

    /// The same, to be held against what clients accept.
    #[must_use]
    pub(crate) fn media_type(&self) -> &MediaRange {
        &self.media_type
    }

    /// The envelope's own headers; those with something unknown in them are left out.
    #[must_use]
    pub fn headers(&self, facts: &Facts<'_>, page: &Page) -> Vec<(HeaderName, HeaderValue)> {
        let source = PageSource::new(facts, page);
        let known = |presence: &Presence| match presence {
            Presence::Always => true,
            Presence::If(condition) => holds(condition, &source, 0),
        };
        let sent = self.headers.iter().filter(|(_, presence, _)| known(presence));
        sent.filter_map(|(name, _, value)| {
            let mut output = Output::default();
            value.render(&source, &mut output);
            Some((name.clone(), HeaderValue::from_bytes(&output.bytes).ok()?))
        })
        .collect()
    }

    /// The names of all headers that the envelope may send: what the upstream says under these names goes nowhere.
    pub fn header_names(&self) -> impl Iterator<Item = &HeaderName> {
        self.headers.iter().map(|(name, ..)| name)
    }

    /// About how many bytes stand around each item in the body, its cursor among them.
    #[must_use]
    pub(crate) fn size_around_items(&self) -> usize {
        self.size_around_items
    }

    /// Whether items stand in the body as they came, one behind the other, so that whole runs of them go out at once.
    #[must_use]
    pub(crate) fn runs_through(&self) -> bool {
        self.runs_through
    }

    /// What has to be there to render.
    #[must_use]
    pub fn needs(&self) -> Needs {
        self.needs
    }

    /// The places of the request's body that it repeats.
    #[must_use]
    pub fn request_places(&self) -> &[Pointer] {
        &self.request_places
    }

    /// The form of errors, where the envelope has its own.
    #[must_use]
    pub fn error(&self) -> Option<&ErrorForm> {
        self.error.as_ref()
    }
}

/// About how many characters the cursor of an item has.
const TYPICAL_CURSOR: usize = 96;

/// A content type; what is none was found when the file was read, unless the settings were made in another way.
pub(crate) fn content_type(text: &str, at: Location, diagnostics: &mut Diagnostics) -> Option<HeaderValue> {
    let value = HeaderValue::from_str(text).ok().filter(|_| text.contains('/'));
    if value.is_none() {
        let message = format!("\"{text}\" is no content type");
        diagnostics.error(at, message, "write a media type, as \"application/json\"");
    }
    value
}

/// Headers that an envelope can't write, because the gateway does.
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
        diagnostics.error(name.at, format!("\"{}\" is no header name", name.value), help);
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
