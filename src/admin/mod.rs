//! Towards operators: a listener of its own, never a path among the clients' ones.

mod health;

pub use health::{HEALTH_PATH, service};
