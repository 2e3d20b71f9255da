//! `/migration`: which clients still page by number or offset, and how long that works, as JSON, for all routes that serve
//! or observe a list. The counts are those of this process since it started, or since the route has been counted in this
//! way; those by the hour are of the last day, the current hour last. Prometheus adds up several processes and keeps more.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    config::settings::{BrownoutEffect, BrownoutSettings, LegacyPolicy, LegacySettings, QuotaSettings},
    downstream::{Code, response::legacy},
    gateway::{
        Snapshot,
        outcome::{
            metrics::{RouteFigures, RouteFinding},
            migration::{Count, HourlyCounts},
        },
        routes::{list::List, route::Route},
        runtime::clock,
    },
};

/// The path of the report.
pub(crate) const MIGRATION_PATH: &str = "/migration";

const DAY: u64 = 86_400;

#[derive(Serialize)]
struct Report<'s> {
    routes: Vec<RouteReport<'s>>,
}

/// A route that serves or observes a list.
#[derive(Serialize)]
struct RouteReport<'s> {
    route: &'s str,
    observed: bool,
    /// The observed answers by verdict; `None` on a route that serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    verdicts: Option<BTreeMap<&'static str, u64>>,
    #[serde(flatten)]
    plan: PlanReport,
    counted_since: String,
    /// By the kind of paging.
    requests: BTreeMap<&'static str, u64>,
    /// The same by the hour.
    hours: BTreeMap<&'static str, HourlyCounts>,
    legacy: CountReport,
    /// The requests that were refused for the sake of a limit in a time, by the limit.
    limited: BTreeMap<&'static str, u64>,
    /// The differences from the configuration that answers show, since it was loaded.
    findings: Vec<FindingReport>,
    /// `None` if the route does not tell clients apart.
    #[serde(flatten)]
    clients: Option<ClientReports>,
}

/// A kind of difference between the list and its configuration.
#[derive(Serialize)]
struct FindingReport {
    kind: &'static str,
    detail: Option<String>,
    /// The key to change.
    key: String,
    count: u64,
    first_seen: String,
    last_seen: String,
}

/// The route's policy for legacy requests, and its dates.
#[derive(Serialize)]
struct PlanReport {
    policy: Option<&'static str>,
    unmarked: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    deprecation: Option<String>,
    #[serde(flatten)]
    sunset: Option<SunsetReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<QuotaReport>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    brownouts: Vec<BrownoutReport>,
}

#[derive(Serialize)]
struct SunsetReport {
    sunset: String,
    sunset_passed: bool,
    days_left: u64,
    after_sunset: &'static str,
}

/// The limit of a client's legacy requests.
#[derive(Serialize)]
struct QuotaReport {
    requests: u32,
    seconds: u64,
}

#[derive(Serialize)]
struct BrownoutReport {
    from: String,
    until: String,
    is_on: bool,
    /// The status of requests that are refused.
    status: u16,
    /// The requests of a client that are not refused.
    #[serde(flatten)]
    limit: Option<QuotaReport>,
}

#[derive(Serialize)]
struct ClientReports {
    clients: Vec<ClientReport>,
    other_clients: CountReport,
    unidentified: CountReport,
}

#[derive(Serialize)]
struct ClientReport {
    client: String,
    #[serde(flatten)]
    counted: CountReport,
}

#[derive(Serialize)]
struct CountReport {
    requests: u64,
    /// Those without any paging parameter.
    unmarked: u64,
    hours: HourlyCounts,
    last_seen: Option<String>,
}

/// Returns the report; `now` is in seconds since 1970.
#[expect(clippy::expect_used, reason = "JSON has texts, numbers, and maps whose keys are texts")]
pub(super) fn render(snapshot: &Snapshot, now: u64) -> String {
    let lists = snapshot.routes.iter().filter_map(|route| Some((route, route.described_list()?)));
    let routes = lists.map(|(route, list)| row(route, list, now)).collect();
    serde_json::to_string(&Report { routes }).expect("a report is JSON") + "\n"
}

fn row<'s>(route: &'s Route, list: &List, now: u64) -> RouteReport<'s> {
    let usage = &list.usage;
    let counts = route.metrics.totals();
    let figures = RouteFigures::of(&counts);
    let clients = usage.clients(now).map(|clients| ClientReports {
        clients: clients
            .named
            .into_iter()
            .map(|(client, count)| ClientReport { client, counted: counted(count) })
            .collect(),
        other_clients: counted(clients.other),
        unidentified: counted(clients.unidentified),
    });
    RouteReport {
        route: &route.name,
        observed: route.observed.is_some(),
        verdicts: route.observed.is_some().then(|| figures.verdicts().collect()),
        plan: plan(&list.legacy, now),
        counted_since: clock::rfc3339(usage.since()),
        requests: figures.paging().collect(),
        hours: usage.paging(now).collect(),
        legacy: counted(usage.total(now)),
        limited: figures.rate_limited().collect(),
        findings: route.metrics.findings().all().into_iter().map(finding).collect(),
        clients,
    }
}

fn finding(found: RouteFinding) -> FindingReport {
    let RouteFinding { kind, detail, key, count, first_seen, last_seen } = found;
    let [first_seen, last_seen] = [first_seen, last_seen].map(clock::rfc3339);
    FindingReport { kind, detail, key, count, first_seen, last_seen }
}

fn plan(settings: &LegacySettings, now: u64) -> PlanReport {
    let seconds = |day: Option<i64>| day.and_then(|day| u64::try_from(day).ok());
    PlanReport {
        policy: settings.policy.map(LegacyPolicy::word),
        unmarked: settings.unmarked.word(),
        deprecation: seconds(settings.deprecation).map(clock::date),
        sunset: seconds(settings.sunset).map(|sunset| SunsetReport {
            sunset: clock::date(sunset),
            sunset_passed: legacy::is_past_sunset(settings, now),
            days_left: sunset.saturating_sub(now).div_ceil(DAY),
            after_sunset: settings.after_sunset.word(),
        }),
        limit: settings.rate_limit.map(quota),
        brownouts: settings.brownouts.iter().map(|known| brownout(known, now)).collect(),
    }
}

fn quota(QuotaSettings { requests, per, .. }: QuotaSettings) -> QuotaReport {
    QuotaReport { requests, seconds: per.as_secs() }
}

fn brownout(settings: &BrownoutSettings, now: u64) -> BrownoutReport {
    let (code, limit) = match settings.effect {
        BrownoutEffect::Pause => (Code::RateLimited, None),
        BrownoutEffect::Slow(limit) => (Code::RateLimited, Some(quota(limit))),
        BrownoutEffect::Reject => (Code::LegacyRejected, None),
    };
    let [from, until] = [settings.from, settings.until].map(clock::rfc3339);
    BrownoutReport { from, until, is_on: settings.is_on(now), status: code.status(), limit }
}

fn counted(count: Count) -> CountReport {
    let last_seen = (count.last_seen > 0).then(|| clock::rfc3339(count.last_seen));
    CountReport { requests: count.requests, unmarked: count.unmarked, hours: count.hours, last_seen }
}
