//! Draws the orders of lists: columns, the id, and the order of ties.

use cursorgate_core::pagination::{
    order::{Grain, Nulls, Ties},
    rules::Rule,
};

use super::Draft;
use crate::{
    dice::Dice,
    keyed::{
        broken::Lie,
        row::{Shape, TieOrder},
        values::{Column, Look},
    },
};

const LOOKS: [Look; 13] = [
    Look::Whole,
    Look::Decimal,
    Look::Huge,
    Look::Exponent,
    Look::WholeInString,
    Look::Text,
    Look::LongText,
    Look::Datetime,
    Look::Datetime,
    Look::Boolean,
    Look::Uuid,
    Look::Rank,
    Look::Opaque,
];

pub(super) fn draw(dice: &mut Dice, draft: &Draft) -> Shape {
    let (lie, rule) = (draft.lie(), draft.rule());
    let shuffled = lie == Some(Lie::TiesAreOrdered) || rule == Some(Rule::RunsAreClosed);
    let ties = match draft.is_free() {
        _ if shuffled => TieOrder::Shuffled,
        false => TieOrder::ById,
        // PostgreSQL defines no order of ties: queries with other limits may give other rows of a run.
        true => dice.pick(&[TieOrder::ById, TieOrder::ById, TieOrder::ById, TieOrder::Fixed, TieOrder::Shuffled]),
    };
    let coarse = rule == Some(Rule::FiltersAreProven) || (draft.is_free() && dice.chance(20));
    let declared = match ties {
        _ if lie == Some(Lie::TiesAreOrdered) => Ties::Ordered,
        TieOrder::ById if !dice.chance(15) => Ties::Ordered,
        _ => Ties::Unordered,
    };
    // Unordered ties are used only as whole runs, which must fit into answers. So runs are short, except in the regime
    // `Wild` and where the endpoint can filter by the run.
    let long_runs = declared == Ties::Ordered || ((draft.wild || draft.keyed) && dice.chance(30));
    let columns = match (lie, rule) {
        (Some(Lie::TiesAreOrdered | Lie::FiltersCompareText), _) => 1,
        (_, Some(Rule::RunsAreClosed | Rule::FiltersAreProven | Rule::KeysDecide | Rule::PivotsAreKnownAgain)) => 1,
        _ => dice.pick(&[0, 1, 1, 1, 2]),
    };
    let mut strong: Vec<Column> =
        (0..columns).map(|index| column(dice, draft, long_runs, index, index + 1 == columns)).collect();
    if draft.crowd
        && let Some(first) = strong.first_mut()
    {
        first.width = (1 + dice.below(3)).min(Column::most(first.look));
    }
    if coarse && columns > 0 {
        let which = dice.below(columns) as usize;
        coarsen(dice, &mut strong, which, draft);
    }
    if lie == Some(Lie::FiltersCompareText) {
        strong = vec![Column { descending: dice.chance(50), ..Column::plain(Look::Whole, 300) }];
    }
    let coarse = strong.iter().any(|column| column.grain > 1);
    let mut id = Column::plain(
        dice.pick(&[Look::Whole, Look::Whole, Look::Huge, Look::WholeInString, Look::Text, Look::Uuid]),
        3_000,
    );
    id.inferred = Column::can_be_inferred(id.look) && dice.chance(30);
    id.descending = dice.chance(25);
    // Rows that look alike in an undeclared coarse key are sorted by the key's hidden part, not by id. Ties that are
    // declared to be ordered would contradict that.
    let hidden_grain =
        coarse && strong.iter().any(|column| column.grain > 1 && !column.said && column.look != Look::LongText);
    let declared = if hidden_grain { Ties::Unordered } else { declared };
    for index in 0..strong.len() {
        // Only the answers show the order of opaque values. After a key that hides its order, or where ties come in any
        // order, no answer shows where a run of equal opaque values ends. Such a list is read without an order
        // (docs/decisions/equal-values.md).
        let hides = index > 0 && (strong[index - 1].grain > 1 || strong[index - 1].look == Look::LongText);
        if (hides || declared == Ties::Unordered) && strong[index].look == Look::Opaque {
            strong[index].look = Look::Datetime;
        }
    }
    Shape { strong, id, ties, declared, varied: dice.chance(50) }
}

fn column(dice: &mut Dice, draft: &Draft, long_runs: bool, index: u32, last: bool) -> Column {
    let look = dice.pick(&LOOKS);
    let few = !long_runs && matches!(look, Look::Boolean | Look::Rank) && index == 0;
    // An opaque key is always the last one. Only in the regime `Wild` may it be the only key: once the row that a
    // cursor names is gone, no other key could find its place.
    let blind = look == Look::Opaque && !(last && draft.is_free() && (draft.wild || index > 0));
    let look = if few || blind { Look::Datetime } else { look };
    let width = if long_runs { dice.pick(&[1, 2, 3, 8, 40, 300]) } else { dice.pick(&[20, 60, 300]) };
    let mut column = Column::plain(look, width.min(Column::most(look)));
    column.inferred = Column::can_be_inferred(look) && dice.chance(30);
    column.descending = dice.chance(50);
    column.nulls = dice.pick(&[
        Nulls::None,
        Nulls::None,
        Nulls::Unsaid,
        Nulls::Smallest,
        Nulls::Largest,
        Nulls::First,
        Nulls::Last,
    ]);
    column
}

/// Makes a key look coarser than it is sorted. Only the last key may be coarse without a declaration. If keys followed
/// it, the answers would contradict the order.
fn coarsen(dice: &mut Dice, strong: &mut [Column], which: usize, draft: &Draft) {
    let last = which + 1 == strong.len();
    let column = &mut strong[which];
    // Rails shows milliseconds where PostgreSQL sorts by microseconds: a filter by the shown value loses rows.
    column.grain = dice.pick(&[2, 10, 1000]);
    let must_be_said = !last || draft.keyed;
    if must_be_said && !matches!(column.look, Look::Datetime | Look::Decimal | Look::Whole | Look::LongText) {
        column.look = Look::Datetime;
        column.inferred = false;
    }
    let units = match column.look {
        Look::Datetime => vec![Grain::Day, Grain::Digits(0), Grain::Digits(3), Grain::Digits(6)],
        Look::Decimal => vec![Grain::Digits(2)],
        Look::Whole => vec![Grain::Digits(0)],
        _ => return,
    };
    column.unit = Some(dice.pick(&units));
    column.said = must_be_said || dice.chance(60);
    if must_be_said && draft.keyed && last && column.look == Look::Datetime && column.unit != Some(Grain::Day) {
        // The digits of a date-time show its grain, so the grain needs no declaration.
        column.said = dice.chance(70);
    }
}
