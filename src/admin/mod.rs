//! Towards operators: a listener of its own, never a path among the clients' ones.

mod health;
mod metrics;
mod migration;
mod openapi;
mod service;

pub use health::HEALTH_PATH;
pub use metrics::METRICS_PATH;
pub use migration::MIGRATION_PATH;
pub use openapi::OPENAPI_PATH;
pub use service::{Admin, service};
