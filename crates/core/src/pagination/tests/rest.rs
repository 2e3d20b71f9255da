//! Lists that don't change while they are read, or change once between two pages: what is refused is refused for ever.

use super::*;
use crate::pagination::paging::CountedThings;

fn numbered(family: Family, count: u64) -> List {
    let rows = (0..count).map(|row| ((10_000 + row).to_string(), (10_000 + row).to_string()));
    let mut list = List { cap: 100, ..List::new(family, rows) };
    list.paging.sizes = Sizes::Free { least: 1, most: Some(100) };
    list
}

/// Returns the list with the items of each run of ties in another sequence.
fn shuffled(list: &List, run: usize, times: usize) -> List {
    let rows = list.rows.iter().cloned();
    let mut list = List { total: list.total, cap: list.cap, ..List::new(list.paging.family, rows) };
    for (place, tied) in list.rows.chunks_mut(run).enumerate() {
        let length = tied.len();
        tied.rotate_left((times + place) % length);
    }
    list
}

/// The last items are removed, so the place of a page before them is the end of the list.
#[test]
fn a_page_before_removed_last_items_is_read_wherever_its_list_ends() {
    for (family, counts) in
        [Family::Page, Family::Offset].into_iter().flat_map(|family| [true, false].map(|counts| (family, counts)))
    {
        for (run, count, limit) in [
            (1, 116, 5),
            (1, 106, 7),
            (1, 506, 5),
            (2, 116, 1),
            (2, 121, 3),
            (5, 106, 5),
            (5, 116, 20),
            (5, 201, 20),
            (5, 506, 5),
        ] {
            for (removed, pages_back) in [(1, 0), (1, 4), (2, 1), (5, 0), (6, 1), (11, 4)] {
                let mut list = numbered(family, count);
                for (place, row) in list.rows.iter_mut().enumerate() {
                    row.0 = (1_000 + place / run).to_string();
                }
                list.total = counts.then_some(count);
                let mut asked = 0;
                // The items of a run come in another sequence in each answer.
                let mut shuffled = |list: &List, slice: Slice| {
                    asked += 1;
                    shuffled(list, run, asked).answer(slice)
                };
                let said =
                    format!("{family:?} {counts} run {run} of {count} at limit {limit}, {removed} of {pages_back}");
                let (_, pages) =
                    list.walk_of(limit, &mut shuffled).unwrap_or_else(|refusal| panic!("{refusal:?} {said}"));
                let page = &pages[pages.len() - 1 - pages_back];
                let target = page.previous.clone().unwrap();
                let first = list.all().iter().position(|row| row.as_bytes() == page.item(0)).unwrap();
                list.rows.truncate(first + 1 - removed);
                list.total = counts.then_some(list.rows.len() as u64);
                let page =
                    list.page_of(target, limit, &mut shuffled).unwrap_or_else(|refusal| panic!("{refusal:?} {said}"));
                let items: Vec<&[u8]> = (0..page.items.len()).map(|place| page.item(place)).collect();
                let all = list.all();
                let expected = &all[all.len().saturating_sub(limit as usize)..];
                assert!(items.iter().copied().eq(expected.iter().map(String::as_bytes)), "{said}");
                assert!(page.notes.requests <= 24, "{said}: {} requests", page.notes.requests);
            }
        }
    }
}

/// The items after the cursor's were removed, and the cursor's item too.
#[test]
fn a_page_after_removed_last_items_ends_the_list() {
    for family in [Family::Page, Family::Offset] {
        for (run, count, limit, removed) in [(1, 116, 5, 1), (2, 106, 7, 11), (2, 121, 3, 11), (5, 106, 5, 2)] {
            let mut list = numbered(family, count);
            for (place, row) in list.rows.iter_mut().enumerate() {
                row.0 = (1_000 + place / run).to_string();
            }
            let mut asked = 0;
            let mut shuffled = |list: &List, slice: Slice| {
                asked += 1;
                shuffled(list, run, asked).answer(slice)
            };
            let (_, pages) = list.walk_of(limit, &mut shuffled).unwrap();
            let page = &pages[pages.len() - 6];
            let last = list.all().iter().position(|row| row.as_bytes() == page.item(page.items.len() - 1)).unwrap();
            list.rows.truncate(last + 1 - removed);
            let said = format!("{family:?} run {run} of {count} at limit {limit}");
            let page = list.page_of(page.next.clone().unwrap(), limit, &mut shuffled);
            let page = page.unwrap_or_else(|refusal| panic!("{refusal:?} {said}"));
            assert_eq!((page.items.len(), page.next.is_none()), (0, true), "{said}");
            assert!(page.notes.requests <= 20, "{said}: {} requests", page.notes.requests);
        }
    }
}

/// Reads back to the start. Returns the items in the sequence of the list, and the largest number of requests for a page.
fn walk_back(list: &mut List, mut target: Option<Target>, limit: u32) -> (Vec<String>, u32) {
    let (mut items, mut most) = (Vec::new(), 0);
    while let Some(at) = target {
        let page = list.page(at, limit).unwrap_or_else(|refusal| panic!("{refusal:?} before {:?}", items.first()));
        items.splice(..0, (0..page.items.len()).map(|place| String::from_utf8(page.item(place).to_vec()).unwrap()));
        most = most.max(page.notes.requests);
        target = page.previous.clone();
        assert!(items.len() <= list.rows.len(), "the walk has no end");
    }
    (items, most)
}

#[test]
fn a_page_before_the_last_one_is_found_whatever_too_low_total_is_said() {
    for family in [Family::Page, Family::Offset] {
        for total in [1, 100, 240, 256] {
            for limit in [1, 2, 3, 5, 7, 10, 20, 25, 50, 90, 100] {
                let mut list = numbered(family, 257);
                list.total = Some(total);
                let (items, pages) = list.walk(limit).unwrap();
                assert_eq!(items, list.all(), "{family:?} {total} at limit {limit}");
                let (before, all) = (pages.last().unwrap(), list.all());
                let (items, most) = walk_back(&mut list, before.previous.clone(), limit);
                assert_eq!(items, all[..257 - before.items.len()], "{family:?} {total} at limit {limit}");
                assert!(most <= 12, "{family:?} {total} at limit {limit}: {most} requests");
                let last = pages[0].last.clone();
                let end = last.unwrap_or_else(|| Target { position: Position::End, hint: Hint::default() });
                let (items, most) = walk_back(&mut list, Some(end), limit);
                assert_eq!(items, all, "{family:?} {total} at limit {limit} from the end");
                assert!(most <= 16, "{family:?} {total} at limit {limit}: {most} requests from the end");
            }
        }
    }
}

#[test]
fn the_last_page_of_a_list_with_hidden_rows_is_found_by_its_total() {
    for (family, ties) in [Family::Page, Family::Offset]
        .into_iter()
        .flat_map(|family| [Ties::Ordered, Ties::Unordered].map(|ties| (family, ties)))
    {
        for (count, nth) in [(120, 7), (1_003, 7), (300, 3)] {
            for limit in [1, 2, 3, 5, 7, 10, 20, 50, 100] {
                let mut list = List { ties, total: Some(count), ..numbered(family, count) };
                (list.paging.hidden, list.paging.counted) = (true, CountedThings::Rows);
                let mut shown = |list: &List, slice: Slice| only(list, slice, |row| !(row + 1).is_multiple_of(nth));
                let first = list.page_of(start(), limit, &mut shown).unwrap();
                let said = format!("{family:?} {ties:?} {count} without each {nth}th at limit {limit}");
                let page = list.page_of(first.last.clone().unwrap(), limit, &mut shown);
                let page = page.unwrap_or_else(|refusal| panic!("{refusal:?} {said}"));
                let mut expected: Vec<String> = list
                    .all()
                    .into_iter()
                    .enumerate()
                    .filter(|row| !(row.0 as u64 + 1).is_multiple_of(nth))
                    .map(|row| row.1)
                    .collect();
                expected.drain(..expected.len() - limit as usize);
                let items: Vec<&[u8]> = (0..page.items.len()).map(|place| page.item(place)).collect();
                assert!(items.iter().copied().eq(expected.iter().map(String::as_bytes)), "{said}");
                assert_eq!((page.next.is_none(), page.level()), (true, Level::Checked), "{said}");
                assert!(page.notes.requests <= 16, "{said}: {} requests", page.notes.requests);
            }
        }
    }
}

/// Returns the answer of an upstream that counts its pages from 0, while its dialect says from 1.
fn counted_from_0(list: &List, slice: Slice) -> Answer {
    match slice {
        Slice::Page { number, size } => list.answer(Slice::Page { number: window::PageNumber(number.0 + 1), size }),
        Slice::Offset { .. } => panic!("an offset of a list by page"),
    }
}

/// The largest page skips the whole list.
fn moved(total: Option<u64>) -> List {
    let mut list = List { by_id: true, cap: 1_000, total, ties: Ties::Ordered, ..numbered(Family::Page, 203) };
    list.paging = Paging::new(Family::Page, Sizes::Free { least: 1, most: None });
    list
}

#[test]
fn pages_that_overlap_without_a_shared_item_are_not_joined() {
    for (total, limit) in [Some(203), None].into_iter().flat_map(|total| [1, 2, 3, 7, 20].map(|limit| (total, limit))) {
        let mut list = moved(total);
        let all = list.all();
        let (mut target, mut last) = (Some(start()), None);
        while let Some(at) = target {
            let Ok(page) = list.page_of(at, limit, counted_from_0) else { break };
            for item in 0..page.items.len() {
                let row = all.iter().position(|other| other.as_bytes() == page.item(item)).unwrap();
                let joined = last.replace(row).is_none_or(|last| last + 1 == row);
                assert!(joined, "{row} at limit {limit}, total {total:?}");
            }
            target = page.next.clone();
        }
    }
}

#[test]
fn pages_that_are_counted_from_another_number_show_no_empty_list() {
    for limit in [1, 7, 20, 100] {
        let mut list = moved(Some(203));
        let last = list.page_of(start(), limit, counted_from_0).unwrap().last.clone().unwrap();
        if let Ok(page) = list.page_of(last, limit, counted_from_0) {
            assert!(!page.items.is_empty() || page.doubted_end.is_some(), "limit {limit}: {page:?}");
        }
    }
}

/// Walks to the end and back over a list without some rows, which the dialect doesn't declare.
fn walk_without(list: &mut List, limit: u32, is_left_out: impl Fn(u64) -> bool + Copy) {
    let said = format!("{:?} {:?} at limit {limit}", list.paging.family, list.total);
    let mut shown = |list: &List, slice: Slice| only(list, slice, |row| !is_left_out(row));
    let all = list.all().into_iter().enumerate();
    let all: Vec<String> = all.filter(|row| !is_left_out(row.0 as u64)).map(|row| row.1).collect();
    let (items, pages) = list.walk_of(limit, &mut shown).unwrap_or_else(|refusal| panic!("{refusal:?} {said}"));
    assert_eq!(items, all, "{said}");
    let last = pages.last().unwrap();
    let (mut target, mut left) = (last.previous.clone(), all.len() - last.items.len());
    while let Some(at) = target {
        let page = list.page_of(at, limit, &mut shown).unwrap_or_else(|refusal| panic!("{refusal:?} back {said}"));
        let first = left - page.items.len();
        let items = (0..page.items.len()).map(|place| page.item(place));
        assert!(items.eq(all[first..left].iter().map(String::as_bytes)), "back {said}");
        (target, left) = (page.previous.clone(), first);
    }
    assert_eq!(left, 0, "{said}");
}

#[test]
fn a_first_page_after_left_out_rows_is_read_at_every_limit() {
    for total in [None, Some(20), Some(8)] {
        for limit in [1, 5, 7, 10, 19, 20] {
            let mut list = List { ties: Ties::Ordered, cap: 50, total, ..numbered(Family::Offset, 20) };
            list.paging.sizes = Sizes::Free { least: 1, most: Some(50) };
            walk_without(&mut list, limit, |row| row < 12);
        }
    }
}

#[test]
fn a_page_back_over_left_out_rows_is_read_at_every_limit() {
    let lists = [
        (Family::Page, 13, 1..4, 5),
        (Family::Page, 13, 1..4, 7),
        (Family::Offset, 29, 4..14, 10),
        (Family::Offset, 29, 4..14, 5),
    ];
    for (family, count, gap, limit) in lists {
        let gone = gap.end - gap.start;
        for total in [None, Some(count), Some(count - gone), Some(count - gone + 3)] {
            let mut list = List { ties: Ties::Ordered, cap: 50, total, ..numbered(family, count) };
            list.paging.sizes = Sizes::Free { least: 1, most: Some(50) };
            walk_without(&mut list, limit, |row| (gap.start..gap.end).contains(&row));
        }
    }
}

/// Fixed pages whose total counts the items that are shown, so it names no place.
#[test]
fn a_page_back_is_found_between_two_steps_to_the_end() {
    for (gap, total) in [(29..59, 70), (29..59, 100), (20..60, 60), (25..80, 45), (54..84, 70)] {
        for limit in [7, 10, 20] {
            let mut list = List { ties: Ties::Ordered, total: Some(total), cap: 20, ..numbered(Family::Page, 100) };
            (list.paging.sizes, list.paging.hidden) = (Sizes::Fixed(20), true);
            walk_without(&mut list, limit, |row| gap.contains(&row));
        }
    }
}

/// Rows are left out, which the dialect doesn't declare, and no two items tie.
#[test]
fn a_list_without_long_runs_is_not_refused_for_a_run() {
    let mut refused = 0;
    for total in [None, Some(20), Some(8), Some(5)] {
        let mut list = List { cap: 50, total, ..numbered(Family::Offset, 20) };
        list.paging.sizes = Sizes::Free { least: 1, most: Some(50) };
        let shown = |list: &List, slice: Slice| only(list, slice, |row| row >= 12);
        let (_, pages) = list.walk_of(7, shown).unwrap_or_else(|refusal| panic!("{refusal:?} {total:?}"));
        if let Err(refusal) = list.page_of(pages.last().unwrap().previous.clone().unwrap(), 7, shown) {
            assert!(matches!(refusal, Refusal::PositionLost { .. }), "{refusal:?} beside a total of {total:?}");
            refused += 1;
        }
    }
    assert!(refused > 0, "no page back is refused");
}

/// Three of ten rows are left out, so no answer is full, and a silent cap could have made each of them short. An edge
/// that is at its place shows that no cap did: without it, 11 of these walks are refused for ever.
#[test]
fn a_list_by_page_goes_on_after_left_out_rows_in_its_first_page() {
    let mut refused = Vec::new();
    for (seed, limit) in (0..200).flat_map(|seed| [7, 10, 20].map(|limit| (seed, limit))) {
        let is_shown = |row: u64| mixed(row + 1_000 * seed) % 10 >= 3;
        let mut list = List { ties: Ties::Ordered, cap: 100, ..numbered(Family::Page, 300) };
        let all: Vec<String> = (0..).zip(list.all()).filter(|row| is_shown(row.0)).map(|row| row.1).collect();
        match list.walk_of(limit, |list: &List, slice: Slice| only(list, slice, is_shown)) {
            Ok((items, _)) => assert_eq!(items, all, "{seed} at limit {limit}"),
            Err(refusal) => refused.push(format!("{seed} at limit {limit}: {refusal:?}")),
        }
    }
    assert!(refused.len() <= 2, "{refused:?}");
}

/// The upstream refuses places past the end by a status, which the dialect doesn't declare.
#[test]
fn a_refusal_past_the_end_fails_no_page() {
    let mut faults = Vec::new();
    let kinds = [Family::Page, Family::Offset].into_iter().flat_map(|family| {
        [(true, Standing::Refused), (false, Standing::Refused), (false, Standing::PastEnd)]
            .map(|(counts, standing)| (family, counts, standing))
    });
    for (family, counts, standing) in kinds {
        for count in (0..13).chain([60, 89, 90, 95, 100, 101, 190, 195, 198, 203, 295]) {
            // No answer of such a list shows its end, where ties come in any order: only the next request does.
            let needs_next = standing == Standing::Refused && !counts && (2..5).contains(&count);
            let refused = Some((count, standing.clone()));
            for (limit, by_id) in
                [1, 7, 20, 49, 90, 99, 100].into_iter().flat_map(|limit| [(limit, false), (limit, true)])
            {
                let mut list = List { refused: refused.clone(), by_id, ..numbered(family, count) };
                list.total = counts.then_some(count);
                let said = format!("{family:?} {standing:?} {counts} {by_id} {count} at limit {limit}");
                match list.walk(limit) {
                    Ok((items, pages)) if items == list.all() => {
                        let mut target = pages.last().and_then(|page| page.previous.clone());
                        while let Some(at) = target {
                            match list.page(at, limit) {
                                Ok(page) => target = page.previous.clone(),
                                Err(refusal) => {
                                    faults.push(format!("{said}, back: {refusal:?}"));
                                    break;
                                }
                            }
                        }
                    }
                    Ok((items, _)) => faults.push(format!("{said}: {} items", items.len())),
                    Err(Refusal::NoList) if needs_next => {}
                    Err(refusal) => faults.push(format!("{said}: {refusal:?}")),
                }
            }
        }
    }
    assert!(faults.is_empty(), "{} walks: {faults:#?}", faults.len());
}

/// The page fails with the upstream's own refusal, which says more than a refusal of the gateway.
#[test]
fn a_refusal_in_the_middle_ends_no_list() {
    let (mut faults, mut refused) = (Vec::new(), 0);
    for family in [Family::Page, Family::Offset] {
        for (count, counts) in
            [60, 90, 203, 400].into_iter().flat_map(|count| [true, false].map(|counts| (count, counts)))
        {
            for from in [1, 7, 30, 59, 90, 100, 150, 199].into_iter().filter(|from| *from < count - 1) {
                for limit in [1, 7, 20, 49, 90, 100] {
                    let mut list = List { refused: Some((from, Standing::Refused)), ..numbered(family, count) };
                    list.total = counts.then_some(count);
                    let said = format!("{family:?} {counts} {count} refused from {from} at limit {limit}");
                    match list.walk(limit) {
                        Ok((items, _)) if items == list.all() => {}
                        Ok((items, _)) => faults.push(format!("{said}: {} items", items.len())),
                        Err(Refusal::NoList) => refused += 1,
                        Err(refusal) => faults.push(format!("{said}: {refusal:?}")),
                    }
                }
            }
        }
    }
    assert!(faults.is_empty(), "{} walks, {refused} refused by the upstream: {faults:#?}", faults.len());
}

/// Rows are left out all over a list by page, which the dialect doesn't declare. The sizes of the search then move the
/// place, until its requests are spent.
#[test]
fn a_page_back_over_rows_left_out_in_silence_is_read_by_a_sweep() {
    let mut walks = 0;
    for (share, seed) in [10, 30].into_iter().flat_map(|share| (0..10).map(move |seed| (share, seed))) {
        for (limit, counts_rows) in [(10, false), (10, true), (20, false), (20, true)] {
            let is_shown = |row: u64| mixed(row + 1_000 * seed) % 100 >= share;
            let mut list = List { ties: Ties::Ordered, ..numbered(Family::Page, 300) };
            list.total = Some((0..300).filter(|row| counts_rows || is_shown(*row)).count() as u64);
            let shown = |list: &List, slice: Slice| only(list, slice, is_shown);
            let Ok((items, pages)) = list.walk_of(limit, shown) else { continue };
            let last = pages.last().unwrap();
            let (mut target, mut left) = (last.previous.clone(), items.len() - last.items.len());
            while let Some(at) = target {
                let page = list.page_of(at, limit, shown);
                let page = page.unwrap_or_else(|refusal| panic!("{refusal:?} {share} {seed} at limit {limit}"));
                let first = left - page.items.len();
                let read = (0..page.items.len()).map(|item| page.item(item));
                assert!(read.eq(items[first..left].iter().map(String::as_bytes)), "{share} {seed} at limit {limit}");
                (target, left) = (page.previous.clone(), first);
            }
            assert_eq!(left, 0, "{share} {seed} at limit {limit}");
            walks += 1;
        }
    }
    assert!(walks >= 76, "{walks} of 80 walks");
}
