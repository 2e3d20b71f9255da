//! The beginning of a list, as some upstreams give it again for places after the end.
//!
//! Such an answer shows no item of the place that was requested. It counts as a status past the end on three conditions:
//! its place is after the rows of the answer that begins the list, it has the item with which the list began before it,
//! and the list begins as the answer does after it.

use std::{
    borrow::Cow,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use crate::pagination::{
    answer::Answer,
    judge::evidence::loose,
    order::Order,
    rows::{self, NextItem},
    window::Slice,
};

/// The items with which a list begins.
#[derive(Debug)]
pub(super) struct Beginning {
    pub(super) slice: Slice,
    /// The number of rows that the answer may cover.
    rows: u64,
    order: Arc<Order>,
    /// The ids of the items, or the items themselves if they have no ids.
    items: Vec<Vec<u8>>,
    /// The digest of the first item; `None` without items.
    first: Option<u64>,
    /// True if all items are ties that come in any order.
    is_one_run: bool,
}

impl Beginning {
    pub(super) fn new(slice: Slice, answer: &Answer, rows: u64, order: Arc<Order>) -> Self {
        let items = (0..answer.items.len()).map(|item| named(answer, &order, item).into_owned()).collect();
        let is_tied = |item: usize| rows::follow(answer, &order, item - 1, item) == Some(NextItem::Tied);
        let is_one_run = loose(&order) && (1..answer.items.len()).all(is_tied);
        Self { slice, rows, first: first_of(answer), is_one_run, order, items }
    }

    /// Returns whether an answer to a slice after these items may give the first of them again, although the upstream
    /// has given other items for other places. The list may begin otherwise by now:
    /// `regressions/a-list-that-begins-again-and-changes.txt`, `…/a-beginning-that-changes-without-ids.txt`.
    pub(super) fn may_come_again(&self, slice: Slice, answer: &Answer, others: &FirstItems) -> bool {
        let is_after = slice.begins().0 >= self.rows;
        let is_first =
            |item: usize| self.items.first().is_some_and(|first| *named(answer, &self.order, item) == **first);
        // Ties in any order may come in every answer within their run. Regression:
        // `crates/sim/regressions/ties-that-begin-a-list.txt`.
        others.differ_from(self.first) && is_after && !self.is_one_run && (0..answer.items.len()).any(is_first)
    }

    /// Returns whether an answer begins with the first one of these items, or with all of them if they have no ids.
    pub(super) fn begins(&self, answer: &Answer) -> bool {
        let common = self.items.len().min(answer.items.len());
        let is_same = |item: usize| *named(answer, &self.order, item) == *self.items[item];
        if common > 0 && answer.identity(&self.order, 0).is_some() {
            return is_same(0);
        }
        // Items without ids may look the same at several places, but not all of several different ones.
        (0..common).all(is_same) && self.items[..common].iter().any(|item| *item != self.items[0])
    }
}

/// The first items of answers, by the digests of their ids or bytes.
#[derive(Debug, Default)]
pub(super) struct FirstItems {
    /// The first item of the newest answer from the start, and the number of rows that this answer may cover.
    of_the_list: Option<(u64, u64)>,
    /// The first item of the first answer from after the start.
    elsewhere: Option<u64>,
    /// True if answers from after the start begin with several items.
    differ: bool,
}

impl FirstItems {
    pub(super) fn note(&mut self, slice: Slice, answer: &Answer, rows: u64) {
        let Some(first) = first_of(answer) else { return };
        if slice.begins().0 == 0 {
            self.of_the_list = Some((first, rows));
        } else {
            self.differ |= *self.elsewhere.get_or_insert(first) != first;
        }
    }

    /// Returns whether an answer from after the start begins with another item than this first one.
    pub(super) fn differ_from(&self, first: Option<u64>) -> bool {
        self.differ || (self.elsewhere.is_some() && self.elsewhere != first)
    }

    /// Returns whether an answer to a slice after the list's first answer begins with the same item.
    pub(super) fn come_again(&self, slice: Slice, answer: &Answer) -> bool {
        self.of_the_list.is_some_and(|(first, rows)| slice.begins().0 >= rows && first_of(answer) == Some(first))
    }
}

/// Returns the digest of the first item's id, or of the item if it has no id; `None` without items.
pub(super) fn first_of(answer: &Answer) -> Option<u64> {
    let item = answer.items.first()?.of(&answer.body);
    let mut hasher = DefaultHasher::new();
    if answer.id(0).is_empty() { item } else { answer.id(0) }.hash(&mut hasher);
    Some(hasher.finish())
}

fn named<'a>(answer: &'a Answer, order: &Order, item: usize) -> Cow<'a, [u8]> {
    answer.identity(order, item).unwrap_or_else(|| answer.item(item).into())
}
