//! `[services.webhooks]`.

use std::time::Duration;

use http::HeaderName;

use crate::config::{
    diagnostic::Located,
    key::{
        Defaulted, Key,
        Literal::{Boolean, Count, Text, Texts},
        NamedTexts, Word, count, counts, duration, flag, header_names, list_of_words, named_tables, secret,
        sent_headers, sub_table, table, text, texts,
    },
    schema::Schema,
    settings::EventType,
    spanned::Spanned,
    syntax, units,
};

table! {
    /// `[services.webhooks]`
    WEBHOOKS: WebhookKeys {
        /// The directory of the deliveries and of the endpoints that clients register, which the process makes and keeps to its
        /// own account. Processes of one machine that share it, and the keys of cursors, share the work. It can't be on a network
        /// file system. A change takes effect after a restart.
        directory: Key<String> => text(syntax::line).sample(r#""/var/lib/cursorgate/webhooks""#);

        /// The number of attempts for a delivery. After the last one it is a dead letter.
        attempts: Defaulted<u32> => count(3, 20).default(Count(5));

        /// The delay after the first failed attempt. Each further one is four times as long, and a half of each is random.
        delay: Defaulted<Duration> => duration("100ms", "1h").default(Text("5s"));

        /// The longest delay, also of a `Retry-After`.
        longest_delay: Defaulted<Duration> => duration("100ms", "1d").default(Text("1h"));

        /// The time of an attempt, from the look-up of the name to the end of the answer.
        timeout: Defaulted<Duration> => duration("100ms", "1m").default(Text("10s"));

        /// The attempts of this process at a time.
        in_flight: Defaulted<usize> => count(1, 1_000).default(Count(50));

        /// The attempts for an endpoint at a time.
        at_once: Defaulted<u32> => count(1, 100).default(Count(5));

        /// The attempts for an endpoint in a second.
        per_second: Defaulted<u32> => count(1, 1_000).default(Count(10));

        /// The largest number of deliveries that wait. Those beyond it are dead letters at once.
        queue: Defaulted<usize> => count(1, 1_000_000).default(Count(10_000));

        /// The time for which finished deliveries are kept, dead letters among them.
        keep: Defaulted<Duration> => duration("1m", "365d").default(Text("7d"));

        /// The number of finished deliveries that are kept. Beyond it the oldest ones are removed.
        keep_deliveries: Defaulted<usize> => count(1, 1_000_000).default(Count(10_000));

        /// The time for which a secret that was replaced by `rotate` signs beside its successor.
        overlap: Defaulted<Duration> => duration("1s", "30d").default(Text("24h"));

        /// The times before the `sunset` of a route's legacy requests at which `legacy.sunset_approaching` is sent.
        sunset_notice: Defaulted<Vec<Located<String>>> =>
            texts(&Schema::Quantity(&units::DURATION, "1s", "3650d")).default(Texts(&["30d", "7d", "1d"]));

        /// Endpoints may have URLs that begin with http://. Their events can be read and changed on the way.
        http: Defaulted<bool> => flag().default(Boolean(false));

        /// The ports that endpoints may have. Default: 443.
        ports: Key<Vec<u32>> => counts(&Schema::Count(1, 65_535)).example("[443, 8443]");

        /// Networks that endpoints may have beside public addresses, such as "10.1.2.0/24". Whoever may register endpoints can
        /// send requests to them, and read the beginnings of their answers.
        networks: Defaulted<Vec<Located<String>>> => texts(&Schema::Text(syntax::network)).default(Texts(&[]));

        /// The DNS servers that know the names of endpoints, in place of those of the system.
        resolvers: Defaulted<Vec<Located<String>>> => texts(&Schema::Text(syntax::resolver)).default(Texts(&[]));

        /// A PEM file with the authorities that the certificates of endpoints come from. Default: those of the system.
        ca: Key<String> => text(syntax::name).example(r#""/etc/cursorgate/receivers.pem""#);

        /// Endpoints of the operator, which get the events of all clients.
        endpoints: Key<Spanned> => named_tables(
            &Schema::Table(WebhookEndpointKeys::KEYS),
            "write [services.webhooks.endpoints.NAME]",
        ).named("audit", "");

        /// Lists that are asked for at intervals, to tell `collection.changed`.
        watches: Key<Spanned> => named_tables(
            &Schema::Table(WebhookWatchKeys::KEYS),
            "write [services.webhooks.watches.NAME]",
        ).named("open-users", "");

        /// Endpoints that clients register themselves, at the path. A client sees its own alone.
        clients: Key<Spanned> => sub_table(WebhookClientKeys::KEYS).optional_section();
    }
}

table! {
    /// `[services.webhooks.endpoints.NAME]`
    WEBHOOK_ENDPOINT: WebhookEndpointKeys {
        /// The URL that events are sent to.
        url: Key<String> => text(syntax::line).sample(r#""https://hooks.example.com/cursorgate""#);

        /// The types of events.
        events: Key<Vec<EventType>> => list_of_words(&Schema::Word(EventType::WORDS)).sample(r#"["export.failed"]"#);

        /// The secret that signs: "whsec_" and 24 to 64 random bytes in base64.
        secret: Key<String> => secret().sample(r#""env:WEBHOOK_SECRET""#);

        /// The secret before it, which signs as well until it is removed here.
        previous_secret: Key<String> => secret().example(r#""env:WEBHOOK_SECRET_BEFORE""#);

        /// The attempts for this endpoint at a time. Default: `at_once` of the service.
        at_once: Key<u32> => count(1, 100).example("5");

        /// The attempts for this endpoint in a second. Default: `per_second` of the service.
        per_second: Key<u32> => count(1, 1_000).example("10");
    }
}

table! {
    /// `[services.webhooks.watches.NAME]`
    WEBHOOK_WATCH: WebhookWatchKeys {
        /// The path of a list with the query of a page, such as its limit, its sort and its filters. Events say that this page
        /// has changed: an item that comes, goes, moves or changes on it. Rows beyond the page are not looked at.
        path: Key<String> => text(syntax::check_path).sample(r#""/users?status=open&limit=50""#);

        /// The host under which the list is asked for, where its route has `hosts`.
        host: Key<String> => text(syntax::host).example(r#""api.example.com""#);

        /// The time between two requests, of all processes that share the directory. After failures it is longer.
        interval: Defaulted<Duration> => duration("1s", "1d").default(Text("30s"));

        /// The time of a request.
        timeout: Defaulted<Duration> => duration("1s", "5m").default(Text("30s"));

        /// The headers of the requests: the gateway has no rights of its own. Clients whose endpoints learn of changes too are
        /// those with the same credentials.
        headers: Key<NamedTexts> => sent_headers().example(r#"{ Authorization = "Bearer {env:WATCH_TOKEN}" }"#);
    }
}

table! {
    /// `[services.webhooks.clients]`
    WEBHOOK_CLIENTS: WebhookClientKeys {
        /// The path, under every host. Requests for this path and for those below it go to no route.
        path: Defaulted<String> => text(syntax::service_path).default(Text("/webhooks"));

        /// A path of a route, with its query, that is asked for by GET with the client's own headers before a client changes
        /// anything. A client that is refused there is refused here.
        authorize: Key<String> => text(syntax::check_path).sample(r#""/users?limit=1""#);

        /// Headers that say whose endpoint it is: clients who differ in one of them see different endpoints. An export and the
        /// endpoints that learn of it have the same client.
        principal: Defaulted<Vec<HeaderName>> => header_names(&Schema::Text(syntax::header_name)).default(Texts(&[
            "Authorization", "Cookie", "X-Api-Key", "Api-Key", "X-Auth-Token", "X-Access-Token",
        ]));

        /// The types of events that clients may ask for.
        events: Defaulted<Vec<EventType>> => list_of_words(&Schema::Word(EventType::WORDS)).default(Texts(&[
            "collection.changed", "export.completed", "export.failed", "legacy.sunset_approaching",
        ]));

        /// The largest number of endpoints of a client.
        per_client: Defaulted<usize> => count(1, 1_000).default(Count(10));

        /// The largest number of endpoints of all clients.
        endpoints: Defaulted<usize> => count(1, 100_000).default(Count(1_000));
    }
}
