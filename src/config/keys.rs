//! The closed list of what may be written in a configuration file. Keys of parts that this version does not have are
//! known, so that they are said to be so instead of being unknown. `config/cursorgate.toml` explains each key.

mod dialect;
mod envelope;
mod route;

pub(super) use dialect::DIALECT;
pub(super) use envelope::ENVELOPE;
pub(super) use route::ROUTE;

use super::{
    form::{Form, Form::*, Key},
    syntax,
    units::{DURATION, SIZE},
};

const fn key(name: &'static str, form: Form) -> Key {
    Key { name, form }
}

const fn duration(least: &'static str, most: &'static str) -> Form {
    Quantity(&DURATION, least, most)
}

const fn size(least: &'static str, most: &'static str) -> Form {
    Quantity(&SIZE, least, most)
}

/// A whole file.
pub(super) static FILE: Form = Table(&[
    key("version", Count(1, 1)),
    key("server", SERVER),
    key("listeners", Named(&LISTENER, "write [listeners.NAME]")),
    key("admin", ADMIN),
    key("log", LOG),
    key("cursor", CURSOR),
    key("caches", CACHES),
    key("telemetry", Later("metrics and traces")),
    key("defaults", Table(ROUTE)),
    key("upstreams", Named(&UPSTREAM, "write [upstreams.NAME]; routes name it")),
    key("routes", Named(&Table(ROUTE), "write [routes.NAME]; the name is part of every cursor of the route")),
    key("dialects", Named(&Table(DIALECT), "write [dialects.NAME]; routes name it")),
    key("envelopes", Named(&Table(ENVELOPE), "write [envelopes.NAME]; routes name it")),
]);

const SERVER: Form = Table(&[
    key("public_url", Text(syntax::base_url)),
    key("problem_types", Text(syntax::uri)),
    key("trusted_proxies", List(&Text(syntax::network))),
    key("forwarded_headers", List(&Text(syntax::header_name))),
    key("threads", Count(1, 1_024)),
    key("head_size", size("1KiB", "1MiB")),
    key("memory", size("8MiB", "1024GiB")),
    key("head_timeout", duration("1s", "5m")),
    key("connections", Count(1, 1_000_000)),
    key("connections_per_address", Count(1, 1_000_000)),
    key("idle_timeout", duration("1s", "1h")),
    key("drain_delay", duration("0s", "10m")),
    key("shutdown_timeout", duration("0s", "1h")),
]);

const LISTENER: Form = Table(&[
    key("address", Text(syntax::address)),
    key("tls", Table(&[key("certificate", Text(syntax::name)), key("key", Secret)])),
]);

const ADMIN: Form = Table(&[
    key("address", Text(syntax::address)),
    key("hosts", List(&Text(syntax::host))),
    key("token", Later("the admin API")),
]);

const LOG: Form =
    Table(&[key("format", Word(&["json", "text"], &[])), key("level", Word(&["error", "warn", "info", "debug"], &[]))]);

const CACHES: Form = Table(&[
    key("pivots", Table(&[key("size", size("64KiB", "64GiB")), key("ttl", duration("1s", "30d"))])),
    key("pages", Later("the page cache")),
    key("shared", Later("caches that replicas share")),
]);

const CURSOR: Form = Table(&[
    key("signing_key", Count(0, u32::MAX as u64)),
    key("keys", Named(&Secret, "write keys = { 1 = \"env:NAME\" }; the number is in every cursor")),
    key("ttl", TTL),
    key("sealed", Boolean),
]);

/// How long cursors live.
const TTL: Form = duration("1s", "3650d");

const UPSTREAM: Form = Table(&[
    key("peers", List(&Text(syntax::peer))),
    key("balance", Later("the choice of how peers are balanced")),
    key("host_header", Text(syntax::host_header)),
    key("base_path", Text(syntax::base_path)),
    key("paths", Word(&["case-sensitive", "case-insensitive"], &[])),
    key(
        "tls",
        Table(&[
            key("server_name", Text(syntax::host)),
            key("ca", Text(syntax::name)),
            key("certificate", Later("client certificates")),
            key("key", Later("client certificates")),
        ]),
    ),
    key("headers", SentHeaders),
    key("health_check", Later("health checks")),
    key(
        "timeouts",
        Table(&[
            key("connect", duration("1ms", "1h")),
            key("first_byte", duration("1ms", "1h")),
            key("whole", duration("1ms", "1h")),
        ]),
    ),
    key("connections", Count(1, 100_000)),
    key("retries", Later("retries")),
    key("origins", Later("the rewriting of links in items")),
    key("defaults", Table(ROUTE)),
]);
