//! The limits of an upstream that its answers have shown. These limits are kept outside of the snapshot, so they
//! outlive reloads.
//!
//! The learnt limits only help to choose requests: proofs rest on the answers of each walk. Caps are kept per
//! [`LearningScope`] and peer, because they may differ by principal, path, filter and peer. Two of these may share a slot
//! by chance. A request may then ask for too many items once.

use std::{
    hash::{BuildHasher, Hash, Hasher, RandomState},
    net::SocketAddr,
    sync::atomic::{AtomicU8, AtomicU32, Ordering},
};

use crate::identity::Viewer;
use cursorgate_core::pagination::paging::UpstreamProfile;

/// The number of slots for the caps of a route's list.
const VIEWS: usize = 256;

/// With each page that shows a shorter tie run, or a smaller drift, the known number shrinks by one part in this number:
/// from 40 to 35, and then to 30.
const FORGOTTEN: u32 = 8;

/// The learnt limits of one route.
#[derive(Debug)]
pub struct Learning {
    /// The caps by scope and peer; 0 if unknown.
    caps: [AtomicU32; VIEWS],
    /// The length of the longest tie run. The length is a property of the data, so all scopes share it.
    run: AtomicU32,
    /// The number of items by which pages were lately found beside their places.
    drift: AtomicU32,
    /// The number of consecutive pages for which filters did not help.
    filters_in_vain: AtomicU8,
    /// The hash function of scopes. Its key is random, so clients can't choose which scopes share a slot.
    state: RandomState,
}

/// The scope of a cap: a hash of path, names of filters and principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LearningScope(u64);

/// The profile of an upstream before and after a page.
#[derive(Clone, Copy, Debug)]
pub struct LearntProfile {
    pub before: UpstreamProfile,
    pub after: UpstreamProfile,
}

impl Default for Learning {
    fn default() -> Self {
        Self {
            caps: std::array::from_fn(|_| AtomicU32::new(0)),
            run: AtomicU32::new(0),
            drift: AtomicU32::new(0),
            filters_in_vain: AtomicU8::new(0),
            state: RandomState::new(),
        }
    }
}

impl Learning {
    /// Returns the scope of requests of this client for a path, with these filters (`name=value&…`). The values of
    /// filters don't count.
    #[must_use]
    pub fn scope(&self, path: &str, filters: &str, viewer: Viewer<'_>) -> LearningScope {
        let mut hasher = self.state.build_hasher();
        path.hash(&mut hasher);
        for filter in filters.split('&') {
            filter.split('=').next().hash(&mut hasher);
        }
        // An upstream may have another cap for each principal, so the principal is a part of the scope. Test:
        // `caps_are_separated_by_path_filter_principal_and_peer`.
        viewer.hash_into(&mut hasher);
        LearningScope(hasher.finish())
    }

    /// Returns the known cap of a peer for requests of this scope; `None` if it is unknown.
    #[must_use]
    pub fn cap(&self, view: LearningScope, peer: SocketAddr) -> Option<u32> {
        Some(self.slot(view, peer).load(Ordering::Relaxed)).filter(|cap| *cap > 0)
    }

    fn slot(&self, view: LearningScope, peer: SocketAddr) -> &AtomicU32 {
        let hash = self.state.hash_one((view.0, peer));
        &self.caps[usize::try_from(hash % VIEWS as u64).unwrap_or_default()]
    }

    /// Returns the learnt limits, with this cap.
    #[must_use]
    pub fn read(&self, cap: Option<u32>) -> UpstreamProfile {
        UpstreamProfile {
            cap,
            run: self.run.load(Ordering::Relaxed),
            drift: Some(self.drift.load(Ordering::Relaxed)),
            filters_in_vain: self.filters_in_vain.load(Ordering::Relaxed),
        }
    }

    /// Adds the profile that a page from the answers of this peer has found. A cap that the page has found or refuted
    /// replaces the known cap of the peer, so a misread cap is forgotten. The length of a tie run and the drift grow at
    /// once and shrink step by step.
    pub fn add(&self, view: LearningScope, peer: Option<SocketAddr>, LearntProfile { before, after }: LearntProfile) {
        if let Some(peer) = peer.filter(|_| after.cap != before.cap) {
            self.slot(view, peer).store(after.cap.unwrap_or(0), Ordering::Relaxed);
        }
        self.filters_in_vain.store(after.filters_in_vain, Ordering::Relaxed);
        fade(&self.run, after.run);
        if let Some(drift) = after.drift {
            fade(&self.drift, drift);
        }
    }
}

/// Replaces a smaller known number by the one that a page has shown. A larger one shrinks by a part, because this page
/// needn't have shown the largest. Test: `long_runs_are_forgotten_step_by_step`.
fn fade(known: &AtomicU32, shown: u32) {
    let before = known.load(Ordering::Relaxed);
    let after = shown.max(before - before.div_ceil(FORGOTTEN));
    if after != before {
        // A concurrent update may be lost, which doesn't matter because the value is an estimate.
        known.store(after, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caps_are_separated_by_path_filter_principal_and_peer() {
        let learning = Learning::default();
        let principal = [http::header::AUTHORIZATION];
        let as_user = |user: &'static str| {
            http::HeaderMap::from_iter([(http::header::AUTHORIZATION, http::HeaderValue::from_static(user))])
        };
        let scope = |path, filters, user| {
            let headers = as_user(user);
            learning.scope(
                path,
                filters,
                Viewer { headers: &headers, known: None, told_apart_by: &principal, bound: &[], impersonal: &[] },
            )
        };
        let scopes: std::collections::HashSet<u64> = ["", "expand=x", "status=a", "status=a&expand=x"]
            .into_iter()
            .flat_map(|filters| ["/a", "/b"].map(|path| ["free", "pro"].map(|user| scope(path, filters, user).0)))
            .flatten()
            .collect();
        assert_eq!(scopes.len(), 16, "{scopes:?}");
        assert_eq!(scope("/a", "status=a", "free"), scope("/a", "status=b", "free"), "values are of one view");
        let (free, peer, unknown) = (scope("/a", "", "free"), ([192, 0, 2, 1], 80).into(), UpstreamProfile::default());
        let capped = UpstreamProfile { cap: Some(10), ..unknown };
        learning.add(free, Some(peer), LearntProfile { before: unknown, after: capped });
        assert_eq!(learning.cap(free, peer), Some(10));
        // The others have no cap, so the pages are requested without one, and a small page shows nothing about it.
        learning.add(free, Some(peer), LearntProfile { before: unknown, after: unknown });
        assert_eq!(learning.cap(free, peer), Some(10));
        learning.add(free, Some(peer), LearntProfile { before: capped, after: unknown });
        assert_eq!(learning.cap(free, peer), None, "a page has refuted it");
    }

    #[test]
    fn long_runs_are_forgotten_step_by_step() {
        let learning = Learning::default();
        let runs = [40, 40, 3, 3, 0, 400, u32::MAX, 0].map(|run| {
            let before = UpstreamProfile::default();
            learning.add(LearningScope(0), None, LearntProfile { before, after: UpstreamProfile { run, ..before } });
            learning.read(None).run
        });
        assert_eq!(runs, [40, 40, 35, 30, 26, 400, u32::MAX, u32::MAX - u32::MAX / 8 - 1]);
    }
}
