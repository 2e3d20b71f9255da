//! Ends that something contradicts, and lists with runs of empty answers.

use super::*;
use crate::pagination::{limits::EMPTY_TOKEN_ANSWERS, page::DoubtedEnd, paging::CountedThings};

/// Returns a text that lives as long as the tests.
fn text(number: usize) -> &'static str {
    Box::leak(number.to_string().into_boxed_str())
}

/// Returns the upstream pages of a list: `size` rows each, of which those for which `is_dropped` holds aren't shown.
/// The pages have a total of the items that are shown.
fn rows(count: usize, size: usize, is_dropped: impl Fn(usize) -> bool) -> Vec<Given> {
    let total = (0..count).filter(|row| !is_dropped(*row)).count() as u64;
    let page = |from: usize| {
        let shown = (from..count.min(from + size)).filter(|row| !is_dropped(*row));
        let items: Vec<&str> = shown.map(|row| text(row + 1)).collect();
        let token = if from == 0 { "" } else { text(from) };
        let next = (from + size < count).then(|| text(from + size));
        Given { total: Some(total), ..given(token, &items, next) }
    };
    (0..count.max(1)).step_by(size).map(page).collect()
}

/// Returns an upstream of these pages, whose size is fixed.
fn fixed(pages: Vec<Given>, size: u32) -> Upstream {
    let mut list = Upstream::new(pages);
    list.paging.sizes = Sizes::Fixed(size);
    list
}

/// The items that a walk has delivered.
#[derive(Debug, PartialEq, Eq)]
struct Walked {
    items: usize,
    pages: usize,
    most_requests: u32,
    doubted: Option<DoubtedEnd>,
}

fn walked(list: &mut Upstream, limit: u32) -> Result<Walked, Refusal> {
    let (mut target, mut walked) = (Some(start()), Walked { items: 0, pages: 0, most_requests: 0, doubted: None });
    while let Some(at) = target {
        let page = list.page(&at, limit)?;
        walked.items += page.items.len();
        walked.pages += 1;
        walked.most_requests = walked.most_requests.max(page.notes.requests);
        walked.doubted = page.doubted_end;
        assert!(page.doubted_end.is_none() || page.next.is_none(), "only an end is doubted");
        assert!(walked.pages < 2_000, "the walk goes on for ever");
        target = page.next.clone();
    }
    Ok(walked)
}

#[test]
fn a_token_is_followed_although_a_flag_denies_that_more_items_follow() {
    for flags in [[Some(false); 2], [Some(true), Some(false)], [Some(false), None]] {
        for declared in [true, false] {
            let mut list = fixed(rows(1_003, 100, |_| false), 100);
            list.order.declared = declared;
            let pages = list.pages.iter_mut().enumerate();
            pages.for_each(|(number, page)| page.more = flags[number.min(1)]);
            let walk = walked(&mut list, 100).unwrap();
            assert_eq!((walk.items, walk.pages, walk.doubted), (1_003, 11, None), "{flags:?}");
            // The dialect vouches for the flag.
            list.paging.end = EndEvidence::Flag;
            let walk = walked(&mut list, 100).unwrap().items;
            let expected = flags.iter().position(|flag| *flag == Some(false)).unwrap();
            assert_eq!(walk, (expected + 1) * 100, "{flags:?}");
        }
    }
}

#[test]
fn a_token_that_is_missing_once_is_asked_for_again() {
    for (at, requests) in [(0, 2), (5, 2)] {
        let mut list = fixed(rows(1_003, 100, |_| false), 100);
        let lacks_it = Given { next: None, ..list.pages[at].clone() };
        list.once = vec![lacks_it];
        let walk = walked(&mut list, 100).unwrap();
        assert_eq!((walk.items, walk.most_requests, walk.doubted), (1_003, requests, None), "{at}");
        // The dialect vouches for a flag that is right.
        list.paging.end = EndEvidence::Flag;
        list.pages.iter_mut().for_each(|page| page.more = Some(page.next.is_some()));
        list.once = vec![Given { next: None, ..list.pages[at].clone() }];
        assert_eq!(walked(&mut list, 100).unwrap().items, 1_003, "{at}");
    }
}

#[test]
fn a_full_answer_without_a_token_beside_a_total_that_promises_another_is_refused() {
    for more in [None, Some(false), Some(true)] {
        for at in [0, 3] {
            let mut list = fixed(rows(1_003, 100, |_| false), 100);
            (list.pages[at].next, list.pages[at].more) = (None, more);
            let passed = (at as u64 + 1) * 100;
            let expected = Refusal::EndContradicted { passed, total: 1_003 };
            assert_eq!(walked(&mut list, 100), Err(expected), "{more:?}");
            // A total that doesn't count items promises nothing.
            for counted in [CountedThings::Rows, CountedThings::Estimate] {
                list.paging.counted = counted;
                let walk = walked(&mut list, 100).unwrap();
                let doubted = more.filter(|more| *more).map(|_| DoubtedEnd { reached: passed, said: None });
                assert_eq!((walk.items as u64, walk.doubted), (passed, doubted), "{counted:?} {more:?}");
            }
            // The dialect vouches for its tokens.
            (list.paging.counted, list.paging.end) = (CountedThings::Items, EndEvidence::Token);
            let walk = walked(&mut list, 100).unwrap();
            assert_eq!((walk.items as u64, walk.doubted, walk.most_requests), (passed, None, 1));
        }
    }
}

/// A full answer of one item shows no end, but the same request for two items does.
#[test]
fn a_total_that_is_too_high_refuses_no_list_by_token_whose_size_can_be_chosen() {
    let mut list = Upstream::new(rows(20, 1, |_| false));
    list.paging.sizes = Sizes::Free { least: 1, most: Some(50) };
    list.pages.iter_mut().for_each(|page| page.total = Some(100_000));
    let walk = walked(&mut list, 1).unwrap();
    assert_eq!((walk.items, walk.doubted), (20, Some(DoubtedEnd { reached: 20, said: Some(100_000) })));
}

/// All facts of an answer were in an object that is missing once, or for good.
#[test]
fn a_full_answer_that_lost_all_its_facts_is_asked_for_again_and_refused() {
    let mut list = fixed(rows(1_003, 100, |_| false), 100);
    let lost = Given { next: None, total: None, ..list.pages[4].clone() };
    list.once = vec![lost.clone()];
    assert_eq!(walked(&mut list, 100).unwrap().items, 1_003);
    list.pages[4] = lost;
    assert_eq!(walked(&mut list, 100), Err(Refusal::EndContradicted { passed: 500, total: 1_003 }));
}

#[test]
fn a_full_first_answer_without_any_of_its_facts_is_a_doubted_end() {
    let pages = || vec![Given { total: None, next: None, ..rows(1_003, 100, |_| false).swap_remove(0) }];
    for (tells_total, doubted) in [(true, Some(DoubtedEnd { reached: 100, said: None })), (false, None)] {
        let mut list = fixed(pages(), 100);
        list.request = list.request.tells_total(tells_total);
        assert_eq!(walked(&mut list, 100).unwrap().doubted, doubted);
    }
}

/// From the second answer on, the upstream states neither a token nor its flag.
#[test]
fn a_full_answer_without_the_flag_of_earlier_ones_is_a_doubted_end() {
    for (more, doubted) in [(Some(true), Some(DoubtedEnd { reached: 200, said: None })), (None, None)] {
        let mut list = fixed(rows(1_003, 100, |_| false), 100);
        list.request = list.request.tells_total(false);
        list.pages.iter_mut().for_each(|page| (page.more, page.total) = (more, None));
        (list.pages[1].more, list.pages[1].next) = (None, None);
        let walk = walked(&mut list, 100).unwrap();
        assert_eq!((walk.items, walk.doubted), (200, doubted), "{more:?}");
    }
}

#[test]
fn an_end_that_a_flag_or_a_total_contradicts_is_served_and_marked() {
    // The flag is always true.
    let mut list = fixed(rows(250, 100, |_| false), 100);
    list.pages.iter_mut().for_each(|page| (page.more, page.total) = (Some(true), None));
    let expected = |said| Some(DoubtedEnd { reached: 250, said });
    let walk = walked(&mut list, 100).unwrap();
    assert_eq!((walk.items, walk.doubted, walk.most_requests), (250, expected(None), 2));
    // The total is 5 too high.
    list.pages.iter_mut().for_each(|page| (page.more, page.total) = (None, Some(255)));
    assert_eq!(walked(&mut list, 100).unwrap().doubted, expected(Some(255)));
    // The total is 5 too low, or right, or counts the items of its own answer.
    for total in [245, 250] {
        list.pages.iter_mut().for_each(|page| page.total = Some(total));
        let walk = walked(&mut list, 100).unwrap();
        assert_eq!((walk.items, walk.doubted, walk.most_requests), (250, None, 1), "{total}");
    }
    list.pages.iter_mut().for_each(|page| page.total = Some(page.items.len() as u64));
    assert_eq!(walked(&mut list, 100).unwrap().doubted, None);
}

/// The list grows at its head: the items that were inserted before the place are no items that a walk passes.
#[test]
fn a_total_that_has_grown_does_not_contradict_an_end() {
    let mut list = fixed(rows(250, 100, |_| false), 100);
    list.pages[1].total = Some(252);
    list.pages[2].total = Some(257);
    assert_eq!(walked(&mut list, 100).unwrap().doubted, None);
    list.pages[2].total = Some(258);
    list.pages[1].total = Some(258);
    assert_eq!(walked(&mut list, 100).unwrap().doubted, None);
}

/// A walk that doesn't begin at the start doesn't know how many items come before it.
#[test]
fn a_total_is_not_compared_with_items_of_a_walk_from_the_middle() {
    let mut list = fixed(rows(250, 100, |_| false), 100);
    let mut next = list.page(&start(), 100).unwrap().next.clone().unwrap();
    assert_eq!(next.hint.walk.passed, Some(100));
    next.hint.walk.passed = None;
    list.pages[1].next = None;
    assert_eq!(list.page(&next, 100).unwrap().doubted_end, None);
}

#[test]
fn a_total_of_rows_refuses_no_list() {
    let is_dropped = |row: usize| row < 80 && row % 2 == 1;
    let mut list = fixed(rows(120, 20, is_dropped), 20);
    list.pages.iter_mut().for_each(|page| page.total = Some(120));
    let walk = walked(&mut list, 20).unwrap();
    assert_eq!((walk.items, walk.doubted), (80, Some(DoubtedEnd { reached: 80, said: Some(120) })));
}

#[test]
fn a_gap_is_crossed_by_empty_pages() {
    for (gap, flag, total) in
        [(60, None, true), (60, Some(true), false), (60, Some(false), true), (300, None, false), (300, None, true)]
    {
        for limit in [1, 7, 20, 100] {
            let is_dropped = |row: usize| (30..30 + gap).contains(&row);
            let mut list = fixed(rows(gap + 47, 20, is_dropped), 20);
            for page in &mut list.pages {
                page.more = flag;
                page.total = page.total.filter(|_| total);
            }
            let walk = walked(&mut list, limit).unwrap();
            let doubted = flag.filter(|flag| *flag).map(|_| DoubtedEnd { reached: 47, said: None });
            assert_eq!((walk.items, walk.doubted), (47, doubted), "{gap} {flag:?} {total} {limit}");
            assert!(walk.most_requests <= 9, "{walk:?}");
        }
    }
}

/// Upstreams of any size are asked for more than the client's limit in a gap, so a small limit doesn't end the list.
#[test]
fn a_small_limit_crosses_a_gap_in_large_steps() {
    let is_dropped = |row: usize| (3..70).contains(&row);
    let mut list = fixed(rows(72, 1, is_dropped), 1);
    list.paging.sizes = Sizes::Free { least: 1, most: None };
    // Each upstream page has one row, whatever size is asked for.
    let page = list.page(&start(), 3).unwrap();
    let gap = list.page(&page.next.clone().unwrap(), 1).unwrap();
    assert_eq!((gap.items.len(), gap.short), (0, true));
    let sizes: Vec<u32> = list.asked.iter().map(|fetch| fetch.size.0).collect();
    assert_eq!(sizes, [1, 100, 100, 100, 100, 100, 100, 100]);
    let hint = gap.next.clone().unwrap().hint;
    assert_eq!((hint.walk.empty, hint.walk.passed), (8, Some(3)));
}

#[test]
fn tokens_that_are_always_there_end_after_a_run_of_empty_answers() {
    let endless = |total| {
        let mut pages = rows(45, 20, |_| false);
        let count = pages.len();
        pages[count - 1].next = Some("60");
        pages.extend((3..40).map(|number| given(text(number * 20), &[], Some(text(number * 20 + 20)))));
        pages.iter_mut().for_each(|page| page.total = total);
        fixed(pages, 20)
    };
    let requests = |list: &mut Upstream| {
        let (mut at, mut requests) = (Some(start()), 0);
        while let Some(target) = at {
            let page = list.page(&target, 20).unwrap();
            requests += page.notes.requests;
            at = page.next.clone();
        }
        requests
    };
    // Three upstream pages have items.
    for (total, empty, doubted) in [
        (None, EMPTY_TOKEN_ANSWERS, None),
        (Some(45), 2, None),
        (Some(40), EMPTY_TOKEN_ANSWERS, None),
        (Some(90), EMPTY_TOKEN_ANSWERS, Some(DoubtedEnd { reached: 45, said: Some(90) })),
    ] {
        let mut list = endless(total);
        let walk = walked(&mut list, 20).unwrap();
        assert_eq!((walk.items, walk.doubted), (45, doubted), "{total:?}");
        assert_eq!(requests(&mut list), 3 + empty, "{total:?}");
    }
    let mut flagged = endless(Some(45));
    flagged.pages.iter_mut().for_each(|page| page.more = Some(true));
    assert_eq!(walked(&mut flagged, 20).unwrap().doubted, Some(DoubtedEnd { reached: 45, said: None }));
    assert_eq!(requests(&mut flagged), 3 + EMPTY_TOKEN_ANSWERS);
    // The dialect says that only a missing token is the end.
    let mut list = endless(Some(45));
    list.paging.end = EndEvidence::Token;
    list.pages.last_mut().unwrap().next = None;
    assert_eq!(walked(&mut list, 20).unwrap().items, 45);
    assert_eq!(requests(&mut list), 3 + 37);
    // Tokens that go round without an item lead nowhere.
    list.pages.last_mut().unwrap().next = Some("780");
    assert_eq!(walked(&mut list, 20), Err(Refusal::Stuck));
}

#[test]
fn a_token_that_an_empty_page_repeats_is_the_last_one() {
    for (count, limit) in [(45, 7), (45, 20), (40, 20), (40, 7), (1, 20)] {
        for (total, is_doubted) in [(None, true), (Some(count as u64), false), (Some(90), true)] {
            let mut pages = rows(count, 20, |_| false);
            let end = text(pages.len() * 20);
            pages.last_mut().unwrap().next = Some(end);
            pages.push(given(end, &[], Some(end)));
            pages.iter_mut().for_each(|page| page.total = total);
            let mut list = fixed(pages, 20);
            let walk = walked(&mut list, limit).unwrap();
            let doubted = is_doubted.then_some(DoubtedEnd { reached: count as u64, said: total });
            assert_eq!((walk.items, walk.doubted), (count, doubted), "{count} at limit {limit}, {total:?}");
            // The dialect says that an empty page is the end.
            list.paging.tokens.ends_empty = true;
            assert_eq!(walked(&mut list, limit).unwrap().doubted, doubted.filter(|_| total.is_some()));
        }
    }
    // The dialect says that only a missing token is the end.
    let mut pages = rows(45, 20, |_| false);
    pages[2].next = Some("60");
    pages.push(given("60", &[], Some("60")));
    let mut list = fixed(pages, 20);
    list.paging.end = EndEvidence::Token;
    assert_eq!(walked(&mut list, 20), Err(Refusal::Stuck));
}

#[test]
fn an_empty_answer_in_the_middle_of_a_walk_is_asked_for_again() {
    for declared in [true, false] {
        for ends_empty in [true, false] {
            let mut list = fixed(rows(400, 100, |_| false), 100).tokens(|tokens| tokens.ends_empty = ends_empty);
            list.order.declared = declared;
            if ends_empty {
                list.pages[3].next = Some("400");
                list.pages.push(given("400", &[], None));
            }
            list.once = vec![Given { total: Some(0), ..given("200", &[], None) }];
            let walk = walked(&mut list, 100).unwrap();
            assert_eq!((walk.items, walk.doubted), (400, None), "{declared} {ends_empty}");
            // A page that begins in the middle of an upstream page.
            let next = list.page(&start(), 250).unwrap().next.clone().unwrap();
            list.once = vec![Given { total: Some(0), ..given("200", &[], None) }];
            assert_eq!(list.page(&next, 20).unwrap().items.len(), 20);
            // A list whose answer is empty each time ends, which the total of the answers before contradicts.
            list.pages[2] = Given { total: Some(0), ..given("200", &[], None) };
            let walk = walked(&mut list, 100).unwrap();
            assert_eq!((walk.items, walk.doubted.and_then(|doubt| doubt.said)), (200, Some(400)));
        }
    }
}

#[test]
fn an_empty_answer_at_the_start_of_a_list_is_asked_for_again() {
    for declared in [true, false] {
        let mut list = fixed(rows(400, 100, |_| false), 100);
        list.order.declared = declared;
        list.once = vec![Given { total: Some(0), ..given("", &[], None) }];
        let walk = walked(&mut list, 100).unwrap();
        assert_eq!((walk.items, walk.doubted), (400, None), "{declared}");
    }
}

#[test]
fn empty_answers_in_a_row_in_the_middle_of_a_walk_end_no_list() {
    for (declared, total) in [(true, false), (false, false), (true, true), (false, true)] {
        for count in 1..=3 {
            let mut list = fixed(rows(390, 20, |_| false), 20);
            list.pages.iter_mut().for_each(|page| page.total = page.total.filter(|_| total));
            list.order.declared = declared;
            list.once = vec![Given { total: total.then_some(0), ..given("40", &[], None) }; count];
            let walk = walked(&mut list, 20).unwrap();
            assert_eq!((walk.items, walk.doubted), (390, None), "{declared} {total} {count}");
        }
    }
}

#[test]
fn a_flag_without_the_dialects_word_does_not_end_a_list_by_item() {
    let by = |token, items: &[&'static str], more| Given { more: Some(more), ..given(token, items, None) };
    let pages = || {
        vec![
            by("", &["\"1\"", "\"2\""], false),
            by("\"2\"", &["\"3\"", "\"4\""], false),
            by("\"4\"", &["\"5\""], false),
            by("\"5\"", &[], false),
        ]
    };
    let mut list = Upstream::new(pages()).tokens(|tokens| tokens.by_item = true);
    for limit in [2, 4, 5, 9] {
        assert_eq!(walked(&mut list, limit).unwrap().items, 5, "{limit}");
    }
    let first = list.page(&start(), 2).unwrap();
    assert_eq!((first.notes.requests, first.level()), (2, Level::Checked));
    // The last answer isn't full, so the flag beside it is believed.
    let next = list.page(&start(), 4).unwrap().next.clone().unwrap();
    let last = list.page(&next, 2).unwrap();
    assert_eq!((ids(&last), last.notes.requests), (vec!["\"5\"".to_owned()], 1));
    list.paging.end = EndEvidence::Flag;
    assert_eq!(walked(&mut list, 2).unwrap().items, 2);
}

#[test]
fn a_token_for_one_use_is_not_asked_for_again() {
    let mut list = fixed(rows(200, 100, |_| false), 100).tokens(|tokens| tokens.single_use = true);
    assert_eq!(walked(&mut list, 100).unwrap().most_requests, 1);
    list.pages[0].next = None;
    let expected = Refusal::EndContradicted { passed: 100, total: 200 };
    assert_eq!(walked(&mut list, 100), Err(expected));
}

#[test]
fn a_walk_back_through_a_gap_reaches_the_start() {
    let is_dropped = |row: usize| (10..130).contains(&row);
    let mut list = fixed(rows(145, 10, is_dropped), 10).tokens(|tokens| tokens.backward = true);
    for number in 0..list.pages.len() {
        let before = number.checked_sub(1).map(|before| Given {
            asked: (text(number * 10), true),
            next: Some(text(number * 10)),
            previous: before.checked_sub(0).filter(|before| *before > 0).map(|before| text(before * 10)),
            ..list.pages[before].clone()
        });
        list.pages[number].previous = before.as_ref().map(|_| text(number * 10));
        list.pages.extend(before);
    }
    let mut at = Some(start());
    let mut last = None;
    while let Some(target) = at {
        let page = list.page(&target, 10).unwrap();
        at = page.next.clone();
        last = Some(page);
    }
    let (mut at, mut items) = (last.unwrap().previous.clone(), 0);
    while let Some(target) = at {
        let page = list.page(&target, 10).unwrap();
        items += page.items.len();
        at = page.previous.clone();
    }
    // The last page has 5 items.
    assert_eq!(items, 20);
}

/// Returns a page of items, each with a rank and an id, that a forward token leads to.
fn ranked(token: &'static str, items: &[(&'static str, &'static str)], next: Option<&'static str>) -> Given {
    Given { items: items.to_vec(), ..given(token, &[], next) }
}

/// Returns a page that a backward token leads to.
fn back(token: &'static str, items: &[&'static str], next: Option<&'static str>) -> Given {
    Given { asked: (token, true), ..given(token, items, next) }
}

/// Returns an upstream of two pages of two items, whose second page has a token that leads back to the first.
fn two_ways() -> Upstream {
    let second = Given { previous: Some("p"), ..given("a", &["3", "4"], None) };
    Upstream::new(vec![given("", &["1", "2"], Some("a")), second, back("p", &["1", "2"], Some("a"))])
        .tokens(|tokens| tokens.backward = true)
}

/// Returns the place before the second page of [`two_ways`].
fn before_the_second(list: &mut Upstream) -> Target {
    let next = list.page(&start(), 2).unwrap().next.clone().unwrap();
    list.page(&next, 2).unwrap().previous.clone().unwrap()
}

#[test]
fn an_empty_answer_whose_token_works_no_longer_is_a_doubted_end() {
    for declared in [true, false] {
        let mut list = fixed(rows(400, 100, |_| false), 100);
        list.order.declared = declared;
        list.once = vec![Given { standing: Standing::Gone, ..given("200", &[], None) }; 4];
        list.once[0].standing = Standing::Listed;
        let walk = walked(&mut list, 100).unwrap();
        assert_eq!((walk.items, walk.doubted), (200, Some(DoubtedEnd { reached: 200, said: None })), "{declared}");
        // An empty answer that is confirmed isn't doubted, and neither is an answer with items.
        list.pages.truncate(2);
        list.pages.push(given("200", &[], None));
        assert_eq!(walked(&mut list, 100).unwrap().doubted, None, "{declared}");
        // A start has no mark.
        let mut list = two_ways();
        list.order.declared = declared;
        let previous = before_the_second(&mut list);
        list.once = vec![back("p", &[], None), Given { standing: Standing::Gone, ..back("p", &[], None) }];
        assert_eq!(list.page(&previous, 2).unwrap_err(), Refusal::TokenGone, "{declared}");
    }
}

#[test]
fn an_empty_answer_on_the_way_back_is_asked_for_again_whatever_flags_say_of_the_end() {
    for declared in [true, false] {
        let mut list = two_ways();
        (list.order.declared, list.pages[1].more) = (declared, Some(false));
        let next = list.page(&start(), 3).unwrap().next.clone().unwrap();
        let previous = list.page(&next, 3).unwrap().previous.clone().unwrap();
        list.once = vec![back("p", &[], None)];
        assert_eq!(ids(&list.page(&previous, 3).unwrap()), ["1", "2", "3"], "{declared}");
        assert_eq!(list.asked(), ["a", "<p", "<p"], "{declared}");
    }
}

#[test]
fn a_page_back_has_a_next_page_although_the_token_is_missing() {
    for more in [None, Some(true), Some(false)] {
        for declared in [true, false] {
            let mut list = two_ways();
            list.order.declared = declared;
            let previous = before_the_second(&mut list);
            list.once = vec![Given { more, ..back("p", &["1", "2"], None) }];
            let page = list.page(&previous, 2).unwrap();
            assert_eq!((ids(&page), page.doubted_end), (vec!["1".to_owned(), "2".into()], None), "{more:?}");
            assert_eq!(ids(&list.page(&page.next.clone().unwrap(), 2).unwrap()), ["3", "4"], "{more:?}");
        }
    }
}

#[test]
fn a_page_back_by_tokens_for_one_use_has_a_doubted_end_if_the_token_is_missing() {
    let mut list = two_ways().tokens(|tokens| tokens.single_use = true);
    let previous = before_the_second(&mut list);
    assert_eq!(list.page(&previous, 2).unwrap().doubted_end, None);
    list.once = vec![back("p", &["1", "2"], None)];
    let page = list.page(&previous, 2).unwrap();
    assert_eq!((page.next.clone(), page.doubted_end), (None, Some(DoubtedEnd { reached: 2, said: None })));
}

#[test]
fn a_token_that_is_missing_during_the_search_for_the_place_is_asked_for_again() {
    let mut list = fixed(vec![given("", &["10", "20", "30", "40"], None)], 5);
    let next = list.page(&start(), 3).unwrap().next.clone().unwrap();
    let previous = list.page(&next, 3).unwrap().previous.clone().unwrap();
    // Items at the head moved the last two to the next upstream page.
    let first = given("", &["1", "2", "3", "10", "20"], Some("a"));
    list.pages = vec![first.clone(), given("a", &["30", "40"], None)];
    list.once = vec![Given { next: None, ..first.clone() }];
    let page = list.page(&previous, 3).unwrap();
    assert_eq!(
        (ids(&page), list.asked()),
        (["10", "20", "30"].map(str::to_owned).to_vec(), vec![String::new(), String::new(), "a".to_owned()])
    );
    // The items after the place are gone.
    list.pages = vec![Given { next: None, ..first }];
    assert_eq!(ids(&list.page(&previous, 3).unwrap()), ["3", "10", "20"]);
    // The list has changed between the two answers.
    list.once = vec![given("", &["1", "2", "3", "10", "25"], None)];
    assert_eq!(list.page(&previous, 3).unwrap_err(), Refusal::PositionLost { nearest: Offset(0) });
}

#[test]
fn ties_of_an_answer_that_was_asked_for_again_may_have_been_served() {
    // Tie 35 came before tie 31, which is now on the next upstream page.
    let pages = vec![ranked("", &[("7", "35")], Some("a")), ranked("a", &[("7", "31")], None)];
    let mut list = fixed(pages, 1).sorted_by_rank();
    list.once = vec![ranked("", &[("7", "31")], None)];
    assert_eq!(list.page(&start(), 3).unwrap_err(), Refusal::TieRun { nearest: Offset(0) });
    // An empty answer has no ties.
    let pages = vec![ranked("", &[("7", "1"), ("7", "2")], Some("a")), ranked("a", &[("7", "3"), ("7", "4")], None)];
    let mut list = fixed(pages, 2).sorted_by_rank();
    let next = list.page(&start(), 2).unwrap().next.clone().unwrap();
    list.once = vec![ranked("a", &[], None)];
    assert_eq!(ids(&list.page(&next, 2).unwrap()), ["73", "74"]);
    // The page begins amid the ties of an upstream page.
    let ties = [("7", "1"), ("7", "2"), ("7", "3")];
    let mut list = fixed(vec![ranked("", &ties, None)], 3).sorted_by_rank();
    let next = list.page(&start(), 2).unwrap().next.clone().unwrap();
    list.pages = vec![ranked("", &[("7", "1"), ("7", "8"), ("7", "9")], Some("a"))];
    list.once = vec![ranked("", &ties, None)];
    assert_eq!(list.page(&next, 2).unwrap_err(), Refusal::TieRun { nearest: Offset(0) });
}

#[test]
fn items_that_came_before_those_of_an_answer_asked_for_again_are_passed() {
    let tokens = ["", "a", "b", "c", "d"];
    let page = |number: usize| given(tokens[number], &[text(number + 5)], tokens.get(number + 1).copied());
    let mut list = fixed((0..5).map(page).collect(), 1);
    list.once = vec![given("", &["9"], None)];
    let page = list.page(&start(), 2).unwrap();
    assert_eq!((ids(&page), page.next.clone(), page.notes.requests), (vec!["9".to_owned()], None, 7));
}

#[test]
fn a_total_beside_an_answer_read_backward_contradicts_an_end() {
    let mut list = two_ways();
    let previous = before_the_second(&mut list);
    list.pages[2] = Given { total: Some(9), ..back("p", &["2", "3"], None) };
    let page = list.page(&previous, 2).unwrap();
    assert_eq!(ids(&page), ["2"]);
    let page = list.page(&page.next.clone().unwrap(), 2).unwrap();
    assert_eq!(ids(&page), ["3"]);
    assert_eq!(page.doubted_end.and_then(|doubted| doubted.said), Some(9));
}

#[test]
fn a_total_that_grew_while_a_client_went_back_does_not_contradict_an_end() {
    let mut list = two_ways();
    list.pages.iter_mut().for_each(|page| page.total = Some(4));
    let previous = before_the_second(&mut list);
    // Two items came at the head.
    list.pages.iter_mut().for_each(|page| page.total = Some(6));
    let next = list.page(&previous, 2).unwrap().next.clone().unwrap();
    let page = list.page(&next, 2).unwrap();
    assert_eq!((ids(&page), page.doubted_end), (vec!["3".to_owned(), "4".into()], None));
}

#[test]
fn a_total_that_has_changed_does_not_show_that_all_items_are_passed() {
    // After 20 items come four empty answers, and 60 items.
    for (first, expected) in [(20, 20), (19, 80), (21, 80)] {
        let mut list = fixed(rows(160, 20, |row| (20..100).contains(&row)), 20);
        list.pages.iter_mut().for_each(|page| page.total = Some(20));
        list.pages[0].total = Some(first);
        let walk = walked(&mut list, 20).unwrap();
        assert_eq!((walk.items, walk.doubted), (expected, None), "{first}");
    }
}

#[test]
fn tokens_that_go_round_through_a_gap_are_refused() {
    let pages = vec![
        ranked("", &[("4", "4")], Some("a")),
        ranked("a", &[], Some("b")),
        ranked("b", &[("2", "7")], Some("c")),
        ranked("c", &[("2", "6")], Some("d")),
        ranked("d", &[], Some("e")),
        ranked("e", &[("0", "3")], Some("f")),
        ranked("f", &[], Some("b")),
    ];
    let mut list = fixed(pages, 1).sorted_by_rank();
    assert_eq!(walked(&mut list, 1), Err(Refusal::BudgetExceeded));
}

/// The answer before the first page is the first page again, with the same link back, or with others.
#[test]
fn a_list_whose_tokens_lead_before_its_start_begins_there() {
    for declared in [true, false] {
        // Before the start come the first items again, by one token or by others, or an empty page.
        for (others, first) in [(false, &["1", "2"][..]), (true, &["1", "2"]), (false, &[])] {
            for limit in [1, 2, 3, 4, 7] {
                let mut list = Upstream::new(three_pages()).tokens(|tokens| tokens.backward = true);
                list.order.declared = declared;
                let back = |token, items, previous| Given {
                    asked: (token, true),
                    previous: Some(previous),
                    ..given(token, items, Some("a"))
                };
                let other = |token| if others { token } else { "<1" };
                list.pages[0].previous = Some("<1");
                list.pages[1].previous = Some("<3");
                list.pages[2].previous = Some("<5");
                list.pages.extend([
                    Given { next: Some("b"), ..back("<5", &["3", "4"], "<3") },
                    back("<3", &["1", "2"], "<1"),
                    back("<1", first, other("<2")),
                    back("<2", first, other("<6")),
                    back("<6", first, other("<7")),
                    back("<7", first, other("<1")),
                ]);
                let said = format!("declared: {declared}, other tokens: {others}, {first:?}, pages of {limit}");
                let (mut target, mut last) = (Some(start()), None);
                while let Some(at) = target {
                    let page = list.page(&at, limit).unwrap();
                    target = page.next.clone();
                    last = Some(page);
                }
                let last = last.unwrap();
                let (mut items, mut target, mut pages) = (ids(&last), last.previous.clone(), 0);
                while let Some(at) = target {
                    let page = list.page(&at, limit).unwrap_or_else(|refusal| panic!("{refusal:?}: {said}"));
                    items.splice(0..0, ids(&page));
                    target = page.previous.clone();
                    pages += 1;
                    assert!(pages < 9, "{said}");
                }
                assert_eq!(items, ["1", "2", "3", "4", "5"], "{said}");
            }
        }
    }
}

/// The upstream ignores the token that leads back, and answers with its first page.
#[test]
fn tokens_back_that_are_ignored_do_not_begin_a_list() {
    for declared in [true, false] {
        let mut list = Upstream::new(three_pages()).tokens(|tokens| tokens.backward = true);
        list.order.declared = declared;
        list.pages[2].previous = Some("p");
        list.pages.push(Given { asked: ("p", true), previous: Some("p"), ..given("p", &["1", "2"], Some("a")) });
        let next = list.page(&start(), 4).unwrap().next.clone().unwrap();
        let last = list.page(&next, 4).unwrap();
        let page = list.page(&last.previous.clone().unwrap(), 2);
        assert!(page.as_ref().map_or(true, |page| page.previous.is_some()), "declared: {declared}: {page:?}");
    }
}
