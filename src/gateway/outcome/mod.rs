//! Outcomes of requests: the mapping of failures to problems, the access log, metrics, traces, and counts of legacy
//! clients.

pub(crate) mod access_log;
pub(crate) mod evidence;
pub(crate) mod failure;
pub(crate) mod histogram;
pub(crate) mod metrics;
pub(crate) mod migration;
pub(crate) mod trace;
pub(crate) mod upstream_call;
