//! Errors of requests to upstreams.

use super::memory::MemoryExhausted;

/// Why there is no answer. The text is for the log alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// No connection, or it broke before the answer began.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// The gateway itself has no descriptor for a connection.
    #[error("no descriptor for a connection: {0}")]
    Exhausted(String),
    /// One of the deadlines passed.
    #[error("timeout: {0}")]
    Timeout(String),
    /// The body is larger than the budget.
    #[error("too large: {0}")]
    TooLarge(String),
    /// The gateway has no room for the body.
    #[error("overloaded: {0}")]
    Overloaded(#[from] MemoryExhausted),
    /// It broke off after it had begun.
    #[error("cut: {0}")]
    Cut(String),
    /// It is no HTTP answer, or has a content coding that was not asked for.
    #[error("malformed: {0}")]
    Malformed(String),
}
