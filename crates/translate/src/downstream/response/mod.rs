//! Responses of the gateway, and the upstream's headers that they keep.

pub mod caching;
pub mod coding;
pub mod cors;
pub mod etag;
pub mod legacy;
pub mod problem;
pub mod rate_limit;

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
use caching::Varies;
use cursorgate_core::pagination::{
    answer::Answer,
    page::{Level, Page, Unproven},
};
use rate_limit::RATE_LIMIT;

/// The header with the level of a page, as [`level_word`] writes it.
const LEVEL: HeaderName = HeaderName::from_static("cursorgate-level");
/// The header with the drift of a page: the number of places by which its position has moved.
const DRIFT: HeaderName = HeaderName::from_static("cursorgate-drift");
/// The header with the reason that a page is unproven, as [`unproven_word`] writes it.
const UNPROVEN: HeaderName = HeaderName::from_static("cursorgate-unproven");
/// The header of a page whose end of the list the upstream contradicts.
const END: HeaderName = HeaderName::from_static("cursorgate-end");
/// The header of a page that has fewer items than its limit, although more items follow, because its budget was spent.
const SHORT: HeaderName = HeaderName::from_static("cursorgate-short");

/// The number of headers for which room is reserved. Few responses have more.
const MOST_HEADERS: usize = 12;

/// A complete response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The headers, with the `Content-Length` of the body even if the request is HEAD.
    pub headers: HeaderMap,
    /// The body, which isn't sent if the request is HEAD.
    pub body: Content,
}

/// The parts of a response with a page.
pub struct PageResponse<'a> {
    /// The envelope that the page is rendered in.
    pub template: &'a EnvelopeTemplate,
    /// The facts about the page that the envelope can write.
    pub facts: &'a Facts<'a>,
    /// The page, whose items are bytes of the upstream's answers.
    pub page: &'a Page,
    /// The headers of the upstream's answers with the page's items, in order.
    pub upstream: &'a [&'a HeaderMap],
    /// The headers of the upstream's other answers, such as counts, which only restrict caching.
    pub beside: &'a [&'a HeaderMap],
    /// The request headers that the response varies by: of the principal, of cursor contexts, and of negotiation.
    pub varies: &'a Varies,
    /// The value of `Preference-Applied`; `None` if no preference was followed.
    pub preference_applied: Option<&'a HeaderValue>,
    /// The largest number of bytes in the `Link` line. Links beyond it are left out.
    pub link_length: usize,
    /// Links other than the paging links: relation and URL.
    pub extra_links: &'a [(&'a str, &'a str)],
    /// Links to services of the list, which are left out before any other link: relation and URL.
    pub service_links: &'a [(&'a str, String)],
    /// `Deprecation` and `Sunset`, for the answer to a legacy request; otherwise empty.
    pub legacy_headers: &'a [(HeaderName, HeaderValue)],
}

impl PageResponse<'_> {
    /// Renders a 200 response with the page. [`PageDraft::finish`] completes it with the page's answers.
    #[must_use]
    pub fn render(&self) -> PageDraft {
        let mut output = Output::from(Vec::with_capacity(self.body_size()));
        self.template.render(self.facts, self.page, &mut output);
        // Two pages that differ only in the time have the same tag. Test: `the_etag_does_not_depend_on_the_time`.
        let tag = etag::weak(&output.lasting(self.page));
        let mut headers = first_headers(output.length());
        kept_headers(&mut headers, self.upstream, self.beside, self.varies);
        if let Some(applied) = self.preference_applied {
            headers.append(PREFERENCE_APPLIED, applied.clone());
        }
        // A header of the envelope replaces the upstream's, even if it is left out because a fact is unknown. Test:
        // `a_page_has_the_kept_headers_of_the_first_answer`.
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
        let link = self.facts.links.header(self.link_length, self.extra_links, self.service_links);
        if let Some(value) = link.and_then(|line| HeaderValue::try_from(line).ok()) {
            headers.insert(LINK, value);
        }
        self.push_standing(&mut headers);
        let applied = self.preference_applied.map(|_| PREFERENCE_APPLIED);
        expose(&mut headers, self.template.header_names().chain(&applied).map(HeaderName::as_str));
        PageDraft { headers, output }
    }

    /// Returns the approximate size of the body in bytes, for a single allocation.
    fn body_size(&self) -> usize {
        let around = self.template.size_around_items();
        let items: usize = (0..self.page.items.len()).map(|index| self.page.item(index).len() + around).sum();
        let links = self.facts.links;
        let urls = [&links.self_, &links.first, &links.prev, &links.next, &links.last];
        let urls: usize = urls.into_iter().flatten().map(String::len).sum();
        // A long run stays in the upstream's answer, and takes no room here.
        let left = if self.template.runs_through() { Output::left_of(self.page) } else { 0 };
        items + urls + 1024 - left
    }

    /// Adds the headers about the proof of the page: its level, its drift, why it is unproven or short, and whether the
    /// upstream contradicts its end.
    fn push_standing(&self, headers: &mut HeaderMap) {
        headers.insert(LEVEL, HeaderValue::from_static(level_word(self.page.level())));
        if let Some(drift) = self.page.notes.drift {
            headers.insert(DRIFT, HeaderValue::from(drift));
        }
        if let Some(reason) = self.page.unproven {
            headers.insert(UNPROVEN, HeaderValue::from_static(unproven_word(reason)));
        }
        if self.page.doubted_end.is_some() {
            headers.insert(END, HeaderValue::from_static("unproven"));
        }
        if self.page.short {
            headers.insert(SHORT, HeaderValue::from_static("budget"));
        }
    }
}

/// A response whose body may refer to the upstream's answers.
#[derive(Debug)]
pub struct PageDraft {
    headers: HeaderMap,
    output: Output,
}

impl PageDraft {
    /// Returns the capacity, in bytes, of the buffer with the bytes written for this page.
    #[must_use]
    pub fn own_size(&self) -> usize {
        self.output.bytes.capacity()
    }

    /// Returns the memory of the response, in bytes: the buffer for its own bytes, and the answer with the run that was
    /// not copied.
    #[must_use]
    pub fn size_held(&self, answers: &[Answer]) -> usize {
        let left_in = self.output.left_in().and_then(|answer| answers.get(answer));
        self.own_size() + left_in.map_or(0, Answer::body_capacity)
    }

    /// Completes the response with the answers of its page.
    #[must_use]
    pub fn finish(self, answers: Vec<Answer>) -> Response {
        Response { status: 200, headers: self.headers, body: self.output.into_content(answers) }
    }
}

/// Returns a level as clients read it, in `Cursorgate-Level` and in envelopes.
#[must_use]
pub const fn level_word(level: Level) -> &'static str {
    match level {
        Level::Exact => "exact",
        Level::Checked => "checked",
        Level::Anchored => "anchored",
        Level::Positional => "positional",
    }
}

/// Returns the reason that a page is unproven as clients read it, in `Cursorgate-Unproven`.
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
    /// Creates a response with a body, its length, and `X-Content-Type-Options: nosniff`.
    #[must_use]
    pub fn new(status: u16, body: Vec<u8>) -> Self {
        Self { status, headers: first_headers(body.len()), body: body.into() }
    }

    /// Creates a response from an upstream's 4xx. The status, body, content type and content coding stay as they are.
    /// Other headers are treated as in any answer, so `WWW-Authenticate` and `Retry-After` are kept. `protected` are
    /// the request headers that the response varies by.
    #[must_use]
    pub fn upstream_refusal(status: u16, upstream: &HeaderMap, body: Vec<u8>, protected: &[HeaderName]) -> Self {
        let mut response = Self::new(status, body);
        kept_headers(&mut response.headers, &[upstream], &[], &Varies::new(protected.to_vec()));
        response.headers.extend(upstream.get(CONTENT_TYPE).map(|value| (CONTENT_TYPE, value.clone())));
        // The body passes unchanged, so its coding still applies. Test: `an_upstreams_refusal_passes_as_it_is`.
        for value in upstream.get_all(CONTENT_ENCODING) {
            response.headers.append(CONTENT_ENCODING, value.clone());
        }
        expose(&mut response.headers, std::iter::empty());
        response
    }

    /// Removes the `ETag`, so clients can't make conditional requests with it.
    #[must_use]
    pub fn without_validator(mut self) -> Self {
        self.headers.remove(ETAG);
        self
    }

    /// Turns a 200 response into a 304 without a body if `If-None-Match` matches its tag (RFC 9110, sections 13.1.2 and
    /// 15.4.5). `request` are the headers of a GET or HEAD request. Headers stay, so a client that reads `Link` gets
    /// the new one.
    #[must_use]
    pub fn unless_matched(mut self, request: &HeaderMap) -> Self {
        // A 304 never replaces a refusal: conditions apply to successes (RFC 9110 section 13.2.1). Test:
        // `a_page_that_matches_if_none_match_is_not_sent_again`.
        let matched = self.status == 200
            && self.headers.get(ETAG).is_some_and(|tag| etag::is_matched(tag, request.get_all(IF_NONE_MATCH).iter()));
        if matched {
            self.status = 304;
            // A 304 leaves out the metadata of the body that it does not send (RFC 9110, section 15.4.5), so these
            // headers are removed. Test: `a_page_that_matches_if_none_match_is_not_sent_again`.
            self.headers.remove(CONTENT_TYPE);
            self.headers.remove(CONTENT_LENGTH);
            self.body = Content::default();
        }
        self
    }
}

/// Returns the headers that every response with a body of this length has.
fn first_headers(length: usize) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(MOST_HEADERS);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers
}

/// Headers of an upstream's answer that don't apply to the response: hop-by-hop headers (RFC 9110, section 7.6.1),
/// headers about its body (such as `last-modified` and `signature`), headers that the gateway writes itself (such as
/// `vary`), and `server`. Headers that begin with [`DROPPED_PREFIXES`] are also dropped.
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

/// Returns whether a header controls caches in addition to `Cache-Control` (RFC 9213; `Surrogate-Control` of the Edge
/// Architecture). Caches that read such a header would prefer it to the page's own `Cache-Control`.
fn speaks_to_caches(name: &str) -> bool {
    name.ends_with("-cache-control") || name == "surrogate-control"
}

/// Prefixes of other headers that are dropped: `content-` describes the bytes of the body, `cursorgate-` is reserved
/// for the gateway, and `Proxy-Authenticate` and similar headers apply to one connection.
const DROPPED_PREFIXES: [&str; 3] = ["content-", "cursorgate-", "proxy-auth"];

/// Headers of a page that scripts of other origins may read, in addition to the CORS-safelisted response headers and
/// those of the envelope.
const EXPOSED: [&str; 11] = [
    "Link",
    "ETag",
    "Retry-After",
    "Deprecation",
    "Sunset",
    "Cursorgate-Level",
    "Cursorgate-Drift",
    "Cursorgate-Unproven",
    "Cursorgate-End",
    "Cursorgate-Short",
    "X-Request-Id",
];

/// Further headers that scripts may read in the answers that have them, such as those of services.
const OF_ANSWERS: [&str; 4] = ["Location", "Operation-Location", "Content-Disposition", "Content-Range"];

/// Adds `Access-Control-Expose-Headers` to an answer that allows an origin. `of_envelope` are the names of the
/// envelope's headers.
pub fn expose<'n>(headers: &mut HeaderMap, of_envelope: impl Iterator<Item = &'n str>) {
    if let Some(names) = exposed(headers, of_envelope) {
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, names);
    }
}

/// Returns the headers that scripts of an allowed origin may read: the upstream's list and the gateway's headers (Fetch
/// standard, section 3.3.4). `*` means all headers, except with credentials, where it only means a header named `*`.
/// Returns `None` if the answer doesn't allow an origin.
fn exposed<'h, 'n: 'h>(headers: &'h HeaderMap, of_envelope: impl Iterator<Item = &'n str>) -> Option<HeaderValue> {
    headers.get(ACCESS_CONTROL_ALLOW_ORIGIN)?;
    let said = headers.get_all(ACCESS_CONTROL_EXPOSE_HEADERS).iter().filter_map(|value| value.to_str().ok());
    let said: Vec<&str> = said.flat_map(|value| value.split(',')).map(str::trim).collect();
    if said.contains(&"*") && !headers.contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS) {
        return Some(HeaderValue::from_static("*"));
    }
    let of_envelope = of_envelope.map(|name| -> &'h str { name });
    let mut names: Vec<&str> = Vec::with_capacity(said.len() + EXPOSED.len());
    let limits = ["RateLimit", "RateLimit-Policy"].into_iter().filter(|_| headers.contains_key(RATE_LIMIT));
    let of_answer = OF_ANSWERS.into_iter().filter(|name| headers.contains_key(*name));
    let ours = EXPOSED.into_iter().chain(limits).chain(of_answer);
    for name in said.into_iter().chain(ours).chain(of_envelope).filter(|name| !matches!(*name, "" | "*")) {
        if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            names.push(name);
        }
    }
    HeaderValue::from_str(&names.join(", ")).ok()
}

/// Adds the headers that the response takes from the upstream: the kept headers of the first answer, the cache headers
/// of all `answers` and of those `beside` them, and `Vary`.
fn kept_headers(headers: &mut HeaderMap, answers: &[&HeaderMap], beside: &[&HeaderMap], varies: &Varies) {
    if let Some(first) = answers.first() {
        let nominated = first.get_all(CONNECTION);
        // Headers that `Connection` names are also hop-by-hop (RFC 9110, section 7.6.1), so they are dropped. Test:
        // `a_page_has_the_kept_headers_of_the_first_answer`.
        let is_nominated = |name: &str| {
            let lines = nominated.iter().filter_map(|value| value.to_str().ok());
            lines.flat_map(|line| line.split(',')).any(|word| word.trim().eq_ignore_ascii_case(name))
        };
        for (name, value) in *first {
            let text = name.as_str();
            let dropped = DROPPED.contains(&text) || DROPPED_PREFIXES.iter().any(|prefix| text.starts_with(prefix));
            if !dropped && !speaks_to_caches(text) && !is_nominated(text) {
                // Lines stay apart: `Set-Cookie` can't be joined (RFC 9110, section 5.3). Test:
                // `a_page_has_the_kept_headers_of_the_first_answer`.
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
        // `Cache-Control` has the lifetimes of all answers, but `Expires` has only the lifetime of the first, so it is
        // removed.
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
