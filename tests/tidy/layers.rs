//! Tests of the imports inside the crates: no two files import each other, directly or indirectly. Imports of other
//! crates need no test, since Cargo permits no circle.

use std::collections::{BTreeMap, BTreeSet};

use super::{Source, code};

/// The crates in which files still import each other. A crate without circles is struck off.
const KNOTS: [&str; 3] = ["config", "core", "learn"];

/// A module's path, from its crate: `["gateway", "page", "serve"]`.
type Path = Vec<String>;

fn module(file: &str) -> Path {
    let index = file.strip_suffix("/mod.rs").or_else(|| file.strip_suffix("/lib.rs"));
    let stem = index.or_else(|| file.strip_suffix(".rs")).unwrap_or(file);
    stem.split('/').map(str::to_owned).collect()
}

/// Returns the paths that a text names by `crate::…` or `super::…`, or by the name of its own submodule in a `use`.
fn named(text: &str, own: &Path) -> BTreeSet<Path> {
    let mut found = BTreeSet::new();
    for (at, word) in ["crate::", "super::"].iter().flat_map(|word| text.match_indices(word)) {
        // The second `super` of `super::super::` is read with the first, and a visibility (`pub(in crate::…)`) imports
        // nothing.
        if text[..at].ends_with("super::") || text[..at].ends_with("(in ") {
            continue;
        }
        let mut base = if word == "crate::" { own[..1].to_vec() } else { own[..own.len() - 1].to_vec() };
        let mut rest = &text[at + word.len()..];
        while let Some(upper) = rest.strip_prefix("super::") {
            base.pop();
            rest = upper;
        }
        read_tree(rest, &base, &mut found);
    }
    for (at, word) in text.match_indices("use ") {
        let rest = &text[at + word.len()..];
        if !rest.starts_with("crate::")
            && !rest.starts_with("super::")
            && text[..at].chars().next_back().is_none_or(|before| matches!(before, '\n' | ' '))
        {
            read_tree(rest.strip_prefix("self::").unwrap_or(rest), own, &mut found);
        }
    }
    found
}

/// Reads one tree of imports, and returns the text after it.
fn read_tree<'a>(text: &'a str, base: &Path, found: &mut BTreeSet<Path>) -> &'a str {
    let (mut path, mut rest) = (base.clone(), text);
    loop {
        if let Some(group) = rest.strip_prefix('{') {
            rest = group.trim_start();
            while !rest.is_empty() && !rest.starts_with('}') {
                let after = read_tree(rest, &path, found).trim_start().trim_start_matches(',').trim_start();
                // Any other text ends the group, so the loop ends.
                if after.len() == rest.len() {
                    break;
                }
                rest = after;
            }
            return rest.strip_prefix('}').unwrap_or(rest);
        }
        let length = rest.find(|character: char| !character.is_alphanumeric() && character != '_');
        let (word, tail) = rest.split_at(length.unwrap_or(rest.len()));
        path.push(word.to_owned());
        match tail.strip_prefix("::") {
            Some(more) => rest = more,
            None => {
                found.insert(path);
                return tail;
            }
        }
    }
}

/// Returns, for each file, the files of the same module that it imports. The parts of a file, in a folder with its
/// name, count as the file.
fn graph() -> BTreeMap<Path, BTreeSet<Path>> {
    let sources: Vec<Source> = code();
    let indexes = sources
        .iter()
        .filter(|source| source.path.ends_with("mod.rs") || source.path.ends_with("lib.rs"))
        .map(|source| module(&source.path));
    let indexes: BTreeSet<Path> = indexes.collect();
    let modules: BTreeSet<Path> = sources.iter().map(|source| module(&source.path)).collect();
    let whole = |path: &Path| {
        let files = (1..path.len()).map(|length| path[..length].to_vec());
        files.into_iter().find(|file| modules.contains(file) && !indexes.contains(file)).unwrap_or_else(|| path.clone())
    };
    let mut graph: BTreeMap<Path, BTreeSet<Path>> = BTreeMap::new();
    for source in &sources {
        let own = module(&source.path);
        let imports = graph.entry(whole(&own)).or_default();
        for path in named(&source.text, &own) {
            let target =
                (1..=path.len()).rev().map(|length| path[..length].to_vec()).find(|path| modules.contains(path));
            let Some(target) = target.filter(|target| target[0] == own[0]) else { continue };
            if whole(&target) != whole(&own) {
                imports.insert(whole(&target));
            }
        }
    }
    graph
}

#[test]
fn nested_imports_are_parsed() {
    let text = "use alpha::One;\nuse super::{beta, gamma::{Two, delta::Three}};\nuse crate::{\n    json,\n    cursor::{Four},\n};\n\
                fn f() { crate::config::five(super::super::six::seven()) }\npub(in crate::services) fn g() {}";
    let own = module("gateway/page/serve.rs");
    let found: Vec<String> = named(text, &own).into_iter().map(|path| path.join("::")).collect();
    assert_eq!(
        found,
        [
            "gateway::config::five",
            "gateway::cursor::Four",
            "gateway::json",
            "gateway::page::beta",
            "gateway::page::gamma::Two",
            "gateway::page::gamma::delta::Three",
            "gateway::page::serve::alpha::One",
            "gateway::six::seven",
        ]
    );
}

#[test]
fn no_files_import_each_other() {
    let graph = graph();
    let mut faults = BTreeSet::new();
    for start in graph.keys().filter(|path| !KNOTS.contains(&path[0].as_str())) {
        // The index of a folder may name what it declares. A file below that imports the index closes a circle.
        let mut seen: BTreeMap<&Path, &Path> = BTreeMap::new();
        let mut queue = vec![start];
        while let Some(path) = queue.pop() {
            for import in graph.get(path).into_iter().flatten() {
                if import == start {
                    let mut circle = vec![path.join("::")];
                    let mut at = path;
                    while let Some(before) = seen.get(at).filter(|_| at != start) {
                        circle.push(before.join("::"));
                        at = before;
                    }
                    circle.sort();
                    faults.insert(circle.join(" - "));
                } else if !seen.contains_key(import) {
                    seen.insert(import, path);
                    queue.push(import);
                }
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// The modules of the core that the checker of pages may name: the types of the contract, and the comparison of two
/// keys.
const CONTRACT: [&str; 11] =
    ["answer", "fetch", "filter", "fingerprint", "key", "order", "page", "paging", "position", "request", "window"];

#[test]
fn the_checker_of_pages_imports_only_the_contract_and_is_not_imported() {
    let (graph, checker) = (graph(), module("core/pagination/checker.rs"));
    let importers = graph.iter().filter(|(path, imports)| path.len() > 2 && imports.contains(&checker));
    assert_eq!(importers.map(|(path, _)| path.join("::")).collect::<Vec<_>>(), [""; 0], "name the checker");
    let imports = graph[&checker].iter().filter(|path| path.len() > 2 && path[1] == "pagination");
    let others: Vec<String> =
        imports.filter(|path| !CONTRACT.contains(&path[2].as_str())).map(|path| path.join("::")).collect();
    assert!(others.is_empty(), "the checker names {others:?}");
}
