//! Pages larger than an answer of the upstream, over runs of ties.

use super::*;

const CAP: u32 = 25;

#[test]
fn runs_of_ties_do_not_break_a_chain() {
    // An answer is used only up to its last whole run, so runs of 12 leave 12 rows of an answer of 25, and a page of
    // 100 takes nine answers: more than a page has where the place of each answer is known. Pages by number overlap less
    // than planned, too.
    for (family, length) in [(Family::Offset, 12), (Family::Offset, 20), (Family::Page, 8)]
        .into_iter()
        .flat_map(|(family, longest)| (2..=longest).map(move |length| (family, length)))
    {
        let rows = (0..400).map(|id| ((1_000 + id / length).to_string(), (1_000_000 + id).to_string()));
        let mut list = List { cap: CAP, ..List::new(family, rows) };
        list.paging.sizes = Sizes::Free { least: 1, most: Some(CAP) };
        for limit in (50..=100).step_by(10) {
            for step in [7, 9, 11] {
                let mut target = Some(start());
                while let Some(at) = target {
                    let page = list.page(at.clone(), limit);
                    assert!(page.is_ok(), "{family:?}, {page:?} of {limit} at {at:?}, with runs of {length}");
                    target = list.page(at, step).unwrap().next.clone();
                }
            }
        }
    }
}
