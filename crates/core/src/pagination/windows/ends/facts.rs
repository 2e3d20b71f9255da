//! The answers of a page, and what they say about more items.

use std::{
    cmp::Ordering,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    iter,
    ops::Range,
};

use super::super::AskedSlice;
use crate::pagination::{
    answer::{Answer, Standing, Total},
    judge::evidence::loose,
    limits::{GAP_READ_AGAIN, HONOURED_UNSEEN},
    order::Order,
    paging::CountedThings,
    position::{Anchor, WalkFacts},
    rows::{self, NextItem},
    window::{PageSize, Slice},
};

/// An answer of the page, without its items.
#[derive(Debug)]
pub(super) struct PastAnswer {
    slice: Slice,
    is_flipped: bool,
    count: u32,
    /// True if the answer has fewer items than were requested.
    is_short: bool,
    standing: Standing,
    more: Option<bool>,
    total: Option<Total>,
    /// The keys of the answer's last item in the gateway's order, as an answer of one item; `None` if it has none, or
    /// if it isn't noted.
    last: Option<Answer>,
    /// The digest of the ids of the answer's items.
    digest: u64,
    /// The digest of the first item's id; `None` if the answer has no item, or if it isn't noted.
    first: Option<u64>,
    /// The same for the last item, in the sequence of the answer.
    ends_with: Option<u64>,
}

impl PastAnswer {
    /// Compares the answer's last item with an anchor; `None` if it isn't noted, or can't be compared.
    fn relates(&self, order: &Order, anchor: &Anchor) -> Option<Ordering> {
        rows::relate(self.last.as_ref()?, order, 0, anchor).map(|relation| relation.whole)
    }

    fn is_listed(&self) -> bool {
        !self.is_flipped && self.standing != Standing::Refused
    }

    fn total_that_says(&self) -> Option<Total> {
        self.total.filter(|total| total.value > 0 || self.count > 0)
    }

    fn is_past(&self, order: &Order, anchor: Option<&Anchor>) -> bool {
        match anchor {
            Some(anchor) => self.relates(order, anchor) == Some(Ordering::Greater),
            None => self.count > 0,
        }
    }

    fn is_before(&self, order: &Order, anchor: Option<&Anchor>) -> bool {
        anchor.is_some_and(|anchor| self.relates(order, anchor) == Some(Ordering::Less))
    }
}

/// The sizes of looks and answers.
#[derive(Clone, Copy, Debug)]
pub(super) struct LookSizes {
    /// The size of a look.
    pub(super) size: u32,
    /// The number of items of the largest answer of the walk.
    pub(super) most: u32,
}

impl LookSizes {
    /// Returns whether looks that begin where a slice ends leave no hole. Pages of one requested size are neighbours
    /// under any cap. A page of another size ends where its number says only if that size is honoured; a look of a size
    /// that isn't honoured begins before its place. Test: `crates/sim/regressions/two-sides-of-a-gap-in-two-sizes.txt`.
    pub(super) fn follow(self, slice: Slice) -> bool {
        match slice {
            Slice::Offset { .. } => true,
            Slice::Page { size, .. } => size.0 == self.size || size.0 <= self.most,
        }
    }
}

/// The slice that shows the near side of a gap, and the digest of its answer.
#[derive(Clone, Copy, Debug)]
pub(in crate::pagination::windows) struct NearSide {
    pub(in crate::pagination::windows) slice: Slice,
    pub(super) digest: u64,
}

impl NearSide {
    pub(super) fn of(asked: AskedSlice, answer: &Answer) -> Self {
        Self { slice: asked.slice, digest: digest(answer) }
    }
}

/// An answer that ends with an item, or before it.
#[derive(Debug)]
pub(super) struct AnswerUpTo {
    pub(super) slice: Slice,
    pub(super) count: usize,
    /// The answer's own last item.
    pub(super) last: Anchor,
    pub(super) ends_before: bool,
    /// True if the answer says that more items follow.
    pub(super) says_more: bool,
    /// True if a full answer of more items ends with the item too, so only the short one shows what follows.
    pub(super) is_short_of_a_full_one: bool,
}

/// The answers of a page so far.
#[derive(Debug, Default)]
pub(in crate::pagination::windows) struct SeenAnswers {
    answers: Vec<PastAnswer>,
    /// The answers that were forgotten.
    forgotten: Vec<PastAnswer>,
    /// True if items came after an answer that seemed to end the list.
    rows_left_out: bool,
    /// The number of answers before the last claimed end was refuted.
    refuted_at: usize,
}

impl SeenAnswers {
    /// Notes answers. The last item of the page's first answer is noted only if the answer is short: most pages are
    /// made of one full answer, which can't show an item beyond its own.
    pub(in crate::pagination::windows) fn note_all(&mut self, pairs: &[(AskedSlice, Answer)], order: &Order) {
        for (asked, answer) in pairs {
            let size = answer.size.unwrap_or(u32::MAX).min(asked.slice.size().0);
            let count = u32::try_from(answer.items.len()).unwrap_or(u32::MAX);
            let is_short = count < size;
            let is_noted = is_short || !self.answers.is_empty() || pairs.len() > 1;
            self.answers.push(PastAnswer {
                slice: asked.slice,
                is_flipped: asked.flipped.is_some(),
                count,
                is_short,
                standing: answer.standing.clone(),
                more: answer.more,
                total: answer.total,
                last: if is_noted { last_of(answer, order) } else { None },
                digest: if is_noted { digest(answer) } else { 0 },
                first: first_of(answer).filter(|_| is_noted),
                ends_with: id_at(answer, answer.items.len().wrapping_sub(1)).filter(|_| is_noted),
            });
        }
    }

    /// Notes the last item of the page's first answer, if the page doesn't use it.
    pub(in crate::pagination::windows) fn note_unused(&mut self, slice: Slice, answer: &Answer, order: &Order) {
        if let Some(first) = self.answers.first_mut().filter(|first| first.last.is_none() && first.slice == slice) {
            (first.last, first.digest) = (last_of(answer, order), digest(answer));
            first.first = first_of(answer);
            first.ends_with = id_at(answer, answer.items.len().wrapping_sub(1));
        }
    }

    /// Returns the slices within these offsets of which one answer is known, and has no items: the first
    /// [`GAP_READ_AGAIN`] of them.
    pub(super) fn read_once(&self, gap: Range<u64>) -> Vec<Slice> {
        let within = self.listed().filter(|seen| gap.contains(&seen.slice.begins().0));
        let is_single = |seen: &&PastAnswer| self.listed().filter(|other| other.slice == seen.slice).count() == 1;
        within.filter(|seen| seen.count == 0).filter(is_single).map(|seen| seen.slice).take(GAP_READ_AGAIN).collect()
    }

    /// Returns the slices of a gap that should be read again after its far side: those that [`Self::read_once`] returns,
    /// and the one next to `far`, if it was not read since. A row that a change has moved from `far` into that slice
    /// was in neither answer.
    pub(super) fn read_before(&self, far: Slice, gap: Range<u64>) -> Vec<Slice> {
        let mut due = self.read_once(gap.clone());
        let until = self.answers.iter().rposition(|seen| seen.slice == far).unwrap_or(self.answers.len());
        let within = self.listed().filter(|seen| seen.count == 0 && gap.contains(&seen.slice.begins().0));
        let next = within.map(|seen| seen.slice).min_by_key(|slice| slice.begins().0.abs_diff(far.begins().0));
        let is_read_since = |slice: Slice| self.answers.iter().skip(until).any(|seen| seen.slice == slice);
        due.extend(next.filter(|slice| !is_read_since(*slice) && !due.contains(slice)));
        due
    }

    /// Returns whether the newest answer to a slice within these offsets has items.
    pub(super) fn shows_within(&self, gap: &Range<u64>) -> bool {
        let is_inside = |slice: Slice| slice.begins().0 >= gap.start && end_of(slice) <= gap.end;
        let newest = |seen: &PastAnswer| self.listed().rev().find(|other| other.slice == seen.slice);
        self.listed().filter(|seen| is_inside(seen.slice)).any(|seen| newest(seen).is_some_and(|seen| seen.count > 0))
    }

    /// Forgets the answers, but not that rows are left out.
    pub(super) fn forget(&mut self) {
        self.forgotten.append(&mut self.answers);
        self.refuted_at = 0;
    }

    /// Notes that items came after an answer that seemed to end the list.
    pub(super) fn go_on(&mut self) {
        (self.rows_left_out, self.refuted_at) = (true, self.answers.len());
    }

    /// Notes that what seemed to be rows that are left out were rows that an answer was too short for.
    pub(in crate::pagination::windows) fn no_rows_were_left_out(&mut self) {
        self.rows_left_out = false;
    }

    /// Returns whether an answer has fewer items than were requested, although another one shows items from after all
    /// of its rows.
    pub(in crate::pagination::windows) fn shows_gap(&self) -> bool {
        self.shows_gap_in(u32::MAX)
    }

    /// Returns the same for answers to slices that are no larger than another answer: no cap made them short.
    pub(in crate::pagination::windows) fn shows_gap_below_caps(&self) -> bool {
        self.shows_gap_in(self.listed().map(|seen| seen.count).max().unwrap_or(0))
    }

    /// Returns the same for answers to slices of at most this size.
    fn shows_gap_in(&self, most: u32) -> bool {
        let is_short = |seen: &&PastAnswer| seen.is_short && seen.slice.size().0 <= most;
        let short = self.listed().filter(is_short).map(|seen| end_of(seen.slice)).min();
        short.is_some_and(|end| self.listed().any(|seen| seen.count > 0 && seen.slice.begins().0 >= end))
    }

    /// Returns the slice of the answer with items that begins farthest from the start, if it isn't the start itself.
    pub(in crate::pagination::windows) fn farthest(&self) -> Option<Slice> {
        let with_items = self.listed().filter(|seen| seen.count > 0 && seen.slice.begins().0 > 0);
        with_items.map(|seen| seen.slice).max_by_key(|slice| slice.begins())
    }

    /// Returns the offset after the farthest item that an answer shows; `None` if none shows an item.
    pub(in crate::pagination::windows) fn shown_end(&self) -> Option<u64> {
        let with_items = self.listed().filter(|seen| seen.count > 0);
        with_items.map(|seen| seen.slice.begins().0.saturating_add(u64::from(seen.count))).max()
    }

    /// Returns whether an answer to this slice has the same first item as another answer.
    pub(in crate::pagination::windows) fn begins_alike(&self, slice: Slice, other: &Answer) -> bool {
        let first = first_of(other);
        self.listed().any(|seen| seen.slice == slice && seen.first.is_some() && seen.first == first)
    }

    fn listed(&self) -> impl DoubleEndedIterator<Item = &PastAnswer> {
        self.answers.iter().filter(|seen| seen.is_listed())
    }

    /// Returns the slice that shows an item after `last`, of several the one that ends first; `None` if no answer shows
    /// one.
    pub(super) fn beyond(&self, order: &Order, last: Option<&Anchor>) -> Option<Slice> {
        let beyond = self.listed().filter(|seen| seen.is_past(order, last));
        beyond.map(|seen| seen.slice).min_by_key(|slice| end_of(*slice))
    }

    /// Returns the slice of an answer that ends with an item between two others; `None` if no answer does.
    pub(super) fn between(&self, order: &Order, last: &Anchor, first: &Anchor) -> Option<Slice> {
        let is_between = |seen: &&PastAnswer| seen.is_past(order, Some(last)) && seen.is_before(order, Some(first));
        self.listed().find(is_between).map(|seen| seen.slice)
    }

    /// Returns whether the answers cover these offsets without a hole. `most` is the number of items of the largest
    /// answer of the walk.
    pub(super) fn cover(&self, mut offsets: Range<u64>, most: u32) -> bool {
        // The bound: each turn covers more offsets, and there are as many answers as requests.
        while !offsets.is_empty() {
            let covering = self.listed().filter(|seen| seen.slice.begins().0 <= offsets.start);
            match covering
                .map(|seen| covered_by(seen.slice, most, !seen.is_short))
                .max()
                .filter(|end| *end > offsets.start)
            {
                Some(end) => offsets.start = end,
                None => return false,
            }
        }
        true
    }

    /// Returns whether an answer of the whole page shows an item after `last`, even a forgotten one.
    pub(super) fn has_shown_beyond(&self, order: &Order, last: Option<&Anchor>) -> bool {
        let mut all = self.forgotten.iter().chain(&self.answers).filter(|seen| seen.is_listed());
        all.any(|seen| seen.is_past(order, last))
    }

    /// Returns all slices whose answers show an item after `last`, even forgotten ones.
    pub(super) fn all_beyond(&self, order: &Order, last: Option<&Anchor>) -> Vec<Slice> {
        let mut slices: Vec<Slice> = Vec::new();
        let all = self.forgotten.iter().chain(&self.answers).filter(|seen| seen.is_listed());
        for seen in all.filter(|seen| seen.is_past(order, last)) {
            if !slices.contains(&seen.slice) {
                slices.push(seen.slice);
            }
        }
        slices
    }

    /// Returns the offset of `last` in the newest answer that ends with it; `None` without such an answer.
    pub(super) fn newest_place(&self, order: &Order, last: &Anchor) -> Option<u64> {
        let with_last = |seen: &&PastAnswer| seen.relates(order, last) == Some(Ordering::Equal);
        let newest = self.listed().rev().find(with_last)?;
        Some(newest.slice.begins().0.saturating_add(u64::from(newest.count.saturating_sub(1))))
    }

    /// Returns whether an answer to a slice that begins before an offset shows an item after `last`.
    pub(super) fn is_past_before(&self, offset: u64, order: &Order, last: Option<&Anchor>) -> bool {
        self.listed().any(|seen| seen.slice.begins().0 < offset && seen.is_past(order, last))
    }

    /// Returns whether an answer to a slice that begins after an offset shows only items before `anchor`.
    pub(super) fn is_before_after(&self, offset: u64, order: &Order, anchor: &Anchor) -> bool {
        self.listed().any(|seen| seen.slice.begins().0 > offset && seen.is_before(order, Some(anchor)))
    }

    /// Returns whether an answer of the whole page, even a forgotten one, shows an item of the run that `last` ends, and
    /// `answer` lacks this item.
    pub(super) fn has_tie_outside(&self, order: &Order, last: &Anchor, answer: &Answer) -> bool {
        let is_tied =
            |keys: &Answer| rows::relate(keys, order, 0, last).is_some_and(|relation| relation.strong.is_eq());
        let ties = self.forgotten.iter().chain(&self.answers).filter(|seen| seen.is_listed());
        let mut ties = ties.filter_map(|seen| seen.last.as_ref().filter(|keys| is_tied(keys))?.anchor(order, 0));
        ties.any(|tie| !has_item(answer, order, &tie))
    }

    /// Returns whether an answer to a slice that begins within these offsets has items that can't be compared with an
    /// anchor.
    pub(super) fn has_unplaced(&self, within: &Range<u64>, order: &Order, anchor: Option<&Anchor>) -> bool {
        let is_unplaced = |seen: &PastAnswer| anchor.is_some_and(|anchor| seen.relates(order, anchor).is_none());
        self.listed().any(|seen| seen.count > 0 && within.contains(&seen.slice.begins().0) && is_unplaced(seen))
    }

    /// Returns whether an answer to this slice shows an item after `last`.
    pub(in crate::pagination::windows) fn is_past_in(
        &self,
        slice: Slice,
        order: &Order,
        last: Option<&Anchor>,
    ) -> bool {
        self.listed().any(|seen| seen.slice == slice && seen.is_past(order, last))
    }

    /// Returns whether the last item of an answer is `last`. True without such an item: the start of a list needs no
    /// answer that shows it.
    pub(in crate::pagination::windows) fn shows(&self, order: &Order, last: Option<&Anchor>) -> bool {
        let is_last = |seen: &PastAnswer, last| seen.relates(order, last) == Some(Ordering::Equal);
        last.is_none_or(|last| self.listed().any(|seen| is_last(seen, last)))
    }

    /// Returns whether the last item of an answer to a slice of this size is `last`.
    pub(super) fn ends_with_in(&self, size: PageSize, order: &Order, last: &Anchor) -> bool {
        let ends_with = |seen: &PastAnswer| seen.relates(order, last) == Some(Ordering::Equal);
        self.listed().any(|seen| seen.slice.size() == size && ends_with(seen))
    }

    /// Returns the slice that shows the farthest item at or before `last`, and the offset after this item; `None` if no
    /// answer shows one.
    pub(super) fn shown_to(&self, order: &Order, last: Option<&Anchor>) -> Option<(u64, Slice)> {
        let last = last?;
        let is_shown = |seen: &&PastAnswer| seen.relates(order, last).is_some_and(Ordering::is_le);
        let shown = self.listed().filter(is_shown);
        let after = |seen: &PastAnswer| (seen.slice.begins().0.saturating_add(u64::from(seen.count)), seen.slice);
        shown.map(after).max_by_key(|shown| shown.0)
    }

    /// Returns the offset up to which rows were looked at without a hole, from the place `came` of the last item on.
    pub(super) fn covered(&self, order: &Order, last: Option<&Anchor>, came: u64, looks: LookSizes) -> u64 {
        let mut covered = came;
        // The bound: each turn covers more rows, and there are as many answers as requests.
        loop {
            // An answer that ends before the last item, though it reaches beyond, was cut or is from elsewhere.
            let is_in_place = |seen: &&PastAnswer| {
                seen.slice.begins().0 <= covered
                    && looks.follow(seen.slice)
                    && !seen.is_past(order, last)
                    && !seen.is_before(order, last)
            };
            let reach = |seen: &PastAnswer| covered_by(seen.slice, looks.most, !seen.is_short);
            match self.listed().filter(is_in_place).map(reach).max().filter(|farthest| *farthest > covered) {
                Some(farthest) => covered = farthest,
                None => return covered,
            }
        }
    }

    /// Returns the offset after `last`, if the upstream shows `last` again where it can't be: at an offset, or on a page,
    /// that excludes another one of the same size. Of these places the first one counts. `None` if they agree, or if the
    /// list has changed in between, which moves items. Tests: `a_total_beyond_the_largest_offset_is_not_refuted`,
    /// `a_total_beside_a_repeated_last_page_is_not_refuted`. Regression:
    /// `crates/sim/regressions/a-last-item-that-moves-back.txt`.
    pub(super) fn repeated_from(&self, order: &Order, last: Option<&Anchor>) -> Option<u64> {
        let last = last?;
        let after = |seen: &PastAnswer| seen.slice.begins().0.saturating_add(u64::from(seen.count));
        let excludes = |seen: &PastAnswer, first: &PastAnswer| {
            let are_alike = match (seen.slice, first.slice) {
                (Slice::Offset { .. }, Slice::Offset { .. }) => true,
                (Slice::Page { size, .. }, Slice::Page { size: first, .. }) => size == first,
                _ => false,
            };
            let is_at_rest = seen.total_that_says() == first.total_that_says();
            // A tie in any order may be anywhere in its run, so the two slices must be apart.
            let place = if loose(order) { seen.slice.begins().0 } else { after(seen) };
            are_alike && is_at_rest && place > end_of(first.slice)
        };
        let shown = || self.listed().filter(|seen| seen.relates(order, last) == Some(Ordering::Equal));
        let first = shown().min_by_key(|seen| after(seen))?;
        shown().any(|seen| excludes(seen, first)).then(|| after(first))
    }

    /// Returns the newest answer that shows the near side of a gap after `last`: its last item isn't after `last`, and
    /// no other answer's last item is nearer. Without such an item, the answer from the very start is that side.
    pub(in crate::pagination::windows) fn near_side(&self, order: &Order, last: Option<&Anchor>) -> Option<NearSide> {
        let has_last = |seen: &&PastAnswer| last.is_some_and(|last| seen.relates(order, last) == Some(Ordering::Equal));
        let is_near = |seen: &&PastAnswer| seen.is_before(order, last);
        let is_start = |seen: &&PastAnswer| seen.count == 0 && seen.slice.begins().0 == 0;
        let listed = || self.listed().rev();
        let nearest = || listed().filter(is_near).max_by_key(|seen| seen.slice.begins());
        let near = listed().find(has_last).or_else(nearest).or_else(|| listed().find(is_start))?;
        Some(NearSide { slice: near.slice, digest: near.digest })
    }

    /// Returns the answer of several rows that ends with an item, the largest of the short ones: a full one isn't cut,
    /// and the items after it can have come in a short one. If none ends with the item, returns the answer that reaches
    /// farthest towards it.
    pub(super) fn answer_up_to(&self, order: &Order, last: &Anchor) -> Option<AnswerUpTo> {
        let of_several = || self.listed().filter(|seen| seen.slice.size().0 > 1);
        let ends_with = |seen: &&PastAnswer| seen.relates(order, last) == Some(Ordering::Equal);
        let reach = |seen: &&PastAnswer| seen.slice.begins().0.saturating_add(u64::from(seen.count));
        let is_short = |seen: &PastAnswer| seen.count < seen.slice.size().0;
        let with_last = of_several().filter(ends_with).max_by_key(|seen| (is_short(seen), seen.count));
        let before = || of_several().filter(|seen| seen.is_before(order, Some(last))).max_by_key(reach);
        let seen = with_last.or_else(before)?;
        Some(AnswerUpTo {
            slice: seen.slice,
            count: seen.count as usize,
            last: seen.last.as_ref()?.anchor(order, 0)?,
            ends_before: with_last.is_none(),
            says_more: seen.more == Some(true),
            is_short_of_a_full_one: of_several()
                .filter(ends_with)
                .any(|other| is_short(seen) && !is_short(other) && other.count > seen.count),
        })
    }

    /// Returns whether all answers that have a total have the same one.
    pub(super) fn has_one_total(&self) -> bool {
        let mut totals = self.listed().filter_map(PastAnswer::total_that_says);
        let first = totals.next();
        totals.all(|total| Some(total) == first)
    }

    /// Returns the newest total that says something: a total of 0 beside no items, past the end, says nothing.
    pub(in crate::pagination::windows) fn newest_total(&self) -> Option<Total> {
        self.listed().rev().find_map(PastAnswer::total_that_says)
    }

    /// Returns the smallest total that says something.
    pub(super) fn least_total(&self) -> Option<u64> {
        self.listed().filter_map(PastAnswer::total_that_says).map(|total| total.value).min()
    }

    /// Returns whether a silent cap may have ended an answer of so many items: another one of as many is short too, and
    /// says that more items follow. What such an answer says about more items may be older than its slice, and then
    /// nothing shows that no item came in between. Regression:
    /// `crates/sim/regressions/an-end-by-a-flag-that-is-older-than-its-slice.txt`.
    pub(super) fn fills_a_cap(&self, count: usize) -> bool {
        let is_cut = |seen: &PastAnswer| seen.is_short && seen.more == Some(true) && seen.count as usize == count;
        count >= HONOURED_UNSEEN as usize && self.listed().any(is_cut)
    }

    /// Returns what the newest short answer from after an offset says, of those since the last claimed end was refuted;
    /// `None` without such an answer. An answer from far behind the refuted end says nothing about the rows in between.
    /// Under a silent cap, an answer that ends before `last` is from another place.
    pub(super) fn said_after(&self, came: u64, order: &Order, last: Option<&Anchor>) -> Option<MoreSaid> {
        // Regression: `crates/sim/regressions/an-end-by-a-look-that-ends-with-the-last-item.txt`.
        let is_short =
            |seen: &PastAnswer| seen.is_short && (seen.more != Some(false) || !self.fills_a_cap(seen.count as usize));
        let is_after = |seen: &&PastAnswer| seen.slice.begins().0.saturating_add(1) >= came && is_short(seen);
        let is_listed = |seen: &&PastAnswer| seen.is_listed();
        let since = self.answers.get(self.refuted_at..).unwrap_or_default();
        let after = since.iter().filter(is_listed).rev().filter(is_after).find(|seen| !seen.is_before(order, last))?;
        let counts = after.total.is_some_and(|total| total.value > 0);
        Some(MoreSaid { is_past_end: after.standing == Standing::PastEnd, more: after.more, counts })
    }

    /// Returns whether an answer to an offset from after `last` shows `last` as its last item.
    pub(super) fn repeats_after(&self, came: u64, order: &Order, last: Option<&Anchor>) -> bool {
        let Some(last) = last else { return false };
        self.listed().any(|seen| {
            matches!(seen.slice, Slice::Offset { from, .. } if from.0 >= came)
                && seen.relates(order, last) == Some(Ordering::Equal)
        })
    }

    /// Returns whether an answer to a slice of several rows, which begins with `last` just before an offset, has no other
    /// item: none follows, although the upstream refuses the rows after it. Test:
    /// `a_refusal_past_the_end_fails_no_page`.
    pub(super) fn ends_alone(&self, came: u64, order: &Order, last: Option<&Anchor>) -> bool {
        let is_alone = |seen: &PastAnswer, last| {
            let Slice::Offset { from, size } = seen.slice else { return false };
            seen.count == 1 && size.0 > 1 && from.0 + 1 == came && seen.relates(order, last) == Some(Ordering::Equal)
        };
        last.is_some_and(|last| self.listed().any(|seen| is_alone(seen, last)))
    }

    /// Returns whether the upstream said that the rows at an offset are past the end.
    pub(super) fn is_past_end(&self, covered: u64) -> bool {
        self.listed().any(|seen| seen.standing == Standing::PastEnd && seen.slice.begins().0 <= covered)
    }

    /// Returns the statement of the newest answer about more items, apart from statuses past the end.
    pub(super) fn newest_more(&self) -> Option<bool> {
        self.listed().rfind(|seen| seen.standing == Standing::Listed).and_then(|seen| seen.more)
    }

    /// Returns the largest number of rows that an answer to an offset certainly covers, although most of them are left
    /// out: its last item is the last one of an answer to a larger offset too, so it reaches at least as far. In a list
    /// that changes in between, the item only moves there, so an answer that ends with it must have come twice, around
    /// both. Equal totals don't show that the list was at rest: they may be counted at other moments than the slices. Nor
    /// may the answer to the larger offset be a last page that comes again: a total says that its place exists. Test:
    /// `a_short_list_is_read_whole_over_its_gap`. Regressions:
    /// `crates/sim/regressions/a-last-item-that-moves-on.txt`, `…/a-last-item-that-moves-on-uncounted.txt`,
    /// `…/a-last-item-that-moves-on-between-count-and-slice.txt`, `…/a-last-page-past-the-total.txt`.
    fn rows_of_an_answer(&self) -> u32 {
        let offset = |seen: &PastAnswer| matches!(seen.slice, Slice::Offset { .. }).then(|| seen.slice.begins().0);
        let with_last = || self.listed().enumerate().filter(|(_, seen)| seen.ends_with.is_some());
        let is_at_rest = |here: usize, there: usize, last: Option<u64>| {
            let with_it = || with_last().filter(move |(_, seen)| seen.ends_with == last);
            let is_same = |one: &PastAnswer, other: &PastAnswer| (one.slice, one.digest) == (other.slice, other.digest);
            let comes_after = |one| with_it().any(|(at, other)| at >= here.max(there) && is_same(one, other));
            with_it().take_while(|(at, _)| *at <= here.min(there)).any(|(_, one)| comes_after(one))
        };
        let covers = |(here, seen): (usize, &PastAnswer), (there, other): (usize, &PastAnswer)| {
            let (from, to) = (offset(seen)?, offset(other)?.saturating_add(u64::from(other.count)));
            let is_placed = other.total_that_says().is_none_or(|total| to <= total.value);
            // A list that begins again, or repeats its last page, shows items far from their places, but no fewer of
            // them there in an answer of the same size.
            let is_within = to <= end_of(seen.slice) && other.count < seen.count && seen.ends_with == other.ends_with;
            let is_certain = is_within && is_placed && is_at_rest(here, there, seen.ends_with);
            is_certain.then(|| u32::try_from(to.saturating_sub(from)).unwrap_or(u32::MAX))
        };
        let rows = with_last().flat_map(|seen| with_last().filter_map(move |other| covers(seen, other)));
        rows.max().unwrap_or(0)
    }

    /// Returns the facts of the walk, with those of these answers. `before` is the total of the page before.
    pub(super) fn add_to(&self, carried: WalkFacts, mut before: Option<u64>) -> WalkFacts {
        let mut facts = carried;
        facts.rows_left_out |= self.rows_left_out;
        let forgotten = self.forgotten.iter().filter(|seen| seen.is_listed()).map(|seen| seen.count).max();
        facts.most = facts.most.max(self.rows_of_an_answer()).max(forgotten.unwrap_or(0));
        for seen in self.listed() {
            facts.most = facts.most.max(seen.count);
            facts.more_said |= seen.more == Some(true);
            facts.more_said_when_short |= seen.more == Some(true) && seen.is_short;
            if let Some(total) = seen.total_that_says().filter(|total| total.exact) {
                facts.grown = facts.grown.saturating_add(before.map_or(0, |before| total.value.saturating_sub(before)));
                before = Some(total.value);
                facts.counts_beyond_answer |= total.value != u64::from(seen.count);
            }
        }
        facts
    }
}

/// Returns the keys of an answer's last item in the gateway's order, as an answer of one item; `None` if it has no
/// item. Ties come in any order, so it may be any item of the last run. Test:
/// `an_item_of_the_last_run_that_comes_before_its_anchor_is_beyond_it`.
fn last_of(answer: &Answer, order: &Order) -> Option<Answer> {
    let end = answer.items.len().checked_sub(1)?;
    let tied = |item: &usize| rows::follow(answer, order, *item, end) == Some(NextItem::Tied);
    let is_later = |item, last| rows::compare_tied(answer, order, item, last) == Some(Ordering::Greater);
    let later = |last, item| if is_later(item, last) { item } else { last };
    let last = (0..end).rev().take_while(tied).fold(end, later);
    Some(rows::keys_of(answer, order, iter::once(last)))
}

/// Returns the digest of the id of an answer's first item; `None` if it has no item.
fn first_of(answer: &Answer) -> Option<u64> {
    id_at(answer, 0)
}

/// Returns the digest of the id of an answer's item; `None` if it has no such item.
fn id_at(answer: &Answer, item: usize) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    (item < answer.items.len()).then(|| answer.id(item).hash(&mut hasher))?;
    Some(hasher.finish())
}

/// Returns the digest of the ids of an answer's items, in their sequence.
pub(super) fn digest(answer: &Answer) -> u64 {
    let mut hasher = DefaultHasher::new();
    (0..answer.items.len()).for_each(|item| answer.id(item).hash(&mut hasher));
    answer.items.len().hash(&mut hasher);
    hasher.finish()
}

/// Returns whether an item of the answer is `last` or comes before it.
pub(super) fn begins_at_or_before(answer: &Answer, order: &Order, last: &Anchor) -> bool {
    !answer.items.is_empty() && rows::relate(answer, order, 0, last).is_some_and(|relation| relation.whole.is_le())
}

/// Returns the offset after the last row of a slice, at the place that the slice says.
pub(super) fn end_of(slice: Slice) -> u64 {
    slice.begins().0.saturating_add(u64::from(slice.size().0))
}

/// Returns the offset up to which an answer to a slice covers the rows, if answers have at most `most` items.
pub(super) fn covered_by(slice: Slice, most: u32, is_full: bool) -> u64 {
    let size = slice.size().0;
    let size = match slice {
        Slice::Offset { .. } if !is_full && most > 0 => size.min(most),
        _ => size,
    };
    slice.begins().0.saturating_add(u64::from(size))
}

/// Returns whether an item of the answer is `anchor` or comes after it.
pub(super) fn ends_at_or_after(answer: &Answer, order: &Order, anchor: &Anchor) -> bool {
    let last = answer.items.len().checked_sub(1);
    last.and_then(|last| rows::relate(answer, order, last, anchor)).is_some_and(|relation| relation.whole.is_ge())
}

/// Returns whether the answer contains the item of `anchor`.
pub(super) fn has_item(answer: &Answer, order: &Order, anchor: &Anchor) -> bool {
    let is_item = |item| rows::relate(answer, order, item, anchor).is_some_and(|relation| relation.whole.is_eq());
    (0..answer.items.len()).any(is_item)
}

/// Returns whether the last item of the answer is `last`.
pub(super) fn ends_with(answer: &Answer, order: &Order, last: Option<&Anchor>) -> bool {
    let relation = answer.items.len().checked_sub(1).and_then(|item| rows::relate(answer, order, item, last?));
    relation.is_some_and(|relation| relation.whole.is_eq())
}

/// Returns whether an item of the answer comes before `anchor`.
pub(super) fn shows_before(answer: &Answer, order: &Order, anchor: &Anchor) -> bool {
    let is_before = |item| rows::relate(answer, order, item, anchor).is_some_and(|relation| relation.whole.is_lt());
    (0..answer.items.len()).any(is_before)
}

/// Returns whether all items of an answer, at least one, come before `last`.
pub(super) fn ends_before(answer: &Answer, order: &Order, last: Option<&Anchor>) -> bool {
    let Some(last) = last else { return false };
    !answer.items.is_empty()
        && (0..answer.items.len())
            .all(|item| rows::relate(answer, order, item, last).is_some_and(|relation| relation.whole.is_lt()))
}

/// The statements of an answer about more items, besides its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MoreSaid {
    pub(super) is_past_end: bool,
    pub(super) more: Option<bool>,
    /// True if the answer has a total above 0.
    pub(super) counts: bool,
}

impl MoreSaid {
    pub(super) fn of(answer: &Answer) -> Self {
        Self {
            is_past_end: answer.standing == Standing::PastEnd,
            more: answer.more,
            counts: answer.total.is_some_and(|total| total.value > 0),
        }
    }
}

/// The statements by which an end is judged.
#[derive(Clone, Copy, Debug)]
pub(in crate::pagination) struct Witnesses {
    pub(in crate::pagination) counted: CountedThings,
    pub(in crate::pagination) facts: WalkFacts,
    /// The newest total.
    pub(in crate::pagination) total: Option<Total>,
    /// The smallest total of the request. In a list that grows, the newest total is above the place of the last item,
    /// although no item follows it.
    pub(in crate::pagination) least: Option<u64>,
    /// The statement of the newest answer about more items.
    pub(in crate::pagination) more: Option<bool>,
}

/// The statements that more items follow.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::pagination) struct MoreClaims {
    /// A flag or a link says so.
    pub(in crate::pagination) more: bool,
    /// A total names a place beyond the rows that were looked at.
    pub(in crate::pagination) place: bool,
    /// A total is above the number of items that the walk has passed.
    pub(in crate::pagination) count: bool,
}

impl MoreClaims {
    pub(in crate::pagination) fn any(self) -> bool {
        self.more || self.place || self.count
    }
}

impl Witnesses {
    /// Returns the statements that more items follow after the last item, which is before the offset `came`. Rows were
    /// looked at up to `covered`.
    pub(in crate::pagination) fn claims(self, came: u64, covered: u64, passed: Option<u64>) -> MoreClaims {
        let more = self.more == Some(true);
        let Some(total) = self.total.map(|total| total.value).filter(|_| self.counted != CountedThings::Estimate)
        else {
            return MoreClaims { more, ..MoreClaims::default() };
        };
        // A total of items beside rows that are left out is below every place. Where nothing was left out, a total
        // equal to the place says no more than the place itself.
        let is_above_place = self.least.unwrap_or(total) > came;
        let is_count = self.counted == CountedThings::Items
            || (self.counted == CountedThings::Unsaid && (is_above_place || self.facts.rows_left_out));
        let above = passed.is_some_and(|passed| total > passed.saturating_add(self.facts.grown));
        MoreClaims { more, place: self.counted != CountedThings::Items && total > covered, count: is_count && above }
    }
}
