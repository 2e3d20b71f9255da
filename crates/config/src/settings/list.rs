//! The settings of a route that serves or observes a list.

use crate::key::words;
use cursorgate_core::pagination::order::Direction;

words! {
    /// The treatment of an end of a list that the upstream contradicts.
    pub enum WhenEndUnproven {
        /// The page with the end, with the header `Cursorgate-End: unproven`.
        Flag = "flag",
        /// An error, 502 `end_unproven`.
        Refuse = "refuse",
    }
}

words! {
    /// The way in which pages are found.
    pub enum Mode {
        /// The strongest of the other modes that takes one request for a page. `cursorgate check` shows the mode and
        /// the reason.
        Auto = "auto",
        /// By offset or page number. The items around a page prove its place.
        Offset = "offset",
        /// By range filters on the sort keys. Cursors contain these keys.
        Keyset = "keyset",
        /// By range filters on the sort keys. Cursors contain only the id of an item, and its keys are looked up.
        Seek = "seek",
        /// By the tokens or links that the upstream returns.
        Token = "token",
    }
}

/// A term of an order or a sort.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortTerm {
    pub field: String,
    pub direction: Direction,
}

words! {
    /// The treatment of a request for more items than the largest limit.
    pub enum OverMax {
        /// The page has the largest number of items.
        Clamp = "clamp",
        /// The request is refused with 400 `limit_too_large`.
        Reject = "reject",
    }
}

words! {
    /// Cursors that are accepted beside those that a route makes.
    pub enum AlsoAccepted {
        /// Signed cursors.
        Signed = "signed",
        /// Sealed cursors.
        Sealed = "sealed",
        /// Page cursors without a time, although the route has a lifetime.
        Undated = "undated",
    }
}

/// The role of a client's parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The number of items of a page.
    Limit,
    /// The number of items of a page that is read backward, from the end of the list or from `before`.
    LimitBackward,
    /// The cursor of a page.
    Cursor,
    /// The cursor of an item after which the page begins.
    After,
    /// The cursor of an item before which the page ends.
    Before,
    /// The id of an item after which the page begins.
    AfterId,
    /// The id of an item before which the page ends.
    BeforeId,
    /// The order of the list.
    Sort,
}
