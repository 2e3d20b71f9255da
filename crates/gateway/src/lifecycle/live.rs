//! The snapshot in force, which a reload replaces as a whole.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::snapshot::Snapshot;

/// The holder of the snapshot in force. A request takes the snapshot when it begins, and keeps this snapshot even if a
/// reload replaces it in the holder.
#[derive(Debug)]
pub struct Live {
    snapshot: ArcSwap<Snapshot>,
}

impl Live {
    /// Creates a holder with a first snapshot.
    #[must_use]
    pub fn new(snapshot: Snapshot) -> Self {
        Self { snapshot: ArcSwap::from_pointee(snapshot) }
    }

    /// Returns the snapshot in force. A request calls this once, and keeps the result until its end.
    #[must_use]
    pub fn pin(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Replaces the snapshot for new requests. The log has only the first finding of each kind on a route; after this
    /// call, findings are logged anew.
    pub fn swap(&self, next: Snapshot) {
        for metrics in next.routes.iter().map(|route| &route.metrics).chain([&next.metrics]) {
            metrics.findings().forget();
        }
        self.snapshot.store(Arc::new(next));
    }
}
