//! `/healthz`: whether this process accepts requests. It does not report upstreams: a balancer that removed the gateway
//! because one upstream is down would remove the others with it.

use http::StatusCode;

/// The path of the health check.
pub(crate) const HEALTH_PATH: &str = "/healthz";

/// Returns the answer of the health check.
pub(super) const fn answer(stopping: bool) -> (StatusCode, &'static str) {
    if stopping { (StatusCode::SERVICE_UNAVAILABLE, "stopping\n") } else { (StatusCode::OK, "ok\n") }
}
