//! The counts of webhooks: attempts by their ends, deliveries by theirs, and those that wait. They are the process's
//! own and outlive reloads.

use std::sync::atomic::{AtomicU64, Ordering};

/// The ends of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "services"), expect(dead_code, reason = "services alone send webhooks"))]
pub(crate) enum AttemptEnd {
    /// The receiver answered with a status from 200 to 299.
    Delivered,
    /// The receiver answered with a redirect, which is not followed.
    Redirected,
    /// The receiver answered with 410.
    Gone,
    /// The receiver answered with another status.
    Refused,
    /// There was no whole answer in time.
    Late,
    /// There was no connection, or no answer to read.
    Unreached,
    /// An address of the endpoint is not permitted.
    Forbidden,
    /// The request could not be signed, because the secret does not open.
    Unsigned,
}

/// The words of the ends, in the order of [`AttemptEnd`].
const ATTEMPT_ENDS: [&str; 8] =
    ["delivered", "redirected", "gone", "refused", "late", "unreached", "forbidden", "unsigned"];

/// The words of the ends of a delivery.
const DELIVERY_ENDS: [&str; 2] = ["delivered", "dead"];

/// The counts since the process started, and the number of deliveries that wait.
#[derive(Debug, Default)]
pub(crate) struct WebhookCounts {
    attempts: [AtomicU64; ATTEMPT_ENDS.len()],
    deliveries: [AtomicU64; DELIVERY_ENDS.len()],
    waiting: AtomicU64,
}

#[cfg_attr(not(feature = "services"), expect(dead_code, reason = "services alone send webhooks"))]
impl AttemptEnd {
    /// Returns the word of the end.
    pub(crate) fn word(self) -> &'static str {
        ATTEMPT_ENDS[self as usize]
    }
}

#[cfg_attr(not(feature = "services"), expect(dead_code, reason = "services alone send webhooks"))]
impl WebhookCounts {
    pub(crate) fn attempt(&self, end: AttemptEnd) {
        self.attempts[end as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts deliveries that are delivered, or dead letters.
    pub(crate) fn finish(&self, is_delivered: bool, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.deliveries[usize::from(!is_delivered)].fetch_add(count, Ordering::Relaxed);
    }

    /// Sets the number of deliveries that wait.
    pub(crate) fn wait(&self, count: usize) {
        self.waiting.store(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl WebhookCounts {
    /// Returns the attempts by their ends.
    pub(crate) fn attempts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        ATTEMPT_ENDS.into_iter().zip(self.attempts.iter().map(|count| count.load(Ordering::Relaxed)))
    }

    /// Returns the finished deliveries by their ends.
    pub(crate) fn deliveries(&self) -> impl Iterator<Item = (&'static str, u64)> {
        DELIVERY_ENDS.into_iter().zip(self.deliveries.iter().map(|count| count.load(Ordering::Relaxed)))
    }

    /// Returns the number of deliveries that wait, as it was last looked up.
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }
}
