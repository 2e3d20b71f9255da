//! The search for a boundary that isn't at its expected place: a bracket of offsets that galloping and halving narrow.
//!
//! A bracket only aims, and proves nothing: an answer that shows the boundary proves it, wherever it was found. If the
//! list changes during a search, limits that no longer fit are dropped, and the search continues. The search ends when
//! `slices::asker` has no request left, or earlier by `limits::WINDOW_LOOKS`.

use crate::pagination::direction::Side;

/// The limits of the boundary's place, from answers that didn't show the boundary.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bracket {
    /// The smallest offset at which the boundary is expected; `None` if no answer has shown one.
    low: Option<u64>,
    /// The largest offset at which the boundary is expected; `None` if no answer has shown one.
    high: Option<u64>,
    /// The side of the first answer on which the boundary was, since the search began or began anew: the search gallops
    /// in that direction. `None` before that answer.
    side: Option<Side>,
    /// The number of aims since the search began or began anew; each stride is twice as long as the one before.
    strides: u32,
}

/// The aim of the next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aim {
    /// The boundary is expected at exactly this offset.
    At(u64),
    /// The answer should show whether the boundary is at one of the offsets from `first` to `last`, or otherwise on
    /// which side of them it is.
    Among {
        /// The first of these offsets.
        first: u64,
        /// The last of these offsets.
        last: u64,
        /// The side from which the answer should begin if it can't show all of these offsets; `None` if it may begin
        /// anywhere.
        nearest: Option<Side>,
    },
}

impl Bracket {
    /// Returns whether the search has begun: an answer that was to show the boundary didn't.
    pub(super) fn has_begun(&self) -> bool {
        self.side.is_some()
    }

    /// Returns the side of the first answer on which the boundary was; `None` before that answer.
    pub(super) fn side(&self) -> Option<Side> {
        self.side
    }

    /// Notes that the boundary is on this side of an answer between these offsets. The answer wasn't requested to find
    /// the boundary, so the search doesn't begin with it.
    pub(super) fn bound(&mut self, side: Side, begins: u64, reaches: u64) {
        match side {
            Side::After => {
                self.low = Some(reaches);
                self.high = self.high.filter(|high| *high >= reaches);
            }
            Side::Before => {
                self.high = Some(begins);
                self.low = self.low.filter(|low| *low <= begins);
            }
        }
    }

    /// Notes that an answer between these offsets was to show the boundary and didn't: the boundary is on this side of
    /// it.
    pub(super) fn missed(&mut self, side: Side, begins: u64, reaches: u64) {
        let before = (self.low, self.high);
        self.bound(side, begins, reaches);
        // An answer that drops a limit shows that the list has changed. Galloping begins anew, with short strides.
        let contradicted = before.0.is_some() && self.low.is_none() || before.1.is_some() && self.high.is_none();
        if self.side.is_none() || contradicted {
            (self.side, self.strides) = (Some(side), 0);
        }
    }

    /// Notes that the boundary is the end of the list, and that an answer requested between these offsets ends there.
    /// The answer's offsets count only if the list is known to extend up to them: if the upstream repeats its last
    /// page, an answer from past the end is that page.
    pub(super) fn ends_with(&mut self, begins: u64, reaches: u64) {
        if self.low.is_some_and(|low| low >= begins) {
            (self.low, self.high) = (Some(reaches), Some(reaches));
        } else {
            self.missed(Side::Before, begins, begins);
        }
    }

    /// Returns whether the smallest expected offset of the boundary is known and less than `offset`.
    pub(super) fn leaves_room_before(&self, offset: u64) -> bool {
        self.low.is_some_and(|low| low < offset)
    }

    /// Returns whether the boundary may be at an offset, by the limits known.
    pub(super) fn allows(&self, offset: u64) -> bool {
        self.low.is_none_or(|low| low <= offset) && self.high.is_none_or(|high| offset <= high)
    }

    /// Returns whether answers on both sides show that the boundary is at this offset.
    pub(super) fn is_at(&self, offset: u64) -> bool {
        self.low == Some(offset) && self.high == Some(offset)
    }

    /// Returns the next aim. Answers have `size` items, and each can show whether the boundary is at one of `reach`
    /// consecutive offsets or the one after. The boundary isn't expected after `total`, unless answers were found
    /// there.
    pub(super) fn aim(&mut self, size: u64, reach: u64, total: Option<u64>) -> Aim {
        let total = total.filter(|total| self.low.is_some_and(|low| low <= *total));
        let high = [self.high, total].into_iter().flatten().min();
        let stride = match self.strides {
            0 => 0,
            strides => size.saturating_mul(1 << (strides - 1).min(40)),
        };
        self.strides += 1;
        let (low, high) = match (self.low, high) {
            (Some(low), Some(high)) if low >= high => return Aim::At(low),
            (Some(low), Some(high)) if high - low <= reach => {
                return Aim::Among { first: low, last: high, nearest: self.side };
            }
            (low, None) => {
                let first = low.unwrap_or(0).saturating_add(stride);
                return Aim::Among { first, last: first.saturating_add(reach), nearest: Some(Side::Before) };
            }
            (None, Some(high)) => {
                let last = high.saturating_sub(stride);
                return Aim::Among { first: last.saturating_sub(reach), last, nearest: Some(Side::After) };
            }
            (Some(low), Some(high)) => (low, high),
        };
        let middle = low + (high - low) / 2;
        // A boundary that moved a little is found in fewer requests by doubling strides than by halving the whole list.
        // Test: `a_boundary_is_found_within_the_bound_wherever_it_has_gone`.
        match self.side {
            Some(Side::After) if low.saturating_add(stride) < middle => {
                let first = low + stride;
                Aim::Among { first, last: first + reach, nearest: Some(Side::Before) }
            }
            Some(Side::Before) if high - stride.min(high) > middle => {
                let last = high - stride;
                Aim::Among { first: last.saturating_sub(reach), last, nearest: Some(Side::After) }
            }
            _ => {
                let first = middle.saturating_sub(reach / 2);
                Aim::Among { first, last: first + reach, nearest: None }
            }
        }
    }
}
