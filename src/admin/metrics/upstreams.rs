//! Metrics of upstreams: their requests, their load, and their peers.

use super::exposition::{Exposition, MetricKind};
use crate::gateway::routes::upstream::Upstream;

/// A family with one value for each upstream.
type UpstreamFamily = (MetricKind, &'static str, &'static str, fn(&Upstream) -> u64);

/// The families with one value for each upstream. Those for each peer have the labels `upstream` and `peer`, and belong
/// after them.
const FAMILIES: [UpstreamFamily; 5] = [
    (
        MetricKind::Gauge,
        "cursorgate_upstream_requests_in_flight",
        "Requests in flight to the upstream, at most its connections.",
        |upstream| count(upstream.slots.in_flight()),
    ),
    (
        MetricKind::Gauge,
        "cursorgate_upstream_requests_waiting",
        "Requests waiting for another one to end.",
        |upstream| count(upstream.slots.waiting()),
    ),
    (
        MetricKind::Counter,
        "cursorgate_upstream_requests_refused_total",
        "Requests refused because too many were waiting.",
        |upstream| upstream.slots.refused(),
    ),
    (
        MetricKind::Counter,
        "cursorgate_upstream_connect_failures_total",
        "Failed connections to peers of the upstream.",
        |upstream| upstream.peers.failures(),
    ),
    (
        MetricKind::Gauge,
        "cursorgate_upstream_peers_resting",
        "Peers of the upstream that rest because they can't be reached.",
        |upstream| count(upstream.peers.resting()),
    ),
];

/// Adds the metrics of upstreams.
pub(super) fn write<'u>(exposition: &mut Exposition, upstreams: &(impl Iterator<Item = &'u Upstream> + Clone)) {
    let help = "Time of requests to the upstream from their start, with the time for a connection, to the end of the \
                answer, by class of the status; none: there was no whole answer. Of forwarded requests it includes the time \
                that clients take to read the answer.";
    let name = "cursorgate_upstream_request_duration_seconds";
    let mut times = exposition.family(MetricKind::Histogram, name, &["upstream", "status"], help);
    for upstream in upstreams.clone() {
        for (class, counts) in upstream.metrics.durations() {
            times.times(&[&upstream.name, class], &counts);
        }
    }
    for (kind, name, help, value) in FAMILIES {
        let mut family = exposition.family(kind, name, &["upstream"], help);
        for upstream in upstreams.clone() {
            family.sample(&[&upstream.name], value(upstream));
        }
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
