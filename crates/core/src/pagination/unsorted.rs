//! The reasons why the items of an answer don't fit the declared order of their list.

/// The reason why an answer can't be used: the cause, and a text about the items that show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsorted {
    /// The kind of the fault.
    pub cause: Cause,
    /// A text for the operator: the items and fields that show the fault, and the remedy. The text contains no values.
    pub said: String,
}

/// The reason why items can't be compared, or the property that they contradict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// An item isn't an object, so it has no members.
    NoObject,
    /// An item has no id, or an id that is neither a string nor a number.
    NoId,
    /// An item lacks a key that the order names.
    NoKey,
    /// A key is null, and the place of nulls is not declared.
    Null,
    /// Two values of a key have different types, or a value isn't of the declared kind.
    Kind,
    /// Strings of digits aren't in the order of their bytes. The upstream may sort them as numbers.
    Digits,
    /// Strings of a field without a declared type aren't in the order of their bytes.
    Text,
    /// Values of a key contradict the declared order.
    Order,
    /// Items with equal keys aren't in the order of their ids, although ties are declared to be ordered.
    Ties,
    /// An id comes twice in an answer.
    Twice,
}

impl Cause {
    /// All causes, in the order of their definition.
    pub const ALL: [Self; 10] = [
        Self::NoObject,
        Self::NoId,
        Self::NoKey,
        Self::Null,
        Self::Kind,
        Self::Digits,
        Self::Text,
        Self::Order,
        Self::Ties,
        Self::Twice,
    ];

    /// Returns whether the items can be compared, but contradict the order by their keys.
    pub(super) fn is_disorder(self) -> bool {
        matches!(self, Self::Digits | Self::Text | Self::Order)
    }

    /// Makes a fault with this cause. The text `said` describes the items that show it.
    pub(super) fn said(self, said: impl Into<String>) -> Unsorted {
        Unsorted { cause: self, said: said.into() }
    }
}
