//! `/healthz`: whether this process wants requests. Says nothing of upstreams: a balancer that took the gateway out
//! because one of them is down would take the others with it.

use http::StatusCode;

/// Where health is asked for.
pub(crate) const HEALTH_PATH: &str = "/healthz";

/// What is answered.
pub(super) const fn answer(stopping: bool) -> (StatusCode, &'static str) {
    if stopping { (StatusCode::SERVICE_UNAVAILABLE, "stopping\n") } else { (StatusCode::OK, "ok\n") }
}
