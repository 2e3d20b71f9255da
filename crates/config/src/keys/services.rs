//! The keys of `[services]`.

use std::{path::PathBuf, time::Duration};

use http::HeaderName;

use super::{
    CorsKeys,
    jobs::{JobSettings, JobsKeys},
    objects::{ObjectKeys, ObjectSettings},
    postgres::PostgresKeys,
    rate_limit::COUNTED_BY,
    webhooks::{WebhookKeys, WebhookSettings},
};
use crate::{
    diagnostic::Located,
    key::{
        Defaulted, Key,
        Literal::{Boolean, Count, Text, Texts},
        NamedTexts, caseless_texts, count, duration, flag, named_tables, named_texts, sent_headers, size, sub_table,
        table, text, texts,
    },
    schema::Schema,
    secret::Secret,
    settings::{CountedBy, IdentityWord, OfferedListSettings, OperationType, ServiceCors, ServiceStoreSettings},
    spanned::Spanned,
    syntax,
};

table! {
    /// The keys of `[services]`.
    SERVICES: ServicesKeys => #[derive(Debug, Clone)] ServiceSettings {
        /// Bulk requests: a client sends many operations in one POST, and gets all results in one answer. See
        /// docs/bulk.md.
        pub bulk: Key<Spanned> as Option<BulkSettings> => sub_table(BulkKeys::KEYS).optional_section();

        /// Exports of whole lists as files. A client begins a job by a POST to the path of a list followed by
        /// `/exports`. See docs/exports.md.
        pub exports: Key<Spanned> as Option<ExportSettings> => sub_table(ExportKeys::KEYS).optional_section();

        /// Jobs that send a request to an upstream, and follow what it does to its end. See docs/jobs.md.
        pub jobs: Key<Spanned> as Option<JobSettings> => sub_table(JobsKeys::KEYS).optional_section();

        /// Events that the gateway sends to endpoints, each by a signed POST. See docs/webhooks.md.
        pub webhooks: Key<Spanned> as Option<WebhookSettings> => sub_table(WebhookKeys::KEYS).optional_section();
        /// GraphQL: a connection for each list that is read by GET. See docs/graphql.md.
        pub graphql: Key<Spanned> as Option<GraphqlSettings> => sub_table(GraphqlKeys::KEYS).optional_section();
        /// Pages that stay up to date. A client requests the path of a list followed by `/live`, and gets the page and
        /// then its changes. See docs/live.md.
        pub live: Key<Spanned> as Option<LiveSettings> => sub_table(LiveKeys::KEYS).optional_section();
        /// Tools for agents, by the Model Context Protocol over streamable HTTP. See docs/mcp.md.
        pub mcp: Key<Spanned> as Option<McpSettings> => sub_table(McpKeys::KEYS).optional_section();
        /// A page for operators at the path /playground/ of the admin listener. It requires `admin.token`. See
        /// docs/playground.md.
        pub playground: Key<Spanned> as Option<PlaygroundSettings> = Key::settings_if_written =>
            sub_table(PlaygroundKeys::KEYS).optional_section();

        /// The description of the API for its clients. See docs/contract.md.
        pub contract: Key<Spanned> as Option<PublicContractSettings> =>
            sub_table(PublicContractKeys::KEYS).optional_section();

        /// The origins whose scripts may use bulk requests, jobs, the contract, GraphQL and webhooks. Without this table,
        /// these are the origins of all lists, if all of them have the same `cors`. Exports and live pages have the
        /// `cors` of their list.
        pub cors: Key<Spanned> as ServiceCors => sub_table(CorsKeys::KEYS).optional_section();
    }
}

table! {
    /// The keys of `[services.bulk]`.
    BULK: BulkKeys => #[derive(Debug, Clone, PartialEq, Eq)] BulkSettings {
        /// The path of bulk requests, under every host. A POST to exactly this path goes to the service and to no
        /// route.
        pub path: Defaulted<String> => text(syntax::service_path).default(Text("/bulk"));

        /// What identifies a client, whose results are kept for its `Idempotency-Key`, in the form of `identity` of a
        /// route. Default: `identity` of [defaults].
        pub identity: Key<Vec<Located<String>>> as Vec<IdentityWord> =>
            texts(&Schema::Text(syntax::identity)).example(r#"["jwt:sub"]"#);

        /// What identifies clients for the limits of keys, as `key` of `rate_limit`.
        pub key: Defaulted<CountedBy> => COUNTED_BY.default(Text("principal"));

        /// The largest number of operations in a request. One with more is refused with 400 as a whole. Raise `size` too
        /// for requests with more.
        pub operations: Defaulted<usize> => count(1, 100_000).default(Count(1_000));

        /// The operations that clients can name by a `type`, each with its method and its path. An operation has a value
        /// for each name in braces among its `parameters`.
        pub types: Key<NamedTexts> as Vec<OperationType> =>
            named_texts(&Schema::Text(syntax::operation_type), "write types = { create = \"POST /users\" }")
                .example(r#"{ create = "POST /users", update = "PATCH /users/{id}", delete = "DELETE /users/{id}" }"#);

        /// The largest number of operations of a request that run at the same time.
        pub at_once: Defaulted<usize> => count(1, 100).default(Count(5));

        /// The longest time for an operation, which is then cancelled with the status 504.
        pub timeout: Defaulted<Duration> => duration("1s", "5m").default(Text("30s"));

        /// The largest body of a bulk request. A larger one is refused with 413.
        pub size: Defaulted<usize> => size("1KiB", "64MiB").default(Text("1MiB"));

        /// The memory for the bodies of all answers of a request together. A body that doesn't fit is omitted from its
        /// result.
        pub answer_size: Defaulted<usize> => size("1KiB", "1GiB").default(Text("16MiB"));

        /// The results of requests with an `Idempotency-Key`. With `[services.exports]` they are in its store, for all
        /// processes that share it. Otherwise they are in the memory of the process: another process or a restarted one
        /// doesn't have them.
        pub idempotency: Key<Spanned> as IdempotencySettings = Key::settings =>
            sub_table(IdempotencyKeys::KEYS).section();

        /// The headers that say nothing about a person, as `[defaults]` lists them.
        pub impersonal: Vec<HeaderName>;
    }
}

table! {
    /// The keys of `[services.bulk.idempotency]`.
    IDEMPOTENCY: IdempotencyKeys => #[derive(Debug, Clone, Copy, PartialEq, Eq)] IdempotencySettings {
        /// The time for which an `Idempotency-Key` is kept.
        pub ttl: Defaulted<Duration> => duration("1m", "7d").default(Text("24h"));

        /// The largest number of keys that are kept at a time. Beyond it, requests with a new key are answered with
        /// 503.
        pub entries: Defaulted<usize> => count(1, 100_000).default(Count(10_000));

        /// The memory for results, a part of `server.memory`, or their room in the store. When it is full, the oldest results are removed, and
        /// repetitions of their requests are answered with 409.
        pub size: Defaulted<usize> => size("64KiB", "64GiB").default(Text("64MiB"));
    }
}

table! {
    /// The keys of `[services.exports]`.
    EXPORTS: ExportKeys => #[derive(Debug, Clone)] ExportSettings {
        /// The directory for jobs and results, created if missing. It can't be on a network file system; for several
        /// machines use `postgres` instead. A change takes effect after a restart.
        directory: Key<String> => text(syntax::line).sample(r#""/var/lib/cursorgate/exports""#);

        /// The largest number of pages that this process requests at the same time for exports. It works on as many
        /// jobs, and reads a long list in as many parts, which take turns.
        pub at_once: Defaulted<usize> => count(1, 64).default(Count(2));

        /// The largest number of unfinished jobs of a client. Beyond it, requests for further jobs are answered with
        /// 429.
        pub per_client: Defaulted<usize> => count(1, 1_000).default(Count(5));

        /// What identifies clients for `per_client`, as `key` of `rate_limit`. All clients of an address together have
        /// four times `per_client`.
        pub key: Defaulted<CountedBy> => COUNTED_BY.default(Text("principal"));

        /// The largest number of unfinished jobs of all clients. Beyond it, requests for further jobs are answered with
        /// 503.
        pub queue: Defaulted<usize> => count(1, 100_000).default(Count(100));

        /// The longest time for which a page that fails is requested again, with pauses that grow to five minutes. Then
        /// the job has failed, and can be resumed.
        pub retry_for: Defaulted<Duration> => duration("0s", "7d").default(Text("1h"));

        /// The longest time for a page, which is then a failed attempt.
        pub page_timeout: Defaulted<Duration> => duration("1s", "10m").default(Text("2m"));

        /// The longest time for which the gateway works on a job, with the pauses before further attempts, and without
        /// the wait for its turn. A job that takes longer has failed.
        pub timeout: Defaulted<Duration> => duration("1m", "30d").default(Text("24h"));

        /// The largest result of a job, which has failed beyond it.
        pub size: Defaulted<usize> => size("64KiB", "1024GiB").default(Text("10GiB"));

        /// The time for which a finished job is kept with its result.
        pub keep: Defaulted<Duration> => duration("1s", "365d").default(Text("7d"));

        /// The largest number of finished jobs that are kept. Beyond it, the oldest of the client that has most are
        /// removed.
        pub keep_jobs: Defaulted<usize> => count(1, 100_000).default(Count(100));

        /// The largest size of all results together. Beyond it, the oldest of the client that has most are removed.
        pub keep_size: Defaulted<usize> => size("64KiB", "1024GiB").default(Text("100GiB"));

        /// A PostgreSQL database (12 or newer) for jobs and results, instead of `directory`. Processes with the same
        /// database and keys of cursors share the jobs.
        postgres: Key<Spanned> => sub_table(PostgresKeys::KEYS).optional_section();

        /// An object store for the bytes of results, which otherwise are rows of `postgres`. Configure it when all
        /// processes have a version that knows this table. See docs/exports.md.
        pub objects: Key<Spanned> as Option<ObjectSettings> => sub_table(ObjectKeys::KEYS).optional_section();

        /// The place of jobs and results: `directory` or `postgres`.
        pub store: ServiceStoreSettings = ServiceStoreSettings::Directory(PathBuf::new());
    }
}

table! {
    /// The keys of `[services.graphql]`.
    GRAPHQL: GraphqlKeys => #[derive(Debug, Clone, PartialEq, Eq)] GraphqlSettings {
        /// The path of GraphQL requests, under every host. A GET or POST for exactly this path goes to the service and
        /// to no route.
        pub path: Defaulted<String> => text(syntax::service_path).default(Text("/graphql"));

        /// With `true`, queries may ask for the schema (`__schema`, `__type`). Everybody who can reach the path can
        /// then learn the names of all lists.
        pub introspection: Defaulted<bool> => flag().default(Boolean(false));

        /// With `true`, browsers that request `path` as HTML get a page on which queries can be written and run.
        pub page: Defaulted<bool> => flag().default(Boolean(false));

        /// The names of the fields for lists, by the names of their routes. Default: the name of the route in camel
        /// case, such as `teamUsers` for `team-users`.
        names: Key<NamedTexts> =>
            named_texts(&Schema::Text(syntax::graphql_name), "write names = { ROUTE = \"field\" }")
            .example(r#"{ team-users = "members" }"#);

        /// The names of the routes whose lists have no field.
        except: Defaulted<Vec<Located<String>>> => texts(&Schema::Text(syntax::name)).default(Texts(&[]));

        /// The largest body of a POST, and the largest query string of a GET. A larger body is refused with 413, and a
        /// larger query string with 414.
        pub size: Defaulted<usize> => size("1KiB", "1MiB").default(Text("64KiB"));

        /// The largest number of tokens in a query: names, values and punctuation.
        pub tokens: Defaulted<usize> => count(10, 100_000).default(Count(2_000));

        /// The deepest nesting of selections, lists and objects in a query.
        pub depth: Defaulted<usize> => count(4, 32).default(Count(20));

        /// The largest number of aliases in a query; those in a fragment count each time that the fragment is used.
        pub aliases: Defaulted<usize> => count(0, 1_000).default(Count(50));

        /// The largest number of lists that a query reads, each by a request of its own.
        pub lists: Defaulted<usize> => count(1, 1_000).default(Count(20));

        /// The largest number of values that an answer can have, calculated from the limits of the query's lists. A
        /// list within an item counts as one value.
        pub complexity: Defaulted<u64> => count(100, 10_000_000).default(Count(100_000));

        /// The largest number of lists of a query that are read at the same time.
        pub at_once: Defaulted<usize> => count(1, 100).default(Count(5));

        /// The longest time for the page of a list, which is then an error of the answer.
        pub timeout: Defaulted<Duration> => duration("1s", "5m").default(Text("30s"));

        /// The memory for the values of an answer and for the pages that they come from. A query whose answer needs
        /// more gets an error.
        pub answer_size: Defaulted<usize> => size("64KiB", "1GiB").default(Text("16MiB"));

        /// The memory for queries that clients name by their hashes, in addition to `server.memory`. When it is full,
        /// the least used queries are removed. With "0B" no query is stored.
        pub persisted_size: Defaulted<usize> => size("0B", "1GiB").default(Text("4MiB"));

        /// The fields and their routes, in the order of the routes in the file.
        pub fields: Vec<OfferedListSettings>;
    }
}

table! {
    /// The keys of `[services.mcp]`.
    MCP: McpKeys => #[derive(Debug, Clone, PartialEq, Eq)] McpSettings {
        /// The path of MCP requests, under every host. A request for exactly this path goes to the service and to no
        /// route.
        pub path: Defaulted<String> => text(syntax::service_path).default(Text("/mcp"));

        /// The names of lists in the names of their tools, by the names of their routes. Default: the name of the
        /// route, with `_` for other characters than letters, digits, `_` and `-`.
        names: Key<NamedTexts> => named_texts(&Schema::Text(syntax::tool_name), "write names = { ROUTE = \"name\" }")
            .example(r#"{ team-users = "members" }"#);

        /// The names of the routes whose lists have no tool.
        except: Defaulted<Vec<Located<String>>> => texts(&Schema::Text(syntax::name)).default(Texts(&[]));

        /// The descriptions of lists for agents, by the names of their routes. Default: the summary and the description
        /// of the operation in the route's OpenAPI document.
        descriptions: Key<NamedTexts> =>
            named_texts(&Schema::Text(syntax::lines), "write descriptions = { ROUTE = \"text\" }")
                .example(r#"{ users = "The people of Example Inc., with their teams" }"#);

        /// The origins whose scripts may use the tools. Requests with any other `Origin` are refused with 403, also the
        /// origin of their own `Host` (DNS rebinding).
        pub origins: Defaulted<Vec<String>> => caseless_texts(&Schema::Text(syntax::one_origin)).default(Texts(&[]));

        /// The largest body of a request. A larger one is refused with 413.
        pub size: Defaulted<usize> => size("1KiB", "1MiB").default(Text("64KiB"));

        /// The largest number of items in a result. If `page_size.max` of the route is smaller, that number applies. A
        /// call for more items gets an error.
        pub items: Defaulted<u32> => count(1, 1_000).default(Count(100));

        /// The largest JSON of the items in a result, which the answer has twice. The cursor of the result leads to the
        /// first item beyond it.
        pub result_size: Defaulted<usize> => size("4KiB", "64MiB").default(Text("64KiB"));

        /// The longest time for a call of a tool, which then gets an error.
        pub timeout: Defaulted<Duration> => duration("1s", "5m").default(Text("30s"));

        /// The lists, in the order of the routes in the file.
        pub lists: Vec<OfferedListSettings>;
    }
}

table! {
    /// The keys of `[services.playground]`.
    PLAYGROUND: PlaygroundKeys => #[derive(Debug, Clone, Copy, PartialEq, Eq)] PlaygroundSettings {
        /// The longest time for a request of the page. A request that takes longer is cancelled, and the page shows an
        /// error.
        pub timeout: Defaulted<Duration> => duration("1s", "5m").default(Text("30s"));

        /// The largest part of an answer's body that the page gets. The page shows a longer answer without its items.
        pub answer_size: Defaulted<usize> => size("1KiB", "16MiB").default(Text("1MiB"));
    }
}

table! {
    /// The keys of `[services.contract]`.
    PUBLIC_CONTRACT: PublicContractKeys => #[derive(Debug, Clone, PartialEq, Eq)] PublicContractSettings {
        /// The path of the OpenAPI document, under every host. A GET for exactly this path goes to the service and to
        /// no route.
        pub document: Key<String> as String => text(syntax::service_path).sample(r#""/openapi.json""#);

        /// With `true`, /.well-known/api-catalog is answered with a catalog of the API (RFC 9727).
        pub catalog: Defaulted<bool> => flag().default(Boolean(false));

        /// The path of a JSON document with links to all lists and services, under every host; also "/". Without this
        /// key there is none.
        pub entry: Key<String> => text(syntax::entry_path).example(r#""/api""#);

        /// The path of a page for people that shows the document with Swagger UI, under every host. Its files are below
        /// this path. Without this key there is none.
        pub reference: Key<String> => text(syntax::service_path).example(r#""/reference""#);

        /// The URL of a page about the API for people, to which the catalog and the entry link. Default: the reference
        /// page, if there is one.
        pub documentation: Key<String> => text(syntax::url).example(r#""https://docs.example.com/api""#);

        /// The names of the routes whose lists aren't described.
        pub except: Defaulted<Vec<Located<String>>> as Vec<String> =>
            texts(&Schema::Text(syntax::name)).default(Texts(&[]));
    }
}

table! {
    /// The keys of `[services.live]`.
    LIVE: LiveKeys => #[derive(Debug, Clone)] LiveSettings {
        /// The names of the routes whose pages can be live. Each route must serve a list by GET.
        pub routes: Key<Vec<Located<String>>> as Vec<String> =>
            texts(&Schema::Text(syntax::line)).sample(r#"["users"]"#);

        /// The time between two requests for the same page, `min` at first: shorter after a change, longer after none
        /// or a failure, up to `max`.
        pub interval: Key<Spanned> as LiveInterval => sub_table(LiveIntervalKeys::KEYS).section();

        /// The longest time for a request for the page.
        pub timeout: Defaulted<Duration> => duration("1s", "5m").default(Text("30s"));

        /// The time after which a silent stream gets a comment, or a WebSocket a ping. Set it shorter than the time-out
        /// of a proxy in front.
        pub heartbeat: Defaulted<Duration> => duration("1s", "5m").default(Text("15s"));

        /// The longest time for a stream, lengthened or shortened by up to a tenth, after which its client reconnects.
        pub lifetime: Defaulted<Duration> => duration("1s", "24h").default(Text("1h"));

        /// The largest number of clients with a live page in this process. Further requests are answered with 503. Keep
        /// this number well below `server.connections`.
        pub subscribers: Defaulted<usize> => count(1, 1_000_000).default(Count(5_000));

        /// The largest number of clients with a live page of the same route. Further requests are answered with 503.
        pub per_route: Defaulted<usize> => count(1, 1_000_000).default(Count(5_000));

        /// The largest number of live pages of a client, on all routes together. Further requests are answered with
        /// 429.
        pub per_client: Defaulted<usize> => count(1, 1_000_000).default(Count(100));

        /// What identifies clients for `per_client`, as `key` of `rate_limit`. All clients of an address together have
        /// 16 times `per_client`.
        pub key: Defaulted<CountedBy> => COUNTED_BY.default(Text("principal"));

        /// Requests that show whether something has changed, by the name of the route. While the answer to such a request
        /// stays the same, each live page of the route is requested only at `interval.max`. See docs/live.md.
        pub detectors: Key<Spanned> as Vec<DetectorSettings> => named_tables(
            &Schema::Table(DetectorKeys::KEYS),
            "write [services.live.detectors.ROUTE]",
        ).named("users", "");
    }
}

table! {
    /// The keys of `[services.live.detectors.ROUTE]`.
    DETECTOR: DetectorKeys => #[derive(Debug, Clone)] DetectorSettings {
        /// A path of any route, with its query, whose answer changes with every change of the route's lists.
        pub path: Key<Located<String>> as Located<String> =>
            text(syntax::check_path).sample(r#""/users/version""#);

        /// The host in these requests. This key is required if the route of the path has `hosts`.
        pub host: Key<String> as Option<String> = |key, table| Some(key.read(table)?.to_lowercase()) =>
            text(syntax::host).example(r#""api.example.com""#);

        /// The time between two requests. After failures it is longer, up to five minutes, and each page is requested at
        /// `interval` of the service meanwhile.
        pub interval: Defaulted<Duration> => duration("50ms", "1h").default(Text("5s"));

        /// The headers of these requests, such as credentials that may read everything: the gateway has no rights of its
        /// own.
        pub headers: Key<NamedTexts> as Vec<(HeaderName, Secret)> =>
            sent_headers().example(r#"{ Authorization = "Bearer {env:DETECTOR_TOKEN}" }"#);

        /// The name of the route whose live pages are requested after a change.
        pub route: String;
    }
}

table! {
    /// The keys of `[services.live.interval]`.
    LIVE_INTERVAL: LiveIntervalKeys => #[derive(Debug, Clone, Copy, PartialEq, Eq)] LiveInterval {
        /// The shortest time between two requests for the same page, with which they begin. Each change halves the
        /// time, down to this value.
        pub min: Defaulted<Duration> => duration("50ms", "1h").default(Text("1s"));

        /// The longest time between two requests for the same page. Each answer without a change adds half to the time,
        /// and each failure doubles it, up to this value. A longer `Retry-After` is respected up to five minutes.
        pub max: Defaulted<Duration> => duration("50ms", "1h").default(Text("30s"));
    }
}
