//! The settings of a dialect. `upstream` compiles them.

use crate::{
    diagnostic::{Located, Location},
    key::words,
    tree::LocatedTree,
};
use cursorgate_core::pagination::order::Direction;

/// A dialect (`config/dialects/NAME.toml` or `[dialects.NAME]`), with `extends` followed.
#[derive(Debug, Clone)]
pub struct DialectSettings {
    pub name: String,
    /// The location of the dialect's name, for faults that have no more exact location. The name is in the route or,
    /// for a dialect of `own_dialects`, in the header of its table.
    pub at: Location,
    pub description: Option<String>,
    pub documentation: Option<String>,
    pub request: DialectRequest,
    pub size: DialectSize,
    pub response: DialectResponse,
    pub sort: Option<DialectSort>,
    pub filter: Option<DialectFilter>,
    pub item: Option<DialectItem>,
    pub count: Option<DialectCount>,
}

/// The settings of `[request]` of a dialect.
#[derive(Debug, Clone)]
pub struct DialectRequest {
    pub method: http::Method,
    pub query: Located<String>,
    pub headers: Vec<(Located<String>, Located<String>)>,
    pub body: Option<LocatedTree>,
    pub first_page: u64,
    pub first_item: u64,
    pub also: Vec<Located<String>>,
    pub aligned: bool,
    pub after_inclusive: bool,
    pub max_depth: Option<u64>,
    pub max_offset: Option<Located<u64>>,
    pub first_token: Option<Located<String>>,
    pub token_alone: bool,
    pub single_use: bool,
}

impl DialectRequest {
    /// Returns a request with this query, and with defaults for all other keys.
    #[must_use]
    pub fn new(query: Located<String>) -> Self {
        Self {
            method: http::Method::GET,
            query,
            headers: Vec::new(),
            body: None,
            first_page: 1,
            first_item: 0,
            also: Vec::new(),
            aligned: false,
            after_inclusive: false,
            max_depth: None,
            max_offset: None,
            first_token: None,
            token_alone: false,
            single_use: false,
        }
    }
}

/// The settings of `[size]` of a dialect.
#[derive(Debug, Clone, Default)]
pub struct DialectSize {
    pub default: Option<Located<u32>>,
    pub min: Option<Located<u32>>,
    pub max: Option<Located<u32>>,
    /// The only sizes that can be requested, in ascending order; empty if any size can be.
    pub choices: Vec<u32>,
}

/// The settings of `[response]` of a dialect. Places are JSON Pointers, `header:NAME`, `link:REL`,
/// `link:REL;NAME=VALUE` or `content-range:PART`.
#[derive(Debug, Clone)]
pub struct DialectResponse {
    pub items: Located<String>,
    pub items_optional: bool,
    pub items_object: Option<Located<ItemsObjectWord>>,
    pub item: Option<Located<String>>,
    pub id: Option<Located<String>>,
    pub item_token: Option<Located<String>>,
    pub total: Option<Located<String>>,
    pub total_exact_when: Vec<(Located<String>, LocatedTree)>,
    pub total_counts: Option<Located<TotalCounts>>,
    pub has_more: Option<Located<String>>,
    pub is_last: Option<Located<String>>,
    pub next_url: Option<Located<String>>,
    pub prev_url: Option<Located<String>>,
    pub url_base: Option<Located<String>>,
    pub next_token: Option<Located<String>>,
    pub prev_token: Option<Located<String>>,
    pub token_param: Option<Located<String>>,
    pub next_params: Option<Located<String>>,
    /// The parameters of members of `next_params` that are sent under other names.
    pub param_names: Vec<(Located<String>, Located<String>)>,
    pub next_page: Option<Located<String>>,
    pub last_page: Option<Located<String>>,
    pub page: Option<Located<String>>,
    pub offset: Option<Located<String>>,
    pub size: Option<Located<String>>,
    pub end: Option<Located<EndWord>>,
    pub hidden: bool,
    /// `true` if the upstream never removes items after it has applied the limit.
    pub complete: bool,
    pub repeats_last_page: bool,
    pub past_end: Vec<DialectMatch>,
    pub gone: Vec<DialectMatch>,
    /// The conditions on answers that are failures; `None` for the default conditions.
    pub error: Option<Vec<DialectMatch>>,
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
        Self {
            items,
            items_optional: false,
            items_object: None,
            item: None,
            id: None,
            item_token: None,
            total: None,
            total_exact_when: Vec::new(),
            total_counts: None,
            has_more: None,
            is_last: None,
            next_url: None,
            prev_url: None,
            url_base: None,
            next_token: None,
            prev_token: None,
            token_param: None,
            next_params: None,
            param_names: Vec::new(),
            next_page: None,
            last_page: None,
            page: None,
            offset: None,
            size: None,
            end: None,
            hidden: false,
            complete: false,
            repeats_last_page: false,
            past_end: Vec::new(),
            gone: Vec::new(),
            error: None,
        }
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

/// A condition on answers, from `past_end`, `gone` or `error`. It holds if all of its parts hold.
#[derive(Debug, Clone)]
pub struct DialectMatch {
    pub at: Location,
    pub status: Option<u16>,
    pub body: Vec<(Located<String>, LocatedTree)>,
    pub present: Option<Located<String>>,
}

/// The settings of `[sort]` of a dialect.
#[derive(Debug, Clone)]
pub struct DialectSort {
    /// The template of the query; empty if only the body names the order.
    pub query: Located<String>,
    pub body: Option<LocatedTree>,
    pub join: Option<String>,
    pub ascending: String,
    pub descending: String,
    pub nulls_first: Option<String>,
    pub nulls_last: Option<String>,
    pub max_keys: Option<usize>,
}

/// The settings of `[filter]` of a dialect.
#[derive(Debug, Clone)]
pub struct DialectFilter {
    pub at: Location,
    pub terms: DialectTerms,
    pub query: Option<Located<String>>,
    pub and: Option<Located<String>>,
    pub or: Option<Located<String>>,
    pub merge: Option<Located<String>>,
    pub repeatable: bool,
    /// The quotes for each kind of value. Values of kinds that aren't listed have no quotes.
    pub quote: Vec<(QuotedKind, Located<Quote>)>,
    /// The comparisons of fields, by their names at the upstream; empty if `terms` apply to all fields.
    pub fields: Vec<(Located<String>, DialectTerms)>,
}

/// The templates of comparisons: parameters such as `{field}__lt={value}`, or expressions.
#[derive(Debug, Clone, Default)]
pub struct DialectTerms {
    pub lt: Option<Located<String>>,
    pub gt: Option<Located<String>>,
    pub lte: Option<Located<String>>,
    pub gte: Option<Located<String>>,
    pub eq: Option<Located<String>>,
    pub null: Option<Located<String>>,
    pub not_null: Option<Located<String>>,
    pub from: Option<Located<String>>,
    pub to: Option<Located<String>>,
    pub after: Option<Located<String>>,
    pub before: Option<Located<String>>,
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

/// The settings of `[item]` of a dialect.
#[derive(Debug, Clone)]
pub struct DialectItem {
    pub at: Location,
    pub path: Located<String>,
    pub query: Option<Located<String>>,
    pub headers: Vec<(Located<String>, Located<String>)>,
    pub value: Option<Located<String>>,
    pub gone: Vec<DialectMatch>,
}

/// The settings of `[count]` of a dialect.
#[derive(Debug, Clone)]
pub struct DialectCount {
    pub at: Location,
    pub method: http::Method,
    pub path: Option<Located<String>>,
    pub query: Option<Located<String>>,
    pub headers: Vec<(Located<String>, Located<String>)>,
    pub total: Option<Located<String>>,
}
