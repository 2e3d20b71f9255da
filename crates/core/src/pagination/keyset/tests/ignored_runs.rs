//! A run that is asked for by itself, of an endpoint that ignores what it is asked by.

use super::*;

#[test]
fn a_run_is_held_against_the_keys_that_it_was_asked_for_by() {
    // By id, what an ignored filter lets through begins with another run, and shows nothing else.
    let rows = (0..80).map(|row| vec![model::whole(row / 40)]);
    let mut list = List::new(vec![model::key("rank", Kind::Number, Descending)], rows);
    list.paging.sizes = Sizes::Free { least: 1, most: Some(20) };
    (list.cap, list.filters, list.ignores) = (20, runs_by_id(2), true);
    let page = list.page(start(), 5);
    assert!(asks_for_runs(&list) && is_refused_for_its_run(&page), "{page:?} {:?}", list.asked);
}
