//! The settings of a configuration: all values are checked and typed, names are resolved, defaults are merged, and
//! `extends` is followed. Values in which a later stage may find faults have their locations.
//!
//! Most structs are those of a table of keys, and are defined with it (`keys`). Here are the others: the types of single
//! settings, and the settings that are made of several tables.
#![expect(missing_docs, reason = "a setting is documented by its key")]

mod api;
mod contract;
mod dialect;
mod envelope;
mod event_filter;
mod event_schema;
mod identity;
mod legacy;
mod list;
mod openapi;
mod rate_limit;
mod services;
mod store;
mod tls;
mod webhooks;

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    path::PathBuf,
};

pub use super::keys::{
    dialect::{
        DialectCount, DialectFilter, DialectItem, DialectMatch, DialectRequest, DialectResponse, DialectSettings,
        DialectSize, DialectSort, DialectTerms,
    },
    envelope::{EmptyCursor, EnvelopeSettings, ZeroLimit},
    jobs::{JobQueueSettings, JobSettings},
    legacy::{LegacySettings, NewClients},
    list::{Budgets, CursorSettings, FieldSettings, PageSizeSettings, ParameterSettings},
    objects::{ObjectBucket, ObjectSettings},
    openapi::{ApiSettings, OAuthFlow},
    postgres::PostgresSettings,
    route::{ConcurrencySettings, CorsSettings, ListSettings, ObserveSettings, PageCacheSettings},
    server::{
        AdminSettings, CacheSettings, ClientAuthorities, IdentityAnswerSettings, ListenerSettings, ListenerTls,
        LogSettings, PivotCacheSettings, ServerSettings, TokenSettings, TraceSettings,
    },
    services::{
        BulkSettings, DetectorSettings, ExportSettings, GraphqlSettings, IdempotencySettings, LiveInterval,
        LiveSettings, McpSettings, PlaygroundSettings, PublicContractSettings, ServiceSettings,
    },
    store::StoreSettings,
    upstream::{HealthCheckSettings, PathCase, RetrySettings, Timeouts, UpstreamSettings, UpstreamTls},
    webhooks::{WatchSettings, WebhookClientSettings, WebhookSettings},
};
pub use api::{CredentialPlace, SchemeCredentials, SecurityScheme};
pub use contract::{ContractAnswer, ContractExchange, ContractSettings, ContractValue, ExpectedFacts};
pub use dialect::{EndWord, ItemsObjectWord, Quote, QuotedKind, TotalCounts};
pub use envelope::ErrorSettings;
pub use event_filter::{EndpointFilter, FilterFault};
pub use event_schema::EventSchema;
pub use identity::{AnswerPlace, IdentityWord, TokenAlgorithm, TokenKeySource, TokenKeyUrl};
pub use legacy::{AfterSunset, KnownBy, LegacyClient, LegacyLinks, OldClients};
pub use list::{AlsoAccepted, Mode, OverMax, Role, SortTerm, WhenEndUnproven};
pub use openapi::{ItemSchema, OpenApiSettings};
pub use rate_limit::{BrownoutEffect, BrownoutSettings, QuotaSettings, RateLimitSettings};
pub use services::{
    CATALOG_PATH, CountedBy, OfferedListSettings, OperationType, REFERENCE_FILES, ServiceCors, ServiceStoreSettings,
};
pub use store::{StoreKind, StoreUser};
pub use tls::{ClientCertificate, KeyPairSettings, TlsVersion};
pub use webhooks::{
    EmitAnswerSettings, EmitRequestSettings, EmitSettings, EndpointPace, EventType, OwnEventType,
    WebhookEndpointSettings,
};

use super::{diagnostic::Located, key::words, redacted::RedactedConfiguration, secret::Secret};

/// The settings of a configuration. If the diagnostics contain errors, faulty parts are missing or have their defaults.
#[derive(Clone, Debug)]
pub struct Settings {
    pub server: ServerSettings,
    /// The keys that verify bearer tokens; `None` if no token is verified.
    pub tokens: Option<TokenSettings>,
    /// The request whose answer says who a client is; `None` if no upstream is asked.
    pub identity_answer: Option<IdentityAnswerSettings>,
    /// The listeners of clients; at least one.
    pub listeners: Vec<ListenerSettings>,
    pub admin: Option<AdminSettings>,
    pub log: LogSettings,
    /// The export of traces; `None` if no traces are made.
    pub traces: Option<TraceSettings>,
    /// The keys of cursors; present if a route serves or observes a list.
    pub cursor: Option<CursorKeySettings>,
    pub caches: CacheSettings,
    pub api: ApiSettings,
    pub services: ServiceSettings,
    pub upstreams: Vec<UpstreamSettings>,
    /// The routes, in the order of the file.
    pub routes: Vec<RouteSettings>,
    /// The dialects that the configuration itself defines, also those that no route uses.
    pub own_dialects: Vec<DialectSettings>,
    /// The envelopes that the configuration itself defines, also those that no route uses.
    pub own_envelopes: Vec<EnvelopeSettings>,
    /// The configuration as it was written, without its secrets.
    pub written: RedactedConfiguration,
}

impl Settings {
    /// Returns the configuration without the files of certificates, for checks on a machine that doesn't have them:
    /// listeners have no TLS, and connections to other servers trust the system's authorities and present no
    /// certificate.
    #[must_use]
    pub fn without_certificates(&self) -> Self {
        let mut settings = self.clone();
        settings.listeners.iter_mut().for_each(|listener| listener.tls = None);
        let store = settings.caches.shared.iter_mut().filter_map(|store| store.tls.as_mut());
        let exports = settings.services.exports.as_mut().map(|exports| &mut exports.store);
        let webhooks = settings.services.webhooks.as_mut().map(|webhooks| {
            webhooks.ca = None;
            &mut webhooks.store
        });
        let databases = exports.into_iter().chain(webhooks).filter_map(|store| match store {
            ServiceStoreSettings::Postgres(postgres) => postgres.tls.as_mut(),
            ServiceStoreSettings::Directory(_) => None,
        });
        let upstreams = settings.upstreams.iter_mut().filter_map(|upstream| upstream.tls.as_mut());
        let tokens = settings.tokens.as_mut().and_then(|tokens| match &mut tokens.keys {
            TokenKeySource::Url(url) => url.upstream.tls.as_mut(),
            TokenKeySource::File(_) => None,
        });
        for tls in upstreams.chain(store).chain(databases).chain(tokens) {
            (tls.ca, tls.pair) = (None, None);
        }
        settings
    }
}

/// The settings of `server.compression` and `server.compression_size`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompressionSettings {
    /// The codings in order of preference; empty if responses aren't compressed.
    pub codings: Vec<ContentCoding>,
    /// The smallest body that is compressed, in bytes.
    pub least: usize,
}

words! {
    /// A content coding (RFC 9110 section 8.4.1).
    pub enum ContentCoding {
        /// Zstandard (RFC 8878), at level 1.
        Zstd = "zstd",
        /// Brotli (RFC 7932), at quality 3.
        Brotli = "br",
        /// gzip (RFC 1952), at level 4.
        Gzip = "gzip",
    }
}

impl ServerSettings {
    /// Returns the headers in which trusted proxies report the host of the client's request. Without trusted proxies
    /// there are none.
    pub fn host_headers(&self) -> impl Iterator<Item = &http::HeaderName> {
        let names = ["forwarded", "x-forwarded-host", "host"];
        let vouched = self.forwarded_headers.iter().filter(move |name| names.contains(&name.as_str()));
        vouched.filter(|_| !self.trusted_proxies.is_empty())
    }
}

/// A network: all IP addresses with the same prefix, such as `10.20.0.0/16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// The prefix. All bits after it are zero.
    pub address: IpAddr,
    /// The length of the prefix in bits.
    pub prefix: u8,
}

impl Network {
    /// Returns whether an address is in the network. An IPv4-mapped IPv6 address counts as its IPv4 address.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        let bits = u32::from(self.prefix);
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(of), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32_u32.saturating_sub(bits)).unwrap_or(0);
                of.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V6(of), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128_u32.saturating_sub(bits)).unwrap_or(0);
                of.to_bits() & mask == address.to_bits() & mask
            }
            // A network of one version of IP contains no address of the other: 0.0.0.0/0 has no IPv6 addresses. Test:
            // `networks_contain_addresses`.
            _ => false,
        }
    }
}

/// The address that stands for all clients of Unix sockets, since no packet has it as its source. Configurations call
/// these clients "unix".
pub const UNIX_CLIENT: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// The address of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    Ip(SocketAddr),
    Unix {
        path: PathBuf,
        /// The permissions of the socket's file.
        mode: u32,
    },
}

impl ListenAddress {
    /// Returns the IP address and the port; `None` for a Unix socket.
    #[must_use]
    pub fn ip(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            Self::Unix { .. } => None,
        }
    }

    /// Returns whether two addresses have the same IP address and port, or the same path. Permissions aren't compared.
    #[must_use]
    pub fn is_same_place(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Ip(one), Self::Ip(other)) => one == other,
            (Self::Unix { path: one, .. }, Self::Unix { path: other, .. }) => one == other,
            _ => false,
        }
    }
}

/// The address of a gateway without listeners in its file.
impl Default for ListenAddress {
    fn default() -> Self {
        Self::Ip(SocketAddr::from(([127, 0, 0, 1], 8080)))
    }
}

impl std::fmt::Display for ListenAddress {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(formatter),
            Self::Unix { path, .. } => write!(formatter, "unix:{}", path.display()),
        }
    }
}

words! {
    /// The reports of the admin listener that need no token.
    pub enum OpenReports {
        /// No report.
        None = "none",
        /// Only /metrics, for scrapers that can't send a token.
        Metrics = "metrics",
        /// All reports. Everybody who can reach the listener can read them.
        All = "all",
    }
}

words! {
    /// The histograms of requests: the times of requests, and the numbers of upstream requests for pages.
    pub enum RouteHistograms {
        /// One for each route, with the buckets 0.01, 0.05, 0.25, 1, 2.5 and 10 s.
        Routes = "routes",
        /// One for each route, with all buckets, from 1 ms to 30 s.
        Fine = "fine",
        /// One of all routes together, with all buckets and an empty label `route`. With hundreds of routes this leaves
        /// out two thirds of the series.
        Total = "total",
    }
}

words! {
    /// The format of a line of the log.
    pub enum LogFormat {
        /// Plain text on a terminal, otherwise JSON.
        Auto = "auto",
        /// A JSON object.
        Json = "json",
        /// Plain text, for people.
        Text = "text",
    }
}

words! {
    /// The least severe level that is logged.
    pub enum LogLevel {
        /// Only failures of the gateway itself.
        Error = "error",
        /// Also events that an operator should look at.
        Warn = "warn",
        /// Also changes of the process: its start, its reloads, its end.
        Info = "info",
        /// Also a line for each upstream request, with its path, the names of its parameters, the status and the time.
        Debug = "debug",
    }
}

words! {
    /// The requests that have a line in the access log.
    pub enum AccessLog {
        /// All requests.
        All = "all",
        /// Requests that failed: those with a line at WARN or ERROR.
        Errors = "errors",
        /// No request.
        Off = "off",
    }
}

/// The settings of `[cursor]`.
#[derive(Clone, Debug)]
pub struct CursorKeySettings {
    pub signing_key: u32,
    /// The keys with their numbers. Each key has at least 32 bytes.
    pub keys: Vec<(u32, Secret)>,
}

words! {
    /// The choice of the peer for a request.
    pub enum Balance {
        /// The healthy peer with the fewest requests in flight, so a slow peer gets few. Several such peers have turns.
        LeastRequests = "least-requests",
        /// The healthy peers in turn.
        RoundRobin = "round-robin",
        /// The same healthy peer for the same values of `balance_headers`. If a peer becomes unhealthy, only its own
        /// clients move to another one.
        Hash = "hash",
    }
}

words! {
    /// The requests for pages in which an upstream may compress its answers.
    pub enum UpstreamCompression {
        /// Requests to an upstream with a peer on another machine: a host other than localhost and loopback addresses.
        Remote = "remote",
        /// All requests.
        Always = "always",
        /// No request.
        Never = "never",
    }
}

words! {
    /// The treatment of requests for a route.
    pub enum Action {
        /// The list is served by cursor.
        Paginate = "paginate",
        /// All requests are forwarded, and nothing changes for clients. The gateway counts whether it could have served
        /// the answers as pages (cursorgate_observed_total); the log has the causes if it couldn't.
        Observe = "observe",
        /// All requests are forwarded.
        Forward = "forward",
    }
}

/// The methods of requests for the list of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Methods {
    /// True if requests by GET and HEAD are for the list.
    pub get: bool,
    pub post: bool,
}

impl Methods {
    /// Returns whether a request with this method is for the list. HEAD counts as GET.
    #[must_use]
    pub fn take(self, method: &http::Method) -> bool {
        match *method {
            http::Method::GET | http::Method::HEAD => self.get,
            http::Method::POST => self.post,
            _ => false,
        }
    }
}

/// The settings of `[routes.NAME]`, with its defaults merged in.
#[derive(Clone, Debug)]
pub struct RouteSettings {
    /// The name, which each cursor of the route contains.
    pub name: Located<String>,
    /// The hosts in lower case, without a port; empty if the route answers for all hosts.
    pub hosts: Vec<String>,
    /// The path, such as `/api/users/{user}/orders` or `/{*rest}`.
    pub path: Located<String>,
    /// The index of the upstream in [`Settings::upstreams`].
    pub upstream: usize,
    pub methods: Methods,
    pub upstream_path: Option<Located<String>>,
    /// The list's own path, in the settings of its second path ([`Self::for_new_clients`]); `None` in all others.
    pub list_path: Option<Located<String>>,
    /// The scheme and host with which the route's links begin, without a final slash.
    pub public_url: Option<String>,
    /// What identifies clients; empty if `principal` does.
    pub identity: Vec<IdentityWord>,
    pub concurrency: Option<ConcurrencySettings>,
    pub rate_limit: RateLimitSettings,
    pub cors: Option<CorsSettings>,
    /// The treatment of the upstream's links (`legacy.links`). If `None`, links are rewritten if the upstream has a
    /// `host_header`.
    pub legacy_links: Option<Located<LegacyLinks>>,
    /// The list of the route; `None` for a route that only forwards.
    pub list: Option<Box<ListSettings>>,
    /// The list that the route would serve, if the route was set back to forwarding and still has the keys of a list.
    /// Requests of new clients are refused on such a route.
    pub set_back: Option<Box<ListSettings>>,
    /// The observation of answers: they are forwarded and read, and no pages are served. `None` for a route that serves
    /// its list, and for one without a list.
    pub observe: Option<ObserveSettings>,
    pub openapi: Option<OpenApiSettings>,
}

/// The source of the host in a route's links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkOrigin<'s> {
    /// The `public_url` of the route or of the server.
    PublicUrl(&'s str),
    /// The hosts of the route, unless a trusted proxy reports another host.
    Hosts(&'s [String]),
    /// The headers of trusted proxies. Links in answers to other clients are relative.
    Proxies,
    /// No source: all links are relative.
    Unknown,
}

impl RouteSettings {
    /// Returns whether the route covers all paths of all hosts.
    #[must_use]
    pub fn takes_all_paths(&self) -> bool {
        let rest = self.path.value.strip_prefix("/{*");
        self.hosts.is_empty() && rest.is_some_and(|rest| !rest.contains('/'))
    }

    /// Returns the settings of the route's second path (`new_clients.path`): those of a route for the same list that
    /// has no old clients. Returns `None` if the route has no second path.
    #[must_use]
    pub fn for_new_clients(&self) -> Option<Self> {
        let list = self.list.as_ref().or(self.set_back.as_ref())?;
        let path = list.new_clients.path.clone()?;
        let own = &self.path;
        // The upstream gets the same path for both.
        let upstream_path = match &self.upstream_path {
            Some(template) => template.value.replace("{path}", own.value.trim_end_matches('/')),
            None => own.value.clone(),
        };
        let legacy = LegacySettings {
            old_clients: OldClients::None,
            client: list.legacy.client.clone(),
            ..LegacySettings::default()
        };
        let new_clients =
            NewClients { path: None, by: Vec::new(), by_preference: None, start: list.new_clients.start.clone() };
        let list = Box::new(ListSettings { legacy, new_clients, ..(**list).clone() });
        let (list, set_back) = if self.list.is_some() { (Some(list), None) } else { (None, Some(list)) };
        Some(Self {
            upstream_path: Some(Located { value: upstream_path, at: path.at }),
            path,
            list_path: Some(own.clone()),
            list,
            set_back,
            ..self.clone()
        })
    }

    /// Returns whether links of the upstream to itself are rewritten in answers that are passed on.
    #[must_use]
    pub fn rewrites_links(&self, upstream: &UpstreamSettings) -> bool {
        match &self.legacy_links {
            Some(links) => links.value == LegacyLinks::Rewrite,
            None => upstream.host_header.is_some(),
        }
    }

    /// Returns the source of the host in the route's links.
    #[must_use]
    pub fn link_origin<'s>(&'s self, server: &'s ServerSettings) -> LinkOrigin<'s> {
        let public_url = self.public_url.as_deref().or(server.public_url.as_deref());
        match (public_url, self.hosts.as_slice(), server.host_headers().next()) {
            (Some(url), _, _) => LinkOrigin::PublicUrl(url),
            (None, [_, ..], _) => LinkOrigin::Hosts(&self.hosts),
            (None, [], Some(_)) => LinkOrigin::Proxies,
            (None, [], None) => LinkOrigin::Unknown,
        }
    }
}
