//! The use of an answer for a page. If the answer proves the boundary, the page takes its items; otherwise the answer
//! shows where to search for the boundary.

use std::{borrow::Cow, cmp::Ordering, collections::HashSet};

use super::super::evidence::{Evidence, Stand, Unplaced};
use super::{Boundary, Cut, Draft, Ground, Progress, Taken};
use crate::pagination::{
    direction::Side,
    position::Anchor,
    rows,
    rules::{Rule, holds},
    unsorted::Unsorted,
};

/// The place of a boundary among the items of a view.
#[derive(Clone, Copy, Debug)]
struct BoundaryPlace {
    /// The number of the view's items that come before the boundary.
    place: usize,
    /// The range of places around which the answer must show both sides: the boundary only, or the whole run of ties
    /// around it.
    low: usize,
    high: usize,
}

/// A boundary next to an anchor, as an answer shows it.
#[derive(Debug)]
enum SeenBoundary {
    /// The answer shows both sides of the boundary. If `assumed`, one of them is assumed, not seen.
    Both { at: BoundaryPlace, assumed: bool },
    /// The answer doesn't contain the boundary, which is on this side of the answer.
    Missed(Side),
    /// An edge of the answer cuts the run of ties around the boundary.
    Cut(Cut),
    /// The items don't show the place of the boundary. The side is the one on which to look for it; `None` if it is
    /// expected among these items.
    Apart(Option<Side>),
}

impl Draft {
    /// Takes those items of an answer that belong to the page, if the answer proves this.
    ///
    /// # Errors
    ///
    /// [`Unsorted`] if the answer can't be compared with the boundary, or contains an id twice.
    pub(in crate::pagination) fn take(&mut self, view: Evidence) -> Result<Progress, Unsorted> {
        if self.wanted.ground == Ground::Whole {
            // Items beyond an exact total contradict the total, which is then dropped. An empty answer contradicts no
            // total. Test: `a_total_below_the_number_of_items_is_not_reported`.
            let seen = view.shown_to();
            self.total = view.answer.total.or(self.total).filter(|total| total.value >= seen || !total.exact);
        }
        match &self.next.boundary {
            Boundary::Start => {
                if !view.from_start {
                    return Ok(Progress::Missed(Box::new(view), Side::Before));
                }
                let progress = self.take_forward(view, 0)?;
                self.more.before = Some(false);
                Ok(progress)
            }
            Boundary::After { anchor, whole } => {
                self.take_beside(self.seen_beside(&view, anchor, *whole, true)?, view, true)
            }
            Boundary::Before { anchor, whole } => {
                self.take_beside(self.seen_beside(&view, anchor, *whole, false)?, view, false)
            }
            Boundary::At(offset) => self.take_at(view, *offset),
            Boundary::Tail => self.take_tail(view),
        }
    }

    /// Finds the boundary next to an anchor among the items of an answer.
    fn seen_beside(
        &self,
        view: &Evidence,
        anchor: &Anchor,
        whole: bool,
        forward: bool,
    ) -> Result<SeenBoundary, Unsorted> {
        let stand = match view.stand(&self.wanted.order, anchor) {
            Ok(stand) => stand,
            Err(Unplaced::Apart { left, right }) => {
                return Ok(SeenBoundary::Apart(self.side_beyond(view, forward, left, right)));
            }
            Err(Unplaced::Incomparable) => return Err(rows::strange_anchor(&view.answer, &self.wanted.order, anchor)),
        };
        let mut at = BoundaryPlace::beside(&stand, whole, forward);
        let count = view.len();
        let nothing_follows = count == 0 && view.end.ends && !holds(Rule::StatusesOnlyAim);
        // The rule: the answer begins at or before the anchor (or the run around it), and extends beyond. The end of
        // the list is beyond every anchor. Test: `a_place_at_the_end_is_found_after_all_before_it_is_gone`.
        let (mut begins, mut reaches) =
            (at.low > 0 || view.from_start || nothing_follows, at.high < count || view.end.ends);
        let mut assumed = false;
        if view.assumed.left && (count > 0 || view.end.ends) {
            assumed |= !std::mem::replace(&mut begins, true);
        }
        if view.assumed.right && count > 0 {
            assumed |= !std::mem::replace(&mut reaches, true) || at.high == count;
        }
        if let Some(place) = self.unproven_place(view, anchor, forward) {
            (at, begins, reaches) = (BoundaryPlace::at(place), true, true);
        }
        Ok(if begins && reaches {
            SeenBoundary::Both { at, assumed }
        } else if count == 0 || at.high == 0 {
            SeenBoundary::Missed(Side::Before)
        } else if at.low == count {
            SeenBoundary::Missed(Side::After)
        } else {
            let needed = view.offset(at.low).saturating_sub(1)..view.offset(at.high + 1);
            SeenBoundary::Cut(Cut { needed, left: !begins, right: !reaches })
        })
    }

    /// Takes the items after or before an anchor, if the answer shows both sides of the boundary.
    fn take_beside(&mut self, seen: SeenBoundary, mut view: Evidence, forward: bool) -> Result<Progress, Unsorted> {
        let (at, assumed) = match seen {
            SeenBoundary::Both { at, assumed } => (at, assumed),
            SeenBoundary::Missed(side) => return Ok(Progress::Missed(Box::new(view), side)),
            SeenBoundary::Cut(cut) => return Ok(Progress::Cut(cut, Box::new(view))),
            SeenBoundary::Apart(side) => return Ok(Progress::Apart(Box::new(view), side)),
        };
        if self.wanted.ground == Ground::Filtered && at.high == 0 {
            // No item is taken to pass the filter between the anchor and the first item: that is trusted, not seen.
            view.checked = true;
        }
        // Only the end of the list closes the anchor's own run, so the run is no more certain than the end is.
        view.checked |= at.high == view.len() && view.end.checked;
        self.weakness.assumed |= assumed;
        self.note_drift(&view, at.place);
        self.take_from(view, at.place, forward)
    }

    /// Takes the items on one side of a proven boundary, and notes whether items exist on its other side.
    fn take_from(&mut self, view: Evidence, place: usize, forward: bool) -> Result<Progress, Unsorted> {
        if forward {
            let more_before = place > 0 || self.wanted.ground == Ground::Filtered;
            let progress = self.take_forward(view, place)?;
            if !self.views.is_empty() && self.more.before.is_none() {
                self.more.before = Some(more_before);
            }
            Ok(progress)
        } else {
            let more_after = view.len() > place;
            let progress = self.take_backward(view, place)?;
            if !self.views.is_empty() && self.more.after.is_none() {
                self.more.after = Some(more_after);
            }
            Ok(progress)
        }
    }

    /// Returns the edge of the list that a page from this answer would rely on: the start if all items of the answer
    /// come after the anchor, the end if all come before it. `None` if an item ties with the anchor, or if items are on
    /// both sides of it. Also `None` for every answer after the page's first one, and for pages that are unchecked or
    /// filtered.
    pub(in crate::pagination) fn leans_on_an_edge(&self, view: &Evidence) -> Option<Side> {
        let (Boundary::After { anchor, .. } | Boundary::Before { anchor, .. }) = &self.next.boundary else {
            return None;
        };
        if !self.views.is_empty() || self.wanted.unchecked || self.wanted.ground == Ground::Filtered {
            return None;
        }
        if !view.from_start && !view.end.ends {
            return None;
        }
        let stand = view.stand(&self.wanted.order, anchor).ok()?;
        match (stand.run.start, stand.run.end) {
            (0, 0) if view.from_start => Some(Side::Before),
            (start, _) if start == view.len() && view.end.ends => Some(Side::After),
            _ => None,
        }
    }

    /// Returns whether an answer seems to begin the list after an item that the page has taken: everything up to that
    /// item would have been removed meanwhile.
    pub(in crate::pagination) fn restarts_at(&self, view: &Evidence) -> bool {
        view.from_start
            && !self.views.is_empty()
            && matches!(&self.next.boundary, Boundary::After { anchor, .. }
                if view.stand(&self.wanted.order, anchor).is_ok_and(|stand| stand.run == (0..0)))
    }

    /// Returns whether all items of an answer come before the boundary's anchor, and none ties with it. Also true if
    /// the items don't show the anchor's place. False for an empty answer or a boundary without an anchor.
    pub(in crate::pagination) fn is_after(&self, view: &Evidence) -> bool {
        matches!(self.next.boundary, Boundary::After { .. } | Boundary::Before { .. })
            && !view.is_empty()
            && self.stands_beyond(view, Side::After)
    }

    /// Returns whether all items of an answer come before the boundary's anchor (`Side::After`) or after it
    /// (`Side::Before`). The boundary would then be at the answer's edge on that side. Also true if the boundary has no
    /// anchor, or if the items don't show on which side of that edge the anchor is.
    pub(in crate::pagination) fn stands_beyond(&self, view: &Evidence, side: Side) -> bool {
        let (Boundary::After { anchor, .. } | Boundary::Before { anchor, .. }) = &self.next.boundary else {
            return true;
        };
        let stands = |place: Option<usize>| {
            let place = place.filter(|place| *place < view.len())?;
            rows::relate(&view.answer, &self.wanted.order, view.item(place), anchor).map(|relation| relation.strong)
        };
        match (view.stand(&self.wanted.order, anchor), side) {
            (Ok(stand), Side::After) => stand.run.start == view.len(),
            (Ok(stand), Side::Before) => stand.run.end == 0,
            // The items don't show the anchor's place, but the item at the edge may show that the anchor isn't beyond
            // it. Regression: `crates/sim/regressions/a-last-page-that-was-doubted-in-vain.txt`.
            (Err(_), Side::After) => stands(view.len().checked_sub(1)) != Some(Ordering::Greater),
            (Err(_), Side::Before) => stands(Some(0)) != Some(Ordering::Less),
        }
    }

    /// Returns the side of an answer on which to look for an anchor whose place the answer's items don't show. The
    /// anchor may be beyond the left edge if `left`, and beyond the right edge if `right`. If both are true, its
    /// expected offset decides; `None` if that offset is within the answer.
    fn side_beyond(&self, view: &Evidence, forward: bool, left: bool, right: bool) -> Option<Side> {
        let believed = self.next.offset.saturating_sub(u64::from(forward));
        match (left, right) {
            (true, false) => Some(Side::Before),
            // The anchor's run continues beyond the only open edge, so the anchor is looked for there. Test:
            // `a_row_of_a_run_whose_ids_do_not_compare_is_looked_for_along_the_run`.
            (false, true) => Some(Side::After),
            (true, true) if believed < view.offsets.begins => Some(Side::Before),
            // A silent cap may keep the anchor out of the answer, so the anchor is looked for where it was. Test:
            // `a_value_that_a_silent_cap_kept_out_of_an_answer_is_looked_for_where_it_was`.
            (true, true) if believed >= view.reaches() => Some(Side::After),
            _ => None,
        }
    }

    /// Returns the place of the boundary if a simulation has switched off a rule: by the anchor's id without
    /// [`Rule::KeysDecide`], by the expected offset without [`Rule::SeamsAreProven`]. `None` while both rules are in
    /// force.
    fn unproven_place(&self, view: &Evidence, anchor: &Anchor, forward: bool) -> Option<usize> {
        // If the item with the anchor's id has other keys now, it has moved elsewhere, and this place is wrong:
        // `regressions/without-keys-decide.txt`.
        if !holds(Rule::KeysDecide)
            && let Some(place) = (0..view.len())
                .find(|place| view.anchor(&self.wanted.order, *place).is_some_and(|item| item.id == anchor.id))
        {
            return if forward { Some(place + 1).filter(|next| *next < view.len()) } else { Some(place) };
        }
        // The list may change between two answers of a page, and then this place is wrong:
        // `regressions/without-seams-are-proven.txt`.
        if !holds(Rule::SeamsAreProven) && !self.views.is_empty() {
            let place = usize::try_from(self.next.offset.checked_sub(view.offsets.begins)?).ok()?;
            return (place < view.len()).then_some(place);
        }
        None
    }

    /// Takes the items from an offset on, whatever items are there.
    fn take_at(&mut self, mut view: Evidence, offset: u64) -> Result<Progress, Unsorted> {
        // A page by offset may begin in the middle of a run, so the page can use items of a run that the edge cuts.
        view.arranged.usable.start = 0;
        if self.more.before.is_none() {
            self.more.before = Some(offset > 0);
        }
        let counted_out = view.answer.total.is_some_and(|total| total.exact && offset >= total.value);
        let is_past = offset >= view.reaches();
        // A page of a smaller size than was requested begins before the offset, and shows nothing about it. Test:
        // `a_page_of_a_smaller_size_is_not_served_as_the_requested_offset`.
        let elsewhere = offset < view.offsets.asked_to || view.falls_short;
        let may_hold = view.end.short || (!view.is_empty() && !view.end.ends && elsewhere);
        if is_past && may_hold && !counted_out {
            return Ok(Progress::Missed(Box::new(view), Side::After));
        }
        if is_past || counted_out {
            self.more.after = Some(false);
            return Ok(Progress::Done);
        }
        let place = (0..view.len()).find(|place| view.latest_offset(*place) >= offset).unwrap_or(view.len());
        if place >= view.len() {
            let counted = view.answer.total.map_or(0, |total| total.value);
            // All items of one empty answer may be hidden. The second empty answer ends the list, unless a count is
            // larger.
            self.skipped += u32::from(view.is_empty());
            if self.skipped > 1 && counted <= view.reaches() {
                self.more.after = Some(false);
                return Ok(Progress::Done);
            }
            // The items at the offset are hidden, so the page takes the items after them.
            (self.next.boundary, self.next.offset) = (Boundary::At(view.reaches()), view.reaches());
            return Ok(Progress::More);
        }
        self.take_forward(view, place)
    }

    /// Takes all items up to the end, if the answer ends the list or comes close to the end.
    fn take_tail(&mut self, view: Evidence) -> Result<Progress, Unsorted> {
        // An empty answer may end the list, but it shows none of the last items.
        if (view.end.ends && (!view.is_empty() || view.from_start)) || self.is_near_the_end(&view) {
            return self.take_forward(view, 0);
        }
        let side = if view.is_empty() { Side::Before } else { Side::After };
        Ok(Progress::Missed(Box::new(view), side))
    }

    fn is_near_the_end(&self, view: &Evidence) -> bool {
        match view.answer.total {
            _ if view.is_empty() => false,
            // A total below the items of its own answer names no end. Test:
            // `a_page_before_the_last_one_is_found_whatever_too_low_total_is_said`.
            Some(total) if total.exact && total.value >= view.shown_to() => {
                total.value <= view.reaches().saturating_add(self.wanted.limit as u64)
            }
            _ => view.end.short,
        }
    }

    fn take_forward(&mut self, view: Evidence, first: usize) -> Result<Progress, Unsorted> {
        if self.to_the_end && !self.views.is_empty() && !view.end.ends && !self.is_near_the_end(&view) {
            // The end is farther away than expected. It is searched for, because reading on to it page by page could
            // take too long.
            (self.next.boundary, self.more.before) = (Boundary::Tail, None);
            self.views.clear();
            self.taken.clear();
            return Ok(Progress::Missed(Box::new(view), Side::After));
        }
        let candidates = first.max(view.arranged.usable.start)..view.arranged.usable.end.max(first);
        let need = if self.to_the_end { usize::MAX } else { self.wanted.limit - self.taken.len() };
        let (accepted, looked_at) = self.accept(&view, candidates.clone(), need)?;
        let passed = looked_at.map_or(candidates.start, |place| place + 1);
        let done_here = passed == view.len() && view.end.ends;
        let more_after = if passed < view.len() { Some(true) } else { view.end.ends.then_some(false) };
        let cut_at_the_end = self.to_the_end && self.views.is_empty() && candidates.start > 0;
        if looked_at.is_none() && (!done_here || cut_at_the_end) && !(need == 0 && more_after.is_some()) {
            return Ok(if view.is_empty() {
                Progress::Missed(Box::new(view), Side::Before)
            } else {
                Progress::Cut(self.cut_forward(&view, first), Box::new(view))
            });
        }
        if self.to_the_end && self.views.is_empty() {
            self.more.before = if candidates.start == 0 && view.from_start {
                Some(false)
            } else {
                // If only a count places the answer at the very start, the count isn't trusted, and the start is read.
                // Test: `a_last_page_with_the_whole_list_has_no_previous_page`.
                Some(true).filter(|_| candidates.start > 0 || view.offsets.begins > 0)
            };
        }
        let is_full =
            !self.to_the_end && self.taken.len() + accepted.len() == self.wanted.limit && more_after.is_some();
        if passed > 0 && !done_here && !is_full {
            self.advance(&view, passed)?;
        }
        self.more.after = more_after;
        if done_here && view.end.checked && !view.hides {
            // Two statements agree that the list ends here, so a larger count includes rows that no client is shown.
            // Test: `an_end_with_a_count_that_stays_too_high_is_served_and_marked`.
            self.ended_at = Some(view.reaches());
        }
        // The items of the last run count only because the list ends, so they are no more certain than the end is.
        // Test: `pages_that_lean_on_a_checked_end_are_checked`.
        self.rest_on(&view, done_here || self.leans_on_the_end(&view, passed));
        self.weakness.assumed |= (done_here && view.assumed.any()) || view.assumes(accepted.iter().copied());
        let index = self.views.len();
        self.views.push(view);
        if self.to_the_end {
            self.give_way(index, &accepted);
        }
        self.taken.extend(accepted.into_iter().map(|place| Taken { view: index, place }));
        if self.to_the_end {
            return self.trim(done_here);
        }
        Ok(if done_here || is_full { Progress::Done } else { Progress::More })
    }

    /// Notes that the page relies on an answer, and, if `on_end`, on the end of the list that the answer shows.
    fn rest_on(&mut self, view: &Evidence, on_end: bool) {
        self.weakness.checked |= view.checked || (on_end && view.end.checked);
        // A page that relies on an assumed end isn't proven. Test:
        // `a_page_before_an_item_is_flagged_if_its_proof_assumes_the_end`.
        self.weakness.assumed |= on_end && view.assumed.right;
    }

    /// Returns whether the tie run of the last item before `passed` continues to the last item of the answer. Only the
    /// end of the list then proves the run whole.
    fn leans_on_the_end(&self, view: &Evidence, passed: usize) -> bool {
        let Some(last) = passed.checked_sub(1) else { return false };
        last + view.run_from(&self.wanted.order, last) as usize == view.len()
    }

    fn take_backward(&mut self, view: Evidence, end: usize) -> Result<Progress, Unsorted> {
        let candidates = view.arranged.usable.start.min(end)..end.min(view.arranged.usable.end);
        let need = self.wanted.limit - self.taken.len();
        let (accepted, looked_at) = self.accept(&view, candidates.clone().rev(), need)?;
        let passed = looked_at.unwrap_or(candidates.end);
        let done_here = passed == 0 && view.from_start;
        let more_before = if passed > 0 { Some(true) } else { view.from_start.then_some(false) };
        if looked_at.is_none() && !done_here && !(need == 0 && more_before.is_some()) {
            return Ok(Progress::Cut(self.cut_backward(&view, end), Box::new(view)));
        }
        self.more.before = more_before;
        // If all items come before the anchor, only the end of the list shows that no item is between them and the
        // anchor.
        self.rest_on(&view, end == view.len() || self.leans_on_the_end(&view, end));
        self.weakness.assumed |= view.assumes(accepted.iter().copied());
        let index = self.views.len();
        self.views.push(view);
        // Even a page that has reached the start may be continued, if its end is refuted: then an item that came between two
        // taken ones must not be taken before both. An answer of which no item comes before the boundary doesn't move it.
        // Regressions: `crates/sim/regressions/a-last-page-into-which-items-come.txt`,
        // `…/a-page-back-to-a-start-without-items.txt`.
        if passed < self.views[index].len() && (looked_at.is_some() || !done_here) {
            self.retreat(Taken { view: index, place: passed })?;
        }
        self.taken.splice(..0, accepted.into_iter().rev().map(|place| Taken { view: index, place }));
        let full = self.taken.len() == self.wanted.limit && self.more.before.is_some();
        Ok(if done_here || full { Progress::Done } else { Progress::More })
    }

    /// Returns the run that continues after an answer which proves the boundary. If the boundary is after an anchor and
    /// the answer has items before it, the boundary moves to the place after all ties of the anchor. The answer shows
    /// all these ties, so none needs to be read again.
    fn cut_forward(&mut self, view: &Evidence, first: usize) -> Cut {
        let begins = view.offset(first);
        if let Boundary::After { whole, .. } = &mut self.next.boundary
            && first > 0
        {
            (*whole, self.next.offset, self.next.run) = (true, begins, 0);
            self.rest_on(view, self.leans_on_the_end(view, first));
        }
        let left = self.to_the_end && view.arranged.usable.start > 0;
        Cut { needed: begins.saturating_sub(1)..view.reaches() + 1, left, right: !view.end.ends }
    }

    /// Returns the run that continues before an answer: the mirror image of [`Draft::cut_forward`].
    fn cut_backward(&mut self, view: &Evidence, end: usize) -> Cut {
        let ends = view.offset(end);
        if let Boundary::Before { whole, .. } = &mut self.next.boundary
            && end < view.len()
        {
            (*whole, self.next.offset, self.next.run) = (true, ends, 0);
            self.rest_on(view, self.leans_on_the_end(view, end));
        }
        Cut { needed: view.offsets.begins.saturating_sub(1)..ends + 1, left: true, right: false }
    }

    /// Keeps the last `limit` of the items taken up to the end. If there are fewer, the page continues backward.
    fn trim(&mut self, at_the_end: bool) -> Result<Progress, Unsorted> {
        let surplus = self.taken.len().saturating_sub(self.wanted.limit);
        if surplus > 0 {
            self.taken.drain(..surplus);
            self.more.before = Some(true);
        }
        if !at_the_end {
            return Ok(Progress::More);
        }
        self.to_the_end = false;
        match self.taken.first().copied() {
            Some(first) if self.more.before.is_none_or(|more| more && self.taken.len() < self.wanted.limit) => {
                self.retreat(first)?;
                self.more.before = None;
                Ok(Progress::More)
            }
            _ => Ok(Progress::Done),
        }
    }

    /// Returns the first `need` of these places that the page can take, and the last place looked at; `None` if there
    /// was no place to look at. An item whose id the page already has was moved between two answers, and is skipped.
    /// Test: `an_item_that_moves_on_between_two_answers_of_a_page_is_on_it_once`.
    fn accept(
        &self,
        view: &Evidence,
        places: impl Iterator<Item = usize> + Clone,
        need: usize,
    ) -> Result<(Vec<usize>, Option<usize>), Unsorted> {
        // If the list is read up to its end, the last items are kept, so `give_way` drops the earlier one of two equal
        // items.
        let taken = self.taken.iter().filter(|_| !self.to_the_end);
        if taken.clone().next().is_none() {
            // No item was taken before. If no two of the first `need` items have the same id, as is nearly always so,
            // all of them are taken.
            let fitting: Vec<usize> = places.clone().take(need).collect();
            // In a list that is sorted only by id, an answer in order can't contain an id twice.
            if self.wanted.order.strong.is_empty() && self.wanted.order.declared && !self.wanted.unchecked {
                let last = fitting.last().copied();
                return Ok((fitting, last));
            }
            let mut ids: Vec<_> = fitting.iter().filter_map(|place| view.id(&self.wanted.order, *place)).collect();
            ids.sort_unstable();
            if ids.windows(2).all(|pair| pair[0] != pair[1]) {
                let last = fitting.last().copied();
                return Ok((fitting, last));
            }
        }
        let had: HashSet<Cow<'_, [u8]>> =
            taken.filter_map(|taken| self.views[taken.view].id(&self.wanted.order, taken.place)).collect();
        let mut here = HashSet::with_capacity(need.min(view.len()));
        let mut accepted = Vec::with_capacity(need.min(view.len()));
        let mut looked_at = None;
        for place in places {
            if accepted.len() == need {
                break;
            }
            looked_at = Some(place);
            let id = view.id(&self.wanted.order, place);
            // Items without ids can't be distinguished, so each one is taken. Test:
            // `an_item_without_an_id_loses_no_other_of_a_flagged_walk`.
            let had_before = id.as_ref().is_some_and(|id| had.contains(id));
            let twice_here = id.is_some_and(|id| !here.insert(id));
            // An answer that contains an id twice mixes two states of the list, so it is refused. Test:
            // `an_id_that_comes_twice_in_an_answer_is_refused`.
            if twice_here && !self.wanted.unchecked {
                return Err(rows::twice(view.item(place)));
            }
            if !twice_here && !had_before {
                accepted.push(place);
            }
        }
        Ok((accepted, looked_at))
    }

    /// Drops items taken earlier whose ids are at these places of a later answer: they have moved toward the end.
    fn give_way(&mut self, view: usize, places: &[usize]) {
        let Self { views, wanted, taken, .. } = self;
        let here: HashSet<Cow<'_, [u8]>> =
            places.iter().filter_map(|place| views[view].id(&wanted.order, *place)).collect();
        taken.retain(|earlier| {
            views[earlier.view].id(&wanted.order, earlier.place).is_none_or(|id| !here.contains(&id))
        });
    }

    /// Moves the boundary to the place after the last item that comes before place `passed`.
    fn advance(&mut self, view: &Evidence, passed: usize) -> Result<(), Unsorted> {
        self.next.offset = view.offset(passed);
        if self.wanted.unchecked {
            self.next.boundary = Boundary::At(self.next.offset);
            return Ok(());
        }
        let whole = passed < view.len() && !view.ties(&self.wanted.order, passed - 1, passed);
        self.next.run = if whole { 0 } else { u64::from(view.run_through(&self.wanted.order, passed - 1)) };
        self.next.boundary = Boundary::After { anchor: self.anchor(view, passed - 1)?, whole };
        Ok(())
    }

    /// Moves the boundary to the place before an item that was taken.
    fn retreat(&mut self, before: Taken) -> Result<(), Unsorted> {
        let Taken { view, place } = before;
        let view = &self.views[view];
        let anchor = self.anchor(view, place)?;
        let whole = place > 0 && !view.ties(&self.wanted.order, place - 1, place);
        let run = if whole { 0 } else { u64::from(view.run_from(&self.wanted.order, place)) };
        self.next.offset = view.offset(place);
        self.next.run = run;
        self.next.boundary = Boundary::Before { anchor, whole };
        Ok(())
    }

    /// Notes by how many items the boundary's place in the page's first answer differs from the cursor's hint.
    fn note_drift(&mut self, view: &Evidence, place: usize) {
        if self.views.is_empty() && self.wanted.hint.offset.0 > 0 {
            let [found, hinted] =
                [view.offset(place), self.wanted.hint.offset.0].map(|offset| i64::try_from(offset).unwrap_or(i64::MAX));
            self.drift = Some(found - hinted).filter(|drift| *drift != 0);
        }
    }

    /// Returns the item at a place as an anchor, or [`Unsorted`] if no cursor can hold its keys.
    pub(super) fn anchor(&self, view: &Evidence, place: usize) -> Result<Anchor, Unsorted> {
        view.anchor(&self.wanted.order, place)
            .ok_or_else(|| rows::unkept(&view.answer, &self.wanted.order, view.item(place)))
    }
}

impl BoundaryPlace {
    /// Returns the place of a boundary next to an anchor, or next to all items that tie with it if `whole`.
    fn beside(stand: &Stand, whole: bool, forward: bool) -> Self {
        let at = match (whole, forward) {
            (true, true) => Self::at(stand.run.end),
            (true, false) => Self::at(stand.run.start),
            (false, true) => Self::at(stand.through),
            (false, false) => Self::at(stand.before),
        };
        match !whole && stand.loose {
            true => Self { low: stand.run.start, high: stand.run.end, ..at },
            false => at,
        }
    }

    fn at(place: usize) -> Self {
        Self { place, low: place, high: place }
    }
}
