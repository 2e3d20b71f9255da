//! A walk as plain data: all that decides it, and so small enough to be shrunk.

use cursorgate_core::pagination::{
    paging::{Family, Sizes},
    resolver::Verify,
    rules::Rule,
};

use crate::keyed::{
    broken::Lie,
    client::Client,
    row::{RowPlan, Shape},
    traits::Traits,
    world::{Mutation, State},
};

/// The amount of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Regime {
    /// Every page that can be served must be: refusals without need are rare.
    InReach,
    /// Anything: refusals are fine, violations are not.
    Wild,
    /// The upstream does not keep to its dialect, and only its answers show that: a page is refused or says less than
    /// `exact` where they don't.
    Unsaid,
}

/// The purpose of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Focus {
    /// To be one of all worlds.
    Any(Regime),
    /// A lie can do its harm.
    Lie(Lie),
    /// The scenario shows whether a rule is kept.
    Rule(Rule),
}

/// The way in which pages are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mode {
    Offset,
    Page,
    Listed,
    Fixed,
    Keyset,
    Seek,
}

/// Everything that decides a walk.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scenario {
    pub(crate) regime: Regime,
    pub(crate) shape: Shape,
    pub(crate) rows: Vec<RowPlan>,
    pub(crate) traits: Traits,
    pub(crate) client: Client,
    /// The changes at each tick: one tick before each page, two with each answer (where counts and slices differ in
    /// time).
    pub(crate) plan: Vec<Vec<Mutation>>,
}

impl Scenario {
    /// Returns an empty list that is sorted by ids alone, and an upstream without peculiarities.
    pub(crate) fn plain() -> Self {
        Self {
            regime: Regime::InReach,
            shape: Shape::by_ids(),
            rows: Vec::new(),
            traits: Traits::plain(Family::Offset, 100),
            client: Client::plain(20),
            plan: Vec::new(),
        }
    }

    /// More pages than a walk can need.
    pub(crate) fn most_pages(&self) -> u64 {
        let arrivals: usize = self.plan.iter().flatten().map(Mutation::arrivals).sum();
        // Where offsets alone count, the way back from the end leads over all the offsets that seem to be before it.
        let stretch = if self.is_unverified() { self.traits.stretch() } else { 1 };
        ((self.rows.len() + arrivals) as u64 * 2 + 8) * (1 + self.traits.other_caps.len() as u64) * stretch
    }

    /// Returns whether every row has keys that can be compared.
    pub(crate) fn rows_are_sound(&self) -> bool {
        self.rows.iter().all(|row| row.spoilt.is_none())
    }

    /// Returns whether an id may exist twice.
    pub(crate) fn has_twins(&self) -> bool {
        self.plan.iter().flatten().any(|mutation| matches!(mutation, Mutation::Twin(..)))
    }

    /// Returns whether pages are served by offset alone. Offsets of lists that hide rows count rows that nobody sees,
    /// so pages of those lists are not.
    pub(crate) fn is_unverified(&self) -> bool {
        self.client.verify == Verify::Never && self.traits.hidden == 0
    }

    pub(crate) fn mode(&self) -> Mode {
        match (&self.traits.filtering, &self.traits.sizes, self.traits.family) {
            _ if self.client.seeks => Mode::Seek,
            (Some(_), _, _) => Mode::Keyset,
            (_, Sizes::Fixed(_), _) => Mode::Fixed,
            (_, Sizes::Listed(_), _) => Mode::Listed,
            (_, _, Family::Page) => Mode::Page,
            _ => Mode::Offset,
        }
    }

    /// Returns the world as a person reads it.
    pub(crate) fn describe(&self, state: &State) -> Vec<String> {
        let mut story = vec![format!("{:?}, {:?}, {} rows:", self.regime, self.mode(), state.raw().len())];
        story.extend(state.raw().iter().take(200).map(|row| format!("  {row}")));
        story.push(format!("order: {:?}", self.shape.order()));
        let columns: Vec<_> = self.shape.strong.iter().map(|column| (column.look, column.grain, column.unit)).collect();
        story
            .push(format!("looks, and how many stored values look the same: {columns:?}; ties: {:?}", self.shape.ties));
        story.push(format!("upstream: {:?}", self.traits));
        story.push(format!("client: {:?}", self.client));
        story
    }
}
