//! The search for marks that aren't at their expected places. It reads growing windows on both sides of the hint, and
//! then also around the offset that the change of the total points to.

use crate::pagination::{
    direction::Way,
    limits::{SEARCH_OVERLAP, SEARCH_WINDOW},
    plan::Window,
};

/// A stretch of the list that was read around an aim, as expected offsets.
#[derive(Clone, Copy, Debug)]
struct Area {
    aim: u64,
    from: u64,
    to: u64,
    /// True if no more items can be found before `from`.
    left_done: bool,
    /// True if no more items can be found after `to`.
    right_done: bool,
}

/// The next request of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Probe {
    /// The window to cover.
    pub(super) window: Window,
    /// The end of the window to begin with, if no single answer covers all of it.
    pub(super) way: Way,
    /// An offset in the window that no answer has covered yet.
    pub(super) new: u64,
    area: usize,
    /// The side on which the probe extends its area; `None` for the first window of an area.
    side: Option<Way>,
}

/// The part of the list that an answer showed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Covered {
    /// The expected offsets that the answer covers: from `from` to before `to`.
    pub(super) from: u64,
    pub(super) to: u64,
    /// True if the answer reaches the end of the list, or is from after it. The search then reads nothing further
    /// right.
    pub(super) ends: bool,
    /// True if the answer begins at the start of the list.
    pub(super) starts: bool,
}

/// A search for the marks around a boundary.
#[derive(Debug)]
pub(super) struct MarkSearch {
    /// The largest number of items to read on each side of an aim.
    bound: u64,
    areas: Vec<Area>,
    /// The index of the area that was extended last.
    turn: usize,
    /// The offset that the change of the total points to; `None` if no such offset is known, or once it was looked at.
    pointed: Option<u64>,
    /// The offset from which on no item is expected.
    end: u64,
    /// The number of strides to the left, from after the end, that found no item.
    strides: u32,
    probes: u32,
}

impl MarkSearch {
    /// Begins a search around `aim`, after a first answer that didn't show the place. `bound` is the largest number of
    /// items to read on each side of an aim.
    pub(super) fn new(aim: u64, covered: Covered, bound: u64) -> Self {
        let area = Area { aim, from: aim, to: aim, left_done: false, right_done: false };
        let mut search =
            Self { bound, areas: vec![area], turn: 0, pointed: None, end: u64::MAX, strides: 0, probes: 0 };
        search.cover(0, None, covered);
        search
    }

    /// Lowers the offset at which the list is expected to end.
    pub(super) fn believe_end(&mut self, end: u64) {
        self.end = self.end.min(end);
    }

    /// Adds the offset that the difference between two totals points to.
    pub(super) fn point(&mut self, offset: u64) {
        self.pointed = Some(offset);
    }

    /// Adds the part of the list that a probe showed.
    pub(super) fn saw(&mut self, probe: Probe, covered: Covered) {
        self.cover(probe.area, probe.side, covered);
    }

    /// Notes that no more items can be requested on the side of a probe.
    pub(super) fn give_up(&mut self, probe: Probe) {
        match probe.side {
            Some(Way::Backward) => self.areas[probe.area].left_done = true,
            Some(Way::Forward) => self.areas[probe.area].right_done = true,
            None => {
                self.areas[probe.area].left_done = true;
                self.areas[probe.area].right_done = true;
            }
        }
    }

    /// Returns the next window to look at; `None` when all places within bounds were covered.
    pub(super) fn next(&mut self) -> Option<Probe> {
        self.probes += 1;
        if let Some(aim) = self.pointed.take() {
            let aim = aim.min(self.end);
            let seen = self
                .areas
                .iter()
                .any(|area| area.from.saturating_add(SEARCH_OVERLAP) <= aim && aim + SEARCH_OVERLAP <= area.to);
            if !seen {
                self.areas.push(Area { aim, from: aim, to: aim, left_done: false, right_done: false });
                let (from, to) = (aim.saturating_sub(SEARCH_OVERLAP), aim.saturating_add(SEARCH_OVERLAP));
                let window = Window { from, to, before: SEARCH_WINDOW / 2, after: SEARCH_WINDOW / 2 };
                let area = self.areas.len() - 1;
                return Some(Probe { window, way: Way::Backward, new: aim.saturating_sub(1), area, side: None });
            }
        }
        for _ in 0..self.areas.len() {
            self.turn = (self.turn + 1) % self.areas.len();
            if let Some(probe) = self.extend(self.turn) {
                return Some(probe);
            }
        }
        None
    }

    /// Returns the next window next to an area, on the side that was read less far; `None` if both sides are done.
    fn extend(&mut self, index: usize) -> Option<Probe> {
        let size = SEARCH_WINDOW << (self.probes / 2).min(10);
        let (end, bound) = (self.end, self.bound);
        // The parts that were read around another aim aren't read again.
        for other in 0..self.areas.len() {
            let Area { from, to, .. } = self.areas[other];
            let area = &mut self.areas[index];
            if from <= area.to && area.from <= to {
                (area.from, area.to) = (area.from.min(from), area.to.max(to));
            }
        }
        let area = &mut self.areas[index];
        if area.from >= end {
            // No item is here, so the end of the list lies further left, and the area moves there.
            area.aim = end;
            (area.from, area.to) = (end, end);
            if area.left_done || end == 0 {
                return None;
            }
            let stride = size << self.strides.min(20);
            self.strides += 1;
            let from = end.saturating_sub(stride);
            let window = Window { from, to: from.saturating_add(size).min(end).max(from + 1), before: 0, after: 0 };
            return Some(Probe { window, way: Way::Forward, new: from, area: index, side: None });
        }
        let right = area.to.saturating_sub(area.aim);
        let left = area.aim.saturating_sub(area.from);
        let may_right = !area.right_done && right < bound && area.to < end;
        let may_left = !area.left_done && left < bound && area.from > 0;
        let way = match (may_left, may_right) {
            (false, false) => return None,
            (true, false) => Way::Backward,
            (false, true) => Way::Forward,
            (true, true) if left < right => Way::Backward,
            (true, true) => Way::Forward,
        };
        let window = match way {
            Way::Forward => {
                let from = area.to.saturating_sub(SEARCH_OVERLAP);
                Window { from, to: area.to.saturating_add(size.min(bound - right)), before: 0, after: 0 }
            }
            Way::Backward => {
                let from = area.from.saturating_sub(size.min(bound - left));
                Window { from, to: area.from.saturating_add(SEARCH_OVERLAP), before: 0, after: 0 }
            }
        };
        let new = if way == Way::Forward { area.to } else { area.from - 1 };
        Some(Probe { window, way, new, area: index, side: Some(way) })
    }

    fn cover(&mut self, index: usize, side: Option<Way>, covered: Covered) {
        let area = &mut self.areas[index];
        if covered.ends {
            self.end = if covered.from == covered.to { self.end.min(covered.from) } else { covered.to };
        }
        if covered.from == covered.to {
            match side {
                Some(Way::Backward) => area.left_done = true,
                Some(Way::Forward) => area.right_done = true,
                None => (),
            }
            return;
        }
        let (from, to) = (area.from, area.to);
        if side == Some(Way::Backward) && covered.ends && covered.to < from {
            // All answers so far were from after the end, where the upstream repeats the last items. The area therefore
            // stays as it is.
            return;
        }
        match side {
            None => (area.from, area.to) = (covered.from, covered.to),
            // The part between the two wasn't seen, so the area doesn't grow.
            Some(_) if covered.from > to || covered.to < from => {}
            Some(Way::Forward) => area.to = area.to.max(covered.to),
            Some(Way::Backward) => area.from = area.from.min(covered.from),
        }
        if side.is_none() && !(area.from..=area.to).contains(&area.aim) {
            area.aim = area.aim.clamp(area.from, area.to);
        }
        // An answer that shows no new offset means that its side is done.
        area.right_done |= side == Some(Way::Forward) && area.to == to;
        area.left_done |= (side == Some(Way::Backward) && area.from == from) || covered.starts;
    }
}
