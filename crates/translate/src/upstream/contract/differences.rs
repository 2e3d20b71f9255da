//! The report of differences between a contract and a dialect.

use cursorgate_config::{
    Diagnostics,
    diagnostic::{Located, Location},
    settings::ContractValue,
};

/// The largest number of bytes that a message shows of a value. A longer value is cut, and ends in `…`.
const SHOWN: usize = 2_000;

/// The differences of one part of a contract.
#[derive(Debug)]
pub struct Differences<'d> {
    /// The name of the exchange, or `facts`.
    name: &'d str,
    /// The location that is reported for values that the contract doesn't name.
    at: Location,
    /// The number of differences so far.
    pub found: usize,
    diagnostics: &'d mut Diagnostics,
}

impl<'d> Differences<'d> {
    pub fn new(name: &'d str, at: Location, diagnostics: &'d mut Diagnostics) -> Self {
        Self { name, at, found: 0, diagnostics }
    }

    /// Sets another location for values that the contract doesn't name.
    pub fn within(&mut self, at: Location) {
        self.at = at;
    }

    /// Counts and reports a difference. Without a location `at`, the location for values that the contract doesn't name
    /// is used.
    pub fn report(&mut self, at: Option<Location>, message: &str, help: &str) {
        self.found += 1;
        self.diagnostics.error(at.unwrap_or(self.at), format!("{}: {message}", self.name), help);
    }

    /// Compares a fact with its expected value, and reports a difference. An empty list equals a missing fact. `key` is
    /// the fact's name in the contract, `noun` its name in the report.
    pub fn compare(
        &mut self,
        expected: Option<&Located<ContractValue>>,
        key: &str,
        noun: &str,
        found: Option<ContractValue>,
    ) {
        let said = expected.filter(|expected| !is_empty(&expected.value));
        let found = found.filter(|found| !is_empty(found));
        match (said, found) {
            (Some(said), Some(found)) if said.value == found => {}
            (None, None) => {}
            (Some(said), Some(found)) => {
                let help = format!("expected {}", shown(&said.value));
                self.report(Some(said.at), &format!("the {noun} is {}", shown(&found)), &help);
            }
            (Some(said), None) => {
                let help = format!("expected {}", shown(&said.value));
                self.report(Some(said.at), &format!("there is no {noun}"), &help);
            }
            (None, Some(found)) => {
                let help = match key {
                    "headers" => "the contract has none".to_owned(),
                    _ => format!("the contract has none; where it is right, write {key} = {}", shown(&found)),
                };
                let at = expected.map(|expected| expected.at);
                self.report(at, &format!("the {noun} is {}", shown(&found)), &help);
            }
        }
    }
}

fn is_empty(value: &ContractValue) -> bool {
    matches!(value, ContractValue::Texts(texts) if texts.is_empty())
}

fn shown(value: &ContractValue) -> String {
    let mut text = value.to_string();
    if text.len() > SHOWN {
        text.truncate(text.floor_char_boundary(SHOWN));
        text.push('…');
    }
    text
}
