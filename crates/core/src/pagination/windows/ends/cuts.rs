//! Answers that the upstream cuts: by bytes, or by a cap that falls further down the list.
//!
//! A cut answer looks like one whose rows are left out after the limit: it has fewer items than were requested, and the
//! slice after it has more. The rest of its slice tells them apart. Requested alone, it has an item that the answer
//! doesn't have if the answer was cut; if rows are left out, all its items were received.

use std::{cmp::Ordering, sync::Arc};

use super::{KeyHalt, KeyNext, KeyReader, KeyTurn, facts};
use crate::pagination::{
    judge::evidence::{Evidence, loose_at},
    limits::{CUT_LOOKS, CUT_RESERVE},
    paging::Family,
    plan,
    position::Anchor,
    rows,
    window::Slice,
};

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
            // No row is between answers that overlap, or follow one another.
            if slice.begins().0.saturating_add(count as u64) >= next.begins().0 {
                continue;
            }
            let Some((last, first)) = view.anchor(&order, count - 1).zip(later.anchor(&order, 0)) else { continue };
            if self.is_cut(*slice, count, &last, Some(&first)).await? {
                return self.read_in_smaller_slices(count, slice.size().0 as usize).map(Some);
            }
        }
        Ok(None)
    }

    /// Returns whether an answer with `count` items was cut: whether the rest of its slice shows an item after `last`, and
    /// before `first` if there is one.
    pub(super) async fn is_cut(
        &mut self,
        slice: Slice,
        count: usize,
        last: &Anchor,
        first: Option<&Anchor>,
    ) -> Result<bool, KeyHalt> {
        let can_ask = plan::size_within(&self.request.paging, 1).0 == 1;
        // A dialect that declares hidden rows says that its sizes are honoured.
        if self.request.paging.hidden || !can_ask || count == 0 {
            return Ok(false);
        }
        let mut place = slice.begins().0.saturating_add(count as u64);
        // Where no row is left out, and at an end, the row after those received decides. Two answers are joined over
        // left-out rows only if no answer shows an item in between, and if the rest was looked at, as far as requests are
        // left for it. Test: `rows_that_are_left_out_hide_no_cut`.
        let joins_gaps = first.is_some()
            && (self.seen.shows_gap() || self.request.paging.leaves_out || self.walk_facts().rows_left_out);
        let until = if joins_gaps { facts::end_of(slice) } else { 0 }.max(place.saturating_add(1));
        // An item that another answer shows between the two sides is looked for first. The row after those received is
        // looked at in any case, and the others as far as requests are left.
        let between = first.and_then(|first| self.seen.between(&self.request.order, last, first));
        let needed = 1 + usize::from(between.is_some());
        for (look, between) in between.map(Some).into_iter().chain([None; CUT_LOOKS]).enumerate() {
            let reserve = if look < needed { 0 } else { CUT_RESERVE };
            if place >= until || (look > 0 && self.asker.left() <= reserve) {
                break;
            }
            let rest = between.unwrap_or_else(|| self.rest_of(slice, place, until));
            let Some((_, answer)) = self.look(rest).await? else { return Ok(false) };
            // Ties in any order say nothing: the row may be one of a run that the answer shows in another sequence.
            let order = &self.request.order;
            let stands = |item: usize, other: &Anchor| {
                let relation = rows::relate(&answer, order, item, other)?;
                Some(if loose_at(order, other) { relation.strong } else { relation.whole })
            };
            let is_missed = |item: usize| {
                let is_before = |first| stands(item, first) == Some(Ordering::Less);
                stands(item, last) == Some(Ordering::Greater) && first.is_none_or(is_before)
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
        rest.unwrap_or_else(|| self.window_at(place, 1))
    }

    /// Reads on after an answer with `count` items of `asked` was cut, in slices that are no larger.
    pub(super) fn read_in_smaller_slices(&mut self, count: usize, asked: usize) -> KeyNext {
        // A whole answer beside the rows that are missing says nothing about the size at which they come.
        let cap = u32::try_from(if count < asked { count } else { count / 2 }).unwrap_or(u32::MAX);
        self.asker.ledger.fell_to(cap);
        if cap < 2 {
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
