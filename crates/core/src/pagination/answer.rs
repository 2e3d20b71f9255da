//! A response of an upstream, as the dialect reads it: the facts that the core needs.

use super::{fetch::Token, key::KeyValue, window::Slice};
use crate::json::Span;

/// The size of the collection, as an answer states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Total {
    /// The number of items.
    pub value: u64,
    /// True if the number is exact; else it is a lower bound.
    pub exact: bool,
}

/// The kind of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// A list, possibly empty; to a [`super::fetch::Fetch::Item`] the one item.
    #[default]
    Listed,
    /// The dialect's answer past the end of a list (a 404 "Invalid page.", a 416). It helps to aim and never proves an
    /// end.
    PastEnd,
    /// The token or the item that the fetch names does not exist any more.
    Gone,
    /// The upstream was not asked: its dialect has no form for a key in the filter of the fetch. The page is read
    /// without filters.
    Unaskable,
    /// The upstream was not asked: these strong keys of the item are known by now. Only to a
    /// [`super::fetch::Fetch::Item`].
    Known(Vec<KeyValue>),
}

/// A response of an upstream after its dialect has read it.
///
/// The body with the ranges of its items and keys is set once, by [`Answer::listed`]; all other facts are optional and
/// can be set afterwards.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub(super) body: Vec<u8>,
    pub(super) items: Vec<Span>,
    /// The ranges of the keys: a row of [`super::order::Order::columns`] for each item.
    pub(super) keys: Vec<Span>,
    /// The kind of the answer.
    pub standing: Standing,
    /// The size of the collection.
    pub total: Option<Total>,
    /// The answer's own statement whether more items follow; `None` if it has none.
    pub more: Option<bool>,
    /// The offset at which the answer begins, as it states.
    pub offset: Option<u64>,
    /// The number of the page, counted from 0, as the answer states.
    pub page: Option<u64>,
    /// The page size that was used, as the answer states.
    pub size: Option<u32>,
    /// The token that leads on. `None` also if it is the token of the fetch itself and the dialect takes that for the
    /// end, or if the answer states that no item follows.
    pub next: Option<Token>,
    /// The token that leads back.
    pub previous: Option<Token>,
    /// For each item the raw JSON value that continues the list after it; empty unless the dialect pages by item.
    pub item_tokens: Vec<Span>,
}

impl Answer {
    /// Makes an answer with a list. `items` are the ranges of the items in `body`, in the upstream's order. `keys` has
    /// for each item the ranges of its strong keys and then of its id, row after row: raw JSON values, or
    /// [`Span::ABSENT`].
    #[must_use]
    pub fn listed(body: Vec<u8>, items: Vec<Span>, keys: Vec<Span>) -> Self {
        debug_assert!(
            if items.is_empty() { keys.is_empty() } else { keys.len().is_multiple_of(items.len()) },
            "{} keys are no whole rows of {} items",
            keys.len(),
            items.len()
        );
        debug_assert!(
            items.iter().chain(&keys).all(|span| span.start <= span.end && span.end as usize <= body.len()),
            "a range leaves the body of {} bytes",
            body.len()
        );
        Self { body, items, keys, ..Self::default() }
    }

    /// Makes an answer of this kind that has no items.
    #[must_use]
    pub fn without_items(standing: Standing) -> Self {
        Self { standing, ..Self::default() }
    }

    /// Makes the answer to a count.
    #[must_use]
    pub fn counted(total: Option<Total>) -> Self {
        Self { total, ..Self::default() }
    }

    /// Returns whether an answer to this slice begins the list: it was asked for from the start, and does not state
    /// that it begins elsewhere.
    pub(super) fn begins_list(&self, slice: Slice) -> bool {
        slice.begins().0 == 0 && self.offset.unwrap_or(0) == 0 && self.page.unwrap_or(0) == 0
    }

    /// Returns the keys that are known without a request ([`Standing::Known`]).
    pub(super) fn known(&self) -> Option<Vec<KeyValue>> {
        match &self.standing {
            Standing::Known(keys) => Some(keys.clone()),
            _ => None,
        }
    }

    /// Returns the body as it came, with its content coding decoded.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Returns the number of bytes of memory that the body occupies.
    #[must_use]
    pub fn body_capacity(&self) -> usize {
        self.body.capacity()
    }

    /// Returns the body, and drops the rest.
    #[must_use]
    pub fn into_body(self) -> Vec<u8> {
        self.body
    }

    /// Returns the ranges of the items, in the upstream's order.
    #[must_use]
    pub fn items(&self) -> &[Span] {
        &self.items
    }

    /// Returns the bytes of the item at `index`.
    #[must_use]
    pub fn item(&self, index: usize) -> &[u8] {
        self.items[index].of(&self.body)
    }

    /// Returns the ranges of the keys of the item at `index`: the strong keys, then the id. `None` if there is no such
    /// item.
    #[must_use]
    pub fn row(&self, index: usize) -> Option<&[Span]> {
        let columns = self.keys.len().checked_div(self.items.len())?;
        self.keys.get(index * columns..)?.get(..columns)
    }

    /// Returns the raw id of the item at `index`: the last value of its row, empty if it is missing.
    #[must_use]
    pub fn id(&self, index: usize) -> &[u8] {
        self.row(index).and_then(|row| row.last()).map_or(&[], |span| span.of(&self.body))
    }

    /// Appends the items of a later answer, and takes over its total, if it states one, and its statement whether more
    /// items follow. The other facts stay.
    pub(super) fn append(&mut self, later: Self) {
        let shift = u32::try_from(self.body.len()).unwrap_or(u32::MAX);
        let moved = |span: Span| match span.is_absent() {
            true => Span::ABSENT,
            false => Span { start: span.start.saturating_add(shift), end: span.end.saturating_add(shift) },
        };
        self.body.extend_from_slice(&later.body);
        self.items.extend(later.items.into_iter().map(moved));
        self.keys.extend(later.keys.into_iter().map(moved));
        self.total = later.total.or(self.total);
        self.more = later.more;
    }
}
