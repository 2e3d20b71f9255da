//! Outcomes of requests: the mapping of failures to problems, the access log, metrics, traces, and counts of legacy
//! clients.

pub mod access_log;
pub mod evidence;
pub mod failure;
pub mod histogram;
pub mod metrics;
pub mod migration;
pub mod trace;
pub mod upstream_call;
