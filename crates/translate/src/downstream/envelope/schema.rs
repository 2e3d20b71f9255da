//! JSON Schemas (2020-12, <https://json-schema.org/draft/2020-12/schema>) of an envelope's bodies, derived from the
//! same skeleton as the bodies, with the same rules for optional parts.

use super::places::mentions_item;
use crate::downstream::{
    problem::Code,
    render::{
        facts::{Placeholder, Presence, Scope, Slot},
        placeholder::{PlaceholderText, TextPart, ValueForm},
        skeleton::PartContent,
    },
};
use cursorgate_config::{
    diagnostic::{Diagnostics, Located},
    tree::{LocatedTree, Tree},
};
use cursorgate_core::json::{Document, Pointer};

/// Returns the schema of a page. `item` is the schema of an item. `echoed` is the schema of the request's body, whose
/// values the page may repeat; `None` if it isn't known.
#[must_use]
pub fn of_body(body: &LocatedTree, collection: &str, item: &Document, echoed: Option<&Document>) -> Document {
    SchemaReader { collection, scopes: &[Scope::Page], item, echoed, codes: &[] }.node(body).schema
}

/// Returns the schema of an error body with one of these codes.
#[must_use]
pub fn of_error(error: &LocatedTree, collection: &str, codes: &[&str]) -> Document {
    SchemaReader { collection, scopes: &[Scope::Error], item: &any(), echoed: None, codes }.node(error).schema
}

/// Returns the schema of a problem's code. As a component of its own, it becomes one type in generated clients.
#[must_use]
pub fn of_problem_code() -> Document {
    let codes = Document::texts(Code::ALL.iter().map(|code| code.as_str()));
    string().with("description", "The code of a problem: stable, to be switched on".into()).with("enum", codes)
}

/// Returns the schema of a problem document (RFC 9457) of the gateway. `code` is a reference to the schema of the
/// problem's code.
#[must_use]
pub fn of_problem(code: &str) -> Document {
    let one_of = |name: &str, text: &str| (name.to_owned(), string().with("description", text.into()));
    let properties = vec![
        (
            "type".to_owned(),
            formatted("uri-reference")
                .with("description", "`problem_types` followed by the code, or about:blank".into()),
        ),
        one_of("title", "The meaning of the code, the same in every case"),
        ("status".to_owned(), integer(Some(100))),
        ("code".to_owned(), Document::object([("$ref", code.into())])),
        one_of("detail", "The fault in this request, its place, and what to do"),
        one_of("parameter", "The parameter at fault"),
        (
            "restart".to_owned(),
            formatted("uri-reference").with("description", "The first page of the same list".into()),
        ),
        (
            "nearest".to_owned(),
            formatted("uri-reference").with("description", "The page nearest to the place that was lost".into()),
        ),
        ("maxLimit".to_owned(), integer(Some(1))),
        ("differs".to_owned(), list(string())),
        ("allowed".to_owned(), list(string())),
        one_of("requestId", "The id under which the gateway's log has the rest"),
        ("retryable".to_owned(), kind("boolean")),
    ];
    let required = ["type", "title", "status", "code", "detail", "requestId", "retryable"];
    kind("object").with("properties", Document::Object(properties)).with("required", Document::texts(required))
}

/// Returns the schema that accepts everything.
#[must_use]
pub fn any() -> Document {
    Document::Object(Vec::new())
}

/// Returns `{ "type": NAME }`.
#[must_use]
pub fn kind(name: &str) -> Document {
    Document::object([("type", name.into())])
}

/// Returns the schema of an integer of at least `least`; of any integer if `least` is `None`.
#[must_use]
pub fn integer(least: Option<u32>) -> Document {
    let integer = kind("integer");
    match least {
        Some(least) => integer.with("minimum", least.into()),
        None => integer,
    }
}

fn string() -> Document {
    kind("string")
}

fn formatted(format: &str) -> Document {
    string().with("format", format.into())
}

fn list(items: Document) -> Document {
    kind("array").with("items", items)
}

/// A part of a skeleton: its schema, whether it is always present, and its content.
struct SchemaPart {
    schema: Document,
    certain: bool,
    says: PartContent,
}

impl SchemaPart {
    fn literal(schema: Document) -> Self {
        Self { schema, certain: true, says: PartContent::Literals }
    }
}

struct SchemaReader<'a> {
    collection: &'a str,
    /// The scopes of placeholders; [`Scope::Item`] is added inside an array of items.
    scopes: &'static [Scope],
    item: &'a Document,
    /// The schema of the request's body, parts of which are repeated; `None` if it isn't known.
    echoed: Option<&'a Document>,
    codes: &'a [&'a str],
}

impl SchemaReader<'_> {
    fn node(&self, tree: &LocatedTree) -> SchemaPart {
        match &tree.value {
            Tree::Null => SchemaPart::literal(kind("null")),
            Tree::Boolean(flag) => SchemaPart::literal(constant((*flag).into())),
            Tree::Number(spelling) => SchemaPart::literal(constant(Document::Number(spelling.clone()))),
            Tree::Text(text) => self.text(text, tree),
            // The array is present even without items, so it is required. Test: `optional_parts_are_not_required`.
            Tree::Array(elements) if self.scopes == [Scope::Page] && elements.iter().any(mentions_item) => {
                let within = SchemaReader { scopes: &[Scope::Page, Scope::Item], ..*self };
                let element = elements.first().map_or_else(any, |element| within.node(element).schema);
                SchemaPart { schema: list(element), certain: true, says: PartContent::Facts }
            }
            Tree::Array(elements) => {
                let parts: Vec<SchemaPart> = elements.iter().map(|element| self.node(element)).collect();
                let (certain, says) = whole(&parts);
                let mut schemas: Vec<Document> = Vec::with_capacity(parts.len());
                for SchemaPart { schema, .. } in parts {
                    if !schemas.contains(&schema) {
                        schemas.push(schema);
                    }
                }
                let items = match schemas.len() {
                    // An array that is empty in the skeleton is empty in every response, so no element is valid.
                    0 => Document::Boolean(false),
                    1 => schemas.swap_remove(0),
                    _ => Document::object([("anyOf", schemas.into())]),
                };
                SchemaPart { schema: list(items), certain, says }
            }
            Tree::Object(members) => {
                let named = |(name, value): &(Located<String>, LocatedTree)| {
                    let name =
                        self.parsed(&name.value, value, &[]).map_or_else(String::new, |(name, _)| name.literal());
                    (name, self.node(value))
                };
                let (names, parts): (Vec<String>, Vec<SchemaPart>) = members.iter().map(named).unzip();
                let (certain, says) = whole(&parts);
                // If only one part has facts, the object is rendered only with this part, so the part is required.
                let has_one = parts.iter().filter(|part| part.says != PartContent::Literals).count() == 1;
                let required = names.iter().zip(&parts).filter(|(_, part)| part.certain || has_one);
                let required: Vec<&str> = required.map(|(name, _)| name.as_str()).collect();
                let required = (!required.is_empty()).then(|| Document::texts(required));
                let properties = names.into_iter().zip(parts.into_iter().map(|part| part.schema)).collect();
                let object = kind("object").with("properties", Document::Object(properties));
                let schema = match required {
                    Some(required) => object.with("required", required),
                    None => object,
                };
                SchemaPart { schema, certain, says }
            }
        }
    }

    fn text(&self, text: &str, tree: &LocatedTree) -> SchemaPart {
        let Some((read, requests)) = self.parsed(text, tree, self.scopes) else { return SchemaPart::literal(any()) };
        let certain = matches!(read.presence(), Presence::Always);
        let schema = match read.parts[..] {
            [TextPart::Value(_, ValueForm::Text)] => string(),
            [TextPart::Value(Placeholder { slot: Slot::Request(_), .. }, _)] => self.echo(requests.first()),
            [TextPart::Value(placeholder, _)] => self.slot(placeholder.slot),
            _ if read.parts.iter().all(|part| matches!(part, TextPart::Literal(_))) => {
                return SchemaPart::literal(constant(read.literal().into()));
            }
            _ => string(),
        };
        SchemaPart { schema: if read.or_null { or_null(schema) } else { schema }, certain, says: PartContent::Facts }
    }

    /// Parses a text of the skeleton. Also returns the places in the request's body whose values the text repeats.
    /// Returns `None` if the text has faults, which a compiled skeleton doesn't have.
    fn parsed(&self, text: &str, tree: &LocatedTree, scopes: &[Scope]) -> Option<(PlaceholderText, Vec<Pointer>)> {
        let mut requests = Vec::new();
        let read =
            PlaceholderText::parse(text, tree.at, self.collection, scopes, &mut requests, &mut Diagnostics::default())?;
        Some((read, requests))
    }

    /// Returns the schema of a value that is repeated from this place in the request's body.
    fn echo(&self, place: Option<&Pointer>) -> Document {
        let names = place.and_then(Pointer::names).unwrap_or_default();
        let within = |schema: &'_ Document, name: &str| schema.member("properties")?.member(name).cloned();
        let known = self
            .echoed
            .and_then(|echoed| names.into_iter().try_fold(echoed.clone(), |schema, name| within(&schema, name)));
        // A request may have members that its description doesn't name, so any value is valid for them.
        known.unwrap_or_else(any)
    }

    fn slot(&self, slot: Slot) -> Document {
        match slot {
            Slot::Item => self.item.clone(),
            Slot::ItemFields | Slot::ItemReserved => kind("object"),
            Slot::ItemId | Slot::Request(_) => any(),
            Slot::Count | Slot::Total | Slot::TotalAtLeast | Slot::Page | Slot::Pages => integer(Some(0)),
            Slot::Limit | Slot::MaxLimit => integer(Some(1)),
            Slot::Level => string().with("enum", Document::texts(LEVELS)),
            Slot::Now => formatted("date-time"),
            Slot::HasNext | Slot::HasPrev | Slot::HasMore | Slot::Retryable => kind("boolean"),
            Slot::LinkSelf | Slot::LinkFirst | Slot::LinkPrev | Slot::LinkNext | Slot::LinkLast => {
                formatted("uri-reference")
            }
            Slot::Restart | Slot::Nearest => formatted("uri-reference"),
            Slot::Status => integer(Some(100)),
            Slot::Code => string().with("enum", Document::texts(self.codes.iter().copied())),
            Slot::Reason => {
                let reasons = self.codes.iter().map(|code| code.to_ascii_uppercase());
                string().with("enum", Document::texts(reasons))
            }
            Slot::Path
            | Slot::Type
            | Slot::Phrase
            | Slot::ItemCursor
            | Slot::NextCursor
            | Slot::PrevCursor
            | Slot::StartCursor
            | Slot::EndCursor
            | Slot::Title
            | Slot::Detail
            | Slot::RequestId
            | Slot::Parameter => string(),
        }
    }
}

/// Returns whether an object or array of these parts is always present, and its content, by the rules of the skeleton's
/// compiler.
fn whole(parts: &[SchemaPart]) -> (bool, PartContent) {
    let says = PartContent::of(parts.iter().map(|part| part.says));
    let certain =
        says == PartContent::Literals || parts.iter().any(|part| part.certain && part.says != PartContent::Literals);
    (certain, says)
}

/// The levels of pages, as clients read them.
pub const LEVELS: [&str; 4] = ["exact", "checked", "anchored", "positional"];

fn constant(value: Document) -> Document {
    Document::object([("const", value)])
}

/// Widens a schema to accept null. The schema that accepts everything stays as it is. A schema whose `type` is missing
/// or a list also stays as it is, even if it excludes null.
fn or_null(schema: Document) -> Document {
    match schema {
        Document::Object(members) if members.is_empty() => Document::Object(members),
        Document::Object(mut members) if members.iter().all(|(name, _)| name != "enum" && name != "$ref") => {
            if let Some((_, value @ Document::Text(_))) = members.iter_mut().find(|(name, _)| name == "type") {
                let said = std::mem::replace(value, Document::Null);
                *value = vec![said, "null".into()].into();
            }
            Document::Object(members)
        }
        // `enum` and `$ref` would still exclude null beside a wider `type`, so null is a separate alternative.
        other => Document::object([("anyOf", vec![other, kind("null")].into())]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cursorgate_config::tree;

    fn skeleton(text: &str) -> LocatedTree {
        let mut diagnostics = Diagnostics::default();
        let source = diagnostics.add_source("a.json".to_owned(), text.to_owned());
        tree::read(source, text, &mut diagnostics).unwrap()
    }

    #[track_caller]
    fn schema(text: &str) -> serde_json::Value {
        let item = Document::object([("$ref", "#/item".into())]);
        serde_json::from_str(&of_body(&skeleton(text), "users", &item, None).render()).unwrap()
    }

    #[test]
    fn optional_parts_are_not_required() {
        let schema = schema(
            r#"{"{collection}": ["{item}"], "n": "{total|null}", "of": {"total": "{total}", "page": "{page}"},
                "at": {"total": "{total}", "size": "{limit}"}, "kind": "list", "next": "{links.next}", "all": {}}"#,
        );
        assert_eq!(schema["required"], serde_json::json!(["users", "n", "at", "kind", "all"]));
        let properties = &schema["properties"];
        assert_eq!(properties["users"], serde_json::json!({"type": "array", "items": {"$ref": "#/item"}}));
        assert_eq!(properties["n"], serde_json::json!({"type": ["integer", "null"], "minimum": 0}));
        assert_eq!(properties["of"].get("required"), None);
        assert_eq!(properties["at"]["required"], serde_json::json!(["size"]));
        assert_eq!(properties["kind"], serde_json::json!({"const": "list"}));
        assert_eq!(properties["next"], serde_json::json!({"type": "string", "format": "uri-reference"}));
    }

    #[test]
    fn elements_are_wrapped_as_the_skeleton_wraps_them() {
        let edges =
            schema(r#"{"edges": [{"cursor": "{item.cursor|null}", "node": "{item}", "id": "{item.id:string}"}]}"#);
        let edge = &edges["properties"]["edges"]["items"];
        assert_eq!(edge["required"], serde_json::json!(["cursor", "node"]));
        assert_eq!(edge["properties"]["node"], serde_json::json!({"$ref": "#/item"}));
        let links = schema(
            r#"{"d": ["{item}"], "links": [{"rel": "self", "href": "{links.self}"}, {"rel": "next", "href": "{links.next}"}]}"#,
        );
        assert_eq!(links["properties"]["links"]["items"]["anyOf"].as_array().unwrap().len(), 2);
        assert_eq!(schema(r#"["{item}"]"#), serde_json::json!({"type": "array", "items": {"$ref": "#/item"}}));
    }

    #[test]
    fn an_error_names_the_codes_it_can_have() {
        let error = skeleton(
            r#"{"errors": [{"status": "{status:string}", "code": "{code}", "source": {"parameter": "{parameter}"}}]}"#,
        );
        let text = of_error(&error, "users", &["limit_invalid", "sort_invalid"]).render();
        let schema: serde_json::Value = serde_json::from_str(&text).unwrap();
        let one = &schema["properties"]["errors"]["items"];
        assert_eq!(one["properties"]["code"]["enum"], serde_json::json!(["limit_invalid", "sort_invalid"]));
        assert_eq!(one["properties"]["status"], serde_json::json!({"type": "string"}));
        assert_eq!(one["required"], serde_json::json!(["status", "code"]));
    }
}
