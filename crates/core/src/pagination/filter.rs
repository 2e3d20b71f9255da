//! Range filters: what a route's endpoint can be asked to leave out, and what the core asks of it.

use super::key::KeyValue;

/// A comparison of a value, as the endpoint compares: [`Comparison::Less`] of a descending key selects items that come
/// later in the list.
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
    /// Null.
    Null,
    /// Anything but null.
    NotNull,
}

/// Which items are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// A column of the order compared with a value; none for `Null` and `NotNull`.
    Compare {
        /// The column: a strong key, or the id after the last of them.
        column: usize,
        /// The comparison.
        comparison: Comparison,
        /// With what.
        value: Option<KeyValue>,
    },
    /// All of these.
    And(Vec<Self>),
    /// Any of these; only where [`Filters::either`] says so.
    Or(Vec<Self>),
}

/// Which comparisons a field can be filtered by.
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
    /// Null and not null.
    pub nulls: bool,
}

/// The filters that an endpoint has, for one order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    /// For each column of the order: the strong keys, then the id.
    pub columns: Vec<Comparisons>,
    /// Alternatives can be asked for: [`Filter::Or`].
    pub either: bool,
    /// Several comparisons can be asked for at once: [`Filter::And`].
    pub both: bool,
    /// The endpoint can sort by the id alone: [`super::fetch::Listing::by_id`].
    pub sorts_by_id: bool,
}
