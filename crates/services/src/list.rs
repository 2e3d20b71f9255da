//! Finds the list that a request to a service names: by a host and a path, or by a path below a list's path.

use std::sync::Arc;

use http::{Method, header};
use pingora::http::RequestHeader;

use super::{caller::Caller, list_page::encoded};
use cursorgate_gateway::{
    Snapshot,
    lifecycle::snapshot::DescribedList,
    openapi::Names,
    request::target::{self, RequestTarget},
    routes::route::Route,
};

/// The names under which a service takes the parameters of a list as arguments. Each pair is a parameter's name and the
/// name of its argument.
#[derive(Debug)]
pub(super) struct ArgumentNames {
    /// The parameters of the path, in their order.
    pub(super) path: Vec<(String, String)>,
    /// The filters, in the order of the list.
    pub(super) filters: Vec<(String, String)>,
}

impl ArgumentNames {
    /// Names the arguments of a list. No argument gets a name in `taken`. `spelled` rewrites a name with the characters
    /// that the service allows.
    pub(super) fn of(list: &DescribedList, taken: &[&str], spelled: impl Fn(&str) -> String) -> Self {
        let mut names = Names::default();
        for name in taken {
            names.claim(name);
        }
        let mut named = |name: &str| (name.to_owned(), names.claim(&spelled(name)));
        let parameters = list.path.split('{').skip(1).filter_map(|part| part.split_once('}'));
        let path = parameters.map(|(name, _)| named(name)).collect();
        Self { path, filters: list.filters.iter().map(|filter| named(&filter.name)).collect() }
    }

    /// Returns the path of a list in which each parameter is replaced by its value, percent-encoded. `value` returns
    /// the value of the argument with a given name.
    pub(super) fn fill(&self, path: &str, value: impl Fn(&str) -> String) -> String {
        let filled = |path: String, (parameter, argument): &(String, String)| {
            path.replace(&format!("{{{parameter}}}"), &encoded(&value(argument)))
        };
        self.path.iter().fold(path.to_owned(), filled)
    }
}

/// A request for a path below a list's path, such as `/users/exports`.
#[derive(Debug)]
pub(super) struct BelowList {
    /// The target of the list: the path without the segment of the service, and the query of the request.
    pub(super) list: RequestTarget,
    pub(super) route: Arc<Route>,
    /// The path after the segment of the service, such as `/1a2b` in `/users/exports/1a2b`.
    pub(super) rest: String,
}

impl BelowList {
    /// Reads a request whose path is a list's path followed by `segment`, such as `/users/exports` for `/exports`.
    /// Returns `None` for any other request, which a route answers.
    pub(super) fn read(snapshot: &Snapshot, head: &RequestHeader, segment: &str) -> Option<Self> {
        // Most requests are for other paths. For those, this search is the only cost.
        memchr::memmem::find(head.raw_path(), segment.as_bytes())?;
        let mut list = target::read(head).ok()?;
        let at = list.path.rfind(segment)?;
        let rest = list.path[at + segment.len()..].to_owned();
        let normal_path = list.normal_path.strip_suffix(&list.path[at..])?.to_owned();
        // A path of only the segment, such as `/exports`, isn't below a list.
        // Test: `paths_beside_those_of_exports_belong_to_routes`.
        if list.doubt.is_some() || normal_path.is_empty() {
            return None;
        }
        list.path.truncate(at);
        list.normal_path = normal_path;
        let route = find_list(snapshot, list.host.as_deref(), &list.normal_path)?;
        Some(Self { list, route, rest })
    }
}

/// Returns the target of a GET request that the configuration describes by its path, parsed like the target of any
/// request; `None` if it is invalid. `caller` has its host.
pub(super) fn configured_target(path: &str, caller: &Caller) -> Option<RequestTarget> {
    let mut head = RequestHeader::build(Method::GET, path.as_bytes(), None).ok()?;
    head.insert_header(header::HOST, caller.headers.get(header::HOST)?).ok()?;
    target::read(&head).ok()
}

/// Returns the route that answers GET at this host and path with a list; `None` if there isn't one.
pub(super) fn find_list(snapshot: &Snapshot, host: Option<&str>, path: &str) -> Option<Arc<Route>> {
    let route = snapshot.table.find(host, path)?.route;
    (route.list.is_some() && route.methods.take(&Method::GET)).then_some(route)
}
