//! One upstream response, read: what the core needs to know of it, and nothing believed beyond that.

use super::{fetch::Token, key::KeyValue};
use crate::json::Span;

/// What an answer says about the size of the collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Total {
    /// How many items.
    pub value: u64,
    /// Exact, or a lower bound.
    pub exact: bool,
}

/// Whether the upstream gave a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// A list, possibly empty; of [`super::fetch::Fetch::Item`] the one item.
    #[default]
    Listed,
    /// The dialect's past-the-end answer (a 404 "Invalid page.", a 416): it says where to look, never that there is no more.
    PastEnd,
    /// What was asked for by name is no more: the token, or the item.
    Gone,
    /// The upstream was not asked: its dialect has no form for a key in the filter of the fetch. The page is read without
    /// filters.
    Unaskable,
    /// The upstream was not asked: these strong keys of the item are known by now. Only of
    /// [`super::fetch::Fetch::Item`].
    Known(Vec<KeyValue>),
}

/// One upstream response, read.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The body, decoded, as it came. Items and keys are ranges of it.
    pub body: Vec<u8>,
    /// The items in the upstream's order: what is served of each element.
    pub items: Vec<Span>,
    /// For each item [`super::order::Order::columns`] ranges, row after row: the strong keys, then the id, each the raw
    /// JSON value as it stands, or [`Span::ABSENT`].
    pub keys: Vec<Span>,
    /// Whether this is a list.
    pub standing: Standing,
    /// What it says about the size of the collection.
    pub total: Option<Total>,
    /// Whether it says that there is more behind it.
    pub more: Option<bool>,
    /// The offset at which it says it begins.
    pub offset: Option<u64>,
    /// The page it says it is, counted from 0.
    pub page: Option<u64>,
    /// The page size it says it used.
    pub size: Option<u32>,
    /// The token that leads on. What is the same token as was sent, where the dialect says that this is the end, and
    /// what an answer says beside "there is no more", is none.
    pub next: Option<Token>,
    /// The token that leads back.
    pub previous: Option<Token>,
    /// For each item what continues the list from it, as a raw JSON value; empty but where the dialect pages by item.
    pub item_tokens: Vec<Span>,
}

impl Answer {
    /// The bytes of the item at `index`.
    #[must_use]
    pub fn item(&self, index: usize) -> &[u8] {
        self.items[index].of(&self.body)
    }

    /// Puts the items of another answer behind those of this one; what the other says of itself counts.
    pub fn append(&mut self, later: Self) {
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
