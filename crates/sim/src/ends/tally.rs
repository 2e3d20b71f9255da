//! The figures of walks: of one kind of world, for the table, and of a run of all kinds.

use std::{collections::BTreeMap, fmt};

use crate::{
    ends::{
        bounds::{BOUNDS, Bound, Wrong},
        judge::{Claim, Ended},
        kinds::KINDS,
        scenario::Cell,
        walk::Outcome,
    },
    world_kinds::WorldCounts,
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
    fn add(found: &mut BTreeMap<Ended, Self>, ended: Ended, seed: u64) {
        let sum = found.entry(ended).or_insert(Self { times: 0, seed });
        *sum = Self { times: sum.times + 1, seed: sum.seed.min(seed) };
    }
}

impl Figures {
    pub(crate) fn add(&mut self, seed: u64, outcome: &Outcome) {
        let Outcome { forward, back, against, pages, requests, last_requests, .. } = outcome;
        self.walks += 1;
        Found::add(&mut self.forward, *forward, seed);
        if let Some(back) = back {
            Found::add(&mut self.back, *back, seed);
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

/// The number of walks of a row of the bounds from which on the row is checked; rates of fewer walks vary too much.
const LEAST_WALKS: u64 = 300;

/// The results of a run.
#[derive(Debug)]
pub(crate) struct Tally {
    walks: u64,
    met: WorldCounts,
    /// For each row of [`BOUNDS`], the number of walks to which it applies.
    rows: Vec<u64>,
    /// For each row, the number of walks with the fault, and the least seed of them.
    wrong: Vec<(u64, u64)>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            walks: 0,
            met: WorldCounts::default(),
            rows: vec![0; BOUNDS.len()],
            wrong: vec![(0, u64::MAX); BOUNDS.len()],
        }
    }
}

impl Tally {
    pub(crate) fn walks(&self) -> u64 {
        self.walks
    }

    /// Counts a walk. Returns the promise that it breaks, if it breaks one.
    pub(crate) fn add(&mut self, seed: u64, outcome: &Outcome) -> Option<String> {
        let cell = Cell::of(seed);
        self.walks += 1;
        self.met.add(KINDS, &outcome.met);
        for wrong in Wrong::ALL {
            self.rows[Bound::index(wrong, cell)] += 1;
        }
        let wrong = Wrong::of(outcome);
        for wrong in &wrong {
            let (times, least) = &mut self.wrong[Bound::index(*wrong, cell)];
            (*times, *least) = (*times + 1, seed.min(*least));
        }
        wrong.into_iter().find(|wrong| Bound::is_broken(*wrong, cell)).map(|wrong| wrong.name().to_owned())
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.walks += other.walks;
        self.met.merge(other.met);
        for (row, more) in self.rows.iter_mut().zip(&other.rows) {
            *row += more;
        }
        for ((times, least), (more, seed)) in self.wrong.iter_mut().zip(&other.wrong) {
            (*times, *least) = (*times + more, *seed.min(least));
        }
    }

    /// Returns for each row of [`BOUNDS`] the number of its walks, the number with the fault, and the share of a
    /// thousand.
    fn figures(&self) -> impl Iterator<Item = (&'static Bound, u64, (u64, u64), f64)> {
        let row = |((bound, walks), wrong): ((&'static Bound, &u64), &(u64, u64))| {
            (bound, *walks, *wrong, wrong.0 as f64 * 1_000.0 / (*walks).max(1) as f64)
        };
        BOUNDS.iter().zip(&self.rows).zip(&self.wrong).map(row)
    }

    /// Returns a message for each figure that is beyond its recorded bound.
    pub(crate) fn beyond(&self) -> Vec<String> {
        let beyond = self.figures().filter(|(bound, walks, _, share)| *walks >= LEAST_WALKS && *share > bound.most);
        let said = beyond.map(|(bound, walks, (times, seed), share)| said(bound, walks, times, seed, share));
        let missed = if self.walks < LEAST_WALKS { Vec::new() } else { self.met.missed(KINDS, self.walks) };
        said.chain(missed).collect()
    }
}

fn said(bound: &Bound, walks: u64, times: u64, seed: u64, share: f64) -> String {
    let example = if times == 0 { String::new() } else { format!(", such as ends:{seed}") };
    let Bound { wrong, words, most } = bound;
    format!("{:20} {words:24} {share:7.2} of 1,000, at most {most:7.2}; {times} of {walks}{example}", wrong.name())
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "ends: {} walks\n{}", self.walks, self.met.table(KINDS, self.walks))?;
        self.figures().try_for_each(|(bound, walks, (times, seed), share)| {
            writeln!(out, "  {}", said(bound, walks, times, seed, share))
        })
    }
}
