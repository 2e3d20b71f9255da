//! The settings of an envelope. `downstream` compiles them.

use super::{OverMax, Role};
use crate::config::{
    diagnostic::{Located, Location},
    tree::LocatedTree,
};

/// An envelope (`config/envelopes/NAME.json` or `[envelopes.NAME]`).
#[derive(Debug, Clone)]
pub struct EnvelopeSettings {
    pub name: String,
    /// The location of the envelope's name in the route, for faults without a more exact one.
    pub at: Location,
    pub description: Option<String>,
    pub documentation: Option<String>,
    pub content_type: String,
    /// The names of the parameters: the decoded name of a query parameter, a pointer into the body (which begins with a
    /// slash), or for a limit also `prefer:NAME`, a preference of the header `Prefer`.
    pub parameters: Vec<(Role, Located<String>)>,
    pub over_max: OverMax,
    pub zero_limit_is_default: bool,
    pub empty_cursor_is_first_page: bool,
    pub headers: Vec<(Located<String>, Located<String>)>,
    pub body: LocatedTree,
    /// `None` for problem documents.
    pub error: Option<ErrorSettings>,
}

/// The form of errors.
#[derive(Debug, Clone)]
pub struct ErrorSettings {
    pub body: LocatedTree,
    pub content_type: String,
    pub types: Vec<(Located<String>, Located<String>)>,
}
