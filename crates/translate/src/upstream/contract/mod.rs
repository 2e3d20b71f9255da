//! Contracts: the comparison of a dialect with exchanges from its vendor's documentation.
//!
//! The request of each exchange is compared byte for byte, and so are the facts that are read from its answer. A fact
//! that the contract doesn't name is a difference too, except for the usual method and path and the keys of the last
//! item. Each difference is an error at the line of the contract that it contradicts.

pub mod differences;
pub mod facts;

use http::{HeaderName, HeaderValue};

use super::{
    dialect::Dialect,
    order::sort::CompiledOrder,
    response::error::ReadingError,
    template::ask::{Unaskable, UpstreamRequest},
};
use cursorgate_config::{
    Diagnostics,
    diagnostic::Located,
    settings::{ContractExchange, ContractSettings, ContractValue, ExpectedFacts},
};
use cursorgate_core::pagination::{
    answer::{Answer, Standing},
    fetch::Token,
};
use differences::Differences;
use facts::facts_of;

/// The largest number of nested levels in an answer's JSON. A deeper answer has the error `too-large`.
const DEPTH: u16 = 128;

/// The result of comparing a contract with its dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldContract {
    /// The number of exchanges.
    pub exchanges: usize,
    /// The number of exchanges that differ.
    pub differing: usize,
    /// `true` if the dialect's facts differ from the contract's.
    pub facts_differ: bool,
}

impl HeldContract {
    /// Returns whether the facts and all exchanges agree with the dialect.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.differing == 0 && !self.facts_differ
    }
}

/// Compares a contract with its dialect, and reports each difference as an error. Returns `None` if the dialect doesn't
/// compile; its faults are reported instead.
pub fn hold(contract: &ContractSettings, diagnostics: &mut Diagnostics) -> Option<HeldContract> {
    let dialect = Dialect::compile(&contract.list, diagnostics);
    // The route of a contract is made up, so advice about its settings is useless.
    diagnostics.drop_warnings();
    let dialect = dialect?;
    let mut held = HeldContract { exchanges: contract.exchanges.len(), differing: 0, facts_differ: false };
    if let Some(expected) = &contract.facts {
        let mut differences = Differences::new("facts", expected.at, diagnostics);
        for (key, noun, found) in facts_of(&dialect) {
            // A contract may state a flag as false; the dialect's facts leave such flags out, so it counts as missing.
            let expected = expected.find(key).filter(|expected| expected.value != ContractValue::Flag(false));
            differences.compare(expected, key, noun, found);
        }
        held.facts_differ = differences.found > 0;
    }
    for exchange in &contract.exchanges {
        let mut differences = Differences::new(&exchange.name.value, exchange.name.at, diagnostics);
        hold_exchange(&dialect, exchange, &mut differences);
        held.differing += usize::from(differences.found > 0);
    }
    Some(held)
}

fn hold_exchange(dialect: &Dialect, exchange: &ContractExchange, differences: &mut Differences<'_>) {
    let sorted = dialect.default_sorted();
    let ask = match dialect.ask(sorted, &exchange.fetch, &exchange.filters, &exchange.list) {
        Ok(ask) => ask,
        Err(unaskable) => {
            let why = match unaskable {
                Unaskable::Gone => "no upstream can have this token or id",
                Unaskable::Filter => "the dialect can't write this filter",
                Unaskable::Beyond => "the dialect can name no place but the first",
            };
            differences.report(None, &format!("there is no request: {why}"), "fetch something else");
            return;
        }
    };
    hold_request(&ask, exchange, differences);
    let body = exchange.answer.body.clone().into_bytes();
    let read = dialect.read(sorted, &ask, exchange.answer.status, &exchange.answer.headers, body, DEPTH);
    differences.within(exchange.reading.at);
    match read {
        Ok(answer) => hold_reading(&answer, sorted, &exchange.reading, differences),
        Err(error) => hold_error(&error, &exchange.reading, differences),
    }
}

fn hold_request(ask: &UpstreamRequest, exchange: &ContractExchange, differences: &mut Differences<'_>) {
    let expected = &exchange.request;
    let mut text = |key: &'static str, usual: Option<&str>, found: Option<String>| {
        // The contract needn't name the usual method and path, so these are compared only if it does.
        let found = found.filter(|found| expected.find(key).is_some() || Some(found.as_str()) != usual);
        differences.compare(expected.find(key), key, key, found.map(ContractValue::Text));
    };
    text("method", Some("GET"), Some(ask.method.as_str().to_owned()));
    text("path", Some(&exchange.list), Some(ask.path.clone()));
    text("query", None, Some(ask.query.clone()));
    match ask.body(exchange.client.as_deref().map(str::as_bytes)) {
        Ok(body) => text("body", None, body.map(|body| String::from_utf8_lossy(&body).into_owned())),
        Err(_) => differences.report(None, "the client's body can't be edited", "write a JSON object"),
    }
    hold_headers(&ask.headers, &exchange.headers, differences);
}

fn hold_headers(
    sent: &[(HeaderName, HeaderValue)],
    expected: &[(Located<String>, Located<String>)],
    differences: &mut Differences<'_>,
) {
    let text = |value: &HeaderValue| ContractValue::Text(String::from_utf8_lossy(value.as_bytes()).into_owned());
    for (name, value) in expected {
        let found = sent.iter().find(|(known, _)| known.as_str().eq_ignore_ascii_case(&name.value));
        let expected = Located { value: ContractValue::Text(value.value.clone()), at: value.at };
        let noun = format!("header {}", name.value);
        differences.compare(Some(&expected), "headers", &noun, found.map(|(_, value)| text(value)));
    }
    for (name, value) in sent {
        if !expected.iter().any(|(known, _)| name.as_str().eq_ignore_ascii_case(&known.value)) {
            differences.compare(None, "headers", &format!("header {name}"), Some(text(value)));
        }
    }
}

fn hold_reading(answer: &Answer, sorted: &CompiledOrder, expected: &ExpectedFacts, differences: &mut Differences<'_>) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let standing = match &answer.standing {
        Standing::Listed => None,
        Standing::PastEnd => Some("past-end"),
        Standing::Refused => Some("refused"),
        Standing::Gone => Some("gone"),
        Standing::Unaskable | Standing::Known(_) => Some("unasked"),
    };
    let number = |number: Option<u64>| number.map(ContractValue::Number);
    let texts = |texts: Vec<String>| Some(ContractValue::Texts(texts));
    let items: Vec<String> = (0..answer.items().len()).map(|index| text(answer.item(index))).collect();
    let tokens: Vec<String> = answer.item_tokens.iter().map(|span| text(span.of(answer.body()))).collect();
    let exact = answer.total.filter(|total| total.exact).map(|total| total.value);
    let least = answer.total.filter(|total| !total.exact).map(|total| total.value);
    let token = |token: &Option<Token>| token.as_ref().map(|token| ContractValue::Text(token.0.to_string()));
    // Keys are compared only if the contract names them.
    let last = items.len().checked_sub(1).and_then(|last| answer.row(last));
    let keys = last.unwrap_or_default().iter().take(sorted.order.columns()).map(|span| text(span.of(answer.body())));
    let keys = expected.find("last_keys").map(|_| ContractValue::Texts(keys.collect()));
    let found: [(&'static str, &'static str, Option<ContractValue>); 13] = [
        ("error", "error", None),
        ("standing", "standing", standing.map(|word| ContractValue::Text(word.to_owned()))),
        ("items", "list of items", texts(items)),
        ("last_keys", "list of the last item's keys", keys),
        ("total", "total", number(exact)),
        ("total_at_least", "lower bound of the total", number(least)),
        ("more", "statement on further items", answer.more.map(ContractValue::Flag)),
        ("next", "next token", token(&answer.next)),
        ("previous", "previous token", token(&answer.previous)),
        ("item_tokens", "list of items' tokens", texts(tokens)),
        ("offset", "offset", number(answer.offset)),
        ("page", "page", number(answer.page)),
        ("size", "size", number(answer.size.map(u64::from))),
    ];
    for (key, noun, found) in found {
        differences.compare(expected.find(key), key, noun, found);
    }
}

/// Compares an error with the expected one. If the contract expects none, the report quotes the error.
fn hold_error(error: &ReadingError, expected: &ExpectedFacts, differences: &mut Differences<'_>) {
    let word = match error {
        ReadingError::Failed { .. } => "refused",
        ReadingError::Unavailable(_) => "unavailable",
        ReadingError::Redirected { .. } => "redirected",
        ReadingError::Malformed(_) => "malformed",
        ReadingError::TooDeep(_) | ReadingError::TooManyItems(_) => "too-large",
    };
    match expected.find("error") {
        Some(said) => {
            differences.compare(Some(said), "error", "error", Some(ContractValue::Text(word.to_owned())));
        }
        None => {
            let help = format!("if this answer is not a list, write error = {word:?}");
            differences.report(Some(expected.at), &format!("the answer can't be read: {error}"), &help);
        }
    }
}

#[cfg(test)]
mod tests;
