//! Failed TLS handshakes, counted by cause and logged in summaries.
//!
//! Port scans cause many failures, and so do clients that don't trust the certificate. If each failure had its own
//! line, strangers could fill the log.

use std::{
    fmt::Write as _,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::runtime::clock;

/// The shortest time between two summaries.
const INTERVAL: Duration = Duration::from_secs(60);

/// The causes of failures, each with phrases of OpenSSL's messages in lower case. The first cause with a matching
/// phrase counts.
const CAUSES: [(&str, &[&str]); 7] = [
    ("timeout", &["timeout"]),
    ("client_certificate", &["peer did not return a certificate", "certificate verify failed"]),
    ("certificate_refused", &["alert unknown ca", "alert bad certificate", "alert certificate"]),
    ("protocol_version", &["unsupported protocol", "version too low", "alert protocol version"]),
    ("no_common_parameters", &["no shared cipher", "no suitable", "alert handshake failure"]),
    (
        "not_tls",
        &["http request", "https proxy request", "wrong version number", "packet length too long", "bad record"],
    ),
    ("closed", &["eof", "reset by peer", "broken pipe", "connection closed"]),
];

/// The cause of failures whose message has no phrase of [`CAUSES`].
const OTHER: &str = "other";

/// Counters of failed handshakes.
#[derive(Debug, Default)]
pub struct Handshakes {
    counts: [AtomicU64; CAUSES.len() + 1],
    told: Mutex<HandshakeReport>,
}

/// The counts at the last summary, and the time of that summary, which is `None` before the first one.
#[derive(Debug, Default)]
struct HandshakeReport {
    counts: [u64; CAUSES.len() + 1],
    at: Option<Instant>,
}

impl Handshakes {
    /// Counts a failure under the cause that its message names. Logs a summary unless the last one is less than a
    /// minute ago.
    pub fn failed(&self, said: &str) {
        let cause = self.count(said);
        tracing::debug!(cause, "a TLS handshake of a client failed");
        if let Some(causes) = self.report(clock::instant()) {
            tracing::info!(causes, "TLS handshakes of clients failed");
        }
    }

    /// Returns the number of failures by cause.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let causes = CAUSES.iter().map(|(cause, _)| *cause).chain([OTHER]);
        causes.zip(self.counts.iter().map(|count| count.load(Ordering::Relaxed)))
    }

    fn count(&self, said: &str) -> &'static str {
        let said = said.to_lowercase();
        let fits = |(_, words): &(&str, &[&str])| words.iter().any(|word| said.contains(word));
        let cause = CAUSES.iter().position(fits).unwrap_or(CAUSES.len());
        self.counts[cause].fetch_add(1, Ordering::Relaxed);
        CAUSES.get(cause).map_or(OTHER, |(cause, _)| cause)
    }

    /// Returns the failures since the last summary, such as `not_tls 2, closed 1`; `None` if there are none, or if the
    /// last summary is less than [`INTERVAL`] ago.
    fn report(&self, now: Instant) -> Option<String> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.at.is_some_and(|at| now.saturating_duration_since(at) < INTERVAL) {
            return None;
        }
        let mut text = String::new();
        for ((cause, count), told) in self.counts().zip(&mut told.counts) {
            if count > *told {
                let separator = if text.is_empty() { "" } else { ", " };
                let _ = write!(text, "{separator}{cause} {}", count - *told);
                *told = count;
            }
        }
        if text.is_empty() {
            return None;
        }
        // Only a written summary starts an interval, so the first failure after a quiet time is logged at once.
        told.at = Some(now);
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_recognised_by_openssls_messages() {
        let handshakes = Handshakes::default();
        for (said, cause) in [
            ("error:0A00009C:SSL routines:ssl3_get_record:http request:ssl/record/ssl3_record.c:354:", "not_tls"),
            ("error:0A00010B:SSL routines:tls_get_more_records:wrong version number:", "not_tls"),
            ("error:0A000418:SSL routines:ssl3_read_bytes:tlsv1 alert unknown ca:", "certificate_refused"),
            ("error:0A000416:SSL routines:ssl3_read_bytes:ssl/tls alert certificate unknown:", "certificate_refused"),
            (
                "error:0A000102:SSL routines:tls_early_post_process_client_hello:unsupported protocol:",
                "protocol_version",
            ),
            ("error:0A0000C1:SSL routines:tls_post_process_client_hello:no shared cipher:", "no_common_parameters"),
            (
                "error:0A0000C7:SSL routines:tls_process_client_certificate:peer did not return a certificate:",
                "client_certificate",
            ),
            (
                "error:0A000086:SSL routines:tls_post_process_client_certificate:certificate verify failed:",
                "client_certificate",
            ),
            ("TLS accept() failed: unexpected EOF", "closed"),
            ("Connection reset by peer (os error 104)", "closed"),
            ("timeout", "timeout"),
            ("something new", "other"),
        ] {
            assert_eq!(handshakes.count(said), cause, "{said}");
        }
    }

    #[test]
    fn failures_are_logged_in_summaries() {
        let (handshakes, now) = (Handshakes::default(), clock::instant());
        assert_eq!(handshakes.report(now), None, "there is nothing to tell");
        handshakes.count("http request");
        assert_eq!(handshakes.report(now).as_deref(), Some("not_tls 1"), "the first one is told at once");
        for said in ["http request", "eof", "http request"] {
            handshakes.count(said);
        }
        assert_eq!(handshakes.report(now + INTERVAL / 2), None);
        assert_eq!(handshakes.report(now + INTERVAL).as_deref(), Some("not_tls 2, closed 1"));
        assert_eq!(handshakes.report(now + INTERVAL * 3), None);
    }
}
