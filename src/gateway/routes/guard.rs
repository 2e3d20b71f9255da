//! What a list's policy also covers: requests that no list serves, and that an upstream could read as one for a list all
//! the same. Servers differ in how they read a path, a method and some headers; a route that forwards would hand the list
//! out without its policy.
//!
//! Refused is only what leads to a list by another spelling, and asks by a method that the list takes: what is written to
//! a path that looks like a list's passes, and so does what leads to another upstream.

use std::sync::Arc;

use http::Method;
use pingora::http::RequestHeader;

use super::{
    route::Route,
    table::{RouteMatch, RouteTable, pattern},
    upstream::Upstream,
};
use crate::{
    downstream::{Code, Problem},
    gateway::request::{path::folded, target::RequestTarget},
    upstream::request::headers,
};

/// The lists of a snapshot that are also reached by a path in other letters, or under another host.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    lists: Vec<GuardedList>,
}

#[derive(Debug)]
struct GuardedList {
    route: Arc<Route>,
    segments: Vec<GuardSegment>,
    /// The rest of a path may be anything.
    has_rest: bool,
}

#[derive(Debug)]
enum GuardSegment {
    Fixed(String),
    Any,
}

impl Guard {
    /// The lists among these routes.
    pub(crate) fn compile(routes: &[Arc<Route>]) -> Self {
        let reached =
            |route: &&Arc<Route>| route.list.is_some() && (!route.hosts.is_empty() || route.upstream.ignores_case);
        Self { lists: routes.iter().filter(reached).filter_map(GuardedList::new).collect() }
    }

    /// Why a request that the upstream is to answer itself is refused; nothing where it passes.
    pub(crate) fn refusal(
        &self,
        table: &RouteTable,
        found: &RouteMatch,
        target: &RequestTarget,
        head: &RequestHeader,
    ) -> Option<Problem> {
        let methods = meant(head);
        let takes = |route: &Route| methods.iter().any(|method| route.methods.take(method));
        let route = &found.route;
        if route.list.is_some() {
            // By its own method a list would have been served.
            let said = "a list is asked for by its own method, in capitals, and by no header that stands for it";
            return takes(route).then(|| Problem::new(Code::RequestInvalid, said));
        }
        // A route of one path leads where the operator says.
        if !route.path.value.contains('{') {
            return None;
        }
        let host = target.host.as_deref();
        let folded = folded(&target.normal_path);
        let is_guarded = |other: &Route| is_same(&other.upstream, &route.upstream) && takes(other);
        let other = folded.as_deref().and_then(|path| table.find(host, path)).map(|found| found.route);
        if other.is_some_and(|other| other.list.is_some() && is_guarded(&other)) {
            return Some(Problem::new(Code::RequestInvalid, "the path is another spelling of a list's"));
        }
        let path = folded.as_deref().unwrap_or(&target.normal_path);
        for list in self.lists.iter().filter(|list| is_guarded(&list.route) && list.covers(path)) {
            let serves =
                list.route.hosts.is_empty() || list.route.hosts.iter().any(|known| Some(known.as_str()) == host);
            if serves {
                return Some(Problem::new(Code::RequestInvalid, "the path is another spelling of a list's"));
            }
            if route.hosts.is_empty() {
                return Some(Problem::new(Code::RouteNotFound, "the list of this path is not served under this host"));
            }
        }
        None
    }
}

/// The methods by which a request may be read: its own in capitals, and what its headers say.
fn meant(head: &RequestHeader) -> Vec<Method> {
    let said = headers::said_methods(&head.headers).chain(std::iter::once(head.method.as_str().as_bytes()));
    said.filter_map(|method| Method::from_bytes(&method.trim_ascii().to_ascii_uppercase()).ok()).collect()
}

/// Whether two upstreams have a peer in common.
fn is_same(one: &Upstream, other: &Upstream) -> bool {
    let names = other.peers.names();
    one.peers.names().iter().any(|name| names.iter().any(|known| known.text() == name.text()))
}

impl GuardedList {
    fn new(route: &Arc<Route>) -> Option<Self> {
        // What is no path has been reported.
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
