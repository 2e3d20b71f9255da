//! Types of items, from the JSON Schemas by which an upstream describes them.
//!
//! A member has the type that its schema states. A union, an object without known members, and a schema without a type
//! are `JSON`. Every member may be null: documents are often wrong about nulls, and an error instead of a page helps no
//! client. An enumeration of strings is a plain string, so a new value isn't an error.

use std::collections::HashMap;

use cursorgate_core::json::Document;
use cursorgate_gateway::{
    lifecycle::snapshot::ItemDescription,
    openapi::{Names, pascal},
};

/// The largest nesting depth at which schemas become types. Deeper schemas are `JSON`.
const MOST_DEPTH: usize = 24;

/// The largest number of types with fields. Objects beyond this number are `JSON`.
const MOST_TYPES: usize = 2_000;

/// The largest number of schema parts that are read for one item. Parts beyond this number are `JSON`, or are left out.
/// The bound is necessary because parts can refer to one another in circles. Each part can also refer twice to the next
/// part, which doubles the work with each level.
const MOST_STEPS: usize = 100_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ValueType {
    Text,
    /// A signed integer of 32 bits.
    Integer,
    /// An integer of any size.
    BigInteger,
    Number,
    Boolean,
    Json,
    /// An object, with the name of its type in the catalog.
    Object(String),
    List(Box<Self>),
}

/// An object type with named fields, in the form that services need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ObjectType {
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) fields: Vec<ObjectField>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ObjectField {
    pub(super) name: String,
    /// The name of the member in JSON, from which `name` can differ.
    pub(super) member: String,
    pub(super) value: ValueType,
    pub(super) description: Option<String>,
}

/// The types for the items of all lists. The names of the types are unique.
pub(super) struct TypeCatalog {
    names: Names,
    pub(super) objects: Vec<ObjectType>,
    /// The schema and the type of each component, by the description's file and the component's name.
    known: HashMap<(String, String), (Document, ValueType)>,
}

/// The types of one item while they are derived from its description.
struct ItemTypes<'c, 'a> {
    catalog: &'c mut TypeCatalog,
    item: &'a ItemDescription,
    /// The components whose types are known, by name.
    found: HashMap<&'a str, ValueType>,
    /// The number of parts of schemas that may still be read, at first [`MOST_STEPS`].
    left: usize,
}

impl TypeCatalog {
    /// Creates a catalog without types, in which the names of `taken` are used already.
    pub(super) fn new(taken: &[&str]) -> Self {
        let mut names = Names::default();
        for name in taken {
            names.claim(name);
        }
        Self { names, objects: Vec::new(), known: HashMap::new() }
    }

    /// Claims a name for a type and returns it. The name gets a number at its end if it is taken, and a `T` before it
    /// if it doesn't begin with a letter.
    pub(super) fn claim(&mut self, wanted: &str) -> String {
        let begins = wanted.starts_with(|first: char| first.is_ascii_alphabetic());
        self.names.claim(&if begins { wanted.to_owned() } else { format!("T{wanted}") })
    }

    /// Adds the types of an item's objects, and returns the type of the item. `name` is the name of the item's type if
    /// the document doesn't name it.
    pub(super) fn add(&mut self, item: &ItemDescription, name: &str) -> ValueType {
        // The types of components from earlier lists are used again, unless a component of this item has another schema
        // than the component of that name in an earlier list. Test: `a_schema_has_one_type_in_all_lists`.
        let key = |name: &String| (item.file.clone(), name.clone());
        let agrees =
            |(name, schema): &(String, Document)| self.known.get(&key(name)).is_none_or(|(own, _)| own == schema);
        let mut found = HashMap::new();
        if item.components.iter().all(agrees) {
            for (name, _) in &item.components {
                if let Some((_, known)) = self.known.get(&key(name)) {
                    found.insert(name.as_str(), known.clone());
                }
            }
        }
        let mut types = ItemTypes { catalog: self, item, found, left: MOST_STEPS };
        let value = types.value(&item.schema, name, 0);
        let found = types.found;
        for (name, schema) in &item.components {
            if let Some(value) = found.get(name.as_str()) {
                self.known.entry(key(name)).or_insert_with(|| (schema.clone(), value.clone()));
            }
        }
        value
    }
}

impl<'a> ItemTypes<'_, 'a> {
    /// Counts a part of a schema against [`MOST_STEPS`]. Returns whether the part may be read.
    fn step(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left > 0
    }

    fn value(&mut self, schema: &'a Document, hint: &str, depth: usize) -> ValueType {
        if depth > MOST_DEPTH || !self.step() {
            return ValueType::Json;
        }
        if let Some(name) = reference(schema) {
            return self.component(name, depth);
        }
        // A single alternative beside null determines the type. Several alternatives are a union, for which there is no
        // type. Test: `schemas_become_types`.
        for word in ["anyOf", "oneOf"] {
            if let Some(Document::Array(all)) = schema.member(word) {
                let mut others = all.iter().filter(|one| !is_null(one));
                return match (others.next(), others.next()) {
                    (Some(one), None) => self.value(one, hint, depth + 1),
                    _ => ValueType::Json,
                };
            }
        }
        // OpenAPI 3.0 ignores members beside `$ref`, so documents wrap a `$ref` in an `allOf` with one part to add a
        // description.
        if let (Some(Document::Array(parts)), None) = (schema.member("allOf"), schema.member("properties"))
            && let [one] = parts.as_slice()
        {
            return self.value(one, hint, depth + 1);
        }
        let mut members = Vec::new();
        self.members(schema, depth, &mut members);
        if !members.is_empty() {
            return self.object(schema, members, hint, depth);
        }
        match kind(schema) {
            Some("string") => ValueType::Text,
            Some("integer") => integer(schema),
            Some("number") => ValueType::Number,
            Some("boolean") => ValueType::Boolean,
            Some("array") => match schema.member("items") {
                Some(items) => match self.value(items, hint, depth + 1) {
                    ValueType::Json => ValueType::Json,
                    element => ValueType::List(Box::new(element)),
                },
                None => ValueType::Json,
            },
            _ => ValueType::Json,
        }
    }

    fn component(&mut self, name: &str, depth: usize) -> ValueType {
        let Some((name, schema)) = self.item.components.iter().find(|(known, _)| known == name) else {
            return ValueType::Json;
        };
        if let Some(known) = self.found.get(name.as_str()) {
            return known.clone();
        }
        // A component that only refers to itself is read down to the greatest depth, and is `JSON` there.
        // Test: `schemas_that_refer_to_themselves_end`. A component is named after its file and its schema, such as
        // `Api_User`. Its type has the second name, `User`.
        let hint = pascal(name.split_once('_').map_or(name.as_str(), |(_, name)| name));
        let mut members = Vec::new();
        self.members(schema, depth, &mut members);
        if members.is_empty() || schema.member("anyOf").is_some() || schema.member("oneOf").is_some() {
            let value = self.value(schema, &hint, depth + 1);
            self.found.insert(name, value.clone());
            return value;
        }
        let claimed = self.catalog.claim(&hint);
        // The type is recorded before its members are read, because a member can refer to the type.
        // Test: `schemas_that_refer_to_themselves_end`.
        self.found.insert(name, ValueType::Object(claimed.clone()));
        let value = self.fields(schema, members, claimed, depth);
        // An object after the last permitted type is `JSON`. Without this line, a later reference would name a type
        // that doesn't exist. Test: `a_component_beyond_the_most_types_is_json_at_each_reference`.
        self.found.insert(name, value.clone());
        value
    }

    /// Adds the members of an object, and of all parts of its `allOf`, to `into`. A later member replaces an earlier
    /// one of the same name.
    fn members(&mut self, schema: &'a Document, depth: usize, into: &mut Vec<(&'a str, &'a Document)>) {
        if depth > MOST_DEPTH || !self.step() {
            return;
        }
        if let Some(Document::Array(parts)) = schema.member("allOf") {
            for part in parts {
                let item = self.item;
                let known = |name| item.components.iter().find(|(known, _)| known == name);
                let target = reference(part).and_then(known).map_or(part, |(_, target)| target);
                self.members(target, depth + 1, into);
            }
        }
        if let Some(Document::Object(own)) = schema.member("properties") {
            for (name, member) in own {
                match into.iter_mut().find(|(known, _)| known == name) {
                    Some(known) => known.1 = member,
                    None => into.push((name, member)),
                }
            }
        }
    }

    fn object(
        &mut self,
        schema: &'a Document,
        members: Vec<(&'a str, &'a Document)>,
        hint: &str,
        depth: usize,
    ) -> ValueType {
        let claimed = self.catalog.claim(hint);
        self.fields(schema, members, claimed, depth)
    }

    fn fields(
        &mut self,
        schema: &'a Document,
        members: Vec<(&'a str, &'a Document)>,
        claimed: String,
        depth: usize,
    ) -> ValueType {
        if self.catalog.objects.len() >= MOST_TYPES {
            return ValueType::Json;
        }
        let place = self.catalog.objects.len();
        let of_type = description(schema);
        self.catalog.objects.push(ObjectType { name: claimed.clone(), description: of_type, fields: Vec::new() });
        let mut names = Names::default();
        let mut fields = Vec::with_capacity(members.len());
        for (member, schema) in members {
            let name = names.claim(&field_name(member));
            let value = self.value(schema, &format!("{claimed}{}", pascal(member)), depth + 1);
            fields.push(ObjectField { name, member: member.to_owned(), value, description: description(schema) });
        }
        self.catalog.objects[place].fields = fields;
        ValueType::Object(claimed)
    }
}

fn description(schema: &Document) -> Option<String> {
    match schema.member("description") {
        Some(Document::Text(text)) => Some(text.clone()),
        _ => None,
    }
}

/// Returns the name of the component that a schema's `$ref` refers to; `None` for any other schema.
fn reference(schema: &Document) -> Option<&str> {
    match schema.member("$ref") {
        Some(Document::Text(reference)) => reference.strip_prefix("#/components/schemas/"),
        _ => None,
    }
}

fn is_null(schema: &Document) -> bool {
    matches!(schema.member("type"), Some(Document::Text(kind)) if kind == "null")
}

/// Returns the only type that a schema's `type` allows beside null; `None` if there are several types or no `type`.
fn kind(schema: &Document) -> Option<&str> {
    match schema.member("type") {
        Some(Document::Text(kind)) => Some(kind),
        Some(Document::Array(kinds)) => {
            let mut kinds = kinds.iter().filter_map(|kind| match kind {
                Document::Text(kind) if kind != "null" => Some(kind.as_str()),
                _ => None,
            });
            // Several types beside null are a union, for which there is no type. Test: `schemas_become_types`.
            let kind = kinds.next();
            kind.filter(|_| kinds.next().is_none())
        }
        _ => None,
    }
}

/// Returns the type of an integer: [`ValueType::Integer`] if the format is `int32` or both bounds fit into 32 bits.
fn integer(schema: &Document) -> ValueType {
    let bound = |name| match schema.member(name) {
        Some(Document::Number(digits)) => digits.parse::<i32>().ok(),
        _ => None,
    };
    let format = matches!(schema.member("format"), Some(Document::Text(format)) if format == "int32");
    let is_small = format || bound("minimum").is_some() && bound("maximum").is_some();
    if is_small { ValueType::Integer } else { ValueType::BigInteger }
}

/// Returns the name of a member's field. ASCII letters, digits and `_` stay, and every other character becomes `_`. The
/// name doesn't begin with two underscores or with a digit.
pub(super) fn field_name(member: &str) -> String {
    let taken = |character: char| if character.is_ascii_alphanumeric() { character } else { '_' };
    let mut name: String = member.chars().map(taken).collect();
    // GraphQL reserves names that begin with two underscores for introspection, so only one underscore stays.
    while name.starts_with("__") {
        name.remove(0);
    }
    if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(value: &serde_json::Value) -> Document {
        match value {
            serde_json::Value::Null => Document::Null,
            serde_json::Value::Bool(flag) => Document::Boolean(*flag),
            serde_json::Value::Number(number) => Document::Number(number.to_string()),
            serde_json::Value::String(text) => Document::Text(text.clone()),
            serde_json::Value::Array(elements) => Document::Array(elements.iter().map(document).collect()),
            serde_json::Value::Object(members) => {
                Document::Object(members.iter().map(|(name, value)| (name.clone(), document(value))).collect())
            }
        }
    }

    fn item(schema: &str, components: &[(&str, &str)]) -> ItemDescription {
        let read = |text: &str| document(&serde_json::from_str(text).unwrap());
        let components = components.iter().map(|(name, schema)| ((*name).to_owned(), read(schema))).collect();
        ItemDescription { file: "a.json".to_owned(), schema: read(schema), components }
    }

    /// Returns the types in their order, such as `User { id: Text }`.
    fn shown(catalog: &TypeCatalog) -> Vec<String> {
        fn of(value: &ValueType) -> String {
            match value {
                ValueType::Object(name) => name.clone(),
                ValueType::List(element) => format!("[{}]", of(element)),
                other => format!("{other:?}"),
            }
        }
        let field = |field: &ObjectField| format!("{}: {}", field.name, of(&field.value));
        let fields = |object: &ObjectType| object.fields.iter().map(field).collect::<Vec<_>>().join(", ");
        catalog.objects.iter().map(|object| format!("{} {{ {} }}", object.name, fields(object))).collect()
    }

    #[test]
    fn schemas_become_types() {
        for (schema, value) in [
            (r#"{"type":"string","enum":["a"]}"#, "Text"),
            (r#"{"type":["integer","null"]}"#, "BigInteger"),
            (r#"{"type":"integer","format":"int32"}"#, "Integer"),
            (r#"{"type":"integer","minimum":0,"maximum":9}"#, "Integer"),
            (r#"{"type":"integer","minimum":0,"maximum":4294967296}"#, "BigInteger"),
            (r#"{"type":["integer","string"]}"#, "Json"),
            (r#"{"anyOf":[{"type":"number"},{"type":"null"}]}"#, "Number"),
            (r#"{"oneOf":[{"type":"number"},{"type":"boolean"}]}"#, "Json"),
            (r#"{"allOf":[{"type":"boolean"}]}"#, "Boolean"),
            (r#"{"type":"array","items":{"type":"array","items":{"type":"string"}}}"#, "List(List(Text))"),
            (r#"{"type":"array","items":{}}"#, "Json"),
            (r#"{"type":"array"}"#, "Json"),
            (r#"{"type":"object","additionalProperties":{"type":"string"}}"#, "Json"),
            (r##"{"$ref":"#/components/schemas/A_gone"}"##, "Json"),
            ("true", "Json"),
        ] {
            let mut catalog = TypeCatalog::new(&[]);
            assert_eq!(format!("{:?}", catalog.add(&item(schema, &[]), "X")), value, "{schema}");
        }
    }

    #[test]
    fn a_schema_has_one_type_in_all_lists() {
        let user = r##"{"type":"object","properties":{"id":{"type":"string"},"boss":{"$ref":"#/components/schemas/A_User"},"2-x":{},"2_x":{},"__y":{}}}"##;
        let parts = r##"{"allOf":[{"$ref":"#/components/schemas/A_User"},{"properties":{"id":{"type":"number"},"more":{"properties":{"deep":{"type":"string"}}}}}]}"##;
        let alias = r##"{"$ref":"#/components/schemas/A_User"}"##;
        let reference = r##"{"$ref":"#/components/schemas/A_User"}"##;
        let mut catalog = TypeCatalog::new(&["Query", "User"]);
        let one = catalog.add(&item(reference, &[("A_User", user)]), "Users");
        let other = catalog.add(
            &item(r##"{"$ref":"#/components/schemas/A_alias"}"##, &[("A_alias", alias), ("A_User", user)]),
            "People",
        );
        assert_eq!((&one, &other), (&ValueType::Object("User2".to_owned()), &ValueType::Object("User2".to_owned())));
        let third = catalog.add(
            &item(
                r##"{"type":"array","items":{"$ref":"#/components/schemas/A_Parts"}}"##,
                &[("A_Parts", parts), ("A_User", user)],
            ),
            "Parts",
        );
        assert_eq!(third, ValueType::List(Box::new(ValueType::Object("Parts".to_owned()))));
        // The component `A_User` has another schema here, so its type gets another name.
        let changed = catalog.add(&item(reference, &[("A_User", r#"{"properties":{"a":{}}}"#)]), "Others");
        assert_eq!(changed, ValueType::Object("User3".to_owned()));
        assert_eq!(
            shown(&catalog),
            [
                "User2 { _2_x: Json, _2_x2: Json, _y: Json, boss: User2, id: Text }",
                "Parts { _2_x: Json, _2_x2: Json, _y: Json, boss: User2, id: Number, more: PartsMore }",
                "PartsMore { deep: Text }",
                "User3 { a: Json }",
            ]
        );
    }

    #[test]
    fn a_component_beyond_the_most_types_is_json_at_each_reference() {
        let mut catalog = TypeCatalog::new(&[]);
        let other = ObjectType { name: "Other".to_owned(), description: None, fields: Vec::new() };
        catalog.objects = vec![other; MOST_TYPES - 1];
        let user = ("A_User", r#"{"properties":{"id":{"type":"string"}}}"#);
        let pair = r##"{"properties":{"a":{"$ref":"#/components/schemas/A_User"},"b":{"$ref":"#/components/schemas/A_User"}}}"##;
        assert_eq!(catalog.add(&item(pair, &[user]), "Pair"), ValueType::Object("Pair".to_owned()));
        assert_eq!(shown(&catalog)[MOST_TYPES - 1], "Pair { a: Json, b: Json }");
        let reference = r##"{"$ref":"#/components/schemas/A_User"}"##;
        assert_eq!(catalog.add(&item(reference, &[user]), "Users"), ValueType::Json, "in another list");
        assert_eq!(catalog.objects.len(), MOST_TYPES);
    }

    #[test]
    fn schemas_that_refer_to_themselves_end() {
        let circle = r##"{"$ref":"#/components/schemas/A_B"}"##;
        let mut catalog = TypeCatalog::new(&[]);
        let components = [("A_B", r##"{"$ref":"#/components/schemas/A_C"}"##), ("A_C", circle)];
        assert_eq!(catalog.add(&item(circle, &components), "X"), ValueType::Json);
        let whole =
            [("A_B", r##"{"allOf":[{"$ref":"#/components/schemas/A_B"}],"properties":{"a":{"type":"string"}}}"##)];
        assert_eq!(catalog.add(&item(circle, &whole), "Y"), ValueType::Object("B".to_owned()));
        let doubling: Vec<(String, String)> = (0..40)
            .map(|level| {
                let next = format!(r##"{{"$ref":"#/components/schemas/A_L{}"}}"##, level + 1);
                (format!("A_L{level}"), format!(r#"{{"allOf":[{next},{next}]}}"#))
            })
            .collect();
        let doubling: Vec<(&str, &str)> =
            doubling.iter().map(|(name, schema)| (name.as_str(), schema.as_str())).collect();
        assert_eq!(catalog.add(&item(r##"{"$ref":"#/components/schemas/A_L0"}"##, &doubling), "Z"), ValueType::Json);
    }
}
