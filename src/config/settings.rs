//! What a configuration means: every value checked, typed, with its unit, and with its place in the file where something
//! compiled later may still find fault with it. Names are resolved, defaults merged, `extends` followed.

mod dialect;
mod envelope;
mod legacy;
mod list;
mod openapi;

use std::{net::SocketAddr, time::Duration};

pub use dialect::{
    DialectCount, DialectFilter, DialectItem, DialectMatch, DialectRequest, DialectResponse, DialectSettings,
    DialectSize, DialectSort, DialectTerms, EndWord, Quote, QuotedKind,
};
pub use envelope::{EnvelopeSettings, ErrorSettings};
pub use legacy::{AfterSunset, KnownBy, LegacyClient, LegacyPolicy, LegacySettings, Unmarked};
pub use list::{
    Budgets, CursorSettings, FieldSettings, ListSettings, Mode, OverMax, PageSizeSettings, ParameterSettings, Role,
    SortTerm,
};
pub use openapi::{ItemSchema, OpenApiSettings};

use super::{diagnostic::Located, key::words, secret::Secret};

/// A whole configuration.
#[derive(Debug)]
pub struct Settings {
    /// What holds for the process.
    pub server: ServerSettings,
    /// Where clients connect; at least one.
    pub listeners: Vec<ListenerSettings>,
    /// Where operators connect.
    pub admin: Option<AdminSettings>,
    /// How the log is written.
    pub log: LogSettings,
    /// The keys of cursors; there whenever a route paginates.
    pub cursor: Option<CursorKeySettings>,
    /// What is kept in memory.
    pub caches: CacheSettings,
    /// The upstreams that routes name.
    pub upstreams: Vec<UpstreamSettings>,
    /// The routes, in the order of the file.
    pub routes: Vec<RouteSettings>,
    /// The dialects that the file itself defines, whether a route uses them or not.
    pub own_dialects: Vec<DialectSettings>,
    /// The envelopes that the file itself defines, likewise.
    pub own_envelopes: Vec<EnvelopeSettings>,
}

/// `[server]`.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// Scheme and authority (and maybe a path) that links begin with, without a final slash.
    pub public_url: Option<String>,
    /// What problem types begin with; a code is appended.
    pub problem_types: Option<String>,
    /// Networks whose proxies are believed where a request came from.
    pub trusted_proxies: Vec<Network>,
    /// The headers by which these say it: all that they write themselves; lower case.
    pub forwarded_headers: Vec<http::HeaderName>,
    /// Worker threads; the number of cores where it is not said.
    pub threads: usize,
    /// The largest request head, in bytes.
    pub head_size: usize,
    /// How many bytes of bodies the process holds at once; half of its memory where the file does not say.
    pub memory: Option<usize>,
    /// How long it may take to come, from its first byte on; TLS may take as long.
    pub head_timeout: Duration,
    /// How many clients may be connected; as many as descriptors allow, up to a number, where it is not said.
    pub connections: Option<usize>,
    /// How many of them from one address; half of them where it is not said.
    pub connections_per_address: Option<usize>,
    /// How long a client's connection may wait for its next request.
    pub idle_timeout: Duration,
    /// How long new connections are still taken after the process was told to stop, so that balancers notice.
    pub drain_delay: Duration,
    /// How long requests in flight may take to finish at the end.
    pub shutdown_timeout: Duration,
}

/// An address prefix, `10.20.0.0/16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// The address; bits behind the prefix are zero.
    pub address: std::net::IpAddr,
    /// The length of the prefix in bits.
    pub prefix: u8,
}

/// `[listeners.NAME]`.
#[derive(Debug, Clone)]
pub struct ListenerSettings {
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// TLS, where it speaks it: the paths of PEM files.
    pub tls: Option<ListenerTls>,
}

/// `tls` of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerTls {
    /// Path of the certificate chain.
    pub certificate: String,
    /// Path of the private key.
    pub key: String,
}

/// `[admin]`.
#[derive(Debug, Clone)]
pub struct AdminSettings {
    /// Where it listens.
    pub address: SocketAddr,
    /// The names by which it may be asked, lower case, beside addresses and `localhost`.
    pub hosts: Vec<String>,
}

/// `[log]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogSettings {
    /// JSON lines or text.
    pub format: LogFormat,
    /// The least severe level that is written.
    pub level: LogLevel,
}

words! {
    /// How a line of the log is written.
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
        /// And one line for each request.
        Info = "info",
        /// And what a developer asks for.
        Debug = "debug",
    }
}

/// `[cursor]`.
#[derive(Debug)]
pub struct CursorKeySettings {
    /// The id of the key that signs.
    pub signing_key: u32,
    /// All keys, by id; each at least 32 bytes.
    pub keys: Vec<(u32, Secret)>,
}

/// `[caches]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheSettings {
    /// Keys of items, for routes whose cursors carry ids alone.
    pub pivots: PivotCacheSettings,
}

/// `caches.pivots`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PivotCacheSettings {
    /// How many bytes it may take; 64 MiB.
    pub size: usize,
    /// How long an item's keys are kept; 10 min.
    pub ttl: Duration,
}

/// `[upstreams.NAME]`.
#[derive(Debug)]
pub struct UpstreamSettings {
    /// Its name.
    pub name: String,
    /// `host:port` of each peer; at least one.
    pub peers: Vec<Located<String>>,
    /// What goes into `Host`; the client's own where it is not said.
    pub host_header: Option<String>,
    /// What every upstream path begins with, without a final slash; usually empty.
    pub base_path: String,
    /// `paths = "case-insensitive"`: its paths are the same in capitals and in small letters.
    pub ignores_case: bool,
    /// TLS towards it.
    pub tls: Option<UpstreamTls>,
    /// Headers added to every request; values may be secrets.
    pub headers: Vec<(http::HeaderName, Secret)>,
    /// Deadlines.
    pub timeouts: Timeouts,
    /// How many requests the upstream has at once; 1,024.
    pub connections: usize,
}

/// `tls` of an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamTls {
    /// The name that its certificate must have; the peer's host where it is not said.
    pub server_name: Option<String>,
    /// Path of a PEM file with the authorities to trust; the system's where it is not said.
    pub ca: Option<String>,
}

/// `timeouts` of an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the connection stands, TLS included; 1 s.
    pub connect: Duration,
    /// From the request's end until the head of the answer is whole, and of each silence within its body; 10 s.
    pub first_byte: Duration,
    /// The whole fetch; of what passes, what a body may take before its rate counts; 15 s.
    pub whole: Duration,
}

/// `cors` of a route: which scripts of other origins may read its answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorsSettings {
    /// Scheme, host and port as browsers send them; `*` alone for all. At least one.
    pub origins: Vec<String>,
    /// Whether they may send cookies and the like; never with `*`.
    pub credentials: bool,
    /// How long a browser may keep the answer to a preflight; 10 min.
    pub max_age: Duration,
}

words! {
    /// What a route does.
    pub enum Action {
        /// Serves the list by cursor.
        Paginate = "paginate",
        /// Passes everything through, and counts whether the upstream's answers could have been served. Nothing changes for
        /// clients; /metrics (cursorgate_observed_total) and the log say what serving the list would meet.
        Observe = "observe",
        /// Passes everything through.
        Forward = "forward",
    }
}

/// `methods` of a route: what its list is asked for by. All others are forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Methods {
    /// GET, and HEAD with it.
    pub get: bool,
    /// POST.
    pub post: bool,
}

impl Methods {
    /// Whether a list is answered by this method.
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
#[derive(Debug)]
pub struct RouteSettings {
    /// Its name: part of every cursor of the route.
    pub name: Located<String>,
    /// The hosts it answers for, lower case, without port; empty: all.
    pub hosts: Vec<String>,
    /// `/api/users/{user}/orders`, `/{*rest}`.
    pub path: Located<String>,
    /// Index into [`Settings::upstreams`].
    pub upstream: usize,
    /// What its list takes.
    pub methods: Methods,
    /// The path asked upstream: `{path}` is the client's path, other names are the path's parameters; `{path}` where it
    /// is not said.
    pub upstream_path: Option<Located<String>>,
    /// What links begin with, instead of the server's.
    pub public_url: Option<String>,
    /// Who may read it from another origin, where the gateway is to say so instead of the upstream.
    pub cors: Option<CorsSettings>,
    /// Only forwarded, or with everything that serving a list needs.
    pub list: Option<Box<ListSettings>>,
    /// The list is not served: the upstream's own answers pass, and are read. Only where there is a `list`.
    pub observe: Option<ObserveSettings>,
    /// The upstream's own description, where the route names it.
    pub openapi: Option<OpenApiSettings>,
}

/// `observe` of a route whose action is that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObserveSettings {
    /// Of so many answers one is read; 1.
    pub every: u32,
}
