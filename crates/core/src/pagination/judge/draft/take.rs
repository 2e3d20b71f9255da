//! The use of an answer: it proves the boundary, and then its items count, or it shows where to look.

use std::{borrow::Cow, collections::HashSet};

use super::super::evidence::{Evidence, Unplaced};
use super::{Boundary, Cut, Draft, Ground, Progress, Taken};
use crate::pagination::{
    direction::Side,
    position::Anchor,
    rows,
    rules::{Rule, holds},
    unsorted::Unsorted,
};

/// The place of a boundary among the items of a view.
#[derive(Clone, Copy, Debug)]
struct BoundaryPlace {
    /// The number of items that come before it.
    place: usize,
    /// The places that must be seen on both sides of: the boundary, or the whole run of ties around it.
    low: usize,
    high: usize,
}

impl Draft {
    /// Takes the items that an answer proves to belong to the page.
    ///
    /// # Errors
    ///
    /// [`Unsorted`] where the answer can't be compared with the boundary, or holds an id twice.
    pub(in crate::pagination) fn take(&mut self, view: Evidence) -> Result<Progress, Unsorted> {
        if self.ground == Ground::Whole {
            // An empty answer's claim is not contradicted by items.
            let seen = if view.is_empty() { 0 } else { view.behind() };
            self.total = view.answer.total.or(self.total).filter(|total| total.value >= seen || !total.exact);
        }
        match self.boundary.clone() {
            Boundary::Start => {
                if !view.from_start {
                    return Ok(Progress::Missed(Box::new(view), Side::Before));
                }
                let progress = self.take_forward(view, 0)?;
                self.more_before = Some(false);
                Ok(progress)
            }
            Boundary::After { anchor, whole } => self.take_beside(view, &anchor, whole, true),
            Boundary::Before { anchor, whole } => self.take_beside(view, &anchor, whole, false),
            Boundary::At(offset) => self.take_at(view, offset),
            Boundary::Tail => self.take_tail(view),
        }
    }

    /// Takes the items after an anchor, or before it, if the answer shows both sides of it.
    fn take_beside(
        &mut self,
        mut view: Evidence,
        anchor: &Anchor,
        whole: bool,
        forward: bool,
    ) -> Result<Progress, Unsorted> {
        let stand = match view.stand(&self.order, anchor) {
            Ok(stand) => stand,
            Err(Unplaced::Apart { left, right }) => {
                let side = self.side_beyond(&view, forward, left, right);
                return Ok(Progress::Apart(Box::new(view), side));
            }
            Err(Unplaced::Incomparable) => return Err(rows::strange_anchor(&view.answer, &self.order, anchor)),
        };
        let mut at = match (whole, forward) {
            (true, true) => BoundaryPlace::at(stand.run.end),
            (true, false) => BoundaryPlace::at(stand.run.start),
            (false, true) => BoundaryPlace::at(stand.through),
            (false, false) => BoundaryPlace::at(stand.before),
        };
        if !whole && stand.loose {
            (at.low, at.high) = (stand.run.start, stand.run.end);
        }
        let count = view.len();
        let nothing_follows = count == 0 && view.ends && !holds(Rule::StatusesOnlyAim);
        let (mut begins, mut reaches) =
            (at.low > 0 || view.from_start || nothing_follows, at.high < count || view.ends);
        let mut assumed = false;
        if view.assumed.left && (count > 0 || view.ends) {
            assumed |= !std::mem::replace(&mut begins, true);
        }
        if view.assumed.right && count > 0 {
            assumed |= !std::mem::replace(&mut reaches, true) || at.high == count;
        }
        if let Some(place) = self.unproven_place(&view, anchor, forward) {
            (at, begins, reaches) = (BoundaryPlace::at(place), true, true);
        }
        if !(begins && reaches) {
            return Ok(if count == 0 || at.high == 0 {
                Progress::Missed(Box::new(view), Side::Before)
            } else if at.low == count {
                Progress::Missed(Box::new(view), Side::After)
            } else {
                let needed = view.offset(at.low).saturating_sub(1)..view.offset(at.high + 1);
                Progress::Cut(Cut { needed, left: !begins, right: !reaches }, Box::new(view))
            });
        }
        if self.ground == Ground::Filtered && at.high == 0 {
            // No item is taken to pass the filter between the anchor and the first item: that is trusted, not seen.
            view.checked = true;
        }
        // Only the end of the list closes the anchor's own run.
        view.checked |= at.high == count && view.ends_checked;
        self.assumed |= assumed;
        self.note_drift(&view, at.place);
        let first = self.views.is_empty();
        if forward {
            let more_before = at.place > 0 || self.ground == Ground::Filtered;
            let progress = self.take_forward(view, at.place)?;
            if first && !self.views.is_empty() {
                self.more_before = Some(more_before);
            }
            Ok(progress)
        } else {
            let more_behind = count > at.place;
            let progress = self.take_backward(view, at.place)?;
            if first && !self.views.is_empty() {
                self.more_behind = Some(more_behind);
            }
            Ok(progress)
        }
    }

    /// Returns the edge of the list that an answer would make the boundary of the page's first items: the edge beyond
    /// which the anchor is, if the answer shows none of its run.
    pub(in crate::pagination) fn leans_on_an_edge(&self, view: &Evidence) -> Option<Side> {
        let (Boundary::After { anchor, .. } | Boundary::Before { anchor, .. }) = &self.boundary else { return None };
        if !self.views.is_empty() || self.unchecked || self.ground == Ground::Filtered {
            return None;
        }
        let stand = view.stand(&self.order, anchor).ok()?;
        match (stand.run.start, stand.run.end) {
            (0, 0) if view.from_start => Some(Side::Before),
            (start, _) if start == view.len() && view.ends => Some(Side::After),
            _ => None,
        }
    }

    /// Returns whether all items of an answer come before the anchor of the boundary, and none ties with it.
    pub(in crate::pagination) fn is_behind(&self, view: &Evidence) -> bool {
        matches!(self.boundary, Boundary::After { .. } | Boundary::Before { .. })
            && !view.is_empty()
            && self.stands_beyond(view, Side::After)
    }

    /// Returns whether all items of an answer come before the anchor (`Side::After`) or after it (`Side::Before`), so
    /// that the edge on that side would be the boundary's place.
    pub(in crate::pagination) fn stands_beyond(&self, view: &Evidence, side: Side) -> bool {
        let (Boundary::After { anchor, .. } | Boundary::Before { anchor, .. }) = &self.boundary else { return true };
        match (view.stand(&self.order, anchor), side) {
            (Ok(stand), Side::After) => stand.run.start == view.len(),
            (Ok(stand), Side::Before) => stand.run.end == 0,
            (Err(_), _) => true,
        }
    }

    /// Returns the side of an answer on which an anchor is that its items don't place, if it can only be beyond these
    /// edges: if both are open, the side on which it is expected.
    fn side_beyond(&self, view: &Evidence, forward: bool, left: bool, right: bool) -> Option<Side> {
        let believed = self.offset.saturating_sub(u64::from(forward));
        match (left, right) {
            (true, false) => Some(Side::Before),
            (false, true) => Some(Side::After),
            (true, true) if believed < view.begins => Some(Side::Before),
            (true, true) if believed >= view.behind() => Some(Side::After),
            _ => None,
        }
    }

    /// Returns the place of the boundary, if keys need not decide, or a further answer of the page need not prove it.
    fn unproven_place(&self, view: &Evidence, anchor: &Anchor, forward: bool) -> Option<usize> {
        if !holds(Rule::KeysDecide)
            && let Some(place) =
                (0..view.len()).find(|place| view.anchor(&self.order, *place).is_some_and(|item| item.id == anchor.id))
        {
            return if forward { Some(place + 1).filter(|next| *next < view.len()) } else { Some(place) };
        }
        if !holds(Rule::SeamsAreProven) && !self.views.is_empty() {
            let place = usize::try_from(self.offset.checked_sub(view.begins)?).ok()?;
            return (place < view.len()).then_some(place);
        }
        None
    }

    /// Takes the items from an offset on, whatever they are.
    fn take_at(&mut self, mut view: Evidence, offset: u64) -> Result<Progress, Unsorted> {
        // A run that an offset cuts is not cut by the answer.
        view.usable.start = 0;
        if self.more_before.is_none() {
            self.more_before = Some(offset > 0);
        }
        let counted_out = view.answer.total.is_some_and(|total| total.exact && offset >= total.value);
        let behind = offset >= view.behind();
        let elsewhere = offset < view.asked_to || view.falls_short;
        let may_hold = view.short || (!view.is_empty() && !view.ends && elsewhere);
        if behind && may_hold && !counted_out {
            return Ok(Progress::Missed(Box::new(view), Side::After));
        }
        if behind || counted_out {
            self.more_behind = Some(false);
            return Ok(Progress::Done);
        }
        let place = (0..view.len()).find(|place| view.latest_offset(*place) >= offset).unwrap_or(view.len());
        if place >= view.len() {
            let counted = view.answer.total.map_or(0, |total| total.value);
            self.skipped += u32::from(view.is_empty());
            if self.skipped > 1 && counted <= view.behind() {
                self.more_behind = Some(false);
                return Ok(Progress::Done);
            }
            // The items there are hidden: those after them are taken instead.
            (self.boundary, self.offset) = (Boundary::At(view.behind()), view.behind());
            return Ok(Progress::More);
        }
        self.take_forward(view, place)
    }

    /// Takes all items up to the end, if the answer ends the list or comes close to that.
    fn take_tail(&mut self, view: Evidence) -> Result<Progress, Unsorted> {
        if (view.ends && (!view.is_empty() || view.from_start)) || self.is_near_the_end(&view) {
            return self.take_forward(view, 0);
        }
        let side = if view.is_empty() { Side::Before } else { Side::After };
        Ok(Progress::Missed(Box::new(view), side))
    }

    fn is_near_the_end(&self, view: &Evidence) -> bool {
        match view.answer.total {
            _ if view.is_empty() => false,
            Some(total) if total.exact => total.value <= view.behind().saturating_add(self.limit as u64),
            _ => view.short,
        }
    }

    fn take_forward(&mut self, view: Evidence, first: usize) -> Result<Progress, Unsorted> {
        if self.to_the_end && !self.views.is_empty() && !view.ends && !self.is_near_the_end(&view) {
            // The end is not where it was expected: it is searched for, not walked to.
            (self.boundary, self.more_before) = (Boundary::Tail, None);
            self.views.clear();
            self.taken.clear();
            return Ok(Progress::Missed(Box::new(view), Side::After));
        }
        let candidates = first.max(view.usable.start)..view.usable.end.max(first);
        let need = if self.to_the_end { usize::MAX } else { self.limit - self.taken.len() };
        let (accepted, looked_at) = self.accept(&view, candidates.clone(), need)?;
        let passed = looked_at.map_or(candidates.start, |place| place + 1);
        let done_here = passed == view.len() && view.ends;
        let more_behind = if passed < view.len() { Some(true) } else { view.ends.then_some(false) };
        let cut_at_the_end = self.to_the_end && self.views.is_empty() && candidates.start > 0;
        if looked_at.is_none() && (!done_here || cut_at_the_end) && !(need == 0 && more_behind.is_some()) {
            return Ok(if view.is_empty() {
                Progress::Missed(Box::new(view), Side::Before)
            } else {
                Progress::Cut(self.cut_forward(&view, first), Box::new(view))
            });
        }
        if self.to_the_end && self.views.is_empty() {
            self.more_before = if candidates.start == 0 && view.from_start {
                Some(false)
            } else {
                // An answer that was asked for elsewhere, and begins at the very start by a count, is not believed yet:
                // the start is read.
                Some(true).filter(|_| candidates.start > 0 || view.begins > 0)
            };
        }
        if passed > 0 && !done_here {
            self.advance(&view, passed)?;
        }
        self.more_behind = more_behind;
        if done_here && view.ends_checked && !view.hides {
            // Two answers agree that the list ends here: a larger count includes rows that no client is shown.
            self.ended_at = Some(view.behind());
        }
        self.checked |= view.checked || (view.ends_checked && (done_here || self.leans_on_the_end(&view, passed)));
        self.assumed |= (done_here && view.assumed.any()) || view.assumes(accepted.iter().copied());
        let index = self.views.len();
        self.views.push(view);
        if self.to_the_end {
            self.give_way(index, &accepted);
        }
        self.taken.extend(accepted.into_iter().map(|place| Taken { view: index, place }));
        if self.to_the_end {
            return self.trim(done_here);
        }
        let full = self.taken.len() == self.limit && self.more_behind.is_some();
        Ok(if done_here || full { Progress::Done } else { Progress::More })
    }

    /// Returns whether the items before a place count only because the view ends the list: ties that come in any order
    /// are used as whole runs, and the last run is closed by the end.
    fn leans_on_the_end(&self, view: &Evidence, passed: usize) -> bool {
        let Some(last) = passed.checked_sub(1) else { return false };
        last + view.run_from(&self.order, last) as usize == view.len()
    }

    fn take_backward(&mut self, view: Evidence, end: usize) -> Result<Progress, Unsorted> {
        let candidates = view.usable.start.min(end)..end.min(view.usable.end);
        let need = self.limit - self.taken.len();
        let (accepted, looked_at) = self.accept(&view, candidates.clone().rev(), need)?;
        let passed = looked_at.unwrap_or(candidates.end);
        let done_here = passed == 0 && view.from_start;
        let more_before = if passed > 0 { Some(true) } else { view.from_start.then_some(false) };
        if looked_at.is_none() && !done_here && !(need == 0 && more_before.is_some()) {
            return Ok(Progress::Cut(self.cut_backward(&view, end), Box::new(view)));
        }
        self.more_before = more_before;
        // If all items come before the anchor, only the end shows that none is between them and the anchor.
        self.checked |= view.checked || (view.ends_checked && (end == view.len() || self.leans_on_the_end(&view, end)));
        self.assumed |= view.assumes(accepted.iter().copied());
        let index = self.views.len();
        self.views.push(view);
        if passed < self.views[index].len() && !done_here {
            self.retreat(Taken { view: index, place: passed })?;
        }
        self.taken.splice(..0, accepted.into_iter().rev().map(|place| Taken { view: index, place }));
        let full = self.taken.len() == self.limit && self.more_before.is_some();
        Ok(if done_here || full { Progress::Done } else { Progress::More })
    }

    /// Returns the run that goes on after the view, the boundary being proven. All ties of the anchor are passed, so
    /// that none of them need be seen again.
    fn cut_forward(&mut self, view: &Evidence, first: usize) -> Cut {
        let begins = view.offset(first);
        if let Boundary::After { whole, .. } = &mut self.boundary
            && first > 0
        {
            (*whole, self.offset, self.run) = (true, begins, 0);
            self.checked |= view.checked || (view.ends_checked && self.leans_on_the_end(view, first));
        }
        let left = self.to_the_end && view.usable.start > 0;
        Cut { needed: begins.saturating_sub(1)..view.behind() + 1, left, right: !view.ends }
    }

    /// Returns the run that goes on before the view: the mirror image.
    fn cut_backward(&mut self, view: &Evidence, end: usize) -> Cut {
        let ends = view.offset(end);
        if let Boundary::Before { whole, .. } = &mut self.boundary
            && end < view.len()
        {
            (*whole, self.offset, self.run) = (true, ends, 0);
            self.checked |= view.checked || (view.ends_checked && self.leans_on_the_end(view, end));
        }
        Cut { needed: view.begins.saturating_sub(1)..ends + 1, left: true, right: false }
    }

    /// Keeps the last `limit` of the items taken up to the end; if they are too few, the page goes on backward.
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
            Some(first) if self.more_before.is_none_or(|more| more && self.taken.len() < self.limit) => {
                self.retreat(first)?;
                self.more_before = None;
                Ok(Progress::More)
            }
            _ => Ok(Progress::Done),
        }
    }

    /// Returns the first `need` of these places that can be taken, and the last place looked at. An id that the page
    /// has already is an item that was moved between two answers: it is passed over.
    fn accept(
        &self,
        view: &Evidence,
        places: impl Iterator<Item = usize> + Clone,
        need: usize,
    ) -> Result<(Vec<usize>, Option<usize>), Unsorted> {
        // Of a list read up to the end the last items are kept: there the earlier item gives way.
        let taken = self.taken.iter().filter(|_| !self.to_the_end);
        if taken.clone().next().is_none() {
            // No item was taken before: if no two of these are the same, as nearly always, all are taken.
            let fitting: Vec<usize> = places.clone().take(need).collect();
            // If the ids are the whole order, each was seen to come after the one before it.
            if self.order.strong.is_empty() && self.order.declared && !self.unchecked {
                let last = fitting.last().copied();
                return Ok((fitting, last));
            }
            let mut ids: Vec<_> = fitting.iter().filter_map(|place| view.id(&self.order, *place)).collect();
            ids.sort_unstable();
            if ids.windows(2).all(|pair| pair[0] != pair[1]) {
                let last = fitting.last().copied();
                return Ok((fitting, last));
            }
        }
        let had: HashSet<Cow<'_, [u8]>> =
            taken.filter_map(|taken| self.views[taken.view].id(&self.order, taken.place)).collect();
        let mut here = HashSet::new();
        let mut accepted = Vec::with_capacity(need.min(view.len()));
        let mut looked_at = None;
        for place in places {
            if accepted.len() == need {
                break;
            }
            looked_at = Some(place);
            let id = view.id(&self.order, place);
            let had_before = id.as_ref().is_some_and(|id| had.contains(id));
            let twice_here = id.is_some_and(|id| !here.insert(id));
            if twice_here && !self.unchecked {
                return Err(rows::twice(view.item(place)));
            }
            if !twice_here && !had_before {
                accepted.push(place);
            }
        }
        Ok((accepted, looked_at))
    }

    /// Drops the items that were taken and are farther on, too, by now.
    fn give_way(&mut self, view: usize, places: &[usize]) {
        let Self { views, order, taken, .. } = self;
        let here: HashSet<Cow<'_, [u8]>> = places.iter().filter_map(|place| views[view].id(order, *place)).collect();
        taken.retain(|earlier| views[earlier.view].id(order, earlier.place).is_none_or(|id| !here.contains(&id)));
    }

    /// Moves the boundary after the item before `passed`.
    fn advance(&mut self, view: &Evidence, passed: usize) -> Result<(), Unsorted> {
        self.offset = view.offset(passed);
        if self.unchecked {
            self.boundary = Boundary::At(self.offset);
            return Ok(());
        }
        let whole = passed < view.len() && !view.ties(&self.order, passed - 1, passed);
        self.run = if whole { 0 } else { u64::from(view.run_through(&self.order, passed - 1)) };
        self.boundary = Boundary::After { anchor: self.anchor(view, passed - 1)?, whole };
        Ok(())
    }

    /// Moves the boundary before an item.
    fn retreat(&mut self, before: Taken) -> Result<(), Unsorted> {
        let Taken { view, place } = before;
        let view = &self.views[view];
        let anchor = self.anchor(view, place)?;
        let whole = place > 0 && !view.ties(&self.order, place - 1, place);
        let run = if whole { 0 } else { u64::from(view.run_from(&self.order, place)) };
        self.offset = view.offset(place);
        self.run = run;
        self.boundary = Boundary::Before { anchor, whole };
        Ok(())
    }

    /// Notes the distance of the cursor's boundary from its hint.
    fn note_drift(&mut self, view: &Evidence, place: usize) {
        if self.views.is_empty() && self.hint.offset.0 > 0 {
            let [found, hinted] =
                [view.offset(place), self.hint.offset.0].map(|offset| i64::try_from(offset).unwrap_or(i64::MAX));
            self.drift = Some(found - hinted).filter(|drift| *drift != 0);
        }
    }

    /// Returns the item at a place as an anchor.
    pub(super) fn anchor(&self, view: &Evidence, place: usize) -> Result<Anchor, Unsorted> {
        view.anchor(&self.order, place).ok_or_else(|| rows::unkept(&view.answer, &self.order, view.item(place)))
    }
}

impl BoundaryPlace {
    fn at(place: usize) -> Self {
        Self { place, low: place, high: place }
    }
}
