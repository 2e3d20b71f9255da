//! A scenario: everything that decides a walk, as plain data that can be written, read and shrunk.

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

/// The class of worlds that a scenario is drawn from, by what may be expected of the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Regime {
    /// The upstream keeps to its dialect, and the list changes slowly enough for its answers. Refusals without need are
    /// rare.
    InReach,
    /// Any world: false statuses, ceilings, lags, fast changes. Refusals are expected; violations are not.
    Wild,
    /// The upstream does not keep to its dialect, and only its answers may show that. A wrong page must claim less than
    /// `exact`, except for the pages that `Bounds::deceived_at_exact` bounds.
    Unsaid,
}

/// The purpose for which a scenario is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Focus {
    /// Any world of a regime.
    Any(Regime),
    /// A world in which a lie can break a promise.
    Lie(Lie),
    /// A world in which a core without a rule can break a promise.
    Rule(Rule),
}

/// The way in which pages are found, as statistics distinguish it.
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
    /// The changes at each tick of the clock. A tick comes before each page and with each answer. Another one comes
    /// between the count and the slice if these are of different moments.
    pub(crate) plan: Vec<Vec<Mutation>>,
}

impl Scenario {
    /// Returns an empty list that is sorted only by id, and an upstream without peculiarities.
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

    /// Returns a number of pages that no walk can need: a walk with more pages never ends.
    pub(crate) fn most_pages(&self) -> u64 {
        let arrivals: usize = self.plan.iter().flatten().map(Mutation::arrivals).sum();
        // A walk back from the end that is served only by offset visits all offsets that seem to come before the end.
        // Regression: `a-way-back-by-offset-alone`.
        let stretch = if self.is_unverified() { self.traits.stretch() } else { 1 };
        ((self.rows.len() + arrivals) as u64 * 2 + 8) * (1 + self.traits.other_caps.len() as u64) * stretch
    }

    /// Returns whether every row has keys that can be compared.
    pub(crate) fn rows_are_sound(&self) -> bool {
        self.rows.iter().all(|row| row.spoilt.is_none())
    }

    /// Returns whether an id may occur twice in the list.
    pub(crate) fn has_twins(&self) -> bool {
        self.plan.iter().flatten().any(|mutation| matches!(mutation, Mutation::Twin(..)))
    }

    /// Returns whether pages are served only by offset. Pages of lists with hidden rows never are, because their
    /// offsets count rows that no client sees.
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

    /// Returns the world as lines of a story.
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
