//! What is in force: the one snapshot, behind the one swap.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::snapshot::Snapshot;

/// The snapshot that new requests take. Requests in flight keep the one that they began with.
#[derive(Debug)]
pub struct Live {
    snapshot: ArcSwap<Snapshot>,
}

impl Live {
    /// Begins with this snapshot.
    #[must_use]
    pub fn new(snapshot: Snapshot) -> Self {
        Self { snapshot: ArcSwap::from_pointee(snapshot) }
    }

    /// The snapshot for one request, to be kept to its end.
    #[must_use]
    pub fn pin(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Puts another snapshot in force.
    pub fn swap(&self, next: Snapshot) {
        self.snapshot.store(Arc::new(next));
    }
}
