//! A look at the boundary by one large answer, which shows the beginning of a run that is too long for an answer, and
//! the items before it.

use std::{cmp::Ordering, num::NonZeroU32};

use crate::pagination::{
    answer::Answer,
    direction::Way,
    key::KeyValue,
    order::Order,
    paging::{Paging, UpstreamProfile},
    plan::{self, Window},
    position::Anchor,
    rows,
    window::Slice,
};

/// The request for a slice at the boundary, as large as possible.
#[derive(Clone, Copy, Debug)]
pub(in crate::pagination) struct BoundaryLook(Slice);

/// A run that the end of an answer cuts.
#[derive(Debug)]
pub(in crate::pagination) struct FoundRun {
    /// The strong keys of the run.
    pub(in crate::pagination) keys: Vec<KeyValue>,
    /// True if the anchor has the run's keys, whether it still exists or not.
    pub(in crate::pagination) holds_anchor: bool,
    /// The number of items between the boundary and the run; `None` if there are none.
    pub(in crate::pagination) before: Option<NonZeroU32>,
}

impl BoundaryLook {
    /// Plans a look from the boundary on; `None` if it would begin too deep. The boundary is expected after `before`
    /// items, the last `run` of which share its keys.
    pub(in crate::pagination) fn new(paging: &Paging, profile: UpstreamProfile, before: u64, run: u32) -> Option<Self> {
        let most = plan::most(paging, profile.cap);
        let from = before.saturating_sub(u64::from(run) + 2);
        let window = Window { from, to: before.saturating_add(2), before: 0, after: most };
        let slice = *plan::plan(paging, profile.cap, window, Way::Forward, 1).first()?;
        // The upstream doesn't answer a slice beyond its depth limit, so the look is cut there. Test:
        // `a_request_within_a_tie_run_respects_the_greatest_depth`.
        plan::within(paging, slice).map(Self)
    }

    /// Returns the slice to request.
    pub(in crate::pagination) fn slice(self) -> Slice {
        self.0
    }

    /// Returns the run that the end of the answer cuts. `None` unless the answer is sorted and also shows every item
    /// between the boundary and the run; the anchor's own run needn't be shown from its first item. Without an anchor,
    /// the boundary is the start of the list.
    pub(in crate::pagination) fn find(
        self,
        answer: &Answer,
        order: &Order,
        anchor: Option<&Anchor>,
    ) -> Option<FoundRun> {
        let count = answer.items.len();
        let last = count.checked_sub(1)?;
        let mut run = 0;
        for item in 1..count {
            match rows::compare_strong(answer, order, item - 1, item)? {
                Ordering::Less => run = item,
                Ordering::Equal => {}
                Ordering::Greater => return None,
            }
        }
        debug_assert!(run <= last, "a run begins within the answer");
        let keys = answer.anchor(order, run)?.keys;
        // If the answer names another place than the start, items may come before it, so it doesn't begin the list.
        // Test: `an_answer_that_names_another_place_does_not_begin_the_list`.
        let from_start = answer.begins_list(self.0);
        let Some(anchor) = anchor else {
            return from_start.then(|| FoundRun { keys, holds_anchor: false, before: number(run) });
        };
        let first = rows::relate(answer, order, 0, anchor)?.strong;
        match rows::relate(answer, order, last, anchor)?.strong {
            Ordering::Less => None,
            Ordering::Greater if first == Ordering::Greater && !from_start => None,
            Ordering::Equal => Some(FoundRun { keys: anchor.keys.clone(), holds_anchor: true, before: None }),
            // The beginning of the anchor's own run isn't visible. That run is read separately, and then the
            // items after it.
            Ordering::Greater if first == Ordering::Equal && !from_start => {
                Some(FoundRun { keys: anchor.keys.clone(), holds_anchor: true, before: None })
            }
            Ordering::Greater => {
                let mut others = 0;
                for item in 0..run {
                    if rows::relate(answer, order, item, anchor)?.whole == Ordering::Greater {
                        others += 1;
                    }
                }
                Some(FoundRun { keys, holds_anchor: false, before: number(others) })
            }
        }
    }
}

/// Returns a number of items; `None` for 0.
fn number(items: usize) -> Option<NonZeroU32> {
    u32::try_from(items).ok().and_then(NonZeroU32::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        json::Span,
        pagination::{
            order::{Direction, Kind, Nulls, SortKey, Ties},
            paging::{Family, Sizes},
        },
    };

    /// Returns an answer with items of two digits, the rank and the id.
    fn answer(items: &[&str]) -> Answer {
        let span = |start: u32, length| Span { start, end: start + length };
        let starts = || (0..).step_by(2).take(items.len());
        let keys = starts().flat_map(|start| [span(start, 1), span(start + 1, 1)]).collect();
        Answer::listed(items.concat().into_bytes(), starts().map(|start| span(start, 2)).collect(), keys)
    }

    fn key(name: &str) -> SortKey {
        let name = name.to_owned();
        SortKey { name, direction: Direction::Ascending, kind: Kind::Number, nulls: Nulls::None, grain: None }
    }

    #[test]
    fn an_answer_that_names_another_place_does_not_begin_the_list() {
        let order = Order { strong: vec![key("rank")], id: key("id"), ties: Ties::Unordered, declared: true };
        for family in [Family::Offset, Family::Page] {
            let paging = Paging::new(family, Sizes::Free { least: 1, most: Some(4) });
            let look = BoundaryLook::new(&paging, UpstreamProfile::default(), 0, 0).unwrap();
            assert_eq!(look.slice().begins().0, 0);
            for (offset, page, begins) in [
                (None, None, true),
                (Some(0), None, true),
                (None, Some(0), true),
                (Some(4), None, false),
                (None, Some(1), false),
            ] {
                let answer = Answer { offset, page, ..answer(&["12", "23", "24", "25"]) };
                assert_eq!(answer.begins_list(look.slice()), begins, "{family:?} {offset:?} {page:?}");
                // The items before the run are known only if the answer begins the list.
                let found = look.find(&answer, &order, None);
                let before = found.and_then(|run| run.before).map(NonZeroU32::get);
                assert_eq!(before, begins.then_some(1), "{family:?} {offset:?} {page:?}");
            }
        }
    }
}
