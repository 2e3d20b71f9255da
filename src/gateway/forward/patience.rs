//! How long a sender may take: time that is used up while it is waited for, and earned by what it sends.

use std::time::Duration;

/// How many bytes earn a second. Apache's `RequestReadTimeout` asks for as much.
const BYTES_A_SECOND: usize = 500;

/// The most that a sender can have in hand, unless it begins with more: so long it may be silent.
const LONGEST_SILENCE: Duration = Duration::from_secs(60);

/// The time that a sender has left. A sender that pauses now and then keeps to it, one that drips does not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    left: Duration,
    most: Duration,
}

impl Patience {
    /// A sender that has `grace` before its rate counts.
    pub(crate) fn new(grace: Duration) -> Self {
        Self { left: grace, most: grace.max(LONGEST_SILENCE) }
    }

    /// How long it may still be waited for.
    pub(crate) fn left(self) -> Duration {
        self.left
    }

    /// It was waited for.
    pub(crate) fn waited(&mut self, time: Duration) {
        self.left = self.left.saturating_sub(time);
    }

    /// So many bytes came of it.
    pub(crate) fn sent(&mut self, bytes: usize) {
        let millis = u64::try_from(bytes.saturating_mul(1_000) / BYTES_A_SECOND).unwrap_or(u64::MAX);
        self.left = self.left.saturating_add(Duration::from_millis(millis)).min(self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many pieces of so many bytes come, one after each `pause`, before the time is over.
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

    /// What was sent fast buys no silence beyond the longest one.
    #[test]
    fn what_is_earned_has_a_bound() {
        let mut pace = Patience::new(Duration::from_secs(1));
        pace.sent(usize::MAX);
        assert_eq!(pace.left(), LONGEST_SILENCE);
    }
}
