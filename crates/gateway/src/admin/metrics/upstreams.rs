//! Metrics of upstreams: their requests, their load, and their peers.

use super::exposition::{Exposition, MetricKind};
use crate::{
    net::{
        connection::Connections,
        peers::{name::PeerName, peer::Peer},
    },
    routes::upstream::Upstream,
};

/// A family with one value for each upstream.
type UpstreamFamily = (MetricKind, &'static str, &'static str, fn(&Upstream) -> u64);

/// A family with one value for each peer.
type PeerFamily = (MetricKind, &'static str, &'static str, fn(&Peer) -> String);

/// The families with one value for each upstream.
const FAMILIES: [UpstreamFamily; 9] = [
    (
        MetricKind::Gauge,
        "cursorgate_upstream_requests_in_flight",
        "Requests in flight to the upstream, at most its connections.",
        |upstream| count(upstream.slots.in_flight()),
    ),
    (
        MetricKind::Gauge,
        "cursorgate_upstream_requests_limit",
        "Limit of the requests in flight; it adapts itself unless `connections` is set.",
        |upstream| count(upstream.slots.limit()),
    ),
    (
        MetricKind::Gauge,
        "cursorgate_upstream_requests_waiting",
        "Requests that wait for another request to the upstream to end.",
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
        "Peers of the upstream that are skipped because they are unhealthy.",
        |upstream| count(upstream.peers.resting()),
    ),
    (
        MetricKind::Gauge,
        "cursorgate_upstream_names_unresolved",
        "Names of peers whose last resolution failed. Their known addresses stay in use.",
        |upstream| count(upstream.peers.names().iter().filter(|name| is_unresolved(name)).count()),
    ),
    (MetricKind::Counter, "cursorgate_upstream_retries_total", "Retries of requests that only read.", |upstream| {
        upstream.peers.budget().made()
    }),
    (
        MetricKind::Counter,
        "cursorgate_upstream_retries_refused_total",
        "Retries that the budget (retries.share) did not permit.",
        |upstream| upstream.peers.budget().refused(),
    ),
];

/// The families with one value for each peer.
const PEER_FAMILIES: [PeerFamily; 7] = [
    (MetricKind::Gauge, "cursorgate_upstream_peer_healthy", "1 if the peer is healthy, 0 if it is skipped.", |peer| {
        u8::from(peer.report().reason.is_none()).to_string()
    }),
    (MetricKind::Gauge, "cursorgate_upstream_peer_requests_in_flight", "Requests in flight to the peer.", |peer| {
        peer.in_flight().to_string()
    }),
    (
        MetricKind::Counter,
        "cursorgate_upstream_peer_requests_total",
        "Requests to the peer, with retries and health checks.",
        |peer| peer.counts().requests.to_string(),
    ),
    (
        MetricKind::Counter,
        "cursorgate_upstream_peer_lost_total",
        "Requests on kept connections to the peer that nothing acknowledged.",
        |peer| peer.lost().to_string(),
    ),
    (MetricKind::Counter, "cursorgate_upstream_peer_failures_total", "Requests that the peer failed.", |peer| {
        peer.counts().failures.to_string()
    }),
    (
        MetricKind::Counter,
        "cursorgate_upstream_peer_answers_total",
        "Answers of the peer that it did not fail, whose time is in cursorgate_upstream_peer_answer_seconds_total.",
        |peer| peer.counts().answers.to_string(),
    ),
    (
        MetricKind::Counter,
        "cursorgate_upstream_peer_answer_seconds_total",
        "Time to the end of these answers, and to the head of forwarded ones.",
        |peer| peer.counts().took.as_secs_f64().to_string(),
    ),
];

/// Adds the counter of upstream connections that were closed because bytes followed the end of an answer.
pub(super) fn connections(exposition: &mut Exposition, connections: &Connections) {
    let help = "Connections to upstreams closed because bytes followed the end of an answer.";
    exposition.counter("cursorgate_upstream_surplus_total", help, connections.with_surplus());
}

/// Adds the metrics of upstreams and of their peers.
pub(super) fn write<'u>(exposition: &mut Exposition, upstreams: &(impl Iterator<Item = &'u Upstream> + Clone)) {
    let help = "Time of requests to the upstream to the end of the answer, by class of the status; none: there was no \
                whole answer.";
    let name = "cursorgate_upstream_request_duration_seconds";
    let mut times = exposition.family(MetricKind::Histogram, name, &["upstream", "status"], help);
    for upstream in upstreams.clone() {
        for (class, counts) in upstream.metrics.durations() {
            times.times(&[&upstream.name, class], counts);
        }
    }
    for (kind, name, help, value) in FAMILIES {
        let mut family = exposition.family(kind, name, &["upstream"], help);
        for upstream in upstreams.clone() {
            family.sample(&[&upstream.name], value(upstream));
        }
    }
    // Peers whose addresses are no longer in DNS are left out, so the number of series does not grow.
    for (kind, name, help, value) in PEER_FAMILIES {
        let mut family = exposition.family(kind, name, &["upstream", "peer"], help);
        for upstream in upstreams.clone() {
            // Two host names may have the same address, whose series must be written only once, so repeated addresses
            // are removed.
            let mut peers = upstream.peers.all();
            peers.sort_by_key(|peer| peer.address);
            peers.dedup_by_key(|peer| peer.address);
            for peer in peers {
                family.sample(&[&upstream.name, &peer.address.to_string()], value(&peer));
            }
        }
    }
}

fn is_unresolved(name: &PeerName) -> bool {
    name.resolved().as_ref().is_some_and(|resolved| resolved.fault.is_some())
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
