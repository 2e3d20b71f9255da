//! Smaller variants of scenarios of lists by token.

use super::scenario::{Scenario, Style};
use crate::shrink::{Candidates, chunks};

/// Returns scenarios that are smaller in one respect, the largest steps first.
pub(crate) fn smaller(scenario: &Scenario) -> Vec<Scenario> {
    let mut all = Candidates::new(scenario);
    all.with(|it| it.plan.clear());
    for part in chunks(scenario.plan.len()) {
        all.with(|it| drop(it.plan.drain(part.clone())));
        all.with(|it| it.plan[part].fill(Vec::new()));
    }
    for (tick, due) in scenario.plan.iter().enumerate().filter(|(_, due)| due.len() > 1) {
        for index in 0..due.len() {
            all.with(|it| drop(it.plan[tick].drain(index..=index)));
        }
    }
    for part in chunks(scenario.rows.len()) {
        all.with(|it| drop(it.rows.drain(part)));
    }
    if let Style::Wander(clicks) = &scenario.style {
        for part in chunks(clicks.len()) {
            all.with(|it| {
                if let Style::Wander(clicks) = &mut it.style {
                    drop(clicks.drain(part));
                }
            });
        }
    }
    all.with(|it| it.style = Style::Forward);
    all.with(|it| it.limits.truncate(1));
    // The whole range, which comes first, is left out, because a walk needs a limit.
    for part in chunks(scenario.limits.len()).into_iter().skip(1) {
        all.with(|it| drop(it.limits.drain(part)));
    }
    all.with(|it| it.descending = false);
    all.with(|it| it.traits.total = false);
    all.with(|it| it.traits.flag = None);
    all.with(|it| it.traits.vouched = false);
    all.with(|it| it.traits.always = false);
    all.with(|it| it.traits.missing = None);
    all.with(|it| it.traits.blank = None);
    all.with(|it| it.traits.gap = 0);
    all.with(|it| it.traits.gap /= 2);
    all.with(|it| it.traits.hidden = 0);
    all.with(|it| it.rows.iter_mut().for_each(|row| row.hidden = false));
    all.with(|it| it.traits.lasts = None);
    // Tokens for one use must be new each time.
    all.with(|it| it.traits.fresh = it.traits.single_use);
    all.with(|it| it.traits.single_use = false);
    all.with(|it| it.traits.previous_always = false);
    all.with(|it| it.traits.ignores_size = None);
    all.found
}
