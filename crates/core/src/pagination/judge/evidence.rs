//! The evidence of one answer: whether its items are in the declared order, whether a boundary stands among them, and
//! whether it ends the list.
//!
//! Ties that the upstream does not order are used as whole runs only: an answer must reach past a run of equal strong
//! keys on both sides before any item of it counts, because the same items may come in another order in the next
//! answer. Within a run the gateway orders the items by id.

mod check_order;
mod stand;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, ops::Range};

use super::end::{Belief, End};
use crate::pagination::{
    answer::Answer,
    direction::Side,
    order::{Order, SortKey, Ties},
    paging::Paging,
    plan,
    position::Anchor,
    rows::{self, NextItem},
    rules::{Rule, holds},
    unsorted::Unsorted,
    window::{Offset, Slice},
};

pub(in crate::pagination) use stand::{Stand, Unplaced};

/// An answer, checked against the order and arranged by it.
///
/// Places in the arrangement are counted from 0; the item at place *p* is expected at offset `begins + p`.
#[derive(Debug)]
pub(in crate::pagination) struct Evidence {
    /// The slice that was asked for.
    pub(super) slice: Slice,
    pub(super) answer: Answer,
    pub(super) offsets: CoveredOffsets,
    /// True if no item comes before it: it was asked from the very start, or it ends the flipped list.
    pub(super) from_start: bool,
    /// The conclusion about the end; its `checked` is also true of an end that a count places.
    pub(super) end: End,
    /// True if pages from the answer are at most `checked`: it was joined of two answers that agree; its start is a
    /// `checked` end of the flipped list; or its filter is trusted to let the anchor through.
    pub(super) checked: bool,
    /// The edges of the answer that are assumed to be at the boundary, or to be the end, without evidence.
    pub(super) assumed: Assumed,
    /// True if the answer is the page of the number that was asked for, but of a smaller size, so that it stands before
    /// the place asked for.
    pub(super) falls_short: bool,
    /// True if the answer may cover more offsets than it has items, because the rest is hidden.
    pub(super) hides: bool,
    pub(super) arranged: Arrangement,
}

/// The offsets of an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct CoveredOffsets {
    /// The expected offset of its first item.
    pub(super) begins: u64,
    /// The end of the offsets that were asked for.
    pub(super) asked_to: u64,
    /// The end of the offsets that it covers for certain, where items are hidden.
    covers_to: u64,
}

/// The items of an answer by place, and the places that can be used.
#[derive(Debug)]
pub(super) struct Arrangement {
    /// The indices of the items by place; `None` if that is the upstream's own sequence.
    places: Option<Vec<u32>>,
    /// The number of items of the longest run of equal strong keys, as far as it is in view; 0 if runs were not looked
    /// at.
    pub(super) longest_run: u32,
    /// The places that can be used: all of them, or those in runs that are seen closed.
    pub(super) usable: Range<usize>,
    /// The places among them that could be used without assumptions.
    sure: Range<usize>,
}

impl Arrangement {
    /// Returns `count` items in the upstream's own sequence, all of them usable.
    fn as_received(count: usize) -> Self {
        Self { places: None, longest_run: 0, usable: 0..count, sure: 0..count }
    }
}

/// The edges of an answer that are assumed to be at a boundary, without evidence.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::pagination) struct Assumed {
    pub(in crate::pagination) left: bool,
    pub(in crate::pagination) right: bool,
}

impl Assumed {
    /// Returns whether an edge is assumed.
    pub(in crate::pagination) fn any(self) -> bool {
        self.left || self.right
    }
}

impl Evidence {
    /// Checks and arranges an answer.
    ///
    /// # Errors
    ///
    /// [`Unsorted`] where the items contradict the order, lack its keys, or hold an id twice.
    pub(in crate::pagination) fn new(
        answer: Answer,
        slice: Slice,
        order: &Order,
        paging: &Paging,
        belief: Belief,
    ) -> Result<Self, Unsorted> {
        let mut view = Self::unchecked(answer, slice, paging, belief);
        view.check_order(order)?;
        Ok(view)
    }

    /// Checks and arranges an answer of the flipped list, turned round: the start of the flipped list is the end of
    /// the list, and the other way round. `total` is the expected length of the list, for an answer without an exact
    /// total.
    ///
    /// # Errors
    ///
    /// As [`Evidence::new`].
    pub(in crate::pagination) fn flipped(
        mut answer: Answer,
        slice: Slice,
        order: &Order,
        paging: &Paging,
        belief: Belief,
        total: u64,
    ) -> Result<Self, Unsorted> {
        let columns = order.columns();
        answer.items.reverse();
        answer.keys = answer.keys.chunks(columns).rev().flatten().copied().collect();
        let view = Self::unchecked(answer, slice, paging, belief);
        let total = view.answer.total.filter(|total| total.exact).map_or(total, |total| total.value);
        let covered = if view.hides { view.offsets.asked_to - view.offsets.begins } else { view.len() as u64 };
        let asked_to = total.saturating_sub(view.offsets.begins);
        let mut view = Self {
            offsets: CoveredOffsets { begins: asked_to.saturating_sub(covered), asked_to, covers_to: 0 },
            from_start: view.end.ends,
            end: End { ends: view.from_start, short: false, capped: false, checked: false },
            // The end of the flipped list is the start of the list, and is no surer. Test:
            // `the_start_is_as_sure_as_the_end_of_the_flipped_list`.
            checked: view.end.checked,
            falls_short: false,
            ..view
        };
        view.check_order(order)?;
        Ok(view)
    }

    /// Joins two neighbouring answers that no single answer could replace: one was read again after the other and was
    /// the same, so no item moved across the seam in between. If the later answer is empty, or the last page that
    /// `comes_again`, the earlier one is the end, unless a count contradicts that. The count of a list that was
    /// `recounted` meanwhile may differ by the changes, though never by more items than were asked for.
    ///
    /// # Errors
    ///
    /// As [`Evidence::new`].
    pub(in crate::pagination) fn join(
        earlier: Self,
        later: Self,
        order: &Order,
        comes_again: bool,
        recounted: bool,
    ) -> Result<Self, Unsorted> {
        let reaches = earlier.reaches();
        let Self { offsets: CoveredOffsets { begins, asked_to, .. }, from_start, hides, .. } = earlier;
        let mut answer = earlier.answer;
        let counted = later.answer.total.or(answer.total).map_or(0, |total| total.value);
        // A count beyond the items that came denies the end, unless the list changed between two counts. Test:
        // `a_count_of_one_more_denies_the_end_unless_the_list_was_counted_anew`.
        let all_counted = counted
            <= match (hides, recounted) {
                (true, _) => later.offsets.covers_to,
                (false, true) => asked_to,
                (false, false) => reaches,
            };
        let nothing_after = later.is_empty() || comes_again;
        // A count of fewer items than came is of another time, and shows nothing about hidden items. Test:
        // `a_count_of_fewer_than_come_is_no_end_of_what_is_hidden`.
        let counts_all = later.answer.total.is_some_and(|total| total.exact && total.value >= later.shown_to());
        let covered = hides && counts_all && all_counted;
        let shown = !answer.items.is_empty() || from_start;
        let ends = later.end.ends || covered || (nothing_after && all_counted && shown);
        if !nothing_after {
            answer.append(later.answer);
        }
        let mut view = Self {
            arranged: Arrangement::as_received(answer.items.len()),
            answer,
            offsets: CoveredOffsets { begins, asked_to: later.offsets.asked_to.max(asked_to), ..later.offsets },
            // No single answer shows the end and the seam. Test: `joined_answers_prove_no_more_than_two_that_agree`.
            end: End { ends, short: later.end.short && !ends, capped: false, checked: true },
            checked: true,
            assumed: Assumed::default(),
            falls_short: later.falls_short,
            ..earlier
        };
        view.check_order(order)?;
        Ok(view)
    }

    /// Makes evidence of an answer as it came, by its offsets alone: its order is not checked.
    #[must_use]
    pub(in crate::pagination) fn unchecked(answer: Answer, slice: Slice, paging: &Paging, belief: Belief) -> Self {
        let (begins, counted) = believed_begin(&answer, slice, paging, belief);
        // An answer that was asked from the very start begins there, whatever offset it names.
        let from_start = slice.begins().0 == 0;
        let mut end = End::judge(&answer, slice, begins, from_start, paging, belief);
        // A count that places an answer implies by itself that no item follows, so it is no second witness. Test:
        // `a_count_that_places_an_answer_is_no_second_evidence_of_its_end`. See
        // `regressions/last-page-again-and-cut.txt`.
        end.checked |= end.ends && counted;
        let used = answer.size.unwrap_or(u32::MAX).min(slice.size().0);
        let asked_to = begins.saturating_add(u64::from(if paging.hidden { used } else { slice.size().0 }));
        // The least size of a dialect counts as honoured.
        let honoured = belief.honoured.size();
        let sure = used.min(honoured.max(plan::size_within(paging, honoured).0));
        let covers_to = match slice {
            Slice::Page { number, .. } => (number.0.saturating_add(1)).saturating_mul(u64::from(sure)),
            Slice::Offset { .. } => begins.saturating_add(u64::from(sure)),
        };
        Self {
            slice,
            arranged: Arrangement::as_received(answer.items.len()),
            answer,
            offsets: CoveredOffsets { begins, asked_to, covers_to },
            from_start,
            end,
            checked: false,
            assumed: Assumed::default(),
            falls_short: matches!(slice, Slice::Page { number, .. } if used < slice.size().0
                && begins < slice.begins().0
                && begins == number.0.saturating_mul(u64::from(used))),
            hides: paging.hidden,
        }
    }

    /// Assumes an edge of the answer to be at the boundary, without evidence.
    pub(in crate::pagination) fn assume_edge(&mut self, side: Side) {
        // Both edges may be assumed: the places that were sure are those before the first of the two. Test:
        // `a_short_page_after_a_seam_is_assumed_at_both_its_edges`.
        if !self.assumed.any() {
            self.arranged.sure = self.arranged.usable.clone();
        }
        match side {
            Side::Before => (self.assumed.left, self.arranged.usable.start) = (true, 0),
            Side::After => (self.assumed.right, self.arranged.usable.end) = (true, self.len()),
        }
    }

    /// Assumes the answer to end the list, without evidence.
    pub(in crate::pagination) fn assume_end(&mut self) {
        (self.end.ends, self.end.short) = (true, false);
        self.assume_edge(Side::After);
    }

    /// Assumes an empty answer to be the end, right at the boundary, without evidence.
    pub(in crate::pagination) fn assume_nothing_beyond(&mut self) {
        debug_assert!(self.assumed.any(), "a page that rests on it is not proven");
        self.end.ends = true;
    }

    /// Returns the slice that was asked for.
    pub(in crate::pagination) fn slice(&self) -> Slice {
        self.slice
    }

    /// Returns the answer.
    pub(in crate::pagination) fn answer(&self) -> &Answer {
        &self.answer
    }

    /// Returns the expected offset of its first item.
    pub(in crate::pagination) fn begins(&self) -> u64 {
        self.offsets.begins
    }

    /// Returns whether no item comes before it.
    pub(in crate::pagination) fn is_from_start(&self) -> bool {
        self.from_start
    }

    /// Returns whether it ends the list, by its own evidence.
    pub(in crate::pagination) fn ends(&self) -> bool {
        self.end.ends
    }

    /// Returns whether it has fewer items than were asked for, and that proves nothing.
    pub(in crate::pagination) fn short(&self) -> bool {
        self.end.short
    }

    /// Returns whether its size seems to be capped: it is short, and claims that there is more.
    pub(in crate::pagination) fn capped(&self) -> bool {
        self.end.capped
    }

    /// Returns the edges of it that are assumed to be at the boundary.
    pub(in crate::pagination) fn assumed(&self) -> Assumed {
        self.assumed
    }

    /// Returns the number of items of the longest run of equal strong keys, as far as it is in view; 0 if runs were not
    /// looked at.
    pub(in crate::pagination) fn longest_run(&self) -> u32 {
        self.arranged.longest_run
    }

    /// Returns whether an item at these places counts only because an edge of the answer is assumed to be the boundary.
    pub(in crate::pagination) fn assumes(&self, mut places: impl Iterator<Item = usize>) -> bool {
        self.assumed.any() && places.any(|place| !self.arranged.sure.contains(&place))
    }

    /// Returns the number of items.
    #[must_use]
    pub(in crate::pagination) fn len(&self) -> usize {
        self.answer.items.len()
    }

    /// Returns whether there are no items.
    #[must_use]
    pub(in crate::pagination) fn is_empty(&self) -> bool {
        self.answer.items.is_empty()
    }

    /// Returns the expected offset right after its last item.
    #[must_use]
    pub(in crate::pagination) fn reaches(&self) -> u64 {
        // Offsets count hidden items, so that an answer covers all that was asked for.
        if self.hides {
            self.offsets.asked_to.max(self.offsets.begins)
        } else {
            self.offsets.begins.saturating_add(self.len() as u64)
        }
    }

    /// Returns the least length of the list that the items show: the offset after the last of them, 0 if there is none.
    #[must_use]
    pub(in crate::pagination) fn shown_to(&self) -> u64 {
        if self.is_empty() { 0 } else { self.offsets.begins.saturating_add(self.len() as u64) }
    }

    /// Returns the expected offset of the item at a place; at the number of items, that of the item after the last one.
    /// Hidden items may be anywhere: if a total bounds them, they are expected to be spread evenly.
    #[must_use]
    pub(in crate::pagination) fn offset(&self, place: usize) -> u64 {
        let (place, count) = (place as u64, self.len() as u64);
        let shown = self.offsets.begins.saturating_add(place);
        match self.answer.total {
            Some(total) if self.hides => {
                let hidden =
                    self.offsets.asked_to.min(total.value).saturating_sub(self.offsets.begins).saturating_sub(count);
                shown.saturating_add(hidden.saturating_mul(place) / (count + 1))
            }
            _ => shown,
        }
    }

    /// Returns the last offset at which the item at a place can be.
    #[must_use]
    pub(in crate::pagination) fn latest_offset(&self, place: usize) -> u64 {
        self.reaches().saturating_sub((self.len() - place) as u64)
    }

    /// Returns the answer's item at a place.
    #[must_use]
    pub(in crate::pagination) fn item(&self, place: usize) -> usize {
        self.arranged.places.as_ref().map_or(place, |arrangement| arrangement[place] as usize)
    }

    /// Returns the item at a place as an anchor; `None` if no cursor can hold its keys.
    #[must_use]
    pub(in crate::pagination) fn anchor(&self, order: &Order, place: usize) -> Option<Anchor> {
        self.answer.anchor(order, self.item(place))
    }

    /// Returns the id of the item at a place, in the spelling by which ids are compared; `None` if it has none.
    #[must_use]
    pub(in crate::pagination) fn id(&self, order: &Order, place: usize) -> Option<Cow<'_, [u8]>> {
        self.answer.identity(order, self.item(place))
    }

    /// Returns the number of items up to a place, itself included, that are in one run with it; 0 where ties are
    /// ordered.
    #[must_use]
    pub(in crate::pagination) fn run_through(&self, order: &Order, place: usize) -> u32 {
        if !self.is_loose(order, place) {
            return 0;
        }
        count((0..place).rev().take_while(|other| self.ties(order, *other, *other + 1)))
    }

    /// Returns the number of items from a place on, itself included, that are in one run with it; 0 where ties are
    /// ordered.
    #[must_use]
    pub(in crate::pagination) fn run_from(&self, order: &Order, place: usize) -> u32 {
        if !self.is_loose(order, place) {
            return 0;
        }
        count((place + 1..self.len()).take_while(|other| self.ties(order, *other - 1, *other)))
    }

    /// Returns the number of items up to a place, itself included, that share its first strong key.
    #[must_use]
    pub(in crate::pagination) fn within_through(&self, order: &Order, place: usize) -> u32 {
        count((0..place).rev().take_while(|other| self.share_first_key(order, *other, place)))
    }

    /// Returns the number of items from a place on, itself included, that share its first strong key.
    #[must_use]
    pub(in crate::pagination) fn within_from(&self, order: &Order, place: usize) -> u32 {
        count((place + 1..self.len()).take_while(|other| self.share_first_key(order, place, *other)))
    }

    /// Returns whether this answer has the very items of another, in the same order but for ties.
    #[must_use]
    pub(in crate::pagination) fn same_items(&self, other: &Self) -> bool {
        self.len() == other.len()
            && (0..self.len()).all(|place| self.answer.item(self.item(place)) == other.answer.item(other.item(place)))
    }

    /// Returns whether an answer from a later place ends with all items of this one, so that the last page of the
    /// list has come again. If ties are shuffled, a part of a run may come twice by chance: only items before another
    /// run can't come again after it, and neither can items that a count leaves no room for. Test:
    /// `a_run_that_comes_in_the_same_sequence_twice_is_not_the_last_page_once_more`.
    #[must_use]
    pub(in crate::pagination) fn comes_again(&self, order: &Order, later: &Self) -> bool {
        let Some(before) = later.len().checked_sub(self.len()).filter(|_| !self.is_empty()) else { return false };
        let same = |place: usize| self.answer.item(self.item(place)) == later.answer.item(later.item(before + place));
        let counted_out = later.answer.total.is_some_and(|total| total.exact && total.value <= self.reaches());
        (0..self.len()).all(same) && (self.end.ends || counted_out || !self.is_loose_run(order))
    }

    /// Returns whether all of it is one run of ties that come in any order: such an answer may come twice by chance.
    #[must_use]
    pub(in crate::pagination) fn is_loose_run(&self, order: &Order) -> bool {
        !self.is_empty() && self.is_loose(order, 0) && (1..self.len()).all(|place| self.ties(order, place - 1, place))
    }

    /// Returns whether this answer ends with the same item as another.
    #[must_use]
    pub(in crate::pagination) fn ends_like(&self, other: &Self) -> bool {
        let last = |view: &Self| view.answer.items.last().map(|span| span.of(&view.answer.body).to_vec());
        last(self).is_some() && last(self) == last(other)
    }

    /// Returns whether the items at two neighbouring places are in one run, or may be.
    #[must_use]
    pub(in crate::pagination) fn ties(&self, order: &Order, left: usize, right: usize) -> bool {
        // The upstream's order shows only up to the first key that is sorted more finely than it is shown: no key
        // after it is compared.
        match rows::follow(&self.answer, order, self.item(left), self.item(right)) {
            Some(next) => matches!(next, NextItem::Tied | NextItem::Apart),
            None => false,
        }
    }

    /// Returns whether the upstream may give the ties of the item at a place in any order.
    fn is_loose(&self, order: &Order, place: usize) -> bool {
        loose(order) || (holds(Rule::RunsAreClosed) && rows::is_cut(&self.answer, order, self.item(place)))
    }

    fn share_first_key(&self, order: &Order, left: usize, right: usize) -> bool {
        rows::share_first_key(&self.answer, order, self.item(left), self.item(right))
    }
}

/// Returns whether ties are used as whole runs.
#[must_use]
pub(in crate::pagination) fn loose(order: &Order) -> bool {
    // The upstream sorts a coarse key by more than it shows, so that items with equal shown values come in any order.
    // Test: `rows_that_look_equal_at_a_coarse_grain_are_one_run`.
    let coarse = |key: &SortKey| key.grain.is_some();
    holds(Rule::RunsAreClosed)
        && !order.strong.is_empty()
        && (order.ties == Ties::Unordered || order.strong.iter().any(coarse))
}

/// Returns whether ties with an anchor are used as whole runs: because those of all items are, or because its text may
/// have been cut.
pub(in crate::pagination) fn loose_at(order: &Order, anchor: &Anchor) -> bool {
    // The upstream sorts by all of a text, and a cursor keeps its beginning. Test:
    // `texts_that_are_cut_where_they_still_agree_are_used_as_whole_runs`.
    let cut = || order.strong.iter().zip(&anchor.keys).any(|(key, value)| value.is_cut(&key.kind));
    loose(order) || (holds(Rule::RunsAreClosed) && cut())
}

/// Returns the number of these neighbours and the item itself.
fn count(neighbours: impl Iterator<Item = usize>) -> u32 {
    u32::try_from(neighbours.count() + 1).unwrap_or(u32::MAX)
}

/// Returns the expected offset of an answer's first item, and whether a count places the answer.
///
/// The offset is the one that the answer names. If it names none, a slice by offset begins where it was asked for,
/// and a page where its number says, by the size that was used. A page with fewer items than were asked for shows
/// that size if it has just as many as were honoured in earlier requests, and claims that there is more. An offset
/// after the place asked for is not believed. A count places an answer that is a page which was cut short in silence,
/// or the last page that comes again.
pub(super) fn believed_begin(answer: &Answer, slice: Slice, paging: &Paging, belief: Belief) -> (u64, bool) {
    let (begins, ends) = plan::reach(slice);
    let asked = slice.size().0;
    let more = answer.more == Some(true) || answer.total.is_some_and(|total| total.value >= ends);
    let capped = u32::try_from(answer.items.len())
        .ok()
        .filter(|count| more && (1..asked).contains(count) && *count == belief.honoured_before);
    let size = u64::from(answer.size.or(capped).unwrap_or(asked));
    let said = answer.offset.or_else(|| answer.page.map(|page| page.saturating_mul(size)));
    let believed = match (said, slice) {
        (Some(said), _) => said,
        (None, Slice::Page { number, .. }) => number.0.saturating_mul(size),
        (None, Slice::Offset { .. }) => begins,
    };
    let count = answer.items.len() as u64;
    // The last page that comes again ends where the list does. So does a page that would reach beyond the total: it was
    // cut short in silence, so that it is a page of a smaller size. Hidden items make pages short as well. Test:
    // `a_count_of_another_time_moves_no_page_among_hidden_rows`.
    let is_cut = matches!(slice, Slice::Page { .. }) && !paging.hidden && (1..u64::from(asked)).contains(&count);
    let is_last =
        |total: u64| (paging.repeats_last_page && total <= begins) || (is_cut && total < begins.saturating_add(count));
    let counted = answer.total.filter(|total| total.exact && is_last(total.value));
    let last_page = counted.map_or(u64::MAX, |total| total.value.saturating_sub(count));
    // An answer may name any offset. Test: `an_echo_that_lies_neither_skips_nor_ends`.
    let believed = believed.min(begins);
    (Offset(believed.min(last_page)).believed().0, last_page < believed)
}
