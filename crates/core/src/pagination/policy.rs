//! The meaning of a route's `verify`, `unproven` and `short_pages`, which is the same for every strategy.
//!
//! `verify` is `"always"`, `"when-cheap"` or `"never"`. The cases in which a page needs a decision:
//!
//! - The place isn't where it is expected. The place is searched for. With `"never"`, the page has the items at the
//!   offset instead.
//! - The answers of a search show that the place is gone, or that a tie run is too long: `unproven` decides.
//! - The budget of a search ends before the place is found: the page is refused (503 `budget_exceeded`).
//! - Items contradict the order: with `"always"` and `"when-cheap"`, `unproven` decides.
//! - Only more requests can prove an end or a seam. With `"always"`, the requests are made. With `"when-cheap"`, the
//!   page is flagged `seam`; without a declared order only if it is full.
//! - The budget ends after some items were taken: `short_pages` decides.
//! - The budget ends when the page is full, but before an answer shows whether items follow. If an answer states that
//!   more items follow (`SliceReader::is_full_and_said_to_go_on`), the page is served with a next page. Otherwise
//!   `short_pages` decides.
//!
//! In a list by keys, an answer's statement that more items follow has no effect in two cases: while the place is
//! searched for, and for the page at the end of the list, because none of its items can be served before the end is
//! found.
//!
//! `unproven = "refuse"` refuses the page; `"flag"` serves the items at its offset, flagged with the reason.
//! `short_pages = "refuse"` refuses the page with 503 `budget_exceeded`; `"serve"` serves the items read so far, at
//! least one, with a next page (`SliceReader::unasked` in `slices.rs`, and `token.rs`). By token, a page is also served
//! short if answers with fewer items than requested have spent the budget. `read::read` turns `verify =
//! "never"` into `"always"` for a list with hidden items, and for a list without an order whose upstream repeats the
//! last page: a walk only by offset would never end in such a list.

#[cfg(test)]
mod tests;

use super::request::{PageRequest, ShortPages, Verify, WhenUnproven};

impl PageRequest {
    /// Returns whether pages are served only by their offset, without a proof.
    pub(super) fn is_unverified(&self) -> bool {
        self.terms.verify == Verify::Never
    }

    /// Returns whether proofs that need more requests are left out. With a declared order, `windows::take` (ends) and
    /// `windows::across` (seams) leave them out; without one, `anchored::asking` and `anchored::mark_seam` do.
    pub(super) fn leaves_out_costly_proofs(&self) -> bool {
        self.terms.verify == Verify::WhenCheap
    }

    /// Returns whether a page that can't be proven is served with a flag, instead of being refused.
    pub(super) fn flags(&self) -> bool {
        self.terms.unproven == WhenUnproven::Flag
    }

    /// Returns whether a page is served that has only `items` items when its budget ends.
    pub(super) fn serves_short(&self, items: usize) -> bool {
        self.terms.short_pages == ShortPages::Serve && items > 0
    }
}
