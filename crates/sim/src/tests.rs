//! The tests of a run: each family, all small worlds, and the broken cores and caches that must be caught.
//!
//! `WALKS=n` sets the number of walks of each family, within the range that its test allows. `crates/mutants` sets it.

use std::sync::atomic::{AtomicU64, Ordering};

use cursorgate_core::pagination::rules::Rule;

use crate::{
    broken::{caught_fault, caught_lie, caught_without},
    cached::Fault,
    case::Family,
    cli::{self, WALKS, conclude},
    keyed::broken::Lie,
    run::{Mix, walk_all},
};

/// The number of walks in a test of a single family.
const WALKS_OF_FAMILY: u64 = 20_000;

/// The number of walks with caches. Such a walk has several clients, and about as many pages as ten other walks.
const WALKS_WITH_CACHES: u64 = 6_000;

/// The number of walks of lists whose end is hard to tell: five of each kind of world or more.
const WALKS_OF_ENDS: u64 = 15_000;

/// The mark in every binary whose core has rules that can be switched off. `tests/end_to_end` looks for it in the
/// binary that is shipped.
const MARK: &[u8] = b"cursorgate-core: its rules can be switched off";

/// Returns the number of walks that the environment variable `WALKS` states; `None` if it isn't set.
fn wanted() -> Option<u64> {
    let text = std::env::var("WALKS").ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("WALKS={text} is no number")))
}

fn holds(title: &str, mix: Mix, walks: u64) -> bool {
    let counter = AtomicU64::new(0);
    let next = || Some(counter.fetch_add(1, Ordering::Relaxed)).filter(|&seed| seed < walks);
    conclude(&walk_all(mix, false, next), title)
}

/// Row: F31, F36
#[test]
fn walks_keep_the_promises() {
    assert!(holds("of all families", Mix::ALL, wanted().unwrap_or(WALKS)));
}

#[test]
fn small_worlds_keep_the_promises() {
    assert!(cli::small_worlds());
}

#[test]
fn walks_by_token_keep_the_promises() {
    let walks = wanted().map_or(WALKS_OF_FAMILY, |walks| walks.min(WALKS_OF_FAMILY));
    assert!(holds("by token", Mix::only(Family::Token), walks));
}

#[test]
fn walks_without_a_declared_order_keep_the_promises() {
    let walks = wanted().map_or(WALKS_OF_FAMILY, |walks| walks.min(100_000));
    assert!(holds("without a declared order", Mix::only(Family::Anchored), walks));
}

/// Row: F38
#[test]
fn walks_of_misdeclared_lists_keep_the_promises() {
    // With fewer than 5,000 walks, the figures are not checked against their bounds (`misdeclared::Tally::beyond`).
    let walks = wanted().map_or(WALKS_OF_FAMILY, |walks| walks.clamp(5_000, 200_000));
    assert!(holds("misdeclared", Mix::only(Family::Misdeclared), walks));
}

#[test]
fn walks_with_caches_keep_the_promises() {
    let walks = wanted().map_or(WALKS_WITH_CACHES, |walks| walks.min(WALKS_WITH_CACHES));
    assert!(holds("with caches", Mix::only(Family::Cached), walks));
}

#[test]
fn walks_of_lists_whose_end_is_hard_to_tell_keep_the_promises() {
    let walks = wanted().map_or(WALKS_OF_ENDS, |walks| walks.min(WALKS_OF_ENDS));
    assert!(holds("ends", Mix::only(Family::Ends), walks));
}

/// For each fault there is a walk that breaks a promise with the faulty cache and keeps all promises with the sound
/// one.
#[test]
fn every_fault_of_a_cache_is_caught() {
    let missed: Vec<Fault> = Fault::ALL
        .into_iter()
        .filter(|&fault| {
            let caught = caught_fault(fault).next().map(|(seed, _, broken)| (seed, broken));
            println!("{fault:?}: caught by walk {caught:?}");
            caught.is_none()
        })
        .collect();
    assert!(missed.is_empty(), "not caught: {missed:?}");
}

#[test]
fn every_untrue_declaration_of_an_upstream_is_caught() {
    let missed: Vec<Lie> = Lie::ALL
        .into_iter()
        .filter(|&lie| {
            let caught = caught_lie(lie).next().map(|(seed, _, broken)| (seed, broken));
            println!("{lie:?}: caught by walk {caught:?}");
            caught.is_none()
        })
        .collect();
    assert!(missed.is_empty(), "not caught: {missed:?}");
}

/// For each rule there is a walk that breaks a promise without the rule and keeps all promises with it.
#[test]
fn every_broken_core_is_caught() {
    let missed: Vec<Rule> = Rule::ALL
        .into_iter()
        .filter(|&rule| {
            let caught = caught_without(rule).next().map(|(seed, _, broken)| (seed, broken));
            println!("without {rule:?}: caught by walk {caught:?}");
            caught.is_none()
        })
        .collect();
    assert!(missed.is_empty(), "not caught: {missed:?}");
}

/// The mark is in this binary. Without that, its absence from the binary that is shipped would prove nothing.
#[test]
fn a_binary_with_switchable_rules_has_the_mark() {
    let binary = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    // The constant of this test is one occurrence; the core's own constant is a second one.
    let times = binary.windows(MARK.len()).filter(|window| *window == MARK).count();
    assert!(times >= 2, "the mark stands there {times} times");
}
