//! No page claims a level that it did not have: what is called exact was seen piece by piece in single answers.

use cursorgate::pagination::page::Level;

use crate::{
    aim::Bound,
    promises::{Exchange, Kept, require},
    row::Place,
    upstream::Showing,
};

/// What two neighbours of a page can be.
#[derive(Clone, Copy, Debug)]
enum Edge {
    Start,
    Row(Place),
    End,
}

impl Edge {
    /// Whether an answer shows all that there is between this and a later one. What an answer shows reaches from its
    /// first item to its last; of a filtered list nothing is known before the first but the run that this belongs to,
    /// where the filter includes its value, for nobody sees what the filter leaves out.
    fn seen_with(self, later: Self, showing: &Showing, run_keys: Option<usize>) -> bool {
        // Of ties that come in any order, one shows where their run ends as well as another, once the run is passed.
        let tied = |least: Place, place: Place| {
            matches!(later, Self::End) && run_keys.is_some_and(|keys| least[..keys] == place[..keys])
        };
        let begins = match self {
            Self::Row(place) => showing.places.is_some_and(|(least, _)| {
                least <= place || tied(least, place) || (showing.whole_run && !showing.flipped && least[0] == place[0])
            }),
            Self::Start | Self::End => false,
        };
        let reaches = match later {
            Self::Row(place) => showing.places.is_some_and(|(_, greatest)| {
                greatest >= place || (showing.whole_run && showing.flipped && greatest[0] == place[0])
            }),
            Self::Start | Self::End => false,
        };
        (begins || showing.from_start) && (reaches || showing.to_end)
    }
}

impl Exchange<'_> {
    /// An exact page was proven piece by piece: any two neighbours in it, its anchor and the ends it claims among them,
    /// were seen side by side in one answer.
    pub(crate) fn proof(&self) -> Kept {
        if self.page.level != Level::Exact || self.page.short {
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
        let run_keys = Some(self.shape.run_keys()).filter(|_| !self.shape.is_orderly());
        let seen = |pair: &[Edge], showing: &Showing| pair[0].seen_with(pair[1], showing, run_keys);
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
