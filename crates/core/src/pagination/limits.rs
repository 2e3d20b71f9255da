//! The limits of the core, in one table. Each one says what it bounds and why; a value without a figure was chosen by that
//! reasoning and not measured.
//!
//! Sizes of values in cursors are formats and stand with their types ([`super::mark::Mark::BITS`],
//! [`super::key::TEXT_KEPT`], [`super::position::Marks`]). A limit is used by name at the loop that it bounds. The limits of
//! `windows` and `anchored` stand in their files.

/// Requests for a page that is where its hint says, unless the caller sets a budget. A page takes one request; twice the
/// three that confirm an end, and two to spare.
pub(super) const PAGE_REQUESTS: u32 = 8;

/// Requests for a page whose place must be searched for, unless the caller sets a budget. Galloping and halving find a place
/// among 2^32 items within 32 answers that hold one item each.
pub(super) const SEARCH_REQUESTS: u32 = 40;

/// Items each way among which a place is searched for without a declared order, unless the caller sets another number.
pub(super) const SEARCH_ITEMS: u32 = 1_000;

/// Items by which a window is wider on either side than its page needs, where the upstream gives them in the same answer.
/// Changes that move the boundary by no more cost no request.
pub(super) const MARGIN: u64 = 10;

/// Items by which the answers of a chain overlap, at most a quarter of the cap. Fewer rows that come or go between two
/// answers don't break the seam.
pub(super) const CHAIN_OVERLAP: u64 = 10;

/// The largest size that is ever asked for: `json::Limits` reads no answer with more items.
pub(super) const LARGEST_SIZE: u32 = 100_000;

/// The size that an upstream without a named cap is asked for at most. A larger answer of it is not expected either.
pub(super) const UNCAPPED_SIZE: u32 = 1_000;

/// A page that holds a window is looked for among sizes of up to so many times the window's, and of up to 100 items. Nearly
/// every window is held by a page of twice its size.
pub(super) const STRETCH: u64 = 4;

/// Sizes that are tried, from the largest down, where no page holds a window. It bounds arithmetic, not requests.
pub(super) const TRIED_SIZES: usize = 1_000;

/// Items between the first one with the anchor's first key and the anchor's run, beyond which a filter on that key alone is
/// not used: each deletion among them moves the boundary in the filtered list.
pub(super) const FILTER_DETOUR: u32 = 100;

/// Pages in a row that a filter does not help with, after which it is not asked for: a filter that is ignored costs one
/// request a page.
pub(super) const PAGES_IN_VAIN: u8 = 3;

/// Pages without a filter that was given up, before it is tried again. It then costs one request in 32 pages.
pub(super) const PAGES_WITHOUT_FILTER: u8 = 32;

/// Requests that a page keeps for the whole list after its filter proved nothing, if the search budget has as many.
pub(super) const AFTER_FILTER_REQUESTS: u32 = 8;

/// The length of a tie run that fills an answer and shows a cap of the upstream. A shorter run fills an answer by chance.
pub(super) const TELLING_RUN: usize = 10;

/// Upstream pages in a row, all read for one page, that may bring nothing new. An item that was inserted just now may push
/// one page back; a list that goes round does so again and again.
pub(super) const IDLE_PAGES: u32 = 3;

/// The largest budget of requests that a route can have.
pub(super) const LARGEST_BUDGET: u32 = 1_000;

/// Answers that a page fills, beyond which its cost is computed for fewer places: one request more or less does not count
/// there, and each place takes time in proportion to the page.
pub(super) const COUNTED_ANSWERS: u32 = 8;

/// Tie runs whose cost is computed, in largest answers.
pub(super) const COUNTED_RUNS: u32 = 4;

/// A length of lists that most page sizes divide: it has all divisors up to 10.
pub(super) const DIVISIBLE_LENGTH: u64 = 2_520;

/// Digits of a decimal that is moved by its grain. Longer ones are no measurement.
pub(super) const MOVED_DIGITS: usize = 256;
