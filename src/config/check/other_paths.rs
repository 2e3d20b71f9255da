//! The check of `other_paths`: the route of requests whose path no other route covers.

use super::Context;
use crate::config::{
    diagnostic::{Located, Location},
    keys::{FILE, ROUTE, UPSTREAM},
    settings::RouteSettings,
    spanned::{Spanned, Value},
};

/// The name of the route that `other_paths` adds.
pub(super) const NAME: &str = "other_paths";
/// The word for 404.
const REFUSE: &str = "refuse";
const EVERYTHING: &str = "/{*rest}";

/// Returns the table of the route for paths that no other route covers, and the place that asks for it; `None` if they
/// are refused, or if a route covers them already. Reports a configuration that must say where they go.
pub(super) fn route(
    root: &Spanned,
    routes: &[RouteSettings],
    context: &mut Context<'_>,
) -> Option<(Spanned, Location)> {
    let upstreams = FILE.upstreams.table(root);
    let named = FILE.other_paths.located(root);
    if let Some(named) = named {
        if named.value == REFUSE {
            return None;
        }
        if upstreams.find(&named.value).is_none() {
            super::route::unknown_upstream(&named, &upstreams, context);
            return None;
        }
        return (!covered(routes)).then(|| (table(&named.value, named.at), named.at));
    }
    let mut known = upstreams.tables();
    let (name, only) = known.next().filter(|_| !covered(routes) && !routes.is_empty())?;
    let others = known.count();
    let why = if others > 0 {
        format!("paths that no route covers could go to {} upstreams", others + 1)
    } else if UPSTREAM.headers.find(only).is_some() {
        format!(
            "paths that no route covers would get the headers of upstreams.{}, which may be credentials",
            name.value
        )
    } else {
        return Some((table(&name.value, only.at), only.at));
    };
    let help = format!(
        "write one of these before all tables:\n\
         other_paths = \"{REFUSE}\"   they get 404\n\
         other_paths = {:?}   they pass to this upstream",
        name.value
    );
    context.missing(only.at, why, help);
    None
}

/// Returns whether a route covers all paths of all hosts.
fn covered(routes: &[RouteSettings]) -> bool {
    routes.iter().any(|route| {
        let rest = route.path.value.strip_prefix("/{*");
        route.hosts.is_empty() && rest.is_some_and(|rest| !rest.contains('/'))
    })
}

fn table(upstream: &str, at: Location) -> Spanned {
    let text = |value: &str| Spanned { value: Value::Text(value.to_owned()), at };
    let name = |name: &str| Located { value: name.to_owned(), at };
    let members = [
        (ROUTE.path.definition.name, EVERYTHING),
        (ROUTE.upstream.definition.name, upstream),
        (ROUTE.action.definition.name, "forward"),
    ];
    let members = members.into_iter().map(|(key, value)| (name(key), text(value))).collect();
    Spanned { value: Value::Table(members), at }
}
