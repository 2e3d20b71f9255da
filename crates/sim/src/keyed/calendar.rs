//! Dates of the model. They are written and read without the core's code, so a fault in that code can't hide itself.

/// Nanoseconds in a second.
pub(crate) const SECOND: i128 = 1_000_000_000;
/// Seconds in a day.
pub(crate) const DAY: i64 = 86_400;

/// Returns the date and time of a Unix time in seconds (`civil_from_days`, Howard Hinnant, "chrono-Compatible Low-Level
/// Date Algorithms").
pub(crate) fn civil(instant: i64, separator: char) -> String {
    let (days, seconds) = (instant.div_euclid(DAY), instant.rem_euclid(DAY));
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // A year begins in March here, so a leap day is the year's last day.
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}{separator}{hour:02}:{minute:02}:{second:02}")
}

/// Parses a date, or a date-time with up to nine fractional digits and an optional zone, into nanoseconds of Unix time.
pub(crate) fn nanoseconds(text: &str) -> Option<i128> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let from_march = (month + 9) % 12;
    let year = year - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * from_march + 2) / 5 + day - 1;
    let days = era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468;
    let midnight = i128::from(days * DAY) * SECOND;
    if text.len() == 10 {
        return Some(midnight);
    }
    let clock = number(11, 13)? * 3_600 + number(14, 16)? * 60 + number(17, 19)?;
    let rest = &text[19..];
    let zone = rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len());
    let digits = rest[..zone].trim_start_matches('.');
    let fraction = format!("{digits:0<9}")[..9].parse::<i128>().ok()?;
    let shift = match rest.get(zone..) {
        Some("" | "Z" | "z") | None => 0,
        Some(zone) => {
            let minutes = zone.get(1..3)?.parse::<i64>().ok()? * 60 + zone.get(4..6)?.parse::<i64>().ok()?;
            // An offset is the local time minus UTC (RFC 3339 section 4.2), and is subtracted below.
            if zone.starts_with('-') { -minutes * 60 } else { minutes * 60 }
        }
    };
    Some(midnight + i128::from(clock - shift) * SECOND + fraction)
}
