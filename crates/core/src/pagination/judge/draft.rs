//! A page that is being put together: the boundary that the next answer must prove, the items taken, and whether more
//! items exist on each side.

mod assembly;
mod take;

use std::{ops::Range, sync::Arc};

use super::evidence::Evidence;
use crate::pagination::{
    answer::Total,
    direction::{Side, Way},
    order::Order,
    position::{Anchor, Hint, Position, Target},
    unsorted::Unsorted,
    window::Offset,
};

pub(in crate::pagination) use assembly::Verdict;

/// The list that slices are requested from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pagination) enum Ground {
    /// The whole list. An answer from offset 0 begins at the start of the list.
    Whole,
    /// The items that pass a filter, which should let the anchor through. An answer from the start of this list proves
    /// the boundary if its first item doesn't come after the anchor. If the first item comes after the anchor, the
    /// filter is trusted, and the page is `checked`. An empty answer proves nothing: the position is lost, and the
    /// strategy returns to the whole list.
    Filtered,
}

/// The place that an answer must show before a page takes any of its items.
#[derive(Clone, Debug)]
pub(in crate::pagination) enum Boundary {
    /// The page begins with the first item of the list.
    Start,
    /// The page continues right after this item, or after all items that tie with it if `whole`.
    After { anchor: Anchor, whole: bool },
    /// The page continues backward from right before this item, or before all items that tie with it if `whole`.
    Before { anchor: Anchor, whole: bool },
    /// The page begins at this offset, whatever item is there.
    At(u64),
    /// The page ends with the last item of the list.
    Tail,
}

/// The result of offering an answer to the page.
#[derive(Debug)]
pub(in crate::pagination) enum Progress {
    /// The page is complete.
    Done,
    /// The answer was used, but the page needs another one.
    More,
    /// The answer shows the boundary, but an edge of the answer cuts a run of ties next to it.
    Cut(Cut, Box<Evidence>),
    /// The answer doesn't contain the boundary, which is on this side of the answer.
    Missed(Box<Evidence>, Side),
    /// The answer's items don't show where the boundary is. The side is the side of the answer on which to search next;
    /// `None` if the boundary is expected among these items.
    Apart(Box<Evidence>, Option<Side>),
}

/// A run of ties that an edge of an answer cuts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::pagination) struct Cut {
    /// The offsets that one answer must cover to show the whole run. They are necessary, but may not suffice.
    pub(in crate::pagination) needed: Range<u64>,
    /// True if the run may continue before the answer.
    pub(in crate::pagination) left: bool,
    /// True if the run may continue after the answer.
    pub(in crate::pagination) right: bool,
}

/// A taken item: the index of its view, and its place in the view's arrangement.
#[derive(Clone, Copy, Debug)]
struct Taken {
    view: usize,
    place: usize,
}

/// The requested page, as it stays while answers are read.
#[derive(Debug)]
struct WantedPage {
    order: Arc<Order>,
    ground: Ground,
    limit: usize,
    hint: Hint,
    /// The offset at which the page begins if it can only be served by offset.
    nearest: u64,
    /// True if answers are used as received, by offset only.
    unchecked: bool,
    /// True if the page ends with the last item of the list.
    is_last: bool,
}

/// The boundary that the next answer must prove.
#[derive(Debug)]
struct NextBoundary {
    boundary: Boundary,
    /// The expected offset of the boundary.
    offset: u64,
    /// The number of items next to the boundary that are expected to tie with the anchor.
    run: u64,
}

/// The existence of more items on each side of the page; `None` while no answer has shown it.
#[derive(Debug, Default)]
struct MoreItems {
    before: Option<bool>,
    after: Option<bool>,
}

/// The reasons for which a page is less than exact.
#[derive(Debug, Default)]
struct Weakness {
    /// True if a fact that the page relies on was shown only by two answers together, or is trusted.
    checked: bool,
    /// True if a fact that the page relies on was not shown by any answer.
    assumed: bool,
}

/// A page that is being put together from answers.
#[derive(Debug)]
pub(in crate::pagination) struct Draft {
    wanted: WantedPage,
    next: NextBoundary,
    /// True while all items up to the end of the list are taken, of which only the last `limit` are kept.
    to_the_end: bool,
    views: Vec<Evidence>,
    taken: Vec<Taken>,
    more: MoreItems,
    weakness: Weakness,
    drift: Option<i64>,
    total: Option<Total>,
    /// The offset at which two answers agree that the list ends, whatever a count says; `None` without such answers.
    ended_at: Option<u64>,
    /// The number of empty answers that were skipped at or after the requested offset.
    skipped: u32,
}

impl Draft {
    /// Begins a page of `limit` items at a target. Answers are used as received, by offset only, if `unchecked`.
    pub(in crate::pagination) fn new(
        order: Arc<Order>,
        target: &Target,
        limit: u32,
        ground: Ground,
        unchecked: bool,
    ) -> Self {
        // A cursor or a client may name any offset. Offsets are bounded to keep their sums from overflowing. Test:
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
            // Without proofs a page begins at the offset of its hint, wherever its item has moved to. Test:
            // `a_place_that_moved_is_searched_for_unless_pages_are_by_offset`.
            Position::After(_) if unchecked => by_offset(hint.offset.0),
            Position::Before(_) if unchecked => by_offset(hint.offset.0.saturating_sub(u64::from(limit))),
            Position::At(offset) => by_offset(offset.believed().0),
            Position::End => (Boundary::Tail, hint.total.unwrap_or(hint.offset.0)),
            Position::After(anchor) => (Boundary::After { anchor: anchor.clone(), whole: false }, hint.offset.0),
            Position::Before(anchor) => (Boundary::Before { anchor: anchor.clone(), whole: false }, hint.offset.0),
            // These positions don't name an item by its keys, so only their hint counts here.
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
            wanted: WantedPage {
                order,
                ground,
                limit: limit as usize,
                hint,
                nearest,
                unchecked,
                is_last: matches!(boundary, Boundary::Tail),
            },
            next: NextBoundary { boundary, offset, run: u64::from(hint.run) },
            // Most pages need only one answer.
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

    /// Restarts the page at an offset. Answers are used as received, by offset only, if `unchecked`.
    pub(in crate::pagination) fn restart_at(&mut self, offset: u64, unchecked: bool) {
        let target = Target { position: Position::At(Offset(offset)), hint: self.wanted.hint };
        let limit = u32::try_from(self.wanted.limit).unwrap_or(u32::MAX);
        *self = Self::new(Arc::clone(&self.wanted.order), &target, limit, self.wanted.ground, unchecked);
    }

    /// Returns whether answers are used as received, by offset only.
    pub(in crate::pagination) fn is_unchecked(&self) -> bool {
        self.wanted.unchecked
    }

    /// Returns whether the page begins with the first item of the list and hasn't taken any item yet.
    pub(in crate::pagination) fn is_at_start(&self) -> bool {
        matches!(self.next.boundary, Boundary::Start)
    }

    /// Returns the offset at which the boundary is expected.
    pub(in crate::pagination) fn offset(&self) -> u64 {
        self.next.offset
    }

    /// Changes the expected offset of a boundary that can be searched for. A start or an offset stays where it is.
    pub(in crate::pagination) fn believe(&mut self, offset: u64) {
        if self.can_be_searched_for() {
            self.next.offset = Offset(offset).believed().0;
        }
    }

    /// Returns whether the boundary may be at any offset: next to an item, or at the end.
    pub(in crate::pagination) fn can_be_searched_for(&self) -> bool {
        matches!(self.next.boundary, Boundary::After { .. } | Boundary::Before { .. } | Boundary::Tail)
    }

    pub(in crate::pagination) fn hint(&self) -> Hint {
        self.wanted.hint
    }

    pub(in crate::pagination) fn len(&self) -> usize {
        self.taken.len()
    }

    /// Returns the first answer that the page took items from; `None` if there isn't one.
    pub(in crate::pagination) fn first_view(&self) -> Option<&Evidence> {
        self.views.first()
    }

    /// Returns the last answer that the page took items from; `None` if there isn't one.
    pub(in crate::pagination) fn last_view(&self) -> Option<&Evidence> {
        self.views.last()
    }

    /// Returns the offset at which the page begins if it can't be proven, however many items have been taken since.
    pub(in crate::pagination) fn nearest(&self) -> u64 {
        self.wanted.nearest
    }

    /// Returns whether all items up to the end are being read. While they are, no page can be served.
    pub(in crate::pagination) fn seeks_the_end(&self) -> bool {
        self.to_the_end
    }

    /// Returns whether the page was requested by an offset and has no item at or after that offset yet.
    pub(in crate::pagination) fn is_nothing_by_offset(&self) -> bool {
        matches!(self.next.boundary, Boundary::At(_)) && self.taken.is_empty()
    }

    /// Returns whether answers have shown that the list is empty, whatever counts say.
    pub(in crate::pagination) fn is_nothing(&self) -> bool {
        self.taken.is_empty() && self.more.before == Some(false) && self.more.after == Some(false)
    }

    /// Notes an answer's claim that more items follow in the direction of reading. A claim never proves an end, but it
    /// suffices for a link to another page.
    pub(in crate::pagination) fn goes_on(&mut self) {
        match self.way() {
            Way::Forward => self.more.after = Some(true),
            Way::Backward => self.more.before = Some(true),
        }
    }

    /// Links back to the item of the boundary, because an answer shows that it is still in the list.
    pub(in crate::pagination) fn link_back(&mut self) {
        match self.way() {
            Way::Forward if self.more.before.is_some() => self.more.before = Some(true),
            Way::Backward if self.more.after.is_some() => self.more.after = Some(true),
            Way::Forward | Way::Backward => {}
        }
    }

    /// Returns whether the page claims that the list ends after its last item. While the last page is still read
    /// towards the start, it claims nothing: it isn't served yet.
    pub(in crate::pagination) fn claims_the_end(&self) -> bool {
        let is_whole_last_page = self.wanted.is_last && (self.is_full() || self.more.before == Some(false));
        self.more.after == Some(false) && (self.way() == Way::Forward || is_whole_last_page || self.is_nothing())
    }

    /// Returns whether the page ends with the last item of the list.
    pub(in crate::pagination) fn is_the_last_page(&self) -> bool {
        self.wanted.is_last
    }

    /// Returns the item after which the page claims the end of the list: its last item, or the item that it begins
    /// after. `None` for a list without items, and if no cursor can hold the item's keys.
    pub(in crate::pagination) fn last_before_the_end(&self) -> Option<Anchor> {
        match (self.taken.last(), &self.next.boundary) {
            (Some(last), _) => {
                let view = &self.views[last.view];
                view.anchor(&self.wanted.order, last.place)
            }
            (None, Boundary::After { anchor, .. }) => Some(anchor.clone()),
            _ => None,
        }
    }

    /// Returns the expected offset after the last item of the page, or the offset of the boundary if it has no item.
    pub(in crate::pagination) fn reached(&self) -> u64 {
        self.taken.last().map_or(self.next.offset, |last| self.views[last.view].offset(last.place).saturating_add(1))
    }

    /// Returns the answer that contains the page's last item; `None` if the page has no item.
    pub(in crate::pagination) fn view_of_last(&self) -> Option<&Evidence> {
        self.taken.last().map(|last| &self.views[last.view])
    }

    /// Returns whether the answer that contains the page's last item shows further items, which the page didn't take.
    pub(in crate::pagination) fn has_left_items(&self) -> bool {
        self.taken.last().is_some_and(|last| last.place + 1 < self.views[last.view].len())
    }

    /// Takes back the claim that the list ends after the page's last item, because an answer shows an item after it.
    ///
    /// # Errors
    ///
    /// [`Unsorted`] if no cursor can hold the keys of the last item.
    pub(in crate::pagination) fn reopen(&mut self) -> Result<(), Unsorted> {
        (self.more.after, self.ended_at) = (None, None);
        self.to_the_end = self.wanted.is_last;
        if self.taken.is_empty() {
            // An empty answer from the start has shown neither end. Regression:
            // `crates/sim/regressions/a-start-after-an-empty-answer.txt`.
            self.more.before = None;
        }
        if let Some(Taken { view, place }) = self.taken.last().copied() {
            let seen = &self.views[view];
            let whole = place + 1 < seen.len() && !seen.ties(&self.wanted.order, place, place + 1);
            let run = if whole { 0 } else { u64::from(seen.run_through(&self.wanted.order, place)) };
            let anchor = self.anchor(seen, place)?;
            let offset = seen.offset(place).saturating_add(1);
            self.next = NextBoundary { boundary: Boundary::After { anchor, whole }, offset, run };
        }
        Ok(())
    }

    /// Notes that the list ends after the last item taken, by several answers together.
    pub(in crate::pagination) fn end_after_the_last(&mut self) {
        (self.more.after, self.weakness.checked) = (Some(false), true);
        if self.taken.is_empty() {
            // An empty page begins after an item, or the list is empty.
            self.more.before = Some(!self.is_at_start());
        }
    }

    /// Notes that the list is empty, by several answers together.
    pub(in crate::pagination) fn end_of_nothing(&mut self) {
        (self.more.before, self.more.after, self.weakness.checked) = (Some(false), Some(false), true);
    }

    /// Notes that the end of the list is only as certain as several answers together.
    pub(in crate::pagination) fn end_is_checked(&mut self) {
        self.weakness.checked = true;
    }

    /// Notes that the list has no item at or after the requested offset.
    pub(in crate::pagination) fn end_here(&mut self) {
        self.more.after = Some(false);
    }

    /// Returns whether the page has reached its limit.
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

    /// Returns the number of items that the page still needs, or the whole limit while all items up to the end are
    /// taken.
    pub(in crate::pagination) fn need(&self) -> u64 {
        if self.to_the_end { self.wanted.limit as u64 } else { (self.wanted.limit - self.taken.len()) as u64 }
    }

    /// Returns the place that the next answer must prove.
    pub(in crate::pagination) fn boundary(&self) -> &Boundary {
        &self.next.boundary
    }

    /// Returns the number of items next to the boundary that are expected to tie with its anchor.
    pub(in crate::pagination) fn tied(&self) -> u64 {
        self.next.run
    }

    pub(in crate::pagination) fn order(&self) -> &Order {
        &self.wanted.order
    }
}
