//! Walks over small lists, most of which don't change meanwhile; each test covers a fault that was found. The simulator
//! tests random lists that change.

mod apart;
mod chance;
mod contradictions;
mod ends;
mod falling;
mod fixed;
mod flipped;
mod hidden;
mod large_pages;
mod rest;
mod runs;
mod seams;
mod search;

use std::sync::Arc;

use super::{
    answer::{Answer, Standing, Total},
    fetch::Fetch,
    key::KeyValue,
    mark::{Mark, Marker},
    model::mixed,
    order::{Direction, Grain, Kind, Nulls, Order, SortKey, Ties},
    page::{Level, Page, Unproven},
    paging::{EndEvidence, Family, Paging, Sizes, UpstreamProfile},
    position::{Anchor, Hint, Item, Position, Target},
    refusal::Refusal,
    resolver::{Limit, PageRequest, ShortPages, Step, Verify, WhenUnproven, resolve},
    unsorted::Cause,
    window::{self, Offset, Slice},
};
use crate::json::Span;

fn key(name: &str) -> SortKey {
    SortKey {
        name: name.into(),
        direction: Direction::Ascending,
        kind: Kind::Inferred,
        nulls: Nulls::None,
        grain: None,
    }
}

/// A list of rows, each a raw strong key and a raw id, with the terms of its page requests.
struct List {
    rows: Vec<(String, String)>,
    paging: Paging,
    /// The largest number of rows of an answer.
    cap: u32,
    /// The total that the answers state; `None` if they state no total.
    total: Option<u64>,
    unproven: WhenUnproven,
    verify: Verify,
    short_pages: ShortPages,
    /// The kind of the strong key.
    kind: Kind,
    /// The declared treatment of ties.
    ties: Ties,
    /// True if the list is sorted by its ids alone.
    by_id: bool,
    profile: UpstreamProfile,
    /// The least honoured size of each request, whatever its target's hint says.
    honoured: u32,
    /// The first place that the upstream refuses, and the standing of requests there that only show whether more items
    /// follow. The others fail the page.
    refused: Option<(u64, Standing)>,
}

impl List {
    fn new(family: Family, rows: impl Iterator<Item = (String, String)>) -> Self {
        let sizes = Sizes::Free { least: 1, most: None };
        let paging = Paging::new(family, sizes);
        Self {
            rows: rows.collect(),
            paging,
            cap: u32::MAX,
            total: None,
            unproven: WhenUnproven::Refuse,
            verify: Verify::Always,
            short_pages: ShortPages::Refuse,
            kind: Kind::Inferred,
            ties: Ties::Unordered,
            by_id: false,
            profile: UpstreamProfile::default(),
            honoured: 0,
            refused: None,
        }
    }

    fn answer(&self, slice: Slice) -> Answer {
        let size = slice.size().0.min(self.cap);
        let begins = match slice {
            Slice::Offset { from, .. } => from.0,
            Slice::Page { number, .. } => number.0.saturating_mul(u64::from(size)),
        };
        let begins = usize::try_from(begins).unwrap_or(usize::MAX);
        let (mut body, mut items, mut keys) = (Vec::new(), Vec::new(), Vec::new());
        let mut push = |text: &str| {
            let start = u32::try_from(body.len()).unwrap();
            body.extend_from_slice(text.as_bytes());
            Span { start, end: u32::try_from(body.len()).unwrap() }
        };
        for (strong, id) in self.rows.iter().skip(begins).take(size as usize) {
            let (strong, id) = (push(strong), push(id));
            items.push(Span { start: strong.start, end: id.end });
            keys.extend(Some(strong).filter(|_| !self.by_id).into_iter().chain([id]));
        }
        let total = self.total.map(|value| Total { value, exact: true });
        let standing = Standing::Listed;
        Answer { body, items, keys, standing, total, ..Answer::default() }
    }

    fn page(&mut self, target: Target, limit: u32) -> Result<Box<Page>, Refusal> {
        self.page_of(target, limit, Self::answer)
    }

    /// Reads a page of the list, with answers that `answer` makes.
    fn page_of(
        &mut self,
        mut target: Target,
        limit: u32,
        mut answer: impl FnMut(&Self, Slice) -> Answer,
    ) -> Result<Box<Page>, Refusal> {
        target.hint.honoured = target.hint.honoured.max(self.honoured);
        let strong = SortKey { kind: self.kind.clone(), ..key("rank") };
        let strong = if self.by_id { Vec::new() } else { vec![strong] };
        let order = Arc::new(Order { strong, id: key("id"), ties: self.ties, declared: true });
        let paging = Arc::new(self.paging.clone());
        let marker = Marker::new(|bytes| Mark::of(bytes.iter().fold(7, |sum, byte| mixed(sum ^ u64::from(*byte)))));
        let request = PageRequest::new(target, Limit::at_least_one(limit), order, paging, marker)
            .profile(self.profile)
            .unproven(self.unproven)
            .verify(self.verify)
            .short_pages(self.short_pages);
        let mut step = resolve(request);
        loop {
            step = match step {
                Step::Fetch(fetches, pending) => {
                    let mut answers = Vec::new();
                    for fetch in fetches {
                        let Fetch::Slice(slice, listing) = fetch else { panic!("{fetch:?} of a list by offset") };
                        let begins = slice.begins().0;
                        answers.push(match self.refused.clone().filter(|(from, _)| begins > 0 && begins >= *from) {
                            None => answer(self, slice),
                            Some((_, standing)) if listing.is_probe => Answer::without_items(standing),
                            Some(_) => return Err(Refusal::NoList),
                        });
                    }
                    pending.resume(answers)
                }
                Step::Serve(page) => {
                    self.profile = page.notes.profile;
                    return Ok(page);
                }
                Step::Refuse(refusal) => return Err(refusal),
            }
        }
    }

    /// Walks from the start to the end. Returns all items and the pages.
    fn walk(&mut self, limit: u32) -> Result<(Vec<String>, Vec<Page>), Refusal> {
        self.walk_of(limit, Self::answer)
    }

    fn walk_of(
        &mut self,
        limit: u32,
        mut answer: impl FnMut(&Self, Slice) -> Answer,
    ) -> Result<(Vec<String>, Vec<Page>), Refusal> {
        let (mut items, mut pages): (Vec<String>, Vec<Page>) = (Vec::new(), Vec::new());
        let mut target = Some(start());
        while let Some(at) = target {
            let page = self.page_of(at, limit, &mut answer)?;
            items.extend((0..page.items.len()).map(|at| String::from_utf8(page.item(at).to_vec()).unwrap()));
            target = page.next.clone();
            pages.push(*page);
            assert!(pages.len() <= self.rows.len() + 2, "the walk has no end");
        }
        Ok((items, pages))
    }

    fn all(&self) -> Vec<String> {
        self.rows.iter().map(|(strong, id)| format!("{strong}{id}")).collect()
    }
}

/// Returns those rows of an answer that pass a test, by their places in a list whose ids are numbers in a row.
fn only(list: &List, slice: Slice, mut is_shown: impl FnMut(u64) -> bool) -> Answer {
    let answer = list.answer(slice);
    let first = list.rows.first().map_or(0, |row| row.1.parse::<u64>().unwrap());
    let place = |item: usize| std::str::from_utf8(answer.id(item)).unwrap().parse::<u64>().unwrap() - first;
    let kept: Vec<usize> = (0..answer.items.len()).filter(|item| is_shown(place(*item))).collect();
    let keys = kept.iter().flat_map(|item| [answer.keys[item * 2], answer.keys[item * 2 + 1]]).collect();
    let items = kept.iter().map(|item| answer.items[*item]).collect();
    Answer { items, keys, ..answer }
}

fn start() -> Target {
    Target { position: Position::Start, hint: Hint::default() }
}

#[test]
fn a_flagged_walk_over_items_without_ids_gives_each_once() {
    for id in ["", "null", "{\"$oid\":1}"] {
        for family in [Family::Offset, Family::Page] {
            let mut list = List::new(family, (100..300).map(|rank| (rank.to_string(), id.to_owned())));
            list.unproven = WhenUnproven::Flag;
            let (items, pages) = list.walk(20).unwrap();
            assert_eq!(items, list.all(), "{id:?} {family:?}");
            assert!(pages.iter().all(|page| page.unproven == Some(Unproven::Order)));
            let back = list.page(pages[9].previous.clone().unwrap(), 20).unwrap();
            assert_eq!(back.item(0), list.all()[160].as_bytes());
        }
    }
}

#[test]
fn an_item_without_an_id_loses_no_other_of_a_flagged_walk() {
    let ids = (100..300).map(|id| (id.to_string(), if id == 139 { "null".to_owned() } else { id.to_string() }));
    let mut list = List::new(Family::Offset, ids);
    list.unproven = WhenUnproven::Flag;
    assert_eq!(list.walk(20).unwrap().0, list.all());
}

#[test]
fn tie_runs_that_the_first_page_can_close_are_closed_on_every_page() {
    for length in [1, 60, 99, 100, 101, 150, 400] {
        let rows = (0..1_200).map(|id| ((id / length).to_string(), (1_000_000 + id).to_string()));
        let mut list = List::new(Family::Offset, rows);
        assert_eq!(list.walk(20).unwrap().0.len(), 1_200, "runs of {length}");
    }
}

/// Row: F41
#[test]
fn a_tie_run_longer_than_any_answer_is_refused_as_a_tie_run() {
    let mut list = List::new(Family::Offset, (0..300).map(|id| ("1".to_owned(), (1_000 + id).to_string())));
    list.cap = 50;
    assert!(matches!(list.walk(20), Err(Refusal::TieRun { .. })));
}

#[test]
fn a_place_after_a_deleted_row_is_found_again_by_page_number() {
    for limit in [5, 7, 20] {
        for pages in 1..8 {
            let mut list = List::new(Family::Page, (1_000..1_400).map(|rank| (rank.to_string(), rank.to_string())));
            let mut target = start();
            for _ in 0..pages {
                target = list.page(target, limit).unwrap().next.clone().unwrap();
            }
            list.rows.remove(0);
            let page = list.page(target, limit).unwrap();
            assert_eq!(page.item(0), list.all()[(limit * pages) as usize - 1].as_bytes(), "{limit} {pages}");
            assert_eq!(page.notes.drift, Some(-1));
        }
    }
}

/// A list at rest is read in small windows, and one that has moved in wide ones.
#[test]
fn windows_are_as_wide_as_the_list_moves() {
    let rows = |from: u32| (from..3_000).map(|rank| (rank.to_string(), rank.to_string()));
    let list = List::new(Family::Offset, rows(2_000));
    let mut list = List { ties: Ties::Ordered, ..list };
    let mut target = start();
    for (from, sizes) in [
        (2_000, &[26][..]),
        (2_000, &[26]),
        // One item is inserted at the front.
        (1_999, &[26]),
        // Three more are: the small window shows the place, but not the whole page.
        (1_996, &[26, 22]),
        (1_991, &[42]),
        (1_991, &[42]),
        (1_991, &[26]),
    ] {
        list.rows = rows(from).collect();
        let mut asked = Vec::new();
        let page = list.page_of(target.clone(), 20, |list, slice| {
            asked.push(slice.size().0);
            list.answer(slice)
        });
        assert_eq!(asked, sizes, "{from}");
        target = page.unwrap().next.clone().unwrap();
    }
}

#[test]
fn removals_before_a_place_are_found_by_the_difference_of_totals() {
    for removed in [1, 30, 250, 349] {
        let mut list = List::new(Family::Offset, (1_000..1_500).map(|rank| (rank.to_string(), rank.to_string())));
        list.total = Some(500);
        let mut target = start();
        for _ in 0..7 {
            target = list.page(target, 50).unwrap().next.clone().unwrap();
        }
        list.rows.drain(..removed);
        list.total = Some(500 - removed as u64);
        let page = list.page(target, 50).unwrap();
        assert_eq!((page.item(0), page.notes.drift), (b"13501350".as_slice(), Some(-i64::try_from(removed).unwrap())));
        assert!(page.notes.requests <= 2, "{}", page.notes.requests);
    }
}

#[test]
fn a_total_below_the_number_of_items_is_not_reported() {
    for (told, expected) in [(50, Some(50)), (10, None), (0, None)] {
        let mut list = List::new(Family::Offset, (1_000..1_050).map(|rank| (rank.to_string(), rank.to_string())));
        list.total = Some(told);
        let page = list.page(start(), 60).unwrap();
        assert_eq!(page.total.map(|total| total.value), expected);
    }
}

/// Returns a list of sixty rows, with the strong keys that `key` makes for the numbers of the rows.
fn keyed(kind: Kind, key: impl Fn(usize) -> String) -> List {
    let list = List::new(Family::Offset, (0..60).map(|row| (key(row), (100 + row).to_string())));
    List { kind, ..list }
}

#[test]
fn long_keys_that_are_not_text_are_not_truncated() {
    for ties in [Ties::Ordered, Ties::Unordered] {
        for mut list in [
            keyed(Kind::NumberInString, |row| format!("\"1{row:070}\"")),
            keyed(Kind::NumberInString, |row| format!("\"{}.{}\"", row / 3, "3".repeat(80))),
            keyed(Kind::Uuid, |row| format!("\"{:064}{row:03}\"", row / 4)),
            keyed(Kind::Datetime, |row| format!("\"2026-01-{:02}T10:00:00.{}-09:00\"", 1 + row / 3, "1".repeat(60))),
        ] {
            list.ties = ties;
            assert_eq!(list.walk(5).unwrap().0, list.all(), "{:?}", list.rows[0]);
        }
    }
}

#[test]
fn long_texts_with_equal_beginnings_are_one_tie_run_even_in_ordered_ties() {
    let long = "x".repeat(64);
    let rows =
        [("a", 0), ("b", 7), (&format!("{long}a"), 5), (&format!("{long}b"), 9), (&format!("{long}c"), 2), ("y", 1)];
    let rows = rows.map(|(text, id)| (format!("\"{text}\""), id.to_string()));
    let mut list = List::new(Family::Offset, rows.into_iter().chain([("\"z\"".to_owned(), "3".to_owned())]));
    (list.kind, list.ties, list.cap) = (Kind::Text, Ties::Ordered, 3);
    let (mut target, mut seen) = (Some(start()), Vec::new());
    for number in 0..10 {
        let Some(at) = target else { break };
        let Ok(page) = list.page(at, 1) else { return };
        seen.push(String::from_utf8(page.item(0).to_vec()).unwrap());
        if number == 2 {
            list.rows.drain(..2);
        }
        target = page.next.clone();
    }
    for (text, id) in &list.rows {
        assert!(seen.contains(&format!("{text}{id}")), "{id} was there throughout");
    }
}

/// Row: F39
#[test]
fn a_single_item_whose_key_is_not_of_the_declared_kind_is_refused() {
    let alone = |kind: Kind, key: &str| {
        let rows = [(key.to_owned(), "7".to_owned())];
        let mut list = List { kind, total: Some(1), ..List::new(Family::Offset, rows.into_iter()) };
        list.paging.end = EndEvidence::ShortPage;
        list.page(start(), 20).map(|page| page.level())
    };
    for (kind, of_it, other) in [
        (Kind::Number, "17", "\"n/a\""),
        (Kind::NumberInString, "\"17\"", "\"n/a\""),
        (Kind::Text, "\"n/a\"", "17"),
        (Kind::Datetime, "\"2028-02-28\"", "\"n/a\""),
        (Kind::Boolean, "true", "7"),
        (Kind::Uuid, "\"00000000-ab00-4cde-8f01-000000000000\"", "17"),
        (Kind::Rank(vec!["new".into()]), "\"new\"", "\"n/a\""),
        (Kind::Inferred, "\"n/a\"", "[1]"),
        (Kind::Inferred, "17", "null"),
    ] {
        assert_eq!(alone(kind.clone(), of_it), Ok(Level::Exact), "{kind:?}");
        assert!(matches!(alone(kind.clone(), other), Err(Refusal::Unsorted(_))), "{kind:?}: {other}");
    }
}

#[test]
fn a_page_of_a_smaller_size_is_not_served_as_the_requested_offset() {
    for total in [None, Some(123)] {
        for offset in [26, 60, 120, 122] {
            let rows = (1_000..1_123).map(|rank| (rank.to_string(), rank.to_string()));
            let mut list = List { cap: 10, total, ..List::new(Family::Page, rows) };
            let echoing = |list: &List, slice: Slice| {
                let size = slice.size().0.min(list.cap);
                Answer { size: Some(size), ..list.answer(slice) }
            };
            let at = Target { position: Position::At(Offset(offset)), hint: Hint::default() };
            let page = list.page_of(at, 1, echoing).unwrap();
            assert_eq!(page.items.len(), 1, "nothing at {offset}, {total:?}");
            assert_eq!(page.item(0), list.all()[usize::try_from(offset).unwrap()].as_bytes(), "{total:?}");
        }
    }
}

#[test]
fn a_size_that_answers_say_they_used_is_not_doubted_for_a_run_of_ties() {
    let rows = (1_000..1_010).map(|rank| (rank.to_string(), rank.to_string()));
    let mut list = List { cap: 2, unproven: WhenUnproven::Flag, ..List::new(Family::Page, rows) };
    list.paging.sizes = Sizes::Free { least: 2, most: Some(3) };
    let echoing = |list: &List, slice: Slice| {
        let size = slice.size().0.min(list.cap);
        Answer { size: Some(size), ..list.answer(slice) }
    };
    let at = Target { position: Position::At(Offset(9)), hint: Hint::default() };
    let page = list.page_of(at, 2, echoing).unwrap();
    assert_eq!(page.items.len(), 1);
    assert_eq!(page.item(0), b"10091009");
}

#[test]
fn a_seam_that_is_past_the_new_end_is_found_before_the_end() {
    for left in 1..6 {
        let mut list = List::new(Family::Offset, (1_000..1_006).map(|rank| (rank.to_string(), rank.to_string())));
        (list.cap, list.paging.sizes) = (2, Sizes::Fixed(2));
        list.paging.end = EndEvidence::ShortPage;
        let first = list.page(start(), 2).unwrap();
        let second = list.page(first.next.clone().unwrap(), 2).unwrap();
        list.rows.drain(..6 - left);
        let page = list.page(second.next.clone().unwrap(), 2).unwrap();
        let expected = if left > 1 { "10041004" } else { "10051005" };
        assert_eq!(page.item(0), expected.as_bytes(), "{left} left");
    }
}

#[test]
fn a_refusal_names_a_near_place_in_the_list() {
    for hinted in [21, 40, 105] {
        let rows = (0..14).map(|row| ((row / 4).to_string(), (100 + row).to_string()));
        let mut list = List { cap: 2, ..List::new(Family::Page, rows) };
        (list.honoured, list.profile.cap) = (2, Some(2));
        let anchor = Anchor { keys: vec![KeyValue::Number("2".into())], id: KeyValue::Number("109".into()) };
        let hint = Hint { offset: Offset(hinted), run: 2, ..Hint::default() };
        match list.page(Target { position: Position::After(anchor), hint }, 1) {
            Err(Refusal::TieRun { nearest } | Refusal::PositionLost { nearest }) => {
                assert!(nearest.0 < 14, "{nearest:?}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_answer_with_more_items_than_requested_honours_no_size() {
    let mut list = List::new(Family::Offset, (1_000..1_100).map(|rank| (rank.to_string(), rank.to_string())));
    let sticky = |list: &List, slice: Slice| {
        let size = window::PageSize(if slice.begins().0 == 0 { 12 } else { slice.size().0.min(10) });
        list.answer(Slice::Offset { from: slice.begins(), size })
    };
    if let Ok((items, _)) = list.walk_of(9, sticky) {
        assert_eq!(items, list.all());
    }
}

#[test]
fn a_wrong_offset_in_an_answer_neither_skips_items_nor_ends_a_walk() {
    for lie in [1, 10] {
        let mut list = List::new(Family::Offset, (100..200).map(|rank| (rank.to_string(), rank.to_string())));
        list.cap = 20;
        let echo = |list: &List, slice: Slice| {
            let begins = slice.begins().0;
            Answer { offset: Some(if begins == 0 { 0 } else { begins * lie + 1 }), ..list.answer(slice) }
        };
        if let Ok((items, _)) = list.walk_of(30, echo) {
            assert_eq!(items, list.all(), "{lie}");
        }
    }
}

#[test]
fn a_short_page_is_never_served_as_the_last() {
    let mut list = List::new(Family::Offset, (100..200).map(|rank| (rank.to_string(), rank.to_string())));
    (list.cap, list.short_pages) = (10, ShortPages::Serve);
    list.honoured = 10;
    let stale = Hint { total: Some(10), ..Hint::default() };
    if let Ok(page) = list.page(Target { position: Position::End, hint: stale }, 5) {
        assert_eq!(page.item(4), list.all()[99].as_bytes());
    }
}

/// Row: A10
#[test]
fn hostile_places_neither_overflow_nor_loop() {
    for family in [Family::Offset, Family::Page] {
        for total in [None, Some(50), Some(u64::MAX)] {
            let mut list = List::new(family, (0..50).map(|rank| ((1_000 + rank).to_string(), rank.to_string())));
            list.total = total;
            let real = list.page(start(), 5).unwrap();
            let Some((Item::Keyed(first), Item::Keyed(last))) = real.edges.clone() else { panic!("{:?}", real.edges) };
            for offset in [0, 1, u64::MAX / 2, u64::MAX - 1, u64::MAX] {
                for run in [0, u32::MAX] {
                    let hint = Hint { offset: Offset(offset), run, total: Some(offset), ..Hint::default() };
                    for position in [
                        Position::After(last.clone()),
                        Position::Before(first.clone()),
                        Position::End,
                        Position::At(Offset(offset)),
                    ] {
                        for limit in [1, 100, u32::MAX] {
                            let _ = list.page(Target { position: position.clone(), hint }, limit);
                        }
                    }
                }
            }
        }
    }
}

/// Walks back from the end in pages of one item, only by offsets. Returns the items in the sequence of reading, the
/// last item of the list first. Asserts that each page is at a smaller offset than the page before it.
fn walk_back_by_offset(
    list: &mut List,
    mut answer: impl FnMut(&List, Slice) -> Answer,
) -> Result<Vec<String>, Refusal> {
    list.verify = Verify::Never;
    let (mut items, mut before) = (Vec::new(), u64::MAX);
    let mut target = Some(Target { position: Position::End, hint: Hint::default() });
    while let Some(at) = target {
        let page = list.page_of(at, 1, &mut answer)?;
        items.extend((0..page.items.len()).map(|item| String::from_utf8(page.item(item).to_vec()).unwrap()));
        target = page.previous.clone();
        if let Some(Target { position, .. }) = &target {
            let Position::At(offset) = position else { panic!("back at {position:?} after {items:?}") };
            assert!(offset.0 < before, "{offset:?} after {before}");
            before = offset.0;
        }
    }
    items.reverse();
    Ok(items)
}

#[test]
fn a_walk_back_by_offsets_does_not_begin_anew_where_a_count_says_that_there_is_more() {
    let numbers = || (100..214).map(|rank| (rank.to_string(), rank.to_string()));
    let mut list = List::new(Family::Offset, numbers());
    list.total = Some(114);
    assert_eq!(walk_back_by_offset(&mut list, List::answer).unwrap(), list.all());
    // A single answer in the middle of the list states a wrong offset.
    let elsewhere = |list: &List, slice: Slice| {
        let offset = (slice.begins().0 == 106).then_some(52);
        Answer { offset, ..list.answer(slice) }
    };
    let mut list = List { total: Some(114), ..List::new(Family::Offset, numbers()) };
    list.paging.sizes = Sizes::Fixed(105);
    assert!(matches!(walk_back_by_offset(&mut list, elsewhere), Err(Refusal::PositionLost { .. })));
}

#[test]
fn a_silent_cap_does_not_move_the_end_past_the_total() {
    for (count, cap, least, most) in [(66, 33, 1, 66), (34, 15, 2, 16)] {
        let mut list = List::new(Family::Page, (100..100 + count).map(|rank| (rank.to_string(), rank.to_string())));
        (list.cap, list.total) = (cap, Some(count));
        list.paging.sizes = Sizes::Free { least, most: Some(most) };
        assert_eq!(walk_back_by_offset(&mut list, List::answer).unwrap(), list.all());
        let status = |list: &List, slice: Slice| match list.answer(slice) {
            answer if answer.items.is_empty() => Answer { standing: Standing::PastEnd, ..Answer::default() },
            answer => answer,
        };
        assert_eq!(walk_back_by_offset(&mut list, status).unwrap(), list.all());
    }
}

/// Row: F34
#[test]
fn an_undeclared_repeated_last_page_is_not_evidence_of_a_previous_page() {
    for count in 2..8_u32 {
        let rows = (1_000..1_000 + count).map(|rank| (rank.to_string(), rank.to_string()));
        let mut list = List { total: Some(u64::from(count)), ..List::new(Family::Page, rows) };
        (list.paging.sizes, list.ties) = (Sizes::Fixed(18), Ties::Ordered);
        let again =
            |list: &List, _| list.answer(Slice::Page { number: window::PageNumber(0), size: window::PageSize(18) });
        let last = (999 + count).to_string();
        let anchor = Anchor { keys: vec![KeyValue::Number(last.clone())], id: KeyValue::Number(last) };
        let hint = Hint { offset: Offset(20), total: Some(21), ..Hint::default() };
        let page = list.page_of(Target { position: Position::Before(anchor), hint }, count - 1, again).unwrap();
        assert_eq!((page.items.len(), page.previous.clone()), (count as usize - 1, None), "{count}");
    }
}
