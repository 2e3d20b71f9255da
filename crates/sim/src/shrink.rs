//! Makes a scenario small: less of everything, as long as the same comes of it.

use std::ops::Range;

/// The most walks that one shrinking may take.
const ATTEMPTS: u32 = 4_000;

/// Returns the smallest scenario found of which the same can be said; `smaller` gives those that are smaller in one
/// respect, the boldest first.
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
                best = candidate;
                continue 'smaller;
            }
        }
        return best;
    }
}

/// Returns the whole, its halves, quarters and so on down to single places.
pub(crate) fn chunks(length: usize) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut size = length;
    while size > 0 {
        ranges.extend((0..length).step_by(size).map(|from| from..(from + size).min(length)));
        size /= 2;
    }
    ranges
}

/// Scenarios that are being collected.
pub(crate) struct Candidates<'a, S> {
    of: &'a S,
    pub(crate) found: Vec<S>,
}

impl<'a, S: Clone + PartialEq> Candidates<'a, S> {
    pub(crate) fn new(of: &'a S) -> Self {
        Self { of, found: Vec::new() }
    }

    /// Adds the scenario with a change, where it is another one then.
    pub(crate) fn with(&mut self, change: impl FnOnce(&mut S)) {
        let mut candidate = self.of.clone();
        change(&mut candidate);
        if candidate != *self.of {
            self.found.push(candidate);
        }
    }
}
