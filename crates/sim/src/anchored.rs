//! Lists without a declared order: the real core against a model whose order the core does not know.
//!
//! Rows come and go, are edited and moved. The core promises the level `anchored` (docs/guarantees.md, "Levels"): rows
//! that keep their relative positions are neither skipped nor repeated as long as their marks are found. So each row
//! that stood still since the cursor was made must come exactly once and in order, if more of the rows that the cursor
//! marks stood still than moved. Example: of five marked rows two moved; the page must begin where the other three are.
//! In all other cases only the page itself is checked: the bytes of its items, its length, its level, and that it
//! contains no row twice.
//!
//! `world` is the list, and `upstream` the API in front of it. `scenario` draws the list, the API and the client from a
//! seed. `walk` drives the core, and `promises` checks the core's pages against the guarantees. `kinds` lists the kinds
//! of scenarios that walks must meet.

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

use crate::{keyed::tally::cause, world_kinds::WorldCounts};

/// The number of walks from which on a run's figures are checked against their bounds; rates of fewer walks vary too
/// much.
const LEAST_WALKS: u64 = 15_000;

/// The largest number of walks in a thousand that may be refused without need (`Exchange::is_promised`), as measured.
const REFUSED_OF_THOUSAND: u64 = 3;

/// The largest number of walks in a thousand that may be refused, with need or without, as measured.
const ANY_REFUSED_OF_THOUSAND: u64 = 145;

/// The largest number of pages in a million that may be requested by torn cursors: the measured number with some room.
const TORN_OF_MILLION: u64 = 500;

/// The results of many walks.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) walks: u64,
    pages: u64,
    requests: u64,
    /// The number of pages for which only the promises of every page apply (`Judgement::NotPromised` and `Torn`).
    unpromised: u64,
    /// The number of unpromised pages whose cursors are torn: the cursor's marks are not the rows around its true
    /// place.
    torn: u64,
    /// The number of marks that the core ignored because the order of the other marks contradicted them.
    stragglers: u64,
    /// The number of walks that were refused without need.
    unneeded: u64,
    /// The refusals, by cause and by whether they were without need: their number, and the smallest seed of one.
    refused: BTreeMap<(&'static str, bool), (u64, u64)>,
    met: WorldCounts,
}

impl Tally {
    pub(crate) fn add(&mut self, seed: u64, scenario: &Scenario, outcome: &Outcome) {
        self.walks += 1;
        self.met.add(kinds::KINDS, scenario);
        self.pages += outcome.pages;
        self.requests += outcome.requests;
        self.unpromised += outcome.unpromised;
        self.torn += outcome.torn;
        self.stragglers += outcome.stragglers;
        self.unneeded += u64::from(outcome.unneeded);
        if let Some(refusal) = &outcome.refusal {
            self.refused.entry((cause(refusal), outcome.unneeded)).or_insert((0, seed)).0 += 1;
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.walks += other.walks;
        self.pages += other.pages;
        self.requests += other.requests;
        self.unpromised += other.unpromised;
        self.torn += other.torn;
        self.stragglers += other.stragglers;
        self.unneeded += other.unneeded;
        self.met.merge(other.met);
        for (cause, (times, seed)) in other.refused {
            let own = self.refused.entry(cause).or_insert((0, seed));
            *own = (own.0 + times, own.1.min(seed));
        }
    }

    /// Returns a message for each figure that is beyond its recorded bound.
    pub(crate) fn beyond(&self) -> Vec<String> {
        let (walks, unneeded) = (self.walks, self.unneeded);
        let refused: u64 = self.refused.values().map(|(times, _)| times).sum();
        let mut beyond = Vec::new();
        if walks >= LEAST_WALKS && refused * 1_000 > ANY_REFUSED_OF_THOUSAND * walks {
            beyond.push(format!("of {walks} walks without a declared order {refused} are refused"));
        }
        if walks >= LEAST_WALKS && unneeded * 1_000 > REFUSED_OF_THOUSAND * walks {
            beyond.push(format!("of {walks} walks without a declared order {unneeded} are refused without need"));
        }
        if walks >= LEAST_WALKS && self.torn * 1_000_000 > TORN_OF_MILLION * self.pages {
            beyond.push(format!("of {} pages without a declared order {} are of torn cursors", self.pages, self.torn));
        }
        if walks >= LEAST_WALKS {
            beyond.extend(self.met.missed(kinds::KINDS, walks));
        }
        beyond
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { walks, pages, requests, unpromised, torn, stragglers, .. } = self;
        write!(
            out,
            "anchored: {walks} walks, {pages} pages, {:.2} requests a page; {stragglers} marks were \
             outvoted, of {unpromised} pages nothing could be promised, {torn} of them by torn cursors; refused:",
            *requests as f64 / (*pages).max(1) as f64
        )?;
        for ((cause, unneeded), (times, seed)) in &self.refused {
            let need = if *unneeded { "without need" } else { "with reason" };
            write!(out, " {times} {cause} {need} (anchored:{seed}),")?;
        }
        write!(out, "\n{}", self.met.table(kinds::KINDS, *walks))
    }
}
