//! A database of SQLite in a directory, which processes of one machine share. Every step is one transaction.

use std::{
    fs::{DirBuilder, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, Transaction, TransactionBehavior};

/// The time for which a process waits for the transaction of another one.
const BUSY: Duration = Duration::from_secs(10);

/// A fault of a database or of its directory.
#[derive(Debug, thiserror::Error)]
pub(super) enum DatabaseFault {
    #[error("the database: {0}")]
    Database(#[from] rusqlite::Error),
    #[error("the directory: {0}")]
    Directory(#[from] io::Error),
    #[error("the content of the database: {0}")]
    Content(#[from] serde_json::Error),
    #[error("the database has the version {0}, which a later cursorgate has written")]
    Later(i64),
    #[error("a task failed")]
    Task,
}

/// An open database.
#[derive(Clone, Debug)]
pub(super) struct Database(Arc<Mutex<Connection>>);

impl Database {
    /// Opens a database, which is made if it is not there, with its directory. `steps` are the changes of its tables, from
    /// the first version on: a database of an earlier version gets those that it lacks.
    ///
    /// # Errors
    ///
    /// Returns the fault of the directory or of the database, or that it is of a later version.
    pub(super) fn open(path: &Path, steps: &[&str]) -> Result<Self, DatabaseFault> {
        if let Some(directory) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        // SQLite gives its other files the permissions of this one.
        OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
        let mut database = Connection::open(path)?;
        database.busy_timeout(BUSY)?;
        // The answer of this pragma is the mode that was set.
        database.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        // What was accepted survives a loss of power.
        database.pragma_update(None, "synchronous", "FULL")?;
        // Credentials and secrets are overwritten when they are removed.
        database.pragma_update(None, "secure_delete", "ON")?;
        let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let Some(missing) = usize::try_from(version).ok().and_then(|known| steps.get(known..)) else {
            return Err(DatabaseFault::Later(version));
        };
        for step in missing {
            transaction.execute_batch(step)?;
        }
        transaction.pragma_update(None, "user_version", i64::try_from(steps.len()).unwrap_or(i64::MAX))?;
        transaction.commit()?;
        Ok(Self(Arc::new(Mutex::new(database))))
    }

    /// Runs a function in a transaction, on a thread that may wait. The transaction is undone if the function fails.
    ///
    /// # Errors
    ///
    /// Returns the function's fault.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        function: impl FnOnce(&Transaction<'_>) -> Result<T, DatabaseFault> + Send + 'static,
    ) -> Result<T, DatabaseFault> {
        let database = Arc::clone(&self.0);
        let called = tokio::task::spawn_blocking(move || {
            // A transaction that a panic interrupted has been rolled back.
            let mut database = database.lock().unwrap_or_else(PoisonError::into_inner);
            let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let result = function(&transaction)?;
            transaction.commit()?;
            Ok(result)
        });
        called.await.map_err(|_| DatabaseFault::Task)?
    }
}

/// Returns a number as SQLite has it.
pub(super) fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Returns a number of SQLite that is never negative.
pub(super) fn natural(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Returns a count of SQLite.
pub(super) fn count(number: i64) -> usize {
    usize::try_from(number).unwrap_or(0)
}

/// Returns a largest number of rows as SQLite has it.
pub(super) fn limit(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
