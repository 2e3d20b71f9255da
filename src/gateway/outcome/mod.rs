//! Outcomes of requests: failures as problems, the access log, metrics, and counts of legacy clients.

pub mod access_log;
pub mod failure;
pub mod metrics;
pub mod migration;
