//! The check of links: reports links that clients can't follow.

use super::Context;
use crate::settings::{LinkOrigin, ListSettings, OldClients, Role, RouteSettings, ServerSettings, UpstreamSettings};

/// Warns of links that clients can't follow: relative links of pages, and links that upstreams write to themselves.
pub(super) fn check(
    server: &ServerSettings,
    routes: &[RouteSettings],
    upstreams: &[UpstreamSettings],
    context: &mut Context<'_>,
) {
    check_relative(server, routes, context);
    for route in routes {
        if let Some(upstream) = upstreams.get(route.upstream) {
            check_kept(route, upstream, context);
        }
    }
}

/// Warns if answers that are passed on may contain links to the upstream's `host_header`. Clients that follow such
/// links bypass the gateway.
fn check_kept(route: &RouteSettings, upstream: &UpstreamSettings, context: &mut Context<'_>) {
    let passes = |list: &ListSettings| route.observe.is_some() || list.legacy.old_clients == OldClients::Pass;
    let passes = route.list.as_ref().is_none_or(|list| passes(list));
    if let (Some(host), Some(links), true) = (&upstream.host_header, &route.legacy_links, passes)
        && !route.rewrites_links(upstream)
    {
        let message = format!("old clients are sent to {host}, by the links that the upstream writes");
        let help = "links = \"rewrite\"; or leave out upstreams' host_header, if the upstream accepts the public name";
        context.diagnostics.warning(links.at, message, help);
    }
}

/// Warns of relative links in pages. Scripts of other origins resolve them against their own page, and many clients
/// other than browsers don't resolve them at all.
fn check_relative(server: &ServerSettings, routes: &[RouteSettings], context: &mut Context<'_>) {
    let is_relative = |route: &&RouteSettings| {
        // Answers to POST have no links, so only routes with GET are checked.
        let serves_links = example(route).is_some() && route.observe.is_none() && route.methods.get;
        serves_links && route.link_origin(server) == LinkOrigin::Unknown
    };
    let (shared, others): (Vec<&RouteSettings>, Vec<&RouteSettings>) =
        routes.iter().filter(is_relative).partition(|route| route.cors.is_some());
    let mut help = "server.public_url = \"https://api.example.com\" makes links absolute".to_owned();
    if !server.trusted_proxies.is_empty() {
        help.push_str("; so does \"X-Forwarded-Host\" in server.forwarded_headers, if your proxies write it");
    }
    for route in &shared {
        let message = format!(
            "links of routes.{} are relative ({}): scripts of other origins resolve them against their own page",
            route.name.value,
            example(route).unwrap_or_default()
        );
        context.diagnostics.warning(route.path.at, message, help.clone());
    }
    if let Some(first) = others.first() {
        let of = match others.len() {
            1 => format!("routes.{}", first.name.value),
            count => format!("{count} routes"),
        };
        let message = format!(
            "links of {of} are relative ({}): clients such as Python's requests can't follow them",
            example(first).unwrap_or_default()
        );
        context.diagnostics.warning(first.path.at, message, help);
    }
}

/// Returns an example of a link to another page of a list; `None` if clients send cursors in bodies, so there is none.
fn example(route: &RouteSettings) -> Option<String> {
    let list = route.list.as_ref()?;
    let named = |role| list.parameters.renamed.iter().chain(&list.envelope.parameters).find(|(own, _)| *own == role);
    let (_, name) = [Role::Cursor, Role::After, Role::AfterId].into_iter().find_map(named)?;
    (!name.value.starts_with('/')).then(|| format!("{}?{}=…", route.path.value, name.value))
}
