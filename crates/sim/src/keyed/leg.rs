//! G1, G2 and G4 of a whole walk in one direction.
//!
//! - G1: each row that was ahead of the walk in every state that its pages showed is delivered.
//! - G2: each page begins after the end of the page before, so no row comes twice with the same keys.
//! - G4: a walk has at most ⌈(rows ahead in the oldest state shown + rows that came since) / limit⌉ + 1 pages.

use std::rc::Rc;

use crate::keyed::{
    aim::Bound,
    promises::{Exchange, Kept, require},
    row::Place,
    world::State,
};

/// A walk in one direction, from a bound to the end of the list that lies ahead.
pub(crate) struct Leg {
    bound: Bound,
    /// The places ahead of the bound that are in every state shown so far, sorted; `None` before the first state.
    stayed: Option<Vec<Place>>,
    last_state: Option<State>,
    delivered: Vec<Place>,
    pages: u64,
    /// The oldest state that was shown: its number, the number of rows ahead in it, and the number of rows that had
    /// come to the list by then.
    oldest: Option<(usize, u64, u64)>,
    /// The smallest number of rows that each page but the last must have had so far.
    least_limit: u64,
    /// True if some page was not certain (`Exchange::is_certain`). G1 is then not checked for the walk.
    uncertain: bool,
}

impl Leg {
    pub(crate) fn new(bound: Bound) -> Self {
        Self {
            bound,
            stayed: None,
            last_state: None,
            delivered: Vec::new(),
            pages: 0,
            oldest: None,
            least_limit: u64::MAX,
            uncertain: false,
        }
    }

    fn is_ahead(&self, place: Place) -> bool {
        match self.bound {
            Bound::After(anchor) => place > anchor,
            Bound::Before(anchor) => place < anchor,
            Bound::Start | Bound::End | Bound::At(_) => true,
        }
    }

    /// Adds the next page of the walk, and checks G2 and G4.
    pub(crate) fn take(&mut self, exchange: &Exchange<'_>, arrivals: u64) -> Kept {
        // A single page that may lose a row by chance excuses the whole walk from G1, because a row may be missing only
        // there.
        self.uncertain |= !exchange.is_certain();
        for showing in exchange.shown {
            self.see(&showing.state);
        }
        let forward = self.bound.is_forward();
        let edge = self.delivered.last().copied();
        let mut places: Vec<Place> = exchange.rows.iter().map(|row| row.place).collect();
        if !forward {
            places.reverse();
        }
        let goes_on = match (edge, places.first()) {
            (Some(edge), Some(&next)) => {
                let (earlier, later) = if forward { (edge, next) } else { (next, edge) };
                earlier < later || exchange.met_by_cancelling(earlier, later)
            }
            _ => true,
        };
        require(goes_on, "G2 once", || "the page begins before the end of the one before".into())?;
        self.delivered.extend(places);
        self.pages += 1;
        let least = if exchange.page.short { exchange.rows.len() as u32 } else { exchange.limit };
        self.least_limit = self.least_limit.min(u64::from(least.max(1)));
        // Each delivered row was in the oldest state shown, or came since. Answers of an upstream that lags may also
        // show rows that were deleted before, which this bound doesn't count.
        let (_, ahead, before) = self.oldest.unwrap_or_default();
        let most = (ahead + arrivals - before).div_ceil(self.least_limit) + 1;
        require(exchange.traits.lags() || self.pages <= most, "G4 ends", || {
            format!("{} pages, at most {most}", self.pages)
        })
    }

    /// Adds a page of level `positional`. From then on, G1 is no longer checked for the walk.
    pub(crate) fn give_up(&mut self) {
        self.uncertain = true;
    }

    /// Adds a state that an answer showed: rows that the state lacks have not stayed.
    fn see(&mut self, state: &State) {
        if self.last_state.as_ref().is_some_and(|last| Rc::ptr_eq(last, state)) {
            return;
        }
        self.last_state = Some(State::clone(state));
        if self.oldest.is_none_or(|(number, ..)| state.number < number) {
            let ahead = state.rows().iter().filter(|row| self.is_ahead(row.place)).count() as u64;
            self.oldest = Some((state.number, ahead, state.arrivals));
        }
        match &mut self.stayed {
            Some(stayed) => {
                // Both lists are sorted by place, so one pass over them is enough.
                let mut rows = state.rows().iter().map(|row| row.place).peekable();
                stayed.retain(|&place| {
                    while rows.peek().is_some_and(|&other| other < place) {
                        rows.next();
                    }
                    rows.peek() == Some(&place)
                });
            }
            None => {
                let ahead = state.rows().iter().map(|row| row.place).filter(|&place| self.is_ahead(place));
                self.stayed = Some(ahead.collect());
            }
        }
    }

    /// Checks G1 at the end of the walk.
    pub(crate) fn finish(self) -> Kept {
        let mut delivered = self.delivered;
        delivered.sort_unstable();
        let twice = |place: &Place| delivered.iter().any(|other| other[2] == place[2]);
        let mut skipped =
            self.stayed.unwrap_or_default().into_iter().filter(|place| delivered.binary_search(place).is_err());
        // If two rows have one id, only one of them is delivered.
        let skipped = skipped.find(|place| !twice(place));
        require(self.uncertain || skipped.is_none(), "G1 none skipped", || {
            format!("the row at {skipped:?} stayed throughout the walk")
        })
    }
}
