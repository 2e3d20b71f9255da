//! The time that a sender may take. Waiting uses it up, and bytes received earn more.

use std::time::Duration;

/// Bytes that earn a second. Apache's `RequestReadTimeout` has the same default.
const BYTES_A_SECOND: usize = 500;

/// Upper bound of the time that a sender can have left, unless its grace is longer. It is the longest possible silence.
const LONGEST_SILENCE: Duration = Duration::from_secs(60);

/// The time that a sender has left. A sender that pauses now and then stays within it; a sender that drips does not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    left: Duration,
    most: Duration,
}

impl Patience {
    /// Gives a sender `grace` before its rate counts.
    pub(crate) fn new(grace: Duration) -> Self {
        Self { left: grace, most: grace.max(LONGEST_SILENCE) }
    }

    /// Returns the time that is left.
    pub(crate) fn left(self) -> Duration {
        self.left
    }

    /// Subtracts time that was spent waiting.
    pub(crate) fn waited(&mut self, time: Duration) {
        self.left = self.left.saturating_sub(time);
    }

    /// Adds the time that these bytes earn.
    pub(crate) fn sent(&mut self, bytes: usize) {
        let millis = u64::try_from(bytes.saturating_mul(1_000) / BYTES_A_SECOND).unwrap_or(u64::MAX);
        self.left = self.left.saturating_add(Duration::from_millis(millis)).min(self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns how many pieces of this size arrive, one after each `pause`, before the time is over.
    fn pieces(grace: u64, bytes: usize, pause: u64) -> Option<usize> {
        let mut pace = Patience::new(Duration::from_secs(grace));
        let pause = Duration::from_millis(pause);
        for count in 0..10_000 {
            if pace.left() <= pause {
                return Some(count);
            }
            pace.waited(pause);
            pace.sent(bytes);
        }
        None
    }

    #[test]
    fn a_drip_ends_and_a_slow_sender_does_not() {
        assert_eq!(pieces(15, 1, 5_000), Some(3));
        assert_eq!(pieces(15, 1, 10), Some(1_874), "one byte in ten milliseconds is less than the least rate");
        assert_eq!(pieces(15, 600, 1_000), None);
        assert_eq!(pieces(15, 1 << 20, 59_000), Some(0), "nothing is earned before the first piece");
        assert_eq!(pieces(60, 1 << 20, 59_000), None);
        assert_eq!(pieces(60, 1 << 20, 61_000), Some(0));
    }

    /// A fast sender earns no longer silence than the bound.
    #[test]
    fn what_is_earned_has_a_bound() {
        let mut pace = Patience::new(Duration::from_secs(1));
        pace.sent(usize::MAX);
        assert_eq!(pace.left(), LONGEST_SILENCE);
    }
}
