//! Values of sort keys, and how they compare.
//!
//! Keys are compared as the upstream wrote them: raw JSON values of an answer with each other, or with the values that an
//! anchor carries. Numbers are compared as decimals of any length, never as floats. What can't be compared says so
//! (`None`); nothing is guessed.

use std::{borrow::Cow, cmp::Ordering};

use super::{
    instant::Instant,
    order::{Direction, Kind, Nulls, SortKey},
};
use crate::json::scalar::{self, ScalarKind};

/// The longest part of a string key that an anchor carries and that comparisons look at, in bytes. Items whose strings
/// agree in so many bytes are a tie run. Ids are never cut.
pub const TEXT_KEPT: usize = 64;

/// The value of a key of an anchor, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyValue {
    /// JSON null.
    Null,
    /// A boolean.
    Boolean(bool),
    /// A number, spelt as the upstream spelt it.
    Number(String),
    /// A string: its decoded UTF-8 bytes, of strong keys at most the first [`TEXT_KEPT`] (which may cut a character).
    Text(Vec<u8>),
}

impl KeyValue {
    /// Reads a raw JSON value as the value of a strong key; `None` for what can't be a key: a missing member, an object,
    /// an array, a string that is no Unicode.
    #[must_use]
    pub fn of_strong(raw: &[u8]) -> Option<Self> {
        Self::read(raw, TEXT_KEPT)
    }

    /// Reads a raw JSON value as an id, whole; `None` for what can't be an id: null too.
    #[must_use]
    pub fn of_id(raw: &[u8]) -> Option<Self> {
        Self::read(raw, usize::MAX).filter(|value| *value != Self::Null)
    }

    fn read(raw: &[u8], kept: usize) -> Option<Self> {
        Some(match Scalar::read(raw)? {
            Scalar::Null => Self::Null,
            Scalar::Boolean(value) => Self::Boolean(value),
            Scalar::Number(digits) => Self::Number(String::from_utf8(digits.to_vec()).ok()?),
            Scalar::Text(text) => Self::Text(text[..text.len().min(kept)].to_vec()),
        })
    }
}

/// A key value, borrowed from an answer or an anchor.
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

/// One side of a comparison.
#[derive(Clone, Copy, Debug)]
pub enum Key<'a> {
    /// A raw JSON value of an answer; empty where the member is missing.
    Raw(&'a [u8]),
    /// A value that an anchor carries.
    Kept(&'a KeyValue),
}

impl<'a> Key<'a> {
    fn scalar(self) -> Option<Scalar<'a>> {
        match self {
            Self::Raw(raw) => Scalar::read(raw),
            Self::Kept(value) => Some(Scalar::of(value)),
        }
    }
}

/// The one spelling of an id by which it is known again in another answer: strings decoded, numbers without blanks and
/// superfluous zeros. Borrowed wherever the upstream spells it so.
#[must_use]
pub fn identity<'a>(key: &SortKey, raw: &'a [u8]) -> Cow<'a, [u8]> {
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

/// The plain spelling of a decimal that is not spelt as a plain integer; `None` where it is, or is no decimal.
fn plain_decimal(text: &[u8]) -> Option<Vec<u8>> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if digits.iter().all(u8::is_ascii_digit) && (digits.first() != Some(&b'0') || text == b"0") {
        return None;
    }
    let decimal = Decimal::parse(text)?;
    let digits = String::from_utf8(decimal.whole.iter().chain(decimal.fraction).copied().collect()).ok()?;
    let sign = if decimal.sign() < 0 { "-" } else { "" };
    let width = usize::try_from(decimal.exponent)
        .ok()
        .filter(|width| *width >= digits.len() && *width <= 64);
    let plain = match width {
        _ if digits.is_empty() => "0".to_owned(),
        Some(width) => format!("{sign}{digits:0<width$}"),
        None => format!("{sign}0.{digits}e{}", decimal.exponent),
    };
    Some(plain.into_bytes())
}

/// How much of a string counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// The first [`TEXT_KEPT`] bytes: strong keys.
    Kept,
    /// All of it: ids.
    Whole,
}

/// How two values of one key stand to each other in the list: `Less` comes earlier. `None` where that can't be said:
/// a missing member, a null whose place is not declared, values of different types, or that are not of the declared kind.
#[must_use]
pub fn compare(key: &SortKey, extent: Extent, left: Key<'_>, right: Key<'_>) -> Option<Ordering> {
    if let (Key::Raw(left), Key::Raw(right)) = (left, right)
        && left == right
        && !left.is_empty()
        && !matches!(left[0], b'{' | b'[')
        && (left != b"null" || !matches!(key.nulls, Nulls::None))
    {
        return Some(Ordering::Equal);
    }
    let (left, right) = (left.scalar()?, right.scalar()?);
    let ascending = match (&left, &right) {
        (Scalar::Null, Scalar::Null) => return (key.nulls != Nulls::None).then_some(Ordering::Equal),
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
    Some(match key.direction {
        Direction::Ascending => ascending,
        Direction::Descending => ascending.reverse(),
    })
}

/// Compares two values that are no nulls, ascending.
fn compare_values(kind: &Kind, extent: Extent, left: &Scalar<'_>, right: &Scalar<'_>) -> Option<Ordering> {
    match (kind, left, right) {
        (Kind::Inferred | Kind::Boolean, Scalar::Boolean(left), Scalar::Boolean(right)) => Some(left.cmp(right)),
        (Kind::Inferred | Kind::Number | Kind::NumberInString, Scalar::Number(left), Scalar::Number(right)) => {
            compare_decimals(left, right)
        }
        (Kind::NumberInString, Scalar::Text(left), Scalar::Text(right)) => compare_decimals(left, right),
        (Kind::Inferred | Kind::Text, Scalar::Text(left), Scalar::Text(right)) => {
            let kept = if extent == Extent::Kept { TEXT_KEPT } else { usize::MAX };
            Some(left[..left.len().min(kept)].cmp(&right[..right.len().min(kept)]))
        }
        (Kind::Datetime, Scalar::Text(left), Scalar::Text(right)) => {
            Some(Instant::parse(left)?.cmp(&Instant::parse(right)?))
        }
        (Kind::Uuid, Scalar::Text(left), Scalar::Text(right)) => {
            Some(left.to_ascii_lowercase().cmp(&right.to_ascii_lowercase()))
        }
        (Kind::Rank(ranks), Scalar::Text(left), Scalar::Text(right)) => {
            let rank = |value: &[u8]| ranks.iter().position(|rank| rank.as_bytes() == value);
            Some(rank(left)?.cmp(&rank(right)?))
        }
        _ => None,
    }
}

/// Compares two decimals as JSON writes them (RFC 8259, section 6), exactly, whatever their length. `None` where one of
/// them is none.
fn compare_decimals(left: &[u8], right: &[u8]) -> Option<Ordering> {
    let (left, right) = (Decimal::parse(left)?, Decimal::parse(right)?);
    Some(match (left.sign(), right.sign()) {
        (one, other) if one != other => one.cmp(&other),
        (0, _) => Ordering::Equal,
        (-1, _) => right.compare_magnitude(&left),
        _ => left.compare_magnitude(&right),
    })
}

/// A decimal, taken apart: `0.DIGITS × 10^exponent`, where the digits neither begin nor end with a zero.
struct Decimal<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

impl<'a> Decimal<'a> {
    fn parse(text: &'a [u8]) -> Option<Self> {
        let (negative, text) = match text.split_first()? {
            (b'-', rest) => (true, rest),
            _ => (false, text),
        };
        let (mantissa, exponent) = match text.iter().position(|byte| matches!(byte, b'e' | b'E')) {
            Some(at) => (&text[..at], parse_exponent(&text[at + 1..])?),
            None => (text, 0),
        };
        let (whole, fraction) = match mantissa.iter().position(|byte| *byte == b'.') {
            Some(at) if at + 1 < mantissa.len() => (&mantissa[..at], &mantissa[at + 1..]),
            Some(_) => return None,
            None => (mantissa, &[][..]),
        };
        if whole.is_empty() || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
            return None;
        }
        let whole = &whole[whole.iter().take_while(|digit| **digit == b'0').count()..];
        let trailing = fraction.iter().rev().take_while(|digit| **digit == b'0').count();
        let fraction = &fraction[..fraction.len() - trailing];
        let mut decimal = Self {
            negative,
            whole,
            fraction,
            exponent,
        };
        if whole.is_empty() {
            let leading = fraction.iter().take_while(|digit| **digit == b'0').count();
            decimal.fraction = &fraction[leading..];
            decimal.exponent = exponent.saturating_sub(i64::try_from(leading).ok()?);
        } else {
            decimal.exponent = exponent.saturating_add(i64::try_from(whole.len()).ok()?);
            if fraction.is_empty() {
                let trailing = whole.iter().rev().take_while(|digit| **digit == b'0').count();
                decimal.whole = &whole[..whole.len() - trailing];
            }
        }
        Some(decimal)
    }

    fn sign(&self) -> i8 {
        match (self.whole.is_empty() && self.fraction.is_empty(), self.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        }
    }

    fn compare_magnitude(&self, other: &Self) -> Ordering {
        self.exponent.cmp(&other.exponent).then_with(|| {
            self.whole
                .iter()
                .chain(self.fraction)
                .cmp(other.whole.iter().chain(other.fraction))
        })
    }
}

/// Exponents beyond ±10^17 count as that: no upstream sorts by them.
fn parse_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        (b'+', rest) => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = &digits[digits.iter().take_while(|digit| **digit == b'0').count()..];
    let value = if digits.len() > 17 {
        100_000_000_000_000_000
    } else {
        digits
            .iter()
            .fold(0, |value, digit| value * 10 + i64::from(digit - b'0'))
    };
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kind: Kind, direction: Direction, nulls: Nulls) -> SortKey {
        SortKey {
            name: "key".into(),
            direction,
            kind,
            nulls,
        }
    }

    fn raw(kind: Kind, left: &str, right: &str) -> Option<Ordering> {
        let key = key(kind, Direction::Ascending, Nulls::Unsaid);
        compare(
            &key,
            Extent::Kept,
            Key::Raw(left.as_bytes()),
            Key::Raw(right.as_bytes()),
        )
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
        for (left, right) in [
            ("25.0", "25"),
            ("1E2", "100"),
            ("0.10e1", "1"),
            ("-0", "0"),
            ("0e9", "0"),
            ("100e-2", "1"),
        ] {
            assert_eq!(raw(Kind::Number, left, right), Some(Ordering::Equal), "{left} {right}");
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
        for (left, right) in [
            ("1", "\"1\""),
            ("true", "1"),
            ("", "1"),
            ("{}", "{}"),
            ("[]", "1"),
            ("\"\\ud800\"", "\"a\""),
        ] {
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
        assert_eq!(
            raw(Kind::Text, &format!("\"{long}a\""), &format!("\"{long}b\"")),
            Some(Ordering::Equal)
        );
    }

    #[test]
    fn datetimes_compare_as_instants() {
        assert_eq!(
            raw(
                Kind::Datetime,
                "\"2026-01-01T01:00:00+01:00\"",
                "\"2026-01-01T00:00:00.000Z\""
            ),
            Some(Ordering::Equal)
        );
        assert_eq!(
            raw(
                Kind::Datetime,
                "\"2026-01-01T00:00:00.1Z\"",
                "\"2026-01-01T00:00:00.09Z\""
            ),
            Some(Ordering::Greater)
        );
    }

    #[test]
    fn ranks_follow_their_list() {
        let kind = Kind::Rank(vec!["new".into(), "open".into(), "done".into()]);
        assert_eq!(raw(kind.clone(), "\"new\"", "\"done\""), Some(Ordering::Less));
        assert_eq!(raw(kind, "\"new\"", "\"else\""), None);
    }

    #[test]
    fn nulls_stand_where_they_are_declared_to() {
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
            let null = Key::Kept(&KeyValue::Null);
            assert_eq!(compare(&key, Extent::Kept, null, Key::Raw(b"1")), expected);
            assert_eq!(
                compare(&key, Extent::Kept, Key::Raw(b"1"), null),
                expected.map(Ordering::reverse)
            );
            let both = compare(&key, Extent::Kept, Key::Raw(b"null"), Key::Raw(b"null"));
            assert_eq!(both, (nulls != Nulls::None).then_some(Ordering::Equal));
        }
    }

    #[test]
    fn an_id_is_known_again_however_it_is_spelt() {
        let identity = |kind, raw: &str| {
            let key = key(kind, Direction::Ascending, Nulls::None);
            String::from_utf8(super::identity(&key, raw.as_bytes()).into_owned()).unwrap()
        };
        for spelling in ["100", "100.0", "1e2", "0.1E3", "100.000e0"] {
            assert_eq!(identity(Kind::Inferred, spelling), "100", "{spelling}");
        }
        assert_eq!(identity(Kind::Inferred, "-0.0"), "0");
        assert_eq!(identity(Kind::Inferred, "0"), "0");
        assert_eq!(identity(Kind::Inferred, "1.50"), identity(Kind::Inferred, "15e-1"));
        assert_ne!(identity(Kind::Inferred, "-1.5"), identity(Kind::Inferred, "1.5"));
        assert_eq!(identity(Kind::Inferred, r#""\u0061""#), "a");
        assert_eq!(identity(Kind::Uuid, r#""AB""#), "ab");
        assert_eq!(identity(Kind::NumberInString, r#""007""#), "7");
    }

    #[test]
    fn ids_are_kept_whole_and_are_never_null() {
        let long = format!("\"{}\"", "x".repeat(100));
        assert_eq!(KeyValue::of_id(long.as_bytes()), Some(KeyValue::Text(vec![b'x'; 100])));
        assert_eq!(
            KeyValue::of_strong(long.as_bytes()),
            Some(KeyValue::Text(vec![b'x'; TEXT_KEPT]))
        );
        assert_eq!(KeyValue::of_id(b"null"), None);
        assert_eq!(KeyValue::of_id(b""), None);
    }
}
