//! Smaller variants of scenarios of misdeclared lists.

use super::scenario::Scenario;
use crate::shrink::{Candidates, chunks};

/// Returns scenarios that are smaller in one respect, the largest steps first.
pub(crate) fn smaller(scenario: &Scenario) -> Vec<Scenario> {
    let mut all = Candidates::new(scenario);
    all.with(|it| it.plan.clear());
    for part in chunks(scenario.plan.len()) {
        all.with(|it| drop(it.plan.drain(part.clone())));
        all.with(|it| it.plan[part].fill(None));
    }
    for part in chunks(scenario.rows.len()) {
        all.with(|it| drop(it.rows.drain(part)));
    }
    all.with(|it| it.turns.fill(None));
    for part in chunks(scenario.turns.len()) {
        all.with(|it| drop(it.turns.drain(part)));
    }
    all.with(|it| it.backward = false);
    all.with(|it| it.traits.totals = false);
    all.with(|it| it.traits.flips = false);
    all.found
}
