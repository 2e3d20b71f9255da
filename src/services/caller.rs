//! The client of a service's request, as the inner requests have it.

use std::{net::IpAddr, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue, header};
use pingora::protocols::{http::ServerSession, l4::socket::SocketAddr, tls::SslDigest};
use sha2::{Digest as _, Sha256};

use crate::{
    gateway::{
        request::{caller::is_impersonal, identity::REQUEST_ID},
        server::admission::whose,
    },
    upstream::request::headers::EXPLAIN,
};

/// Headers that concern the service's request alone: its connection, its body, its own result. `Connection` stays, so that
/// the gateway refuses an inner request whose credentials it would take away.
const OWN: [&str; 14] = [
    "accept-encoding",
    "digest",
    "expect",
    "http2-settings",
    "idempotency-key",
    "keep-alive",
    "proxy-connection",
    "range",
    "repr-digest",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "want-digest",
];

/// Prefixes of such headers.
const OWN_GROUPS: [&str; 2] = ["content-", "if-"];

/// The client of a service's request.
#[derive(Debug)]
pub(super) struct Caller {
    /// The address of the other end of the connection.
    pub(super) address: Option<SocketAddr>,
    /// The TLS of the connection.
    pub(super) tls: Option<Arc<SslDigest>>,
    /// The headers that inner requests inherit.
    pub(super) headers: HeaderMap,
    /// The client, as trusted proxies name it.
    client: Option<IpAddr>,
}

impl Caller {
    /// Identifies the client of a session.
    pub(super) fn of(session: &ServerSession, client: Option<IpAddr>) -> Self {
        let mut headers = HeaderMap::new();
        for (name, value) in session.req_header().headers.iter().filter(|(name, _)| is_inherited(name)) {
            headers.append(name.clone(), value.clone());
        }
        // Answers don't leave the process as they are, so that no coding helps.
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let tls = session.digest().and_then(|digest| digest.ssl_digest.clone());
        Self { address: session.client_addr().cloned(), tls, headers, client }
    }

    /// Returns the name of a key of this client: two clients with the same key have different names. A client is told by all
    /// headers that could identify it and by its certificate, or without either by its address.
    pub(super) fn name_of(&self, key: &str) -> [u8; 32] {
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hash.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(bytes);
        };
        part(key.as_bytes());
        part(self.headers.get(header::HOST).map_or(&[][..], HeaderValue::as_bytes));
        let certificate = self.tls.as_ref().map_or(&[][..], |tls| tls.cert_digest.as_slice());
        part(certificate);
        let mut own: Vec<(&str, &[u8])> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        own.retain(|(name, _)| HeaderName::from_bytes(name.as_bytes()).is_ok_and(|name| !is_impersonal(&name)));
        // Lines of one name keep their order.
        own.sort_by_key(|(name, _)| *name);
        if own.is_empty() && certificate.is_empty() {
            part(self.client.map(|client| whose(client).to_string()).unwrap_or_default().as_bytes());
        }
        for (name, value) in own {
            part(name.as_bytes());
            part(value);
        }
        hash.finalize().into()
    }
}

/// Returns whether inner requests have a header of the service's request.
fn is_inherited(name: &HeaderName) -> bool {
    let text = name.as_str();
    let is_own = OWN.contains(&text) || OWN_GROUPS.iter().any(|group| text.starts_with(group));
    // Each inner request has an id of its own. A permit explains one request.
    !is_own && *name != REQUEST_ID && *name != EXPLAIN
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(fields: &[(&'static str, &'static str)], client: [u8; 4]) -> Caller {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        Caller { address: None, tls: None, headers, client: Some(client.into()) }
    }

    #[test]
    fn a_key_belongs_to_the_client_that_sent_it() {
        let (here, there) = ([192, 0, 2, 1], [192, 0, 2, 2]);
        let name = |fields: &[_], client| caller(fields, client).name_of("k");
        let one = [("authorization", "Bearer one"), ("host", "a")];
        assert_eq!(name(&one, here), name(&one, there), "credentials tell more than addresses");
        let traced = [("authorization", "Bearer one"), ("traceparent", "00-x"), ("host", "a"), ("user-agent", "x")];
        assert_eq!(name(&one, here), name(&traced, here), "a repetition has a trace of its own");
        for other in [
            &[("authorization", "Bearer two"), ("host", "a")][..],
            &[("authorization", "Bearer one"), ("host", "b")],
            &[("authorization", "Bearer one"), ("x-tenant", "1"), ("host", "a")],
            &[("host", "a")],
        ] {
            assert_ne!(name(&one, here), name(other, here), "{other:?}");
        }
        assert_ne!(name(&[], here), name(&[], there));
        assert_ne!(caller(&one, here).name_of("k"), caller(&one, here).name_of("l"));
    }
}
