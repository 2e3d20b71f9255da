//! The intervals between requests for a live page. They are short while the page changes, longer while it doesn't
//! change, and even longer while requests fail.

use std::time::Duration;

use cursorgate_config::settings::LiveInterval;

/// The longest time that an answer's `Retry-After` can delay the next request. A longer wait is shortened to this.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// The interval between requests for one page, which adapts to the changes of the page.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PollRhythm {
    /// The current interval; `None` before the first answer.
    interval: Option<Duration>,
    /// The number of failed requests in a row.
    failures: u32,
}

impl PollRhythm {
    /// Returns the interval after a page that has changed: half the last interval, within `bounds`.
    pub(super) fn changed(&mut self, bounds: LiveInterval) -> Duration {
        self.answered(bounds, |interval| interval / 2)
    }

    /// Returns the interval after an unchanged page: one and a half times the last interval, within `bounds`.
    pub(super) fn unchanged(&mut self, bounds: LiveInterval) -> Duration {
        self.answered(bounds, |interval| interval.saturating_mul(3) / 2)
    }

    /// Returns the shortest time between two requests, after a write to the list. The interval begins anew, because the
    /// upstream may show the write a little later.
    pub(super) fn woken(&mut self, bounds: LiveInterval) -> Duration {
        self.interval = Some(bounds.min);
        bounds.min
    }

    fn answered(&mut self, bounds: LiveInterval, next: impl Fn(Duration) -> Duration) -> Duration {
        self.failures = 0;
        // A reload can change the bounds while the page is polled, so the interval is clamped each time.
        let interval = self.interval.map_or(bounds.min, next).clamp(bounds.min, bounds.max);
        self.interval = Some(interval);
        interval
    }

    /// Returns the interval after a failure. It doubles with each failure in a row, up to the longest interval of
    /// `bounds`. It is at least `wait`, which the answer asks for, but a `wait` above [`LONGEST_WAIT`] counts as
    /// [`LONGEST_WAIT`].
    pub(super) fn failed(&mut self, bounds: LiveInterval, wait: Duration) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let interval = self.interval.unwrap_or(bounds.min).clamp(bounds.min, bounds.max);
        // A larger shift would overflow after many failures.
        let longer = interval.saturating_mul(1 << self.failures.min(16));
        // An upstream can ask for a longer wait than the longest interval.
        // Test: `the_polling_interval_grows_with_failures_and_with_retry_after`.
        longer.min(bounds.max).max(wait.min(LONGEST_WAIT))
    }
}

/// Returns a random number from 0 to 1; 1 if the system has no random bytes.
pub(super) fn chance() -> f64 {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).map_or(1.0, |()| f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX))
}

/// Returns a random time between 0.9 and 1.1 times `time`. Without this, pages whose polling began together would be
/// polled together.
pub(super) fn loosened(time: Duration) -> Duration {
    time.mul_f64(0.9 + chance() / 5.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: LiveInterval = LiveInterval { min: Duration::from_secs(1), max: Duration::from_secs(10) };

    #[test]
    fn the_interval_follows_the_page() {
        let mut rhythm = PollRhythm::default();
        let seconds = |time: Duration| time.as_secs_f64();
        assert_eq!(seconds(rhythm.changed(BOUNDS)), 1.0, "the first answer");
        let resting: Vec<f64> = (0..8).map(|_| seconds(rhythm.unchanged(BOUNDS))).collect();
        assert_eq!(resting[..3], [1.5, 2.25, 3.375]);
        assert_eq!(resting[7], 10.0, "to the longest");
        assert_eq!(seconds(rhythm.changed(BOUNDS)), 5.0);
        let changing: Vec<f64> = (0..4).map(|_| seconds(rhythm.changed(BOUNDS))).collect();
        assert_eq!(changing, [2.5, 1.25, 1.0, 1.0]);
        for _ in 0..8 {
            rhythm.unchanged(BOUNDS);
        }
        assert_eq!((seconds(rhythm.woken(BOUNDS)), seconds(rhythm.unchanged(BOUNDS))), (1.0, 1.5), "after a write");
    }

    #[test]
    fn the_polling_interval_grows_with_failures_and_with_retry_after() {
        let mut rhythm = PollRhythm::default();
        rhythm.changed(BOUNDS);
        let failing: Vec<u64> = (0..6).map(|_| rhythm.failed(BOUNDS, Duration::ZERO).as_secs()).collect();
        assert_eq!(failing, [2, 4, 8, 10, 10, 10]);
        assert_eq!(rhythm.failed(BOUNDS, Duration::from_secs(60)).as_secs(), 60);
        assert_eq!(rhythm.failed(BOUNDS, Duration::MAX), LONGEST_WAIT);
        assert_eq!(rhythm.changed(BOUNDS).as_secs(), 1, "all is as before");
        assert!((0..100).map(|_| loosened(BOUNDS.max).as_secs_f64()).all(|time| (9.0..=11.0).contains(&time)));
    }
}
