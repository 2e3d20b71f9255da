//! Items that are hidden after the limit: an answer with few items, or none, proves nothing about the list after it.
//!
//! Offsets count hidden items. An empty answer moves a search on in the direction it was going, up to the total. If
//! hidden items separate the two sides of a boundary farther than an answer reaches, or hide the end, only a chain of
//! neighbouring slices shows it, every second of which is read before and after the others: `checked`. The slices of a
//! chain are no larger than sizes that were seen to be honoured, so that no item is between them.

use super::{KeyNext, KeyReader, KeyTurn, Missed, key_seam::KeySeam};
use crate::pagination::{
    direction::{Side, Way},
    judge::draft::Cut,
    judge::evidence::Evidence,
    limits::HIDDEN_RUN_LOOKS,
    plan,
    window::{Offset, PageNumber, PageSize, Slice},
};

/// A slice that lies before the boundary.
#[derive(Clone, Copy, Debug)]
pub(super) struct HiddenEdge {
    slice: Slice,
    /// The offset up to which no item was found after the slice.
    to: u64,
}

impl KeyReader<'_> {
    /// Returns the next turn after an answer without the boundary, which may hide the items beside it.
    pub(super) fn missed_among_hidden(&mut self, view: Box<Evidence>, slice: Slice, side: Side) -> KeyNext {
        // Pages of one size are neighbours whatever the cap.
        let trusted = matches!(slice, Slice::Page { .. }) || slice.size() <= self.trusted_size();
        if self.draft.is_at_start() {
            // No item shows the start yet. A list of which all is hidden is empty. Tests:
            // `a_list_whose_first_rows_are_hidden_begins_after_them`, `a_list_of_which_all_is_hidden_is_empty`.
            return self.read_chain_farther(slice, 0);
        }
        let is_first = !self.search.bracket.has_begun();
        self.cut = None;
        let side = if view.is_empty() { self.side_of_nothing(&view) } else { side };
        let reaches = view.reaches();
        if let Some(edge) = self.search.edge.filter(|edge| side == Side::After && edge.slice == slice) {
            // The next slice cuts a run at its edge, and the slice that should show the whole run shows this part
            // alone. Test: `a_run_that_hidden_rows_cut_is_read_with_its_neighbours`.
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
            && self.asker.ledger.total().map_or(view.is_empty(), |total| edge.to >= total)
        {
            return Ok(self.read_chain(edge.slice, edge.to));
        }
        let before = self.search.bracket;
        // An answer to a size that may be capped covers no more offsets for certain than it has items.
        let sure = if trusted { reaches } else { view.begins() + view.len() as u64 };
        self.search.bracket.missed(side, view.begins(), sure);
        if side == Side::After && !view.is_empty() && trusted {
            let missed = Missed { slice, view, bracket: before };
            match self.search.last_missed.take() {
                // The last page comes again: no item is after the one that came first.
                Some(last) if self.asker.ledger.repeats() && self.is_repeated(&last, &missed) => {
                    let near = if last.slice.begins() < missed.slice.begins() { last } else { missed };
                    let to = near.view.reaches();
                    return Ok(self.read_chain(near.slice, to));
                }
                _ => self.search.last_missed = Some(missed),
            }
        }
        // A silent cap can't be told from hidden rows. Test:
        // `a_silent_cap_among_hidden_rows_leaves_nothing_out_of_what_a_total_counts`.
        if matches!(slice, Slice::Offset { .. }) {
            self.asker.sizes.assumed_cap = Some(self.trusted_size().0);
        }
        if is_first { self.shifted() } else { Ok(KeyTurn::Window) }
    }

    /// Reads a run of ties that goes on beyond an answer, hidden parts included. The chain begins with a slice and
    /// reaches up to an offset; it must show the boundary again. Test:
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

    /// Reads a slice that did not show the boundary, and its neighbours: twice as far beyond an offset each time.
    fn read_chain_farther(&mut self, slice: Slice, beyond: u64) -> KeyNext {
        match self.farther(beyond) {
            Some(to) => Ok(self.read_chain(slice, to)),
            None => Err(self.lost()),
        }
    }

    /// Returns the offset up to which neighbours are read: twice as far beyond an offset each time. `None` after
    /// [`HIDDEN_RUN_LOOKS`] of them.
    fn farther(&mut self, beyond: u64) -> Option<u64> {
        if self.seams.vain >= HIDDEN_RUN_LOOKS {
            return None;
        }
        let to = beyond.saturating_add(u64::from(self.trusted_size().0) << self.seams.vain);
        self.seams.vain += 1;
        Some(to)
    }

    /// Returns the largest size that is surely honoured.
    fn trusted_size(&self) -> PageSize {
        plan::size_within(&self.request.paging, self.asker.ledger.honoured().size())
    }

    /// Returns the side of an empty answer on which to look for the boundary: where the search was going, but not after
    /// the total.
    fn side_of_nothing(&self, view: &Evidence) -> Side {
        let is_past = match self.asker.ledger.total() {
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

    /// Reads a slice and its neighbours up to an offset, though not beyond the total, and on the side of the page as
    /// many more as hold the rest of it if every second item is hidden.
    fn read_chain(&mut self, slice: Slice, to: u64) -> KeyTurn {
        self.search.edge = None;
        let trusted = self.trusted_size();
        let is_backward = self.draft.way() == Way::Backward;
        // Read no farther, a backward page would come back to the same slices until its requests are spent.
        let rest = 2 * self.draft.need();
        let to = if is_backward { to } else { to.saturating_add(rest) };
        let to = self.asker.ledger.total().map_or(to, |total| to.min(total));
        // A page counts by the size that is honoured: under a smaller cap it begins before the offset that its number
        // and its size give.
        let reached = |slice: Slice| match slice {
            Slice::Page { number, size } => (number.0 + 1).saturating_mul(u64::from(size.min(trusted).0)),
            Slice::Offset { .. } => plan::reach(slice).1,
        };
        let left = self.asker.left();
        let fits = |slices: &[Slice]| KeySeam::requests(slices.len() + 1) <= left;
        let edge = match slice {
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
            // The last slice is not read twice. The wider it is, the more an empty answer to it shows.
            *size = PageSize(most);
        }
        KeyTurn::Seam(KeySeam::chain(&slices))
    }
}
