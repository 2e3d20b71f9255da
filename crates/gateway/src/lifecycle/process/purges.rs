//! The reading of other processes' purges from the shared store, every second. The memory of this process drops the
//! purged pages soon after a purge. Purges of this process that the store lacks are written as soon as the store is up.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinHandle;

use crate::lifecycle::snapshot::Snapshot;

/// The interval between readings. A page in memory can outlive a purge by another process for about this time.
const INTERVAL: Duration = Duration::from_secs(1);

/// The state of the readings, of which at most one runs at a time.
#[derive(Debug, Default)]
pub(super) struct PurgeReading {
    /// The start of the last reading; `None` before the first one.
    begun: Option<Instant>,
    /// `true` if the last call found the store up.
    was_up: bool,
    under_way: Option<JoinHandle<()>>,
    /// `true` if the log has reported that pages aren't shared, and hasn't reported yet that they are shared again.
    is_told: Arc<AtomicBool>,
}

impl PurgeReading {
    /// Starts a reading of the purges if the interval has passed, or if the store has just become available. Does
    /// nothing while the store is down or another reading is running.
    pub(super) fn keep(&mut self, snapshot: &Arc<Snapshot>, now: Instant) {
        let (Some(store), Some(_)) = (&snapshot.store, &snapshot.pages) else { return };
        let is_up = store.link.is_up();
        // Purges that the store lacks are written without waiting for the interval. Test:
        // `a_purge_that_the_store_could_not_take_is_not_lost`.
        let has_risen = self.has_risen(is_up);
        let is_due = has_risen || self.begun.is_none_or(|begun| now.saturating_duration_since(begun) >= INTERVAL);
        if !is_up || !is_due || self.under_way.as_ref().is_some_and(|reading| !reading.is_finished()) {
            return;
        }
        self.begun = Some(now);
        let (snapshot, is_told) = (Arc::clone(snapshot), Arc::clone(&self.is_told));
        self.under_way = Some(tokio::spawn(async move {
            if let (Some(store), Some(pages)) = (&snapshot.store, &snapshot.pages) {
                store.follow_purges(&pages.others).await;
                tell(store.link.is_up(), pages.others.count().is_some(), &is_told);
            }
        }));
    }

    /// Records whether the store is up, and returns whether it has become available since the last call.
    fn has_risen(&mut self, is_up: bool) -> bool {
        let was_up = std::mem::replace(&mut self.was_up, is_up);
        is_up && !was_up
    }
}

/// Logs once that pages aren't shared, and once that they are shared again. A store that is down has separate log
/// lines.
fn tell(is_up: bool, is_shared: bool, is_told: &AtomicBool) {
    if is_up && !is_shared && !is_told.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            "pages are not shared: the shared store does not report purges; its user may lack a right of \
             docs/shared-store.md"
        );
    }
    if is_shared && is_told.swap(false, Ordering::Relaxed) {
        tracing::info!("pages are shared again");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A store that is lost and comes back, twice.
    #[test]
    fn each_return_of_the_store_is_noticed() {
        let mut reading = PurgeReading::default();
        let calls = [false, true, true, false, true, false, false, true];
        let risen = calls.map(|is_up| reading.has_risen(is_up));
        assert_eq!(risen, [false, true, false, false, true, false, false, true]);
    }
}
