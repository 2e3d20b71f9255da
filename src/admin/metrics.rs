//! `/metrics`: what the gateway counts, in Prometheus' text format
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>, version 0.0.4).

use std::{collections::BTreeMap, fmt::Write as _};

use crate::{
    downstream::response::legacy,
    gateway::{
        Snapshot,
        lifecycle::process::Vitals,
        outcome::metrics::{FAMILIES, RouteMetrics},
        routes::upstream::Upstream,
        server::admission::{Admission, Dropped},
    },
    tls::{Credentials, report::CertificateState},
};

/// The path of the metrics.
pub(crate) const METRICS_PATH: &str = "/metrics";

/// The content type of the text format.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Renders the metrics of the routes in force, and of requests without a route, which have no route label. `now` is in
/// seconds since 1970.
pub(super) fn render(snapshot: &Snapshot, vitals: &Vitals, clients: &Admission, now: u64) -> String {
    let routes = snapshot.routes.iter().map(|route| &*route.metrics);
    let mut text = write(&routes.chain([&*snapshot.metrics]).collect::<Vec<_>>());
    let mut gauge = |name, help, value: u64| {
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n");
    };
    let help = "Requests that have begun and not ended.";
    gauge("cursorgate_requests_in_flight", help, count(vitals.in_flight()));
    gauge("cursorgate_pivot_cache_bytes", "Approximate memory of the cache of item keys.", snapshot.pivots.size());
    gauge("cursorgate_connections", "Open connections of clients.", count(clients.open()));
    gauge("cursorgate_connections_limit", "Limit of open connections of clients.", count(clients.most()));
    gauge(
        "cursorgate_memory_bytes",
        "Memory held by upstream answers, request bodies and pages.",
        count(snapshot.memory.held()),
    );
    gauge("cursorgate_memory_limit_bytes", "Limit of that memory: server.memory.", count(snapshot.memory.most()));
    let help = "Requests refused because no memory was left for a body.";
    let (name, refused) = ("cursorgate_memory_refusals_total", snapshot.memory.refused());
    let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} counter\n{name} {refused}\n");
    write_connections(&mut text, clients);
    write_process(&mut text, vitals);
    write_upstreams(&mut text, snapshot);
    write_certificates(&mut text, snapshot, vitals);
    write_legacy(&mut text, snapshot, now);
    text
}

/// Writes the metrics of the process: lines lost by the log, and the last reload.
fn write_process(text: &mut String, vitals: &Vitals) {
    let name = "cursorgate_log_lines_dropped_total";
    let help = "Log lines dropped, by reason: the reader was too slow, or the file failed.";
    let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} counter\n");
    for (reason, count) in vitals.log().dropped() {
        let _ = writeln!(text, "{name}{{reason=\"{reason}\"}} {count}");
    }
    let last = vitals.last_reload();
    let name = "cursorgate_config_reloads_total";
    let help = "Reloads of the configuration, by cause and result.";
    let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} counter\n");
    for (cause, succeeded, count) in last.counts() {
        let result = if succeeded { "in_force" } else { "refused" };
        let _ = writeln!(text, "{name}{{cause=\"{cause}\",result=\"{result}\"}} {count}");
    }
    let result = last.result();
    for (name, help, value) in [
        (
            "cursorgate_config_last_reload_successful",
            "1 if the configuration that was read last is in force.",
            u64::from(result.in_force),
        ),
        (
            "cursorgate_config_restart_needed",
            "Number of keys whose changes need a restart, at the last reload.",
            count(result.needs_restart.len()),
        ),
        (
            "cursorgate_config_last_reload_success_timestamp_seconds",
            "Time of the last successful start or reload.",
            last.succeeded_at(),
        ),
    ] {
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n");
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Writes load and health of each upstream.
fn write_upstreams(text: &mut String, snapshot: &Snapshot) {
    type Value = fn(&Upstream) -> u64;
    let families: [(&str, &str, &str, Value); 5] = [
        (
            "cursorgate_upstream_requests_in_flight",
            "gauge",
            "Requests in flight to the upstream, at most its connections.",
            |upstream| count(upstream.slots.in_flight()),
        ),
        ("cursorgate_upstream_requests_waiting", "gauge", "Requests waiting for another one to end.", |upstream| {
            count(upstream.slots.waiting())
        }),
        (
            "cursorgate_upstream_requests_refused_total",
            "counter",
            "Requests refused because too many were waiting.",
            |upstream| upstream.slots.refused(),
        ),
        (
            "cursorgate_upstream_connect_failures_total",
            "counter",
            "Failed connections to peers of the upstream.",
            |upstream| upstream.peers.failures(),
        ),
        (
            "cursorgate_upstream_peers_resting",
            "gauge",
            "Peers of the upstream that rest because they can't be reached.",
            |upstream| count(upstream.peers.resting()),
        ),
    ];
    for (name, kind, help, value) in families {
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        for upstream in &snapshot.upstreams {
            let _ = writeln!(text, "{name}{{upstream=\"{}\"}} {}", escaped(&upstream.name), value(upstream));
        }
    }
}

/// Writes the ends of certificates, and the changes of their files.
fn write_certificates(text: &mut String, snapshot: &Snapshot, vitals: &Vitals) {
    let states: Vec<_> = snapshot.credentials().flat_map(Credentials::states).collect();
    type Value = fn(&CertificateState) -> i64;
    let families: [(&str, &str, Value); 2] = [
        (
            "cursorgate_certificate_not_after_timestamp_seconds",
            "End of a certificate, or of the authority that ends first.",
            |state| state.not_after,
        ),
        ("cursorgate_certificate_in_use", "1 if a certificate is the one in its files.", |state| {
            i64::from(state.fault.is_none())
        }),
    ];
    for (name, help, value) in families {
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n");
        for state in &states {
            let role = if state.is_authority { "authorities" } else { "own" };
            let labels = format!("name=\"{}\",role=\"{role}\"", escaped(&state.name));
            let _ = writeln!(text, "{name}{{{labels}}} {}", value(state));
        }
    }
    let name = "cursorgate_certificate_renewals_total";
    let help = "Changes of certificate files, by result: taken into use, or at fault.";
    let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} counter\n");
    for (result, count) in vitals.renewals().counts() {
        let _ = writeln!(text, "{name}{{result=\"{result}\"}} {count}");
    }
}

/// Writes the connections that ended early.
fn write_connections(text: &mut String, clients: &Admission) {
    let name = "cursorgate_connections_accepted_total";
    let accepted = clients.accepted();
    let _ = write!(text, "# HELP {name} Connections of clients taken in.\n# TYPE {name} counter\n{name} {accepted}\n");
    let name = "cursorgate_connections_dropped_total";
    let help = "Connections of clients refused, or closed before a request was read, by reason.";
    let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} counter\n");
    for reason in Dropped::ALL {
        let _ = writeln!(text, "{name}{{reason=\"{}\"}} {}", reason.word(), clients.dropped(reason));
    }
    let name = "cursorgate_tls_handshakes_failed_total";
    let _ = write!(text, "# HELP {name} TLS handshakes of clients that failed, by cause.\n# TYPE {name} counter\n");
    for (cause, count) in clients.handshakes().counts() {
        let _ = writeln!(text, "{name}{{cause=\"{cause}\"}} {count}");
    }
}

/// Writes the counts of legacy clients and the end of their support. Clients' names come from outside; the
/// configuration limits their number.
fn write_legacy(text: &mut String, snapshot: &Snapshot, now: u64) {
    let lists = || snapshot.routes.iter().filter_map(|route| Some((route.name.as_str(), route.list.as_ref()?)));
    let name = "cursorgate_legacy_requests_total";
    let help = "Requests by the upstream's own paging parameters, by client where the route says how to tell.";
    let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} counter\n");
    for (route, list) in lists() {
        let route = escaped(route);
        let Some(clients) = list.usage.clients() else {
            let _ = writeln!(text, "{name}{{route=\"{route}\"}} {}", list.usage.total().requests);
            continue;
        };
        // A client may have the name that stands for unnamed clients.
        let mut counts: BTreeMap<&str, u64> =
            clients.named.iter().map(|(name, count)| (&**name, count.requests)).collect();
        for (rest, count) in [("other", clients.other), ("unidentified", clients.unidentified)] {
            *counts.entry(rest).or_default() += count.requests;
        }
        for (client, count) in counts {
            let _ = writeln!(text, "{name}{{route=\"{route}\",client=\"{}\"}} {count}", escaped(client));
        }
    }
    let name = "cursorgate_legacy_sunset_passed";
    let help = "1 where the sunset of a route's legacy requests has passed.";
    let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n");
    for (route, list) in lists().filter(|(_, list)| list.legacy.sunset.is_some()) {
        let passed = u8::from(legacy::is_past_sunset(&list.legacy, now));
        let _ = writeln!(text, "{name}{{route=\"{}\"}} {passed}", escaped(route));
    }
}

fn write(routes: &[&RouteMetrics]) -> String {
    let mut text = String::with_capacity(4_096);
    for (index, family) in FAMILIES.iter().enumerate() {
        let name = format!("{}_total", family.name);
        let _ = write!(text, "# HELP {name} {}\n# TYPE {name} counter\n", family.help);
        for metrics in routes {
            for (value, count) in metrics.counts(index) {
                // Of label sets with many values only those that occurred are written. A metric without a label is
                // always written.
                if count == 0 && family.label.is_some() {
                    continue;
                }
                let route = (metrics.route(), "route");
                let label = family.label.map_or("", |(label, _)| label);
                let labels = [(route.1, route.0), (label, value)];
                let labels = labels.iter().filter(|(_, value)| !value.is_empty());
                let labels: Vec<String> =
                    labels.map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
                let braced = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
                let _ = writeln!(text, "{name}{braced} {count}");
            }
        }
    }
    text
}

/// Escapes a label's value.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every line is one of the two kinds of comments or a sample, and every sample belongs to the family above it.
    #[test]
    fn the_text_is_what_prometheus_reads() {
        let (users, none) = (RouteMetrics::new("users \"x\"\\"), RouteMetrics::new(""));
        let text = write(&[&users, &none]);
        let mut family = "";
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                family = rest.split(' ').next().unwrap();
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                assert_eq!(rest, format!("{family} counter"));
            } else {
                let (sample, count) = line.rsplit_once(' ').unwrap();
                assert!(sample == family || sample.starts_with(&format!("{family}{{")), "{line}");
                assert!(count.parse::<u64>().is_ok(), "{line}");
            }
        }
        assert!(text.contains("cursorgate_upstream_requests_total{route=\"users \\\"x\\\"\\\\\"} 0\n"), "{text}");
        assert!(text.contains("\ncursorgate_upstream_requests_total 0\n"), "{text}");
        assert!(!text.contains("outcome="), "{text}");
    }
}
