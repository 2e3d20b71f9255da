//! `[caches.shared]`

use std::time::Duration;

use super::upstream::UpstreamTlsKeys;
use crate::config::{
    diagnostic::Located,
    key::{Defaulted, Key, Literal::Text, duration, secret, sub_table, table, text, texts, word},
    schema::Schema,
    settings::StoreKind,
    spanned::Spanned,
    syntax,
};

table! {
    /// `[caches.shared]`
    STORE: StoreKeys {
        /// The addresses: the server itself, or some nodes of a cluster, or the sentinels. They are tried in turn.
        addresses: Key<Vec<Located<String>>> =>
            texts(&Schema::Text(syntax::store_address)).sample(r#"["redis.internal:6379"]"#);

        /// The servers at these addresses.
        kind: Defaulted<StoreKind> => word().default(Text("server"));

        /// The name by which sentinels know the master.
        master: Key<String> => text(syntax::name).example(r#""cursorgate""#);

        /// The ACL user. docs/shared-store.md has the least rights that it needs. Default: the user `default`.
        username: Key<String> => text(syntax::name).example(r#""cursorgate""#);

        /// The password.
        password: Key<String> => secret().example(r#""file:/etc/cursorgate/redis.password""#);

        /// The ACL user at the sentinels, if these have passwords.
        sentinel_username: Key<String> => text(syntax::name).example(r#""cursorgate""#);

        /// The password at the sentinels.
        sentinel_password: Key<String> => secret().example(r#""file:/etc/cursorgate/sentinel.password""#);

        /// TLS, to every server. `tls = {}` verifies the host of each address against the authorities of the system. Nodes of
        /// a cluster, and masters that sentinels name, are usually known by IP addresses: set `server_name` for these.
        tls: Key<Spanned> => sub_table(UpstreamTlsKeys::KEYS).example(r#"{ ca = "/etc/cursorgate/redis-ca.pem" }"#);

        /// The time that a request may wait for the store. After it the request goes on as if there were no store. After three
        /// failures in a row a server is not asked again until it has answered a trial.
        timeout: Defaulted<Duration> => duration("1ms", "1s").default(Text("10ms"));

        /// The time that a connection may take, TLS and the password included. No request waits for that.
        connect_timeout: Defaulted<Duration> => duration("10ms", "1m").default(Text("1s"));

        /// The beginning of all keys in the store. Gateways share what they know if they have the same one, and the same cursor
        /// keys.
        prefix: Defaulted<String> => text(syntax::store_prefix).default(Text("cursorgate"));
    }
}
