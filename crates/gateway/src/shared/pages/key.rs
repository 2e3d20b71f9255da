//! Keys of entries in the page cache: hashes of everything that decides what a client may see, the principal first.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{ACCEPT, ACCEPT_ENCODING},
};
use sha2::{Digest, Sha256};

use crate::identity::{Viewer, headers::negotiating};

/// The key of an entry: the first 128 bits of a SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeptKey(u128);

impl std::fmt::Debug for KeptKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("KeptKey(…)")
    }
}

/// The parts with which all keys of a request begin.
#[derive(Clone, Copy)]
pub struct KeptScopeParts<'a> {
    /// The client for whom entries are.
    pub viewer: Viewer<'a>,
    pub route: &'a str,
    /// All headers of the request. Those by which the client negotiates count.
    pub headers: &'a HeaderMap,
    /// A hash of the route's settings, which a reload may have changed.
    pub settings: &'a [u8; 32],
    /// The host as the request names it. Upstreams get the host, and may write it into their items, so a made-up host
    /// must lead to an entry of its own. Test: `a_page_cached_for_a_made_up_host_is_served_only_for_that_host`.
    pub host: &'a str,
    /// The public address at which the gateway was reached, according to the client or a trusted proxy. Upstreams may
    /// write this address into their items, too.
    pub reached: &'a str,
}

/// The parts of a page's key in addition to the parts of its scope.
#[derive(Clone, Copy)]
pub struct PageKeyParts<'a> {
    /// The address with which links begin.
    pub address: &'a str,
    /// The path as the client sent it, from which its normal form follows.
    pub path: &'a str,
    /// The query as the client sent it, with the position, the limit, the order, the filters and private parameters.
    /// Two spellings of a query have different keys, because the page's link to itself repeats the spelling.
    pub query: Option<&'a str>,
    /// The name of the chosen convention.
    pub convention: &'a str,
    /// True if the convention was chosen by a preference (`Prefer`), which the response confirms.
    pub by_preference: bool,
    /// The limit that `Prefer` sets, as the client sent it; `None` if it sets no limit.
    pub preferred_limit: Option<&'a str>,
    pub body: Option<&'a [u8]>,
}

/// The parts of an answer's key in addition to the parts of its scope: the request to the upstream, without the
/// client's own headers.
#[derive(Clone, Copy)]
pub struct AnswerKeyParts<'a> {
    pub method: &'a str,
    /// The path and the query.
    pub target: (&'a str, &'a str),
    /// The headers that the dialect adds.
    pub headers: &'a [(HeaderName, HeaderValue)],
    pub body: Option<&'a [u8]>,
}

/// The scope of entries: a hash that isn't finished yet. An entry of one scope isn't found from another scope.
#[derive(Clone)]
pub struct KeptScope(Sha256);

impl std::fmt::Debug for KeptScope {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("KeptScope(…)")
    }
}

/// A hash of parts, each preceded by its length. So different lists of parts, such as (`ab`, `c`) and (`a`, `bc`),
/// never hash the same bytes.
struct KeyHash(Sha256);

impl KeyHash {
    fn add(&mut self, bytes: &[u8]) {
        self.add_length(bytes.len());
        self.0.update(bytes);
    }

    /// Adds a number with seven bits a byte, the lowest first; a set highest bit says that more follow. Most lengths
    /// take a byte, and a hash costs by its bytes.
    fn add_length(&mut self, mut length: usize) {
        loop {
            let [low, ..] = length.to_le_bytes();
            length >>= 7;
            if length == 0 {
                return self.0.update([low]);
            }
            self.0.update([low | 0x80]);
        }
    }

    fn add_optional(&mut self, bytes: Option<&[u8]>) {
        // The presence of the part is hashed, so an absent part differs from an empty part. Test:
        // `no_page_is_found_from_another_scope_or_by_another_request`.
        self.0.update([u8::from(bytes.is_some())]);
        self.add(bytes.unwrap_or_default());
    }

    fn add_headers(&mut self, names: &[HeaderName], headers: &HeaderMap) {
        self.add_length(names.len());
        for name in names {
            self.add(name.as_str().as_bytes());
            let values = headers.get_all(name);
            // The number of values is hashed, so two values of one header differ from one value of each of two headers.
            self.add_length(values.iter().count());
            values.iter().for_each(|value| self.add(value.as_bytes()));
        }
    }

    fn key(self) -> KeptKey {
        let digest = self.0.finalize();
        let mut first = [0; 16];
        first.copy_from_slice(&digest[..16]);
        KeptKey(u128::from_le_bytes(first))
    }
}

impl KeptScope {
    /// Computes the scope of these parts.
    pub fn new(parts: KeptScopeParts<'_>) -> Self {
        let mut hash = KeyHash(Sha256::new());
        // The client is hashed, so a client never finds an entry of another one. Test:
        // `two_tenants_see_their_own_lists_with_caches_and_without`.
        parts.viewer.parts(|part| hash.add(part));
        hash.add(parts.route.as_bytes());
        hash.add(parts.settings);
        hash.add(parts.host.as_bytes());
        hash.add(parts.reached.as_bytes());
        // The gateway writes these two itself, and the convention that they choose is a part of the page's key. Test:
        // `readers_of_different_languages_share_no_page`.
        let own = [ACCEPT.as_str(), ACCEPT_ENCODING.as_str()];
        for (name, value) in negotiating(parts.headers).into_iter().filter(|(name, _)| !own.contains(name)) {
            hash.add(name.as_bytes());
            hash.add(value);
        }
        Self(hash.0)
    }

    /// Returns the key of the page that a request of this scope gets, before the headers by which pages differ are
    /// added ([`KeptKey::varied`]).
    pub fn page(&self, parts: PageKeyParts<'_>) -> KeptKey {
        let mut hash = KeyHash(self.0.clone());
        // The kind of the entry is hashed, so an answer of an upstream is never found as a page.
        hash.add(b"page");
        hash.add(parts.address.as_bytes());
        hash.add(parts.path.as_bytes());
        hash.add_optional(parts.query.map(str::as_bytes));
        hash.add(parts.convention.as_bytes());
        hash.add(&[u8::from(parts.by_preference)]);
        hash.add_optional(parts.preferred_limit.map(str::as_bytes));
        hash.add_optional(parts.body);
        hash.key()
    }

    /// Returns the key of the upstream's answer to a request of this scope.
    pub fn answer(&self, parts: AnswerKeyParts<'_>) -> KeptKey {
        let mut hash = KeyHash(self.0.clone());
        hash.add(b"answer");
        hash.add(parts.method.as_bytes());
        hash.add(parts.target.0.as_bytes());
        hash.add(parts.target.1.as_bytes());
        for (name, value) in parts.headers {
            hash.add(name.as_str().as_bytes());
            hash.add(value.as_bytes());
        }
        hash.add_optional(parts.body);
        hash.key()
    }
}

impl KeptKey {
    /// Returns the bytes of the key, for the shared store.
    pub fn bytes(self) -> [u8; 16] {
        self.0.to_le_bytes()
    }

    /// Returns the key for the values of these request headers, by which pages differ; the same key if `names` is
    /// empty.
    pub fn varied(self, names: &[HeaderName], headers: &HeaderMap) -> Self {
        if names.is_empty() {
            return self;
        }
        let mut hash = KeyHash(Sha256::new());
        hash.add(&self.0.to_le_bytes());
        hash.add_headers(names, headers);
        hash.key()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn viewer<'r>(headers: &'r HeaderMap, told_apart_by: &'r [HeaderName]) -> Viewer<'r> {
        Viewer { headers, known: None, told_apart_by, bound: &[], impersonal: &[] }
    }

    const PAGE: PageKeyParts<'_> = PageKeyParts {
        address: "https://a",
        path: "/users",
        query: Some("limit=1"),
        convention: "standard",
        by_preference: false,
        preferred_limit: None,
        body: None,
    };

    /// Every part that decides what a client may see changes the key.
    ///
    /// Row: A22
    #[test]
    fn no_page_is_found_from_another_scope_or_by_another_request() {
        let none = HeaderMap::new();
        let principal = [http::header::AUTHORIZATION, http::header::COOKIE];
        let base = KeptScopeParts {
            viewer: viewer(&none, &principal),
            route: "one",
            headers: &none,
            settings: &[7; 32],
            host: "a",
            reached: "b",
        };
        let views = [
            headers(&[("authorization", "x")]),
            headers(&[("authorization", "")]),
            headers(&[("cookie", "x")]),
            headers(&[("cookie", "x"), ("cookie", "x")]),
            headers(&[("authorization", "x"), ("cookie", "x")]),
            headers(&[("authorization", "xcookie")]),
        ];
        let negotiated = [("accept-language", "de"), ("accept-charset", "de"), ("prefer", "de")];
        let negotiated = negotiated.map(|pair| headers(&[pair]));
        let mut scopes = vec![
            base,
            KeptScopeParts { viewer: viewer(&none, &principal[..1]), ..base },
            KeptScopeParts { route: "onea", host: "", ..base },
            KeptScopeParts { settings: &[8; 32], ..base },
            KeptScopeParts { host: "b", ..base },
            KeptScopeParts { reached: "c", ..base },
            KeptScopeParts { host: "ab", reached: "", ..base },
        ];
        scopes.extend(negotiated.iter().map(|headers| KeptScopeParts { headers, ..base }));
        scopes.extend(views.iter().map(|view| KeptScopeParts { viewer: viewer(view, &principal), ..base }));
        let pages = [
            PAGE,
            PageKeyParts { address: "", ..PAGE },
            PageKeyParts { path: "/users/", ..PAGE },
            PageKeyParts { query: None, ..PAGE },
            PageKeyParts { query: Some(""), ..PAGE },
            PageKeyParts { query: Some("limit=2"), ..PAGE },
            PageKeyParts { query: Some("limit=1&cursor=x"), ..PAGE },
            PageKeyParts { convention: "relay", ..PAGE },
            PageKeyParts { by_preference: true, ..PAGE },
            PageKeyParts { preferred_limit: Some("5"), ..PAGE },
            PageKeyParts { body: Some(b""), ..PAGE },
            PageKeyParts { body: Some(b"{}"), ..PAGE },
        ];
        let mut known = std::collections::HashSet::new();
        for scope in &scopes {
            for page in &pages {
                assert!(known.insert(KeptScope::new(*scope).page(*page)), "{:?} {:?}", scope.viewer, page.query);
            }
        }
        let unlike = headers(&[("accept", "x")]);
        let same = KeptScopeParts { viewer: viewer(&unlike, &principal), headers: &unlike, ..base };
        let same = KeptScope::new(same).page(PAGE);
        assert!(!known.insert(same), "a header that is not a credential decides nothing");
    }

    /// Row: A22
    #[test]
    fn keys_of_cached_pages_differ_by_the_headers_in_vary() {
        let none = HeaderMap::new();
        let viewer = viewer(&none, &[]);
        let base = KeptScopeParts { viewer, route: "one", headers: &none, settings: &[7; 32], host: "", reached: "" };
        let key = KeptScope::new(base).page(PAGE);
        let language = [http::header::ACCEPT_LANGUAGE];
        let keys: std::collections::HashSet<KeptKey> = [
            key,
            key.varied(&language, &none),
            key.varied(&language, &headers(&[("accept-language", "")])),
            key.varied(&language, &headers(&[("accept-language", "de")])),
            key.varied(&language, &headers(&[("accept-language", "d"), ("accept-language", "e")])),
            key.varied(&[http::header::ORIGIN], &headers(&[("origin", "de")])),
        ]
        .into();
        assert_eq!(keys.len(), 6);
        assert_eq!(key.varied(&[], &headers(&[("origin", "de")])), key);
        let answer = AnswerKeyParts { method: "GET", target: ("/users", "offset=0"), headers: &[], body: None };
        let range = [(http::header::RANGE, HeaderValue::from_static("items=0-9"))];
        let scope = KeptScope::new(base);
        let answers: std::collections::HashSet<KeptKey> = [
            answer,
            AnswerKeyParts { method: "POST", ..answer },
            AnswerKeyParts { target: ("/users", "offset=1"), ..answer },
            AnswerKeyParts { target: ("/users?offset=0", ""), ..answer },
            AnswerKeyParts { headers: &range, ..answer },
            AnswerKeyParts { body: Some(b"{}"), ..answer },
        ]
        .map(|parts| scope.answer(parts))
        .into();
        assert_eq!(answers.len(), 6);
    }
}
