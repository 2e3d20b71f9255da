//! The counts of questions to the store and of writes, by their ends.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::gateway::outcome::histogram::{Histogram, HistogramCounts, TIMES};

/// The ends of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    /// The store has the value.
    Hit,
    /// The store has none, or one that has expired.
    Miss,
    /// No answer came within the time-box.
    Late,
    /// The server answered by an error, or by another type than was asked for.
    Refused,
    /// The store was down, so that it was not asked.
    Down,
    /// A value did not open: it was made for another name, by another key, or by somebody without one.
    Forged,
    /// The store counted a request for the limits of its client.
    Counted,
}

/// The words of the ends, in their order.
const ANSWERED: [&str; 7] = ["hit", "miss", "late", "refused", "down", "forged", "counted"];

/// The ends of a question for a page, which are among those of questions too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageAnswered {
    /// The page is used.
    Hit,
    /// The store has no page, or said none in time.
    Miss,
    /// The store has a page that a purge concerns, or may concern.
    Purged,
}

/// The words of the ends, in their order.
const PAGE_ANSWERED: [&str; 3] = ["hit", "miss", "purged"];

/// The ends of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// The server took it.
    Stored,
    /// The write failed, or the server refused it.
    Failed,
    /// The queue was full, or the store was down.
    Dropped,
}

/// The words of the ends, in their order.
const WRITTEN: [&str; 3] = ["stored", "failed", "dropped"];

/// The counts of a process. They outlive reloads.
#[derive(Debug)]
pub(crate) struct StoreCounts {
    answered: [AtomicU64; ANSWERED.len()],
    pages: [AtomicU64; PAGE_ANSWERED.len()],
    written: [AtomicU64; WRITTEN.len()],
    times: Histogram,
}

impl Default for StoreCounts {
    fn default() -> Self {
        Self {
            answered: Default::default(),
            pages: Default::default(),
            written: Default::default(),
            times: Histogram::new(TIMES),
        }
    }
}

impl StoreCounts {
    /// Counts a question, which took this time unless the store was down.
    pub(crate) fn answer(&self, answered: Answered, time: Duration) {
        self.answered[answered as usize].fetch_add(1, Ordering::Relaxed);
        if answered != Answered::Down {
            self.times.add_time(time);
        }
    }

    /// Counts a question for a page.
    pub(crate) fn page(&self, answered: PageAnswered) {
        self.pages[answered as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a write.
    pub(crate) fn write(&self, written: Written) {
        self.written[written as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the questions by their ends.
    pub(crate) fn answers(&self) -> impl Iterator<Item = (&'static str, u64)> {
        ANSWERED.into_iter().zip(self.answered.iter().map(|count| count.load(Ordering::Relaxed)))
    }

    /// Returns the questions for pages by their ends.
    pub(crate) fn page_answers(&self) -> impl Iterator<Item = (&'static str, u64)> {
        PAGE_ANSWERED.into_iter().zip(self.pages.iter().map(|count| count.load(Ordering::Relaxed)))
    }

    /// Returns the writes by their ends.
    pub(crate) fn writes(&self) -> impl Iterator<Item = (&'static str, u64)> {
        WRITTEN.into_iter().zip(self.written.iter().map(|count| count.load(Ordering::Relaxed)))
    }

    /// Returns the times of questions.
    pub(crate) fn times(&self) -> HistogramCounts {
        self.times.counts()
    }
}
