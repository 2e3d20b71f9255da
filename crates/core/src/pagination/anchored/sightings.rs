//! The answers in which a boundary's marks were seen, and their evidence of its place.
//!
//! A single answer decides if it shows enough marks, because its items certainly have that order. If no answer within
//! the search's reach shows enough marks, all answers decide together, by their expected offsets.

use super::{
    super::{
        mark::{Mark, Marker},
        order::Order,
    },
    line::{MarkLine, Sight},
    passed::Recognised,
    place::{self, Place, Seen, Unseen},
    view::View,
};
use crate::pagination::direction::Way;

/// A boundary that is known by the marks around it, and the answers that show some of these marks.
#[derive(Debug)]
pub(super) struct Sightings {
    line: MarkLine,
    way: Way,
    /// The expected offset of the boundary.
    boundary: u64,
    /// True if this request has read the place itself; false if a cursor names it. A mark that is where it was a moment
    /// ago hasn't moved.
    fresh: bool,
    /// True if two neighbouring marks may decide the place although no answer shows the others.
    pairs_decide: bool,
    /// The answers, and the marks that each shows.
    views: Vec<(View, Vec<Sight>)>,
    /// The index of the first answer that looked at the deciding marks once more; `None` before that.
    closer: Option<usize>,
}

/// A stretch of the list that was looked at once more, as expected offsets.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    from: u64,
    to: u64,
    left: StretchEdge,
    right: StretchEdge,
}

/// The knowledge of the list beyond one side of a stretch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StretchEdge {
    /// More items may be there.
    Open,
    /// No item is there.
    Reached,
    /// The answer to a slice there covers another part of the list.
    Unreachable,
}

/// The place at which the boundary was found.
#[derive(Debug)]
pub(super) struct Found {
    /// The answer that shows the place.
    pub(super) view: View,
    /// The index of the answer's item right before which the boundary is, in the list's order.
    pub(super) cut: usize,
    /// The number of marks that are out of sequence.
    pub(super) stragglers: u32,
    /// The marks of served items that were recognised.
    pub(super) recognised: Recognised,
    /// The marks of served items that the answer doesn't show, if two neighbouring marks alone decided the place.
    pub(super) unseen: Vec<Mark>,
}

/// The knowledge of the items right next to the marks that were looked at once more.
#[derive(Clone, Copy, Debug)]
pub(super) enum Beside {
    /// The neighbouring items were seen.
    Seen,
    /// The neighbouring items must be requested: on this side, from this offset on, this number of items.
    Ask(Way, u64, u64),
    /// The neighbouring items can't be seen.
    Unreachable,
}

/// A place in one of the answers at which the page may begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decision {
    place: Place,
    view: usize,
    cut: usize,
    /// True if an unserved item may be right before the page: the page begins at the edge of its answer, and the mark
    /// there isn't the next item's.
    pub(super) open: bool,
    /// True if two neighbouring marks alone decided the place.
    by_pair: bool,
}

impl Sightings {
    /// Begins without any answer.
    pub(super) fn new(line: MarkLine, way: Way, boundary: u64, fresh: bool) -> Self {
        Self { line, way, boundary, fresh, pairs_decide: true, views: Vec::new(), closer: None }
    }

    /// Returns these sightings, in which two marks decide no place unless the others couldn't change the decision.
    pub(super) fn without_pairs(self) -> Self {
        Self { pairs_decide: false, ..self }
    }

    /// Returns the marks around the boundary.
    pub(super) fn line(&self) -> &MarkLine {
        &self.line
    }

    /// Returns whether this request read the place itself; false if the place comes from a cursor.
    pub(super) fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// Returns the last answer that was looked at; `None` before the first one.
    pub(super) fn last(&self) -> Option<&View> {
        self.views.last().map(|(view, _)| view)
    }

    /// Returns the last answer that has any items; `None` before such an answer.
    pub(super) fn last_with_items(&self) -> Option<&View> {
        self.views.iter().rev().map(|(view, _)| view).find(|view| !view.is_empty())
    }

    /// Returns whether the upstream ignores the requested offset: every answer that was requested from beyond a full
    /// answer at offset 0 repeats that answer. False if no such answer has items.
    pub(super) fn begin_anywhere(&self) -> bool {
        let views = || self.views.iter().map(|(view, _)| view).filter(|view| !view.is_empty());
        let start = views().find(|view| view.slice.begins().0 == 0 && !view.ends && !view.short);
        start.is_some_and(|start| {
            let mut later = views().filter(|view| view.slice.begins().0 >= start.reaches()).peekable();
            later.peek().is_some() && later.all(|view| view.same_items(start))
        })
    }

    /// Adds an answer. Returns the place at which the page begins; `None` unless this answer alone makes the place
    /// certain.
    pub(super) fn look(&mut self, view: View, order: &Order, marker: &Marker) -> Option<Decision> {
        let sights = self.line.sight(&view, self.boundary, self.way, order, marker);
        self.views.push((view, sights));
        let last = self.views.len() - 1;
        let decision = self.decide_by(last)?;
        if self.is_settled(last, &decision) {
            return Some(decision);
        }
        (self.pairs_decide && self.is_settled_by_pair(last, &decision))
            .then_some(Decision { by_pair: true, ..decision })
    }

    /// Notes that the answers from now on look at the deciding marks once more.
    pub(super) fn look_closer(&mut self) {
        self.closer = Some(self.views.len());
    }

    /// Returns the decision of all answers together, after the whole list within reach was looked at. For each mark,
    /// the last answer that showed it counts; the answers' expected offsets determine the sequence of the marks. If the
    /// deciding marks were looked at once more, these later answers must show the place, and earlier sightings in the
    /// part that they cover don't count. `None` if the marks don't decide, or if no answer that counts shows a mark
    /// right next to the place.
    pub(super) fn decide(&self) -> Option<Decision> {
        let (stretch, since) = (self.stretch(), self.closer.unwrap_or(0));
        let is_in_stretch = |at: u64| stretch.is_some_and(|stretch| (stretch.from..stretch.to).contains(&at));
        let mut seen: Vec<(Seen, usize, usize)> = Vec::new();
        for (index, (view, sights)) in self.views.iter().enumerate() {
            for sight in sights {
                // Hidden items may be before the item in its answer, so its offset is a range:
                // `regressions/a-mark-among-hidden-rows.txt`.
                let at = view.begins.saturating_add(sight.place as u64);
                let latest = view.reaches().saturating_sub((view.len() - sight.place) as u64);
                let is_stale = index < since && is_in_stretch(at) && is_in_stretch(latest);
                if !is_stale {
                    seen.retain(|(seen, ..)| seen.rank != sight.rank);
                    seen.push((Seen { rank: sight.rank, at: self.along(at) }, index, sight.place));
                }
            }
        }
        let place = place::decide(&seen.iter().map(|(seen, ..)| *seen).collect::<Vec<_>>(), self.line.passed)?;
        // The marks on both sides of the place may be in different answers: the best of these answers is chosen.
        let beside = seen.iter().filter(|(_, view, _)| *view >= since).filter_map(|(seen, view, at)| {
            let (after, before) = (seen.at + 1 == place.cut, seen.at == place.cut);
            let second = after == (self.way == Way::Forward);
            (after || before)
                .then(|| self.decision(place, *view, at + usize::from(second), before.then_some(seen.rank)))
        });
        beside.max_by_key(|decision| (!decision.open, self.goes_on(decision), decision.view))
    }

    /// Returns the stretch that was looked at once more; `None` before that.
    fn stretch(&self) -> Option<Stretch> {
        let mut views = self.views.get(self.closer?..)?.iter().map(|(view, _)| view);
        let first = views.next()?;
        let mut stretch = Stretch {
            from: first.begins,
            to: first.reaches(),
            left: if first.from_start { StretchEdge::Reached } else { StretchEdge::Open },
            right: if first.ends || first.is_empty() { StretchEdge::Reached } else { StretchEdge::Open },
        };
        for view in views {
            let (from, to) = (view.begins, view.reaches());
            if view.from_start || (view.is_empty() && to <= stretch.from) {
                stretch.left = StretchEdge::Reached;
            } else if to < stretch.from {
                stretch.left = StretchEdge::Unreachable;
            }
            if view.ends || (view.is_empty() && from >= stretch.to) {
                stretch.right = StretchEdge::Reached;
            } else if from > stretch.to {
                stretch.right = StretchEdge::Unreachable;
            }
            if from <= stretch.to && stretch.from <= to {
                (stretch.from, stretch.to) = (stretch.from.min(from), stretch.to.max(to));
            }
        }
        Some(stretch)
    }

    /// Returns whether the items next to the marks that were looked at once more were seen, must be requested, or can't
    /// be seen. They may have marks too, or may have been put between marked items later.
    pub(super) fn beside(&self) -> Beside {
        let (Some(stretch), Some(since)) = (self.stretch(), self.closer) else { return Beside::Unreachable };
        let items = self.line.marks.len() as u64;
        let seen = |(view, sights): &(View, Vec<Sight>)| -> Vec<u64> {
            sights.iter().map(|sight| view.begins.saturating_add(sight.place as u64)).collect()
        };
        let places: Vec<u64> = self.views[since..].iter().flat_map(seen).collect();
        let (Some(first), Some(last)) = (places.iter().min(), places.iter().max()) else {
            // The rows before the place are left out, so those after it are looked at. Test:
            // `a_wide_gap_is_crossed_in_both_directions`.
            let is_end = self.way == Way::Forward || self.views[since..].iter().any(|(view, _)| view.ends);
            return if is_end { Beside::Unreachable } else { Beside::Ask(Way::Forward, stretch.to, items) };
        };
        let left = stretch.left != StretchEdge::Reached && *first < stretch.from.saturating_add(items);
        let right = stretch.right != StretchEdge::Reached && stretch.to <= last.saturating_add(items);
        match (left, right) {
            (false, false) => Beside::Seen,
            (true, _) if stretch.left == StretchEdge::Open => Beside::Ask(Way::Backward, stretch.from, items),
            (_, true) if stretch.right == StretchEdge::Open => Beside::Ask(Way::Forward, stretch.to, items),
            _ => Beside::Unreachable,
        }
    }

    /// Returns the expected offset of a decision's place.
    pub(super) fn offset(&self, decision: &Decision) -> u64 {
        let (view, cut) = (&self.views[decision.view].0, decision.cut);
        // Hidden items may follow the last item before the place, so the page is expected right after that item.
        let after_last = cut.checked_sub(1).map(|last| view.offset_of(last).saturating_add(1));
        after_last.unwrap_or(u64::MAX).min(view.offset_of(cut))
    }

    /// Returns a decision's place, with the answer that shows it.
    pub(super) fn find(mut self, decision: &Decision) -> Found {
        let is_ahead = |sight: &Sight| sight.rank >= self.line.passed;
        if self.views.iter().any(|(_, sights)| sights.iter().any(is_ahead)) {
            // An answer shows unserved items. These might no longer be exactly the items that the cursor marks, so the
            // cursor's marks of unserved items are dropped.
            self.line.marks.truncate(self.line.passed);
        }
        let (view, sights) = self.views.swap_remove(decision.view);
        let is_unseen = |rank: &usize| decision.by_pair && sights.iter().all(|sight| sight.rank != *rank);
        let unseen = (0..self.line.passed).filter(is_unseen).map(|rank| self.line.marks[rank]).collect();
        let served = sights.iter().filter(|sight| sight.rank < self.line.passed);
        let served = served.map(|sight| (self.line.marks[sight.rank], sight.place)).collect();
        let stragglers = u32::try_from(sights.len().saturating_sub(decision.place.chain)).unwrap_or(0);
        Found { view, cut: decision.cut, stragglers, recognised: Recognised { served, line: self.line }, unseen }
    }

    /// Returns the marks that one answer shows, and their places in it in the direction of reading.
    fn seen_in(&self, index: usize) -> Vec<Seen> {
        let seen = |sight: &Sight| Seen { rank: sight.rank, at: self.along(sight.place as u64) };
        self.views[index].1.iter().map(seen).collect()
    }

    /// Returns the decision of one answer; `None` if its marks don't decide.
    fn decide_by(&self, index: usize) -> Option<Decision> {
        let view = &self.views[index].0;
        let seen = self.seen_in(index);
        let place = place::decide(&seen, self.line.passed)?;
        let cut = match self.way {
            Way::Forward => place.cut,
            Way::Backward => 1 - place.cut,
        };
        let cut = usize::try_from(cut).unwrap_or(0).min(view.len());
        let at_cut = seen.iter().find(|seen| seen.at == place.cut).map(|seen| seen.rank);
        Some(self.decision(place, index, cut, at_cut))
    }

    /// Returns the decision for the place right before the item `cut` of an answer. `at_cut` is the rank of the mark
    /// right after the place in the direction of reading; `None` if no mark is there.
    fn decision(&self, place: Place, view: usize, cut: usize, at_cut: Option<usize>) -> Decision {
        let answer = &self.views[view].0;
        let at_edge = match self.way {
            Way::Forward => cut == 0 && !answer.from_start,
            Way::Backward => cut == answer.len() && !answer.ends,
        };
        Decision { place, view, cut, open: at_edge && at_cut > Some(self.line.passed), by_pair: false }
    }

    /// Returns whether the answer shows an item beyond the place in the direction of reading.
    fn goes_on(&self, decision: &Decision) -> bool {
        match self.way {
            Way::Forward => decision.cut < self.views[decision.view].0.len(),
            Way::Backward => decision.cut > 0,
        }
    }

    /// Converts a place in the list, or in an answer, to one that counts in the direction of reading.
    fn along(&self, place: u64) -> i64 {
        let place = i64::try_from(place).unwrap_or(i64::MAX / 2);
        if self.way == Way::Forward { place } else { -place }
    }

    /// Returns whether one answer makes a decision certain.
    ///
    /// An open decision is never certain. Any other decision is certain in three cases: the answer shows all marks; a
    /// mark right next to the boundary was read a moment ago and is at its expected place; or the missing marks
    /// couldn't change the decision, wherever they are.
    fn is_settled(&self, index: usize, decision: &Decision) -> bool {
        let (_, sights) = &self.views[index];
        let (all, passed) = (self.line.marks.len(), self.line.passed);
        // Only the marks right next to the boundary fix its place. Test:
        // `a_seam_is_proven_by_the_last_item_and_not_by_an_earlier_item`.
        let is_beside = |sight: &Sight| sight.rank == passed || sight.rank + 1 == passed;
        let read_now = self.fresh && sights.iter().any(|sight| is_beside(sight) && self.is_in_place(index, sight));
        let is_shown = sights.len() == all || read_now;
        !decision.open && (is_shown || self.is_certain(index, decision, true))
    }

    /// Returns whether two marks that are still neighbours in an answer make a decision certain, although the others are
    /// missing. No other answer may show a missing mark, and either the missing marks would have to be in view, or the
    /// two are at their expected places. The missing ones were then deleted, and the two haven't moved together. An
    /// answer of the page that shows one of the missing marks later contradicts that.
    fn is_settled_by_pair(&self, index: usize, decision: &Decision) -> bool {
        let (view, sights) = &self.views[index];
        let is_missing = |sight: &Sight| sights.iter().all(|seen| seen.rank != sight.rank);
        if decision.open || self.views.iter().any(|(_, others)| others.iter().any(is_missing)) {
            return false;
        }
        let seen = self.seen_in(index);
        // Two marks may have moved together to where they are seen, so a pair alone doesn't decide. Test:
        // `two_marks_that_moved_together_do_not_decide_while_the_others_are_unseen`.
        let in_pair = |sight: &&Sight| {
            let at = self.along(sight.place as u64);
            seen.iter().any(|next| next.rank == sight.rank + 1 && next.at == at + 1)
        };
        let all = self.line.marks.len();
        let places = || sights.iter().map(|sight| sight.place);
        let around = places().min().is_some_and(|first| first >= all || view.from_start)
            && places().max().is_some_and(|last| view.len() - last > all || view.ends);
        let in_place = || sights.iter().filter(in_pair).any(|sight| self.is_in_place(index, sight));
        sights.iter().any(|sight| in_pair(&sight)) && (around || in_place()) && self.is_certain(index, decision, false)
    }

    /// Returns whether the marks that an answer doesn't show couldn't change a decision. `alone` is true if they may be
    /// the only ones that stood still.
    fn is_certain(&self, index: usize, decision: &Decision, alone: bool) -> bool {
        let view = &self.views[index].0;
        let (before, after) = match self.way {
            Way::Forward => (!view.from_start, !view.ends),
            Way::Backward => (!view.ends, !view.from_start),
        };
        let (seen, line) = (self.seen_in(index), &self.line);
        place::is_certain(&seen, line.passed, line.marks.len(), decision.place.cut, Unseen { before, after, alone })
    }

    fn is_in_place(&self, index: usize, sight: &Sight) -> bool {
        let at = self.views[index].0.begins.saturating_add(sight.place as u64);
        self.line.is_in_place(sight.rank, at, self.boundary, self.way)
    }
}
