//! The headers that can identify a client, and the checks that rely on them.
//!
//! Cached items are shared only between requests of the same principal. Each header of a request belongs to one of
//! three groups:
//!
//! - A header of the principal identifies the client. Items are stored under its value.
//! - A header of the closed lists in this file, about the request's origin, or of `impersonal`, never identifies a client.
//!   It is ignored.
//! - Any other header might identify a client, and only the upstream knows. Items aren't stored for such a request.
//!   Example: with `principal = ["authorization"]`, a request with `X-Tenant-Id` isn't cached, whether or not it also
//!   has `Authorization`, because `Authorization` might be a key that all users of an application share.
//!
//! The lists have complete names, because proxies and service meshes write identities into headers of any family, such
//! as `X-Forwarded-User`.

use http::{
    HeaderMap, HeaderName, Version,
    header::{COOKIE, HeaderValue},
};
use pingora::http::RequestHeader;

use cursorgate_translate::{
    downstream::{Code, Problem},
    upstream::request::headers,
};

/// Headers about one message alone: its body, its conditions and its connection. The list is sorted.
const OF_MESSAGE: [&str; 27] = [
    "accept-encoding",
    "content-digest",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-md5",
    "content-range",
    "content-type",
    "digest",
    "expect",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "range",
    "repr-digest",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "want-content-digest",
    "want-digest",
    "want-repr-digest",
];

/// Headers about the form of the answer, the client's software, the connection and the trace. The list is sorted.
const IMPERSONAL: [&str; 68] = [
    "accept",
    "accept-charset",
    "accept-datetime",
    "accept-language",
    "accept-ranges",
    "b3",
    "cache-control",
    "cdn-loop",
    "connection",
    "date",
    "dnt",
    "early-data",
    "host",
    "max-forwards",
    "origin",
    "pragma",
    "prefer",
    "priority",
    "purpose",
    "referer",
    "save-data",
    "sec-ch-device-memory",
    "sec-ch-dpr",
    "sec-ch-prefers-color-scheme",
    "sec-ch-prefers-contrast",
    "sec-ch-prefers-reduced-motion",
    "sec-ch-prefers-reduced-transparency",
    "sec-ch-ua",
    "sec-ch-ua-arch",
    "sec-ch-ua-bitness",
    "sec-ch-ua-form-factors",
    "sec-ch-ua-full-version",
    "sec-ch-ua-full-version-list",
    "sec-ch-ua-mobile",
    "sec-ch-ua-model",
    "sec-ch-ua-platform",
    "sec-ch-ua-platform-version",
    "sec-ch-ua-wow64",
    "sec-ch-viewport-height",
    "sec-ch-viewport-width",
    "sec-ch-width",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "sec-fetch-storage-access",
    "sec-fetch-user",
    "sec-gpc",
    "sec-purpose",
    "sec-websocket-accept",
    "sec-websocket-extensions",
    "sec-websocket-key",
    "sec-websocket-version",
    "traceparent",
    "tracestate",
    "upgrade-insecure-requests",
    "user-agent",
    "via",
    "x-amzn-trace-id",
    "x-b3-flags",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-spanid",
    "x-b3-traceid",
    "x-cloud-trace-context",
    "x-correlation-id",
    "x-request-id",
    "x-request-start",
    "x-requested-with",
];

/// Returns the headers by which a client negotiates the form or the language of a list, sorted by their names. Upstreams
/// that negotiate don't always send `Vary`, so clients that differ in one of these headers never share a page.
pub fn negotiating(headers: &HeaderMap) -> Vec<(&str, &[u8])> {
    let negotiates = |name: &HeaderName| name.as_str().starts_with("accept") || name.as_str() == "prefer";
    let found = headers.iter().filter(|(name, _)| negotiates(name));
    let mut found: Vec<(&str, &[u8])> = found.map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    // The sort is stable: the values of a repeated header keep their order.
    found.sort_by_key(|(name, _)| *name);
    found
}

/// Returns the first header that might identify a client, but is neither in `keyed` nor in `impersonal`; `None` if there
/// is no such header.
pub fn unknown<'h>(headers: &'h HeaderMap, keyed: &[HeaderName], impersonal: &[HeaderName]) -> Option<&'h HeaderName> {
    headers.keys().find(|name| !keyed.contains(name) && !is_impersonal(name, impersonal))
}

/// The headers that metrics count by their names: those that often identify clients, sorted. All others are counted as
/// `other`, so clients can't add labels.
pub const COUNTED: [&str; 24] = [
    "api-key",
    "authorization",
    "baggage",
    "cookie",
    "other",
    "private-token",
    "proxy-authorization",
    "x-access-token",
    "x-account-id",
    "x-amzn-oidc-data",
    "x-amzn-oidc-identity",
    "x-api-key",
    "x-auth-request-email",
    "x-auth-request-user",
    "x-auth-token",
    "x-customer-id",
    "x-forwarded-client-cert",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-user",
    "x-organization-id",
    "x-tenant-id",
    "x-user-id",
    "x-user-token",
];

/// Returns the name by which a header is counted.
pub fn counted(name: &HeaderName) -> &'static str {
    COUNTED.binary_search(&name.as_str()).map_or("other", |at| COUNTED[at])
}

/// Returns whether a header is about one message alone, so that it concerns no other request of the same client.
pub fn is_of_message(name: &HeaderName) -> bool {
    OF_MESSAGE.binary_search(&name.as_str()).is_ok()
}

/// Returns whether a header never identifies a client: it is about the message or the request's origin, it is in the
/// list of this file, or the configuration says so by `impersonal`.
pub fn is_impersonal(name: &HeaderName, impersonal: &[HeaderName]) -> bool {
    is_of_message(name)
        || headers::states_origin(name.as_str())
        || IMPERSONAL.binary_search(&name.as_str()).is_ok()
        || impersonal.contains(name)
}

/// Checks the headers that identify the client of a request: each of them has one value, and `Connection` names none of
/// them. `identifying` are their names. `origin` are further names that `Connection` must not contain.
///
/// # Errors
///
/// Returns 400 `request_invalid`.
pub fn check(headers: &HeaderMap, identifying: &[&[HeaderName]], origin: &[HeaderName]) -> Result<(), Box<Problem>> {
    let refused = |detail: String| Err(Box::new(Problem::new(Code::RequestInvalid, detail)));
    // Servers differ in which of two lines they read, so a client could be one client for the gateway and another one
    // for the upstream. Test: `a_header_that_identifies_its_client_has_one_value`.
    let repeated = |name: &&HeaderName| headers.get_all(*name).iter().nth(1).is_some();
    if let Some(name) = identifying.iter().flat_map(|names| names.iter()).find(repeated) {
        return refused(format!("there is more than one {name}, which identifies the client: send one"));
    }
    // By naming headers in `Connection`, a client could remove headers that decide which items it sees, so these names
    // are refused. Test: `headers_of_routing_and_principal_cannot_be_nominated_on_any_path`.
    let protected: Vec<&[HeaderName]> = identifying.iter().copied().chain([origin]).collect();
    headers::nominations(headers, &protected).map(drop).or_else(|refusal| refused(refusal.to_string()))
}

/// Joins the lines of `Cookie`. In HTTP/2, a client may send each cookie on a line of its own (RFC 9113 section 8.2.3);
/// they are one value for the gateway and for an upstream that is reached by HTTP/1.1. Returns `None` if nothing is to
/// be joined, or if the request came by HTTP/1.1, in which `Cookie` has one line.
pub fn joined_cookies(request: &RequestHeader) -> Option<HeaderValue> {
    let headers = (request.version == Version::HTTP_2).then_some(&request.headers)?;
    let lines: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if lines.len() < 2 {
        return None;
    }
    HeaderValue::from_bytes(&lines.join(&b"; "[..])).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&'static str]) -> HeaderMap {
        let pair = |name| (HeaderName::from_static(name), HeaderValue::from_static("x"));
        names.iter().copied().map(pair).collect()
    }

    /// Row: A22
    #[test]
    fn a_caller_without_principal_but_with_other_credentials_is_unidentified() {
        let principal = [http::header::AUTHORIZATION];
        for (names, is_remembered) in [
            (&["host", "user-agent", "accept", "accept-language", "sec-fetch-mode", "x-forwarded-for"][..], true),
            (&["host", "authorization", "traceparent", "x-real-ip"], true),
            (&["host", "x-tenant-id"], false),
            (&["host", "private-token"], false),
            (&["host", "cookie"], false),
            (&[], true),
            // A header of the principal doesn't hide another one: it might be a key that all users share.
            (&["host", "authorization", "x-tenant-id"], false),
            (&["authorization", "x-user-token"], false),
            (&["authorization", "cookie"], false),
            // Names in the families of impersonal headers, in which proxies and meshes write identities.
            (&["x-forwarded-user"], false),
            (&["x-forwarded-email"], false),
            (&["x-forwarded-groups"], false),
            (&["x-forwarded-access-token"], false),
            (&["x-forwarded-client-cert"], false),
            (&["x-forwarded-preferred-username"], false),
            (&["x-envoy-downstream-service-cluster"], false),
            (&["l5d-client-id"], false),
            (&["x-b3-user"], false),
            (&["sec-user"], false),
            (&["accept-tenant"], false),
            (&["content-user"], false),
            (&["if-user"], false),
            (&["baggage"], false),
        ] {
            let headers = of(names);
            assert_eq!(unknown(&headers, &principal, &[]).is_none(), is_remembered, "{names:?}");
        }
        let bound = [http::header::AUTHORIZATION, HeaderName::from_static("x-tenant-id")];
        assert!(unknown(&of(&["x-tenant-id"]), &bound, &[]).is_none(), "cursors are bound to the header");
    }

    #[test]
    fn impersonal_headers_are_found() {
        assert!(OF_MESSAGE.is_sorted() && IMPERSONAL.is_sorted() && COUNTED.is_sorted());
        assert_eq!(counted(&HeaderName::from_static("x-tenant-id")), "x-tenant-id");
        assert_eq!(counted(&HeaderName::from_static("x-made-up")), "other");
        let origin = ["x-real-ip", "x-forwarded-for", "x-sucuri-clientip"];
        for name in OF_MESSAGE.into_iter().chain(IMPERSONAL).chain(origin) {
            assert!(is_impersonal(&HeaderName::from_static(name), &[]), "{name}");
        }
    }

    #[test]
    fn cookies_on_several_lines_are_one_value() {
        let mut request = RequestHeader::build("GET", b"/", None).unwrap();
        request.set_version(Version::HTTP_2);
        assert_eq!(joined_cookies(&request), None);
        request.append_header("cookie", "a=1").unwrap();
        assert_eq!(joined_cookies(&request), None);
        request.append_header("cookie", "b=2; c=3").unwrap();
        assert_eq!(joined_cookies(&request).unwrap(), "a=1; b=2; c=3");
        request.set_version(Version::HTTP_11);
        assert_eq!(joined_cookies(&request), None, "two lines are refused there");
    }
}
