//! Filters that an upstream ignores: those for a run, and those for the items after an anchor.

use super::*;

#[test]
fn an_answer_to_a_filter_for_a_run_is_checked_against_its_keys() {
    // The ignored filter lets the whole list through, which begins with another run when sorted by id.
    let rows = (0..80).map(|row| vec![model::whole(row / 40)]);
    let mut list = List::new(vec![model::key("rank", Kind::Number, Descending)], rows);
    list.paging.sizes = Sizes::Free { least: 1, most: Some(20) };
    (list.cap, list.filters, list.ignores) = (20, runs_by_id(2), true);
    let page = list.page(start(), 5);
    assert!(asks_for_runs(&list) && is_refused_for_its_run(&page), "{page:?} {:?}", list.asked);
}

/// If the filter is ignored, the hint of a place in the filtered list is wrong. Each page gives the filter up after one
/// request, instead of searching for the place.
#[test]
fn a_filter_that_is_ignored_costs_a_request_a_page_and_is_given_up() {
    for family in [Family::Offset, Family::Page] {
        let keys = vec![model::key("rank", Kind::Number, Ascending)];
        let mut list = List::new(keys, (0..2_000).map(|row| vec![model::whole(row * 10)]));
        (list.cap, list.paging.sizes) = (20, Sizes::Free { least: 1, most: Some(20) });
        (list.ignores, list.paging.family) = (true, family);
        let mut target = start();
        let mut requests = Vec::new();
        for _ in 0..100 {
            let page = list.page(target, 10).unwrap();
            requests.push(page.notes.requests);
            target = page.next.clone().unwrap();
        }
        assert!(requests.iter().all(|requests| *requests <= 3), "{family:?}: {requests:?}");
    }
}
