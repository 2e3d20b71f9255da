//! Walks through small lists without a declared order. The simulator tests random changes.

mod amid;
mod ends;

use std::sync::Arc;

use super::super::{
    answer::{Answer, Total},
    direction::Side,
    fetch::Fetch,
    key::KeyValue,
    mark::{Mark, Marker},
    order::{Direction, Kind, Nulls, Order, SortKey, Ties},
    page::{Level, Page, Unproven},
    paging::{Family, Paging, Sizes, UpstreamProfile},
    position::{Anchor, Hint, Item, Marks, Position, Target},
    refusal::Refusal,
    resolver::{Limit, PageRequest, ShortPages, Step, Verify, WhenUnproven, resolve},
    unsorted::{Cause, Unsorted},
    window::{Offset, Slice},
};
use crate::json::Span;

const FAMILIES: [Family; 2] = [Family::Offset, Family::Page];

/// Returns a marker with this key. Different keys give different marks.
fn marker(key: u64) -> Marker {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    Marker::new(move |bytes| Mark::of(bytes.iter().fold(key ^ 0xcbf2_9ce4_8422_2325, |hash, byte| step(hash, *byte))))
}

fn start() -> Target {
    Target { position: Position::Start, hint: Hint::default() }
}

/// A flag of answers that says whether more items follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flag {
    Right,
    AlwaysTrue,
    AlwaysFalse,
}

/// A list of items as raw text, and the behaviour of its upstream.
struct List {
    /// The raw id of each item, if the item has one, and the rest of its bytes.
    items: Vec<(Option<String>, String)>,
    cap: u32,
    total: bool,
    /// The number of items by which the total is too high.
    overcount: u64,
    /// True if the upstream answers every request with the first items.
    ignores: bool,
    /// The `n` for which answers omit every `n`th item after the limit is applied, although the paging declares no
    /// hidden items; `None` if no item is omitted.
    hides_each: Option<usize>,
    /// The places of the rows that answers omit after the limit is applied. The total doesn't count them.
    gap: std::ops::Range<usize>,
    /// True if the upstream begins again with the first items after the end.
    restarts: bool,
    /// True if the upstream gives the last items again after the end, as many as were requested.
    repeats: bool,
    /// The place of an item that comes in every answer, in addition to the others: the first, or the last.
    added: Option<Side>,
    /// The largest offset or page number that the upstream takes; beyond it, the upstream takes this one.
    lowered_to: u64,
    /// The flag of answers; `None` if they have none.
    more: Option<Flag>,
    /// The number of items inserted at the head before the second answer for a page.
    arrivals: u32,
    profile: UpstreamProfile,
    /// The number of requests that the last page took.
    requests: u32,
    /// The greatest offset of an item that answers for the last page have shown; 0 if they have shown none.
    shown_to: usize,
    /// The request that pages are read with, apart from target and limit.
    request: PageRequest,
}

impl List {
    fn new(family: Family, items: impl IntoIterator<Item = (Option<String>, String)>) -> Self {
        let id = SortKey {
            name: "id".into(),
            direction: Direction::Ascending,
            kind: Kind::Inferred,
            nulls: Nulls::None,
            grain: None,
        };
        let order = Arc::new(Order { strong: Vec::new(), id, ties: Ties::Ordered, declared: false });
        let paging = Arc::new(Paging::new(family, Sizes::Free { least: 1, most: Some(100) }));
        let request = PageRequest::new(start(), Limit::ONE, order, paging, marker(1));
        let items = items.into_iter().collect();
        Self {
            items,
            cap: 100,
            total: true,
            overcount: 0,
            ignores: false,
            hides_each: None,
            gap: 0..0,
            restarts: false,
            repeats: false,
            added: None,
            lowered_to: u64::MAX,
            more: None,
            arrivals: 0,
            profile: UpstreamProfile::default(),
            requests: 0,
            shown_to: 0,
            request,
        }
    }

    /// Returns a list of items with the ids of a range.
    fn numbered(family: Family, numbers: std::ops::Range<u32>) -> Self {
        Self::new(family, numbers.map(|number| (Some(number.to_string()), String::new())))
    }

    /// Returns a list of items without ids, one for each letter.
    fn letters(family: Family, letters: &str) -> Self {
        Self::new(family, letters.chars().map(|letter| (None, letter.to_string())))
    }

    /// Returns this list at an upstream whose cap is not declared.
    fn capped_in_silence(mut self, family: Family, cap: u32) -> Self {
        self.request.paging = Arc::new(Paging::new(family, Sizes::Free { least: 1, most: None }));
        Self { cap, ..self }
    }

    /// Returns this list at an upstream whose cap is declared.
    fn capped(mut self, family: Family, cap: u32) -> Self {
        self.request.paging = Arc::new(Paging::new(family, Sizes::Free { least: 1, most: Some(cap) }));
        Self { cap, ..self }
    }

    fn answer(&self, slice: Slice) -> Answer {
        let size = slice.size().0.min(self.cap) - u32::from(self.added.is_some());
        let begins = match slice {
            _ if self.ignores => 0,
            _ if self.restarts && slice.begins().0 > self.lowered_to => 0,
            Slice::Offset { from, .. } => from.0.min(self.lowered_to),
            Slice::Page { number, .. } => number.0.min(self.lowered_to).saturating_mul(u64::from(size)),
        };
        let rows = self.items.len() as u64;
        let begins = match begins >= rows {
            true if self.restarts => 0,
            true if self.repeats => rows - rows.min(u64::from(size)),
            _ => begins,
        };
        let (mut body, mut items, mut keys) = (Vec::new(), Vec::new(), Vec::new());
        let mut push = |text: &str| {
            let start = u32::try_from(body.len()).unwrap();
            body.extend_from_slice(text.as_bytes());
            Span { start, end: u32::try_from(body.len()).unwrap() }
        };
        let begins = usize::try_from(begins).unwrap_or(usize::MAX);
        let shown =
            |place: &usize| self.hides_each.is_none_or(|each| place % each != each - 1) && !self.gap.contains(place);
        let places = (begins..self.items.len().max(begins)).take(size as usize).filter(shown);
        let added = (Some("added".to_owned()), String::new());
        let is_at = |side: Side| (self.added == Some(side)).then_some(&added);
        let rows = places.filter_map(|place| self.items.get(place));
        for (id, rest) in is_at(Side::Before).into_iter().chain(rows).chain(is_at(Side::After)) {
            let key = id.as_deref().map_or(Span::ABSENT, &mut push);
            let rest = push(rest);
            items.push(Span { start: if key.is_absent() { rest.start } else { key.start }, end: rest.end });
            keys.push(key);
        }
        let count = (self.items.len() - self.gap.len()) as u64;
        let total = self.total.then_some(Total { value: count + self.overcount, exact: true });
        let more = self.more.map(|flag| match flag {
            Flag::Right => begins.saturating_add(size as usize) < self.items.len(),
            Flag::AlwaysTrue => true,
            Flag::AlwaysFalse => false,
        });
        Answer { body, items, keys, total, more, ..Answer::default() }
    }

    fn page(&mut self, target: Target, limit: u32) -> Result<Box<Page>, Refusal> {
        let mut step = resolve(PageRequest { target, limit, profile: self.profile, ..self.request.clone() });
        (self.requests, self.shown_to) = (0, 0);
        loop {
            step = match step {
                Step::Fetch(fetches, pending) => {
                    let mut answers = Vec::new();
                    for fetch in fetches {
                        let Fetch::Slice(slice, _) = fetch else { panic!("{fetch:?} of a list by offset") };
                        self.requests += 1;
                        if self.requests == 2 {
                            let new = (1_000..1_000 + self.arrivals).map(|id| (Some(id.to_string()), String::new()));
                            drop(self.items.splice(..0, new));
                        }
                        let answer = self.answer(slice);
                        let last = answer.items.len().checked_sub(1).map(|last| answer.item(last));
                        let is_last = |(id, _): &(Option<String>, _)| id.as_ref().map(String::as_bytes) == last;
                        self.shown_to = self.shown_to.max(self.items.iter().rposition(is_last).unwrap_or(0));
                        answers.push(answer);
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

    /// Reads all pages from start to end, and calls `between` after each. Returns the items of each page.
    fn walk(&mut self, limit: u32, mut between: impl FnMut(&mut Self, &Page)) -> Vec<Vec<String>> {
        let (mut pages, mut target) = (Vec::new(), start());
        loop {
            let page = self.page(target, limit).unwrap();
            assert_eq!((page.level(), page.unproven), (Level::Anchored, None));
            pages.push(texts(&page));
            assert!(pages.len() <= 1_000, "it goes on for ever: {:?}", &pages[..10]);
            between(self, &page);
            let Some(next) = page.next.clone() else { return pages };
            target = next;
        }
    }
}

fn texts(page: &Page) -> Vec<String> {
    (0..page.items.len()).map(|index| String::from_utf8(page.item(index).to_vec()).unwrap()).collect()
}

fn numbers(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[test]
fn a_client_that_deletes_the_items_it_reads_goes_on() {
    for family in FAMILIES {
        for limit in [1, 2, 3, 7, 20, 50, 98] {
            for total in [true, false] {
                let mut list = List { total, ..List::numbered(family, 0..400) };
                let pages = list.walk(limit, |list, page| {
                    let read = texts(page);
                    list.items.retain(|(id, _)| !read.contains(id.as_ref().unwrap()));
                });
                assert_eq!(pages.concat(), numbers(0..400), "{family:?}, limit {limit}");
                assert!(list.items.is_empty());
            }
        }
    }
}

#[test]
fn a_walk_ends_although_the_total_is_always_too_high() {
    for limit in [1, 7, 20, 50] {
        for overcount in [1, 30] {
            let mut list = List { overcount, ..List::numbered(Family::Offset, 0..60) };
            let mut told = None;
            let pages = list.walk(limit, |_, page| told = page.total.map(|total| total.exact));
            assert_eq!(pages.concat(), numbers(0..60), "limit {limit}, {overcount} too many");
            assert_ne!(told, Some(true), "limit {limit}, {overcount} too many");
        }
    }
}

#[test]
fn items_inserted_at_the_head_move_no_page() {
    for family in FAMILIES {
        for inserted in [1_u32, 25, 300] {
            let mut list = List::numbered(family, 10_000..10_200);
            let mut next = 0;
            let pages = list.walk(20, |list, _| {
                let new = (next..next + inserted).map(|number| (Some(number.to_string()), String::new()));
                drop(list.items.splice(..0, new));
                next += inserted;
            });
            assert_eq!(pages.concat(), numbers(10_000..10_200), "{family:?}, {inserted} a page");
        }
    }
}

#[test]
fn a_page_back_is_the_page_before() {
    for family in FAMILIES {
        for limit in [1, 2, 5, 20] {
            let mut list = List::numbered(family, 0..60);
            let first = list.page(start(), limit).unwrap();
            let second = list.page(first.next.clone().unwrap(), limit).unwrap();
            let third = list.page(second.next.clone().unwrap(), limit).unwrap();
            let back = list.page(third.previous.clone().unwrap(), limit).unwrap();
            assert_eq!(texts(&back), texts(&second), "{family:?}, limit {limit}");
            assert_eq!(texts(&list.page(back.next.clone().unwrap(), limit).unwrap()), texts(&third));
        }
    }
}

#[test]
fn the_last_page_is_read_from_the_end() {
    for (total, hint) in [(true, Some(60)), (true, Some(3)), (false, None)] {
        let mut list = List { total, ..List::numbered(Family::Offset, 0..60) };
        let end = Target { position: Position::End, hint: Hint { total: hint, ..Hint::default() } };
        let last = list.page(end, 7).unwrap();
        assert_eq!(texts(&last), numbers(53..60), "{hint:?}");
        assert!(last.next.is_none());
        assert_eq!(texts(&list.page(last.previous.clone().unwrap(), 7).unwrap()), numbers(46..53));
    }
}

#[test]
fn a_boundary_that_is_gone_is_an_end_only_in_an_empty_list() {
    let mut list = List::numbered(Family::Offset, 0..60);
    let next = list.page(start(), 20).unwrap().next.clone().unwrap();
    list.items.clear();
    let nothing = list.page(next.clone(), 20).unwrap();
    assert!(nothing.items.is_empty() && nothing.next.is_none() && nothing.previous.is_none());

    list.items = List::numbered(Family::Offset, 100..160).items;
    assert_eq!(list.page(next.clone(), 20).unwrap_err(), Refusal::PositionLost { nearest: Offset(20) });
    list.request.terms.unproven = WhenUnproven::Flag;
    let flagged = list.page(next, 20).unwrap();
    assert_eq!((flagged.level(), flagged.unproven), (Level::Positional, Some(Unproven::Position)));
    assert_eq!(texts(&flagged), numbers(120..140));
    // From there the walk continues by marks.
    list.items.remove(0);
    let after = list.page(flagged.next.clone().unwrap(), 20).unwrap();
    assert_eq!((texts(&after), after.level(), after.notes.drift), (numbers(140..160), Level::Anchored, Some(-1)));
}

#[test]
fn the_page_before_an_empty_page_past_the_end_is_the_last_page() {
    let mut list = List::numbered(Family::Offset, 0..60);
    let first = list.page(start(), 30).unwrap();
    list.items.truncate(30);
    let nothing = list.page(first.next.clone().unwrap(), 30).unwrap();
    assert!(nothing.items.is_empty() && nothing.next.is_none());
    assert_eq!(texts(&list.page(nothing.previous.clone().unwrap(), 10).unwrap()), numbers(20..30));
}

#[test]
fn items_without_ids_are_known_by_their_bytes() {
    for family in FAMILIES {
        // Many of the letters are alike. The list doesn't change, so each item is served exactly once.
        for letters in ["aaaaaaaaaaaaaaaaaaaa", "abababababababababab", "okokkokokkoookkkokok", "abcdefghijklmnopqrst"]
        {
            for limit in [1, 2, 3, 7] {
                let mut list = List::letters(family, letters);
                assert_eq!(list.walk(limit, |_, _| {}).concat().concat(), letters, "{family:?}, limit {limit}");
            }
        }
        let mut list = List::letters(family, "bcdefghijklmnopqrst");
        let first = list.page(start(), 5).unwrap();
        list.items.insert(0, (None, "a".to_owned()));
        assert_eq!(texts(&list.page(first.next.clone().unwrap(), 5).unwrap()).concat(), "ghijk");
    }
}

#[test]
fn an_item_is_served_once_although_the_spelling_of_its_id_changes() {
    let ids = ["1", "2", "\"k\"", "4", "5", "6", "7", "8"];
    let mut list = List::new(Family::Offset, ids.map(|id| (Some(id.to_owned()), String::new())));
    let first = list.page(start(), 3).unwrap();
    list.items[1].0 = Some("2.0".to_owned());
    list.items[2].0 = Some("\"\\u006b\"".to_owned());
    list.items.insert(0, (Some("0".to_owned()), String::new()));
    let second = list.page(first.next.clone().unwrap(), 3).unwrap();
    assert_eq!(texts(&second), ["4", "5", "6"]);
    assert_eq!((second.notes.drift, second.notes.stragglers), (Some(1), 0));
}

/// A join of tables lists an item for each of its rows.
#[test]
fn an_answer_with_an_id_twice_is_refused() {
    for family in FAMILIES {
        let items = (0..60).flat_map(|id| vec![(Some(id.to_string()), String::new()); 1 + usize::from(id % 7 == 3)]);
        for limit in [5, 7, 20] {
            let mut list = List::new(family, items.clone());
            let page = list.page(start(), limit);
            let is_twice = |unsorted: &Unsorted| unsorted.cause == Cause::Twice;
            assert!(matches!(&page, Err(Refusal::Unsorted(it)) if is_twice(it)), "{family:?} {limit}: {page:?}");
        }
    }
}

/// An item that comes in every answer looks like one that is where the page continues.
#[test]
fn an_item_in_every_answer_ends_no_list() {
    let mut refused = 0;
    for (added, is_back) in [Side::Before, Side::After].into_iter().flat_map(|side| [(side, false), (side, true)]) {
        for limit in 1..=45 {
            let mut list = List { added: Some(added), ..List::numbered(Family::Page, 0..200) };
            Arc::make_mut(&mut list.request.paging).sizes = Sizes::Fixed(21);
            let position = if is_back { Position::End } else { Position::Start };
            let (mut target, mut passed) = (Some(Target { position, hint: Hint::default() }), 0);
            while let Some(at) = target {
                let Ok(page) = list.page(at, limit) else {
                    refused += 1;
                    break;
                };
                passed += page.items.len();
                target = if is_back { page.previous.clone() } else { page.next.clone() };
                assert!(target.is_some() || passed >= 200, "{added:?} {is_back} at limit {limit}: {passed} items");
            }
        }
    }
    assert!(refused > 0);
}

#[test]
fn a_straggler_is_counted_and_not_served_again() {
    let mut list = List::numbered(Family::Offset, 0..60);
    let first = list.page(start(), 10).unwrap();
    let moved = list.items.remove(9);
    list.items.insert(14, moved);
    let second = list.page(first.next.clone().unwrap(), 10).unwrap();
    assert_eq!((texts(&second), second.notes.stragglers), (numbers(10..20), 1));
    assert_eq!(second.notes.drift, Some(-1));
}

/// Returns a target between the marks of these ids, with an offset as its hint.
fn amid(before: &[u32], after: &[u32], offset: u64) -> Target {
    let marks = |numbers: &[u32]| numbers.iter().map(|number| marker(1).mark(number.to_string().as_bytes())).collect();
    let position = Position::AfterMarks(Marks { before: marks(before), after: marks(after) });
    Target { position, hint: Hint { offset: Offset(offset), ..Hint::default() } }
}

#[test]
fn two_marks_that_moved_past_unseen_ones_do_not_decide() {
    // 13 and 14 moved forward, and are at their expected places.
    let list = [8, 1, 2, 4, 5, 7, 12, 11, 9, 3, 13, 14, 10, 6];
    for family in FAMILIES {
        for cap in [9, 12, 20, 100] {
            let mut list =
                List::new(family, list.iter().map(|id| (Some(id.to_string()), String::new()))).capped(family, cap);
            let page = list.page(amid(&[11, 13, 14], &[9, 3], 12), 3).unwrap();
            assert_eq!(texts(&page), ["9", "3", "10"], "{family:?}, cap {cap}");
        }
    }
}

#[test]
fn marks_that_a_search_missed_are_seen_beside_those_it_found() {
    for family in FAMILIES {
        for arrivals in 0..20 {
            let items = [11, 52, 12].into_iter().chain(14..40).map(|id| (Some(id.to_string()), String::new()));
            let mut list = List { arrivals, ..List::new(family, items).capped(family, 5) };
            match list.page(amid(&[8, 9, 10], &[11, 12], 5), 5) {
                Ok(page) => assert_eq!(texts(&page), ["11", "52", "12", "14", "15"], "{family:?}, {arrivals}"),
                // The insertions moved every mark to a place where no mark had been seen, so the page may be refused.
                Err(refusal) => assert!((4..7).contains(&arrivals), "{family:?}, {arrivals}: {refusal:?}"),
            }
        }
    }
}

#[test]
fn items_that_a_silent_cap_hides_from_a_search_are_asked_for_again() {
    for family in FAMILIES {
        for cap in [10, 14, 20] {
            for (total, hint) in [(false, 44), (false, 55), (false, 59), (true, 44), (true, 55), (true, 59)] {
                // 32 was moved to the end, and the place is far before its hint.
                let items = (1..32).chain(33..46).chain([32]).map(|id| (Some(id.to_string()), String::new()));
                let mut list = List { total, ..List::new(family, items).capped_in_silence(family, cap) };
                let page = list.page(amid(&[28, 29, 30], &[31, 32], hint), 4).unwrap();
                assert_eq!(texts(&page), ["31", "33", "34", "35"], "{family:?}, cap {cap}, total {total}, at {hint}");
            }
        }
    }
}

#[test]
fn a_short_answer_at_the_end_is_not_taken_for_a_cap() {
    for family in FAMILIES {
        for (total, hint) in [(false, 122), (false, 126), (true, 122), (true, 126), (true, 200)] {
            // The item served last was moved to the end, two others are gone, and all items are before the hint.
            let items = (300..410).chain([207, 205]).chain(216..223).chain([215]);
            let items = items.map(|id| (Some(id.to_string()), String::new()));
            let mut list = List { total, ..List::new(family, items) };
            let page = list.page(amid(&[213, 214, 215], &[207, 205], hint), 2).unwrap();
            assert_eq!(texts(&page), ["207", "205"], "{family:?}, total {total}, at {hint}");
            assert!(list.requests < 8, "{family:?}, total {total}, at {hint}: {}", list.requests);
        }
    }
}

#[test]
fn the_hint_after_a_silently_capped_page_is_correct() {
    for total in [false, true] {
        for cap in [8, 10, 13, 20] {
            let mut list = List { total, ..List::numbered(Family::Page, 0..60) }.capped_in_silence(Family::Page, cap);
            // Every page must discover the cap anew, which takes more requests.
            list.request.budget.page = 12;
            let mut target = amid(&[7, 8, 9], &[10, 11], 10);
            for first in (10..50).step_by(10) {
                let page = list.page(target, 10).unwrap();
                assert_eq!(texts(&page), numbers(first..first + 10), "cap {cap}, total {total}");
                target = page.next.clone().unwrap();
                assert_eq!(target.hint.offset.0, u64::from(first) + 10, "cap {cap}, total {total}");
                list.profile = UpstreamProfile::default();
            }
        }
    }
}

#[test]
fn the_cursor_of_an_item_has_the_marks_of_its_neighbours() {
    let mut list = List::numbered(Family::Offset, 0..60);
    let first = list.page(start(), 10).unwrap();
    let second = list.page(first.next.clone().unwrap(), 10).unwrap();
    let Some((Item::Marked(from), Item::Marked(to))) = second.edges.clone() else { panic!("{:?}", second.edges) };
    let mark = |number: u32| marker(1).mark(number.to_string().as_bytes());
    let around = |numbers: [u32; 4]| {
        let [far, near, next, last] = numbers.map(mark);
        Marks { before: vec![far, near], after: vec![next, last] }
    };
    assert_eq!((from.item, from.around), (mark(10), around([8, 9, 11, 12])));
    assert_eq!((to.item, to.around), (mark(19), around([17, 18, 20, 21])));
}

#[test]
fn marks_are_read_with_the_key_that_made_them() {
    let mut list = List::numbered(Family::Offset, 0..60);
    let first = list.page(start(), 10).unwrap();
    list.items.remove(3);
    (list.request.marker, list.request.target_marker) = (marker(2), Some(marker(1)));
    let second = list.page(first.next.clone().unwrap(), 10).unwrap();
    assert_eq!(texts(&second), numbers(10..20));
    list.items.remove(3);
    list.request.target_marker = None;
    assert_eq!(texts(&list.page(second.next.clone().unwrap(), 10).unwrap()), numbers(20..30));
}

#[test]
fn a_page_by_offset_is_positional_and_the_next_page_anchored_by_marks() {
    let mut list = List::numbered(Family::Offset, 0..60);
    let at = |offset| Target { position: Position::At(Offset(offset)), hint: Hint::default() };
    let page = list.page(at(25), 10).unwrap();
    assert_eq!((texts(&page), page.level()), (numbers(25..35), Level::Positional));
    assert_eq!(page.unproven, Some(Unproven::Position));
    list.items.remove(0);
    let next = list.page(page.next.clone().unwrap(), 10).unwrap();
    assert_eq!((texts(&next), next.level()), (numbers(35..45), Level::Anchored));
    assert_eq!(texts(&list.page(page.previous.clone().unwrap(), 10).unwrap()), numbers(15..25));
    let after = list.page(at(100), 10).unwrap();
    assert!(after.items.is_empty() && after.next.is_none());
    assert_eq!(texts(&list.page(after.previous.clone().unwrap(), 10).unwrap()), numbers(50..60));
}

#[test]
fn unverified_pages_take_one_request_each() {
    for family in FAMILIES {
        let mut list = List::numbered(family, 0..60);
        list.request.terms.verify = Verify::Never;
        let (mut target, mut read) = (start(), Vec::new());
        loop {
            let page = list.page(target, 20).unwrap();
            assert_eq!((page.level(), page.unproven, list.requests), (Level::Positional, None, 1), "{family:?}");
            read.extend(texts(&page));
            let Some(next) = page.next.clone() else { break };
            assert!(matches!(next.position, Position::At(_)));
            target = next;
        }
        assert_eq!(read, numbers(0..60), "{family:?}");
    }
}

#[test]
fn a_place_that_moved_is_searched_for_also_where_only_cheap_proofs_are_wanted() {
    let mut list = List::numbered(Family::Offset, 100..160);
    let next = list.page(start(), 20).unwrap().next.clone().unwrap();
    drop(list.items.splice(..0, List::numbered(Family::Offset, 0..50).items));
    for verify in [Verify::WhenCheap, Verify::Always] {
        list.request.terms.verify = verify;
        let page = list.page(next.clone(), 20).unwrap();
        assert_eq!((texts(&page), page.unproven, page.notes.drift), (numbers(120..140), None, Some(50)), "{verify:?}");
        assert_eq!(list.requests, 2, "{verify:?}");
    }
}

#[test]
fn an_upstream_that_ignores_its_paging_parameters_is_refused_as_stuck() {
    for family in FAMILIES {
        let mut list = List { ignores: true, total: false, ..List::numbered(family, 0..60).capped(family, 20) };
        let (mut target, mut pages) = (start(), 0);
        let refusal = loop {
            match list.page(target, 7) {
                Ok(page) => target = page.next.clone().expect("it says that there is more for ever"),
                Err(refusal) => break refusal,
            }
            pages += 1;
            assert!(pages < 10);
        };
        assert_eq!(refusal, Refusal::Stuck, "{family:?}");
    }
}

#[test]
fn items_above_the_greatest_depth_are_served() {
    let mut list = List::numbered(Family::Offset, 0..60);
    let paging = Paging::new(Family::Offset, Sizes::Free { least: 1, most: Some(100) });
    list.request.paging = Arc::new(Paging { max_depth: Some(40), ..paging });
    let first = list.page(start(), 20).unwrap();
    let second = list.page(first.next.clone().unwrap(), 20).unwrap();
    assert_eq!(texts(&second), numbers(20..40));
    assert_eq!(list.page(second.next.clone().unwrap(), 20).unwrap_err(), Refusal::TooDeep);
}

#[test]
fn a_page_that_the_budget_cuts_off_is_refused_or_short() {
    for (short_pages, expected) in [(ShortPages::Refuse, None), (ShortPages::Serve, Some(10))] {
        let mut list = List::numbered(Family::Offset, 0..60).capped(Family::Offset, 10);
        (list.request.budget.page, list.request.budget.search) = (1, 1);
        list.request.terms.short_pages = short_pages;
        let page = list.page(start(), 20);
        assert_eq!(page.as_ref().ok().map(|page| (page.items.len(), page.short)), expected.map(|count| (count, true)));
        if let Ok(page) = page {
            (list.request.budget.page, list.request.budget.search) = (8, 8);
            assert_eq!(texts(&list.page(page.next.clone().unwrap(), 5).unwrap()), numbers(10..15));
        }
    }
}

#[test]
fn a_keyed_position_is_found_by_the_id_of_its_item_despite_a_wrong_hint() {
    let anchor = |id: KeyValue| Anchor { keys: vec![KeyValue::Text("old".into())], id };
    let hint = |offset| Hint { offset: Offset(offset), ..Hint::default() };
    let mut list = List::numbered(Family::Offset, 0..60);
    for (id, hinted, after, before) in [("5", 0, 6..11, 0..5), ("40.0", 40, 41..46, 35..40), ("30", 2, 31..36, 25..30)]
    {
        let at = |position| Target { position, hint: hint(hinted) };
        let id = KeyValue::Number(id.to_owned());
        let page = list.page(at(Position::After(anchor(id.clone()))), 5).unwrap();
        assert_eq!((texts(&page), page.level()), (numbers(after), Level::Anchored));
        let page = list.page(at(Position::Before(anchor(id))), 5).unwrap();
        assert_eq!(texts(&page), numbers(before));
    }
    let gone = Target { position: Position::After(anchor(KeyValue::Number("77".into()))), hint: hint(0) };
    assert!(matches!(list.page(gone, 5), Err(Refusal::PositionLost { .. })));
    let none = Target { position: Position::After(anchor(KeyValue::Null)), hint: hint(0) };
    assert_eq!(list.page(none, 5).unwrap_err(), Refusal::Unsupported);
}

/// Row: F31
#[test]
fn a_walk_goes_on_past_items_that_the_upstream_hides_silently() {
    let mut refused = 0;
    for family in [Family::Offset, Family::Page] {
        for (limit, each) in [(20, 10), (20, 7), (7, 7), (20, 3), (5, 2)] {
            let mut list = List::numbered(family, 1..301);
            (list.total, list.hides_each) = (false, Some(each));
            let shown = list.items.iter().enumerate().filter(|(place, _)| place % each != each - 1);
            let shown: Vec<String> = shown.filter_map(|(_, (id, _))| id.clone()).collect();
            let (mut delivered, mut target) = (Vec::new(), Some(start()));
            while let Some(at) = target.take() {
                match list.page(at, limit) {
                    Ok(page) => {
                        delivered.extend(texts(&page));
                        target.clone_from(&page.next);
                    }
                    // No answer shows the neighbours of the place, or showing them takes more requests than the budget
                    // has. Neither case is the end of the list.
                    Err(Refusal::PositionLost { .. } | Refusal::BudgetExceeded) => {
                        refused += 1;
                        break;
                    }
                    Err(refusal) => panic!("{family:?} {limit} {each}: {refusal:?} after {}", delivered.len()),
                }
                assert!(target.is_some() || delivered == shown, "{family:?} {limit} {each}: {delivered:?}");
            }
            assert!(shown.starts_with(&delivered), "{family:?} {limit} {each}: {delivered:?}");
        }
    }
    assert!(refused <= 6, "{refused} of 10 walks are refused");
}

/// The requests of a page may be spent while a gap is crossed, after an answer has shown an item behind it.
#[test]
fn no_page_whose_requests_are_spent_ends_before_an_item_that_was_shown() {
    let mut refused = 0;
    for (family, budget) in FAMILIES.into_iter().flat_map(|family| (4..40).map(move |budget| (family, budget))) {
        for (gap, more, overcount) in
            [40, 90, 200].into_iter().flat_map(|gap| [(gap, None, 0), (gap, Some(Flag::Right), 0), (gap, None, gap)])
        {
            let gap = 12..12 + gap;
            let mut list = List::numbered(family, 0..u32::try_from(gap.end).unwrap() + 5).capped(family, 10);
            (list.overcount, list.more, list.gap) = (overcount as u64, more, gap.clone());
            (list.request.budget.page, list.request.budget.search) = (budget.min(8), budget);
            let (mut delivered, mut target) = (0, Some(start()));
            while let Some(at) = target.take() {
                let Ok(page) = list.page(at, 4) else {
                    refused += 1;
                    break;
                };
                delivered += page.items.len();
                target.clone_from(&page.next);
                let is_shown = delivered <= gap.start && list.shown_to >= gap.end;
                assert!(target.is_some() || !is_shown, "{family:?} {budget} {gap:?} {more:?}: {delivered}");
            }
        }
    }
    assert!(refused <= 250, "{refused} of 432 walks are refused");
}
