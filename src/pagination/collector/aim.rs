//! Where the next answer should lie: the window around the boundary.

use super::{Boundary, Collector};
use crate::pagination::{
    plan::{Growth, Window},
    proof::{loose, loose_at},
};

/// By how many items a window is wider than the page needs on either side, where the upstream gives them in the same
/// answer: changes that move the boundary by no more cost nothing.
const MARGIN: u64 = 10;

/// Where ties are unordered, an answer is asked to hold so many items at least: it must reach past whole runs.
const LOOSE_LEAST: u64 = 100;

/// Where even that cuts a run, this many are wished for: first in the direction of reading, then on both sides.
const LOOSE_MOST: u64 = 1_000;

impl Collector {
    /// The window of believed offsets to ask for: the anchor (or its whole run), the items needed, and one beyond.
    pub(in crate::pagination) fn window(&self, margin: bool, widened: u32) -> Window {
        let loose = !self.unchecked
            && match &self.boundary {
                Boundary::After(anchor) | Boundary::Before(anchor) => loose_at(&self.order, anchor),
                Boundary::Start | Boundary::At(_) | Boundary::Tail(_) => loose(&self.order),
            };
        let need = self.need();
        let anchor = if loose { self.run.max(1) + 1 } else { 1 };
        let margin = if margin || loose { MARGIN } else { 0 };
        let (from, to) = match self.boundary {
            Boundary::Start => (0, need + 1),
            Boundary::After(_) => (self.offset.saturating_sub(anchor), self.offset.saturating_add(need + 1)),
            Boundary::Before(_) => (self.offset.saturating_sub(need + 1), self.offset.saturating_add(anchor)),
            Boundary::At(offset) => (offset, offset.saturating_add(need + 1)),
            Boundary::Tail(end) => (end.saturating_sub(need + 1), end.saturating_add(1)),
        };
        let mut window = Window { from, to, before: margin, behind: margin };
        if matches!(self.boundary, Boundary::Start) {
            // As large as later windows are, so that the size is seen to be honoured before the end depends on it.
            window.behind = 2 * margin + anchor;
        }
        if loose {
            let least = LOOSE_LEAST.saturating_sub(to - from).max(MARGIN);
            let (ahead, back) = match widened {
                0 => (least, MARGIN),
                1 => (LOOSE_MOST, MARGIN),
                _ => (LOOSE_MOST, LOOSE_MOST),
            };
            (window.before, window.behind) = match self.growth() {
                Growth::Rightward => (back, ahead),
                Growth::Leftward => (ahead, back),
            };
        }
        window
    }
}
