//! The end of the list. Only evidence from the answer's own slice proves it: a count is a separate statement, made at
//! another time.
//!
//! Two other modules decide about ends. `windows::take` assumes an end where proofs are to be cheap, and flags the
//! page. In a list with hidden items and without a declared order, `anchored::view` relies only on the slice's own
//! flag.

#[cfg(test)]
mod tests;

use crate::pagination::{
    answer::{Answer, Standing},
    limits::HONOURED_UNSEEN,
    paging::{EndEvidence, Paging, Sizes},
    rules::{Rule, holds},
    window::Slice,
};

/// The page sizes that the upstream honoured, as far as the answers of one walk show.
///
/// Answers of other walks don't count: caps differ by principal, by filter, by parameter and by day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::pagination) struct Honoured {
    /// The largest size that an answer of the walk filled, on this page or an earlier one. The page's cursors contain
    /// the value, for the next page.
    by_walk: u32,
    /// The largest number of items in one answer of this page, among the answers with no more items than were
    /// requested: the upstream currently gives at least so many.
    by_page: u32,
    /// The largest size that was filled by an answer of the walk from an offset or page number above 0.
    beyond_start: u32,
}

impl Honoured {
    /// Returns the state at the beginning of a page, from the sizes that earlier pages of the walk saw filled: by any
    /// answer, and by answers that don't begin at the start.
    pub(in crate::pagination) fn before(by_walk: u32, beyond_start: u32) -> Self {
        Self { by_walk, by_page: 0, beyond_start }
    }

    /// Learns from an answer. An answer with more items than were requested is neither filled nor short, and shows
    /// nothing.
    pub(in crate::pagination) fn learn(&mut self, answer: &Answer, slice: Slice, paging: &Paging) {
        let count = u32::try_from(answer.items.len()).unwrap_or(u32::MAX);
        let asked = slice.size().0;
        // Where items are hidden, the upstream has looked at no fewer rows than it returned, so it honours at least
        // that size.
        let filled = count == answer.size.unwrap_or(asked).min(asked) || (paging.hidden && count <= asked);
        if filled {
            self.by_walk = self.by_walk.max(count);
            // A cap may let more items through in a first answer, which then fills a size that no other answer fills:
            // `regressions/a-count-by-chance-after-a-larger-first-answer.txt`.
            if slice.begins().0 > 0 {
                self.beyond_start = self.beyond_start.max(count);
            }
        }
        // An answer with more items than were requested shows no size, so it doesn't count. Test:
        // `a_size_is_honoured_if_an_answer_has_exactly_that_many_items`.
        if count <= asked {
            self.by_page = self.by_page.max(count);
        }
    }

    /// Lowers the sizes to `count`: an answer of that many items was followed by more items, so larger sizes are no
    /// longer honoured.
    pub(in crate::pagination) fn fell_to(&mut self, count: u32) {
        self.by_walk = self.by_walk.min(count);
        // Otherwise the page's own size would still confirm a short answer as the end. Test:
        // `a_fallen_cap_lowers_the_honoured_size_of_the_walk_and_of_the_page`.
        self.by_page = self.by_page.min(count);
        self.beyond_start = self.beyond_start.min(count);
    }

    /// Returns the largest size that an answer of the walk filled, on this page or an earlier one.
    pub(in crate::pagination) fn by_walk(self) -> u32 {
        self.by_walk
    }

    /// Returns the largest number of items in one answer of this page, among the answers with no more items than were
    /// requested.
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

    /// Returns the largest size that counts as honoured by the answers of this page alone.
    pub(in crate::pagination) fn size_now(self) -> u32 {
        self.by_page.max(HONOURED_UNSEEN)
    }
}

/// The support that other answers of the same page give to an end that an answer may show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::pagination) enum Witness {
    /// No other answer supports the end.
    #[default]
    None,
    /// An earlier answer of the page ended with the same item.
    Same,
    /// An earlier answer ended with the same item, and a request beyond the range of that answer's request brought no
    /// item.
    SameAndNothingBeyond,
}

/// The comparison of the offsets at which several answers show the same item. Compared are the answers to page numbers,
/// of one page and of the page that its cursor is from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::pagination) enum PlaceAgreement {
    /// No item is in two answers, or only at two offsets with two totals, because the list has changed.
    #[default]
    Unseen,
    /// An item is at one offset in two answers, and no item is at two offsets by the same total.
    Agree,
    /// An item is at two offsets by the same total: the upstream's pages aren't where their numbers place them.
    Differ,
}

/// The knowledge of sizes and places by which an answer is judged.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::pagination) struct Belief {
    /// The sizes that this walk has seen honoured, including by this answer.
    pub(in crate::pagination) honoured: Honoured,
    /// The largest size that was honoured on the walk's pages before this one.
    pub(in crate::pagination) honoured_before: u32,
    /// The support of earlier answers for the same end.
    pub(in crate::pagination) witness: Witness,
    /// The comparison of the offsets at which answers to page numbers show the same item.
    pub(in crate::pagination) places: PlaceAgreement,
    /// The offset after the items that certainly are where their page numbers place them.
    pub(in crate::pagination) shown: u64,
}

/// The conclusion that an answer allows about the end of the list.
#[derive(Clone, Copy, Debug)]
pub(in crate::pagination) struct End {
    /// True if the answer ends the list.
    pub(in crate::pagination) ends: bool,
    /// True if the answer has fewer items than were requested without proof that it ends the list.
    pub(in crate::pagination) short: bool,
    /// True if a cap seems to have shortened the answer: it is short, and claims that more items follow.
    pub(in crate::pagination) capped: bool,
    /// True if no single statement proves the end: two answers agree on it, or an answer and a count.
    pub(in crate::pagination) checked: bool,
}

impl End {
    /// The conclusion that the answer ends the list.
    const ENDS: Self = Self { ends: true, short: false, capped: false, checked: false };
    /// The conclusion that the answer neither shows the end nor is short.
    const GOES_ON: Self = Self { ends: false, short: false, capped: false, checked: false };

    /// Judges whether an answer ends the list.
    ///
    /// A flag that the dialect marks as coming from the slice proves the end. So does a short answer if the dialect
    /// guarantees that sizes are honoured, and the answer doesn't claim that more items follow. Any other short answer
    /// needs a second statement, because caps differ and change, rows are hidden after the limit is applied, and
    /// answers are cut by bytes and by time. Three statements count:
    ///
    /// - A claim in the same answer that no item follows, if the answer has fewer items than a size that the walk has
    ///   seen filled. The claim is a flag, a missing link, or an exact total equal to the offset reached. The end is
    ///   `checked` in three cases: only the first answer of the walk filled such a size, because a cap may let more
    ///   items through on a first page; only a size from an earlier page shows that a page is where its number says; or
    ///   two answers show an item at different offsets.
    /// - An exact total equal to the number of items from the very start. The end is `checked`, because a cap that the
    ///   walk hasn't met may let through exactly as many items as a stale count has. Elsewhere in the list this
    ///   statement doesn't count: under a silent cap a page begins before its expected place.
    /// - The answers to a confirmation ([`Witness`]). The end is `checked`, because answers that are cut by bytes, or
    ///   leave out hidden rows, can be cut alike (test: `an_end_that_only_other_answers_show_is_checked`). These
    ///   answers overrule a larger count, because counts often include rows that no client is shown. They don't
    ///   overrule a flag of the slice.
    ///
    /// If only a count shows the place of the answer, the end is `checked` as well (`Evidence::unchecked`).
    ///
    /// A total, a past-the-end status, or an empty answer that wasn't requested from the start never proves the end
    /// alone.
    pub(in crate::pagination) fn judge(
        answer: &Answer,
        slice: Slice,
        begins: u64,
        from_start: bool,
        paging: &Paging,
        belief: Belief,
    ) -> Self {
        let count = answer.items.len();
        // A temporary 404, or one for rows beyond a depth limit, isn't the end:
        // `regressions/without-statuses-only-aim.txt`.
        if answer.standing == Standing::PastEnd {
            return if holds(Rule::StatusesOnlyAim) { Self::GOES_ON } else { Self::ENDS };
        }
        // A refusal says nothing, and an empty answer away from the start doesn't show where the list ends. Test:
        // `a_list_is_not_ended_by_a_status_an_empty_answer_or_hidden_items`.
        if answer.standing == Standing::Refused || (count == 0 && !from_start) {
            return Self::GOES_ON;
        }
        let reached = begins.saturating_add(count as u64);
        // A count below the number of items received contradicts its own answer, and shows nothing. Test:
        // `a_total_below_the_items_shown_does_not_end_a_list`.
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
            // The other items of a short answer may be hidden, so shortness doesn't show the end. Test:
            // `a_list_is_not_ended_by_a_status_an_empty_answer_or_hidden_items`.
            return Self::GOES_ON;
        }
        let used = answer.size.unwrap_or(u32::MAX).min(slice.size().0);
        // A filled answer proves nothing: the list may go on. Neither does an answer with more items than were
        // requested.
        if count >= used as usize {
            return Self::GOES_ON;
        }
        let more_is_shown = paging.end == EndEvidence::Flag && answer.more == Some(true);
        let more_is_said = answer.more == Some(true) || answer.total.is_some_and(|total| total.value > reached);
        // A silent cap makes answers short too, so shortness counts only if the dialect guarantees that sizes are
        // honoured: `regressions/without-short-proves-nothing.txt`. Test:
        // `shortness_alone_ends_nothing_unless_the_dialect_vouches_for_sizes`.
        if !more_is_said && (paging.end == EndEvidence::ShortPage || !holds(Rule::ShortProvesNothing)) {
            return Self::ENDS;
        }
        // Clients can't choose a fixed size, and no cap lowers it.
        let is_fixed = matches!(paging.sizes, Sizes::Fixed(_));
        let is_below = |size: u32| count < used.min(size) as usize;
        // Under a cap, a page by number begins before the place that its number says, and a count seems to end the list
        // there. Such an end is only `checked`. Test:
        // `an_end_by_total_is_only_checked_by_a_size_of_the_first_page_alone`.
        let is_placed = match belief.places {
            PlaceAgreement::Unseen => {
                let by_number = matches!(slice, Slice::Page { number, .. } if number.0 > 0);
                // The first page of the walk may be the only one that filled the size:
                // `regressions/a-first-page-that-honours-a-size-alone.txt`.
                !by_number || is_fixed || is_below(belief.honoured.size_now())
            }
            PlaceAgreement::Agree => true,
            // A first page with more items than the others moves the pages after it, so no page is certainly where its
            // number says: `regressions/a-first-page-with-more-than-others.txt`.
            PlaceAgreement::Differ => false,
        };
        // A cap may let more items through in a first answer than elsewhere, so a size filled only there isn't certain.
        // Test: `an_end_by_total_is_only_checked_by_a_size_of_the_first_answer_alone`. See
        // `regressions/an-edge-under-a-first-page-with-more.txt`.
        let is_size_sure = from_start || is_fixed || is_below(belief.honoured.size_beyond_start());
        match belief.witness {
            // A claim that no item follows counts only below a size that the walk has seen filled: under a cap, a stale
            // count makes the same claim. Test: `a_total_ends_a_short_answer_only_if_the_walk_honoured_a_larger_size`.
            _ if over_is_said && !more_is_said && is_below(belief.honoured.size()) => {
                Self::seen(!(is_placed && is_size_sure))
            }
            // Two answers that agree overrule a larger count. Test:
            // `an_end_with_a_count_that_stays_too_high_is_served_and_marked`.
            Witness::SameAndNothingBeyond if !more_is_shown && is_below(belief.honoured.size_now()) => Self::seen(true),
            // Caps change, so the size must be one that this page has shown. Tests:
            // `a_cap_that_falls_in_the_middle_of_a_walk_ends_no_list`,
            // `a_second_answer_confirms_an_end_only_below_a_size_that_this_page_has_shown`.
            Witness::Same if is_below(belief.honoured.size_now()) && !more_is_said => Self::seen(true),
            // A list of as many items as the count, and a cap of as many items with a stale count, look alike, so the
            // end is only `checked`. Test: `a_short_list_with_a_count_costs_two_requests_and_is_checked`.
            _ if from_start && answer.total.is_some_and(|total| total.exact && total.value == count as u64) => {
                Self::seen(true)
            }
            _ => Self { ends: false, short: true, capped: count > 0 && more_is_said, checked: false },
        }
    }

    /// Returns an end that a second statement supports. The end is `checked` if that statement is another answer or an
    /// uncertain count.
    fn seen(checked: bool) -> Self {
        Self { ends: true, short: false, capped: false, checked }
    }
}
