//! Request heads: their bytes, target and path, and the client that they identify. All functions are pure.

pub(crate) mod head;
pub(crate) mod identity;
pub(crate) mod path;
pub(crate) mod target;
