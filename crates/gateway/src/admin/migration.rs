//! `/migration`: the clients that still page by number or offset, and the dates of their routes, as JSON, for all
//! routes that serve or observe a list. Counts begin at the start of a process, or at the last reload that changed how
//! the route counts. Hourly counts cover the last day, the current hour last. With a shared store, counts are sums over
//! all processes, including those that ended within the last two days; without a store, they cover only this process.
//! Findings always cover only this process.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    lifecycle::snapshot::Snapshot,
    outcome::{
        metrics::{RouteFigures, RouteFinding},
        migration::{
            Count, HourlyCounts,
            board::{ListCounts, ProcessCounts},
        },
    },
    routes::{list::List, route::Route},
    runtime::clock,
};
use cursorgate_config::settings::{BrownoutEffect, BrownoutSettings, LegacySettings, QuotaSettings};
use cursorgate_translate::downstream::{Code, response::legacy};

/// The path of the report on legacy clients.
pub(super) const MIGRATION_PATH: &str = "/migration";

const DAY: u64 = 86_400;

#[derive(Serialize)]
struct Report<'s> {
    processes: ProcessesReport,
    routes: Vec<RouteReport<'s>>,
}

/// The processes whose counts are summed.
#[derive(Clone, Copy, Debug, Serialize)]
struct ProcessesReport {
    running: usize,
    ended: usize,
    /// The state of the shared store: `none` if none is configured, `read` if its counts were read, or `down`. In the
    /// first and the last case, only this process is counted.
    store: &'static str,
}

/// The counts of the other processes.
#[derive(Debug)]
pub(super) struct OtherProcesses {
    counts: Vec<ProcessCounts>,
    report: ProcessesReport,
}

impl OtherProcesses {
    /// Reads the counts from the shared store. `now` is in seconds since 1970.
    pub(super) async fn read(snapshot: &Snapshot, own: &str, now: u64) -> Self {
        let alone = |store| Self { counts: Vec::new(), report: ProcessesReport { running: 1, ended: 0, store } };
        let Some(store) = &snapshot.store else { return alone("none") };
        let Some(published) = store.published(now).await else { return alone("down") };
        let mut latest: BTreeMap<String, ProcessCounts> = BTreeMap::new();
        for (process, bytes) in published {
            // The counts of this process are added from its memory, not from the store.
            let Some(counts) = ProcessCounts::read(&bytes, now).filter(|_| process != own) else { continue };
            // If the signing key of a process changed, it has published counts under both keys. Only the later counts
            // are taken. Test: `a_change_of_keys_doubles_no_count`.
            let known = latest.entry(process).or_default();
            if known.at <= counts.at {
                *known = counts;
            }
        }
        let counts: Vec<ProcessCounts> = latest.into_values().collect();
        let running = counts.iter().filter(|counts| counts.runs(now)).count();
        // This process is not among the counts that were read, so it is added.
        let report = ProcessesReport { running: running + 1, ended: counts.len() - running, store: "read" };
        Self { counts, report }
    }

    /// Returns the sum of the counts of a list over all processes.
    fn sum(&self, route: &Route, list: &List, now: u64) -> ListCounts {
        let mut sum = ListCounts::of(&list.usage, &route.metrics, now);
        let others = self.counts.iter().filter_map(|process| process.routes.get(&route.name));
        others.for_each(|other| sum.add(other));
        sum
    }
}

/// A route that serves or observes a list.
#[derive(Serialize)]
struct RouteReport<'s> {
    route: &'s str,
    observed: bool,
    /// The number of observed answers for each verdict; `None` on a route that serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    verdicts: Option<BTreeMap<String, u64>>,
    #[serde(flatten)]
    plan: PlanReport,
    counted_since: String,
    /// The number of requests for each kind of paging.
    requests: BTreeMap<String, u64>,
    /// The number of requests for each kind of paging, in each hour of the last day.
    hours: BTreeMap<String, HourlyCounts>,
    legacy: CountReport,
    /// The number of requests that this process refused because of a rate limit or a brownout, for each limit.
    limited: BTreeMap<&'static str, u64>,
    /// The differences between answers and the configuration, since it was loaded.
    findings: Vec<FindingReport>,
    /// The legacy clients with their counts; `None` if the route does not identify clients.
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

/// What old clients of the route get, and its dates.
#[derive(Serialize)]
struct PlanReport {
    old_clients: &'static str,
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

/// The largest number of legacy requests that a client may send within a period.
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
    /// The status of the answers to refused requests.
    status: u16,
    /// The limit of a client's requests; `None` if all its requests are refused.
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
    /// The number of requests without any paging parameter.
    unmarked: u64,
    hours: HourlyCounts,
    last_seen: Option<String>,
}

/// Renders the report. `now` is in seconds since 1970.
#[expect(clippy::expect_used, reason = "JSON has strings, numbers, and maps whose keys are strings")]
pub(super) fn render(snapshot: &Snapshot, others: &OtherProcesses, now: u64) -> String {
    // Routes that observe also have legacy clients, so they are reported too. Test:
    // `a_route_that_observes_is_on_the_migration_board`.
    let lists = snapshot.routes.iter().filter_map(|route| Some((route, route.described_list()?)));
    let routes = lists.map(|(route, list)| row(route, list, others.sum(route, list, now), now)).collect();
    serde_json::to_string(&Report { processes: others.report, routes }).expect("a report is JSON") + "\n"
}

fn row<'s>(route: &'s Route, list: &List, counts: ListCounts, now: u64) -> RouteReport<'s> {
    let ListCounts { since, paging, hours, verdicts, legacy, clients } = counts;
    let clients = clients.map(|clients| ClientReports {
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
        verdicts: route.observed.is_some().then_some(verdicts),
        plan: plan(&list.legacy, now),
        counted_since: clock::rfc3339(since),
        requests: paging,
        hours,
        legacy: counted(legacy),
        limited: RouteFigures::of(&route.metrics.totals()).rate_limited().collect(),
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
        old_clients: settings.old_clients.word(),
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
