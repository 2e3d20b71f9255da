//! The guard against forwarded requests that an upstream could treat as requests for a list. Servers differ in how they
//! read paths, methods and some headers. A route that forwards could therefore return a list without the list's policy:
//! some servers answer `//users`, `/users;a=b` and `/users%2F` like `/users`.
//!
//! A request is refused if its path is another spelling of a list's path, its method is one that the list takes, and the
//! list [restricts](Route::restricts) it: an old client that passes gets the service's own answer by every spelling.
//! Writes to another spelling pass, and so do requests to other upstreams, and requests on forwarding routes without
//! parameters. A path that ends with `.json` counts as another spelling, because many frameworks treat this suffix as
//! the answer's format. A path with another suffix is another resource.

use std::sync::Arc;

use http::Method;
use pingora::http::RequestHeader;

use super::{
    route::Route,
    table::{RouteMatch, RouteTable},
    upstream::Upstream,
};
use crate::request::{
    path::{folded, pattern},
    target::RequestTarget,
};
use cursorgate_translate::{
    downstream::{Code, Problem},
    upstream::request::headers,
};

/// The lists that the route table doesn't find under another letter case or another host, although the upstream would.
#[derive(Debug, Default)]
pub struct Guard {
    lists: Vec<GuardedList>,
}

#[derive(Debug)]
struct GuardedList {
    route: Arc<Route>,
    segments: Vec<GuardSegment>,
    /// `true` if the path ends with a wildcard.
    has_rest: bool,
}

#[derive(Debug)]
enum GuardSegment {
    Fixed(String),
    Any,
}

impl Guard {
    /// Collects the lists that have hosts, and the lists of upstreams that ignore case.
    pub fn compile(routes: &[Arc<Route>]) -> Self {
        let reached =
            |route: &&Arc<Route>| route.list.is_some() && (!route.hosts.is_empty() || route.upstream.ignores_case);
        Self { lists: routes.iter().filter(reached).filter_map(GuardedList::new).collect() }
    }

    /// Returns the problem of a request that would otherwise be forwarded; `None` if the request may pass.
    pub fn refusal(
        &self,
        table: &RouteTable,
        found: &RouteMatch,
        target: &RequestTarget,
        head: &RequestHeader,
    ) -> Option<Problem> {
        let methods = meant(head);
        let restricts = |route: &Route| {
            methods.iter().any(|method| route.methods.take(method))
                && route.restricts(&head.headers, target.query.as_deref())
        };
        let route = &found.route;
        if route.list.is_some() && restricts(route) {
            let said = match target.doubt {
                Some(doubt) if route.methods.take(&head.method) => doubt,
                // The request is forwarded, so its method as written isn't one of the list's. It is refused if a server
                // could still read one of the list's methods in it. Test:
                // `no_spelling_of_a_method_bypasses_the_policy_of_a_list`.
                _ => "a list is requested by its own method, in capitals and without a header that overrides it",
            };
            return Some(Problem::new(Code::RequestInvalid, said));
        }
        // A route without parameters has only one path, which the operator wrote on purpose, so the request passes.
        // Test: `no_spelling_of_a_path_bypasses_the_policy_of_its_list`.
        if !route.path.value.contains('{') {
            return None;
        }
        let host = target.host.as_deref();
        // This is the path as the most lenient server reads it, such as `/users` for `//users;a=b`.
        let folded = folded(&target.normal_path);
        // Other peers have other resources, so only the lists of upstreams with a common peer are guarded. Test:
        // `a_policy_does_not_apply_to_the_same_path_at_another_upstream`.
        let is_guarded = |other: &Route| is_same(&other.upstream, &route.upstream) && restricts(other);
        let path = folded.as_deref().unwrap_or(&target.normal_path);
        let bare = path.trim_end_matches('/').strip_suffix(".json");
        // The route table shows whether another spelling belongs to a list. Lists that the table can't find are checked
        // below.
        let others = folded.as_deref().into_iter().chain(bare).filter_map(|path| table.find(host, path));
        if others.map(|found| found.route).any(|other| other.list.is_some() && is_guarded(&other)) {
            return Some(Problem::new(Code::RequestInvalid, "the path is another spelling of a list's path"));
        }
        let covers = |list: &GuardedList| list.covers(path) || bare.is_some_and(|path| list.covers(path));
        for list in self.lists.iter().filter(|list| is_guarded(&list.route) && covers(list)) {
            let serves =
                list.route.hosts.is_empty() || list.route.hosts.iter().any(|known| Some(known.as_str()) == host);
            if serves {
                return Some(Problem::new(Code::RequestInvalid, "the path is another spelling of a list's path"));
            }
            // A route for all hosts would return another host's list. Test:
            // `no_other_host_bypasses_the_policy_of_a_list`.
            if route.hosts.is_empty() {
                return Some(Problem::new(Code::RouteNotFound, "this path has no list under this host"));
            }
        }
        None
    }
}

/// Returns the methods that servers could read in a request: its own method in capitals, and the methods in override
/// headers. `QUERY` counts as GET, because it is a GET with parameters in a body.
fn meant(head: &RequestHeader) -> Vec<Method> {
    let said = headers::said_methods(&head.headers).chain(std::iter::once(head.method.as_str().as_bytes()));
    let known = |method: &[u8]| match method.trim_ascii().to_ascii_uppercase().as_slice() {
        b"QUERY" => Some(Method::GET),
        method => Method::from_bytes(method).ok(),
    };
    said.filter_map(known).collect()
}

/// Returns whether two upstreams have a peer in common.
fn is_same(one: &Upstream, other: &Upstream) -> bool {
    let names = other.peers.names();
    one.peers.names().iter().any(|name| names.iter().any(|known| known.text() == name.text()))
}

impl GuardedList {
    fn new(route: &Arc<Route>) -> Option<Self> {
        // The route table has already reported an invalid path, so the list is left out.
        let pattern = pattern(&route.path.value).ok()?;
        let has_rest = pattern.contains("/{*");
        let written = pattern.trim_end_matches('/').split('/').skip(1).filter(|segment| !segment.starts_with("{*"));
        let segments = written.map(|segment| match segment.starts_with('{') {
            true => GuardSegment::Any,
            false => GuardSegment::Fixed(segment.to_owned()),
        });
        Some(Self { segments: segments.collect(), has_rest, route: Arc::clone(route) })
    }

    fn covers(&self, path: &str) -> bool {
        let mut asked = path.trim_end_matches('/').split('/').skip(1);
        let all = self.segments.iter().all(|segment| match (segment, asked.next()) {
            // An upstream that ignores case reads `/USERS` as `/users`. Test:
            // `the_policy_applies_to_a_path_in_any_case_if_the_upstream_ignores_case`.
            (GuardSegment::Fixed(known), Some(asked)) if self.route.upstream.ignores_case => {
                known.eq_ignore_ascii_case(asked)
            }
            (GuardSegment::Fixed(known), Some(asked)) => known == asked,
            (GuardSegment::Any, Some(_)) => true,
            (_, None) => false,
        });
        all && (self.has_rest || asked.next().is_none())
    }
}
