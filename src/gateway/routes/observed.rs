//! Observed lists. The upstream's answers pass to legacy clients unchanged, and the gateway reads some of them.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU32, Ordering},
};

use http::{HeaderMap, HeaderValue, Method};

use super::list::List;
use crate::{
    config::settings::ObserveSettings,
    downstream::{Code, Problem},
    gateway::outcome::metrics::Counted,
    learn::traffic::ListTraffic,
};

/// The seconds after which a refused client may try again. An operator changes the route by hand.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("60");

/// A list that is observed instead of served.
#[derive(Debug)]
pub struct ObservedList {
    /// The list in the form in which it could be served.
    pub list: List,
    /// `true` on the second path of the list, where every request is a new client's.
    is_for_new_clients: bool,
    /// The interval between answers that are read; with 1, all answers are read.
    every: u32,
    /// The number of answers so far that could have been read.
    passed: AtomicU32,
    /// The recently observed answers.
    traffic: Mutex<ListTraffic>,
}

impl ObservedList {
    pub(crate) fn new(list: List, settings: ObserveSettings, is_for_new_clients: bool) -> Self {
        Self { list, is_for_new_clients, every: settings.every, passed: AtomicU32::new(0), traffic: Mutex::default() }
    }

    /// Counts a GET or HEAD request by its paging. A legacy request is also counted for its client. `now` is in seconds
    /// since 1970.
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

    /// Returns 503 `not_paged` for a request of a new client, because the route has no pages; `None` for all others.
    #[must_use]
    pub(crate) fn refusal(&self, method: &Method, query: Option<&str>) -> Option<Problem> {
        let reads = [Method::GET, Method::HEAD].contains(method);
        let is_marked = || self.list.conventions.all().any(|known| known.parameters.is_marked(query));
        (reads && (self.is_for_new_clients || is_marked())).then(|| {
            let detail = "this list has no pages by cursor at the moment: try again later, or page by the parameters \
                          of the service";
            let mut problem = Problem::new(Code::NotPaged, detail);
            problem.retry_after = Some(RETRY_AFTER);
            problem
        })
    }

    /// Returns whether this answer is read. The first answer is read, and then one of every `every` answers.
    pub(crate) fn has_turn(&self) -> bool {
        self.passed.fetch_add(1, Ordering::Relaxed).is_multiple_of(self.every.max(1))
    }

    /// Returns the recently observed answers.
    pub(crate) fn traffic(&self) -> MutexGuard<'_, ListTraffic> {
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
