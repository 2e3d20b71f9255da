//! The promises of pages that come from a cache, and of the walks that they are part of.
//!
//! Each page is checked against all promises of `keyed`, as if it had been made for the client that gets it: with the
//! client's own cursor, limit and filter, and with the states that the page's answers showed. Two more promises concern
//! the cache and time (docs/caching.md). "age": a page is no older than the settings allow. "write": if a client
//! requests a page after a write through its process, the page shows that write.

use cursorgate_core::pagination::page::Level;

use super::{
    cache::{Entry, Settings, Use},
    kinds::Met,
};
use crate::keyed::{
    aim::Bound,
    leg::Leg,
    promises::{Kept, Violation, require},
    row::Place,
    scenario::Scenario as List,
    traits::{Echoes, Past},
    walk::{Served, Walk},
};

/// A page that a client got.
pub(crate) struct Given {
    pub(crate) served: Served,
    pub(crate) entry: Entry,
    /// The way in which the cache used its entry; `None` if the page was made for this request.
    pub(crate) used: Option<Use>,
    /// The position that the client requested.
    pub(crate) bound: Bound,
    /// The tick at which the page was requested.
    pub(crate) now: usize,
    pub(crate) client: usize,
}

/// A walk of one client: the pages that it reads one after the other in one direction.
pub(crate) struct Journey {
    pub(crate) leg: Leg,
    /// The tick at which the walk began.
    began: usize,
    pages: u64,
    from_cache: u64,
    /// The numbers of the oldest and the newest state of all pages so far; `None` before the first page.
    span: Option<(usize, usize)>,
    /// The number of the oldest state that the page before showed; `None` before the first page.
    last: Option<usize>,
    /// True if some page showed only states older than all states of the page before it.
    backwards: bool,
    /// True if the walk goes from the end to the start.
    is_backward: bool,
}

impl Given {
    /// Returns the places of the page's rows.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place> + '_ {
        self.served.rows.iter().map(|row| row.place)
    }

    /// Returns the numbers of the oldest and the newest state that the page shows.
    fn span(&self) -> (usize, usize) {
        let numbers = || self.served.made.shown.iter().map(|showing| showing.state.number);
        (numbers().min().unwrap_or(0), numbers().max().unwrap_or(0))
    }

    /// Checks G3 mirror: a client that goes from a full page to the next page and back gets the first page again, if
    /// all three pages show one state. Returns whether the promise was checked and at least one of the three pages came
    /// from the cache.
    pub(crate) fn mirror(first: &Self, second: &Self, again: &Self) -> Result<bool, Violation> {
        let pages = [first, second, again];
        let state = &first.served.made.shown[0].state;
        let is_one = pages
            .iter()
            .flat_map(|page| &page.served.made.shown)
            .all(|showing| std::rc::Rc::ptr_eq(&showing.state, state));
        let is_certain = pages.iter().all(|page| {
            let made = &page.served.made.page;
            page.served.certain && !made.short && made.level() != Level::Positional
        });
        let is_full = first.served.rows.len() == first.served.limit as usize;
        let from_cache = pages.iter().any(|page| page.used.is_some());
        // If two rows have the same id, a page shows the row that it meets first. The page back may meet the other row
        // first.
        let is_certain = is_certain && !state.has_twins();
        let is_held = is_one && is_certain && is_full && first.served.limit == again.served.limit;
        require(!is_held || first.places().eq(again.places()), "G3 mirror", || {
            let places = |page: &Self| page.places().collect::<Vec<_>>();
            format!("back from the next page is {:?}, not {:?}", places(again), places(first))
        })?;
        Ok(is_held && from_cache)
    }
}

/// Checks the age of a page, and that the page shows the last write (moment `written`) through its process. An upstream
/// that lags shows old states by itself, so neither is checked for it.
pub(crate) fn check_given(given: &Given, walk: &Walk<'_>, settings: &Settings, written: usize) -> Kept {
    if walk.scenario.traits.lags() {
        return Ok(());
    }
    let beginnings = &walk.upstream.world.beginnings;
    for showing in &given.served.made.shown {
        let number = showing.state.number;
        let ended = beginnings.get(number + 1).copied();
        let oldest = settings.oldest();
        require(ended.is_none_or(|ended| ended + oldest > given.now), "age", || {
            format!("a state that ended at tick {ended:?}, at tick {}: {oldest} is the most", given.now)
        })?;
        require(number >= written, "write", || format!("state {number} after the write that made state {written}"))?;
    }
    Ok(())
}

impl Journey {
    pub(crate) fn new(bound: Bound, began: usize) -> Self {
        Self {
            leg: Leg::new(bound),
            began,
            pages: 0,
            from_cache: 0,
            span: None,
            last: None,
            backwards: false,
            is_backward: !bound.is_forward(),
        }
    }

    /// Adds the walk's next page, and counts the kinds that the page belongs to.
    pub(crate) fn take(&mut self, given: &Given, walk: &Walk<'_>, met: &mut Met) {
        self.pages += 1;
        met.pages += 1;
        let (oldest, newest) = given.span();
        let lags = walk.scenario.traits.lags();
        let runs_back = !lags && self.last.is_some_and(|last| newest < last);
        self.backwards |= runs_back;
        self.last = Some(oldest);
        let span = self.span.unwrap_or((oldest, newest));
        self.span = Some((span.0.min(oldest), span.1.max(newest)));
        let Some(used) = given.used else { return };
        self.from_cache += 1;
        met.from_cache += 1;
        met.took(given, used, walk, self.began, runs_back);
    }

    /// Checks that the walk has at most `most` pages. Returns `true` if it has more and is excused, because its pages
    /// are served only by offset.
    pub(crate) fn is_endless(&self, most: u64, list: &List) -> Result<bool, Violation> {
        // The same exception as in `keyed::style`: a walk that is served only by offset proves no end.
        let traits = &list.traits;
        let misled = traits.misleads() || traits.lags() || traits.echoes == Echoes::Nonsense || traits.deceives();
        let unsteady = traits.past == Past::Repeat || !traits.has_one_cap() || traits.surplus > 0 || misled;
        let excused = list.is_unverified() && unsteady;
        require(self.pages <= most || excused, "G4 ends", || format!("{} pages and no end", self.pages))?;
        Ok(self.pages > most)
    }

    /// Checks G1 at the end of the walk, and counts the kinds that the walk belongs to.
    pub(crate) fn finish(self, met: &mut Met) -> Kept {
        let Self { from_cache, span, backwards, is_backward, .. } = self;
        if from_cache > 0 {
            met.finished += 1;
            met.finished_amid_changes += u64::from(span.is_some_and(|(oldest, newest)| oldest < newest));
            met.finished_after_going_back_in_time += u64::from(backwards);
            met.finished_backward += u64::from(is_backward && self.pages > 1);
        }
        self.leg.finish()
    }
}
