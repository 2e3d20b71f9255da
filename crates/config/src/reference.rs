//! The documentation of keys as text: the reference file `config/cursorgate.toml`, the pages of the documentation, and
//! the explanation of a single key.

mod pages;

use std::fmt::Write as _;

use super::{
    key::{Definition, Shown},
    keys,
    schema::Schema,
};

pub use pages::pages;

/// The largest number of characters in a line of documentation. Longer paragraphs are wrapped; a longer word stays
/// whole.
const WIDTH: usize = 100;

const INTRODUCTION: &str = "\
Every key of this version with its documentation, as `cursorgate reference` prints it. The file loads as it stands. Every \
line with a default can be left out.

    key = value      the default, or a value that this example needs
    #key = value     an example for a key without a default

Everything of which there can be several is a table with a name: listeners, upstreams, routes, dialects, envelopes. \
Durations are \"250ms\", \"10s\", \"5m\", \"24h\", \"30d\"; sizes are \"512B\", \"64KiB\", \"10MiB\", \"1GiB\"; days are \
2026-12-31 without quotes. Secrets are \"env:NAME\" or \"file:PATH\" and are never written in this file. Relative paths \
of files begin at the folder of this file.

`cursorgate check` reports every mistake at once and says what each route promises. `cursorgate reference KEY` explains one \
key.";

/// Returns the reference file.
#[must_use]
pub fn reference() -> String {
    let mut writer = Writer::default();
    writer.comment(INTRODUCTION);
    let Schema::Table(keys) = keys::FILE_SCHEMA else { return writer.text };
    writer.keys("", keys, false);
    writer.text
}

/// Returns the explanations of all keys whose path ends in `path`, such as `page_size.max` or `routes.users.order`.
/// Returns an empty string if no key has this name.
#[must_use]
pub fn explain(path: &str) -> String {
    let wanted: Vec<&str> = path.split('.').collect();
    let mut text = String::new();
    for (known, key) in all() {
        let segments: Vec<&str> = known.split('.').collect();
        let meets = |(known, wanted): (&&str, &&str)| known == wanted || *known == NAME;
        // `NAME` matches any segment of `path` except the last, which must be a key. Test:
        // `a_key_is_explained_by_the_end_of_its_path`.
        let is_meant = wanted.len() <= segments.len()
            && segments.last() == wanted.last()
            && segments.iter().rev().zip(wanted.iter().rev()).all(meets);
        if is_meant {
            if !text.is_empty() {
                text.push('\n');
            }
            let _ = writeln!(text, "{known}");
            for paragraph in paragraphs(key) {
                wrap(&paragraph, "    ", &mut text);
            }
            if let Some(value) = value(key) {
                let word = if matches!(key.shown, Shown::Default(_)) { "Default" } else { "Example" };
                let _ = writeln!(text, "    {word}: {value}");
            }
            keys_within(&known, key, &mut text);
        }
    }
    text
}

/// Appends the keys of a table that has a header of its own, each with its first sentence and its value. The keys of an
/// inline table are among its paragraphs.
fn keys_within(path: &str, key: &Definition, text: &mut String) {
    let (Schema::Table(keys), true) = (element(&key.schema), items(key).is_empty()) else { return };
    let last = path.rsplit('.').next().unwrap_or(path);
    let _ = writeln!(text, "    Keys, which `cursorgate reference {last}.KEY` explains:");
    for key in keys {
        let documentation = documentation(key);
        let sentence = documentation.split_inclusive(". ").next().unwrap_or_default().trim();
        let value = value(key).map(|value| format!(" = {value}")).unwrap_or_default();
        wrap(&item(&format!("{}{value}", key.name), sentence), "    ", text);
    }
}

/// Returns the names of all keys, without the tables that contain them.
pub fn names() -> impl Iterator<Item = &'static str> {
    all().into_iter().map(|(_, key)| key.name)
}

/// Returns the tables that have a key with this name, such as `upstreams.NAME`.
pub(super) fn tables_with(name: &str) -> Vec<String> {
    let paths = all().into_iter().filter(|(_, key)| key.name == name);
    paths.filter_map(|(path, _)| path.rsplit_once('.').map(|(table, _)| table.to_owned())).collect()
}

/// The part of a path in place of a name of the operator's choice, as in `routes.NAME.order`.
const NAME: &str = "NAME";

/// Returns every key with its path. The keys of a route are listed under `routes.NAME` only, not again under
/// `defaults`.
pub(super) fn all() -> Vec<(String, &'static Definition)> {
    fn walk(schema: &Schema, path: &str, found: &mut Vec<(String, &'static Definition)>) {
        match schema {
            Schema::Table(keys) => {
                for key in *keys {
                    let path = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
                    found.push((path.clone(), key));
                    if !matches!(key.shown, Shown::Excerpt(_)) {
                        walk(&key.schema, &path, found);
                    }
                }
            }
            Schema::Named(element, _) => walk(element, &format!("{path}.{NAME}"), found),
            Schema::List(element) => walk(element, path, found),
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(&keys::FILE_SCHEMA, "", &mut found);
    found
}

/// Returns the value that the reference shows for a key, in TOML; `None` for a table that has its own header.
fn value(key: &Definition) -> Option<String> {
    match key.shown {
        Shown::Default(literal) => Some(literal.toml()),
        Shown::Example(example) | Shown::Sample(example) => Some(example.to_owned()),
        Shown::Section | Shown::OptionalSection | Shown::Excerpt(_) | Shown::Named(..) => None,
    }
}

/// Returns the documentation of a key with its range, and then an item for each word, or for each key of an inline
/// table.
fn paragraphs(key: &Definition) -> Vec<String> {
    let items = items(key);
    let items = items.iter().map(|(name, documentation)| item(name, &unwrapped(documentation)));
    std::iter::once(documentation(key)).chain(items).collect()
}

/// Returns the documentation of a key in one line, with its range.
fn documentation(key: &Definition) -> String {
    let text = unwrapped(key.documentation);
    match bounds(&key.schema) {
        Some((least, Some(most))) => format!("{text} From {least} to {most}."),
        Some((least, None)) => format!("{text} At least {least}."),
        None => text,
    }
}

/// Returns the smallest and the largest value of a number, in TOML. A maximum that is only the limit of the number's type
/// is left out, because operators don't reach it.
fn bounds(schema: &Schema) -> Option<(String, Option<String>)> {
    match schema {
        Schema::Count(least, most) if least < most => {
            let most = Some(most).filter(|most| **most < u64::from(u32::MAX)).map(u64::to_string);
            (*least > 0 || most.is_some()).then(|| (least.to_string(), most))
        }
        Schema::Quantity(_, least, most) => Some((format!("{least:?}"), Some(format!("{most:?}")))),
        _ => None,
    }
}

/// Returns the names and the documentation of the words that a key accepts, or of the keys of its inline table; none
/// for other keys.
fn items(key: &Definition) -> Vec<(&'static str, &'static str)> {
    let is_inline = matches!(key.shown, Shown::Default(_) | Shown::Example(_) | Shown::Sample(_));
    match element(&key.schema) {
        Schema::Word(words) | Schema::BooleanOrWord(words) => {
            words.iter().map(|word| (word.word, word.documentation)).collect()
        }
        Schema::Table(keys) if is_inline => keys.iter().map(|key| (key.name, key.documentation)).collect(),
        _ => Vec::new(),
    }
}

/// Returns a list item, which [`wrap`] recognises by its marker.
fn item(name: &str, text: &str) -> String {
    format!("{ITEM}{name}: {text}")
}

const ITEM: &str = "  - ";

/// Returns the schema of the elements of a list; for any other value, its own schema.
fn element(schema: &Schema) -> Schema {
    match schema {
        Schema::List(element) => **element,
        schema => *schema,
    }
}

/// Returns the text of a documentation comment as one line.
pub(super) fn unwrapped(documentation: &str) -> String {
    documentation.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Appends a paragraph, wrapped to lines that begin with `margin`. The second and later lines of a list item are
/// indented.
fn wrap(paragraph: &str, margin: &str, text: &mut String) {
    let (marker, hanging) = if paragraph.starts_with(ITEM) { (ITEM, "    ") } else { ("", "") };
    let mut line = format!("{margin}{marker}");
    let mut is_empty = true;
    for word in paragraph[marker.len()..].split(' ') {
        if !is_empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            text.push_str(line.trim_end());
            text.push('\n');
            line = format!("{margin}{hanging}");
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    text.push_str(line.trim_end());
    text.push('\n');
}

/// Writes the reference file.
#[derive(Default)]
struct Writer {
    text: String,
}

impl Writer {
    /// Writes the keys of a table. Keys with a value come first, because they must precede tables in TOML.
    fn keys(&mut self, path: &str, keys: &[&Definition], in_comment: bool) {
        for key in keys {
            if let Some(value) = value(key) {
                self.documentation(key);
                if in_comment && matches!(key.shown, Shown::Default(_)) {
                    let _ = writeln!(self.text, "# Default:");
                }
                let hash = if in_comment || matches!(key.shown, Shown::Example(_)) { "#" } else { "" };
                let _ = writeln!(self.text, "{hash}{} = {value}", key.name);
            }
        }
        for key in keys {
            let path = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
            match (key.shown, key.schema) {
                (Shown::Section, Schema::Table(keys)) => self.section(key, &path, keys, in_comment),
                (Shown::OptionalSection, Schema::Table(keys)) => self.section(key, &path, keys, true),
                (Shown::Named(name, further), Schema::Named(Schema::Table(keys), _)) => {
                    self.section(key, &format!("{path}.{name}"), keys, in_comment);
                    self.text.push_str(further);
                }
                (Shown::Excerpt(lines), _) => {
                    self.documentation(key);
                    let _ = writeln!(self.text, "[{path}]\n{lines}");
                }
                _ => {}
            }
        }
    }

    fn section(&mut self, key: &Definition, path: &str, keys: &[&Definition], in_comment: bool) {
        self.documentation(key);
        let hash = if in_comment { "#" } else { "" };
        let _ = writeln!(self.text, "{hash}[{path}]");
        self.keys(path, keys, in_comment);
    }

    /// Writes the documentation of a key after an empty line.
    fn documentation(&mut self, key: &Definition) {
        self.text.push('\n');
        for paragraph in paragraphs(key) {
            wrap(&paragraph, "# ", &mut self.text);
        }
    }

    /// Writes a comment. Paragraphs are wrapped; indented lines aren't.
    fn comment(&mut self, paragraphs: &str) {
        for line in paragraphs.lines() {
            match line {
                "" => self.text.push_str("#\n"),
                line if line.starts_with(' ') => {
                    let _ = writeln!(self.text, "# {line}");
                }
                line => wrap(line, "# ", &mut self.text),
            }
        }
    }
}
