//! The keys of `[server]`, `[listeners.NAME]`, `[admin]`, `[log]`, `[traces]`, `[cursor]` and `[caches]`.

use std::{net::SocketAddr, time::Duration};

use http::HeaderName;

use super::store::{StoreKeys, StoreSettings};
use crate::{
    diagnostic::Located,
    key::{
        Defaulted, Key,
        Literal::{Boolean, Count, Text, Texts},
        NamedTexts, Word, caseless_texts, count, duration, flag, header_name, header_names, list_of_words,
        named_tables, named_texts, secret, size, sub_table, table, text, texts, word,
    },
    schema::Schema,
    secret::Secret,
    settings::{
        AccessLog, AlsoAccepted, ClientCertificate, CompressionSettings, ContentCoding, KeyPairSettings, ListenAddress,
        LogFormat, LogLevel, Network, OpenReports, RouteHistograms, TlsVersion, TokenAlgorithm, TokenKeySource,
    },
    spanned::Spanned,
    syntax,
};

table! {
    /// The keys of `[server]`.
    SERVER: ServerKeys => #[derive(Debug, Clone)] ServerSettings {
        /// The scheme and host with which links begin. Without this key links begin with the host that a trusted proxy
        /// reports (see `forwarded_headers`), or else with the request's `Host` if the route lists it in `hosts`.
        /// Without either, links begin with the path.
        pub public_url: Key<String> as Option<String> = Key::without_final_slash =>
            text(syntax::base_url).sample(r#""https://api.example.com""#);

        /// The beginning of `type` in problem documents, to which the code of the problem is appended. Without this key
        /// the type is about:blank. The site that `make docs` generates has a section for each code, at
        /// "docs/problems.html#".
        pub problem_types: Key<String> => text(syntax::uri).example(r#""https://docs.example.com/problems/""#);

        /// The networks of proxies that are trusted to report where a request came from, such as "10.20.0.0/16". "unix"
        /// stands for all clients of unix sockets.
        pub trusted_proxies: Defaulted<Vec<Located<String>>> as Vec<Network> = networks =>
            texts(&Schema::Text(syntax::network)).default(Texts(&[]));

        /// The headers in which trusted proxies report the client. List all that the proxies write themselves, and Host
        /// if they check it. Such headers from other clients, and unlisted ones such as X-Real-IP, are neither used nor
        /// forwarded. Links begin with the scheme, host, port and prefix in X-Forwarded-Proto, -Host, -Port and
        /// -Prefix, or in the last value of Forwarded. The upstream gets X-Forwarded-For, -Host and -Proto from the
        /// gateway.
        pub forwarded_headers: Defaulted<Vec<HeaderName>> => header_names(&Schema::Text(syntax::header_name))
            // Balancers and ingresses write these headers themselves, and pass on the other headers of this kind as a
            // client wrote them.
            .default(Texts(&["X-Forwarded-For", "X-Forwarded-Proto"]));

        /// The header in which upstreams get the subject of a client's verified certificate (see `tls.clients` of a
        /// listener), such as "CN=billing,O=Example" (RFC 4514). The same header from a client is dropped, unless the
        /// client is a trusted proxy and `forwarded_headers` lists it. Routes without a `principal` of their own
        /// identify clients by it too.
        pub client_subject: Key<HeaderName> => header_name(syntax::header_name).example(r#""X-Client-Subject""#);

        /// The keys that verify the bearer tokens of clients, for "jwt:CLAIM" in `identity`. Tokens that these keys don't
        /// verify still reach the upstream, but identify nobody.
        tokens: Key<Spanned> => sub_table(TokenKeys::KEYS)
            .example(r#"{ keys = "/etc/cursorgate/jwks.json", issuer = "https://login.example.com" }"#);

        /// The request that asks an upstream who a client is, for "answer:PLACE" in `identity`. It has the client's
        /// credentials, and nothing else of the client's request.
        identity_answer: Key<Spanned> => sub_table(IdentityAnswerKeys::KEYS)
            .example(r#"{ upstream = "people", path = "/me" }"#);

        /// The number of worker threads. Default: one for each core that the process may use.
        pub threads: Key<usize> as usize = |key, table| key.read(table).unwrap_or_else(cores) =>
            count(1, 1_024).example("4");

        /// The largest request head: the request line with all headers. A larger one is answered with 431.
        pub head_size: Defaulted<usize> => size("1KiB", "1MiB").default(Text("16KiB"));

        /// The memory of the whole process. What it takes at rest, for `connections`, routes and caches is set aside;
        /// bodies share the rest, as docs/sizing.md describes. Beyond it requests are answered with 503. Default: seven
        /// eighths of the memory of the control group, or else half of the machine's.
        pub memory: Key<usize> as Option<Located<usize>> = Key::located =>
            size("64MiB", "1024GiB").example(r#""512MiB""#);

        /// The longest time for a request head, from its first byte to its last, and for a TLS handshake. Within this
        /// time, a head has 5 seconds, and one second more for each 512 bytes that have arrived.
        pub head_timeout: Defaulted<Duration> => duration("1s", "5m").default(Text("10s"));

        /// The largest number of connected clients. At the limit a new client takes the place of a connection without a
        /// request, or else gets 503. Default: 10000, or fewer if three eighths of `memory`, at 84 KiB a connection, or
        /// the limit of open files, which the process raises, don't suffice.
        pub connections: Key<usize> => count(1, 1_000_000).example("10000");

        /// The largest number of connected clients with the same address, or with the same /64 of IPv6. At the limit a
        /// new client takes the place of a connection of that address without a request, or else gets 503. Addresses in
        /// `trusted_proxies` have no such limit. Default: half of `connections`.
        pub connections_per_address: Key<usize> => count(1, 1_000_000).example("5000");

        /// The largest number of requests at the same time on one connection of HTTP/2. All but the first count in
        /// `connections` and `connections_per_address`.
        pub streams_per_connection: Defaulted<u32> => count(1, 1_000).default(Count(100));

        /// The longest time for which a connection may wait for its next request. Set it longer than a load balancer in
        /// front keeps its idle connections.
        pub idle_timeout: Defaulted<Duration> => duration("1s", "1h").default(Text("75s"));

        /// The time after SIGTERM for which new clients are still accepted, while /readyz returns 503 and each answer
        /// closes its connection. Set it longer than a load balancer in front needs to notice the 503. A second SIGTERM
        /// ends it.
        pub drain_delay: Defaulted<Duration> => duration("0s", "10m").default(Text("0s"));

        /// The longest time after `drain_delay` for which the process finishes requests in flight. Both together must
        /// be shorter than the grace period, by default 30 seconds in Kubernetes.
        pub shutdown_timeout: Defaulted<Duration> => duration("0s", "1h").default(Text("25s"));

        /// With `true`, the configuration is reloaded within about two seconds after a change of its file, or of a file
        /// that it names, such as a key. Files of certificates are read again in any case.
        pub reload_on_change: Defaulted<bool> => flag().default(Boolean(false));

        /// With `true`, other processes of the same user may listen at the same addresses (SO_REUSEPORT). SIGUSR2
        /// replaces a process without this key; see docs/restarts.md.
        pub reuse_port: Defaulted<bool> => flag().default(Boolean(false));

        /// The codings with which the gateway compresses its own responses: pages and problems. Of codings that a
        /// client accepts equally, the first is used. With `[]` no response is compressed. Forwarded answers are not
        /// changed.
        pub compression: Defaulted<Vec<ContentCoding>> as CompressionSettings = compression =>
            list_of_words(&Schema::Word(ContentCoding::WORDS)).default(Texts(&["zstd", "br", "gzip"]));

        /// The smallest body that is compressed.
        compression_size: Defaulted<usize> => size("0B", "1GiB").default(Text("1KiB"));
    }
}

fn networks(key: &Defaulted<Vec<Located<String>>>, table: &Spanned) -> Vec<Network> {
    key.read(table).iter().filter_map(|text| syntax::read_network(&text.value)).collect()
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn compression(codings: &Defaulted<Vec<ContentCoding>>, table: &Spanned) -> CompressionSettings {
    CompressionSettings { codings: codings.read(table), least: SERVER.compression_size.read(table) }
}

table! {
    /// The keys of `server.tokens`.
    TOKENS: TokenKeys => #[derive(Clone, Debug)] TokenSettings {
        /// The public keys of the tokens' issuer, a JSON Web Key Set (RFC 7517): a file, or the issuer's `jwks_uri`,
        /// which is `https`, or `http` on this machine. A file is read at the start and at each reload. A URL is read
        /// at the start, each `refresh`, and when a token names another key.
        pub keys: Key<Located<String>> as TokenKeySource = |_, _| TokenKeySource::File(Vec::new()) =>
            text(syntax::name).sample(r#""/etc/cursorgate/jwks.json""#);

        /// The PEM file of the authorities that are trusted for the URL. Default: the authorities of the system.
        ca: Key<String> => text(syntax::name).example(r#""/etc/cursorgate/ca.pem""#);

        /// The interval at which the URL is read.
        refresh: Defaulted<Duration> => duration("1s", "24h").default(Text("1h"));

        /// The time for which keys are used after the last time that the URL was read. After that no token is verified
        /// until it is read again.
        keep: Defaulted<Duration> => duration("1s", "30d").default(Text("24h"));

        /// The issuer that a token must name (`iss`). Default: any, if the keys verify the token.
        pub issuer: Key<String> => text(syntax::name).example(r#""https://login.example.com""#);

        /// The audiences of which a token must name one (`aud`). Default: any.
        pub audience: Defaulted<Vec<String>> => texts(&Schema::Text(syntax::name)).default(Texts(&[]));

        /// The algorithms of signatures that are accepted. All of them have a public key.
        pub algorithms: Defaulted<Vec<TokenAlgorithm>> =>
            list_of_words(&Schema::Word(TokenAlgorithm::WORDS)).default(Texts(&[
            "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA",
        ]));

        /// The difference between the clocks of the issuer and of the gateway that is tolerated (`nbf`, `exp`). A token
        /// without `exp` identifies nobody.
        pub leeway: Defaulted<Duration> => duration("0s", "5m").default(Text("30s"));

        /// The file or the URL in `keys`, as it was written.
        pub written: Located<String>;
    }
}

table! {
    /// The keys of `server.identity_answer`.
    IDENTITY_ANSWER: IdentityAnswerKeys => #[derive(Clone, Debug, PartialEq, Eq)] IdentityAnswerSettings {
        /// The name of the upstream that knows the client. Its `base_path`, `tls`, `headers` and `timeouts` apply.
        pub upstream: Key<Located<String>> as usize => text(syntax::name).sample(r#""people""#);

        /// The path, which may have a query. Clients with valid credentials get 2xx, all others 401 or 403.
        pub path: Key<Located<String>> as Located<String> => text(syntax::check_path).sample(r#""/me""#);

        /// The headers of a client that this request has. A client without any of them isn't asked for. List only the
        /// headers that your upstream checks.
        pub credentials: Defaulted<Vec<HeaderName>> => header_names(&Schema::Text(syntax::header_name)).default(Texts(&[
            "Authorization", "Cookie", "X-Api-Key", "Api-Key", "X-Auth-Token", "X-Access-Token",
        ]));

        /// The time for which an answer is used for the same credentials, also after they are revoked. Refusals are
        /// used for at most 5 seconds, failures never.
        pub ttl: Defaulted<Duration> => duration("1s", "5m").default(Text("30s"));
    }
}

table! {
    /// The keys of `[listeners.NAME]`.
    LISTENER: ListenerKeys => #[derive(Debug, Clone)] ListenerSettings {
        /// The address: an IP address with a port, or a unix socket such as "unix:/run/cursorgate/public.sock". Host
        /// names are not accepted. "0.0.0.0:8080" stands for every IPv4 address, and "[::]:8080" for every address.
        pub address: Key<Located<String>> as ListenAddress => text(syntax::listen_address).sample(r#""127.0.0.1:8080""#);

        /// The permissions of a unix socket. Everybody who may write to the socket may connect. Default: 0660, which is
        /// the owner and the group.
        mode: Key<String> => text(syntax::mode).example(r#""0660""#);

        /// The networks of proxies that begin each connection with a header of the PROXY protocol, version 1 or 2.
        /// Connections from other networks, or without the header, are closed. "unix" stands for all clients of unix
        /// sockets. With `[]` the protocol is off.
        pub proxy_protocol: Defaulted<Vec<Located<String>>> as Vec<Network> = networks =>
            texts(&Schema::Text(syntax::network)).default(Texts(&[]));

        /// With `true`, clients may use HTTP/2 as well as HTTP/1.1: with TLS if they negotiate it (ALPN), without TLS
        /// if they begin with it ("prior knowledge").
        pub http2: Defaulted<bool> => flag().default(Boolean(true));

        /// TLS, with PEM files. The files are read again within seconds of a change. If a new pair can't be used, the
        /// previous one stays in use.
        pub tls: Key<Spanned> as Option<ListenerTls> => sub_table(ListenerTlsKeys::KEYS).optional_section();

        /// The name of the listener.
        pub name: String;
    }
}

table! {
    /// The keys of `tls` of a listener.
    LISTENER_TLS: ListenerTlsKeys => #[derive(Debug, Clone)] ListenerTls {
        /// The PEM file of the certificate: the server's own first, then the certificate of each issuer, without the
        /// root authority.
        certificate: Key<String> => text(syntax::name).sample(r#""/etc/cursorgate/tls.crt""#);

        /// The PEM file of the private key, without a passphrase.
        key: Key<String> => secret().sample(r#""file:/etc/cursorgate/tls.key""#);

        /// Further certificates. A client gets the one for the name that it requests (SNI), also if that name only
        /// matches a wildcard. Others get `certificate` of this table.
        certificates: Key<Spanned> => named_tables(
            &Schema::Table(ListenerCertificateKeys::KEYS),
            "write [listeners.NAME.tls.certificates.NAME]",
        ).example(r#"{ shop = { certificate = "/etc/cursorgate/shop.crt", key = "file:/etc/cursorgate/shop.key" } }"#);

        /// The oldest version of TLS that clients may use.
        pub min_version: Defaulted<TlsVersion> => word().default(Text("1.2"));

        /// The certificates of clients. To pass the subject of a certificate to upstreams and to `principal`, set
        /// `server.client_subject`.
        pub clients: Key<Spanned> as Option<ClientAuthorities> =>
            sub_table(ListenerClientsKeys::KEYS).example(r#"{ ca = "/etc/cursorgate/clients.pem" }"#);

        /// The certificates, at least one: that of `certificate`, and then those of `certificates`.
        pub pairs: Vec<KeyPairSettings>;
    }
}

table! {
    /// The keys of `tls.certificates.NAME` of a listener.
    LISTENER_CERTIFICATE: ListenerCertificateKeys {
        /// The PEM file of the certificate, in the same form as in `tls`.
        certificate: Key<String> => text(syntax::name).sample(r#""/etc/cursorgate/shop.crt""#);

        /// The PEM file of the private key, without a passphrase.
        key: Key<String> => secret().sample(r#""file:/etc/cursorgate/shop.key""#);
    }
}

table! {
    /// The keys of `tls.clients` of a listener.
    LISTENER_CLIENTS: ListenerClientsKeys => #[derive(Debug, Clone)] ClientAuthorities {
        /// The PEM file of the authorities that issue the clients' certificates. It is read again within seconds of a
        /// change.
        pub ca: Key<Located<String>> as Located<String> =>
            text(syntax::name).sample(r#""/etc/cursorgate/clients.pem""#);

        /// The requirement that a client has a certificate.
        pub certificate: Defaulted<ClientCertificate> => word().default(Text("required"));

        /// The name of the table in the file, such as `listeners.public.tls.clients`.
        pub name: String;
    }
}

table! {
    /// The keys of `[admin]`.
    ADMIN: AdminKeys => #[derive(Debug, Clone)] AdminSettings {
        /// The IP address and port of the admin listener. Keep it off the public network.
        pub address: Key<String> as SocketAddr = |_, _| SocketAddr::from(([127, 0, 0, 1], 9180)) =>
            text(syntax::address).sample(r#""127.0.0.1:9180""#);

        /// Further host names under which the admin listener answers, such as "metrics.internal". It always answers
        /// under IP addresses and localhost. Other names are refused (DNS rebinding).
        pub hosts: Defaulted<Vec<String>> => caseless_texts(&Schema::Text(syntax::host)).default(Texts(&[]));

        /// The token for requests that change something, such as POST /reload: `Authorization: Bearer TOKEN`. It has at
        /// least 16 visible ASCII characters. Without this key such requests are refused. Explanations and the report
        /// at GET /reload need it too.
        pub token: Key<String> as Option<Secret> => secret().example(r#""file:/etc/cursorgate/admin.token""#);

        /// A token for requests that only read, such as those of Prometheus. `token` opens reports too.
        pub read_token: Key<String> as Option<Secret> => secret().example(r#""file:/etc/cursorgate/read.token""#);

        /// The reports that need no token. The checks /livez, /readyz and /healthz never need one. Default: "all" at a
        /// loopback address, and "none" at every other one.
        pub open: Key<OpenReports> => word().example(r#""metrics""#);

        /// The histograms of requests in /metrics. Those of upstreams have all buckets in any case. Default: "routes" with
        /// at most 100 routes, and "total" with more.
        pub histograms: Key<RouteHistograms> => word().example(r#""total""#);

        /// TLS, with the same keys as `tls` of a listener. Without it, tokens are sent in clear text.
        pub tls: Key<Spanned> as Option<ListenerTls> => sub_table(ListenerTlsKeys::KEYS)
            .example(r#"{ certificate = "/etc/cursorgate/admin.crt", key = "file:/etc/cursorgate/admin.key" }"#);

        /// The key that signs permits, at least 32 random bytes; see docs/explain.md.
        pub explain_key: Key<String> as Option<Secret> => secret().example(r#""file:/etc/cursorgate/explain.key""#);
    }
}

table! {
    /// The keys of `[log]`.
    LOG: LogKeys => #[derive(Debug, Clone, Copy, PartialEq, Eq)] LogSettings {
        /// The format of a line.
        pub format: Defaulted<LogFormat> => word().default(Text("auto"));

        /// The least severe level that is written. Lines of every level contain no cursors, no credentials and no
        /// values of queries.
        pub level: Defaulted<LogLevel> => word().default(Text("info"));

        /// The requests that have a line in the access log, whatever `level` is.
        pub access: Defaulted<AccessLog> => word().default(Text("all"));
    }
}

table! {
    /// The keys of `[traces]`.
    TRACES: TracesKeys => #[derive(Debug, Clone, PartialEq, Eq)] TraceSettings {
        /// The name of the upstream that gets the traces. Its peers are OpenTelemetry collectors that listen for OTLP
        /// over HTTP, usually at port 4318.
        pub upstream: Key<Located<String>> as usize => text(syntax::name).sample(r#""collector""#);

        /// The number of requests among which one begins a trace. A request of a trusted proxy with a `traceparent`
        /// continues that trace instead.
        pub every: Defaulted<u32> => count(1, 1_000_000).default(Count(100));

        /// The `service.name` in the traces.
        pub service_name: Defaulted<String> => text(syntax::name).default(Text("cursorgate"));
    }
}

table! {
    /// The keys of `[cursor]`.
    CURSOR_KEYS: CursorKeysKeys {
        /// The number of the key that signs new cursors. Cursors of all keys in `keys` are accepted.
        signing_key: Key<u32> => count(0, u32::MAX as u64).sample("1");

        /// The keys by their numbers, each at least 32 random bytes; `cursorgate keygen` makes one. To change the key,
        /// add a new one, sign with it, and remove the old one when its cursors may end. A reload reads keys in files
        /// again, and not those in the environment.
        keys: Key<NamedTexts> => named_texts(
            &Schema::Secret,
            "write keys = { 1 = \"env:NAME\" }; the number is in every cursor",
        ).sample(r#"{ 1 = "env:CURSORGATE_KEY" }"#);

        /// The lifetime of a cursor. An older cursor is refused with 410, at the latest after a quarter more than this
        /// time. Without this key a cursor is valid as long as its key is listed.
        ttl: Key<Duration> => TTL.example(r#""24h""#);

        /// With `true`, cursors are encrypted; otherwise everybody who has a cursor can read its sort keys. Cursors
        /// that contain tokens of an upstream are always encrypted. A change makes older cursors invalid, unless
        /// `accept` lists them.
        sealed: Defaulted<bool> => flag().default(Boolean(false));

        /// Cursors that are accepted beside those that are made: "signed" and "sealed" while `sealed` is rolled out,
        /// and "undated" for cursors without a time while `ttl` is. See docs/restarts.md.
        accept: Defaulted<Vec<AlsoAccepted>> => list_of_words(&Schema::Word(AlsoAccepted::WORDS)).default(Texts(&[]));
    }
}

/// The type of a cursor's lifetime, in `[cursor]` and in `cursor` of a route.
pub(super) const TTL: crate::key::Type<Duration> = duration("1s", "3650d");

table! {
    /// The keys of `[caches]`.
    CACHES: CachesKeys => #[derive(Debug, Clone)] CacheSettings {
        /// The sort keys of items at the edges of pages, for routes with `mode = "seek"`.
        pub pivots: Key<Spanned> as PivotCacheSettings = Key::settings => sub_table(PivotsKeys::KEYS).section();

        /// Pages, for routes with `page_cache`, and answers of their upstreams that have an `ETag` or a
        /// `Last-Modified`, for conditional requests.
        pub pages: Key<Spanned> as Option<usize> = |key, table| PAGES.size.read(&key.table(table)) =>
            sub_table(PagesKeys::KEYS).section();

        /// A server of Redis or Valkey that several processes share; see docs/shared-store.md.
        pub shared: Key<Spanned> as Option<StoreSettings> => sub_table(StoreKeys::KEYS).optional_section();
    }
}

table! {
    /// The keys of `[caches.pages]`.
    PAGES: PagesKeys {
        /// The largest memory that the pages may take in this process, for all routes together. Beyond it pages that
        /// are rarely used are removed. Default: 64 MiB, or an eighth of `server.memory` if that is less.
        size: Key<usize> => size("64KiB", "64GiB").example(r#""256MiB""#);
    }
}

table! {
    /// The keys of `[caches.pivots]`.
    PIVOTS: PivotsKeys => #[derive(Debug, Clone, Copy, PartialEq, Eq)] PivotCacheSettings {
        /// The largest memory that the sort keys may take in this process. Beyond it keys that are rarely used are
        /// removed. Default: 64 MiB, or an eighth of `server.memory` if that is less.
        pub size: Key<usize> => size("64KiB", "64GiB").example(r#""256MiB""#);

        /// The time for which the sort keys of an item are kept.
        pub ttl: Defaulted<Duration> => duration("1s", "30d").default(Text("10m"));
    }
}
