//! Directions of reading a list, and sides of what was read.
//!
//! A page that ends before an item is read [`Way::Backward`]: `windows` asks for the slice that ends at the item
//! (`judge::draft`, `Draft::way`, and `windows::aim`), `anchored` for the slice before its marks, `token` by a token
//! that leads back. Where the upstream can be asked for the flipped list, and filters or the depth call for it,
//! `keyset` reads that list forward instead and returns the page in the list's own order.

use std::cmp::Ordering;

/// The direction in which a list is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// From its start to its end.
    Forward,
    /// From its end to its start.
    Backward,
}

impl Way {
    /// Returns [`Way::Backward`] where `backward` is true.
    #[must_use]
    pub(super) fn of(backward: bool) -> Self {
        if backward { Self::Backward } else { Self::Forward }
    }

    #[must_use]
    pub(super) fn is_backward(self) -> bool {
        self == Self::Backward
    }

    /// Returns the other direction.
    #[must_use]
    pub(super) fn reversed(self) -> Self {
        Self::of(!self.is_backward())
    }

    /// Returns the index, in the list's order, of the item that is read as number `place` of `count`.
    #[must_use]
    pub(super) fn index(self, place: usize, count: usize) -> usize {
        if self.is_backward() { count - 1 - place } else { place }
    }

    /// Returns the order in which two items are read, from their order in the list.
    #[must_use]
    pub(super) fn read(self, ordering: Ordering) -> Ordering {
        if self.is_backward() { ordering.reverse() } else { ordering }
    }
}

/// A side of an answer, of a boundary, or of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Before,
    After,
}
