//! The result of learning: a description of the list, and the evidence for each part of it.

use crate::learn::{order::ValueOrder, prober::session::ProbeSlot, shape::ListShape};

/// The certainty of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Certainty {
    /// A request had this effect, or the data permit no other explanation.
    Shown,
    /// The data agree with the finding, and also with another explanation.
    Likely,
    /// The answer was not found.
    Open,
}

/// A finding in one line, with its evidence in another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListFinding {
    /// The subject, such as "size parameter".
    pub about: &'static str,
    /// The finding itself.
    pub found: String,
    /// The evidence for it, or the reason that there is none.
    pub evidence: String,
    /// The strength of the evidence.
    pub certainty: Certainty,
}

/// The way to request a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlaceForm {
    /// By the number of the page.
    Page {
        /// The parameter.
        slot: ProbeSlot,
        /// The number of the first page.
        first: u64,
    },
    /// By the number of items to skip.
    Offset {
        /// The parameter.
        slot: ProbeSlot,
        /// The offset of the first item: 0, or 1 where items are counted from 1.
        first: u64,
    },
    /// By a token from the previous answer.
    Token {
        /// The parameter.
        slot: ProbeSlot,
        /// The place of the token, or of a URL that contains it.
        place: String,
        /// The parameter of that URL that contains the token; `None` if the place contains the token itself.
        parameter: Option<String>,
        /// The place of the token of the previous page.
        previous: Option<String>,
    },
    /// By the id of the last item.
    After {
        /// The parameter.
        slot: ProbeSlot,
    },
    /// By the URL of the next page.
    Link {
        /// The place of the URL.
        place: String,
        /// The place of the URL of the previous page.
        previous: Option<String>,
    },
    /// Every answer is the whole list.
    Whole,
}

/// The parameter of the number of items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SizeForm {
    /// The parameter.
    pub slot: ProbeSlot,
    /// The largest size that a route should request.
    pub max: Option<u32>,
    /// The only sizes that were honoured; empty if all were.
    pub choices: Vec<u32>,
}

/// The places of facts in answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FactPlaces {
    /// The place of the number of all items.
    pub total: Option<String>,
    /// The place of a boolean that is true while more items follow.
    pub has_more: Option<String>,
    /// The place of a boolean that is true on the last page.
    pub is_last: Option<String>,
    /// The place of the URL of the next page.
    pub next_url: Option<String>,
    /// The place of the URL of the previous page.
    pub prev_url: Option<String>,
    /// The place of the number of pages.
    pub last_page: Option<String>,
    /// True if answers without items have no array of items.
    pub items_optional: bool,
}

/// An answer after the end of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastEnd {
    /// The status of the answer.
    pub status: u16,
    /// A member of the body that identifies the answer, and its text.
    pub member: Option<(String, String)>,
}

/// A field of items that an order or a sort can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListField {
    /// The name in the configuration.
    pub name: String,
    /// The place in an item, as a JSON Pointer.
    pub pointer: String,
    /// The name in requests to the upstream.
    pub upstream: String,
    /// The comparison that its values follow.
    pub comparison: ValueOrder,
    /// The place of nulls in sorted lists, if some were seen.
    pub nulls: Option<NullsAt>,
}

/// The place of nulls in a sorted list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NullsAt {
    /// At the beginning, in both directions.
    First,
    /// At the end, in both directions.
    Last,
    /// Before every value in ascending order.
    Smallest,
    /// After every value in ascending order.
    Largest,
}

/// The order of a list: fields with their directions, then the id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListOrder {
    /// The strong keys, and whether each is descending.
    pub keys: Vec<(ListField, bool)>,
    /// True if the id is descending.
    pub id_descending: bool,
    /// The comparison of ids, if the rows show it.
    pub id_comparison: Option<ValueOrder>,
    /// The number of items in the longest run that is equal by all strong keys.
    pub longest_tie: usize,
}

/// The parameters that sort.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortGrammar {
    /// The template for `sort.query` of a dialect.
    pub query: String,
    /// The word for ascending.
    pub ascending: String,
    /// The word for descending.
    pub descending: String,
    /// The separator of several keys; `None` if each key has its own parameter.
    pub join: Option<String>,
    /// True if the upstream sorts by a single key only, or if no second key could be tried.
    pub one_key: bool,
    /// The upstream's names of the fields by which it sorts. Each was tried.
    pub fields: Vec<String>,
    /// The name of the id in requests, if the upstream sorts by it.
    pub id: Option<String>,
}

/// The parameters that filter by a range.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeForm {
    /// The working terms among `lt`, `gt`, `lte` and `gte`, with their templates.
    pub terms: Vec<(&'static str, String)>,
    /// The upstream's names of the fields that can be filtered. Each was tried.
    pub fields: Vec<String>,
}

/// The description of a list, as far as it was learnt.
#[derive(Clone, Debug)]
pub struct Learnt {
    /// The places of the items and of their ids.
    pub shape: ListShape,
    /// The way to request a page; `None` if that could not be found.
    pub place: Option<PlaceForm>,
    /// The size parameter.
    pub size: Option<SizeForm>,
    /// The number of items of an answer to a request without a size.
    pub default_size: u32,
    /// The places of facts in answers.
    pub places: FactPlaces,
    /// Answers after the end.
    pub past_end: Vec<PastEnd>,
    /// True if requests after the end are answered with the last page.
    pub repeats_last_page: bool,
    /// True if the upstream drops items after it has applied the limit.
    pub hidden: bool,
    /// The order.
    pub order: Option<ListOrder>,
    /// The parameters that sort.
    pub sort: Option<SortGrammar>,
    /// The fields by which the upstream sorts, in addition to the id.
    pub sortable: Vec<ListField>,
    /// The parameters that filter.
    pub ranges: Option<RangeForm>,
    /// The path of a single item as a template of a dialect, and the place of the item in the answer.
    pub item_path: Option<(String, String)>,
    /// The headers that decide which items a client sees.
    pub principal: Vec<String>,
    /// The path at the upstream, if the given path redirects to it.
    pub upstream_path: Option<String>,
    /// The parameters that every request has: filters of the list.
    pub fixed: Vec<(String, String)>,
    /// The built-in dialect that fits.
    pub preset: Option<&'static str>,
    /// The evidence.
    pub findings: Vec<ListFinding>,
    /// The number of requests.
    pub requests: usize,
    /// The largest offset that was requested.
    pub deepest: u64,
}

impl Learnt {
    /// Creates the description of a list of which only the shape is known. `items` is the number of items in the first
    /// answer.
    pub(super) fn new(shape: ListShape, items: usize) -> Self {
        Self {
            shape,
            place: None,
            size: None,
            default_size: u32::try_from(items).unwrap_or(u32::MAX),
            places: FactPlaces::default(),
            past_end: Vec::new(),
            repeats_last_page: false,
            hidden: false,
            order: None,
            sort: None,
            sortable: Vec::new(),
            ranges: None,
            item_path: None,
            principal: Vec::new(),
            upstream_path: None,
            fixed: Vec::new(),
            preset: None,
            findings: Vec::new(),
            requests: 0,
            deepest: 0,
        }
    }

    /// Adds a finding.
    pub(super) fn note(
        &mut self,
        certainty: Certainty,
        about: &'static str,
        found: impl Into<String>,
        evidence: impl Into<String>,
    ) {
        let (found, evidence) = (found.into(), evidence.into());
        self.findings.push(ListFinding { about, found, evidence, certainty });
    }
}
