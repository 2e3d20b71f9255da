//! The keys of `[caches.shared]`.

use std::time::Duration;

use super::upstream::{UpstreamTls, UpstreamTlsKeys};
use crate::{
    diagnostic::Located,
    key::{Defaulted, Key, Literal::Text, duration, secret, sub_table, table, text, texts, word},
    schema::Schema,
    settings::{StoreKind, StoreUser},
    spanned::Spanned,
    syntax,
};

table! {
    /// The keys of `[caches.shared]`.
    STORE: StoreKeys => #[derive(Debug, Clone)] StoreSettings {
        /// The host and port of the server, of some nodes of the cluster, or of the sentinels, as `kind` says. They are
        /// tried in turn.
        pub addresses: Key<Vec<Located<String>>> as Vec<Located<String>> =>
            texts(&Schema::Text(syntax::store_address)).sample(r#"["redis.internal:6379"]"#);

        /// The kind of the servers at `addresses`.
        pub kind: Defaulted<StoreKind> => word().default(Text("server"));

        /// The name under which the sentinels know the master. It is required with `kind = "sentinel"`.
        pub master: Key<String> => text(syntax::name).example(r#""cursorgate""#);

        /// The ACL user of the gateway; docs/shared-store.md lists the rights that it needs. Default: the user
        /// `default`.
        username: Key<String> => text(syntax::name).example(r#""cursorgate""#);

        /// The password of the user. Without this key connections are not authenticated.
        password: Key<String> => secret().example(r#""file:/etc/cursorgate/redis.password""#);

        /// The ACL user of the gateway at the sentinels, if these have passwords.
        sentinel_username: Key<String> => text(syntax::name).example(r#""cursorgate""#);

        /// The password of the user at the sentinels. Without this key connections to sentinels are not authenticated.
        sentinel_password: Key<String> => secret().example(r#""file:/etc/cursorgate/sentinel.password""#);

        /// TLS to every server. `tls = {}` verifies the certificate of each server, and that it is for the host of the
        /// server's address, against the system's authorities. Without this key connections are not encrypted.
        pub tls: Key<Spanned> as Option<UpstreamTls> =>
            sub_table(UpstreamTlsKeys::KEYS).example(r#"{ ca = "/etc/cursorgate/redis-ca.pem" }"#);

        /// The longest time for which a request waits for each reply of the store, before it continues as without one.
        pub timeout: Defaulted<Duration> => duration("1ms", "1s").default(Text("10ms"));

        /// The longest time for a connection to be established, including TLS and the password. No request waits for
        /// this.
        pub connect_timeout: Defaulted<Duration> => duration("10ms", "1m").default(Text("1s"));

        /// The beginning of the names of all entries in the store. Gateways with the same prefix and keys of cursors
        /// share their entries.
        pub prefix: Defaulted<String> => text(syntax::store_prefix).default(Text("cursorgate"));

        /// The user of the gateway: `username` and `password`.
        pub user: StoreUser;

        /// The user of the gateway at the sentinels: `sentinel_username` and `sentinel_password`.
        pub sentinel_user: StoreUser;
    }
}
