//! What to ask so that a window is covered: one slice, or aligned pages of sizes that hold it, or a chain of answers
//! that overlap.

use super::{
    paging::{Family, Paging, Sizes},
    window::{Fetch, Offset, PageNumber, PageSize},
};

/// A window of believed offsets, `[from, to)`: what must be seen, and what is wished for around it where the upstream
/// gives it in the same answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// The first offset that must be seen.
    pub(super) from: u64,
    /// One past the last offset that must be seen.
    pub(super) to: u64,
    /// How many offsets before are welcome.
    pub(super) before: u64,
    /// How many offsets behind are welcome.
    pub(super) behind: u64,
}

impl Window {
    fn len(self) -> u64 {
        self.to - self.from
    }

    fn wished(self) -> std::ops::Range<u64> {
        self.from.saturating_sub(self.before)..self.to.saturating_add(self.behind)
    }
}

/// In which direction a chain of answers grows: the first one holds the boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Growth {
    /// From the window's first offset on.
    Rightward,
    /// From the window's last offset back.
    Leftward,
}

/// By how many items the answers of a chain overlap, at most a quarter of the cap: as many rows may come or go between
/// two of them without breaking the seam.
const OVERLAP: u64 = 10;

/// An upstream that names no cap is asked for at most so many items in one request.
const UNCAPPED: u32 = 1_000;

/// The largest size ever asked for: answers of more items are not read.
const LARGEST: u32 = 100_000;

/// A page that holds a window is looked for among sizes up to so many times the window's, and up to 100: practically each
/// window is held by a page of twice its size.
const STRETCH: u64 = 4;

/// So many of the largest sizes are tried where no page holds the window.
const TRIED: usize = 1_000;

/// Plans the requests that cover a window: one where one can hold it, else a chain of at most `most` that overlap, the
/// one with the boundary first. Never empty; a chain may end short of the window.
#[must_use]
pub(super) fn plan(paging: &Paging, cap: Option<u32>, window: Window, growth: Growth, most: usize) -> Vec<Fetch> {
    let sizes = Askable::new(paging, cap);
    if let Some(fetch) = sizes.one(paging.family, window) {
        return vec![fetch];
    }
    let overlap = OVERLAP.min(u64::from(sizes.most) / 4).max(1);
    let mut chain: Vec<Fetch> = Vec::new();
    let (mut from, mut to) = (window.from, window.to);
    while chain.len() < most.max(1) && from < to {
        let rest = Window { from, to, before: 0, behind: 0 };
        let fetch = sizes.one(paging.family, rest).unwrap_or_else(|| sizes.farthest(paging.family, from, to, growth));
        let (begins, ends) = reach(fetch);
        if !chain.is_empty() && chain.contains(&fetch) {
            break;
        }
        chain.push(fetch);
        match growth {
            Growth::Rightward if ends < to => from = from.max(ends.saturating_sub(overlap)),
            Growth::Leftward if begins > from => to = to.min(begins + overlap),
            _ => break,
        }
    }
    chain
}

/// A small request at the end of a short answer: it holds the place of that answer's last item and the one behind it,
/// and if nothing is there, fewer items come of it than a size that has been seen to be honoured. `None` where no page
/// is like that.
pub(super) fn confirmation(paging: &Paging, cap: Option<u32>, honoured: u32, last: u64) -> Option<Fetch> {
    let sizes = Askable::new(paging, cap);
    let honoured = honoured.max(2);
    match paging.family {
        Family::Offset => {
            let size = sizes.nearest(u64::from(honoured.min(sizes.most))).max(2);
            Some(Fetch::Slice { from: Offset(last), size: PageSize(size) })
        }
        Family::Page => sizes
            .between(2, u32::try_from(last.max(u64::from(honoured))).unwrap_or(LARGEST))
            .rev()
            .take(TRIED)
            .filter(|size| last % u64::from(*size) + 1 < u64::from(honoured.min(*size)))
            .max_by_key(|size| u64::from(*size) - last % u64::from(*size))
            .map(|size| page_with(last, size)),
    }
}

/// Two neighbouring pages with a seam right behind the item at `last`, for upstreams where no page shows both sides.
#[must_use]
pub(super) fn seam(paging: &Paging, cap: Option<u32>, last: u64, want: u64) -> Option<(Fetch, Fetch)> {
    let sizes = Askable::new(paging, cap);
    if paging.family == Family::Offset {
        return None;
    }
    let behind = last + 1;
    let aligned = |size: &u32| behind.is_multiple_of(u64::from(*size));
    let earlier = sizes.between(1, LARGEST).take(TRIED).find(aligned)?;
    let wanted = u32::try_from(want).unwrap_or(LARGEST);
    let later = sizes.between(wanted, LARGEST).take(TRIED).find(aligned);
    let later = later.or_else(|| sizes.between(1, wanted).rev().take(TRIED).find(aligned)).unwrap_or(earlier);
    Some((page_with(last, earlier), page_with(behind, later)))
}

/// A fetch that does not pass the depth that an upstream answers; `None` where too little would be left of it.
#[must_use]
pub(super) fn within(paging: &Paging, fetch: Fetch, depth: u64) -> Option<Fetch> {
    let (begins, ends) = reach(fetch);
    if ends <= depth {
        return Some(fetch);
    }
    let Fetch::Slice { from, .. } = fetch else { return None };
    let room = u32::try_from(depth.checked_sub(begins)?).unwrap_or(LARGEST);
    let size = Askable::new(paging, None).between(1, room).next_back()?;
    (size >= 2).then_some(Fetch::Slice { from, size: PageSize(size) })
}

/// Whether a fetch covers an offset and the next one.
#[must_use]
pub(super) fn shows_both_sides(fetch: Fetch, last: u64) -> bool {
    let (begins, ends) = reach(fetch);
    begins <= last && ends > last.saturating_add(1)
}

/// The believed offsets that a fetch covers.
#[must_use]
pub(super) fn reach(fetch: Fetch) -> (u64, u64) {
    let begins = fetch.begins().0;
    (begins, begins.saturating_add(u64::from(fetch.size().0)))
}

/// The page of this size that holds an offset.
fn page_with(offset: u64, size: u32) -> Fetch {
    Fetch::Page { number: PageNumber(offset / u64::from(size)), size: PageSize(size) }
}

/// The sizes that can be asked for, with the cap that is believed.
struct Askable<'a> {
    sizes: &'a Sizes,
    least: u32,
    most: u32,
}

impl<'a> Askable<'a> {
    fn new(paging: &'a Paging, cap: Option<u32>) -> Self {
        let (least, most) = match &paging.sizes {
            Sizes::Free { least, most } => (*least, most.unwrap_or(UNCAPPED)),
            Sizes::Listed(sizes) => (sizes.first().copied().unwrap_or(1), sizes.last().copied().unwrap_or(1)),
            Sizes::Fixed(size) => (*size, *size),
        };
        let capped = cap.map_or(most, |cap| most.min(cap)).max(least).max(1);
        let most = match &paging.sizes {
            Sizes::Listed(sizes) => sizes.iter().copied().filter(|size| *size <= capped).max().unwrap_or(least),
            Sizes::Free { .. } | Sizes::Fixed(_) => capped.min(LARGEST),
        };
        Self { sizes: &paging.sizes, least: least.max(1), most }
    }

    /// The sizes in a range, ascending.
    fn between(&self, least: u32, most: u32) -> impl DoubleEndedIterator<Item = u32> + '_ {
        let (low, high) = (least.max(self.least), most.min(self.most));
        let (any, listed) = match self.sizes {
            Sizes::Free { .. } | Sizes::Fixed(_) => (low..high.saturating_add(1), &[][..]),
            Sizes::Listed(sizes) => (0..0, sizes.as_slice()),
        };
        any.chain(listed.iter().copied().filter(move |size| (low..=high).contains(size)))
    }

    /// The least size that is at least this, or the largest.
    fn nearest(&self, wanted: u64) -> u32 {
        let wanted = u32::try_from(wanted).unwrap_or(LARGEST);
        self.between(wanted, LARGEST).next().unwrap_or(self.most)
    }

    /// The one request that holds a window and most of what is wished for around it, with the fewest items.
    fn one(&self, family: Family, window: Window) -> Option<Fetch> {
        if window.len() > u64::from(self.most) {
            return None;
        }
        let wished = window.wished();
        match family {
            Family::Offset => {
                let size = self.nearest(wished.end - wished.start);
                let spare = u64::from(size) - window.len();
                let before = (window.from - wished.start)
                    .min(spare - spare / 2)
                    .max(spare.saturating_sub(wished.end - window.to).min(window.from - wished.start));
                Some(Fetch::Slice { from: Offset(window.from - before), size: PageSize(size) })
            }
            Family::Page => {
                let covered = |size: u32| {
                    let begins = window.from - window.from % u64::from(size);
                    let ends = begins + u64::from(size);
                    (ends >= window.to).then(|| ends.min(wished.end) - begins.max(wished.start))
                };
                let mut best: Option<(u64, u32)> = None;
                let stretched = (wished.end - wished.start).saturating_mul(STRETCH).max(100);
                let largest = u32::try_from(stretched).unwrap_or(LARGEST).max(self.least);
                for size in self.between(u32::try_from(window.len()).unwrap_or(LARGEST), largest) {
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

    /// The request that holds one end of a window and reaches farthest into it.
    fn farthest(&self, family: Family, from: u64, to: u64, growth: Growth) -> Fetch {
        match (family, growth) {
            (Family::Offset, Growth::Rightward) => Fetch::Slice { from: Offset(from), size: PageSize(self.most) },
            (Family::Offset, Growth::Leftward) => {
                Fetch::Slice { from: Offset(to.saturating_sub(u64::from(self.most))), size: PageSize(self.most) }
            }
            (Family::Page, Growth::Rightward) => {
                let sizes = self.between(1, LARGEST).rev().take(TRIED);
                let size = sizes.max_by_key(|size| u64::from(*size) - from % u64::from(*size));
                page_with(from, size.unwrap_or(self.most))
            }
            (Family::Page, Growth::Leftward) => {
                let last = to.saturating_sub(1);
                let sizes = self.between(1, LARGEST).rev().take(TRIED);
                let size = sizes.max_by_key(|size| last % u64::from(*size));
                page_with(last, size.unwrap_or(self.most))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pagination::paging::EndEvidence;

    fn paging(family: Family, sizes: Sizes) -> Paging {
        Paging { family, sizes, max_depth: None, end: EndEvidence::Unvouched, repeats_last_page: false }
    }

    fn free(family: Family, most: u32) -> Paging {
        paging(family, Sizes::Free { least: 1, most: Some(most) })
    }

    fn window(from: u64, to: u64) -> Window {
        Window { from, to, before: 0, behind: 0 }
    }

    #[test]
    fn a_slice_takes_what_is_left_of_the_cap_around_its_window() {
        let wish = Window { before: 10, behind: 10, ..window(99, 121) };
        for (cap, from, size) in [(100, 89, 42), (42, 89, 42), (32, 94, 32), (22, 99, 22)] {
            let planned = plan(&free(Family::Offset, cap), None, wish, Growth::Rightward, 8);
            assert_eq!(planned, [Fetch::Slice { from: Offset(from), size: PageSize(size) }], "cap {cap}");
        }
        let at_start = Window { before: 10, behind: 21, ..window(0, 21) };
        let planned = plan(&free(Family::Offset, 100), None, at_start, Growth::Rightward, 8);
        assert_eq!(planned, [Fetch::Slice { from: Offset(0), size: PageSize(42) }]);
    }

    #[test]
    fn one_page_holds_every_window_where_the_cap_is_two_and_a_half_times_the_limit() {
        for limit in [20_u32, 40, 50, 100] {
            let paging = free(Family::Page, (limit * 5).div_ceil(2));
            for page in 0..200 {
                let from = (u64::from(limit) * page).saturating_sub(1);
                let want = window(from, from + u64::from(limit) + 2);
                let planned = plan(&paging, None, want, Growth::Rightward, 8);
                let (begins, ends) = reach(planned[0]);
                assert!(
                    planned.len() == 1 && begins <= want.from && ends >= want.to,
                    "limit {limit}, page {page}: {planned:?}"
                );
            }
        }
    }

    #[test]
    fn a_chain_overlaps_and_covers_its_window_in_both_directions() {
        for family in [Family::Offset, Family::Page] {
            for growth in [Growth::Rightward, Growth::Leftward] {
                for from in 0..300 {
                    let want = window(from, from + 252);
                    let mut chain = plan(&free(family, 100), None, want, growth, 20);
                    if growth == Growth::Leftward {
                        chain.reverse();
                    }
                    let reaches: Vec<(u64, u64)> = chain.into_iter().map(reach).collect();
                    assert!(reaches[0].0 <= want.from && reaches[reaches.len() - 1].1 >= want.to, "{reaches:?}");
                    for pair in reaches.windows(2) {
                        assert!(pair[1].0 < pair[0].1, "{family:?} {growth:?} from {from}: {reaches:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_confirmation_shows_the_last_item_and_the_place_behind_it() {
        for last in 0..200 {
            for honoured in [1, 2, 3, 5, 20] {
                let slice = confirmation(&free(Family::Offset, 100), None, honoured, last).expect("slices always can");
                assert!(shows_both_sides(slice, last));
                if let Some(page) = confirmation(&free(Family::Page, 100), None, honoured, last) {
                    assert!(shows_both_sides(page, last));
                    assert!(last + 1 - page.begins().0 < u64::from(honoured.max(2)));
                } else {
                    assert!(last == 1 || last > 100, "{last}");
                }
            }
        }
        assert_eq!(confirmation(&free(Family::Page, 100), None, 2, 1), None);
    }

    #[test]
    fn a_seam_is_two_pages_with_nothing_between() {
        let fixed = paging(Family::Page, Sizes::Fixed(15));
        let page = |number, size| Fetch::Page { number: PageNumber(number), size: PageSize(size) };
        assert_eq!(seam(&fixed, None, 29, 16), Some((page(1, 15), page(2, 15))));
        assert_eq!(seam(&fixed, None, 30, 16), None);
        let listed = paging(Family::Page, Sizes::Listed(vec![10, 25, 50, 100]));
        assert_eq!(seam(&listed, None, 99, 21), Some((page(9, 10), page(4, 25))));
    }

    #[test]
    fn only_listed_sizes_are_asked_for() {
        let sizes = vec![10, 25, 50, 100];
        for family in [Family::Offset, Family::Page] {
            let listed = paging(family, Sizes::Listed(sizes.clone()));
            for from in 0..500 {
                for fetch in plan(&listed, Some(60), window(from, from + 70), Growth::Rightward, 8) {
                    assert!(sizes.contains(&fetch.size().0) && fetch.size().0 <= 60, "{fetch:?}");
                }
            }
        }
    }
}
