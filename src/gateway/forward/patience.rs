//! The time that a sender may take: waiting uses it up, and the bytes that arrive add to it.

use std::time::Duration;

/// The minimum rate: this many bytes add a second. Apache's `mod_reqtimeout` has the same default (`MinRate=500`).
const BYTES_A_SECOND: usize = 500;

/// The longest time that a sender can have left, and so its longest silence, unless its grace is longer.
const LONGEST_SILENCE: Duration = Duration::from_secs(60);

/// The time that a sender has left. A sender with pauses stays within it; a sender of single bytes does not. For
/// example, after a grace of 15 s, a client that sends 600 bytes a second may go on for ever, and one that sends a byte
/// every 5 s is cut off after the third.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    left: Duration,
    most: Duration,
}

impl Patience {
    /// Creates the time of a sender that may be silent for `grace` at first.
    pub(crate) fn new(grace: Duration) -> Self {
        Self { left: grace, most: grace.max(LONGEST_SILENCE) }
    }

    pub(crate) fn left(self) -> Duration {
        self.left
    }

    /// Subtracts time that was spent waiting.
    pub(crate) fn waited(&mut self, time: Duration) {
        self.left = self.left.saturating_sub(time);
    }

    /// Adds the time of received bytes, up to the bound.
    pub(crate) fn sent(&mut self, bytes: usize) {
        let millis = u64::try_from(bytes.saturating_mul(1_000) / BYTES_A_SECOND).unwrap_or(u64::MAX);
        // Bytes that came fast excuse no long silence. Test: `a_fast_sender_has_a_bounded_silence`.
        self.left = self.left.saturating_add(Duration::from_millis(millis)).min(self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the number of pieces of this size that arrive, one after each `pause` in milliseconds, before the time
    /// is over; `None` if it is never over.
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

    #[test]
    fn a_fast_sender_has_a_bounded_silence() {
        let mut pace = Patience::new(Duration::from_secs(1));
        pace.sent(usize::MAX);
        assert_eq!(pace.left(), LONGEST_SILENCE);
    }
}
