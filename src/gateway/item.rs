//! Items of a page as their own cursors name them, and the places beside them.

use crate::pagination::{
    answer::Answer,
    key::{KeyValue, identity},
    mark::{Mark, Marker},
    order::Order,
    page::Page,
    position::{Anchor, Item, MarkedItem, Marks, Position},
};

/// The keys and id of an item of an answer; none where they can't be read, or where nothing is known of the order.
pub(super) fn anchor(answer: &Answer, order: &Order, index: usize) -> Option<Anchor> {
    let columns = order.columns();
    let row = answer.keys.get(index * columns..)?.get(..columns).filter(|_| order.declared)?;
    let (id, strong) = row.split_last()?;
    let kinds = order.strong.iter().map(|key| &key.kind);
    let keys = strong.iter().zip(kinds).map(|(span, kind)| KeyValue::of_strong(kind, span.of(&answer.body)));
    let keys = keys.collect::<Option<Vec<_>>>()?;
    Some(Anchor { keys, id: KeyValue::of_id(id.of(&answer.body))? })
}

/// The item at an index of a page: by its keys, or where nothing is known of the order, by its mark and those of its
/// neighbours on the page.
pub(super) fn nth(page: &Page, order: &Order, marker: &Marker, index: usize) -> Option<Item> {
    if order.declared {
        let place = page.items.get(index)?;
        return anchor(page.answers.get(place.answer as usize)?, order, place.item as usize).map(Item::Keyed);
    }
    let marked = |index: usize| mark(page, order, marker, index);
    let before = index.saturating_sub(Marks::AHEAD)..index;
    let after = index + 1..(index + 1 + Marks::AHEAD).min(page.items.len());
    let around = Marks { before: before.filter_map(marked).collect(), after: after.filter_map(marked).collect() };
    Some(Item::Marked(MarkedItem { item: marked(index)?, around }))
}

/// The mark of an item of a page: of its id, else of its bytes.
fn mark(page: &Page, order: &Order, marker: &Marker, index: usize) -> Option<Mark> {
    let place = page.items.get(index)?;
    let answer = page.answers.get(place.answer as usize)?;
    let (item, columns) = (place.item as usize, order.columns());
    let id = answer.keys.get((item + 1) * columns - 1)?.of(&answer.body);
    Some(match id {
        b"" | b"null" => marker.mark(answer.item(item)),
        raw => marker.mark(&identity(&order.id, raw)),
    })
}

/// The place beside an item that marks tell: it is one of those on its own side.
pub(super) fn beside(item: MarkedItem, backward: bool) -> Position {
    let MarkedItem { item, around: Marks { mut before, mut after } } = item;
    if backward {
        after.insert(0, item);
        after.truncate(Marks::BEHIND);
        before.drain(..before.len().saturating_sub(Marks::AHEAD));
        Position::BeforeMarks(Marks { before, after })
    } else {
        before.push(item);
        before.drain(..before.len().saturating_sub(Marks::BEHIND));
        after.truncate(Marks::AHEAD);
        Position::AfterMarks(Marks { before, after })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marked_item_is_one_of_its_neighbours_own() {
        let marks = |numbers: &[u64]| numbers.iter().map(|number| Mark::of(*number)).collect::<Vec<_>>();
        let item = |before: &[u64], after: &[u64]| MarkedItem {
            item: Mark::of(5),
            around: Marks { before: marks(before), after: marks(after) },
        };
        for (before, after, behind, ahead) in [
            (&[2, 3, 4][..], &[6, 7][..], (&[3, 4, 5][..], &[6, 7][..]), (&[3, 4][..], &[5, 6, 7][..])),
            (&[], &[6, 7, 8], (&[5], &[6, 7]), (&[], &[5, 6, 7])),
            (&[4], &[], (&[4, 5], &[]), (&[4], &[5])),
        ] {
            let position = beside(item(before, after), false);
            assert_eq!(position, Position::AfterMarks(Marks { before: marks(behind.0), after: marks(behind.1) }));
            let position = beside(item(before, after), true);
            assert_eq!(position, Position::BeforeMarks(Marks { before: marks(ahead.0), after: marks(ahead.1) }));
        }
    }
}
