//! The schemas of an OpenAPI document: references, the parts of a schema, types, and the array of items in an answer.

use serde_json::Value;

use super::{DocumentedField, DocumentedType, MOST};
use crate::{prober::answer::step, shape::names};

/// The largest number of references that are followed in a row. The bound ends circular references.
const REFERENCES: usize = 32;

/// The maximum depth of parts within parts, such as an `allOf` within a `oneOf`.
const PARTS: usize = 6;
/// The maximum depth of the array of items within an answer.
const DEPTH: usize = 4;
/// The maximum depth of fields within an item.
const FIELD_DEPTH: usize = 3;

/// The largest number of parts of a schema that are read.
const MOST_PARTS: usize = 64;

/// A reader of the schemas in the document `root`, which follows references within the document.
#[derive(Clone, Copy)]
pub(super) struct DocumentSchemas<'d> {
    pub(super) root: &'d Value,
}

impl<'d> DocumentSchemas<'d> {
    /// Follows references within the document to the first value that isn't one. Returns `None` if a reference leads to
    /// another file, to a missing value, or in a circle.
    pub(super) fn resolved(self, mut value: &'d Value) -> Option<&'d Value> {
        // References may be circular, so only a limited number is followed. Test: `references_in_a_circle_end`.
        for _ in 0..REFERENCES {
            let Some(reference) = value.get("$ref").and_then(Value::as_str) else { return Some(value) };
            // A pointer in a URI fragment is percent-encoded (RFC 6901, section 6). References to other files have no
            // result.
            let decoded = percent_encoding::percent_decode_str(reference.strip_prefix('#')?).decode_utf8().ok()?;
            value = self.root.pointer(&decoded)?;
        }
        None
    }

    /// Returns a schema and all parts of its `allOf`, `anyOf` and `oneOf`, with references resolved.
    fn parts(self, schema: &'d Value) -> Vec<&'d Value> {
        let mut found = Vec::new();
        let mut waiting = vec![(schema, 0)];
        while let Some((schema, depth)) = waiting.pop() {
            let Some(schema) = self.resolved(schema) else { continue };
            found.push(schema);
            if depth == PARTS || found.len() >= MOST_PARTS {
                continue;
            }
            let lists = ["allOf", "anyOf", "oneOf"].into_iter().filter_map(|name| schema.get(name)?.as_array());
            waiting.extend(lists.flatten().take(MOST_PARTS).map(|part| (part, depth + 1)));
        }
        found
    }

    /// Returns the value of a key, from the first part of the schema that has the key; `None` if no part has it.
    pub(super) fn value(self, schema: &'d Value, key: &str) -> Option<&'d Value> {
        self.parts(schema).into_iter().find_map(|part| part.get(key))
    }

    /// Returns the members that a schema of an object describes, from all its parts.
    pub(super) fn properties(self, schema: &'d Value) -> Vec<(&'d String, &'d Value)> {
        let parts = self.parts(schema);
        let members = parts.into_iter().filter_map(|part| part.get("properties")?.as_object());
        members.flatten().take(MOST).collect()
    }

    /// Returns the type of a schema: the type of its first part that names one.
    pub(super) fn kind(self, schema: &'d Value) -> DocumentedType {
        for part in self.parts(schema) {
            let named = match part.get("type") {
                Some(Value::String(name)) => Some(name.as_str()),
                // In OpenAPI 3.1 the type of a nullable value is a list that contains "null", so the first other type
                // is taken.
                Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).find(|name| *name != "null"),
                _ => None,
            };
            match (named, part.get("format").and_then(Value::as_str)) {
                // A part may have no type, such as one with only a description. The next part is then read.
                (None | Some("null"), _) => {}
                (Some("integer"), _) => return DocumentedType::Integer,
                (Some("number"), _) => return DocumentedType::Number,
                (Some("boolean"), _) => return DocumentedType::Boolean,
                (Some("string"), Some("date-time")) => return DocumentedType::Datetime,
                (Some("string"), Some("date")) => return DocumentedType::Date,
                (Some("string"), Some("uuid")) => return DocumentedType::Uuid,
                (Some("string"), _) => return DocumentedType::Text,
                (Some(_), _) => return DocumentedType::Other,
            }
        }
        DocumentedType::Other
    }

    /// Returns the allowed values of a schema, or of its elements if it is an array.
    pub(super) fn choices(self, schema: &'d Value) -> Vec<String> {
        let own = self.value(schema, "enum").and_then(Value::as_array);
        let of_elements = || self.value(self.value(schema, "items")?, "enum")?.as_array();
        let values = own.or_else(of_elements).into_iter().flatten().take(MOST);
        values.filter_map(text_of).collect()
    }

    /// Returns the place of the array of items in an answer with this schema, and the fields of its items; `None` if
    /// the schema describes no array. Of several arrays, an array with a usual name such as `data` is preferred, then
    /// the array whose items have the most fields.
    pub(super) fn items(self, answer: &'d Value) -> Option<(String, Vec<DocumentedField>)> {
        let mut arrays: Vec<(String, &Value)> = Vec::new();
        let mut waiting = vec![(String::new(), answer, 0)];
        while let Some((at, schema, depth)) = waiting.pop() {
            if let Some(element) = self.value(schema, "items") {
                arrays.push((at.clone(), element));
            }
            if depth < DEPTH && arrays.len() < MOST {
                let members = self.properties(schema).into_iter();
                waiting.extend(members.map(|(name, member)| (format!("{at}{}", step(name)), member, depth + 1)));
            }
        }
        let is_usual =
            |at: &str| at.is_empty() || names::ITEMS.iter().any(|usual| names::plain(usual) == names::last_step(at));
        let (at, element) = arrays.into_iter().max_by_key(|(at, element)| {
            (is_usual(at), self.properties(element).len(), std::cmp::Reverse(at.matches('/').count()))
        })?;
        let mut fields = Vec::new();
        self.find_fields(element, "", 0, &mut fields);
        Some((at, fields))
    }

    fn find_fields(self, schema: &'d Value, at: &str, depth: usize, found: &mut Vec<DocumentedField>) {
        for (name, member) in self.properties(schema) {
            let pointer = format!("{at}{}", step(name));
            if found.len() >= MOST {
                return;
            }
            if depth + 1 < FIELD_DEPTH && !self.properties(member).is_empty() {
                self.find_fields(member, &pointer, depth + 1, found);
            } else if !found.iter().any(|known| known.pointer == pointer) {
                let (kind, choices) = (self.kind(member), self.choices(member));
                found.push(DocumentedField { pointer, kind, choices });
            }
        }
    }
}

/// Returns a scalar as the text of a parameter; `None` for null, an object or an array.
pub(super) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}
