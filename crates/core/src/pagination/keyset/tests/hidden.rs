//! Rows that are left out after the limit, and answers that are cut, of lists that are read by filters.

use super::*;
use crate::pagination::paging::{EndEvidence, Paging};

/// The first and the last row of a gap.
type Gap = (i64, i64);

/// Returns a list of `count` rows of which these are left out, without a declared end.
fn with_gaps(count: i64, gaps: &[Gap]) -> List {
    let key = model::key("rank", Kind::Number, Ascending);
    let mut list = List::new(vec![key], (0..count).map(|row| vec![model::whole(row)]));
    let is_left_out =
        |row: usize| gaps.iter().any(|(first, last)| (*first..=*last).contains(&i64::try_from(row).unwrap()));
    let left_out =
        list.rows.iter().enumerate().filter(|(row, _)| is_left_out(*row)).map(|(_, row)| row.id().to_owned());
    list.left_out = left_out.collect();
    (list.totals, list.flips, list.cap) = (false, true, 50);
    list.order.ties = Ties::Ordered;
    list.paging =
        Paging { end: EndEvidence::Unvouched, ..Paging::new(Family::Offset, Sizes::Free { least: 1, most: Some(50) }) };
    list
}

/// Returns the ids that a walk serves until it ends, and whether its end is marked; the refusal if it is refused.
fn walked(list: &mut List, from: Target, limit: u32) -> Result<(Vec<String>, bool), Refusal> {
    let backward = from.position.is_backward();
    let (mut served, mut target) = (Vec::new(), from);
    // The bound: a walk of more pages than rows goes in circles.
    for _ in 0..list.rows.len() + 3 {
        let page = list.page(target, limit)?;
        let mut items = ids(&page);
        if backward {
            items.reverse();
        }
        served.extend(items);
        let is_marked = page.doubted_end.is_some();
        match if backward { page.previous.clone() } else { page.next.clone() } {
            Some(next) => target = next,
            None => return Ok((served, is_marked)),
        }
    }
    panic!("the walk has no end");
}

#[test]
fn a_gap_ends_no_list_that_is_read_by_filters() {
    type Flag = fn(bool) -> Option<bool>;
    let flags: [(&str, Flag); 4] =
        [("none", |_| None), ("right", Some), ("true", |_| Some(true)), ("false", |_| Some(false))];
    let lists: [(i64, &[Gap]); 6] = [
        (20, &[(1, 15)]),
        (52, &[(5, 8), (11, 32)]),
        (83, &[(14, 42), (49, 73)]),
        (115, &[(60, 89)]),
        (115, &[]),
        (60, &[(20, 29)]),
    ];
    let (mut whole, mut refused, mut faults) = (0, 0, Vec::new());
    for ((count, gaps), (flag, more)) in lists.into_iter().flat_map(|list| flags.map(|flag| (list, flag))) {
        for limit in [1, 3, 5, 10, 20] {
            let mut list = List { more, ..with_gaps(count, gaps) };
            let mut expected = list.expected();
            expected.retain(|id| !list.left_out.contains(id));
            for from in [start(), end()] {
                let is_back = from.position.is_backward();
                let said = format!("{count} without {gaps:?}, flag {flag}, pages of {limit}, backward {is_back}");
                match walked(&mut list, from, limit) {
                    Err(_) => refused += 1,
                    Ok((mut served, is_marked)) => {
                        if is_back {
                            served.reverse();
                        }
                        match served == expected {
                            true => whole += 1,
                            false if is_marked && !is_back && expected.starts_with(&served) => {}
                            false => faults.push(format!("{said}: {} of {}", served.len(), expected.len())),
                        }
                    }
                }
            }
        }
    }
    // A flag that is always false says that the list ends before a gap that is wider than the looks of small pages.
    let is_known = |fault: &String| fault.contains("flag false, pages of 1,");
    assert!(faults.iter().all(is_known) && faults.len() <= 1 && refused == 0, "{refused} refused, {faults:#?}");
    assert!(whole >= 239, "{whole} whole");
}

#[test]
fn an_answer_that_is_cut_is_no_gap_of_a_list_that_is_read_by_filters() {
    let rooms: [fn(usize) -> usize; 5] = [
        |_| 1,
        |place| if place < 20 { 50 } else { 1 },
        |place| if place < 20 { 50 } else { 2 },
        |place| if (10..40).contains(&place) { 3 } else { 50 },
        |place| [50, 3, 13, 1][place / 16 % 4],
    ];
    let (mut whole, mut faults) = (0, Vec::new());
    for (number, room) in rooms.into_iter().enumerate() {
        for (totals, limit) in [false, true].into_iter().flat_map(|totals| [1, 3, 10, 20].map(|limit| (totals, limit)))
        {
            let mut list = List { room, totals, ..with_gaps(60, &[]) };
            let expected = list.expected();
            for from in [start(), end()] {
                let is_back = from.position.is_backward();
                // Of answers of a single item, a page can't be proven.
                let Ok((mut served, is_marked)) = walked(&mut list, from, limit) else { continue };
                if is_back {
                    served.reverse();
                }
                match served == expected {
                    true => whole += 1,
                    false if is_marked && !is_back && expected.starts_with(&served) => {}
                    false => {
                        let said = format!("room {number}, totals {totals}, pages of {limit}, backward {is_back}");
                        faults.push(format!("{said}: {} of {}", served.len(), expected.len()));
                    }
                }
            }
        }
    }
    // Where answers become single rows, and nothing says that more follow, an end comes too early.
    let is_known = |fault: &String| fault.starts_with("room 4, totals false, pages of 20, backward false");
    assert!(faults.iter().all(is_known) && faults.len() <= 1, "{} walks: {faults:#?}", faults.len());
    assert!(whole >= 24, "{whole} whole");
}
