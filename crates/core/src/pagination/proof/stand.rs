//! Where an anchor stands among the items of an answer. It need not be there itself.

use std::{cmp::Ordering, ops::Range};

use super::{View, loose_at};
use crate::pagination::{
    order::Order,
    position::Anchor,
    rows::{self, Relation},
};

/// Where an anchor stands among the items of an answer, by place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::pagination) struct Stand {
    /// The items that tie with it: what is before them comes before it, what is behind them after it.
    pub(in crate::pagination) run: Range<usize>,
    /// How many items come before it.
    pub(in crate::pagination) before: usize,
    /// How many come before it or are it.
    pub(in crate::pagination) through: usize,
    /// The items that tie with it count only if all of them are seen.
    pub(in crate::pagination) loose: bool,
}

/// Why an anchor has no place among items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pagination) enum Unplaced {
    /// Its keys can't be compared with theirs.
    Incomparable,
    /// They have its keys but for the opaque one, none has that, and so nothing tells on which side of them it stands: as
    /// far as these edges of the answer, behind which there may be more of them.
    Apart { left: bool, right: bool },
}

impl View {
    /// Where an anchor stands.
    pub(in crate::pagination) fn stand(&self, order: &Order, anchor: &Anchor) -> Result<Stand, Unplaced> {
        let run = match rows::opaque_at(order, anchor) {
            Some(_) if anchor.keys.len() != order.strong.len() => return Err(Unplaced::Incomparable),
            Some(_) => self.opaque_run(order, anchor)?,
            // Without strong keys nothing tells runs apart.
            None if order.strong.is_empty() => 0..self.len(),
            None => {
                let by_run = |place| self.relate(order, place, anchor).map(|relation| relation.strong);
                self.between(0..self.len(), by_run).ok_or(Unplaced::Incomparable)?
            }
        };
        let whole = |place| match rows::opaque_at(order, anchor) {
            Some(_) => rows::relate_id(&self.answer, order, self.item(place), anchor),
            None => self.relate(order, place, anchor).map(|relation| relation.whole),
        };
        let Range { start: before, end: through } = self.between(run.clone(), whole).ok_or(Unplaced::Incomparable)?;
        Ok(Stand { run, before, through, loose: loose_at(order, anchor) })
    }

    /// The items with the anchor's opaque value among those that have its other strong keys.
    fn opaque_run(&self, order: &Order, anchor: &Anchor) -> Result<Range<usize>, Unplaced> {
        let before = |place| rows::relate_before_opaque(&self.answer, order, self.item(place), anchor);
        let tied = self.between(0..self.len(), before).ok_or(Unplaced::Incomparable)?;
        let value = |place: usize| rows::relate_opaque(&self.answer, order, self.item(place), anchor);
        let is_equal = |place: &usize| value(*place) == Some(Ordering::Equal);
        if let Some(start) = tied.clone().find(is_equal) {
            let end = (start..tied.end).find(|place| !is_equal(place)).unwrap_or(tied.end);
            return Ok(start..end);
        }
        // Nulls have a place of their own, so that without an equal value all may still be said.
        let apart =
            Unplaced::Apart { left: tied.start == 0 && !self.from_start, right: tied.end == self.len() && !self.ends };
        self.between(tied, value).ok_or(apart)
    }

    /// The places whose items stand equal to an anchor, among `places`, which are sorted by how they stand to it. `None`
    /// where one can't be compared.
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
