//! Network I/O: names, connections, requests with bounds, and the memory that bodies may use.

mod certificate_fault;
pub mod check;
pub mod clock_comparison;
pub mod connection;
pub(crate) mod connectors;
pub mod error;
pub mod fetch;
pub mod memory;
pub mod peers;
mod session;
