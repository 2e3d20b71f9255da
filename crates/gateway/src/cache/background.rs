//! Pages that are made in the background, while no request waits for them. A refresh makes a new page in place of a
//! stale one that was served. A prefetch makes the page after a page that was served. The number of background pages is
//! bounded. No background page begins under load or while the process is stopping.
//!
//! A client's request finds a prefetched page like any other, or waits for it while it is being made. A prefetched page
//! doesn't start another prefetch until a client has got it, so prefetching stays at most one page ahead of the client.
//! Test: `only_the_next_page_is_prefetched`.

use std::sync::Arc;

use super::{
    call::{CallOwners, KeptCall, begin, flight},
    making::{FlightEnd, MadeResponse},
};
use http::Method;

use crate::{
    lifecycle::snapshot::Snapshot,
    net::fetch::Fetcher,
    outcome::{access_log::Outcome, metrics::Counted},
    page::context::ListCall,
    routes::route::Route,
    runtime::clock,
    session::client_request::ClientRequest,
    shared::pages::{
        BackgroundPlace,
        stored::{PageUse, StoredPage},
    },
};
use cursorgate_config::settings::Role;
use cursorgate_translate::downstream::{NegotiatedConvention, Preferences};

/// The reason that a page is made in the background.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Background {
    /// A stale page was served.
    Refresh,
    /// The preceding page was served.
    Prefetch,
}

impl Background {
    /// Returns the value of this reason in metrics.
    const fn word(self) -> &'static str {
        match self {
            Self::Refresh => "refresh",
            Self::Prefetch => "prefetch",
        }
    }
}

/// A copy of a client's request, for a page that is made after the request has ended.
struct BackgroundRequest {
    snapshot: Arc<Snapshot>,
    route: Arc<Route>,
    asked: ClientRequest,
    /// The name of the chosen convention.
    convention: String,
    preferences: Preferences,
    by_preference: bool,
    fetcher: Fetcher,
    request_id: String,
    _place: BackgroundPlace,
}

/// The guard of a refresh. Dropping the guard, however the refresh ends, allows the next refresh of the page.
struct Refreshing(Arc<StoredPage>);

impl Drop for Refreshing {
    fn drop(&mut self) {
        self.0.end_refresh();
    }
}

/// Starts a task that makes a new page in place of a stale one, unless such a task is already running. Under load, the
/// refresh is counted as `dropped` instead.
pub(super) fn refresh(
    call: ListCall<'_>,
    owners: CallOwners<'_>,
    fetcher: &Fetcher,
    page: &Arc<StoredPage>,
    outcome: &Outcome,
) {
    if !page.begin_refresh() {
        return;
    }
    // The guard is created before the request is copied. A refresh that is refused then also allows the next one.
    let mark = Refreshing(Arc::clone(page));
    let metrics = &call.route.metrics;
    let Some(request) = BackgroundRequest::of(call, owners, fetcher, outcome) else {
        metrics.count_background(Background::Refresh.word(), "dropped", &Counted::default());
        return;
    };
    tokio::spawn(async move {
        request.make(Background::Refresh).await;
        drop(mark);
    });
}

/// Starts a task that makes the page after `page`, which is about to be served. Does nothing without `prefetch` on the
/// route, for a HEAD request, or if the next page is already kept or being made. Under load, the prefetch is counted as
/// `dropped` instead.
pub(super) fn prefetch(
    call: ListCall<'_>,
    owners: CallOwners<'_>,
    fetcher: &Fetcher,
    page: &Arc<StoredPage>,
    outcome: &Outcome,
) {
    let (Some(cache), Some(pages), Some(next)) = (&call.list.page_cache, &owners.snapshot.pages, &page.next) else {
        return;
    };
    // A client that sends only HEAD requests might never read the next page, so HEAD starts no prefetch. Test:
    // `only_the_next_page_is_prefetched`.
    if !cache.settings.prefetch || outcome.method == Some(Method::HEAD) {
        return;
    }
    let Some(query) = next_query(call, next) else { return };
    let (_, key) = begin(call, Some(&query), cache, pages);
    let place = pages.find(key, &call.asked.headers, clock::instant());
    let is_kept = place.found.as_ref().is_some_and(|page| matches!(page.life.at(clock::instant()), PageUse::Fresh(_)));
    // A client's request or an earlier background task has made the page or is making it, so no other task is needed.
    if is_kept || pages.flights.is_under_way(&flight(call, pages, &place)) {
        return;
    }
    // Two bounds apply: the route's, and the process's, which `BackgroundRequest::of` checks.
    let metrics = &call.route.metrics;
    let of_route = cache.prefetch_place();
    let request = of_route.and_then(|place| Some((BackgroundRequest::of(call, owners, fetcher, outcome)?, place)));
    let Some((mut request, place)) = request else {
        metrics.count_background(Background::Prefetch.word(), "dropped", &Counted::default());
        return;
    };
    request.asked.target.query = Some(query);
    tokio::spawn(async move {
        request.make(Background::Prefetch).await;
        drop(place);
    });
}

/// Returns the query that the client will probably send for the next page. The spelling matters because it is part of
/// the cache key. If the client's query has a cursor, the result is this query with the new cursor in its place. If the
/// client's query has no cursor, the result is the query of the link. Returns `None` for a query with several cursors,
/// and for a query without a cursor but with private parameters, which links leave out. Also returns `None` if the
/// convention's cursor isn't in the query of the link.
///
/// Example: for the query `cursor=a&limit=10` and a link with `limit=10&cursor=b`, the result is `cursor=b&limit=10`.
fn next_query(call: ListCall<'_>, link: &str) -> Option<String> {
    let parameters = &call.chosen.convention.parameters;
    let own = call.asked.query().unwrap_or_default();
    let name = parameters.query_name(Role::Cursor).or_else(|| parameters.query_name(Role::After))?;
    let is_cursor = |pair: &&str| pair.split_once('=').is_some_and(|(known, _)| known == name);
    let new = link.split('&').find(is_cursor)?;
    match own.split('&').filter(is_cursor).count() {
        0 => {
            let is_private = |pair: &str| parameters.is_private(pair.split('=').next().unwrap_or_default().as_bytes());
            (!own.split('&').any(is_private)).then(|| link.to_owned())
        }
        1 => Some(own.split('&').map(|pair| if is_cursor(&pair) { new } else { pair }).collect::<Vec<_>>().join("&")),
        _ => None,
    }
}

impl BackgroundRequest {
    /// Copies a request. Returns `None` if too many background requests are running, the process is shutting down,
    /// memory is short, requests wait for the upstream's slots, or half of the slots are taken.
    fn of(call: ListCall<'_>, owners: CallOwners<'_>, fetcher: &Fetcher, outcome: &Outcome) -> Option<Self> {
        let CallOwners { snapshot, route, is_running } = owners;
        let slots = &route.upstream.slots;
        let is_busy =
            slots.waiting() > 0 || slots.in_flight() >= slots.limit().div_ceil(2) || snapshot.memory.is_short();
        if is_busy || !is_running {
            return None;
        }
        let place = snapshot.pages.as_ref()?.background()?;
        let chosen = call.chosen;
        Some(Self {
            snapshot: Arc::clone(snapshot),
            route: Arc::clone(route),
            // The copy has the client's credentials, but not its trace, which ends with the client's request. Test:
            // `prefetched_pages_are_made_with_the_credentials_of_the_client`.
            asked: ClientRequest { trace: None, ..call.asked.clone() },
            convention: chosen.convention.name.clone(),
            preferences: chosen.preferences.clone(),
            by_preference: chosen.by_preference,
            fetcher: fetcher.clone(),
            request_id: outcome.request_id.clone(),
            _place: place,
        })
    }

    /// Makes the page, stores it if it may be stored, and counts the outcome.
    async fn make(mut self, background: Background) {
        // The page gets the full time limit, not the rest of the client's.
        (self.asked.began, self.asked.now) = (clock::instant(), clock::unix_seconds());
        let metrics = Arc::clone(&self.route.metrics);
        let mut outcome = Outcome::unlogged(self.request_id.clone(), Arc::clone(&metrics));
        let ended = self.end(&mut outcome).await;
        metrics.count_background(background.word(), ended, &outcome.counted);
    }

    /// Makes the page, and stores it if it may be stored. Returns the outcome as a label value: `stored`, `not_stored`,
    /// `failed` or `dropped`.
    async fn end(&self, outcome: &mut Outcome) -> &'static str {
        let (snapshot, route) = (&*self.snapshot, &*self.route);
        let Some(list) = &route.list else { return "dropped" };
        let convention = list.conventions.find(&self.convention);
        let (Some(cache), Some(pages), Some(convention)) = (&list.page_cache, &snapshot.pages, convention) else {
            return "dropped";
        };
        let (preferences, by_preference) = (self.preferences.clone(), self.by_preference);
        let chosen = NegotiatedConvention { convention, preferences, by_preference, refused: None };
        let call = ListCall { snapshot, asked: &self.asked, route, list, chosen: &chosen, kept: None };
        let (kept, key) = begin(call, self.asked.query(), cache, pages);
        let place = pages.find(key, &self.asked.headers, clock::instant());
        let (call, settings) = (ListCall { kept: Some(&kept), ..call }, cache.settings);
        let held = snapshot.memory.share();
        let made = KeptCall { call, kept: &kept, settings, place: &place, fetcher: &self.fetcher };
        match made.fly(&held, outcome).await {
            Ok(FlightEnd::Own(MadeResponse::Stored { .. }) | FlightEnd::Shared(_) | FlightEnd::Found(_)) => "stored",
            Ok(FlightEnd::Own(MadeResponse::Apart(_))) => "not_stored",
            Ok(FlightEnd::Failed(_)) | Err(_) => "failed",
        }
    }
}
