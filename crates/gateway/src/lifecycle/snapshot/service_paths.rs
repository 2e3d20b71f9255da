//! The paths in the settings of services. A service sends requests to these paths through the gateway, so each path
//! should lead to a route that answers it.

use std::sync::Arc;

use http::{Method, header};
use pingora::http::RequestHeader;

use crate::{
    request::target,
    routes::{
        route::Route,
        table::{RouteMatch, RouteTable},
    },
};
use cursorgate_config::{
    diagnostic::Diagnostics,
    settings::{DetectorSettings, JobQueueSettings, ServiceSettings, WatchSettings},
};

/// The host of a service's request to a route that has no hosts of its own.
const ANY: &str = "localhost";

/// Compiles the table of routes, and reports the paths of services that lead to no suitable route.
pub(super) fn table(services: &ServiceSettings, routes: &[Arc<Route>], diagnostics: &mut Diagnostics) -> RouteTable {
    let table = RouteTable::compile(routes, diagnostics);
    check(services, &table, routes, diagnostics);
    table
}

/// Reports the paths that lead nowhere: an error for the request of a queue or a detector, and for a watched path at which
/// no list answers GET, and a warning for `authorize` without a route.
fn check(services: &ServiceSettings, table: &RouteTable, routes: &[Arc<Route>], diagnostics: &mut Diagnostics) {
    for JobQueueSettings { name, path, .. } in services.jobs.iter().flat_map(|jobs| &jobs.queues) {
        if leading(&path.value, table, routes).next().is_none() {
            let message = format!("no route answers the request of services.jobs.queues.{name}");
            diagnostics.error(path.at, message, "add a route with its path, which forwards to the upstream");
        }
    }
    for DetectorSettings { route, path, host, .. } in services.live.iter().flat_map(|live| &live.detectors) {
        if find(&path.value, host.as_deref().unwrap_or(ANY), table).is_none() {
            let message = format!("no route answers the request of services.live.detectors.{route}");
            diagnostics.error(path.at, message, "write the path of a route, and `host` if the route has hosts");
        }
    }
    let Some(webhooks) = &services.webhooks else { return };
    if let Some(clients) = &webhooks.clients
        && authorizing(&clients.authorize.value, table, routes).is_none()
    {
        let message = "no route answers services.webhooks.clients.authorize, so no client can register an endpoint";
        diagnostics.warning(
            clients.authorize.at,
            message,
            "write a path of a route that only clients with rights can read",
        );
    }
    for WatchSettings { name, path, host, .. } in &webhooks.watches {
        let found = find(&path.value, host.as_deref().unwrap_or(ANY), table);
        let is_list = |found: RouteMatch| found.route.list.is_some() && found.route.methods.take(&Method::GET);
        if !found.is_some_and(is_list) {
            let message = format!("services.webhooks.watches.{name} asks for no list");
            diagnostics.error(
                path.at,
                message,
                "write the path of a route with a list, and `host` if the route has hosts",
            );
        }
    }
}

/// Returns the route to which `services.webhooks.clients.authorize` leads, under any host; `None` if no route does. A
/// client may register endpoints if this route answers its request.
pub fn authorizing<'r>(path: &str, table: &RouteTable, routes: &'r [Arc<Route>]) -> Option<&'r Arc<Route>> {
    let is_answering = |found: &RouteMatch| found.route.list.is_none() || found.route.methods.take(&Method::GET);
    let found = leading(path, table, routes).find(is_answering)?;
    routes.iter().find(|route| route.name == found.route.name)
}

/// Returns the routes to which a path leads, under each host that the routes have, and under any other.
fn leading<'a>(
    path: &'a str,
    table: &'a RouteTable,
    routes: &'a [Arc<Route>],
) -> impl Iterator<Item = RouteMatch> + 'a {
    let hosts = routes.iter().flat_map(|route| route.hosts.iter().map(String::as_str)).chain([ANY]);
    hosts.filter_map(move |host| find(path, host, table))
}

/// Returns the route of a GET request for a path, which may have a query; `None` if no route has the path, or if the
/// path isn't valid.
fn find(path: &str, host: &str, table: &RouteTable) -> Option<RouteMatch> {
    let mut head = RequestHeader::build(Method::GET, path.as_bytes(), None).ok()?;
    head.insert_header(header::HOST, host).ok()?;
    let target = target::read(&head).ok()?;
    table.find(target.host.as_deref(), &target.normal_path)
}

#[cfg(test)]
mod tests {
    use crate::lifecycle::snapshot::Snapshot;
    use cursorgate_config::{ProcessEnvironment, WithoutSecrets, load_text};

    #[test]
    fn paths_of_services_lead_to_routes() {
        let said = |authorize: &str, watch: &str| {
            let text = format!(
                "version = 1\nother_paths = \"refuse\"\nlisteners.public = {{ address = \"127.0.0.1:0\" }}\n\
                 cursor = {{ signing_key = 1, keys = {{ 1 = \"env:KEY\" }} }}\n\
                 upstreams.people = {{ peers = [\"127.0.0.1:1\"] }}\n\
                 [routes.users]\nold_clients = \"none\"\npath = \"/users\"\nhosts = [\"a.example\"]\nupstream = \"people\"\n\
                 dialect = \"page-limit\"\norder = [\"id\"]\n\
                 [routes.other]\npath = \"/other\"\nupstream = \"people\"\naction = \"forward\"\n\
                 [services.webhooks]\ndirectory = \"/d\"\nclients = {{ authorize = \"{authorize}\" }}\n\
                 watches.a = {{ {watch} }}\n"
            );
            let environment = ProcessEnvironment::default();
            let (settings, mut diagnostics) = load_text("a.toml", &text, &WithoutSecrets(&environment));
            let _ = Snapshot::build(&settings.unwrap(), None, &mut diagnostics);
            diagnostics.render(false)
        };
        let good = "path = \"/users?limit=1\", host = \"a.example\"";
        for (authorize, watch, expected) in [
            ("/users?limit=1", good, ""),
            ("/other", good, ""),
            ("/nowhere", good, "no route answers services.webhooks.clients.authorize"),
            ("/other", "path = \"/users\"", "services.webhooks.watches.a asks for no list"),
            ("/other", "path = \"/other\"", "services.webhooks.watches.a asks for no list"),
            ("/other", "path = \"/nowhere\"", "services.webhooks.watches.a asks for no list"),
        ] {
            let said = said(authorize, watch);
            let found = if expected.is_empty() { !said.contains("services.webhooks") } else { said.contains(expected) };
            assert!(found, "{authorize} {watch}\n{said}");
        }
    }
}
