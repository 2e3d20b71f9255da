//! Answers without the boundary, and the next place to look for it.

use std::cmp::Ordering;

use super::{AskedSlice, Bracket, KeyNext, KeyReader, KeyTurn, Missed, confirm::Short, key_seam::Held};
use crate::pagination::{
    direction::Side,
    judge::draft::Ground,
    judge::evidence::Evidence,
    page::Unproven,
    paging::Family,
    plan,
    position::Position,
    refusal::Refusal,
    rows,
    window::{Offset, PageNumber, Slice},
};

impl KeyReader<'_> {
    /// Returns the next turn after an answer without the boundary.
    pub(super) async fn missed(&mut self, view: Box<Evidence>, asked: AskedSlice, side: Side) -> KeyNext {
        let slice = asked.slice;
        if view.is_empty() && view.is_from_start() && !self.request.paging.hidden {
            return self.doubt_nothing(slice).await;
        }
        if self.request.paging.hidden && (self.draft.can_be_searched_for() || self.draft.is_at_start()) {
            self.asker.searching = true;
            return self.missed_among_hidden(view, slice, side);
        }
        if !self.draft.can_be_searched_for() {
            return self.missed_by_offset(&view);
        }
        if side == Side::After && self.is_of_no_help(&view) {
            return Err(self.lost());
        }
        if self.should_sweep() {
            return self.sweep_now().await;
        }
        let first = !self.search.bracket.has_begun();
        (self.asker.searching, self.cut) = (true, None);
        if side == Side::After
            && let Some(short) = Short::of(&view, slice).filter(|short| self.may_doubt(short))
        {
            // Rows that are left out make offsets contradict one another, so a confirmation fails. All answers together
            // then show whether the list ends after the cursor's item.
            if self.ends_with_the_anchor(&view) && self.may_suppose_end() {
                return Ok(self.suppose_end());
            }
            // The answer is the end of the list, or a silent cap cut it. The items after it decide.
            let from = self.before_the_last_run(&view);
            return self.doubt(short, from, Held::Here(view)).await;
        }
        if first && asked.flipped.is_some_and(|total| self.asker.ledger.total() != Some(total)) {
            // The answer's offsets count from the end as it was. If the list changed after the boundary, the boundary
            // is still at its old offset, which is then requested. Test:
            // `a_boundary_that_the_flipped_list_does_not_show_is_looked_for_where_it_was`.
            let mut bracket = self.search.bracket;
            bracket.bound(side, view.begins(), view.reaches());
            if bracket.allows(self.draft.offset()) {
                self.search.bracket = bracket;
                return Ok(KeyTurn::Window);
            }
        }
        if asked.flipped.is_none()
            && !view.is_empty()
            && let Some(contradicted) = self.contradicts(asked, &view)
        {
            self.read_again(&contradicted).await?;
            self.search.bracket = Bracket::default();
        }
        let before = self.search.bracket;
        self.search.bracket.missed(side, view.begins(), view.reaches());
        // An answer of the flipped list shows the same items as another place of the list, without being a repeated
        // page, so it isn't compared. Test: `equal_pages_of_the_list_and_its_flipped_list_are_not_a_repeated_page`.
        if side == Side::After && asked.flipped.is_none() {
            let missed = Missed { slice, view, bracket: before };
            match self.search.last_missed.take() {
                Some(last) if self.is_repeated(&last, &missed) => return self.repeated(last, missed).await,
                _ => self.search.last_missed = Some(missed),
            }
        }
        if first { self.shifted() } else { Ok(KeyTurn::Window) }
    }

    /// Returns whether the list's filter lets an item through whose first key comes before the anchor's. Such a filter
    /// is ignored, or compares otherwise than the list is sorted, so a hint of a place in its list leads nowhere. Test:
    /// `a_filter_that_is_ignored_costs_a_request_a_page_and_is_given_up`.
    fn is_of_no_help(&self, view: &Evidence) -> bool {
        let (Ground::Filtered, Position::After(anchor)) = (self.ground, &self.request.target.position) else {
            return false;
        };
        let first = (!view.is_empty())
            .then(|| rows::relate_first_key(view.answer(), &self.request.order, view.item(0), anchor));
        first.flatten() == Some(Ordering::Less)
    }

    /// Requests the window that the change of the total predicts, if the bracket allows that place. Otherwise continues
    /// the search.
    pub(super) fn shifted(&mut self) -> KeyNext {
        let Some(offset) = self.shift().filter(|offset| self.search.bracket.allows(*offset)) else {
            return Ok(KeyTurn::Window);
        };
        self.draft.believe(offset);
        let window = self.window(plan::most(&self.request.paging, self.asker.sizes.assumed_cap));
        // The list may have changed on both sides. A wrong prediction then costs one request, not as many as a page
        // takes. Test: `a_boundary_is_found_within_the_bound_where_a_page_takes_two_requests`.
        self.around(window, 1)
    }

    /// Returns the expected offset of the boundary if all changes since the cursor was made are on one side of it: the
    /// boundary then moved by as much as the total changed. The end of the list is expected at the total. `None`
    /// without a total, if the total hasn't changed, or if the prediction was tried before. Tests:
    /// `changes_on_one_side_are_found_by_the_difference_of_totals`,
    /// `removals_before_a_place_are_found_by_the_difference_of_totals`.
    fn shift(&mut self) -> Option<u64> {
        let total = self.asker.ledger.total()?;
        // The end of the list is at its total, wherever the cursor was. Test:
        // `the_end_is_found_with_and_without_a_total`.
        if self.draft.seeks_the_end() && self.draft.len() == 0 {
            return Some(total);
        }
        if std::mem::replace(&mut self.search.shifted, true) {
            return None;
        }
        let hint = self.draft.hint();
        let before = hint.total.filter(|before| *before != total)?;
        hint.offset.0.saturating_add(total).checked_sub(before)
    }

    /// Continues after an answer without an item at the requested offset. Under a silent cap, a page number means a
    /// page of another size. An answer by offset that names an earlier offset is the last page, which the upstream
    /// repeats past the end. Test: `an_offset_past_the_end_takes_one_request_where_the_last_page_comes_again`.
    pub(super) fn missed_by_offset(&mut self, view: &Evidence) -> KeyNext {
        let cap = u32::try_from(view.len()).unwrap_or(u32::MAX).max(2);
        let is_said = self.request.paging.family == Family::Offset && view.answer().offset.is_some();
        self.seams.vain += 1;
        if !is_said && !view.is_empty() && self.seams.vain <= 2 {
            self.asker.sizes.assumed_cap = Some(self.asker.sizes.assumed_cap.map_or(cap, |known| known.min(cap)));
            return Ok(KeyTurn::Window);
        }
        let by_offset = self.request.is_unverified() || super::asks_by_offset(&self.request);
        let counted_in = self.asker.ledger.total().is_some_and(|total| total > self.draft.offset());
        if by_offset && !counted_in && self.flagged.is_none_or(|reason| reason == Unproven::Position) {
            // An offset after the end is an empty page, unless a count places the offset inside the list: the walk back
            // would then begin anew. Test:
            // `a_walk_back_by_offsets_does_not_begin_anew_where_a_count_says_that_there_is_more`.
            self.draft.end_here();
            return Ok(KeyTurn::Serve { cut_off: false });
        }
        Err(self.lost())
    }

    /// Returns whether two answers from different places have the same items, other than by chance.
    pub(super) fn is_repeated(&self, last: &Missed, missed: &Missed) -> bool {
        let (one, other) = (&last.view, &missed.view);
        // Ties that come in any order may come alike by chance, so an answer that is one run of them doesn't count.
        // Test: `equal_answers_by_chance_are_not_taken_for_an_ignored_parameter`.
        let same = (one.same_items(other) && (self.asker.ledger.repeats() || !one.is_loose_run(&self.request.order)))
            || (self.asker.ledger.repeats() && one.ends_like(other));
        last.slice.begins() != missed.slice.begins() && !one.is_empty() && same
    }

    /// Continues after the same items came from two places: either the upstream repeats its last page past the end, or
    /// it ignores the offset. The answer from the start shows which. Test:
    /// `a_search_in_an_upstream_that_ignores_its_parameter_is_refused_as_stuck`.
    async fn repeated(&mut self, one: Missed, other: Missed) -> KeyNext {
        let near = if one.slice.begins() < other.slice.begins() { one } else { other };
        if self.asker.ledger.repeats() {
            return Ok(self.ends_before(near));
        }
        self.note_repetition(&near.view).await?;
        Ok(self.ends_before(near))
    }

    /// Notes that the upstream repeats its last page past the end, because items of an answer came from another place
    /// too.
    ///
    /// # Errors
    ///
    /// [`Refusal::Stuck`] if the start of the list gives these items as well.
    pub(super) async fn note_repetition(&mut self, view: &Evidence) -> Result<(), super::KeyHalt> {
        let start = match view.slice() {
            Slice::Offset { size, .. } => Slice::Offset { from: Offset(0), size },
            Slice::Page { size, .. } => Slice::Page { number: PageNumber(0), size },
        };
        let start = self.ask(vec![start.into()]).await?.pop();
        let start = start.and_then(|(asked, start)| self.view(start, asked).ok());
        if start.is_some_and(|start| view.same_items(&start) && !start.ends()) {
            return Err(Refusal::Stuck.into());
        }
        self.asker.ledger.came_again();
        Ok(())
    }

    /// Looks before an answer that showed the end of the list, but perhaps at another place than its own.
    fn ends_before(&mut self, near: Missed) -> KeyTurn {
        self.search.bracket = near.bracket;
        self.search.bracket.ends_with(near.view.begins(), near.view.reaches());
        self.search.last_missed = Some(near);
        KeyTurn::Window
    }
}
