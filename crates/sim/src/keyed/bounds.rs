//! Recorded figures, with some room: the levels of pages, the number of refusals by cause, and the number of deceived
//! pages.
//!
//! A promise holds of every page. No promise says that a core serves pages at all, and serves them `exact`: a change
//! that lowers levels, or refuses more, would pass unnoticed but for these numbers.

use std::collections::BTreeMap;

use crate::keyed::{
    scenario::{Mode, Regime},
    tally::Tally,
};

/// The least number of walks of which bounds are asserted.
const LEAST_WALKS: u64 = 20_000;

/// The recorded bounds of a run.
#[derive(Debug)]
pub(crate) struct Bounds {
    /// Of a hundred pages so many are `exact` at least, in worlds whose upstream does what its dialect says.
    pub(crate) exact: &'static [(Mode, f64)],
    /// Of a thousand walks so many are refused at most, by regime and cause.
    pub(crate) refused: &'static [(Regime, &'static [(&'static str, f64)])],
    /// Of a thousand walks of lists at rest, whose upstream does what its dialect says, so many are refused without need
    /// at most.
    pub(crate) needless: f64,
    /// Of a thousand such walks whose upstream also tells all that decides a page: its cap, its end, and that it hides
    /// nothing. At 20,000 walks two of them are 0.7.
    pub(crate) plain_needless: f64,
    /// Of a hundred thousand `checked` pages so many are deceived at most by changes within their own requests.
    pub(crate) mistaken: f64,
    /// And so many of those of upstreams whose answers are not what their dialects make of them.
    pub(crate) deceived: f64,
    /// Of a million walks so many are deceived at `exact` at most, in the worlds in which they may be.
    pub(crate) deceived_at_exact: f64,
    /// Of a million pages the checker follows the claims of all but so many.
    pub(crate) unclear: f64,
}

/// Of walks.
pub(crate) const WALKS: Bounds = Bounds {
    exact: &[
        (Mode::Offset, 91.0),
        (Mode::Page, 88.0),
        (Mode::Listed, 88.0),
        (Mode::Fixed, 72.0),
        (Mode::Keyset, 85.0),
        (Mode::Seek, 87.0),
    ],
    refused: &[
        (
            Regime::InReach,
            &[
                ("budget exceeded", 4.0),
                ("pivot gone", 13.0),
                ("position lost", 6.5),
                // A list that changes with each request: 2 of 100,000 walks.
                ("stuck", 0.1),
                ("tie run", 50.0),
                ("too deep", 1.6),
            ],
        ),
        (
            Regime::Wild,
            &[
                ("budget exceeded", 140.0),
                ("no list", 95.0),
                ("pivot gone", 14.0),
                ("position lost", 18.0),
                ("stuck", 0.6),
                ("tie run", 45.0),
                ("too deep", 38.0),
                ("unsorted", 9.0),
            ],
        ),
        (
            Regime::Unsaid,
            &[
                // Looks at one window end after a few, where answers lead back to it: most of these were budgets exceeded.
                ("budget exceeded", 25.0),
                ("pivot gone", 38.0),
                ("position lost", 60.0),
                // A list that changes as fast as it is read looks as if it went round: 1 of 80,000 walks.
                ("stuck", 0.2),
                ("tie run", 68.0),
                ("too deep", 5.0),
                ("unsorted", 65.0),
            ],
        ),
    ],
    needless: 1.3,
    plain_needless: 1.0,
    mistaken: 400.0,
    deceived: 3_500.0,
    deceived_at_exact: 100.0,
    // 120,000 walks have 185.
    unclear: 280.0,
};

/// Of small worlds, which are the same in each run. Nearly all refusals are of runs of ties that no answer can show whole
/// (`need` says so of each), nine in ten of them by pages of a fixed size; a place is lost where such a run is looked for.
/// The filtered lists of so few rows often end in the first answer that a walk has of them, which is `checked`; so is an end
/// after several rows where only the answer that begins the list had more.
pub(crate) const SMALL: Bounds = Bounds {
    exact: &[(Mode::Offset, 65.0), (Mode::Page, 63.0), (Mode::Fixed, 55.0), (Mode::Keyset, 62.0)],
    refused: &[(
        Regime::InReach,
        &[("budget exceeded", 1.1), ("position lost", 12.0), ("tie run", 76.0), ("too deep", 0.2)],
    )],
    needless: 0.1,
    plain_needless: 0.1,
    mistaken: 480.0,
    deceived: 0.0,
    deceived_at_exact: 0.0,
    unclear: 150.0,
};

/// So many in every so many.
fn share(times: u64, of: u64, in_every: f64) -> f64 {
    times as f64 * in_every / of.max(1) as f64
}

impl Tally {
    /// Returns the figures of a run that are beyond their bounds, and prints all that have one.
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
            ("deceived by answers that are not what is said of them", deceived, among, bounds.deceived),
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
