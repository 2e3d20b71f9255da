//! The table of the policy, row by row, for every strategy. The rows for pages by token are tested in `token::tests`,
//! by `items_that_contradict_the_order_are_refused_or_served_by_their_marks` and `a_spent_budget_ends_no_list`.

use std::sync::Arc;

use crate::pagination::{
    fingerprint::fingerprint,
    key::KeyValue,
    model::{self, List, Row, Value, ids, start},
    order::{Direction, Kind, Order},
    page::{Level, Page, Unproven},
    paging::EndEvidence,
    position::{Anchor, Pivot, Position, Target},
    refusal::Refusal,
    resolver::{ShortPages, Verify, WhenUnproven},
};

/// The way in which a page is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strategy {
    /// Pages by offset, proven by keys.
    Windows,
    /// Pages by filters on the first key.
    Keyset,
    /// Pages by a pivot whose keys are cached.
    Seek,
    /// Pages by marks, without a declared order.
    Marks,
}

use Strategy::{Keyset, Marks, Seek, Windows};

impl Strategy {
    const ALL: [Self; 4] = [Windows, Keyset, Seek, Marks];
    const KEYED: [Self; 3] = [Windows, Keyset, Seek];

    /// Returns a list of rows with these scores, to be read by this strategy.
    fn list(self, scores: impl Iterator<Item = i64>) -> List {
        let score = model::key("score", Kind::Number, Direction::Ascending);
        let mut list = match self {
            Marks => List::new(Vec::new(), scores.map(|_| Vec::new())),
            _ => List::new(vec![score], scores.map(|score| vec![model::whole(score)])),
        };
        if self == Marks {
            list.order = Order::undeclared(list.order.id.clone());
        }
        if self != Keyset {
            list.filters = None;
        }
        list.flips = false;
        list
    }

    /// Reads the page at a target, with the request as `change` modifies it.
    fn page(
        self,
        list: &mut List,
        mut target: Target,
        limit: u32,
        change: impl FnOnce(&mut super::PageRequest),
    ) -> Result<Page, Refusal> {
        let mut request = list.request(start(), limit);
        if let (Seek, Position::After(Anchor { keys, id })) = (self, &target.position) {
            let pivot = Pivot { id: id.clone(), fingerprint: Some(fingerprint(&request.marker, keys)) };
            request.pivot = Some(keys.clone());
            target.position = Position::AfterPivot(pivot);
        }
        request.target = target;
        change(&mut request);
        list.resolve(request)
    }
}

/// Returns a row that comes before all others.
fn head(list: &List, number: i64) -> Row {
    let id = (Some(Value::Decimal(number.to_string())), number.to_string());
    let score = list.order.strong.iter().map(|_| model::whole(number - 1_000));
    Row { cells: score.chain([id]).collect() }
}

/// Returns the target of the second page of five items.
fn second(list: &mut List) -> Target {
    list.page(start(), 5).unwrap().next.clone().unwrap()
}

#[test]
fn a_place_that_moved_is_searched_for_unless_pages_are_by_offset() {
    for strategy in Strategy::ALL {
        for verify in [Verify::Always, Verify::WhenCheap, Verify::Never] {
            let mut list = strategy.list((0..60).map(|row| row * 10));
            let target = second(&mut list);
            let before = list.expected();
            let heads: Vec<Row> = (1..=25).map(|number| head(&list, number)).collect();
            list.rows.splice(..0, heads);
            let page = strategy.page(&mut list, target, 5, |request| request.terms.verify = verify).unwrap();
            let (expected, is_proven) = match verify {
                Verify::Never => (list.expected()[5..10].to_vec(), false),
                Verify::Always | Verify::WhenCheap => (before[5..10].to_vec(), true),
            };
            assert_eq!(ids(&page), expected, "{strategy:?} {verify:?}");
            assert_eq!(page.level() > Level::Positional, is_proven, "{strategy:?} {verify:?}");
        }
    }
}

#[test]
fn a_place_that_is_not_found_is_flagged_where_the_route_says_so() {
    for strategy in Strategy::ALL {
        for verify in [Verify::Always, Verify::WhenCheap] {
            // A run of ties that is longer than any answer, or a list without any of the served items.
            let mut list = strategy.list((0..60).map(|row| row / 50));
            list.cap = 10;
            let target = match strategy {
                Marks => second(&mut list),
                _ => {
                    let (keys, id) = (vec![number(0)], number(500));
                    Target { position: Position::After(Anchor { keys, id }), ..start() }
                }
            };
            if strategy == Marks {
                list.rows = (5_000..5_060).map(|number| head(&list, number)).collect();
            }
            let wanted = |unproven| {
                move |request: &mut super::PageRequest| {
                    (request.terms.verify, request.terms.unproven) = (verify, unproven);
                }
            };
            let refusal = strategy.page(&mut list, target.clone(), 5, wanted(WhenUnproven::Refuse)).unwrap_err();
            let page = strategy.page(&mut list, target, 5, wanted(WhenUnproven::Flag)).unwrap();
            assert!(
                matches!(refusal, Refusal::PositionLost { .. } | Refusal::TieRun { .. }),
                "{strategy:?} {verify:?} {refusal:?}"
            );
            assert!(
                matches!(page.unproven, Some(Unproven::Position | Unproven::TieRun)),
                "{strategy:?} {verify:?} {:?}",
                page.unproven
            );
            assert_eq!(page.level(), Level::Positional, "{strategy:?} {verify:?}");
        }
    }
}

fn number(number: i64) -> KeyValue {
    KeyValue::Number(number.to_string())
}

#[test]
fn items_that_contradict_the_order_are_flagged_where_the_route_says_so() {
    for strategy in Strategy::KEYED {
        for verify in [Verify::Always, Verify::WhenCheap] {
            let mut list = strategy.list((0..60).map(|row| row * 10));
            let target = second(&mut list);
            let flipped = Arc::new(list.order.flipped());
            let wanted = |unproven| {
                let order = Arc::clone(&flipped);
                move |request: &mut super::PageRequest| {
                    (request.terms.verify, request.terms.unproven, request.order) = (verify, unproven, order);
                }
            };
            let refusal = strategy.page(&mut list, target.clone(), 5, wanted(WhenUnproven::Refuse)).unwrap_err();
            assert!(matches!(refusal, Refusal::Unsorted(_)), "{strategy:?} {verify:?} {refusal:?}");
            let page = strategy.page(&mut list, target, 5, wanted(WhenUnproven::Flag)).unwrap();
            assert_eq!(page.unproven, Some(Unproven::Order), "{strategy:?} {verify:?}");
            assert_eq!(ids(&page), list.expected()[5..10], "{strategy:?} {verify:?}");
        }
    }
}

#[test]
fn an_end_that_only_further_requests_show_is_flagged_where_proofs_are_to_be_cheap() {
    for strategy in Strategy::ALL {
        let mut list = strategy.list((0..30).map(|row| row * 10));
        list.totals = false;
        list.paging.end = EndEvidence::Unvouched;
        let pages = list.walk(start(), 5);
        let mut target = pages[4].next.clone().unwrap();
        // The cursor contains no honoured size, like a cursor of another walk.
        target.hint.honoured = 0;
        let mut page = |verify| {
            let page = strategy.page(&mut list, target.clone(), 20, |request| request.terms.verify = verify).unwrap();
            (page.items.len(), page.next.is_some(), page.unproven, page.notes.requests)
        };
        let (items, has_next, unproven, requests) = page(Verify::Always);
        assert_eq!((items, has_next, unproven), (5, false, None), "{strategy:?}");
        assert!(requests > 1, "{strategy:?}");
        match strategy {
            // A page by marks is served without the proof only if it is full, so the end of this page is proven.
            Marks => assert_eq!(page(Verify::WhenCheap).2, None, "{strategy:?}"),
            _ => assert_eq!(page(Verify::WhenCheap), (5, false, Some(Unproven::Seam), 1), "{strategy:?}"),
        }
        assert_eq!(page(Verify::Never).2, None, "{strategy:?}");
    }
}

#[test]
fn a_page_that_is_not_full_when_its_budget_ends_is_served_where_the_route_says_so() {
    for strategy in Strategy::ALL {
        for verify in [Verify::Always, Verify::WhenCheap, Verify::Never] {
            let mut list = strategy.list((0..60).map(|row| row * 10));
            let target = second(&mut list);
            list.cap = 4;
            let wanted = |short_pages| {
                move |request: &mut super::PageRequest| {
                    (request.budget.page, request.budget.search) = (2, 2);
                    (request.terms.verify, request.terms.short_pages) = (verify, short_pages);
                }
            };
            let refused = strategy.page(&mut list, target.clone(), 20, wanted(ShortPages::Refuse));
            assert_eq!(refused.unwrap_err(), Refusal::BudgetExceeded, "{strategy:?} {verify:?}");
            let page = strategy.page(&mut list, target, 20, wanted(ShortPages::Serve)).unwrap();
            assert_eq!(ids(&page), list.expected()[5..5 + page.items.len()], "{strategy:?} {verify:?}");
            assert!((1..20).contains(&page.items.len()) && page.next.is_some(), "{strategy:?} {verify:?}");
            assert!(page.short, "{strategy:?} {verify:?}");
        }
    }
}
