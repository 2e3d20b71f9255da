//! From what was written to what it means: defaults are merged, names resolved, secrets opened, and what only shows when
//! two values are looked at together is reported. What one value alone shows, [`super::schema`] has reported before; here
//! it reads as not written.

mod cors;
mod dialect;
mod envelope;
mod exposure;
mod field;
mod keyring;
mod legacy;
mod list;
mod methods;
mod mode;
mod openapi;
mod path;
mod principal;
mod route;
mod server;
mod upstream;

use std::path::{Path, PathBuf};

use super::{
    Environment, FILE_SIZE_MAX, Permissions,
    diagnostic::{Diagnostics, Located, Location},
    keys::FILE,
    secret::Secret,
    settings::{AdminSettings, Settings},
    spanned::Spanned,
    syntax,
};

/// What every part of the check needs.
pub(super) struct Context<'a> {
    pub(super) diagnostics: &'a mut Diagnostics,
    pub(super) environment: &'a dyn Environment,
    /// Where relative paths begin.
    pub(super) folder: PathBuf,
    /// Whether the whole file could be read. Where a part was lost to a syntax error, nothing is said to be missing.
    pub(super) whole: bool,
}

/// Reads the settings of a file. Parts with errors are missing, or have their defaults.
pub(super) fn settings(root: &Spanned, context: &mut Context<'_>) -> Settings {
    for tables in [&FILE.listeners, &FILE.upstreams, &FILE.routes, &FILE.dialects, &FILE.envelopes] {
        for (name, _) in tables.table(root).members() {
            if let Err(fault) = syntax::table_name(&name.value) {
                fault.report(name.at, &name.value, context.diagnostics);
            }
        }
    }
    // There is one version so far: its definition admits no other.
    let _ = FILE.version.find(root);
    let server = server::server(&FILE.server.table(root));
    let listeners = server::listeners(root, context);
    let admin = server::admin(root, &listeners, context);
    let log = server::log(&FILE.log.table(root));
    let cursor = keyring::keys(root, context);
    let caches = server::caches(&FILE.caches.table(root));
    let upstreams = upstream::upstreams(root, context);
    exposure::check(root, &server, &listeners, admin.as_ref(), context);
    for upstream in &upstreams {
        exposure::check_peers(&upstream.peers, &listeners, admin.as_ref(), context);
    }
    let routes = route::routes(root, context);
    // A mistake is not to be found on the day it is used: what no route names is looked at as well.
    let (dialects, envelopes) = (FILE.dialects.table(root), FILE.envelopes.table(root));
    let mut finder = dialect::Dialects::new(&dialects, context);
    let own_dialects = dialects.members().iter().filter_map(|(name, _)| finder.find(name, context)).collect();
    let mut finder = envelope::Envelopes::new(&envelopes, context);
    let own_envelopes = envelopes.members().iter().filter_map(|(name, _)| finder.find(name, context)).collect();
    Settings { server, listeners, admin, log, cursor, caches, upstreams, routes, own_dialects, own_envelopes }
}

/// The admin listener alone.
pub(super) fn admin(root: &Spanned, context: &mut Context<'_>) -> Option<AdminSettings> {
    server::admin(root, &[], context)
}

impl Context<'_> {
    /// Reports that something was not written.
    fn missing(&mut self, at: Location, message: impl Into<String>, help: impl Into<String>) {
        if self.whole {
            self.diagnostics.error(at, message, help);
        }
    }

    /// Opens `env:NAME` or `file:PATH`: its bytes without the line end. `hint` says where one is had from.
    fn secret(&mut self, reference: &Located<String>, hint: &str) -> Option<Secret> {
        let opened = match reference.value.split_once(':') {
            Some(("env", name)) => self
                .environment
                .variable(name)
                .map(String::into_bytes)
                .ok_or_else(|| (format!("the environment has no {name}"), format!("set {name}{hint}"))),
            Some(("file", path)) => {
                self.check_readers(&self.path(path), reference.at);
                self.file(path)
            }
            _ => return None,
        };
        match opened {
            Ok(mut bytes) => {
                if bytes.last() == Some(&b'\n') {
                    bytes.pop();
                    if bytes.last() == Some(&b'\r') {
                        bytes.pop();
                    }
                }
                Some(Secret::new(bytes))
            }
            Err((message, help)) => {
                self.diagnostics.error(reference.at, message, help);
                None
            }
        }
    }

    /// Warns of a file that any account of the machine may write: whoever has one decides what it says.
    pub(super) fn check_writers(&mut self, path: &Path, at: Location) {
        if self.environment.permissions(path).is_some_and(Permissions::lets_everybody_write) {
            let message = format!("every account of this machine can write {}", path.display());
            self.diagnostics.warning(at, message, format!("chmod o-w {}", path.display()));
        }
    }

    /// Warns of a file with a secret that others than its owner may read, or write.
    fn check_readers(&mut self, path: &str, at: Location) {
        self.check_writers(Path::new(path), at);
        if self.environment.permissions(Path::new(path)).is_some_and(Permissions::lets_others_read) {
            let message = format!("others than its owner can read the secret in {path}");
            self.diagnostics.warning(at, message, format!("chmod 600 {path}; or 640, where root is its owner"));
        }
    }

    /// A path as it is opened: relative ones begin at the folder of the configuration.
    fn path(&self, path: &str) -> String {
        self.folder.join(path).display().to_string()
    }

    /// Reads a file that the configuration names; what is wrong and what would be right, if it can't be read.
    fn file(&self, path: &str) -> Result<Vec<u8>, (String, String)> {
        let whole = self.path(path);
        match self.environment.read(Path::new(&whole)) {
            Ok(bytes) if bytes.len() <= FILE_SIZE_MAX => Ok(bytes),
            Ok(_) => Err((format!("{path} is larger than {} MiB", FILE_SIZE_MAX >> 20), "name another file".into())),
            Err(error) => Err((format!("{path} can't be read: {error}"), format!("it is looked for at {whole}"))),
        }
    }
}
