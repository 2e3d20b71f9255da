//! The filter of an endpoint for events: which events of its types it gets.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::tree::Tree;

/// The largest number of lists, of members of `data`, and of values of a member.
const MOST: usize = 20;

/// The longest name of a list or member, and the longest value, in bytes.
const LONGEST: usize = 256;

/// The conditions of an endpoint for events, all of which must hold. Without conditions it gets all events of its
/// types.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EndpointFilter {
    /// The names of routes and the paths, one of which `route` or `path` of `data` must be; empty for all lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    list: Vec<String>,
    /// The values, one of which a member of `data` must have. A member is named by its name, or by a JSON Pointer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    data: BTreeMap<String, Vec<Value>>,
}

/// A fault of a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterFault {
    /// The place of the fault as a JSON Pointer that begins with `/filter`.
    pub place: String,
    /// What to write there.
    pub detail: &'static str,
}

impl EndpointFilter {
    /// Reads the value of `filter`. `null` and an object without members are no conditions.
    ///
    /// # Errors
    ///
    /// Returns the first fault.
    pub fn read(value: &Value) -> Result<Self, FilterFault> {
        let members = match value {
            Value::Null => return Ok(Self::default()),
            Value::Object(members) => members,
            _ => return Err(invalid("/filter", r#"write an object such as {"data":{"state":"paid"}}, or null"#)),
        };
        let mut filter = Self::default();
        for (name, value) in members {
            match (name.as_str(), value) {
                ("list", value) => filter.list = lists(value)?,
                ("data", Value::Object(members)) => filter.data = conditions(members)?,
                ("data", _) => return Err(invalid("/filter/data", "write an object of members and their values")),
                _ => return Err(invalid(&below("/filter", name), "the members of a filter are list and data")),
            }
        }
        Ok(filter)
    }

    /// Reads the value of the configuration's key `filter`.
    ///
    /// # Errors
    ///
    /// Returns the first fault.
    pub(crate) fn of(tree: &Tree) -> Result<Self, FilterFault> {
        Self::read(&value_of(tree))
    }

    /// Returns whether there are no conditions.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty() && self.data.is_empty()
    }

    /// Returns whether an event with this body meets the conditions. A member that the event lacks has no value.
    #[must_use]
    pub fn permits(&self, body: &Value) -> bool {
        let data = &body["data"];
        let mut names = ["route", "path"].iter().filter_map(|name| data.get(name)?.as_str());
        let is_of_list = self.list.is_empty() || names.any(|name| self.list.iter().any(|list| list == name));
        is_of_list
            && self.data.iter().all(|(name, values)| {
                let found = if name.starts_with('/') { data.pointer(name) } else { data.get(name) };
                found.is_some_and(|found| values.iter().any(|value| are_equal(found, value)))
            })
    }
}

/// Returns whether two scalars are equal. Numbers are compared by value, so 1 equals 1.0.
fn are_equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) if one.is_f64() || other.is_f64() => {
            one.as_f64().is_some() && one.as_f64() == other.as_f64()
        }
        _ => one == other,
    }
}

fn lists(value: &Value) -> Result<Vec<String>, FilterFault> {
    let place = "/filter/list";
    let mut lists = Vec::new();
    for (at, value) in scalars(value, place)?.into_iter().enumerate() {
        match value {
            Value::String(list) if !list.is_empty() => lists.push(list),
            _ => return Err(invalid(&format!("{place}/{at}"), "write the name of a route, or the path of a list")),
        }
    }
    Ok(lists)
}

fn conditions(members: &Map<String, Value>) -> Result<BTreeMap<String, Vec<Value>>, FilterFault> {
    let within = "/filter/data";
    if members.len() > MOST {
        return Err(invalid(within, "name 20 members at most"));
    }
    let mut conditions = BTreeMap::new();
    for (name, value) in members {
        let place = below(within, name);
        if name.is_empty() || name.len() > LONGEST {
            return Err(invalid(&place, "the name of a member has 1 to 256 bytes"));
        }
        if name.starts_with('/') && name.split('~').skip(1).any(|rest| !rest.starts_with(['0', '1'])) {
            return Err(invalid(&place, "this is not a JSON Pointer: write ~0 for ~, and ~1 for / in a name"));
        }
        conditions.insert(name.clone(), scalars(value, &place)?);
    }
    Ok(conditions)
}

/// Reads a scalar, or a list of scalars.
fn scalars(value: &Value, place: &str) -> Result<Vec<Value>, FilterFault> {
    let (values, is_list) = match value {
        Value::Array(values) => (values.clone(), true),
        value => (vec![value.clone()], false),
    };
    if values.is_empty() || values.len() > MOST {
        return Err(invalid(place, "write 1 to 20 values"));
    }
    for (at, value) in values.iter().enumerate() {
        let place = if is_list { format!("{place}/{at}") } else { place.to_owned() };
        match value {
            Value::Array(_) | Value::Object(_) => {
                return Err(invalid(&place, "write a scalar: only these are compared"));
            }
            Value::String(text) if text.len() > LONGEST => {
                return Err(invalid(&place, "a value has 256 bytes at most"));
            }
            _ => {}
        }
    }
    Ok(values)
}

/// Returns the JSON Pointer of a member (RFC 6901).
fn below(place: &str, name: &str) -> String {
    format!("{place}/{}", name.replace('~', "~0").replace('/', "~1"))
}

fn invalid(place: &str, detail: &'static str) -> FilterFault {
    FilterFault { place: place.to_owned(), detail }
}

fn value_of(tree: &Tree) -> Value {
    match tree {
        Tree::Null => Value::Null,
        Tree::Boolean(value) => Value::Bool(*value),
        // TOML also has numbers that JSON doesn't have, such as hexadecimal ones.
        Tree::Number(spelling) => serde_json::from_str(spelling).unwrap_or_else(|_| Value::String(spelling.clone())),
        Tree::Text(text) => Value::String(text.clone()),
        Tree::Array(values) => values.iter().map(|value| value_of(&value.value)).collect(),
        Tree::Object(members) => {
            members.iter().map(|(name, value)| (name.value.clone(), value_of(&value.value))).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_passes_if_it_meets_all_conditions() {
        let body = json!({ "type": "order.paid", "data": {
            "route": "orders", "path": "/orders", "state": "paid", "total": 10, "note": null, "a/b": true,
            "customer": { "id": 7 },
        } });
        for (filter, is_permitted) in [
            (json!(null), true),
            (json!({}), true),
            (json!({ "list": "orders" }), true),
            (json!({ "list": ["users", "/orders"] }), true),
            (json!({ "list": ["users"] }), false),
            (json!({ "data": { "state": "paid" } }), true),
            (json!({ "data": { "state": ["open", "paid"], "/customer/id": 7 } }), true),
            (json!({ "data": { "state": ["open", "paid"], "/customer/id": [8] } }), false),
            (json!({ "list": ["users"], "data": { "state": "paid" } }), false),
            (json!({ "data": { "total": 10.0, "/a~1b": true, "a/b": true, "note": null } }), true),
            (json!({ "data": { "total": "10" } }), false),
            (json!({ "data": { "customer": 7 } }), false),
            (json!({ "data": { "missing": null } }), false),
        ] {
            let read = EndpointFilter::read(&filter).unwrap();
            assert_eq!(read.permits(&body), is_permitted, "{filter}");
            let stored: EndpointFilter = serde_json::from_str(&serde_json::to_string(&read).unwrap()).unwrap();
            assert_eq!(stored, read);
        }
        let lists = EndpointFilter::read(&json!({ "list": ["orders"] })).unwrap();
        assert!(!lists.permits(&json!({ "type": "order.paid", "data": 1 })), "an event that is of no list");
    }

    #[test]
    fn a_fault_of_a_filter_has_a_place() {
        let many: Vec<usize> = (0..21).collect();
        for (filter, place) in [
            (json!("users"), "/filter"),
            (json!({ "lists": ["a"] }), "/filter/lists"),
            (json!({ "list": [] }), "/filter/list"),
            (json!({ "list": ["a", 1] }), "/filter/list/1"),
            (json!({ "data": [] }), "/filter/data"),
            (json!({ "data": { "a/b": {} } }), "/filter/data/a~1b"),
            (json!({ "data": { "a": [1, [2]] } }), "/filter/data/a/1"),
            (json!({ "data": { "a": many } }), "/filter/data/a"),
            (json!({ "data": { "/x~": 1 } }), "/filter/data/~1x~0"),
            (json!({ "data": { "": 1 } }), "/filter/data/"),
            (json!({ "data": { "a": "x".repeat(257) } }), "/filter/data/a"),
        ] {
            let fault = EndpointFilter::read(&filter).unwrap_err();
            assert_eq!(fault.place, place, "{filter}");
        }
    }
}
