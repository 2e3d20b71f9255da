//! The keys of a contract of a dialect: a file of exchanges, which isn't a part of a configuration.

use crate::{
    diagnostic::Located,
    key::{Key, NamedTexts, count, flag, list_of_tables, named_texts, sub_table, table, text, texts},
    schema::Schema,
    spanned::Spanned,
    syntax,
};

table! {
    /// The keys of a contract.
    CONTRACT: ContractKeys {
        /// The dialect that is tested. Default: the name of the file without `.toml`.
        dialect: Key<String> => text(syntax::name).example(r#""invoices""#);

        /// Keys of the route that uses the dialect, in TOML, as under [routes.NAME]. Further tables are
        /// [routes.items.…].
        route: Key<String> => text(syntax::lines).example(r#"'order = ["id"]'"#);

        /// Keys of a dialect that extends the tested one, in TOML, if the tested one can't be used without changes.
        extension: Key<String> => text(syntax::lines).example(r#"'size.max = 50'"#);

        /// The facts of the dialect. If this table is present, it must contain all of them.
        facts: Key<Spanned> => sub_table(ContractFactsKeys::KEYS).section();

        /// The exchanges: requests to the upstream, each with its answer.
        exchange: Key<Vec<Spanned>> => list_of_tables(&Schema::Table(ExchangeKeys::KEYS)).example("[]");
    }
}

table! {
    /// The keys of `[facts]` of a contract.
    CONTRACT_FACTS: ContractFactsKeys {
        /// The way in which requests name a place: "page", "offset" or "token".
        family: Key<String> => text(syntax::name).example(r#""page""#);

        /// The sizes that a request can have: "1 to 100", "1 or more", "10, 20" or "15 alone".
        sizes: Key<String> => text(syntax::name).example(r#""1 to 100""#);

        /// The proof of the end of the list: "flag", "short-page", "token" or "unvouched".
        end: Key<String> => text(syntax::name).example(r#""unvouched""#);

        /// The mode in which pages are found. Default: "token" for dialects with tokens, and otherwise "offset".
        mode: Key<String> => text(syntax::name).example(r#""keyset""#);

        /// True if the upstream answers a request after the end with the last page once more.
        repeats_last_page: Key<bool> => flag().example("true");

        /// True if the upstream removes items after it has applied the limit.
        hidden: Key<bool> => flag().example("true");

        /// True if the dialect promises that the upstream removes no items after it has applied the limit.
        complete: Key<bool> => flag().example("true");

        /// The things that the total counts: "items", "rows" or "estimate".
        total_counts: Key<String> => text(syntax::name).example(r#""items""#);

        /// True if tokens also lead to previous pages.
        tokens_lead_back: Key<bool> => flag().example("true");

        /// True if a page is requested by the item before or after it.
        by_item: Key<bool> => flag().example("true");

        /// True if requests ask for the route's order.
        asks_for_order: Key<bool> => flag().example("true");

        /// True if items with equal keys are sorted by the id.
        ties_ordered: Key<bool> => flag().example("true");

        /// True if the list can be requested in the opposite order.
        flips: Key<bool> => flag().example("true");

        /// The names of the query parameters that page.
        paging_names: Key<Vec<Located<String>>> => texts(&Schema::Text(syntax::line)).example(r#"["page"]"#);

        /// The names of the query parameters that sort.
        sort_names: Key<Vec<Located<String>>> => texts(&Schema::Text(syntax::line)).example(r#"["sort"]"#);

        /// The places of the members of the body that page.
        paging_places: Key<Vec<Located<String>>> => texts(&Schema::Text(syntax::line)).example(r#"["/page"]"#);

        /// The places of the members of the body that sort.
        sort_places: Key<Vec<Located<String>>> => texts(&Schema::Text(syntax::line)).example(r#"["/sort"]"#);

        /// The comparisons of each key, and "and" or "or" if comparisons can be combined so.
        filters: Key<Vec<Located<String>>> => texts(&Schema::Text(syntax::line)).example(r#"["lte gte", "and"]"#);
    }
}

table! {
    /// The keys of `[[exchange]]` of a contract.
    EXCHANGE: ExchangeKeys {
        /// The name of the exchange, for reports.
        name: Key<String> => text(syntax::name).example(r#""first""#);

        /// The number of the page that is fetched, counted from 0.
        page: Key<u64> => count(0, u64::MAX).example("0");

        /// The offset from which items are fetched.
        from: Key<u64> => count(0, u64::MAX).example("0");

        /// The number of items that are fetched.
        size: Key<u32> => count(1, 1_000_000).example("2");

        /// The token with which a page is fetched. Default: none, which fetches the first page. For tokens in bodies,
        /// and for pages by item, it is JSON.
        token: Key<String> => text(syntax::lines).example(r#""abc""#);

        /// True if the token leads to the previous page.
        backward: Key<bool> => flag().example("true");

        /// The id of a single item that is fetched, as JSON.
        item: Key<String> => text(syntax::lines).example(r#"'7'"#);

        /// True if the total is fetched.
        count: Key<bool> => flag().example("true");

        /// True if the list is fetched in the opposite order.
        flipped: Key<bool> => flag().example("true");

        /// True if the list is fetched sorted by the id only.
        by_id: Key<bool> => flag().example("true");

        /// Conditions for the items that are fetched, all of which must hold. "0 <= VALUE" compares the first key of
        /// the order with a JSON value, and 1 stands for the second key. "0 null" selects nulls, and "A | B" means that
        /// either condition may hold.
        filter: Key<Vec<Located<String>>> => texts(&Schema::Text(syntax::line)).example(r#"["0 <= 7"]"#);

        /// The client's own parameters, as a query.
        filters: Key<String> => text(syntax::lines).example(r#""q=x""#);

        /// The path of the list at the upstream. Default: "/items/".
        list: Key<String> => text(syntax::line).example(r#""/items/""#);

        /// The client's own body.
        client: Key<String> => text(syntax::lines).example(r#"'{"q":"x"}'"#);

        /// The expected method of the request. Default: GET.
        method: Key<String> => text(syntax::name).example(r#""POST""#);

        /// The expected path of the request. Default: the path of the list.
        path: Key<String> => text(syntax::line).example(r#""/items/7""#);

        /// The expected query of the request, exactly as it is sent.
        query: Key<String> => text(syntax::line).example(r#""page=1""#);

        /// The expected headers of the request.
        headers: Key<NamedTexts> => named_texts(&Schema::Text(syntax::line), "write headers = { NAME = \"TEXT\" }")
            .example(r#"{ Prefer = "count=exact" }"#);

        /// The expected body of the request.
        body: Key<String> => text(syntax::lines).example(r#"'{"page":1}'"#);

        /// The answer of the upstream.
        answer: Key<Spanned> => sub_table(ExchangeAnswerKeys::KEYS).section();

        /// The facts that the dialect must read in the answer. Facts that aren't listed must not be there.
        reading: Key<Spanned> => sub_table(ExchangeReadingKeys::KEYS).section();
    }
}

table! {
    /// The keys of `[exchange.answer]` of a contract.
    EXCHANGE_ANSWER: ExchangeAnswerKeys {
        /// The status of the answer.
        status: Key<u16> => count(100, 599).example("200");

        /// The headers of the answer.
        headers: Key<NamedTexts> => named_texts(&Schema::Text(syntax::line), "write headers = { NAME = \"TEXT\" }")
            .example(r#"{ X-Total = "5" }"#);

        /// The body of the answer.
        body: Key<String> => text(syntax::lines).example(r#"'{"data":[]}'"#);
    }
}

table! {
    /// The keys of `[exchange.reading]` of a contract.
    EXCHANGE_READING: ExchangeReadingKeys {
        /// The reason that the answer has no items: "past-end", or "gone" for a token or an item that no longer exists.
        standing: Key<String> => text(syntax::name).example(r#""past-end""#);

        /// The reason that the answer isn't a list: "refused", "unavailable", "redirected", "malformed" or "too-large".
        error: Key<String> => text(syntax::name).example(r#""refused""#);

        /// The bytes of each item, exactly as in the answer.
        items: Key<Vec<Located<String>>> => texts(&Schema::Text(syntax::lines)).example("['{\"id\":7}']");

        /// The keys of the last item and its id, as JSON; "" for a missing one. Without this key they aren't compared.
        last_keys: Key<Vec<Located<String>>> => texts(&Schema::Text(syntax::lines)).example("['7']");

        /// The total, if it is exact.
        total: Key<u64> => count(0, u64::MAX).example("5");

        /// The total, if it is a lower bound.
        total_at_least: Key<u64> => count(0, u64::MAX).example("10000");

        /// True if the answer shows that more items follow, false if it shows that none do.
        more: Key<bool> => flag().example("true");

        /// The token of the next page.
        next: Key<String> => text(syntax::lines).example(r#""abc""#);

        /// The token of the previous page.
        previous: Key<String> => text(syntax::lines).example(r#""abc""#);

        /// The value of each item with which a request continues from that item, as JSON.
        item_tokens: Key<Vec<Located<String>>> => texts(&Schema::Text(syntax::lines)).example("['7']");

        /// The offset at which the answer begins, according to the answer.
        offset: Key<u64> => count(0, u64::MAX).example("0");

        /// The number of the page in the answer, counted from 0, according to the answer.
        page: Key<u64> => count(0, u64::MAX).example("0");

        /// The size that the upstream has used, according to the answer.
        size: Key<u64> => count(0, u64::MAX).example("20");
    }
}
