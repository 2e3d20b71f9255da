//! Links of an upstream: the parts that are used, and the links that are refused.
//!
//! Scheme and host are ignored, because requests are sent only to the configured peers. The path must be the request's
//! path. Only the parameters are used.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::upstream::template::{
    ask::UpstreamRequest,
    pairs,
    text::{append_pair, encode_literal},
};

/// The error for a link to a path other than the request's; contains the link's path without the query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnotherPath(pub String);

/// Returns the parameters of a link that aren't in every request for this list. These parameters continue the list.
/// `base` is the base of relative links; `None` if the upstream doesn't state a base. Returns [`AnotherPath`] for a
/// link to a path other than the request's.
pub fn parameters(link: &str, base: Option<&str>, ask: &UpstreamRequest) -> Result<String, AnotherPath> {
    let (path, query) = split(link);
    let path = match (is_absolute(link), base) {
        (true, _) => Cow::Borrowed(path),
        // A base may have a path of its own, such as `/wiki`, which precedes the link's path. Test:
        // `relative_links_stand_after_their_base`.
        (false, Some(base)) => {
            Cow::Owned(format!("{}/{}", split(base).0.trim_end_matches('/'), path.trim_start_matches('/')))
        }
        (false, None) if path.is_empty() => Cow::Borrowed(ask.path.as_str()),
        (false, None) if path.starts_with('/') => Cow::Borrowed(path),
        (false, None) => {
            let folder = ask.path.rsplit_once('/').map_or("", |(folder, _)| folder);
            Cow::Owned(format!("{folder}/{path}"))
        }
    };
    // A link must not lead the gateway's requests to other paths, so such a link is refused. Test:
    // `another_path_is_refused`.
    if plain(&path) != plain(&ask.path) {
        return Err(AnotherPath(path.into_owned()));
    }
    // Only the common part of the query is compared: parameters that earlier links added are needed again. Test:
    // `parameters_that_earlier_links_added_are_kept`.
    let asked: Vec<(String, String)> =
        pairs::raw(&ask.common).map(|pair| (pairs::name(pair), pairs::value(pair))).collect();
    let mut different = String::new();
    for pair in pairs::raw(query) {
        // A link may encode a parameter differently than requests do, so decoded parameters are compared. Test:
        // `a_next_link_adds_the_parameters_that_differ_from_the_request`.
        let known = (pairs::name(pair), pairs::value(pair));
        if !asked.contains(&known) {
            // Line ends and special characters are encoded, so they can't end the query. Test:
            // `a_link_cant_break_out_of_the_query`.
            append_pair(&mut different, &encode_literal(pair));
        }
    }
    Ok(different)
}

/// Returns the decoded value of a link's parameter; `None` if the link doesn't have the parameter.
pub fn parameter(link: &str, name: &str) -> Option<String> {
    let (_, query) = split(link);
    pairs::raw(query).find(|pair| pairs::name(pair) == name).map(pairs::value)
}

/// Returns the path and the query of a link, without scheme, host and fragment.
fn split(link: &str) -> (&str, &str) {
    let link = link.trim();
    // The fragment is cut off first, because it may contain a `?` (RFC 3986 section 3.5).
    let link = link.split_once('#').map_or(link, |(link, _)| link);
    let after_scheme = if is_absolute(link) { link.split_once("//").map_or(link, |(_, rest)| rest) } else { link };
    let (path, query) = after_scheme.split_once('?').unwrap_or((after_scheme, ""));
    if !is_absolute(link) {
        return (path, query);
    }
    (path.find('/').map_or("/", |slash| &path[slash..]), query)
}

/// Returns whether a link has a host: `https://host/…` or `//host/…`.
fn is_absolute(link: &str) -> bool {
    let link = link.trim();
    let is_scheme = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    };
    link.starts_with("//") || link.split_once("://").is_some_and(|(scheme, _)| is_scheme(scheme))
}

/// Normalizes a path for comparison: decoded as a server reads it, without its final slash.
fn plain(path: &str) -> String {
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    decoded.trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;
    use cursorgate_core::pagination::fetch::Fetch;

    fn ask(path: &str, query: &str) -> UpstreamRequest {
        let (path, query) = (path.to_owned(), query.to_owned());
        UpstreamRequest {
            method: Method::GET,
            path,
            common: query.clone(),
            query,
            headers: Vec::new(),
            edits: None,
            fetch: Fetch::Count,
        }
    }

    #[test]
    fn a_next_link_adds_the_parameters_that_differ_from_the_request() {
        let ask = ask("/api/items", "tag=a&tag=b&q=x%20y&limit=10");
        for (link, continues) in [
            ("https://upstream.internal:8080/api/items?tag=a&tag=b&q=x+y&limit=10&cursor=A%26B", "cursor=A%26B"),
            ("//elsewhere/api/items/?limit=10&page=2#top", "page=2"),
            ("/api/items?limit=20&after=7", "limit=20&after=7"),
            ("?after=\"7\"", "after=%227%22"),
            ("items?after=7", "after=7"),
            ("https://host/api%2Fitems?after=é", "after=%C3%A9"),
            ("/api/items", ""),
        ] {
            assert_eq!(parameters(link, None, &ask).as_deref(), Ok(continues), "{link}");
        }
    }

    #[test]
    fn parameters_that_earlier_links_added_are_kept() {
        let mut ask = ask("/items", "limit=2");
        ask.query.push_str("&next=true&cursor=a");
        assert_eq!(parameters("/items?limit=2&next=true&cursor=b", None, &ask).as_deref(), Ok("next=true&cursor=b"));
    }

    /// Row: A15
    #[test]
    fn another_path_is_refused() {
        let ask = ask("/api/items", "");
        for (link, path) in [
            ("https://host/admin/users?page=2", "/admin/users"),
            ("https://host", "/"),
            ("/api/items/7", "/api/items/7"),
            ("../users?page=2", "/api/../users"),
            ("mailto:someone@example.org", "/api/mailto:someone@example.org"),
        ] {
            assert_eq!(parameters(link, None, &ask), Err(AnotherPath(path.to_owned())), "{link}");
        }
    }

    #[test]
    fn relative_links_stand_after_their_base() {
        let ask = ask("/wiki/rest/api/content", "limit=25");
        let base = Some("https://example.atlassian.net/wiki");
        let next = "/rest/api/content?limit=25&cursor=abc";
        assert_eq!(parameters(next, base, &ask).as_deref(), Ok("cursor=abc"));
        assert!(parameters(next, None, &ask).is_err());
        let absolute = "https://example.atlassian.net/wiki/rest/api/content?cursor=abc";
        assert_eq!(parameters(absolute, base, &ask).as_deref(), Ok("cursor=abc"));
    }

    #[test]
    fn a_parameter_is_read_as_a_server_would() {
        let link = "https://host/items/?page_size=2&cursor=cD0yMDI1LTAxLTAx%3D%3D";
        assert_eq!(parameter(link, "cursor").as_deref(), Some("cD0yMDI1LTAxLTAx=="));
        assert_eq!(parameter(link, "page"), None);
    }
}
