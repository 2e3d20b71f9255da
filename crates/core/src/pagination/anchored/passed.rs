//! What was read for a page so far: the items that were passed, which of them are taken, and their neighbours.

use std::collections::HashSet;

use super::{
    super::{
        mark::{Mark, Marker},
        order::Order,
        plan::Growth,
        position::Marks,
    },
    line::Line,
    view::View,
};

/// An item of an answer that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    /// Index into [`Passed::views`].
    pub(super) view: usize,
    /// The answer's item.
    pub(super) place: usize,
}

/// What was read for a page so far. Sequences are in the direction of reading.
#[derive(Debug)]
pub(super) struct Passed {
    growth: Growth,
    limit: usize,
    /// The answers that were used.
    pub(super) views: Vec<View>,
    /// Right before the boundary, seen with it.
    lead: Vec<Spot>,
    /// What was passed, and whether it is taken.
    spots: Vec<(Spot, bool)>,
    /// Right behind what was passed, seen with it.
    ahead: Vec<Spot>,
    taken: usize,
    /// Whether there is more in the direction of reading, as far as that is known.
    pub(super) more: Option<bool>,
    /// The boundary is the very start, or the very end where the page is read backward.
    closed: bool,
}

impl Passed {
    /// Nothing yet, of a page of `limit` items.
    pub(super) fn new(growth: Growth, limit: u32) -> Self {
        Self {
            growth,
            limit: limit as usize,
            views: Vec::new(),
            lead: Vec::new(),
            spots: Vec::new(),
            ahead: Vec::new(),
            taken: 0,
            more: None,
            closed: false,
        }
    }

    /// The direction of reading.
    pub(super) fn growth(&self) -> Growth {
        self.growth
    }

    /// Whether an item is taken.
    pub(super) fn has_items(&self) -> bool {
        self.taken > 0
    }

    /// How many more items are needed.
    pub(super) fn need(&self) -> u64 {
        (self.limit - self.taken) as u64
    }

    /// Whether the page has all the items it can have, and what follows is known.
    pub(super) fn is_done(&self) -> bool {
        self.more == Some(false) || (self.more == Some(true) && self.taken == self.limit)
    }

    /// Whether nothing was passed yet.
    pub(super) fn is_empty(&self) -> bool {
        self.spots.is_empty()
    }

    /// Reads on in an answer from the boundary, which is right before its item `cut` as the list goes. What is known is
    /// passed over, and an id that the page has already too. Gives how many items were passed.
    pub(super) fn take(
        &mut self,
        view: View,
        cut: usize,
        order: &Order,
        known: impl Fn(&View, usize) -> bool,
    ) -> usize {
        let (count, index) = (view.len(), self.views.len());
        let cut = cut.min(count);
        let step = |steps: usize| match self.growth {
            Growth::Rightward => cut + steps,
            Growth::Leftward => cut - 1 - steps,
        };
        let (length, closed, ends) = match self.growth {
            Growth::Rightward => (count - cut, cut == 0 && view.from_start, view.ends),
            Growth::Leftward => (cut, cut == count && view.ends, view.from_start),
        };
        let mut had = HashSet::new();
        for (spot, _) in self.spots.iter().filter(|(_, taken)| *taken) {
            had.extend(self.views[spot.view].id(order, spot.place));
        }
        let (mut steps, mut taken, mut spots) = (0, self.taken, Vec::new());
        while steps < length && taken < self.limit {
            let place = step(steps);
            let wanted = !known(&view, place) && view.id(order, place).is_none_or(|id| had.insert(id));
            spots.push((Spot { view: index, place }, wanted));
            taken += usize::from(wanted);
            steps += 1;
        }
        // What was served before and stands here now was moved: it is left to the next page, which begins before it.
        let is_new = |place| view.id(order, place).is_none_or(|id| !had.contains(&id));
        self.more = match (steps..length).any(|further| is_new(step(further))) {
            true => Some(true),
            false => ends.then_some(false),
        };
        let ahead = (steps..length).take(Marks::AHEAD).map(|further| Spot { view: index, place: step(further) });
        self.ahead = ahead.collect();
        if self.spots.is_empty() {
            let lead = match self.growth {
                Growth::Rightward => (cut.saturating_sub(Marks::BEHIND)..cut).collect::<Vec<_>>(),
                Growth::Leftward => (cut..count.min(cut + Marks::BEHIND)).rev().collect(),
            };
            // What another answer showed last need not be what stands right before this one by now.
            self.lead = lead.into_iter().map(|place| Spot { view: index, place }).collect();
            self.closed |= closed;
        }
        self.spots.extend(spots);
        self.taken = taken;
        drop(had);
        self.views.push(view);
        steps
    }

    /// Nothing comes behind what was read.
    pub(super) fn end(&mut self) {
        self.more = Some(false);
    }

    /// The taken items, in the order of the list.
    pub(super) fn items(&self) -> Vec<Spot> {
        let mut items: Vec<Spot> = self.spots.iter().filter(|(_, taken)| *taken).map(|(spot, _)| *spot).collect();
        if self.growth == Growth::Leftward {
            items.reverse();
        }
        items
    }

    /// Whether there is something on the side that the page was not read towards: before it, or behind it where it is
    /// read backward.
    pub(super) fn follows_something(&self) -> bool {
        !self.closed || self.spots.first().is_some_and(|(_, taken)| !taken)
    }

    /// All that was seen around the boundary, in the direction of reading, and how much of it stands before the first
    /// item taken, and before the place where the page ends.
    pub(super) fn seen(&self) -> (Vec<Spot>, usize, usize) {
        let first = self.spots.iter().position(|(_, taken)| *taken).unwrap_or(0);
        let spots = self.spots.iter().map(|(spot, _)| *spot);
        let all = self.lead.iter().copied().chain(spots).chain(self.ahead.iter().copied());
        (all.collect(), self.lead.len() + first, self.lead.len() + self.spots.len())
    }

    /// The marks around the place where the reading has got to.
    pub(super) fn line(&self, order: &Order, marker: &Marker) -> Line {
        let (seen, _, end) = self.seen();
        let mark = |spot: &Spot| {
            let view = &self.views[spot.view];
            (view.mark(order, marker, spot.place), view.id(order, spot.place).is_some())
        };
        let mut marks = nearest(seen[..end].iter().rev().map(mark), Marks::BEHIND, &[]);
        marks.reverse();
        let behind = marks.len();
        marks.extend(nearest(seen[end..].iter().map(mark), Marks::AHEAD, &marks));
        Line { marks, behind }
    }

    /// The offset of the boundary that the reading has got to, by the last item passed.
    pub(super) fn reached(&self) -> Option<u64> {
        let (spot, _) = self.spots.last()?;
        let offset = self.views[spot.view].offset_of(spot.place);
        Some(match self.growth {
            Growth::Rightward => self.views[spot.view].offset_of(spot.place + 1),
            Growth::Leftward => offset,
        })
    }
}

/// The first marks of a sequence, each with whether it is of an id. Those are taken once, and not where they are on the
/// other side: what was moved while it was read may have been read twice. Items without ids may look the same, and then
/// it is their number that tells a place from the one before it.
pub(super) fn nearest(sequence: impl Iterator<Item = (Mark, bool)>, most: usize, other: &[Mark]) -> Vec<Mark> {
    let mut marks = Vec::with_capacity(most);
    for (mark, is_of_id) in sequence {
        if marks.len() == most {
            break;
        }
        if !is_of_id || (!marks.contains(&mark) && !other.contains(&mark)) {
            marks.push(mark);
        }
    }
    marks
}
