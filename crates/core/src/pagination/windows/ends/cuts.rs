//! Answers that the upstream cuts: by bytes, or by a cap that falls further down the list.
//!
//! A cut answer looks like one whose rows are left out after the limit: it has fewer items than were requested, and the
//! slice after it has more. The row right after the items received tells them apart. Requested alone, it is an item that
//! the answer doesn't have if the answer was cut; if rows are left out, it is one of these rows, or was received.

use std::{cmp::Ordering, sync::Arc};

use super::{KeyHalt, KeyNext, KeyReader, KeyTurn};
use crate::pagination::{
    answer::Answer,
    judge::{draft::Ground, evidence::Evidence},
    plan,
    position::Anchor,
    rows,
    window::Slice,
};

/// An answer with fewer items than were requested, before a slice with more.
#[derive(Debug)]
pub(in crate::pagination::windows) struct CutAnswer {
    pub(in crate::pagination::windows) slice: Slice,
    pub(in crate::pagination::windows) count: usize,
    pub(in crate::pagination::windows) last: Anchor,
    /// The first item of the slice after it.
    pub(in crate::pagination::windows) first: Anchor,
}

impl KeyReader<'_> {
    /// Returns the answers of neighbouring slices that may be cut.
    pub(in crate::pagination::windows) fn cut_answers<'v>(
        &self,
        views: impl Iterator<Item = (Slice, &'v Evidence)>,
    ) -> Vec<CutAnswer> {
        let order = &self.request.order;
        let mut views: Vec<(Slice, &Evidence)> = views.filter(|(_, view)| !view.is_empty()).collect();
        views.sort_by_key(|(slice, _)| slice.begins());
        let pairs = views.windows(2).filter_map(|pair| {
            let [(slice, view), (_, later)] = pair else { return None };
            let count = view.len();
            let last = view.anchor(order, count.checked_sub(1)?).filter(|_| count < slice.size().0 as usize)?;
            Some(CutAnswer { slice: *slice, count, last, first: later.anchor(order, 0)? })
        });
        pairs.collect()
    }

    /// Returns whether an answer with `count` items was cut: whether the row after those received shows an item after
    /// `last`, and before `first` if there is one.
    pub(in crate::pagination::windows) async fn is_cut(
        &mut self,
        slice: Slice,
        count: usize,
        last: &Anchor,
        first: Option<&Anchor>,
    ) -> Result<bool, KeyHalt> {
        let can_ask = plan::size_within(&self.request.paging, 1).0 == 1;
        // A dialect that declares hidden rows says that its sizes are honoured.
        if self.request.paging.hidden || self.ground != Ground::Whole || !can_ask || count == 0 {
            return Ok(false);
        }
        let row = self.window_at(slice.begins().0.saturating_add(count as u64), 1);
        // An answer that begins with that row has shown it.
        if self.seen.begins_at(row.begins().0) {
            return Ok(false);
        }
        let Some((_, alone)) = self.look(row).await? else { return Ok(false) };
        let order = Arc::clone(&self.request.order);
        let stands = |answer: &Answer, item: usize, other: &Anchor| rows::relate(answer, &order, item, other);
        Ok((0..alone.items.len()).any(|item| {
            let is_after = stands(&alone, item, last).is_some_and(|relation| relation.whole.is_gt());
            let is_before = |first| stands(&alone, item, first).is_some_and(|it| it.whole == Ordering::Less);
            is_after && first.is_none_or(is_before)
        }))
    }

    /// Reads on after an answer with `count` items of `asked` was cut, in slices that are no larger.
    pub(in crate::pagination::windows) fn read_in_smaller_slices(&mut self, count: usize, asked: usize) -> KeyNext {
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
