//! The places that a scan looks for, its bounds, its result and its faults.

use super::{pointer::Pointer, span::Span};

/// The places that a scan looks for in a body.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    /// The place of the array of items.
    pub items: Pointer,
    /// The part of an element that is served, relative to the element. By default it is the element itself.
    pub item: Pointer,
    /// Places in an element, relative to the element. Each place is a column of the result.
    pub columns: Vec<Pointer>,
    /// Places in the body. A place inside the items array costs a second pass over that array.
    pub facts: Vec<Pointer>,
    /// The reading of an object at the place of the array of items.
    pub object: ItemsObject,
}

/// The reading of an object at the place of the array of items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ItemsObject {
    /// The body has another shape: [`JsonError::NotAnArray`].
    #[default]
    Refused,
    /// The object is the only element.
    Element,
    /// The values of the object's members are the elements, in the order of the body, whatever the names are.
    Elements,
}

/// The bounds of a scan.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The largest depth of nested arrays and objects.
    pub depth: u16,
    /// The largest number of elements of the items array.
    pub items: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 128, items: 100_000 }
    }
}

/// The result of a scan. All ranges are relative to the whole body, and don't include whitespace around a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageSpans {
    /// The range of the served part of each element; `None` if the array is missing or null.
    pub items: Option<Vec<Span>>,
    /// A row of ranges for each item, with a range for each of [`Shape::columns`]; [`Span::ABSENT`] if the element
    /// lacks the place.
    pub columns: Vec<Span>,
    /// A range for each fact; [`Span::ABSENT`] if the body lacks the place.
    pub facts: Vec<Span>,
}

/// The reason why a body can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonError {
    /// The body isn't JSON (RFC 8259) in UTF-8, or is longer than 4 GiB.
    Malformed {
        /// The offset of the first byte that isn't allowed there.
        at: usize,
    },
    /// Arrays and objects are nested deeper than [`Limits::depth`].
    TooDeep,
    /// The items array has more elements than [`Limits::items`].
    TooManyItems,
    /// The value at the items' place is neither an array nor null.
    NotAnArray,
    /// An element of the items array lacks the part that is served.
    ItemMissing {
        /// The index of the first such element, counted from 0.
        index: usize,
    },
}

impl std::fmt::Display for JsonError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Malformed { at } => write!(formatter, "not JSON at byte {at}"),
            Self::TooDeep => formatter.write_str("nested too deep"),
            Self::TooManyItems => formatter.write_str("too many elements"),
            Self::NotAnArray => formatter.write_str("the value at the items' place is not an array"),
            Self::ItemMissing { index } => write!(formatter, "element {index} has nothing at the item's place"),
        }
    }
}

impl std::error::Error for JsonError {}
