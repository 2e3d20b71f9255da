//! The number of walks that meet each kind of world. Each kind has a floor, which shows if a change to the drawing of
//! scenarios loses a kind.

use std::collections::BTreeMap;

/// A kind of scenario, with the least share of walks that meet it.
pub(crate) struct WorldKind<S> {
    name: &'static str,
    /// The least number of walks in a thousand that must meet the kind: about seven tenths of the measured share.
    floor: u64,
    holds: fn(&S) -> bool,
}

impl<S> WorldKind<S> {
    pub(crate) const fn new(name: &'static str, floor: u64, holds: fn(&S) -> bool) -> Self {
        Self { name, floor, holds }
    }
}

/// The number of walks that met each kind of world, by its name.
#[derive(Debug, Default)]
pub(crate) struct WorldCounts(BTreeMap<&'static str, u64>);

impl WorldCounts {
    /// Counts a walk for each kind that its scenario belongs to.
    pub(crate) fn add<S>(&mut self, kinds: &[WorldKind<S>], scenario: &S) {
        for kind in kinds.iter().filter(|kind| (kind.holds)(scenario)) {
            *self.0.entry(kind.name).or_default() += 1;
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        other.0.into_iter().for_each(|(name, met)| *self.0.entry(name).or_default() += met);
    }

    fn met<S>(&self, kind: &WorldKind<S>) -> u64 {
        self.0.get(kind.name).copied().unwrap_or(0)
    }

    /// Returns a message for each kind that `walks` walks met less often than its floor.
    pub(crate) fn missed<S>(&self, kinds: &[WorldKind<S>], walks: u64) -> Vec<String> {
        let said = |kind: &WorldKind<S>| {
            let (WorldKind { name, floor, .. }, met) = (kind, self.met(kind));
            format!("{name}: met by {met} of {walks} walks, at least {floor} of a thousand must")
        };
        kinds.iter().filter(|kind| self.met(kind) * 1_000 < kind.floor * walks).map(said).collect()
    }

    /// Returns a table of all kinds, with the shares that were met and the floors.
    pub(crate) fn table<S>(&self, kinds: &[WorldKind<S>], walks: u64) -> String {
        let line = |kind: &WorldKind<S>| {
            let share = self.met(kind) as f64 * 1_000.0 / walks.max(1) as f64;
            format!("\n  {share:8.2} ({:5})  {}", kind.floor, kind.name)
        };
        let lines: String = kinds.iter().map(line).collect();
        format!("  met by so many of a thousand of {walks} walks (and the floor):{lines}")
    }
}
