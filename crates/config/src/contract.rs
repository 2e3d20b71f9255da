//! Contracts of dialects: files of requests and answers against which a dialect is checked.
//!
//! A contract isn't a configuration. The keys in its `route` are read as a configuration with that single route so
//! that the dialect is compiled as in a gateway.

use std::{path::Path, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{
    Diagnostics, Environment, WithoutSecrets,
    check::{self, Context},
    diagnostic::{Located, Location},
    include,
    keys::{CONTRACT, CONTRACT_SCHEMA, DIALECT, EXCHANGE, EXCHANGE_ANSWER, FILE, FILE_SCHEMA, ROUTE},
    parse, read_text, schema,
    settings::{ContractAnswer, ContractExchange, ContractSettings, ContractValue, ExpectedFacts, ListSettings},
    spanned::{Spanned, Value},
    toml_text,
};
use cursorgate_core::pagination::{
    fetch::{Fetch, Listing, Token, TokenFetch},
    filter::{Comparison, Filter},
    key::KeyValue,
    window::{Offset, PageNumber, PageSize, Slice},
};

/// The configuration around the route of a contract. The signing key need not exist, because no cursor is made.
const AROUND: &str = r#"version = 1
[listeners.public]
address = "127.0.0.1:8080"
[cursor]
signing_key = 1
keys = { 1 = "env:CURSORGATE_KEY" }
[upstreams.legacy]
peers = ["127.0.0.1:8000"]
[defaults]
old_clients = "none"
[routes.items]
path = "/items"
upstream = "legacy"
"#;

/// Reads a contract. Its dialect is one of the configuration at `configuration`, or a built-in one. Returns `None` if
/// there are errors among the diagnostics.
#[must_use]
pub fn load_contract(
    path: &Path,
    configuration: Option<&Path>,
    environment: &dyn Environment,
) -> (Option<ContractSettings>, Diagnostics) {
    let mut diagnostics = Diagnostics::default();
    let environment = WithoutSecrets(environment);
    let contract = read_text(path, &environment, &mut diagnostics).and_then(|text| {
        let mut context = Context { diagnostics: &mut diagnostics, environment: &environment, whole: true };
        let root = root(path, &text, &mut context);
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        contract(&root, stem, configuration, &mut context)
    });
    // The route of a contract is an example, so warnings about it are useless.
    diagnostics.drop_warnings();
    (contract.filter(|_| !diagnostics.has_errors()), diagnostics)
}

/// Reads the exchanges of a contract without its dialect, which need not exist. Returns `None` if there are errors
/// among the diagnostics.
#[must_use]
pub fn load_exchanges(path: &Path, environment: &dyn Environment) -> (Option<Vec<ContractExchange>>, Diagnostics) {
    let mut diagnostics = Diagnostics::default();
    let environment = WithoutSecrets(environment);
    let read = read_text(path, &environment, &mut diagnostics).and_then(|text| {
        let mut context = Context { diagnostics: &mut diagnostics, environment: &environment, whole: true };
        exchanges(&root(path, &text, &mut context), &mut context)
    });
    (read.filter(|_| !diagnostics.has_errors()), diagnostics)
}

fn root(path: &Path, text: &str, context: &mut Context<'_>) -> Spanned {
    let source = context.diagnostics.add_source(path.display().to_string(), text.to_owned());
    let (root, whole) = toml_text::read(source, text, context.diagnostics);
    context.whole &= whole;
    schema::inspect(&root, &CONTRACT_SCHEMA, "", context.diagnostics);
    root
}

fn exchanges(root: &Spanned, context: &mut Context<'_>) -> Option<Vec<ContractExchange>> {
    let written = CONTRACT.exchange.or_empty(root);
    if written.is_empty() {
        context.missing(root.at, "the file has no exchange", "write [[exchange]], with a name, a query and an answer");
    }
    // All exchanges are read before a fault ends the function, so the faults of all are reported.
    let read: Vec<Option<ContractExchange>> = written.iter().map(|written| exchange(written, context)).collect();
    read.into_iter().collect()
}

fn contract(
    root: &Spanned,
    stem: String,
    configuration: Option<&Path>,
    context: &mut Context<'_>,
) -> Option<ContractSettings> {
    let dialect = CONTRACT.dialect.located(root).unwrap_or(Located { value: stem, at: root.at });
    let exchanges = exchanges(root, context);
    let own = match configuration {
        Some(path) => dialects_of(path, context)?,
        None => Spanned::empty(root.at),
    };
    let list = list(root, &dialect, own, context);
    let facts = CONTRACT.facts.read(root).map(|facts| expected(&facts));
    Some(ContractSettings { dialect, list: list?, facts, exchanges: exchanges? })
}

/// Reads the dialects of a configuration, also those of included files.
fn dialects_of(path: &Path, context: &mut Context<'_>) -> Option<Spanned> {
    let text = read_text(path, context.environment, context.diagnostics)?;
    let mut root = parse(&path.display().to_string(), &text, context);
    include::include(&mut root, path, context);
    let dialects = FILE.dialects.table(&root);
    let definition = &FILE.dialects.definition;
    schema::inspect(&dialects, &definition.schema, definition.name, context.diagnostics);
    Some(dialects)
}

/// Reads the list of a route that has the contract's keys and its dialect. `own` are the dialects of the configuration.
fn list(root: &Spanned, dialect: &Located<String>, own: Spanned, context: &mut Context<'_>) -> Option<ListSettings> {
    let mut whole = parse("contract", AROUND, context);
    whole = whole.under(&nested(&[FILE.dialects.definition.name], own), &[]);
    let mut named = dialect.clone();
    if let Some(extension) = CONTRACT.extension.located(root) {
        whole = whole.under(&embedded(&extension, "[dialects.extension]", context), &[]);
        let extends = text_at(&named.value, named.at);
        let path = [FILE.dialects.definition.name, "extension", DIALECT.extends.definition.name];
        whole = whole.under(&nested(&path, extends), &[]);
        named.value = "extension".to_owned();
    }
    if let Some(route) = CONTRACT.route.located(root) {
        whole = whole.under(&embedded(&route, "[routes.items]", context), &[]);
    }
    // The dialect is set last: `route` must not name another one.
    let path = [FILE.routes.definition.name, "items", ROUTE.dialect.definition.name];
    whole = whole.under(&nested(&path, text_at(&named.value, named.at)), &[]);
    schema::inspect(&whole, &FILE_SCHEMA, "", context.diagnostics);
    let settings = check::settings(&whole, context);
    settings.routes.into_iter().next()?.list.map(|list| *list)
}

/// Parses the TOML in a string of the contract, with `header` as its first line. Faults are reported with their lines
/// in the contract.
fn embedded(written: &Located<String>, header: &str, context: &mut Context<'_>) -> Spanned {
    let (file, first, _) = context.diagnostics.place(written.at);
    let file = file.to_owned();
    let (_, last, _) = context.diagnostics.place(Location { start: written.at.end, ..written.at });
    // A string over several lines begins in the line after its quotes, and a string of one line in the same line. The
    // header takes the line before the string.
    let before = if last > first { first } else { first.saturating_sub(1) };
    // The empty lines give faults of the text their line numbers in the contract.
    let text = format!("{}{header}\n{}", "\n".repeat(before.saturating_sub(1)), written.value);
    parse(&file, &text, context)
}

fn text_at(text: &str, at: Location) -> Spanned {
    Spanned { value: Value::Text(text.to_owned()), at }
}

/// Returns nested tables with the names of `path`. The innermost table has the value.
fn nested(path: &[&str], value: Spanned) -> Spanned {
    path.iter().rev().fold(value, |value, name| {
        let at = value.at;
        let name = Located { value: (*name).to_owned(), at };
        Spanned { value: Value::Table(vec![(name, value)]), at }
    })
}

fn exchange(written: &Spanned, context: &mut Context<'_>) -> Option<ContractExchange> {
    let Some(name) = EXCHANGE.name.located(written) else {
        context.missing(written.at, "the exchange has no name", "write name = \"first\"");
        return None;
    };
    let query = EXCHANGE.query.find(written);
    if query.is_none() {
        context.missing(written.at, "the exchange has no query", "write query = \"…\", as it is sent");
    }
    let answer = answer(written, context);
    let fetch = fetch(written, context);
    Some(ContractExchange {
        name,
        fetch: fetch?,
        filters: EXCHANGE.filters.or_empty(written),
        list: EXCHANGE.list.read(written).unwrap_or_else(|| "/items/".to_owned()),
        client: EXCHANGE.client.read(written),
        request: expected(written),
        headers: EXCHANGE.headers.or_empty(written),
        answer: answer?,
        reading: expected(&EXCHANGE.reading.table(written)),
    })
}

fn answer(written: &Spanned, context: &mut Context<'_>) -> Option<ContractAnswer> {
    let table = EXCHANGE.answer.table(written);
    let mut headers = HeaderMap::new();
    for (name, value) in EXCHANGE_ANSWER.headers.or_empty(&table) {
        let parsed = HeaderName::from_bytes(name.value.as_bytes()).ok().zip(HeaderValue::from_str(&value.value).ok());
        match parsed {
            Some((name, value)) => drop(headers.append(name, value)),
            None => context.diagnostics.error(name.at, "no answer has this header", "write its name and its value"),
        }
    }
    let Some(status) = EXCHANGE_ANSWER.status.read(&table) else {
        let help = "write [exchange.answer] with a status and a body";
        context.missing(table.at, "the answer has no status", help);
        return None;
    };
    Some(ContractAnswer { status, headers, body: EXCHANGE_ANSWER.body.or_empty(&table) })
}

/// Reads the fetch of an exchange: a page by number, items by offset, a page by token, a single item, or the total.
fn fetch(written: &Spanned, context: &mut Context<'_>) -> Option<Fetch> {
    let (page, from) = (EXCHANGE.page.read(written), EXCHANGE.from.read(written));
    let (item, count) = (EXCHANGE.item.located(written), EXCHANGE.count.read(written) == Some(true));
    let size = EXCHANGE.size.read(written).map(PageSize);
    let filter = filter(written, context)?;
    let listing = || Listing {
        filter: filter.clone().map(Arc::new),
        flipped: EXCHANGE.flipped.or_empty(written),
        by_id: EXCHANGE.by_id.or_empty(written),
        is_probe: false,
    };
    match (page, from, item, count, size) {
        (Some(page), None, None, false, Some(size)) => {
            Some(Fetch::Slice(Slice::Page { number: PageNumber(page), size }, listing()))
        }
        (None, Some(from), None, false, Some(size)) => {
            Some(Fetch::Slice(Slice::Offset { from: Offset(from), size }, listing()))
        }
        (None, None, None, false, Some(size)) => {
            let token = EXCHANGE.token.read(written).map(|token| Token(token.into()));
            Some(Fetch::Token(TokenFetch { token, backward: EXCHANGE.backward.or_empty(written), size }))
        }
        (None, None, Some(id), false, None) => {
            let found = KeyValue::of_id(id.value.as_bytes()).map(Fetch::Item);
            if found.is_none() {
                context.diagnostics.error(
                    id.at,
                    "no item has this id",
                    "write the id as JSON: item = '7', item = '\"a\"'",
                );
            }
            found
        }
        (None, None, None, true, None) => Some(Fetch::Count),
        _ => {
            let help =
                "write page and size, from and size, token and size, only size for the start, item, or count = true";
            context.missing(written.at, "the exchange does not say what is fetched", help);
            None
        }
    }
}

/// Reads the filter of an exchange, whose elements must all hold. Returns `None` for a fault, and `Some(None)` without
/// a filter. Example of an element: `0 < 7 | 0 null`.
fn filter(written: &Spanned, context: &mut Context<'_>) -> Option<Option<Filter>> {
    let texts = EXCHANGE.filter.or_empty(written);
    let mut filters = Vec::new();
    for text in &texts {
        let Some(filter) = alternatives(&text.value) else {
            let help =
                "write \"0 <= 7\", \"1 = \\\"a\\\"\", \"0 null\", \"0 not-null\", or several with \" | \" between them";
            context.diagnostics.error(text.at, format!("{:?} is not a comparison", text.value), help);
            return None;
        };
        filters.push(filter);
    }
    Some(if filters.len() > 1 { Some(Filter::And(filters)) } else { filters.pop() })
}

fn alternatives(text: &str) -> Option<Filter> {
    let mut any = text.split(" | ").map(comparison).collect::<Option<Vec<_>>>()?;
    if any.len() > 1 { Some(Filter::Or(any)) } else { any.pop() }
}

fn comparison(text: &str) -> Option<Filter> {
    let (column, rest) = text.split_once(' ')?;
    let (word, value) = rest.split_once(' ').unwrap_or((rest, ""));
    let comparison = match word {
        "<" => Comparison::Less,
        "<=" => Comparison::LessOrEqual,
        ">" => Comparison::Greater,
        ">=" => Comparison::GreaterOrEqual,
        "=" => Comparison::Equal,
        "null" => Comparison::Null,
        "not-null" => Comparison::NotNull,
        _ => return None,
    };
    let value = KeyValue::of_id(value.as_bytes());
    let compares = !matches!(comparison, Comparison::Null | Comparison::NotNull);
    (compares == value.is_some()).then_some(Filter::Compare { column: column.parse().ok()?, comparison, value })
}

/// Reads a table of facts. Values of other types have been reported by the schema.
fn expected(table: &Spanned) -> ExpectedFacts {
    let facts = table.members().iter().filter_map(|(key, written)| {
        let value = match &written.value {
            Value::Boolean(flag) => ContractValue::Flag(*flag),
            Value::Number(_) => ContractValue::Number(written.as_count()?),
            Value::Text(text) => ContractValue::Text(text.clone()),
            Value::List(elements) => {
                ContractValue::Texts(elements.iter().filter_map(Spanned::as_text).map(|text| text.value).collect())
            }
            _ => return None,
        };
        Some((key.value.clone(), Located { value, at: written.at }))
    });
    ExpectedFacts { at: table.at, facts: facts.collect() }
}
