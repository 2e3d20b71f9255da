//! The reasons for which no page can be served. A refusal is an outcome, not an error.

use super::{unsorted::Unsorted, window::Offset};

/// The reason why no page can be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The place of the cursor was searched for and not found, or answers contradict each other about it.
    PositionLost {
        /// The expected offset of the page; 0 in a list by token.
        nearest: Offset,
    },
    /// A run of equal keys, whose items come in any order, is longer than an answer, or does not show which of its
    /// items were served.
    TieRun {
        /// The expected offset of the page; 0 in a list by token.
        nearest: Offset,
    },
    /// The page lies deeper in the list than the upstream answers.
    TooDeep,
    /// The page could not be filled within the requests allowed.
    BudgetExceeded,
    /// The items contradict the declared order, or lack its keys.
    Unsorted(Unsorted),
    /// The upstream does not lead on: it gives the same items at different offsets, its tokens go round in a circle, or
    /// an answer states that more items follow and has no token.
    Stuck,
    /// The upstream answered the very start of the list with its past-the-end status.
    NoList,
    /// The item that the cursor names is gone or has changed, and its keys as they were served are not known.
    PivotGone {
        /// The expected offset of the page.
        nearest: Offset,
    },
    /// The upstream does not know its token any more.
    TokenGone,
    /// The upstream can't be asked for this: for example the end of a list by token, or a page back where tokens only
    /// lead on.
    Unsupported,
}
