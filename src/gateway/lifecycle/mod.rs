//! The configuration in force, its replacement by a reload, and the start and end of the process.

pub mod live;
pub mod process;
pub mod reload;
pub mod snapshot;
