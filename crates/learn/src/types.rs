//! The types of the items, inferred from those that were seen, and the OpenAPI document that states them.
//!
//! A sample proves little, so a type is only what no seen value contradicts: each member may be null or missing, further
//! members are allowed, and there are no enumerations, bounds or patterns. The document has names of members and no
//! values. Names can be values too, in an object that maps ids or addresses to something, so only names that several
//! objects have are written.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use serde_json::{Map, Value, json};

use crate::{
    findings::Learnt,
    prober::ProbeTarget,
    prober::answer::{SeenAnswer, step_into},
    shape::ListShape,
    write::route_name,
};
use cursorgate_config::diagnostic::is_hidden;

/// The largest number of items that are read. Later items are ignored.
const MOST_ITEMS: usize = 10_000;

/// The largest number of elements that are read of one array within an item. Later elements are ignored.
const MOST_ELEMENTS: usize = 1_000;

/// The largest depth at which members are read. Deeper objects and arrays are open.
const MOST_DEPTH: usize = 12;

/// The largest number of names of the objects at one place. Objects with more have names that are values.
const MOST_NAMES: usize = 500;

/// The largest number of names in all objects. Objects from which a name is left out for it are open.
const MOST_PLACES: usize = 10_000;

/// The largest length of a name in bytes. Longer ones are values.
const LONGEST_NAME: usize = 64;

/// A name is common if at least one of this number of objects has it.
const COMMON: usize = 2;

/// The types of the items that were seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenItems {
    /// The JSON Schema of an item.
    pub schema: Value,
    /// The number of items from which the schema was inferred.
    pub count: usize,
}

/// A type of JSON. An integer is a number of at most 64 bits without a fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum JsonKind {
    Null,
    Boolean,
    Integer,
    Number,
    Text,
    List,
    Object,
}

/// The values that were seen at one place of the items.
#[derive(Debug, Default)]
struct SeenPlace {
    kinds: BTreeSet<JsonKind>,
    /// The elements of all arrays.
    elements: Option<Box<Self>>,
    /// The number of objects.
    objects: usize,
    /// The members of all objects by name, each with the number of objects that have it.
    members: BTreeMap<String, (usize, Self)>,
    /// True if a name looks like a value.
    has_values_as_names: bool,
    /// True if a name was left out because there were too many.
    is_cut: bool,
}

impl SeenItems {
    /// Infers the types of the items in these answers. An item that several answers have counts once.
    pub(super) fn infer(shape: &ListShape, answers: &[Rc<SeenAnswer>]) -> Self {
        let (mut known, mut place, mut left) = (BTreeSet::new(), SeenPlace::default(), MOST_PLACES);
        for seen in answers {
            // `SeenAnswer::json` has arrays in place of objects with numbers as names, so the body is read again. Test:
            // `an_object_with_numbers_as_names_is_open`.
            let Ok(body) = serde_json::from_slice::<Value>(&seen.body) else { continue };
            let Some(elements) = shape.elements(seen).and_then(|_| step_into(&body, &shape.items)) else { continue };
            let elements: Vec<&Value> = match elements {
                Value::Array(elements) => elements.iter().collect(),
                Value::Object(members) if seen.is_indexed(&shape.items) => members.values().collect(),
                single => vec![single],
            };
            for element in elements {
                let Some(item) = step_into(element, &shape.item) else { continue };
                if known.len() < MOST_ITEMS && known.insert(shape.identity(element)) {
                    place.read(item, 0, &mut left);
                }
            }
        }
        Self { schema: place.schema(true, false), count: known.len() }
    }
}

impl SeenPlace {
    /// Adds a value at this place. `left` is the number of names that may still be added.
    fn read(&mut self, value: &Value, depth: usize, left: &mut usize) {
        self.kinds.insert(match value {
            Value::Null => JsonKind::Null,
            Value::Bool(_) => JsonKind::Boolean,
            Value::Number(number) if number.as_i64().is_some() => JsonKind::Integer,
            Value::Number(_) => JsonKind::Number,
            Value::String(_) => JsonKind::Text,
            Value::Array(_) => JsonKind::List,
            Value::Object(_) => JsonKind::Object,
        });
        match value {
            Value::Array(elements) if depth < MOST_DEPTH => {
                for element in elements.iter().take(MOST_ELEMENTS) {
                    self.elements.get_or_insert_default().read(element, depth + 1, left);
                }
            }
            Value::Object(members) => self.read_object(members, depth, left),
            _ => {}
        }
    }

    fn read_object(&mut self, members: &Map<String, Value>, depth: usize, left: &mut usize) {
        self.objects += 1;
        for (name, member) in members {
            if !is_name(name) {
                self.has_values_as_names = true;
                continue;
            }
            if !self.members.contains_key(name) {
                if depth >= MOST_DEPTH || self.members.len() >= MOST_NAMES || *left == 0 {
                    self.is_cut = true;
                    continue;
                }
                *left -= 1;
            }
            let (times, place) = self.members.entry(name.clone()).or_default();
            *times += 1;
            place.read(member, depth + 1, left);
        }
    }

    /// Returns the JSON Schema of the values. `is_item` is true for the item itself.
    fn schema(&self, is_item: bool, is_nullable: bool) -> Value {
        let mut kinds: Vec<JsonKind> = self.kinds.iter().copied().filter(|kind| *kind != JsonKind::Null).collect();
        if kinds == [JsonKind::Integer, JsonKind::Number] {
            kinds.remove(0);
        }
        // Several types, and none, allow any value.
        let [kind] = kinds.as_slice() else { return json!({}) };
        let mut schema = Map::new();
        let name = match kind {
            JsonKind::Null => return json!({}),
            JsonKind::Boolean => "boolean",
            JsonKind::Integer => {
                // Generators of clients take 32 bits for an integer without a format.
                schema.insert("format".to_owned(), "int64".into());
                "integer"
            }
            JsonKind::Number => "number",
            JsonKind::Text => "string",
            JsonKind::List => {
                if let Some(elements) = &self.elements {
                    let has_null = elements.kinds.contains(&JsonKind::Null);
                    schema.insert("items".to_owned(), elements.schema(false, has_null));
                }
                "array"
            }
            JsonKind::Object => {
                let members = self.written(is_item).map(|(name, place)| (name.clone(), place.schema(false, true)));
                let members: Map<String, Value> = members.collect();
                if !members.is_empty() {
                    schema.insert("properties".to_owned(), Value::Object(members));
                }
                "object"
            }
        };
        schema.insert("type".to_owned(), if is_nullable { json!([name, "null"]) } else { name.into() });
        Value::Object(schema)
    }

    /// Returns the members whose names are written. Members of a map from ids or other values are not: such an object
    /// has more rare names than common ones, or a name that looks like a value.
    fn written(&self, is_item: bool) -> impl Iterator<Item = (&String, &Self)> {
        let several = if is_item && self.objects == 1 { 1 } else { 2 };
        let usual = several.max(self.objects.div_ceil(COMMON));
        let common = self.members.values().filter(|(times, _)| *times >= usual).count();
        let is_varied = self.is_cut || self.members.len() - common > common;
        let least = match (is_item, is_varied || self.has_values_as_names) {
            // Items of several kinds have common members, such as an id.
            (true, _) if is_varied => usual,
            (false, true) => usize::MAX,
            _ => several,
        };
        self.members.iter().filter(move |(_, (times, _))| *times >= least).map(|(name, (_, place))| (name, place))
    }
}

/// Returns whether the name of a member doesn't look like a value, such as a number, a date, an address or an id. Test:
/// `names_that_look_like_values_are_not_written`.
fn is_name(name: &str) -> bool {
    let begins = name.starts_with(|first: char| first.is_alphabetic() || matches!(first, '_' | '$' | '@' | '#'));
    let is_plain = !name.chars().skip(1).any(|letter| letter == '@' || letter == '/' || is_hidden(letter));
    let is_number = name.split(|letter: char| !letter.is_ascii_digit()).any(|digits| digits.len() >= 8);
    let is_id = name.len() >= 16 && name.chars().all(|letter| letter.is_ascii_hexdigit() || letter == '-');
    begins && is_plain && !is_number && !is_id && name.len() <= LONGEST_NAME
}

/// Returns the operation of a learnt list in the document of [`types_document`], as `openapi` of a route names it.
#[must_use]
pub fn types_operation(target: &ProbeTarget, path: &str) -> String {
    format!("{} {path}", if target.body.is_some() { "POST" } else { "GET" })
}

/// Returns an OpenAPI document in JSON for a learnt list at `path`, with the types of its items.
#[must_use]
pub fn types_document(learnt: &Learnt, target: &ProbeTarget, path: &str) -> String {
    // A step that leads to an element of an array is a member here too: only the schema of an item is read.
    let within = |schema: Value, place: &str| {
        place.split('/').skip(1).collect::<Vec<_>>().into_iter().rev().fold(schema, |schema, step| {
            let name = step.replace("~1", "/").replace("~0", "~");
            json!({ "type": "object", "properties": { name: schema } })
        })
    };
    let SeenItems { schema, count } = &learnt.items;
    let element = within(schema.clone(), &learnt.shape.item);
    let answer = within(json!({ "type": "array", "items": element }), &learnt.shape.items);
    let response = json!({ "description": "A page.", "content": { "application/json": { "schema": answer } } });
    let operation = types_operation(target, path);
    let method = if target.body.is_some() { "post" } else { "get" };
    let description = format!(
        "Inferred from {count} items of {operation}. Other items may differ: each member may be null or missing, and \
         an item may have more. Names that few items have are left out. To make it again, remove the file and run \
         `cursorgate learn URL --types FILE`."
    );
    let document = json!({
        "info": { "description": description, "title": route_name(path), "version": "inferred" },
        "openapi": "3.1.0",
        "paths": { path: { method: { "responses": { "200": response } } } },
    });
    format!("{document:#}\n")
}

#[cfg(test)]
mod tests;
