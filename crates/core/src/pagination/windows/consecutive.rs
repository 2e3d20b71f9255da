//! Answers whose items may not be consecutive.
//!
//! An upstream may put the same items, such as pinned ones, on top of every page. If these are the first items of the
//! declared order, each answer looks sorted, and the item after those on top seems to follow them. Items at the bottom of
//! every page, the last ones of the order, seem to be the end of the list. Three things give such answers away: they
//! have more items than were requested, they lack the item next to which the page goes on, although they have items on
//! both sides of it, or behind the end they have items that belong between those of the last answer. A size that is
//! ignored, and items that were deleted or inserted, explain these, too. So the slice before such an answer, or the last
//! one, is read, and the two are compared: an item of one of them that belongs between two items of the other must be in
//! both.

use std::{borrow::Cow, cmp::Ordering, collections::HashSet};

use super::{AskedSlice, KeyHalt, KeyReader};
use crate::pagination::{
    answer::Answer,
    judge::{draft::Boundary, evidence::loose_at},
    limits::NEIGHBOUR_READINGS,
    order::{Order, Ties},
    plan,
    position::Anchor,
    rows,
    slices::SliceReader as _,
    unsorted::Cause,
    window::{Offset, Slice},
};

impl KeyReader<'_> {
    /// Compares the first answer whose items may not be consecutive with the slice before it, once for each page. Test:
    /// `items_on_top_of_every_page_are_not_followed_by_the_rest_of_it`.
    ///
    /// # Errors
    ///
    /// [`KeyHalt`] if the two contradict each other, or if the slice can't be read.
    pub(super) async fn check_consecutive(&mut self, pairs: &[(AskedSlice, Answer)]) -> Result<(), KeyHalt> {
        if self.was_compared || self.draft.is_unchecked() {
            return Ok(());
        }
        let Some((asked, answer, other)) = pairs.iter().enumerate().find_map(|(index, (asked, answer))| {
            let beside = index.checked_sub(1).map(|before| &pairs[before]);
            let other = self.slice_to_compare(asked, answer, beside)?;
            Some((asked, answer, AskedSlice { slice: other, ..*asked }))
        }) else {
            return Ok(());
        };
        (self.was_compared, self.asker.searching) = (true, true);
        let (mut answer, mut is_repeated) = (Cow::Borrowed(answer), false);
        for _ in 0..NEIGHBOUR_READINGS {
            let earlier = self.read_alone(other).await?;
            if !contradict(&answer, &earlier, &self.request.order) {
                return Ok(());
            }
            // If the list has changed in between, the answer has changed, too. A change that was undone explains one
            // contradiction. Regression: `crates/sim/regressions/a-change-undone-between-two-neighbours.txt`.
            let again = self.read_alone(*asked).await?;
            let is_same = have_the_same_items(&answer, &again);
            if is_same && is_repeated {
                let said = format!(
                    "an answer of {} items, where {} were requested, and another one lack items of each other \
                     that belong between their own: the upstream adds items to every page",
                    answer.items.len(),
                    asked.slice.size().0
                );
                return Err(self.contradicted(Cause::Order.said(said)));
            }
            (answer, is_repeated) = (Cow::Owned(again), is_same);
        }
        Err(self.lost())
    }

    /// Returns the slice that an answer must be compared with, because its items may not be consecutive; `None` if nothing
    /// says so. `beside` is the answer before it of the same requests; `None` if it is the first.
    fn slice_to_compare(
        &self,
        asked: &AskedSlice,
        answer: &Answer,
        beside: Option<&(AskedSlice, Answer)>,
    ) -> Option<Slice> {
        // The items on top of the first page are followed by the items after them.
        if asked.slice.begins().0 == 0 {
            return None;
        }
        let is_larger = answer.items.len() > asked.slice.size().0 as usize;
        if is_larger || self.lacks_the_anchor(answer) {
            return Some(before(asked.slice));
        }
        // An item that is also at the bottom of other pages seems to be the end. Test:
        // `items_at_the_bottom_of_every_page_end_no_list`.
        let beside = beside.filter(|(beside, _)| beside.flipped.is_none()).map(|(beside, other)| (beside.slice, other));
        let last = || self.draft.view_of_last().map(|last| (last.slice(), last.answer()));
        let (slice, other) = beside.or_else(last).filter(|_| asked.flipped.is_none())?;
        let order = &self.request.order;
        let bottom = |answer: &Answer| Some(answer.identity(order, answer.items.len().checked_sub(1)?)?.into_owned());
        (bottom(other) == bottom(answer) && contradict(other, answer, order)).then_some(slice)
    }

    /// Returns whether an answer has items on both sides of the item next to which the page goes on, but not that item.
    fn lacks_the_anchor(&self, answer: &Answer) -> bool {
        let (Boundary::After { anchor, .. } | Boundary::Before { anchor, .. }) = self.draft.boundary() else {
            return false;
        };
        let stands = |item: usize| stands(answer, &self.request.order, item, anchor);
        // A binary search: the first item that isn't before the anchor.
        let (mut low, mut high) = (0, answer.items.len());
        while low < high {
            let middle = low.midpoint(high);
            match stands(middle) {
                Some(Ordering::Less) => low = middle + 1,
                _ => high = middle,
            }
        }
        (1..answer.items.len()).contains(&low) && stands(low) == Some(Ordering::Greater)
    }

    /// Requests a slice whose items the page doesn't take. An end is still judged by what it shows.
    async fn read_alone(&mut self, asked: AskedSlice) -> Result<Answer, KeyHalt> {
        let mut pairs = match self.asker.send(vec![asked], &self.request.paging, |_| true).await {
            Ok(pairs) => pairs,
            Err(why) => return Err(self.unasked(why)),
        };
        self.seen.note_all(&pairs, &self.request.order);
        Ok(pairs.pop().map(|(_, answer)| answer).unwrap_or_default())
    }
}

/// Returns the slice of the same size before a slice that begins after the start of the list, or the one at the start.
fn before(slice: Slice) -> Slice {
    plan::previous(slice).unwrap_or(match slice {
        Slice::Offset { size, .. } => Slice::Offset { from: Offset(0), size },
        page @ Slice::Page { .. } => page,
    })
}

/// Returns how an item of an answer compares with another item; `None` if they can't be compared. Ties that come in any
/// order are equal.
fn stands(answer: &Answer, order: &Order, item: usize, other: &Anchor) -> Option<Ordering> {
    let relation = rows::relate(answer, order, item, other)?;
    Some(if loose_at(order, other) { relation.strong } else { relation.whole })
}

/// Returns whether one of two answers lacks an item of the other that belongs between two of its own.
fn contradict(one: &Answer, other: &Answer, order: &Order) -> bool {
    lacks(one, other, order) || lacks(other, one, order)
}

fn lacks(one: &Answer, other: &Answer, order: &Order) -> bool {
    let anchor = |place: Option<usize>| one.anchor(order, place?);
    let ends = anchor(Some(0)).zip(anchor(one.items.len().checked_sub(1)));
    let Some((first, last)) = ends else { return false };
    let shown: HashSet<_> = (0..one.items.len()).filter_map(|item| one.identity(order, item)).collect();
    let is_shared = |item: &usize| other.identity(order, *item).is_some_and(|id| shown.contains(&id));
    let shared = || (0..other.items.len()).find(is_shared).zip((0..other.items.len()).rfind(is_shared));
    (0..other.items.len()).filter(|item| !is_shared(item)).any(|item| {
        match stands(other, order, item, &first).zip(stands(other, order, item, &last)) {
            // An answer of the flipped list begins with its greatest item.
            Some(sides) => {
                matches!(sides, (Ordering::Greater, Ordering::Less) | (Ordering::Less, Ordering::Greater))
                    && other.identity(order, item).is_some()
            }
            // Opaque values have no order but that of the answers, and ties in any order don't even have that. Regression:
            // `crates/sim/regressions/opaque-items-on-top-of-every-page.txt`.
            None if order.ties == Ties::Unordered => false,
            None => shared().is_some_and(|(first, last)| (first..last).contains(&item)),
        }
    })
}

fn have_the_same_items(one: &Answer, other: &Answer) -> bool {
    one.items.len() == other.items.len() && (0..one.items.len()).all(|item| one.item(item) == other.item(item))
}
