//! Generates clients for the lists and services of a configuration. A client is small and typed, has no dependencies at
//! run time, and includes tests.
//!
//! `list` describes a list independently of the client's language: its requests, the places of facts in its answers,
//! and the schema of its items. `services` does this for services. `samples` renders answers for the client's tests in the envelope of the route.
//! `typescript` and `python` write the code. The code that is the same in every client is in the folders of these
//! modules. The module doesn't do I/O.

mod input;
mod list;
mod python;
mod samples;
mod schema;
mod services;
mod spec;
mod typescript;
mod words;

use cursorgate_config::settings::Settings;
use cursorgate_gateway::Snapshot;
use cursorgate_translate::downstream::Code;
use list::SdkList;
use services::SdkServices;

/// A language in which clients can be generated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SdkLanguage {
    /// TypeScript, for runtimes with `fetch`.
    TypeScript,
    /// Python, from 3.11 on.
    Python,
}

/// A file of a generated client.
#[derive(Debug)]
pub struct SdkFile {
    /// The path of the file, relative to the client's folder.
    pub path: String,
    /// The whole content of the file.
    pub text: String,
    /// True if an existing file at this path must be kept, because its owner might have changed it.
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

/// A generated client, and the lists that it covers.
#[derive(Debug)]
pub struct Sdk {
    /// The files of the client. The caller of [`write`](fn@write) stores them.
    pub files: Vec<SdkFile>,
    /// The names of the routes whose lists the client reads.
    pub lists: Vec<String>,
    /// A sentence for each list that is left out, with the name of its route and the reason.
    pub left_out: Vec<String>,
}

/// The facts about the API that are the same for all lists.
struct Api {
    title: String,
    /// The name of the package, which [`is_package_name`] permits.
    name: String,
    /// The URL of the server; `None` if the configuration doesn't state it.
    server: Option<String>,
    /// The codes of all problems that the API can return.
    codes: Vec<&'static str>,
    /// The codes of problems after which the same request might succeed.
    retryable: Vec<&'static str>,
    services: SdkServices,
}

impl Api {
    /// Returns the first line of a file. `comment` is the sign that begins a comment in the file's language.
    fn heading(&self, comment: &str) -> String {
        let command = "cursorgate sdk";
        format!("{comment} Written by `{command}`, which replaces this file: changes are lost.\n")
    }

    /// Returns the README of the client: its commands, an example, and a table of the lists with the calls of their
    /// methods.
    fn readme(&self, commands: &str, [language, example]: [&str; 2], calls: &[(&SdkList, String)]) -> String {
        let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
        let row = |(list, call): &(&SdkList, String)| {
            format!("| {} | `{}` | `{call}` |\n", one_line(&list.summary), one_line(&list.path))
        };
        format!(
            "# {}\n\nA client of {}. `cursorgate sdk` has written it, and keeps this file when it writes the others again.\n\n\
             ```sh\n{commands}\n```\n\n```{language}\n{example}```\n\n| list | path | method |\n| --- | --- | --- |\n{}",
            self.name,
            one_line(&self.title),
            calls.iter().map(row).collect::<String>()
        )
    }

    /// Returns the URL for examples.
    fn example_url(&self) -> String {
        spec::quoted(self.server.as_deref().unwrap_or("https://api.example.com"))
    }
}

/// Returns whether a string can be the name of a package in both languages. It must begin with a lowercase ASCII
/// letter, and contain only lowercase ASCII letters, digits, `-` and `_`. Its length is at most 100 characters.
#[must_use]
pub fn is_package_name(text: &str) -> bool {
    // Path separators aren't allowed, because the name also becomes the name of a folder.
    // Test: `a_package_has_a_name_that_both_registries_take`.
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    text.len() <= 100 && text.starts_with(|first: char| first.is_ascii_lowercase()) && text.bytes().all(allowed)
}

/// Generates a client for the lists of a configuration. `name` is the name of the package.
#[must_use]
pub fn write(settings: &Settings, snapshot: &Snapshot, language: SdkLanguage, name: &str) -> Sdk {
    let (lists, left_out) = list::describe_all(&settings.routes, &snapshot.routes);
    let api = Api {
        title: settings.api.title.clone().unwrap_or_else(|| "the API".to_owned()),
        name: name.to_owned(),
        server: settings.api.servers.first().or(settings.server.public_url.as_ref()).cloned(),
        codes: Code::ALL.iter().map(|code| code.as_str()).collect(),
        retryable: Code::ALL.iter().filter(|code| code.retryable()).map(|code| code.as_str()).collect(),
        services: SdkServices::of(&settings.services),
    };
    let files = match language {
        SdkLanguage::TypeScript => typescript::write(&api, &lists),
        SdkLanguage::Python => python::write(&api, &lists),
    };
    Sdk { files, lists: lists.into_iter().map(|list| list.name).collect(), left_out }
}

#[cfg(test)]
mod tests;
