//! The result of learning: a description of the list, and the evidence for each part of it.

use serde_json::{Map, Value};

use crate::{order::ValueOrder, prober::session::ProbeSlot, shape::ListShape, types::SeenItems};

/// The certainty of a finding, the surest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Certainty {
    /// A request had this effect, or the data permit no other explanation.
    Shown,
    /// The data agree with the finding, and also with another explanation.
    Likely,
    /// Neither a request nor the data decided the matter.
    Open,
}

/// A finding about a list, such as the name of its size parameter, with the evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListFinding {
    /// The subject, such as "size parameter".
    pub about: &'static str,
    /// The finding itself, such as `per_page` or "the id, ascending".
    pub found: String,
    /// The evidence for the finding, or the reason why there is none.
    pub evidence: String,
    /// The strength of the evidence.
    pub certainty: Certainty,
}

/// The way in which requests choose a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlaceForm {
    /// Requests contain the number of the page.
    Page {
        /// The parameter that takes the number.
        slot: ProbeSlot,
        /// The number of the first page: 0 or 1.
        first: u64,
    },
    /// Requests contain the number of items to skip.
    Offset {
        /// The parameter that takes the offset.
        slot: ProbeSlot,
        /// The offset of the first item: 0, or 1 where items are counted from 1.
        first: u64,
    },
    /// Requests contain a token from the previous answer.
    Token {
        /// The parameter that takes the token.
        slot: ProbeSlot,
        /// The place in an answer of the next page's token, or of a URL that contains the token.
        place: String,
        /// The parameter that contains the token, if `place` has a URL; `None` if `place` has the token itself.
        parameter: Option<String>,
        /// The place of the previous page's token, or of a URL that contains the token; `None` if no answer has one.
        previous: Option<String>,
    },
    /// Requests contain the id of the last item of the previous answer.
    After {
        /// The parameter that takes the id.
        slot: ProbeSlot,
        /// True if the answer begins with that item itself.
        is_inclusive: bool,
    },
    /// Requests are sent to the URL of the next page, which the previous answer contains.
    Link {
        /// The place of the next page's URL in an answer.
        place: String,
        /// The place of the previous page's URL; `None` if no answer has one.
        previous: Option<String>,
    },
    /// Requests contain all members of an object from the previous answer, each as a parameter.
    Members {
        /// The place of the object in an answer.
        place: String,
        /// The members whose parameters have other names, with these names.
        names: Vec<(String, String)>,
    },
    /// The list has no paging: every answer is the whole list.
    Whole,
}

/// The parameter that sets the number of items in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SizeForm {
    /// The place of the parameter in requests.
    pub slot: ProbeSlot,
    /// The largest size that a route should request; `None` if no answer showed a maximum.
    pub max: Option<u32>,
    /// The only sizes that the upstream honours, in ascending order; empty if it honours any size.
    pub choices: Vec<u32>,
}

/// The places of facts in answers. A place is a JSON Pointer, `header:NAME`, `link:REL` or `content-range:total`;
/// `None` if no answer has the fact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FactPlaces {
    /// The place of the total, which is the number of all items of the list.
    pub total: Option<String>,
    /// The place of a boolean that is true while more items follow.
    pub has_more: Option<String>,
    /// The place of a boolean that is true on the last page.
    pub is_last: Option<String>,
    /// The place of the URL of the next page.
    pub next_url: Option<String>,
    /// The place of the previous page's URL.
    pub prev_url: Option<String>,
    /// The place of the number of pages.
    pub last_page: Option<String>,
    /// True if an answer without items omits the array, instead of sending an empty one.
    pub items_optional: bool,
    /// The word for an object that an answer has in place of the array: `single` or `values`; `None` if no answer has
    /// one.
    pub items_object: Option<&'static str>,
}

/// An error that the upstream sends for a page after the end of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastEnd {
    /// The HTTP status, such as 404.
    pub status: u16,
    /// The place and the text of a member of the body that identifies the error, such as `/error` and `no such page`;
    /// `None` if the body has no such member.
    pub member: Option<(String, String)>,
}

/// A field of the items by which the list is sorted or can be sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListField {
    /// The name in the configuration.
    pub name: String,
    /// The place in an item, as a JSON Pointer.
    pub pointer: String,
    /// The name in requests to the upstream.
    pub upstream: String,
    /// The comparison by which the upstream sorts the values.
    pub comparison: ValueOrder,
    /// The place of nulls in a list that is sorted by the field; `None` if the rows don't show it.
    pub nulls: Option<NullsAt>,
}

/// The place of nulls in a sorted list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NullsAt {
    /// At the beginning, in both directions.
    First,
    /// At the end, in both directions.
    Last,
    /// Before every value in ascending order, and after every value in descending order.
    Smallest,
    /// After every value in ascending order, and before every value in descending order.
    Largest,
}

/// The order of a list: fields with their directions, then the id. By default, the order by the ascending id alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListOrder {
    /// The strong keys, and whether each is descending.
    pub keys: Vec<(ListField, bool)>,
    /// True if the ids are in descending order.
    pub id_descending: bool,
    /// The comparison by which ids are sorted; `None` if the rows don't show it.
    pub id_comparison: Option<ValueOrder>,
    /// The number of items in the longest tie run that was seen; 0 if no items have equal strong keys.
    pub longest_tie: usize,
    /// The number of items with the strong keys of a neighbour, if all of them are in the order of their ids; else 0.
    pub ordered_ties: usize,
}

/// The parameters that sort the list, and the words that they take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortGrammar {
    /// The template for `sort.query` of a dialect, such as `sort={direction}{field}`.
    pub query: String,
    /// The text that replaces `{direction}` for an ascending key, such as `asc` or the empty string.
    pub ascending: String,
    /// The text that replaces `{direction}` for a descending key, such as `desc` or `-`.
    pub descending: String,
    /// The separator of several keys in one parameter; `None` if each key is sent in a separate parameter.
    pub join: Option<String>,
    /// True if the upstream sorts by a single key only, or if no second key could be tried.
    pub one_key: bool,
    /// The fields by which the upstream sorts, by their names in the configuration. Each was tried.
    pub fields: Vec<String>,
    /// The name of the id in requests; `None` if the upstream doesn't sort by the id.
    pub id: Option<String>,
}

/// The parameters that filter by a range.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeForm {
    /// The comparisons that have an effect, among `lt`, `gt`, `lte` and `gte`. Each has its template, such as
    /// `{field}__gte={value}`.
    pub terms: Vec<(&'static str, String)>,
    /// The fields that can be filtered, by their names in the configuration. Each was tried.
    pub fields: Vec<String>,
}

/// The description of a list, as far as it was learnt.
#[derive(Clone, Debug)]
pub struct Learnt {
    /// The places of the items and of their ids.
    pub shape: ListShape,
    /// The way to request a page; `None` if that could not be found.
    pub place: Option<PlaceForm>,
    /// The size parameter; `None` if no parameter changes the number of items.
    pub size: Option<SizeForm>,
    /// The number of items of an answer to a request without a size.
    pub default_size: u32,
    /// The places of facts in answers.
    pub places: FactPlaces,
    /// The errors that the upstream sends for pages after the end of the list.
    pub past_end: Vec<PastEnd>,
    /// True if requests after the end are answered with the last page.
    pub repeats_last_page: bool,
    /// True if offsets must be multiples of the size: others are lowered or refused.
    pub is_aligned: bool,
    /// True if the upstream drops items after it has applied the limit: an answer with items after it was short.
    pub hidden: bool,
    /// True if the total counts the dropped items too.
    pub counts_rows: bool,
    /// The number of answers with items after them that had as many items as were requested. Nothing dropped was seen
    /// in them. 0 if `hidden` is true.
    pub full_answers: usize,
    /// The order of the list; `None` if the rows don't show a usable one.
    pub order: Option<ListOrder>,
    /// The parameters that sort the list; `None` if none were found.
    pub sort: Option<SortGrammar>,
    /// The fields by which the upstream sorts, in addition to the id.
    pub sortable: Vec<ListField>,
    /// The parameters that filter by a range; `None` if none were found.
    pub ranges: Option<RangeForm>,
    /// The path of a single item as a template of a dialect, such as `{path}/{id}`, and the place of the item in the
    /// answer. `None` if no such path was found.
    pub item_path: Option<(String, String)>,
    /// The names of the headers that decide which items a client sees.
    pub principal: Vec<String>,
    /// The path to which the upstream redirects the given path; `None` if it doesn't redirect.
    pub upstream_path: Option<String>,
    /// The `Host` that the upstream needs; `None` if it takes that of the gateway's clients.
    pub host_header: Option<String>,
    /// The parameters that every request has, decoded: the filters of the list.
    pub fixed: Vec<(String, String)>,
    /// The name of the built-in dialect that agrees with the list; `None` if all of them contradict it.
    pub preset: Option<&'static str>,
    /// Reasons for which the first answer may be a part of the list, found while parameters were tried.
    pub(super) unclear: Vec<String>,
    /// A parameter that asks for a number of items and got more, in words; `None` if there is none.
    pub(super) surplus: Option<String>,
    /// The findings and their evidence, in the order in which they were made.
    pub findings: Vec<ListFinding>,
    /// The types of the items.
    pub items: SeenItems,
    /// The number of requests that were sent.
    pub requests: usize,
    /// The largest offset that was requested.
    pub deepest: u64,
    /// The largest sum of offset and size that the upstream answers; `None` if no request was refused for its depth.
    pub max_depth: Option<u64>,
    /// The largest offset that isn't lowered; `None` if no lower bound was seen.
    pub max_offset: Option<u64>,
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
            is_aligned: false,
            hidden: false,
            counts_rows: false,
            full_answers: 0,
            order: None,
            sort: None,
            sortable: Vec::new(),
            ranges: None,
            item_path: None,
            principal: Vec::new(),
            upstream_path: None,
            host_header: None,
            fixed: Vec::new(),
            preset: None,
            unclear: Vec::new(),
            surplus: None,
            findings: Vec::new(),
            items: SeenItems { schema: Value::Object(Map::new()), count: 0 },
            requests: 0,
            deepest: 0,
            max_depth: None,
            max_offset: None,
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

    /// Removes the findings on a subject, which later answers contradict.
    pub(super) fn withdraw(&mut self, about: &str) {
        self.findings.retain(|finding| finding.about != about);
    }
}
