//! The store in which processes count the requests of clients together, as limits use it.

use std::{fmt::Debug, future::Future, pin::Pin, time::Duration};

/// A store of limits. Each of its operations may fail, and the process limits alone then.
pub(crate) trait LimitStore: Debug + Send + Sync {
    /// Returns the name of a client, from which the client can't be told; none while the store is down.
    fn name(&self, of: &[u8]) -> Option<String>;

    /// Takes units of each of these limits of a client, or of none if one of them does not have them. Returns the
    /// standing of each limit after that; `None` if the store does not answer within its time-box.
    fn take<'a>(
        &'a self,
        name: &'a str,
        limits: &'a [StoredLimit],
    ) -> Pin<Box<dyn Future<Output = Option<Vec<StoredStanding>>> + Send + 'a>>;

    /// Takes units that have been used already, also beyond those that are there, or gives units back. Nobody waits for
    /// that, and it may be lost.
    fn charge(&self, name: &str, limit: StoredLimit);
}

/// Units of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StoredLimit {
    /// The word of the policy.
    pub policy: &'static str,
    /// The time in which one unit comes back; whole microseconds, at least one.
    pub unit: Duration,
    /// The most units; at least 1.
    pub most: u32,
    /// The units to take.
    pub units: i64,
}

/// The standing of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StoredStanding {
    /// The time until the units can be taken; zero if they were there.
    pub retry_after: Duration,
    /// The time until all units are back.
    pub reset_after: Duration,
}
