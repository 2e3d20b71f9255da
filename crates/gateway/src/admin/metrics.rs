//! `/metrics`: the counts and the state of the gateway for Prometheus. docs/observability.md lists all families, and a
//! test compares the list with the code.

mod credentials;
mod exposition;
mod process;
mod routes;
mod store;
mod upstreams;
mod webhooks;

use super::access::RefusedRequests;
use crate::{
    lifecycle::process::{Vitals, live_counts::LiveCounts},
    lifecycle::snapshot::Snapshot,
    net::connection::Connections,
    outcome::metrics::{exports::ExportCounts, service_store::ServiceStore},
    runtime::clock,
    server::admission::Admission,
    shared::pages::{KeptPages, generations::PURGES},
};
use cursorgate_config::settings::RouteHistograms;
use exposition::{Exposition, MetricKind};

/// The path at which Prometheus reads the metrics.
pub(super) const METRICS_PATH: &str = "/metrics";

/// The content type of Prometheus' text format.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The largest number of routes that have their own histograms by default. The histograms of a route are 16 series, and
/// everything else about it is about 8.
const FEW_ROUTES: usize = 100;

/// Counters that belong neither to the process as a whole nor to a snapshot.
pub(super) struct MetricSources<'a> {
    /// The connections of clients.
    pub(super) clients: &'a Admission,
    /// The connections to upstreams.
    pub(super) connections: &'a Connections,
    /// The refused requests of operators.
    pub(super) refused: &'a RefusedRequests,
}

/// Renders the metrics of the process, and of the routes and upstreams in force. `now` is in seconds since 1970.
pub(super) fn render(snapshot: &Snapshot, vitals: &Vitals, sources: &MetricSources<'_>, now: u64) -> String {
    expose(snapshot, vitals, sources, now).into_text()
}

fn expose(snapshot: &Snapshot, vitals: &Vitals, sources: &MetricSources<'_>, now: u64) -> Exposition {
    let mut exposition = Exposition::default();
    let metrics = snapshot.routes.iter().map(|route| &*route.metrics).chain([&*snapshot.metrics]);
    let usual = if snapshot.routes.len() > FEW_ROUTES { RouteHistograms::Total } else { RouteHistograms::Routes };
    let histograms = snapshot.admin.as_ref().and_then(|admin| admin.histograms).unwrap_or(usual);
    routes::requests(&mut exposition, &metrics.collect::<Vec<_>>(), histograms);
    routes::legacy_clients(&mut exposition, &snapshot.routes.iter().map(|route| &**route), now);
    upstreams::write(&mut exposition, &snapshot.upstreams.iter().map(|upstream| &**upstream));
    upstreams::connections(&mut exposition, sources.connections);
    load(&mut exposition, snapshot, vitals);
    live_pages(&mut exposition, vitals.live_counts());
    store::write(&mut exposition, snapshot);
    webhooks::write(&mut exposition, vitals.webhooks());
    exports(&mut exposition, vitals.exports());
    service_stores(&mut exposition, vitals);
    process::connections(&mut exposition, sources.clients);
    operators(&mut exposition, sources.refused);
    credentials::certificates(&mut exposition, snapshot, vitals);
    credentials::cursor_keys(&mut exposition, snapshot);
    credentials::token_keys(&mut exposition, snapshot, clock::instant());
    process::state(&mut exposition, vitals);
    process::build(&mut exposition, vitals.commit());
    process::configuration(&mut exposition, snapshot);
    process::figures(&mut exposition, vitals.started());
    exposition
}

/// Adds the refused requests of the admin listener.
fn operators(exposition: &mut Exposition, refused: &RefusedRequests) {
    let help = "Requests that the admin listener refused, by reason, such as a wrong token.";
    let mut samples = exposition.family(MetricKind::Counter, "cursorgate_admin_refused_total", &["reason"], help);
    for (reason, count) in refused.by_reason() {
        samples.sample(&[reason], count);
    }
}

/// Adds the metrics of requests in flight, of memory and of caches.
fn load(exposition: &mut Exposition, snapshot: &Snapshot, vitals: &Vitals) {
    let help = "Requests that have begun and not ended.";
    exposition.gauge("cursorgate_requests_in_flight", help, vitals.in_flight());
    let help = "Approximate memory of the cache of item keys.";
    exposition.gauge("cursorgate_pivot_cache_bytes", help, snapshot.pivots.size());
    pages(exposition, snapshot.pages.as_deref());
    let help = "Memory held by upstream answers, request bodies and pages.";
    exposition.gauge("cursorgate_memory_bytes", help, snapshot.memory.held());
    exposition.gauge(
        "cursorgate_memory_limit_bytes",
        "Limit of the memory for answers, bodies and pages: server.memory.",
        snapshot.memory.most(),
    );
    let help = "Requests refused because no memory was left for a body.";
    exposition.counter("cursorgate_memory_refusals_total", help, snapshot.memory.refused());
}

/// Adds the metrics of export jobs, which are 0 without `services.exports`.
fn exports(exposition: &mut Exposition, counts: &ExportCounts) {
    let help = "Export jobs in the store, by state.";
    let mut jobs = exposition.family(MetricKind::Gauge, "cursorgate_export_jobs", &["state"], help);
    for (state, count) in counts.by_state() {
        jobs.sample(&[state], count);
    }
    let help = "Exports and jobs of queues that ended in this process, by end.";
    let labels = &["kind", "end"];
    let mut ended = exposition.family(MetricKind::Counter, "cursorgate_export_jobs_ended_total", labels, help);
    for (labels, count) in counts.ended() {
        ended.sample(&labels, count);
    }
}

/// Adds the state of the stores of services. A store that no service has used yet has no sample.
fn service_stores(exposition: &mut Exposition, vitals: &Vitals) {
    let help = "1 if the last use of a store of services succeeded, else 0; /status has the reason.";
    let mut stores = exposition.family(MetricKind::Gauge, "cursorgate_store_up", &["store"], help);
    for (name, store) in service_stores_of(vitals) {
        if let Some(is_up) = store.is_up() {
            stores.sample(&[name], u8::from(is_up));
        }
    }
}

/// Returns the stores of services by their names.
pub(super) fn service_stores_of(vitals: &Vitals) -> [(&'static str, &ServiceStore); 2] {
    [("exports", &vitals.exports().store), ("webhooks", &vitals.webhooks().store)]
}

/// Adds the metrics of live pages, which are 0 without `services.live`.
fn live_pages(exposition: &mut Exposition, counts: &LiveCounts) {
    exposition.gauge("cursorgate_live_subscribers", "Clients with a live page.", counts.subscribers());
    let help = "Live pages that the gateway requests at intervals.";
    exposition.gauge("cursorgate_live_pages", help, counts.pollers());
    let help = "Requests for live pages, by result.";
    let mut polls = exposition.family(MetricKind::Counter, "cursorgate_live_polls_total", &["result"], help);
    for (result, count) in counts.polls() {
        polls.sample(&[result], count);
    }
    let help = "Messages to clients with a live page, by kind.";
    let mut messages = exposition.family(MetricKind::Counter, "cursorgate_live_messages_total", &["kind"], help);
    for (kind, count) in counts.messages() {
        messages.sample(&[kind], count);
    }
}

/// Adds the metrics of the page cache, which are 0 if no route has one.
fn pages(exposition: &mut Exposition, pages: Option<&KeptPages>) {
    let help = "Approximate memory of the cache of pages and answers.";
    exposition.gauge("cursorgate_page_cache_bytes", help, pages.map_or(0, KeptPages::size));
    let help = "Limit of the cache of pages and answers: caches.pages.size; 0 if no route has page_cache.";
    exposition.gauge("cursorgate_page_cache_limit_bytes", help, pages.map_or(0, KeptPages::limit));
    let help = "Entries removed from the cache of pages and answers to make room for others.";
    exposition.counter("cursorgate_page_cache_evictions_total", help, pages.map_or(0, KeptPages::evicted));
    let help = "Purges of pages: of a route, of a tag, or of a list after a write.";
    let mut purges = exposition.family(MetricKind::Counter, "cursorgate_page_cache_purges_total", &["by"], help);
    for (index, by) in PURGES.into_iter().enumerate() {
        purges.sample(&[by], pages.map_or(0, |pages| pages.generations.count(index)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{admin::testing::Nothing, server::admission::ConnectionLimits};
    use cursorgate_config::load_text;

    const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/observability.md");

    /// The table in docs/observability.md must list all families. `UPDATE_SNAPSHOTS=1` rewrites it.
    #[test]
    fn all_families_are_documented() {
        let text = "version = 1\nlisteners.public = { address = \"127.0.0.1:0\" }\nupstreams.people = { peers = [\"127.0.0.1:1\"] }\n\
                    routes.rest = { path = \"/{*rest}\", upstream = \"people\", action = \"forward\" }\n";
        let (settings, mut diagnostics) = load_text("a.toml", text, &Nothing);
        let snapshot = Snapshot::build(&settings.unwrap(), None, &mut diagnostics).unwrap();
        let clients = Admission::new(ConnectionLimits { most: 1, per_address: 1 });
        let (connections, refused) = (Connections::default(), RefusedRequests::default());
        let sources = MetricSources { clients: &clients, connections: &connections, refused: &refused };
        let mut rows = expose(&snapshot, &Vitals::default(), &sources, 0).rows;
        rows.sort_unstable();
        let page = std::fs::read_to_string(PAGE).unwrap();
        let (before, rest) = page.split_once("<!-- families -->\n").unwrap();
        let (_, after) = rest.split_once("<!-- /families -->").unwrap();
        let table = format!("| family | labels | meaning |\n| --- | --- | --- |\n{}\n", rows.join("\n"));
        let now = format!("{before}<!-- families -->\n{table}<!-- /families -->{after}");
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            std::fs::write(PAGE, &now).unwrap();
        }
        assert!(page == now || std::env::var_os("UPDATE_SNAPSHOTS").is_some(), "UPDATE_SNAPSHOTS=1 writes {PAGE} anew");
    }
}
