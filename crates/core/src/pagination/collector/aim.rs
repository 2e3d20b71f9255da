//! Where the next answer should lie: the window around the boundary.

use super::{Boundary, Collector, Cut};
use crate::pagination::{
    direction::Way,
    plan::{MARGIN, Window},
    proof::{loose, loose_at},
};

/// Where ties are unordered, and nothing is known of how long runs are, an answer is asked to hold so many items at
/// least: it must reach past whole runs.
const LOOSE_LEAST: u64 = 100;

/// Where even that cuts a run, this many are wished for on the side where it goes on.
const LOOSE_MOST: u64 = 1_000;

impl Collector {
    /// The window of believed offsets to ask for: the anchor (or its whole run), the items needed, and one beyond; with
    /// so much of a margin on both sides. Runs of ties are believed to have up to `run` items; 0: that is not known.
    pub(in crate::pagination) fn window(&self, margin: u64, run: u64) -> Window {
        let loose = self.is_loose();
        let margin = if loose { margin.max(MARGIN) } else { margin };
        let (from, to) = match self.boundary {
            Boundary::Start => (0, self.need() + 1),
            Boundary::At(offset) => (offset, offset.saturating_add(self.need() + 1)),
            Boundary::After { .. } | Boundary::Before { .. } | Boundary::Tail => {
                let (lead, tail) = self.sides();
                (self.offset.saturating_sub(lead), self.offset.saturating_add(tail))
            }
        };
        let mut window = Window { from, to, before: margin, behind: margin };
        if matches!(self.boundary, Boundary::At(_)) {
            window.before = 0;
        }
        if self.is_at_start() {
            // As large as later windows are, so that the size is seen to be honoured before the end depends on it.
            window.behind = 2 * margin + self.beside();
        }
        if loose {
            // Runs seldom are twice as long as the longest that was seen; where none was, a hundred rows are asked for.
            let least = match run {
                0 => LOOSE_LEAST.saturating_sub(to - from),
                run => run.saturating_mul(2).saturating_add(MARGIN).min(LOOSE_MOST),
            };
            let least = least.max(margin);
            match self.way() {
                Way::Forward => window.behind = window.behind.max(least),
                Way::Backward => window.before = window.before.max(least),
            }
        }
        window
    }

    /// The window in which a run should be seen closed that an answer cut.
    pub(in crate::pagination) fn window_of_run(&self, cut: &Cut) -> Window {
        let Cut { needed, left, right } = cut;
        let ahead = self.need() + 1;
        let (before, behind) = match self.way() {
            Way::Forward => (0, ahead),
            Way::Backward => (ahead, 0),
        };
        Window {
            from: needed.start,
            to: needed.end,
            before: if *left { LOOSE_MOST } else { before },
            behind: if *right { LOOSE_MOST } else { behind },
        }
    }

    /// How many offsets before the boundary and behind it an answer must hold that fills the page.
    pub(in crate::pagination) fn sides(&self) -> (u64, u64) {
        match self.boundary {
            Boundary::Before { .. } => (self.need() + 1, self.beside()),
            Boundary::Tail => (self.need() + 1, 1),
            Boundary::Start | Boundary::After { .. } | Boundary::At(_) => (self.beside(), self.need() + 1),
        }
    }

    /// How many offsets an answer must hold on the anchor's side: the anchor's, or those of its whole run and one more.
    pub(super) fn beside(&self) -> u64 {
        let passed =
            matches!(self.boundary, Boundary::After { whole: true, .. } | Boundary::Before { whole: true, .. });
        if self.is_loose() && !passed { self.run.max(1) + 1 } else { 1 }
    }

    fn is_loose(&self) -> bool {
        !self.unchecked
            && match &self.boundary {
                Boundary::After { anchor, .. } | Boundary::Before { anchor, .. } => loose_at(&self.order, anchor),
                Boundary::Start | Boundary::At(_) | Boundary::Tail => loose(&self.order),
            }
    }
}
