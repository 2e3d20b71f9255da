//! The snapshot in force: the one `ArcSwap` for configuration.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::snapshot::Snapshot;

/// The snapshot that new requests take. A request in flight keeps the snapshot that it began with.
#[derive(Debug)]
pub struct Live {
    snapshot: ArcSwap<Snapshot>,
}

impl Live {
    /// Starts with this snapshot.
    #[must_use]
    pub fn new(snapshot: Snapshot) -> Self {
        Self { snapshot: ArcSwap::from_pointee(snapshot) }
    }

    /// Returns the snapshot for one request, which keeps it to its end.
    #[must_use]
    pub fn pin(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Replaces the snapshot for new requests. What the log has told of routes is told anew.
    pub fn swap(&self, next: Snapshot) {
        for metrics in next.routes.iter().map(|route| &route.metrics).chain([&next.metrics]) {
            metrics.findings().forget();
        }
        self.snapshot.store(Arc::new(next));
    }
}
