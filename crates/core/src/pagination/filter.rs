//! Range filters: those that a route's endpoint offers, and those that the core asks for.

use super::key::KeyValue;

/// A comparison of a value, as the endpoint makes it: [`Comparison::Less`] of a descending key selects items that come
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

/// The items that are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// A column of the order compared with a value; without a value for `Null` and `NotNull`.
    Compare {
        /// The column: a strong key, or the id after the last of them.
        column: usize,
        /// The comparison.
        comparison: Comparison,
        /// The value that it is compared with.
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
    /// Null and not null.
    pub nulls: bool,
}

/// The filters that an endpoint has, for one order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    /// The comparisons of each column of the order: the strong keys, then the id.
    pub columns: Vec<Comparisons>,
    /// True if alternatives can be asked for: [`Filter::Or`].
    pub either: bool,
    /// True if several comparisons can be asked for at once: [`Filter::And`].
    pub both: bool,
    /// True if the endpoint can sort by the id alone: [`super::fetch::Listing::by_id`].
    pub sorts_by_id: bool,
}
