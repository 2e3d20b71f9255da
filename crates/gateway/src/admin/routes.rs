//! `/routes`: the routes in force, their figures of the last 5 minutes, and their history of the last 15 minutes, as
//! JSON.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde_json::{Map, Value, json};

use crate::{
    lifecycle::snapshot::Snapshot,
    outcome::metrics::{RouteFigures, RouteMetrics, STEP, is_refusal},
    routes::{list::List, route::Route},
    runtime::clock,
};
use cursorgate_core::pagination::order::Direction;
use cursorgate_translate::downstream::response::level_word;

/// The path of the report on routes.
pub(super) const ROUTES_PATH: &str = "/routes";

/// The number of steps over which recent figures are computed: 5 minutes.
pub(super) const RECENT: usize = 30;

/// The outcomes of requests that have no whole answer because of the client.
const BY_CLIENTS: [&str; 2] = ["client_gone", "client_stalled"];

/// Renders all routes, in the order of the configuration, and the requests without a route.
pub(super) fn render(snapshot: &Snapshot) -> String {
    let now = clock::instant();
    let routes: Vec<Value> = snapshot.routes.iter().map(|route| described(route, now)).collect();
    let report = json!({
        "now": clock::rfc3339(clock::unix_seconds()),
        "step_seconds": STEP.as_secs(),
        "routes": routes,
        "without_route": live(&snapshot.metrics, now),
    });
    format!("{report}\n")
}

fn described(route: &Route, now: Instant) -> Value {
    let action = match (&route.list, &route.observed) {
        (Some(_), _) => "paginate",
        (None, Some(_)) => "observe",
        (None, None) => "forward",
    };
    let mut report = json!({
        "name": route.name,
        "path": route.path.value,
        "hosts": route.hosts,
        "upstream": route.upstream.name,
        "action": action,
    });
    let parts = [route.described_list().map(|list| list_parts(route, list)), Some(live(&route.metrics, now))];
    if let Value::Object(members) = &mut report {
        members.extend(parts.into_iter().flatten().flatten());
    }
    report
}

/// Returns the members of the report that only a route with a list has.
fn list_parts(route: &Route, list: &List) -> Map<String, Value> {
    let sorted = list.dialect.default_sorted();
    let keys = sorted.order.keys().map(|key| match key.direction {
        Direction::Ascending => key.name.clone(),
        Direction::Descending => format!("-{}", key.name),
    });
    let order: Vec<String> = if sorted.order.is_declared() { keys.collect() } else { Vec::new() };
    let methods = [(route.methods.get, "GET"), (route.methods.post, "POST")];
    members(json!({
        "methods": methods.into_iter().filter(|(takes, _)| *takes).map(|(_, word)| word).collect::<Vec<_>>(),
        "dialect": list.dialect.name(),
        "envelopes": list.conventions.all().map(|convention| convention.name.as_str()).collect::<Vec<_>>(),
        "order": order,
        "page_size": { "default": list.page_size.default, "max": list.page_size.max },
        "mode": list.guarantee.mode.word(),
        "mode_reason": list.guarantee.why,
        "level": level_word(list.guarantee.level),
        "obstacle": list.guarantee.keeps_from_next,
        "old_clients": list.legacy.old_clients.word(),
        "new_clients": { "path": list.new_clients.path.as_ref().map(|path| &path.value) },
    }))
}

/// Returns the figures of the last 5 minutes, and a history in steps: the rates of requests, failures and refusals,
/// and the 99th percentile of times.
fn live(metrics: &RouteMetrics, now: Instant) -> Map<String, Value> {
    let recent = metrics.recent(RECENT, now);
    let steps = metrics.series(|figures, took| {
        let (all, failed, refused) = totals(figures);
        let slow = figures.quantile(0.99).map(milliseconds);
        [json!(rate(all, took)), json!(rate(failed, took)), json!(rate(refused, took)), json!(slow)]
    });
    let column = |place: usize| steps.iter().map(|step| step[place].clone()).collect::<Vec<_>>();
    members(json!({
        "recent": figures(recent.of_route(), recent.took),
        "history": {
            "requests_per_second": column(0),
            "failed_per_second": column(1),
            "refused_per_second": column(2),
            "p99_ms": column(3),
        },
    }))
}

/// Returns three numbers of requests: all of them; those that failed (5xx, or no whole answer for another reason than
/// the client); and those that the gateway refused with a 4xx.
fn totals(figures: RouteFigures<'_>) -> (u64, u64, u64) {
    let (mut all, mut failed, mut refused) = (0, 0, 0);
    for (outcome, class, count) in figures.requests() {
        all += count;
        match class {
            "5xx" => failed += count,
            "none" if !BY_CLIENTS.contains(&outcome) => failed += count,
            // Other answers with 4xx come from the upstream, so they don't count as refused.
            "4xx" if is_refusal(outcome) => refused += count,
            _ => {}
        }
    }
    (all, failed, refused)
}

fn figures(figures: RouteFigures<'_>, took: Duration) -> Value {
    let (requests, failed, refused) = totals(figures);
    let (mut statuses, mut problems) = (BTreeMap::new(), BTreeMap::new());
    for (outcome, class, count) in figures.requests() {
        *statuses.entry(class).or_insert(0) += count;
        if is_refusal(outcome) {
            *problems.entry(outcome).or_insert(0) += count;
        }
    }
    let (pages, page_requests) = figures.page_requests();
    let (drifted, distance) = figures.drift();
    json!({
        "seconds": rounded(took.as_secs_f64()),
        "requests": requests,
        "requests_per_second": rate(requests, took),
        "failed": failed,
        "refused": refused,
        "statuses": statuses,
        "problems": problems,
        "refused_pages": figures.refusals().collect::<BTreeMap<_, _>>(),
        "latency_ms": latency(|share| figures.quantile(share)),
        "pages": pages,
        "levels": figures.levels().collect::<BTreeMap<_, _>>(),
        // Without pages, the quotient would be NaN, which JSON can't represent (RFC 8259, section 6), so null is
        // written.
        "upstream_requests_per_page": (pages > 0).then(|| share(page_requests, pages)),
        "drifted_pages": drifted,
        "drift_items": distance,
        "verdicts": figures.verdicts().collect::<BTreeMap<_, _>>(),
    })
}

/// Returns the 50th, 90th and 99th percentile of times, in milliseconds; `None` without requests.
pub(super) fn latency(quantile: impl Fn(f64) -> Option<Duration>) -> Option<Value> {
    let [half, most, nearly_all] = [0.5, 0.9, 0.99].map(|share| quantile(share).map(milliseconds));
    Some(json!({ "p50": half?, "p90": most?, "p99": nearly_all? }))
}

/// Returns a count as a rate per second; 0 if no time has passed.
pub(super) fn rate(count: u64, took: Duration) -> f64 {
    if took.is_zero() { 0.0 } else { rounded(float(count) / took.as_secs_f64()) }
}

pub(super) fn milliseconds(time: Duration) -> f64 {
    rounded(time.as_secs_f64() * 1_000.0)
}

fn share(of: u64, by: u64) -> f64 {
    rounded(float(of) / float(by))
}

/// Rounds to hundredths, since figures are shown to people and not processed further.
fn rounded(figure: f64) -> f64 {
    (figure * 100.0).round() / 100.0
}

#[expect(clippy::cast_precision_loss, reason = "figures are read, not added up")]
fn float(count: u64) -> f64 {
    count as f64
}

/// Returns the members of an object; no members for another value.
fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}
