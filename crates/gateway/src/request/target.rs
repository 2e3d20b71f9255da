//! Request targets: path, query and host. Paths that servers could read differently are refused here. The rest of the
//! head was checked by [`head::check`](super::head::check) before it was parsed.

use std::{borrow::Cow, net::Ipv6Addr};

use http::header;
use pingora::http::RequestHeader;

use super::path::{self, NormalPath};
use cursorgate_translate::{
    downstream::{Code, Problem},
    upstream::request::headers,
};

/// The parsed target of a request: path, query and host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestTarget {
    /// The path as the client sent it, without the query.
    pub path: String,
    /// The normalized path, which selects the route.
    pub normal_path: String,
    /// The list's own path, if the client asked at the second path of a list (`new_clients.path`); `None` otherwise.
    pub list_path: Option<String>,
    /// An ambiguity in the path, which a list's path must not have; `None` if there is none. See [`NormalPath::doubt`].
    pub doubt: Option<&'static str>,
    /// The query as the client sent it, without the `?`; `None` if the target has no `?`.
    pub query: Option<String>,
    /// The authority as the client sent it: from a target in absolute form, or from `Host`; `None` if there is neither.
    pub authority: Option<String>,
    /// The host in lower case, without the port and without a final dot; `None` if the request names no host.
    pub host: Option<String>,
}

impl RequestTarget {
    /// Returns the list's own path: normalized, and without a final slash. It is the same for both paths of a list,
    /// which therefore share their cursors. Test: `both_paths_have_the_same_cursors`.
    pub fn collection_path(&self) -> &str {
        let path = self.list_path.as_ref().unwrap_or(&self.normal_path);
        path.strip_suffix('/').unwrap_or(path)
    }
}

/// The largest number of gateways named `cursorgate` in `Via`. A request with more is refused as a loop. The limit is
/// above the number of gateways in real systems, and ends a loop soon.
const PASSAGES: usize = 3;

/// Parses the target of a head that [`head::check`](super::head::check) has accepted.
///
/// # Errors
///
/// Returns 400 `request_invalid` or 508 `loop_detected`.
pub fn read(head: &RequestHeader) -> Result<RequestTarget, Box<Problem>> {
    // Gateways are counted in `Via`, so loops across several replicas are also detected. Test:
    // `a_request_in_a_loop_of_gateways_is_cut_off`.
    if headers::passages(&head.headers) > PASSAGES {
        let detail = format!("Via names more than {PASSAGES} gateways: the request loops");
        return Err(Box::new(Problem::new(Code::LoopDetected, detail)));
    }
    let (authority, target) = split_target(head.raw_path())?;
    let host = head.headers.get(header::HOST).map(|host| String::from_utf8_lossy(host.as_bytes()));
    // The target's authority has precedence over `Host` (RFC 9112 section 3.2.2).
    let authority = authority.map(Cow::Borrowed).or(host).map(Cow::into_owned);
    let (path, query) = match target.iter().position(|byte| *byte == b'?') {
        Some(at) => (&target[..at], Some(&target[at + 1..])),
        None => (target, None),
    };
    let NormalPath { text: normal_path, doubt } = path::normalize(path).map_err(invalid)?;
    let query = query.map(|query| match std::str::from_utf8(query) {
        Ok(text) if holds_a_query(text) => Ok(text.to_owned()),
        _ => Err(invalid("the query contains an invalid byte")),
    });
    Ok(RequestTarget {
        // `normalize` accepts only UTF-8, so the conversion loses nothing.
        path: String::from_utf8_lossy(path).into_owned(),
        normal_path: normal_path.into_owned(),
        list_path: None,
        doubt,
        query: query.transpose()?,
        host: authority.as_deref().map(host_of).filter(|host| !host.is_empty()),
        authority,
    })
}

fn invalid(detail: impl Into<String>) -> Box<Problem> {
    Box::new(Problem::new(Code::RequestInvalid, detail))
}

/// Returns whether a string can be a query. A query has no spaces, control characters or `#`.
fn holds_a_query(text: &str) -> bool {
    // The comparison has no branches, to let the compiler vectorize it.
    let is_other = |byte: u8| (byte <= b' ') | (byte == 0x7f) | (byte == b'#');
    !text.bytes().fold(false, |any, byte| any | is_other(byte))
}

/// Splits a target into its authority and the path with the query. Only the absolute form has an authority (RFC 9112
/// section 3.2.2). Example: `http://people:81/a?b` gives `people:81` and `/a?b`.
///
/// # Errors
///
/// Returns 400 `request_invalid` for any other form, such as `*`, and for a URL that has a query but no path.
pub fn split_target(target: &[u8]) -> Result<(Option<&str>, &[u8]), Box<Problem>> {
    if target.first() == Some(&b'/') {
        return Ok((None, target));
    }
    let absolute = target.split_first_chunk::<7>().filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"http://"));
    let rest = absolute.map(|(_, rest)| rest).or_else(|| {
        let (scheme, rest) = target.split_first_chunk::<8>()?;
        scheme.eq_ignore_ascii_case(b"https://").then_some(rest)
    });
    let Some(rest) = rest else {
        return Err(invalid("the request target is neither a path nor a URL"));
    };
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    let authority = std::str::from_utf8(&rest[..end]).map_err(|_| invalid("the target's authority is not text"))?;
    match rest.get(end) {
        Some(b'/') => Ok((Some(authority), &rest[end..])),
        None => Ok((Some(authority), b"/")),
        Some(_) => Err(invalid("the request target has no path")),
    }
}

/// Returns whether a string is empty or an authority without userinfo (RFC 3986 section 3.2). Commas and quotes in
/// hosts aren't accepted: a header with a comma or a quote could be read as a list or a quoted string.
pub fn is_authority(text: &str) -> bool {
    // A colon within brackets belongs to an IPv6 address, so no port follows it.
    let (host, port) = match text.rfind(':').filter(|at| !text[*at..].contains(']')) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, ""),
    };
    // `parse` would also accept a sign, so the digits are checked first. Test:
    // `hosts_are_names_or_addresses_with_a_port`.
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit()) && (port.is_empty() || port.parse::<u16>().is_ok());
    let in_brackets = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = match in_brackets {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        // An empty `Host` belongs to a target without an authority (RFC 9112 section 3.2).
        None => is_name(host) && (!host.is_empty() || text.is_empty()),
    };
    is_host && is_port
}

/// Returns whether a string has only characters of host names (RFC 3986 section 3.2.2): unreserved characters, escapes,
/// and delimiters except commas and quotes.
fn is_name(host: &str) -> bool {
    let mut escapes = host.split('%');
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&()*+;=".contains(&byte));
    let begins_with_digits = |text: &str| text.len() >= 2 && text.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    escapes.next().is_none_or(plain) && escapes.all(|escape| begins_with_digits(escape) && plain(escape))
}

/// Returns the host of an authority in lower case, without the port and without a final dot.
#[must_use]
pub fn host_of(authority: &str) -> String {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !host.ends_with(':') => host,
        _ => authority,
    };
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use http::Version;

    use super::*;

    fn head(method: &str, target: &str, headers: &[(&'static str, &str)]) -> RequestHeader {
        let mut head = RequestHeader::build(method, target.as_bytes(), None).unwrap();
        for (name, value) in headers {
            head.append_header(*name, *value).unwrap();
        }
        head
    }

    #[test]
    fn targets_are_split_into_path_query_and_host() {
        for (target, path, query, host) in [
            ("/users", "/users", None, "people.example"),
            ("/%75sers/?a=%20&b", "/users/", Some("a=%20&b"), "people.example"),
            ("/users?", "/users", Some(""), "people.example"),
            ("/users?a=//../%2f", "/users", Some("a=//../%2f"), "people.example"),
            ("http://Other.example:81/users?x", "/users", Some("x"), "other.example"),
            ("HTTPS://other.example", "/", None, "other.example"),
        ] {
            let read = read(&head("GET", target, &[("host", "People.example.:8080")])).unwrap();
            assert_eq!(read.normal_path, path, "{target}");
            assert_eq!(read.query.as_deref(), query, "{target}");
            assert_eq!(read.host.as_deref(), Some(host), "{target}");
        }
    }

    #[test]
    fn hosts_are_names_or_addresses_with_a_port() {
        for (host, is_sound) in [
            ("people.example", true),
            ("People_1.example.:8080", true),
            ("192.0.2.1:1", true),
            ("[2001:db8::1]", true),
            ("[::1]:65535", true),
            ("b%C3%BCcher.example", true),
            ("people.example:", true),
            ("", true),
            ("people.example:65536", false),
            ("people.example:8a", false),
            ("people.example:+80", false),
            (":80", false),
            ("a:b:80", false),
            ("user@people.example", false),
            ("people.example, evil.example", false),
            ("people.example evil.example", false),
            ("people.example/x", false),
            ("people.example?x", false),
            ("people.example#x", false),
            ("people\\evil", false),
            ("\"people\"", false),
            ("'people'", false),
            ("<people>", false),
            ("people%zz", false),
            ("people%2", false),
            ("[::1", false),
            ("::1", false),
            ("[people]", false),
            ("[::1]x:80", false),
        ] {
            assert_eq!(is_authority(host), is_sound, "{host}");
        }
    }

    #[test]
    fn a_request_of_http_1_0_needs_no_host() {
        let mut old = head("GET", "/users", &[]);
        old.set_version(Version::HTTP_10);
        assert_eq!(read(&old).unwrap().host, None);
    }
}
