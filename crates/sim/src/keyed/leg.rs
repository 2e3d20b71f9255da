//! A walk in one direction, and what is promised of the whole of it.

use std::rc::Rc;

use crate::keyed::{
    aim::Bound,
    promises::{Exchange, Kept, require},
    row::Place,
    world::State,
};

/// A walk in one direction, from a bound to the end that lies there.
pub(crate) struct Leg {
    bound: Bound,
    stayed: Option<Vec<Place>>,
    last_state: Option<State>,
    delivered: Vec<Place>,
    pages: u64,
    /// The number of the oldest state that was shown, of the rows ahead in it, and of those that had come by then.
    oldest: Option<(usize, u64, u64)>,
    least_limit: u64,
    /// A page of it was less than exact, while the collection changed.
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

    /// Takes the next page of the leg.
    pub(crate) fn take(&mut self, exchange: &Exchange<'_>, arrivals: u64) -> Kept {
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
        // Each item was there in the oldest state that was shown, or came since.
        let (_, ahead, before) = self.oldest.unwrap_or_default();
        let most = (ahead + arrivals - before).div_ceil(self.least_limit) + 1;
        require(exchange.traits.lags() || self.pages <= most, "G4 ends", || {
            format!("{} pages, at most {most}", self.pages)
        })
    }

    /// A page was served by its offset: nothing is promised of the whole any more but that it ends.
    pub(crate) fn give_up(&mut self) {
        self.uncertain = true;
    }

    /// Of the rows that stayed so far keeps those that are in this state too.
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
                // Both are sorted, so one look at each is enough.
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

    /// Returns the end was reached.
    pub(crate) fn finish(self) -> Kept {
        let mut delivered = self.delivered;
        delivered.sort_unstable();
        let twice = |place: &Place| delivered.iter().any(|other| other[2] == place[2]);
        let mut skipped =
            self.stayed.unwrap_or_default().into_iter().filter(|place| delivered.binary_search(place).is_err());
        // A row whose id was there twice is delivered once.
        let skipped = skipped.find(|place| !twice(place));
        require(self.uncertain || skipped.is_none(), "G1 none skipped", || {
            format!("the row at {skipped:?} stayed throughout the walk")
        })
    }
}
