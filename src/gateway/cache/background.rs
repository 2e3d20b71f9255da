//! Pages that are made while no request waits for them: new ones for old ones that were just served. Their number is
//! bounded, none is made under load, and they end with the process.

use std::sync::Arc;

use super::{
    call::{CallOwners, begin},
    making::{FlightEnd, KeptCall, MadeResponse},
};
use crate::{
    downstream::{NegotiatedConvention, Preferences},
    gateway::{
        lifecycle::snapshot::Snapshot,
        outcome::{access_log::Outcome, metrics::Counted},
        page::context::ListCall,
        routes::route::Route,
        runtime::clock,
        session::client_request::ClientRequest,
        shared::pages::{BackgroundPlace, stored::StoredPage},
    },
    upstream::net::fetch::Fetcher,
};

/// The reason that a page is made in the background.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Background {
    /// The page that is kept is old.
    Refresh,
}

impl Background {
    /// Returns the reason as metrics name it.
    const fn word(self) -> &'static str {
        match self {
            Self::Refresh => "refresh",
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

impl BackgroundRequest {
    /// Copies a request; nothing if there is no room for it, or the upstream has much to do.
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
        let convention = list.conventions.all().find(|convention| convention.name == self.convention);
        let (Some(cache), Some(pages), Some(convention)) = (&list.page_cache, &snapshot.pages, convention) else {
            return "dropped";
        };
        let (preferences, by_preference) = (self.preferences.clone(), self.by_preference);
        let chosen = NegotiatedConvention { convention, preferences, by_preference, refused: None };
        let call = ListCall { snapshot, asked: &self.asked, route, list, chosen: &chosen, kept: None };
        let (kept, key) = begin(call, cache, pages);
        let place = pages.find(key, &self.asked.headers, clock::instant());
        let (call, settings) = (ListCall { kept: Some(&kept), ..call }, cache.settings);
        let held = snapshot.memory.share();
        let made = KeptCall { call, kept: &kept, settings, place: &place, fetcher: &self.fetcher };
        match made.fly(&held, outcome).await {
            Ok(FlightEnd::Own(MadeResponse::Stored { .. }) | FlightEnd::Shared(_)) => "stored",
            Ok(FlightEnd::Own(MadeResponse::Apart(_))) => "not_stored",
            Ok(FlightEnd::Failed) | Err(_) => "failed",
        }
    }
}
