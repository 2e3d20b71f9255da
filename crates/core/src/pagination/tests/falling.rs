//! Answers that get shorter further down the list: a cap by bytes, or a cap that falls.

use super::*;

/// Returns the first rows of an answer: all of them if they begin before `from`, else at most `cap`.
fn falls(list: &List, slice: Slice, from: u64, cap: usize) -> Answer {
    let mut answer = list.answer(slice);
    if slice.begins().0 >= from {
        answer.items.truncate(cap);
        answer.keys.truncate(2 * cap);
    }
    answer
}

/// Returns the numbers of the rows that a walk served, and whether its end is marked.
fn served(list: &mut List, limit: u32, from: u64, cap: usize) -> Result<(Vec<u64>, bool), Refusal> {
    let (items, pages) = list.walk_of(limit, |list, slice| falls(list, slice, from, cap))?;
    let rows = items.iter().map(|item| item[4..].parse::<u64>().unwrap() - 1_000).collect();
    Ok((rows, pages.last().unwrap().doubted_end.is_some()))
}

#[test]
fn a_cap_that_falls_within_a_list_loses_no_item() {
    const ROWS: u64 = 130;
    let (mut whole, mut marked, mut refused, mut faults) = (0, 0, [0, 0], Vec::new());
    let lists =
        [Family::Offset, Family::Page].into_iter().flat_map(|family| [None, Some(ROWS)].map(|total| (family, total)));
    let falls = [(0, 1), (0, 2), (5, 1), (5, 2), (5, 7), (40, 1), (40, 3), (40, 9), (101, 2)];
    for ((family, total), (from, cap)) in lists.flat_map(|list| falls.map(|fall| (list, fall))) {
        for limit in [1, 2, 3, 5, 7, 10, 20, 25, 50, 99, 100] {
            let rows = (1_000..1_000 + ROWS).map(|rank| (rank.to_string(), rank.to_string()));
            let mut list = List { ties: Ties::Ordered, cap: 100, total, ..List::new(family, rows) };
            list.paging = Paging::new(family, Sizes::Free { least: 1, most: Some(100) });
            match served(&mut list, limit, from, cap) {
                Err(_) => refused[usize::from(cap > 1)] += 1,
                Ok((rows, _)) if rows.iter().copied().eq(0..ROWS) => whole += 1,
                Ok((rows, true)) if rows.iter().copied().eq(0..rows.len() as u64) => marked += 1,
                Ok((rows, _)) => {
                    faults.push(format!("{family:?} {total:?}, from {from} on {cap}, pages of {limit}: {rows:?}"));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{} walks: {faults:#?}", faults.len());
    // No two neighbours are ever in one answer of a single item.
    assert!(whole > 190 && marked < 20 && refused[1] < 100, "{whole} whole, {marked} marked, {refused:?} refused");
}
