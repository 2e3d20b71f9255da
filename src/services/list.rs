//! Lists as services find them: by a path below that of a list, and by the name of its host.

use std::sync::Arc;

use http::Method;
use pingora::http::RequestHeader;

use crate::gateway::{
    Snapshot,
    request::target::{self, RequestTarget},
    routes::route::Route,
};

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
