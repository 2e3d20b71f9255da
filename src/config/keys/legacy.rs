//! `legacy` of a route.

use super::rate_limit::{BrownoutKeys, LegacyRateLimitKeys};
use crate::config::{
    key::{
        Defaulted, Key,
        Literal::{Count, Text},
        NamedTexts, count, day, list_of_tables, named_texts, sub_table, table, text, word, words,
    },
    schema::Schema,
    settings::{AfterSunset, LegacyLinks, LegacyPolicy, Unmarked},
    spanned::Spanned,
    syntax,
};

table! {
    /// `legacy` of a route
    LEGACY: LegacyKeys {
        /// The answer to a request by page or offset: with the dialect's paging parameters in its query or, by POST, with
        /// the dialect's paging members in its body.
        policy: Key<LegacyPolicy> => word().example(r#""passthrough""#);

        /// The meaning of a request without any paging parameter. It must be written where the policy is passthrough.
        unmarked: Defaulted<Unmarked> => word().default(Text("new"));

        /// The links in answers that pass through, also on routes that forward or observe: those in Link and Location, and
        /// in legacy pages those in the places that the dialect names (`next_url`, `prev_url`). Default: "rewrite" if the
        /// upstream has a `host_header`, because it then writes links to a host that clients may not reach.
        links: Key<LegacyLinks> => word().example(r#""rewrite""#);

        /// The identification of clients that still send such requests, for /migration and /metrics of the admin listener.
        /// Without it they are counted by route alone.
        client: Key<Spanned> => sub_table(LegacyClientKeys::KEYS).optional_section();

        /// The day of the `Deprecation` header (RFC 9745).
        deprecation: Key<i64> => day().example("2026-01-15");

        /// The day of the `Sunset` header (RFC 8594).
        sunset: Key<i64> => day().example("2036-12-31");

        /// The policy from the beginning of that day on, in UTC.
        after_sunset: Defaulted<AfterSunset> => word().default(Text("same"));

        /// The limit of a client's legacy requests. Lower it step by step on the way to the sunset.
        rate_limit: Key<Spanned> => sub_table(LegacyRateLimitKeys::KEYS).optional_section();

        /// Announced times in which legacy requests fail, or are fewer than otherwise, so that whoever still depends on
        /// them notices before they end. Their answers have the headers and links of every legacy answer.
        brownouts: Key<Vec<Spanned>> => list_of_tables(&Schema::Table(BrownoutKeys::KEYS))
            .example(r#"[{ from = "2036-11-02T08:00:00Z", until = "2036-11-02T16:00:00Z" }]"#);

        /// The address of a page that explains the change to clients.
        documentation: Key<String> => text(syntax::url).example(r#""https://docs.example.com/cursors""#);
    }
}

table! {
    /// `legacy.client` of a route
    LEGACY_CLIENT: LegacyClientKeys {
        /// The header that tells clients apart; of `Authorization`, what follows its scheme.
        header: Key<String> => text(syntax::header_name).example(r#""X-Api-Key""#);

        /// The query parameter that tells clients apart, instead of a header.
        parameter: Key<String> => text(syntax::name).example(r#""api_key""#);

        /// The form in which clients are shown.
        shown: Defaulted<ClientShown> => word().default(Text("hash"));

        /// Names for some of the clients.
        names: Key<NamedTexts> => named_texts(
            &Schema::Secret,
            "write names = { mobile = \"env:NAME\" }: what the client is known by is a secret",
        ).example(r#"{ mobile = "env:MOBILE_API_KEY" }"#);

        /// The number of clients that are counted apart, in addition to those with names. The others are counted together.
        max: Defaulted<usize> => count(1, 10_000).default(Count(100));
    }
}

words! {
    /// The form in which a client is shown.
    enum ClientShown {
        /// A keyed hash, which reveals nothing of it and differs where the signing key differs.
        Hash = "hash",
        /// The value itself, if it is no secret.
        Value = "value",
    }
}
