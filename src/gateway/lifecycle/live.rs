//! The snapshot in force. A reload replaces it as a whole.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::snapshot::Snapshot;

/// The holder of the snapshot in force. New requests take it; a request in flight keeps the snapshot that it began
/// with.
#[derive(Debug)]
pub struct Live {
    snapshot: ArcSwap<Snapshot>,
}

impl Live {
    /// Puts a first snapshot in force.
    #[must_use]
    pub fn new(snapshot: Snapshot) -> Self {
        Self { snapshot: ArcSwap::from_pointee(snapshot) }
    }

    /// Returns the snapshot in force. A request calls this once, and keeps the result to its end.
    #[must_use]
    pub fn pin(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Replaces the snapshot for new requests. Findings on routes, of which the log has only the first of a kind, are
    /// logged anew.
    pub fn swap(&self, next: Snapshot) {
        for metrics in next.routes.iter().map(|route| &route.metrics).chain([&next.metrics]) {
            metrics.findings().forget();
        }
        self.snapshot.store(Arc::new(next));
    }
}
