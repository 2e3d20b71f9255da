//! Watches lists of the configuration for changes. At each interval of a list, one of the processes that share the
//! webhooks' store requests the list, with the headers of the configuration.
//!
//! Of processes with separate directories that share a cache (`[caches.shared]`), one has the turn to request the list,
//! until it ends. It writes the version and the cause of the last change to the store, where the others read them, for
//! the endpoints of their own clients. Each cause is derived from the cause before it, so a process that takes over
//! raises the same event again and not another one. Without an answer of the store, each process requests the list
//! itself.

use std::{
    collections::HashMap,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use http::{HeaderValue, header};
use pingora::{server::ShutdownWatch, services::background::BackgroundService};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::{sync::watch, task::JoinSet};

use super::{
    endpoint::{NAME, names},
    events::{ChangedList, Events, SeenList, WINDOW},
    store::{WebhookStore, WebhookTables},
};
use crate::{
    answer::{self, FreshPage, InnerAnswer, NoAnswer},
    backoff::Backoff,
    caller::{Caller, ClientRules},
    database::DatabaseFault,
    id::new_id,
    inner::InnerGateway,
    list::{configured_target, find_list},
    page,
};
use cursorgate_config::settings::WatchSettings;
use cursorgate_gateway::{
    Snapshot,
    lifecycle::process::Stage,
    runtime::{clock, futures::caught},
    session::service::PageCause,
    store::handle::{SharedStore, StoredKind},
};
use cursorgate_translate::downstream::Code;

/// The interval at which a process looks for watches that are due.
const LOOK: Duration = Duration::from_secs(1);

/// The longest time that an answer's `Retry-After` can delay the next request. It is also the longest wait after
/// failures, unless the watch's interval is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// The time for which the shared store keeps a version after the last request.
const KEPT: Duration = Duration::from_secs(7 * 86_400);

pub(crate) struct WatchKeeper {
    pub(super) inner: Arc<InnerGateway>,
    pub(super) store: WebhookStore,
    pub(super) events: Events,
}

/// The state of a watch between two requests.
#[derive(Debug, Default)]
struct WatchRest {
    /// The time of the next request; `None` before the first request.
    until: Option<Instant>,
    /// The number of failed requests in a row.
    failures: u32,
    /// True if the last look has failed by a fault of the store.
    waits: bool,
    /// The key, the `ETag` and the version of the page that was read last; `None` before the first page, after a
    /// failure, and after a page without an `ETag`.
    seen: Option<([u8; 32], HeaderValue, String)>,
}

/// The reason that a list couldn't be read.
#[derive(Debug)]
struct WatchFault {
    /// The code of the problem, or the status of an answer that isn't a problem, such as `status 404`.
    word: String,
    /// The wait that the answer's `Retry-After` asks for; zero without it.
    wait: Duration,
}

/// A single request of a watch.
struct WatchTurn<'w> {
    snapshot: &'w Arc<Snapshot>,
    watch: &'w WatchSettings,
    caller: Arc<Caller>,
    /// A hash of the headers and the path, which determine the page.
    key: [u8; 32],
}

#[async_trait]
impl BackgroundService for WatchKeeper {
    /// Watches the lists until the process stops. Then another process continues from the versions in the store.
    async fn start(&self, _shutdown: ShutdownWatch) {
        let vitals = self.inner.gateway().vitals.clone();
        let mut stopping = pin!(vitals.reached(Stage::Draining));
        let mut running: JoinSet<(String, WatchRest)> = JoinSet::new();
        // The watches by name; `None` while a request is running.
        let mut resting: HashMap<String, Option<WatchRest>> = HashMap::new();
        // Each iteration waits until a request ends, or until the next poll is due.
        loop {
            tokio::select! {
                () = &mut stopping => break,
                Some(ended) = running.join_next() => {
                    // The task doesn't panic, because `turn` catches the panics of its request.
                    if let Ok((name, rest)) = ended {
                        resting.insert(name, Some(rest));
                    }
                }
                () = tokio::time::sleep(LOOK) => {}
            }
            let snapshot = self.inner.gateway().live.pin();
            let watches = snapshot.services.webhooks.as_ref().map_or(&[][..], |settings| &settings.watches);
            // An entry stays while its request is running. Otherwise, if reloads removed the watch and added it again,
            // a second request could begin.
            resting.retain(|name, rest| rest.is_none() || watches.iter().any(|watch| watch.name == *name));
            let now = clock::instant();
            for watch in watches {
                let rest = resting.entry(watch.name.clone()).or_insert_with(|| Some(WatchRest::default()));
                let is_due = rest.as_ref().is_some_and(|rest| rest.until.is_none_or(|until| until <= now));
                let Some(rest) = rest.take_if(|_| is_due) else { continue };
                let keeper =
                    Self { inner: Arc::clone(&self.inner), store: self.store.clone(), events: self.events.clone() };
                let (snapshot, watch) = (Arc::clone(&snapshot), watch.clone());
                running.spawn(async move { (watch.name.clone(), keeper.turn(&snapshot, &watch, rest).await) });
            }
        }
        // Requests of watches only read, so they can be cancelled here.
        running.shutdown().await;
    }
}

impl WatchKeeper {
    /// Requests a list, unless another process has requested it in this interval. Returns the state until the next
    /// request.
    async fn turn(&self, snapshot: &Arc<Snapshot>, watch: &WatchSettings, rest: WatchRest) -> WatchRest {
        let WatchRest { failures, waits, .. } = rest;
        let turned = match caught(pin!(self.ask(snapshot, watch, rest))).await {
            Ok(turned) => turned,
            Err(panic) => {
                tracing::error!(service = NAME, watch = watch.name, panic, "a watch has failed");
                // A request that panics would panic again at the next poll, so the watch waits as long as after many
                // failures.
                return WatchRest {
                    until: Some(clock::instant() + watch.interval.max(LONGEST_WAIT)),
                    failures,
                    waits,
                    seen: None,
                };
            }
        };
        match turned {
            Ok(rest) => WatchRest { waits: false, ..rest },
            Err(fault) => {
                // The keeper tells of the end of an outage.
                if !waits {
                    tracing::error!(service = NAME, watch = watch.name, %fault, "a watch waits");
                }
                WatchRest { until: Some(clock::instant() + LOOK), failures, waits: true, seen: None }
            }
        }
    }

    async fn ask(
        &self,
        snapshot: &Arc<Snapshot>,
        watch: &WatchSettings,
        mut rest: WatchRest,
    ) -> Result<WatchRest, DatabaseFault> {
        let Some(keys) = snapshot.keys.as_deref() else { return Ok(rest) };
        let request = WatchTurn::new(snapshot, watch);
        let names = names(keys, WINDOW, &request.key);
        let longest = watch.interval.max(LONGEST_WAIT);
        let (name, claimed, interval) = (watch.name.clone(), names.clone(), watch.interval);
        let claim = move |tables: &mut WebhookTables<'_>| {
            let now = tables.now();
            let [until, latest] = [interval, longest].map(|wait| now.saturating_add(milliseconds(wait)));
            let due = tables.claim_watch(&name, &claimed, now, until, latest)?;
            Ok((due.map(|due| due.saturating_sub(now)), tables.holder()?))
        };
        let (wait, holder) = self.store.call(claim).await?;
        let began = clock::instant();
        if let Some(wait) = wait {
            // Another process has sent the request in this interval, or this process before a restart.
            rest.until = Some(began + Duration::from_millis(wait));
            return Ok(rest);
        }
        rest.until = Some(began + watch.interval);
        let shared = SharedWatch::of(&request, &holder);
        let has_turn = shared.take_turn(watch.interval).await;
        let known = shared.read().await;
        if has_turn == Some(false) {
            if let Some(known) = known {
                self.events.list_seen(&[Arc::clone(&request.caller)], known.seen(request.key, None, true)).await?;
            }
            // The process with the turn knows the tag, and reports the faults.
            (rest.seen, rest.failures) = (None, 0);
            return Ok(rest);
        }
        // A reload might have changed the path or the headers. The `ETag` then belongs to another page, so it isn't
        // sent.
        let seen = rest.seen.take_if(|(key, ..)| *key == request.key);
        let seen = self.see(&request, seen).await;
        // A failure never ends a watch, because the upstream might permit the request later.
        // Test: `a_watch_that_is_refused_is_reported_and_goes_on`.
        let (fault, wait) = match &seen {
            Ok(_) => (None, Duration::ZERO),
            Err(fault) => {
                let backoff = Backoff { first: watch.interval.saturating_mul(2), factor: 2, longest };
                let wait = backoff.pause(rest.failures + 1).max(fault.wait.min(LONGEST_WAIT)).max(watch.interval);
                (Some(fault.word.clone()), wait)
            }
        };
        log(watch, rest.failures, fault.as_deref());
        rest.failures = if fault.is_some() { rest.failures.saturating_add(1) } else { 0 };
        if let Ok((tag, mut seen)) = seen {
            let version = seen.version.clone();
            let shown = shared.next(known.as_ref(), &seen);
            if let Some(shown) = &shown {
                seen.cause = Some(shown.cause.clone());
                seen.before = known.map(|known| known.version);
            }
            // The `ETag` is kept only after the version is stored. If the store fails, the next answer is then a page
            // again, not a 304.
            self.events.list_seen(&[Arc::clone(&request.caller)], seen).await?;
            // Other processes learn of the version once this process has raised its event.
            if let Some(shown) = shown {
                shared.write(&shown);
            }
            rest.seen = tag.map(|tag| (request.key, tag, version));
        }
        if !wait.is_zero() {
            rest.until = Some(clock::instant() + wait);
            // Otherwise another process would take the turn, and not know of the failures.
            shared.take_turn(wait).await;
        }
        // If there is no fault, 0 keeps the time that the claim has set.
        let end = move |tables: &mut WebhookTables<'_>| {
            let until = if wait.is_zero() { 0 } else { tables.now().saturating_add(milliseconds(wait)) };
            tables.end_watch(&names, fault.as_deref(), until)
        };
        self.store.call(end).await?;
        Ok(rest)
    }

    /// Requests the page. Returns the page's `ETag` and version. If the answer is 304, both come from `before`.
    async fn see(
        &self,
        request: &WatchTurn<'_>,
        before: Option<([u8; 32], HeaderValue, String)>,
    ) -> Result<(Option<HeaderValue>, SeenList), WatchFault> {
        let WatchTurn { snapshot, watch, caller, key } = request;
        let target =
            configured_target(&watch.path.value, caller).ok_or_else(|| WatchFault::of(Code::RequestInvalid))?;
        let found = find_list(snapshot, target.host.as_deref(), &target.normal_path);
        let Some((route, list)) = found.as_ref().and_then(|route| Some((route, route.list.as_ref()?))) else {
            return Err(WatchFault::of(Code::RouteNotFound));
        };
        let known = before.as_ref().map(|(_, tag, _)| tag);
        let page = FreshPage { target: &watch.path.value, known, form: PageCause::Renewal.form() };
        let (_goes_on, mut wanted) = watch::channel(());
        let asked = answer::ask(self.inner.gateway(), snapshot, caller, page, watch.timeout, &mut wanted).await;
        let answer = asked.map_err(|reason: NoAnswer| WatchFault::of(reason.said().0))?;
        let convention = list.conventions.choose(&caller.headers).convention;
        let (tag, version) = match (answer.status, before) {
            (304, Some((_, tag, version))) => (Some(tag), version),
            (200, _) if page::is_page(&answer) => {
                let version = page::version(&answer.body, convention.envelope.places().items.as_ref());
                (answer.headers.get(header::ETAG).cloned(), version)
            }
            _ => return Err(WatchFault::of_answer(&answer)),
        };
        let query = target.query.as_deref().unwrap_or_default();
        let data = ChangedList {
            route: route.name.clone(),
            path: target.path,
            query: page::list_query(&convention.parameters, query),
            watch: Some(watch.name.clone()),
            etag: tag.as_ref().and_then(|tag| tag.to_str().ok()).map(str::to_owned),
        };
        Ok((tag, SeenList { key: *key, version, before: None, cause: None, is_for_clients: false, data }))
    }
}

impl<'w> WatchTurn<'w> {
    fn new(snapshot: &'w Arc<Snapshot>, watch: &'w WatchSettings) -> Self {
        let caller = Arc::new(Caller::of_operator(watch.host.as_deref(), &watch.headers));
        let mut hash = Sha256::new();
        // The name has a fixed length, so no two pairs of a name and a path have the same bytes.
        hash.update(caller.name_of("watch", ClientRules::default()));
        hash.update(watch.path.value.as_bytes());
        Self { snapshot, watch, caller, key: hash.finalize().into() }
    }
}

/// A watch in the store that processes share.
struct SharedWatch<'w> {
    /// The store; `None` without `[caches.shared]`.
    store: Option<&'w SharedStore>,
    key: [u8; 32],
    timeout: Duration,
    holder: &'w str,
}

/// The version of a watched list that the process with the turn has read.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct SharedVersion {
    version: String,
    /// The cause of the event by which the list got this version.
    cause: String,
    data: ChangedList,
}

impl SharedVersion {
    /// Returns the version as one that this process has seen.
    fn seen(self, key: [u8; 32], before: Option<String>, is_for_clients: bool) -> SeenList {
        let Self { version, cause, data } = self;
        SeenList { key, version, before, cause: Some(cause), is_for_clients, data }
    }
}

impl<'w> SharedWatch<'w> {
    fn of(turn: &'w WatchTurn<'_>, holder: &'w str) -> Self {
        Self { store: turn.snapshot.store.as_deref(), key: turn.key, timeout: turn.watch.timeout, holder }
    }

    /// Takes or keeps the turn to request the list, until well after the next request, which follows after `pause`.
    /// Returns `None` if each process requests the list itself.
    async fn take_turn(&self, pause: Duration) -> Option<bool> {
        let lease = pause.saturating_mul(2) + self.timeout + LOOK * 2;
        self.store?.take_turn(&self.key, self.holder, lease).await
    }

    async fn read(&self) -> Option<SharedVersion> {
        let store = self.store?;
        let found = store.get(StoredKind::Watch, store.signing_number(), &self.key, clock::unix_seconds()).await?;
        serde_json::from_slice(&found.bytes).ok()
    }

    /// Returns the version that the store should contain after `seen`; `None` without a store.
    fn next(&self, known: Option<&SharedVersion>, seen: &SeenList) -> Option<SharedVersion> {
        self.store?;
        let cause = match known {
            Some(known) if known.version == seen.version => known.cause.clone(),
            // A list that returns to an earlier version has changed again, so the cause includes all changes before.
            Some(known) => page::hex(&Sha256::digest(format!("{}\n{}", known.cause, seen.version))),
            None => new_id()?,
        };
        Some(SharedVersion { version: seen.version.clone(), cause, data: seen.data.clone() })
    }

    fn write(&self, version: &SharedVersion) {
        if let (Some(store), Ok(bytes)) = (self.store, serde_json::to_vec(version)) {
            let (key, now) = (store.signing_number(), clock::unix_seconds());
            store.put(StoredKind::Watch, key, &self.key, &bytes, KEPT, now);
        }
    }
}

impl WatchFault {
    fn of(code: Code) -> Self {
        Self { word: code.as_str().to_owned(), wait: Duration::ZERO }
    }

    fn of_answer(answer: &InnerAnswer) -> Self {
        let word = match answer.status {
            200 => "page_refused".to_owned(),
            401 | 403 => "credentials_refused".to_owned(),
            status => answer.problem().map_or_else(|| format!("status {status}"), |(code, _)| code),
        };
        Self { word, wait: answer.retry_after() }
    }
}

/// Logs the first of several failures in a row, and the first success after failures.
fn log(watch: &WatchSettings, failures: u32, fault: Option<&str>) {
    let watch = watch.name.as_str();
    match (failures, fault) {
        (0, Some(fault)) => tracing::warn!(service = NAME, watch, fault, "a watched list can't be read"),
        (1.., None) => tracing::info!(service = NAME, watch, failures, "a watched list is read again"),
        _ => {}
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
