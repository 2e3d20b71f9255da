//! What an envelope says: what clients send and get. It is compiled by the module that answers them.

use super::{OverMax, Role};
use crate::config::{
    diagnostic::{Located, Location},
    tree::LocatedTree,
};

/// An envelope, as written (`config/envelopes/NAME.json` or `[envelopes.NAME]`).
#[derive(Debug, Clone)]
pub struct EnvelopeSettings {
    /// Its name.
    pub name: String,
    /// Where the route names it, for faults that have no better place.
    pub at: Location,
    /// One line about it.
    pub description: Option<String>,
    /// Where it is documented.
    pub documentation: Option<String>,
    /// `application/json` where it is not said.
    pub content_type: String,
    /// What the client's parameters are called: a query parameter's decoded name; the limit may be a preference instead
    /// (RFC 7240), `prefer:NAME`.
    pub parameters: Vec<(Role, Located<String>)>,
    /// What becomes of limits above the route's largest.
    pub over_max: OverMax,
    /// Whether a limit of 0 means the default.
    pub zero_limit_is_default: bool,
    /// Whether an empty cursor means the first page.
    pub empty_cursor_is_first_page: bool,
    /// Header templates.
    pub headers: Vec<(Located<String>, Located<String>)>,
    /// The body's skeleton.
    pub body: LocatedTree,
    /// How errors are said; by problem documents where it is not said.
    pub error: Option<ErrorSettings>,
}

/// The form of errors, as written.
#[derive(Debug, Clone)]
pub struct ErrorSettings {
    /// The error body's skeleton.
    pub body: LocatedTree,
    /// `application/json` where it is not said.
    pub content_type: String,
    /// What `{type}` says, by a problem's code or its status.
    pub types: Vec<(Located<String>, Located<String>)>,
}
