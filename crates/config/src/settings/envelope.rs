//! The settings of an envelope. `downstream` compiles them.

use super::{OverMax, Role};
use crate::{
    diagnostic::{Located, Location},
    tree::LocatedTree,
};

/// An envelope (`config/envelopes/NAME.json` or `[envelopes.NAME]`).
#[derive(Debug, Clone)]
pub struct EnvelopeSettings {
    pub name: String,
    /// The location of the envelope's name, for faults that have no more exact location. The name is in the route or,
    /// for an envelope of `own_envelopes`, in the header of its table.
    pub at: Location,
    pub description: Option<String>,
    pub documentation: Option<String>,
    pub content_type: String,
    /// The names of the clients' parameters, by their roles. A name is the decoded name of a query parameter, or a
    /// pointer into the body, which begins with a slash. The limit may also have `prefer:NAME`, a preference in the
    /// header `Prefer`.
    pub parameters: Vec<(Role, Located<String>)>,
    pub over_max: OverMax,
    pub zero_limit_is_default: bool,
    pub empty_cursor_is_first_page: bool,
    pub headers: Vec<(Located<String>, Located<String>)>,
    pub body: LocatedTree,
    /// The form of errors; `None` for problem documents (RFC 9457).
    pub error: Option<ErrorSettings>,
}

/// The form of an envelope's errors.
#[derive(Debug, Clone)]
pub struct ErrorSettings {
    pub body: LocatedTree,
    pub content_type: String,
    pub types: Vec<(Located<String>, Located<String>)>,
}
