//! The number of requests that find a boundary which isn't at its hint.

use std::sync::Arc;

use super::{key, start};
use crate::{
    json::Span,
    pagination::{
        answer::{Answer, Standing, Total},
        fetch::Fetch,
        key::KeyValue,
        mark::{Mark, Marker},
        order::{Kind, Order, Ties},
        page::{Level, Page},
        paging::{Family, Paging, Sizes},
        position::{Anchor, Hint, Position, Target},
        refusal::Refusal,
        resolver::{Limit, PageRequest, Step, resolve},
        window::{Offset, PageNumber, Slice},
    },
};

/// The kind of answer that an upstream gives past the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Past {
    Nothing,
    Status,
    LastPage,
}

/// A list of the even numbers from 0 on, which are computed and not stored.
#[derive(Clone, Debug)]
struct Numbers {
    count: u64,
    cap: u32,
    family: Family,
    past: Past,
    counts: bool,
}

impl Numbers {
    fn answer(&self, slice: Slice) -> Answer {
        let size = u64::from(slice.size().0.min(self.cap));
        let mut from = match slice {
            Slice::Offset { from, .. } => from.0,
            Slice::Page { number, .. } => number.0 * size,
        };
        let total = self.counts.then_some(Total { value: self.count, exact: true });
        if from >= self.count && from > 0 {
            match self.past {
                Past::Nothing => {}
                Past::Status => return Answer { standing: Standing::PastEnd, ..Answer::default() },
                Past::LastPage => from = self.count.saturating_sub(1) / size * size,
            }
        }
        let (mut body, mut items) = (Vec::new(), Vec::new());
        for number in from..self.count.min(from.saturating_add(size)) {
            let start = u32::try_from(body.len()).unwrap();
            body.extend_from_slice((number * 2).to_string().as_bytes());
            items.push(Span { start, end: u32::try_from(body.len()).unwrap() });
        }
        Answer { keys: items.clone(), body, items, total, ..Answer::default() }
    }

    fn page(&self, position: Position, hint: Hint, limit: u32) -> Result<Box<Page>, Refusal> {
        self.page_of(position, hint, limit, Self::answer)
    }

    fn page_of(
        &self,
        position: Position,
        hint: Hint,
        limit: u32,
        answer: impl Fn(&Self, Slice) -> Answer,
    ) -> Result<Box<Page>, Refusal> {
        let order = Arc::new(Order { strong: vec![], id: key("id"), ties: Ties::Ordered, declared: true });
        let paging = Paging {
            repeats_last_page: self.past == Past::LastPage,
            ..Paging::new(self.family, Sizes::Free { least: 1, most: Some(self.cap) })
        };
        let request = PageRequest {
            ..PageRequest::new(
                Target { position, hint: Hint { honoured: self.cap, ..hint } },
                Limit::at_least_one(limit),
                order,
                Arc::new(paging),
                Marker::new(|_| Mark::of(0)),
            )
        };
        let mut step = resolve(request);
        loop {
            step = match step {
                Step::Fetch(fetches, pending) => {
                    let answer = |fetch: &Fetch| match fetch {
                        Fetch::Slice(slice, _) => answer(self, *slice),
                        other => panic!("{other:?} of a list by offset"),
                    };
                    pending.resume(fetches.iter().map(answer).collect())
                }
                Step::Serve(page) => return Ok(page),
                Step::Refuse(refusal) => return Err(refusal),
            }
        }
    }
}

/// Returns the anchor of the number at a place. If `gone`, the anchor is the next odd number, which isn't in the list.
fn anchor(place: u64, gone: bool) -> Anchor {
    Anchor { keys: vec![], id: KeyValue::Number((place * 2 + u64::from(gone)).to_string()) }
}

fn numbers(count: u64) -> impl Iterator<Item = Numbers> {
    let pasts = [
        (Family::Offset, Past::Nothing),
        (Family::Offset, Past::Status),
        (Family::Page, Past::Nothing),
        (Family::Page, Past::Status),
        (Family::Page, Past::LastPage),
    ];
    pasts
        .into_iter()
        .flat_map(move |(family, past)| [true, false].map(|counts| Numbers { count, cap: 100, family, past, counts }))
}

/// Returns the largest number of requests for this drift: twice the binary logarithm, rounded up, of the drift counted
/// in answers, plus four.
fn bound(drift: u64, cap: u32) -> u32 {
    let answers = drift.div_ceil(u64::from(cap)).max(1);
    2 * (u64::BITS - (answers - 1).leading_zeros()) + 4
}

/// The largest number of requests that judge an end of which nothing says that more items follow.
const LOOKS: u32 = 5;

#[test]
fn a_boundary_is_found_within_the_bound_wherever_it_has_gone() {
    const COUNT: u64 = 2_100_000;
    for list in numbers(COUNT) {
        for drift in [1, 5, 23, 27, 60, 99, 100, 101, 180, 250, 1_000, 3_333, 10_000, 77_777, 1_000_000] {
            for (place, hinted) in [(1_050_000, 1_050_000 - drift), (1_050_000 - drift, 1_050_000)] {
                for gone in [false, true] {
                    for (position, expected) in [
                        (Position::After(anchor(place, gone)), place + 1),
                        (Position::Before(anchor(place, gone)), place + u64::from(gone) - 20),
                    ] {
                        // The total doesn't help: as many rows were added on one side as were removed on the other.
                        let total = list.counts.then_some(COUNT);
                        let hint = Hint { offset: Offset(hinted + 1), total, ..Hint::default() };
                        let page = list.page(position.clone(), hint, 20).unwrap();
                        let said = format!("{list:?} {position:?} from {hinted}: {}", page.notes.requests);
                        assert_eq!(page.item(0), (expected * 2).to_string().as_bytes(), "{said}");
                        assert_eq!((page.items.len(), page.level()), (20, Level::Exact), "{said}");
                        // An answer that lacks the item is compared with the one before it.
                        let bound = 1 + u32::from(gone) + bound(drift, list.cap);
                        assert!(page.notes.requests <= bound, "{said}, {bound}");
                    }
                }
            }
        }
    }
}

#[test]
fn changes_on_one_side_are_found_by_the_difference_of_totals() {
    for list in numbers(2_100_000).filter(|list| list.counts) {
        for drift in [1_u64, 23, 100, 1_000, 10_000, 1_000_000] {
            for (hinted, before) in [(1_050_000 - drift, 2_100_000 - drift), (1_050_000 + drift, 2_100_000 + drift)] {
                let hint = Hint { offset: Offset(hinted + 1), total: Some(before), ..Hint::default() };
                let page = list.page(Position::After(anchor(1_050_000, false)), hint, 20).unwrap();
                assert_eq!(page.item(0), b"2100002");
                assert!(page.notes.requests <= 2, "{list:?} {drift}: {}", page.notes.requests);
            }
        }
    }
}

#[test]
fn an_item_without_a_hint_is_found_from_the_start() {
    for list in numbers(100_000) {
        for place in [0, 50, 5_000, 99_998] {
            let page = list.page(Position::After(anchor(place, false)), Hint::default(), 20).unwrap();
            assert_eq!(page.item(0), ((place + 1) * 2).to_string().as_bytes());
            assert_eq!(page.notes.drift, None);
            let at_end = if page.next.is_none() { LOOKS } else { 0 };
            let most = 1 + bound(place, list.cap) + at_end;
            assert!(page.notes.requests <= most, "{list:?} {place}: {}", page.notes.requests);
        }
    }
}

#[test]
fn the_end_is_found_with_and_without_a_total() {
    for count in [0, 1, 19, 20, 21, 99, 100, 101, 200, 5_000, 123_456] {
        for list in numbers(count) {
            for hint in [Hint::default(), Hint { total: list.counts.then_some(count + 40), ..Hint::default() }] {
                let page = list
                    .page(Position::End, hint, 20)
                    .unwrap_or_else(|refusal| panic!("{refusal:?} {list:?} {hint:?}"));
                let said = format!("{list:?} {hint:?}: {} requests", page.notes.requests);
                assert_eq!(page.items.len() as u64, count.min(20), "{said}");
                assert!(page.next.is_none() && page.previous.is_some() == (count > 20), "{said}");
                // Without a count, a repeated last page looks like any other page, and is read from both sides.
                let again = if list.past == Past::LastPage { 3 } else { 0 };
                let most = if list.counts { 4 } else { 3 + bound(count.max(1), list.cap) + again } + LOOKS;
                assert!(page.notes.requests <= most, "{said}, at most {most}");
            }
        }
    }
}

/// A page takes several answers, and the end is in the last of them.
#[test]
fn the_end_is_found_where_a_page_takes_several_answers() {
    for (cap, limit) in [(2, 1), (2, 2), (3, 2), (3, 3), (5, 4), (5, 5), (5, 6), (100, 100)] {
        for list in (0..60).flat_map(numbers) {
            let list = Numbers { cap, ..list };
            let page = list.page(Position::End, Hint::default(), limit);
            let page = page.unwrap_or_else(|refusal| panic!("{refusal:?} {list:?} {limit}"));
            let said = format!("{list:?} {limit}: {} requests", page.notes.requests);
            assert_eq!(page.items.len() as u64, list.count.min(u64::from(limit)), "{said}");
            assert!(page.next.is_none() && page.previous.is_some() == (list.count > u64::from(limit)), "{said}");
            // Without a count, a repeated last page contradicts the places of others, which are then read again.
            let again = if list.past == Past::LastPage && !list.counts { 16 } else { 0 };
            let most = 2 * limit.div_ceil(cap - 1) + 4 + bound(list.count.max(1), cap) + again + LOOKS;
            assert!(page.notes.requests <= most, "{said}, at most {most}");
        }
    }
}

#[test]
fn a_place_at_the_end_is_found_after_all_before_it_is_gone() {
    for count in [0, 1, 5, 100, 120] {
        for list in numbers(count) {
            let hint = Hint { offset: Offset(5_001), total: Some(10_000), ..Hint::default() };
            let page = list.page(Position::After(anchor(5_000, false)), hint, 20).unwrap();
            assert_eq!((page.items.len(), page.next.clone()), (0, None), "{list:?}");
            assert_eq!(page.previous.is_some(), count > 0, "{list:?}");
            let page = list.page(Position::Before(anchor(5_000, false)), hint, 20).unwrap();
            assert_eq!((page.items.len() as u64, page.next.is_none()), (count.min(20), true), "{list:?}");
            let start = list.page(start().position, Hint::default(), 20).unwrap();
            assert_eq!(start.items.len() as u64, count.min(20));
        }
    }
}

/// The list has become short, so a single answer contains every place that is read to confirm its end.
#[test]
fn the_end_of_a_short_list_is_confirmed_by_one_answer() {
    let rows = (0..7).map(|number| (number.to_string(), number.to_string()));
    let mut list = super::List { cap: 33, kind: Kind::Number, honoured: 15, ..super::List::new(Family::Page, rows) };
    (list.paging.sizes, list.ties) = (Sizes::Free { least: 5, most: Some(33) }, Ties::Ordered);
    let gone = Anchor { keys: vec![KeyValue::Number("13".into())], id: KeyValue::Number("13".into()) };
    let hint = Hint { offset: Offset(14), honoured: 15, ..Hint::default() };
    let mut from_start = 0;
    let page = list.page_of(Target { position: Position::After(gone), hint }, 7, |list, slice| {
        from_start += u32::from(slice.begins().0 == 0);
        list.answer(slice)
    });
    let page = page.unwrap();
    assert_eq!((page.items.len(), page.level(), page.next.clone()), (0, Level::Checked, None));
    assert_eq!((page.notes.requests, from_start), (9, 4));
}

#[test]
fn a_search_in_an_upstream_that_ignores_its_parameter_is_refused_as_stuck() {
    for family in [Family::Offset, Family::Page] {
        let list = Numbers { count: 100, cap: 100, family, past: Past::Nothing, counts: false };
        let ignored = |list: &Numbers, slice: Slice| {
            let from_start = match slice {
                Slice::Offset { size, .. } => Slice::Offset { from: Offset(0), size },
                Slice::Page { size, .. } => Slice::Page { number: PageNumber(0), size },
            };
            Answer { total: None, ..list.answer(from_start) }
        };
        let hint = Hint { offset: Offset(501), ..Hint::default() };
        let page = list.page_of(Position::After(anchor(500, false)), hint, 20, ignored);
        assert!(matches!(page, Err(Refusal::Stuck)), "{page:?}");
    }
}

/// If a page takes two requests, a wrong hint wastes both. A wrong prediction by the difference of totals wastes only
/// one more.
#[test]
fn a_boundary_is_found_within_the_bound_where_a_page_takes_two_requests() {
    const COUNT: u64 = 40;
    for cap in [2, 3, 5] {
        let list = Numbers { count: COUNT, cap, family: Family::Offset, past: Past::Nothing, counts: true };
        for place in 0..COUNT - u64::from(cap) - 1 {
            for hinted in 1..COUNT {
                for before in COUNT - 12..COUNT + 12 {
                    let hint = Hint { offset: Offset(hinted), total: Some(before), ..Hint::default() };
                    let page = list.page(Position::After(anchor(place, false)), hint, cap - 1).unwrap();
                    let drift = hinted.abs_diff(place + 1);
                    let said = format!("{list:?} {place} from {hint:?}: {} at {drift}", page.notes.requests);
                    assert_eq!(page.item(0), ((place + 1) * 2).to_string().as_bytes(), "{said}");
                    assert!(page.notes.requests <= 2 * 2 + bound(drift, cap), "{said}, {}", 4 + bound(drift, cap));
                }
            }
        }
    }
}
