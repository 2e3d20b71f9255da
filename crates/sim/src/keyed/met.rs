//! The features of worlds that walks meet, and how often: a world that no walk meets tests nothing.
//!
//! A walk counts once for a feature, however many of its pages have it. Each feature has a floor well below its
//! measured rate. The floor shows if a change to the drawing of scenarios loses a world.

use std::fmt;

use cursorgate_core::pagination::{
    order::Ties,
    page::Level,
    paging::{EndEvidence, Sizes},
};

use crate::keyed::{
    aim::Bound,
    client::Style,
    promises::Exchange,
    row::TieOrder,
    scenario::Scenario,
    traits::{Counts, Cuts, Lag, More, Outage, Past, Reads, Says, Sticky},
    values::{Column, Look},
    walk::Outcome,
    world::State,
};

/// The number of walks from which on a run's features are checked against their floors.
const LEAST_WALKS: u64 = 20_000;

macro_rules! features {
    ($($name:ident: $floor:literal, $said:literal;)*) => {
        /// A feature of a walk or of one of its pages.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Feature { $($name),* }

        /// All features, each with its description and its floor: the least number of walks in a thousand that must
        /// meet it.
        const FEATURES: &[(Feature, &str, f64)] = &[$((Feature::$name, $said, $floor)),*];
    };
}

features! {
    ChangedMeanwhile: 250.0, "changed while a page was asked for";
    SeveralStates: 90.0, "answers of one page show different states";
    SeveralStatesExact: 60.0, "of those, exact";
    LimitsChange: 180.0, "limits change";
    Wanders: 170.0, "wanders: old cursors, items, ends";
    ThereAndBack: 80.0, "there and back";
    Backward: 80.0, "backward";
    Worker: 40.0, "reads and deletes";
    AnchorGone: 40.0, "the anchor is gone";
    NoHint: 100.0, "a cursor without a hint";
    FromTheEnd: 15.0, "a hint that counts from the end";
    Shuffled: 90.0, "ties shuffled with each query";
    FixedTies: 90.0, "ties fixed, not by id";
    AmidARun: 90.0, "a page ends in the middle of a run of equal keys";
    Coarse: 90.0, "a grain coarser than what is stored";
    CountsApart: 300.0, "counts at another time than the slice";
    CountsCached: 9.3, "counts cached";
    SilentCap: 130.0, "a silent cap";
    Outage: 32.0, "a false status for a while";
    Ceiling: 24.4, "a ceiling";
    LastComesAgain: 150.0, "the last page comes again";
    LastComesAgainUnsaid: 12.3, "the same, undeclared";
    ShortWalk: 200.0, "one page or none";
    Refused: 80.0, "refused";
    RefusedAtOnce: 30.0, "refused at the first page";
    BeyondTheCap: 15.0, "a limit greater than the cap";
    Drift20: 100.0, "20 rows or more between two pages";
    Drift200: 10.0, "200 rows or more between two pages";
    Dear: 4.0, "15 requests or more for a page";
    Long: 12.0, "150 rows or more";
    Fixed: 45.0, "pages of a fixed size";
    FixedUnflipped: 25.0, "the same, not to be read from the end";
    CapChanges: 25.0, "a cap that changes";
    Hidden: 30.0, "rows hidden after the limit";
    NothingTold: 40.0, "no total, no flag, sizes unvouched";
    Lags: 32.4, "answers of an earlier state";
    Twins: 15.0, "an id twice";
    Spoilt: 1.2, "rows without keys";
    Filters: 180.0, "range filters";
    FiltersIgnored: 4.7, "range filters that are ignored";
    Seeks: 90.0, "cursors of ids";
    Crowd: 8.0, "200 rows or more of one to three first keys";
    LongTexts: 4.2, "long strings cut, with ties in order";
    OpaqueAlike: 3.1, "opaque values that are equal though spelt otherwise";
    CapFalls: 10.1, "a cap that changes silently";
    CapByPrincipal: 8.3, "other principals with other caps";
    CapByFilter: 8.5, "another cap where a filter is asked for";
    BytesCut: 7.9, "answers cut by bytes";
    TimeCut: 8.1, "answers cut at half by time";
    Replica: 16.2, "a second replica, by parity";
    CountsMore: 8.3, "counts that always say too much";
    CountsLess: 8.4, "counts that always say too little";
    FilterCoarse: 8.1, "filters of a coarser grain";
    FilterShifted: 8.0, "filters of another zone";
    HiddenUnsaid: 8.1, "rows hidden under a silent cap, undeclared";
    StickyMore: 7.9, "more only on first pages";
    StickyPinned: 8.0, "pinned only on first pages";
    StickyOnTop: 7.5, "the first rows on top of every page";
    OtherItem: 8.2, "resources of items that give another item";
}

/// The set of features that a walk has met, as bits.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Met(u64);

impl Met {
    fn add(&mut self, feature: Feature, met: bool) {
        // Each feature has one bit, so there can be at most 64 features.
        self.0 |= u64::from(met) << feature as u32;
    }

    /// Adds the features of a page. `before` is the state when the previous page was requested; `None` for the first
    /// page.
    pub(crate) fn page(&mut self, exchange: &Exchange<'_>, before: Option<&State>) {
        let Exchange { aim, bound, limit, page, rows, shown, passed, .. } = exchange;
        self.add(Feature::ChangedMeanwhile, passed.len() > 1);
        let several = shown.iter().any(|showing| !std::rc::Rc::ptr_eq(&showing.state, &shown[0].state));
        self.add(Feature::SeveralStates, several);
        self.add(Feature::SeveralStatesExact, several && page.level() == Level::Exact);
        self.add(Feature::Dear, exchange.answers >= 15);
        self.add(Feature::BeyondTheCap, *limit > exchange.traits.least_cap());
        let now = &passed[0];
        if let Some(place) = bound.place() {
            self.add(Feature::AnchorGone, !now.holds(place));
            self.add(Feature::NoHint, !aim.hinted && aim.target.hint.offset.0 == 0);
            self.add(Feature::FromTheEnd, aim.target.hint.from_end);
            let drift = before.map_or(0, |before| before.count_before(place).abs_diff(now.count_before(place)));
            self.add(Feature::Drift20, drift >= 20);
            self.add(Feature::Drift200, drift >= 200);
        }
        if let Some(last) = rows.last().filter(|_| *bound != Bound::End && !exchange.shape.strong.is_empty()) {
            let keys = exchange.shape.run_keys();
            let reached = now.rows().partition_point(|row| row.place <= last.place);
            let ties = now.rows().get(reached).is_some_and(|next| next.place[..keys] == last.place[..keys]);
            self.add(Feature::AmidARun, ties);
        }
    }

    /// Adds the features of a whole walk.
    pub(crate) fn walk(&mut self, scenario: &Scenario, outcome: &Outcome) {
        let Scenario { shape, traits, client, .. } = scenario;
        self.add(Feature::LimitsChange, client.limits.len() > 1);
        self.add(Feature::Wanders, matches!(client.style, Style::Wander { .. }));
        self.add(Feature::ThereAndBack, matches!(client.style, Style::ThereAndBack { .. }));
        self.add(Feature::Backward, client.style == Style::Backward);
        self.add(Feature::Worker, matches!(client.style, Style::Worker { .. }));
        self.add(Feature::Seeks, client.seeks);
        self.add(Feature::Shuffled, shape.ties == TieOrder::Shuffled);
        self.add(Feature::FixedTies, shape.ties == TieOrder::Fixed);
        self.add(Feature::Coarse, shape.is_coarse());
        self.add(Feature::CountsApart, !matches!(traits.counts, Counts::Together));
        self.add(Feature::CountsCached, matches!(traits.counts, Counts::Cached(_)));
        self.add(Feature::SilentCap, traits.declared_cap() != Some(traits.least_cap()));
        self.add(Feature::Outage, traits.outage != Outage::Never);
        self.add(Feature::Ceiling, traits.ceiling.is_some());
        self.add(Feature::LastComesAgain, traits.past == Past::Repeat);
        self.add(Feature::LastComesAgainUnsaid, traits.past == Past::Repeat && !traits.repeats);
        let fixed = matches!(traits.sizes, Sizes::Fixed(_));
        self.add(Feature::Fixed, fixed);
        self.add(Feature::FixedUnflipped, fixed && !traits.flips);
        self.add(Feature::CapChanges, traits.caps.len() > 1);
        self.add(Feature::Hidden, traits.hidden > 0);
        let quiet = traits.total == Says::Nothing && traits.more == More::Nothing;
        self.add(Feature::NothingTold, quiet && traits.end == EndEvidence::Unvouched);
        self.add(Feature::Lags, traits.lag == Lag::AnyState);
        self.add(Feature::Twins, scenario.has_twins());
        self.add(Feature::Spoilt, !scenario.rows_are_sound());
        self.add(Feature::Filters, traits.filtering.is_some());
        self.add(Feature::FiltersIgnored, traits.filtering.as_ref().is_some_and(|filtering| filtering.ignored));
        self.unsaid(scenario);
        self.add(Feature::Long, scenario.rows.len() >= 150);
        self.add(Feature::ShortWalk, outcome.pages <= 1);
        self.add(Feature::Refused, outcome.refusal.is_some());
        self.add(Feature::RefusedAtOnce, outcome.refusal.is_some() && outcome.pages == 0);
    }
}

impl Met {
    /// Adds the features of behaviour that the dialect does not declare.
    fn unsaid(&mut self, scenario: &Scenario) {
        let Scenario { shape, traits, .. } = scenario;
        let first = shape.strong.first().map_or(u32::MAX, |column| column.width);
        self.add(Feature::Crowd, first <= 3 && scenario.rows.len() >= 200);
        let long = |column: &Column| column.look == Look::LongText && column.grain > 1;
        self.add(Feature::LongTexts, shape.declared == Ties::Ordered && shape.strong.iter().any(long));
        let opaque = shape.strong.iter().any(|column| column.look == Look::Opaque && !column.inferred);
        self.add(Feature::OpaqueAlike, opaque && shape.varied && scenario.rows.len() > 1);
        self.add(Feature::CapFalls, traits.caps.len() > 1 && !traits.tells_sizes());
        self.add(Feature::CapByPrincipal, !traits.other_caps.is_empty());
        self.add(Feature::CapByFilter, traits.filtered_cap.is_some());
        self.add(Feature::BytesCut, matches!(traits.cuts, Cuts::Bytes(_)));
        self.add(Feature::TimeCut, matches!(traits.cuts, Cuts::Half(_)));
        self.add(Feature::Replica, matches!(traits.lag, Lag::Replica(_)));
        self.add(Feature::CountsMore, traits.off > 0);
        self.add(Feature::CountsLess, traits.off < 0);
        self.add(Feature::FilterCoarse, traits.reads() == Reads::Coarsely);
        self.add(Feature::FilterShifted, traits.reads() == Reads::Shifted);
        self.add(Feature::HiddenUnsaid, traits.hidden > 0 && traits.hidden_unsaid);
        self.add(Feature::StickyMore, matches!(traits.sticky, Sticky::More(_)));
        self.add(Feature::StickyPinned, matches!(traits.sticky, Sticky::Pinned(_)));
        self.add(Feature::StickyOnTop, matches!(traits.sticky, Sticky::OnTop(_)));
        self.add(Feature::OtherItem, traits.mistakes_items);
    }
}

/// The number of walks, and the number of them that met each feature.
#[derive(Clone, Debug)]
pub(crate) struct Counted {
    walks: u64,
    times: [u64; FEATURES.len()],
}

impl Default for Counted {
    fn default() -> Self {
        Self { walks: 0, times: [0; FEATURES.len()] }
    }
}

impl Counted {
    pub(crate) fn add(&mut self, met: Met) {
        self.walks += 1;
        for (index, times) in self.times.iter_mut().enumerate() {
            *times += met.0 >> index & 1;
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.walks += other.walks;
        self.times.iter_mut().zip(&other.times).for_each(|(own, theirs)| *own += theirs);
    }

    fn share(&self, feature: Feature) -> f64 {
        self.times[feature as usize] as f64 * 1_000.0 / self.walks.max(1) as f64
    }

    /// Returns a message for each feature that was met less often than its floor, if there were at least
    /// [`LEAST_WALKS`] walks.
    pub(crate) fn missed(&self) -> Vec<String> {
        let missed = FEATURES.iter().filter(|(feature, _, floor)| self.share(*feature) < *floor);
        let enough = self.walks >= LEAST_WALKS;
        let said = missed.filter(|_| enough).map(|(feature, said, floor)| {
            format!("{said}: {:.2} of a thousand walks, at least {floor} must", self.share(*feature))
        });
        said.collect()
    }
}

impl fmt::Display for Counted {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "met by so many of a thousand of {} walks (and the floor):", self.walks)?;
        FEATURES.iter().try_for_each(|(feature, said, floor)| {
            writeln!(out, "  {:8.2} ({floor:5.1})  {said}", self.share(*feature))
        })
    }
}
