//! The side of operators: a listener of its own, whose paths never mix with those of clients.

mod certificates;
mod health;
mod metrics;
mod migration;
mod openapi;
mod reload;
mod service;
mod upstreams;

pub(crate) use health::HEALTH_PATH;
pub(crate) use service::{Admin, service};
