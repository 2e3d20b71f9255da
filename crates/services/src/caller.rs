//! The client of a service's request: its address, its TLS and the headers that inner requests inherit. Services
//! distinguish clients by names that are hashes of these.

use std::{net::IpAddr, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use pingora::protocols::{http::ServerSession, l4::socket::SocketAddr, tls::SslDigest};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use cursorgate_config::{secret::Secret, settings::CountedBy};
use cursorgate_gateway::{
    Snapshot,
    identity::{
        KnownClient,
        answers::IdentityAnswer,
        headers::{is_impersonal, is_of_message},
        rules::{IdentityRules, RequestParts},
    },
    request::identity::REQUEST_ID,
    routes::route::Route,
    session::{
        client_request::{Client, certificate},
        identity::{self, IdentityCall},
        service::FORM,
    },
    shared::clients::{credential, whose},
};
use cursorgate_translate::upstream::request::headers::EXPLAIN;

/// Headers that inner requests don't inherit, beside those about one message: they concern only the connection or the
/// result of the service's request. `Connection` is inherited, because it can declare a header with credentials to be
/// hop-by-hop. The gateway refuses an inner request with such a `Connection`.
const OWN: [&str; 3] = ["http2-settings", "idempotency-key", "proxy-connection"];

/// The host of the operator's requests if the configuration doesn't name one.
const ANY_HOST: &str = "localhost";

/// The client on whose behalf a service sends inner requests.
#[derive(Debug)]
pub(super) struct Caller {
    /// The address of the connection's other end, which may be a proxy; `None` if unknown, as for requests that the
    /// gateway makes for itself.
    pub(super) address: Option<SocketAddr>,
    /// The TLS of the connection, with the client's certificate if the client sent one; `None` without TLS.
    pub(super) tls: Option<Arc<SslDigest>>,
    /// The headers that inner requests inherit.
    pub(super) headers: HeaderMap,
    /// The address of the client itself, as trusted proxies state it; `None` if unknown, as for requests that the
    /// gateway makes for itself.
    client: Option<IpAddr>,
    /// The names of this client, each with the mark of the rules under which it has the name.
    known: Vec<([u8; 32], KnownClient)>,
}

/// How the clients of a list or of a service are identified.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ClientRules<'r> {
    /// The headers that identify a client without a name.
    pub(super) principal: &'r [HeaderName],
    /// The rules that give clients their names; `None` if only headers identify clients.
    pub(super) rules: Option<&'r IdentityRules>,
    /// The headers that say nothing about a person, in addition to those that the gateway knows.
    pub(super) impersonal: &'r [HeaderName],
}

impl<'r> ClientRules<'r> {
    /// Returns how the clients of a route are identified.
    pub(super) fn of_route(route: &'r Route) -> Self {
        let principal = route.list.as_ref().map_or(&[][..], |list| &list.principal);
        let impersonal = route.list.as_ref().map_or(&[][..], |list| &list.impersonal);
        Self { principal, rules: route.identity.as_deref(), impersonal }
    }

    fn identifies(&self, name: &HeaderName) -> bool {
        self.principal.contains(name) || !is_impersonal(name, self.impersonal)
    }

    /// Returns whether all clients see the same list.
    pub(super) fn are_all_equal(&self) -> bool {
        self.principal.is_empty() && self.rules.is_none()
    }
}

impl Caller {
    /// Returns the client of a session. `client` is the client's address, as trusted proxies state it.
    pub(super) fn of(session: &ServerSession, client: Option<IpAddr>) -> Self {
        let mut headers = HeaderMap::new();
        for (name, value) in session.req_header().headers.iter().filter(|(name, _)| is_inherited(name)) {
            headers.append(name.clone(), value.clone());
        }
        // The service reads the answers itself, so compression would only cost time.
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let tls = session.digest().and_then(|digest| digest.ssl_digest.clone());
        Self { address: session.client_addr().cloned(), tls, headers, client, known: Vec::new() }
    }

    /// Creates the client of requests that the gateway sends on its own behalf, with configured headers.
    pub(super) fn of_headers(mut headers: HeaderMap) -> Self {
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        Self { address: None, tls: None, headers, client: None, known: Vec::new() }
    }

    /// Creates the client of requests that the configuration describes: `headers`, and the host.
    pub(super) fn of_operator(host: Option<&str>, headers: &[(HeaderName, Secret)]) -> Self {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            if let Ok(mut value) = HeaderValue::from_bytes(value.reveal()) {
                value.set_sensitive(true);
                map.append(name.clone(), value);
            }
        }
        if let Ok(host) = HeaderValue::from_str(host.unwrap_or(ANY_HOST)) {
            map.insert(header::HOST, host);
        }
        Self::of_headers(map)
    }

    /// Gives the client its names under these rules, by the headers that the caller has now. `query` is the query of the
    /// request. A name stays after the request: a token that has expired since then was valid. Returns what the upstream
    /// says about the client's credentials; `None` if it wasn't asked.
    pub(super) async fn identify(
        &mut self,
        rules: &[Option<&Arc<IdentityRules>>],
        query: Option<&str>,
        client: &Client,
        call: IdentityCall<'_>,
    ) -> Option<Arc<IdentityAnswer>> {
        let rules: Vec<&IdentityRules> = rules.iter().flatten().map(|rules| &***rules).collect();
        let said = identity::ask(&rules, &self.headers, call).await;
        for rules in rules {
            let certificate = certificate(self.tls.as_deref(), &self.headers, call.snapshot, client.is_proxy);
            let parts = RequestParts { headers: &self.headers, query, certificate, answer: said.as_deref() };
            let found = rules.find(parts);
            self.known.extend(found.map(|known| (rules.mark(), known)));
        }
        said
    }

    /// Returns the hash by which a service behind the gateway can name this client, which these rules must have given a
    /// verified name. `said` is what the upstream says about its credentials.
    pub(super) fn subject(
        &self,
        rules: &IdentityRules,
        client: &Client,
        snapshot: &Snapshot,
        said: Option<&IdentityAnswer>,
    ) -> Option<[u8; 32]> {
        self.known(Some(rules)).filter(|known| known.is_verified)?;
        let certificate = certificate(self.tls.as_deref(), &self.headers, snapshot, client.is_proxy);
        rules.subject(RequestParts { headers: &self.headers, query: None, certificate, answer: said })
    }

    /// Returns the name that these rules have given to the client.
    pub(super) fn known(&self, rules: Option<&IdentityRules>) -> Option<&KnownClient> {
        let mark = rules?.mark();
        self.known.iter().find(|(known, _)| *known == mark).map(|(_, known)| known)
    }

    /// Returns the headers that say nothing about this client which its name under these rules doesn't say; none if it
    /// has no name.
    pub(super) fn covered(&self, rules: Option<&IdentityRules>) -> Vec<HeaderName> {
        let known = self.known(rules);
        self.headers.keys().filter(|name| known.is_some_and(|known| known.covers(name))).cloned().collect()
    }

    /// Returns a SHA-256 of this client and `key`. Two clients that send the same key have different names. A client
    /// without a name is identified by the host that it requests, its certificate and all headers that
    /// could identify it. A client with neither a certificate nor such a header is identified by its address.
    ///
    /// Headers about the origin of a request, such as `Forwarded`, have been removed unless a trusted proxy wrote them
    /// ([`Client::of`](cursorgate_gateway::session::client_request::Client::of)), so a client can't pose as another one.
    pub(super) fn name_of(&self, key: &str, clients: ClientRules<'_>) -> [u8; 32] {
        self.named(key, "", self.known(clients.rules), true, |name| clients.identifies(name))
    }

    /// Returns the name of this client at a list, by which it owns what is stored for it. `private` are the private
    /// parameters of the request, which are credentials too; empty if it has none. A client without a verified name is
    /// told apart by all other headers that could identify it as well, because a header of the principal might be a key
    /// that all users of an application share. Example: with the principal `X-Api-Key`, two clients with the same key
    /// and different `X-User-Token` have different names.
    pub(super) fn owner_at(&self, clients: ClientRules<'_>, private: &str) -> [u8; 32] {
        // Test: `clients_of_a_list_are_distinguished_by_all_that_identifies_them`.
        self.named("", private, self.known(clients.rules), false, |name| clients.identifies(name))
    }

    /// Returns the name of this client at a list, by which it sees a page. A client with a verified name is also told
    /// apart by the headers that might select what it sees, such as `X-Tenant-Id`.
    pub(super) fn viewer_at(&self, clients: ClientRules<'_>) -> [u8; 32] {
        self.named("", "", self.known(clients.rules), true, |name| clients.identifies(name))
    }

    /// Returns whether this client has sent a credential: a name, a certificate, or a header that could identify it. A
    /// client without one is known only by its address, which all clients of one proxy share.
    pub(super) fn has_credentials(&self, clients: ClientRules<'_>) -> bool {
        let has_certificate = self.tls.as_ref().is_some_and(|tls| !tls.cert_digest.is_empty());
        let has_header = || self.headers.keys().any(|name| clients.identifies(name));
        has_certificate || self.known(clients.rules).is_some() || has_header()
    }

    /// Returns a SHA-256 of the client's address, by which clients are counted whose credentials aren't checked yet.
    /// Returns `None` if the address is unknown.
    pub(super) fn network(&self) -> Option<[u8; 32]> {
        self.client.map(|client| Sha256::digest(whose(client).to_string()).into())
    }

    /// Returns the name under which a limit counts this client. `own` is its name at the list or the service. A header
    /// that is missing or repeated counts as none, because servers differ in which of two values they read.
    pub(super) fn counted_by(&self, key: &CountedBy, own: [u8; 32]) -> [u8; 32] {
        let near = || self.network().unwrap_or(own);
        match key {
            CountedBy::Principal => own,
            CountedBy::Address => near(),
            CountedBy::Header(name) => {
                let mut values = self.headers.get_all(name).iter();
                match (values.next(), values.next()) {
                    (Some(value), None) => {
                        let hash = Sha256::new_with_prefix(b"the value of a header\0");
                        hash.chain_update(credential(name, value)).finalize().into()
                    }
                    _ => near(),
                }
            }
        }
    }

    /// Returns the hash of everything that identifies this client. `sees` tells whether the headers that a verified name
    /// doesn't cover count.
    fn named(
        &self,
        key: &str,
        private: &str,
        known: Option<&KnownClient>,
        sees: bool,
        identifies: impl Fn(&HeaderName) -> bool,
    ) -> [u8; 32] {
        let mut hash = Sha256::new();
        // Each part is written after its length so that no two lists of parts have the same bytes.
        let mut part = |bytes: &[u8]| {
            hash.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(bytes);
        };
        part(key.as_bytes());
        // The same credentials at another host identify another client.
        // Test: `a_key_belongs_to_the_client_that_sent_it`.
        part(&self.headers.get(header::HOST).map_or(&[][..], HeaderValue::as_bytes).to_ascii_lowercase());
        if let Some(known) = known {
            // A certificate's digest never has this length, so this is the name of no client without a name.
            part(b"identity");
            part(&known.name);
        }
        let is_verified = known.is_some_and(|known| known.is_verified);
        let certificate = self.tls.as_ref().map_or(&[][..], |tls| tls.cert_digest.as_slice());
        let certificate = if is_verified { &[] } else { certificate };
        part(certificate);
        part(private.as_bytes());
        let counts = |name: &HeaderName| {
            identifies(name) && known.is_none_or(|known| !known.covers(name) && (sees || !is_verified))
        };
        let own = self.headers.iter().filter(|(name, _)| counts(name));
        let mut own: Vec<(&str, &[u8])> = own.map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        // The sort is stable: the values of a repeated header keep their order, which can matter.
        own.sort_by_key(|(name, _)| *name);
        // Credentials identify a client better than its address, which can change and can be shared.
        // Test: `a_key_belongs_to_the_client_that_sent_it`.
        if known.is_none() && own.is_empty() && certificate.is_empty() && private.is_empty() {
            part(self.client.map(|client| whose(client).to_string()).unwrap_or_default().as_bytes());
        }
        for (name, value) in own {
            part(name.as_bytes());
            part(value);
        }
        hash.finalize().into()
    }
}

/// A client as JSON, before it is sealed.
#[derive(Serialize, Deserialize)]
struct StoredCaller {
    address: Option<std::net::SocketAddr>,
    client: Option<IpAddr>,
    tls: Option<StoredTls>,
    /// The names, and the values in base64, because a value can contain bytes that aren't UTF-8.
    headers: Vec<(String, String)>,
    /// The client's names: the mark of the rules and the name in base64, whether it is verified, and the headers that it
    /// covers. Jobs of earlier versions have none.
    #[serde(default)]
    known: Vec<(String, String, bool, Vec<String>)>,
}

#[derive(Serialize, Deserialize)]
struct StoredTls {
    cipher: String,
    version: String,
    organization: Option<String>,
    serial_number: Option<String>,
    certificate: String,
}

impl Caller {
    /// Returns the client as JSON. The bytes contain the client's credentials, so they must be sealed before they are
    /// stored.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let address = match &self.address {
            Some(SocketAddr::Inet(address)) => Some(*address),
            _ => None,
        };
        let tls = self.tls.as_ref().map(|tls| StoredTls {
            cipher: tls.cipher.to_string(),
            version: tls.version.to_string(),
            organization: tls.organization.clone(),
            serial_number: tls.serial_number.clone(),
            certificate: STANDARD.encode(&tls.cert_digest),
        });
        let headers = self.headers.iter().map(|(name, value)| (name.to_string(), STANDARD.encode(value))).collect();
        let name = |(mark, known): &([u8; 32], KnownClient)| {
            let covered = known.covered.iter().map(ToString::to_string).collect();
            (STANDARD.encode(mark), STANDARD.encode(known.name), known.is_verified, covered)
        };
        let known = self.known.iter().map(name).collect();
        let stored = StoredCaller { address, client: self.client, tls, headers, known };
        // The members are strings, numbers and lists, so this never fails.
        serde_json::to_vec(&stored).unwrap_or_default()
    }

    /// Reads a client from the bytes that [`to_bytes`](Self::to_bytes) returned. Returns `None` if the bytes have
    /// another form.
    pub(super) fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let stored: StoredCaller = serde_json::from_slice(bytes).ok()?;
        let mut headers = HeaderMap::new();
        for (name, value) in stored.headers {
            let value = HeaderValue::from_bytes(&STANDARD.decode(value).ok()?).ok()?;
            headers.append(HeaderName::from_bytes(name.as_bytes()).ok()?, value);
        }
        let tls = match stored.tls {
            None => None,
            Some(tls) => {
                let StoredTls { cipher, version, organization, serial_number, certificate } = tls;
                let certificate = STANDARD.decode(certificate).ok()?;
                Some(Arc::new(SslDigest::new(cipher, version, organization, serial_number, certificate)))
            }
        };
        let digest = |text: &str| <[u8; 32]>::try_from(STANDARD.decode(text).ok()?).ok();
        let mut known = Vec::with_capacity(stored.known.len());
        for (mark, name, is_verified, covered) in stored.known {
            let covered: Option<_> = covered.iter().map(|name| HeaderName::from_bytes(name.as_bytes()).ok()).collect();
            known.push((digest(&mark)?, KnownClient { name: digest(&name)?, is_verified, covered: covered? }));
        }
        Some(Self { address: stored.address.map(SocketAddr::Inet), tls, headers, client: stored.client, known })
    }
}

/// Returns whether inner requests inherit the header `name` of the service's request.
fn is_inherited(name: &HeaderName) -> bool {
    // Each inner request has its own id, a permit to explain is valid for one request, and the service chooses the form
    // of the answer (`FORM`).
    !is_of_message(name) && !OWN.contains(&name.as_str()) && *name != REQUEST_ID && *name != EXPLAIN && *name != FORM
}

#[cfg(test)]
mod tests {
    use super::*;
    use cursorgate_config::settings::IdentityWord;
    use cursorgate_gateway::identity::rules::IdentitySources;

    fn caller(fields: &[(&'static str, &'static str)], client: [u8; 4]) -> Caller {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        Caller { address: None, tls: None, headers, client: Some(client.into()), known: Vec::new() }
    }

    fn by_headers(principal: &[HeaderName]) -> ClientRules<'_> {
        ClientRules { principal, rules: None, impersonal: &[] }
    }

    #[test]
    fn a_client_with_a_name_stays_the_same_client() {
        let words = ["cookie:session", "header:x-user"].map(|word| IdentityWord::read(word).unwrap());
        let rules = IdentityRules::compile(&words, &IdentitySources::default()).unwrap();
        let named = |fields: &[_], is_verified| {
            let mut caller = caller(fields, [192, 0, 2, 1]);
            let parts = RequestParts { headers: &caller.headers, query: None, certificate: None, answer: None };
            let found = rules.find(parts).map(|known| KnownClient { is_verified, ..known });
            caller.known.extend(found.map(|known| (rules.mark(), known)));
            caller
        };
        let clients =
            ClientRules { principal: &[header::AUTHORIZATION, header::COOKIE], rules: Some(&rules), impersonal: &[] };
        let names = |fields: &[_], is_verified| {
            let caller = named(fields, is_verified);
            (caller.owner_at(clients, ""), caller.viewer_at(clients), caller.name_of("k", clients))
        };
        let one = [("cookie", "session=1; _ga=1"), ("host", "a")];
        assert_eq!(names(&one, false), names(&[("cookie", "_ga=2; session=1"), ("host", "a")], false));
        for other in [
            &[("cookie", "session=2; _ga=1"), ("host", "a")][..],
            &[("cookie", "session=1; _ga=1"), ("host", "b")],
            &[("cookie", "session=1; _ga=1"), ("host", "a"), ("authorization", "Bearer 1")],
            &[("cookie", "_ga=1"), ("host", "a")],
        ] {
            let (owner, viewer, key) = names(other, false);
            let own = names(&one, false);
            assert!(owner != own.0 && viewer != own.1 && key != own.2, "{other:?}");
        }
        let (own, renewed) = (names(&one, true), [one[0], one[1], ("authorization", "Bearer 1")]);
        assert_eq!(own, names(&renewed, true), "other credentials say nothing about a verified client");
        let (owner, viewer, key) = names(&[one[0], one[1], ("x-tenant-id", "1")], true);
        assert!(owner == own.0 && viewer != own.1 && key != own.2, "a header may select what the client sees");
        let caller = named(&one, true);
        let read = Caller::of_bytes(&caller.to_bytes()).unwrap();
        assert_eq!(read.owner_at(clients, ""), own.0, "after storing and reading");
        assert_eq!(read.covered(Some(&rules)), [header::COOKIE]);
    }

    #[test]
    fn a_key_belongs_to_the_client_that_sent_it() {
        let (here, there) = ([192, 0, 2, 1], [192, 0, 2, 2]);
        let name = |fields: &[_], client| caller(fields, client).name_of("k", by_headers(&[]));
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
        assert_ne!(caller(&one, here).name_of("k", by_headers(&[])), caller(&one, here).name_of("l", by_headers(&[])));
    }

    #[test]
    fn clients_of_a_list_are_distinguished_by_all_that_identifies_them() {
        let (here, there) = ([192, 0, 2, 1], [192, 0, 2, 2]);
        let principal = [header::AUTHORIZATION, header::COOKIE];
        let name = |fields: &[_], client| caller(fields, client).owner_at(by_headers(&principal), "");
        let one = [("authorization", "Bearer one"), ("traceparent", "1")];
        assert_eq!(name(&one, here), name(&[("authorization", "Bearer one"), ("traceparent", "2")], there));
        assert_ne!(name(&one, here), name(&[("authorization", "Bearer two"), ("traceparent", "1")], here));
        assert_ne!(name(&one, here), name(&[("authorization", "Bearer one"), ("cookie", "a=1")], here));
        assert_ne!(name(&[("x-key", "1")], here), name(&[("x-key", "2")], here), "an unknown credential is one");
        let shared = |user| [("authorization", "Basic of-the-app"), ("x-user-token", user)];
        assert_ne!(name(&shared("a"), here), name(&shared("b"), here), "a shared key hides no user");
        assert_ne!(name(&[], here), name(&[], there), "only an address");
        let with_key = |private: &str| caller(&[], here).owner_at(by_headers(&principal), private);
        assert_ne!(with_key("key=a"), with_key("key=b"));
        assert_ne!(with_key("key=a"), with_key(""));
        assert_eq!(
            with_key("key=a"),
            caller(&[], there).owner_at(by_headers(&principal), "key=a"),
            "a key tells more than addresses"
        );
    }

    #[test]
    fn no_header_that_might_identify_a_client_is_left_out() {
        for name in ["content-type", "if-match", "range", "want-repr-digest"] {
            assert!(!is_inherited(&HeaderName::from_static(name)), "{name}");
        }
        for name in ["content-user", "if-user", "content-tenant-id"] {
            assert!(is_inherited(&HeaderName::from_static(name)), "{name}");
        }
    }

    #[test]
    fn an_address_is_no_credential() {
        let principal = [header::AUTHORIZATION];
        for (fields, has_credentials) in [
            (&[("host", "a"), ("user-agent", "x"), ("x-forwarded-for", "192.0.2.1")][..], false),
            (&[("authorization", "Bearer one")], true),
            (&[("x-forwarded-user", "alice")], true),
        ] {
            assert_eq!(
                caller(fields, [192, 0, 2, 1]).has_credentials(by_headers(&principal)),
                has_credentials,
                "{fields:?}"
            );
        }
    }

    #[test]
    fn a_client_is_equal_after_storing_and_reading() {
        let fields = [("authorization", "Bearer one"), ("x-a", "1"), ("x-a", "2"), ("host", "h")];
        let mut own = caller(&fields, [192, 0, 2, 1]);
        own.headers.append("x-b", HeaderValue::from_bytes(b"\xff").unwrap());
        own.address = Some(SocketAddr::Inet("192.0.2.1:5".parse().unwrap()));
        let tls = SslDigest::new("c", "TLSv1.3", Some("o".to_owned()), None, vec![1, 2]);
        own.tls = Some(Arc::new(tls));
        let read = Caller::of_bytes(&own.to_bytes()).unwrap();
        assert_eq!((&read.headers, &read.address, read.client), (&own.headers, &own.address, own.client));
        assert_eq!(read.name_of("k", by_headers(&[])), own.name_of("k", by_headers(&[])), "with its certificate");
        assert!(Caller::of_bytes(b"{}").is_none());
    }
}
