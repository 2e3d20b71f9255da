//! Facts about one page that an envelope can write.

use super::links::LinkSet;
use crate::pagination::answer::Total;

/// What an envelope says about one page, beside its items.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// The limit that was used.
    pub limit: u32,
    /// The path of the request, as it came.
    pub path: &'a str,
    /// How sure the page is: `exact`, `checked`, `anchored`, `positional`.
    pub level: &'a str,
    /// The time, RFC 3339; needed where [`Needs::now`].
    pub now: Option<&'a str>,
    /// Whether there is a next cursor.
    pub has_next: bool,
    /// Whether there is a previous cursor.
    pub has_prev: bool,
    /// The one of the two in the direction asked.
    pub has_more: bool,
    /// The size of the collection.
    pub total: Option<Total>,
    /// The page as the client counts, for requests by page.
    pub page: Option<u64>,
    /// How many pages there are, for requests by page where the total is known.
    pub pages: Option<u64>,
    /// The cursor of the next page.
    pub next_cursor: Option<&'a str>,
    /// The cursor of the previous page.
    pub prev_cursor: Option<&'a str>,
    /// The item cursor of the first item; needed where [`Needs::edge_cursors`].
    pub start_cursor: Option<&'a str>,
    /// The item cursor of the last item; needed where [`Needs::edge_cursors`].
    pub end_cursor: Option<&'a str>,
    /// The links.
    pub links: &'a LinkSet,
    /// What the envelope repeats of the request's body, in the sequence of [`EnvelopeTemplate::request_places`]; empty
    /// where there was no body.
    pub request: &'a [Option<&'a [u8]>],
    /// What makes the cursors of items; needed where [`Needs::item_cursors`].
    pub item_cursors: Option<&'a dyn ItemCursors>,
}

/// What makes the cursors of a page's items.
pub trait ItemCursors {
    /// Appends the cursor of the item at an index; false, and nothing appended, where it has none.
    fn push(&self, index: usize, out: &mut Vec<u8>) -> bool;
}
