//! Which headers of a client's request go upstream with a list request, and what the gateway adds to them.
//!
//! All end-to-end headers go, except those that would make the answer something else than the whole list as it is
//! (`Range`, `If-*`, `Accept-Encoding`, `Expect`, method overrides), those that speak of a body (`Content-*`: lists are
//! asked for by GET), and `Host`, which the upstream's settings decide. Names are compared with `_` read as `-`, because
//! CGI-like servers hand both to the application under one name.

use std::{borrow::Cow, net::IpAddr};

use http::{
    HeaderMap, HeaderName, HeaderValue, Version,
    header::{ACCEPT_ENCODING, CONNECTION, VIA},
};
use thiserror::Error;

/// What the gateway is called in `Via` (RFC 9110 section 7.6.3).
const PSEUDONYM: &str = "cursorgate";

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
const WITHHELD: [&str; 7] =
    ["accept-encoding", "expect", "host", "range", "x-http-method", "x-http-method-override", "x-method-override"];

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// How a client reached the gateway.
#[derive(Clone, Copy, Debug)]
pub struct ClientOrigin<'a> {
    /// The address of the connection's other end.
    pub address: IpAddr,
    /// Whether it is one of the trusted proxies: then its `X-Forwarded-*` are kept and added to.
    pub trusted: bool,
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

/// The headers of a list request to the upstream, `Host` aside. `protected` are the principal's headers and those that
/// cursors are bound to; `dialect` is [`Ask::headers`](super::Ask::headers), which replace the client's.
///
/// # Errors
/// Where `Connection` would take a header away that decides whose view the answer is, or where it came from.
pub fn request_headers(
    client: &HeaderMap,
    origin: ClientOrigin<'_>,
    protected: &[HeaderName],
    dialect: &[(HeaderName, HeaderValue)],
) -> Result<HeaderMap, HeaderRefusal> {
    let nominated = nominations(client, protected)?;
    let mut headers = HeaderMap::with_capacity(client.len() + 6);
    for (name, value) in client {
        let folded = fold(name.as_str());
        let dropped = is_hop_by_hop(&folded)
            || is_withheld(&folded)
            || (is_forwarding(&folded) && !origin.trusted)
            || nominated.iter().any(|name| *name == folded);
        if !dropped {
            headers.append(name, value.clone());
        }
    }
    add_forwarding(&mut headers, origin);
    headers.append(VIA, via(origin.version));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    for (name, value) in dialect {
        headers.insert(name, value.clone());
    }
    Ok(headers)
}

/// What says where a request came from that is forwarded as it is: the names of the client's own headers about it that
/// are not believed, and the headers to set.
#[must_use]
pub fn provenance(client: &HeaderMap, origin: ClientOrigin<'_>) -> (Vec<HeaderName>, HeaderMap) {
    let claims = client.keys().filter(|name| is_forwarding(&fold(name.as_str())));
    let untrusted: Vec<HeaderName> = claims.filter(|_| !origin.trusted).cloned().collect();
    let mut headers = HeaderMap::with_capacity(4);
    if origin.trusted {
        for name in [FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PROTO] {
            for value in client.get_all(&name) {
                headers.append(&name, value.clone());
            }
        }
    }
    add_forwarding(&mut headers, origin);
    let earlier = client.get_all(VIA).iter().filter_map(|value| value.to_str().ok());
    let chain: Vec<&str> = earlier.collect();
    let own = via(origin.version);
    let line = own.to_str().map(|own| [chain.as_slice(), &[own]].concat().join(", "));
    headers.insert(VIA, line.ok().and_then(|line| HeaderValue::from_str(&line).ok()).unwrap_or(own));
    (untrusted, headers)
}

/// Whether the gateway alone decides what a header says, so that no dialect may set it.
pub(super) fn is_ours(name: &HeaderName) -> bool {
    let folded = fold(name.as_str());
    let body = folded == "content-length";
    is_hop_by_hop(&folded) || is_forwarding(&folded) || body || ["accept-encoding", "host", "via"].contains(&&*folded)
}

/// The names that `Connection` nominates, lower case and folded.
fn nominations(client: &HeaderMap, protected: &[HeaderName]) -> Result<Vec<String>, HeaderRefusal> {
    let mut nominated = Vec::new();
    for field in client.get_all(CONNECTION) {
        let text = field.to_str().map_err(|_| HeaderRefusal::Connection)?;
        for option in text.split(',').map(str::trim).filter(|option| !option.is_empty()) {
            let name = HeaderName::from_bytes(option.as_bytes()).map_err(|_| HeaderRefusal::Connection)?;
            let folded = fold(name.as_str()).into_owned();
            let named = ["authorization", "cookie", "host", "via"].contains(&folded.as_str());
            if named || is_forwarding(&folded) || protected.iter().any(|name| fold(name.as_str()) == folded) {
                return Err(HeaderRefusal::Nominated(name.to_string()));
            }
            nominated.push(folded);
        }
    }
    Ok(nominated)
}

/// Adds where the request came from: to what a trusted proxy said, else instead of it.
fn add_forwarding(headers: &mut HeaderMap, origin: ClientOrigin<'_>) {
    let address = origin.address.to_canonical().to_string();
    let earlier: Vec<&str> = headers.get_all(&FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok()).collect();
    let chain = if earlier.is_empty() { address } else { format!("{}, {address}", earlier.join(", ")) };
    let said = [
        (FORWARDED_FOR, Some(chain.as_str())),
        (FORWARDED_HOST, origin.host.filter(|_| !headers.contains_key(&FORWARDED_HOST))),
        (FORWARDED_PROTO, Some(origin.scheme).filter(|_| !headers.contains_key(&FORWARDED_PROTO))),
    ]
    .map(|(name, text)| (name, text.and_then(|text| HeaderValue::from_str(text).ok())));
    for (name, value) in said {
        if let Some(value) = value {
            headers.insert(name, value);
        }
    }
}

fn via(version: Version) -> HeaderValue {
    let protocol = match version {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    };
    HeaderValue::from_str(&format!("{protocol} {PSEUDONYM}")).unwrap_or_else(|_| HeaderValue::from_static(PSEUDONYM))
}

fn fold(name: &str) -> Cow<'_, str> {
    if name.contains('_') { Cow::Owned(name.replace('_', "-")) } else { Cow::Borrowed(name) }
}

fn is_hop_by_hop(folded: &str) -> bool {
    HOP_BY_HOP.contains(&folded)
}

fn is_withheld(folded: &str) -> bool {
    folded.starts_with("if-") || folded.starts_with("content-") || WITHHELD.contains(&folded)
}

/// What says where a request came from; believed of trusted proxies alone.
fn is_forwarding(folded: &str) -> bool {
    folded.starts_with("x-forwarded-") || folded == "forwarded" || folded == "x-real-ip"
}

#[cfg(test)]
mod tests;
