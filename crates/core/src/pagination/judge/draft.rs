//! A page that is being put together: the boundary that the next answer must prove, the items taken, and the knowledge
//! of more items on both sides.

mod assembly;
mod take;

use std::{ops::Range, sync::Arc};

use super::evidence::Evidence;
use crate::pagination::{
    answer::Total,
    direction::{Side, Way},
    order::Order,
    position::{Anchor, Hint, Position, Target},
    window::Offset,
};

pub(in crate::pagination) use assembly::Verdict;

/// The list that slices are cut from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pagination) enum Ground {
    /// The whole list: an answer from the very start begins at its start.
    Whole,
    /// The items that pass a filter, which should let the anchor through. An answer from the start of such a list
    /// proves the boundary only if its first item does not come after the anchor; if it does, the filter is trusted,
    /// and the page is `checked`. An empty answer proves nothing: the position is lost, and the strategy goes back to
    /// the whole list.
    Filtered,
}

/// The place that an answer must show before any of its items is taken.
#[derive(Clone, Debug)]
pub(in crate::pagination) enum Boundary {
    /// The page begins with the first item.
    Start,
    /// The page goes on right after this item; `whole`: after all items that tie with it.
    After { anchor: Anchor, whole: bool },
    /// The page goes back from right before this item; `whole`: before all items that tie with it.
    Before { anchor: Anchor, whole: bool },
    /// The page begins at this offset, whatever item is there.
    At(u64),
    /// The page is the end of the list.
    Tail,
}

/// The use of an answer to the page.
#[derive(Debug)]
pub(in crate::pagination) enum Progress {
    /// The page is complete.
    Done,
    /// The answer was used, and more is needed.
    More,
    /// The boundary was seen, but a run of ties beside it is cut by an edge of the answer.
    Cut(Cut, Box<Evidence>),
    /// The boundary is not in the answer, but on this side of it.
    Missed(Box<Evidence>, Side),
    /// The boundary has no place among the answer's items. The side is the one on which it is expected beside them, if
    /// it can be there.
    Apart(Box<Evidence>, Option<Side>),
}

/// A run of ties that is cut by an edge of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::pagination) struct Cut {
    /// The offsets that one answer must hold to show the run closed. They are known to be needed, and may not be
    /// enough.
    pub(in crate::pagination) needed: Range<u64>,
    /// The run goes on before them.
    pub(in crate::pagination) left: bool,
    /// The run goes on after them.
    pub(in crate::pagination) right: bool,
}

/// An item taken, by its view and its place in the view's arrangement.
#[derive(Clone, Copy, Debug)]
struct Taken {
    view: usize,
    place: usize,
}

/// The page that is asked for, which stays the same while it is read.
#[derive(Debug)]
struct WantedPage {
    order: Arc<Order>,
    ground: Ground,
    limit: usize,
    hint: Hint,
    /// The offset at which the page begins if it can only be served by offset.
    nearest: u64,
    /// True if answers are taken as they came, by offset alone.
    unchecked: bool,
}

/// The boundary that the next answer must prove.
#[derive(Debug)]
struct NextBoundary {
    boundary: Boundary,
    /// The expected offset of the boundary.
    offset: u64,
    /// The number of items beside it that are expected to tie with the anchor.
    run: u64,
}

/// The knowledge of more items on each side of the page; `None` where nothing has shown it yet.
#[derive(Debug, Default)]
struct MoreItems {
    before: Option<bool>,
    after: Option<bool>,
}

/// The facts by which a page is less than exact.
#[derive(Debug, Default)]
struct Weakness {
    /// True if a fact that the page rests on was seen only in two answers together, or is trusted.
    checked: bool,
    /// True if a fact that the page rests on is not shown at all.
    assumed: bool,
}

/// A page under way.
#[derive(Debug)]
pub(in crate::pagination) struct Draft {
    wanted: WantedPage,
    next: NextBoundary,
    /// True while all items up to the end of the list are taken, of which the last `limit` are kept.
    to_the_end: bool,
    views: Vec<Evidence>,
    taken: Vec<Taken>,
    more: MoreItems,
    weakness: Weakness,
    drift: Option<i64>,
    total: Option<Total>,
    /// The offset at which two answers agree that the list ends, against any count.
    ended_at: Option<u64>,
    /// The number of empty answers that were passed over after the offset that is asked for.
    skipped: u32,
}

impl Draft {
    /// Begins a page of `limit` items at a target, taking answers as they come where `unchecked`.
    pub(in crate::pagination) fn new(
        order: Arc<Order>,
        target: &Target,
        limit: u32,
        ground: Ground,
        unchecked: bool,
    ) -> Self {
        // A cursor or a client may name any offset: offsets are bounded, so that sums of them don't overflow. Test:
        // `hostile_places_neither_overflow_nor_loop`.
        let believed = |offset: u64| Offset(offset).believed().0;
        let hint =
            Hint { offset: target.hint.offset.believed(), total: target.hint.total.map(believed), ..target.hint };
        let by_offset = |offset: u64| match offset {
            0 => (Boundary::Start, 0),
            _ => (Boundary::At(offset), offset),
        };
        let (boundary, offset) = match &target.position {
            Position::Start => (Boundary::Start, 0),
            // Without proofs a page stands at its offset, wherever its item has moved to. Test:
            // `a_place_that_moved_is_searched_for_unless_pages_are_by_offset`.
            Position::After(_) if unchecked => by_offset(hint.offset.0),
            Position::Before(_) if unchecked => by_offset(hint.offset.0.saturating_sub(u64::from(limit))),
            Position::At(offset) => by_offset(offset.believed().0),
            Position::End => (Boundary::Tail, hint.total.unwrap_or(hint.offset.0)),
            Position::After(anchor) => (Boundary::After { anchor: anchor.clone(), whole: false }, hint.offset.0),
            Position::Before(anchor) => (Boundary::Before { anchor: anchor.clone(), whole: false }, hint.offset.0),
            // These name no item by its keys: their hint is all that counts here.
            Position::AfterPivot(_)
            | Position::BeforePivot(_)
            | Position::AfterMarks(_)
            | Position::BeforeMarks(_)
            | Position::Token(_) => (Boundary::At(hint.offset.0), hint.offset.0),
        };
        let nearest = match boundary {
            Boundary::Before { .. } | Boundary::Tail => offset.saturating_sub(u64::from(limit)),
            Boundary::Start | Boundary::After { .. } | Boundary::At(_) => offset,
        };
        Self {
            to_the_end: matches!(boundary, Boundary::Tail),
            wanted: WantedPage { order, ground, limit: limit as usize, hint, nearest, unchecked },
            next: NextBoundary { boundary, offset, run: u64::from(hint.run) },
            // Most pages are made of one answer.
            views: Vec::with_capacity(1),
            taken: Vec::new(),
            more: MoreItems::default(),
            weakness: Weakness::default(),
            drift: None,
            total: None,
            ended_at: None,
            skipped: 0,
        }
    }

    /// Begins anew at an offset, taking answers as they come where `unchecked`.
    pub(in crate::pagination) fn restart_at(&mut self, offset: u64, unchecked: bool) {
        let target = Target { position: Position::At(Offset(offset)), hint: self.wanted.hint };
        let limit = u32::try_from(self.wanted.limit).unwrap_or(u32::MAX);
        *self = Self::new(Arc::clone(&self.wanted.order), &target, limit, self.wanted.ground, unchecked);
    }

    /// Returns whether answers are taken as they came.
    pub(in crate::pagination) fn is_unchecked(&self) -> bool {
        self.wanted.unchecked
    }

    /// Returns whether the page begins with the first item, and has none yet.
    pub(in crate::pagination) fn is_at_start(&self) -> bool {
        matches!(self.next.boundary, Boundary::Start)
    }

    /// Returns the expected offset of the boundary.
    pub(in crate::pagination) fn offset(&self) -> u64 {
        self.next.offset
    }

    /// Expects the boundary at another offset if it can be searched for; a start or an offset stays where it is.
    pub(in crate::pagination) fn believe(&mut self, offset: u64) {
        if self.can_be_searched_for() {
            self.next.offset = Offset(offset).believed().0;
        }
    }

    /// Returns whether the boundary can stand anywhere: beside an item, or at the end.
    pub(in crate::pagination) fn can_be_searched_for(&self) -> bool {
        matches!(self.next.boundary, Boundary::After { .. } | Boundary::Before { .. } | Boundary::Tail)
    }

    /// Returns the hint of the target.
    pub(in crate::pagination) fn hint(&self) -> Hint {
        self.wanted.hint
    }

    /// Returns the number of items taken so far.
    pub(in crate::pagination) fn len(&self) -> usize {
        self.taken.len()
    }

    /// Returns the answer that items were taken from last.
    pub(in crate::pagination) fn last_view(&self) -> Option<&Evidence> {
        self.views.last()
    }

    /// Returns the offset at which a page that can't be proven would begin, however far it has been read since.
    pub(in crate::pagination) fn nearest(&self) -> u64 {
        self.wanted.nearest
    }

    /// Returns whether all items up to the end are being read, so that no page short of the end can be served.
    pub(in crate::pagination) fn seeks_the_end(&self) -> bool {
        self.to_the_end
    }

    /// Returns whether the page is asked for by an offset, and no item at or after that offset has been taken.
    pub(in crate::pagination) fn is_nothing_by_offset(&self) -> bool {
        matches!(self.next.boundary, Boundary::At(_)) && self.taken.is_empty()
    }

    /// Returns whether the list was seen to be empty, whatever the counts.
    pub(in crate::pagination) fn is_nothing(&self) -> bool {
        self.taken.is_empty() && self.more.before == Some(false) && self.more.after == Some(false)
    }

    /// Notes that more items follow in the direction of reading, as an answer claims. A claim never proves an end,
    /// but suffices for a link to a further page.
    pub(in crate::pagination) fn goes_on(&mut self) {
        match self.way() {
            Way::Forward => self.more.after = Some(true),
            Way::Backward => self.more.before = Some(true),
        }
    }

    /// Notes that no item is at the offset that was asked for, nor after it.
    pub(in crate::pagination) fn end_here(&mut self) {
        self.more.after = Some(false);
    }

    /// Returns whether the page has all the items it can have.
    pub(in crate::pagination) fn is_full(&self) -> bool {
        self.taken.len() >= self.wanted.limit
    }

    /// Returns the direction in which a chain of answers grows.
    pub(in crate::pagination) fn way(&self) -> Way {
        match self.next.boundary {
            Boundary::Before { .. } => Way::Backward,
            _ => Way::Forward,
        }
    }

    /// Returns the number of items that the page still needs: the whole limit while all items up to the end are
    /// taken.
    pub(in crate::pagination) fn need(&self) -> u64 {
        if self.to_the_end { self.wanted.limit as u64 } else { (self.wanted.limit - self.taken.len()) as u64 }
    }

    /// Returns the place that the next answer must prove.
    pub(in crate::pagination) fn boundary(&self) -> &Boundary {
        &self.next.boundary
    }

    /// Returns the number of items beside the boundary that are expected to tie with its anchor.
    pub(in crate::pagination) fn tied(&self) -> u64 {
        self.next.run
    }

    /// Returns the order of the list.
    pub(in crate::pagination) fn order(&self) -> &Order {
        &self.wanted.order
    }
}
