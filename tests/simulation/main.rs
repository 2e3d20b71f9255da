//! The simulator: the real core against a model upstream whose collection changes between and during pages.
//!
//! Each walk is a function of its seed. A failing one prints the seed, the command that replays it, and its story after
//! shrinking. `WALKS=n` sets how many `cargo test` does; `SOAK_SECONDS=n SEED=s cargo test --test simulation soak` goes
//! on for a time with seeds of its own; `WORLD=n cargo test --test simulation small -- --nocapture` tells a small world.
//!
//! `world` is the collection, `upstream` the API in front of it, `client` and `walk` who goes through it, `promises`,
//! `leg` and `cost` what is asserted; a `scenario` is a walk as data, which `draw` makes of a seed; `small` goes through
//! all small ones, `broken` shows that the simulator can fail.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "the model's numbers are small"
)]
#![allow(clippy::panic, clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, reason = "this is a test")]

mod aim;
mod broken;
mod client;
mod cost;
mod dice;
mod draw;
mod leg;
mod promises;
mod scenario;
mod shrink;
mod small;
mod tally;
mod upstream;
mod values;
mod walk;
mod world;

use std::{
    cell::Cell,
    collections::BTreeMap,
    panic,
    sync::{
        Mutex, Once,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    broken::Lie,
    dice::mix,
    scenario::Scenario,
    shrink::shrink,
    tally::{Tally, cause},
    walk::{Outcome, walk},
};

/// How many walks a plain test run does.
const WALKS: u64 = 100_000;
/// Of a hundred thousand walks in reach of one class, with room beside the limit, so many may be refused at most: whether
/// the collection changes, whether ties must be closed as runs, how many.
const REFUSED: [(bool, bool, u64); 4] =
    [(false, false, 2_500), (true, false, 9_000), (false, true, 13_000), (true, true, 24_000)];
/// A run stops looking after so many failing walks.
const ENOUGH: u64 = 500;

fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}

thread_local! {
    static WALKING: Cell<bool> = const { Cell::new(false) };
}

/// Panics of a core that walks are caught, reported with their walk, and not printed on their own.
fn quieten_walks() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !WALKING.get() {
                usual(info);
            }
        }));
    });
    WALKING.set(true);
}

/// Walks with the seeds that `next` gives, on all cores, until it gives none or enough have failed.
fn walk_all(next: impl Fn() -> Option<u64> + Sync) -> Tally {
    let (tally, failed) = (Mutex::new(Tally::default()), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                quieten_walks();
                let mut own = Tally::default();
                while let Some(seed) = next() {
                    let scenario = Scenario::from_seed(seed);
                    let outcome = walk(&scenario, false);
                    own.add(seed, &scenario, &outcome);
                    let failures = failed.fetch_add(u64::from(outcome.violation.is_some()), Ordering::Relaxed);
                    if failures >= ENOUGH {
                        break;
                    }
                }
                tally.lock().unwrap().merge(&own);
            });
        }
    });
    tally.into_inner().unwrap()
}

/// Says of failing walks what a person needs to go on: of each broken promise the first seed and its story, shrunk.
fn report(tally: &Tally) {
    for (promise, seeds) in &tally.broken {
        let Some(seed) = seeds.iter().min() else { continue };
        println!("\n{promise}: broken {} times. The first, shrunk:", seeds.len());
        tell(&Scenario::from_seed(*seed));
        println!("  SEED={seed} cargo test --test simulation replay -- --nocapture");
    }
}

/// Prints the shrunk story of a scenario that breaks a promise, or is refused.
fn tell(scenario: &Scenario) {
    let end = |outcome: &Outcome| {
        (outcome.violation.as_ref().map(|violation| violation.promise), outcome.refusal.as_ref().map(cause))
    };
    quieten_walks();
    let whole = end(&walk(scenario, false));
    let small =
        if whole == (None, None) { scenario.clone() } else { shrink(scenario, |outcome| end(outcome) == whole) };
    for line in walk(&small, true).story {
        println!("{line}");
    }
    WALKING.set(false);
}

#[test]
fn walks_keep_the_promises() {
    if number_from("SOAK_SECONDS").is_some() {
        return;
    }
    let (walks, counter) = (number_from("WALKS").unwrap_or(WALKS), AtomicU64::new(0));
    let tally = walk_all(|| Some(counter.fetch_add(1, Ordering::Relaxed)).filter(|&seed| seed < walks));
    println!("{tally}");
    report(&tally);
    assert!(tally.broken.is_empty(), "{} walks break a promise", tally.violations());
    for (changing, runs, most) in REFUSED {
        let refused = tally.refused_in_reach(changing, runs);
        assert!(
            refused <= most,
            "of 100,000 walks in reach (changing: {changing}, runs: {runs}) {refused} are refused, more than {most}"
        );
    }
}

#[test]
fn small_worlds_keep_the_promises() {
    quieten_walks();
    let (mut tally, mut failed) = (Tally::default(), BTreeMap::new());
    let wanted = number_from("WORLD");
    small::each(|scenario| {
        if wanted == Some(tally.walks) {
            tell(&scenario);
            quieten_walks();
        }
        let outcome = walk(&scenario, false);
        tally.add(tally.walks, &scenario, &outcome);
        if let Some(violation) = outcome.violation {
            failed.entry(violation.promise).or_insert(scenario);
        }
    });
    WALKING.set(false);
    println!("small worlds: {tally}");
    for (promise, scenario) in &failed {
        println!("\n{promise}: broken {} times. The first, shrunk:", tally.broken[promise].len());
        tell(scenario);
    }
    assert!(failed.is_empty(), "{} small worlds break a promise", tally.violations());
}

#[test]
fn replay() {
    let (Some(seed), None) = (number_from("SEED"), number_from("SOAK_SECONDS")) else {
        return;
    };
    let scenario = Scenario::from_seed(seed);
    quieten_walks();
    let outcome = walk(&scenario, true);
    println!("as it was:\n{}\nafter shrinking:", outcome.story.join("\n"));
    tell(&scenario);
    assert!(outcome.violation.is_none(), "seed {seed} breaks {:?}", outcome.violation);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a soak is bound by time")]
fn soak() {
    let Some(seconds) = number_from("SOAK_SECONDS") else {
        return;
    };
    let seed = number_from("SEED").unwrap_or(1);
    let (until, counter) = (Instant::now() + Duration::from_secs(seconds), AtomicU64::new(0));
    let tally = walk_all(|| {
        let number = counter.fetch_add(1, Ordering::Relaxed);
        (Instant::now() < until).then(|| mix(seed, number))
    });
    println!("{tally}");
    report(&tally);
    println!(
        "walks {}, mutations {}, refusals {}, violations {}, seed {seed}",
        tally.walks,
        tally.mutations,
        tally.refusals(),
        tally.violations()
    );
    assert!(tally.broken.is_empty(), "{} walks break a promise", tally.violations());
}

#[test]
fn every_lie_is_caught() {
    const TRIES: u64 = 10_000;
    quieten_walks();
    let missed: Vec<Lie> = Lie::ALL
        .into_iter()
        .filter(|&lie| {
            let caught = (0..TRIES).find(|&seed| {
                let outcome = walk(&Scenario::with_lie(seed, lie), false);
                outcome.violation.is_some_and(|violation| lie.breaks().contains(&violation.promise))
            });
            println!("{lie:?}: caught by walk {caught:?}");
            caught.is_none()
        })
        .collect();
    WALKING.set(false);
    assert!(missed.is_empty(), "not caught within {TRIES} walks: {missed:?}");
}
