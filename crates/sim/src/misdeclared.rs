//! Lists whose true order differs from the declared one: without regard to case, by a language, by ranks, with nulls on
//! the other side, by instants that are spelt in many ways. Only the answers show that.
//!
//! Each page is checked against its level, by the true order. A page that must be right has every row between the
//! requested place and its own last row, or the end of the list, in the upstream's order (G1, G3, G6). These pages must
//! be right: each `exact` page, each page of a list at rest with ordered ties, and each `checked` page with ordered
//! ties whose answers all showed one state.
//!
//! The guarantees assume that the declared order is the true one (docs/guarantees.md, "Limits"). So there are two
//! exceptions. If a list changes while it is read, the rows that would contradict the order may come and go between two
//! answers. And a search for a place without a hint, in a list at rest, may meet only answers that fit the declared
//! order, also together. In both cases a page may be deceived; the number of such pages has a bound. The core may also
//! claim less or refuse, which is counted for each world. A list at rest that can be read must not be refused.
//!
//! `scenario` is a walk as data, `upstream` the list and the API in front of it, and `walk` the client. `promises`
//! checks the pages against the guarantees.

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
use walk::{DECEIVED, UNCLEAR};
pub(crate) use walk::{Outcome, walk};

/// The number of walks from which on a run's figures are checked against their bounds.
const LEAST_WALKS: u64 = 5_000;

/// The number of pages of which at most one may be deceived. In long runs, 32 pages of a million are.
const MOST_DECEIVED: u64 = 20_000;

/// The number of pages of which at most one may be unclear to the checker. Three of the 177,000 pages of the tests are: an
/// item that came meanwhile is in an answer of its own, and its opaque value can't be compared with those of another.
const MOST_UNCLEAR: u64 = 50_000;

/// The results of many walks.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) walks: u64,
    /// The numbers of pages by level and of refusals by cause. The key is the true order, the declared type, and
    /// whether the list was at rest and its ties in order.
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

    /// Returns a message for each figure that is beyond its bound: worlds that are met too seldom, lists that are
    /// refused although they can be read, and deceived pages.
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
        let unclear = all(UNCLEAR);
        hold(unclear * MOST_UNCLEAR <= pages, format!("{unclear} of {pages} pages are unclear to the checker"));
        let refusals = ["unsorted", "position lost", "tie run", "budget", "other refusal"];
        for truth in TRUTHS {
            for said in SAID.into_iter().filter(|said| truth != Truth::Instants || *said == Said::Nothing) {
                for still in [true, false] {
                    let met =
                        sum(truth, said, still, &["exact", "checked", "anchored"]) + sum(truth, said, still, &refusals);
                    hold(met * 200 > self.walks, format!("{truth:?} {said:?} {still}: met {met} times"));
                }
                // At rest, a list whose key is opaque or without a declared type can be read to its end. A declared
                // text is compared by its bytes, so such a list may be refused. A list whose nulls are misplaced may
                // also be refused.
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
