//! The contract of a dialect: exchanges with an upstream, and the facts that the dialect must read from them.
//! `upstream` checks dialects against contracts.

use std::fmt;

use http::HeaderMap;

use super::ListSettings;
use crate::{
    config::diagnostic::{Located, Location},
    pagination::fetch::Fetch,
};

/// A contract, as it is written in its file.
#[derive(Debug, Clone)]
pub struct ContractSettings {
    /// The name of the dialect.
    pub dialect: Located<String>,
    /// The list of a route with this dialect.
    pub list: ListSettings,
    /// The expected facts of the dialect itself; `None` if the contract has none.
    pub facts: Option<ExpectedFacts>,
    /// In the order of the file.
    pub exchanges: Vec<ContractExchange>,
}

/// A request and its answer.
#[derive(Debug, Clone)]
pub struct ContractExchange {
    pub name: Located<String>,
    pub fetch: Fetch,
    /// The client's own parameters.
    pub filters: String,
    /// The path of the list at the upstream.
    pub list: String,
    /// The client's own body.
    pub client: Option<String>,
    /// The facts of the expected request: the keys of the exchange with their values.
    pub request: ExpectedFacts,
    /// The names and values of the request's headers.
    pub headers: Vec<(Located<String>, Located<String>)>,
    pub answer: ContractAnswer,
    pub reading: ExpectedFacts,
}

/// An answer of the upstream.
#[derive(Debug, Clone)]
pub struct ContractAnswer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

/// A table of facts, each with its key.
#[derive(Debug, Clone)]
pub struct ExpectedFacts {
    /// The location of the table.
    pub at: Location,
    pub facts: Vec<(String, Located<ContractValue>)>,
}

impl ExpectedFacts {
    /// Returns the fact with this key.
    #[must_use]
    pub fn find(&self, key: &str) -> Option<&Located<ContractValue>> {
        self.facts.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }
}

/// The value of a fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContractValue {
    Flag(bool),
    Number(u64),
    Text(String),
    Texts(Vec<String>),
}

/// Writes the value as in a contract, in TOML.
impl fmt::Display for ContractValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(formatter, "{flag}"),
            Self::Number(number) => write!(formatter, "{number}"),
            Self::Text(text) => formatter.write_str(&quoted(text)),
            Self::Texts(texts) => {
                let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
                write!(formatter, "[{}]", texts.join(", "))
            }
        }
    }
}

/// Returns a text in TOML: in single quotes if it contains double quotes or backslashes, as JSON does, and in double
/// quotes otherwise.
fn quoted(text: &str) -> String {
    let is_plain = !text.contains('\'') && !text.contains(char::is_control);
    if is_plain && text.contains(['"', '\\']) { format!("'{text}'") } else { format!("{text:?}") }
}
