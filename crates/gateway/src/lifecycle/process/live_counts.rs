//! The process's counts for live pages: subscribers, polled pages, requests for pages, and messages.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The counts of live pages and of their subscribers.
#[derive(Debug, Default)]
pub struct LiveCounts {
    subscribers: AtomicUsize,
    /// The number of pages that are polled.
    pollers: AtomicUsize,
    polls: [AtomicU64; PollResult::ALL.len()],
    messages: [AtomicU64; LiveMessageKind::ALL.len()],
}

/// The result of one poll of a live page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PollResult {
    Changed,
    Unchanged,
    /// The poll failed, but a later poll may succeed.
    Failed,
    /// The page can no longer be served.
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

/// The kind of a message to a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiveMessageKind {
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

impl LiveCounts {
    /// Adds a new subscriber to the count.
    pub fn begin_subscriber(&self) {
        self.subscribers.fetch_add(1, Ordering::Relaxed);
    }

    /// Removes a subscriber that has left from the count.
    pub fn end_subscriber(&self) {
        self.subscribers.fetch_sub(1, Ordering::Relaxed);
    }

    /// Adds a page that is polled from now on to the count.
    pub fn begin_poller(&self) {
        self.pollers.fetch_add(1, Ordering::Relaxed);
    }

    /// Removes a page that is no longer polled from the count.
    pub fn end_poller(&self) {
        self.pollers.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts a poll of a page by its result.
    pub fn count_poll(&self, result: PollResult) {
        self.polls[result as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub fn count_message(&self, kind: LiveMessageKind) {
        self.messages[kind as usize].fetch_add(1, Ordering::Relaxed);
    }
}

impl LiveCounts {
    pub fn subscribers(&self) -> usize {
        self.subscribers.load(Ordering::Relaxed)
    }

    /// Returns the number of pages that are polled.
    pub fn pollers(&self) -> usize {
        self.pollers.load(Ordering::Relaxed)
    }

    /// Returns the number of polls for each result.
    pub fn polls(&self) -> impl Iterator<Item = (&'static str, u64)> {
        PollResult::ALL.into_iter().map(|result| (result.word(), self.polls[result as usize].load(Ordering::Relaxed)))
    }

    /// Returns the number of messages for each kind.
    pub fn messages(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let count = |kind: LiveMessageKind| self.messages[kind as usize].load(Ordering::Relaxed);
        LiveMessageKind::ALL.into_iter().map(move |kind| (kind.word(), count(kind)))
    }
}
