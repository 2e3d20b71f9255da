//! Configuration: from the text of a file to typed settings.
//!
//! Every key is defined once, in `keys`, by the means of `key`. A file is read in two stages. `toml_text` parses it into
//! a tree with locations (`spanned`), and `schema` checks that tree against the definitions: unknown keys, wrong types
//! and missing units are reported here. `check` then merges `[defaults]`, an upstream's `defaults` and the route,
//! follows `extends`, opens secrets, reports what depends on two values, and builds [`settings::Settings`]. The rest of
//! the program sees settings only. `reference` and `json_schema` print the definitions.
//!
//! All faults are collected in one [`Diagnostics`], to which the compilers of dialects and envelopes add theirs.
//! This module and the shell are the only readers of files and of the environment. It resolves no names and reads no
//! clock.

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
    net::SocketAddr,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

pub use diagnostic::Diagnostics;
use diagnostic::Location;
pub use presets::{preset_dialects, preset_envelopes};
use settings::{AdminSettings, Settings};

/// The largest configuration file, dialect or envelope that is read, in bytes.
pub const FILE_SIZE_MAX: usize = 4 * 1024 * 1024;

/// Spare capacity of a buffer, so that reading to the end of a file neither grows it nor uses another one.
const ROOM_FOR_THE_END: usize = 64;

/// The environment variables and files that a configuration names. Tests bring their own.
pub trait Environment {
    /// Returns an environment variable, or `None` if it is not set or not Unicode.
    fn variable(&self, name: &str) -> Option<String>;

    /// Returns the bytes of a file. Of a file larger than [`FILE_SIZE_MAX`], at least one byte more than that.
    ///
    /// # Errors
    ///
    /// The error of the system that kept the file from being read.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Returns the permissions of a file, or `None` if they are not known.
    fn permissions(&self, _path: &Path) -> Option<Permissions> {
        None
    }

    /// Returns the addresses that take the place of those in the file.
    fn addresses(&self) -> Addresses {
        Addresses::default()
    }

    /// Returns whether the process runs in a container, whose loopback nobody else reaches.
    fn is_container(&self) -> bool {
        false
    }
}

/// Addresses that take the place of those in a file, from the command line or the environment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// The address of the only listener.
    pub listen: Option<SocketAddr>,
    /// The address of the admin listener.
    pub admin: Option<SocketAddr>,
}

/// The permissions of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// The nine bits of POSIX, and others above them.
    pub mode: u32,
    /// The owner's number; 0 is the system's administrator.
    pub owner: u32,
}

impl Permissions {
    /// Returns whether every account of the machine may write it.
    #[must_use]
    pub fn lets_everybody_write(self) -> bool {
        self.mode & 0o002 != 0
    }

    /// Returns whether accounts other than the owner's may read it. A group of a file that the administrator owns was chosen on
    /// purpose and does not count.
    #[must_use]
    pub fn lets_others_read(self) -> bool {
        let by_group = self.mode & 0o040 != 0 && self.owner != 0;
        by_group || self.mode & 0o004 != 0
    }
}

/// The environment and the files of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessEnvironment {
    /// The addresses of the command line.
    pub addresses: Addresses,
}

impl Environment for ProcessEnvironment {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = std::fs::File::open(path)?;
        let most = u64::try_from(FILE_SIZE_MAX).unwrap_or(u64::MAX);
        // The buffer has its full capacity from the beginning: a buffer that grows leaves a copy of its bytes in memory,
        // and a file may hold a key.
        let length = usize::try_from(file.metadata()?.len().min(most)).unwrap_or(FILE_SIZE_MAX);
        let mut bytes = Vec::with_capacity(length + ROOM_FOR_THE_END);
        file.take(most + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn permissions(&self, path: &Path) -> Option<Permissions> {
        let metadata = std::fs::metadata(path).ok()?;
        Some(Permissions { mode: metadata.mode(), owner: metadata.uid() })
    }

    fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// By the files that Docker and Podman put into each container, and the variable that Kubernetes sets.
    fn is_container(&self) -> bool {
        let has_file = ["/.dockerenv", "/run/.containerenv"].iter().any(|path| Path::new(path).exists());
        has_file || std::env::var_os("KUBERNETES_SERVICE_HOST").is_some()
    }
}

/// Reads a configuration file and everything it names. With errors among the diagnostics, the settings lack the parts at
/// fault and serve for further checks alone: no snapshot can be built from them. There are none if the file can't be
/// read.
#[must_use]
pub fn load(path: &Path, environment: &dyn Environment) -> (Option<Settings>, Diagnostics) {
    match read_text(path, environment) {
        Ok(text) => load_text(&path.display().to_string(), &text, environment),
        Err(diagnostics) => (None, diagnostics),
    }
}

/// Reads the admin listener of a configuration, whatever other faults the file has. If it has none, the diagnostics may
/// say why.
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
