//! What a configuration means: every value checked, typed, with its unit, and with its place in the file where something
//! compiled later may still find fault with it. Names are resolved, defaults merged, `extends` followed.

mod dialect;
mod envelope;

use std::{net::SocketAddr, time::Duration};

pub use dialect::{DialectMatch, DialectRequest, DialectResponse, DialectSettings, DialectSize, DialectSort, EndWord};
pub use envelope::EnvelopeSettings;

use super::{diagnostic::Located, secret::Secret};
use crate::pagination::{
    order::{Direction, Kind, Nulls, Ties},
    resolver::{ShortPages, WhenUnproven},
};

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
    /// Networks from which `X-Forwarded-*` is believed.
    pub trusted_proxies: Vec<Network>,
    /// Worker threads; the number of cores where it is not said.
    pub threads: usize,
    /// The largest request head, in bytes.
    pub head_size: usize,
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
}

/// `[log]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogSettings {
    /// JSON lines or text.
    pub format: LogFormat,
    /// The least severe level that is written.
    pub level: LogLevel,
}

/// `log.format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// `log.level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// `error`
    Error,
    /// `warn`
    Warn,
    /// `info`
    Info,
    /// `debug`
    Debug,
}

/// `[cursor]`.
#[derive(Debug)]
pub struct CursorKeySettings {
    /// The id of the key that signs.
    pub signing_key: u32,
    /// All keys, by id; each at least 32 bytes.
    pub keys: Vec<(u32, Secret)>,
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
    /// TLS towards it.
    pub tls: Option<UpstreamTls>,
    /// Headers added to every request; values may be secrets.
    pub headers: Vec<(http::HeaderName, Secret)>,
    /// Deadlines.
    pub timeouts: Timeouts,
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
    /// From the request's end until the first byte of the answer; 10 s.
    pub first_byte: Duration,
    /// The whole fetch; 15 s.
    pub whole: Duration,
}

/// What a route does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Serves its list by cursor.
    Paginate,
    /// Passes everything through.
    Forward,
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
    /// The path asked upstream: `{path}` is the client's path, other names are the path's parameters; `{path}` where it
    /// is not said.
    pub upstream_path: Option<Located<String>>,
    /// What links begin with, instead of the server's.
    pub public_url: Option<String>,
    /// Only forwarded, or with everything that serving a list needs.
    pub list: Option<Box<ListSettings>>,
}

/// What serving a list needs.
#[derive(Debug)]
pub struct ListSettings {
    /// How the upstream is asked and read, with `extends` followed.
    pub dialect: DialectSettings,
    /// What clients get.
    pub envelope: EnvelopeSettings,
    /// The collection's name: said, or the last fixed segment of the path.
    pub collection: String,
    /// The strong keys of the declared order, in sequence, without the id.
    pub order: Vec<Located<SortTerm>>,
    /// Which way the id runs: the last term of `order`.
    pub id_direction: Direction,
    /// The place of the id in an element, as the route says it instead of the dialect.
    pub id: Option<Located<String>>,
    /// Whether ties are ordered, where the route says it.
    pub ties: Option<Ties>,
    /// What is known of fields.
    pub fields: Vec<FieldSettings>,
    /// Fields that this endpoint can sort by; `id` is the item's id.
    pub sortable: Vec<Located<String>>,
    /// What is done where a page can't be proven.
    pub unproven: WhenUnproven,
    /// What is done where a page can't be filled.
    pub short_pages: ShortPages,
    /// The limits of clients.
    pub page_size: PageSizeSettings,
    /// Whether totals are passed on.
    pub total: TotalPolicy,
    /// Headers that say whose view an answer is; lower case.
    pub principal: Vec<http::HeaderName>,
    /// How cursors are made.
    pub cursor: CursorSettings,
    /// What the client's parameters are called, where not as the envelope says, and how others are treated.
    pub parameters: ParameterSettings,
    /// What becomes of requests by page or offset.
    pub legacy: LegacySettings,
    /// Bounds.
    pub budgets: Budgets,
}

/// One term of an order or a sort.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortTerm {
    /// The field, or `id`.
    pub field: String,
    /// Which way.
    pub direction: Direction,
}

/// `fields.NAME`.
#[derive(Debug, Clone)]
pub struct FieldSettings {
    /// Its name.
    pub name: String,
    /// How its values compare.
    pub kind: Kind,
    /// Where nulls stand.
    pub nulls: Nulls,
    /// Its place in an element; `/NAME` where it is not said.
    pub at: Option<Located<String>>,
    /// What the upstream's sort calls it, where that is another name.
    pub upstream: Option<String>,
}

/// `page_size`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageSizeSettings {
    /// The limit where the client says none; 20.
    pub default: u32,
    /// The largest limit; 100.
    pub max: u32,
    /// What becomes of larger ones, where the route says it instead of the envelope.
    pub over_max: Option<OverMax>,
}

/// `over_max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverMax {
    /// Lowered.
    Clamp,
    /// Refused with `limit_too_large`.
    Reject,
}

/// `total` of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TotalPolicy {
    /// The upstream's, where it says one.
    Upstream,
    /// None.
    Omit,
}

/// `cursor` of a route.
#[derive(Debug, Clone)]
pub struct CursorSettings {
    /// How long cursors live; for ever where it is not said.
    pub ttl: Option<Duration>,
    /// Request headers that a cursor is bound to.
    pub bind: Vec<http::HeaderName>,
    /// The longest cursor minted and accepted, in characters; 2,048.
    pub length: usize,
}

/// `parameters` of a route. Names are as decoded.
#[derive(Debug, Clone, Default)]
pub struct ParameterSettings {
    /// Renamed roles, as `limit = "count"`.
    pub renamed: Vec<(Role, Located<String>)>,
    /// Forwarded, and in no link, log or context.
    pub private: Vec<String>,
    /// Forwarded, and no part of the context.
    pub ignored: Vec<String>,
}

/// What a client's parameter is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// How many items.
    Limit,
    /// How many items, read backward from the end or from `before`.
    LimitBackward,
    /// A page cursor.
    Cursor,
    /// After this item.
    After,
    /// Before this item.
    Before,
    /// The order.
    Sort,
}

/// `legacy` of a route.
#[derive(Debug, Clone, Default)]
pub struct LegacySettings {
    /// What becomes of requests with a paging parameter of the dialect; none set: 400.
    pub policy: Option<LegacyPolicy>,
    /// What a request with no paging parameter at all is.
    pub unmarked: Unmarked,
    /// Since when this is deprecated: seconds since 1970 (RFC 9745).
    pub deprecation: Option<i64>,
    /// Until when it works: seconds since 1970 (RFC 8594).
    pub sunset: Option<i64>,
    /// Where the change is explained.
    pub documentation: Option<String>,
}

/// `legacy.policy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LegacyPolicy {
    /// The upstream's answer, byte for byte.
    Passthrough,
    /// The page in the envelope.
    Translate,
    /// 410.
    Reject,
}

/// `legacy.unmarked`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unmarked {
    /// Served by cursor.
    #[default]
    New,
    /// Treated as the policy says.
    Legacy,
}

/// `budgets` of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budgets {
    /// The whole client request; 30 s.
    pub time: Duration,
    /// Upstream requests for one client request; 8.
    pub upstream_requests: u32,
    /// The largest upstream answer, decoded, in bytes; 10 MiB.
    pub answer_size: usize,
    /// How deep an answer may be nested; 128.
    pub answer_depth: u16,
    /// The longest `Link` line, in bytes; 4 KiB.
    pub link_length: usize,
}
