//! Numbers as keys: decimals of any length, compared exactly and never as floats.

use std::cmp::Ordering;

use super::limits::MOVED_DIGITS;

/// Compares two decimals of any length exactly, in JSON's spelling (RFC 8259, section 6). `None` if one of the texts
/// isn't a decimal.
pub(super) fn compare_decimals(left: &[u8], right: &[u8]) -> Option<Ordering> {
    if is_counted(left) && is_counted(right) {
        return Some(left.len().cmp(&right.len()).then_with(|| left.cmp(right)));
    }
    let (left, right) = (Decimal::parse(left)?, Decimal::parse(right)?);
    Some(match (left.sign(), right.sign()) {
        (one, other) if one != other => one.cmp(&other),
        (0, _) => Ordering::Equal,
        (-1, _) => right.compare_magnitude(&left),
        _ => left.compare_magnitude(&right),
    })
}

/// Returns whether a number has the spelling of most ids and counts: only digits, without a leading 0.
fn is_counted(text: &[u8]) -> bool {
    matches!(text, [b'1'..=b'9', rest @ ..] if rest.iter().all(u8::is_ascii_digit))
}

/// Returns the canonical spelling of a decimal. `None` if the text already is canonical (a plain integer), or isn't a
/// decimal.
pub(super) fn plain_decimal(text: &[u8]) -> Option<Vec<u8>> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if digits.iter().all(u8::is_ascii_digit) && (digits.first() != Some(&b'0') || text == b"0") {
        return None;
    }
    let decimal = Decimal::parse(text)?;
    let digits = String::from_utf8(decimal.whole.iter().chain(decimal.fraction).copied().collect()).ok()?;
    let sign = if decimal.sign() < 0 { "-" } else { "" };
    // An exponent of a few bytes could ask for any number of zeros, so a number of more than 64 digits keeps its
    // exponent.
    let width = usize::try_from(decimal.exponent).ok().filter(|width| *width >= digits.len() && *width <= 64);
    let plain = match width {
        _ if digits.is_empty() => "0".to_owned(),
        Some(width) => format!("{sign}{digits:0<width$}"),
        None => format!("{sign}0.{digits}e{}", decimal.exponent),
    };
    Some(plain.into_bytes())
}

/// Returns the number of digits after the point when the exponent is applied: 2 for `25.10`, 0 for `2.5e1`. `None` if
/// the text isn't a decimal.
pub(super) fn digits_after_point(text: &[u8]) -> Option<u64> {
    Spelling::parse(text).map(|spelling| u64::try_from(spelling.after_point).unwrap_or(0))
}

/// Returns a decimal moved by one in the digit at `place` after the point: by 1 at 0, by a hundredth at 2. The result
/// keeps all digits after the point: `25.10`, moved up at 0, is `26.10`. `None` if the text isn't a decimal, or if the
/// result would have more than `MOVED_DIGITS` digits.
pub(super) fn moved_decimal(text: &[u8], place: u8, up: bool) -> Option<String> {
    let Spelling { negative, mut digits, after_point } = Spelling::parse(text)?;
    let wanted = after_point.max(i64::from(place));
    let padding = usize::try_from(wanted - after_point).ok()?;
    let scale = usize::try_from(wanted).ok()?;
    // An exponent of a few bytes could ask for any number of digits, so a decimal with too many isn't moved.
    if digits.len().saturating_add(padding) > MOVED_DIGITS || scale > MOVED_DIGITS {
        return None;
    }
    digits.resize(digits.len() + padding, 0);
    let leading = (scale + 2).saturating_sub(digits.len()).max(1);
    digits.splice(..0, std::iter::repeat_n(0, leading));
    // The number is moved by one step; the digits of a smaller weight stay as they are.
    let in_steps = digits.len() - (scale - usize::from(place));
    let (steps, rest) = digits.split_at_mut(in_steps);
    let towards_zero = negative == up;
    // A step over zero changes the sign, and the fraction becomes its complement. Test:
    // `a_decimal_moves_by_one_in_a_digit_and_keeps_those_that_it_had`.
    if towards_zero && steps.iter().all(|digit| *digit == 0) {
        if complement(rest) {
            count_up(steps);
        }
        return Some(spell(!negative, &digits, scale));
    }
    if towards_zero {
        count_down(steps);
    } else {
        count_up(steps);
    }
    Some(spell(negative, &digits, scale))
}

/// The digits of a decimal as they are written, without its point and exponent.
struct Spelling {
    negative: bool,
    /// The values of the digits, 0 to 9, with leading and trailing zeros.
    digits: Vec<u8>,
    /// The number of digits after the point; negative if the exponent appends zeros.
    after_point: i64,
}

impl Spelling {
    fn parse(text: &[u8]) -> Option<Self> {
        Decimal::parse(text)?;
        let (mantissa, exponent) = match text.iter().position(|byte| matches!(byte, b'e' | b'E')) {
            Some(at) => (&text[..at], parse_exponent(&text[at + 1..])?),
            None => (text, 0),
        };
        let digits_after = mantissa.iter().position(|byte| *byte == b'.').map_or(0, |point| mantissa.len() - point - 1);
        Some(Self {
            negative: mantissa.first() == Some(&b'-'),
            digits: mantissa.iter().filter(|byte| byte.is_ascii_digit()).map(|digit| digit - b'0').collect(),
            after_point: i64::try_from(digits_after).ok()?.checked_sub(exponent)?,
        })
    }
}

/// Adds one to the last digit. The first digit must be a zero, which receives the carry.
fn count_up(digits: &mut [u8]) {
    for digit in digits.iter_mut().rev() {
        *digit = (*digit + 1) % 10;
        if *digit != 0 {
            return;
        }
    }
}

/// Subtracts one from the last digit. The number must not be zero.
fn count_down(digits: &mut [u8]) {
    for digit in digits.iter_mut().rev() {
        *digit = (*digit + 9) % 10;
        if *digit != 9 {
            return;
        }
    }
}

/// Replaces a fraction with its complement to one, such as .3 with .7. Returns `true`, without a change, if the
/// fraction is zero, because its complement is one.
fn complement(fraction: &mut [u8]) -> bool {
    let Some(last) = fraction.iter().rposition(|digit| *digit != 0) else { return true };
    for digit in &mut fraction[..last] {
        *digit = 9 - *digit;
    }
    fraction[last] = 10 - fraction[last];
    false
}

fn spell(negative: bool, digits: &[u8], scale: usize) -> String {
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let superfluous = whole.iter().take_while(|digit| **digit == 0).count().min(whole.len() - 1);
    let letters = |digits: &[u8]| digits.iter().map(|digit| char::from(b'0' + digit)).collect::<String>();
    let sign = if negative && digits.iter().any(|digit| *digit != 0) { "-" } else { "" };
    let (whole, fraction) = (letters(&whole[superfluous..]), letters(fraction));
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// The parts of a decimal, `0.DIGITS × 10^exponent`. The digits are `whole` followed by `fraction`; they neither begin
/// nor end with a zero, and are empty for zero.
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
            // -0 equals 0. Test: `numbers_compare_as_decimals_of_any_length`.
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

/// Parses an exponent. An exponent beyond ±10^17 is clamped to that bound: no upstream sorts by such numbers. `None` if
/// the text isn't an exponent.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_after_the_point_are_counted_after_the_exponent() {
        for (text, digits) in
            [("25", 0), ("25.10", 2), ("-0.0", 1), ("2.5e1", 0), ("2.55e1", 1), ("1E400", 0), ("1e-3", 3)]
        {
            assert_eq!(digits_after_point(text.as_bytes()), Some(digits), "{text}");
        }
        assert_eq!(digits_after_point(b"ten"), None);
    }

    #[test]
    fn a_decimal_moves_by_one_in_a_digit_and_keeps_those_that_it_had() {
        for (text, place, down, up) in [
            ("25", 0, "24", "26"),
            ("25.10", 2, "25.09", "25.11"),
            ("25.10", 0, "24.10", "26.10"),
            ("25.1", 3, "25.099", "25.101"),
            ("0", 0, "-1", "1"),
            ("-0.0", 1, "-0.1", "0.1"),
            ("0.3", 0, "-0.7", "1.3"),
            ("-0.3", 0, "-1.3", "0.7"),
            ("-0.30", 0, "-1.30", "0.70"),
            ("9.99", 2, "9.98", "10.00"),
            ("-10", 0, "-11", "-9"),
            ("1", 0, "0", "2"),
            ("2.5e1", 0, "24", "26"),
            ("1.25E-2", 4, "0.0124", "0.0126"),
            ("-1", 0, "-2", "0"),
            ("007", 0, "6", "8"),
            ("99999999999999999999999", 0, "99999999999999999999998", "100000000000000000000000"),
        ] {
            assert_eq!(moved_decimal(text.as_bytes(), place, false).as_deref(), Some(down), "{text} down at {place}");
            assert_eq!(moved_decimal(text.as_bytes(), place, true).as_deref(), Some(up), "{text} up at {place}");
        }
        assert_eq!(moved_decimal(b"1e400", 0, true), None);
        assert_eq!(moved_decimal(b"1e-400", 0, true), None);
        assert_eq!(moved_decimal(b"", 0, true), None);
    }
}
