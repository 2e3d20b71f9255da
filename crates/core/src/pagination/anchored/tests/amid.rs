//! Lists that change between the answers that one page is read from.

use super::*;

/// Reads a page of a list that changes from request to request. The first answer has the ids of the first state, the
/// second answer those of the second. From the last state on, the list stays the same.
fn page_amid(mut list: List, states: &[Vec<u32>], limit: u32) -> Result<Box<Page>, Refusal> {
    let mut asked = 0;
    let mut step = resolve(PageRequest { target: start(), limit, ..list.request.clone() });
    loop {
        step = match step {
            Step::Fetch(fetches, pending) => {
                let mut answers = Vec::new();
                for fetch in fetches {
                    let Fetch::Slice(slice, _) = fetch else { panic!("{fetch:?} of a list by offset") };
                    let state: &[u32] = &states[asked.min(states.len() - 1)];
                    list.items = state.iter().map(|id| (Some(id.to_string()), String::new())).collect();
                    asked += 1;
                    answers.push(list.answer(slice));
                }
                pending.resume(answers)
            }
            Step::Serve(page) => return Ok(page),
            Step::Refuse(refusal) => return Err(refusal),
        }
    }
}

/// Returns an empty list in pages of a fixed size, which never overlap.
fn in_pages_of(size: u32) -> List {
    let mut list = List::numbered(Family::Page, 0..0).capped(Family::Page, size);
    list.request.paging = Arc::new(Paging::new(Family::Page, Sizes::Fixed(size)));
    list
}

#[test]
fn a_seam_is_proven_by_the_last_item_and_not_by_an_earlier_item() {
    for moved in [7, 8] {
        // The first seven items are deleted, and `moved` is put back to its old offset: it is in place, although the
        // list shifted.
        let mut then: Vec<u32> = (7..60).filter(|id| *id != moved).collect();
        then.insert(usize::try_from(moved).unwrap(), moved);
        for limit in [12, 14] {
            let list = List::numbered(Family::Offset, 0..60).capped(Family::Offset, 10);
            let states = [(0..60).collect(), then.clone()];
            let page = page_amid(list, &states, limit).unwrap_or_else(|refusal| panic!("{refusal:?}"));
            assert_eq!(texts(&page), numbers(0..limit), "{moved} was moved");
        }
    }
}

#[test]
fn answers_that_count_otherwise_make_no_seam() {
    let all: Vec<u32> = (0..60).collect();
    let without: Vec<u32> = (0..60).filter(|id| *id != 3).collect();
    let again: Vec<u32> = (0..61).collect();
    let mut served = 0;
    for (until, away) in (1..8).flat_map(|until| [(until, 1), (until, 2)]) {
        // After the first answers, item 3 is missing for one or two requests. Then it is back, and another item is
        // appended.
        let states = [vec![all.clone(); until], vec![without.clone(); away], vec![again.clone()]].concat();
        let Ok(page) = page_amid(in_pages_of(10), &states, 14) else { continue };
        served += 1;
        assert_eq!(texts(&page), numbers(0..14), "{away} away after {until}");
    }
    assert!(served > 5, "{served} pages");
}

#[test]
fn an_answer_whose_second_reading_differs_does_not_prove_a_seam() {
    let all: Vec<u32> = (0..60).collect();
    // An item of the first page is deleted, and another is appended: every answer keeps its length and its total.
    let moved: Vec<u32> = (0..61).filter(|id| *id != 3).collect();
    for until in 1..8 {
        let states = [vec![all.clone(); until], vec![moved.clone()]].concat();
        let page = page_amid(in_pages_of(10), &states, 14).unwrap();
        let stayed: Vec<String> = texts(&page).into_iter().filter(|text| text != "3").collect();
        let expected: Vec<String> = moved.iter().take(stayed.len()).map(u32::to_string).collect();
        assert_eq!(stayed, expected, "moved after {until}");
    }
}

#[test]
fn an_empty_answer_ends_no_list_that_counts_more() {
    // The second page comes empty once. The first page, read again, counts more items than it contains.
    let all: Vec<u32> = (0..60).collect();
    let page = page_amid(in_pages_of(10), &[all.clone(), Vec::new(), all], 14).unwrap();
    assert_eq!((texts(&page), page.next.is_some()), (numbers(0..14), true));
}

#[test]
fn two_marks_that_moved_together_do_not_decide_while_the_others_are_unseen() {
    // The answer at the expected place shows only a pair of the five marks, near one of the answer's edges.
    let farther: Vec<u32> = [1, 2].into_iter().chain(5..31).chain([3, 4, 31, 32]).collect();
    let nearer: Vec<u32> = [1, 2, 3, 18, 19].into_iter().chain(4..18).chain(20..28).collect();
    for (ids, cap, target, expected) in
        [(farther, 9, amid(&[3, 4, 5], &[6, 7], 32), 6..10), (nearer, 5, amid(&[18, 19, 20], &[21, 22], 30), 21..25)]
    {
        for family in FAMILIES {
            let items = ids.iter().map(|id| (Some(id.to_string()), String::new()));
            let page = List::new(family, items).capped(family, cap).page(target.clone(), 4).unwrap();
            assert_eq!(texts(&page), numbers(expected.clone()), "{family:?}, cap {cap}");
        }
    }
}

#[test]
fn no_item_is_skipped_if_two_items_move_back_while_a_page_is_read() {
    let moved = |all: u32, block: u32, to: u32| -> Vec<u32> {
        (1..to).chain([block, block + 1]).chain((to..block).chain(block + 2..=all)).collect()
    };
    for (size, all, block, to, limit) in [(4, 24, 7, 5, 8), (10, 12, 9, 3, 12)] {
        let now = moved(all, block, to);
        for until in 1..4 {
            let states = [vec![(1..=all).collect(); until], vec![now.clone()]].concat();
            let Ok(page) = page_amid(in_pages_of(size), &states, limit) else { continue };
            // The items that stay are in sequence, and none is missing.
            let stays = |id: &u32| *id != block && *id != block + 1;
            let shown: Vec<u32> = texts(&page).iter().map(|id| id.parse().unwrap()).filter(stays).collect();
            let expected: Vec<u32> = (1..=all).filter(stays).take(shown.len()).collect();
            assert_eq!(shown, expected, "pages of {size}, after {until}");
        }
    }
}
