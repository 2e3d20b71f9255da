//! Lies of dialects: proof that the simulator can fail.
//!
//! A lie is a declaration of an operator or a vendor that is not true of the upstream. A core that believes it acts
//! like a core with a broken rule. Example: if a flag from a count is declared to come from the slice, the core ends
//! lists by counts. A walk with a lie must break a promise; `crate::broken` finds such walks, and switches off the
//! core's own rules one at a time in the same way.

/// An untrue declaration of an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    /// Short answers are declared to end the list, and the upstream caps sizes in silence.
    ShortIsEnd,
    /// The flag for "more items follow" is declared to come from the slice, and comes from a count.
    CountIsEnd,
    /// An answer with a past-the-end status is read as an empty answer that ends the list.
    StatusIsEnd,
    /// Ties are declared to be ordered, and each query shuffles them.
    TiesAreOrdered,
    /// A size that the upstream honoured in its first answers is not honoured later.
    CapShrinks,
    /// Short answers are declared to end the list, and rows are hidden after the limit.
    HidesRows,
    /// A lower bound is declared to be the exact total.
    BoundIsTotal,
    /// The list is sorted by a number, and its range filter compares the number as text.
    FiltersCompareText,
}

impl Lie {
    pub(crate) const ALL: [Self; 8] = [
        Self::ShortIsEnd,
        Self::CountIsEnd,
        Self::StatusIsEnd,
        Self::TiesAreOrdered,
        Self::CapShrinks,
        Self::HidesRows,
        Self::BoundIsTotal,
        Self::FiltersCompareText,
    ];

    /// Returns the promises of which a walk with this lie must break one.
    pub(crate) fn breaks(self) -> &'static [&'static str] {
        match self {
            Self::ShortIsEnd | Self::CountIsEnd | Self::StatusIsEnd | Self::CapShrinks | Self::HidesRows => {
                &["G1 none skipped", "ends"]
            }
            Self::TiesAreOrdered | Self::FiltersCompareText => &["G1 none skipped"],
            Self::BoundIsTotal => &["total"],
        }
    }
}
