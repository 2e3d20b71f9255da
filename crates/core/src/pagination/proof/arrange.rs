//! The order of an answer: checked, and made whole where the upstream leaves it open.

use std::{borrow::Cow, cmp::Ordering, collections::HashSet, ops::Range};

use super::View;
use crate::pagination::{
    order::Order,
    rows::{self, Next, Unsorted},
    rules::{Rule, holds},
};

impl View {
    /// Checks that strong keys never fall back, puts each run of equal ones in id order, and finds what can be used.
    pub(super) fn arrange(&mut self, order: &Order) -> Result<(), Unsorted> {
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
        let (mut run, mut group) = (0, 0);
        let mut apart = false;
        for place in 1..=count {
            let next = match place == count {
                true => Next::Later,
                false => rows::follow(&self.answer, order, place - 1, place)
                    .ok_or_else(|| rows::incomparable(&self.answer, order, place))?,
            };
            match next {
                Next::Tied => continue,
                Next::Earlier => return Err(rows::contradiction(order, place)),
                Next::Apart => apart = true,
                Next::Later => {
                    if apart {
                        self.check_opaque(order, group..place)?;
                    }
                    (group, apart) = (place, false);
                }
            }
            self.close_run(order, run..place)?;
            run = place;
        }
        Ok(())
    }

    /// A run of equal strong keys: puts it in order, and leaves it out of what can be used where an edge may cut it.
    fn close_run(&mut self, order: &Order, run: Range<usize>) -> Result<(), Unsorted> {
        let Range { start, end } = run;
        self.longest_run = self.longest_run.max(u32::try_from(end - start).unwrap_or(u32::MAX));
        if end - start > 1 {
            self.arrange_run(order, start..end)?;
        }
        let (first, last) = (start == 0 && !self.from_start, end == self.len() && !self.ends);
        if (first || last) && self.is_loose(order, start) {
            if first {
                self.usable.start = end;
            }
            if last {
                self.usable.end = start.max(self.usable.start);
            }
        }
        Ok(())
    }

    /// Puts one run of equal strong keys in id order, or checks that the upstream did.
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
        if !self.is_loose(order, run.start) && holds(Rule::RunsAreClosed) {
            return Err(Unsorted(format!(
                "items {} to {} of an answer have equal keys and are not in the order of {}: say ties = \"unordered\"",
                run.start + 1,
                run.end,
                order.id.name
            )));
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
        let equal = |pair: &&[u32]| compared(pair[0] as usize, pair[1] as usize) == Some(Ordering::Equal);
        if let Some(pair) = places.windows(2).find(equal) {
            return Err(rows::twice(pair[1] as usize));
        }
        let count = self.answer.items.len();
        let arrangement =
            self.arrangement.get_or_insert_with(|| (0..count).filter_map(|place| u32::try_from(place).ok()).collect());
        arrangement[run].copy_from_slice(&places);
        Ok(())
    }

    /// Checks that among items whose other strong keys are equal no opaque value comes, goes, and comes again.
    fn check_opaque(&self, order: &Order, group: Range<usize>) -> Result<(), Unsorted> {
        let mut seen: HashSet<Cow<'_, [u8]>> = HashSet::new();
        let mut current: Option<Cow<'_, [u8]>> = None;
        for place in group {
            let Some(value) = rows::opaque_value(&self.answer, order, place) else { continue };
            if current.as_ref() != Some(&value) {
                if !seen.insert(value.clone()) {
                    return Err(rows::contradiction(order, place));
                }
                current = Some(value);
            }
        }
        Ok(())
    }
}
