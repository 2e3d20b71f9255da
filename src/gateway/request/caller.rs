//! The check that the principal of a request is known. Only then may items be cached for the request.
//!
//! Cached items are shared only between requests of the same principal. A request with one of the headers in
//! `principal` has a known principal. For a request without any of these headers, there are two possibilities: its list
//! is the same for all clients, or the upstream identifies the client by a header that the configuration doesn't name.
//! The gateway can't distinguish the two. Items are therefore cached for such a request only if all of its headers are
//! on a closed list of headers that can't identify a client. Example: with `principal = ["authorization"]`, a request
//! that has only `X-Tenant-Id` isn't cached.

use http::{HeaderMap, HeaderName};

/// Headers about the form of the answer, the client's software, and the proxies on the request's way. They never
/// identify a principal.
const IMPERSONAL: [&str; 31] = [
    "b3",
    "baggage",
    "cache-control",
    "cdn-loop",
    "connection",
    "date",
    "dnt",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "max-forwards",
    "origin",
    "pragma",
    "prefer",
    "priority",
    "purpose",
    "range",
    "referer",
    "save-data",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "upgrade-insecure-requests",
    "user-agent",
    "via",
    "x-correlation-id",
    "x-request-id",
];

/// Prefixes of other headers that never identify a principal.
const IMPERSONAL_GROUPS: [&str; 6] = ["accept", "content-", "if-", "sec-", "x-b3-", "x-forwarded-"];

/// Returns whether items may be cached for this request and used for other requests with the same `principal` headers.
/// The result is `true` if the request has one of these headers, or if none of its headers could identify a client. A
/// route without a principal has one list for all clients, so the result is always `true`.
pub(crate) fn is_known(headers: &HeaderMap, principal: &[HeaderName]) -> bool {
    let is_named = || principal.iter().any(|name| headers.contains_key(name));
    principal.is_empty() || is_named() || headers.keys().all(is_impersonal)
}

/// Returns whether a header is known never to identify a client.
pub(crate) fn is_impersonal(name: &HeaderName) -> bool {
    let name = name.as_str();
    IMPERSONAL.contains(&name) || IMPERSONAL_GROUPS.iter().any(|group| name.starts_with(group))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Row: A22
    #[test]
    fn a_caller_without_principal_but_with_other_credentials_is_unidentified() {
        let principal = [http::header::AUTHORIZATION];
        for (names, is_remembered) in [
            (&["host", "user-agent", "accept", "accept-language", "sec-fetch-mode", "x-forwarded-for"][..], true),
            (&["host", "authorization", "x-tenant-id"], true),
            (&["host", "x-tenant-id"], false),
            (&["host", "private-token"], false),
            (&["host", "cookie"], false),
            (&[], true),
        ] {
            let mut headers = HeaderMap::new();
            for name in names {
                headers.insert(HeaderName::from_static(name), http::HeaderValue::from_static("x"));
            }
            assert_eq!(is_known(&headers, &principal), is_remembered, "{names:?}");
            assert!(is_known(&headers, &[]), "{names:?}");
        }
    }
}
