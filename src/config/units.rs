//! Values with units: durations, sizes and days.

use std::time::Duration;

/// A kind of quantity: what it is called and how it is written.
#[derive(Debug)]
pub(super) struct Unit {
    /// `a duration`
    pub(super) noun: &'static str,
    /// How it is written, for a sentence.
    pub(super) examples: &'static str,
    /// The same as a regular expression of JSON Schema.
    pub(super) pattern: &'static str,
    /// Returns the value in the smallest unit.
    pub(super) read: fn(&str) -> Option<u64>,
    /// What may have been meant by a number without a unit.
    pub(super) meant: fn(u64) -> String,
}

/// Durations, in milliseconds.
pub(super) static DURATION: Unit = Unit {
    noun: "a duration",
    examples: "write \"250ms\", \"10s\", \"5m\", \"24h\" or \"30d\"",
    pattern: "^[0-9]+(ms|s|m|h|d)$",
    read: |text| quantity(text, &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)]),
    meant: seconds_meant,
};

/// Sizes, in bytes.
pub(super) static SIZE: Unit = Unit {
    noun: "a size",
    examples: "write \"512B\", \"64KiB\", \"10MiB\" or \"1GiB\"",
    pattern: "^[0-9]+(B|KiB|MiB|GiB)$",
    read: |text| quantity(text, &[("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("B", 1)]),
    meant: bytes_meant,
};

/// Reads `250ms`, `10s`, `5m`, `24h`, `30d`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    (DURATION.read)(text).map(Duration::from_millis)
}

/// Reads `512B`, `64KiB`, `10MiB`, `1GiB` as bytes.
pub(super) fn size(text: &str) -> Option<u64> {
    (SIZE.read)(text)
}

fn quantity(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, scale) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*scale)
}

/// What may have been meant by a duration without its unit.
fn seconds_meant(number: u64) -> String {
    let larger = [("d", 86_400), ("h", 3_600), ("m", 60)];
    let larger = larger.iter().find(|(_, scale)| number > 0 && number.is_multiple_of(*scale));
    match larger {
        Some((unit, scale)) => format!("write \"{number}s\" or \"{}{unit}\"", number / scale),
        None => format!("write \"{number}s\" or \"{number}ms\""),
    }
}

/// What may have been meant by a size without its unit.
fn bytes_meant(number: u64) -> String {
    let larger = [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let larger = larger.iter().find(|(_, scale)| number > 0 && number.is_multiple_of(*scale));
    match larger {
        Some((unit, scale)) => format!("write \"{}{unit}\" or \"{number}B\"", number / scale),
        None => format!("write \"{number}B\" or \"{number}KiB\""),
    }
}

/// The midnight UTC at which a day of the Gregorian calendar begins, in seconds since 1970.
pub(super) fn midnight(year: u16, month: u8, day: u8) -> i64 {
    // The year is taken to begin in March, so that the leap day is its last day; eras have 400 years of 146,097 days.
    let year = i64::from(year) - i64::from(month <= 2);
    let month = (i64::from(month) + 9) % 12;
    let day_of_year = (153 * month + 2) / 5 + i64::from(day) - 1;
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era - 719_468) * 86_400
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_need_a_number_and_a_known_unit() {
        let milliseconds = |text| duration(text).map(|duration| duration.as_millis());
        assert_eq!(milliseconds("250ms"), Some(250));
        assert_eq!(milliseconds("30d"), Some(2_592_000_000));
        assert_eq!(size("64KiB"), Some(65_536));
        assert_eq!(size("1B"), Some(1));
        for wrong in ["", "s", "300", "5 m", "-5m", "1.5h", "5M", "99999999999999999999s", "18446744073709551615d"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
        for wrong in ["10MB", "10mib", "KiB", "10", "18446744073709551615GiB"] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_quantity_without_its_unit_is_read_both_ways() {
        assert_eq!(seconds_meant(300), "write \"300s\" or \"5m\"");
        assert_eq!(seconds_meant(250), "write \"250s\" or \"250ms\"");
        assert_eq!(seconds_meant(86_400), "write \"86400s\" or \"1d\"");
        assert_eq!(bytes_meant(1_048_576), "write \"1MiB\" or \"1048576B\"");
        assert_eq!(bytes_meant(0), "write \"0B\" or \"0KiB\"");
    }

    #[test]
    fn days_begin_at_midnight_utc() {
        let cases = [
            ((1970, 1, 1), 0),
            ((1969, 12, 31), -86_400),
            ((2000, 2, 29), 951_782_400),
            ((2026, 1, 15), 1_768_435_200),
            ((2026, 12, 31), 1_798_675_200),
        ];
        for ((year, month, day), seconds) in cases {
            assert_eq!(midnight(year, month, day), seconds, "{year}-{month}-{day}");
        }
    }
}
