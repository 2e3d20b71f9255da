//! Whether a peer can be reached. A peer that can't be reached rests: requests pass it over. After the rest one request
//! at a time tries the peer again, and all others still pass it over.
//!
//! Only connections count: a failed answer does not make a peer rest.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// How long a peer rests after its first failure. Each further one doubles it.
const FIRST_REST: Duration = Duration::from_secs(1);

/// The longest rest, and how long a trial may go without a word of how it ended before there is another.
const LONGEST_REST: Duration = Duration::from_secs(30);

/// One address of a peer.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// Every request reads this flag; only where it is set, the lock is taken.
    ails: AtomicBool,
    ailment: Mutex<Option<Ailment>>,
}

#[derive(Clone, Copy, Debug)]
struct Ailment {
    /// The rest after the next failure.
    next_rest: Duration,
    until: Instant,
    /// A request tries the peer at the moment.
    on_trial: bool,
}

/// Whether a request may be sent to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// The peer can be reached, as far as is known.
    Ready,
    /// The rest is over, and this request tries the peer.
    Trial,
    /// The peer rests.
    Resting,
}

impl Health {
    /// Whether a request may be sent to the peer. The request that gets [`Readiness::Trial`] must go there.
    pub(crate) fn readiness(&self, now: Instant) -> Readiness {
        if !self.ails.load(Ordering::Relaxed) {
            return Readiness::Ready;
        }
        match &mut *self.locked() {
            None => Readiness::Ready,
            Some(ailment) if now < ailment.until => Readiness::Resting,
            Some(ailment) => {
                // A trial whose client goes away reports nothing, so another trial follows after the longest rest.
                (ailment.until, ailment.on_trial) = (now + LONGEST_REST, true);
                Readiness::Trial
            }
        }
    }

    /// Whether the peer rests or is on trial.
    pub(crate) fn ails(&self) -> bool {
        self.ails.load(Ordering::Relaxed)
    }

    /// Records that the peer could not be reached. True where that is news.
    pub(crate) fn failed(&self, now: Instant) -> bool {
        let mut ailment = self.locked();
        let rest = match &*ailment {
            None => FIRST_REST,
            // Requests that were on their way when the first one failed must not lengthen the rest.
            Some(known) if !known.on_trial => return false,
            Some(known) => known.next_rest,
        };
        let next_rest = rest.saturating_mul(2).min(LONGEST_REST);
        let is_news = ailment.replace(Ailment { next_rest, until: now + rest, on_trial: false }).is_none();
        self.ails.store(true, Ordering::Relaxed);
        is_news
    }

    /// Records that the peer was reached. True where that is news.
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
