//! The health of peers. A peer that can't be reached rests: requests pass it over. After the rest, one request at a
//! time tries the peer while others still pass it over.
//!
//! Only connections count; a failed answer does not make a peer rest.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// The rest after the first failure. Each further failure doubles it.
const FIRST_REST: Duration = Duration::from_secs(1);

/// The longest rest, and the time after which a trial without a result is repeated.
const LONGEST_REST: Duration = Duration::from_secs(30);

/// The health of one address.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// A flag that every request reads; the lock is taken only while it is set.
    ails: AtomicBool,
    ailment: Mutex<Option<Ailment>>,
}

#[derive(Clone, Copy, Debug)]
struct Ailment {
    /// The rest after the next failure.
    next_rest: Duration,
    until: Instant,
    /// A request is trying the peer.
    on_trial: bool,
}

/// The decision whether a request may be sent to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// The peer is reachable as far as is known.
    Ready,
    /// The rest is over, and this request tries the peer.
    Trial,
    /// The peer rests.
    Resting,
}

impl Health {
    /// Returns whether a request may be sent to the peer. A request that gets [`Readiness::Trial`] must be sent to it.
    pub(crate) fn readiness(&self, now: Instant) -> Readiness {
        if !self.ails.load(Ordering::Relaxed) {
            return Readiness::Ready;
        }
        match &mut *self.locked() {
            None => Readiness::Ready,
            Some(ailment) if now < ailment.until => Readiness::Resting,
            Some(ailment) => {
                // A trial whose client leaves has no result, so another one follows after the longest rest.
                (ailment.until, ailment.on_trial) = (now + LONGEST_REST, true);
                Readiness::Trial
            }
        }
    }

    /// Returns whether the peer rests or is on trial.
    pub(crate) fn ails(&self) -> bool {
        self.ails.load(Ordering::Relaxed)
    }

    /// Records that the peer could not be reached. Returns true if the peer was healthy before.
    pub(crate) fn failed(&self, now: Instant) -> bool {
        let mut ailment = self.locked();
        let rest = match &*ailment {
            None => FIRST_REST,
            // Requests that were in flight at the first failure must not lengthen the rest.
            Some(known) if !known.on_trial => return false,
            Some(known) => known.next_rest,
        };
        let next_rest = rest.saturating_mul(2).min(LONGEST_REST);
        let is_news = ailment.replace(Ailment { next_rest, until: now + rest, on_trial: false }).is_none();
        self.ails.store(true, Ordering::Relaxed);
        is_news
    }

    /// Records that the peer was reached. Returns true if it rested before.
    pub(crate) fn reached(&self) -> bool {
        if !self.ails.load(Ordering::Relaxed) {
            return false;
        }
        let mut ailment = self.locked();
        self.ails.store(false, Ordering::Relaxed);
        ailment.take().is_some()
    }

    fn locked(&self) -> MutexGuard<'_, Option<Ailment>> {
        self.ailment.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn now() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    #[test]
    fn a_rest_ends_with_one_trial_and_doubles_where_that_fails() {
        let (health, mut now) = (Health::default(), now());
        assert_eq!(health.readiness(now), Readiness::Ready);
        assert!(health.failed(now), "news");
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            assert!(!health.failed(now), "of requests that were on their way");
            assert_eq!(health.readiness(now), Readiness::Resting);
            assert_eq!(health.readiness(now + seconds * SECOND - Duration::from_millis(1)), Readiness::Resting);
            now += seconds * SECOND;
            assert_eq!(health.readiness(now), Readiness::Trial);
            assert_eq!(health.readiness(now), Readiness::Resting, "one at a time");
            assert!(!health.failed(now), "still the same ailment");
        }
        assert!(health.ails() && health.reached() && !health.reached() && !health.ails());
        assert_eq!(health.readiness(now), Readiness::Ready);
        assert!(health.failed(now), "news again");
        assert_eq!(health.readiness(now + SECOND), Readiness::Trial, "and short again");
    }

    #[test]
    fn a_trial_that_ends_without_a_word_is_followed_by_another() {
        let (health, now) = (Health::default(), now());
        health.failed(now);
        assert_eq!(health.readiness(now + SECOND), Readiness::Trial);
        assert_eq!(health.readiness(now + SECOND + LONGEST_REST), Readiness::Trial);
    }
}
