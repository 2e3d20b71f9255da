//! Many walks on all cores.

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
    keyed, misdeclared,
    report::Report,
    token,
};

/// A run stops looking after so many failing walks.
const ENOUGH: u64 = 500;

/// Which families are walked through, and how often: one walk in so many; the first family takes what is left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mix {
    rest: Family,
    others: &'static [(Family, u64)],
}

impl Mix {
    /// All families without a cache; most walks are of lists whose order is declared, which have the most rules.
    pub(crate) const ALL: Self = Self {
        rest: Family::Keyed,
        others: &[(Family::Anchored, 50), (Family::Token, 10), (Family::Misdeclared, 100)],
    };

    /// The same, and lists whose pages are kept: a soak has seeds of its own, so that it may walk through more.
    pub(crate) const SOAK: Self = Self {
        rest: Family::Keyed,
        others: &[(Family::Anchored, 50), (Family::Token, 10), (Family::Misdeclared, 100), (Family::Cached, 20)],
    };

    pub(crate) fn only(family: Family) -> Self {
        Self { rest: family, others: &[] }
    }

    /// Returns the family that a seed walks through.
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
    /// The failing walks that were not told yet, each as the promise and the seed to replay.
    found: Mutex<Vec<String>>,
}

impl Progress {
    /// Says on a terminal each second, and elsewhere every ten seconds, how far the run has come, until `ended` says
    /// so. Names each failing walk at once, so that a run that is cut off has told them.
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
            // Where nobody can read it, a run goes on all the same.
            let _ = if terminal { write!(stderr(), "\r{line}\x1b[K") } else { writeln!(stderr(), "{line}") };
        }
        if terminal && seconds > 0 {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}

/// Walks with the seeds that `next` gives, on all cores, until it gives none or enough have failed. `telling`: says on
/// the way how far it is.
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
                drop(ended);
            });
        }
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

/// Walks with a seed, and counts what came of it. Gives the promise that was broken.
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
    }
}
