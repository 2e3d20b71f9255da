//! The settings of a dialect. `upstream` compiles them.

use super::{DialectRequest, DialectResponse, DialectTerms};
use crate::{diagnostic::Located, key::words};
use cursorgate_core::pagination::order::Direction;

impl DialectRequest {
    /// Returns a request with this query, and with defaults for all other keys.
    #[must_use]
    pub fn new(query: Located<String>) -> Self {
        Self { query, ..Self::default() }
    }
}

impl DialectResponse {
    /// Returns whether answers can show that no more items follow: by a total, a flag (`has_more`, `is_last`), a
    /// missing `next_url` or `next_page`, or the number of pages (`last_page`).
    #[must_use]
    pub fn tells_end(&self) -> bool {
        let Self { total, has_more, is_last, next_url, next_page, last_page, .. } = self;
        [total, has_more, is_last, next_url, next_page, last_page].into_iter().any(Option::is_some)
    }

    /// Returns whether the total is only an estimate.
    #[must_use]
    pub fn estimates_total(&self) -> bool {
        matches!(&self.total_counts, Some(counts) if counts.value == TotalCounts::Estimate)
    }

    /// Returns a response with the items at this place, and with defaults for all other keys.
    #[must_use]
    pub fn new(items: Located<String>) -> Self {
        Self { items, ..Self::default() }
    }
}

words! {
    /// The proof that a list has ended.
    pub enum EndWord {
        /// A fact of the answer: `has_more` or `is_last`, or the absence of a next page. It must come from the slice
        /// itself (limit + 1), and not from a count.
        Flag = "flag",
        /// An answer with fewer items than requested. Every size up to `size.max` must be honoured.
        ShortPage = "short-page",
        /// An answer without items, such as the page after the last one.
        EmptyPage = "empty-page",
        /// An answer without a token or a link to the next page, whatever flags and totals say.
        Token = "token",
        /// The token of the request, which comes back as the next token.
        SameToken = "same-token",
        /// Every answer, because each is the whole list, as with the dialect `whole-list`.
        WholeList = "whole-list",
    }
}

words! {
    /// The reading of an object where the array of items is expected.
    pub enum ItemsObjectWord {
        /// The object is the only item, as from services that convert XML and write no array around a single element.
        Single = "single",
        /// The values of the object's members are the items, in the order of the answer, as from PHP if the indexes of
        /// an array have gaps: {"0": …, "2": …}. The names of the members aren't read.
        Values = "values",
    }
}

words! {
    /// The things that a total counts.
    pub enum TotalCounts {
        /// The items that the client can see, neither more nor fewer.
        Items = "items",
        /// Rows, including those that the upstream removes after it has applied the limit.
        Rows = "rows",
        /// Neither: the number is an estimate. Clients don't get it, and it says nothing about the end of the list.
        Estimate = "estimate",
    }
}

impl DialectTerms {
    /// Returns whether the items from a value on, the value included, can be requested in a list with this direction.
    #[must_use]
    pub fn has_from_on(&self, direction: Direction) -> bool {
        let compared = if direction == Direction::Ascending { &self.gte } else { &self.lte };
        compared.is_some() || self.from.is_some()
    }

    /// Returns whether the items after a value can be requested in a list with this direction.
    #[must_use]
    pub fn has_after(&self, direction: Direction) -> bool {
        let compared = if direction == Direction::Ascending { &self.gt } else { &self.lt };
        compared.is_some() || self.after.is_some()
    }
}

/// A type of values that `filter.quote` distinguishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuotedKind {
    /// `number`: a JSON number.
    Number,
    /// `string`: a JSON string without another type, a rank, or a string with a collation.
    Text,
    /// `number-in-string`: a number that is a JSON string in items.
    NumberInString,
    /// `datetime`: a date and time.
    Datetime,
    /// `boolean`: true or false.
    Boolean,
    /// `uuid`: a UUID.
    Uuid,
}

words! {
    /// The quotes of a value in an expression.
    pub enum Quote {
        /// No quotes: O'Neil
        None = "none",
        /// Single quotes, doubled within the value: 'O''Neil'
        Single = "single",
        /// Double quotes, with a backslash before quotes and backslashes within the value: "a\"b"
        Double = "double",
        /// A JSON string.
        Json = "json",
    }
}
