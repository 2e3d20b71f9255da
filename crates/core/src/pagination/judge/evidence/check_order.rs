//! The order of an answer's items: checked, and completed by the id where the upstream leaves it open.

use std::{borrow::Cow, cmp::Ordering, collections::HashMap, ops::Range};

use super::Evidence;
use crate::pagination::{
    order::Order,
    rows::{self, NextItem},
    rules::{Rule, holds},
    unsorted::Unsorted,
};

impl Evidence {
    /// Checks that strong keys never decrease in the list's order, arranges each run of equal keys by id, and finds the
    /// places that a page can use.
    pub(super) fn check_order(&mut self, order: &Order) -> Result<(), Unsorted> {
        let count = self.len();
        if count == 0 {
            return Ok(());
        }
        if count == 1 {
            rows::check_alone(&self.answer, order)?;
        } else if rows::are_counted(&self.answer, order) {
            self.close_run(order, 0..1)?;
            return self.close_run(order, count - 1..count);
        }
        let (mut group, mut apart) = (0, false);
        for place in 1..=count {
            let next = match place == count {
                true => NextItem::Later,
                false => rows::follow(&self.answer, order, place - 1, place)
                    .ok_or_else(|| rows::incomparable(&self.answer, order, place))?,
            };
            match next {
                NextItem::Tied => {}
                NextItem::Apart => apart = true,
                NextItem::Earlier => return Err(rows::contradiction(&self.answer, order, place)),
                NextItem::Later => {
                    if apart {
                        for run in self.opaque_runs(order, group..place) {
                            self.close_run(order, run)?;
                        }
                    } else {
                        self.close_run(order, group..place)?;
                    }
                    (group, apart) = (place, false);
                }
            }
        }
        Ok(())
    }

    /// Returns the runs of equal opaque values, as far as they can be told apart, in a group of items whose other
    /// strong keys are equal.
    ///
    /// In a sorted list all items between two equal values are equal to these, however the items are spelt: `Smith`,
    /// `smith`, `Smith` is one run where the upstream ignores case. The items next to a run may belong to it.
    pub(super) fn opaque_runs(&self, order: &Order, group: Range<usize>) -> Vec<Range<usize>> {
        let value = |place: usize| rows::opaque_value(&self.answer, order, self.item(place));
        let last: HashMap<Option<Cow<'_, [u8]>>, usize> = group.clone().map(|place| (value(place), place)).collect();
        let mut runs = Vec::new();
        let mut run = group.start..group.start;
        for place in group {
            // The run extends at least to the last item with this value. Test:
            // `a_repeated_opaque_value_makes_one_run_of_all_rows_in_between`.
            run.end = run.end.max(last[&value(place)] + 1);
            if place + 1 == run.end {
                runs.push(run.clone());
                run = run.end..run.end;
            }
        }
        runs
    }

    /// Arranges a run of equal strong keys by id. A loose run that an edge of the answer may cut is excluded from the
    /// usable places.
    fn close_run(&mut self, order: &Order, run: Range<usize>) -> Result<(), Unsorted> {
        let Range { start, end } = run;
        self.arranged.longest_run = self.arranged.longest_run.max(u32::try_from(end - start).unwrap_or(u32::MAX));
        if end - start > 1 {
            self.arrange_run(order, start..end)?;
        }
        let (first, last) = (start == 0 && !self.from_start, end == self.len() && !self.end.ends);
        // An item beyond the edge may tie with the run, and be before the run's items in the next answer, so a page
        // can't use the run: `regressions/without-runs-are-closed.txt`.
        if (first || last) && self.is_loose(order, start) {
            if first {
                self.arranged.usable.start = end;
            }
            if last {
                self.arranged.usable.end = start.max(self.arranged.usable.start);
            }
        }
        Ok(())
    }

    /// Arranges one run of equal strong keys by id if its ties come in any order; otherwise checks that it is sorted by
    /// id.
    fn arrange_run(&mut self, order: &Order, run: Range<usize>) -> Result<(), Unsorted> {
        let compared = |left: usize, right: usize| rows::compare_tied(&self.answer, order, left, right);
        let mut in_order = true;
        for place in run.start + 1..run.end {
            match compared(place - 1, place) {
                Some(Ordering::Less) => {}
                Some(Ordering::Equal) => return Err(rows::twice(place)),
                Some(Ordering::Greater) => in_order = false,
                None => return Err(rows::incomparable(&self.answer, order, place)),
            }
        }
        if in_order {
            return Ok(());
        }
        // Ties that the upstream sorts by id must be in that order. Test:
        // `a_run_is_arranged_only_where_its_ties_come_in_any_order`.
        if !self.is_loose(order, run.start) && holds(Rule::RunsAreClosed) {
            return Err(rows::disordered_ties(&self.answer, order, run.start, run.end - 1));
        }
        let mut places: Vec<u32> = (run.start..run.end).filter_map(|place| u32::try_from(place).ok()).collect();
        let mut comparable = true;
        places.sort_by(|left, right| {
            compared(*left as usize, *right as usize).unwrap_or_else(|| {
                comparable = false;
                Ordering::Equal
            })
        });
        if !comparable {
            return Err(rows::incomparable(&self.answer, order, run.start + 1));
        }
        // Equal ids that weren't neighbours in the answer are neighbours only after sorting.
        let equal = |pair: &&[u32]| compared(pair[0] as usize, pair[1] as usize) == Some(Ordering::Equal);
        if let Some(pair) = places.windows(2).find(equal) {
            return Err(rows::twice(pair[1] as usize));
        }
        let count = self.answer.items.len();
        let arrangement = self
            .arranged
            .places
            .get_or_insert_with(|| (0..count).filter_map(|place| u32::try_from(place).ok()).collect());
        arrangement[run].copy_from_slice(&places);
        Ok(())
    }
}
