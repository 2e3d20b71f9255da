//! Errors of requests to upstreams.

use super::memory::MemoryExhausted;

/// The failure of a request to an upstream. Its text is only for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The connection failed, or broke before the answer began.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// The peer acknowledged nothing of a request (`TCP_USER_TIMEOUT`): a connection that a device between the gateway
    /// and the peer has forgotten, or a peer that has vanished.
    #[error("unavailable: {0}")]
    Lost(String),
    /// The gateway has no file descriptor left for a connection.
    #[error("no descriptor for a connection: {0}")]
    Exhausted(String),
    /// A time limit passed: for connecting, for the head, for a read or write, or for the whole answer.
    #[error("timeout: {0}")]
    Timeout(String),
    /// The body is larger than the limit of the fetch.
    #[error("too large: {0}")]
    TooLarge(String),
    /// The memory budget has no room for the body.
    #[error("overloaded: {0}")]
    Overloaded(#[from] MemoryExhausted),
    /// The answer broke off after it had begun.
    #[error("cut: {0}")]
    Cut(String),
    /// The first bytes of the response are no head of HTTP/1.1: another program might use the port.
    #[error("malformed: {0}")]
    NotHttp(String),
    /// The response isn't valid HTTP otherwise, has too large a head, has a content coding other than gzip, or can't be
    /// decoded.
    #[error("malformed: {0}")]
    Malformed(String),
}
