//! The numbers of export jobs by state, as last read from the store. They include the jobs of all processes that share
//! the store.

use std::sync::atomic::{AtomicU64, Ordering};

use super::service_store::ServiceStore;

/// The states of jobs, as label values of `cursorgate_export_jobs`.
const STATES: [&str; 5] = ["queued", "active", "completed", "failed", "cancelled"];

#[derive(Debug, Default)]
pub struct ExportCounts {
    /// The number of jobs in each state of [`STATES`].
    jobs: [AtomicU64; STATES.len()],
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

    pub fn by_state(&self) -> impl Iterator<Item = (&'static str, u64)> {
        STATES.into_iter().zip(self.jobs.iter().map(|number| number.load(Ordering::Relaxed)))
    }
}
