//! Bodies of POST requests: the client's own parameters at their places, and members that pass to the upstream.

use crate::openapi::described::{DescribedRoute, ROLES};
use cursorgate_config::settings::Role;
use cursorgate_core::json::{Document, Pointer};
use cursorgate_translate::downstream::envelope::schema;

/// The use of a request body's schema.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::openapi) enum BodySide {
    /// The body that a client sends.
    Asked,
    /// The body that an answer repeats unchanged. Its limit may therefore exceed the largest page.
    Echoed,
}

/// Returns the schema of a request's body, in the form for `side`.
pub(in crate::openapi) fn schema(described: &DescribedRoute<'_>, side: BodySide) -> Document {
    let mut root = BodyObject::default();
    for (envelope, own) in described.conventions() {
        for role in ROLES {
            let Some(place) = own.name(role).filter(|name| name.starts_with('/')) else { continue };
            let Some((text, wanted)) = described.parameter(role, envelope) else { continue };
            let leaf = match side {
                BodySide::Asked => value(role, wanted).with("description", text.into()),
                BodySide::Echoed => value(role, schema::any()),
            };
            root.put(place, leaf);
        }
    }
    for (name, place) in &described.list_settings.parameters.query {
        let text = format!("Passes to the upstream as its parameter `{}`", name.value);
        let leaf = match side {
            BodySide::Asked => passed_on().with("description", text.into()),
            BodySide::Echoed => passed_on(),
        };
        root.put(&place.value, leaf);
    }
    let body = root.into_schema("object".into());
    match side {
        BodySide::Asked => {
            let text = match described.list.dialect.sends_bodies() {
                true => {
                    "All other members are filters, which pass to the upstream: a cursor is valid for the same filters"
                }
                false => "Other members don't pass to the upstream, but a cursor is valid only for the same members",
            };
            body.with("description", text.into())
        }
        BodySide::Echoed => body,
    }
}

/// Returns the description of the request body. `reference` refers to the body's schema.
pub(in crate::openapi) fn request_body(described: &DescribedRoute<'_>, reference: Document) -> Document {
    let budgets = &described.list_settings.budgets;
    let text = format!(
        "A JSON object of at most {} bytes, nested at most {} levels deep, in which no member is repeated. Every \
         media type that ends in `+json` will do",
        budgets.body_size, budgets.body_depth
    );
    Document::object([
        ("description", text.into()),
        ("required", true.into()),
        ("content", Document::object([("application/json", Document::object([("schema", reference)]))])),
    ])
}

/// Returns the schema of a parameter's value in a body. Null counts as absent, and a limit may be a string of digits.
fn value(role: Role, wanted: Document) -> Document {
    let kinds = match role {
        Role::Limit | Role::LimitBackward => vec!["integer", "string", "null"],
        Role::AfterId | Role::BeforeId => vec!["string", "number", "null"],
        Role::Cursor | Role::After | Role::Before | Role::Sort => vec!["string", "null"],
    };
    let is_limit = matches!(role, Role::Limit | Role::LimitBackward);
    let mut members = vec![("type".to_owned(), Document::texts(kinds))];
    if is_limit {
        members.push(("pattern".to_owned(), "^[0-9]+$".into()));
    }
    if let Document::Object(wanted) = wanted {
        members.extend(wanted.into_iter().filter(|(name, _)| name != "type"));
    }
    Document::Object(members)
}

/// Returns the schema of values that become a query parameter of the upstream.
fn passed_on() -> Document {
    let scalars = ["string", "number", "boolean"];
    let kinds = scalars.into_iter().chain(["null", "array"]);
    Document::object([
        ("type", Document::texts(kinds)),
        ("items", Document::object([("type", Document::texts(scalars))])),
    ])
}

/// The schema of an object under construction: its members by name.
#[derive(Default)]
struct BodyObject(Vec<(String, BodyMember)>);

enum BodyMember {
    Value(Document),
    Object(BodyObject),
}

impl BodyObject {
    /// Adds the schema of the value at a place, unless the place already has a schema.
    fn put(&mut self, place: &str, leaf: Document) {
        let Ok(pointer) = Pointer::parse(place) else { return };
        let names = pointer.names().unwrap_or_default();
        let Some((last, parents)) = names.split_last() else { return };
        let mut object = self;
        for name in parents {
            let index = object.index(name, || BodyMember::Object(Self::default()));
            match &mut object.0[index].1 {
                BodyMember::Object(inner) => object = inner,
                // The route's own convention is added first, and its value stays.
                BodyMember::Value(_) => return,
            }
        }
        object.index(last, || BodyMember::Value(leaf));
    }

    /// Returns the index of the member with this name. A missing member is added first.
    fn index(&mut self, name: &str, member: impl FnOnce() -> BodyMember) -> usize {
        self.0.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            self.0.push((name.to_owned(), member()));
            self.0.len() - 1
        })
    }

    /// Returns the finished schema. Objects within a body may be null, which counts as absent.
    fn into_schema(self, kind: Document) -> Document {
        let within = || Document::texts(["object", "null"]);
        let schema = |member: BodyMember| match member {
            BodyMember::Value(schema) => schema,
            BodyMember::Object(object) => object.into_schema(within()),
        };
        let properties = self.0.into_iter().map(|(name, member)| (name, schema(member)));
        Document::object([("type", kind), ("properties", Document::Object(properties.collect()))])
    }
}
