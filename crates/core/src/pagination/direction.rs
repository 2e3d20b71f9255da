//! Directions of reading a list, and the two sides of an answer, a boundary or an item.
//!
//! A page that ends before an item is read [`Way::Backward`]. `windows` requests the slice that ends at the item
//! (`windows::aim`), `anchored` requests the slice before its marks, and `token` follows a token that leads back. If
//! the upstream can flip the list, `keyset` may read the flipped list forward instead: for the last page, because of
//! filters, because of the largest depth, or because only the offset from the end is known. It then returns the page in
//! the list's own order.

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
    /// Returns [`Way::Backward`] if `backward` is true, and otherwise [`Way::Forward`].
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

    /// Returns the index, in the list's order, of the item that is read at `place` among `count` items. Both numbers
    /// count from 0.
    #[must_use]
    pub(super) fn index(self, place: usize, count: usize) -> usize {
        if self.is_backward() { count - 1 - place } else { place }
    }

    /// Converts the order of two items in the list into the order in which they are read.
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
