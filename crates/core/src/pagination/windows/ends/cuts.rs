//! Answers that the upstream cuts: by bytes, or by a cap that falls further down the list.
//!
//! A cut answer looks like one whose rows are left out after the limit: it has fewer items than were requested, and the
//! slice after it has more. The row right after the items received tells them apart. Requested alone, it is an item that
//! the answer doesn't have if the answer was cut; if rows are left out, it is one of these rows, or was received.

use std::{cmp::Ordering, sync::Arc};

use super::{KeyHalt, KeyNext, KeyReader, KeyTurn};
use crate::pagination::{
    judge::evidence::{Evidence, loose_at},
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

    /// Returns whether an answer with `count` items was cut: whether the row after those received shows an item after
    /// `last`, and before `first` if there is one.
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
        let row = self.window_at(slice.begins().0.saturating_add(count as u64), 1);
        let Some((_, alone)) = self.look(row).await? else { return Ok(false) };
        // Ties in any order say nothing: the row may be one of a run that the answer shows in another sequence.
        let order = &self.request.order;
        let stands = |item: usize, other: &Anchor| {
            let relation = rows::relate(&alone, order, item, other)?;
            Some(if loose_at(order, other) { relation.strong } else { relation.whole })
        };
        Ok((0..alone.items.len()).any(|item| {
            let is_before = |first| stands(item, first) == Some(Ordering::Less);
            stands(item, last) == Some(Ordering::Greater) && first.is_none_or(is_before)
        }))
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
