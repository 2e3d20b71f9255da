//! Outcomes of requests: failures as problems, the access log, metrics, and counts of legacy clients.

pub(crate) mod access_log;
pub(crate) mod evidence;
pub(crate) mod failure;
pub(crate) mod histogram;
pub(crate) mod metrics;
pub(crate) mod migration;
pub(crate) mod trace;
pub(crate) mod upstream_call;
