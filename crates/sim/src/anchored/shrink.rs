//! Smaller variants of scenarios of lists without a declared order.

use super::{
    scenario::{Click, Scenario, Style, Turn},
    upstream::{Past, Says},
};
use crate::shrink::{Candidates, chunks};

/// Returns scenarios that are smaller in one respect, the largest steps first.
pub(crate) fn smaller(scenario: &Scenario) -> Vec<Scenario> {
    let mut all = Candidates::new(scenario);
    all.with(|it| it.turns.clear());
    for part in chunks(scenario.turns.len()) {
        all.with(|it| it.turns[part.clone()].fill(Turn::CALM));
        all.with(|it| drop(it.turns.drain(part)));
    }
    for (index, turn) in scenario.turns.iter().enumerate() {
        for change in 0..turn.before.len() {
            all.with(|it| drop(it.turns[index].before.drain(change..=change)));
        }
        for change in 0..turn.during.len() {
            all.with(|it| drop(it.turns[index].during.drain(change..=change)));
        }
        all.with(|it| it.turns[index].other = None);
        all.with(|it| it.turns[index].moves_anchor = None);
        all.with(|it| it.turns[index].click = Click::Next);
    }
    all.with(|it| it.rows /= 2);
    all.with(|it| it.rows = it.rows.saturating_sub(1));
    all.with(|it| it.limits.truncate(1));
    all.with(|it| it.limits.iter_mut().for_each(|limit| *limit = (*limit / 2).max(1)));
    all.with(|it| it.style = Style::Forward);
    all.with(|it| it.forgets = false);
    all.with(|it| it.look = super::world::Look::Number);
    all.with(|it| it.traits.says = Says::Nothing);
    all.with(|it| it.traits.past = Past::Empty);
    all.with(|it| it.traits.echoes = false);
    all.with(|it| it.traits.hides = 0);
    all.with(|it| it.traits.lags = false);
    all.found
}
