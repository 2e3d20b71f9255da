//! Durations as a configuration writes them, such as `10m`.

use std::time::Duration;

const DAY: u64 = 86_400;

/// Returns a duration in the largest unit that divides it, such as `5m` for 300 seconds. Fractions of a second are
/// dropped.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    for (unit, word) in [(DAY, "d"), (3_600, "h"), (60, "m")] {
        // A single day is written as `24h`, so days are used only from two on. Test:
        // `durations_have_the_unit_people_write`.
        if seconds >= unit && seconds.is_multiple_of(unit) && (unit != DAY || seconds > DAY) {
            return format!("{}{word}", seconds / unit);
        }
    }
    format!("{seconds}s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_the_unit_people_write() {
        for (seconds, text) in [(86_400, "24h"), (172_800, "2d"), (90, "90s"), (300, "5m"), (7_200, "2h"), (1, "1s")] {
            assert_eq!(duration(Duration::from_secs(seconds)), text);
        }
    }
}
