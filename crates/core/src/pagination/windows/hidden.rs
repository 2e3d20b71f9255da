//! Items that are hidden after the limit is applied. An answer with few items, or none, then proves nothing about the
//! list after it.
//!
//! Offsets count hidden items. An empty answer moves a search on in its direction, up to the total. Hidden items may
//! separate the two sides of a boundary farther than an answer extends, or hide the end. Only a chain of neighbouring
//! slices shows the boundary then. Every second slice of it is read before and after the others, and the page is
//! `checked`. The slices are no larger than sizes that were seen to be honoured, so no item can be between them.
//!
//! A sweep (`ends::sweep`) crosses wider gaps with fewer requests, and its ends are judged. So the chain is left to the
//! pages that no sweep reads: the start, the last page, pages by offset, and pages back among ties in any order.

use super::{KeyNext, KeyReader, KeyTurn, Missed, key_seam::KeySeam};
use crate::pagination::{
    direction::{Side, Way},
    judge::draft::Cut,
    judge::evidence::{Evidence, loose},
    limits::HIDDEN_RUN_LOOKS,
    paging::CountedThings,
    plan,
    window::{Offset, PageNumber, PageSize, Slice},
};

/// A slice that is before the boundary.
#[derive(Clone, Copy, Debug)]
pub(super) struct HiddenEdge {
    slice: Slice,
    /// The offset up to which no item was found after the slice.
    to: u64,
}

impl KeyReader<'_> {
    /// Returns the next turn after an answer without the boundary, whose neighbouring items may be hidden.
    pub(super) fn missed_among_hidden(&mut self, view: Box<Evidence>, slice: Slice, side: Side) -> KeyNext {
        // The sweep back reads no run that hidden rows cut. Test:
        // `a_run_that_begins_among_hidden_rows_is_read_from_before_them`.
        let may_cut = self.draft.way().is_backward() && loose(&self.request.order);
        // Before any item has come, no answer shows how many rows it covers.
        if self.may_sweep() && !may_cut && !self.draft.is_at_start() && !self.draft.is_the_last_page() {
            return Ok(KeyTurn::End);
        }
        // Pages of one size are neighbours whatever the cap is, so they can be joined.
        let trusted = matches!(slice, Slice::Page { .. }) || slice.size() <= self.trusted_size();
        if self.draft.is_at_start() {
            // No item shows the start yet, so the list is read farther. If all its items turn out to be hidden, the
            // list is empty. Tests: `a_list_whose_first_rows_are_hidden_begins_after_them`,
            // `a_list_of_which_all_is_hidden_is_empty`.
            return self.read_chain_farther(slice, 0);
        }
        let is_first = !self.search.bracket.has_begun();
        self.cut = None;
        let side = if view.is_empty() { self.side_of_nothing(&view) } else { side };
        let reaches = view.reaches();
        if let Some(edge) = self.search.edge.filter(|edge| side == Side::After && edge.slice == slice) {
            // The next slice cuts a run at its edge, and the slice that should show the whole run only shows this part.
            // The chain therefore extends farther. Test: `a_run_that_hidden_rows_cut_is_read_with_its_neighbours`.
            return self.read_chain_farther(edge.slice, edge.to.max(reaches));
        }
        match (side, self.search.edge) {
            (Side::After, _) if trusted && (!view.is_empty() || view.is_from_start()) => {
                self.search.edge = Some(HiddenEdge { slice, to: reaches });
            }
            (Side::After, Some(edge)) if trusted && view.begins() <= edge.to => {
                self.search.edge = Some(HiddenEdge { to: edge.to.max(reaches), ..edge });
            }
            (Side::Before, Some(edge)) if trusted && view.begins() <= edge.to => {
                return Ok(self.read_chain(edge.slice, reaches));
            }
            _ => {}
        }
        if let Some(edge) = self.search.edge
            && self.asker.ledger.place_by_total().map_or(view.is_empty(), |total| edge.to >= total)
        {
            return Ok(self.read_chain(edge.slice, edge.to));
        }
        let before = self.search.bracket;
        // If the size may be capped, the answer certainly covers only as many offsets as it has items.
        let sure = if trusted { reaches } else { view.begins() + view.len() as u64 };
        self.search.bracket.missed(side, view.begins(), sure);
        if side == Side::After && !view.is_empty() && trusted {
            let missed = Missed { slice, view, bracket: before };
            match self.search.last_missed.take() {
                // The last page comes again: no item is after the answer that was nearer to the start, so the chain
                // begins there.
                Some(last) if self.asker.ledger.repeats() && self.is_repeated(&last, &missed) => {
                    let near = if last.slice.begins() < missed.slice.begins() { last } else { missed };
                    let to = near.view.reaches();
                    return Ok(self.read_chain(near.slice, to));
                }
                _ => self.search.last_missed = Some(missed),
            }
        }
        // A silent cap can't be distinguished from hidden rows, so only sizes that are certainly honoured are requested
        // from here on. Test: `a_silent_cap_among_hidden_rows_skips_no_visible_row`.
        if matches!(slice, Slice::Offset { .. }) {
            self.asker.sizes.assumed_cap = Some(self.trusted_size().0);
        }
        if is_first { self.shifted() } else { Ok(KeyTurn::Window) }
    }

    /// Reads a run of ties that continues beyond an answer, hidden parts included. The chain extends from `slice`, or
    /// from before it, to an offset after `reached`, and must show the boundary again. Test:
    /// `a_run_that_begins_among_hidden_rows_is_read_from_before_them`.
    pub(super) fn cut_among_hidden(&mut self, cut: &Cut, slice: Slice, reached: u64) -> KeyNext {
        self.asker.searching = true;
        let vain = self.seams.vain;
        let Some(farther) = self.farther(reached) else { return self.tie_run(cut, None) };
        let before = (1 << vain) - 1;
        let edge = match slice {
            _ if !cut.left => slice,
            Slice::Page { number, size } => {
                Slice::Page { number: PageNumber(number.0.saturating_sub(before + 1)), size }
            }
            Slice::Offset { size, .. } => {
                let before = before * u64::from(self.trusted_size().0);
                Slice::Offset { from: Offset(cut.needed.start.saturating_sub(before)), size }
            }
        };
        Ok(self.read_chain(edge, if cut.right { farther } else { farther.min(reached) }))
    }

    /// Reads a slice that didn't show the boundary, and its neighbours up to an offset after `beyond`. Each call reads
    /// twice as far beyond it as the last one.
    fn read_chain_farther(&mut self, slice: Slice, beyond: u64) -> KeyNext {
        match self.farther(beyond) {
            Some(to) => Ok(self.read_chain(slice, to)),
            None => Err(self.lost()),
        }
    }

    /// Returns the offset up to which neighbours are read. Each call returns one that is twice as far beyond the offset
    /// `beyond`; `None` after [`HIDDEN_RUN_LOOKS`] attempts without progress.
    fn farther(&mut self, beyond: u64) -> Option<u64> {
        if self.seams.vain >= HIDDEN_RUN_LOOKS {
            return None;
        }
        let to = beyond.saturating_add(u64::from(self.trusted_size().0) << self.seams.vain);
        self.seams.vain += 1;
        Some(to)
    }

    /// Returns the page of a trusted size with which a chain to the end of the list begins, instead of a larger page near
    /// the end that the total names; `None` if the page isn't the last one, or if the dialect doesn't say that totals
    /// count rows. A chain of larger pages would extend as far as they reach under the least cap, and spend the budget.
    /// Test: `the_last_page_of_a_list_with_hidden_rows_is_found_by_its_total`.
    fn in_a_trusted_size(&self, slice: Slice, trusted: PageSize) -> Option<Slice> {
        let is_place = self.request.paging.counted == CountedThings::Rows && self.draft.seeks_the_end();
        let total = self.asker.ledger.place_by_total().filter(|total| is_place && *total > 0)?;
        let rows = (2 * self.draft.need()).saturating_add(u64::from(trusted.0));
        let from = slice.begins().0.min(total - 1);
        let is_near = from >= total.saturating_sub(rows);
        is_near.then(|| Slice::Page { number: PageNumber(from / u64::from(trusted.0.max(1))), size: trusted })
    }

    /// Returns the largest size that is certainly honoured.
    fn trusted_size(&self) -> PageSize {
        plan::size_within(&self.request.paging, self.asker.ledger.honoured().size())
    }

    /// Returns the side of an empty answer on which to look for the boundary: the direction of the search, but never
    /// after the total.
    fn side_of_nothing(&self, view: &Evidence) -> Side {
        let is_past = match self.asker.ledger.place_by_total() {
            Some(total) => view.begins() >= total,
            None => self.search.edge.is_none(),
        };
        match (self.search.bracket.side(), self.draft.way()) {
            _ if view.is_from_start() => Side::After,
            _ if is_past => Side::Before,
            (Some(side), _) => side,
            (None, Way::Forward) => Side::After,
            (None, Way::Backward) => Side::Before,
        }
    }

    /// Reads a slice and its neighbours up to offset `to`, but not beyond the total. On the page's side, enough slices
    /// are added for the rest of the page even if every second item is hidden.
    fn read_chain(&mut self, slice: Slice, to: u64) -> KeyTurn {
        self.search.edge = None;
        let trusted = self.trusted_size();
        let is_backward = self.draft.way() == Way::Backward;
        // Without this distance, a backward page would return to the same slices until its requests are spent.
        let rest = 2 * self.draft.need();
        let to = if is_backward { to } else { to.saturating_add(rest) };
        let to = self.asker.ledger.place_by_total().map_or(to, |total| to.min(total));
        // The extent of a page is computed with the honoured size: under a smaller cap the page begins before the
        // offset that its number and size say.
        let reached = |slice: Slice| match slice {
            Slice::Page { number, size } => (number.0 + 1).saturating_mul(u64::from(size.min(trusted).0)),
            Slice::Offset { .. } => plan::reach(slice).1,
        };
        let left = self.asker.left();
        let fits = |slices: &[Slice]| KeySeam::requests(slices.len() + 1) <= left;
        let edge = match slice {
            Slice::Page { size, .. } if size > trusted => self.in_a_trusted_size(slice, trusted).unwrap_or(slice),
            Slice::Page { .. } => slice,
            Slice::Offset { from, size } => Slice::Offset { from, size: size.min(trusted) },
        };
        let mut slices = vec![edge, plan::next(edge)];
        while reached(slices[slices.len() - 1]) < to && fits(&slices) {
            slices.push(plan::next(slices[slices.len() - 1]));
        }
        let from = edge.begins().0.saturating_sub(if is_backward { rest } else { 0 });
        while slices[0].begins().0 > from
            && fits(&slices)
            && let Some(previous) = plan::previous(slices[0])
        {
            slices.insert(0, previous);
        }
        if !self.asker.ledger.repeats()
            && let Some(Slice::Offset { size, .. }) = slices.last_mut()
            && let Ok(most) = u32::try_from(plan::most(&self.request.paging, None))
        {
            // The last slice isn't read twice. The wider it is, the more an empty answer to it shows, so it has the
            // largest size.
            *size = PageSize(most);
        }
        KeyTurn::Seam(KeySeam::chain(&slices))
    }
}
