//! The tables of a route that serves a list.

use std::time::Duration;

use http::HeaderName;

use super::server::TTL;
use crate::{
    config::{
        diagnostic::Located,
        key::{
            Defaulted, Key,
            Literal::{Count, Text, Texts},
            NamedTexts, count, duration, flag, header_names, named_texts, size, table, text, texts, word, words,
        },
        schema::Schema,
        settings::OverMax,
        syntax,
    },
    pagination::order::Nulls,
};

words! {
    /// The form of a route's errors.
    enum ErrorForm {
        /// The form of the envelope, or problem documents (RFC 9457) if it has none.
        Envelope = "envelope",
        /// Problem documents.
        Problem = "problem",
        /// The error objects of JSON:API.
        JsonApi = "jsonapi",
        /// statusCode, message and error in one object.
        Flat = "flat",
    }
}

table! {
    /// `fields.NAME` of a route
    FIELD: FieldKeys {
        /// The comparison of its values. Default: taken from the values.
        kind("type"): Key<FieldType> => word().example(r#""datetime""#);

        /// The values of a rank, in their order.
        ranks: Key<Vec<Located<String>>> => texts(&Schema::Text(syntax::line)).example(r#"["low", "normal", "high"]"#);

        /// The precision in which it is shown, if it is sorted by a finer one: day, s, ms or us; for numbers 1, 0.1, 0.01.
        grain: Key<String> => text(syntax::grain).example(r#""ms""#);

        /// The place of nulls. Without it, a page that holds one can't be proven.
        nulls: Key<Nulls> => word().example(r#""none""#);

        /// The language by whose rules the upstream sorts it, or another order without regard to case: as
        /// `type = "opaque"`.
        collation: Key<String> => text(syntax::name).example(r#""en""#);

        /// Its place in an item (JSON Pointer). Default: "/" and its name.
        at: Key<String> => text(syntax::member_pointer).example(r#""/meta/created_at""#);

        /// Its name in the upstream's sort and filters, if that is another one.
        upstream: Key<String> => text(syntax::name).example(r#""created""#);
    }
}

words! {
    /// The comparison of a field's values.
    enum FieldType {
        /// JSON numbers.
        Number = "number",
        /// Numbers in JSON strings.
        NumberInString = "number-in-string",
        /// JSON strings, by their UTF-8 bytes.
        Text = "string",
        /// Dates and times (RFC 3339), as instants.
        Datetime = "datetime",
        /// false before true.
        Boolean = "boolean",
        /// UUIDs, without regard to case.
        Uuid = "uuid",
        /// Strings in the order of `ranks`.
        Rank = "rank",
        /// Values that can only be told apart, of the last key before the id. Pages are exact where the upstream sorts by
        /// the id too, else found by the items around them.
        Opaque = "opaque",
    }
}

words! {
    Nulls {
        /// There are none.
        None = "none",
        /// Before every value in ascending order.
        Smallest = "smallest",
        /// After every value in ascending order.
        Largest = "largest",
        /// At the beginning of the list, whatever the direction.
        First = "first",
        /// At the end of the list, whatever the direction.
        Last = "last",
    } without Unsaid
}

table! {
    /// `page_size` of a route
    PAGE_SIZE: PageSizeKeys {
        /// The limit if the client asks for none. If `max` is smaller, that is the default.
        default: Defaulted<u32> => count(1, 1_000_000).default(Count(20));

        /// The largest limit.
        max: Defaulted<u32> => count(1, 1_000_000).default(Count(100));

        /// The treatment of a limit above `max`. Default: that of the envelope.
        over_max: Key<OverMax> => word().example(r#""clamp""#);
    }
}

table! {
    /// `cursor` of a route
    CURSOR: CursorKeys {
        /// As in [cursor], for this route.
        sealed: Key<bool> => flag().example("true");

        /// As in [cursor], for this route.
        ttl: Key<Duration> => TTL.example(r#""1h""#);

        /// Headers that a cursor is bound to, such as "X-Tenant-Id": with another value it is refused.
        bind: Defaulted<Vec<HeaderName>> => header_names(&Schema::Text(syntax::header_name)).default(Texts(&[]));

        /// The longest cursor that is made and accepted, in characters.
        length: Defaulted<usize> => count(256, 8_192).default(Count(2_048));
    }
}

table! {
    /// `parameters` of a route
    ROUTE_PARAMETERS: ParametersKeys {
        /// The limit, or a preference for it (RFC 7240) such as "prefer:odata.maxpagesize".
        limit: Key<String> => text(syntax::name).example(r#""limit""#);

        /// A limit that reads backward.
        limit_backward: Key<String> => text(syntax::name).example(r#""last""#);

        /// The cursor of a page.
        cursor: Key<String> => text(syntax::name).example(r#""cursor""#);

        /// The cursor of an item that the page begins after.
        after: Key<String> => text(syntax::name).example(r#""after""#);

        /// The cursor of an item that the page ends before.
        before: Key<String> => text(syntax::name).example(r#""before""#);

        /// The id of an item that the page begins after, wherever that item is now. With `mode = "seek"`.
        after_id: Key<String> => text(syntax::name).example(r#""after_id""#);

        /// The id of an item that the page ends before, likewise.
        before_id: Key<String> => text(syntax::name).example(r#""before_id""#);

        /// The order: sort=-created_at,email; sort=desc(created_at),asc(email); sort=created_at.desc,email.asc;
        /// sort_by=created_at,email&order_by=desc,asc; or as the dialect writes it.
        sort: Key<String> => text(syntax::name).example(r#""sort""#);

        /// Parameters that are forwarded and appear in no link, log or cursor, such as "api_key".
        private: Defaulted<Vec<Located<String>>> => texts(&Schema::Text(syntax::name)).default(Texts(&[]));

        /// Parameters that are forwarded and that a cursor is not bound to, such as "utm_source" or "/trace_id".
        ignored: Defaulted<Vec<Located<String>>> => texts(&Schema::Text(syntax::name)).default(Texts(&[]));

        /// Filters of the upstream with names by which other APIs page or sort, such as "order" or "first", which would be
        /// refused with parameter_invalid. docs/parameters.md lists these names. /openapi.json describes the filters.
        filters: Defaulted<Vec<Located<String>>> => texts(&Schema::Text(syntax::name)).default(Texts(&[]));

        /// Parameters of the upstream's query, and their places in the body of a request by POST.
        query: Key<NamedTexts> =>
            named_texts(&Schema::Text(syntax::body_pointer), "write query = { NAME = \"/payload/NAME\" }")
                .example(r#"{ team = "/payload/team" }"#);
    }
}

table! {
    /// `budgets` of a route
    BUDGETS: BudgetsKeys {
        /// The time.
        time: Defaulted<Duration> => duration("1ms", "1h").default(Text("30s"));

        /// Upstream requests. Where the upstream returns fewer items at a time than a page has, this limits `page_size.max`:
        /// `check` computes the most that the largest page takes while the list holds still.
        upstream_requests: Defaulted<u32> => count(1, 1_000).default(Count(8));

        /// Upstream requests where the list has changed so much that a page must be searched for.
        search_requests: Defaulted<u32> => count(1, 10_000).default(Count(40));

        /// Items that this search covers each way, in a list without a declared order.
        search_items: Defaulted<u32> => count(1, 1_000_000).default(Count(1_000));

        /// Items before a page that is asked for by page or offset and is translated or redirected; a deeper page is
        /// refused as too_deep.
        offset: Defaulted<u64> => count(0, u64::MAX).default(Count(10_000_000));

        /// The size of one upstream answer, decoded.
        answer_size: Defaulted<usize> => size("1KiB", "1GiB").default(Text("10MiB"));

        /// The nesting of its JSON.
        answer_depth: Defaulted<u16> => count(1, 1_024).default(Count(128));

        /// The length of the `Link` header. Beyond it relations are left out, `next` last of all.
        link_length: Defaulted<usize> => size("256B", "64KiB").default(Text("4KiB"));

        /// The size of the body of a request by POST.
        body_size: Defaulted<usize> => size("1KiB", "64MiB").default(Text("1MiB"));

        /// The nesting of its JSON.
        body_depth: Defaulted<u16> => count(1, 256).default(Count(64));
    }
}
