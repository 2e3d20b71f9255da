//! Ties that come in another order with every query, and so may look alike twice by chance.

use super::List;
use crate::pagination::{
    key::KeyValue,
    paging::{Family, Sizes},
    position::{Anchor, Hint, Position, Target},
    window::{Offset, PageNumber, Slice},
};

#[test]
fn equal_answers_by_chance_are_not_taken_for_an_ignored_parameter() {
    for family in [Family::Offset, Family::Page] {
        for hinted in [5, 11, 18, 26] {
            // The first forty rows tie. The place to find is after this run, and its hint is inside the run.
            let rows = (100..150).map(|id| (id.max(139).to_string(), id.to_string()));
            let mut list = List { cap: 4, ..List::new(family, rows) };
            (list.honoured, list.paging.sizes) = (4, Sizes::Free { least: 1, most: Some(4) });
            // Every answer inside the run has the same rows.
            let alike = |list: &List, slice: Slice| match slice {
                Slice::Offset { from, size } if from.0 + u64::from(size.0) <= 40 => {
                    list.answer(Slice::Offset { from: Offset(0), size })
                }
                Slice::Page { number, size } if (number.0 + 1) * u64::from(size.0) <= 40 => {
                    list.answer(Slice::Page { number: PageNumber(0), size })
                }
                _ => list.answer(slice),
            };
            let anchor = Anchor { keys: vec![KeyValue::Number("145".into())], id: KeyValue::Number("145".into()) };
            let hint = Hint { offset: Offset(hinted), run: 1, ..Hint::default() };
            let page = list.page_of(Target { position: Position::After(anchor), hint }, 2, alike);
            let page = page.unwrap_or_else(|refusal| panic!("{family:?} from {hinted}: {refusal:?}"));
            assert_eq!(page.item(0), b"146146", "{family:?} from {hinted}");
        }
    }
}
