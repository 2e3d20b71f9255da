//! Pages larger than an answer of the upstream, over runs of ties.

use super::*;

const CAP: u32 = 25;

#[test]
fn runs_of_ties_do_not_break_a_chain() {
    // An answer is used only up to its last whole run, so runs of 12 leave 12 rows of an answer of 25, and a page of
    // 100 takes nine answers: more than a page has where the place of each answer is known.
    for (length, limits) in [(2, 100), (4, 100), (6, 100), (8, 100), (12, 100), (20, 100)] {
        let rows = (0..400).map(|id| ((1_000 + id / length).to_string(), (1_000_000 + id).to_string()));
        let mut list = List { cap: CAP, ..List::new(Family::Offset, rows) };
        list.paging.sizes = Sizes::Free { least: 1, most: Some(CAP) };
        for limit in (50..=limits).step_by(10) {
            let mut target = Some(start());
            while let Some(at) = target {
                let page = list.page(at.clone(), limit);
                assert!(page.is_ok(), "{page:?} of {limit} at {at:?}, with runs of {length}");
                target = list.page(at, 9).unwrap().next.clone();
            }
        }
    }
}
