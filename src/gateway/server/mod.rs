//! The listeners: connections, TLS, request heads, and the dispatch of requests to services, to pages or to the
//! upstream.

pub(crate) mod admission;
pub(crate) mod connection;
pub(crate) mod dispatch;
pub(crate) mod gate;
pub(crate) mod handshakes;
pub(crate) mod hooks;
mod http2;
pub(crate) mod listen;
