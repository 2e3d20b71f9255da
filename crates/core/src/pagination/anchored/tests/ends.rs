//! Ends of lists whose upstream leaves out rows after it has applied the limit, beside every kind of statement.

use super::*;
use crate::pagination::{paging::CountedThings, resolver::Budget};

const LIMITS: [u32; 5] = [1, 2, 7, 20, 50];

/// Returns a list of numbers from 0 to `rows`, in which the rows of `gap` are left out.
fn with_gap(family: Family, rows: u32, gap: std::ops::Range<usize>) -> List {
    List { gap, ..List::numbered(family, 0..rows) }.capped(family, 50)
}

/// Walks to the end. Returns the items, and the total that contradicts the end; `None` if nothing does.
#[track_caller]
fn walked(list: &mut List, limit: u32) -> (Vec<String>, Option<Option<u64>>) {
    let mut doubt = None;
    let pages = list.walk(limit, |_, page| doubt = page.doubted_end.map(|doubt| doubt.said));
    (pages.concat(), doubt)
}

fn visible(list: &List) -> Vec<String> {
    let rows = list.items.iter().enumerate().filter(|(place, _)| !list.gap.contains(place));
    rows.filter_map(|(_, (id, _))| id.clone()).collect()
}

#[test]
fn no_list_ends_before_items_that_a_total_or_a_flag_promises() {
    for family in FAMILIES {
        for (rows, gap) in [(8, 1..4), (257, 54..84)] {
            for limit in LIMITS {
                for (total, more) in [
                    (true, None),
                    (false, Some(Flag::Right)),
                    (true, Some(Flag::AlwaysFalse)),
                    (false, Some(Flag::AlwaysFalse)),
                ] {
                    let mut list = List { total, more, ..with_gap(family, rows, gap.clone()) };
                    let (items, doubt) = walked(&mut list, limit);
                    let case = format!("{family:?}, {rows} rows, limit {limit}, total {total}, flag {more:?}");
                    assert_eq!(items, visible(&list), "{case}");
                    assert_eq!(doubt, None, "{case}");
                }
            }
        }
    }
}

#[test]
fn items_after_a_gap_are_found_without_a_statement() {
    for family in FAMILIES {
        for (rows, gap) in [(8, 1..4), (257, 54..84)] {
            for limit in LIMITS {
                let mut list = List { total: false, ..with_gap(family, rows, gap.clone()) };
                assert_eq!(walked(&mut list, limit).0, visible(&list), "{family:?}, {rows} rows, limit {limit}");
            }
        }
    }
}

#[test]
fn an_end_that_a_total_contradicts_is_marked() {
    for family in FAMILIES {
        for overcount in [5, 157] {
            for limit in LIMITS {
                let mut list = List { overcount, ..with_gap(family, 100, 0..0) };
                let (items, doubt) = walked(&mut list, limit);
                assert_eq!(items, numbers(0..100), "{family:?}, limit {limit}");
                assert_eq!(doubt, Some(Some(100 + overcount)), "{family:?}, limit {limit}");
            }
        }
    }
}

#[test]
fn a_list_that_begins_again_after_its_end_is_read_once() {
    for family in FAMILIES {
        for rows in [57, 60] {
            for limit in LIMITS.into_iter().chain([19]) {
                for (overcount, more) in [(0, None), (5, None), (0, Some(Flag::Right)), (0, Some(Flag::AlwaysTrue))] {
                    let list = List {
                        total: overcount > 0,
                        overcount,
                        more,
                        restarts: true,
                        ..List::numbered(family, 0..rows)
                    };
                    let mut list = list.capped(family, 50);
                    let (items, doubt) = walked(&mut list, limit);
                    let case = format!("{family:?}, {rows} rows, limit {limit}, overcount {overcount}, flag {more:?}");
                    assert_eq!(items, numbers(0..rows), "{case}");
                    assert_eq!(doubt.flatten(), (overcount > 0).then_some(u64::from(rows) + overcount), "{case}");
                }
            }
        }
    }
}

#[test]
fn a_list_that_repeats_its_last_items_undeclared_is_read_once() {
    for rows in [57, 60] {
        for limit in [1, 2, 7, 19, 20] {
            let list = List { total: false, repeats: true, ..List::numbered(Family::Offset, 0..rows) };
            let mut list = list.capped(Family::Offset, 50);
            assert_eq!(walked(&mut list, limit), (numbers(0..rows), None), "{rows} rows, limit {limit}");
        }
    }
}

/// Beyond a largest offset or page, which isn't declared, the upstream gives that one again: such a list is refused,
/// unless answers are large enough to show all of it.
#[test]
fn a_place_that_is_lowered_is_no_end() {
    let offsets = (60..140).map(|lowered_to| (Family::Offset, lowered_to));
    let places = offsets.chain([1, 2, 3, 7].map(|lowered_to| (Family::Page, lowered_to)));
    for (family, lowered_to) in places {
        for (limit, cap) in LIMITS.into_iter().chain([19]).flat_map(|limit| [20, 50, 100].map(|cap| (limit, cap))) {
            let list = List { total: false, lowered_to, ..List::numbered(family, 0..257) };
            let (mut list, mut target, mut served) = (list.capped(family, cap), Some(start()), 0);
            while let Some(next) = target {
                let Ok(page) = list.page(next, limit) else { break };
                served += page.items.len();
                let case = format!("{family:?}, lowered to {lowered_to}, limit {limit}, cap {cap}: {served}");
                assert!(served == 257 || (served < 257 && page.next.is_some()), "{case}");
                target = page.next.clone();
            }
        }
    }
}

/// Beyond an offset in its middle the list begins again, and its answers say that more items follow.
#[test]
fn a_list_that_begins_again_in_its_middle_has_no_end_there() {
    for family in FAMILIES {
        for limit in LIMITS {
            for (total, more) in [(true, None), (false, Some(Flag::Right))] {
                let list = List { total, more, restarts: true, lowered_to: 130, ..List::numbered(family, 0..257) };
                let (mut list, mut target) = (list.capped(family, 50), Some(start()));
                while let Some(next) = target {
                    let Ok(page) = list.page(next, limit) else { break };
                    let case = format!("{family:?}, limit {limit}, total {total}, {more:?}: {:?}", texts(&page));
                    assert!(page.next.is_some() || page.doubted_end.is_some(), "{case}");
                    target = page.next.clone();
                }
            }
        }
    }
}

#[test]
fn a_flag_that_says_the_same_everywhere_contradicts_no_end() {
    for family in FAMILIES {
        for flag in [Flag::AlwaysTrue, Flag::AlwaysFalse] {
            for limit in LIMITS {
                let mut list = List { total: false, more: Some(flag), ..with_gap(family, 60, 0..0) };
                assert_eq!(walked(&mut list, limit), (numbers(0..60), None), "{family:?}, {flag:?}, limit {limit}");
            }
        }
    }
}

#[test]
fn an_end_that_a_right_total_confirms_takes_no_request_of_its_own() {
    for family in FAMILIES {
        let mut list = with_gap(family, 95, 0..0);
        let mut last = 0;
        let pages = list.walk(20, |list, _| last = list.requests);
        assert_eq!((pages.concat(), last), (numbers(0..95), 1), "{family:?}");
    }
}

#[test]
fn the_last_page_is_found_after_a_gap_that_a_total_does_not_count() {
    for family in FAMILIES {
        for limit in LIMITS {
            let mut list = with_gap(family, 8, 1..4);
            let target = Target { position: Position::End, hint: Hint { total: Some(5), ..Hint::default() } };
            let last = list.page(target, limit).unwrap();
            let visible = visible(&list);
            let expected = &visible[visible.len().saturating_sub(limit as usize)..];
            assert_eq!(texts(&last), expected, "{family:?}, limit {limit}");
        }
    }
}

#[test]
fn the_last_page_is_found_where_rows_are_left_out() {
    for family in FAMILIES {
        for declared in [true, false] {
            for limit in [1, 3, 7, 20, 33, 50] {
                let mut list = List { total: false, hides_each: Some(3), ..with_gap(family, 257, 0..0) };
                Arc::make_mut(&mut list.request.paging).hidden = declared;
                let target = Target { position: Position::End, hint: Hint::default() };
                let case = format!("{family:?}, declared {declared}, limit {limit}");
                let last = list.page(target, limit).unwrap_or_else(|refusal| panic!("{case}: {refusal:?}"));
                let shown: Vec<_> =
                    (0..257).filter(|place| place % 3 != 2).map(|place: u32| place.to_string()).collect();
                assert_eq!(texts(&last), shown[shown.len() - limit as usize..], "{case}");
            }
        }
    }
}

#[test]
fn a_last_page_that_a_total_contradicts_is_marked() {
    for limit in LIMITS {
        let mut list = List { overcount: 157, ..with_gap(Family::Offset, 100, 0..0) };
        let target = Target { position: Position::End, hint: Hint { total: Some(257), ..Hint::default() } };
        let last = list.page(target, limit).unwrap();
        assert_eq!(texts(&last).last().map(String::as_str), Some("99"), "limit {limit}");
        assert_eq!(last.doubted_end.map(|doubt| doubt.said), Some(Some(257)), "limit {limit}");
    }
}

/// The list has 95 items and doesn't change. It is read in pages of 20.
#[test]
fn the_requests_of_an_end_without_an_order_are_those_of_the_documented_table() {
    let cases = [
        ("no fact", None, None),
        ("a total that is right", Some(0), None),
        ("a total of 98", Some(3), None),
        ("a total of 5,000", Some(4_905), None),
        ("a flag that is right", None, Some(Flag::Right)),
        ("a flag that is always true", None, Some(Flag::AlwaysTrue)),
        ("a flag that is always false", None, Some(Flag::AlwaysFalse)),
    ];
    let row = |(fact, overcount, more): (&str, Option<u64>, Option<Flag>)| {
        let cells = [Family::Offset, Family::Page].map(|family| {
            let list = List { total: overcount.is_some(), more, ..List::numbered(family, 0..95) };
            let mut list = List { overcount: overcount.unwrap_or(0), ..list };
            let mut cell = String::new();
            list.walk(20, |_, page| {
                let mark = if page.doubted_end.is_some() { ", marked" } else { "" };
                cell = format!("{}{mark}", page.notes.requests);
            });
            cell
        });
        format!("| {fact} | {} |\n", cells.join(" | "))
    };
    let table: String = cases.into_iter().map(row).collect();
    let documents = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guarantees.md");
    let documented = std::fs::read_to_string(documents).unwrap();
    assert!(documented.contains(&table), "{table}");
}

/// By page, a look of a size above the cap would begin before its place, and show items from before the end.
#[test]
fn an_end_under_a_silent_cap_is_found_by_a_few_looks() {
    for family in FAMILIES {
        for rows in [57, 95, 120] {
            for limit in LIMITS {
                let list = List { total: false, ..List::numbered(family, 0..rows) };
                let (mut list, mut last) = (list.capped_in_silence(family, 50), (0, None));
                let pages = list.walk(limit, |list, page| last = (list.requests, page.doubted_end));
                assert_eq!(pages.concat(), numbers(0..rows));
                assert!(last.0 <= 12 && last.1.is_none(), "{family:?}, {rows} rows, limit {limit}: {last:?}");
            }
        }
    }
}

/// Past its end, a list begins again or repeats its last items, and rows are left out.
#[test]
fn lists_that_begin_again_are_read_among_left_out_rows() {
    let lists = [(Family::Offset, true), (Family::Page, true), (Family::Offset, false)].into_iter().flat_map(|list| {
        [(60, 20, 30..54), (60, 20, 53..60), (60, 20, 0..0), (101, 50, 40..60), (257, 100, 128..152)]
            .map(|gap| (list, gap))
    });
    let facts = [
        (false, 0, None),
        (true, 0, None),
        (true, 5, None),
        (true, 100_000, None),
        (false, 0, Some(Flag::Right)),
        (true, 100_000, Some(Flag::Right)),
        (false, 0, Some(Flag::AlwaysTrue)),
    ];
    let (mut walks, mut refused, mut ended_early) = (0, 0, 0);
    for (((family, restarts), (rows, cap, gap)), (total, overcount, more)) in
        lists.flat_map(|list| facts.map(|facts| (list.clone(), facts)))
    {
        for (declared, hides_each) in [(true, None), (false, None), (true, Some(5)), (false, Some(5))] {
            for limit in [1, 7, 20, 50] {
                let list = List { gap: gap.clone(), hides_each, ..List::numbered(family, 0..rows) };
                let list = List { restarts, repeats: !restarts, total, overcount, more, ..list };
                let mut list = list.capped(family, cap);
                Arc::make_mut(&mut list.request.paging).hidden = declared;
                let is_shown = |place: &usize| !gap.contains(place) && hides_each.is_none_or(|n| place % n != n - 1);
                let (mut target, mut left) = (Some(start()), (0..rows as usize).filter(is_shown).count());
                walks += 1;
                while let Some(next) = target {
                    let Ok(page) = list.page(next, limit) else {
                        refused += 1;
                        break;
                    };
                    left = left.checked_sub(page.items.len()).expect("no item comes twice");
                    target = page.next.clone();
                    // No answer shows anything of rows after an undeclared gap that is wider than an answer.
                    let is_silent = !declared && !total && more.is_none();
                    let case = format!("{family:?}, {gap:?} of {rows}, limit {limit}, {total} {overcount} {more:?}");
                    assert!(target.is_some() || left == 0 || page.doubted_end.is_some() || is_silent, "{case}");
                    ended_early += u32::from(target.is_none() && left > 0);
                }
            }
        }
    }
    assert!(refused <= 280 && ended_early <= 8, "of {walks} walks, {refused} refused, {ended_early} ended early");
}

/// Rows in a run over several pages of a fixed size are left out, which the dialect says.
#[test]
fn a_wide_gap_is_crossed_in_both_directions() {
    let mut faults = Vec::new();
    for gap in [8..39, 7..38, 10..40, 8..12, 20..56] {
        for (limit, is_back) in (1..=12).flat_map(|limit| [(limit, false), (limit, true)]) {
            let mut list =
                List { gap: gap.clone(), overcount: gap.len() as u64, ..List::numbered(Family::Page, 0..60) };
            let paging = Arc::make_mut(&mut list.request.paging);
            (paging.sizes, paging.hidden, paging.counted) = (Sizes::Fixed(5), true, CountedThings::Rows);
            list.request.budget = Budget::new(40, 40);
            let position = if is_back { Position::End } else { Position::Start };
            let (mut target, mut left) = (Some(Target { position, hint: Hint::default() }), 60 - gap.len());
            while let Some(at) = target {
                let page = match list.page(at, limit) {
                    Ok(page) => page,
                    Err(refusal) => {
                        faults.push(format!("{refusal:?}, {left} left: {gap:?} at limit {limit}, back: {is_back}"));
                        break;
                    }
                };
                left -= page.items.len();
                target = if is_back { page.previous.clone() } else { page.next.clone() };
                assert!(target.is_some() || left == 0, "{left} left: {gap:?} at limit {limit}, back: {is_back}");
            }
        }
    }
    assert!(faults.is_empty(), "{} {faults:#?}", faults.len());
}
