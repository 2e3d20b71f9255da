//! The marks around a boundary in the direction of reading, and the places in an answer at which they are seen.

use super::{
    super::{
        mark::{Mark, Marker},
        order::Order,
        position::Marks,
    },
    view::View,
};
use crate::pagination::direction::Way;

/// The marks around a boundary in the direction of reading: first those of items already served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct MarkLine {
    /// The marks, in the direction of reading.
    pub(super) marks: Vec<Mark>,
    /// The number of marks whose items were served; these come first.
    pub(super) passed: usize,
}

/// A mark of a line that was seen in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sight {
    /// The index of the mark in its line.
    pub(super) rank: usize,
    /// The index of the item in the answer.
    pub(super) place: usize,
}

impl MarkLine {
    /// Returns the marks of a position, in the direction of reading: at most [`Marks::PASSED`] of served items, and at
    /// most [`Marks::AHEAD`] of others.
    pub(super) fn new(marks: &Marks, way: Way) -> Self {
        let (mut served, mut ahead) = match way {
            Way::Forward => (marks.before.clone(), marks.after.clone()),
            Way::Backward => {
                (marks.after.iter().rev().copied().collect(), marks.before.iter().rev().copied().collect::<Vec<_>>())
            }
        };
        served.drain(..served.len().saturating_sub(Marks::PASSED));
        ahead.truncate(Marks::AHEAD);
        let passed = served.len();
        served.extend(ahead);
        Self { marks: served, passed }
    }

    /// Returns these marks. A side without any mark gets the marks of the other line's side.
    pub(super) fn or(self, other: Self) -> Self {
        let (mut own, mut others) = (self.marks, other.marks);
        let (ahead, others_ahead) = (own.split_off(self.passed), others.split_off(other.passed));
        let mut marks = if own.is_empty() { others } else { own };
        let passed = marks.len();
        marks.extend(if ahead.is_empty() { others_ahead } else { ahead });
        Self { marks, passed }
    }

    /// Returns these marks after the older ones of served items that an answer leaves out, as far as [`Marks::PASSED`]
    /// allows. Without the older marks, one that moves could outvote the few marks of a short answer:
    /// `regressions/marks-that-a-short-answer-leaves-out.txt`. Test:
    /// `older_marks_precede_the_few_marks_of_a_short_answer`.
    pub(super) fn led_by(mut self, older: &Self) -> Self {
        let room = Marks::PASSED.saturating_sub(self.passed);
        let left_out = |mark: &&Mark| !self.marks.contains(mark);
        // The answer may show an older mark because its item has moved past the others, so these are kept although they
        // were after it: `regressions/a-mark-that-moves-past-the-others-twice.txt`.
        let mut lead: Vec<Mark> = older.served().iter().filter(left_out).copied().collect();
        lead.drain(..lead.len().saturating_sub(room));
        self.passed += lead.len();
        self.marks.splice(0..0, lead);
        self
    }

    /// Returns the marks of items already served.
    pub(super) fn served(&self) -> &[Mark] {
        &self.marks[..self.passed]
    }

    /// Returns whether the first unserved item has a mark.
    pub(super) fn leads_on(&self) -> bool {
        self.passed < self.marks.len()
    }

    /// Returns the offset at which a mark is expected if the boundary is at offset `boundary`; `None` if it would be
    /// negative.
    fn expected(&self, rank: usize, boundary: u64, way: Way) -> Option<u64> {
        let (rank, passed) = (rank as u64, self.passed as u64);
        match way {
            Way::Forward => (boundary + rank).checked_sub(passed),
            Way::Backward => (boundary + passed).checked_sub(rank + 1),
        }
    }

    /// Returns whether the item with a mark is exactly at its expected offset.
    pub(super) fn is_in_place(&self, rank: usize, at: u64, boundary: u64, way: Way) -> bool {
        self.expected(rank, boundary, way) == Some(at)
    }

    /// Returns the marks that an answer shows, and their places.
    ///
    /// If more than half of the marks are expected in this answer, and all of these are at their expected places, no
    /// other item is looked at. Several items may have the same mark: items without ids that look alike, or an item
    /// that the list contains twice. Such a mark counts only if its place relative to the other marks is the same as
    /// when the cursor was made.
    pub(super) fn sight(&self, view: &View, boundary: u64, way: Way, order: &Order, marker: &Marker) -> Vec<Sight> {
        let expected = |rank: usize| -> Option<usize> {
            let place = self.expected(rank, boundary, way)?.checked_sub(view.begins)?;
            usize::try_from(place).ok().filter(|place| *place < view.len())
        };
        let in_reach = || (0..self.marks.len()).filter_map(|rank| Some(Sight { rank, place: expected(rank)? }));
        let is_there = |sight: Sight| view.mark(order, marker, sight.place) == self.marks[sight.rank];
        if in_reach().count() * 2 > self.marks.len() && in_reach().all(is_there) {
            return in_reach().collect();
        }
        let marks = view.marks(order, marker);
        let places = |rank: usize| (0..marks.len()).filter(move |place| marks[*place] == self.marks[rank]);
        let alone = |rank: usize| self.marks.iter().filter(|mark| **mark == self.marks[rank]).count() == 1;
        let is_unique = |rank: usize| places(rank).nth(1).is_none() && alone(rank);
        if (0..self.marks.len()).all(is_unique) {
            let sight = |rank| Some(Sight { rank, place: places(rank).next()? });
            return (0..self.marks.len()).filter_map(sight).collect();
        }
        // Items that look the same are distinguished by their places relative to the other marks. Test:
        // `items_without_ids_are_known_by_their_bytes`.
        let Some(shift) = self.shift(view, boundary, way, marks) else {
            return Vec::new();
        };
        let sight = |rank: usize| {
            let place = if is_unique(rank) {
                places(rank).next()?
            } else {
                let at = i128::from(self.expected(rank, boundary, way)?) + shift - i128::from(view.begins);
                usize::try_from(at).ok().filter(|place| marks.get(*place) == Some(&self.marks[rank]))?
            };
            Some(Sight { rank, place })
        };
        (0..self.marks.len()).filter_map(sight).collect()
    }

    /// Returns the shift of offsets under which the largest number of marks coincide with items of the answer. Of
    /// several such shifts, the smallest is returned; `None` if the answer shows no mark.
    fn shift(&self, view: &View, boundary: u64, way: Way, marks: &[Mark]) -> Option<i128> {
        let expected = |rank: usize| self.expected(rank, boundary, way).map(i128::from);
        let begins = i128::from(view.begins);
        let mut best: Option<(usize, i128)> = None;
        for rank in 0..self.marks.len() {
            for place in (0..marks.len()).filter(|place| marks[*place] == self.marks[rank]) {
                let Some(shift) = expected(rank).map(|expected| begins + place as i128 - expected) else { continue };
                let agrees = |rank: &usize| {
                    let place = expected(*rank).and_then(|expected| usize::try_from(expected + shift - begins).ok());
                    place.and_then(|place| marks.get(place)) == Some(&self.marks[*rank])
                };
                let score = (0..self.marks.len()).filter(agrees).count();
                if best.is_none_or(|(most, least)| score > most || (score == most && shift.abs() < least.abs())) {
                    best = Some((score, shift));
                }
            }
        }
        best.map(|(_, shift)| shift)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parses a line from letters, one for each mark, with a bar where the page begins.
    fn line(letters: &str) -> MarkLine {
        let marks = letters.bytes().filter(|letter| *letter != b'|').map(|letter| Mark::of(letter.into())).collect();
        MarkLine { marks, passed: letters.find('|').unwrap() }
    }

    #[test]
    fn older_marks_precede_the_few_marks_of_a_short_answer() {
        for (older, shown, expected) in [
            ("abc|d", "cd|", "bcd|"),
            ("abc|d", "d|", "bcd|"),
            ("abc|d", "cde|", "cde|"),
            ("abc|d", "d|e", "bcd|e"),
            // `b` and `c` are gone, or `a` has moved past them.
            ("abc|d", "ad|e", "cad|e"),
            ("|d", "d|e", "d|e"),
        ] {
            assert_eq!(line(shown).led_by(&line(older)), line(expected), "{older} {shown}");
        }
    }
}
