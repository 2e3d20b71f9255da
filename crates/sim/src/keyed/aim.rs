//! The position that a client requests: the target of its cursor, and the true place in the order that the target
//! means.

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

/// A target, with the simulator's knowledge about it.
#[derive(Clone, Debug)]
pub(crate) struct Aim {
    pub(crate) target: Target,
    pub(crate) bound: Bound,
    /// The total of the walk's first page; `None` if it isn't known, or if the cursor doesn't contain it.
    pub(crate) first_total: Option<Total>,
    /// True if the hint is reliable: it comes from a page whose answers showed their offsets in the whole list. Always
    /// false for the cursor of an item, which has no hint.
    pub(crate) hinted: bool,
}

/// A position by the true places of rows; `At` has an offset.
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

    /// Returns the place beside which the bound lies; `None` for the start, the end and an offset.
    pub(crate) fn place(self) -> Option<Place> {
        match self {
            Self::After(place) | Self::Before(place) => Some(place),
            Self::Start | Self::End | Self::At(_) => None,
        }
    }
}

impl Aim {
    /// Returns an aim whose hint has only an offset.
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

    /// Returns the position after a row (`forward`) or before it, without a hint.
    pub(crate) fn beside(row: &Rc<Row>, anchor: Anchor, forward: bool) -> Self {
        match forward {
            true => Self::bare(Position::After(anchor), Bound::After(row.place), Offset(0)),
            false => Self::bare(Position::Before(anchor), Bound::Before(row.place), Offset(0)),
        }
    }

    /// Removes the hint, as in an item's cursor. The start, the end and offsets keep their hints.
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
    /// Returns the position, with its true place, of a target that this page offers as its next or previous page.
    ///
    /// # Errors
    ///
    /// Returns a violation if the target does not lie beside the page's own first or last item. Then a walk would skip
    /// or repeat items between the two pages.
    pub(crate) fn aim_at(&self, target: &Target) -> Result<Aim, Violation> {
        let edges = [self.rows.first(), self.rows.last()];
        let place_of = |anchor: &Anchor| {
            let own = edges.into_iter().flatten().find(|row| row.anchor(self.shape) == *anchor).map(|row| row.place);
            // An empty page has no items of its own, so its cursors name the place that was requested.
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
            // A positional page promises nothing about its neighbours.
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
        // A filtered answer doesn't show its offset in the whole list. A false status can make a tie run seem to end.
        // Rows of the run that the status hid may come before the item, so the offset of a `checked` page may be too
        // small.
        let hoax = self.shown.iter().any(|showing| showing.hoax);
        let misled = hoax && self.page.level() != Level::Exact && !self.shape.is_orderly();
        let hinted = !misled && (self.aim.hinted || self.shown.iter().any(|showing| showing.plain));
        Ok(Aim { target: target.clone(), bound, first_total, hinted })
    }
}
