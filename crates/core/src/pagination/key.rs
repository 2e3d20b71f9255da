//! Values of sort keys, and their comparison.
//!
//! Keys are compared in the upstream's spelling: raw JSON values of an answer with each other, or with the values of an
//! anchor. Numbers are compared as decimals of any length, never as floats. The comparison of values that can't be
//! compared returns `None`; no order is guessed.

use std::{borrow::Cow, cmp::Ordering};

use super::{
    decimal::{compare_decimals, plain_decimal},
    instant::{Instant, date_time},
    order::{Direction, Kind, Nulls, SortKey},
};
use crate::json::scalar::{self, ScalarKind};

/// The largest number of bytes of a string key that an anchor contains and that are compared. A longer string is cut:
/// items whose strings agree in their first [`TEXT_KEPT`] bytes are a tie run. Ids are never cut.
pub const TEXT_KEPT: usize = 64;

/// The largest number of bytes of a strong key that is compared as a whole, such as a number, date-time, UUID or rank.
/// A value with a longer spelling can't be a key.
pub(super) const SPELLING_KEPT: usize = 256;

/// The value of an anchor's key, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyValue {
    /// JSON null.
    Null,
    /// A boolean.
    Boolean(bool),
    /// A number, in the upstream's spelling.
    Number(String),
    /// A string, as decoded UTF-8 bytes. A strong key keeps at most the first [`TEXT_KEPT`] bytes, which may end in the
    /// middle of a character.
    Text(Vec<u8>),
}

impl KeyValue {
    /// Parses a raw JSON value as the value of a strong key. `None` for a value that can't be a key: a missing member
    /// (an empty slice), an object, an array, a string that isn't Unicode, or more than 256 bytes of a key that is
    /// compared as a whole.
    #[must_use]
    pub fn of_strong(kind: &Kind, raw: &[u8]) -> Option<Self> {
        KeyRef::of_strong(kind, raw).map(KeyRef::into_owned)
    }

    /// Parses a raw JSON value as an id, which is never cut. `None` for a missing value, null, an object, an array, or
    /// a string that isn't Unicode.
    #[must_use]
    pub fn of_id(raw: &[u8]) -> Option<Self> {
        KeyRef::of_id(raw).map(KeyRef::into_owned)
    }

    /// Returns whether this string may have been cut. Items with the same cut string are a tie run even if the upstream
    /// is declared to order ties.
    pub(super) fn is_cut(&self, kind: &Kind) -> bool {
        matches!((kind, self), (Kind::Inferred | Kind::Text, Self::Text(text)) if text.len() >= TEXT_KEPT)
    }
}

/// The value of a key, borrowed from an answer or from an anchor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyRef<'a> {
    /// JSON null.
    Null,
    /// A boolean.
    Boolean(bool),
    /// A number, in the upstream's spelling.
    Number(&'a str),
    /// A string, as in [`KeyValue::Text`]; borrowed if the upstream wrote it without escapes.
    Text(Cow<'a, [u8]>),
}

impl<'a> KeyRef<'a> {
    /// Parses the value of a strong key, as [`KeyValue::of_strong`] does.
    #[must_use]
    pub fn of_strong(kind: &Kind, raw: &'a [u8]) -> Option<Self> {
        match kind {
            Kind::Inferred | Kind::Text => Self::read(raw, TEXT_KEPT),
            // Only a string may be cut: the beginning of a number, a date-time or a rank is a different value. Test:
            // `only_text_is_cut_and_only_text_is_compared_cut`.
            _ => Self::read(raw, usize::MAX),
        }
        .filter(|value| value.len() <= SPELLING_KEPT)
    }

    /// Parses an id, as [`KeyValue::of_id`] does.
    #[must_use]
    pub fn of_id(raw: &'a [u8]) -> Option<Self> {
        // Ids aren't cut, because ids that begin alike name different items. Test:
        // `ids_are_kept_whole_and_are_never_null`.
        Self::read(raw, usize::MAX).filter(|value| *value != Self::Null)
    }

    fn len(&self) -> usize {
        match self {
            Self::Null | Self::Boolean(_) => 0,
            Self::Number(digits) => digits.len(),
            Self::Text(text) => text.len(),
        }
    }

    fn read(raw: &'a [u8], kept: usize) -> Option<Self> {
        Some(match Scalar::read(raw)? {
            Scalar::Null => Self::Null,
            Scalar::Boolean(value) => Self::Boolean(value),
            Scalar::Number(digits) => Self::Number(std::str::from_utf8(digits).ok()?),
            Scalar::Text(Cow::Borrowed(text)) => Self::Text(Cow::Borrowed(&text[..text.len().min(kept)])),
            Scalar::Text(Cow::Owned(mut text)) => {
                text.truncate(kept);
                Self::Text(Cow::Owned(text))
            }
        })
    }

    fn into_owned(self) -> KeyValue {
        match self {
            Self::Null => KeyValue::Null,
            Self::Boolean(value) => KeyValue::Boolean(value),
            Self::Number(digits) => KeyValue::Number(digits.to_owned()),
            Self::Text(text) => KeyValue::Text(text.into_owned()),
        }
    }
}

impl<'a> From<&'a KeyValue> for KeyRef<'a> {
    fn from(value: &'a KeyValue) -> Self {
        match value {
            KeyValue::Null => Self::Null,
            KeyValue::Boolean(value) => Self::Boolean(*value),
            KeyValue::Number(digits) => Self::Number(digits),
            KeyValue::Text(text) => Self::Text(Cow::Borrowed(text)),
        }
    }
}

/// A key's value, decoded for a comparison.
#[derive(Clone, Debug)]
enum Scalar<'a> {
    Null,
    Boolean(bool),
    Number(&'a [u8]),
    Text(Cow<'a, [u8]>),
}

impl<'a> Scalar<'a> {
    fn read(raw: &'a [u8]) -> Option<Self> {
        if raw.is_empty() {
            return None;
        }
        match scalar::kind(raw) {
            ScalarKind::Null => Some(Self::Null),
            ScalarKind::Boolean(value) => Some(Self::Boolean(value)),
            ScalarKind::Number => Some(Self::Number(raw)),
            ScalarKind::Text => scalar::text(raw).map(Self::Text),
            ScalarKind::Array | ScalarKind::Object => None,
        }
    }

    fn of(value: &'a KeyValue) -> Self {
        match value {
            KeyValue::Null => Self::Null,
            KeyValue::Boolean(value) => Self::Boolean(*value),
            KeyValue::Number(digits) => Self::Number(digits.as_bytes()),
            KeyValue::Text(text) => Self::Text(Cow::Borrowed(text)),
        }
    }
}

/// A value to compare: raw from an answer, or kept in an anchor.
#[derive(Clone, Copy, Debug)]
pub(super) enum Operand<'a> {
    /// A raw JSON value of an answer; empty if the member is missing.
    Raw(&'a [u8]),
    /// A value of an anchor.
    Kept(&'a KeyValue),
}

impl<'a> Operand<'a> {
    fn scalar(self) -> Option<Scalar<'a>> {
        match self {
            Self::Raw(raw) => Scalar::read(raw),
            Self::Kept(value) => Some(Scalar::of(value)),
        }
    }

    /// Returns the value if it is a number in the spelling of most ids and counts: 0, or at most `MOST_COUNTED` digits
    /// without a leading 0.
    pub(super) fn counted(self) -> Option<u64> {
        let digits = match self {
            Self::Raw(raw) => raw,
            Self::Kept(KeyValue::Number(digits)) => digits.as_bytes(),
            Self::Kept(_) => return None,
        };
        if digits.len() > MOST_COUNTED || !matches!(digits, b"0" | [b'1'..=b'9', ..]) {
            return None;
        }
        digits.iter().try_fold(0, |value: u64, byte| {
            let digit = byte.wrapping_sub(b'0');
            (digit < 10).then(|| value * 10 + u64::from(digit))
        })
    }
}

/// The largest number of decimal digits such that every number of that many digits fits into 64 bits.
const MOST_COUNTED: usize = 19;

/// Returns the canonical spelling of an id, by which the id is recognised in other answers: strings are decoded, UUIDs
/// are in lower case, numbers have no superfluous zeros. Borrowed if the upstream's spelling is already canonical.
#[must_use]
pub(super) fn identity<'a>(key: &SortKey, raw: &'a [u8]) -> Cow<'a, [u8]> {
    // An upstream may spell an id differently in its next answer. Test:
    // `ids_with_different_spellings_of_one_value_are_equal`.
    match (&key.kind, Scalar::read(raw)) {
        (Kind::Uuid, Some(Scalar::Text(text))) if text.iter().any(u8::is_ascii_uppercase) => {
            Cow::Owned(text.to_ascii_lowercase())
        }
        (Kind::NumberInString, Some(Scalar::Text(text))) => plain_decimal(&text).map_or(text, Cow::Owned),
        (_, Some(Scalar::Text(text))) => text,
        (_, Some(Scalar::Number(digits))) => plain_decimal(digits).map_or(Cow::Borrowed(digits), Cow::Owned),
        _ => Cow::Borrowed(raw),
    }
}

/// Returns the canonical spelling of an id that a cursor names; `None` if the value can't be an id.
#[must_use]
pub(super) fn identity_of<'a>(key: &SortKey, id: &'a KeyValue) -> Option<Cow<'a, [u8]>> {
    match id {
        KeyValue::Null | KeyValue::Boolean(_) => None,
        KeyValue::Number(digits) => {
            Some(plain_decimal(digits.as_bytes()).map_or_else(|| digits.as_bytes().into(), Cow::Owned))
        }
        KeyValue::Text(text) => Some(match key.kind {
            Kind::Uuid => Cow::Owned(text.to_ascii_lowercase()),
            Kind::NumberInString => plain_decimal(text).map_or_else(|| text.into(), Cow::Owned),
            _ => text.into(),
        }),
    }
}

/// The part of a string that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// The first [`TEXT_KEPT`] bytes, for strong keys.
    Kept,
    /// The whole string, for ids.
    Whole,
}

/// Compares two values of a key by their places in the list: `Less` means that `left` comes earlier. `None` if the
/// values can't be compared: a member is missing, a null has no declared place, the types differ, or a value isn't of
/// the declared kind.
#[must_use]
pub(super) fn compare(key: &SortKey, extent: Extent, left: Operand<'_>, right: Operand<'_>) -> Option<Ordering> {
    // Ties nearly always have the same bytes, which then needn't be decoded. The bytes must still be of the declared
    // kind. Test: `values_that_are_not_of_the_declared_kind_are_incomparable`.
    if let (Operand::Raw(left), Operand::Raw(right)) = (left, right)
        && left == right
        && matches!(
            (&key.kind, left.first()),
            (Kind::Inferred | Kind::Text, Some(b'"')) | (Kind::Inferred | Kind::Number, Some(b'-' | b'0'..=b'9'))
        )
    {
        return Some(Ordering::Equal);
    }
    if let (Kind::Inferred | Kind::Number, Some(left), Some(right)) = (&key.kind, left.counted(), right.counted()) {
        return Some(directed(key, left.cmp(&right)));
    }
    let (left, right) = (left.scalar()?, right.scalar()?);
    let ascending = match (&left, &right) {
        (Scalar::Null, Scalar::Null) => {
            // Nulls without a declared place don't even tie with each other. Test:
            // `nulls_are_sorted_to_their_declared_place`.
            return (!matches!(key.nulls, Nulls::None | Nulls::Unsaid)).then_some(Ordering::Equal);
        }
        (Scalar::Null, _) => match key.nulls {
            Nulls::First => return Some(Ordering::Less),
            Nulls::Last => return Some(Ordering::Greater),
            Nulls::Smallest => Ordering::Less,
            Nulls::Largest => Ordering::Greater,
            Nulls::Unsaid | Nulls::None => return None,
        },
        (_, Scalar::Null) => match key.nulls {
            Nulls::First => return Some(Ordering::Greater),
            Nulls::Last => return Some(Ordering::Less),
            Nulls::Smallest => Ordering::Greater,
            Nulls::Largest => Ordering::Less,
            Nulls::Unsaid | Nulls::None => return None,
        },
        (left, right) => compare_values(&key.kind, extent, left, right)?,
    };
    Some(directed(key, ascending))
}

/// Reverses an ascending comparison if the key descends.
pub(super) fn directed(key: &SortKey, ascending: Ordering) -> Ordering {
    match key.direction {
        Direction::Ascending => ascending,
        Direction::Descending => ascending.reverse(),
    }
}

/// Compares two values that aren't null, in ascending order; `None` if they can't be compared.
fn compare_values(kind: &Kind, extent: Extent, left: &Scalar<'_>, right: &Scalar<'_>) -> Option<Ordering> {
    match (kind, left, right) {
        (Kind::Inferred | Kind::Boolean, Scalar::Boolean(left), Scalar::Boolean(right)) => Some(left.cmp(right)),
        (Kind::Inferred | Kind::Number | Kind::NumberInString, Scalar::Number(left), Scalar::Number(right)) => {
            compare_decimals(left, right)
        }
        // As strings, "10" would come before "9". Test:
        // `numbers_in_strings_compare_as_numbers_only_where_that_is_declared`.
        (Kind::NumberInString, Scalar::Text(left), Scalar::Text(right)) => compare_decimals(left, right),
        (Kind::Inferred, Scalar::Text(left), Scalar::Text(right)) if extent == Extent::Kept => infer(left, right),
        (Kind::Inferred | Kind::Text, Scalar::Text(left), Scalar::Text(right)) => {
            let kept = if extent == Extent::Kept { TEXT_KEPT } else { usize::MAX };
            Some(left[..left.len().min(kept)].cmp(&right[..right.len().min(kept)]))
        }
        (Kind::Datetime, Scalar::Text(left), Scalar::Text(right)) => {
            let instant = Instant::parse(left)?;
            // Ties nearly always have the same bytes, which needn't be parsed twice.
            if left == right { Some(Ordering::Equal) } else { Some(instant.cmp(&Instant::parse(right)?)) }
        }
        (Kind::Uuid, Scalar::Text(left), Scalar::Text(right)) => {
            Some(left.to_ascii_lowercase().cmp(&right.to_ascii_lowercase()))
        }
        (Kind::Rank(ranks), Scalar::Text(left), Scalar::Text(right)) => {
            let rank = |value: &[u8]| ranks.iter().position(|rank| rank.as_bytes() == value);
            Some(rank(left)?.cmp(&rank(right)?))
        }
        // Opaque values are either equal, or their order is unknown. Test: `opaque_values_are_equal_or_incomparable`.
        (Kind::Opaque, Scalar::Boolean(left), Scalar::Boolean(right)) => (left == right).then_some(Ordering::Equal),
        (Kind::Opaque, Scalar::Number(left), Scalar::Number(right)) => {
            compare_decimals(left, right).filter(|ordering| ordering.is_eq())
        }
        (Kind::Opaque, Scalar::Text(left), Scalar::Text(right)) => (left == right).then_some(Ordering::Equal),
        _ => None,
    }
}

/// Compares two strings of a field without a declared type. Date-times are compared as instants, because serializers
/// leave out zero fractions, and zones differ. Other strings are compared by their bytes. `None` for a date-time and
/// another string: comparing a date-time by its bytes with strings, but as an instant with date-times, could order
/// three values in a circle, and a binary search would then find a wrong place for an anchor.
fn infer(left: &[u8], right: &[u8]) -> Option<Ordering> {
    match (date_time(left), date_time(right)) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        (None, None) => Some(left[..left.len().min(TEXT_KEPT)].cmp(&right[..right.len().min(TEXT_KEPT)])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kind: Kind, direction: Direction, nulls: Nulls) -> SortKey {
        SortKey { name: "key".into(), direction, kind, nulls, grain: None }
    }

    fn raw(kind: Kind, left: &str, right: &str) -> Option<Ordering> {
        let key = key(kind, Direction::Ascending, Nulls::Unsaid);
        compare(&key, Extent::Kept, Operand::Raw(left.as_bytes()), Operand::Raw(right.as_bytes()))
    }

    #[test]
    fn numbers_compare_as_decimals_of_any_length() {
        let ascending = [
            "-1e400",
            "-9007199254740993",
            "-9007199254740992",
            "-1.5",
            "-1",
            "-0.001",
            "0",
            "1e-400",
            "0.1",
            "1",
            "1.0000000000000000000000001",
            "9.99",
            "10",
            "9007199254740992",
            "9007199254740993",
            "1e400",
            "10e400",
        ];
        for (at, left) in ascending.iter().enumerate() {
            for (other, right) in ascending.iter().enumerate() {
                assert_eq!(raw(Kind::Inferred, left, right), Some(at.cmp(&other)), "{left} {right}");
            }
        }
        for (left, right) in
            [("25.0", "25"), ("1E2", "100"), ("0.10e1", "1"), ("-0", "0"), ("0e9", "0"), ("100e-2", "1")]
        {
            assert_eq!(raw(Kind::Number, left, right), Some(Ordering::Equal), "{left} {right}");
        }
    }

    #[test]
    fn only_numbers_in_their_shortest_spelling_are_counted() {
        for (raw, counted) in [("0", Some(0)), ("7", Some(7)), ("9999999999999999999", Some(9_999_999_999_999_999_999))]
        {
            assert_eq!(Operand::Raw(raw.as_bytes()).counted(), counted, "{raw}");
        }
        for raw in ["", "00", "01", "-0", "0.0", "0e1", "1.", "12345678901234567890", "\"1\"", "null"] {
            assert_eq!(Operand::Raw(raw.as_bytes()).counted(), None, "{raw}");
        }
    }

    #[test]
    fn numbers_in_strings_compare_as_numbers_only_where_that_is_declared() {
        assert_eq!(raw(Kind::NumberInString, "\"9\"", "\"10\""), Some(Ordering::Less));
        assert_eq!(raw(Kind::Inferred, "\"9\"", "\"10\""), Some(Ordering::Greater));
        assert_eq!(raw(Kind::NumberInString, "\"9\"", "\"ten\""), None);
    }

    #[test]
    fn other_types_never_compare() {
        for (left, right) in
            [("1", "\"1\""), ("true", "1"), ("", "1"), ("{}", "{}"), ("[]", "1"), ("\"\\ud800\"", "\"a\"")]
        {
            assert_eq!(raw(Kind::Inferred, left, right), None, "{left} {right}");
        }
        assert_eq!(raw(Kind::Number, "\"a\"", "\"b\""), None);
    }

    #[test]
    fn strings_compare_by_their_decoded_bytes() {
        assert_eq!(raw(Kind::Inferred, r#""\u00e9""#, "\"é\""), Some(Ordering::Equal));
        assert_eq!(raw(Kind::Inferred, "\"Z\"", "\"a\""), Some(Ordering::Less));
        assert_eq!(raw(Kind::Uuid, "\"AB\"", "\"ab\""), Some(Ordering::Equal));
        let long = "x".repeat(TEXT_KEPT);
        assert_eq!(raw(Kind::Text, &format!("\"{long}a\""), &format!("\"{long}b\"")), Some(Ordering::Equal));
    }

    #[test]
    fn datetimes_compare_as_instants() {
        assert_eq!(
            raw(Kind::Datetime, "\"2026-01-01T01:00:00+01:00\"", "\"2026-01-01T00:00:00.000Z\""),
            Some(Ordering::Equal)
        );
        assert_eq!(
            raw(Kind::Datetime, "\"2026-01-01T00:00:00.1Z\"", "\"2026-01-01T00:00:00.09Z\""),
            Some(Ordering::Greater)
        );
    }

    #[test]
    fn untyped_texts_compare_as_instants_if_they_are_instants() {
        for (left, right, expected) in [
            ("2026-01-15T10:00:00Z", "2026-01-15T10:00:00.5Z", Some(Ordering::Less)),
            ("2026-01-15T10:00:00.250000+00:00", "2026-01-15T10:00:00.25Z", Some(Ordering::Equal)),
            ("2026-01-15T12:00:00+02:00", "2026-01-15T10:30:00Z", Some(Ordering::Less)),
            ("2026-01-15 10:00", "2026-01-15T10:00:00", Some(Ordering::Equal)),
            // Dates, and strings that aren't date-times, compare by their bytes.
            ("2026-01-15", "2026-01-16", Some(Ordering::Less)),
            ("2026-13-15T10:00:00Z", "2026-13-15T10:00:00.5Z", Some(Ordering::Greater)),
            ("Adam", "adam", Some(Ordering::Less)),
            // A date-time and another string can't be compared.
            ("2026-01-15T10:00:00Z", "never", None),
            ("2026-01-15T10:00:00Z", "2026-01-16", None),
        ] {
            let quoted = |text: &str| format!("\"{text}\"");
            assert_eq!(raw(Kind::Inferred, &quoted(left), &quoted(right)), expected, "{left} {right}");
            let id = key(Kind::Inferred, Direction::Ascending, Nulls::None);
            let [left, right] = [quoted(left), quoted(right)];
            let by_bytes = compare(&id, Extent::Whole, Operand::Raw(left.as_bytes()), Operand::Raw(right.as_bytes()));
            assert_eq!(by_bytes, Some(left.trim_matches('"').cmp(right.trim_matches('"'))), "an id: {left} {right}");
        }
    }

    #[test]
    fn ranks_compare_by_their_place_in_the_declared_list() {
        let kind = Kind::Rank(vec!["new".into(), "open".into(), "done".into()]);
        assert_eq!(raw(kind.clone(), "\"new\"", "\"done\""), Some(Ordering::Less));
        assert_eq!(raw(kind, "\"new\"", "\"else\""), None);
    }

    #[test]
    fn opaque_values_are_equal_or_incomparable() {
        for (left, right, same) in [
            (r#""\u00e9""#, "\"é\"", true),
            ("\"a\"", "\"A\"", false),
            ("1.0", "1", true),
            ("1", "2", false),
            ("true", "true", true),
            ("true", "false", false),
            ("1", "\"1\"", false),
        ] {
            assert_eq!(raw(Kind::Opaque, left, right), same.then_some(Ordering::Equal), "{left} {right}");
        }
    }

    #[test]
    fn nulls_are_sorted_to_their_declared_place() {
        use Direction::{Ascending, Descending};
        let cases = [
            (Nulls::First, Ascending, Some(Ordering::Less)),
            (Nulls::First, Descending, Some(Ordering::Less)),
            (Nulls::Last, Ascending, Some(Ordering::Greater)),
            (Nulls::Last, Descending, Some(Ordering::Greater)),
            (Nulls::Smallest, Ascending, Some(Ordering::Less)),
            (Nulls::Smallest, Descending, Some(Ordering::Greater)),
            (Nulls::Largest, Ascending, Some(Ordering::Greater)),
            (Nulls::Largest, Descending, Some(Ordering::Less)),
            (Nulls::Unsaid, Ascending, None),
            (Nulls::None, Ascending, None),
        ];
        for (nulls, direction, expected) in cases {
            let key = key(Kind::Inferred, direction, nulls);
            let null = Operand::Kept(&KeyValue::Null);
            assert_eq!(compare(&key, Extent::Kept, null, Operand::Raw(b"1")), expected);
            assert_eq!(compare(&key, Extent::Kept, Operand::Raw(b"1"), null), expected.map(Ordering::reverse));
            let both = compare(&key, Extent::Kept, Operand::Raw(b"null"), Operand::Raw(b"null"));
            assert_eq!(both, expected.map(|_| Ordering::Equal));
        }
    }

    #[test]
    fn only_text_is_cut_and_only_text_is_compared_cut() {
        let digits = format!("\"{}\"", "1".repeat(100));
        assert_eq!(
            KeyValue::of_strong(&Kind::NumberInString, digits.as_bytes()),
            Some(KeyValue::Text(vec![b'1'; 100]))
        );
        let endless = format!("\"{}\"", "1".repeat(SPELLING_KEPT + 1));
        assert_eq!(KeyValue::of_strong(&Kind::NumberInString, endless.as_bytes()), None);
        let text = KeyValue::of_strong(&Kind::Text, digits.as_bytes()).unwrap();
        assert!(text.is_cut(&Kind::Text) && !text.is_cut(&Kind::NumberInString));
    }

    #[test]
    fn values_that_are_not_of_the_declared_kind_are_incomparable() {
        assert_eq!(raw(Kind::Datetime, "\"n/a\"", "\"n/a\""), None);
        assert_eq!(raw(Kind::Rank(vec![]), "\"new\"", "\"new\""), None);
        assert_eq!(raw(Kind::Number, "\"1\"", "\"1\""), None);
        assert_eq!(raw(Kind::Inferred, "[1]", "[1]"), None);
    }

    #[test]
    fn ids_with_different_spellings_of_one_value_are_equal() {
        let spelt = |kind, raw: &str| {
            let key = key(kind, Direction::Ascending, Nulls::None);
            String::from_utf8(identity(&key, raw.as_bytes()).into_owned()).unwrap()
        };
        for spelling in ["100", "100.0", "1e2", "0.1E3", "100.000e0"] {
            assert_eq!(spelt(Kind::Inferred, spelling), "100", "{spelling}");
        }
        assert_eq!(spelt(Kind::Inferred, "-0.0"), "0");
        assert_eq!(spelt(Kind::Inferred, "0"), "0");
        assert_eq!(spelt(Kind::Inferred, "1.50"), spelt(Kind::Inferred, "15e-1"));
        assert_ne!(spelt(Kind::Inferred, "-1.5"), spelt(Kind::Inferred, "1.5"));
        assert_eq!(spelt(Kind::Inferred, r#""\u0061""#), "a");
        assert_eq!(spelt(Kind::Uuid, r#""AB""#), "ab");
        assert_eq!(spelt(Kind::NumberInString, r#""007""#), "7");
    }

    #[test]
    fn ids_are_kept_whole_and_are_never_null() {
        let long = format!("\"{}\"", "x".repeat(100));
        assert_eq!(KeyValue::of_id(long.as_bytes()), Some(KeyValue::Text(vec![b'x'; 100])));
        assert_eq!(KeyValue::of_strong(&Kind::Inferred, long.as_bytes()), Some(KeyValue::Text(vec![b'x'; TEXT_KEPT])));
        assert_eq!(KeyValue::of_id(b"null"), None);
        assert_eq!(KeyValue::of_id(b""), None);
    }
}
