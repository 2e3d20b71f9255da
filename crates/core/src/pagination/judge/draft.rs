//! What a page has so far: the boundary that the next answer must prove, the items taken, what is known of both sides.

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

/// From what slices are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pagination) enum Ground {
    /// The whole list: what is asked from the very start begins at its start.
    Whole,
    /// What passes a filter that should let the anchor through: its start is the boundary's only where the first item
    /// does not come after the anchor; where it does, the filter is trusted, and the page `checked`. Nothing at all proves
    /// nothing: the position is lost, and whoever chose the filter goes back to the whole list.
    Filtered,
}

/// What an answer must prove before anything of it is taken.
#[derive(Clone, Debug)]
pub(in crate::pagination) enum Boundary {
    /// The page begins with the first item.
    Start,
    /// The page goes on right after this item; `whole`: after all that tie with it.
    After { anchor: Anchor, whole: bool },
    /// The page goes back from right before this item; `whole`: before all that tie with it.
    Before { anchor: Anchor, whole: bool },
    /// The page begins at this offset, whatever is there.
    At(u64),
    /// The page is the end of the list.
    Tail,
}

/// What came of an answer.
#[derive(Debug)]
pub(in crate::pagination) enum Progress {
    /// The page is complete.
    Done,
    /// The answer was used, and more is needed.
    More,
    /// The boundary was seen, but a run of ties beside it is cut by an edge of the answer.
    Cut(Cut, Box<Evidence>),
    /// The boundary is not in it, but on this side of it.
    Missed(Box<Evidence>, Side),
    /// The boundary has no place among its items. If there is one beside them, it is on this side, as far as is believed.
    Apart(Box<Evidence>, Option<Side>),
}

/// A run of ties that is cut by an edge of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::pagination) struct Cut {
    /// The offsets that one answer must hold so that the run may be seen closed; they are known to be needed, and may
    /// not be enough.
    pub(in crate::pagination) needed: Range<u64>,
    /// It goes on before them.
    pub(in crate::pagination) left: bool,
    /// It goes on behind them.
    pub(in crate::pagination) right: bool,
}

/// An item taken: in which view, at which place of its arrangement.
#[derive(Clone, Copy, Debug)]
struct Taken {
    view: usize,
    place: usize,
}

/// A page under way.
#[derive(Debug)]
pub(in crate::pagination) struct Draft {
    order: Arc<Order>,
    ground: Ground,
    limit: usize,
    boundary: Boundary,
    /// Where the boundary is believed to be, and how many items beside it tie with the anchor.
    offset: u64,
    run: u64,
    /// Where the page begins if it can only be served by offset.
    nearest: u64,
    /// Everything up to the end is taken, of which the last `limit` are kept.
    to_the_end: bool,
    /// Answers are taken as they came, by offset alone.
    unchecked: bool,
    views: Vec<Evidence>,
    taken: Vec<Taken>,
    more_before: Option<bool>,
    more_behind: Option<bool>,
    /// Something that the page rests on was seen in two answers only, or is trusted.
    checked: bool,
    /// Something that the page rests on is not shown at all.
    assumed: bool,
    drift: Option<i64>,
    total: Option<Total>,
    /// Where the list was seen to end, whatever it counts.
    ended_at: Option<u64>,
    hint: Hint,
    /// How many empty answers were passed over behind the offset that is asked for.
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
        let believed = |offset: u64| Offset(offset).believed().0;
        let hint =
            Hint { offset: target.hint.offset.believed(), total: target.hint.total.map(believed), ..target.hint };
        let by_offset = |offset: u64| match offset {
            0 => (Boundary::Start, 0),
            _ => (Boundary::At(offset), offset),
        };
        let (boundary, offset) = match &target.position {
            Position::Start => (Boundary::Start, 0),
            Position::After(_) if unchecked => by_offset(hint.offset.0),
            Position::Before(_) if unchecked => by_offset(hint.offset.0.saturating_sub(u64::from(limit))),
            Position::At(offset) => by_offset(offset.believed().0),
            Position::End => (Boundary::Tail, hint.total.unwrap_or(hint.offset.0)),
            Position::After(anchor) => (Boundary::After { anchor: anchor.clone(), whole: false }, hint.offset.0),
            Position::Before(anchor) => (Boundary::Before { anchor: anchor.clone(), whole: false }, hint.offset.0),
            // Of these nothing is known here but the hint.
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
            order,
            ground,
            limit: limit as usize,
            nearest,
            to_the_end: matches!(boundary, Boundary::Tail),
            boundary,
            offset,
            run: u64::from(hint.run),
            unchecked,
            views: Vec::new(),
            taken: Vec::new(),
            more_before: None,
            more_behind: None,
            checked: false,
            assumed: false,
            drift: None,
            total: None,
            ended_at: None,
            hint,
            skipped: 0,
        }
    }

    /// Begins anew at an offset, taking answers as they come where `unchecked`.
    pub(in crate::pagination) fn restart_at(&mut self, offset: u64, unchecked: bool) {
        let target = Target { position: Position::At(Offset(offset)), hint: self.hint };
        let limit = u32::try_from(self.limit).unwrap_or(u32::MAX);
        *self = Self::new(Arc::clone(&self.order), &target, limit, self.ground, unchecked);
    }

    /// Whether answers are taken as they came.
    pub(in crate::pagination) fn is_unchecked(&self) -> bool {
        self.unchecked
    }

    /// Whether the page begins with the first item, and nothing of it is there yet.
    pub(in crate::pagination) fn is_at_start(&self) -> bool {
        matches!(self.boundary, Boundary::Start)
    }

    /// The believed offset of the boundary.
    pub(in crate::pagination) fn offset(&self) -> u64 {
        self.offset
    }

    /// Believes the boundary of an item, or the end, to be elsewhere.
    pub(in crate::pagination) fn believe(&mut self, offset: u64) {
        if self.can_be_searched_for() {
            self.offset = Offset(offset).believed().0;
        }
    }

    /// Whether the boundary is one that can stand anywhere: beside an item, or at the end.
    pub(in crate::pagination) fn can_be_searched_for(&self) -> bool {
        matches!(self.boundary, Boundary::After { .. } | Boundary::Before { .. } | Boundary::Tail)
    }

    /// What the target said that helps to aim.
    pub(in crate::pagination) fn hint(&self) -> Hint {
        self.hint
    }

    /// How many items the page has.
    pub(in crate::pagination) fn len(&self) -> usize {
        self.taken.len()
    }

    /// The answer that items were taken from last.
    pub(in crate::pagination) fn last_view(&self) -> Option<&Evidence> {
        self.views.last()
    }

    /// The offset at which a page that can't be proven would begin, wherever the reading has got to since.
    pub(in crate::pagination) fn nearest(&self) -> u64 {
        self.nearest
    }

    /// Whether everything up to the end is being read, so that nothing short of it can be served.
    pub(in crate::pagination) fn seeks_the_end(&self) -> bool {
        self.to_the_end
    }

    /// Whether the page is asked for by an offset at which nothing was found.
    pub(in crate::pagination) fn is_nothing_by_offset(&self) -> bool {
        matches!(self.boundary, Boundary::At(_)) && self.taken.is_empty()
    }

    /// Whether the list was seen to hold nothing at all, whatever it counts.
    pub(in crate::pagination) fn is_nothing(&self) -> bool {
        self.taken.is_empty() && self.more_before == Some(false) && self.more_behind == Some(false)
    }

    /// Says that there is more in the direction of reading, as a count does: what proves no end may say that there is
    /// none.
    pub(in crate::pagination) fn goes_on(&mut self) {
        match self.way() {
            Way::Forward => self.more_behind = Some(true),
            Way::Backward => self.more_before = Some(true),
        }
    }

    /// Says that nothing is at the offset that was asked for, nor behind it.
    pub(in crate::pagination) fn end_here(&mut self) {
        self.more_behind = Some(false);
    }

    /// Whether the page has all the items it can have.
    pub(in crate::pagination) fn is_full(&self) -> bool {
        self.taken.len() >= self.limit
    }

    /// Which way a chain of answers grows.
    pub(in crate::pagination) fn way(&self) -> Way {
        match self.boundary {
            Boundary::Before { .. } => Way::Backward,
            _ => Way::Forward,
        }
    }

    /// How many more items the page needs.
    pub(in crate::pagination) fn need(&self) -> u64 {
        if self.to_the_end { self.limit as u64 } else { (self.limit - self.taken.len()) as u64 }
    }

    /// What the next answer must prove.
    pub(in crate::pagination) fn boundary(&self) -> &Boundary {
        &self.boundary
    }

    /// How many items beside the boundary are believed to tie with its anchor.
    pub(in crate::pagination) fn tied(&self) -> u64 {
        self.run
    }

    /// The order of the list.
    pub(in crate::pagination) fn order(&self) -> &Order {
        &self.order
    }
}
