//! The cursors of a page's items, and the positions before and after an item.

use std::cell::{OnceCell, RefCell};

use cursorgate_core::pagination::{
    answer::Answer,
    key::KeyRef,
    mark::{Mark, Marker},
    order::Order,
    page::Page,
    position::{Anchor, Hint, Item, MarkedItem, Marks, Position, Target},
    window::Offset,
};
use cursorgate_cursor::cursor::ItemMint;
use cursorgate_translate::downstream::ItemCursors;

/// The writer of the cursors of a page's items.
pub struct ItemCursorWriter<'a> {
    page: &'a Page,
    order: &'a Order,
    marker: &'a Marker,
    mint: RefCell<ItemMint<'a>>,
    /// The marks of all items of the page, for lists that are read by marks. They are computed once, because each
    /// item's cursor also contains the marks of its neighbours. The value is `None` if an item can't be read.
    marks: OnceCell<Option<Vec<Mark>>>,
}

impl<'a> ItemCursorWriter<'a> {
    pub fn new(page: &'a Page, order: &'a Order, marker: &'a Marker, mint: ItemMint<'a>) -> Self {
        Self { page, order, marker, mint: RefCell::new(mint), marks: OnceCell::new() }
    }

    /// Writes the cursor of an item with its keys and its id. Returns `None` if the item can't be read, or else whether
    /// a cursor was written.
    fn push_keyed(&self, index: usize, out: &mut Vec<u8>) -> Option<bool> {
        let place = self.page.items.get(index)?;
        let answer = self.page.answers.get(place.answer as usize)?;
        let (id, strong) = answer.row(place.item as usize)?.split_last()?;
        let kinds = self.order.strong().iter().map(|key| &key.kind);
        let keys = strong.iter().zip(kinds).map(|(span, kind)| KeyRef::of_strong(kind, span.of(answer.body())));
        let values = keys.chain(std::iter::once_with(|| KeyRef::of_id(id.of(answer.body()))));
        Some(self.mint.borrow_mut().push_keyed(strong.len(), values, out))
    }

    /// Writes the cursor of an item with its mark and the marks of its neighbours on the page. Returns the same values
    /// as [`Self::push_keyed`]. The cursors of the first and the last item come from the core, which may also have seen
    /// neighbours beyond the page.
    fn push_marked(&self, index: usize, out: &mut Vec<u8>) -> Option<bool> {
        let last = self.page.items.len().checked_sub(1)?;
        let edge = self.page.edges.as_ref().and_then(|(first, end)| match index {
            0 => Some(first),
            _ if index == last => Some(end),
            _ => None,
        });
        let mut mint = self.mint.borrow_mut();
        if let Some(edge) = edge {
            return Some(mint.push(edge, out));
        }
        let marks = self
            .marks
            .get_or_init(|| (0..=last).map(|index| mark(self.page, self.order, self.marker, index)).collect());
        let marks = marks.as_deref()?;
        let before = &marks[index.saturating_sub(Marks::AHEAD)..index];
        let after = &marks[index + 1..(index + 1 + Marks::AHEAD).min(marks.len())];
        // The offset is only a hint, because hidden items may precede the page.
        let offset = Offset(self.page.offset.saturating_add(index as u64));
        Some(mint.push_marked(*marks.get(index)?, before, after, offset, out))
    }
}

impl ItemCursors for ItemCursorWriter<'_> {
    fn push(&self, index: usize, out: &mut Vec<u8>) -> bool {
        // The edges show how the page was read. Even a list with a declared order may have been read by marks.
        let by_marks = match &self.page.edges {
            Some((first, _)) => matches!(first, Item::Marked(_)),
            None => !self.order.places_items(),
        };
        let pushed = if by_marks { self.push_marked(index, out) } else { self.push_keyed(index, out) };
        pushed.unwrap_or(false)
    }
}

/// Returns the keys and the id of an item; `None` if these can't be read, or if the list has no declared order.
pub fn anchor(answer: &Answer, order: &Order, index: usize) -> Option<Anchor> {
    if order.is_declared() { answer.anchor(order, index) } else { None }
}

/// Returns the mark of the item with this index on the page; `None` if there is no such item.
fn mark(page: &Page, order: &Order, marker: &Marker, index: usize) -> Option<Mark> {
    let place = page.items.get(index)?;
    let answer = page.answers.get(place.answer as usize)?;
    Some(answer.mark(order, marker, place.item as usize))
}

/// Returns the position before (`backward`) or after a marked item. The item's own mark becomes part of the position.
/// For example, the position after item 5, between items 4 and 6, has the marks 4 and 5 before it and the mark 6 after
/// it.
pub fn beside(item: MarkedItem, backward: bool) -> Target {
    let MarkedItem { item, around: Marks { mut before, mut after }, offset } = item;
    let offset = Offset(offset.0.saturating_add(u64::from(!backward)));
    let position = if backward {
        after.insert(0, item);
        after.truncate(Marks::PASSED);
        before.drain(..before.len().saturating_sub(Marks::AHEAD));
        Position::BeforeMarks(Marks { before, after })
    } else {
        before.push(item);
        // The marks that are farthest from the item are dropped. Test:
        // `the_position_beside_a_marked_item_has_its_mark`.
        before.drain(..before.len().saturating_sub(Marks::PASSED));
        after.truncate(Marks::AHEAD);
        Position::AfterMarks(Marks { before, after })
    };
    Target { position, hint: Hint { offset, ..Hint::default() } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_position_beside_a_marked_item_has_its_mark() {
        let marks = |numbers: &[u64]| numbers.iter().map(|number| Mark::of(*number)).collect::<Vec<_>>();
        let item = |before: &[u64], after: &[u64]| MarkedItem {
            item: Mark::of(5),
            around: Marks { before: marks(before), after: marks(after) },
            offset: Offset(70),
        };
        let target = |position, offset| Target { position, hint: Hint { offset: Offset(offset), ..Hint::default() } };
        for (before, after, passed, ahead) in [
            (&[2, 3, 4][..], &[6, 7][..], (&[3, 4, 5][..], &[6, 7][..]), (&[3, 4][..], &[5, 6, 7][..])),
            (&[], &[6, 7, 8], (&[5], &[6, 7]), (&[], &[5, 6, 7])),
            (&[4], &[], (&[4, 5], &[]), (&[4], &[5])),
        ] {
            let marks = |(before, after): (&[u64], &[u64])| Marks { before: marks(before), after: marks(after) };
            let onward = target(Position::AfterMarks(marks(passed)), 71);
            assert_eq!(beside(item(before, after), false), onward);
            let back = target(Position::BeforeMarks(marks(ahead)), 70);
            assert_eq!(beside(item(before, after), true), back);
        }
    }
}
