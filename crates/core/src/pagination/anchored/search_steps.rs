//! The steps of a search for marks that aren't at their expected places.

use super::{
    Landmark, MarkHalt, MarkNext, MarkProgress, MarkReader, MarkTurn,
    search::{Covered, MarkSearch, Probe},
    sightings::Beside,
    view::View,
};
use crate::pagination::{
    direction::Way,
    judge::end::Witness,
    limits::{AFTER_SEARCH_REQUESTS, CLOSER_LOOKS, LEAST_CAP},
    paging::{Family, Sizes},
    plan::{self, MARGIN, Window},
    refusal::Refusal,
    slices::{SliceReader as _, Unasked},
    window::Slice,
};

impl MarkReader<'_> {
    /// Begins or continues to look for marks elsewhere, because those seen don't decide the place.
    pub(super) async fn unsettled(&mut self) -> MarkNext {
        let Landmark::Marks(sightings) = &self.boundary else { return Err(self.lost()) };
        let Some(view) = sightings.last() else { return Err(self.lost()) };
        // A silent cap may keep the marks out of an answer, so the cap is assumed and the window is requested again.
        // Test: `items_that_a_silent_cap_hides_from_a_search_are_asked_for_again`.
        if let Some(cap) = self.cap_of(view, self.stand.offset) {
            let is_elsewhere = view.slice.begins().0 > 0 || self.request.paging.family == Family::Offset;
            (self.asker.sizes.assumed_cap, self.caps.guessed) = (Some(cap), true);
            if is_elsewhere {
                return Ok(MarkTurn::Window);
            }
        }
        if self.effort.closer > 0 {
            return self.look_beside().await;
        }
        if sightings.is_fresh() && self.request.paging.hidden && self.effort.misses == 0 {
            // The neighbours of the items that were read last may all be hidden, so the list beyond the answer is read
            // first.
            self.effort.misses += 1;
            let way = self.page.way();
            return self.look_beyond(way);
        }
        let (total, end) = (view.answer.total.map(|total| total.value), self.covered(view));
        // If the last answer was empty, the search begins at the last one that had items. This applies only to pages by
        // offset: under a silent cap, a page number means another page.
        let nearest = sightings.last_with_items().filter(|_| self.request.paging.family == Family::Offset);
        let begin = nearest.filter(|_| view.is_empty()).map_or(end, |view| self.covered(view));
        let mut search = MarkSearch::new(self.stand.offset, begin, u64::from(self.request.terms.search_items));
        if end.ends && end.from == end.to {
            search.believe_end(end.from);
        }
        if let Some(total) = total.filter(|_| self.request.paging.hidden) {
            // If items are hidden, empty answers don't show where the list ends, but the total does.
            search.believe_end(total.saturating_add(MARGIN));
        }
        if let (Some(now), Some(then)) = (total, self.hint.total)
            && now != then
            && !sightings.is_fresh()
        {
            // Items inserted before the place moved it by as many offsets, so the search also looks there. Test:
            // `a_place_that_moved_is_searched_for_also_where_only_cheap_proofs_are_wanted`.
            search.point(self.stand.offset.saturating_add(now).saturating_sub(then).min(now));
        }
        self.search = Some(search);
        self.asker.searching = true;
        if end.ends {
            self.unguess_cap();
        }
        self.look_elsewhere().await
    }

    /// Looks at one window of the search. Returns the next turn, or `None` if the search must continue with the next
    /// window.
    async fn look_at(&mut self, probe: Probe, slice: Slice) -> Result<Option<MarkTurn>, MarkHalt> {
        let mut wanted = slice;
        // The loop ends: it repeats only under a lower cap, and caps only fall.
        loop {
            let Some((slice, answer)) = self.send(vec![wanted]).await?.pop() else { return Err(self.lost()) };
            let view = self.view(slice, answer, Witness::None);
            let (covered, cap) = (self.covered(&view), self.cap_of(&view, probe.new));
            match self.read(view) {
                MarkProgress::Used(_) if self.page.is_done() => return Ok(Some(MarkTurn::Serve { cut_off: false })),
                MarkProgress::Used(passed) => return self.read_on(passed, false).await.map(Some),
                MarkProgress::Missed(_) | MarkProgress::Unsettled => {}
            }
            if let Landmark::Marks(sightings) = &self.boundary
                && sightings.begin_anywhere()
                && !self.request.paging.repeats_last_page
            {
                return Err(Refusal::Stuck.into());
            }
            if cap.is_some() {
                (self.asker.sizes.assumed_cap, self.caps.guessed) = (cap, true);
            } else if covered.ends {
                self.unguess_cap();
            }
            // Under a cap, another slice may cover the window, and is then requested.
            let falls_short = !covered.ends && !(covered.from..covered.to).contains(&probe.new);
            let again = self.slice_of(probe).filter(|again| (cap.is_some() || falls_short) && *again != slice);
            match again {
                Some(again) => wanted = again,
                None => {
                    if let Some(search) = &mut self.search {
                        search.saw(probe, covered);
                    }
                    return Ok(None);
                }
            }
        }
    }

    /// Returns the silent cap that a short answer shows; `None` if it shows none. An answer by offset shows a cap only
    /// if it ends before `offset`. A short page by number shows a cap wherever it ends: under a cap, every page but the
    /// first is a page of another size, so its slice must be requested again.
    fn cap_of(&self, view: &View, offset: u64) -> Option<u32> {
        let count = u32::try_from(view.len()).ok()?;
        let (honoured, cap) = (self.asker.ledger.honoured(), self.asker.sizes.assumed_cap);
        let least = honoured.by_walk().max(LEAST_CAP);
        let is_new = cap.is_none_or(|cap| cap > count) && count >= least && !self.caps.guessed;
        let falls_short = self.request.paging.family == Family::Page || view.reaches() <= offset;
        // The end of the list, not a cap, makes an answer short if the answer reaches the total. Test:
        // `a_short_answer_at_the_end_is_not_taken_for_a_cap`.
        let counted = view.answer.total.is_some_and(|total| total.value == view.reaches());
        let is_fixed = counted || matches!(self.request.paging.sizes, Sizes::Fixed(_));
        (falls_short && view.short && !view.is_empty() && is_new && !is_fixed).then_some(count)
    }

    /// Drops a guessed cap, because the end of the list made the answer short. The cap is kept if an answer of the walk
    /// has filled a size at least as large.
    fn unguess_cap(&mut self) {
        if self.caps.guessed && self.asker.sizes.assumed_cap > Some(self.asker.ledger.honoured().by_walk()) {
            (self.asker.sizes.assumed_cap, self.caps.guessed) = (self.request.profile.cap, false);
        }
    }

    /// Returns the part of the list that an answer covers, as a search counts it.
    fn covered(&self, view: &View) -> Covered {
        let nothing = view.is_empty() && !self.request.paging.hidden;
        Covered { from: view.begins, to: view.reaches(), ends: view.ends || nothing, starts: view.from_start }
    }

    /// Looks at one window of the search after the other. If no window is left, or too few requests, the marks seen so
    /// far decide where the list is read once more.
    async fn look_elsewhere(&mut self) -> MarkNext {
        while self.asker.left() > AFTER_SEARCH_REQUESTS
            && let Some(probe) = self.search.as_mut().and_then(MarkSearch::next)
        {
            match self.slice_of(probe) {
                Some(slice) => {
                    if let Some(turn) = self.look_at(probe, slice).await? {
                        return Ok(turn);
                    }
                }
                None => {
                    if let Some(search) = &mut self.search {
                        search.give_up(probe);
                    }
                }
            }
        }
        let left = self.asker.left();
        let Landmark::Marks(sightings) = &mut self.boundary else { return Err(self.lost()) };
        match sightings.decide() {
            Some(decision) if left > 0 => {
                // Few marks are left, so the items around them are read once more, even beyond the reach of the search.
                // Test: `marks_that_a_search_missed_are_seen_beside_those_it_found`.
                (self.stand.offset, self.effort.closer) = (sightings.offset(&decision), 1);
                sightings.look_closer();
                Ok(MarkTurn::Window)
            }
            None if self.asker.left() > AFTER_SEARCH_REQUESTS => Err(self.lost()),
            _ => Err(self.unasked(Unasked::Spent)),
        }
    }

    /// Reads the deciding marks and their neighbours once more, after the search has covered the list within reach.
    /// Some marks may have been missed because the list changed meanwhile. Then the marks seen decide.
    async fn look_beside(&mut self) -> MarkNext {
        let Landmark::Marks(sightings) = &self.boundary else { return Err(self.lost()) };
        let (decision, beside) = (sightings.decide(), sightings.beside());
        if let Beside::Ask(way, edge, items) = beside
            && self.effort.closer < CLOSER_LOOKS
        {
            let (window, new) = match way {
                Way::Forward => (Window { from: edge, to: edge.saturating_add(items), before: 0, after: 0 }, edge),
                Way::Backward => {
                    let window = Window { from: edge.saturating_sub(items), to: edge, before: 0, after: 0 };
                    (window, edge.saturating_sub(1))
                }
            };
            if let Some(slice) = self.slice_showing(window, way, new) {
                self.effort.closer += 1;
                return Ok(MarkTurn::Ask(vec![slice.into()]));
            }
        }
        // If the upstream repeats its last page, the relative places of answers aren't known, so no neighbour counts as
        // seen.
        let seen = matches!(beside, Beside::Seen) && !self.request.paging.repeats_last_page;
        match decision.filter(|decision| !decision.open || seen) {
            Some(decision) => {
                let passed = self.find(&decision);
                if self.page.is_done() {
                    Ok(MarkTurn::Serve { cut_off: false })
                } else {
                    self.read_on(passed, false).await
                }
            }
            None => Err(self.lost()),
        }
    }

    fn slice_of(&self, probe: Probe) -> Option<Slice> {
        self.slice_showing(probe.window, probe.way, probe.new)
    }

    /// Returns the request that shows most of a window and its new part; `None` if no request shows the new part.
    fn slice_showing(&self, window: Window, way: Way, new: u64) -> Option<Slice> {
        let paging = &self.request.paging;
        let plan = |window| plan::plan(paging, self.asker.sizes.assumed_cap, window, way, 1).into_iter().next();
        let shows = |slice: &Slice| (plan::reach(*slice).0..plan::reach(*slice).1).contains(&new);
        let unread = match way {
            Way::Forward => Window { from: new, ..window },
            Way::Backward => Window { to: new.saturating_add(1), ..window },
        };
        plan::within(paging, plan(window).filter(shows).or_else(|| plan(unread))?)
    }
}
