//! The admin listener for operators. Its paths are separate from those of clients.

mod access;
mod certificates;
mod config;
mod explanations;
mod health;
mod metrics;
mod migration;
mod openapi;
mod page;
mod purge;
mod reload;
mod routes;
mod service;
mod status;
mod upstreams;

pub(crate) use health::HEALTH_PATH;
pub(crate) use service::{Admin, service};

/// The content type of reports and of requests.
const JSON: &str = "application/json";

#[cfg(test)]
mod testing {
    use crate::config::Environment;

    /// An environment without variables and files.
    pub(super) struct Nothing;

    impl Environment for Nothing {
        fn variable(&self, _name: &str) -> Option<String> {
            None
        }

        fn read(&self, _path: &std::path::Path) -> std::io::Result<Vec<u8>> {
            Err(std::io::ErrorKind::NotFound.into())
        }
    }
}
