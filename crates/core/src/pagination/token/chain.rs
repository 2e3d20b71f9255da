//! A place among marked items that is found again in an upstream page, although the items may have changed.
//!
//! All sequences are in the direction of reading: *passed* items come before the place, items *ahead* after it.

use crate::pagination::mark::Mark;

/// The marks around a place, in the direction of reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Around {
    /// The marks of passed items, the nearest last.
    pub(super) passed: Vec<Mark>,
    /// The marks of items ahead, the nearest first.
    pub(super) ahead: Vec<Mark>,
}

/// The place that is found among some items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PlaceAmid {
    /// The place is after `passed` items.
    At {
        /// The number of items before the place.
        passed: usize,
        /// The number of marks that are out of sequence.
        stragglers: u32,
    },
    /// None of the items has one of the marks.
    Nowhere,
    /// No majority of the marks that the items have is still in sequence.
    Disagreed,
}

impl Around {
    /// Returns the place by the longest sequence of marks that keep their order: right after the last passed mark of
    /// the sequence, or right before its first mark ahead. Of several equally good places, the one nearest to `hint`
    /// counts.
    #[must_use]
    pub(super) fn find(&self, items: &[Mark], hint: usize) -> PlaceAmid {
        let passed_before = self.lengths_passed(items);
        let ahead = self.lengths_ahead(items);
        let best =
            passed_before.iter().zip(&ahead).map(|(passed_before, ahead)| passed_before + ahead).max().unwrap_or(0);
        let seen = self.passed.iter().chain(&self.ahead).filter(|mark| items.contains(mark)).count();
        if best == 0 {
            return PlaceAmid::Nowhere;
        }
        // As many marks may have moved as stood still, so a place between them could skip items, and none is returned.
        // Test: `the_longest_chain_of_marks_determines_the_place`.
        if best * 2 <= seen {
            return PlaceAmid::Disagreed;
        }
        let is_best = |place: &usize| passed_before[*place] + ahead[*place] == best;
        let nearest = |places: &mut dyn Iterator<Item = usize>| places.min_by_key(|place| place.abs_diff(hint));
        let after_one =
            nearest(&mut (1..=items.len()).filter(is_best).filter(|at| self.passed.contains(&items[*at - 1])));
        let before_one =
            || nearest(&mut (0..items.len()).filter(is_best).filter(|at| self.ahead.contains(&items[*at])));
        let passed = after_one.or_else(before_one).unwrap_or(0);
        debug_assert!(passed <= items.len() && best <= seen, "a chain of {best} among {seen} marks");
        PlaceAmid::At { passed, stragglers: u32::try_from(seen.saturating_sub(best)).unwrap_or(u32::MAX) }
    }

    /// Returns the place in a page that the upstream issued as the one that begins at the place. Such a page contains
    /// passed items only if the list changed under its tokens; the last passed items then come first. If a passed item
    /// is farther on, without its former neighbours, the item itself was moved.
    #[must_use]
    pub(super) fn find_from_start(&self, items: &[Mark]) -> PlaceAmid {
        if let PlaceAmid::At { passed, stragglers } = self.find(items, 0) {
            let expected = self.passed.len().min(passed);
            let found = self.lengths_passed(&items[..passed]).last().copied().unwrap_or(0);
            // A single moved item would lead past items that were not served, so most of the passed marks expected
            // before the place must be there. Test:
            // `a_page_that_begins_at_the_place_is_not_skipped_for_one_moved_item`.
            if found * 2 > expected {
                return PlaceAmid::At { passed, stragglers };
            }
        }
        let moved = self.passed.iter().filter(|mark| items.contains(mark)).count();
        PlaceAmid::At { passed: 0, stragglers: u32::try_from(moved).unwrap_or(u32::MAX) }
    }

    /// Returns whether the last of these items has a passed mark that isn't the nearest one. The next page may then
    /// show more marks. Test: `the_neighbour_of_a_mark_that_ends_its_page_is_looked_for_in_the_next`.
    #[must_use]
    pub(super) fn goes_on_passed(&self, items: &[Mark]) -> bool {
        items.last().is_some_and(|last| self.passed.contains(last) && self.passed.last() != Some(last))
    }

    /// Returns, for each place, the largest number of passed marks that the items before it show in their order.
    fn lengths_passed(&self, items: &[Mark]) -> Vec<usize> {
        let mut lengths = vec![0; self.passed.len() + 1];
        let mut all = Vec::with_capacity(items.len() + 1);
        all.push(0);
        for item in items {
            extend(&mut lengths, self.passed.iter(), *item);
            all.push(lengths[self.passed.len()]);
        }
        all
    }

    /// Returns, for each place, the largest number of marks ahead that the items after it show in their order.
    fn lengths_ahead(&self, items: &[Mark]) -> Vec<usize> {
        let mut lengths = vec![0; self.ahead.len() + 1];
        let mut all = Vec::with_capacity(items.len() + 1);
        all.push(0);
        for item in items.iter().rev() {
            extend(&mut lengths, self.ahead.iter().rev(), *item);
            all.push(lengths[self.ahead.len()]);
        }
        all.reverse();
        all
    }
}

/// Appends an item. `lengths[n]` is the largest number of the first `n` marks that the items so far show in their
/// order.
fn extend<'a>(lengths: &mut [usize], marks: impl DoubleEndedIterator<Item = &'a Mark> + ExactSizeIterator, item: Mark) {
    // Later marks are counted first, so one item can't count for two marks.
    for (place, mark) in marks.enumerate().rev() {
        if *mark == item {
            lengths[place + 1] = lengths[place] + 1;
        }
    }
    for place in 1..lengths.len() {
        lengths[place] = lengths[place].max(lengths[place - 1]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(numbers: &[u64]) -> Vec<Mark> {
        numbers.iter().copied().map(Mark::of).collect()
    }

    fn at(passed: usize, stragglers: u32) -> PlaceAmid {
        PlaceAmid::At { passed, stragglers }
    }

    #[test]
    fn the_longest_chain_of_marks_determines_the_place() {
        let around = Around { passed: marks(&[1, 2, 3]), ahead: marks(&[4, 5]) };
        for (items, hint, expected) in [
            (&[0, 1, 2, 3, 4, 5, 6][..], 4, at(4, 0)),
            (&[4, 5, 6], 0, at(0, 0)),
            (&[7, 8, 4, 5], 0, at(2, 0)),
            (&[1, 2, 9, 4, 5], 2, at(2, 0)),
            (&[1, 2, 3, 8, 9], 3, at(3, 0)),
            (&[3, 8, 9], 3, at(1, 0)),
            (&[1, 2, 4, 5, 7, 8, 9, 3], 3, at(2, 1)),
            (&[1, 2, 4, 3, 5], 3, at(2, 1)),
            (&[5, 4, 1, 2, 3, 6], 3, at(5, 2)),
            (&[4, 3], 0, PlaceAmid::Disagreed),
            (&[5, 4, 3, 2, 1], 0, PlaceAmid::Disagreed),
            (&[6, 7], 0, PlaceAmid::Nowhere),
            (&[], 0, PlaceAmid::Nowhere),
        ] {
            assert_eq!(around.find(&marks(items), hint), expected, "{items:?}");
        }
    }

    #[test]
    fn the_next_upstream_page_is_needed_if_the_last_item_is_an_earlier_mark() {
        let around = Around { passed: marks(&[1, 2, 3]), ahead: vec![] };
        for (items, expected) in
            [(&[0, 1][..], true), (&[0, 2], true), (&[1, 0], false), (&[2, 3], false), (&[], false)]
        {
            assert_eq!(around.goes_on_passed(&marks(items)), expected, "{items:?}");
        }
    }

    #[test]
    fn the_hint_determines_the_place_among_equal_items() {
        let around = Around { passed: marks(&[1, 1, 1]), ahead: marks(&[1, 1]) };
        let items = marks(&[1; 20]);
        assert_eq!(around.find(&items, 10), at(10, 0));
        assert_eq!(around.find(&items, 3), at(3, 0));
    }

    #[test]
    fn a_page_that_begins_at_the_place_is_not_skipped_for_one_moved_item() {
        let around = Around { passed: marks(&[1, 2, 3]), ahead: vec![] };
        for (items, expected) in [
            (&[4, 5, 6][..], at(0, 0)),
            (&[3, 4, 5], at(1, 0)),
            (&[1, 2, 3, 4, 5], at(3, 0)),
            (&[0, 1, 3, 4], at(3, 0)),
            (&[4, 5, 6, 7, 3, 8], at(0, 1)),
            (&[4, 3, 5, 6, 7, 2], at(0, 2)),
        ] {
            assert_eq!(around.find_from_start(&marks(items)), expected, "{items:?}");
        }
    }
}
