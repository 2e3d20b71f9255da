//! Lists that are paged by what the upstream hands out: the real core against a model of such an upstream.
//!
//! A client can't see the items that an upstream's tokens skip. So the promises are about the answers: every item that
//! an answer shows beyond the place of a page, and before the page's last item, is on that page; no item comes twice;
//! and where tokens are perfect (keys, snapshots), a walk from the start to the end delivers all that was there
//! throughout.
//!
//! `world` is the list, `upstream` what pages it, `scenario` what a seed makes of both and of the client, `walk` goes
//! through it, `promises` is what must hold.

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

use crate::worlds::WorldCounts;

/// The least number of walks of which bounds are asserted.
const LEAST_WALKS: u64 = 10_000;

/// Of a hundred pages in a declared order so many say that they are checked, at least: as was recorded.
const CHECKED_OF_HUNDRED: u64 = 45;

/// Of a thousand pages so many are refused at most: as was recorded.
const ANY_REFUSED_OF_THOUSAND: u64 = 28;

/// Of a thousand walks over tokens that never lose their place, so many may be refused at most.
const REFUSED_OF_THOUSAND: u64 = 8;

/// The results of many walks.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) walks: u64,
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

    /// Returns the figures that are beyond the recorded bounds.
    pub(crate) fn beyond(&self) -> Vec<String> {
        let Self { walks, pages, declared, checked, perfect, unneeded, .. } = *self;
        let refused: u64 = self.refused.values().sum();
        let mut beyond = Vec::new();
        let mut hold = |holds: bool, said: String| beyond.extend((!holds && walks >= LEAST_WALKS).then_some(said));
        // Each page that says it is checked is held to that (`promises`), so that too many would be found there.
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
