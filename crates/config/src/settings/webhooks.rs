//! The settings of webhooks: `[services.webhooks]`.
#![expect(missing_docs, reason = "a setting is documented by its key")]

use http::HeaderName;

use super::{WebhookSettings, event_filter::EndpointFilter, event_schema::EventSchema};
use crate::{
    key::{Word, words},
    outgoing::EndpointUrl,
    secret::Secret,
};

words! {
    /// A type of events that webhooks send.
    pub enum EventType {
        /// A page of a list has changed.
        CollectionChanged = "collection.changed",
        /// An endpoint was disabled, and not by its client.
        EndpointDisabled = "endpoint.disabled",
        /// An export is completed.
        ExportCompleted = "export.completed",
        /// An export has failed.
        ExportFailed = "export.failed",
        /// A job is completed.
        JobCompleted = "job.completed",
        /// A job has failed.
        JobFailed = "job.failed",
        /// The sunset of a route's legacy requests is near.
        SunsetApproaching = "legacy.sunset_approaching",
    }
}

impl EventType {
    /// The types of events of the gateway itself.
    pub const ALL: &'static [Self] = <Self as Word>::VALUES;

    /// Returns the type with this word; `None` if it isn't one of the gateway itself.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|event| event.word() == word)
    }
}

/// The settings of `[services.webhooks.types.NAME]`.
#[derive(Debug, Clone)]
pub struct OwnEventType {
    /// The type, such as `order.paid`.
    pub kind: String,
    /// The version of the type, which its events contain; `None` if it has none.
    pub version: Option<String>,
    pub schema: EventSchema,
}

/// The settings of `[services.webhooks.emit]`.
#[derive(Debug, Clone)]
pub struct EmitSettings {
    /// The requests that emit events; `None` if there are none.
    pub requests: Option<EmitRequestSettings>,
    /// The answers that emit events; `None` if there are none.
    pub answers: Option<EmitAnswerSettings>,
}

/// The settings of requests by which services emit events.
#[derive(Debug, Clone)]
pub struct EmitRequestSettings {
    pub path: String,
    pub token: Secret,
}

/// The settings of answers by which upstreams emit events.
#[derive(Debug, Clone)]
pub struct EmitAnswerSettings {
    /// The header of an answer that has an event.
    pub header: HeaderName,
    /// The names of the routes whose upstreams may emit events; at least one.
    pub routes: Vec<String>,
}

impl WebhookSettings {
    /// Returns the settings of answers that emit events; `None` if there are none.
    #[must_use]
    pub fn emitting_answers(&self) -> Option<&EmitAnswerSettings> {
        self.emit.as_ref()?.answers.as_ref()
    }
}

/// The limits of the attempts for an endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EndpointPace {
    pub at_once: u32,
    pub per_second: u32,
}

/// The settings of `[services.webhooks.endpoints.NAME]`.
#[derive(Debug, Clone)]
pub struct WebhookEndpointSettings {
    pub name: String,
    pub url: EndpointUrl,
    pub events: Vec<String>,
    /// The conditions that events must also meet.
    pub filter: EndpointFilter,
    /// The decoded secrets that sign deliveries, the newest first.
    pub secrets: Vec<Secret>,
    pub pace: EndpointPace,
}
