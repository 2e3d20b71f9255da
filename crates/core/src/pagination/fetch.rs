//! The requests to an upstream, before the dialect writes them.

use std::sync::Arc;

use super::{
    filter::Filter,
    key::KeyValue,
    window::{PageSize, Slice},
};

/// A request to an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetch {
    /// Neighbouring items of the list, by their place in it.
    Slice(Slice, Listing),
    /// The items that a token leads to.
    Token(TokenFetch),
    /// The resource of the item with this id, for its keys as they are now.
    Item(KeyValue),
    /// The number of items of the list.
    Count,
}

/// The form of the list that a slice is cut from; the default is the list as it is declared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The filter that the items pass; `None` for all items.
    pub filter: Option<Arc<Filter>>,
    /// True for the list with its last item first: every key runs the other way, the id too.
    pub flipped: bool,
    /// True for a list that is sorted by the id alone, within a filter in which all strong keys are equal.
    pub by_id: bool,
}

/// A continuation that the upstream hands out: opaque to the core, written and read by the dialect.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Token(pub Arc<str>);

/// A fetch by token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFetch {
    /// The token to continue from; `None` for the start.
    pub token: Option<Token>,
    /// True if the token leads back: it came as a previous one.
    pub backward: bool,
    /// The number of items.
    pub size: PageSize,
}
