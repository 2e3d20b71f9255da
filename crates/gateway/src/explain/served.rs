//! The explanation of a client's request, recorded while the request is served. The client's own query appears only as
//! the names of its parameters. The explanation of a page also contains the filters and the upstream requests, without
//! values that may be credentials.

use serde_json::{Value, json};

use super::{fits, not_a_page, others};
use crate::{
    explain::document,
    lifecycle::snapshot::Snapshot,
    outcome::failure::Failure,
    page::{
        exchange::watched::{PageRecord, words},
        serve::Served,
    },
    request::target::RequestTarget,
    routes::{list::List, route::Route, table::RouteMatch},
    shared::explanations::ExplainedRequest,
};
use cursorgate_translate::downstream::{request::query, response::level_word};

/// The largest number of parameter names that are recorded for a query. Later names are left out.
const MOST_NAMES: usize = 64;

/// Records the request, the reasons for its route and against the other routes, and the guarantee of the route's list.
pub fn begin(
    explained: &mut ExplainedRequest,
    snapshot: &Snapshot,
    method: &http::Method,
    found: &RouteMatch,
    target: &RequestTarget,
) {
    let route = &found.route;
    explained.note(
        "request",
        json!({ "method": method.as_str(), "path": target.path, "parameters": names(target.query.as_deref()) }),
    );
    explained.note("route", json!({ "name": route.name, "why": fits(route) }));
    let named = |(name, why): (String, String)| json!({ "name": name, "why": why });
    let others: Vec<Value> = others(snapshot, Some(route), target).into_iter().map(named).collect();
    explained.note("others", others.into());
    if let Some(list) = route.described_list() {
        explained.note("promise", promise(list));
    }
}

fn promise(list: &List) -> Value {
    let guarantee = &list.guarantee;
    json!({
        "dialect": list.dialect.name(),
        "mode": guarantee.mode.word(),
        "mode_reason": guarantee.why,
        "level": level_word(guarantee.level),
        "obstacle": guarantee.keeps_from_next,
    })
}

/// Records that the request passes to the upstream at `target`. Of the target's query, only the names of parameters are
/// recorded.
pub fn forward(explained: &mut ExplainedRequest, route: &Route, target: &str, why: &str) {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let upstream = &route.upstream.name;
    explained.note(
        "treatment",
        json!({ "action": "forward", "upstream": upstream, "path": path, "parameters": names(query), "why": why }),
    );
}

/// Records that the request gets no page and is forwarded, with the reason.
pub fn not_paged(explained: &mut ExplainedRequest, found: &RouteMatch, target: &RequestTarget, method: &http::Method) {
    let asked = found.route.passed_target(&target.path, &found.parameters, target.query.as_deref().unwrap_or_default());
    forward(explained, &found.route, &asked, &not_a_page(&found.route, method));
}

/// Records the page, or the reason that there is no page. `served` is `None` if the client has left.
pub fn page(explained: &mut ExplainedRequest, record: PageRecord, served: Option<&Result<Served, Failure>>) {
    let recorded = record.end();
    let refused = match served {
        None => None,
        Some(Ok(Served::Response(response))) => Some(format!("{}: redirected", response.status)),
        Some(Ok(Served::Forward)) => return,
        Some(Err(failure)) => Some(words(failure)),
    };
    let Some(opened) = recorded.opened.clone() else {
        return explained.note("treatment", json!({ "action": "refuse", "why": refused }));
    };
    let more = recorded.more;
    let watched = recorded.watched(refused);
    let mut facts = document::of_page(&opened, &Ok(Vec::new()), Some(&watched));
    // The list of planned requests is empty here, so it is left out. The requests that were sent are in `live`.
    if let Some(members) = facts.as_object_mut() {
        members.remove("requests");
        members.insert("more_requests".to_owned(), more.into());
    }
    explained.note("treatment", facts);
}

/// Returns the names of a query's parameters, in order and still percent-encoded, at most [`MOST_NAMES`].
fn names(query: Option<&str>) -> Vec<String> {
    query::pairs(query.unwrap_or_default()).take(MOST_NAMES).map(|pair| pair.raw_name.to_owned()).collect()
}
