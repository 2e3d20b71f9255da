//! The configuration in force, its replacement by a reload, and the start and end of the process.

pub mod files;
pub mod handover;
pub mod live;
pub mod memory_plan;
pub mod process;
pub mod reload;
pub mod renewal;
pub mod snapshot;
pub mod token_keys;
pub mod traces;
