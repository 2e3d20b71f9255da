//! `/livez`, `/readyz` and `/healthz`: checks whether this process answers, and whether it accepts requests. They don't
//! depend on upstreams: if a load balancer removed the gateway because one upstream is down, clients could not reach
//! the other upstreams either.

use http::StatusCode;

use crate::lifecycle::process::PulseState;

/// The path of the liveness check. If it fails, an orchestrator restarts the process.
pub(super) const LIVE_PATH: &str = "/livez";

/// The path of the readiness check. A load balancer sends requests only to processes that pass it.
pub(super) const READY_PATH: &str = "/readyz";

/// The former path of the readiness check, which is still answered.
pub const HEALTH_PATH: &str = "/healthz";

/// Returns the status and the text of the liveness check. It fails once no client has been served for long enough that
/// only a restart helps.
pub(super) const fn liveness(pulse: PulseState) -> (StatusCode, &'static str) {
    match pulse {
        PulseState::Dead => (StatusCode::SERVICE_UNAVAILABLE, "the threads that serve clients are blocked\n"),
        PulseState::Beating | PulseState::Stalled => (StatusCode::OK, "ok\n"),
    }
}

/// Returns the status and the text of the readiness check. A process is ready if a store is down, because it serves
/// pages without the store; the text then says so of each such store, as `down` does.
pub(super) fn readiness(
    stopping: bool,
    pulse: PulseState,
    down: &[String],
) -> (StatusCode, std::borrow::Cow<'static, str>) {
    match (stopping, pulse) {
        (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n".into()),
        (false, PulseState::Stalled | PulseState::Dead) => {
            (StatusCode::SERVICE_UNAVAILABLE, "the threads that serve clients are blocked\n".into())
        }
        (false, PulseState::Beating) if down.is_empty() => (StatusCode::OK, "ok\n".into()),
        (false, PulseState::Beating) => (StatusCode::OK, format!("ok, but {}\n", down.join(", ")).into()),
    }
}
