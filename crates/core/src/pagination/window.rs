//! Places in a collection as upstreams name them. Offsets are estimates: they help to aim and never prove.

/// A place in the collection, counted from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Offset(pub u64);

impl Offset {
    /// The farthest offset that is believed. Cursors and upstreams may name any number; with this bound, sums of
    /// offsets and counts don't overflow.
    pub(super) const FARTHEST: Self = Self(1 << 62);

    /// Returns this offset, or the farthest that is believed.
    #[must_use]
    pub fn believed(self) -> Self {
        self.min(Self::FARTHEST)
    }
}

/// A page number, counted from 0 whatever the upstream calls its first page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PageNumber(pub u64);

/// The number of items that an upstream is asked for; at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PageSize(pub u32);

/// Some neighbouring items of a list, as upstreams are asked for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slice {
    /// `size` items from `from` on.
    Offset {
        /// The first item asked for.
        from: Offset,
        /// The number of items.
        size: PageSize,
    },
    /// The page `number` of pages of `size`.
    Page {
        /// The number of the page.
        number: PageNumber,
        /// The size of the pages.
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

    /// Returns the number of items that are asked for.
    #[must_use]
    pub fn size(self) -> PageSize {
        match self {
            Self::Offset { size, .. } | Self::Page { size, .. } => size,
        }
    }
}
