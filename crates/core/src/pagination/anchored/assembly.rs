//! The page made of what was read: items, the marks around its two ends, and how sure it is.

use super::{
    State,
    passed::{Spot, nearest},
};
use crate::pagination::{
    mark::Mark,
    page::{ItemPlace, Level, Page},
    plan::Growth,
    position::{Hint, Item, MarkedItem, Marks, Position, Target},
    resolver::{Step, Verify},
    window::Offset,
};

impl State {
    /// Serves the page as it stands.
    pub(super) fn finish(mut self: Box<Self>) -> Step {
        let items = self.page.items();
        let told = self.total;
        let counted = told.filter(|total| total.exact).map(|total| total.value);
        let hint = |offset: u64| Hint { offset: Offset(offset), total: counted, ..Hint::default() };
        let (seen, first, end) = self.page.seen();
        let forward = self.page.growth() == Growth::Rightward;
        let offset_at = |at: usize, behind: bool| {
            seen.get(at).map(|spot| self.page.views[spot.view].offset_of(spot.place + usize::from(behind)))
        };
        let place = |at: usize, backward: bool, offset: u64| {
            if self.request.verify == Verify::Never {
                let back = if backward { u64::from(self.request.limit) } else { 0 };
                return Target {
                    position: Position::At(Offset(offset.saturating_sub(back))),
                    hint: hint(offset.saturating_sub(back)),
                };
            }
            let marks = self.marks(&seen, at, backward);
            let position = if backward { Position::BeforeMarks(marks) } else { Position::AfterMarks(marks) };
            Target { position, hint: hint(offset) }
        };
        let list_end = Target { position: Position::End, hint: hint(self.offset) };
        let list_start = Target { position: Position::Start, hint: Hint::default() };
        // Where the reading has got to, and where it began.
        let onward = (self.page.more == Some(true)).then(|| place(end, !forward, self.offset));
        let began = offset_at(first, !forward).filter(|_| !items.is_empty());
        let back = self.page.follows_something().then(|| match began {
            Some(offset) => place(first, forward, offset),
            None if forward => list_end,
            None => list_start,
        });
        let (next, previous) = if forward { (onward, back) } else { (back, onward) };
        let edges = match (items.first(), items.last()) {
            (Some(first), Some(last)) => {
                Some((Item::Marked(self.marked(&seen, *first)), Item::Marked(self.marked(&seen, *last))))
            }
            _ => None,
        };
        let by_offset = self.request.verify == Verify::Never || self.flagged.is_some();
        let offset = items.first().map_or(self.offset, |spot| self.page.views[spot.view].offset_of(spot.place));
        let page = Page {
            items: items.iter().map(|spot| item_place(*spot)).collect(),
            next,
            previous,
            last: None,
            total: told,
            offset,
            level: if by_offset { Level::Positional } else { Level::Anchored },
            unproven: self.flagged,
            short: self.cut_off,
            drift: self.drift.filter(|drift| *drift != 0),
            learnt: self.sizes.known(),
            honoured: self.sizes.honoured.by_walk,
            requests: self.requests,
            edges,
            stragglers: self.stragglers,
            looked_up: None,
            answers: Vec::new(),
        };
        let answers = std::mem::take(&mut self.page.views).into_iter().map(|view| view.answer).collect();
        Step::Serve(Box::new(Page { answers, ..page }))
    }

    /// The marks around a place in what was seen, in the list's order: of the side that counts as served, whichever way
    /// the page was read, one more than of the other.
    fn marks(&self, seen: &[Spot], at: usize, backward: bool) -> Marks {
        let backwards = seen[..at].iter().rev();
        let forward = self.page.growth() == Growth::Rightward;
        // What was read twice, as it was moved meanwhile, was served.
        let (mut before, after) = match (forward, backward) {
            (true, false) => {
                let before = self.nearest(backwards, Marks::BEHIND, &[]);
                let after = self.nearest(seen[at..].iter(), Marks::AHEAD, &before);
                (before, after)
            }
            (true, true) => {
                let after = self.nearest(seen[at..].iter(), Marks::BEHIND, &[]);
                (self.nearest(backwards, Marks::AHEAD, &after), after)
            }
            (false, true) => {
                let after = self.nearest(backwards, Marks::BEHIND, &[]);
                (self.nearest(seen[at..].iter(), Marks::AHEAD, &after), after)
            }
            (false, false) => {
                let before = self.nearest(seen[at..].iter(), Marks::BEHIND, &[]);
                let after = self.nearest(backwards, Marks::AHEAD, &before);
                (before, after)
            }
        };
        before.reverse();
        Marks { before, after }
    }

    /// The marks of the first items of a sequence.
    fn nearest<'a>(&self, spots: impl Iterator<Item = &'a Spot>, most: usize, other: &[Mark]) -> Vec<Mark> {
        let (order, marker) = (&self.request.order, &self.request.marker);
        let mark = |spot: &'a Spot| {
            let view = &self.page.views[spot.view];
            (view.mark_with(order, marker, spot.place), view.id(order, spot.place).is_some())
        };
        nearest(spots.map(mark), most, other)
    }

    /// An item as an item cursor names it.
    fn marked(&self, seen: &[Spot], item: Spot) -> MarkedItem {
        let at = seen.iter().position(|spot| *spot == item).unwrap_or(0);
        let mark = self.page.views[item.view].mark_with(&self.request.order, &self.request.marker, item.place);
        let (mut before, mut after) = (
            self.nearest(seen[..at].iter().rev(), Marks::AHEAD, &[mark]),
            self.nearest(seen[at + 1..].iter(), Marks::AHEAD, &[mark]),
        );
        if self.page.growth() == Growth::Leftward {
            (before, after) = (after, before);
        }
        before.reverse();
        MarkedItem { item: mark, around: Marks { before, after } }
    }
}

fn item_place(spot: Spot) -> ItemPlace {
    let number = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
    ItemPlace { answer: number(spot.view), item: number(spot.place) }
}
