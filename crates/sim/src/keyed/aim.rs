//! The place at which a page begins, as the simulator knows it: a target, and the place in the order that it means.

use std::rc::Rc;

use cursorgate_core::pagination::{
    answer::Total,
    page::Level,
    position::{Anchor, Hint, Position, Target},
    window::Offset,
};

use crate::keyed::{
    promises::{Exchange, Violation},
    row::{Place, Row},
};

/// A target, and what the simulator knows of its position.
#[derive(Clone, Debug)]
pub(crate) struct Aim {
    pub(crate) target: Target,
    pub(crate) bound: Bound,
    /// The size of the collection on the first page of the walk, if the cursor still has it.
    pub(crate) first_total: Option<Total>,
    /// The hint came from a page that saw where it stands; a cursor of an item has none.
    pub(crate) hinted: bool,
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

    /// Returns the place that it refers to.
    pub(crate) fn place(self) -> Option<Place> {
        match self {
            Self::After(place) | Self::Before(place) => Some(place),
            Self::Start | Self::End | Self::At(_) => None,
        }
    }
}

impl Aim {
    /// Returns a target with nothing but an offset to aim by.
    pub(crate) fn bare(position: Position, bound: Bound, offset: Offset) -> Self {
        let hint = Hint { offset, ..Hint::default() };
        Self { target: Target { position, hint }, bound, first_total: None, hinted: false }
    }

    pub(crate) fn start() -> Self {
        Self { hinted: true, ..Self::bare(Position::Start, Bound::Start, Offset(0)) }
    }

    pub(crate) fn end() -> Self {
        Self { hinted: true, ..Self::bare(Position::End, Bound::End, Offset(0)) }
    }

    pub(crate) fn at(offset: u64) -> Self {
        Self::bare(Position::At(Offset(offset)), Bound::At(offset), Offset(offset))
    }

    /// Beside an item, with nothing but the item.
    pub(crate) fn beside(row: &Rc<Row>, anchor: Anchor, forward: bool) -> Self {
        match forward {
            true => Self::bare(Position::After(anchor), Bound::After(row.place), Offset(0)),
            false => Self::bare(Position::Before(anchor), Bound::Before(row.place), Offset(0)),
        }
    }

    /// The same place without what helps to find it, as an item's cursor has it.
    pub(crate) fn without_hint(mut self) -> Self {
        if self.bound.place().is_some() {
            self.target.hint = Hint::default();
            self.hinted = false;
            self.first_total = None;
        }
        self
    }
}

impl Exchange<'_> {
    /// Returns the meaning of a target of this page.
    pub(crate) fn aim_at(&self, target: &Target) -> Result<Aim, Violation> {
        let edges = [self.rows.first(), self.rows.last()];
        let place_of = |anchor: &Anchor| {
            let own = edges.into_iter().flatten().find(|row| row.anchor(self.shape) == *anchor).map(|row| row.place);
            own.or_else(|| self.bound.place().filter(|_| self.rows.is_empty()))
        };
        let bound = match &target.position {
            Position::Start => Some(Bound::Start),
            Position::End => Some(Bound::End),
            Position::At(offset) => Some(Bound::At(offset.0)),
            Position::After(anchor) => place_of(anchor).map(Bound::After),
            Position::Before(anchor) => place_of(anchor).map(Bound::Before),
            Position::AfterPivot(_) => self.bound.place().filter(|_| self.rows.is_empty()).map(Bound::After),
            Position::BeforePivot(_) => self.bound.place().filter(|_| self.rows.is_empty()).map(Bound::Before),
            _ => None,
        };
        let flagged = self.page.level() == Level::Positional;
        let neighbour = match bound {
            _ if self.rows.is_empty() || flagged => bound,
            Some(Bound::After(place)) => bound.filter(|_| self.rows.last().is_some_and(|row| row.place == place)),
            Some(Bound::Before(place)) => bound.filter(|_| self.rows.first().is_some_and(|row| row.place == place)),
            _ => None,
        };
        let bound = neighbour.ok_or_else(|| Violation {
            promise: "neighbours",
            what: format!("{target:?} is not beside the page's own {} items", self.rows.len()),
        })?;
        let first_total = self.aim.first_total.or(self.page.total);
        // Of a filtered list an answer does not tell where it stands in the whole. And of a run of ties that a false status
        // made seem to end, what it hid may come before the item, by its id: the page is `checked`, by two readings that
        // agree (DESIGN 7.1), and its count of what comes before it is no better than they are.
        let hoax = self.shown.iter().any(|showing| showing.hoax);
        let misled = hoax && self.page.level() != Level::Exact && !self.shape.is_orderly();
        let hinted = !misled && (self.aim.hinted || self.shown.iter().any(|showing| showing.plain));
        Ok(Aim { target: target.clone(), bound, first_total, hinted })
    }
}
