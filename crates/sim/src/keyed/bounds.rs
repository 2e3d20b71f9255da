//! Recorded figures, with some room: the levels of pages, the number of refusals by cause, and the number of deceived
//! pages.
//!
//! The promises hold for each page that is served. A core that refused every page, or called none `exact`, would keep
//! them all. So only these bounds notice a change that lowers levels or refuses more. A change that alters a figure
//! on purpose records the new figure here.

use std::collections::BTreeMap;

use crate::keyed::{
    scenario::{Mode, Regime},
    tally::Tally,
};

/// The number of walks from which on a run's figures are checked against their bounds; shares of fewer walks vary too
/// much.
const LEAST_WALKS: u64 = 20_000;

/// The recorded bounds of a run.
#[derive(Debug)]
pub(crate) struct Bounds {
    /// The least number of `exact` pages in a hundred, by mode, in the regime `InReach`.
    pub(crate) exact: &'static [(Mode, f64)],
    /// The largest number of refused walks in a thousand, by regime and cause. A cause that isn't listed must not
    /// occur.
    pub(crate) refused: &'static [(Regime, &'static [(&'static str, f64)])],
    /// The largest number of walks refused without need (`need`) in a thousand walks of lists that do not change, in
    /// the regime `InReach`.
    pub(crate) needless: f64,
    /// Like `needless`, but only for walks whose upstream also keeps to its dialect in full (`Traits::is_plain`). A run
    /// of 20,000 walks has so few of these that two refusals are a share of 0.7.
    pub(crate) plain_needless: f64,
    /// The largest number of `checked` pages in a hundred thousand that lose a row, or claim a false end, because the
    /// list changed while they were read. The level allows that: changes between two answers may cancel out.
    pub(crate) mistaken: f64,
    /// The same number for the `checked` pages of upstreams whose answers deceive (`Traits::deceives`).
    pub(crate) deceived: f64,
    /// The largest number of walks in a million with an `exact` page that is wrong, in worlds in which single answers
    /// deceive (`Traits::answers_deceive`). In other worlds a single such page is a violation.
    pub(crate) deceived_at_exact: f64,
    /// The largest number of pages in a million for whose claims the core's checker finds no argument.
    pub(crate) unclear: f64,
}

/// The bounds of random walks.
pub(crate) const WALKS: Bounds = Bounds {
    exact: &[
        // An end is at most `checked`, unless the dialect vouches for its evidence.
        (Mode::Offset, 86.0),
        (Mode::Page, 85.0),
        (Mode::Listed, 86.0),
        (Mode::Fixed, 72.0),
        (Mode::Keyset, 82.0),
        (Mode::Seek, 84.0),
    ],
    refused: &[
        (
            Regime::InReach,
            &[
                // Looks beyond an end find an item that has moved there, in lists that change as fast as they are read.
                ("budget exceeded", 6.5),
                ("pivot gone", 13.0),
                // Among them, runs of ties that one answer would hold: the list has changed between the answers.
                ("position lost", 10.0),
                // A list that changes with each request: 2 of 100,000 walks.
                ("stuck", 0.1),
                ("tie run", 46.0),
                ("too deep", 1.6),
            ],
        ),
        (
            Regime::Wild,
            &[
                ("budget exceeded", 135.0),
                ("no list", 95.0),
                ("pivot gone", 14.0),
                // A last page that another answer refutes is refused if no answer leads to the item beyond it.
                ("position lost", 27.0),
                ("stuck", 0.6),
                ("tie run", 42.0),
                ("too deep", 38.0),
                ("unsorted", 9.0),
            ],
        ),
        (
            Regime::Unsaid,
            &[
                // A search that requests one window again and again is refused as a lost position before its budget is
                // spent. So few walks exceed the budget, and many lose their position.
                ("budget exceeded", 25.0),
                ("pivot gone", 38.0),
                ("position lost", 60.0),
                // A list that changes as fast as it is read looks like one whose paging goes in a circle: 1 of 80,000
                // walks.
                ("stuck", 0.2),
                ("tie run", 68.0),
                ("too deep", 5.0),
                ("unsorted", 80.0),
            ],
        ),
    ],
    needless: 1.3,
    plain_needless: 1.0,
    mistaken: 400.0,
    deceived: 2_600.0,
    // Measured in 60,000 walks: 117. Most have the first items on top of every page and a cap that hides the surplus.
    deceived_at_exact: 200.0,
    // Most are pages that begin beyond an end which answers seemed to show. Measured in 120,000 walks: 111.
    unclear: 300.0,
};

/// The bounds of the small worlds, which are the same in each run.
///
/// Nearly all refusals are due to tie runs that no answer can show whole, which `need` confirms for each refusal. Nine
/// in ten of them concern pages of a fixed size. A search for such a run ends as a lost position. Fewer pages are
/// `exact` than in random walks: lists of up to five rows often end in the first answer of a walk, and an end that
/// rests on a size which no other answer filled is `checked`.
pub(crate) const SMALL: Bounds = Bounds {
    // Half of these pages are last pages, which are at most `checked` unless the dialect vouches for the end.
    exact: &[(Mode::Offset, 50.0), (Mode::Page, 53.5), (Mode::Fixed, 47.5), (Mode::Keyset, 53.5)],
    refused: &[(
        Regime::InReach,
        // Looks beyond an end take requests of small budgets.
        &[("budget exceeded", 2.8), ("position lost", 13.0), ("tie run", 76.0), ("too deep", 0.2)],
    )],
    needless: 0.1,
    plain_needless: 0.1,
    mistaken: 480.0,
    deceived: 0.0,
    deceived_at_exact: 0.0,
    unclear: 150.0,
};

/// Returns the share of `times` in `of`, scaled to `in_every`: 3 of 1,500 are 2 in every 1,000.
fn share(times: u64, of: u64, in_every: f64) -> f64 {
    times as f64 * in_every / of.max(1) as f64
}

impl Tally {
    /// Returns a message for each figure of a run that is beyond its bound, and prints all figures that have a bound.
    pub(crate) fn beyond(&self, bounds: &Bounds) -> Vec<String> {
        let mut beyond = Vec::new();
        let mut hold = |holds: bool, said: String| {
            println!("  {said}");
            beyond.extend((!holds && self.walks >= LEAST_WALKS).then_some(said));
        };
        for (mode, least) in bounds.exact {
            let (exact, pages) = self.levels(*mode);
            let share = share(exact, pages, 100.0);
            hold(share >= *least, format!("{mode:?}: {share:.2} of 100 pages are exact, at least {least}"));
        }
        for (regime, most) in bounds.refused {
            let (walks, refused) = self.refused_by_cause(*regime);
            let most: BTreeMap<&str, f64> = most.iter().copied().collect();
            for (cause, times) in refused {
                let (share, most) = (share(times, walks, 1_000.0), most.get(cause).copied().unwrap_or(0.0));
                let said = format!("{regime:?}: {share:.2} of 1,000 walks are refused: {cause}, at most {most}");
                hold(share <= most, said);
            }
        }
        let (needless, at_rest) = self.needless_at_rest();
        let (needless, most) = (share(needless, at_rest, 1_000.0), bounds.needless);
        let said = format!("{needless:.2} of 1,000 walks of lists at rest are refused without need, at most {most}");
        hold(needless <= most, said);
        let first_seeds = |seeds: &[u64]| {
            let mut seeds = seeds.to_vec();
            // The threads of a run merge their seeds in any sequence.
            seeds.sort_unstable();
            seeds.truncate(6);
            seeds
        };
        let (plain, seeds) = (&self.plain_needless, first_seeds(&self.plain_needless));
        let (share_plain, most) = (share(plain.len() as u64, self.plain, 1_000.0), bounds.plain_needless);
        let said = format!(
            "{share_plain:.2} of 1,000 walks of lists at rest whose upstream keeps to all that it says are refused without \
             need ({seeds:?}), at most {most}"
        );
        hold(share_plain <= most, said);
        let [(mistaken, checked), (deceived, among)] = self.deceptions();
        for (what, times, of, most) in [
            ("mistaken by changes within their requests", mistaken, checked, bounds.mistaken),
            ("deceived by answers that are not what the dialect says", deceived, among, bounds.deceived),
        ] {
            let share = share(times, of, 100_000.0);
            hold(share <= most, format!("{share:.1} of 100,000 checked pages are {what}, at most {most}"));
        }
        let (deceived, most) = (&self.deceived_at_exact, bounds.deceived_at_exact);
        let (share_deceived, seeds) = (share(deceived.len() as u64, self.walks, 1e6), first_seeds(deceived));
        let said = format!("{share_deceived:.1} of 1,000,000 walks are deceived at exact ({seeds:?}), at most {most}");
        hold(share_deceived <= most, said);
        let (share_unclear, seeds) = (share(self.unclear, self.pages(), 1e6), first_seeds(&self.unclear_seeds));
        let most = bounds.unclear;
        let said =
            format!("{share_unclear:.1} of 1,000,000 pages are unclear to the checker ({seeds:?}), at most {most}");
        hold(share_unclear <= most, said);
        beyond
    }
}
