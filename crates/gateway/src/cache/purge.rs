//! Purges of cached pages, in this process and in all others that share its store. A forwarded write that succeeds
//! purges the pages of the lists that it may have changed, for all clients.

use http::{Method, StatusCode};
use pingora::http::RequestHeader;

use crate::{
    lifecycle::snapshot::Snapshot,
    request::{path::folded, target::RequestTarget},
    routes::table::RouteMatch,
    shared::{
        pages::{KeptPages, generations::PurgeSubject},
        writes::ListWrites,
    },
};
use cursorgate_translate::upstream::request::headers::said_methods;

/// The largest number of paths that one write looks up, beginning with the longest path. Lists at the remaining parent
/// paths aren't purged.
const MOST_SEGMENTS: usize = 32;

/// Purges the pages of these subjects, including pages that are being made and pages of other processes. With a shared
/// store, the call waits until the store has recorded the purge, or until the time limit is over.
pub async fn purge(snapshot: &Snapshot, pages: &KeptPages, subjects: &[PurgeSubject<'_>]) {
    // The purge is noted before the memory is purged. From then on, no request uses a page of the store from before the
    // purge.
    let noted = snapshot.store.as_ref().map(|store| (store, store.note_purge(&pages.others, subjects)));
    subjects.iter().for_each(|subject| pages.generations.purge(*subject));
    if let Some((store, noted)) = noted {
        store.write_purges(&pages.others, noted).await;
    }
}

/// A forwarded request, and the status of its answer.
#[derive(Clone, Copy, Debug)]
pub struct ForwardedWrite<'w> {
    pub asked: &'w RequestHeader,
    pub target: &'w RequestTarget,
    pub status: StatusCode,
}

impl ForwardedWrite<'_> {
    /// Returns whether the request may have changed a list.
    fn may_have_changed(&self) -> bool {
        // The answer to a successful write may be a redirect to its result, by 303 (RFC 9110 section 15.4.4). Other
        // redirects say that nothing was done yet, such as that to a login: anybody could purge by them.
        (self.status.is_success() || self.status == StatusCode::SEE_OTHER) && may_write(self.asked)
    }
}

/// Purges the pages of the lists that a forwarded request may have changed, and notes it in `writes`: the lists at its
/// path and at each parent path. `PATCH /users/5/address` changes `/users/5/address`, `/users/5` and `/users`. The call
/// precedes the response to the client, so the client's next request finds no page from before the write. Tests:
/// `pages_are_purged_by_route_by_tag_and_by_write`, `a_write_through_the_gateway_wakes_live_pages`.
pub async fn after(snapshot: &Snapshot, write: ForwardedWrite<'_>, writes: &ListWrites) {
    if (snapshot.pages.is_none() && writes.are_unread()) || !write.may_have_changed() {
        return;
    }
    let target = write.target;
    let find = |path: &str| {
        let found = snapshot.table.find(target.host.as_deref(), path)?;
        found.route.list.is_some().then_some(found)
    };
    // A write at the second path of a list changes the same list. Test: `a_write_purges_the_pages_of_both_paths`.
    let own =
        |found: &RouteMatch, path: &str| found.route.list_path(&found.parameters).unwrap_or_else(|| path.to_owned());
    let lists: Vec<(String, RouteMatch)> =
        ancestors(&target.normal_path).filter_map(|path| find(path).map(|found| (own(&found, path), found))).collect();
    // The upstream may treat another spelling, such as `/Users//5`, as the same path. The changed list of the route
    // can't be found from that spelling, so all lists of the route are purged.
    let folded = folded(&target.normal_path);
    let other = folded.as_deref().unwrap_or(&target.normal_path).to_ascii_lowercase();
    let is_other = other != target.normal_path;
    let routes: Vec<_> = ancestors(&other).filter(|_| is_other).filter_map(find).collect();
    lists.iter().for_each(|(path, found)| writes.note(&found.route.name, Some(path)));
    routes.iter().for_each(|found| writes.note(&found.route.name, None));
    let Some(pages) = &snapshot.pages else { return };
    let is_kept = |found: &RouteMatch| found.route.list.as_ref().is_some_and(|list| list.page_cache.is_some());
    let subjects = lists.iter().filter(|(_, found)| is_kept(found));
    let subjects = subjects.map(|(path, found)| PurgeSubject::Collection(&found.route.name, path));
    let routes = routes.iter().filter(|found| is_kept(found)).map(|found| PurgeSubject::Route(&found.route.name));
    let subjects: Vec<_> = subjects.chain(routes).collect();
    if !subjects.is_empty() {
        purge(snapshot, pages, &subjects).await;
    }
}

/// Returns whether an upstream may treat a request as a write: because of its method, or of a header that overrides the
/// method.
fn may_write(asked: &RequestHeader) -> bool {
    let is_safe = |method: &[u8]| {
        // Upstreams may ignore the case of a method, so `delete` counts as DELETE. Test:
        // `a_request_with_an_unsafe_method_in_its_line_or_a_header_is_a_write`.
        let method = Method::from_bytes(&method.trim_ascii().to_ascii_uppercase());
        method.is_ok_and(|method| method.is_safe())
    };
    !asked.method.is_safe() || said_methods(&asked.headers).any(|method| !is_safe(method))
}

/// Returns a path without its final slash, and then its parent paths, at most [`MOST_SEGMENTS`] paths in all.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let whole = path.strip_suffix('/').unwrap_or(path);
    let cuts = whole.rmatch_indices('/').map(|(end, _)| &whole[..end]);
    std::iter::once(whole).chain(cuts).filter(|path| !path.is_empty()).take(MOST_SEGMENTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_purged_with_each_path_above() {
        let all = |path| ancestors(path).collect::<Vec<_>>();
        assert_eq!(all("/users/5/orders/"), ["/users/5/orders", "/users/5", "/users"]);
        assert_eq!(all("/users"), ["/users"]);
        assert_eq!(all("/"), [""; 0]);
        assert_eq!(all(&"/a".repeat(100)).len(), MOST_SEGMENTS);
    }

    #[test]
    fn a_request_with_an_unsafe_method_in_its_line_or_a_header_is_a_write() {
        for (method, header, expected) in [
            (Method::GET, None, false),
            (Method::HEAD, None, false),
            (Method::OPTIONS, None, false),
            (Method::POST, None, true),
            (Method::DELETE, None, true),
            (Method::GET, Some(("x-http-method-override", "delete")), true),
            (Method::GET, Some(("x-method-override", "get")), false),
            (Method::POST, Some(("x-http-method", "GET")), true),
        ] {
            let mut asked = RequestHeader::build(method.clone(), b"/users", None).unwrap();
            if let Some((name, value)) = header {
                asked.insert_header(name, value).unwrap();
            }
            assert_eq!(may_write(&asked), expected, "{method} {header:?}");
        }
    }
}
