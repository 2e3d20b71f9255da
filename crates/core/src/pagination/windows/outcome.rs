//! The three outcomes of a page: served, flagged, or refused.

use super::{
    KeyHalt, KeyNext, KeyReader, KeyTurn, asks_by_offset,
    key_seam::{Held, KeySeam},
};
use crate::pagination::{
    judge::draft::Ground,
    judge::draft::{Cut, Verdict},
    judge::evidence::Evidence,
    limits::RUN_PAIRS,
    page::{Page, Unproven},
    paging::{Family, Sizes},
    plan,
    position::Position,
    refusal::Refusal,
    unsorted::{Cause, Unsorted},
    window::{Offset, Slice},
};

impl KeyReader<'_> {
    /// Makes the page of the items taken so far, which is complete or `cut_off` by the budget. A flagged page without
    /// items is refused, unless the client requested an offset.
    pub(super) fn finish(&mut self, cut_off: bool) -> Result<Page, KeyHalt> {
        if self.draft.is_nothing_by_offset() && !asks_by_offset(&self.request) && self.flagged.is_some() {
            // A page by offset replaces a page whose place can't be found. It must not end the list, because no answer
            // shows that the list ends.
            return Err(Refusal::PositionLost { nearest: self.nearest() }.into());
        }
        // After a contradiction that was repeated, the search may yet have found a place without another one. Test:
        // `a_place_that_a_search_finds_after_a_contradiction_is_not_proven`.
        if self.contradictions.are_repeated() && self.flagged.is_none() {
            return Err(self.lost());
        }
        let verdict = Verdict {
            unproven: self.flagged,
            cut_off,
            profile: self.asker.sizes.profile,
            honoured: self.asker.ledger.honoured().by_walk(),
        };
        // Two sides of a gap are joined without the items between them that come before the boundary. Regression:
        // `crates/sim/regressions/a-gap-around-the-item-of-the-place.txt`.
        if let Position::After(anchor) | Position::Before(anchor) = &self.request.target.position
            && self.request.paging.leaves_out
            && self.seen.shows(&self.request.order, Some(anchor))
        {
            self.draft.link_back();
        }
        let mut page = match self.draft.finish(verdict) {
            Ok(page) => page,
            Err(unsorted) => return Err(self.contradicted(unsorted)),
        };
        if let Some(doubt) = self.claimed.doubt.filter(|_| page.next.is_none()) {
            page.doubt_end(doubt);
        }
        self.carry(&mut page);
        Ok(page)
    }

    /// Ends a page whose place can't be found: refused, or begun again by its offset and flagged.
    pub(super) fn lost(&mut self) -> KeyHalt {
        let nearest = self.nearest();
        self.refuse_or_flag(Unproven::Position, false, Refusal::PositionLost { nearest })
    }

    /// Returns whether pages of a fixed size are short in the middle of the list, although the dialect doesn't say that
    /// rows are left out.
    fn lacks_rows(&self) -> bool {
        let paging = &self.request.paging;
        let shows_gap = paging.leaves_out || self.seen.shows_gap() || self.walk_facts().rows_left_out;
        matches!(paging.sizes, Sizes::Fixed(_)) && !paging.hidden && shows_gap
    }

    /// Ends a page next to a run of ties that is longer than an answer, unless one of two attempts is left. A suspected
    /// cap, which may only have made the run seem too long, is dropped once. Two neighbouring slices of the whole list
    /// may contain the run; `keyset::reading` reads runs of filtered lists itself.
    pub(super) fn tie_run(&mut self, cut: &Cut, seen: Option<(Slice, Box<Evidence>)>) -> KeyNext {
        self.asker.searching = true;
        // A cap that isn't in the profile is only a suspicion. Test:
        // `a_size_that_answers_say_they_used_is_not_doubted_for_a_run_of_ties`.
        if self.asker.sizes.assumed_cap != self.asker.sizes.profile.cap
            && self.asker.sizes.assumed_cap.is_some()
            && !(self.seams.uncapped || self.seams.one_size)
        {
            (self.asker.sizes.assumed_cap, self.seams.uncapped) = (None, true);
            self.cut = Some(cut.clone());
            return Ok(KeyTurn::Window);
        }
        if self.seams.vain < RUN_PAIRS
            && self.ground == Ground::Whole
            && !self.request.paging.hidden
            && let Some((earlier, later)) = plan::pair(&self.request.paging, self.asker.sizes.assumed_cap, &cut.needed)
        {
            self.seams.vain += 1;
            return Ok(KeyTurn::Seam(match seen {
                Some((slice, view)) if slice == earlier => KeySeam::beside(earlier, Held::Here(view), vec![later]),
                Some((slice, view)) if slice == later => KeySeam::beside(later, Held::Here(view), vec![earlier]),
                _ => KeySeam::new(earlier, vec![later]),
            }));
        }
        if self.asker.ledger.total().is_some_and(|total| total >= cut.needed.end)
            && cut.right
            && self.ending.doubted.is_some()
        {
            // Only a count suggests that the run continues, but no item came, so the place counts as lost.
            return Err(self.lost());
        }
        if cut.right && plan::reach_of(&self.request.paging).is_some_and(|reach| cut.needed.end > reach) {
            return Err(Refusal::TooDeep.into());
        }
        // No answer contains the whole run, so none shows which of its items were served. Test:
        // `a_tie_run_longer_than_any_answer_is_refused_as_a_tie_run`.
        Err(self.run_too_long())
    }

    /// Ends a page next to a run of ties that no answer shows as a whole: refused, or begun again by its offset and
    /// flagged. If a single answer would hold every run that was seen, or pages of a fixed size are short in the middle,
    /// the list has changed between the answers, or leaves out rows: the next attempt may find the place, and the log
    /// names the dialect's word. Tests: `a_list_without_long_runs_is_not_refused_for_a_run`,
    /// `pages_that_lack_rows_are_not_refused_for_a_run`.
    pub(super) fn run_too_long(&mut self) -> KeyHalt {
        let (run, held) = (self.asker.sizes.profile.run, self.asker.ledger.honoured().by_page());
        let held_by_one = self.request.paging.family == Family::Offset && run.saturating_add(2) <= held;
        if held_by_one || self.lacks_rows() {
            return self.lost();
        }
        let nearest = self.nearest();
        self.refuse_or_flag(Unproven::TieRun, true, Refusal::TieRun { nearest })
    }

    /// Ends a page whose items contradict the declared order or can't be compared.
    pub(super) fn contradicted(&mut self, unsorted: Unsorted) -> KeyHalt {
        if unsorted.cause == Cause::Text {
            // `lowered` then reads the page by marks, which proves more than a page by offset.
            return Refusal::Unsorted(unsorted).into();
        }
        self.refuse_or_flag(Unproven::Order, true, Refusal::Unsorted(unsorted))
    }

    /// Refuses a page that can't be proven, or begins it again by its offset and flagged, as the route decides. If
    /// `unchecked`, its keys can't be used, and the new page takes the items as received.
    fn refuse_or_flag(&mut self, reason: Unproven, unchecked: bool, refusal: Refusal) -> KeyHalt {
        // A page that is already read unchecked has no weaker form in which it could be served. Tests:
        // `a_place_that_is_not_found_is_flagged_where_the_route_says_so`,
        // `items_that_contradict_the_order_are_flagged_where_the_route_says_so`.
        if !self.request.flags() || self.draft.is_unchecked() {
            return refusal.into();
        }
        let unchecked = unchecked || self.flagged == Some(reason);
        self.flagged = Some(reason);
        let nearest = self.nearest();
        self.draft.restart_at(nearest.0, unchecked);
        self.progressed();
        KeyHalt::Instead(KeyTurn::Window)
    }

    /// Returns the offset at which a page is served by offset instead: the expected place of the cursor, but never
    /// after the end that a total or an answer shows. An end that only an answer has shown counts as no farther than
    /// the items seen. Test: `a_refusal_names_a_near_place_in_the_list`.
    pub(super) fn nearest(&self) -> Offset {
        let nearest = self.draft.nearest();
        // A total that answers contradict still names a nearer place than the cursor. Regressions:
        // `crates/sim/regressions/a-nearest-place-by-a-contradicted-total.txt`, `…/a-nearest-place-of-a-shorter-list.txt`.
        let counted = self.seen.newest_total().filter(|total| total.exact).map(|total| total.value);
        let seen = match (self.ending.seen, self.ending.seen_to) {
            (Some(end), seen_to) if seen_to > 0 => Some(end.min(seen_to)),
            (end, _) => end,
        };
        let shown = self.seen.shown_end();
        let end = self.asker.ledger.total().or_else(|| seen.into_iter().chain(counted).chain(shown).min());
        Offset(match end {
            // The list has become shorter than the place, so its last page is the nearest. Test:
            // `a_value_that_is_gone_is_refused_with_a_place_in_the_list`.
            Some(end) if end <= nearest => end.saturating_sub(u64::from(self.request.limit)),
            _ => nearest,
        })
    }
}
