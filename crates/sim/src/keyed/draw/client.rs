//! Draws clients and the settings of their routes.

use cursorgate_core::pagination::{
    resolver::{ShortPages, Totals, Verify, WhenUnproven},
    rules::Rule,
};

use super::Draft;
use crate::{
    dice::Dice,
    keyed::client::{Client, Style},
};

pub(super) fn draw(dice: &mut Dice, draft: &Draft, changes: bool, cap: u32) -> Client {
    let &Draft { wild, limit, .. } = draft;
    let style = match dice.below(14) {
        _ if draft.rule().is_some() => Style::Forward { looks_back: false },
        0..=4 => Style::Forward { looks_back: dice.chance(30) },
        5 | 6 => Style::Backward,
        7 | 8 => Style::ThereAndBack { turn: 1 + dice.below(6) },
        9 => Style::Worker { share: dice.pick(&[5, 20, 100]) },
        10 => Style::Wander { choices: (0..3).map(|_| dice.roll() as u32).collect() },
        _ => Style::Wander { choices: (0..4 + dice.below(16)).map(|_| dice.roll() as u32).collect() },
    };
    let far = wild || !changes;
    let limits = match dice.below(10) {
        0..=6 => vec![limit],
        7 | 8 => (0..3).map(|_| 1 + dice.below(limit)).collect(),
        _ if far => vec![limit, cap, cap + 1, 2 * cap + 1],
        _ => vec![limit, 1],
    };
    let budget = if wild { dice.pick(&[2, 3, 8, 40]) } else { dice.pick(&[8, 8, 40]) };
    let free = draft.is_free();
    // A gateway that doesn't remember the keys of a pivot looks the item up, and gets the keys that it has now.
    // Regression: `without-pivots-are-known-again`.
    let replaced = draft.rule() == Some(Rule::PivotsAreKnownAgain);
    Client {
        style,
        limits,
        budget,
        search_budget: budget.max(if wild { dice.pick(&[2, 8, 40]) } else { 40 }),
        unproven: if wild && dice.chance(20) { WhenUnproven::Flag } else { WhenUnproven::Refuse },
        verify: match dice.below(if wild { 20 } else { 100 }) {
            0 if free => Verify::Never,
            1 if free => Verify::WhenCheap,
            _ => Verify::Always,
        },
        short_pages: if wild && dice.chance(15) { ShortPages::Serve } else { ShortPages::Refuse },
        totals: match dice.below(10) {
            0 if free => Totals::Omit,
            1 if free => Totals::Count,
            2 | 3 if free => Totals::FirstPage,
            _ => Totals::Upstream,
        },
        forgets: if replaced { 2 } else { dice.pick(&[0, 0, 2, 5]) },
        replicas: if replaced { 2 } else { dice.pick(&[1, 1, 1, 2]) },
        crowded: dice.chance(30),
        seeks: draft.seeks,
        loses_hints: if free && dice.chance(20) { dice.pick(&[1, 2, 4]) } else { 0 },
    }
}
