//! Errors of responses that are not the list that was asked for.

use thiserror::Error;

/// Why an upstream's response is no answer. Details are for the log: they hold no content of items.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReadingError {
    /// A 4xx that the dialect does not explain: the client gets it as it is.
    #[error("the upstream answered {status}")]
    Failed {
        /// The status.
        status: u16,
        /// The body, as it came.
        body: Vec<u8>,
    },
    /// A 5xx, or an answer that the dialect knows as a failure in spite of its status.
    #[error("{0}")]
    Unavailable(String),
    /// A 3xx other than 304.
    #[error("the upstream redirects with {status}")]
    Redirected {
        /// The status.
        status: u16,
        /// Its `Location` without the query, where it is text: says what `upstream_path` should be.
        location: Option<String>,
    },
    /// Not what the dialect says a list looks like.
    #[error("{0}")]
    Malformed(String),
    /// Nested deeper than the route allows.
    #[error("the body is nested deeper than {0} levels")]
    TooDeep(u16),
    /// More items than any page needs.
    #[error("the body has more than {0} items")]
    TooManyItems(usize),
}
