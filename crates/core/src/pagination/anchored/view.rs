//! An answer of a list without a declared order: its expected offset, and the marks of its items.

use std::{borrow::Cow, sync::OnceLock};

use super::super::{
    answer::Answer,
    judge::end::{Belief, End},
    mark::{Mark, Marker},
    order::Order,
    paging::{EndEvidence, Paging, Sizes},
    window::{Offset, Slice},
};

/// An answer with its expected offset and its evidence.
#[derive(Debug)]
pub(super) struct View {
    pub(super) answer: Answer,
    /// The requested slice.
    pub(super) slice: Slice,
    /// The expected offset of the answer's first item.
    pub(super) begins: u64,
    /// True if no item comes before the answer: it was requested from the very start and begins there.
    pub(super) from_start: bool,
    /// True if the answer ends the list, by its own evidence.
    pub(super) ends: bool,
    /// True if the answer has fewer items than were requested without proof that it ends the list: a silent cap or the
    /// end made it short.
    pub(super) short: bool,
    /// The number of offsets that the answer covers. Where items are hidden, it may be larger than the number of items.
    pub(super) span: u64,
    marks: OnceLock<Vec<Mark>>,
}

impl View {
    /// Makes a view of an answer, whose end is judged by `belief`. `cap` is the assumed silent cap; `None` if no cap is
    /// assumed.
    pub(super) fn new(answer: Answer, slice: Slice, paging: &Paging, cap: Option<u32>, belief: Belief) -> Self {
        let begins = believed_begin(&answer, slice, paging, cap);
        let from_start = slice.begins().0 == 0 && begins == 0;
        let count = answer.items.len() as u64;
        let End { ends, short, .. } = End::judge(&answer, slice, begins, from_start, paging, belief);
        let (ends, short, span) = if paging.hidden {
            // Short and empty answers prove nothing where items are hidden after the limit is applied, so only a flag
            // ends the list.
            let ends = paging.end == EndEvidence::Flag && answer.more == Some(false) && ends;
            // A silent cap can't be distinguished from hidden items, so the answer covers only a size that is known to
            // be honoured.
            let declared =
                matches!(&paging.sizes, Sizes::Free { most: Some(_), .. } | Sizes::Listed(_) | Sizes::Fixed(_));
            let honoured = if declared { u32::MAX } else { belief.honoured.by_walk() };
            let covered = u64::from(answer.size.unwrap_or(honoured).min(slice.size().0));
            let left = answer.total.map_or(u64::MAX, |total| total.value.saturating_sub(begins));
            (ends, false, covered.min(left.max(1)).max(count))
        } else {
            (ends, short, count)
        };
        Self { answer, slice, begins, from_start, ends, short, span, marks: OnceLock::new() }
    }

    /// Returns whether two answers have the same items in the same order, byte for byte.
    pub(super) fn same_items(&self, other: &Self) -> bool {
        self.len() == other.len() && (0..self.len()).all(|place| self.answer.item(place) == other.answer.item(place))
    }

    pub(super) fn len(&self) -> usize {
        self.answer.items.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.answer.items.is_empty()
    }

    /// Returns the offset after the last one that the answer covers.
    pub(super) fn reaches(&self) -> u64 {
        self.begins.saturating_add(self.span)
    }

    /// Returns the expected offset of the item at a place. Hidden items are assumed to be spread evenly.
    pub(super) fn offset_of(&self, place: usize) -> u64 {
        let (place, count) = (place as u64, self.len() as u64);
        if self.span == count || count == 0 {
            return self.begins.saturating_add(place);
        }
        self.begins.saturating_add(place.saturating_mul(self.span) / count)
    }

    /// Returns the place of the first item that is expected at or after an offset; the number of items if there is
    /// none.
    pub(super) fn place_at(&self, offset: u64) -> usize {
        let from = offset.saturating_sub(self.begins);
        let (span, count) = (self.span.max(1), self.len() as u64);
        let place = if span == count { from } else { from.saturating_mul(count).div_ceil(span) };
        usize::try_from(place.min(count)).unwrap_or(0)
    }

    /// Returns the id of an item in the form by which ids are compared; `None` if the item has no id.
    pub(super) fn id(&self, order: &Order, place: usize) -> Option<Cow<'_, [u8]>> {
        self.answer.identity(order, place)
    }

    /// Returns the mark of an item: the hash of its id, or of its bytes if it has no id.
    pub(super) fn mark(&self, order: &Order, marker: &Marker, place: usize) -> Mark {
        if let Some(marks) = self.marks.get() {
            return marks[place];
        }
        self.mark_with(order, marker, place)
    }

    /// Returns the mark that `marker` makes of an item, even if marks of another marker are stored.
    pub(super) fn mark_with(&self, order: &Order, marker: &Marker, place: usize) -> Mark {
        match self.id(order, place) {
            Some(id) => marker.mark(&id),
            None => marker.mark(self.answer.item(place)),
        }
    }

    /// Returns the marks of all items. The first call stores them.
    pub(super) fn marks(&self, order: &Order, marker: &Marker) -> &[Mark] {
        self.marks.get_or_init(|| (0..self.len()).map(|place| self.mark_with(order, marker, place)).collect())
    }
}

/// Returns the expected offset of an answer's first item: the offset that the answer states, or otherwise the requested
/// one. The offset of a page is its number times the size that the answer states. If the answer states no size, the
/// size is the requested one, but at most the assumed cap. If the upstream repeats its last page past the end, a total
/// shows which page that is.
fn believed_begin(answer: &Answer, slice: Slice, paging: &Paging, cap: Option<u32>) -> u64 {
    // Under a silent cap, a page begins at its number times the cap. Test:
    // `the_hint_after_a_silently_capped_page_is_correct`.
    let capped = cap
        .filter(|cap| answer.items.len() <= *cap as usize)
        .map_or_else(|| slice.size().0, |cap| cap.min(slice.size().0));
    let size = u64::from(answer.size.unwrap_or(capped));
    let begins = match (answer.offset, answer.page, slice) {
        (Some(offset), _, _) => offset,
        (None, Some(page), _) => page.saturating_mul(size),
        (None, None, Slice::Page { number, .. }) => {
            let total = answer.total.filter(|total| paging.repeats_last_page && total.exact && total.value > 0);
            let last = total.map_or(u64::MAX, |total| (total.value - 1) / size.max(1));
            number.0.min(last).saturating_mul(size)
        }
        (None, None, Slice::Offset { from, .. }) => from.0,
    };
    Offset(begins).believed().0
}
