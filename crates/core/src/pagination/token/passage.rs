//! The passage of a page through upstream pages, one after the other: the items that it takes from each, and the point
//! at which it is full or stuck.

use std::{cmp::Ordering, collections::HashSet, ops::Range};

use super::{
    TakenItems, TokenPage,
    chain::{Around, PlaceAmid},
    circle,
};
use crate::pagination::{
    judge::{
        evidence,
        token_seams::TakenItem,
        upstream_page::{Asked, Basis, UpstreamPage},
    },
    limits::IDLE_PAGES,
    mark::Mark,
    page::Unproven,
    paging::Sizes,
    position::{Anchor, Marks, PlaceInPage, Position},
    refusal::Refusal,
    rows,
    window::Offset,
};

/// The farthest place that the upstream pages have reached.
#[derive(Debug)]
pub(super) struct Reached {
    /// The last item there; `None` if the order isn't declared.
    last: Option<Anchor>,
    /// The hash that distinguishes the upstream page from others; `None` if keys do that.
    hash: Option<u64>,
}

impl TokenPage<'_> {
    /// Decides on a page for which it is unknown which ties were served: flags the page, or returns the refusal.
    fn cut_by_ties(&mut self) -> Result<(), Refusal> {
        if !self.may_flag() {
            return Err(Refusal::TieRun { nearest: Offset(0) });
        }
        self.findings.flagged = Some(Unproven::TieRun);
        Ok(())
    }

    /// Takes items from the next upstream page, after skipping those up to the last item passed.
    pub(super) fn go_through(&mut self, upstream_page: UpstreamPage) -> Result<(), Refusal> {
        let from = match &self.place.anchor {
            Some(anchor) if self.is_keyed => {
                match upstream_page.passed(
                    self.way,
                    &self.request.order,
                    anchor,
                    self.place.run,
                    self.begins_at(&upstream_page, anchor),
                ) {
                    Some(passed) => {
                        // Some items of the run with which this upstream page begins may have been served, so the page
                        // is refused or flagged. Tests: `ties_that_a_later_page_begins_with_may_have_been_served`,
                        // `ties_of_an_answer_that_was_asked_for_again_may_have_been_served`.
                        if matches!(passed.basis, Basis::Guess { .. })
                            || (passed.basis == Basis::Unseen && self.is_asked_again(&upstream_page))
                        {
                            self.cut_by_ties()?;
                        }
                        passed.count
                    }
                    None => {
                        let strange = rows::strange_anchor(upstream_page.answer(), &self.request.order, anchor);
                        self.contradicted(strange)?;
                        0
                    }
                }
            }
            _ => self.passed_by_marks(&upstream_page),
        };
        // An item inserted just now may make one upstream page lead back, but a list whose tokens lead in a circle does
        // so repeatedly. Test: `a_list_that_goes_round_is_refused_before_anything_comes_twice`.
        if !upstream_page.is_empty() {
            self.advance.idle = if self.stands_still(&upstream_page, from) { self.advance.idle + 1 } else { 0 };
        }
        if self.advance.idle > IDLE_PAGES {
            return Err(Refusal::Stuck);
        }
        self.take(upstream_page, from)
    }

    /// Returns whether the next upstream page begins at the place beyond an anchor. If the pages read so far don't
    /// extend to the anchor's ties, all these ties may be in the next page. An answer that was asked for again begins
    /// where the first one did. Test: `ties_of_an_answer_that_was_asked_for_again_may_have_been_served`.
    fn begins_at(&self, upstream_page: &UpstreamPage, anchor: &Anchor) -> bool {
        if self.is_asked_again(upstream_page) {
            return false;
        }
        let last = self.pages.read.iter().rev().find(|upstream_page| !upstream_page.is_empty());
        last.is_none_or(|last| last.reaches(self.way, &self.request.order, anchor) != Some(Ordering::Less))
    }

    /// Returns whether an upstream page begins where the one that was read last did, so some of its items may have been
    /// read already. The second answer may be larger: `regressions/ties-of-a-larger-answer-asked-for-again.txt`.
    pub(super) fn is_asked_again(&self, upstream_page: &UpstreamPage) -> bool {
        let asked = upstream_page.asked();
        let is_same = |last: &Asked| (&last.token, last.way) == (&asked.token, asked.way);
        self.pages.read.last().is_some_and(|last| !last.is_empty() && is_same(last.asked()))
    }

    /// Returns the number of items of the next upstream page that marks show to be passed; 0 if the marks don't show a
    /// place.
    fn passed_by_marks(&mut self, upstream_page: &UpstreamPage) -> usize {
        if let Some(passed) = self.place_farther_on(upstream_page) {
            // The taken items come before the place: an earlier page served them, or they were put there later. They
            // are therefore left out. Test: `items_served_long_ago_are_passed_over_if_later_pages_show_the_marks`.
            self.taken = TakenItems::default();
            self.place.trail =
                if self.request.target_marker.is_none() { self.place.around.passed.clone() } else { Vec::new() };
            return passed;
        }
        if self.place.trail.is_empty() {
            return 0;
        }
        let around = Around { passed: self.place.trail.clone(), ahead: Vec::new() };
        match around.find_from_start(&upstream_page.marks(&self.request.order, &self.request.marker, self.way)) {
            PlaceAmid::At { passed, stragglers } => {
                self.findings.stragglers = self.findings.stragglers.max(stragglers);
                passed
            }
            PlaceAmid::Nowhere | PlaceAmid::Disagreed => 0,
        }
    }

    /// Returns the place of the cursor in the next upstream page, if its marks and those of the pages read so far show
    /// that the page was begun at the wrong place; otherwise `None`. Single upstream pages may be too short to show
    /// enough marks.
    fn place_farther_on(&self, upstream_page: &UpstreamPage) -> Option<usize> {
        let (order, marker) = (&self.request.order, self.request.marker_of_target());
        if self.taken.items.is_empty() || self.place.around.passed.is_empty() {
            return None;
        }
        let next = upstream_page.marks(order, marker, self.way);
        next.iter().find(|mark| self.place.around.passed.contains(mark))?;
        let mut marks: Vec<Mark> =
            self.pages.read.iter().flat_map(|upstream_page| upstream_page.marks(order, marker, self.way)).collect();
        let gone_by = marks.len();
        marks.extend(next);
        let sighting = if self.place.around.ahead.is_empty() {
            self.place.around.find_from_start(&marks)
        } else {
            self.place.around.find(&marks, gone_by)
        };
        match sighting {
            PlaceAmid::At { passed, .. } => passed.checked_sub(gone_by).filter(|passed| *passed > 0),
            PlaceAmid::Nowhere | PlaceAmid::Disagreed => None,
        }
    }

    /// Returns whether an upstream page leads no farther than the pages before it. `passed` is the number of its items
    /// that were passed.
    fn stands_still(&self, upstream_page: &UpstreamPage, passed: usize) -> bool {
        let Some(reached) = &self.advance.farthest else {
            return false;
        };
        let order = &self.request.order;
        let same = || Some(upstream_page.hash(order, &self.request.marker)) == reached.hash;
        match reached.last.as_ref().filter(|_| self.is_keyed).map(|last| upstream_page.reaches(self.way, order, last)) {
            Some(Some(Ordering::Greater)) => false,
            Some(Some(Ordering::Less)) => true,
            Some(Some(Ordering::Equal)) if !self.may_go_round() => true,
            Some(_) => same(),
            None => passed == upstream_page.len() || same(),
        }
    }

    /// Takes the items that the page still needs from an upstream page, beginning with the item at place `from`.
    pub(super) fn take(&mut self, upstream_page: UpstreamPage, from: usize) -> Result<(), Refusal> {
        let (count, had) = (upstream_page.len(), self.taken.items.len());
        let number = self.pages.read.len();
        // No token leads here again, so the page takes all items. Test: `a_token_for_one_use_is_sent_once`.
        let whole = self.tokens().single_use;
        self.note_ids();
        let (mut ids_here, mut place) = (HashSet::new(), from.min(count));
        while place < count && (whole || self.taken.items.len() < self.limit()) {
            let index = self.way.index(place, count);
            let id = upstream_page.id(&self.request.order, index);
            // Items without ids always count as new, because several may look alike. An answer whose order is relied on
            // contains no id twice: it would be refused.
            let is_new = id.is_empty()
                || (self.is_unserved(&upstream_page, index, &id)
                    && !self.taken.earlier_ids.contains(&*id)
                    && (self.is_keyed || ids_here.insert(id)));
            if is_new {
                self.taken.items.push(TakenItem { upstream_page: number, index });
            }
            place += 1;
        }
        if self.is_keyed && !whole {
            place -= self.moved_on(&upstream_page, had, from.min(count)..place);
        }
        if !self.is_keyed {
            let last = self.taken.items[had..].iter().rev().take(Marks::PASSED).rev();
            self.place
                .trail
                .extend(last.map(|taken| upstream_page.mark(&self.request.order, &self.request.marker, taken.index)));
            self.place.trail.drain(..self.place.trail.len().saturating_sub(Marks::PASSED));
        }
        debug_assert!(from.min(count) <= place && place <= count, "items are gone through forward, within their page");
        debug_assert!(whole || self.taken.items.len() <= self.limit(), "a page has at most its limit");
        debug_assert!(self.place.trail.len() <= Marks::PASSED, "a cursor carries at most {} marks", Marks::PASSED);
        self.pages.consumed = place;
        self.circle.before = self.circle.now;
        let hash = self.may_go_round().then(|| upstream_page.hash(&self.request.order, &self.request.marker));
        if let Some(hash) = hash
            && self.taken.items.len() > had
        {
            self.circle.now = circle::count(self.circle.now, hash).ok_or(Refusal::Stuck)?;
        }
        // All items of the upstream page were already passed, so the list has changed. The page then has the budget of
        // a search.
        self.searching |= self.taken.items.is_empty() && count > 0;
        let last = self.note_passed(&upstream_page, from.min(count)..place)?;
        if count > 0 && self.advance.idle == 0 {
            self.advance.farthest = Some(Reached { last, hash });
        }
        self.pages.read.push(upstream_page);
        Ok(())
    }

    /// Adds the ids of the items taken from the upstream page that was read last.
    fn note_ids(&mut self) {
        let Some(before) = self.pages.read.len().checked_sub(1) else { return };
        let taken = self.taken.items.iter().rev().take_while(|taken| taken.upstream_page == before);
        let ids = taken.map(|taken| self.pages.read[before].id(&self.request.order, taken.index).into_owned());
        self.taken.earlier_ids.extend(ids);
    }

    /// Returns whether an item with this id isn't one that the cursor names, by its anchor or by a mark.
    fn is_unserved(&self, upstream_page: &UpstreamPage, index: usize, id: &[u8]) -> bool {
        // Among ties, the item that the cursor names may come after others that were inserted before it, and isn't
        // served again. Test: `an_item_inserted_before_the_last_of_a_run_does_not_bring_it_again`.
        if let Position::Token(place) = &self.request.target.position
            && let (true, PlaceInPage::Keys(anchor)) = (self.is_keyed && self.may_go_round(), &place.within)
            && upstream_page.is_anchor(&self.request.order, index, anchor)
        {
            return false;
        }
        let passed = &self.place.around.passed;
        passed.is_empty() || !passed.contains(&self.request.marker_of_target().mark(id))
    }

    /// Returns the number of items, counted from the last one passed, that are already on the page under keys that they
    /// no longer have: their ids came with earlier upstream pages. These items are left to the next page, which begins
    /// before them. Test: `an_item_that_moved_on_while_its_page_was_read_is_on_the_next_page_too`.
    fn moved_on(&self, upstream_page: &UpstreamPage, had: usize, places: Range<usize>) -> usize {
        let (order, count) = (&self.request.order, upstream_page.len());
        let is_taken =
            |place: &usize| self.taken.items[had..].iter().any(|taken| taken.index == self.way.index(*place, count));
        let last = places.clone().rev().find(is_taken);
        let anchor = last.and_then(|last| upstream_page.anchor(order, self.way.index(last, count)).ok());
        let Some(anchor) = anchor.as_ref().or(self.place.anchor.as_ref()) else { return 0 };
        let is_moved = |place: &usize| {
            !is_taken(place)
                && self.taken.earlier_ids.contains(&*upstream_page.id(order, self.way.index(*place, count)))
                && upstream_page.stands(self.way, order, *place, anchor) == Some(Ordering::Greater)
        };
        places.rev().take_while(is_moved).count()
    }

    /// Returns whether the upstream's tokens may lead round in a circle without being noticed. Keys show that a list
    /// moves on, except among ties that the upstream doesn't order.
    fn may_go_round(&self) -> bool {
        !self.is_keyed || evidence::loose(&self.request.order)
    }

    /// Notes the last of the items just passed. Returns the upstream page's last item; `None` if the order isn't
    /// declared or the page is empty.
    fn note_passed(&mut self, upstream_page: &UpstreamPage, places: Range<usize>) -> Result<Option<Anchor>, Refusal> {
        let (order, count) = (&self.request.order, upstream_page.len());
        if !self.is_keyed || count == 0 {
            return Ok(None);
        }
        debug_assert!(places.end <= count, "the items that went by are items of the page");
        let before = (self.place.anchor.as_ref(), self.place.run);
        if let Some((latest, run)) =
            upstream_page.last_of(self.way, order, places, before).map_err(Refusal::Unsorted)?
        {
            (self.place.anchor, self.place.run) = (Some(latest), run);
        }
        let last = upstream_page.anchor(order, self.way.index(count - 1, count));
        last.map(Some).map_err(Refusal::Unsorted)
    }

    /// Returns whether the page has all items that it can have.
    pub(super) fn is_full(&self) -> bool {
        let (taken, limit) = (self.taken.items.len(), self.limit());
        match self.request.paging.sizes {
            // A page that was read during the search for the place can't be requested again. Test:
            // `a_page_read_ahead_by_a_token_for_one_use_is_served`.
            _ if self.tokens().single_use && !self.pages.ahead.is_empty() => false,
            // Another upstream page would exceed the limit, and no upstream page must be left half read. The page is
            // therefore full before its limit. Test: `a_token_for_one_use_is_sent_once`.
            Sizes::Fixed(size) if self.tokens().single_use && taken > 0 => taken + size as usize > limit,
            _ => taken >= limit,
        }
    }
}
