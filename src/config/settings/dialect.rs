//! What a dialect says: how a kind of upstream is asked and read. It is compiled by the module that asks and reads.

use crate::config::{
    diagnostic::{Located, Location},
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
}

/// `[request]` of a dialect.
#[derive(Debug, Clone)]
pub struct DialectRequest {
    /// The query template, as on the wire.
    pub query: Located<String>,
    /// Header templates.
    pub headers: Vec<(Located<String>, Located<String>)>,
    /// What the first page is called.
    pub first_page: u64,
    /// Other query templates by which clients page it.
    pub also: Vec<Located<String>>,
    /// offset + size may not pass this.
    pub max_depth: Option<u64>,
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
    /// Past the end the last page comes again.
    pub repeats_last_page: bool,
    /// No items here.
    pub past_end: Vec<DialectMatch>,
    /// A failure in spite of its status.
    pub error: Vec<DialectMatch>,
}

/// `response.end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndWord {
    /// `flag`
    Flag,
    /// `short-page`
    ShortPage,
    /// `empty-page`
    EmptyPage,
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
    /// The template, once for each key.
    pub query: Located<String>,
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
