//! An SQLite database in a directory, which processes of one machine share. Every call is one transaction.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use http::HeaderValue;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use rustix::{fs::OFlags, process::geteuid};

use crate::postgres::PostgresFault;
use cursorgate_gateway::outcome::failure::Failure;
use cursorgate_translate::downstream::{Code, Problem};

/// The longest time that a call waits for the transaction of another process. After that, the call fails.
const BUSY: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub(super) enum DatabaseFault {
    #[error("the database: {0}")]
    Database(#[from] rusqlite::Error),
    #[error("the directory: {0}")]
    Directory(#[from] io::Error),
    #[error("PostgreSQL: {0}")]
    Postgres(#[from] PostgresFault),
    #[error("the content of the database: {0}")]
    Content(#[from] serde_json::Error),
    #[error("the content of the database: the column {0} has another type")]
    Column(String),
    #[error("the database has the version {0}, which a later cursorgate has written")]
    Later(i64),
    #[error("a task failed")]
    Task,
}

impl DatabaseFault {
    /// Returns whether the fault may pass, as a full disk, a missing directory or a server that is down does.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Self::Database(_) | Self::Directory(_) | Self::Postgres(_))
    }

    /// Returns whether the disk can't be written at the moment: it is full, or mounted read-only after an error.
    fn is_of_disk(&self) -> bool {
        use io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        use rusqlite::ErrorCode::{DiskFull, ReadOnly, SystemIoFailure};
        match self {
            Self::Database(rusqlite::Error::SqliteFailure(fault, _)) => {
                matches!(fault.code, DiskFull | ReadOnly | SystemIoFailure)
            }
            Self::Directory(fault) => matches!(fault.kind(), StorageFull | ReadOnlyFilesystem | QuotaExceeded),
            _ => false,
        }
    }
}

/// Returns the failure of a request for a fault of the store of a service that may pass.
pub(super) fn store_unavailable(service: &str, fault: String) -> Failure {
    let said = format!("the store of {service} is not available: try again later");
    let mut problem = Problem::new(Code::StoreUnavailable, said);
    problem.retry_after = Some(HeaderValue::from_static("2"));
    Failure::Refused { problem: Box::new(problem), detail: Some(fault) }
}

/// The flags that open a file only if it isn't a symbolic link, which another account could have put there.
pub(super) const NO_LINK: i32 = OFlags::NOFOLLOW.bits().cast_signed();

/// Checks that other accounts can't change a directory of services, or a file in it. `what` is the access that others
/// must not have: 0o002 for a directory, in which they could replace files, and 0o007 for a file. Access of the group
/// is left to the operator, because volumes of Kubernetes give it.
///
/// # Errors
///
/// Returns the fault with the command that mends it.
pub(super) fn check_private(path: &Path, what: u32) -> io::Result<()> {
    let found = fs::metadata(path)?;
    let own = geteuid().as_raw();
    // Test: `exports_in_reach_of_other_accounts_are_refused`.
    let fault = if ![own, 0].contains(&found.uid()) {
        format!("{} belongs to another account: chown {own} {0}", path.display())
    } else if found.mode() & what != 0 {
        format!("other accounts can change or read {}: chmod o-rwx {0}, or name a folder in it", path.display())
    } else {
        return Ok(());
    };
    Err(io::Error::new(io::ErrorKind::PermissionDenied, fault))
}

/// The number of bytes for which the disk of a directory must have room.
const ROOM: usize = 64 << 10;

/// A directory of services, as it was when it was first used.
#[derive(Clone, Debug)]
pub(super) struct OwnDirectory {
    path: PathBuf,
    /// The access that other accounts must not have ([`check_private`]).
    forbidden: u32,
    /// The numbers of its device and of the directory, which tell it apart from another one at the same path; empty
    /// until it was used.
    identity: Arc<OnceLock<(u64, u64)>>,
}

impl OwnDirectory {
    /// Opens a directory. A missing one is created (mode 0700), later if the disk can't be written now.
    ///
    /// # Errors
    ///
    /// Returns the fault of the directory.
    pub(super) fn open(path: &Path, forbidden: u32) -> Result<Self, DatabaseFault> {
        let own = Self { path: path.to_owned(), forbidden, identity: Arc::default() };
        unless_of_disk(own.identify().map_err(DatabaseFault::from))?;
        Ok(own)
    }

    /// Returns the identity of the directory when it was first used.
    fn identify(&self) -> io::Result<(u64, u64)> {
        if let Some(identity) = self.identity.get() {
            return Ok(*identity);
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&self.path)?;
        check_private(&self.path, self.forbidden)?;
        let found = identity(&fs::metadata(&self.path)?);
        Ok(*self.identity.get_or_init(|| found))
    }

    /// Checks that the directory is still there and its disk has room. An open database answers without its directory, and
    /// reads on a full disk. Tests: `a_directory_that_vanishes_is_told_of`, `a_full_disk_is_told_of`.
    ///
    /// # Errors
    ///
    /// Returns the fault of the directory.
    pub(super) async fn check(&self) -> Result<(), DatabaseFault> {
        let own = self.clone();
        let checked = tokio::task::spawn_blocking(move || own.probe()).await;
        let named = |fault: io::Error| io::Error::new(fault.kind(), format!("{}: {fault}", self.path.display()));
        Ok(checked.map_err(|_| DatabaseFault::Task)?.map_err(named)?)
    }

    fn probe(&self) -> io::Result<()> {
        if self.identify()? != identity(&fs::metadata(&self.path)?) {
            return Err(io::Error::other("it is another directory than at the start: restart the process to use it"));
        }
        let path = self.path.join("probe");
        let mut options = OpenOptions::new();
        let file = options.create(true).truncate(true).write(true).mode(0o600).custom_flags(NO_LINK).open(&path);
        let written = file.and_then(|mut file| file.write_all(&[1; ROOM]));
        // A file that stays would be the room for the next one, on a disk without any.
        match fs::remove_file(&path) {
            // Another process has removed it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed?,
        }
        written
    }
}

fn identity(metadata: &fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// A database. Its clones share the connections.
#[derive(Clone, Debug)]
pub(super) struct Database {
    file: Arc<DatabaseFile>,
}

#[derive(Debug)]
struct DatabaseFile {
    path: PathBuf,
    steps: &'static [&'static str],
    /// Empty until the database is open.
    connections: OnceLock<DatabaseConnections>,
    /// Held by the call that opens the database.
    opening: Mutex<()>,
}

/// The connections of an open database. The calls of this process use them one after the other: those that write the
/// first one, and those that only read the second one.
#[derive(Debug)]
struct DatabaseConnections {
    writing: Mutex<Connection>,
    reading: Mutex<Connection>,
}

impl DatabaseFile {
    /// Returns the connections of the database. Opens it if it isn't open yet.
    fn connections(&self) -> Result<&DatabaseConnections, DatabaseFault> {
        let _opening = match self.connections.get() {
            Some(connections) => return Ok(connections),
            None => self.opening.lock().unwrap_or_else(PoisonError::into_inner),
        };
        // Another call may have opened it meanwhile.
        if let Some(connections) = self.connections.get() {
            return Ok(connections);
        }
        let opened = self.open()?;
        Ok(self.connections.get_or_init(|| opened))
    }

    fn open(&self) -> Result<DatabaseConnections, DatabaseFault> {
        let directory = self.path.parent().unwrap_or(&self.path);
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        check_private(directory, 0o002)?;
        // The directory itself may be reached by a link, such as that of systemd's `DynamicUser`.
        let path = fs::canonicalize(directory)?.join(self.path.file_name().unwrap_or_default());
        // SQLite gives its other files, such as the write-ahead log, the permissions of this file. So the file is
        // created with its mode before SQLite opens it.
        OpenOptions::new().create(true).append(true).mode(0o600).custom_flags(NO_LINK).open(&path)?;
        // A log that an earlier process left behind has the permissions that it got then, and SQLite reads it.
        for ending in ["", "-wal", "-shm"] {
            let mut file = path.clone().into_os_string();
            file.push(ending);
            if ending.is_empty() || fs::exists(&file)? {
                check_private(file.as_ref(), 0o007)?;
            }
        }
        let flags =
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let open = || -> rusqlite::Result<Connection> {
            let connection = Connection::open_with_flags(&path, flags)?;
            connection.busy_timeout(BUSY)?;
            Ok(connection)
        };
        let mut database = open()?;
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
        let Some(missing) = usize::try_from(version).ok().and_then(|known| self.steps.get(known..)) else {
            return Err(DatabaseFault::Later(version));
        };
        for step in missing {
            transaction.execute_batch(step)?;
        }
        transaction.pragma_update(None, "user_version", i64::try_from(self.steps.len()).unwrap_or(i64::MAX))?;
        transaction.commit()?;
        let reading = open()?;
        reading.pragma_update(None, "query_only", "ON")?;
        Ok(DatabaseConnections { writing: Mutex::new(database), reading: Mutex::new(reading) })
    }
}

/// Leaves out a fault of a disk that can't be written at the moment: the process starts, and the next use of the store
/// tries again. Test: `a_process_starts_on_a_full_disk`.
fn unless_of_disk(opened: Result<impl Sized, DatabaseFault>) -> Result<(), DatabaseFault> {
    match opened {
        Err(fault) if !fault.is_of_disk() => Err(fault),
        Ok(_) | Err(_) => Ok(()),
    }
}

impl Database {
    /// Opens a database. A missing one is created, with its directory (mode 0700) and its file (mode 0600). `steps` are
    /// SQL scripts: the first creates the tables of version 1, and each later script changes the tables to the next
    /// version. A database of an earlier version gets the steps that it lacks. If the disk can't be written now, the
    /// next call opens the database.
    ///
    /// # Errors
    ///
    /// Returns the fault of the directory or of the database, and [`DatabaseFault::Later`] if the database has a later
    /// version than `steps` leads to.
    pub(super) fn open(path: &Path, steps: &'static [&'static str]) -> Result<Self, DatabaseFault> {
        let file =
            DatabaseFile { path: path.to_owned(), steps, connections: OnceLock::new(), opening: Mutex::default() };
        unless_of_disk(file.connections())?;
        Ok(Self { file: Arc::new(file) })
    }

    /// Runs `function`, which only reads, in a transaction, on a thread that may block. It waits for no write, and no
    /// write waits for it.
    ///
    /// # Errors
    ///
    /// Returns the fault of the function or of the transaction, and [`DatabaseFault::Task`] if the function panics.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        function: impl FnOnce(&Transaction<'_>) -> Result<T, DatabaseFault> + Send + 'static,
    ) -> Result<T, DatabaseFault> {
        run(Arc::clone(&self.file), TransactionBehavior::Deferred, function).await
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
        // A deferred transaction that reads before it writes would fail at once if another process has written in
        // between: `BUSY` doesn't apply to this error (`SQLITE_BUSY_SNAPSHOT`). So the transaction takes the write lock
        // at its beginning.
        run(Arc::clone(&self.file), TransactionBehavior::Immediate, function).await
    }
}

async fn run<T: Send + 'static>(
    file: Arc<DatabaseFile>,
    behavior: TransactionBehavior,
    function: impl FnOnce(&Transaction<'_>) -> Result<T, DatabaseFault> + Send + 'static,
) -> Result<T, DatabaseFault> {
    let called = tokio::task::spawn_blocking(move || {
        let connections = file.connections()?;
        let connection = match behavior {
            TransactionBehavior::Deferred => &connections.reading,
            _ => &connections.writing,
        };
        // A panic under the lock has rolled its transaction back, so the connection can be used again.
        let mut database = connection.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = database.transaction_with_behavior(behavior)?;
        let result = function(&transaction)?;
        transaction.commit()?;
        Ok(result)
    });
    called.await.map_err(|_| DatabaseFault::Task)?
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
