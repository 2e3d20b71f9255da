//! The reasons why the items of an answer can't be compared with the declared order of their list.

/// The reason why an answer can't be used: the cause, and the items that show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsorted {
    /// The kind of the fault.
    pub cause: Cause,
    /// The items and fields that show it, and the remedy; for the operator. It names places and fields, never values.
    pub said: String,
}

/// The reason why items can't be compared, or the property that they contradict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// An item is an array, a text or a number, and has no members.
    NoObject,
    /// An item has no id, or one that is neither a text nor a number.
    NoId,
    /// An item lacks a key that the order names.
    NoKey,
    /// A key is null, and the place of nulls is not declared.
    Null,
    /// Two values of a key are of different types, or not of the declared one.
    Kind,
    /// Texts of digits are not in the order of their bytes: the upstream may sort them as numbers.
    Digits,
    /// Texts of a field without a declared type are not in the order of their bytes.
    Text,
    /// Values of a key contradict the declared order.
    Order,
    /// Items with equal keys are not in the order of their ids.
    Ties,
    /// An id stands twice in an answer.
    Twice,
}

impl Cause {
    /// All causes.
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

    /// Returns whether the items can be compared and contradict the order.
    pub(super) fn is_disorder(self) -> bool {
        matches!(self, Self::Digits | Self::Text | Self::Order)
    }

    /// Returns a fault with this cause; `said` describes the items that show it.
    pub(super) fn said(self, said: impl Into<String>) -> Unsorted {
        Unsorted { cause: self, said: said.into() }
    }
}
