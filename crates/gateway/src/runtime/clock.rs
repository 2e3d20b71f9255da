//! The machine's clock. Only this module reads the clock; all other code gets times as arguments or calls this module.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat, Utc};

/// Returns the time of the monotonic clock, which measures intervals.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub fn instant() -> Instant {
    Instant::now()
}

/// Returns the date and time of the machine's clock, which an administrator may set back.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub fn system() -> SystemTime {
    SystemTime::now()
}

/// Returns the time in seconds since 1970; 0 if the machine's clock is set to an earlier time.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Returns the time in milliseconds since 1970; 0 if the machine's clock is set to an earlier time.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub fn unix_milliseconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Reads a time as RFC 3339 writes it, in seconds since 1970; `None` if it isn't one, or is before 1970.
#[must_use]
pub fn read_rfc3339(text: &str) -> Option<u64> {
    u64::try_from(DateTime::parse_from_rfc3339(text).ok()?.timestamp()).ok()
}

/// Returns a time in UTC in the form of RFC 3339, such as `2026-12-31T23:59:59Z`. A time after the last one that
/// `chrono` can represent becomes that last time.
#[must_use]
pub fn rfc3339(unix_seconds: u64) -> String {
    utc(unix_seconds).to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Returns the day of a time in UTC, such as `2026-12-31`.
#[must_use]
pub fn date(unix_seconds: u64) -> String {
    utc(unix_seconds).date_naive().to_string()
}

fn utc(unix_seconds: u64) -> DateTime<Utc> {
    let known = i64::try_from(unix_seconds).ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    known.unwrap_or(DateTime::<Utc>::MAX_UTC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_798_675_199, "2026-12-30T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(seconds), text);
            assert_eq!(date(seconds), text[..10]);
        }
    }
}
