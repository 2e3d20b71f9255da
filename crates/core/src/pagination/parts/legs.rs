//! Parts that read on from a run of equal strong keys that is longer than an answer: the run, sorted by the id, then
//! the items after it. Example for keys (a, b) at (1, 2): `a = 1 and b = 2`; `a = 1 and b > 2`; `a > 1`.

use std::sync::Arc;

use super::range::{self, NullsStand, Part};
use crate::pagination::{
    filter::{Comparison, Filter, Filters},
    grain,
    key::KeyValue,
    order::{Order, SortKey, Ties},
    position::{Anchor, Position},
};

/// Returns whether the endpoint can give a run by itself, sorted by the id. It is needed only if the list does not sort
/// ties by the id.
pub(in crate::pagination) fn can_give_runs(order: &Order, filters: &Filters) -> bool {
    let strong = order.strong.len();
    order.ties == Ties::Unordered
        && filters.sorts_by_id
        && strong > 0
        && (strong == 1 || filters.both)
        && filters.columns.len() > strong
        && filters.columns[..strong].iter().all(|can| can.equal)
}

/// Returns the parts that hold a run and everything after it. In the run the page goes on after `id`, or begins with
/// its first item. `None` if the endpoint can't be asked for them, or if the keys may be stored otherwise than they are
/// shown.
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
    // Right after a run come the items that differ from it in the last key alone. Test:
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

/// Returns all that comes from an anchor on as one filter of alternatives, key by key. For keys (a, b) at (1, 2):
/// `a = 1 and b >= 2`, or `a > 1`. Items that share the anchor's first keys and come long before it are left out.
/// `None` as with [`parts_from_run`].
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

/// Returns the filters for everything from a value of a key on, that value included.
fn from_on(key: &SortKey, value: &KeyValue, column: usize, filters: &Filters) -> Option<Vec<Filter>> {
    let can = filters.columns[column];
    let null = |comparison| Filter::Compare { column, comparison, value: None };
    let nulls = range::nulls_stand(key)?;
    let from_on = match value {
        KeyValue::Null => null(Comparison::Null),
        _ => range::from_on(key, value, column, can, (false, false))?.0,
    };
    let nulls_after = match (value, nulls) {
        (KeyValue::Null, NullsStand::Before) => Some(null(Comparison::NotNull)),
        (KeyValue::Null, _) | (_, NullsStand::Nowhere | NullsStand::Before) => None,
        (_, NullsStand::After) => Some(null(Comparison::Null)),
    };
    let asks_for_nulls = *value == KeyValue::Null || nulls_after.is_some();
    (can.nulls || !asks_for_nulls).then(|| [Some(from_on), nulls_after].into_iter().flatten().collect())
}

/// Returns the run as a part: from after `id` on, with `seen` items of it before that place, or without an id from its
/// start.
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
    // An equality leaves out values that are stored more finely than they are shown. Test:
    // `a_long_run_is_refused_where_the_endpoint_can_not_give_it`.
    (filters.columns[column].equal && grain::is_stored_as_shown(key, value)).then(|| Filter::Compare {
        column,
        comparison: Comparison::Equal,
        value: Some(value.clone()),
    })
}

/// Returns the filters for everything after a value of a key, in the order of the list: up to two parts. `None` if the
/// endpoint can't be asked for that.
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
        // The only later value is the other one.
        (Some(Comparison::Equal), Some(KeyValue::Boolean(!value)))
    } else if can_exclusive && grain::can_be_filtered(key, value) {
        (Some(exclusive), Some(value.clone()))
    } else {
        // The next value is unknown: even between two whole numbers there may be others. Test:
        // `between_two_whole_numbers_there_may_be_others`.
        return None;
    };
    let mut filters: Vec<Filter> =
        comparison.map(|comparison| Filter::Compare { column, comparison, value }).into_iter().collect();
    // Filters by values leave nulls out. Test: `nulls_after_a_long_run_are_asked_for_only_if_the_endpoint_knows_nulls`.
    if nulls == NullsStand::After {
        if !can.nulls {
            return None;
        }
        filters.push(null(Comparison::Null));
    }
    Some(filters)
}

/// Returns the boolean that comes last in the list.
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
