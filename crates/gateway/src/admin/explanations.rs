//! `/explanations`: the requests that were explained, and at `/explanations/REQUEST_ID` the explanation of one request,
//! as JSON. Explanations contain values of queries and of items, so reading them needs the token.

use http::StatusCode;
use serde_json::json;

use crate::{lifecycle::snapshot::Snapshot, runtime::clock, shared::explanations::KeptExplanation};

/// The path of the list of explanations. A request id may follow it.
pub(super) const EXPLANATIONS_PATH: &str = "/explanations";

/// Returns the request id in the path of a single explanation; `None` for other paths.
pub(super) fn id_in(path: &str) -> Option<&str> {
    path.strip_prefix(EXPLANATIONS_PATH)?.strip_prefix('/').filter(|id| !id.is_empty())
}

/// Returns the list of explanations, the latest first; `None` without `admin.explain_key`.
pub(super) fn list(snapshot: &Snapshot) -> Option<String> {
    let all = snapshot.explanations.as_ref()?.all(clock::unix_seconds());
    let row = |kept: &KeptExplanation| json!({ "request_id": kept.request_id, "route": kept.route, "at": clock::rfc3339(kept.at) });
    let rows: Vec<_> = all.iter().map(row).collect();
    Some(format!("{}\n", json!({ "explanations": rows })))
}

/// Returns the explanation of a request, or a 404 if no explanation of the request is kept.
pub(super) fn one(snapshot: &Snapshot, request_id: &str) -> Result<String, (StatusCode, &'static str)> {
    let all = snapshot.explanations.as_ref().map(|kept| kept.all(clock::unix_seconds())).unwrap_or_default();
    let found = all.into_iter().find(|kept| kept.request_id == request_id);
    let text = found.map(|kept| format!("{}\n", kept.text));
    text.ok_or((StatusCode::NOT_FOUND, "no explanation of this request is kept: /explanations lists them\n"))
}
