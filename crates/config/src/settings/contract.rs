//! The contract of a dialect: exchanges with an upstream, and the facts that the dialect must read in them. `upstream`
//! checks dialects against contracts.

use std::fmt;

use http::HeaderMap;

use super::ListSettings;
use crate::diagnostic::{Located, Location};
use cursorgate_core::pagination::fetch::Fetch;

/// A contract as it is written in its file.
#[derive(Debug, Clone)]
pub struct ContractSettings {
    /// The name of the dialect that is checked.
    pub dialect: Located<String>,
    /// The settings of a list whose route has this dialect.
    pub list: ListSettings,
    /// The expected facts of the dialect itself; `None` if the contract doesn't check them.
    pub facts: Option<ExpectedFacts>,
    /// The exchanges, in the order of the file.
    pub exchanges: Vec<ContractExchange>,
}

/// A request to the upstream, and its answer.
#[derive(Debug, Clone)]
pub struct ContractExchange {
    pub name: Located<String>,
    pub fetch: Fetch,
    /// The client's own parameters, as a query.
    pub filters: String,
    /// The path of the list at the upstream.
    pub list: String,
    /// The client's own body; `None` for a request without one.
    pub client: Option<String>,
    /// The expected parts of the request: the keys of the exchange with their values.
    pub request: ExpectedFacts,
    /// The names and values of the request's expected headers.
    pub headers: Vec<(Located<String>, Located<String>)>,
    pub answer: ContractAnswer,
    pub reading: ExpectedFacts,
}

/// An answer of the upstream, as the contract invents or quotes it.
#[derive(Debug, Clone)]
pub struct ContractAnswer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

/// A table of expected facts, each with its key.
#[derive(Debug, Clone)]
pub struct ExpectedFacts {
    /// The location of the table.
    pub at: Location,
    pub facts: Vec<(String, Located<ContractValue>)>,
}

impl ExpectedFacts {
    /// Returns the fact with this key; `None` if the contract has no such key.
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

/// Writes the value in TOML, as a contract has it.
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

/// Returns a string in TOML. A string with double quotes or backslashes, such as JSON, gets single quotes if it can;
/// others get double quotes.
fn quoted(text: &str) -> String {
    let is_plain = !text.contains('\'') && !text.contains(char::is_control);
    if is_plain && text.contains(['"', '\\']) { format!("'{text}'") } else { format!("{text:?}") }
}
