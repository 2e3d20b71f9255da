//! Upkeep: the periodic work of the process. Upkeep resolves the names of upstreams again when their records expire,
//! makes health checks, maintains the history of the metrics, and checks whether the threads that serve clients are
//! blocked. In the shared store, upkeep publishes the counts of lists and reads the purges of pages.
//!
//! Upkeep runs in a separate task, so no request waits for it. Each round uses the snapshot in force, so a reload takes
//! effect within `INTERVAL`.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Vitals, board::Publication, pulse::PulseWatch, purges::PurgeReading};
use crate::{
    lifecycle::{live::Live, snapshot::Snapshot},
    net::{check::Checker, connection::Connections},
    outcome::metrics::STEP,
    routes::upstream::Upstream,
    runtime::{clock, service_manager},
    store::worker,
};

/// The interval between rounds, and so the shortest interval between health checks.
const INTERVAL: Duration = Duration::from_millis(100);

/// Repeats the upkeep for the configuration in force, for as long as the future is polled.
pub(super) async fn keep(live: &Live, connections: Arc<Connections>, vitals: &Vitals) -> Infallible {
    let checker = Arc::new(Checker::new(connections));
    let (mut watch, mut publication, mut reading) =
        (PulseWatch::default(), Publication::default(), PurgeReading::default());
    let mut stepped = clock::instant();
    loop {
        let snapshot = live.pin();
        for upstream in &snapshot.upstreams {
            tend(upstream, &checker);
        }
        // A reload may introduce a link to the store that has no worker yet. Test: `a_reload_changes_the_store`.
        if let Some(store) = &snapshot.store
            && let Err(error) = worker::begin(&store.link)
        {
            tracing::error!(%error, "the shared store is not used: its thread can't be started");
        }
        publication.keep(&snapshot, vitals.identity(), clock::unix_seconds());
        let now = clock::instant();
        reading.keep(&snapshot, now);
        if now.saturating_duration_since(stepped) >= STEP {
            stepped = now;
            step(&snapshot, now);
        }
        drop(snapshot);
        // The threads of a stopping process end before the process does. Without this condition, they would count as
        // blocked.
        if vitals.is_stopping() {
            service_manager::alive();
        } else {
            watch.look(vitals.pulse());
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Ends the current step of each metric's history.
fn step(snapshot: &Snapshot, now: Instant) {
    snapshot.routes.iter().map(|route| &route.metrics).chain([&snapshot.metrics]).for_each(|metrics| metrics.step(now));
    snapshot.upstreams.iter().for_each(|upstream| upstream.metrics.step(now));
}

/// Starts the look-ups and health checks of an upstream that are due. A name has at most one look-up at a time, and a
/// peer at most one check.
fn tend(upstream: &Arc<Upstream>, checker: &Arc<Checker>) {
    let now = clock::instant();
    for name in upstream.peers.names() {
        name.refresh(now);
    }
    for (name, check) in Checker::due(&upstream.peers, now) {
        let (upstream, checker) = (Arc::clone(upstream), Arc::clone(checker));
        tokio::spawn(async move { checker.check(&upstream.peers, name, check, &upstream.check_request()).await });
    }
}
