//! Observed lists. The upstream's answers pass to legacy clients unchanged, and the gateway reads some of them.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU32, Ordering},
};

use http::{HeaderMap, Method};

use super::list::List;
use crate::{
    identity::KnownClient,
    outcome::{metrics::Counted, migration::CountedClient},
};
use cursorgate_config::settings::ObserveSettings;
use cursorgate_learn::traffic::ListTraffic;

/// A list that is observed instead of served.
#[derive(Debug)]
pub struct ObservedList {
    /// The list in the form in which it could be served.
    pub list: List,
    /// The interval between answers that are read; with 1, all answers are read.
    every: u32,
    /// The number of answers so far that could have been read.
    passed: AtomicU32,
    /// The recently observed answers.
    traffic: Mutex<ListTraffic>,
}

impl ObservedList {
    pub fn new(list: List, settings: ObserveSettings) -> Self {
        Self { list, every: settings.every, passed: AtomicU32::new(0), traffic: Mutex::default() }
    }

    /// Counts a GET or HEAD request by its paging. A legacy request is also counted for its client. `now` is in seconds
    /// since 1970.
    pub fn note_paging(
        &self,
        method: &Method,
        headers: &HeaderMap,
        query: Option<&str>,
        known: Option<&KnownClient>,
        now: u64,
        counted: &mut Counted,
    ) {
        let kind = self.list.conventions.own().parameters.legacy_kind(query);
        if let Some(kind) = kind.filter(|_| [Method::GET, Method::HEAD].contains(method)) {
            let client = CountedClient { headers, query: query.unwrap_or_default(), known };
            self.list.note_paging(&kind, client, now, counted);
        }
    }

    /// Returns the name in `new_clients.by` that alone marks a query. While a route observes, such a request passes: it
    /// may be an old client's. Test: `a_name_that_old_clients_send_too_is_reported_and_passes`.
    pub fn marking_name(&self, query: Option<&str>) -> Option<&str> {
        self.list.conventions.all().find_map(|known| known.parameters.marking_name(query))
    }

    /// Returns whether this answer is read. The first answer is read, and then one of every `every` answers.
    pub fn has_turn(&self) -> bool {
        self.passed.fetch_add(1, Ordering::Relaxed).is_multiple_of(self.every.max(1))
    }

    /// Returns the recently observed answers.
    pub fn traffic(&self) -> MutexGuard<'_, ListTraffic> {
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
