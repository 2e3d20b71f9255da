//! How a page ends: served, flagged, or refused.

use super::{Ground, State, asks_by_offset, seam::Held};
use crate::pagination::{
    collector::{Cut, Verdict},
    machine::{Step, WhenUnproven},
    page::Unproven,
    plan,
    proof::View,
    refusal::Refusal,
    unsorted::{Cause, Unsorted},
    window::{Offset, Slice},
};

/// Two slices are read so often for one run of ties that no single one holds: an upstream that shuffles it may show
/// another part of it each time.
const PAIRS: u32 = 2;

impl State {
    /// Serves the page as it stands: complete, or `cut_off` by the budget.
    pub(super) fn serve(mut self: Box<Self>, cut_off: bool) -> Step {
        if self.collector.is_nothing_by_offset() && !asks_by_offset(&self.request) && self.flagged.is_some() {
            // What is served instead of a place that can't be found must not end the list: nothing shows that it does.
            return Step::Refuse(Refusal::PositionLost { nearest: self.nearest() });
        }
        let verdict = Verdict {
            unproven: self.flagged,
            cut_off,
            learnt: self.learnt,
            honoured: self.honoured.by_walk,
            requests: self.requests,
        };
        match self.collector.finish(verdict) {
            Ok(page) => Step::Serve(Box::new(page)),
            Err(unsorted) => self.contradicted(unsorted),
        }
    }

    pub(super) fn lost(self: Box<Self>) -> Step {
        let nearest = self.nearest();
        self.flag(Unproven::Position, false, Refusal::PositionLost { nearest })
    }

    /// A run of ties is longer than an answer can be. A cap that is no more than suspected may have made it seem so; two
    /// neighbouring slices may hold it, of the whole list: whoever filters it has better ways.
    pub(super) fn tie_run(mut self: Box<Self>, cut: &Cut, seen: Option<(Slice, Box<View>)>) -> Step {
        self.searching = true;
        if self.cap != self.learnt.cap && self.cap.is_some() && !self.uncapped {
            (self.cap, self.uncapped) = (None, true);
            self.cut = Some(cut.clone());
            return self.ask_window();
        }
        if self.torn < PAIRS
            && self.ground == Ground::Whole
            && !self.request.paging.hidden
            && let Some((earlier, later)) = plan::pair(&self.request.paging, self.cap, &cut.needed)
        {
            self.torn += 1;
            return match seen {
                Some((slice, view)) if slice == earlier => self.read_between(earlier, Held::Here(view), vec![later]),
                Some((slice, view)) if slice == later => self.read_between(later, Held::Here(view), vec![earlier]),
                _ => self.read_seam(earlier, vec![later]),
            };
        }
        if self.total.is_some_and(|total| total >= cut.needed.end) && cut.right && self.doubted.is_some() {
            // A count tells of more where nothing comes.
            return self.lost();
        }
        if cut.right && self.request.paging.max_depth.is_some_and(|depth| cut.needed.end > depth) {
            return Step::Refuse(Refusal::TooDeep);
        }
        let nearest = self.nearest();
        self.flag(Unproven::TieRun, true, Refusal::TieRun { nearest })
    }

    pub(super) fn contradicted(self: Box<Self>, unsorted: Unsorted) -> Step {
        if unsorted.cause == Cause::Text {
            // A page by marks is worth more than one by its offset.
            return Step::Refuse(Refusal::Unsorted(unsorted));
        }
        self.flag(Unproven::Order, true, Refusal::Unsorted(unsorted))
    }

    /// What can't be proven is refused, or served by its offset and flagged, as the route says.
    fn flag(mut self: Box<Self>, reason: Unproven, unchecked: bool, refusal: Refusal) -> Step {
        if self.request.unproven == WhenUnproven::Refuse || self.collector.is_unchecked() {
            return Step::Refuse(refusal);
        }
        let unchecked = unchecked || self.flagged == Some(reason);
        self.flagged = Some(reason);
        let nearest = self.nearest();
        self.collector.restart_at(nearest.0, unchecked);
        self.progressed();
        self.ask_window()
    }

    /// Where a page begins that is served by offset instead: where the cursor's place is believed to be, and never behind
    /// the end that a total tells, or an answer. Where the end was met, but not where it is, that place may be behind it,
    /// unless items were seen there.
    fn nearest(&self) -> Offset {
        let nearest = self.collector.nearest();
        let end = match (self.total, self.end_seen) {
            (Some(total), _) => Some(total),
            (None, Some(end)) => Some(if self.seen_to > 0 { end.min(self.seen_to) } else { end }),
            (None, None) => None,
        };
        Offset(match end {
            Some(end) if end <= nearest => end.saturating_sub(u64::from(self.request.limit)),
            _ => nearest,
        })
    }
}
