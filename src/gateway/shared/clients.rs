//! The clients of a route. Each is told apart by the values of headers, or else by its address, and known by a keyed hash
//! alone.

pub(crate) mod rate_limit;
pub(crate) mod route_limits;

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher as _, Hash as _, Hasher as _},
    net::IpAddr,
};

use http::{
    HeaderMap, HeaderName,
    header::{AUTHORIZATION, HeaderValue},
};

/// The property by which a route tells its clients apart.
#[derive(Clone, Debug)]
pub(crate) struct ClientHashes {
    /// The headers that name a client; none if clients are told apart by their addresses.
    headers: Vec<HeaderName>,
    /// Hashes clients, under a key that they can't know.
    hashes: RandomState,
}

/// The keyed hash of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ClientHash(pub(crate) u64);

impl ClientHashes {
    /// Tells clients apart by these headers.
    #[must_use]
    pub(crate) fn by(headers: Vec<HeaderName>) -> Self {
        Self { headers, hashes: RandomState::new() }
    }

    /// Returns whether clients are told apart by these headers.
    #[must_use]
    pub(crate) fn are_by(&self, headers: &[HeaderName]) -> bool {
        self.headers == headers
    }

    /// Returns the client of a request: that of its headers, or else its address.
    #[must_use]
    pub(crate) fn find(&self, headers: &HeaderMap, address: IpAddr) -> ClientHash {
        let mut hasher = self.hashes.build_hasher();
        let mut is_named = false;
        for name in self.headers.iter().filter(|name| headers.contains_key(*name)) {
            is_named = true;
            name.hash(&mut hasher);
            headers.get_all(name).iter().for_each(|value| credential(name, value).hash(&mut hasher));
        }
        if !is_named {
            address.hash(&mut hasher);
        }
        ClientHash(hasher.finish())
    }
}

/// Returns the part of a header's value that identifies a client: of `Authorization` what follows the scheme, because a
/// scheme has many spellings (RFC 9110, section 11.1).
pub(crate) fn credential<'v>(name: &HeaderName, value: &'v HeaderValue) -> &'v [u8] {
    let value = value.as_bytes();
    let scheme = value.iter().position(|byte| *byte == b' ').filter(|_| *name == AUTHORIZATION);
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

    #[test]
    fn a_client_is_known_by_its_headers_or_else_by_its_address() {
        let clients = ClientHashes::by(vec![AUTHORIZATION, HeaderName::from_static("x-api-key")]);
        let bearer = clients.find(&headers(&[("authorization", "Bearer a")]), ONE);
        for (pairs, address, is_same) in [
            (&[("authorization", "Bearer a")][..], OTHER, true),
            (&[("authorization", "bEARER   a"), ("user-agent", "x")], ONE, true),
            (&[("authorization", "Bearer b")], ONE, false),
            (&[("authorization", "Bearer a"), ("x-api-key", "a")], ONE, false),
            (&[("x-api-key", "a")], ONE, false),
            (&[], ONE, false),
        ] {
            assert_eq!(clients.find(&headers(pairs), address) == bearer, is_same, "{pairs:?}");
        }
        let none = HeaderMap::new();
        assert_eq!(clients.find(&none, ONE), clients.find(&none, ONE));
        assert_ne!(clients.find(&none, ONE), clients.find(&none, OTHER));
        let by_address = ClientHashes::by(Vec::new());
        assert_eq!(by_address.find(&none, ONE), by_address.find(&headers(&[("authorization", "Bearer a")]), ONE));
        assert_ne!(ClientHashes::by(Vec::new()).find(&none, ONE), by_address.find(&none, ONE), "the hash has a key");
    }
}
