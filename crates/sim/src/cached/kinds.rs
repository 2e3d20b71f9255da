//! The kinds of pages and walks that scenarios with a cache must meet.

use cursorgate_core::pagination::page::Level;

use super::{cache::Use, promises::Given};
use crate::{keyed::walk::Walk, world_kinds::WorldKind};

/// The number of pages and walks of each kind in one scenario.
#[derive(Clone, Debug, Default)]
pub(crate) struct Met {
    pub(crate) pages: u64,
    pub(crate) from_cache: u64,
    fresh: u64,
    stale: u64,
    on_error: u64,
    of_another: u64,
    ahead: u64,
    from_before: u64,
    runs_back: u64,
    exact: u64,
    checked: u64,
    after_an_anchor_that_is_gone: u64,
    end_that_is_none_now: u64,
    with_rows_that_are_gone: u64,
    pub(crate) lost: u64,
    pub(crate) dropped: u64,
    pub(crate) amid_a_write: u64,
    pub(crate) beside_by_filter: u64,
    pub(crate) beside_by_limit: u64,
    pub(crate) mirrored: u64,
    pub(crate) finished: u64,
    pub(crate) finished_amid_changes: u64,
    pub(crate) finished_after_going_back_in_time: u64,
    pub(crate) finished_backward: u64,
}

impl Met {
    /// Counts a page from the cache. `began` is the tick at which the client's walk began. `runs_back` is true if all
    /// states that the page shows are older than those of the page before it.
    pub(crate) fn took(&mut self, given: &Given, used: Use, walk: &Walk<'_>, began: usize, runs_back: bool) {
        let (served, entry) = (&given.served, &given.entry);
        match used {
            Use::Fresh => self.fresh += 1,
            Use::Stale => self.stale += 1,
            Use::OnError => self.on_error += 1,
        }
        self.ahead += u64::from(entry.ahead);
        self.of_another += u64::from(entry.by != given.client);
        self.from_before += u64::from(entry.began < began);
        self.runs_back += u64::from(runs_back);
        self.exact += u64::from(served.made.page.level() == Level::Exact);
        self.checked += u64::from(served.made.page.level() == Level::Checked);
        let now = &walk.upstream.world.state;
        self.with_rows_that_are_gone += u64::from(given.places().any(|place| !now.holds(place)));
        self.after_an_anchor_that_is_gone += u64::from(given.bound.place().is_some_and(|place| !now.holds(place)));
        let last = served.rows.last().filter(|_| served.made.page.next.is_none()).map(|row| row.place);
        self.end_that_is_none_now +=
            u64::from(last.is_some_and(|last| now.rows().last().is_some_and(|row| row.place > last)));
    }
}

/// All kinds, each with its floor: the least number of scenarios in a thousand that must meet it.
pub(super) const KINDS: &[WorldKind<Met>] = &[
    WorldKind::new("a fresh page", 466, |met| met.fresh > 0),
    WorldKind::new("an old page while a new one is made", 177, |met| met.stale > 0),
    WorldKind::new("an old page because the upstream fails", 18, |met| met.on_error > 0),
    WorldKind::new("a page that was made for another client", 280, |met| met.of_another > 0),
    WorldKind::new("a page that was made ahead", 230, |met| met.ahead > 0),
    WorldKind::new("a page from before the walk began", 504, |met| met.from_before > 0),
    WorldKind::new("time runs backwards between two pages", 32, |met| met.runs_back > 0),
    WorldKind::new("an exact page", 494, |met| met.exact > 0),
    WorldKind::new("a checked page", 186, |met| met.checked > 0),
    WorldKind::new("a page after an item that is gone by now", 67, |met| met.after_an_anchor_that_is_gone > 0),
    WorldKind::new("a page with items that are gone by now", 132, |met| met.with_rows_that_are_gone > 0),
    WorldKind::new("a last page that more follows by now", 23, |met| met.end_that_is_none_now > 0),
    WorldKind::new("an entry lost", 395, |met| met.lost > 0),
    WorldKind::new("a page dropped by a write", 338, |met| met.dropped > 0),
    WorldKind::new("a page not kept because of a write meanwhile", 137, |met| met.amid_a_write > 0),
    WorldKind::new("the same cursor kept for another filter", 97, |met| met.beside_by_filter > 0),
    WorldKind::new("the same cursor kept for another limit", 24, |met| met.beside_by_limit > 0),
    WorldKind::new("back from the next page, in one state", 70, |met| met.mirrored > 0),
    WorldKind::new("a walk to its end", 464, |met| met.finished > 0),
    WorldKind::new("the same, of several states", 211, |met| met.finished_amid_changes > 0),
    WorldKind::new("the same, and time ran backwards", 21, |met| met.finished_after_going_back_in_time > 0),
    WorldKind::new("a walk back to the beginning", 64, |met| met.finished_backward > 0),
];
