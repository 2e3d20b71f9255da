//! The keys of `[services.webhooks]`.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use http::HeaderName;

use super::{postgres::PostgresKeys, rate_limit::COUNTED_BY};
use crate::{
    diagnostic::Located,
    key::{
        Defaulted, Key,
        Literal::{Boolean, Count, Text, Texts},
        NamedTexts, count, counts, duration, flag, header_names, json, named_tables, secret, sent_headers,
        socket_addresses, sub_table, table, text, texts,
    },
    outgoing::OutgoingRules,
    schema::Schema,
    secret::Secret,
    settings::{
        CountedBy, EmitSettings, EndpointPace, IdentityWord, OwnEventType, ServiceStoreSettings,
        WebhookEndpointSettings,
    },
    spanned::Spanned,
    syntax,
    tree::LocatedTree,
    units,
};

table! {
    /// The keys of `[services.webhooks]`.
    WEBHOOKS: WebhookKeys => #[derive(Debug, Clone)] WebhookSettings {
        /// The directory for deliveries and for the endpoints that clients register, created if missing. It can't be on
        /// a network file system. A change takes effect after a restart.
        directory: Key<String> => text(syntax::line).sample(r#""/var/lib/cursorgate/webhooks""#);

        /// The largest number of attempts for a delivery, which is then a dead letter. With the defaults, the last one is
        /// 28 to 56 hours after the first.
        pub attempts: Defaulted<u32> => count(3, 20).default(Count(12));

        /// The longest pause after the first failed attempt. After each further one the pause is four times as long, up
        /// to `longest_delay`. Half of each pause is random.
        pub delay: Defaulted<Duration> => duration("100ms", "1h").default(Text("5s"));

        /// The longest pause between two attempts. A longer `Retry-After` of an answer is shortened to this time.
        pub longest_delay: Defaulted<Duration> => duration("100ms", "1d").default(Text("12h"));

        /// The time for which an endpoint may fail: a delivery that becomes a dead letter disables the endpoint if no
        /// attempt has succeeded for this time.
        pub disable_after: Defaulted<Duration> => duration("1s", "365d").default(Text("5d"));

        /// The longest time for an attempt, from the look-up of the name to the end of the answer.
        pub timeout: Defaulted<Duration> => duration("100ms", "1m").default(Text("10s"));

        /// The largest number of attempts that this process makes at the same time.
        pub in_flight: Defaulted<usize> => count(1, 1_000).default(Count(50));

        /// The largest number of attempts at the same time for one endpoint.
        at_once: Defaulted<u32> => count(1, 100).default(Count(5));

        /// The largest number of attempts in a second for one endpoint.
        per_second: Defaulted<u32> => count(1, 1_000).default(Count(10));

        /// The largest number of waiting deliveries. Beyond it, a new one becomes a dead letter at once.
        pub queue: Defaulted<usize> => count(1, 1_000_000).default(Count(20_000));

        /// The largest number of waiting deliveries to one endpoint, so that those to an endpoint that fails for long
        /// leave room in `queue` for others. Beyond it, a new one becomes a dead letter at once.
        pub endpoint_queue: Defaulted<usize> => count(1, 1_000_000).default(Count(2_000));

        /// The time for which finished deliveries and dead letters are kept. A delivery that is overdue for this time
        /// becomes a dead letter.
        pub keep: Defaulted<Duration> => duration("1m", "365d").default(Text("7d"));

        /// The largest number of deliveries that have arrived, and of dead letters, that are kept. Beyond it the oldest
        /// are removed. Those that came while an endpoint was disabled can be a tenth of it for each endpoint.
        pub keep_deliveries: Defaulted<usize> => count(1, 1_000_000).default(Count(10_000));

        /// The time for which the previous secret of a client's endpoint also signs, after the client has replaced it
        /// by `rotate`.
        pub overlap: Defaulted<Duration> => duration("1s", "30d").default(Text("24h"));

        /// The times before the `sunset` of a route's legacy requests at which `legacy.sunset_approaching` is sent.
        pub sunset_notice: Defaulted<Vec<Located<String>>> as Vec<Duration> = sunset_notice =>
            texts(&Schema::Quantity(&units::DURATION, "1s", "3650d")).default(Texts(&["30d", "7d", "1d"]));

        /// With `true`, endpoints may have URLs that begin with http://. Everybody on the way can then read and change
        /// their events.
        http: Defaulted<bool> => flag().default(Boolean(false));

        /// The ports that the URLs of endpoints may have. Default: 443.
        ports: Key<Vec<u32>> => counts(&Schema::Count(1, 65_535)).example("[443, 8443]");

        /// Networks in which endpoints may be, in addition to public addresses, such as "10.1.2.0/24". Everybody who
        /// may register endpoints can send requests there, and read the beginnings of the answers.
        networks: Defaulted<Vec<Located<String>>> => texts(&Schema::Text(syntax::network)).default(Texts(&[]));

        /// The DNS servers that resolve the names of endpoints. With `[]`, the system's DNS servers are used.
        pub resolvers: Defaulted<Vec<SocketAddr>> =>
            socket_addresses(&Schema::Text(syntax::resolver)).default(Texts(&[]));

        /// The PEM file of the authorities that verify the certificates of endpoints. Default: the authorities of the
        /// system.
        pub ca: Key<String> as Option<Located<String>> =>
            text(syntax::name).example(r#""/etc/cursorgate/receivers.pem""#);

        /// Endpoints of the operator. They get the events of all clients.
        pub endpoints: Key<Spanned> as Vec<WebhookEndpointSettings> => named_tables(
            &Schema::Table(WebhookEndpointKeys::KEYS),
            "write [services.webhooks.endpoints.NAME]",
        ).named("audit", "");

        /// Types of events that your services emit, each with a schema.
        pub types: Key<Spanned> as Vec<OwnEventType> => named_tables(
            &Schema::Table(WebhookTypeKeys::KEYS),
            "write [services.webhooks.types.NAME]",
        ).named("order-paid", "");

        /// Requests and responses by which your services emit events of `types`. Without this table they can't.
        pub emit: Key<Spanned> as Option<EmitSettings> => sub_table(WebhookEmitKeys::KEYS).optional_section();

        /// Pages of lists that the gateway polls at intervals. When a page has changed, `collection.changed` is sent.
        pub watches: Key<Spanned> as Vec<WatchSettings> => named_tables(
            &Schema::Table(WebhookWatchKeys::KEYS),
            "write [services.webhooks.watches.NAME]",
        ).named("open-users", "");

        /// Endpoints that clients register themselves, by requests to `path`. Each client sees only its own endpoints.
        /// Without this table clients can't register any.
        pub clients: Key<Spanned> as Option<WebhookClientSettings> =>
            sub_table(WebhookClientKeys::KEYS).optional_section();

        /// A PostgreSQL database (12 or newer) for deliveries and endpoints, instead of `directory`. Processes with the same
        /// database and keys of cursors share the endpoints, the deliveries and the watches.
        postgres: Key<Spanned> => sub_table(PostgresKeys::KEYS).optional_section();

        /// The place of endpoints and deliveries: `directory` or `postgres`.
        pub store: ServiceStoreSettings = ServiceStoreSettings::Directory(PathBuf::new());

        /// The pace of endpoints that don't set their own: `at_once` and `per_second`.
        pub pace: EndpointPace;

        /// What the URLs of endpoints may be: `http`, `ports` and `networks`.
        pub rules: OutgoingRules;
    }
}

/// Returns the times before a sunset, the longest first.
fn sunset_notice(key: &Defaulted<Vec<Located<String>>>, table: &Spanned) -> Vec<Duration> {
    let mut times: Vec<_> = key.read(table).iter().filter_map(|text| units::duration(&text.value)).collect();
    times.sort_unstable_by(|one, other| other.cmp(one));
    times
}

table! {
    /// The keys of `[services.webhooks.endpoints.NAME]`.
    WEBHOOK_ENDPOINT: WebhookEndpointKeys {
        /// The URL to which events are sent. It must be one that `http`, `ports` and `networks` of the service permit.
        url: Key<Located<String>> => text(syntax::line).sample(r#""https://hooks.example.com/cursorgate""#);

        /// The types of events that are sent to this endpoint. docs/webhooks.md lists them; others are those of `types`.
        events: Key<Vec<Located<String>>> => texts(&Schema::Text(syntax::event_type)).sample(r#"["export.failed"]"#);

        /// Conditions that events must also meet: `list`, names of routes or paths, and `data`, members of the event's
        /// `data` with the values of which one must be equal. See docs/webhooks.md.
        filter: Key<LocatedTree> => json().example(r#"{ list = ["users"], data = { state = ["paid", "refunded"] } }"#);

        /// The secret that signs events: "whsec_" followed by 24 to 64 random bytes in base64.
        secret: Key<String> => secret().sample(r#""env:WEBHOOK_SECRET""#);

        /// The previous value of `secret`, which also signs events. Remove it when the receiver has the new one.
        previous_secret: Key<String> => secret().example(r#""env:WEBHOOK_SECRET_BEFORE""#);

        /// The largest number of attempts at the same time for this endpoint. Default: `at_once` of the service.
        at_once: Key<u32> => count(1, 100).example("5");

        /// The largest number of attempts in a second for this endpoint. Default: `per_second` of the service.
        per_second: Key<u32> => count(1, 1_000).example("10");
    }
}

table! {
    /// The keys of `[services.webhooks.types.NAME]`.
    WEBHOOK_TYPE: WebhookTypeKeys {
        /// The type, which endpoints name in `events`.
        kind("type"): Key<Located<String>> => text(syntax::event_type).sample(r#""order.paid""#);

        /// The version of the type, which its events contain as `version`.
        version: Key<String> => text(syntax::name).example(r#""2026-11-01""#);

        /// The JSON Schema of the `data` of events: a file, or the schema itself, which begins with `{`. An event that
        /// doesn't match it is refused.
        schema: Key<Located<String>> => text(syntax::lines).sample(r#""schemas/order.paid.json""#);
    }
}

table! {
    /// The keys of `[services.webhooks.emit]`.
    WEBHOOK_EMIT: WebhookEmitKeys {
        /// The path of requests that emit events, under every host. With `token`, a POST for exactly this path goes to
        /// the service and to no route.
        path: Defaulted<String> => text(syntax::service_path).default(Text("/events"));

        /// The token that services send as `Authorization: Bearer`, at least 32 characters. Without it, requests emit no
        /// events.
        token: Key<String> => secret().sample(r#""env:EMIT_TOKEN""#);

        /// The names of the routes whose upstreams emit events by `header` of their answers to forwarded requests. Don't
        /// list a route whose upstream clients can make answer with headers of their choice.
        routes: Key<Vec<Located<String>>> => texts(&Schema::Text(syntax::line)).example(r#"["orders"]"#);

        /// The header of these answers. With `routes`, no client gets this header, whatever the route.
        header: Defaulted<String> => text(syntax::event_header).default(Text("Cursorgate-Event"));
    }
}

table! {
    /// The keys of `[services.webhooks.watches.NAME]`.
    WEBHOOK_WATCH: WebhookWatchKeys => #[derive(Debug, Clone)] WatchSettings {
        /// The path of a list, with the query of a page: its limit, its sort, its filters. Items outside the page are
        /// not compared.
        pub path: Key<Located<String>> as Located<String> => text(syntax::check_path).sample(r#""/users?status=open&limit=50""#);

        /// The host in the requests of the watch. This key is required if the route of the list has `hosts`.
        pub host: Key<String> as Option<String> = |key, table| Some(key.read(table)?.to_lowercase()) =>
            text(syntax::host).example(r#""api.example.com""#);

        /// The time between two requests, of all processes that share the directory. After failures it is longer, up to
        /// five minutes.
        pub interval: Defaulted<Duration> => duration("1s", "1d").default(Text("30s"));

        /// The longest time for a request.
        pub timeout: Defaulted<Duration> => duration("1s", "5m").default(Text("30s"));

        /// The headers of the requests, such as credentials: the gateway has no rights of its own.
        pub headers: Key<NamedTexts> as Vec<(HeaderName, Secret)> =>
            sent_headers().example(r#"{ Authorization = "Bearer {env:WATCH_TOKEN}" }"#);

        /// The name of the watch.
        pub name: String;
    }
}

table! {
    /// The keys of `[services.webhooks.clients]`.
    WEBHOOK_CLIENTS: WebhookClientKeys => #[derive(Debug, Clone)] WebhookClientSettings {
        /// The path of these requests, under every host. Requests for this path and for the paths below it go to the
        /// service and to no route.
        pub path: Defaulted<String> => text(syntax::service_path).default(Text("/webhooks"));

        /// The path of a route, with its query. Before a POST or PATCH of a client, the gateway sends a GET for this
        /// path with the client's own headers. If the answer is not 2xx, the client gets it, and nothing is changed.
        /// Choose a path that only clients with rights can read.
        pub authorize: Key<Located<String>> as Located<String> => text(syntax::check_path).sample(r#""/users?limit=1""#);

        /// The headers that identify a client. Clients with different values of one of them see different endpoints.
        /// Use the same `principal` on the routes of exports.
        pub principal: Defaulted<Vec<HeaderName>> => header_names(&Schema::Text(syntax::header_name)).default(Texts(&[
            "Authorization", "Cookie", "X-Api-Key", "Api-Key", "X-Auth-Token", "X-Access-Token",
        ]));

        /// What identifies a client, in place of `principal`, in the form of `identity` of a route. Default: `identity`
        /// of [defaults], if no `principal` is written here.
        pub identity: Key<Vec<Located<String>>> as Vec<IdentityWord> =>
            texts(&Schema::Text(syntax::identity)).example(r#"["jwt:sub"]"#);

        /// The types of events that clients may ask for. Write also those of `types` that all clients may see.
        pub events: Defaulted<Vec<Located<String>>> as Vec<String> =>
            texts(&Schema::Text(syntax::event_type)).default(Texts(&[
            "collection.changed", "endpoint.disabled", "export.completed", "export.failed", "job.completed",
            "job.failed", "legacy.sunset_approaching",
        ]));

        /// The largest number of endpoints of a client. Beyond it, a registration gets 409.
        pub per_client: Defaulted<usize> => count(1, 1_000).default(Count(10));

        /// What identifies clients for `per_client`, as `key` of `rate_limit`. All clients of an address together have
        /// four times `per_client`.
        pub key: Defaulted<CountedBy> => COUNTED_BY.default(Text("principal"));

        /// The largest number of endpoints of all clients together. Beyond it, a registration gets 503.
        pub endpoints: Defaulted<usize> => count(1, 100_000).default(Count(1_000));

        /// The headers that say nothing about a person, as `[defaults]` lists them.
        pub impersonal: Vec<HeaderName>;
    }
}
