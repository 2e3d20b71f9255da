//! Metrics of webhooks, which are 0 without `services.webhooks`.

use super::exposition::{Exposition, MetricKind};
use crate::outcome::metrics::webhooks::WebhookCounts;

/// Adds the metrics of attempts, of deliveries, of emitted events, of disabled endpoints, and of the queue.
pub(super) fn write(exposition: &mut Exposition, counts: &WebhookCounts) {
    let help = "Attempts to deliver an event to an endpoint, by end.";
    let mut attempts = exposition.family(MetricKind::Counter, "cursorgate_webhook_attempts_total", &["end"], help);
    for (end, count) in counts.attempts() {
        attempts.sample(&[end], count);
    }
    let help = "Deliveries of events that ended: delivered, dead letters, or kept for a disabled endpoint.";
    let mut ended = exposition.family(MetricKind::Counter, "cursorgate_webhook_deliveries_total", &["end"], help);
    for (end, count) in counts.deliveries() {
        ended.sample(&[end], count);
    }
    let help = "Events that services emitted: raised, or refused.";
    let mut emitted = exposition.family(MetricKind::Counter, "cursorgate_webhook_emitted_events_total", &["end"], help);
    for (end, count) in counts.emitted() {
        emitted.sample(&[end], count);
    }
    let help = "Emitted events that wait for the store in this process, and would be lost with it.";
    exposition.gauge("cursorgate_webhook_unstored_events", help, counts.unstored());
    let help = "Endpoints that were disabled because they answered with 410, or failed for long.";
    exposition.counter("cursorgate_webhook_endpoints_disabled_total", help, counts.disabled());
    let help = "Deliveries of events that wait for an attempt.";
    exposition.gauge("cursorgate_webhook_queue_deliveries", help, counts.waiting());
}
