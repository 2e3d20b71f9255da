//! Pages that are made in the background, while no request waits for them: a new page for a stale one that was just
//! served (refresh), and the page after one that was just served (prefetch). Their number is bounded, none is begun
//! under load, and they end with the process.
//!
//! A client's request finds a page that was made ahead as any other, or waits for it while it is made. No page is made
//! ahead for a page that no client has got yet, so that none is more than one page ahead of a client.
//! Test: `the_next_page_is_made_ahead_and_no_other`.

use std::sync::Arc;

use super::{
    call::{CallOwners, KeptCall, begin, flight},
    making::{FlightEnd, MadeResponse},
};
use http::Method;

use crate::{
    config::settings::Role,
    downstream::{NegotiatedConvention, Preferences},
    gateway::{
        lifecycle::snapshot::Snapshot,
        outcome::{access_log::Outcome, metrics::Counted},
        page::context::ListCall,
        routes::route::Route,
        runtime::clock,
        session::client_request::ClientRequest,
        shared::pages::{
            BackgroundPlace,
            stored::{PageUse, StoredPage},
        },
    },
    upstream::net::fetch::Fetcher,
};

/// The reason that a page is made in the background.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Background {
    /// A stale page was served.
    Refresh,
    /// The page before it was served.
    Prefetch,
}

impl Background {
    /// Returns the word for the reason in metrics.
    const fn word(self) -> &'static str {
        match self {
            Self::Refresh => "refresh",
            Self::Prefetch => "prefetch",
        }
    }
}

/// A copy of a client's request, which outlives it.
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

/// The guard of a refresh. Dropping it, however the refresh ends, lets another one begin.
struct Refreshing(Arc<StoredPage>);

impl Drop for Refreshing {
    fn drop(&mut self) {
        self.0.end_refresh();
    }
}

/// Begins to make a new page for a stale one, unless that is under way.
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
    // The guard is made before the request is copied, so that a refresh that is dropped also lets another one begin.
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

/// Begins to make the page after one that is about to be served, on a route with `prefetch`.
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
    // A client that asks for the head of a page alone may not go on to the next page.
    // Test: `the_next_page_is_made_ahead_and_no_other`.
    if !cache.settings.prefetch || outcome.method == Some(Method::HEAD) {
        return;
    }
    let Some(query) = next_query(call, next) else { return };
    let (_, key) = begin(call, Some(&query), cache, pages);
    let place = pages.find(key, &call.asked.headers, clock::instant());
    let is_kept = place.found.as_ref().is_some_and(|page| matches!(page.life.at(clock::instant()), PageUse::Fresh(_)));
    // A request of a client, or an earlier one in the background, has made it or is making it.
    if is_kept || pages.flights.is_under_way(&flight(call, pages, &place)) {
        return;
    }
    // Two bounds apply: that of the route, and that of the process, which `BackgroundRequest::of` checks.
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

/// Returns the query by which the client will probably ask for the next page, because the spelling of the query is a
/// part of the key: the client's own query with the new cursor in place of its own, or the query of the link if the
/// client had no cursor yet. Returns `None` if the query has private parameters, which links leave out, or several
/// cursors.
///
/// Example: for the query `cursor=a&limit=10` and a link with `limit=10&cursor=b` it is `cursor=b&limit=10`.
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
    /// Copies a request; `None` if too many are in the background, the process stops, memory is short, or half of the
    /// upstream's slots are taken.
    fn of(call: ListCall<'_>, owners: CallOwners<'_>, fetcher: &Fetcher, outcome: &Outcome) -> Option<Self> {
        let CallOwners { snapshot, route, is_running } = owners;
        let slots = &route.upstream.slots;
        let is_busy =
            slots.waiting() > 0 || slots.in_flight() >= slots.most().div_ceil(2) || snapshot.memory.is_short();
        if is_busy || !is_running {
            return None;
        }
        let place = snapshot.pages.as_ref()?.background()?;
        let chosen = call.chosen;
        Some(Self {
            snapshot: Arc::clone(snapshot),
            route: Arc::clone(route),
            // The copy has the client's credentials, but not its trace, which ends with the client's request. Test:
            // `a_page_that_is_made_ahead_is_its_clients_own`.
            asked: ClientRequest { trace: None, ..call.asked.clone() },
            convention: chosen.convention.name.clone(),
            preferences: chosen.preferences.clone(),
            by_preference: chosen.by_preference,
            fetcher: fetcher.clone(),
            request_id: outcome.request_id.clone(),
            _place: place,
        })
    }

    /// Makes the page, stores it, and counts the outcome.
    async fn make(mut self, background: Background) {
        // The page has a time of its own, not the rest of the client's.
        (self.asked.began, self.asked.now) = (clock::instant(), clock::unix_seconds());
        let metrics = Arc::clone(&self.route.metrics);
        let mut outcome = Outcome::unlogged(self.request_id.clone(), Arc::clone(&metrics));
        let ended = self.end(&mut outcome).await;
        metrics.count_background(background.word(), ended, &outcome.counted);
    }

    /// Makes the page and stores it; returns the word for the outcome in metrics.
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
