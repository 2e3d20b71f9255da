//! Responses that the gateway itself makes, and what of the upstream's headers goes back with them.

pub mod caching;
pub mod cors;
pub mod etag;
pub mod legacy;
pub mod problem;

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{
        ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, AGE,
        CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, EXPIRES, IF_NONE_MATCH, LINK,
        VARY, X_CONTENT_TYPE_OPTIONS,
    },
};

use super::{
    envelope::{EnvelopeTemplate, page_facts::Facts},
    render::{content::Content, output::Output},
    request::preference::PREFERENCE_APPLIED,
};
use crate::pagination::{
    answer::Answer,
    page::{Level, Page, Unproven},
};
use caching::Varies;

/// What the gateway says of a page.
const LEVEL: HeaderName = HeaderName::from_static("cursorgate-level");
const DRIFT: HeaderName = HeaderName::from_static("cursorgate-drift");
const UNPROVEN: HeaderName = HeaderName::from_static("cursorgate-unproven");
const SHORT: HeaderName = HeaderName::from_static("cursorgate-short");

/// How many headers most responses have at most.
const MOST_HEADERS: usize = 12;

/// A whole response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The headers, `Content-Length` included; of the answer to HEAD that of the body which is not sent.
    pub headers: HeaderMap,
    /// The body.
    pub body: Content,
}

/// What the response with a page is made from.
pub struct PageResponse<'a> {
    /// The form.
    pub template: &'a EnvelopeTemplate,
    /// What it says.
    pub facts: &'a Facts<'a>,
    /// The items.
    pub page: &'a Page,
    /// The response headers of the upstream answers used, in their order.
    pub upstream: &'a [&'a HeaderMap],
    /// Those of what was asked beside them: they decide what caches may do, and nothing of them goes back.
    pub beside: &'a [&'a HeaderMap],
    /// The request headers that it varies by: those that say whose view this is, those that cursors are bound to, and those
    /// by which the client chose its form.
    pub varies: &'a Varies,
    /// `Preference-Applied`: what was done as the client prefers.
    pub preference_applied: Option<&'a HeaderValue>,
    /// The longest `Link` line, in bytes.
    pub link_length: usize,
    /// Links beside those of paging: relation and encoded URL.
    pub extra_links: &'a [(&'a str, &'a str)],
    /// Headers of a legacy answer.
    pub legacy_headers: &'a [(HeaderName, HeaderValue)],
}

impl PageResponse<'_> {
    /// 200 with the page, once the answers that it was made from are given up for it.
    #[must_use]
    pub fn render(&self) -> PageDraft {
        let mut output = Output::from(Vec::with_capacity(self.body_size()));
        self.template.render(self.facts, self.page, &mut output);
        let tag = etag::weak(&output.lasting(self.page));
        let mut headers = first_headers(output.length());
        kept_headers(&mut headers, self.upstream, self.beside, self.varies);
        if let Some(applied) = self.preference_applied {
            headers.append(PREFERENCE_APPLIED, applied.clone());
        }
        for name in self.template.header_names() {
            headers.remove(name);
        }
        for (name, value) in self.template.headers(self.facts, self.page) {
            headers.append(name, value);
        }
        for (name, value) in self.legacy_headers {
            headers.insert(name.clone(), value.clone());
        }
        headers.insert(CONTENT_TYPE, self.template.content_type().clone());
        headers.insert(ETAG, tag);
        let link = self.facts.links.header(self.link_length, self.extra_links);
        if let Some(value) = link.and_then(|line| HeaderValue::try_from(line).ok()) {
            headers.insert(LINK, value);
        }
        self.push_standing(&mut headers);
        let applied = self.preference_applied.map(|_| PREFERENCE_APPLIED);
        expose(&mut headers, self.template.header_names().chain(&applied).map(HeaderName::as_str));
        PageDraft { headers, output }
    }

    /// About as large as the body will be, so that it is allocated once.
    fn body_size(&self) -> usize {
        let around = self.template.size_around_items();
        let items: usize = (0..self.page.items.len()).map(|index| self.page.item(index).len() + around).sum();
        let links = self.facts.links;
        let urls = [&links.self_, &links.first, &links.prev, &links.next, &links.last];
        let urls: usize = urls.into_iter().flatten().map(String::len).sum();
        let left = if self.template.runs_through() { Output::left_of(self.page) } else { 0 };
        items + urls + 1024 - left
    }

    /// How sure the page is.
    fn push_standing(&self, headers: &mut HeaderMap) {
        headers.insert(LEVEL, HeaderValue::from_static(level_word(self.page.level)));
        if let Some(drift) = self.page.drift {
            headers.insert(DRIFT, HeaderValue::from(drift));
        }
        if let Some(reason) = self.page.unproven {
            headers.insert(UNPROVEN, HeaderValue::from_static(unproven_word(reason)));
        }
        if self.page.short {
            headers.insert(SHORT, HeaderValue::from_static("budget"));
        }
    }
}

/// The response with a page, but for what of its body still lies in the upstream's answers.
#[derive(Debug)]
pub struct PageDraft {
    headers: HeaderMap,
    output: Output,
}

impl PageDraft {
    /// How many bytes were written for this page.
    #[must_use]
    pub fn own_size(&self) -> usize {
        self.output.bytes.capacity()
    }

    /// How many bytes the response keeps in memory: those written for it, and the answer in which a run of items was left.
    #[must_use]
    pub fn size_held(&self, answers: &[Answer]) -> usize {
        let left_in = self.output.left_in().and_then(|answer| answers.get(answer));
        self.own_size() + left_in.map_or(0, |answer| answer.body.capacity())
    }

    /// The response. The answers are those of its page.
    #[must_use]
    pub fn finish(self, answers: Vec<Answer>) -> Response {
        Response { status: 200, headers: self.headers, body: self.output.into_content(answers) }
    }
}

/// A level as clients read it.
#[must_use]
pub const fn level_word(level: Level) -> &'static str {
    match level {
        Level::Exact => "exact",
        Level::Checked => "checked",
        Level::Anchored => "anchored",
        Level::Positional => "positional",
    }
}

/// Why a page is not proven, as clients read it.
#[must_use]
pub const fn unproven_word(reason: Unproven) -> &'static str {
    match reason {
        Unproven::Position => "position",
        Unproven::Order => "order",
        Unproven::TieRun => "tie-run",
        Unproven::Pivot => "pivot",
        Unproven::Seam => "seam",
    }
}

impl Response {
    /// A response with a body, its length, and `X-Content-Type-Options: nosniff`.
    #[must_use]
    pub fn new(status: u16, body: Vec<u8>) -> Self {
        Self { status, headers: first_headers(body.len()), body: body.into() }
    }

    /// An upstream's 4xx as it passes: status, body, content type and coding as they are, and its other headers as those of
    /// any answer, `WWW-Authenticate` and `Retry-After` among them.
    #[must_use]
    pub fn upstream_refusal(status: u16, upstream: &HeaderMap, body: Vec<u8>, protected: &[HeaderName]) -> Self {
        let mut response = Self::new(status, body);
        kept_headers(&mut response.headers, &[upstream], &[], &Varies::new(protected.to_vec()));
        response.headers.extend(upstream.get(CONTENT_TYPE).map(|value| (CONTENT_TYPE, value.clone())));
        for value in upstream.get_all(CONTENT_ENCODING) {
            response.headers.append(CONTENT_ENCODING, value.clone());
        }
        expose(&mut response.headers, std::iter::empty());
        response
    }

    /// The same without its tag.
    #[must_use]
    pub fn without_validator(mut self) -> Self {
        self.headers.remove(ETAG);
        self
    }

    /// 304 without a body where `If-None-Match` of a GET or HEAD request names this response's tag (RFC 9110, sections
    /// 13.1.2 and 15.4.5). What is not in the body stays: a client that reads `Link` gets the new one.
    #[must_use]
    pub fn unless_matched(mut self, request: &HeaderMap) -> Self {
        let matched = self.status == 200
            && self.headers.get(ETAG).is_some_and(|tag| etag::is_matched(tag, request.get_all(IF_NONE_MATCH).iter()));
        if matched {
            self.status = 304;
            self.headers.remove(CONTENT_TYPE);
            self.headers.remove(CONTENT_LENGTH);
            self.body = Content::default();
        }
        self
    }
}

/// What each response with a body of so many bytes has.
fn first_headers(length: usize) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(MOST_HEADERS);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers
}

/// Headers of an upstream's answer that say nothing about the gateway's: those of the connection (RFC 9110, section
/// 7.6.1), and those about the bytes of a body that is not sent on. Beside them all that begin with [`DROPPED_PREFIXES`].
const DROPPED: [&str; 20] = [
    "accept-ranges",
    "age",
    "cache-control",
    "connection",
    "digest",
    "etag",
    "keep-alive",
    "last-modified",
    "link",
    "proxy-connection",
    "repr-digest",
    "server",
    "signature",
    "signature-input",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "vary",
    "x-content-type-options",
];

/// What an upstream says to caches beside `Cache-Control` (RFC 9213, Edge Architecture): they would believe it before the
/// page's own.
fn speaks_to_caches(name: &str) -> bool {
    name.ends_with("-cache-control") || name == "surrogate-control"
}

/// `Cursorgate-*` is the gateway's own to say; `Proxy-Authenticate` and its like end at the connection.
const DROPPED_PREFIXES: [&str; 3] = ["content-", "cursorgate-", "proxy-auth"];

/// What a script of another origin may read of a page beside what it always may, and the headers of the envelope.
const EXPOSED: [&str; 9] = [
    "Link",
    "ETag",
    "Retry-After",
    "Deprecation",
    "Sunset",
    "Cursorgate-Level",
    "Cursorgate-Drift",
    "Cursorgate-Unproven",
    "Cursorgate-Short",
];

/// Adds to an answer that allows an origin which headers its scripts may read; `of_envelope` are those of the envelope.
pub fn expose<'n>(headers: &mut HeaderMap, of_envelope: impl Iterator<Item = &'n str>) {
    if let Some(names) = exposed(headers, of_envelope) {
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, names);
    }
}

/// What scripts may read where their origin is allowed: what the upstream says, and what the gateway adds (Fetch standard,
/// section 3.3.4). `*` stands for everything, but with credentials for a header of that name.
fn exposed<'h, 'n: 'h>(headers: &'h HeaderMap, of_envelope: impl Iterator<Item = &'n str>) -> Option<HeaderValue> {
    headers.get(ACCESS_CONTROL_ALLOW_ORIGIN)?;
    let said = headers.get_all(ACCESS_CONTROL_EXPOSE_HEADERS).iter().filter_map(|value| value.to_str().ok());
    let said: Vec<&str> = said.flat_map(|value| value.split(',')).map(str::trim).collect();
    if said.contains(&"*") && !headers.contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS) {
        return Some(HeaderValue::from_static("*"));
    }
    let of_envelope = of_envelope.map(|name| -> &'h str { name });
    let mut names: Vec<&str> = Vec::with_capacity(said.len() + EXPOSED.len());
    for name in said.into_iter().chain(EXPOSED).chain(of_envelope).filter(|name| !matches!(*name, "" | "*")) {
        if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            names.push(name);
        }
    }
    HeaderValue::from_str(&names.join(", ")).ok()
}

/// Adds what goes back of the answers' headers: those of the first, what caches are told of all and of those `beside`
/// them, and what it varies by.
fn kept_headers(headers: &mut HeaderMap, answers: &[&HeaderMap], beside: &[&HeaderMap], varies: &Varies) {
    if let Some(first) = answers.first() {
        let nominated = first.get_all(CONNECTION);
        let is_nominated = |name: &str| {
            let lines = nominated.iter().filter_map(|value| value.to_str().ok());
            lines.flat_map(|line| line.split(',')).any(|word| word.trim().eq_ignore_ascii_case(name))
        };
        for (name, value) in *first {
            let text = name.as_str();
            let dropped = DROPPED.contains(&text) || DROPPED_PREFIXES.iter().any(|prefix| text.starts_with(prefix));
            if !dropped && !speaks_to_caches(text) && !is_nominated(text) {
                headers.append(name.clone(), value.clone());
            }
        }
    }
    let both;
    let all = match beside {
        [] => answers,
        _ => {
            both = [answers, beside].concat();
            &both
        }
    };
    if all.len() > 1 {
        // The first answer's date would speak for the others too; their `Cache-Control` does.
        headers.remove(EXPIRES);
    }
    headers.insert(CACHE_CONTROL, caching::cache_control(all));
    for (name, value) in [(AGE, caching::age(all)), (VARY, caching::vary(all, varies))] {
        if let Some(value) = value {
            headers.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests;
