//! G6 of an `exact` page: single answers showed the page piece by piece.
//!
//! Each pair of neighbours in the page must have been shown side by side by one answer. The page's anchor and the ends
//! of the list that it claims count as its neighbours. No item can then lie between two neighbours, however much the
//! list changed between answers (`cursorgate_core::pagination::proof`).

use cursorgate_core::pagination::page::Level;

use crate::keyed::{
    aim::Bound,
    promises::{Exchange, Kept, require},
    row::Place,
    upstream::Showing,
};

/// An end of the list, or a row: one side of a gap that an answer must show.
#[derive(Clone, Copy, Debug)]
enum Edge {
    Start,
    Row(Place),
    End,
}

/// The runs of ties that come in any order, as the answers of a page showed them. Rows that share the first `keys` keys
/// are one run.
#[derive(Clone, Copy)]
struct Runs<'a> {
    keys: usize,
    shown: &'a [Showing],
}

impl Runs<'_> {
    fn are_one(self, left: Place, right: Place) -> bool {
        left[..self.keys] == right[..self.keys]
    }

    /// Returns whether an answer shows the run of a place from this place to the run's end.
    fn is_seen_after(self, place: Place) -> bool {
        self.shown.iter().any(|showing| {
            let begins = showing.from_start || showing.places.is_some_and(|(least, _)| least <= place);
            let ends = showing.places.is_some_and(|(_, greatest)| greatest[..self.keys] > place[..self.keys]);
            begins && (ends || showing.to_end)
        })
    }

    /// Returns whether an answer shows the run of a place from the run's beginning to this place.
    fn is_seen_before(self, place: Place) -> bool {
        self.shown.iter().any(|showing| {
            let ends = showing.to_end || showing.places.is_some_and(|(_, greatest)| greatest >= place);
            let begins = showing.places.is_some_and(|(least, _)| least[..self.keys] < place[..self.keys]);
            ends && (begins || showing.from_start)
        })
    }
}

impl Edge {
    /// Returns whether an answer shows every item between this edge and a later one. An answer shows the list from its
    /// first item to its last one. Two more cases count:
    ///
    /// - a filtered answer shows nothing before its first item, but may show this edge's run whole
    ///   (`Showing::whole_runs`);
    /// - another answer showed this edge's run of ties, which come in any order, to its end. Any item of the run then
    ///   marks the run's end as well as its last item does, even an item that came into the run since.
    fn seen_with(self, later: Self, showing: &Showing, runs: Option<Runs<'_>>) -> bool {
        // Within one run, only an answer with both rows shows that no item lies between them.
        let apart = |runs: Runs<'_>| match (self, later) {
            (Self::Row(place), Self::Row(later)) => !runs.are_one(place, later),
            _ => true,
        };
        let runs = runs.filter(|runs| apart(*runs));
        let begins = match self {
            Self::Row(place) => showing.places.is_some_and(|(least, _)| {
                least <= place
                    || runs.is_some_and(|runs| runs.are_one(least, place) && runs.is_seen_after(place))
                    || (showing.whole_runs.0 && least[0] == place[0])
            }),
            Self::Start | Self::End => false,
        };
        let reaches = match later {
            Self::Row(place) => showing.places.is_some_and(|(_, greatest)| {
                greatest >= place
                    || runs.is_some_and(|runs| runs.are_one(greatest, place) && runs.is_seen_before(place))
                    || (showing.whole_runs.1 && greatest[0] == place[0])
            }),
            Self::Start | Self::End => false,
        };
        (begins || showing.from_start) && (reaches || showing.to_end)
    }
}

impl Exchange<'_> {
    /// Checks that single answers showed an `exact` page piece by piece. A page that was cut short claims less, so it
    /// passes.
    pub(crate) fn proof(&self) -> Kept {
        if self.page.level() != Level::Exact || self.page.short {
            return Ok(());
        }
        let mut edges: Vec<Edge> = Vec::with_capacity(self.rows.len() + 2);
        let start = match self.bound {
            Bound::Start => Some(Edge::Start),
            Bound::After(anchor) => Some(Edge::Row(anchor)),
            Bound::Before(_) | Bound::End if self.page.previous.is_none() => Some(Edge::Start),
            _ => None,
        };
        edges.extend(start);
        edges.extend(self.rows.iter().map(|row| Edge::Row(row.place)));
        edges.extend(match self.bound {
            Bound::End => Some(Edge::End),
            Bound::Before(anchor) => Some(Edge::Row(anchor)),
            _ if self.page.next.is_none() => Some(Edge::End),
            _ => None,
        });
        let runs = Runs { keys: self.shape.run_keys(), shown: self.shown };
        let runs = Some(runs).filter(|_| !self.shape.is_orderly());
        let seen = |pair: &[Edge], showing: &Showing| pair[0].seen_with(pair[1], showing, runs);
        let unseen = edges.windows(2).find(|pair| !self.shown.iter().any(|showing| seen(pair, showing)));
        // If two rows have one id, the page leaves out the second row, so no answer shows that row's neighbours side by
        // side.
        let twice = |showing: &Showing| {
            showing
                .state
                .rows()
                .iter()
                .any(|row| self.rows.iter().any(|own| own.plan.id == row.plan.id && own.place != row.place))
        };
        let kept = unseen.is_none() || self.shown.iter().any(twice);
        require(kept, "G6 proof", || format!("exact, but no answer shows {unseen:?} side by side"))
    }
}
