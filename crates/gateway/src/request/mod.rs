//! Request heads: their bytes, target and path, and the client that they identify. All functions are pure.

pub mod head;
pub mod identity;
pub mod path;
pub mod target;
