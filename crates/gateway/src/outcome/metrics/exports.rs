//! The numbers of export jobs by state, as last read from the store, and the counts of those that have ended in this
//! process. The numbers include the jobs of all processes that share the store.

use std::sync::atomic::{AtomicU64, Ordering};

use super::service_store::ServiceStore;

/// The states of jobs, as label values of `cursorgate_export_jobs`.
const STATES: [&str; 5] = ["queued", "active", "completed", "failed", "cancelled"];

/// The kinds of jobs, as label values of `cursorgate_export_jobs_ended_total`.
const KINDS: [&str; 2] = ["export", "job"];

/// The states in which a job has ended, as label values of the same metric.
const ENDS: [&str; 3] = ["completed", "failed", "cancelled"];

#[derive(Debug, Default)]
pub struct ExportCounts {
    /// The number of jobs in each state of [`STATES`].
    jobs: [AtomicU64; STATES.len()],
    /// The number of jobs of each kind of [`KINDS`] that this process has ended in each state of [`ENDS`].
    ended: [[AtomicU64; ENDS.len()]; KINDS.len()],
    /// The state of the store of jobs and results.
    pub store: ServiceStore,
}

impl ExportCounts {
    /// Replaces all numbers. States that aren't in `counts` get 0.
    pub fn set(&self, counts: &[(&str, u64)]) {
        for (word, number) in STATES.into_iter().zip(&self.jobs) {
            let count = counts.iter().find(|(state, _)| *state == word);
            number.store(count.map_or(0, |(_, count)| *count), Ordering::Relaxed);
        }
    }

    /// Counts the end of an export or, if `is_call`, of a job of a queue. Of the processes that share a store, the one
    /// that has stored the end counts it.
    pub fn end(&self, is_call: bool, state: &str) {
        if let Some(end) = ENDS.into_iter().position(|word| word == state) {
            self.ended[usize::from(is_call)][end].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns the number of jobs for each kind and end.
    pub fn ended(&self) -> impl Iterator<Item = ([&'static str; 2], u64)> {
        KINDS.into_iter().zip(&self.ended).flat_map(|(kind, counts)| {
            let pairs = ENDS.into_iter().zip(counts);
            pairs.map(move |pair| ([kind, pair.0], pair.1.load(Ordering::Relaxed)))
        })
    }

    pub fn by_state(&self) -> impl Iterator<Item = (&'static str, u64)> {
        STATES.into_iter().zip(self.jobs.iter().map(|number| number.load(Ordering::Relaxed)))
    }
}
