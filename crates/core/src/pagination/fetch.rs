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
    /// Neighbouring items of the list, named by their place in the list.
    Slice(Slice, Listing),
    /// The upstream page that a token leads to.
    Token(TokenFetch),
    /// The resource of the item with this id, which has the item's present keys.
    Item(KeyValue),
    /// The number of items of the list.
    Count,
}

/// The form of the list from which a slice is cut. The default is the unfiltered list in its declared order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The filter that the items pass; `None` for all items.
    pub filter: Option<Arc<Filter>>,
    /// True for the flipped list, whose last item comes first. The direction of every key, and of the id, is reversed.
    pub flipped: bool,
    /// True for a list that is sorted only by the id. The filter then lets through only items with equal strong keys.
    pub by_id: bool,
    /// True for a slice that only shows whether more items follow. If the upstream refuses it, the answer is
    /// [`super::answer::Standing::Refused`], and the page goes on without it.
    pub is_probe: bool,
}

impl Listing {
    /// Returns whether both are the same list, whether or not a request is a probe.
    pub fn is_same_list(&self, other: &Self) -> bool {
        (&self.filter, self.flipped, self.by_id) == (&other.filter, other.flipped, other.by_id)
    }
}

/// A continuation that the upstream hands out. It is opaque to the core; the dialect reads and writes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Token(pub Arc<str>);

/// A fetch by token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFetch {
    /// The token of the wanted upstream page; `None` for the first page.
    pub token: Option<Token>,
    /// True if the upstream handed out the token as its *previous* token.
    pub backward: bool,
    /// The number of items to ask for.
    pub size: PageSize,
}
