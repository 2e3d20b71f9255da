//! The sequences in which the answers of a page show its items, where keys alone can't tell their order.
//!
//! Values that can only be told apart are in whatever order an answer shows. Two answers may show the same items in two
//! sequences: a first page that pins some items, or replicas that differ. No key contradicts either of them.

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
};

/// The hashes of the ids of each answer, in the direction of the list.
#[derive(Debug)]
pub(in crate::pagination) struct ShownSequences {
    order: Arc<Order>,
    answers: Vec<Vec<u64>>,
}

impl ShownSequences {
    /// Returns the sequences of a page, none yet; `None` where keys tell the order, or where ties come in any sequence.
    pub(in crate::pagination) fn of(order: &Arc<Order>) -> Option<Self> {
        let is_told_by_answers = order.strong.iter().any(|key| key.kind == Kind::Opaque) && order.ties == Ties::Ordered;
        is_told_by_answers.then(|| Self { order: Arc::clone(order), answers: Vec::new() })
    }

    pub(super) fn note(&mut self, fetch: &Fetch, answer: &Answer) {
        let Fetch::Slice(_, listing) = fetch else { return };
        if listing.by_id {
            return;
        }
        let mut ids: Vec<u64> = (0..answer.items.len()).filter_map(|item| self.id(answer, item)).collect();
        if listing.flipped {
            ids.reverse();
        }
        self.answers.push(ids);
    }

    /// Returns whether an answer shows two items of a page the other way round:
    /// `regressions/two-sequences-of-an-opaque-order.txt`.
    pub(in crate::pagination) fn are_reversed_on(&self, page: &Page) -> bool {
        if self.answers.len() < 2 {
            // A page of one answer has its sequence.
            return false;
        }
        let id = |at: &ItemPlace| self.id(page.answers.get(at.answer as usize)?, at.item as usize);
        let places: HashMap<u64, usize> =
            page.items.iter().enumerate().filter_map(|(place, at)| Some((id(at)?, place))).collect();
        self.answers.iter().any(|ids| !ids.iter().filter_map(|id| places.get(id)).is_sorted())
    }

    fn id(&self, answer: &Answer, item: usize) -> Option<u64> {
        let mut hasher = DefaultHasher::new();
        answer.identity(&self.order, item)?.hash(&mut hasher);
        Some(hasher.finish())
    }
}
