//! Ends that only short answers show, and counts that include rows which no client is shown.

use super::*;
use crate::pagination::{judge::end::Honoured, paging::CountedThings};

const ROWS: u64 = 1_000;

fn numbers(family: Family, count: u64) -> List {
    let rows = (0..count).map(|row| ((10_000 + row).to_string(), (10_000 + row).to_string()));
    List { ties: Ties::Ordered, cap: 100, ..List::new(family, rows) }
}

/// Walks to the end. Returns the largest number of requests for one page, and the level of the last page.
#[track_caller]
fn walks_to_the_end(list: &mut List, limit: u32, answer: impl FnMut(&List, Slice) -> Answer) -> (u32, Level) {
    let all = list.all();
    let (items, pages) = list.walk_of(limit, answer).unwrap_or_else(|refusal| panic!("{refusal:?} at limit {limit}"));
    assert_eq!(items.len(), all.len(), "limit {limit}");
    assert_eq!(items, all, "limit {limit}");
    let most = pages.iter().map(|page| page.notes.requests).max().unwrap_or(0);
    (most, pages.last().unwrap().level())
}

/// Returns the answer of an upstream that caps sizes.
fn capped(list: &List, slice: Slice, cap: u32) -> Answer {
    let size = window::PageSize(slice.size().0.min(cap));
    list.answer(match slice {
        Slice::Offset { from, .. } => Slice::Offset { from, size },
        Slice::Page { number, .. } => Slice::Page { number, size },
    })
}

/// Returns the items of an answer that pass a condition.
pub(super) fn kept(mut answer: Answer, mut keep: impl FnMut(usize, &[u8]) -> bool) -> Answer {
    let columns = 2;
    let keep: Vec<bool> = (0..answer.items.len()).map(|item| keep(item, answer.item(item))).collect();
    let keys = answer.keys.chunks(columns).zip(&keep).filter(|(_, keep)| **keep).flat_map(|(keys, _)| keys.to_vec());
    answer.keys = keys.collect();
    answer.items = answer.items.iter().zip(&keep).filter(|(_, keep)| **keep).map(|(span, _)| *span).collect();
    answer
}

#[test]
fn a_fallen_cap_lowers_the_honoured_size_of_the_walk_and_of_the_page() {
    let list = numbers(Family::Offset, 40);
    let slice = Slice::Offset { from: Offset(0), size: window::PageSize(20) };
    let mut honoured = Honoured::before(20, 20);
    honoured.learn(&list.answer(slice), slice, &list.paging);
    assert_eq!((honoured.size(), honoured.size_now()), (20, 20));
    honoured.fell_to(3);
    assert_eq!((honoured.size(), honoured.size_now()), (3, 3));
}

#[test]
fn a_list_that_is_seen_to_be_empty_has_no_last_page_whatever_it_counts() {
    for family in [Family::Offset, Family::Page] {
        let mut list = List { total: Some(1), ..numbers(family, 0) };
        list.paging.end = EndEvidence::Flag;
        let page = list.page_of(start(), 7, |list, slice| Answer { more: Some(false), ..list.answer(slice) }).unwrap();
        assert_eq!((page.items.len(), page.next.clone(), page.last.clone()), (0, None, None), "{family:?}");
    }
}

/// If the cap falls while a page is read, a page number means another page, which begins earlier and is as short as the
/// last page would be.
#[test]
fn a_page_at_a_moved_offset_is_not_the_end_that_the_total_implies() {
    let mut list = numbers(Family::Page, 41);
    (list.total, list.honoured, list.paging.sizes) = (Some(41), 4, Sizes::Free { least: 1, most: Some(4) });
    let key = |row: u64| KeyValue::Number((10_000 + row).to_string());
    for at in 34..39 {
        let anchor = Anchor { keys: vec![key(at)], id: key(at) };
        let hint = Hint { offset: Offset(at + 1), total: Some(41), ..Hint::default() };
        let target = Target { position: Position::After(anchor), hint };
        let mut asked = 0;
        let page = list.page_of(target, 2, |list, slice| {
            asked += 1;
            capped(list, slice, if asked == 1 { 4 } else { 2 })
        });
        let page = match page {
            Ok(page) => page,
            Err(refusal) => {
                assert!(at == 37 && matches!(refusal, Refusal::PositionLost { .. }), "{refusal:?} after {at}");
                continue;
            }
        };
        let ids: Vec<&[u8]> = (0..page.items.len()).map(|item| page.item(item)).collect();
        let more = page.next.is_some();
        assert_eq!((ids.len(), more), (2, at < 38), "after {at}: {ids:?}");
    }
}

#[test]
fn an_offset_past_the_end_takes_one_request_where_the_last_page_comes_again() {
    let mut list = numbers(Family::Offset, 1);
    list.paging.repeats_last_page = true;
    for at in [1, 7] {
        let target =
            Target { position: Position::At(Offset(at)), hint: Hint { offset: Offset(at), ..Hint::default() } };
        let last_again = |list: &List, slice: Slice| Answer {
            offset: Some(0),
            ..list.answer(Slice::Offset { from: Offset(0), size: slice.size() })
        };
        let page = list.page_of(target, 10, last_again).unwrap();
        assert_eq!((page.items.len(), page.notes.requests, page.next.clone()), (0, 1, None), "at {at}");
    }
}

#[test]
fn a_size_parameter_that_is_ignored_costs_no_search() {
    for total in [None, Some(ROWS)] {
        let mut list = numbers(Family::Page, ROWS);
        list.total = total;
        let mut asked = Vec::new();
        let refused = list.page_of(start(), 40, |list, slice| {
            asked.push(slice);
            let Slice::Page { number, .. } = slice else { panic!("{slice:?}") };
            list.answer(Slice::Page { number, size: window::PageSize(20) })
        });
        assert_eq!(refused.unwrap_err(), Refusal::BudgetExceeded, "{total:?}");
        assert!(asked.len() <= 3, "{total:?}: {asked:?}");
    }
}

/// Row: F32
#[test]
fn a_cap_that_falls_in_the_middle_of_a_walk_ends_no_list() {
    for family in [Family::Offset, Family::Page] {
        for limit in [7, 20, 40] {
            let mut asked = 0;
            walks_to_the_end(&mut numbers(family, ROWS), limit, |list, slice| {
                asked += 1;
                capped(list, slice, if asked < 6 { 100 } else { 25 })
            });
        }
    }
}

/// Row: F31
#[test]
fn silently_hidden_rows_do_not_end_a_list() {
    for family in [Family::Offset, Family::Page] {
        for limit in [7, 20] {
            let hides = |row: &[u8]| row[9] == b'3' || (row[8] == b'4' && row[9] == b'7');
            let mut list = numbers(family, ROWS);
            let (items, _) = list
                .walk_of(limit, |list, slice| kept(list.answer(slice), |_, item| !hides(item)))
                .unwrap_or_else(|refusal| panic!("{family:?} {refusal:?} at limit {limit}"));
            let visible: Vec<_> = list.all().into_iter().filter(|row| !hides(row.as_bytes())).collect();
            assert_eq!(items, visible, "{family:?} {limit}");
        }
    }
}

#[test]
fn answers_that_are_cut_by_bytes_end_no_list() {
    for family in [Family::Offset, Family::Page] {
        for limit in [7, 20] {
            // An answer has room for 12 to 29 rows.
            walks_to_the_end(&mut numbers(family, ROWS), limit, |list, slice| {
                let room = usize::try_from(12 + slice.begins().0 * 7 % 18).unwrap();
                kept(list.answer(slice), |item, _| item < room)
            });
        }
    }
}

#[test]
fn answers_that_are_cut_by_time_end_no_list() {
    for family in [Family::Offset, Family::Page] {
        for limit in [7, 20] {
            let mut asked = 0;
            walks_to_the_end(&mut numbers(family, ROWS), limit, |list, slice| {
                asked += 1;
                let answer = list.answer(slice);
                let half = answer.items.len().div_ceil(2);
                kept(answer, |item, _| asked % 10 != 0 || item < half)
            });
        }
    }
}

#[test]
fn an_end_with_a_count_that_stays_too_high_is_served_and_marked() {
    for family in [Family::Offset, Family::Page] {
        for (count, total) in [(5, 6), (103, 104), (103, 116), (103, 5_000), (103, 102), (103, 53), (100, 103), (0, 3)]
        {
            for limit in [7, 20] {
                let mut list = List { total: Some(total), ..numbers(family, count) };
                let (most, level) = walks_to_the_end(&mut list, limit, List::answer);
                let marked = list.walk_of(limit, List::answer).unwrap().1.pop().unwrap().doubted_end;
                assert_eq!(marked.is_some(), total > count, "{family:?} {count} of {total} at limit {limit}");
                // The total can only be refuted by looks at everything up to the place that it names, and beyond.
                assert!(most <= 14, "{most} requests, {family:?} {count} of {total} at limit {limit}");
                assert!(level < Level::Exact || total < count, "{family:?} {count} of {total}: {level:?}");
                let end = list.page(Target { position: Position::End, hint: Hint::default() }, limit).unwrap();
                assert_eq!(end.items.len() as u64, count.min(u64::from(limit)));
                // Under a silent cap, a page by number begins before its place, which is then above the total.
                if family == Family::Offset {
                    assert_eq!(end.doubted_end.is_some(), total > count, "{count} of {total} at limit {limit}");
                }
                assert!(end.total.is_none_or(|said| !said.exact || said.value <= count), "{:?}", end.total);
            }
        }
    }
}

/// Rows are added before the first item and removed, at each request. The newest total is then above the place of the
/// last item, and above the number of items that the walk has passed.
#[test]
fn the_end_of_a_list_that_grows_at_its_start_is_not_marked() {
    for (family, limit) in [(Family::Offset, 7), (Family::Offset, 20), (Family::Page, 7), (Family::Page, 20)] {
        let mut list = List { total: Some(103), ..numbers(family, 103) };
        let mut added = 0;
        let (items, pages) = list
            .walk_of(limit, |list, slice| {
                added += 1;
                let row = |row: u64| (10_000 + row - added).to_string();
                let rows = (0..103 + added).map(|place| (row(place), row(place)));
                let grown = List { ties: Ties::Ordered, cap: list.cap, ..List::new(family, rows) };
                List { total: Some(103 + added), ..grown }.answer(slice)
            })
            .unwrap();
        let last = pages.last().unwrap();
        assert!(items.ends_with(&list.all()[1..]), "{family:?} at limit {limit}: {items:?}");
        assert_eq!(last.doubted_end, None, "{family:?} at limit {limit}");
    }
}

#[test]
fn an_end_beyond_which_requests_fail_is_not_taken_for_a_depth_limit() {
    let past_end = |list: &List, slice: Slice| {
        let answer = list.answer(slice);
        let is_past = answer.items.is_empty() && slice.begins().0 > 0;
        if is_past { Answer { standing: Standing::PastEnd, ..Answer::default() } } else { answer }
    };
    for family in [Family::Offset, Family::Page] {
        for (count, total) in [(100, 103), (103, 104), (103, 116), (100, 140), (103, 5_000), (101, 160)] {
            for limit in [7, 20] {
                let mut list = List { total: Some(total), ..numbers(family, count) };
                let (most, _) = walks_to_the_end(&mut list, limit, past_end);
                assert!(most <= 14, "{most} requests, {family:?} {count} of {total} at limit {limit}");
                let number = KeyValue::Number((10_000 + count - 1).to_string());
                let place = Anchor { keys: vec![number.clone()], id: number };
                let mut list = List { total: Some(total), ..numbers(family, count) };
                for position in [Position::End, Position::After(place.clone()), Position::Before(place.clone())] {
                    let target = Target { position: position.clone(), hint: Hint::default() };
                    let page = list.page_of(target, limit, past_end);
                    assert!(page.is_ok(), "{family:?} {count} of {total} at limit {limit}, {position:?}: {page:?}");
                }
            }
        }
    }
}

#[test]
fn a_short_list_with_a_count_costs_two_requests_and_is_checked() {
    // This answer doesn't show that twenty items would come if they existed: a cap of five and an outdated count look
    // alike. Nor does it show that the count speaks of more than its own answer: the last item alone shows that.
    let mut list = List { total: Some(5), ..numbers(Family::Offset, 5) };
    let page = list.page(start(), 20).unwrap();
    assert_eq!((page.notes.requests, page.level()), (2, Level::Checked));
    // In a longer walk, the count has spoken of more than its own answer before.
    for count in [45, 85] {
        let mut list = List { total: Some(count), ..numbers(Family::Offset, count) };
        let (most, level) = walks_to_the_end(&mut list, 20, List::answer);
        assert_eq!((most, level), (1, Level::Checked), "{count}");
    }
}

#[test]
fn an_end_that_only_shortness_shows_is_confirmed_once_a_walk() {
    for family in [Family::Offset, Family::Page] {
        let mut list = numbers(family, 95);
        let (_, pages) = list.walk(20).unwrap();
        let requests: Vec<u32> = pages.iter().map(|page| page.notes.requests).collect();
        let last = if family == Family::Offset { 6 } else { 5 };
        assert_eq!(requests, [1, 1, 1, 1, last], "{family:?}");
        let levels: Vec<Level> = pages.iter().map(Page::level).collect();
        assert_eq!(levels, [Level::Exact, Level::Exact, Level::Exact, Level::Exact, Level::Checked], "{family:?}");
    }
}

/// An upstream cuts its answers by bytes, to one item each, so the answers that confirm the end are cut alike. The row
/// after the item shows that it isn't the last one.
#[test]
fn an_answer_that_is_cut_to_one_item_ends_no_list() {
    for family in [Family::Offset, Family::Page] {
        let mut list = numbers(family, 2);
        let cut = |list: &List, slice: Slice| kept(list.answer(slice), |item, _| item == 0);
        let page = list.page_of(start(), 20, cut);
        assert!(page.as_ref().is_ok_and(|page| page.items.len() == 2) || page.is_err(), "{family:?}: {page:?}");
    }
}

#[test]
fn beyond_its_depth_a_list_is_refused_at_once() {
    for family in [Family::Offset, Family::Page] {
        for total in [None, Some(1_003)] {
            let mut list = List { total, ..numbers(family, 1_003) };
            list.paging.max_depth = Some(500);
            let mut target = Some(start());
            let (mut items, mut most) = (0, 0);
            let mut asked;
            let refusal = loop {
                let Some(at) = target else { panic!("the list ends after {items} items") };
                asked = 0;
                let answer = |list: &List, slice: Slice| {
                    asked += 1;
                    list.answer(slice)
                };
                match list.page_of(at, 20, answer) {
                    Ok(page) => {
                        items += page.items.len();
                        most = most.max(page.notes.requests);
                        assert_eq!(page.last, None, "no page is there");
                        target = page.next.clone();
                    }
                    Err(refusal) => break refusal,
                }
            };
            assert_eq!(refusal, Refusal::TooDeep, "{family:?} {total:?} after {items}");
            assert!(items >= 480 && most <= 3 && asked <= 2, "{family:?} {total:?}: {items} items, {most}, {asked}");
        }
    }
}

#[test]
fn a_silently_hidden_stretch_of_rows_does_not_end_a_list() {
    // The gap after the last visible row is longer than a small answer, and more rows are beyond the requested slice.
    // If more rows are hidden than two answers cover, no answer shows that the list goes on.
    for family in [Family::Offset, Family::Page] {
        for limit in [7, 20] {
            for hidden in [3_u64, 5, 8] {
                let mut list = numbers(family, 300);
                let gone = 10_130..10_130 + hidden;
                let hides =
                    |row: &[u8]| gone.contains(&std::str::from_utf8(&row[5..]).unwrap().parse::<u64>().unwrap());
                let walk = list.walk_of(limit, |list, slice| kept(list.answer(slice), |_, item| !hides(item)));
                let Ok((items, _)) = walk else { continue };
                let visible: Vec<_> = list.all().into_iter().filter(|row| !hides(row.as_bytes())).collect();
                assert_eq!(items, visible, "{family:?}, pages of {limit}, {hidden} hidden");
            }
        }
    }
}

#[test]
fn a_walk_forgets_sizes_that_are_honoured_no_more() {
    for family in [Family::Offset, Family::Page] {
        let (mut list, mut asked) = (numbers(family, 300), 0);
        let (_, pages) = list
            .walk_of(40, |list, slice| {
                asked += 1;
                capped(list, slice, if asked < 3 { 100 } else { 25 })
            })
            .unwrap();
        let honoured: Vec<u32> = pages.iter().map(|page| page.notes.honoured).collect();
        assert!(honoured[0] > 25 && honoured[pages.len() - 1] <= 25, "{family:?}: {honoured:?}");
    }
}

/// Ties that come in any order count only as whole runs, and only the end of the list closes the last run.
#[test]
fn pages_that_lean_on_a_checked_end_are_checked() {
    for total in [10, 13] {
        // Six rows with different ranks, and four with the same rank.
        let rows = (0..10).map(|row| ((10_000 + u64::min(row, 6)).to_string(), (10_000 + row).to_string()));
        let mut list = List { total: Some(total), honoured: 20, cap: 100, ..List::new(Family::Offset, rows) };
        let anchor = |row: u64| {
            let number = |number: u64| KeyValue::Number((10_000 + number).to_string());
            Anchor { keys: vec![number(row.min(6))], id: number(row) }
        };
        for (position, offset, first) in [
            (Position::After(anchor(3)), 4, 4_u64),
            (Position::After(anchor(6)), 7, 7),
            (Position::Before(anchor(6)), 6, 3),
            (Position::Before(anchor(9)), 9, 6),
        ] {
            let hint = Hint { offset: Offset(offset), ..Hint::default() };
            let page = list.page(Target { position: position.clone(), hint }, 3).unwrap();
            let said = format!("{position:?} of {total}");
            assert!(page.item(0).ends_with((10_000 + first).to_string().as_bytes()), "{said}");
            let level = if total == 10 && page.next.is_some() { Level::Exact } else { Level::Checked };
            assert_eq!((page.items.len(), page.level()), (3, level), "{said}");
        }
    }
}

/// All items of the answer come before the anchor. Only the end, which no request confirms, shows that no item is in
/// between.
#[test]
fn a_page_before_an_item_is_flagged_if_its_proof_assumes_the_end() {
    for (family, kept) in [Family::Offset, Family::Page].into_iter().flat_map(|family| [(family, 0), (family, 3)]) {
        let mut list = List { verify: Verify::WhenCheap, ..numbers(family, kept) };
        let gone = Anchor { keys: vec![KeyValue::Number("99999".into())], id: KeyValue::Number("99999".into()) };
        let target = Target { position: Position::Before(gone), hint: Hint::default() };
        let page = list.page(target, 5).unwrap();
        assert_eq!(page.items.len() as u64, kept, "{family:?}");
        assert_eq!((page.level(), page.unproven), (Level::Positional, Some(Unproven::Seam)), "{family:?} {kept}");
    }
}

/// If only offsets count and a silent cap applies, the end may be expected at an offset without items. A way back from
/// there to the end would never finish.
#[test]
fn a_way_back_by_offset_alone_never_leads_to_the_end() {
    for family in [Family::Offset, Family::Page] {
        let mut list = List { verify: Verify::Never, ..numbers(family, 14) };
        let (mut offset, mut served) = (23, Vec::new());
        while offset > 0 {
            let target = Target { position: Position::At(Offset(offset)), hint: Hint::default() };
            let page = list.page(target, 5).unwrap();
            served.splice(0..0, (0..page.items.len()).map(|at| page.item(at).to_vec()));
            let Some(Target { position: Position::At(before), .. }) = page.previous else { panic!("{family:?}") };
            assert_eq!(before.0, offset.saturating_sub(5), "{family:?}");
            offset = before.0;
        }
        // The page at the start contains the three rows before offset 3.
        assert_eq!(served.len(), 11, "{family:?}");
    }
}

/// The list has 95 items and doesn't change. It is read in pages of 20.
#[test]
fn the_requests_of_an_end_are_those_of_the_documented_table() {
    type Says = fn(&mut List);
    type Flag = fn(bool) -> Option<bool>;
    let dialects: [(&str, Says); 8] = [
        ("no fact", |_| {}),
        ("no fact, `response.hidden = \"none\"`", |list| list.paging.complete = true),
        ("no fact, `response.hidden = true`", |list| list.paging.hidden = true),
        ("no fact, `response.end = \"short-page\"`", |list| list.paging.end = EndEvidence::ShortPage),
        ("a total that is right", |list| list.total = Some(95)),
        ("a total of 98", |list| list.total = Some(98)),
        ("a total of 5,000", |list| list.total = Some(5_000)),
        ("a total of 98, `response.total_counts = \"rows\"`", |list| {
            (list.total, list.paging.counted) = (Some(98), CountedThings::Rows);
        }),
    ];
    let flags: [(&str, Flag); 3] = [
        ("a flag that is right", Some),
        ("a flag that is always true", |_| Some(true)),
        ("a flag that is always false", |_| Some(false)),
    ];
    let fixed = Paging::new(Family::Page, Sizes::Fixed(20));
    let lists = || {
        [
            numbers(Family::Offset, 95),
            numbers(Family::Page, 95),
            List { paging: fixed.clone(), ..numbers(Family::Page, 95) },
        ]
    };
    let row = |fact: &str, says: Says, flag: Flag| {
        let cells = lists().map(|mut list| {
            says(&mut list);
            let walk = list.walk_of(20, |list, slice| {
                let more = slice.begins().0 + u64::from(slice.size().0.min(list.cap)) < list.rows.len() as u64;
                Answer { more: flag(more), ..list.answer(slice) }
            });
            let (_, pages) = walk.unwrap_or_else(|refusal| panic!("{fact}: {refusal:?}"));
            let page = pages.last().unwrap();
            let mark = if page.doubted_end.is_some() { ", marked" } else { "" };
            format!("{}{mark}", page.notes.requests)
        });
        format!("| {fact} | {} |\n", cells.join(" | "))
    };
    let rows = dialects.iter().map(|(fact, says)| row(fact, *says, |_| None));
    let table: String = rows.chain(flags.iter().map(|(fact, flag)| row(fact, |_| {}, *flag))).collect();
    let documents = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guarantees.md");
    let documented = std::fs::read_to_string(documents).unwrap();
    assert!(documented.contains(&table), "{table}");
}

/// Returns the answer of an upstream that repeats its last page after the end.
fn last_page_again(list: &List, slice: Slice) -> Answer {
    let (count, size) = (list.rows.len() as u64, u64::from(slice.size().0.min(list.cap)));
    let size_of = |size: u64| window::PageSize(u32::try_from(size).unwrap());
    list.answer(match slice {
        Slice::Offset { from, .. } => {
            let from = if from.0 < count { from.0 } else { count.saturating_sub(size) };
            Slice::Offset { from: Offset(from), size: size_of(size) }
        }
        Slice::Page { number, .. } => {
            let last = count.saturating_sub(1) / size;
            Slice::Page { number: window::PageNumber(number.0.min(last)), size: size_of(size) }
        }
    })
}

#[test]
fn a_last_page_that_comes_again_undeclared_is_served_wherever_it_is_asked_for() {
    for (family, declared) in
        [(Family::Offset, false), (Family::Page, false), (Family::Offset, true), (Family::Page, true)]
    {
        for (count, cap, limits) in [(1_003, 100, [98, 99, 100]), (7, 2, [1, 2, 3]), (43, 31, [1, 6, 30])] {
            for limit in limits {
                let mut list = List { cap, ..numbers(family, count) };
                list.paging.sizes = Sizes::Free { least: 1, most: (cap == 100).then_some(cap) };
                list.paging.repeats_last_page = declared;
                let (items, pages) = list.walk_of(limit, last_page_again).unwrap();
                assert_eq!(items, list.all(), "{family:?} {limit}");
                let mut is_served = |target: Target| {
                    let page = list.page_of(target.clone(), limit, last_page_again);
                    assert!(page.is_ok(), "{page:?} {family:?}, {count} rows, limit {limit}, at {target:?}");
                };
                // The last page once more, and the page before it.
                is_served(pages[pages.len() - 2].next.clone().unwrap());
                is_served(pages[pages.len() - 1].previous.clone().unwrap());
                // A cursor of an item has no hint. Beside an undeclared cap, such a place isn't found.
                if cap < 100 {
                    continue;
                }
                for row in count - 3..count {
                    let key = KeyValue::Number((10_000 + row).to_string());
                    let anchor = Anchor { keys: vec![key.clone()], id: key };
                    is_served(Target { position: Position::After(anchor), hint: Hint::default() });
                }
            }
        }
    }
}

#[test]
fn a_total_beyond_the_largest_offset_is_not_refuted() {
    // Larger offsets are lowered without a word, so the rows that the total counts are out of reach.
    let lowered = |list: &List, slice: Slice| match slice {
        Slice::Offset { from, size } => list.answer(Slice::Offset { from: Offset(from.0.min(60)), size }),
        page @ Slice::Page { .. } => list.answer(page),
    };
    for limit in [7, 20, 40, 50] {
        for (total, is_doubted) in [(150, true), (100, false), (101, true)] {
            let mut list = List { cap: 50, total: Some(total), ..numbers(Family::Offset, 100) };
            list.paging.sizes = Sizes::Free { least: 1, most: Some(50) };
            let (items, pages) = list.walk_of(limit, lowered).unwrap();
            assert_eq!(items, list.all());
            assert_eq!(pages.last().unwrap().doubted_end.is_some(), is_doubted, "{limit} items, a total of {total}");
        }
    }
}

#[test]
fn a_total_beside_a_repeated_last_page_is_not_refuted() {
    for (family, count) in [(Family::Page, 100), (Family::Page, 107), (Family::Offset, 100), (Family::Offset, 107)] {
        for limit in [7, 20, 40, 50] {
            for more in [0, 1, 50, 900] {
                let total = Some(count + more);
                let mut list = List { cap: 50, total, ..numbers(family, count) };
                list.paging.sizes = Sizes::Free { least: 1, most: Some(50) };
                let (items, pages) = list.walk_of(limit, last_page_again).unwrap();
                assert_eq!(items, list.all());
                let is_doubted = pages.last().unwrap().doubted_end.is_some();
                assert_eq!(is_doubted, more > 0, "{family:?}, {count}, {limit} items, a total of {total:?}");
            }
        }
    }
}

/// The last run comes in another order than by id, so an item that clients get after the anchor comes before it.
#[test]
fn an_item_of_the_last_run_that_comes_before_its_anchor_is_beyond_it() {
    for (count, cap) in [(40, 33), (47, 33), (74, 51), (31, 9)] {
        let run = [("2000", "9"), ("2000", "8")].map(|(rank, id)| (rank.to_owned(), id.to_owned()));
        let rows = (1_000..1_000 + count).map(|row| (row.to_string(), row.to_string())).chain(run);
        let mut list = List { cap, ..List::new(Family::Page, rows) };
        list.paging.sizes = Sizes::Free { least: 1, most: Some(cap * 2) };
        for limit in [1, 2] {
            let key = |digits: &str| KeyValue::Number(digits.into());
            let anchor = Anchor { keys: vec![key("2000")], id: key("8") };
            let hint = Hint { offset: Offset(count + 1), run: 1, honoured: cap, ..Hint::default() };
            let page = list.page(Target { position: Position::After(anchor), hint }, limit).unwrap();
            let items: Vec<&[u8]> = (0..page.items.len()).map(|item| page.item(item)).collect();
            assert_eq!(items, [b"20009"], "{count} rows, capped to {cap}, pages of {limit}");
        }
    }
}

#[test]
fn a_short_list_of_fixed_pages_is_read_whatever_it_counts() {
    for (count, total) in
        [(2, 3), (3, 4), (2, 30), (19, 20), (19, 319), (21, 22), (20, 21), (20, 30), (20, 319), (40, 41), (60, 61)]
    {
        let mut list = List::new(Family::Page, (1_000..1_000 + count).map(|rank| (rank.to_string(), rank.to_string())));
        (list.cap, list.total, list.ties) = (20, Some(total), Ties::Ordered);
        list.paging = Paging::new(Family::Page, Sizes::Fixed(20));
        for limit in [20, 7, 1] {
            let result = list.walk(limit);
            let (items, pages) = result.unwrap_or_else(|refusal| panic!("{count} of {total}, {limit}: {refusal:?}"));
            assert_eq!(items.len() as u64, count, "{total}");
            assert!(pages.last().unwrap().doubted_end.is_some(), "{count} of {total}");
        }
    }
}

/// The upstream counts pages from 0, and the first page is declared as 1. So page `n` of size `s` begins at row
/// `(n + 1) * s`: no two sizes agree on the place of an item.
#[test]
fn pages_that_are_counted_from_another_number_join_no_distant_items() {
    const COUNT: usize = 1_003;
    let counted_from_0 = |list: &List, slice: Slice| match slice {
        Slice::Page { number, size } => list.answer(Slice::Page { number: window::PageNumber(number.0 + 1), size }),
        Slice::Offset { .. } => panic!("an offset of a list by page"),
    };
    let total = Some(COUNT as u64);
    for (cap, total, ties, by_id) in [
        (100, total, Ties::Ordered, false),
        (100, None, Ties::Ordered, false),
        (1_000, total, Ties::Unordered, false),
        (1_000, None, Ties::Unordered, false),
        // Nothing but the ids shows that an answer is from the middle of the list.
        (100, total, Ties::Ordered, true),
        (1_000, total, Ties::Ordered, true),
        (1_000, None, Ties::Ordered, true),
    ] {
        for limit in (2..=100).chain([212, 500, 900]) {
            let mut list = List { cap, total, ties, by_id, ..numbers(Family::Page, COUNT as u64) };
            if by_id {
                list.paging = Paging::new(Family::Page, Sizes::Free { least: 1, most: Some(1_000) });
            }
            let all = list.all();
            let row = |item: &[u8]| all.iter().position(|other| other.as_bytes() == item).unwrap();
            let (mut target, mut last) = (Some(start()), None);
            while let Some(at) = target {
                // Pages that aren't where they are expected may be refused.
                let Ok(page) = list.page_of(at, limit, counted_from_0) else { break };
                for item in 0..page.items.len() {
                    let row = row(page.item(item));
                    let joined = last.replace(row).is_none_or(|last| last + 1 == row);
                    assert!(joined, "{row} at limit {limit}, cap {cap}, total {total:?}, {ties:?}");
                }
                // The items before the first page are never shown, so the total stays too high.
                let is_claimed = page.next.is_none() && page.doubted_end.is_none();
                assert!(
                    !is_claimed || (total.is_none() && last == Some(COUNT - 1)),
                    "an end at limit {limit}: {last:?}"
                );
                target = page.next.clone();
            }
        }
    }
}

#[test]
fn totals_of_the_page_are_no_change() {
    for (count, limit) in [(20, 1), (20, 20), (21, 1), (40, 7), (57, 3), (57, 40)] {
        let mut list = List::new(Family::Page, (1_000..1_000 + count).map(|rank| (rank.to_string(), rank.to_string())));
        (list.cap, list.ties) = (20, Ties::Ordered);
        list.paging = Paging::new(Family::Page, Sizes::Fixed(20));
        let counted = |list: &List, slice: Slice| {
            let answer = list.answer(slice);
            Answer { total: Some(Total { value: answer.items.len() as u64, exact: true }), ..answer }
        };
        let (items, _) = list.walk_of(limit, counted).unwrap_or_else(|refusal| panic!("{count}, {limit}: {refusal:?}"));
        assert_eq!(items.len() as u64, count, "{limit}");
    }
}

/// A silent cap makes pages cost more requests than their budget, so none is left for the end.
#[test]
fn an_end_that_the_total_confirms_has_no_mark() {
    for (run, limit) in [1, 4, 6].into_iter().flat_map(|run| [50, 70, 90, 100].map(|limit| (run, limit))) {
        let rows = (0..400_u64).map(|row| ((1_000 + row / run).to_string(), (1_000 + row).to_string()));
        let mut list = List { cap: 25, total: Some(400), ties: Ties::Unordered, ..List::new(Family::Offset, rows) };
        list.paging.sizes = Sizes::Free { least: 1, most: Some(100) };
        if let Ok((items, pages)) = list.walk_of(limit, List::answer) {
            let doubt = pages.last().unwrap().doubted_end;
            assert_eq!((items.len(), doubt), (400, None), "runs of {run}, limit {limit}");
        }
    }
}
