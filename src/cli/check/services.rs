//! The description of services: the place of each, and its settings that matter to operators.

use std::fmt::Write as _;

use super::durations::duration;
use cursorgate_config::settings::{CorsSettings, ServiceSettings, ServiceStoreSettings, WebhookSettings};
use cursorgate_gateway::{Snapshot, lifecycle::snapshot::authorizing};

/// Returns the description of all services; an empty string if there are none.
pub(super) fn described(snapshot: &Snapshot) -> String {
    let ServiceSettings { bulk, contract, exports, jobs, graphql, live, mcp, playground, webhooks, cors } =
        &snapshot.services;
    let mut text = String::new();
    if let Some(bulk) = bulk {
        begin(&mut text, "bulk", &format!("POST {}: up to {} requests in one", bulk.path, bulk.operations));
        let keys = match exports {
            Some(_) => "an Idempotency-Key runs once at all processes with the store of exports",
            None => {
                "an Idempotency-Key runs once at each process, and again after a restart: services.exports has a store"
            }
        };
        line(&mut text, "keys", keys);
        scripts(&mut text, cors.of_routes.as_ref());
    }
    if let Some(contract) = contract {
        let paths: Vec<&str> = contract.paths().collect();
        begin(&mut text, "contract", &format!("GET {}: the description of lists and services", paths.join(", ")));
        scripts(&mut text, cors.of_lists.as_ref());
    }
    if let Some(jobs) = jobs {
        begin(&mut text, "jobs", &format!("POST {}/QUEUE, with the store of exports", jobs.path));
        for queue in &jobs.queues {
            let work = format!("{}: {} {}, {} at once", queue.name, queue.method, queue.path.value, queue.at_once);
            line(&mut text, "queue", &work);
        }
        scripts(&mut text, cors.of_routes.as_ref());
    }
    if let Some(exports) = exports {
        begin(&mut text, "exports", "each list by GET, at its path with /exports after it");
        line(&mut text, "store", &place(&exports.store));
    }
    if let Some(graphql) = graphql {
        begin(
            &mut text,
            "graphql",
            &format!("{}, with a field for each of {} lists", graphql.path, graphql.fields.len()),
        );
        scripts(&mut text, cors.of_lists.as_ref());
    }
    if let Some(live) = live {
        begin(&mut text, "live", &format!("{}, at the path of the list with /live after it", live.routes.join(", ")));
    }
    if let Some(mcp) = mcp {
        begin(&mut text, "mcp", &format!("{}, with a tool for each of {} lists", mcp.path, mcp.lists.len()));
    }
    if playground.is_some() {
        begin(&mut text, "playground", "/playground/ at the admin listener");
    }
    if let Some(webhooks) = webhooks {
        text.push_str(&of_webhooks(webhooks, snapshot));
    }
    text
}

/// Returns the description of a store.
fn place(store: &ServiceStoreSettings) -> String {
    match store {
        ServiceStoreSettings::Directory(path) => format!("{}, for processes of this machine", path.display()),
        ServiceStoreSettings::Postgres(postgres) => {
            let tls = if postgres.tls.is_some() { "over TLS" } else { "without TLS" };
            format!("PostgreSQL, {} {tls}, for processes of several machines", postgres.place())
        }
    }
}

/// Returns the description of webhooks: the clients that may register endpoints, the endpoints of the operator, and the
/// watches.
fn of_webhooks(webhooks: &WebhookSettings, snapshot: &Snapshot) -> String {
    let mut text = String::new();
    begin(&mut text, "webhooks", "events to endpoints");
    line(&mut text, "store", &place(&webhooks.store));
    if let Some(clients) = &webhooks.clients {
        let authorize = &clients.authorize.value;
        let answered = match authorizing(authorize, &snapshot.table, &snapshot.routes) {
            Some(route) => format!("clients whose GET {authorize} routes.{} answers with 2xx", route.name),
            None => format!("nobody: no route answers GET {authorize}"),
        };
        line(&mut text, "register", &format!("at {}: {answered}", clients.path));
    }
    for endpoint in &webhooks.endpoints {
        line(
            &mut text,
            "sends",
            &format!("{} to {} ({})", endpoint.events.join(", "), endpoint.name, endpoint.url.host),
        );
    }
    for watch in &webhooks.watches {
        line(&mut text, "watches", &format!("{} every {}: {}", watch.path.value, duration(watch.interval), watch.name));
    }
    text
}

/// Writes the origins whose scripts may use a service, if there are any.
fn scripts(out: &mut String, cors: Option<&CorsSettings>) {
    if let Some(cors) = cors {
        line(out, "scripts", &format!("of {}", cors.origins.join(", ")));
    }
}

/// Writes the first line about a service.
fn begin(out: &mut String, name: &str, said: &str) {
    let _ = writeln!(out, "services.{name:<7} {said}");
}

fn line(out: &mut String, word: &str, said: &str) {
    let _ = writeln!(out, "  {word:<11}  {said}");
}
