//! `/reload`: the result of the last reload, and a reload on request, as JSON.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::{
    config::secret::Secret,
    gateway::{
        lifecycle::reload::{ReloadCause, ReloadResult, Reloads},
        runtime::clock,
    },
};

/// The path of reloads.
pub(crate) const RELOAD_PATH: &str = "/reload";

/// The content type of results.
pub(super) const CONTENT_TYPE: &str = "application/json";

/// The time that a request waits for its reload: a file may be on a mount that hangs.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Serialize)]
struct ReloadReport<'r> {
    in_force: bool,
    cause: &'static str,
    finished: String,
    errors: usize,
    warnings: usize,
    needs_restart: &'r [String],
    /// Lines of the configuration, for those who may change it.
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<&'r str>,
}

/// Returns whether a request has the token. The time that it takes does not depend on the bytes that agree.
pub(super) fn is_authorized(headers: &HeaderMap, token: Option<&Secret>) -> bool {
    let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.as_bytes().split_at_checked(7));
    let sent = sent.filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"Bearer ")).map(|(_, token)| token);
    match (sent, token) {
        (Some(sent), Some(token)) => Sha256::digest(sent) == Sha256::digest(token.reveal()),
        _ => false,
    }
}

/// Renders a result. Its report is for those with the token.
#[expect(clippy::expect_used, reason = "JSON has texts, numbers and lists of texts")]
pub(super) fn render(result: &ReloadResult, with_report: bool) -> String {
    let report = ReloadReport {
        in_force: result.in_force,
        cause: result.cause.word(),
        finished: clock::rfc3339(result.finished),
        errors: result.errors,
        warnings: result.warnings,
        needs_restart: &result.needs_restart,
        report: with_report.then_some(&result.report),
    };
    serde_json::to_string(&report).expect("a result is JSON") + "\n"
}

/// Reloads, and returns the status and the result; nothing if it takes too long.
pub(super) async fn reload(reloads: &Reloads) -> Option<(StatusCode, Arc<ReloadResult>)> {
    let result = tokio::time::timeout(PATIENCE, reloads.reload(ReloadCause::Admin)).await.ok()?;
    let status = if result.in_force { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Some((status, result))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Row: A44
    #[test]
    fn a_token_is_compared_as_a_whole() {
        let token = Secret::new(b"sixteen-or-more-characters".to_vec());
        for (sent, known, authorized) in [
            ("Bearer sixteen-or-more-characters", Some(&token), true),
            ("bearer sixteen-or-more-characters", Some(&token), true),
            ("Bearer sixteen-or-more-character", Some(&token), false),
            ("Bearer ", Some(&token), false),
            ("Basic sixteen-or-more-characters", Some(&token), false),
            ("sixteen-or-more-characters", Some(&token), false),
            ("", Some(&token), false),
            ("Bearer ", None, false),
        ] {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, sent.parse().unwrap())]);
            assert_eq!(is_authorized(&headers, known), authorized, "{sent:?}");
        }
        assert!(!is_authorized(&HeaderMap::new(), Some(&token)));
    }
}
