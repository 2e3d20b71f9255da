//! The settings of services: `[services]`.

use std::{path::PathBuf, time::Duration};

use super::{UpstreamTls, WebhookSettings};
use crate::config::{diagnostic::Located, secret::Secret};

/// `[services]`.
#[derive(Debug, Clone, Default)]
pub struct ServiceSettings {
    /// `None` without the service.
    pub bulk: Option<BulkSettings>,
    /// `None` without the service.
    pub exports: Option<ExportSettings>,
    /// `None` without the service.
    pub graphql: Option<GraphqlSettings>,
    /// `None` without the service.
    pub live: Option<LiveSettings>,
    /// `None` without the service.
    pub mcp: Option<McpSettings>,
    /// `None` without the service.
    pub playground: Option<PlaygroundSettings>,
    /// `None` without the service.
    pub webhooks: Option<WebhookSettings>,
}

/// `[services.graphql]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphqlSettings {
    pub path: String,
    pub introspection: bool,
    /// Browsers get a page.
    pub page: bool,
    /// The fields and their routes, in the order of the file.
    pub fields: Vec<OfferedListSettings>,
    /// Of a body and of a query, in bytes.
    pub size: usize,
    pub tokens: usize,
    pub depth: usize,
    pub aliases: usize,
    pub lists: usize,
    pub complexity: u64,
    pub at_once: usize,
    /// Of a page.
    pub timeout: Duration,
    /// Of an answer's values and pages, in bytes.
    pub answer_size: usize,
    /// In bytes.
    pub persisted_size: usize,
}

/// A list as a service offers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedListSettings {
    /// The name, which no other list of the service has.
    pub name: String,
    pub route: String,
    /// The description of the configuration, if it has one.
    pub description: Option<String>,
}

/// `[services.mcp]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct McpSettings {
    pub path: String,
    /// The lists, in the order of the file.
    pub lists: Vec<OfferedListSettings>,
    /// In lower case, as browsers send them.
    pub origins: Vec<String>,
    /// Of a body, in bytes.
    pub size: usize,
    /// Of a result.
    pub items: u32,
    /// Of a result's items, in bytes.
    pub result_size: usize,
    /// Of a tool.
    pub timeout: Duration,
}

/// `[services.playground]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlaygroundSettings {
    /// Of a request.
    pub timeout: Duration,
    /// Of an answer's body, in bytes.
    pub answer_size: usize,
}

/// `[services.live]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveSettings {
    /// The names of the routes.
    pub routes: Vec<String>,
    pub interval: LiveInterval,
    /// Of a page.
    pub timeout: Duration,
    pub heartbeat: Duration,
    /// Of a stream.
    pub lifetime: Duration,
    /// The largest number of subscribers in all.
    pub subscribers: usize,
    /// On a route.
    pub per_route: usize,
    /// Of a client.
    pub per_client: usize,
}

/// `services.live.interval`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveInterval {
    pub min: Duration,
    /// Not below `min`.
    pub max: Duration,
}

/// The place of jobs and results.
#[derive(Debug, Clone)]
pub enum ExportStoreSettings {
    /// The path as it is opened.
    Directory(PathBuf),
    Postgres(Box<PostgresSettings>),
}

/// `[services.exports.postgres]`.
#[derive(Debug, Clone)]
pub struct PostgresSettings {
    /// At least one; `host:port`.
    pub addresses: Vec<Located<String>>,
    pub database: String,
    pub username: String,
    /// `None` where the server asks for none.
    pub password: Option<Secret>,
    /// `None` without TLS.
    pub tls: Option<UpstreamTls>,
    pub connections: usize,
    /// Of a question.
    pub timeout: Duration,
    pub connect_timeout: Duration,
    pub lease: Duration,
}

impl PostgresSettings {
    /// Returns the server and the database as operators read them.
    #[must_use]
    pub fn place(&self) -> String {
        let addresses: Vec<&str> = self.addresses.iter().map(|address| address.value.as_str()).collect();
        format!("{} at {}", self.database, addresses.join(" or "))
    }
}

/// `[services.exports]`.
#[derive(Debug, Clone)]
pub struct ExportSettings {
    pub store: ExportStoreSettings,
    /// The number of jobs that this process works on at a time.
    pub at_once: usize,
    /// The largest number of unfinished jobs of a client.
    pub per_client: usize,
    /// The largest number of unfinished jobs.
    pub queue: usize,
    /// For a page.
    pub attempts: u32,
    pub page_timeout: Duration,
    /// Of a whole job.
    pub timeout: Duration,
    /// Of a result, in bytes.
    pub size: usize,
    pub keep: Duration,
    pub keep_jobs: usize,
    /// In bytes.
    pub keep_size: usize,
}

/// `[services.bulk]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkSettings {
    pub path: String,
    /// The largest number of operations of a request.
    pub operations: usize,
    pub at_once: usize,
    pub timeout: Duration,
    /// Of the request's body, in bytes.
    pub size: usize,
    /// Of all answers, in bytes.
    pub answer_size: usize,
    pub idempotency: IdempotencySettings,
}

/// `services.bulk.idempotency`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdempotencySettings {
    pub ttl: Duration,
    pub entries: usize,
    /// In bytes.
    pub size: usize,
}
