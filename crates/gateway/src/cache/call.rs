//! A request to a route with `page_cache`: the owners of its parts, for work that continues after the request, and the
//! key of its page.

use std::sync::Arc;

use crate::{
    identity::{Viewer, headers},
    lifecycle::snapshot::Snapshot,
    net::fetch::Fetcher,
    outcome::access_log::Outcome,
    page::context::{KeptRequest, ListCall},
    routes::{list::page_cache::RoutePages, route::Route},
    runtime::clock,
    shared::pages::{
        FlightKey, KeptPages, PagePlace,
        generations::PurgeSubject,
        key::{KeptKey, KeptScope, KeptScopeParts, PageKeyParts},
    },
};
use cursorgate_config::settings::PageCacheSettings;
use cursorgate_translate::downstream::RequestBody;

/// The owners of a call's parts. Work in the background clones them.
#[derive(Clone, Copy)]
pub struct CallOwners<'r> {
    pub snapshot: &'r Arc<Snapshot>,
    pub route: &'r Arc<Route>,
    /// `true` if new work may begin; `false` once the process is shutting down.
    pub is_running: bool,
}

/// A request with its place in the page cache.
#[derive(Clone, Copy)]
pub struct KeptCall<'r> {
    pub call: ListCall<'r>,
    pub kept: &'r KeptRequest<'r>,
    pub settings: PageCacheSettings,
    pub place: &'r PagePlace,
    pub fetcher: &'r Fetcher,
}

/// Returns the cache settings of the route and the cache of the process; `None` if the route doesn't cache pages, or if
/// the request must not use the cache. A request must not use the cache if it has an unknown header that could identify
/// its client ([`Viewer::is_certain`]), or if the client accepts none of the route's conventions.
pub(super) fn usable<'r>(call: ListCall<'r>, owners: CallOwners<'r>) -> Option<(&'r RoutePages, &'r Arc<KeptPages>)> {
    // The upstream may identify clients by headers other than the principal, so a request with an unknown header
    // doesn't use the cache. Test: `pages_that_may_not_be_stored_are_not`.
    let may = |cache: &RoutePages| {
        let is_certain = viewer(call, cache).is_certain(cache.principal.is_empty());
        is_certain && call.chosen.refused.is_none()
    };
    call.list.page_cache.as_ref().filter(|cache| may(cache)).zip(owners.snapshot.pages.as_ref())
}

/// Returns the client of a request, as the cache tells clients apart.
fn viewer<'r>(call: ListCall<'r>, cache: &'r RoutePages) -> Viewer<'r> {
    let (headers, known) = call.asked.client_parts();
    Viewer { told_apart_by: &cache.keyed, ..call.list.viewer(headers, known) }
}

/// Counts a request whose page isn't stored because a header might identify its client, and logs that once for each
/// route and configuration. Only the first such header is named.
pub(super) fn tell_unknown(call: ListCall<'_>, outcome: &mut Outcome) {
    let cache = call.list.page_cache.as_ref().filter(|cache| !cache.principal.is_empty());
    let Some(viewer) = cache.map(|cache| viewer(call, cache)) else { return };
    let Some(header) = viewer.doubt() else { return };
    outcome.counted.unidentified = Some(headers::counted(header));
    let (said, hint) = (format!("the header {header} might identify its client"), "principal of the route");
    // Test: `a_header_that_keeps_pages_out_of_the_cache_is_named_once`.
    if outcome.metrics.findings().note("unknown_client", Some(&said), hint, clock::unix_seconds()) {
        tracing::warn!(
            target: "cursorgate::refusals",
            request_id = outcome.request_id,
            route = outcome.metrics.route(),
            hint,
            "a page is not stored, because {said}: add it to `principal`"
        );
    }
}

/// Returns the cache with the scope and the storing rules of this request, and the key of the page that the request
/// with this `query` asks for.
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
        viewer: viewer(call, cache),
        route: &route.name,
        headers,
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
        // An old client's request has the same target. Test: `a_preference_marks_a_request_where_the_route_says_so`.
        by_preference: chosen.by_preference,
        preferred_limit: preferred.and_then(|name| chosen.preferences.value(name)),
        body: asked.body.as_ref().map(RequestBody::bytes),
    });
    // The number of purges is read before the look-up of the page and before any upstream request. A later purge then
    // also applies to the page.
    let before = pages.generations.now();
    (KeptRequest { pages, scope, policy: cache.policy(&viewer(call, cache)), before }, key)
}

/// Returns the key under which concurrent requests for a page find the request that makes it. A purge of the page's
/// route or collection changes the key.
pub(super) fn flight(call: ListCall<'_>, pages: &KeptPages, place: &PagePlace) -> FlightKey {
    let (route, path) = (call.route.name.as_str(), call.asked.target.collection_path());
    let subjects = [PurgeSubject::Route(route), PurgeSubject::Collection(route, path)];
    let store = call.snapshot.store.as_ref();
    let others = store.map_or(0, |store| pages.others.since(&store.places(subjects.into_iter())));
    place.flight((pages.generations.since(route, path), others))
}
