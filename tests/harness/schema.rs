//! The part of JSON Schema that the contracts of envelopes need: `type`, `const`, `enum`, `required`, `properties`,
//! `additionalProperties: false`, `items`, `minItems`, `maxItems`, `minimum`, `minLength`; and `forbidden`, names of
//! members that must be absent. An unknown keyword causes a panic, so no keyword is ignored.

use serde_json::{Map, Value};

/// Returns all violations of a schema by a value, with their places.
pub(crate) fn faults(schema: &Value, value: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    hold(schema, value, "", &mut faults);
    faults
}

fn hold(schema: &Value, value: &Value, place: &str, faults: &mut Vec<String>) {
    let words = schema.as_object().unwrap_or_else(|| panic!("no schema at {place:?}: {schema}"));
    for (word, said) in words {
        // As in JSON Schema, a keyword is satisfied by values of a type that it does not apply to.
        let holds = match word.as_str() {
            "type" => kinds(said).any(|kind| is_of(kind, value)),
            "const" => value == said,
            "enum" => list(said).contains(value),
            "required" => object(value).is_none_or(|own| names(said).all(|name| own.contains_key(name))),
            "forbidden" => object(value).is_none_or(|own| !names(said).any(|name| own.contains_key(name))),
            "additionalProperties" => {
                assert_eq!(*said, Value::Bool(false), "{place}");
                let known = words.get("properties").and_then(object);
                object(value)
                    .is_none_or(|own| own.keys().all(|name| known.is_some_and(|known| known.contains_key(name))))
            }
            "minimum" => value.as_f64().is_none_or(|number| number >= said.as_f64().expect("a number")),
            "minLength" => value.as_str().is_none_or(|text| text.chars().count() as u64 >= count(said)),
            "minItems" => value.as_array().is_none_or(|own| own.len() as u64 >= count(said)),
            "maxItems" => value.as_array().is_none_or(|own| own.len() as u64 <= count(said)),
            "properties" => {
                for (name, schema) in object(said).expect("schemas by name") {
                    if let Some(member) = object(value).and_then(|own| own.get(name)) {
                        hold(schema, member, &format!("{place}/{name}"), faults);
                    }
                }
                true
            }
            "items" => {
                for (index, element) in value.as_array().into_iter().flatten().enumerate() {
                    hold(said, element, &format!("{place}/{index}"), faults);
                }
                true
            }
            _ => panic!("{word:?} at {place:?} is held by nobody"),
        };
        if !holds {
            faults.push(format!("{place:?}: {word} {said}, and it is {value}"));
        }
    }
}

fn kinds(said: &Value) -> impl Iterator<Item = &str> {
    said.as_str().into_iter().chain(said.as_array().into_iter().flatten().filter_map(Value::as_str))
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => panic!("{kind:?} is no type"),
    }
}

fn object(value: &Value) -> Option<&Map<String, Value>> {
    value.as_object()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn names(value: &Value) -> impl Iterator<Item = &str> {
    list(value).iter().map(|name| name.as_str().expect("a name"))
}

fn count(value: &Value) -> u64 {
    value.as_u64().expect("a count")
}
