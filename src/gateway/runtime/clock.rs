//! The clock. Only this module reads it; all other code gets times as arguments.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Returns the monotonic time.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub(crate) fn instant() -> Instant {
    Instant::now()
}

/// Returns the time in seconds since 1970; 0 if the machine's clock is earlier.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub(crate) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Formats a time in UTC by RFC 3339.
#[must_use]
pub(crate) fn rfc3339(unix_seconds: u64) -> String {
    let (year, month, day) = date(unix_seconds);
    let of_day = unix_seconds % 86_400;
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Returns year, month and day of a time, in the Gregorian calendar and UTC.
///
/// This is Hinnant's algorithm: years begin in March, so that the leap day is the last one. The length of the months
/// before a day is then a linear function of the month, and every 400 years have the same length.
#[must_use]
pub(crate) fn date(unix_seconds: u64) -> (u64, u64, u64) {
    const DAYS_OF_400_YEARS: u64 = 146_097;
    /// The days from 1 March of the year 0 to 1 January 1970.
    const DAYS_BEFORE_1970: u64 = 719_468;
    let days = unix_seconds / 86_400 + DAYS_BEFORE_1970;
    let era = days / DAYS_OF_400_YEARS;
    let of_era = days % DAYS_OF_400_YEARS;
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_798_675_199, "2026-12-30T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(seconds), text);
        }
    }
}
