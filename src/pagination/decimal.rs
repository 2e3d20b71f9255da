//! Numbers as keys: decimals of any length, compared exactly and never as floats.

use std::cmp::Ordering;

/// Compares two decimals as JSON writes them (RFC 8259, section 6), exactly, whatever their length. `None` where one of
/// them is none.
pub(super) fn compare_decimals(left: &[u8], right: &[u8]) -> Option<Ordering> {
    let (left, right) = (Decimal::parse(left)?, Decimal::parse(right)?);
    Some(match (left.sign(), right.sign()) {
        (one, other) if one != other => one.cmp(&other),
        (0, _) => Ordering::Equal,
        (-1, _) => right.compare_magnitude(&left),
        _ => left.compare_magnitude(&right),
    })
}

/// The plain spelling of a decimal that is not spelt as a plain integer; `None` where it is, or is no decimal.
pub(super) fn plain_decimal(text: &[u8]) -> Option<Vec<u8>> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if digits.iter().all(u8::is_ascii_digit) && (digits.first() != Some(&b'0') || text == b"0") {
        return None;
    }
    let decimal = Decimal::parse(text)?;
    let digits = String::from_utf8(decimal.whole.iter().chain(decimal.fraction).copied().collect()).ok()?;
    let sign = if decimal.sign() < 0 { "-" } else { "" };
    let width = usize::try_from(decimal.exponent).ok().filter(|width| *width >= digits.len() && *width <= 64);
    let plain = match width {
        _ if digits.is_empty() => "0".to_owned(),
        Some(width) => format!("{sign}{digits:0<width$}"),
        None => format!("{sign}0.{digits}e{}", decimal.exponent),
    };
    Some(plain.into_bytes())
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
        let mut decimal = Self { negative, whole, fraction, exponent };
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
        self.exponent
            .cmp(&other.exponent)
            .then_with(|| self.whole.iter().chain(self.fraction).cmp(other.whole.iter().chain(other.fraction)))
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
        digits.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0'))
    };
    Some(if negative { -value } else { value })
}
