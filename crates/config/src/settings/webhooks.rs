//! The settings of webhooks: `[services.webhooks]`.
#![expect(missing_docs, reason = "a setting is documented by its key")]

use super::event_schema::EventSchema;
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
    pub path: String,
    pub token: Secret,
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
    /// The decoded secrets that sign deliveries, the newest first.
    pub secrets: Vec<Secret>,
    pub pace: EndpointPace,
}
