//! Contracts of the built-in dialects. `dialects/NAME.toml` holds exchanges as the vendor documents them: what a fetch
//! must look like on the wire, byte for byte, and what must be read from the answer. A file has a `route` (keys of the
//! route that uses the dialect), maybe an `extension` (keys of a dialect that extends it, where it can't be used as it
//! is), `facts` of the dialect, and for each `exchange` the fetch, the request and the answer. What an exchange doesn't
//! say of the reading must not be there.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test says by a panic that it fails")]

use std::{collections::BTreeSet, io, path::Path, sync::Arc};

use cursorgate::{
    config::{self, Environment, settings::Mode},
    pagination::{
        answer::{Answer, Standing},
        fetch::{Fetch, Listing, Token, TokenFetch},
        filter::{Comparison, Comparisons, Filter},
        key::KeyValue,
        order::Ties,
        paging::Family,
        window::{Offset, PageNumber, PageSize, Slice},
    },
    upstream::Dialect,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use toml::de::{DeTable, DeValue};

macro_rules! contracts {
    ($($test:ident: $name:literal,)*) => {
        const CONTRACTS: &[&str] = &[$($name),*];
        $(
            #[test]
            fn $test() {
                hold($name, include_str!(concat!("dialects/", $name, ".toml")));
            }
        )*
    };
}

contracts! {
    batch_post: "batch-post",
    confluence_cloud_v1: "confluence-cloud-v1",
    confluence_v1: "confluence-v1",
    drf_cursor: "drf-cursor",
    drf_limit_offset: "drf-limit-offset",
    drf_page: "drf-page",
    elasticsearch: "elasticsearch",
    elasticsearch_search_after: "elasticsearch-search-after",
    feathers: "feathers",
    github: "github",
    gitlab_keyset: "gitlab-keyset",
    json_server_0_17: "json-server-0.17",
    json_server_1: "json-server-1",
    laravel: "laravel",
    mediawiki: "mediawiki",
    odata_v4: "odata-v4",
    offset_limit: "offset-limit",
    ogc_features: "ogc-features",
    page_limit: "page-limit",
    postgrest: "postgrest",
    postgrest_range: "postgrest-range",
    shopify: "shopify",
    solr_cursor_mark: "solr-cursor-mark",
    spring_data: "spring-data",
    stripe: "stripe",
    whole_list: "whole-list",
    wordpress: "wordpress",
    zendesk_cursor: "zendesk-cursor",
}

#[test]
fn every_dialect_has_a_contract() {
    let contracts: BTreeSet<String> = CONTRACTS.iter().map(ToString::to_string).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert_eq!(names_in(&root.join("config/dialects")), contracts, "config/dialects");
    assert_eq!(names_in(&root.join("tests/dialects")), contracts, "tests/dialects");
    let built_in: BTreeSet<String> = config::preset_dialects().map(|(name, _)| name.to_owned()).collect();
    assert_eq!(built_in, contracts, "built in");
}

fn names_in(folder: &Path) -> BTreeSet<String> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| path.file_name().unwrap().to_str().unwrap().strip_suffix(".toml").unwrap().to_owned())
        .collect()
}

/// Holds a dialect to its contract.
fn hold(name: &str, contract: &str) {
    let contract = DeTable::parse(contract).unwrap_or_else(|error| panic!("{name}: {error}")).into_inner();
    let contract = Doc(&contract);
    let dialect = compile(name, contract.text("extension"), contract.text("route").unwrap());
    hold_facts(&dialect, contract.table("facts").unwrap());
    let exchanges = contract.tables("exchange");
    let named: BTreeSet<&str> = exchanges.iter().map(|exchange| exchange.text("name").unwrap()).collect();
    let by_place = dialect.paging().family != Family::Token;
    let needed = if by_place {
        &["first", "middle", "last", "past the end", "empty"][..]
    } else {
        &["first", "middle", "last", "empty"]
    };
    for needed in needed {
        assert!(named.contains(needed), "{name}: no exchange {needed:?}");
    }
    for exchange in exchanges {
        let place = format!("{name}, {}", exchange.text("name").unwrap());
        hold_exchange(&dialect, exchange, &place);
    }
}

fn compile(name: &str, extension: Option<&str>, route: &str) -> Dialect {
    let used = if extension.is_some() { "extension" } else { name };
    let extension =
        extension.map_or_else(String::new, |keys| format!("[dialects.extension]\nextends = \"{name}\"\n{keys}"));
    let text = format!(
        r#"
version = 1
[listeners.public]
address = "127.0.0.1:8080"
[cursor]
signing_key = 1
keys = {{ 1 = "env:KEY" }}
[upstreams.legacy]
peers = ["127.0.0.1:8000"]
[routes.items]
path = "/items"
upstream = "legacy"
dialect = "{used}"
{route}
{extension}
"#
    );
    let (settings, mut diagnostics) = config::load_text("contract.toml", &text, &OneKey);
    let dialect = settings.and_then(|settings| {
        let list = settings.routes.first()?.list.as_ref()?;
        Dialect::compile(list, &mut diagnostics)
    });
    dialect.unwrap_or_else(|| panic!("{}", diagnostics.render(false)))
}

/// An environment that holds a key for cursors and nothing else.
struct OneKey;

impl Environment for OneKey {
    fn variable(&self, name: &str) -> Option<String> {
        (name == "KEY").then(|| "aOyTwFgPs5hzOuP-NkYfh2ErSvXeas9O1nm-EUXTEMI".to_owned())
    }

    fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::NotFound.into())
    }
}

fn hold_facts(dialect: &Dialect, facts: Doc<'_>) {
    let paging = dialect.paging();
    assert_eq!(format!("{:?}", paging.family), facts.text("family").unwrap());
    assert_eq!(format!("{:?}", paging.sizes()), facts.text("sizes").unwrap());
    assert_eq!(format!("{:?}", paging.end), facts.text("end").unwrap());
    assert_eq!(paging.repeats_last_page, facts.boolean("repeats_last_page").unwrap_or_default());
    assert_eq!(paging.hidden, facts.boolean("hidden").unwrap_or_default());
    assert_eq!(paging.tokens.backward, facts.boolean("tokens_lead_back").unwrap_or_default());
    assert_eq!(paging.tokens.by_item, facts.boolean("by_item").unwrap_or_default());
    assert_eq!(dialect.paging_names(), facts.texts("paging_names"));
    assert_eq!(dialect.sort_names(), facts.texts("sort_names"));
    assert_eq!(dialect.paging_places(), facts.texts("paging_places"));
    assert_eq!(dialect.sort_places(), facts.texts("sort_places"));
    assert_eq!(dialect.asks_for_order(), facts.boolean("asks_for_order").unwrap());
    let sorted = dialect.default_sorted();
    let ties = if facts.boolean("ties_ordered").unwrap() { Ties::Ordered } else { Ties::Unordered };
    assert_eq!(sorted.order.ties(), ties);
    assert_eq!(sorted.flips, facts.boolean("flips").unwrap_or_default(), "flips");
    let usual = if paging.family == Family::Token { Mode::Token } else { Mode::Offset };
    assert_eq!(sorted.mode.word(), facts.text("mode").unwrap_or_else(|| usual.word()));
    let filters = sorted.filters.as_ref().map_or_else(Vec::new, |filters| {
        let columns = filters.columns.iter().map(|column| comparisons(*column));
        columns
            .chain(
                [filters.both.then(|| "and".to_owned()), filters.either.then(|| "or".to_owned())].into_iter().flatten(),
            )
            .collect()
    });
    assert_eq!(filters, facts.texts("filters"), "filters");
}

/// The comparisons of a column, by their words.
fn comparisons(column: Comparisons) -> String {
    let words = [
        (column.less, "lt"),
        (column.less_or_equal, "lte"),
        (column.greater, "gt"),
        (column.greater_or_equal, "gte"),
        (column.equal, "eq"),
        (column.nulls, "null"),
    ];
    words.iter().filter(|(has, _)| *has).map(|(_, word)| *word).collect::<Vec<_>>().join(" ")
}

/// Returns the fetch of an exchange: a page, a slice, a token, an item, or the count.
fn fetch(exchange: Doc<'_>, place: &str) -> Fetch {
    let number = |key| exchange.number(key);
    let size = || PageSize(u32::try_from(number("size").unwrap()).unwrap());
    let slice = match (number("page"), number("from"), exchange.text("item"), exchange.boolean("count")) {
        (Some(page), None, None, None) => Slice::Page { number: PageNumber(page), size: size() },
        (None, Some(from), None, None) => Slice::Offset { from: Offset(from), size: size() },
        (None, None, Some(id), None) => return Fetch::Item(KeyValue::of_id(id.as_bytes()).unwrap()),
        (None, None, None, Some(true)) => return Fetch::Count,
        (None, None, None, None) => {
            let token = exchange.text("token").map(|token| Token(token.into()));
            let backward = exchange.boolean("backward").unwrap_or_default();
            return Fetch::Token(TokenFetch { token, backward, size: size() });
        }
        _ => panic!("{place}: what is asked?"),
    };
    let filters: Vec<Filter> = exchange.texts("filter").iter().map(|text| filter(text)).collect();
    let filter = match filters.len() {
        0 => None,
        1 => filters.into_iter().next(),
        _ => Some(Filter::And(filters)),
    };
    let flipped = exchange.boolean("flipped").unwrap_or_default();
    let by_id = exchange.boolean("by_id").unwrap_or_default();
    Fetch::Slice(slice, Listing { filter: filter.map(Arc::new), flipped, by_id })
}

/// A filter: `0 <= VALUE` compares the first column, `VALUE` is a raw JSON value; `A | B` holds where one does.
fn filter(text: &str) -> Filter {
    if text.contains(" | ") {
        return Filter::Or(text.split(" | ").map(filter).collect());
    }
    let (column, rest) = text.split_once(' ').unwrap();
    let (comparison, value) = rest.split_once(' ').unwrap_or((rest, ""));
    let comparison = match comparison {
        "<" => Comparison::Less,
        "<=" => Comparison::LessOrEqual,
        ">" => Comparison::Greater,
        ">=" => Comparison::GreaterOrEqual,
        "=" => Comparison::Equal,
        "null" => Comparison::Null,
        "not-null" => Comparison::NotNull,
        other => panic!("{other}"),
    };
    Filter::Compare { column: column.parse().unwrap(), comparison, value: KeyValue::of_id(value.as_bytes()) }
}

fn hold_exchange(dialect: &Dialect, exchange: Doc<'_>, place: &str) {
    let sorted = dialect.default_sorted();
    let fetch = fetch(exchange, place);
    let filters = exchange.text("filters").unwrap_or_default();
    let list = exchange.text("list").unwrap_or("/items/");
    let ask = dialect.ask(sorted, &fetch, filters, list).unwrap_or_else(|error| panic!("{place}: {error}"));
    assert_eq!(ask.method.as_str(), exchange.text("method").unwrap_or("GET"), "{place}: method");
    assert_eq!(ask.path, exchange.text("path").unwrap_or(list), "{place}: path");
    assert_eq!(ask.query, exchange.text("query").unwrap(), "{place}: query");
    let body = ask.body(exchange.text("client").map(str::as_bytes)).unwrap();
    let body = body.map(|body| String::from_utf8(body).unwrap());
    assert_eq!(body.as_deref(), exchange.text("body"), "{place}: body");
    assert_eq!(sorted_by_name(ask.headers.clone()), headers(exchange.table("headers")), "{place}: headers");

    let answered = exchange.table("answer").unwrap();
    let status = u16::try_from(answered.number("status").unwrap()).unwrap();
    let response_headers: HeaderMap = headers(answered.table("headers")).into_iter().collect();
    let body = answered.text("body").unwrap().as_bytes().to_vec();
    let answer = dialect
        .read(sorted, &ask, status, &response_headers, body, 128)
        .unwrap_or_else(|error| panic!("{place}: {error}"));
    hold_reading(&answer, sorted.order.columns(), exchange.table("reading").unwrap(), place);
}

fn hold_reading(answer: &Answer, columns: usize, reading: Doc<'_>, place: &str) {
    let standing = match reading.text("standing") {
        None => Standing::Listed,
        Some("past-end") => Standing::PastEnd,
        Some("gone") => Standing::Gone,
        Some(other) => panic!("{place}: {other}"),
    };
    assert_eq!(answer.standing, standing, "{place}: standing");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let items: Vec<String> = (0..answer.items().len()).map(|index| text(answer.item(index))).collect();
    assert_eq!(items, reading.texts("items"), "{place}: items");
    assert!((0..items.len()).all(|index| answer.row(index).is_some_and(|row| row.len() == columns)), "{place}: keys");
    if let Some(expected) = reading.present("last_keys") {
        let keys: Vec<String> =
            answer.row(items.len() - 1).unwrap().iter().map(|span| text(span.of(answer.body()))).collect();
        assert_eq!(keys, expected, "{place}: keys of the last item");
    }
    let token = |token: &Option<Token>| token.as_ref().map(|token| token.0.to_string());
    assert_eq!(token(&answer.next).as_deref(), reading.text("next"), "{place}: next");
    assert_eq!(token(&answer.previous).as_deref(), reading.text("previous"), "{place}: previous");
    let item_tokens: Vec<String> = answer.item_tokens.iter().map(|span| text(span.of(answer.body()))).collect();
    assert_eq!(item_tokens, reading.texts("item_tokens"), "{place}: item tokens");
    assert_eq!(answer.total.map(|total| total.value), reading.number("total"), "{place}: total");
    assert!(answer.total.is_none_or(|total| total.exact), "{place}: total");
    assert_eq!(answer.more, reading.boolean("more"), "{place}: more");
    assert_eq!(answer.offset, reading.number("offset"), "{place}: offset");
    assert_eq!(answer.page, reading.number("page"), "{place}: page");
    assert_eq!(answer.size.map(u64::from), reading.number("size"), "{place}: size");
}

fn headers(table: Option<Doc<'_>>) -> Vec<(HeaderName, HeaderValue)> {
    let Some(Doc(table)) = table else { return Vec::new() };
    let headers = table.iter().map(|(name, value)| {
        let DeValue::String(value) = value.get_ref() else { panic!("a header is a text") };
        (name.get_ref().parse().unwrap(), value.parse().unwrap())
    });
    sorted_by_name(headers.collect())
}

fn sorted_by_name(mut headers: Vec<(HeaderName, HeaderValue)>) -> Vec<(HeaderName, HeaderValue)> {
    headers.sort_by(|(one, _), (other, _)| one.as_str().cmp(other.as_str()));
    headers
}

/// A table of a contract.
#[derive(Clone, Copy)]
struct Doc<'a>(&'a DeTable<'a>);

impl<'a> Doc<'a> {
    fn value(self, key: &str) -> Option<&'a DeValue<'a>> {
        self.0.iter().find(|(name, _)| name.get_ref() == key).map(|(_, value)| value.get_ref())
    }

    fn text(self, key: &str) -> Option<&'a str> {
        self.value(key).map(|value| value.as_str().unwrap_or_else(|| panic!("{key} is a text")))
    }

    fn number(self, key: &str) -> Option<u64> {
        self.value(key).map(|value| match value {
            DeValue::Integer(integer) => integer.as_str().parse().unwrap(),
            _ => panic!("{key} is a number"),
        })
    }

    fn boolean(self, key: &str) -> Option<bool> {
        self.value(key).map(|value| value.as_bool().unwrap_or_else(|| panic!("{key} is a boolean")))
    }

    fn present(self, key: &str) -> Option<Vec<String>> {
        let DeValue::Array(array) = self.value(key)? else { panic!("{key} is a list") };
        Some(array.iter().map(|element| element.get_ref().as_str().unwrap().to_owned()).collect())
    }

    fn texts(self, key: &str) -> Vec<String> {
        self.present(key).unwrap_or_default()
    }

    fn table(self, key: &str) -> Option<Self> {
        self.value(key).map(|value| match value {
            DeValue::Table(table) => Self(table),
            _ => panic!("{key} is a table"),
        })
    }

    fn tables(self, key: &str) -> Vec<Self> {
        let Some(DeValue::Array(array)) = self.value(key) else { panic!("{key} is a list of tables") };
        array
            .iter()
            .map(|element| match element.get_ref() {
                DeValue::Table(table) => Self(table),
                _ => panic!("{key} is a list of tables"),
            })
            .collect()
    }
}
