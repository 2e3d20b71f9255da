//! A request for a list, freed of the session it came by, so that the client can be watched while it is answered.

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

/// What a client asked, and who it is.
#[derive(Debug)]
pub(crate) struct ClientRequest {
    /// What it asked for.
    pub target: RequestTarget,
    /// The parameters of the route's path, percent-encoded.
    pub parameters: Vec<(String, String)>,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, of a request by POST.
    pub body: Option<RequestBody>,
    /// Who it is.
    pub client: Client,
    /// The time, in seconds since 1970.
    pub now: u64,
    /// When the request began.
    pub began: Instant,
}

/// Who asks, by what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client {
    /// The other end of the connection.
    pub address: IpAddr,
    /// `http` or `https`, as the client sees it.
    pub scheme: &'static str,
    /// The protocol's version.
    pub version: Version,
}

impl Client {
    /// Who is at the other end of a session. What its request says of where it came from without anybody to vouch for it
    /// is taken from it: nothing later on need ask whom to believe.
    #[must_use]
    pub(crate) fn of(session: &mut ServerSession, snapshot: &Snapshot) -> Self {
        let address = match session.client_addr() {
            Some(SocketAddr::Inet(address)) => address.ip(),
            // Only TCP listeners are made.
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

    /// The same, for the headers that go upstream.
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

/// What the nearest proxy says that it was asked by: the last of all values, where each proxy adds its own.
fn forwarded_scheme(headers: &HeaderMap) -> Option<&'static str> {
    let last = headers.get_all("x-forwarded-proto").iter().next_back()?;
    let nearest = last.to_str().ok()?.rsplit(',').next()?.trim();
    ["https", "http"].into_iter().find(|scheme| scheme.eq_ignore_ascii_case(nearest))
}

impl ClientRequest {
    /// The query as it came.
    #[must_use]
    pub(crate) fn query(&self) -> Option<&str> {
        self.target.query.as_deref()
    }

    /// What the links of the answer begin with.
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
