//! `/livez`, `/readyz` and `/healthz`: whether this process answers, and whether it accepts requests. They don't report
//! upstreams: a balancer that removed the gateway because one upstream is down would remove the others with it.

use http::StatusCode;

/// The path of the check by which a process that hangs is restarted.
pub(crate) const LIVE_PATH: &str = "/livez";

/// The path of the check by which a balancer chooses.
pub(crate) const READY_PATH: &str = "/readyz";

/// The earlier path of the same check.
pub(crate) const HEALTH_PATH: &str = "/healthz";

/// The answer of a process that answers at all.
pub(super) const LIVE: &str = "ok\n";

/// Returns the answer of the check for readiness. A process without the store that it shares serves all the same.
pub(super) const fn readiness(stopping: bool, degraded: bool) -> (StatusCode, &'static str) {
    match (stopping, degraded) {
        (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
        (false, true) => (StatusCode::OK, "ok, but the shared store is degraded\n"),
        (false, false) => (StatusCode::OK, "ok\n"),
    }
}
