//! The walk of a client, which at times continues from an item's cursor instead of a page's own link.

use std::collections::BTreeMap;

use cursorgate_core::pagination::{
    page::{Level, Page},
    paging::UpstreamProfile,
    position::{Hint, Item, MarkedItem, Marks, Position, Target},
    refusal::Refusal,
};

use super::{
    promises::{Bound, fault},
    scenario::{Beside, Row, Scenario},
    upstream::Upstream,
};
use crate::founded::{FOUNDED, Verdict};

/// The word for a wrong page that is excused and counted: the list changed, or a search met no contradiction.
pub(crate) const DECEIVED: &str = "deceived";

/// The word for a page for which the checker finds no argument, in a list that changed.
pub(crate) const UNCLEAR: &str = "unclear";

/// The result of a walk.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// The level of each page, and after it the reason if the walk ended before the list: a refusal, or [`DECEIVED`].
    pub(crate) met: Vec<&'static str>,
    pub(crate) changes: u64,
    pub(crate) violation: Option<String>,
    pub(crate) refusal: Option<Refusal>,
    pub(crate) story: Vec<String>,
}

/// Walks as the scenario says. The outcome contains the story.
pub(crate) fn walk(scenario: &Scenario) -> Outcome {
    let mut upstream = Upstream::new(scenario);
    let mut outcome = Outcome::default();
    go(scenario, &mut upstream, &mut outcome);
    (outcome.changes, outcome.story) = (upstream.changes, upstream.story);
    outcome
}

fn go(scenario: &Scenario, upstream: &mut Upstream<'_>, outcome: &mut Outcome) {
    let Scenario { limit, backward, .. } = *scenario;
    let (position, mut bound) = if backward { (Position::End, Bound::End) } else { (Position::Start, Bound::Start) };
    let mut target = Target { position, hint: Hint::default() };
    let mut profile = UpstreamProfile::default();
    let mut known: BTreeMap<u64, Row> = BTreeMap::new();
    for turn in &scenario.turns {
        let page = upstream.page(&target, limit, profile);
        for state in &upstream.shown {
            known.extend(state.iter().map(|row| (row.id, row.clone())));
        }
        let page = match page {
            Ok(page) => page,
            Err(refusal) => {
                // Without a hint, the core can't find a distant place among values that can't be compared, or in a list
                // that is sorted otherwise than declared. That isn't a fault.
                let is_lost = matches!(refusal, Refusal::PositionLost { .. } | Refusal::BudgetExceeded);
                let is_far = is_lost && target.hint == Hint::default();
                outcome.met.push(if is_far { "item not found" } else { refused(&refusal) });
                outcome.refusal = Some(refusal);
                return;
            }
        };
        match upstream.verdict.take() {
            // In a list that changes, the answers show several states, and the checker may find no argument for a page
            // that is right. The page is checked against the true order all the same.
            Some(Verdict::Unclear(_)) if !scenario.is_at_rest() => outcome.met.push(UNCLEAR),
            Some(Verdict::Unclear(what) | Verdict::Unfounded(what)) => {
                outcome.violation = Some(format!("{FOUNDED}: {what}"));
                return;
            }
            Some(Verdict::Founded) | None => {}
        }
        profile = page.notes.profile;
        let rows = rows(&page, &known);
        outcome.met.push(level(page.level()));
        if let Some(what) = fault(upstream, &page, &rows, &bound) {
            // Rows that came or went may hide the true order. In a list at rest, a search for a place without a hint
            // may meet only answers that fit the declared order.
            let is_searched =
                target.hint == Hint::default() && !matches!(target.position, Position::Start | Position::End);
            let is_hidden = is_searched && !upstream.contradicts_order();
            if scenario.is_at_rest() && !is_hidden {
                outcome.violation = Some(format!("{what}, at {:?}, {bound:?}", page.level()));
            } else {
                outcome.met.push(DECEIVED);
            }
            return;
        }
        if let Some(Beside { last, forward }) = *turn
            && !rows.is_empty()
        {
            let Some((first_item, last_item)) = &page.edges else { continue };
            let (item, row) = if last { (last_item, &rows[rows.len() - 1]) } else { (first_item, &rows[0]) };
            target = Target { position: beside(item, forward), hint: Hint::default() };
            bound = if forward { Bound::After(row.clone()) } else { Bound::Before(row.clone()) };
            continue;
        }
        let (ahead, edge) = if backward { (&page.previous, rows.first()) } else { (&page.next, rows.last()) };
        let Some(ahead) = ahead else { return };
        target = ahead.clone();
        bound = match (&target.position, edge) {
            (Position::Start, _) => Bound::Start,
            (Position::End, _) => Bound::End,
            (_, Some(row)) if backward => Bound::Before(row.clone()),
            (_, Some(row)) => Bound::After(row.clone()),
            (_, None) => bound,
        };
    }
}

/// Returns the rows of a page, by the ids that it shows.
fn rows(page: &Page, known: &BTreeMap<u64, Row>) -> Vec<Row> {
    let row = |index: usize| {
        let place = page.items[index];
        let answer = &page.answers[place.answer as usize];
        let id = answer.id(place.item as usize);
        known[&std::str::from_utf8(id).unwrap().parse().unwrap()].clone()
    };
    (0..page.items.len()).map(row).collect()
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Exact => "exact",
        Level::Checked => "checked",
        Level::Anchored => "anchored",
        Level::Positional => "positional",
    }
}

fn refused(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Unsorted(_) => "unsorted",
        Refusal::PositionLost { .. } => "position lost",
        Refusal::TieRun { .. } => "tie run",
        Refusal::BudgetExceeded => "budget",
        _ => "other refusal",
    }
}

/// Returns the position after an item, or before it if `forward` is false, as the item's cursor names it.
fn beside(item: &Item, forward: bool) -> Position {
    match (item, forward) {
        (Item::Keyed(anchor), true) => Position::After(anchor.clone()),
        (Item::Keyed(anchor), false) => Position::Before(anchor.clone()),
        (Item::Marked(MarkedItem { item, around, .. }), _) => {
            let Marks { mut before, mut after } = around.clone();
            if forward {
                before.push(*item);
                Position::AfterMarks(Marks { before, after })
            } else {
                after.insert(0, *item);
                Position::BeforeMarks(Marks { before, after })
            }
        }
    }
}
