//! Network I/O: names, connections, requests with bounds, and the memory that bodies may use.

pub mod connection;
pub mod error;
pub mod fetch;
pub mod health;
pub mod memory;
pub mod resolve;
mod session;
