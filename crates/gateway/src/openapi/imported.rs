//! Schemas imported from an upstream's document, with all schemas to which they refer, under unique names. Schemas of
//! OpenAPI 3.0 are converted to JSON Schema 2020-12.

pub(super) mod query_parameters;
mod upstream_document;

use super::names::{Names, component, pascal};
use cursorgate_config::{
    Diagnostics,
    settings::{ItemSchema, OpenApiSettings},
    tree::{LocatedTree, Tree},
};
use cursorgate_core::json::{Document, Pointer};
use upstream_document::{UpstreamDocument, member, members, text};

/// The schema of an item, and the components to which it refers.
#[derive(Debug)]
pub(super) struct ImportedItem {
    pub item: Document,
    /// The components that `item` reaches, by name.
    pub components: Vec<(String, Document)>,
}

/// Imports the schema of a route's items. `items` is the place of the array in an answer. `item` is the place of the
/// item in an element of the array. Returns `None` if there are faults, which are reported in `diagnostics`.
pub(super) fn import(
    settings: &OpenApiSettings,
    items: &Pointer,
    item: &Pointer,
    names: &mut Names,
    diagnostics: &mut Diagnostics,
) -> Option<ImportedItem> {
    let source = UpstreamDocument { root: &settings.document, file: &settings.file.value };
    let found = source.version(settings.file.at).and_then(|old| {
        let schema = match &settings.item {
            ItemSchema::At(place) => source.at(&place.value).ok_or_else(|| source.without(&place.value, place.at))?,
            ItemSchema::Operation(operation) => {
                let (method, path) = &operation.value;
                let answer = source.answer(method, path, operation.at)?;
                let found = source.item(answer, items, item);
                found.ok_or_else(|| source.without_items(items, method, path, operation.at))?
            }
        };
        Ok((schema, old))
    });
    let (schema, old) = match found {
        Ok(found) => found,
        Err((at, message, help)) => {
            diagnostics.error(at, message, help);
            return None;
        }
    };
    let mut carried = SchemaImport::new(source, old, names);
    let item = carried.schema_at(schema, settings);
    match carried.finish() {
        Ok((components, elsewhere)) => {
            for reference in elsewhere {
                let message = format!("{} refers to {reference:?}, which is not in it", settings.file.value);
                let help = "the document leaves that part open: only the content of the file itself is taken over";
                diagnostics.warning(settings.file.at, message, help);
            }
            Some(ImportedItem { item, components })
        }
        Err(message) => {
            let message = format!("{}: {message}", settings.file.value);
            diagnostics.error(settings.file.at, message, "name a schema that reaches less");
            None
        }
    }
}

/// The largest number of schemas that one item may reach. An item that reaches more is an error of the configuration.
const MOST_COMPONENTS: usize = 1_000;

/// The largest number of values in all schemas that are imported for one item. More values are an error of the
/// configuration.
const MOST_VALUES: usize = 200_000;

/// Components by name, and the references that lead out of the document.
type ImportedSchemas = (Vec<(String, Document)>, Vec<String>);

/// The state of an import.
pub(super) struct SchemaImport<'a> {
    source: UpstreamDocument<'a>,
    /// `true` if the document uses OpenAPI 3.0, whose schemas aren't JSON Schema.
    old: bool,
    names: &'a mut Names,
    /// The references found so far, each with the name of its component in the gateway's document and with the schema
    /// that is its target. A component without a schema allows any value.
    known: Vec<(String, String, Option<&'a LocatedTree>)>,
    /// The references whose targets aren't in the document.
    elsewhere: Vec<String>,
    /// The number of imported values.
    values: usize,
}

impl<'a> SchemaImport<'a> {
    pub(super) fn new(source: UpstreamDocument<'a>, old: bool, names: &'a mut Names) -> Self {
        Self { source, old, names, known: Vec::new(), elsewhere: Vec::new(), values: 0 }
    }

    /// Returns the schema itself. If the route names the schema's place in the document, returns a reference to its
    /// component instead.
    pub(super) fn schema_at(&mut self, schema: &LocatedTree, settings: &OpenApiSettings) -> Document {
        match &settings.item {
            ItemSchema::At(place) => self.reference(&place.value),
            ItemSchema::Operation(_) => self.schema(schema),
        }
    }

    /// Imports the schemas that were referred to, and the schemas to which these refer. Returns the components and the
    /// references out of the document, or an error message if there are too many schemas or values.
    pub(super) fn finish(mut self) -> Result<ImportedSchemas, String> {
        let mut components: Vec<(String, Document)> = Vec::new();
        // An imported schema may add references to other schemas, so `known` grows during this loop.
        while let Some((_, name, tree)) = self.known.get(components.len()).cloned() {
            let schema = tree.map_or_else(|| Document::Object(Vec::new()), |tree| self.schema(tree));
            components.push((name, schema));
            // The schemas of a document may all refer to one another. Test: `the_schemas_that_items_reach_are_bounded`.
            if self.known.len() > MOST_COMPONENTS || self.values > MOST_VALUES {
                return Err(format!("the items reach more than {MOST_COMPONENTS} schemas or {MOST_VALUES} values"));
            }
        }
        self.elsewhere.sort();
        self.elsewhere.dedup();
        Ok((components, self.elsewhere))
    }

    /// Returns a reference to the component for the target of `reference`. If the document has no such target, returns
    /// an empty schema, which allows any value.
    fn reference(&mut self, reference: &str) -> Document {
        let name = match self.known.iter().find(|(known, ..)| known == reference) {
            Some((_, name, _)) => name.clone(),
            None => {
                let Some(tree) = self.source.at(reference) else {
                    // This isn't an error, because the rest of the item can still be described. Test:
                    // `references_out_of_the_document_are_warned_of_and_allow_any_value`.
                    self.elsewhere.push(reference.to_owned());
                    return Document::Object(Vec::new());
                };
                let file = self.source.file.rsplit('/').next().unwrap_or_default();
                let stem = pascal(file.split('.').next().unwrap_or_default());
                let last = reference.rsplit('/').next().unwrap_or_default();
                let name = self.names.claim(&format!("{stem}_{}", component(last)));
                // `finish` imports the target later, so a schema that refers to itself is imported only once. Test:
                // `schemas_of_3_0_become_json_schema`.
                self.known.push((reference.to_owned(), name.clone(), Some(tree)));
                name
            }
        };
        Document::object([("$ref", format!("#/components/schemas/{name}").into())])
    }

    /// Converts a schema and all schemas within it.
    fn schema(&mut self, tree: &LocatedTree) -> Document {
        self.values += 1;
        let Tree::Object(own) = &tree.value else {
            // `true` and `false` are schemas in OpenAPI 3.1, so they are copied. Any other value isn't a schema, and
            // becomes the empty schema.
            return if matches!(tree.value, Tree::Boolean(_)) { self.copy(tree) } else { Document::Object(Vec::new()) };
        };
        if let Some(reference) = text(member(tree, "$ref")).filter(|_| self.old) {
            // OpenAPI 3.0 ignores members beside `$ref`, so only the reference is converted.
            return self.reference(reference);
        }
        let mut schema: Vec<(String, Document)> = Vec::with_capacity(own.len());
        for (name, value) in own {
            let name = name.value.as_str();
            let taken = match name {
                "$ref" => match text(Some(value)).map(|reference| self.reference(reference)) {
                    Some(Document::Object(mut members)) if !members.is_empty() => members.swap_remove(0).1,
                    _ => continue,
                },
                // In the new document, most of these keywords would change the meaning of references. `xml` doesn't
                // concern JSON.
                "$id" | "$anchor" | "$schema" | "$dynamicRef" | "$dynamicAnchor" | "$vocabulary" | "xml" => continue,
                _ if name.starts_with("x-") => continue,
                "nullable" if self.old => continue,
                "exclusiveMinimum" | "exclusiveMaximum" | "minimum" | "maximum" if self.old => {
                    match self.bound(tree, name, value) {
                        Some((name, value)) => {
                            schema.push((name.to_owned(), value));
                            continue;
                        }
                        None => continue,
                    }
                }
                "properties" | "patternProperties" | "dependentSchemas" | "$defs" | "definitions" => {
                    let named = members(Some(value)).iter();
                    Document::Object(named.map(|(name, value)| (name.value.clone(), self.schema(value))).collect())
                }
                "items"
                | "not"
                | "additionalProperties"
                | "contains"
                | "propertyNames"
                | "if"
                | "then"
                | "else"
                | "unevaluatedItems"
                | "unevaluatedProperties"
                | "contentSchema" => self.schema(value),
                "allOf" | "anyOf" | "oneOf" | "prefixItems" => match &value.value {
                    Tree::Array(parts) => Document::Array(parts.iter().map(|part| self.schema(part)).collect()),
                    _ => continue,
                },
                "discriminator" => self.discriminator(value),
                _ => self.copy(value),
            };
            schema.push((name.to_owned(), taken));
        }
        let is_nullable =
            self.old && matches!(member(tree, "nullable").map(|tree| &tree.value), Some(Tree::Boolean(true)));
        let schema = Document::Object(schema);
        if is_nullable { or_null(schema) } else { schema }
    }

    /// Converts a bound of OpenAPI 3.0, where `exclusiveMinimum` is a flag beside `minimum`. Returns the keyword and
    /// its value; `None` for the flag itself.
    fn bound(&mut self, schema: &LocatedTree, name: &str, value: &LocatedTree) -> Option<(&'static str, Document)> {
        let (inclusive, exclusive) = match name {
            "minimum" | "exclusiveMinimum" => ("minimum", "exclusiveMinimum"),
            _ => ("maximum", "exclusiveMaximum"),
        };
        let is_exclusive = matches!(member(schema, exclusive).map(|flag| &flag.value), Some(Tree::Boolean(true)));
        match (name == inclusive, is_exclusive) {
            (true, false) => Some((inclusive, self.copy(value))),
            (true, true) => Some((exclusive, self.copy(value))),
            // The flag is already part of the converted bound.
            (false, _) => None,
        }
    }

    /// Converts a discriminator. Its mapping refers to schemas, which are imported too.
    fn discriminator(&mut self, tree: &LocatedTree) -> Document {
        let mut taken = Vec::new();
        for (name, value) in members(Some(tree)) {
            let copied = match (name.value.as_str(), &value.value) {
                ("mapping", Tree::Object(mapping)) => {
                    let mut named = Vec::with_capacity(mapping.len());
                    for (meant, value) in mapping {
                        let said = text(Some(value)).unwrap_or_default();
                        let local = format!("#/components/schemas/{said}");
                        // A mapping contains references or names of schemas (OpenAPI 3.0, Discriminator Object), so a
                        // name is made into a reference.
                        let reference = if said.starts_with("#/") { said } else { local.as_str() };
                        if let Some(Document::Text(reference)) = self.reference(reference).member("$ref") {
                            named.push((meant.value.clone(), reference.as_str().into()));
                        }
                    }
                    Document::Object(named)
                }
                _ => self.copy(value),
            };
            taken.push((name.value.clone(), copied));
        }
        Document::Object(taken)
    }

    /// Copies a value that isn't a schema, such as the value of `example`. The members of such a value aren't keywords.
    fn copy(&mut self, tree: &LocatedTree) -> Document {
        self.values += 1;
        match &tree.value {
            Tree::Null => Document::Null,
            Tree::Boolean(flag) => Document::Boolean(*flag),
            Tree::Number(spelling) => Document::Number(spelling.clone()),
            Tree::Text(text) => Document::Text(text.clone()),
            Tree::Array(elements) => Document::Array(elements.iter().map(|element| self.copy(element)).collect()),
            Tree::Object(members) => {
                Document::Object(members.iter().map(|(name, value)| (name.value.clone(), self.copy(value))).collect())
            }
        }
    }
}

/// Returns a schema that also allows null, like `nullable` in OpenAPI 3.0.
fn or_null(schema: Document) -> Document {
    let null = || Document::object([("type", "null".into())]);
    match schema {
        Document::Object(mut members)
            if matches!(members.iter().find(|(name, _)| name == "type"), Some((_, Document::Text(_)))) =>
        {
            for (name, value) in &mut members {
                match (name.as_str(), &mut *value) {
                    ("type", Document::Text(said)) => {
                        *value = Document::texts([std::mem::take(said).as_str(), "null"]);
                    }
                    // An `enum` without null would still exclude it.
                    ("enum", Document::Array(values)) if !values.contains(&Document::Null) => {
                        values.push(Document::Null);
                    }
                    _ => {}
                }
            }
            Document::Object(members)
        }
        schema => Document::object([("anyOf", vec![schema, null()].into())]),
    }
}

#[cfg(test)]
mod tests;
