//! The next request: for the window around the boundary, for a run of ties that was cut, or for the slice that narrows
//! a search most.

use super::{AskedSlice, KeyHalt, KeyNext, KeyReader, KeyTurn, Look, Witness, aim, bracket::Aim, key_seam::KeySeam};
use crate::pagination::{
    answer::Answer,
    direction::{Side, Way},
    judge::draft::{Boundary, Cut},
    limits::{LEAST_WINDOW, MARGIN, STILL_MARGIN, WINDOW_LOOKS},
    paging::Family,
    plan::{self, Window},
    refusal::Refusal,
    slices::SliceReader as _,
    window::Slice,
};

/// The next place to look at in a search.
enum LookAt {
    /// The window around the expected place of the boundary.
    Around(Window),
    /// The end of the list, which is expected at this offset.
    End(u64),
    /// The slice that narrows the bracket most.
    Probe(Slice),
}

impl KeyReader<'_> {
    /// Returns the slices that may show the whole of a run of ties that the last answer cut; `None` if none may.
    pub(super) fn whole_run(&self, cut: &Cut) -> Option<Vec<AskedSlice>> {
        let window = aim::window_of_run(&self.draft, cut);
        let holding = plan::holding(&self.request.paging, self.asker.sizes.assumed_cap, window);
        // The flipped list has its seams elsewhere, so one answer of it may contain the whole run. Test:
        // `a_run_over_two_pages_is_shown_by_one_answer_of_the_flipped_list`.
        let is_told_by_items = !matches!(self.draft.boundary(), Boundary::At(_));
        holding
            .map(|slice| vec![slice.into()])
            .or_else(|| self.flipped(&cut.needed, window).filter(|_| is_told_by_items))
    }

    /// Returns the turn that requests the slices which should show the boundary, or the whole run of ties that the last
    /// answer cut.
    pub(super) fn next_window(&mut self) -> KeyNext {
        if let Some(cut) = self.cut.take() {
            return match self.whole_run(&cut) {
                Some(fetches) => {
                    self.seams.flips += u32::from(fetches.iter().any(|asked| asked.flipped.is_some()));
                    self.cut = Some(cut);
                    Ok(KeyTurn::Ask(fetches))
                }
                None => self.tie_run(&cut, None),
            };
        }
        let window = match (self.search.bracket.has_begun(), self.request.paging.family) {
            (true, _) => match self.aim() {
                LookAt::Around(window) => window,
                LookAt::End(offset) => return Ok(self.at_the_end(offset)),
                LookAt::Probe(slice) => return Ok(KeyTurn::Ask(vec![slice.into()])),
            },
            (false, Family::Offset) => self.window(self.margin()),
            (false, _) => self.window(0),
        };
        self.around(window, self.asker.left())
    }

    /// Returns the turn that requests a window around the expected place of the boundary, in at most `most` requests.
    pub(super) fn around(&mut self, window: Window, most: usize) -> KeyNext {
        let left = self.asker.left().min(most);
        let (paging, cap) = (&self.request.paging, self.asker.sizes.assumed_cap);
        let run = if aim::is_loose(&self.draft) { self.run() } else { 1 };
        let mut slices = plan::plan_over_runs(paging, cap, window, self.draft.way(), left, run);
        // The answers of a chain that overlaps too little are useless after the first run that they cut. So the first
        // answer shows how long runs are; and where a chain would overlap by much, each request begins at the last run
        // of the answer before. Test: `runs_of_ties_do_not_break_a_chain`.
        let is_long = run > 1 && (run + 2) * 4 > plan::most(paging, cap);
        // How many answers the page takes then depends on its runs, as it does where the sizes of pages by number decide
        // how far they overlap. The budget of a page in place doesn't foresee it.
        self.asker.searching |= slices.len() > 1 && (is_long || (run > 1 && paging.family == Family::Page));
        if run == 0 || is_long {
            slices.truncate(1);
        }
        if self.request.paging.hidden
            && let Some(total) = self.asker.ledger.place_by_total()
        {
            // If only small sizes were seen filled, a page takes many answers. Those after the counted end would be
            // useless. Test: `the_cost_of_an_end_among_hidden_items_is_bounded`.
            let first = slices.first().copied();
            slices.retain(|slice| Some(*slice) == first || slice.begins().0 < total);
        }
        if let Some(seam) = aim::seam(&self.draft, self.asker.ledger.total())
            && slices.first().is_some_and(|slice| !plan::holds(*slice, &seam))
        {
            return self.across(&seam, window, slices);
        }
        Ok(KeyTurn::Ask(slices.into_iter().map(AskedSlice::from).collect()))
    }

    /// Returns the margin of a window around the hint. A list that has hardly changed lately gets a small one.
    fn margin(&self) -> u64 {
        let is_still = self.request.profile.drift.is_none_or(|drift| u64::from(drift) <= STILL_MARGIN / 2);
        // Among rows that are left out, a wide window shows more of what a row's place means.
        if !is_still || self.request.paging.leaves_out || self.request.paging.hidden {
            return MARGIN;
        }
        (LEAST_WINDOW.saturating_sub(self.draft.need()) / 2).clamp(STILL_MARGIN, MARGIN)
    }

    /// Returns the window around the expected place of the boundary, with `margin` offsets on both sides.
    pub(super) fn window(&self, margin: u64) -> Window {
        aim::window(&self.draft, margin, self.run())
    }

    /// Returns the length of the longest run of ties seen; 0 if no item was seen.
    fn run(&self) -> u64 {
        self.asker.sizes.profile.run.max(self.request.profile.run).into()
    }

    /// Returns the next place to look for a boundary that the answers so far didn't show.
    fn aim(&mut self) -> LookAt {
        let widest = plan::most(&self.request.paging, self.asker.sizes.assumed_cap);
        // An answer that finds the boundary should fill the page too. At least half of its items are kept for the
        // search.
        let (lead, tail) = aim::sides(&self.draft);
        let (lead, tail) = (lead.min(widest / 4).max(1), tail.min(widest / 4).max(1));
        match self.search.bracket.aim(widest, widest.saturating_sub(lead + tail), self.asker.ledger.total()) {
            Aim::At(offset) => {
                self.draft.believe(offset);
                let window = self.window(widest);
                let is_end = matches!(self.draft.boundary(), Boundary::Tail);
                let holding = Window { before: 0, after: 0, ..window };
                let is_held = plan::holding(&self.request.paging, self.asker.sizes.assumed_cap, holding).is_some();
                // The end may be in the last of several answers that make the page. Test:
                // `the_end_is_found_where_a_page_takes_several_answers`.
                if is_end && !is_held { LookAt::End(offset) } else { LookAt::Around(window) }
            }
            Aim::Among { first, last, nearest } => {
                let (from, to) = (first.saturating_sub(lead), last.saturating_add(tail));
                let window = Window { from, to, before: 0, after: 0 };
                let nearest = nearest.map(|side| (side, if side == Side::Before { first } else { last }));
                LookAt::Probe(plan::probe(&self.request.paging, self.asker.sizes.assumed_cap, window, nearest))
            }
        }
    }

    /// Returns the turn that requests the end of the list at its expected offset, where no answer can contain both the
    /// end and the whole page. The items before the end are read later. If no page shows the place after the last item,
    /// the next page is read too. Test: `an_end_that_no_page_shows_with_the_last_items_is_found_without_a_total`.
    fn at_the_end(&mut self, offset: u64) -> KeyTurn {
        let (paging, cap) = (&self.request.paging, self.asker.sizes.assumed_cap);
        let (from, to) = (offset.saturating_sub(1), offset.saturating_add(1));
        match plan::holding(paging, cap, Window { from, to, before: self.draft.need(), after: 0 }) {
            Some(slice) => KeyTurn::Ask(vec![slice.into()]),
            None => {
                let last = plan::ending_at(paging, cap, offset);
                KeyTurn::Seam(KeySeam::new(last, vec![plan::next(last)]))
            }
        }
    }

    /// Requests the window around the boundary. A search gives up if it has requested the same window too often.
    pub(super) async fn ask_window(&mut self, asked: Vec<AskedSlice>) -> KeyNext {
        if self.asker.searching {
            let times = self.search.asked.iter().filter(|earlier| **earlier == asked).count();
            if times >= WINDOW_LOOKS {
                // Each answer led back to this window, so another one would show the same. A silent cap of two once did
                // this until the budget was spent: `regressions/budget-under-an-unsaid-cap.txt`.
                return Err(if self.cut.is_some() { self.run_too_long() } else { self.lost() });
            }
            self.search.asked.push(asked.clone());
        }
        // A slice that is cut at the upstream's depth limit must still extend beyond the page's place. Test:
        // `beyond_its_depth_a_list_is_refused_at_once`.
        let forward = self.draft.way() == Way::Forward && self.draft.can_be_searched_for();
        let reached = if forward { self.draft.offset() } else { 0 };
        let pairs = self.send(asked, |shallow| plan::reach(shallow).1 > reached).await?;
        Ok(KeyTurn::Look(Look { answers: self.views(pairs), witness: Witness::None }))
    }

    /// Requests slices, wherever they are in the list.
    pub(super) async fn ask(&mut self, asked: Vec<AskedSlice>) -> Result<Vec<(AskedSlice, Answer)>, KeyHalt> {
        self.send(asked, |_| true).await
    }

    async fn send(
        &mut self,
        asked: Vec<AskedSlice>,
        is_of_use: impl Fn(Slice) -> bool,
    ) -> Result<Vec<(AskedSlice, Answer)>, KeyHalt> {
        let pairs = match self.asker.send(asked, &self.request.paging, is_of_use).await {
            Ok(pairs) => pairs,
            Err(why) => return Err(self.unasked(why)),
        };
        if self.request.paging.family == Family::Page && self.asker.ignores_sizes(&pairs) {
            // Every other answer would have as many items, so the page is refused at once. Test:
            // `a_size_parameter_that_is_ignored_costs_no_search`.
            return Err(Refusal::BudgetExceeded.into());
        }
        self.seen.note_all(&pairs, &self.request.order);
        self.check_consecutive(&pairs).await?;
        for (asked, answer) in &pairs {
            self.asker.compare_short(asked.slice, answer, &self.request.paging);
        }
        Ok(pairs)
    }
}
