//! A walk in one direction, and what is promised of the whole of it.

use std::rc::Rc;

use crate::{
    aim::Bound,
    promises::{Exchange, Kept, holds, require},
    world::{Place, State},
};

/// A walk in one direction, from a bound to the end that lies there.
pub(crate) struct Leg {
    bound: Bound,
    stayed: Option<Vec<Place>>,
    last_state: Option<State>,
    delivered: Vec<Place>,
    pages: u64,
    ahead: u64,
    least_limit: u64,
    arrivals: u64,
    /// A page of it was less than exact, while the collection changed.
    uncertain: bool,
}

impl Leg {
    pub(crate) fn new(bound: Bound, arrivals: u64) -> Self {
        Self {
            bound,
            stayed: None,
            last_state: None,
            delivered: Vec::new(),
            pages: 0,
            ahead: 0,
            least_limit: u64::MAX,
            arrivals,
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
            let state = &showing.state;
            if self.last_state.as_ref().is_some_and(|last| Rc::ptr_eq(last, state)) {
                continue;
            }
            self.last_state = Some(State::clone(state));
            let mut stayed = self.stayed.take().unwrap_or_else(|| {
                let ahead: Vec<Place> =
                    state.iter().map(|row| row.place).filter(|&place| self.is_ahead(place)).collect();
                self.ahead = ahead.len() as u64;
                ahead
            });
            stayed.retain(|&place| holds(state, place));
            self.stayed = Some(stayed);
        }
        let forward = self.bound.is_forward();
        let edge = self.delivered.last().copied();
        let mut places: Vec<Place> = exchange.rows.iter().map(|row| row.place).collect();
        if !forward {
            places.reverse();
        }
        let goes_on = match (edge, places.first()) {
            (Some(edge), Some(&next)) => {
                if forward {
                    edge < next
                } else {
                    edge > next
                }
            }
            _ => true,
        };
        require(goes_on, "G2 once", || "the page begins before the end of the one before".into())?;
        self.delivered.extend(places);
        self.pages += 1;
        self.least_limit = self.least_limit.min(u64::from(exchange.limit));
        let most = (self.ahead + arrivals - self.arrivals).div_ceil(self.least_limit) + 1;
        require(exchange.traits.lags || self.pages <= most, "G4 ends", || {
            format!("{} pages, at most {most}", self.pages)
        })
    }

    /// The end was reached.
    pub(crate) fn finish(self) -> Kept {
        let mut delivered = self.delivered;
        delivered.sort_unstable();
        let skipped = self.stayed.unwrap_or_default().into_iter().find(|place| delivered.binary_search(place).is_err());
        require(self.uncertain || skipped.is_none(), "G1 none skipped", || {
            format!("the row at {skipped:?} stayed throughout the walk")
        })
    }
}
