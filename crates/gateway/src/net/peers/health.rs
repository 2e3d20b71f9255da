//! The health of a peer. An unhealthy peer is skipped.
//!
//! A peer rests if it can't be reached, if it gave too many failed answers in a row, or if other peers had to give too
//! many pages in a row in its place. After the rest, one request at a time tries the peer while other requests still skip
//! it. A peer whose health checks fail is skipped until enough checks have passed.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

/// The length of the first rest. Each failed trial doubles the next rest, up to [`LONGEST_REST`].
const FIRST_REST: Duration = Duration::from_secs(1);

/// The longest time of a rest. It is also the time after which a trial without a result is repeated, and the time from
/// the end of a rest until any request may try a peer that gave failed answers.
const LONGEST_REST: Duration = Duration::from_secs(30);

/// The health of one peer.
#[derive(Debug)]
pub struct Health {
    /// Every request reads this flag; the lock is taken only while the flag is set.
    is_unhealthy: AtomicBool,
    /// The number of failed answers in a row.
    failed_answers: AtomicU32,
    /// The number of pages in a row that other peers gave in its place. The answer of another program with 200 is good for
    /// a request that is only forwarded, so only a page from its own answers ends this row.
    missed_pages: AtomicU32,
    state: Mutex<HealthState>,
}

#[derive(Debug)]
struct HealthState {
    /// The time of the last change between healthy and unhealthy.
    since: Instant,
    /// The reason for the last rest or for the failing checks. The reason is kept after the peer is healthy again.
    reason: String,
    rest: Option<Rest>,
    checks: Checks,
}

#[derive(Clone, Copy, Debug)]
struct Rest {
    cause: RestCause,
    /// The length of the next rest, if the trial after this one fails.
    next: Duration,
    until: Instant,
    /// `true` while a request is trying the peer.
    on_trial: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RestCause {
    /// The peer can't be reached; a new connection ends the rest.
    Unreachable,
    /// The peer gave too many failed answers; a good answer on trial ends the rest.
    FailedAnswers,
    /// Other peers gave too many pages in place of this one; a page from its answers on trial ends the rest.
    MissedPages,
}

#[derive(Clone, Copy, Debug, Default)]
struct Checks {
    is_failing: bool,
    /// The number of results in a row that contradict `is_failing`.
    contrary: u32,
}

/// The decision whether a request may be sent to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// The peer is healthy, as far as the gateway can tell.
    Ready,
    /// The rest is over, and this request may try the peer.
    Trial,
    /// The peer rests, is being tried by another request, or fails its health checks. It is skipped.
    Resting,
}

/// A change of a peer's health, which is logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealthChange {
    /// The peer is unhealthy, for this reason.
    Unhealthy(String),
    /// The peer is still unhealthy, now for this reason.
    OtherReason(String),
    /// The peer is healthy again.
    Healthy,
}

/// The health of a peer, as it is shown to operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthReport {
    /// The reason why the peer is skipped; `None` if it is healthy.
    pub reason: Option<String>,
    /// The time of the last change between healthy and unhealthy.
    pub since: Instant,
    /// The number of failed answers, or of pages that other peers gave, in a row.
    pub failed_answers: u32,
}

impl Health {
    /// Creates the health of a peer that is healthy since `now`.
    pub fn new(now: Instant) -> Self {
        let state = HealthState { since: now, reason: String::new(), rest: None, checks: Checks::default() };
        let zero = || AtomicU32::new(0);
        let (failed_answers, missed_pages) = (zero(), zero());
        Self { is_unhealthy: AtomicBool::new(false), failed_answers, missed_pages, state: Mutex::new(state) }
    }

    /// Returns whether a request may be sent to the peer. A request that gets [`Readiness::Trial`] must be sent to it.
    ///
    /// Only requests that can be repeated at another peer try a peer that gave failed answers, and only requests for pages
    /// one in whose place others gave pages. If no such request comes within 30 s after the rest, any request may try it.
    pub fn readiness(&self, can_repeat: bool, judges: bool, now: Instant) -> Readiness {
        if !self.is_unhealthy() {
            return Readiness::Ready;
        }
        let state = &mut *self.locked();
        match &mut state.rest {
            // Only passed health checks bring back a peer whose checks fail.
            _ if state.checks.is_failing => Readiness::Resting,
            None => Readiness::Ready,
            Some(rest) => {
                let fits = match rest.cause {
                    RestCause::Unreachable => true,
                    RestCause::FailedAnswers => can_repeat,
                    RestCause::MissedPages => judges,
                };
                // If no request comes that can be repeated, another one tries the peer later. Test:
                // `writes_are_used_as_trials_if_no_read_arrives`.
                let from = if fits { rest.until } else { rest.until + LONGEST_REST };
                if now < from {
                    return Readiness::Resting;
                }
                // A trial whose client leaves has no result, so another one follows after the longest rest. Test:
                // `a_trial_without_a_result_is_followed_by_another`.
                (rest.until, rest.on_trial) = (now + LONGEST_REST, true);
                Readiness::Trial
            }
        }
    }

    /// Returns whether the peer is unhealthy. A peer that is on trial still is.
    pub fn is_unhealthy(&self) -> bool {
        self.is_unhealthy.load(Ordering::Relaxed)
    }

    /// Returns the time since which the peer is healthy, or unhealthy.
    pub fn since(&self) -> Instant {
        self.locked().since
    }

    /// Returns the health as it is shown to operators.
    pub fn report(&self) -> HealthReport {
        let state = self.locked();
        HealthReport {
            reason: self.is_unhealthy().then(|| state.reason.clone()),
            since: state.since,
            failed_answers: self.failed_answers.load(Ordering::Relaxed).max(self.missed_pages.load(Ordering::Relaxed)),
        }
    }

    /// Returns whether [`Self::gave_page`] would change nothing.
    pub fn is_proven(&self) -> bool {
        self.missed_pages.load(Ordering::Relaxed) == 0 && !self.is_unhealthy()
    }

    /// Records that the peer couldn't be reached, for the reason `said`. Returns the change of health; `None` if the
    /// health stays the same.
    pub fn unreached(&self, said: &str, now: Instant) -> Option<HealthChange> {
        self.begin_rest(RestCause::Unreachable, || format!("it can't be reached: {said}"), now)
    }

    /// Records a new connection to the peer, which ends the rest of a peer that couldn't be reached. Returns the change
    /// of health; `None` if the health stays the same.
    pub fn reached(&self, now: Instant) -> Option<HealthChange> {
        if !self.is_unhealthy() {
            return None;
        }
        let mut state = self.locked();
        // A new connection isn't an answer: a peer that gave failed answers continues to rest. Test:
        // `a_peer_is_skipped_after_consecutive_failures_until_a_successful_trial`.
        state.rest = state.rest.filter(|rest| rest.cause != RestCause::Unreachable);
        self.settle(&mut state, now)
    }

    /// Records a good answer. It ends the row of failed answers, and on trial the rest that they caused. Returns the
    /// change of health; `None` if the health stays the same.
    pub fn answered(&self, now: Instant) -> Option<HealthChange> {
        // Most answers are good, so the counter is usually only read.
        if self.failed_answers.load(Ordering::Relaxed) > 0 {
            self.failed_answers.store(0, Ordering::Relaxed);
        }
        if !self.is_unhealthy() {
            return None;
        }
        let mut state = self.locked();
        // Answers to requests that were in flight when the rest began don't end the rest.
        state.rest = state.rest.filter(|rest| rest.cause != RestCause::FailedAnswers || !rest.on_trial);
        self.settle(&mut state, now)
    }

    /// Records a page from the peer's answers. It ends the row of missed pages, and on trial the rest that they caused.
    /// Returns the change of health; `None` if the health stays the same.
    pub fn gave_page(&self, now: Instant) -> Option<HealthChange> {
        self.missed_pages.store(0, Ordering::Relaxed);
        let mut state = self.locked();
        state.rest = state.rest.filter(|rest| rest.cause != RestCause::MissedPages || !rest.on_trial);
        self.settle(&mut state, now)
    }

    /// Records a failed answer. A peer that isn't resting rests after `most` of them in a row, if `may_rest` returns
    /// `true`. If `most` is 0, it never rests. A failed trial always begins the next rest. Returns the change of
    /// health; `None` if the health stays the same.
    pub fn failed(&self, said: &str, most: u32, may_rest: impl FnOnce() -> bool, now: Instant) -> Option<HealthChange> {
        let count = self.failed_answers.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let said = || format!("{count} failed answers in a row, the last one: {said}");
        self.count_against(RestCause::FailedAnswers, count, said, most, may_rest, now)
    }

    /// Records a page that another peer gave in place of this one, because of what `said` says of its own answers, as
    /// [`Self::failed`] records a failed answer.
    pub fn missed_page(
        &self,
        said: &str,
        most: u32,
        may_rest: impl FnOnce() -> bool,
        now: Instant,
    ) -> Option<HealthChange> {
        let count = self.missed_pages.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let said =
            || format!("{count} pages in a row were made from the answers of other peers, the last one because {said}");
        self.count_against(RestCause::MissedPages, count, said, most, may_rest, now)
    }

    fn count_against(
        &self,
        cause: RestCause,
        count: u32,
        said: impl FnOnce() -> String,
        most: u32,
        may_rest: impl FnOnce() -> bool,
        now: Instant,
    ) -> Option<HealthChange> {
        // A failed trial begins the next rest, whatever the count is. An unhealthy peer without a rest has failing
        // health checks and is used only because no peer is healthy. Test:
        // `a_peer_whose_checks_fail_rests_for_failed_answers_as_any_other`.
        let is_resting = self.is_unhealthy() && self.locked().rest.is_some();
        if !is_resting && (most == 0 || count < most || !may_rest()) {
            return None;
        }
        self.begin_rest(cause, said, now)
    }

    /// Records the result of a health check. The peer is skipped after `unhealthy_after` failures in a row, and used
    /// again after `healthy_after` successes in a row. Returns the change of health; `None` if the health stays the
    /// same.
    pub fn checked(
        &self,
        result: Result<(), String>,
        unhealthy_after: u32,
        healthy_after: u32,
        now: Instant,
    ) -> Option<HealthChange> {
        let mut state = self.locked();
        let has_failed = result.is_err();
        if state.checks.is_failing == has_failed {
            state.checks.contrary = 0;
        } else {
            state.checks.contrary = state.checks.contrary.saturating_add(1);
        }
        let enough = if has_failed { unhealthy_after } else { healthy_after };
        if state.checks.contrary >= enough {
            state.checks = Checks { is_failing: has_failed, contrary: 0 };
        }
        match result {
            // While the peer also rests, the reason for the rest is kept.
            Err(said) if state.checks.is_failing && state.rest.is_none() => {
                state.reason = format!("its health check fails: {said}");
            }
            Err(_) => {}
            // A passed check shows that the peer can be reached, but not that it answers clients well. Test:
            // `health_checks_change_health_after_enough_of_them_in_a_row`.
            Ok(()) => state.rest = state.rest.filter(|rest| rest.cause != RestCause::Unreachable),
        }
        self.settle(&mut state, now)
    }

    /// Forgets the results of health checks, because a new configuration has other checks.
    pub fn forget_checks(&self, now: Instant) {
        let mut state = self.locked();
        state.checks = Checks::default();
        self.settle(&mut state, now);
    }

    fn begin_rest(&self, cause: RestCause, said: impl FnOnce() -> String, now: Instant) -> Option<HealthChange> {
        let mut state = self.locked();
        let length = match &state.rest {
            None => FIRST_REST,
            // Requests that were in flight at the first failure must not lengthen the rest. Test:
            // `the_pause_of_a_peer_ends_with_a_trial_and_doubles_if_that_fails`.
            Some(known) if !known.on_trial => return None,
            Some(known) => known.next,
        };
        let next = length.saturating_mul(2).min(LONGEST_REST);
        state.rest = Some(Rest { cause, next, until: now + length, on_trial: false });
        let before = std::mem::replace(&mut state.reason, said());
        let change = self.settle(&mut state, now);
        // The numbers of failures grow with each trial.
        let words = |text: &str| text.replace(|letter: char| letter.is_ascii_digit(), "");
        let is_new = change.is_none() && words(&before) != words(&state.reason);
        change.or_else(|| is_new.then(|| HealthChange::OtherReason(state.reason.clone())))
    }

    /// Updates the flag `is_unhealthy` from the state and returns the change; `None` if the flag stays the same.
    fn settle(&self, state: &mut HealthState, now: Instant) -> Option<HealthChange> {
        let is_unhealthy = state.rest.is_some() || state.checks.is_failing;
        if self.is_unhealthy.swap(is_unhealthy, Ordering::Relaxed) == is_unhealthy {
            return None;
        }
        state.since = now;
        if is_unhealthy {
            return Some(HealthChange::Unhealthy(state.reason.clone()));
        }
        // Otherwise one failed answer could complete the row from before the rest, and begin another rest.
        self.failed_answers.store(0, Ordering::Relaxed);
        self.missed_pages.store(0, Ordering::Relaxed);
        Some(HealthChange::Healthy)
    }

    fn locked(&self) -> MutexGuard<'_, HealthState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn now() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn is_unhealthy(change: impl Into<Option<HealthChange>>) -> bool {
        matches!(change.into(), Some(HealthChange::Unhealthy(_)))
    }

    #[test]
    fn the_pause_of_a_peer_ends_with_a_trial_and_doubles_if_that_fails() {
        let mut now = now();
        let health = Health::new(now);
        assert_eq!(health.readiness(true, true, now), Readiness::Ready);
        assert!(is_unhealthy(health.unreached("refused", now)), "news");
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            assert_eq!(health.unreached("refused", now), None, "of requests that were on their way");
            assert_eq!(health.readiness(true, true, now), Readiness::Resting);
            assert_eq!(
                health.readiness(true, true, now + seconds * SECOND - Duration::from_millis(1)),
                Readiness::Resting
            );
            now += seconds * SECOND;
            assert_eq!(health.readiness(false, false, now), Readiness::Trial);
            assert_eq!(health.readiness(false, false, now), Readiness::Resting, "one at a time");
            assert_eq!(health.unreached("refused", now), None, "still the same ailment");
        }
        now += 30 * SECOND;
        assert_eq!(health.readiness(false, false, now), Readiness::Trial);
        let other = HealthChange::OtherReason("it can't be reached: its certificate is out of date".to_owned());
        assert_eq!(health.unreached("its certificate is out of date", now), Some(other));
        assert!(health.is_unhealthy());
        assert_eq!(health.reached(now), Some(HealthChange::Healthy));
        assert_eq!(health.reached(now), None);
        assert_eq!(health.readiness(true, true, now), Readiness::Ready);
        assert!(is_unhealthy(health.unreached("refused", now)), "news again");
        assert_eq!(health.readiness(true, true, now + SECOND), Readiness::Trial, "and short again");
    }

    #[test]
    fn a_trial_without_a_result_is_followed_by_another() {
        let now = now();
        let health = Health::new(now);
        health.unreached("refused", now);
        assert_eq!(health.readiness(true, true, now + SECOND), Readiness::Trial);
        assert_eq!(health.readiness(true, true, now + SECOND + LONGEST_REST), Readiness::Trial);
    }

    #[test]
    fn a_peer_is_skipped_after_consecutive_failures_until_a_successful_trial() {
        let now = now();
        let health = Health::new(now);
        for _ in 0..4 {
            assert_eq!(health.failed("500", 5, || true, now), None);
        }
        assert_eq!(health.answered(now), None);
        for _ in 0..4 {
            assert_eq!(health.failed("500", 5, || true, now), None, "the row began again");
        }
        assert_eq!(health.failed("500", 5, || false, now), None, "too many others rest");
        assert!(is_unhealthy(health.failed("500", 5, || true, now)));
        assert_eq!(health.report().failed_answers, 6);
        assert_eq!(health.answered(now), None, "it was in flight before");
        assert_eq!(health.reached(now), None, "a connection is not an answer");
        assert_eq!(health.readiness(false, false, now + SECOND), Readiness::Resting, "a write is not a trial");
        assert_eq!(health.readiness(true, true, now + SECOND), Readiness::Trial);
        assert_eq!(health.failed("500", 5, || true, now + SECOND), None);
        assert_eq!(health.readiness(true, true, now + 2 * SECOND), Readiness::Resting, "twice as long");
        assert_eq!(health.readiness(true, true, now + 3 * SECOND), Readiness::Trial);
        assert_eq!(health.answered(now + 3 * SECOND), Some(HealthChange::Healthy));
        assert_eq!(health.failed("500", 5, || true, now), None, "the row began again");
    }

    #[test]
    fn a_peer_whose_checks_fail_rests_for_failed_answers_as_any_other() {
        let now = now();
        for (most, rests_after) in [(0, None), (2, Some(2))] {
            let health = Health::new(now);
            assert!(is_unhealthy(health.checked(Err("503".to_owned()), 1, 1, now)));
            for number in 1..=3 {
                health.failed("500", most, || true, now);
                let rests = health.locked().rest.is_some();
                assert_eq!(rests, rests_after.is_some_and(|after| number >= after), "failed answer {number}, {most}");
            }
        }
    }

    #[test]
    fn writes_are_used_as_trials_if_no_read_arrives() {
        let now = now();
        let health = Health::new(now);
        assert!(is_unhealthy(health.failed("500", 1, || true, now)));
        assert_eq!(health.readiness(false, false, now + LONGEST_REST), Readiness::Resting);
        assert_eq!(health.readiness(false, false, now + LONGEST_REST + SECOND), Readiness::Trial);
    }

    #[test]
    fn health_checks_change_health_after_enough_of_them_in_a_row() {
        let now = now();
        let health = Health::new(now);
        let check = |passes: bool| health.checked(passes.then_some(()).ok_or_else(|| "503".to_owned()), 3, 2, now);
        assert_eq!([check(false), check(false), check(true), check(false), check(false)], [const { None }; 5]);
        assert_eq!(check(false), Some(HealthChange::Unhealthy("its health check fails: 503".to_owned())));
        assert_eq!(health.readiness(true, true, now + 60 * SECOND), Readiness::Resting, "no trial");
        assert_eq!(health.reached(now), None, "a connection is not a passed check");
        assert_eq!([check(true), check(false), check(true)], [const { None }; 3]);
        assert_eq!(check(true), Some(HealthChange::Healthy));
        assert_eq!(health.readiness(true, true, now), Readiness::Ready);

        assert!(is_unhealthy(health.unreached("refused", now)));
        assert_eq!(check(true), Some(HealthChange::Healthy), "a check reached it");
        assert!(is_unhealthy(health.failed("500", 1, || true, now)));
        assert_eq!(check(true), None, "a check is not an answer to a client");
    }

    #[test]
    fn changed_health_checks_start_without_results() {
        let now = now();
        let health = Health::new(now);
        assert!(is_unhealthy(health.checked(Err("503".to_owned()), 1, 1, now)));
        health.forget_checks(now);
        assert!(!health.is_unhealthy());
    }

    /// The answers that a peer gives to forwarded requests say nothing about those to requests for pages.
    #[test]
    fn only_pages_end_a_row_of_missed_pages() {
        let now = now();
        let health = Health::new(now);
        assert_eq!(health.missed_page("one can't be read", 2, || true, now), None);
        assert_eq!(health.answered(now), None);
        let reason =
            "2 pages in a row were made from the answers of other peers, the last one because one can't be read";
        let reason = reason.to_owned();
        assert_eq!(health.missed_page("one can't be read", 2, || true, now), Some(HealthChange::Unhealthy(reason)));
        assert_eq!(health.report().failed_answers, 2);
        assert_eq!(health.readiness(true, false, now + SECOND), Readiness::Resting, "it would notice nothing");
        assert_eq!(health.readiness(true, true, now + SECOND), Readiness::Trial);
        assert_eq!(health.answered(now + SECOND), None, "a forwarded request was in flight");
        assert_eq!(health.gave_page(now + SECOND), Some(HealthChange::Healthy));
        assert!(health.is_proven());
        assert_eq!(health.missed_page("one can't be read", 2, || true, now), None, "the row began again");
    }
}
