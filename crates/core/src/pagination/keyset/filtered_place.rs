//! The place of a boundary in the list that is filtered by the first key of the boundary's anchor.

use std::cmp::Ordering;

use crate::pagination::{
    answer::Answer,
    direction::Side,
    grain::{self, Widened},
    key::{self, Extent, KeyValue, Operand},
    order::{Direction, Order, SortKey},
    page::ItemPlace,
    parts::range,
    rows,
};

/// Returns the number of items from the first one that a filter by this item's first key lets through up to this item
/// itself, and whether the answer shows that first one. The counted items are on `side` of the item at `place`. Without
/// strong keys, the count is 1.
pub(super) fn count(answers: &[Answer], order: &Order, place: ItemPlace, side: Side) -> (u32, bool) {
    if order.strong.is_empty() {
        return (1, true);
    }
    let Some(answer) = answers.get(place.answer as usize) else { return (0, false) };
    let (key, place) = (range::first_key(order), place.item as usize);
    let raw = |item: usize| rows::row(answer, order, item)[0].of(&answer.body);
    let Some(value) = KeyValue::of_strong(&key.kind, raw(place)) else { return (0, false) };
    let bound = bound(key, &value, side);
    let passes = |item: usize| {
        let ordering = key::compare(key, Extent::Kept, Operand::Raw(raw(item)), Operand::Kept(&bound));
        ordering.is_some_and(|ordering| match side {
            Side::Before => ordering != Ordering::Less,
            Side::After => ordering != Ordering::Greater,
        })
    };
    let (passed, all) = match side {
        Side::Before => ((0..place).rev().take_while(|item| passes(*item)).count(), place),
        Side::After => {
            ((place + 1..answer.items.len()).take_while(|item| passes(*item)).count(), answer.items.len() - place - 1)
        }
    };
    debug_assert!(passed <= all, "{passed} of {all} items");
    (u32::try_from(passed).unwrap_or(u32::MAX).saturating_add(1), passed < all)
}

/// Returns the value that a filter uses as its bound for this value.
fn bound(key: &SortKey, value: &KeyValue, side: Side) -> KeyValue {
    let key = match side {
        Side::Before => key.clone(),
        Side::After => SortKey {
            direction: match key.direction {
                Direction::Ascending => Direction::Descending,
                Direction::Descending => Direction::Ascending,
            },
            ..key.clone()
        },
    };
    match grain::widened(&key, value) {
        Some(Widened::To(moved)) => moved,
        Some(Widened::AsShown) | None => value.clone(),
    }
}
