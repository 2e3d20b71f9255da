//! Range filters: the filters that an upstream's endpoint offers, and the filters that the core requests.

use super::key::KeyValue;

/// A comparison by value, whatever the direction of the key: for a descending key, [`Comparison::Less`] selects items
/// that come later in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `=`
    Equal,
    /// The value is null.
    Null,
    /// The value isn't null.
    NotNull,
}

/// A condition that selects items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// A comparison of one column of the order.
    Compare {
        /// The index of the column: strong keys first, then the id.
        column: usize,
        /// The comparison.
        comparison: Comparison,
        /// The value to compare with; `None` for `Null` and `NotNull`.
        value: Option<KeyValue>,
    },
    /// Items that pass all of these filters; only if [`Filters::both`] is true.
    And(Vec<Self>),
    /// Items that pass at least one of these filters; only if [`Filters::either`] is true.
    Or(Vec<Self>),
}

/// The comparisons by which a field can be filtered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Comparisons {
    /// `<`
    pub less: bool,
    /// `<=`
    pub less_or_equal: bool,
    /// `>`
    pub greater: bool,
    /// `>=`
    pub greater_or_equal: bool,
    /// `=`
    pub equal: bool,
    /// Both `Null` and `NotNull`.
    pub nulls: bool,
}

/// The filters that an endpoint offers for one order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    /// The comparisons of each column of the order: the strong keys, then the id.
    pub columns: Vec<Comparisons>,
    /// True if the endpoint accepts alternatives ([`Filter::Or`]).
    pub either: bool,
    /// True if the endpoint accepts several comparisons at once ([`Filter::And`]).
    pub both: bool,
    /// True if the endpoint can sort only by the id ([`super::fetch::Listing::by_id`]).
    pub sorts_by_id: bool,
}
