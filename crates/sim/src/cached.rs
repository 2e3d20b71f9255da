//! Lists whose pages a cache keeps: several clients of one principal walk through a list of `keyed`, and get pages
//! that were made earlier, for themselves or for others.
//!
//! The core itself has no cache. A page of the cache is the whole page of an earlier request with the same cursor,
//! limit and filter. The promises are stated over the states that the pages of a walk show, whenever they were shown:
//!
//! - An item that is in every state that the pages of a walk show comes once, in order (G1, G2, G3). An item that was
//!   there from the oldest of these states to the newest is in all of them.
//! - Each page continues strictly after the page before it. A walk has at most one page more than these items fill: the
//!   items ahead in the oldest state shown, and the items inserted since (G4).
//! - Each page keeps the level that it was made with, and claims only ends that the list had in the page's states (G6).
//! - No page is older than the cache's settings allow, and none is of a state before a write through the same process.
//!
//! These promises follow from the proof of a page (`cursorgate_core::pagination::proof`, "Caches"). The proof uses only
//! the page's own answers, whatever their age: each page delivers the items that its states have in its own interval of
//! the list, and the next page's cursor begins where that interval ends.
//!
//! `cache` is a model of a cache. `scenario` draws its settings, the list and the clients from a seed. `walk` drives
//! the core and the cache, and `promises` checks the pages against the guarantees. `kinds` lists the kinds of pages and
//! walks that must occur.

mod cache;
mod kinds;
mod promises;
mod scenario;
mod shrink;
mod text;
mod walk;

use std::{collections::BTreeMap, fmt};

pub(crate) use cache::Fault;
pub(crate) use scenario::Scenario;
pub(crate) use shrink::smaller;
pub(crate) use walk::{Outcome, walk};

use crate::world_kinds::WorldCounts;

/// The number of walks from which on a run's figures are checked against their bounds; rates of fewer walks vary too
/// much.
const LEAST_WALKS: u64 = 5_000;

/// The least number of pages in a hundred that must come from the cache.
const FROM_CACHE_OF_HUNDRED: u64 = 20;

/// The largest number of refused requests for each thousand pages.
const REFUSED_OF_THOUSAND: u64 = 60;

/// The results of many walks.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) walks: u64,
    pages: u64,
    from_cache: u64,
    changes: u64,
    refused: BTreeMap<&'static str, u64>,
    met: WorldCounts,
}

impl Tally {
    pub(crate) fn add(&mut self, outcome: &Outcome) {
        self.walks += 1;
        self.pages += outcome.met.pages;
        self.from_cache += outcome.met.from_cache;
        self.changes += outcome.changes;
        self.met.add(kinds::KINDS, &outcome.met);
        for cause in &outcome.refused {
            *self.refused.entry(cause).or_default() += 1;
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.walks += other.walks;
        self.pages += other.pages;
        self.from_cache += other.from_cache;
        self.changes += other.changes;
        self.met.merge(other.met);
        other.refused.into_iter().for_each(|(cause, times)| *self.refused.entry(cause).or_default() += times);
    }

    /// Returns a message for each figure that is beyond its recorded bound.
    pub(crate) fn beyond(&self) -> Vec<String> {
        let Self { walks, pages, from_cache, .. } = *self;
        if walks < LEAST_WALKS {
            return Vec::new();
        }
        let refused: u64 = self.refused.values().sum();
        let mut beyond = self.met.missed(kinds::KINDS, walks);
        let mut hold = |holds: bool, said: String| beyond.extend((!holds).then_some(said));
        hold(
            from_cache * 100 >= FROM_CACHE_OF_HUNDRED * pages,
            format!("of {pages} pages only {from_cache} come from the cache"),
        );
        hold(
            refused * 1_000 <= REFUSED_OF_THOUSAND * pages,
            format!("of {pages} pages with a cache {refused} are refused"),
        );
        beyond
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { walks, pages, from_cache, changes, refused, met } = self;
        writeln!(out, "cached: {walks} walks, {pages} pages, {from_cache} of them from the cache, {changes} changes")?;
        refused.iter().try_for_each(|(cause, count)| writeln!(out, "  {count:7} {cause}"))?;
        write!(out, "{}", met.table(kinds::KINDS, *walks))
    }
}
