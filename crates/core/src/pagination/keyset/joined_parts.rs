//! Pages that are joined from the pages of parts.

use std::{cmp::Ordering, collections::HashSet};

use crate::pagination::{
    answer::Answer,
    key::KeyValue,
    order::Order,
    page::{ItemPlace, Page},
    position::{Anchor, Hint, Item, Position, Target},
    rows,
    window::Offset,
};

/// Returns whether a filtered list shows its anchor, or, where the filter lets those through as well, an item equal to
/// it, so that nothing between the two can be missing. `None` if they can't be compared.
pub(super) fn shows(page: &Page, order: &Order, equals_too: bool, anchor: &Anchor) -> Option<bool> {
    let equals_too = equals_too && !order.strong.is_empty();
    for answer in page.answers.iter().filter(|answer| !answer.items.is_empty()) {
        for item in 0..answer.items.len() {
            let relation = rows::relate(answer, order, item, anchor)?;
            if relation.whole != Ordering::Greater || (equals_too && relation.strong == Ordering::Equal) {
                return Some(true);
            }
            if relation.strong == Ordering::Greater || order.strong.is_empty() {
                break;
            }
        }
    }
    Some(false)
}

/// Returns whether a page goes on, and its last item has that many first keys in common with the anchor, and a null
/// after them only where the anchor has one.
pub(super) fn is_within(page: &Page, anchor: &Anchor, keys: usize) -> bool {
    let is_null = |anchor: &Anchor| anchor.keys.get(keys) == Some(&KeyValue::Null);
    page.next.is_some()
        && last_of(page)
            .is_some_and(|last| last.keys.get(..keys) == anchor.keys.get(..keys) && is_null(last) == is_null(anchor))
}

/// Returns the place at which a page of the whole list begins.
pub(super) fn boundary_of(page: &Page) -> Hint {
    let total = page.total.filter(|total| total.exact).map(|total| total.value);
    Hint { offset: Offset(page.offset), total, ..Hint::default() }
}

pub(super) fn last_of(page: &Page) -> Option<&Anchor> {
    match &page.edges {
        Some((_, Item::Keyed(last))) => Some(last),
        _ => None,
    }
}

pub(super) fn after(anchor: &Anchor) -> Target {
    Target { position: Position::After(anchor.clone()), hint: Hint::default() }
}

/// Appends a page to another. An item that the page has already was moved between two parts, and is passed over. Test:
/// `a_row_that_moves_from_one_part_to_the_next_is_on_the_page_once`.
pub(super) fn append(page: &mut Page, later: Page, order: &Order) {
    page.lower(later.level());
    let mut had: HashSet<Vec<u8>> = page.items.iter().map(|place| id(&page.answers, order, *place)).collect();
    let shift = u32::try_from(page.answers.len()).unwrap_or(u32::MAX);
    for place in later.items {
        if had.insert(id(&later.answers, order, place)) {
            page.items.push(ItemPlace { answer: place.answer.saturating_add(shift), ..place });
        }
    }
    page.answers.extend(later.answers);
    let last = page
        .items
        .last()
        .and_then(|place| page.answers.get(place.answer as usize)?.anchor(order, place.item as usize).map(Item::Keyed));
    page.edges = match (page.edges.take(), last) {
        (Some((first, _)), Some(last)) => Some((first, last)),
        (first, _) => first.or(later.edges),
    };
    (page.next, page.notes.profile, page.notes.honoured) = (later.next, later.notes.profile, later.notes.honoured);
    page.short |= later.short;
    debug_assert!(page.items.iter().all(|place| (place.answer as usize) < page.answers.len()), "items are in answers");
    debug_assert_eq!(had.len(), page.items.len(), "no item comes twice");
}

/// Returns the id of an item, in the spelling by which it is known again.
fn id(answers: &[Answer], order: &Order, place: ItemPlace) -> Vec<u8> {
    let answer = answers.get(place.answer as usize);
    answer.and_then(|answer| answer.identity(order, place.item as usize)).unwrap_or_default().into_owned()
}
