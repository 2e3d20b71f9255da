//! The items of an answer as rows of keys: the comparison of two items, or of an item with an anchor, and the faults if
//! a comparison is impossible.

mod fault;

use std::{borrow::Cow, cmp::Ordering};

use super::{
    answer::Answer,
    key::{self, Extent, KeyValue, Operand},
    mark::{Mark, Marker},
    order::{Kind, Order, SortKey, Ties},
    position::Anchor,
    unsorted::Unsorted,
};
use crate::json::Span;

pub(super) use fault::{
    at_two_places, contradiction, contradictory_answers, disordered_texts, disordered_ties, incomparable,
    is_plain_text, strange_anchor, twice, unkept,
};

/// The place of an item relative to an anchor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Relation {
    /// The order by the strong keys that tell runs apart. Equal values of a key with a grain, or equal cut values, are
    /// one run, whatever the keys after that key.
    pub(super) strong: Ordering,
    /// The order by all strong keys, then the id.
    pub(super) whole: Ordering,
}

/// The place of an item relative to the item before it in the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NextItem {
    /// The item is in the same run of ties.
    Tied,
    /// The item is in a later run.
    Later,
    /// The opaque values of the two items differ. The item is in a later run, or in the same run with another spelling
    /// of the value.
    Apart,
    /// By its keys, the item belongs before the other item: a contradiction.
    Earlier,
}

/// Compares an item with an anchor; `None` if their keys can't be compared.
pub(super) fn relate(answer: &Answer, order: &Order, item: usize, anchor: &Anchor) -> Option<Relation> {
    let row = row(answer, order, item);
    if anchor.keys.len() != order.strong.len() {
        return None;
    }
    let mut coarse = false;
    for ((key, span), kept) in order.strong.iter().zip(row).zip(&anchor.keys) {
        // After a key that is shown more coarsely than it is stored, opaque values decide nothing.
        if coarse && key.kind == Kind::Opaque {
            continue;
        }
        let ordering = key::compare(key, Extent::Kept, Operand::Raw(span.of(&answer.body)), Operand::Kept(kept))?;
        if ordering != Ordering::Equal {
            return Some(Relation { strong: if coarse { Ordering::Equal } else { ordering }, whole: ordering });
        }
        // The upstream sorts items that look equal at this key by finer values, so the keys after it tell no runs
        // apart.
        coarse |= is_coarse(key, kept);
    }
    let whole = relate_id(answer, order, item, anchor)?;
    Some(Relation { strong: Ordering::Equal, whole })
}

/// Compares an item with an anchor by the first strong key, or by the id if there are no strong keys. `None` if the
/// keys can't be compared.
pub(super) fn relate_first_key(answer: &Answer, order: &Order, item: usize, anchor: &Anchor) -> Option<Ordering> {
    let (Some(key), Some(kept)) = (order.strong.first(), anchor.keys.first()) else {
        return relate_id(answer, order, item, anchor);
    };
    let span = row(answer, order, item).first()?;
    key::compare(key, Extent::Kept, Operand::Raw(span.of(&answer.body)), Operand::Kept(kept))
}

/// Returns whether the strong keys of an item are equal to `keys`; false for another number of keys.
pub(super) fn has_keys(answer: &Answer, order: &Order, item: usize, keys: &[KeyValue]) -> bool {
    keys.len() == order.strong.len()
        && order.strong.iter().zip(row(answer, order, item)).zip(keys).all(|((key, span), kept)| {
            let raw = Operand::Raw(span.of(&answer.body));
            key::compare(key, Extent::Kept, raw, Operand::Kept(kept)) == Some(Ordering::Equal)
        })
}

/// The anchor, the id and the mark of an item, by which the item is recognised.
impl Answer {
    /// Returns an item as an anchor; `None` if the answer has no such item, or if its keys or id can't be in a cursor.
    #[must_use]
    pub fn anchor(&self, order: &Order, item: usize) -> Option<Anchor> {
        if item >= self.items.len() {
            return None;
        }
        let (id, strong) = row(self, order, item).split_last()?;
        let keys = strong.iter().zip(&order.strong);
        let keys = keys.map(|(span, key)| KeyValue::of_strong(&key.kind, span.of(&self.body)));
        Some(Anchor { keys: keys.collect::<Option<_>>()?, id: KeyValue::of_id(id.of(&self.body))? })
    }

    /// Returns the id of an item in its canonical spelling, which is the same for equal ids. `None` if the id is
    /// missing, null, an object or an array.
    pub(super) fn identity(&self, order: &Order, item: usize) -> Option<Cow<'_, [u8]>> {
        match row(self, order, item).last()?.of(&self.body) {
            b"" | b"null" | [b'{' | b'[', ..] => None,
            id => Some(key::identity(&order.id, id)),
        }
    }

    /// Returns the mark of an item's id, or of the item's bytes if it has no id.
    #[must_use]
    pub fn mark(&self, order: &Order, marker: &Marker, item: usize) -> Mark {
        match self.identity(order, item) {
            Some(id) => marker.mark(&id),
            None => marker.mark(self.item(item)),
        }
    }
}

/// Returns the ranges of an item's keys: the strong keys, then the id.
pub(super) fn row<'a>(answer: &'a Answer, order: &Order, item: usize) -> &'a [Span] {
    let columns = order.columns();
    debug_assert_eq!(answer.keys.len(), answer.items.len() * columns, "an answer has a row of keys for each item");
    &answer.keys[item * columns..(item + 1) * columns]
}

/// Returns an answer that has only the keys of these items: each item is the range of its keys.
pub(super) fn keys_of(answer: &Answer, order: &Order, items: impl Iterator<Item = usize>) -> Answer {
    let (mut body, mut spans, mut keys) = (Vec::new(), Vec::new(), Vec::new());
    // The keys are part of a body whose ranges are 32-bit numbers, so their length is one too.
    let length = |body: &Vec<u8>| u32::try_from(body.len()).unwrap_or(u32::MAX);
    for item in items {
        let first_key = length(&body);
        for key in row(answer, order, item) {
            let start = length(&body);
            body.extend_from_slice(key.of(&answer.body));
            keys.push(if key.is_absent() { Span::ABSENT } else { Span { start, end: length(&body) } });
        }
        spans.push(Span { start: first_key, end: length(&body) });
    }
    Answer::listed(body, spans, keys)
}

/// Compares the item `right` with `left`, the item before it; `None` if the two can't be compared. Items with the same
/// coarse value (of a key with a grain, or a cut string) are in the same run, whatever their other keys are. Without
/// strong keys, the ids are compared; `None` for equal ids.
pub(super) fn follow(answer: &Answer, order: &Order, left: usize, right: usize) -> Option<NextItem> {
    let named = |ordering| match ordering {
        Ordering::Less => NextItem::Later,
        Ordering::Equal => NextItem::Tied,
        Ordering::Greater => NextItem::Earlier,
    };
    if order.strong.is_empty() {
        return compare_ids(answer, order, left, right).map(named).filter(|next| *next != NextItem::Tied);
    }
    for ((key, left), right) in order.strong.iter().zip(row(answer, order, left)).zip(row(answer, order, right)) {
        let (left, right) = (left.of(&answer.body), right.of(&answer.body));
        match key::compare(key, Extent::Kept, Operand::Raw(left), Operand::Raw(right)) {
            // The upstream sorts by a finer value than it shows, so the keys after this one decide nothing. Test:
            // `keys_after_a_key_with_a_coarse_grain_do_not_separate_tie_runs`.
            Some(Ordering::Equal) if key.grain.is_some() || is_long_text(key, left) => break,
            Some(Ordering::Equal) => {}
            Some(ordering) => return Some(named(ordering)),
            None if key.kind == Kind::Opaque && is_opaque(left) && is_opaque(right) => return Some(NextItem::Apart),
            None => return None,
        }
    }
    Some(NextItem::Tied)
}

/// Compares two items of the same run in the gateway's order: by all strong keys that aren't opaque, then by the id.
/// `None` if the items can't be compared.
pub(super) fn compare_tied(answer: &Answer, order: &Order, left: usize, right: usize) -> Option<Ordering> {
    for ((key, left), right) in order.strong.iter().zip(row(answer, order, left)).zip(row(answer, order, right)) {
        if key.kind == Kind::Opaque {
            continue;
        }
        let ordering =
            key::compare(key, Extent::Kept, Operand::Raw(left.of(&answer.body)), Operand::Raw(right.of(&answer.body)))?;
        if ordering != Ordering::Equal {
            return Some(ordering);
        }
    }
    compare_ids(answer, order, left, right)
}

/// Compares the strong keys of two items, or their ids if there are no strong keys. `None` if the items can't be
/// compared, or if their opaque values differ.
pub(super) fn compare_strong(answer: &Answer, order: &Order, left: usize, right: usize) -> Option<Ordering> {
    match follow(answer, order, left, right)? {
        NextItem::Later => Some(Ordering::Less),
        NextItem::Tied => Some(Ordering::Equal),
        NextItem::Earlier => Some(Ordering::Greater),
        NextItem::Apart => None,
    }
}

/// Returns whether an answer contradicts the order: by its keys, or by its id among ordered ties, an item belongs
/// before the item that it follows.
pub(super) fn contradicts(answer: &Answer, order: &Order) -> bool {
    (1..answer.items.len()).any(|place| match follow(answer, order, place - 1, place) {
        Some(NextItem::Earlier) => true,
        Some(NextItem::Tied) if order.ties == Ties::Ordered => {
            compare_ids(answer, order, place - 1, place) == Some(Ordering::Greater)
        }
        _ => false,
    })
}

/// Returns whether the list is sorted only by the id, and the answer's ids are plain numbers in strict order. This is
/// true for most lists by id, whose order then needs no other check.
pub(super) fn are_counted(answer: &Answer, order: &Order) -> bool {
    if !order.strong.is_empty() || !matches!(order.id.kind, Kind::Inferred | Kind::Number) {
        return false;
    }
    let mut ids = answer.keys.iter().map(|id| Operand::Raw(id.of(&answer.body)).counted());
    let Some(Some(mut before)) = ids.next() else { return false };
    ids.all(|id| {
        // An id that comes twice fails here, and the full check refuses it. Test: `an_id_that_comes_twice_is_refused`.
        let follows = id.is_some_and(|id| key::directed(&order.id, before.cmp(&id)) == Ordering::Less);
        before = id.unwrap_or(before);
        follows
    })
}

/// Compares the ids of two items in the order's direction; `None` if they can't be compared.
pub(super) fn compare_ids(answer: &Answer, order: &Order, left: usize, right: usize) -> Option<Ordering> {
    let id = |item| row(answer, order, item).last().copied().unwrap_or_default().of(&answer.body);
    key::compare(&order.id, Extent::Whole, Operand::Raw(id(left)), Operand::Raw(id(right)))
}

/// Returns whether the first strong key of two items is equal; false without strong keys.
pub(super) fn share_first_key(answer: &Answer, order: &Order, left: usize, right: usize) -> bool {
    let Some(key) = order.strong.first() else { return false };
    let first = |item| row(answer, order, item).first().copied().unwrap_or_default().of(&answer.body);
    key::compare(key, Extent::Kept, Operand::Raw(first(left)), Operand::Raw(first(right))) == Some(Ordering::Equal)
}

/// Returns the opaque key if it separates the anchor's run from others. Among items whose other strong keys are equal
/// to the anchor's, only an equal opaque value then gives the anchor's place. `None` if there is no opaque key, or if
/// it comes after a coarse value of the anchor.
pub(super) fn opaque_at<'a>(order: &'a Order, anchor: &Anchor) -> Option<&'a SortKey> {
    let (last, before) = order.strong.split_last()?;
    let decided_before = before.iter().zip(&anchor.keys).any(|(key, kept)| is_coarse(key, kept));
    (last.kind == Kind::Opaque && !decided_before).then_some(last)
}

/// Compares an item with an anchor by the strong keys before the last, which is the opaque key. `None` if a key can't
/// be compared, or if there are no strong keys.
pub(super) fn relate_before_opaque(answer: &Answer, order: &Order, item: usize, anchor: &Anchor) -> Option<Ordering> {
    let before = order.strong.len().checked_sub(1)?;
    debug_assert_eq!(anchor.keys.len(), order.strong.len(), "an anchor has a value for each strong key");
    for ((key, span), kept) in order.strong.iter().zip(row(answer, order, item)).zip(&anchor.keys).take(before) {
        let ordering = key::compare(key, Extent::Kept, Operand::Raw(span.of(&answer.body)), Operand::Kept(kept))?;
        if ordering != Ordering::Equal {
            return Some(ordering);
        }
    }
    Some(Ordering::Equal)
}

/// Compares the opaque value of an item with the anchor's value. `None` if the values differ, because only the sequence
/// of an answer gives their order.
pub(super) fn relate_opaque(answer: &Answer, order: &Order, item: usize, anchor: &Anchor) -> Option<Ordering> {
    let (key, kept) = (order.strong.last()?, anchor.keys.last()?);
    let span = row(answer, order, item).get(order.strong.len() - 1)?;
    key::compare(key, Extent::Kept, Operand::Raw(span.of(&answer.body)), Operand::Kept(kept))
}

/// Compares the id of an item with the anchor's id; `None` if they can't be compared.
pub(super) fn relate_id(answer: &Answer, order: &Order, item: usize, anchor: &Anchor) -> Option<Ordering> {
    let id = row(answer, order, item).last()?.of(&answer.body);
    key::compare(&order.id, Extent::Whole, Operand::Raw(id), Operand::Kept(&anchor.id))
}

/// Returns the opaque value of an item in its canonical spelling; `None` if the last strong key isn't opaque.
pub(super) fn opaque_value<'a>(answer: &'a Answer, order: &Order, item: usize) -> Option<Cow<'a, [u8]>> {
    let key = order.strong.last().filter(|key| key.kind == Kind::Opaque)?;
    let span = row(answer, order, item).get(order.strong.len() - 1)?;
    Some(key::identity(key, span.of(&answer.body)))
}

/// Returns whether items with this value may come in any order, because the upstream sorts by a finer value than
/// `value`.
fn is_coarse(key: &SortKey, value: &KeyValue) -> bool {
    key.grain.is_some() || value.is_cut(&key.kind)
}

fn is_opaque(raw: &[u8]) -> bool {
    !raw.is_empty() && raw != b"null" && KeyValue::of_strong(&Kind::Opaque, raw).is_some()
}

fn is_long_text(key: &SortKey, raw: &[u8]) -> bool {
    // A raw value is never shorter than its decoded string, so most values needn't be decoded.
    raw.len() >= key::TEXT_KEPT && KeyValue::of_strong(&key.kind, raw).is_some_and(|value| value.is_cut(&key.kind))
}

/// Checks the keys of a single item, which has no neighbour to be compared with. Each key must be readable and of its
/// kind, which a comparison of the key with itself shows. Test:
/// `a_single_item_whose_key_is_not_of_the_declared_kind_is_refused`.
pub(super) fn check_alone(answer: &Answer, order: &Order) -> Result<(), Unsorted> {
    let of_its_kind = |(key, span): (&SortKey, &Span), extent: Extent| {
        let raw = span.of(&answer.body);
        let kept = if extent == Extent::Whole { KeyValue::of_id(raw) } else { KeyValue::of_strong(&key.kind, raw) };
        kept.is_some() && key::compare(key, extent, Operand::Raw(raw), Operand::Raw(raw)).is_some()
    };
    let row = row(answer, order, 0);
    let strong = order.strong.iter().zip(row).all(|column| of_its_kind(column, Extent::Kept));
    if strong && row.last().is_some_and(|id| of_its_kind((&order.id, id), Extent::Whole)) {
        Ok(())
    } else {
        Err(incomparable(answer, order, 0))
    }
}

/// Returns whether a strong key of an item is a string so long that only its beginning is compared. The upstream also
/// sorts by the rest of the string, so items with the same beginning are a run of ties in any order, even if the
/// upstream is declared to order ties. Test: `long_texts_with_equal_beginnings_are_one_tie_run_even_in_ordered_ties`.
pub(super) fn is_cut(answer: &Answer, order: &Order, item: usize) -> bool {
    order.strong.iter().zip(row(answer, order, item)).any(|(key, span)| is_long_text(key, span.of(&answer.body)))
}
