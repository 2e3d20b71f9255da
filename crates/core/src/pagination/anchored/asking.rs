//! The next request of a page that is read by marks, for the window around the boundary or for the list after a short
//! answer. Also the end of a page that can't be completed.

use std::sync::Arc;

use super::{Landmark, Look, MarkHalt, MarkNext, MarkReader, MarkTurn, Page, mark_seam::MarkSeam, view::View};
use crate::pagination::{
    answer::Answer,
    direction::Way,
    judge::end::Witness,
    limits::{AFTER_SEARCH_REQUESTS, ALIKE_ANSWERS, MARK_END_CHECKS, MARKS_BESIDE},
    mark::Mark,
    page::Unproven,
    paging::{Family, Sizes},
    plan::{self, MARGIN, Window},
    position::Position,
    refusal::Refusal,
    slices::{AskedSlice, SliceReader as _, Unasked},
    upstream::Stop,
    window::{Offset, Slice},
};

impl MarkReader<'_> {
    /// Returns the turn that requests the slices which should show the boundary. If no slice can show both sides of the
    /// boundary, and its first unserved item has no mark, the turn reads the list beyond the last answer.
    pub(super) fn next_window(&mut self) -> MarkNext {
        self.stand.aimed = self.stand.offset;
        let way = self.page.way();
        let window = self.window();
        let left = self.asker.left().max(1);
        let paging = &self.request.paging;
        let mut slices = plan::plan(paging, self.asker.sizes.assumed_cap, window, way, left);
        if let (Landmark::Marks(sightings), Some(last)) = (&self.boundary, self.stand.offset.checked_sub(1))
            && slices.first().is_some_and(|slice| !plan::shows_both_sides(*slice, last))
        {
            if sightings.line().leads_on() {
                // No answer shows both sides, but the first unserved item has a mark, by which it is recognised. The
                // items before the boundary are therefore left out of the window.
                let ahead = match way {
                    Way::Forward => Window { from: self.stand.offset, before: 0, ..window },
                    Way::Backward => Window { to: self.stand.offset, after: 0, ..window },
                };
                slices = plan::plan(paging, self.asker.sizes.assumed_cap, ahead, way, left);
            } else if !self.page.views.is_empty() {
                return self.look_beyond(way);
            }
        }
        if matches!(paging.sizes, Sizes::Fixed(_)) {
            // Pages of one fixed size never overlap, so a second page would have to be requested again as a seam. Only
            // the first page is requested.
            slices.truncate(1);
        }
        Ok(MarkTurn::Ask(slices.into_iter().map(AskedSlice::from).collect()))
    }

    /// Returns the window of expected offsets to request: the marked items, the items needed, and one more.
    fn window(&self) -> Window {
        let need = self.page.need();
        let margin = if self.request.paging.family == Family::Page { 0 } else { MARGIN };
        // Items may be hidden, so the window must cover more offsets to show as many items.
        let margin = if self.request.paging.hidden { margin + need } else { margin };
        let (offset, beside) = (self.stand.offset, MARKS_BESIDE + margin);
        match (&self.boundary, self.page.way()) {
            // The window is as large as those of later pages, so the walk sees this size honoured before the end of the
            // list depends on it.
            (Landmark::Start, _) => Window { from: 0, to: need + 1, before: 0, after: MARKS_BESIDE + 2 * margin + 1 },
            (Landmark::At(_), _) if self.request.paging.hidden => {
                Window { from: offset, to: offset.saturating_add(need + 1), before: 0, after: margin }
            }
            (Landmark::At(_), _) => {
                Window { from: offset, to: offset.saturating_add(need + 1), before: beside + 1, after: beside }
            }
            (Landmark::Tail(tail), _) => tail.window(need),
            (Landmark::Marks(_), Way::Forward) => {
                let from = offset.saturating_sub(1);
                Window { from, to: offset.saturating_add(need + 1), before: beside, after: beside - 1 }
            }
            (Landmark::Marks(_), Way::Backward) => {
                let from = offset.saturating_sub(need + 1);
                Window { from, to: offset.saturating_add(1), before: beside - 1, after: beside }
            }
        }
    }

    /// Returns the next turn of an incomplete page after an answer in which the reader passed `passed` items.
    /// `confirming` is true if the answer was requested to confirm an end.
    pub(super) async fn read_on(&mut self, passed: usize, confirming: bool) -> MarkNext {
        let way = self.page.way();
        let Some(view) = self.page.views.last() else { return Err(self.lost()) };
        if self.request.is_unverified() {
            // Without proofs, the answer's own claim decides whether the page ends. Test:
            // `unverified_pages_take_one_request_each`.
            let said = view.answer.more.or_else(|| self.counts.total.map(|total| total.value > self.stand.offset));
            let more = said.unwrap_or(!view.short);
            if self.page.need() == 0 || !more || passed == 0 {
                self.page.more = Some(more && passed > 0);
                return Ok(MarkTurn::Serve { cut_off: false });
            }
            return Ok(MarkTurn::Window);
        }
        // If an earlier answer was short, this answer shows items after it, so the short answer's length is a silent
        // cap.
        if passed > 0 && way == Way::Forward {
            self.caps.confirm(&mut self.asker.sizes);
        }
        if way == Way::Forward && view.short && !matches!(self.boundary, Landmark::At(_)) {
            if passed == 0 && confirming {
                return self.look_beyond(way);
            }
            self.caps.suspected = u32::try_from(view.len()).ok();
            let last = view.reaches().saturating_sub(1);
            // Where rows are left out, a small request at the believed end shows other items each time, so the end is
            // judged by all answers. Test: `items_after_a_gap_are_found_without_a_statement`.
            self.claimed.confirmations += 1;
            if self.claimed.confirmations > MARK_END_CHECKS {
                return self.suppose_end();
            }
            return self.confirm(last).await;
        }
        if passed == 0
            && let [.., before, last] = self.page.views.as_slice()
            && before.slice.begins() != last.slice.begins()
            && !last.is_empty()
            && last.same_items(before)
        {
            // Two different slices gave the same items. If this happens more often than a repeated last page explains,
            // the upstream is stuck. Test: `an_upstream_that_ignores_its_paging_parameters_is_refused_as_stuck`.
            self.effort.alike += 1;
            if self.effort.alike > ALIKE_ANSWERS {
                return Err(Refusal::Stuck.into());
            }
        }
        let no_further = passed == 0 && (self.stand.offset == self.stand.aimed || self.request.paging.hidden);
        if no_further { self.look_beyond(way) } else { Ok(MarkTurn::Window) }
    }

    /// Returns a small request that shows the item at offset `last` and the place after it. `None` if no request shows
    /// both, or if its size isn't known to be honoured.
    pub(super) fn small_at_the_end(&self, last: u64) -> Option<Slice> {
        let honoured = self.asker.ledger.honoured().by_walk();
        let confirmation =
            plan::confirmation(&self.request.paging, self.asker.sizes.assumed_cap, honoured, last, last)?;
        confirmation.filled.is_none().then_some(confirmation.edge)
    }

    /// Requests proof that a short answer was the end: a small slice at its end, of a size that is known to be
    /// honoured, and in the same turn a slice after all that was requested, which shows the items after hidden ones.
    /// The second slice is omitted if the answer claims that no item follows, if an earlier answer showed that no items
    /// are there, if the slice is too deep, or if the budget allows only one request.
    ///
    /// If no small slice can show the end, the list beyond the answer is read, and then the answer again. Test:
    /// `a_walk_goes_on_past_items_that_the_upstream_hides_silently`.
    async fn confirm(&mut self, last: u64) -> MarkNext {
        match (self.small_at_the_end(last), self.page.views.last()) {
            (Some(small), Some(view)) if self.asker.left() > 1 => {
                let counted = view.answer.total.is_some_and(|total| total.exact && total.value <= view.reaches());
                let beyond = plan::within(&self.request.paging, plan::next(view.slice))
                    .filter(|beyond| beyond.begins().0 < self.counts.nothing_from)
                    .filter(|_| !counted && view.answer.more != Some(false));
                let slices = [Some(small), beyond].into_iter().flatten().collect();
                self.confirm_by(slices).await
            }
            (Some(small), _) => self.confirm_by(vec![small]).await,
            (None, _) => self.look_beyond(Way::Forward),
        }
    }

    /// Requests a slice that confirms an end, and in the same turn any slices beyond it. `slices` begins with the
    /// confirming slice.
    pub(super) async fn confirm_by(&mut self, slices: Vec<Slice>) -> MarkNext {
        let pairs = self.ask_beyond(slices).await;
        let mut pairs = self.note(pairs)?;
        let others = pairs.split_off(pairs.len().min(1));
        let mut witness = Witness::Same;
        for (slice, beyond) in others {
            if self.shows_more(&beyond) {
                // The sides of a gap of left-out rows may take more requests than a page where it is expected.
                self.asker.searching = true;
                return self.look_beyond(Way::Forward);
            }
            self.counts.nothing_from = self.counts.nothing_from.min(slice.begins().0);
            // Two answers that agree on the last item, with no item beyond, overrule a larger count. Test:
            // `a_walk_ends_although_the_total_is_always_too_high`.
            if pairs.iter().all(|(_, edge)| self.ends_like_the_last(edge)) {
                witness = Witness::SameAndNothingBeyond;
            }
        }
        Ok(MarkTurn::Look(Look { answers: pairs, witness }))
    }

    /// Returns whether an answer ends with the same item as the last answer used.
    fn ends_like_the_last(&self, edge: &Answer) -> bool {
        let last = |answer: &Answer| answer.items.len().checked_sub(1).map(|last| answer.item(last).to_vec());
        self.page.views.last().is_some_and(|view| last(&view.answer) == last(edge))
    }

    /// Returns whether an answer from beyond the last one ends with an item that the last one doesn't have. If the
    /// upstream gives its last items again past the end, there is no such item.
    fn shows_more(&self, beyond: &Answer) -> bool {
        let Some(view) = self.page.views.last() else { return false };
        let last = beyond.items.len().checked_sub(1).map(|last| beyond.item(last));
        last.is_some_and(|last| (0..view.len()).all(|place| view.answer.item(place) != last))
    }

    /// Returns the turn that reads the list beyond the last answer, and then that answer again, as a seam. If the
    /// request leaves out costly proofs, a full page is served instead.
    pub(super) fn look_beyond(&mut self, way: Way) -> MarkNext {
        let Some(view) = self.page.views.last() else { return Err(self.lost()) };
        if self.request.leaves_out_costly_proofs() && self.page.need() == 0 {
            // Only more requests would show whether an item follows, so a full page is served with a link to a next
            // page.
            self.page.more = Some(true);
            return Ok(MarkTurn::Serve { cut_off: false });
        }
        match MarkSeam::new(view, way, &self.request) {
            Some(seam) => Ok(MarkTurn::Seam(seam)),
            None => Err(self.lost()),
        }
    }

    /// Returns the next turn after an answer that doesn't show the boundary, where the boundary is the start, the end
    /// or an offset.
    pub(super) async fn missed(&mut self, view: View, confirming: bool) -> MarkNext {
        self.effort.misses += 1;
        match &self.boundary {
            Landmark::Tail(_) => self.missed_tail(view, confirming).await,
            // The answer begins elsewhere, or is empty without proof that the list is empty. The start is therefore
            // requested once more.
            Landmark::Start if self.effort.misses == 1 => self.confirm_by(vec![view.slice]).await,
            // A silent cap ended the answer before the requested offset, so the offset is requested again under that
            // cap.
            Landmark::At(offset) if self.effort.misses == 1 => {
                let window =
                    Window { from: *offset, to: offset.saturating_add(self.page.need() + 1), before: 0, after: 0 };
                self.asker.sizes.assumed_cap = u32::try_from(view.len()).ok().map(|count| count.max(2));
                let slices = plan::plan(&self.request.paging, self.asker.sizes.assumed_cap, window, Way::Forward, 1);
                Ok(MarkTurn::Ask(slices.into_iter().map(AskedSlice::from).collect()))
            }
            _ => Err(self.lost()),
        }
    }

    /// Requests slices of the list, and returns each with its answer.
    pub(super) async fn send(&mut self, slices: Vec<Slice>) -> Result<Vec<(Slice, Answer)>, MarkHalt> {
        let asked = slices.into_iter().map(AskedSlice::from).collect();
        let pairs = self.asker.send(asked, &self.request.paging, |_| true).await;
        self.note(pairs)
    }

    /// Notes the facts of answers, and returns each with its slice.
    fn note(&mut self, pairs: Result<Vec<(AskedSlice, Answer)>, Unasked>) -> Result<Vec<(Slice, Answer)>, MarkHalt> {
        let pairs = pairs.map_err(|why| self.unasked(why))?;
        pairs.iter().for_each(|(asked, answer)| self.facts.note(asked.slice, answer));
        // The list may have other first items than at the start of the walk. Regression:
        // `crates/sim/regressions/a-list-that-begins-again-after-a-full-last-page.txt`.
        let shown = pairs.iter().rfind(|(asked, answer)| asked.slice.begins().0 == 0 && !answer.items.is_empty());
        if let Some((_, answer)) = shown {
            self.facts.walk.first = Some(answer.mark(&self.request.order, self.request.marker_of_target(), 0));
        }
        Ok(pairs.into_iter().map(|(asked, answer)| (asked.slice, answer)).collect())
    }

    /// Requests slices that may lie after the end of the list. If an answer gives the beginning of the list, the slices
    /// are requested again.
    pub(super) async fn ask_beyond(&mut self, slices: Vec<Slice>) -> Result<Vec<(AskedSlice, Answer)>, Unasked> {
        let asked: Vec<AskedSlice> = slices.into_iter().map(AskedSlice::from).collect();
        let pairs = self.asker.send(asked.clone(), &self.request.paging, |_| true).await?;
        for (AskedSlice { slice, .. }, answer) in &pairs {
            let (order, marker) = (&self.request.order, self.request.marker_of_target());
            let marks: Vec<Mark> = (0..answer.items.len()).map(|item| answer.mark(order, marker, item)).collect();
            if self.begins_again(*slice, &marks).await? {
                return self.asker.send(asked, &self.request.paging, |_| true).await;
            }
        }
        Ok(pairs)
    }

    /// Reads the beginning of the list, if an answer with these marks may give it although its slice is elsewhere.
    /// Returns whether the answer is to be requested again.
    pub(super) async fn begins_again(&mut self, slice: Slice, marks: &[Mark]) -> Result<bool, Stop> {
        let (order, marker) = (&self.request.order, self.request.marker_of_target());
        let last = self.page.views.last().map_or(&[][..], |view| view.marks(order, marker));
        let is_known = |mark: &Mark| last.contains(mark);
        let passed = match &self.request.target.position {
            Position::AfterMarks(around) => &around.before[..],
            _ => &[],
        };
        // New items after a short answer, beside items that were served, or beyond the total are suspected too: the list
        // may have other first items by now. Regression:
        // `crates/sim/regressions/a-list-that-begins-again-with-other-items.txt`.
        let is_beyond = self.asker.ledger.total().is_some_and(|total| slice.begins().0 >= total);
        let is_suspected = self.facts.was_short || is_beyond || marks.iter().any(|mark| passed.contains(mark));
        let is_elsewhere = |first| !is_suspected && !marks.contains(&first);
        if slice.begins().0 == 0 || self.facts.walk.first.is_some_and(is_elsewhere) || marks.iter().all(is_known) {
            return Ok(false);
        }
        self.asker.searching = true;
        let beginning = self.asker.read_beginning(slice).await?;
        let Some(beginning) = beginning else { return Ok(false) };
        if !beginning.items.is_empty() {
            let mark = beginning.mark(&self.request.order, self.request.marker_of_target(), 0);
            self.facts.walk.first = Some(mark);
        }
        Ok(self.facts.walk.first.is_some_and(|first| marks.contains(&first)))
    }

    /// Ends a page whose place can't be found. A page that has taken items is first begun anew, once, if the budget has
    /// a request left. Otherwise the page is refused, or served by its offset and flagged, as the route decides. A page
    /// at the start or the end of the list, or one that is flagged already, is always refused.
    pub(super) fn lost(&mut self) -> MarkHalt {
        if self.page.has_items() && self.effort.restarts == 0 && self.asker.left() > 0 {
            // The items that were read last can't be found any more. No page has been served yet, so the page can begin
            // anew.
            self.effort.restarts += 1;
            self.set_out();
            return MarkHalt::Instead(MarkTurn::Window);
        }
        // Where rows are left out, offsets count more than the items, so the place is searched for once more by rows.
        if matches!(self.boundary, Landmark::Marks(_))
            && !self.request.paging.hidden
            && self.facts.was_short
            && self.asker.left() > AFTER_SEARCH_REQUESTS
        {
            Arc::make_mut(&mut self.request.paging).hidden = true;
            self.set_out();
            return MarkHalt::Instead(MarkTurn::Window);
        }
        let nearest = Offset(match self.asker.ledger.total() {
            Some(total) if total <= self.stand.nearest => total.saturating_sub(u64::from(self.request.limit)),
            _ => self.stand.nearest,
        });
        if !self.request.flags()
            || self.findings.flagged.is_some()
            || matches!(self.boundary, Landmark::Start | Landmark::Tail(_))
        {
            return Refusal::PositionLost { nearest }.into();
        }
        self.findings.flagged = Some(Unproven::Position);
        self.findings.drift = None;
        self.request.target.position = Position::At(nearest);
        self.set_out();
        MarkHalt::Instead(MarkTurn::Window)
    }

    /// Makes the page of the items read so far. A flagged page without items is refused, unless the client requested an
    /// offset.
    pub(super) fn finish(&mut self, cut_off: bool) -> Result<Page, MarkHalt> {
        if self.findings.flagged.is_some() && !self.page.has_items() && !self.findings.by_offset {
            // A page by offset replaces a page whose place can't be found. It must not end the list, because no answer
            // shows that the list ends.
            return Err(Refusal::PositionLost { nearest: Offset(self.stand.nearest) }.into());
        }
        Ok(self.assemble(cut_off))
    }
}
