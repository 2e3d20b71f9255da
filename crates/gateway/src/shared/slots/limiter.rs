//! The adaptive limit of the requests that an upstream answers at once.
//!
//! An upstream that gets more requests than it can work on keeps them waiting, and answers all of them late. The limiter
//! learns how long an answer takes without such a wait, and lowers the limit while answers take more than twice as long:
//! to the number of requests that the upstream answers within that time (Little's law). While answers are fast and the
//! limit is reached, the limit grows. So it is additive increase and multiplicative decrease (AIMD) on latency, as in
//! Netflix' `concurrency-limits` and Envoy's adaptive concurrency.
//!
//! The first answers may be late already, as after a restart in front of an overloaded service, and the time learnt from
//! them would be the standard forever. So while the limit is reached and answers take too long to be useful, the limit is
//! halved now and then for a few answers ([`LimitProbe`]), for as long as that makes them faster.
//!
//! A limit that is too low would refuse requests that the upstream could have answered. Four rules prevent that:
//!
//! - An answer is late only in comparison with answers of its own [kind](LatencyKind). A queue at the upstream makes
//!   answers of all kinds late. Slow reports among fast pages don't.
//! - The limit is lowered only if the answers explain the requests in flight. Requests that wait for an event (long
//!   polls) have no answers, so they don't count as a sign of overload.
//! - If answers take as long as before although the limit is half, they aren't late because of a queue: requests of
//!   another kind have come, or the upstream has become slower. The limit is then restored, and their time is the new
//!   standard.
//! - The limit begins high, and doubles while it is reached, until the first late answers. It grows only once a queue at
//!   the upstream would have shown: if the answers explain the requests in flight, or after the time in which the upstream
//!   answers half of them.
//!
//! Times are arguments, so tests use a simulated clock.

use std::time::{Duration, Instant};

use twox_hash::XxHash3_128;

/// The first limit.
const FIRST: f64 = 64.0;

/// The least limit. An upstream always gets as many requests.
const LEAST: f64 = 4.0;

/// The least length of a window, after which its answers are judged.
const WINDOW: Duration = Duration::from_millis(100);

/// The least number of answers in a window.
const ANSWERS: usize = 10;

/// The number of answers of a window that are kept for its median, the last ones.
const KEPT: usize = 32;

/// The time without an answer after which a limit that has been reached for so long is raised, although no answer has
/// shown that the upstream is able to do more.
const SILENCE: Duration = Duration::from_millis(500);

/// The least such time before the first late answers, and the time before the first answer of all. Nothing speaks
/// against a crowd of slow requests then, so all of them are let in while they wait. Test:
/// `a_crowd_of_slow_requests_is_let_in_at_once`.
const FIRST_SILENCE: Duration = Duration::from_millis(100);

/// The factor of the usual time, and what is added to it in seconds, beyond which answers are late.
const LATE: f64 = 2.0;
const SLACK: f64 = 0.02;

/// The share of a window's answers that are of late kinds, if a queue at the upstream makes them late. Kinds that are on
/// time speak against a queue.
const OF_ANSWERS: f64 = 0.75;

/// The number of kinds of requests that are told apart. Kinds beyond them share the usual time of another one.
const KINDS: u8 = 32;

/// The number of segments of a path that tell kinds apart.
const SEGMENTS: usize = 2;

/// The share by which the usual time follows a new time.
const FOLLOWS: f64 = 0.1;

/// The bound of late answers, in seconds, up to which the usual time isn't probed: within a second, clients have waited for
/// no longer than they do.
const USEFUL: f64 = 0.5;

/// The time from one probe of the usual time to the next, which doubles while probes find nothing.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The share of its former time that an answer takes at most at half of the former limit, if it was late because of a
/// queue. Without a queue it takes its whole time, and behind a queue half of it.
const OF_QUEUE: f64 = 0.75;

/// The state of the limit.
#[derive(Debug)]
pub struct Limiter {
    most: f64,
    limit: f64,
    /// The usual time of an answer of each kind without a queue, in seconds; `None` before the first window with such an
    /// answer has been judged.
    usual: [Option<f64>; KINDS as usize],
    /// The time beyond which answers of the last window were late, in seconds. Before the first window, it is that of the
    /// first answer; `None` without one.
    bound: Option<f64>,
    /// `true` until the first late answers.
    is_starting: bool,
    /// The largest number of requests that awaited their answers during the window.
    peak: usize,
    /// The kinds and times of the window's last answers, in seconds.
    times: [(LatencyKind, f64); KEPT],
    /// The number of answers in the window.
    count: usize,
    window: Instant,
    /// The time at which the limit was lowered. Answers to earlier requests say nothing about the new limit.
    lowered: Instant,
    /// The time of the last answer; `None` before the first one.
    heard: Option<Instant>,
    /// The time since which requests have to wait at this limit; `None` if none has to.
    full: Option<Instant>,
    /// The limit and the time of answers before the limit was lowered; `None` unless answers have been late since.
    before: Option<FormerLimit>,
    /// The answers a second in the last window; `None` before the first one.
    rate: Option<f64>,
    /// The state of the probes of the usual time.
    probe: LimitProbe,
}

/// The kind of a request: requests of one kind take about as long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LatencyKind(u8);

impl LatencyKind {
    /// Returns the kind of a client's request for this path. Segments with digits are left out, because they are probably
    /// ids.
    #[must_use]
    pub fn of(path: &str) -> Self {
        let is_name = |segment: &&str| !segment.is_empty() && !segment.bytes().any(|byte| byte.is_ascii_digit());
        let names = path.split('/').filter(is_name).take(SEGMENTS);
        let hash = names.fold(0_u128, |hash, name| hash.rotate_left(64) ^ XxHash3_128::oneshot(name.as_bytes()));
        Self(hash.to_le_bytes()[0] % KINDS)
    }

    /// Returns the kind of the gateway's own requests for pages of the list at the same path.
    #[must_use]
    pub fn of_pages(self) -> Self {
        Self(self.0 ^ 1)
    }
}

/// The probes of the usual time: the limit is halved as long as that makes answers faster.
#[derive(Clone, Copy, Debug)]
struct LimitProbe {
    /// The limit and the time of answers before its last halving; `None` between two probes.
    before: Option<FormerLimit>,
    due: Instant,
    pause: Duration,
}

#[derive(Clone, Copy, Debug)]
struct FormerLimit {
    limit: f64,
    time: f64,
}

impl Limiter {
    /// Creates a limit of at most `most` requests.
    #[must_use]
    pub fn new(most: usize, now: Instant) -> Self {
        let most = number(most);
        Self {
            most,
            limit: FIRST.min(most),
            usual: [None; KINDS as usize],
            bound: None,
            is_starting: true,
            peak: 0,
            times: [(LatencyKind::default(), 0.0); KEPT],
            count: 0,
            window: now,
            lowered: now,
            heard: None,
            full: None,
            before: None,
            rate: None,
            probe: LimitProbe { before: None, due: now + FIRST_PAUSE, pause: FIRST_PAUSE },
        }
    }

    /// Returns the limit.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between 1 and `most`")]
    pub fn limit(&self) -> usize {
        self.limit as usize
    }

    /// Returns the number of answers a second; `None` if it isn't known.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        self.rate
    }

    /// Returns whether answers have been late at a higher limit.
    #[must_use]
    pub fn is_adapted(&self) -> bool {
        !self.is_starting
    }

    /// Returns the time beyond which answers are late; `None` if it isn't known.
    #[must_use]
    pub fn bound(&self) -> Option<Duration> {
        self.bound.map(Duration::from_secs_f64)
    }

    /// Takes the time of an answer to a request of this kind that was sent at `began`. `awaited` is the number of requests
    /// that await their answers, with this one.
    pub fn answered(&mut self, kind: LatencyKind, began: Instant, awaited: usize, now: Instant) {
        self.heard = Some(now);
        if awaited < self.limit() {
            self.full = None;
        }
        let time = now.saturating_duration_since(began).as_secs_f64();
        if began < self.lowered {
            self.drained(time, now);
            return;
        }
        self.bound.get_or_insert(time * LATE + SLACK);
        self.times[self.count % KEPT] = (kind, time);
        self.count += 1;
        self.peak = self.peak.max(awaited);
        let length = now.saturating_duration_since(self.window);
        if self.count >= ANSWERS && length >= WINDOW {
            self.judge(length, now);
        }
    }

    /// Takes the time of an answer to a request that was sent before the limit was lowered. Until the first answer to a
    /// later request, such answers show how late they were at the former limit: when it was lowered, the queue at the
    /// upstream may still have been growing.
    fn drained(&mut self, time: f64, now: Instant) {
        if self.count == 0 {
            self.window = now;
            if let Some(before) = self.before.as_mut().or(self.probe.before.as_mut()) {
                before.time += ((time - before.time) * FOLLOWS).max(0.0);
            }
        }
    }

    /// Notices that a request has to wait. If no request has been answered for a while, the limit grows.
    pub fn pressed(&mut self, now: Instant) {
        let silence = match (self.heard, self.is_starting) {
            (None, _) => FIRST_SILENCE,
            (Some(_), true) => self.bound().map_or(SILENCE, |bound| bound.clamp(FIRST_SILENCE, SILENCE)),
            (Some(_), false) => SILENCE,
        };
        let full = *self.full.get_or_insert(now);
        if now.saturating_duration_since(self.heard.map_or(full, |heard| heard.max(full))) >= silence {
            self.full = Some(now);
            self.limit = (self.limit * 2.0).min(self.most);
            self.begin(now);
        }
    }

    /// Judges the answers of a window, and begins the next one.
    fn judge(&mut self, length: Duration, now: Instant) {
        let kinds = self.kinds();
        for (kind, time) in &kinds {
            self.usual_of(*kind).get_or_insert(*time);
        }
        let (answers, rate) = (&self.times[..self.count.min(KEPT)], number(self.count) / length.as_secs_f64());
        let bound_of = |kind: &LatencyKind| self.usual[usize::from(kind.0)].unwrap_or_default() * LATE + SLACK;
        let is_late_kind = |kind: &LatencyKind| kinds.iter().any(|(own, time)| own == kind && *time > bound_of(kind));
        let late = answers.iter().filter(|(kind, _)| is_late_kind(kind)).count();
        let is_late = number(late) >= number(answers.len()) * OF_ANSWERS;
        let bound = median(answers.iter().map(|(kind, _)| bound_of(kind)));
        let time = median(answers.iter().map(|(_, time)| *time));
        let peak = number(self.peak);
        (self.rate, self.bound) = (Some(rate), Some(bound));
        if let Some(before) = self.probe.before.take() {
            self.probed(before, time, &kinds, now);
        } else if !is_late {
            self.before = None;
            for (kind, time) in &kinds {
                // Behind a limit that is reached, answers may be late by a little for ever: that isn't their usual time.
                // The first limit may be far more than the upstream can do.
                let may_rise = !self.is_starting && peak < self.limit / 2.0;
                self.follow(*kind, *time, may_rise);
            }
            let explained = rate * time >= peak / 2.0;
            let since = self.full.map_or(0.0, |full| now.saturating_duration_since(full).as_secs_f64());
            if peak >= self.limit.floor() && explained && self.full.is_some() && bound > USEFUL && now >= self.probe.due
            {
                self.halve(time, now);
            } else if peak >= self.limit.floor() && (explained || since * rate >= peak / 2.0) {
                self.full = Some(now);
                let more = if self.is_starting { self.limit } else { (self.limit / 8.0).max(1.0) };
                self.limit = (self.limit + more).min(self.most);
            }
        } else if peak <= LEAST {
            for (kind, time) in &kinds {
                self.follow(*kind, *time, true);
            }
        } else if rate * time >= peak / 2.0 {
            self.lower(time, rate * bound / peak, &kinds, now);
        }
        self.begin(now);
    }

    fn usual_of(&mut self, kind: LatencyKind) -> &mut Option<f64> {
        &mut self.usual[usize::from(kind.0)]
    }

    /// Lets the usual time of a kind follow the time of its answers.
    fn follow(&mut self, kind: LatencyKind, time: f64, may_rise: bool) {
        let usual = self.usual_of(kind).get_or_insert(time);
        if time < *usual || may_rise {
            *usual += (time - *usual) * FOLLOWS;
        }
    }

    /// Lowers the limit by a share, unless answers aren't late because of a queue.
    fn lower(&mut self, time: f64, share: f64, kinds: &[(LatencyKind, f64)], now: Instant) {
        self.is_starting = false;
        if let Some(before) = self.before
            && self.limit <= before.limit / 2.0
            && time > before.time * OF_QUEUE
        {
            (self.limit, self.before) = (before.limit, None);
            for (kind, time) in kinds {
                *self.usual_of(*kind) = Some(*time);
            }
            return;
        }
        let limit = self.limit.min(number(self.peak));
        self.before.get_or_insert(FormerLimit { limit, time });
        // A smaller share could be wrong by much, and a larger one would take too many steps.
        self.limit = (limit * share.clamp(0.25, 0.9)).max(LEAST.min(self.most));
        (self.lowered, self.full) = (now, None);
    }

    /// Halves the limit to see whether answers take less time then.
    fn halve(&mut self, time: f64, now: Instant) {
        self.probe.before = Some(FormerLimit { limit: self.limit, time });
        self.limit = (self.limit / 2.0).max(LEAST.min(self.most));
        (self.lowered, self.full) = (now, None);
    }

    /// Judges the answers at half of the limit.
    fn probed(&mut self, before: FormerLimit, time: f64, kinds: &[(LatencyKind, f64)], now: Instant) {
        let (is_queue, is_useful) = (time <= before.time * OF_QUEUE, time * LATE + SLACK <= USEFUL);
        if is_queue && !is_useful && self.limit > LEAST {
            self.halve(time, now);
            return;
        }
        if !is_queue {
            self.limit = before.limit;
        }
        self.probe.pause = (self.probe.pause * 2).min(LONGEST_PAUSE);
        for (kind, time) in kinds {
            let usual = self.usual_of(*kind);
            if usual.is_none_or(|usual| *time < usual * OF_QUEUE) {
                *usual = Some(*time);
                self.probe.pause = FIRST_PAUSE;
            }
        }
        self.probe.due = now + self.probe.pause;
    }

    fn begin(&mut self, now: Instant) {
        (self.count, self.peak, self.window) = (0, 0, now);
    }

    /// Returns the kinds of the window's answers, each with the median of its times.
    fn kinds(&self) -> Vec<(LatencyKind, f64)> {
        let answers = &self.times[..self.count.min(KEPT)];
        let mut kinds: Vec<(LatencyKind, f64)> = Vec::new();
        for (kind, _) in answers {
            if !kinds.iter().any(|(known, _)| known == kind) {
                let of_kind = answers.iter().filter(|(other, _)| other == kind).map(|(_, time)| *time);
                kinds.push((*kind, median(of_kind)));
            }
        }
        kinds
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Converts a number of requests, which is far below 2^53.
#[expect(clippy::cast_precision_loss, reason = "there are far fewer requests")]
fn number(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;
