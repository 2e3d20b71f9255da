//! Boundaries that only the flipped list shows: with pages of a fixed size, every multiple of the size.

use crate::pagination::{
    key::KeyValue,
    model::{List, end, ids, key, whole},
    order::{Direction, Kind, Ties},
    page::Level,
    paging::{EndEvidence, Family, Paging, Sizes},
    position::{Anchor, Hint, Position, Target},
    window::Offset,
};

#[test]
fn equal_pages_of_the_list_and_its_flipped_list_are_not_a_repeated_page() {
    for (size, count) in [(5, 12), (5, 15), (20, 50), (20, 60)] {
        for before in count - 3..count + 4 {
            let strong = vec![key("rank", Kind::Number, Direction::Ascending)];
            let mut list = List::new(strong, (0..count).map(|row| vec![whole(row)]));
            (list.filters, list.order.ties) = (None, Ties::Ordered);
            list.paging = Paging { end: EndEvidence::ShortPage, ..Paging::new(Family::Page, Sizes::Fixed(size)) };
            let all = list.expected();
            assert!(list.page(end(), size).is_ok(), "{count}");
            for place in (size as usize..all.len()).step_by(size as usize) {
                let id = KeyValue::Number(all[place].clone());
                let anchor = Anchor { keys: vec![KeyValue::Number(place.to_string())], id };
                let total = u64::try_from(before).ok();
                let hint = Hint { offset: Offset(place as u64), total, ..Hint::default() };
                let page = list.page(Target { position: Position::Before(anchor), hint }, size);
                let said = format!("before {place} of {count}, which were {before}: {:?}", list.asked);
                assert_eq!(page.map(|page| ids(&page)), Ok(all[place - size as usize..place].to_vec()), "{said}");
            }
        }
    }
}

#[test]
fn a_boundary_that_the_flipped_list_does_not_show_is_looked_for_where_it_was() {
    for (count, before, place) in [(2_504, 4, 69), (2_504, 4, 3), (3_000, 600, 300), (3_000, 600, 330)] {
        let strong = vec![key("rank", Kind::Number, Direction::Ascending)];
        let mut list = List::new(strong, (0..count).map(|row| vec![whole(row)]));
        (list.filters, list.order.ties) = (None, Ties::Ordered);
        list.paging = Paging { end: EndEvidence::ShortPage, ..Paging::new(Family::Page, Sizes::Fixed(3)) };
        let all = list.expected();
        let anchor = Anchor {
            keys: vec![KeyValue::Number((place - 1).to_string())],
            id: KeyValue::Number(all[place - 1].clone()),
        };
        // All items that were added come after the place, or nearly all do.
        let hint = Hint { offset: Offset(place as u64 / 30 * 30 + 3), total: Some(before), ..Hint::default() };
        let page = list.page(Target { position: Position::After(anchor), hint }, 1).unwrap();
        assert_eq!(ids(&page), all[place..=place], "{place} of {count}");
        assert!(page.notes.requests <= 14, "{} requests: {:?}", page.notes.requests, list.asked);
    }
}

#[test]
fn a_run_over_two_pages_is_shown_by_one_answer_of_the_flipped_list() {
    let strong = vec![key("rank", Kind::Number, Direction::Ascending)];
    let mut list = List::new(strong, [0, 1, 2, 3, 3].map(|rank| vec![whole(rank)]));
    (list.filters, list.order.ties) = (None, Ties::Unordered);
    list.paging = Paging { end: EndEvidence::ShortPage, ..Paging::new(Family::Page, Sizes::Fixed(4)) };
    let all = list.expected();
    let anchor = Anchor { keys: vec![KeyValue::Number("2".into())], id: KeyValue::Number(all[2].clone()) };
    let hint = Hint { offset: Offset(3), total: Some(5), ..Hint::default() };
    let page = list.page(Target { position: Position::After(anchor), hint }, 1).unwrap();
    assert_eq!((ids(&page), page.level()), (all[3..4].to_vec(), Level::Exact), "{:?}", list.asked);
}
