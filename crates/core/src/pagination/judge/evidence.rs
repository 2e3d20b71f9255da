//! The evidence of one answer: whether its items are in the declared order, whether a boundary lies among them, and
//! whether the answer ends the list.
//!
//! Ties that the upstream doesn't order are used only as whole runs. An item of such a run counts only if the answer
//! extends beyond the run on both sides, because the next answer may have the same items in another order. Within a run
//! the gateway orders the items by id.

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
    paging::{Paging, Sizes},
    plan,
    position::Anchor,
    rows::{self, NextItem},
    rules::{Rule, holds},
    unsorted::Unsorted,
    window::{Offset, Slice},
};

pub(in crate::pagination) use stand::{Stand, Unplaced};

/// An answer whose items have been checked against the order, and arranged by it.
///
/// Places in the arrangement are counted from 0; the item at place *p* is expected at offset `begins + p`.
#[derive(Debug)]
pub(in crate::pagination) struct Evidence {
    /// The requested slice.
    pub(super) slice: Slice,
    pub(super) answer: Answer,
    pub(super) offsets: CoveredOffsets,
    /// True if no item comes before the answer: it was requested from the very start, or it ends the flipped list.
    pub(super) from_start: bool,
    /// The conclusion about the end of the list. `End::checked` is also true if a count places the answer.
    pub(super) end: End,
    /// True if a page from the answer is at most `checked`: two answers that agree were joined, a `checked` end of the
    /// flipped list is its start, its filter is trusted to let the anchor through, or a `checked` end closes the
    /// anchor's run.
    pub(super) checked: bool,
    /// The edges of the answer that are assumed, without evidence, to be at the boundary or at the end of the list.
    pub(super) assumed: Assumed,
    /// True if the upstream answered with the requested page number but a smaller page size, so the answer begins
    /// before the requested offset.
    pub(super) falls_short: bool,
    /// True if the answer may cover more offsets than it has items, because the upstream hides items.
    pub(super) hides: bool,
    /// True if answers have shown that the upstream leaves out rows of pages whose size can't be chosen.
    pub(super) leaves_out: bool,
    pub(super) arranged: Arrangement,
}

/// The offsets of an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct CoveredOffsets {
    /// The expected offset of the answer's first item.
    pub(super) begins: u64,
    /// The offset after the last requested one.
    pub(super) asked_to: u64,
    /// The offset after the last one that the answer certainly covers. Only used where the upstream hides items.
    covers_to: u64,
    /// The number of items before a gap of rows that are left out, and the number of these rows; `None` without a gap.
    gap: Option<(usize, u64)>,
}

impl CoveredOffsets {
    /// Returns the number of rows that are left out before the item at a place.
    fn gap_before(&self, place: usize) -> u64 {
        self.gap.filter(|(at, _)| place >= *at).map_or(0, |(_, rows)| rows)
    }
}

/// The items of an answer by place, and the places that a page can use.
#[derive(Debug)]
pub(super) struct Arrangement {
    /// For each place, the index of its item in the answer; `None` if the items keep the upstream's sequence.
    places: Option<Vec<u32>>,
    /// The length of the longest run of equal strong keys, as far as the answer shows it; 0 if runs weren't looked at.
    pub(super) longest_run: u32,
    /// The places that a page can use: all, except those in loose runs that an edge of the answer may cut.
    pub(super) usable: Range<usize>,
    /// The places in `usable` that a page could use without assumptions. Only meaningful once an edge is assumed.
    sure: Range<usize>,
}

impl Arrangement {
    /// Returns the arrangement of `count` items in the upstream's own sequence, with all places usable.
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
    /// Returns whether at least one edge is assumed.
    pub(in crate::pagination) fn any(self) -> bool {
        self.left || self.right
    }
}

impl Evidence {
    /// Checks the answer's items against the order and arranges them by it.
    ///
    /// # Errors
    ///
    /// [`Unsorted`] if the items contradict the order, lack its keys, or contain an id twice.
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

    /// Checks and arranges an answer of the flipped list, reversed into the list's own order. The start of the flipped
    /// list is the end of the list, and its end is the start. `total` is the expected length of the list, for an answer
    /// without an exact total.
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
            offsets: CoveredOffsets { begins: asked_to.saturating_sub(covered), asked_to, covers_to: 0, gap: None },
            from_start: view.end.ends,
            end: End { ends: view.from_start, short: false, capped: false, checked: false },
            // The end of the flipped list is the start of the list, so the start is only as certain as that end. Test:
            // `the_start_is_as_sure_as_the_end_of_the_flipped_list`.
            checked: view.end.checked,
            falls_short: false,
            ..view
        };
        // A flag or a link of the flipped list leads towards the start of the list. Regression:
        // `crates/sim/regressions/a-flag-of-the-flipped-list.txt`.
        view.answer.more = None;
        view.check_order(order)?;
        Ok(view)
    }

    /// Joins two neighbouring answers that no single answer could replace. One of them was read again after the other
    /// and hadn't changed, so no item moved across the seam meanwhile.
    ///
    /// The earlier answer ends the list if the later one is empty, or is the last page that `comes_again`, unless a
    /// count contradicts that. The count of a list that was `recounted` meanwhile may differ by the changes, but not by
    /// more items than were requested.
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
        // A count larger than the number of items received denies the end, unless the list changed between two counts.
        // Test: `a_higher_total_contradicts_the_end_unless_the_list_was_counted_again`.
        let all_counted = counted
            <= match (hides, recounted) {
                (true, _) => later.offsets.covers_to,
                (false, true) => asked_to,
                (false, false) => reaches,
            };
        let nothing_after = later.is_empty() || comes_again;
        // A count smaller than the number of items received dates from another time, and shows nothing about hidden
        // items. Test: `a_total_below_the_rows_shown_does_not_end_a_list_with_hidden_rows`.
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
            // No single answer shows both the end and the seam, so neither is more than `checked`. Test:
            // `evidence_of_joined_answers_is_at_most_checked`.
            end: End { ends, short: later.end.short && !ends, capped: false, checked: true },
            checked: true,
            assumed: Assumed::default(),
            falls_short: later.falls_short,
            ..earlier
        };
        view.check_order(order)?;
        Ok(view)
    }

    /// Joins two answers with a gap between them, in which every row was looked at and none is an item. The earlier
    /// answer was read before the gap was crossed, and again afterwards.
    ///
    /// # Errors
    ///
    /// As [`Evidence::new`].
    pub(in crate::pagination) fn across(earlier: Self, later: Self, order: &Order) -> Result<Self, Unsorted> {
        let gap_at = earlier.len();
        let gap = later.offsets.begins.saturating_sub(earlier.offsets.begins.saturating_add(gap_at as u64));
        let Self { offsets, from_start, .. } = earlier;
        let mut answer = earlier.answer;
        answer.append(later.answer);
        let mut view = Self {
            arranged: Arrangement::as_received(answer.items.len()),
            answer,
            offsets: CoveredOffsets { begins: offsets.begins, gap: Some((gap_at, gap)), ..later.offsets },
            from_start,
            // No single answer shows both sides of the gap. Test:
            // `a_silently_hidden_stretch_of_rows_does_not_end_a_list`.
            end: End { checked: true, ..later.end },
            checked: true,
            assumed: Assumed::default(),
            ..earlier
        };
        view.check_order(order)?;
        Ok(view)
    }

    /// Makes evidence of an answer by its offsets only. The order of its items isn't checked.
    #[must_use]
    pub(in crate::pagination) fn unchecked(answer: Answer, slice: Slice, paging: &Paging, belief: Belief) -> Self {
        let (begins, counted) = believed_begin(&answer, slice, paging, belief);
        // An answer requested from the very start begins there, whatever offset it names.
        let from_start = slice.begins().0 == 0;
        let mut end = End::judge(&answer, slice, begins, from_start, paging, belief);
        // A count that places an answer implies by itself that no item follows, so the count isn't a second witness.
        // Test: `an_end_by_a_total_that_also_determines_the_offset_is_only_checked`. See
        // `regressions/last-page-again-and-cut.txt`.
        end.checked |= end.ends && counted;
        let used = answer.size.unwrap_or(u32::MAX).min(slice.size().0);
        let asked_to = begins.saturating_add(u64::from(if paging.hidden { used } else { slice.size().0 }));
        // The smallest size that the dialect allows counts as honoured.
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
            offsets: CoveredOffsets { begins, asked_to, covers_to, gap: None },
            from_start,
            end,
            checked: false,
            assumed: Assumed::default(),
            falls_short: matches!(slice, Slice::Page { number, .. } if used < slice.size().0
                && begins < slice.begins().0
                && begins == number.0.saturating_mul(u64::from(used))),
            hides: paging.hidden,
            leaves_out: paging.leaves_out && matches!(paging.sizes, Sizes::Fixed(_)),
        }
    }

    /// Assumes, without evidence, that an edge of the answer is at the boundary.
    pub(in crate::pagination) fn assume_edge(&mut self, side: Side) {
        // If both edges are assumed, the certain places are those from before the first assumption. Test:
        // `a_short_page_after_a_seam_is_assumed_at_both_its_edges`.
        if !self.assumed.any() {
            self.arranged.sure = self.arranged.usable.clone();
        }
        match side {
            Side::Before => (self.assumed.left, self.arranged.usable.start) = (true, 0),
            Side::After => (self.assumed.right, self.arranged.usable.end) = (true, self.len()),
        }
    }

    /// Notes that other answers show that the list ends after the answer's last item, which closes its last run.
    pub(in crate::pagination) fn end_is_judged(&mut self) {
        self.end = End { ends: true, short: false, capped: false, checked: true };
        self.arranged.usable.end = self.len();
    }

    /// Assumes, without evidence, that the answer ends the list.
    pub(in crate::pagination) fn assume_end(&mut self) {
        (self.end.ends, self.end.short) = (true, false);
        self.assume_edge(Side::After);
    }

    /// Assumes, without evidence, that the list ends at the boundary, where this empty answer was requested. An edge
    /// must have been assumed before.
    pub(in crate::pagination) fn assume_nothing_beyond(&mut self) {
        debug_assert!(self.assumed.any(), "a page that rests on it is not proven");
        self.end.ends = true;
    }

    /// Returns the requested slice.
    pub(in crate::pagination) fn slice(&self) -> Slice {
        self.slice
    }

    pub(in crate::pagination) fn answer(&self) -> &Answer {
        &self.answer
    }

    /// Returns the expected offset of the answer's first item.
    pub(in crate::pagination) fn begins(&self) -> u64 {
        self.offsets.begins
    }

    /// Returns whether no item of the list comes before the answer.
    pub(in crate::pagination) fn is_from_start(&self) -> bool {
        self.from_start
    }

    /// Returns whether the answer ends the list, by its own evidence or by an assumption.
    pub(in crate::pagination) fn ends(&self) -> bool {
        self.end.ends
    }

    /// Returns whether the answer has fewer items than were requested without proof that it ends the list.
    pub(in crate::pagination) fn short(&self) -> bool {
        self.end.short
    }

    /// Returns whether a cap seems to have shortened the answer: it is short, and claims that more items follow.
    pub(in crate::pagination) fn capped(&self) -> bool {
        self.end.capped
    }

    /// Returns the edges of the answer that are assumed to be at the boundary.
    pub(in crate::pagination) fn assumed(&self) -> Assumed {
        self.assumed
    }

    /// Returns the length of the longest run of equal strong keys, as far as the answer shows it; 0 if runs weren't
    /// looked at.
    pub(in crate::pagination) fn longest_run(&self) -> u32 {
        self.arranged.longest_run
    }

    /// Returns whether the item at one of these places counts only because an edge of the answer is assumed.
    pub(in crate::pagination) fn assumes(&self, mut places: impl Iterator<Item = usize>) -> bool {
        self.assumed.any() && places.any(|place| !self.arranged.sure.contains(&place))
    }

    #[must_use]
    pub(in crate::pagination) fn len(&self) -> usize {
        self.answer.items.len()
    }

    /// Returns the number of items in the last one of joined answers; the number of all items of a single answer.
    #[must_use]
    pub(in crate::pagination) fn len_of_last(&self) -> usize {
        let asked = self.slice.size().0 as usize;
        let lacks = usize::try_from(self.offsets.asked_to.saturating_sub(self.shown_end())).unwrap_or(usize::MAX);
        if self.len() > asked { asked.saturating_sub(lacks) } else { self.len() }
    }

    #[must_use]
    pub(in crate::pagination) fn is_empty(&self) -> bool {
        self.answer.items.is_empty()
    }

    /// Returns the expected offset after the answer: after its last item, or after the last requested offset if items
    /// are hidden.
    #[must_use]
    pub(in crate::pagination) fn reaches(&self) -> u64 {
        // Offsets count hidden items, so an answer covers every requested offset.
        if self.hides { self.offsets.asked_to.max(self.offsets.begins) } else { self.shown_end() }
    }

    fn shown_end(&self) -> u64 {
        let gap = self.offsets.gap.map_or(0, |(_, rows)| rows);
        self.offsets.begins.saturating_add(self.len() as u64).saturating_add(gap)
    }

    /// Returns the least length of the list that the items show: the offset after the last item, or 0 if the answer is
    /// empty.
    #[must_use]
    pub(in crate::pagination) fn shown_to(&self) -> u64 {
        if self.is_empty() { 0 } else { self.shown_end() }
    }

    /// Returns the expected offset of the item at a place. The place may be the number of items, which stands for the
    /// item after the last one. Hidden items may be anywhere: if a total limits their number, they are assumed to be
    /// spread evenly.
    #[must_use]
    pub(in crate::pagination) fn offset(&self, place: usize) -> u64 {
        let shown = self.offsets.begins.saturating_add(place as u64).saturating_add(self.offsets.gap_before(place));
        let (place, count) = (place as u64, self.len() as u64);
        match self.answer.total {
            Some(total) if self.hides => {
                let gap = self.offsets.gap.map_or(0, |(_, rows)| rows);
                let asked = self.offsets.asked_to.min(total.value).saturating_sub(self.offsets.begins);
                let hidden = asked.saturating_sub(gap).saturating_sub(count);
                shown.saturating_add(hidden.saturating_mul(place) / (count + 1))
            }
            _ => shown,
        }
    }

    /// Returns the largest offset at which the item at a place can be.
    #[must_use]
    pub(in crate::pagination) fn latest_offset(&self, place: usize) -> u64 {
        self.reaches().saturating_sub((self.len() - place) as u64)
    }

    /// Returns the index in the answer of the item at a place.
    #[must_use]
    pub(in crate::pagination) fn item(&self, place: usize) -> usize {
        self.arranged.places.as_ref().map_or(place, |arrangement| arrangement[place] as usize)
    }

    /// Returns the item at a place as an anchor; `None` if no cursor can hold its keys.
    #[must_use]
    pub(in crate::pagination) fn anchor(&self, order: &Order, place: usize) -> Option<Anchor> {
        self.answer.anchor(order, self.item(place))
    }

    /// Returns the id of the item at a place, in the form by which ids are compared; `None` if the item has no id.
    #[must_use]
    pub(in crate::pagination) fn id(&self, order: &Order, place: usize) -> Option<Cow<'_, [u8]>> {
        self.answer.identity(order, self.item(place))
    }

    /// Returns the number of items that end at a place, this place included, and are in one run with its item; 0 where
    /// ties are ordered.
    #[must_use]
    pub(in crate::pagination) fn run_through(&self, order: &Order, place: usize) -> u32 {
        if !self.is_loose(order, place) {
            return 0;
        }
        count((0..place).rev().take_while(|other| self.ties(order, *other, *other + 1)))
    }

    /// Returns the number of items that begin at a place, this place included, and are in one run with its item; 0
    /// where ties are ordered.
    #[must_use]
    pub(in crate::pagination) fn run_from(&self, order: &Order, place: usize) -> u32 {
        if !self.is_loose(order, place) {
            return 0;
        }
        count((place + 1..self.len()).take_while(|other| self.ties(order, *other - 1, *other)))
    }

    /// Returns the number of consecutive items, up to and including the one at a place, that share its first strong
    /// key.
    #[must_use]
    pub(in crate::pagination) fn within_through(&self, order: &Order, place: usize) -> u32 {
        count((0..place).rev().take_while(|other| self.share_first_key(order, *other, place)))
    }

    /// Returns the number of consecutive items, from and including the one at a place, that share its first strong key.
    #[must_use]
    pub(in crate::pagination) fn within_from(&self, order: &Order, place: usize) -> u32 {
        count((place + 1..self.len()).take_while(|other| self.share_first_key(order, place, *other)))
    }

    /// Returns whether the answer's total is the number of its own items.
    pub(in crate::pagination) fn counts_itself(&self) -> bool {
        self.answer.total.is_some_and(|total| total.exact && total.value == self.len() as u64)
    }

    /// Returns whether two answers have the same items in the same order, after ties have been arranged.
    #[must_use]
    pub(in crate::pagination) fn same_items(&self, other: &Self) -> bool {
        self.len() == other.len()
            && (0..self.len()).all(|place| self.answer.item(self.item(place)) == other.answer.item(other.item(place)))
    }

    /// Returns whether an answer from a later place ends with all items of this one, because the upstream repeats its
    /// last page.
    ///
    /// If ties are shuffled, part of a run may come twice by chance. This answer therefore must contain more than one
    /// run, end the list, or reach an exact total, which leaves no room for its items to come again. Test:
    /// `a_shuffled_run_repeated_by_chance_is_not_a_repeated_last_page`.
    #[must_use]
    pub(in crate::pagination) fn comes_again(&self, order: &Order, later: &Self) -> bool {
        let Some(before) = later.len().checked_sub(self.len()).filter(|_| !self.is_empty()) else { return false };
        let same = |place: usize| self.answer.item(self.item(place)) == later.answer.item(later.item(before + place));
        let counted_out = later.answer.total.is_some_and(|total| total.exact && total.value <= self.reaches());
        (0..self.len()).all(same) && (self.end.ends || counted_out || !self.is_loose_run(order))
    }

    /// Returns whether all items, at least one, are in one loose run of ties. The upstream may return such items in any
    /// order, so it may send the same answer twice by chance.
    #[must_use]
    pub(in crate::pagination) fn is_loose_run(&self, order: &Order) -> bool {
        !self.is_empty() && self.is_loose(order, 0) && (1..self.len()).all(|place| self.ties(order, place - 1, place))
    }

    /// Returns whether this answer and another end with the same item, byte for byte. False if either is empty.
    #[must_use]
    pub(in crate::pagination) fn ends_like(&self, other: &Self) -> bool {
        let last = |view: &Self| view.answer.items.last().map(|span| span.of(&view.answer.body).to_vec());
        last(self).is_some() && last(self) == last(other)
    }

    /// Returns whether the items at two neighbouring places are in one run, or might be.
    #[must_use]
    pub(in crate::pagination) fn ties(&self, order: &Order, left: usize, right: usize) -> bool {
        // The upstream's order is visible only up to the first key that it sorts more finely than it shows. Later keys
        // aren't compared.
        match rows::follow(&self.answer, order, self.item(left), self.item(right)) {
            Some(next) => matches!(next, NextItem::Tied | NextItem::Apart),
            None => false,
        }
    }

    /// Returns whether the upstream may give the items that tie with the one at a place in any order.
    fn is_loose(&self, order: &Order, place: usize) -> bool {
        loose(order) || (holds(Rule::RunsAreClosed) && rows::is_cut(&self.answer, order, self.item(place)))
    }

    fn share_first_key(&self, order: &Order, left: usize, right: usize) -> bool {
        rows::share_first_key(&self.answer, order, self.item(left), self.item(right))
    }
}

/// Returns whether ties are used only as whole runs.
#[must_use]
pub(in crate::pagination) fn loose(order: &Order) -> bool {
    // The upstream sorts a coarse key by more digits than it shows, so items with equal shown values come in any order.
    // Test: `rows_that_look_equal_at_a_coarse_grain_are_one_run`.
    let coarse = |key: &SortKey| key.grain.is_some();
    holds(Rule::RunsAreClosed)
        && !order.strong.is_empty()
        && (order.ties == Ties::Unordered || order.strong.iter().any(coarse))
}

/// Returns whether ties with an anchor are used only as whole runs: because all ties are, or because one of the
/// anchor's strings may have been cut.
pub(in crate::pagination) fn loose_at(order: &Order, anchor: &Anchor) -> bool {
    // The upstream sorts by the whole string, and a cursor keeps only its beginning. Test:
    // `texts_that_agree_up_to_their_truncation_are_used_as_one_whole_run`.
    let cut = || order.strong.iter().zip(&anchor.keys).any(|(key, value)| value.is_cut(&key.kind));
    loose(order) || (holds(Rule::RunsAreClosed) && cut())
}

/// Returns the number of these neighbours plus one, for the item itself.
fn count(neighbours: impl Iterator<Item = usize>) -> u32 {
    u32::try_from(neighbours.count() + 1).unwrap_or(u32::MAX)
}

/// Returns the expected offset of an answer's first item, and whether a count places the answer.
///
/// The offset is the one that the answer names, but never one after the requested place. If the answer names none, a
/// slice by offset begins where it was requested. A page begins at its number times the page size that the answer
/// states. If it states no size, the size is the requested one, with an exception: the answer claims that more items
/// follow, and has fewer items than requested but exactly as many as the largest size that an earlier page filled.
/// Then its number of items is the size.
///
/// A count places an answer in two cases: the page is short and would still extend beyond the count (a silent cap), or
/// the upstream repeats its last page. A count below items that were shown at their places doesn't. Test:
/// `a_page_before_the_last_one_is_found_whatever_too_low_total_is_said`.
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
    // A last page that comes again ends where the list does. So does a page that would extend beyond the total: a
    // silent cap has made it a page of a smaller size. Hidden items make pages short as well, so they are excluded.
    // Test: `an_outdated_total_moves_no_page_among_hidden_rows`.
    let may_leave_out = paging.hidden || paging.leaves_out;
    let is_cut = matches!(slice, Slice::Page { .. }) && !may_leave_out && (1..u64::from(asked)).contains(&count);
    let is_last = |total: u64| {
        (paging.repeats_last_page && total <= begins)
            || (is_cut && belief.shown <= total && total < begins.saturating_add(count))
    };
    let counted = answer.total.filter(|total| total.exact && is_last(total.value));
    let last_page = counted.map_or(u64::MAX, |total| total.value.saturating_sub(count));
    // An answer may name any offset, so one after the requested place isn't believed. Test:
    // `a_wrong_offset_in_an_answer_neither_skips_items_nor_ends_a_walk`.
    let believed = believed.min(begins);
    (Offset(believed.min(last_page)).believed().0, last_page < believed)
}
