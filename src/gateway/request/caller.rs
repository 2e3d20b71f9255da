//! Whether a request says whose view its answer is, as far as the gateway can know it.
//!
//! What was seen for one caller is found by another only where nothing tells the two apart. The headers of the principal
//! do, and a caller who brings one of them is known by it. Of a caller who brings none there are two kinds: those of a
//! list that is the same for all, and those whom the upstream knows by a header that the configuration does not name. So
//! nothing is remembered of a request that brings a header which could say who asks: any that is not on the closed list
//! of those that can't.

use http::{HeaderMap, HeaderName};

/// Headers that say how a client wants to be answered, what software it is, and which way its request took; never on
/// whose behalf it asks.
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

/// What groups of such headers begin with.
const IMPERSONAL_GROUPS: [&str; 6] = ["accept", "content-", "if-", "sec-", "x-b3-", "x-forwarded-"];

/// Whether what is seen for this request may be remembered, and found by the next one with the same headers of the
/// `principal`: it brings one of them, or nothing that could say who asks. A route without a principal has one list for
/// all.
pub(crate) fn is_known(headers: &HeaderMap, principal: &[HeaderName]) -> bool {
    let is_impersonal = |name: &HeaderName| {
        let name = name.as_str();
        IMPERSONAL.contains(&name) || IMPERSONAL_GROUPS.iter().any(|group| name.starts_with(group))
    };
    let is_named = || principal.iter().any(|name| headers.contains_key(name));
    principal.is_empty() || is_named() || headers.keys().all(is_impersonal)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Row: A22
    #[test]
    fn a_caller_is_known_by_the_principal_or_can_not_be_told_from_others() {
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
