//! Lists that aren't sorted as declared, although each answer of a search looks sorted.

use std::sync::Arc;

use super::{List, ends::kept, start};
use crate::pagination::{
    answer::Answer,
    fetch::{Fetch, Listing},
    filter::Filters,
    key::KeyValue,
    mark::{Mark, Marker},
    model::{self, INCLUSIVE},
    order::{Direction, Kind, Order, Ties},
    page::Level,
    paging::{EndEvidence, Family, Paging, Sizes},
    position::{Anchor, Hint, Position, Target},
    refusal::Refusal,
    resolver::{Limit, PageRequest, Step, resolve},
    window::{Offset, PageSize, Slice},
};

/// Returns a list of words, each with the number of rows that have it in a row. Ids count from 10,000.
fn words(family: Family, words: &[(&str, usize)]) -> List {
    let words = words.iter().flat_map(|(word, count)| std::iter::repeat_n(format!("\"{word}\""), *count));
    let rows: Vec<_> = words.enumerate().map(|(row, word)| (word, (10_000 + row).to_string())).collect();
    List { kind: Kind::Text, ties: Ties::Ordered, ..List::new(family, rows.into_iter()) }
}

/// Returns the item of a row, without a hint.
fn item(list: &List, row: usize) -> Anchor {
    let (word, id) = &list.rows[row];
    Anchor { keys: vec![KeyValue::Text(word.trim_matches('"').into())], id: KeyValue::Number(id.clone()) }
}

/// The search goes from the first page, which seems to be after the place, to a page that seems to show the place. Only
/// the two pages together show that the words aren't sorted.
#[test]
fn an_order_that_a_search_contradicts_is_noticed_where_the_search_ends() {
    for family in [Family::Offset, Family::Page] {
        let mut list = words(family, &[("low", 50), ("medium", 28), ("high", 6), ("urgent", 20)]);
        list.cap = 40;
        for row in 50..78 {
            for limit in [1, 2, 20] {
                let target = Target { position: Position::After(item(&list, row)), hint: Hint::default() };
                match list.page(target, limit) {
                    Ok(page) => assert_eq!(page.item(0), list.all()[row + 1].as_bytes(), "{family:?} {row} {limit}"),
                    Err(refusal) => assert!(matches!(refusal, Refusal::Unsorted(_)), "{family:?} {row}: {refusal:?}"),
                }
            }
        }
    }
}

/// A list whose words aren't sorted as declared, and the place after a word at its end. A search for that place begins
/// at its hint, where answers show items that belong on the page, and goes back to a place between two other words.
fn astray(family: Family) -> (List, Target) {
    let mut list = words(family, &[("blocking", 20), ("medium", 30), ("low", 60), ("high", 5)]);
    list.cap = 12;
    let hint = Hint { offset: Offset(100), ..Hint::default() };
    let target = Target { position: Position::After(item(&list, 112)), hint };
    (list, target)
}

#[test]
fn a_page_without_an_item_that_an_answer_shows_again_is_refused() {
    for family in [Family::Offset, Family::Page] {
        for limit in [1, 2, 7] {
            let (mut list, target) = astray(family);
            let page = list.page(target, limit);
            assert!(matches!(page, Err(Refusal::PositionLost { .. })), "{family:?} {limit}: {page:?}");
        }
    }
}

/// When the answer is requested again, the items that it showed are deleted.
#[test]
fn a_page_without_an_item_that_was_deleted_is_served() {
    for family in [Family::Offset, Family::Page] {
        let (mut list, target) = astray(family);
        let mut requests = 0;
        let counted = |list: &List, slice: Slice| {
            requests += 1;
            list.answer(slice)
        };
        assert!(list.page_of(target.clone(), 2, counted).is_err());
        let mut left = requests;
        let page = list.page_of(target, 2, |list, slice| {
            left -= 1;
            kept(list.answer(slice), |_, item| left > 0 || !item.starts_with(b"\"low\""))
        });
        let page = page.unwrap_or_else(|refusal| panic!("{family:?}: {refusal:?}"));
        assert_eq!((page.item(0), page.level()), (list.all()[20].as_bytes(), Level::Exact), "{family:?}");
        assert_eq!(page.notes.requests, requests, "{family:?}");
    }
}

/// The search begins anew after the contradiction, and finds the item among its neighbours without another one.
#[test]
fn a_place_that_a_search_finds_after_a_contradiction_is_not_proven() {
    let list = words(Family::Offset, &[("low", 500), ("medium", 40), ("high", 900), ("urgent", 20)]);
    let mut list = List { cap: 100, ..list };
    // A window with the whole margin hides the contradiction that a smaller one shows.
    list.profile.drift = Some(10);
    let page = list.page(Target { position: Position::Before(item(&list, 1_401)), hint: Hint::default() }, 7);
    assert!(matches!(page, Err(Refusal::PositionLost { .. })), "{page:?}");
}

/// The same search, in a list whose first item is deleted and inserted all the time. No answer is the same again, so no
/// contradiction counts.
#[test]
fn a_contradiction_between_answers_that_changed_counts_for_nothing() {
    let list = words(Family::Offset, &[("low", 500), ("medium", 40), ("high", 900), ("urgent", 20)]);
    let mut list = List { cap: 100, ..list };
    let target = Target { position: Position::Before(item(&list, 1_401)), hint: Hint::default() };
    let mut requests = 0;
    let page = list.page_of(target, 7, |list, slice| {
        requests += 1;
        let Slice::Offset { from, size } = slice else { panic!("{slice:?} of a list by offset") };
        list.answer(Slice::Offset { from: Offset(from.0 + requests % 2), size })
    });
    assert!(page.is_ok(), "{page:?}");
}

/// The search compares each answer with all earlier ones that certainly are where they were requested.
#[test]
fn an_order_that_two_answers_of_a_search_contradict_is_reported() {
    let list = words(Family::Offset, &[("low", 2_000), ("medium", 2_000), ("high", 2_000)]);
    let mut list = List { cap: 100, total: Some(6_000), ..list };
    let page = list.page(Target { position: Position::Before(item(&list, 4_465)), hint: Hint::default() }, 20);
    assert!(matches!(page, Err(Refusal::Unsorted(_))), "{page:?}");
}

/// All items of the other places come after the anchor too, as they must if the start of the list is the place. But
/// they come before the items at the start.
#[test]
fn an_order_that_other_places_contradict_is_noticed_at_the_start() {
    for family in [Family::Offset, Family::Page] {
        let mut list = words(family, &[("m", 40), ("k", 200), ("c", 3)]);
        list.cap = 12;
        for position in [Position::After, Position::Before] {
            let page = list.page(Target { position: position(item(&list, 241)), hint: Hint::default() }, 7);
            assert!(matches!(page, Err(Refusal::Unsorted(_))), "{family:?}: {page:?}");
        }
    }
}

/// Row: F38
#[test]
fn an_order_that_is_wrong_at_its_seams_alone_is_noticed_by_a_search() {
    // Rows are sorted by rank (low, medium, high), but declared to be sorted by bytes. Every answer looks sorted,
    // except at the two seams.
    let word = |row: u64| ["\"low\"", "\"medium\"", "\"high\""][usize::try_from(row / 2_000).unwrap()].to_owned();
    let places = (1..6_000).step_by(97).flat_map(|row| [(row, true), (row, false)]);
    for (family, kind) in
        [Family::Offset, Family::Page].into_iter().flat_map(|family| [(family, Kind::Text), (family, Kind::Inferred)])
    {
        let rows = (0..6_000).map(|row| (word(row), (10_000 + row).to_string()));
        let list = List { ties: Ties::Ordered, cap: 100, total: Some(6_000), ..List::new(family, rows) };
        let mut list = List { kind: kind.clone(), ..list };
        for (row, forward) in places.clone() {
            let anchor = Anchor {
                keys: vec![KeyValue::Text(word(row).trim_matches('"').as_bytes().to_vec())],
                id: KeyValue::Number((10_000 + row).to_string()),
            };
            let position = if forward { Position::After(anchor) } else { Position::Before(anchor) };
            match list.page(Target { position, hint: Hint::default() }, 20) {
                Ok(page) => {
                    let first = if forward { row + 1 } else { row.saturating_sub(20) };
                    let id = (10_000 + first).to_string();
                    assert!(page.item(0).ends_with(id.as_bytes()), "{family:?} {forward} {row}");
                }
                // After one contradiction, the search may find a place without another one.
                Err(Refusal::Unsorted(_) | Refusal::PositionLost { .. }) => {}
                // Without a declared type, a seam shows that the strings can't be compared. A cursor without an offset
                // is then only looked for by its mark.
                Err(Refusal::BudgetExceeded) if kind == Kind::Inferred => {}
                Err(refusal) => panic!("{family:?} {forward} {row}: {refusal:?}"),
            }
        }
    }
}

/// Every item on the way to the start seems to come after the anchor, and is greater than the items after it.
#[test]
fn an_order_that_is_another_one_is_noticed_by_a_search_towards_the_start() {
    // Rows are sorted by rank descending, but declared ascending. An answer looks sorted unless it shows two ranks.
    let rank = |row: u64| (100 - row / 1_000).to_string();
    for family in [Family::Offset, Family::Page] {
        let rows = (0..60_000).map(|row| (rank(row), (100_000 + row).to_string()));
        let list = List { ties: Ties::Ordered, cap: 100, total: Some(60_000), ..List::new(family, rows) };
        let mut list = List { kind: Kind::Number, ..list };
        for (at, hinted) in [(55_500, 50_500), (55_500, 30_500), (58_100, 57_700), (40_300, 20_300)] {
            let (rank, id) = (KeyValue::Number(rank(at)), KeyValue::Number((100_000 + at).to_string()));
            let hint = Hint { offset: Offset(hinted), ..Hint::default() };
            for position in [Position::After, Position::Before] {
                let target = Target { position: position(Anchor { keys: vec![rank.clone()], id: id.clone() }), hint };
                let page = list.page(target, 20);
                assert!(matches!(page, Err(Refusal::Unsorted(_))), "{family:?} {at} from {hinted}: {page:?}");
            }
        }
    }
}

/// A filter shows items 2 and 3, of which the page takes 3. The next answer to the filter isn't sorted, so the page is
/// read from the whole list, which lacks item 3. The first answer is then requested again.
#[test]
fn an_item_that_was_taken_from_a_filter_in_vain_must_be_on_the_page() {
    let number = |name| model::key(name, Kind::Number, Direction::Ascending);
    let order = Order::declared(vec![number("rank")], number("id"), Ties::Ordered);
    let two = KeyValue::Number("2".into());
    let position = Position::After(Anchor { keys: vec![two.clone()], id: two });
    let target = Target { position, hint: Hint { offset: Offset(2), ..Hint::default() } };
    let sizes = Sizes::Free { least: 1, most: Some(100) };
    let paging = Paging { end: EndEvidence::Flag, ..Paging::new(Family::Offset, sizes) };
    let filters = Filters { columns: vec![INCLUSIVE; 2], ..Filters::default() };
    let marker = Marker::new(|_| Mark::of(0));
    let request = PageRequest::new(target, Limit::at_least_one(5), Arc::new(order), Arc::new(paging), marker)
        .filters(Some(Arc::new(filters)));
    let answer = |rows: &[u64], more| {
        let rows = rows.iter().map(|row| (row.to_string(), row.to_string()));
        let list = List::new(Family::Offset, rows);
        Answer { more: Some(more), ..list.answer(Slice::Offset { from: Offset(0), size: PageSize(100) }) }
    };
    let filtered = [answer(&[2, 3], true), answer(&[2, 1], true), answer(&[], true), answer(&[2, 3], true)];
    let mut filtered = filtered.into_iter();
    let mut step = resolve(request);
    let refusal = loop {
        step = match step {
            Step::Fetch(fetches, pending) => pending.resume(
                fetches
                    .iter()
                    .map(|fetch| match fetch {
                        Fetch::Slice(_, Listing { filter: Some(_), .. }) => filtered.next().expect("a further answer"),
                        Fetch::Slice(slice, _) => {
                            let begins = usize::try_from(slice.begins().0).unwrap();
                            answer(&[1, 2, 5][begins..], false)
                        }
                        other => panic!("{other:?} of a list by offset"),
                    })
                    .collect(),
            ),
            Step::Serve(page) => panic!("served: {page:?}"),
            Step::Refuse(refusal) => break refusal,
        };
    };
    assert!(matches!(refusal, Refusal::PositionLost { .. }), "{refusal:?}");
    assert_eq!(filtered.len(), 0);
}

/// Returns an answer that begins with the first `count` rows of the list, whatever its place. Places count the others.
fn below_the_first(count: u64, list: &List, slice: Slice) -> Answer {
    let (begins, size) = (slice.begins().0 + count, slice.size().0);
    if begins >= list.rows.len() as u64 {
        return list.answer(Slice::Offset { from: Offset(begins), size: PageSize(size) });
    }
    let all = PageSize(u32::try_from(begins).unwrap() + size);
    let answer = list.answer(Slice::Offset { from: Offset(0), size: all });
    kept(answer, |item, _| (item as u64) < count || item as u64 >= begins)
}

/// Each answer is sorted, but the item after those on top isn't the one that follows them in the list.
#[test]
fn items_on_top_of_every_page_are_not_followed_by_the_rest_of_it() {
    for family in [Family::Offset, Family::Page] {
        for (count, limit) in [1, 3].into_iter().flat_map(|count| (1..20).map(move |limit| (count, limit))) {
            let mut list = List::new(family, (100..160).map(|rank| (rank.to_string(), rank.to_string())));
            let all = list.all();
            let (mut target, mut passed) = (Some(start()), 0);
            while let Some(at) = target {
                let page = list.page_of(at, limit, |list, slice| below_the_first(count, list, slice));
                let Ok(page) = page else {
                    assert!(matches!(page, Err(Refusal::Unsorted(_))), "{family:?} {count} {limit}: {page:?}");
                    break;
                };
                for item in 0..page.items.len() {
                    assert_eq!(page.item(item), all[passed].as_bytes(), "{family:?} {count} {limit}");
                    passed += 1;
                }
                assert!(page.next.is_some() || passed == all.len(), "{family:?} {count} {limit}: {passed}");
                target = page.next.clone();
            }
        }
    }
}

/// Returns an answer whose last `count` items, of as many as were requested, are the last rows of the list.
fn above_the_last(count: u64, list: &List, slice: Slice) -> Answer {
    let (begins, size, rows) = (slice.begins().0, u64::from(slice.size().0), list.rows.len() as u64);
    let (all, count) = (PageSize(u32::try_from(rows).unwrap()), count.min(size));
    let all = list.answer(Slice::Offset { from: Offset(0), size: all });
    let reaches = begins + size - count;
    kept(all, |item, _| (begins..reaches).contains(&(item as u64)) || item as u64 >= rows - count)
}

/// Each answer is sorted, and nothing comes after its last item.
#[test]
fn items_at_the_bottom_of_every_page_end_no_list() {
    let mut refused = 0;
    for family in [Family::Offset, Family::Page] {
        for (count, limit) in [1, 3].into_iter().flat_map(|count| (count + 1..=20).map(move |limit| (count, limit))) {
            let mut list = List::new(family, (100..160).map(|rank| (rank.to_string(), rank.to_string())));
            list.paging.sizes = Sizes::Free { least: 1, most: Some(20) };
            let (mut target, mut passed) = (Some(start()), 0);
            while let Some(at) = target {
                let size = u32::try_from(limit).unwrap();
                let Ok(page) = list.page_of(at, size, |list, slice| above_the_last(count, list, slice)) else {
                    refused += 1;
                    break;
                };
                passed += page.items.len() as u64;
                let is_end = page.next.is_none();
                assert!(!is_end || passed >= 59, "{family:?} {count} at limit {limit}: an end after {passed} items");
                target = page.next.clone();
            }
        }
    }
    assert!(refused > 0);
}

/// An upstream that gives two items more than requested, consecutive ones, costs one request more.
#[test]
fn answers_with_more_consecutive_items_than_requested_are_read() {
    for limit in 1..20 {
        let mut list = List::new(Family::Offset, (100..160).map(|rank| (rank.to_string(), rank.to_string())));
        let all = list.all();
        let (items, pages) = list
            .walk_of(limit, |list, slice| {
                let size = PageSize(slice.size().0 + 2);
                list.answer(Slice::Offset { from: Offset(slice.begins().0), size })
            })
            .unwrap();
        assert_eq!(items, all, "{limit}");
        assert!(pages[1..].iter().all(|page| page.level() >= Level::Checked), "{limit}");
        let inner = &pages[1..pages.len() - 1];
        assert!(inner.iter().all(|page| page.notes.requests <= 2), "{limit}");
    }
}
