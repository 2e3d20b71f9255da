//! The response of an upstream after its dialect has read it: the facts that the core needs.

use super::{fetch::Token, key::KeyValue, window::Slice};
use crate::json::Span;

/// The size of the collection, as an answer states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Total {
    /// The number of items.
    pub value: u64,
    /// True if the number is exact. Otherwise it is a lower bound.
    pub exact: bool,
}

/// The kind of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// A list, possibly empty. The answer to a [`super::fetch::Fetch::Item`] lists a single item.
    #[default]
    Listed,
    /// The upstream's answer to a place after the end of a list, such as a 404 "Invalid page." or a 416. It helps to
    /// aim and never proves an end.
    PastEnd,
    /// The upstream refused a slice that only was to show whether more items follow ([`super::fetch::Listing`]). The
    /// refusal says nothing about the list: the place may be deeper than the upstream answers.
    Refused,
    /// The token or the item that the fetch names no longer exists.
    Gone,
    /// No request was sent, because the dialect can't write a key of the fetch's filter. The page is then read without
    /// filters.
    Unaskable,
    /// No request was sent, because these strong keys of the item are already known. Only a
    /// [`super::fetch::Fetch::Item`] gets this answer.
    Known(Vec<KeyValue>),
}

/// A response of an upstream after its dialect has read it.
///
/// [`Answer::listed`] sets the body with the ranges of its items and keys. All other facts are optional and can be set
/// afterwards.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub(super) body: Vec<u8>,
    pub(super) items: Vec<Span>,
    /// The ranges of the keys: a row of [`super::order::Order::columns`] for each item.
    pub(super) keys: Vec<Span>,
    /// The number of answers that the page received before this one; 0 if the page isn't read by keys.
    pub(super) number: u32,
    /// The kind of the answer.
    pub standing: Standing,
    /// The size of the collection; `None` if the answer doesn't state it.
    pub total: Option<Total>,
    /// The answer's own statement whether more items follow; `None` without a statement. In a list by token, a missing
    /// token isn't such a statement.
    pub more: Option<bool>,
    /// The offset at which the answer begins; `None` if the answer doesn't state it.
    pub offset: Option<u64>,
    /// The number of the page, counted from 0; `None` if the answer doesn't state it.
    pub page: Option<u64>,
    /// The page size that was used; `None` if the answer doesn't state it.
    pub size: Option<u32>,
    /// The token of the next upstream page; `None` if the answer has none. An answer which states that no item follows
    /// keeps its token, because a token that leads on refutes the statement. An answer that repeats the fetch's own
    /// token has no token here, if the dialect takes that for the end.
    pub next: Option<Token>,
    /// The token of the previous upstream page; `None` if the answer has none.
    pub previous: Option<Token>,
    /// For each item, the range of the raw JSON value that continues the list after that item. Empty unless the dialect
    /// pages by item.
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
            "{} keys are not whole rows of {} items",
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

    /// Makes an answer of the kind `standing` without items.
    #[must_use]
    pub fn without_items(standing: Standing) -> Self {
        Self { standing, ..Self::default() }
    }

    /// Makes the answer to a [`super::fetch::Fetch::Count`]: it has no items, and at most a total.
    #[must_use]
    pub fn counted(total: Option<Total>) -> Self {
        Self { total, ..Self::default() }
    }

    /// Returns whether this answer to `slice` begins the list: the slice is at the start, and the answer doesn't state
    /// that it begins elsewhere.
    pub(super) fn begins_list(&self, slice: Slice) -> bool {
        slice.begins().0 == 0 && self.offset.unwrap_or(0) == 0 && self.page.unwrap_or(0) == 0
    }

    /// Returns the strong keys that are known without a request ([`Standing::Known`]); `None` for any other kind of
    /// answer.
    pub(super) fn known(&self) -> Option<Vec<KeyValue>> {
        match &self.standing {
            Standing::Known(keys) => Some(keys.clone()),
            _ => None,
        }
    }

    /// Returns the body as it was received, with its content coding decoded.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Returns the number of bytes of memory that the body occupies.
    #[must_use]
    pub fn body_capacity(&self) -> usize {
        self.body.capacity()
    }

    /// Returns the body and drops all other facts of the answer.
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

    /// Returns the raw id of the item at `index`, which is the last value of its row. Empty if the id or the item is
    /// missing.
    #[must_use]
    pub fn id(&self, index: usize) -> &[u8] {
        self.row(index).and_then(|row| row.last()).map_or(&[], |span| span.of(&self.body))
    }

    /// Appends the items of a later answer. The later answer's `more` replaces this answer's, and so does its total if
    /// it states one. The other facts stay unchanged.
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
