//! From the tree of a file to settings: merges defaults, resolves names, opens secrets, and reports faults that depend on
//! two values. Faults of a single value were reported by [`super::schema`] before; such a value counts as absent here.

mod cors;
mod dialect;
mod envelope;
mod exposure;
mod field;
mod keyring;
mod legacy;
mod links;
mod list;
mod methods;
mod mode;
mod openapi;
mod path;
mod principal;
mod route;
mod server;
mod tls;
mod traces;
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

/// Reads the names of parameters from a table that has a key for each role; `$keys` is its definition.
macro_rules! parameter_names {
    ($keys:expr, $table:expr) => {{
        let (keys, table) = ($keys, $table);
        let roles = [
            (Role::Limit, &keys.limit),
            (Role::LimitBackward, &keys.limit_backward),
            (Role::Cursor, &keys.cursor),
            (Role::After, &keys.after),
            (Role::Before, &keys.before),
            (Role::AfterId, &keys.after_id),
            (Role::BeforeId, &keys.before_id),
            (Role::Sort, &keys.sort),
        ];
        roles.into_iter().filter_map(|(role, key)| Some((role, key.located(table)?))).collect()
    }};
}
use parameter_names;

/// The state that all parts of the check share.
pub(super) struct Context<'a> {
    pub(super) diagnostics: &'a mut Diagnostics,
    pub(super) environment: &'a dyn Environment,
    /// The folder that relative paths begin at.
    pub(super) folder: PathBuf,
    /// The file has no syntax errors. With one, a part of it was lost, so that no key is reported as missing.
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
    tls::check_subject(root, &server, context);
    let upstreams = upstream::upstreams(root, context);
    exposure::check(root, &server, &listeners, admin.as_ref(), context);
    for upstream in &upstreams {
        exposure::check_peers(&upstream.peers, &listeners, admin.as_ref(), context);
    }
    let routes = route::routes(root, context);
    let traces = traces::traces(root, context);
    links::check(&server, &routes, &upstreams, context);
    // Dialects and envelopes that no route names are read as well, so that their faults show before they are used.
    let (dialects, envelopes) = (FILE.dialects.table(root), FILE.envelopes.table(root));
    let mut finder = dialect::Dialects::new(&dialects, context);
    let own_dialects = dialects.members().iter().filter_map(|(name, _)| finder.find(name, context)).collect();
    let mut finder = envelope::Envelopes::new(&envelopes, context);
    let own_envelopes = envelopes.members().iter().filter_map(|(name, _)| finder.find(name, context)).collect();
    Settings { server, listeners, admin, log, traces, cursor, caches, upstreams, routes, own_dialects, own_envelopes }
}

/// Reads the admin listener alone.
pub(super) fn admin(root: &Spanned, context: &mut Context<'_>) -> Option<AdminSettings> {
    server::admin(root, &[], context)
}

impl Context<'_> {
    /// Reports that a key is missing.
    fn missing(&mut self, at: Location, message: impl Into<String>, help: impl Into<String>) {
        if self.whole {
            self.diagnostics.error(at, message, help);
        }
    }

    /// Opens `env:NAME` or `file:PATH` and returns its bytes without the line end. `hint` is appended to the help.
    fn secret(&mut self, reference: &Located<String>, hint: &str) -> Option<Secret> {
        let opened =
            match reference.value.split_once(':') {
                Some(("env", name)) => self.environment.variable(name).map(String::into_bytes).ok_or_else(|| {
                    (format!("the environment variable {name} is not set"), format!("set {name}{hint}"))
                }),
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

    /// Warns about a file that any account of the machine may write.
    pub(super) fn check_writers(&mut self, path: &Path, at: Location) {
        if self.environment.permissions(path).is_some_and(Permissions::lets_everybody_write) {
            let message = format!("every account of this machine can write {}", path.display());
            self.diagnostics.warning(at, message, format!("chmod o-w {}", path.display()));
        }
    }

    /// Warns about a file with a secret that accounts other than its owner's may read or write.
    fn check_readers(&mut self, path: &str, at: Location) {
        self.check_writers(Path::new(path), at);
        if self.environment.permissions(Path::new(path)).is_some_and(Permissions::lets_others_read) {
            let message = format!("accounts other than the owner's can read the secret in {path}");
            self.diagnostics.warning(at, message, format!("chmod 600 {path}; or 640 if root owns it"));
        }
    }

    /// Returns a path as it is opened: relative ones begin at the folder of the configuration.
    fn path(&self, path: &str) -> String {
        self.folder.join(path).display().to_string()
    }

    /// Reads a file that the configuration names, or returns a message and a help.
    fn file(&self, path: &str) -> Result<Vec<u8>, (String, String)> {
        let whole = self.path(path);
        match self.environment.read(Path::new(&whole)) {
            Ok(bytes) if bytes.len() <= FILE_SIZE_MAX => Ok(bytes),
            Ok(_) => Err((format!("{path} is larger than {} MiB", FILE_SIZE_MAX >> 20), "name another file".into())),
            Err(error) => Err((format!("{path} can't be read: {error}"), format!("the path is {whole}"))),
        }
    }
}
