//! The simulator: the real core against a model upstream whose collection changes between and during pages.
//!
//! Each walk is a function of its seed. A failing one prints the seed, the command that replays it, and its story after
//! shrinking. `WALKS=n` sets how many `cargo test` does; `SOAK_SECONDS=n SEED=s cargo test --package cursorgate-sim soak` goes
//! on for a time with seeds of its own, with `KIND="by token"` or `KIND="without a declared order"` of that kind alone;
//! `WORLD=n cargo test --package cursorgate-sim small -- --nocapture` tells a small world.
//!
//! Each family of lists has a folder: `keyed` (an order is declared), `anchored` (none is), `token` (the upstream pages by
//! tokens); `misdeclared` has lists that are sorted otherwise than they are declared. `run` walks on all cores.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "the model's numbers are small"
)]
#![allow(clippy::panic, clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, reason = "this is a test")]

mod anchored;
mod dice;
mod keyed;
mod misdeclared;
mod run;
mod token;

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use cursorgate_core::pagination::rules::{Rule, without};

use crate::{
    dice::mix,
    keyed::{broken::Lie, scenario::Scenario, tally::Tally, walk::walk},
    run::{OtherRule, OtherWalk, number_from, quietly, tell, walk_all},
};

/// How many walks a plain test run does.
const WALKS: u64 = 120_000;
/// Within so many walks a lie, or a rule that is switched off, must be found out.
const TRIES: u64 = 10_000;
/// The walks of the other kinds.
const OTHERS: &[OtherWalk] = &[
    OtherWalk { kind: "without a declared order", one_in: 50, walk: anchored::walk },
    OtherWalk { kind: "by token", one_in: 10, walk: token::walk },
];
/// The rules of their machines.
const RULES_OF_OTHERS: &[OtherRule] = &[(Rule::MarksAreChained, anchored::walk), (Rule::LoopsBeginAnew, token::walk)];

/// Row: F31, F36
#[test]
fn walks_keep_the_promises() {
    if number_from("SOAK_SECONDS").is_some() {
        return;
    }
    let (walks, counter) = (number_from("WALKS").unwrap_or(WALKS), AtomicU64::new(0));
    let report = walk_all(OTHERS, || Some(counter.fetch_add(1, Ordering::Relaxed)).filter(|&seed| seed < walks));
    report.print();
    let needless = report.tally.refused_without_need();
    println!("refused too often without need: {needless:#?}");
    let missed = report.tally.met.missed();
    println!("{}", report.tally.met);
    let beyond = report.tally.beyond(&keyed::bounds::WALKS);
    assert!(report.violations() == 0, "{} walks break a promise", report.violations());
    assert!(needless.is_empty(), "refused too often without need: {needless:#?}");
    assert!(missed.is_empty(), "met too seldom: {missed:#?}");
    assert!(beyond.is_empty(), "beyond the recorded bounds: {beyond:#?}");
}

#[test]
fn small_worlds_keep_the_promises() {
    let (mut tally, mut failed) = (Tally::default(), BTreeMap::new());
    let wanted = number_from("WORLD");
    quietly(|| {
        keyed::small::each(|scenario, outcome| {
            if wanted == Some(tally.walks) {
                tell(scenario);
            }
            tally.add(tally.walks, scenario, &outcome);
            if let Some(violation) = outcome.violation {
                failed.entry(violation.promise).or_insert_with(|| scenario.clone());
            }
        });
    });
    println!("small worlds ({}): {tally}", keyed::small::COVERED);
    for (promise, scenario) in &failed {
        println!("\n{promise}: broken {} times. The first, shrunk:", tally.broken[promise].len());
        tell(scenario);
    }
    let beyond = tally.beyond(&keyed::bounds::SMALL);
    assert!(failed.is_empty(), "{} small worlds break a promise", tally.violations());
    assert!(beyond.is_empty(), "beyond the recorded bounds: {beyond:#?}");
}

#[test]
fn walks_by_token_keep_the_promises() {
    token::walk_many(number_from("WALKS").map_or(20_000, |walks| walks.min(20_000)));
}

#[test]
fn walks_without_a_declared_order_keep_the_promises() {
    anchored::walk_many(number_from("WALKS").map_or(20_000, |walks| walks.min(100_000)));
}

/// Row: F38
#[test]
fn walks_of_misdeclared_lists_keep_the_promises() {
    misdeclared::walk_many(number_from("WALKS").map_or(20_000, |walks| walks.clamp(5_000, 200_000)));
}

#[test]
fn replay() {
    let (Some(seed), None) = (number_from("SEED"), number_from("SOAK_SECONDS")) else {
        return;
    };
    let scenario = Scenario::from_seed(seed);
    let outcome = quietly(|| walk(&scenario, true));
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
    // One kind of walks alone, where `KIND` names it.
    let only = std::env::var("KIND").ok().map(|wanted| {
        let named = OTHERS.iter().find(|other| other.kind == wanted);
        let kinds: Vec<&str> = OTHERS.iter().map(|other| other.kind).collect();
        [OtherWalk { one_in: 1, ..*named.unwrap_or_else(|| panic!("KIND={wanted} is none of {kinds:?}")) }]
    });
    let report = walk_all(only.as_ref().map_or(OTHERS, |only| only), || {
        let number = counter.fetch_add(1, Ordering::Relaxed);
        (Instant::now() < until).then(|| mix(seed, number))
    });
    report.print();
    println!(
        "walks {}, mutations {}, refusals {}, violations {}, seed {seed}",
        report.walks(),
        report.mutations(),
        report.refusals(),
        report.violations()
    );
    // That line is the last: whoever runs this reads it, and the status.
    std::process::exit(i32::from(report.violations() > 0));
}

#[test]
fn every_lie_is_caught() {
    let missed: Vec<Lie> = Lie::ALL
        .into_iter()
        .filter(|&lie| {
            let caught = (0..TRIES).find(|&seed| {
                let outcome = quietly(|| walk(&Scenario::with_lie(seed, lie), false));
                outcome.violation.is_some_and(|violation| lie.breaks().contains(&violation.promise))
            });
            println!("{lie:?}: caught by walk {caught:?}");
            caught.is_none()
        })
        .collect();
    assert!(missed.is_empty(), "not caught within {TRIES} walks: {missed:?}");
}

/// A core without one of its rules breaks a promise that the whole core keeps, on the very same walk.
#[test]
fn every_broken_core_is_caught() {
    let breaks = |rule: Rule, seed: u64| -> Option<String> {
        if let Some((_, walk)) = RULES_OF_OTHERS.iter().find(|(other, _)| *other == rule) {
            return quietly(|| without(rule, || walk(seed).violation).filter(|_| walk(seed).violation.is_none()));
        }
        let scenario = Scenario::with_rule(seed, rule);
        let violation = quietly(|| without(rule, || walk(&scenario, false).violation))?;
        let kept = quietly(|| walk(&scenario, false)).violation.is_none();
        kept.then(|| format!("{}: {}", violation.promise, violation.what))
    };
    let missed: Vec<Rule> = Rule::ALL
        .into_iter()
        .filter(|&rule| {
            let caught = (0..TRIES).find_map(|seed| breaks(rule, seed).map(|what| (seed, what)));
            println!("without {rule:?}: caught by walk {caught:?}");
            caught.is_none()
        })
        .collect();
    assert!(missed.is_empty(), "not caught within {TRIES} walks: {missed:?}");
}
