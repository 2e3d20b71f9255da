//! The JSON Schema of a configuration file, for editors. It has the form of draft 4, which the TOML language server
//! Taplo reads.

use serde_json::{Map, Value, json};

use super::{
    key::{Definition, Literal, Shown},
    keys,
    reference::unwrapped,
    schema::Schema,
};

/// Returns the JSON Schema of a configuration file. Every file that `cursorgate check` accepts is valid by the schema.
/// A valid file can have faults, because the schema contains neither the syntax of texts nor rules for several keys.
#[must_use]
pub fn json_schema() -> String {
    let mut schema = of(&keys::FILE_SCHEMA);
    schema.insert("$schema".to_owned(), json!("http://json-schema.org/draft-04/schema#"));
    schema.insert("title".to_owned(), json!("cursorgate.toml"));
    format!("{:#}\n", Value::Object(schema))
}

/// The pattern of a text that contains an environment variable.
const VARIABLE: &str = "^env:.|[{]env:.";

fn of(schema: &Schema) -> Map<String, Value> {
    let value = match schema {
        Schema::Boolean => json!({ "type": "boolean" }),
        Schema::Count(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Schema::Quantity(unit, ..) => json!({ "type": "string", "pattern": format!("{}|{VARIABLE}", unit.pattern) }),
        // JSON Schema has no dates, and Taplo validates the dates of TOML as strings.
        Schema::Day => json!({ "type": "string", "format": "date" }),
        Schema::Text(_) => json!({ "type": "string" }),
        Schema::Secret => json!({ "type": "string", "pattern": "^[{]?(env|file):." }),
        // A word may come from an environment variable. Test:
        // `the_json_schema_admits_the_reference_and_no_unknown_key`.
        Schema::Word(words) => {
            let words: Vec<&str> = words.iter().map(|known| known.word).collect();
            json!({ "anyOf": [{ "enum": words }, { "type": "string", "pattern": VARIABLE }] })
        }
        Schema::BooleanOrWord(words) => {
            let words = Value::Object(of(&Schema::Word(words)));
            json!({ "anyOf": [{ "type": "boolean" }, words] })
        }
        Schema::List(element) => json!({ "type": "array", "items": of(element) }),
        Schema::SentHeaders => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        Schema::Named(element, _) => json!({ "type": "object", "additionalProperties": of(element) }),
        Schema::Json => json!({}),
        Schema::JsonMembers => json!({ "type": "object" }),
        Schema::Table(keys) => {
            let properties: Map<String, Value> =
                keys.iter().map(|key| (key.name.to_owned(), Value::Object(property(key)))).collect();
            json!({ "type": "object", "properties": properties, "additionalProperties": false })
        }
    };
    match value {
        Value::Object(schema) => schema,
        _ => Map::new(),
    }
}

fn property(key: &Definition) -> Map<String, Value> {
    let mut schema = of(&key.schema);
    schema.insert("description".to_owned(), json!(description(key)));
    if let Shown::Default(literal) = key.shown {
        let default = match literal {
            Literal::Boolean(value) => json!(value),
            Literal::Count(number) => json!(number),
            Literal::Text(text) => json!(text),
            Literal::Texts(texts) => json!(texts),
        };
        schema.insert("default".to_owned(), default);
    }
    schema
}

/// Returns the documentation of a key, and of each word that it accepts, in Markdown.
fn description(key: &Definition) -> String {
    let mut text = unwrapped(key.documentation);
    let words = match key.schema {
        Schema::Word(words) | Schema::BooleanOrWord(words) => words,
        Schema::List(Schema::Word(words)) => *words,
        _ => &[],
    };
    for (index, known) in words.iter().enumerate() {
        let separator = if index == 0 { "\n\n" } else { "\n" };
        text.push_str(&format!("{separator}- `{}`: {}", known.word, unwrapped(known.documentation)));
    }
    text
}
