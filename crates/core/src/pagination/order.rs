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
    /// Taken from the value: numbers as numbers, date-times as instants, other strings by their UTF-8 bytes, false before
    /// true.
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
    /// Whatever the upstream sorts by: values can only be told apart, and two that are spelt differently may be equal to
    /// it. Always the last strong key.
    Opaque,
}

/// How coarsely a key is shown compared with how it is sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grain {
    /// Whole days, of a key that is sorted by the time of the day too.
    Day,
    /// So many digits behind the point: 0 whole numbers or seconds, 3 thousandths or milliseconds.
    Digits(u8),
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
    /// How coarsely it is shown, where the route says so: items with equal values are then a run of ties in any order.
    pub grain: Option<Grain>,
}

/// Whether the upstream orders items whose strong keys are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ties {
    /// It may give them in any order, and in another one per query: they are used as whole runs only.
    Unordered,
    /// It sorts them by the id.
    Ordered,
}

/// The order of a collection. `strong` may be empty: then the id alone orders the list, and there are no ties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The keys by which the upstream sorts, most significant first.
    pub strong: Vec<SortKey>,
    /// The id: the tie-breaker, unique.
    pub id: SortKey,
    /// Whether the upstream sorts ties by the id.
    pub ties: Ties,
    /// The list is declared to be sorted so. Else nothing is known of its order: `strong` is empty, the id tells items
    /// apart, and where an item has none, its bytes do.
    pub declared: bool,
}

impl Order {
    /// The same order from the last item to the first.
    #[must_use]
    pub fn flipped(&self) -> Self {
        let mut flipped = self.clone();
        for key in flipped.strong.iter_mut().chain([&mut flipped.id]) {
            key.direction = match key.direction {
                Direction::Ascending => Direction::Descending,
                Direction::Descending => Direction::Ascending,
            };
            key.nulls = match key.nulls {
                Nulls::First => Nulls::Last,
                Nulls::Last => Nulls::First,
                same => same,
            };
        }
        flipped
    }

    /// Whether this order tells where an item of one answer stands in another: two answers can then be held against each
    /// other. Of values that can only be told apart, two that are spelt differently may be equal to the upstream (`Smith`,
    /// `smith`), so that nothing shows where a run of ties ends. They tell places only where the upstream sorts ties by the
    /// id. Behind a key that is shown more coarsely than it is sorted they tell nothing, and nothing hangs on them.
    #[must_use]
    pub fn places_items(&self) -> bool {
        self.declared && (self.ties == Ties::Ordered || !self.ends_opaque())
    }

    /// Whether the order ends with values that can only be told apart, and hangs on them.
    #[must_use]
    pub fn ends_opaque(&self) -> bool {
        match self.strong.split_last() {
            Some((last, before)) => last.kind == Kind::Opaque && before.iter().all(|key| key.grain.is_none()),
            None => false,
        }
    }

    /// How many key columns an answer holds for each item: the strong keys, then the id.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.strong.len() + 1
    }
}
