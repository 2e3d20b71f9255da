//! The HTML page on which a user can write and run queries. It is a single document that loads nothing else.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use sha2::{Digest as _, Sha256};

use cursorgate_translate::downstream::{Response, request::preference::MediaRange};

const PAGE: &str = include_str!("page.html");

/// Returns whether a GET request comes from a browser that opens the path. The request then has no query, and accepts
/// HTML.
pub(super) fn is_asked_for(query: &str, headers: &HeaderMap) -> bool {
    let is_html = |range: &MediaRange| range.weight > 0 && range.essence == "text/html";
    // A target with a query is a GraphQL request, even from a browser.
    // Test: `a_browser_gets_the_page_if_it_is_configured`.
    query.is_empty() && MediaRange::all(headers).iter().any(is_html)
}

/// Returns the page. Its `Content-Security-Policy` contains the hashes of its script and its style, so the browser
/// doesn't apply any others.
pub(super) fn response() -> Response {
    let policy = format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'",
        hash("<script>", "</script>"),
        hash("<style>", "</style>")
    );
    let mut response = Response::new(200, Vec::new());
    let mut set = |name: HeaderName, value: &'static str| {
        response.headers.insert(name, HeaderValue::from_static(value));
    };
    set(header::CONTENT_TYPE, "text/html; charset=utf-8");
    set(header::CACHE_CONTROL, "no-store");
    set(header::REFERRER_POLICY, "no-referrer");
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    // The policy is ASCII, so this never fails.
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        response.headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response.headers.insert(header::CONTENT_LENGTH, PAGE.len().into());
    response.body = PAGE.as_bytes().to_vec().into();
    response
}

/// Returns the hash of the text between `begin` and `end` in the page, as a source in a `Content-Security-Policy`.
fn hash(begin: &str, end: &str) -> String {
    let part = PAGE.split_once(begin).and_then(|(_, rest)| rest.split_once(end)).map_or("", |(part, _)| part);
    format!("sha256-{}", STANDARD.encode(Sha256::digest(part.as_bytes())))
}
