//! The keys of `legacy` and `new_clients` of a route.

use super::rate_limit::{BrownoutKeys, LegacyRateLimitKeys};
use crate::{
    diagnostic::Located,
    key::{
        Defaulted, Key,
        Literal::{Count, Text, Texts},
        NamedTexts, count, day, list_of_tables, named_texts, sub_table, table, text, texts, word, words,
    },
    schema::Schema,
    settings::{AfterSunset, LegacyLinks},
    spanned::Spanned,
    syntax,
};

table! {
    /// The keys of `legacy` of a route.
    LEGACY: LegacyKeys {
        /// The treatment of links in answers that are passed on, also on routes that forward or observe: those in
        /// `Link` and `Location` and, in legacy pages, at the places that the dialect names (`next_url`, `prev_url`).
        /// Default: "rewrite" if the upstream has a `host_header`, else "keep".
        links: Key<LegacyLinks> => word().example(r#""rewrite""#);

        /// What tells legacy clients apart in /migration and /metrics. Default: `identity`, or else all clients of a
        /// route are counted together.
        client: Key<Spanned> => sub_table(LegacyClientKeys::KEYS).optional_section();

        /// The day in the `Deprecation` header of legacy answers (RFC 9745).
        deprecation: Key<i64> => day().example("2026-01-15");

        /// The day in the `Sunset` header of legacy answers (RFC 8594): the end of support for legacy requests.
        sunset: Key<i64> => day().example("2036-12-31");

        /// The answer to legacy requests from the beginning of the day in `sunset` on, in UTC.
        after_sunset: Defaulted<AfterSunset> => word().default(Text("same"));

        /// The limit of each client's legacy requests. Lower it step by step before the sunset to make clients notice.
        rate_limit: Key<Spanned> => sub_table(LegacyRateLimitKeys::KEYS).optional_section();

        /// Announced periods in which legacy requests fail, or have a lower limit, so clients notice before the sunset.
        brownouts: Key<Vec<Spanned>> => list_of_tables(&Schema::Table(BrownoutKeys::KEYS))
            .example(r#"[{ from = "2036-11-02T08:00:00Z", until = "2036-11-02T16:00:00Z" }]"#);

        /// The address of a page that explains the change to clients. Legacy answers link to it.
        documentation: Key<String> => text(syntax::url).example(r#""https://docs.example.com/cursors""#);
    }
}

table! {
    /// The keys of `new_clients` of a route.
    NEW_CLIENTS: NewClientsKeys {
        /// The first cursor: the word that new clients send in place of a cursor to begin a list. Choose another one
        /// where the word can be an item's id, with `mode = "seek"`.
        start: Defaulted<String> => text(syntax::first_cursor).default(Text("start"));

        /// A second path of the list, with the same parameters as `path`, on which every request is a new client's, for
        /// clients that can change only their base URL. Cursors are the same on both paths.
        path: Key<String> => text(syntax::name).example(r#""/v2/api/users""#);

        /// Names of parameters that mark a request as a new client's, beside the values that always do. Names that the
        /// dialect knows, filters, and any name on a list whose upstream ignores `limit` can't. "prefer" stands for the
        /// header `Prefer: envelope=NAME` with an envelope of this route: all answers of the list then have `Vary:
        /// Prefer`.
        by: Defaulted<Vec<Located<String>>> => texts(&Schema::Text(syntax::name)).default(Texts(&[]));
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
