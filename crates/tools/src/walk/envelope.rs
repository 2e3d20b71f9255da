//! Built-in envelopes as clients read them: the places of the items, and of the link or the cursor of the next page, in
//! an answer.
//!
//! The places are taken from the skeletons of `config/envelopes`: where the gateway writes `{links.next}`, a client
//! finds the link. An answer has an envelope if it has all members that the envelope always writes, and none that the
//! envelope never writes.

use serde_json::{Map, Value};

use cursorgate_config::preset_envelopes;
use cursorgate_core::json::Pointer;

/// An envelope that was recognised in an answer.
#[derive(Clone, Debug, Default)]
pub(super) struct SeenEnvelope {
    /// The place of the array of elements.
    pub(super) items: Pointer,
    /// The place of the item in an element.
    pub(super) item: Pointer,
    /// True if elements consist of parts of items, so the bytes of items are not in the answer.
    pub(super) takes_apart: bool,
    /// The place of a link to the next page; `None` if the envelope has no such link.
    pub(super) link: Option<Pointer>,
    /// The place of a cursor for the next page, and the parameter for the cursor; `None` if the envelope has none.
    pub(super) cursor: Option<(Pointer, String)>,
    /// The place of the last item's cursor, and the parameter for the cursor; `None` if the envelope has none.
    pub(super) end_cursor: Option<(Pointer, String)>,
    /// The parameter that takes the id of the last item; `None` if the convention has none.
    pub(super) after_id: Option<String>,
    /// The place of the flag that shows whether more items follow; `None` if the envelope has none.
    pub(super) more: Option<Pointer>,
    pub(super) total: Option<Pointer>,
}

/// The places of placeholders in an answer.
#[derive(Default)]
struct FoundPlaces {
    places: Vec<(String, String)>,
    /// The place of the array of elements, and its part of the skeleton.
    items: Option<(String, Value)>,
    /// The number of parts of the skeleton that match the answer.
    agreements: usize,
}

/// The placeholders that always have a value. Members with other placeholders may be missing, or null with `|null`.
const CERTAIN: [&str; 9] = ["item", "count", "limit", "path", "level", "now", "has_next", "has_prev", "has_more"];

/// The maximum depth to which skeletons are compared.
const DEPTH: usize = 8;

impl SeenEnvelope {
    /// Returns the name of the built-in envelope of an answer, and its places. Of several matching envelopes, the one
    /// with the most matching parts is returned. Example: `[…]` has the envelope `bare`, and an object with a member
    /// that no envelope writes has no envelope.
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
        // If the cursor is sent in a body, the envelope is for POST, and a walk sends only GET.
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
            // A walk reads forward, so both flags mean the same.
            more: place("has_next").or_else(|| place("has_more")),
            total: place("total"),
        })
    }
}

impl FoundPlaces {
    /// Compares a part of a skeleton with the part of an answer at the place `at`. Returns whether they match, and
    /// records the places of placeholders.
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
                    // The gateway leaves out elements with unknown facts, so a link is found by its relation and not by
                    // its index.
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
                    // A text that contains placeholders differs from page to page, so it is not compared.
                    text.contains('{') || answer == skeleton
                }
            },
            other => answer == other,
        }
    }

    /// Returns whether an object matches a part of the skeleton: it must have all members that the envelope always
    /// writes, and no members that are not in the skeleton.
    fn object(&mut self, members: &Map<String, Value>, own: &Map<String, Value>, at: &str, depth: usize) -> bool {
        let mut known = 0;
        for (name, part) in members {
            let place = |name: &str| format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
            if name == "{collection}" {
                // The items are in a member with the name of the collection: an array whose name is not in the
                // skeleton.
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
                // A later page may have this member, so its place is recorded.
                self.absent(part, place(name), depth);
            } else {
                return false;
            }
        }
        // More members show another format, perhaps with its own pages. Its first page would otherwise be taken for the
        // whole list. Test: `built_in_envelopes_are_recognised_by_their_answers`.
        known == own.len()
    }

    /// Records the places of placeholders in a part that this answer leaves out.
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

/// Returns the name of the placeholder that is the whole text; `None` for other texts.
fn placeholder(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('{')?.strip_suffix('}')?;
    let name = inner.split(['|', ':']).next().unwrap_or(inner);
    (!inner.contains('{')).then_some(name)
}

/// Returns whether a placeholder can have this value.
fn is_kind(name: &str, value: &Value) -> bool {
    match name {
        "has_next" | "has_prev" | "has_more" => value.is_boolean(),
        // An unknown total is null with `|null`, so null is also accepted.
        "total" | "pages" | "page" | "limit" | "count" => value.is_u64() || value.is_null(),
        name if name.starts_with("links.") || name.ends_with(".cursor") => value.is_string() || value.is_null(),
        _ => true,
    }
}

/// Returns whether the gateway leaves out a part if its facts are unknown.
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

/// Returns the place of the item in an element of a skeleton; `None` if elements consist of parts of items.
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
    fn built_in_envelopes_are_recognised_by_their_answers() {
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
            // These answers have members that no envelope writes. The first page of another service must not be taken
            // for the whole list.
            (json!({ "users": [1], "page": 1, "pages": 7 }), None),
            (json!({ "object": "page", "url": "/a", "has_more": true, "data": [1] }), None),
        ] {
            assert_eq!(name(&answer), expected, "{answer}");
        }
    }

    #[test]
    fn places_in_an_answer_follow_the_skeleton_of_its_envelope() {
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
