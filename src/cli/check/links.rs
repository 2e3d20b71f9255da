//! The links of a route, by an example.

use crate::{
    config::settings::{LinkOrigin, Role, RouteSettings, Settings},
    downstream::Parameters,
};

/// Returns an example of a link to a further page, and the place that its host comes from; nothing for a list whose
/// cursors stand in bodies.
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
            format!("{scheme}://…{target}, the host as trusted proxies say in {}; else relative", names.join(" or "))
        }
        LinkOrigin::Unknown => format!("{target}, relative: server.public_url makes them absolute"),
    })
}
