//! `/purge`: drops the cached pages of a route or of a tag.

use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::access::Denial;
use crate::{cache::purge, lifecycle::snapshot::Snapshot, shared::pages::generations::PurgeSubject};

/// The path to which purges are sent.
pub(super) const PURGE_PATH: &str = "/purge";

/// The largest number of bytes in the body of a purge. A longer body is refused.
pub(super) const LONGEST: usize = 4_096;

/// The subject of a purge. Exactly one of the two members must be set.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct PurgeRequest {
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
}

#[derive(Serialize)]
struct PurgeReport<'r> {
    purged: &'r PurgeRequest,
}

/// Drops the pages of the route or the tag that a body names, and returns the subject as JSON.
///
/// # Errors
///
/// Returns a denial if the body is malformed, if the named route does not exist or has no page cache, or if no route
/// has a page cache.
#[expect(clippy::expect_used, reason = "JSON has strings")]
pub(super) async fn purge(snapshot: &Snapshot, body: &[u8]) -> Result<String, Denial> {
    let asked: PurgeRequest = serde_json::from_slice(body).map_err(|_| UNREADABLE)?;
    let keeps = |name: &String| {
        let named = snapshot.routes.iter().find(|route| route.name == *name);
        named.is_some_and(|route| route.list.as_ref().is_some_and(|list| list.page_cache.is_some()))
    };
    let subject = match (&asked.route, &asked.tag) {
        (Some(name), None) if keeps(name) => PurgeSubject::Route(name),
        (Some(_), None) => return Err((StatusCode::NOT_FOUND, "no route of this name has a page_cache: /routes\n")),
        (None, Some(tag)) => PurgeSubject::Tag(tag),
        _ => return Err(UNREADABLE),
    };
    let Some(pages) = &snapshot.pages else {
        return Err((StatusCode::NOT_FOUND, "no route has a page_cache\n"));
    };
    purge::purge(snapshot, pages, &[subject]).await;
    Ok(serde_json::to_string(&PurgeReport { purged: &asked }).expect("a purge is JSON") + "\n")
}

const UNREADABLE: Denial = (StatusCode::BAD_REQUEST, "send {\"route\": \"NAME\"} or {\"tag\": \"TAG\"}\n");
