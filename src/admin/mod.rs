//! Towards operators: a listener of its own, never a path among the clients' ones.

mod health;
mod metrics;
mod migration;
mod openapi;
mod service;

pub(crate) use health::HEALTH_PATH;
pub(crate) use service::{Admin, service};
