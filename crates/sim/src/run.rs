//! Runs of many walks, on all processors.

use std::{
    io::{IsTerminal, Write as _, stderr},
    panic,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc::{RecvTimeoutError, channel},
    },
    thread,
    time::Duration,
};

use crate::{
    anchored, cached,
    case::{Family, quietly},
    dice::mix,
    ends, keyed, misdeclared,
    report::Report,
    token,
};

/// The number of failing walks after which a run stops.
const ENOUGH: u64 = 500;

/// The families of a run. Each of `others` has a share: one in this many walks. The remaining walks are of the family
/// `rest`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mix {
    rest: Family,
    others: &'static [(Family, u64)],
}

impl Mix {
    /// All families except `cached` and `ends`. Most walks are of lists with a declared order, which have the most rules.
    pub(crate) const ALL: Self = Self {
        rest: Family::Keyed,
        others: &[(Family::Anchored, 50), (Family::Token, 10), (Family::Misdeclared, 100)],
    };

    /// All families. A soak has its own seeds and no recorded figures, so a new family changes no figure.
    pub(crate) const SOAK: Self = Self {
        rest: Family::Keyed,
        others: &[
            (Family::Anchored, 50),
            (Family::Token, 10),
            (Family::Misdeclared, 100),
            (Family::Cached, 20),
            (Family::Ends, 20),
        ],
    };

    pub(crate) fn only(family: Family) -> Self {
        Self { rest: family, others: &[] }
    }

    /// Returns the family of a seed's walk.
    fn family(self, seed: u64) -> Family {
        let own = self.others.iter().find(|(_, one_in)| mix(seed, *one_in).is_multiple_of(*one_in));
        own.map_or(self.rest, |(family, _)| *family)
    }
}

/// The progress of a run.
#[derive(Debug, Default)]
struct Progress {
    walks: AtomicU64,
    failed: AtomicU64,
    /// The failing walks that are still to be printed, each as the promise and the seed that replays it.
    found: Mutex<Vec<String>>,
}

impl Progress {
    /// Prints the progress to standard error until `ended` returns true: every second on a terminal, otherwise every
    /// ten seconds. `ended` waits for the given time. Each print also names the walks that have failed since the last
    /// one. They are then known even if the run is interrupted.
    fn tell(&self, ended: impl Fn(Duration) -> bool) {
        let terminal = stderr().is_terminal();
        let pause = Duration::from_secs(if terminal { 1 } else { 10 });
        let mut seconds = 0;
        while !ended(pause) {
            seconds += pause.as_secs();
            for found in self.found.lock().unwrap().drain(..) {
                let _ = if terminal { writeln!(stderr(), "\r{found}\x1b[K") } else { writeln!(stderr(), "{found}") };
            }
            let (walks, failed) = (self.walks.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed));
            let line = format!("{seconds:4} s, {walks} walks, {} a second, {failed} violations", walks / seconds);
            // A closed standard error does not end the run.
            let _ = if terminal { write!(stderr(), "\r{line}\x1b[K") } else { writeln!(stderr(), "{line}") };
        }
        if terminal && seconds > 0 {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}

/// Walks with the seeds that `next` returns, on all processors, until `next` returns `None` or [`ENOUGH`] walks have
/// failed. If `telling` is true, prints the progress.
pub(crate) fn walk_all(mix: Mix, telling: bool, next: impl Fn() -> Option<u64> + Sync) -> Report {
    let (report, progress) = (Mutex::new(Report::default()), Progress::default());
    thread::scope(|scope| {
        let (ended, all_ended) = channel::<()>();
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            let ended = ended.clone();
            let (report, progress, next) = (&report, &progress, &next);
            scope.spawn(move || {
                let own = quietly(|| walk_some(mix, next, progress));
                report.lock().unwrap().merge(own);
                // The channel disconnects when all senders are dropped. That ends the progress, even after a panic.
                drop(ended);
            });
        }
        // This sender would keep the channel connected after all threads have ended.
        drop(ended);
        if telling {
            progress.tell(|pause| all_ended.recv_timeout(pause) == Err(RecvTimeoutError::Disconnected));
        }
    });
    report.into_inner().unwrap()
}

fn walk_some(mix: Mix, next: impl Fn() -> Option<u64>, progress: &Progress) -> Report {
    let mut own = Report::default();
    while let Some(seed) = next() {
        let family = mix.family(seed);
        // A panic breaks a promise of this walk, but does not end the run.
        let broken = panic::catch_unwind(panic::AssertUnwindSafe(|| walk_one(family, seed, &mut own)));
        let broken = broken.unwrap_or_else(|_| Some("panic".to_owned()));
        let failed = u64::from(broken.is_some());
        if let Some(promise) = broken {
            progress.found.lock().unwrap().push(format!("{promise}: {}:{seed}", family.name()));
            own.broken.entry((family, promise)).or_default().push(seed);
        }
        progress.walks.fetch_add(1, Ordering::Relaxed);
        if progress.failed.fetch_add(failed, Ordering::Relaxed) + failed >= ENOUGH {
            break;
        }
    }
    own
}

/// Walks with a seed and counts the result. Returns the promise that was broken, if one was.
fn walk_one(family: Family, seed: u64, own: &mut Report) -> Option<String> {
    let promise = |violation: String| violation.split(':').next().unwrap_or_default().to_owned();
    own.walks += 1;
    match family {
        Family::Keyed => {
            let scenario = keyed::scenario::Scenario::from_seed(seed);
            let outcome = keyed::walk::walk(&scenario, false);
            own.keyed.add(seed, &scenario, &outcome);
            own.count(outcome.mutations, u64::from(outcome.refusal.is_some()));
            outcome.violation.map(|violation| violation.promise.to_owned())
        }
        Family::Token => {
            let scenario = token::Scenario::from_seed(seed);
            let outcome = token::walk(&scenario, false);
            own.token.add(&scenario, &outcome);
            own.count(outcome.changes, outcome.refused.values().sum());
            outcome.violation.map(promise)
        }
        Family::Anchored => {
            let scenario = anchored::Scenario::from_seed(seed);
            let outcome = anchored::walk(&scenario, false);
            own.anchored.add(seed, &scenario, &outcome);
            own.count(outcome.changes, u64::from(outcome.refusal.is_some()));
            outcome.violation.map(promise)
        }
        Family::Misdeclared => {
            let scenario = misdeclared::Scenario::from_seed(seed);
            let outcome = misdeclared::walk(&scenario);
            own.misdeclared.add(&scenario, &outcome);
            own.count(outcome.changes, u64::from(outcome.refusal.is_some()));
            outcome.violation.map(promise)
        }
        Family::Cached => {
            let outcome = cached::walk(&cached::Scenario::from_seed(seed), false);
            own.cached.add(&outcome);
            own.count(outcome.changes, outcome.refused.len() as u64);
            outcome.violation.map(|violation| violation.promise.to_owned())
        }
        Family::Ends => {
            let outcome = ends::walk(&ends::Scenario::from_seed(seed), false);
            own.count(outcome.changes, u64::from(outcome.refusal().is_some()));
            own.ends.add(seed, &outcome)
        }
    }
}
