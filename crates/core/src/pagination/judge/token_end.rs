//! The judge of the ends of lists by token: what an answer without a next page has to show, and what must be marked.

use super::{
    page::PageFacts,
    token_seams::Passage,
    upstream_page::{Lead, UpstreamPage},
};
use crate::pagination::{
    answer::Answer,
    direction::Way,
    limits::{EMPTY_TOKEN_ANSWERS, EMPTY_TOKEN_ANSWERS_AT_TOTAL},
    paging::{EndEvidence, Paging},
    position::Position,
    request::PageRequest,
    window::Offset,
};

/// The number of items that a walk from the start has passed, beside a total.
#[derive(Clone, Copy, Debug)]
pub(in crate::pagination) struct TokenCounts {
    /// The number of items passed; `None` if the walk didn't begin at the start of the list.
    pub(in crate::pagination) passed: Option<u64>,
    /// The sum by which totals have changed during the walk. Items that were inserted before the place aren't passed,
    /// and some of those passed may have been deleted.
    pub(in crate::pagination) grown: u64,
    /// The total; `None` if none is known.
    pub(in crate::pagination) total: Option<u64>,
}

impl TokenCounts {
    /// Returns the total if it is more than all items passed; otherwise `None`.
    pub(in crate::pagination) fn promised(self) -> Option<u64> {
        let passed = self.passed?.saturating_add(self.grown);
        self.total.filter(|total| *total > passed)
    }

    /// Returns whether the total is the number of items passed. A total that has changed may be so in the middle of the
    /// list. Test: `a_total_that_has_changed_does_not_show_that_all_items_are_passed`.
    pub(in crate::pagination) fn is_at_total(self) -> bool {
        self.passed.is_some() && self.passed == self.total && self.grown == 0
    }
}

/// Returns the total of an answer, if it can be compared with the number of items passed. A total of 0 beside no items
/// says nothing: an upstream that fails may answer so.
pub(in crate::pagination) fn counted(answer: &Answer, paging: &Paging) -> Option<u64> {
    let total = answer.total.filter(|total| total.exact && paging.counts_items())?;
    (total.value > 0 || !answer.items.is_empty()).then_some(total.value)
}

/// Returns whether an answer has no token, no flag and no total.
pub(in crate::pagination) fn states_nothing(answer: &Answer) -> bool {
    answer.next.is_none() && answer.more.is_none() && answer.total.is_none()
}

/// Returns the number of empty answers in a row up to the last upstream page. If all are empty, those before the cursor
/// count too.
pub(in crate::pagination) fn empty_answers(pages: &[UpstreamPage], way: Way, request: &PageRequest) -> u32 {
    let is_empty = |page: &&UpstreamPage| page.is_empty() && page.asked().way == way;
    let here = pages.iter().rev().take_while(is_empty).count();
    let before = if here == pages.len() { request.target.hint.walk.empty } else { 0 };
    before.saturating_add(u32::try_from(here).unwrap_or(u32::MAX))
}

/// Returns whether so many empty answers in a row end a list, although the last one has a token. Fewer do if the total
/// is reached and no flag says anything, or if a flag denies more items that has spoken of more than full answers.
pub(in crate::pagination) fn is_emptied(last: &Answer, empty: u32, is_at_total: bool, said_when_short: bool) -> bool {
    let agrees = (is_at_total && last.more.is_none()) || (said_when_short && last.more == Some(false));
    empty >= EMPTY_TOKEN_ANSWERS || (agrees && empty >= EMPTY_TOKEN_ANSWERS_AT_TOTAL)
}

impl Passage<'_> {
    /// Returns whether the answers allow this page to be the last one, and whether a contradiction is marked.
    pub(super) fn ends(&self, facts: &PageFacts) -> bool {
        let (tokens, end) = (self.request.paging.tokens, self.request.paging.end);
        let Some(last) = self.pages.last().filter(|last| self.consumed == last.len()) else { return false };
        if last.is_vouched_end(self.way, tokens, end) {
            return true;
        }
        let hint = self.request.target.hint;
        let is_start = matches!(self.request.target.position, Position::Start | Position::At(Offset(0)));
        let passed = if is_start { Some(0) } else { hint.walk.passed };
        let stated = self.pages.iter().rev().find_map(|page| counted(page.answer(), &self.request.paging));
        // Totals may have changed several times since the cursor was made, which only the reader has added up.
        let changed = stated.zip(hint.total).map_or(0, |(stated, known)| stated.abs_diff(known));
        let grown = hint.walk.grown.saturating_add(changed);
        let taken = self.taken.len() as u64;
        let counts = TokenCounts { passed: passed.map(|passed| passed.saturating_add(taken)), grown, total: stated };
        let is_marked = facts.doubted_end.is_some();
        let says_more = last.answer().more == Some(true) || (counts.promised().is_some() && self.pages.len() == 1);
        let is_over = match last.lead(self.way, tokens, end) {
            Lead::Edge => true,
            Lead::Token(_) if end == EndEvidence::Token => false,
            Lead::Token(token) => {
                let counts = TokenCounts { total: counted(last.answer(), &self.request.paging), ..counts };
                let is_at_total = counts.is_at_total();
                // An empty page that leads to itself leads nowhere, but it may stand for rows that are left out.
                let repeats_nothing = last.is_empty() && last.asked().is_for(self.way, &token);
                let empty = empty_answers(&self.pages, self.way, self.request);
                repeats_nothing && (is_marked || is_at_total)
                    || is_emptied(last.answer(), empty, is_at_total, last.answer().more == Some(false))
            }
            Lead::Unknown | Lead::Broken => false,
        };
        is_over && (is_marked || !says_more)
    }
}
