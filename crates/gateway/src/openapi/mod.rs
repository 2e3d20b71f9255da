//! The description of all routes for clients, as an OpenAPI 3.1 document (<https://spec.openapis.org/oas/v3.1.1>). The
//! document is made with the snapshot from the same settings, so it matches the responses.
//!
//! The gateway passes credentials to the upstreams and doesn't know which credentials these require. The document
//! therefore has the security schemes that the configuration names.

mod described;
mod head;
mod imported;
mod names;
mod operation;
mod pagination;
mod parameters;
mod responses;
mod services;

use std::sync::Arc;

use super::routes::{list::List, route::Route};
use cursorgate_config::{
    Diagnostics,
    settings::{PublicContractSettings, RouteSettings, Settings},
};
use cursorgate_core::json::Document;
use cursorgate_translate::downstream::envelope::schema;
pub use imported::query_parameters::{ParameterKind, QueryParameter};
pub use names::{Names, pascal};
pub use services::{built_in_schema, event_schema};

use described::{DescribedRoute, LinkStart};
use head::DocumentHead;
use operation::exports;
use services::DescribedServices;

/// Returns the schema of a route's items from the upstream's document, and the schemas to which this schema refers, by
/// name. Returns `None` if the route names no document, or if the document has faults, which were reported when the
/// snapshot was built.
pub fn item_schema(
    settings: &RouteSettings,
    list: &List,
    names: &mut Names,
) -> Option<(Document, Vec<(String, Document)>)> {
    let (dialect, mut diagnostics) = (&list.dialect, Diagnostics::default());
    let own = settings.openapi.as_ref()?;
    let imported = imported::import(own, dialect.items_place(), dialect.item_place(), names, &mut diagnostics)?;
    Some((imported.item, imported.components))
}

/// Returns the query parameters of a route's list from the upstream's document; empty if the route names no document.
pub fn query_parameters(settings: &RouteSettings) -> Vec<QueryParameter> {
    settings.openapi.as_ref().map(imported::query_parameters::read).unwrap_or_default()
}

/// Returns the documentation of a route's list: the summary and the description of the operation in the upstream's
/// document; `None` if there is neither.
pub fn documentation(settings: &RouteSettings) -> Option<String> {
    imported::query_parameters::documentation(settings.openapi.as_ref()?)
}

/// The description of all routes.
#[derive(Debug)]
pub struct OpenApi {
    head: DocumentHead,
    /// The schemas that all routes share, by name.
    shared: Vec<(String, Document)>,
    services: DescribedServices,
    entries: Vec<RouteEntry>,
}

/// The reader of a description.
#[derive(Clone, Copy, Debug)]
pub enum DocumentReader<'r> {
    /// An operator, who gets the routes that answer under this host, or all routes. The host is in lower case and
    /// without a port.
    Operator(Option<&'r str>),
    /// A client, who gets the lists under the host of its request, and learns nothing of those under other hosts.
    Client(Option<&'r str>, &'r PublicContractSettings),
}

impl DocumentReader<'_> {
    const fn host(&self) -> Option<&str> {
        match self {
            Self::Operator(host) | Self::Client(host, _) => *host,
        }
    }

    fn sees(&self, entry: &RouteEntry) -> bool {
        match self {
            Self::Operator(host) => host.is_none() || entry.hosts.is_empty() || entry.has(*host),
            Self::Client(host, contract) => {
                entry.is_list && contract.describes(&entry.route) && (entry.hosts.is_empty() || entry.has(*host))
            }
        }
    }
}

/// The description of one route.
#[derive(Debug)]
struct RouteEntry {
    route: String,
    /// False for a route that only forwards.
    is_list: bool,
    hosts: Vec<String>,
    /// The first page for a new client; `None` if the route has no list by GET, or if new clients have a second path.
    start: Option<ListStart>,
    /// The paths of services below this route's path, each with its path item.
    below: Vec<(String, Document)>,
    /// The path in OpenAPI's syntax, such as `/users/{id}`.
    path: String,
    /// The path without the names of its parameters. Two paths of a document must not differ only in these names.
    pattern: String,
    item: Document,
    schemas: Vec<(String, Document)>,
}

/// The first page of a list, from which a client follows links.
#[derive(Debug)]
pub struct ListStart {
    pub route: String,
    /// The path in the configuration, with `{name}` for a parameter.
    pub path: String,
    /// The query that marks a new client; empty if none is needed.
    pub query: String,
}

impl OpenApi {
    /// Returns the name of the API.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.head.title
    }

    /// Returns the URLs below which clients reach the paths of the document.
    #[must_use]
    pub fn servers(&self) -> &[String] {
        &self.head.servers
    }

    /// Describes routes from their settings. Faults of the documents that routes name are reported in `diagnostics`.
    pub(super) fn compile(settings: &Settings, routes: &[Arc<Route>], diagnostics: &mut Diagnostics) -> Self {
        let mut names = Names::default();
        // These names are claimed first, so no component of a route gets one of them.
        names.claim("Problem");
        names.claim("ProblemCode");
        let mut shared = vec![
            ("Problem".to_owned(), schema::of_problem("#/components/schemas/ProblemCode")),
            ("ProblemCode".to_owned(), schema::of_problem_code()),
        ];
        if settings.services.exports.is_some() {
            exports::NAMES.into_iter().for_each(|name| drop(names.claim(name)));
            shared.extend(exports::schemas());
        }
        let services = DescribedServices::of(&settings.services);
        services.schemas.iter().for_each(|(name, _)| drop(names.claim(name)));
        shared.extend(services.schemas.iter().cloned());
        let described = routes.iter().filter_map(|route| {
            let own = settings.routes.iter().find(|own| own.name.value == route.name)?;
            let second = own.for_new_clients().filter(|second| second.path.value == route.path.value);
            let own = second.as_ref().unwrap_or(own);
            Some(describe(own, settings, route, &services, &mut names, diagnostics))
        });
        Self { entries: described.collect(), head: DocumentHead::compile(settings), services, shared }
    }

    /// Returns the first pages of the lists that a reader sees.
    pub fn lists(&self, reader: DocumentReader<'_>) -> impl Iterator<Item = &ListStart> {
        self.shown(reader).0.into_iter().filter_map(|entry| entry.start.as_ref())
    }

    /// Returns the routes that a reader sees, and those that are hidden because another route has the same path.
    fn shown(&self, reader: DocumentReader<'_>) -> (Vec<&RouteEntry>, Vec<&RouteEntry>) {
        let host = reader.host();
        let concerned: Vec<&RouteEntry> = self.entries.iter().filter(|entry| reader.sees(entry)).collect();
        // A document has each path only once. In the document of a host, the host's own route has precedence; in the
        // document of all hosts, the route without hosts has precedence. Test:
        // `each_host_sees_its_own_of_several_routes_on_one_path`.
        let comes_first = |entry: &RouteEntry| if host.is_some() { entry.has(host) } else { entry.hosts.is_empty() };
        let is_shown = |entry: &&RouteEntry| {
            let mut same = concerned.iter().filter(|other| other.pattern == entry.pattern);
            let first = same.clone().find(|other| comes_first(other)).or_else(|| same.next());
            first.is_some_and(|first| first.route == entry.route)
        };
        concerned.iter().partition(|entry| is_shown(entry))
    }

    /// Renders the document as JSON for a reader.
    #[must_use]
    pub fn render(&self, reader: DocumentReader<'_>) -> String {
        let (shown, hidden) = self.shown(reader);
        let mut paths: Vec<(String, Document)> =
            shown.iter().map(|entry| (entry.path.clone(), entry.item.clone())).collect();
        // A route with the same path as a service gets the requests that the service doesn't take. The route is
        // described, not the service.
        let is_free = |path: &str| shown.iter().all(|entry| entry.path != path);
        let of_services = shown.iter().flat_map(|entry| &entry.below).chain(&self.services.paths);
        paths.extend(of_services.filter(|(path, _)| is_free(path)).cloned());
        let mut schemas = self.shared.clone();
        schemas.extend(shown.iter().flat_map(|entry| entry.schemas.iter().cloned()));
        let mut components = vec![("schemas", Document::Object(schemas)), ("headers", responses::headers())];
        let elsewhere = match reader {
            DocumentReader::Operator(_) => hidden.iter().map(|entry| entry.elsewhere()).collect(),
            DocumentReader::Client(..) => Vec::new(),
        };
        let mut members =
            vec![("openapi", "3.1.0".into()), ("info", self.head.info(&elsewhere)), ("servers", self.head.servers())];
        if let Some((schemes, one_of)) = self.head.security() {
            components.push(("securitySchemes", schemes));
            members.push(("security", one_of));
        }
        members.push(("paths", Document::Object(paths)));
        if !self.services.webhooks.is_empty() {
            members.push(("webhooks", Document::Object(self.services.webhooks.clone())));
        }
        members.push(("components", Document::object(components)));
        Document::object(members).render()
    }
}

impl RouteEntry {
    fn has(&self, host: Option<&str>) -> bool {
        host.is_some_and(|host| self.hosts.iter().any(|own| own == host))
    }

    /// Returns the sentence about this route for a document in which another route has the same path.
    fn elsewhere(&self) -> String {
        let Self { route, hosts, path, .. } = self;
        format!("Another route, `{route}`, answers {path} on {}: request the document of that host.", hosts.join(", "))
    }
}

/// Describes a route. A route without a list has a sentence in place of operations.
fn describe(
    settings: &RouteSettings,
    whole: &Settings,
    route: &Route,
    services: &DescribedServices,
    names: &mut Names,
    diagnostics: &mut Diagnostics,
) -> RouteEntry {
    let second = if settings.list_path.is_some() { "ForNewClients" } else { "" };
    let stem = names.claim(&(pascal(&settings.name.value) + second));
    let path = settings.path.value.replace("{*", "{");
    let mut item = Vec::new();
    let links = LinkStart::of(settings, &whole.server);
    let server = match (&settings.public_url, settings.hosts.as_slice()) {
        (Some(url), _) => vec![url.clone()],
        (None, hosts) => hosts.iter().map(|host| format!("//{host}")).collect(),
    };
    if !server.is_empty() {
        let servers = server.into_iter().map(|url| Document::object([("url", url.into())]));
        item.push(("servers", Document::Array(servers.collect())));
    }
    let parameters = path_parameters(&settings.path.value);
    if !parameters.is_empty() {
        item.push(("parameters", parameters.into()));
    }
    let (mut schemas, mut below) = (Vec::new(), Vec::new());
    match (&settings.list, &route.list) {
        (Some(settings_of_list), Some(list)) => {
            let is_limited = route.limits.is_some();
            let described =
                DescribedRoute { settings, list_settings: settings_of_list, list, links, is_limited, stem: &stem };
            // Services read lists by GET, and the rest of a path has no end at which a service could begin.
            if settings.methods.get && !settings.path.value.contains("{*") {
                if whole.services.exports.is_some() {
                    below = described.exports(&path, &item);
                }
                let live = whole.services.live.as_ref().filter(|live| live.routes.contains(&settings.name.value));
                below.extend(live.and(services.live.as_ref()).map(|live| described.live(live, &path, &item)));
            }
            let (operations, own) = described.operations(names, diagnostics);
            item.extend(operations);
            schemas = own;
        }
        _ => item.insert(0, ("description", "Passes to the upstream unchanged, whatever the method.".into())),
    }
    RouteEntry {
        route: settings.name.value.clone(),
        is_list: route.list.is_some(),
        start: route.list.as_ref().filter(|_| settings.methods.get && settings.for_new_clients().is_none()).map(
            |list| {
                let query = list.conventions.own().parameters.restart_query(None);
                ListStart { route: settings.name.value.clone(), path: settings.path.value.clone(), query }
            },
        ),
        hosts: settings.hosts.clone(),
        below,
        pattern: pattern(&path),
        path,
        item: Document::object(item),
        schemas,
    }
}

/// Removes the names of parameters from a path: `/users/{id}` becomes `/users/{}`.
fn pattern(path: &str) -> String {
    let mut pattern = String::with_capacity(path.len());
    for (index, part) in path.split('{').enumerate() {
        let fixed = if index == 0 { part } else { part.split_once('}').map_or("", |(_, rest)| rest) };
        pattern.push_str(if index == 0 { "" } else { "{}" });
        pattern.push_str(fixed);
    }
    pattern
}

fn path_parameters(path: &str) -> Vec<Document> {
    let named = path.split('{').skip(1).filter_map(|tail| tail.split_once('}'));
    let parameter = |(name, _): (&str, &str)| {
        let (name, rest) = name.strip_prefix('*').map_or((name, false), |name| (name, true));
        let mut members = vec![("name", name.into()), ("in", "path".into()), ("required", true.into())];
        if rest {
            members.push(("description", "The rest of the path, with its slashes".into()));
        }
        members.push(("schema", schema::kind("string")));
        Document::object(members)
    };
    named.map(parameter).collect()
}

#[cfg(test)]
mod tests;
