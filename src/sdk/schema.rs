//! Functions on JSON Schemas (2020-12) for the types of both languages.

use crate::json::Document;

/// The maximum depth of schemas that become types. Deeper schemas become the type of all values.
pub(super) const MOST_DEPTH: usize = 32;

/// Returns whether `required` of a schema lists a member.
pub(super) fn requires(schema: &Document, name: &str) -> bool {
    let Some(Document::Array(names)) = schema.member("required") else { return false };
    names.iter().any(|known| matches!(known, Document::Text(own) if own == name))
}

/// Returns the union of types without duplicates. `any` is the type of all values, which absorbs all others; `none` is
/// the union of no types.
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
