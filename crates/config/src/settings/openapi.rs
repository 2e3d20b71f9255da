//! The settings of an upstream's own OpenAPI document.

use std::sync::Arc;

use crate::{diagnostic::Located, tree::LocatedTree};

/// The settings of `openapi` of a route.
#[derive(Debug, Clone)]
pub struct OpenApiSettings {
    pub file: Located<String>,
    /// The document, shared by all routes that name the file.
    pub document: Arc<LocatedTree>,
    pub item: ItemSchema,
}

/// The place in the document that describes an item.
#[derive(Debug, Clone)]
pub enum ItemSchema {
    /// The items in the answer of an operation, which is given by its method in lower case and its path.
    Operation(Located<(String, String)>),
    /// A schema in the document, such as `#/components/schemas/User`.
    At(Located<String>),
}
