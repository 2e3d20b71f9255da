//! Boundaries that no slice of the list shows from both sides. With pages of a fixed size, every multiple of the size
//! is such a boundary.
//!
//! A page gets across in one of three ways, the best first. The flipped list has its seams elsewhere, unless the size
//! divides the total: one answer of it then shows the boundary, and the page stays `exact`. Otherwise two neighbouring
//! slices show the boundary, and one of them is read again after the other: `checked`. If the route only wants proofs
//! that cost no request, the boundary is assumed to be at its expected place.

use std::ops::Range;

use super::{
    AskedSlice, KeyNext, KeyReader, KeyTurn, aim,
    key_seam::{Held, KeySeam},
};
use crate::pagination::{
    direction::{Side, Way},
    limits::FLIPPED_READINGS,
    paging::Family,
    plan::{self, Window},
    slices::SliceReader as _,
    window::Slice,
};

impl KeyReader<'_> {
    /// Returns the turn that requests the offsets on both sides of the boundary. One answer would have to show all of
    /// `seam`, but none of `slices` covers it.
    pub(super) fn across(&mut self, seam: &Range<u64>, window: Window, slices: Vec<Slice>) -> KeyNext {
        // The offset only ever falls, so the loop ends. Test:
        // `an_undeclared_repeated_last_page_is_not_evidence_of_a_previous_page`.
        if let Some(offset) = self.offset_by_count() {
            self.draft.believe(offset);
            return Ok(KeyTurn::Window);
        }
        // A count or a flag suffices to show that an item follows a full page. Only an end needs a proof, so the page
        // is served.
        if self.is_full_and_said_to_go_on() {
            return Ok(self.served_and_goes_on());
        }
        if let Some(fetches) = self.flipped(seam, window) {
            self.seams.flips += 1;
            return Ok(KeyTurn::Ask(fetches));
        }
        let paging = &self.request.paging;
        let forward = self.draft.way() == Way::Forward;
        let wide = self.draft.need() + 1;
        let (before, after) = match (self.asker.ledger.repeats() || self.seams.one_size, forward) {
            // If the upstream repeats its last page, only pages of one size show whether another page follows. The
            // widest size is used, because a chain of small pages takes many requests
            // (`regressions/a-seam-at-a-multiple-of-all-sizes.txt`).
            (true, _) => (wide, wide),
            (false, true) => (1, wide),
            (false, false) => (wide, 1),
        };
        let pair = match seam.end - seam.start {
            2 if paging.family == Family::Page => {
                plan::seam(paging, self.asker.sizes.assumed_cap, seam.start, before, after)
            }
            _ => plan::pair(paging, self.asker.sizes.assumed_cap, seam),
        };
        let Some((earlier, later)) = pair else {
            return Ok(KeyTurn::Ask(slices.into_iter().map(AskedSlice::from).collect()));
        };
        let (wanted, other, side) =
            if forward { (later, earlier, Side::Before) } else { (earlier, later, Side::After) };
        // An assumption that led nowhere isn't made twice, as where the last page comes again. Test:
        // `the_end_after_a_full_page_is_assumed_if_proofs_must_cost_no_request`.
        if self.request.leaves_out_costly_proofs() && self.seams.assumed != Some(wanted) {
            self.seams.assumed = Some(wanted);
            return Ok(KeyTurn::Ask(vec![AskedSlice { assumed: Some(side), ..wanted.into() }]));
        }
        // The page took its last items from the neighbour. That was the neighbour's first reading, so only the second
        // one is left to do.
        if self.seams.taken_from == Some(other) {
            return Ok(KeyTurn::Seam(KeySeam::beside(other, Held::Taken, vec![wanted])));
        }
        // The edge of an answer may cut a run of ties that come in any order, so the ends of the run are searched for.
        self.asker.searching |= aim::is_loose(&self.draft);
        // While the place is searched for, slices beyond it aren't needed yet.
        let chain = if self.search.bracket.has_begun() { Vec::new() } else { self.chain(earlier, later, window) };
        Ok(KeyTurn::Seam(if chain.len() > 2 { KeySeam::chain(&chain) } else { KeySeam::new(wanted, vec![other]) }))
    }

    /// Returns two neighbouring slices, and the slices after or before them that the page needs, as one chain. Seams
    /// that are read one by one take three requests each. Test: `pages_of_a_fixed_size_are_read_as_one_chain`.
    fn chain(&self, earlier: Slice, later: Slice, window: Window) -> Vec<Slice> {
        let mut chain = vec![earlier, later];
        let left = self.asker.left();
        let has_room = |chain: &[Slice]| KeySeam::requests(chain.len() + 1) <= left;
        match self.draft.way() {
            Way::Forward => {
                // Without a count, only the item after the page shows that there is one. That item also closes a run of
                // ties.
                let is_needed = aim::is_loose(&self.draft) || self.may_end_at(window.to - 1);
                let to = if is_needed { window.to } else { window.to - 1 };
                let mut last = later;
                while plan::reach(last).1 < to && has_room(&chain) {
                    last = plan::next(last);
                    chain.push(last);
                }
            }
            Way::Backward => {
                let from = if aim::is_loose(&self.draft) { window.from } else { window.from + 1 };
                let mut first = earlier;
                while plan::reach(first).0 > from && has_room(&chain) {
                    let Some(previous) = plan::previous(first) else { break };
                    first = previous;
                    chain.insert(0, first);
                }
            }
        }
        chain
    }

    /// Returns the offset of the boundary of a page that is read backward, corrected by a count. `None` unless the last
    /// answer was requested after the end that its own total states: then it is the last page once more, and its total
    /// shows where it belongs.
    fn offset_by_count(&self) -> Option<u64> {
        let leftward = self.draft.way() == Way::Backward && !self.search.bracket.has_begun();
        let view = self.draft.last_view().filter(|_| leftward)?;
        let total = view.answer().total.filter(|total| total.exact && total.value > 0)?.value;
        let (begins, offset) = (total.saturating_sub(view.len() as u64), self.draft.offset());
        let counted = begins + offset.saturating_sub(view.begins());
        Some(counted).filter(|counted| view.begins() >= total && *counted < offset)
    }

    /// Returns whether the list may end at an offset, as far as totals show. True without a total.
    fn may_end_at(&self, offset: u64) -> bool {
        self.asker.ledger.total().or_else(|| self.draft.hint().total).is_none_or(|total| total == offset)
    }

    /// Returns the slice of the flipped list that shows the boundary, and the first of the slices of the list that then
    /// fill the page. `None` if the flipped list can't show the boundary, or was read for it too often.
    pub(super) fn flipped(&self, seam: &Range<u64>, window: Window) -> Option<Vec<AskedSlice>> {
        let total = self.asker.ledger.total().or_else(|| self.draft.hint().total)?;
        if !self.request.abilities.flips || self.seams.flips >= FLIPPED_READINGS || seam.start >= total {
            return None;
        }
        let (paging, wish) = (&self.request.paging, self.draft.need() + 1);
        let way = self.draft.way();
        let (before, after) = if way == Way::Forward { (wish, 0) } else { (0, wish) };
        let flipped = Window { from: total.saturating_sub(seam.end), to: total - seam.start, before, after };
        let slice = plan::holding(paging, self.asker.sizes.assumed_cap, flipped)?;
        let (begins, ends) = plan::reach(slice);
        let shown = total.saturating_sub(ends)..total.saturating_sub(begins);
        let rest = match way {
            Way::Forward => Window { from: shown.end.saturating_sub(1), ..window },
            Way::Backward => Window { to: shown.start + 1, ..window },
        };
        let mut fetches = vec![AskedSlice { flipped: Some(total), ..slice.into() }];
        if rest.from + 1 < rest.to && shown.end < total {
            fetches.extend(
                plan::plan(paging, self.asker.sizes.assumed_cap, rest, way, 1).into_iter().map(AskedSlice::from),
            );
        }
        Some(fetches)
    }

    /// Serves a full page with a link to a next page, because its answers claim that more items follow.
    pub(super) fn served_and_goes_on(&mut self) -> KeyTurn {
        self.draft.goes_on();
        KeyTurn::Serve { cut_off: false }
    }
}
