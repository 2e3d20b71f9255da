//! The reasons for which no page can be served. A refusal is an outcome, not an error.

use super::{unsorted::Unsorted, window::Offset};

/// The reason why no page can be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The cursor's place was searched for and not found, or the answers contradict each other about the place.
    PositionLost {
        /// The expected offset of the page; 0 in a list by token.
        nearest: Offset,
    },
    /// A tie run whose order is undefined is longer than an answer, or no answer shows which of the run's items were
    /// served.
    TieRun {
        /// The expected offset of the page; 0 in a list by token.
        nearest: Offset,
    },
    /// The page is deeper in the list than the upstream answers.
    TooDeep,
    /// The page couldn't be completed within its budget of upstream requests.
    BudgetExceeded,
    /// The items contradict the declared order, or lack its keys.
    Unsorted(Unsorted),
    /// The upstream's answers don't advance in the list: different offsets give the same items, tokens go round in a
    /// circle, or an answer states that more items follow but has no token.
    Stuck,
    /// The upstream has no token after a full answer, twice, and its total promises at least another full answer.
    EndContradicted {
        /// The number of items up to the end that the missing token claims.
        passed: u64,
        /// The number of items by the total.
        total: u64,
    },
    /// The upstream answered a request for the start of the list with its past-the-end status.
    NoList,
    /// The item that the cursor names is deleted or has changed, and the keys with which it was served aren't known.
    PivotGone {
        /// The expected offset of the page.
        nearest: Offset,
    },
    /// The upstream no longer accepts the token that leads to the page.
    TokenGone,
    /// No upstream request can express the position. Examples are the end of a list by token, and a previous page if
    /// tokens lead only forward.
    Unsupported,
}
