//! The items of a page that were read so far: which of them the page takes, and their neighbours.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
};

use super::{
    super::{
        mark::{Mark, Marker},
        order::Order,
        position::Marks,
    },
    line::MarkLine,
    view::View,
};
use crate::pagination::direction::Way;

/// An item of an answer that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    /// The index of the answer in [`PassedItems::views`].
    pub(super) view: usize,
    /// The index of the item in that answer.
    pub(super) place: usize,
}

/// The items that a page has read so far. Sequences are in the direction of reading.
#[derive(Debug)]
pub(super) struct PassedItems {
    way: Way,
    limit: usize,
    /// The answers used, in the sequence of their requests.
    pub(super) views: Vec<View>,
    /// The items passed, and whether the page takes each of them.
    spots: Vec<(Spot, bool)>,
    /// The items right before the first item passed, in the answer that showed it; at most [`Marks::PASSED`].
    lead: Vec<Spot>,
    /// The items around the place reached: those of the latest answer, and beyond its edges those of earlier answers.
    stands: Vec<Spot>,
    /// The number of items of `stands` before the place reached.
    end: usize,
    taken: usize,
    /// True if an item follows in the direction of reading, false if none does; `None` if that isn't known.
    pub(super) more: Option<bool>,
    /// True if the boundary is the very start of the list, or the very end for a page that is read backward.
    closed: bool,
    /// The place of an item whose id its answer shows twice.
    pub(super) twice: Option<usize>,
}

/// The served items that are recognised in an answer.
#[derive(Debug, Default)]
pub(super) struct Recognised {
    /// The marks of served items that the answer shows, each with its place.
    pub(super) served: Vec<(Mark, usize)>,
    /// The marks around the boundary, which are kept if no more of the answer is read.
    pub(super) line: MarkLine,
}

impl PassedItems {
    /// Begins a page of `limit` items.
    pub(super) fn new(way: Way, limit: u32) -> Self {
        Self {
            way,
            limit: limit as usize,
            views: Vec::new(),
            spots: Vec::new(),
            lead: Vec::new(),
            stands: Vec::new(),
            end: 0,
            taken: 0,
            more: None,
            closed: false,
            twice: None,
        }
    }

    pub(super) fn way(&self) -> Way {
        self.way
    }

    /// Returns whether the page has taken at least one item.
    pub(super) fn has_items(&self) -> bool {
        self.taken > 0
    }

    /// Returns the number of items taken so far.
    pub(super) fn count(&self) -> usize {
        self.taken
    }

    /// Returns the number of items still needed to fill the page.
    pub(super) fn need(&self) -> u64 {
        (self.limit - self.taken) as u64
    }

    /// Returns whether the page is complete: it has as many items as it can have, and it is known whether more follow.
    pub(super) fn is_done(&self) -> bool {
        self.more == Some(false) || (self.more == Some(true) && self.taken == self.limit)
    }

    /// Returns whether no item was passed yet.
    pub(super) fn is_empty(&self) -> bool {
        self.spots.is_empty()
    }

    /// Adds an answer. The part of the list that it shows replaces that part as earlier answers showed it. In the
    /// list's order, the boundary is right before the answer's item `cut`. Returns the marks of the items that leave
    /// the page.
    ///
    /// Items are where the latest answer shows them. An item before the boundary that this answer doesn't show is kept
    /// only if it may lie before the first, or after the last, of the answer's known items. If its place would be
    /// between two known items, it is gone or has moved, or other items were put before it. If its neighbours then
    /// disappeared too, its mark would lead to a place that was never read: `regressions/marks-of-a-later-answer.txt`.
    ///
    /// A taken item that is now beyond the boundary leaves the page, and is read again at its new place. A taken item
    /// that isn't shown at all stays on the page, because its neighbours may be the ones that were moved. Test:
    /// `the_marks_of_a_page_agree_with_its_latest_answer`.
    pub(super) fn see(&mut self, view: View, cut: usize, order: &Order, marker: &Marker) -> Vec<Mark> {
        let (count, index) = (view.len(), self.views.len());
        let cut = cut.min(count);
        let (passed, begins, ends) = match self.way {
            Way::Forward => (cut, view.from_start, view.ends),
            Way::Backward => (count - cut, view.ends, view.from_start),
        };
        self.closed |= passed == 0 && begins && self.spots.is_empty();
        self.views.push(view);
        let latest: Vec<Spot> = (0..count).map(|step| Spot { view: index, place: self.place(step, count) }).collect();
        if self.stands.is_empty() {
            (self.stands, self.end) = (latest, passed);
            return Vec::new();
        }
        let mark = |spot: &Spot| self.views[spot.view].mark(order, marker, spot.place);
        let marks: Vec<Mark> = latest.iter().map(mark).collect();
        let stood: Vec<Mark> = self.stands[..self.end].iter().map(mark).collect();
        // Items without ids may look the same. Of several such items, the one nearest to the expected place is taken
        // for the item looked for, and none counts as moved.
        let is_alike = |mark: &Mark| [&stood, &marks].iter().any(|all| all.iter().filter(|it| *it == mark).count() > 1);
        let joint = |step: usize| {
            let believed = (self.end + step).saturating_sub(passed);
            let alike = (0..stood.len()).filter(|at| stood[*at] == marks[step]);
            alike.min_by_key(|at| at.abs_diff(believed))
        };
        let until = match passed {
            0 => self.end,
            _ if begins => 0,
            _ => (0..passed).find_map(joint).unwrap_or(self.end),
        };
        // An answer doesn't contradict the items after its last item, so those items stay.
        let from = match passed {
            1.. if passed == count && !ends => (0..passed).rev().find_map(joint).map_or(self.end, |last| last + 1),
            _ => self.end,
        };
        let shown: HashSet<Mark> = marks.iter().copied().collect();
        let is_elsewhere = |at: usize| shown.contains(&stood[at]) && !is_alike(&stood[at]);
        let left = |range: Range<usize>| -> Vec<usize> { range.filter(|at| !is_elsewhere(*at)).collect() };
        let (before, after) = (left(0..until), left(from.max(until)..self.end));
        let spots = |places: &[usize]| places.iter().map(|at| self.stands[*at]).collect::<Vec<_>>();
        let stands = [spots(&before), latest, spots(&after)].concat();
        let end = if after.is_empty() { before.len() + passed } else { stands.len() };
        let beyond: HashSet<Mark> = marks[passed..].iter().filter(|mark| !is_alike(mark)).copied().collect();
        let mut left_out = Vec::new();
        for (spot, taken) in self.spots.iter_mut().filter(|(_, taken)| *taken) {
            let mark = self.views[spot.view].mark(order, marker, spot.place);
            // An item that moved beyond the place reached is read again there. Test:
            // `the_marks_of_a_page_agree_with_its_latest_answer`.
            if beyond.contains(&mark) {
                *taken = false;
                left_out.push(mark);
            }
        }
        self.taken -= left_out.len();
        (self.stands, self.end) = (stands, end);
        left_out
    }

    /// Takes items of the latest answer, from the boundary on. Skips an item that is `known`, and an item whose id the
    /// page already has. Returns the number of items passed, including those skipped.
    pub(super) fn take(&mut self, order: &Order, known: impl Fn(&View, usize) -> bool) -> usize {
        let Some((index, view)) = self.views.iter().enumerate().next_back() else { return 0 };
        let ends = match self.way {
            Way::Forward => view.ends,
            Way::Backward => view.from_start,
        };
        let mut had = HashMap::new();
        for (spot, _) in self.spots.iter().filter(|(_, taken)| *taken) {
            had.extend(self.views[spot.view].id(order, spot.place).map(|id| (id, spot.view)));
        }
        let (mut taken, mut spots) = (self.taken, Vec::new());
        let ahead = &self.stands[self.end..];
        for spot in ahead.iter().take_while(|spot| spot.view == index) {
            if taken == self.limit {
                break;
            }
            let mut wanted = !known(view, spot.place);
            if let Some(earlier) = view.id(order, spot.place).filter(|_| wanted).and_then(|id| had.insert(id, index)) {
                wanted = false;
                // The upstream may list an item twice, as a join of tables does. Then no mark names a place. Test:
                // `an_answer_with_an_id_twice_is_refused`.
                if earlier == index {
                    self.twice = Some(spot.place);
                }
            }
            spots.push((*spot, wanted));
            taken += usize::from(wanted);
        }
        // An item that the page already has and that is now ahead was moved, so it doesn't show that more items follow.
        let is_new = |spot: &Spot| view.id(order, spot.place).is_none_or(|id| !had.contains_key(&id));
        self.more = match ahead[spots.len()..].iter().any(is_new) {
            true => Some(true),
            false => ends.then_some(false),
        };
        drop(had);
        if self.spots.is_empty() {
            // Only this answer shows which items are now right before its first one, so they are noted here.
            let before = self.stands[..self.end].iter().rev().take_while(|spot| spot.view == index);
            self.lead = before.take(Marks::PASSED).copied().collect();
            self.lead.reverse();
        }
        let steps = spots.len();
        self.end += steps;
        self.spots.extend(spots);
        self.taken = taken;
        steps
    }

    /// Returns the index of the answer's item after `step` others in the direction of reading.
    fn place(&self, step: usize, count: usize) -> usize {
        match self.way {
            Way::Forward => step,
            Way::Backward => count - 1 - step,
        }
    }

    /// Notes that no item comes after those that were read.
    pub(super) fn end(&mut self) {
        self.more = Some(false);
    }

    /// Returns the taken items, in the list's order.
    pub(super) fn items(&self) -> Vec<Spot> {
        let mut items: Vec<Spot> = self.spots.iter().filter(|(_, taken)| *taken).map(|(spot, _)| *spot).collect();
        if self.way == Way::Backward {
            items.reverse();
        }
        items
    }

    /// Returns whether an item with one of these marks was passed and not taken.
    pub(super) fn has_skipped(&self, marks: &[Mark], order: &Order, marker: &Marker) -> bool {
        let mark = |spot: &Spot| self.views[spot.view].mark(order, marker, spot.place);
        self.spots.iter().any(|(spot, taken)| !taken && marks.contains(&mark(spot)))
    }

    /// Returns whether an item exists on the side where the reading began: before the page, or after a page that is
    /// read backward.
    pub(super) fn follows_something(&self) -> bool {
        !self.closed || self.spots.first().is_some_and(|(_, taken)| !taken)
    }

    /// Returns the items that were read, in the direction of reading, and the number of them before the first taken
    /// item. Each is placed as the answer that showed it first had it.
    pub(super) fn read(&self) -> (Vec<Spot>, usize) {
        let first = self.spots.iter().position(|(_, taken)| *taken).unwrap_or(0);
        let spots = self.spots.iter().map(|(spot, _)| *spot);
        let all = self.lead.iter().copied().chain(spots).chain(self.stands[self.end..].iter().copied());
        (all.collect(), self.lead.len() + first)
    }

    /// Returns the items around the place where the page ends in the direction of reading, and the number of items
    /// before that place.
    pub(super) fn stands(&self) -> (&[Spot], usize) {
        (&self.stands, self.end)
    }

    /// Returns the offset of the boundary right before the first taken item; `None` if no item is taken.
    pub(super) fn began(&self) -> Option<u64> {
        let (spot, _) = self.spots.iter().find(|(_, taken)| *taken)?;
        Some(self.offset_of(*spot, self.way == Way::Backward))
    }

    /// Returns the marks around the place that the reading has reached.
    pub(super) fn line(&self, order: &Order, marker: &Marker) -> MarkLine {
        let mark = |spot: &Spot| {
            let view = &self.views[spot.view];
            (view.mark(order, marker, spot.place), view.id(order, spot.place).is_some())
        };
        let mut marks = nearest(self.stands[..self.end].iter().rev().map(mark), Marks::PASSED, &[]);
        marks.reverse();
        let passed = marks.len();
        marks.extend(nearest(self.stands[self.end..].iter().map(mark), Marks::AHEAD, &marks));
        MarkLine { marks, passed }
    }

    /// Returns the offset of the place reached, right beyond the last item passed; `None` if no item was passed.
    pub(super) fn reached(&self) -> Option<u64> {
        let (spot, _) = self.spots.last()?;
        Some(self.offset_of(*spot, self.way == Way::Forward))
    }

    /// Returns the offset right before an item, or right after it, in the list's order.
    fn offset_of(&self, spot: Spot, after: bool) -> u64 {
        self.views[spot.view].offset_of(spot.place + usize::from(after))
    }
}

/// Returns the first `most` marks of a sequence. Each mark comes with a flag: true if it is the mark of an id. A mark
/// of an id counts once, and not at all if it is in `other`, the marks of the other side: an item that moved may have
/// been read twice. A mark of an item without an id counts each time: such items may look the same, and then their
/// number distinguishes a place from the one before it.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        json::Span,
        pagination::{
            answer::Answer,
            judge::end::Belief,
            order::{Direction, Kind, Nulls, SortKey, Ties},
            paging::{Family, Paging, Sizes},
            window::{Offset, PageSize, Slice},
        },
    };

    fn order() -> Order {
        let (name, direction) = ("id".to_owned(), Direction::Ascending);
        let id = SortKey { name, direction, kind: Kind::Inferred, nulls: Nulls::None, grain: None };
        Order { strong: Vec::new(), id, ties: Ties::Ordered, declared: false }
    }

    fn marker() -> Marker {
        Marker::new(|bytes| Mark::of(u64::from(bytes[0])))
    }

    /// Returns an answer with one item for each letter, which is the item's mark.
    fn view(from: u64, letters: &str) -> View {
        let body = letters.as_bytes().to_vec();
        let spans = (0..).take(body.len()).map(|start| Span { start, end: start + 1 });
        let keys = vec![Span::ABSENT; body.len()];
        let answer = Answer { items: spans.collect(), keys, body, ..Answer::default() };
        let size = PageSize(u32::try_from(answer.items.len()).unwrap());
        let slice = Slice::Offset { from: Offset(from), size };
        let paging = Paging::new(Family::Offset, Sizes::Free { least: 1, most: None });
        let belief = Belief::default();
        View::new(answer, slice, &paging, None, belief)
    }

    /// Reads these answers: the offset of each, its items, and the item before which the boundary is. Returns the
    /// page's items, and the marks around the place where the page ends.
    fn read(limit: u32, answers: &[(u64, &str, usize)]) -> (String, String) {
        let (order, marker) = (order(), marker());
        let mut page = PassedItems::new(Way::Forward, limit);
        for (from, letters, cut) in answers {
            page.see(view(*from, letters), *cut, &order, &marker);
            page.take(&order, |_, _| false);
        }
        let MarkLine { marks, passed } = page.line(&order, &marker);
        let letter = |mark: &Mark| char::from(u8::try_from(mark.number()).unwrap());
        let letters = |marks: &[Mark]| -> String { marks.iter().map(letter).collect() };
        let items = page.items();
        let items = items.iter().map(|spot| char::from(page.views[spot.view].answer.body[spot.place])).collect();
        (items, format!("{}|{}", letters(&marks[..passed]), letters(&marks[passed..])))
    }

    #[test]
    fn the_marks_of_a_page_agree_with_its_latest_answer() {
        for (limit, answers, items, line) in [
            // One answer, and two that meet.
            (2, &[(0, "abcdef", 3)][..], "de", "cde|f"),
            (3, &[(0, "abc", 2), (3, "def", 0)], "cde", "cde|f"),
            // `d` isn't between `c` and `x`: items were put before it, or it is gone.
            (3, &[(0, "abcd", 2), (2, "cxy", 1)], "cdx", "bcx|y"),
            // `d` is after the item that was put before it, so it is read again there, and this page lacks it.
            (3, &[(0, "abcd", 2), (2, "cxyd", 1)], "cxy", "cxy|d"),
            (4, &[(0, "abcd", 2), (2, "cxyd", 1)], "cxyd", "xyd|"),
            // `b` was moved between `c` and `d`, which stay.
            (3, &[(0, "abcd", 2), (2, "cbdx", 3)], "cdx", "bdx|"),
            // An answer doesn't contradict the items after its last item.
            (3, &[(0, "abcd", 1), (0, "abc", 3)], "bcd", "bcd|"),
            // Items that look the same prove nothing about each other.
            (4, &[(0, "zzz", 1), (3, "zzz", 0)], "zzzz", "zzz|z"),
        ] {
            assert_eq!(read(limit, answers), (items.to_owned(), line.to_owned()), "{answers:?}");
        }
    }
}
