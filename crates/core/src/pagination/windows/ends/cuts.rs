//! Answers that the upstream cuts: by bytes, or by a cap that falls further down the list.
//!
//! A cut answer looks like one whose rows are left out after the limit: it has fewer items than were requested, and the
//! slice after it has more. The rest of its slice tells them apart. Requested alone, it has an item that the answer
//! doesn't have if the answer was cut; if rows are left out, all its items were received.

use std::{cmp::Ordering, sync::Arc};

use super::{KeyHalt, KeyNext, KeyReader, KeyTurn, facts};
use crate::pagination::{
    direction::Way,
    judge::evidence::{Evidence, loose_at},
    limits::{CUT_LOOKS, CUT_RESERVE},
    paging::Family,
    plan,
    position::Anchor,
    rows,
    slices::{SliceReader as _, Unasked},
    window::Slice,
};

/// The part of the list behind an answer that may be cut.
#[derive(Clone, Copy, Debug)]
pub(super) enum Behind<'a> {
    /// The answer to a slice, which begins with this item.
    Answer(&'a Anchor, Slice),
    /// Nothing: the answer shows the last item of the list.
    Nothing,
    /// The end of the list, whose last item only the cursor names.
    Claimed,
}

impl KeyReader<'_> {
    /// Returns the turn that reads on in smaller slices, if one of these answers was cut before the one after it; `None`
    /// if none was.
    pub(in crate::pagination::windows) async fn read_on_if_cut(
        &mut self,
        mut answers: Vec<(Slice, &Evidence)>,
    ) -> Result<Option<KeyTurn>, KeyHalt> {
        answers.retain(|(_, view)| !view.is_empty());
        answers.sort_by_key(|(slice, _)| slice.begins());
        for pair in answers.windows(2) {
            let [(slice, view), (next, later)] = pair else { continue };
            let (order, count) = (Arc::clone(&self.request.order), view.len());
            // No row is between answers that overlap, follow one another, or are a last page that comes again.
            if slice.begins().0.saturating_add(count as u64) >= next.begins().0 || view.same_items(later) {
                continue;
            }
            let Some((last, first)) = view.anchor(&order, count - 1).zip(later.anchor(&order, 0)) else { continue };
            if self.is_cut(*slice, count, &last, Behind::Answer(&first, *next)).await? {
                return self.read_in_smaller_slices(count, slice.size().0 as usize).map(Some);
            }
        }
        Ok(None)
    }

    /// Returns whether an answer with `count` items was cut: whether the rest of its slice shows an item after `last`, and
    /// before the first item of the answer behind it.
    pub(super) async fn is_cut(
        &mut self,
        slice: Slice,
        count: usize,
        last: &Anchor,
        behind: Behind<'_>,
    ) -> Result<bool, KeyHalt> {
        let later = if let Behind::Answer(first, later) = behind { Some((first, later)) } else { None };
        let first = later.map(|(first, _)| first);
        let mut place = slice.begins().0.saturating_add(count as u64);
        let least = plan::size_within(&self.request.paging, 1).0;
        // A slice of several rows by offset may begin anywhere, but the rows that it shows must be of the answer's slice.
        // Regression: `crates/sim/regressions/an-end-in-slices-of-two.txt`.
        let can_ask = least == 1
            || (self.request.paging.family == Family::Offset
                && place.saturating_add(u64::from(least)) <= facts::end_of(slice));
        // A dialect that declares hidden rows says that its sizes are honoured.
        if self.request.paging.hidden || !can_ask || count == 0 {
            return Ok(false);
        }
        // Where no row is left out, and at an end, the row after those received decides. Two answers are joined over
        // left-out rows only if no answer shows an item in between, and if the rest was looked at, as far as requests are
        // left for it. Test: `rows_that_are_left_out_hide_no_cut`.
        let joins_gaps = first.is_some()
            && (self.seen.shows_gap() || self.request.paging.leaves_out || self.walk_facts().rows_left_out);
        let mut until = if joins_gaps { facts::end_of(slice) } else { 0 }.max(place.saturating_add(1));
        if let Some((first, later)) = later.filter(|_| joins_gaps && self.request.paging.family == Family::Offset)
            && (place.saturating_add(1)..until).contains(&later.begins().0)
        {
            if self.hides_the_first_of(later, first, until).await? {
                return Ok(true);
            }
            until = later.begins().0;
        }
        // An item that another answer shows between the two sides is looked for first. The row after those received is
        // looked at in any case, and the others as far as requests are left.
        let between = first.and_then(|first| self.seen.between(&self.request.order, last, first));
        let needed = 1 + usize::from(between.is_some());
        for (look, between) in between.map(Some).into_iter().chain([None; CUT_LOOKS]).enumerate() {
            let is_last_row = place.saturating_add(1) == until;
            let reserve = if look < needed || is_last_row { 0 } else { CUT_RESERVE };
            if place >= until || (look > 0 && self.asker.left() <= reserve) {
                break;
            }
            let rest = between.unwrap_or_else(|| self.rest_of(slice, place, until));
            let Some((_, answer)) = self.look(rest).await? else { return Ok(false) };
            // Ties in any order say nothing: the row may be one of a run that the answer shows in another sequence. But if
            // no answer shows the last item, none shows its run whole either. Regression:
            // `crates/sim/regressions/an-end-within-a-run-of-ties.txt`.
            let order = &self.request.order;
            let stands = |item: usize, other: &Anchor| {
                let relation = rows::relate(&answer, order, item, other)?;
                Some(if loose_at(order, other) { relation.strong } else { relation.whole })
            };
            let is_missed = |item: usize| match (stands(item, last), behind) {
                (Some(Ordering::Greater), Behind::Answer(first, _)) => stands(item, first) == Some(Ordering::Less),
                (Some(Ordering::Greater), _) => true,
                (Some(Ordering::Equal), Behind::Claimed) => loose_at(order, last),
                _ => false,
            };
            if (0..answer.items.len()).any(is_missed) {
                return Ok(true);
            }
            // An answer covers at least as many rows as it has items, and one without items covers its slice.
            let rows = if answer.items.is_empty() { rest.size().0 as usize } else { answer.items.len() };
            if rest.begins().0 <= place {
                place = place.max(rest.begins().0.saturating_add(rows as u64));
            }
        }
        // Rows that weren't looked at hide no item where rows are left out, but they may where answers are cut. Test: the
        // bounds of the simulator's family `ends` for lists with both.
        let is_offset = self.request.paging.family == Family::Offset;
        if is_offset && first.is_some() && place < until && self.asker.sizes.are_answers_cut {
            return Err(self.unasked(Unasked::Spent));
        }
        Ok(false)
    }

    /// Returns whether an answer that covers the rows up to `until` was cut before `first`, the first item of the slice
    /// `later`, which begins among these rows. An answer that isn't cut has all their items, so `first` is behind them. Test:
    /// the bounds of the simulator's family `ends` for lists that leave out rows and cut answers.
    async fn hides_the_first_of(&mut self, later: Slice, first: &Anchor, until: u64) -> Result<bool, KeyHalt> {
        let behind = u32::try_from(facts::end_of(later).saturating_sub(until)).unwrap_or(u32::MAX);
        if behind == 0 || plan::size_within(&self.request.paging, behind).0 != behind {
            return Ok(false);
        }
        let answer = self.look(self.window_at(until, behind)).await?;
        Ok(answer.is_some_and(|(_, answer)| !facts::has_item(&answer, &self.request.order, first)))
    }

    /// Returns whether an answer with `count` items was cut after `last`. A slice that begins among these items has room for
    /// another one.
    pub(super) async fn hides_items_behind(
        &mut self,
        slice: Slice,
        count: usize,
        last: &Anchor,
    ) -> Result<bool, KeyHalt> {
        // Where a page comes again past the end, slices don't begin at their places.
        let has_places = !self.asker.begins_again() && !self.asker.ledger.repeats();
        if self.request.paging.family != Family::Offset || self.request.paging.hidden || !has_places {
            return Ok(false);
        }
        let (order, size) = (Arc::clone(&self.request.order), slice.size().0);
        let (mut from, mut to) = (slice.begins().0 + 1, facts::end_of(slice));
        // The bound: each look halves the rows among which the items are.
        while from < to && self.asker.left() > CUT_RESERVE {
            let middle = from + (to - from) / 2;
            let Some((_, answer)) = self.look(self.window_at(middle, size)).await? else { return Ok(false) };
            let is_after =
                |item| rows::relate(&answer, &order, item, last).is_some_and(|relation| relation.whole.is_gt());
            match answer.items.len() {
                0 => to = middle,
                found if (0..found).any(is_after) => return Ok(true),
                found if found >= count => from = middle + 1,
                _ => return Ok(false),
            }
        }
        Ok(false)
    }

    /// Returns the slice that shows the most rows from a place up to `until`. A page by number begins after `slice` does,
    /// and has a size that the walk has shown to be honoured.
    fn rest_of(&self, slice: Slice, place: u64, until: u64) -> Slice {
        let is_page = self.request.paging.family == Family::Page;
        let most = if is_page { u64::from(self.walk_facts().most) } else { u64::MAX };
        let most = u32::try_from(most.min(until.saturating_sub(place)).max(1)).unwrap_or(u32::MAX);
        let sizes = (1..=most).filter(|size| plan::size_within(&self.request.paging, *size).0 == *size);
        let rests = sizes.map(|size| self.window_at(place, size));
        let is_after = |rest: &Slice| rest.begins().0 == place || rest.begins() > slice.begins();
        let rest = rests.filter(is_after).max_by_key(|rest| facts::end_of(*rest));
        rest.unwrap_or_else(|| self.window_at(place, plan::size_within(&self.request.paging, 1).0))
    }

    /// Reads on after an answer with `count` items of `asked` was cut, in slices that are no larger.
    pub(super) fn read_in_smaller_slices(&mut self, count: usize, asked: usize) -> KeyNext {
        // A whole answer beside the rows that are missing says nothing about the size at which they come.
        let cap = u32::try_from(if count < asked { count } else { count / 2 }).unwrap_or(u32::MAX);
        self.asker.fell_to(cap);
        // Where a single row fills an answer, neighbouring slices of one row are read together (`across`). By number, the
        // rows of a page that its answer lacks look like left-out ones; and in a short list, an item that has come since
        // looks like one that was cut off. Test: `a_cap_that_falls_within_a_list_loses_no_item`.
        let goes_on = self.draft.way() == Way::Forward && !self.draft.seeks_the_end() && self.draft.len() > 0;
        let least = if self.request.paging.family == Family::Offset && goes_on { 1 } else { 2 };
        if cap < least || self.asker.sizes.assumed_cap == Some(1) {
            return Err(self.lost());
        }
        self.seen.no_rows_were_left_out();
        if !self.request.target.hint.walk.rows_left_out {
            Arc::make_mut(&mut self.request.paging).leaves_out = false;
        }
        self.asker.sizes.assumed_cap = Some(cap);
        (self.cut, self.asker.searching) = (None, true);
        Ok(KeyTurn::Window)
    }
}
