//! The grain of values: a shown value may be coarser than the one by which the upstream sorts. A filter is asked for
//! from the anchor's value, moved outwards by one grain.
//!
//! Shown values are cut off (date-times mostly are) or rounded (numbers mostly are). The stored value lies less than
//! one grain from the shown one, on either side, so a filter that is moved outwards by a whole grain lets everything
//! through that looks like the anchor, and a little more, which is dropped by the gateway. Example: the stored time
//! `.123456` is shown as `.123`. In a descending list, the filter `<= .123` loses that item; `<= .124` does not.

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

/// Returns whether outwards, which is the way to the start of a list in this direction, is towards larger values.
pub(in crate::pagination) fn outwards_is_up(direction: Direction) -> bool {
    direction == Direction::Descending
}

/// Returns whether an endpoint can be asked for everything from this value on and answers as the list is sorted. That
/// can't be if only the upstream knows how values compare (`opaque`, and text of no declared kind, which may follow a
/// collation), if their order is not that of their spelling (`rank`), or for booleans, which divide no list.
pub(in crate::pagination) fn can_be_filtered(key: &SortKey, value: &KeyValue) -> bool {
    nature(key, value).is_some()
}

/// Returns a value moved outwards by the grain in which it is shown, or `AsShown` where it is stored as it is shown.
/// `None` if it can't be moved, or can't be filtered by.
///
/// The grain is the coarser of the declared one and the one that the value shows, because serializers leave out zeros
/// at the end. A number without digits after its point, and a date, count as stored so unless the route declares a
/// grain.
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
                // The digits shown after the grain are zeros, whatever is stored. Test:
                // `a_grain_that_is_coarser_than_the_digits_shown_is_what_a_filter_is_moved_by`.
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
    /// The value is stored as it is shown.
    AsShown,
    /// The value may be stored up to one grain away.
    To(KeyValue),
}

/// Returns a value that surely comes before this one, which is stored as it is shown, with few values in between: for
/// endpoints that only compare exclusively. `None` if there is none, as before a UUID, or before a text where texts
/// descend.
pub(in crate::pagination) fn just_before(key: &SortKey, value: &KeyValue) -> Option<KeyValue> {
    let up = outwards_is_up(key.direction);
    match (nature(key, value)?, value) {
        (Nature::Number, KeyValue::Number(digits)) => Some(KeyValue::Number(moved_decimal(digits.as_bytes(), 0, up)?)),
        (Nature::Number, KeyValue::Text(digits)) => Some(KeyValue::Text(moved_decimal(digits, 0, up)?.into_bytes())),
        (Nature::Datetime, KeyValue::Text(text)) => {
            Some(KeyValue::Text(moved_instant(text, unit_shown(text)?, up)?.into_bytes()))
        }
        // A text without its last character comes before the text where texts ascend. Test:
        // `exclusive_filters_are_moved_to_where_they_show_the_anchor`.
        (Nature::Text, KeyValue::Text(text)) if !up => {
            let shown = std::str::from_utf8(whole_characters(text)).ok()?;
            let last = shown.chars().next_back()?;
            Some(KeyValue::Text(shown[..shown.len() - last.len_utf8()].into()))
        }
        _ => None,
    }
}

/// Returns whether a value is stored as it is shown, so that equality finds all items that look like it and no others.
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

/// Returns a text cut back to whole characters: the kept part of a long text may end within one.
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

/// Returns whether this is a UUID in lower case (RFC 9562, section 4): all collations agree with the bytes on these.
fn is_uuid(text: &[u8]) -> bool {
    text.len() == 36
        && text.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        })
}

/// Returns a number moved by its grain: `Some(None)` if it has no grain, `None` if it can't be moved.
#[expect(clippy::option_option, reason = "whether it can be known, and then whether it has a grain")]
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
