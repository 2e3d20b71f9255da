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
    /// True if browsers that request HTML at the path get a page on which queries can be written and run.
    pub page: bool,
    /// The fields and their routes, in the order of the file.
    pub fields: Vec<OfferedListSettings>,
    /// The largest body and the largest query, in bytes.
    pub size: usize,
    pub tokens: usize,
    pub depth: usize,
    pub aliases: usize,
    pub lists: usize,
    pub complexity: u64,
    pub at_once: usize,
    /// The longest time for a page.
    pub timeout: Duration,
    /// The largest size of an answer's values and of the pages that they come from, in bytes.
    pub answer_size: usize,
    /// The memory for queries that clients name by their hashes, in bytes; 0 for none.
    pub persisted_size: usize,
}

/// A list that a service offers under a name of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedListSettings {
    /// The name, which no other list of the service has.
    pub name: String,
    pub route: String,
    /// The description from the configuration, if there is one.
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
    /// The largest body of a request, in bytes.
    pub size: usize,
    /// The largest number of items of a result.
    pub items: u32,
    /// The largest size of the items of a result, in bytes.
    pub result_size: usize,
    /// The longest time for a call of a tool.
    pub timeout: Duration,
}

/// `[services.playground]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlaygroundSettings {
    /// The longest time for a request.
    pub timeout: Duration,
    /// The number of bytes of an answer's body that are shown.
    pub answer_size: usize,
}

/// `[services.live]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveSettings {
    /// The names of the routes.
    pub routes: Vec<String>,
    pub interval: LiveInterval,
    /// The longest time for a page.
    pub timeout: Duration,
    pub heartbeat: Duration,
    /// The maximum lifetime of a stream.
    pub lifetime: Duration,
    /// The largest number of subscribers in all.
    pub subscribers: usize,
    /// The largest number of subscribers on a route.
    pub per_route: usize,
    /// The largest number of live pages of a client.
    pub per_client: usize,
}

/// `services.live.interval`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveInterval {
    pub min: Duration,
    /// Not below `min`.
    pub max: Duration,
}

/// The place where jobs and results are stored.
#[derive(Debug, Clone)]
pub enum ExportStoreSettings {
    /// The path that is opened.
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
    /// `None` if the server needs none.
    pub password: Option<Secret>,
    /// `None` without TLS.
    pub tls: Option<UpstreamTls>,
    pub connections: usize,
    /// The longest time for a statement, including the wait for a connection.
    pub timeout: Duration,
    pub connect_timeout: Duration,
    pub lease: Duration,
}

impl PostgresSettings {
    /// Returns the name of the database and its servers, for operators. Example: `exports at db1:5432 or db2:5432`.
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
    /// The number of jobs that this process runs at a time.
    pub at_once: usize,
    /// The largest number of unfinished jobs of a client.
    pub per_client: usize,
    /// The largest number of unfinished jobs.
    pub queue: usize,
    /// The number of attempts for a page.
    pub attempts: u32,
    pub page_timeout: Duration,
    /// The longest time for a whole job.
    pub timeout: Duration,
    /// The largest result, in bytes.
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
    /// The largest body of a request, in bytes.
    pub size: usize,
    /// The largest size of the bodies of all answers together, in bytes.
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
