//! `[upstreams.NAME]`

use std::time::Duration;

use super::route::RouteKeys;
use crate::config::{
    diagnostic::Located,
    key::{
        Defaulted, Key,
        Literal::{Boolean, Count, Text},
        NamedTexts, count, duration, flag, secret, sent_headers, sub_table, table, text, texts, word, words,
    },
    schema::Schema,
    settings::{TlsVersion, UpstreamCompression},
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
        /// The host and port of each peer; they are asked in turn. A peer that can't be reached is skipped, for 1 s at first
        /// and up to 30 s, and then tried with one request.
        peers: Key<Vec<Located<String>>> => texts(&Schema::Text(syntax::peer)).sample(r#"["127.0.0.1:8000"]"#);

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
