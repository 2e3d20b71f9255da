//! `[routes.NAME]`, and `defaults`.

use std::time::Duration;

use http::HeaderName;

use super::{legacy::LegacyKeys, list, rate_limit::RateLimitKeys};
use crate::{
    config::{
        diagnostic::Located,
        key::{
            Defaulted, Key,
            Literal::{Boolean, Count, Text, Texts},
            Word, count, duration, flag, header_names, list_of_words, named_tables, sub_table, table, text, texts,
            word, words,
        },
        schema::Schema,
        settings::{Action, Mode},
        spanned::Spanned,
        syntax,
    },
    pagination::{
        order::Ties,
        resolver::{ShortPages, Totals, Verify, WhenUnproven},
    },
};

table! {
    /// `[routes.NAME]`
    ROUTE: RouteKeys {
        /// The hosts that the route answers for. Default: all.
        hosts: Key<Vec<Located<String>>> => texts(&Schema::Text(syntax::host)).example(r#"["api.example.com"]"#);

        /// The path, with parameters as in "/tenants/{tenant}/invoices". `{*rest}` is the rest of a path, on routes that
        /// forward.
        path: Key<String> => text(syntax::name).sample(r#""/api/users""#);

        /// The methods that a list is asked by; requests with other methods on its path are forwarded. QUERY, and a method
        /// of the list in small letters, are refused. The body of a POST is a JSON object, in which every member that is no
        /// parameter of the client's is a filter.
        methods: Defaulted<Vec<ListMethod>> =>
            list_of_words(&Schema::Word(ListMethod::WORDS)).default(Texts(&["GET", "HEAD"]));

        /// The upstream, by its name.
        upstream: Key<String> => text(syntax::name).sample(r#""people""#);

        /// The path at the upstream: `{path}` is the client's path, and the parameters of the path have their names.
        upstream_path: Key<String> => text(syntax::name).example(r#""/internal{path}""#);

        /// The behaviour of the route.
        action: Defaulted<Action> => word().default(Text("paginate"));

        /// The observation of answers, with `action = "observe"`.
        observe: Key<Spanned> => sub_table(ObserveKeys::KEYS).example("{ every = 1 }");

        /// The way in which the upstream is asked and read: a built-in dialect, which `cursorgate dialects` shows, or one of
        /// [dialects]. Required on a route that serves or observes a list.
        dialect: Key<String> => text(syntax::name).sample(r#""offset-limit""#);

        /// The format of responses: standard, bare, batch, page-info, relay, jsonapi, hal, stripe (which needs
        /// `mode = "seek"`), aip, drf, odata, ogc, or one of [envelopes].
        envelope: Defaulted<String> => text(syntax::name).default(Text("standard"));

        /// Envelopes that clients can ask for instead, by the media type in `Accept` or by `Prefer: envelope=relay`.
        envelopes: Key<Vec<Located<String>>> => texts(&Schema::Text(syntax::name)).example(r#"["relay", "jsonapi"]"#);

        /// The name of the list. Default: the last fixed segment of the path.
        collection: Key<String> => text(syntax::name).example(r#""users""#);

        /// The order of the list: fields, with `-` for descending, and the id at the end. Without it pages are found by the
        /// items around them, which proves less.
        order: Key<Vec<Located<String>>> =>
            texts(&Schema::Text(syntax::sort_term)).sample(r#"["-created_at", "id"]"#);

        /// The place of the id in an item (JSON Pointer), instead of the dialect's.
        id: Key<String> => text(syntax::member_pointer).example(r#""/id""#);

        /// The order of items whose keys are equal. Default: ordered if the gateway asks the upstream for that, else
        /// unordered.
        ties: Key<Ties> => word().example(r#""unordered""#);

        /// The fields that orders and filters name.
        fields: Key<Spanned> => named_tables(
            &Schema::Table(list::FieldKeys::KEYS),
            "write fields = { NAME = { type = \"datetime\" } }",
        ).named("created_at", super::examples::FIELDS);

        /// Fields that this endpoint can sort by: clients may ask for them, and the gateway asks for the route's order if it
        /// has only such fields. "id" is the item's id; without it the upstream may return items with equal keys in any
        /// order.
        sortable: Defaulted<Vec<Located<String>>> => texts(&Schema::Text(syntax::field)).default(Texts(&[]));

        /// Fields by which this endpoint can be asked for ranges, in the words of the dialect's [filter]. Name only fields
        /// that really filter: many APIs ignore parameters that they do not know, and some compare ids as numbers and sort
        /// them as text.
        filterable: Defaulted<Vec<Located<String>>> => texts(&Schema::Text(syntax::field)).default(Texts(&[]));

        /// The strategy by which pages are found.
        mode: Defaulted<Mode> => word().default(Text("auto"));

        /// The pages that are proven by the upstream's answers.
        verify: Defaulted<Verify> => word().default(Text("always"));

        /// The answer where a page can't be proven.
        unproven: Defaulted<WhenUnproven> => word().default(Text("refuse"));

        /// The form of errors.
        errors: Defaulted<list::ErrorForm> => word().default(Text("envelope"));

        /// The answer where the budget is spent before a page is full.
        short_pages: Defaulted<ShortPages> => word().default(Text("refuse"));

        /// The number of items on a page.
        page_size: Key<Spanned> => sub_table(list::PageSizeKeys::KEYS).section();

        /// The size of the list that clients are told.
        total: Defaulted<Totals> => word().default(Text("upstream"));

        /// Headers that say whose view an answer is: callers who differ in one of them share nothing. Nothing is remembered
        /// of a request that has none of them but has a header that could be another credential. With [] every client sees
        /// the same lists.
        principal: Defaulted<Vec<HeaderName>> => header_names(&Schema::Text(syntax::header_name)).default(Texts(&[
            "Authorization", "Cookie", "X-Api-Key", "Api-Key", "X-Auth-Token", "X-Access-Token",
        ]));

        /// The cursors of the route.
        cursor: Key<Spanned> => sub_table(list::CursorKeys::KEYS).section();

        /// The parameters of clients. A parameter that is not renamed here has the name that the envelope gives it. A name
        /// that begins with a slash is a place in the body of a request by POST, such as "/payload/cursor".
        parameters: Key<Spanned> => sub_table(list::ParametersKeys::KEYS).section();

        /// Requests by the paging parameters of the dialect. Without a policy they are answered with 400.
        legacy: Key<Spanned> => sub_table(LegacyKeys::KEYS).optional_section();

        /// Pages are kept and served again without the upstream being asked, by all processes that share a store
        /// (`caches.shared`). Without this table no page is kept. docs/caching.md says which pages may be kept, and what the
        /// levels of pages mean then.
        page_cache: Key<Spanned> => sub_table(PageCacheKeys::KEYS).optional_section();

        /// After a page was served, the next one is made in the background, with the client's own headers, and kept. It needs
        /// `page_cache`, and is left out where the upstream or the gateway has much to do.
        prefetch: Defaulted<bool> => flag().default(Boolean(false));

        /// Limits of the requests in flight, from the head of a request to the last byte of its response.
        concurrency: Key<Spanned> => sub_table(ConcurrencyKeys::KEYS).optional_section();

        /// Limits of the requests of a client in a time. Answers tell clients how much is left, in `RateLimit` and
        /// `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers). With [caches.shared] all processes count together, and
        /// else each for itself. A process remembers 65,536 clients for each limit.
        rate_limit: Key<Spanned> => sub_table(RateLimitKeys::KEYS).optional_section();

        /// The scripts of other origins that may read answers. Without this table, preflight requests are forwarded, and
        /// what the upstream allows is passed on.
        cors: Key<Spanned> => sub_table(CorsKeys::KEYS).optional_section();

        /// The limits of one client request.
        budgets: Key<Spanned> => sub_table(list::BudgetsKeys::KEYS).section();

        /// The upstream's own OpenAPI document, by which `cursorgate openapi` describes items.
        openapi: Key<Spanned> => sub_table(OpenApiKeys::KEYS)
            .example(r#"{ file = "users.openapi.json", operation = "GET /api/users/" }"#);

        /// The scheme and host that links begin with, instead of those of [server].
        public_url: Key<String> => text(syntax::base_url).example(r#""https://users.example.com""#);
    }
}

words! {
    /// A method of a list.
    enum ListMethod {
        /// Needs HEAD as well.
        Get = "GET",
        /// Needs GET as well.
        Head = "HEAD",
        /// The parameters of clients may stand in the body.
        Post = "POST",
    }
}

words! {
    Ties {
        /// In any order: equal keys are read only as whole runs.
        Unordered = "unordered",
        /// Sorted by the id. This can't be checked: write it only where you know it.
        Ordered = "ordered",
    }
}

words! {
    Verify {
        /// All pages.
        Always = "always",
        /// Pages whose proof takes no further request; the others are served and flagged.
        WhenCheap = "when-cheap",
        /// No page: pages are served by their offsets, and items are skipped and repeated as they are by page=.
        Never = "never",
    }
}

words! {
    WhenUnproven {
        /// An error, with a link to begin again.
        Refuse = "refuse",
        /// The page that its cursor hints at, flagged.
        Flag = "flag",
    }
}

words! {
    ShortPages {
        /// An error.
        Refuse = "refuse",
        /// At least one item, flagged.
        Serve = "serve",
    }
}

words! {
    Totals {
        /// The total in an answer that lists all items.
        Upstream = "upstream",
        /// None.
        Omit = "omit",
        /// The same, or the answer to a request for the count, which has the client's filters under the same names. A count
        /// that calls them otherwise counts too much.
        Count = "count",
        /// The size as it was on the first page.
        FirstPage = "first-page",
    }
}

table! {
    /// `observe` of a route
    OBSERVE: ObserveKeys {
        /// Of how many answers to old clients one is read.
        every: Defaulted<u32> => count(1, 1_000_000).default(Count(1));
    }
}

table! {
    /// `page_cache` of a route
    PAGE_CACHE: PageCacheKeys {
        /// The time for which a page is served again as it is. Where the upstream says a shorter one (`max-age`, `s-maxage`,
        /// `Expires`), that holds. Pages that the upstream forbids to store are never kept. "0s" turns off the cache that
        /// `defaults` turn on.
        ttl: Defaulted<Duration> => duration("0s", "30d").default(Text("300s"));

        /// The time after that in which an old page is served once more while a new one is made (RFC 5861).
        stale_while_revalidate: Defaulted<Duration> => duration("0s", "30d").default(Text("0s"));

        /// The time after `ttl` in which an old page is served where the upstream can't be reached, is late, fails with 5xx, or
        /// gives an answer that is none (RFC 5861). A 4xx of the upstream passes all the same.
        stale_if_error: Defaulted<Duration> => duration("0s", "30d").default(Text("0s"));

        /// Pages that are for one client are kept too, each for its own `principal`, `Authorization` and `Cookie`: answers
        /// marked `private`, and answers to requests with `Authorization` that are not marked `public`, `s-maxage` or
        /// `must-revalidate`. Without this a shared cache may not keep them (RFC 9111 section 3.5).
        private: Defaulted<bool> => flag().default(Boolean(false));
    }
}

table! {
    /// `concurrency` of a route
    CONCURRENCY: ConcurrencyKeys {
        /// The requests that the route may have at a time. Further ones are answered with 503. Without this only the
        /// limits of the upstream and of the process hold.
        requests: Key<usize> => count(1, 1_000_000).example("200");

        /// The requests that one client may have at a time on the route. Further ones are answered with 429. A client is
        /// the value of the headers in `principal`, or else the address, as a trusted proxy says it, of IPv6 its /64.
        per_client: Key<usize> => count(1, 1_000_000).example("20");
    }
}

table! {
    /// `cors` of a route
    CORS: CorsKeys {
        /// Origins as browsers send them. ["*"] is all, without credentials; [] is the same as no `cors`.
        origins: Key<Vec<Located<String>>> =>
            texts(&Schema::Text(syntax::origin)).sample(r#"["https://app.example.com"]"#);

        /// Their scripts may send cookies and client certificates.
        credentials: Defaulted<bool> => flag().default(Boolean(false));

        /// The time for which a browser may keep the answer to a preflight request.
        max_age: Defaulted<Duration> => duration("0s", "1d").default(Text("10m"));
    }
}

table! {
    /// `openapi` of a route
    OPENAPI: OpenApiKeys {
        /// The file: an OpenAPI document 3.0 or 3.1 in JSON.
        file: Key<String> => text(syntax::name).sample(r#""users.openapi.json""#);

        /// The operation whose answer has the items.
        operation: Key<String> => text(syntax::line).example(r#""GET /api/users/""#);

        /// The schema of an item, instead of `operation`.
        schema: Key<String> => text(syntax::line).example(r##""#/components/schemas/User""##);
    }
}
