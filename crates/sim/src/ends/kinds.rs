//! The kinds of answers that walks must meet.

use crate::{ends::scenario::Cuts, world_kinds::WorldKind};

/// The answers of a walk, by their kinds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Met {
    pub(crate) pages_by_filter: bool,
    pub(crate) flipped: bool,
    /// An answer was cut by a cap that falls within the list, and rows follow it.
    cut_by_a_cap: bool,
    /// The same, with one row.
    cut_to_one: bool,
    /// An answer from behind the rows where the cap had fallen.
    risen: bool,
    cut_by_bytes: bool,
    /// A filtered answer has no items, and items follow it.
    gap_by_filter: bool,
    /// A filtered answer has fewer items than were asked for, and items follow it.
    few_by_filter: bool,
}

/// An answer with rows, as [`Met`] counts it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Given {
    pub(super) asked: u64,
    /// The rows of the slice, before some were left out.
    pub(super) rows: usize,
    pub(super) items: usize,
    /// True if visible rows follow the slice.
    pub(super) goes_on: bool,
    /// True if the answer begins behind the rows where the cap had fallen.
    pub(super) is_behind_the_fall: bool,
}

impl Met {
    /// Adds an answer.
    pub(super) fn add(&mut self, cuts: Cuts, is_filtered: bool, given: Given) {
        let Given { asked, rows, items, goes_on, is_behind_the_fall } = given;
        let is_cut = goes_on && (rows as u64) < asked;
        self.cut_by_a_cap |= is_cut && matches!(cuts, Cuts::Rows { .. });
        self.cut_to_one |= is_cut && rows == 1 && matches!(cuts, Cuts::Rows { .. });
        self.risen |= is_behind_the_fall && rows > 0;
        self.cut_by_bytes |= is_cut && matches!(cuts, Cuts::Bytes(_));
        self.gap_by_filter |= is_filtered && goes_on && items == 0;
        self.few_by_filter |= is_filtered && goes_on && items < rows;
    }
}

/// All kinds, each with its floor: the least number of walks in a thousand that must meet it.
pub(super) const KINDS: &[WorldKind<Met>] = &[
    WorldKind::new("an answer cut by a cap that falls within the list", 70, |met| met.cut_by_a_cap),
    WorldKind::new("the same, to one row", 5, |met| met.cut_to_one),
    WorldKind::new("an answer from where the cap has risen again", 30, |met| met.risen),
    WorldKind::new("an answer cut by bytes", 50, |met| met.cut_by_bytes),
    WorldKind::new("a filtered answer", 120, |met| met.pages_by_filter),
    WorldKind::new("an answer of the flipped list", 110, |met| met.flipped),
    WorldKind::new("a filtered answer without some rows, and items follow", 13, |met| met.few_by_filter),
    WorldKind::new("a filtered answer without items, and items follow", 5, |met| met.gap_by_filter),
];
