//! Lists that are sorted otherwise than their order says: without regard to case, by a language, by ranks, with nulls on
//! the other side, by instants that are spelt in many ways. Nothing but the answers tells.
//!
//! Whatever a page shows is held to its level: an `exact` page holds all that stands between the place that was asked for
//! and its own last row, or the end, in the order in which the upstream really sorts; so does every page of a list at rest
//! whose ties hold still. Where a list changes while its pages are read, the rows that would contradict the order may come
//! and go unseen: how many pages that deceives has a bound. The core may say less, or refuse: how often it does in
//! each world is counted and has a bound.
//!
//! `scenario` is a walk as data, `upstream` the list at work, `walk` goes through it, `promises` is what must hold.

mod promises;
mod scenario;
mod shrink;
mod text;
mod upstream;
mod walk;

use std::{collections::BTreeMap, fmt};

pub(crate) use scenario::Scenario;
use scenario::{SAID, Said, TRUTHS, Truth};
pub(crate) use shrink::smaller;
use walk::DECEIVED;
pub(crate) use walk::{Outcome, walk};

/// The least number of walks of which bounds are asserted.
const LEAST_WALKS: u64 = 5_000;

/// At most one page of so many may be deceived; 20 of a million are.
const MOST_DECEIVED: u64 = 20_000;

/// The results of many walks.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) walks: u64,
    /// By truth, by what was said, and whether the list was at rest and its ties in order: pages by level, and refusals.
    counts: BTreeMap<(Truth, Said, bool), BTreeMap<&'static str, u64>>,
}

impl Tally {
    pub(crate) fn add(&mut self, scenario: &Scenario, outcome: &Outcome) {
        self.walks += 1;
        let key = (scenario.traits.truth, scenario.traits.said, scenario.is_still());
        let counts = self.counts.entry(key).or_default();
        for what in &outcome.met {
            *counts.entry(what).or_default() += 1;
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.walks += other.walks;
        for (key, theirs) in other.counts {
            let counts = self.counts.entry(key).or_default();
            theirs.into_iter().for_each(|(what, times)| *counts.entry(what).or_default() += times);
        }
    }

    fn of(&self, truth: Truth, said: Said, still: bool, what: &str) -> u64 {
        self.counts.get(&(truth, said, still)).and_then(|counts| counts.get(what)).copied().unwrap_or(0)
    }

    /// Returns the figures that are beyond the recorded ones: how often each kind of list is met and must be read, and
    /// how many pages are deceived.
    pub(crate) fn beyond(&self) -> Vec<String> {
        if self.walks < LEAST_WALKS {
            return Vec::new();
        }
        let mut beyond = Vec::new();
        let mut hold = |holds: bool, said: String| beyond.extend((!holds).then_some(said));
        let sum = |truth, said, still, words: &[&str]| {
            words.iter().map(|word| self.of(truth, said, still, word)).sum::<u64>()
        };
        let all = |what: &str| self.counts.values().filter_map(|counts| counts.get(what)).sum::<u64>();
        let (pages, deceived) = (all("exact") + all("checked") + all("anchored"), all(DECEIVED));
        hold(deceived * MOST_DECEIVED <= pages, format!("{deceived} of {pages} pages were deceived"));
        let refusals = ["unsorted", "position lost", "tie run", "budget", "other refusal"];
        for truth in TRUTHS {
            for said in SAID.into_iter().filter(|said| truth != Truth::Instants || *said == Said::Nothing) {
                for still in [true, false] {
                    let met =
                        sum(truth, said, still, &["exact", "checked", "anchored"]) + sum(truth, said, still, &refusals);
                    hold(met * 200 > self.walks, format!("{truth:?} {said:?} {still}: met {met} times"));
                }
                // At rest, a list whose key is said to be opaque, or of which nothing is said, is read to its end.
                let refused = sum(truth, said, true, &refusals);
                let may_refuse = said == Said::Text || truth == Truth::NullsElsewhere;
                hold(may_refuse || refused == 0, format!("{truth:?} {said:?} at rest: {refused} refused"));
            }
        }
        for truth in [Truth::Caseless, Truth::Language, Truth::Ranks] {
            let exact = self.of(truth, Said::Opaque, true, "exact");
            let anchored = sum(truth, Said::Opaque, true, &["anchored"]);
            hold(exact > 0 && anchored == 0, format!("{truth:?} opaque at rest: {exact} exact, {anchored} anchored"));
            let positional = self.of(truth, Said::Opaque, false, "positional");
            hold(positional == 0, format!("{truth:?} opaque: {positional} positional"));
        }
        let lost = sum(Truth::Instants, Said::Nothing, true, &["anchored", "unsorted"]);
        hold(lost == 0, format!("Instants at rest: {lost} anchored or unsorted"));
        beyond
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "misdeclared: {} walks", self.walks)?;
        self.counts.iter().try_for_each(|((truth, said, still), counts)| {
            let what = if *still { "at rest" } else { "changing or shuffled" };
            writeln!(out, "  {truth:?}, said {said:?}, {what}: {counts:?}")
        })
    }
}
