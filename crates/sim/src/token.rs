//! Lists that are paged by the upstream's own tokens: the real core against a model of such an upstream.
//!
//! No answer shows the items that a token skips, so no core can promise them. The guarantees (docs/guarantees.md,
//! "Levels") are about the answers:
//!
//! - each item that an answer shows beyond the place of a page, and up to the page's last item, is on that page (G1);
//! - no item comes twice (G2), and in a declared order items come in that order (G3);
//! - a page of level `checked` skips no item that was there throughout, shown or not (G6);
//! - if tokens keep their place (keys, snapshots), a walk from the start to the end delivers each item that was there
//!   throughout (G1).
//!
//! `world` is the list, and `upstream` the API in front of it. `scenario` draws the list, the API and the client from a
//! seed. `walk` drives the core, and `promises` checks the pages against the guarantees. `kinds` lists the kinds of
//! scenarios that walks must meet.

mod kinds;
mod promises;
mod scenario;
mod shrink;
mod text;
mod upstream;
mod walk;
mod world;

use std::{collections::BTreeMap, fmt};

pub(crate) use scenario::Scenario;
pub(crate) use shrink::smaller;
pub(crate) use walk::{Outcome, walk};

use crate::world_kinds::WorldCounts;

/// The number of walks from which on a run's figures are checked against their bounds; rates of fewer walks vary too
/// much.
const LEAST_WALKS: u64 = 10_000;

/// The least number of `checked` pages in a hundred pages of lists with a declared order, as measured.
const CHECKED_OF_HUNDRED: u64 = 45;

/// The largest number of refusals for each thousand pages, as measured.
const ANY_REFUSED_OF_THOUSAND: u64 = 28;

/// The largest number of refusals without need in a thousand walks over tokens that keep their place.
const REFUSED_OF_THOUSAND: u64 = 8;

/// The results of many walks.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) walks: u64,
    pages: u64,
    requests: u64,
    changes: u64,
    /// The number of pages of lists with a declared order. `checked` counts those of level `checked`.
    declared: u64,
    checked: u64,
    /// The number of walks over tokens that keep their place. `unneeded` counts those that are refused without need.
    perfect: u64,
    unneeded: u64,
    refused: BTreeMap<String, u64>,
    met: WorldCounts,
}

impl Tally {
    pub(crate) fn add(&mut self, scenario: &Scenario, outcome: &Outcome) {
        self.walks += 1;
        self.met.add(kinds::KINDS, scenario);
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

    pub(crate) fn merge(&mut self, other: Self) {
        self.walks += other.walks;
        self.pages += other.pages;
        self.requests += other.requests;
        self.changes += other.changes;
        self.declared += other.declared;
        self.checked += other.checked;
        self.perfect += other.perfect;
        self.unneeded += other.unneeded;
        self.met.merge(other.met);
        other.refused.into_iter().for_each(|(cause, times)| *self.refused.entry(cause).or_default() += times);
    }

    /// Returns a message for each figure that is beyond its recorded bound.
    pub(crate) fn beyond(&self) -> Vec<String> {
        let Self { walks, pages, declared, checked, perfect, unneeded, .. } = *self;
        let refused: u64 = self.refused.values().sum();
        let mut beyond = Vec::new();
        let mut hold = |holds: bool, said: String| beyond.extend((!holds && walks >= LEAST_WALKS).then_some(said));
        // A page that claims `checked` wrongly is a violation (`Visit::check_level`), so only too few `checked` pages
        // need a bound.
        hold(
            checked * 100 >= CHECKED_OF_HUNDRED * declared,
            format!("of {declared} pages by token in a declared order only {checked} are checked"),
        );
        hold(
            refused * 1_000 <= ANY_REFUSED_OF_THOUSAND * pages,
            format!("of {pages} pages by token {refused} are refused"),
        );
        hold(
            unneeded * 1_000 <= REFUSED_OF_THOUSAND * perfect,
            format!("of {perfect} walks over tokens that keep their place {unneeded} are refused"),
        );
        if walks >= LEAST_WALKS {
            beyond.extend(self.met.missed(kinds::KINDS, walks));
        }
        beyond
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { walks, pages, requests, changes, declared, checked, perfect, unneeded, refused, met } = self;
        writeln!(out, "token: {walks} walks, {pages} pages, {requests} requests, {changes} changes")?;
        writeln!(out, "  {checked} of {declared} pages in a declared order are checked")?;
        writeln!(out, "  refused without need: {unneeded} of {perfect} walks over tokens that keep their place")?;
        refused.iter().try_for_each(|(cause, count)| writeln!(out, "  {count:7} {cause}"))?;
        write!(out, "{}", met.table(kinds::KINDS, *walks))
    }
}
