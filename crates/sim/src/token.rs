//! Lists that are paged by what the upstream hands out: the real core against a model of such an upstream.
//!
//! What an upstream's own tokens skip nobody can see. So the promises are about what it shows: whatever an answer shows
//! beyond the place of a page, and before the page's last item, is on that page; nothing comes twice; and where tokens
//! are perfect (keys, snapshots), a walk from the start to the end delivers all that was there throughout.
//!
//! `world` is the list, `upstream` what pages it, `scenario` what a seed makes of both and of the client, `walk` goes
//! through it, `promises` is what must hold.

mod promises;
mod scenario;
mod upstream;
mod walk;
mod world;

use std::collections::BTreeMap;

use scenario::Scenario;
use walk::Outcome;

use crate::run::Account;

/// Of a hundred pages in a declared order so many say that they are checked, at least: as was recorded.
const CHECKED_OF_HUNDRED: u64 = 45;

/// Of a thousand pages so many are refused at most: as was recorded.
const ANY_REFUSED_OF_THOUSAND: u64 = 28;

/// Of a thousand walks over tokens that never lose their place, so many may be refused at most.
const REFUSED_OF_THOUSAND: u64 = 8;

/// Walks with a seed; says which promise was broken, and how.
pub(crate) fn walk(seed: u64) -> Account {
    let Outcome { violation, changes, refused, .. } = walk::walk(&Scenario::from_seed(seed), false);
    Account { violation, mutations: changes, refusals: refused.values().sum() }
}

/// Walks with so many seeds.
pub(crate) fn walk_many(walks: u64) {
    let mut tally = Tally::default();
    let mut broken = Vec::new();
    for seed in 0..walks {
        let scenario = Scenario::from_seed(seed);
        let outcome = walk::walk(&scenario, false);
        if let Some(violation) = &outcome.violation {
            broken.push((seed, violation.clone()));
        }
        tally.add(&scenario, &outcome);
    }
    println!("{tally}");
    // Of each promise the first walk that breaks it.
    let mut told = std::collections::BTreeSet::new();
    for (seed, violation) in &broken {
        if !told.insert(violation.split(':').next().unwrap_or_default()) {
            continue;
        }
        let same = broken.iter().filter(|(_, other)| other.split(':').next() == violation.split(':').next()).count();
        println!("\nwalk {seed}, and {} more like it: {violation}", same - 1);
        for line in walk::walk(&Scenario::from_seed(*seed), true).story {
            println!("  {line}");
        }
        println!("  TOKEN_SEED={seed} cargo test --package cursorgate-sim token::replay -- --nocapture");
    }
    assert!(broken.is_empty(), "{} walks by token break a promise", broken.len());
    // Each page that says it is checked is held to that (`promises`), so that too many would be found there.
    assert!(
        tally.checked * 100 >= CHECKED_OF_HUNDRED * tally.declared,
        "of {} pages in a declared order only {} are checked",
        tally.declared,
        tally.checked
    );
    let refused: u64 = tally.refused.values().sum();
    assert!(refused * 1_000 <= ANY_REFUSED_OF_THOUSAND * tally.pages, "of {} pages {refused} are refused", tally.pages);
    assert!(
        tally.unneeded * 1_000 <= REFUSED_OF_THOUSAND * tally.perfect,
        "of {} walks over tokens that keep their place {} are refused",
        tally.perfect,
        tally.unneeded
    );
}

/// What became of many walks.
#[derive(Default)]
struct Tally {
    walks: u64,
    pages: u64,
    requests: u64,
    changes: u64,
    /// Pages of lists whose order is declared, and how many of them say that they are checked.
    declared: u64,
    checked: u64,
    /// Walks over tokens that never lose their place, and how many of them are refused.
    perfect: u64,
    unneeded: u64,
    refused: BTreeMap<String, u64>,
}

impl Tally {
    fn add(&mut self, scenario: &Scenario, outcome: &Outcome) {
        self.walks += 1;
        self.pages += outcome.pages;
        self.requests += outcome.requests;
        self.changes += outcome.changes;
        if scenario.shape.is_declared() {
            self.declared += outcome.pages;
            self.checked += outcome.checked;
        }
        let perfect = scenario.traits.keeps_places();
        self.perfect += u64::from(perfect);
        self.unneeded += u64::from(perfect && outcome.unneeded);
        for (cause, count) in &outcome.refused {
            *self.refused.entry(format!("{cause}{}", if perfect { "" } else { " (tokens drift)" })).or_default() +=
                count;
        }
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { walks, pages, requests, changes, declared, checked, perfect, unneeded, refused } = self;
        writeln!(out, "by token: {walks} walks, {pages} pages, {requests} requests, {changes} changes")?;
        writeln!(out, "  {checked} of {declared} pages in a declared order are checked")?;
        writeln!(out, "  refused without need: {unneeded} of {perfect} walks over tokens that keep their place")?;
        refused.iter().try_for_each(|(cause, count)| writeln!(out, "  {count:7} {cause}"))
    }
}

#[test]
fn replay() {
    let Some(seed) = std::env::var("TOKEN_SEED").ok().and_then(|text| text.parse().ok()) else { return };
    let scenario = Scenario::from_seed(seed);
    println!("{scenario:#?}");
    let outcome = walk::walk(&scenario, true);
    println!("{}", outcome.story.join("\n"));
    assert!(outcome.violation.is_none(), "seed {seed}: {:?}", outcome.violation);
}
