//! The interface through which limits use the shared store. `gateway::store::handle::rate` implements it.

use std::{fmt::Debug, future::Future, pin::Pin, time::Duration};

/// A store of limits. Any of its operations may fail. The process then applies the limits by itself.
pub trait LimitStore: Debug + Send + Sync {
    /// Returns the name in the store of the client with these bytes ([`super::ClientHashes::written`]): a keyed hash,
    /// which does not reveal the client. Returns `None` while the store is down.
    fn name(&self, of: &[u8]) -> Option<String>;

    /// Takes units of each of these limits of a client. If one limit has too few units left, takes no units at all.
    /// Returns the resulting standing of each limit, in the same order; `None` if the store doesn't answer within its
    /// time limit.
    fn take<'a>(
        &'a self,
        name: &'a str,
        limits: &'a [StoredLimit],
    ) -> Pin<Box<dyn Future<Output = Option<Vec<StoredStanding>>> + Send + 'a>>;

    /// Charges units that have been used already, even if fewer are left. A negative number of units is given back. No
    /// request waits for the charge, and the charge may be lost.
    fn charge(&self, name: &str, limit: StoredLimit);
}

/// A limit, and the number of its units that are to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredLimit {
    /// The word for the policy, such as `requests`.
    pub policy: &'static str,
    /// The time after which one unit comes back: whole microseconds, at least one.
    pub unit: Duration,
    /// The largest number of units, at least 1.
    pub most: u32,
    /// The number of units to take. If it is negative, units are given back.
    pub units: i64,
}

/// The standing of a client under a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredStanding {
    /// The time until the units can be taken; zero if the limit has enough units. The units have been taken if this
    /// time is zero for every limit of the question.
    pub retry_after: Duration,
    /// The time until the client has all units of the limit again.
    pub reset_after: Duration,
}
