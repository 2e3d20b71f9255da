//! The declared order of a collection: strong keys, by which the upstream sorts, then the id.

/// The direction in which a key runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}

/// The place of nulls in the upstream's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nulls {
    /// The route does not declare it: a null can't be placed, and a page that has one can't be proven.
    Unsaid,
    /// No value is null; a null that comes all the same contradicts the order.
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

/// The comparison of a key's values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// By the type of the values: numbers as numbers, date-times as instants, other strings by their UTF-8 bytes, false
    /// before true.
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
    /// By rules that only the upstream knows: values can only be told apart, and two that are spelt differently may be
    /// equal to it. Always the last strong key.
    Opaque,
}

/// The precision with which a key is shown, if the upstream sorts it more finely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grain {
    /// Whole days, of a key that is sorted by the time of the day too.
    Day,
    /// This number of digits after the point: 0 for whole numbers or seconds, 3 for thousandths or milliseconds.
    Digits(u8),
}

/// A key of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortKey {
    /// The field's name, as clients and the upstream's sort call it.
    pub name: String,
    /// The direction in which the key runs.
    pub direction: Direction,
    /// The comparison of its values.
    pub kind: Kind,
    /// The place of nulls.
    pub nulls: Nulls,
    /// The precision with which the key is shown, if the route declares that it is sorted more finely. Items with equal
    /// values are then a run of ties in any order.
    pub grain: Option<Grain>,
}

impl SortKey {
    /// Returns a key of this name, smallest value first, whose values compare by their JSON types. The place of nulls
    /// is not declared.
    #[must_use]
    pub fn ascending(name: &str) -> Self {
        let (kind, nulls) = (Kind::Inferred, Nulls::Unsaid);
        Self { name: name.to_owned(), direction: Direction::Ascending, kind, nulls, grain: None }
    }

    /// Returns a key whose largest value comes first.
    #[must_use]
    pub fn descending(name: &str) -> Self {
        Self { direction: Direction::Descending, ..Self::ascending(name) }
    }
}

/// The upstream's treatment of items whose strong keys are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ties {
    /// Ties come in any order, and in another one per query: they are used as whole runs only.
    Unordered,
    /// Ties are sorted by the id.
    Ordered,
}

/// The order of a collection: strong keys, then the id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The keys by which the upstream sorts, most significant first. Empty where the id alone orders the list (then
    /// there are no ties), and where no order is declared.
    pub(super) strong: Vec<SortKey>,
    /// The unique id of an item: the last key of its row ([`super::rows::row`]). `rows::compare_ids` and `rows::relate`
    /// order items by it, [`super::key::identity`] recognises equal ones.
    pub(super) id: SortKey,
    pub(super) ties: Ties,
    pub(super) declared: bool,
}

impl Order {
    /// Declares that a list is sorted by these strong keys, most significant first, and then by the unique id. Without
    /// strong keys the id alone orders the list.
    #[must_use]
    pub fn declared(strong: Vec<SortKey>, id: SortKey, ties: Ties) -> Self {
        Self { strong, id, ties, declared: true }
    }

    /// Declares no order: items are distinguished by the id, and an item that has none by its bytes.
    #[must_use]
    pub fn undeclared(id: SortKey) -> Self {
        Self { strong: Vec::new(), id, ties: Ties::Unordered, declared: false }
    }

    /// Returns the keys by which the upstream sorts, most significant first.
    #[must_use]
    pub fn strong(&self) -> &[SortKey] {
        &self.strong
    }

    /// Returns the id: the tie-breaker, unique.
    #[must_use]
    pub fn id(&self) -> &SortKey {
        &self.id
    }

    /// Returns all keys: the strong keys, then the id.
    pub fn keys(&self) -> impl Iterator<Item = &SortKey> {
        self.strong.iter().chain([&self.id])
    }

    /// Returns the order of items that are equal by all strong keys.
    #[must_use]
    pub fn ties(&self) -> Ties {
        self.ties
    }

    /// Returns whether the list is declared to be sorted.
    #[must_use]
    pub fn is_declared(&self) -> bool {
        self.declared
    }

    /// Returns this order with this treatment of ties.
    #[must_use]
    pub fn with_ties(self, ties: Ties) -> Self {
        Self { ties, ..self }
    }

    /// Returns this order with ids that run in this direction.
    #[must_use]
    pub fn with_id_direction(self, direction: Direction) -> Self {
        Self { id: SortKey { direction, ..self.id }, ..self }
    }

    /// Returns the order from the last item to the first.
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
                // Nulls that count as the smallest or the largest values turn with the direction.
                same => same,
            };
        }
        flipped
    }

    /// Returns whether this order gives the place of one answer's item in another answer, so that two answers can be
    /// compared. Opaque values can only be told apart, and two that are spelt differently may be equal to the upstream
    /// (`Smith`, `smith`): they give places only if the upstream sorts ties by the id. After a key that is shown more
    /// coarsely than it is sorted, they decide nothing.
    #[must_use]
    pub fn places_items(&self) -> bool {
        self.declared && (self.ties == Ties::Ordered || !self.ends_opaque())
    }

    /// Returns whether the order ends with values that can only be told apart, and depends on them.
    #[must_use]
    pub fn ends_opaque(&self) -> bool {
        match self.strong.split_last() {
            Some((last, before)) => last.kind == Kind::Opaque && before.iter().all(|key| key.grain.is_none()),
            None => false,
        }
    }

    /// Returns the number of key columns that an answer has for each item: the strong keys, then the id.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.strong.len() + 1
    }
}
