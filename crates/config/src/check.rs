//! From the tree of a file to settings: merges defaults, resolves names, opens secrets, and reports faults that depend
//! on two values. Faults of a single value have been reported by [`super::schema`]; such a value counts as absent here.

mod api;
mod cors;
mod dialect;
mod envelope;
mod exposure;
mod field;
mod identity;
mod keyring;
mod legacy;
mod links;
mod list;
mod methods;
mod mode;
mod openapi;
mod other_paths;
mod page_cache;
mod path;
mod principal;
mod rate_limit;
mod route;
mod server;
mod services;
mod store;
mod tls;
mod traces;
mod upstream;
mod webhooks;

pub(super) use keyring::keys as cursor_keys;

use std::path::Path;

use zeroize::Zeroizing;

use super::{
    Environment, FILE_SIZE_MAX, Permissions,
    diagnostic::{Diagnostics, Located, Location},
    key::Key,
    keys::{FILE, FILE_SCHEMA},
    redacted::RedactedConfiguration,
    schema,
    secret::Secret,
    settings::{AdminSettings, RouteSettings, ServerSettings, Settings},
    spanned::Spanned,
    syntax,
    variables::{self, Piece},
};

/// Reads the names of parameters from a table that has a key for each role. `$keys` is the definition of the table.
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
    /// True if no file has a syntax error. After a syntax error, keys of that file may be lost, so no key is reported
    /// as missing.
    pub(super) whole: bool,
}

/// Reads the settings of a file. Parts with errors are missing, or have their defaults.
pub(super) fn settings(root: &Spanned, context: &mut Context<'_>) -> Settings {
    for tables in [&FILE.listeners, &FILE.upstreams, &FILE.routes, &FILE.dialects, &FILE.envelopes] {
        for (name, _) in tables.table(root).members() {
            context.check_name(name);
        }
    }
    // After a syntax error, the version may be in the part that was lost, so it isn't reported as missing.
    if FILE.version.find(root).is_none() && context.whole {
        let help = "write version = 1 first: it tells later versions of cursorgate the format";
        context.diagnostics.warning(root.at, "the file has no version", help);
    }
    let server: ServerSettings = FILE.server.settings(root);
    let tokens = identity::tokens(root, context);
    let identity_answer = identity::answer(root, context);
    let listeners = server::listeners(root, context);
    let admin = server::admin(root, &listeners, context);
    let log = FILE.log.settings(root);
    let cursor = cursor_keys(root, context);
    let caches = server::caches(root, context);
    let api = api::api(root, context);
    tls::check_subject(root, &server, context);
    let upstreams = upstream::upstreams(root, context);
    identity::check_answer(identity_answer.as_ref(), &upstreams, context);
    exposure::check(root, &server, &listeners, admin.as_ref(), context);
    for upstream in &upstreams {
        exposure::check_peers(&upstream.peers, &listeners, admin.as_ref(), context);
    }
    let routes = route::routes(root, context);
    identity::compare(&routes, &upstreams, context);
    let traces = traces::traces(root, context);
    // Services and links are checked against the routes, so the routes are read first.
    let services = services::services(root, &routes, context);
    links::check(&server, &routes, &upstreams, context);
    // Dialects and envelopes that no route names are also read, to find their faults before they are used.
    let (dialects, envelopes) = (FILE.dialects.table(root), FILE.envelopes.table(root));
    let mut finder = dialect::Dialects::new(&dialects, context);
    let own_dialects = dialects.members().iter().filter_map(|(name, _)| finder.find(name, context)).collect();
    let mut finder = envelope::Envelopes::new(&envelopes, context);
    let own_envelopes = envelopes.members().iter().filter_map(|(name, _)| finder.find(name, context)).collect();
    let written = RedactedConfiguration::of(root, &FILE_SCHEMA);
    Settings {
        server,
        tokens,
        identity_answer,
        listeners,
        admin,
        log,
        traces,
        cursor,
        caches,
        api,
        services,
        upstreams,
        routes,
        own_dialects,
        own_envelopes,
        written,
    }
}

/// Reads only the admin listener.
pub(super) fn admin(root: &Spanned, context: &mut Context<'_>) -> Option<AdminSettings> {
    // No listeners are passed, because they may be at fault, and `cursorgate health` must still reach the running
    // process. Test: `health_asks_the_running_gateway`.
    server::admin(root, &[], context)
}

impl Context<'_> {
    /// Reports that a key or a table is missing, unless a syntax error may have hidden it.
    pub(super) fn missing(&mut self, at: Location, message: impl Into<String>, help: impl Into<String>) {
        if self.whole {
            self.diagnostics.error(at, message, help);
        }
    }

    /// Returns the value of a key that a table must have. Returns `None` for a missing key, and reports it, and for a
    /// faulty one, which has been reported.
    pub(super) fn required<T>(
        &mut self,
        key: &Key<T>,
        table: &Spanned,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Option<T> {
        if key.find(table).is_none() {
            self.missing(table.at, message, help);
        }
        key.read(table)
    }

    /// Reports a name of the operator's choice that can't be in logs and metrics.
    fn check_name(&mut self, name: &Located<String>) {
        if let Err(fault) = syntax::table_name(&name.value) {
            fault.report(name.at, &name.value, self.diagnostics);
        }
    }

    /// Warns of routes that a service hides by answering at their path. `by` are the methods that it takes.
    fn warn_of_hidden(&mut self, routes: &[RouteSettings], path: &str, by: &str, service: &str) {
        let is_it = |route: &&RouteSettings| route.path.value.trim_end_matches('/') == path.trim_end_matches('/');
        for route in routes.iter().filter(is_it) {
            let message = format!("requests {by}for {path} go to services.{service}, and not to this route");
            self.diagnostics.warning(route.path.at, message, format!("give services.{service} another path"));
        }
    }

    /// Returns the index of an upstream in the settings, and reports an upstream that doesn't exist.
    fn upstream(&mut self, name: &Located<String>, root: &Spanned) -> Option<usize> {
        let upstreams = FILE.upstreams.table(root);
        let index = upstreams.tables().position(|(known, _)| known.value == name.value);
        if index.is_none() {
            route::unknown_upstream(name, &upstreams, self);
        }
        index
    }

    /// Reads a text file that the configuration names, and reports one that can't be read or isn't UTF-8.
    fn text_file(&mut self, file: &Located<String>) -> Option<String> {
        let (message, help) = match self.file(&file.value, file.at).map(String::from_utf8) {
            Ok(Ok(text)) => return Some(text),
            Ok(Err(_)) => (format!("{} is not UTF-8 text", file.value), "save it as UTF-8".to_owned()),
            Err(fault) => fault,
        };
        self.diagnostics.error(file.at, message, help);
        None
    }

    /// Returns the secret that `env:NAME` or `file:PATH` refers to. Returns `None` for a reference that can't be
    /// opened, and reports it; `hint` is appended to the help.
    fn secret(&mut self, reference: &Located<String>, hint: &str) -> Option<Secret> {
        // A secret that is written in the file itself has been reported, so it is only left out here.
        if schema::is_reference(&reference.value) { self.text(reference, hint) } else { None }
    }

    /// Returns a text in which each reference is replaced with the value that it refers to. Returns `None` if a
    /// reference can't be opened, and reports each of them; `hint` is appended to the help.
    fn text(&mut self, written: &Located<String>, hint: &str) -> Option<Secret> {
        // Faults of the form have been reported, so the text is only left out here.
        let pieces = variables::pieces(&written.value).ok()?;
        let mut opened = Vec::with_capacity(pieces.len());
        for piece in &pieces {
            match self.opened(*piece, written.at, hint) {
                Ok(bytes) => opened.push(Zeroizing::new(bytes)),
                // The other references are opened too, to report the faults of all.
                Err((message, help)) => self.diagnostics.error(written.at, message, help),
            }
        }
        if opened.len() < pieces.len() {
            return None;
        }
        // A buffer that grows leaves a copy of its bytes in memory. Test: `no_key_stays_in_memory_as_text`.
        let mut whole = Vec::with_capacity(opened.iter().map(|bytes| bytes.len()).sum());
        opened.iter().for_each(|bytes| whole.extend_from_slice(bytes));
        Some(Secret::new(whole))
    }

    /// Returns the bytes of a piece. A line end at the end of a file or a variable is removed. For a fault, returns the
    /// message and the help.
    fn opened(&mut self, piece: Piece<'_>, at: Location, hint: &str) -> Result<Vec<u8>, (String, String)> {
        let mut bytes = match piece {
            Piece::Literal(text) => return Ok(text.as_bytes().to_owned()),
            Piece::Variable(name, default) => {
                if let Some(invented) = self.environment.invented(name) {
                    return Ok(invented);
                }
                let set = self.environment.variable(name);
                let fault = if set.is_some() { "is empty" } else { "is not set" };
                // An empty variable isn't a secret, so it counts as unset.
                let value = set.filter(|value| !value.is_empty()).or_else(|| default.map(str::to_owned));
                value
                    .map(String::into_bytes)
                    .ok_or_else(|| (format!("the environment variable {name} {fault}"), format!("set {name}{hint}")))?
            }
            Piece::File(path) => {
                if let Some(invented) = self.environment.invented(path) {
                    return Ok(invented);
                }
                self.check_readers(&self.path(path, at), at);
                self.file(path, at)?
            }
        };
        // Editors end a file with a line end, which isn't a part of the secret, so it is removed.
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
        }
        Ok(bytes)
    }

    /// Warns if any account of the machine may write a file.
    pub(super) fn check_writers(&mut self, path: &Path, at: Location) {
        if self.environment.permissions(path).is_some_and(Permissions::lets_everybody_write) {
            let message = format!("every account of this machine can write {}", path.display());
            self.diagnostics.warning(at, message, format!("chmod o-w {}", path.display()));
        }
    }

    /// Warns if accounts other than the owner's may read a file with a secret, or if any account may write it.
    fn check_readers(&mut self, path: &str, at: Location) {
        self.check_writers(Path::new(path), at);
        if self.environment.permissions(Path::new(path)).is_some_and(Permissions::lets_others_read) {
            let message = format!("accounts other than the owner's can read the secret in {path}");
            self.diagnostics.warning(at, message, format!("chmod 600 {path}; or 640 if root owns it"));
        }
    }

    /// Returns the path that is opened for a written one: a relative path begins at the folder of the file that
    /// contains it.
    fn path(&self, path: &str, at: Location) -> String {
        let folder = Path::new(self.diagnostics.file(at)).parent().unwrap_or_else(|| Path::new(""));
        folder.join(path).display().to_string()
    }

    /// Reads a file that the configuration names at a location. For a fault, returns the message and the help.
    fn file(&self, path: &str, at: Location) -> Result<Vec<u8>, (String, String)> {
        self.file_at(Path::new(&self.path(path, at)))
    }

    /// Reads a file of at most [`FILE_SIZE_MAX`] bytes, by the path that is opened. For a fault, returns the message
    /// and the help.
    pub(super) fn file_at(&self, path: &Path) -> Result<Vec<u8>, (String, String)> {
        let shown = path.display();
        match self.environment.read(path) {
            Ok(bytes) if bytes.len() <= FILE_SIZE_MAX => Ok(bytes),
            Ok(_) => Err((format!("{shown} is larger than {} MiB", FILE_SIZE_MAX >> 20), "name another file".into())),
            Err(error) => Err((format!("{shown} can't be read: {error}"), self.what_is_missing(path, &error))),
        }
    }

    /// Returns the help for a file that can't be read. If the file doesn't exist, the help tells whether its folder
    /// does.
    fn what_is_missing(&self, path: &Path, error: &std::io::Error) -> String {
        if error.kind() != std::io::ErrorKind::NotFound {
            return "the gateway's account must be able to read it".to_owned();
        }
        match path.parent() {
            // The parent of a bare name is empty. That is the current folder, which exists.
            Some(folder) if folder == Path::new("") || self.environment.entries(folder).is_ok() => {
                "the folder is there, and has no such file".to_owned()
            }
            Some(folder) => format!("there is no folder {}", folder.display()),
            None => "name another file".to_owned(),
        }
    }
}
