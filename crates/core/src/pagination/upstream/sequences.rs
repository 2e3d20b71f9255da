//! The sequences in which the answers of a page show its items, for orders that keys alone don't determine.
//!
//! Opaque values are in whatever order an answer shows. Two answers may show the same items in two sequences, because a
//! first page pins some items, or because replicas differ. No key contradicts either sequence.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use crate::pagination::{
    answer::Answer,
    fetch::Fetch,
    order::{Kind, Order, Ties},
    page::{ItemPlace, Page},
    position::{Position, Target},
    rows,
};

/// The items of each answer, in the direction of the list.
#[derive(Debug)]
pub(in crate::pagination) struct ShownSequences {
    order: Arc<Order>,
    position: Position,
    answers: Vec<Vec<ShownItem>>,
}

/// An item in the form by which sequences are compared.
#[derive(Clone, Copy, Debug)]
enum ShownItem {
    /// The item that the cursor names, with the keys that it had.
    Anchor,
    /// Another item, as the hash of its id.
    Other(u64),
}

impl ShownSequences {
    /// Returns an empty set of sequences for a page at a target; `None` if keys determine the order, or if ties come in
    /// any order.
    pub(in crate::pagination) fn of(order: &Arc<Order>, target: &Target) -> Option<Self> {
        let is_told_by_answers = order.strong.iter().any(|key| key.kind == Kind::Opaque) && order.ties == Ties::Ordered;
        let none = || Self { order: Arc::clone(order), position: target.position.clone(), answers: Vec::new() };
        is_told_by_answers.then(none)
    }

    pub(super) fn note(&mut self, fetch: &Fetch, answer: &Answer) {
        let Fetch::Slice(_, listing) = fetch else { return };
        // A run that is requested in the order of its ids has another sequence than in the list, so its answers aren't
        // compared.
        if listing.by_id {
            return;
        }
        let mut shown: Vec<ShownItem> = (0..answer.items.len()).filter_map(|item| self.shown(answer, item)).collect();
        if listing.flipped {
            shown.reverse();
        }
        self.answers.push(shown);
    }

    /// Returns whether an answer shows two items of the page in the opposite order, or shows one of them on the wrong
    /// side of the item that the cursor names: `regressions/two-sequences-of-an-opaque-order.txt` and
    /// `regressions/an-item-before-its-opaque-anchor.txt`.
    pub(in crate::pagination) fn are_reversed_on(&self, page: &Page) -> bool {
        if self.answers.len() < 2 {
            // A page of one answer has that answer's sequence, so nothing can be reversed.
            return false;
        }
        let id = |at: &ItemPlace| self.id(page.answers.get(at.answer as usize)?, at.item as usize);
        let places: HashMap<u64, usize> =
            page.items.iter().enumerate().filter_map(|(place, at)| Some((id(at)?, place + 1))).collect();
        let beside = if self.position.is_backward() { page.items.len() + 1 } else { 0 };
        let place = |shown: &ShownItem| match shown {
            ShownItem::Anchor => Some(beside),
            ShownItem::Other(id) => places.get(id).copied(),
        };
        self.answers.iter().any(|shown| !shown.iter().filter_map(place).is_sorted())
    }

    fn shown(&self, answer: &Answer, item: usize) -> Option<ShownItem> {
        let is_anchor = match &self.position {
            Position::After(anchor) | Position::Before(anchor) => {
                rows::relate(answer, &self.order, item, anchor).is_some_and(|relation| relation.whole.is_eq())
            }
            _ => false,
        };
        if is_anchor { Some(ShownItem::Anchor) } else { self.id(answer, item).map(ShownItem::Other) }
    }

    fn id(&self, answer: &Answer, item: usize) -> Option<u64> {
        let mut hasher = DefaultHasher::new();
        answer.identity(&self.order, item)?.hash(&mut hasher);
        Some(hasher.finish())
    }
}
