//! Who the client of a request is. Everything that tells clients apart asks here: the page cache, remembered items,
//! learnt limits, rate limits, the limits of requests in flight, and the services.
//!
//! A request is one of three things:
//!
//! - **Named**: the route's `identity` finds the client in the request ([`rules`]). The client is then a [`KnownClient`],
//!   whatever else the request contains.
//! - **Told apart by headers**: by those of `principal`. This is the case without `identity`, and for a request that
//!   `identity` doesn't name, such as one with a token that isn't valid. So nothing that a client invents opens what was
//!   stored for a client that is named.
//! - **Unknown**: a header might identify the client, and nothing says that it does ([`headers`]). Nothing is shared
//!   with such a request.

pub mod answers;
mod exact;
pub mod headers;
pub mod rules;
pub mod tokens;

use std::hash::{Hash as _, Hasher};

use http::{
    HeaderMap, HeaderName,
    header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION},
};

/// A client that `identity` has found in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownClient {
    /// A SHA-256 of everything that names the client.
    pub name: [u8; 32],
    /// `true` if the name is proven: by a signature, by a certificate, or by the upstream's own answer. Other credentials
    /// of the request then say nothing more about who the client is.
    pub is_verified: bool,
    /// The headers of which the name contains what matters.
    pub covered: Vec<HeaderName>,
}

impl KnownClient {
    /// Returns whether a header says nothing about the client that its name doesn't say.
    pub fn covers(&self, name: &HeaderName) -> bool {
        self.covered.contains(name) || (self.is_verified && [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION].contains(name))
    }

    /// Returns the headers of a request that might decide what the client sees, although they don't say who it is,
    /// sorted by their names. Example: the `X-Tenant-Id` of a user who belongs to two tenants.
    /// `impersonal` are further headers that do neither.
    pub fn beside<'h>(&self, headers: &'h HeaderMap, impersonal: &[HeaderName]) -> Vec<(&'h str, &'h [u8])> {
        let decides = |name: &HeaderName| !headers::is_impersonal(name, impersonal) && !self.covers(name);
        let beside = headers.iter().filter(|(name, _)| decides(name));
        let mut beside: Vec<(&str, &[u8])> = beside.map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        // The sort is stable: the values of a repeated header keep their order, which can matter.
        beside.sort_by_key(|(name, _)| *name);
        beside
    }
}

/// The client of a request, as caches tell clients apart.
#[derive(Clone, Copy, Debug)]
pub struct Viewer<'r> {
    pub headers: &'r HeaderMap,
    /// The client that `identity` has found; `None` if headers tell the client apart.
    pub known: Option<&'r KnownClient>,
    /// The headers that tell clients apart.
    pub told_apart_by: &'r [HeaderName],
    /// The headers to which cursors are bound. They count for clients with a name, too.
    pub bound: &'r [HeaderName],
    /// The headers that say nothing about a person, in addition to those of the list in [`headers`].
    pub impersonal: &'r [HeaderName],
}

impl Viewer<'_> {
    /// Returns whether something may be stored for this request, and used for other requests of the same viewer.
    /// `is_public` says that all clients see the same list.
    pub fn is_certain(&self, is_public: bool) -> bool {
        is_public || self.doubt().is_none()
    }

    /// Returns the first header that might identify the client, without which nothing can be shared; `None` if there is
    /// no such header.
    pub fn doubt(&self) -> Option<&HeaderName> {
        match self.known {
            None => headers::unknown(self.headers, self.told_apart_by, self.impersonal),
            Some(known) if known.is_verified => None,
            // Test: `a_name_that_nobody_verified_hides_no_other_header`.
            Some(known) => self
                .headers
                .keys()
                .find(|name| !known.covers(name) && !self.bound.contains(name) && !self.is_impersonal(name)),
        }
    }

    fn is_impersonal(&self, name: &HeaderName) -> bool {
        headers::is_impersonal(name, self.impersonal)
    }

    /// Passes everything that tells this viewer apart to `add`, part by part. Two viewers with the same parts see the
    /// same lists. The caller writes each part so that its end is known.
    pub fn parts(&self, mut add: impl FnMut(&[u8])) {
        let add_headers = |names: &[HeaderName], add: &mut dyn FnMut(&[u8])| {
            add(&(names.len() as u64).to_le_bytes());
            for name in names {
                // The name is a part too: another process with the same store may tell its clients apart by another
                // header that has the same value. Test: `an_item_is_found_from_its_own_scope_alone`.
                add(name.as_str().as_bytes());
                let values = self.headers.get_all(name);
                // With their number, a value can't be taken for the name of the next header.
                add(&u16::try_from(values.iter().count()).unwrap_or(u16::MAX).to_le_bytes());
                values.iter().for_each(|value| add(value.as_bytes()));
            }
        };
        let Some(known) = self.known else { return add_headers(self.told_apart_by, &mut add) };
        // A number of headers has eight bytes, so these parts are never those of a client without a name.
        add(b"identity");
        add(b"");
        add(&known.name);
        add_headers(self.bound, &mut add);
        let beside = if known.is_verified { known.beside(self.headers, self.impersonal) } else { Vec::new() };
        for (name, value) in beside {
            add(name.as_bytes());
            add(value);
        }
    }

    /// Hashes what tells this viewer apart, where a coincidence does no harm.
    pub fn hash_into(&self, hasher: &mut impl Hasher) {
        let names = match self.known {
            None => self.told_apart_by,
            Some(known) => {
                hasher.write(&known.name);
                self.bound
            }
        };
        for (place, name) in names.iter().enumerate() {
            self.headers.get_all(name).iter().for_each(|value| (place, value.as_bytes()).hash(hasher));
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    fn known(is_verified: bool, covered: HeaderName) -> KnownClient {
        KnownClient { name: [7; 32], is_verified, covered: vec![covered] }
    }

    fn parts(known: Option<&KnownClient>, headers: &HeaderMap) -> Vec<Vec<u8>> {
        let mut parts = Vec::new();
        let viewer = Viewer { headers, known, told_apart_by: &[AUTHORIZATION, COOKIE], bound: &[], impersonal: &[] };
        viewer.parts(|part| parts.push(part.to_vec()));
        parts
    }

    #[test]
    fn a_name_that_nobody_verified_hides_no_other_header() {
        let user = HeaderName::from_static("x-user");
        let doubt = |is_verified, headers: &HeaderMap| {
            let known = known(is_verified, HeaderName::from_static("x-user"));
            let viewer =
                Viewer { headers, known: Some(&known), told_apart_by: &[AUTHORIZATION], bound: &[], impersonal: &[] };
            viewer.doubt().cloned()
        };
        assert_eq!(doubt(false, &of(&[("x-user", "a"), ("user-agent", "b")])), None);
        let with_token = of(&[("x-user", "a"), ("authorization", "b")]);
        assert_eq!(doubt(false, &with_token), Some(AUTHORIZATION));
        assert_eq!(doubt(true, &with_token), None);
        let without =
            Viewer { headers: &with_token, known: None, told_apart_by: &[AUTHORIZATION], bound: &[], impersonal: &[] };
        assert_eq!(without.doubt(), Some(&user));
        assert!(without.is_certain(true));
    }

    #[test]
    fn a_verified_client_is_told_apart_by_its_name_and_by_what_else_might_select_its_lists() {
        let known = known(true, AUTHORIZATION);
        let one = of(&[("authorization", "Bearer 1"), ("cookie", "_ga=1"), ("x-tenant-id", "a")]);
        let renewed = of(&[("authorization", "Bearer 2"), ("cookie", "_ga=2"), ("x-tenant-id", "a")]);
        let elsewhere = of(&[("authorization", "Bearer 1"), ("cookie", "_ga=1"), ("x-tenant-id", "b")]);
        assert_eq!(parts(Some(&known), &one), parts(Some(&known), &renewed));
        assert_ne!(parts(Some(&known), &one), parts(Some(&known), &elsewhere));
        assert_ne!(parts(Some(&known), &one), parts(None, &one));
        let other = KnownClient { name: [8; 32], ..known.clone() };
        assert_ne!(parts(Some(&known), &one), parts(Some(&other), &one));
    }
}
