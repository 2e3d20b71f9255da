//! A check of answers that the core didn't request: answers to legacy requests. The declared order, ids, kinds and
//! sizes are compared with such an answer by the same checks as with an answer to the core.
//!
//! The result predicts whether the route could be served with cursors. Its text names places and fields, never values.

use std::{borrow::Cow, collections::HashSet};

use super::{
    answer::{Answer, Standing},
    judge::end::Belief,
    judge::evidence::Evidence,
    key::{self, KeyValue},
    order::{Nulls, Order},
    paging::Paging,
    rows,
    window::{Offset, PageSize, Slice},
};

/// The reason why the core couldn't use an answer. The text is for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerFault {
    /// An id is missing, is neither a string nor a number, or comes twice.
    Ids(String),
    /// A key can't be read or compared as it is declared.
    Kinds(String),
    /// The items contradict the declared order.
    Order(String),
    /// The answer has more items than were requested, or fewer although more items follow.
    Size(String),
}

/// The facts of a request by which its answer is judged.
#[derive(Clone, Copy, Debug)]
pub struct AskedFor {
    /// The expected offset of the first item.
    pub begins: Offset,
    /// The requested number of items. `None` if neither the request nor the dialect states it; the size isn't checked
    /// then.
    pub size: Option<PageSize>,
    /// True if the request named the declared order, or if that order is the upstream's default.
    pub in_order: bool,
}

/// Checks an answer against the declarations of its list. Answers that are not [`Standing::Listed`] pass.
///
/// # Errors
///
/// The first [`AnswerFault`] that is found. Ids are checked first, then kinds, the order and the size.
pub fn judge(answer: Answer, asked: AskedFor, order: &Order, paging: &Paging) -> Result<(), AnswerFault> {
    if answer.standing != Standing::Listed {
        return Ok(());
    }
    check_ids(&answer, order)?;
    let size = check_size(&answer, asked, paging);
    if order.declared {
        check_kinds(&answer, order)?;
    }
    // A legacy client may request another order, so only an answer in the declared order is compared with it. Test:
    // `an_order_that_was_not_requested_is_not_checked`.
    if order.places_items() && asked.in_order {
        let slice = Slice::Offset { from: asked.begins, size: asked.size.unwrap_or(PageSize(u32::MAX)) };
        let belief = Belief::default();
        Evidence::new(answer, slice, order, paging, belief).map_err(|unsorted| AnswerFault::Order(unsorted.said))?;
    }
    size
}

/// Checks the ids. In a declared order, every item has an id; otherwise, either all items have ids or no item has one.
/// No id comes twice.
fn check_ids(answer: &Answer, order: &Order) -> Result<(), AnswerFault> {
    let mut seen: HashSet<Cow<'_, [u8]>> = HashSet::with_capacity(answer.items.len());
    let id = |item: usize| {
        let span = rows::row(answer, order, item).last().copied().unwrap_or_default();
        span.of(&answer.body)
    };
    let count = answer.items.len();
    // Without a declared order, items without ids are recognised by their bytes. Test:
    // `items_without_an_order_are_checked_only_for_repeated_ids_or_bytes`.
    if !order.declared && (0..count).all(|item| matches!(id(item), b"" | b"null")) {
        return Ok(());
    }
    for item in 0..count {
        let number = item + 1;
        let raw = id(item);
        if KeyValue::of_id(raw).is_none() {
            let said = match raw {
                b"" => "has no id",
                b"null" => "has an id that is null",
                _ => "has an id that is neither a string nor a number",
            };
            return Err(AnswerFault::Ids(format!("item {number} of {count} {said}")));
        }
        if !seen.insert(key::identity(&order.id, raw)) {
            return Err(AnswerFault::Ids(format!("the id of item {number} of {count} is repeated in the answer")));
        }
    }
    Ok(())
}

/// Checks that each strong key can be read as its declared kind, and compared with the same key of the item before.
fn check_kinds(answer: &Answer, order: &Order) -> Result<(), AnswerFault> {
    let count = answer.items.len();
    for item in 0..count {
        for (key, span) in order.strong.iter().zip(rows::row(answer, order, item)) {
            let raw = span.of(&answer.body);
            let wrong = match raw {
                b"" => Some("is missing"),
                b"null" if matches!(key.nulls, Nulls::None | Nulls::Unsaid) => {
                    Some("is null, and the order of nulls is not declared: set fields.NAME.nulls")
                }
                b"null" => None,
                _ if KeyValue::of_strong(&key.kind, raw).is_none() => Some("is not a value that a cursor can hold"),
                _ => None,
            };
            if let Some(wrong) = wrong {
                return Err(AnswerFault::Kinds(format!("{} {wrong}, in item {} of {count}", key.name, item + 1)));
            }
        }
    }
    // A single item has no neighbour to be compared with, so its keys are checked by themselves. Test:
    // `a_single_item_is_checked_against_the_declared_kinds_of_its_keys`.
    if count == 1 {
        rows::check_alone(answer, order).map_err(|unsorted| AnswerFault::Kinds(unsorted.said))?;
    }
    for item in 1..count {
        if rows::follow(answer, order, item - 1, item).is_none() {
            return Err(AnswerFault::Kinds(rows::incomparable(answer, order, item).said));
        }
    }
    Ok(())
}

/// Checks the number of items. More items than requested show that the size is ignored; fewer items, although more
/// follow, show a silent cap.
fn check_size(answer: &Answer, asked: AskedFor, paging: &Paging) -> Result<(), AnswerFault> {
    let Some(PageSize(size)) = asked.size else { return Ok(()) };
    let count = answer.items.len() as u64;
    if count > u64::from(size) {
        return Err(AnswerFault::Size(format!("{count} items came where {size} were asked for")));
    }
    let reached = asked.begins.0.saturating_add(count);
    let counted = answer.total.is_some_and(|total| total.exact && total.value > reached);
    // Many counts include rows that no client sees, so the answer's own statement whether more items follow overrules a
    // count. Test: `a_size_that_is_ignored_or_capped_in_silence_is_seen`.
    let more = answer.more == Some(true) || (answer.more.is_none() && counted);
    if count < u64::from(size) && more && !paging.hidden {
        let help = "set size.default and size.max in the dialect as they are, or hidden where items are left out";
        return Err(AnswerFault::Size(format!(
            "{count} items came where {size} were asked for, and more follow: {help}"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        json::Span,
        pagination::{
            answer::Total,
            order::{Direction, Kind, SortKey, Ties},
            paging::{Family, Sizes},
        },
    };

    fn key(name: &str, kind: Kind) -> SortKey {
        SortKey { name: name.to_owned(), direction: Direction::Ascending, kind, nulls: Nulls::Unsaid, grain: None }
    }

    fn order() -> Order {
        let strong = vec![key("age", Kind::Inferred)];
        Order { strong, id: key("id", Kind::Inferred), ties: Ties::Unordered, declared: true }
    }

    /// Returns an answer with these rows of raw values: the age, if the order has that key, then the id. An empty
    /// string is a missing member.
    fn answer(rows: &[&[&str]]) -> Answer {
        let mut body = b" ".to_vec();
        let mut answer = Answer::default();
        for row in rows {
            let start = u32::try_from(body.len()).unwrap();
            for value in *row {
                let start = u32::try_from(body.len()).unwrap();
                body.extend_from_slice(value.as_bytes());
                let end = u32::try_from(body.len()).unwrap();
                answer.keys.push(if start == end { Span::ABSENT } else { Span { start, end } });
            }
            answer.items.push(Span { start, end: u32::try_from(body.len()).unwrap() });
        }
        answer.body = body;
        answer
    }

    fn judged(answer: Answer, order: &Order, size: Option<u32>) -> Result<(), AnswerFault> {
        let paging = Paging::new(Family::Offset, Sizes::Free { least: 1, most: None });
        let asked = AskedFor { begins: Offset(0), size: size.map(PageSize), in_order: true };
        judge(answer, asked, order, &paging)
    }

    #[test]
    fn the_first_fault_of_an_answer_is_named_by_its_cause() {
        type Case<'a> = (&'a [&'a [&'a str]], Option<&'a str>);
        let cases: [Case<'_>; 10] = [
            (&[&["1", "7"], &["1", "3"], &["2", "1"]], None),
            (&[], None),
            (&[&["1", "7"]], None),
            (&[&["1", "7"], &["2", ""]], Some("ids: item 2 of 2 has no id")),
            (&[&["1", "7"], &["2", "{}"]], Some("ids: item 2 of 2 has an id that is neither a string nor a number")),
            (&[&["1", "7"], &["2", "7.0"]], Some("ids: the id of item 2 of 2 is repeated in the answer")),
            (&[&["1", "7"], &["", "8"]], Some("kinds: age is missing, in item 2 of 2")),
            (
                &[&["1", "7"], &["\"x\"", "8"]],
                Some(
                    "kinds: items 1 and 2 of an answer have keys that can't be compared: declare the type by fields.NAME.type",
                ),
            ),
            (&[&["[1]", "7"]], Some("kinds: age is not a value that a cursor can hold, in item 1 of 1")),
            (
                &[&["2", "7"], &["1", "8"]],
                Some("order: item 2 of an answer comes before the one it follows, by age, id"),
            ),
        ];
        for (rows, expected) in cases {
            let said = match judged(answer(rows), &order(), None) {
                Ok(()) => None,
                Err(AnswerFault::Ids(text)) => Some(format!("ids: {text}")),
                Err(AnswerFault::Kinds(text)) => Some(format!("kinds: {text}")),
                Err(AnswerFault::Order(text)) => Some(format!("order: {text}")),
                Err(AnswerFault::Size(text)) => Some(format!("size: {text}")),
            };
            assert_eq!(said.as_deref(), expected, "{rows:?}");
        }
    }

    #[test]
    fn a_single_item_is_checked_against_the_declared_kinds_of_its_keys() {
        let mut order = order();
        assert_eq!(judged(answer(&[&["\"x\"", "8"]]), &order, None), Ok(()));
        order.strong[0].kind = Kind::Number;
        assert!(matches!(judged(answer(&[&["\"x\"", "8"]]), &order, None), Err(AnswerFault::Kinds(_))));
        order.id.kind = Kind::Number;
        assert!(matches!(judged(answer(&[&["1", "\"x\""]]), &order, None), Err(AnswerFault::Kinds(_))));
        assert_eq!(judged(answer(&[&["1", "8"]]), &order, None), Ok(()));
    }

    #[test]
    fn items_without_an_order_are_checked_only_for_repeated_ids_or_bytes() {
        let loose = Order { strong: Vec::new(), declared: false, ..order() };
        assert_eq!(judged(answer(&[&["3"], &["1"]]), &loose, None), Ok(()));
        assert_eq!(judged(answer(&[&[""], &["null"]]), &loose, None), Ok(()));
        assert!(matches!(judged(answer(&[&[""], &["1"]]), &loose, None), Err(AnswerFault::Ids(_))));
        assert!(matches!(judged(answer(&[&["1"], &["1"]]), &loose, None), Err(AnswerFault::Ids(_))));
    }

    #[test]
    fn an_order_that_was_not_requested_is_not_checked() {
        let paging = Paging::new(Family::Offset, Sizes::Free { least: 1, most: None });
        let asked = AskedFor { begins: Offset(0), size: None, in_order: false };
        assert_eq!(judge(answer(&[&["2", "7"], &["1", "8"]]), asked, &order(), &paging), Ok(()));
        assert!(matches!(
            judge(answer(&[&["2", "7"], &["", "8"]]), asked, &order(), &paging),
            Err(AnswerFault::Kinds(_))
        ));
    }

    #[test]
    fn a_size_that_is_ignored_or_capped_in_silence_is_seen() {
        let rows: [&[&str]; 2] = [&["1", "1"], &["2", "2"]];
        let with = |more: Option<bool>, total: Option<u64>| Answer {
            more,
            total: total.map(|value| Total { value, exact: true }),
            ..answer(&rows)
        };
        for (size, more, total, is_good) in [
            (2, None, None, true),
            (1, None, None, false),
            (5, None, None, true),
            (5, Some(true), None, false),
            (5, None, Some(9), false),
            (5, None, Some(2), true),
            (5, Some(false), Some(9), true),
        ] {
            let judged = judged(with(more, total), &order(), Some(size));
            assert_eq!(judged.is_ok(), is_good, "{size} {more:?} {total:?}: {judged:?}");
        }
    }
}
