//! Where a page begins, as the simulator knows it: a target, and the place in the order that it means.

use cursorgate::pagination::{
    position::{Anchor, Hint, Position, Target},
    window::Offset,
};

use crate::{
    promises::{Exchange, Violation},
    world::Place,
};

/// A target, and what the simulator knows of its position.
#[derive(Clone, Debug)]
pub(crate) struct Aim {
    pub(crate) target: Target,
    pub(crate) bound: Bound,
}

/// A position in terms of places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    Start,
    End,
    At(u64),
    After(Place),
    Before(Place),
}

impl Bound {
    pub(crate) fn is_forward(self) -> bool {
        !matches!(self, Self::End | Self::Before(_))
    }
}

impl Aim {
    /// A target with nothing but an offset to aim by.
    pub(crate) fn bare(position: Position, bound: Bound, offset: Offset) -> Self {
        let hint = Hint { offset, ..Hint::default() };
        Self { target: Target { position, hint }, bound }
    }
}

impl Exchange<'_> {
    /// What a target of this page means.
    pub(crate) fn aim_at(&self, target: &Target) -> Result<Aim, Violation> {
        let asked = match (&self.aim.target.position, self.aim.bound) {
            (Position::After(anchor) | Position::Before(anchor), Bound::After(place) | Bound::Before(place)) => {
                Some((anchor, place))
            }
            _ => None,
        };
        let place_of = |anchor: &Anchor| {
            let (first, last) = (self.rows.first(), self.rows.last());
            let own = [first, last].into_iter().flatten().find(|row| row.anchor == *anchor).map(|row| row.place);
            let again = asked.filter(|(asked, _)| *asked == anchor).map(|(_, place)| place);
            own.or_else(|| again.filter(|_| self.rows.is_empty()))
        };
        let bound = match &target.position {
            Position::Start => Some(Bound::Start),
            Position::End => Some(Bound::End),
            Position::At(offset) => Some(Bound::At(offset.0)),
            Position::After(anchor) => place_of(anchor).map(Bound::After),
            Position::Before(anchor) => place_of(anchor).map(Bound::Before),
        };
        let neighbour = match bound {
            _ if self.rows.is_empty() => bound,
            Some(Bound::After(place)) => bound.filter(|_| self.rows.last().is_some_and(|row| row.place == place)),
            Some(Bound::Before(place)) => bound.filter(|_| self.rows.first().is_some_and(|row| row.place == place)),
            _ => None,
        };
        neighbour.map(|bound| Aim { target: target.clone(), bound }).ok_or_else(|| Violation {
            promise: "neighbours",
            what: format!("{target:?} is not beside the page's own items"),
        })
    }
}
