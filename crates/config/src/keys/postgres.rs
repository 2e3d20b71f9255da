//! The keys of `[services.exports.postgres]` and `[services.webhooks.postgres]`.

use std::time::Duration;

use super::upstream::{UpstreamTls, UpstreamTlsKeys};
use crate::{
    diagnostic::Located,
    key::{
        Defaulted, Key,
        Literal::{Count, Text},
        count, duration, secret, sub_table, table, text, texts,
    },
    schema::Schema,
    secret::Secret,
    spanned::Spanned,
    syntax,
};

table! {
    /// The keys of `[services.exports.postgres]` and `[services.webhooks.postgres]`.
    POSTGRES: PostgresKeys => #[derive(Debug, Clone)] PostgresSettings {
        /// The host and port of each server. The first one that accepts writes is used; standbys are skipped. A change
        /// of `addresses`, `database` or `connections` takes effect after a restart.
        pub addresses: Key<Vec<Located<String>>> as Vec<Located<String>> =>
            texts(&Schema::Text(syntax::postgres_address)).sample(r#"["postgres.internal:5432"]"#);

        /// The name of the database. The gateway creates its tables there; their names begin with `cursorgate_`. Those
        /// of webhooks are in a schema of their own, `cursorgate_webhooks`, so both services can have one database.
        pub database: Defaulted<String> => text(syntax::line).default(Text("cursorgate"));

        /// The user of the gateway. It must be allowed to create tables in its schema; docs/exports.md has the rights.
        pub username: Defaulted<String> => text(syntax::line).default(Text("cursorgate"));

        /// The password of the user. Without this key the server must accept the user without one.
        pub password: Key<String> as Option<Secret> => secret().example(r#""file:/etc/cursorgate/postgres.password""#);

        /// TLS. `tls = {}` verifies the server's certificate, and that it is for the host of the server's address,
        /// against the system's authorities. Without this key connections are not encrypted.
        pub tls: Key<Spanned> as Option<UpstreamTls> =>
            sub_table(UpstreamTlsKeys::KEYS).example(r#"{ ca = "/etc/cursorgate/postgres-ca.pem" }"#);

        /// The largest number of connections that this process opens. Each is used for one query at a time; further
        /// queries wait.
        pub connections: Defaulted<usize> => count(1, 100).default(Count(8));

        /// The longest time for a query, including the wait for a connection. Beyond it, the client gets 503.
        pub timeout: Defaulted<Duration> => duration("100ms", "5m").default(Text("10s"));

        /// The longest time for a connection to be established, including TLS and the password.
        pub connect_timeout: Defaulted<Duration> => duration("10ms", "1m").default(Text("3s"));

        /// The time after which another process takes over a job, if its process has ended or can't reach the server.
        /// With webhooks, a delivery is taken over this time after the time limit of its attempt.
        pub lease: Defaulted<Duration> => duration("1s", "10m").default(Text("15s"));
    }
}
