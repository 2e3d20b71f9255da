//! Retries of requests that only read: the failures after which a retry is worthwhile, the pauses, and the budget.

use std::{
    sync::atomic::{AtomicI32, AtomicU64, Ordering},
    time::Duration,
};

use crate::net::error::FetchError;
use cursorgate_config::settings::RetrySettings;

/// The cost of a retry in the unit of the budget, a hundredth of a retry.
const RETRY: i32 = 100;

/// The largest number of retries in a budget. Shares beyond it are lost. A new budget is full, so even an upstream with
/// few requests has retries.
const RESERVE: i32 = 10;

/// The budget of retries of one upstream. Every request adds a share of a retry, so there are never more retries than
/// the reserve plus that share of all requests. A page that is made again may overdraw it, and later retries wait until
/// that is made up. The budget needs no clock. The next snapshot shares it.
#[derive(Debug)]
pub struct RetryBudget {
    hundredths: AtomicI32,
    made: AtomicU64,
    refused: AtomicU64,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { hundredths: AtomicI32::new(RESERVE * RETRY), made: AtomicU64::new(0), refused: AtomicU64::new(0) }
    }
}

/// The failure of a request to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The connection failed, or the answer broke off.
    Broken,
    /// The answer was no HTTP.
    NotHttp,
    /// The answer can't be read, or makes no page. The peer is at fault only if another one gives the page.
    Unreadable,
    /// The request timed out.
    Late,
    /// A status that [`Flaw::of_status`] accepts, and the seconds of its `Retry-After`; `None` without that header.
    Status(u16, Option<u64>),
}

impl Flaw {
    /// Returns the flaw of an answer with this status; `None` unless a failing server or a proxy in front of it sends
    /// the status (RFC 9110 section 15.6). Other statuses, such as 501, aren't the peer's fault.
    pub fn of_status(status: u16, retry_after: impl FnOnce() -> Option<u64>) -> Option<Self> {
        matches!(status, 500 | 502 | 503 | 504).then(|| Self::Status(status, retry_after()))
    }

    /// Returns the flaw of a failed request; `None` if a retry can't help, because the gateway's own limits aren't the
    /// peer's fault.
    pub fn of_error(error: &FetchError) -> Option<Self> {
        match error {
            FetchError::Unavailable(_) | FetchError::Lost(_) | FetchError::Cut(_) => Some(Self::Broken),
            FetchError::Timeout(_) => Some(Self::Late),
            // The port may belong to another program than those of the other peers. Test:
            // `a_peer_that_speaks_no_http_is_passed_over`.
            FetchError::NotHttp(_) => Some(Self::NotHttp),
            FetchError::Malformed(_) => Some(Self::Unreadable),
            FetchError::Exhausted(_) | FetchError::TooLarge(_) | FetchError::Overloaded(_) => None,
        }
    }

    /// Returns the least pause before a retry; `None` if a retry isn't worthwhile. `has_other` is `true` if a healthy
    /// peer hasn't failed this request yet.
    fn least_pause(self, has_other: bool, longest_retry_after: Duration) -> Option<Duration> {
        match self {
            // The flaw and its `Retry-After` belong to the peer that failed, so another peer is tried without a delay.
            // Test: `retries_depend_on_the_flaw_and_on_other_peers`.
            _ if has_other => Some(Duration::ZERO),
            // The same peer would most likely be late again, or fail in the same way, so it isn't tried again.
            Self::Late | Self::NotHttp | Self::Unreadable | Self::Status(500, _) => None,
            // A longer `Retry-After` is left to the client. Test: `a_short_retry_after_is_obeyed`.
            Self::Status(503, Some(seconds)) => {
                Some(Duration::from_secs(seconds)).filter(|pause| *pause <= longest_retry_after)
            }
            Self::Broken | Self::Status(..) => Some(Duration::ZERO),
        }
    }

    /// Returns the pause before retry number `index`, counted from 0; `None` if a retry isn't worthwhile. `random`
    /// varies the pause between its half (0) and its whole (`u32::MAX`).
    pub fn pause(self, settings: &RetrySettings, has_other: bool, index: u32, random: u32) -> Option<Duration> {
        let least = self.least_pause(has_other, settings.longest_retry_after)?;
        let doubled = settings.pause.saturating_mul(2_u32.saturating_pow(index)).min(settings.longest_pause);
        // Half of the pause is random so that requests that failed together aren't repeated together.
        let random = doubled.mul_f64(f64::from(random) / f64::from(u32::MAX) / 2.0);
        Some(least.max(doubled / 2 + random))
    }
}

impl std::fmt::Display for Flaw {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Broken => formatter.write_str("the answer broke off"),
            Self::NotHttp => formatter.write_str("its head is not HTTP/1.1"),
            Self::Unreadable => formatter.write_str("it can't be read"),
            Self::Late => formatter.write_str("a timeout"),
            Self::Status(status, _) => write!(formatter, "status {status}"),
        }
    }
}

impl RetryBudget {
    /// Adds the share of one request, in hundredths of a retry. The budget stays at most [`RESERVE`] retries.
    pub fn add(&self, share: u32) {
        let (most, share) = (RESERVE * RETRY, i32::try_from(share).unwrap_or(i32::MAX));
        // Usually the budget is full, and the counter is only read.
        if self.hundredths.load(Ordering::Relaxed) < most {
            let _ = self.hundredths.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |known| {
                Some(known.saturating_add(share).min(most))
            });
        }
    }

    /// Takes a retry from the budget. Returns whether the budget allowed it.
    pub fn take(&self) -> bool {
        let taken = self
            .hundredths
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |known| (known >= RETRY).then_some(known - RETRY))
            .is_ok();
        let count = if taken { &self.made } else { &self.refused };
        count.fetch_add(1, Ordering::Relaxed);
        taken
    }

    /// Returns whether the budget allows a retry, without taking it. A refusal is counted.
    pub fn permits(&self) -> bool {
        let permits = self.hundredths.load(Ordering::Relaxed) >= RETRY;
        if !permits {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        permits
    }

    /// Takes a retry, even if the budget doesn't allow it.
    pub fn charge(&self) {
        self.made.fetch_add(1, Ordering::Relaxed);
        // The update never fails.
        let _ = self
            .hundredths
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |known| Some(known.saturating_sub(RETRY)));
    }

    /// Returns the number of retries made so far.
    #[must_use]
    pub fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }

    /// Returns the number of retries that the budget did not allow.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: RetrySettings = RetrySettings {
        most: 2,
        share: 20,
        pause: Duration::from_millis(20),
        longest_pause: Duration::from_millis(100),
        longest_retry_after: Duration::from_secs(1),
    };

    #[test]
    fn pauses_double_up_to_the_longest_and_half_of_each_is_random() {
        for (index, random, expected) in [(0, 0, 10), (0, u32::MAX, 20), (1, 0, 20), (2, u32::MAX, 80), (40, 0, 50)] {
            let pause = Flaw::Broken.pause(&SETTINGS, false, index, random).unwrap();
            assert_eq!(pause.as_millis(), expected, "{index} {random}");
        }
    }

    #[test]
    fn retries_depend_on_the_flaw_and_on_other_peers() {
        let pause =
            |flaw: Flaw, has_other| flaw.pause(&SETTINGS, has_other, 0, u32::MAX).map(|pause| pause.as_millis());
        for (flaw, alone, beside_another) in [
            (Flaw::Broken, Some(20), Some(20)),
            (Flaw::Late, None, Some(20)),
            (Flaw::NotHttp, None, Some(20)),
            (Flaw::Unreadable, None, Some(20)),
            (Flaw::Status(500, None), None, Some(20)),
            (Flaw::Status(502, None), Some(20), Some(20)),
            (Flaw::Status(503, None), Some(20), Some(20)),
            (Flaw::Status(503, Some(0)), Some(20), Some(20)),
            (Flaw::Status(503, Some(1)), Some(1_000), Some(20)),
            (Flaw::Status(503, Some(2)), None, Some(20)),
        ] {
            assert_eq!((pause(flaw, false), pause(flaw, true)), (alone, beside_another), "{flaw:?}");
        }
        assert_eq!(Flaw::of_status(429, || Some(1)), None);
        assert_eq!(Flaw::of_status(501, || None), None);
    }

    #[test]
    fn retries_are_a_share_of_the_requests_and_a_reserve() {
        let budget = RetryBudget::default();
        let mut retries = 0;
        for _ in 0..1_000 {
            budget.add(20);
            // Each request asks for two retries.
            retries += (0..2).filter(|_| budget.take()).count();
        }
        assert!((200..=210).contains(&retries), "{retries}");
        assert_eq!(budget.made(), 200 + 9);
        assert!(budget.refused() > 0);
    }
}
