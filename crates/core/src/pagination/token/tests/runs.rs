//! Runs of items that share their keys, on pages by token.

use super::*;

#[test]
fn ties_that_a_later_page_begins_with_may_have_been_served() {
    let ranked = |token, items: &[(&'static str, &'static str)], next| Given {
        items: items.to_vec(),
        ..given(token, &[], next)
    };
    let pages = vec![ranked("", &[("1", "0"), ("6", "1")], Some("a")), ranked("a", &[("6", "2"), ("7", "3")], None)];
    let mut list = Upstream::new(pages).sorted_by_rank();
    let first = list.page(&start(), 2).unwrap();
    let second = list.page(&first.next.unwrap(), 1).unwrap();
    assert_eq!(ids(&second), ["62"]);
    // What came at the head has moved both of the run out of the page that held the place.
    list.pages[1] = ranked("a", &[("1", "0"), ("5", "4")], Some("b"));
    list.pages.extend([ranked("b", &[("6", "1")], Some("c")), ranked("c", &[("6", "2"), ("7", "3")], None)]);
    assert_eq!(list.page(&second.next.unwrap(), 1).unwrap_err(), Refusal::TieRun { nearest: Offset(0) });
}

#[test]
fn an_item_inserted_before_the_last_of_a_run_does_not_bring_it_again() {
    let tied = |token: &'static str, items: &[(&'static str, &'static str)], next| Given {
        asked: (token, false),
        items: items.to_vec(),
        next,
        ..Given::default()
    };
    let mut list = Upstream::new(vec![tied("", &[("7", "31"), ("7", "32")], None)]).sorted_by_rank();
    let first = list.page(&start(), 1).unwrap();
    assert_eq!(ids(&first), ["731"]);
    // The run has grown before the item that was served, which is on the next upstream page, or on the one after that.
    let next = first.next.unwrap();
    let ahead = tied("", &[("7", "35"), ("7", "33")], Some("a"));
    list.pages = vec![ahead.clone(), tied("a", &[("7", "31"), ("7", "32")], None)];
    let page = list.page(&next, 1).unwrap();
    assert_eq!((ids(&page), page.notes.requests, page.level()), (vec!["732".to_owned()], 2, Level::Anchored));
    let more = tied("a", &[("7", "36"), ("7", "34")], Some("b"));
    list.pages = vec![ahead.clone(), more, tied("b", &[("7", "31"), ("8", "37")], None)];
    assert_eq!(ids(&list.page(&next, 1).unwrap()), ["837"]);
    // Where it is gone, none of its run was served.
    list.pages = vec![ahead, tied("a", &[("7", "36"), ("8", "37")], None)];
    let page = list.page(&next, 1).unwrap();
    assert_eq!((ids(&page), page.level()), (vec!["735".to_owned()], Level::Anchored));
}
