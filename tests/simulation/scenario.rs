//! A walk as plain data: all that decides it, and so small enough to be shrunk.

use crate::{
    client::Client,
    upstream::Traits,
    world::{Mutation, RowPlan, Shape, State},
};

/// How much may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Regime {
    /// The boundary stays within the answers that the core asks for: refusals must be rare.
    InReach,
    /// Anything: refusals are fine, violations are not.
    Wild,
}

/// Everything that decides a walk.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) regime: Regime,
    pub(crate) shape: Shape,
    pub(crate) rows: Vec<RowPlan>,
    pub(crate) traits: Traits,
    pub(crate) client: Client,
    /// What happens at each tick: one before each page, two with each answer (where counts and slices differ in time).
    pub(crate) plan: Vec<Vec<Mutation>>,
}

impl Scenario {
    /// More pages than a walk can need.
    pub(crate) fn most_pages(&self) -> u64 {
        let arrivals: usize = self.plan.iter().map(Vec::len).sum();
        (self.rows.len() + arrivals) as u64 * 2 + 8
    }

    /// The world as a person reads it.
    pub(crate) fn describe(&self, state: &State) -> Vec<String> {
        let mut story = vec![format!("{:?}, {} rows:", self.regime, state.len())];
        story.extend(state.iter().map(|row| format!("  {row}")));
        story.push(format!("order: {:?}", self.shape.order()));
        story.push(format!("stored more finely than shown: {:?}; ties: {:?}", self.grains(), self.shape.ties));
        story.push(format!("upstream: {:?}", self.traits));
        story.push(format!("client: {:?}", self.client));
        story
    }

    fn grains(&self) -> Vec<u32> {
        self.shape.strong.iter().map(|column| column.grain).collect()
    }
}
