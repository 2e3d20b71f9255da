//! A request to a route with `page_cache`: the values that own its parts, for work that outlives it, and the key of its
//! page.

use std::sync::Arc;

use crate::{
    config::settings::PageCacheSettings,
    downstream::RequestBody,
    gateway::{
        lifecycle::snapshot::Snapshot,
        page::context::{KeptRequest, ListCall},
        request::caller,
        routes::{list::page_cache::RoutePages, route::Route},
        shared::pages::{
            FlightKey, KeptPages, PagePlace,
            generations::PurgeSubject,
            key::{KeptKey, KeptScope, KeptScopeParts, PageKeyParts},
        },
    },
    upstream::net::fetch::Fetcher,
};

/// The shared values that own the parts of a call, for work in the background.
#[derive(Clone, Copy)]
pub(crate) struct CallOwners<'r> {
    pub(crate) snapshot: &'r Arc<Snapshot>,
    pub(crate) route: &'r Arc<Route>,
    /// True if the process takes up new work: it is not about to end.
    pub(crate) is_running: bool,
}

/// A request with its place in the cache.
#[derive(Clone, Copy)]
pub(crate) struct KeptCall<'r> {
    pub(crate) call: ListCall<'r>,
    pub(crate) kept: &'r KeptRequest<'r>,
    pub(crate) settings: PageCacheSettings,
    pub(crate) place: &'r PagePlace,
    pub(crate) fetcher: &'r Fetcher,
}

/// Returns the cache settings of the route and the cache of the process, if the request may use them: no unknown header
/// could identify its client (`caller::is_known`), and it can be served in a convention that the client accepts.
pub(super) fn usable<'r>(call: ListCall<'r>, owners: CallOwners<'r>) -> Option<(&'r RoutePages, &'r Arc<KeptPages>)> {
    // The upstream may identify clients by other headers. Test: `pages_that_may_not_be_stored_are_not`.
    let may =
        |cache: &RoutePages| caller::is_known(&call.asked.headers, &cache.principal) && call.chosen.refused.is_none();
    call.list.page_cache.as_ref().filter(|cache| may(cache)).zip(owners.snapshot.pages.as_ref())
}

/// Returns the cache as the request may use it, and the key of the page that it would get with this query.
pub(super) fn begin<'r>(
    call: ListCall<'r>,
    query: Option<&str>,
    cache: &RoutePages,
    pages: &'r KeptPages,
) -> (KeptRequest<'r>, KeptKey) {
    let ListCall { snapshot, asked, route, chosen, .. } = call;
    let headers = &asked.headers;
    let reached = asked.client.reached_address(&asked.target, headers, snapshot);
    let scope = KeptScope::new(KeptScopeParts {
        principal: &cache.keyed,
        headers,
        route: &route.name,
        settings: &cache.fingerprint,
        host: asked.target.authority.as_deref().unwrap_or_default(),
        reached: reached.as_str(),
    });
    let address = asked.client.public_address(&asked.target, headers, route, snapshot);
    let preferred = chosen.convention.parameters.preferred_limit();
    let key = scope.page(PageKeyParts {
        address: address.as_str(),
        path: &asked.target.path,
        query,
        convention: &chosen.convention.name,
        by_preference: chosen.by_preference,
        preferred_limit: preferred.and_then(|name| chosen.preferences.value(name)),
        body: asked.body.as_ref().map(RequestBody::bytes),
    });
    // Read before the page is looked for and the upstream is asked, so that a purge after this concerns the page.
    let before = pages.generations.now();
    (KeptRequest { pages, scope, policy: cache.policy(headers), before }, key)
}

/// Returns the key by which concurrent requests for a page find the one that makes it. Purges change it.
pub(super) fn flight(call: ListCall<'_>, pages: &KeptPages, place: &PagePlace) -> FlightKey {
    let (route, path) = (call.route.name.as_str(), call.asked.target.collection_path());
    let subjects = [PurgeSubject::Route(route), PurgeSubject::Collection(route, path)];
    let store = call.snapshot.store.as_ref();
    let others = store.map_or(0, |store| pages.others.since(&store.places(subjects.into_iter())));
    place.flight((pages.generations.since(route, path), others))
}
