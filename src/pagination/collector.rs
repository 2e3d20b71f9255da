//! What a page has so far: the boundary that the next answer must prove, the items taken, what is known of both sides.

mod aim;
mod assembly;

use std::{borrow::Cow, collections::HashSet, sync::Arc};

use super::{
    answer::Total,
    order::Order,
    plan::Growth,
    position::{Anchor, Hint, Position, Target},
    proof::View,
    rows::{self, Unsorted},
    window::Offset,
};

pub(super) use assembly::Verdict;

/// What an answer must prove before anything of it is taken.
#[derive(Clone, Debug)]
enum Boundary {
    /// The page begins with the first item.
    Start,
    /// The page goes on right after this item.
    After(Anchor),
    /// The page goes back from right before this item.
    Before(Anchor),
    /// The page begins at this offset, whatever is there.
    At(u64),
    /// The page is the end of the list, which is believed to be at this offset.
    Tail(u64),
}

/// What came of an answer.
#[derive(Debug)]
pub(super) enum Progress {
    /// The page is complete.
    Done,
    /// The answer was used, and more is needed.
    More,
    /// The boundary was seen, but the run of ties beside it is cut by the edge of the answer.
    Cut,
    /// The boundary is not in it.
    Missed(Box<View>),
}

/// An item taken: in which view, at which place of its arrangement.
#[derive(Clone, Copy, Debug)]
struct Taken {
    view: usize,
    place: usize,
}

/// A page under way.
#[derive(Debug)]
pub(super) struct Collector {
    order: Arc<Order>,
    limit: usize,
    boundary: Boundary,
    /// Where the boundary is believed to be, and how many items beside it share the anchor's strong keys.
    offset: u64,
    run: u64,
    /// Where the page begins if it can only be served by offset.
    nearest: u64,
    /// Everything up to the end is taken, of which the last `limit` are kept.
    to_the_end: bool,
    /// Answers are taken as they came, by offset alone.
    unchecked: bool,
    views: Vec<View>,
    taken: Vec<Taken>,
    more_before: Option<bool>,
    more_behind: Option<bool>,
    drift: Option<i64>,
    total: Option<Total>,
    hint: Hint,
}

impl Collector {
    /// Begins a page of `limit` items at a target.
    pub(super) fn new(order: Arc<Order>, target: &Target, limit: u32) -> Self {
        let believed = |offset: u64| Offset(offset).believed().0;
        let hint = Hint {
            offset: target.hint.offset.believed(),
            run: target.hint.run,
            total: target.hint.total.map(believed),
        };
        let (boundary, offset) = match &target.position {
            Position::Start | Position::At(Offset(0)) => (Boundary::Start, 0),
            Position::End => {
                let end = hint.total.unwrap_or(hint.offset.0);
                (Boundary::Tail(end), end)
            }
            Position::After(anchor) => (Boundary::After(anchor.clone()), hint.offset.0),
            Position::Before(anchor) => (Boundary::Before(anchor.clone()), hint.offset.0),
            Position::At(offset) => (Boundary::At(offset.believed().0), offset.believed().0),
        };
        let nearest = match boundary {
            Boundary::Before(_) | Boundary::Tail(_) => offset.saturating_sub(u64::from(limit)),
            Boundary::Start | Boundary::After(_) | Boundary::At(_) => offset,
        };
        Self {
            order,
            limit: limit as usize,
            nearest,
            to_the_end: matches!(boundary, Boundary::Tail(_)),
            boundary,
            offset,
            run: u64::from(hint.run),
            unchecked: false,
            views: Vec::new(),
            taken: Vec::new(),
            more_before: None,
            more_behind: None,
            drift: None,
            total: None,
            hint,
        }
    }

    /// Begins anew at an offset, taking answers as they come where `unchecked`.
    pub(super) fn restart_at(&mut self, offset: u64, unchecked: bool) {
        let target = Target { position: Position::At(Offset(offset)), hint: self.hint };
        let limit = u32::try_from(self.limit).unwrap_or(u32::MAX);
        *self = Self { unchecked, ..Self::new(Arc::clone(&self.order), &target, limit) };
    }

    /// Whether answers are taken as they came.
    pub(super) fn is_unchecked(&self) -> bool {
        self.unchecked
    }

    /// Whether the page begins with the first item, and nothing of it is there yet.
    pub(super) fn is_at_start(&self) -> bool {
        matches!(self.boundary, Boundary::Start)
    }

    /// The believed offset of the boundary.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// How many items the page has.
    pub(super) fn len(&self) -> usize {
        self.taken.len()
    }

    /// The offset at which a page that can't be proven would begin, wherever the reading has got to since.
    pub(super) fn nearest(&self) -> u64 {
        self.nearest
    }

    /// Whether everything up to the end is being read, so that nothing short of it can be served.
    pub(super) fn seeks_the_end(&self) -> bool {
        self.to_the_end
    }

    /// Whether the page is asked for by an offset at which nothing was found.
    pub(super) fn is_nothing_by_offset(&self) -> bool {
        matches!(self.boundary, Boundary::At(_)) && self.taken.is_empty()
    }

    /// Whether the page has all the items it can have.
    pub(super) fn is_full(&self) -> bool {
        self.taken.len() >= self.limit
    }

    /// Which way a chain of answers grows.
    pub(super) fn growth(&self) -> Growth {
        match self.boundary {
            Boundary::Before(_) => Growth::Leftward,
            _ => Growth::Rightward,
        }
    }

    /// Where the two neighbours of the boundary are believed to be, if an answer must show both: the one before it.
    pub(super) fn seam(&self) -> Option<u64> {
        match self.boundary {
            Boundary::After(_) | Boundary::Before(_) => self.offset.checked_sub(1),
            Boundary::Start | Boundary::At(_) | Boundary::Tail(_) => None,
        }
    }

    /// How many more items the page needs.
    pub(super) fn need(&self) -> u64 {
        if self.to_the_end { self.limit as u64 } else { (self.limit - self.taken.len()) as u64 }
    }

    /// Looks for the end elsewhere: at a total, or left of an answer that lies behind it.
    pub(super) fn aim_tail(&mut self, total: Option<u64>, begins: u64) -> bool {
        let Boundary::Tail(end) = self.boundary else {
            return false;
        };
        let aim = match total {
            Some(total) if total != end => Offset(total).believed().0,
            _ => begins.min(end.saturating_sub(1)),
        };
        self.boundary = Boundary::Tail(aim);
        self.offset = aim;
        true
    }

    /// Takes what an answer proves to belong to the page.
    ///
    /// # Errors
    ///
    /// [`Unsorted`] where the answer can't be compared with the boundary, or holds an id twice.
    pub(super) fn take(&mut self, view: View) -> Result<Progress, Unsorted> {
        let seen = view.begins.saturating_add(view.len() as u64);
        self.total = view.answer.total.or(self.total).filter(|total| total.value >= seen || !total.exact);
        match &self.boundary {
            Boundary::Start => {
                if !view.from_start {
                    return Ok(Progress::Missed(Box::new(view)));
                }
                let progress = self.take_forward(view, 0)?;
                self.more_before = Some(false);
                Ok(progress)
            }
            Boundary::After(anchor) => {
                let (Some(begins), Some(reaches), Some(through)) = (
                    view.begins_at_or_before(&self.order, anchor),
                    view.reaches_beyond(&self.order, anchor),
                    view.count_through(&self.order, anchor),
                ) else {
                    return Err(strange_anchor());
                };
                if !(begins && reaches) {
                    let cut = view.cuts_run_of(&self.order, anchor);
                    return Ok(if cut { Progress::Cut } else { Progress::Missed(Box::new(view)) });
                }
                self.note_drift(&view, through);
                let first = self.views.is_empty();
                let progress = self.take_forward(view, through)?;
                if first && !self.views.is_empty() {
                    self.more_before = Some(through > 0);
                }
                Ok(progress)
            }
            Boundary::Before(anchor) => {
                let (Some(begins), Some(reaches), Some(before)) = (
                    view.begins_before(&self.order, anchor),
                    view.reaches(&self.order, anchor),
                    view.count_before(&self.order, anchor),
                ) else {
                    return Err(strange_anchor());
                };
                if !(begins && reaches) {
                    let cut = view.cuts_run_of(&self.order, anchor);
                    return Ok(if cut { Progress::Cut } else { Progress::Missed(Box::new(view)) });
                }
                self.note_drift(&view, before);
                let (first, behind) = (self.views.is_empty(), view.len() > before);
                let progress = self.take_backward(view, before)?;
                if first && !self.views.is_empty() {
                    self.more_behind = Some(behind);
                }
                Ok(progress)
            }
            Boundary::At(offset) => {
                let offset = *offset;
                if self.more_before.is_none() {
                    self.more_before = Some(offset > 0);
                }
                let counted_out = view.answer.total.is_some_and(|total| total.exact && offset >= total.value);
                let behind = offset >= view.begins.saturating_add(view.len() as u64);
                if behind && view.short && !counted_out {
                    return Ok(Progress::Missed(Box::new(view)));
                }
                if behind || counted_out {
                    self.more_behind = Some(false);
                    return Ok(Progress::Done);
                }
                let place = usize::try_from(offset.saturating_sub(view.begins)).unwrap_or(usize::MAX);
                self.take_forward(view, place)
            }
            Boundary::Tail(end) => {
                let end = *end;
                let behind = view.begins.saturating_add(view.len() as u64);
                let far = view
                    .answer
                    .total
                    .is_some_and(|total| total.value > behind.saturating_add(self.limit as u64) && total.value != end);
                if !view.ends && (view.is_empty() || far) {
                    return Ok(Progress::Missed(Box::new(view)));
                }
                self.take_forward(view, 0)
            }
        }
    }

    fn take_forward(&mut self, view: View, first: usize) -> Result<Progress, Unsorted> {
        let candidates = first.max(view.usable.start)..view.usable.end.max(first);
        let need = if self.to_the_end { usize::MAX } else { self.limit - self.taken.len() };
        let (accepted, looked_at) = self.accept(&view, candidates.clone(), need)?;
        let passed = looked_at.map_or(candidates.start, |place| place + 1);
        let done_here = passed == view.len() && view.ends;
        let more_behind = if passed < view.len() { Some(true) } else { view.ends.then_some(false) };
        let cut_at_the_end = self.to_the_end && self.views.is_empty() && candidates.start > 0;
        if looked_at.is_none() && (!done_here || cut_at_the_end) && !(need == 0 && more_behind.is_some()) {
            return Ok(if view.is_empty() { Progress::Missed(Box::new(view)) } else { Progress::Cut });
        }
        if self.to_the_end && self.views.is_empty() {
            self.more_before = Some(candidates.start > 0 || !view.from_start);
        }
        if passed > 0 && !done_here {
            self.advance(&view, passed)?;
        }
        self.more_behind = more_behind;
        let index = self.views.len();
        self.views.push(view);
        self.taken.extend(accepted.into_iter().map(|place| Taken { view: index, place }));
        if self.to_the_end {
            return self.trim(done_here);
        }
        let full = self.taken.len() == self.limit && self.more_behind.is_some();
        Ok(if done_here || full { Progress::Done } else { Progress::More })
    }

    fn take_backward(&mut self, view: View, end: usize) -> Result<Progress, Unsorted> {
        let candidates = view.usable.start.min(end)..end.min(view.usable.end);
        let need = self.limit - self.taken.len();
        let (accepted, looked_at) = self.accept(&view, candidates.clone().rev(), need)?;
        let passed = looked_at.unwrap_or(candidates.end);
        let done_here = passed == 0 && view.from_start;
        let more_before = if passed > 0 { Some(true) } else { view.from_start.then_some(false) };
        if looked_at.is_none() && !done_here && !(need == 0 && more_before.is_some()) {
            return Ok(Progress::Cut);
        }
        self.more_before = more_before;
        let index = self.views.len();
        self.views.push(view);
        if passed < self.views[index].len() && !done_here {
            self.retreat(Taken { view: index, place: passed })?;
        }
        self.taken.splice(..0, accepted.into_iter().rev().map(|place| Taken { view: index, place }));
        let full = self.taken.len() == self.limit && self.more_before.is_some();
        Ok(if done_here || full { Progress::Done } else { Progress::More })
    }

    /// Of what was taken up to the end keeps the last `limit`; where that is too little, the page goes on backward.
    fn trim(&mut self, at_the_end: bool) -> Result<Progress, Unsorted> {
        let surplus = self.taken.len().saturating_sub(self.limit);
        if surplus > 0 {
            self.taken.drain(..surplus);
            self.more_before = Some(true);
        }
        if !at_the_end {
            return Ok(Progress::More);
        }
        self.to_the_end = false;
        match self.taken.first().copied() {
            Some(first) if self.taken.len() < self.limit && self.more_before == Some(true) => {
                self.retreat(first)?;
                self.more_before = None;
                Ok(Progress::More)
            }
            _ => Ok(Progress::Done),
        }
    }

    /// Of the places in this sequence the first `need` that can be taken, and the last place looked at. An id that the
    /// page has already is an item that was moved between two answers: it is passed over.
    fn accept(
        &self,
        view: &View,
        places: impl Iterator<Item = usize>,
        need: usize,
    ) -> Result<(Vec<usize>, Option<usize>), Unsorted> {
        let had: HashSet<Cow<'_, [u8]>> =
            self.taken.iter().map(|taken| self.views[taken.view].id(&self.order, taken.place)).collect();
        let mut here = HashSet::new();
        let mut accepted = Vec::with_capacity(need.min(view.len()));
        let mut looked_at = None;
        for place in places {
            if accepted.len() == need {
                break;
            }
            looked_at = Some(place);
            let id = view.id(&self.order, place);
            let known = !id.is_empty();
            let had_before = known && had.contains(&id);
            let twice_here = known && !here.insert(id);
            if twice_here && !self.unchecked {
                return Err(Unsorted(format!("the id of item {} stands twice in one answer", view.item(place) + 1)));
            }
            if !twice_here && !had_before {
                accepted.push(place);
            }
        }
        Ok((accepted, looked_at))
    }

    /// Moves the boundary behind the item before `passed`.
    fn advance(&mut self, view: &View, passed: usize) -> Result<(), Unsorted> {
        self.offset = view.begins + passed as u64;
        if self.unchecked {
            self.boundary = Boundary::At(self.offset);
            return Ok(());
        }
        self.run = u64::from(view.run_through(&self.order, passed - 1));
        self.boundary = Boundary::After(anchor(view, &self.order, passed - 1)?);
        Ok(())
    }

    /// Moves the boundary before an item.
    fn retreat(&mut self, before: Taken) -> Result<(), Unsorted> {
        let view = &self.views[before.view];
        self.offset = view.begins + before.place as u64;
        self.run = u64::from(view.run_from(&self.order, before.place));
        self.boundary = Boundary::Before(anchor(view, &self.order, before.place)?);
        Ok(())
    }

    /// How far from its hint the boundary of the cursor was found.
    fn note_drift(&mut self, view: &View, place: usize) {
        if self.views.is_empty() {
            let found = view.begins.saturating_add(place as u64);
            let drift =
                i64::try_from(found).unwrap_or(i64::MAX) - i64::try_from(self.hint.offset.0).unwrap_or(i64::MAX);
            self.drift = (drift != 0).then_some(drift);
        }
    }
}

/// The item at a place as an anchor.
fn anchor(view: &View, order: &Order, place: usize) -> Result<Anchor, Unsorted> {
    view.anchor(order, place).ok_or_else(|| rows::unkept(&view.answer, order, view.item(place)))
}

fn strange_anchor() -> Unsorted {
    Unsorted("the items can't be compared with the item that the cursor names: its keys are of another type".to_owned())
}
