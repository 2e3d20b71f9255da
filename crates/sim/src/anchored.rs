//! Lists without a declared order: the real core against a model whose list is sorted in a way that nobody says.
//!
//! Rows come and go, are edited and moved. What stood still since a cursor was made must be neither skipped nor repeated,
//! as long as of the rows that the cursor marks more stood still than moved; where that is not so, nothing is asserted
//! but that the page is whole.
//!
//! `world` is the list, `upstream` what pages it, `scenario` what a seed makes of both and of the client, `walk` goes
//! through it, `promises` is what must hold.

mod promises;
mod scenario;
mod upstream;
mod walk;
mod world;

use std::{collections::BTreeMap, fmt};

use scenario::Scenario;
use walk::Outcome;

use crate::{keyed::tally::cause, run::Account};

/// Of a thousand walks so many may be refused without need at most: as was recorded.
const REFUSED_OF_THOUSAND: u64 = 3;

/// Of a thousand walks so many are refused at most, with need or without: as was recorded.
const ANY_REFUSED_OF_THOUSAND: u64 = 145;

/// Walks with a seed; says which promise was broken, and how.
pub(crate) fn walk(seed: u64) -> Account {
    let Outcome { violation, changes, refusal, .. } = walk::walk(&Scenario::from_seed(seed), false);
    Account { violation, mutations: changes, refusals: u64::from(refusal.is_some()) }
}

/// Walks with so many seeds.
pub(crate) fn walk_many(walks: u64) {
    let mut tally = Tally::default();
    let mut broken: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for seed in 0..walks {
        let outcome = walk::walk(&Scenario::from_seed(seed), false);
        if let Some(violation) = &outcome.violation {
            let promise = violation.split(':').next().unwrap_or_default().to_owned();
            broken.entry(promise).or_insert((0, seed)).0 += 1;
        }
        tally.add(seed, &outcome);
    }
    println!("{tally}");
    for (promise, (times, seed)) in &broken {
        println!("\n{promise}: broken {times} times. The first, walk {seed}:");
        tell(*seed);
    }
    let refused: u64 = tally.refused.values().map(|(times, _)| times).sum();
    assert!(refused * 1_000 <= ANY_REFUSED_OF_THOUSAND * tally.walks, "of {} walks {refused} are refused", tally.walks);
    assert!(broken.is_empty(), "walks through lists without a declared order break a promise: {broken:?}");
    assert!(
        tally.unneeded * 1_000 <= REFUSED_OF_THOUSAND * tally.walks,
        "of {} walks {} are refused without need",
        tally.walks,
        tally.unneeded
    );
}

fn tell(seed: u64) {
    for line in walk::walk(&Scenario::from_seed(seed), true).story {
        println!("  {line}");
    }
    println!("  ANCHORED_SEED={seed} cargo test --package cursorgate-sim anchored::replay -- --nocapture");
}

#[test]
fn replay() {
    if let Some(seed) = crate::run::number_from("ANCHORED_SEED") {
        tell(seed);
        assert_eq!(walk(seed).violation, None);
    }
}

/// Walks that broke a promise once: by marks of what a later answer of the same page showed elsewhere, or that stood
/// beside one row that was moved while the page was read.
#[test]
fn what_was_found_is_kept() {
    for seed in
        [6_036_548_365_465_925_255, 795_016_985_764_636_157, 4_630_973_366_440_678_638, 5_582, 129, 16_604, 18_313]
    {
        assert_eq!(walk(seed).violation, None, "ANCHORED_SEED={seed}");
    }
}

/// What became of many walks.
#[derive(Debug, Default)]
struct Tally {
    walks: u64,
    pages: u64,
    requests: u64,
    unpromised: u64,
    stragglers: u64,
    unneeded: u64,
    /// How often for which cause, with need or without, and the first seed of it.
    refused: BTreeMap<(&'static str, bool), (u64, u64)>,
}

impl Tally {
    fn add(&mut self, seed: u64, outcome: &Outcome) {
        self.walks += 1;
        self.pages += outcome.pages;
        self.requests += outcome.requests;
        self.unpromised += outcome.unpromised;
        self.stragglers += outcome.stragglers;
        self.unneeded += u64::from(outcome.unneeded);
        if let Some(refusal) = &outcome.refusal {
            self.refused.entry((cause(refusal), outcome.unneeded)).or_insert((0, seed)).0 += 1;
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { walks, pages, requests, unpromised, stragglers, .. } = self;
        write!(
            out,
            "without a declared order: {walks} walks, {pages} pages, {:.2} requests a page; {stragglers} marks were \
             outvoted, of {unpromised} pages nothing could be promised; refused:",
            *requests as f64 / (*pages).max(1) as f64
        )?;
        for ((cause, unneeded), (times, seed)) in &self.refused {
            let need = if *unneeded { "without need" } else { "with reason" };
            write!(out, " {times} {cause} {need} ({seed}),")?;
        }
        Ok(())
    }
}
