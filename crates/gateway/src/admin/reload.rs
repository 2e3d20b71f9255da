//! `/reload`: the result of the last reload, and a reload on request, as JSON.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use serde::Serialize;

use crate::{
    lifecycle::reload::{ReloadCause, ReloadResult, Reloads},
    runtime::clock,
};

/// The path at which the result of the last reload is read, and to which requests for a reload are sent.
pub const RELOAD_PATH: &str = "/reload";

/// The longest time that a request waits for its reload, which may hang on a file system. The request is then answered
/// with 202.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Serialize)]
struct ReloadReport<'r> {
    in_force: bool,
    cause: &'static str,
    finished: String,
    errors: usize,
    warnings: usize,
    needs_restart: &'r [String],
    /// The diagnostics, which quote lines of the configuration. Only requests with the token get them.
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<&'r str>,
    /// The results of earlier reloads, the latest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    earlier: Vec<Self>,
}

/// Renders the result of a reload, and the results of earlier reloads. `with_report` adds the diagnostics, which only
/// requests with the token may get.
#[expect(clippy::expect_used, reason = "JSON has strings, numbers and lists of strings")]
pub(super) fn render(result: &ReloadResult, earlier: &[Arc<ReloadResult>], with_report: bool) -> String {
    let mut report = described(result);
    report.report = with_report.then_some(&result.report);
    report.earlier = earlier.iter().map(|result| described(result)).collect();
    serde_json::to_string(&report).expect("a result is JSON") + "\n"
}

fn described(result: &ReloadResult) -> ReloadReport<'_> {
    ReloadReport {
        in_force: result.in_force,
        cause: result.cause.word(),
        finished: clock::rfc3339(result.finished),
        errors: result.errors,
        warnings: result.warnings,
        needs_restart: &result.needs_restart,
        report: None,
        earlier: Vec::new(),
    }
}

/// Reloads the configuration, and returns the status and the result; `None` if it takes longer than [`PATIENCE`].
pub(super) async fn reload(reloads: &Reloads) -> Option<(StatusCode, Arc<ReloadResult>)> {
    // A longer reload continues in its own thread, and `None` is returned. Test:
    // `a_reload_that_hangs_stops_no_signal`.
    let result = tokio::time::timeout(PATIENCE, reloads.reload(ReloadCause::Admin)).await.ok()?;
    let status = if result.in_force { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Some((status, result))
}
