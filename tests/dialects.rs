//! Contracts of the built-in dialects. `dialects/NAME.toml` holds exchanges as the vendor documents them: what a fetch
//! must look like on the wire, byte for byte, and what must be read from the answer. A file has a `route` (keys of the
//! route that uses the dialect), maybe an `extension` (keys of a dialect that extends it, where it can't be used as it
//! is), `facts` of the dialect, and for each `exchange` the fetch, the request and the answer. What an exchange doesn't
//! say of the reading must not be there.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test says by a panic that it fails")]

use std::{collections::BTreeSet, io, path::Path};

use cursorgate::{
    config::{self, Environment},
    pagination::{
        answer::{Answer, Standing},
        order::Ties,
        window::{Fetch, Offset, PageNumber, PageSize},
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
    drf_limit_offset: "drf-limit-offset",
    drf_page: "drf-page",
    json_server_0_17: "json-server-0.17",
    json_server_1: "json-server-1",
    laravel: "laravel",
    offset_limit: "offset-limit",
    page_limit: "page-limit",
    postgrest: "postgrest",
    postgrest_range: "postgrest-range",
    spring_data: "spring-data",
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
    for needed in ["first", "middle", "last", "past the end", "empty"] {
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
    assert_eq!(format!("{:?}", paging.sizes), facts.text("sizes").unwrap());
    assert_eq!(format!("{:?}", paging.end), facts.text("end").unwrap());
    assert_eq!(paging.repeats_last_page, facts.boolean("repeats_last_page").unwrap_or_default());
    assert_eq!(dialect.paging_names(), facts.texts("paging_names"));
    assert_eq!(dialect.sort_names(), facts.texts("sort_names"));
    assert_eq!(dialect.asks_for_order(), facts.boolean("asks_for_order").unwrap());
    let ties = if facts.boolean("ties_ordered").unwrap() { Ties::Ordered } else { Ties::Unordered };
    assert_eq!(dialect.default_sorted().order.ties, ties);
}

fn hold_exchange(dialect: &Dialect, exchange: Doc<'_>, place: &str) {
    let sorted = dialect.default_sorted();
    let number = |key| exchange.number(key);
    let size = PageSize(u32::try_from(number("size").unwrap()).unwrap());
    let fetch = match (number("page"), number("from")) {
        (Some(page), None) => Fetch::Page { number: PageNumber(page), size },
        (None, Some(from)) => Fetch::Slice { from: Offset(from), size },
        _ => panic!("{place}: a page, or from"),
    };
    let ask = dialect.ask(sorted, fetch, exchange.text("filters").unwrap_or_default());
    assert_eq!(ask.query, exchange.text("query").unwrap(), "{place}: query");
    assert_eq!(sorted_by_name(ask.headers), headers(exchange.table("headers")), "{place}: headers");

    let answered = exchange.table("answer").unwrap();
    let status = u16::try_from(answered.number("status").unwrap()).unwrap();
    let response_headers: HeaderMap = headers(answered.table("headers")).into_iter().collect();
    let body = answered.text("body").unwrap().as_bytes().to_vec();
    let answer = dialect
        .read(sorted, fetch, status, &response_headers, body, 128)
        .unwrap_or_else(|error| panic!("{place}: {error}"));
    hold_reading(&answer, sorted.order.columns(), exchange.table("reading").unwrap(), place);
}

fn hold_reading(answer: &Answer, columns: usize, reading: Doc<'_>, place: &str) {
    let standing = match reading.text("standing") {
        None => Standing::Listed,
        Some("past-end") => Standing::PastEnd,
        Some(other) => panic!("{place}: {other}"),
    };
    assert_eq!(answer.standing, standing, "{place}: standing");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let items: Vec<String> = (0..answer.items.len()).map(|index| text(answer.item(index))).collect();
    assert_eq!(items, reading.texts("items"), "{place}: items");
    assert_eq!(answer.keys.len(), items.len() * columns, "{place}: keys");
    if let Some(expected) = reading.present("last_keys") {
        let keys: Vec<String> =
            answer.keys[answer.keys.len() - columns..].iter().map(|span| text(span.of(&answer.body))).collect();
        assert_eq!(keys, expected, "{place}: keys of the last item");
    }
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
