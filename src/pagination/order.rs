//! The declared order of a collection: strong keys, by which the upstream sorts, then the id.

/// Which way a key runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}

/// Where the upstream puts nulls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nulls {
    /// The route does not say: a null can't be placed, and a page that holds one can't be proven.
    Unsaid,
    /// There are none; one that comes all the same contradicts the order.
    None,
    /// Nulls count as less than every value, whatever the direction.
    Smallest,
    /// Nulls count as more than every value, whatever the direction.
    Largest,
    /// Nulls come first, whatever the direction.
    First,
    /// Nulls come last, whatever the direction.
    Last,
}

/// How the values of a key compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Taken from the JSON type: numbers as numbers, strings by their UTF-8 bytes, false before true.
    Inferred,
    /// JSON numbers of any precision.
    Number,
    /// Numbers written as JSON strings.
    NumberInString,
    /// JSON strings, by their UTF-8 bytes.
    Text,
    /// RFC 3339 date-times or dates, as instants.
    Datetime,
    /// false before true.
    Boolean,
    /// UUIDs, without regard to case.
    Uuid,
    /// Strings in the order of this list.
    Rank(Vec<String>),
}

/// One key of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortKey {
    /// The field's name, as clients and the upstream's sort call it.
    pub name: String,
    /// Which way it runs.
    pub direction: Direction,
    /// How its values compare.
    pub kind: Kind,
    /// Where nulls stand.
    pub nulls: Nulls,
}

/// Whether the upstream orders items whose strong keys are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ties {
    /// It may give them in any order, and in another one per query: they are used as whole runs only.
    Unordered,
    /// It sorts them by the id.
    Ordered,
}

/// A declared order. `strong` may be empty: then the id alone orders the list, and there are no ties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The keys by which the upstream sorts, most significant first.
    pub strong: Vec<SortKey>,
    /// The id: the tie-breaker, unique.
    pub id: SortKey,
    /// Whether the upstream sorts ties by the id.
    pub ties: Ties,
}

impl Order {
    /// How many key columns an answer holds for each item: the strong keys, then the id.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.strong.len() + 1
    }
}
