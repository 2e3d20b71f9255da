//! Draws the changes of lists.

use cursorgate_core::pagination::rules::Rule;

use super::{Draft, draw_row, upstream::is_about_ends};
use crate::{
    dice::Dice,
    keyed::{
        row::{RowPlan, Shape},
        world::Mutation,
    },
};

/// The place at which a list changes most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Habit {
    Anywhere,
    /// New rows come first, as in a list that begins with the newest item.
    AtTheHead,
    /// Rows at the head are deleted, as by a worker that reads a queue and deletes each item.
    ReadAndDelete,
    /// New rows come last, ahead of a client that reads forward. In the regime `Wild` they come faster than the client
    /// reads.
    AtTheTail,
    /// The row that the client's cursor names moves.
    AtTheAnchor,
}

pub(super) fn draw(dice: &mut Dice, draft: &Draft, shape: &Shape, count: u32, roomy: bool) -> Vec<Vec<Mutation>> {
    // A page of one answer has up to three ticks (`Scenario::plan`).
    let ticks = 3 * (count / draft.limit + 4).min(60);
    let eager = draft.wild || !draft.is_free();
    let percent = if eager { dice.pick(&[10, 40, 80]) } else { dice.pick(&[5, 15, 30]) };
    // In the regime `InReach`, at most as many rows change at once as an answer can spare. Beyond that, a refusal would
    // be needed (`Need::Speed`).
    let burst = match (eager, roomy) {
        (true, _) => dice.pick(&[1, 3, 20]),
        (false, true) => dice.pick(&[1, 1, 2, 5]),
        (false, false) => 1,
    };
    let habit = match draft.rule() {
        // The rule matters only if the anchor's row has moved since the cursor was made. Regression:
        // `without-keys-decide`.
        Some(Rule::KeysDecide | Rule::PivotsAreKnownAgain) => Habit::AtTheAnchor,
        // A row at the head, between count and slice, pushes the last row beyond the count.
        // Regression: `without-counts-only-aim`.
        Some(rule) if is_about_ends(rule) => Habit::AtTheHead,
        _ => dice.pick(&[
            Habit::Anywhere,
            Habit::Anywhere,
            Habit::AtTheHead,
            Habit::AtTheHead,
            Habit::ReadAndDelete,
            Habit::AtTheTail,
            Habit::AtTheAnchor,
        ]),
    };
    let mut plan: Vec<Vec<Mutation>> = (0..ticks)
        .map(|_| {
            let times = if dice.chance(percent) { 1 + dice.below(burst) } else { 0 };
            (0..times).map(|_| change(dice, draft, shape, habit)).collect()
        })
        .collect();
    if draft.is_free() && habit == Habit::AtTheTail && draft.wild {
        for due in &mut plan {
            due.extend((0..draft.limit.min(8)).map(|_| Mutation::Insert(at_edge(dice, shape, false))));
        }
    }
    if let Some(count) = draft.drift {
        drift_far(dice, shape, &mut plan, count);
    }
    plan
}

fn change(dice: &mut Dice, draft: &Draft, shape: &Shape, habit: Habit) -> Mutation {
    let anywhere = |dice: &mut Dice| match dice.below(20) {
        0..=6 => Mutation::Insert(draw_row(dice, shape, false)),
        7..=13 => Mutation::Delete(dice.roll() as u32),
        14 | 15 => Mutation::Rekey(dice.roll() as u32, draw_row(dice, shape, false)),
        16 | 17 => Mutation::Restore(dice.roll() as u32),
        18 if draft.wild && dice.chance(20) && !shape.strong.is_empty() => {
            Mutation::Twin(dice.roll() as u32, draw_row(dice, shape, false))
        }
        _ => Mutation::Edit(dice.roll() as u32),
    };
    if dice.chance(30) {
        return anywhere(dice);
    }
    match habit {
        Habit::Anywhere => anywhere(dice),
        Habit::AtTheHead => Mutation::Insert(at_edge(dice, shape, true)),
        Habit::ReadAndDelete => Mutation::Delete(dice.below(4)),
        Habit::AtTheTail => Mutation::Insert(at_edge(dice, shape, false)),
        Habit::AtTheAnchor => Mutation::MoveAnchor(dice.below(30) as i32 - 10),
    }
}

/// Draws a row that belongs at the head of the list, or at its tail if `head` is false.
fn at_edge(dice: &mut Dice, shape: &Shape, head: bool) -> RowPlan {
    let mut row = draw_row(dice, shape, false);
    let edge = |descending: bool, width: u32| if descending == head { width - 1 } else { 0 };
    match shape.strong.first() {
        Some(column) => row.keys[0] = Some(i64::from(edge(column.descending, column.width))),
        None => row.id = edge(shape.id.descending, shape.id.width),
    }
    row
}

/// Adds a change by which `count` rows come or go at once between two early pages, mostly at the head. The next page's
/// place is then far from its hint.
fn drift_far(dice: &mut Dice, shape: &Shape, plan: &mut [Vec<Mutation>], count: u32) {
    let tick = (2 + dice.below(6)).min(plan.len() as u32 - 1) as usize;
    let head = dice.chance(80);
    let like = at_edge(dice, shape, head);
    plan[tick].push(match dice.below(10) {
        0..=6 => Mutation::Flood { like, count, spread: false },
        7 | 8 => Mutation::Flood { like, count, spread: true },
        _ => Mutation::Purge { from: dice.below(100), count },
    });
    if dice.chance(50) {
        let later = dice.below(plan.len() as u32) as usize;
        plan[later].push(Mutation::Purge { from: dice.below(count), count: dice.pick(&[count / 2, count, 100_000]) });
    }
}
