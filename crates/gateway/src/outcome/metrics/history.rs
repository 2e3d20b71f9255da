//! The history of counts: their increases in steps of ten seconds, for 15 minutes.
//!
//! A separate task ends each step, so requests have no additional work. A step keeps only the increases above 0. In a
//! step, about ten of a route's hundreds of counts change, so a route takes about 10 KB. Browsers can't keep the
//! history: an operator who opens the page at night needs the minutes before that moment.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The length of a step.
pub const STEP: Duration = Duration::from_secs(10);

/// The largest number of steps that are kept, which cover 15 minutes. Older steps are dropped.
pub(super) const STEPS: usize = 90;

/// The increases of counts over at most [`STEPS`] steps.
#[derive(Debug)]
pub(super) struct History(Mutex<Past>);

#[derive(Debug)]
struct Past {
    /// The counts at the end of the last step; at first those at the beginning of the history.
    counts: Vec<u64>,
    /// The end of the last step.
    ended: Instant,
    /// The increases in each step, at most [`STEPS`] steps, latest last.
    steps: VecDeque<HistoryStep>,
}

#[derive(Debug)]
struct HistoryStep {
    took: Duration,
    /// The indexes of the counts that increased, each with its increase.
    increases: Box<[(u16, u32)]>,
}

/// The increases of counts in a period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Increases {
    /// The length of the period.
    pub took: Duration,
    /// The increase of each count, in the order of the counts.
    pub counts: Vec<u64>,
}

impl History {
    /// Begins a history at `now`, when the counts have these values.
    pub(super) fn new(counts: Vec<u64>, now: Instant) -> Self {
        Self(Mutex::new(Past { counts, ended: now, steps: VecDeque::new() }))
    }

    /// Ends a step at `now`, when the counts have these values.
    pub(super) fn step(&self, counts: Vec<u64>, now: Instant) {
        let mut past = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let took = now.saturating_duration_since(past.ended);
        let increased = past.counts.iter().zip(&counts).enumerate().filter_map(|(place, (before, after))| {
            let increase = u32::try_from(after.saturating_sub(*before)).unwrap_or(u32::MAX);
            (increase > 0).then_some((u16::try_from(place).ok()?, increase))
        });
        let increases = increased.collect();
        if past.steps.len() >= STEPS {
            past.steps.pop_front();
        }
        past.steps.push_back(HistoryStep { took, increases });
        (past.counts, past.ended) = (counts, now);
    }

    /// Returns the increases from at most `steps` steps ago until `now`, when the counts have these values.
    pub(super) fn since(&self, steps: usize, counts: &[u64], now: Instant) -> Increases {
        let past = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pairs = past.counts.iter().zip(counts);
        let mut sum: Vec<u64> = pairs.map(|(before, after)| after.saturating_sub(*before)).collect();
        let mut took = now.saturating_duration_since(past.ended);
        for step in past.steps.iter().rev().take(steps) {
            took += step.took;
            step.add_to(&mut sum);
        }
        Increases { took, counts: sum }
    }

    /// Computes a figure for each step, and returns the figures, latest last.
    pub(super) fn series<T>(&self, mut figure: impl FnMut(&Increases) -> T) -> Vec<T> {
        let past = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut increases = Increases { took: Duration::ZERO, counts: vec![0; past.counts.len()] };
        let figures = past.steps.iter().map(|step| {
            increases.took = step.took;
            increases.counts.fill(0);
            step.add_to(&mut increases.counts);
            figure(&increases)
        });
        figures.collect()
    }
}

impl HistoryStep {
    fn add_to(&self, sum: &mut [u64]) {
        for (place, increase) in &self.increases {
            if let Some(count) = sum.get_mut(usize::from(*place)) {
                *count += u64::from(*increase);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn increases_are_added_up_and_old_ones_forgotten() {
        let start = crate::runtime::clock::instant();
        let at = |seconds| start + Duration::from_secs(seconds);
        let history = History::new(vec![5, 0], at(0));
        history.step(vec![7, 0], at(10));
        history.step(vec![7, 1], at(21));
        let increases = |seconds, counts| Increases { took: Duration::from_secs(seconds), counts };
        assert_eq!(history.since(9, &[10, 1], at(25)), increases(25, vec![5, 1]));
        assert_eq!(history.since(1, &[10, 1], at(25)), increases(15, vec![3, 1]));
        assert_eq!(history.series(Clone::clone), [increases(10, vec![2, 0]), increases(11, vec![0, 1])]);
        for step in 0..2 * STEPS as u64 {
            history.step(vec![7 + step, 1], at(30 + 10 * step));
        }
        assert_eq!(history.series(|_| ()).len(), STEPS);
        let last = 6 + 2 * STEPS as u64;
        assert_eq!(history.since(usize::MAX, &[last, 1], at(30)).counts, [STEPS as u64, 0]);
    }
}
