//! The OpenAPI document of an upstream, and the search in it from an operation to the schema of a list's items.

use std::{borrow::Cow, cell::Cell};

use percent_encoding::percent_decode_str;

use cursorgate_config::{
    diagnostic::{Location, nearest},
    tree::{LocatedTree, Tree},
};
use cursorgate_core::json::{Pointer, pointer::PointerStep};

/// The largest number of consecutive references on the way to an item. An item that needs more isn't found. Nested
/// alternatives (`allOf`, `anyOf`, `oneOf`) have the same bound, in which each level counts as 16.
const MOST_STEPS: usize = 64;

/// The largest number of schemas that are looked at for one step to an item.
const MOST_SCHEMAS: usize = 4_096;

/// The methods of a path item (OpenAPI 3.1, section 4.8.9).
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// A fault of a document: its place in the configuration, the message, and the help text.
pub(in crate::openapi) type DocumentFault = (Location, String, String);

#[derive(Clone, Copy)]
pub(in crate::openapi) struct UpstreamDocument<'a> {
    pub(in crate::openapi) root: &'a LocatedTree,
    /// The path of the document's file.
    pub(in crate::openapi) file: &'a str,
}

impl<'a> UpstreamDocument<'a> {
    /// Returns `true` for OpenAPI 3.0 and `false` for 3.1. Any other version is a fault at the place `at`.
    pub(in crate::openapi) fn version(self, at: Location) -> Result<bool, DocumentFault> {
        match text(member(self.root, "openapi")) {
            Some(version) if version.starts_with("3.1.") => Ok(false),
            Some(version) if version.starts_with("3.0.") => Ok(true),
            _ => {
                let message = format!("{} is not an OpenAPI document of version 3.0 or 3.1", self.file);
                Err((
                    at,
                    message,
                    "write the version in its member `openapi`; older documents can be converted".to_owned(),
                ))
            }
        }
    }

    /// Returns the fault of a reference whose target doesn't exist.
    pub(in crate::openapi) fn without(self, place: &str, at: Location) -> DocumentFault {
        let help = "write it as a reference in that file would, \"#/components/schemas/User\"";
        (at, format!("{} has nothing at {place:?}", self.file), help.to_owned())
    }

    /// Returns the fault of an operation whose answer has no array of items at the dialect's place.
    pub(in crate::openapi) fn without_items(
        self,
        items: &Pointer,
        method: &str,
        path: &str,
        at: Location,
    ) -> DocumentFault {
        let (file, place, method) = (self.file, items.to_string(), method.to_uppercase());
        let help = "the dialect reads the items there; where the file knows it differently, name the item's own schema: \
                    schema = \"#/components/schemas/User\"";
        (at, format!("{file} describes no array at {place:?} of {method} {path}"), help.to_owned())
    }

    /// Returns the target of a local reference, such as `#/components/schemas/User`; `None` if the target doesn't
    /// exist.
    pub(in crate::openapi) fn at(self, reference: &str) -> Option<&'a LocatedTree> {
        let decoded: Cow<'_, str> = percent_decode_str(reference.strip_prefix('#')?).decode_utf8().ok()?;
        let mut place = self.root;
        if decoded.is_empty() {
            return Some(place);
        }
        for step in decoded.strip_prefix('/')?.split('/') {
            // `~1` is replaced before `~0`, so `~01` becomes `~1` (RFC 6901 section 4).
            let name = step.replace("~1", "/").replace("~0", "~");
            place = match &place.value {
                Tree::Array(elements) => elements.get(name.parse::<usize>().ok()?)?,
                _ => member(place, &name)?,
            };
        }
        Some(place)
    }

    /// Follows local references until the target isn't a reference. Returns `None` if a target doesn't exist, or after
    /// [`MOST_STEPS`] references.
    pub(in crate::openapi) fn resolved(self, mut tree: &'a LocatedTree) -> Option<&'a LocatedTree> {
        for _ in 0..MOST_STEPS {
            match text(member(tree, "$ref")) {
                Some(reference) => tree = self.at(reference)?,
                None => return Some(tree),
            }
        }
        None
    }

    /// Returns the schema of an operation's successful JSON answer: of the first of the responses `200`, `2XX` and
    /// `default` that the document has. A missing path, operation or schema is a fault at the place `at`.
    pub(in crate::openapi) fn answer(
        self,
        method: &str,
        path: &str,
        at: Location,
    ) -> Result<&'a LocatedTree, DocumentFault> {
        let paths = members(member(self.root, "paths"));
        let fault = |message: String, help: String| (at, message, help);
        let Some(item) = paths.iter().find(|(known, _)| known.value == path).map(|(_, item)| item) else {
            let near = nearest(path, paths.iter().map(|(known, _)| known.value.as_str()));
            let help =
                near.map_or_else(|| "write it as the file has it".to_owned(), |near| format!("did you mean {near:?}?"));
            return Err(fault(format!("{} has no path {path:?}", self.file), help));
        };
        let operation = self.resolved(item).and_then(|item| member(item, method).filter(|_| METHODS.contains(&method)));
        let Some(operation) = operation else {
            let known = self.resolved(item).map(|item| members(Some(item))).unwrap_or_default();
            let known: Vec<String> = known
                .iter()
                .filter(|(name, _)| METHODS.contains(&name.value.as_str()))
                .map(|(name, _)| name.value.to_uppercase())
                .collect();
            let message = format!("{} has no {} {path}", self.file, method.to_uppercase());
            return Err(fault(message, format!("it has {}", known.join(", "))));
        };
        let responses = member(operation, "responses");
        let response = ["200", "2XX", "2xx", "default"].into_iter().find_map(|status| member(responses?, status));
        let content =
            response.and_then(|response| self.resolved(response)).and_then(|response| member(response, "content"));
        let types = members(content);
        let media = types.iter().find(|(name, _)| name.value.starts_with("application/json"));
        let media = media.or_else(|| types.iter().find(|(name, _)| name.value.contains("json")));
        media.and_then(|(_, media)| member(media, "schema")).ok_or_else(|| {
            let message = format!("{} does not describe the answer to {} {path}", self.file, method.to_uppercase());
            fault(message, "its response 200 needs a schema for application/json".to_owned())
        })
    }

    /// Returns the schema of an item: of the served part of an array element. `items` is the place of the array in the
    /// answer, `item` the place of the served part in an element. Returns `None` if the answer's schema doesn't
    /// describe one of the two places.
    pub(in crate::openapi) fn item(
        self,
        answer: &'a LocatedTree,
        items: &Pointer,
        item: &Pointer,
    ) -> Option<&'a LocatedTree> {
        let array = self.walk(answer, items.steps())?;
        let element = self.find(array, (0, &Cell::new(MOST_SCHEMAS)), &|schema| member(schema, "items"))?;
        self.walk(element, item.steps())
    }

    /// Returns the schema at the end of these steps; `None` if a step leads nowhere.
    fn walk(self, mut schema: &'a LocatedTree, steps: &[PointerStep]) -> Option<&'a LocatedTree> {
        for step in steps {
            schema = self.find(schema, (0, &Cell::new(MOST_SCHEMAS)), &|schema| match step {
                PointerStep::Member(name) => member(member(schema, "properties")?, name),
                PointerStep::Matching { .. } => member(schema, "items"),
            })?;
        }
        Some(schema)
    }

    /// Applies `take` to a schema and returns the result. If there is none, applies `take` to the parts of `allOf`,
    /// `anyOf` and `oneOf`, recursively, and returns the first result. `bounds` are the depth of the schema, and the
    /// number of schemas that may still be looked at: a schema that contains itself many times would else take for ever.
    /// Test: `a_schema_that_contains_itself_many_times_is_given_up`.
    fn find(
        self,
        schema: &'a LocatedTree,
        bounds: (usize, &Cell<usize>),
        take: &dyn Fn(&'a LocatedTree) -> Option<&'a LocatedTree>,
    ) -> Option<&'a LocatedTree> {
        let (depth, left) = bounds;
        left.set(left.get().checked_sub(1)?);
        if depth > MOST_STEPS {
            return None;
        }
        let schema = self.resolved(schema)?;
        take(schema).or_else(|| {
            let parts = ["allOf", "anyOf", "oneOf"].into_iter().filter_map(|name| member(schema, name));
            let mut parts = parts.flat_map(|part| match &part.value {
                Tree::Array(elements) => elements.as_slice(),
                _ => &[],
            });
            // A level of alternatives counts as 16 steps, which bounds the depth of the search.
            parts.find_map(|part| self.find(part, (depth + 16, left), take))
        })
    }
}

/// Returns the value of the member with this name; `None` if there is no such member, or if `tree` isn't an object.
pub(in crate::openapi) fn member<'a>(tree: &'a LocatedTree, name: &str) -> Option<&'a LocatedTree> {
    members(Some(tree)).iter().find(|(known, _)| known.value == name).map(|(_, value)| value)
}

/// Returns the members of an object; an empty slice for other values.
pub(in crate::openapi) fn members(
    tree: Option<&LocatedTree>,
) -> &[(cursorgate_config::diagnostic::Located<String>, LocatedTree)] {
    match tree.map(|tree| &tree.value) {
        Some(Tree::Object(members)) => members,
        _ => &[],
    }
}

/// Returns the content of a string; `None` for other values.
pub(in crate::openapi) fn text(tree: Option<&LocatedTree>) -> Option<&str> {
    match tree.map(|tree| &tree.value) {
        Some(Tree::Text(text)) => Some(text),
        _ => None,
    }
}
