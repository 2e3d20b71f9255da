//! The keys of `[routes.NAME]`, and of `defaults`.

use std::time::Duration;

use http::HeaderName;

use super::{
    dialect::DialectSettings,
    envelope::EnvelopeSettings,
    legacy::{LegacyKeys, LegacySettings, NewClients, NewClientsKeys},
    list::{self, Budgets, CursorSettings, FieldSettings, PageSizeSettings, ParameterSettings},
    rate_limit::RateLimitKeys,
};
use crate::{
    diagnostic::Located,
    key::{
        Defaulted, Key,
        Literal::{Boolean, Count, Text, Texts},
        Word, caseless_texts, count, duration, flag, header_names, list_of_words, named_tables, sub_table, table, text,
        texts, word, words,
    },
    schema::Schema,
    settings::{Action, Mode, OldClients, SortTerm, WhenEndUnproven},
    spanned::Spanned,
    syntax,
};
use cursorgate_core::pagination::{
    order::{Direction, Ties},
    resolver::{ShortPages, Totals, Verify, WhenUnproven},
};

table! {
    /// The keys of `[routes.NAME]`.
    ROUTE: RouteKeys => #[derive(Debug, Clone)] ListSettings {
        /// The hosts for which the route answers. Default: all hosts.
        hosts: Key<Vec<String>> => caseless_texts(&Schema::Text(syntax::host)).example(r#"["api.example.com"]"#);

        /// The path, with parameters in braces: "/tenants/{tenant}/invoices". On routes that forward, `{*rest}` at the
        /// end stands for the rest of the path.
        path: Key<String> => text(syntax::name).sample(r#""/api/users""#);

        /// The methods of requests for the list. Requests for its path with other methods are forwarded, except QUERY
        /// and these methods in lower case, which are refused.
        methods: Defaulted<Vec<ListMethod>> =>
            list_of_words(&Schema::Word(ListMethod::WORDS)).default(Texts(&["GET", "HEAD"]));

        /// The name of the upstream, one of [upstreams].
        upstream: Key<String> => text(syntax::name).sample(r#""people""#);

        /// The path at the upstream. `{path}` stands for the client's path, and a parameter such as `{tenant}` for its
        /// value. Default: the client's path.
        upstream_path: Key<String> => text(syntax::name).example(r#""/internal{path}""#);

        /// The treatment of requests for this route.
        action: Defaulted<Action> => word().default(Text("paginate"));

        /// The observation of answers, with `action = "observe"`.
        observe: Key<Spanned> => sub_table(ObserveKeys::KEYS).example("{ every = 1 }");

        /// The dialect that describes the upstream's requests and answers: a built-in one, which `cursorgate dialects`
        /// lists, or one of [dialects]. It is required on a route that serves or observes a list.
        pub dialect: Key<Located<String>> as DialectSettings => text(syntax::name).sample(r#""offset-limit""#);

        /// The envelope that describes the requests and answers of clients: standard, bare, batch, page-info, relay,
        /// jsonapi, hal, stripe (which needs `mode = "seek"`), aip, drf, odata, ogc, or one of [envelopes].
        pub envelope: Defaulted<String> as EnvelopeSettings => text(syntax::name).default(Text("standard"));

        /// Further envelopes, which clients can choose by their media type in `Accept`, or by their name, as in
        /// `Prefer: envelope=relay`.
        pub envelopes: Key<Vec<Located<String>>> as Vec<EnvelopeSettings> =>
            texts(&Schema::Text(syntax::name)).example(r#"["relay", "jsonapi"]"#);

        /// The name of the list, in envelopes and descriptions. Default: the last fixed segment of `path`.
        pub collection: Key<String> as String => text(syntax::name).example(r#""users""#);

        /// The order in which the upstream lists the items: fields, with `-` for descending ones, and the id at the
        /// end. Without this key positions are found by the items around them (level `anchored`).
        pub order: Key<Vec<Located<String>>> as Vec<Located<SortTerm>> =>
            texts(&Schema::Text(syntax::sort_term)).sample(r#"["-created_at", "id"]"#);

        /// The place of the id in an item (JSON Pointer). Default: the place that the dialect declares.
        pub id: Key<Located<String>> => text(syntax::member_pointer).example(r#""/id""#);

        /// The order of items whose other keys are equal. Default: "ordered" if the gateway asks the upstream to sort
        /// by the id as well, else "unordered".
        pub ties: Key<Ties> => word().example(r#""unordered""#);

        /// The fields that orders and filters name, with the form of their values.
        pub fields: Key<Spanned> as Vec<FieldSettings> => named_tables(
            &Schema::Table(list::FieldKeys::KEYS),
            "write fields = { NAME = { type = \"datetime\" } }",
        ).named("created_at", super::examples::FIELDS);

        /// The fields by which this endpoint can sort. Clients may sort by them, and the gateway requests the route's
        /// order if it consists of them. "id" stands for the item's id; without it, items with equal keys may come in
        /// any order.
        pub sortable: Defaulted<Vec<Located<String>>> => texts(&Schema::Text(syntax::field)).default(Texts(&[]));

        /// The fields that this endpoint can filter by ranges, as [filter] of the dialect describes. List only fields
        /// that really filter: many APIs ignore unknown parameters.
        pub filterable: Defaulted<Vec<Located<String>>> => texts(&Schema::Text(syntax::field)).default(Texts(&[]));

        /// The way in which pages are found.
        pub mode: Defaulted<Mode> as Located<Mode> = Key::placed => word().default(Text("auto"));

        /// The pages that must be proven by the upstream's answers.
        pub verify: Defaulted<Verify> => word().default(Text("always"));

        /// The answer if a page can't be proven.
        pub unproven: Defaulted<WhenUnproven> => word().default(Text("refuse"));

        /// The answer if a list ends although a total, a flag or a link of the upstream says that more items follow,
        /// and no further request refutes it.
        pub unproven_end: Defaulted<WhenEndUnproven> => word().default(Text("flag"));

        /// The form in which clients get errors.
        errors: Defaulted<list::ErrorForm> => word().default(Text("envelope"));

        /// The answer if the budget is used up before a page is full.
        pub short_pages: Defaulted<ShortPages> => word().default(Text("refuse"));

        /// The number of items of a page.
        pub page_size: Key<Spanned> as PageSizeSettings => sub_table(list::PageSizeKeys::KEYS).section();

        /// The source of the total number of items that clients are told.
        pub total: Defaulted<Totals> => word().default(Text("upstream"));

        /// The headers that identify a client. Clients with different values of one of them share no answer. If a
        /// request has another header that could identify a client, such as `X-Tenant-Id`, nothing of its answer is
        /// stored: add the header here. With `[]` all clients see the same lists.
        pub principal: Defaulted<Vec<HeaderName>> => header_names(&Schema::Text(syntax::header_name)).default(Texts(&[
            "Authorization", "Cookie", "X-Api-Key", "Api-Key", "X-Auth-Token", "X-Access-Token",
        ]));

        /// Headers that say nothing about a person, in addition to those that the gateway knows, such as `User-Agent`
        /// and `Traceparent`. List no header by which your upstream decides what a client sees. Bulk requests and
        /// webhooks have the list of [defaults].
        pub impersonal: Defaulted<Vec<HeaderName>> =>
            header_names(&Schema::Text(syntax::header_name)).default(Texts(&[]));

        /// What identifies a client, in place of `principal`. Its elements together: "header:NAME", "cookie:NAME",
        /// "parameter:NAME" (a private parameter of the query), "certificate" (the subject of a verified certificate),
        /// "jwt:CLAIM" (a claim of a bearer token that `server.tokens` verifies), "answer:PLACE" (a member such as
        /// "/user/id" or a header of the answer to `server.identity_answer`). A request without any of them, or with
        /// one that can't be verified, is treated as without this key. See docs/identity.md.
        identity: Defaulted<Vec<Located<String>>> => texts(&Schema::Text(syntax::identity)).default(Texts(&[]));

        /// The form of the route's cursors.
        pub cursor: Key<Spanned> as CursorSettings => sub_table(list::CursorKeys::KEYS).section();

        /// Other names of the route whose cursors are accepted: its former name, and the next one while replicas are
        /// renamed one by one. See docs/restarts.md.
        was: Key<Vec<String>> => texts(&Schema::Text(syntax::name)).example(r#"["people"]"#);

        /// The names of the clients' parameters. A parameter that isn't listed here has the name that the envelope
        /// gives it. A name that begins with a slash, such as "/payload/cursor", is a place in the body of a POST.
        pub parameters: Key<Spanned> as ParameterSettings => sub_table(list::ParametersKeys::KEYS).section();

        /// What the requests of old clients get. These are all requests without the value `start` as the first cursor,
        /// or the cursor of a page. This key is required on routes that paginate, here or in [defaults].
        old_clients: Key<OldClients> => word().sample(r#""pass""#);

        /// Further marks of new clients.
        pub new_clients: Key<Spanned> as NewClients => sub_table(NewClientsKeys::KEYS).section();

        /// The requests of old clients, which don't use cursors yet: dates, links, limits, and who still sends them.
        pub legacy: Key<Spanned> as LegacySettings => sub_table(LegacyKeys::KEYS).optional_section();

        /// The page cache: pages are stored and served again without a request to the upstream, by all processes that
        /// share a store (`caches.shared`). See docs/caching.md.
        pub page_cache: Key<Spanned> as Option<PageCacheSettings> => sub_table(PageCacheKeys::KEYS).optional_section();

        /// With `true`, the page after a served one is made in the background, with the client's own headers, and
        /// stored. This needs `page_cache`.
        prefetch: Defaulted<bool> => flag().default(Boolean(false));

        /// Limits of the requests in flight. A request is in flight from its head to the last byte of its response.
        concurrency: Key<Spanned> => sub_table(ConcurrencyKeys::KEYS).optional_section();

        /// Limits of the requests that each client sends in a period. Answers have the remainder in `RateLimit` and
        /// `RateLimit-Policy`. With [caches.shared] all processes count together, otherwise each counts alone. See
        /// docs/limits.md.
        rate_limit: Key<Spanned> => sub_table(RateLimitKeys::KEYS).optional_section();

        /// The origins whose scripts may read answers. Without this table, preflight requests are forwarded, and the
        /// CORS headers of the upstream are passed on.
        cors: Key<Spanned> => sub_table(CorsKeys::KEYS).optional_section();

        /// The limits of a single client request.
        pub budgets: Key<Spanned> as Budgets => sub_table(list::BudgetsKeys::KEYS).section();

        /// The upstream's own OpenAPI document, with which `cursorgate openapi` describes the items.
        openapi: Key<Spanned> => sub_table(OpenApiKeys::KEYS)
            .example(r#"{ file = "users.openapi.json", operation = "GET /api/users/" }"#);

        /// The scheme and host with which the links of this route begin. Default: `server.public_url`.
        public_url: Key<String> => text(syntax::base_url).example(r#""https://users.example.com""#);

        /// The envelope of requests that services make through the gateway; `None` if no service reads lists.
        pub inner: Option<EnvelopeSettings>;

        /// True if the route declares an order. Otherwise `order` is empty.
        pub declared: bool;

        /// The direction of the id, which is the last term of the order and not in `order`.
        pub id_direction: Direction = Direction::Ascending;
    }
}

words! {
    /// A method of requests for a list.
    enum ListMethod {
        /// Requests by GET. HEAD must be listed too.
        Get = "GET",
        /// Requests by HEAD. GET must be listed too.
        Head = "HEAD",
        /// Requests by POST. The parameters of clients may be in the body.
        Post = "POST",
    }
}

words! {
    Ties {
        /// In any order. The gateway reads items with equal keys only as whole groups, and sorts each group by the id.
        Unordered = "unordered",
        /// Sorted by the id. The gateway can't check this, so declare it only if it is certain.
        Ordered = "ordered",
    }
}

words! {
    Verify {
        /// All pages are proven.
        Always = "always",
        /// Pages are proven if that takes no further request. Other pages are served unproven, with a flag.
        WhenCheap = "when-cheap",
        /// No page is proven. Pages are served by their offsets, so items are skipped and repeated as by `page=`.
        Never = "never",
    }
}

words! {
    WhenUnproven {
        /// An error, with a link to the first page.
        Refuse = "refuse",
        /// The page at the estimated place of the cursor, with a flag.
        Flag = "flag",
    }
}

words! {
    ShortPages {
        /// The request is refused with 503. By token, a page whose responses had fewer items than requested is served
        /// short, because it would be refused each time.
        Refuse = "refuse",
        /// The items so far, at least one, with a flag.
        Serve = "serve",
    }
}

words! {
    Totals {
        /// The total in the answers that list the items, if they contain one.
        Upstream = "upstream",
        /// No total is shown.
        Omit = "omit",
        /// The total in the answers that list the items, or else of a separate request with the client's filters.
        Count = "count",
        /// The total at the time of the walk's first page, for all of its pages.
        FirstPage = "first-page",
    }
}

table! {
    /// The keys of `observe` of a route.
    OBSERVE: ObserveKeys => #[derive(Debug, Clone, Copy, PartialEq, Eq)] ObserveSettings {
        /// The number of answers among which one is read.
        pub every: Defaulted<u32> => count(1, 1_000_000).default(Count(1));
    }
}

table! {
    /// The keys of `page_cache` of a route.
    PAGE_CACHE: PageCacheKeys => #[derive(Debug, Clone, Copy, PartialEq, Eq)] PageCacheSettings {
        /// The time for which a stored page is fresh, and is served as it is. If the upstream sets a shorter time
        /// (`max-age`, `s-maxage`, `Expires`), that time applies. With "0s" the route has no cache, even if `defaults`
        /// have one.
        pub ttl: Defaulted<Duration> => duration("0s", "30d").default(Text("300s"));

        /// The time after `ttl` in which an old page is still served while a new one is made in the background (RFC
        /// 5861).
        pub stale_while_revalidate: Defaulted<Duration> => duration("0s", "30d").default(Text("0s"));

        /// The time after `ttl` in which an old page is served if no new one can be made (RFC 5861). A 4xx of the
        /// upstream is passed on in any case.
        pub stale_if_error: Defaulted<Duration> => duration("0s", "30d").default(Text("0s"));

        /// With `true`, pages for a single client are stored too, separately for each `principal`, `Authorization` and
        /// `Cookie`. These are answers marked `private`, and answers to requests with `Authorization` that aren't
        /// marked `public`, `s-maxage` or `must-revalidate` (RFC 9111, section 3.5).
        pub private: Defaulted<bool> => flag().default(Boolean(false));

        /// True if pages are made in the background after a page was served (`prefetch` of the route).
        pub prefetch: bool;
    }
}

table! {
    /// The keys of `concurrency` of a route.
    CONCURRENCY: ConcurrencyKeys => #[derive(Debug, Clone, PartialEq, Eq)] ConcurrencySettings {
        /// The largest number of requests in flight on this route, of all clients together. Further ones are answered
        /// with 503. Without this key only the limits of the upstream and of the process apply.
        pub requests: Key<usize> => count(1, 1_000_000).example("200");

        /// The largest number of requests in flight on this route for each client. Further ones are answered with 429.
        /// Requests for which no client waits, such as those of exports, count only in `requests`.
        pub per_client: Key<usize> => count(1, 1_000_000).example("20");

        /// The headers that identify clients.
        pub principal: Vec<HeaderName>;
    }
}

table! {
    /// The keys of `cors` of a route.
    CORS: CorsKeys => #[derive(Debug, Clone, PartialEq, Eq)] CorsSettings {
        /// The origins, as browsers send them. ["*"] permits all origins, without credentials. [] has the same effect
        /// as no `cors`.
        pub origins: Key<Vec<Located<String>>> as Vec<String> =>
            texts(&Schema::Text(syntax::origin)).sample(r#"["https://app.example.com"]"#);

        /// With `true`, scripts of these origins may send cookies and client certificates.
        pub credentials: Defaulted<bool> => flag().default(Boolean(false));

        /// The time for which a browser may store the answer to a preflight request.
        pub max_age: Defaulted<Duration> => duration("0s", "1d").default(Text("10m"));
    }
}

table! {
    /// The keys of `openapi` of a route.
    OPENAPI: OpenApiKeys {
        /// The path of the file: an OpenAPI document of version 3.0 or 3.1 in JSON.
        file: Key<Located<String>> => text(syntax::name).sample(r#""users.openapi.json""#);

        /// The operation whose answer contains the items: its method and its path.
        operation: Key<String> => text(syntax::line).example(r#""GET /api/users/""#);

        /// The place of the schema of an item in the document, instead of `operation`.
        schema: Key<String> => text(syntax::line).example(r##""#/components/schemas/User""##);
    }
}
