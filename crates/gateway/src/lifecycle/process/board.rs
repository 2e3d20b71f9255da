//! The publication of this process's counts of lists in the shared store. Every process's `/migration` then has the
//! counts of all processes. The counts are published as a whole under the name of the process, never as increments.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::Duration,
};

use crate::{
    lifecycle::snapshot::Snapshot,
    outcome::migration::board::{BEAT, KEPT, ListCounts, ProcessCounts},
};

/// The shortest time between two publications, in seconds.
const INTERVAL: u64 = 2;

/// The longest time for which the process waits for the store before it ends.
const LAST: Duration = Duration::from_millis(500);

/// The last publication.
#[derive(Debug, Default)]
pub(super) struct Publication {
    /// The time in seconds since 1970; 0 if no counts have been published.
    at: u64,
    /// A hash of the published counts.
    counts: u64,
}

impl Publication {
    /// Publishes the counts if they have changed, at most every [`INTERVAL`] seconds. Unchanged counts are published
    /// every [`BEAT`] seconds, to show that the process is running. `now` is in seconds since 1970.
    pub(super) fn keep(&mut self, snapshot: &Snapshot, process: &str, now: u64) {
        let Some(store) = snapshot.store.as_ref().filter(|store| store.link.is_up()) else {
            // A store that was down may have lost the counts. They are therefore published as soon as the store is up
            // again. Test: `a_board_that_is_lost_is_made_again`.
            *self = Self::default();
            return;
        };
        if now.saturating_sub(self.at) < INTERVAL {
            return;
        }
        let counts = counts(snapshot, now);
        let mut hasher = DefaultHasher::new();
        // The hash excludes the time of the counts, which is different each time.
        serde_json::to_vec(&counts.routes).unwrap_or_default().hash(&mut hasher);
        let hash = hasher.finish();
        if hash == self.counts && now.saturating_sub(self.at) < BEAT {
            return;
        }
        *self = Self { at: now, counts: hash };
        if let Some(bytes) = counts.write() {
            store.publish(process, &bytes, Duration::from_secs(KEPT), now);
        }
    }
}

/// Publishes the counts at the end of the process, marked as final. Waits for the store for at most [`LAST`].
pub(super) async fn publish_last(snapshot: &Snapshot, process: &str, now: u64) {
    if let Some(store) = snapshot.store.as_ref().filter(|store| store.link.is_up())
        && let Some(bytes) = counts(snapshot, now).ended().write()
    {
        let published = store.publish_last(process, &bytes, Duration::from_secs(KEPT), now);
        // After a timeout, the counts of the last publication stay in the store.
        let _ = tokio::time::timeout(LAST, published).await;
    }
}

/// Returns the counts of all lists at `now`, in seconds since 1970.
fn counts(snapshot: &Snapshot, now: u64) -> ProcessCounts {
    let lists = snapshot.routes.iter().filter_map(|route| Some((route, route.described_list()?)));
    let routes: BTreeMap<String, ListCounts> =
        lists.map(|(route, list)| (route.name.clone(), ListCounts::of(&list.usage, &route.metrics, now))).collect();
    ProcessCounts { at: now, ended: false, routes }
}
