//! The peers of an upstream: their names and addresses, their health, the choice among them, and retries.

pub mod health;
pub mod name;
pub mod peer;
pub mod resolver;
pub mod retry;
pub mod set;
pub mod visit;
