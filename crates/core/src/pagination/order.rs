//! The declared order of a collection: the strong keys by which the upstream sorts, then the id.

/// The direction in which a list is sorted by a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The smallest value comes first.
    Ascending,
    /// The largest value comes first.
    Descending,
}

/// The place of nulls in the upstream's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nulls {
    /// The route doesn't declare the place of nulls. A page with a null can't be proven.
    Unsaid,
    /// The route declares that no value is null. A null contradicts the order.
    None,
    /// Nulls count as smaller than every value: they come first in ascending order, and last in descending order.
    Smallest,
    /// Nulls count as larger than every value: they come last in ascending order, and first in descending order.
    Largest,
    /// Nulls come first, whatever the direction.
    First,
    /// Nulls come last, whatever the direction.
    Last,
}

/// The kind of a key's values, which decides how they are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any type, compared by the type of the values: numbers as numbers, date-times as instants, other strings by their
    /// UTF-8 bytes, false before true.
    Inferred,
    /// JSON numbers of any precision.
    Number,
    /// Numbers written as JSON strings.
    NumberInString,
    /// JSON strings, compared by their UTF-8 bytes.
    Text,
    /// RFC 3339 date-times or dates, compared as instants.
    Datetime,
    /// Booleans, false before true.
    Boolean,
    /// UUIDs, compared without regard to case.
    Uuid,
    /// Only the strings of this list, in its order.
    Rank(Vec<String>),
    /// Values that only the upstream can compare. The core can only tell different spellings apart, and the upstream
    /// may treat two spellings as equal. Always the last strong key.
    Opaque,
}

/// The precision with which a key is shown, if the upstream sorts by finer values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grain {
    /// Whole days, although the list is sorted by the time of day too.
    Day,
    /// This number of digits after the point: 0 for whole numbers or seconds, 3 for thousandths or milliseconds.
    Digits(u8),
}

/// A field by which a list is sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortKey {
    /// The name of the field, both for clients and in the upstream's sort parameter.
    pub name: String,
    /// The direction in which the list is sorted by the key.
    pub direction: Direction,
    /// The kind of the key's values.
    pub kind: Kind,
    /// The place of nulls in the list.
    pub nulls: Nulls,
    /// The precision with which the key is shown, if the route declares that the upstream sorts by finer values. Items
    /// with equal shown values are then a run of ties in any order. `None` without such a declaration.
    pub grain: Option<Grain>,
}

impl SortKey {
    /// Returns an ascending key with this name. Its values are compared by their JSON types, and the place of nulls
    /// isn't declared.
    #[must_use]
    pub fn ascending(name: &str) -> Self {
        let (kind, nulls) = (Kind::Inferred, Nulls::Unsaid);
        Self { name: name.to_owned(), direction: Direction::Ascending, kind, nulls, grain: None }
    }

    /// Returns a descending key, otherwise the same as [`SortKey::ascending`].
    #[must_use]
    pub fn descending(name: &str) -> Self {
        Self { direction: Direction::Descending, ..Self::ascending(name) }
    }
}

/// The upstream's treatment of items whose strong keys are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ties {
    /// Ties come in any order, which may change with each query. They are used only as whole runs.
    Unordered,
    /// Ties are sorted by the id.
    Ordered,
}

/// The order of a collection: strong keys, then the id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The keys by which the upstream sorts, most significant first. Empty if no order is declared, or if the list is
    /// sorted only by the id (then there are no ties).
    pub(super) strong: Vec<SortKey>,
    /// The unique id of an item, which is the last key of its row ([`super::rows::row`]). `rows::compare_ids` and
    /// `rows::relate` sort items by the id; [`super::key::identity`] recognises equal ids.
    pub(super) id: SortKey,
    pub(super) ties: Ties,
    pub(super) declared: bool,
}

impl Order {
    /// Declares that a list is sorted by these strong keys, most significant first, and then by the unique id. Without
    /// strong keys the list is sorted only by the id.
    #[must_use]
    pub fn declared(strong: Vec<SortKey>, id: SortKey, ties: Ties) -> Self {
        Self { strong, id, ties, declared: true }
    }

    /// Declares no order. Items are told apart by their ids, or by their bytes if they have no id.
    #[must_use]
    pub fn undeclared(id: SortKey) -> Self {
        Self { strong: Vec::new(), id, ties: Ties::Unordered, declared: false }
    }

    /// Returns the keys by which the upstream sorts, most significant first.
    #[must_use]
    pub fn strong(&self) -> &[SortKey] {
        &self.strong
    }

    /// Returns the key of the unique id, which breaks ties.
    #[must_use]
    pub fn id(&self) -> &SortKey {
        &self.id
    }

    /// Returns all keys: the strong keys, then the id.
    pub fn keys(&self) -> impl Iterator<Item = &SortKey> {
        self.strong.iter().chain([&self.id])
    }

    /// Returns the upstream's treatment of items whose strong keys are equal.
    #[must_use]
    pub fn ties(&self) -> Ties {
        self.ties
    }

    /// Returns whether an order is declared.
    #[must_use]
    pub fn is_declared(&self) -> bool {
        self.declared
    }

    /// Returns this order with `ties` as the treatment of ties.
    #[must_use]
    pub fn with_ties(self, ties: Ties) -> Self {
        Self { ties, ..self }
    }

    /// Returns this order with ids sorted in `direction`.
    #[must_use]
    pub fn with_id_direction(self, direction: Direction) -> Self {
        Self { id: SortKey { direction, ..self.id }, ..self }
    }

    /// Returns the order of the flipped list, from the last item to the first.
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
                // Nulls that count as the smallest or the largest values change sides with the direction.
                same => same,
            };
        }
        flipped
    }

    /// Returns whether this order gives the place of one answer's item in another answer. Opaque values can only be
    /// told apart, and two spellings may be equal to the upstream (`Smith`, `smith`), so they give places only if the
    /// upstream sorts ties by the id. After a key that is shown more coarsely than it is stored, opaque values decide
    /// nothing.
    #[must_use]
    pub fn places_items(&self) -> bool {
        self.declared && (self.ties == Ties::Ordered || !self.ends_opaque())
    }

    /// Returns whether the last strong key is opaque and decides the order of items. After a key with a grain, an
    /// opaque key decides nothing.
    #[must_use]
    pub fn ends_opaque(&self) -> bool {
        match self.strong.split_last() {
            Some((last, before)) => last.kind == Kind::Opaque && before.iter().all(|key| key.grain.is_none()),
            None => false,
        }
    }

    /// Returns the number of keys per item: the strong keys, and the id.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.strong.len() + 1
    }
}
