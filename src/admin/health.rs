//! `/livez`, `/readyz` and `/healthz`: checks whether this process answers, and whether it accepts requests. They don't
//! depend on upstreams: a balancer that removed the gateway because one upstream is down would cut off all others too.

use http::StatusCode;

/// The path of the liveness check, after which a process that hangs is restarted.
pub(crate) const LIVE_PATH: &str = "/livez";

/// The path of the readiness check, by which a balancer chooses among processes.
pub(crate) const READY_PATH: &str = "/readyz";

/// The earlier path of the readiness check.
pub(crate) const HEALTH_PATH: &str = "/healthz";

/// The answer of the liveness check.
pub(super) const LIVE: &str = "ok\n";

/// Returns the answer of the readiness check. A process whose shared store is down is ready: it serves without the
/// store.
pub(super) const fn readiness(stopping: bool, degraded: bool) -> (StatusCode, &'static str) {
    match (stopping, degraded) {
        (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
        (false, true) => (StatusCode::OK, "ok, but the shared store is degraded\n"),
        (false, false) => (StatusCode::OK, "ok\n"),
    }
}
