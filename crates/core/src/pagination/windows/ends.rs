//! The end of the list, before a page claims it.
//!
//! A reader supposes an end where an answer is short or brings nothing new. This is the strongest claim of all: a
//! client can't see that it is false. So the end counts only if no answer of the request shows an item beyond it, and
//! if each statement that more items follow is refuted in its own way:
//!
//! - A *place*, which is a total beyond the offset that was looked at, by a look at everything up to it.
//! - A *flag* (or a link), by what it says far beyond every end: if it says the same there, it says nothing. If it says
//!   something else there, the edge in between is searched, and everything up to the edge is looked at.
//! - A *count* above the number of items that the walk has passed, only by the flipped list, whose first item is the
//!   last one, or by the dialect, which may say that totals count rows.
//!
//! A statement that agrees with the end confirms it only if it has spoken of more than its own answer: "the page is
//! full" and the number of items of one answer agree with every end.
//!
//! If rows are left out after the limit is applied, the items go on after a gap. The gap is crossed without a hole,
//! towards something that is known: an item, a named place, or an edge. Both sides of the gap are then joined, and the
//! page is `checked`. A total or a place that stays unrefuted marks the end as doubted: a total that is too high for
//! good and an upstream that shows only the beginning of its list give the same answers.

mod crossing;
mod cuts;
mod facts;
mod looks;
mod refutation;
mod sweep;

use std::sync::Arc;

use cuts::Behind;
use facts::{AnswerUpTo, LookSizes, MoreSaid};
use looks::LookResult;
use refutation::Refuted;

use super::{AskedSlice, KeyHalt, KeyNext, KeyReader, KeyTurn, take::look_at};
use crate::pagination::{
    answer::Answer,
    direction::Way,
    judge::{
        draft::{Boundary, Ground},
        end::Witness,
        evidence::{Evidence, loose},
    },
    limits::{END_BASE_PAGES, END_REFUTATIONS},
    page::{DoubtedEnd, Page},
    paging::{CountedThings, EndEvidence, Family, Sizes},
    plan,
    position::{Anchor, Position, WalkFacts},
    refusal::Refusal,
    rows,
    slices::{SliceReader as _, Unasked},
    window::Slice,
};

pub(super) use facts::SeenAnswers;
pub(in crate::pagination) use facts::{MoreClaims, Witnesses};

/// The state of the end that a page claims.
#[derive(Debug, Default)]
pub(super) struct ClaimedEnd {
    /// True once the end that the page claims was judged.
    pub(super) is_judged: bool,
    /// The claim that the list goes on, if it couldn't be refuted.
    pub(super) doubt: Option<DoubtedEnd>,
    /// The number of claimed ends that were refuted.
    pub(super) refuted: u32,
    /// True if the reader supposes the end, without an answer that shows it.
    pub(super) is_supposed: bool,
    /// The end from which a page is read backward, once it was judged.
    leaning: Option<JudgedEnd>,
    /// The number of sweeps of the page.
    pub(super) sweeps: u32,
}

impl ClaimedEnd {
    /// Returns whether another claimed end may be refuted.
    pub(super) fn may_be_refuted(&self) -> bool {
        self.refuted < END_REFUTATIONS
    }
}

/// An end that was judged.
#[derive(Clone, Debug)]
struct JudgedEnd {
    /// The last item of the list.
    last: Anchor,
    /// The expected offset after that item.
    came: u64,
}

/// The number of rows of a look that is small: beginning it a row earlier would leave out much of what it reaches.
const FEW_ROWS: u32 = 4;

/// The conclusion about an end that a page claims.
#[derive(Debug)]
enum EndVerdict {
    /// The list ends there.
    Over,
    /// The list ends there as far as requests can show, but a count or a flag says that it goes on.
    Doubted(DoubtedEnd),
    /// This answer to this slice shows an item beyond, and everything in between was looked at.
    Beyond(AskedSlice, Box<Answer>),
    /// The answer that seemed to end the list, with `count` items of `asked`, was cut.
    Cut { count: usize, asked: usize },
}

/// The end that is judged.
#[derive(Clone, Debug, Default)]
struct SupposedEnd {
    /// The item after which the list is supposed to end; `None` for a list without items.
    last: Option<Anchor>,
    /// The expected offset after that item.
    came: u64,
    /// The offset up to which the answer with that item covers the rows.
    near: u64,
    /// The offset up to which rows were looked at without a hole.
    covered: u64,
    /// The number of items that the walk has passed; `None` if the walk didn't begin at the start.
    passed: Option<u64>,
    /// The size of a look.
    size: u32,
    /// True once rows that were seen were looked at again in a larger answer.
    is_wide: bool,
    /// True once the rows right after the last item were looked at.
    is_looked_behind: bool,
    /// True once the last items came again at places after them.
    comes_again: bool,
    /// True if the flipped list begins with an item after the last one.
    is_refuted: bool,
}

impl KeyReader<'_> {
    /// Judges the end that the page claims. Returns the turn that serves the page, or that reads on if an item follows.
    pub(super) async fn judge_end(&mut self) -> KeyNext {
        self.asker.searching = true;
        if !self.draft.claims_the_end() {
            let nearest = self.nearest();
            return self.sweep_instead(Refusal::PositionLost { nearest }).await;
        }
        if let Some(turn) = self.read_nothing_again().await? {
            return Ok(turn);
        }
        let verdict = self.verdict().await;
        self.asker.probe(false);
        match verdict? {
            EndVerdict::Over => Ok(self.serve_end(None)),
            EndVerdict::Doubted(doubt) => Ok(self.serve_end(Some(doubt))),
            EndVerdict::Beyond(asked, answer) => self.go_on_beyond(asked, *answer).await,
            EndVerdict::Cut { count, asked } => {
                self.claimed.refuted += 1;
                if let Err(unsorted) = self.draft.reopen() {
                    return Err(self.contradicted(unsorted));
                }
                self.progressed();
                self.read_in_smaller_slices(count, asked)
            }
        }
    }

    /// Serves the page as one that ends the list, unless the next page can look farther. An end with a doubt is marked.
    fn serve_end(&mut self, doubt: Option<DoubtedEnd>) -> KeyTurn {
        match doubt {
            Some(doubt) if self.goes_on_by_filter(doubt) => self.draft.goes_on(),
            doubt => self.claimed.doubt = doubt,
        }
        self.claimed.is_judged = true;
        KeyTurn::Serve { cut_off: false }
    }

    /// Returns whether the next page can look farther than this one: it is filtered from this page's last item, and the
    /// doubt is a total that names a place beyond the depth that the upstream serves. A total that the page has reached
    /// leaves no doubt. Regressions: `crates/sim/regressions/an-end-beyond-the-depth-of-a-filtered-list.txt`,
    /// `…/a-start-beyond-the-depth-of-a-flipped-list.txt`.
    fn goes_on_by_filter(&self, doubt: DoubtedEnd) -> bool {
        let named = doubt.said.unwrap_or(0);
        self.ground == Ground::Filtered
            && self.draft.is_full()
            && plan::reach_of(&self.request.paging).is_some_and(|reach| named > reach)
    }

    /// Requests the start of the list once more, if an answer without items shows that the list is empty, although the
    /// cursor names an item: a single empty answer may be a lapse of the upstream. Returns the turn that reads on;
    /// `None` if the list is empty. Test: the world `lapse` of the simulator's family `ends`.
    async fn read_nothing_again(&mut self) -> Result<Option<KeyTurn>, KeyHalt> {
        let names_item = matches!(self.request.target.position, Position::After(_) | Position::Before(_));
        if !names_item || !self.draft.is_nothing() || !self.claimed.may_be_refuted() {
            return Ok(None);
        }
        let Some(slice) = self.draft.last_view().map(Evidence::slice) else { return Ok(None) };
        let Some((asked, answer)) = self.look(slice).await?.filter(|(_, answer)| !answer.items.is_empty()) else {
            return Ok(None);
        };
        self.claimed.refuted += 1;
        let view = self.draft.reopen().and_then(|()| self.view(answer, asked));
        match view {
            Ok(view) => Ok(Some(look_at(asked, view, Witness::None))),
            Err(unsorted) => Err(self.contradicted(unsorted)),
        }
    }

    /// Returns whether the page's ends are judged: only those of a proven page are.
    pub(super) fn judges_ends(&self) -> bool {
        !self.draft.is_unchecked() && self.flagged.is_none() && !self.request.leaves_out_costly_proofs()
    }

    /// Returns whether the end must be judged before the page is served.
    pub(super) fn must_judge_end(&self) -> bool {
        self.judges_ends() && !self.claimed.is_judged && self.draft.claims_the_end() && !self.lets_nothing_through()
    }

    /// Returns whether not even the item from which the filter starts passes it. Such a filter shows no end: the page is
    /// read from the whole list instead. Test: `a_filter_that_never_helps_is_reported_and_given_up`.
    fn lets_nothing_through(&self) -> bool {
        self.ground == Ground::Filtered
            && matches!(self.request.target.position, Position::After(_))
            && self.draft.last_view().is_none_or(Evidence::is_empty)
    }

    /// Returns whether a page that is read backward from an item begins at an end of the list that an answer shows, and
    /// this end isn't judged yet. All items of the answer come before the item.
    pub(super) fn must_judge_leaning(&self, view: &Evidence) -> bool {
        self.judges_ends()
            && self.claimed.leaning.is_none()
            && self.draft.way() == Way::Backward
            && view.ends()
            && !self.is_vouched_by(view)
            && matches!(self.draft.boundary(), Boundary::Before { anchor, .. }
                if facts::ends_before(view.answer(), &self.request.order, Some(anchor)))
    }

    /// Judges the end at which a page that is read backward begins. Otherwise the items between that end and the
    /// cursor's item would be skipped. Test: `a_page_back_over_left_out_rows_is_read_at_every_limit`.
    pub(super) async fn judge_leaning(&mut self, asked: AskedSlice, view: Evidence) -> KeyNext {
        self.asker.searching = true;
        let order = Arc::clone(&self.request.order);
        let last = view.len().checked_sub(1).and_then(|place| view.anchor(&order, place));
        let came = view.offset(view.len());
        let size = self.look_size_beside(view.slice());
        let covered = self.covered_from(last.as_ref(), came, size);
        let leaning = last.clone().map(|last| JudgedEnd { last, came });
        let end = SupposedEnd { last: last.clone(), came, near: covered, covered, size, ..SupposedEnd::default() };
        let verdict = self.verdict_on(end).await;
        self.asker.probe(false);
        let verdict = verdict?;
        // The cursor's item is gone, or the answer was cut before it.
        let (slice, count) = (view.slice(), view.len_of_last());
        if matches!(verdict, EndVerdict::Over | EndVerdict::Doubted(_))
            && let Some(last) = last.filter(|_| count < slice.size().0 as usize)
            && self.is_cut(slice, count, &last, Behind::Nothing).await?
        {
            return self.read_in_smaller_slices(count, slice.size().0 as usize);
        }
        match verdict {
            EndVerdict::Over | EndVerdict::Doubted(_) => {
                self.claimed.leaning = leaning;
                self.draft.end_is_checked();
                Ok(look_at(asked, view, Witness::Same))
            }
            EndVerdict::Beyond(..) | EndVerdict::Cut { .. } => {
                let nearest = self.nearest();
                self.sweep_instead(Refusal::PositionLost { nearest }).await
            }
        }
    }

    /// Returns whether an answer reaches up to the end from which the page is read backward, and which was judged. The
    /// answers that confirm an end have few of the items before it, so the page is read from others, whose own facts
    /// may not suffice to show the end. Test: `a_page_before_removed_last_items_is_read_wherever_its_list_ends`. Ties in
    /// any order come apart where a cap cuts an answer, so two readings may lack the one that another answer shows.
    /// Regression: `crates/sim/regressions/a-tie-behind-an-end-on-the-way-back.txt`.
    pub(super) fn reaches_the_judged_end(&self, view: &Evidence) -> bool {
        let order = &self.request.order;
        self.draft.way() == Way::Backward
            && self.claimed.leaning.as_ref().is_some_and(|end| {
                view.reaches() == end.came
                    && facts::has_item(view.answer(), order, &end.last)
                    && !(loose(order) && self.seen.has_tie_outside(order, &end.last, view.answer()))
                    && self.draft.is_after(view)
            })
    }

    async fn verdict(&mut self) -> Result<EndVerdict, KeyHalt> {
        let end = self.supposed_end();
        if self.is_vouched() && self.seen.beyond(&self.request.order, end.last.as_ref()).is_none() {
            return Ok(EndVerdict::Over);
        }
        self.draft.end_is_checked();
        self.verdict_on(end).await
    }

    /// Judges an end. If an item is beyond, the answers so far say nothing about the end after it. Test:
    /// `no_end_contradicts_a_flag_that_spoke_beside_its_last_item`.
    async fn verdict_on(&mut self, end: SupposedEnd) -> Result<EndVerdict, KeyHalt> {
        let (doubt, last, passed) = (self.doubted(&end, MoreClaims::default()), end.last.clone(), end.passed);
        let (size, after) = (end.size, end.came..u64::MAX);
        let verdict = self.look_for_items_beyond(end).await?;
        // An answer from before a sweep may show an item beyond, before which the answers of the sweep were cut.
        if !matches!(verdict, EndVerdict::Beyond(..))
            && self.seen.has_shown_beyond(&self.request.order, last.as_ref())
            && self.is_shown_again(last.as_ref(), size).await?
        {
            return Err(self.lost());
        }
        // Nothing but an answer with both items shows on which side of the last item one of an opaque value is, so an item
        // after the end's place may be beyond it. Regression:
        // `crates/sim/regressions/an-opaque-item-after-an-end.txt`.
        let is_opaque = |last: &Anchor| rows::opaque_at(&self.request.order, last).is_some();
        if !matches!(verdict, EndVerdict::Beyond(..))
            && last.as_ref().is_some_and(is_opaque)
            && self.seen.has_unplaced(&after, &self.request.order, last.as_ref())
        {
            return Err(self.lost());
        }
        // A count of the items that the walk has passed would be higher if the answer was cut.
        let is_counted = passed.is_some() && self.seen.newest_total().map(|total| total.value) == passed;
        if !matches!(verdict, EndVerdict::Beyond(..))
            && !is_counted
            && let Some(cut) = self.cut_at(last.as_ref()).await?
        {
            return Ok(cut);
        }
        match verdict {
            EndVerdict::Over if self.was_promised_more() => Ok(EndVerdict::Doubted(doubt)),
            beyond @ EndVerdict::Beyond(..) => {
                self.know_left_out();
                Ok(beyond)
            }
            verdict => Ok(verdict),
        }
    }

    /// Returns the verdict that the answer with the last item was cut, as answers of the page may be: one was short
    /// although items came after it, or has a single item, which shows no size, or fewer than a full one that ends with the
    /// last item too, or ends before the last item.
    async fn cut_at(&mut self, last: Option<&Anchor>) -> Result<Option<EndVerdict>, KeyHalt> {
        let seen = last.and_then(|last| self.seen.answer_up_to(&self.request.order, last));
        let Some(seen) = seen else { return Ok(None) };
        let AnswerUpTo { slice, count, last, ends_before, says_more, is_short_of_a_full_one } = seen;
        let asked = slice.size().0 as usize;
        let has_gaps = self.seen.shows_gap() || self.request.paging.leaves_out;
        let is_capped = self.asker.sizes.assumed_cap.is_some();
        let may_be_cut = has_gaps || is_capped || count == 1 || is_short_of_a_full_one || ends_before;
        if !may_be_cut || count >= asked || !self.claimed.may_be_refuted() {
            return Ok(None);
        }
        // In a list that leaves out rows, the row of the last item isn't known. The answer is looked at from within if it
        // has as many items as any of the walk, or if it says that more follow, and an answer from behind it denies that.
        let is_most = count >= self.walk_facts().most as usize;
        let is_denied = says_more && self.seen.newest_more() == Some(false);
        let behind = if ends_before { Behind::Claimed } else { Behind::Nothing };
        let is_cut = self.is_cut(slice, count, &last, behind).await?
            || (has_gaps
                && !ends_before
                && (is_most || is_denied)
                && self.hides_items_behind(slice, count, &last).await?);
        Ok(is_cut.then_some(EndVerdict::Cut { count, asked }))
    }

    async fn look_for_items_beyond(&mut self, mut end: SupposedEnd) -> Result<EndVerdict, KeyHalt> {
        self.comes_again(&mut end);
        // An item beyond, in any answer of this request.
        if let Some(shown) = self.seen.beyond(&self.request.order, end.last.as_ref()) {
            if let Some((asked, answer)) = self.cross_in_seen_sizes(&mut end, facts::end_of(shown)).await? {
                return Ok(EndVerdict::Beyond(asked, Box::new(answer)));
            }
            // If all rows up to the item were looked at, it was removed meanwhile, unless an answer shows it again: then
            // it has moved, and no answer leads to it.
            if end.covered < facts::end_of(shown) || self.is_shown_again(end.last.as_ref(), end.size).await? {
                return Err(self.lost());
            }
        }
        if self.is_free(&end) || self.is_confirmed_alone(&end).await? {
            return Ok(EndVerdict::Over);
        }
        // The bound: each turn crosses to a place that is farther than the one before.
        for _ in 0..END_REFUTATIONS {
            if let Some((asked, answer)) = self.look_behind(&mut end).await? {
                return Ok(EndVerdict::Beyond(asked, Box::new(answer)));
            }
            if self.is_settled(&end) {
                return Ok(EndVerdict::Over);
            }
            // Under a silent cap, pages by number begin before their places, and show nothing about the rows there.
            // Test: `a_page_at_a_moved_offset_is_not_the_end_that_the_total_implies`.
            // An offset is its place, so there the last page once more shows the end.
            if self.claimed.is_supposed
                && self.said_after(&end).is_none()
                && !self.seen.repeats_after(end.came, &self.request.order, end.last.as_ref())
                && !self.seen.ends_alone(end.came, &self.request.order, end.last.as_ref())
            {
                // A look that holds the last item too may be all that was asked: the rows after it are then unseen.
                // Test: `the_end_of_a_page_with_hidden_rows_is_shown_by_the_page_after_it`.
                let (place, size) = (end.covered, end.size);
                if let LookResult::Item(asked, answer) = self.sight(&mut end, place, size).await? {
                    return Ok(EndVerdict::Beyond(asked, Box::new(answer)));
                }
                if self.said_after(&end).is_none() {
                    return Err(self.lost());
                }
                continue;
            }
            let towards = match self.refute(&mut end).await? {
                Refuted::Over => return Ok(EndVerdict::Over),
                Refuted::Item(asked, answer) => return Ok(EndVerdict::Beyond(asked, answer)),
                Refuted::Doubted(doubt) => return Ok(EndVerdict::Doubted(doubt)),
                Refuted::Towards(place) => place,
            };
            let before = end.covered;
            if let Some((asked, answer)) = self.cross(&mut end, towards).await? {
                return Ok(EndVerdict::Beyond(asked, Box::new(answer)));
            }
            if end.covered == before {
                // Looks are larger than the depth limit leaves room for, although the place that is named is within it.
                // Regression: `crates/sim/regressions/a-supposed-end-at-a-depth-limit.txt`.
                let is_within = plan::reach_of(&self.request.paging).is_some_and(|reach| towards <= reach);
                if self.claimed.is_supposed && is_within {
                    return Err(self.lost());
                }
                break;
            }
        }
        // An item beyond was seen meanwhile, or begins the flipped list, and no look leads to it. Test: the bound of the
        // simulator's family `ends` for items that come again on the way back.
        let beyond = self.seen.beyond(&self.request.order, end.last.as_ref());
        if end.is_refuted || beyond.is_some_and(|shown| end.covered < facts::end_of(shown)) {
            return Err(self.lost());
        }
        let claims = self.claims(&end);
        Ok(EndVerdict::Doubted(self.doubted(&end, claims)))
    }

    /// Returns whether the dialect vouches for the evidence of the end: for a flag of the slice, for short answers, or
    /// for a list that leaves out no rows, if the walk has seen a larger size honoured. A statement that more items
    /// follow revokes that.
    fn is_vouched(&self) -> bool {
        match self.draft.view_of_last() {
            Some(view) => self.is_vouched_by(view),
            None => match self.request.paging.end {
                EndEvidence::Flag => self.seen.newest_more() == Some(false) && !self.is_more_promised_beside_last(),
                EndEvidence::ShortPage => self.seen.newest_more() != Some(true),
                EndEvidence::Unvouched | EndEvidence::Token => false,
            },
        }
    }

    /// Returns whether an answer that ends with the last item says that more follow. If an answer without items denies
    /// that, it may be from elsewhere than right after the last item: under a silent cap, pages of two sizes aren't
    /// neighbours. Regression: `crates/sim/regressions/an-end-elsewhere-than-beside-its-last-item.txt`.
    fn is_more_promised_beside_last(&self) -> bool {
        let last = self.draft.last_before_the_end();
        let seen = last.and_then(|last| self.seen.answer_up_to(&self.request.order, &last));
        seen.is_some_and(|seen| !seen.ends_before && seen.says_more)
    }

    fn is_vouched_by(&self, view: &Evidence) -> bool {
        let paging = &self.request.paging;
        let (answer, asked) = (view.answer(), view.slice().size().0);
        let more = answer.more == Some(true);
        let count = u32::try_from(view.len_of_last()).unwrap_or(u32::MAX);
        let is_short = count < asked.min(answer.size.unwrap_or(u32::MAX));
        match paging.end {
            EndEvidence::Flag if answer.more == Some(false) => true,
            EndEvidence::ShortPage => is_short && !more,
            _ => paging.complete && is_short && !more && count < self.asker.ledger.honoured().size_beyond_start(),
        }
    }

    fn supposed_end(&self) -> SupposedEnd {
        let last = self.draft.last_before_the_end();
        let taken = self.draft.view_of_last().map(Evidence::slice);
        // Without an item of the page, only the cursor says where its item is, and an answer that shows this item knows
        // better. Test: `crates/sim/regressions/an-end-where-only-the-cursor-says-it-is.txt`.
        let is_believed = taken.is_none();
        let (came, beside) = match self.seen.shown_to(&self.request.order, last.as_ref()) {
            Some((offset, slice)) if offset > self.draft.reached() || is_believed => (offset, Some(slice)),
            // An empty list has no place. Test: `pages_that_are_counted_from_another_number_show_no_empty_list`.
            _ if self.draft.is_nothing() => (0, taken),
            _ => (self.draft.reached(), taken),
        };
        let size = beside.map_or_else(|| self.look_size(), |slice| self.look_size_beside(slice));
        let passed = self.passed();
        // The total of a filtered answer counts the items of the filter, from its start.
        let is_from_start = self.draft.view_of_last().is_some_and(Evidence::is_from_start);
        let passed = if self.ground != Ground::Whole && is_from_start { Some(came) } else { passed };
        let covered = self.covered_from(last.as_ref(), came, size);
        let most = self.rows_of_a_look();
        // Rows of a run that the answer cut are shown, but not taken. Test:
        // `crates/sim/regressions/a-cut-run-beside-a-gap.txt`.
        let near = self.draft.view_of_last().filter(|_| !self.draft.has_left_items()).map_or(came, |view| {
            facts::covered_by(view.slice(), most, view.len() >= view.slice().size().0 as usize).max(came)
        });
        SupposedEnd { last, came, near, covered: covered.max(near), passed, size, ..SupposedEnd::default() }
    }

    /// Returns the number of items up to the end of the page; `None` if the walk didn't begin at the start.
    fn passed(&self) -> Option<u64> {
        if self.ground != Ground::Whole || self.draft.is_the_last_page() {
            return None;
        }
        let before = self.request.target.hint.walk.passed.filter(|_| !self.asker.is_flipped());
        let before = before.or_else(|| self.request.begins_the_list().then_some(0));
        before.map(|before| before.saturating_add(self.draft.len() as u64))
    }

    /// Looks once more at the slices that showed an item beyond the end, and from the newest place of the last item on.
    /// Returns whether an item beyond is still there. Regression:
    /// `crates/sim/regressions/an-item-beyond-the-end-that-moves.txt`.
    async fn is_shown_again(&mut self, last: Option<&Anchor>, size: u32) -> Result<bool, KeyHalt> {
        let mut slices = self.seen.all_beyond(&self.request.order, last);
        let place = last.and_then(|last| self.seen.newest_place(&self.request.order, last));
        slices.extend(place.map(|place| self.window_at(place, size)));
        for slice in slices {
            let again = self.look(slice).await?;
            if again.is_none_or(|(_, answer)| self.shows_beyond(&answer, last)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn covered_from(&self, last: Option<&Anchor>, came: u64, size: u32) -> u64 {
        self.seen.covered(&self.request.order, last, came, LookSizes { size, most: self.rows_of_a_look() })
    }

    /// Returns the size of a look beside an answer: the size of that answer, unless it is honoured.
    fn look_size_beside(&self, slice: Slice) -> u32 {
        let looks = LookSizes { size: self.look_size(), most: self.walk_facts().most };
        if looks.follow(slice) { looks.size } else { slice.size().0 }
    }

    /// Returns the number of rows that a look of an unfilled size covers: as many as the largest answer of the walk has
    /// items. Among left-out rows, an answer without items covers few before any item has come. Regression:
    /// `crates/sim/regressions/an-end-where-no-item-has-come.txt`.
    pub(super) fn rows_of_a_look(&self) -> u32 {
        let most = self.walk_facts().most;
        if self.request.paging.leaves_out { most.max(2) } else { most }
    }

    /// Returns the size of a look: the largest one, unless a smaller cap is known. A cap that is only suspected isn't
    /// believed here, because left-out rows make answers short too.
    fn look_size(&self) -> u32 {
        let paging = &self.request.paging;
        let cap = self.asker.sizes.profile.cap.filter(|cap| *cap >= self.walk_facts().most);
        match paging.sizes() {
            Sizes::Fixed(size) => *size,
            // No largest size is declared, and a page by number is at its place only if its size is honoured.
            Sizes::Free { most: None, .. } if paging.family == Family::Page => {
                plan::size_within(paging, self.walk_facts().most.max(1)).0
            }
            _ => plan::size_within(paging, u32::try_from(plan::most(paging, cap)).unwrap_or(u32::MAX)).0,
        }
    }

    /// Returns the facts of the walk, with those that the answers of this page have shown.
    pub(super) fn walk_facts(&self) -> WalkFacts {
        let carried = self.request.target.hint.walk;
        // In a filtered list, items have other places, and answers can have another cap.
        let carried = match self.ground {
            Ground::Whole => carried,
            Ground::Filtered => WalkFacts { passed: None, grown: 0, reach: 0, most: 0, ..carried },
        };
        let before = self.request.target.hint.total.filter(|_| self.ground == Ground::Whole);
        self.seen.add_to(carried, before)
    }

    /// Returns the statements that more items follow, of the newest answers.
    fn claims(&self, end: &SupposedEnd) -> MoreClaims {
        let mut facts = self.walk_facts();
        // A gap within the page's own answers, too, makes totals comparable with the items that were passed. In a list
        // that changes meanwhile, what looks like a gap may be none.
        facts.rows_left_out |= self.seen.shows_gap() && self.seen.has_one_total();
        let witnesses = Witnesses {
            counted: self.counted(),
            facts,
            total: self.seen.newest_total(),
            least: self.seen.least_total(),
            // Where the list begins again, no answer from after the end has a flag of its own, so the one beside the last
            // item stands.
            more: match self.said_after(end).filter(|said| !(said.is_past_end && self.asker.begins_again())) {
                Some(said) => said.more,
                None => self.seen.newest_more(),
            },
        };
        // If the last items come again, their offsets are no places, and the number of items that the walk has passed
        // is nearer.
        let passed = end.passed.filter(|_| end.comes_again).map(|passed| passed.saturating_add(facts.grown));
        let (came, covered) = (end.came.min(passed.unwrap_or(u64::MAX)), end.covered.min(passed.unwrap_or(u64::MAX)));
        // A walk from the end, or from an item, doesn't know how many items it has passed, but never more than the place
        // of the last item says. Test: `an_end_with_a_count_that_stays_too_high_is_served_and_marked`.
        let is_placed = self.ground == Ground::Whole && !self.asker.is_flipped();
        witnesses.claims(came, covered, end.passed.or_else(|| is_placed.then_some(end.came)))
    }

    fn counted(&self) -> CountedThings {
        if self.asker.ledger.counts_pages() { CountedThings::Estimate } else { self.request.paging.counted }
    }

    fn said_after(&self, end: &SupposedEnd) -> Option<MoreSaid> {
        self.seen.said_after(end.near, &self.request.order, end.last.as_ref())
    }

    /// Returns whether a statement that has spoken of more than its own answer confirms the end, without a request.
    fn is_free(&self, end: &SupposedEnd) -> bool {
        let Some(view) = self.draft.view_of_last() else { return false };
        let answer = view.answer();
        let is_short = view.len() < view.slice().size().0 as usize && !self.seen.fills_a_cap(view.len());
        is_short && !self.claims_beside(end, answer).any() && self.agrees(end, answer)
    }

    /// Returns whether a flag or a total of an answer says that the list ends there, and has spoken of more than its
    /// own answer before.
    fn agrees(&self, end: &SupposedEnd, answer: &Answer) -> bool {
        let facts = self.walk_facts();
        let total = answer.total.filter(|total| total.exact).map(|total| total.value);
        let is_counted =
            total.is_some() && total == end.passed && total == Some(end.came) && facts.counts_beyond_answer;
        (answer.more == Some(false) && facts.more_said_when_short) || is_counted
    }

    fn claims_beside(&self, end: &SupposedEnd, answer: &Answer) -> MoreClaims {
        let witnesses = Witnesses {
            counted: self.counted(),
            facts: self.walk_facts(),
            total: answer.total.or_else(|| self.seen.newest_total()),
            least: None,
            more: answer.more,
        };
        witnesses.claims(end.came, end.came, end.passed)
    }

    /// Requests the last item alone. If a flag or a total says beside this full answer too that the list ends there,
    /// the statement isn't just "the page is full".
    async fn is_confirmed_alone(&mut self, end: &SupposedEnd) -> Result<bool, KeyHalt> {
        let facts = self.walk_facts();
        let Some(view) = self.draft.view_of_last() else { return Ok(false) };
        let (answer, Some(last)) = (view.answer(), &end.last) else { return Ok(false) };
        let total = answer.total.filter(|total| total.exact).map(|total| total.value);
        let is_counted = total.is_some() && total == end.passed && total == Some(end.came);
        let can_ask = plan::size_within(&self.request.paging, 1).0 == 1;
        let is_short = view.len() < view.slice().size().0 as usize;
        let says_end = answer.more == Some(false) || is_counted;
        if facts.rows_left_out || !can_ask || !is_short || !says_end || end.came == 0 {
            return Ok(false);
        }
        if self.claims_beside(end, answer).any() {
            return Ok(false);
        }
        // A flag that was never true may be false for good, so the first item is requested alone, too.
        let is_flag = answer.more == Some(false);
        if is_flag && !is_counted && !facts.more_said && end.came > 1 {
            self.look(self.window_at(0, 1)).await?;
        }
        let Some((_, alone)) = self.look(self.window_at(end.came - 1, 1)).await? else { return Ok(false) };
        let is_last = alone.items.len() == 1
            && rows::relate(&alone, &self.request.order, 0, last).is_some_and(|relation| relation.whole.is_eq());
        let (facts, total) = (self.walk_facts(), alone.total.filter(|total| total.exact).map(|total| total.value));
        let still_counted = is_counted && total == end.passed && total != Some(1);
        let still_over = alone.more == Some(false) && facts.more_said;
        Ok(is_last && !self.claims_beside(end, &alone).any() && (still_over || still_counted))
    }

    /// Looks at the rows right after the supposed end, as far as they weren't looked at: half a look of them at least,
    /// or several pages of a fixed size. Returns the answer that shows an item; `None` if there is none.
    async fn look_behind(&mut self, end: &mut SupposedEnd) -> Result<Option<(AskedSlice, Answer)>, KeyHalt> {
        let is_offset = self.request.paging.family == Family::Offset;
        let is_fixed = matches!(self.request.paging.sizes(), Sizes::Fixed(_));
        let least = match is_fixed {
            true => u64::from(end.size) * END_BASE_PAGES,
            false => u64::from(end.size).div_ceil(2),
        };
        let (mut enough, mut cut) = (end.near.saturating_add(least), None);
        // The first look begins at the last item: the answer that ends with it may be cut, and then covers no row after
        // it. Test: `a_cap_that_falls_within_a_list_loses_no_item`. Where looks are a few rows, the row after it is looked
        // at alone instead (`cut_at`).
        let believed = end.covered;
        if is_offset && end.size > FEW_ROWS && !end.is_looked_behind && !self.request.paging.hidden {
            end.covered = end.covered.min(end.came);
        }
        end.is_looked_behind = true;
        // A silent cap may have ended the answer with the last item if it has as many items as any of the walk. An item that
        // moved before that place since shows beside the last one. Regression:
        // `crates/sim/regressions/an-item-that-moves-before-an-end.txt`.
        let seen = end.last.as_ref().and_then(|last| self.seen.answer_up_to(&self.request.order, last));
        let mut holds_last = !self.asker.sizes.are_answers_cut
            && seen.is_some_and(|seen| seen.count > 1 && seen.count >= self.walk_facts().most as usize);
        // The bound: each look covers rows after the one before, or ends the loop, but for the first one.
        while end.covered < enough && !self.seen.is_past_end(end.covered) {
            let before = end.covered;
            holds_last |= before != end.came;
            let place = if is_offset && holds_last { before.saturating_sub(1) } else { before };
            match self.sight(end, place, end.size).await? {
                LookResult::Item(asked, answer) => return Ok(Some((asked, answer))),
                // Under a silent cap, a page that ends with the last item shows none of the rows after it, but the next
                // page of its size is its neighbour. If that is the same page, the last page comes again. Regression:
                // `crates/sim/regressions/a-page-that-a-silent-cap-ends-with-the-last-item.txt`.
                LookResult::Nothing(answer) if end.covered > before && !is_offset => {
                    let ends = facts::ends_with(&answer, &self.request.order, end.last.as_ref());
                    let is_cut = ends && end.size > self.walk_facts().most && !is_fixed;
                    let digest = Some(facts::digest(&answer)).filter(|_| is_cut);
                    if digest.is_some() && digest != cut {
                        (cut, enough) = (digest, enough.max(end.covered.saturating_add(1)));
                    }
                }
                // An upstream that refuses places past its end refuses that of the next item, too. Test:
                // `a_refusal_past_the_end_fails_no_page`.
                LookResult::Unseen if is_offset && !holds_last => {
                    holds_last = true;
                    continue;
                }
                // Two looks with the same items are a last page that comes again.
                LookResult::Nothing(answer) if cut != Some(facts::digest(&answer)) && self.comes_farther(end) => {
                    (cut, enough) = (Some(facts::digest(&answer)), end.near.saturating_add(least));
                }
                LookResult::Nothing(_) | LookResult::Unseen => break,
            }
            let total = self.seen.newest_total().map(|total| total.value);
            if is_fixed && total.is_some() && total == end.passed {
                return Ok(None);
            }
        }
        end.covered = end.covered.max(believed);
        // Pages of a fixed size overlap no other look, so a single empty answer right after a full page may be a lapse of
        // the upstream. Test: the world `lapse` of the simulator's family `ends`.
        if is_fixed && end.came.is_multiple_of(u64::from(end.size)) {
            for slice in self.seen.read_once(end.came..end.came.saturating_add(u64::from(end.size))) {
                if let LookResult::Item(asked, answer) = self.sight_of(end, slice).await? {
                    return Ok(Some((asked, answer)));
                }
            }
        }
        Ok(None)
    }

    /// Moves a supposed end to where the answers of a look have shown it: to the farthest item before the last one, if no
    /// answer shows the last item itself, or to the newest place of the last item, if the list has moved. Returns whether
    /// the end has moved: the rows right after it weren't looked at. Regressions:
    /// `crates/sim/regressions/an-end-before-items-that-a-look-shows.txt`, `…/an-end-that-moves-with-its-last-item.txt`.
    fn comes_farther(&self, end: &mut SupposedEnd) -> bool {
        let (order, last) = (&self.request.order, end.last.as_ref());
        let shown = match last.and_then(|last| self.seen.newest_place(order, last)) {
            // A last page that comes again shows its last item anywhere. So may ties in any order, and the two would take
            // turns until the budget ends. Test: `the_cost_over_runs_covers_the_end`.
            Some(_)
                if self.request.paging.family != Family::Offset || self.asker.ledger.repeats() || end.comes_again =>
            {
                return false;
            }
            Some(place) => place.saturating_add(1),
            None => self.seen.shown_to(order, last).map_or(0, |(offset, _)| offset),
        };
        let is_farther = shown > end.came;
        if is_farther {
            (end.came, end.near) = (shown, end.near.max(shown));
        }
        is_farther
    }

    /// Returns whether the rows after the end settle it: nothing says more, and the upstream says that they are past
    /// the end, or a statement that has spoken of more than its own answer agrees.
    fn is_settled(&self, end: &SupposedEnd) -> bool {
        let Some(said) = self.said_after(end) else { return false };
        if self.claims(end).any() {
            return false;
        }
        let facts = self.walk_facts();
        let total = self.seen.newest_total().filter(|total| total.exact).map(|total| total.value);
        let is_counted = total.is_some() && total == end.passed && facts.counts_beyond_answer;
        said.is_past_end || (said.more == Some(false) && facts.more_said_when_short) || is_counted
    }

    /// Returns whether a flag beside the last item promised more, in a list that is declared to leave out rows. It
    /// promised either items or rows, although the newest flag denies that more follow. Test:
    /// `an_end_after_a_flag_that_promised_more_is_marked_among_hidden_rows`.
    fn was_promised_more(&self) -> bool {
        let said = self.draft.view_of_last().and_then(|view| view.answer().more);
        let speaks = self.walk_facts().more_said_when_short && self.seen.newest_more() == Some(false);
        self.request.paging.hidden && said == Some(true) && speaks
    }

    fn doubted(&self, end: &SupposedEnd, claims: MoreClaims) -> DoubtedEnd {
        let total = self.seen.newest_total().map(|total| total.value);
        let said = total.filter(|_| claims.place || claims.count);
        DoubtedEnd { reached: end.passed.unwrap_or(end.came), said }
    }

    /// Returns whether an end must not be served, not even marked, if no request is left to judge it: an answer of the
    /// page shows an item beyond, even one to which a second sweep didn't come, or a total names a place beyond, and not all
    /// rows up to it were looked at. Regressions:
    /// `crates/sim/regressions/an-end-before-a-place-that-no-look-has-reached.txt`,
    /// `…/a-sweep-that-ends-before-the-place-of-the-total.txt`, `…/a-hole-before-the-place-of-the-total.txt`.
    fn is_open(&self, end: &SupposedEnd) -> bool {
        let named = self.seen.newest_total().map_or(0, |total| total.value);
        self.seen.has_shown_beyond(&self.request.order, end.last.as_ref())
            || (self.claims(end).place && !self.seen.cover(end.covered..named, self.walk_facts().most))
    }

    /// Ends a page whose requests are spent before its end was judged. An end that an answer shows is served, and
    /// marked as doubted. An end that is only supposed is refused, or leaves a short page if the route permits that.
    fn unended(&mut self) -> KeyHalt {
        let end = self.supposed_end();
        // An empty answer is after the cursor's item only if an answer shows that item. Regression:
        // `crates/sim/regressions/a-place-beyond-capped-pages.txt`.
        let is_after = self.draft.len() > 0 || self.seen.shows(&self.request.order, end.last.as_ref());
        let is_open = self.is_open(&end);
        // A last page can't leave its end to the page after it. Regression:
        // `crates/sim/regressions/a-last-page-whose-end-is-refuted-too-late.txt`.
        if is_open && self.draft.is_the_last_page() {
            return Refusal::BudgetExceeded.into();
        }
        if self.claimed.is_supposed || !self.draft.claims_the_end() || !is_after || is_open {
            return self.unasked(Unasked::Spent);
        }
        // A statement that confirms the end needs no request. Test: `an_end_that_the_total_confirms_has_no_mark`.
        let claims = self.claims(&end);
        let is_confirmed = self.is_free(&end) || self.is_settled(&end);
        let doubt = (!is_confirmed).then(|| self.doubted(&end, claims));
        KeyHalt::Instead(self.serve_end(doubt))
    }
}

impl KeyReader<'_> {
    /// Lets the cursors of a page carry the facts of the walk.
    pub(super) fn carry(&self, page: &mut Page) {
        let facts = self.walk_facts();
        let is_counted = self.ground == Ground::Whole && !self.asker.is_flipped();
        let first = match is_counted {
            true if page.previous.is_none() && page.unproven.is_none() => Some(0),
            true if self.request.target.position.is_backward() => {
                let passed = self.request.target.hint.walk.passed;
                passed.and_then(|passed| passed.checked_sub(page.items.len() as u64))
            }
            true => self.request.target.hint.walk.passed,
            false => None,
        };
        let last = first.map(|first| first.saturating_add(page.items.len() as u64));
        // An item may be farther than its place in an answer with left-out rows says, but never nearer than the offset
        // at which it was found before.
        if facts.rows_left_out && is_counted && !self.request.target.position.is_backward() {
            let (least, count) = (self.request.target.hint.offset.0, page.items.len() as u64);
            if let Some((Position::Before(_), hint)) = page.aim_previous().filter(|(_, hint)| !hint.from_end) {
                hint.offset.0 = hint.offset.0.max(least);
            }
            if let Some((Position::After(_), hint)) = page.aim_next().filter(|(_, hint)| !hint.from_end) {
                hint.offset.0 = hint.offset.0.max(least.saturating_add(count));
            }
        }
        if let Some((_, hint)) = page.aim_previous() {
            hint.walk = WalkFacts { passed: first, ..facts };
        }
        if let Some((_, hint)) = page.aim_next() {
            hint.walk = WalkFacts { passed: last, ..facts };
        }
    }
}
