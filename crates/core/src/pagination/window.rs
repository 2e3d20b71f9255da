//! Places in a collection, in the form that upstream requests use. Offsets are estimates: they help to aim and never
//! prove.

/// A place in the collection, counted from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Offset(pub u64);

impl Offset {
    /// The largest offset that is believed. Cursors and upstreams may name any number; with this bound, sums of offsets
    /// and counts don't overflow.
    pub(super) const FARTHEST: Self = Self(1 << 62);

    /// Returns this offset, but at most 2^62, so later sums don't overflow.
    #[must_use]
    pub fn believed(self) -> Self {
        self.min(Self::FARTHEST)
    }
}

/// A page number, counted from 0 even if the upstream counts from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PageNumber(pub u64);

/// The number of items that a request asks for; at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PageSize(pub u32);

/// Neighbouring items of a list, in the form of an upstream request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slice {
    /// The items from an offset on.
    Offset {
        /// The offset of the first item.
        from: Offset,
        /// The number of items.
        size: PageSize,
    },
    /// A page with a number, if all pages have the same size.
    Page {
        /// The number of the page.
        number: PageNumber,
        /// The number of items of each page.
        size: PageSize,
    },
}

impl Slice {
    /// Returns the offset at which the answer is believed to begin.
    #[must_use]
    pub fn begins(self) -> Offset {
        match self {
            Self::Offset { from, .. } => from,
            Self::Page { number, size } => Offset(number.0.saturating_mul(u64::from(size.0))),
        }
    }

    /// Returns the number of items of the request.
    #[must_use]
    pub fn size(self) -> PageSize {
        match self {
            Self::Offset { size, .. } | Self::Page { size, .. } => size,
        }
    }
}
