//! The listeners: connections, TLS, request heads, and the dispatch of requests to services, to pages or to the
//! upstream.

pub mod admission;
pub mod application;
pub mod connection;
pub mod dispatch;
pub mod gate;
pub mod handshakes;
mod http2;
pub mod listen;
mod request;
