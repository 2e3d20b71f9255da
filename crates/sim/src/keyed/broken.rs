//! Readings that lie, as a broken rule would accept them: proof that the simulator can fail.
//!
//! A core that is told that a count comes from the slice does what a core does that ends lists by counts, and so on:
//! each lie stands for something that an operator or a vendor says and that is not so. The core's own rules are
//! switched off one at a time beside these, by their names.

/// An untrue statement about an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    /// Every size is honoured, where sizes are capped in silence: any short answer ends the list.
    ShortIsEnd,
    /// The end by count is said to come from the slice.
    CountIsEnd,
    /// A past-the-end status is said to be an empty list that ends it.
    StatusIsEnd,
    /// Ties are said to be ordered, where each query shuffles them.
    TiesAreOrdered,
    /// A size that was honoured once is not honoured any more.
    CapShrinks,
    /// Rows are hidden after the limit, and short answers are said to be ends.
    HidesRows,
    /// A lower bound is said to be the total.
    BoundIsTotal,
    /// The list is sorted by a number, and the filter compares it as text.
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

    /// Returns the promises that must catch it.
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
