//! Upkeep of upstreams: names are resolved again when their records expire, and health checks are made.
//!
//! A task of its own does this, so that no request waits for it. It looks at the snapshot in force, so a reload takes
//! effect within the interval.

use std::{convert::Infallible, sync::Arc, time::Duration};

use crate::{
    gateway::{lifecycle::live::Live, routes::upstream::Upstream, runtime::clock},
    upstream::net::check::Checker,
};

/// The interval at which upkeep looks at what is due. Health checks are not more frequent than that.
const INTERVAL: Duration = Duration::from_millis(100);

/// Keeps the upstreams of the configuration in force.
pub(crate) async fn keep(live: &Live) -> Infallible {
    let checker = Arc::new(Checker::default());
    loop {
        for upstream in &live.pin().upstreams {
            tend(upstream, &checker);
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Begins all that is due. A name is resolved once at a time, and a peer is checked once at a time.
fn tend(upstream: &Arc<Upstream>, checker: &Arc<Checker>) {
    let now = clock::instant();
    for name in upstream.peers.names() {
        name.refresh(now);
    }
    for due in Checker::due(&upstream.peers, now) {
        let (upstream, checker) = (Arc::clone(upstream), Arc::clone(checker));
        tokio::spawn(async move { checker.check(&upstream.peers, due, &upstream.check_request()).await });
    }
}
