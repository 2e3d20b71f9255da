//! The page cache of a route: its settings, and the rules by which pages are stored.

use std::{
    fmt::{self, Write as _},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use http::{
    HeaderName,
    header::{AUTHORIZATION, COOKIE},
};
use sha2::{Digest as _, Sha256};

use crate::{
    config::settings::{PageCacheSettings, RouteSettings, UpstreamSettings},
    cursor::KeyRing,
    downstream::response::caching::storing::StoringPolicy,
    gateway::identity::Viewer,
};

/// The settings of a route's page cache.
#[derive(Debug)]
pub struct RoutePages {
    pub(crate) settings: PageCacheSettings,
    /// A hash of all settings that determine a page. If a reload changes one of them, earlier pages are no longer
    /// found. Test: `a_reload_keeps_the_pages_of_routes_that_stay`.
    pub(crate) fingerprint: [u8; 32],
    /// The headers that identify the client for whom a page was made. Headers to which only cursors are bound don't
    /// identify clients, so they aren't included.
    pub(crate) principal: Vec<HeaderName>,
    /// The headers in the cache key: those of the principal, and those to which cursors are bound.
    pub(crate) keyed: Vec<HeaderName>,
    /// The number of prefetched pages that are being made.
    ahead: Arc<AtomicUsize>,
}

/// The largest number of a route's pages that are prefetched at a time. Further prefetches are dropped.
const MOST_AHEAD: usize = 32;

/// The right to prefetch one page. Dropping this value returns the right.
#[derive(Debug)]
pub(crate) struct PrefetchPlace(Arc<AtomicUsize>);

impl Drop for PrefetchPlace {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A hash into which settings are written as text.
struct SettingsHash(Sha256);

impl fmt::Write for SettingsHash {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}

impl RoutePages {
    /// Compiles the page cache of a route; `None` if the route has none.
    pub(crate) fn compile(route: &RouteSettings, upstream: Option<&UpstreamSettings>, keys: &KeyRing) -> Option<Self> {
        let list = route.list.as_ref()?;
        let settings = list.page_cache?;
        let mut hash = SettingsHash(Sha256::new());
        // Writing into a hash can't fail. `Debug` hides the signing key, which makes the cursors in the pages, so a
        // mark by the key represents it in the hash.
        let _ = write!(hash, "{route:?}{upstream:?}{keys:?}{}", keys.client_mark(b"page cache"));
        // `Debug` also hides the values of headers. Their bytes are therefore hashed, each value after its length,
        // which separates the values.
        for (_, secret) in upstream.iter().flat_map(|upstream| &upstream.headers) {
            hash.0.update((secret.reveal().len() as u64).to_le_bytes());
            hash.0.update(secret.reveal());
        }
        let mut principal = list.principal.clone();
        if settings.private {
            principal.extend([AUTHORIZATION, COOKIE].into_iter().filter(|name| !list.principal.contains(name)));
        }
        let mut keyed = principal.clone();
        keyed.extend(list.cursor.bind.iter().filter(|name| !principal.contains(name)).cloned());
        let (fingerprint, ahead) = (hash.0.finalize().into(), Arc::default());
        Some(Self { settings, fingerprint, principal, keyed, ahead })
    }

    /// Takes the right to prefetch a page; `None` if [`MOST_AHEAD`] pages are being prefetched.
    pub(crate) fn prefetch_place(&self) -> Option<PrefetchPlace> {
        let below = |taken: usize| (taken < MOST_AHEAD).then(|| taken + 1);
        let taken = self.ahead.fetch_update(Ordering::Relaxed, Ordering::Relaxed, below);
        taken.is_ok().then(|| PrefetchPlace(Arc::clone(&self.ahead)))
    }

    /// Returns the storing rules for a request of this client. With `private`, a page is stored for one client, so the
    /// client must have a name or a header of the principal.
    pub(crate) fn policy(&self, viewer: &Viewer<'_>) -> StoringPolicy {
        let headers = viewer.headers;
        let is_named = viewer.known.is_some() || self.principal.iter().any(|name| headers.contains_key(name));
        // Clients that no header identifies would share one client's page. Test:
        // `private_pages_are_kept_for_identified_clients_alone`.
        let keeps_private = self.settings.private && is_named;
        StoringPolicy { is_authorized: headers.contains_key(AUTHORIZATION), keeps_private }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::*;

    /// Row: A22
    #[test]
    fn private_pages_are_kept_for_identified_clients_alone() {
        let cache = |private| RoutePages {
            settings: PageCacheSettings {
                ttl: std::time::Duration::from_secs(1),
                stale_while_revalidate: std::time::Duration::ZERO,
                stale_if_error: std::time::Duration::ZERO,
                private,
                prefetch: false,
            },
            fingerprint: [0; 32],
            principal: vec![AUTHORIZATION, COOKIE],
            keyed: vec![AUTHORIZATION, COOKIE, http::header::ACCEPT_LANGUAGE],
            ahead: Arc::default(),
        };
        let headers = |name| HeaderMap::from_iter([(name, HeaderValue::from_static("x"))]);
        let of = |private, headers: &HeaderMap| {
            cache(private).policy(&Viewer { headers, known: None, told_apart_by: &[], bound: &[], impersonal: &[] })
        };
        let policy = |is_authorized, keeps_private| StoringPolicy { is_authorized, keeps_private };
        assert_eq!(of(true, &headers(AUTHORIZATION)), policy(true, true));
        assert_eq!(of(true, &headers(COOKIE)), policy(false, true));
        assert_eq!(of(true, &headers(http::header::ACCEPT_LANGUAGE)), policy(false, false));
        assert_eq!(of(false, &headers(AUTHORIZATION)), policy(true, false));
    }
}
