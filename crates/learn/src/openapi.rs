//! The list operation of an OpenAPI document: the names and limits of its parameters, and the types of the items'
//! fields.
//!
//! The document proves nothing: its names are tried first and its numbers are requested, but every finding is based on
//! answers. `comparison` compares the document with the findings.

pub(super) mod comparison;
mod operation;
mod schema;

use http::Method;
use serde_json::Value;

use crate::shape::names::{last_step, plain};

use schema::DocumentSchemas;

/// The largest number of parameters and of fields that are read. Further ones are ignored.
const MOST: usize = 200;

/// The largest number of paths that an error names.
const LISTED: usize = 12;

/// The type of a parameter or a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentedType {
    /// `integer`.
    Integer,
    /// `number`.
    Number,
    /// `boolean`.
    Boolean,
    /// `string` with the format `date-time`.
    Datetime,
    /// `string` with the format `date`.
    Date,
    /// `string` with the format `uuid`.
    Uuid,
    /// Any other `string`.
    Text,
    /// Any other type, or none.
    Other,
}

impl DocumentedType {
    /// Returns the name of the type, or of its format, in documents.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Datetime => "date-time",
            Self::Date => "date",
            Self::Uuid => "uuid",
            Self::Text => "string",
            Self::Other => "another type",
        }
    }
}

/// A parameter of the list operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentedParameter {
    /// The name in the query, or a JSON Pointer into the body.
    pub name: String,
    /// The type of the parameter's values.
    pub kind: DocumentedType,
    /// The largest allowed number; `None` if the document names none.
    pub maximum: Option<u64>,
    /// The value that applies if a request lacks the parameter; `None` if the document names none.
    pub default: Option<String>,
    /// A value for requests: the first that the document names of the example, the default, the minimum and the first
    /// choice; `None` if it names none.
    pub example: Option<String>,
    /// The allowed values; empty for any.
    pub choices: Vec<String>,
    /// True if the document says that every request needs the parameter.
    pub is_required: bool,
}

impl DocumentedParameter {
    /// Returns whether the parameter might take a number. Documents often omit the type, so an unknown type counts.
    pub(super) fn is_number(&self) -> bool {
        matches!(self.kind, DocumentedType::Integer | DocumentedType::Number | DocumentedType::Other)
    }

    /// Returns whether the parameter has one of these names, ignoring case and separators.
    pub(super) fn is_named(&self, names: &[&str]) -> bool {
        names.iter().any(|known| plain(known) == last_step(&self.name))
    }
}

/// A field of the items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentedField {
    /// The place of the field in an element, as a JSON Pointer.
    pub pointer: String,
    /// The type of the field's values.
    pub kind: DocumentedType,
    /// The allowed values; empty for any.
    pub choices: Vec<String>,
}

/// A list as an OpenAPI document describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DocumentedList {
    /// The operation, such as `GET /users`.
    pub operation: String,
    /// The parameters of the query, and the members of the body.
    pub parameters: Vec<DocumentedParameter>,
    /// The array of items in an answer, as a JSON Pointer; `None` if the document describes none.
    pub items: Option<String>,
    /// The fields of the items, as far as the document describes them.
    pub fields: Vec<DocumentedField>,
    /// The names of the headers that contain credentials.
    pub credentials: Vec<String>,
}

impl DocumentedList {
    /// Returns the empty description, for a list without a document.
    pub(super) const fn nothing() -> Self {
        Self {
            operation: String::new(),
            parameters: Vec::new(),
            items: None,
            fields: Vec::new(),
            credentials: Vec::new(),
        }
    }

    /// Reads the operation with this method and path from a document of OpenAPI 3.
    ///
    /// # Errors
    ///
    /// Returns the reason if the document is of another version, or if it does not describe the list.
    pub fn read(document: &Value, method: &Method, path: &str) -> Result<Self, String> {
        let version = document.get("openapi").and_then(Value::as_str).unwrap_or_default();
        if !version.starts_with("3.") {
            return Err("this is not an OpenAPI document of version 3: older ones can be converted".to_owned());
        }
        let reader = DocumentSchemas { root: document };
        let Some(found) = operation::find(reader, method, path) else {
            let known = operation::lists(reader, method);
            let known: Vec<&str> = known.iter().map(String::as_str).take(LISTED).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(format!(
                "the document describes no {method} of {path}: its paths without parameters are {known}"
            ));
        };
        let mut own = Self { operation: format!("{method} {}", found.template), ..Self::nothing() };
        own.parameters = operation::parameters(reader, &found);
        own.parameters.extend(operation::members_of_body(reader, &found));
        own.parameters.truncate(MOST);
        own.credentials = operation::credentials(reader, &found);
        if let Some((items, fields)) = operation::answer(reader, &found).and_then(|schema| reader.items(schema)) {
            (own.items, own.fields) = (Some(items), fields);
        }
        Ok(own)
    }

    /// Returns the parameter with exactly this name; `None` if the document has none.
    pub(super) fn parameter(&self, name: &str) -> Option<&DocumentedParameter> {
        self.parameters.iter().find(|own| own.name == name)
    }

    /// Returns the field at a pointer into an element; `None` if the document describes none.
    pub(super) fn field(&self, pointer: &str) -> Option<&DocumentedField> {
        self.fields.iter().find(|own| own.pointer == pointer)
    }

    /// Returns the names of the numeric parameters that have one of these names, ignoring case and separators.
    pub(super) fn numbers_named<'d>(&'d self, names: &'d [&str]) -> impl Iterator<Item = String> + 'd {
        let numbers = self.parameters.iter().filter(|own| own.is_number() && own.is_named(names));
        numbers.map(|own| own.name.clone())
    }

    /// Returns the names of the integer parameters that have none of these names: a service may call a page by another
    /// word. Leaves out parameters with a list of allowed values, and filters, whose names begin with the name of a
    /// field, such as `id_from`.
    pub(super) fn other_numbers<'d>(&'d self, names: &'d [&[&str]]) -> impl Iterator<Item = String> + 'd {
        let whole = self.parameters.iter().filter(|own| own.kind == DocumentedType::Integer && own.choices.is_empty());
        let others = whole.filter(|own| names.iter().all(|names| !own.is_named(names)));
        let filters =
            |own: &str| self.fields.iter().any(|field| last_step(own).starts_with(&last_step(&field.pointer)));
        others.filter(move |own| !filters(&own.name)).map(|own| own.name.clone())
    }

    /// Returns whether at least half of a parameter's allowed values, and at least two, are names of fields, with or
    /// without a direction.
    pub(super) fn names_fields(&self, parameter: &DocumentedParameter) -> bool {
        let is_field = |choice: &&String| {
            let word = plain(choice);
            let known = self.fields.iter().map(|field| last_step(&field.pointer));
            known.into_iter().any(|name| {
                word == name || word.strip_suffix("asc").or_else(|| word.strip_suffix("desc")) == Some(&name)
            })
        };
        let named = parameter.choices.iter().filter(is_field).count();
        // A single value may have the name of a field by chance, so at least two must have one.
        named > 1 && named * 2 >= parameter.choices.len()
    }

    /// Returns the names of the parameters, except booleans, that have one of these names, ignoring case and
    /// separators.
    pub(super) fn texts_named<'d>(&'d self, names: &'d [&str]) -> impl Iterator<Item = String> + 'd {
        let texts = self.parameters.iter().filter(|own| own.kind != DocumentedType::Boolean && own.is_named(names));
        texts.map(|own| own.name.clone())
    }

    /// Returns the required parameters of the query, without which requests are refused.
    pub(super) fn required(&self) -> impl Iterator<Item = &DocumentedParameter> {
        // Required members of a body are in the body that the user passes for a list by POST, so they are left out.
        self.parameters.iter().filter(|own| own.is_required && !own.name.starts_with('/'))
    }
}

#[cfg(test)]
mod tests;
