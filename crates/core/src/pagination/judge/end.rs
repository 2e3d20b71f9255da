//! The end of the list, which only evidence of the answer's own slice proves: a count is a statement of its own, made
//! at another time.
//!
//! Two other modules decide about ends. `windows::take` assumes an end where proofs are to be cheap, and flags the
//! page. In a list with hidden items and without a declared order, `anchored::view` believes the slice's own flag
//! alone.

#[cfg(test)]
mod tests;

use crate::pagination::{
    answer::{Answer, Standing},
    limits::HONOURED_UNSEEN,
    paging::{EndEvidence, Paging, Sizes},
    rules::{Rule, holds},
    window::Slice,
};

/// The sizes that the answers of one walk show to be honoured.
///
/// Answers of other walks do not count: caps differ by principal, by filter, by parameter and by day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::pagination) struct Honoured {
    /// The largest size that an answer of the walk filled, this page included. The page's cursors carry it on.
    by_walk: u32,
    /// The most items that one answer of this page had, whatever was asked for: the upstream gives so many at this
    /// time.
    by_page: u32,
    /// The largest size that an answer of the walk filled which does not begin at the start.
    beyond_start: u32,
}

impl Honoured {
    /// Returns the state at the beginning of a page, of a walk that has seen these sizes filled: anywhere, and beyond
    /// the start.
    pub(in crate::pagination) fn before(by_walk: u32, beyond_start: u32) -> Self {
        Self { by_walk, by_page: 0, beyond_start }
    }

    /// Adds an answer. An answer with more items than were asked for is neither filled nor short, and shows nothing.
    pub(in crate::pagination) fn learn(&mut self, answer: &Answer, slice: Slice, paging: &Paging) {
        let count = u32::try_from(answer.items.len()).unwrap_or(u32::MAX);
        let asked = slice.size().0;
        // Where items are hidden, the upstream has looked at no fewer rows than it gave.
        let filled = count == answer.size.unwrap_or(asked).min(asked) || (paging.hidden && count <= asked);
        if filled {
            self.by_walk = self.by_walk.max(count);
            // A first answer with more items than a cap lets through elsewhere fills a size that no other answer fills:
            // `regressions/a-count-by-chance-after-a-larger-first-answer.txt`.
            if slice.begins().0 > 0 {
                self.beyond_start = self.beyond_start.max(count);
            }
        }
        // An answer with more items than were asked for shows no size. Test:
        // `a_size_is_honoured_where_as_many_came_as_were_asked_for`.
        if count <= asked {
            self.by_page = self.by_page.max(count);
        }
    }

    /// Lowers the sizes to `count`: an answer of that many items was followed by more, so larger sizes are not honoured
    /// any more.
    pub(in crate::pagination) fn fell_to(&mut self, count: u32) {
        self.by_walk = self.by_walk.min(count);
        // Else the page's own size would still confirm a short answer as the end. Test:
        // `a_size_that_is_not_honoured_any_more_is_not_of_this_time_either`.
        self.by_page = self.by_page.min(count);
        self.beyond_start = self.beyond_start.min(count);
    }

    /// Returns the largest size that an answer of the walk filled, this page included.
    pub(in crate::pagination) fn by_walk(self) -> u32 {
        self.by_walk
    }

    /// Returns the most items that one answer of this page had.
    pub(in crate::pagination) fn by_page(self) -> u32 {
        self.by_page
    }

    /// Returns the largest size that counts as honoured throughout the walk.
    pub(in crate::pagination) fn size(self) -> u32 {
        self.by_walk.max(HONOURED_UNSEEN)
    }

    /// Returns the largest size that counts as honoured by answers that don't begin at the start.
    pub(in crate::pagination) fn size_beyond_start(self) -> u32 {
        self.beyond_start.max(HONOURED_UNSEEN)
    }

    /// Returns the largest size that counts as honoured at this time.
    pub(in crate::pagination) fn size_now(self) -> u32 {
        self.by_page.max(HONOURED_UNSEEN)
    }
}

/// The evidence that other answers of the same page give of an end that an answer may show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::pagination) enum Witness {
    /// No other answer bears the end out.
    #[default]
    None,
    /// An earlier answer of the page ended at the same item.
    Same,
    /// An earlier answer ended at the same item, and a request after all that was asked for there brought no item.
    SameAndNothingBeyond,
}

/// The comparison of the offsets at which answers by number, of one page and of the one that its cursor is from, show
/// an item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::pagination) enum PlaceAgreement {
    /// No item is in two of them, except at two offsets by two totals, because the list has changed.
    #[default]
    Unseen,
    /// An item is at one offset in two of them, and none is at two by one total.
    Agree,
    /// An item is at two offsets, by one total: pages don't stand where their numbers place them.
    Differ,
}

/// The knowledge of sizes and places with which an answer is judged.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::pagination) struct Belief {
    /// The sizes that this walk has seen honoured, this answer included.
    pub(in crate::pagination) honoured: Honoured,
    /// The largest size that was honoured in all requests before this one.
    pub(in crate::pagination) honoured_before: u32,
    /// The earlier evidence of the same end.
    pub(in crate::pagination) witness: Witness,
    /// The comparison of the offsets at which answers by number show one item.
    pub(in crate::pagination) places: PlaceAgreement,
}

/// The conclusion from an answer about the end of the list.
#[derive(Clone, Copy, Debug)]
pub(in crate::pagination) struct End {
    /// True if the answer ends the list.
    pub(in crate::pagination) ends: bool,
    /// True if the answer has fewer items than were asked for, and that proves nothing.
    pub(in crate::pagination) short: bool,
    /// True if the size of the answer seems to be capped: it is short, and claims that there is more.
    pub(in crate::pagination) capped: bool,
    /// True if no single answer proves the end: two agree on it, or an answer and a count.
    pub(in crate::pagination) checked: bool,
}

impl End {
    /// The answer ends the list.
    const ENDS: Self = Self { ends: true, short: false, capped: false, checked: false };
    /// The answer shows no end, and is not short.
    const GOES_ON: Self = Self { ends: false, short: false, capped: false, checked: false };

    /// Returns whether an answer ends the list.
    ///
    /// A flag that the dialect marks as coming from the slice proves the end, and so does a short answer if the dialect
    /// vouches that sizes are honoured. Any other short answer needs a second witness, because caps differ and change,
    /// rows are hidden after the limit, and answers are cut by bytes and by time:
    ///
    /// - a claim in the same answer that no item follows (an exact total of just what was reached, a flag, a missing
    ///   link), against a size that the walk has seen honoured: `checked` where only the first answer of the walk
    ///   filled such a size, because a first page may have more items than a cap lets through elsewhere; where nothing
    ///   but a size that an earlier page saw shows that a page stands where its number says; and where two answers show
    ///   an item at different offsets;
    /// - an exact total of just the items that came from the very start: `checked`, because a cap that the walk has
    ///   not met may let through just as many items as a stale count has. Elsewhere in the list this would not do:
    ///   under a silent cap a page stands before its expected place;
    /// - or the answers to a confirmation ([`Witness`]): `checked`, because answers that are cut by bytes, or leave out
    ///   hidden rows, can be cut alike (test: `an_end_that_only_other_answers_show_is_checked`). They overrule a count
    ///   of more, because counts of rows that no client is shown are common. They don't overrule a flag of the slice.
    ///
    /// The end that an answer shows whose place is known by a count alone is `checked` as well
    /// (`Evidence::unchecked`).
    ///
    /// Totals, a past-the-end status, and an empty answer that was not asked from the start never end anything alone.
    pub(in crate::pagination) fn judge(
        answer: &Answer,
        slice: Slice,
        begins: u64,
        from_start: bool,
        paging: &Paging,
        belief: Belief,
    ) -> Self {
        let count = answer.items.len();
        // A 404 for a while, or for rows beyond a depth, is no end: `regressions/without-statuses-only-aim.txt`.
        if answer.standing == Standing::PastEnd {
            return if holds(Rule::StatusesOnlyAim) { Self::GOES_ON } else { Self::ENDS };
        }
        // An empty answer elsewhere does not show where the list ends. Test:
        // `statuses_empty_answers_and_hidden_items_end_nothing`.
        if count == 0 && !from_start {
            return Self::GOES_ON;
        }
        let reached = begins.saturating_add(count as u64);
        // A count of fewer items than came contradicts its own answer, and shows nothing. Test:
        // `a_count_below_what_came_ends_nothing`.
        let over_is_said =
            answer.more == Some(false) || answer.total.is_some_and(|total| total.exact && total.value == reached);
        // A count, or a flag that is computed from one, may be older than the slice:
        // `regressions/without-counts-only-aim.txt`. Test:
        // `a_flag_ends_a_list_alone_only_where_it_comes_from_the_slice`.
        if (paging.end == EndEvidence::Flag && answer.more == Some(false))
            || (over_is_said && !holds(Rule::CountsOnlyAim))
        {
            return Self::ENDS;
        }
        if paging.hidden {
            // A short answer may be one whose other items are hidden. Test:
            // `statuses_empty_answers_and_hidden_items_end_nothing`.
            return Self::GOES_ON;
        }
        let used = answer.size.unwrap_or(u32::MAX).min(slice.size().0);
        // A filled answer proves nothing: the list may go on. More items than were asked for show nothing either.
        if count >= used as usize {
            return Self::GOES_ON;
        }
        let more_is_shown = paging.end == EndEvidence::Flag && answer.more == Some(true);
        let more_is_said = answer.more == Some(true) || answer.total.is_some_and(|total| total.value > reached);
        // A silent cap makes answers short too: `regressions/without-short-proves-nothing.txt`. Test:
        // `shortness_alone_ends_nothing_unless_the_dialect_vouches_for_sizes`.
        if !more_is_said && (paging.end == EndEvidence::ShortPage || !holds(Rule::ShortProvesNothing)) {
            return Self::ENDS;
        }
        // A fixed size can't be chosen, and no cap lowers it.
        let is_fixed = matches!(paging.sizes, Sizes::Fixed(_));
        let is_below = |size: u32| count < used.min(size) as usize;
        // Under a cap, a page by number stands before the place that its number says, and a count seems to end it.
        // Test: `a_count_ends_no_page_that_only_a_size_of_the_first_page_places`.
        let is_placed = match belief.places {
            PlaceAgreement::Unseen => {
                let by_number = matches!(slice, Slice::Page { number, .. } if number.0 > 0);
                // The first page of the walk may be the only one that filled the size:
                // `regressions/a-first-page-that-honours-a-size-alone.txt`.
                !by_number || is_fixed || is_below(belief.honoured.size_now())
            }
            PlaceAgreement::Agree => true,
            // A first page with more items than others moves the pages after it:
            // `regressions/a-first-page-with-more-than-others.txt`.
            PlaceAgreement::Differ => false,
        };
        // A first answer may have more items than a cap lets through elsewhere. Test:
        // `a_count_ends_no_list_by_a_size_that_the_first_answer_alone_filled`. See
        // `regressions/an-edge-under-a-first-page-with-more.txt`.
        let is_size_sure = from_start || is_fixed || is_below(belief.honoured.size_beyond_start());
        match belief.witness {
            // A claim that no item follows counts only below a size that the walk has seen filled: under a cap, a stale
            // count makes it too. Test: `the_claim_of_an_answer_counts_against_a_size_that_the_walk_has_seen`.
            _ if over_is_said && !more_is_said && is_below(belief.honoured.size()) => {
                Self::seen(!(is_placed && is_size_sure))
            }
            // Two readings that agree overrule a count of more. Test:
            // `an_end_that_two_answers_show_is_the_end_whatever_a_count_says`.
            Witness::SameAndNothingBeyond if !more_is_shown && is_below(belief.honoured.size_now()) => Self::seen(true),
            // Caps change: the size must be one that this page has shown. Tests:
            // `a_cap_that_falls_in_the_middle_of_a_walk_ends_no_list`,
            // `a_second_answer_confirms_an_end_only_below_a_size_that_this_page_has_shown`.
            Witness::Same if is_below(belief.honoured.size_now()) && !more_is_said => Self::seen(true),
            // A cap of as many items and a stale count look alike. Test:
            // `a_short_list_with_a_count_costs_one_request_and_is_checked`.
            _ if from_start && answer.total.is_some_and(|total| total.exact && total.value == count as u64) => {
                Self::seen(true)
            }
            _ => Self { ends: false, short: true, capped: count > 0 && more_is_said, checked: false },
        }
    }

    /// Returns an end that a second statement bears out, `checked` where that takes another answer or a count.
    fn seen(checked: bool) -> Self {
        Self { ends: true, short: false, capped: false, checked }
    }
}
