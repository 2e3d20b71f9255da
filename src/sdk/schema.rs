//! Facts of a JSON Schema (2020-12) that types of both languages need.

use crate::json::Document;

/// The deepest nesting of schemas that become types. Deeper schemas become the type of all values.
pub(super) const MOST_DEPTH: usize = 32;

/// Returns whether a schema of objects requires a member.
pub(super) fn requires(schema: &Document, name: &str) -> bool {
    let Some(Document::Array(names)) = schema.member("required") else { return false };
    names.iter().any(|known| matches!(known, Document::Text(own) if own == name))
}

/// Returns the union of types, each once. `any` is the type of all values, which absorbs all others; `none` is the
/// union of no types.
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
