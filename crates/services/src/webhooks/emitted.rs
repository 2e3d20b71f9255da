//! Events that services behind the gateway emit: by a request, or by a header of an answer to a forwarded request.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderValue;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, value::RawValue};
use tokio::{sync::OwnedSemaphorePermit, time::timeout};

use super::{endpoint::subjects, event::Event, events::Events};
use crate::id::new_id;
use cursorgate_config::settings::WebhookSettings;
use cursorgate_gateway::{Snapshot, runtime::clock, session::service::EventSink};
use cursorgate_translate::downstream::RequestBody;

/// The largest number of events that an answer can emit. Further events are refused.
const MOST_EVENTS: usize = 8;

/// The largest size of an event in a header, in bytes. A larger event is refused.
const LARGEST_EVENT: usize = 16 << 10;

/// The largest nesting of an event.
pub(super) const DEPTH: u16 = 32;

/// The longest time for which an answer waits until its events are stored.
const PATIENCE: Duration = Duration::from_millis(250);

/// The pause after the first failure of the store, which doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The longest pause between two attempts to store an event.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The largest number of answers whose events wait for the store, each with up to 128 KiB. The events of further answers
/// are lost.
pub(super) const MOST_WAITING: usize = 512;

/// An event as a service writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EmittedEvent {
    #[serde(rename = "type")]
    kind: String,
    /// A name of the event that the service chooses; `None` for an event that is never repeated.
    #[serde(default, deserialize_with = "written")]
    id: Option<Value>,
    /// The client whose endpoints get the event, by the value of the first word of `identity`; `None` for all clients.
    #[serde(default, deserialize_with = "written")]
    client: Option<Value>,
    /// The text of the data, which endpoints get as it is: a parsed number can have fewer digits.
    data: Box<RawValue>,
}

/// Reads a member that is there. A service whose customer has no name writes `null`, and an event for nobody must not be
/// for all clients, so `null` is a value like any other. Test: `an_event_with_an_empty_member_is_refused`.
fn written<'d, D: Deserializer<'d>>(member: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(member).map(Some)
}

/// The reason why an event is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct EmitFault {
    /// The member at fault, as a JSON Pointer.
    pub(super) place: &'static str,
    /// The fault, which can quote the event.
    pub(super) detail: String,
}

impl EmittedEvent {
    /// Reads an event in a header: JSON, or JSON in base64, because headers can't have all characters.
    fn read(value: &HeaderValue) -> Result<Self, &'static str> {
        let bytes = value.as_bytes();
        if bytes.len() > LARGEST_EVENT {
            return Err("it is larger than 16 KiB");
        }
        let decoded = match bytes.starts_with(b"{") {
            true => bytes.to_vec(),
            false => STANDARD.decode(bytes).map_err(|_| "it is neither a JSON object nor base64 of one")?,
        };
        // The schema would see the last of two equal members, and an endpoint could read the first.
        // Test: `an_event_in_a_header_is_json_or_base64_of_it`.
        let body = RequestBody::read(decoded, DEPTH)
            .map_err(|_| "it is not a JSON object, has a member twice, or is nested deeper than 32 levels")?;
        serde_json::from_slice(body.bytes()).map_err(|_| "it is not an object with type, id and data")
    }

    /// Creates the event. Two events with the same type, `id` and `client` are the same event.
    pub(super) fn checked(self, snapshot: &Snapshot, settings: &WebhookSettings) -> Result<Event, EmitFault> {
        let fault = |place, detail| EmitFault { place, detail };
        let known = settings.types.iter().find(|own| own.kind == self.kind);
        let known = known.ok_or_else(|| fault("/type", format!("there is no type of events {:?}", self.kind)))?;
        let data = serde_json::from_str(self.data.get());
        let data = data.map_err(|error| fault("/data", format!("the data can't be read: {error}")))?;
        known.schema.check(&data).map_err(|detail| fault("/data", detail))?;
        let cause = match self.id {
            None => new_id().ok_or_else(|| fault("/id", "no random bytes for an id: write one".to_owned()))?,
            // With an empty id, all events of the type would be the same event.
            Some(Value::String(id)) if !id.is_empty() => id,
            Some(_) => return Err(fault("/id", "the id must be a text that isn't empty".to_owned())),
        };
        let event = Event::own(known, &cause, clock::unix_seconds(), &self.data);
        let Some(client) = &self.client else { return Ok(event) };
        let subject = subject(client, snapshot).map_err(|detail| fault("/client", detail.to_owned()))?;
        let names = snapshot.keys.as_deref().map(|keys| subjects(keys, &subject)).unwrap_or_default();
        Ok(event.only_for(&subject, names))
    }
}

/// Returns the hash of the client for whom the first word of `identity` says `client`.
fn subject(client: &Value, snapshot: &Snapshot) -> Result<[u8; 32], &'static str> {
    let rules = snapshot.service_identities.webhooks.as_ref().filter(|rules| rules.have_subjects());
    let rules = rules.ok_or(
        "clients of webhooks have no verified names: begin `identity` of services.webhooks.clients with jwt: (and set \
         server.tokens.issuer), answer: or certificate",
    )?;
    rules.subject_of(client).ok_or("the client must be a text or a whole number, as `identity` says it")
}

#[async_trait]
impl EventSink for Events {
    async fn raise(&self, snapshot: &Snapshot, route: &str, values: &[HeaderValue]) {
        let Some(settings) = &snapshot.services.webhooks else { return };
        let counts = self.inner.gateway().vitals.webhooks();
        let refuse = |fault: &str| {
            counts.emit(false, 1);
            tracing::warn!(route, fault, "an event of an upstream is refused");
        };
        let mut events = Vec::with_capacity(values.len());
        for (place, value) in values.iter().enumerate() {
            match EmittedEvent::read(value) {
                _ if place >= MOST_EVENTS => refuse("the answer has more than 8 events"),
                Err(fault) => refuse(fault),
                // What a schema finds can quote the data, which don't belong into a log.
                Ok(event) => match event.checked(snapshot, settings) {
                    Ok(event) => events.push(event),
                    Err(EmitFault { place: "/data", .. }) => refuse("its data don't match the schema of its type"),
                    Err(EmitFault { place: "/client", .. }) => refuse("no client can have this name"),
                    Err(EmitFault { place: "/id", .. }) => refuse("its id is not a text, or is empty"),
                    Err(_) => refuse("there is no such type"),
                },
            }
        }
        if events.is_empty() {
            return;
        }
        let Ok(place) = Arc::clone(&self.waiting).try_acquire_owned() else {
            events.iter().for_each(|event| {
                counts.emit(false, 1);
                let fault = "the store is away, and too many answers wait for it";
                tracing::error!(route, event.id, event.kind, fault, "an event of an upstream is lost");
            });
            return;
        };
        // The upstream has done what the client asked for. So the client doesn't wait for a store that is away: the
        // events wait for it alone. Test: `emitted_events_wait_for_a_database_that_is_away`.
        let stored = tokio::spawn(self.clone().store_emitted(events, place));
        let _ = timeout(PATIENCE, stored).await;
    }
}

impl Events {
    /// Stores events, however often that fails. Repeating it is safe, because an endpoint gets an event once.
    async fn store_emitted(self, events: Vec<Event>, _place: OwnedSemaphorePermit) {
        let vitals = &self.inner.gateway().vitals;
        let _in_flight = vitals.enter();
        vitals.webhooks().hold(events.len());
        for event in events {
            let mut pause = FIRST_PAUSE;
            while self.raise(event.clone()).await.is_err() {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            vitals.webhooks().store_held();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_in_a_header_is_json_or_base64_of_it() {
        let read = |bytes: &[u8]| {
            let event = EmittedEvent::read(&HeaderValue::from_bytes(bytes).unwrap())?;
            Ok((event.kind, event.id, event.data.get().to_owned()))
        };
        let text = r#"{"type":"a","id":"1","data":{"name":"Zoë", "at":1e2}}"#;
        let event = Ok(("a".to_owned(), Some("1".into()), r#"{"name":"Zoë", "at":1e2}"#.to_owned()));
        assert_eq!(read(text.as_bytes()), event);
        assert_eq!(read(STANDARD.encode(text).as_bytes()), event);
        for wrong in [
            &b"{}"[..],
            b"a",
            b"e30=",
            b"",
            b"{\"type\":\"a\",\"data\":1,\"more\":2}",
            b"{\"type\":\"\xff\",\"data\":1}",
            b"{\"type\":\"a\",\"data\":{\"id\":1,\"id\":\"2\"}}",
        ] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
        let large = format!("{{\"type\":\"a\",\"data\":\"{}\"}}", "x".repeat(LARGEST_EVENT));
        assert_eq!(read(large.as_bytes()), Err("it is larger than 16 KiB"));
    }
}
