//! The figures of the walks of one kind of world.

use std::collections::BTreeMap;

use crate::ends::{
    judge::{Claim, Ended},
    walk::Outcome,
};

/// The results of walks, with the least seed of each.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) walks: u64,
    pub(crate) forward: BTreeMap<Ended, Found>,
    /// The results of walks back from the end.
    pub(crate) back: BTreeMap<Ended, Found>,
    /// The false ends, at any level and also the marked ones, beyond which an answer of the last page has an item.
    pub(crate) against_items: u64,
    /// The false ends that a total or a flag of the last page's answers contradicts.
    pub(crate) against_facts: u64,
    pages: u64,
    requests: u64,
    /// The walks that came to an end, and the requests of their last pages.
    ended: u64,
    last_requests: u64,
}

/// The number of walks with one result, and the least seed of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) times: u64,
    pub(crate) seed: u64,
}

impl Found {
    fn add(found: &mut BTreeMap<Ended, Self>, ended: Ended, more: Self) {
        let sum = found.entry(ended).or_insert(Self { times: 0, seed: u64::MAX });
        *sum = Self { times: sum.times + more.times, seed: sum.seed.min(more.seed) };
    }
}

impl Figures {
    pub(crate) fn add(&mut self, seed: u64, outcome: &Outcome) {
        let Outcome { forward, back, against, pages, requests, last_requests, .. } = outcome;
        self.walks += 1;
        Found::add(&mut self.forward, *forward, Found { times: 1, seed });
        if let Some(back) = back {
            Found::add(&mut self.back, *back, Found { times: 1, seed });
        }
        let is_false = matches!(forward, Ended::FalseEnd(_));
        self.against_items += u64::from(is_false && against.items);
        self.against_facts += u64::from(is_false && (against.total || against.flag));
        self.pages += pages;
        self.requests += requests;
        if matches!(forward, Ended::Right(_) | Ended::FalseEnd(_)) {
            self.ended += 1;
            self.last_requests += last_requests;
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.walks += other.walks;
        other.forward.iter().for_each(|(ended, found)| Found::add(&mut self.forward, *ended, *found));
        other.back.iter().for_each(|(ended, found)| Found::add(&mut self.back, *ended, *found));
        self.against_items += other.against_items;
        self.against_facts += other.against_facts;
        self.pages += other.pages;
        self.requests += other.requests;
        self.ended += other.ended;
        self.last_requests += other.last_requests;
    }

    /// Returns the number of walks forward with such a result.
    pub(crate) fn count(&self, is_meant: impl Fn(Ended) -> bool) -> u64 {
        self.forward.iter().filter(|(ended, _)| is_meant(**ended)).map(|(_, found)| found.times).sum()
    }

    /// Returns the average number of requests of a page, and of a last page.
    pub(crate) fn requests(&self) -> (f64, f64) {
        let average = |sum: u64, of: u64| sum as f64 / of.max(1) as f64;
        (average(self.requests, self.pages), average(self.last_requests, self.ended))
    }

    /// Returns the refusals and the faults of the walks back, as words with their numbers.
    pub(crate) fn others(&self) -> String {
        let refused = self.forward.iter().filter_map(|(ended, found)| match ended {
            Ended::Refused(cause) => Some(format!("{cause} {}", found.times)),
            _ => None,
        });
        let back = self.back.iter().filter_map(|(ended, found)| match ended {
            Ended::Right(_) => None,
            Ended::FalseEnd(_) => Some(format!("back: false start {}", found.times)),
            Ended::Refused(cause) => Some(format!("back: {cause} {}", found.times)),
            other => Some(format!("back: {} {}", format!("{other:?}").to_lowercase(), found.times)),
        });
        refused.chain(back).collect::<Vec<_>>().join(", ")
    }

    /// Returns the seed of a walk to look at: one that lost items if there is one, otherwise one that was refused.
    pub(crate) fn worst(&self) -> Option<u64> {
        let rank = |ended: &Ended| match ended {
            Ended::Repeated | Ended::Skipped => 0,
            Ended::FalseEnd(Claim::Exact | Claim::Checked) => 1,
            Ended::Endless => 2,
            Ended::Refused(_) => 3,
            Ended::FalseEnd(Claim::Marked) => 4,
            Ended::Right(_) => 5,
        };
        let all = self.forward.iter().chain(&self.back);
        let worst = all.min_by_key(|(ended, found)| (rank(ended), found.seed))?;
        (rank(worst.0) < 5).then_some(worst.1.seed)
    }
}
