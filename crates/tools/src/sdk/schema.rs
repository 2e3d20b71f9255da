//! Functions on JSON Schemas (2020-12) that the type generators of both languages use.

use cursorgate_core::json::Document;

/// The largest nesting depth at which schemas become types. A deeper schema becomes the type of all values: `Any` or
/// `unknown`.
pub(super) const MOST_DEPTH: usize = 32;

/// Returns whether the schema's `required` lists the member `name`.
pub(super) fn requires(schema: &Document, name: &str) -> bool {
    let Some(Document::Array(names)) = schema.member("required") else { return false };
    names.iter().any(|known| matches!(known, Document::Text(own) if own == name))
}

/// Returns the union of types without duplicates. `any` is the type of all values: a union that contains it is `any`.
/// `none` is the union of an empty list.
pub(super) fn union(types: Vec<String>, any: &str, none: &str) -> String {
    let mut known: Vec<String> = Vec::with_capacity(types.len());
    for one in types {
        if one == any {
            return one;
        }
        if !known.contains(&one) {
            known.push(one);
        }
    }
    if known.is_empty() { none.to_owned() } else { known.join(" | ") }
}
