//! Writes Python types for the JSON Schemas (2020-12) of items. Each object becomes a named `TypedDict`.

use crate::sdk::{
    list::SdkItem,
    schema::{self, MOST_DEPTH},
    spec::quoted,
    words::{claim, type_name},
};
use cursorgate_core::json::Document;
use cursorgate_gateway::openapi::{Names, pascal};

/// Collects the declarations of the types of all items.
pub(super) struct TypeWriter {
    pub(super) names: Names,
    /// The components of the current item. Each has its name, the name of its type, and its schema.
    known: Vec<(String, String, Document)>,
    /// The items that have been declared, with their types.
    items: Vec<(SdkItem, String)>,
    declared: Vec<String>,
}

impl TypeWriter {
    pub(super) fn new(names: Names) -> Self {
        Self { names, known: Vec::new(), items: Vec::new(), declared: Vec::new() }
    }

    /// Returns the type of an item, and declares this type and all types to which it refers. Lists with the same schema
    /// share a type. `stem` is the beginning of the names of new types.
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
        for (component, schema) in components {
            let name = claim(&mut self.names, &type_name(component));
            self.known.push((component.clone(), name, schema.clone()));
        }
        for (component, schema) in components {
            let name = self.named(component).map(|(name, _)| name.clone()).unwrap_or_default();
            self.declare(&name, schema);
        }
        if item.member("$ref").is_some() {
            return self.type_of(item, stem, 0);
        }
        let name = claim(&mut self.names, &format!("{stem}Item"));
        self.declare(&name, item);
        name
    }

    /// Returns the code that declares all types.
    pub(super) fn declarations(&self) -> String {
        self.declared.concat()
    }

    fn named(&self, component: &str) -> Option<(&String, &Document)> {
        let found = self.known.iter().find(|(known, ..)| known == component);
        found.map(|(_, name, schema)| (name, schema))
    }

    /// Declares a type with this name: a `TypedDict` for an object, and an alias for any other schema.
    fn declare(&mut self, name: &str, schema: &Document) {
        match self.members(schema, 0) {
            Some(members) => self.declare_object(name, &members, 0),
            None => {
                let written = self.type_of(schema, name, 0);
                self.declared.push(format!("\n{name}: TypeAlias = {}\n", quoted(&written)));
            }
        }
    }

    fn declare_object(&mut self, name: &str, members: &[(String, Document, bool)], depth: usize) {
        // The functional form of `TypedDict` is used, because the name of a member needn't be an identifier.
        let mut text = format!("\n{name} = TypedDict(\n    \"{name}\",\n    {{\n");
        for (member, schema, required) in members {
            // Types are written in quotes, because a type can refer to itself, or to a type that is declared later.
            // Test: `schemas_of_every_form_have_types`.
            let written = quoted(&self.type_of(schema, &format!("{name}{}", pascal(member)), depth + 1));
            let written = if *required { written } else { format!("NotRequired[{written}]") };
            text.push_str(&format!("        {}: {written},\n", quoted(member)));
        }
        text.push_str("    },\n)\n");
        self.declared.push(text);
    }

    /// Returns the members of an object, each with its schema and whether it is required. The members come from
    /// `properties`, `$ref` and `allOf`. Returns `None` if the schema isn't an object with known members, has
    /// alternatives, or is nested too deeply.
    fn members(&self, schema: &Document, depth: usize) -> Option<Vec<(String, Document, bool)>> {
        // The alternatives of `anyOf` and `oneOf` have different members, so a `TypedDict` can't list them.
        if depth > MOST_DEPTH || schema.member("anyOf").is_some() || schema.member("oneOf").is_some() {
            return None;
        }
        let mut found: Vec<(String, Document, bool)> = Vec::new();
        let mut add = |members: Vec<(String, Document, bool)>| {
            for (name, schema, required) in members {
                match found.iter_mut().find(|(known, ..)| *known == name) {
                    // A member is required if any part of `allOf` requires it.
                    Some(known) => *known = (name, schema, required || known.2),
                    None => found.push((name, schema, required)),
                }
            }
        };
        if let Some(Document::Text(reference)) = schema.member("$ref") {
            let (_, target) = self.named(reference.rsplit('/').next().unwrap_or_default())?;
            add(self.members(target, depth + 1)?);
        }
        if let Some(Document::Array(parts)) = schema.member("allOf") {
            for part in parts {
                add(self.members(part, depth + 1)?);
            }
        }
        if let Some(Document::Object(properties)) = schema.member("properties") {
            let is_object = match schema.member("type") {
                None => true,
                Some(kind) => matches!(kind, Document::Text(kind) if kind == "object"),
            };
            is_object.then_some(())?;
            add(properties
                .iter()
                .map(|(name, value)| (name.clone(), value.clone(), schema::requires(schema, name)))
                .collect());
        }
        (!found.is_empty()).then_some(found)
    }

    /// Returns the type of a schema. Objects in the schema are declared with names that begin with `stem`.
    fn type_of(&mut self, schema: &Document, stem: &str, depth: usize) -> String {
        if depth > MOST_DEPTH || !matches!(schema, Document::Object(_)) {
            return "Any".to_owned();
        }
        if let Some(value) = schema.member("const") {
            return literals(std::slice::from_ref(value));
        }
        if let Some(Document::Array(values)) = schema.member("enum") {
            return literals(values);
        }
        for alternatives in ["anyOf", "oneOf"] {
            if let Some(Document::Array(schemas)) = schema.member(alternatives) {
                return union(schemas.iter().map(|schema| self.type_of(schema, stem, depth + 1)).collect());
            }
        }
        let of_one = match schema.member("allOf") {
            Some(Document::Array(schemas)) if schemas.len() == 1 && schema.member("properties").is_none() => {
                schemas.first()
            }
            _ => None,
        };
        if let Some(only) = of_one {
            return self.type_of(only, stem, depth + 1);
        }
        if let Some(Document::Text(reference)) = schema.member("$ref")
            && let Some((name, _)) = self.named(reference.rsplit('/').next().unwrap_or_default())
        {
            return name.clone();
        }
        match schema.member("type") {
            Some(Document::Text(kind)) => self.of_kind(&kind.clone(), schema, stem, depth),
            Some(Document::Array(kinds)) => union(
                kinds
                    .iter()
                    .map(|kind| match kind {
                        Document::Text(kind) => self.of_kind(kind, schema, stem, depth),
                        _ => "Any".to_owned(),
                    })
                    .collect(),
            ),
            _ => self.of_kind("object", schema, stem, depth),
        }
    }

    fn of_kind(&mut self, kind: &str, schema: &Document, stem: &str, depth: usize) -> String {
        match kind {
            "string" => "str".to_owned(),
            "integer" => "int".to_owned(),
            "number" => "float".to_owned(),
            "boolean" => "bool".to_owned(),
            "null" => "None".to_owned(),
            "array" => match schema.member("items") {
                Some(items) => format!("list[{}]", self.type_of(items, stem, depth + 1)),
                None => "list[Any]".to_owned(),
            },
            "object" => {
                // `members` refuses a schema whose `type` is a list, such as `["object", "null"]`. Only the object
                // among the types is written here, so `type` is removed.
                let own = match schema {
                    Document::Object(members) => {
                        Document::Object(members.iter().filter(|(name, _)| name != "type").cloned().collect())
                    }
                    other => other.clone(),
                };
                match (self.members(&own, depth), schema.member("additionalProperties")) {
                    (Some(members), _) => {
                        let name = claim(&mut self.names, stem);
                        self.declare_object(&name, &members, depth);
                        name
                    }
                    (None, Some(further @ Document::Object(_))) => {
                        format!("dict[str, {}]", self.type_of(further, stem, depth + 1))
                    }
                    (None, _) if schema.member("type").is_some() => "dict[str, Any]".to_owned(),
                    (None, _) => "Any".to_owned(),
                }
            }
            _ => "Any".to_owned(),
        }
    }
}

/// Returns the type of these constants. Numbers that aren't integers become `float`, because they have no literal types
/// (PEP 586).
fn literals(values: &[Document]) -> String {
    let one = |value: &Document| match value {
        Document::Null => "None".to_owned(),
        Document::Boolean(flag) => format!("Literal[{}]", if *flag { "True" } else { "False" }),
        Document::Number(number) if number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') => {
            format!("Literal[{number}]")
        }
        Document::Number(_) => "float".to_owned(),
        Document::Text(text) => format!("Literal[{}]", quoted(text)),
        Document::Array(_) | Document::Object(_) => "Any".to_owned(),
    };
    union(values.iter().map(one).collect())
}

/// Returns the union of types; `Any` for an empty list.
fn union(types: Vec<String>) -> String {
    schema::union(types, "Any", "Any")
}
