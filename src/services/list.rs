//! Lists as services find them: by a path below that of a list, and by the name of its host.

use std::sync::Arc;

use http::Method;
use pingora::http::RequestHeader;

use super::list_page::encoded;
use crate::gateway::{
    Snapshot,
    lifecycle::snapshot::DescribedList,
    openapi::Names,
    request::target::{self, RequestTarget},
    routes::route::Route,
};

/// The names under which a service takes the parameters of a list.
#[derive(Debug)]
pub(super) struct ArgumentNames {
    /// The parameters of the path, with the arguments that stand for them.
    pub(super) path: Vec<(String, String)>,
    /// The filters, likewise, in the order of the list.
    pub(super) filters: Vec<(String, String)>,
}

impl ArgumentNames {
    /// Names the arguments of a list. `taken` are names that they can't have; `spelled` writes a name as the service can
    /// have it.
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

    /// Returns the path of a list with the values of its arguments.
    pub(super) fn fill(&self, path: &str, value: impl Fn(&str) -> String) -> String {
        let filled = |path: String, (parameter, argument): &(String, String)| {
            path.replace(&format!("{{{parameter}}}"), &encoded(&value(argument)))
        };
        self.path.iter().fold(path.to_owned(), filled)
    }
}

/// A request for a path below that of a list.
#[derive(Debug)]
pub(super) struct BelowList {
    /// The target of the list, with the query of the request.
    pub(super) list: RequestTarget,
    pub(super) route: Arc<Route>,
    /// The path after the segment of the service.
    pub(super) rest: String,
}

impl BelowList {
    /// Reads a request for the path of a list with `segment` after it, such as `/exports`. `None` if it is another one: it
    /// is that of a route then.
    pub(super) fn read(snapshot: &Snapshot, head: &RequestHeader, segment: &str) -> Option<Self> {
        // Most paths end the look here.
        memchr::memmem::find(head.raw_path(), segment.as_bytes())?;
        let mut list = target::read(head).ok()?;
        let at = list.path.rfind(segment)?;
        let rest = list.path[at + segment.len()..].to_owned();
        let normal_path = list.normal_path.strip_suffix(&list.path[at..])?.to_owned();
        if list.doubt.is_some() || normal_path.is_empty() {
            return None;
        }
        list.path.truncate(at);
        list.normal_path = normal_path;
        let route = find_list(snapshot, list.host.as_deref(), &list.normal_path)?;
        Some(Self { list, route, rest })
    }
}

/// Returns the route of a list that is asked for by GET.
pub(super) fn find_list(snapshot: &Snapshot, host: Option<&str>, path: &str) -> Option<Arc<Route>> {
    let route = snapshot.table.find(host, path)?.route;
    (route.list.is_some() && route.methods.take(&Method::GET)).then_some(route)
}
