//! The counts of live pages in the process: of subscribers, of pages that are polled, and of messages.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The counts of live pages.
#[derive(Debug, Default)]
pub struct LiveCounts {
    subscribers: AtomicUsize,
    /// The pages that are requested at intervals.
    pollers: AtomicUsize,
    polls: [AtomicU64; PollResult::ALL.len()],
    messages: [AtomicU64; LiveMessageKind::ALL.len()],
}

/// The results of the requests at intervals for live pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PollResult {
    Changed,
    Unchanged,
    /// The request may succeed later.
    Failed,
    /// The page can't be served any more.
    Refused,
}

impl PollResult {
    const ALL: [Self; 4] = [Self::Changed, Self::Unchanged, Self::Failed, Self::Refused];

    const fn word(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }
}

/// The kinds of messages to subscribers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LiveMessageKind {
    Page,
    Patch,
    Error,
}

impl LiveMessageKind {
    const ALL: [Self; 3] = [Self::Page, Self::Patch, Self::Error];

    const fn word(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Patch => "patch",
            Self::Error => "error",
        }
    }
}

#[cfg_attr(not(feature = "services"), expect(dead_code, reason = "services alone count"))]
impl LiveCounts {
    /// Counts a new subscriber.
    pub(crate) fn begin_subscriber(&self) {
        self.subscribers.fetch_add(1, Ordering::Relaxed);
    }

    /// Uncounts a subscriber that has left.
    pub(crate) fn end_subscriber(&self) {
        self.subscribers.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts a page that is requested at intervals from now on.
    pub(crate) fn begin_poller(&self) {
        self.pollers.fetch_add(1, Ordering::Relaxed);
    }

    /// Uncounts a page that is no longer requested.
    pub(crate) fn end_poller(&self) {
        self.pollers.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts a request for a page by its result.
    pub(crate) fn count_poll(&self, result: PollResult) {
        self.polls[result as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_message(&self, kind: LiveMessageKind) {
        self.messages[kind as usize].fetch_add(1, Ordering::Relaxed);
    }
}

impl LiveCounts {
    pub(crate) fn subscribers(&self) -> usize {
        self.subscribers.load(Ordering::Relaxed)
    }

    /// Returns the number of pages that are requested at intervals.
    pub(crate) fn pollers(&self) -> usize {
        self.pollers.load(Ordering::Relaxed)
    }

    /// Returns the numbers of requests for pages by their results.
    pub(crate) fn polls(&self) -> impl Iterator<Item = (&'static str, u64)> {
        PollResult::ALL.into_iter().map(|result| (result.word(), self.polls[result as usize].load(Ordering::Relaxed)))
    }

    /// Returns the numbers of messages by their kinds.
    pub(crate) fn messages(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let count = |kind: LiveMessageKind| self.messages[kind as usize].load(Ordering::Relaxed);
        LiveMessageKind::ALL.into_iter().map(move |kind| (kind.word(), count(kind)))
    }
}
