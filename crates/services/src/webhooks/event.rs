//! Events: their types and their payloads.
//!
//! A payload has the members `type`, `timestamp` and `data`
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>). The id of an event
//! is the `webhook-id` in every attempt at its deliveries and in every redelivery, so receivers can recognise
//! duplicates. The id is a hash of the event's cause. So if a process raises an event, ends before it records this, and
//! the event is raised again, the id is the same. The id of an emitted event is also a hash of its client: an event that is
//! stored for one client never gets the endpoints of another one.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use cursorgate_config::settings::{EventType, OwnEventType};
use cursorgate_gateway::runtime::clock;

/// The `type` of the request that verifies an endpoint. It isn't a type of event.
pub(super) const VERIFICATION: &str = "webhook.verification";

/// The `type` of the event by which a client tries its endpoint. Clients can't subscribe to it.
pub(super) const TRIAL: &str = "webhook.test";

/// The endpoints for which an event is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Audience {
    /// The endpoints of the operator and of all clients.
    All,
    /// The endpoints of the operator, and of the owners with these names. A client has a name for each cursor key.
    Client(Vec<String>),
    /// The endpoints of the operator, and of the clients that a service behind the gateway names so. A name has one
    /// form for each cursor key.
    Subject(Vec<String>),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Event {
    /// The `webhook-id` of the event's deliveries: `evt_`, followed by 32 hexadecimal digits.
    pub(super) id: String,
    /// The word for the event's type, such as `export.completed`.
    pub(super) kind: String,
    /// The time of the event, in seconds since 1970.
    pub(super) created: u64,
    /// The body of the event's deliveries, which is JSON.
    pub(super) payload: String,
    pub(super) audience: Audience,
    /// The name of the event's subject, such as a page that has changed; `None` if the event has none. A delivery that
    /// still waits with an earlier event about the same subject gets this event instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<String>,
}

#[derive(Serialize)]
struct Payload<'a, D: ?Sized> {
    #[serde(rename = "type")]
    kind: &'a str,
    /// The version of an operator's own type.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    timestamp: String,
    data: &'a D,
}

impl Event {
    /// Creates an event. Its id is a hash of the type and the cause, so two events with the same type and cause are the
    /// same event.
    pub(crate) fn new(kind: EventType, cause: &str, created: u64, audience: Audience, data: &impl Serialize) -> Self {
        Self::of_word(kind.word(), cause, created, audience, data)
    }

    /// Creates an event of an operator's own type, for all clients. Two events with the same type and cause are the same
    /// event, if they are for the same clients.
    pub(super) fn own(kind: &OwnEventType, cause: &str, created: u64, data: &RawValue) -> Self {
        let OwnEventType { kind, version, .. } = kind;
        let payload = Payload { kind, version: version.as_deref(), timestamp: clock::rfc3339(created), data };
        // Serializing JSON never fails.
        let payload = serde_json::to_string(&payload).unwrap_or_default();
        Self { payload, ..Self::of_word(kind, cause, created, Audience::All, &()) }
    }

    /// Returns the event for a single client, which is another event than that for all clients. `subject` is the hash of
    /// the client as services name it, and `names` are its forms under the cursor keys.
    pub(super) fn only_for(self, subject: &[u8; 32], names: Vec<String>) -> Self {
        // Orders of two clients can have the same number. Were the id of both events the same, the second client would
        // get the stored data of the first one. The hash is of the client and not of its names, which change with the
        // keys. Test: `an_id_of_an_event_belongs_to_the_client_of_the_event`.
        let digest = Sha256::new_with_prefix(subject).chain_update(&self.id).finalize();
        Self { id: id_of(&digest), audience: Audience::Subject(names), ..self }
    }

    /// Returns the id.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Creates the event by which a client tries its endpoint.
    pub(super) fn trial(cause: &str, created: u64) -> Self {
        Self::of_word(TRIAL, cause, created, Audience::Client(Vec::new()), &serde_json::Map::new())
    }

    fn of_word(kind: &str, cause: &str, created: u64, audience: Audience, data: &impl Serialize) -> Self {
        // The hash includes the type, because events of two types with the same cause are two events.
        // Test: `an_event_raised_again_has_the_same_id_and_payload`.
        let digest = Sha256::digest(format!("{kind}\n{cause}"));
        Self {
            id: id_of(&digest),
            kind: kind.to_owned(),
            created,
            payload: payload(kind, created, data),
            audience,
            subject: None,
        }
    }

    /// Returns the event with this subject.
    pub(super) fn about(self, subject: String) -> Self {
        Self { subject: Some(subject), ..self }
    }
}

/// Returns the id of the event with this hash.
fn id_of(digest: &[u8]) -> String {
    let id: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("evt_{id}")
}

/// Returns the body of a request to an endpoint: a JSON object with `type`, `timestamp` and `data`. `created` is in
/// seconds since 1970.
pub(super) fn payload(kind: &str, created: u64, data: &impl Serialize) -> String {
    let payload = Payload { kind, version: None, timestamp: clock::rfc3339(created), data };
    // Serializing strings, numbers, booleans and lists as JSON never fails.
    serde_json::to_string(&payload).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cursorgate_gateway::openapi::built_in_schema;

    #[test]
    fn an_event_raised_again_has_the_same_id_and_payload() {
        let event = |cause: &str, kind| Event::new(kind, cause, 60, Audience::All, &["x"]);
        let one = event("a", EventType::ExportFailed);
        assert_eq!(one, event("a", EventType::ExportFailed));
        assert_ne!(one.id, event("b", EventType::ExportFailed).id);
        assert_ne!(one.id, event("a", EventType::ExportCompleted).id);
        assert_eq!(one.payload, r#"{"type":"export.failed","timestamp":"1970-01-01T00:01:00Z","data":["x"]}"#);
    }

    #[test]
    fn an_event_for_one_client_is_that_of_no_other() {
        let event = || Event::new(EventType::ExportFailed, "42", 60, Audience::All, &["x"]);
        let of = |subject: u8, name: &str| event().only_for(&[subject; 32], vec![name.to_owned()]);
        assert_eq!(of(1, "before").id, of(1, "after").id, "a new cursor key changes only the names");
        let ids = [event().id, of(1, "a").id, of(2, "a").id];
        assert!(ids[0] != ids[1] && ids[0] != ids[2] && ids[1] != ids[2], "{ids:?}");
        assert!(ids.iter().all(|id| id.len() == 36), "{ids:?}");
    }

    #[test]
    fn each_type_has_a_schema_of_its_name() {
        for &kind in EventType::ALL {
            let schema: serde_json::Value = serde_json::from_str(built_in_schema(kind)).unwrap();
            assert_eq!(schema["properties"]["type"]["const"], kind.word());
        }
    }
}
