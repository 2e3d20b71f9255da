//! Configuration: from the text of a file to typed settings.
//!
//! Every key is defined once, in `keys`, with the types of `key`. A file is read in two stages. `toml_text` parses it
//! into a tree with locations (`spanned`), and `schema` checks that tree against the definitions: unknown keys, wrong
//! types and missing units are reported here. `check` then merges `[defaults]`, an upstream's `defaults` and the route,
//! follows `extends`, opens secrets, reports faults that depend on two values, and builds [`settings::Settings`]. The
//! rest of the program only sees settings. `reference` and `json_schema` print the definitions.
//!
//! All faults are collected in one [`Diagnostics`], to which the compilers of dialects and envelopes add theirs. Only
//! this module and the shell read files and the environment. The module resolves no names and reads no clock.

mod check;
mod contract;
pub mod diagnostic;
mod environment;
mod include;
pub mod json_schema;
mod key;
mod keys;
pub mod outgoing;
pub mod presets;
pub mod redacted;
pub mod reference;
mod schema;
pub mod secret;
pub mod settings;
pub mod sort_form;
mod spanned;
mod syntax;
mod toml_text;
pub mod tree;
mod units;
mod variables;

#[cfg(test)]
mod tests;

use std::path::Path;

pub use contract::{load_contract, load_exchanges};
pub use diagnostic::Diagnostics;
use diagnostic::Location;
pub use environment::{Addresses, Environment, FILE_SIZE_MAX, Permissions, ProcessEnvironment, WithoutSecrets};
pub use presets::CONNECTION;
pub use presets::{preset_dialects, preset_envelopes, preset_of_file};
use settings::{AdminSettings, CursorKeySettings, LogSettings, Settings};
pub use variables::open_argument;

/// Reads a configuration file and all files that it names. Returns no settings if the file can't be read. If the
/// diagnostics contain errors, the settings lack the faulty parts: the settings may be checked further, but no snapshot
/// can be built from them.
#[must_use]
pub fn load(path: &Path, environment: &dyn Environment) -> (Option<Settings>, Diagnostics) {
    let mut diagnostics = Diagnostics::default();
    match read_text(path, environment, &mut diagnostics) {
        Some(text) => load_text(&path.display().to_string(), &text, environment),
        None => (None, diagnostics),
    }
}

/// Reads the admin listener of a configuration, whatever other faults the file has. Returns `None` if the file has no
/// admin listener, or a faulty one, which the diagnostics report.
#[must_use]
pub fn load_admin(path: &Path, environment: &dyn Environment) -> (Option<AdminSettings>, Diagnostics) {
    let mut diagnostics = Diagnostics::default();
    let admin = load_part(path, environment, &mut diagnostics, check::admin);
    (admin, diagnostics)
}

/// Reads the settings of the log, whatever other faults the file has. Returns `None` if the file can't be read.
#[must_use]
pub fn load_log(path: &Path, environment: &dyn Environment) -> Option<LogSettings> {
    load_part(path, environment, &mut Diagnostics::default(), |root, _| Some(keys::FILE.log.settings(root)))
}

/// Reads the keys of cursors of a configuration, whatever other faults the file has. Returns `None` if the file has no
/// keys, or faulty ones, which the diagnostics report.
#[must_use]
pub fn load_cursor_keys(path: &Path, environment: &dyn Environment) -> (Option<CursorKeySettings>, Diagnostics) {
    let mut diagnostics = Diagnostics::default();
    let keys = load_part(path, environment, &mut diagnostics, check::cursor_keys);
    (keys, diagnostics)
}

/// Reads a part of a configuration. If the part is missing, the faults of all single values are reported, because one
/// of them may be the reason.
fn load_part<T>(
    path: &Path,
    environment: &dyn Environment,
    diagnostics: &mut Diagnostics,
    part: fn(&spanned::Spanned, &mut check::Context<'_>) -> Option<T>,
) -> Option<T> {
    let text = read_text(path, environment, diagnostics)?;
    let mut context = check::Context { diagnostics, environment, whole: true };
    let root = parse(&path.display().to_string(), &text, &mut context);
    let found = part(&root, &mut context);
    if found.is_none() {
        schema::inspect(&root, &keys::FILE_SCHEMA, "", context.diagnostics);
    }
    found
}

/// Reads the text of a file. Returns `None` for a file that can't be read, and reports it.
fn read_text(path: &Path, environment: &dyn Environment, diagnostics: &mut Diagnostics) -> Option<String> {
    let (message, help) = match environment.read(path).map(String::from_utf8) {
        Err(error) => (
            format!("the file can't be read: {error}"),
            "name another one; `cursorgate init` and `cursorgate learn URL` write one",
        ),
        Ok(Err(error)) => {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
            (format!("line {line} is not UTF-8 text"), "save the file as UTF-8")
        }
        Ok(Ok(text)) => return Some(text),
    };
    let source = diagnostics.add_source(path.display().to_string(), String::new());
    diagnostics.error(Location { source, start: 0, end: 0 }, message, help);
    None
}

/// Reads a configuration from its text. `name` is the path of the file: diagnostics show it, and relative paths in the
/// text begin at its folder.
#[must_use]
pub fn load_text(name: &str, text: &str, environment: &dyn Environment) -> (Option<Settings>, Diagnostics) {
    let mut diagnostics = Diagnostics::default();
    if text.len() > FILE_SIZE_MAX {
        let source = diagnostics.add_source(name.to_owned(), String::new());
        let message = format!("the configuration is larger than {} MiB", FILE_SIZE_MAX >> 20);
        diagnostics.error(Location { source, start: 0, end: 0 }, message, "name another file");
        return (None, diagnostics);
    }
    let mut context = check::Context { diagnostics: &mut diagnostics, environment, whole: true };
    let mut root = parse(name, text, &mut context);
    schema::inspect(&root, &keys::FILE_SCHEMA, "", context.diagnostics);
    context.check_writers(Path::new(name), root.at);
    // The main file has been inspected above, because each included file is inspected on its own, against the keys that
    // an included file may have.
    include::include(&mut root, Path::new(name), &mut context);
    let settings = check::settings(&root, &mut context);
    (Some(settings), diagnostics)
}

/// Reads the text of a file into a tree, with its variables filled in.
fn parse(name: &str, text: &str, context: &mut check::Context<'_>) -> spanned::Spanned {
    let source = context.diagnostics.add_source(name.to_owned(), text.to_owned());
    let (mut root, whole) = toml_text::read(source, text, context.diagnostics);
    context.whole &= whole;
    variables::fill(&mut root, &keys::FILE_SCHEMA, context.environment, context.diagnostics);
    root
}
