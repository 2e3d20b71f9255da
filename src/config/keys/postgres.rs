//! `[services.exports.postgres]`

use std::time::Duration;

use super::upstream::UpstreamTlsKeys;
use crate::config::{
    diagnostic::Located,
    key::{
        Defaulted, Key,
        Literal::{Count, Text},
        count, duration, secret, sub_table, table, text, texts,
    },
    schema::Schema,
    spanned::Spanned,
    syntax,
};

table! {
    /// `[services.exports.postgres]`
    POSTGRES: PostgresKeys {
        /// The addresses of the server: the first one at which a server writes is used, and standbys are passed over. A change
        /// takes effect after a restart, as one of `database` and `connections` does.
        addresses: Key<Vec<Located<String>>> =>
            texts(&Schema::Text(syntax::postgres_address)).sample(r#"["postgres.internal:5432"]"#);

        /// The database. The gateway makes its tables there, whose names begin with `cursorgate_`.
        database: Defaulted<String> => text(syntax::line).default(Text("cursorgate"));

        /// The user, which may make tables in its schema: docs/exports.md has the least rights.
        username: Defaulted<String> => text(syntax::line).default(Text("cursorgate"));

        /// The password.
        password: Key<String> => secret().example(r#""file:/etc/cursorgate/postgres.password""#);

        /// TLS. `tls = {}` verifies the certificate of the server and the host of its address against the authorities of the
        /// system, as `sslmode=verify-full` does elsewhere. Without it connections are not encrypted.
        tls: Key<Spanned> => sub_table(UpstreamTlsKeys::KEYS).example(r#"{ ca = "/etc/cursorgate/postgres-ca.pem" }"#);

        /// The largest number of connections of the process. Each is used by one question at a time.
        connections: Defaulted<usize> => count(1, 100).default(Count(8));

        /// The time that a question may take, with the wait for a connection. After it a request is answered with 503.
        timeout: Defaulted<Duration> => duration("100ms", "5m").default(Text("10s"));

        /// The time that a connection may take, TLS and the password included.
        connect_timeout: Defaulted<Duration> => duration("10ms", "1m").default(Text("3s"));

        /// The time after which a job is taken over from a process that has ended, or can't reach the server.
        lease: Defaulted<Duration> => duration("1s", "10m").default(Text("15s"));
    }
}
