//! Walks through small lists whose upstream can filter, flip, and sort by id.

mod chance;
mod depth;
mod hidden;
mod ids;
mod ignored;
mod parts;

use crate::pagination::{
    fetch::Fetch,
    filter::{Comparison, Comparisons, Filter, Filters},
    key::KeyValue,
    model::{self, ALL, EXCLUSIVE, INCLUSIVE, List, Stored, end, ids, start},
    order::{Direction, Grain, Kind, Nulls, Ties},
    page::{Level, Page},
    paging::{Family, Sizes},
    position::{Anchor, Hint, Item, Position, Target},
    refusal::Refusal,
    resolver::WhenUnproven,
    window::Offset,
};

use Direction::{Ascending, Descending};

type Cell = (Stored, String);

/// Walks through a list in both directions in pages of this size, and asserts that each item comes once and in order.
fn walks_both_ways(list: &mut List, limit: u32, said: &str) {
    let expected = list.expected();
    let there = list.walk(start(), limit);
    assert_eq!(there.iter().flat_map(ids).collect::<Vec<_>>(), expected, "{said}, pages of {limit}");
    let mut back = list.walk(end(), limit);
    back.reverse();
    assert_eq!(back.iter().flat_map(ids).collect::<Vec<_>>(), expected, "{said}, backward, pages of {limit}");
    for page in there.iter().chain(&back) {
        assert_eq!(page.total.map_or(expected.len() as u64, |total| total.value), expected.len() as u64);
    }
}

fn word(words: &[&str], row: i64) -> Cell {
    model::text(words[usize::try_from(row).unwrap() % words.len()])
}

/// Returns a list of sixty rows with one strong key.
fn by(kind: Kind, direction: Direction, cell: impl Fn(i64) -> Cell) -> List {
    List::new(vec![model::key("rank", kind, direction)], (0..60).map(|row| vec![cell(row)]))
}

fn uuid(row: i64) -> Cell {
    model::text(&format!("{:08x}-aaaa-4bbb-8ccc-0123456789ab", row * 7 % 61))
}

#[test]
fn every_kind_in_both_directions_takes_one_request_a_page() {
    for direction in [Ascending, Descending] {
        for limit in [1, 7, 20] {
            for (said, mut list) in [
                ("whole", by(Kind::Number, direction, |row| model::whole(row * 7 % 31 - 9))),
                ("inferred", by(Kind::Inferred, direction, |row| model::whole(row / 4))),
                ("cut off", by(Kind::Number, direction, |row| model::coarse(row * 3_331 - 70_000, 2, false))),
                ("rounded", by(Kind::Number, direction, |row| model::coarse(row * 3_331 - 70_000, 2, true))),
                ("times", by(Kind::Datetime, direction, |row| model::instant(row * 333, false))),
                ("rounded times", by(Kind::Datetime, direction, |row| model::instant(row * 333, true))),
                ("inferred times", by(Kind::Inferred, direction, |row| model::instant(row * 333, false))),
                ("texts", by(Kind::Text, direction, |row| word(&["", "a", "aé", "b", "日本"], row))),
                ("uuids", by(Kind::Uuid, direction, uuid)),
                ("inferred uuids", by(Kind::Inferred, direction, uuid)),
            ] {
                walks_both_ways(&mut list, limit, &format!("{said} {direction:?}"));
                for page in list.walk(start(), limit).into_iter().skip(1) {
                    assert_eq!((page.level(), page.notes.requests), (Level::Exact, 1), "{said} {direction:?} {limit}");
                }
                assert!(list.filters_asked().iter().all(Option::is_some), "{said} {direction:?} {limit}");
            }
        }
    }
}

#[test]
fn a_filter_neither_widened_nor_proven_loses_rows_with_more_stored_digits() {
    use crate::pagination::rules::{Rule, without};
    let lists = || {
        [
            by(Kind::Number, Ascending, |row| model::coarse(row * 3_331, 2, true)),
            by(Kind::Number, Descending, |row| model::coarse(row * 3_331, 2, false)),
            by(Kind::Datetime, Ascending, |row| model::instant(row * 333, true)),
            by(Kind::Datetime, Descending, |row| model::instant(row * 333, false)),
        ]
    };
    for (number, mut list) in lists().into_iter().enumerate() {
        let expected = list.expected();
        let got = without(Rule::FiltersAreProven, || list.walk(start(), 1)).iter().flat_map(ids).collect::<Vec<_>>();
        assert_ne!(got, expected, "{number}");
    }
    for mut list in lists() {
        walks_both_ways(&mut list, 1, "widened");
    }
}

#[test]
fn filters_by_values_that_look_whole_are_widened_by_the_declared_grain() {
    for direction in [Ascending, Descending] {
        for (grain, cell) in [
            (Grain::Digits(0), (|row| model::coarse(row * 333_331, 0, true)) as fn(i64) -> Cell),
            (Grain::Day, |row| {
                let (_, shown) = model::instant(0, false);
                let day = 15 + row / 20;
                let stored = format!("2026-01-{day:02}T{:02}:00:00Z", row % 20);
                (Some(model::Value::Instant(stored)), format!("{}{day:02}\"", &shown[..9]))
            }),
        ] {
            let kind = if grain == Grain::Day { Kind::Datetime } else { Kind::Number };
            let mut list = by(kind, direction, cell);
            list.order.strong[0].grain = Some(grain);
            walks_both_ways(&mut list, 3, &format!("{grain:?} {direction:?}"));
        }
    }
}

#[test]
fn composite_orders_with_mixed_directions_are_walked_in_full() {
    for first in [Ascending, Descending] {
        for second in [Ascending, Descending] {
            for limit in [2, 7] {
                let keys = vec![model::key("a", Kind::Number, first), model::key("b", Kind::Text, second)];
                let cells = |row: i64| vec![model::whole(row % 4), model::text(&format!("{}", row * 5 % 7))];
                let mut list = List::new(keys, (0..80).map(cells));
                list.order.id.direction = second;
                walks_both_ways(&mut list, limit, &format!("{first:?} {second:?}"));
            }
        }
    }
}

#[test]
fn filters_use_the_later_keys_in_long_runs_of_the_first_key() {
    for nulls in [Nulls::None, Nulls::First, Nulls::Last] {
        for (first, second) in [(Ascending, Ascending), (Ascending, Descending), (Descending, Ascending)] {
            let mut keys = vec![model::key("a", Kind::Number, first), model::key("b", Kind::Number, second)];
            keys[1].nulls = nulls;
            let cells = |row: i64| {
                let second = if nulls != Nulls::None && row % 9 == 0 { model::null() } else { model::whole(row / 2) };
                vec![model::whole(row % 2), second]
            };
            let mut list = List::new(keys, (0..600).map(cells));
            list.filters = Some(Filters { columns: vec![ALL; 3], either: true, both: true, sorts_by_id: false });
            walks_both_ways(&mut list, 20, &format!("{nulls:?} {first:?} {second:?}"));
            let pages = list.walk(start(), 20);
            for page in &pages[1..] {
                assert_eq!(page.notes.requests, 1, "{nulls:?} {first:?} {second:?}");
            }
            let far = list.page(pages[10].next.clone().unwrap(), 20).unwrap();
            let offsets = |fetch: &Fetch| matches!(fetch, Fetch::Slice(slice, _) if slice.begins().0 < 20);
            assert!(list.asked.iter().all(offsets) && far.level() == Level::Exact, "{:?}", list.asked);
        }
    }
}

#[test]
fn without_strong_keys_the_id_is_filtered_by() {
    for direction in [Ascending, Descending] {
        for comparisons in [INCLUSIVE, EXCLUSIVE] {
            let mut list = List::new(Vec::new(), (0..50).map(|_| Vec::new()));
            list.order.id.direction = direction;
            list.filters = Some(Filters { columns: vec![comparisons], ..Filters::default() });
            walks_both_ways(&mut list, 7, &format!("{direction:?} {comparisons:?}"));
            assert!(list.filters_asked().iter().all(Option::is_some));
        }
    }
}

#[test]
fn nulls_are_read_wherever_they_stand() {
    for nulls in [Nulls::First, Nulls::Last, Nulls::Smallest, Nulls::Largest] {
        for direction in [Ascending, Descending] {
            for either in [false, true] {
                for limit in [1, 4, 20] {
                    let mut list =
                        by(
                            Kind::Number,
                            direction,
                            |row| {
                                if row % 5 == 0 { model::null() } else { model::whole(row / 3) }
                            },
                        );
                    list.order.strong[0].nulls = nulls;
                    list.filters = Some(Filters { columns: vec![ALL; 2], either, ..Filters::default() });
                    walks_both_ways(&mut list, limit, &format!("{nulls:?} {direction:?} {either}"));
                    let filters = list.filters_asked();
                    assert!(filters.iter().all(Option::is_some), "{nulls:?} {direction:?} {either}: {filters:?}");
                }
            }
        }
    }
}

#[test]
fn nulls_that_come_last_and_can_not_be_asked_for_are_read_from_the_whole_list() {
    for nulls in [Nulls::First, Nulls::Last] {
        let mut list = by(Kind::Number, Ascending, |row| if row % 5 == 0 { model::null() } else { model::whole(row) });
        list.order.strong[0].nulls = nulls;
        walks_both_ways(&mut list, 7, &format!("{nulls:?}"));
        let pages = list.walk(start(), 7);
        let second = list.page(pages[1].next.clone().unwrap(), 7).unwrap();
        assert_eq!(second.level(), Level::Exact);
        let filtered = list.filters_asked().iter().all(Option::is_some);
        assert_eq!(filtered, nulls == Nulls::First && pages[1].edges.as_ref().is_some_and(|(_, last)| !is_null(last)));
    }
}

fn is_null(item: &Item) -> bool {
    matches!(item, Item::Keyed(anchor) if anchor.keys[0] == KeyValue::Null)
}

#[test]
fn filters_that_the_kind_of_a_key_cannot_support_are_not_requested() {
    let long = |row: i64| model::text(&format!("{}{:03}", "x".repeat(64), row));
    let letter = |row: i64| word(&["b", "a", "c"], row);
    let ranks = || Kind::Rank(["a", "b", "c"].map(String::from).to_vec());
    for (said, kind, direction, nulls, cell) in [
        ("long texts descending", Kind::Text, Descending, Nulls::None, long as fn(i64) -> Cell),
        ("texts of no kind", Kind::Inferred, Ascending, Nulls::None, letter),
        ("ranks", ranks(), Ascending, Nulls::None, letter),
        ("nulls may stand anywhere", Kind::Text, Ascending, Nulls::Unsaid, letter),
        ("booleans", Kind::Boolean, Ascending, Nulls::None, |row| {
            (Some(model::Value::Boolean(row % 2 == 0)), (row % 2 == 0).to_string())
        }),
    ] {
        let mut list = by(kind, direction, cell);
        list.order.strong[0].nulls = nulls;
        list.filters = Some(Filters { columns: vec![ALL; 2], either: true, ..Filters::default() });
        walks_both_ways(&mut list, 7, said);
        let pages = list.walk(start(), 7);
        for page in pages.iter().filter(|page| page.next.is_some()) {
            let _ = list.page(page.next.clone().unwrap(), 7).unwrap();
            assert!(list.filters_asked().iter().all(Option::is_none), "{said}");
        }
    }
}

#[test]
fn long_texts_ascending_are_filtered_by_their_beginning() {
    for comparisons in [INCLUSIVE, EXCLUSIVE] {
        let mut list = by(Kind::Text, Ascending, |row| {
            model::text(&format!("{}{}{:03}", ["", "a", "b"][usize::try_from(row % 3).unwrap()], "é".repeat(32), row))
        });
        list.flips = false;
        list.filters = Some(Filters { columns: vec![comparisons; 2], ..Filters::default() });
        walks_both_ways(&mut list, 7, "long texts");
        let page = list.page(start(), 7).unwrap();
        let page = list.page(page.next.clone().unwrap(), 7).unwrap();
        assert!(page.level() == Level::Exact && list.filters_asked().iter().all(Option::is_some));
    }
}

#[test]
fn exclusive_filters_are_moved_to_where_they_show_the_anchor() {
    for direction in [Ascending, Descending] {
        for (said, kind, cell, filtered) in [
            ("whole", Kind::Number, (|row| model::whole(row / 3)) as fn(i64) -> Cell, true),
            ("coarse", Kind::Number, |row| model::coarse(row * 3_331, 2, true), true),
            ("times", Kind::Datetime, |row| model::instant(row * 333, false), true),
            ("texts", Kind::Text, |row| word(&["a", "aé", "b"], row), direction == Ascending),
            ("uuids", Kind::Uuid, uuid, false),
        ] {
            let mut list = by(kind, direction, cell);
            list.filters = Some(Filters { columns: vec![EXCLUSIVE; 2], ..Filters::default() });
            walks_both_ways(&mut list, 7, &format!("{said} {direction:?}"));
            let page = list.page(start(), 7).unwrap();
            let page = list.page(page.next.clone().unwrap(), 7).unwrap();
            assert_eq!(page.level(), Level::Exact);
            assert_eq!(list.filters_asked()[0].is_some(), filtered, "{said} {direction:?}");
        }
    }
}

#[test]
fn exclusive_or_equal_is_inclusive() {
    let mut list = by(Kind::Uuid, Ascending, uuid);
    let can = filter_of_equal(EXCLUSIVE);
    list.filters = Some(Filters { columns: vec![can; 2], either: true, ..Filters::default() });
    walks_both_ways(&mut list, 7, "or");
    let page = list.page(start(), 7).unwrap();
    let _ = list.page(page.next.clone().unwrap(), 7).unwrap();
    let Some(Filter::Or(alternatives)) = &list.filters_asked()[0] else { panic!("{:?}", list.asked) };
    assert!(matches!(alternatives[1], Filter::Compare { comparison: Comparison::Equal, .. }));
}

fn filter_of_equal(can: Comparisons) -> Comparisons {
    Comparisons { equal: true, ..can }
}

#[test]
fn an_exclusive_filter_by_uuids_is_trusted_and_its_pages_are_checked() {
    let mut list = List::new(Vec::new(), (0..50).map(|_| Vec::new()));
    for (number, row) in list.rows.iter_mut().enumerate() {
        row.cells = vec![uuid(i64::try_from(number).unwrap())];
    }
    list.order.id.kind = Kind::Uuid;
    list.filters = Some(Filters { columns: vec![EXCLUSIVE], ..Filters::default() });
    walks_both_ways(&mut list, 7, "uuids");
    let page = list.page(start(), 7).unwrap();
    let page = list.page(page.next.clone().unwrap(), 7).unwrap();
    assert_eq!((page.level(), page.notes.requests), (Level::Checked, 1));
}

#[test]
fn filters_that_are_ignored_cost_requests_and_no_items() {
    for direction in [Ascending, Descending] {
        for family in [Family::Offset, Family::Page] {
            let mut list = by(Kind::Number, direction, |row| model::whole(row * 10));
            (list.ignores, list.paging.family) = (true, family);
            walks_both_ways(&mut list, 7, &format!("{direction:?} {family:?}"));
        }
    }
}

#[test]
fn the_nearest_place_of_a_refused_last_page_is_the_present_end() {
    let mut list = by(Kind::Number, Ascending, |_| model::whole(7));
    list.rows.truncate(8);
    (list.cap, list.paging.sizes) = (4, Sizes::Fixed(4));
    let hint = Hint { total: Some(20), ..Hint::default() };
    let refused = list.page(Target { position: Position::End, hint }, 1).map(|page| ids(&page));
    assert_eq!(refused, Err(Refusal::TieRun { nearest: Offset(7) }));
}

#[test]
fn an_ignored_filter_for_nulls_is_not_evidence_of_a_next_page() {
    for (ignores, nulls, more) in
        [(true, 0, false), (true, 1, true), (false, 0, false), (false, 1, true), (false, 9, true)]
    {
        // The list begins with a run that is longer than any answer.
        let mut list = by(Kind::Number, Ascending, |row| match row {
            20.. => model::null(),
            _ => model::whole(row.max(9)),
        });
        list.rows.truncate(20 + nulls);
        list.order.strong[0].nulls = Nulls::Last;
        list.filters.as_mut().unwrap().columns[0].nulls = true;
        (list.cap, list.paging.sizes) = (8, Sizes::Free { least: 1, most: Some(8) });
        list.ignores = ignores;
        let row = &list.rows[18];
        let anchor = Anchor { keys: vec![KeyValue::Number("18".into())], id: KeyValue::Number(row.id().into()) };
        let last = list.rows[19].id().to_owned();
        let hint = Hint { offset: Offset(19), run: 1, within: 1, ..Hint::default() };
        let page = list.page(Target { position: Position::After(anchor), hint }, 1).unwrap();
        assert_eq!((ids(&page), page.next.is_some()), (vec![last], more), "{ignores} {nulls}: {:?}", list.asked);
    }
}

#[test]
fn a_filter_for_nulls_that_is_ignored_adds_nothing() {
    let mut list = by(Kind::Number, Descending, |row| if row < 3 { model::null() } else { model::whole(row) });
    list.order.strong[0].nulls = Nulls::Smallest;
    list.filters = Some(Filters { columns: vec![ALL; 2], ..Filters::default() });
    list.ignores = true;
    walks_both_ways(&mut list, 7, "ignored");
}

#[test]
fn a_filtered_list_is_read_by_page_number() {
    for sizes in [Sizes::Free { least: 1, most: Some(40) }, Sizes::Listed(vec![10, 25, 50]), Sizes::Fixed(10)] {
        for direction in [Ascending, Descending] {
            let run = if sizes == Sizes::Fixed(10) { 1 } else { 4 };
            let mut list = by(Kind::Number, direction, |row| model::whole(row / run));
            (list.paging.family, list.paging.sizes) = (Family::Page, sizes.clone());
            list.order.ties = if run == 1 { Ties::Ordered } else { Ties::Unordered };
            walks_both_ways(&mut list, 7, &format!("{sizes:?} {direction:?}"));
        }
    }
}

/// Returns the filters of an upstream that returns runs separately.
fn runs_by_id(columns: usize) -> Option<Filters> {
    Some(Filters { columns: vec![ALL; columns], either: false, both: true, sorts_by_id: true })
}

/// Row: F41
#[test]
fn runs_longer_than_an_answer_are_read_by_their_ids() {
    for direction in [Ascending, Descending] {
        for ids in [Ascending, Descending] {
            for (said, cell) in [
                ("from the start", (|row| model::whole(row / 70)) as fn(i64) -> Cell),
                ("in the middle", |row| model::whole(if row % 2 == 0 { 40 } else { row })),
            ] {
                for limit in [3, 10] {
                    let keys = vec![model::key("rank", Kind::Number, direction)];
                    let mut list = List::new(keys, (0..160).map(|row| vec![cell(row)]));
                    list.order.id.direction = ids;
                    list.paging.sizes = Sizes::Free { least: 1, most: Some(20) };
                    (list.cap, list.filters) = (20, runs_by_id(2));
                    walks_both_ways(&mut list, limit, &format!("{said} {direction:?} {ids:?}"));
                }
            }
        }
    }
}

#[test]
fn a_run_once_known_to_be_long_costs_one_request_a_page() {
    let mut list =
        List::new(vec![model::key("rank", Kind::Number, Ascending)], (0..200).map(|_| vec![model::whole(1)]));
    list.paging.sizes = Sizes::Free { least: 1, most: Some(20) };
    (list.cap, list.filters) = (20, runs_by_id(2));
    let pages = list.walk(start(), 5);
    assert!(
        pages[2..pages.len() - 1].iter().all(|page| page.notes.requests == 1),
        "{:?}",
        pages.iter().map(|p| p.notes.requests).collect::<Vec<_>>()
    );
    assert!(pages[2..pages.len() - 1].iter().all(|page| page.level() == Level::Exact));
}

#[test]
fn long_runs_of_composite_orders_are_read_with_their_nulls() {
    for nulls in [Nulls::First, Nulls::Last] {
        for (first, second) in [(Ascending, Descending), (Descending, Ascending)] {
            let mut keys = vec![model::key("a", Kind::Number, first), model::key("b", Kind::Text, second)];
            keys[1].nulls = nulls;
            let cells = |row: i64| {
                let second = if row % 3 == 0 { model::null() } else { word(&["u", "v"], row) };
                vec![model::whole(row % 2), second]
            };
            let mut list = List::new(keys, (0..180).map(cells));
            list.paging.sizes = Sizes::Free { least: 1, most: Some(20) };
            (list.cap, list.filters) = (20, runs_by_id(3));
            walks_both_ways(&mut list, 9, &format!("{nulls:?} {first:?}"));
        }
    }
}

/// Returns whether a page is refused because of its run. A run shuffled with every request looks like one that moves.
fn is_refused_for_its_run(page: &Result<Page, Refusal>) -> bool {
    matches!(page, Err(Refusal::TieRun { .. } | Refusal::PositionLost { .. }))
}

fn asks_for_runs(list: &List) -> bool {
    list.asked.iter().any(|fetch| matches!(fetch, Fetch::Slice(_, listing) if listing.by_id))
}

#[test]
fn a_long_run_is_refused_where_the_endpoint_can_not_give_it() {
    let mut list =
        List::new(vec![model::key("rank", Kind::Number, Ascending)], (0..200).map(|_| vec![model::whole(1)]));
    list.paging.sizes = Sizes::Free { least: 1, most: Some(20) };
    list.cap = 20;
    let refused = list.page(start(), 5);
    assert!(is_refused_for_its_run(&refused) && !asks_for_runs(&list), "{refused:?} {:?}", list.asked);
    // A value that may be stored more finely than it is shown is never requested by equality.
    let mut list = List::new(
        vec![model::key("rank", Kind::Number, Ascending)],
        (0..200).map(|row| vec![model::coarse(row, 2, false)]),
    );
    list.paging.sizes = Sizes::Free { least: 1, most: Some(20) };
    (list.cap, list.filters) = (20, runs_by_id(2));
    let refused = list.page(start(), 5);
    assert!(is_refused_for_its_run(&refused) && !asks_for_runs(&list), "{refused:?} {:?}", list.asked);
}

#[test]
fn deletes_between_pages_neither_skip_nor_repeat() {
    for direction in [Ascending, Descending] {
        for said in ["the anchor", "its run", "all that was served", "all up to there", "everything after"] {
            let mut list = by(Kind::Number, direction, |row| model::whole(row / 3));
            let expected = list.expected();
            let mut served = Vec::new();
            let mut target = Some(start());
            let mut pages = 0;
            while let Some(at) = target {
                let page = list.page(at, 7).unwrap_or_else(|refusal| panic!("{said}: {refusal:?} {:?}", list.asked));
                served.extend(ids(&page));
                let last = served.last().cloned().unwrap_or_default();
                let run = list.rows.iter().find(|row| row.id() == last).map(|row| row.cells[0].clone());
                list.rows.retain(|row| match said {
                    "the anchor" => row.id() != last,
                    "its run" => Some(&row.cells[0]) != run.as_ref() || !served.contains(&row.id().to_owned()),
                    "all that was served" => !served.contains(&row.id().to_owned()),
                    "all up to there" => {
                        expected.iter().position(|id| id == row.id()) > expected.iter().position(|id| *id == last)
                    }
                    _ => pages < 3 || served.contains(&row.id().to_owned()),
                });
                target = page.next.clone();
                pages += 1;
                assert!(pages < 20, "{said}");
            }
            if said == "everything after" {
                assert_eq!(served, expected[..28], "{said}");
            } else {
                assert_eq!(served, expected, "{said} {direction:?}");
            }
        }
    }
}

#[test]
fn an_empty_filtered_answer_does_not_end_a_list() {
    // The filter compares another value than the one that the list is sorted by, so it lets no item through.
    let mut list = by(Kind::Number, Ascending, model::whole);
    let first = list.page(start(), 7).unwrap();
    for row in &mut list.rows {
        row.cells[0].0 = Some(model::Value::Decimal(format!("-1{:03}", 999 - row.id().parse::<i64>().unwrap() % 500)));
    }
    list.rows.sort_by_key(|row| row.cells[0].1.parse::<i64>().unwrap());
    for (number, row) in list.rows.iter_mut().enumerate() {
        row.cells[0].0 = Some(model::Value::Decimal((i64::try_from(number).unwrap() - 1_000).to_string()));
    }
    let page = list.page(first.next.clone().unwrap(), 7).unwrap();
    assert_eq!(ids(&page), list.expected()[7..14]);
    assert!(list.filters_asked().last().unwrap().is_none());
}

#[test]
fn the_last_page_is_the_first_of_the_flipped_list() {
    for totals in [true, false] {
        let mut list = by(Kind::Number, Ascending, |row| model::whole(row / 3));
        (list.totals, list.filters) = (totals, None);
        let first = list.page(start(), 7).unwrap();
        assert_eq!(first.last.as_ref().map(|last| last.position.clone()), Some(Position::End));
        let last = list.page(first.last.clone().unwrap(), 7).unwrap();
        assert_eq!((ids(&last), last.notes.requests, last.level()), (list.expected()[53..].to_vec(), 1, Level::Exact));
        assert!(last.next.is_none());
        let hint = last.previous.clone().unwrap().hint;
        assert_eq!((hint.offset, hint.from_end), if totals { (Offset(53), false) } else { (Offset(7), true) });
        assert_eq!(last.total.map(|total| total.value), totals.then_some(60));
        // On a walk back, hints count from the end, so all pages but the one at the start take one request.
        walks_both_ways(&mut list, 7, "from the end");
        for page in list.walk(end(), 7) {
            assert!(page.notes.requests <= 1 || page.previous.is_none(), "{:?}", page.notes.requests);
        }
    }
}

#[test]
fn a_page_without_its_filter_is_aimed_at_by_its_hint() {
    let mut list = by(Kind::Number, Ascending, |row| model::whole(row / 3));
    let mut target = start();
    for number in 1..6 {
        let page = list.page(target, 7).unwrap();
        target = page.next.clone().unwrap();
        let hint = target.hint;
        assert_eq!((hint.offset, hint.from_end, hint.total), (Offset(7 * number), false, Some(60)));
        let previous = page.previous.clone().map(|previous| previous.hint.offset);
        assert_eq!(previous, (number > 1).then_some(Offset(7 * number - 7)));
        assert_eq!(page.offset, 7 * number - 7);
    }
    list.filters = None;
    let page = list.page(target, 7).unwrap();
    assert_eq!((page.notes.requests, page.notes.drift), (1, None));
}

#[test]
fn a_page_that_a_flipped_list_can_not_show_is_served_flagged_from_the_other_end() {
    let mut list =
        List::new(vec![model::key("rank", Kind::Number, Ascending)], (0..200).map(|_| vec![model::whole(1)]));
    list.paging.sizes = Sizes::Free { least: 1, most: Some(20) };
    list.cap = 20;
    let mut request =
        list.request(Target { position: Position::End, hint: Hint { total: Some(200), ..Hint::default() } }, 5);
    request.terms.unproven = WhenUnproven::Flag;
    let page = list.resolve(request).unwrap();
    assert!(page.unproven.is_some() && page.items.len() == 5 && page.level() == Level::Positional);
}

#[test]
fn fractions_between_two_whole_keys_are_not_skipped() {
    let cell = |row: i64| {
        if row == 30 { model::coarse(3_500_000, 1, false) } else { model::whole(if row < 30 { 3 } else { 4 }) }
    };
    let mut list = List::new(vec![model::key("rank", Kind::Number, Ascending)], (0..32).map(|row| vec![cell(row)]));
    list.paging.sizes = Sizes::Free { least: 1, most: Some(20) };
    let can = filter_of_equal(INCLUSIVE);
    (list.cap, list.filters) = (20, Some(Filters { columns: vec![can; 2], ..runs_by_id(2).unwrap() }));
    let (mut target, mut served) = (Some(start()), Vec::new());
    while let Some(at) = target {
        // A run that is longer than an answer may be refused, but no later item may be left out.
        let Ok(page) = list.page(at, 5) else { return };
        served.extend(ids(&page));
        target = page.next.clone();
    }
    assert_eq!(served, list.expected());
}
