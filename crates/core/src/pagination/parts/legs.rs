//! Parts of the list from a run of equal strong keys on, if the run is longer than an answer: the run in the order of
//! its ids, then the items after it. For keys (a, b) at (1, 2) the parts are `a = 1 and b = 2`; `a = 1 and b > 2`; `a >
//! 1`.

use std::sync::Arc;

use super::range::{self, NullsStand, Part};
use crate::pagination::{
    filter::{Comparison, Filter, Filters},
    grain,
    key::KeyValue,
    order::{Order, SortKey, Ties},
    position::{Anchor, Position},
};

/// Returns whether the upstream can return a run separately, in the order of its ids. Always false if ties are ordered,
/// because a run then needn't be read separately.
pub(in crate::pagination) fn can_give_runs(order: &Order, filters: &Filters) -> bool {
    let strong = order.strong.len();
    order.ties == Ties::Unordered
        && filters.sorts_by_id
        && strong > 0
        && (strong == 1 || filters.both)
        && filters.columns.len() > strong
        && filters.columns[..strong].iter().all(|can| can.equal)
}

/// Returns the parts with a run and everything after it. In the run the page continues after `id`, with `seen` items of
/// the run before that place; without an id, it begins with the run's first item. `None` if the upstream lacks filters
/// for these parts, or if the keys may be stored otherwise than they are shown.
pub(in crate::pagination) fn parts_from_run(
    order: &Order,
    filters: &Filters,
    keys: &[KeyValue],
    id: Option<&KeyValue>,
    seen: u32,
) -> Option<Vec<Part>> {
    if !can_give_runs(order, filters) || keys.len() != order.strong.len() {
        return None;
    }
    let equal =
        order.strong.iter().zip(keys).enumerate().map(|(column, (key, value))| equals(key, value, column, filters));
    let equal: Vec<Filter> = equal.collect::<Option<_>>()?;
    let mut parts = vec![run(order, filters, keys, id, seen, equal.clone())];
    // Right after a run come the items that differ from it only in the last key. Test:
    // `long_runs_of_composite_orders_are_read_with_their_nulls`.
    for column in (0..keys.len()).rev() {
        let within = &equal[..column];
        for beyond in beyond(&order.strong[column], &keys[column], column, filters)? {
            parts.push(Part::from_its_start(all(within.iter().cloned().chain([beyond]))));
        }
    }
    debug_assert!(
        parts.iter().skip(1).all(|part| part.position == Position::Start),
        "later parts begin at their start"
    );
    Some(parts)
}

/// Returns everything from an anchor on as one filter with an alternative for each key. For keys (a, b) at (1, 2) the
/// filter is `a = 1 and b >= 2`, or `a > 1`. It excludes items that share the anchor's first keys but come long before
/// it. `None` if the order has fewer than two strong keys, if the upstream lacks these filters, or if the keys may be
/// stored otherwise than they are shown.
pub(in crate::pagination) fn alternatives(order: &Order, filters: &Filters, anchor: &Anchor) -> Option<Filter> {
    let last = order.strong.len().checked_sub(1).filter(|last| *last > 0)?;
    if !filters.either || !filters.both || filters.columns.len() <= last || anchor.keys.len() <= last {
        return None;
    }
    let keys = || order.strong.iter().zip(&anchor.keys).enumerate();
    let equal = keys().take(last).map(|(column, (key, value))| equals(key, value, column, filters));
    let equal: Vec<Filter> = equal.collect::<Option<_>>()?;
    let with_equal = |column: usize, filter: Filter| all(equal[..column].iter().cloned().chain([filter]));
    let mut alternatives = Vec::new();
    for (column, (key, value)) in keys().rev() {
        let one_key = if column == last { from_on } else { beyond };
        alternatives.extend(one_key(key, value, column, filters)?.into_iter().map(|filter| with_equal(column, filter)));
    }
    Some(Filter::Or(alternatives))
}

/// Returns the filters for everything from a value of a key on, including that value. `None` if the upstream lacks
/// these filters, or if the place of nulls isn't declared.
fn from_on(key: &SortKey, value: &KeyValue, column: usize, filters: &Filters) -> Option<Vec<Filter>> {
    let can = filters.columns[column];
    let null = |comparison| Filter::Compare { column, comparison, value: None };
    let nulls = range::nulls_stand(key)?;
    let from_on = match value {
        KeyValue::Null => null(Comparison::Null),
        _ => range::from_on(key, value, column, can, false, false)?.0,
    };
    let nulls_after = match (value, nulls) {
        (KeyValue::Null, NullsStand::Before) => Some(null(Comparison::NotNull)),
        (KeyValue::Null, _) | (_, NullsStand::Nowhere | NullsStand::Before) => None,
        (_, NullsStand::After) => Some(null(Comparison::Null)),
    };
    let asks_for_nulls = *value == KeyValue::Null || nulls_after.is_some();
    (can.nulls || !asks_for_nulls).then(|| [Some(from_on), nulls_after].into_iter().flatten().collect())
}

/// Returns the run as a part that continues after `id`, with `seen` items of the run before that place. Without an id,
/// the part begins at the run's start.
fn run(
    order: &Order,
    filters: &Filters,
    keys: &[KeyValue],
    id: Option<&KeyValue>,
    seen: u32,
    mut equal: Vec<Filter>,
) -> Part {
    let Some(id) = id else {
        return Part { run: Some(keys.to_vec()), ..Part::from_its_start(all(equal)) };
    };
    let column = order.strong.len();
    let can = filters.columns[column];
    let ((inclusive, can_inclusive), _) = range::comparisons(order.id.direction, can);
    let narrowed = filters.both && can_inclusive && grain::can_be_filtered(&order.id, id);
    if narrowed {
        equal.push(Filter::Compare { column, comparison: inclusive, value: Some(id.clone()) });
    }
    Part {
        filter: Some(Arc::new(all(equal))),
        run: Some(keys.to_vec()),
        position: Position::After(Anchor { keys: keys.to_vec(), id: id.clone() }),
        before: if narrowed { 1 } else { u64::from(seen.max(1)) },
        left_out: 0,
    }
}

fn equals(key: &SortKey, value: &KeyValue, column: usize, filters: &Filters) -> Option<Filter> {
    if *value == KeyValue::Null {
        return filters.columns[column].nulls.then_some(Filter::Compare {
            column,
            comparison: Comparison::Null,
            value: None,
        });
    }
    // An equality excludes values that are stored more finely than they are shown, so it isn't used for such values.
    // Test: `a_long_run_is_refused_where_the_endpoint_can_not_give_it`.
    (filters.columns[column].equal && grain::is_stored_as_shown(key, value)).then(|| Filter::Compare {
        column,
        comparison: Comparison::Equal,
        value: Some(value.clone()),
    })
}

/// Returns the filters for everything after a value of a key, in the list's order: at most two filters, or none if
/// nothing can come after the value. `None` if the upstream lacks these filters, or if the place of nulls isn't
/// declared.
fn beyond(key: &SortKey, value: &KeyValue, column: usize, filters: &Filters) -> Option<Vec<Filter>> {
    let can = filters.columns[column];
    let null = |comparison| Filter::Compare { column, comparison, value: None };
    let nulls = range::nulls_stand(key)?;
    if *value == KeyValue::Null {
        return Some(if nulls == NullsStand::Before { vec![null(Comparison::NotNull)] } else { Vec::new() });
    }
    let (_, (exclusive, can_exclusive)) = range::comparisons(key.direction, can);
    let (comparison, value) = if *value == KeyValue::Boolean(last_boolean(key)) {
        (None, None)
    } else if let KeyValue::Boolean(value) = value {
        // The other boolean is the only later value.
        (Some(Comparison::Equal), Some(KeyValue::Boolean(!value)))
    } else if can_exclusive && grain::can_be_filtered(key, value) {
        (Some(exclusive), Some(value.clone()))
    } else {
        // The next value is unknown: even between two whole numbers there may be others. No equality can therefore
        // replace an exclusive filter. Test: `fractions_between_two_whole_keys_are_not_skipped`.
        return None;
    };
    let mut filters: Vec<Filter> =
        comparison.map(|comparison| Filter::Compare { column, comparison, value }).into_iter().collect();
    // Filters by values let no nulls through, so nulls after the values need a filter of their own. Test:
    // `nulls_after_a_long_run_are_requested_only_if_filters_for_nulls_exist`.
    if nulls == NullsStand::After {
        if !can.nulls {
            return None;
        }
        filters.push(null(Comparison::Null));
    }
    Some(filters)
}

/// Returns the boolean that comes last in the list's order.
fn last_boolean(key: &SortKey) -> bool {
    !grain::outwards_is_up(key.direction)
}

fn all(filters: impl IntoIterator<Item = Filter>) -> Filter {
    let mut filters: Vec<Filter> = filters.into_iter().collect();
    match filters.len() {
        1 => filters.remove(0),
        _ => Filter::And(filters),
    }
}
