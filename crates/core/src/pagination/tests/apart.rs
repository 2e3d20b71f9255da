//! Boundaries whose place an answer doesn't show, because they are next to an opaque value that the answer lacks.

use super::{List, start};
use crate::pagination::{
    answer::Answer,
    key::KeyValue,
    order::{Kind, Ties},
    paging::Family,
    position::{Anchor, Hint, Position, Target},
    refusal::Refusal,
    window::{Offset, Slice},
};

/// Returns a list sorted by opaque values, all different.
fn opaque(family: Family, count: usize) -> List {
    let row = |row: usize| (format!("\"{:02}\"", row * 37 % 100), (100 + row).to_string());
    List { kind: Kind::Opaque, ties: Ties::Ordered, ..List::new(family, (0..count).map(row)) }
}

/// Returns the target after a row that exists, or existed.
fn after(value: &str, id: &str, hinted: u64) -> Target {
    let anchor = Anchor { keys: vec![KeyValue::Text(value.into())], id: KeyValue::Number(id.into()) };
    Target { position: Position::After(anchor), hint: Hint { offset: Offset(hinted), run: 1, ..Hint::default() } }
}

#[test]
fn a_value_that_a_silent_cap_kept_out_of_an_answer_is_looked_for_where_it_was() {
    for family in [Family::Offset, Family::Page] {
        for cap in [4, 7, 18] {
            let mut list = opaque(family, 60);
            list.cap = cap;
            let said = |list: &List, slice: Slice| {
                let answer = list.answer(slice);
                let after = slice.begins().0 + answer.items.len() as u64;
                Answer { more: Some(after < 60), ..answer }
            };
            assert_eq!(list.walk_of(1, said).map(|(items, _)| items), Ok(list.all()), "{family:?} {cap}");
        }
    }
}

#[test]
fn a_value_that_is_gone_is_refused_with_a_place_in_the_list() {
    for family in [Family::Offset, Family::Page] {
        for left in 1..20 {
            for more in [None, Some(true)] {
                let mut list = opaque(family, left);
                let stale = |list: &List, slice: Slice| Answer { more, ..list.answer(slice) };
                match list.page_of(after("gone", "99", 20), 5, stale) {
                    Err(Refusal::PositionLost { nearest }) => {
                        assert!(nearest.0 < left as u64, "{nearest:?} of {left}, {family:?}");
                    }
                    other => panic!("{left} left, {family:?}: {other:?}"),
                }
                assert!(list.page(start(), 5).is_ok());
            }
        }
    }
}

#[test]
fn a_row_of_a_run_whose_ids_do_not_compare_is_looked_for_along_the_run() {
    // The rows share one value, and their ids have an unknown collation: only the row itself shows its place.
    let row = |row: usize| ("\"same\"".to_owned(), format!("\"k{row:02}\""));
    for family in [Family::Offset, Family::Page] {
        for at in 0..30 {
            let mut list = List {
                kind: Kind::Opaque,
                ties: Ties::Ordered,
                cap: 20,
                total: Some(30),
                ..List::new(family, (0..30).map(row))
            };
            let id = KeyValue::Text(format!("k{at:02}").into());
            let place = Anchor { keys: vec![KeyValue::Text("same".into())], id };
            let page = list.page(Target { position: Position::After(place), hint: Hint::default() }, 5).unwrap();
            assert_eq!(page.items.len(), 5.min(30 - at - 1), "{family:?} after row {at}");
        }
    }
}

/// The first answer has two rows. Before the next answer, the first row moves to after the third, and a new row takes
/// its place.
#[test]
fn a_page_of_which_an_answer_shows_another_sequence_is_refused() {
    let mut list = opaque(Family::Offset, 12);
    let mut moved = opaque(Family::Offset, 12);
    moved.rows[..3].rotate_left(1);
    moved.rows.insert(0, ("\"new\"".to_owned(), "200".to_owned()));
    let mut asked = 0;
    let page = list.page_of(start(), 4, |_, slice| {
        asked += 1;
        if asked == 1 { List { cap: 2, ..opaque(Family::Offset, 12) }.answer(slice) } else { moved.answer(slice) }
    });
    assert!(matches!(page, Err(Refusal::PositionLost { .. })), "{page:?}");
}
