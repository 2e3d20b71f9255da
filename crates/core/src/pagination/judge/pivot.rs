//! The place of a pivot: the keys of an item that a cursor names only by its id.
//!
//! Keys count only if they belong to that item and are the keys with which it was served. An item's resource shows its
//! present values: if the item was changed since it was served, these values are another place in the list.

use std::cmp::Ordering;

use crate::pagination::{
    answer::Answer,
    fingerprint::fingerprint,
    key::{self, Extent, KeyValue, Operand},
    position::{Anchor, Pivot, Position},
    request::PageRequest,
    rows,
    rules::{self, Rule},
    unsorted::Unsorted,
};

/// The anchor of a pivot. Only [`PivotPlace::of_id`], [`PivotPlace::of_keys`] and [`LookedUp::of`] make one.
#[derive(Debug)]
pub(in crate::pagination) struct PivotPlace(Anchor);

/// The result of looking up the pivot's item.
#[derive(Debug)]
pub(in crate::pagination) enum LookedUp {
    /// The item still has the keys with which it was served.
    Place(PivotPlace),
    /// The item now has other keys than those with which it was served.
    Changed(Anchor),
    /// The answer contains another item.
    OtherItem,
}

impl PivotPlace {
    /// Returns the place of a pivot that was served, if the order needs no keys but the id; otherwise `None`.
    pub(in crate::pagination) fn of_id(request: &PageRequest, pivot: &Pivot) -> Option<Self> {
        let is_whole = request.order.strong.is_empty() && pivot.fingerprint.is_some();
        is_whole.then(|| Self(Anchor { keys: Vec::new(), id: pivot.id.clone() }))
    }

    /// Returns the place of a pivot by its item's known keys; `None` if the item was served with other keys.
    pub(in crate::pagination) fn of_keys(request: &PageRequest, pivot: &Pivot, keys: &[KeyValue]) -> Option<Self> {
        is_known_again(request, pivot, keys).then(|| Self(Anchor { keys: keys.to_vec(), id: pivot.id.clone() }))
    }

    /// Returns the requested position, before or after the pivot, with the pivot's keys.
    pub(in crate::pagination) fn position(self, asked: &Position) -> Position {
        match asked {
            Position::BeforePivot(_) => Position::Before(self.0),
            _ => Position::After(self.0),
        }
    }

    pub(in crate::pagination) fn anchor(&self) -> &Anchor {
        &self.0
    }
}

impl LookedUp {
    /// Reads the resource of a pivot's item, which is the first item of the answer.
    ///
    /// # Errors
    ///
    /// [`Unsorted`] if no cursor can hold the item's keys.
    pub(in crate::pagination) fn of(request: &PageRequest, pivot: &Pivot, answer: &Answer) -> Result<Self, Unsorted> {
        let unkept = || rows::unkept(answer, &request.order, 0);
        let now = answer.anchor(&request.order, 0).ok_or_else(unkept)?;
        // An upstream may return another item than the requested one, and its keys don't count. Test:
        // `keys_looked_up_for_another_item_of_the_tie_run_are_refused`.
        if !is_the_item(request, pivot, answer, &now) {
            return Ok(Self::OtherItem);
        }
        Ok(if is_known_again(request, pivot, &now.keys) { Self::Place(PivotPlace(now)) } else { Self::Changed(now) })
    }
}

/// Returns whether an item's resource belongs to the pivot. An id that the client wrote has no type, so it is compared
/// by its spelling. Tests: `keys_looked_up_for_another_item_of_the_tie_run_are_refused`,
/// `an_id_in_lower_case_finds_the_item_that_spells_it_in_upper_case`.
fn is_the_item(request: &PageRequest, pivot: &Pivot, answer: &Answer, now: &Anchor) -> bool {
    let id = &request.order.id;
    if pivot.fingerprint.is_none() {
        let raw = rows::row(answer, &request.order, 0).last().copied().unwrap_or_default().of(&answer.body);
        return key::identity_of(id, &pivot.id).is_some_and(|written| written == key::identity(id, raw));
    }
    key::compare(id, Extent::Whole, Operand::Kept(&now.id), Operand::Kept(&pivot.id)).is_some_and(Ordering::is_eq)
}

/// Returns whether the pivot's item was served with these keys. Also true for the right number of keys if the pivot has
/// no fingerprint.
fn is_known_again(request: &PageRequest, pivot: &Pivot, keys: &[KeyValue]) -> bool {
    if keys.len() != request.order.strong.len() {
        return false;
    }
    match pivot.fingerprint {
        // Keys from a cache or of a changed item may name another place in the list, so only those that the item was
        // served with count. Test: `a_changed_pivot_is_refused_with_and_without_a_cache`.
        Some(served) if rules::holds(Rule::PivotsAreKnownAgain) => {
            fingerprint(request.marker_of_target(), keys) == served
        }
        _ => true,
    }
}
