//! `/openapi.json`: what the routes in force look like to clients. `?host=` asks for those of one host.

use crate::gateway::{Snapshot, request::target::host_of};

/// Where the description is asked for.
pub(crate) const OPENAPI_PATH: &str = "/openapi.json";

/// The media type of JSON documents.
pub(super) const CONTENT_TYPE: &str = "application/json";

/// The document; `query` is the request's.
pub(super) fn render(snapshot: &Snapshot, query: Option<&str>) -> String {
    let host = query.unwrap_or_default().split('&').find_map(|pair| pair.strip_prefix("host="));
    snapshot.openapi.render(host.map(host_of).as_deref())
}
