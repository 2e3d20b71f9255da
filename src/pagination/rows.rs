//! The items of an answer as rows of keys: how two of them, or one and an anchor, stand to each other, and what is said
//! where that can't be told.

use std::cmp::Ordering;

use super::{
    answer::Answer,
    key::{self, Extent, Key, KeyValue},
    order::{Nulls, Order, SortKey},
    position::Anchor,
};
use crate::json::Span;

/// Why an answer can't be used at all; says what contradicts what, for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unsorted(pub(super) String);

/// How an item stands to an anchor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Relation {
    /// By the strong keys.
    pub(super) strong: Ordering,
    /// By the strong keys, then the id.
    pub(super) whole: Ordering,
}

pub(super) fn relate(answer: &Answer, order: &Order, item: usize, anchor: &Anchor) -> Option<Relation> {
    let row = row(answer, order, item);
    if anchor.keys.len() != order.strong.len() {
        return None;
    }
    let mut strong = Ordering::Equal;
    for ((key, span), kept) in order.strong.iter().zip(row).zip(&anchor.keys) {
        strong = key::compare(key, Extent::Kept, Key::Raw(span.of(&answer.body)), Key::Kept(kept))?;
        if strong != Ordering::Equal {
            return Some(Relation { strong, whole: strong });
        }
    }
    let id = row.last()?.of(&answer.body);
    let whole = key::compare(&order.id, Extent::Whole, Key::Raw(id), Key::Kept(&anchor.id))?;
    Some(Relation { strong, whole })
}

pub(super) fn row<'a>(answer: &'a Answer, order: &Order, item: usize) -> &'a [Span] {
    let columns = order.columns();
    &answer.keys[item * columns..(item + 1) * columns]
}

/// Compares the strong keys of two items; without strong keys the id is the whole order.
pub(super) fn compare_strong(answer: &Answer, order: &Order, left: usize, right: usize) -> Option<Ordering> {
    if order.strong.is_empty() {
        return match compare_ids(answer, order, left, right)? {
            Ordering::Equal => None,
            ordering => Some(ordering),
        };
    }
    let columns = order.strong.iter().zip(row(answer, order, left)).zip(row(answer, order, right));
    for ((key, left), right) in columns {
        let ordering =
            key::compare(key, Extent::Kept, Key::Raw(left.of(&answer.body)), Key::Raw(right.of(&answer.body)))?;
        if ordering != Ordering::Equal {
            return Some(ordering);
        }
    }
    Some(Ordering::Equal)
}

pub(super) fn compare_ids(answer: &Answer, order: &Order, left: usize, right: usize) -> Option<Ordering> {
    let id = |item| row(answer, order, item).last().copied().unwrap_or_default().of(&answer.body);
    key::compare(&order.id, Extent::Whole, Key::Raw(id(left)), Key::Raw(id(right)))
}

/// A single item has no neighbour to be compared with: its keys must be readable all the same.
pub(super) fn check_alone(answer: &Answer, order: &Order) -> Result<(), Unsorted> {
    let readable = |key: &SortKey, span: &Span| {
        let raw = span.of(&answer.body);
        let nulls_stand_somewhere = !matches!(key.nulls, Nulls::None | Nulls::Unsaid);
        if raw == b"null" { nulls_stand_somewhere } else { KeyValue::of_strong(&key.kind, raw).is_some() }
    };
    if order.strong.iter().chain([&order.id]).zip(row(answer, order, 0)).all(|(key, span)| readable(key, span)) {
        Ok(())
    } else {
        Err(incomparable(answer, order, 0))
    }
}

/// Whether a strong key of an item is a text so long that only its beginning is compared: the upstream sorts such items
/// by the rest, so that those that look equal are a run of ties, whatever is said of ties.
pub(super) fn is_cut(answer: &Answer, order: &Order, item: usize) -> bool {
    order.strong.iter().zip(row(answer, order, item)).any(|(key, span)| {
        let raw = span.of(&answer.body);
        // The raw value is never shorter than its text: most rows need no second look.
        raw.len() >= key::TEXT_KEPT && KeyValue::of_strong(&key.kind, raw).is_some_and(|value| value.is_cut(&key.kind))
    })
}

pub(super) fn contradiction(order: &Order, place: usize) -> Unsorted {
    let names: Vec<&str> = order.strong.iter().chain([&order.id]).map(|key| key.name.as_str()).collect();
    Unsorted(format!("item {} of an answer comes before the one it follows, by {}", place + 1, names.join(", ")))
}

pub(super) fn twice(place: usize) -> Unsorted {
    Unsorted(format!("the id of item {} stands twice in one answer", place + 1))
}

/// Names the first key at a place (or right before it) that can't be compared, and why.
pub(super) fn incomparable(answer: &Answer, order: &Order, place: usize) -> Unsorted {
    for item in [place.saturating_sub(1), place] {
        for (key, span) in order.strong.iter().chain([&order.id]).zip(row(answer, order, item)) {
            let name = &key.name;
            let raw = span.of(&answer.body);
            let number = item + 1;
            if span.is_absent() {
                return Unsorted(format!("item {number} of an answer has no {name}, which the order names"));
            }
            if raw == b"null" {
                return Unsorted(format!(
                    "{name} is null in item {number} of an answer, and where nulls stand is not declared: \
                     say fields.{name}.nulls"
                ));
            }
        }
    }
    Unsorted(format!(
        "items {} and {} of an answer have keys that can't be compared, or the same id: declare the type by \
         fields.NAME.type",
        place.max(1),
        place.max(1) + 1
    ))
}

/// Names the first key of an item that no cursor can hold, and why.
pub(super) fn unkept(answer: &Answer, order: &Order, item: usize) -> Unsorted {
    let number = item + 1;
    let keys = order.strong.iter().map(|key| (key, false)).chain([(&order.id, true)]);
    for ((key, is_id), span) in keys.zip(row(answer, order, item)) {
        let (name, raw) = (&key.name, span.of(&answer.body));
        let kept = if is_id { KeyValue::of_id(raw) } else { KeyValue::of_strong(&key.kind, raw) };
        if kept.is_none() {
            let said = match raw {
                [] => "is missing",
                b"null" => "is null",
                _ => "is no text or number that a cursor can hold",
            };
            return Unsorted(format!("{name} {said} in item {number} of an answer"));
        }
    }
    Unsorted(format!("item {number} of an answer can't be named in a cursor"))
}
