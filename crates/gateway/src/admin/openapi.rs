//! `/openapi.json`: the OpenAPI description of the routes in force. `?host=` selects the routes of a host.

use crate::{lifecycle::snapshot::Snapshot, openapi::DocumentReader, request::target::host_of};

/// The path of the OpenAPI description.
pub(super) const OPENAPI_PATH: &str = "/openapi.json";

/// Renders the description. `query` is the query of the request.
pub(super) fn render(snapshot: &Snapshot, query: Option<&str>) -> String {
    let host = query.unwrap_or_default().split('&').find_map(|pair| pair.strip_prefix("host="));
    snapshot.openapi.render(DocumentReader::Operator(host.map(host_of).as_deref()))
}
