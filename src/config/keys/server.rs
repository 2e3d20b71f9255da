//! `[server]`, `[listeners.NAME]`, `[admin]`, `[log]`, `[cursor]`, `[caches]`.

use std::time::Duration;

use http::HeaderName;

use super::store::StoreKeys;
use crate::config::{
    diagnostic::Located,
    key::{
        Defaulted, Key,
        Literal::{Boolean, Count, Text, Texts},
        NamedTexts, Word, count, duration, flag, header_name, header_names, list_of_words, named_tables, named_texts,
        secret, size, sub_table, table, text, texts, word,
    },
    schema::Schema,
    settings::{AccessLog, ClientCertificate, ContentCoding, LogFormat, LogLevel, TlsVersion},
    spanned::Spanned,
    syntax,
};

table! {
    /// `[server]`
    SERVER: ServerKeys {
        /// The scheme and host that links begin with. Without it links begin with the host that a trusted proxy says (see
        /// `forwarded_headers`), else with the request's `Host` if the route has it in `hosts`, else with the path, because
        /// a client can write any `Host`.
        public_url: Key<String> => text(syntax::base_url).sample(r#""https://api.example.com""#);

        /// The beginning of `type` in problem documents; the code of the problem is appended. Without it the type is
        /// about:blank. The site that `make docs` makes has a section for each code, after "docs/problems.html#".
        problem_types: Key<String> => text(syntax::uri).example(r#""https://docs.example.com/problems/""#);

        /// Networks whose proxies are trusted to say where a request came from, such as "10.20.0.0/16"; "unix" is those that
        /// connect to a unix socket.
        trusted_proxies: Defaulted<Vec<Located<String>>> =>
            texts(&Schema::Text(syntax::network)).default(Texts(&[]));

        /// The headers in which trusted proxies say it: all that they write themselves. From clients, and from proxies that
        /// only pass them on, these headers are neither believed nor forwarded, nor are Forwarded, X-Forwarded-Host,
        /// X-Real-IP, True-Client-IP and the like. The upstream receives X-Forwarded-For, X-Forwarded-Host and
        /// X-Forwarded-Proto from the gateway. Links begin with the scheme, host, port and prefix in X-Forwarded-Proto,
        /// X-Forwarded-Host, X-Forwarded-Port and X-Forwarded-Prefix, or in Forwarded, of which the last value counts, as
        /// far as they are listed here. List Host if the proxies check it.
        forwarded_headers: Defaulted<Vec<HeaderName>> => header_names(&Schema::Text(syntax::header_name))
            // Balancers and ingresses write these by themselves. They pass on the rest of the family as a client wrote it.
            .default(Texts(&["X-Forwarded-For", "X-Forwarded-Proto"]));

        /// The header in which upstreams receive the subject of a client's verified certificate (see `tls.clients` of a
        /// listener), such as "CN=billing,O=Example" (RFC 4514). The same header from clients is dropped, unless a trusted
        /// proxy says it and `forwarded_headers` lists it. Routes without a `principal` of their own tell clients apart by it.
        client_subject: Key<HeaderName> => header_name(syntax::header_name).example(r#""X-Client-Subject""#);

        /// Worker threads. Default: one for each core.
        threads: Key<usize> => count(1, 1_024).example("4");

        /// The largest request head: the request line with all headers. A larger one is answered with 431.
        head_size: Defaulted<usize> => size("1KiB", "1MiB").default(Text("16KiB"));

        /// Memory for upstream answers, request bodies, and pages on their way to clients, all together. Beyond it requests
        /// are answered with 503; a large page may not take the last quarter. Default: half of what the control group, or
        /// else the machine, has.
        memory: Key<usize> => size("8MiB", "1024GiB").example(r#""512MiB""#);

        /// The time that a request head may take from its first byte to its last, and that a TLS handshake may take. Of
        /// that, a head has 5 seconds, and a second more for each 512 bytes that have arrived.
        head_timeout: Defaulted<Duration> => duration("1s", "5m").default(Text("10s"));

        /// Clients that may be connected at a time. At the limit a new client takes the place of a connection without a
        /// request; if there is none, it is answered with 503. Default: 10000, or fewer if the limit of open files, which
        /// is raised as far as the system permits, leaves fewer.
        connections: Key<usize> => count(1, 1_000_000).example("10000");

        /// The number of them that may come from one address (from one /64 of IPv6). Networks in `trusted_proxies` have no such
        /// limit. Default: half of `connections`.
        connections_per_address: Key<usize> => count(1, 1_000_000).example("5000");

        /// The requests that a client may make at a time on one connection of HTTP/2. All but the first take a place among
        /// `connections` and `connections_per_address`, as if each had a connection of its own.
        streams_per_connection: Defaulted<u32> => count(1, 1_000).default(Count(100));

        /// The time that a connection may wait for its next request. After a load balancer, set it longer than the balancer
        /// keeps its connections.
        idle_timeout: Defaulted<Duration> => duration("1s", "1h").default(Text("75s"));

        /// The time for which new clients are still accepted after SIGTERM. From its beginning /readyz says 503, and answers
        /// close their connections. After a load balancer, set it longer than the balancer takes to notice. A second SIGTERM
        /// ends it.
        drain_delay: Defaulted<Duration> => duration("0s", "10m").default(Text("0s"));

        /// The time that requests in flight have to finish after that. Kubernetes kills 30 s after SIGTERM: the two
        /// together must be shorter.
        shutdown_timeout: Defaulted<Duration> => duration("0s", "1h").default(Text("25s"));

        /// The configuration is reloaded when its file changes, or a file that it names, such as a key: within about two
        /// seconds after the last change. Without it SIGHUP reloads, and POST /reload at the admin listener. Files of
        /// certificates are read again in any case.
        reload_on_change: Defaulted<bool> => flag().default(Boolean(false));

        /// Other processes of the same user may listen at the same addresses (SO_REUSEPORT), so that a new process can be
        /// started before the old one is stopped. Both then share the clients, and /readyz is either one's. SIGUSR2 replaces a
        /// process without this; see docs/restarts.md.
        reuse_port: Defaulted<bool> => flag().default(Boolean(false));

        /// The codings in which the gateway compresses its own responses: pages and problems. A client gets the one that its
        /// Accept-Encoding prefers, of equal ones the first in this list. `[]` compresses nothing. Forwarded answers stay as
        /// they are, except legacy pages whose links are rewritten.
        compression: Defaulted<Vec<ContentCoding>> =>
            list_of_words(&Schema::Word(ContentCoding::WORDS)).default(Texts(&["zstd", "br", "gzip"]));

        /// The smallest body that is compressed.
        compression_size: Defaulted<usize> => size("0B", "1GiB").default(Text("1KiB"));
    }
}

table! {
    /// `[listeners.NAME]`
    LISTENER: ListenerKeys {
        /// An IP address with a port; names are not resolved. "0.0.0.0:8080" is every address of IPv4, "[::]:8080" every
        /// address. Or a unix socket: "unix:/run/cursorgate/public.sock".
        address: Key<String> => text(syntax::listen_address).sample(r#""127.0.0.1:8080""#);

        /// The permissions of a unix socket: whoever may write to it may connect. Default: 0660, the owner and the group.
        mode: Key<String> => text(syntax::mode).example(r#""0660""#);

        /// Networks of proxies that begin each connection with a head of the PROXY protocol, version 1 or 2. The address in it
        /// is the client's, for `trusted_proxies` and all limits. Connections from elsewhere, and those without a head, are
        /// closed. "unix" is those that connect to a unix socket.
        proxy_protocol: Defaulted<Vec<Located<String>>> =>
            texts(&Schema::Text(syntax::network)).default(Texts(&[]));

        /// HTTP/2 in addition to HTTP/1.1: with TLS for clients that negotiate it (ALPN), without TLS for clients that begin with
        /// it ("prior knowledge").
        http2: Defaulted<bool> => flag().default(Boolean(true));

        /// TLS. Its files are PEM. They are read again within seconds of a change: a pair that can't be used leaves the one
        /// before in use, which the log, /metrics and /certificates of the admin listener report.
        tls: Key<Spanned> => sub_table(ListenerTlsKeys::KEYS).optional_section();
    }
}

table! {
    /// `tls` of a listener
    LISTENER_TLS: ListenerTlsKeys {
        /// The file of the certificate: the server's own first, then each one's issuer, without the authority at the end.
        certificate: Key<String> => text(syntax::name).sample(r#""/etc/cursorgate/tls.crt""#);

        /// The file of the private key, without a passphrase.
        key: Key<String> => secret().sample(r#""file:/etc/cursorgate/tls.key""#);

        /// Further certificates. A client gets the one with the name that it asks for (SNI), also by a wildcard, and else
        /// the one above.
        certificates: Key<Spanned> => named_tables(
            &Schema::Table(ListenerCertificateKeys::KEYS),
            "write [listeners.NAME.tls.certificates.NAME]",
        ).example(r#"{ shop = { certificate = "/etc/cursorgate/shop.crt", key = "file:/etc/cursorgate/shop.key" } }"#);

        /// The oldest version that is spoken.
        min_version: Defaulted<TlsVersion> => word().default(Text("1.2"));

        /// Certificates of clients. `server.client_subject` says to upstreams and to `principal` whose they are.
        clients: Key<Spanned> => sub_table(ListenerClientsKeys::KEYS).example(r#"{ ca = "/etc/cursorgate/clients.pem" }"#);
    }
}

table! {
    /// `tls.certificates.NAME` of a listener
    LISTENER_CERTIFICATE: ListenerCertificateKeys {
        /// The file of the certificate, as in `tls`.
        certificate: Key<String> => text(syntax::name).sample(r#""/etc/cursorgate/shop.crt""#);

        /// The file of the private key.
        key: Key<String> => secret().sample(r#""file:/etc/cursorgate/shop.key""#);
    }
}

table! {
    /// `tls.clients` of a listener
    LISTENER_CLIENTS: ListenerClientsKeys {
        /// The file with the authorities that clients' certificates come from. It is read again like the certificate.
        ca: Key<String> => text(syntax::name).sample(r#""/etc/cursorgate/clients.pem""#);

        /// The treatment of clients without one.
        certificate: Defaulted<ClientCertificate> => word().default(Text("required"));
    }
}

table! {
    /// `[admin]`
    ADMIN: AdminKeys {
        /// Keep it off the public network.
        address: Key<String> => text(syntax::address).sample(r#""127.0.0.1:9180""#);

        /// Names by which it may be asked, such as "metrics.internal", in addition to IP addresses and localhost. A web page
        /// in an operator's browser can make any other name lead here. /healthz answers under every name.
        hosts: Defaulted<Vec<Located<String>>> => texts(&Schema::Text(syntax::host)).default(Texts(&[]));

        /// The token of requests that change anything, such as POST /reload (`Authorization: Bearer TOKEN`). Without the key
        /// all of them are refused, at every address. Requests that only read need no token; GET /reload shows the report on
        /// the configuration to those with the token.
        token: Key<String> => secret().example(r#""file:/etc/cursorgate/admin.token""#);

        /// The key of permits, at least 32 random bytes: `cursorgate explain --sign` makes a permit with it, a header by which
        /// one request in production is explained. Those with the token read the explanation at /explanations. Without the
        /// key nothing is explained; see docs/explain.md.
        explain_key: Key<String> => secret().example(r#""file:/etc/cursorgate/explain.key""#);
    }
}

table! {
    /// `[log]`
    LOG: LogKeys {
        /// The format of lines.
        format: Defaulted<LogFormat> => word().default(Text("json"));

        /// The least severe level that is written. No level shows values of queries, cursors or credentials.
        level: Defaulted<LogLevel> => word().default(Text("info"));

        /// The requests that have a line of the access log, whatever `level` says. Lines of requests that the gateway itself
        /// failed are ERROR, those of other 5xx and of answers that upstreams broke off WARN, all others INFO.
        access: Defaulted<AccessLog> => word().default(Text("all"));
    }
}

table! {
    /// `[traces]`
    TRACES: TracesKeys {
        /// The upstream that takes the traces: one with the peers of an OpenTelemetry collector, which listens for OTLP over
        /// HTTP, usually at port 4318. Its `base_path`, `tls`, `headers` and `timeouts` hold for them. No route has to name it.
        upstream: Key<String> => text(syntax::name).sample(r#""collector""#);

        /// The number of requests of which one begins a trace. A request of a trusted proxy (`server.trusted_proxies`) with a `traceparent`
        /// continues that trace, and is recorded if the trace is.
        every: Defaulted<u32> => count(1, 1_000_000).default(Count(100));

        /// The `service.name` of the traces.
        service_name: Defaulted<String> => text(syntax::name).default(Text("cursorgate"));
    }
}

table! {
    /// `[cursor]`
    CURSOR_KEYS: CursorKeysKeys {
        /// The number of the key that signs new cursors. Every key below verifies.
        signing_key: Key<u32> => count(0, u32::MAX as u64).sample("1");

        /// Keys by their numbers, each at least 32 random bytes: `cursorgate keygen` makes one. The number is part of every
        /// cursor. To change keys, add a key, sign with it, and remove the old one when its cursors may end. A reload reads
        /// files again ("file:/etc/cursorgate/cursor.key"); a new environment takes a restart.
        keys: Key<NamedTexts> => named_texts(
            &Schema::Secret,
            "write keys = { 1 = \"env:NAME\" }; the number is in every cursor",
        ).sample(r#"{ 1 = "env:CURSORGATE_KEY" }"#);

        /// The lifetime of cursors. Without it they live as long as their key.
        ttl: Key<Duration> => TTL.example(r#""24h""#);

        /// Cursors are encrypted, for lists whose sort keys are private. Cursors that hold an upstream's tokens always are.
        sealed: Defaulted<bool> => flag().default(Boolean(false));
    }
}

/// Lifetimes of cursors.
pub(super) const TTL: crate::config::key::Type<Duration> = duration("1s", "3650d");

table! {
    /// `[caches]`
    CACHES: CachesKeys {
        /// Sort keys of items, for routes with `mode = "seek"`.
        pivots: Key<Spanned> => sub_table(PivotsKeys::KEYS).section();

        /// Pages, and answers of upstreams that can be asked for again by their `ETag` or `Last-Modified`, for routes with
        /// `page_cache`.
        pages: Key<Spanned> => sub_table(PagesKeys::KEYS).section();

        /// A server of Redis or Valkey that several processes share: the pages that one keeps, and the sort keys of items that
        /// it has served, are known to all, a client has its limits at all of them together, and /migration has the counts
        /// of all. Without this table each process knows its own alone. Values are sealed by the keys of cursors, and
        /// counts of limits have names that are hashed by them. A store that is down or slow costs speed and never a page;
        /// docs/shared-store.md.
        shared: Key<Spanned> => sub_table(StoreKeys::KEYS).optional_section();
    }
}

table! {
    /// `[caches.pages]`
    PAGES: PagesKeys {
        /// The memory that it may take. It is taken by routes with `page_cache` alone.
        size: Defaulted<usize> => size("64KiB", "64GiB").default(Text("64MiB"));
    }
}

table! {
    /// `[caches.pivots]`
    PIVOTS: PivotsKeys {
        /// The memory that it may take.
        size: Defaulted<usize> => size("64KiB", "64GiB").default(Text("64MiB"));

        /// The time for which the keys of an item are kept.
        ttl: Defaulted<Duration> => duration("1s", "30d").default(Text("10m"));
    }
}
