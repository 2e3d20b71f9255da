//! What came of many walks, in numbers.

use std::{collections::BTreeMap, fmt};

use cursorgate::pagination::{
    paging::{Family, Sizes},
    refusal::Refusal,
};

use crate::{
    scenario::{Regime, Scenario},
    walk::Outcome,
};

/// Walks that are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Class {
    wild: bool,
    changing: bool,
    by_page: bool,
    runs: bool,
    tight: bool,
}

/// The numbers of one class.
#[derive(Clone, Debug, Default)]
struct Counts {
    walks: u64,
    pages: u64,
    answers: u64,
    /// How often for which cause, and the first seed of it.
    refused: BTreeMap<&'static str, (u64, u64)>,
}

/// The numbers of a run.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) walks: u64,
    pub(crate) mutations: u64,
    /// The seeds of walks that break a promise, by promise.
    pub(crate) broken: BTreeMap<&'static str, Vec<u64>>,
    flagged: u64,
    checked: u64,
    classes: BTreeMap<Class, Counts>,
}

impl Tally {
    /// Counts a walk; `seed` is what replays it.
    pub(crate) fn add(&mut self, seed: u64, scenario: &Scenario, outcome: &Outcome) {
        self.walks += 1;
        self.mutations += outcome.mutations;
        if let Some(violation) = &outcome.violation {
            self.broken.entry(violation.promise).or_default().push(seed);
        }
        self.flagged += outcome.flagged;
        self.checked += outcome.checked;
        let most = scenario.client.limits.iter().max().copied().unwrap_or(1);
        let class = Class {
            wild: scenario.regime == Regime::Wild,
            changing: outcome.mutations > 0,
            by_page: scenario.traits.family == Family::Page,
            runs: !scenario.shape.is_orderly(),
            tight: scenario.traits.cap < most + 2 || matches!(scenario.traits.sizes, Sizes::Fixed(_)),
        };
        let counts = self.classes.entry(class).or_default();
        counts.walks += 1;
        counts.pages += outcome.pages;
        counts.answers += outcome.answers;
        if let Some(refusal) = &outcome.refusal {
            counts.refused.entry(cause(refusal)).or_insert((0, seed)).0 += 1;
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.walks += other.walks;
        self.mutations += other.mutations;
        for (promise, seeds) in &other.broken {
            self.broken.entry(promise).or_default().extend(seeds);
        }
        self.flagged += other.flagged;
        self.checked += other.checked;
        for (class, theirs) in &other.classes {
            let counts = self.classes.entry(*class).or_default();
            counts.walks += theirs.walks;
            counts.pages += theirs.pages;
            counts.answers += theirs.answers;
            for (cause, (times, seed)) in &theirs.refused {
                let own = counts.refused.entry(cause).or_insert((0, *seed));
                *own = (own.0 + times, own.1.min(*seed));
            }
        }
    }

    pub(crate) fn violations(&self) -> u64 {
        self.broken.values().map(|seeds| seeds.len() as u64).sum()
    }

    pub(crate) fn refusals(&self) -> u64 {
        self.classes.values().map(Counts::refusals).sum()
    }

    /// How many of 100,000 walks in reach are refused, of those with answers that leave room for more than the limit.
    pub(crate) fn refused_in_reach(&self, changing: bool, runs: bool) -> u64 {
        let (mut walks, mut refused) = (0, 0);
        for (class, counts) in &self.classes {
            if !class.wild && !class.tight && class.changing == changing && class.runs == runs {
                walks += counts.walks;
                refused += counts.refusals();
            }
        }
        refused * 100_000 / u64::max(walks, 1)
    }
}

impl Counts {
    fn refusals(&self) -> u64 {
        self.refused.values().map(|(times, _)| times).sum()
    }
}

/// A refusal's name.
pub(crate) fn cause(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::PositionLost { .. } => "position lost",
        Refusal::TieRun { .. } => "tie run",
        Refusal::TooDeep => "too deep",
        Refusal::BudgetExceeded => "budget exceeded",
        Refusal::Unsorted(_) => "unsorted",
        Refusal::Stuck => "stuck",
        Refusal::NoList => "no list",
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { walks, mutations, flagged, checked, .. } = self;
        let pages: u64 = self.classes.values().map(|counts| counts.pages).sum();
        writeln!(
            out,
            "{walks} walks, {mutations} mutations, {pages} pages ({checked} checked, {flagged} flagged), {} refusals, \
             {} violations",
            self.refusals(),
            self.violations()
        )?;
        for (class, counts) in &self.classes {
            writeln!(
                out,
                "  {:8} {:8} {:9} {:7} {:5} {:7} walks, {:5.2} requests a page, refused: {}",
                if class.wild { "wild" } else { "in reach" },
                if class.changing { "changing" } else { "still" },
                if class.by_page { "by page" } else { "by offset" },
                if class.runs { "runs" } else { "orderly" },
                if class.tight { "tight" } else { "" },
                counts.walks,
                counts.answers as f64 / counts.pages.max(1) as f64,
                Refused(counts)
            )?;
        }
        Ok(())
    }
}

/// The refusals of a class: how many, why, and the first seed of each.
struct Refused<'a>(&'a Counts);

impl fmt::Display for Refused<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = self.0.refused.iter().map(|(cause, (times, seed))| format!("{times} {cause} ({seed})"));
        out.write_str(&said.collect::<Vec<_>>().join(", "))
    }
}
