//! The route table, which finds the route of a request.

use std::{cmp::Reverse, collections::HashMap, sync::Arc};

use matchit::Router;

use super::route::Route;
use crate::request::path::pattern;
use cursorgate_config::diagnostic::Diagnostics;

/// The routes of a snapshot, by host and path. Routes with hosts have precedence over routes without hosts, and fixed
/// segments over parameters. For a request to `/users/me`, the path `/users/me` has precedence over `/users/{user}`,
/// which has precedence over `/{*rest}`.
pub struct RouteTable {
    by_host: HashMap<String, HostTable>,
    any_host: HostTable,
}

/// The routes of one host, or of all hosts.
#[derive(Default)]
struct HostTable {
    paths: Router<Arc<Route>>,
    /// The paths that end in a wildcard and overlap paths of `paths` in a way that the router can't rank: `/{*rest}`
    /// beside `/{team}/users`. They match what no path of `paths` matches.
    wildcards: Router<Arc<Route>>,
}

/// A route that matches a request, with the parameters of its path.
#[derive(Clone, Debug)]
pub struct RouteMatch {
    pub route: Arc<Route>,
    /// The names and values of the parameters. The values are percent-encoded as the client sent them.
    pub parameters: Vec<(String, String)>,
}

impl RouteTable {
    /// Compiles the table. Invalid paths, and routes that match the same requests, are reported in `diagnostics`.
    pub fn compile(routes: &[Arc<Route>], diagnostics: &mut Diagnostics) -> Self {
        let mut table = Self { by_host: HashMap::new(), any_host: HostTable::default() };
        let mut patterns: Vec<(String, &Arc<Route>)> = Vec::with_capacity(routes.len());
        for route in routes {
            let pattern = pattern(&route.path.value).unwrap_or_else(|wrong| {
                let help = "no request has such a path: write it without the faulty part";
                diagnostics.error(route.path.at, format!("{:?}: {wrong}", route.path.value), help);
                // The unchanged path is used instead, to find the faults of the other routes too.
                route.path.value.clone()
            });
            patterns.push((pattern, route));
        }
        // Wildcards come last, and of these the shortest, so that each path is added after all that are more specific.
        patterns.sort_by_key(|(pattern, _)| pattern.contains("/{*").then(|| Reverse(pattern.split('/').count())));
        for (pattern, route) in &patterns {
            for host in hosts(route) {
                if let Err(error) = table.host(host).insert(pattern, route) {
                    report(route, host, &error, diagnostics);
                }
            }
        }
        // `/{*rest}` also matches `/`, and `/a/{*rest}` matches `/a/`, unless another route has exactly that path.
        for (pattern, route) in &patterns {
            let Some((base, _)) = pattern.split_once("/{*") else { continue };
            for host in hosts(route) {
                let base = if base.is_empty() { "/" } else { base };
                // A conflict means that another route has exactly this path and takes precedence. Test:
                // `the_more_specific_route_wins`.
                let _ = table.host(host).paths.insert(base, Arc::clone(route));
            }
        }
        table
    }

    /// Returns the route for a host and a normalized path; `None` if no route matches. The host is in lower case and
    /// without a port.
    #[must_use]
    pub fn find(&self, host: Option<&str>, path: &str) -> Option<RouteMatch> {
        let named = host.and_then(|host| self.by_host.get(host));
        named.and_then(|table| table.find(path)).or_else(|| self.any_host.find(path))
    }

    fn host(&mut self, host: Option<&str>) -> &mut HostTable {
        match host {
            Some(host) => self.by_host.entry(host.to_owned()).or_default(),
            None => &mut self.any_host,
        }
    }
}

impl HostTable {
    fn insert(&mut self, pattern: &str, route: &Arc<Route>) -> Result<(), matchit::InsertError> {
        let path = without_slash(pattern);
        match self.paths.insert(path, Arc::clone(route)) {
            Err(matchit::InsertError::Conflict { with }) if path.contains("/{*") && shape(&with) != shape(path) => {
                self.wildcards.insert(path, Arc::clone(route))
            }
            inserted => inserted,
        }
    }

    fn find(&self, path: &str) -> Option<RouteMatch> {
        find(&self.paths, path).or_else(|| find(&self.wildcards, path))
    }
}

/// Returns a path without the names of its parameters.
fn shape(path: &str) -> String {
    let segment = |segment: &str| match segment.strip_prefix('{') {
        Some(name) if name.starts_with('*') => "{*}".to_owned(),
        Some(_) => "{}".to_owned(),
        None => segment.to_owned(),
    };
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
}

impl std::fmt::Debug for RouteTable {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("RouteTable").field("hosts", &self.by_host.len()).finish_non_exhaustive()
    }
}

fn hosts(route: &Route) -> impl Iterator<Item = Option<&str>> {
    let none = route.hosts.is_empty().then_some(None);
    none.into_iter().chain(route.hosts.iter().map(|host| Some(host.as_str())))
}

/// Removes the final slash, which is optional. The path `/` stays unchanged.
fn without_slash(path: &str) -> &str {
    match path.strip_suffix('/') {
        Some("") | None => path,
        Some(path) => path,
    }
}

fn find(router: &Router<Arc<Route>>, path: &str) -> Option<RouteMatch> {
    let found = router.at(without_slash(path)).ok()?;
    let route = Arc::clone(found.value);
    let mut parameters: Vec<(String, String)> =
        found.params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    if let Some((_, tail)) = route.path.value.split_once("/{*") {
        // The wildcard gets back the final slash that was removed for the match. Test:
        // `values_of_parameters_are_as_the_client_wrote_them`.
        let name = tail.strip_suffix('}').unwrap_or(tail);
        match parameters.iter_mut().find(|(known, _)| known == name) {
            Some((_, rest)) if path.ends_with('/') => rest.push('/'),
            Some(_) => {}
            None => parameters.push((name.to_owned(), String::new())),
        }
    }
    Some(RouteMatch { route, parameters })
}

/// Reports that a route's path can't be added to the table.
fn report(route: &Route, host: Option<&str>, error: &matchit::InsertError, diagnostics: &mut Diagnostics) {
    let on = host.map_or_else(String::new, |host| format!(" on {host}"));
    let (message, help) = match error {
        matchit::InsertError::Conflict { with } => (
            format!("this path{on} matches the same requests as another route's {with}"),
            "no request may match two routes: change one of the two, or give it another host",
        ),
        matchit::InsertError::InvalidParamSegment => {
            ("two parameters share a segment".to_owned(), "a parameter is the only one between two slashes")
        }
        _ => (
            format!("{:?} is not a path: {error}", route.path.value),
            "write {name} for a segment, and {*name} at the end for the rest",
        ),
    };
    diagnostics.error(route.path.at, message, help);
}

#[cfg(test)]
mod tests;
