//! The totals of a list whose pages are mostly read through filters.

use crate::pagination::{
    answer::Total,
    fetch::Fetch,
    model::{self, List, end, start},
    order::{Direction, Kind},
    page::Page,
    position::Target,
    resolver::Totals,
};

fn list(tells: bool) -> List {
    let keys = vec![model::key("score", Kind::Number, Direction::Ascending)];
    let mut list = List::new(keys, (0..60).map(|row| vec![model::whole(row)]));
    list.totals = tells;
    list
}

fn page(list: &mut List, target: Target, totals: Totals, counts: bool) -> Page {
    let mut request = list.request(target, 7);
    (request.terms.totals, request.abilities.counts, request.abilities.tells_total) = (totals, counts, list.totals);
    list.resolve(request).unwrap()
}

fn told(page: &Page) -> Option<u64> {
    page.total.map(|total| total.value)
}

#[test]
fn the_total_of_a_filtered_answer_is_not_reported_for_the_list() {
    let mut list = list(true);
    let first = page(&mut list, start(), Totals::Upstream, false);
    assert_eq!(told(&first), Some(60));
    let second = page(&mut list, first.next.clone().unwrap(), Totals::Upstream, false);
    assert_eq!((told(&second), second.notes.requests), (None, 1));
    // The earlier total helps to aim, and isn't reported.
    assert_eq!(second.next.clone().unwrap().hint.total, Some(60));
    assert_eq!(told(&page(&mut list, end(), Totals::Upstream, false)), Some(60), "the flipped list is the whole list");
}

#[test]
fn no_total_is_reported_if_the_route_omits_totals() {
    let mut list = list(true);
    let first = page(&mut list, start(), Totals::Omit, true);
    assert_eq!((told(&first), first.next.clone().unwrap().hint.total), (None, Some(60)));
    assert_eq!(list.asked.len(), 1);
}

#[test]
fn a_count_is_requested_with_the_first_request_if_answers_have_no_total() {
    for tells in [true, false] {
        let mut list = list(tells);
        let first = page(&mut list, start(), Totals::Count, false);
        assert_eq!((told(&first), first.notes.requests), (Some(60), if tells { 1 } else { 2 }));
        list.rows.truncate(50);
        let second = page(&mut list, first.next.clone().unwrap(), Totals::Count, false);
        assert_eq!((told(&second), second.notes.requests), (Some(50), 2));
        assert_eq!(list.asked.iter().filter(|fetch| **fetch == Fetch::Count).count(), 1);
        assert!(second.last.is_some());
    }
}

#[test]
fn the_total_of_the_first_page_is_reported_on_the_whole_walk() {
    for (tells, counts, expected) in [(true, false, Some(60)), (false, true, Some(60)), (false, false, None)] {
        let mut list = list(tells);
        let first = page(&mut list, start(), Totals::FirstPage, counts);
        assert_eq!(told(&first), expected, "{tells} {counts}");
        let next = first.next.clone().unwrap();
        assert_eq!(next.hint.first_total, expected.map(|value| Total { value, exact: true }));
        list.rows.truncate(50);
        let second = page(&mut list, next, Totals::FirstPage, counts);
        assert_eq!((told(&second), second.notes.requests), (expected, 1), "{tells} {counts}");
        for target in [second.next.clone().unwrap(), second.previous.clone().unwrap(), second.last.clone().unwrap()] {
            let there = page(&mut list, target, Totals::FirstPage, counts);
            assert_eq!(told(&there), expected, "{tells} {counts}");
        }
    }
}

#[test]
fn an_empty_list_has_no_last_page() {
    for flips in [true, false] {
        let mut list = list(true);
        list.rows.clear();
        list.flips = flips;
        let first = page(&mut list, start(), Totals::Count, true);
        assert_eq!((told(&first), first.last.clone()), (Some(0), None));
    }
}
