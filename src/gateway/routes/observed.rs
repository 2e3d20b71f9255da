//! A list that is observed: its answers pass to old clients as they come, and some of them are read.

use std::sync::atomic::{AtomicU32, Ordering};

use super::list::List;
use crate::{config::settings::ObserveSettings, gateway::outcome::metrics::VERDICTS};

/// A list that is not served: its answers pass, and are read.
#[derive(Debug)]
pub struct ObservedList {
    /// What serving it would need.
    pub list: List,
    /// Of so many answers one is read.
    every: u32,
    passed: AtomicU32,
    /// The verdicts of which an example was logged, by their place in [`VERDICTS`].
    told: AtomicU32,
}

impl ObservedList {
    pub(crate) fn new(list: List, settings: ObserveSettings) -> Self {
        Self { list, every: settings.every, passed: AtomicU32::new(0), told: AtomicU32::new(0) }
    }

    /// Whether it is this answer's turn to be read.
    pub(crate) fn has_turn(&self) -> bool {
        self.passed.fetch_add(1, Ordering::Relaxed).is_multiple_of(self.every.max(1))
    }

    /// Whether this is the first time that a verdict is told of.
    pub(crate) fn is_first(&self, verdict: &str) -> bool {
        let Some(place) = VERDICTS.iter().position(|known| *known == verdict) else { return false };
        let bit = 1 << place;
        self.told.fetch_or(bit, Ordering::Relaxed) & bit == 0
    }
}
