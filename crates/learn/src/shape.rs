//! The shape of a list's answers: the place of the items, their ids, and the facts in addition to them.

pub(super) mod names;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::prober::answer::{SeenAnswer, step, step_into, whole};
use cursorgate_config::diagnostic::nearest;

/// The maximum depth at which arrays and facts are searched.
const DEPTH: usize = 4;

/// The maximum depth of fields within an item.
const FIELD_DEPTH: usize = 3;

/// The largest number of elements of an array that are searched for the array of the items.
const PARTS: usize = 4;

/// The largest number of facts and of fields that are collected.
const MOST: usize = 200;

/// The places of the items and their ids in the answers of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListShape {
    /// The array of items, as a JSON Pointer.
    pub items: String,
    /// The place of the item in an element of the array, as a JSON Pointer; empty if the element is the item.
    pub item: String,
    /// The place of the id in an element, as a JSON Pointer; `None` without an id.
    pub id: Option<String>,
}

/// A value of an answer that is not in the items.
#[derive(Clone, Debug)]
pub(super) struct Fact {
    /// The place: a JSON Pointer, `header:NAME`, `link:REL` or `content-range:total`.
    pub(super) place: String,
    pub(super) value: Value,
}

impl Fact {
    /// Returns whether the last step of the place is one of these names, which are in the form of [`names::plain`].
    pub(super) fn is_named(&self, names: &[&str]) -> bool {
        names.contains(&names::last_step(&self.place).as_str())
    }
}

impl ListShape {
    /// Finds the list in an answer: the non-empty array that most resembles a list. Returns `None` if there is no such
    /// array.
    pub(super) fn find(seen: &SeenAnswer) -> Option<Self> {
        Self::find_in(seen.json.as_ref()?)
    }

    /// Finds the list in a JSON document: the non-empty array that most resembles a list. Returns `None` if there is no
    /// such array.
    #[must_use]
    pub fn find_in(document: &Value) -> Option<Self> {
        let mut arrays = Vec::new();
        find_arrays(document, String::new(), 0, &mut arrays);
        let best = arrays.into_iter().max_by_key(|(pointer, elements)| merit(pointer, elements))?;
        let (items, elements) = best;
        if !elements.iter().all(Value::is_object) {
            // Strings and numbers are their own ids if they all differ.
            let id = is_unique(elements.iter().map(Some)).then(String::new);
            return Some(Self { items, item: String::new(), id });
        }
        let item = wrapped(elements);
        let rows: Vec<&Value> = elements.iter().filter_map(|element| step_into(element, &item)).collect();
        let id = find_id(&rows).map(|id| format!("{item}{id}"));
        Some(Self { items, item, id })
    }

    /// Returns the elements of the list in an answer; `None` if the answer is an error or has no array at the place. An
    /// object with an id in place of the array is the only element, as from services that convert XML.
    pub(super) fn elements<'s>(&self, seen: &'s SeenAnswer) -> Option<&'s [Value]> {
        // An error may contain an array of faults, which isn't the list, so errors have no shape.
        if !seen.is_success() {
            return None;
        }
        match step_into(seen.json.as_ref()?, &self.items)? {
            Value::Array(elements) => Some(elements),
            single if self.is_element(single) => Some(std::slice::from_ref(single)),
            _ => None,
        }
    }

    /// Returns whether an object has an id where elements have it.
    fn is_element(&self, value: &Value) -> bool {
        let id = self.id.as_ref().filter(|id| !id.is_empty()).and_then(|id| step_into(value, id));
        id.is_some_and(|id| id.is_string() || id.is_number())
    }

    /// Returns the word for an object at the place of the array in an answer, as `response.items_object` of a dialect
    /// takes it; `None` if there is an array or nothing.
    pub(super) fn object_word(&self, seen: &SeenAnswer) -> Option<&'static str> {
        let found = seen.json.as_ref().and_then(|json| step_into(json, &self.items)).filter(|_| seen.is_success())?;
        let is_single = || found.is_object() && self.is_element(found);
        if seen.is_indexed(&self.items) { Some("values") } else { is_single().then_some("single") }
    }

    /// Returns the number of elements of the list in an answer; 0 if the answer has no list.
    pub(super) fn count(&self, seen: &SeenAnswer) -> usize {
        self.elements(seen).map_or(0, <[_]>::len)
    }

    /// Returns strings that identify the items of an answer: the JSON of each id, or of the whole element if it has no
    /// id. Returns `None` if the answer has no list.
    pub(super) fn identities(&self, seen: &SeenAnswer) -> Option<Vec<String>> {
        Some(self.elements(seen)?.iter().map(|element| self.identity(element)).collect())
    }

    pub(super) fn identity(&self, element: &Value) -> String {
        let id = self.id.as_ref().and_then(|id| step_into(element, id));
        id.unwrap_or(element).to_string()
    }

    /// Returns the fields of the items as JSON Pointers within elements, in the order of their first occurrence.
    pub(super) fn fields(&self, elements: &[Value]) -> Vec<String> {
        let mut found = Vec::new();
        // An item may lack members that other items have, so several items are read.
        for element in elements.iter().take(50) {
            if let Some(item) = step_into(element, &self.item) {
                find_fields(item, &self.item, 0, &mut found);
            }
        }
        // An element may have fields in addition to the item, such as its score.
        if !self.item.is_empty()
            && let Some(Value::Object(members)) = elements.first()
        {
            let beside = members.iter().filter(|(_, value)| is_scalar(value)).map(|(name, _)| step(name));
            found.extend(beside);
        }
        found
    }

    /// Returns the place of the total if `is_total` is true. Otherwise returns the place of a flag that shows whether
    /// more items follow. Returns `None` if the answer has no such fact.
    pub(super) fn fact(&self, seen: &SeenAnswer, is_total: bool) -> Option<String> {
        let count = u64::try_from(self.elements(seen)?.len()).unwrap_or(u64::MAX);
        let fits = |fact: &Fact| {
            let step = names::last_step(&fact.place);
            if is_total {
                names::is_total(&step) && whole(&fact.value).is_some_and(|total| total >= count)
            } else {
                fact.value.is_boolean()
                    && (names::MORE.contains(&step.as_str()) || names::LAST.contains(&step.as_str()))
            }
        };
        // The number of the page's items may be next to the total, so the largest number is chosen. Of equal numbers,
        // the first one is chosen.
        let facts = self.facts(seen).into_iter().rev().filter(fits);
        facts.max_by_key(|fact| whole(&fact.value)).map(|fact| fact.place)
    }

    /// Returns the field whose name is most similar to a misspelt one, for suggestions; `None` if no field is similar.
    pub(super) fn nearest(name: &str, fields: &[String]) -> Option<String> {
        let alike = fields.iter().find(|field| names::last_step(field) == names::plain(name)).map(String::as_str);
        let near = alike.or_else(|| nearest(&format!("/{name}"), fields.iter().map(String::as_str)));
        near.map(|near| near.trim_start_matches('/').to_owned())
    }

    /// Returns the values that are not in the items, with their places.
    pub(super) fn facts(&self, seen: &SeenAnswer) -> Vec<Fact> {
        let mut found = Vec::new();
        if let Some(json) = &seen.json {
            find_facts(json, String::new(), &self.items, 0, &mut found);
        }
        for relation in ["next", "prev", "previous", "last", "first"] {
            // A link may be on each page, with a parameter that tells whether the linked page has items. Test:
            // `a_link_whose_parameter_tells_the_end_is_learnt`.
            let places = [format!("link:{relation};results=true"), format!("link:{relation}")];
            found.extend(places.into_iter().find_map(|place| Some(Fact { value: seen.at(&place)?, place })));
        }
        let place = "content-range:total".to_owned();
        found.extend(seen.at(&place).map(|value| Fact { place, value }));
        for name in seen.headers.keys().filter(|name| !IRRELEVANT.contains(&name.as_str())) {
            let place = format!("header:{}", header_name(name.as_str()));
            found.extend(seen.at(&place).map(|value| Fact { place, value }));
        }
        found.truncate(MOST);
        found
    }
}

/// Headers whose values aren't facts about a list.
const IRRELEVANT: [&str; 16] = [
    "content-length",
    "date",
    "age",
    "content-range",
    "link",
    "etag",
    "server",
    "vary",
    "content-type",
    "keep-alive",
    "connection",
    "cache-control",
    "expires",
    "x-request-id",
    "x-runtime",
    "set-cookie",
];

/// Returns the usual spelling of a header's name. Example: `X-Total-Count` for `x-total-count`.
pub(crate) fn header_name(name: &str) -> String {
    let capital = |part: &str| {
        let mut letters = part.chars();
        letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
    };
    let upper =
        name.strip_prefix("x-wp-").map(|rest| format!("X-WP-{}", rest.split('-').map(capital).collect::<String>()));
    match upper {
        Some(_) if name == "x-wp-totalpages" => "X-WP-TotalPages".to_owned(),
        Some(upper) => upper,
        None => name.split('-').map(capital).collect::<Vec<_>>().join("-"),
    }
}

fn is_scalar(value: &Value) -> bool {
    !value.is_array() && !value.is_object()
}

fn find_arrays<'v>(value: &'v Value, at: String, depth: usize, found: &mut Vec<(String, &'v [Value])>) {
    match value {
        // An empty array does not show whether it is the list, so it is left out.
        Value::Array(elements) if !elements.is_empty() => {
            // Facts and items may be two elements of an array, as in `[{"page": 1}, [items]]`. Test:
            // `items_beside_facts_in_an_array_are_learnt`.
            for (index, inner) in elements.iter().take(PARTS).enumerate() {
                let is_list = inner.as_array().is_some_and(|inner| inner.iter().all(Value::is_object));
                if !is_list {
                    continue;
                }
                find_arrays(inner, format!("{at}/{index}"), depth + 1, found);
            }
            found.push((at, elements));
        }
        Value::Object(members) if depth < DEPTH => {
            for (name, member) in members {
                find_arrays(member, format!("{at}{}", step(name)), depth + 1, found);
            }
        }
        _ => {}
    }
}

/// Returns a score that is largest for the list. In this order of importance, the list's elements are objects other
/// than links and have ids, and its array has a usual name, is long, and is not deep. Laravel's `links` and Spring's
/// `sort` are arrays of objects too, but without ids.
fn merit(pointer: &str, elements: &[Value]) -> (bool, bool, bool, usize, std::cmp::Reverse<usize>) {
    let objects = elements.iter().all(Value::is_object);
    let rows: Vec<&Value> = elements.iter().collect();
    let wrapped_item = if objects { wrapped(elements) } else { String::new() };
    let items: Vec<&Value> = rows.iter().filter_map(|row| step_into(row, &wrapped_item)).collect();
    let has_id = objects && find_id(&items).is_some();
    let is_relations = elements.iter().all(|element| element.get("rel").is_some() || element.get("label").is_some());
    let name = names::last_step(pointer);
    let is_usual = pointer.is_empty() || names::ITEMS.iter().any(|usual| names::plain(usual) == name);
    (objects && !is_relations, has_id, is_usual, elements.len(), std::cmp::Reverse(pointer.matches('/').count()))
}

/// Returns the pointer to the item within a usual wrapper, such as `node` of an edge or `resource` of an entry; an
/// empty pointer if the elements are the items.
fn wrapped(elements: &[Value]) -> String {
    const WRAPPERS: [&str; 5] = ["node", "resource", "_source", "item", "data"];
    let is_in = |name: &&&str| elements.iter().all(|element| element.get(**name).is_some_and(Value::is_object));
    let has_id = elements.iter().all(|element| element.get("id").is_some());
    // An element with its own id is the item, even if it has a member such as `data`.
    WRAPPERS.iter().find(is_in).filter(|_| !has_id).map(|name| step(name)).unwrap_or_default()
}

fn is_unique<'v>(values: impl Iterator<Item = Option<&'v Value>>) -> bool {
    let mut known = BTreeSet::new();
    for value in values {
        let Some(Value::Number(_) | Value::String(_)) = value else { return false };
        if !known.insert(value.map(Value::to_string)) {
            return false;
        }
    }
    true
}

/// Returns the pointer to a member whose values all differ, and which therefore identifies items; `None` if there is
/// none. Tries usual names first, then names that end with `id` or `nr`, then the same in nested objects. With at
/// least five items, finally tries any string or whole number.
fn find_id(rows: &[&Value]) -> Option<String> {
    let first = rows.first()?.as_object()?;
    let is_id = |pointer: &str| is_unique(rows.iter().map(|row| step_into(row, pointer)));
    let usual = names::IDS.iter().map(|name| step(name)).find(|pointer| is_id(pointer));
    let named = |members: &Map<String, Value>, at: &str| {
        let like_a_key = |name: &&String| {
            let plain = names::plain(name);
            plain.ends_with("id")
                || names::IDS.iter().any(|usual| plain == names::plain(usual))
                || plain.ends_with("nr")
        };
        members.keys().filter(like_a_key).map(|name| format!("{at}{}", step(name))).find(|pointer| is_id(pointer))
    };
    let nested = || {
        let objects = first.iter().filter_map(|(name, value)| Some((step(name), value.as_object()?)));
        objects.into_iter().find_map(|(at, members)| named(members, &at))
    };
    let any = || {
        // With few rows, the values of many members differ by chance, so at least five rows are needed.
        let candidates = first.iter().filter(|(_, value)| value.is_string() || value.is_u64());
        candidates.map(|(name, _)| step(name)).find(|pointer| rows.len() >= 5 && is_id(pointer))
    };
    usual.or_else(|| named(first, "")).or_else(nested).or_else(any)
}

fn find_fields(item: &Value, at: &str, depth: usize, found: &mut Vec<String>) {
    let Value::Object(members) = item else { return };
    for (name, value) in members {
        let pointer = format!("{at}{}", step(name));
        if value.is_object() && depth + 1 < FIELD_DEPTH {
            find_fields(value, &pointer, depth + 1, found);
        } else if is_scalar(value) && found.len() < MOST && !found.contains(&pointer) {
            found.push(pointer);
        }
    }
}

fn find_facts(value: &Value, at: String, items: &str, depth: usize, found: &mut Vec<Fact>) {
    if at == items && value.is_array() || found.len() >= MOST {
        return;
    }
    match value {
        Value::Object(members) if depth < DEPTH => {
            for (name, member) in members {
                find_facts(member, format!("{at}{}", step(name)), items, depth + 1, found);
            }
        }
        Value::Array(elements) if items.starts_with(&format!("{at}/")) => {
            for (index, element) in elements.iter().take(PARTS).enumerate() {
                find_facts(element, format!("{at}/{index}"), items, depth + 1, found);
            }
        }
        Value::Array(elements) if depth < DEPTH => {
            for element in elements.iter().take(16) {
                // The element is addressed by its relation, because its index may differ on other pages.
                if let Some(relation) = element.get("rel").and_then(Value::as_str) {
                    find_facts(element, format!("{at}/[rel={relation}]"), items, depth + 1, found);
                }
            }
        }
        scalar if is_scalar(scalar) => found.push(Fact { place: at, value: scalar.clone() }),
        _ => {}
    }
}
