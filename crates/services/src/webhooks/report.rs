//! The report of webhooks at the admin listener: endpoints, watches and dead letters. Dead letters can be sent again
//! there.
//!
//! Every client of the admin listener can read the reports. So they don't contain URLs, which can be credentials, or
//! payloads, which contain queries of clients.

use std::sync::Arc;

use async_trait::async_trait;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::{
    endpoint::{DisabledBy, EndpointState, NAME},
    events::{DisabledEndpoint, count},
    request::is_id,
    store::{CountedEndpoint, DeadLetter, Revival, Revived, TimeRange, WatchRecord, WebhookStore},
};
use crate::{database::DatabaseFault, inner::InnerGateway};
use cursorgate_config::settings::WebhookSettings;
use cursorgate_gateway::{
    Snapshot,
    runtime::clock,
    session::service::{ReportRefusal, ServiceReport},
};

const OVERVIEW: &str = "/webhooks";
const DEAD_LETTERS: &str = "/webhooks/dead-letters";
const REDELIVERY: &str = "/webhooks/redeliver";
const PAUSE: &str = "/webhooks/pause";
const ACTIVATION: &str = "/webhooks/activate";

const OFF: ReportRefusal = (StatusCode::NOT_FOUND, "[services.webhooks] is no longer configured\n");
const FAILED: ReportRefusal =
    (StatusCode::SERVICE_UNAVAILABLE, "the store of webhooks is not available: the log says why\n");
const UNREADABLE: ReportRefusal =
    (StatusCode::BAD_REQUEST, "send {\"delivery\": \"ID\"} or {\"endpoint\": \"ID\"}, of /webhooks/dead-letters\n");
const UNNAMED: ReportRefusal = (StatusCode::BAD_REQUEST, "send {\"endpoint\": \"ID\"} with an id of /webhooks\n");
const UNKNOWN: ReportRefusal = (StatusCode::NOT_FOUND, "there is no such endpoint: /webhooks has them\n");
const NOT_DISABLED: ReportRefusal = (StatusCode::CONFLICT, "the endpoint is not disabled\n");
const OF_CLIENT: ReportRefusal =
    (StatusCode::CONFLICT, "its client has disabled the endpoint, and can enable it again\n");
const REMOVED: ReportRefusal =
    (StatusCode::NOT_FOUND, "the delivery of `before` has been removed: begin anew at /webhooks/dead-letters\n");

pub(crate) struct WebhookReport {
    pub(super) inner: Arc<InnerGateway>,
    pub(super) store: WebhookStore,
    /// Wakes the keeper of this process when a delivery has been queued again.
    pub(super) raised: Arc<Notify>,
}

#[derive(Serialize)]
struct Overview<'o> {
    endpoints: Vec<EndpointEntry<'o>>,
    watches: Vec<WatchEntry<'o>>,
}

#[derive(Serialize)]
struct EndpointEntry<'o> {
    id: &'o str,
    /// The owner of the endpoint: `operator` or `client`.
    of: &'static str,
    /// The host of the URL; `None` if the configuration no longer has the endpoint, or if the key that sealed the URL
    /// has been removed.
    host: Option<String>,
    events: &'o [String],
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_by: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_at: Option<String>,
    created_at: String,
    queued: usize,
    delivered: usize,
    dead: usize,
}

#[derive(Serialize)]
struct WatchEntry<'o> {
    name: &'o str,
    /// The path without its query.
    path: &'o str,
    /// The time of the last request for the list; `None` before the first request.
    asked_at: Option<String>,
    /// The time at which the last change was seen; `None` before the first change.
    changed_at: Option<String>,
    error: Option<&'o str>,
}

#[derive(Serialize)]
struct DeadLetterList<'o> {
    dead_letters: Vec<DeadLetterEntry<'o>>,
    /// The path of the next dead letters, which are older; `None` if this list is empty.
    next: Option<String>,
}

#[derive(Serialize)]
struct DeadLetterEntry<'o> {
    id: &'o str,
    endpoint: &'o str,
    event_id: &'o str,
    #[serde(rename = "type")]
    kind: &'o str,
    attempts: u32,
    created_at: String,
    finished_at: Option<String>,
    error: Option<&'o str>,
}

/// The body of a request to send dead letters again. It must contain exactly one of the two ids, and may limit the
/// dead letters of an endpoint to a range of time.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RedeliveryOrder {
    delivery: Option<String>,
    endpoint: Option<String>,
    since: Option<String>,
    until: Option<String>,
}

/// The body of a request that pauses or activates an endpoint.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EndpointName {
    endpoint: String,
}

#[derive(Serialize)]
struct ChangedEndpoint<'e> {
    endpoint: &'e str,
    state: &'static str,
}

#[async_trait]
impl ServiceReport for WebhookReport {
    fn reads(&self) -> &'static [&'static str] {
        &[OVERVIEW, DEAD_LETTERS]
    }

    fn changes(&self) -> &'static [&'static str] {
        &[REDELIVERY, PAUSE, ACTIVATION]
    }

    async fn read(&self, path: &str, query: Option<&str>) -> Result<String, ReportRefusal> {
        let snapshot = self.inner.gateway().live.pin();
        let settings = snapshot.services.webhooks.as_ref().ok_or(OFF)?;
        if path == DEAD_LETTERS {
            return self.dead_letters(query).await;
        }
        let read = self.store.read(|tables| Ok((tables.counted_endpoints()?, tables.watches()?)));
        let (endpoints, watches) = read.await.map_err(|fault| failed(&fault))?;
        let endpoints = endpoints.iter().map(|endpoint| entry(endpoint, settings, &snapshot)).collect();
        // Only the watches of the configuration are listed. The store can still contain watches that were removed from
        // the configuration.
        let watches = settings.watches.iter().map(|watch| {
            let known = watches.iter().find(|known| known.watch == watch.name);
            WatchEntry {
                name: &watch.name,
                // The query may contain a credential.
                path: watch.path.value.split('?').next().unwrap_or_default(),
                asked_at: known.map(|known| clock::rfc3339(known.asked)),
                changed_at: known.and_then(|known: &WatchRecord| known.changed).map(clock::rfc3339),
                error: known.and_then(|known| known.fault.as_deref()),
            }
        });
        Ok(written(&Overview { endpoints, watches: watches.collect() }))
    }

    async fn change(&self, path: &str, body: &[u8]) -> Result<String, ReportRefusal> {
        if path != REDELIVERY {
            let EndpointName { endpoint } = serde_json::from_slice(body).map_err(|_| UNNAMED)?;
            return if path == PAUSE { self.pause(endpoint).await } else { self.activate(endpoint).await };
        }
        let order: RedeliveryOrder = serde_json::from_slice(body).map_err(|_| UNREADABLE)?;
        let time = |text: Option<String>, otherwise| match text {
            Some(text) => clock::read_rfc3339(&text).ok_or(UNREADABLE),
            None => Ok(otherwise),
        };
        let range = TimeRange { since: time(order.since, 0)?, until: time(order.until, u64::MAX)? };
        let revival = match (order.delivery, order.endpoint) {
            (Some(id), None) => Revival::Delivery(id),
            (None, Some(id)) => Revival::Endpoint(id, range),
            // A body with both ids or without an id doesn't determine which dead letters to send.
            _ => return Err(UNREADABLE),
        };
        let revived = self.store.call(move |tables| tables.revive(&revival, tables.now()));
        match revived.await.map_err(|fault| failed(&fault))? {
            Revived::Queued(number) => {
                tracing::info!(service = NAME, number, "dead letters of webhooks are sent again");
                // Without this, the keeper would notice the deliveries only at its next poll.
                self.raised.notify_one();
                Ok(format!("{{\"redelivered\":{number}}}\n"))
            }
            Revived::Unknown => Err((StatusCode::NOT_FOUND, "there is no such dead letter, or no such endpoint\n")),
            Revived::Inactive => Err((StatusCode::CONFLICT, "the endpoint is not active: /webhooks says why\n")),
        }
    }
}

impl WebhookReport {
    /// Pauses an endpoint. Its waiting deliveries become dead letters.
    async fn pause(&self, id: String) -> Result<String, ReportRefusal> {
        let (named, snapshot) = (id.clone(), self.inner.gateway().live.pin());
        let paused = self.store.call(move |tables| {
            let Some(endpoint) = tables.endpoint(&named)? else { return Ok(None) };
            let Some(settings) = &snapshot.services.webhooks else { return Ok(None) };
            let receiver = snapshot.keys.as_deref().and_then(|keys| endpoint.receiver(settings, keys));
            let host = receiver.map(|receiver| receiver.url.host.to_string());
            let by = DisabledBy::Operator;
            let paused = DisabledEndpoint { id: &named, by, host: host.as_deref(), failing_since: None };
            Ok(Some(paused.disable(tables, settings)?.unwrap_or_default()))
        });
        let Some(raised) = paused.await.map_err(|fault| failed(&fault))? else { return Err(UNKNOWN) };
        count(self.inner.gateway().vitals.webhooks(), raised);
        tracing::info!(service = NAME, endpoint = id, "an operator paused an endpoint");
        // Its deliveries are buried at the keeper's next look.
        self.raised.notify_one();
        Ok(written(&ChangedEndpoint { endpoint: &id, state: EndpointState::Disabled.word() }))
    }

    /// Activates an endpoint that an operator, its own failures or a 410 have disabled.
    async fn activate(&self, id: String) -> Result<String, ReportRefusal> {
        let named = id.clone();
        let activated = self.store.call(move |tables| {
            let Some(endpoint) = tables.endpoint(&named)? else { return Ok(Err(UNKNOWN)) };
            match endpoint.disabled_by {
                None => return Ok(Err(NOT_DISABLED)),
                Some(DisabledBy::Client) => return Ok(Err(OF_CLIENT)),
                Some(_) => tables.enable(&named)?,
            }
            Ok(tables.endpoint(&named)?.map(|endpoint| endpoint.state).ok_or(UNKNOWN))
        });
        let state = activated.await.map_err(|fault| failed(&fault))??;
        tracing::info!(service = NAME, endpoint = id, "an operator activated an endpoint");
        Ok(written(&ChangedEndpoint { endpoint: &id, state: state.word() }))
    }

    async fn dead_letters(&self, query: Option<&str>) -> Result<String, ReportRefusal> {
        let before = match query.filter(|query| !query.is_empty()) {
            None => None,
            // If a misspelt parameter were ignored, the answer would be the newest letters again, and a client would
            // never reach the end.
            Some(query) => match query.strip_prefix("before=").filter(|id| is_id(id)) {
                Some(id) => Some(id.to_owned()),
                None => return Err((StatusCode::BAD_REQUEST, "the parameter is before=ID, of a dead letter\n")),
            },
        };
        let found = self
            .store
            .read(move |tables| tables.dead_letters(before.as_deref()))
            .await
            .map_err(|fault| failed(&fault))?
            .ok_or(REMOVED)?;
        let next = found.last().map(|last| format!("{DEAD_LETTERS}?before={}", last.delivery.id));
        let entries = found.iter().map(|DeadLetter { endpoint, delivery }| DeadLetterEntry {
            id: &delivery.id,
            endpoint,
            event_id: &delivery.event,
            kind: &delivery.kind,
            attempts: delivery.attempts,
            created_at: clock::rfc3339(delivery.created),
            finished_at: delivery.finished.map(clock::rfc3339),
            error: delivery.fault.as_deref(),
        });
        Ok(written(&DeadLetterList { dead_letters: entries.collect(), next }))
    }
}

fn entry<'o>(counted: &'o CountedEndpoint, settings: &WebhookSettings, snapshot: &Snapshot) -> EndpointEntry<'o> {
    let CountedEndpoint { endpoint, queued, delivered, dead } = counted;
    let receiver = snapshot.keys.as_deref().and_then(|keys| endpoint.receiver(settings, keys));
    EndpointEntry {
        id: &endpoint.id,
        of: if endpoint.owner.is_some() { "client" } else { "operator" },
        host: receiver.map(|receiver| receiver.url.host.to_string()),
        events: &endpoint.events,
        state: endpoint.state.word(),
        disabled_by: endpoint.disabled_by.map(DisabledBy::word),
        disabled_at: endpoint.disabled_at.map(clock::rfc3339),
        created_at: clock::rfc3339(endpoint.created),
        queued: *queued,
        delivered: *delivered,
        dead: *dead,
    }
}

fn failed(fault: &DatabaseFault) -> ReportRefusal {
    tracing::error!(service = NAME, %fault, "the report of webhooks can't be written");
    FAILED
}

fn written(report: &impl Serialize) -> String {
    // Serializing strings and numbers as JSON never fails.
    serde_json::to_string(report).unwrap_or_default() + "\n"
}
