//! The counts of questions to the store and of writes to it, by their outcomes.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::outcome::histogram::{Histogram, HistogramCounts, TIMES};

/// The outcome of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// The store has the value, and the value hasn't expired.
    Hit,
    /// The store doesn't have the value, or the value has expired.
    Miss,
    /// No answer arrived within the time limit.
    Late,
    /// The server replied with an error, or with a value of an unexpected type.
    Refused,
    /// The store was down and was not asked.
    Down,
    /// The value couldn't be opened: it was sealed for another name or by another key, or not by a gateway.
    Forged,
    /// The store counted a request against the limits of its client.
    Counted,
}

/// The words for the variants of [`Answered`] in metrics, in their order.
const ANSWERED: [&str; 7] = ["hit", "miss", "late", "refused", "down", "forged", "counted"];

/// The outcome of a look-up of a page. Each question of the look-up is also counted by itself, as [`Answered`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageAnswered {
    /// The page is used.
    Hit,
    /// The store has no page, or did not return it in time.
    Miss,
    /// The store has a page that has been purged, or may have been.
    Purged,
}

/// The words for the variants of [`PageAnswered`] in metrics, in their order.
const PAGE_ANSWERED: [&str; 3] = ["hit", "miss", "purged"];

/// The outcome of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The server accepted the write.
    Stored,
    /// The write failed, or the server refused it.
    Failed,
    /// The queue was full or the store was down, so the write wasn't sent.
    Dropped,
}

/// The words for the variants of [`Written`] in metrics, in their order.
const WRITTEN: [&str; 3] = ["stored", "failed", "dropped"];

/// The counts of a process, which outlive reloads.
#[derive(Debug)]
pub struct StoreCounts {
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
    /// Counts a question. Its time is not counted if the store was down.
    pub fn answer(&self, answered: Answered, time: Duration) {
        self.answered[answered as usize].fetch_add(1, Ordering::Relaxed);
        if answered != Answered::Down {
            self.times.add_time(time);
        }
    }

    /// Counts a look-up of a page.
    pub fn page(&self, answered: PageAnswered) {
        self.pages[answered as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub fn write(&self, written: Written) {
        self.written[written as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the numbers of questions by outcome.
    pub fn answers(&self) -> impl Iterator<Item = (&'static str, u64)> {
        ANSWERED.into_iter().zip(self.answered.iter().map(|count| count.load(Ordering::Relaxed)))
    }

    /// Returns the numbers of look-ups of pages by outcome.
    pub fn page_answers(&self) -> impl Iterator<Item = (&'static str, u64)> {
        PAGE_ANSWERED.into_iter().zip(self.pages.iter().map(|count| count.load(Ordering::Relaxed)))
    }

    /// Returns the numbers of writes by outcome.
    pub fn writes(&self) -> impl Iterator<Item = (&'static str, u64)> {
        WRITTEN.into_iter().zip(self.written.iter().map(|count| count.load(Ordering::Relaxed)))
    }

    /// Returns the histogram of the times of questions.
    pub fn times(&self) -> HistogramCounts {
        self.times.counts()
    }
}
