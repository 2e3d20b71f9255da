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

pub use health::HEALTH_PATH;
pub use reload::RELOAD_PATH;
pub use service::{Admin, service};
pub use status::STATUS_PATH;

#[cfg(test)]
mod testing {
    use cursorgate_config::Environment;

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
