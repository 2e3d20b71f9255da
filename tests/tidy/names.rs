//! Tests of names: each name of a type has one meaning, and each test that a comment names exists.

use std::collections::{BTreeMap, BTreeSet};

use super::{code, root, rust_files};

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

/// Returns what the comments of a file name after `Test:` or `Regression:`: tests, and files with worlds.
fn named(text: &str) -> Vec<String> {
    let comment =
        |line: &str| line.trim().strip_prefix("//").map(|line| line.trim_start_matches(['/', '!']).to_owned());
    let joined: String = text.lines().map(|line| comment(line).unwrap_or_else(|| "\n".to_owned())).collect();
    let mut names = Vec::new();
    for word in ["Test: ", "Tests: ", "Regression: ", "Regressions: "] {
        for list in joined.split(word).skip(1) {
            let mut parts = list.split('`');
            while parts.next().is_some_and(|between| ["", ", ", " and "].contains(&between)) {
                names.extend(parts.next().map(str::to_owned));
            }
        }
    }
    names
}

#[test]
fn names_after_the_word_test_are_read() {
    let text =
        "/// Adds. Tests: `one`,\n    /// `a::two`. Not `three`.\nfn add() {}\n// Regression:\n// `crates/x.txt`.\n";
    assert_eq!(named(text), ["one", "a::two", "crates/x.txt"]);
}

/// A comment that explains a branch by its counterexample is of use only as long as the counterexample is there.
#[test]
fn tests_that_comments_name_exist() {
    let sources: Vec<_> =
        ["src", "tests", "crates"].into_iter().flat_map(|folder| rust_files(folder, &root().join(folder))).collect();
    let function = |line: &str| Some(line.split_once("fn ")?.1.split(['(', '<']).next()?.to_owned());
    let functions: BTreeSet<String> =
        sources.iter().flat_map(|source| source.text.lines().filter_map(function)).collect();
    // Regressions of the simulator are also named without their folder, or without their extension.
    let is_regression = |name: &str| {
        let file = name.rsplit('/').next().unwrap_or(name).trim_end_matches(".txt");
        root().join(format!("crates/sim/regressions/{file}.txt")).exists()
    };
    let exists = |name: &str| match name.rsplit_once("::") {
        _ if name.contains(['/', '-']) => root().join(name).exists() || is_regression(name),
        Some((_, last)) => functions.contains(last),
        None => functions.contains(name),
    };
    // A name with a space is of a world of the simulator, or of another kind.
    let missing = sources.iter().flat_map(|source| {
        let names = named(&source.text).into_iter().filter(|name| !name.contains(' ') && !exists(name));
        names.map(|name| format!("{}: {name}", source.path))
    });
    let missing: Vec<String> = missing.collect();
    assert!(missing.is_empty(), "{missing:#?}");
}
