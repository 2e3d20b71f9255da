//! Draws the range filters of endpoints.

use std::sync::Arc;

use cursorgate_core::pagination::filter::{Comparisons, Filters};

use super::Draft;
use crate::{
    dice::Dice,
    keyed::{
        row::Shape,
        traits::{Filtering, Reads},
    },
};

pub(super) fn draw(dice: &mut Dice, draft: &Draft, shape: &Shape) -> Filtering {
    // Most endpoints can do the same with each of their fields, so one kind of comparison is drawn for all columns.
    let kind = if draft.is_free() { dice.below(8) } else { 0 };
    let nulls = !draft.is_free() || dice.chance(60);
    let one = |dice: &mut Dice| {
        let (inclusive, exclusive) = match kind {
            0..=3 => (true, dice.chance(50)),
            4 | 5 => (true, true),
            6 => (false, true),
            _ => (dice.chance(50), dice.chance(50)),
        };
        Comparisons {
            less: exclusive,
            less_or_equal: inclusive,
            greater: exclusive,
            greater_or_equal: inclusive,
            equal: dice.chance(50),
            nulls,
        }
    };
    let mut columns: Vec<Comparisons> = (0..=shape.strong.len()).map(|_| one(dice)).collect();
    for column in columns.iter_mut().skip(1) {
        if dice.chance(30) {
            *column = Comparisons::default();
        }
    }
    if draft.wild && dice.chance(10) {
        columns[0] = Comparisons::default();
    }
    // Some endpoints filter only in one direction, such as feeds with nothing but `until`.
    if draft.is_free() && dice.chance(15) {
        let rises = dice.chance(50);
        for column in &mut columns {
            *column = match rises {
                true => Comparisons { less: false, less_or_equal: false, ..*column },
                false => Comparisons { greater: false, greater_or_equal: false, ..*column },
            };
        }
    }
    let filters = Filters { columns, either: dice.chance(40), both: dice.chance(70), sorts_by_id: dice.chance(40) };
    Filtering { reads: Reads::AsTold, filters: Arc::new(filters), ignored: draft.wild && dice.chance(10) }
}
