//! The judgement of a walk by the list itself: each row that was there and visible throughout is delivered exactly
//! once, in order. Nothing here uses a belief of the core.

use std::collections::BTreeSet;

use crate::ends::upstream::{Row, Said};

/// The claim with which a last page ends the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Claim {
    Exact,
    Checked,
    /// The page says that its end is contradicted, or has a level below `checked`.
    Marked,
}

/// The result of a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ended {
    Right(Claim),
    /// Rows beyond the last item were not delivered. Of a walk back, rows before the first item.
    FalseEnd(Claim),
    /// A row between delivered items was not delivered.
    Skipped,
    /// An item came twice, or after a later one.
    Repeated,
    /// The walk was refused, for this cause.
    Refused(&'static str),
    Endless,
}

/// The statements of the last page's answers that contradict its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Evidence {
    /// An answer has an item beyond the last delivered one.
    pub(crate) items: bool,
    /// A total is larger than the number of delivered items, of those that it counts.
    pub(crate) total: bool,
    /// A flag says that more items follow.
    pub(crate) flag: bool,
}

impl Evidence {
    /// Collects what the answers of the last page say against an end after these items.
    pub(crate) fn of(said: &[Said], ids: &[u64]) -> Self {
        let last = ids.iter().max();
        let is_more = |answer: &Said| answer.total.is_some_and(|total| total > answer.counted(ids));
        // Beside a flipped answer, more items are items before its last one.
        let says_more = |answer: &Said| !answer.flipped && answer.more == Some(true);
        Self {
            items: said.iter().flat_map(|answer| &answer.ids).any(|id| last.is_none_or(|last| id > last)),
            total: said.iter().any(is_more),
            flag: said.iter().any(says_more),
        }
    }

    pub(crate) fn is_any(self) -> bool {
        self.items || self.total || self.flag
    }
}

/// Returns the ids of the rows that were there and visible from the beginning of the walk.
fn stayed(rows: &[Row]) -> impl Iterator<Item = u64> {
    rows.iter().filter(|row| row.first && row.visible).map(|row| row.id)
}

/// Judges a walk forward that delivered these items. `rows` is the list at its end.
pub(crate) fn judge_forward(rows: &[Row], ids: &[u64], claim: Claim) -> Ended {
    if !ids.is_sorted_by(|one, next| one < next) {
        return Ended::Repeated;
    }
    let got: BTreeSet<u64> = ids.iter().copied().collect();
    let lost: Vec<u64> = stayed(rows).filter(|id| !got.contains(id)).collect();
    let is_between = |id: &u64| ids.last().is_some_and(|last| id < last);
    match &lost[..] {
        [] => Ended::Right(claim),
        lost if lost.iter().any(is_between) => Ended::Skipped,
        _ => Ended::FalseEnd(claim),
    }
}

/// Judges a walk back from `bound`, the id before which its first page ends. `rows` is the list at its end.
pub(crate) fn judge_back(rows: &[Row], pages: &[Vec<u64>], bound: u64) -> Ended {
    let mut ids: Vec<u64> = pages.iter().rev().flatten().copied().collect();
    if !ids.is_sorted_by(|one, next| one < next) || ids.last().is_some_and(|last| *last >= bound) {
        return Ended::Repeated;
    }
    ids.push(bound);
    let got: BTreeSet<u64> = ids.iter().copied().collect();
    let lost: Vec<u64> = stayed(rows).filter(|id| *id < bound && !got.contains(id)).collect();
    match &lost[..] {
        [] => Ended::Right(Claim::Marked),
        lost if lost.iter().any(|id| *id > ids[0]) => Ended::Skipped,
        _ => Ended::FalseEnd(Claim::Marked),
    }
}

#[cfg(test)]
mod tests {
    use super::{Claim, Ended, Evidence, judge_back, judge_forward};
    use crate::ends::upstream::{Row, Said};

    /// Returns the rows 1, 2 and so on, each visible if its letter is `#`. A row that came during the walk is a `+`.
    fn rows(text: &str) -> Vec<Row> {
        let row = |(id, letter)| Row { id, visible: letter != '.', first: letter != '+' };
        (1..).zip(text.chars()).map(row).collect()
    }

    #[test]
    fn a_walk_is_right_only_if_it_delivers_each_visible_row_once_and_in_order() {
        let judged = |ids: &[u64]| judge_forward(&rows("#.##+#"), ids, Claim::Exact);
        assert_eq!(judged(&[1, 3, 4, 6]), Ended::Right(Claim::Exact));
        assert_eq!(judged(&[1, 3, 4, 5, 6]), Ended::Right(Claim::Exact), "a row that came may be delivered");
        assert_eq!(judged(&[1, 3, 4]), Ended::FalseEnd(Claim::Exact));
        assert_eq!(judged(&[]), Ended::FalseEnd(Claim::Exact));
        assert_eq!(judged(&[1, 4]), Ended::Skipped, "a lost row counts more than a false end");
        assert_eq!(judged(&[1, 3, 3, 4, 6]), Ended::Repeated);
        assert_eq!(judged(&[1, 4, 3, 6]), Ended::Repeated);
    }

    #[test]
    fn a_walk_back_delivers_each_row_before_its_bound() {
        let judged = |pages: &[&[u64]], bound: u64| {
            judge_back(&rows("#.##+#"), &pages.iter().map(|page| page.to_vec()).collect::<Vec<_>>(), bound)
        };
        assert_eq!(judged(&[&[3, 4], &[1]], 6), Ended::Right(Claim::Marked));
        assert_eq!(judged(&[&[3, 4]], 6), Ended::FalseEnd(Claim::Marked));
        assert_eq!(judged(&[], 6), Ended::FalseEnd(Claim::Marked));
        assert_eq!(judged(&[&[3], &[1]], 6), Ended::Skipped, "the way back skips the row next to its bound");
        assert_eq!(judged(&[&[3, 4, 6], &[1]], 6), Ended::Repeated);
        assert_eq!(judged(&[&[1], &[3, 4]], 6), Ended::Repeated);
    }

    #[test]
    fn an_end_is_contradicted_by_an_item_a_larger_total_or_a_flag() {
        let of = |ids: &[u64], total, more| {
            Evidence::of(&[Said { ids: ids.to_vec(), total, more, ..Said::default() }], &[1, 3])
        };
        assert!(!of(&[1, 3], Some(2), Some(false)).is_any());
        assert!(of(&[4], None, None).items);
        assert!(of(&[], Some(3), None).total);
        assert!(of(&[], None, Some(true)).flag);
    }
}
