//! Pages that are made while no request waits for them: new ones for old ones that were just served, and the next ones
//! of pages that were just served. Their number is bounded, none is made under load, and they end with the process.
//!
//! A page that is made ahead is found as any other, or waited for while it is made. No further page is made for it
//! until a client gets it, so that none is more than one page ahead of a client.

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
    /// The page that is kept is old.
    Refresh,
    /// The page before was served.
    Prefetch,
}

impl Background {
    /// Returns the reason as metrics name it.
    const fn word(self) -> &'static str {
        match self {
            Self::Refresh => "refresh",
            Self::Prefetch => "prefetch",
        }
    }
}

/// A request without its client.
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

/// The mark of a page that is being refreshed, which ends with the refresh however it ends.
struct Refreshing(Arc<StoredPage>);

impl Drop for Refreshing {
    fn drop(&mut self) {
        self.0.end_refresh();
    }
}

/// Begins to make a new page for an old one, once at a time.
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

/// Begins to make the page after one that is about to be served, on a route that does so.
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
    // A client that asks for the head of a page alone may not go on to the next.
    if !cache.settings.prefetch || outcome.method == Some(Method::HEAD) {
        return;
    }
    let Some(query) = next_query(call, next) else { return };
    let (_, key) = begin(call, Some(&query), cache, pages);
    let place = pages.find(key, &call.asked.headers, clock::instant());
    let is_kept = place.found.as_ref().is_some_and(|page| matches!(page.life.at(clock::instant()), PageUse::Fresh(_)));
    if is_kept || pages.flights.is_under_way(&flight(call, pages, &place)) {
        return;
    }
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

/// Returns the query by which the client will ask for the next page: that of the link, or its own with the new cursor,
/// if it had one. Returns nothing if the client adds parameters that links leave out.
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
    /// Copies a request; `None` if there is no room for it, or the upstream has much to do.
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
            asked: ClientRequest { trace: None, ..call.asked.clone() },
            convention: chosen.convention.name.clone(),
            preferences: chosen.preferences.clone(),
            by_preference: chosen.by_preference,
            fetcher: fetcher.clone(),
            request_id: outcome.request_id.clone(),
            _place: place,
        })
    }

    /// Makes the page and stores it.
    async fn make(mut self, background: Background) {
        (self.asked.began, self.asked.now) = (clock::instant(), clock::unix_seconds());
        let metrics = Arc::clone(&self.route.metrics);
        let mut outcome = Outcome::unlogged(self.request_id.clone(), Arc::clone(&metrics));
        let ended = self.end(&mut outcome).await;
        metrics.count_background(background.word(), ended, &outcome.counted);
    }

    /// Returns the end as metrics name it.
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
