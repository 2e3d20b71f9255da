//! The upstream's own description of what it lists.

use std::sync::Arc;

use crate::config::{diagnostic::Located, tree::LocatedTree};

/// `openapi` of a route.
#[derive(Debug, Clone)]
pub struct OpenApiSettings {
    /// The file, as the route names it.
    pub file: Located<String>,
    /// What stands in it: an OpenAPI document in JSON. Read once for all routes that name it.
    pub document: Arc<LocatedTree>,
    /// Where in it the items are described.
    pub item: ItemSchema,
}

/// Where an item is described.
#[derive(Debug, Clone)]
pub enum ItemSchema {
    /// In the answer of an operation, where the dialect reads the items: its method, lower case, and its path.
    Operation(Located<(String, String)>),
    /// At this place of the document: a JSON Pointer as in `#/components/schemas/User`.
    At(Located<String>),
}
