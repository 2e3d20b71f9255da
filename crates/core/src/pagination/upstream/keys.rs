//! The check of the keys in the answers to slices: keys that a client's own parameters removed, and strings without a
//! declared type that aren't sorted by their bytes.

use std::sync::Arc;

use crate::{
    json::Span,
    pagination::{
        answer::Answer,
        fetch::Fetch,
        order::{Kind, Order, SortKey},
        rows,
        unsorted::Unsorted,
    },
};

/// A watch over the answers of a page that is read by its keys.
#[derive(Debug)]
pub(in crate::pagination) struct KeyWatch {
    /// The order of the list.
    pub(in crate::pagination) order: Arc<Order>,
    /// True if a client's own parameters may leave keys out of the items.
    pub(in crate::pagination) may_project: bool,
}

impl KeyWatch {
    /// Returns the reason why the order can't be used with an answer; `None` if it can, or if the answer isn't a
    /// slice's.
    pub(super) fn fault(&self, fetch: &Fetch, answer: &Answer) -> Option<Unsorted> {
        let Self { order, may_project } = self;
        let Fetch::Slice(_, listing) = fetch else { return None };
        debug_assert_eq!(answer.keys.len(), answer.items.len() * order.columns(), "each item has a row of keys");
        let first = answer.keys.get(..order.columns())?;
        let is_hidden =
            |column: usize| answer.keys.iter().skip(column).step_by(first.len()).all(|span| span.is_absent());
        if *may_project && first.iter().enumerate().any(|(column, span)| span.is_absent() && is_hidden(column)) {
            return Some(rows::unkept(answer, order, 0));
        }
        let is_text = |(span, key): (&Span, &SortKey)| {
            // Date-times compare as instants, and their order is checked with that of all other keys.
            key.kind == Kind::Inferred && rows::is_plain_text(span.of(&answer.body))
        };
        if listing.by_id || !first.iter().zip(&order.strong).any(is_text) {
            return None;
        }
        // Measured by the list's own order, a sorted answer of the flipped list would be out of order, so the flipped
        // order is used. Test: `filters_that_the_kind_of_a_key_cannot_support_are_not_requested`.
        if listing.flipped {
            return rows::disordered_texts(answer, &order.flipped());
        }
        rows::disordered_texts(answer, order)
    }
}
