//! Facts about one page that an envelope can write.

use super::links::LinkSet;
use cursorgate_core::pagination::answer::Total;

/// The facts about one page, other than its items.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// The limit of the page: the largest number of items that it may have.
    pub limit: u32,
    /// The path of the request as the client sent it.
    pub path: &'a str,
    /// The level: `exact`, `checked`, `anchored` or `positional`.
    pub level: &'a str,
    /// The current time in the format of RFC 3339; `None` only if [`Needs::now`](super::Needs::now) isn't set.
    pub now: Option<&'a str>,
    /// `true` if a next page exists.
    pub has_next: bool,
    /// `true` if a previous page exists.
    pub has_prev: bool,
    /// `true` if another page exists in the direction of the request.
    pub has_more: bool,
    /// The total of the list, exact or a lower bound; `None` if it is unknown.
    pub total: Option<Total>,
    /// The page number of a legacy request; `None` for other requests.
    pub page: Option<u64>,
    /// The number of pages, for a legacy request with an exact total; otherwise `None`.
    pub pages: Option<u64>,
    /// The cursor of the next page; `None` if there is no such cursor.
    pub next_cursor: Option<&'a str>,
    /// The cursor of the previous page; `None` if there is no such cursor.
    pub prev_cursor: Option<&'a str>,
    /// The item cursor of the first item, or for a list by token the cursor of the previous page. `None` if there is no
    /// such cursor, or if [`Needs::edge_cursors`](super::Needs::edge_cursors) isn't set.
    pub start_cursor: Option<&'a str>,
    /// The item cursor of the last item, or for a list by token the cursor of the next page. `None` if there is no such
    /// cursor, or if [`Needs::edge_cursors`](super::Needs::edge_cursors) isn't set.
    pub end_cursor: Option<&'a str>,
    /// The links of the page.
    pub links: &'a LinkSet,
    /// The values from the request's body, in the order of
    /// [`EnvelopeTemplate::request_places`](super::EnvelopeTemplate::request_places); empty without a body. The value
    /// is `None` for a place that the body doesn't have.
    pub request: &'a [Option<&'a [u8]>],
    /// The source of item cursors; `None` for a list by token, or if
    /// [`Needs::item_cursors`](super::Needs::item_cursors) isn't set.
    pub item_cursors: Option<&'a dyn ItemCursors>,
}

/// A source of item cursors, which are made only for envelopes that contain them.
pub trait ItemCursors {
    /// Appends the cursor of the item at an index. Returns `false` and appends nothing if the item has no cursor.
    fn push(&self, index: usize, out: &mut Vec<u8>) -> bool;
}
