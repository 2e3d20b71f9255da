//! Renders answers for the tests of a client, in the gateway's own envelopes.

use super::{input::SdkInput, spec::SpecValue};
use cursorgate_core::{
    json::Span,
    pagination::{
        answer::Answer,
        page::{ItemPlace, Page},
    },
};
use cursorgate_translate::downstream::{
    Code, Convention, Facts, ItemCursors, LinkSet, Problem, Response, render::output::Output,
};

/// The cursor with which the first page leads to the second one.
const SECOND: &str = "second";

/// The request id in all sample answers.
const REQUEST_ID: &str = "request-1";

/// The sample answers of a list.
#[derive(Debug)]
pub(super) struct ListSamples {
    /// The path of the requests in the tests, without percent-encoding.
    pub(super) path: String,
    /// The first page, which has two items and leads to a next page.
    pub(super) first: AnswerSample,
    /// The last page, which has one item.
    pub(super) last: AnswerSample,
    /// The refusal of an expired cursor.
    pub(super) expired: AnswerSample,
    /// The refusal by a rate limit, with `Retry-After: 0`.
    pub(super) busy: AnswerSample,
}

/// A sample answer for the tests of a client.
#[derive(Debug)]
pub(super) struct AnswerSample {
    status: u16,
    content_type: String,
    link: Option<String>,
    retry_after: Option<&'static str>,
    body: String,
}

impl AnswerSample {
    /// Returns the status, the headers and the body of the answer.
    pub(super) fn parts(&self) -> (SpecValue, Vec<(&'static str, &str)>, SpecValue) {
        let mut headers = vec![("Content-Type", self.content_type.as_str())];
        headers.push(("X-Request-Id", REQUEST_ID));
        headers.extend((self.status == 200).then_some(("Cursorgate-Level", "exact")));
        headers.extend(self.link.as_deref().map(|link| ("Link", link)));
        headers.extend(self.retry_after.map(|wait| ("Retry-After", wait)));
        (SpecValue::Number(self.status.into()), headers, SpecValue::text(&self.body))
    }
}

/// The value of every path parameter in the tests. It contains a space, so the tests fail if a client doesn't encode
/// it.
pub(super) const PARAMETER: &str = "one two";

/// Renders the sample answers of a list.
///
/// # Errors
///
/// Returns the reason if the answers can't be rendered.
pub(super) fn sample(
    convention: &Convention,
    cursor: &SdkInput,
    path: &str,
    limit: u32,
) -> Result<ListSamples, String> {
    let fixed = path.split('{').enumerate().map(|(index, part)| match part.split_once('}').filter(|_| index > 0) {
        Some((_, fixed)) => [PARAMETER, fixed].concat(),
        None => part.to_owned(),
    });
    let shown: String = fixed.collect();
    let next = match cursor {
        SdkInput::Query(name) => {
            let mut link = "/page?".to_owned();
            link.extend(percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC));
            Some(format!("{link}={SECOND}"))
        }
        SdkInput::Body(_) | SdkInput::Preference(_) => None,
    };
    let first = LinkSet { first: Some("/page".to_owned()), next, ..LinkSet::default() };
    let last = LinkSet { next: None, ..first.clone() };
    let busy = Problem::new(Code::RateLimited, "a limit of requests is reached");
    let expired = Problem::new(Code::CursorExpired, "the lifetime of the cursor is over").with_restart("/page");
    Ok(ListSamples {
        path: shown,
        first: page(convention, 2, &first, limit)?,
        last: page(convention, 1, &last, limit)?,
        expired: refusal(convention, &expired, None)?,
        // The wait is 0, because a longer wait would slow down the client's tests.
        busy: refusal(convention, &busy, Some("0"))?,
    })
}

/// The cursors of items in the samples, such as `item-0`.
struct SampleCursors;

impl ItemCursors for SampleCursors {
    fn push(&self, index: usize, out: &mut Vec<u8>) -> bool {
        out.extend_from_slice(format!("item-{index}").as_bytes());
        true
    }
}

/// Renders a page of `count` items with these links. A page of two items has a next page.
fn page(convention: &Convention, count: u32, links: &LinkSet, limit: u32) -> Result<AnswerSample, String> {
    let (mut body, mut items, mut keys) = (b"[".to_vec(), Vec::new(), Vec::new());
    for id in 1..=count {
        let start = u32::try_from(body.len()).unwrap_or_default();
        body.extend_from_slice(format!("{{\"id\":{id}}}").as_bytes());
        let end = u32::try_from(body.len()).unwrap_or_default();
        items.push(Span { start, end });
        // The span of the id, which is between `{"id":` and `}`.
        keys.push(Span { start: start + 6, end: end - 1 });
        // Items are found by their spans, so the array doesn't need a closing bracket.
        body.push(b',');
    }
    let places = (0..count).map(|item| ItemPlace { answer: 0, item }).collect();
    let page = Page::positional(vec![Answer::listed(body, items, keys)], places);
    // Only the first page has two items.
    let has_next = count > 1;
    let facts = Facts {
        limit,
        path: "/page",
        level: "exact",
        now: Some("2026-01-15T00:00:00Z"),
        has_next,
        has_prev: !has_next,
        has_more: has_next,
        total: None,
        page: None,
        pages: None,
        next_cursor: has_next.then_some(SECOND),
        prev_cursor: None,
        start_cursor: Some("start"),
        end_cursor: Some(if has_next { SECOND } else { "end" }),
        links,
        request: &[],
        item_cursors: Some(&SampleCursors),
    };
    let mut output = Output::default();
    convention.envelope.render(&facts, &page, &mut output);
    let parts = output.into_content(page.into_facts().answers).into_parts();
    let content_type = convention.envelope.content_type().to_str().map_err(|_| NOT_TEXT)?.to_owned();
    let link = links.header(4_096, &[], &[]);
    Ok(AnswerSample { status: 200, content_type, link, retry_after: None, body: text(&parts.concat())? })
}

fn refusal(
    convention: &Convention,
    problem: &Problem,
    retry_after: Option<&'static str>,
) -> Result<AnswerSample, String> {
    let response = Response::of_problem(problem, None, REQUEST_ID, Some(&convention.envelope));
    let content_type = response.headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or_default().to_owned();
    let body = text(&response.body.into_parts().concat())?;
    Ok(AnswerSample { status: response.status, content_type, link: None, retry_after, body })
}

const NOT_TEXT: &str = "its answers are not text";

fn text(bytes: &[u8]) -> Result<String, String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| NOT_TEXT.to_owned())
}
