//! Looks beyond a supposed end: requests that only show whether more items follow.

use std::collections::HashSet;

use super::{KeyReader, SupposedEnd, facts};
use crate::pagination::{
    answer::{Answer, Standing},
    judge::{confirmation, evidence::loose},
    paging::Family,
    plan,
    position::Anchor,
    rows,
    slices::{AskedSlice, Unasked},
    window::{Offset, PageNumber, PageSize, Slice},
    windows::KeyHalt,
};

/// The result of one look beyond the supposed end.
#[derive(Debug)]
pub(super) enum LookResult {
    /// The answer shows an item beyond the end.
    Item(AskedSlice, Answer),
    /// The answer shows no item beyond the end.
    Nothing(Answer),
    /// The upstream doesn't answer there, or answers with items from before its place.
    Unseen,
}

impl KeyReader<'_> {
    /// Looks at rows that begin at `place`, which follow those that were looked at.
    pub(super) async fn sight(&mut self, end: &mut SupposedEnd, place: u64, size: u32) -> Result<LookResult, KeyHalt> {
        let slice = self.window_at(place, size);
        let sight = self.sight_of(end, slice).await?;
        if matches!(sight, LookResult::Nothing(_)) && !self.comes_again(end) {
            let most = self.rows_of_a_look();
            let is_full = matches!(&sight, LookResult::Nothing(answer) if answer.items.len() == size as usize);
            end.covered = end.covered.max(facts::covered_by(slice, most, is_full));
        }
        Ok(sight)
    }

    /// Returns whether the upstream gives its last items again after the end: it takes no larger offset or page number.
    /// Then its answers show nothing about the rows after the end.
    pub(super) fn comes_again(&self, end: &mut SupposedEnd) -> bool {
        let Some(first) = self.seen.repeated_from(&self.request.order, end.last.as_ref()) else { return false };
        end.came = end.came.min(first);
        (end.near, end.covered, end.comes_again) = (end.came, end.came, true);
        true
    }

    /// Looks at rows that may be apart from those that were looked at.
    pub(super) async fn sight_apart(&mut self, end: &mut SupposedEnd, place: u64) -> Result<LookResult, KeyHalt> {
        let sight = self.sight_of(end, self.window_at(place, end.size)).await?;
        self.comes_again(end);
        Ok(sight)
    }

    pub(super) async fn sight_of(&mut self, end: &SupposedEnd, slice: Slice) -> Result<LookResult, KeyHalt> {
        let Some((asked, answer)) = self.look(slice).await? else { return Ok(LookResult::Unseen) };
        if answer.standing == Standing::Refused {
            return Ok(LookResult::Unseen);
        }
        let (order, begins) = (&self.request.order, slice.begins().0);
        // Opaque values have no order of their own, so an answer that lacks the last item shows nothing unless it is behind
        // it. Under a silent cap, a page by number is, if the last item ends a page of the same size before it. Regressions:
        // `crates/sim/regressions/a-look-at-the-rows-before-an-end.txt`, `…/an-opaque-page-under-a-cap-that-fell.txt`.
        let is_behind = |last| match slice {
            Slice::Page { size, .. } if !answer.items.is_empty() => self.seen.ends_with_in(size, order, last),
            _ => true,
        };
        let shows = |last| facts::has_item(&answer, order, last) || (begins >= end.came && is_behind(last));
        if end.last.as_ref().is_some_and(|last| rows::opaque_at(order, last).is_some() && !shows(last)) {
            return Ok(LookResult::Unseen);
        }
        if self.shows_beyond(&answer, end.last.as_ref()) {
            return Ok(LookResult::Item(asked, answer));
        }
        // Under a silent cap, a page by number begins before the place that its number says. Its items then show
        // nothing about the rows at that place, unless they are the last page once more.
        let is_elsewhere = facts::ends_before(&answer, order, end.last.as_ref());
        let is_elsewhere = is_elsewhere && (begins >= end.came || self.request.paging.family == Family::Page);
        Ok(if is_elsewhere { LookResult::Unseen } else { LookResult::Nothing(answer) })
    }

    /// Returns whether an answer has an item after `last`. Of ties that come in any order, those count that the page's
    /// answer doesn't show; for a page without items, those with greater ids, because clients get ties sorted by id.
    pub(super) fn shows_beyond(&self, answer: &Answer, last: Option<&Anchor>) -> bool {
        let order = &self.request.order;
        let (Some(last), true) = (last, loose(order)) else {
            return confirmation::holds_more(answer, last, self.terms());
        };
        let view = self.draft.view_of_last();
        let shown: Option<HashSet<_>> =
            view.map(|view| (0..view.len()).filter_map(|place| view.id(order, place)).collect());
        (0..answer.items.len()).any(|item| match rows::relate(answer, order, item, last) {
            None => true,
            Some(relation) if relation.strong.is_eq() => match &shown {
                Some(shown) => {
                    relation.whole.is_ne() && answer.identity(order, item).is_some_and(|id| !shown.contains(&id))
                }
                None => relation.whole.is_gt(),
            },
            Some(relation) => relation.strong.is_gt(),
        })
    }

    /// Requests a slice that only shows whether more items follow. `None` beyond the depth that the upstream answers.
    pub(super) async fn look(&mut self, slice: Slice) -> Result<Option<(AskedSlice, Answer)>, KeyHalt> {
        self.look_asked(slice.into()).await
    }

    pub(super) async fn look_asked(&mut self, asked: AskedSlice) -> Result<Option<(AskedSlice, Answer)>, KeyHalt> {
        let Some(slice) = plan::within(&self.request.paging, asked.slice) else { return Ok(None) };
        if self.asker.left() == 0 {
            return Err(self.unended());
        }
        self.asker.probe(true);
        let pairs = self.asker.send(vec![AskedSlice { slice, ..asked }], &self.request.paging, |_| true).await;
        self.asker.probe(false);
        match pairs {
            Ok(mut pairs) => {
                self.seen.note_all(&pairs, &self.request.order);
                Ok(pairs.pop())
            }
            Err(Unasked::Spent) => Err(self.unended()),
            Err(Unasked::TooDeep) => Ok(None),
            Err(Unasked::Stop(stop)) => Err(stop.into()),
        }
    }

    /// Returns the place and the size of a look at the row at `place` that stays within the depth that the upstream
    /// answers. A page by number can't be cut there, but a smaller page holds the row, too; a slice by offset can't be cut
    /// to its last row, but holds it with the row before. Regression:
    /// `crates/sim/regressions/an-item-just-above-a-depth-limit.txt`.
    pub(super) fn within_depth(&self, place: u64, size: u32) -> (u64, u32) {
        let paging = &self.request.paging;
        let Some(depth) = paging.max_depth.filter(|depth| place < *depth) else { return (place, size) };
        if paging.family != Family::Page {
            return (place.min(depth.saturating_sub(2)), size);
        }
        let fits = |size: u32| {
            plan::size_within(paging, size).0 == size && plan::within(paging, self.window_at(place, size)).is_some()
        };
        (place, (1..=size).rev().find(|size| fits(*size)).unwrap_or(size))
    }

    /// Returns the slice of this size that begins at an offset, or the page that holds the offset.
    pub(super) fn window_at(&self, offset: u64, size: u32) -> Slice {
        let offset = Offset(offset).believed().0;
        match self.request.paging.family {
            Family::Offset | Family::Token => Slice::Offset { from: Offset(offset), size: PageSize(size) },
            Family::Page => Slice::Page { number: PageNumber(offset / u64::from(size.max(1))), size: PageSize(size) },
        }
    }
}
