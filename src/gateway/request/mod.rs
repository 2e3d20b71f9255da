//! Request heads: their bytes, target and path, and the principal that they name. Pure functions.

pub mod caller;
pub mod head;
pub mod path;
pub mod target;
