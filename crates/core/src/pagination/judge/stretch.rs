//! The stretch of a list that a filter lets through, derived only from the filter.

use std::cmp::Ordering;

use crate::pagination::{
    direction::Side,
    filter::{Comparison, Filter},
    grain::{self, Widened},
    key::{self, Extent, KeyValue, Operand},
    order::{Direction, Order, SortKey},
    position::Anchor,
    rules::{self, Rule},
};

/// A place between items: right before or right after all items with these leading keys. Without keys, the start or the
/// end of the list.
#[derive(Clone, Debug)]
pub(super) struct PlaceByKeys {
    keys: Vec<KeyValue>,
    side: Side,
}

impl PlaceByKeys {
    /// Returns the start of the list (`Side::Before`) or its end (`Side::After`).
    pub(super) fn edge(side: Side) -> Self {
        Self { keys: Vec::new(), side }
    }

    /// Returns the place right before or right after an item.
    pub(super) fn beside(anchor: &Anchor, side: Side) -> Self {
        Self { keys: anchor.keys.iter().chain([&anchor.id]).cloned().collect(), side }
    }

    /// Returns the place before all items with the same strong keys as `anchor`, or right before `anchor` if the order
    /// has no strong keys.
    pub(super) fn before_run_of(anchor: &Anchor) -> Self {
        match anchor.keys.is_empty() {
            true => Self::beside(anchor, Side::Before),
            false => Self { keys: anchor.keys.clone(), side: Side::Before },
        }
    }

    /// Returns whether this is the end of the list.
    pub(super) fn is_end(&self) -> bool {
        self.keys.is_empty() && self.side == Side::After
    }

    /// Returns whether this place isn't after another; false if their keys can't be compared.
    pub(super) fn is_within(&self, other: &Self, order: &Order) -> bool {
        self.compare(other, order).is_some_and(Ordering::is_le)
    }

    /// Compares two places by the leading keys that both have, then by their sides; `None` if these keys can't be
    /// compared.
    fn compare(&self, other: &Self, order: &Order) -> Option<Ordering> {
        for (column, (own, others)) in self.keys.iter().zip(&other.keys).enumerate() {
            let ordering = compare(order, column, own, others)?;
            if ordering.is_ne() {
                return Some(ordering);
            }
        }
        let beyond = |side| if side == Side::Before { Ordering::Less } else { Ordering::Greater };
        Some(match self.keys.len().cmp(&other.keys.len()) {
            Ordering::Less => beyond(self.side),
            Ordering::Equal => (self.side == Side::After).cmp(&(other.side == Side::After)),
            Ordering::Greater => beyond(other.side).reverse(),
        })
    }
}

/// The items that one alternative of a filter lets through, as a range of places.
#[derive(Clone, Debug)]
pub(super) struct FilterStretch {
    from: PlaceByKeys,
    pub(super) to: PlaceByKeys,
    /// True if the last comparison isn't an equality. An answer that contains the compared value then shows that the
    /// filter compares values as the list is sorted.
    pub(super) compares: bool,
    /// The leading values that all items of the stretch share, because the filter requires them by equality.
    pub(super) shared: Vec<KeyValue>,
}

impl FilterStretch {
    /// Returns one stretch for each alternative of a filter; `None` if an alternative isn't a single stretch of the
    /// list.
    pub(super) fn of(filter: &Filter, order: &Order) -> Option<Vec<Self>> {
        let alternatives =
            if let Filter::Or(alternatives) = filter { alternatives } else { std::slice::from_ref(filter) };
        alternatives.iter().map(|alternative| Self::of_alternative(alternative, order)).collect()
    }

    fn of_alternative(filter: &Filter, order: &Order) -> Option<Self> {
        let parts = if let Filter::And(parts) = filter { parts } else { std::slice::from_ref(filter) };
        let (mut from, mut to) = (PlaceByKeys::edge(Side::Before), PlaceByKeys::edge(Side::After));
        let (mut keys, mut shared, mut compares) = (Vec::new(), 0, false);
        for part in parts {
            let Filter::Compare { column, comparison, value } = part else { return None };
            let key = order.keys().nth(*column).filter(|_| *column == keys.len())?;
            let value = value.as_ref().unwrap_or(&KeyValue::Null);
            let at =
                |value: &KeyValue, side| PlaceByKeys { keys: [&keys[..], std::slice::from_ref(value)].concat(), side };
            // Nulls come before or after all values, and comparisons with values let no null through, so the stretch
            // begins or ends next to the nulls.
            match (compare(order, *column, &KeyValue::Null, &KeyValue::Boolean(true)), *comparison) {
                (None, Comparison::Null) => return None,
                (None, _) => {}
                (Some(Ordering::Less), Comparison::Null) => to = at(&KeyValue::Null, Side::After),
                (Some(Ordering::Less), _) => from = at(&KeyValue::Null, Side::After),
                (Some(_), Comparison::Null) => from = at(&KeyValue::Null, Side::Before),
                (Some(_), _) => to = at(&KeyValue::Null, Side::Before),
            }
            let is_exclusive = matches!(comparison, Comparison::Greater | Comparison::Less);
            compares = *comparison != Comparison::Equal;
            match comparison {
                Comparison::Null | Comparison::NotNull => {}
                Comparison::Equal => match value {
                    // Several stored values may be shown alike, and not all of them equal the requested value, so the
                    // filter has no stretch.
                    _ if *column < order.strong.len() && !grain::is_stored_as_shown(key, value) => return None,
                    // No value lies between the two booleans, so the stretch begins or ends right next to the other
                    // one.
                    KeyValue::Boolean(boolean) => {
                        let other = KeyValue::Boolean(!boolean);
                        match compare(order, *column, &other, value)? {
                            Ordering::Less => from = at(&other, Side::After),
                            _ => to = at(&other, Side::Before),
                        }
                    }
                    value => (from, to) = (at(value, Side::Before), at(value, Side::After)),
                },
                _ if lets_later_through(*comparison, key) => {
                    // An exclusive filter excludes its own value, so the stretch begins after that value. Test:
                    // `an_exclusive_filter_by_uuids_is_trusted_and_its_pages_are_checked`.
                    from = at(value, if is_exclusive { Side::After } else { Side::Before });
                }
                _ => to = at(value, if is_exclusive { Side::Before } else { Side::After }),
            }
            shared += usize::from(matches!(comparison, Comparison::Equal | Comparison::Null));
            keys.push(value.clone());
        }
        // Each comparison is of the column after the previous one, and equalities come first, so the first `shared`
        // keys are those that all items share.
        keys.truncate(shared);
        Some(Self { from, to, compares, shared: keys })
    }

    /// Returns whether the stretch contains an item and all items that look like it. A stored value may be up to one
    /// grain before the shown value.
    pub(super) fn holds(&self, anchor: &Anchor, order: &Order) -> bool {
        let [before, after] = [Side::Before, Side::After].map(|side| PlaceByKeys::beside(anchor, side));
        let column = self.from.keys.len().saturating_sub(1);
        let widened =
            order.strong.get(column).zip(anchor.keys.get(column)).map(|(key, value)| grain::widened(key, value));
        let before = match widened {
            Some(Some(Widened::To(moved)))
                if self.compares && !self.from.keys.is_empty() && rules::holds(Rule::FiltersAreProven) =>
            {
                PlaceByKeys { keys: [&anchor.keys[..column], &[moved]].concat(), side: Side::After }
            }
            _ => before,
        };
        self.from.is_within(&before, order) && after.is_within(&self.to, order)
    }

    /// Returns whether the stretch begins at or before a place.
    pub(super) fn begins_by(&self, place: &PlaceByKeys, order: &Order) -> bool {
        self.from.is_within(place, order)
    }

    /// Returns the place up to which these stretches cover the list without a gap, starting from `from`; `from` itself
    /// if no stretch covers the items after it.
    pub(super) fn lead(stretches: &[Self], from: &PlaceByKeys, order: &Order) -> PlaceByKeys {
        let mut at = from.clone();
        for _ in stretches {
            // A stretch that begins after the place leaves a gap, so it doesn't lead on. Test:
            // `stretches_lead_on_from_a_place_within_them_alone`.
            let leads_on = |one: &&Self| one.from.is_within(&at, order) && !one.to.is_within(&at, order);
            let Some(next) = stretches.iter().find(leads_on) else { break };
            at = next.to.clone();
        }
        at
    }
}

/// Returns whether a comparison is true for the values that come later in the list than its own value.
fn lets_later_through(comparison: Comparison, key: &SortKey) -> bool {
    let is_greater = matches!(comparison, Comparison::Greater | Comparison::GreaterOrEqual);
    is_greater == (key.direction == Direction::Ascending)
}

fn compare(order: &Order, column: usize, left: &KeyValue, right: &KeyValue) -> Option<Ordering> {
    let extent = if column < order.strong.len() { Extent::Kept } else { Extent::Whole };
    key::compare(order.keys().nth(column)?, extent, Operand::Kept(left), Operand::Kept(right))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pagination::order::{Kind, Ties};

    #[test]
    fn stretches_lead_on_from_a_place_within_them_alone() {
        let id = SortKey { kind: Kind::Number, ..SortKey::ascending("id") };
        let order = Order { strong: Vec::new(), id, ties: Ties::Ordered, declared: true };
        let number = |digits: &str| KeyValue::Number(digits.into());
        let filter = |comparison, digits| Filter::Compare { column: 0, comparison, value: Some(number(digits)) };
        let after = |digits| PlaceByKeys::beside(&Anchor { keys: Vec::new(), id: number(digits) }, Side::After);
        let filter = Filter::Or(vec![filter(Comparison::GreaterOrEqual, "5"), filter(Comparison::Equal, "4")]);
        let stretches = FilterStretch::of(&filter, &order).unwrap();
        for (from, leads) in [("2", false), ("4", false), ("5", true), ("7", true)] {
            assert_eq!(FilterStretch::lead(&stretches, &after(from), &order).is_end(), leads, "from {from}");
        }
    }
}
