//! Events that services behind the gateway emit: by a request, or by a header of an answer to a forwarded request.

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderValue;
use serde::Deserialize;
use serde_json::Value;

use super::{event::Event, events::Events};
use crate::id::new_id;
use cursorgate_config::settings::WebhookSettings;
use cursorgate_gateway::{Snapshot, runtime::clock, session::service::EventSink};

/// The largest number of events that an answer can emit. Further events are refused.
const MOST_EVENTS: usize = 8;

/// The largest size of an event in a header, in bytes. A larger event is refused.
const LARGEST_EVENT: usize = 16 << 10;

/// An event as a service writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EmittedEvent {
    #[serde(rename = "type")]
    kind: String,
    /// A name of the event that the service chooses; `None` for an event that is never repeated.
    id: Option<String>,
    data: Value,
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
        serde_json::from_slice(&decoded).map_err(|_| "it is not an object with type, id and data")
    }

    /// Creates the event. Two events with the same type and `id` are the same event.
    pub(super) fn checked(self, settings: &WebhookSettings) -> Result<Event, EmitFault> {
        let fault = |place, detail| EmitFault { place, detail };
        let known = settings.types.iter().find(|own| own.kind == self.kind);
        let known = known.ok_or_else(|| fault("/type", format!("there is no type of events {:?}", self.kind)))?;
        known.schema.check(&self.data).map_err(|detail| fault("/data", detail))?;
        let cause = self.id.or_else(new_id);
        let cause = cause.ok_or_else(|| fault("/id", "no random bytes for an id: write one".to_owned()))?;
        Ok(Event::own(known, &cause, clock::unix_seconds(), &self.data))
    }
}

#[async_trait]
impl EventSink for Events {
    async fn raise(&self, snapshot: &Snapshot, route: &str, values: &[HeaderValue]) {
        let Some(settings) = &snapshot.services.webhooks else { return };
        let counts = self.inner.gateway().vitals.webhooks();
        for (place, value) in values.iter().enumerate() {
            let event = match EmittedEvent::read(value) {
                _ if place >= MOST_EVENTS => Err("the answer has more than 8 events"),
                Err(fault) => Err(fault),
                // What a schema finds can quote the data, which don't belong into a log.
                Ok(event) => event.checked(settings).map_err(|fault| match fault.place {
                    "/data" => "its data don't match the schema of its type",
                    _ => "there is no such type",
                }),
            };
            let raised = match event {
                Ok(event) => self.raise(event).await.map_err(|fault| fault.to_string()),
                Err(fault) => Err(fault.to_owned()),
            };
            counts.emit(raised.is_ok(), 1);
            if let Err(fault) = raised {
                tracing::warn!(route, fault, "an event of an upstream is refused");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_in_a_header_is_json_or_base64_of_it() {
        let read = |bytes: &[u8]| {
            EmittedEvent::read(&HeaderValue::from_bytes(bytes).unwrap()).map(|event| (event.kind, event.id, event.data))
        };
        let text = r#"{"type":"a","id":"1","data":{"name":"Zoë"}}"#;
        let event = Ok(("a".to_owned(), Some("1".to_owned()), serde_json::json!({ "name": "Zoë" })));
        assert_eq!(read(text.as_bytes()), event);
        assert_eq!(read(STANDARD.encode(text).as_bytes()), event);
        for wrong in [
            &b"{}"[..],
            b"a",
            b"e30=",
            b"",
            b"{\"type\":\"a\",\"data\":1,\"more\":2}",
            b"{\"type\":\"\xff\",\"data\":1}",
        ] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
        let large = format!("{{\"type\":\"a\",\"data\":\"{}\"}}", "x".repeat(LARGEST_EVENT));
        assert_eq!(read(large.as_bytes()), Err("it is larger than 16 KiB"));
    }
}
