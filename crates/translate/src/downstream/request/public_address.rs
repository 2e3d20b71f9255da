//! The public address of a route: the scheme, host and prefix with which its links begin.
//!
//! This file also checks the headers of trusted proxies. A value that isn't a host, port or path counts as absent. So
//! links lead only to the host that the proxy named, and no value breaks out of its `Link` line.

use std::net::Ipv6Addr;

use http::{HeaderMap, HeaderName, header::FORWARDED};

use super::query;

const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The largest number of bytes in a host name (RFC 1035, section 2.3.4). A longer name counts as absent.
const LONGEST_HOST: usize = 253;

/// The largest number of bytes in a proxy's prefix, which every link of a page repeats. A longer prefix counts as
/// absent.
const LONGEST_PREFIX: usize = 512;

/// The start of a route's links: `https://api.example.com/shop`, or `/shop` if no host is known, or empty. It consists
/// of visible ASCII and has no final slash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublicAddress {
    start: String,
}

/// The parts of a request from which its public address is made.
#[derive(Clone, Copy, Debug)]
pub struct RequestAddress<'r> {
    /// `http` or `https`.
    pub scheme: &'static str,
    /// The authority of the request: `Host`, or HTTP/2's `:authority`; `None` if the request has neither.
    pub authority: Option<&'r str>,
    /// The headers of a request from a trusted proxy, without origin headers that the proxy's own client might have
    /// written; `None` if the request isn't from a trusted proxy.
    pub of_proxy: Option<&'r HeaderMap>,
    /// `true` if a trusted proxy wrote the authority.
    pub vouched: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Authority {
    /// The host in lower case; an IPv6 address is in brackets.
    host: String,
    port: Option<u16>,
}

impl PublicAddress {
    /// Creates the address from the operator's `public_url`, without its final slashes.
    #[must_use]
    pub fn configured(url: &str) -> Self {
        let mut start = String::with_capacity(url.len());
        query::push_url(&mut start, url.trim_end_matches('/'));
        Self { start }
    }

    /// Returns the address of a request to a route with these `hosts` (lower case, without port). It has the host that
    /// a trusted proxy names. Otherwise it has the request's own host, if a trusted proxy wrote this host or `hosts`
    /// contains it, or no host. The prefix that a trusted proxy removed from the path follows.
    #[must_use]
    pub fn of_request(request: RequestAddress<'_>, hosts: &[String]) -> Self {
        let own = || request.authority.and_then(Authority::parse);
        // The client chose any other host, so no link may begin with it. Test:
        // `links_begin_with_a_configured_host_or_are_relative`.
        let named = || own().filter(|own| request.vouched || hosts.contains(&own.host));
        let authority = request.of_proxy.and_then(said_authority).or_else(named);
        Self::new(request, authority)
    }

    /// Returns the address of a request with the host that a trusted proxy or the client wrote, unchecked. It is for
    /// answers that pass through, because the upstream would repeat this host in its own links.
    #[must_use]
    pub fn as_asked(request: RequestAddress<'_>) -> Self {
        let said = request.of_proxy.and_then(said_authority);
        Self::new(request, said.or_else(|| request.authority.and_then(Authority::parse)))
    }

    fn new(request: RequestAddress<'_>, authority: Option<Authority>) -> Self {
        let mut start = String::new();
        if let Some(Authority { host, port }) = authority {
            let usual = if request.scheme == "https" { 443 } else { 80 };
            let port = port.or_else(|| request.of_proxy.and_then(said_port)).filter(|port| *port != usual);
            start.extend([request.scheme, "://", &host]);
            start.extend(port.map(|port| format!(":{port}")));
        }
        start.extend(request.of_proxy.and_then(said_prefix));
        Self { start }
    }

    /// Returns the start of links, such as `https://api.example.com/shop`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.start
    }

    /// Returns whether the address has a host, so links that begin with it are absolute.
    #[must_use]
    pub fn has_host(&self) -> bool {
        !self.start.is_empty() && !self.start.starts_with('/')
    }
}

/// Returns the scheme by which the nearest proxy was reached: `proto` of `Forwarded`, else `X-Forwarded-Proto`. `None`
/// if both are missing, or the scheme is neither `http` nor `https`.
#[must_use]
pub fn said_scheme(headers: &HeaderMap) -> Option<&'static str> {
    let said = forwarded(headers, "proto").or_else(|| last(headers, &FORWARDED_PROTO).map(str::to_owned))?;
    ["https", "http"].into_iter().find(|scheme| scheme.eq_ignore_ascii_case(&said))
}

fn said_authority(headers: &HeaderMap) -> Option<Authority> {
    let by_standard = forwarded(headers, "host").and_then(|host| Authority::parse(&host));
    by_standard.or_else(|| last(headers, &FORWARDED_HOST).and_then(Authority::parse))
}

/// Returns the port of `X-Forwarded-Port`; `None` for 80 and 443. One of these is the usual port of the scheme, which
/// links leave out. The other is the port of an inner proxy, to which the proxy that terminates TLS connects.
fn said_port(headers: &HeaderMap) -> Option<u16> {
    last(headers, &FORWARDED_PORT).and_then(port).filter(|port| ![80, 443].contains(port))
}

/// Returns the prefix that a proxy removed from the path, without its final slash. Returns `None` if it is missing or
/// too long, or if a segment is `.`, `..` or empty, or has an unsafe character, such as an encoded slash.
fn said_prefix(headers: &HeaderMap) -> Option<&str> {
    let said = last(headers, &FORWARDED_PREFIX)?;
    let path = said.strip_suffix('/').unwrap_or(said);
    (path.len() <= LONGEST_PREFIX && path.strip_prefix('/')?.split('/').all(is_segment)).then_some(path)
}

fn is_segment(segment: &str) -> bool {
    let mut escapes = segment.split('%');
    let is_plain =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&()*+=".contains(&byte));
    let is_escape = |text: &str| {
        let (digits, rest) = text.split_at_checked(2)?;
        // `from_str_radix` also accepts a sign, which no escape has.
        let byte = u8::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))?;
        (byte >= b' ' && !b"./\\\x7f".contains(&byte) && is_plain(rest)).then_some(())
    };
    !matches!(segment, "" | "." | "..")
        && escapes.next().is_none_or(is_plain)
        && escapes.all(|text| is_escape(text).is_some())
}

impl Authority {
    /// Parses a host with an optional port; `None` if the port is invalid, or the host is empty, too long, or has a
    /// character that no host name has.
    fn parse(text: &str) -> Option<Self> {
        // Colons in brackets belong to the address (RFC 3986, section 3.2.2), so the port is looked for after the
        // brackets.
        let bracket = text.rfind(']').map_or(0, |at| at + 1);
        let (host, after) = text.split_at(text[bracket..].find(':').map_or(text.len(), |at| bracket + at));
        let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) => address.parse::<Ipv6Addr>().is_ok(),
            None => host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)),
        };
        if !is_host || host.is_empty() || host.len() > LONGEST_HOST {
            return None;
        }
        let port = match after {
            // An empty port is the usual one of the scheme (RFC 3986, section 3.2.3), so it counts as missing.
            "" | ":" => None,
            _ => Some(port(&after[1..])?),
        };
        Some(Self { host: host.to_ascii_lowercase(), port })
    }
}

fn port(text: &str) -> Option<u16> {
    // `parse` also accepts a sign, which no port has.
    text.parse().ok().filter(|port| *port > 0 && text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Returns the last value of a header that lists values; `None` if the header is missing or isn't text. The nearest
/// proxy wrote this value, because each proxy appends its own.
fn last<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let line = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    line.rsplit(',').next().map(str::trim)
}

/// Returns a parameter of the last element of `Forwarded` (RFC 7239, section 4); `None` if the element has the
/// parameter twice or not at all.
fn forwarded(headers: &HeaderMap, wanted: &str) -> Option<String> {
    let line = headers.get_all(FORWARDED).iter().next_back()?.to_str().ok()?;
    let nearest = unquoted_parts(line, b',').pop()?;
    let pairs = unquoted_parts(nearest, b';').into_iter().filter_map(|pair| pair.split_once('='));
    let mut values = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim());
    // No parameter may occur twice (RFC 7239, section 4): either value could be meant, so both are ignored. Test:
    // `forwarded_is_read_as_its_standard_says`.
    let (value, None) = (values.next()?, values.next()) else { return None };
    let Some(quoted) = value.strip_prefix('"') else { return Some(value.to_owned()) };
    // Escapes are not decoded: no host and no scheme has a backslash.
    quoted.strip_suffix('"').map(str::to_owned)
}

/// Splits a header's value at the separators that aren't in a quoted string.
fn unquoted_parts(text: &str, separator: u8) -> Vec<&str> {
    let (mut parts, mut start) = (Vec::new(), 0);
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_quoted,
            b'"' => is_quoted = !is_quoted,
            _ if byte == separator && !is_quoted => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn the_scheme_of_the_nearest_proxy_counts() {
        for (lines, scheme) in [
            (&["https"][..], Some("https")),
            (&["HTTP"], Some("http")),
            (&["https, http"], Some("http")),
            (&["http,https "], Some("https")),
            (&["https", "http"], Some("http")),
            (&["https", "ftp"], None),
            (&[""], None),
            (&[], None),
        ] {
            let fields: Vec<_> = lines.iter().map(|line| ("x-forwarded-proto", *line)).collect();
            assert_eq!(said_scheme(&headers(&fields)), scheme, "{lines:?}");
        }
        let both = headers(&[("x-forwarded-proto", "http"), ("forwarded", "proto=http, for=a;Proto=\"https\"")]);
        assert_eq!(said_scheme(&both), Some("https"));
    }

    #[test]
    fn forwarded_is_read_as_its_standard_says() {
        for (line, host) in [
            ("host=a.example", Some("a.example")),
            ("for=\"[2001:db8::1]:4711\"; Host = \"a.example:81\"", Some("a.example:81")),
            ("host=evil.example, for=b;host=a.example", Some("a.example")),
            ("for=\"x, host=evil.example\";host=a.example", Some("a.example")),
            ("for=\"x\\\";host=evil.example\"", None),
            ("host=evil.example, for=b", None),
            ("host=a.example;host=b.example", None),
            ("host=\"a.example", None),
            ("host", None),
            ("", None),
        ] {
            assert_eq!(forwarded(&headers(&[("forwarded", line)]), "host").as_deref(), host, "{line}");
        }
    }

    /// Row: A13
    #[test]
    fn links_begin_with_a_configured_host_or_are_relative() {
        let hosts = ["api.example.com".to_owned(), "[::1]".to_owned()];
        let own = |authority| {
            let request = RequestAddress { scheme: "https", authority, of_proxy: None, vouched: false };
            PublicAddress::of_request(request, &hosts)
        };
        for (authority, start) in [
            (Some("api.example.com"), "https://api.example.com"),
            (Some("API.example.com:8443"), "https://api.example.com:8443"),
            (Some("api.example.com:443"), "https://api.example.com"),
            (Some("[::1]:8080"), "https://[::1]:8080"),
            (Some("[::1]"), "https://[::1]"),
            (Some("evil.example"), ""),
            (Some("api.example.com:80@evil.example"), ""),
            (Some("api.example.com:80/x"), ""),
            (Some("api.example.com.evil.example"), ""),
            (None, ""),
        ] {
            assert_eq!(own(authority).as_str(), start, "{authority:?}");
            assert_eq!(own(authority).has_host(), !start.is_empty());
        }
        let said = headers(&[("x-forwarded-prefix", "/shop/")]);
        let request = RequestAddress { scheme: "http", authority: None, of_proxy: Some(&said), vouched: false };
        let prefixed = PublicAddress::of_request(request, &hosts);
        assert_eq!((prefixed.as_str(), prefixed.has_host()), ("/shop", false));
        for (url, start) in [
            ("https://[2001:db8::1]:8443/b[0]", "https://[2001:db8::1]:8443/b%5B0%5D"),
            ("https://x.example/", "https://x.example"),
        ] {
            assert_eq!(PublicAddress::configured(url).as_str(), start);
        }
    }

    /// Whatever a proxy writes, the address is visible ASCII: a scheme, the host that the proxy named, and a path.
    ///
    /// Row: A13
    #[test]
    fn proxy_headers_never_make_an_address_with_an_unnamed_host() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let pieces: Vec<&str> =
            "a b.example / // .. : 8 443 @ [ ] ::1 %2e %2F %5c \\ ? # \" ; , < > é".split(' ').collect();
        let mut absolute = 0;
        for _ in 0..20_000 {
            let mut text = || -> String {
                let count = random() % 5;
                (0..count).map(|_| pieces[usize::try_from(random()).unwrap_or(0) % pieces.len()]).collect()
            };
            let (host, port, prefix) = (text(), text(), format!("/{}", text()));
            let mut said = HeaderMap::new();
            for (name, value) in [(FORWARDED_HOST, &host), (FORWARDED_PORT, &port), (FORWARDED_PREFIX, &prefix)] {
                said.insert(name, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
            let request = RequestAddress { scheme: "http", authority: None, of_proxy: Some(&said), vouched: false };
            let address = PublicAddress::of_request(request, &[]);
            let start = address.as_str();
            let is_visible = |byte: u8| byte.is_ascii_graphic() && !b"<>\"\\;,?#@".contains(&byte);
            assert!(start.bytes().all(is_visible), "{start:?}");
            let uri: http::Uri = format!("{start}/x").parse().unwrap();
            let nearest = host.rsplit(',').next().unwrap_or_default();
            if let Some(authority) = uri.authority() {
                absolute += 1;
                assert!(authority.as_str().starts_with(nearest.trim_end_matches(':')), "{start:?} {host:?}");
            }
            let path = uri.path().strip_suffix("/x").unwrap();
            let is_dots = |segment: &str| matches!(segment, "." | "..");
            assert!(!path.contains("//") && !path.ends_with('/') && !path.split('/').any(is_dots), "{start:?}");
        }
        assert!(absolute > 1_000, "{absolute}");
    }
}
