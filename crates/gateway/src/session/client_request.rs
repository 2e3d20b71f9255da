//! Requests for lists, detached from their sessions. A session can therefore be watched while its page is made.

use std::{net::IpAddr, sync::Arc, time::Instant};

use http::{
    HeaderMap, HeaderName, HeaderValue, Version,
    header::{COOKIE, HOST},
};
use pingora::protocols::{http::ServerSession, l4::socket::SocketAddr, tls::SslDigest};

use crate::{
    identity::{KnownClient, headers::joined_cookies},
    lifecycle::snapshot::Snapshot,
    outcome::trace::RequestTrace,
    request::target::RequestTarget,
    routes::route::Route,
    session::list_part::ListPart,
    shared::clients::whose,
    tls::subject::ClientSubject,
};
use cursorgate_config::settings::{ServerSettings, UNIX_CLIENT};
use cursorgate_translate::{
    downstream::{LinkBase, PublicAddress, RequestAddress, RequestBody, request::public_address::said_scheme},
    upstream::{ClientOrigin, request::headers},
};

/// A request for a list, and its client.
#[derive(Clone, Debug)]
pub struct ClientRequest {
    pub target: RequestTarget,
    /// The parameters of the route's path, percent-encoded.
    pub parameters: Vec<(String, String)>,
    pub headers: HeaderMap,
    /// The body of a request by POST; `None` for other methods.
    pub body: Option<RequestBody>,
    /// `true` for a request that is a new client's without a mark, because a service sends it.
    pub is_new: bool,
    /// The part of the list that a service reads.
    pub part: ListPart,
    pub client: Client,
    /// The client as `identity` of the route names it; `None` if headers tell the client apart.
    pub known: Option<Arc<KnownClient>>,
    /// The time of the request, in seconds since 1970.
    pub now: u64,
    /// The start of the page's budget of time.
    pub began: Instant,
    /// The trace of the request; `None` without `[traces]`.
    pub trace: Option<Arc<RequestTrace>>,
}

#[derive(Clone, Copy, Debug)]
pub struct Client {
    /// The address of the other end of the connection.
    pub address: IpAddr,
    /// The client's own address, as trusted proxies state it, by which limits tell clients apart ([`whose`]).
    pub own: IpAddr,
    /// The scheme of the client's own connection, `http` or `https`, even if the connection ends at a trusted proxy.
    pub scheme: &'static str,
    pub version: Version,
    /// True if the other end of the connection is a trusted proxy.
    pub is_proxy: bool,
    /// True if the client has presented a certificate, or a trusted proxy names the subject of its client's
    /// certificate.
    pub has_certificate: bool,
}

impl Client {
    /// Identifies the client of a session. `said` is the client's address, as trusted proxies state it. Removes headers
    /// about the request's origin unless a trusted proxy wrote them, so later code can rely on the headers that remain.
    #[must_use]
    pub fn of(session: &mut ServerSession, snapshot: &Snapshot, said: Option<IpAddr>) -> Self {
        let address = address(session);
        let server = &snapshot.server;
        // An insertion of a value that was read from headers can't fail.
        if let Some(cookies) = joined_cookies(session.req_header()) {
            let _ = session.req_header_mut().insert_header(COOKIE, cookies);
        }
        let headers = &session.req_header().headers;
        let is_proxy = snapshot.trusts(address);
        let subject = server.client_subject.as_ref();
        for name in headers::unvouched(headers, subject, &server.forwarded_headers, is_proxy) {
            session.req_header_mut().remove_header(&name);
        }
        // The subject is written after the removal. A header that is still there was written by a trusted proxy, so it
        // stays. Test: `a_certificate_may_be_optional_and_a_proxy_may_name_its_client`.
        if let Some(name) = subject {
            write_subject(session, name);
        }
        let encrypted = session.digest().is_some_and(|digest| digest.ssl_digest.is_some());
        let has_certificate = has_certificate(session, subject);
        let head = session.req_header();
        // A header that states the scheme is left only if a trusted proxy wrote it, so its value is used.
        let scheme = said_scheme(&head.headers).unwrap_or(if encrypted { "https" } else { "http" });
        let own = whose(said.unwrap_or(address));
        Self { address, own, scheme, version: head.version, is_proxy, has_certificate }
    }

    /// Returns the subject of the client's verified certificate: that of its connection, or the one that a trusted proxy
    /// names. Returns `None` without one. The certificate of a trusted proxy itself identifies none of its clients.
    pub fn certificate<'s>(&self, session: &'s ServerSession, snapshot: &Snapshot) -> Option<&'s str> {
        let digest = session.digest().and_then(|digest| digest.ssl_digest.as_ref());
        certificate(digest.map(|digest| &**digest), &session.req_header().headers, snapshot, self.is_proxy)
    }

    /// Returns the address with which links of the route begin. The address is the first of: `public_url` of the route,
    /// `public_url` of the server, the host that a trusted proxy names, and the request's own host if `hosts` of the
    /// route lists it. If there is none of these, the address has no host.
    #[must_use]
    pub fn public_address(
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

    /// Returns the address with which links to services begin: `public_url`, the host that a trusted proxy names, or no
    /// host. A service answers under every host, so the request's own host says nothing.
    #[must_use]
    pub fn service_address(&self, target: &RequestTarget, headers: &HeaderMap, snapshot: &Snapshot) -> PublicAddress {
        match &snapshot.server.public_url {
            Some(url) => PublicAddress::configured(url),
            None => PublicAddress::of_request(self.address_of(target, headers, &snapshot.server), &[]),
        }
    }

    /// Returns the address for links in answers that pass through: the public address if it has a host, or else the
    /// `Host` of the request, unchecked. An upstream that received this `Host` would repeat it in its links, too.
    #[must_use]
    pub fn asked_address(
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

    /// Returns the host and scheme that the client or a trusted proxy names, unchecked. Upstreams get it in `Host` or
    /// in `X-Forwarded-Host` and may write it into their items, so the page cache keeps pages apart by it.
    #[must_use]
    pub fn reached_address(&self, target: &RequestTarget, headers: &HeaderMap, snapshot: &Snapshot) -> PublicAddress {
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
            // Any client can write headers that name a host, so only those of a trusted proxy are read. Test:
            // `untrusted_headers_do_not_change_the_host_of_links`.
            of_proxy: self.is_proxy.then_some(headers),
            // A proxy may pass the header on as a client wrote it, so it counts only if `server.forwarded_headers`
            // lists it.
            vouched: self.is_proxy && server.forwarded_headers.contains(&HOST),
        }
    }

    /// Returns the origin of the request, which the headers of upstream requests state (`X-Forwarded-For` and others).
    #[must_use]
    pub fn origin<'a>(&self, target: &'a RequestTarget) -> ClientOrigin<'a> {
        ClientOrigin {
            address: self.address,
            host: target.authority.as_deref(),
            scheme: self.scheme,
            version: self.version,
        }
    }
}

/// Returns the address of the other end of a session's connection, or the client's address in the head of the PROXY
/// protocol. Returns [`UNIX_CLIENT`] for a Unix socket.
pub fn address(session: &ServerSession) -> IpAddr {
    match session.client_addr() {
        Some(SocketAddr::Inet(address)) => address.ip(),
        _ => UNIX_CLIENT,
    }
}

/// Writes the subject of a client's certificate into the request. If the header is there already, a trusted proxy has
/// written it to name its own client, and the header stays.
fn write_subject(session: &mut ServerSession, name: &HeaderName) {
    if session.req_header().headers.contains_key(name) {
        return;
    }
    let digest = session.digest().and_then(|digest| digest.ssl_digest.clone());
    let subject = digest.as_ref().and_then(|digest| digest.extension.get::<ClientSubject>());
    if let Some(value) = subject.and_then(|subject| HeaderValue::from_str(&subject.0).ok()) {
        // This fails only if the request has too many headers. The upstream then gets no subject.
        let _ = session.req_header_mut().insert_header(name, value);
    }
}

/// Returns the subject of a client's verified certificate. [`Client::of`] has changed the headers.
pub fn certificate<'s>(
    digest: Option<&'s SslDigest>,
    headers: &'s HeaderMap,
    snapshot: &Snapshot,
    is_proxy: bool,
) -> Option<&'s str> {
    let own = digest.and_then(|digest| digest.extension.get::<ClientSubject>()).map(|subject| subject.0.as_str());
    if !is_proxy {
        return own;
    }
    let named = snapshot.server.client_subject.as_ref().and_then(|name| headers.get(name)?.to_str().ok());
    // Without a header of the proxy, `write_subject` has written the proxy's own subject. Test:
    // `nobody_sees_what_is_of_another_client_and_everybody_finds_its_own`.
    named.filter(|named| Some(*named) != own)
}

/// Returns whether the client of a session has presented a certificate, or the request has the header `subject`, which
/// names the subject of a certificate. [`Client::of`] has removed the header unless a trusted proxy wrote it.
pub fn has_certificate(session: &ServerSession, subject: Option<&HeaderName>) -> bool {
    let digest = session.digest().and_then(|digest| digest.ssl_digest.as_ref());
    digest.is_some_and(|digest| !digest.cert_digest.is_empty())
        || subject.is_some_and(|name| session.req_header().headers.contains_key(name))
}

impl ClientRequest {
    /// Returns the query as the client sent it, without the `?`; `None` if the request has no query.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.target.query.as_deref()
    }

    /// Returns what tells the client apart: its headers, and its name.
    pub fn client_parts(&self) -> (&HeaderMap, Option<&KnownClient>) {
        (&self.headers, self.known.as_deref())
    }

    /// Returns the beginning of the links in the response: the public address, if it is known, and the path.
    #[must_use]
    pub fn link_base(&self, route: &Route, snapshot: &Snapshot) -> LinkBase {
        let address = self.client.public_address(&self.target, &self.headers, route, snapshot);
        LinkBase::new(&address, &self.target.path)
    }
}
