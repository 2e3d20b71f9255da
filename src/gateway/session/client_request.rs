//! Requests for lists, detached from their session, so that the client can be watched while the page is made.

use std::{net::IpAddr, sync::Arc, time::Instant};

use http::{HeaderMap, HeaderName, HeaderValue, Version, header::HOST};
use pingora::{protocols::http::ServerSession, protocols::l4::socket::SocketAddr};

use crate::{
    config::settings::{ServerSettings, UNIX_CLIENT},
    downstream::{LinkBase, PublicAddress, RequestAddress, RequestBody, request::public_address::said_scheme},
    gateway::{
        lifecycle::snapshot::Snapshot, outcome::trace::RequestTrace, request::target::RequestTarget,
        routes::route::Route,
    },
    tls::subject::ClientSubject,
    upstream::{ClientOrigin, request::headers},
};

/// A request and its client.
#[derive(Clone, Debug)]
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
    /// The trace of the request.
    pub trace: Option<Arc<RequestTrace>>,
}

/// The client of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client {
    /// The address of the other end of the connection.
    pub address: IpAddr,
    /// `http` or `https`, as the client sees it.
    pub scheme: &'static str,
    pub version: Version,
    /// The client is a trusted proxy.
    pub is_proxy: bool,
}

impl Client {
    /// Identifies the client of a session. Headers about the request's origin are removed unless a trusted proxy wrote
    /// them, so that later code can rely on those that remain.
    #[must_use]
    pub(crate) fn of(session: &mut ServerSession, snapshot: &Snapshot) -> Self {
        let address = address(session);
        let server = &snapshot.server;
        let headers = &session.req_header().headers;
        let is_proxy = snapshot.trusts(address);
        let subject = server.client_subject.as_ref();
        for name in headers::unvouched(headers, subject, &server.forwarded_headers, is_proxy) {
            session.req_header_mut().remove_header(&name);
        }
        if let Some(name) = subject {
            write_subject(session, name);
        }
        let encrypted = session.digest().is_some_and(|digest| digest.ssl_digest.is_some());
        let head = session.req_header();
        let own = if encrypted { "https" } else { "http" };
        let scheme = said_scheme(&head.headers).unwrap_or(own);
        Self { address, scheme, version: head.version, is_proxy }
    }

    /// Returns the address with which links of the route begin: `public_url` of the route or the server, else that of
    /// the request, as far as its word can be relied on.
    #[must_use]
    pub(crate) fn public_address(
        &self,
        target: &RequestTarget,
        headers: &HeaderMap,
        route: &Route,
        snapshot: &Snapshot,
    ) -> PublicAddress {
        match route.public_url.as_deref().or(snapshot.server.public_url.as_deref()) {
            Some(url) => PublicAddress::configured(url),
            None => PublicAddress::of_request(self.address_of(target, headers, &snapshot.server), &route.hosts),
        }
    }

    /// Returns the address for links in answers that pass through: the public one, else the `Host` that the client asked,
    /// which the upstream would repeat itself if it received it.
    #[must_use]
    pub(crate) fn asked_address(
        &self,
        target: &RequestTarget,
        headers: &HeaderMap,
        route: &Route,
        snapshot: &Snapshot,
    ) -> PublicAddress {
        let public = self.public_address(target, headers, route, snapshot);
        if public.has_host() {
            return public;
        }
        PublicAddress::as_asked(self.address_of(target, headers, &snapshot.server))
    }

    /// Returns the address as the client, or a trusted proxy, says it. Upstreams get it in `Host` or in `X-Forwarded-Host` and
    /// may write it into their items, so that pages are kept apart by it.
    #[must_use]
    pub(crate) fn reached_address(
        &self,
        target: &RequestTarget,
        headers: &HeaderMap,
        snapshot: &Snapshot,
    ) -> PublicAddress {
        PublicAddress::as_asked(self.address_of(target, headers, &snapshot.server))
    }

    fn address_of<'r>(
        &self,
        target: &'r RequestTarget,
        headers: &'r HeaderMap,
        server: &ServerSettings,
    ) -> RequestAddress<'r> {
        RequestAddress {
            scheme: self.scheme,
            authority: target.authority.as_deref(),
            of_proxy: self.is_proxy.then_some(headers),
            vouched: self.is_proxy && server.forwarded_headers.contains(&HOST),
        }
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

/// Returns the address of the other end of a session's connection.
pub(crate) fn address(session: &ServerSession) -> IpAddr {
    match session.client_addr() {
        Some(SocketAddr::Inet(address)) => address.ip(),
        _ => UNIX_CLIENT,
    }
}

/// Writes the subject of a client's certificate into the request, unless a trusted proxy has named another client.
fn write_subject(session: &mut ServerSession, name: &HeaderName) {
    if session.req_header().headers.contains_key(name) {
        return;
    }
    let digest = session.digest().and_then(|digest| digest.ssl_digest.clone());
    let subject = digest.as_ref().and_then(|digest| digest.extension.get::<ClientSubject>());
    if let Some(value) = subject.and_then(|subject| HeaderValue::from_str(&subject.0).ok()) {
        // Headers of a request are limited long before this fails.
        let _ = session.req_header_mut().insert_header(name, value);
    }
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
        let address = self.client.public_address(&self.target, &self.headers, route, snapshot);
        LinkBase::new(&address, &self.target.path)
    }
}
