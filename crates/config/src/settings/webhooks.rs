//! The settings of webhooks: `[services.webhooks]`.
#![expect(missing_docs, reason = "a setting is documented by its key")]

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use http::HeaderName;

use super::{CountedBy, IdentityWord, event_schema::EventSchema};
use crate::{
    diagnostic::Located,
    key::{Word, words},
    outgoing::{EndpointUrl, OutgoingRules},
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

/// The settings of `[services.webhooks]`.
#[derive(Debug, Clone)]
pub struct WebhookSettings {
    /// The directory of the deliveries, by the path that is opened.
    pub directory: PathBuf,
    /// The number of attempts for a delivery.
    pub attempts: u32,
    /// The longest delay after the first failed attempt.
    pub delay: Duration,
    pub longest_delay: Duration,
    /// The time without a successful attempt after which a dead letter disables its endpoint.
    pub disable_after: Duration,
    /// The longest time for an attempt.
    pub timeout: Duration,
    /// The largest number of attempts that this process makes at the same time.
    pub in_flight: usize,
    /// The pace of endpoints that don't set their own.
    pub pace: EndpointPace,
    /// The largest number of waiting deliveries.
    pub queue: usize,
    pub keep: Duration,
    pub keep_deliveries: usize,
    /// The time for which a replaced secret also signs.
    pub overlap: Duration,
    /// The times before a sunset, the longest first.
    pub sunset_notice: Vec<Duration>,
    pub rules: OutgoingRules,
    /// The DNS servers that resolve the endpoints' names; empty for the servers of the system.
    pub resolvers: Vec<SocketAddr>,
    /// The authorities that verify the endpoints' certificates; `None` for those of the system.
    pub ca: Option<Located<String>>,
    pub endpoints: Vec<WebhookEndpointSettings>,
    /// The operator's own types of events.
    pub types: Vec<OwnEventType>,
    /// The requests by which services emit events; `None` if they can't.
    pub emit: Option<EmitSettings>,
    pub watches: Vec<WatchSettings>,
    /// The endpoints that clients register; `None` if they can't register any.
    pub clients: Option<WebhookClientSettings>,
}

/// The limits of the attempts for an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// The settings of `[services.webhooks.watches.NAME]`.
#[derive(Debug, Clone)]
pub struct WatchSettings {
    pub name: String,
    /// The path and the query of the page that is watched.
    pub path: Located<String>,
    pub host: Option<String>,
    pub interval: Duration,
    /// The longest time for a request of the watch.
    pub timeout: Duration,
    pub headers: Vec<(HeaderName, Secret)>,
}

/// The settings of `[services.webhooks.clients]`.
#[derive(Debug, Clone)]
pub struct WebhookClientSettings {
    pub path: String,
    /// A path with its query. Clients that may read it may also register endpoints.
    pub authorize: Located<String>,
    pub principal: Vec<HeaderName>,
    /// What identifies clients; empty if `principal` does.
    pub identity: Vec<IdentityWord>,
    /// The headers that say nothing about a person, as `[defaults]` lists them.
    pub impersonal: Vec<HeaderName>,
    /// The types of events that clients may ask for.
    pub events: Vec<String>,
    pub per_client: usize,
    pub key: CountedBy,
    pub endpoints: usize,
}
