//! The clients of a route, identified by the values of headers, or by their addresses if a request has none of these
//! headers.
//!
//! A client is kept as a keyed hash. So no credential stays in memory, and clients can't choose credentials whose
//! hashes collide.

pub mod limit_store;
pub mod rate_limit;
pub mod route_limits;

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher as _, Hash as _, Hasher as _},
    net::{IpAddr, Ipv6Addr},
};

use http::{
    HeaderMap, HeaderName,
    header::{AUTHORIZATION, HeaderValue},
};

use crate::identity::KnownClient;

/// The headers by which a route identifies its clients, and the key of their hashes.
#[derive(Clone, Debug)]
pub struct ClientHashes {
    /// The headers that name a client; empty if clients are identified only by their addresses.
    headers: Vec<HeaderName>,
    /// `true` if a client that `identity` names is identified by that.
    by_identity: bool,
    /// The hash function. Its key is random, so clients can't predict hashes.
    hashes: RandomState,
}

/// The client of a request, as limits identify it.
#[derive(Clone, Copy, Debug)]
pub struct LimitedClient<'r> {
    pub headers: &'r HeaderMap,
    /// The client's own address, as trusted proxies state it ([`whose`]).
    pub address: IpAddr,
    /// The client as `identity` names it.
    pub known: Option<&'r KnownClient>,
}

/// The length of the prefix of an IPv6 address that identifies a client, in bits. The owner of one address usually has
/// all addresses with the same prefix.
const IPV6_PREFIX: u32 = 64;

/// Returns the part of an address that identifies a client: the whole of an IPv4 address, even if it is mapped into
/// IPv6, or the first 64 bits of an IPv6 address.
#[must_use]
pub fn whose(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        // One client can use all addresses of a prefix, so only the prefix counts. Test:
        // `one_address_takes_no_more_than_its_share`.
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << (128 - IPV6_PREFIX)))),
        address @ IpAddr::V4(_) => address,
    }
}

/// The keyed hash of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientHash(pub u64);

impl ClientHashes {
    /// Creates hashes with a new random key. Clients are identified by these headers, or only by their addresses if
    /// `headers` is empty. With `by_identity`, the name that `identity` gives a client comes first.
    #[must_use]
    pub fn by(headers: Vec<HeaderName>, by_identity: bool) -> Self {
        Self { headers, by_identity, hashes: RandomState::new() }
    }

    /// Returns whether clients are identified by these headers.
    #[must_use]
    pub fn are_by(&self, headers: &[HeaderName], by_identity: bool) -> bool {
        self.headers == headers && self.by_identity == by_identity
    }

    /// Returns the headers by which clients are identified; none if they are identified only by their addresses.
    #[must_use]
    pub fn named_by(&self) -> &[HeaderName] {
        &self.headers
    }

    /// Returns the hash of a request's client. The hash covers all naming headers that the request has, or the address
    /// if the request has none of them.
    #[must_use]
    pub fn find(&self, client: LimitedClient<'_>) -> ClientHash {
        let LimitedClient { headers, address, known } = client;
        let mut hasher = self.hashes.build_hasher();
        // The same client has the same limit whatever else it sends. Test: `a_named_client_has_one_limit`.
        if let Some(known) = known.filter(|_| self.by_identity) {
            known.name.hash(&mut hasher);
            return ClientHash(hasher.finish());
        }
        let mut is_named = false;
        for name in self.headers.iter().filter(|name| headers.contains_key(*name)) {
            is_named = true;
            // Names are hashed too: the same value in another header is another client.
            name.hash(&mut hasher);
            headers.get_all(name).iter().for_each(|value| credential(name, value).hash(&mut hasher));
        }
        // A client that headers name is the same client at any address. Test:
        // `a_principal_is_one_client_from_wherever_it_comes`.
        if !is_named {
            address.hash(&mut hasher);
        }
        ClientHash(hasher.finish())
    }

    /// Returns the hash of an address, whatever the headers of a request are.
    #[must_use]
    pub fn at(&self, address: IpAddr) -> ClientHash {
        ClientHash(self.hashes.hash_one(address))
    }

    /// Returns the client of a request to a route as bytes, which are the same in every process. The bytes contain the
    /// client's credentials in plain text, so the store gets only a keyed hash of them
    /// ([`limit_store::LimitStore::name`]).
    #[must_use]
    pub fn written(&self, route: &str, client: LimitedClient<'_>) -> Vec<u8> {
        let LimitedClient { headers, address, known } = client;
        let mut out = Vec::with_capacity(128);
        let mut add = |kind: u8, bytes: &[u8]| {
            // Each part is preceded by its kind and its length, so two clients never have the same bytes.
            out.push(kind);
            out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
            out.extend_from_slice(bytes);
        };
        add(b'r', route.as_bytes());
        if let Some(known) = known.filter(|_| self.by_identity) {
            add(b'i', &known.name);
            return out;
        }
        let mut is_named = false;
        for name in self.headers.iter().filter(|name| headers.contains_key(*name)) {
            is_named = true;
            add(b'n', name.as_str().as_bytes());
            headers.get_all(name).iter().for_each(|value| add(b'v', credential(name, value)));
        }
        if !is_named {
            add(b'a', address.to_string().as_bytes());
        }
        out
    }
}

/// Returns the part of a header's value that identifies a client. For `Authorization`, this is the part after the
/// scheme, because the scheme's case and the blanks after it vary (RFC 9110, section 11.1): `Bearer a` and `bEARER a`
/// are one client. A tab separates them too, because upstreams differ in whether they accept it.
pub fn credential<'v>(name: &HeaderName, value: &'v HeaderValue) -> &'v [u8] {
    let value = value.as_bytes();
    let scheme = value.iter().position(u8::is_ascii_whitespace).filter(|_| *name == AUTHORIZATION);
    value[scheme.map_or(0, |at| at + 1)..].trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        pairs.collect()
    }

    fn at(headers: &HeaderMap, address: IpAddr) -> LimitedClient<'_> {
        LimitedClient { headers, address, known: None }
    }

    #[test]
    fn a_named_client_has_one_limit() {
        let known = |name| KnownClient { name: [name; 32], is_verified: true, covered: Vec::new() };
        let (alice, bob) = (known(1), known(2));
        let of = |clients: &ClientHashes, known, token| {
            let headers = headers(&[("authorization", token)]);
            let client = LimitedClient { headers: &headers, address: ONE, known: Some(known) };
            (clients.find(client), clients.written("users", client))
        };
        let clients = ClientHashes::by(vec![AUTHORIZATION], true);
        assert_eq!(of(&clients, &alice, "Bearer a"), of(&clients, &alice, "Bearer b"));
        assert_ne!(of(&clients, &alice, "Bearer a").0, of(&clients, &bob, "Bearer a").0);
        assert_ne!(of(&clients, &alice, "Bearer a").1, of(&clients, &bob, "Bearer a").1);
        let clients = ClientHashes::by(vec![AUTHORIZATION], false);
        assert_ne!(of(&clients, &alice, "Bearer a").0, of(&clients, &alice, "Bearer b").0, "another key is configured");
    }

    #[test]
    fn a_client_is_known_by_its_headers_or_else_by_its_address() {
        let clients = ClientHashes::by(vec![AUTHORIZATION, HeaderName::from_static("x-api-key")], true);
        let bearer = clients.find(at(&headers(&[("authorization", "Bearer a")]), ONE));
        for (pairs, address, is_same) in [
            (&[("authorization", "Bearer a")][..], OTHER, true),
            (&[("authorization", "bEARER   a"), ("user-agent", "x")], ONE, true),
            (&[("authorization", "Bearer\ta")], ONE, true),
            (&[("authorization", "Bearer b")], ONE, false),
            (&[("authorization", "Bearer a"), ("x-api-key", "a")], ONE, false),
            (&[("x-api-key", "a")], ONE, false),
            (&[], ONE, false),
        ] {
            assert_eq!(clients.find(at(&headers(pairs), address)) == bearer, is_same, "{pairs:?}");
            let written = clients.written("users", at(&headers(pairs), address));
            let same = clients.written("users", at(&headers(&[("authorization", "Bearer a")]), ONE));
            assert_eq!(written == same, is_same, "{pairs:?}");
            assert_ne!(written, clients.written("teams", at(&headers(pairs), address)), "another route");
        }
        let none = HeaderMap::new();
        assert_eq!(clients.find(at(&none, ONE)), clients.find(at(&none, ONE)));
        assert_ne!(clients.find(at(&none, ONE)), clients.find(at(&none, OTHER)));
        assert_ne!(clients.written("users", at(&none, ONE)), clients.written("users", at(&none, OTHER)));
        let by_address = ClientHashes::by(Vec::new(), false);
        assert_eq!(
            by_address.find(at(&none, ONE)),
            by_address.find(at(&headers(&[("authorization", "Bearer a")]), ONE))
        );
        let two = |one, other| clients.written("users", at(&headers(&[("x-api-key", one), ("x-api-key", other)]), ONE));
        assert_ne!(two("ab", "c"), two("a", "bc"), "values are told apart");
        assert_ne!(
            ClientHashes::by(Vec::new(), false).find(at(&none, ONE)),
            by_address.find(at(&none, ONE)),
            "the hash has a key"
        );
    }
}
