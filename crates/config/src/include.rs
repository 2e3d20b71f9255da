//! Included files: finds and reads the files that `include` names, and adds their tables to those of the including
//! file.
//!
//! An included file may have a version, upstreams, routes, dialects and envelopes, but no keys of the process or of all
//! routes. So a team can maintain a file of its own without affecting other teams' routes. Faults are reported in the
//! included file, and relative paths begin at its folder.

use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};

use super::{
    check::Context,
    diagnostic::{Located, Location},
    key::{Definition, Key},
    keys::{FILE, FileKeys},
    parse,
    schema::{self, Schema},
    spanned::{Spanned, Value},
    syntax,
};

/// The tables that an included file may have.
const TABLES: [&Key<Spanned>; 4] = [&FILE.upstreams, &FILE.routes, &FILE.dialects, &FILE.envelopes];

/// The keys that an included file may have.
pub(super) const KEYS: &[&Definition] = &[
    &FILE.version.definition,
    &FILE.upstreams.definition,
    &FILE.routes.definition,
    &FILE.dialects.definition,
    &FILE.envelopes.definition,
];

/// The largest number of files that a configuration may include. Beyond it an error is reported, and no more files are
/// read.
const FILES_MAX: usize = 1_000;

/// The total size of included files, in bytes, beyond which an error is reported and no more files are read.
const SIZE_MAX: usize = 64 * 1024 * 1024;

/// The options of patterns. Names that begin with a dot don't match: editors use such names for temporary files, and
/// Kubernetes for the versions of a mounted config map.
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// Reads all files that `include` of the first file names, and adds their tables to those of `root`.
pub(super) fn include(root: &mut Spanned, path: &Path, context: &mut Context<'_>) {
    let (mut read, mut size) = (vec![plain(path)], 0);
    let patterns = FILE.include.read(root).into_iter().filter(|pattern| syntax::include(&pattern.value).is_ok());
    for pattern in patterns {
        for file in find(&pattern, path.parent().unwrap_or_else(|| Path::new("")), context) {
            // Each file is read once, even if two patterns name it, or a pattern names the first file.
            if read.contains(&plain(&file)) {
                continue;
            }
            // `read` also contains the first file, so after `FILES_MAX` included files it has one element more.
            if read.len() > FILES_MAX || size > SIZE_MAX {
                let message = format!("more than {FILES_MAX} files or {} MiB are included", SIZE_MAX >> 20);
                context.diagnostics.error(pattern.at, message, "join files, or run several gateways");
                return;
            }
            if let Some((included, bytes)) = file_of(&file, pattern.at, context) {
                merge(root, included, context);
                size += bytes;
            }
            read.push(plain(&file));
        }
    }
}

/// Returns a path without a leading `./`. Paths are compared in this form, because a comparison ignores a `.`
/// everywhere except at the beginning.
fn plain(path: &Path) -> PathBuf {
    path.strip_prefix(".").unwrap_or(path).to_owned()
}

/// Returns the files that a pattern names, sorted by path. A folder stands for its files whose names end in `.toml`.
fn find(pattern: &Located<String>, folder: &Path, context: &mut Context<'_>) -> Vec<PathBuf> {
    let mut found = vec![folder.to_owned()];
    for segment in Path::new(&pattern.value).components() {
        let text = segment.as_os_str().to_string_lossy();
        let matching = Pattern::new(&text).ok().filter(|_| text.contains(['*', '?', '[']));
        let Some(matching) = matching else {
            found.iter_mut().for_each(|path| path.push(segment));
            continue;
        };
        found = found
            .iter()
            .flat_map(|folder| {
                // A folder that can't be listed has no matching files. If no file is found at all, that is reported
                // below.
                let names = context.environment.entries(folder).unwrap_or_default();
                names.into_iter().filter(|name| matching.matches_with(name, OPTIONS)).map(|name| folder.join(name))
            })
            .collect();
    }
    let mut files: Vec<PathBuf> = found
        .into_iter()
        .flat_map(|path| match context.environment.entries(&path) {
            Ok(names) => {
                let names = names.into_iter().filter(|name| name.ends_with(".toml") && !name.starts_with('.'));
                names.map(|name| path.join(name)).collect()
            }
            // A path that isn't a folder counts as a file. If the file can't be read, the caller reports that.
            Err(_) => vec![path],
        })
        .collect();
    // Folders list their names in any order, so the files are sorted to be read in the same order each time.
    files.sort();
    if files.is_empty() {
        let message = format!("{:?} names no file", pattern.value);
        let help = format!("patterns and folders begin at {}", shown(folder));
        context.diagnostics.warning(pattern.at, message, help);
    }
    files
}

fn shown(folder: &Path) -> String {
    if folder == Path::new("") { "the current folder".to_owned() } else { folder.display().to_string() }
}

/// Reads an included file, and returns its table and its length in bytes. Returns `None` if the file can't be read, and
/// reports that at the place that includes it.
fn file_of(path: &Path, at: Location, context: &mut Context<'_>) -> Option<(Spanned, usize)> {
    let name = path.display().to_string();
    let text = match context.file_at(path) {
        Ok(bytes) => String::from_utf8(bytes),
        Err((message, help)) => {
            context.diagnostics.error(at, message, help);
            return None;
        }
    };
    let Ok(text) = text else {
        context.diagnostics.error(at, format!("{name} is not UTF-8 text"), "save the file as UTF-8");
        return None;
    };
    let mut root = parse(&name, &text, context);
    context.check_writers(path, root.at);
    if let Value::Table(members) = &mut root.value {
        members.retain(|(key, _)| is_allowed(key, context));
    }
    schema::inspect(&root, &Schema::Table(KEYS), "", context.diagnostics);
    Some((root, text.len()))
}

/// Returns whether an included file may have a key, and reports a key that only the first file may have. An unknown key
/// is allowed here, because the schema reports it.
fn is_allowed(key: &Located<String>, context: &mut Context<'_>) -> bool {
    let name = key.value.as_str();
    let is_known = |keys: &[&Definition]| keys.iter().any(|known| known.name == name);
    if is_known(KEYS) || !is_known(FileKeys::KEYS) {
        return true;
    }
    let help = match name {
        _ if name == FILE.defaults.definition.name => "write [upstreams.NAME.defaults], for the routes of an upstream",
        _ if name == FILE.include.definition.name => "name the file in the first one: included files include no others",
        _ => "write it in the first file: included files have upstreams, routes, dialects and envelopes",
    };
    context.diagnostics.error(key.at, format!("an included file can't have `{name}`"), help);
    false
}

/// Adds the tables of an included file to those of the first one.
fn merge(root: &mut Spanned, included: Spanned, context: &mut Context<'_>) {
    let (Value::Table(members), Value::Table(further)) = (&mut root.value, included.value) else { return };
    for (name, table) in further {
        if !TABLES.iter().any(|known| known.definition.name == name.value) {
            continue;
        }
        let Some((_, known)) = members.iter_mut().find(|(known, _)| known.value == name.value) else {
            members.push((name, table));
            continue;
        };
        let (Value::Table(known), Value::Table(further)) = (&mut known.value, table.value) else { continue };
        for (own, value) in further {
            let Some((first, _)) = known.iter().find(|(first, _)| first.value == own.value) else {
                known.push((own, value));
                continue;
            };
            let place = context.diagnostics.place_seen_from(first.at, own.at);
            let message = format!("{}.{} is defined in {place} already", name.value, own.value);
            context.diagnostics.error(own.at, message, "give one of the two another name, or remove it");
        }
    }
}
