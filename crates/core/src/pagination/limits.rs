//! The limits of the core, in one table. Each comment states what its limit bounds and why. Unless it names a
//! measurement, the value follows from that reasoning.
//!
//! Sizes of values in cursors are formats and stand with their types ([`super::mark::Mark::BITS`],
//! [`super::key::TEXT_KEPT`], [`super::position::Marks`]). A limit is used by name at the loop that it bounds.

/// Requests for a page that is where its hint says, unless the caller sets a budget; `budgets.upstream_requests` of the
/// gateway has the same default. A page takes one request, the confirmation of an end at most three; a page whose
/// list changes meanwhile does both twice.
pub(super) const PAGE_REQUESTS: u32 = 8;

/// Requests for a page whose place must be searched for, unless the caller sets a budget; `budgets.search_requests` of
/// the gateway has the same default. Halving finds a place among 2^32 items within 32 answers of one item each. Without
/// a total, galloping comes first and takes 2 answers of one item for each doubling of the distance, so that fewer
/// items are in reach. The other 8 are those of the page that is found ([`PAGE_REQUESTS`]). [`WINDOW_LOOKS`],
/// [`CONTRADICTIONS`] and, by marks, [`SEARCH_ITEMS`] end a search earlier.
pub(super) const SEARCH_REQUESTS: u32 = 40;

/// Items each way among which a place is searched for without a declared order, unless the caller sets another number:
/// 20 answers of 100 items.
pub(super) const SEARCH_ITEMS: u32 = 1_000;

/// Items by which a window is wider on either side than its page needs, if the upstream gives them in the same answer.
/// A boundary that changes to the list have moved by at most this many items costs no further request.
pub(super) const MARGIN: u64 = 10;

/// Items by which the answers of a chain overlap, at most a quarter of the cap. An overlap of one item would break with
/// each deletion between two answers.
pub(super) const CHAIN_OVERLAP: u64 = 10;

/// The largest size that is ever asked for: `json::Limits` reads no answer with more items.
pub(super) const LARGEST_SIZE: u32 = 100_000;

/// The largest size that an upstream without a named cap is asked for. A larger answer of it is not expected either.
pub(super) const UNCAPPED_SIZE: u32 = 1_000;

/// A page that holds a window is looked for among sizes of up to this many times the window's, or of up to 100 items.
/// Nearly every window is held by a page of twice its size.
pub(super) const STRETCH: u64 = 4;

/// Sizes that are tried, from the largest down, if no page holds a window. It bounds arithmetic, not requests.
pub(super) const TRIED_SIZES: usize = 1_000;

/// Items between the first one with the anchor's first key and the anchor's run, beyond which a filter on that key
/// alone is not used: each deletion among them moves the boundary in the filtered list.
pub(super) const FILTER_DETOUR: u32 = 100;

/// Pages in a row that a filter does not help with, after which it is not asked for. An ignored filter costs one
/// request a page.
pub(super) const PAGES_IN_VAIN: u8 = 3;

/// Pages without a filter that was given up, before it is tried again. It then costs one request in 32 pages.
pub(super) const PAGES_WITHOUT_FILTER: u8 = 32;

/// Requests that a page keeps for the whole list after its filter proved nothing, if the search budget has as many:
/// those of a page without a filter ([`PAGE_REQUESTS`]).
pub(super) const AFTER_FILTER_REQUESTS: u32 = 8;

/// The least length of a tie run that shows a cap of the upstream by filling an answer. A shorter run may fill one by
/// chance.
pub(super) const TELLING_RUN: usize = 10;

/// Upstream pages in a row, all read for one page, that may bring nothing new. An item that was inserted just now may
/// push one page back; a list that goes round does so again and again.
pub(super) const IDLE_PAGES: u32 = 3;

/// Requests up to which the cost of a page whose place is known is computed: the largest `budgets.upstream_requests`
/// of a route. A search may have more.
pub(super) const LARGEST_BUDGET: u32 = 1_000;

/// Answers that a page fills, beyond which its cost is computed for fewer places: one request more or less does not
/// matter there, and the time for each place is proportional to the page.
pub(super) const COUNTED_ANSWERS: u32 = 8;

/// The longest tie runs whose cost is computed, in largest answers: longer ones are refused or read by themselves.
pub(super) const COUNTED_RUNS: u32 = 4;

/// A length of lists that most page sizes divide: it has all divisors up to 10.
pub(super) const DIVISIBLE_LENGTH: u64 = 2_520;

/// The most digits of a decimal that is moved by its grain. Longer ones are not moved: no measurement has as many.
pub(super) const MOVED_DIGITS: usize = 256;

/// Readings of the flipped list for one boundary. The list's length may change between two of them; after the second,
/// neighbouring slices are read instead.
pub(super) const FLIPPED_READINGS: u32 = 2;

/// Items that an answer is asked to hold at least, if ties are unordered and the length of runs is not known: it must
/// reach past whole runs.
pub(super) const LOOSE_RUN_LEAST: u64 = 100;

/// Items wished for on the side where a run goes on that even [`LOOSE_RUN_LEAST`] cuts: no more are asked of an
/// uncapped upstream either.
pub(super) const LOOSE_RUN_MOST: u64 = 1_000;

/// Confirmations of an end at one and the same place. After the first, each finds that the list has changed since.
pub(super) const END_CHECKS_AT_ONE_PLACE: u32 = 4;

/// Confirmations of an end for one page, whose list changes meanwhile.
pub(super) const END_CHECKS: u32 = 10;

/// Looks at a run of ties that hidden items cut. Each reaches twice as far as the one before.
pub(super) const HIDDEN_RUN_LOOKS: u32 = 6;

/// Items by which a count may be too high because the list changed between the count and the slice.
pub(super) const OVERTAKEN_COUNT: u64 = 2;

/// Looks beside an answer that does not show on which side of it the boundary is: two on either side.
pub(super) const APART_LOOKS: u32 = 4;

/// Readings of a seam none of whose items shows on which side of it the boundary is. An item that moved from one slice
/// to the other may show it the second time; a list at rest shows the same. Without this limit, a page read one seam
/// seven times in vain after its anchor was deleted at the end of a list by an opaque key.
pub(super) const APART_SEAM_READINGS: u32 = 2;

/// Looks at the same window since the last progress. A list that changes may show the boundary there after all; a list
/// at rest shows the same each time.
pub(super) const WINDOW_LOOKS: usize = 5;

/// Readings of two slices for one run of ties that no single slice holds. An upstream that shuffles the run may show
/// another part of it each time.
pub(super) const RUN_PAIRS: u32 = 2;

/// Readings of a seam before its place is given up. A list that changes during each of them changes too fast.
pub(super) const KEY_SEAM_READINGS: u32 = 6;

/// Contradictions within one page that are taken for changes to the list. After more of them the list is taken to be in
/// another order.
pub(super) const CONTRADICTIONS: u32 = 2;

/// Places all over the list from which items are compared before an end that was searched for is believed. A list that
/// is sorted otherwise shows that at most places.
pub(super) const ORDER_SAMPLE_PLACES: usize = 4;

/// Items on each side of a place of [`ORDER_SAMPLE_PLACES`] that are asked for, if they cost no request.
pub(super) const ORDER_SAMPLE_MARGIN: u64 = 10;

/// Answers from different places that may have the same items before the upstream is taken to ignore the place: an end
/// may come again.
pub(super) const ALIKE_ANSWERS: u32 = 2;

/// Items already served, and items to come, that an answer should show if that costs no more: they are the marks of the
/// cursor that the client sent, and of the one that it gets.
pub(super) const MARKS_BESIDE: u64 = 2;

/// The most marks of which every subset is compared, 2^8 subsets. A cursor has five.
pub(super) const MARKS_COMPARED: usize = 8;

/// The number of empty answers in a row that end a list with hidden items and no count.
pub(super) const EMPTY_ANSWERS: u32 = 2;

/// Readings of a seam without a declared order that may fail. After them the list changes too fast for the seam to be
/// read.
pub(super) const MARK_SEAM_READINGS: u32 = 3;

/// Items of the first windows of a search by marks, as many as most upstreams give at once. Each pair of windows has
/// twice as many as the one before.
pub(super) const SEARCH_WINDOW: u64 = 100;

/// Items that a window of a search by marks shares with its neighbour, so that one answer shows all marks of a cursor.
pub(super) const SEARCH_OVERLAP: u64 = 5;

/// Requests that are kept back from a search by marks, for the page that it finds.
pub(super) const AFTER_SEARCH_REQUESTS: usize = 4;

/// Requests that read the items around the deciding marks again, as a part of [`SEARCH_REQUESTS`].
pub(super) const CLOSER_LOOKS: u32 = 8;

/// The smallest number of items that is taken for a cap of the upstream. A shorter answer shows no cap.
pub(super) const LEAST_CAP: u32 = 5;

/// Items that an answer holds beside the last page of a list without a declared order, where they cost no request:
/// marks of the page before.
pub(super) const TAIL_MARGIN: u64 = 2;

/// The first stride of the search for the end of a list without a declared order and without a count. Each stride is
/// twice as long as the one before.
pub(super) const TAIL_STRIDE: u64 = 100;

/// Places within the list, by its count, whose answers are past the end, before they are taken to be deeper than the
/// upstream answers. A count of rows that no client is shown looks the same, until halving has come down to the rows
/// that are shown.
pub(super) const DEPTH_LOOKS: u32 = 6;

/// A size that counts as honoured although no answer has filled it: every upstream is expected to give two items if two
/// are asked for and are there.
pub(super) const HONOURED_UNSEEN: u32 = 2;
