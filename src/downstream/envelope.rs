//! The form in which clients get a page: a configured JSON skeleton, compiled for a route. Items are copied into it as
//! the bytes that the upstream sent.

use std::ops::Range;

use http::{HeaderName, HeaderValue};

use super::{
    facts::{Slot, Source, Value},
    links::LinkSet,
    members,
    problem::Problem,
    skeleton::{Output, Presence, Skeleton, holds},
};
use crate::{
    config::{
        diagnostic::{Diagnostics, Located},
        settings::EnvelopeSettings,
    },
    pagination::{answer::Total, page::Page},
};

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
    /// The item cursor of the item at an index; needed where [`Needs::item_cursors`], and asked at most once for each
    /// place that it is written at.
    pub item_cursor: Option<&'a dyn Fn(usize) -> String>,
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
    headers: Vec<(HeaderName, Presence, Skeleton)>,
    needs: Needs,
    error: Option<ErrorForm>,
}

/// The compiled error form of an envelope.
#[derive(Debug)]
pub struct ErrorForm {
    body: Skeleton,
    content_type: HeaderValue,
}

impl EnvelopeTemplate {
    /// Compiles an envelope for a collection. Every fault is reported; then there is none.
    pub fn compile(settings: &EnvelopeSettings, collection: &str, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut content_type = |text: &str| {
            let value = HeaderValue::from_str(text).ok().filter(|_| text.contains('/'));
            if value.is_none() {
                let message = format!("\"{text}\" is no content type of the envelope `{}`", settings.name);
                diagnostics.error(settings.at, message, "write a media type, as \"application/json\"");
            }
            value
        };
        let body_type = content_type(&settings.content_type);
        let error_type = content_type(settings.error_content_type.as_deref().unwrap_or("application/json"));
        let mut headers = Some(Vec::with_capacity(settings.headers.len()));
        for (name, value) in &settings.headers {
            match (compile_header(name, value, collection, diagnostics), &mut headers) {
                (Some(header), Some(headers)) => headers.push(header),
                _ => headers = None,
            }
        }
        let body = Skeleton::compile_body(&settings.body, collection, diagnostics);
        let error = settings.error.as_ref().map(|tree| Skeleton::compile_error(tree, collection, diagnostics));
        let (body, content_type, error_type, headers) = (body?, body_type?, error_type?, headers?);
        let error = match error {
            Some(body) => Some(ErrorForm { body: body?, content_type: error_type }),
            None => None,
        };
        let uses = |slot| body.uses(slot) || headers.iter().any(|(_, _, value)| value.uses(slot));
        let needs = Needs {
            item_cursors: uses(Slot::ItemCursor),
            edge_cursors: uses(Slot::StartCursor) || uses(Slot::EndCursor),
            now: uses(Slot::Now),
        };
        Some(Self { body, content_type, headers, needs, error })
    }

    /// Appends the body. Gives the ranges of `out` that the time takes, which no validator covers.
    pub fn render(&self, facts: &Facts<'_>, page: &Page, out: &mut Vec<u8>) -> Vec<Range<usize>> {
        let mut output = Output { bytes: std::mem::take(out), times: Vec::new() };
        self.body.render(&PageSource { facts, page }, &mut output);
        *out = output.bytes;
        output.times
    }

    /// The body's content type.
    #[must_use]
    pub fn content_type(&self) -> &HeaderValue {
        &self.content_type
    }

    /// The envelope's own headers; those with something unknown in them are left out.
    #[must_use]
    pub fn headers(&self, facts: &Facts<'_>, page: &Page) -> Vec<(HeaderName, HeaderValue)> {
        let source = PageSource { facts, page };
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

    /// What has to be there to render.
    #[must_use]
    pub fn needs(&self) -> Needs {
        self.needs
    }

    /// The form of errors, where the envelope has its own.
    #[must_use]
    pub fn error(&self) -> Option<&ErrorForm> {
        self.error.as_ref()
    }
}

impl ErrorForm {
    /// Appends the error body.
    pub fn render(&self, problem: &Problem, problem_type: Option<&str>, request_id: &str, out: &mut Vec<u8>) {
        let mut output = Output { bytes: std::mem::take(out), times: Vec::new() };
        self.body.render(&ProblemSource { problem, problem_type, request_id }, &mut output);
        *out = output.bytes;
    }

    /// Its content type.
    #[must_use]
    pub fn content_type(&self) -> &HeaderValue {
        &self.content_type
    }
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
    let (presence, value) = Skeleton::compile_header(value, collection, diagnostics)?;
    Some((parsed?, presence, value))
}

/// The values of a page.
struct PageSource<'a> {
    facts: &'a Facts<'a>,
    page: &'a Page,
}

impl<'a> PageSource<'a> {
    /// The values that are known or not, and cost nothing to have.
    fn value(&self, slot: Slot) -> Option<Value<'a>> {
        let facts = self.facts;
        let links = facts.links;
        let exact = facts.total.filter(|total| total.exact);
        let text = |text: &'a Option<String>| text.as_deref().map(Value::Text);
        match slot {
            Slot::Count => Some(Value::Number(self.page.items.len() as u64)),
            Slot::Limit => Some(Value::Number(facts.limit.into())),
            Slot::Path => Some(Value::Text(facts.path)),
            Slot::Level => Some(Value::Text(facts.level)),
            Slot::Now => facts.now.map(Value::Text),
            Slot::HasNext => Some(Value::Boolean(facts.has_next)),
            Slot::HasPrev => Some(Value::Boolean(facts.has_prev)),
            Slot::HasMore => Some(Value::Boolean(facts.has_more)),
            Slot::Total => exact.map(|total| Value::Number(total.value)),
            Slot::TotalAtLeast => facts.total.map(|total| Value::Number(total.value)),
            Slot::Page => facts.page.map(Value::Number),
            Slot::Pages => facts.pages.map(Value::Number),
            Slot::NextCursor => facts.next_cursor.map(Value::Text),
            Slot::PrevCursor => facts.prev_cursor.map(Value::Text),
            Slot::StartCursor => facts.start_cursor.map(Value::Text),
            Slot::EndCursor => facts.end_cursor.map(Value::Text),
            Slot::LinkSelf => text(&links.self_),
            Slot::LinkFirst => text(&links.first),
            Slot::LinkPrev => text(&links.prev),
            Slot::LinkNext => text(&links.next),
            Slot::LinkLast => text(&links.last),
            _ => None,
        }
    }

    /// The id of an item as it came: the last key column of its row.
    fn id(&self, item: usize) -> Option<&'a [u8]> {
        let place = self.page.items.get(item)?;
        let answer = self.page.answers.get(place.answer as usize)?;
        let columns = answer.keys.len().checked_div(answer.items.len())?;
        let last = ((place.item as usize + 1) * columns).checked_sub(1)?;
        let span = answer.keys.get(last).filter(|span| !span.is_absent())?;
        Some(span.of(&answer.body))
    }
}

impl Source for PageSource<'_> {
    fn knows(&self, slot: Slot, item: usize) -> bool {
        match slot {
            Slot::Item => true,
            Slot::ItemFields => self.page.item(item).starts_with(b"{"),
            Slot::ItemId => self.id(item).is_some(),
            Slot::ItemCursor => self.facts.item_cursor.is_some(),
            _ => self.value(slot).is_some(),
        }
    }

    fn tell(&self, slot: Slot, item: usize, write: &mut dyn FnMut(Value<'_>)) {
        match slot {
            Slot::Item => write(Value::Json(self.page.item(item))),
            Slot::ItemFields if self.knows(slot, item) => {
                let object = self.page.item(item);
                let mut fields = Vec::with_capacity(object.len());
                members::push_without(&mut fields, object, &["id", "type"]);
                write(Value::Json(&fields));
            }
            Slot::ItemId => {
                if let Some(id) = self.id(item) {
                    write(Value::Json(id));
                }
            }
            Slot::ItemCursor => {
                if let Some(cursor) = self.facts.item_cursor {
                    write(Value::Text(&cursor(item)));
                }
            }
            _ => {
                if let Some(value) = self.value(slot) {
                    write(value);
                }
            }
        }
    }

    fn items(&self) -> usize {
        self.page.items.len()
    }
}

/// The values of a problem.
struct ProblemSource<'a> {
    problem: &'a Problem,
    problem_type: Option<&'a str>,
    request_id: &'a str,
}

impl ProblemSource<'_> {
    fn value(&self, slot: Slot) -> Option<Value<'_>> {
        let problem = self.problem;
        match slot {
            Slot::Status => Some(Value::Number(problem.status.into())),
            Slot::Code => Some(Value::Text(problem.code.as_str())),
            Slot::Title => Some(Value::Text(problem.code.title())),
            Slot::Detail => Some(Value::Text(&problem.detail)),
            Slot::RequestId => Some(Value::Text(self.request_id)),
            Slot::Type => self.problem_type.map(Value::Text),
            Slot::Parameter => problem.parameter.as_deref().map(Value::Text),
            Slot::Restart => problem.restart.as_deref().map(Value::Text),
            Slot::MaxLimit => problem.max_limit.map(|limit| Value::Number(limit.into())),
            _ => None,
        }
    }
}

impl Source for ProblemSource<'_> {
    fn knows(&self, slot: Slot, _item: usize) -> bool {
        self.value(slot).is_some()
    }

    fn tell(&self, slot: Slot, _item: usize, write: &mut dyn FnMut(Value<'_>)) {
        if let Some(value) = self.value(slot) {
            write(value);
        }
    }

    fn items(&self) -> usize {
        0
    }
}

#[cfg(test)]
mod tests;
