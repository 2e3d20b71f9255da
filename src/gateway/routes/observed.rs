//! Lists that are observed: answers pass to legacy clients as they come, and some of them are read.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU32, Ordering},
};

use http::{HeaderMap, Method};

use super::list::List;
use crate::{config::settings::ObserveSettings, gateway::outcome::metrics::Counted, learn::traffic::ListTraffic};

/// A list that is observed instead of served.
#[derive(Debug)]
pub struct ObservedList {
    /// The list as it would be served.
    pub list: List,
    /// The interval of the answers that are read: 1 reads all of them.
    every: u32,
    /// The number of answers that were candidates for reading.
    passed: AtomicU32,
    /// The answers that were seen lately.
    traffic: Mutex<ListTraffic>,
}

impl ObservedList {
    pub(crate) fn new(list: List, settings: ObserveSettings) -> Self {
        Self { list, every: settings.every, passed: AtomicU32::new(0), traffic: Mutex::default() }
    }

    /// Counts a GET or HEAD by its paging, and a legacy request under its client; `now` is in seconds since 1970.
    pub(crate) fn note_paging(
        &self,
        (method, headers): (&Method, &HeaderMap),
        query: Option<&str>,
        now: u64,
        counted: &mut Counted,
    ) {
        let kind = self.list.conventions.own().parameters.legacy_kind(query);
        if let Some(kind) = kind.filter(|_| [Method::GET, Method::HEAD].contains(method)) {
            self.list.note_paging(&kind, headers, (query, now), counted);
        }
    }

    /// Returns whether this answer is read: the first one, and every one at the interval `every` after it.
    pub(crate) fn has_turn(&self) -> bool {
        self.passed.fetch_add(1, Ordering::Relaxed).is_multiple_of(self.every.max(1))
    }

    /// Returns the answers that were seen lately.
    pub(crate) fn traffic(&self) -> MutexGuard<'_, ListTraffic> {
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
