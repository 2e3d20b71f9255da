//! `[upstreams.NAME]`

use std::time::Duration;

use http::HeaderName;

use super::route::RouteKeys;
use crate::config::{
    diagnostic::Located,
    key::{
        Defaulted, Key,
        Literal::{Boolean, Count, Text, Texts},
        NamedTexts, count, duration, flag, header_names, secret, sent_headers, sub_table, table, text, texts, word,
        words,
    },
    schema::Schema,
    settings::{Balance, TlsVersion, UpstreamCompression},
    spanned::Spanned,
    syntax,
};

words! {
    /// The comparison of paths.
    enum PathCase {
        /// /users and /USERS are different paths.
        Sensitive = "case-sensitive",
        /// They are the same. On routes that forward, the policy of a list then holds for /USERS too.
        Insensitive = "case-insensitive",
    }
}

table! {
    /// `[upstreams.NAME]`
    UPSTREAM: UpstreamKeys {
        /// The host and port of each peer. Every address of a host is a peer of its own; names are resolved again when their
        /// DNS records expire, within 1 s to 30 s. A peer that can't be reached is skipped, for 1 s at first and up to 30 s,
        /// and then tried with one request. If all peers are unhealthy, all of them are used.
        peers: Key<Vec<Located<String>>> => texts(&Schema::Text(syntax::peer)).sample(r#"["127.0.0.1:8000"]"#);

        /// The DNS servers that resolve the names of peers, in place of those in /etc/resolv.conf. Names in /etc/hosts are
        /// taken from there in any case.
        resolvers: Key<Vec<Located<String>>> => texts(&Schema::Text(syntax::resolver)).example(r#"["10.0.0.2:53"]"#);

        /// The choice of a peer for a request. All upstream requests of a page go to one peer, unless it fails.
        balance: Defaulted<Balance> => word().default(Text("round-robin"));

        /// The headers of a client by which `balance = "hash"` chooses its peer. A request without any of them is told apart
        /// by its path.
        balance_headers: Defaulted<Vec<HeaderName>> => header_names(&Schema::Text(syntax::header_name)).default(Texts(&[
            "Authorization", "X-Api-Key", "Api-Key", "X-Auth-Token", "X-Access-Token",
        ]));

        /// Requests that test whether a peer is healthy. Without this table only the requests of clients tell.
        health_check: Key<Spanned> => sub_table(HealthCheckKeys::KEYS).optional_section();

        /// Failed answers in a row after which a peer is skipped, for 1 s at first and up to 30 s, and then tried with one
        /// request: statuses 500, 502, 503 and 504, answers that break off, and timeouts. At most half of the peers are
        /// skipped for that. With 0, none is.
        eject_after: Defaulted<u32> => count(0, 1_000).default(Count(5));

        /// Second attempts at requests that only read: those for pages, and forwarded requests by GET, HEAD or OPTIONS
        /// without a body. A connection that the upstream closed while it was idle is replaced for every idempotent request,
        /// and is no retry.
        retries: Key<Spanned> => sub_table(RetriesKeys::KEYS).section();

        /// The `Host` that the upstream receives. Default: the client's own. In that case the upstream may serve another list
        /// for each host, so cursors are bound to the host.
        host_header: Key<String> => text(syntax::host_header).example(r#""people.internal""#);

        /// The beginning of every path at this upstream.
        base_path: Key<String> => text(syntax::base_path).example(r#""/v1""#);

        /// The comparison of paths.
        paths: Defaulted<PathCase> => word().default(Text("case-sensitive"));

        /// TLS. `tls = {}` verifies the peer's host against the authorities of the system.
        tls: Key<Spanned> => sub_table(UpstreamTlsKeys::KEYS)
            .example(r#"{ server_name = "people.internal", ca = "/etc/cursorgate/ca.pem" }"#);

        /// HTTP/2. With TLS it is used where a peer negotiates it (ALPN), and HTTP/1.1 elsewhere. Without TLS every peer must
        /// speak it ("prior knowledge"). WebSockets and clients that log on by NTLM or Negotiate use HTTP/1.1 all the same.
        http2: Defaulted<bool> => flag().default(Boolean(false));

        /// Headers that are added to every request; credentials are secrets. Clients that log on by NTLM or Negotiate, which
        /// authenticate the connection, share no connection with others.
        headers: Key<NamedTexts> => sent_headers().example(r#"{ X-Api-Key = "env:PEOPLE_API_KEY" }"#);

        /// The limits of a request's time.
        timeouts: Key<Spanned> => sub_table(TimeoutsKeys::KEYS).section();

        /// Requests that the upstream may have at a time, WebSockets among them. As many again wait for at most a second;
        /// beyond that they are answered with 503.
        connections: Defaulted<usize> => count(1, 100_000).default(Count(1_024));

        /// The requests for pages in which the upstream is asked for gzip, which saves bytes between the two and takes time
        /// of both. Forwarded requests carry the client's own Accept-Encoding.
        compression: Defaulted<UpstreamCompression> => word().default(Text("remote"));

        /// Any key of a route, for the routes of this upstream.
        defaults: Key<Spanned> => sub_table(RouteKeys::KEYS).excerpt("dialect = \"offset-limit\"");
    }
}

table! {
    /// `health_check` of an upstream
    HEALTH_CHECK: HealthCheckKeys {
        /// The path, with its query. It does not begin with `base_path`. A status from 200 to 299 passes.
        path: Key<String> => text(syntax::check_path).example(r#""/health""#);

        /// The time between two checks of a peer.
        interval: Defaulted<Duration> => duration("100ms", "1h").default(Text("10s"));

        /// The time of a check, from connecting to the head of the answer. If `interval` is shorter, that is the default.
        timeout: Defaulted<Duration> => duration("1ms", "1h").default(Text("2s"));

        /// Failed checks in a row after which the peer is skipped.
        unhealthy_after: Defaulted<u32> => count(1, 100).default(Count(3));

        /// Passed checks in a row after which the peer is used again.
        healthy_after: Defaulted<u32> => count(1, 100).default(Count(2));
    }
}

table! {
    /// `retries` of an upstream
    RETRIES: RetriesKeys {
        /// Retries that a client's request may take, in all its upstream requests together. With 0, there are none.
        most: Defaulted<u32> => count(0, 10).default(Count(2));

        /// Retries in percent of the requests to this upstream, so that an upstream that fails gets few additional requests.
        /// Ten retries are kept in reserve.
        share: Defaulted<u32> => count(0, 100).default(Count(20));

        /// The pause before the first retry. Each further one doubles it. Half of a pause is random.
        pause: Defaulted<Duration> => duration("1ms", "10s").default(Text("25ms"));

        /// The longest pause.
        longest_pause: Defaulted<Duration> => duration("1ms", "1m").default(Text("250ms"));

        /// The longest `Retry-After` of a 503 that is waited for. After a longer one another peer is asked, if one is healthy;
        /// else the client gets the answer.
        longest_retry_after: Defaulted<Duration> => duration("0s", "1m").default(Text("1s"));
    }
}

table! {
    /// `tls` of an upstream
    UPSTREAM_TLS: UpstreamTlsKeys {
        /// The name that the certificate must have. Default: the peer's host.
        server_name: Key<String> => text(syntax::host).example(r#""people.internal""#);

        /// A PEM file with the authorities to trust. Default: those of the system.
        ca: Key<String> => text(syntax::name).example(r#""/etc/cursorgate/ca.pem""#);

        /// A PEM file with the certificate that the gateway shows to the upstream, then each one's issuer. All three files
        /// are read again within seconds of a change.
        certificate: Key<String> => text(syntax::name).example(r#""/etc/cursorgate/client.crt""#);

        /// The file of the private key.
        key: Key<String> => secret().example(r#""file:/etc/cursorgate/client.key""#);

        /// The oldest version that is spoken.
        min_version: Defaulted<TlsVersion> => word().default(Text("1.2"));
    }
}

table! {
    /// `timeouts` of an upstream
    TIMEOUTS: TimeoutsKeys {
        /// Until a connection is established, TLS included. If `whole` is shorter, that is the default.
        connect: Defaulted<Duration> => duration("1ms", "1h").default(Text("1s"));

        /// Until the head of an answer has arrived, and for each silence within its body. If `whole` is shorter, that is the
        /// default.
        first_byte: Defaulted<Duration> => duration("1ms", "1h").default(Text("10s"));

        /// A fetch of a list. In requests that are passed on, the request body and an answer of known length have this
        /// time, and after it as long as 500 bytes a second arrive. WebSockets and event streams (text/event-stream) may be
        /// silent for an hour. If `connect` or `first_byte` is longer, that is the default.
        whole: Defaulted<Duration> => duration("1ms", "1h").default(Text("15s"));
    }
}
