//! Marks: keyed fingerprints by which items are recognised if keys can't give their place.

use std::{fmt, sync::Arc};

/// A keyed fingerprint of 40 bits: of an item's id, of the whole item if it has no id, or of a pivot's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark(u64);

impl Mark {
    /// The number of bits of a mark.
    pub const BITS: u32 = 40;

    /// Makes a mark from the lowest [`Mark::BITS`] bits of a number.
    #[must_use]
    pub const fn of(number: u64) -> Self {
        Self(number & ((1 << Self::BITS) - 1))
    }

    /// Returns the mark as a number below 2^40.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// A function that makes marks. The core has no secret key, so its caller supplies the function.
#[derive(Clone)]
pub struct Marker(Arc<Marking>);

/// The signature of a function that makes marks.
type Marking = dyn Fn(&[u8]) -> Mark + Send + Sync;

impl Marker {
    /// Makes a marker from a function, which must return the same mark for the same bytes.
    #[must_use]
    pub fn new(mark: impl Fn(&[u8]) -> Mark + Send + Sync + 'static) -> Self {
        Self(Arc::new(mark))
    }

    /// Returns the mark of `bytes`.
    #[must_use]
    pub fn mark(&self, bytes: &[u8]) -> Mark {
        (self.0)(bytes)
    }
}

impl fmt::Debug for Marker {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Marker")
    }
}
