//! The search for the end of a list: first at the total, then in growing strides while items come, then by halving the
//! range between the last item and the first empty offset.

use super::{Landmark, MarkNext, MarkReader, MarkTurn, mark_seam::MarkSeam, view::View};
use crate::pagination::{
    answer::Total,
    direction::Way,
    limits::{TAIL_MARGIN, TAIL_STRIDE},
    plan::Window,
};

/// The knowledge of where a list ends.
#[derive(Debug, Default)]
pub(super) struct Tail {
    aim: u64,
    /// The offset up to which items were seen.
    low: u64,
    /// The smallest offset at which no item was seen; `None` if no such offset is known.
    high: Option<u64>,
    strides: u32,
    /// The seam after the last answer that had any items; `None` before such an answer.
    seam: Option<Box<MarkSeam>>,
}

impl Tail {
    /// Begins a search at the offset where the list is expected to end.
    pub(super) fn new(aim: u64) -> Self {
        Self { aim, ..Self::default() }
    }

    /// Returns the window that should show the end and `need` items before it.
    pub(super) fn window(&self, need: u64) -> Window {
        let from = self.aim.saturating_sub(need + 1);
        Window { from, to: self.aim.saturating_add(1), before: TAIL_MARGIN, after: TAIL_MARGIN }
    }

    /// Adds an answer that doesn't show the end of a list with hidden items. `total` is the list's total. Returns
    /// whether the search has a new offset to look at.
    fn saw_some(&mut self, view: &View, total: u64) -> bool {
        let aim = match view.reaches() < total {
            true => total,
            false if view.is_empty() => view.begins,
            false => self.aim,
        };
        std::mem::replace(&mut self.aim, aim) != aim
    }

    /// Adds an answer that covers these offsets and doesn't show the end, and aims anew. Returns whether the search has
    /// a new offset to look at.
    fn saw(&mut self, from: u64, to: u64, total: Option<Total>) -> bool {
        if from == to {
            self.high = Some(self.high.map_or(from, |high| high.min(from)));
            self.low = self.low.min(from);
        } else {
            self.low = self.low.max(to);
            self.high = self.high.filter(|high| *high >= self.low);
        }
        let counted = total
            .map(|total| total.value)
            .filter(|total| *total > self.low && self.high.is_none_or(|high| *total < high) && *total != self.aim);
        let all_seen = total.is_some_and(|total| total.value <= self.low);
        let aim = match (counted, self.high) {
            (Some(total), _) => total,
            (None, None) if all_seen => self.low,
            (None, Some(high)) => self.low + (high - self.low) / 2,
            (None, None) => {
                self.strides += 1;
                self.low.saturating_add(TAIL_STRIDE << self.strides.min(20))
            }
        };
        let moved = aim != self.aim;
        self.aim = aim;
        moved
    }
}

impl MarkReader<'_> {
    /// Returns the next turn after an answer that doesn't show the end of the list.
    pub(super) async fn missed_tail(&mut self, view: View, confirming: bool) -> MarkNext {
        self.asker.searching = true;
        let Landmark::Tail(tail) = &mut self.boundary else { return Err(self.lost()) };
        let count = u32::try_from(view.len()).ok();
        if confirming && count.is_some() && count == self.caps.suspected && count < Some(view.slice.size().0) {
            // A second answer with the same number of items was cut by a cap, under which a page number means another
            // page. The search therefore begins again.
            self.caps.confirm(&mut self.asker.sizes);
            *tail = Tail::new(tail.aim);
            return Ok(MarkTurn::Window);
        }
        // Rows may be left out of an answer with few items, so all of them may come before the offset at which none was
        // seen. Test: `the_last_page_is_found_where_rows_are_left_out`.
        let is_short = view.short || (view.len() as u64) < view.reaches() - view.begins;
        let high = tail.high.filter(|high| is_short && *high > view.begins).unwrap_or(u64::MAX);
        let to = if view.is_empty() { view.begins } else { view.reaches().min(high) };
        let moved = match view.answer.total {
            Some(total) if self.request.paging.hidden => tail.saw_some(&view, total.value),
            total => tail.saw(view.begins, to, total),
        };
        if confirming && !view.is_empty() {
            self.caps.confirm(&mut self.asker.sizes);
        }
        if view.short && !view.is_empty() {
            self.caps.suspected = u32::try_from(view.len()).ok();
            let last = view.reaches() - 1;
            let small = self.small_at_the_end(last).filter(|_| !confirming);
            if let Some(small) = small {
                return self.confirm_by(vec![small]).await;
            }
        }
        let is_something = !view.is_empty() || view.from_start;
        let seam = MarkSeam::new(&view, Way::Forward, &self.request).filter(|_| is_something);
        let Landmark::Tail(tail) = &mut self.boundary else { return Err(self.lost()) };
        tail.seam = seam.or_else(|| tail.seam.take());
        // If the upstream repeats its last page past the end, no offset after a short answer shows more, so the short
        // answer is read as a seam.
        let repeats = view.short && self.request.paging.repeats_last_page;
        if moved && !repeats {
            return Ok(MarkTurn::Window);
        }
        match tail.seam.take() {
            Some(seam) => Ok(MarkTurn::Seam(seam)),
            None => Err(self.lost()),
        }
    }
}
