//! Every key of the configuration, each defined in one place. Operators read the documentation comments in the
//! reference file, in the JSON Schema and in the output of `cursorgate reference KEY`.

// Brackets are names of tables of the configuration here, and not links to items.
#![allow(rustdoc::broken_intra_doc_links)]

mod contract;
pub(super) mod dialect;
pub(super) mod envelope;
mod examples;
pub(super) mod jobs;
pub(super) mod legacy;
pub(super) mod list;
pub(super) mod objects;
pub(super) mod openapi;
pub(super) mod postgres;
mod rate_limit;
pub(super) mod route;
pub(super) mod server;
pub(super) mod services;
pub(super) mod store;
pub(super) mod upstream;
pub(super) mod webhooks;

pub(super) use contract::{CONTRACT, EXCHANGE, EXCHANGE_ANSWER};
pub(super) use dialect::{COUNT, DIALECT, FILTER, HiddenWord, ITEM, QUOTE, REQUEST, RESPONSE, SORT};
pub(super) use envelope::{ENVELOPE, PARAMETERS};
pub(super) use jobs::{JOB_QUEUE, JOBS};
pub(super) use legacy::{ClientShown, LEGACY, LEGACY_CLIENT, NEW_CLIENTS};
pub(super) use list::{BUDGETS, CURSOR, ErrorForm, FIELD, FieldType, PAGE_SIZE, ROUTE_PARAMETERS};
pub(super) use objects::OBJECTS;
pub(super) use openapi::{API, FLOW, FLOWS, SECURITY_SCHEME, SecurityKind};
pub(super) use postgres::POSTGRES;
pub(super) use rate_limit::{BROWNOUT, BrownoutAnswer, LEGACY_RATE_LIMIT, RATE_LIMIT};
pub(super) use route::{CORS, CorsKeys, ListMethod, OPENAPI, PAGE_CACHE, ROUTE};
pub(super) use server::{
    ADMIN, CACHES, CURSOR_KEYS, IDENTITY_ANSWER, LISTENER, LISTENER_CERTIFICATE, LISTENER_CLIENTS, LISTENER_TLS,
    SERVER, TOKENS, TRACES,
};
pub(super) use services::{BULK, DETECTOR, EXPORTS, GRAPHQL, LIVE, LIVE_INTERVAL, MCP, PUBLIC_CONTRACT, SERVICES};
pub(super) use store::STORE;
pub(super) use upstream::{HEALTH_CHECK, RETRIES, TIMEOUTS, UPSTREAM, UPSTREAM_TLS};
pub(super) use webhooks::{WEBHOOK_CLIENTS, WEBHOOK_EMIT, WEBHOOK_ENDPOINT, WEBHOOK_TYPE, WEBHOOK_WATCH, WEBHOOKS};

use super::{
    diagnostic::Located,
    key::{
        Defaulted, Key,
        Literal::{Count, Texts},
        count, named_tables, sub_table, table, text, texts,
    },
    schema::Schema,
    spanned::Spanned,
    syntax,
};

table! {
    /// The keys of a configuration file.
    FILE: FileKeys {
        /// The version of the configuration's format.
        version: Defaulted<u32> => count(1, 1).default(Count(1));

        /// Files with further upstreams, routes, dialects and envelopes: a file ("routes/people.toml"), a pattern
        /// ("routes/*.toml"), or a folder, whose `.toml` files are read. See docs/configuration.md.
        include: Defaulted<Vec<Located<String>>> => texts(&Schema::Text(syntax::include)).default(Texts(&[]));

        /// What requests get whose path no route covers: "refuse" is 404; the name of an upstream passes them on to it
        /// unchanged. Default: the upstream, if there is only one beside that of `services.exports.objects`. With several
        /// upstreams, or if the only one gets `headers` or a client certificate from the gateway, this key is required,
        /// unless a route covers all paths.
        other_paths: Key<String> => text(syntax::name).example(r#""refuse""#);

        /// Settings of the whole process.
        server: Key<Spanned> => sub_table(server::ServerKeys::KEYS).section();

        /// The addresses at which clients connect. Without this table there is one listener, `public`, at
        /// 127.0.0.1:8080, or in a container at 0.0.0.0:8080. If there is only one listener, `--listen` or
        /// CURSORGATE_LISTEN replaces its address.
        listeners: Key<Spanned> =>
            named_tables(&Schema::Table(server::ListenerKeys::KEYS), "write [listeners.NAME]").named("public", "");

        /// The address at which operators connect. `--admin` or CURSORGATE_ADMIN replaces it; without any of these
        /// there is no admin listener. The operator's page is at its root; docs/operators-page.md lists the reports.
        admin: Key<Spanned> => sub_table(server::AdminKeys::KEYS).section();

        /// The log, which is written to standard error.
        log: Key<Spanned> => sub_table(server::LogKeys::KEYS).section();

        /// Traces, exported by OTLP over HTTP (protobuf). Without this table `traceparent` passes unchanged.
        traces: Key<Spanned> => sub_table(server::TracesKeys::KEYS).optional_section();

        /// The keys of cursors. This table is required if a route serves a list.
        cursor: Key<Spanned> => sub_table(server::CursorKeysKeys::KEYS).section();

        /// Caches in memory, and the store that several processes share.
        caches: Key<Spanned> => sub_table(server::CachesKeys::KEYS).section();

        /// The name, the servers and the credentials of the API, for `cursorgate openapi` and the clients of
        /// `cursorgate sdk`. See docs/clients.md.
        openapi: Key<Spanned> => sub_table(openapi::ApiKeys::KEYS).section();
        /// Services of the gateway itself. Each service is off until the configuration has its table.
        services: Key<Spanned> => sub_table(services::ServicesKeys::KEYS).section();

        /// Defaults for all routes: any key of a route. A key in `defaults` of an upstream takes precedence over this
        /// table, and a key in the route itself over both. Tables are merged key by key; lists are replaced as a whole.
        defaults: Key<Spanned> => sub_table(route::RouteKeys::KEYS).excerpt("old_clients = \"pass\"");

        /// The services to which requests are sent.
        upstreams: Key<Spanned> => named_tables(
            &Schema::Table(upstream::UpstreamKeys::KEYS),
            "write [upstreams.NAME]; routes name it",
        ).named("people", "");

        /// The paths that are answered. If several routes match a request, the most specific one answers it: a route
        /// with a host before one without, fixed segments before parameters, and longer paths before shorter ones. A
        /// path matches with and without a final slash.
        routes: Key<Spanned> => named_tables(
            &Schema::Table(route::RouteKeys::KEYS),
            "write [routes.NAME]; the name is part of every cursor of the route",
        ).named("users", examples::ROUTES);

        /// Dialects of your own. Most extend a built-in one; `cursorgate dialects` shows these.
        dialects: Key<Spanned> => named_tables(
            &Schema::Table(dialect::DialectKeys::KEYS),
            "write [dialects.NAME]; routes name it",
        ).named("invoices", examples::DIALECTS);

        /// Envelopes of your own. An envelope describes the requests and answers of clients. Bodies are JSON with
        /// placeholders.
        envelopes: Key<Spanned> => named_tables(
            &Schema::Table(envelope::EnvelopeKeys::KEYS),
            "write [envelopes.NAME]; routes name it",
        ).named("house", examples::ENVELOPES);
    }
}

/// The schema of a configuration file.
pub(super) const FILE_SCHEMA: Schema = Schema::Table(FileKeys::KEYS);

/// The schema of a dialect: a table `[dialects.NAME]`, or a file of its own.
pub(super) const DIALECT_SCHEMA: Schema = Schema::Table(dialect::DialectKeys::KEYS);

/// The schema of an envelope: a table `[envelopes.NAME]`, or a file of its own.
pub(super) const ENVELOPE_SCHEMA: Schema = Schema::Table(envelope::EnvelopeKeys::KEYS);

/// The schema of a contract: a file of exchanges that tests a dialect.
pub(super) const CONTRACT_SCHEMA: Schema = Schema::Table(contract::ContractKeys::KEYS);
