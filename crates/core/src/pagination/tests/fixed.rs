//! Pages of one fixed size, or of a few sizes, with edges that no other page spans.

use super::*;

/// Returns a list of this many rows, in pages of two.
fn list(rows: u64, verify: Verify) -> List {
    let rows = (1_000..1_000 + rows).map(|rank| (rank.to_string(), rank.to_string()));
    let list = List { verify, cap: 2, ties: Ties::Ordered, ..List::new(Family::Page, rows) };
    List { paging: Paging { end: EndEvidence::ShortPage, ..Paging::new(Family::Page, Sizes::Fixed(2)) }, ..list }
}

#[test]
fn the_end_after_a_full_page_is_assumed_if_proofs_must_cost_no_request() {
    for repeats in [false, true] {
        for rows in [2, 4, 6] {
            let mut list = list(rows, Verify::WhenCheap);
            list.paging.repeats_last_page = repeats;
            list.total = repeats.then_some(rows);
            let (items, pages) = list
                .walk_of(1, |list, fetch| {
                    let answer = list.answer(fetch);
                    let Slice::Page { size, .. } = fetch else { panic!("{fetch:?}") };
                    let last = Slice::Page { number: window::PageNumber(rows / 2 - 1), size };
                    if repeats && answer.items.is_empty() { list.answer(last) } else { answer }
                })
                .unwrap();
            assert_eq!(items, list.all(), "{rows} rows");
            assert!(pages.iter().all(|page| page.notes.requests <= 5), "{rows} rows, {repeats}");
        }
    }
}

#[test]
fn a_short_page_after_a_seam_is_assumed_at_both_its_edges() {
    let mut list = List { cap: 20, ..list(22, Verify::WhenCheap) };
    list.paging = Paging { end: EndEvidence::Unvouched, ..Paging::new(Family::Page, Sizes::Fixed(20)) };
    let page = list.page(after(19), 5).unwrap();
    assert_eq!((page.items.len(), page.item(0), page.notes.requests), (2, b"10201020".as_slice(), 1));
    assert_eq!((page.unproven, page.next.is_none()), (Some(Unproven::Seam), true));
}

#[test]
fn an_end_that_no_page_shows_with_the_last_items_is_found_without_a_total() {
    for size in 2..=6 {
        for rows in 1..=4 * size {
            for limit in 1..=size {
                let mut list = List { cap: size, ..list(u64::from(rows), Verify::Always) };
                list.paging = Paging::new(Family::Page, Sizes::Fixed(size));
                let page = list.page(Target { position: Position::End, hint: Hint::default() }, limit).unwrap();
                let served =
                    Vec::from_iter((0..page.items.len()).map(|at| String::from_utf8(page.item(at).to_vec()).unwrap()));
                let all = list.all();
                assert_eq!(served, all[all.len().saturating_sub(limit as usize)..], "{rows} rows, pages of {size}");
            }
        }
    }
}

/// Every second answer of a page is read before and after the others, and no answer is read a third time.
#[test]
fn pages_of_a_fixed_size_are_read_as_one_chain() {
    for (ties, counted) in [Ties::Ordered, Ties::Unordered].into_iter().flat_map(|ties| [(ties, true), (ties, false)]) {
        for (inserted, most) in [(0, 6), (1, 7), (100, 13)] {
            let mut list = List { cap: 10, ties, ..list(203, Verify::Always) };
            list.paging = Paging::new(Family::Page, Sizes::Fixed(10));
            let (mut target, mut items, mut new) = (start(), Vec::new(), 999);
            let expected = list.all();
            for number in 0..6 {
                list.total = counted.then_some(list.rows.len() as u64);
                let page = list.page(target, 20).unwrap();
                let asked = page.notes.requests;
                // Without a count, a place that is far away is searched for.
                assert!(asked <= most || (inserted == 100 && !counted), "{ties:?}, {inserted}, {number}: {asked}");
                items.extend((0..page.items.len()).map(|at| String::from_utf8(page.item(at).to_vec()).unwrap()));
                target = page.next.clone().unwrap();
                for _ in 0..inserted {
                    list.rows.insert(0, (format!("{new:04}"), format!("{new:04}")));
                    new -= 1;
                }
            }
            assert_eq!(items, expected[..120], "{ties:?}, {inserted}, counted: {counted}");
        }
    }
}

#[test]
fn an_answer_that_claims_an_earlier_offset_does_not_end_a_list() {
    // Ranks rise where a bit of `rises` is set. Two rows come in each answer, and some answers claim to begin at the
    // start.
    for rises in 0..16_u64 {
        for says in 0..8 {
            let rank = |row: u64| (rises & ((1 << row) - 1)).count_ones().to_string();
            let mut list = List { cap: 2, ..List::new(Family::Offset, (0..5).map(|row| (rank(row), row.to_string()))) };
            list.paging.repeats_last_page = true;
            let mut asked = 0;
            let walk = list.walk_of(1, |list, fetch| {
                asked += 1;
                let offset = (says >> (asked % 3) & 1 == 1).then_some(0);
                Answer { offset, size: (asked % 2 == 0).then_some(4), ..list.answer(fetch) }
            });
            if let Ok((items, _)) = walk {
                assert_eq!(items, list.all(), "{rises:b} {says:b}");
            }
        }
    }
}

#[test]
fn a_place_at_which_pages_of_every_size_end_is_found_by_the_page_before() {
    let mut list = list(60, Verify::Always);
    list.cap = u32::MAX;
    list.paging = Paging { end: EndEvidence::ShortPage, ..Paging::new(Family::Page, Sizes::Listed(vec![9, 18, 36])) };
    let mut target = after(36);
    target.hint.offset = Offset(37);
    list.rows.remove(0);
    let page = list.page(target, 1).unwrap();
    assert_eq!((page.item(0), page.notes.drift), (b"10371037".as_slice(), Some(-1)));
    assert_eq!(page.notes.requests, 5);
}

#[test]
fn a_last_page_with_the_whole_list_has_no_previous_page() {
    for limit in [1, 2, 3, 5] {
        let mut list = List { total: Some(3), ..list(3, Verify::Always) };
        (list.cap, list.honoured) = (100, 7);
        list.paging = Paging::new(Family::Page, Sizes::Free { least: 2, most: Some(200) });
        let again =
            |list: &List, slice: Slice| list.answer(Slice::Page { number: window::PageNumber(0), size: slice.size() });
        let hint = Hint { total: Some(13), ..Hint::default() };
        let page = list.page_of(Target { position: Position::End, hint }, limit, again).unwrap();
        assert_eq!((page.items.len(), page.previous.is_some()), (limit.min(3) as usize, limit < 3), "{limit}");
    }
}

#[test]
fn an_offset_outside_of_two_capped_pages_is_not_taken_for_the_end() {
    // Each answer states a cap, under which two pages of another size begin before the requested offset.
    for (run, most) in (1..6).flat_map(|run| [(run, 6), (run, 7), (run, 9)]) {
        let rows = (0..60).map(|row: u64| ((100 - (59 - row) / run).to_string(), (1_000 + row).to_string()));
        let mut list = List { cap: 5, unproven: WhenUnproven::Flag, ..List::new(Family::Page, rows) };
        list.paging = Paging::new(Family::Page, Sizes::Free { least: 2, most: Some(most) });
        for offset in 1..60 {
            list.profile = UpstreamProfile::default();
            let target = Target { position: Position::At(Offset(offset)), hint: Hint::default() };
            let said = |list: &List, slice: Slice| {
                let size = slice.size().0.min(list.cap);
                Answer { size: Some(size), ..list.answer(slice) }
            };
            let page = list.page_of(target, 1, said).unwrap();
            assert_eq!(page.items.len(), 1, "at {offset} of runs of {run}, at most {most}");
        }
    }
}

#[test]
fn an_end_is_at_most_checked_if_the_total_determines_its_offset() {
    // No row after the first 58 is ever shown, and a page has at most 42 rows. The dialect declares neither.
    let rows = (1_000..1_059).map(|rank| (rank.to_string(), rank.to_string()));
    let mut list = List { cap: 42, total: Some(59), ties: Ties::Ordered, ..List::new(Family::Page, rows) };
    list.paging = Paging::new(Family::Page, Sizes::Free { least: 1, most: Some(92) });
    list.rows.pop();
    list.honoured = 21;
    let mut target = after(50);
    target.hint.total = Some(59);
    if let Ok(page) = list.page(target, 10) {
        assert!(page.next.is_some() || page.level() != Level::Exact, "{page:?}");
    }
}

/// Returns the target after a row.
fn after(row: u64) -> Target {
    let key = || KeyValue::Number((1_000 + row).to_string());
    let hint = Hint { offset: Offset(row + 1), ..Hint::default() };
    Target { position: Position::After(Anchor { keys: vec![key()], id: key() }), hint }
}

/// A row is added with every seventh request, and one is removed with every eleventh, so most seams are read while the
/// list changes.
#[test]
fn a_list_of_fixed_pages_is_walked_while_it_changes() {
    for ties in [Ties::Ordered, Ties::Unordered] {
        let mut rows: Vec<u64> = (10_000..10_801).collect();
        let (mut asked, mut new, mut gone) = (0_u64, 9_999, Vec::new());
        let mut list = List { cap: 25, ties, ..List::new(Family::Page, std::iter::empty()) };
        list.paging = Paging::new(Family::Page, Sizes::Fixed(25));
        let (mut target, mut items) = (Some(start()), Vec::new());
        while let Some(at) = target {
            let changing = |_: &List, slice: Slice| {
                asked += 1;
                if asked.is_multiple_of(7) {
                    rows.insert(0, new);
                    new -= 1;
                }
                if asked.is_multiple_of(11) {
                    gone.push(rows.remove(usize::try_from(asked * 7_919).unwrap() % rows.len()));
                }
                List { cap: 25, ..List::new(Family::Page, rows.iter().map(|row| (row.to_string(), row.to_string()))) }
                    .answer(slice)
            };
            let page = list.page_of(at, 20, changing);
            let page = page.unwrap_or_else(|refusal| panic!("{ties:?} after {} items: {refusal:?}", items.len()));
            items.extend((0..page.items.len()).map(|at| String::from_utf8(page.item(at).to_vec()).unwrap()));
            target = page.next.clone();
        }
        let stayed = (10_000..10_801).filter(|row| !gone.contains(row)).map(|row| format!("{row}{row}"));
        let missed: Vec<String> = stayed.filter(|row| items.iter().filter(|item| *item == row).count() != 1).collect();
        assert!(missed.is_empty(), "{ties:?}: {missed:?} are left out or repeated");
    }
}

/// Rows may be left out of pages of a fixed size. Each key comes once, but the end of a page may cut a run of ties.
#[test]
fn a_list_whose_keys_come_once_has_no_long_runs() {
    for (dropped, size) in
        [&[][..], &[7], &[5, 6], &[5, 6, 7], &[1, 10, 20]].into_iter().flat_map(|all| [(all, 5), (all, 2)])
    {
        for (limit, is_back) in (1..=2 * size + 2).flat_map(|limit| [(limit, false), (limit, true)]) {
            let mut list = List { cap: size, ties: Ties::Unordered, ..list(20, Verify::Always) };
            list.paging = Paging { hidden: true, ..Paging::new(Family::Page, Sizes::Fixed(size)) };
            let position = if is_back { Position::End } else { Position::Start };
            let (mut target, mut left) = (Some(Target { position, hint: Hint::default() }), 20 - dropped.len());
            let said = format!("pages of {size} without {dropped:?}, limit {limit}, back: {is_back}");
            while let Some(at) = target {
                let page = list.page_of(at, limit, |list, slice| {
                    let begins = slice.begins().0;
                    ends::kept(list.answer(slice), |item, _| !dropped.contains(&(begins + item as u64 + 1)))
                });
                let page = page.unwrap_or_else(|refusal| panic!("{refusal:?}, {left} left: {said}"));
                left -= page.items.len();
                target = if is_back { page.previous.clone() } else { page.next.clone() };
            }
            assert_eq!(left, 0, "{said}");
        }
    }
}

/// The dialect doesn't say that rows are left out. No key comes twice, so no run of ties is the cause of a refusal.
#[test]
fn pages_that_lack_rows_are_not_refused_for_a_run() {
    for (seed, says_more) in (0..40).flat_map(|seed| [(seed, false), (seed, true)]) {
        let is_shown = |row: u64| !mixed(row + 1_000 * seed).is_multiple_of(10);
        for limit in 1..=12 {
            let mut list = List { cap: 5, ties: Ties::Unordered, ..list(60, Verify::Always) };
            list.paging = Paging::new(Family::Page, Sizes::Fixed(5));
            let (mut target, mut left) = (Some(start()), (0..60).filter(|row| is_shown(*row)).count());
            while let Some(at) = target {
                let page = list.page_of(at, limit, |list, slice| {
                    let begins = slice.begins().0;
                    let more = says_more.then_some(begins + 5 < 60);
                    Answer { more, ..ends::kept(list.answer(slice), |item, _| is_shown(begins + item as u64)) }
                });
                target = None;
                match page {
                    Ok(page) => {
                        left -= page.items.len();
                        target.clone_from(&page.next);
                        assert!(target.is_some() || left == 0, "{left} left, {seed} {says_more} at limit {limit}");
                    }
                    Err(Refusal::TieRun { .. }) => panic!("a run, {seed} {says_more} at limit {limit}"),
                    Err(_) => {}
                }
            }
        }
    }
}
