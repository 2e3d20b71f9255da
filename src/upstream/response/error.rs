//! Errors of responses that are not the list that was asked for.

use thiserror::Error;

/// The reason that a response is no list. Details are for the log and contain no part of an item.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReadingError {
    /// A 4xx that the dialect does not describe. The client gets its status and body, unless it refuses the gateway's
    /// own paging parameters.
    #[error("the upstream answered {status}")]
    Failed {
        /// The status, 400 to 499.
        status: u16,
        /// The body as it came.
        body: Vec<u8>,
    },
    /// A 5xx, or a success that the dialect declares a failure.
    #[error("{0}")]
    Unavailable(String),
    /// A 3xx other than 304.
    #[error("the upstream redirects with {status}")]
    Redirected {
        /// The status, 300 to 399.
        status: u16,
        /// The `Location` without its query, if it is text: it shows what `upstream_path` should be.
        location: Option<String>,
    },
    /// The body is not the list that the dialect describes.
    #[error("{0}")]
    Malformed(String),
    /// The body is nested deeper than the route allows.
    #[error("the body is nested deeper than {0} levels")]
    TooDeep(u16),
    /// The body has more items than any page needs.
    #[error("the body has more than {0} items")]
    TooManyItems(usize),
}
