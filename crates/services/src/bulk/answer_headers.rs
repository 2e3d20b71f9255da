//! The headers of an operation's answer that its result shows.

use http::{HeaderMap, header::HeaderValue};

/// The headers of an operation's answer that are copied into its result. Other headers, such as `Set-Cookie`, are left
/// out, except those with the prefix [`OWN`].
const SHOWN: [&str; 21] = [
    "age",
    "allow",
    "cache-control",
    "cache-status",
    "content-encoding",
    "content-language",
    "content-location",
    "content-type",
    "deprecation",
    "etag",
    "expires",
    "last-modified",
    "link",
    "location",
    "preference-applied",
    "ratelimit",
    "ratelimit-policy",
    "retry-after",
    "sunset",
    "www-authenticate",
    "x-request-id",
];

/// The prefix of the gateway's own headers, which are also copied into results.
const OWN: &str = "cursorgate-";

/// The largest size of the kept headers of an answer, in bytes. Headers beyond it are left out.
const MOST_HEADERS: usize = 8 << 10;

/// The bytes that a header map needs for a header besides its name and value.
const HEADER_COST: usize = 128;

/// Returns a copy of the headers that a result shows, and the bytes that it occupies. The headers of an answer can have
/// a whole head of memory, and a request has many answers, so nothing else of a head is kept.
pub(super) fn kept_headers(headers: &HeaderMap) -> (HeaderMap, usize) {
    let (mut kept, mut size) = (HeaderMap::new(), 0);
    for (name, value) in headers {
        let more = name.as_str().len() + value.len() + HEADER_COST;
        // A value that is only cloned would keep the bytes of the whole head. Test:
        // `the_kept_headers_of_an_answer_are_few_and_small`.
        if is_shown(name.as_str())
            && size + more <= MOST_HEADERS
            && let Ok(value) = HeaderValue::from_bytes(value.as_bytes())
        {
            kept.append(name.clone(), value);
            size += more;
        }
    }
    (kept, size)
}

/// Returns whether a result shows the header with this name.
pub(super) fn is_shown(name: &str) -> bool {
    SHOWN.contains(&name) || name.starts_with(OWN)
}

#[cfg(test)]
mod tests {
    use http::header;

    use super::*;

    #[test]
    fn the_kept_headers_of_an_answer_are_few_and_small() {
        let mut headers = HeaderMap::new();
        headers.insert(header::ETAG, HeaderValue::from_static("\"a\""));
        headers.insert("cursorgate-level", HeaderValue::from_static("exact"));
        headers.append(header::LINK, "<a>; rel=next".parse().unwrap());
        headers.append(header::LINK, "<b>; rel=prev".parse().unwrap());
        headers.insert("x-large", "x".repeat(60_000).parse().unwrap());
        headers.insert(header::SET_COOKIE, "a=b".parse().unwrap());
        headers.insert(header::LOCATION, "x".repeat(60_000).parse().unwrap());
        let (kept, size) = kept_headers(&headers);
        let mut names: Vec<&str> = kept.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["cursorgate-level", "etag", "link", "link"]);
        assert!(size < 1_000, "{size}");
    }
}
