//! Built-in envelopes as clients read them: the places of the items and of the way to the next page in an answer.
//!
//! The places follow from the skeletons of `config/envelopes`: the text in which the gateway writes `{links.next}` is
//! the text in which a client finds it. An answer has an envelope if it has each member that the envelope always
//! writes, and no other one beside them.

use serde_json::{Map, Value};

use crate::{config::preset_envelopes, json::Pointer};

/// An envelope, as it was recognised in an answer.
#[derive(Clone, Debug, Default)]
pub(super) struct SeenEnvelope {
    /// The array of elements.
    pub(super) items: Pointer,
    /// The item in an element.
    pub(super) item: Pointer,
    /// Elements consist of parts of items, so that the items' bytes are not in the answer.
    pub(super) takes_apart: bool,
    /// A link to the next page.
    pub(super) link: Option<Pointer>,
    /// A cursor for the next page, and its parameter.
    pub(super) cursor: Option<(Pointer, String)>,
    /// The cursor of the last item, and its parameter.
    pub(super) end_cursor: Option<(Pointer, String)>,
    /// The parameter that takes the id of the last item.
    pub(super) after_id: Option<String>,
    /// The flag that says whether more items follow.
    pub(super) more: Option<Pointer>,
    pub(super) total: Option<Pointer>,
}

/// The places of placeholders in an answer, by their names.
#[derive(Default)]
struct FoundPlaces {
    places: Vec<(String, String)>,
    /// The array of elements, and the element in the skeleton.
    items: Option<(String, Value)>,
    /// The number of parts of the skeleton with which the answer agrees.
    agreements: usize,
}

/// The placeholders that always have a value. Members with others may be left out; with `|null` they are null instead.
const CERTAIN: [&str; 9] = ["item", "count", "limit", "path", "level", "now", "has_next", "has_prev", "has_more"];

/// The depth of skeletons that are compared.
const DEPTH: usize = 8;

impl SeenEnvelope {
    /// Returns the built-in envelope of an answer and its name: of several that fit, the one that agrees in most parts.
    /// For example, `[…]` has the envelope `bare`, and an object with a member that no envelope writes has none.
    pub(super) fn find(answer: &Value) -> Option<(&'static str, Self)> {
        let fitting = preset_envelopes().filter_map(|(name, text)| {
            let preset: Value = serde_json::from_str(text).ok()?;
            let mut found = FoundPlaces::default();
            found.compare(&preset["body"], answer, String::new(), DEPTH).then_some(())?;
            let agreements = found.agreements;
            Some((agreements, name, Self::read(&preset["parameters"], &found)?))
        });
        fitting.max_by_key(|(agreements, ..)| *agreements).map(|(_, name, envelope)| (name, envelope))
    }

    fn read(parameters: &Value, found: &FoundPlaces) -> Option<Self> {
        let parameter = |role: &str| parameters[role].as_str().map(str::to_owned);
        // In such an envelope the cursor is in the body of a POST, and a walk sends GET alone.
        if ["cursor", "after"].iter().any(|role| parameter(role).is_some_and(|name| name.starts_with('/'))) {
            return None;
        }
        let place = |name: &str| {
            let text = found.places.iter().find(|(known, _)| known == name).map(|(_, place)| place)?;
            Pointer::parse(text).ok()
        };
        let (items, element) = found.items.as_ref()?;
        let item = find_item(&element[0], String::new(), DEPTH);
        Some(Self {
            items: Pointer::parse(items).ok()?,
            item: Pointer::parse(item.as_deref().unwrap_or_default()).ok()?,
            takes_apart: item.is_none(),
            link: place("links.next"),
            cursor: place("next.cursor").zip(parameter("cursor")),
            end_cursor: place("end.cursor").zip(parameter("after")),
            after_id: parameter("after_id"),
            // A walk reads forward, where both flags mean the same.
            more: place("has_next").or_else(|| place("has_more")),
            total: place("total"),
        })
    }
}

impl FoundPlaces {
    /// Compares a part of a skeleton with a part of an answer, at the place `at`. Returns whether it fits, and notes
    /// the places of placeholders.
    fn compare(&mut self, skeleton: &Value, answer: &Value, at: String, depth: usize) -> bool {
        match skeleton {
            _ if depth == 0 => false,
            Value::Object(members) => answer.as_object().is_some_and(|own| self.object(members, own, &at, depth - 1)),
            Value::Array(_) if holds_items(skeleton) => {
                self.agreements += 1;
                self.items = Some((at, skeleton.clone()));
                answer.is_array()
            }
            Value::Array(elements) => {
                for element in elements {
                    // Elements with unknown facts are left out, so that a link is found by its relation and not by its
                    // number.
                    let (Some(relation), Some(Value::String(text))) = (element["rel"].as_str(), element.get("href"))
                    else {
                        continue;
                    };
                    self.note(text, format!("{at}/[rel={relation}]/href"));
                }
                answer.is_array()
            }
            Value::String(text) => match placeholder(text) {
                Some(name) => {
                    let fits = is_kind(name, answer);
                    self.agreements += usize::from(fits);
                    self.note(text, at);
                    fits
                }
                None => {
                    self.agreements += 1;
                    // A text with values in it differs from page to page.
                    text.contains('{') || answer == skeleton
                }
            },
            other => answer == other,
        }
    }

    /// Compares an object: it must have each member that the envelope always writes, and no member beside those of the
    /// skeleton.
    fn object(&mut self, members: &Map<String, Value>, own: &Map<String, Value>, at: &str, depth: usize) -> bool {
        let mut known = 0;
        for (name, part) in members {
            let place = |name: &str| format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
            if name == "{collection}" {
                // The items are in the array whose name, that of the collection, is not in the skeleton.
                let is_own = |(name, value): &(&String, &Value)| value.is_array() && !members.contains_key(*name);
                let Some((name, value)) = own.iter().find(is_own) else { return false };
                known += 1;
                if !self.compare(part, value, place(name), depth) {
                    return false;
                }
            } else if let Some(value) = own.get(name) {
                known += 1;
                if !self.compare(part, value, place(name), depth) {
                    return false;
                }
            } else if is_optional(part, depth) {
                // A later page may have this member, so its place is noted.
                self.absent(part, place(name), depth);
            } else {
                return false;
            }
        }
        // The first page of another service must not be taken for a whole list. Test: `envelopes_are_told_apart`.
        known == own.len()
    }

    /// Notes the places of a part that this answer leaves out.
    fn absent(&mut self, part: &Value, at: String, depth: usize) {
        match part {
            Value::String(text) => self.note(text, at),
            Value::Object(members) if depth > 0 => {
                for (name, part) in members {
                    self.absent(part, format!("{at}/{name}"), depth - 1);
                }
            }
            _ => {}
        }
    }

    fn note(&mut self, text: &str, at: String) {
        if let Some(name) = placeholder(text) {
            self.places.push((name.to_owned(), at));
        }
    }
}

/// Returns the name of the placeholder that a text consists of.
fn placeholder(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('{')?.strip_suffix('}')?;
    let name = inner.split(['|', ':']).next().unwrap_or(inner);
    (!inner.contains('{')).then_some(name)
}

/// Returns whether a value can be that of a placeholder.
fn is_kind(name: &str, value: &Value) -> bool {
    match name {
        "has_next" | "has_prev" | "has_more" => value.is_boolean(),
        // With `|null`, a total that is not known is null.
        "total" | "pages" | "page" | "limit" | "count" => value.is_u64() || value.is_null(),
        name if name.starts_with("links.") || name.ends_with(".cursor") => value.is_string() || value.is_null(),
        _ => true,
    }
}

/// Returns whether the gateway leaves out a part whose facts are unknown.
fn is_optional(part: &Value, depth: usize) -> bool {
    match part {
        Value::String(text) => {
            placeholder(text).is_some_and(|name| !CERTAIN.contains(&name)) && !text.contains("|null")
        }
        Value::Object(members) => depth > 0 && members.values().all(|part| is_optional(part, depth - 1)),
        _ => false,
    }
}

fn holds_items(part: &Value) -> bool {
    part.as_array().is_some_and(|elements| elements.len() == 1) && part.to_string().contains("{item")
}

/// Returns the place of the item in an element of a skeleton; `None` where elements consist of parts of items.
fn find_item(element: &Value, at: String, depth: usize) -> Option<String> {
    match element {
        Value::String(text) if text == "{item}" => Some(at),
        Value::Object(members) if depth > 0 => {
            members.iter().find_map(|(name, part)| find_item(part, format!("{at}/{name}"), depth - 1))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn name(answer: &Value) -> Option<&'static str> {
        SeenEnvelope::find(answer).map(|(name, _)| name)
    }

    #[test]
    fn envelopes_are_told_apart() {
        let links = json!({ "self": "/a", "first": "/a", "prev": null, "next": "/b", "last": null });
        for (answer, expected) in [
            (json!({ "users": [1], "nextPageToken": "x", "totalSize": 3 }), Some("aip")),
            (json!({ "users": [1] }), Some("aip")),
            (json!([1]), Some("bare")),
            (json!({ "count": 3, "next": "/b", "previous": null, "results": [1] }), Some("drf")),
            (
                json!({ "_links": { "self": { "href": "/a" } }, "_embedded": { "users": [] }, "page": { "size": 2 } }),
                Some("hal"),
            ),
            (json!({ "value": [1] }), Some("odata")),
            (
                json!({ "data": [1], "pageInfo": { "hasNextPage": true, "hasPreviousPage": false, "startCursor": "a", "endCursor": "b", "totalCount": null } }),
                Some("page-info"),
            ),
            (json!({ "object": "list", "url": "/a", "has_more": true, "data": [{ "id": 1 }] }), Some("stripe")),
            (
                json!({ "data": [1], "pagination": { "total": 3, "pageSize": 2, "nextCursor": "x", "prevCursor": null, "hasMore": true }, "links": links }),
                Some("standard"),
            ),
            // Members that no envelope writes: the first page of another service must not be taken for the whole list.
            (json!({ "users": [1], "page": 1, "pages": 7 }), None),
            (json!({ "object": "page", "url": "/a", "has_more": true, "data": [1] }), None),
        ] {
            assert_eq!(name(&answer), expected, "{answer}");
        }
    }

    #[test]
    fn places_are_those_of_the_skeleton() {
        let answer = json!({ "edges": [{ "cursor": "c", "node": {} }], "pageInfo": { "hasNextPage": true,
            "hasPreviousPage": false, "startCursor": null, "endCursor": "c" }, "totalCount": 4 });
        let (_, seen) = SeenEnvelope::find(&answer).unwrap();
        assert_eq!((seen.items.to_string(), seen.item.to_string()), ("/edges".to_owned(), "/node".to_owned()));
        assert_eq!(seen.end_cursor.unwrap().1, "after");
        let answer = json!({ "type": "FeatureCollection", "timeStamp": "t", "numberReturned": 1, "features": [{}],
            "links": [{ "rel": "next", "href": "/b" }] });
        assert_eq!(SeenEnvelope::find(&answer).unwrap().1.link.unwrap().to_string(), "/links/[rel=next]/href");
    }
}
