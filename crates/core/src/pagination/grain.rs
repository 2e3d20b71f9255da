//! The grain of values: a shown value may be coarser than the stored value by which the upstream sorts. So the bound of
//! a filter is the anchor's value moved by one grain *outwards*, that is towards the start of the list.
//!
//! Most date-times are cut off, and most numbers are rounded. In both cases the stored value is less than one grain
//! away from the shown value, on either side. A filter that is moved outwards by a whole grain therefore lets through
//! every item that looks like the anchor, and a few more, which the gateway drops. Example: the stored time `.123456`
//! is shown as `.123`. In a descending list, the filter `<= .123` loses that item; the filter `<= .124` doesn't.

use crate::pagination::{
    decimal::{digits_after_point, moved_decimal},
    instant::{Instant, TimeUnit, moved_instant, unit_shown},
    key::KeyValue,
    order::{Direction, Grain, Kind, SortKey},
};

/// The type of a value, for filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nature {
    Number,
    Datetime,
    Text,
    Uuid,
}

/// Returns whether larger values come earlier in a list with this direction, so a bound moves outwards when it grows.
pub(in crate::pagination) fn outwards_is_up(direction: Direction) -> bool {
    direction == Direction::Descending
}

/// Returns whether a filter from this value on selects items in the same order as the list is sorted. There is no such
/// filter if the value is null or isn't of the declared kind, and for three kinds of values: values that only the
/// upstream can compare (`opaque`, and strings of undeclared kind, which may follow a collation); values whose order
/// isn't the order of their spelling (`rank`); and booleans, which can't narrow a list.
pub(in crate::pagination) fn can_be_filtered(key: &SortKey, value: &KeyValue) -> bool {
    nature(key, value).is_some()
}

/// Returns a value moved outwards by its grain, or `AsShown` if the value is stored as it is shown. `None` if the value
/// can't be moved, or can't be the bound of a filter.
///
/// The grain is the coarser of the declared grain and the precision of the spelling, because serializers leave out
/// trailing zeros. An integer or a date counts as stored as it is shown, unless the route declares a grain. So does a
/// string that is neither a date-time nor a number.
pub(in crate::pagination) fn widened(key: &SortKey, value: &KeyValue) -> Option<Widened> {
    let up = outwards_is_up(key.direction);
    match (nature(key, value)?, value) {
        (Nature::Number, KeyValue::Number(digits)) => Some(
            number(key, digits.as_bytes(), up)?.map_or(Widened::AsShown, |moved| Widened::To(KeyValue::Number(moved))),
        ),
        (Nature::Number, KeyValue::Text(digits)) => Some(
            number(key, digits, up)?.map_or(Widened::AsShown, |moved| Widened::To(KeyValue::Text(moved.into_bytes()))),
        ),
        (Nature::Datetime, KeyValue::Text(text)) => {
            let shown = unit_shown(text)?;
            let unit = match key.grain {
                Some(Grain::Day) => TimeUnit::Day,
                // Digits beyond the declared grain are shown as zeros, whatever is stored, so the declared grain
                // overrules them. Test: `a_filter_is_widened_by_a_grain_coarser_than_the_digits_shown`.
                Some(Grain::Digits(digits)) => shown.min(TimeUnit::Fraction(digits)),
                None if shown == TimeUnit::Day => return Some(Widened::AsShown),
                None => shown,
            };
            Some(Widened::To(KeyValue::Text(moved_instant(text, unit, up)?.into_bytes())))
        }
        _ => Some(Widened::AsShown),
    }
}

/// The bound of a filter, widened by the grain of its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::pagination) enum Widened {
    /// The value is stored as it is shown, so the bound isn't moved.
    AsShown,
    /// The stored value may be up to one grain away, so the bound is moved to this value.
    To(KeyValue),
}

/// Returns a value that certainly comes before `value` in the list, with few values between the two. It is the bound
/// for an endpoint that compares only exclusively; `value` must be stored as it is shown. `None` if there is no such
/// value, as before a UUID, or before a string in a descending list.
pub(in crate::pagination) fn just_before(key: &SortKey, value: &KeyValue) -> Option<KeyValue> {
    let up = outwards_is_up(key.direction);
    match (nature(key, value)?, value) {
        (Nature::Number, KeyValue::Number(digits)) => Some(KeyValue::Number(moved_decimal(digits.as_bytes(), 0, up)?)),
        (Nature::Number, KeyValue::Text(digits)) => Some(KeyValue::Text(moved_decimal(digits, 0, up)?.into_bytes())),
        (Nature::Datetime, KeyValue::Text(text)) => {
            Some(KeyValue::Text(moved_instant(text, unit_shown(text)?, up)?.into_bytes()))
        }
        // In an ascending list, a string without its last character comes before the string. Test:
        // `exclusive_filters_are_moved_to_where_they_show_the_anchor`.
        (Nature::Text, KeyValue::Text(text)) if !up => {
            let shown = std::str::from_utf8(whole_characters(text)).ok()?;
            let last = shown.chars().next_back()?;
            Some(KeyValue::Text(shown[..shown.len() - last.len_utf8()].into()))
        }
        _ => None,
    }
}

/// Returns whether a value is stored as it is shown. If so, a filter by equality finds exactly the items that show this
/// value.
pub(in crate::pagination) fn is_stored_as_shown(key: &SortKey, value: &KeyValue) -> bool {
    if key.grain.is_some() || value.is_cut(&key.kind) {
        return false;
    }
    match (&key.kind, value) {
        (Kind::Rank(_) | Kind::Opaque, _) => false,
        (_, KeyValue::Null | KeyValue::Boolean(_)) => true,
        (_, KeyValue::Number(digits)) => digits_after_point(digits.as_bytes()) == Some(0),
        (Kind::NumberInString, KeyValue::Text(digits)) => digits_after_point(digits) == Some(0),
        (Kind::Datetime | Kind::Inferred, KeyValue::Text(text)) => match unit_shown(text) {
            Some(unit) => unit == TimeUnit::Day,
            None => key.kind == Kind::Inferred,
        },
        (_, KeyValue::Text(_)) => true,
    }
}

/// Returns the longest prefix of whole characters: the kept part of a long string may end in the middle of a character.
pub(in crate::pagination) fn whole_characters(text: &[u8]) -> &[u8] {
    match std::str::from_utf8(text) {
        Ok(_) => text,
        Err(cut) => &text[..cut.valid_up_to()],
    }
}

fn nature(key: &SortKey, value: &KeyValue) -> Option<Nature> {
    match (&key.kind, value) {
        (Kind::Number | Kind::NumberInString | Kind::Inferred, KeyValue::Number(digits)) => {
            digits_after_point(digits.as_bytes()).map(|_| Nature::Number)
        }
        (Kind::NumberInString, KeyValue::Text(digits)) => digits_after_point(digits).map(|_| Nature::Number),
        (Kind::Datetime, KeyValue::Text(text)) => Instant::parse(text).map(|_| Nature::Datetime),
        (Kind::Text, KeyValue::Text(_)) => Some(Nature::Text),
        (Kind::Uuid, KeyValue::Text(_)) => Some(Nature::Uuid),
        (Kind::Inferred, KeyValue::Text(text)) if Instant::parse(text).is_some() => Some(Nature::Datetime),
        (Kind::Inferred, KeyValue::Text(text)) if is_uuid(text) => Some(Nature::Uuid),
        _ => None,
    }
}

/// Returns whether the text is a UUID in lower case (RFC 9562, section 4). All collations sort such texts in the order
/// of their bytes.
fn is_uuid(text: &[u8]) -> bool {
    text.len() == 36
        && text.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

/// Returns a number moved by its grain. `Some(None)` if the number is stored as it is shown, `None` if it can't be
/// moved.
#[expect(
    clippy::option_option,
    reason = "the outer option tells whether the number can be moved, the inner one whether it has a grain"
)]
fn number(key: &SortKey, digits: &[u8], up: bool) -> Option<Option<String>> {
    let shown = u8::try_from(digits_after_point(digits)?).unwrap_or(u8::MAX);
    let place = match key.grain {
        Some(Grain::Digits(declared)) => shown.min(declared),
        Some(Grain::Day) => return None,
        None if shown == 0 => return Some(None),
        None => shown,
    };
    Some(Some(moved_decimal(digits, place, up)?))
}
