//! Seams that no single answer shows. The answers on both sides of a seam count only if no item can have moved across
//! it, and none can be missing in between.

use super::*;

/// Returns a list with one row for each of these numbers, in pages by number.
fn list(sizes: Sizes, numbers: &[u64]) -> List {
    let row = |number: &u64| ((1_000 + number).to_string(), (1_000 + number).to_string());
    let list = List { ties: Ties::Ordered, ..List::new(Family::Page, numbers.iter().map(row)) };
    List { paging: Paging { end: EndEvidence::ShortPage, ..Paging::new(Family::Page, sizes) }, ..list }
}

fn after(number: u64, hinted: u64) -> Target {
    Target { position: Position::After(anchor(number)), hint: Hint { offset: Offset(hinted), ..Hint::default() } }
}

fn before(number: u64, hinted: u64) -> Target {
    Target { position: Position::Before(anchor(number)), hint: Hint { offset: Offset(hinted), ..Hint::default() } }
}

fn anchor(number: u64) -> Anchor {
    let number = || KeyValue::Number((1_000 + number).to_string());
    Anchor { keys: vec![number()], id: number() }
}

fn numbers(page: &Page) -> Vec<u64> {
    let number = |item: &[u8]| std::str::from_utf8(&item[4..]).unwrap().parse::<u64>().unwrap() - 1_000;
    (0..page.items.len()).map(|place| number(page.item(place))).collect()
}

/// Reads a page of a list in pages of three that changes from request to request. The first answer has the numbers of
/// the first state, the second answer those of the second. From the last state on, the list stays the same.
fn page_amid(states: &[Vec<u64>], target: Target, counts: bool) -> Result<Box<Page>, Refusal> {
    let mut asked = 0;
    list(Sizes::Fixed(3), &[]).page_of(target, 3, |_, fetch| {
        let state = &states[asked.min(states.len() - 1)];
        asked += 1;
        let total = counts.then_some(state.len() as u64);
        List { total, cap: 3, ..list(Sizes::Fixed(3), state) }.answer(fetch)
    })
}

/// Asserts that a page contains the nearest of the numbers in `beyond` that existed all the time.
#[track_caller]
fn shows_the_nearest(page: Result<Box<Page>, Refusal>, states: &[Vec<u64>], mut beyond: impl Iterator<Item = u64>) {
    let Ok(page) = page else { return };
    let nearest = beyond.find(|number| states.iter().all(|state| state.contains(number))).unwrap();
    let shown = numbers(&page);
    assert!(shown.contains(&nearest), "{nearest} is left out: {shown:?} of {states:?}");
    assert!(shown.is_sorted_by(|one, other| one < other), "{shown:?} of {states:?}");
}

/// Returns the twelve multiples of ten from 0 to 110.
fn tens() -> Vec<u64> {
    (0..12).map(|row| row * 10).collect()
}

#[test]
fn items_that_move_across_a_seam_while_it_is_read_are_not_left_out() {
    let without = |gone: &[u64]| -> Vec<u64> { tens().into_iter().filter(|number| !gone.contains(number)).collect() };
    let mut served = 0;
    for changed in [without(&[0]), without(&[0, 10]), without(&[20]), without(&[50]), without(&[30, 40])] {
        for (first, then) in [(tens(), changed.clone()), (changed.clone(), tens())] {
            for changes_after in 1..8 {
                let mut states = vec![first.clone(); changes_after];
                states.push(then.clone());
                for counts in [false, true] {
                    let page = page_amid(&states, after(20, 3), counts);
                    served += u32::from(page.is_ok());
                    shows_the_nearest(page, &states, (3..12).map(|row| row * 10));
                    let page = page_amid(&states, before(60, 6), counts);
                    served += u32::from(page.is_ok());
                    shows_the_nearest(page, &states, (0..6).rev().map(|row| row * 10));
                }
            }
        }
    }
    assert!(served > 200, "{served} pages");
}

#[test]
fn a_page_with_equal_ends_and_a_different_middle_is_a_different_page() {
    // 30 and 50 are at the two ends of the second page in the first and in the last state. In between 20 was on that
    // page, but the first reading didn't show this.
    let put_before = vec![0, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90];
    let between = vec![0, 10, 20, 30, 45, 50, 60, 70, 80, 90];
    let states = [tens(), put_before, between];
    let page = page_amid(&states, after(10, 3), false);
    assert_eq!(page.as_ref().map(|page| numbers(page)).ok(), Some(vec![20, 30, 45]), "{page:?}");
    shows_the_nearest(page, &states, (2..12).map(|row| row * 10));
}

#[test]
fn replicas_of_which_one_lags_leave_nothing_out() {
    // One of two replicas lacks the first row, and the two answer in turn, so two readings of one page agree.
    let lags = tens().split_off(1);
    for turn in [0, 1] {
        let states: Vec<Vec<u64>> =
            (0..60).map(|asked| if asked % 2 == turn { lags.clone() } else { tens() }).collect();
        for hinted in [2, 3, 4] {
            shows_the_nearest(page_amid(&states, after(20, hinted), true), &states, (3..12).map(|row| row * 10));
        }
        for hinted in [5, 6, 7] {
            shows_the_nearest(page_amid(&states, before(60, hinted), true), &states, (1..6).rev().map(|row| row * 10));
        }
    }
}

#[test]
fn pages_of_which_the_first_was_cut_leave_out_no_row_that_is_shown() {
    // This many rows of each page come. The same number on all pages would look like a cap. If the size is fixed, no
    // request shows the other rows: rows that a limit of bytes cuts off look like rows that are left out.
    for room in [[2, 3], [2, 1], [1, 2], [1, 3]] {
        let cut = |list: &List, slice: Slice| {
            let Slice::Page { number, .. } = slice else { panic!("{slice:?}") };
            let mut answer = list.answer(slice);
            let room = room[usize::try_from(number.0).unwrap() % 2];
            answer.items.truncate(room);
            answer.keys.truncate(room * 2);
            answer
        };
        let shown = |row: u64| (row % 3) < room[usize::try_from(row / 3 % 2).unwrap()] as u64;
        for (at, hinted) in [(10, 2), (10, 3), (0, 1), (0, 3)] {
            let mut list = List { cap: 3, total: Some(12), ..list(Sizes::Fixed(3), &tens()) };
            list.paging.end = EndEvidence::Unvouched;
            if let Ok(page) = list.page_of(after(at, hinted), 1, cut) {
                let next = (0..12_u64).find(|row| *row * 10 > at && shown(*row)).map(|row| row * 10);
                assert_eq!(numbers(&page).first().copied(), next, "{room:?} after {at}, believed at {hinted}");
            }
        }
    }
}

#[test]
fn a_page_that_states_another_offset_is_not_a_neighbour() {
    for counts in [false, true] {
        let mut list = List { cap: 3, total: counts.then_some(12), ..list(Sizes::Fixed(3), &tens()) };
        // The upstream answers a request for the second page with the third page, and states its offset.
        let third = |list: &List, slice: Slice| match slice {
            Slice::Page { number: window::PageNumber(1), size } => {
                let third = Slice::Page { number: window::PageNumber(2), size };
                Answer { offset: Some(6), ..list.answer(third) }
            }
            _ => list.answer(slice),
        };
        for limit in [1, 3] {
            if let Ok(page) = list.page_of(after(20, 3), limit, third) {
                assert_eq!(numbers(&page).first(), Some(&30), "pages of {limit}");
            }
        }
    }
}

#[test]
fn pages_of_two_sizes_are_not_neighbours_under_a_silent_cap() {
    let all: Vec<u64> = (0..30).collect();
    for (sizes, cap) in [(vec![2, 3], 2), (vec![3, 4], 3), (vec![2, 3, 5], 2), (vec![2, 3, 5], 3), (vec![3, 5], 3)] {
        for (place, total, limit) in (4..20).flat_map(|place| {
            [None, Some(30)].into_iter().flat_map(move |total| [1, 3, 5].map(|limit| (place, total, limit)))
        }) {
            // No cap is known before the walk.
            let unknown = || {
                let mut list = List { cap, total, ..list(Sizes::Listed(sizes.clone()), &all) };
                list.paging.end = EndEvidence::Unvouched;
                list
            };
            if let Ok(page) = unknown().page(after(place, place + 1), limit) {
                assert_eq!(numbers(&page).first(), Some(&(place + 1)), "{sizes:?}, cap {cap}");
            }
            if let Ok(page) = unknown().page(before(place, place), limit) {
                assert_eq!(numbers(&page).last(), Some(&(place - 1)), "{sizes:?}, cap {cap}");
            }
        }
    }
}

#[test]
fn a_shuffled_run_repeated_by_chance_is_not_a_repeated_last_page() {
    for size in [2, 3] {
        // Four rows tie and are shuffled with each query, so two pages may show the same rows.
        let rows = (0..4).map(|id| ("7".to_owned(), (100 + id).to_string()));
        let mut list = List { cap: size, ..List::new(Family::Page, rows) };
        list.paging = Paging { repeats_last_page: true, ..Paging::new(Family::Page, Sizes::Fixed(size)) };
        let alike =
            |list: &List, slice: Slice| list.answer(Slice::Page { number: window::PageNumber(0), size: slice.size() });
        for limit in [2, 3, 5] {
            let page = list.page_of(start(), limit, alike);
            assert!(!page.as_ref().is_ok_and(|page| page.next.is_none()), "{size}, {limit}: {page:?}");
        }
    }
}

#[test]
fn a_page_of_neighbours_is_checked_on_both_sides_of_its_boundary() {
    for at in 3..9 {
        for target in [after(at * 10, at + 1), before(at * 10, at)] {
            let page = page_amid(&[tens()], target.clone(), true).unwrap();
            let level = if page.notes.requests > 1 { Level::Checked } else { Level::Exact };
            assert_eq!((page.items.len(), page.level()), (3, level), "{target:?}: {}", page.notes.requests);
        }
    }
}

#[test]
fn an_item_that_moves_on_between_two_answers_of_a_page_is_on_it_once() {
    let rows = |ranks: [u64; 8]| {
        let mut rows: Vec<(u64, u64)> = ranks.into_iter().zip(0..).collect();
        rows.sort_unstable();
        List::new(Family::Offset, rows.into_iter().map(|(rank, id)| ((100 + rank).to_string(), (100 + id).to_string())))
    };
    for until in 1..6 {
        let mut asked = 0;
        let mut list = List { cap: 4, ties: Ties::Ordered, ..rows([0, 10, 20, 30, 40, 50, 60, 70]) };
        list.paging.sizes = Sizes::Free { least: 1, most: Some(4) };
        let page = list.page_of(Target { position: Position::Start, hint: Hint::default() }, 6, |list, slice| {
            asked += 1;
            // The second row moves to the place from which the page continues.
            let moved = List { cap: 4, ..rows([0, 45, 20, 30, 40, 50, 60, 70]) };
            if asked > until { moved.answer(slice) } else { list.answer(slice) }
        });
        let page = page.unwrap_or_else(|refusal| panic!("after {until}: {refusal:?}"));
        let mut ids: Vec<&[u8]> = (0..page.items.len()).map(|place| &page.item(place)[3..]).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), page.items.len(), "after {until}: an item comes twice");
    }
}

#[test]
fn an_id_that_comes_twice_in_an_answer_is_refused() {
    for (ids, is_refused) in [([5, 6, 7], false), ([5, 6, 5], true), ([6, 5, 5], true)] {
        let rows = (1..).zip(ids).map(|(rank, id)| (rank.to_string(), id.to_string()));
        let mut list = List { ties: Ties::Ordered, ..List::new(Family::Offset, rows) };
        let page = list.page(Target { position: Position::Start, hint: Hint::default() }, 3);
        assert_eq!(matches!(page, Err(Refusal::Unsorted(_))), is_refused, "{ids:?}: {page:?}");
    }
    let mut list =
        List { by_id: true, ..List::new(Family::Offset, [5, 6, 6].map(|id| ("1".into(), id.to_string())).into_iter()) };
    let page = list.page(Target { position: Position::Start, hint: Hint::default() }, 3);
    assert!(matches!(&page, Err(Refusal::Unsorted(it)) if it.cause == Cause::Twice), "sorted by id: {page:?}");
}

/// Returns a list of runs of ties with these numbers of rows, in pages by number under a silent cap.
fn runs_by_number(runs: &[usize], most: u32, cap: u32) -> List {
    let ranks = runs.iter().enumerate().flat_map(|(rank, count)| std::iter::repeat_n(10 + rank, *count));
    let rows = ranks.enumerate().map(|(row, rank)| (rank.to_string(), (100 + row).to_string()));
    let list = List { cap, ..List::new(Family::Page, rows) };
    List { paging: Paging::new(Family::Page, Sizes::Free { least: 1, most: Some(most) }), ..list }
}

#[test]
fn pages_that_a_silent_cap_cuts_are_joined_by_its_size() {
    for (most, total, repeats) in [(57, Some(13), true), (57, Some(13), false), (7, None, false), (20, None, false)] {
        let mut list = runs_by_number(&[1, 1, 1, 1, 3, 3, 3], most, 7);
        (list.total, list.paging.repeats_last_page) = (total, repeats);
        for limit in [1, 3, 5, 7] {
            let repeated = |list: &List, slice: Slice| {
                let answer = list.answer(slice);
                let Slice::Page { size, .. } = slice else { return answer };
                let size = size.0.min(list.cap) as usize;
                let last = (list.rows.len() - 1) / size;
                let last = Slice::Page { number: window::PageNumber(last as u64), size: slice.size() };
                if answer.items.is_empty() && repeats { list.answer(last) } else { answer }
            };
            let walked = list.walk_of(limit, repeated);
            let walked = walked.map(|(items, _)| items);
            assert_eq!(walked.as_ref(), Ok(&list.all()), "sizes up to {most}, {total:?}, pages of {limit}");
        }
    }
}

#[test]
fn a_run_over_the_last_two_pages_is_read_with_the_one_after_them() {
    for before in 0..12 {
        for run in 2..=7 {
            let mut list = runs_by_number(&[before, run], 7, 7);
            let end = Target { position: Position::End, hint: Hint::default() };
            let Ok(page) = list.page(end, 2) else {
                // Neither two nor three pages of any size show the run with both of its neighbours.
                assert_eq!((before, run), (7, 7));
                continue;
            };
            let last = list.all()[before + run - 2..].to_vec();
            let shown: Vec<_> = (0..2).map(|item| String::from_utf8(page.item(item).to_vec()).unwrap()).collect();
            assert_eq!(shown, last, "{before} rows, and {run} ties");
        }
    }
}
