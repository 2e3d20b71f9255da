//! The host that clients of a route send, as far as the configuration says it.

use cursorgate_config::settings::{LinkOrigin, RouteSettings, ServerSettings};

/// Returns the authority of the address under which clients reach a route; `None` if the configuration has none.
pub(super) fn of(route: &RouteSettings, server: &ServerSettings) -> Option<String> {
    match route.link_origin(server) {
        LinkOrigin::PublicUrl(url) => {
            let (_, rest) = url.split_once("://")?;
            rest.split('/').next().filter(|authority| !authority.is_empty()).map(str::to_owned)
        }
        LinkOrigin::Hosts(hosts) => hosts.first().cloned(),
        LinkOrigin::Proxies | LinkOrigin::Unknown => None,
    }
}
