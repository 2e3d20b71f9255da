//! A scenario of several clients and a cache, as plain data, drawn from a seed.

use super::cache::{Fault, Settings};
use crate::{
    dice::{Dice, mix},
    keyed::{self, world::Mutation},
};

/// The salt that makes the lists of this family differ from the lists that `keyed` draws from the same seed.
const SALT: u64 = 0xcac4_ed00;

/// The largest number of walkers.
const MOST_WALKERS: u32 = 3;

/// The largest number of rows of a flood or purge that is repeated with the plan. Larger floods and purges occur only
/// once.
const MANY: u32 = 12;

/// Everything that decides the walks.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scenario {
    /// The list, its upstream and the route. The style and limits of its client are not used.
    pub(crate) list: keyed::scenario::Scenario,
    pub(crate) settings: Settings,
    pub(crate) walkers: Vec<Walker>,
    pub(crate) events: Vec<Event>,
}

/// A client that walks through the list. All clients have one principal, so they share pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Walker {
    pub(crate) limit: u32,
    /// True if the walk begins at the end.
    pub(crate) backward: bool,
    /// True if the client sends a filter, which shows every other row.
    pub(crate) filtered: bool,
    /// True if the client requests pages by the cursors of items. Such a cursor stays the same as long as its item
    /// does, so more pages are found in the cache.
    pub(crate) by_items: bool,
}

/// An event. The first number, modulo the number of walkers, chooses the walker; only `Rest` has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A walker requests its next page; after the end of the list it begins a new walk.
    Onward(u32),
    /// A walker requests the page on the other side of the page that it read last, and continues in that direction.
    Turn(u32),
    /// A walker begins a new walk.
    Begin(u32),
    /// A walker continues at a place that an earlier page of its list linked to, whichever walker read that page.
    Earlier(u32, u32),
    /// A walker deletes a row of the page that it read last, through one of the processes.
    Delete(u32, u32),
    /// This number of ticks passes.
    Rest(u32),
}

impl Scenario {
    pub(crate) fn from_seed(seed: u64) -> Self {
        let dice = &mut Dice::new(mix(SALT, seed));
        let mut list = keyed::scenario::Scenario::from_seed(dice.roll());
        let walkers: Vec<Walker> = draw_walkers(dice, &list.client.limits);
        prolong(&mut list.plan, walkers.len());
        let count = 8 + dice.below(40);
        let events = (0..count).map(|_| Event::draw(dice)).collect();
        Self { list, settings: Settings::draw(dice), walkers, events }
    }

    /// Returns the scenario of a seed with this fault of the cache.
    pub(crate) fn with_fault(seed: u64, fault: Fault) -> Self {
        let mut scenario = Self::from_seed(seed);
        scenario.settings.fault = Some(fault);
        scenario
    }

    /// Returns the lists that clients see: the whole one, and the filtered one if a walker uses the filter.
    pub(crate) fn views(&self) -> Vec<keyed::scenario::Scenario> {
        let mut views = vec![self.list.clone()];
        if self.walkers.iter().any(|walker| walker.filtered) {
            let rows = self.list.rows.iter().skip(1).step_by(2).copied().collect();
            views.push(keyed::scenario::Scenario { rows, ..self.list.clone() });
        }
        views
    }
}

/// Draws walkers. Most of them have the same limit, so they request the same pages.
fn draw_walkers(dice: &mut Dice, limits: &[u32]) -> Vec<Walker> {
    let limit = dice.pick(limits);
    let (count, by_items) = (1 + dice.below(MOST_WALKERS), dice.chance(35));
    let walker = |_| Walker {
        limit: if dice.chance(75) { limit } else { dice.pick(limits) },
        backward: dice.chance(15),
        filtered: dice.chance(12),
        by_items: by_items && dice.chance(85),
    };
    (0..count).map(walker).collect()
}

/// Appends copies of a plan's changes to the plan. Changes then continue while several walkers read.
fn prolong(plan: &mut Vec<Vec<Mutation>>, times: usize) {
    let is_many = |mutation: &Mutation| match mutation {
        Mutation::Flood { count, .. } | Mutation::Purge { count, .. } => *count > MANY,
        _ => false,
    };
    let small = |due: &Vec<Mutation>| due.iter().filter(|mutation| !is_many(mutation)).copied().collect();
    let again: Vec<Vec<Mutation>> = plan.iter().map(small).collect();
    (0..times).for_each(|_| plan.extend(again.iter().cloned()));
}

impl Settings {
    fn draw(dice: &mut Dice) -> Self {
        Self {
            ttl: dice.pick(&[3, 10, 30, 100, 300]),
            while_revalidate: dice.pick(&[0, 0, 5, 30, 200]),
            if_error: dice.pick(&[0, 0, 20, 200]),
            prefetch: dice.chance(35),
            loses: dice.pick(&[0, 3, 6, 12]),
            processes: dice.pick(&[1, 1, 2]),
            writes: dice.pick(&[0, 0, 0, 1, 5]),
            fails: dice.pick(&[0, 0, 5]),
            fault: None,
        }
    }
}

impl Event {
    fn draw(dice: &mut Dice) -> Self {
        let walker = dice.below(MOST_WALKERS);
        match dice.below(100) {
            0..=64 => Self::Onward(walker),
            65..=72 => Self::Turn(walker),
            73..=79 => Self::Begin(walker),
            80..=88 => Self::Earlier(walker, dice.below(1 << 16)),
            89..=92 => Self::Delete(walker, dice.below(1 << 16)),
            _ => Self::Rest(1 + dice.below(20)),
        }
    }
}
