//! Which headers of a client's request go upstream with a list request, and what the gateway adds to them.
//!
//! All end-to-end headers go, except those that would make the answer something else than the whole list as it is
//! (`Range`, `If-*`, `Accept`, `Accept-Encoding`, `Expect`, and what makes another request of it), those
//! that speak of a body (`Content-*`: a body that is sent is the gateway's own), and `Host`, which the upstream's settings decide. Names
//! are compared with `_` read as `-`, because CGI-like servers hand both to the application under one name; for the same
//! reason no client's header passes that is such a twin of one that the gateway answers for.

use std::{borrow::Cow, net::IpAddr, time::UNIX_EPOCH};

use http::{
    HeaderMap, HeaderName, HeaderValue, Version,
    header::{
        ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, RETRY_AFTER, TRANSFER_ENCODING, VIA,
        WWW_AUTHENTICATE,
    },
};
use thiserror::Error;

use crate::json::write::push_number;

/// Hop-by-hop by definition, nominated or not (RFC 9110 section 7.6.1, and what was before it).
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

/// End-to-end, and not for the upstream of a list. `content-` and `if-` are left out as prefixes.
const WITHHELD: [&str; 4] = ["accept-encoding", "expect", "host", "range"];

/// What makes some servers answer by another method than that of the request.
const METHOD_OVERRIDES: [&str; 3] = ["x-http-method", "x-http-method-override", "x-method-override"];

/// What makes some servers answer for another path (Symfony before CVE-2018-14773, Zend, rewriting of IIS), or ask others
/// by way of another proxy (CVE-2016-5385). No client of a gateway has a use for it.
const PATH_OVERRIDES: [&str; 6] =
    ["proxy", "x-original-uri", "x-original-url", "x-override-url", "x-rewrite-uri", "x-rewrite-url"];

/// Schemes that authenticate the connection instead of the request (RFC 4559 section 6).
const OF_THE_CONNECTION: [&str; 3] = ["kerberos", "negotiate", "ntlm"];

/// What the gateway is called in `Via`.
const NAME: &str = "cursorgate";

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// How a client reached the gateway.
#[derive(Clone, Copy, Debug)]
pub struct ClientOrigin<'a> {
    /// The address of the connection's other end.
    pub address: IpAddr,
    /// The request's authority: `Host`, or HTTP/2's `:authority`.
    pub host: Option<&'a str>,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// The protocol that the request came by.
    pub version: Version,
}

/// Why a request's headers are refused: 400 `request_invalid`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HeaderRefusal {
    /// `Connection` nominates a header that the upstream must see as the gateway saw it.
    #[error("Connection can't nominate {0}")]
    Nominated(String),
    /// `Connection` is no list of tokens.
    #[error("Connection is no list of header names")]
    Connection,
}

/// The headers of a list request to the upstream, first of them `Host`, which says `host`. `protected` are the principal's headers and those that
/// cursors are bound to; `dialect` is [`Ask::headers`](super::Ask::headers), which replace the client's, and `added` what
/// the operator adds to every request, which replaces both.
///
/// # Errors
/// Where `Connection` would take a header away that decides whose view the answer is, or where it came from.
pub fn request_headers(
    host: HeaderValue,
    client: &HeaderMap,
    origin: ClientOrigin<'_>,
    protected: &[HeaderName],
    dialect: &[(HeaderName, HeaderValue)],
    added: &[(HeaderName, HeaderValue)],
) -> Result<HeaderMap, HeaderRefusal> {
    let nominated = nominations(client, &[protected])?;
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
    headers.append(VIA, via(origin.version));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    // The gateway makes the client's answer itself. Where the type decides which list it is, cursors are bound to it.
    if !(protected.contains(&ACCEPT) && accepts_json(&headers)) {
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    }
    for (name, value) in set {
        headers.insert(name, value.clone());
    }
    Ok(headers)
}

/// The names of a client's headers that say where the request came from without anybody to vouch for it: all of them of
/// a stranger's, and of a trusted proxy's those that it is not known to write (`vouched`), for it passes on what the client
/// wrote there. Names with `_` are nobody's: proxies write hyphens.
///
/// These are taken from a request before anything else reads it, so that whatever is left of them is believed.
#[must_use]
pub fn unvouched(client: &HeaderMap, vouched: &[HeaderName], trusted: bool) -> Vec<HeaderName> {
    let is_unvouched = |name: &&HeaderName| {
        let folded = fold(name.as_str());
        let says_origin = is_forwarding(&folded) || vouched.iter().any(|known| fold(known.as_str()) == folded);
        says_origin && !(trusted && vouched.contains(name))
    };
    client.keys().filter(is_unvouched).cloned().collect()
}

/// What a request says of where it came from that is forwarded as it is: the names of the client's own headers that do
/// not go on, because they are twins of those that the gateway or the operator (`added`) sets, and the headers to set.
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
    let earlier = client.get_all(VIA).iter().filter_map(|value| value.to_str().ok());
    let chain: Vec<&str> = earlier.collect();
    let own = via(origin.version);
    let line = own.to_str().map(|own| [chain.as_slice(), &[own]].concat().join(", "));
    headers.insert(VIA, line.ok().and_then(|line| HeaderValue::from_str(&line).ok()).unwrap_or(own));
    (dropped, headers)
}

/// The longest time after which an upstream may have clients come back, in seconds.
const LONGEST_RETRY: u64 = 24 * 60 * 60;

/// Leaves of `Retry-After` what says when to come back (RFC 9110 section 10.2.3): a number of seconds or a date, at most a
/// day ahead of `now`, which is in seconds since 1970. What is later is a day, and what is neither goes.
pub fn bound_retry_after(answer: &mut HeaderMap, now: u64) {
    let Some(said) = answer.get(RETRY_AFTER) else { return };
    let text = said.to_str().unwrap_or_default().trim();
    let seconds = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        Some(text.parse().unwrap_or(u64::MAX))
    } else {
        let date = httpdate::parse_http_date(text).ok();
        let date = date.and_then(|date| date.duration_since(UNIX_EPOCH).ok());
        date.map(|date| date.as_secs().saturating_sub(now))
    };
    match seconds {
        Some(seconds) if seconds <= LONGEST_RETRY && answer.get_all(RETRY_AFTER).iter().count() == 1 => {}
        Some(seconds) => {
            answer.insert(RETRY_AFTER, seconds.min(LONGEST_RETRY).into());
        }
        None => {
            answer.remove(RETRY_AFTER);
        }
    }
}

/// Whether the gateway alone decides what a header says, so that no dialect may set it.
pub(crate) fn is_ours(name: &HeaderName) -> bool {
    let folded = fold(name.as_str());
    let body = folded == "content-length";
    is_hop_by_hop(&folded) || is_forwarding(&folded) || body || ["accept-encoding", "host", "via"].contains(&&*folded)
}

/// The names of a client's headers that would make another request of it, in every spelling.
#[must_use]
pub fn overrides(client: &HeaderMap) -> Vec<HeaderName> {
    client.keys().filter(|name| is_override(&fold(name.as_str()))).cloned().collect()
}

/// The names of a client's headers that are between it and the gateway alone: about the connection, or nominated to be.
/// Not what says how long the body is, unless in a spelling that only some servers take for it.
#[must_use]
pub fn between_neighbours(client: &HeaderMap) -> Vec<HeaderName> {
    // Nominations that can't be read are refused before.
    let nominated = nominations(client, &[]).unwrap_or_default();
    let is_between = |name: &&HeaderName| {
        let folded = fold(name.as_str());
        let says_length = [CONTENT_LENGTH, TRANSFER_ENCODING].contains(name);
        !says_length
            && (is_hop_by_hop(&folded) || folded == "content-length" || nominated.iter().any(|name| *name == folded))
    };
    client.keys().filter(is_between).cloned().collect()
}

/// Those of them by which a request would lead to another path.
#[must_use]
pub fn path_overrides(client: &HeaderMap) -> Vec<HeaderName> {
    client.keys().filter(|name| PATH_OVERRIDES.contains(&&*fold(name.as_str()))).cloned().collect()
}

/// The methods that a client's headers stand for.
pub fn said_methods(client: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let overrides = client.iter().filter(|(name, _)| METHOD_OVERRIDES.contains(&&*fold(name.as_str())));
    overrides.map(|(_, value)| value.as_bytes())
}

/// The headers of an answer that are about the upstream's connection (RFC 9110 section 7.6.1); not those that say how long
/// its body is.
#[must_use]
pub fn of_connection(answer: &HeaderMap) -> Vec<HeaderName> {
    let connection = answer.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let nominated = connection.flat_map(|value| value.split(',')).filter_map(|name| name.trim().parse().ok());
    let known = HOP_BY_HOP.iter().map(|name| HeaderName::from_static(name));
    let is_about_body = |name: &HeaderName| [CONTENT_LENGTH, TRANSFER_ENCODING].contains(name);
    known.chain(nominated).filter(|name| answer.contains_key(name) && !is_about_body(name)).collect()
}

/// Whether the credentials of a request or the challenge of an answer are for the connection: whoever used that one next
/// would be the same user.
#[must_use]
pub fn authenticates_connection(headers: &HeaderMap) -> bool {
    let said = headers.get_all(AUTHORIZATION).iter().chain(headers.get_all(WWW_AUTHENTICATE));
    let schemes = said.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let mut schemes = schemes.filter_map(|part| part.trim_ascii().split(u8::is_ascii_whitespace).next());
    schemes.any(|scheme| OF_THE_CONNECTION.iter().any(|known| scheme.eq_ignore_ascii_case(known.as_bytes())))
}

/// The names that `Connection` nominates, lower case and folded.
///
/// # Errors
/// Where `Connection` would take a header away that decides whose view the answer is, or where it came from.
pub fn nominations(client: &HeaderMap, protected: &[&[HeaderName]]) -> Result<Vec<String>, HeaderRefusal> {
    let mut nominated = Vec::new();
    for field in client.get_all(CONNECTION) {
        let text = field.to_str().map_err(|_| HeaderRefusal::Connection)?;
        for option in text.split(',').map(str::trim).filter(|option| !option.is_empty()) {
            let name = HeaderName::from_bytes(option.as_bytes()).map_err(|_| HeaderRefusal::Connection)?;
            let folded = fold(name.as_str()).into_owned();
            let named = ["authorization", "cookie", "host", "via"].contains(&folded.as_str());
            let mut protected = protected.iter().flat_map(|names| names.iter());
            if named || is_forwarding(&folded) || protected.any(|name| fold(name.as_str()) == folded) {
                return Err(HeaderRefusal::Nominated(name.to_string()));
            }
            nominated.push(folded);
        }
    }
    Ok(nominated)
}

/// Adds where the request came from to what is believed of it: nothing else is among `headers` (see [`unvouched`]).
fn add_forwarding(headers: &mut HeaderMap, origin: ClientOrigin<'_>) {
    // Longer than any address.
    let mut chain = Vec::with_capacity(48);
    for earlier in headers.get_all(&FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok()) {
        chain.extend_from_slice(earlier.as_bytes());
        chain.extend_from_slice(b", ");
    }
    push_address(&mut chain, origin.address);
    if let Ok(chain) = HeaderValue::try_from(chain) {
        headers.insert(FORWARDED_FOR, chain);
    }
    if let Some(host) = origin.host.and_then(|host| HeaderValue::from_str(host).ok()) {
        headers.entry(FORWARDED_HOST).or_insert(host);
    }
    headers.entry(FORWARDED_PROTO).or_insert(HeaderValue::from_static(origin.scheme));
}

/// Appends an address; one of IPv4 as it is, even where it came in the form of IPv6.
fn push_address(out: &mut Vec<u8>, address: IpAddr) {
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

/// The protocol that a request came by, and what the gateway is called in `Via` (RFC 9110 section 7.6.3).
fn via(version: Version) -> HeaderValue {
    HeaderValue::from_static(match version {
        Version::HTTP_09 => "0.9 cursorgate",
        Version::HTTP_10 => "1.0 cursorgate",
        Version::HTTP_2 => "2 cursorgate",
        Version::HTTP_3 => "3 cursorgate",
        _ => "1.1 cursorgate",
    })
}

/// How often a request passed a gateway of this name before it reached this one, by its `Via`.
#[must_use]
pub fn passages(client: &HeaderMap) -> usize {
    let fields = client.get_all(VIA).iter().filter_map(|value| value.to_str().ok());
    let received_by = fields.flat_map(|field| field.split(',')).filter_map(|hop| hop.split_whitespace().nth(1));
    received_by.filter(|name| *name == NAME).count()
}

fn fold(name: &str) -> Cow<'_, str> {
    if name.contains('_') { Cow::Owned(name.replace('_', "-")) } else { Cow::Borrowed(name) }
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

/// Whether a header is one of those that the gateway answers for, spelt with `_`.
fn is_twin<'o>(name: &HeaderName, folded: &str, ours: impl Iterator<Item = &'o HeaderName> + Clone) -> bool {
    // A name without `_` is its own folded form.
    name.as_str() != folded
        && !ours.clone().any(|own| own == name)
        && ours.map(|own| fold(own.as_str())).any(|own| own == folded)
}

/// Whether a header is one of those, spelt with `_`, that say where a message ends, whom it is for, or how its connection
/// goes on.
fn reframes(name: &HeaderName, folded: &str) -> bool {
    name.as_str() != folded && (is_hop_by_hop(folded) || ["content-length", "host"].contains(&folded))
}

/// Whether a client names a media type of JSON: an upstream could answer any other with a page for people.
fn accepts_json(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut types = accepted.flat_map(|value| value.split(',')).filter_map(|range| range.split(';').next());
    types.any(|name| name.to_ascii_lowercase().contains("json"))
}

/// What says where a request came from, in the words of one proxy or another: servers behind them build links from it and
/// grant access by it.
fn is_forwarding(folded: &str) -> bool {
    const OTHERS: [&str; 16] = [
        "appengine-user-ip",
        "cf-connecting-ip",
        "cf-connecting-ipv6",
        "client-ip",
        "fastly-client-ip",
        "forwarded",
        "true-client-ip",
        "x-azure-clientip",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-envoy-external-address",
        "x-forwarded",
        "x-host",
        "x-original-forwarded-for",
        "x-original-host",
        "x-real-ip",
    ];
    folded.starts_with("x-forwarded-") || OTHERS.contains(&folded)
}

#[cfg(test)]
mod tests;
