//! The check of a short answer: its edge, asked for again, and a request beyond it show whether it ends the list.

use std::cmp::Ordering;

use super::{
    end::Witness,
    evidence::{Evidence, loose},
    ledger::Ledger,
};
use crate::pagination::{
    answer::Answer, order::Order, paging::Paging, position::Anchor, rows, unsorted::Unsorted, window::Slice,
};

/// The result of a confirmation.
#[derive(Debug)]
pub(in crate::pagination) enum Confirmed {
    /// The edge, which ends the list or does not.
    Edge(Result<Box<Evidence>, Unsorted>),
    /// The edge ends the list, and yet an item comes from beyond it: items are hidden in between, the list has changed,
    /// or under a silent cap a page is another page, of another size. With the first such item, if its keys can be
    /// kept.
    MoreBeyond(Option<Anchor>),
    /// The list ends before the last item that came: it has changed, or its places count items that are hidden.
    Before,
}

/// The list that evidence is of.
#[derive(Clone, Copy, Debug)]
pub(in crate::pagination) struct ListTerms<'a> {
    pub(in crate::pagination) order: &'a Order,
    /// The requests that its upstream accepts.
    pub(in crate::pagination) paging: &'a Paging,
    /// Answers are taken as they came, by offset alone.
    pub(in crate::pagination) unchecked: bool,
}

impl Evidence {
    /// Makes evidence of an answer.
    ///
    /// # Errors
    ///
    /// [`Unsorted`] where the items contradict the order, lack its keys, or hold an id twice.
    pub(in crate::pagination) fn of(
        slice: Slice,
        answer: Answer,
        terms: ListTerms<'_>,
        ledger: &Ledger,
    ) -> Result<Self, Unsorted> {
        Self::witnessed(slice, answer, terms, ledger, Witness::None)
    }

    /// Makes evidence of an answer of the flipped list, which is expected to have `total` items: the start of the
    /// flipped list is the end of the list, and the other way round.
    ///
    /// # Errors
    ///
    /// As [`Evidence::of`].
    pub(in crate::pagination) fn of_flipped(
        slice: Slice,
        answer: Answer,
        total: u64,
        terms: ListTerms<'_>,
        ledger: &Ledger,
    ) -> Result<Self, Unsorted> {
        match terms.unchecked {
            true => Self::of(slice, answer, terms, ledger),
            false => Self::flipped(answer, slice, terms.order, terms.paging, ledger.belief(Witness::None), total),
        }
    }

    fn witnessed(
        slice: Slice,
        answer: Answer,
        ListTerms { order, paging, unchecked }: ListTerms<'_>,
        ledger: &Ledger,
        witness: Witness,
    ) -> Result<Self, Unsorted> {
        match unchecked {
            true => Ok(Self::unchecked(answer, slice, paging, ledger.belief(witness))),
            false => Self::new(answer, slice, order, paging, ledger.belief(witness)),
        }
    }
}

/// Judges the answer from the edge of a short answer whose last item was `last` (`None`: it had no items, or its keys
/// can't be kept), and the answer from beyond all that had been asked for.
pub(in crate::pagination) fn confirm(
    (slice, edge): (Slice, Answer),
    beyond: Option<&Answer>,
    last: Option<&Anchor>,
    terms: ListTerms<'_>,
    ledger: &Ledger,
) -> Confirmed {
    let witness = match compared_with(&edge, last, terms.order) {
        // The list goes on: a cap, or a limit of bytes or time, made the answer short.
        Ordering::Greater => Witness::None,
        Ordering::Equal if beyond.is_some() => Witness::SameAndNothingBeyond,
        Ordering::Equal => Witness::Same,
        Ordering::Less => return Confirmed::Before,
    };
    let edge = Evidence::witnessed(slice, edge, terms, ledger, witness);
    match (&edge, beyond) {
        (Ok(view), Some(beyond)) if view.end.ends && shows_more(view, beyond, terms) => {
            Confirmed::MoreBeyond(beyond.anchor(terms.order, 0))
        }
        _ => Confirmed::Edge(edge.map(Box::new)),
    }
}

/// Compares the last item of an answer with the last one of the short answer; no item comes before any.
fn compared_with(edge: &Answer, last: Option<&Anchor>, order: &Order) -> Ordering {
    let items = 0..edge.items.len();
    match last {
        None if items.is_empty() => Ordering::Equal,
        None => Ordering::Greater,
        // Within a run of ties the sequence of an answer says nothing.
        Some(last) => items
            .map(|item| rows::relate(edge, order, item, last).map_or(Ordering::Greater, |relation| relation.whole))
            .max()
            .unwrap_or(Ordering::Less),
    }
}

/// Returns whether an answer holds an item that comes after the last one of a view. Where the last page comes again
/// past the end, its items do not.
fn shows_more(view: &Evidence, beyond: &Answer, ListTerms { order, unchecked, .. }: ListTerms<'_>) -> bool {
    let items = 0..beyond.items.len();
    if unchecked {
        return !beyond.items.is_empty();
    }
    let Some(last) = view.len().checked_sub(1).and_then(|place| view.anchor(order, place)) else {
        return !beyond.items.is_empty();
    };
    let stands = |item| rows::relate(beyond, order, item, &last);
    let holds_last = items.clone().any(|item| stands(item).is_some_and(|relation| relation.whole.is_eq()));
    items.clone().any(|item| match stands(item) {
        None => true,
        // A run of ties comes in any order: among items that were seen before, another item of the run proves nothing.
        Some(relation) if relation.strong.is_eq() && loose(order) => !holds_last,
        Some(relation) => relation.whole.is_gt(),
    })
}
