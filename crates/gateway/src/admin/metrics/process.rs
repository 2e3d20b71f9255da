//! Metrics of the process: its build, resources, log, configuration and connections.

use super::exposition::{Exposition, MetricKind};
use crate::{
    lifecycle::process::Vitals,
    lifecycle::snapshot::Snapshot,
    runtime::{
        clock,
        figures::{self, Figures},
    },
    server::admission::{Admission, Dropped},
};

/// Adds the metric with the version and the commit of the program and the version of its TLS library.
pub(super) fn build(exposition: &mut Exposition, commit: &str) {
    let labels = &["version", "commit", "openssl"];
    let help =
        "1, with the version of the program, the commit that it was built from, and the version of OpenSSL in it.";
    exposition
        .family(MetricKind::Gauge, "cursorgate_build_info", labels, help)
        .sample(&[env!("CARGO_PKG_VERSION"), commit, openssl::version::version()], 1);
}

/// Adds the hashes of the configuration, by which replicas are compared.
pub(super) fn configuration(exposition: &mut Exposition, snapshot: &Snapshot) {
    let help = "1, with a hash of the configuration, and one of the settings that cursors depend on.";
    exposition
        .family(MetricKind::Gauge, "cursorgate_config_info", &["hash", "cursor_hash"], help)
        .sample(&[&snapshot.source.hash, &snapshot.source.cursor_hash], 1);
}

/// Adds the resources of the process, with the names that all client libraries of Prometheus use. Leaves out resources
/// that the system does not report.
pub(super) fn figures(exposition: &mut Exposition, started: u64) {
    let Figures { cpu_seconds, resident, virtual_size, open_descriptors, most_descriptors } = figures::read();
    let help = "Time of the process's clock at the scrape, in seconds since 1970.";
    exposition.gauge("cursorgate_clock_timestamp_seconds", help, clock::unix_seconds());
    exposition.gauge("process_start_time_seconds", "Start of the process, in seconds since 1970.", started);
    exposition.counter("process_cpu_seconds_total", "Time that the processors worked for the process.", cpu_seconds);
    for (name, help, value) in [
        ("process_resident_memory_bytes", "Memory of the process that is in RAM.", resident),
        ("process_virtual_memory_bytes", "Address space of the process.", virtual_size),
        ("process_open_fds", "Open file descriptors.", open_descriptors),
        ("process_max_fds", "Limit of open file descriptors.", most_descriptors),
    ] {
        if let Some(value) = value {
            exposition.gauge(name, help, value);
        }
    }
}

/// Adds the metrics of lost log lines, stalls, trace spans, and reloads.
pub(super) fn state(exposition: &mut Exposition, vitals: &Vitals) {
    let help = "Log lines dropped, by reason: the reader was too slow, or the file failed.";
    let mut lines = exposition.family(MetricKind::Counter, "cursorgate_log_lines_dropped_total", &["reason"], help);
    for (reason, count) in vitals.log().dropped() {
        lines.sample(&[reason], count);
    }
    let help = "Times at which all threads that serve clients were blocked for 5 seconds.";
    exposition.counter("cursorgate_stalls_total", help, vitals.pulse().stalls());
    let spans = vitals.spans();
    exposition.counter("cursorgate_trace_spans_exported_total", "Spans that the collector accepted.", spans.exported());
    let help = "Spans dropped, by reason: too many waited, the export failed, or a request has too many.";
    let mut dropped = exposition.family(MetricKind::Counter, "cursorgate_trace_spans_dropped_total", &["reason"], help);
    for (reason, count) in spans.dropped() {
        dropped.sample(&[reason], count);
    }
    let last = vitals.last_reload();
    let help = "Reloads of the configuration, by cause and result.";
    let mut reloads =
        exposition.family(MetricKind::Counter, "cursorgate_config_reloads_total", &["cause", "result"], help);
    for (cause, succeeded, count) in last.counts() {
        reloads.sample(&[cause, if succeeded { "in_force" } else { "refused" }], count);
    }
    let result = last.result();
    exposition.gauge(
        "cursorgate_config_last_reload_successful",
        "1 if the configuration that was read last is in force.",
        u8::from(result.in_force),
    );
    exposition.gauge(
        "cursorgate_config_restart_needed",
        "Number of keys whose changes need a restart, at the last reload.",
        result.needs_restart.len(),
    );
    exposition.gauge(
        "cursorgate_config_last_reload_success_timestamp_seconds",
        "Time of the last successful start or reload.",
        last.succeeded_at(),
    );
}

/// Adds the metrics of client connections: open, accepted and dropped connections, and failed handshakes.
pub(super) fn connections(exposition: &mut Exposition, clients: &Admission) {
    exposition.gauge("cursorgate_connections", "Open connections of clients.", clients.open());
    exposition.gauge("cursorgate_connections_limit", "Limit of open connections of clients.", clients.most());
    let help = "Connections accepted from clients.";
    exposition.counter("cursorgate_connections_accepted_total", help, clients.accepted());
    let help = "Connections of clients refused, or closed before a request was read, by reason.";
    let mut dropped = exposition.family(MetricKind::Counter, "cursorgate_connections_dropped_total", &["reason"], help);
    for reason in Dropped::ALL {
        dropped.sample(&[reason.word()], clients.dropped(reason));
    }
    let help = "TLS handshakes of clients that failed, by cause.";
    let mut failed = exposition.family(MetricKind::Counter, "cursorgate_tls_handshakes_failed_total", &["cause"], help);
    for (cause, count) in clients.handshakes().counts() {
        failed.sample(&[cause], count);
    }
}
