//! The window around the boundary that the next answer should cover.

use std::ops::Range;

use crate::pagination::{
    direction::Way,
    judge::{
        draft::{Boundary, Cut, Draft},
        evidence::{loose, loose_at},
    },
    limits::{LOOSE_RUN_LEAST, LOOSE_RUN_MOST},
    plan::{MARGIN, Window},
};

/// Returns the window of expected offsets to request: the anchor (or its whole run), the items needed and one more, and
/// `margin` offsets on both sides. `run` is the expected length of a run of ties; 0 if that isn't known.
pub(super) fn window(draft: &Draft, margin: u64, run: u64) -> Window {
    let loose = is_loose(draft);
    // An answer must extend beyond whole runs on both sides, so the margin is at least `MARGIN` if ties are unordered.
    let margin = if loose { margin.max(MARGIN) } else { margin };
    let (from, to) = match draft.boundary() {
        Boundary::Start => (0, draft.need() + 1),
        Boundary::At(offset) => (*offset, offset.saturating_add(draft.need() + 1)),
        Boundary::After { .. } | Boundary::Before { .. } | Boundary::Tail => {
            let (lead, tail) = sides(draft);
            (draft.offset().saturating_sub(lead), draft.offset().saturating_add(tail))
        }
    };
    let mut window = Window { from, to, before: margin, after: margin };
    // A page by offset begins at its offset whatever item is there, so earlier items would show nothing.
    if matches!(draft.boundary(), Boundary::At(_)) {
        window.before = 0;
    }
    if draft.is_at_start() {
        // The window is as large as those of later pages, so the walk sees this size honoured before the end of the
        // list depends on it.
        window.after = 2 * margin + beside(draft);
    }
    if loose {
        // Runs are seldom twice as long as the longest one seen. If none was seen, the window is at least
        // `LOOSE_RUN_LEAST` offsets wide. Test: `tie_runs_that_the_first_page_can_close_are_closed_on_every_page`.
        let least = match run {
            0 => LOOSE_RUN_LEAST.saturating_sub(to - from),
            run => run.saturating_mul(2).saturating_add(MARGIN).min(LOOSE_RUN_MOST),
        };
        let least = least.max(margin);
        match draft.way() {
            Way::Forward => window.after = window.after.max(least),
            Way::Backward => window.before = window.before.max(least),
        }
    }
    window
}

/// Returns the window that should show the whole of a run that an answer cut.
pub(super) fn window_of_run(draft: &Draft, cut: &Cut) -> Window {
    let Cut { needed, left, right } = cut;
    let ahead = draft.need() + 1;
    let (before, after) = match draft.way() {
        Way::Forward => (0, ahead),
        Way::Backward => (ahead, 0),
    };
    Window {
        from: needed.start,
        to: needed.end,
        before: if *left { LOOSE_RUN_MOST } else { before },
        after: if *right { LOOSE_RUN_MOST } else { after },
    }
}

/// Returns how many offsets before the boundary and after it one answer must cover to fill the page.
pub(super) fn sides(draft: &Draft) -> (u64, u64) {
    match draft.boundary() {
        Boundary::Before { .. } => (draft.need() + 1, beside(draft)),
        Boundary::Tail => (draft.need() + 1, 1),
        Boundary::Start | Boundary::After { .. } | Boundary::At(_) => (beside(draft), draft.need() + 1),
    }
}

/// Returns how many offsets an answer must cover on the anchor's side: the anchor's own, or those of its whole run and
/// one more.
fn beside(draft: &Draft) -> u64 {
    let passed = matches!(draft.boundary(), Boundary::After { whole: true, .. } | Boundary::Before { whole: true, .. });
    if is_loose(draft) && !passed { draft.tied().max(1) + 1 } else { 1 }
}

/// Returns whether the ties around the boundary come in any order.
pub(super) fn is_loose(draft: &Draft) -> bool {
    !draft.is_unchecked()
        && match draft.boundary() {
            Boundary::After { anchor, .. } | Boundary::Before { anchor, .. } => loose_at(draft.order(), anchor),
            Boundary::Start | Boundary::At(_) | Boundary::Tail => loose(draft.order()),
        }
}

/// Returns the offsets that one answer must cover: the two neighbours of the boundary or, where ties are unordered, the
/// run of ties around the boundary and the run's neighbours. The list is expected to end at `total`. `None` if the
/// boundary is an edge of the list or an offset.
pub(super) fn seam(draft: &Draft, total: Option<u64>) -> Option<Range<u64>> {
    let offset = Some(draft.offset()).filter(|offset| *offset > 0)?;
    // Once the page has items, one item of the next run would add nothing, because that run may go on after it.
    let across = if is_loose(draft) && draft.len() > 0 { 2 } else { 1 };
    match draft.boundary() {
        Boundary::After { .. } => {
            let end = offset.saturating_add(across).min(total.unwrap_or(u64::MAX)).max(offset.saturating_add(1));
            Some(offset.saturating_sub(beside(draft))..end)
        }
        Boundary::Before { .. } => Some(offset.saturating_sub(across)..offset.saturating_add(beside(draft))),
        Boundary::Start | Boundary::At(_) | Boundary::Tail => None,
    }
}
