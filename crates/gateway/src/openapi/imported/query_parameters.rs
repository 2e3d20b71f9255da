//! The query parameters and the documentation of an upstream's operation.

use super::upstream_document::{UpstreamDocument, member, text};
use cursorgate_config::{
    settings::{ItemSchema, OpenApiSettings},
    tree::{LocatedTree, Tree},
};

/// A query parameter from an upstream's document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryParameter {
    pub name: String,
    /// The kind of the parameter's values; `None` if the document names no type, or a type other than string, integer,
    /// number or Boolean.
    pub kind: Option<ParameterKind>,
    pub description: Option<String>,
}

/// The kind of a query parameter's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterKind {
    Text,
    Integer,
    Number,
    Boolean,
}

/// The largest number of parameters that are read. The remaining parameters are ignored.
const MOST: usize = 200;

/// Returns the query parameters of the operation that the route names; empty if the route names only a schema.
pub(in crate::openapi) fn read(settings: &OpenApiSettings) -> Vec<QueryParameter> {
    let source = UpstreamDocument { root: &settings.document, file: &settings.file.value };
    let (item, operation) = parts(source, settings);
    let mut found: Vec<QueryParameter> = Vec::new();
    // A parameter of an operation replaces the parameter of its path with the same name (OpenAPI 3.1, section 4.8.9),
    // so the operation is read first.
    for described in [operation, item].into_iter().flatten().filter_map(|part| member(part, "parameters")) {
        let Tree::Array(elements) = &described.value else { continue };
        for element in elements.iter().take(MOST) {
            let Some(parameter) = source.resolved(element) else { continue };
            let Some(name) = text(member(parameter, "name")).filter(|_| text(member(parameter, "in")) == Some("query"))
            else {
                continue;
            };
            if found.len() < MOST && !found.iter().any(|known| known.name == name) {
                let schema = member(parameter, "schema").and_then(|schema| source.resolved(schema));
                let kind = schema.and_then(kind);
                let description = text(member(parameter, "description")).map(str::to_owned);
                found.push(QueryParameter { name: name.to_owned(), kind, description });
            }
        }
    }
    found
}

/// Returns the summary and the description of the operation that the route names, with an empty line between them;
/// `None` if there is neither.
pub(in crate::openapi) fn documentation(settings: &OpenApiSettings) -> Option<String> {
    let source = UpstreamDocument { root: &settings.document, file: &settings.file.value };
    let (_, operation) = parts(source, settings);
    let texts = ["summary", "description"].into_iter().filter_map(|name| text(member(operation?, name)));
    let texts: Vec<&str> = texts.map(str::trim).filter(|text| !text.is_empty()).collect();
    (!texts.is_empty()).then(|| texts.join("\n\n"))
}

/// Returns the path item and the operation that the route names; each `None` if the route names only a schema, or if
/// the document doesn't contain it.
fn parts<'a>(
    source: UpstreamDocument<'a>,
    settings: &'a OpenApiSettings,
) -> (Option<&'a LocatedTree>, Option<&'a LocatedTree>) {
    let ItemSchema::Operation(operation) = &settings.item else { return (None, None) };
    let (method, path) = &operation.value;
    let item = member(source.root, "paths").and_then(|paths| source.resolved(member(paths, path)?));
    (item, item.and_then(|item| member(item, method)))
}

fn kind(schema: &LocatedTree) -> Option<ParameterKind> {
    match text(member(schema, "type"))? {
        "string" => Some(ParameterKind::Text),
        "integer" => Some(ParameterKind::Integer),
        "number" => Some(ParameterKind::Number),
        "boolean" => Some(ParameterKind::Boolean),
        _ => None,
    }
}
