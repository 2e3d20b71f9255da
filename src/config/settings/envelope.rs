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
    /// What the client's parameters are called: a query parameter's decoded name.
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
    /// The error body's skeleton; problem documents where there is none.
    pub error: Option<LocatedTree>,
    /// The error body's content type.
    pub error_content_type: Option<String>,
}
