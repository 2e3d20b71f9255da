//! The keys of a dialect: of a table `[dialects.NAME]`, or of a TOML file.

use crate::{
    diagnostic::{Located, Location},
    key::{
        Defaulted, Definition, FlagOrWord, Key,
        Literal::{Boolean, Count, Text, Texts},
        NamedJson, NamedTexts, Word, count, counts, flag, flag_or_word, joined, json, json_members, list_of_tables,
        named_tables, named_texts, sub_table, table, text, texts, word, words,
    },
    schema::Schema,
    settings::{EndWord, ItemsObjectWord, Quote, QuotedKind, TotalCounts},
    spanned::Spanned,
    syntax,
    tree::LocatedTree,
};

table! {
    /// The keys of `[dialects.NAME]`.
    DIALECT: DialectKeys => #[derive(Debug, Clone)] DialectSettings {
        /// A description of the dialect in one line, for people.
        pub description: Key<String> => text(syntax::line).example(r#""invoices, by skip and top""#);

        /// The address of the upstream's documentation.
        pub documentation: Key<String> => text(syntax::url).example(r#""https://docs.example.com/invoices""#);

        /// The dialect that this one changes. Its tables are replaced key by key; lists, `headers` and `body` are
        /// replaced as a whole. If only the base's request has {size}, its `size` is left out.
        extends: Key<String> => text(syntax::name).example(r#""offset-limit""#);

        /// The request for a page.
        pub request: Key<Spanned> as DialectRequest => sub_table(RequestKeys::KEYS).section();

        /// The sizes that a page can be requested with.
        pub size: Key<Spanned> as DialectSize => sub_table(SizeKeys::KEYS).section();

        /// The places of the items and of facts in an answer. A place is "/a/b" (JSON Pointer), "header:NAME",
        /// "link:REL", or "content-range:PART" with the part start, end or total. "link:REL;NAME=VALUE" is only a link
        /// that has this parameter.
        pub response: Key<Spanned> as DialectResponse => sub_table(ResponseKeys::KEYS).section();

        /// The parameters that sort the list. Without this table the gateway assumes that the list has the declared
        /// order, and checks it.
        pub sort: Key<Spanned> as Option<DialectSort> => sub_table(SortKeys::KEYS).section();

        /// The comparisons with which ranges of the list are requested. Each is a parameter `name=value`, and an item
        /// must match all that are sent; with {group}, a number, those of at least one group. A comparison is needed in
        /// the direction of the list: `gte` or `gt`, or `lte` or `lt` for falling values. Without the opposite one,
        /// pages backward are found by offset. If the request has no {page}, {offset} or {token}, the list is read only
        /// by ranges: a page is at most one answer, and pages backward need both comparisons and a sort.
        pub filter: Key<Spanned> as Option<DialectFilter> => sub_table(FILTER_KEYS).section();

        /// The request for a single item.
        pub item: Key<Spanned> as Option<DialectItem> => sub_table(ItemKeys::KEYS).section();

        /// The request for the total. It replaces the query of the list.
        pub count: Key<Spanned> as Option<DialectCount> => sub_table(CountKeys::KEYS).section();

        /// The name of the dialect.
        pub name: String;

        /// The location of the name, for faults that have no more exact one: in the route or, for a dialect of
        /// `own_dialects`, in the header of its table.
        pub at: Location;
    }
}

table! {
    /// The keys of `[request]` of a dialect.
    REQUEST: RequestKeys => #[derive(Debug, Clone)] DialectRequest {
        /// The method of requests for pages.
        pub method: Defaulted<RequestMethod> as http::Method = |key, table| method(key.read(table)) =>
            word().default(Text("GET"));

        /// The query of a request. {size} is the number of items. The other variables decide how the upstream pages:
        /// {page} by page; {offset}, {end} or {last} (`end` - 1) by offset; {token}, or {next_token} and {prev_token},
        /// by token; {after} and {before} by item; none of these, with `response.next_url`, by link. A parameter is
        /// sent if its variables have a value. Braces around anything but a name are sent as they are, as in
        /// {"limit":{size}}; to send them around a name, double all braces: {{size}}.
        pub query: Key<Located<String>> as Located<String> => text(syntax::line).sample(r#""skip={offset}&top={size}""#);

        /// The headers of a request, with the same variables as `query`.
        pub headers: Key<NamedTexts> as NamedTexts =>
            named_texts(&Schema::Text(syntax::line), "write headers = { Range = \"{offset}-{last}\" }")
                .example(r#"{ Range = "{offset}-{last}" }"#);

        /// The body of a request by POST. On routes by POST, its members are set in the client's own body. A string
        /// that consists of one variable becomes the value of the variable, with its type. If the value is unknown, the
        /// member is left out, or null with `|null`.
        pub body: Key<LocatedTree> =>
            json().example(r#"{ payload = { cursor = "{token|null}", page_size = "{size}" } }"#);

        /// The number of the first page, such as 0 or 1.
        pub first_page: Defaulted<u64> => count(0, u32::MAX as u64).default(Count(1));

        /// The number of the first item. With 1, `{offset}`, `{end}`, `{last}` and `response.offset` count from 1.
        pub first_item: Defaulted<u64> => count(0, 1).default(Count(0));

        /// Other queries by which clients page, such as "page={page}&per_page={size}", in legacy requests.
        pub also: Defaulted<Vec<Located<String>>> => texts(&Schema::Text(syntax::line)).default(Texts(&[]));

        /// With `true`, offsets are multiples of the size, because the upstream refuses all others, or lowers them.
        pub aligned: Defaulted<bool> => flag().default(Boolean(false));

        /// With `true`, an answer to a request with {after} begins with that item itself, if it still exists, as with
        /// `max_id` in many feeds. The gateway leaves it out. Items must be continued by their ids.
        pub after_inclusive: Defaulted<bool> => flag().default(Boolean(false));

        /// The token that requests the first page. Without this key the first page is requested without a token.
        pub first_token: Key<Located<String>> => text(syntax::line).example(r#""*""#);

        /// The largest sum of offset and size that the upstream answers. A page that can't be read within it is refused
        /// with 400 `too_deep`.
        pub max_depth: Key<u64> => count(1, u64::MAX).example("10000");

        /// The largest offset that the upstream answers, whatever the size is; the upstream refuses larger ones, or
        /// silently lowers them. A page that can't be read within it is refused with 400 `too_deep`.
        pub max_offset: Key<u64> as Option<Located<u64>> = Key::located => count(0, u64::MAX).example("1000");

        /// With `true`, a request with a token has no filters and no sort, because the token contains them.
        pub token_alone: Defaulted<bool> => flag().default(Boolean(false));

        /// With `true`, a token is valid only once, or for a short time. No page is then requested a second time.
        pub single_use: Defaulted<bool> => flag().default(Boolean(false));
    }
}

fn method<W: Word + PartialEq>(word: W) -> http::Method {
    word.word().parse().unwrap_or_default()
}

table! {
    /// The keys of `[size]` of a dialect.
    SIZE: SizeKeys => #[derive(Debug, Clone)] DialectSize {
        /// The number of items in an answer to a request without a size. It is required if the request has no {size}.
        pub default: Key<u32> as Option<Located<u32>> = Key::located => count(1, 1_000_000).example("50");

        /// The smallest size of a request. The gateway requests no fewer items.
        pub min: Key<u32> as Option<Located<u32>> = Key::located => count(1, 1_000_000).example("1");

        /// The largest size of a request. The upstream lowers larger sizes, or refuses them.
        pub max: Key<u32> as Option<Located<u32>> = Key::located => count(1, 1_000_000).example("500");

        /// The only sizes that a request can have. The gateway requests no others.
        pub choices: Key<Vec<u32>> as Vec<u32> = sorted =>
            counts(&Schema::Count(1, 1_000_000)).example("[10, 25, 50, 100]");
    }
}

/// Returns the sizes in ascending order, each once.
fn sorted(key: &Key<Vec<u32>>, table: &Spanned) -> Vec<u32> {
    let mut sizes = key.or_empty(table);
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

table! {
    /// The keys of `[response]` of a dialect.
    RESPONSE: ResponseKeys => #[derive(Debug, Clone)] DialectResponse {
        /// The place of the array of items. "" is the whole body.
        pub items: Key<Located<String>> as Located<String> => text(syntax::pointer).sample(r#""/invoices""#);

        /// With `true`, the array may be missing or null if there are no items.
        pub items_optional: Defaulted<bool> => flag().default(Boolean(false));

        /// The reading of an object where the array is expected. Without this key, such an answer is refused with 502
        /// `upstream_malformed`.
        pub items_object: Key<ItemsObjectWord> as Option<Located<ItemsObjectWord>> = Key::located =>
            word().example(r#""single""#);

        /// The place of the item that clients get, in an element of the array. Default: the whole element.
        pub item: Key<Located<String>> => text(syntax::pointer).example(r#""/resource""#);

        /// The place of the id, in an element of the array.
        pub id: Key<Located<String>> => text(syntax::member_pointer).sample(r#""/id""#);

        /// The place of the value for {after} and {before}, in an element of the array. Default: the id.
        pub item_token: Key<Located<String>> => text(syntax::pointer).example(r#""/id""#);

        /// The place of the total number of items in the list.
        pub total: Key<Located<String>> => text(syntax::place).sample(r#""/meta/count""#);

        /// Places with values that show that the total is exact. If one of them has another value, the total is only a
        /// lower bound.
        pub total_exact_when: Key<NamedJson> as NamedJson = Key::or_empty =>
            json_members().example(r#"{ "/meta/relation" = "eq" }"#);

        /// The things that the total counts. Without this key, the gateway finds out from the answers whether the
        /// total can be trusted.
        pub total_counts: Key<TotalCounts> as Option<Located<TotalCounts>> = Key::located =>
            word().example(r#""items""#);

        /// The place of a boolean that is true if more items follow.
        pub has_more: Key<Located<String>> => text(syntax::place).example(r#""/meta/more""#);

        /// The place of a boolean that is true if no more items follow.
        pub is_last: Key<Located<String>> => text(syntax::place).example(r#""/meta/last""#);

        /// The place of the URL of the next page. If it is null, "" or missing, there is no next page.
        pub next_url: Key<Located<String>> => text(syntax::place).example(r#""/links/next""#);

        /// The place of the URL of the previous page. If it is null, "" or missing, there is no previous page.
        pub prev_url: Key<Located<String>> => text(syntax::place).example(r#""/links/prev""#);

        /// The place of the URL to which relative URLs in the answer are relative.
        pub url_base: Key<Located<String>> => text(syntax::place).example(r#""/links/base""#);

        /// The place of the token of the next page. If it is null, "" or missing, there is no next page.
        pub next_token: Key<Located<String>> => text(syntax::place).example(r#""/meta/next""#);

        /// The place of the token of the previous page. If it is null, "" or missing, there is no previous page.
        pub prev_token: Key<Located<String>> => text(syntax::place).example(r#""/meta/previous""#);

        /// The name of the parameter with the token, if `next_token` and `prev_token` are URLs that contain it.
        pub token_param: Key<Located<String>> => text(syntax::name).example(r#""cursor""#);

        /// The place of an object whose members are added together to the query for the next page, each as a parameter.
        /// If it is null, missing or without values, there is no next page.
        pub next_params: Key<Located<String>> => text(syntax::pointer).example(r#""/continue""#);

        /// The names of the parameters for members of `next_params` that the upstream expects under other names.
        pub param_names: Key<NamedTexts> as NamedTexts = Key::or_empty =>
            named_texts(&Schema::Text(syntax::name), "write param_names = { MEMBER = \"PARAMETER\" }")
                .example(r#"{ id = "lastId", createdAt = "lastCreatedAt" }"#);

        /// The place of the number of the next page. If it is null or missing, no more items follow.
        pub next_page: Key<Located<String>> => text(syntax::place).example(r#""/meta/next_page""#);

        /// The place of the number of pages of the list. It shows whether more items follow the page in the answer.
        pub last_page: Key<Located<String>> => text(syntax::place).example(r#""/meta/pages""#);

        /// The place of the number of the page in the answer. It takes precedence over the number in the request.
        pub page: Key<Located<String>> => text(syntax::place).example(r#""/meta/page""#);

        /// The place of the offset at which the answer begins. It takes precedence over the offset in the request.
        pub offset: Key<Located<String>> => text(syntax::place).example(r#""/meta/skip""#);

        /// The place of the size to which the upstream has limited the answer. It takes precedence over the size in the
        /// request.
        pub size: Key<Located<String>> => text(syntax::place).example(r#""/meta/top""#);

        /// The proof that the list has ended, in addition to an answer that is shorter than a size which the upstream
        /// honours. Without this key, a flag, a missing token or a short answer is confirmed by further requests unless
        /// other facts agree. With "flag", a false flag ends the list whatever else the answer says. By item and by
        /// ranges, this key is required if the answers have neither `has_more` nor `is_last`.
        pub end: Key<EndWord> as Option<Located<EndWord>> = Key::located => word().example(r#""short-page""#);

        /// With `true`, the upstream removes items after it has applied the limit, so a short answer doesn't prove the
        /// end.
        pub hidden: Defaulted<FlagOrWord<HiddenWord>> as bool = is_hidden =>
            flag_or_word().default(Boolean(false));

        /// With `true`, the upstream answers a request after the end with the last page once more.
        pub repeats_last_page: Defaulted<bool> => flag().default(Boolean(false));

        /// Answers that contain no items, such as [{ status = 404 }]. An answer matches if all conditions of one of the
        /// tables hold.
        pub past_end: Defaulted<Vec<Spanned>> as Vec<DialectMatch> => list_of_tables(&MATCH_SCHEMA).default(Texts(&[]));

        /// Answers that show that a token is no longer valid. An answer matches if all conditions of one of the tables
        /// hold.
        pub gone: Defaulted<Vec<Spanned>> as Vec<DialectMatch> => list_of_tables(&MATCH_SCHEMA).default(Texts(&[]));

        /// Answers that are failures whatever their status is. Default: an answer without items whose top-level
        /// `error`, `errors`, `status` or `success` reports a failure. With [] no answer is a failure for its body.
        pub error: Key<Vec<Spanned>> as Option<Vec<DialectMatch>> => list_of_tables(&MATCH_SCHEMA)
            .example(r#"[{ status = 200, body = { "/status" = "fail" }, present = "/error" }]"#);

        /// True if the upstream never removes items after it has applied the limit: `hidden = "none"`.
        pub complete: bool;
    }
}

fn is_hidden(key: &Defaulted<FlagOrWord<HiddenWord>>, table: &Spanned) -> bool {
    matches!(key.read(table), FlagOrWord::Flag(true))
}

static MATCH_SCHEMA: Schema = Schema::Table(MatchKeys::KEYS);

table! {
    /// The keys of a table in a list of conditions, such as `past_end`.
    MATCH: MatchKeys => #[derive(Debug, Clone)] DialectMatch {
        /// The status of the answer.
        pub status: Key<u16> => count(100, 599).example("404");

        /// Places in the body, with the values that they must have.
        pub body: Key<NamedJson> as NamedJson = Key::or_empty =>
            json_members().example(r#"{ "/code" = "not_found" }"#);

        /// A place in the body that must exist.
        pub present: Key<Located<String>> => text(syntax::pointer).example(r#""/error""#);

        /// The location of the condition.
        pub at: Location;
    }
}

table! {
    /// The keys of `[sort]` of a dialect.
    SORT: SortKeys => #[derive(Debug, Clone)] DialectSort {
        /// The parameter for a key, of {field}, {direction} and {nulls}. It is sent once for each key, unless `join` is
        /// set. Without {field} the upstream can only sort by the route's order, whose keys must all have the same
        /// direction: "descending={direction}".
        pub query: Key<Located<String>> as Located<String> =>
            text(syntax::line).sample(r#""orderby={field} {direction}""#);

        /// The members of the body that sort, instead of `query`: a list gets an element for each key.
        pub body: Key<LocatedTree> => json().example(r#"{ sort = [{ "{field}" = "{direction}" }] }"#);

        /// The separator between the keys in a single parameter. Without this key each key has a parameter of its own.
        pub join: Key<String> => text(syntax::line).example(r#"",""#);

        /// The value of {direction} for an ascending key.
        pub ascending: Defaulted<String> => text(syntax::line).default(Text("asc"));

        /// The value of {direction} for a descending key.
        pub descending: Defaulted<String> => text(syntax::line).default(Text("desc"));

        /// The value of {nulls} for a key whose nulls come first, if `fields` of the route declares their place.
        pub nulls_first: Key<String> => text(syntax::line).example(r#"" nulls first""#);

        /// The value of {nulls} for a key whose nulls come last, if `fields` of the route declares their place.
        pub nulls_last: Key<String> => text(syntax::line).example(r#"" nulls last""#);

        /// The largest number of keys that are sent. The gateway assumes the rest of the order, and checks it.
        pub max_keys: Key<usize> => count(1, 64).example("2");
    }
}

table! {
    /// The keys of `[filter]` of a dialect, without the comparisons.
    FILTER: FilterKeys => #[derive(Debug, Clone)] DialectFilter {
        /// The parameter of an upstream that takes one expression for all filters. The comparisons are then parts of
        /// {filter}.
        pub query: Key<Located<String>> => text(syntax::line).example(r#""where={filter}""#);

        /// An expression that combines the expressions {a} and {b}, and is true if both are true.
        pub and: Key<Located<String>> => text(syntax::line).example(r#""({a} and {b})""#);

        /// An expression that combines the expressions {a} and {b}, and is true if one of them is true.
        pub or: Key<Located<String>> => text(syntax::line).example(r#""({a} or {b})""#);

        /// The combination with the client's own value of this parameter. {client} is that whole value, and {filter}
        /// the expression of the comparisons.
        pub merge: Key<Located<String>> => text(syntax::line).example(r#""({client}) and {filter}""#);

        /// With `true`, a parameter may occur twice: the client's own parameter keeps its effect.
        pub repeatable: Defaulted<bool> => flag().default(Boolean(false));

        /// The quotes of values in an expression, by the type of the value. Values of other types are written without
        /// quotes.
        pub quote: Key<Spanned> as Vec<(QuotedKind, Located<Quote>)> =>
            sub_table(QuoteKeys::KEYS).example(r#"{ string = "single", datetime = "single" }"#);

        /// The only fields that can be filtered, by their names at the upstream, each with its own comparisons.
        /// Default: all fields.
        pub fields: Key<Spanned> as Vec<(Located<String>, DialectTerms)> =>
            named_tables(&Schema::Table(TermsKeys::KEYS), "write [filter.fields.NAME]")
            .example(r#"{ amount = { lt = "{field} < {value}", gt = "{field} > {value}" } }"#);

        /// The comparisons for all fields.
        pub terms: DialectTerms;

        /// The location of the table.
        pub at: Location;
    }
}

/// The keys of `[filter]`: the comparisons for all fields, and the others.
const FILTER_KEYS: &[&Definition] =
    &joined::<{ TermsKeys::KEYS.len() + FilterKeys::KEYS.len() }>(TermsKeys::KEYS, FilterKeys::KEYS);

table! {
    /// The comparisons of `[filter]` and of `[filter.fields.NAME]`.
    TERMS: TermsKeys => #[derive(Debug, Clone)] DialectTerms {
        /// The comparison for items whose field is less than a value. {field} is the name of the field, and {value} the
        /// value.
        pub lt: Key<Located<String>> => text(syntax::line).sample(r#""{field}__lt={value}""#);

        /// The comparison for items whose field is greater than a value.
        pub gt: Key<Located<String>> => text(syntax::line).sample(r#""{field}__gt={value}""#);

        /// The comparison for items whose field is less than a value or equal to it.
        pub lte: Key<Located<String>> => text(syntax::line).sample(r#""{field}__lte={value}""#);

        /// The comparison for items whose field is greater than a value or equal to it.
        pub gte: Key<Located<String>> => text(syntax::line).sample(r#""{field}__gte={value}""#);

        /// The comparison for items whose field is equal to a value.
        pub eq: Key<Located<String>> => text(syntax::line).sample(r#""{field}={value}""#);

        /// The comparison for items whose field is null.
        pub null: Key<Located<String>> => text(syntax::line).sample(r#""{field}__isnull=true""#);

        /// The comparison for items whose field isn't null.
        pub not_null: Key<Located<String>> => text(syntax::line).sample(r#""{field}__isnull=false""#);

        /// The comparison for items from a value on, the value included, in the direction of the list. It replaces
        /// `gte` and `lte`.
        pub from: Key<Located<String>> => text(syntax::line).example(r#""startkey={value}""#);

        /// The comparison for items up to a value, the value included, in the direction of the list. It replaces `gte`
        /// and `lte`.
        pub to: Key<Located<String>> => text(syntax::line).example(r#""endkey={value}""#);

        /// The comparison for items after a value, in the direction of the list. It replaces `gt` and `lt`.
        pub after: Key<Located<String>> => text(syntax::line).example(r#""since={value}""#);

        /// The comparison for items before a value, in the direction of the list. It replaces `gt` and `lt`.
        pub before: Key<Located<String>> => text(syntax::line).example(r#""until={value}""#);
    }
}

table! {
    /// The keys of `quote` of a filter.
    QUOTE: QuoteKeys {
        /// The quotes of JSON numbers.
        number: Key<Quote> => word().example(r#""none""#);

        /// The quotes of JSON strings without another type, of ranks, and of strings with a collation.
        text("string"): Key<Quote> => word().example(r#""single""#);

        /// The quotes of numbers that are JSON strings in items.
        number_in_string("number-in-string"): Key<Quote> => word().example(r#""none""#);

        /// The quotes of dates and times.
        datetime: Key<Quote> => word().example(r#""single""#);

        /// The quotes of booleans.
        boolean: Key<Quote> => word().example(r#""none""#);

        /// The quotes of UUIDs.
        uuid: Key<Quote> => word().example(r#""single""#);
    }
}

table! {
    /// The keys of `[item]` of a dialect.
    ITEM: ItemKeys => #[derive(Debug, Clone)] DialectItem {
        /// The path of an item. {path} is the path of the list, {parent} is that path without its last segment, and
        /// {id} is the item's id.
        pub path: Key<Located<String>> as Located<String> => text(syntax::line).sample(r#""{path}/{id}""#);

        /// The query of the request.
        pub query: Key<Located<String>> => text(syntax::line).example(r#""fields=all""#);

        /// The headers of the request.
        pub headers: Key<NamedTexts> as NamedTexts =>
            named_texts(&Schema::Text(syntax::line), "write headers = { NAME = \"TEXT\" }")
                .example(r#"{ Prefer = "return=representation" }"#);

        /// The place of the item in the answer. Default: the whole body.
        pub value: Key<Located<String>> => text(syntax::pointer).example(r#""/invoice""#);

        /// Answers that show that the item no longer exists, in addition to 404 and 410. An answer matches if all
        /// conditions of one of the tables hold.
        pub gone: Defaulted<Vec<Spanned>> as Vec<DialectMatch> => list_of_tables(&MATCH_SCHEMA).default(Texts(&[]));

        /// The location of the table.
        pub at: Location;
    }
}

table! {
    /// The keys of `[count]` of a dialect.
    COUNT: CountKeys => #[derive(Debug, Clone)] DialectCount {
        /// The method of the request. A POST has the client's own body.
        pub method: Defaulted<CountMethod> as http::Method = |key, table| method(key.read(table)) =>
            word().default(Text("GET"));

        /// The path of the request. {path} is the path of the list. Default: the path of the list.
        pub path: Key<Located<String>> => text(syntax::line).example(r#""{path}/count""#);

        /// The query of the request, to which the client's filters are added.
        pub query: Key<Located<String>> => text(syntax::line).sample(r#""top=1""#);

        /// The headers of the request.
        pub headers: Key<NamedTexts> as NamedTexts =>
            named_texts(&Schema::Text(syntax::line), "write headers = { NAME = \"TEXT\" }")
                .example(r#"{ Prefer = "count=exact" }"#);

        /// The place of the total in the answer. Default: `response.total`.
        pub total: Key<Located<String>> => text(syntax::place).example(r#""/meta/count""#);

        /// The location of the table.
        pub at: Location;
    }
}

words! {
    /// The words of `hidden`.
    enum HiddenWord {
        /// The upstream never removes items after it has applied the limit, so a short answer ends the list. In case of
        /// doubt leave it out.
        Nothing = "none",
    }
}

words! {
    /// The method of requests for pages.
    enum RequestMethod {
        /// A request without a body.
        Get = "GET",
        /// A request with a body that only reads, so it may be sent again.
        Post = "POST",
    }
}

words! {
    /// The method of the request for the total.
    enum CountMethod {
        /// The total is in the body or in a header of the answer.
        Get = "GET",
        /// The total is in a header of the answer.
        Head = "HEAD",
        /// The request has the client's own body.
        Post = "POST",
    }
}
