//! Every key of the configuration, each defined in one place. The documentation comments are what operators read in the
//! reference file, in the JSON Schema and from `cursorgate reference KEY`.

// Brackets name tables of the configuration there.
#![allow(rustdoc::broken_intra_doc_links)]

mod contract;
mod dialect;
mod envelope;
mod examples;
mod legacy;
mod list;
mod openapi;
mod postgres;
mod rate_limit;
mod route;
mod server;
mod services;
mod store;
mod upstream;
mod webhooks;

pub(super) use contract::{CONTRACT, EXCHANGE, EXCHANGE_ANSWER};
pub(super) use dialect::{
    COUNT, CountMethod, DIALECT, FILTER, ITEM, MATCH, QUOTE, REQUEST, RESPONSE, RequestMethod, SIZE, SORT, TERMS,
};
pub(super) use envelope::{ENVELOPE, EmptyCursor, PARAMETERS, ZeroLimit};
pub(super) use legacy::{ClientShown, LEGACY, LEGACY_CLIENT};
pub(super) use list::{BUDGETS, CURSOR, ErrorForm, FIELD, FieldType, PAGE_SIZE, ROUTE_PARAMETERS};
pub(super) use openapi::{API, FLOW, FLOWS, SECURITY_SCHEME, SecurityKind};
pub(super) use postgres::POSTGRES;
pub(super) use rate_limit::{BROWNOUT, BrownoutAnswer, LEGACY_RATE_LIMIT, RATE_LIMIT};
pub(super) use route::{CONCURRENCY, CORS, ListMethod, OBSERVE, OPENAPI, PAGE_CACHE, ROUTE};
pub(super) use server::{
    ADMIN, CACHES, CURSOR_KEYS, LISTENER, LISTENER_CERTIFICATE, LISTENER_CLIENTS, LISTENER_TLS, LOG, PAGES, PIVOTS,
    SERVER, TRACES,
};
pub(super) use services::{BULK, EXPORTS, GRAPHQL, IDEMPOTENCY, LIVE, LIVE_INTERVAL, MCP, PLAYGROUND, SERVICES};
pub(super) use store::STORE;
pub(super) use upstream::{HEALTH_CHECK, PathCase, RETRIES, TIMEOUTS, UPSTREAM, UPSTREAM_TLS};
pub(super) use webhooks::{WEBHOOK_CLIENTS, WEBHOOK_ENDPOINT, WEBHOOK_WATCH, WEBHOOKS};

use super::{
    diagnostic::Located,
    key::{
        Defaulted, Key,
        Literal::{Count, Texts},
        count, named_tables, sub_table, table, texts,
    },
    schema::Schema,
    spanned::Spanned,
    syntax,
};

table! {
    /// A configuration file.
    FILE: FileKeys {
        /// The version of this format.
        version: Defaulted<u32> => count(1, 1).default(Count(1));

        /// Files with further upstreams, routes, dialects and envelopes: "routes/people.toml", "routes/*.toml", or a folder, of
        /// which all files are read whose names end in `.toml`. Relative paths, also within included files, begin at the folder
        /// of the file that they are written in. A name is defined once in all files; included files include no others.
        include: Defaulted<Vec<Located<String>>> => texts(&Schema::Text(syntax::include)).default(Texts(&[]));

        /// The process as a whole.
        server: Key<Spanned> => sub_table(server::ServerKeys::KEYS).section();

        /// The addresses at which clients connect. Without any there is one, `public`, at 127.0.0.1:8080, or in a container
        /// at 0.0.0.0:8080. `--listen` or CURSORGATE_LISTEN takes the place of the address of the only one.
        listeners: Key<Spanned> =>
            named_tables(&Schema::Table(server::ListenerKeys::KEYS), "write [listeners.NAME]").named("public", "");

        /// The address at which operators connect, or `--admin` or CURSORGATE_ADMIN; without any there is none. The operator's
        /// page is at its root; docs/operators-page.md lists the reports. `cursorgate health` asks it for /healthz.
        admin: Key<Spanned> => sub_table(server::AdminKeys::KEYS).section();

        /// The log, on standard error.
        log: Key<Spanned> => sub_table(server::LogKeys::KEYS).section();

        /// Traces, exported by OTLP over HTTP (protobuf). Without this table there are none, and `traceparent` passes as it came.
        /// With it the gateway is a part of each trace: upstreams get a `traceparent` of its own spans, and that of clients
        /// that are no trusted proxies is replaced.
        traces: Key<Spanned> => sub_table(server::TracesKeys::KEYS).optional_section();

        /// The keys of cursors, required if any route serves a list.
        cursor: Key<Spanned> => sub_table(server::CursorKeysKeys::KEYS).section();

        /// Caches in memory, and the store that several processes share.
        caches: Key<Spanned> => sub_table(server::CachesKeys::KEYS).section();

        /// The API as `cursorgate openapi` and the clients of `cursorgate sdk` name it. docs/clients.md is about both.
        openapi: Key<Spanned> => sub_table(openapi::ApiKeys::KEYS).section();
        /// Services of the gateway itself. Each is off until its table is there.
        services: Key<Spanned> => sub_table(services::ServicesKeys::KEYS).section();

        /// Any key of a route, for all routes. A key of a route wins over `defaults` of its upstream, and these win over
        /// this table. Tables merge key by key; lists are replaced.
        defaults: Key<Spanned> => sub_table(route::RouteKeys::KEYS).excerpt("methods = [\"GET\", \"HEAD\"]");

        /// The services that requests are sent to.
        upstreams: Key<Spanned> => named_tables(
            &Schema::Table(upstream::UpstreamKeys::KEYS),
            "write [upstreams.NAME]; routes name it",
        ).named("people", "");

        /// The paths that are answered. The most specific route answers a request: one with a host before one without,
        /// fixed segments before parameters, longer paths before shorter ones. A path matches with and without a final
        /// slash. The name of a route is part of each of its cursors.
        routes: Key<Spanned> => named_tables(
            &Schema::Table(route::RouteKeys::KEYS),
            "write [routes.NAME]; the name is part of every cursor of the route",
        ).named("users", examples::ROUTES);

        /// Dialects of your own: how a kind of upstream is asked and how its answers are read. Most extend a built-in one
        /// and say what differs; `cursorgate dialects` shows the built-in ones.
        dialects: Key<Spanned> => named_tables(
            &Schema::Table(dialect::DialectKeys::KEYS),
            "write [dialects.NAME]; routes name it",
        ).named("invoices", examples::DIALECTS);

        /// Envelopes of your own: what clients send and receive. Bodies are JSON with placeholders.
        envelopes: Key<Spanned> => named_tables(
            &Schema::Table(envelope::EnvelopeKeys::KEYS),
            "write [envelopes.NAME]; routes name it",
        ).named("house", examples::ENVELOPES);
    }
}

/// The schema of a file.
pub(super) const FILE_SCHEMA: Schema = Schema::Table(FileKeys::KEYS);

/// The schema of a dialect, also of one in a file of its own.
pub(super) const DIALECT_SCHEMA: Schema = Schema::Table(dialect::DialectKeys::KEYS);

/// The schema of an envelope, also of one in a file of its own.
pub(super) const ENVELOPE_SCHEMA: Schema = Schema::Table(envelope::EnvelopeKeys::KEYS);

/// The schema of a contract.
pub(super) const CONTRACT_SCHEMA: Schema = Schema::Table(contract::ContractKeys::KEYS);
