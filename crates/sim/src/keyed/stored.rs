//! The values of keys as the upstream stores them. They are finer than the shown values, and filters compare with them.

use std::cmp::Ordering;

use cursorgate_core::pagination::{key::KeyValue, order::Grain};

use crate::keyed::{
    calendar::{DAY, SECOND, nanoseconds},
    traits::Reads,
    values::{Column, EPOCH, Look, QUARTER_DAY, RANKS, letters, long_text, unscrambled, uuid},
};

/// A stored value, comparable with others of its column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    Null,
    /// A number in billionths, an instant in nanoseconds, or an ordinal in billionths.
    Number(i128),
    /// A power of ten, by its exponent.
    Power(i64),
    Bytes(Vec<u8>),
}

/// The number of billionths in one.
const ONE: i128 = 1_000_000_000;

impl Stored {
    /// Compares two values as SQL does: a comparison with null has no result.
    pub(crate) fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Number(left), Self::Number(right)) => Some(left.cmp(right)),
            (Self::Power(left), Self::Power(right)) => Some(left.cmp(right)),
            (Self::Bytes(left), Self::Bytes(right)) => Some(left.cmp(right)),
            _ => None,
        }
    }

    /// Returns the value as a text column stores it: a number becomes its digits.
    pub(crate) fn into_text(self) -> Self {
        match self {
            Self::Number(value) => Self::Bytes((value / ONE).to_string().into_bytes()),
            other => other,
        }
    }
}

impl Column {
    /// Returns the stored value of an ordinal and of the part of it that the grain hides.
    pub(crate) fn stored(&self, ordinal: Option<i64>, part: u32) -> Stored {
        let Some(ordinal) = ordinal else {
            return Stored::Null;
        };
        let within = |unit: i128| unit * i128::from(part) / i128::from(self.grain.max(1));
        let wide = i128::from(ordinal);
        match self.look {
            Look::Whole | Look::WholeInString => Stored::Number((wide - 3) * ONE + within(ONE)),
            Look::Decimal if self.unit.is_some() => Stored::Number((wide - 9) * ONE / 100 + within(ONE / 100)),
            Look::Decimal => Stored::Number((wide - 9) * ONE / 4),
            Look::Huge => Stored::Number((9_007_199_254_740_990 + wide) * ONE),
            Look::Exponent => Stored::Power(400 + ordinal),
            Look::Boolean | Look::Rank | Look::Opaque => Stored::Number(wide * ONE),
            Look::Text => Stored::Bytes(letters(ordinal, false).into_bytes()),
            Look::LongText => Stored::Bytes(long_text(ordinal, part).into_bytes()),
            Look::Uuid => Stored::Bytes(uuid(ordinal).into_bytes()),
            Look::Datetime => {
                let step = match self.unit {
                    Some(Grain::Day) => i128::from(DAY) * SECOND,
                    Some(Grain::Digits(digits)) => SECOND / 10_i128.pow(u32::from(digits)),
                    None => i128::from(QUARTER_DAY) * SECOND,
                };
                Stored::Number(i128::from(EPOCH) * SECOND + wide * step + within(step))
            }
        }
    }

    /// Returns a value of a filter as the upstream reads it: unchanged, rounded down to a multiple of four steps, or
    /// shifted by two steps. Only date-times and whole numbers have steps; other values are read unchanged.
    pub(crate) fn misread(&self, value: Stored, reads: Reads) -> Stored {
        let (Stored::Number(number), Look::Datetime | Look::Whole) = (&value, self.look) else { return value };
        let Stored::Number(first) = self.stored(Some(0), 0) else { return value };
        let Stored::Number(second) = self.stored(Some(1), 0) else { return value };
        let step = second - first;
        match reads {
            Reads::AsTold => value,
            Reads::Coarsely => Stored::Number(first + (number - first).div_euclid(4 * step) * 4 * step),
            Reads::Shifted => Stored::Number(number + 2 * step),
        }
    }

    /// Parses a value from a filter; returns `None` if it isn't a value of this column.
    pub(crate) fn read(&self, value: &KeyValue) -> Option<Stored> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        Some(match (self.look, value) {
            (_, KeyValue::Null) => Stored::Null,
            (Look::Boolean, KeyValue::Boolean(value)) => Stored::Number(i128::from(*value) * ONE),
            (Look::Exponent, KeyValue::Number(digits)) => Stored::Power(power(digits)?),
            // In a query a number and a number in a string look the same.
            (Look::Whole | Look::Decimal | Look::Huge | Look::WholeInString, KeyValue::Number(digits)) => {
                Stored::Number(billionths(digits)?)
            }
            (Look::WholeInString, KeyValue::Text(bytes)) => Stored::Number(billionths(&text(bytes)?)?),
            (Look::Text | Look::LongText, KeyValue::Text(bytes)) => Stored::Bytes(bytes.clone()),
            // A spoilt row may show a number in a text column. Regression: `a-filter-by-a-number-in-a-column-of-text`.
            (Look::Text | Look::LongText, KeyValue::Number(digits)) => Stored::Bytes(digits.clone().into_bytes()),
            (Look::Uuid, KeyValue::Text(bytes)) => Stored::Bytes(bytes.to_ascii_lowercase()),
            (Look::Datetime, KeyValue::Text(bytes)) => Stored::Number(nanoseconds(&text(bytes)?)?),
            (Look::Rank, KeyValue::Text(bytes)) => {
                let rank = RANKS.iter().position(|rank| rank.as_bytes() == bytes)?;
                Stored::Number(rank as i128 * ONE)
            }
            (Look::Opaque, KeyValue::Text(bytes)) => {
                let shown = u32::from_str_radix(text(bytes)?.trim_end_matches('\''), 16).ok()?;
                Stored::Number(i128::from(unscrambled(shown)) * ONE)
            }
            _ => return None,
        })
    }
}

/// Returns a decimal in billionths, rounded down; `None` if it is malformed or too large.
fn billionths(digits: &str) -> Option<i128> {
    let (mantissa, exponent) = digits.split_once(['e', 'E']).unwrap_or((digits, "0"));
    let exponent: i32 = exponent.parse().ok()?;
    let (negative, mantissa) = mantissa.strip_prefix('-').map_or((false, mantissa), |rest| (true, rest));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all: i128 = format!("{whole}{fraction}").parse().ok()?;
    let shift = exponent - fraction.len() as i32 + 9;
    let size = match u32::try_from(shift) {
        Ok(shift) => all.checked_mul(10_i128.checked_pow(shift)?)?,
        Err(_) => {
            let divisor = 10_i128.checked_pow(shift.unsigned_abs())?;
            // The sign is set below: to round a negative number down, its size is rounded up.
            if negative { all.div_euclid(divisor) + i128::from(all % divisor > 0) } else { all / divisor }
        }
    };
    Some(if negative { -size } else { size })
}

/// Returns the exponent of a power of ten in any spelling: `1e400`, `10.0E+399` and `0.01e402` have 400.
fn power(digits: &str) -> Option<i64> {
    let (mantissa, exponent) = digits.split_once(['e', 'E'])?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    let one = all.find('1').filter(|_| all.chars().all(|digit| matches!(digit, '0' | '1')))?;
    Some(exponent.parse::<i64>().ok()? + whole.len() as i64 - 1 - one as i64)
}
