//! The reference as pages of the documentation: `docs/reference.md`, and a page below `docs/reference/` for each table
//! of a file. Each key has a heading, to which links stay valid as long as the key exists; the keys of a table that several
//! tables have, such as those of TLS, have one in the first of them.

use std::{cmp::Reverse, fmt::Write as _};

use super::{NAME, all, bounds, documentation, element, items, unwrapped, value};
use crate::{
    include,
    key::{Definition, Shown},
    keys,
    schema::Schema,
};

const INTRODUCTION: &str = "\
# Configuration keys

Every key of this version, by the table that it belongs to. The definition of the keys in the program writes these pages. \
`cursorgate reference` prints the same as one file, [config/cursorgate.toml](../config/cursorgate.toml), which loads as it \
stands; `cursorgate reference KEY` explains one key, and `cursorgate schema` prints a JSON Schema for editors.

- *NAME* in a key is a name that you choose. The name of a route is a part of each of its cursors.
- Durations are `\"250ms\"`, `\"10s\"`, `\"5m\"`, `\"24h\"`, `\"30d\"`; sizes are `\"512B\"`, `\"64KiB\"`, `\"10MiB\"`, \
`\"1GiB\"`; days are `2026-12-31`, without quotes.
- Secrets are `\"env:NAME\"` or `\"file:PATH\"` and are never written in a file. Every other string can come from the \
environment too: [variables](configuration.md#variables).
- Relative paths begin at the folder of the file in which they are written.
";

/// The note on the page of routes that the same keys can also be defaults.
const DEFAULTS: &str = "The same keys are in [`defaults`](../reference.md#defaults), for all routes, and in \
                        [`upstreams.NAME.defaults`](upstreams.md#upstreamsnamedefaults), for the routes of an upstream.";

/// The keys that nearly every file has, in the order in which a new file is written. All others have a default that
/// suits most services.
const COMMON: [&str; 20] = [
    "cursor.signing_key",
    "cursor.keys",
    "upstreams.NAME.peers",
    "routes.NAME.path",
    "routes.NAME.upstream",
    "routes.NAME.upstream_path",
    "routes.NAME.dialect",
    "routes.NAME.order",
    "routes.NAME.page_size",
    "routes.NAME.old_clients",
    "routes.NAME.action",
    "routes.NAME.envelope",
    "routes.NAME.principal",
    "routes.NAME.sortable",
    "routes.NAME.filterable",
    "listeners.NAME.address",
    "admin.address",
    "server.public_url",
    "server.trusted_proxies",
    "log.format",
];

/// The page that lists all other pages, and the keys that have no page of their own.
const INDEX: &str = "reference.md";

/// A key with its path, such as `routes.NAME.order`.
type DocumentedKey = (String, &'static Definition);

/// Returns the pages, each with its path below docs/ and its text in Markdown.
#[must_use]
pub fn pages() -> Vec<(String, String)> {
    let known = documented();
    let tables: Vec<&DocumentedKey> = known.iter().filter(|(path, key)| !path.contains('.') && has_page(key)).collect();
    let mut pages = vec![(INDEX.to_owned(), index(&known, &tables))];
    for (table, key) in tables {
        let mut text = format!("# {table}\n\n{}\n", linked(&documentation(key), table, &known));
        let is_included = include::KEYS.iter().any(|included| included.name == *table);
        let files = if is_included { "the first file and included ones" } else { "the first file alone" };
        let _ = writeln!(text, "\n*{}*, in {files}: {}", kind(&key.schema), children(table, &known));
        if table == "routes" {
            let _ = writeln!(text, "\n{DEFAULTS}");
        }
        for (path, key) in known.iter().filter(|(path, _)| path != table && page(path) == page(table)) {
            section(path, key, &known, &mut text);
        }
        pages.push((page(table), text));
    }
    pages
}

/// Returns the keys that have a section, in order. A table whose keys another table has too, such as those of TLS, has no
/// sections for its keys.
fn documented() -> Vec<DocumentedKey> {
    let all = all();
    let twins: Vec<String> =
        all.iter().filter(|(path, key)| twin(path, key, &all).is_some()).map(|(path, _)| format!("{path}.")).collect();
    all.iter().filter(|(path, _)| !twins.iter().any(|twin| path.starts_with(twin))).cloned().collect()
}

/// Returns the table that is nearer to the top, and has all keys of this table. At the same depth, that of a named table
/// is first, such as that of routes.
fn twin(path: &str, key: &Definition, all: &[DocumentedKey]) -> Option<String> {
    let Schema::Table(keys) = innermost(&key.schema) else { return None };
    let has = |other: &Definition, key: &Definition| {
        let Schema::Table(others) = innermost(&other.schema) else { return false };
        others.iter().any(|other| other.name == key.name && other.documentation == key.documentation)
    };
    let is_twin = |(_, other): &&DocumentedKey| {
        !matches!(other.shown, Shown::Excerpt(_)) && keys.iter().all(|key| has(other, key))
    };
    let place = |(path, _): &&DocumentedKey| {
        let names = path.split('.').filter(|part| *part == NAME).count();
        (path.split('.').count() - names, Reverse(names))
    };
    let (first, other) = all.iter().filter(is_twin).min_by_key(place)?;
    let name = if matches!(other.schema, Schema::Named(..)) { format!("{first}.{NAME}") } else { first.clone() };
    (first != path && !matches!(key.shown, Shown::Excerpt(_))).then_some(name)
}

/// Returns the schema of a single value, inside of lists and tables with names.
fn innermost(schema: &Schema) -> &Schema {
    match schema {
        Schema::List(element) | Schema::Named(element, _) => innermost(element),
        schema => schema,
    }
}

/// Returns the text of [`INDEX`]: links to all pages, and the keys without one.
fn index(known: &[DocumentedKey], tables: &[&DocumentedKey]) -> String {
    let mut text = format!("{INTRODUCTION}\n| table | contents |\n| --- | --- |\n");
    for (table, key) in tables {
        row(table, key, known, &mut text);
    }
    text.push_str("\n## The keys that most files have\n\nAll others have a default that suits most services.\n\n");
    text.push_str("| key | meaning |\n| --- | --- |\n");
    for name in COMMON {
        if let Some((path, key)) = known.iter().find(|(path, _)| path == name) {
            row(path, key, known, &mut text);
        }
    }
    for (path, key) in known.iter().filter(|(path, _)| page(path) == INDEX) {
        section(path, key, known, &mut text);
    }
    let names: Vec<String> = tables.iter().map(|(table, _)| format!("reference/{table}\n")).collect();
    let _ = write!(text, "\n```{{toctree}}\n:hidden:\n\n{}```\n", names.concat());
    text
}

/// Writes a row of a table in [`INDEX`]: a link to a key, and the first sentence about it.
fn row(path: &str, key: &Definition, known: &[DocumentedKey], text: &mut String) {
    let documentation = documentation(key);
    let sentence = documentation.split_inclusive(". ").next().unwrap_or_default().trim_end();
    let _ = writeln!(text, "| [`{path}`]({}) | {} |", address(path, INDEX), linked(sentence, "", known));
}

/// Writes the section of a key: its heading, its type and default, and its documentation.
fn section(path: &str, key: &Definition, known: &[DocumentedKey], text: &mut String) {
    let depth = path.split('.').filter(|part| *part != NAME).count().clamp(2, 4);
    let _ = writeln!(text, "\n{} `{path}`\n", "#".repeat(depth));
    let _ = write!(text, "*{}*", kind(&key.schema));
    match bounds(&key.schema) {
        Some((least, Some(most))) => text.push_str(&format!(", `{least}`–`{most}`")),
        Some((least, None)) => text.push_str(&format!(", at least `{least}`")),
        None => {}
    }
    if let Some(value) = value(key) {
        let word = if matches!(key.shown, Shown::Default(_)) { "default" } else { "such as" };
        let _ = write!(text, ", {word} `{value}`");
    }
    let same = match key.shown {
        Shown::Excerpt(_) => Some("routes.NAME".to_owned()),
        _ => twin(path, key, known),
    };
    if let Some(table) = same {
        let to = table.strip_suffix(".NAME").unwrap_or(&table);
        let _ = write!(text, ", with the keys of [`{table}`]({})", address(to, &page(path)));
    }
    let _ = writeln!(text, "\n\n{}", linked(&unwrapped(key.documentation), path, known));
    if matches!(element(&key.schema), Schema::Word(_) | Schema::BooleanOrWord(_)) {
        text.push('\n');
        let words = items(key);
        match known.iter().find(|(_, other)| items(other) == words) {
            Some((first, _)) if first != path => {
                let _ = writeln!(text, "The words are those of [`{first}`]({}).", address(first, &page(path)));
            }
            _ => {
                for (word, meaning) in words {
                    let _ = writeln!(text, "- `{word}`: {}", linked(&unwrapped(meaning), path, known));
                }
            }
        }
    }
}

/// Returns whether a key of the file has a page of its own.
fn has_page(key: &Definition) -> bool {
    matches!(key.shown, Shown::Section | Shown::OptionalSection | Shown::Named(..))
}

/// Returns the page that has the section of a key.
fn page(path: &str) -> String {
    let table = path.split('.').next().unwrap_or(path);
    let Schema::Table(keys) = keys::FILE_SCHEMA else { return INDEX.to_owned() };
    let is_table = keys.iter().any(|key| key.name == table && has_page(key));
    if is_table { format!("reference/{table}.md") } else { INDEX.to_owned() }
}

/// Returns the relative address of a key, for a link on the page `from`.
fn address(path: &str, from: &str) -> String {
    let to = page(path);
    let folder = |page: &str| page.rsplit_once('/').map_or_else(String::new, |(folder, _)| format!("{folder}/"));
    let file = match (to == from, folder(from)) {
        (true, _) => String::new(),
        (false, folder) if folder.is_empty() => to.clone(),
        (false, folder) => to.strip_prefix(&folder).map_or_else(|| format!("../{to}"), str::to_owned),
    };
    // A page begins with the heading of its table, so a link to the table needs no anchor.
    let is_whole = to != INDEX && !path.contains('.');
    if is_whole && !file.is_empty() { file } else { format!("{file}#{}", anchor(path)) }
}

/// Returns the anchor of a key's heading in the form that GitHub and the documentation's site generate: lower case,
/// without dots.
fn anchor(path: &str) -> String {
    path.to_lowercase().replace('.', "")
}

/// Returns links to the keys of a table that has a page, for this page.
fn children(table: &str, known: &[DocumentedKey]) -> String {
    let name = |path: &str| {
        let below = path.strip_prefix(table)?.strip_prefix('.')?;
        let below = below.strip_prefix(NAME).map_or(below, |rest| rest.trim_start_matches('.'));
        (!below.is_empty() && !below.contains('.')).then(|| below.to_owned())
    };
    let link = |(path, _): &DocumentedKey| Some(format!("[`{}`]({})", name(path)?, address(path, &page(table))));
    known.iter().filter_map(link).collect::<Vec<_>>().join(" ")
}

/// Returns the name of a value's type in the singular or as a list, such as `list of texts`.
fn kind(schema: &Schema) -> String {
    match schema {
        Schema::List(element) => format!("list of {}s", noun(element)),
        Schema::Named(element @ Schema::Table(_), _) => format!("{}s with names", noun(element)),
        Schema::Named(element, _) => format!("names with {}s", noun(element)),
        schema => noun(schema).to_owned(),
    }
}

/// Returns the noun for a single value of a schema.
fn noun(schema: &Schema) -> &'static str {
    match schema {
        Schema::Boolean => "`true` or `false`",
        Schema::Count(..) => "whole number",
        Schema::Quantity(unit, ..) => unit.noun.trim_start_matches("a "),
        Schema::Day => "day",
        Schema::Text(_) => "text",
        Schema::Word(_) => "word",
        Schema::BooleanOrWord(_) => "`true`, `false` or word",
        Schema::Secret => "secret",
        Schema::SentHeaders => "names with strings or secrets",
        Schema::List(_) => "list",
        Schema::Table(_) | Schema::Named(..) => "table",
        Schema::Json => "JSON value",
        Schema::JsonMembers => "names with JSON values",
    }
}

/// Returns documentation with links for the keys and the documents that it names.
fn linked(text: &str, path: &str, known: &[DocumentedKey]) -> String {
    let parts = text.split('`').enumerate().map(|(at, part)| {
        if at % 2 == 0 {
            return part.split(' ').map(|word| word_of(word, path)).collect::<Vec<_>>().join(" ");
        }
        match meant(part, path, known) {
            Some(key) => format!("[`{part}`]({})", address(&key, &page(path))),
            None => format!("`{part}`"),
        }
    });
    parts.collect()
}

/// Returns a word of documentation in Markdown: a link if it names a document in docs/, escaped otherwise.
fn word_of(word: &str, path: &str) -> String {
    let name = word.trim_end_matches(['.', ',', ';', ':', ')']);
    let up = if page(path) == INDEX { "" } else { "../" };
    match name.strip_prefix("docs/").filter(|document| document.contains(".md")) {
        Some(document) => format!("[{name}]({up}{document}){}", &word[name.len()..]),
        None => word.replace('*', "\\*").replace('<', "\\<").replace('[', "\\[").replace(']', "\\]"),
    }
}

/// Returns the key that a code span in the documentation of the key at `path` names, such as `page_size.max` or `mode =
/// "seek"`. The name is looked up below that key, then in each table around it. Returns `None` if the code span names
/// no other key.
fn meant(code: &str, path: &str, known: &[DocumentedKey]) -> Option<String> {
    let name = code.split(" = ").next().unwrap_or(code);
    if !name.starts_with(|first: char| first.is_ascii_lowercase()) {
        return None;
    }
    let mut table = Some(path);
    while let Some(around) = table {
        let wanted = if around.is_empty() { name.to_owned() } else { format!("{around}.{name}") };
        if let Some((found, _)) = known.iter().find(|(known, _)| *known == wanted) {
            return (found != path).then(|| found.clone());
        }
        table = match around.rsplit_once('.') {
            Some((outer, _)) => Some(outer),
            None => (!around.is_empty()).then_some(""),
        };
    }
    // A name with several segments may also be the end of a single path.
    let end = format!(".{name}");
    let mut ends = known.iter().filter(|(known, _)| name.contains('.') && known.ends_with(&end));
    let found = ends.next().map(|(found, _)| found.clone());
    found.filter(|_| ends.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_common_key_is_a_key() {
        let known = documented();
        for name in COMMON {
            assert!(known.iter().any(|(path, _)| path == name), "{name}");
        }
    }
}
