//! Descriptions of what is wrong with an answer's items, for the operator who declares the order.

use std::cmp::Ordering;

use super::{NextItem, follow, row};
use crate::{
    json::Span,
    pagination::{
        answer::Answer,
        instant::is_date_time,
        key::{self, Extent, KeyRef, KeyValue, Operand},
        order::{Kind, Nulls, Order, SortKey},
        position::Anchor,
        unsorted::{Cause, Unsorted},
    },
};

/// Describes an item that comes before its predecessor by the declared order.
pub(in crate::pagination) fn contradiction(answer: &Answer, order: &Order, place: usize) -> Unsorted {
    let number = place + 1;
    let said = |by: &str| format!("item {number} of an answer comes before the one it follows, by {by}");
    match deciding(answer, order, place) {
        Some((column, key))
            if matches!(key.kind, Kind::Inferred | Kind::Text) && is_text(answer, order, place, column) =>
        {
            let (name, is_id) = (&key.name, column == order.strong.len());
            let cause = match (&key.kind, is_id) {
                (_, true) if holds_digits(answer, order, column) => Cause::Digits,
                (Kind::Inferred, false) => Cause::Text,
                _ => Cause::Order,
            };
            cause.said(format!("{}: {}", said(name), text_help(answer, order, column, is_id)))
        }
        _ => {
            let names: Vec<&str> = order.strong.iter().chain([&order.id]).map(|key| key.name.as_str()).collect();
            Cause::Order.said(said(&names.join(", ")))
        }
    }
}

/// Describes a contradiction between answers, each of which is in order by itself. `anchors` are items of the answers.
pub(in crate::pagination) fn contradictory_answers<'a>(
    order: &Order,
    anchors: impl IntoIterator<Item = &'a Anchor>,
    said: String,
) -> Unsorted {
    let is_text = |(key, kept): (&SortKey, &KeyValue)| {
        key.kind == Kind::Inferred && matches!(kept, KeyValue::Text(text) if !is_date_time(text))
    };
    let holds_texts = anchors.into_iter().any(|anchor| order.strong.iter().zip(&anchor.keys).any(is_text));
    if holds_texts { Cause::Text.said(said) } else { Cause::Order.said(said) }
}

/// Describes items with equal keys that aren't sorted by id, by the numbers of the first and the last of these items.
pub(in crate::pagination) fn disordered_ties(answer: &Answer, order: &Order, first: usize, last: usize) -> Unsorted {
    let (first, last, name) = (first + 1, last + 1, &order.id.name);
    let said = format!("items {first} to {last} of an answer have equal keys and are not in the order of {name}");
    if matches!(order.id.kind, Kind::Inferred | Kind::Text) && holds_digits(answer, order, order.strong.len()) {
        let help = format!("set fields.{name}.type = \"number-in-string\", or else ties = \"unordered\"");
        return Cause::Digits.said(format!("{said}; {name} is digits in quotes in every item: {help}"));
    }
    Cause::Ties.said(format!("{said}: set ties = \"unordered\""))
}

/// Describes an id that one answer contains twice.
pub(in crate::pagination) fn twice(place: usize) -> Unsorted {
    Cause::Twice.said(format!("the id of item {} is repeated in one answer", place + 1))
}

/// Describes an id that two answers contain at different places, although the list hasn't changed between them.
pub(in crate::pagination) fn at_two_places() -> Unsorted {
    Cause::Twice
        .said("an id is at the end of two answers to different places: the upstream adds items to pages".to_owned())
}

/// Describes items whose keys can't be compared with the keys in a cursor.
pub(in crate::pagination) fn strange_anchor(answer: &Answer, order: &Order, anchor: &Anchor) -> Unsorted {
    let columns = order.strong.iter().zip(&anchor.keys).enumerate();
    let mut inferred =
        columns.filter(|(_, (key, kept))| key.kind == Kind::Inferred && matches!(kept, KeyValue::Text(_)));
    let holds_texts = |column: usize| {
        let mut values = answer.keys.iter().skip(column).step_by(order.columns());
        values.any(|span| span.of(&answer.body).first() == Some(&b'"'))
    };
    if let Some((_, (key, _))) = inferred.find(|(column, _)| holds_texts(*column)) {
        let name = &key.name;
        return Cause::Text.said(format!(
            "{name} is a date and time in some items, and another string in others: set fields.{name}.type = \"string\""
        ));
    }
    Cause::Kind.said("the items can't be compared with the item that the cursor names: its keys are of another type")
}

/// Describes why an item can't be compared with the one before it: by the first key of the two that is missing or null,
/// otherwise by the types of their keys.
pub(in crate::pagination) fn incomparable(answer: &Answer, order: &Order, place: usize) -> Unsorted {
    let ids = order.strong.len();
    for item in [place.saturating_sub(1), place] {
        for (column, (key, span)) in order.strong.iter().chain([&order.id]).zip(row(answer, order, item)).enumerate() {
            let (name, number) = (&key.name, item + 1);
            if span.is_absent() {
                return absent(answer, item, name, column == ids);
            }
            if span.of(&answer.body) == b"null" && column == ids {
                return Cause::NoId.said(format!("{name} is null in item {number} of an answer"));
            }
            // A null with a declared place can be compared, so it isn't the fault. Test:
            // `nulls_with_a_declared_place_are_not_reported_as_the_fault`.
            if span.of(&answer.body) == b"null" && matches!(key.nulls, Nulls::Unsaid | Nulls::None) {
                return Cause::Null.said(format!(
                    "{name} is null in item {number} of an answer, and the order of nulls is not declared: set \
                     fields.{name}.nulls"
                ));
            }
        }
    }
    if let Some(mixed) = mixed_texts(answer, order, place) {
        return mixed;
    }
    // In a list that is sorted by id, an id comes twice in a row.
    if place > 0 && answer.identity(order, place - 1) == answer.identity(order, place) {
        return twice(place);
    }
    let items = match place {
        0 => "item 1 of an answer has a key that can't be compared".to_owned(),
        _ => format!("items {place} and {} of an answer have keys that can't be compared", place + 1),
    };
    Cause::Kind.said(format!("{items}: declare the type by fields.NAME.type"))
}

/// Describes the first key of an item that no cursor can hold.
pub(in crate::pagination) fn unkept(answer: &Answer, order: &Order, item: usize) -> Unsorted {
    let number = item + 1;
    let keys = order.strong.iter().map(|key| (key, false)).chain([(&order.id, true)]);
    for ((key, is_id), span) in keys.zip(row(answer, order, item)) {
        let (name, raw) = (&key.name, span.of(&answer.body));
        let kept = if is_id { KeyValue::of_id(raw) } else { KeyValue::of_strong(&key.kind, raw) };
        if kept.is_none() {
            let (cause, said) = match raw {
                [] => return absent(answer, item, name, is_id),
                b"null" if is_id => (Cause::NoId, "is null"),
                b"null" => (Cause::Null, "is null"),
                _ if is_id => (Cause::NoId, "is not a string or number that a cursor can hold"),
                _ => (Cause::Kind, "is not a string or number that a cursor can hold"),
            };
            return cause.said(format!("{name} {said} in item {number} of an answer"));
        }
    }
    Cause::Kind.said(format!("item {number} of an answer can't be named in a cursor"))
}

/// Describes a member that an item lacks, or that the item can't have because it isn't an object.
fn absent(answer: &Answer, item: usize, name: &str, is_id: bool) -> Unsorted {
    let number = item + 1;
    let what = match answer.items.get(item).map(|span| span.of(&answer.body)) {
        Some([b'[', ..]) => Some("an array"),
        Some([b'{', ..]) | None => None,
        Some(_) => Some("not an object"),
    };
    match what {
        Some(what) => {
            let help = "the order needs items with members; without `order` their bytes tell them apart";
            Cause::NoObject.said(format!("item {number} of an answer is {what}, and so has no {name}: {help}"))
        }
        None if is_id => {
            let help = "set its place by `id`, or leave `order` out: then the items' bytes tell them apart";
            Cause::NoId.said(format!("item {number} of an answer has no {name}, by which items are told apart: {help}"))
        }
        None => {
            let help = format!("set its place by fields.{name}.at");
            Cause::NoKey.said(format!("item {number} of an answer has no {name}, which the order names: {help}"))
        }
    }
}

/// Describes the first strings without a declared type that aren't sorted by their bytes, or can't be compared; `None`
/// if there are no such strings.
pub(in crate::pagination) fn disordered_texts(answer: &Answer, order: &Order) -> Option<Unsorted> {
    let fault = |place: usize| match follow(answer, order, place - 1, place) {
        Some(NextItem::Earlier) => Some(contradiction(answer, order, place)),
        None => mixed_texts(answer, order, place),
        Some(NextItem::Tied | NextItem::Later | NextItem::Apart) => None,
    };
    let mut places = 1..answer.items.len();
    places.find_map(|place| fault(place).filter(|unsorted| unsorted.cause == Cause::Text))
}

/// Returns whether a raw value is a string other than a date-time.
pub(in crate::pagination) fn is_plain_text(raw: &[u8]) -> bool {
    matches!(KeyRef::of_strong(&Kind::Inferred, raw), Some(KeyRef::Text(text)) if !is_date_time(&text))
}

/// Describes two strings of a field without a declared type, of which only one is a date-time, so they can be compared
/// neither as instants nor as strings. `None` if no field of the two items has such strings.
fn mixed_texts(answer: &Answer, order: &Order, place: usize) -> Option<Unsorted> {
    let before = place.checked_sub(1)?;
    let columns = order.strong.iter().zip(row(answer, order, before)).zip(row(answer, order, place));
    let [left, right] = [before + 1, place + 1];
    columns.filter(|((key, _), _)| key.kind == Kind::Inferred).find_map(|((key, one), other)| {
        let texts = [one, other].map(|span| KeyRef::of_strong(&key.kind, span.of(&answer.body)));
        let [Some(KeyRef::Text(one)), Some(KeyRef::Text(other))] = texts else { return None };
        let name = &key.name;
        let said = format!(
            "{name} is a date and time in one of the items {left} and {right} of an answer, and another string in the \
             other: set fields.{name}.type = \"string\""
        );
        (is_date_time(&one) != is_date_time(&other)).then(|| Cause::Text.said(said))
    })
}

/// Returns the first key by which an item comes before its predecessor, with the key's column; `None` if there is none.
fn deciding<'a>(answer: &Answer, order: &'a Order, place: usize) -> Option<(usize, &'a SortKey)> {
    let before = row(answer, order, place.checked_sub(1)?);
    let keys = order.strong.iter().chain([&order.id]).enumerate();
    let mut columns = keys.zip(before.iter().zip(row(answer, order, place)));
    let is_deciding = |((column, key), (left, right)): &((usize, &SortKey), (&Span, &Span))| {
        let extent = if *column == order.strong.len() { Extent::Whole } else { Extent::Kept };
        let [left, right] = [left, right].map(|span| Operand::Raw(span.of(&answer.body)));
        key::compare(key, extent, left, right) == Some(Ordering::Greater)
    };
    columns.find(is_deciding).map(|(column, _)| column)
}

/// Returns the advice for strings that aren't sorted by their bytes.
fn text_help(answer: &Answer, order: &Order, column: usize, is_id: bool) -> String {
    let name = if is_id { &order.id.name } else { &order.strong[column].name };
    if holds_digits(answer, order, column) {
        return format!(
            "{name} is digits in quotes in every item, and if the upstream sorts it as a number, set \
             fields.{name}.type = \"number-in-string\""
        );
    }
    if is_id {
        return format!("compared byte by byte; if the upstream sorts {name} in another way, leave `order` out");
    }
    format!(
        "compared byte by byte; if the upstream sorts it without regard to case or by a language, set \
         fields.{name}.collation; if by a list of words, type = \"rank\"; if in a way of its own, type = \"opaque\""
    )
}

/// Returns whether a key of an item is a string; for a strong key, one other than a date-time.
fn is_text(answer: &Answer, order: &Order, item: usize, column: usize) -> bool {
    let raw = row(answer, order, item).get(column).map_or(&b""[..], |span| span.of(&answer.body));
    if column < order.strong.len() { is_plain_text(raw) } else { raw.first() == Some(&b'"') }
}

/// Returns whether a key is a string of only digits in all items, as is common for ids that are stored as numbers.
fn holds_digits(answer: &Answer, order: &Order, column: usize) -> bool {
    let columns = order.columns();
    let mut values = answer.keys.iter().skip(column).step_by(columns).map(|span| span.of(&answer.body));
    values.all(|raw| match raw {
        [b'"', digits @ .., b'"'] => {
            let digits = digits.strip_prefix(b"-").unwrap_or(digits);
            !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pagination::order::Ties;

    /// The first item has a null rank, and the scores have two types. Only a null without a declared place is reported.
    #[test]
    fn nulls_with_a_declared_place_are_not_reported_as_the_fault() {
        let raw = ["null", "1", "7", "2", "\"x\"", "8"];
        let ends = raw.iter().scan(0, |end, text| {
            *end += u32::try_from(text.len()).unwrap();
            Some(*end)
        });
        let keys: Vec<Span> =
            ends.zip(raw).map(|(end, text)| Span { start: end - u32::try_from(text.len()).unwrap(), end }).collect();
        let items = keys.chunks(3).map(|row| Span { start: row[0].start, end: row[2].end }).collect();
        let answer = Answer::listed(raw.concat().into_bytes(), items, keys);
        for (nulls, cause) in [(Nulls::Unsaid, Cause::Null), (Nulls::None, Cause::Null), (Nulls::Last, Cause::Kind)] {
            let rank = SortKey { nulls, ..SortKey::ascending("rank") };
            let strong = vec![rank, SortKey::ascending("score")];
            let order = Order::declared(strong, SortKey::ascending("id"), Ties::Ordered);
            let said = incomparable(&answer, &order, 1);
            assert_eq!(said.cause, cause, "{nulls:?}: {}", said.said);
        }
    }
}
