//! The interface by which limits use the store that processes share. `gateway::store::handle::rate` implements it.

use std::{fmt::Debug, future::Future, pin::Pin, time::Duration};

/// A store of limits. Each of its operations may fail; the process then applies the limits by itself.
pub(crate) trait LimitStore: Debug + Send + Sync {
    /// Returns the name for the client with these bytes ([`super::ClientHashes::written`]): a keyed hash, which does
    /// not reveal the client. Returns `None` while the store is down.
    fn name(&self, of: &[u8]) -> Option<String>;

    /// Takes units of each of these limits of a client, or of none of them if one lacks its units. Returns the standing
    /// of each limit after that, in the same order; `None` if the store does not answer within its time limit.
    fn take<'a>(
        &'a self,
        name: &'a str,
        limits: &'a [StoredLimit],
    ) -> Pin<Box<dyn Future<Output = Option<Vec<StoredStanding>>> + Send + 'a>>;

    /// Charges units that have been used already, even more than there are, or gives a negative number of units back.
    /// No request waits for this, and it may be lost.
    fn charge(&self, name: &str, limit: StoredLimit);
}

/// A limit, and the units of it that are to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StoredLimit {
    /// The word of the policy, such as `requests`.
    pub policy: &'static str,
    /// The time after which one unit comes back: whole microseconds, at least one.
    pub unit: Duration,
    /// The largest number of units, at least 1.
    pub most: u32,
    /// The units to take; negative ones are given back.
    pub units: i64,
}

/// The standing of a client with a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StoredStanding {
    /// The time until the units can be taken; zero if they have been taken.
    pub retry_after: Duration,
    /// The time until all units are back.
    pub reset_after: Duration,
}
