//! Gaps of rows that are left out: they are crossed without a hole, and their sides are joined.

use std::sync::Arc;

use super::{
    super::take::look_at,
    KeyHalt, KeyNext, KeyReader, KeyTurn, LookResult, SupposedEnd,
    facts::{self, NearSide},
};
use crate::pagination::{
    answer::Answer,
    direction::Way,
    judge::{end::Witness, evidence::Evidence},
    limits::END_REFUTATIONS,
    paging::Family,
    slices::AskedSlice,
};

impl KeyReader<'_> {
    /// Looks at all rows from the end of those that were looked at up to an offset, until an answer shows an item.
    /// Returns this answer; `None` if no row up to the offset is an item.
    pub(super) async fn cross(
        &mut self,
        end: &mut SupposedEnd,
        towards: u64,
    ) -> Result<Option<(AskedSlice, Answer)>, KeyHalt> {
        let is_offset = self.request.paging.family == Family::Offset;
        // Under a limit by rows, answers beside left-out rows have few items, so a smaller size may be all that is
        // known to be honoured. A look at rows that were seen shows a larger one.
        if is_offset && self.walk_facts().most < end.size / 2 && end.covered > u64::from(end.size) / 2 {
            let from = end.covered - u64::from(end.size) / 2;
            if let LookResult::Item(asked, answer) = self.sight(end, from, end.size).await? {
                return Ok(Some((asked, answer)));
            }
        }
        // The bound: each look covers rows after the one before, or ends the loop.
        loop {
            let before = end.covered;
            match self.sight(end, before, end.size).await? {
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
        self.know_left_out();
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

    /// Notes that the upstream leaves out rows.
    pub(super) fn know_left_out(&mut self) {
        self.seen.go_on();
        Arc::make_mut(&mut self.request.paging).leaves_out = true;
    }

    /// Joins the two sides of a gap in which no row is an item. The near side is read again: if it hasn't changed, no
    /// row moved across the gap meanwhile. If it has changed, the page is read on from its last item.
    pub(super) async fn join_sides(&mut self, near: NearSide, far: (AskedSlice, Evidence), way: Way) -> KeyNext {
        let Some((asked, again)) = self.ask(vec![near.slice.into()]).await?.pop() else { return Err(self.lost()) };
        if facts::digest(&again) != near.digest {
            return Ok(KeyTurn::Window);
        }
        let (order, (far_asked, far)) = (Arc::clone(&self.request.order), far);
        // A single empty answer may be a lapse of the upstream, so each slice of the gap that was read once is read
        // again. Test: the world `lapse` of the simulator's family `ends`.
        let near_end = near.slice.begins().0.saturating_add(u64::from(near.slice.size().0));
        let gap = match way {
            Way::Forward => near_end..far_asked.slice.begins().0,
            Way::Backward => far_asked.slice.begins().0..near.slice.begins().0,
        };
        let lapses = self.seen.read_once(gap);
        if !lapses.is_empty() {
            let answers = self.ask(lapses.into_iter().map(AskedSlice::from).collect()).await?;
            if answers.iter().any(|(_, answer)| !answer.items.is_empty()) {
                return Ok(KeyTurn::Window);
            }
        }
        let joined = self.view(again, asked).and_then(|again| match way {
            Way::Forward => Evidence::across(again, far, &order),
            Way::Backward => Evidence::across(far, again, &order),
        });
        match joined {
            Ok(joined) if way == Way::Forward => Ok(look_at(asked, joined, Witness::Same)),
            Ok(joined) => Ok(look_at(far_asked, joined, Witness::Same)),
            // The list has changed between the two answers, so an item may be in both.
            Err(_) => Ok(KeyTurn::Window),
        }
    }
}
