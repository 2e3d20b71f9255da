//! The upstream's own OpenAPI document.

use std::sync::Arc;

use crate::config::{diagnostic::Located, tree::LocatedTree};

/// `openapi` of a route.
#[derive(Debug, Clone)]
pub struct OpenApiSettings {
    pub file: Located<String>,
    /// The document, shared by all routes that name the file.
    pub document: Arc<LocatedTree>,
    pub item: ItemSchema,
}

/// The description of an item.
#[derive(Debug, Clone)]
pub enum ItemSchema {
    /// The items in the answer of an operation, given by its method in lower case and its path.
    Operation(Located<(String, String)>),
    /// A place in the document, such as `#/components/schemas/User`.
    At(Located<String>),
}
