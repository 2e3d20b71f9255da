//! The place of an anchor among the items of an answer, which need not contain the anchor itself.

use std::{cmp::Ordering, ops::Range};

use super::{Evidence, loose_at};
use crate::pagination::{
    key::KeyValue,
    order::{Kind, Order},
    position::Anchor,
    rows::{self, Relation},
};

/// The place of an anchor among the items of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::pagination) struct Stand {
    /// The places of the items that tie with the anchor. Items at smaller places come before the anchor in the list,
    /// items at larger places after it.
    pub(in crate::pagination) run: Range<usize>,
    /// The number of items that come before the anchor.
    pub(in crate::pagination) before: usize,
    /// The number of items that come before the anchor or are the anchor.
    pub(in crate::pagination) through: usize,
    /// True if the items that tie with the anchor count only when the whole run is visible.
    pub(in crate::pagination) loose: bool,
}

/// The reason why an anchor has no place among items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pagination) enum Unplaced {
    /// The anchor's keys can't be compared with the items' keys.
    Incomparable,
    /// The side of the anchor is unknown: items share its keys before the opaque one, but none of them shows its place.
    /// `left` and `right` are true for the edges of the answer beyond which more such items may follow.
    Apart { left: bool, right: bool },
}

impl Evidence {
    /// Returns the place of an anchor, or the reason why the items don't show it.
    pub(in crate::pagination) fn stand(&self, order: &Order, anchor: &Anchor) -> Result<Stand, Unplaced> {
        let run = match rows::opaque_at(order, anchor) {
            Some(_) if anchor.keys.len() != order.strong.len() => return Err(Unplaced::Incomparable),
            Some(_) => return self.stand_opaque(order, anchor),
            // Without strong keys, all items are one run, which only the ids divide.
            None if order.strong.is_empty() => 0..self.len(),
            None => {
                let by_run = |place| self.relate(order, place, anchor).map(|relation| relation.strong);
                self.between(0..self.len(), by_run).ok_or(Unplaced::Incomparable)?
            }
        };
        let whole = |place| self.relate(order, place, anchor).map(|relation| relation.whole);
        let Range { start: before, end: through } = self.between(run.clone(), whole).ok_or(Unplaced::Incomparable)?;
        Ok(Stand { run, before, through, loose: loose_at(order, anchor) })
    }

    /// Returns the place of an anchor that only equality places, in a list whose ties are sorted by the id.
    ///
    /// Among the items that are certainly equal to the anchor, the id decides. The items next to these may be equal to
    /// it in another spelling. If such an item would then be on the other side of the anchor, the place is unknown.
    /// Test: `an_anchor_among_opaque_values_is_placed_only_where_no_spelling_could_move_it`.
    fn stand_opaque(&self, order: &Order, anchor: &Anchor) -> Result<Stand, Unplaced> {
        let before = |place| rows::relate_before_opaque(&self.answer, order, self.item(place), anchor);
        let tied = self.between(0..self.len(), before).ok_or(Unplaced::Incomparable)?;
        let value = |place: usize| rows::relate_opaque(&self.answer, order, self.item(place), anchor);
        let left = tied.start == 0 && !self.from_start;
        let right = tied.end == self.len() && !self.end.ends;
        let Some(equal) = tied.clone().find(|place| value(*place) == Some(Ordering::Equal)) else {
            // Nulls have a fixed place in the order, so all items may be placed without an equal value.
            let run = self.between(tied, value).ok_or(Unplaced::Apart { left, right })?;
            return Ok(Stand { before: run.start, through: run.start, run, loose: false });
        };
        let mut runs = self.opaque_runs(order, tied.clone()).into_iter();
        let run = runs.find(|run| run.contains(&equal)).unwrap_or(equal..equal + 1);
        let id = |place: usize| rows::relate_id(&self.answer, order, self.item(place), anchor);
        if let Some(at) = run.clone().find(|place| id(*place) == Some(Ordering::Equal)) {
            return Ok(Stand { run, before: at, through: at + 1, loose: false });
        }
        if !compares_ids(order, anchor) {
            // Only the anchor itself could show its place, and the answer doesn't contain it, so the place is unknown.
            // Test: `an_anchor_among_opaque_values_is_not_placed_by_ids_as_text`.
            return Err(Unplaced::Apart { left, right });
        }
        let unknown = Unplaced::Apart { left: false, right: false };
        let at = self.between(run.clone(), id).ok_or(Unplaced::Incomparable)?.start;
        // An id that is less than the previous item's id begins another run.
        let rises = |place: usize| {
            let [left, right] = [place - 1, place].map(|place| self.item(place));
            rows::compare_ids(&self.answer, order, left, right) == Some(Ordering::Less)
        };
        let beside = |place: usize, rises: bool| {
            let may_be_equal = rises && tied.contains(&place) && value(place).is_none();
            if may_be_equal { id(place) } else { None }
        };
        let ahead = run.start.checked_sub(1).filter(|_| at == run.start).and_then(|left| beside(left, rises(left + 1)));
        let after = if at == run.end && at < tied.end { beside(at, rises(at)) } else { None };
        match (ahead, after) {
            // An item with the anchor's id is the anchor in another spelling, or the anchor has moved to the
            // neighbouring run. The place is then unknown: `regressions/moved-to-the-run-beside.txt`.
            (Some(Ordering::Greater | Ordering::Equal), _) => Err(unknown),
            (_, Some(Ordering::Less | Ordering::Equal)) => Err(unknown),
            _ => Ok(Stand { run, before: at, through: at, loose: false }),
        }
    }

    /// Returns the places whose items are equal to an anchor. `places` must be sorted by `stands`, the items' relation
    /// to the anchor. `None` if an item can't be compared.
    fn between(&self, places: Range<usize>, stands: impl Fn(usize) -> Option<Ordering>) -> Option<Range<usize>> {
        let partition = |mut low: usize, mut high: usize, before: &dyn Fn(Ordering) -> bool| {
            while low < high {
                let middle = low + (high - low) / 2;
                if before(stands(middle)?) {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            Some(low)
        };
        let start = partition(places.start, places.end, &|ordering| ordering == Ordering::Less)?;
        let end = partition(start, places.end, &|ordering| ordering != Ordering::Greater)?;
        Some(start..end)
    }

    fn relate(&self, order: &Order, place: usize, anchor: &Anchor) -> Option<Relation> {
        rows::relate(&self.answer, order, self.item(place), anchor)
    }
}

/// Returns whether the gateway compares ids as the upstream sorts them. Numbers and UUIDs do, even where the upstream's
/// strings don't sort by their bytes.
fn compares_ids(order: &Order, anchor: &Anchor) -> bool {
    match order.id.kind {
        Kind::Number | Kind::NumberInString | Kind::Uuid => true,
        Kind::Inferred => matches!(anchor.id, KeyValue::Number(_)),
        _ => false,
    }
}
