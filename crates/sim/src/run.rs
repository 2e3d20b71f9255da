//! Many walks on all cores, and what is said of those that fail.

use std::{
    cell::Cell,
    collections::BTreeMap,
    panic,
    sync::{
        Mutex, Once,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use cursorgate_core::pagination::rules::Rule;

use crate::{
    dice::mix,
    keyed::{
        scenario::Scenario,
        shrink::shrink,
        tally::{Tally, cause},
        walk::{Outcome, walk},
    },
};

/// A run stops looking after so many failing walks.
const ENOUGH: u64 = 500;

/// Who walks lists that have no declared order, or are paged by token.
#[derive(Clone, Copy)]
pub(crate) struct OtherWalk {
    pub(crate) kind: &'static str,
    /// One walk in so many is of this kind.
    pub(crate) one_in: u64,
    /// Walks with a seed.
    pub(crate) walk: fn(u64) -> Account,
}

/// What a walk of another kind gives an account of.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// Which promise was broken, and how.
    pub(crate) violation: Option<String>,
    pub(crate) mutations: u64,
    pub(crate) refusals: u64,
}

/// A rule of theirs, and who walks where it matters.
pub(crate) type OtherRule = (Rule, fn(u64) -> Account);

/// A number of the environment.
pub(crate) fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}

thread_local! {
    static WALKING: Cell<bool> = const { Cell::new(false) };
}

/// Panics of a core that walks are caught, reported with their walk, and not printed on their own.
pub(crate) fn quietly<T>(work: impl FnOnce() -> T) -> T {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !WALKING.get() {
                usual(info);
            }
        }));
    });
    let before = WALKING.replace(true);
    let result = work();
    WALKING.set(before);
    result
}

/// Walks of another kind.
#[derive(Debug, Default)]
pub(crate) struct Others {
    walks: u64,
    mutations: u64,
    refusals: u64,
    /// The seeds of those that broke something, with what.
    broken: Vec<(u64, String)>,
}

/// What came of walks of all kinds.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) tally: Tally,
    /// By their kind.
    pub(crate) others: BTreeMap<&'static str, Others>,
}

impl Report {
    pub(crate) fn walks(&self) -> u64 {
        self.tally.walks + self.others.values().map(|others| others.walks).sum::<u64>()
    }

    pub(crate) fn mutations(&self) -> u64 {
        self.tally.mutations + self.others.values().map(|others| others.mutations).sum::<u64>()
    }

    pub(crate) fn refusals(&self) -> u64 {
        self.tally.refusals() + self.others.values().map(|others| others.refusals).sum::<u64>()
    }

    pub(crate) fn violations(&self) -> u64 {
        self.tally.violations() + self.others.values().map(|others| others.broken.len() as u64).sum::<u64>()
    }

    fn merge(&mut self, other: Self) {
        self.tally.merge(&other.tally);
        for (kind, Others { walks, mutations, refusals, broken }) in other.others {
            let own = self.others.entry(kind).or_default();
            own.walks += walks;
            own.mutations += mutations;
            own.refusals += refusals;
            own.broken.extend(broken);
        }
    }

    /// Says of failing walks what a person needs to go on: of each broken promise the first seed and its story, shrunk.
    pub(crate) fn print(&self) {
        println!("{}", self.tally);
        for (kind, Others { walks, refusals, broken, .. }) in &self.others {
            println!("  {kind}: {walks} walks, {refusals} refusals, {} violations", broken.len());
            let mut by_promise: BTreeMap<&str, Vec<(u64, &str)>> = BTreeMap::new();
            for (seed, what) in broken {
                by_promise.entry(what.split(':').next().unwrap_or_default()).or_default().push((*seed, what));
            }
            for (promise, mut walks) in by_promise {
                walks.sort_unstable();
                let seeds: Vec<u64> = walks.iter().take(6).map(|(seed, _)| *seed).collect();
                println!(
                    "  {promise}: broken {} times, by {seeds:?} and so on; the first: {}",
                    walks.len(),
                    walks[0].1
                );
            }
        }
        for (promise, seeds) in &self.tally.broken {
            let mut first = seeds.clone();
            first.sort_unstable();
            let Some(seed) = first.first() else { continue };
            let some = &first[..first.len().min(6)];
            println!("\n{promise}: broken {} times, by {some:?} and so on. The first, shrunk:", seeds.len());
            tell(&Scenario::from_seed(*seed));
            println!("  SEED={seed} cargo test --package cursorgate-sim replay -- --nocapture");
        }
    }
}

/// Walks with the seeds that `next` gives, on all cores, until it gives none or enough have failed.
pub(crate) fn walk_all(others: &[OtherWalk], next: impl Fn() -> Option<u64> + Sync) -> Report {
    let (report, failed) = (Mutex::new(Report::default()), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                let own = quietly(|| walk_some(others, &next, &failed));
                report.lock().unwrap().merge(own);
            });
        }
    });
    report.into_inner().unwrap()
}

fn walk_some(others: &[OtherWalk], next: impl Fn() -> Option<u64>, failed: &AtomicU64) -> Report {
    let mut own = Report::default();
    while let Some(seed) = next() {
        let broken = match others.iter().find(|other| mix(seed, other.one_in).is_multiple_of(other.one_in)) {
            Some(OtherWalk { kind, walk, .. }) => {
                let panics = |_| Account { violation: Some("panics".to_owned()), ..Account::default() };
                let Account { violation, mutations, refusals } =
                    panic::catch_unwind(|| walk(seed)).unwrap_or_else(panics);
                let others = own.others.entry(kind).or_default();
                others.walks += 1;
                others.mutations += mutations;
                others.refusals += refusals;
                let fails = violation.is_some();
                others.broken.extend(violation.map(|what| (seed, what)));
                fails
            }
            None => {
                let scenario = Scenario::from_seed(seed);
                let outcome = walk(&scenario, false);
                own.tally.add(seed, &scenario, &outcome);
                outcome.violation.is_some()
            }
        };
        if failed.fetch_add(u64::from(broken), Ordering::Relaxed) >= ENOUGH {
            break;
        }
    }
    own
}

/// Prints the shrunk story of a scenario that breaks a promise, or is refused.
pub(crate) fn tell(scenario: &Scenario) {
    let end = |outcome: &Outcome| {
        let refusal = outcome.refusal.as_ref().map(|refusal| (cause(refusal), outcome.need));
        (outcome.violation.as_ref().map(|violation| violation.promise), refusal)
    };
    let story = quietly(|| {
        let whole = end(&walk(scenario, false));
        let small =
            if whole == (None, None) { scenario.clone() } else { shrink(scenario, |outcome| end(outcome) == whole) };
        walk(&small, true).story
    });
    for line in story {
        println!("{line}");
    }
}
