//! Date-times as keys, in RFC 3339 and in the variants that databases and frameworks write.

use std::cmp::Ordering;

/// A point in time, with any number of digits after the second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Instant<'a> {
    /// Seconds since 1970-01-01T00:00:00Z.
    seconds: i64,
    /// The digits after the second, without trailing zeros.
    fraction: &'a [u8],
}

impl<'a> Instant<'a> {
    /// Parses a date or date-time such as `2026-01-15`, `2026-01-15T10:00:00Z` or `2026-01-15 10:00:00.123456+01:00`. A
    /// time without a zone counts as UTC; within one collection, such times compare correctly with each other. `None`
    /// if the text isn't a date-time.
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
        // Second 60 is a leap second (RFC 3339, section 5.6).
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
        // Fractions are compared digit by digit. Without the trailing zeros, .120 equals .12. Test:
        // `fractions_of_seconds_of_any_length_are_compared`.
        let trailing = fraction.iter().rev().take_while(|digit| **digit == b'0').count();
        Some(Self {
            seconds: days * 86_400 + hour * 3_600 + minute * 60 + second - offset,
            fraction: &fraction[..fraction.len() - trailing],
        })
    }

    /// Compares two points in time, with all digits of their fractions.
    pub(super) fn cmp(&self, other: &Self) -> Ordering {
        self.seconds.cmp(&other.seconds).then_with(|| self.fraction.cmp(other.fraction))
    }
}

/// Parses a date with a time, as a value of a field without a declared type. `None` for any other text. A date without
/// a time needs no parsing, because the order of its bytes is the order in time.
pub(super) fn date_time(text: &[u8]) -> Option<Instant<'_>> {
    // The length and the hyphen after the year exclude most other texts cheaply.
    if text.len() > DATE && text[4] == b'-' { Instant::parse(text) } else { None }
}

/// Returns whether the text is a date with a time (`date_time`).
pub(super) fn is_date_time(text: &[u8]) -> bool {
    date_time(text).is_some()
}

/// The precision with which a date-time is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TimeUnit {
    /// A date without a time.
    Day,
    /// Hours and minutes, without seconds.
    Minute,
    /// Seconds with this number of digits after the point; 0 for whole seconds.
    Fraction(u8),
}

/// Returns the unit in which a date-time is shown; `None` if the text isn't a date-time.
pub(super) fn unit_shown(text: &[u8]) -> Option<TimeUnit> {
    Instant::parse(text)?;
    Some(match Layout::of(text) {
        Layout { seconds: None, fraction: 0, .. } if text.len() <= DATE => TimeUnit::Day,
        Layout { seconds: None, .. } => TimeUnit::Minute,
        Layout { fraction, .. } => TimeUnit::Fraction(u8::try_from(fraction).unwrap_or(u8::MAX)),
    })
}

/// Returns a date-time moved by one unit. The layout, the zone and the number of digits stay the same. `None` if the
/// text isn't a date-time, doesn't show the unit, or would leave the years 0000 to 9999.
pub(super) fn moved_instant(text: &[u8], unit: TimeUnit, later: bool) -> Option<String> {
    if unit > unit_shown(text)? {
        return None;
    }
    let layout = Layout::of(text);
    let mut moved = text.to_vec();
    let step = match unit {
        TimeUnit::Day => 86_400,
        TimeUnit::Minute => 60,
        TimeUnit::Fraction(digits) => {
            let after_second = layout.seconds.map_or(0, |at| at + 3);
            let carry = roll(moved.get_mut(after_second..after_second + usize::from(digits))?, later);
            i64::from(carry)
        }
    };
    let step = if later { step } else { -step };
    let two = |at: Option<usize>| at.and_then(|at| number(text.get(at..)?, 2)).map_or(0, |(value, _)| value);
    let (year, month, day) = (number(text, 4)?.0, two(Some(5)), two(Some(8)));
    let clock = two(layout.hours) * 3_600 + two(layout.hours.map(|at| at + 3)) * 60 + two(layout.seconds);
    let local = days_since_1970(year, month, day) * 86_400 + clock + step;
    let (year, month, day) = date_of(local.div_euclid(86_400));
    if !(0..=9_999).contains(&year) {
        return None;
    }
    let clock = local.rem_euclid(86_400);
    moved.splice(..DATE, format!("{year:04}-{month:02}-{day:02}").into_bytes());
    let mut write = |at: Option<usize>, value: i64| {
        if let Some(at) = at {
            moved.splice(at..at + 2, format!("{value:02}").into_bytes());
        }
    };
    write(layout.hours, clock / 3_600);
    write(layout.hours.map(|at| at + 3), clock / 60 % 60);
    write(layout.seconds, clock % 60);
    String::from_utf8(moved).ok()
}

/// The length of a date such as `2026-01-15`, in bytes.
const DATE: usize = 10;

/// The byte offsets of the parts of a date-time in its text; `None` for a missing part.
struct Layout {
    hours: Option<usize>,
    seconds: Option<usize>,
    /// The number of digits after the second.
    fraction: usize,
}

impl Layout {
    /// Returns the layout of `text`, which must be a date-time.
    fn of(text: &[u8]) -> Self {
        let is = |at: usize, bytes: &[u8]| text.get(at).is_some_and(|byte| bytes.contains(byte));
        let seconds = is(16, b":").then_some(17);
        let point = seconds.map_or(16, |at| at + 2);
        let digits = |from: usize| text[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let fraction = if is(point, b".,") { digits(point + 1) } else { 0 };
        Self { hours: (text.len() > DATE).then_some(11), seconds, fraction }
    }
}

/// Adds one to a number of ASCII digits, or subtracts one. Returns whether the number wrapped round, as from 999 to
/// 000.
fn roll(digits: &mut [u8], up: bool) -> bool {
    let (last, first) = if up { (b'9', b'0') } else { (b'0', b'9') };
    for digit in digits.iter_mut().rev() {
        if *digit != last {
            *digit = if up { *digit + 1 } else { *digit - 1 };
            return false;
        }
        *digit = first;
    }
    true
}

/// Returns the offset from UTC, in seconds, of a zone: `Z`, `+01`, `+0100`, `+01:00`, or an empty text for UTC. `None`
/// for any other text.
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

/// Parses a number of exactly `digits` digits. Returns the number and the rest of the text.
fn number(text: &[u8], digits: usize) -> Option<(i64, &[u8])> {
    let (number, rest) = text.split_at_checked(digits)?;
    let value = number
        .iter()
        .try_fold(0, |value, digit| digit.is_ascii_digit().then(|| value * 10 + i64::from(digit - b'0')))?;
    Some((value, rest))
}

/// Returns the text after its first byte if that byte is one of `bytes`.
fn expect<'a>(text: &'a [u8], bytes: &[u8]) -> Option<&'a [u8]> {
    let (first, rest) = text.split_first()?;
    bytes.contains(first).then_some(rest)
}

/// Returns the number of days from 1970-01-01 to a date of the proleptic Gregorian calendar. Years are counted from
/// March on, which makes the leap day the last day of a year.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    year * 365 + leap_days + day_of_year - 719_468
}

/// Returns the date (year, month, day) that is `days` days after 1970-01-01.
fn date_of(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 { (year, month + 3) } else { (year + 1, month - 9) };
    (era * 400 + year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Option<i64> {
        Instant::parse(text.as_bytes()).map(|instant| instant.seconds)
    }

    #[test]
    fn date_times_are_read_as_points_in_time() {
        assert_eq!(seconds("1970-01-01"), Some(0));
        assert_eq!(seconds("1969-12-31T23:59:59Z"), Some(-1));
        assert_eq!(seconds("2000-02-29T12:00:00Z"), Some(951_825_600));
        assert_eq!(seconds("2026-01-15T10:00:00+01:00"), Some(1_768_467_600));
        assert_eq!(seconds("2026-01-15 09:00:00"), Some(1_768_467_600));
        assert_eq!(seconds("2026-01-15T09:00Z"), Some(1_768_467_600));
        assert_eq!(seconds("2026-01-15T04:00:00-0500"), Some(1_768_467_600));
    }

    #[test]
    fn texts_that_are_not_date_times_are_not_parsed() {
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
    fn fractions_of_seconds_of_any_length_are_compared() {
        let earlier = Instant::parse(b"2026-01-15T10:00:00.123456789Z").expect("a date-time");
        let later = Instant::parse(b"2026-01-15T10:00:00.1234567891Z").expect("a date-time");
        let same = Instant::parse(b"2026-01-15T10:00:00.1234567890Z").expect("a date-time");
        assert_eq!(earlier.cmp(&later), Ordering::Less);
        assert_eq!(earlier.cmp(&same), Ordering::Equal);
    }

    #[test]
    fn a_date_time_that_moves_by_a_unit_keeps_its_format() {
        use TimeUnit::{Day, Fraction, Minute};
        for (text, unit, earlier, later) in [
            ("2026-01-15", Day, "2026-01-14", "2026-01-16"),
            ("2028-02-28", Day, "2028-02-27", "2028-02-29"),
            ("2027-12-31T23:59:59.999Z", Fraction(3), "2027-12-31T23:59:59.998Z", "2028-01-01T00:00:00.000Z"),
            ("2028-03-01 00:00:00.000", Fraction(3), "2028-02-29 23:59:59.999", "2028-03-01 00:00:00.001"),
            ("2026-01-15T10:00:00.1239Z", Fraction(3), "2026-01-15T10:00:00.1229Z", "2026-01-15T10:00:00.1249Z"),
            ("2026-01-15T10:00:00.5+01:00", Fraction(0), "2026-01-15T09:59:59.5+01:00", "2026-01-15T10:00:01.5+01:00"),
            ("2026-01-15T10:00-0530", Minute, "2026-01-15T09:59-0530", "2026-01-15T10:01-0530"),
            ("2026-01-15T10:00:00Z", Day, "2026-01-14T10:00:00Z", "2026-01-16T10:00:00Z"),
            ("1969-12-31t23:59:59z", Fraction(0), "1969-12-31t23:59:58z", "1970-01-01t00:00:00z"),
        ] {
            assert_eq!(moved_instant(text.as_bytes(), unit, false).as_deref(), Some(earlier), "{text}");
            assert_eq!(moved_instant(text.as_bytes(), unit, true).as_deref(), Some(later), "{text}");
        }
        for (text, unit) in [
            ("2026-01-15", Fraction(0)),
            ("2026-01-15T10:00Z", Fraction(0)),
            ("2026-01-15T10:00:00Z", Fraction(1)),
            ("9999-12-31", Day),
            ("n/a", Day),
        ] {
            assert_eq!(moved_instant(text.as_bytes(), unit, true), None, "{text}");
        }
        assert_eq!(unit_shown(b"2026-01-15"), Some(Day));
        assert_eq!(unit_shown(b"2026-01-15T10:00+02"), Some(Minute));
        assert_eq!(unit_shown(b"2026-01-15T10:00:00.120000Z"), Some(Fraction(6)));
    }

    #[test]
    fn dates_and_days_are_each_others_inverse() {
        for days in (-720_000..3_000_000).step_by(37) {
            let (year, month, day) = date_of(days);
            assert_eq!(days_since_1970(year, month, day), days);
        }
    }
}
