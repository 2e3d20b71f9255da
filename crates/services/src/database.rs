//! An SQLite database in a directory, which processes of one machine share. Every call is one transaction.

use std::{
    fs::{DirBuilder, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, Transaction, TransactionBehavior};

/// The longest time that a call waits for the transaction of another process. After that, the call fails.
const BUSY: Duration = Duration::from_secs(10);

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

/// An open database with one connection, which the calls of this process use one after the other.
#[derive(Clone, Debug)]
pub(super) struct Database(Arc<Mutex<Connection>>);

impl Database {
    /// Opens a database. A missing one is created, with its directory (mode 0700) and its file (mode 0600). `steps` are
    /// SQL scripts: the first creates the tables of version 1, and each later script changes the tables to the next
    /// version. A database of an earlier version gets the steps that it lacks.
    ///
    /// # Errors
    ///
    /// Returns the fault of the directory or of the database, and [`DatabaseFault::Later`] if the database has a later
    /// version than `steps` leads to.
    pub(super) fn open(path: &Path, steps: &[&str]) -> Result<Self, DatabaseFault> {
        if let Some(directory) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        // SQLite gives its other files, such as the write-ahead log, the permissions of this file. So the file is
        // created with its mode before SQLite opens it.
        OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
        let mut database = Connection::open(path)?;
        database.busy_timeout(BUSY)?;
        // This pragma returns a row with the new mode, which isn't needed.
        database.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        // With `FULL`, a committed transaction survives a loss of power.
        database.pragma_update(None, "synchronous", "FULL")?;
        // Removed rows can contain credentials and secrets, so SQLite overwrites them with zeros.
        database.pragma_update(None, "secure_delete", "ON")?;
        let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        // A later version of the program might have changed the tables in ways that this version can't read.
        // Test: `a_database_of_a_later_version_is_left_alone`.
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

    /// Runs `function` in a transaction, on a thread that may block. If the function fails, the transaction is rolled
    /// back.
    ///
    /// # Errors
    ///
    /// Returns the fault of the function or of the transaction, and [`DatabaseFault::Task`] if the function panics.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        function: impl FnOnce(&Transaction<'_>) -> Result<T, DatabaseFault> + Send + 'static,
    ) -> Result<T, DatabaseFault> {
        let database = Arc::clone(&self.0);
        let called = tokio::task::spawn_blocking(move || {
            // A panic under the lock has rolled its transaction back, so the connection can be used again.
            let mut database = database.lock().unwrap_or_else(PoisonError::into_inner);
            // A deferred transaction that reads before it writes would fail at once if another process has written in
            // between: `BUSY` doesn't apply to this error (`SQLITE_BUSY_SNAPSHOT`). So the transaction takes the write
            // lock at its beginning.
            let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let result = function(&transaction)?;
            transaction.commit()?;
            Ok(result)
        });
        called.await.map_err(|_| DatabaseFault::Task)?
    }
}

/// Returns a number in the type that a database stores. A number that doesn't fit becomes the largest one that does.
pub(super) fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Returns a stored number as an unsigned one. A negative number, which the program never stores, becomes 0.
pub(super) fn natural(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Returns a row count from a query, such as the result of `count(*)`. A count that doesn't fit becomes 0.
pub(super) fn count(number: i64) -> usize {
    usize::try_from(number).unwrap_or(0)
}

/// Returns a row count in the type that a `LIMIT` takes.
pub(super) fn limit(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
