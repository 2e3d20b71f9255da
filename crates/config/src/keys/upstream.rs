//! The keys of `[upstreams.NAME]`.

use std::{net::SocketAddr, time::Duration};

use http::HeaderName;

use super::route::RouteKeys;
use crate::{
    diagnostic::Located,
    key::{
        Defaulted, Key,
        Literal::{Boolean, Count, Text, Texts},
        NamedTexts, count, duration, flag, header_names, named_tables, secret, sent_headers, socket_addresses,
        sub_table, table, text, texts, word, words,
    },
    schema::Schema,
    secret::Secret,
    settings::{Balance, KeyPairSettings, TlsVersion, UpstreamCompression},
    spanned::Spanned,
    syntax,
};

words! {
    /// The comparison of an upstream's paths.
    pub enum PathCase {
        /// /users and /USERS are different paths.
        Sensitive = "case-sensitive",
        /// /users and /USERS are the same path. The policies of a list's route then also apply to a request for /USERS,
        /// which another route would forward.
        Insensitive = "case-insensitive",
    }
}

table! {
    /// The keys of `[upstreams.NAME]`.
    UPSTREAM: UpstreamKeys => #[derive(Clone, Debug)] UpstreamSettings {
        /// The host and port of each peer. Each address of a host is a separate peer; names are resolved again when
        /// their DNS records expire. See docs/upstreams.md.
        pub peers: Key<Vec<Located<String>>> as Vec<Located<String>> =>
            texts(&Schema::Text(syntax::peer)).sample(r#"["127.0.0.1:8000"]"#);

        /// Peers that get requests only while no peer of `peers` is healthy.
        pub backups: Key<Vec<Located<String>>> as usize =>
            texts(&Schema::Text(syntax::peer)).example(r#"["10.0.0.9:8000"]"#);

        /// The shares of requests that peers get, relative to the others: with `{ "10.0.0.1:8000" = 3 }`, three times
        /// as many as a peer that isn't named, whose weight is 1. With few requests in flight, the shares of
        /// "least-requests" are more even.
        pub weights: Key<Spanned> as Vec<u32> => named_tables(&Schema::Count(1, 100), "write { \"host:port\" = 3 }")
            .example(r#"{ "10.0.0.1:8000" = 3 }"#);

        /// The time in which the share of a peer that is healthy again grows from a tenth to the whole. With "0s" it has
        /// the whole at once.
        pub slow_start: Defaulted<Duration> => duration("0s", "15m").default(Text("0s"));

        /// The DNS servers that resolve the names of peers, instead of those in /etc/resolv.conf. Names in /etc/hosts
        /// take precedence in any case.
        pub resolvers: Key<Vec<SocketAddr>> as Vec<SocketAddr> = Key::or_empty =>
            socket_addresses(&Schema::Text(syntax::resolver)).example(r#"["10.0.0.2:53"]"#);

        /// The choice of the peer for a request. All upstream requests of a page go to the same peer, unless it fails.
        pub balance: Defaulted<Balance> => word().default(Text("least-requests"));

        /// The headers of a client by which `balance = "hash"` chooses the peer. A request without any of them is
        /// assigned by its path.
        pub balance_headers: Defaulted<Vec<HeaderName>> =>
            header_names(&Schema::Text(syntax::header_name)).default(Texts(&[
            "Authorization", "X-Api-Key", "Api-Key", "X-Auth-Token", "X-Access-Token",
        ]));

        /// Requests that test whether a peer is healthy. Without this table only the requests of clients show it.
        pub health_check: Key<Spanned> as Option<HealthCheckSettings> =>
            sub_table(HealthCheckKeys::KEYS).optional_section();

        /// The number of failed answers in a row after which a peer is skipped: statuses 500, 502, 503 and 504, answers
        /// that break off, and timeouts. At most half of the peers are skipped for this reason. With 0, no peer is.
        pub eject_after: Defaulted<u32> => count(0, 1_000).default(Count(5));

        /// Further attempts at requests that only read: requests for pages, and forwarded requests by GET, HEAD or
        /// OPTIONS without a body.
        pub retries: Key<Spanned> as RetrySettings => sub_table(RetriesKeys::KEYS).section();

        /// The `Host` that the upstream receives. Default: the client's own. Cursors are then only valid for the host
        /// of their request.
        pub host_header: Key<String> => text(syntax::host_header).example(r#""people.internal""#);

        /// The path that is put before every path at this upstream: with "/v1", /users becomes /v1/users.
        pub base_path: Key<String> as String = |key, table| key.without_final_slash(table).unwrap_or_default() =>
            text(syntax::base_path).example(r#""/v1""#);

        /// The comparison of paths at this upstream.
        pub paths: Defaulted<PathCase> => word().default(Text("case-sensitive"));

        /// TLS to the peers. `tls = {}` verifies the certificate of each peer, and that it is for the peer's host,
        /// against the system's authorities. Without this key connections are not encrypted.
        pub tls: Key<Spanned> as Option<UpstreamTls> => sub_table(UpstreamTlsKeys::KEYS)
            .example(r#"{ server_name = "people.internal", ca = "/etc/cursorgate/ca.pem" }"#);

        /// With `true`, requests use HTTP/2. With TLS, a peer that doesn't negotiate it (ALPN) gets HTTP/1.1. Without
        /// TLS, every peer must accept HTTP/2 at once ("prior knowledge"). WebSockets always use HTTP/1.1.
        pub http2: Defaulted<bool> => flag().default(Boolean(false));

        /// Headers that are added to every request. Credentials must be secrets.
        pub headers: Key<NamedTexts> as Vec<(HeaderName, Secret)> =>
            sent_headers().example(r#"{ X-Api-Key = "env:PEOPLE_API_KEY" }"#);

        /// The time limits of a request to this upstream. Beyond them, the client gets 504, or an answer that breaks
        /// off.
        pub timeouts: Key<Spanned> as Timeouts => sub_table(TimeoutsKeys::KEYS).section();

        /// The largest number of requests to the upstream at the same time, including WebSockets. Without this key the
        /// number adapts itself, up to 1,024. As many again, and at least 64, wait for up to a second; further requests
        /// are answered with 503.
        pub connections: Key<usize> => count(1, 100_000).example("64");

        /// The requests for pages in which the upstream may compress its answer by gzip. Forwarded requests have the
        /// client's own Accept-Encoding.
        pub compression: Defaulted<UpstreamCompression> => word().default(Text("remote"));

        /// Defaults for the routes of this upstream: any key of a route. They take precedence over `defaults` of the
        /// file.
        defaults: Key<Spanned> => sub_table(RouteKeys::KEYS).excerpt("dialect = \"offset-limit\"");

        /// The name of the upstream.
        pub name: String;
    }
}

table! {
    /// The keys of `health_check` of an upstream.
    HEALTH_CHECK: HealthCheckKeys => #[derive(Debug, Clone, PartialEq, Eq)] HealthCheckSettings {
        /// The path of the check, with its query; `base_path` is not put before it. A status from 200 to 299 passes the
        /// check.
        pub path: Key<String> as String => text(syntax::check_path).example(r#""/health""#);

        /// The time between two checks of a peer.
        pub interval: Defaulted<Duration> => duration("100ms", "1h").default(Text("10s"));

        /// The longest time for a check, from connecting to the head of the answer. At most `interval`.
        pub timeout: Defaulted<Duration> => duration("1ms", "1h").default(Text("2s"));

        /// The number of failed checks in a row after which the peer is skipped.
        pub unhealthy_after: Defaulted<u32> => count(1, 100).default(Count(3));

        /// The number of passed checks in a row after which the peer is used again.
        pub healthy_after: Defaulted<u32> => count(1, 100).default(Count(2));
    }
}

table! {
    /// The keys of `retries` of an upstream.
    RETRIES: RetriesKeys => #[derive(Debug, Clone, Copy, PartialEq, Eq)] RetrySettings {
        /// The largest number of retries for a client's request, in all its upstream requests together. With 0 there
        /// are none.
        pub most: Defaulted<u32> => count(0, 10).default(Count(2));

        /// The largest share of retries among all requests to this upstream, in percent. Up to ten retries are saved
        /// up.
        pub share: Defaulted<u32> => count(0, 100).default(Count(20));

        /// The longest pause before the first retry. For each further retry it doubles, up to `longest_pause`. Half of
        /// each pause is random.
        pub pause: Defaulted<Duration> => duration("1ms", "10s").default(Text("25ms"));

        /// The largest value that `pause` reaches by doubling.
        pub longest_pause: Defaulted<Duration> => duration("1ms", "1m").default(Text("250ms"));

        /// The longest `Retry-After` of a 503 for which the gateway waits before it sends the request to the same peer
        /// again; beyond it, the client gets the 503.
        pub longest_retry_after: Defaulted<Duration> => duration("0s", "1m").default(Text("1s"));
    }
}

table! {
    /// The keys of `tls` of an upstream.
    UPSTREAM_TLS: UpstreamTlsKeys => #[derive(Debug, Clone)] UpstreamTls {
        /// The name that the peer's certificate must contain. Default: the peer's host.
        pub server_name: Key<String> => text(syntax::host).example(r#""people.internal""#);

        /// The PEM file of the authorities that are trusted. Default: the authorities of the system.
        pub ca: Key<Located<String>> as Option<Located<String>> =>
            text(syntax::name).example(r#""/etc/cursorgate/ca.pem""#);

        /// The PEM file of the certificate that the gateway presents, followed by the certificate of each issuer.
        /// Default: the gateway presents none.
        certificate: Key<String> => text(syntax::name).example(r#""/etc/cursorgate/client.crt""#);

        /// The PEM file of the private key of `certificate`, without a passphrase.
        key: Key<String> => secret().example(r#""file:/etc/cursorgate/client.key""#);

        /// The oldest version of TLS that is used.
        pub min_version: Defaulted<TlsVersion> => word().default(Text("1.2"));

        /// The certificate of the gateway, with its key.
        pub pair: Option<KeyPairSettings>;

        /// The name of the table in the file, such as `upstreams.people.tls`.
        pub name: String;
    }
}

table! {
    /// The keys of `timeouts` of an upstream.
    TIMEOUTS: TimeoutsKeys => #[derive(Debug, Clone, Copy, PartialEq, Eq)] Timeouts {
        /// The longest time for a connection to be established, including TLS. At most `whole`. A busy server may
        /// answer only the system's second or third attempt, after 1 or 3 seconds.
        pub connect: Defaulted<Duration> => duration("1ms", "1h").default(Text("4s"));

        /// The longest time until the head of the answer has arrived, and the longest silence within its body; at most
        /// `whole`. After this time, a body of less than 500 bytes a second is given up, if another peer can answer.
        pub first_byte: Defaulted<Duration> => duration("1ms", "1h").default(Text("10s"));

        /// `first_byte` of forwarded requests: those of old clients that pass, of routes that forward or observe, and
        /// of paths that no route covers. If `first_byte` or `whole` is written, the default is `first_byte`.
        pub forwarded: Defaulted<Duration> => duration("1ms", "1h").default(Text("60s"));

        /// The longest time for a request for a part of a list. In forwarded requests, the body and an answer of known
        /// length each have this time, and more while at least 500 bytes a second arrive. WebSockets and event streams
        /// may be silent for an hour.
        pub whole: Defaulted<Duration> => duration("1ms", "1h").default(Text("15s"));
    }
}
