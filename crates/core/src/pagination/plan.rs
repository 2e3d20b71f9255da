//! The requests that cover a window: one slice by offset, one page of a size that holds the window, or a chain of
//! requests whose answers overlap.

mod askable;

#[cfg(test)]
mod tests;

use std::ops::Range;

use askable::{Askable, page_with};

pub(super) use super::limits::MARGIN;
use super::{
    direction::{Side, Way},
    limits::{CHAIN_OVERLAP, LARGEST_SIZE, TRIED_SIZES},
    paging::{Family, Paging},
    window::{Offset, PageNumber, PageSize, Slice},
};

/// A window of believed offsets, `[from, to)`, that an answer must show, and the offsets around the window that are
/// requested too if the same answer can contain them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// The first offset that the answer must show.
    pub(super) from: u64,
    /// The offset after the last one that the answer must show.
    pub(super) to: u64,
    /// The number of useful offsets before the window.
    pub(super) before: u64,
    /// The number of useful offsets after the window.
    pub(super) after: u64,
}

impl Window {
    fn len(self) -> u64 {
        self.to - self.from
    }

    fn wished(self) -> Range<u64> {
        self.from.saturating_sub(self.before)..self.to.saturating_add(self.after)
    }
}

/// Plans the requests that cover a window: a single request if one can hold the window, and otherwise a chain of at
/// most `most` overlapping requests. A chain begins at the end of the window where reading begins, and might not reach
/// the other end. The result is never empty.
#[must_use]
pub(super) fn plan(paging: &Paging, cap: Option<u32>, window: Window, way: Way, most: usize) -> Vec<Slice> {
    plan_over_runs(paging, cap, window, way, most, 0)
}

/// Plans like [`plan`], in a list where an answer is used only up to its last whole run of ties. `run` is the expected
/// length of runs; 0 if runs don't matter.
#[must_use]
pub(super) fn plan_over_runs(
    paging: &Paging,
    cap: Option<u32>,
    window: Window,
    way: Way,
    most: usize,
    run: u64,
) -> Vec<Slice> {
    debug_assert!(window.from <= window.to, "{window:?} ends before it begins");
    let sizes = Askable::new(paging, cap);
    if let Some(slice) = sizes.one(paging.family, window) {
        return vec![slice];
    }
    // With an overlap of one item, a single deletion would break a seam. Test:
    // `a_chain_overlaps_and_covers_its_window_in_both_directions`. The answer after one that cuts a run must show the
    // whole run and the item before it. Test: `runs_of_ties_do_not_break_a_chain`.
    let over_runs = if run > 1 { (run + 2).min(u64::from(sizes.most).saturating_sub(1)) } else { 0 };
    let overlap = CHAIN_OVERLAP.min(u64::from(sizes.most) / 4).max(over_runs).max(1);
    let mut chain: Vec<Slice> = Vec::new();
    let (mut from, mut to) = (window.from, window.to);
    while chain.len() < most.max(1) && from < to {
        let rest = Window { from, to, before: 0, after: 0 };
        let slice = sizes.one(paging.family, rest).unwrap_or_else(|| sizes.farthest(paging.family, from, to, way));
        let (begins, ends) = reach(slice);
        // Pages are aligned, so the next page that holds the rest of the window may be the same page again. Then the
        // chain ends before the window does.
        if !chain.is_empty() && chain.contains(&slice) {
            break;
        }
        chain.push(slice);
        match way {
            Way::Forward if ends < to => from = from.max(ends.saturating_sub(overlap)),
            Way::Backward if begins > from => to = to.min(begins + overlap),
            _ => break,
        }
    }
    debug_assert!(chain.len() <= most.max(1), "a chain of {} answers is longer than {most}", chain.len());
    debug_assert!(
        chain.iter().all(|slice| u64::from(slice.size().0) <= u64::from(sizes.most)),
        "{chain:?} passes the cap"
    );
    debug_assert!(chain.windows(2).all(|pair| meet(pair[0], pair[1])), "{chain:?} has a gap");
    chain
}

/// Returns whether two slices overlap or adjoin.
fn meet(one: Slice, other: Slice) -> bool {
    let ((begins, ends), (other_begins, other_ends)) = (reach(one), reach(other));
    begins <= other_ends && other_begins <= ends
}

/// Returns the request that shows most about the place of a boundary in a window. If possible, the request holds the
/// whole window. Otherwise it shows both sides of `nearest`, which is the closest place at which the boundary may be,
/// and as much of the window as fits. If no page shows both sides, the request reaches from that place into the rest of
/// the window. Without `nearest`, it holds the middle of the window.
#[must_use]
pub(super) fn probe(paging: &Paging, cap: Option<u32>, window: Window, nearest: Option<(Side, u64)>) -> Slice {
    let sizes = Askable::new(paging, cap);
    let Window { from, to, .. } = window;
    let wider = Window { before: u64::from(sizes.most), after: u64::from(sizes.most), ..window };
    if let Some(slice) = sizes.one(paging.family, wider) {
        return slice;
    }
    let Some((side, place)) = nearest else {
        return sizes.widest(paging.family, from + (to - from) / 2);
    };
    // A page that begins or ends at the place wouldn't show on which side of it the boundary is. Test:
    // `a_place_at_which_pages_of_every_size_end_is_found_by_the_page_before`.
    let (low, high) = (place.saturating_sub(1).max(from), (place + 1).min(to));
    let shown = Window { from: low, to: high, before: low - from, after: to - high };
    sizes.one(paging.family, shown).unwrap_or_else(|| match side {
        Side::Before => sizes.farthest(paging.family, place, to, Way::Forward),
        Side::After => sizes.farthest(paging.family, from, place, Way::Backward),
    })
}

/// Returns the slice that ends at an offset and reaches farthest back. If no page ends there, returns a page that holds
/// the item before the offset.
#[must_use]
pub(super) fn ending_at(paging: &Paging, cap: Option<u32>, offset: u64) -> Slice {
    Askable::new(paging, cap).farthest(paging.family, 0, offset, Way::Backward)
}

/// Returns the request that holds a window and as much of its margins as possible; `None` if no single request holds
/// the window.
#[must_use]
pub(super) fn holding(paging: &Paging, cap: Option<u32>, window: Window) -> Option<Slice> {
    Askable::new(paging, cap).one(paging.family, window)
}

/// Returns the largest size that a request can ask for. `cap` is the largest number of items of an answer; `None` if it
/// isn't known.
#[must_use]
pub(super) fn most(paging: &Paging, cap: Option<u32>) -> u64 {
    u64::from(Askable::new(paging, cap).most)
}

/// Returns the largest permitted size that is at most `most`, or the least permitted size if every size is larger.
#[must_use]
pub(super) fn size_within(paging: &Paging, most: u32) -> PageSize {
    let sizes = Askable::new(paging, None);
    PageSize(sizes.between(1, most).next_back().unwrap_or(sizes.least))
}

/// The requests that show whether a short answer was the end of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Confirmation {
    /// A small request that holds the last item of the short answer and the place after it. At the end of the list, its
    /// answer has fewer items than an honoured size.
    pub(super) edge: Slice,
    /// Another request of the same size, before the edge, whose answer should be full. `None` if the edge's answer at
    /// the end of the list would have fewer items than a size that the walk has already filled.
    pub(super) filled: Option<Slice>,
}

/// Returns the requests that show whether a short answer was the end of the list. The edge holds the offsets from
/// `from` to `last`, which is the offset of the answer's last item, and the place after. `None` if no request holds all
/// of these. `honoured` is the honoured size of the walk.
#[must_use]
pub(super) fn confirmation(
    paging: &Paging,
    cap: Option<u32>,
    honoured: u32,
    from: u64,
    last: u64,
) -> Option<Confirmation> {
    let sizes = Askable::new(paging, cap);
    // Every upstream is expected to honour a size of two (`limits::HONOURED_UNSEEN`).
    let honoured = u64::from(honoured.max(2));
    let count = last + 1 - from.min(last);
    match paging.family {
        Family::Offset | Family::Token => {
            let size = sizes.nearest(honoured.min(u64::from(sizes.most)).max(count + 1));
            let slice = |from| Slice::Offset { from: Offset(from), size: PageSize(size) };
            if u64::from(size) <= count {
                return None;
            }
            // At the end, the edge has fewer items than the honoured size, so no second request is needed.
            if count < honoured {
                return Some(Confirmation { edge: slice(from), filled: None });
            }
            let filled = slice((last + 1).checked_sub(u64::from(size))?);
            Some(Confirmation { edge: slice(from), filled: Some(filled) })
        }
        Family::Page => {
            // The page must also have room for the place after the last item. Test:
            // `a_confirmation_shows_the_last_item_and_the_place_after_it`.
            let holds = |size: &u32| {
                let size = u64::from(*size);
                last % size + 1 < size && from / size == last / size
            };
            let room = |size: &u32| u64::from(*size) - last % u64::from(*size);
            let sizes = || sizes.between(2, LARGEST_SIZE).rev().filter(holds).take(TRIED_SIZES);
            let seen = |size: &u32| last % u64::from(*size) + 1 < honoured;
            // An honoured size is preferred: such a page certainly begins at its number times its size.
            let best = |size: &u32| (u64::from(*size) <= honoured, room(size));
            if let Some(size) = sizes().filter(seen).max_by_key(best) {
                return Some(Confirmation { edge: page_with(last, size), filled: None });
            }
            let before = |size: &u32| last >= u64::from(*size);
            let size = sizes().filter(before).max_by_key(room)?;
            let filled = Some(page_with(last - u64::from(size), size));
            Some(Confirmation { edge: page_with(last, size), filled })
        }
    }
}

/// Returns two neighbouring pages that meet directly after the item at `last`, for upstreams where no page shows both
/// sides. If the sizes allow, the pages hold at least `before` and `after` items. `None` for upstreams that page by
/// offset, and if no permitted sizes give such pages.
#[must_use]
pub(super) fn seam(paging: &Paging, cap: Option<u32>, last: u64, before: u64, after: u64) -> Option<(Slice, Slice)> {
    let sizes = Askable::new(paging, cap);
    // A single slice by offset can show both sides of any seam.
    if paging.family == Family::Offset {
        return None;
    }
    let seam = last + 1;
    debug_assert!(seam > 0, "a seam is after an item");
    let of = |wanted: u64| {
        // Pages begin at multiples of their size. Test: `a_seam_is_read_by_two_adjacent_pages`.
        let aligned = |size: &u32| seam.is_multiple_of(u64::from(*size));
        let wanted = u32::try_from(wanted).unwrap_or(LARGEST_SIZE);
        let enough = sizes.between(wanted, LARGEST_SIZE).take(TRIED_SIZES).find(aligned);
        enough.or_else(|| sizes.between(1, wanted).rev().take(TRIED_SIZES).find(aligned))
    };
    let pages = (page_with(last, of(before)?), page_with(seam, of(after)?));
    debug_assert!(reach(pages.0).1 == seam && reach(pages.1).0 == seam, "{pages:?} don't meet at {seam}");
    Some(pages)
}

/// Returns the slice of the same size that begins where `slice` ends.
#[must_use]
pub(super) fn next(slice: Slice) -> Slice {
    match slice {
        Slice::Page { number, size } => Slice::Page { number: PageNumber(number.0.saturating_add(1)), size },
        Slice::Offset { from, size } => Slice::Offset { from: Offset(from.0.saturating_add(u64::from(size.0))), size },
    }
}

/// Returns the slice of the same size that ends where `slice` begins; `None` if it would begin before the list.
#[must_use]
pub(super) fn previous(slice: Slice) -> Option<Slice> {
    Some(match slice {
        Slice::Page { number, size } => Slice::Page { number: PageNumber(number.0.checked_sub(1)?), size },
        Slice::Offset { from, size } => Slice::Offset { from: Offset(from.0.checked_sub(u64::from(size.0))?), size },
    })
}

/// Returns two neighbouring slices of the largest size that together hold a range of offsets which is too long for a
/// single slice. `None` if two slices can't hold the range either.
#[must_use]
pub(super) fn pair(paging: &Paging, cap: Option<u32>, offsets: &Range<u64>) -> Option<(Slice, Slice)> {
    let sizes = Askable::new(paging, cap);
    let Range { start: from, end: to } = *offsets;
    let size = sizes.most;
    let both = match paging.family {
        Family::Offset | Family::Token => {
            let slice = |from| Slice::Offset { from: Offset(from), size: PageSize(size) };
            (slice(from), slice(from + u64::from(size)))
        }
        Family::Page => (page_with(from, size), page_with(from + u64::from(size), size)),
    };
    debug_assert_eq!(reach(both.0).1, reach(both.1).0, "the two slices are neighbours");
    (reach(both.1).1 >= to).then_some(both)
}

/// Returns the number of items from the start of the list that requests can show; `None` if the upstream answers at any
/// depth.
#[must_use]
pub(super) fn reach_of(paging: &Paging) -> Option<u64> {
    let by_offset = paging.max_offset.map(|most| most.saturating_add(self::most(paging, None)));
    paging.max_depth.into_iter().chain(by_offset).min()
}

/// Returns a slice that is cut at the upstream's largest depth. `None` if fewer than two items would be left, if a page
/// reaches deeper, because a page can't be cut, or if the slice begins beyond the upstream's largest offset.
#[must_use]
pub(super) fn within(paging: &Paging, slice: Slice) -> Option<Slice> {
    let (begins, ends) = reach(slice);
    // The upstream may answer a larger offset as if it were the largest, without saying so. Such an answer would be
    // taken for another part of the list, so it is never requested. Test: `no_slice_begins_beyond_the_largest_offset`.
    if paging.max_offset.is_some_and(|most| begins > most) {
        return None;
    }
    let Some(depth) = paging.max_depth.filter(|depth| ends > *depth) else { return Some(slice) };
    // With another size, a page would begin elsewhere, so only slices by offset can be cut.
    let Slice::Offset { from, .. } = slice else { return None };
    let room = u32::try_from(depth.checked_sub(begins)?).unwrap_or(LARGEST_SIZE);
    let size = Askable::new(paging, None).between(1, room).next_back()?;
    debug_assert!(begins.saturating_add(u64::from(size)) <= depth, "a shortened slice stays within {depth}");
    (size >= 2).then_some(Slice::Offset { from, size: PageSize(size) })
}

/// Returns whether a slice covers all of `offsets`.
#[must_use]
pub(super) fn holds(slice: Slice, offsets: &Range<u64>) -> bool {
    let (begins, ends) = reach(slice);
    begins <= offsets.start && ends >= offsets.end
}

/// Returns whether a slice covers the offset `last` and the next offset.
#[must_use]
pub(super) fn shows_both_sides(slice: Slice, last: u64) -> bool {
    holds(slice, &(last..last.saturating_add(2)))
}

/// Returns the believed offset at which a slice begins, and the offset after its last item.
#[must_use]
pub(super) fn reach(slice: Slice) -> (u64, u64) {
    let begins = slice.begins().0;
    (begins, begins.saturating_add(u64::from(slice.size().0)))
}
