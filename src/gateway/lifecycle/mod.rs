//! The configuration in force, its replacement by a reload, and the start and end of the process.

pub(crate) mod files;
pub(crate) mod handover;
pub(crate) mod live;
pub(crate) mod memory_plan;
pub(crate) mod process;
pub(crate) mod reload;
pub(crate) mod renewal;
pub(crate) mod snapshot;
pub(crate) mod token_keys;
pub(crate) mod traces;
