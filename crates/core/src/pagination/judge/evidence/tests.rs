//! Tests of evidence: joined, reversed and arranged answers, and the place of an anchor among items.

use super::*;
use crate::{
    json::Span,
    pagination::{
        answer::Total,
        judge::end::{Honoured, PlaceAgreement},
        key::KeyValue,
        order::{Direction, Grain, Kind, Nulls},
        paging::{EndEvidence, Family, Sizes},
        window::{PageNumber, PageSize},
    },
};

/// Returns the order of a list that is sorted by keys of these kinds, then by a numeric id.
fn order(kinds: &[Kind], ties: Ties) -> Order {
    let key = |name: &str, kind: &Kind| SortKey {
        name: name.to_owned(),
        direction: Direction::Ascending,
        kind: kind.clone(),
        nulls: Nulls::None,
        grain: None,
    };
    let strong = kinds.iter().map(|kind| key("rank", kind)).collect();
    Order { strong, id: key("id", &Kind::Number), ties, declared: true }
}

/// Returns an answer with items of these raw JSON keys, the id last.
fn answer<const COLUMNS: usize>(rows: &[[&str; COLUMNS]]) -> Answer {
    let (mut body, mut items, mut keys) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        let begin = u32::try_from(body.len()).unwrap();
        for cell in row {
            let start = u32::try_from(body.len()).unwrap();
            body.extend_from_slice(cell.as_bytes());
            keys.push(Span { start, end: u32::try_from(body.len()).unwrap() });
        }
        items.push(Span { start: begin, end: u32::try_from(body.len()).unwrap() });
    }
    Answer::listed(body, items, keys)
}

fn counted(answer: Answer, value: u64) -> Answer {
    Answer { total: Some(Total { value, exact: true }), ..answer }
}

fn from(offset: u64, size: u32) -> Slice {
    Slice::Offset { from: Offset(offset), size: PageSize(size) }
}

fn paging(family: Family) -> Paging {
    Paging { end: EndEvidence::Unvouched, ..Paging::new(family, Sizes::Free { least: 1, most: None }) }
}

fn view(slice: Slice, answer: Answer, order: &Order) -> Result<Evidence, Unsorted> {
    Evidence::new(answer, slice, order, &paging(Family::Offset), Belief::default())
}

/// Returns an anchor with one string key and a numeric id.
fn anchor(text: &str, id: &str) -> Anchor {
    Anchor { keys: vec![KeyValue::Text(text.into())], id: KeyValue::Number(id.into()) }
}

#[test]
fn evidence_of_joined_answers_is_at_most_checked() {
    let order = order(&[], Ties::Ordered);
    let part = |offset: u64, ids: &[[&str; 1]]| view(from(offset, 2), answer(ids), &order).unwrap();
    let joined = Evidence::join(part(0, &[["1"], ["2"]]), part(2, &[["3"], ["4"]]), &order, false, false).unwrap();
    assert_eq!((joined.len(), joined.checked, joined.end.checked), (4, true, true));
}

#[test]
fn a_higher_total_contradicts_the_end_unless_the_list_was_counted_again() {
    let order = order(&[], Ties::Ordered);
    for (recounted, ends) in [(false, false), (true, true)] {
        let earlier = view(from(0, 5), counted(answer(&[["1"], ["2"], ["3"]]), 4), &order).unwrap();
        let later = view(from(3, 2), counted(answer::<1>(&[]), 4), &order).unwrap();
        assert!(!earlier.ends() && !later.ends());
        let joined = Evidence::join(earlier, later, &order, false, recounted).unwrap();
        assert_eq!(joined.ends(), ends, "recounted: {recounted}");
    }
}

#[test]
fn the_start_is_as_sure_as_the_end_of_the_flipped_list() {
    let order = order(&[], Ties::Ordered);
    for (size, checked) in [(5, true), (3, false)] {
        // The answer has as many items as its count says. Against size 5 it is short, and the walk hasn't seen that
        // size honoured.
        let answer = counted(answer(&[["3"], ["2"], ["1"]]), 3);
        let paging = paging(Family::Offset);
        let view = Evidence::flipped(answer, from(0, size), &order, &paging, Belief::default(), 3).unwrap();
        assert_eq!((view.from_start, view.checked), (checked, checked), "{size}");
    }
}

#[test]
fn an_end_by_a_total_that_also_determines_the_offset_is_only_checked() {
    let page = Slice::Page { number: PageNumber(2), size: PageSize(10) };
    for (total, checked) in [(23, false), (15, true)] {
        let belief = Belief { honoured: Honoured::before(10, 10), places: PlaceAgreement::Agree, ..Belief::default() };
        let answer = counted(answer(&[["7"], ["8"], ["9"]]), total);
        let view = Evidence::unchecked(answer, page, &paging(Family::Page), belief);
        assert_eq!((view.begins(), view.ends(), view.end.checked), (total - 3, true, checked), "{total}");
    }
}

#[test]
fn a_run_is_arranged_only_where_its_ties_come_in_any_order() {
    let rows = |ids: [&'static str; 3]| answer(&ids.map(|id| ["1", id]));
    for (ids, ties, is_taken) in [
        (["4", "5", "6"], Ties::Ordered, true),
        (["6", "4", "5"], Ties::Ordered, false),
        (["6", "4", "5"], Ties::Unordered, true),
        // An id that comes twice, with another item in between.
        (["5", "6", "5"], Ties::Unordered, false),
    ] {
        let order = order(&[Kind::Number], ties);
        let view = view(from(0, 3), rows(ids), &order);
        let arranged = view.as_ref().map(|view| (0..3).filter_map(|place| view.id(&order, place)).collect::<Vec<_>>());
        let sorted = is_taken.then(|| ["4", "5", "6"].map(|id| Cow::Borrowed(id.as_bytes())).to_vec());
        assert_eq!(arranged.ok(), sorted, "{ids:?} {ties:?}");
    }
}

#[test]
fn keys_after_a_key_with_a_coarse_grain_do_not_separate_tie_runs() {
    let mut order = order(&[Kind::Number, Kind::Number], Ties::Ordered);
    let rows = || answer(&[["1", "9", "1"], ["1", "3", "2"], ["2", "5", "3"]]);
    assert!(view(from(0, 3), rows(), &order).is_err());
    order.strong[0].grain = Some(Grain::Digits(0));
    let view = view(from(0, 3), rows(), &order).unwrap();
    // The run includes the anchor's place whatever the anchor's second key is.
    let number = |number: &str| KeyValue::Number(number.into());
    for second in ["1", "5", "12"] {
        let anchor = Anchor { keys: vec![number("1"), number(second)], id: number("7") };
        assert_eq!(view.stand(&order, &anchor).map(|stand| (stand.run, stand.loose)), Ok((0..2, true)), "{second}");
    }
}

#[test]
fn a_repeated_opaque_value_makes_one_run_of_all_rows_in_between() {
    let order = order(&[Kind::Opaque], Ties::Ordered);
    let rows = answer(&[["\"S\"", "1"], ["\"s\"", "2"], ["\"S\"", "3"], ["\"T\"", "4"]]);
    let view = view(from(0, 4), rows, &order).unwrap();
    assert_eq!(view.opaque_runs(&order, 0..4), [0..3, 3..4]);
}

#[test]
fn an_anchor_among_opaque_values_is_placed_only_where_no_spelling_could_move_it() {
    let unknown = Err(Unplaced::Apart { left: false, right: false });
    let a = |id: &'static str| ["\"a\"", id];
    let other = |id: &'static str| ["\"A\"", id];
    for (rows, id, place) in [
        (vec![a("1"), a("3")], "2", Ok(1)),
        // If `a` and `A` are equal, the anchor comes after the item with `A`.
        (vec![a("1"), a("2"), other("3")], "5", unknown),
        (vec![a("1"), a("2"), other("7")], "5", Ok(2)),
        (vec![other("6"), a("7")], "5", unknown),
        (vec![other("3"), a("7")], "5", Ok(1)),
        // The item with the anchor's id is the anchor in another spelling.
        (vec![other("5"), a("7")], "5", unknown),
        (vec![a("1"), a("2"), other("5")], "5", unknown),
        // An id that is less than the previous item's id begins another run.
        (vec![a("3"), a("4"), other("2")], "5", Ok(2)),
    ] {
        let order = order(&[Kind::Opaque], Ties::Ordered);
        let view = view(from(0, 9), answer(&rows), &order).unwrap();
        assert_eq!(view.stand(&order, &anchor("a", id)).map(|stand| stand.before), place, "{rows:?} {id}");
    }
}

#[test]
fn an_anchor_among_opaque_values_is_not_placed_by_ids_as_text() {
    for (kind, is_placed) in [(Kind::Number, true), (Kind::Inferred, true), (Kind::Text, false)] {
        let mut order = order(&[Kind::Opaque], Ties::Ordered);
        let is_text = kind == Kind::Text;
        order.id.kind = kind;
        let ids = if is_text { ["\"1\"", "\"3\""] } else { ["1", "3"] };
        let id = if is_text { KeyValue::Text(b"2".to_vec()) } else { KeyValue::Number("2".into()) };
        let view = view(from(0, 9), answer(&ids.map(|id| ["\"a\"", id])), &order).unwrap();
        let placed = view.stand(&order, &Anchor { id, ..anchor("a", "2") });
        assert_eq!(placed.is_ok(), is_placed, "{:?}: {placed:?}", order.id.kind);
    }
}
