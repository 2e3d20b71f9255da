//! Writes TypeScript types for the JSON Schemas (2020-12) of items.

use crate::sdk::{
    list::SdkItem,
    schema::{self, MOST_DEPTH},
    spec::quoted,
    typescript::{comment, property},
    words::{claim, type_name},
};
use cursorgate_core::json::Document;
use cursorgate_gateway::openapi::Names;

/// Collects the declarations of the types of all items.
pub(super) struct TypeWriter {
    pub(super) names: Names,
    /// The components of the current item. Each has its name and the name of its type.
    known: Vec<(String, String)>,
    /// The items that have been declared, with their types.
    items: Vec<(SdkItem, String)>,
    declared: Vec<String>,
}

impl TypeWriter {
    pub(super) fn new(names: Names) -> Self {
        Self { names, known: Vec::new(), items: Vec::new(), declared: Vec::new() }
    }

    /// Returns the type of an item, and declares this type and all types to which it refers. Lists with the same schema
    /// share a type. `stem` is the beginning of the item's type name.
    pub(super) fn item(&mut self, stem: &str, item: &SdkItem) -> String {
        if let Some((_, name)) = self.items.iter().find(|(known, _)| known == item) {
            return name.clone();
        }
        let name = self.declare_item(stem, item);
        self.items.push((item.clone(), name.clone()));
        name
    }

    fn declare_item(&mut self, stem: &str, item: &SdkItem) -> String {
        let SdkItem { schema: item, components } = item;
        self.known.clear();
        // All names are claimed before the first declaration, because types can refer to one another.
        for (component, _) in components {
            let name = claim(&mut self.names, &type_name(component));
            self.known.push((component.clone(), name));
        }
        for (component, schema) in components {
            let name = self.named(component).unwrap_or_default();
            self.declare(&name, schema);
        }
        if item.member("$ref").is_some() {
            return self.type_of(item, 0);
        }
        let name = claim(&mut self.names, &format!("{stem}Item"));
        self.declare(&name, item);
        name
    }

    /// Returns the code that declares all types.
    pub(super) fn declarations(&self) -> String {
        self.declared.concat()
    }

    fn named(&self, component: &str) -> Option<String> {
        self.known.iter().find(|(known, _)| known == component).map(|(_, name)| name.clone())
    }

    fn declare(&mut self, name: &str, schema: &Document) {
        let text = described(schema, "");
        self.declared.push(format!("\n{text}export type {name} = {};\n", self.type_of(schema, 0)));
    }

    fn type_of(&self, schema: &Document, depth: usize) -> String {
        if depth > MOST_DEPTH {
            return "unknown".to_owned();
        }
        match schema {
            // No value matches the schema `false` (JSON Schema 2020-12, section 4.3.2).
            // Test: `schemas_of_every_form_have_types`.
            Document::Boolean(false) => return "never".to_owned(),
            Document::Object(_) => {}
            _ => return "unknown".to_owned(),
        }
        let mut parts: Vec<String> = Vec::new();
        if let Some(Document::Text(reference)) = schema.member("$ref") {
            let component = reference.rsplit('/').next().unwrap_or_default();
            parts.push(self.named(component).unwrap_or_else(|| "unknown".to_owned()));
        }
        if let Some(value) = schema.member("const") {
            return literal(value);
        }
        if let Some(Document::Array(values)) = schema.member("enum") {
            return union(values.iter().map(literal).collect());
        }
        for alternatives in ["anyOf", "oneOf"] {
            if let Some(Document::Array(schemas)) = schema.member(alternatives) {
                parts.push(union(schemas.iter().map(|schema| self.type_of(schema, depth + 1)).collect()));
            }
        }
        if let Some(Document::Array(schemas)) = schema.member("allOf") {
            parts.extend(schemas.iter().map(|schema| self.type_of(schema, depth + 1)));
        }
        match schema.member("type") {
            Some(Document::Text(kind)) => parts.push(self.of_kind(kind, schema, depth)),
            Some(Document::Array(kinds)) => {
                let kinds = kinds.iter().map(|kind| match kind {
                    Document::Text(kind) => self.of_kind(kind, schema, depth),
                    _ => "unknown".to_owned(),
                });
                parts.push(union(kinds.collect()));
            }
            _ if schema.member("properties").is_some() => parts.push(self.of_kind("object", schema, depth)),
            _ => {}
        }
        // `unknown` doesn't restrict an intersection, so it is left out.
        parts.retain(|part| part != "unknown");
        match parts.as_slice() {
            [] => "unknown".to_owned(),
            [part] => part.clone(),
            // The parts are in parentheses, because `&` binds more tightly than `|`.
            _ => parts.iter().map(|part| format!("({part})")).collect::<Vec<_>>().join(" & "),
        }
    }

    fn of_kind(&self, kind: &str, schema: &Document, depth: usize) -> String {
        match kind {
            "string" => "string".to_owned(),
            "integer" | "number" => "number".to_owned(),
            "boolean" => "boolean".to_owned(),
            "null" => "null".to_owned(),
            "array" => match schema.member("items") {
                Some(items) => format!("Array<{}>", self.type_of(items, depth + 1)),
                None => "Array<unknown>".to_owned(),
            },
            "object" => self.object(schema, depth),
            _ => "unknown".to_owned(),
        }
    }

    fn object(&self, schema: &Document, depth: usize) -> String {
        let indent = "  ".repeat(depth + 1);
        let members: Vec<String> = match schema.member("properties") {
            Some(Document::Object(members)) => members
                .iter()
                .map(|(name, value)| {
                    let mark = if schema::requires(schema, name) { "" } else { "?" };
                    let text = described(value, &indent);
                    format!("{text}{indent}{}{mark}: {};\n", property(name), self.type_of(value, depth + 1))
                })
                .collect(),
            _ => Vec::new(),
        };
        let further = match schema.member("additionalProperties") {
            Some(further @ Document::Object(_)) => Some(self.type_of(further, depth + 1)),
            _ => None,
        };
        match (members.is_empty(), further) {
            (true, further) => format!("Record<string, {}>", further.unwrap_or_else(|| "unknown".to_owned())),
            // Additional members don't get an index signature, because its type would have to include the types of the
            // known members.
            (false, _) => format!("{{\n{}{}}}", members.concat(), "  ".repeat(depth)),
        }
    }
}

/// Returns a comment with the schema's description; an empty string if the schema has no description.
fn described(schema: &Document, indent: &str) -> String {
    match schema.member("description") {
        Some(Document::Text(text)) => {
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            format!("{indent}/** {} */\n", comment(&text))
        }
        _ => String::new(),
    }
}

fn literal(value: &Document) -> String {
    match value {
        Document::Null => "null".to_owned(),
        Document::Boolean(flag) => flag.to_string(),
        Document::Number(number) => number.clone(),
        Document::Text(text) => quoted(text),
        Document::Array(_) | Document::Object(_) => "unknown".to_owned(),
    }
}

/// Returns the union of types; `never` for an empty list.
fn union(types: Vec<String>) -> String {
    schema::union(types, "unknown", "never")
}
