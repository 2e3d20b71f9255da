//! Hourly counts for a day, in a ring without a lock.

use std::sync::atomic::{AtomicU64, Ordering};

/// The number of hours that are kept. The counts of earlier hours are overwritten.
pub(super) const HOURS: usize = 24;

/// The counts of the last 24 hours, the current hour last.
pub type HourlyCounts = [u64; HOURS];

const HOUR: u64 = 3_600;

/// A ring of hourly counts. A place contains the number of its hour in the upper 32 bits and the count in the lower 32
/// bits. The hour and the count of the previous day are therefore replaced in one step, and threads lose no count.
#[derive(Debug, Default)]
pub(super) struct Hours([AtomicU64; HOURS]);

impl Hours {
    /// Counts a request; `now` is in seconds since 1970.
    pub(super) fn add(&self, now: u64) {
        let hour = now / HOUR;
        let count = |held: u64| if held >> 32 == hour & HALF { held & HALF } else { 0 };
        let place = &self.0[place(hour)];
        // The hour and its count change in one step. Test: `no_count_is_lost_where_the_hour_changes`.
        let _ = place.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
            // The count stops at its largest value, because an overflow would change the hour.
            Some((hour & HALF) << 32 | (count(held) + 1).min(HALF))
        });
    }

    /// Returns the counts of the 24 hours that end with the hour of `now`, which is in seconds since 1970.
    pub(super) fn read(&self, now: u64) -> HourlyCounts {
        let (mut counts, latest) = ([0; HOURS], now / HOUR);
        for (count, back) in counts.iter_mut().zip((0..HOURS as u64).rev()) {
            let Some(hour) = latest.checked_sub(back) else { continue };
            let held = self.0[place(hour)].load(Ordering::Relaxed);
            // The place may still have the count of an hour of the previous day, which isn't read. Test:
            // `hours_are_forgotten_after_a_day`.
            if held >> 32 == hour & HALF {
                *count = held & HALF;
            }
        }
        counts
    }
}

/// The mask of a place's lower 32 bits, and the largest count.
const HALF: u64 = u32::MAX as u64;

#[expect(clippy::cast_possible_truncation, reason = "the remainder is below 24")]
fn place(hour: u64) -> usize {
    (hour % HOURS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_forgotten_after_a_day() {
        let hours = Hours::default();
        for (at, count) in [(0, 2), (1, 1), (23, 3), (24, 4), (30, 5)] {
            (0..count).for_each(|_| hours.add(at * HOUR + 59));
        }
        let told = |at: u64| {
            let counts = hours.read(at * HOUR);
            let first = (at + 1).saturating_sub(HOURS as u64);
            let hours = counts.iter().enumerate().filter(|(_, count)| **count > 0);
            let start = (HOURS as u64).saturating_sub(at + 1);
            hours.map(|(place, count)| (first + place as u64 - start, *count)).collect::<Vec<_>>()
        };
        assert_eq!(told(24), [(1, 1), (23, 3), (24, 4)], "the first hour's place is the last one's");
        assert_eq!(told(30), [(23, 3), (24, 4), (30, 5)]);
        assert_eq!(told(47), [(24, 4), (30, 5)]);
        assert_eq!(told(60), []);
        assert_eq!(told(2), [(1, 1)]);
    }

    #[test]
    fn no_count_is_lost_where_the_hour_changes() {
        let hours = Hours::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..500).for_each(|_| hours.add(30 * HOUR)));
            }
        });
        assert_eq!(hours.read(30 * HOUR)[HOURS - 1], 2_000);
    }
}
