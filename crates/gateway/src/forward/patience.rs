//! The time that a sender may take. Waiting reduces the time, and received bytes add to it.

use std::time::Duration;

use crate::net::fetch::BYTES_A_SECOND;

/// The longest time that a sender can have left, and so the longest silence. A longer grace replaces this bound.
/// Received bytes don't raise the time beyond the bound.
const LONGEST_SILENCE: Duration = Duration::from_secs(60);

/// The time that a sender has left. A sender that only pauses now and then keeps enough time; a sender that drips
/// single bytes doesn't. For example, with a grace of 15 s, a client that sends 600 bytes a second may continue
/// forever. A client that sends a byte every 5 s is cut off after the third byte.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    left: Duration,
    most: Duration,
}

impl Patience {
    /// Creates the time of a sender that may be silent for `grace` before its first byte.
    pub fn new(grace: Duration) -> Self {
        Self { left: grace, most: grace.max(LONGEST_SILENCE) }
    }

    pub fn left(self) -> Duration {
        self.left
    }

    /// Subtracts time that was spent waiting.
    pub fn waited(&mut self, time: Duration) {
        self.left = self.left.saturating_sub(time);
    }

    /// Adds the time that `bytes` received bytes earn, up to the bound.
    pub fn sent(&mut self, bytes: usize) {
        let millis = u64::try_from(bytes.saturating_mul(1_000) / BYTES_A_SECOND).unwrap_or(u64::MAX);
        // Bytes that arrived fast don't excuse a long silence. Test: `a_fast_sender_may_pause_for_a_bounded_time`.
        self.left = self.left.saturating_add(Duration::from_millis(millis)).min(self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the number of pieces of `bytes` bytes that arrive before the time is over; `None` if it is never over. A
    /// pause of `pause` milliseconds precedes each piece. `grace` is in seconds.
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
    fn a_body_below_the_least_rate_times_out_and_a_slow_body_does_not() {
        assert_eq!(pieces(15, 1, 5_000), Some(3));
        assert_eq!(pieces(15, 1, 10), Some(1_874), "one byte in ten milliseconds is less than the least rate");
        assert_eq!(pieces(15, 600, 1_000), None);
        assert_eq!(pieces(15, 1 << 20, 59_000), Some(0), "nothing is earned before the first piece");
        assert_eq!(pieces(60, 1 << 20, 59_000), None);
        assert_eq!(pieces(60, 1 << 20, 61_000), Some(0));
    }

    #[test]
    fn a_fast_sender_may_pause_for_a_bounded_time() {
        let mut pace = Patience::new(Duration::from_secs(1));
        pace.sent(usize::MAX);
        assert_eq!(pace.left(), LONGEST_SILENCE);
    }
}
