//! `[services]`.

use std::time::Duration;

use super::{postgres::PostgresKeys, webhooks::WebhookKeys};
use crate::config::{
    diagnostic::Located,
    key::{
        Defaulted, Key,
        Literal::{Boolean, Count, Text, Texts},
        NamedTexts, count, duration, flag, named_texts, size, sub_table, table, text, texts,
    },
    schema::Schema,
    spanned::Spanned,
    syntax,
};

table! {
    /// `[services]`
    SERVICES: ServicesKeys {
        /// Many requests in one: a POST with operations, which run as if each had come alone, and one answer with all
        /// results; docs/bulk.md.
        bulk: Key<Spanned> => sub_table(BulkKeys::KEYS).optional_section();

        /// Whole lists as files: a POST to the path of a list with `/exports` after it begins a job that reads all its pages
        /// with the client's own credentials, and goes on after a restart; docs/exports.md.
        exports: Key<Spanned> => sub_table(ExportKeys::KEYS).optional_section();

        /// Events, sent to endpoints by POST with a signature: exports that end, sunsets that are near; docs/webhooks.md.
        webhooks: Key<Spanned> => sub_table(WebhookKeys::KEYS).optional_section();
        /// GraphQL: a connection for each list that is asked for by GET, read by the same requests that clients make alone;
        /// docs/graphql.md.
        graphql: Key<Spanned> => sub_table(GraphqlKeys::KEYS).optional_section();
        /// Pages that stay up to date: a request for the path of a list with `/live` after it gets the page, and then its
        /// changes, as a stream of events or over a WebSocket. The gateway asks the upstream at intervals, once for all clients
        /// that see the same page; docs/live.md.
        live: Key<Spanned> => sub_table(LiveKeys::KEYS).optional_section();
        /// Tools for agents, by the Model Context Protocol over streamable HTTP: each list that is asked for by GET is a tool that
        /// reads it, and one that exports it where there are exports; docs/mcp.md.
        mcp: Key<Spanned> => sub_table(McpKeys::KEYS).optional_section();
        /// A page at the admin listener, /playground/, on which operators read the lists of this gateway by page number and by
        /// cursor, side by side, with the upstream requests and the proof of each page. It needs `admin.token`;
        /// docs/playground.md.
        playground: Key<Spanned> => sub_table(PlaygroundKeys::KEYS).optional_section();
    }
}

table! {
    /// `[services.bulk]`
    BULK: BulkKeys {
        /// The path, under every host. Requests by POST for exactly this path go to no route.
        path: Defaulted<String> => text(syntax::service_path).default(Text("/bulk"));

        /// The largest number of operations in a request.
        operations: Defaulted<usize> => count(1, 1_000).default(Count(1_000));

        /// The number of operations of a request that run at a time.
        at_once: Defaulted<usize> => count(1, 100).default(Count(5));

        /// The time that an operation may take. One that takes longer is given up and has the status 504. The body of the
        /// bulk request has as much time to come.
        timeout: Defaulted<Duration> => duration("1s", "5m").default(Text("30s"));

        /// The largest body of a bulk request.
        size: Defaulted<usize> => size("1KiB", "64MiB").default(Text("1MiB"));

        /// The size up to which the bodies of all answers together are kept. An answer beyond it has its status and no body.
        answer_size: Defaulted<usize> => size("1KiB", "1GiB").default(Text("16MiB"));

        /// The results of requests with an `Idempotency-Key`, which a repetition gets again. They are in the memory of the
        /// process.
        idempotency: Key<Spanned> => sub_table(IdempotencyKeys::KEYS).section();
    }
}

table! {
    /// `[services.bulk.idempotency]`
    IDEMPOTENCY: IdempotencyKeys {
        /// The time for which a key is known.
        ttl: Defaulted<Duration> => duration("1m", "7d").default(Text("24h"));

        /// The number of keys that are known at a time. Beyond it requests with a new key are answered with 503, because a
        /// key that is forgotten early would let its operations run twice.
        entries: Defaulted<usize> => count(1, 100_000).default(Count(10_000));

        /// The memory for results, beside `server.memory`. Beyond it the oldest results are dropped; a repetition of their requests is answered
        /// with 409 and runs nothing.
        size: Defaulted<usize> => size("64KiB", "64GiB").default(Text("64MiB"));
    }
}

table! {
    /// `[services.exports]`
    EXPORTS: ExportKeys {
        /// The directory of the jobs and the results, which the process makes and keeps to its own account. Processes of one
        /// machine that share it, and the keys of cursors, do one another's work: the jobs of one that ended are taken over.
        /// It can't be on a network file system. A change takes effect after a restart. Processes of several machines share a
        /// database in its place: `postgres`.
        directory: Key<String> => text(syntax::line).sample(r#""/var/lib/cursorgate/exports""#);

        /// The number of jobs that this process works on at a time. Each makes one request after the other.
        at_once: Defaulted<usize> => count(1, 64).default(Count(2));

        /// The largest number of unfinished jobs of a client. Beyond it requests are answered with 429.
        per_client: Defaulted<usize> => count(1, 1_000).default(Count(5));

        /// The largest number of unfinished jobs in all. Beyond it requests are answered with 503.
        queue: Defaulted<usize> => count(1, 100_000).default(Count(100));

        /// The number of attempts for a page. After the last one the job has failed.
        attempts: Defaulted<u32> => count(1, 20).default(Count(3));

        /// The time that a page may take.
        page_timeout: Defaulted<Duration> => duration("1s", "10m").default(Text("2m"));

        /// The time from the request to the end of the job. A job that takes longer has failed.
        timeout: Defaulted<Duration> => duration("1m", "30d").default(Text("24h"));

        /// The largest result. A job with a larger one has failed.
        size: Defaulted<usize> => size("64KiB", "1024GiB").default(Text("10GiB"));

        /// The time for which finished jobs are kept.
        keep: Defaulted<Duration> => duration("1s", "365d").default(Text("7d"));

        /// The number of finished jobs that are kept. Beyond it the oldest ones are removed.
        keep_jobs: Defaulted<usize> => count(1, 100_000).default(Count(100));

        /// The size up to which results are kept. Beyond it the oldest ones are removed.
        keep_size: Defaulted<usize> => size("64KiB", "1024GiB").default(Text("100GiB"));

        /// The jobs and the results in a database of PostgreSQL (12 or newer), in place of `directory`. Processes that share it,
        /// and the keys of cursors, do one another's work, on whatever machine they are.
        postgres: Key<Spanned> => sub_table(PostgresKeys::KEYS).optional_section();
    }
}

table! {
    /// `[services.graphql]`
    GRAPHQL: GraphqlKeys {
        /// The path, under every host. Requests by GET and POST for exactly this path go to no route.
        path: Defaulted<String> => text(syntax::service_path).default(Text("/graphql"));

        /// Answers questions about the schema (`__schema`, `__type`). Whoever reaches the path learns the names of all lists
        /// and of their fields.
        introspection: Defaulted<bool> => flag().default(Boolean(false));

        /// Serves a page on which queries are written and run, to browsers that ask the path for HTML.
        page: Defaulted<bool> => flag().default(Boolean(false));

        /// The names of fields for routes, where those made from the names of routes won't do.
        names: Key<NamedTexts> => named_texts(&Schema::Text(syntax::graphql_name), "write names = { ROUTE = \"field\" }")
            .example(r#"{ team-users = "members" }"#);

        /// The routes of lists that have no field.
        except: Defaulted<Vec<Located<String>>> => texts(&Schema::Text(syntax::name)).default(Texts(&[]));

        /// The largest body of a request, and the largest query.
        size: Defaulted<usize> => size("1KiB", "1MiB").default(Text("64KiB"));

        /// The largest number of tokens in a query: names, values and punctuation.
        tokens: Defaulted<usize> => count(10, 100_000).default(Count(2_000));

        /// The deepest nesting of a query.
        depth: Defaulted<usize> => count(4, 32).default(Count(20));

        /// The largest number of aliases in a query, those of fragments counted where they are used.
        aliases: Defaulted<usize> => count(0, 1_000).default(Count(50));

        /// The largest number of lists that a query reads. Each is a request of its own.
        lists: Defaulted<usize> => count(1, 1_000).default(Count(20));

        /// The largest number of values that an answer can have, by the limits of the query's lists. A list within a list counts as
        /// one value.
        complexity: Defaulted<u64> => count(100, 10_000_000).default(Count(100_000));

        /// The number of lists of a query that are read at a time.
        at_once: Defaulted<usize> => count(1, 100).default(Count(5));

        /// The time that the page of a list may take. The body of the request has as much time to come.
        timeout: Defaulted<Duration> => duration("1s", "5m").default(Text("30s"));

        /// The size up to which the values of an answer are kept, and the pages that they are taken from.
        answer_size: Defaulted<usize> => size("64KiB", "1GiB").default(Text("16MiB"));

        /// The memory for queries that clients name by their hashes, beside `server.memory`; 0 for none.
        persisted_size: Defaulted<usize> => size("0B", "1GiB").default(Text("4MiB"));
    }
}

table! {
    /// `[services.mcp]`
    MCP: McpKeys {
        /// The path, under every host. Requests for exactly this path go to no route.
        path: Defaulted<String> => text(syntax::service_path).default(Text("/mcp"));

        /// The names of lists for routes, where those made from the names of routes won't do: the tools of `people` are
        /// `list_people` and `export_people`.
        names: Key<NamedTexts> => named_texts(&Schema::Text(syntax::tool_name), "write names = { ROUTE = \"name\" }")
            .example(r#"{ team-users = "members" }"#);

        /// The routes of lists that have no tool.
        except: Defaulted<Vec<Located<String>>> => texts(&Schema::Text(syntax::name)).default(Texts(&[]));

        /// The descriptions of lists by their routes, which agents read. Default: that of the operation in the route's OpenAPI
        /// document.
        descriptions: Key<NamedTexts> =>
            named_texts(&Schema::Text(syntax::lines), "write descriptions = { ROUTE = \"text\" }")
                .example(r#"{ users = "The people of Example Inc., with their teams" }"#);

        /// The origins whose scripts may use the tools. Requests with another `Origin` are refused, also with that of their own
        /// `Host`, because names can lead to any address (DNS rebinding). Clients other than browsers send none.
        origins: Defaulted<Vec<Located<String>>> => texts(&Schema::Text(syntax::one_origin)).default(Texts(&[]));

        /// The largest body of a request.
        size: Defaulted<usize> => size("1KiB", "1MiB").default(Text("64KiB"));

        /// The largest number of items in a result, where the list has no smaller one.
        items: Defaulted<u32> => count(1, 1_000).default(Count(100));

        /// The largest JSON of a result's items. The cursor of a result that would be larger leads to the first item that is left
        /// out. Results have their JSON a second time, as text.
        result_size: Defaulted<usize> => size("4KiB", "64MiB").default(Text("64KiB"));

        /// The time that a tool may take. The body of the request has as much time to come.
        timeout: Defaulted<Duration> => duration("1s", "5m").default(Text("30s"));
    }
}

table! {
    /// `[services.playground]`
    PLAYGROUND: PlaygroundKeys {
        /// The time that a request of the page may take.
        timeout: Defaulted<Duration> => duration("1s", "5m").default(Text("30s"));

        /// The size up to which the body of an answer is shown. The page shows a longer one without its items.
        answer_size: Defaulted<usize> => size("1KiB", "16MiB").default(Text("1MiB"));
    }
}

table! {
    /// `[services.live]`
    LIVE: LiveKeys {
        /// The names of the routes whose pages can be live. Each serves a list by GET.
        routes: Key<Vec<Located<String>>> => texts(&Schema::Text(syntax::line)).sample(r#"["users"]"#);

        /// The time between two requests for the same page: near `min` while it changes, towards `max` while it does not, or
        /// fails.
        interval: Key<Spanned> => sub_table(LiveIntervalKeys::KEYS).section();

        /// The time that a page may take.
        timeout: Defaulted<Duration> => duration("1s", "5m").default(Text("30s"));

        /// The time after which a sign of life goes to a client that got nothing else: a comment, or a ping.
        heartbeat: Defaulted<Duration> => duration("1s", "5m").default(Text("15s"));

        /// The time after which a stream ends, and its client comes again. Clients of different streams do so at different
        /// times.
        lifetime: Defaulted<Duration> => duration("1s", "24h").default(Text("1h"));

        /// The largest number of clients with a live page. Beyond it requests are answered with 503. Each has a connection or a
        /// stream of HTTP/2, so keep it well below `server.connections`.
        subscribers: Defaulted<usize> => count(1, 1_000_000).default(Count(5_000));

        /// The largest number of them on a route. Beyond it requests are answered with 503.
        per_route: Defaulted<usize> => count(1, 1_000_000).default(Count(5_000));

        /// The largest number of live pages of a client. Beyond it requests are answered with 429.
        per_client: Defaulted<usize> => count(1, 1_000_000).default(Count(100));
    }
}

table! {
    /// `[services.live.interval]`
    LIVE_INTERVAL: LiveIntervalKeys {
        /// The shortest time.
        min: Defaulted<Duration> => duration("50ms", "1h").default(Text("1s"));

        /// The longest time, failures aside: after these an upstream may ask for a longer one, up to five minutes.
        max: Defaulted<Duration> => duration("50ms", "1h").default(Text("30s"));
    }
}
