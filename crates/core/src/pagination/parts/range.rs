//! Filters for everything after an item: one that should let the item itself through as well, and another for the nulls
//! after values, or for the values after nulls.

use std::sync::Arc;

use crate::pagination::{
    filter::{Comparison, Comparisons, Filter, Filters},
    grain::{self, Widened},
    key::KeyValue,
    order::{Direction, Nulls, Order, SortKey},
    position::{Anchor, Hint, Position},
    rules::{self, Rule},
};

/// A part of the list that one filter shows. Parts follow one another in the list's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::pagination) struct Part {
    /// The filter of the part; `None` for the whole list.
    pub(in crate::pagination) filter: Option<Arc<Filter>>,
    /// The strong keys of a part that is a run of ties in the order of its ids; `None` for other parts.
    pub(in crate::pagination) run: Option<Vec<KeyValue>>,
    /// The place in the part from which the page continues.
    pub(in crate::pagination) position: Position,
    /// The number of items of the part that are expected before that place.
    pub(in crate::pagination) before: u64,
    /// The number of items before the part that a filter by only the first key would let through.
    pub(in crate::pagination) left_out: u64,
}

impl Part {
    /// Returns the whole list as a part, read from a position.
    pub(in crate::pagination) fn whole(position: Position) -> Self {
        Self { filter: None, run: None, position, before: 0, left_out: 0 }
    }

    /// Returns the part of the items that pass a filter, read from its first item.
    pub(in crate::pagination) fn from_its_start(filter: Filter) -> Self {
        Self { filter: Some(Arc::new(filter)), ..Self::whole(Position::Start) }
    }
}

/// The place of a key's nulls relative to its values, in the list's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pagination) enum NullsStand {
    Nowhere,
    Before,
    After,
}

/// Returns the first key by which a list is sorted: the first strong key, or the id if there is none.
pub(in crate::pagination) fn first_key(order: &Order) -> &SortKey {
    order.strong.first().unwrap_or(&order.id)
}

/// Returns the anchor's value of the first key: its first strong key, or its id if there is none.
pub(in crate::pagination) fn first_value(anchor: &Anchor) -> &KeyValue {
    anchor.keys.first().unwrap_or(&anchor.id)
}

/// Returns the place of a key's nulls; `None` if the route doesn't declare it.
pub(in crate::pagination) fn nulls_stand(key: &SortKey) -> Option<NullsStand> {
    let ascending = key.direction == Direction::Ascending;
    match key.nulls {
        // Filters by values let no nulls through, so if their place is unknown, no filter is certain to show all items
        // after an anchor. Test: `filters_that_the_kind_of_a_key_cannot_support_are_not_requested`.
        Nulls::Unsaid => None,
        Nulls::None => Some(NullsStand::Nowhere),
        Nulls::First => Some(NullsStand::Before),
        Nulls::Last => Some(NullsStand::After),
        Nulls::Smallest => Some(if ascending { NullsStand::Before } else { NullsStand::After }),
        Nulls::Largest => Some(if ascending { NullsStand::After } else { NullsStand::Before }),
    }
}

/// Returns the parts of the list with everything after an anchor. The first part should show the anchor, except that an
/// exclusive filter by an id excludes it. `None` if the upstream has no filters that are certain to show everything
/// after the anchor.
pub(in crate::pagination) fn parts_after(
    order: &Order,
    filters: &Filters,
    anchor: &Anchor,
    hint: &Hint,
) -> Option<Vec<Part>> {
    if anchor.keys.len() != order.strong.len() {
        return None;
    }
    let (key, value) = (first_key(order), first_value(anchor));
    let can = filters.columns.first().copied()?;
    let nulls = if order.strong.is_empty() { NullsStand::Nowhere } else { nulls_stand(key)? };
    let null = |comparison| Filter::Compare { column: 0, comparison, value: None };
    let after = |filter: Filter, before: u64| Part {
        filter: Some(Arc::new(filter)),
        run: None,
        position: Position::After(anchor.clone()),
        before,
        left_out: 0,
    };
    let within = if hint.within == Hint::LONG_RUN { 0 } else { hint.within };
    let believed = u64::from(within.max(hint.run).max(1));
    if *value == KeyValue::Null {
        let here = after(null(Comparison::Null), believed);
        return match nulls {
            _ if !can.nulls => None,
            NullsStand::Nowhere => None,
            NullsStand::After => Some(vec![here]),
            // The filter for nulls lets none of the values after them through, so the values are a separate part. Test:
            // `nulls_are_read_wherever_they_stand`.
            NullsStand::Before => Some(vec![here, Part::from_its_start(null(Comparison::NotNull))]),
        };
    }
    let (from_here_on, shows_anchor) = from_on(key, value, 0, can, filters.either, order.strong.is_empty())?;
    let before = if shows_anchor { believed } else { 0 };
    match nulls {
        NullsStand::Nowhere | NullsStand::Before => Some(vec![after(from_here_on, before)]),
        // Filters by values let no nulls through, so without a filter for nulls the whole list is read. Test:
        // `nulls_that_come_last_and_can_not_be_asked_for_are_read_from_the_whole_list`.
        NullsStand::After if !can.nulls => None,
        NullsStand::After if filters.either => {
            let either = match from_here_on {
                Filter::Or(mut alternatives) => {
                    alternatives.push(null(Comparison::Null));
                    alternatives
                }
                one => vec![one, null(Comparison::Null)],
            };
            Some(vec![after(Filter::Or(either), before)])
        }
        // Filters by values let no nulls through, so nulls are a separate part. Test:
        // `an_ignored_filter_for_nulls_is_not_evidence_of_a_next_page`.
        NullsStand::After => Some(vec![after(from_here_on, before), Part::from_its_start(null(Comparison::Null))]),
    }
}

/// Returns a filter that lets through everything from a value of a key on, and whether it includes the value itself.
/// `None` if the upstream lacks such a filter.
pub(in crate::pagination) fn from_on(
    key: &SortKey,
    value: &KeyValue,
    column: usize,
    can: Comparisons,
    either: bool,
    is_id: bool,
) -> Option<(Filter, bool)> {
    if !grain::can_be_filtered(key, value) {
        return None;
    }
    let compare = |comparison, value| Filter::Compare { column, comparison, value: Some(value) };
    let ((inclusive, can_inclusive), (exclusive, can_exclusive)) = comparisons(key.direction, can);
    // Ids are compared whole, and are stored as they are shown, so they are neither cut nor widened.
    let is_cut = !is_id && value.is_cut(&key.kind);
    if is_cut && key.direction == Direction::Descending {
        // In descending order, longer strings come before their common beginning, so a filter by the beginning would
        // exclude the anchor. Test: `a_filter_by_the_beginning_of_a_text_leaves_out_longer_ones_where_texts_descend`.
        return None;
    }
    // In ascending order, a string comes after each of its beginnings, so a filter by the beginning includes the
    // anchor. Test: `long_texts_ascending_are_filtered_by_their_beginning`.
    let shown = match value {
        KeyValue::Text(text) if is_cut => KeyValue::Text(grain::whole_characters(text).to_vec()),
        _ => value.clone(),
    };
    // A filter that compares more finely than values are shown excludes items, so the value is widened by its grain:
    // `regressions/without-filters-are-proven.txt`.
    let widened =
        if is_id || !rules::holds(Rule::FiltersAreProven) { Widened::AsShown } else { grain::widened(key, value)? };
    match widened {
        // A filter by the widened value also lets through the items whose stored values are finer than the shown ones.
        // Test: `a_filter_neither_widened_nor_proven_loses_rows_with_more_stored_digits`.
        Widened::To(moved) if can_inclusive => Some((compare(inclusive, moved), true)),
        Widened::To(moved) if can_exclusive => Some((compare(exclusive, moved), true)),
        Widened::AsShown if can_inclusive => Some((compare(inclusive, shown), true)),
        Widened::AsShown if can_exclusive => {
            // An equality adds the anchor, which an exclusive filter excludes. Test: `exclusive_or_equal_is_inclusive`.
            if either && can.equal && !is_cut {
                let alternatives = vec![compare(exclusive, shown.clone()), compare(Comparison::Equal, shown)];
                return Some((Filter::Or(alternatives), true));
            }
            // An exclusive filter by a value right before the anchor's lets the anchor through too. Test:
            // `exclusive_filters_are_moved_to_where_they_show_the_anchor`.
            match grain::just_before(key, value) {
                Some(before) => Some((compare(exclusive, before), true)),
                // Without a value right before it, only an id can be used: no other item has the anchor's id.
                None if is_id => Some((compare(exclusive, shown), false)),
                None => None,
            }
        }
        _ => None,
    }
}

/// Returns the inclusive and the exclusive comparison for everything from a value on in the list's order, each with a
/// flag: true if the upstream has that comparison.
pub(in crate::pagination) fn comparisons(
    direction: Direction,
    can: Comparisons,
) -> ((Comparison, bool), (Comparison, bool)) {
    match direction {
        Direction::Ascending => {
            ((Comparison::GreaterOrEqual, can.greater_or_equal), (Comparison::Greater, can.greater))
        }
        Direction::Descending => ((Comparison::LessOrEqual, can.less_or_equal), (Comparison::Less, can.less)),
    }
}
