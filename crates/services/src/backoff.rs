//! Pauses between attempts to repeat an operation that failed.

use std::time::Duration;

/// Exponential pauses between attempts: `first`, `first` × `factor`, `first` × `factor`², and so on up to `longest`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    pub(super) first: Duration,
    pub(super) factor: u32,
    pub(super) longest: Duration,
}

impl Backoff {
    /// Returns the pause after this number of failed attempts, which is at least half of the exponential pause and at
    /// most all of it. The rest is random so that attempts which failed together aren't repeated together.
    pub(super) fn pause(self, attempts: u32) -> Duration {
        let grown = self.factor.checked_pow(attempts.saturating_sub(1)).and_then(|times| self.first.checked_mul(times));
        // A pause that overflows would be longer than the longest pause, so it becomes the longest pause.
        // Test: `pauses_grow_and_differ`.
        let half = grown.map_or(self.longest, |grown| grown.min(self.longest)) / 2;
        let mut bytes = [0; 4];
        // If the system has no random bytes, the pause has its full length.
        let share =
            getrandom::fill(&mut bytes).map_or(1.0, |()| f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX));
        half + half.mul_f64(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_differ() {
        let (first, longest) = (Duration::from_secs(1), Duration::from_secs(300));
        for (factor, attempts, least, most) in [
            (2, 1, 500, 1_000),
            (2, 2, 1_000, 2_000),
            (2, 3, 2_000, 4_000),
            (4, 3, 8_000, 16_000),
            (2, 40, 150_000, 300_000),
        ] {
            let backoff = Backoff { first, factor, longest };
            let pauses: Vec<u128> = (0..20).map(|_| backoff.pause(attempts).as_millis()).collect();
            assert!(pauses.iter().all(|pause| (least..=most).contains(pause)), "{attempts}: {pauses:?}");
            assert!(pauses.iter().any(|pause| *pause != pauses[0]), "{attempts}");
        }
    }
}
