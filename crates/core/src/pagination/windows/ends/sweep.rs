//! The sweep: a plain reading of neighbouring slices, for a page that the search by keys can't place.
//!
//! In a list whose rows are left out after the limit, offsets, sizes and short answers contradict one another, and the
//! search gives up. The sweep only relies on keys: it goes to a slice that begins at or before the boundary, and reads
//! on without a hole until an answer shows an item beyond it.

use super::{
    super::take::look_at,
    EndVerdict, KeyNext, KeyReader, KeyTurn, SupposedEnd,
    facts::{self, MoreClaims, NearSide},
};
use crate::pagination::{
    answer::{Answer, Standing},
    direction::Way,
    judge::{draft::Boundary, end::Witness, evidence::loose},
    limits::{END_LOOKS, SWEEP_EMPTY, SWEEP_STEPS, SWEEPS},
    order::Order,
    paging::Family,
    position::Anchor,
    refusal::Refusal,
    rows,
    slices::{AskedSlice, Halt},
    upstream::Stop,
};

impl KeyReader<'_> {
    /// Returns the turn that reads on by a sweep instead of a refusal.
    ///
    /// # Errors
    ///
    /// The refusal, if a sweep doesn't help: the page isn't read by proofs, no answer was short, or the budget is
    /// spent.
    pub(in crate::pagination::windows) async fn sweep_instead(&mut self, refusal: Refusal) -> KeyNext {
        let is_lost = matches!(refusal, Refusal::PositionLost { .. } | Refusal::BudgetExceeded | Refusal::TooDeep);
        if !is_lost || !self.may_sweep() {
            return Err(Stop::Refused(refusal).into());
        }
        self.asker.searching = true;
        if self.asker.left() == 0 {
            return Err(Stop::Refused(refusal).into());
        }
        self.claimed.sweeps += 1;
        // The page goes on after its last item. Test: `items_that_stay_in_a_changing_list_are_served_once_and_in_order`.
        if self.draft.claims_the_end()
            && self.draft.way() == Way::Forward
            && let Err(unsorted) = self.draft.reopen()
        {
            return Err(self.contradicted(unsorted));
        }
        if self.claimed.sweeps > 1 {
            // Everything was read again, so an item that only an earlier answer shows was removed meanwhile.
            self.seen.forget();
        }
        self.search = Default::default();
        (self.cut, self.asker.sizes.assumed_cap) = (None, None);
        let outcome = match self.draft.boundary().clone() {
            Boundary::Start => self.sweep_on(None).await,
            Boundary::After { anchor, .. } => self.sweep_on(Some(anchor)).await,
            Boundary::Before { anchor, .. } => self.sweep_back(anchor).await,
            Boundary::At(_) | Boundary::Tail => Ok(None),
        };
        self.asker.probe(false);
        match outcome? {
            Some(turn) => Ok(turn),
            None => Err(Stop::Refused(self.after_sweep(refusal)).into()),
        }
    }

    /// Returns a refusal after a sweep in vain. The sweep's answers may show that the list is shorter than the place that
    /// it names. Regression: `crates/sim/regressions/the-nearest-place-after-a-sweep-back.txt`.
    fn after_sweep(&self, refusal: Refusal) -> Refusal {
        match refusal {
            Refusal::PositionLost { .. } => Refusal::PositionLost { nearest: self.nearest() },
            other => other,
        }
    }

    /// Returns whether a sweep may read the page: by proofs, and if an answer was short.
    pub(in crate::pagination::windows) fn may_sweep(&self) -> bool {
        self.judges_ends()
            && self.request.paging.family != Family::Token
            && !self.contradictions.are_repeated()
            && self.claimed.sweeps < SWEEPS
            && !matches!(self.draft.boundary(), Boundary::At(_) | Boundary::Tail)
            && (self.request.paging.leaves_out || (self.seen.shows_gap() && !loose(&self.request.order)))
    }

    /// Returns whether a sweep reads the page better than the search: rows that are left out make offsets, sizes and caps
    /// contradict one another. Where only answers show such rows, a search towards the start that has taken half of its
    /// requests leaves the others to a sweep. A last page that comes again is no answer of its place, so it shows none.
    /// Test: `a_page_back_over_rows_left_out_in_silence_is_read_by_a_sweep`.
    pub(in crate::pagination::windows) fn should_sweep(&self) -> bool {
        let is_vain = || {
            self.draft.way().is_backward()
                && self.asker.is_half_spent()
                && !self.asker.ledger.repeats()
                && self.seen.shows_gap_below_caps()
        };
        (self.request.paging.leaves_out || is_vain()) && self.may_sweep()
    }

    /// Returns the turn that reads on by a sweep. A last page with all its items still lacks the item before them, so it
    /// isn't judged yet. Regression: `crates/sim/regressions/a-last-page-that-a-sweep-cuts-off.txt`.
    pub(in crate::pagination::windows) async fn sweep_now(&mut self) -> KeyNext {
        if !self.draft.claims_the_end() {
            return Ok(KeyTurn::End);
        }
        let nearest = self.nearest();
        self.sweep_instead(Refusal::PositionLost { nearest }).await
    }

    /// Reads on from a slice that begins at or before the boundary after `anchor`, or from the start.
    async fn sweep_on(&mut self, anchor: Option<Anchor>) -> Result<Option<KeyTurn>, super::KeyHalt> {
        let size = self.look_size();
        let order = std::sync::Arc::clone(&self.request.order);
        let mut place = if anchor.is_some() { self.draft.offset().saturating_sub(1) } else { 0 };
        let mut stride = u64::from(size);
        // The bound: each step goes twice as far towards the start.
        let (mut asked, mut answer) = loop {
            let Some((asked, answer)) = self.look(self.window_at(place, size)).await? else { return Ok(None) };
            let begins = asked.slice.begins().0;
            let is_before = anchor.as_ref().is_some_and(|anchor| begins_before(&answer, &order, anchor));
            if begins == 0 || is_before {
                break (asked, answer);
            }
            place = begins.saturating_sub(stride);
            stride = stride.saturating_mul(2);
        };
        let (mut near, mut came) = (NearSide::of(asked, &answer), asked.slice.begins().0);
        // Opaque values have no order of their own: until an answer shows the boundary's item, the items with other
        // values come before it. Regression: `crates/sim/regressions/a-sweep-towards-an-opaque-value.txt`.
        let is_opaque = anchor.as_ref().is_some_and(|anchor| rows::opaque_at(&order, anchor).is_some());
        let (mut is_met, mut empty) = (anchor.is_none(), 0);
        // The bound: each step covers rows after the one before.
        for _ in 0..SWEEP_STEPS {
            let has_item = anchor.as_ref().is_some_and(|anchor| facts::has_item(&answer, &order, anchor));
            let begins_near = |anchor| begins_before(&answer, &order, anchor);
            let is_near = (is_opaque && has_item) || anchor.as_ref().is_some_and(begins_near);
            is_met |= has_item;
            let is_blind = is_opaque && !is_met;
            if !is_blind && self.shows_beyond(&answer, anchor.as_ref()) {
                let Ok(view) = self.view(answer, asked) else { return Ok(None) };
                if is_near || view.is_from_start() {
                    return Ok(Some(look_at(asked, view, Witness::None)));
                }
                return self.join_sides(near, (asked, view), Way::Forward).await.map(Some);
            }
            let covered = self.covered_to(asked, &answer);
            if is_near {
                near = NearSide::of(asked, &answer);
                came = asked.slice.begins().0.saturating_add(answer.items.len() as u64);
            }
            // All rows of an empty answer may be left out: until an answer has shown the boundary's item, the items
            // after it may still come before the boundary. Regression:
            // `crates/sim/regressions/a-sweep-over-an-empty-page.txt`.
            empty = if answer.items.is_empty() { empty + 1 } else { 0 };
            // Before the place of that item, empty answers say nothing about the end either. Regression:
            // `crates/sim/regressions/a-sweep-among-empty-pages-from-the-start.txt`.
            let is_reached = is_met || covered >= self.draft.offset();
            let is_over =
                answer.standing == Standing::PastEnd || (is_reached && empty > if is_met { 0 } else { SWEEP_EMPTY });
            if is_over && is_blind {
                return Ok(None);
            }
            if is_over {
                return self.sweep_to_the_end(near, (anchor, came, covered)).await;
            }
            let Some(next) = self.look(self.window_at(covered, size)).await? else { return Ok(None) };
            let comes_again = self.comes_again_in(asked, &answer, &next).await?;
            if comes_again && is_blind {
                return Ok(None);
            }
            if comes_again {
                return self.sweep_to_the_end(near, (anchor, came, covered)).await;
            }
            if next.0.slice.begins().0 <= asked.slice.begins().0 || next.1.standing == Standing::Refused {
                return Ok(None);
            }
            (asked, answer) = next;
        }
        Ok(None)
    }

    /// Returns whether the list repeats a page after its end, as the next answer of the sweep shows. Answers to slices
    /// that overlap may have the same items because the others of their rows are left out. Test:
    /// `a_silent_cap_among_hidden_rows_skips_no_visible_row`.
    async fn comes_again_in(
        &mut self,
        asked: AskedSlice,
        answer: &Answer,
        next: &(AskedSlice, Answer),
    ) -> Result<bool, super::KeyHalt> {
        let is_same = |other: &Answer| !other.items.is_empty() && facts::digest(other) == facts::digest(answer);
        let end = facts::end_of(asked.slice);
        if !is_same(&next.1) || next.0.slice.begins().0 >= end {
            return Ok(is_same(&next.1));
        }
        let apart = self.look(self.window_at(end, asked.slice.size().0)).await?;
        Ok(apart.is_some_and(|(_, apart)| is_same(&apart)))
    }

    /// Judges the end after an anchor, beyond which the sweep found no item.
    async fn sweep_to_the_end(
        &mut self,
        near: NearSide,
        place: (Option<Anchor>, u64, u64),
    ) -> Result<Option<KeyTurn>, super::KeyHalt> {
        let (last, came, covered) = place;
        let is_at_start = last.is_none();
        let size = self.look_size_beside(near.slice);
        let end = SupposedEnd {
            last: last.clone(),
            came,
            near: covered,
            covered,
            passed: self.passed(),
            size,
            ..SupposedEnd::default()
        };
        let supposed = end.clone();
        let verdict = match self.verdict_on(end).await {
            // The budget is spent, and the sweep has shown no item beyond: the end is served, and marked.
            Err(Halt::Stop(Stop::Refused(Refusal::BudgetExceeded))) if !self.is_open(&supposed) => {
                EndVerdict::Doubted(self.doubted(&supposed, MoreClaims::default()))
            }
            verdict => verdict?,
        };
        match verdict {
            EndVerdict::Beyond(asked, answer) => {
                let Ok(view) = self.view(*answer, asked) else { return Ok(None) };
                // The gap has items up to the last one. Test: `gaps_by_page_are_crossed_at_every_limit`.
                let shown = self.seen.near_side(&self.request.order, last.as_ref());
                let near = shown.filter(|shown| shown.slice.begins() > near.slice.begins()).unwrap_or(near);
                self.join_sides(near, (asked, view), Way::Forward).await.map(Some)
            }
            EndVerdict::Cut { count, asked } => {
                self.claimed.refuted += 1;
                self.read_in_smaller_slices(count, asked).map(Some)
            }
            // A list without items has no page after an item.
            EndVerdict::Over | EndVerdict::Doubted(_) if is_at_start && self.draft.len() == 0 => Ok(None),
            // The last page must be read on towards the start, which a sweep to the end doesn't. Test:
            // `crates/sim/regressions/a-last-page-of-a-list-that-shrinks.txt`.
            EndVerdict::Over | EndVerdict::Doubted(_) if self.draft.is_the_last_page() && !self.draft.is_full() => {
                Ok(None)
            }
            verdict => {
                // If no answer has an item, the list is empty. Regression:
                // `crates/sim/regressions/an-emptied-list-among-hidden-rows.txt`.
                match self.seen.shown_end() {
                    Some(_) => self.draft.end_after_the_last(),
                    None => self.draft.end_of_nothing(),
                }
                let doubt = if let EndVerdict::Doubted(doubt) = verdict { Some(doubt) } else { None };
                Ok(Some(self.serve_end(doubt)))
            }
        }
    }

    /// Reads back from a slice that reaches the boundary before `anchor`.
    async fn sweep_back(&mut self, anchor: Anchor) -> Result<Option<KeyTurn>, super::KeyHalt> {
        let size = self.look_size();
        let order = std::sync::Arc::clone(&self.request.order);
        let Some((mut asked, mut answer)) = self.look_for_near_side(&anchor, size).await? else { return Ok(None) };
        let mut near = NearSide::of(asked, &answer);
        // The bound: each step covers rows before the one before.
        for _ in 0..SWEEP_STEPS {
            let begins = asked.slice.begins().0;
            let is_near = facts::ends_at_or_after(&answer, &order, &anchor);
            // Opaque values give an item no place, but the items of an answer that doesn't reach the near side come
            // before it all the same. Regression: `crates/sim/regressions/a-row-between-opaque-values.txt`.
            let is_far = !is_near && !answer.items.is_empty();
            if is_far || facts::shows_before(&answer, &order, &anchor) || begins == 0 {
                let Ok(view) = self.view(answer, asked) else { return Ok(None) };
                if is_near {
                    return Ok(Some(look_at(asked, view, Witness::None)));
                }
                return self.join_sides(near, (asked, view), Way::Backward).await.map(Some);
            }
            if is_near {
                near = NearSide::of(asked, &answer);
            }
            // An answer covers no more rows than answers of the walk have items, so the next slice begins no farther
            // before this one. Its other rows overlap, and may show the near side once more.
            let step = match self.request.paging.family {
                Family::Offset => self.rows_of_a_look().max(2).min(size),
                _ => size,
            };
            let slice = self.window_at(begins.saturating_sub(u64::from(step)), size);
            let Some(next) = self.look(slice).await? else { return Ok(None) };
            let reaches = self.covered_to(next.0, &next.1);
            if next.0.slice.begins().0 >= begins || reaches < begins || next.1.standing != Standing::Listed {
                return Ok(None);
            }
            (asked, answer) = next;
        }
        Ok(None)
    }

    /// Looks for an answer that reaches the boundary before `anchor`: from the expected place towards the end, and then
    /// towards the start, because the place of an item after a gap is only known roughly.
    async fn look_for_near_side(
        &mut self,
        anchor: &Anchor,
        size: u32,
    ) -> Result<Option<(AskedSlice, Answer)>, super::KeyHalt> {
        let order = std::sync::Arc::clone(&self.request.order);
        let expected = self.draft.offset();
        let (mut place, mut stride, mut empty, mut reached) = (expected, u64::from(size), 0, None);
        // The bound: each step goes twice as far towards the end, until the budget is spent, or the end is passed.
        while let Some((asked, answer)) = self.look(self.window_at(place, size)).await? {
            if facts::ends_at_or_after(&answer, &order, anchor) {
                return Ok(Some((asked, answer)));
            }
            empty += u32::from(answer.items.is_empty());
            if answer.standing != Standing::Listed || empty > END_LOOKS[1].1 {
                break;
            }
            let begins = asked.slice.begins().0;
            if let Some(reached) = reached.filter(|reached| answer.items.is_empty() && *reached < begins) {
                // The step may have gone past the item of `anchor`. Test:
                // `a_page_back_is_found_between_two_steps_to_the_end`.
                (place, stride) = (reached, u64::from(size));
                continue;
            }
            if reached.is_some() || !answer.items.is_empty() {
                reached = Some(self.covered_to(asked, &answer));
            }
            place = begins.saturating_add(stride);
            stride = stride.saturating_mul(2);
        }
        (place, stride) = (expected, u64::from(size));
        // The bound: each step goes twice as far towards the start.
        while place > 0 {
            let end = place;
            place = place.saturating_sub(stride);
            stride = stride.saturating_mul(2);
            let Some((mut asked, mut answer)) = self.look(self.window_at(place, size)).await? else { break };
            let is_before = !answer.items.is_empty();
            // The bound: each look covers rows after the one before.
            while !facts::ends_at_or_after(&answer, &order, anchor) {
                let covered = self.covered_to(asked, &answer);
                if !is_before || covered >= end {
                    break;
                }
                match self.look(self.window_at(covered, size)).await? {
                    Some(next) if next.0.slice.begins() > asked.slice.begins() => (asked, answer) = next,
                    _ => return Ok(None),
                }
            }
            if facts::ends_at_or_after(&answer, &order, anchor) {
                return Ok(Some((asked, answer)));
            }
            if is_before {
                break;
            }
        }
        Ok(None)
    }

    fn covered_to(&self, asked: AskedSlice, answer: &Answer) -> u64 {
        // Where answers are cut, an answer covers the rows of its items alone.
        let is_offset = self.request.paging.family == Family::Offset;
        if is_offset && self.asker.sizes.are_answers_cut && !answer.items.is_empty() {
            return asked.slice.begins().0.saturating_add(answer.items.len() as u64);
        }
        let is_full = answer.items.len() >= asked.slice.size().0 as usize;
        facts::covered_by(asked.slice, self.rows_of_a_look().max(2), is_full)
    }
}

/// Returns whether an answer begins at or before the place after an anchor. Ties in any order may come before the anchor's
/// item, so the answer must then begin before their run. Regression:
/// `crates/sim/regressions/a-sweep-from-within-a-run.txt`.
fn begins_before(answer: &Answer, order: &Order, anchor: &Anchor) -> bool {
    if !loose(order) {
        return facts::begins_at_or_before(answer, order, anchor);
    }
    !answer.items.is_empty() && rows::relate(answer, order, 0, anchor).is_some_and(|relation| relation.strong.is_lt())
}
