//! The limits of the core, in one table. Each comment states what its limit bounds and why. Unless it names a
//! measurement, the value follows from that reasoning.
//!
//! Sizes of values in cursors are part of a format, so they are defined with their types ([`super::mark::Mark::BITS`],
//! [`super::key::TEXT_KEPT`], [`super::position::Marks`]). Each loop uses the limit that bounds it by name.

/// The largest number of requests for a page that is where its hint says, unless the caller sets a budget. When it is
/// spent, `short_pages` decides whether the items read so far are served. The gateway's key `budgets.upstream_requests`
/// has the same default. A page takes one request, and the confirmation of an end at most three. If the list changes
/// meanwhile, both are done twice.
pub(super) const PAGE_REQUESTS: u32 = 8;

/// The largest number of requests for a page whose place must be searched for, unless the caller sets a budget. When it
/// is spent before the place is found, the page is refused. The gateway's key `budgets.search_requests` has the same
/// default. A binary search finds a place among 2^32 items within 32 answers of one item each; the other 8 requests
/// read the page that is found ([`PAGE_REQUESTS`]). Without a total, the search first doubles its distance, which takes
/// 2 answers of one item per step, so fewer items are in reach. [`WINDOW_LOOKS`] and, by marks, [`SEARCH_ITEMS`] end a
/// search earlier.
pub(super) const SEARCH_REQUESTS: u32 = 40;

/// The largest number of items on each side of the hint among which a place is searched for without a declared order,
/// unless the caller sets another number. A place farther away isn't found. Both sides together are 20 answers of 100
/// items.
pub(super) const SEARCH_ITEMS: u32 = 1_000;

/// The number of items by which a window is wider on either side than its page needs, if they cost no extra request. A
/// boundary that changes to the list have moved by at most this many items is then found without another request.
pub(super) const MARGIN: u64 = 10;

/// The least margin of a list with a declared order whose boundaries were lately found within half of this many items of
/// their hints. With [`MARGIN`], a page of 20 items reads 42; with this margin it reads 26.
pub(super) const STILL_MARGIN: u64 = 2;

/// The number of items that a window with a margin has at least. A smaller one shows too little of lists whose upstream
/// doesn't do what its dialect says, such as one that leaves rows out.
pub(super) const LEAST_WINDOW: u64 = 24;

/// The number of items by which the answers of a chain overlap, but at most a quarter of the cap. An overlap of one
/// item would break whenever an item between two answers is deleted.
pub(super) const CHAIN_OVERLAP: u64 = 10;

/// The largest size that is ever requested. `json::Limits` rejects an answer with more items.
pub(super) const LARGEST_SIZE: u32 = 100_000;

/// The largest size that is requested from an upstream without a declared cap, and the largest answer that is expected
/// of it.
pub(super) const UNCAPPED_SIZE: u32 = 1_000;

/// A factor: to find a page that holds a window, page sizes of up to this many times the window's size are tried, or
/// sizes of up to 100 if that is more. A page of twice the window's size holds nearly every window.
pub(super) const STRETCH: u64 = 4;

/// The largest number of page sizes that are tried if no page holds a window. Other sizes aren't considered. This limit
/// bounds arithmetic, not requests.
pub(super) const TRIED_SIZES: usize = 1_000;

/// The largest number of items between the first item with the anchor's first key and the anchor's run. If there are
/// more, a filter only on that key isn't used, because each deletion among these items would move the boundary in the
/// filtered list.
pub(super) const FILTER_DETOUR: u32 = 100;

/// The number of pages in a row for which a filter doesn't help, after which the filter is given up. An ignored filter
/// costs one request per page.
pub(super) const PAGES_IN_VAIN: u8 = 3;

/// The number of pages that are read without a filter that was given up, before the filter is tried again. A useless
/// filter then costs one request in 33 pages.
pub(super) const PAGES_WITHOUT_FILTER: u8 = 32;

/// The largest number of requests that a page may make for the whole list after its filter has spent the budget of a
/// page. They come from the budget of a search. A page without a filter may make as many ([`PAGE_REQUESTS`]).
pub(super) const AFTER_FILTER_REQUESTS: u32 = 8;

/// The least length of a tie run that suggests a cap when it fills a whole answer, unless the largest possible answer
/// is shorter. A shorter run may fill an answer by chance.
pub(super) const TELLING_RUN: usize = 10;

/// The largest number of upstream pages in a row, all read for one page, that reach no farther in the list. After one
/// more, the page is refused as stuck. An insertion may push one upstream page back; tokens that go round in a circle
/// never get farther.
pub(super) const IDLE_PAGES: u32 = 3;

/// The number of empty answers in a row that end a list by token although each has a token for the next. Filters that
/// are applied after the limit leave such answers in the middle of lists; tokens that are always there leave them after
/// the end. In a model of lists with up to 300 dropped rows in a row and upstream pages of 20, 16 answers ended 2 % of
/// the lists too early.
pub(super) const EMPTY_TOKEN_ANSWERS: u32 = 16;

/// The number of empty answers in a row that end a list by token whose exact total is the number of items passed.
pub(super) const EMPTY_TOKEN_ANSWERS_AT_TOTAL: u32 = 2;

/// The largest number of times that an empty answer by token is asked for again, if the token promised items and nothing
/// else says that the list is over. A list that ends so costs two requests more than one by another sign.
pub(super) const STRANGE_ANSWERS_ASKED_AGAIN: u32 = 3;

/// The size that is requested after an empty answer, if the upstream allows it. Empty answers are counted, so a small
/// limit must not decide how many dropped rows they cover.
pub(super) const SIZE_IN_A_GAP: usize = 100;

/// The largest number of requests up to which the cost of a page at a known place is computed. It is the largest value
/// of a route's `budgets.upstream_requests`. The budget of a search may be larger.
pub(super) const LARGEST_BUDGET: u32 = 1_000;

/// The largest number of answers that a page may fill for its cost to be computed at every place. For a larger page,
/// one request more or less doesn't matter and the time for each place is proportional to the page, so fewer places are
/// computed.
pub(super) const COUNTED_ANSWERS: u32 = 8;

/// The length of the longest tie runs whose cost is computed, in answers of the largest size. Longer runs are refused
/// or read separately.
pub(super) const COUNTED_RUNS: u32 = 4;

/// A length of lists that most small page sizes divide: the least common multiple of 1 to 10.
pub(super) const DIVISIBLE_LENGTH: u64 = 2_520;

/// The largest number of digits of a decimal that is moved by its grain. No measurement has as many digits, so longer
/// decimals aren't moved.
pub(super) const MOVED_DIGITS: usize = 256;

/// The largest number of readings of the flipped list for one boundary. Each may fail because the list's length
/// changes; after the second, neighbouring slices are read instead.
pub(super) const FLIPPED_READINGS: u32 = 2;

/// The least number of items that is requested if ties are unordered and the length of runs isn't known: the answer
/// must reach past whole runs.
pub(super) const LOOSE_RUN_LEAST: u64 = 100;

/// The largest number of items that are requested on a side of a window where a tie run continues, if even
/// [`LOOSE_RUN_LEAST`] items cut the run. Even if the run seems longer, no more are requested. An upstream without a
/// cap isn't asked for more either.
pub(super) const LOOSE_RUN_MOST: u64 = 1_000;

/// The largest number of confirmations of an end at the same place. After that, the end isn't confirmed again at this
/// place. Another confirmation is needed only if the list has changed since the one before.
pub(super) const END_CHECKS_AT_ONE_PLACE: u32 = 4;

/// The largest number of confirmations of an end for one page, at any places. After that, no end is confirmed again for
/// the page. More than one is needed only if the list changes meanwhile.
pub(super) const END_CHECKS: u32 = 10;

/// The largest number of requests, since the last progress, for a boundary or a tie run among hidden items. Each
/// reaches twice as far as the one before. After the last, the place counts as lost, or the tie run as too long.
pub(super) const HIDDEN_RUN_LOOKS: u32 = 6;

/// The largest number of items by which a count may exceed the end of an answer without suggesting that a cap cut the
/// answer. The list may have changed between the count and the slice.
pub(super) const OVERTAKEN_COUNT: u64 = 2;

/// The largest number of requests beside an answer that doesn't show on which side of it the boundary is: two on either
/// side. After that, the place is lost.
pub(super) const APART_LOOKS: u32 = 4;

/// The largest number of readings of a seam whose items don't show on which side of it the boundary is; after the
/// second, the place is lost. The second reading may show an item that moved between the slices; an unchanged list
/// shows the same each time. Without this limit, one page read the same seam seven times in vain: its anchor, at the
/// end of a list by an opaque key, had been deleted.
pub(super) const APART_SEAM_READINGS: u32 = 2;

/// The largest number of requests for the same window since the last progress. After that, the place counts as lost, or
/// the tie run as too long. A list that changes may show the boundary there after all; an unchanged list shows the same
/// each time.
pub(super) const WINDOW_LOOKS: usize = 5;

/// The largest number of failed readings of a seam after which two slices are still read for a tie run that doesn't fit
/// into one slice. After more, the window is widened instead. An upstream that shuffles the run may show another part
/// of it each time.
pub(super) const RUN_PAIRS: u32 = 2;

/// The number of readings of a seam after which slices whose total places them elsewhere are not read again: unless the
/// list changes, they stay there.
pub(super) const OTHER_PLACE_READINGS: u32 = 2;

/// The largest number of failed readings of a seam. After one more, the place is lost, because a list that changes
/// during each reading changes too fast.
pub(super) const KEY_SEAM_READINGS: u32 = 6;

/// The largest number of contradictions of the order, during one page, whose earlier answer is the same when it is read
/// again, and which may yet be a coincidence: a change that was undone, or replicas that differ. After more of them,
/// the list counts as sorted in another order.
pub(super) const REPEATED_CONTRADICTIONS: u32 = 1;

/// The largest number of readings of an answer whose items may not be consecutive, and of the answer before it, until
/// both show one state of the list.
pub(super) const NEIGHBOUR_READINGS: u32 = 3;

/// The number of places, spread over the list, whose items are compared before an end that was searched for is
/// believed. A list that is sorted in another order shows that at most places.
pub(super) const ORDER_SAMPLE_PLACES: usize = 4;

/// The number of items that are requested on each side of each of the [`ORDER_SAMPLE_PLACES`], if they cost no extra
/// request.
pub(super) const ORDER_SAMPLE_MARGIN: u64 = 10;

/// The largest number of answers in a row that may repeat the items of the answer before, although their slices begin
/// elsewhere. After one more, the upstream is taken to ignore the place. An upstream that repeats its last page after
/// the end gives such answers too.
pub(super) const ALIKE_ANSWERS: u32 = 2;

/// The number of items before and after the page's items that an answer should show, if they cost no extra request.
/// They contain the marks of the client's cursor, and supply the marks of the next cursor.
pub(super) const MARKS_BESIDE: u64 = 2;

/// The largest number of marks of which every subset is compared: 2^8 subsets. Other marks are ignored. A cursor has
/// five marks.
pub(super) const MARKS_COMPARED: usize = 8;

/// The number of empty answers in a row that end a list with hidden items and no count.
pub(super) const EMPTY_ANSWERS: u32 = 2;

/// The number of failed readings of a seam, in a list without a declared order, after which the list counts as changing
/// too fast and the place is lost.
pub(super) const MARK_SEAM_READINGS: u32 = 3;

/// The number of items of each of the first two windows of a search by marks: as many as most upstreams give at once.
/// Each next pair of windows has twice as many items.
pub(super) const SEARCH_WINDOW: u64 = 100;

/// The number of items that neighbouring windows of a search by marks share. One of the two answers then shows all five
/// marks of a cursor.
pub(super) const SEARCH_OVERLAP: u64 = 5;

/// The number of requests that a search by marks leaves for the page that it finds.
pub(super) const AFTER_SEARCH_REQUESTS: usize = 4;

/// The largest number of requests that read the items around the deciding marks again after a search by marks. After
/// that, the marks seen so far decide. The requests count against [`SEARCH_REQUESTS`].
pub(super) const CLOSER_LOOKS: u32 = 8;

/// The smallest number of items of a short answer that suggests a cap of the upstream. A shorter answer suggests no
/// cap.
pub(super) const LEAST_CAP: u32 = 5;

/// The number of items before the last page of a list without a declared order that its answer should show, if they
/// cost no extra request. They supply the marks for the previous page.
pub(super) const TAIL_MARGIN: u64 = 2;

/// The first stride, in items, of the search for the end of a list without a declared order and without a count. Each
/// stride is twice as long as the one before.
pub(super) const TAIL_STRIDE: u64 = 100;

/// The largest number of answers past the end for places that are within the list by its count. After one more, the
/// places count as deeper than the upstream answers. A count that includes rows which no client sees looks the same,
/// until a binary search has come down to the visible rows.
pub(super) const DEPTH_LOOKS: u32 = 6;

/// The largest number of times that the end of one page is refuted, or that a gap is crossed towards a named place.
/// Each time the page reaches farther; a list that refutes more ends than that changes too fast, or is all gaps.
pub(super) const END_REFUTATIONS: u32 = 8;

/// The largest number of times that a small request confirms the end of one page that is read by marks. An answer that
/// a change of the list spoils is one of two.
pub(super) const MARK_END_CHECKS: u32 = 2;

/// The largest number of slices of a gap that are read again before its sides are joined.
pub(super) const GAP_READ_AGAIN: usize = 8;

/// The largest number of sweeps of one page. Each must make progress, so one suffices unless gaps follow one another.
pub(super) const SWEEPS: u32 = 8;

/// The largest number of slices of a sweep.
pub(super) const SWEEP_STEPS: u32 = 40;

/// The largest number of empty slices in a row that a sweep passes before the end is judged.
pub(super) const SWEEP_EMPTY: u32 = 3;

/// The number of pages of a fixed size that are looked at right after a supposed end.
pub(super) const END_BASE_PAGES: u64 = 3;

/// The least offset at which the upstream is asked what it says far beyond every end.
pub(super) const END_FAR_OFFSET: u64 = 1 << 20;

/// The number of windows of the flipped list that are looked at for its first item.
pub(super) const END_FLIPPED_LOOKS: u64 = 3;

/// The number of looks at the rest of a slice whose answer may have been cut.
pub(super) const CUT_LOOKS: usize = 4;

/// The number of requests that are left for the page when the rest of a slice is looked at for a cut.
pub(super) const CUT_RESERVE: usize = 12;

/// The number of looks without a hole, and at growing distances, after a supposed end: of a list of which nothing says
/// more, and of other lists. In the model of such lists, two growing looks find the items after a gap of 300 rows in
/// all but 5 % of the lists, and one look fewer loses 40 % of them.
pub(super) const END_LOOKS: [(u32, u32); 2] = [(0, 2), (2, 4)];

/// The largest number of looks at growing distances after the end of a list that is declared to leave out rows, and of
/// which nothing says anything about its end. The last one is 2^15 windows after the end.
pub(super) const END_LOOKS_AMONG_HIDDEN: u32 = 16;

/// The largest distance, in windows, of a named place up to which all rows are looked at.
pub(super) const NAMED_PLACE_WINDOWS: u64 = 16;

/// A size that counts as honoured although no answer has filled it: every upstream is expected to give two items if two
/// are requested and exist.
pub(super) const HONOURED_UNSEEN: u32 = 2;
