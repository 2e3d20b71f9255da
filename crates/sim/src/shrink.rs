//! The shrinking of a scenario to the smallest one found with the same result.

use std::ops::Range;

/// The largest number of variants that one shrinking tries.
const ATTEMPTS: u32 = 4_000;

/// Returns the smallest scenario found for which `same` returns `true`. `smaller` returns the variants of a scenario
/// that are smaller in one respect, the largest steps first. The search continues from the first variant for which
/// `same` returns `true`. At most [`ATTEMPTS`] variants are tried.
pub(crate) fn shrink<S: Clone>(scenario: &S, smaller: impl Fn(&S) -> Vec<S>, same: impl Fn(&S) -> bool) -> S {
    let mut best = scenario.clone();
    let mut attempts = 0;
    'smaller: loop {
        for candidate in smaller(&best) {
            attempts += 1;
            if attempts > ATTEMPTS {
                return best;
            }
            if same(&candidate) {
                // The search begins again with the largest step, which may be possible now.
                best = candidate;
                continue 'smaller;
            }
        }
        return best;
    }
}

/// Returns the whole range of a length, its halves, its quarters, and so on down to single places.
pub(crate) fn chunks(length: usize) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut size = length;
    while size > 0 {
        ranges.extend((0..length).step_by(size).map(|from| from..(from + size).min(length)));
        size /= 2;
    }
    ranges
}

/// A collector of variants of a scenario that are smaller in one respect.
pub(crate) struct Candidates<'a, S> {
    of: &'a S,
    pub(crate) found: Vec<S>,
}

impl<'a, S: Clone + PartialEq> Candidates<'a, S> {
    pub(crate) fn new(of: &'a S) -> Self {
        Self { of, found: Vec::new() }
    }

    /// Adds the scenario with a change, if the change makes a difference.
    pub(crate) fn with(&mut self, change: impl FnOnce(&mut S)) {
        let mut candidate = self.of.clone();
        change(&mut candidate);
        if candidate != *self.of {
            self.found.push(candidate);
        }
    }
}
