//! The places of facts in an envelope's bodies, derived from the same skeleton as the bodies: where a client finds the
//! items, the cursor or the link to the next page, or the code of a problem.

use crate::downstream::render::{
    facts::Scope,
    placeholder::{PlaceholderText, TextPart},
};
use cursorgate_config::{
    diagnostic::Diagnostics,
    tree::{LocatedTree, Tree},
};
use cursorgate_core::json::Pointer;

/// The places in an envelope's body at which clients find the items and the facts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnvelopePlaces {
    /// The place of the array of items; `None` for a body without items.
    pub items: Option<Pointer>,
    /// The place of the whole item within an element of the array; `None` if the elements contain only parts of an
    /// item.
    pub item: Option<Pointer>,
    /// The placeholders that are a whole value, by name, and the places of these values.
    facts: Vec<(&'static str, Pointer)>,
}

impl EnvelopePlaces {
    /// Returns the places in the body of a page.
    #[must_use]
    pub fn of_body(body: &LocatedTree, collection: &str) -> Self {
        Self::of(body, collection, &[Scope::Page])
    }

    /// Returns the places in an error body.
    #[must_use]
    pub fn of_error(error: &LocatedTree, collection: &str) -> Self {
        Self::of(error, collection, &[Scope::Error])
    }

    /// Returns the place of a placeholder by its name, such as `next.cursor`. Returns the first place if there are
    /// several, and `None` if the body doesn't have the placeholder as a whole value.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Pointer> {
        self.facts.iter().find(|(known, _)| *known == name).map(|(_, place)| place)
    }

    fn of(tree: &LocatedTree, collection: &str, scopes: &'static [Scope]) -> Self {
        let mut reader = PlaceReader { collection, scopes, found: Self::default() };
        reader.node(tree, "");
        reader.found
    }
}

struct PlaceReader<'a> {
    collection: &'a str,
    scopes: &'static [Scope],
    found: EnvelopePlaces,
}

impl PlaceReader<'_> {
    /// Records the places in a part of the skeleton; `at` is the JSON Pointer of the part.
    fn node(&mut self, tree: &LocatedTree, at: &str) {
        match &tree.value {
            Tree::Text(text) => {
                let Some(read) = self.parsed(text, tree, self.scopes) else { return };
                // A client can't read back a value that has other text around it, so only a whole value is recorded.
                if let [TextPart::Value(placeholder, _)] = read.parts[..]
                    && let Ok(place) = Pointer::parse(at)
                {
                    self.found.facts.push((placeholder.name, place));
                }
            }
            Tree::Array(elements) => match elements.first().filter(|first| mentions_item(first)) {
                // Facts in an element belong to one item, so they have no place in the body as a whole.
                Some(element) => {
                    if self.found.items.is_none() {
                        self.found.items = Pointer::parse(at).ok();
                        self.found.item = find_item(element, "").and_then(|place| Pointer::parse(&place).ok());
                    }
                }
                None => {
                    for (index, element) in elements.iter().enumerate() {
                        self.element(element, index, at);
                    }
                }
            },
            Tree::Object(members) => {
                for (name, value) in members {
                    let name = self.parsed(&name.value, value, &[]).map(|name| name.literal()).unwrap_or_default();
                    self.node(value, &format!("{at}/{}", escaped(&name)));
                }
            }
            Tree::Null | Tree::Boolean(_) | Tree::Number(_) => {}
        }
    }

    /// Records the places in an element of an array. An element without a known fact is left out, which changes the
    /// indexes of the elements after it. The pointer therefore finds the element by its first member with a fixed text,
    /// as in `/links/[rel=next]`. Without such a member, only the first element is recorded, by its index 0.
    fn element(&mut self, element: &LocatedTree, index: usize, at: &str) {
        let Tree::Object(members) = &element.value else { return };
        let fixed = members.iter().find_map(|(name, value)| match &value.value {
            Tree::Text(text) if !text.contains(['{', '}']) => Some((name.value.as_str(), text.as_str())),
            _ => None,
        });
        match fixed {
            Some((name, text)) => self.node(element, &format!("{at}/[{}={}]", escaped(name), escaped(text))),
            None if index == 0 => self.node(element, &format!("{at}/0")),
            None => {}
        }
    }

    /// Parses a text of the skeleton; `None` if it has faults. A compiled skeleton has none.
    fn parsed(&self, text: &str, tree: &LocatedTree, scopes: &[Scope]) -> Option<PlaceholderText> {
        let (requests, diagnostics) = (&mut Vec::new(), &mut Diagnostics::default());
        PlaceholderText::parse(text, tree.at, self.collection, scopes, requests, diagnostics)
    }
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Returns whether a part of a skeleton has a placeholder of an item.
pub(super) fn mentions_item(tree: &LocatedTree) -> bool {
    match &tree.value {
        Tree::Text(text) => PlaceholderText::mentions_item(text),
        Tree::Array(elements) => elements.iter().any(mentions_item),
        Tree::Object(members) => members.iter().any(|(_, value)| mentions_item(value)),
        Tree::Null | Tree::Boolean(_) | Tree::Number(_) => false,
    }
}

/// Returns the place of the whole item in an element; `None` if the element contains only parts of the item.
fn find_item(element: &LocatedTree, at: &str) -> Option<String> {
    match &element.value {
        // `{item:string}` is a string, in which no pointer finds a member, so it isn't the whole item.
        Tree::Text(text) => (text == "{item}").then(|| at.to_owned()),
        Tree::Object(members) => {
            members.iter().find_map(|(name, value)| find_item(value, &format!("{at}/{}", escaped(&name.value))))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cursorgate_config::{preset_envelopes, tree};

    fn part(text: &str, name: &str) -> Option<LocatedTree> {
        let mut diagnostics = Diagnostics::default();
        let source = diagnostics.add_source("a.json".to_owned(), text.to_owned());
        let file = tree::read(source, text, &mut diagnostics).unwrap();
        let Tree::Object(members) = file.value else { panic!("an envelope is an object") };
        members.into_iter().find(|(known, _)| known.value == name).map(|(_, value)| value)
    }

    /// The places of every built-in envelope: the array of items, the item in an element, the next cursor, the next
    /// link, and the flag for a next page.
    #[test]
    fn places_of_built_in_envelopes_are_found() {
        let shown = |place: Option<&Pointer>| place.map_or_else(|| "-".to_owned(), Pointer::to_string);
        let found = preset_envelopes().map(|(name, text)| {
            let places = EnvelopePlaces::of_body(&part(text, "body").unwrap(), "users");
            let facts = ["next.cursor", "links.next", "has_next"].map(|fact| shown(places.find(fact)));
            format!("{name} {} {} {}", shown(places.items.as_ref()), shown(places.item.as_ref()), facts.join(" "))
        });
        let expected = [
            "aip /users  /nextPageToken - -",
            "bare   - - -",
            "batch /response/users  /response/pagination/next_cursor - /response/pagination/has_more",
            "drf /results  - /next -",
            "hal /_embedded/users  - /_links/next/href -",
            "jsonapi /data - - /links/next -",
            "odata /value  - /@odata.nextLink -",
            "ogc /features  - /links/[rel=next]/href -",
            "page-info /data  - - /pageInfo/hasNextPage",
            "relay /edges /node - - /pageInfo/hasNextPage",
            "standard /data  /pagination/nextCursor /links/next /pagination/hasMore",
            "stripe /data  - - -",
        ];
        assert_eq!(found.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn places_of_codes_in_error_bodies_are_found() {
        let found = preset_envelopes().filter_map(|(name, text)| {
            let places = EnvelopePlaces::of_error(&part(text, "error")?, "users");
            let place = places.find("code").or_else(|| places.find("reason"))?;
            Some(format!("{name} {place} {}", places.find("detail")?))
        });
        let expected = [
            "aip /error/details/[@type=type.googleapis.com~1google.rpc.ErrorInfo]/reason /error/message",
            "batch /code /message",
            "drf /code /detail",
            "jsonapi /errors/0/code /errors/0/detail",
            "odata /error/code /error/message",
            "ogc /code /description",
            "stripe /error/code /error/message",
        ];
        assert_eq!(found.collect::<Vec<_>>(), expected);
    }
}
