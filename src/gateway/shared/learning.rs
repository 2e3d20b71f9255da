//! The limits of an upstream that its answers have shown. These limits are kept outside of the snapshot, so they
//! outlive reloads.
//!
//! The learnt limits only help to choose requests: proofs rest on the answers of each walk. Caps are kept per
//! [`LearningScope`], because they may differ by principal, path and filter. Two scopes may share a slot by chance. A
//! request may then ask for too many items once.

use std::{
    hash::{BuildHasher, Hash, Hasher, RandomState},
    sync::atomic::{AtomicU8, AtomicU32, Ordering},
};

use crate::{gateway::identity::Viewer, pagination::paging::UpstreamProfile};

/// The number of slots for the caps of a route's list.
const VIEWS: usize = 256;

/// After each page without a tie run of the known length, the known length shrinks by one part in this number: from 40
/// to 35, and then to 31.
const FORGOTTEN: u32 = 8;

/// The learnt limits of one route.
#[derive(Debug)]
pub struct Learning {
    /// The caps by scope; 0 if unknown.
    caps: [AtomicU32; VIEWS],
    /// The length of the longest tie run. The length is a property of the data, so all scopes share it.
    run: AtomicU32,
    /// The number of consecutive pages for which filters did not help.
    filters_in_vain: AtomicU8,
    /// The hash function of scopes. Its key is random, so clients can't choose which scopes share a slot.
    state: RandomState,
}

/// The scope of a cap: the number of a slot, by a hash of path, names of filters and principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LearningScope(usize);

impl Default for Learning {
    fn default() -> Self {
        Self {
            caps: std::array::from_fn(|_| AtomicU32::new(0)),
            run: AtomicU32::new(0),
            filters_in_vain: AtomicU8::new(0),
            state: RandomState::new(),
        }
    }
}

impl Learning {
    /// Returns the scope of requests of this client for a path, with these filters (`name=value&…`). The values of
    /// filters don't count.
    #[must_use]
    pub(crate) fn scope(&self, path: &str, filters: &str, viewer: Viewer<'_>) -> LearningScope {
        let mut hasher = self.state.build_hasher();
        path.hash(&mut hasher);
        for filter in filters.split('&') {
            filter.split('=').next().hash(&mut hasher);
        }
        // An upstream may have another cap for each principal, so the principal is a part of the scope. Test:
        // `caps_are_separated_by_path_filter_and_principal`.
        viewer.hash_into(&mut hasher);
        LearningScope(usize::try_from(hasher.finish() % VIEWS as u64).unwrap_or_default())
    }

    /// Returns the learnt limits for requests of this scope.
    #[must_use]
    pub fn read(&self, view: LearningScope) -> UpstreamProfile {
        let cap = self.caps[view.0].load(Ordering::Relaxed);
        UpstreamProfile {
            cap: (cap > 0).then_some(cap),
            run: self.run.load(Ordering::Relaxed),
            filters_in_vain: self.filters_in_vain.load(Ordering::Relaxed),
        }
    }

    /// Adds the profile that a page has found. The cap of the profile replaces the known cap, even if the profile has
    /// no cap. So a misread cap is forgotten. The length of a tie run grows at once and shrinks step by step.
    pub fn add(&self, view: LearningScope, profile: UpstreamProfile) {
        self.caps[view.0].store(profile.cap.unwrap_or(0), Ordering::Relaxed);
        self.filters_in_vain.store(profile.filters_in_vain, Ordering::Relaxed);
        let known = self.run.load(Ordering::Relaxed);
        // The longest run might not be on this page, so only a part of its length is forgotten. Test:
        // `long_runs_are_forgotten_step_by_step`.
        let run = profile.run.max(known - known / FORGOTTEN);
        if run != known {
            // A concurrent update may be lost, which doesn't matter because the value is an estimate.
            self.run.store(run, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caps_are_separated_by_path_filter_and_principal() {
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
        let views: std::collections::HashSet<usize> = ["", "expand=x", "status=a", "status=a&expand=x"]
            .into_iter()
            .flat_map(|filters| ["/a", "/b"].map(|path| ["free", "pro"].map(|user| scope(path, filters, user).0)))
            .flatten()
            .collect();
        assert!(views.len() > 10, "{views:?}");
        assert_eq!(scope("/a", "status=a", "free"), scope("/a", "status=b", "free"), "values are of one view");
        let (free, capped) = (scope("/a", "", "free"), UpstreamProfile { cap: Some(10), ..UpstreamProfile::default() });
        learning.add(free, capped);
        assert_eq!(learning.read(free), capped);
        learning.add(free, UpstreamProfile::default());
        assert_eq!(learning.read(free), UpstreamProfile::default());
    }

    #[test]
    fn long_runs_are_forgotten_step_by_step() {
        let learning = Learning::default();
        let runs = [40, 40, 3, 3, 0, 400, u32::MAX, 0].map(|run| {
            learning.add(LearningScope(0), UpstreamProfile { run, ..UpstreamProfile::default() });
            learning.read(LearningScope(1)).run
        });
        assert_eq!(runs, [40, 40, 35, 31, 28, 400, u32::MAX, u32::MAX - u32::MAX / 8]);
    }
}
