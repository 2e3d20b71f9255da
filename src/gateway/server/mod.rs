//! The listener: connections, TLS, request heads, and the dispatch of requests to pages or to the upstream.

pub mod admission;
pub mod connection;
pub mod dispatch;
pub mod gate;
pub mod handshakes;
pub mod hooks;
pub mod listen;
