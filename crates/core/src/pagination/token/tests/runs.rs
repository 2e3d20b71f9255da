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
    let second = list.page(&first.next.clone().unwrap(), 1).unwrap();
    assert_eq!(ids(&second), ["62"]);
    // Items inserted at the head moved both items of the run out of the upstream page that contained the place.
    list.pages[1] = ranked("a", &[("1", "0"), ("5", "4")], Some("b"));
    list.pages.extend([ranked("b", &[("6", "1")], Some("c")), ranked("c", &[("6", "2"), ("7", "3")], None)]);
    assert_eq!(list.page(&second.next.clone().unwrap(), 1).unwrap_err(), Refusal::TieRun { nearest: Offset(0) });
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
    // The run has grown before the item that was served. That item is on the next upstream page, or on the one after
    // it.
    let next = first.next.clone().unwrap();
    let ahead = tied("", &[("7", "35"), ("7", "33")], Some("a"));
    list.pages = vec![ahead.clone(), tied("a", &[("7", "31"), ("7", "32")], None)];
    let page = list.page(&next, 1).unwrap();
    // The last upstream page is full, so its missing token is asked for again.
    assert_eq!((ids(&page), page.notes.requests, page.level()), (vec!["732".to_owned()], 3, Level::Anchored));
    let more = tied("a", &[("7", "36"), ("7", "34")], Some("b"));
    list.pages = vec![ahead.clone(), more, tied("b", &[("7", "31"), ("8", "37")], None)];
    assert_eq!(ids(&list.page(&next, 1).unwrap()), ["837"]);
    // If the served item is gone, no visible item of its run counts as served.
    list.pages = vec![ahead, tied("a", &[("7", "36"), ("8", "37")], None)];
    let page = list.page(&next, 1).unwrap();
    assert_eq!((ids(&page), page.level()), (vec!["735".to_owned()], Level::Anchored));
}

#[test]
fn a_run_that_shows_more_than_was_served_leaves_its_seam_open() {
    let ranked = |items: &[(&'static str, &'static str)]| Given { items: items.to_vec(), ..given("", &[], None) };
    let mut list = Upstream::new(vec![ranked(&[("7", "31"), ("8", "32")])]).sorted_by_rank();
    let next = list.page(&start(), 1).unwrap().next.clone().unwrap();
    assert_eq!(list.page(&next, 1).unwrap().level(), Level::Checked);
    // No answer shows whether 35 was inserted before 31, or came after it and moved.
    list.pages = vec![ranked(&[("7", "35"), ("7", "31"), ("8", "32")])];
    let page = list.page(&next, 1).unwrap();
    assert_eq!((ids(&page), page.level()), (vec!["832".to_owned()], Level::Anchored));
}

#[test]
fn an_id_that_comes_twice_in_an_answer_is_refused() {
    let ranked = |ids: [&'static str; 3]| Given {
        items: ["1", "2", "3"].into_iter().zip(ids).collect(),
        ..given("", &[], None)
    };
    for (ids, is_refused) in [(["5", "6", "7"], false), (["5", "6", "5"], true), (["6", "5", "5"], true)] {
        let page = Upstream::new(vec![ranked(ids)]).sorted_by_rank().page(&start(), 3);
        assert_eq!(matches!(page, Err(Refusal::Unsorted(_))), is_refused, "{ids:?}: {page:?}");
    }
}

#[test]
fn an_id_that_comes_twice_without_an_order_is_on_the_page_once() {
    let pages = vec![given("", &["1", "1", "2"], Some("a")), given("a", &["2", "3", "3"], None)];
    let mut list = Upstream::new(pages).undeclared();
    list.paging.sizes = Sizes::Fixed(3);
    assert_eq!(ids(&list.page(&start(), 2).unwrap()), ["1", "2"]);
    assert_eq!(ids(&list.page(&start(), 6).unwrap()), ["1", "2", "3"]);
}

#[test]
fn an_item_continues_its_list_without_a_seam_only_where_ids_are_the_order() {
    for (ranked, level) in [(false, Level::Checked), (true, Level::Anchored)] {
        let mut list = by_item();
        list.paging.end = EndEvidence::Flag;
        if ranked {
            list = list.sorted_by_rank();
            for page in &mut list.pages {
                page.items.iter_mut().for_each(|(rank, id)| *rank = id.trim_matches('"'));
            }
        }
        let first = list.page(&start(), 2).unwrap();
        let second = list.page(&first.next.clone().unwrap(), 2).unwrap();
        assert_eq!((second.items.len(), second.level()), (2, level), "ranked: {ranked}");
    }
}

/// An upstream page that was read backward may be the page before the anchor's: no answer showed the two pages' items
/// together. Its seam is therefore not proven.
#[test]
fn a_place_before_an_item_of_another_upstream_page_leaves_its_seam_unproven() {
    let mut list = Upstream::new(three_pages()).tokens(|tokens| tokens.backward = true);
    list.pages[1].previous = Some("p");
    let next = list.page(&start(), 3).unwrap().next.clone().unwrap();
    // Item 3 is gone. Either the page that the cursor's token leads to begins with the item that was next, or the page
    // before that one does.
    for (page, before, level) in [(["4", "5"], ["1", "2"], Level::Checked), (["6", "7"], ["4", "5"], Level::Anchored)] {
        list.pages.truncate(3);
        list.pages[1] = Given { previous: Some("p"), ..given("a", &page, Some("b")) };
        list.pages.push(Given { asked: ("p", true), ..given("", &before, Some("a")) });
        let page = list.page(&next, 1).unwrap();
        assert_eq!((ids(&page), page.level()), (vec!["4".to_owned()], level), "{:?}", list.asked());
    }
}

#[test]
fn the_item_before_a_page_is_left_out_if_another_item_came_in_between() {
    for (late, is_told) in [("6", true), ("4", false)] {
        let mut list = Upstream::new(three_pages()).tokens(|tokens| tokens.backward = true);
        let next = list.page(&start(), 3).unwrap().next.clone().unwrap();
        list.pages[1] = given("a", &["3", "5"], Some("b"));
        list.pages[2] = given("b", &[late, "7"], None);
        let page = list.page(&next, 2).unwrap();
        assert_eq!(ids(&page)[0], "5", "{late}");
        assert_eq!(page.previous.clone().unwrap().hint.ahead.is_some(), is_told, "{late}");
    }
}

/// The cursor's marks are at the end of the page, so the next page is read to find their place, and its items are
/// served as well.
#[test]
fn a_page_read_ahead_by_a_token_for_one_use_is_served() {
    for (last, served) in [(&[][..], &["\"4\""][..]), (&["\"5\""], &["\"4\"", "\"5\""])] {
        let pages = vec![
            given("", &["\"1\"", "\"2\""], Some("a")),
            given("a", &["\"3\"", "\"2\""], Some("b")),
            given("b", &["\"4\"", "\"3\"", "\"2\""], Some("c")),
            given("c", last, None),
        ];
        let mut list = Upstream::new(pages).undeclared().tokens(|tokens| tokens.single_use = true);
        list.paging.sizes = Sizes::Fixed(3);
        let second = list.page(&start(), 3).unwrap().next.clone().unwrap();
        let third = list.page(&second, 3).unwrap().next.clone().unwrap();
        let page = list.page(&third, 3).unwrap();
        assert_eq!(
            (ids(&page), list.asked()),
            (served.iter().map(|id| (*id).to_owned()).collect(), vec!["b".into(), "c".into()])
        );
        assert!(page.next.is_none());
    }
}
