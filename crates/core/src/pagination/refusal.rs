//! Why no page can be served: an outcome, not an error.

use super::{unsorted::Unsorted, window::Offset};

/// Why no page can be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The boundary is not where it is believed to be.
    PositionLost {
        /// The expected offset of the page.
        nearest: Offset,
    },
    /// A run of equal keys is longer than an answer.
    TieRun {
        /// The offset at which the run was met.
        nearest: Offset,
    },
    /// The upstream answers no deeper than this.
    TooDeep,
    /// The page could not be filled within the requests allowed.
    BudgetExceeded,
    /// The items contradict the declared order, or lack its keys.
    Unsorted(Unsorted),
    /// Different offsets gave the same items: the upstream ignores its paging parameter.
    Stuck,
    /// The upstream said "past the end" of its very start.
    NoList,
    /// The item that the cursor names is gone or has changed, and its keys as they were served are not known.
    PivotGone {
        /// The expected offset of the page.
        nearest: Offset,
    },
    /// The upstream does not know its token any more.
    TokenGone,
    /// The upstream can't be asked for this: the end of a list by token, or a page back where tokens only lead on.
    Unsupported,
}
