//! `/migration`: which clients still page by number or offset, and how long that works, as JSON. The counts are those of
//! this process since it started, or since the route has been counted in this way. Prometheus adds up several processes.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    config::settings::{LegacyPolicy, LegacySettings},
    downstream::response::legacy,
    gateway::{
        Snapshot,
        outcome::{metrics::RouteMetrics, migration::Count},
        routes::list::List,
        runtime::clock,
    },
};

/// The path of the report.
pub(crate) const MIGRATION_PATH: &str = "/migration";

/// The content type of the report.
pub(super) const CONTENT_TYPE: &str = "application/json";

const DAY: u64 = 86_400;

#[derive(Serialize)]
struct Report<'s> {
    routes: Vec<Row<'s>>,
}

/// A route that serves a list.
#[derive(Serialize)]
struct Row<'s> {
    route: &'s str,
    #[serde(flatten)]
    plan: Plan,
    counted_since: String,
    /// By the kind of paging.
    requests: BTreeMap<&'static str, u64>,
    legacy: Counted,
    /// `None` if the route does not tell clients apart.
    #[serde(flatten)]
    clients: Option<Clients>,
}

/// The route's policy for legacy requests, and its dates.
#[derive(Serialize)]
struct Plan {
    policy: Option<&'static str>,
    unmarked: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    deprecation: Option<String>,
    #[serde(flatten)]
    sunset: Option<Sunset>,
}

#[derive(Serialize)]
struct Sunset {
    sunset: String,
    sunset_passed: bool,
    days_left: u64,
    after_sunset: &'static str,
}

#[derive(Serialize)]
struct Clients {
    clients: Vec<Client>,
    other_clients: Counted,
    unidentified: Counted,
}

#[derive(Serialize)]
struct Client {
    client: String,
    #[serde(flatten)]
    counted: Counted,
}

#[derive(Serialize)]
struct Counted {
    requests: u64,
    last_seen: Option<String>,
}

/// Returns the report; `now` is in seconds since 1970.
#[expect(clippy::expect_used, reason = "JSON has texts, numbers, and maps whose keys are texts")]
pub(super) fn render(snapshot: &Snapshot, now: u64) -> String {
    let lists = snapshot.routes.iter().filter_map(|route| Some((route, route.list.as_ref()?)));
    let routes = lists.map(|(route, list)| row(&route.name, list, &route.metrics, now)).collect();
    serde_json::to_string(&Report { routes }).expect("a report is JSON") + "\n"
}

fn row<'s>(route: &'s str, list: &List, metrics: &RouteMetrics, now: u64) -> Row<'s> {
    let usage = &list.usage;
    let clients = usage.clients().map(|clients| Clients {
        clients: clients.named.into_iter().map(|(client, count)| Client { client, counted: counted(count) }).collect(),
        other_clients: counted(clients.other),
        unidentified: counted(clients.unidentified),
    });
    Row {
        route,
        plan: plan(&list.legacy, now),
        counted_since: clock::rfc3339(usage.since()),
        requests: metrics.paging().collect(),
        legacy: counted(usage.total()),
        clients,
    }
}

fn plan(settings: &LegacySettings, now: u64) -> Plan {
    let seconds = |day: Option<i64>| day.and_then(|day| u64::try_from(day).ok());
    Plan {
        policy: settings.policy.map(LegacyPolicy::word),
        unmarked: settings.unmarked.word(),
        deprecation: seconds(settings.deprecation).map(clock::date),
        sunset: seconds(settings.sunset).map(|sunset| Sunset {
            sunset: clock::date(sunset),
            sunset_passed: legacy::is_past_sunset(settings, now),
            days_left: sunset.saturating_sub(now).div_ceil(DAY),
            after_sunset: settings.after_sunset.word(),
        }),
    }
}

fn counted(count: Count) -> Counted {
    let last_seen = (count.last_seen > 0).then(|| clock::rfc3339(count.last_seen));
    Counted { requests: count.requests, last_seen }
}
