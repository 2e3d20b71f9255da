//! Configuration: what was written, and what it means.
//!
//! A file is read in two stages. `written` and `form` read the TOML into a tree in which every part knows its place,
//! and hold it against the closed list of what may be written (`keys`): unknown keys, wrong types and missing units
//! are faults there, once, wherever they stand. `check` then merges `[defaults]`, an upstream's `defaults` and the
//! route, follows `extends`, opens secrets and builds [`settings::Settings`], in which every value is typed and means
//! something. The rest of the program sees settings only.
//!
//! All faults are collected in one [`Diagnostics`], to which the compilers of dialects and envelopes add theirs.
//! This module and the shell are the only readers of files and of the environment; nothing here resolves a name or
//! reads a clock.

mod check;
pub mod diagnostic;
pub mod json_schema;
mod key;
mod keys;
pub mod presets;
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

#[cfg(test)]
mod tests;

use std::{
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

pub use diagnostic::Diagnostics;
use diagnostic::Location;
pub use presets::{preset_dialects, preset_envelopes};
use settings::{AdminSettings, Settings};

/// The largest configuration file, dialect or envelope that is read, in bytes.
pub const FILE_SIZE_MAX: usize = 4 * 1024 * 1024;

/// What must be free in a buffer, so that reading the end of a file neither grows it nor goes through another one.
const ROOM_FOR_THE_END: usize = 64;

/// What a configuration takes from outside the file: an argument, so that tests need no environment of their own.
pub trait Environment {
    /// An environment variable; nothing where it is not set or is no Unicode.
    fn variable(&self, name: &str) -> Option<String>;

    /// The bytes of a file; of one larger than [`FILE_SIZE_MAX`] at least one byte more than that.
    ///
    /// # Errors
    ///
    /// Whatever kept the file from being read.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Who may do what with a file; nothing where that is not known.
    fn permissions(&self, _path: &Path) -> Option<Permissions> {
        None
    }
}

/// Who may do what with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// The nine bits of POSIX, and others above them.
    pub mode: u32,
    /// The owner's number; 0 is the system's administrator.
    pub owner: u32,
}

impl Permissions {
    /// Whether every account of the machine may write it.
    #[must_use]
    pub fn lets_everybody_write(self) -> bool {
        self.mode & 0o002 != 0
    }

    /// Whether others than the owner may read it. A group that the administrator gave it to was chosen to.
    #[must_use]
    pub fn lets_others_read(self) -> bool {
        let by_group = self.mode & 0o040 != 0 && self.owner != 0;
        by_group || self.mode & 0o004 != 0
    }
}

/// The environment and the files of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = std::fs::File::open(path)?;
        let most = u64::try_from(FILE_SIZE_MAX).unwrap_or(u64::MAX);
        // With room for all of it from the beginning: a buffer that grows leaves what it held behind, and a file may hold
        // a key.
        let length = usize::try_from(file.metadata()?.len().min(most)).unwrap_or(FILE_SIZE_MAX);
        let mut bytes = Vec::with_capacity(length + ROOM_FOR_THE_END);
        file.take(most + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn permissions(&self, path: &Path) -> Option<Permissions> {
        let metadata = std::fs::metadata(path).ok()?;
        Some(Permissions { mode: metadata.mode(), owner: metadata.uid() })
    }
}

/// Reads a configuration file and everything it names. There are settings only where there is no error; there may be
/// warnings beside them.
#[must_use]
pub fn load(path: &Path, environment: &dyn Environment) -> (Option<Settings>, Diagnostics) {
    match read_text(path, environment) {
        Ok(text) => load_text(&path.display().to_string(), &text, environment),
        Err(diagnostics) => (None, diagnostics),
    }
}

/// Where a configuration has its admin listener, whatever else is wrong with it. Where there is none, the diagnostics
/// may say why.
#[must_use]
pub fn load_admin(path: &Path, environment: &dyn Environment) -> (Option<AdminSettings>, Diagnostics) {
    let text = match read_text(path, environment) {
        Ok(text) => text,
        Err(diagnostics) => return (None, diagnostics),
    };
    let mut diagnostics = Diagnostics::default();
    let source = diagnostics.add_source(path.display().to_string(), text.clone());
    let (root, whole) = toml_text::read(source, &text, &mut diagnostics);
    let mut context = check::Context { diagnostics: &mut diagnostics, environment, folder: PathBuf::new(), whole };
    let admin = check::admin(&root, &mut context);
    if admin.is_none() {
        schema::inspect(&root, &keys::FILE_SCHEMA, "", &mut diagnostics);
    }
    (admin, diagnostics)
}

fn read_text(path: &Path, environment: &dyn Environment) -> Result<String, Diagnostics> {
    let unreadable = |message: String, help: &str| {
        let mut diagnostics = Diagnostics::default();
        let source = diagnostics.add_source(path.display().to_string(), String::new());
        diagnostics.error(Location { source, start: 0, end: 0 }, message, help);
        diagnostics
    };
    match environment.read(path).map(String::from_utf8) {
        Err(error) => {
            Err(unreadable(format!("the configuration can't be read: {error}"), "name another file by --config"))
        }
        Ok(Err(error)) => {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
            Err(unreadable(format!("line {line} is no UTF-8 text"), "save the file as UTF-8"))
        }
        Ok(Ok(text)) => Ok(text),
    }
}

/// Reads a configuration from its text. `name` is what diagnostics call it; relative paths in it are taken from the
/// folder of that name.
#[must_use]
pub fn load_text(name: &str, text: &str, environment: &dyn Environment) -> (Option<Settings>, Diagnostics) {
    let mut diagnostics = Diagnostics::default();
    let fits = text.len() <= FILE_SIZE_MAX;
    let source = diagnostics.add_source(name.to_owned(), if fits { text.to_owned() } else { String::new() });
    if !fits {
        let message = format!("the configuration is larger than {} MiB", FILE_SIZE_MAX >> 20);
        diagnostics.error(Location { source, start: 0, end: 0 }, message, "name another file");
        return (None, diagnostics);
    }
    let (root, whole) = toml_text::read(source, text, &mut diagnostics);
    schema::inspect(&root, &keys::FILE_SCHEMA, "", &mut diagnostics);
    let folder = Path::new(name).parent().map(Path::to_owned).unwrap_or_default();
    let mut context = check::Context { diagnostics: &mut diagnostics, environment, folder, whole };
    context.check_writers(Path::new(name), Location { source, start: 0, end: 0 });
    let settings = check::settings(&root, &mut context);
    (Some(settings), diagnostics)
}
