//! The use of an answer: the items that it proves for the page, and the facts that it shows about the upstream.

use super::{
    AskedSlice, Bracket, KeyNext, KeyReader, KeyTurn, Look, Witness,
    confirm::{Doubt, Short},
    contradiction::Contradicted,
    key_seam::Held,
};
use crate::pagination::{
    answer::Answer,
    direction::{Side, Way},
    judge::confirmation::ListTerms,
    judge::draft::Ground,
    judge::draft::{Cut, Progress},
    judge::evidence::Evidence,
    limits::{APART_LOOKS, OVERTAKEN_COUNT},
    paging::{EndEvidence, Family},
    slices::AnswerUse,
    unsorted::Unsorted,
    window::Slice,
};

/// The reason why a page takes no item of an answer.
#[derive(Debug)]
pub(super) enum KeyObstacle {
    /// The items contradict the order, or can't be compared.
    Unsorted(Unsorted),
    /// The answer is short, and may be from elsewhere than it was requested.
    Misplaced(Short, Box<Evidence>),
    /// The answer makes an end of the list the boundary, but no item on the other side confirms that.
    Unsampled(AskedSlice, Box<Evidence>, Side, Witness),
    /// A page read backward begins at the end that the answer shows, and this end isn't judged yet.
    Leaning(AskedSlice, Box<Evidence>),
    /// The answer contradicts an earlier one of the search.
    Contradicted(Box<Contradicted>, AskedSlice, Box<Evidence>, Witness),
    /// The answer cuts a run of ties next to the boundary.
    Cut(Cut, Option<Short>, Slice, Box<Evidence>),
    /// The answer doesn't contain the boundary, which is on this side of the answer.
    Missed(AskedSlice, Box<Evidence>, Side),
    /// The answer's items don't show the place of the boundary. The side is the one on which to look for it; `None` if
    /// it is expected among these items.
    Apart(AskedSlice, Box<Evidence>, Option<Side>),
}

impl KeyObstacle {
    /// Returns the evidence of the answer; `None` if its items can't be compared, or contradict the order.
    fn view(&self) -> Option<&Evidence> {
        match self {
            Self::Unsorted(_) => None,
            Self::Misplaced(_, view)
            | Self::Unsampled(_, view, ..)
            | Self::Contradicted(_, _, view, _)
            | Self::Cut(_, _, _, view)
            | Self::Leaning(_, view)
            | Self::Missed(_, view, _)
            | Self::Apart(_, view, _) => Some(view),
        }
    }
}

/// Returns the turn that looks at one answer. `witness` is the support of other answers for its end.
pub(super) fn look_at(asked: AskedSlice, view: Evidence, witness: Witness) -> KeyTurn {
    KeyTurn::Look(Look { answers: vec![(asked, Ok(view))], witness })
}

impl KeyReader<'_> {
    /// Takes the items that an answer proves to follow the boundary. Returns the reason if it proves none.
    pub(super) fn take_from(
        &mut self,
        asked: AskedSlice,
        view: Result<Evidence, Unsorted>,
        is_first: bool,
        witness: Witness,
    ) -> AnswerUse<Option<Short>, KeyObstacle> {
        let mut view = match view {
            Ok(view) => view,
            // The items of one answer contradict the order. A change of the list between answers can't cause that, so
            // the page is refused even if the answer was requested in advance.
            Err(unsorted) if unsorted.cause.is_disorder() => return AnswerUse::Alarm(KeyObstacle::Unsorted(unsorted)),
            Err(unsorted) => return AnswerUse::None(KeyObstacle::Unsorted(unsorted)),
        };
        if self.request.leaves_out_costly_proofs() {
            self.assume_end_of(&mut view);
        }
        if self.reaches_the_judged_end(&view) {
            view.end_is_judged();
        }
        let confirming = witness != Witness::None;
        self.suspect(&view, confirming);
        self.note(&view);
        let (short, way) = (Short::of(&view, asked.slice), self.draft.way());
        if self.may_be_repeated(&view) {
            return AnswerUse::Alarm(KeyObstacle::Missed(asked, Box::new(view), Side::Before));
        }
        if !confirming && let Some(short) = self.misplaced(&view, asked) {
            return AnswerUse::None(KeyObstacle::Misplaced(short, Box::new(view)));
        }
        // A list in another order than declared leads a search to an end of the list, so other answers must confirm the
        // order first. Test: `an_order_that_is_wrong_at_its_seams_alone_is_noticed_by_a_search`.
        if is_first && let Some(side) = self.unwitnessed_edge(&view) {
            return AnswerUse::None(KeyObstacle::Unsampled(asked, Box::new(view), side, witness));
        }
        if self.must_judge_leaning(&view) {
            return AnswerUse::None(KeyObstacle::Leaning(asked, Box::new(view)));
        }
        // In a list that isn't in its declared order, a search may end between two items that seem to be the boundary.
        // Test: `an_order_that_a_search_contradicts_is_noticed_where_the_search_ends`.
        let restarts = is_first && self.draft.restarts_at(&view);
        if restarts {
            self.sight_taken();
        }
        if is_first
            && (self.search.bracket.has_begun() || restarts)
            && asked.flipped.is_none()
            && let Some(contradicted) = self.contradicts(asked, &view)
        {
            return AnswerUse::None(KeyObstacle::Contradicted(Box::new(contradicted), asked, Box::new(view), witness));
        }
        match self.draft.take(view) {
            Ok(Progress::Done) => AnswerUse::All,
            Ok(Progress::More) => {
                self.progressed();
                self.seams.taken_from = Some(asked.slice).filter(|_| asked.flipped.is_none());
                AnswerUse::Some(short.filter(|_| way == Way::Forward))
            }
            Ok(Progress::Cut(cut, view)) => AnswerUse::None(KeyObstacle::Cut(cut, short, asked.slice, view)),
            // An answer requested in advance that may be the end is confirmed at once, without another request for it.
            Ok(Progress::Missed(view, Side::After))
                if !is_first && short.is_some_and(|short| self.may_doubt(&short)) =>
            {
                AnswerUse::Alarm(KeyObstacle::Missed(asked, view, Side::After))
            }
            Ok(Progress::Missed(view, side)) => AnswerUse::None(KeyObstacle::Missed(asked, view, side)),
            Ok(Progress::Apart(view, side)) => AnswerUse::None(KeyObstacle::Apart(asked, view, side)),
            Err(unsorted) => AnswerUse::None(KeyObstacle::Unsorted(unsorted)),
        }
    }

    /// Returns the next turn after an answer from which the page took no item.
    pub(super) async fn overcome(&mut self, untaken: KeyObstacle) -> KeyNext {
        if let Some(view) = untaken.view() {
            self.asker.note_unused(view.answer());
            self.seen.note_unused(view.slice(), view.answer(), &self.request.order);
        }
        match untaken {
            KeyObstacle::Unsorted(unsorted) => Err(self.contradicted(unsorted)),
            KeyObstacle::Misplaced(short, view) => {
                let from = self.before_the_last_run(&view);
                self.doubt(short, from, Held::Here(view)).await
            }
            KeyObstacle::Unsampled(asked, view, side, witness) => self.confirm_order(asked, *view, witness, side).await,
            KeyObstacle::Leaning(asked, view) => self.judge_leaning(asked, *view).await,
            KeyObstacle::Contradicted(contradicted, asked, view, witness) => {
                let is_repeated = self.read_again(&contradicted).await?;
                // If the list has changed, the answer from which the page took items is compared no more: it would be
                // contradicted, and read again, until the list changes back. Regression:
                // `crates/sim/regressions/a-list-that-goes-to-and-fro.txt`.
                self.seams.taken_from = self.seams.taken_from.filter(|_| is_repeated);
                Ok(if is_repeated { self.search_anew() } else { look_at(asked, *view, witness) })
            }
            KeyObstacle::Cut(cut, short, slice, view) => self.cut(cut, short, (slice, view)).await,
            KeyObstacle::Missed(asked, view, side) => self.missed(view, asked, side).await,
            KeyObstacle::Apart(asked, view, Some(side))
                if self.ground == Ground::Whole && self.seams.apart < APART_LOOKS =>
            {
                self.seams.apart += 1;
                self.missed(view, asked, side).await
            }
            KeyObstacle::Apart(..) => Err(self.lost()),
        }
    }

    /// Returns whether only a total makes an answer the end of the list, while all its items come before the boundary.
    /// If a cap fell, or if a repeated last page was cut, the answer is another page, from before the boundary. The
    /// total then proves nothing about the items after it. Test:
    /// `a_page_at_a_moved_offset_is_not_the_end_that_the_total_implies`.
    pub(super) fn is_another_place(&self, view: &Evidence) -> bool {
        let paging = &self.request.paging;
        let by_count = view.answer().more.is_none() && view.answer().total.is_some();
        let is_moved = paging.family == Family::Page || self.asker.ledger.repeats();
        let believed = is_moved && paging.end == EndEvidence::Unvouched;
        view.ends()
            && !view.is_from_start()
            && by_count
            && believed
            && self.draft.is_after(view)
            && !self.reaches_the_judged_end(view)
    }

    /// Returns an answer that [`KeyReader::is_another_place`] doubts, as a short answer to confirm; otherwise `None`.
    fn misplaced(&self, view: &Evidence, asked: AskedSlice) -> Option<Short> {
        let is_short = view.len() < asked.slice.size().0 as usize && asked.flipped.is_none();
        let last = view.reaches().checked_sub(1).filter(|_| is_short && self.is_another_place(view))?;
        let short = Short { slice: asked.slice, count: view.len(), last };
        self.may_doubt(&short).then_some(short)
    }

    /// Assumes that a short answer ends the list, and that the list ends before an empty answer which follows the items
    /// taken, unless the answer claims that more items follow. Under `when-cheap`, no request is spent to prove it.
    /// Test: `an_end_that_only_further_requests_show_is_flagged_where_proofs_are_to_be_cheap`.
    fn assume_end_of(&self, view: &mut Evidence) {
        let came = self.draft.last_view().is_some() || self.search.bracket.is_at(view.begins());
        let more =
            view.answer().more == Some(true) || view.answer().total.is_some_and(|total| total.value > view.begins());
        if view.short() && !view.capped() {
            view.assume_end();
        } else if view.is_empty() && view.assumed().left && came && !more && !self.request.paging.hidden {
            view.assume_nothing_beyond();
        }
    }

    /// Returns whether an answer may be a repetition of the last page, requested after the end during a search for the
    /// end. If it were taken for the end, the end would be placed at the wrong offset.
    fn may_be_repeated(&self, view: &Evidence) -> bool {
        let room = match view.answer().total {
            Some(_) => view.begins() == 0 && !view.is_from_start(),
            None => self.search.bracket.leaves_room_before(view.begins()),
        };
        room && view.ends() && self.asker.ledger.repeats() && self.draft.seeks_the_end() && self.draft.len() == 0
    }

    /// Notes the offset at which the list is expected to end, and the length of the longest run of ties.
    pub(super) fn note(&mut self, view: &Evidence) {
        self.asker.sizes.profile.run = self.asker.sizes.profile.run.max(view.longest_run());
        if !view.is_empty() && !view.short() {
            // A short page may have a smaller size than requested, and then its place isn't known.
            self.ending.seen_to = self.ending.seen_to.max(view.shown_to());
        }
        if !view.is_empty() && (view.ends() || view.short()) && !view.capped() {
            self.ending.seen = Some(view.shown_to());
        } else if view.is_empty() && !self.request.paging.hidden {
            self.ending.seen = Some(self.ending.seen.unwrap_or(u64::MAX).min(view.begins()));
        }
    }

    /// Suspects a silent cap if an answer is short although more items follow. Either the answer itself claims that, or
    /// the answer that was to confirm its end has shown it.
    fn suspect(&mut self, view: &Evidence, confirming: bool) {
        let capped = |count: usize| u32::try_from(count.max(2)).ok();
        // A count may be too high by the number of items that were deleted between the count and the slice, so a small
        // excess suggests no cap.
        let counted = view.answer().total.is_none_or(|total| total.value > view.reaches() + OVERTAKEN_COUNT);
        if view.capped() && counted && !confirming && !self.request.paging.leaves_out {
            self.asker.sizes.assumed_cap = capped(view.len().max(self.asker.ledger.honoured().by_page() as usize));
        }
        if let Some(Doubt { short, .. }) =
            self.ending.doubted.filter(|it| confirming && view.reaches() > it.short.last + 1)
        {
            self.refute_cap();
            self.asker.sizes.assumed_cap = capped(short.count.max(self.asker.ledger.honoured().by_page() as usize));
            // More items came after the short answer, so larger sizes are no longer honoured. Test:
            // `a_walk_forgets_sizes_that_are_honoured_no_more`.
            self.asker.fell_to(u32::try_from(short.count).unwrap_or(u32::MAX));
        }
    }

    pub(super) fn views(&self, pairs: Vec<(AskedSlice, Answer)>) -> Vec<(AskedSlice, Result<Evidence, Unsorted>)> {
        pairs.into_iter().map(|(asked, answer)| (asked, self.view(answer, asked))).collect()
    }

    pub(super) fn view(&self, answer: Answer, asked: AskedSlice) -> Result<Evidence, Unsorted> {
        let AskedSlice { slice, flipped, assumed } = asked;
        let mut view = match flipped {
            Some(total) => Evidence::of_flipped(slice, answer, total, self.terms(), &self.asker.ledger)?,
            None => Evidence::of(slice, answer, self.terms(), &self.asker.ledger)?,
        };
        if let Some(side) = assumed.filter(|_| !self.draft.is_unchecked()) {
            view.assume_edge(side);
        }
        Ok(view)
    }

    /// Returns the terms of the list by which evidence is made.
    pub(super) fn terms(&self) -> ListTerms<'_> {
        ListTerms { order: &self.request.order, paging: &self.request.paging, unchecked: self.draft.is_unchecked() }
    }

    /// Continues after an answer whose edge cuts a run of ties. If the answer is short, it may be the end, which closes
    /// its last run.
    async fn cut(&mut self, cut: Cut, short: Option<Short>, seen: (Slice, Box<Evidence>)) -> KeyNext {
        let is_widened = self.cut.as_ref() == Some(&cut);
        // A chain also shows the beginning of a run where no larger answer can. Test:
        // `a_list_whose_keys_come_once_has_no_long_runs`.
        if self.request.paging.hidden && (cut.right || is_widened || self.whole_run(&cut).is_none()) {
            return self.cut_among_hidden(&cut, seen.0, seen.1.reaches());
        }
        if cut.right
            && !cut.left
            && let Some(short) = short.filter(|short| self.may_doubt(short))
        {
            (self.cut, self.asker.searching) = (None, true);
            return self.doubt(short, cut.needed.start, Held::Here(seen.1)).await;
        }
        if is_widened {
            return self.tie_run(&cut, Some(seen));
        }
        self.widen(cut)
    }

    /// Returns the turn that requests the whole of a run of ties that was cut. If the same cut was widened already,
    /// continues as `tie_run` does.
    pub(super) fn widen(&mut self, cut: Cut) -> KeyNext {
        if self.cut.as_ref() == Some(&cut) {
            return self.tie_run(&cut, None);
        }
        self.asker.searching = true;
        self.search.bracket = Bracket::default();
        self.cut = Some(cut);
        Ok(KeyTurn::Window)
    }
}
