//! Values with units: durations and sizes.

use std::time::Duration;

/// A kind of quantity, such as durations.
#[derive(Debug)]
pub(super) struct Unit {
    /// The name of the quantity with its article, such as `a duration`.
    pub(super) noun: &'static str,
    /// Examples of the quantity, as the help of a diagnostic.
    pub(super) examples: &'static str,
    /// The regular expression that matches the quantity, for the JSON Schema.
    pub(super) pattern: &'static str,
    /// Parses a text, and returns its value in the smallest unit; `None` if the text isn't such a quantity, or its
    /// value is too large for `u64`.
    pub(super) read: fn(&str) -> Option<u64>,
    /// Returns the help for a number that is written without a unit.
    pub(super) meant: fn(u64) -> String,
    /// Units that people write by mistake: the beginning of each in lower case, and the factor and the unit of a
    /// correction. The first match counts, so `mo` (months) is before `m`.
    tried: &'static [(&'static str, u64, &'static str)],
}

impl Unit {
    /// Returns a correction for a number with an unknown unit, such as `75s` for `75sec`; `None` if the unit isn't
    /// recognised.
    pub(super) fn tried(&self, text: &str) -> Option<String> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let number = text[..digits].parse::<u64>().ok()?;
        let unit = text[digits..].trim().to_ascii_lowercase();
        let (_, scale, unit) = self.tried.iter().find(|(tried, ..)| unit.starts_with(tried))?;
        Some(format!("{}{unit}", number.checked_mul(*scale)?))
    }
}

/// Durations. The smallest unit is a millisecond.
pub(super) static DURATION: Unit = Unit {
    noun: "a duration",
    examples: "write \"250ms\", \"10s\", \"5m\", \"24h\" or \"30d\"",
    pattern: "^[0-9]+(ms|s|m|h|d)$",
    read: |text| quantity(text, &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)]),
    meant: seconds_meant,
    tried: &[
        ("ms", 1, "ms"),
        ("mil", 1, "ms"),
        ("mo", 30, "d"),
        ("m", 1, "m"),
        ("s", 1, "s"),
        ("h", 1, "h"),
        ("d", 1, "d"),
        ("w", 7, "d"),
        ("y", 365, "d"),
    ],
};

/// Sizes. The smallest unit is a byte.
pub(super) static SIZE: Unit = Unit {
    noun: "a size",
    examples: "write \"512B\", \"64KiB\", \"10MiB\" or \"1GiB\"",
    pattern: "^[0-9]+(B|KiB|MiB|GiB)$",
    read: |text| quantity(text, &[("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("B", 1)]),
    meant: bytes_meant,
    tried: &[("k", 1, "KiB"), ("m", 1, "MiB"), ("g", 1, "GiB"), ("b", 1, "B")],
};

/// Parses a duration, such as `250ms`, `10s`, `5m`, `24h` or `30d`. Returns `None` for other texts.
pub(super) fn duration(text: &str) -> Option<Duration> {
    (DURATION.read)(text).map(Duration::from_millis)
}

/// Parses a size, such as `512B`, `64KiB`, `10MiB` or `1GiB`, and returns it in bytes; `None` for other texts.
pub(super) fn size(text: &str) -> Option<u64> {
    (SIZE.read)(text)
}

fn quantity(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, scale) = units.iter().find(|(name, _)| *name == unit)?;
    // A number that can be parsed may overflow in the smallest unit, so the multiplication is checked. Test:
    // `quantities_need_a_number_and_a_known_unit`.
    number.parse::<u64>().ok()?.checked_mul(*scale)
}

/// Returns the help for a duration without a unit.
fn seconds_meant(number: u64) -> String {
    let larger = [("d", 86_400), ("h", 3_600), ("m", 60)];
    let larger = larger.iter().find(|(_, scale)| number > 0 && number.is_multiple_of(*scale));
    match larger {
        Some((unit, scale)) => format!("write \"{number}s\" or \"{}{unit}\"", number / scale),
        None => format!("write \"{number}s\" or \"{number}ms\""),
    }
}

/// Returns the help for a size without a unit.
fn bytes_meant(number: u64) -> String {
    let larger = [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let larger = larger.iter().find(|(_, scale)| number > 0 && number.is_multiple_of(*scale));
    match larger {
        Some((unit, scale)) => format!("write \"{}{unit}\" or \"{number}B\"", number / scale),
        None => format!("write \"{number}B\" or \"{number}KiB\""),
    }
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
    fn unknown_units_are_reported_with_the_correct_spelling() {
        for (text, meant) in [
            ("75sec", Some("75s")),
            ("5 minutes", Some("5m")),
            ("3 months", Some("90d")),
            ("250millis", Some("250ms")),
            ("2 Weeks", Some("14d")),
            ("1y", Some("365d")),
            ("5x", None),
            ("soon", None),
        ] {
            assert_eq!(DURATION.tried(text).as_deref(), meant, "{text}");
        }
        for (text, meant) in [("10MB", Some("10MiB")), ("64kib", Some("64KiB")), ("1g", Some("1GiB")), ("10 TB", None)]
        {
            assert_eq!(SIZE.tried(text).as_deref(), meant, "{text}");
        }
    }

    #[test]
    fn a_quantity_without_a_unit_is_reported_with_both_readings() {
        assert_eq!(seconds_meant(300), "write \"300s\" or \"5m\"");
        assert_eq!(seconds_meant(250), "write \"250s\" or \"250ms\"");
        assert_eq!(seconds_meant(86_400), "write \"86400s\" or \"1d\"");
        assert_eq!(bytes_meant(1_048_576), "write \"1MiB\" or \"1048576B\"");
        assert_eq!(bytes_meant(0), "write \"0B\" or \"0KiB\"");
    }
}
