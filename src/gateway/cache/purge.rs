//! Purges by writes: a request that may change a list, and succeeds, purges the pages of the list, those of all clients.

use http::{Method, StatusCode};
use pingora::http::RequestHeader;

use crate::{
    gateway::{
        lifecycle::snapshot::Snapshot,
        request::{path::folded, target::RequestTarget},
        shared::pages::generations::PurgeSubject,
    },
    upstream::request::headers::said_methods,
};

/// The most segments of a path that are looked at, from its end.
const MOST_SEGMENTS: usize = 32;

/// Purges the pages of the lists that a forwarded request is about: those at its path, and at each path above it. Called
/// before the client learns that the request succeeded, so that its next request finds no page from before.
pub(crate) fn after(snapshot: &Snapshot, asked: &RequestHeader, target: &RequestTarget, status: StatusCode) {
    let Some(pages) = &snapshot.pages else { return };
    if !(status.is_success() || status.is_redirection()) || !may_write(asked) {
        return;
    }
    let host = target.host.as_deref();
    let find = |path: &str| {
        let route = snapshot.table.find(host, path).map(|found| found.route);
        route.filter(|route| route.list.as_ref().is_some_and(|list| list.page_cache.is_some()))
    };
    for path in ancestors(&target.normal_path) {
        if let Some(route) = find(path) {
            pages.generations.purge(PurgeSubject::Collection(&route.name, path));
        }
    }
    // The upstream may read another spelling as the same path. Which list that is within the route is not known.
    let folded = folded(&target.normal_path);
    let other = folded.as_deref().unwrap_or(&target.normal_path).to_ascii_lowercase();
    if other != target.normal_path {
        for route in ancestors(&other).filter_map(find) {
            pages.generations.purge(PurgeSubject::Route(&route.name));
        }
    }
}

/// Returns whether an upstream may read a request as one that changes anything.
fn may_write(asked: &RequestHeader) -> bool {
    let is_safe = |method: &[u8]| {
        let method = Method::from_bytes(&method.trim_ascii().to_ascii_uppercase());
        method.is_ok_and(|method| method.is_safe())
    };
    !asked.method.is_safe() || said_methods(&asked.headers).any(|method| !is_safe(method))
}

/// Returns a path without its final slash, and the paths above it.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let whole = path.strip_suffix('/').unwrap_or(path);
    let cuts = whole.rmatch_indices('/').map(|(end, _)| &whole[..end]);
    std::iter::once(whole).chain(cuts).filter(|path| !path.is_empty()).take(MOST_SEGMENTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_below_all_paths_that_it_begins_with() {
        let all = |path| ancestors(path).collect::<Vec<_>>();
        assert_eq!(all("/users/5/orders/"), ["/users/5/orders", "/users/5", "/users"]);
        assert_eq!(all("/users"), ["/users"]);
        assert_eq!(all("/"), [""; 0]);
        assert_eq!(all(&"/a".repeat(100)).len(), MOST_SEGMENTS);
    }

    #[test]
    fn what_may_change_anything_is_a_write() {
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
