//! Metrics of certificates, of the keys that sign cursors, and of the keys that verify tokens.

use std::time::Instant;

use super::exposition::{Exposition, MetricKind};
use crate::{
    lifecycle::process::Vitals,
    lifecycle::snapshot::Snapshot,
    routes::token_keys::TokenKeys,
    tls::{Credentials, report::CertificateState},
};

/// The family of the ends of certificates.
const ENDS: &str = "cursorgate_certificate_not_after_timestamp_seconds";

/// Adds the metrics of certificates: the expiry of each, whether it is in use, and the changes of certificate files.
pub(super) fn certificates(exposition: &mut Exposition, snapshot: &Snapshot, vitals: &Vitals) {
    let states: Vec<_> = snapshot.credentials().flat_map(Credentials::states).collect();
    type Value = fn(&CertificateState) -> i64;
    let families: [(&str, &str, Value); 2] = [
        (
            ENDS,
            "End of a certificate, or of the authority that ends first; with role=\"peer\", of the peers of an upstream.",
            |state| state.not_after,
        ),
        ("cursorgate_certificate_in_use", "1 if a certificate is the one in its files.", |state| {
            i64::from(state.fault.is_none())
        }),
    ];
    for (name, help, value) in families {
        let mut family = exposition.family(MetricKind::Gauge, name, &["name", "role"], help);
        for state in &states {
            family.sample(&[&state.name, if state.is_authority { "authorities" } else { "own" }], value(state));
        }
        // A service's certificate is in no file of the gateway, so its end is known by the handshakes alone.
        if name == ENDS {
            let shown = snapshot.upstreams.iter().filter_map(|upstream| Some((upstream, upstream.certificate_end()?)));
            for (upstream, end) in shown {
                family.sample(&[&format!("upstreams.{}", upstream.name), "peer"], end);
            }
        }
    }
    let help = "Changes of certificate files, by result: taken into use, or at fault.";
    let mut renewals =
        exposition.family(MetricKind::Counter, "cursorgate_certificate_renewals_total", &["result"], help);
    for (result, count) in vitals.renewals().counts() {
        renewals.sample(&[result], count);
    }
}

/// Adds the metric of cursor keys: the time since which the process has each key.
pub(super) fn cursor_keys(exposition: &mut Exposition, snapshot: &Snapshot) {
    let help = "Time since which the process has had a cursor key, by its number and use.";
    let name = "cursorgate_cursor_key_since_timestamp_seconds";
    let mut since = exposition.family(MetricKind::Gauge, name, &["key", "use"], help);
    for key in &snapshot.cursor_keys {
        let used = if key.signs { "sign" } else { "verify" };
        since.sample(&[&key.number.to_string(), used], key.since);
    }
}

/// Adds the metrics of the keys of tokens. Without a URL of keys there are none.
pub(super) fn token_keys(exposition: &mut Exposition, snapshot: &Snapshot, now: Instant) {
    let keys = snapshot.token_keys.as_deref();
    let help = "Keys that verify tokens, from the URL in server.tokens.keys.";
    let mut count = exposition.family(MetricKind::Gauge, "cursorgate_token_keys", &[], help);
    if let Some(keys) = keys {
        count.sample(&[], keys.verifier.count());
    }
    let help = "Time since the keys of tokens were read from their URL.";
    let mut age = exposition.family(MetricKind::Gauge, "cursorgate_token_keys_age_seconds", &[], help);
    if let Some(read) = keys.and_then(|keys| keys.age(now)) {
        age.sample(&[], read.as_secs());
    }
    let help = "Reads of the URL of the keys of tokens, by result.";
    let mut reads = exposition.family(MetricKind::Counter, "cursorgate_token_key_reads_total", &["result"], help);
    for (result, count) in keys.map(TokenKeys::counts).into_iter().flatten() {
        reads.sample(&[result], count);
    }
}
