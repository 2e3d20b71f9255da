//! The background work on deliveries. A process attempts the deliveries that are due, within the rate limit of each
//! endpoint. It also raises the notices of sunsets, and removes finished deliveries after their time.

use std::{pin::pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use pingora::{server::ShutdownWatch, services::background::BackgroundService};
use serde::Serialize;
use tokio::{sync::Notify, task::JoinSet};

use super::{
    endpoint::{DisabledBy, EndpointState, NAME, Receiver, SealedParts},
    event::{Audience, Event},
    events::{DisabledEndpoint, count, subscribers},
    send::{Message, Sender, SentAttempt},
    store::{Claimed, DISABLED, EndedAttempt, NextStep, QueueBounds, Raised, WebhookStore, WebhookTables},
};
use crate::{backoff::Backoff, database::DatabaseFault, inner::InnerGateway};
use cursorgate_config::settings::{EventType, WebhookSettings};
use cursorgate_cursor::cursor::KeyRing;
use cursorgate_gateway::{
    Snapshot,
    lifecycle::process::Stage,
    outcome::metrics::webhooks::{AttemptEnd, DeliveryEnd},
    runtime::{clock, futures::caught},
};

/// The interval at which a process looks for deliveries that are due, because another process has queued or abandoned
/// them, or because a delay is over.
const LOOK: Duration = Duration::from_secs(1);

/// The interval for work that isn't urgent: notices, changes of keys and removals.
const ROUND: Duration = Duration::from_secs(5);

/// The time for which a delivery stays claimed after the time limit of an attempt; in PostgreSQL, `lease` is.
const MARGIN: Duration = Duration::from_secs(5);

/// The pause before the end of an attempt is stored again, and the longest time for which that is tried.
const STORE_AGAIN: Duration = Duration::from_millis(250);
const STORING: Duration = Duration::from_hours(1);

/// The time after an outage of the store in which no delivery is taken. The claims of attempts may have ended, so their
/// ends are stored first. Test: `an_attempt_that_ends_while_the_database_is_away_is_not_repeated`.
const GRACE: Duration = Duration::from_secs(1);

/// The factor by which each delay is longer than the previous delay.
const FACTOR: u32 = 4;

/// The length of a day in seconds.
const DAY: u64 = 86_400;

pub(crate) struct WebhookKeeper {
    pub(super) inner: Arc<InnerGateway>,
    pub(super) store: WebhookStore,
    /// Wakes the keeper when an event has queued a delivery.
    pub(super) raised: Arc<Notify>,
}

/// The deliveries that one poll has claimed, and its counts.
#[derive(Default)]
struct DueDeliveries {
    claimed: Vec<(Claimed, Arc<Receiver>)>,
    /// The number of all deliveries that wait or are claimed.
    waiting: usize,
    /// The number of deliveries that became dead letters because their endpoint was removed, or because its secrets can't
    /// be opened.
    buried: usize,
    /// The number of deliveries that became dead letters because their endpoint was disabled.
    kept: usize,
}

#[async_trait]
impl BackgroundService for WebhookKeeper {
    /// Works on deliveries until the process stops. Then attempts that have begun are finished, and another process
    /// continues with the waiting deliveries.
    async fn start(&self, _shutdown: ShutdownWatch) {
        let vitals = self.inner.gateway().vitals.clone();
        let mut stopping = pin!(vitals.reached(Stage::Draining));
        let mut running = JoinSet::new();
        let (mut looks, mut round_at) = (0_usize, clock::instant());
        // The time from which the process takes deliveries; `None` after a fault of the store.
        let mut take_at = Some(clock::instant());
        // Each iteration waits until an event is raised or an attempt ends, or until the next poll is due.
        loop {
            tokio::select! {
                () = &mut stopping => break,
                Some(_) = running.join_next() => {}
                () = self.raised.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
            // All tasks that have ended are removed, so `running` counts only the attempts that are still running.
            while running.try_join_next().is_some() {}
            let snapshot = self.inner.gateway().live.pin();
            let now = clock::instant();
            let looked = async {
                self.store.check().await?;
                let Some(at) = take_at else {
                    self.store.read(|tables| tables.waiting().map(drop)).await?;
                    take_at = Some(now + GRACE);
                    return Ok(());
                };
                if now < at {
                    return Ok(());
                }
                if now >= round_at {
                    round_at = now + ROUND;
                    self.tidy(&snapshot).await?;
                }
                self.look(&snapshot, looks, &mut running).await
            };
            let looked = looked.await;
            let store = &self.inner.gateway().vitals.webhooks().store;
            // A fault is logged when it begins and when it ends, not each second.
            let has_changed = store.note(looked.as_ref().copied().map_err(ToString::to_string));
            match &looked {
                Err(fault) if has_changed => tracing::error!(%fault, "webhooks wait"),
                Ok(()) if has_changed => tracing::warn!("webhooks go on"),
                _ => {}
            }
            if looked.is_err() {
                take_at = None;
                tokio::time::sleep(LOOK).await;
            }
            looks = looks.wrapping_add(1);
        }
        while running.join_next().await.is_some() {}
    }
}

impl WebhookKeeper {
    async fn look(
        &self,
        snapshot: &Arc<Snapshot>,
        turn: usize,
        running: &mut JoinSet<()>,
    ) -> Result<(), DatabaseFault> {
        let (pinned, busy) = (Arc::clone(snapshot), running.len());
        let look = self.store.call(move |tables| look(tables, &pinned, busy, turn)).await?;
        let counts = self.inner.gateway().vitals.webhooks();
        counts.wait(look.waiting);
        counts.finish(DeliveryEnd::Dead, look.buried);
        counts.finish(DeliveryEnd::Kept, look.kept);
        for (claimed, receiver) in look.claimed {
            let attempt = DeliveryAttempt {
                inner: Arc::clone(&self.inner),
                store: self.store.clone(),
                snapshot: Arc::clone(snapshot),
                claimed,
                receiver,
            };
            // A draining process waits for this guard, so it doesn't end before the result of an attempt is stored.
            let in_flight = self.inner.gateway().vitals.enter();
            running.spawn(async move {
                match caught(pin!(attempt.run())).await {
                    Ok(Ok(())) => {}
                    // The delivery is due again when its claim expires.
                    Ok(Err(fault)) => tracing::error!(%fault, "the end of a webhook's attempt can't be stored"),
                    Err(panic) => tracing::error!(panic, "an attempt of a webhook is interrupted"),
                }
                drop(in_flight);
            });
        }
        Ok(())
    }

    async fn tidy(&self, snapshot: &Arc<Snapshot>) -> Result<(), DatabaseFault> {
        let pinned = Arc::clone(snapshot);
        let raised = self.store.call(move |tables| tidy(tables, &pinned)).await?;
        count(self.inner.gateway().vitals.webhooks(), raised);
        Ok(())
    }
}

/// Claims the deliveries that are due, as far as the rate limits of the endpoints and `in_flight` allow. `busy` is the
/// number of attempts that are running. `turn` is the number of this call, which determines the first endpoint.
/// Deliveries that are due at a removed or disabled endpoint become dead letters.
fn look(
    tables: &mut WebhookTables<'_>,
    snapshot: &Snapshot,
    busy: usize,
    turn: usize,
) -> Result<DueDeliveries, DatabaseFault> {
    let (Some(settings), Some(keys)) = (&snapshot.services.webhooks, snapshot.keys.as_deref()) else {
        return Ok(DueDeliveries::default());
    };
    let now = tables.now();
    // A process that can't reach the database stores the end of its attempt late, or never.
    let margin = settings.store.postgres().map_or(MARGIN, |postgres| postgres.lease);
    let held = u64::try_from((settings.timeout + margin).as_millis()).unwrap_or(u64::MAX);
    let mut found = DueDeliveries::default();
    let mut due = tables.due(now)?;
    // Each poll begins with another endpoint. Otherwise an endpoint with many deliveries could use all of `in_flight`
    // every time.
    let first = turn % due.len().max(1);
    due.rotate_left(first);
    for id in due {
        let room = settings.in_flight.saturating_sub(busy + found.claimed.len());
        if room == 0 {
            break;
        }
        let Some(endpoint) = tables.endpoint(&id)? else {
            found.buried += tables.bury(&id, "endpoint_removed", now)?;
            continue;
        };
        // A delivery doesn't wait until its endpoint is enabled. It becomes a dead letter, which can be sent again.
        // Test: `deliveries_of_an_endpoint_that_is_paused_are_dead_letters`.
        if endpoint.state != EndpointState::Active {
            found.kept += tables.bury(&id, DISABLED, now)?;
            continue;
        }
        match endpoint.receiver(settings, keys) {
            Some(receiver) => {
                let receiver = Arc::new(receiver);
                let claimed = tables.claim(&id, receiver.pace, room, now, now.saturating_add(held))?;
                found.claimed.extend(claimed.into_iter().map(|claimed| (claimed, Arc::clone(&receiver))));
            }
            None if endpoint.owner.is_some() => {
                tracing::warn!(endpoint = id, "the key that sealed the secrets of a webhook endpoint is gone");
                found.buried += tables.bury(&id, AttemptEnd::Unsigned.word(), now)?;
            }
            // The delivery stays, because the configuration of another process might have this endpoint.
            None => {}
        }
    }
    found.waiting = tables.waiting()?;
    Ok(found)
}

/// Raises notices of sunsets, seals endpoints again after a change of keys, and removes old versions of pages and old
/// deliveries.
fn tidy(tables: &mut WebhookTables<'_>, snapshot: &Snapshot) -> Result<Raised, DatabaseFault> {
    let (Some(settings), Some(keys)) = (&snapshot.services.webhooks, snapshot.keys.as_deref()) else {
        return Ok(Raised::default());
    };
    let now = tables.now() / 1_000;
    let mut raised = Raised::default();
    for (cause, event) in sunsets(snapshot, settings, now) {
        if tables.has_notice(&cause)? {
            continue;
        }
        let led_to = tables.raise(&event, &subscribers(settings), settings.queue, now)?;
        // A notice without a receiver isn't recorded, so an endpoint that is added later still gets the notice.
        if led_to != Raised::default() {
            tables.note(&cause, now)?;
        }
        raised.queued += led_to.queued;
        raised.dead += led_to.dead;
        raised.kept += led_to.kept;
    }
    reseal(tables, keys)?;
    tables.forget_windows(settings.keep.as_secs(), now)?;
    raised.dead +=
        tables.clean(QueueBounds { keep: settings.keep.as_secs(), deliveries: settings.keep_deliveries }, now)?;
    Ok(raised)
}

/// Seals clients' endpoints again that an earlier key has sealed. They can then be opened even after the earlier key is
/// removed. Test: `an_endpoint_outlives_the_key_that_sealed_it`.
fn reseal(tables: &mut WebhookTables<'_>, keys: &KeyRing) -> Result<(), DatabaseFault> {
    let number = keys.signing_number();
    for mut endpoint in tables.sealed_by_others(number)? {
        let Some(parts) = SealedParts::open(keys, &endpoint.id, &endpoint.sealed) else { continue };
        let (Some(owner), Some(sealed)) = (parts.owner(keys), parts.seal(keys, &endpoint.id)) else { continue };
        (endpoint.owner, endpoint.subject, endpoint.sealed) = (Some(owner), parts.subject(keys), sealed);
        tables.change(&endpoint, number)?;
    }
    Ok(())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SunsetData<'a> {
    route: &'a str,
    path: &'a str,
    hosts: &'a [String],
    sunset: String,
    days_left: u64,
    after_sunset: &'static str,
}

/// Returns the notices that are due, at most one for each route, each with its cause. A route's notice is the shortest
/// time of `sunset_notice` that isn't shorter than the time until the sunset. Example: with notices 30 and 7 days
/// before a sunset, the notice of 7 days is due when 5 days are left.
fn sunsets(snapshot: &Snapshot, settings: &WebhookSettings, now: u64) -> Vec<(String, Event)> {
    let mut due = Vec::new();
    for route in &snapshot.routes {
        let Some(legacy) = route.list.as_ref().map(|list| &list.legacy) else { continue };
        let Some(sunset) = legacy.sunset.and_then(|sunset| u64::try_from(sunset).ok()) else { continue };
        // A notice after the sunset would announce a time in the past, so there is no such notice.
        let Some(left) = sunset.checked_sub(now).filter(|left| *left > 0) else { continue };
        let notices = settings.sunset_notice.iter().map(Duration::as_secs);
        let Some(notice) = notices.filter(|notice| left <= *notice).min() else { continue };
        let data = SunsetData {
            route: &route.name,
            path: &route.path.value,
            hosts: &route.hosts,
            sunset: clock::rfc3339(sunset),
            days_left: left.div_ceil(DAY),
            after_sunset: legacy.after_sunset.word(),
        };
        // A notice of another date is another event, and so is a later notice of the same date.
        // Test: `a_sunset_is_announced_once_for_each_notice`.
        let cause = format!("{}\n{sunset}\n{notice}", route.name);
        let event = Event::new(EventType::SunsetApproaching, &cause, now, Audience::All, &data);
        due.push((cause, event));
    }
    due
}

/// An attempt at a delivery that this process has claimed.
struct DeliveryAttempt {
    inner: Arc<InnerGateway>,
    store: WebhookStore,
    snapshot: Arc<Snapshot>,
    claimed: Claimed,
    receiver: Arc<Receiver>,
}

impl DeliveryAttempt {
    async fn run(self) -> Result<(), DatabaseFault> {
        let Self { inner, store, snapshot, claimed, receiver } = self;
        let Some(settings) = &snapshot.services.webhooks else { return Ok(()) };
        let gateway = inner.gateway();
        let sender = Sender { snapshot: &snapshot, settings, connections: &gateway.fetcher.connections };
        let sent = sender.send(&receiver, Message { id: &claimed.event, payload: &claimed.payload }).await;
        let next = next(settings, claimed.attempts + 1, &sent);
        log(&claimed, &receiver, &sent, next);
        let counts = gateway.vitals.webhooks();
        counts.attempt(sent.end);
        let ended = EndedAttempt { next, record: sent.record };
        let host = receiver.url.host.to_string();
        let end = Arc::new(StoredEnd { snapshot: Arc::clone(&snapshot), host, claimed, end: sent.end, ended });
        let (given_up, mut stopping) = (clock::instant() + STORING, pin!(gateway.vitals.reached(Stage::Draining)));
        let (is_ours, buried, disabled) = loop {
            let stored = Arc::clone(&end);
            match store.call(move |tables| stored.store(tables)).await {
                // Otherwise a delivery that has arrived would be sent again, once the store is back.
                Err(fault) if fault.may_pass() && clock::instant() < given_up => tokio::select! {
                    () = &mut stopping => return Err(fault),
                    () = tokio::time::sleep(STORE_AGAIN) => {}
                },
                stored => break stored?,
            }
        };
        let (endpoint, host) = (&end.claimed.endpoint, &receiver.url.host);
        if disabled.is_some() {
            gateway.vitals.webhooks().disable();
        }
        match disabled {
            Some(DisabledBy::Gone) => {
                tracing::warn!(service = NAME, endpoint, %host, "a webhook endpoint is gone, and disabled");
            }
            Some(_) => {
                tracing::warn!(service = NAME, endpoint, %host, "a webhook endpoint has failed for too long, and is disabled");
            }
            None => {}
        }
        // If another process has claimed the delivery in the meantime, that process counts it.
        if is_ours && !matches!(next, NextStep::Again(_)) {
            let is_delivered = next == NextStep::Delivered;
            counts.finish(if is_delivered { DeliveryEnd::Delivered } else { DeliveryEnd::Dead }, 1);
        }
        counts.finish(DeliveryEnd::Dead, buried);
        Ok(())
    }
}

/// The end of an attempt, as it is stored.
struct StoredEnd {
    snapshot: Arc<Snapshot>,
    /// The host of the endpoint.
    host: String,
    claimed: Claimed,
    end: AttemptEnd,
    ended: EndedAttempt,
}

impl StoredEnd {
    /// Stores the end. Returns whether the delivery is still this process's, the number of the dead letters that this
    /// leads to, and the reason if this disables the endpoint.
    fn store(&self, tables: &mut WebhookTables<'_>) -> Result<(bool, usize, Option<DisabledBy>), DatabaseFault> {
        let Self { snapshot, host, claimed, end, ended } = self;
        let is_ours = tables.end(claimed, ended, tables.now())?;
        let now = tables.now() / 1_000;
        let Some(settings) = &snapshot.services.webhooks else { return Ok((is_ours, 0, None)) };
        let failing_since = tables.note_attempt(&claimed.endpoint, *end == AttemptEnd::Delivered, now)?;
        // One delivery that fails isn't enough: it has all its attempts. Test:
        // `an_endpoint_that_fails_for_long_is_disabled`.
        let has_failed = ended.next == NextStep::Dead
            && failing_since.is_some_and(|since| now.saturating_sub(since) >= settings.disable_after.as_secs());
        let (by, fault) = match (end, has_failed) {
            (AttemptEnd::Gone, _) => (DisabledBy::Gone, AttemptEnd::Gone.word()),
            (_, true) => (DisabledBy::Failures, DISABLED),
            (_, false) => return Ok((is_ours, 0, None)),
        };
        // The transaction that stores the end of the attempt also disables the endpoint, so no delivery to the endpoint
        // can be claimed in between.
        let failing_since = failing_since.filter(|_| by == DisabledBy::Failures);
        let disabled = DisabledEndpoint { id: &claimed.endpoint, by, host: Some(host), failing_since };
        let Some(raised) = disabled.disable(tables, settings)? else { return Ok((is_ours, 0, None)) };
        Ok((is_ours, tables.bury(&claimed.endpoint, fault, tables.now())? + raised.dead, Some(by)))
    }
}

/// Returns the next step of a delivery after this number of attempts, the last of which is `sent`.
pub(super) fn next(settings: &WebhookSettings, attempts: u32, sent: &SentAttempt) -> NextStep {
    match sent.end {
        AttemptEnd::Delivered => NextStep::Delivered,
        // Status 410 means that the receiver doesn't want more attempts. Test: `an_endpoint_that_is_gone_is_disabled`.
        AttemptEnd::Gone => NextStep::Dead,
        _ if attempts >= settings.attempts => NextStep::Dead,
        _ => {
            let backoff = Backoff { first: settings.delay, factor: FACTOR, longest: settings.longest_delay };
            // The wait is bounded so that a receiver can't postpone a delivery for years.
            // Test: `the_retry_after_of_a_receiver_is_obeyed_within_a_bound`.
            let asked = sent.retry_after.unwrap_or_default().min(settings.longest_delay);
            NextStep::Again(backoff.pause(attempts).max(asked))
        }
    }
}

/// Logs the end of an attempt. The log has only the host of the URL, because the path can be a credential.
fn log(claimed: &Claimed, receiver: &Receiver, sent: &SentAttempt, next: NextStep) {
    let Claimed { id, endpoint, event, attempts, .. } = claimed;
    let (attempt, host, end, detail) = (attempts + 1, &receiver.url.host, sent.end.word(), sent.cause.as_deref());
    let status = sent.status();
    match next {
        NextStep::Delivered => {
            tracing::debug!(service = NAME, id, endpoint, event, attempt, %host, "a webhook is delivered");
        }
        NextStep::Again(_) => {
            tracing::info!(service = NAME, id, endpoint, event, attempt, %host, end, status, detail, "a webhook is sent again later");
        }
        NextStep::Dead => {
            tracing::warn!(service = NAME, id, endpoint, event, attempt, %host, end, status, detail, "a webhook is a dead letter");
        }
    }
}
