//! The result of a prober: a description of the list, and the evidence for each part of it.

use crate::learn::{order::ValueOrder, prober::session::ProbeSlot, shape::ListShape};

/// The certainty of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Certainty {
    /// The effect of a request, or data that leave no other explanation.
    Shown,
    /// Data that agree with it, and that another explanation could fit too.
    Likely,
    /// Not found out.
    Open,
}

/// A finding in one line, with its evidence in another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListFinding {
    /// The subject, such as "size parameter".
    pub about: &'static str,
    /// The finding itself.
    pub found: String,
    /// The evidence for it, or the reason why there is none.
    pub evidence: String,
    /// Its certainty.
    pub certainty: Certainty,
}

/// The way in which pages are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlaceForm {
    /// By the number of a page.
    Page {
        /// The parameter.
        slot: ProbeSlot,
        /// The number of the first page.
        first: u64,
    },
    /// By the number of items that are passed over.
    Offset {
        /// The parameter.
        slot: ProbeSlot,
        /// The offset of the first item: 0, or 1 where items are counted from 1.
        first: u64,
    },
    /// By a token that the last answer gave.
    Token {
        /// The parameter.
        slot: ProbeSlot,
        /// The place of the token, or of a URL that has it.
        place: String,
        /// The parameter of that URL.
        parameter: Option<String>,
        /// The same for the page before.
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
        /// The same for the page before.
        previous: Option<String>,
    },
    /// Every answer is the whole list.
    Whole,
}

/// The parameter that says how many items to give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SizeForm {
    /// The parameter.
    pub slot: ProbeSlot,
    /// The largest size that is asked for.
    pub max: Option<u32>,
    /// The only sizes that were honoured; empty for any.
    pub choices: Vec<u32>,
}

/// A fact that answers tell, and its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FactPlaces {
    /// The number of all items.
    pub total: Option<String>,
    /// A boolean that is true while there is more.
    pub has_more: Option<String>,
    /// A boolean that is true on the last page.
    pub is_last: Option<String>,
    /// The URL of the next page.
    pub next_url: Option<String>,
    /// The URL of the page before.
    pub prev_url: Option<String>,
    /// The number of pages.
    pub last_page: Option<String>,
    /// The array of items is missing where there are none.
    pub items_optional: bool,
}

/// An answer after the end of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastEnd {
    /// The status.
    pub status: u16,
    /// A member of its body, and its text.
    pub member: Option<(String, String)>,
}

/// A field of items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListField {
    /// Its name.
    pub name: String,
    /// Its place in an element, as a JSON Pointer.
    pub pointer: String,
    /// Its name in requests.
    pub upstream: String,
    /// The comparison of its values.
    pub comparison: ValueOrder,
    /// The place of its nulls, as far as it was seen.
    pub nulls: Option<NullsAt>,
}

/// The place of nulls.
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
    /// The id is descending.
    pub id_descending: bool,
    /// The comparison of ids, where it was seen.
    pub id_comparison: Option<ValueOrder>,
    /// The most items that were seen to be equal by all keys.
    pub longest_tie: usize,
}

/// The parameters that sort.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortGrammar {
    /// The template of a dialect.
    pub query: String,
    /// The word for ascending.
    pub ascending: String,
    /// The word for descending.
    pub descending: String,
    /// The separator of several keys; `None` where each key has a parameter of its own.
    pub join: Option<String>,
    /// The upstream sorts by one key alone, or by no more that could be tried.
    pub one_key: bool,
    /// The fields by which it sorts, each tried.
    pub fields: Vec<String>,
    /// The name of the id in them, where it sorts.
    pub id: Option<String>,
}

/// The parameters that filter by a range.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeForm {
    /// The templates of `lt`, `gt`, `lte` and `gte`, as far as they work.
    pub terms: Vec<(&'static str, String)>,
    /// The fields, each tried.
    pub fields: Vec<String>,
}

/// A list as it was learnt.
#[derive(Clone, Debug)]
pub struct Learnt {
    /// The places of items.
    pub shape: ListShape,
    /// The way in which pages are asked for; `None` where it could not be found.
    pub place: Option<PlaceForm>,
    /// The size parameter.
    pub size: Option<SizeForm>,
    /// The number of items where no size is asked for.
    pub default_size: u32,
    /// Facts in answers.
    pub places: FactPlaces,
    /// Answers after the end.
    pub past_end: Vec<PastEnd>,
    /// After the end, the last page comes again.
    pub repeats_last_page: bool,
    /// Items are dropped after the limit was applied.
    pub hidden: bool,
    /// The order.
    pub order: Option<ListOrder>,
    /// The parameters that sort.
    pub sort: Option<SortGrammar>,
    /// The fields that they sort by, beside the id.
    pub sortable: Vec<ListField>,
    /// The parameters that filter.
    pub ranges: Option<RangeForm>,
    /// The path of an item, as a template of a dialect, and the place of the item in its answer.
    pub item_path: Option<(String, String)>,
    /// Headers that decide what a client sees.
    pub principal: Vec<String>,
    /// The path at the upstream, where the path that was given leads to another.
    pub upstream_path: Option<String>,
    /// Parameters that every request has: filters of the list.
    pub fixed: Vec<(String, String)>,
    /// The built-in dialect that fits.
    pub preset: Option<&'static str>,
    /// The evidence.
    pub findings: Vec<ListFinding>,
    /// The number of requests.
    pub requests: usize,
    /// The deepest offset that was asked for.
    pub deepest: u64,
}

impl Learnt {
    /// Returns a list of which only the shape is known.
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
