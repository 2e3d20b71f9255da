//! Seams that no single answer shows: neighbouring slices, every second of which is read before and after the others.
//!
//! The slices are used only if every slice that was read twice is unchanged. Such a page is at most `checked`.

use super::{AskedSlice, KeyHalt, KeyNext, KeyReader, KeyTurn, Witness, confirm::Short, look_at};
use crate::pagination::{
    direction::{Side, Way},
    judge::draft::Progress,
    judge::evidence::Evidence,
    judge::joined::Unjoined,
    limits::{APART_SEAM_READINGS, KEY_SEAM_READINGS, OTHER_PLACE_READINGS, RUN_PAIRS},
    plan,
    position::Anchor,
    slices::{SliceReader as _, Unasked},
    window::Slice,
};

/// The slices to read twice, and their neighbours, which are read in between.
#[derive(Debug)]
pub(super) struct KeySeam {
    twice: Vec<Slice>,
    /// The first answer to the only slice that is read twice; `None` if it wasn't read yet.
    held: Option<Held>,
    between: Vec<Slice>,
}

/// The first reading of a slice.
#[derive(Debug)]
pub(super) enum Held {
    /// The answer is the last one that the page took items from.
    Taken,
    /// The answer is stored here.
    Here(Box<Evidence>),
}

impl KeySeam {
    /// Returns the seam that reads `twice`, its neighbours, and `twice` again.
    pub(super) fn new(twice: Slice, between: Vec<Slice>) -> Self {
        Self { twice: vec![twice], held: None, between }
    }

    /// Returns the seams of consecutive slices. Every second slice is read twice, so each seam is next to one of these.
    /// Test: `each_seam_of_a_chain_lies_beside_a_slice_that_is_read_twice`.
    pub(super) fn chain(slices: &[Slice]) -> Self {
        let every_second = |from: usize| slices.iter().copied().skip(from).step_by(2).collect();
        // The last slice may be wider than the others, so it is never read twice.
        let is_odd = slices.len() % 2;
        Self { twice: every_second(is_odd), held: None, between: every_second(1 - is_odd) }
    }

    /// Returns the seams of a slice with the one before it and the one after it; `None` if no slice is before it.
    pub(super) fn around(slice: Slice) -> Option<Self> {
        Some(Self::chain(&[plan::previous(slice)?, slice, plan::next(slice)]))
    }

    /// Returns the number of requests that a chain of `slices` slices takes.
    pub(super) fn requests(slices: usize) -> usize {
        slices + slices / 2
    }

    /// Returns the seam of a slice that was read already: its neighbours are read, and then the slice again.
    pub(super) fn beside(twice: Slice, held: Held, between: Vec<Slice>) -> Self {
        Self { twice: vec![twice], held: Some(held), between }
    }
}

impl KeyReader<'_> {
    /// Reads a seam. A slice is judged by the size that was requested in the end, because a declared depth limit may
    /// have cut it.
    pub(super) async fn read_seam(&mut self, seam: KeySeam) -> KeyNext {
        let KeySeam { mut twice, held, mut between } = seam;
        let firsts = match held {
            Some(Held::Taken) => None,
            Some(Held::Here(first)) => Some(vec![*first]),
            None => Some(self.first_readings(&mut twice).await?),
        };
        if between.iter().any(|slice| plan::within(&self.request.paging, *slice).is_none()) {
            return Err(self.unasked(Unasked::TooDeep));
        }
        between.truncate(self.asker.left().saturating_sub(twice.len()).max(1));
        let middle = self.ask(between.iter().copied().map(AskedSlice::from).collect()).await?;
        if middle.len() < between.len() {
            // The budget didn't allow for all slices, so they prove nothing together.
            return self.again();
        }
        let agains = self.ask(twice.iter().copied().map(AskedSlice::from).collect()).await?;
        if agains.len() < twice.len() {
            return self.again();
        }
        twice = agains.iter().map(|(asked, _)| asked.slice).collect();
        let Ok(agains) = self.views(agains).into_iter().map(|(_, view)| view).collect::<Result<Vec<_>, _>>() else {
            return self.again();
        };
        agains.iter().for_each(|again| self.note(again));
        let nothing_from = agains.iter().find(|again| again.is_empty() && !again.is_from_start()).map(Evidence::begins);
        let middle: Result<Vec<Evidence>, _> =
            middle.into_iter().map(|(asked, answer)| self.view(answer, asked)).collect();
        // A single empty answer may be a lapse of the upstream, and must not hide the items before those of the page.
        // Regression: `crates/sim/regressions/a-start-that-a-lapse-hides.txt`.
        let hides_start = |view: &&Evidence| view.is_empty() && view.is_from_start();
        let has_items = agains.iter().any(|again| !again.is_empty());
        let start = middle.iter().flatten().find(hides_start).map(Evidence::slice).filter(|_| has_items);
        if let Some(start) = start {
            let again = self.ask(vec![start.into()]).await?;
            if again.is_empty() || again.iter().any(|(_, answer)| !answer.items.is_empty()) {
                return self.again();
            }
        }
        let views = between.iter().copied().zip(middle.iter().flatten()).chain(twice.iter().copied().zip(&agains));
        if let Some(turn) = self.read_on_if_cut(views.clone().collect()).await? {
            return Ok(turn);
        }
        let shortness = |(slice, view): (Slice, &Evidence)| Short::of(view, slice);
        let short_first = views.clone().min_by_key(|(slice, _)| slice.begins()).and_then(shortness);
        let last = views.clone().max_by_key(|(slice, _)| slice.begins());
        let to_nothing = last.is_some_and(|(_, view)| view.is_empty());
        // A total of 0 beside no items, after a full page with a total of its own items, is no change. Test:
        // `totals_of_the_page_are_no_change`.
        let is_counted_alone = to_nothing
            && views.clone().all(|(_, view)| view.counts_itself())
            && agains.iter().any(|again| self.ends_with_the_last(again));
        let shows_items = last.filter(|_| !to_nothing);
        let first_of_last = shows_items.and_then(|(_, view)| view.anchor(&self.request.order, 0));
        let short = last.and_then(shortness);
        let Some(edge) = twice.iter().chain(&between).copied().min_by_key(|slice| slice.begins()) else {
            return self.again();
        };
        // Test: `a_last_page_that_comes_again_undeclared_is_served_wherever_it_is_asked_for`.
        if let Some(repeated) = self.repeated_page(&agains, middle.as_deref().unwrap_or_default()) {
            self.note_repetition(repeated).await?;
        }
        let taken = || Vec::from_iter(self.draft.last_view());
        let firsts = firsts.as_ref().map_or_else(taken, |firsts| firsts.iter().collect());
        if firsts.len() < agains.len() {
            return self.again();
        }
        let readings = firsts.into_iter().zip(agains).collect();
        let mut joined = Evidence::joined(readings, middle.ok(), &self.request.order, &self.asker.ledger);
        if let Err(Unjoined::Adrift(parts)) = joined {
            joined = self.read_all_again(parts).await?;
        }
        match joined {
            // Two answers agree on an end that a third one has disproved, so the list is read on as one with hidden
            // items. Test: `a_silently_hidden_stretch_of_rows_does_not_end_a_list`.
            Ok(joined) if self.ends_before_more(&joined) => Ok(self.go_on_among_hidden()),
            Ok(joined) => self.take_joined(joined, edge, short, to_nothing).await,
            Err(Unjoined::Changed(again)) => self.torn(*again),
            Err(Unjoined::Apart) if is_counted_alone && self.may_suppose_end() => {
                // A single empty answer may be a lapse of the upstream.
                let beyond = self.ask(vec![plan::next(edge).into()]).await?;
                if beyond.iter().all(|(_, answer)| answer.items.is_empty()) {
                    return Ok(self.suppose_end());
                }
                self.again()
            }
            Err(Unjoined::Apart | Unjoined::Adrift(_)) => {
                if let Some(end) = nothing_from.filter(|_| !self.request.paging.hidden) {
                    // The slices before an empty one don't extend to it, so the list ends somewhere before it. Test:
                    // `a_seam_that_is_past_the_new_end_is_found_before_the_end`.
                    self.search.bracket.missed(Side::Before, end, end);
                }
                self.apart(short_first, first_of_last).await
            }
        }
    }

    /// Returns a page whose items the next page of the same size gives again; `None` if there is none, or if the
    /// upstream is known to repeat its last page.
    fn repeated_page<'v>(&self, twice: &'v [Evidence], between: &'v [Evidence]) -> Option<&'v Evidence> {
        let order = &self.request.order;
        let is_repeated = |page: &&Evidence| {
            let next = plan::next(page.slice());
            page.begins() > 0
                && twice.iter().chain(between).any(|later| later.slice() == next && page.comes_again(order, later))
        };
        let pages = || twice.iter().chain(between);
        pages().find(is_repeated).filter(|_| !self.asker.ledger.repeats())
    }

    /// Continues after slices that can't be shown to be neighbours. Between pages of one honoured size no item can be
    /// hidden, but between others one can, so only pages of one size are joined from here on. `short_first` is the
    /// first slice if its answer is short, and `first_of_last` is the first item of the last slice. Test:
    /// `pages_that_a_silent_cap_cuts_are_joined_by_its_size`.
    async fn apart(&mut self, short_first: Option<Short>, first_of_last: Option<Anchor>) -> KeyNext {
        self.seams.one_size = true;
        if self.should_sweep() {
            return self.sweep_now().await;
        }
        if let Some(Short { slice: Slice::Page { .. }, count, .. }) = short_first {
            self.suspect_cap(count);
            // No end before this item is trusted. Test: `a_silently_hidden_stretch_of_rows_does_not_end_a_list`.
            self.ending.beyond = first_of_last.or_else(|| self.ending.beyond.take());
        }
        self.again()
    }

    /// Reads for the first time the slices that are read twice. Replaces each slice by the one that was sent, because a
    /// declared depth limit may have cut it.
    async fn first_readings(&mut self, twice: &mut Vec<Slice>) -> Result<Vec<Evidence>, KeyHalt> {
        let pairs = self.ask(twice.iter().copied().map(AskedSlice::from).collect()).await?;
        *twice = pairs.iter().map(|(asked, _)| asked.slice).collect();
        let views: Result<Vec<Evidence>, _> = self.views(pairs).into_iter().map(|(_, view)| view).collect();
        views.map_err(|unsorted| self.contradicted(unsorted))
    }

    /// Reads all slices of a chain once more, and joins them. If each slice is the same both times, all are from one
    /// state of the list: a single change was after all first readings or before all last ones.
    /// (`regressions/a-slice-within-one-run.txt` has the list that needs this.)
    async fn read_all_again(&mut self, parts: Vec<Evidence>) -> Result<Result<Evidence, Unjoined>, KeyHalt> {
        let agains = self.ask(parts.iter().map(|part| part.slice().into()).collect()).await?;
        let views: Result<Vec<Evidence>, _> = self.views(agains).into_iter().map(|(_, view)| view).collect();
        match views {
            Ok(agains) if agains.len() == parts.len() => {
                let readings = parts.iter().zip(agains).collect();
                Ok(Evidence::joined(readings, Some(Vec::new()), &self.request.order, &self.asker.ledger))
            }
            // The budget didn't allow for all slices, or they can't be compared.
            _ => Err(self.again().map_or_else(|halt| halt, KeyHalt::Instead)),
        }
    }

    /// Uses the second reading of a slice as a single answer, because the list changed between the two readings.
    fn torn(&mut self, again: Evidence) -> KeyNext {
        self.asker.searching = true;
        self.seams.vain += 1;
        // The answer that the page took items from is outdated now: every later reading would differ from it. Test:
        // `a_list_of_fixed_pages_is_walked_while_it_changes`.
        self.seams.taken_from = None;
        if self.seams.vain > KEY_SEAM_READINGS {
            return Err(self.lost());
        }
        Ok(look_at(again.slice().into(), again, Witness::None))
    }

    /// Takes the items that joined answers prove. `edge` is the first of their slices. `short` is the last one if it
    /// may be the end, which is then confirmed at once. `to_nothing` says whether the last slice is empty.
    async fn take_joined(&mut self, joined: Evidence, edge: Slice, short: Option<Short>, to_nothing: bool) -> KeyNext {
        // A count can end only a page that is at its own place, so the window is requested again. Test:
        // `a_page_at_a_moved_offset_is_not_the_end_that_the_total_implies`.
        if self.is_another_place(&joined) {
            return if self.seams.vain < OTHER_PLACE_READINGS { self.again() } else { Err(self.lost()) };
        }
        if self.must_judge_leaning(&joined) {
            return self.judge_leaning(edge.into(), joined).await;
        }
        self.note(&joined);
        let (way, reached) = (self.draft.way(), joined.reaches());
        match self.draft.take(joined) {
            Ok(Progress::Done) => Ok(KeyTurn::Serve { cut_off: false }),
            Ok(Progress::More) => {
                self.progressed();
                self.seams.taken_from = None;
                // If the last page were read again before its end is confirmed, it would take a sixth request:
                // `regressions/seam-before-the-last-page.txt`.
                self.go_on(Some(short.filter(|_| way == Way::Forward)), false).await
            }
            Ok(Progress::Cut(cut, _)) if self.request.paging.hidden => self.cut_among_hidden(&cut, edge, reached),
            Ok(Progress::Cut(cut, _)) => {
                // The run extends to a short answer, which may be the end: the next slice decides. Test:
                // `a_run_over_the_last_two_pages_is_read_with_the_one_after_them`.
                let around = short.filter(|_| cut.right).and_then(|short| KeySeam::around(short.slice));
                match around.filter(|_| self.seams.vain <= RUN_PAIRS) {
                    Some(seam) => {
                        self.seams.vain += 1;
                        Ok(KeyTurn::Seam(seam))
                    }
                    None => self.widen(cut),
                }
            }
            Ok(Progress::Missed(view, side)) if self.request.paging.hidden && self.draft.is_at_start() => {
                self.missed_among_hidden(view, edge, side)
            }
            // No item follows a full page, and yet a count says more. Test:
            // `a_short_list_of_fixed_pages_is_read_whatever_it_counts`.
            Ok(Progress::Missed(view, Side::After))
                if to_nothing && self.ends_with_the_last(&view) && self.may_suppose_end() =>
            {
                Ok(self.suppose_end())
            }
            // A cap may have made both pages begin before the requested offset, so the offset is requested under that
            // cap. Test: `an_offset_outside_of_two_capped_pages_is_not_taken_for_the_end`.
            Ok(Progress::Missed(view, _)) if !self.draft.can_be_searched_for() => self.missed_by_offset(&view),
            Ok(Progress::Missed(view, side)) => {
                self.asker.searching = true;
                self.seams.vain += 1;
                if self.seams.vain > KEY_SEAM_READINGS {
                    return Err(self.lost());
                }
                let first = !self.search.bracket.has_begun();
                self.search.bracket.missed(side, view.begins(), view.reaches());
                if first { self.shifted() } else { Ok(KeyTurn::Window) }
            }
            // Without this bound a page would read the same seam until its requests are spent:
            // `regressions/a-seam-that-tells-neither-side.txt`.
            Ok(Progress::Apart(..)) => {
                self.seams.apart += 1;
                if self.seams.apart < APART_SEAM_READINGS { self.again() } else { Err(self.lost()) }
            }
            // If an item moved from one slice to another, the slices together may contradict the order, though neither
            // does alone. The window is then requested again.
            Err(_) => self.again(),
        }
    }

    /// Looks at the window once more, because the list may have changed between two answers. Gives up after
    /// [`KEY_SEAM_READINGS`] times.
    fn again(&mut self) -> KeyNext {
        self.asker.searching = true;
        self.seams.vain += 1;
        if self.seams.vain <= KEY_SEAM_READINGS { Ok(KeyTurn::Window) } else { Err(self.lost()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pagination::window::{Offset, PageSize};

    #[test]
    fn each_seam_of_a_chain_lies_beside_a_slice_that_is_read_twice() {
        for count in 2..9 {
            let slices: Vec<Slice> =
                (0..count).map(|place| Slice::Offset { from: Offset(place * 5), size: PageSize(5) }).collect();
            let KeySeam { twice, between, .. } = KeySeam::chain(&slices);
            assert!(slices.windows(2).all(|pair| pair.iter().any(|slice| twice.contains(slice))), "{count}: {twice:?}");
            assert_eq!(twice.len() * 2 + between.len(), KeySeam::requests(slices.len()));
        }
    }
}
