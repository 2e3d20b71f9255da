//! Where a client stands in a collection.

use super::{key::KeyValue, window::Offset};

/// The item that a position refers to: its keys and id as they were served. It need not exist any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The strong keys, in the order's sequence.
    pub keys: Vec<KeyValue>,
    /// The id.
    pub id: KeyValue,
}

/// A place between items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position {
    /// Before the first item; the page reads forward.
    Start,
    /// After the last item; the page reads backward.
    End,
    /// Right after this item; the page reads forward.
    After(Anchor),
    /// Right before this item; the page reads backward.
    Before(Anchor),
    /// At this offset, as the upstream counts: nothing is proven of it but offset 0. The page reads forward.
    At(Offset),
}

/// What helps to aim, and never proves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hint {
    /// The believed offset of the boundary: of the first item after it.
    pub offset: Offset,
    /// How many items beside the boundary, on the anchor's side, share the anchor's strong keys, the anchor among them;
    /// 0 where ties are ordered. A window must begin (or end) beyond all of them to show the run closed.
    pub run: u32,
    /// The collection's total when the page was served.
    pub total: Option<u64>,
}

/// A position and what helps to aim at it: what a page cursor says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Where.
    pub position: Position,
    /// How to find it.
    pub hint: Hint,
}
