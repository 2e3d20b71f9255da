//! The settings of services: `[services]`.

use std::{path::PathBuf, time::Duration};

use http::HeaderName;

use super::{CorsSettings, IdentityWord, UpstreamTls, WebhookSettings};
use crate::{diagnostic::Located, secret::Secret};

/// The settings of `[services]`.
#[derive(Debug, Clone, Default)]
pub struct ServiceSettings {
    /// The settings of bulk requests; `None` if this service is off.
    pub bulk: Option<BulkSettings>,
    /// The settings of the public contract; `None` if this service is off.
    pub contract: Option<PublicContractSettings>,
    /// The settings of exports; `None` if this service is off.
    pub exports: Option<ExportSettings>,
    /// The settings of jobs; `None` if this service is off.
    pub jobs: Option<JobSettings>,
    /// The settings of GraphQL; `None` if this service is off.
    pub graphql: Option<GraphqlSettings>,
    /// The settings of live pages; `None` if this service is off.
    pub live: Option<LiveSettings>,
    /// The settings of tools for agents; `None` if this service is off.
    pub mcp: Option<McpSettings>,
    /// The settings of the playground; `None` if this service is off.
    pub playground: Option<PlaygroundSettings>,
    /// The settings of webhooks; `None` if this service is off.
    pub webhooks: Option<WebhookSettings>,
    pub cors: ServiceCors,
}

impl ServiceSettings {
    /// Returns whether a service is on that has a report for operators.
    #[must_use]
    pub fn has_reports(&self) -> bool {
        self.exports.is_some() || self.live.is_some() || self.webhooks.is_some()
    }
}

/// The origins whose scripts may use services without a list of their own: those of `services.cors`, or those that
/// routes have in common. `None` if there are none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceCors {
    /// The origins for services that read lists.
    pub of_lists: Option<CorsSettings>,
    /// The origins for bulk requests, which reach all routes.
    pub of_routes: Option<CorsSettings>,
}

/// The path of the API catalog (RFC 9727, section 2).
pub const CATALOG_PATH: &str = "/.well-known/api-catalog";

/// The settings of `[services.contract]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicContractSettings {
    /// The path of the OpenAPI document.
    pub document: String,
    /// True if [`CATALOG_PATH`] is answered.
    pub catalog: bool,
    /// The path of the links to all lists; `None` if there is none.
    pub entry: Option<String>,
    /// The URL of a page about the API for people; `None` if there is none.
    pub documentation: Option<String>,
    /// The names of the routes that aren't described.
    pub except: Vec<String>,
}

impl PublicContractSettings {
    /// Returns the paths that the service answers.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        let catalog = self.catalog.then_some(CATALOG_PATH);
        std::iter::once(self.document.as_str()).chain(catalog).chain(self.entry.as_deref())
    }

    /// Returns whether the list of this route is described.
    #[must_use]
    pub fn describes(&self, route: &str) -> bool {
        !self.except.iter().any(|other| other == route)
    }
}

/// The settings of `[services.graphql]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphqlSettings {
    pub path: String,
    pub introspection: bool,
    /// True if browsers that request HTML at `path` get a page on which queries can be written and run.
    pub page: bool,
    /// The fields and their routes, in the order of the routes in the file.
    pub fields: Vec<OfferedListSettings>,
    /// The largest body of a request and the largest query, in bytes.
    pub size: usize,
    pub tokens: usize,
    pub depth: usize,
    pub aliases: usize,
    pub lists: usize,
    pub complexity: u64,
    pub at_once: usize,
    /// The longest time for the page of a list.
    pub timeout: Duration,
    /// The memory for an answer's values and for the pages that they come from, in bytes.
    pub answer_size: usize,
    /// The memory for queries that clients name by their hashes, in bytes; 0 for none.
    pub persisted_size: usize,
}

/// A list that a service offers under its own name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedListSettings {
    /// The name; no other list of the service has the same one.
    pub name: String,
    pub route: String,
    /// The description in the configuration; `None` if it has none.
    pub description: Option<String>,
}

/// The settings of `[services.mcp]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct McpSettings {
    pub path: String,
    /// The lists, in the order of the routes in the file.
    pub lists: Vec<OfferedListSettings>,
    /// The origins whose scripts may use the tools, in lower case, as browsers send them.
    pub origins: Vec<String>,
    /// The largest body of a request, in bytes.
    pub size: usize,
    /// The largest number of items in a result.
    pub items: u32,
    /// The largest size of the items in a result, in bytes.
    pub result_size: usize,
    /// The longest time for a call of a tool.
    pub timeout: Duration,
}

/// The settings of `[services.playground]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlaygroundSettings {
    /// The longest time for a request.
    pub timeout: Duration,
    /// The largest part of an answer's body that is shown, in bytes.
    pub answer_size: usize,
}

/// The settings of `[services.live]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveSettings {
    /// The names of the routes whose pages can be live.
    pub routes: Vec<String>,
    pub interval: LiveInterval,
    /// The longest time for a page.
    pub timeout: Duration,
    pub heartbeat: Duration,
    /// The longest time for a stream.
    pub lifetime: Duration,
    /// The largest number of clients with a live page.
    pub subscribers: usize,
    /// The largest number of clients with a live page of the same route.
    pub per_route: usize,
    /// The largest number of live pages of a client.
    pub per_client: usize,
    pub key: CountedBy,
}

/// The bounds of the time between two requests for the same live page (`services.live.interval`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveInterval {
    pub min: Duration,
    /// The longest interval; not shorter than `min`.
    pub max: Duration,
}

/// The place in which jobs and results are stored.
#[derive(Debug, Clone)]
pub enum ExportStoreSettings {
    /// A directory on this machine, by the path that is opened.
    Directory(PathBuf),
    Postgres(Box<PostgresSettings>),
}

/// The settings of `[services.exports.postgres]`.
#[derive(Debug, Clone)]
pub struct PostgresSettings {
    /// The addresses of the servers as `host:port`; at least one.
    pub addresses: Vec<Located<String>>,
    pub database: String,
    pub username: String,
    /// The password of the user; `None` if the server needs none.
    pub password: Option<Secret>,
    /// The TLS settings; `None` if connections aren't encrypted.
    pub tls: Option<UpstreamTls>,
    pub connections: usize,
    /// The longest time for a query, including the wait for a connection.
    pub timeout: Duration,
    pub connect_timeout: Duration,
    pub lease: Duration,
}

impl PostgresSettings {
    /// Returns the name of the database and of its servers, for operators. Example: `exports at db1:5432 or db2:5432`.
    #[must_use]
    pub fn place(&self) -> String {
        let addresses: Vec<&str> = self.addresses.iter().map(|address| address.value.as_str()).collect();
        format!("{} at {}", self.database, addresses.join(" or "))
    }
}

/// The settings of `[services.exports]`.
#[derive(Debug, Clone)]
pub struct ExportSettings {
    pub store: ExportStoreSettings,
    /// The number of jobs that this process works on at the same time.
    pub at_once: usize,
    /// The largest number of unfinished jobs of a client.
    pub per_client: usize,
    pub key: CountedBy,
    /// The largest number of unfinished jobs of all clients.
    pub queue: usize,
    /// The longest time for which a page that fails is requested again.
    pub retry_for: Duration,
    pub page_timeout: Duration,
    /// The longest time for a job.
    pub timeout: Duration,
    /// The largest result, in bytes.
    pub size: usize,
    pub keep: Duration,
    pub keep_jobs: usize,
    /// The largest size of all results together, in bytes.
    pub keep_size: usize,
}

/// The settings of `[services.jobs]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobSettings {
    pub path: String,
    /// What identifies clients; empty if all of their headers do.
    pub identity: Vec<IdentityWord>,
    /// The headers that say nothing about a person, as `[defaults]` lists them.
    pub impersonal: Vec<HeaderName>,
    pub queues: Vec<JobQueueSettings>,
}

/// The settings of `[services.jobs.queues.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobQueueSettings {
    pub name: String,
    /// The method of the request that begins the work.
    pub method: String,
    /// The path of the request.
    pub path: Located<String>,
    /// The largest number of jobs at work, of all processes.
    pub at_once: u32,
    /// The largest number of unfinished jobs of a client.
    pub per_client: usize,
    /// The largest number of unfinished jobs of all clients.
    pub unfinished: usize,
    /// True if the request may be sent again although the upstream might have carried it out.
    pub repeats: bool,
    /// The longest time for which a request that fails is sent again.
    pub retry_for: Duration,
    pub request_timeout: Duration,
    /// The first pause between two questions for the status.
    pub interval: Duration,
    /// The largest number of requests of a job.
    pub requests: u64,
    /// The longest time for a job.
    pub timeout: Duration,
    /// The largest answer, in bytes.
    pub size: usize,
    /// The member of a status that names its state, as a JSON Pointer; `None` if only HTTP statuses count.
    pub state: Option<String>,
    /// The states in which the work goes on, in lower case.
    pub running: Vec<String>,
    /// The states in which the work has failed, in lower case.
    pub failed: Vec<String>,
    /// The member of a status that says how much is done, as a JSON Pointer; `None` if there is none.
    pub progress: Option<String>,
}

/// The settings of `[services.bulk]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkSettings {
    pub path: String,
    /// What identifies clients; empty if all of their headers do.
    pub identity: Vec<IdentityWord>,
    /// The headers that say nothing about a person, as `[defaults]` lists them.
    pub impersonal: Vec<HeaderName>,
    pub key: CountedBy,
    /// The largest number of operations in a request.
    pub operations: usize,
    pub types: Vec<OperationType>,
    pub at_once: usize,
    pub timeout: Duration,
    /// The largest body of a request, in bytes.
    pub size: usize,
    /// The memory for the bodies of all answers of a request together, in bytes.
    pub answer_size: usize,
    pub idempotency: IdempotencySettings,
}

/// An operation that clients name by its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationType {
    pub name: String,
    pub method: String,
    /// The path, with the names of parameters in braces.
    pub path: String,
}

/// The settings of `services.bulk.idempotency`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdempotencySettings {
    pub ttl: Duration,
    pub entries: usize,
    /// The memory for the results of requests, in bytes.
    pub size: usize,
}

/// What the limits of a service count as one client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CountedBy {
    /// Its name, or the headers in `principal`.
    Principal,
    Address,
    /// The value of this header.
    Header(HeaderName),
}

impl CountedBy {
    /// Reads a text that `keys::rate_limit::key` accepts.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let header = text.strip_prefix("header:").and_then(|name| HeaderName::from_bytes(name.as_bytes()).ok());
        match header {
            Some(name) => Self::Header(name),
            None if text == "address" => Self::Address,
            None => Self::Principal,
        }
    }
}
