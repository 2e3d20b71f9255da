//! A dialect: `[dialects.NAME]`, or a TOML file of the same keys.

use crate::config::{
    diagnostic::Located,
    key::{
        Defaulted, Definition, Key,
        Literal::{Boolean, Count, Text, Texts},
        NamedTexts, count, counts, flag, joined, json, json_members, list_of_tables, named_tables, named_texts,
        sub_table, table, text, texts, word, words,
    },
    schema::Schema,
    settings::{EndWord, Quote},
    spanned::Spanned,
    syntax,
    tree::LocatedTree,
};

table! {
    /// `[dialects.NAME]`
    DIALECT: DialectKeys {
        /// A description in one line.
        description: Key<String> => text(syntax::line).example(r#""invoices, by skip and top""#);

        /// The address of the upstream's documentation.
        documentation: Key<String> => text(syntax::url).example(r#""https://docs.example.com/invoices""#);

        /// A dialect that this one changes. Tables are replaced key by key; lists, `headers` and `body` as a whole.
        extends: Key<String> => text(syntax::name).example(r#""offset-limit""#);

        /// The request for a page.
        request: Key<Spanned> => sub_table(RequestKeys::KEYS).section();

        /// The sizes of pages that can be asked for.
        size: Key<Spanned> => sub_table(SizeKeys::KEYS).section();

        /// The places of items and facts in an answer. A place is "/a/b" (JSON Pointer), "header:NAME", "link:REL" or
        /// "content-range:total".
        response: Key<Spanned> => sub_table(ResponseKeys::KEYS).section();

        /// The sort parameters. Without them the declared order is believed, and checked.
        sort: Key<Spanned> => sub_table(SortKeys::KEYS).section();

        /// The range filters. Each is a parameter `name=value`, and all of them must hold. With {group}, a number, in
        /// all of them, the parameters of one group must all hold, and one of several groups. A dialect with ranges whose
        /// request says no place is asked by ranges alone: a page is then at most as large as one answer.
        filter: Key<Spanned> => sub_table(FILTER_KEYS).section();

        /// The request for one item.
        item: Key<Spanned> => sub_table(ItemKeys::KEYS).section();

        /// The request for the total, in place of the list's own query.
        count: Key<Spanned> => sub_table(CountKeys::KEYS).section();
    }
}

table! {
    /// `[request]` of a dialect
    REQUEST: RequestKeys {
        /// The method of requests for pages.
        method: Defaulted<RequestMethod> => word().default(Text("GET"));

        /// The query as it is sent. {size} is the number of items. By page: {page}. By offset: {offset}, {end}, {last}
        /// (`end` - 1). By token: {token}, or {next_token} and {prev_token}. By item: {after} and {before}. By link: none of
        /// these, and `response.next_url`. These variables also decide which parameters clients may not send and which
        /// requests are legacy requests. A parameter is sent if its variables have a value. Braces that hold no name stand
        /// for themselves, also around a variable: {"limit":{size}}. Around a name they are doubled, {{size}}, and then all
        /// braces of that text are.
        query: Key<String> => text(syntax::line).sample(r#""skip={offset}&top={size}""#);

        /// Headers, with the same variables.
        headers: Key<NamedTexts> =>
            named_texts(&Schema::Text(syntax::line), "write headers = { Range = \"{offset}-{last}\" }")
                .example(r#"{ Range = "{offset}-{last}" }"#);

        /// The body of a request by POST. On routes by POST its members are set in the client's own body. A text that is one
        /// variable becomes its value, with its type; an unknown one is left out, or null with `|null`.
        body: Key<LocatedTree> => json().example(r#"{ payload = { cursor = "{token|null}", page_size = "{size}" } }"#);

        /// The number of the first page.
        first_page: Defaulted<u64> => count(0, u32::MAX as u64).default(Count(1));

        /// The number of the first item: 1 where `{offset}`, `{end}`, `{last}` and `response.offset` count from 1.
        first_item: Defaulted<u64> => count(0, 1).default(Count(0));

        /// Other queries by which clients page, such as "page={page}&per_page={size}". They are read from legacy requests and
        /// never sent.
        also: Defaulted<Vec<Located<String>>> => texts(&Schema::Text(syntax::line)).default(Texts(&[]));

        /// The token of the first page. Without it no token is sent there.
        first_token: Key<String> => text(syntax::line).example(r#""*""#);

        /// The most that offset and size together may be.
        max_depth: Key<u64> => count(1, u64::MAX).example("10000");

        /// With a token, filters and sort are not sent: the token has them.
        token_alone: Defaulted<bool> => flag().default(Boolean(false));

        /// A token works once, or for a short time: no page is asked for twice.
        single_use: Defaulted<bool> => flag().default(Boolean(false));
    }
}

table! {
    /// `[size]` of a dialect
    SIZE: SizeKeys {
        /// The number of items in an answer if no size is asked for. Required if the request has no {size}.
        default: Key<u32> => count(1, 1_000_000).example("50");

        /// The smallest size that is asked for.
        min: Key<u32> => count(1, 1_000_000).example("1");

        /// The largest size that is asked for: the upstream lowers larger ones, or refuses them.
        max: Key<u32> => count(1, 1_000_000).example("500");

        /// The only sizes that are asked for.
        choices: Key<Vec<u32>> => counts(&Schema::Count(1, 1_000_000)).example("[10, 25, 50, 100]");
    }
}

table! {
    /// `[response]` of a dialect
    RESPONSE: ResponseKeys {
        /// The array of items; "" is the whole body.
        items: Key<String> => text(syntax::pointer).sample(r#""/invoices""#);

        /// The array may be missing or null if there are no items.
        items_optional: Defaulted<bool> => flag().default(Boolean(false));

        /// The part of an element that is served. Default: the element.
        item: Key<String> => text(syntax::pointer).example(r#""/resource""#);

        /// The id of an element.
        id: Key<String> => text(syntax::member_pointer).sample(r#""/id""#);

        /// The value of {after} and {before}. Default: the id.
        item_token: Key<String> => text(syntax::pointer).example(r#""/id""#);

        /// The total.
        total: Key<String> => text(syntax::place).sample(r#""/meta/count""#);

        /// The total is exact if these places have these values; else it is a lower bound.
        total_exact_when: Key<Vec<(Located<String>, LocatedTree)>> =>
            json_members().example(r#"{ "/meta/relation" = "eq" }"#);

        /// A boolean: there are more items.
        has_more: Key<String> => text(syntax::place).example(r#""/meta/more""#);

        /// A boolean: there are no more items.
        is_last: Key<String> => text(syntax::place).example(r#""/meta/last""#);

        /// The URL of the next page. Null, "" and no member mean that there is none.
        next_url: Key<String> => text(syntax::place).example(r#""/links/next""#);

        /// The URL of the previous page.
        prev_url: Key<String> => text(syntax::place).example(r#""/links/prev""#);

        /// The URL that relative ones are relative to.
        url_base: Key<String> => text(syntax::place).example(r#""/links/base""#);

        /// The token of the next page.
        next_token: Key<String> => text(syntax::place).example(r#""/meta/next""#);

        /// The token of the previous page.
        prev_token: Key<String> => text(syntax::place).example(r#""/meta/previous""#);

        /// `next_token` and `prev_token` are URLs, and this parameter of them is the token.
        token_param: Key<String> => text(syntax::name).example(r#""cursor""#);

        /// An object whose members are added to the next query.
        next_params: Key<String> => text(syntax::pointer).example(r#""/continue""#);

        /// The number of the next page.
        next_page: Key<String> => text(syntax::place).example(r#""/meta/next_page""#);

        /// The number of pages.
        last_page: Key<String> => text(syntax::place).example(r#""/meta/pages""#);

        /// The page that the answer is. It is believed over the page that was asked for.
        page: Key<String> => text(syntax::place).example(r#""/meta/page""#);

        /// The offset that the answer begins at, likewise.
        offset: Key<String> => text(syntax::place).example(r#""/meta/skip""#);

        /// The size that the answer was limited to, likewise.
        size: Key<String> => text(syntax::place).example(r#""/meta/top""#);

        /// The proof of the end of the list, in addition to an answer that is shorter than a size which the upstream is known
        /// to honour. Default: flag by token, item and link; else none of these.
        end: Key<EndWord> => word().example(r#""short-page""#);

        /// Items are removed after the limit was applied, so that short answers prove nothing.
        hidden: Defaulted<bool> => flag().default(Boolean(false));

        /// After the end, the last page is returned again.
        repeats_last_page: Defaulted<bool> => flag().default(Boolean(false));

        /// Answers that hold no items, such as [{ status = 404 }]. All conditions of one table must hold, of any table in the list.
        past_end: Defaulted<Vec<Spanned>> => list_of_tables(&MATCH_SCHEMA).default(Texts(&[]));

        /// Answers that say that the token is no longer valid.
        gone: Defaulted<Vec<Spanned>> => list_of_tables(&MATCH_SCHEMA).default(Texts(&[]));

        /// Answers that are failures in spite of their status. Default: an empty list beside a top-level `error` or
        /// `errors`, beside a `status` of failure, or beside `success` = false. With [] there are none.
        error: Key<Vec<Spanned>> => list_of_tables(&MATCH_SCHEMA)
            .example(r#"[{ status = 200, body = { "/status" = "fail" }, present = "/error" }]"#);
    }
}

static MATCH_SCHEMA: Schema = Schema::Table(MatchKeys::KEYS);

table! {
    /// A table of a list of matches
    MATCH: MatchKeys {
        /// The status.
        status: Key<u16> => count(100, 599).example("404");

        /// Places in the body, with the values that they have.
        body: Key<Vec<(Located<String>, LocatedTree)>> => json_members().example(r#"{ "/code" = "not_found" }"#);

        /// A place that exists.
        present: Key<String> => text(syntax::pointer).example(r#""/error""#);
    }
}

table! {
    /// `[sort]` of a dialect
    SORT: SortKeys {
        /// The parameter, once for each key, of {field}, {direction} and {nulls}. Without {field} the upstream has one order,
        /// the route's, whose keys all run the same way, and is told that way: "descending={direction}".
        query: Key<String> => text(syntax::line).sample(r#""orderby={field} {direction}""#);

        /// The members of the body instead: a list with an element for each key.
        body: Key<LocatedTree> => json().example(r#"{ sort = [{ "{field}" = "{direction}" }] }"#);

        /// The separator of the values of all keys in one parameter. Without it each key has a parameter of its own.
        join: Key<String> => text(syntax::line).example(r#"",""#);

        /// The word for {direction}.
        ascending: Defaulted<String> => text(syntax::line).default(Text("asc"));

        /// The word for {direction}.
        descending: Defaulted<String> => text(syntax::line).default(Text("desc"));

        /// The words for {nulls}, where the route says where nulls are.
        nulls_first: Key<String> => text(syntax::line).example(r#"" nulls first""#);

        /// The words for {nulls}, where the route says where nulls are.
        nulls_last: Key<String> => text(syntax::line).example(r#"" nulls last""#);

        /// The number of keys that are sent. The rest of the order is believed, and checked.
        max_keys: Key<usize> => count(1, 64).example("2");
    }
}

table! {
    /// `[filter]` of a dialect
    FILTER: FilterKeys {
        /// The parameter of an upstream that takes one expression for all filters: the comparisons above are then parts of
        /// {filter}.
        query: Key<String> => text(syntax::line).example(r#""where={filter}""#);

        /// Two expressions that must both hold.
        and: Key<String> => text(syntax::line).example(r#""({a} and {b})""#);

        /// Two expressions of which one must hold.
        or: Key<String> => text(syntax::line).example(r#""({a} or {b})""#);

        /// The combination with the client's own value of this parameter: {client} is all of that value, {filter} is made of
        /// the comparisons above, and `query` is written around the result, which `check` shows.
        merge: Key<String> => text(syntax::line).example(r#""({client}) and {filter}""#);

        /// A parameter may come twice: the client's own stays in force beside it.
        repeatable: Defaulted<bool> => flag().default(Boolean(false));

        /// The quotes of values in an expression, by their type. Without quotes a value stands as it is.
        quote: Key<Spanned> => sub_table(QuoteKeys::KEYS).example(r#"{ string = "single", datetime = "single" }"#);

        /// The only fields that can be filtered, by the upstream's names, each with comparisons of its own.
        fields: Key<Spanned> => named_tables(&Schema::Table(TermsKeys::KEYS), "write [filter.fields.NAME]")
            .example(r#"{ amount = { lt = "{field} < {value}", gt = "{field} > {value}" } }"#);
    }
}

/// The keys of `[filter]`: the comparisons for all fields stand in it directly.
const FILTER_KEYS: &[&Definition] =
    &joined::<{ TermsKeys::KEYS.len() + FilterKeys::KEYS.len() }>(TermsKeys::KEYS, FilterKeys::KEYS);

table! {
    /// The comparisons of `[filter]` and of `[filter.fields.NAME]`
    TERMS: TermsKeys {
        /// Less than a value.
        lt: Key<String> => text(syntax::line).sample(r#""{field}__lt={value}""#);

        /// Greater than a value.
        gt: Key<String> => text(syntax::line).sample(r#""{field}__gt={value}""#);

        /// At most a value.
        lte: Key<String> => text(syntax::line).sample(r#""{field}__lte={value}""#);

        /// At least a value.
        gte: Key<String> => text(syntax::line).sample(r#""{field}__gte={value}""#);

        /// Equal to a value.
        eq: Key<String> => text(syntax::line).sample(r#""{field}={value}""#);

        /// Null.
        null: Key<String> => text(syntax::line).sample(r#""{field}__isnull=true""#);

        /// Not null.
        not_null: Key<String> => text(syntax::line).sample(r#""{field}__isnull=false""#);

        /// From a value on, in the direction of the list, instead of `gte` and `lte`.
        from: Key<String> => text(syntax::line).example(r#""startkey={value}""#);

        /// Up to a value, in the direction of the list, likewise.
        to: Key<String> => text(syntax::line).example(r#""endkey={value}""#);

        /// After a value, in the direction of the list, instead of `gt` and `lt`.
        after: Key<String> => text(syntax::line).example(r#""since={value}""#);

        /// Before a value, in the direction of the list, likewise.
        before: Key<String> => text(syntax::line).example(r#""until={value}""#);
    }
}

table! {
    /// `quote` of a filter
    QUOTE: QuoteKeys {
        /// JSON numbers.
        number: Key<Quote> => word().example(r#""none""#);

        /// JSON strings of no other type, ranks and strings with a collation among them.
        text("string"): Key<Quote> => word().example(r#""single""#);

        /// Numbers in JSON strings.
        number_in_string("number-in-string"): Key<Quote> => word().example(r#""none""#);

        /// Dates and times.
        datetime: Key<Quote> => word().example(r#""single""#);

        /// Booleans.
        boolean: Key<Quote> => word().example(r#""none""#);

        /// UUIDs.
        uuid: Key<Quote> => word().example(r#""single""#);
    }
}

table! {
    /// `[item]` of a dialect
    ITEM: ItemKeys {
        /// The path: {path} is the path of the list, {parent} the same without its last segment, {id} the id.
        path: Key<String> => text(syntax::line).sample(r#""{path}/{id}""#);

        /// The query.
        query: Key<String> => text(syntax::line).example(r#""fields=all""#);

        /// Headers.
        headers: Key<NamedTexts> =>
            named_texts(&Schema::Text(syntax::line), "write headers = { NAME = \"TEXT\" }")
                .example(r#"{ Prefer = "return=representation" }"#);

        /// The place of the item in the answer. Default: the whole body.
        value: Key<String> => text(syntax::pointer).example(r#""/invoice""#);

        /// Answers that say that the item no longer exists. 404 and 410 always do.
        gone: Defaulted<Vec<Spanned>> => list_of_tables(&MATCH_SCHEMA).default(Texts(&[]));
    }
}

table! {
    /// `[count]` of a dialect
    COUNT: CountKeys {
        /// The method. POST sends the body of the client.
        method: Defaulted<CountMethod> => word().default(Text("GET"));

        /// The path. Default: that of the list.
        path: Key<String> => text(syntax::line).example(r#""{path}/count""#);

        /// The query.
        query: Key<String> => text(syntax::line).sample(r#""top=1""#);

        /// Headers.
        headers: Key<NamedTexts> =>
            named_texts(&Schema::Text(syntax::line), "write headers = { NAME = \"TEXT\" }")
                .example(r#"{ Prefer = "count=exact" }"#);

        /// The place of the total. Default: `response.total`.
        total: Key<String> => text(syntax::place).example(r#""/meta/count""#);
    }
}

words! {
    /// The method of a list's request.
    enum RequestMethod {
        /// A request without a body.
        Get = "GET",
        /// A read that may be sent again.
        Post = "POST",
    }
}

words! {
    /// The method of a count's request.
    enum CountMethod {
        /// The total is in the body or a header.
        Get = "GET",
        /// The total is in a header.
        Head = "HEAD",
        /// The body is that of the client.
        Post = "POST",
    }
}
