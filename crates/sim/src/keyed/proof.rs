//! No page claims a level that it did not have: what is called exact was seen piece by piece in single answers.

use cursorgate_core::pagination::page::Level;

use crate::keyed::{
    aim::Bound,
    promises::{Exchange, Kept, require},
    row::Place,
    upstream::Showing,
};

/// A neighbour of a page.
#[derive(Clone, Copy, Debug)]
enum Edge {
    Start,
    Row(Place),
    End,
}

/// Ties that come in any order, as a page met them: all that share so many leading keys are one run.
#[derive(Clone, Copy)]
struct Runs<'a> {
    keys: usize,
    shown: &'a [Showing],
}

impl Runs<'_> {
    fn are_one(self, left: Place, right: Place) -> bool {
        left[..self.keys] == right[..self.keys]
    }

    /// Returns whether an answer shows the run of a place from there to its end.
    fn is_seen_after(self, place: Place) -> bool {
        self.shown.iter().any(|showing| {
            let begins = showing.from_start || showing.places.is_some_and(|(least, _)| least <= place);
            let ends = showing.places.is_some_and(|(_, greatest)| greatest[..self.keys] > place[..self.keys]);
            begins && (ends || showing.to_end)
        })
    }

    /// Returns whether an answer shows the run of a place from its beginning to there.
    fn is_seen_before(self, place: Place) -> bool {
        self.shown.iter().any(|showing| {
            let ends = showing.to_end || showing.places.is_some_and(|(_, greatest)| greatest >= place);
            let begins = showing.places.is_some_and(|(least, _)| least[..self.keys] < place[..self.keys]);
            ends && (begins || showing.from_start)
        })
    }
}

impl Edge {
    /// Returns whether an answer shows everything between this edge and a later one. An answer shows the list from its
    /// first item to its last. Of a filtered list nothing is known before the first item but the run that this edge
    /// belongs to, if the filter includes its value: items that the filter leaves out are not seen. A tie run that was
    /// passed is as good as its last item: an item that came into it since shows its end as well as another.
    fn seen_with(self, later: Self, showing: &Showing, runs: Option<Runs<'_>>) -> bool {
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
    /// Returns an exact page was proven piece by piece: any two neighbours in it, its anchor and the ends it claims
    /// among them, were seen side by side in one answer.
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
        // A row whose id is there twice is passed over the second time.
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
