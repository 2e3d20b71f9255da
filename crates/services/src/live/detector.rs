//! Detectors: for the live pages of a route, one request of the configuration tells whether something has changed. Each
//! page is then requested after a change only, and at the longest interval in any case, so the upstream's load grows
//! with the changes and not with the clients.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::{HeaderValue, header};
use tokio::sync::watch;

use super::rhythm::{LONGEST_WAIT, PollRhythm, loosened};
use crate::{
    answer::{self, FreshPage},
    caller::Caller,
    inner::InnerGateway,
    list::{configured_target, find_list},
    page::{is_page, version},
};
use cursorgate_config::settings::{DetectorSettings, LiveInterval, LiveSettings};
use cursorgate_core::json::Pointer;
use cursorgate_gateway::{
    Snapshot,
    lifecycle::process::{Stage, live_counts::PollResult},
    runtime::futures::caught,
    session::service::PageCause,
};

/// The detectors at work, by the names of their routes. A detector works while live pages of its route are read.
#[derive(Debug, Default)]
pub(super) struct Detectors(Mutex<HashMap<String, watch::Sender<Detected>>>);

/// The version of a detector's last answer; `None` before the first one, and after a failure. A page that was requested
/// while the version was `None` might have changed since.
type Detected = Option<String>;

/// The answers of a detector, for the poller of one page.
#[derive(Debug)]
pub(super) struct Detector(watch::Receiver<Detected>);

impl Detector {
    /// Returns whether the detector tells of changes at present. Notes the current version as known.
    pub(super) fn is_working(&mut self) -> bool {
        self.0.borrow_and_update().is_some()
    }

    /// Returns whether the detector has ended, with its configuration or by a fault.
    pub(super) fn has_ended(&self) -> bool {
        self.0.has_changed().is_err()
    }

    /// Waits until the version differs from the known one, or can't be known any more.
    pub(super) async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Detectors {
    /// Returns the detector of a route, and begins it if it doesn't work yet. Returns `None` if the configuration has
    /// none.
    pub(super) fn of(
        self: &Arc<Self>,
        inner: &Arc<InnerGateway>,
        settings: &LiveSettings,
        route: &str,
    ) -> Option<Detector> {
        settings.detectors.iter().find(|detector| detector.route == route)?;
        let mut table = self.table();
        if let Some(changes) = table.get(route) {
            return Some(Detector(changes.subscribe()));
        }
        let changes = watch::Sender::new(None);
        let receiver = changes.subscribe();
        table.insert(route.to_owned(), changes.clone());
        let work = DetectorWork {
            detectors: Arc::clone(self),
            inner: Arc::clone(inner),
            route: route.to_owned(),
            changes,
            rhythm: PollRhythm::default(),
            seen: None,
            has_failed: false,
        };
        tokio::spawn(work.run());
        Some(Detector(receiver))
    }

    /// Returns the routes of the detectors at work, and whether each tells of changes at present.
    pub(super) fn all(&self) -> Vec<(String, bool)> {
        self.table().iter().map(|(route, changes)| (route.clone(), changes.borrow().is_some())).collect()
    }

    fn table(&self) -> MutexGuard<'_, HashMap<String, watch::Sender<Detected>>> {
        // No code panics while it holds the lock, so a poisoned lock can be taken.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer to compare the next one with.
struct LastAnswer {
    /// The path that was requested. A reload can change it.
    path: String,
    tag: Option<HeaderValue>,
    version: String,
}

/// The task of a detector. Dropping the value removes the detector.
struct DetectorWork {
    detectors: Arc<Detectors>,
    inner: Arc<InnerGateway>,
    route: String,
    changes: watch::Sender<Detected>,
    rhythm: PollRhythm,
    /// The last answer; `None` before the first one, and after a failure.
    seen: Option<LastAnswer>,
    /// True if the last request has failed. Only the first failure in a row is logged.
    has_failed: bool,
}

impl Drop for DetectorWork {
    fn drop(&mut self) {
        let mut table = self.detectors.table();
        // The route might have the next detector already.
        if table.get(&self.route).is_some_and(|known| known.same_channel(&self.changes)) {
            table.remove(&self.route);
        }
        drop(table);
        self.changes.send_replace(None);
    }
}

impl DetectorWork {
    /// Sends requests until no page of the route is live, the configuration has no such detector any more, or the
    /// process closes.
    async fn run(mut self) {
        let vitals = self.inner.gateway().vitals.clone();
        let mut closing = pin!(vitals.reached(Stage::Closing));
        // Each iteration sends a request, and waits until the next one is due.
        loop {
            let asked = {
                let step = pin!(self.step());
                let mut stepping = pin!(caught(step));
                tokio::select! {
                    biased;
                    () = &mut closing => return,
                    asked = &mut stepping => asked,
                }
            };
            let pause = match asked {
                Ok(Some(pause)) => pause,
                Ok(None) => return,
                Err(panic) => {
                    tracing::error!(route = self.route, panic, "a detector of changes has failed");
                    return;
                }
            };
            tokio::select! {
                biased;
                () = &mut closing => return,
                () = tokio::time::sleep(pause) => {}
                () = self.changes.closed() => {}
            }
            if self.is_unread() {
                return;
            }
        }
    }

    /// Returns whether no page waits for this detector. None can begin to wait for it then.
    fn is_unread(&self) -> bool {
        let mut table = self.detectors.table();
        let is_unread = self.changes.is_closed();
        if is_unread {
            table.remove(&self.route);
        }
        is_unread
    }

    /// Sends a request, and publishes the version of its answer. Returns the time until the next request; `None` if the
    /// configuration has no such detector any more.
    async fn step(&mut self) -> Option<Duration> {
        let snapshot = self.inner.gateway().live.pin();
        let settings = snapshot.services.live.as_ref()?;
        let detector = settings.detectors.iter().find(|detector| detector.route == self.route)?;
        let counts = Arc::clone(self.inner.gateway().vitals.live_counts());
        let interval = |max| LiveInterval { min: detector.interval, max };
        let (bounds, while_failing) = (interval(detector.interval), interval(detector.interval.max(LONGEST_WAIT)));
        let pause = match self.ask(&snapshot, detector, settings.timeout).await {
            Ok(answer) => {
                if std::mem::take(&mut self.has_failed) {
                    tracing::info!(route = self.route, "the detector of changes is answered again");
                }
                let has_changed = self.changes.send_if_modified(|detected| {
                    let has_changed = detected.as_ref() != Some(&answer.version);
                    *detected = Some(answer.version.clone());
                    has_changed
                });
                self.seen = Some(answer);
                counts.count_poll(if has_changed { PollResult::Changed } else { PollResult::Unchanged });
                self.rhythm.unchanged(bounds)
            }
            Err((fault, wait)) => {
                if !std::mem::replace(&mut self.has_failed, true) {
                    tracing::warn!(route = self.route, fault, "the detector of changes fails: each page is requested");
                }
                self.seen = None;
                self.changes.send_if_modified(|detected| detected.take().is_some());
                counts.count_poll(PollResult::Failed);
                self.rhythm.failed(while_failing, wait)
            }
        };
        Some(loosened(pause))
    }

    /// Requests the path of the detector.
    ///
    /// # Errors
    ///
    /// Returns the reason that there is no answer to compare, and the time for which the answer asks to wait.
    async fn ask(
        &mut self,
        snapshot: &Snapshot,
        detector: &DetectorSettings,
        timeout: Duration,
    ) -> Result<LastAnswer, (String, Duration)> {
        let caller = Caller::of_operator(detector.host.as_deref(), &detector.headers);
        let path = &detector.path.value;
        let seen = self.seen.take_if(|seen| seen.path == *path);
        let known = seen.as_ref().and_then(|seen| seen.tag.as_ref());
        let page = FreshPage { target: path, known, form: PageCause::Renewal.form() };
        let (_goes_on, mut wanted) = watch::channel(());
        let answer = answer::ask(self.inner.gateway(), snapshot, &caller, page, timeout, &mut wanted).await;
        let answer = answer.map_err(|reason| (reason.said().0.as_str().to_owned(), Duration::ZERO))?;
        match (answer.status, seen) {
            (304, Some(seen)) => Ok(seen),
            (200, _) => {
                let tag = answer.headers.get(header::ETAG).cloned();
                // Cursors and links of a page differ although its items are the same, so only its items are compared.
                let items = is_page(&answer).then(|| items(snapshot, path, &caller)).flatten();
                Ok(LastAnswer { path: path.clone(), tag, version: version(&answer.body, items.as_ref()) })
            }
            (status, _) => {
                let fault = answer.problem().map_or_else(|| format!("status {status}"), |(code, _)| code);
                Err((fault, answer.retry_after()))
            }
        }
    }
}

/// Returns the place of the items in the page at `path`; `None` if it leads to no list.
fn items(snapshot: &Snapshot, path: &str, caller: &Caller) -> Option<Pointer> {
    let target = configured_target(path, caller)?;
    let route = find_list(snapshot, target.host.as_deref(), &target.normal_path)?;
    let convention = route.list.as_ref()?.conventions.choose(&caller.headers).convention;
    convention.envelope.places().items.clone()
}
