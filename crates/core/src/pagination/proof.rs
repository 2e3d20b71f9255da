//! How a page is proven: the documentation of the rules that the modules of the core implement. This module has no
//! code.
//!
//! An answer is used for a page after an item *A* only if it begins at or before *A* and reaches beyond *A*. The page
//! takes the answer's items after *A*. If they are fewer than the page needs, the last of them takes the role of *A*,
//! and the next answer must meet this rule too. Pages before *A* follow the mirror image.
//!
//! Example: *A* has the key 40 and is deleted. An answer with the keys 38, 39, 41, 42 still proves that the page begins
//! with 41.
//!
//! Why no item is skipped or repeated: let *S* be the state of the list that an answer shows, and *A′* the last item
//! that the page takes from the answer. The answer contains every item of *S* between *A* and *A′*, and the page takes
//! all of them. So an item that keeps its keys and is in every shown state lies in exactly one interval (*A*, *A′*],
//! and is delivered there, once, in order. The proof uses neither offsets nor time, and does not need *A* to exist.
//!
//! File names below are relative to `crates/core/src/pagination`.
//!
//! # Levels
//!
//! Only `Draft::finish` (`judge/draft/assembly.rs`) assigns the level `exact`; `judge/parts_page.rs` only keeps or
//! lowers levels. A page that can't be proven is refused, or served flagged if the route's `unproven` permits that.
//!
//! `checked` pages are as reliable as two readings that agree. An upstream can deceive both. Example: it hides items
//! after it has applied the limit, and returns ties in another order with each query. Then both readings may lack the
//! same item.
//!
//! With `verify = "never"`, pages are served by their offsets, without a proof. In two kinds of lists, a walk by
//! offsets alone might never end: lists whose offsets count hidden items, and lists without an order whose upstream
//! repeats the last page. For these, the core treats `"never"` as `"always"` (`read::read`), and the command `check`
//! reports the route.
//!
//! # Contradictions
//!
//! **Within one answer**, `judge/evidence/check_order.rs` finds items out of order. If the contradicted key is a string
//! without a declared type, the page is read by marks instead of keys (`lowered.rs`). Otherwise the page is refused as
//! unsorted, or served flagged (`windows/outcome.rs`).
//!
//! **Between answers of a search**, `windows/contradiction.rs` compares the answers with one another, up to the answer
//! that shows the boundary. If a search concludes that the boundary is at an end of the list, answers from all over the
//! list must first confirm the order. So a list that is not sorted by its declared keys is noticed even if each of its
//! answers looks sorted.
//!
//! A list that changes fast also gives answers that contradict one another, so the earlier of two contradictory answers
//! is requested again. If it has changed, the contradiction shows nothing. If not, the search begins anew, and its page
//! can't be proven: even if the search finds a place, the position is lost. After a second contradiction of this kind
//! (`limits::REPEATED_CONTRADICTIONS`), the list counts as sorted otherwise. A single one may be a coincidence: in
//! 600,000 walks of the simulator's keyed lists, one met a change that was undone between the two readings.
//!
//! **Between a page and other answers**, `upstream/shown.rs` finds items that belong on a page, by their keys, and are
//! missing from it. Only items that an answer showed before the page's own answers count. Example: an upstream gives
//! nulls first, but the order declares them last. Answers of the flipped list show items before the client's place.
//! Then an answer from the start of the list shows a null, which belongs after the place, and so seems to prove that no
//! item comes before the place. The answer with the missing items is requested again. If it still shows one of them,
//! the position is lost; if not, the items were deleted meanwhile, and the page is served.
//!
//! **Between neighbouring answers**, `windows/consecutive.rs` finds items that an upstream puts on top of every page,
//! such as pinned ones. If these are the first items of the order, each answer looks sorted, and the item after them
//! seems to follow them. Such answers have more items than were requested, or lack the item next to which the page
//! begins. Each of them is compared with the slice before it, which shows items between those on top and the rest. In
//! 4,000 walks through such lists, over 500 had a wrong page at `exact` before; 38 have one now, mostly where a cap
//! lets an answer look as large as requested.
//!
//! In the simulator, clients also continue from items without a hint in lists that are sorted otherwise than declared.
//! A wrong page is excused only if all its answers fit the declared order. In 200,000 walks of the family
//! `misdeclared`, 167 pages were wrong before these comparisons were complete; 19 are now, all of this kind.
//!
//! # Ties
//!
//! A tie run is a sequence of neighbouring items with equal strong keys (the keys by which the upstream sorts before
//! the id). If the upstream does not order the items of a run, an answer's items of that run are used only if the
//! answer reaches past the whole run (`judge/evidence.rs`). Within the run, the core sorts the items by id.
//!
//! If an answer ends in the middle of a run, the run is requested once more, with the widest slice that the upstream
//! permits. If a run seems longer than any answer, `tie_run` in `windows/outcome.rs` takes these steps in order:
//!
//! 1. It drops a suspected cap, which may only have made the run seem too long.
//! 2. It reads two neighbouring slices that together may contain the run.
//! 3. It refuses the page, or serves it flagged if the route permits that.
//!
//! If the upstream can filter by the keys, a long run is read separately: `upstream/runs.rs` notices the run, and
//! `keyset/reading.rs` reads it.
//!
//! The length of the longest run is learnt, so the first request for the next page reaches past such runs. A learnt
//! length is lowered step by step while no long run is seen.
//!
//! # Aligned pages
//!
//! Some upstreams return only whole pages, which begin at multiples of the page size. The smallest page that contains
//! the window (the offsets that the client's page needs) is requested first (`plan.rs`), and a wider page if that one
//! does not contain the boundary. If no permitted page is wide enough, a chain of overlapping pages of different sizes
//! is requested.
//!
//! With a fixed page size, no upstream page shows both sides of the seam between two pages, or both parts of a tie run
//! that crosses the seam. Example: with 20 items a page, items 20 and 21 are never in one answer. `windows/across.rs`
//! takes the first of these ways that is possible:
//!
//! - If the upstream can return the flipped list (the list in the opposite order), one of its pages can show both sides
//!   of the seam. The client's page is then `exact`.
//! - With `verify = "when-cheap"`, no further request is made. The boundary is assumed at its expected offset, and the
//!   client's page is flagged.
//! - Otherwise the earlier page, the later page, and the earlier page again are read. Both readings of the earlier page
//!   must be the same (`judge/joined.rs`). The client's page is then `checked`.
//!
//! If more than two neighbouring slices are needed, every second slice is read twice, before and after the slices
//! between. So each seam is next to a slice that was read twice (`windows/key_seam.rs`). A slice within one run of
//! unordered ties does not fix a seam: if an item leaves the slice, another item of the run can replace it unnoticed.
//! In this case all of the neighbouring slices are read once more, and each must be the same as before.
//!
//! # Locating and searching
//!
//! One loop reads pages by keys (`windows`) and by marks (`anchored`). It is in `slices.rs`: locate the position; take
//! items from the answers that show it; confirm the end; if no answer shows the position, search for it.
//! `slices/asker.rs` makes the requests: it enforces the budget, cuts slices at the declared maximum depth, and learns
//! sizes and counts from the answers.
//!
//! If no further request can be made (`SliceReader::unasked`), the page is served in two cases, and otherwise refused.
//! First, the page is full and an answer says that more items follow. Second, the budget is spent, the page has at
//! least one item, and `short_pages` permits short pages (`policy.rs`).
//!
//! If the boundary is not at the expected offset, the offset is first corrected by the change of the list's total since
//! the cursor was made. If the boundary is not there either, `windows/bracket.rs` searches by keys: it doubles the
//! distance until the boundary is passed, and then halves the range. Marks tell the position only where they are seen,
//! so `anchored` looks in growing windows on both sides. A search requests the largest answers that the upstream gives,
//! and ends without a result when its budget is spent (`limits::SEARCH_REQUESTS`, unless the route sets another
//! number). A bracket, the range of offsets in which the boundary is expected, is an assumption, and is dropped when an
//! answer contradicts it.
//!
//! Pages by keys and by marks have one rule for ends: an end on which two readings agree overrules a larger count.
//!
//! # Caps
//!
//! A cap is the largest number of items that an upstream gives in one answer. A size counts as honoured only if so many
//! items were received; a requested size shows nothing.
//!
//! A silent cap is one that the upstream does not state. It is learnt from two short answers of a page that have the
//! same number of items and begin at different offsets (`slices/sizes.rs`). A single short answer is not enough,
//! because a limit of bytes or time may have cut it. A learnt cap is dropped if a larger answer or a confirmation of an
//! end refutes it (`refute_cap` in `windows/confirm.rs`).
//!
//! Learnt caps only help to choose requests, and prove nothing. The gateway stores them separately by path, filter
//! names and principal. The first page of a walk ignores the learnt cap, so a cap that is too small is noticed and
//! dropped.
//!
//! # Filters
//!
//! `keyset` requests the items that pass an inclusive filter on the first key. The bound is widened by the grain, the
//! precision in which the key is shown. In the filtered list, the boundary is proven by the rule for the whole list.
//!
//! - `keyset::read_at_once` tries the filter. If an answer begins before the anchor's first key, the filter has no
//!   effect (`windows/miss.rs` notices that), and the page is read from the whole list.
//! - The filter includes the anchor's value. If the filtered answer shows neither the anchor nor its ties, the filter
//!   is not trusted, and the position is searched for in the whole list.
//! - If the filter does not help with three pages in a row, the next 32 pages are requested without it.
//! - Pages before an item are read from the flipped list, and `Page::turned` reverses them. `Evidence::of_flipped`
//!   reverses a single answer of the flipped list, which shows a seam.
//!
//! A position may need several filters, called alternatives: one for values and one for nulls, or one for each key.
//! Example: `created_at <= X`, then `created_at is null`. Each selects a part of the list, and the parts follow one
//! another.
//!
//! - Each alternative is judged separately, because an answer that shows the anchor proves nothing about another
//!   alternative. A page that reaches into an alternative that no answer showed is `checked`.
//! - `judge/parts_page.rs` joins the pages of parts. Each part must begin at or before the position that the page has
//!   reached, so no part can be left out. Its function `shown_by` returns the highest level that the answers justify
//!   for a filter.
//! - `judge/stretch.rs` computes the stretch that a filter lets through: a range of neighbouring items of the list.
//!
//! `seek` is for cursors that contain only an item's id. It looks up the item's keys, and continues by `keyset` or by
//! `windows`. `judge::pivot` accepts the keys only if they belong to that item and match the cursor's fingerprint of
//! the keys with which the item was served.
//!
//! # Marks
//!
//! `anchored` is for lists without a declared order. A cursor contains the marks (short hashes) of the items around its
//! position. The longest sequence of marks that keep their order decides where the page begins. If answers of one page
//! show an item at different places, the latest answer counts: the item is removed from the place where an earlier
//! answer showed it, and from the marks of the page's cursors.
//!
//! # Tokens
//!
//! A token is a value that the upstream returns with a page, for the request for the next page. Whether it means "after
//! this item" or encodes an offset can't be known; after the deletion of an earlier item, a token that encodes an
//! offset skips an item. So a page by token is `checked` only under the following conditions, and otherwise `anchored`
//! (`judge/token_seams.rs`):
//!
//! - The order is declared, and does not end with an `opaque` key, whose values can only be compared for equality.
//! - In a run of ties, the answers show which of the run's items were served.
//! - Each answer from which the page is made shows that no item is missing before it, in one of four ways:
//!   - The answer begins the list.
//!   - The answer begins at or before the last item reached, so it shows an item that was read already.
//!   - The answer contains the item that was seen right after the cursor's item when the cursor was made, and no other
//!     answer shows an item between the two.
//!   - The list is sorted only by ids, and the token is the id of the last item reached.
//!
//! A way back ends at the start of the list. If a token that leads back brings no item before the page's last one, the
//! list's first page is read too: if it begins with that item, no item comes before it.
//!
//! If the order is declared, a page by token is refused if it is not what its answers show: if it lacks an item that an
//! answer shows after the page's position, contains an item twice, or ends the list where the upstream does not.
//!
//! `token` follows the upstream's own pages, and finds the position within an upstream page by keys or marks. The link
//! to the previous page needs a token too: `token/assembly.rs` chooses it, and `token/locate.rs` follows it. Tokens
//! that lead in a circle are detected by Brent's algorithm, whose three numbers are in the cursor, so circles over
//! several pages are detected too.
//!
//! # Ends
//!
//! An answer *seems* to end the list if it is short (it has fewer items than were requested), or if it brings nothing
//! new. The code of this conclusion is in `judge/end.rs`, `judge/confirmation.rs` and `windows/confirm.rs`. A short
//! answer proves nothing by itself, for three reasons: caps differ by principal, filter and day; the upstream may leave
//! out rows after it has applied the limit; and it may cut answers by bytes or time.
//!
//! Before a page claims an end, `windows/ends` judges it by all answers of the page:
//!
//! 1. **An item beyond.** No answer of this request may show an item beyond the end, in the order that clients get: of
//!    unordered ties, any item of an answer's last run may be the last one. Otherwise the page goes on from its last
//!    item.
//! 2. **Statements that more items follow.** Each is refuted in its own way:
//!    - a *place* (a total, or a number of pages, beyond what was looked at) by a look at everything up to it
//!    - a *flag* or a link by what it says far beyond every end. If it says the same there, it says nothing. If it says
//!      something else, the edge between the two is searched, and everything up to it is looked at.
//!    - a *count* above the number of items that the walk has passed only by the flipped list, whose first item is the
//!      last one, or by the dialect (`response.total_counts`)
//! 3. **Confirmations.** A statement that agrees with the end counts only if it has spoken of more than its own answer,
//!    in this walk: a flag that was true beside a short answer, a total beside another number of items, a status past
//!    the end. Without such a statement, the rows after the end are looked at, and some at growing distances. In a
//!    list that is declared to leave out rows, the last look is as far beyond the end as the end is from the start: a
//!    gap no longer than what came before it is found if at least as many rows follow it.
//!
//! A gap of left-out rows is crossed without a hole, and only towards something that is known: an item, a named place,
//! or an edge. Both sides are then joined (`windows/across.rs`, `windows/ends/sweep.rs`). A statement that stays
//! unrefuted marks the end (`DoubtedEnd`), because a total that is too high for good and an upstream that shows only
//! the beginning of its list give the same answers.
//!
//! The end of a page is `exact` only if the dialect vouches for its evidence: for a flag of the slice (`end = "flag"`),
//! for short answers (`end = "short-page"`), or for a list without left-out rows (`hidden = "none"`), if the walk has
//! seen a larger size filled. A statement of the answer that more items follow revokes that. Every other end is
//! `checked`.
//!
//! The size that the walk has seen filled counts as follows, with `hidden = "none"`:
//!
//! - **The size.** It was filled by an answer that began after the start of the list. A size that was filled only at
//!   the start is enough in two cases: the short answer begins at the start too, or the upstream has one fixed page
//!   size.
//! - **The place.** If pages are requested by number, they must begin where their numbers say. This condition fails if
//!   answers with the same total show one item at two offsets. Otherwise it is met in each of these cases:
//!   - Two answers show an item at the same offset.
//!   - Another answer of this page had more items than the short answer.
//!   - The page size is fixed.
//!   - The short answer is the answer to the first page number.
//!
//! Example: pages of 30 items are requested, the first page has 30, and a cap limits all other pages to 20. Then pages
//! begin before the places that their numbers say, and a count can match by chance. In the simulator, walks lost rows
//! when a size that only the first answer filled was enough for `exact`.
//!
//! Lists without an order follow the same rules (`anchored/ends.rs`). There an item is beyond the end if it comes after
//! the items that the page knows by their marks, and both sides of a gap are read as a seam: the near side must be the
//! same before and after. Their cursors carry what the walk has met, such as a total that counted more than its page.
//!
//! A walk from the end, or from an item, doesn't know how many items it has passed. The offset of its last item is an
//! upper bound, so a total above that marks its end too.
//!
//! The simulator's family `ends` reads lists with left-out rows beside every kind of statement, and prints the ends
//! that were wrong, marked or refused as a table (`cargo sim ends`).
//!
//! # Caches
//!
//! **Answers.** A page is made only from answers to requests that were sent for this page, so the core does not know
//! about caches. An answer that a 304 validates shows the upstream's state at the time of the 304, and counts as read
//! at that time. If two readings must agree, each of them may be an answer that a 304 validates.
//!
//! **Pages.** A cached page is the whole page of an earlier request with the same cursor, and is served as it was
//! proven, with its level and its age. It covers the interval (*A*, *A′*] by the states that its own answers showed,
//! and its cursor continues from *A′* as it did then. So each interval of a walk begins where the one before ended,
//! with a cache as without one.
//!
//! **The guarantee.** An item that keeps its keys and is in every state that the pages of a walk show, including stored
//! pages, is delivered in exactly one interval, once, in order. An item that was in the list from the oldest of these
//! states to the newest is in all of them.
//!
//! **Time.** Page two of a walk may be older than page one, by at most the life of a page in the cache. The proof of a
//! page uses only its own answers and does not compare the times of two pages, so it does not matter which page is
//! older.
//!
//! **Length.** A cache does not make a walk endless. Each page except the last delivers items after those of the pages
//! before it, and each of these items was in the oldest shown state, or was added or moved since.
//!
//! **The premise.** A cache must keep one promise: a request gets the page of *its* cursor, limit, filter and
//! principal, within the declared age. The simulator's family `cached` tests the promise with walks of several clients
//! over one cache whose entries are lost, outdated, dropped by writes, or prefetched. It also plants faults in the
//! cache, and a test requires that the walks notice each of them.
