//! What a dialect says: how a kind of upstream is asked and read. It is compiled by the module that asks and reads.

use crate::config::{
    diagnostic::{Located, Location},
    key::words,
    tree::LocatedTree,
};

/// A dialect, as written (`config/dialects/NAME.toml` or `[dialects.NAME]`), with `extends` followed.
#[derive(Debug, Clone)]
pub struct DialectSettings {
    /// Its name.
    pub name: String,
    /// Where the route names it, for faults that have no better place.
    pub at: Location,
    /// One line about it.
    pub description: Option<String>,
    /// Where the vendor documents it.
    pub documentation: Option<String>,
    /// How it is asked.
    pub request: DialectRequest,
    /// Which sizes it takes.
    pub size: DialectSize,
    /// How its answers are read.
    pub response: DialectResponse,
    /// How it is told the order.
    pub sort: Option<DialectSort>,
    /// How it is asked for ranges.
    pub filter: Option<DialectFilter>,
    /// How it is asked for one item.
    pub item: Option<DialectItem>,
    /// How it is asked for the total alone.
    pub count: Option<DialectCount>,
}

/// `[request]` of a dialect.
#[derive(Debug, Clone)]
pub struct DialectRequest {
    /// GET or POST.
    pub method: http::Method,
    /// The query template, as on the wire.
    pub query: Located<String>,
    /// Header templates.
    pub headers: Vec<(Located<String>, Located<String>)>,
    /// The skeleton of the body.
    pub body: Option<LocatedTree>,
    /// What the first page is called.
    pub first_page: u64,
    /// Other query templates by which clients page it.
    pub also: Vec<Located<String>>,
    /// offset + size may not pass this.
    pub max_depth: Option<u64>,
    /// What is sent where there is no token yet.
    pub first_token: Option<Located<String>>,
    /// With a token, the client's filters and the sort are not sent.
    pub token_alone: bool,
    /// A token works once, or only for a short time.
    pub single_use: bool,
}

impl DialectRequest {
    /// Asked by this query, and nothing else said.
    #[must_use]
    pub fn new(query: Located<String>) -> Self {
        Self {
            method: http::Method::GET,
            query,
            headers: Vec::new(),
            body: None,
            first_page: 1,
            also: Vec::new(),
            max_depth: None,
            first_token: None,
            token_alone: false,
            single_use: false,
        }
    }
}

/// `[size]` of a dialect.
#[derive(Debug, Clone, Default)]
pub struct DialectSize {
    /// Items when not asked.
    pub default: Option<Located<u32>>,
    /// Never asked for less.
    pub min: Option<Located<u32>>,
    /// Never asked for more.
    pub max: Option<Located<u32>>,
    /// Only these, ascending; empty: any.
    pub choices: Vec<u32>,
}

/// `[response]` of a dialect. Places are JSON Pointers, `header:NAME`, `link:REL` or `content-range:PART`.
#[derive(Debug, Clone)]
pub struct DialectResponse {
    /// The array.
    pub items: Located<String>,
    /// The array may be missing or null when there are none.
    pub items_optional: bool,
    /// What is served of an element.
    pub item: Option<Located<String>>,
    /// An element's id.
    pub id: Option<Located<String>>,
    /// What continues the list from an element; its id where it is not said.
    pub item_token: Option<Located<String>>,
    /// The total.
    pub total: Option<Located<String>>,
    /// Pointer = value: else the total is a lower bound.
    pub total_exact_when: Vec<(Located<String>, LocatedTree)>,
    /// A boolean: there is more.
    pub has_more: Option<Located<String>>,
    /// A boolean: this is the last page.
    pub is_last: Option<Located<String>>,
    /// A next link; null, missing and empty say that there is none.
    pub next_url: Option<Located<String>>,
    /// A previous link.
    pub prev_url: Option<Located<String>>,
    /// What relative links are relative to.
    pub url_base: Option<Located<String>>,
    /// The token that leads on.
    pub next_token: Option<Located<String>>,
    /// The token that leads back.
    pub prev_token: Option<Located<String>>,
    /// What stands at `next_token` and `prev_token` is a URL, and the token this parameter of it.
    pub token_param: Option<Located<String>>,
    /// An object whose members are added to the next query.
    pub next_params: Option<Located<String>>,
    /// The next page's number.
    pub next_page: Option<Located<String>>,
    /// The last page's number, as a count of pages.
    pub last_page: Option<Located<String>>,
    /// The page it says it is, as the upstream counts.
    pub page: Option<Located<String>>,
    /// The offset it says it begins at.
    pub offset: Option<Located<String>>,
    /// The size it says it used.
    pub size: Option<Located<String>>,
    /// What proves an end.
    pub end: Option<Located<EndWord>>,
    /// Items are dropped after the limit.
    pub hidden: bool,
    /// Past the end the last page comes again.
    pub repeats_last_page: bool,
    /// No items here.
    pub past_end: Vec<DialectMatch>,
    /// The token is no more.
    pub gone: Vec<DialectMatch>,
    /// A failure in spite of its status; where the dialect does not say, what is told beside an empty list.
    pub error: Option<Vec<DialectMatch>>,
}

impl DialectResponse {
    /// The items stand here, and nothing else is said.
    #[must_use]
    pub fn new(items: Located<String>) -> Self {
        Self {
            items,
            items_optional: false,
            item: None,
            id: None,
            item_token: None,
            total: None,
            total_exact_when: Vec::new(),
            has_more: None,
            is_last: None,
            next_url: None,
            prev_url: None,
            url_base: None,
            next_token: None,
            prev_token: None,
            token_param: None,
            next_params: None,
            next_page: None,
            last_page: None,
            page: None,
            offset: None,
            size: None,
            end: None,
            hidden: false,
            repeats_last_page: false,
            past_end: Vec::new(),
            gone: Vec::new(),
            error: None,
        }
    }
}

words! {
    /// What proves the end of a list.
    pub enum EndWord {
        /// `has_more`, `is_last` or the absent next page come from the slice itself (limit + 1), not from a count.
        Flag = "flag",
        /// Every size up to `size.max` is honoured, so that a short answer is the last one.
        ShortPage = "short-page",
        /// An answer without items.
        EmptyPage = "empty-page",
        /// The token that was sent comes back.
        SameToken = "same-token",
        /// Each answer is the whole list, as with the dialect of that name.
        WholeList = "whole-list",
    }
}

/// One table of a list of matches: all of it must hold.
#[derive(Debug, Clone)]
pub struct DialectMatch {
    /// Where it stands.
    pub at: Location,
    /// The status.
    pub status: Option<u16>,
    /// Pointer = value.
    pub body: Vec<(Located<String>, LocatedTree)>,
    /// A pointer to something that must be there.
    pub present: Option<Located<String>>,
}

/// `[sort]` of a dialect.
#[derive(Debug, Clone)]
pub struct DialectSort {
    /// The template, once for each key; empty where the body alone says it.
    pub query: Located<String>,
    /// The skeleton of what the body says, likewise.
    pub body: Option<LocatedTree>,
    /// Given: the values of all keys joined into one parameter each.
    pub join: Option<String>,
    /// The word for `{direction}`.
    pub ascending: String,
    /// The word for `{direction}`.
    pub descending: String,
    /// The word for `{nulls}`.
    pub nulls_first: Option<String>,
    /// The word for `{nulls}`.
    pub nulls_last: Option<String>,
    /// At most so many keys; the rest of the order is believed and checked.
    pub max_keys: Option<usize>,
}

/// `[filter]` of a dialect.
#[derive(Debug, Clone)]
pub struct DialectFilter {
    /// Where it stands.
    pub at: Location,
    /// The words for every field.
    pub terms: DialectTerms,
    /// Given: the upstream takes one expression, in this parameter.
    pub query: Option<Located<String>>,
    /// Two expressions, both of which must hold.
    pub and: Option<Located<String>>,
    /// Two expressions, one of which must hold.
    pub or: Option<Located<String>>,
    /// The client's own expression and the filter, as one.
    pub merge: Option<Located<String>>,
    /// The parameter may come several times, and all are in force.
    pub repeatable: bool,
    /// How values stand in an expression, by their kind; as they are where it is not said.
    pub quote: Vec<(QuotedKind, Located<Quote>)>,
    /// Given: only these fields, by what the upstream calls them, each with its own words.
    pub fields: Vec<(Located<String>, DialectTerms)>,
}

/// The words of comparisons: `name=value`, or an expression.
#[derive(Debug, Clone, Default)]
pub struct DialectTerms {
    /// `<`
    pub lt: Option<Located<String>>,
    /// `>`
    pub gt: Option<Located<String>>,
    /// `<=`
    pub lte: Option<Located<String>>,
    /// `>=`
    pub gte: Option<Located<String>>,
    /// `=`
    pub eq: Option<Located<String>>,
    /// Is null.
    pub null: Option<Located<String>>,
    /// Is anything but null.
    pub not_null: Option<Located<String>>,
    /// From a value on, in the direction that the list is asked for; the value is within.
    pub from: Option<Located<String>>,
    /// Up to a value, in that direction; the value is within.
    pub to: Option<Located<String>>,
    /// Behind a value, in that direction.
    pub after: Option<Located<String>>,
    /// Before a value, in that direction.
    pub before: Option<Located<String>>,
}

impl DialectTerms {
    /// Whether ranges that hold their own end can be asked for, both ways: by value, or by the side of the list.
    #[must_use]
    pub fn is_inclusive(&self) -> bool {
        (self.lte.is_some() && self.gte.is_some()) || (self.from.is_some() && self.to.is_some())
    }

    /// The same of ranges that do not hold it.
    #[must_use]
    pub fn is_exclusive(&self) -> bool {
        (self.lt.is_some() && self.gt.is_some()) || (self.after.is_some() && self.before.is_some())
    }
}

/// What `filter.quote` tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuotedKind {
    /// `number`: JSON numbers.
    Number,
    /// `string`: strings that are nothing of the following, ranks and those sorted by a language's rules among them.
    Text,
    /// `number-in-string`
    NumberInString,
    /// `datetime`
    Datetime,
    /// `boolean`
    Boolean,
    /// `uuid`
    Uuid,
}

words! {
    /// How a value is quoted in an expression.
    pub enum Quote {
        /// O'Neil
        None = "none",
        /// 'O''Neil'
        Single = "single",
        /// "a\"b", with a backslash before quotes and backslashes.
        Double = "double",
        /// As a JSON string.
        Json = "json",
    }
}

/// `[item]` of a dialect: the item's own resource.
#[derive(Debug, Clone)]
pub struct DialectItem {
    /// Where it stands.
    pub at: Location,
    /// The path template.
    pub path: Located<String>,
    /// The query template.
    pub query: Option<Located<String>>,
    /// Header templates.
    pub headers: Vec<(Located<String>, Located<String>)>,
    /// Where the element stands in the answer; it is the whole of it where this is not said.
    pub value: Option<Located<String>>,
    /// The item is no more; 404 and 410 say so anyway.
    pub gone: Vec<DialectMatch>,
}

/// `[count]` of a dialect: a request that tells the total.
#[derive(Debug, Clone)]
pub struct DialectCount {
    /// Where it stands.
    pub at: Location,
    /// GET, HEAD, or POST with the client's own body.
    pub method: http::Method,
    /// The path template; the list's own path where it is not said.
    pub path: Option<Located<String>>,
    /// The query template.
    pub query: Option<Located<String>>,
    /// Header templates.
    pub headers: Vec<(Located<String>, Located<String>)>,
    /// The total; where the list's answers say it, where it is not said.
    pub total: Option<Located<String>>,
}
