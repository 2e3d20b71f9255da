//! Date-times as keys: RFC 3339, with what databases and frameworks make of it.

use std::cmp::Ordering;

/// A point in time, to any precision.
#[derive(Clone, Copy, Debug)]
pub(super) struct Instant<'a> {
    /// Seconds since 1970-01-01T00:00:00Z.
    seconds: i64,
    /// The digits behind the second, without trailing zeros.
    fraction: &'a [u8],
}

impl<'a> Instant<'a> {
    /// Reads `2026-01-15`, `2026-01-15T10:00:00Z`, `2026-01-15 10:00:00.123456+01:00`. A time without a zone counts as
    /// UTC: within one collection that compares rightly. `None` for anything else.
    pub(super) fn parse(text: &'a [u8]) -> Option<Self> {
        let (year, rest) = number(text, 4)?;
        let (month, rest) = number(expect(rest, b"-")?, 2)?;
        let (day, rest) = number(expect(rest, b"-")?, 2)?;
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return None;
        }
        let days = days_since_1970(year, month, day);
        if rest.is_empty() {
            return Some(Self { seconds: days * 86_400, fraction: &[] });
        }
        let (hour, rest) = number(expect(rest, b"Tt ")?, 2)?;
        let (minute, rest) = number(expect(rest, b":")?, 2)?;
        let (second, rest) = match expect(rest, b":") {
            Some(rest) => number(rest, 2)?,
            None => (0, rest),
        };
        if hour > 24 || minute > 59 || second > 60 {
            return None;
        }
        let (fraction, rest) = match expect(rest, b".,") {
            Some(rest) => {
                let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
                if digits == 0 {
                    return None;
                }
                rest.split_at(digits)
            }
            None => (&[][..], rest),
        };
        let offset = zone(rest)?;
        let trailing = fraction.iter().rev().take_while(|digit| **digit == b'0').count();
        Some(Self {
            seconds: days * 86_400 + hour * 3_600 + minute * 60 + second - offset,
            fraction: &fraction[..fraction.len() - trailing],
        })
    }

    /// Which of two points in time is earlier.
    pub(super) fn cmp(&self, other: &Self) -> Ordering {
        self.seconds.cmp(&other.seconds).then_with(|| self.fraction.cmp(other.fraction))
    }
}

/// The offset from UTC in seconds: nothing, `Z`, `+01`, `+0100`, `+01:00`.
fn zone(text: &[u8]) -> Option<i64> {
    let sign = match text.first() {
        None => return Some(0),
        Some(b'Z' | b'z') if text.len() == 1 => return Some(0),
        Some(b'+') => 1,
        Some(b'-') => -1,
        Some(_) => return None,
    };
    let (hours, rest) = number(&text[1..], 2)?;
    let minutes = if rest.is_empty() {
        0
    } else {
        let (minutes, rest) = number(expect(rest, b":").unwrap_or(rest), 2)?;
        if !rest.is_empty() {
            return None;
        }
        minutes
    };
    (hours <= 24 && minutes <= 59).then_some(sign * (hours * 3_600 + minutes * 60))
}

/// Takes exactly so many digits.
fn number(text: &[u8], digits: usize) -> Option<(i64, &[u8])> {
    let (number, rest) = text.split_at_checked(digits)?;
    let value = number
        .iter()
        .try_fold(0, |value, digit| digit.is_ascii_digit().then(|| value * 10 + i64::from(digit - b'0')))?;
    Some((value, rest))
}

/// Takes one of these bytes.
fn expect<'a>(text: &'a [u8], bytes: &[u8]) -> Option<&'a [u8]> {
    let (first, rest) = text.split_first()?;
    bytes.contains(first).then_some(rest)
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar, by counting years from March on, so that the leap
/// day ends a year.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    year * 365 + leap_days + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Option<i64> {
        Instant::parse(text.as_bytes()).map(|instant| instant.seconds)
    }

    #[test]
    fn known_points_in_time() {
        assert_eq!(seconds("1970-01-01"), Some(0));
        assert_eq!(seconds("1969-12-31T23:59:59Z"), Some(-1));
        assert_eq!(seconds("2000-02-29T12:00:00Z"), Some(951_825_600));
        assert_eq!(seconds("2026-01-15T10:00:00+01:00"), Some(1_768_467_600));
        assert_eq!(seconds("2026-01-15 09:00:00"), Some(1_768_467_600));
        assert_eq!(seconds("2026-01-15T09:00Z"), Some(1_768_467_600));
        assert_eq!(seconds("2026-01-15T04:00:00-0500"), Some(1_768_467_600));
    }

    #[test]
    fn what_is_none() {
        for text in [
            "",
            "2026",
            "2026-13-01",
            "2026-01-15T",
            "2026-01-15T10",
            "2026-01-15T10:00:00.Z",
            "2026-01-15T10:00:00Zz",
            "15.01.2026",
            "2026-01-15T10:00:00+1",
            "2026-01-15T10:00:00+01:0",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn fractions_of_any_length() {
        let earlier = Instant::parse(b"2026-01-15T10:00:00.123456789Z").expect("a date-time");
        let later = Instant::parse(b"2026-01-15T10:00:00.1234567891Z").expect("a date-time");
        let same = Instant::parse(b"2026-01-15T10:00:00.1234567890Z").expect("a date-time");
        assert_eq!(earlier.cmp(&later), Ordering::Less);
        assert_eq!(earlier.cmp(&same), Ordering::Equal);
    }
}
