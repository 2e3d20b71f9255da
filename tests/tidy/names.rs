//! Tests of the names of types: each name has one meaning.

use std::collections::BTreeMap;

use super::code;

/// Names that several types share; all but one of the types are private.
const SHARED: [&str; 7] = [
    "Failure",    // of a request; of a command
    "ListNames",  // in TypeScript; in Python
    "Members",    // of a located tree; of a tree that is read
    "Order",      // declared; while its settings are checked
    "Route",      // compiled; while its settings are checked
    "TypeWriter", // for TypeScript; for Python
    "Vector",     // of one instruction set and of another
];

/// Returns the name of the type that a line declares at the outermost level; `None` for other lines.
fn declared(line: &str) -> Option<&str> {
    let line = line.strip_prefix("pub(crate) ").or_else(|| line.strip_prefix("pub(super) ")).unwrap_or(line);
    let line = line.strip_prefix("pub ").unwrap_or(line);
    let line = if line.starts_with("pub(in ") { line.split_once(") ")?.1 } else { line };
    let kinds = ["struct ", "enum ", "trait ", "type "];
    let rest = kinds.iter().find_map(|kind| line.strip_prefix(kind))?;
    Some(rest.split(|character: char| !character.is_alphanumeric() && character != '_').next().unwrap_or(rest))
}

#[test]
fn names_of_declared_types_are_parsed() {
    for (line, name) in [
        ("pub(crate) struct Slot<'a> {", Some("Slot")),
        ("pub(in crate::cursor) enum Form {", Some("Form")),
        ("type Fault = (usize, String);", Some("Fault")),
        ("    struct Inner;", None),
        ("pub fn structure() {", None),
    ] {
        assert_eq!(declared(line), name, "{line}");
    }
}

#[test]
fn types_have_names_of_their_own() {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in code() {
        for name in source.text.lines().filter_map(declared) {
            places.entry(name.to_owned()).or_default().push(source.path.clone());
        }
    }
    let shared = places.iter().filter(|(name, files)| files.len() > 1 && !SHARED.contains(&name.as_str()));
    let shared: Vec<_> = shared.collect();
    assert!(shared.is_empty(), "{shared:#?}");
    for name in SHARED {
        assert!(places.get(name).is_some_and(|files| files.len() > 1), "{name} is shared no more: strike it off");
    }
}
