//! The page made of the items read, with the marks around both of its ends, and its level.

use super::{
    MarkReader,
    passed::{Spot, nearest},
};
use crate::pagination::{
    answer::Total,
    direction::Way,
    mark::Mark,
    page::{ItemPlace, Page, PageFacts, Unfounded},
    position::{Hint, Item, MarkedItem, Marks, Position, Target},
    window::Offset,
};

impl MarkReader<'_> {
    /// Makes the page of the items read so far. A page that is `cut_off` by the budget has a link to a next page.
    pub(super) fn assemble(&mut self, cut_off: bool) -> Page {
        // A spent budget doesn't end the list, so the page has a next page. Test:
        // `a_page_that_the_budget_cuts_off_is_refused_or_short`.
        if cut_off {
            self.page.more = Some(true);
        }
        let items = self.page.items();
        let told = self.total();
        let counted = told.filter(|total| total.exact).map(|total| total.value);
        let hint = |offset: u64| Hint { offset: Offset(offset), total: counted, ..Hint::default() };
        let ((stands, end), (read, first)) = (self.page.stands(), self.page.read());
        let forward = self.page.way() == Way::Forward;
        let place = |(around, at): (&[Spot], usize), backward: bool, offset: u64| {
            if self.request.is_unverified() {
                let back = if backward { u64::from(self.request.limit) } else { 0 };
                return Target {
                    position: Position::At(Offset(offset.saturating_sub(back))),
                    hint: hint(offset.saturating_sub(back)),
                };
            }
            let marks = self.marks(around, at, backward);
            let position = if backward { Position::BeforeMarks(marks) } else { Position::AfterMarks(marks) };
            Target { position, hint: hint(offset) }
        };
        let list_end = Target { position: Position::End, hint: hint(self.stand.offset) };
        let list_start = Target { position: Position::Start, hint: Hint::default() };
        // `onward` is the place that the reading has reached, `back` the place where it began.
        let onward = (self.page.more == Some(true)).then(|| place((stands, end), !forward, self.stand.offset));
        let back = self.page.follows_something().then(|| match self.page.began() {
            Some(offset) => place((&read, first), forward, offset),
            // An empty page after the end leads back to the last page. Test:
            // `the_page_before_an_empty_page_past_the_end_is_the_last_page`.
            None if forward => list_end,
            None => list_start,
        });
        let (next, previous) = if forward { (onward, back) } else { (back, onward) };
        let edges = match (items.first(), items.last()) {
            (Some(first), Some(last)) => {
                Some((Item::Marked(self.marked(&read, *first)), Item::Marked(self.marked(&read, *last))))
            }
            _ => None,
        };
        let by_offset = self.request.is_unverified() || self.findings.flagged.is_some();
        let offset = items.first().map_or(self.stand.offset, |spot| self.page.views[spot.view].offset_of(spot.place));
        let items = items.iter().map(|spot| item_place(*spot)).collect();
        let answers = std::mem::take(&mut self.page.views).into_iter().map(|view| view.answer).collect();
        let short = cut_off && self.page.need() > 0;
        let (unproven, total, last) = (self.findings.flagged, told, None);
        let mut facts = PageFacts { answers, items, next, previous, last, total, offset, ..PageFacts::default() };
        (facts.unproven, facts.short, facts.edges) = (unproven, short, edges);
        let mut page = Page::unfounded(if by_offset { Unfounded::Positional } else { Unfounded::Anchored }, facts);
        page.notes.drift = self.findings.drift.filter(|drift| *drift != 0);
        page.notes.stragglers = self.findings.stragglers;
        (page.notes.profile, page.notes.honoured) = (self.profile(), self.asker.ledger.honoured().by_walk());
        self.carry(&mut page);
        page
    }

    /// Returns the last total that an answer gave; `None` if no answer gave one, or if more items than that were seen.
    /// The total isn't exact if the list was seen to end before it.
    fn total(&self) -> Option<Total> {
        let is_end = self.page.more == Some(false) && self.page.way() == Way::Forward;
        let end = Some(self.stand.offset).filter(|_| is_end && !self.request.paging.hidden && !self.page.is_empty());
        self.counts.total.map(|total| Total { exact: total.exact && end.is_none_or(|end| total.value <= end), ..total })
    }

    /// Returns the marks around a place, in the list's order: [`Marks::PASSED`] on the side that counts as served in
    /// this direction of reading, [`Marks::AHEAD`] on the other.
    fn marks(&self, stands: &[Spot], at: usize, backward: bool) -> Marks {
        let backwards = stands[..at].iter().rev();
        let forward = self.page.way() == Way::Forward;
        // An item that moved while the page was read may be on both sides. It then counts as served.
        let (mut before, after) = match (forward, backward) {
            (true, false) => {
                let before = self.nearest(backwards, Marks::PASSED, &[]);
                let after = self.nearest(stands[at..].iter(), Marks::AHEAD, &before);
                (before, after)
            }
            (true, true) => {
                let after = self.nearest(stands[at..].iter(), Marks::PASSED, &[]);
                (self.nearest(backwards, Marks::AHEAD, &after), after)
            }
            (false, true) => {
                let after = self.nearest(backwards, Marks::PASSED, &[]);
                (self.nearest(stands[at..].iter(), Marks::AHEAD, &after), after)
            }
            (false, false) => {
                let before = self.nearest(stands[at..].iter(), Marks::PASSED, &[]);
                let after = self.nearest(backwards, Marks::AHEAD, &before);
                (before, after)
            }
        };
        before.reverse();
        Marks { before, after }
    }

    /// Returns at most `most` marks of the first items of a sequence, without those that `passed::nearest` leaves out.
    fn nearest<'a>(&self, spots: impl Iterator<Item = &'a Spot>, most: usize, other: &[Mark]) -> Vec<Mark> {
        // The key that signs the new cursor makes its marks, whichever key made the marks of the old one. Test:
        // `marks_are_read_with_the_key_that_made_them`.
        let (order, marker) = (&self.request.order, &self.request.marker);
        let mark = |spot: &'a Spot| {
            let view = &self.page.views[spot.view];
            (view.mark_with(order, marker, spot.place), view.id(order, spot.place).is_some())
        };
        nearest(spots.map(mark), most, other)
    }

    /// Returns an item as an item cursor names it. Its neighbours are those in the latest answer if that answer
    /// contains the item; otherwise the neighbours are the items that were read with it.
    fn marked(&self, read: &[Spot], item: Spot) -> MarkedItem {
        let view = &self.page.views[item.view];
        let mark = view.mark_with(&self.request.order, &self.request.marker, item.place);
        let offset = Offset(view.offset_of(item.place));
        let (stands, _) = self.page.stands();
        let at = |spots: &[Spot]| spots.iter().position(|spot| *spot == item);
        // An item of an earlier answer may be next to items of the latest one although no answer shows them side by
        // side. Such items don't count as neighbours: `regressions/an-item-beside-no-neighbour.txt`.
        let is_latest = item.view + 1 == self.page.views.len();
        let (around, at) = match at(stands).filter(|_| is_latest) {
            Some(at) => (stands, at),
            None => (read, at(read).unwrap_or(0)),
        };
        let (before, after) = (&around[..at], around.get(at + 1..).unwrap_or_default());
        match self.page.way() {
            Way::Forward => self.between(mark, offset, before, after),
            Way::Backward => {
                let reversed = |spots: &[Spot]| spots.iter().rev().copied().collect::<Vec<_>>();
                self.between(mark, offset, &reversed(after), &reversed(before))
            }
        }
    }

    /// Returns an item with the marks of its neighbours, in the list's order.
    fn between(&self, item: Mark, offset: Offset, before: &[Spot], after: &[Spot]) -> MarkedItem {
        let mut before = self.nearest(before.iter().rev(), Marks::AHEAD, &[item]);
        before.reverse();
        let after = self.nearest(after.iter(), Marks::AHEAD, &[item]);
        MarkedItem { item, around: Marks { before, after }, offset }
    }
}

fn item_place(spot: Spot) -> ItemPlace {
    let number = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
    ItemPlace { answer: number(spot.view), item: number(spot.place) }
}
