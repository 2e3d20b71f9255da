//! Requests for lists, detached from their session, so that the client can be watched while the page is made.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Instant,
};

use http::{HeaderMap, Version};
use pingora::{protocols::http::ServerSession, protocols::l4::socket::SocketAddr};

use crate::{
    downstream::{LinkBase, RequestBody},
    gateway::{lifecycle::snapshot::Snapshot, request::target::RequestTarget, routes::route::Route},
    upstream::{ClientOrigin, request::headers},
};

/// A request and its client.
#[derive(Debug)]
pub(crate) struct ClientRequest {
    pub target: RequestTarget,
    /// The parameters of the route's path, percent-encoded.
    pub parameters: Vec<(String, String)>,
    pub headers: HeaderMap,
    /// The body of a request by POST.
    pub body: Option<RequestBody>,
    pub client: Client,
    /// The time of the request, in seconds since 1970.
    pub now: u64,
    pub began: Instant,
}

/// The client of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client {
    /// The address of the other end of the connection.
    pub address: IpAddr,
    /// `http` or `https`, as the client sees it.
    pub scheme: &'static str,
    pub version: Version,
}

impl Client {
    /// Identifies the client of a session. Headers about the request's origin are removed unless a trusted proxy wrote
    /// them, so that later code can rely on those that remain.
    #[must_use]
    pub(crate) fn of(session: &mut ServerSession, snapshot: &Snapshot) -> Self {
        let address = match session.client_addr() {
            Some(SocketAddr::Inet(address)) => address.ip(),
            // All listeners are TCP.
            _ => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        };
        let server = &snapshot.server;
        let headers = &session.req_header().headers;
        for name in headers::unvouched(headers, &server.forwarded_headers, snapshot.trusts(address)) {
            session.req_header_mut().remove_header(&name);
        }
        let encrypted = session.digest().is_some_and(|digest| digest.ssl_digest.is_some());
        let head = session.req_header();
        let own = if encrypted { "https" } else { "http" };
        let scheme = forwarded_scheme(&head.headers).unwrap_or(own);
        Self { address, scheme, version: head.version }
    }

    /// Returns the origin of the request for the headers of upstream requests.
    #[must_use]
    pub(crate) fn origin<'a>(&self, target: &'a RequestTarget) -> ClientOrigin<'a> {
        ClientOrigin {
            address: self.address,
            host: target.authority.as_deref(),
            scheme: self.scheme,
            version: self.version,
        }
    }
}

/// Returns the scheme that the nearest proxy was asked by: the last value, because each proxy appends its own.
fn forwarded_scheme(headers: &HeaderMap) -> Option<&'static str> {
    let last = headers.get_all("x-forwarded-proto").iter().next_back()?;
    let nearest = last.to_str().ok()?.rsplit(',').next()?.trim();
    ["https", "http"].into_iter().find(|scheme| scheme.eq_ignore_ascii_case(nearest))
}

impl ClientRequest {
    /// Returns the query as it came.
    #[must_use]
    pub(crate) fn query(&self) -> Option<&str> {
        self.target.query.as_deref()
    }

    /// Returns the prefix of the links of the answer.
    #[must_use]
    pub(crate) fn link_base(&self, route: &Route, snapshot: &Snapshot) -> LinkBase {
        let public = route.public_url.as_deref().or(snapshot.server.public_url.as_deref());
        let authority = self.target.authority.as_deref();
        LinkBase::new(public, self.client.scheme, authority, &route.hosts, &self.target.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_schemes_the_nearest_proxys_counts() {
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
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("x-forwarded-proto", line.parse().unwrap());
            }
            assert_eq!(forwarded_scheme(&headers), scheme, "{lines:?}");
        }
    }
}
