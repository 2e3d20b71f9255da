//! The sizes that can be requested, and the request that covers most of a window.

use super::Window;
use crate::pagination::{
    direction::Way,
    limits::{LARGEST_SIZE, STRETCH, TRIED_SIZES, UNCAPPED_SIZE},
    paging::{Family, Paging, Sizes},
    window::{Offset, PageNumber, PageSize, Slice},
};

/// Returns the page of this size that contains an offset.
pub(super) fn page_with(offset: u64, size: u32) -> Slice {
    Slice::Page { number: PageNumber(offset / u64::from(size)), size: PageSize(size) }
}

/// The sizes that can be requested under an expected cap, and the upstream's depth limit.
pub(super) struct Askable<'a> {
    sizes: &'a Sizes,
    /// The smallest size; at least 1.
    pub(super) least: u32,
    /// The largest size under the cap; at least `least`.
    pub(super) most: u32,
    /// The offset beyond which no request may extend.
    depth: u64,
    /// The largest offset at which a request may begin.
    last_start: u64,
}

impl<'a> Askable<'a> {
    pub(super) fn new(paging: &'a Paging, cap: Option<u32>) -> Self {
        let (least, most) = match &paging.sizes {
            Sizes::Free { least, most } => (*least, most.unwrap_or(UNCAPPED_SIZE)),
            Sizes::Listed(sizes) => (sizes.first().copied().unwrap_or(1), sizes.last().copied().unwrap_or(1)),
            Sizes::Fixed(size) => (*size, *size),
        };
        let capped = cap.map_or(most, |cap| most.min(cap)).max(least).max(1);
        let most = match &paging.sizes {
            // A cap between two listed sizes can't be requested itself, so the next smaller size is the largest. Test:
            // `only_listed_sizes_are_asked_for`.
            Sizes::Listed(sizes) => sizes.iter().copied().filter(|size| *size <= capped).max().unwrap_or(least),
            Sizes::Free { .. } | Sizes::Fixed(_) => capped.min(LARGEST_SIZE),
        };
        debug_assert!(0 < most && least.max(1) <= most, "there are no sizes from {least} to {most}");
        let depth = paging.max_depth.unwrap_or(u64::MAX);
        let last_start = paging.max_offset.unwrap_or(u64::MAX);
        Self { sizes: &paging.sizes, least: least.max(1), most, depth, last_start }
    }

    /// Returns the sizes from `least` to `most`, in ascending order.
    pub(super) fn between(&self, least: u32, most: u32) -> impl DoubleEndedIterator<Item = u32> + '_ {
        let (low, high) = (least.max(self.least), most.min(self.most));
        let (any, listed) = match self.sizes {
            Sizes::Free { .. } | Sizes::Fixed(_) => (low..high.saturating_add(1), &[][..]),
            Sizes::Listed(sizes) => (0..0, sizes.as_slice()),
        };
        any.chain(listed.iter().copied().filter(move |size| (low..=high).contains(size)))
    }

    /// Returns the smallest size that is at least `wanted`, or the largest size under the cap if there is none.
    pub(super) fn nearest(&self, wanted: u64) -> u32 {
        let wanted = u32::try_from(wanted).unwrap_or(LARGEST_SIZE);
        self.between(wanted, LARGEST_SIZE).next().unwrap_or(self.most)
    }

    /// Returns the sizes of pages that contain an offset and stay within the depth limit, in ascending order.
    fn within_depth(&self, offset: u64) -> impl DoubleEndedIterator<Item = u32> + '_ {
        let begins = move |size: u32| offset - offset % u64::from(size);
        let ends = move |size: u32| begins(size).saturating_add(u64::from(size));
        self.between(1, LARGEST_SIZE).filter(move |size| ends(*size) <= self.depth && begins(*size) <= self.last_start)
    }

    /// Returns the largest request that contains an offset, with the offset near its middle where slices begin at any
    /// offset.
    pub(super) fn widest(&self, family: Family, middle: u64) -> Slice {
        match family {
            Family::Offset | Family::Token => {
                let from = middle.saturating_sub(u64::from(self.most / 2));
                let from = from.min(self.depth.saturating_sub(u64::from(self.most))).min(self.last_start);
                Slice::Offset { from: Offset(from), size: PageSize(self.most) }
            }
            Family::Page => page_with(middle, self.within_depth(middle).next_back().unwrap_or(self.most)),
        }
    }

    /// Returns the smallest request that covers a window and as much of its margins as possible; `None` if no request
    /// covers the window.
    pub(super) fn one(&self, family: Family, window: Window) -> Option<Slice> {
        if window.len() > u64::from(self.most) {
            return None;
        }
        let wished = window.wished();
        let wished = wished.start..wished.end.min(self.depth.max(window.to));
        match family {
            Family::Offset | Family::Token => {
                let size = self.nearest(wished.end - wished.start);
                let spare = u64::from(size) - window.len();
                // The room that the window leaves is divided between its two sides. Room that one side doesn't need
                // goes to the other. Test: `a_slice_takes_what_is_left_of_the_cap_around_its_window`.
                let before = (window.from - wished.start)
                    .min(spare - spare / 2)
                    .max(spare.saturating_sub(wished.end - window.to).min(window.from - wished.start));
                let from = window.from - before;
                // Beyond the largest offset, the request begins there and is longer, if the cap allows. Test:
                // `no_slice_begins_beyond_the_largest_offset`.
                let (from, size) = if from > self.last_start {
                    (self.last_start, self.nearest(wished.end - self.last_start))
                } else {
                    (from, size)
                };
                if from.saturating_add(u64::from(size)) < window.to {
                    return None;
                }
                debug_assert!(from + u64::from(size) >= window.to, "{size} items from {from} don't hold {window:?}");
                Some(Slice::Offset { from: Offset(from), size: PageSize(size) })
            }
            Family::Page => {
                let covered = |size: u32| {
                    let begins = window.from - window.from % u64::from(size);
                    let ends = begins + u64::from(size);
                    (ends >= window.to && begins <= self.last_start && (ends <= self.depth || size == self.least))
                        .then(|| ends.min(wished.end) - begins.max(wished.start))
                };
                let mut best: Option<(u64, u32)> = None;
                // Pages are aligned, so sometimes only a wider page covers a window. Test:
                // `a_page_holds_every_window_if_the_cap_is_two_and_a_half_times_the_limit`.
                let stretched = (wished.end - wished.start).saturating_mul(STRETCH).max(100);
                let largest = u32::try_from(stretched).unwrap_or(LARGEST_SIZE).max(self.least);
                for size in self.between(u32::try_from(window.len()).unwrap_or(LARGEST_SIZE), largest) {
                    if let Some(rows) = covered(size)
                        && best.is_none_or(|(most, _)| rows > most)
                    {
                        best = Some((rows, size));
                        if rows == wished.end - wished.start {
                            break;
                        }
                    }
                }
                best.map(|(_, size)| page_with(window.from, size))
            }
        }
    }

    /// Returns the request that covers one end of a window and extends farthest into it. Forward, that end is `from`;
    /// backward, it is `to`.
    pub(super) fn farthest(&self, family: Family, from: u64, to: u64, way: Way) -> Slice {
        match (family, way) {
            (Family::Offset | Family::Token, Way::Forward) => {
                Slice::Offset { from: Offset(from), size: PageSize(self.most) }
            }
            (Family::Offset | Family::Token, Way::Backward) => {
                Slice::Offset { from: Offset(to.saturating_sub(u64::from(self.most))), size: PageSize(self.most) }
            }
            (Family::Page, Way::Forward) => {
                let sizes = self.within_depth(from).rev().take(TRIED_SIZES);
                let size = sizes.max_by_key(|size| u64::from(*size) - from % u64::from(*size));
                page_with(from, size.unwrap_or(self.most))
            }
            (Family::Page, Way::Backward) => {
                let last = to.saturating_sub(1);
                let sizes = self.within_depth(last).rev().take(TRIED_SIZES);
                let size = sizes.max_by_key(|size| last % u64::from(*size));
                page_with(last, size.unwrap_or(self.most))
            }
        }
    }
}
