//! The settings of an envelope. `downstream` compiles them.

use crate::{diagnostic::Located, tree::LocatedTree};

/// The form of an envelope's errors.
#[derive(Debug, Clone)]
pub struct ErrorSettings {
    pub body: LocatedTree,
    pub content_type: String,
    pub types: Vec<(Located<String>, Located<String>)>,
}
