//! The keys of a route that serves or observes a list.

use std::time::Duration;

use http::HeaderName;

use super::server::TTL;
use crate::{
    diagnostic::{Located, Location},
    key::{
        Defaulted, Key,
        Literal::{Count, Text, Texts},
        NamedTexts, Word, count, duration, flag, header_names, list_of_words, named_texts, size, table, text, texts,
        word, words,
    },
    schema::Schema,
    settings::{AlsoAccepted, OverMax, Role},
    syntax,
};
use cursorgate_core::pagination::order::{Grain, Kind, Nulls};

words! {
    /// The form of a route's errors.
    enum ErrorForm {
        /// The form of the envelope, or problem documents (RFC 9457) if it declares none.
        Envelope = "envelope",
        /// Problem documents.
        Problem = "problem",
        /// The error objects of JSON:API.
        JsonApi = "jsonapi",
        /// An object with the members `statusCode`, `message` and `error`.
        Flat = "flat",
    }
}

table! {
    /// The keys of `fields.NAME` of a route.
    FIELD: FieldKeys => #[derive(Debug, Clone)] FieldSettings {
        /// The type of the field's values, which decides how they are compared. Default: the type of the values in the
        /// answers.
        pub kind("type"): Key<FieldType> as Kind = |_, _| Kind::Inferred => word().example(r#""datetime""#);

        /// The values of a field with `type = "rank"`, in ascending order.
        ranks: Key<Vec<String>> => texts(&Schema::Text(syntax::line)).example(r#"["low", "normal", "high"]"#);

        /// The precision with which the field is shown, if the upstream sorts by a finer one: "day", "s", "ms" or "us"
        /// for times, and a step such as "1", "0.1" or "0.01" for numbers.
        pub grain: Key<String> as Option<Grain> => text(syntax::grain).example(r#""ms""#);

        /// The place of nulls in the order. Without this key a page that contains a null can't be proven.
        pub nulls: Key<Nulls> as Nulls = |key, table| key.read(table).unwrap_or(Nulls::Unsaid) =>
            word().example(r#""none""#);

        /// The language whose rules the upstream uses to sort the field, or the name of another order, such as one that
        /// ignores case. The field is then compared as with `type = "opaque"`.
        pub collation: Key<String> => text(syntax::name).example(r#""en""#);

        /// The place of the field in an item (JSON Pointer). Default: "/" and the name of the field.
        pub at: Key<Located<String>> => text(syntax::member_pointer).example(r#""/meta/created_at""#);

        /// The name of the field in the upstream's sort and filters. Default: its name here.
        pub upstream: Key<String> => text(syntax::name).example(r#""created""#);

        /// The name of the field.
        pub name: String;
    }
}

words! {
    /// The type of a field's values.
    enum FieldType {
        /// JSON numbers.
        Number = "number",
        /// JSON strings that contain numbers, compared as numbers.
        NumberInString = "number-in-string",
        /// JSON strings, compared by their UTF-8 bytes.
        Text = "string",
        /// Dates and times (RFC 3339), compared as instants.
        Datetime = "datetime",
        /// Booleans; false is before true.
        Boolean = "boolean",
        /// UUIDs, compared without regard to case.
        Uuid = "uuid",
        /// Strings in the order of `ranks`.
        Rank = "rank",
        /// Values that the gateway can't compare, only tell apart. The field must be the last key before the id. Pages
        /// are exact if the upstream also sorts by the id, and are otherwise found by the items around them.
        Opaque = "opaque",
    }
}

words! {
    Nulls {
        /// No value is null.
        None = "none",
        /// Nulls are smaller than every value: first in ascending order, last in descending order.
        Smallest = "smallest",
        /// Nulls are larger than every value: last in ascending order, first in descending order.
        Largest = "largest",
        /// Nulls are at the beginning of the list, in either direction.
        First = "first",
        /// Nulls are at the end of the list, in either direction.
        Last = "last",
    } without Unsaid
}

table! {
    /// The keys of `page_size` of a route.
    PAGE_SIZE: PageSizeKeys => #[derive(Debug, Clone, Copy, PartialEq, Eq)] PageSizeSettings {
        /// The number of items of a page if the client requests none. At most `max`.
        pub default: Defaulted<u32> => count(1, 1_000_000).default(Count(20));

        /// The largest number of items of a page that clients may request.
        pub max: Defaulted<u32> => count(1, 1_000_000).default(Count(100));

        /// The treatment of a request for more than `max` items. Default: the treatment that the envelope declares.
        pub over_max: Key<OverMax> => word().example(r#""clamp""#);

        /// The location of `max`, or of the dialect's name if the route doesn't set `max`.
        pub at: Location;
    }
}

table! {
    /// The keys of `cursor` of a route.
    CURSOR: CursorKeys => #[derive(Debug, Clone)] CursorSettings {
        /// The same as `sealed` of [cursor], for this route. Default: the value there.
        pub sealed: Key<bool> as bool => flag().example("true");

        /// The same as `ttl` of [cursor], for this route. Default: the value there.
        pub ttl: Key<Duration> => TTL.example(r#""1h""#);

        /// Cursors that are accepted beside those that the route makes, as `accept` of [cursor]. Default: the value of
        /// [cursor].
        pub accept: Key<Vec<AlsoAccepted>> as Vec<AlsoAccepted> =>
            list_of_words(&Schema::Word(AlsoAccepted::WORDS)).example(r#"["sealed"]"#);

        /// The headers to which a cursor is bound, such as "X-Tenant-Id". With another value of it, the cursor is
        /// refused with 400.
        pub bind: Defaulted<Vec<HeaderName>> => header_names(&Schema::Text(syntax::header_name)).default(Texts(&[]));

        /// The largest number of characters in a cursor. A longer one of a client is refused with 400; a page that
        /// needs one is answered with 502.
        pub length: Defaulted<usize> => count(256, 8_192).default(Count(2_048));

        /// The other names of the route whose cursors are accepted (`was`).
        pub names: Vec<String>;
    }
}

table! {
    /// The keys of `parameters` of a route.
    ROUTE_PARAMETERS: ParametersKeys => #[derive(Debug, Clone)] ParameterSettings {
        /// The parameter for the number of items, or a preference for it (RFC 7240) such as "prefer:odata.maxpagesize".
        limit: Key<String> => text(syntax::name).example(r#""limit""#);

        /// The parameter for the number of items of a page that is read backward, from the end of the list or from
        /// `before`.
        limit_backward: Key<String> => text(syntax::name).example(r#""last""#);

        /// The parameter for the cursor of a page.
        cursor: Key<String> => text(syntax::name).example(r#""cursor""#);

        /// The parameter for the cursor of an item after which the page begins.
        after: Key<String> => text(syntax::name).example(r#""after""#);

        /// The parameter for the cursor of an item before which the page ends.
        before: Key<String> => text(syntax::name).example(r#""before""#);

        /// The parameter for the id of an item after which the page begins, wherever that item is now. It needs `mode =
        /// "seek"`.
        after_id: Key<String> => text(syntax::name).example(r#""after_id""#);

        /// The parameter for the id of an item before which the page ends, wherever that item is now. It needs `mode =
        /// "seek"`.
        before_id: Key<String> => text(syntax::name).example(r#""before_id""#);

        /// The parameter for the order. Its value has one of the forms `-created_at,email`,
        /// `desc(created_at),asc(email)` and `created_at.desc,email.asc`, or the form of the dialect.
        sort: Key<String> => text(syntax::name).example(r#""sort""#);

        /// Parameters that are forwarded but appear in no link, log or cursor, such as "api_key".
        pub private: Defaulted<Vec<String>> => texts(&Schema::Text(syntax::name)).default(Texts(&[]));

        /// Parameters that are forwarded but to which no cursor is bound, such as "utm_source", or "/trace_id" in a
        /// body. A client may change them within a walk.
        pub ignored: Defaulted<Vec<String>> => texts(&Schema::Text(syntax::name)).default(Texts(&[]));

        /// Filters of the upstream whose names other APIs use for paging or sorting, such as "order" or "first".
        /// Otherwise such names are refused with 400 `parameter_invalid`; docs/parameters.md lists them.
        pub filters: Defaulted<Vec<Located<String>>> => texts(&Schema::Text(syntax::name)).default(Texts(&[]));

        /// Parameters of the upstream's query that are taken from the body of a POST, each with its place there (JSON
        /// Pointer).
        pub query: Key<NamedTexts> as NamedTexts = Key::or_empty =>
            named_texts(&Schema::Text(syntax::body_pointer), "write query = { NAME = \"/payload/NAME\" }")
                .example(r#"{ team = "/payload/team" }"#);

        /// The parameters that the route names itself, such as `limit = "count"`. Each of these names replaces the
        /// envelope's.
        pub renamed: Vec<(Role, Located<String>)>;
    }
}

table! {
    /// The keys of `budgets` of a route.
    BUDGETS: BudgetsKeys => #[derive(Debug, Clone, Copy, PartialEq, Eq)] Budgets {
        /// The longest time for a client's request for a page. The client then gets 504 during an upstream request, and
        /// 503 between two.
        pub time: Defaulted<Duration> => duration("1ms", "1h").default(Text("30s"));

        /// The largest number of upstream requests for a page. A page that needs more is treated as `short_pages` says.
        pub upstream_requests: Defaulted<u32> => count(1, 1_000).default(Count(8));

        /// The largest number of upstream requests for a page that must be searched for, because the list has changed
        /// much, or whose items are read over long runs of equal keys; at least `upstream_requests`. Beyond it, the
        /// request is answered with 503.
        pub search_requests: Defaulted<u32> => count(1, 10_000).default(Count(40));

        /// The largest distance in items, in each direction, that a search covers in a list without a declared order.
        pub search_items: Defaulted<u32> => count(1, 1_000_000).default(Count(1_000));

        /// The largest offset of a page that a legacy client requests by page or offset and that the gateway translates
        /// or redirects. A page further on is refused with 400 `too_deep`.
        pub offset: Defaulted<u64> => count(0, u64::MAX).default(Count(10_000_000));

        /// The largest answer of the upstream, uncompressed. A larger one is refused with 502.
        pub answer_size: Defaulted<usize> => size("1KiB", "1GiB").default(Text("10MiB"));

        /// The deepest nesting of the JSON in an answer of the upstream. An answer with deeper nesting is refused with
        /// 502.
        pub answer_depth: Defaulted<u16> => count(1, 1_024).default(Count(128));

        /// The longest `Link` header. If it would be longer, some of its links are left out, and `next` last of all.
        pub link_length: Defaulted<usize> => size("256B", "64KiB").default(Text("4KiB"));

        /// The largest body of a request. A larger one is refused with 413, unless the request is an old client's that
        /// passes to the upstream.
        pub body_size: Defaulted<usize> => size("1KiB", "64MiB").default(Text("1MiB"));

        /// The deepest nesting of the JSON in the body of a POST. A body with deeper nesting is refused with 400.
        pub body_depth: Defaulted<u16> => count(1, 256).default(Count(64));
    }
}
