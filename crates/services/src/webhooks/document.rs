//! Writes the answers to requests for endpoints and deliveries.

use http::{HeaderMap, HeaderValue, header};
use serde::Serialize;
use serde_json::{json, value::RawValue};

use super::{
    send::AttemptRecord,
    store::{Delivery, DeliveryState},
};
use crate::document::json_response;
use cursorgate_config::settings::{WebhookClientSettings, WebhookSettings};
use cursorgate_gateway::{openapi::event_schema, runtime::clock};
use cursorgate_translate::downstream::Response;

/// The headers of a refusal that are passed on from the route `authorize` to the client.
const OF_REFUSALS: [header::HeaderName; 4] =
    [header::CONTENT_TYPE, header::RETRY_AFTER, header::WWW_AUTHENTICATE, header::CONTENT_LANGUAGE];

/// The JSON document of a delivery.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeliveryDocument<'a> {
    id: &'a str,
    /// The id of the event, which is the `webhook-id` of the delivery.
    event_id: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    state: DeliveryState,
    attempts: u32,
    created_at: String,
    next_attempt_at: Option<String>,
    finished_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    /// The body that is sent to the endpoint; `None` in a list of deliveries.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    /// The attempts at the delivery; `None` in a list of deliveries.
    log: Option<Vec<AttemptRecord>>,
}

impl<'a> DeliveryDocument<'a> {
    /// Returns the document of a delivery. If there is a `log` of its attempts, the document also contains the payload.
    pub(super) fn of(delivery: &'a Delivery, log: Option<Vec<AttemptRecord>>) -> Self {
        let waits = delivery.state == DeliveryState::Queued;
        // As a raw value, the payload keeps exactly the bytes that were signed.
        let payload = log.as_ref().and_then(|_| RawValue::from_string(delivery.payload.clone()).ok());
        DeliveryDocument {
            id: &delivery.id,
            event_id: &delivery.event,
            kind: &delivery.kind,
            state: delivery.state,
            attempts: delivery.attempts,
            created_at: clock::rfc3339(delivery.created),
            // The stored time is meaningless once the delivery has ended. It can be 0, which would be shown as 1970. So
            // it is left out.
            next_attempt_at: waits.then(|| clock::rfc3339(delivery.not_before / 1_000)),
            finished_at: delivery.finished.map(clock::rfc3339),
            error: delivery.fault.as_deref(),
            payload,
            log,
        }
    }
}

/// Returns the types of events to which clients can subscribe, with their schemas.
pub(super) fn types(settings: &WebhookSettings, clients: &WebhookClientSettings) -> Response {
    let described = |word: &String| {
        let mut described = json!({ "type": word, "schema": event_schema(settings, word)? });
        if let Some(own) = settings.types.iter().find(|own| own.kind == *word) {
            described["version"] = json!(own.version);
        }
        Some(described)
    };
    let types: Vec<_> = clients.events.iter().filter_map(described).collect();
    json_response(200, &json!({ "events": types }))
}

/// Returns a refusal by the route `authorize` as the answer to the client's request. `status`, `asked` and `body` are
/// the status, the headers and the body of the refusal.
pub(super) fn passed(status: u16, asked: &HeaderMap, body: Vec<u8>) -> Response {
    let mut response = Response::new(status, Vec::new());
    response.headers.insert(header::CONTENT_LENGTH, body.len().into());
    for name in OF_REFUSALS {
        for value in asked.get_all(&name) {
            response.headers.append(name.clone(), value.clone());
        }
    }
    response.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.body = body.into();
    response
}
