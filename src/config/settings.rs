//! The settings of a configuration: every value is checked and typed, names are resolved, defaults merged, and
//! `extends` followed. Values in which a later stage may find faults have their locations.
//!
//! Settings are documented by their keys (`keys`). Comments here add only facts that the types don't show.
#![expect(missing_docs, reason = "a setting is documented by its key")]

mod api;
mod contract;
mod dialect;
mod envelope;
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
    time::Duration,
};

pub use api::{ApiSettings, CredentialPlace, OAuthFlow, SchemeCredentials, SecurityScheme};
pub use contract::{ContractAnswer, ContractExchange, ContractSettings, ContractValue, ExpectedFacts};
pub use dialect::{
    DialectCount, DialectFilter, DialectItem, DialectMatch, DialectRequest, DialectResponse, DialectSettings,
    DialectSize, DialectSort, DialectTerms, EndWord, Quote, QuotedKind,
};
pub use envelope::{EnvelopeSettings, ErrorSettings};
pub use legacy::{AfterSunset, KnownBy, LegacyClient, LegacyLinks, LegacyPolicy, LegacySettings, Unmarked};
pub use list::{
    Budgets, CursorSettings, FieldSettings, ListSettings, Mode, OverMax, PageCacheSettings, PageSizeSettings,
    ParameterSettings, Role, SortTerm,
};
pub use openapi::{ItemSchema, OpenApiSettings};
pub use rate_limit::{BrownoutEffect, BrownoutSettings, QuotaSettings, RateLimitSettings};
pub use services::{
    BulkSettings, ExportSettings, ExportStoreSettings, GraphqlSettings, IdempotencySettings, LiveInterval,
    LiveSettings, McpSettings, OfferedListSettings, PlaygroundSettings, PostgresSettings, ServiceSettings,
};
pub use store::{StoreKind, StoreSettings, StoreUser};
pub use tls::{ClientAuthorities, ClientCertificate, KeyPairSettings, ListenerTls, TlsVersion, UpstreamTls};
pub use webhooks::{
    EndpointPace, EventType, WatchSettings, WebhookClientSettings, WebhookEndpointSettings, WebhookSettings,
};

use super::{diagnostic::Located, key::words, redacted::RedactedConfiguration, secret::Secret};

/// A configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    pub server: ServerSettings,
    /// At least one.
    pub listeners: Vec<ListenerSettings>,
    pub admin: Option<AdminSettings>,
    pub log: LogSettings,
    /// `None` without traces.
    pub traces: Option<TraceSettings>,
    /// Present if any route paginates.
    pub cursor: Option<CursorKeySettings>,
    pub caches: CacheSettings,
    pub api: ApiSettings,
    pub services: ServiceSettings,
    pub upstreams: Vec<UpstreamSettings>,
    /// In the order of the file.
    pub routes: Vec<RouteSettings>,
    /// The dialects of the file itself, whether a route uses them or not.
    pub own_dialects: Vec<DialectSettings>,
    /// The envelopes of the file itself, whether a route uses them or not.
    pub own_envelopes: Vec<EnvelopeSettings>,
    /// The configuration as it was written, without its secrets.
    pub written: RedactedConfiguration,
}

impl Settings {
    /// Returns the configuration without the files of certificates, for checks where they are not available: listeners
    /// are without TLS, and clients trust the system's authorities and have no certificate.
    #[must_use]
    pub fn without_certificates(&self) -> Self {
        let mut settings = self.clone();
        settings.listeners.iter_mut().for_each(|listener| listener.tls = None);
        let store = settings.caches.shared.iter_mut().filter_map(|store| store.tls.as_mut());
        let exports = settings.services.exports.as_mut().and_then(|exports| match &mut exports.store {
            ExportStoreSettings::Postgres(postgres) => postgres.tls.as_mut(),
            ExportStoreSettings::Directory(_) => None,
        });
        let upstreams = settings.upstreams.iter_mut().filter_map(|upstream| upstream.tls.as_mut());
        for tls in upstreams.chain(store).chain(exports) {
            (tls.ca, tls.pair) = (None, None);
        }
        if let Some(webhooks) = &mut settings.services.webhooks {
            webhooks.ca = None;
        }
        settings
    }
}

/// `[server]`.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// Without a final slash.
    pub public_url: Option<String>,
    pub problem_types: Option<String>,
    pub trusted_proxies: Vec<Network>,
    pub forwarded_headers: Vec<http::HeaderName>,
    pub client_subject: Option<http::HeaderName>,
    pub threads: usize,
    /// In bytes.
    pub head_size: usize,
    /// In bytes; `None` for half of the memory that the process may use.
    pub memory: Option<usize>,
    pub head_timeout: Duration,
    /// `None` for the default number, or as many as the limit of open files permits.
    pub connections: Option<usize>,
    /// `None` for half of the connections.
    pub connections_per_address: Option<usize>,
    pub idle_timeout: Duration,
    pub drain_delay: Duration,
    pub shutdown_timeout: Duration,
    pub reuse_port: bool,
    pub reload_on_change: bool,
    pub streams_per_connection: u32,
    pub compression: CompressionSettings,
}

/// `server.compression` and `server.compression_size`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompressionSettings {
    /// In order of preference; empty if responses are not compressed.
    pub codings: Vec<ContentCoding>,
    /// In bytes.
    pub least: usize,
}

words! {
    /// A content coding (RFC 9110 section 8.4.1).
    pub enum ContentCoding {
        /// RFC 8878, at level 1.
        Zstd = "zstd",
        /// RFC 7932, at quality 3.
        Brotli = "br",
        /// RFC 1952, at level 4.
        Gzip = "gzip",
    }
}

impl ServerSettings {
    /// Returns the headers in which trusted proxies name the host of the client's request; none without trusted
    /// proxies.
    pub fn host_headers(&self) -> impl Iterator<Item = &http::HeaderName> {
        let names = ["forwarded", "x-forwarded-host", "host"];
        let vouched = self.forwarded_headers.iter().filter(move |name| names.contains(&name.as_str()));
        vouched.filter(|_| !self.trusted_proxies.is_empty())
    }
}

/// A network: all addresses with a prefix, such as `10.20.0.0/16`.
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

/// The address that stands for clients of Unix sockets; no packet has it as its source. Configurations write it as
/// "unix".
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
    /// Returns the address and the port; `None` for a Unix socket.
    #[must_use]
    pub fn ip(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            Self::Unix { .. } => None,
        }
    }

    /// Returns whether both are the same IP address and port, or the same path. Permissions are not compared.
    #[must_use]
    pub fn is_same_place(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Ip(one), Self::Ip(other)) => one == other,
            (Self::Unix { path: one, .. }, Self::Unix { path: other, .. }) => one == other,
            _ => false,
        }
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

/// `[listeners.NAME]`.
#[derive(Debug, Clone)]
pub struct ListenerSettings {
    pub name: String,
    pub address: ListenAddress,
    /// The networks of proxies whose connections begin with a PROXY protocol header; empty without that protocol.
    pub proxy_protocol: Vec<Network>,
    pub http2: bool,
    pub tls: Option<ListenerTls>,
}

/// `[admin]`.
#[derive(Debug, Clone)]
pub struct AdminSettings {
    pub address: SocketAddr,
    /// In lower case.
    pub hosts: Vec<String>,
    pub token: Option<Secret>,
    /// The key that signs permits for explanations.
    pub explain_key: Option<Secret>,
}

/// `[log]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogSettings {
    pub format: LogFormat,
    pub level: LogLevel,
    pub access: AccessLog,
}

/// `[traces]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceSettings {
    /// Index into [`Settings::upstreams`].
    pub upstream: usize,
    pub every: u32,
    pub service_name: String,
}

words! {
    /// The format of the log.
    pub enum LogFormat {
        /// As a JSON object.
        Json = "json",
        /// As text, for people.
        Text = "text",
    }
}

words! {
    /// The least severe level that is logged.
    pub enum LogLevel {
        /// Failures of the gateway itself.
        Error = "error",
        /// And what an operator should look at.
        Warn = "warn",
        /// And changes of the process: its start, reloads, its end.
        Info = "info",
        /// And one line for each request to an upstream: path, names of parameters, status and time.
        Debug = "debug",
    }
}

words! {
    /// The requests in the access log.
    pub enum AccessLog {
        /// Each request.
        All = "all",
        /// Those that failed: the lines at WARN and ERROR.
        Errors = "errors",
        /// None.
        Off = "off",
    }
}

/// `[cursor]`.
#[derive(Clone, Debug)]
pub struct CursorKeySettings {
    pub signing_key: u32,
    /// All keys with their numbers. Each key has at least 32 bytes.
    pub keys: Vec<(u32, Secret)>,
}

/// `[caches]`.
#[derive(Debug, Clone)]
pub struct CacheSettings {
    pub pivots: PivotCacheSettings,
    /// The size of `caches.pages`, in bytes.
    pub pages: usize,
    pub shared: Option<StoreSettings>,
}

/// `caches.pivots`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PivotCacheSettings {
    /// In bytes.
    pub size: usize,
    pub ttl: Duration,
}

/// `[upstreams.NAME]`.
#[derive(Clone, Debug)]
pub struct UpstreamSettings {
    pub name: String,
    /// The host and port of each peer; at least one.
    pub peers: Vec<Located<String>>,
    /// The DNS servers; empty for those of the system.
    pub resolvers: Vec<SocketAddr>,
    pub balance: Balance,
    pub balance_headers: Vec<http::HeaderName>,
    pub health_check: Option<HealthCheckSettings>,
    /// The number of failures after which a peer is skipped; 0 for never.
    pub eject_after: u32,
    pub retries: RetrySettings,
    pub host_header: Option<String>,
    /// Without a final slash; empty if there is none.
    pub base_path: String,
    pub ignores_case: bool,
    pub tls: Option<UpstreamTls>,
    pub http2: bool,
    pub headers: Vec<(http::HeaderName, Secret)>,
    pub timeouts: Timeouts,
    pub connections: usize,
    pub compression: UpstreamCompression,
}

words! {
    /// The choice of a peer.
    pub enum Balance {
        /// The healthy peers in turn.
        RoundRobin = "round-robin",
        /// The healthy peer with the fewest requests in flight.
        LeastRequests = "least-requests",
        /// The same healthy peer for the same values of `balance_headers`. If a peer falls out, its clients alone move.
        Hash = "hash",
    }
}

/// `health_check` of an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheckSettings {
    pub path: String,
    pub interval: Duration,
    pub timeout: Duration,
    pub unhealthy_after: u32,
    pub healthy_after: u32,
}

/// `retries` of an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetrySettings {
    pub most: u32,
    /// In percent.
    pub share: u32,
    pub pause: Duration,
    pub longest_pause: Duration,
    pub longest_retry_after: Duration,
}

words! {
    /// The requests for which an upstream may compress its answers.
    pub enum UpstreamCompression {
        /// Those to an upstream with a peer on another machine: a host other than localhost and loopback addresses.
        Remote = "remote",
        /// All.
        Always = "always",
        /// None.
        Never = "never",
    }
}

/// `timeouts` of an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    pub connect: Duration,
    pub first_byte: Duration,
    pub whole: Duration,
}

/// `cors` of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorsSettings {
    /// At least one origin, in lower case; "*" alone for all.
    pub origins: Vec<String>,
    /// Never true together with "*".
    pub credentials: bool,
    pub max_age: Duration,
}

words! {
    /// The behaviour of a route.
    pub enum Action {
        /// Serves the list by cursor.
        Paginate = "paginate",
        /// Passes everything through, and counts whether the upstream's answers could have been served. Nothing changes
        /// for clients; /metrics (cursorgate_observed_total) and the log say what serving the list would meet.
        Observe = "observe",
        /// Passes everything through.
        Forward = "forward",
    }
}

/// `methods` of a route. Requests with other methods are forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Methods {
    /// GET, and HEAD with it.
    pub get: bool,
    pub post: bool,
}

impl Methods {
    /// Returns whether a request with this method is one for the list. HEAD is taken with GET.
    #[must_use]
    pub fn take(self, method: &http::Method) -> bool {
        match *method {
            http::Method::GET | http::Method::HEAD => self.get,
            http::Method::POST => self.post,
            _ => false,
        }
    }
}

/// `[routes.NAME]`, with its defaults merged in.
#[derive(Clone, Debug)]
pub struct RouteSettings {
    /// A part of every cursor of the route.
    pub name: Located<String>,
    /// In lower case, without port; empty for all.
    pub hosts: Vec<String>,
    /// Such as `/api/users/{user}/orders` or `/{*rest}`.
    pub path: Located<String>,
    /// Index into [`Settings::upstreams`].
    pub upstream: usize,
    pub methods: Methods,
    pub upstream_path: Option<Located<String>>,
    /// Without a final slash.
    pub public_url: Option<String>,
    pub concurrency: Option<ConcurrencySettings>,
    pub rate_limit: RateLimitSettings,
    pub cors: Option<CorsSettings>,
    /// `legacy.links`; if `None`, links are rewritten if the upstream has a `host_header`.
    pub legacy_links: Option<Located<LegacyLinks>>,
    /// `None` for a route that only forwards.
    pub list: Option<Box<ListSettings>>,
    /// Present if the list is observed: the upstream's answers are passed on and read, and no pages are served. `None`
    /// without a `list`.
    pub observe: Option<ObserveSettings>,
    pub openapi: Option<OpenApiSettings>,
}

/// The source of the host in the links of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkOrigin<'s> {
    /// `public_url` of the route or the server.
    PublicUrl(&'s str),
    /// The hosts of the route, unless a trusted proxy names another.
    Hosts(&'s [String]),
    /// The headers of trusted proxies. Links in answers to direct clients are relative.
    Proxies,
    /// Links are relative.
    Unknown,
}

impl RouteSettings {
    /// Returns whether the links of the upstream to itself are rewritten in answers that pass through.
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

/// `concurrency` of a route, with the headers by which its clients are told apart. At least one limit is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConcurrencySettings {
    pub requests: Option<usize>,
    pub per_client: Option<usize>,
    pub principal: Vec<http::HeaderName>,
}

/// `observe` of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObserveSettings {
    pub every: u32,
}
