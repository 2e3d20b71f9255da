//! `/status`: the process, its load and its limits, and the age of its configuration, as JSON.

use serde_json::{Value, json};

use super::metrics::service_stores_of;
use crate::{
    lifecycle::process::Vitals,
    lifecycle::snapshot::Snapshot,
    runtime::{clock, figures},
    server::admission::Admission,
    shared::pages::KeptPages,
    store::link::StoreLink,
};

/// The path of the report on the process.
pub const STATUS_PATH: &str = "/status";

/// Renders the status. `can_reload` is true if the configuration can be reloaded at this listener.
pub(super) fn render(snapshot: &Snapshot, vitals: &Vitals, clients: &Admission, can_reload: bool) -> String {
    let dropped: u64 = vitals.log().dropped().into_iter().map(|(_, count)| count).sum();
    let last = vitals.last_reload();
    let figures = figures::read();
    let store = snapshot.store.as_ref().map(|store| shared_store(&store.link, snapshot.pages.as_deref()));
    let report = json!({
        "now": clock::rfc3339(clock::unix_seconds()),
        "version": env!("CARGO_PKG_VERSION"),
        "commit": vitals.commit(),
        "openssl": openssl::version::version(),
        "process": std::process::id(),
        "started": clock::rfc3339(vitals.started()),
        "stopping": vitals.is_stopping(),
        "requests_in_flight": vitals.in_flight(),
        "connections": { "open": clients.open(), "limit": clients.most() },
        "memory": {
            "held": snapshot.memory.held(),
            "limit": snapshot.memory.most(),
            "refused": snapshot.memory.refused(),
            "resident": figures.resident,
        },
        "log_lines_dropped": dropped,
        "shared_store": store,
        "stores": service_stores(vitals),
        "configuration": {
            "loaded": clock::rfc3339(snapshot.source.loaded),
            "files": snapshot.source.files.len(),
            "hash": snapshot.source.hash,
            "cursor_hash": snapshot.source.cursor_hash,
            "succeeded": clock::rfc3339(last.succeeded_at()),
            "needs_restart": last.result().needs_restart,
        },
        "can_reload": can_reload,
        "playground": snapshot.services.playground.is_some(),
        "services": snapshot.services.has_reports(),
    });
    format!("{report}\n")
}

/// Renders the state of each store of services that has been used: whether its last use succeeded, and otherwise the
/// fault.
fn service_stores(vitals: &Vitals) -> Value {
    let used = service_stores_of(vitals).into_iter().filter_map(|(name, store)| {
        let state = json!({ "up": store.is_up()?, "fault": store.fault() });
        Some((name.to_owned(), state))
    });
    Value::Object(used.collect())
}

/// Renders the state of the shared store: its servers, whether processes share pages through it, and the number of
/// purges that are not yet written to it. `pages` is `None` if no route has a page cache.
fn shared_store(link: &StoreLink, pages: Option<&KeptPages>) -> Value {
    let servers = link.servers().into_iter().map(|server| {
        json!({
            "address": server.address,
            "standing": server.standing.word(),
            "since": clock::rfc3339(server.since),
            "reason": server.reason,
        })
    });
    let pages = pages.map(|pages| {
        json!({
            "shared": link.is_up() && pages.others.count().is_some(),
            "unwritten_purges": pages.others.unwritten_count(),
        })
    });
    json!({ "degraded": link.is_degraded(), "servers": servers.collect::<Vec<_>>(), "pages": pages })
}
