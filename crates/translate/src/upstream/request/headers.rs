//! Headers of requests to upstreams: the client's headers that are forwarded, and the headers that the gateway adds.
//!
//! For lists, all end-to-end headers are forwarded, with these exceptions:
//! - headers that would change the list in the answer: `Range`, `If-*`, `Accept` unless cursors are bound to it,
//!   `Accept-Encoding`, `Expect`, and overrides of the method or path
//! - headers about a body, `Content-*`, because the gateway writes the body
//! - `Host`, which the upstream's settings decide
//!
//! Names are compared with `_` read as `-`, because CGI-like servers pass both to the application under one name. For
//! the same reason, a client's header isn't forwarded if it differs only by `_` from a header that the gateway sets.

use std::{borrow::Cow, net::IpAddr, time::UNIX_EPOCH};

use http::{
    HeaderMap, HeaderName, HeaderValue, Version,
    header::{
        ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, RETRY_AFTER, TRANSFER_ENCODING, VIA,
        WWW_AUTHENTICATE,
    },
};
use thiserror::Error;

use cursorgate_core::json::write::push_number;

/// Hop-by-hop headers, whether `Connection` nominates them or not (RFC 9110 section 7.6.1 and its predecessors).
const HOP_BY_HOP: [&str; 10] = [
    "connection",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// End-to-end headers that aren't forwarded for lists, in addition to those with the prefixes `content-` and `if-`.
const WITHHELD: [&str; 4] = ["accept-encoding", "expect", "host", "range"];

/// Headers that make some servers use a method other than the request's.
const METHOD_OVERRIDES: [&str; 3] = ["x-http-method", "x-http-method-override", "x-method-override"];

/// Headers that make some servers answer for another path (Symfony before CVE-2018-14773, Zend, IIS rewriting) or use
/// another proxy (CVE-2016-5385). Clients of a gateway don't need these headers.
const PATH_OVERRIDES: [&str; 6] =
    ["proxy", "x-original-uri", "x-original-url", "x-override-url", "x-rewrite-uri", "x-rewrite-url"];

/// Authentication schemes whose credentials apply to the connection instead of the request (RFC 4559 section 6).
const OF_THE_CONNECTION: [&str; 3] = ["kerberos", "negotiate", "ntlm"];

/// The header with a permit (`cursorgate_cursor::permit`). It is only for this gateway, so no upstream gets it.
pub const EXPLAIN: HeaderName = HeaderName::from_static("cursorgate-explain");

/// The name of the gateway in `Via`.
const NAME: &str = "cursorgate";

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The headers that state the origin of a request: the client's address, the host or the scheme, under the names that
/// proxies and CDNs use. Servers build links from them and grant access by them. The list is sorted.
const OF_ORIGIN: [&str; 81] = [
    "akamai-client-ip",
    "ali-cdn-real-ip",
    "ali-real-client-ip",
    "appengine-user-ip",
    "cdn-real-ip",
    "cdn-src-ip",
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    "cf-pseudo-ipv4",
    "cf-visitor",
    "client-ip",
    "cloudfront-forwarded-proto",
    "cloudfront-viewer-address",
    "cluster-client-ip",
    "disguised-host",
    "do-connecting-ip",
    "eo-client-ip",
    "eo-connecting-ip",
    "fastly-client-ip",
    "fastly-ssl",
    "fly-client-ip",
    "fly-forwarded-proto",
    "forwarded",
    "forwarded-for",
    "front-end-https",
    "http-client-ip",
    "http-x-forwarded-for",
    "incap-client-ip",
    "proxy-client-ip",
    "real-ip",
    "remote-addr",
    "remote-ip",
    "true-client-ip",
    "tx-client-ip",
    "wl-proxy-client-ip",
    "x-akamai-client-ip",
    "x-appengine-remote-addr",
    "x-appengine-user-ip",
    "x-appservice-proto",
    "x-azure-clientip",
    "x-azure-socketip",
    "x-cdn-src-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-envoy-external-address",
    "x-envoy-original-host",
    "x-forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-forwarded-scheme",
    "x-forwarded-server",
    "x-forwarded-ssl",
    "x-gt-viewer-ip",
    "x-host",
    "x-incap-client-ip",
    "x-middleton-ip",
    "x-ms-forwarded-client-ip",
    "x-nf-client-connection-ip",
    "x-original-for",
    "x-original-forwarded-for",
    "x-original-host",
    "x-original-proto",
    "x-original-remote-addr",
    "x-originating-ip",
    "x-proxyuser-ip",
    "x-qrator-ip-source",
    "x-real-client-ip",
    "x-real-ip",
    "x-realip",
    "x-remote-addr",
    "x-remote-ip",
    "x-scheme",
    "x-sp-forwarded-ip",
    "x-sucuri-clientip",
    "x-true-ip",
    "x-url-scheme",
    "x-vercel-forwarded-for",
    "x-vercel-proxied-for",
];

/// The first letters of the names in [`OF_ORIGIN`], as bits.
const FIRST_LETTERS: u32 = {
    let (mut letters, mut place) = (0, 0);
    while place < OF_ORIGIN.len() {
        letters |= bit_of(OF_ORIGIN[place].as_bytes()[0]);
        place += 1;
    }
    letters
};

/// Returns the bit of a small letter; 0 for any other byte.
const fn bit_of(byte: u8) -> u32 {
    if byte.is_ascii_lowercase() { 1 << (byte - b'a') } else { 0 }
}

/// Returns whether a header, in lower case, states the origin of a request. Such a header names no user.
#[must_use]
pub fn states_origin(name: &str) -> bool {
    // Most headers begin with another letter, so they aren't searched for.
    name.bytes().next().is_some_and(|first| FIRST_LETTERS & bit_of(first) != 0)
        && OF_ORIGIN.binary_search(&name).is_ok()
}

/// The origin of a client's request.
#[derive(Clone, Copy, Debug)]
pub struct ClientOrigin<'a> {
    /// The address of the other end of the connection.
    pub address: IpAddr,
    /// The authority of the request: `Host`, or HTTP/2's `:authority`; `None` if the request has neither.
    pub host: Option<&'a str>,
    /// The scheme of the request: `http` or `https`.
    pub scheme: &'static str,
    /// The protocol version of the request.
    pub version: Version,
}

/// The reasons why a request's headers are refused with 400 `request_invalid`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HeaderRefusal {
    /// `Connection` nominates a header that the upstream must see as the gateway saw it.
    #[error("Connection can't nominate {0}")]
    Nominated(String),
    /// `Connection` isn't a list of tokens.
    #[error("Connection is not a list of header names")]
    Connection,
}

/// Builds the headers of a request for a list, beginning with `Host`. `codings` is the value of `Accept-Encoding`.
/// `protected` are the headers of the principal and of cursor contexts. `dialect` is
/// [`UpstreamRequest::headers`](crate::upstream::UpstreamRequest::headers), which replace the client's headers. `added`
/// are the operator's headers, which replace those of the dialect and the client.
///
/// # Errors
/// Returns [`HeaderRefusal`] if `Connection` is malformed, or if it nominates a header of `protected` or of the
/// request's origin. Without that header, the upstream wouldn't see which principal the request is for or where it came
/// from.
pub fn request_headers(
    host: HeaderValue,
    codings: &HeaderValue,
    client: &HeaderMap,
    origin: ClientOrigin<'_>,
    protected: &[HeaderName],
    dialect: &[(HeaderName, HeaderValue)],
    added: &[(HeaderName, HeaderValue)],
) -> Result<HeaderMap, HeaderRefusal> {
    let nominated = nominations(client, &[protected])?;
    // CGI-like servers would mistake a client's `x_tenant_id` for `x-tenant-id`, so such headers are dropped. Test:
    // `client_headers_that_resemble_headers_of_the_gateway_are_dropped`.
    let set = dialect.iter().chain(added);
    let ours = [&ACCEPT, &VIA].into_iter().chain(protected).chain(set.clone().map(|(name, _)| name));
    let mut headers = HeaderMap::with_capacity(client.len() + dialect.len() + added.len() + 8);
    headers.insert(HOST, host);
    for (name, value) in client {
        let folded = fold(name.as_str());
        let dropped = is_hop_by_hop(&folded)
            || is_withheld(&folded)
            || is_twin(name, &folded, ours.clone())
            || nominated.iter().any(|name| *name == folded);
        if !dropped {
            headers.append(name, value.clone());
        }
    }
    add_forwarding(&mut headers, origin);
    // Proxies detect loops by their own names in `Via`, so the gateway adds its name. Test:
    // `via_is_appended_with_the_protocol_it_came_by`.
    headers.append(VIA, via(origin.version));
    headers.insert(ACCEPT_ENCODING, codings.clone());
    // The gateway writes the client's answer itself, so it asks for JSON. The client's `Accept` is kept only if cursors
    // are bound to it, because it then determines the list. Test: `lists_are_asked_for_as_json`.
    if !(protected.contains(&ACCEPT) && accepts_json(&headers)) {
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    }
    // In this order, the operator's headers replace those of the dialect. Test:
    // `headers_of_the_dialect_replace_those_of_the_client`.
    for (name, value) in set {
        headers.insert(name, value.clone());
    }
    Ok(headers)
}

/// Returns the names of headers that are removed from a request before any other code reads it. The remaining headers
/// about the origin are then reliable. The names are those of unvouched headers about the request's origin, and of the
/// header with a permit.
///
/// For an unknown client, no header about the origin is vouched for. For a trusted proxy, only the headers in `vouched`
/// are: the proxy writes these, and may forward others as the client sent them. `subject` is the header for the subject
/// of a client's certificate. Names with `_` aren't vouched for by the same name with `-`: with `x-forwarded-for` in
/// `vouched`, `x_forwarded_for` is removed.
#[must_use]
pub fn unvouched(
    client: &HeaderMap,
    subject: Option<&HeaderName>,
    vouched: &[HeaderName],
    trusted: bool,
) -> Vec<HeaderName> {
    let is_unvouched = |name: &&HeaderName| {
        let folded = fold(name.as_str());
        let mut known = vouched.iter().chain(subject);
        let is_of = |known: &HeaderName| known.as_str().len() == folded.len() && fold(known.as_str()) == folded;
        let says_origin = is_forwarding(&folded) || known.any(is_of);
        // `Host` belongs to every request, whether or not a proxy vouches for it, so it is never removed.
        let is_permit = folded == EXPLAIN.as_str();
        is_permit || says_origin && *name != HOST && !(trusted && vouched.contains(name))
    };
    client.keys().filter(is_unvouched).cloned().collect()
}

/// Returns the changes to the origin headers of a forwarded request. First, the names to remove: they differ only by
/// `_` from headers that the gateway or the operator (`added`) sets, or from headers that frame the message. Second,
/// the headers to set.
#[must_use]
pub fn provenance(
    client: &HeaderMap,
    origin: ClientOrigin<'_>,
    added: &[(HeaderName, HeaderValue)],
) -> (Vec<HeaderName>, HeaderMap) {
    let ours = std::iter::once(&VIA).chain(added.iter().map(|(name, _)| name));
    let is_false = |name: &&HeaderName| {
        let folded = fold(name.as_str());
        is_twin(name, &folded, ours.clone()) || reframes(name, &folded)
    };
    let dropped: Vec<HeaderName> = client.keys().filter(is_false).cloned().collect();
    let mut headers = HeaderMap::with_capacity(4);
    for name in [FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PROTO] {
        for value in client.get_all(&name) {
            headers.append(&name, value.clone());
        }
    }
    add_forwarding(&mut headers, origin);
    let own = via(origin.version);
    let mut chain: Vec<&[u8]> =
        client.get_all(VIA).iter().filter_map(|value| value.to_str().ok()).map(str::as_bytes).collect();
    let line = if chain.is_empty() {
        own
    } else {
        chain.push(own.as_bytes());
        HeaderValue::try_from(chain.join(&b", "[..])).unwrap_or(own)
    };
    headers.insert(VIA, line);
    (dropped, headers)
}

/// The longest time in a `Retry-After` that is forwarded, in seconds. A longer time becomes this one.
const LONGEST_RETRY: u64 = 24 * 60 * 60;

/// Limits `Retry-After` (RFC 9110 section 10.2.3) to a day after `now`, which is in seconds since 1970. A later time
/// becomes a day, and an invalid value is removed.
pub fn bound_retry_after(answer: &mut HeaderMap, now: u64) {
    if !answer.contains_key(RETRY_AFTER) {
        return;
    }
    match retry_after_seconds(answer, now) {
        // Only the first of several values has been read, so the other values aren't forwarded.
        Some(seconds) if seconds <= LONGEST_RETRY && answer.get_all(RETRY_AFTER).iter().count() == 1 => {}
        Some(seconds) => {
            answer.insert(RETRY_AFTER, seconds.min(LONGEST_RETRY).into());
        }
        None => {
            answer.remove(RETRY_AFTER);
        }
    }
}

/// Returns the seconds from `now`, in seconds since 1970, until the time of `Retry-After`; `None` without a valid
/// value.
#[must_use]
pub fn retry_after_seconds(answer: &HeaderMap, now: u64) -> Option<u64> {
    let text = answer.get(RETRY_AFTER)?.to_str().unwrap_or_default().trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number beyond 64 bits is later than every limit, so it counts as the largest. Test:
        // `retry_after_is_limited_to_a_day`.
        return Some(text.parse().unwrap_or(u64::MAX));
    }
    let date = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(date.as_secs().saturating_sub(now))
}

/// Returns whether only the gateway may set this header. Dialects can't set it.
pub fn is_ours(name: &HeaderName) -> bool {
    let folded = fold(name.as_str());
    let body = folded == "content-length";
    is_hop_by_hop(&folded) || is_forwarding(&folded) || body || ["accept-encoding", "host", "via"].contains(&&*folded)
}

/// Returns the names of a client's headers that would change the method or path of the request, in any spelling with
/// `_` or `-`.
#[must_use]
pub fn overrides(client: &HeaderMap) -> Vec<HeaderName> {
    client.keys().filter(|name| is_override(&fold(name.as_str()))).cloned().collect()
}

/// Returns the names of a client's hop-by-hop headers, both the standard ones and those that `Connection` nominates.
/// The headers that frame the body aren't included, except in spellings that only some servers accept.
#[must_use]
pub fn between_neighbours(client: &HeaderMap) -> Vec<HeaderName> {
    // Malformed nominations have already been refused, so the empty default is never needed.
    let nominated = nominations(client, &[]).unwrap_or_default();
    let is_between = |name: &&HeaderName| {
        let folded = fold(name.as_str());
        let says_length = [CONTENT_LENGTH, TRANSFER_ENCODING].contains(name);
        !says_length
            && (is_hop_by_hop(&folded) || folded == "content-length" || nominated.iter().any(|name| *name == folded))
    };
    client.keys().filter(is_between).cloned().collect()
}

/// Returns the names of a client's headers that override the path on some servers.
#[must_use]
pub fn path_overrides(client: &HeaderMap) -> Vec<HeaderName> {
    client.keys().filter(|name| PATH_OVERRIDES.contains(&&*fold(name.as_str()))).cloned().collect()
}

/// Returns the methods in a client's override headers.
pub fn said_methods(client: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let overrides = client.iter().filter(|(name, _)| METHOD_OVERRIDES.contains(&&*fold(name.as_str())));
    overrides.map(|(_, value)| value.as_bytes())
}

/// Returns the names of an answer's hop-by-hop headers (RFC 9110 section 7.6.1), except those that frame its body.
#[must_use]
pub fn of_connection(answer: &HeaderMap) -> Vec<HeaderName> {
    let lines = answer.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let nominated: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
    let is_nominated = |name: &str| nominated.iter().any(|word| word.eq_ignore_ascii_case(name));
    let is_between = |name: &&HeaderName| {
        let is_about_body = [CONTENT_LENGTH, TRANSFER_ENCODING].contains(name);
        !is_about_body && (is_hop_by_hop(name.as_str()) || is_nominated(name.as_str()))
    };
    answer.keys().filter(is_between).cloned().collect()
}

/// Returns whether the credentials of a request or the challenge of an answer apply to the whole connection. If they
/// do, all later requests on the connection would be made as the same user.
#[must_use]
pub fn authenticates_connection(headers: &HeaderMap) -> bool {
    let said = headers.get_all(AUTHORIZATION).iter().chain(headers.get_all(WWW_AUTHENTICATE));
    // A challenge may list several schemes, so each part is examined. Test:
    // `connection_based_authentication_is_distinguished_from_other_credentials`.
    let schemes = said.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let mut schemes = schemes.filter_map(|part| part.trim_ascii().split(u8::is_ascii_whitespace).next());
    schemes.any(|scheme| OF_THE_CONNECTION.iter().any(|known| scheme.eq_ignore_ascii_case(known.as_bytes())))
}

/// Returns the names that `Connection` nominates, in lower case and with `_` as `-`.
///
/// # Errors
/// Returns [`HeaderRefusal`] if `Connection` is malformed, or if it nominates credentials, `Host`, `Via`, a header
/// about the request's origin, or a header in `protected`.
pub fn nominations(client: &HeaderMap, protected: &[&[HeaderName]]) -> Result<Vec<String>, HeaderRefusal> {
    let mut nominated = Vec::new();
    for field in client.get_all(CONNECTION) {
        let text = field.to_str().map_err(|_| HeaderRefusal::Connection)?;
        for option in text.split(',').map(str::trim).filter(|option| !option.is_empty()) {
            let name = HeaderName::from_bytes(option.as_bytes()).map_err(|_| HeaderRefusal::Connection)?;
            let folded = fold(name.as_str()).into_owned();
            let named = ["authorization", "cookie", "host", "via"].contains(&folded.as_str());
            let mut protected = protected.iter().flat_map(|names| names.iter());
            // The upstream must see these headers as the gateway saw them. Test:
            // `headers_of_principal_and_origin_cant_be_nominated`.
            if named || is_forwarding(&folded) || protected.any(|name| fold(name.as_str()) == folded) {
                return Err(HeaderRefusal::Nominated(name.to_string()));
            }
            nominated.push(folded);
        }
    }
    Ok(nominated)
}

/// Appends the client's origin to the headers that trusted proxies wrote. Other origin headers have already been
/// removed (see [`unvouched`]).
fn add_forwarding(headers: &mut HeaderMap, origin: ClientOrigin<'_>) {
    // 48 bytes suffice for any address.
    let mut chain = Vec::with_capacity(48);
    for earlier in headers.get_all(&FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok()) {
        chain.extend_from_slice(earlier.as_bytes());
        chain.extend_from_slice(b", ");
    }
    // A client of a Unix socket has no address, so none is appended. Test: `a_client_without_an_address_adds_none`.
    if origin.address.is_unspecified() {
        chain.truncate(chain.len().saturating_sub(2));
    } else {
        push_address(&mut chain, origin.address);
    }
    if chain.is_empty() {
        headers.remove(&FORWARDED_FOR);
    } else if let Ok(chain) = HeaderValue::try_from(chain) {
        headers.insert(FORWARDED_FOR, chain);
    }
    // The values of a trusted proxy are kept, because the proxy has seen the client's host and scheme. Test:
    // `the_origin_is_appended_to_that_of_a_trusted_proxy`.
    if let Some(host) = origin.host.and_then(|host| HeaderValue::from_str(host).ok()) {
        headers.entry(FORWARDED_HOST).or_insert(host);
    }
    headers.entry(FORWARDED_PROTO).or_insert(HeaderValue::from_static(origin.scheme));
}

/// Appends an address. An IPv4 address in the form of IPv6 is written as IPv4.
fn push_address(out: &mut Vec<u8>, address: IpAddr) {
    // An upstream that compares addresses expects `127.0.0.1`, not `::ffff:127.0.0.1`, so the IPv4 form is written.
    // Test: `addresses_are_written_in_their_shortest_form`.
    match address.to_canonical() {
        IpAddr::V4(address) => {
            for (index, octet) in address.octets().into_iter().enumerate() {
                out.extend_from_slice(if index == 0 { b"" } else { b"." });
                push_number(out, octet.into());
            }
        }
        IpAddr::V6(address) => out.extend_from_slice(address.to_string().as_bytes()),
    }
}

/// Returns the entry for `Via`: the protocol version of a request and the gateway's name (RFC 9110 section 7.6.3).
fn via(version: Version) -> HeaderValue {
    HeaderValue::from_static(match version {
        Version::HTTP_09 => "0.9 cursorgate",
        Version::HTTP_10 => "1.0 cursorgate",
        Version::HTTP_2 => "2 cursorgate",
        Version::HTTP_3 => "3 cursorgate",
        _ => "1.1 cursorgate",
    })
}

/// Returns the number of cursorgate gateways that a request has passed, according to its `Via`. A limit on this number
/// ends loops.
#[must_use]
pub fn passages(client: &HeaderMap) -> usize {
    let fields = client.get_all(VIA).iter().filter_map(|value| value.to_str().ok());
    let received_by = fields.flat_map(|field| field.split(',')).filter_map(|hop| hop.split_whitespace().nth(1));
    // Gateways are counted by name, so replicas that forward to each other are also a loop. Test:
    // `a_request_in_a_loop_of_gateways_is_cut_off`.
    received_by.filter(|name| *name == NAME).count()
}

/// Returns a name with `_` replaced by `-`, because CGI-like servers pass both to the application under one name.
fn fold(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte == b'_') { Cow::Owned(name.replace('_', "-")) } else { Cow::Borrowed(name) }
}

fn is_hop_by_hop(folded: &str) -> bool {
    HOP_BY_HOP.contains(&folded)
}

fn is_withheld(folded: &str) -> bool {
    let by_prefix = folded.starts_with("if-") || folded.starts_with("content-");
    by_prefix || WITHHELD.contains(&folded) || is_override(folded)
}

fn is_override(folded: &str) -> bool {
    METHOD_OVERRIDES.contains(&folded) || PATH_OVERRIDES.contains(&folded)
}

/// Returns whether a header differs only by `_` from a header that the gateway sets.
fn is_twin<'o>(name: &HeaderName, folded: &str, ours: impl Iterator<Item = &'o HeaderName> + Clone) -> bool {
    // A name without `_` is its own folded form, so it isn't a twin.
    name.as_str() != folded
        // A header that the gateway sets may have `_` in its own name, and isn't a twin then. Test:
        // `client_headers_that_resemble_headers_of_the_gateway_are_dropped`.
        && !ours.clone().any(|own| own == name)
        && ours.map(|own| fold(own.as_str())).any(|own| own == folded)
}

/// Returns whether a header differs only by `_` from a header that frames a message, names its host or controls its
/// connection.
fn reframes(name: &HeaderName, folded: &str) -> bool {
    name.as_str() != folded && (is_hop_by_hop(folded) || ["content-length", "host"].contains(&folded))
}

/// Returns whether a client accepts a JSON media type. For other types, an upstream could answer with a page for
/// people.
fn accepts_json(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    // A parameter doesn't name a media type, as in `text/html;profile=json`, so it is cut off. Test:
    // `lists_are_asked_for_as_json`.
    let mut types = accepted.flat_map(|value| value.split(',')).filter_map(|range| range.split(';').next());
    types.any(|name| name.to_ascii_lowercase().contains("json"))
}

/// Returns whether a header might state the origin of a request.
fn is_forwarding(folded: &str) -> bool {
    folded.starts_with("x-forwarded-") || states_origin(folded)
}

#[cfg(test)]
mod tests;
