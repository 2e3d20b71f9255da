//! The two stores of exports and webhooks. Most tests run with each of them.

use super::postgres_server::PostgresServer;
use crate::harness::Directory;

/// A store of jobs and their results, and of deliveries: a directory, or a database of PostgreSQL.
pub(crate) enum Place {
    Directory(Directory),
    Postgres(Box<PostgresServer>),
}

impl Place {
    pub(crate) fn directory() -> Self {
        Self::Directory(Directory::new())
    }

    pub(crate) fn postgres() -> Self {
        Self::Postgres(Box::new(PostgresServer::start()))
    }

    /// Returns the tables that configure exports with this store. `exports` contains lines for `[services.exports]`.
    pub(crate) fn table(&self, exports: &str) -> String {
        match self {
            Self::Directory(directory) => {
                format!("\n[services.exports]\ndirectory = {:?}\n{exports}\n", directory.file("exports"))
            }
            // With a short lease, the jobs of a killed process are taken over soon, so tests don't wait long.
            Self::Postgres(server) => format!("\n[services.exports]\n{exports}\n\n{}", server.table("lease = \"1s\"")),
        }
    }

    /// Returns the tables that configure webhooks with this store. `keys` are lines of `[services.webhooks]`.
    pub(crate) fn webhooks(&self, keys: &str) -> String {
        match self {
            Self::Directory(directory) => {
                format!("\n[services.webhooks]\ndirectory = {:?}\n{keys}\n", directory.file("webhooks"))
            }
            Self::Postgres(server) => {
                let table = server.table_of("webhooks", "lease = \"1s\"");
                format!("\n[services.webhooks]\n{keys}\n\n{table}")
            }
        }
    }

    /// Returns the number of results, including incomplete ones.
    pub(crate) fn results(&self) -> usize {
        match self {
            Self::Directory(directory) => {
                std::fs::read_dir(directory.file("exports/results")).expect("the results").count()
            }
            Self::Postgres(server) => server.ask("SELECT DISTINCT job FROM cursorgate_export_parts").len(),
        }
    }
}

/// Defines a test with each store for each of these functions, which take a `Place`.
macro_rules! over_each_store {
    ($($name:ident),+ $(,)?) => {
        mod in_a_directory {
            $(#[test] fn $name() { super::$name(&$crate::exports::place::Place::directory()); })+
        }
        mod in_postgres {
            $(#[test] fn $name() { super::$name(&$crate::exports::place::Place::postgres()); })+
        }
    };
}

pub(crate) use over_each_store;
