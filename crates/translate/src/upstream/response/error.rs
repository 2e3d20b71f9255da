//! Errors of responses that aren't the requested list.

use thiserror::Error;

/// The reason why a response isn't a list. Details are for the log and contain no part of an item.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReadingError {
    /// A 4xx that the dialect doesn't describe. The client gets this status and body, unless the upstream refuses the
    /// gateway's own paging parameters.
    #[error("the upstream answered {status}")]
    Failed {
        /// The status, 400 to 499.
        status: u16,
        /// The body as it was received.
        body: Vec<u8>,
    },
    /// A 5xx, or a successful status if the dialect calls the answer a failure.
    #[error("{0}")]
    Unavailable(String),
    /// A 3xx other than 304.
    #[error("the upstream redirects with {status}")]
    Redirected {
        /// The status, 300 to 399.
        status: u16,
        /// The `Location` without its query; `None` if it isn't text. An operator can often read the right
        /// `upstream_path` from it.
        location: Option<String>,
    },
    /// The body isn't the list that the dialect describes.
    #[error("{0}")]
    Malformed(String),
    /// The body is nested deeper than the route allows.
    #[error("the body is nested deeper than {0} levels")]
    TooDeep(u16),
    /// The body has more items than any page needs.
    #[error("the body has more than {0} items")]
    TooManyItems(usize),
}
