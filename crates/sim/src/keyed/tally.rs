//! The results of many walks in numbers: pages by level, refusals by cause and need, and deceived pages.

use std::{collections::BTreeMap, fmt};

use cursorgate_core::pagination::{paging::Sizes, refusal::Refusal};

use crate::keyed::{
    met::Counted,
    need::Need,
    scenario::{Mode, Regime, Scenario},
    walk::Outcome,
};

/// A class of walks that are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Class {
    regime: Regime,
    /// True if the list changed during the walk.
    changing: bool,
    mode: Mode,
    /// True if ties come in any order, so they are used only as whole runs.
    runs: bool,
    /// True if an answer has no room for a page with a neighbour on each side.
    tight: bool,
}

/// The numbers of one class.
#[derive(Clone, Debug, Default)]
struct Counts {
    walks: u64,
    pages: u64,
    exact: u64,
    answers: u64,
    /// The refusals, by cause and need: their number, and the smallest seed of one.
    refused: BTreeMap<(&'static str, Option<Need>), (u64, u64)>,
}

/// The numbers of a run.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) walks: u64,
    pub(crate) mutations: u64,
    pub(crate) met: Counted,
    flagged: u64,
    /// The number of `checked` pages. `mistaken` counts those that are wrong because the list changed during their
    /// requests.
    checked: u64,
    mistaken: u64,
    /// The number of `checked` pages of upstreams that deceive (`Traits::deceives`). `deceived` counts those that are
    /// wrong.
    checked_among_deceits: u64,
    deceived: u64,
    /// The number of pages for whose claims the checker finds no argument.
    pub(crate) unclear: u64,
    /// The seeds of walks with pages for whose claims the checker finds no argument.
    pub(crate) unclear_seeds: Vec<u64>,
    /// The seeds of walks with an `exact` page that is wrong and excused.
    pub(crate) deceived_at_exact: Vec<u64>,
    classes: BTreeMap<Class, Counts>,
    /// The number of walks in the regime `InReach` through lists at rest whose upstream keeps to its dialect in full.
    pub(crate) plain: u64,
    /// The seeds of the walks counted in `plain` that are refused without need.
    pub(crate) plain_needless: Vec<u64>,
}

/// The largest number of walks in a hundred of one class of the regime `InReach` that may be refused without need. A
/// class of 500 walks has one or two. Most of these refusals are known faults of the core that are not mended:
/// `regressions/budget-at-a-cap-of-two.txt` and `budget-under-an-unsaid-cap.txt` show them.
const NEEDLESS: u64 = 2;

impl Tally {
    /// Counts a walk. `seed` replays the walk.
    pub(crate) fn add(&mut self, seed: u64, scenario: &Scenario, outcome: &Outcome) {
        self.walks += 1;
        self.mutations += outcome.mutations;
        self.met.add(outcome.met);
        self.flagged += outcome.flagged;
        self.checked += outcome.checked;
        self.mistaken += outcome.mistaken;
        self.checked_among_deceits += outcome.checked_among_deceits;
        self.deceived += outcome.deceived;
        self.unclear += outcome.unclear;
        self.unclear_seeds.extend((outcome.unclear > 0).then_some(seed));
        self.deceived_at_exact.extend((outcome.deceived_at_exact > 0).then_some(seed));
        let most = scenario.client.greatest_limit();
        let class = Class {
            regime: scenario.regime,
            changing: outcome.mutations > 0,
            mode: scenario.mode(),
            runs: !scenario.shape.is_orderly(),
            // A page of a fixed size never shows the rows on both sides of its boundary, so such lists are always
            // tight.
            tight: scenario.traits.least_cap() < most + 2 || matches!(scenario.traits.sizes, Sizes::Fixed(_)),
        };
        let counts = self.classes.entry(class).or_default();
        counts.walks += 1;
        counts.pages += outcome.pages;
        counts.exact += outcome.exact;
        counts.answers += outcome.answers;
        if class.regime == Regime::InReach && !class.changing && scenario.traits.is_plain() {
            self.plain += 1;
            self.plain_needless.extend((outcome.refusal.is_some() && outcome.need.is_none()).then_some(seed));
        }
        if let Some(refusal) = &outcome.refusal {
            counts.refused.entry((cause(refusal), outcome.need)).or_insert((0, seed)).0 += 1;
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.walks += other.walks;
        self.mutations += other.mutations;
        self.met.merge(&other.met);
        self.flagged += other.flagged;
        self.checked += other.checked;
        self.mistaken += other.mistaken;
        self.checked_among_deceits += other.checked_among_deceits;
        self.deceived += other.deceived;
        self.unclear += other.unclear;
        self.unclear_seeds.extend(&other.unclear_seeds);
        self.deceived_at_exact.extend(&other.deceived_at_exact);
        self.plain += other.plain;
        self.plain_needless.extend(&other.plain_needless);
        for (class, theirs) in &other.classes {
            let counts = self.classes.entry(*class).or_default();
            counts.walks += theirs.walks;
            counts.pages += theirs.pages;
            counts.exact += theirs.exact;
            counts.answers += theirs.answers;
            for (cause, (times, seed)) in &theirs.refused {
                let own = counts.refused.entry(*cause).or_insert((0, *seed));
                *own = (own.0 + times, own.1.min(*seed));
            }
        }
    }

    pub(crate) fn refusals(&self) -> u64 {
        self.classes.values().map(|counts| counts.refused(|_| true)).sum()
    }

    pub(crate) fn pages(&self) -> u64 {
        self.classes.values().map(|counts| counts.pages).sum()
    }

    /// Returns the number of `exact` pages of a mode, and the number of all pages of the mode, in the regime `InReach`.
    pub(crate) fn levels(&self, mode: Mode) -> (u64, u64) {
        let own = self.classes.iter().filter(|(class, _)| class.mode == mode && class.regime == Regime::InReach);
        own.fold((0, 0), |(exact, pages), (_, counts)| (exact + counts.exact, pages + counts.pages))
    }

    /// Returns the number of walks of a regime, and the number of refusals by cause.
    pub(crate) fn refused_by_cause(&self, regime: Regime) -> (u64, BTreeMap<&'static str, u64>) {
        let (mut walks, mut causes) = (0, BTreeMap::new());
        for (_, counts) in self.classes.iter().filter(|(class, _)| class.regime == regime) {
            walks += counts.walks;
            for ((cause, _), (times, _)) in &counts.refused {
                *causes.entry(*cause).or_default() += times;
            }
        }
        (walks, causes)
    }

    /// Returns two pairs: the number of wrong `checked` pages, and the number of all `checked` pages. The first pair is
    /// for upstreams that keep to their dialect, where changes within the requests cause wrong pages. The second is for
    /// upstreams that deceive.
    pub(crate) fn deceptions(&self) -> [(u64, u64); 2] {
        let plain = self.checked - self.checked_among_deceits;
        [(self.mistaken, plain), (self.deceived, self.checked_among_deceits)]
    }

    /// Returns the number of walks through lists at rest, in the regime `InReach`, that are refused without need, and
    /// the number of all such walks.
    pub(crate) fn needless_at_rest(&self) -> (u64, u64) {
        let own = self.classes.iter().filter(|(class, _)| class.regime == Regime::InReach && !class.changing);
        let refused = |counts: &Counts| counts.refused(|need| need.is_none());
        own.fold((0, 0), |(needless, walks), (_, counts)| (needless + refused(counts), walks + counts.walks))
    }

    /// Returns the classes of the regime `InReach` in which more than [`NEEDLESS`] walks in a hundred are refused
    /// without need. A class with only one such walk doesn't count.
    pub(crate) fn refused_without_need(&self) -> Vec<String> {
        let needless = |counts: &Counts| counts.refused(|need| need.is_none());
        let classes = self.classes.iter().filter(|(class, counts)| {
            class.regime == Regime::InReach && needless(counts) > 1 && needless(counts) * 100 > NEEDLESS * counts.walks
        });
        classes.map(|(class, counts)| format!("{class}: {} of {}", needless(counts), counts.walks)).collect()
    }
}

impl Counts {
    fn refused(&self, counts: impl Fn(Option<Need>) -> bool) -> u64 {
        let chosen = self.refused.iter().filter(|((_, need), _)| counts(*need));
        chosen.map(|(_, (times, _))| times).sum()
    }
}

/// Returns the name of a refusal's cause.
pub(crate) fn cause(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::PositionLost { .. } => "position lost",
        Refusal::TieRun { .. } => "tie run",
        Refusal::TooDeep => "too deep",
        Refusal::BudgetExceeded => "budget exceeded",
        Refusal::Unsorted(_) => "unsorted",
        Refusal::Stuck => "stuck",
        Refusal::EndContradicted { .. } => "end contradicted",
        Refusal::NoList => "no list",
        Refusal::PivotGone { .. } => "pivot gone",
        Refusal::TokenGone => "token gone",
        Refusal::Unsupported => "unsupported",
    }
}

impl fmt::Display for Class {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{:8} {:8} {:7} {:7} {:5}",
            match self.regime {
                Regime::InReach => "in reach",
                Regime::Wild => "wild",
                Regime::Unsaid => "unsaid",
            },
            if self.changing { "changing" } else { "still" },
            format!("{:?}", self.mode).to_lowercase(),
            if self.runs { "runs" } else { "orderly" },
            if self.tight { "tight" } else { "" },
        )
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { walks, mutations, flagged, checked, mistaken, checked_among_deceits, deceived, .. } = self;
        let pages = self.pages();
        writeln!(
            out,
            "keyed: {walks} walks, {mutations} mutations, {pages} pages ({checked} checked, {mistaken} of them mistaken, of \
             {checked_among_deceits} by answers that deceive {deceived} more, {flagged} flagged), {} refusals",
            self.refusals()
        )?;
        for (class, counts) in &self.classes {
            let needless = counts.refused(|need| need.is_none());
            writeln!(
                out,
                "  {class} {:7} walks, {:5.2} requests a page, refused {:5.2} % in need, {:5.2} % without: {}",
                counts.walks,
                counts.answers as f64 / counts.pages.max(1) as f64,
                100.0 * counts.refused(|need| need.is_some()) as f64 / counts.walks as f64,
                100.0 * needless as f64 / counts.walks as f64,
                Refused(counts)
            )?;
        }
        Ok(())
    }
}

/// The display of the refusals of a class: number, cause and need, and the smallest seed of those without need.
struct Refused<'a>(&'a Counts);

impl fmt::Display for Refused<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = self.0.refused.iter().map(|((cause, need), (times, seed))| match need {
            Some(need) => format!("{times} {cause} ({})", format!("{need:?}").to_lowercase()),
            None => format!("{times} {cause} (keyed:{seed})"),
        });
        out.write_str(&said.collect::<Vec<_>>().join(", "))
    }
}
