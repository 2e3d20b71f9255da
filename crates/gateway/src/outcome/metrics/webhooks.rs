//! The counts of webhooks in this process: attempts, deliveries and emitted events by result, disabled endpoints, and
//! what waits. Reloads don't reset them.

use std::sync::atomic::{AtomicU64, Ordering};

use super::service_store::ServiceStore;

/// The result of an attempt to deliver an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptEnd {
    /// The receiver answered with a status from 200 to 299.
    Delivered,
    /// The receiver answered with a redirect, which is not followed.
    Redirected,
    /// The receiver answered with 410.
    Gone,
    /// The receiver answered with another status.
    Refused,
    /// The receiver didn't send a complete answer in time.
    Late,
    /// The connection failed, or the answer was unreadable.
    Unreached,
    /// An address of the endpoint isn't permitted.
    Forbidden,
    /// The request couldn't be made: the endpoint's secret can't be decrypted, or its URL can't be sent.
    Unsigned,
}

/// The label values for the results of attempts, in the order of [`AttemptEnd`].
const ATTEMPT_ENDS: [&str; 8] =
    ["delivered", "redirected", "gone", "refused", "late", "unreached", "forbidden", "unsigned"];

/// The end of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryEnd {
    Delivered,
    /// No further attempt is made, or the queue was full.
    Dead,
    /// The endpoint was disabled, at the event or while the delivery waited: a dead letter that the endpoint can recover.
    Kept,
}

/// The label values for the ends of deliveries, in the order of [`DeliveryEnd`].
const DELIVERY_ENDS: [&str; 3] = ["delivered", "dead", "kept"];

/// The label values for the results of emitted events.
const EMIT_ENDS: [&str; 2] = ["raised", "refused"];

/// The counts since the start of the process, and the current numbers of waiting deliveries and emitted events.
#[derive(Debug, Default)]
pub struct WebhookCounts {
    attempts: [AtomicU64; ATTEMPT_ENDS.len()],
    deliveries: [AtomicU64; DELIVERY_ENDS.len()],
    waiting: AtomicU64,
    emitted: [AtomicU64; EMIT_ENDS.len()],
    /// The emitted events that wait for the store in this process.
    unstored: AtomicU64,
    disabled: AtomicU64,
    /// The state of the store of endpoints and deliveries.
    pub store: ServiceStore,
}

impl AttemptEnd {
    /// Returns the label value of the result.
    pub fn word(self) -> &'static str {
        ATTEMPT_ENDS[self as usize]
    }
}

impl WebhookCounts {
    /// Counts events that services have emitted: raised, or refused.
    pub fn emit(&self, is_raised: bool, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.emitted[usize::from(!is_raised)].fetch_add(count, Ordering::Relaxed);
    }

    /// Counts emitted events that wait for the store from now on.
    pub fn hold(&self, count: usize) {
        self.unstored.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Counts an emitted event that has waited, and is stored now.
    pub fn store_held(&self) {
        self.unstored.fetch_sub(1, Ordering::Relaxed);
        self.emit(true, 1);
    }

    /// Counts an endpoint that was disabled because of its answers.
    pub fn disable(&self) {
        self.disabled.fetch_add(1, Ordering::Relaxed);
    }

    pub fn attempt(&self, end: AttemptEnd) {
        self.attempts[end as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts deliveries that have ended.
    pub fn finish(&self, end: DeliveryEnd, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.deliveries[end as usize].fetch_add(count, Ordering::Relaxed);
    }

    /// Sets the number of waiting deliveries.
    pub fn wait(&self, count: usize) {
        self.waiting.store(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl WebhookCounts {
    /// Returns the number of attempts for each result.
    pub fn attempts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        ATTEMPT_ENDS.into_iter().zip(self.attempts.iter().map(|count| count.load(Ordering::Relaxed)))
    }

    /// Returns the number of ended deliveries for each result.
    pub fn deliveries(&self) -> impl Iterator<Item = (&'static str, u64)> {
        DELIVERY_ENDS.into_iter().zip(self.deliveries.iter().map(|count| count.load(Ordering::Relaxed)))
    }

    /// Returns the number of emitted events for each result.
    pub fn emitted(&self) -> impl Iterator<Item = (&'static str, u64)> {
        EMIT_ENDS.into_iter().zip(self.emitted.iter().map(|count| count.load(Ordering::Relaxed)))
    }

    /// Returns the number of emitted events that wait for the store.
    pub fn unstored(&self) -> u64 {
        self.unstored.load(Ordering::Relaxed)
    }

    /// Returns the number of endpoints that were disabled because of their answers.
    pub fn disabled(&self) -> u64 {
        self.disabled.load(Ordering::Relaxed)
    }

    /// Returns the number of waiting deliveries, as last set by `wait`.
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }
}
