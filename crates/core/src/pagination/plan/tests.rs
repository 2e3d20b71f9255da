//! Tests of the requests of a plan, and the offsets that they cover.

use super::*;
use crate::pagination::{
    direction::Way,
    paging::{Family, Sizes},
    window::{Offset, PageNumber, PageSize},
};

fn paging(family: Family, sizes: Sizes) -> Paging {
    Paging::new(family, sizes)
}

fn free(family: Family, most: u32) -> Paging {
    paging(family, Sizes::Free { least: 1, most: Some(most) })
}

fn window(from: u64, to: u64) -> Window {
    Window { from, to, before: 0, after: 0 }
}

#[test]
fn a_slice_takes_what_is_left_of_the_cap_around_its_window() {
    let wish = Window { before: 10, after: 10, ..window(99, 121) };
    for (cap, from, size) in [(100, 89, 42), (42, 89, 42), (32, 94, 32), (22, 99, 22)] {
        let planned = plan(&free(Family::Offset, cap), None, wish, Way::Forward, 8);
        assert_eq!(planned, [Slice::Offset { from: Offset(from), size: PageSize(size) }], "cap {cap}");
    }
    let at_start = Window { before: 10, after: 21, ..window(0, 21) };
    let planned = plan(&free(Family::Offset, 100), None, at_start, Way::Forward, 8);
    assert_eq!(planned, [Slice::Offset { from: Offset(0), size: PageSize(42) }]);
}

#[test]
fn a_page_holds_every_window_if_the_cap_is_two_and_a_half_times_the_limit() {
    for limit in [20_u32, 40, 50, 100] {
        let paging = free(Family::Page, (limit * 5).div_ceil(2));
        for page in 0..200 {
            let from = (u64::from(limit) * page).saturating_sub(1);
            let want = window(from, from + u64::from(limit) + 2);
            let planned = plan(&paging, None, want, Way::Forward, 8);
            let (begins, ends) = reach(planned[0]);
            assert!(
                planned.len() == 1 && begins <= want.from && ends >= want.to,
                "limit {limit}, page {page}: {planned:?}"
            );
        }
    }
}

/// Beyond the largest offset, an upstream may answer as if for that offset, so no slice begins there. Windows beyond it
/// are read from it on, as far as the largest size reaches.
#[test]
fn no_slice_begins_beyond_the_largest_offset() {
    let bounded = |family| Paging { max_offset: Some(100), ..free(family, 50) };
    let by_offset = bounded(Family::Offset);
    let offset = |from, size| Slice::Offset { from: Offset(from), size: PageSize(size) };
    for (wanted, expected) in [
        (window(90, 110), Some(offset(90, 20))),
        (window(100, 150), Some(offset(100, 50))),
        (window(120, 140), Some(offset(100, 40))),
        (window(120, 150), Some(offset(100, 50))),
        (window(120, 151), None),
        (window(150, 160), None),
    ] {
        assert_eq!(holding(&by_offset, None, wanted), expected, "{wanted:?}");
    }
    assert_eq!(holding(&by_offset, Some(20), window(110, 125)), None, "a cap that was seen is no size to count on");
    for from in 0..400 {
        for paging in [by_offset.clone(), bounded(Family::Page)] {
            for way in [Way::Forward, Way::Backward] {
                let chain = plan(&paging, None, Window { before: 9, after: 9, ..window(from, from + 20) }, way, 8);
                for slice in chain.iter().filter_map(|slice| within(&paging, *slice)) {
                    assert!(slice.begins().0 <= 100, "{way:?} from {from}: {slice:?}");
                }
            }
        }
    }
    assert_eq!(within(&by_offset, offset(101, 5)), None);
    assert_eq!(reach_of(&by_offset), Some(150));
    assert_eq!(reach_of(&Paging { max_depth: Some(120), ..by_offset }), Some(120));
    assert_eq!(reach_of(&free(Family::Offset, 50)), None);
}

#[test]
fn a_chain_overlaps_and_covers_its_window_in_both_directions() {
    for family in [Family::Offset, Family::Page] {
        for way in [Way::Forward, Way::Backward] {
            for from in 0..300 {
                let want = window(from, from + 252);
                let mut chain = plan(&free(family, 100), None, want, way, 20);
                if way == Way::Backward {
                    chain.reverse();
                }
                let reaches: Vec<(u64, u64)> = chain.into_iter().map(reach).collect();
                assert!(reaches[0].0 <= want.from && reaches[reaches.len() - 1].1 >= want.to, "{reaches:?}");
                for pair in reaches.windows(2) {
                    assert!(pair[1].0 < pair[0].1, "{family:?} {way:?} from {from}: {reaches:?}");
                }
            }
        }
    }
}

#[test]
fn a_confirmation_shows_the_last_item_and_the_place_after_it() {
    for family in [Family::Offset, Family::Page] {
        for last in 0..200_u64 {
            for honoured in [1, 2, 3, 5, 20] {
                for from in [last, last.saturating_sub(1), last.saturating_sub(7)] {
                    let Some(Confirmation { edge, filled }) =
                        confirmation(&free(family, 100), None, honoured, from, last)
                    else {
                        continue;
                    };
                    let (begins, ends) = reach(edge);
                    assert!(begins <= from && ends > last + 1, "{edge:?} for {from}..={last}");
                    // If `last` is the end of the list, the edge has fewer items than a size that was honoured before,
                    // or than the size of `filled`.
                    let shown = u32::try_from(last + 1 - begins).unwrap();
                    let is_shown = filled.is_some_and(|it| it.size() == edge.size() && reach(it).1 <= last + 1);
                    assert!(shown < edge.size().0 && (shown < honoured.max(2) || is_shown), "{edge:?}, {filled:?}");
                }
            }
        }
    }
    let at = |family, honoured, last| confirmation(&free(family, 100), None, honoured, last, last);
    assert!(at(Family::Page, 2, 1).is_none_or(|it| it.filled.is_some()));
    assert!(at(Family::Offset, 0, 5).is_some());
    // A page of a size that isn't honoured is at an unknown offset.
    assert_eq!(at(Family::Page, 7, 17).map(|it| it.edge), Some(page_with(17, 7)));
    assert_eq!(at(Family::Page, 2, 17).map(|it| it.edge), Some(page_with(17, 17)));
}

#[test]
fn a_seam_is_read_by_two_adjacent_pages() {
    let fixed = paging(Family::Page, Sizes::Fixed(15));
    let page = |number, size| Slice::Page { number: PageNumber(number), size: PageSize(size) };
    assert_eq!(seam(&fixed, None, 29, 1, 16), Some((page(1, 15), page(2, 15))));
    assert_eq!(seam(&fixed, None, 30, 1, 16), None);
    let listed = paging(Family::Page, Sizes::Listed(vec![10, 25, 50, 100]));
    assert_eq!(seam(&listed, None, 99, 1, 21), Some((page(9, 10), page(4, 25))));
}

#[test]
fn only_listed_sizes_are_asked_for() {
    let sizes = vec![10, 25, 50, 100];
    for family in [Family::Offset, Family::Page] {
        let listed = paging(family, Sizes::Listed(sizes.clone()));
        for from in 0..500 {
            for fetch in plan(&listed, Some(60), window(from, from + 70), Way::Forward, 8) {
                assert!(sizes.contains(&fetch.size().0) && fetch.size().0 <= 60, "{fetch:?}");
            }
        }
    }
}
