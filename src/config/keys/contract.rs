//! A contract of a dialect: a file of exchanges, which is no part of a configuration.

use crate::config::{
    diagnostic::Located,
    key::{Key, NamedTexts, count, flag, list_of_tables, named_texts, sub_table, table, text, texts},
    schema::Schema,
    spanned::Spanned,
    syntax,
};

table! {
    /// A file of exchanges
    CONTRACT: ContractKeys {
        /// The dialect. Default: the name of the file, without `.toml`.
        dialect: Key<String> => text(syntax::name).example(r#""invoices""#);

        /// Keys of the route that uses the dialect, as they stand under [routes.NAME]; further tables are [routes.items.…].
        route: Key<String> => text(syntax::lines).example(r#"'order = ["id"]'"#);

        /// Keys of a dialect that extends this one, where it can't be used as it is.
        extension: Key<String> => text(syntax::lines).example(r#"'size.max = 50'"#);

        /// The facts of the dialect. Where there are any, they are all of them.
        facts: Key<Spanned> => sub_table(ContractFactsKeys::KEYS).section();

        /// A request and its answer.
        exchange: Key<Vec<Spanned>> => list_of_tables(&Schema::Table(ExchangeKeys::KEYS)).example("[]");
    }
}

table! {
    /// `[facts]` of a contract
    CONTRACT_FACTS: ContractFactsKeys {
        /// The way in which requests name a place: page, offset or token.
        family: Key<String> => text(syntax::name).example(r#""page""#);

        /// The sizes that are asked for: "1 to 100", "1 or more", "10, 20" or "15 alone".
        sizes: Key<String> => text(syntax::name).example(r#""1 to 100""#);

        /// The proof of the end of the list: flag, short-page or unvouched.
        end: Key<String> => text(syntax::name).example(r#""unvouched""#);

        /// The mode by which pages are found, unless it is offset or, with tokens, token.
        mode: Key<String> => text(syntax::name).example(r#""keyset""#);

        /// After the end, the last page is returned again.
        repeats_last_page: Key<bool> => flag().example("true");

        /// Items are removed after the limit was applied.
        hidden: Key<bool> => flag().example("true");

        /// Tokens lead back too.
        tokens_lead_back: Key<bool> => flag().example("true");

        /// The list goes on from an item.
        by_item: Key<bool> => flag().example("true");

        /// Requests ask for the route's order.
        asks_for_order: Key<bool> => flag().example("true");

        /// Ties are sorted by the id.
        ties_ordered: Key<bool> => flag().example("true");

        /// The list can be requested in reverse.
        flips: Key<bool> => flag().example("true");

        /// The parameters that page.
        paging_names: Key<Vec<Located<String>>> => texts(&Schema::Text(syntax::line)).example(r#"["page"]"#);

        /// The parameters that sort.
        sort_names: Key<Vec<Located<String>>> => texts(&Schema::Text(syntax::line)).example(r#"["sort"]"#);

        /// The members of the body that page.
        paging_places: Key<Vec<Located<String>>> => texts(&Schema::Text(syntax::line)).example(r#"["/page"]"#);

        /// The members of the body that sort.
        sort_places: Key<Vec<Located<String>>> => texts(&Schema::Text(syntax::line)).example(r#"["/sort"]"#);

        /// The comparisons of each column, and how they may be combined.
        filters: Key<Vec<Located<String>>> => texts(&Schema::Text(syntax::line)).example(r#"["lte gte", "and"]"#);
    }
}

table! {
    /// `[[exchange]]` of a contract
    EXCHANGE: ExchangeKeys {
        /// Its name, in reports.
        name: Key<String> => text(syntax::name).example(r#""first""#);

        /// The page that is fetched, counted from 0.
        page: Key<u64> => count(0, u64::MAX).example("0");

        /// The offset that is fetched from.
        from: Key<u64> => count(0, u64::MAX).example("0");

        /// The number of items that are fetched.
        size: Key<u32> => count(1, 1_000_000).example("2");

        /// The token that is fetched with; none is the start. Of dialects with tokens in bodies, and by item, it is JSON.
        token: Key<String> => text(syntax::lines).example(r#""abc""#);

        /// The token leads back.
        backward: Key<bool> => flag().example("true");

        /// The id of the one item that is fetched, as JSON.
        item: Key<String> => text(syntax::lines).example(r#"'7'"#);

        /// The total is fetched.
        count: Key<bool> => flag().example("true");

        /// The list in reverse is fetched.
        flipped: Key<bool> => flag().example("true");

        /// The list sorted by the id alone is fetched.
        by_id: Key<bool> => flag().example("true");

        /// Only these items are fetched: "0 <= VALUE" compares the first key of the order with a JSON value, "0 null" asks for
        /// nulls, "A | B" for either.
        filter: Key<Vec<Located<String>>> => texts(&Schema::Text(syntax::line)).example(r#"["0 <= 7"]"#);

        /// The client's own parameters.
        filters: Key<String> => text(syntax::lines).example(r#""q=x""#);

        /// The path of the list at the upstream.
        list: Key<String> => text(syntax::line).example(r#""/items/""#);

        /// The client's own body.
        client: Key<String> => text(syntax::lines).example(r#"'{"q":"x"}'"#);

        /// The method of the request. Default: GET.
        method: Key<String> => text(syntax::name).example(r#""POST""#);

        /// The path of the request. Default: that of the list.
        path: Key<String> => text(syntax::line).example(r#""/items/7""#);

        /// The query of the request, as it is sent.
        query: Key<String> => text(syntax::line).example(r#""page=1""#);

        /// The headers of the request.
        headers: Key<NamedTexts> => named_texts(&Schema::Text(syntax::line), "write headers = { NAME = \"TEXT\" }")
            .example(r#"{ Prefer = "count=exact" }"#);

        /// The body of the request.
        body: Key<String> => text(syntax::lines).example(r#"'{"page":1}'"#);

        /// The answer.
        answer: Key<Spanned> => sub_table(ExchangeAnswerKeys::KEYS).section();

        /// The facts that the dialect reads in the answer. What is not named must not be there.
        reading: Key<Spanned> => sub_table(ExchangeReadingKeys::KEYS).section();
    }
}

table! {
    /// `[exchange.answer]` of a contract
    EXCHANGE_ANSWER: ExchangeAnswerKeys {
        /// The status.
        status: Key<u16> => count(100, 599).example("200");

        /// The headers.
        headers: Key<NamedTexts> => named_texts(&Schema::Text(syntax::line), "write headers = { NAME = \"TEXT\" }")
            .example(r#"{ X-Total = "5" }"#);

        /// The body.
        body: Key<String> => text(syntax::lines).example(r#"'{"data":[]}'"#);
    }
}

table! {
    /// `[exchange.reading]` of a contract
    EXCHANGE_READING: ExchangeReadingKeys {
        /// An answer without items: past-end, or gone for a token or an item that no longer exists.
        standing: Key<String> => text(syntax::name).example(r#""past-end""#);

        /// The answer is no list: refused, unavailable, redirected, malformed or too-large.
        error: Key<String> => text(syntax::name).example(r#""refused""#);

        /// The items, as they came.
        items: Key<Vec<Located<String>>> => texts(&Schema::Text(syntax::lines)).example("['{\"id\":7}']");

        /// The keys of the last item and its id, as JSON; "" for one that is missing. Compared if the contract has this key.
        last_keys: Key<Vec<Located<String>>> => texts(&Schema::Text(syntax::lines)).example("['7']");

        /// The exact total.
        total: Key<u64> => count(0, u64::MAX).example("5");

        /// The total, where it is a lower bound.
        total_at_least: Key<u64> => count(0, u64::MAX).example("10000");

        /// More items follow.
        more: Key<bool> => flag().example("true");

        /// The token that leads on.
        next: Key<String> => text(syntax::lines).example(r#""abc""#);

        /// The token that leads back.
        previous: Key<String> => text(syntax::lines).example(r#""abc""#);

        /// The values by which the list goes on from each item, as JSON.
        item_tokens: Key<Vec<Located<String>>> => texts(&Schema::Text(syntax::lines)).example("['7']");

        /// The offset that the answer says it begins at.
        offset: Key<u64> => count(0, u64::MAX).example("0");

        /// The page that the answer says it is, counted from 0.
        page: Key<u64> => count(0, u64::MAX).example("0");

        /// The size that the answer says it used.
        size: Key<u64> => count(0, u64::MAX).example("20");
    }
}
