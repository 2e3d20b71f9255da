//! `/upstreams`: the upstreams, their peers with their health, and their recent figures, as JSON.

use std::time::Instant;

use serde_json::{Value, json};

use super::routes::{RECENT, latency, milliseconds, rate};
use crate::{
    lifecycle::snapshot::Snapshot,
    net::{
        clock_comparison::ClockDifference,
        peers::{
            name::PeerName,
            peer::{Peer, PeerCounts},
        },
    },
    outcome::{access_log::millis, metrics::UpstreamFigures},
    routes::upstream::Upstream,
    runtime::clock,
};

/// The path of the report on upstreams.
pub(super) const UPSTREAMS_PATH: &str = "/upstreams";

/// Renders all upstreams, in the order of the configuration.
pub(super) fn render(snapshot: &Snapshot) -> String {
    let now = Now { instant: clock::instant(), unix_seconds: clock::unix_seconds() };
    let upstreams: Vec<Value> = snapshot.upstreams.iter().map(|upstream| described(upstream, &now)).collect();
    format!("{:#}\n", json!({ "upstreams": upstreams }))
}

/// The current time on both clocks.
struct Now {
    instant: Instant,
    unix_seconds: u64,
}

impl Now {
    /// Converts an earlier instant to a date and time (RFC 3339).
    fn rfc3339(&self, then: Instant) -> String {
        // A peer may have changed after the clocks were read. The current time is then written.
        clock::rfc3339(self.unix_seconds.saturating_sub(self.instant.saturating_duration_since(then).as_secs()))
    }
}

fn described(upstream: &Upstream, now: &Now) -> Value {
    let budget = upstream.peers.budget();
    let peers = upstream.peers.names().iter().enumerate().flat_map(|(index, name)| {
        let resolved = name.resolved();
        let peers = resolved.as_ref().map_or(&[][..], |resolved| resolved.peers.as_slice());
        let share = (upstream.peers.weight(index), upstream.peers.is_backup(index));
        peers.iter().map(|peer| described_peer(name, peer, share, now)).collect::<Vec<_>>()
    });
    let unresolved = upstream.peers.names().iter().filter_map(|name| {
        let resolved = name.resolved();
        let (reason, since) = resolved.as_ref()?.fault.as_ref()?;
        Some(json!({ "name": name.text(), "reason": reason, "since": now.rfc3339(*since) }))
    });
    json!({
        "name": upstream.name,
        "balance": upstream.peers.balance().word(),
        "in_flight": upstream.slots.in_flight(),
        "waiting": upstream.slots.waiting(),
        "connections": upstream.slots.most(),
        "limit": upstream.slots.limit(),
        "recent": recent(upstream, now.instant),
        "history": history(upstream),
        "clock_ahead_seconds": match upstream.clock.told() {
            ClockDifference::None => None,
            ClockDifference::Ahead(seconds) => Some(i64::try_from(seconds).unwrap_or(i64::MAX)),
            ClockDifference::Behind(seconds) => Some(i64::try_from(seconds).map_or(i64::MIN, |seconds| -seconds)),
        },
        "retries": { "made": budget.made(), "refused": budget.refused() },
        "peers": peers.collect::<Vec<_>>(),
        "unresolved": unresolved.collect::<Vec<_>>(),
    })
}

/// Returns the figures of the last 5 minutes. Requests with a 5xx, or without a whole answer, count as failed.
fn recent(upstream: &Upstream, now: Instant) -> Value {
    let recent = upstream.metrics.recent(RECENT, now);
    let (requests, failed) = totals(recent.of_upstream());
    json!({
        "seconds": recent.took.as_secs(),
        "requests": requests,
        "requests_per_second": rate(requests, recent.took),
        "failed": failed,
        "latency_ms": latency(|share| recent.of_upstream().quantile(share)),
    })
}

fn history(upstream: &Upstream) -> Value {
    let steps = upstream.metrics.series(|figures, took| {
        let (requests, failed) = totals(figures);
        (rate(requests, took), rate(failed, took), figures.quantile(0.99).map(milliseconds))
    });
    json!({
        "requests_per_second": steps.iter().map(|step| step.0).collect::<Vec<_>>(),
        "failed_per_second": steps.iter().map(|step| step.1).collect::<Vec<_>>(),
        "p99_ms": steps.iter().map(|step| step.2).collect::<Vec<_>>(),
    })
}

/// Returns the number of all requests, and the number of failed ones: those with a 5xx or without a whole answer.
fn totals(figures: UpstreamFigures<'_>) -> (u64, u64) {
    let failed = figures.requests().filter(|(class, _)| ["5xx", "none"].contains(class)).map(|(_, count)| count).sum();
    (figures.requests().map(|(_, count)| count).sum(), failed)
}

/// Describes a peer. `share` is its weight, and whether it is a backup.
fn described_peer(name: &PeerName, peer: &Peer, share: (u32, bool), now: &Now) -> Value {
    let report = peer.report();
    let PeerCounts { requests, failures, answers, took } = peer.counts();
    let last = peer.last_remark();
    json!({
        "name": name.text(),
        "address": peer.address.to_string(),
        "weight": share.0,
        "backup": share.1,
        "healthy": report.reason.is_none(),
        "reason": report.reason,
        "since": now.rfc3339(report.since),
        "in_flight": peer.in_flight(),
        "failed_answers": report.failed_answers,
        "requests": requests,
        "failed": failures,
        "remark": last.map(|(at, said)| json!({ "at": now.rfc3339(at), "said": said })),
        "mean_ms": u32::try_from(answers).ok().filter(|answers| *answers > 0).map(|answers| millis(took / answers)),
    })
}
