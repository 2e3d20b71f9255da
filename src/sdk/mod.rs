//! Generated clients for the lists of a configuration: small, typed, without dependencies at run time, and with tests.
//!
//! `list` describes a list independently of the language: its request, the places in its answers, and the type of its
//! items. `samples` renders answers for the tests in the envelope of the route. `typescript` and `python` write the
//! code; the part that is the same in every client is in files of these languages next to them. The module does no I/O.

mod list;
mod python;
mod samples;
mod schema;
mod spec;
mod typescript;
mod words;

use crate::{config::settings::Settings, downstream::Code, gateway::Snapshot};

/// A language of clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SdkLanguage {
    /// TypeScript, for runtimes with `fetch`.
    TypeScript,
    /// Python, from 3.11 on.
    Python,
}

/// A file of a client.
#[derive(Debug)]
pub struct SdkFile {
    /// The path in the folder of the client.
    pub path: String,
    /// The content.
    pub text: String,
    /// True if an existing file at this path is kept, because its owner may have changed it.
    pub stays: bool,
}

impl SdkFile {
    fn written(path: impl Into<String>, text: String) -> Self {
        Self { path: path.into(), text, stays: false }
    }

    fn kept(path: impl Into<String>, text: String) -> Self {
        Self { path: path.into(), text, stays: true }
    }
}

/// A generated client.
#[derive(Debug)]
pub struct Sdk {
    /// The source files of the client, which the caller writes.
    pub files: Vec<SdkFile>,
    /// The names of the routes whose lists the client reads.
    pub lists: Vec<String>,
    /// The lists that are left out, each with the reason, as texts for people.
    pub left_out: Vec<String>,
}

/// The facts of the API that are the same for all lists.
struct Api {
    title: String,
    /// The name of the package.
    name: String,
    /// The URL of the server, if it is known.
    server: Option<String>,
    /// The codes of problems that the API returns.
    codes: Vec<&'static str>,
    /// The codes after which the same request may succeed.
    retryable: Vec<&'static str>,
}

impl Api {
    /// Returns the first line of a file; `comment` begins a comment in its language.
    fn heading(&self, comment: &str) -> String {
        let command = "cursorgate sdk";
        format!("{comment} Written by `{command}`, which replaces this file: changes are lost.\n")
    }
}

/// Returns whether a text can be the name of a package, in both languages.
#[must_use]
pub fn is_package_name(text: &str) -> bool {
    // Such a name contains no separators of paths, since it becomes the name of a folder. Test:
    // `a_package_has_a_name_that_both_registries_take`.
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    text.len() <= 100 && text.starts_with(|first: char| first.is_ascii_lowercase()) && text.bytes().all(allowed)
}

/// Writes a client for the lists of a configuration. `name` is the name of the package.
#[must_use]
pub fn write(settings: &Settings, snapshot: &Snapshot, language: SdkLanguage, name: &str) -> Sdk {
    let (lists, left_out) = list::describe_all(&settings.routes, &snapshot.routes);
    let api = Api {
        title: settings.api.title.clone().unwrap_or_else(|| "the API".to_owned()),
        name: name.to_owned(),
        server: settings.api.servers.first().or(settings.server.public_url.as_ref()).cloned(),
        codes: Code::ALL.iter().map(|code| code.as_str()).collect(),
        retryable: Code::ALL.iter().filter(|code| code.retryable()).map(|code| code.as_str()).collect(),
    };
    let files = match language {
        SdkLanguage::TypeScript => typescript::write(&api, &lists),
        SdkLanguage::Python => python::write(&api, &lists),
    };
    Sdk { files, lists: lists.into_iter().map(|list| list.name).collect(), left_out }
}

#[cfg(test)]
mod tests;
