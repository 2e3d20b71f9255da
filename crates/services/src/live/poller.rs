//! The poller of a group. It requests the page again and again, one request after the other, until the page ends or the
//! last subscriber leaves.

use std::{future::pending, pin::pin, sync::Arc, time::Duration};

use tokio::sync::watch;

use super::{
    detector::Detector,
    group::{LiveGroup, LiveGroups, Subscription},
    history::{LivePageEnd, LiveState, PageRefusal, ShownPage},
    message::{Farewell, LiveMessage, LivePageFault},
    page::LivePage,
    rhythm::{PollRhythm, chance, loosened},
    window::{ListPlace, LiveWindow},
};
use crate::{
    answer::{self, FreshPage, NoAnswer},
    caller::Caller,
    list::find_list,
    page::version,
    webhooks::{ChangedList, SeenList},
};
use cursorgate_config::settings::LiveSettings;
use cursorgate_core::json::Pointer;
use cursorgate_gateway::{
    Gateway, Snapshot,
    lifecycle::process::{
        Stage,
        live_counts::{LiveCounts, PollResult},
    },
    runtime::{clock, futures::caught},
    session::service::PageCause,
    shared::writes::WriteReader,
};
use cursorgate_translate::downstream::Code;

/// The largest number of attempts to find the right group for a client. After that, the client gets no page and can try
/// again. Several attempts are needed because only the first answer of a group shows by which headers its page varies.
/// A client that joined before might differ in one of these headers.
const ATTEMPTS: usize = 3;

/// Subscribes a client, and waits for the first answer. `has` is the id of the page that the client has; `None` if it
/// has none.
///
/// # Errors
///
/// Returns the reason that the client doesn't get a page.
pub(super) async fn enter(
    groups: &Arc<LiveGroups>,
    gateway: &Arc<Gateway>,
    window: &LiveWindow,
    caller: &Arc<Caller>,
    has: Option<String>,
) -> Result<Subscription, LivePageEnd> {
    for _ in 0..ATTEMPTS {
        let (mut subscription, begun) = groups.join(window, caller);
        if let Some(wanted) = begun {
            tokio::spawn(run(Arc::clone(groups), Arc::clone(subscription.group()), Arc::clone(gateway), wanted));
        }
        subscription.begin().await?;
        // The answer can show that the page varies by a header in which this client differs from the group.
        // Test: `a_page_that_differs_by_a_header_is_not_shared`.
        if subscription.group().serves(caller) {
            return Ok(subscription.resume(has));
        }
    }
    Err(LivePageEnd::Closing(Farewell::Divided))
}

/// The result of one request for the page.
enum LivePoll {
    /// The page differs from the last page, and has been published to the subscribers.
    Changed,
    Unchanged,
    /// A later request, after at least this time, might succeed.
    Failed(PageRefusal, Duration),
    Refused(PageRefusal),
    Closing(Farewell),
}

/// A poller. Dropping the value removes its group from the table, and lowers the count of pollers.
struct Poller {
    groups: Arc<LiveGroups>,
    group: Arc<LiveGroup>,
    gateway: Arc<Gateway>,
    counts: Arc<LiveCounts>,
    rhythm: PollRhythm,
    /// The id and the version of the page that was last reported to webhooks; `None` before the first report.
    told: Option<(String, String)>,
    /// The writes to the list through this process; `None` before the first request.
    writes: Option<WriteReader>,
    /// The detector of the route; `None` before the first request, and if the route has none.
    detector: Option<Detector>,
}

/// The time until the next request.
#[derive(Clone, Copy)]
struct PollPause {
    time: Duration,
    /// True if news of the list end the pause early: a write, or the detector. False if the upstream has failed, or if
    /// memory is short.
    ends_with_news: bool,
}

/// The reason that a page is requested before its pause is over.
enum PollNews {
    Write,
    Detected,
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.counts.end_poller();
        self.groups.remove(&self.group);
    }
}

/// Polls the page of a group until the page is refused or is no longer live, the last subscriber leaves, or the process
/// closes.
async fn run(groups: Arc<LiveGroups>, group: Arc<LiveGroup>, gateway: Arc<Gateway>, mut wanted: watch::Receiver<()>) {
    let vitals = groups.inner.gateway().vitals.clone();
    let counts = Arc::clone(vitals.live_counts());
    counts.begin_poller();
    let rhythm = PollRhythm::default();
    let mut poller = Poller { groups, group, gateway, counts, rhythm, told: None, writes: None, detector: None };
    let mut closing = pin!(vitals.reached(Stage::Closing));
    // Each iteration sends a request, publishes its result, and waits until the next request is due.
    loop {
        let pause = {
            let step = pin!(poller.step(&mut wanted));
            let mut stepping = pin!(caught(step));
            tokio::select! {
                biased;
                () = &mut closing => return,
                stepped = &mut stepping => stepped,
            }
        };
        let pause = match pause {
            Ok(Some(pause)) => pause,
            Ok(None) => return,
            Err(panic) => {
                tracing::error!(panic, "a live page has failed");
                let detail = "the gateway failed: report the request id".to_owned();
                let fault = LivePageFault { status: 500, code: Code::Internal.as_str().to_owned(), detail };
                poller.end(LivePageEnd::Refused(Arc::new(PageRefusal::new(fault, None))));
                return;
            }
        };
        tokio::select! {
            biased;
            () = &mut closing => return,
            _ = wanted.changed() => return,
            () = poller.rest(pause) => {}
        }
    }
}

impl Poller {
    /// Waits until the next request is due: for the time of the pause, or until news of the list, but at least for the
    /// shortest interval. So many writes cause no more requests than a page that changes all the time.
    async fn rest(&mut self, pause: PollPause) {
        let began = clock::instant();
        if !pause.ends_with_news {
            return tokio::time::sleep(pause.time).await;
        }
        let (writes, detector) = (&mut self.writes, &mut self.detector);
        let written = async {
            match writes {
                Some(writes) => writes.next().await,
                None => pending().await,
            }
        };
        let detected = async {
            match detector {
                Some(detector) => detector.next().await,
                None => pending().await,
            }
        };
        let news = tokio::select! {
            biased;
            () = tokio::time::sleep(pause.time) => return,
            () = written => PollNews::Write,
            () = detected => PollNews::Detected,
        };
        let snapshot = self.groups.inner.gateway().live.pin();
        let Some(settings) = &snapshot.services.live else { return };
        let shortest = settings.interval.min;
        let least = match news {
            PollNews::Write => loosened(self.rhythm.woken(settings.interval)),
            PollNews::Detected => shortest,
        };
        let rest = least.min(pause.time).saturating_sub(clock::instant().saturating_duration_since(began));
        // All pages of the route hear of the same change, so their requests are spread over the shortest interval.
        let spread = if matches!(news, PollNews::Detected) { shortest.mul_f64(chance()) } else { Duration::ZERO };
        tokio::time::sleep(rest.max(spread)).await;
    }

    /// Sends a request, and publishes its result. Returns the time until the next request, or `None` if the poller
    /// ends.
    async fn step(&mut self, wanted: &mut watch::Receiver<()>) -> Option<PollPause> {
        let snapshot = self.groups.inner.gateway().live.pin();
        let Some(settings) = snapshot.services.live.as_ref() else {
            self.end(LivePageEnd::Closing(Farewell::Unconfigured));
            return None;
        };
        let caller = self.group.caller()?;
        // The writes are noted from before the request, so a write while it runs is followed by another request.
        // Test: `a_write_through_the_gateway_wakes_live_pages`.
        if self.writes.is_none() {
            self.writes =
                self.group.window.list(&snapshot).map(|ListPlace { route, path }| {
                    self.groups.inner.gateway().vitals.list_writes().read(&route, &path)
                });
        }
        if self.detector.as_ref().is_none_or(Detector::has_ended) {
            let list = self.group.window.list(&snapshot);
            self.detector = list.and_then(|list| self.groups.detectors.of(&self.groups.inner, settings, &list.route));
        }
        // As with writes: a change that the detector sees during the request is followed by another request.
        let is_detected = self.detector.as_mut().is_some_and(Detector::is_working);
        let polled = self.poll(&snapshot, settings, &caller, wanted).await;
        // The last subscriber might have left during the request. The poller then ends.
        if wanted.has_changed().is_err() {
            return None;
        }
        let is_answered = matches!(polled, LivePoll::Changed | LivePoll::Unchanged);
        if is_answered {
            self.tell(&snapshot).await;
        }
        let bounds = settings.interval;
        let ends_with_news = !matches!(polled, LivePoll::Failed(..)) && !snapshot.memory.is_short();
        let pause = match polled {
            LivePoll::Changed => {
                self.counts.count_poll(PollResult::Changed);
                self.rhythm.changed(bounds)
            }
            LivePoll::Unchanged => {
                self.counts.count_poll(PollResult::Unchanged);
                self.recover();
                self.rhythm.unchanged(bounds)
            }
            LivePoll::Failed(refusal, wait) => {
                self.counts.count_poll(PollResult::Failed);
                if self.group.state.borrow().shown.is_none() {
                    // No subscriber has a page yet, so each of them gets the failure as the answer to its request.
                    // Test: `errors_are_sent_once_and_refused_credentials_end_a_stream`.
                    self.end(LivePageEnd::Refused(Arc::new(refusal)));
                    return None;
                }
                self.warn(&refusal.fault);
                self.rhythm.failed(bounds, wait)
            }
            LivePoll::Refused(refusal) => {
                self.counts.count_poll(PollResult::Refused);
                let of_credentials = matches!(refusal.fault.status, 401 | 403);
                let end = LivePageEnd::Refused(Arc::new(refusal));
                if !of_credentials || !self.group.refuse(&caller, &end) {
                    self.end(end);
                    return None;
                }
                // The client has other credentials, which the next request has.
                // Test: `refused_credentials_end_only_their_own_streams`.
                Duration::ZERO
            }
            LivePoll::Closing(farewell) => {
                self.end(LivePageEnd::Closing(farewell));
                return None;
            }
        };
        // While memory is short, the poller waits for at least the longest interval, to leave the memory to the
        // requests of clients. With a detector it waits because the detector tells of changes.
        let waits = is_answered && is_detected || snapshot.memory.is_short();
        let pause = if waits { pause.max(bounds.max) } else { pause };
        Some(PollPause { time: loosened(pause), ends_with_news })
    }

    /// Requests the page with the credentials of `caller`, and publishes it if it has changed.
    async fn poll(
        &self,
        snapshot: &Snapshot,
        settings: &LiveSettings,
        caller: &Caller,
        wanted: &mut watch::Receiver<()>,
    ) -> LivePoll {
        let window = &self.group.window;
        // The list is looked up for each request, because a reload might have removed the list or its live pages.
        // Test: `streams_go_on_after_a_reload_while_their_page_is_live`.
        let found = find_list(snapshot, window.host.as_deref(), &window.normal_path);
        let Some(route) = found.filter(|route| settings.routes.contains(&route.name)) else {
            return LivePoll::Closing(Farewell::Unconfigured);
        };
        let Some(list) = &route.list else { return LivePoll::Closing(Farewell::Unconfigured) };
        let shown = self.group.state.borrow().shown.as_ref().map(|shown| Arc::clone(&shown.page));
        let known = shown.as_ref().and_then(|page| page.tag.as_ref());
        // The client has asked for the first page. Whatever follows is the gateway's own doing.
        let cause = if shown.is_none() { PageCause::Request } else { PageCause::Renewal };
        let page = FreshPage { target: &window.target, known, form: cause.form() };
        let asked = answer::ask(&self.gateway, snapshot, caller, page, settings.timeout, wanted).await;
        let answer = match asked {
            Ok(answer) => answer,
            Err(NoAnswer::Unasked) => return LivePoll::Refused(unanswered(NoAnswer::Unasked)),
            Err(reason) => return LivePoll::Failed(unanswered(reason), Duration::ZERO),
        };
        match answer.status {
            200 => {
                let convention = list.conventions.choose(&caller.headers).convention;
                match LivePage::read(&answer, list, convention) {
                    Some(page) => self.show(page, snapshot),
                    None => LivePoll::Refused(no_page()),
                }
            }
            304 => LivePoll::Unchanged,
            status => {
                let (fault, wait) = (LivePageFault::of_answer(&answer), answer.retry_after());
                let refusal = PageRefusal::new(fault, Some(answer));
                match status {
                    408 | 409 | 425 | 429 | 500.. => LivePoll::Failed(refusal, wait),
                    _ => LivePoll::Refused(refusal),
                }
            }
        }
    }

    /// Publishes a page to the subscribers, unless it hasn't changed.
    fn show(&self, page: LivePage, snapshot: &Snapshot) -> LivePoll {
        let state = Arc::clone(&self.group.state.borrow());
        let next = match &state.shown {
            None => ShownPage::first(page, &snapshot.memory).map(Some),
            Some(shown) => shown.next(page, &snapshot.memory),
        };
        match next {
            // The page now varies by a header in which the subscribers differ. The group ends, and each subscriber
            // reconnects and joins a group whose members get the same page.
            // Test: `a_page_that_differs_by_a_header_is_not_shared`.
            Ok(Some(shown)) if state.shown.is_some() && !self.group.serves_all(&shown.page.varies) => {
                LivePoll::Closing(Farewell::Divided)
            }
            Ok(Some(shown)) => {
                self.group.state.send_replace(Arc::new(LiveState { shown: Some(shown), ..LiveState::default() }));
                LivePoll::Changed
            }
            Ok(None) => LivePoll::Unchanged,
            Err(_) => LivePoll::Failed(unanswered(NoAnswer::NoMemory), Duration::ZERO),
        }
    }

    /// Reports the current page to webhooks, unless it is the page that was reported last. If a report fails, it is
    /// repeated after the next request.
    async fn tell(&mut self, snapshot: &Snapshot) {
        let Some(events) = &self.groups.events else { return };
        let Some(shown) = self.group.state.borrow().shown.clone() else { return };
        if self.told.as_ref().is_some_and(|(id, _)| *id == shown.page.id) {
            return;
        }
        let LiveWindow { host, normal_path, path, list_query, has_private, key, .. } = &self.group.window;
        let Some(route) = find_list(snapshot, host.as_deref(), normal_path) else { return };
        let items = shown.page.places.items.as_ref().and_then(|place| Pointer::parse(place).ok());
        let version = version(&shown.page.body, items.as_ref());
        let data = ChangedList {
            route: route.name.clone(),
            path: path.clone(),
            query: list_query.clone(),
            watch: None,
            etag: shown.page.tag.as_ref().and_then(|tag| tag.to_str().ok()).map(str::to_owned),
        };
        let before = self.told.as_ref().map(|(_, version)| version.clone());
        let seen = SeenList { key: *key, version: version.clone(), before, cause: None, is_for_clients: false, data };
        // Clients with equal headers can still differ in their private parameters. Headers don't identify clients then,
        // so only the operator's endpoints get the event.
        let callers = if *has_private { Vec::new() } else { self.group.callers() };
        match events.list_seen(&callers, seen).await {
            Ok(()) => self.told = Some((shown.page.id.clone(), version)),
            Err(fault) => tracing::error!(%fault, "a change of a list can't be reported"),
        }
    }

    /// Publishes that a request has failed, but only for the first of several failures in a row.
    fn warn(&self, fault: &LivePageFault) {
        self.group.state.send_if_modified(|state| {
            let is_new = state.trouble.is_none();
            if is_new {
                let trouble = Some(Arc::new(LiveMessage::of_fault(fault, false)));
                *state = Arc::new(LiveState { trouble, ..LiveState::clone(state) });
            }
            is_new
        });
    }

    /// Publishes that requests succeed again. Does nothing if the last request succeeded.
    fn recover(&self) {
        self.group.state.send_if_modified(|state| {
            let was_warned = state.trouble.is_some();
            if was_warned {
                *state = Arc::new(LiveState { trouble: None, ..LiveState::clone(state) });
            }
            was_warned
        });
    }

    /// Publishes that the page is no longer polled. A client that subscribes after that begins a new group.
    fn end(&self, end: LivePageEnd) {
        self.groups.remove(&self.group);
        self.group.state.send_modify(|state| {
            *state = Arc::new(LiveState { end: Some(end), ..LiveState::clone(state) });
        });
    }
}

/// Returns the refusal for an answer that isn't a page of the gateway, or isn't UTF-8.
fn no_page() -> PageRefusal {
    let detail =
        "this is not a page of the gateway: a live page is asked for by cursor, and its body is text".to_owned();
    PageRefusal::new(LivePageFault { status: 400, code: Code::ParameterInvalid.as_str().to_owned(), detail }, None)
}

fn unanswered(reason: NoAnswer) -> PageRefusal {
    let (code, detail) = reason.said();
    let fault = LivePageFault { status: code.status(), code: code.as_str().to_owned(), detail: detail.to_owned() };
    PageRefusal::new(fault, None)
}
