//! The description of a route's links.

use cursorgate_config::settings::{LinkOrigin, OldClients, Role, RouteSettings, Settings};
use cursorgate_gateway::routes::list::List;
use cursorgate_translate::downstream::Parameters;

/// Describes the treatment of the upstream's links to itself, in answers that are passed on: the label and the text of
/// the line. Returns `None` if no answers are passed on. Also returns `None` if the route has neither an upstream with
/// a `host_header` nor `legacy.links`.
pub(super) fn passed(
    settings: &Settings,
    route: &RouteSettings,
    list: Option<&List>,
) -> Option<(&'static str, String)> {
    let upstream = &settings.upstreams[route.upstream];
    let passes = list.is_none_or(|list| route.observe.is_some() || list.legacy.old_clients == OldClients::Pass);
    if !passes || (upstream.host_header.is_none() && route.legacy_links.is_none()) {
        return None;
    }
    let host = upstream.host_header.as_deref().unwrap_or("the peers");
    if !route.rewrites_links(upstream) {
        return Some(("keeps", format!("links to {host}, as the upstream writes them")));
    }
    let places = list.map(|list| list.dialect.link_places());
    let mut names = vec!["Link".to_owned(), "Location".to_owned()];
    names.extend(places.iter().flat_map(|places| &places.headers).map(ToString::to_string));
    names.extend(places.iter().flat_map(|places| &places.pointers).map(ToString::to_string));
    Some(("rewrites", format!("links to {host} in {}; others in bodies stay", names.join(", "))))
}

/// Returns an example of a link to another page, and the source of its host. Returns `None` if the route doesn't serve
/// GET, or if clients can't send a cursor in the query.
pub(super) fn example(settings: &Settings, route: &RouteSettings, parameters: &Parameters) -> Option<String> {
    if !route.methods.get || parameters.takes_cursors_in_body() {
        return None;
    }
    let places = [Role::Cursor, Role::After, Role::AfterId];
    let place = places.into_iter().find_map(|role| parameters.query_name(role))?;
    let limit = parameters.query_name(Role::Limit).zip(route.list.as_ref());
    let limit = limit.map(|(name, list)| format!("{name}={}&", list.page_size.default)).unwrap_or_default();
    let target = format!("{}?{limit}{place}=…", route.path.value);
    let server = &settings.server;
    let has_tls = settings.listeners.iter().any(|listener| listener.tls.is_some());
    let scheme = if has_tls || !server.trusted_proxies.is_empty() { "https" } else { "http" };
    Some(match route.link_origin(server) {
        LinkOrigin::PublicUrl(url) => format!("{url}{target}"),
        LinkOrigin::Hosts([host]) => format!("{scheme}://{host}{target}"),
        LinkOrigin::Hosts(hosts) => {
            format!("{scheme}://{}{target}, each request's own of its hosts", hosts.first().map_or("", String::as_str))
        }
        LinkOrigin::Proxies => {
            let names: Vec<&str> = server.host_headers().map(http::HeaderName::as_str).collect();
            format!("{scheme}://…{target}, the host that trusted proxies name in {}; else relative", names.join(" or "))
        }
        LinkOrigin::Unknown => format!("{target}, relative: server.public_url makes them absolute"),
    })
}
