//! Gaps of rows that are left out: they are crossed without a hole, and their sides are joined.

use std::sync::Arc;

use super::{
    super::take::look_at,
    KeyHalt, KeyNext, KeyReader, KeyTurn, LookResult, SupposedEnd,
    facts::{self, LookSizes, NearSide},
};
use crate::pagination::{
    answer::Answer,
    direction::Way,
    judge::{
        draft::Boundary,
        end::Witness,
        evidence::{Evidence, loose},
    },
    limits::END_REFUTATIONS,
    paging::Family,
    plan, rows,
    slices::AskedSlice,
};

impl KeyReader<'_> {
    /// Crosses to an item that an answer shows: by looks of the largest size, and then by looks of a size that answers
    /// of the walk have filled. Under a silent cap, pages of larger sizes by number begin before their places. Test:
    /// `a_silently_hidden_stretch_of_rows_does_not_end_a_list`.
    pub(super) async fn cross_in_seen_sizes(
        &mut self,
        end: &mut SupposedEnd,
        towards: u64,
    ) -> Result<Option<(AskedSlice, Answer)>, KeyHalt> {
        let covered = end.covered;
        let crossed = self.cross(end, towards).await?;
        let seen = plan::size_within(&self.request.paging, self.walk_facts().most.max(1)).0;
        if crossed.is_some() || self.request.paging.family == Family::Offset || seen >= end.size {
            return Ok(crossed);
        }
        (end.covered, end.size) = (covered, seen);
        self.cross(end, towards).await
    }

    /// Looks at rows that were seen, and at those after them, if only small answers have come so far: an answer to an
    /// offset covers no more rows than the largest answer of the walk has items. Returns the answer that shows an item
    /// beyond.
    pub(super) async fn look_wide(&mut self, end: &mut SupposedEnd) -> Result<Option<(AskedSlice, Answer)>, KeyHalt> {
        if self.request.paging.family != Family::Offset || self.walk_facts().most >= end.size / 2 || end.is_wide {
            return Ok(None);
        }
        end.is_wide = true;
        let from = end.covered.saturating_sub(u64::from(end.size) / 2);
        match self.sight(end, from, end.size).await? {
            LookResult::Item(asked, answer) => Ok(Some((asked, answer))),
            LookResult::Nothing(_) | LookResult::Unseen => Ok(None),
        }
    }

    /// Looks at all rows from the end of those that were looked at up to an offset, until an answer shows an item.
    /// Returns this answer; `None` if no row up to the offset is an item.
    pub(super) async fn cross(
        &mut self,
        end: &mut SupposedEnd,
        towards: u64,
    ) -> Result<Option<(AskedSlice, Answer)>, KeyHalt> {
        if let Some(item) = self.look_wide(end).await? {
            return Ok(Some(item));
        }
        // The bound: each look covers rows after the one before, or ends the loop.
        loop {
            let before = end.covered;
            let (place, size) = self.within_depth(before, end.size);
            match self.sight(end, place, size).await? {
                LookResult::Item(asked, answer) => return Ok(Some((asked, answer))),
                LookResult::Unseen => return Ok(None),
                LookResult::Nothing(_) if end.covered >= towards || end.covered <= before => return Ok(None),
                LookResult::Nothing(_) => {}
            }
        }
    }

    /// Continues after an answer has shown an item beyond the supposed end, and everything in between was looked at.
    /// The answer that shows the last item is read again: if it hasn't changed, no row moved across the gap meanwhile.
    pub(super) async fn go_on_beyond(&mut self, asked: AskedSlice, answer: Answer) -> KeyNext {
        self.claimed.refuted += 1;
        if self.claimed.refuted > END_REFUTATIONS || self.draft.is_nothing() && self.draft.way().is_backward() {
            return Err(self.lost());
        }
        let last = self.draft.last_before_the_end();
        if let Err(unsorted) = self.draft.reopen() {
            return Err(self.contradicted(unsorted));
        }
        self.progressed();
        let beyond = match self.view(answer, asked) {
            Ok(view) => view,
            Err(unsorted) => return Err(self.contradicted(unsorted)),
        };
        let shows_near_side =
            last.as_ref().is_some_and(|last| facts::begins_at_or_before(beyond.answer(), &self.request.order, last));
        if shows_near_side || beyond.is_from_start() {
            return Ok(look_at(asked, beyond, Witness::None));
        }
        let Some(near) = self.seen.near_side(&self.request.order, last.as_ref()) else { return Err(self.lost()) };
        self.join_sides(near, (asked, beyond), Way::Forward).await
    }

    /// Returns whether two answers can't both be at their places: the one is full, so no row of it is left out, and the
    /// other one begins before the last of these rows, but comes after it. Test:
    /// `pages_that_overlap_without_a_shared_item_are_not_joined`.
    fn lacks_shared_rows(&self, before: &Evidence, after: &Evidence) -> bool {
        let order = &self.request.order;
        let is_full = before.len() >= before.slice().size().0 as usize;
        let last = before.len().checked_sub(1).and_then(|last| before.anchor(order, last));
        is_full
            && after.slice().begins().0 < before.slice().begins().0.saturating_add(before.len() as u64)
            && last.is_some_and(|last| !facts::begins_at_or_before(after.answer(), order, &last))
    }

    /// Notes that the upstream leaves out rows.
    pub(super) fn know_left_out(&mut self) {
        self.seen.go_on();
        Arc::make_mut(&mut self.request.paging).leaves_out = true;
    }

    /// Joins the two sides of a gap in which no row is an item. The near side is read again: if it hasn't changed, no
    /// row moved across the gap meanwhile. If it has changed, the page is read on from its last item.
    pub(super) async fn join_sides(&mut self, near: NearSide, far: (AskedSlice, Evidence), way: Way) -> KeyNext {
        let looks = LookSizes { size: far.0.slice.size().0, most: self.walk_facts().most };
        if !looks.follow(near.slice) {
            return Err(self.lost());
        }
        let Some((asked, again)) = self.ask(vec![near.slice.into()]).await?.pop() else { return Err(self.lost()) };
        let (order, (far_asked, far)) = (Arc::clone(&self.request.order), far);
        if facts::digest(&again) != near.digest {
            // The last items were taken as all of their run, because the list seemed to end after them. Ties in any order
            // may have others, which a page after them would leave out. Regression:
            // `crates/sim/regressions/ties-before-a-refuted-end.txt`.
            return if loose(&order) && way == Way::Forward { Err(self.lost()) } else { Ok(KeyTurn::Window) };
        }
        // A single empty answer may be a lapse of the upstream, and the near side may show the same items although rows
        // have moved: so slices of the gap are read again. Regression:
        // `crates/sim/regressions/a-row-that-moves-into-a-gap.txt`. Test: the world `lapse` of the simulator's family
        // `ends`.
        let near_end = near.slice.begins().0.saturating_add(u64::from(near.slice.size().0));
        let gap = match way {
            Way::Forward => near_end..far_asked.slice.begins().0,
            Way::Backward => far_asked.slice.begins().0..near.slice.begins().0,
        };
        // An item within the gap follows the near side. Test: `crates/sim/regressions/a-gap-with-items-in-it.txt`.
        let between = match way {
            Way::Forward => gap.clone(),
            Way::Backward => facts::end_of(far_asked.slice)..near.slice.begins().0,
        };
        if self.seen.shows_within(&between) {
            return Ok(KeyTurn::Window);
        }
        let (begins, beside) = (far_asked.slice.begins().0, near.slice.begins().0);
        let last = match (way, self.draft.boundary()) {
            (Way::Forward, _) => self.draft.last_before_the_end(),
            (Way::Backward, Boundary::Before { anchor, .. }) => Some(anchor.clone()),
            (Way::Backward, _) => None,
        };
        // Ties in any order may be within the gap although both sides show others of their run. Regression:
        // `crates/sim/regressions/ties-of-a-run-beside-a-gap.txt`.
        let is_tied = || match (way, &last) {
            (Way::Forward, last) => self.seen.is_past_before(begins, &order, last.as_ref()),
            (Way::Backward, Some(last)) => self.seen.is_before_after(begins, &order, last),
            (Way::Backward, None) => false,
        };
        // So may items with opaque values, which have no place of their own. Regression:
        // `crates/sim/regressions/opaque-values-within-a-gap.txt`.
        let inside = begins.min(beside) + 1..begins.max(beside);
        let is_opaque = last.as_ref().is_some_and(|last| rows::opaque_at(&order, last).is_some());
        if loose(&order) && is_tied() || is_opaque && self.seen.has_unplaced(&inside, &order, last.as_ref()) {
            return Err(self.lost());
        }
        let lapses = self.seen.read_before(far_asked.slice, gap);
        if !lapses.is_empty() {
            let answers = self.ask(lapses.into_iter().map(AskedSlice::from).collect()).await?;
            if answers.iter().any(|(_, answer)| !answer.items.is_empty()) {
                return Ok(KeyTurn::Window);
            }
        }
        let Ok(again) = self.view(again, asked) else { return Ok(KeyTurn::Window) };
        let (before, after) = if way == Way::Forward { (&again, &far) } else { (&far, &again) };
        if self.lacks_shared_rows(before, after) {
            return Err(self.lost());
        }
        if far_asked.flipped.is_none()
            && let Some(turn) = self.read_on_if_cut(vec![(asked.slice, &again), (far_asked.slice, &far)]).await?
        {
            return Ok(turn);
        }
        let joined = match way {
            Way::Forward => Evidence::across(again, far, &order),
            Way::Backward => Evidence::across(far, again, &order),
        };
        match joined {
            Ok(joined) if way == Way::Forward => Ok(look_at(asked, joined, Witness::Same)),
            Ok(joined) => Ok(look_at(far_asked, joined, Witness::Same)),
            // The list has changed between the two answers, so an item may be in both.
            Err(_) => Ok(KeyTurn::Window),
        }
    }
}
