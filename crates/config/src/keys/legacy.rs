//! The keys of `legacy` and `new_clients` of a route.

use super::rate_limit::{BrownoutKeys, LegacyRateLimitKeys};
use crate::{
    diagnostic::{Located, Location},
    key::{
        Defaulted, Key,
        Literal::{Count, Text, Texts},
        NamedTexts, count, day, list_of_tables, named_texts, sub_table, table, text, texts, word, words,
    },
    schema::Schema,
    settings::{AfterSunset, BrownoutSettings, LegacyClient, LegacyLinks, OldClients, QuotaSettings},
    spanned::Spanned,
    syntax,
};

table! {
    /// The keys of `legacy` of a route.
    LEGACY: LegacyKeys => #[derive(Debug, Clone)] LegacySettings {
        /// The treatment of links in answers that are passed on, also on routes that forward or observe: those in
        /// `Link` and `Location` and, in legacy pages, at the places that the dialect names (`next_url`, `prev_url`).
        /// Default: "rewrite" if the upstream has a `host_header`, else "keep".
        links: Key<LegacyLinks> => word().example(r#""rewrite""#);

        /// What tells legacy clients apart in /migration and /metrics. Default: `identity`, or else all clients of a
        /// route are counted together.
        pub client: Key<Spanned> as Option<LegacyClient> => sub_table(LegacyClientKeys::KEYS).optional_section();

        /// The day in the `Deprecation` header of legacy answers (RFC 9745).
        pub deprecation: Key<i64> => day().example("2026-01-15");

        /// The day in the `Sunset` header of legacy answers (RFC 8594): the end of support for legacy requests.
        pub sunset: Key<i64> => day().example("2036-12-31");

        /// The answer to legacy requests from the beginning of the day in `sunset` on, in UTC.
        pub after_sunset: Defaulted<AfterSunset> => word().default(Text("same"));

        /// The limit of each client's legacy requests. Lower it step by step before the sunset to make clients notice.
        pub rate_limit: Key<Spanned> as Option<QuotaSettings> =>
            sub_table(LegacyRateLimitKeys::KEYS).optional_section();

        /// Announced periods in which legacy requests fail, or have a lower limit, so clients notice before the sunset.
        pub brownouts: Key<Vec<Spanned>> as Vec<BrownoutSettings> => list_of_tables(&Schema::Table(BrownoutKeys::KEYS))
            .example(r#"[{ from = "2036-11-02T08:00:00Z", until = "2036-11-02T16:00:00Z" }]"#);

        /// The address of a page that explains the change to clients. Legacy answers link to it.
        pub documentation: Key<String> => text(syntax::url).example(r#""https://docs.example.com/cursors""#);

        /// The clients that used the list before, and what they get (`old_clients` of the route).
        pub old_clients: OldClients = OldClients::None;

        /// The location of `old_clients`; `None` if it isn't written.
        pub old_clients_at: Option<Location>;

        /// The location of `sunset`.
        pub sunset_at: Option<Location>;
    }
}

table! {
    /// The keys of `new_clients` of a route.
    NEW_CLIENTS: NewClientsKeys => #[derive(Debug, Clone)] NewClients {
        /// The first cursor: the word that new clients send in place of a cursor to begin a list. Choose another one
        /// where the word can be an item's id, with `mode = "seek"`.
        pub start: Defaulted<String> => text(syntax::first_cursor).default(Text("start"));

        /// A second path of the list, with the same parameters as `path`, on which every request is a new client's, for
        /// clients that can change only their base URL. Cursors are the same on both paths.
        pub path: Key<Located<String>> => text(syntax::name).example(r#""/v2/api/users""#);

        /// Names of parameters that mark a request as a new client's, beside the values that always do. Names that the
        /// dialect knows, filters, and any name on a list whose upstream ignores `limit` can't. "prefer" stands for the
        /// header `Prefer: envelope=NAME` with an envelope of this route: all answers of the list then have `Vary:
        /// Prefer`.
        pub by: Defaulted<Vec<Located<String>>> =>
            texts(&Schema::Text(syntax::name)).default(Texts(&[]));

        /// The location of "prefer" in `by`; `None` if `by` doesn't have it.
        pub by_preference: Option<Location>;
    }
}

table! {
    /// The keys of `legacy.client` of a route.
    LEGACY_CLIENT: LegacyClientKeys {
        /// The header whose value identifies a client. The scheme of `Authorization`, such as `Bearer`, is not a part
        /// of the value.
        header: Key<String> => text(syntax::header_name).example(r#""X-Api-Key""#);

        /// The query parameter whose value identifies a client, instead of `header`.
        parameter: Key<String> => text(syntax::name).example(r#""api_key""#);

        /// The form in which clients are shown.
        shown: Defaulted<ClientShown> => word().default(Text("hash"));

        /// Names of clients, each with the value of `header` or `parameter` that the client sends. Reports show the
        /// name instead of the value.
        names: Key<NamedTexts> => named_texts(
            &Schema::Secret,
            "write names = { mobile = \"env:NAME\" }: the value that identifies a client is a secret",
        ).example(r#"{ mobile = "env:MOBILE_API_KEY" }"#);

        /// The largest number of clients without a name that are counted separately. Further clients are counted
        /// together.
        max: Defaulted<usize> => count(1, 10_000).default(Count(100));
    }
}

words! {
    /// The form in which a client is shown.
    enum ClientShown {
        /// A hash of the value under the key that signs cursors. It doesn't reveal the value, and changes with the key.
        Hash = "hash",
        /// The value itself. Use this word only for values that aren't secret.
        Value = "value",
    }
}
