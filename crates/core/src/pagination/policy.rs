//! The meaning of a route's `verify`, `unproven` and `short_pages`, the same for every strategy.
//!
//! | what happens | `verify = "always"` | `"when-cheap"` | `"never"` |
//! | --- | --- | --- | --- |
//! | the place is not where it is expected | it is searched for | it is searched for | the page is what stands at the offset |
//! | the answers of a search show that the place is gone, or a run of ties is too long | `unproven` decides | `unproven` decides | |
//! | the budget of a search ends before the place is found | refused, 503 `budget_exceeded` | the same | |
//! | items contradict the order | `unproven` decides | `unproven` decides | |
//! | only further requests show an end or a seam | they are made | the page is flagged `seam`; without a declared order only a full page is | |
//! | the budget ends after some items were taken | `short_pages` decides | `short_pages` decides | `short_pages` decides |
//! | the budget ends with the page full, before it is seen what follows | served, with a next page, where an answer says that there is more (`SliceReader::is_full_and_said_to_go_on`); else `short_pages` decides | the same | the same |
//!
//! By keys, an answer's statement that there is more does not count while the place is searched for, nor for the page
//! at the end of the list, of which no item can be served before the end is found.
//!
//! `unproven = "refuse"` refuses the page; `"flag"` serves what stands at its offset, flagged with the reason.
//! `short_pages = "refuse"` refuses it, 503 `budget_exceeded`; `"serve"` serves the items that there are, at least one,
//! with a next page: `SliceReader::unasked` (`slices.rs`), by token `token.rs`. `read::read` turns `verify = "never"`
//! into `"always"` for a list with hidden items, and for one without an order whose last page comes again: offsets
//! alone would lead through these for ever.

#[cfg(test)]
mod tests;

use super::request::{PageRequest, ShortPages, Verify, WhenUnproven};

impl PageRequest {
    /// Returns whether pages are served by their offset, without a proof.
    pub(super) fn is_unverified(&self) -> bool {
        self.terms.verify == Verify::Never
    }

    /// Returns whether proofs that need further requests are left out: by keys in `windows::take` (ends) and
    /// `windows::across` (seams), without a declared order in `anchored::asking` and
    /// `anchored::mark_seam`.
    pub(super) fn leaves_out_costly_proofs(&self) -> bool {
        self.terms.verify == Verify::WhenCheap
    }

    /// Returns whether a page that can't be proven is served, flagged.
    pub(super) fn flags(&self) -> bool {
        self.terms.unproven == WhenUnproven::Flag
    }

    /// Returns whether a page that has this many items when its budget ends is served.
    pub(super) fn serves_short(&self, items: usize) -> bool {
        self.terms.short_pages == ShortPages::Serve && items > 0
    }
}
