//! The settings of services: `[services]`.

use std::path::PathBuf;

use http::HeaderName;

use super::{CorsSettings, PostgresSettings, PublicContractSettings, ServiceSettings};
use crate::{diagnostic::Located, key::FromText};

impl ServiceSettings {
    /// Returns whether a service is on that has a report for operators.
    #[must_use]
    pub fn has_reports(&self) -> bool {
        self.exports.is_some() || self.live.is_some() || self.webhooks.is_some()
    }
}

/// The origins whose scripts may use services without a list of their own: those of `services.cors`, or those that
/// routes have in common. `None` if there are none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceCors {
    /// The origins for services that read lists.
    pub of_lists: Option<CorsSettings>,
    /// The origins for bulk requests, which reach all routes.
    pub of_routes: Option<CorsSettings>,
}

/// The path of the API catalog (RFC 9727, section 2).
pub const CATALOG_PATH: &str = "/.well-known/api-catalog";

/// The names of the files of the reference page, below its path.
pub const REFERENCE_FILES: [&str; 3] = ["reference.js", "swagger-ui-bundle.js", "swagger-ui.css"];

impl PublicContractSettings {
    /// Returns the paths of the documents that the service answers with.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        let catalog = self.catalog.then_some(CATALOG_PATH);
        std::iter::once(self.document.as_str()).chain(catalog).chain(self.entry.as_deref())
    }

    /// Returns the paths of the reference page and of its files; none without the page.
    pub fn reference_paths(&self) -> impl Iterator<Item = String> {
        let page = self.reference.as_deref();
        let files = page.into_iter().flat_map(|page| REFERENCE_FILES.map(|file| format!("{page}/{file}")));
        page.map(str::to_owned).into_iter().chain(files)
    }

    /// Returns whether the list of this route is described.
    #[must_use]
    pub fn describes(&self, route: &str) -> bool {
        !self.except.iter().any(|other| other == route)
    }
}

/// A list that a service offers under its own name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedListSettings {
    /// The name; no other list of the service has the same one.
    pub name: String,
    pub route: String,
    /// The description in the configuration; `None` if it has none.
    pub description: Option<String>,
}

/// The place in which a service stores what must survive its process: jobs and results, or endpoints and deliveries.
#[derive(Debug, Clone)]
pub enum ServiceStoreSettings {
    /// A directory on this machine, by the path that is opened.
    Directory(PathBuf),
    Postgres(Box<PostgresSettings>),
}

impl ServiceStoreSettings {
    /// Returns the database; `None` for a directory.
    #[must_use]
    pub fn postgres(&self) -> Option<&PostgresSettings> {
        if let Self::Postgres(settings) = self { Some(settings) } else { None }
    }
}

impl PostgresSettings {
    /// Returns the name of the database and of its servers, for operators. Example: `exports at db1:5432 or db2:5432`.
    #[must_use]
    pub fn place(&self) -> String {
        let addresses: Vec<&str> = self.addresses.iter().map(|address| address.value.as_str()).collect();
        format!("{} at {}", self.database, addresses.join(" or "))
    }
}

/// An operation that clients name by its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationType {
    pub name: String,
    pub method: String,
    /// The path, with the names of parameters in braces.
    pub path: String,
}

/// What the limits of a service count as one client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CountedBy {
    /// Its name, or the headers in `principal`.
    Principal,
    Address,
    /// The value of this header.
    Header(HeaderName),
}

impl FromText for CountedBy {
    /// Reads a text that `keys::rate_limit::key` accepts.
    fn from_text(text: Located<String>) -> Self {
        let text = text.value.as_str();
        let header = text.strip_prefix("header:").and_then(|name| HeaderName::from_bytes(name.as_bytes()).ok());
        match header {
            Some(name) => Self::Header(name),
            None if text == "address" => Self::Address,
            None => Self::Principal,
        }
    }
}
