//! `/migration`: the legacy clients of each route and the end of their support, as JSON. The counts are those of this
//! process, since its start or since the route is counted in this way; operators of several processes add them up or
//! ask Prometheus.

use crate::{
    config::settings::{AfterSunset, LegacyPolicy, LegacySettings, Unmarked},
    downstream::response::legacy,
    gateway::{
        Snapshot,
        outcome::{metrics::RouteMetrics, migration::Count},
        routes::list::List,
        runtime::clock,
    },
    json::write::{push_number, push_text},
};

/// The path of the report.
pub(crate) const MIGRATION_PATH: &str = "/migration";

pub(super) const CONTENT_TYPE: &str = "application/json";

const DAY: u64 = 86_400;

/// Renders the report on all routes with a list; `now` is in seconds since 1970.
pub(super) fn render(snapshot: &Snapshot, now: u64) -> String {
    let mut board = JsonObject::new();
    board.list(
        "routes",
        snapshot.routes.iter().filter_map(|route| {
            let list = route.list.as_ref()?;
            Some(row(&route.name, list, &route.metrics, now))
        }),
    );
    board.end() + "\n"
}

fn row(name: &str, list: &List, metrics: &RouteMetrics, now: u64) -> String {
    let (settings, usage) = (&list.legacy, &list.usage);
    let mut row = JsonObject::new();
    row.text("route", name);
    push_plan(&mut row, settings, now);
    row.text("counted_since", &clock::rfc3339(usage.since()));
    let mut requests = JsonObject::new();
    metrics.paging().for_each(|(paging, count)| requests.number(paging, count));
    row.raw("requests", &requests.end());
    push_count(&mut row, "legacy", usage.total());
    if let Some(clients) = usage.clients() {
        row.list(
            "clients",
            clients.named.iter().map(|(name, count)| {
                let mut client = JsonObject::new();
                client.text("client", name);
                push_members(&mut client, *count);
                client.end()
            }),
        );
        push_count(&mut row, "other_clients", clients.other);
        push_count(&mut row, "unidentified", clients.unidentified);
    }
    row.end()
}

/// Writes the route's treatment of legacy clients and its dates.
fn push_plan(row: &mut JsonObject, settings: &LegacySettings, now: u64) {
    let policy = settings.policy.map(|policy| match policy {
        LegacyPolicy::Passthrough => "passthrough",
        LegacyPolicy::Translate => "translate",
        LegacyPolicy::Redirect => "redirect",
        LegacyPolicy::Reject => "reject",
    });
    match policy {
        Some(policy) => row.text("policy", policy),
        None => row.raw("policy", "null"),
    }
    row.text("unmarked", if settings.unmarked == Unmarked::Legacy { "legacy" } else { "new" });
    for (name, day) in [("deprecation", settings.deprecation), ("sunset", settings.sunset)] {
        if let Some(seconds) = day.and_then(|day| u64::try_from(day).ok()) {
            let (year, month, day) = clock::date(seconds);
            row.text(name, &format!("{year:04}-{month:02}-{day:02}"));
        }
    }
    if let Some(sunset) = settings.sunset.and_then(|sunset| u64::try_from(sunset).ok()) {
        row.raw("sunset_passed", if legacy::is_past_sunset(settings, now) { "true" } else { "false" });
        row.number("days_left", sunset.saturating_sub(now).div_ceil(DAY));
        row.text("after_sunset", if settings.after_sunset == AfterSunset::Reject { "reject" } else { "same" });
    }
}

fn push_count(row: &mut JsonObject, name: &str, count: Count) {
    let mut object = JsonObject::new();
    push_members(&mut object, count);
    row.raw(name, &object.end());
}

fn push_members(object: &mut JsonObject, count: Count) {
    object.number("requests", count.requests);
    match count.last_seen {
        0 => object.raw("last_seen", "null"),
        seconds => object.text("last_seen", &clock::rfc3339(seconds)),
    }
}

/// A JSON object under construction.
struct JsonObject(Vec<u8>);

impl JsonObject {
    fn new() -> Self {
        Self(vec![b'{'])
    }

    fn name(&mut self, name: &str) {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        push_text(&mut self.0, name);
        self.0.push(b':');
    }

    fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        push_text(&mut self.0, value);
    }

    fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        push_number(&mut self.0, value);
    }

    /// Adds a member that is JSON already.
    fn raw(&mut self, name: &str, value: &str) {
        self.name(name);
        self.0.extend_from_slice(value.as_bytes());
    }

    /// Adds an array of values that are JSON already.
    fn list(&mut self, name: &str, values: impl Iterator<Item = String>) {
        let values: Vec<String> = values.collect();
        self.raw(name, &format!("[{}]", values.join(",")));
    }

    fn end(mut self) -> String {
        self.0.push(b'}');
        String::from_utf8_lossy(&self.0).into_owned()
    }
}
