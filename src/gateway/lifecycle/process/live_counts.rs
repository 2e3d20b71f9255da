//! The counts of live pages in the process.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The counts of live pages.
#[derive(Debug, Default)]
pub struct LiveCounts {
    subscribers: AtomicUsize,
    pollers: AtomicUsize,
    polls: [AtomicU64; PollResult::ALL.len()],
    messages: [AtomicU64; LiveMessageKind::ALL.len()],
}

/// The results of requests for live pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PollResult {
    Changed,
    Unchanged,
    /// The request may succeed later.
    Failed,
    /// The page can't be had any more.
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
    /// Counts a subscriber that comes.
    pub(crate) fn begin_subscriber(&self) {
        self.subscribers.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a subscriber that goes.
    pub(crate) fn end_subscriber(&self) {
        self.subscribers.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts a page that begins to be asked for.
    pub(crate) fn begin_poller(&self) {
        self.pollers.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a page that is no longer asked for.
    pub(crate) fn end_poller(&self) {
        self.pollers.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts a request for a page.
    pub(crate) fn count_poll(&self, result: PollResult) {
        self.polls[result as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a message to a subscriber.
    pub(crate) fn count_message(&self, kind: LiveMessageKind) {
        self.messages[kind as usize].fetch_add(1, Ordering::Relaxed);
    }
}

impl LiveCounts {
    /// Returns the number of subscribers.
    pub(crate) fn subscribers(&self) -> usize {
        self.subscribers.load(Ordering::Relaxed)
    }

    /// Returns the number of pages that are asked for at intervals.
    pub(crate) fn pollers(&self) -> usize {
        self.pollers.load(Ordering::Relaxed)
    }

    /// Returns the requests for pages by their results.
    pub(crate) fn polls(&self) -> impl Iterator<Item = (&'static str, u64)> {
        PollResult::ALL.into_iter().map(|result| (result.word(), self.polls[result as usize].load(Ordering::Relaxed)))
    }

    /// Returns the messages by their kinds.
    pub(crate) fn messages(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let count = |kind: LiveMessageKind| self.messages[kind as usize].load(Ordering::Relaxed);
        LiveMessageKind::ALL.into_iter().map(move |kind| (kind.word(), count(kind)))
    }
}
