//! A PostgreSQL database, which processes on several machines share.
//!
//! Every query is one statement or one transaction, so the server carries it out as a whole or not at all. A connection
//! with a fault is closed, and the next query uses another one. No query is repeated, because the server might have
//! carried out a query whose answer was lost. The I/O of connections runs on a separate runtime, because connections
//! outlive the requests that open them.
//!
//! Each service has tables of its own (`TableSet`), and a pool, also if all of them are in one database.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use openssl::{
    error::ErrorStack,
    ssl::{ConnectConfiguration, SslConnector, SslMethod, SslVersion},
    x509::store::X509StoreBuilder,
};
use postgres_openssl::TlsConnector;
use tokio::{
    net::TcpStream,
    runtime::{Builder, Handle, Runtime},
    sync::{OnceCell, OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout, timeout_at},
};
use tokio_postgres::{
    Client, Config, Connection, NoTls, Row, SimpleQueryMessage,
    config::SslMode,
    tls::TlsStream,
    types::{FromSql, ToSql, Type},
};

use cursorgate_config::settings::{PostgresSettings, TlsVersion};
use cursorgate_gateway::{
    runtime::clock,
    tls::{PeerCredentials, Renewable},
};

/// The current time in milliseconds since 1970.
const NOW: &str = "SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint";

/// The largest number of characters of a server's error message that are logged. The rest is cut off.
const MOST_SAID: usize = 300;

/// A parameter of a statement, and its type.
pub(super) type TypedValue<'p> = (&'p (dyn ToSql + Sync), Type);

#[derive(Debug, thiserror::Error)]
pub(super) enum PostgresFault {
    #[error("{0}")]
    Unreachable(String),
    #[error("no answer within {0:?}")]
    Late(Duration),
    #[error("{0}")]
    Refused(String),
    #[error("the tables have the version {0}, which a later cursorgate has made")]
    Later(i64),
}

impl From<tokio_postgres::Error> for PostgresFault {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(fault) => Self::Refused(printable(&format!("{} ({})", fault.message(), fault.code().code()))),
            None => Self::Unreachable(printable(&reasons(&error))),
        }
    }
}

/// The tables of a service.
#[derive(Clone, Copy)]
pub(super) struct TableSet {
    /// SQL scripts. The first creates the tables of version 1, and each later script changes the tables to the next
    /// version. Tables of an earlier version get the steps that they lack.
    pub(super) steps: &'static [&'static str],
    /// The schema of the tables, which is created if it is missing; `None` for the schema that the user has.
    pub(super) schema: Option<&'static str>,
    /// The key of the advisory lock under which table changes, and transactions that write, happen one after the other.
    /// A key is eight letters, a number that other programs in the same database are unlikely to use.
    pub(super) lock: i64,
}

/// The server of the current configuration, and the credentials for it.
pub(super) struct PostgresTarget {
    pub(super) settings: PostgresSettings,
    /// The certificates for TLS; `None` if the connection doesn't use TLS.
    pub(super) credentials: Option<Arc<PeerCredentials>>,
}

impl PostgresTarget {
    /// Returns the server with the current certificates.
    pub(super) fn of(settings: &PostgresSettings, credentials: Option<&Renewable<PeerCredentials>>) -> Self {
        Self { settings: settings.clone(), credentials: credentials.map(|tls| Arc::clone(&tls.current())) }
    }
}

/// A function that returns the server before each connection attempt, because a reload can change the user and the
/// certificates. Returns `None` if the configuration doesn't have a PostgreSQL server any more.
type FindTarget = dyn Fn() -> Option<PostgresTarget> + Send + Sync;

/// A pool of connections to one database.
pub(super) struct Postgres {
    drivers: Drivers,
    target: Box<FindTarget>,
    tables: TableSet,
    are_tables_made: OnceCell<()>,
    /// A permit for each connection that may be in use at the same time.
    places: Arc<Semaphore>,
    /// The permit of the transaction that writes. Others wait for it without a connection, so readers find one.
    writing: Arc<Semaphore>,
    idle: Mutex<Vec<Client>>,
    /// The longest time that a query may take, including the wait for a connection. After that, the query fails.
    patience: Duration,
}

/// A connection in use. Dropping the value closes the connection.
struct LentConnection {
    client: Client,
    _place: OwnedSemaphorePermit,
}

/// A transaction. Its functions block, so they run on a thread that may block. Dropping the value without `commit`
/// closes its connection, which rolls the transaction back.
pub(super) struct PostgresTransaction {
    postgres: Arc<Postgres>,
    runtime: Handle,
    lent: LentConnection,
    deadline: Instant,
    now: u64,
    /// The permit to write; `None` if the transaction only reads.
    _writing: Option<OwnedSemaphorePermit>,
}

impl PostgresTransaction {
    /// Returns the time of the beginning by the clock of the server, in milliseconds since 1970.
    pub(super) fn now(&self) -> u64 {
        self.now
    }

    /// Executes a statement, and returns the number of rows that it has changed.
    pub(super) fn execute(&self, statement: &str, parameters: &[TypedValue<'_>]) -> Result<u64, PostgresFault> {
        self.wait(async { Ok(self.lent.client.execute_typed(statement, parameters).await?) })
    }

    /// Executes a statement and returns its rows.
    pub(super) fn query(&self, statement: &str, parameters: &[TypedValue<'_>]) -> Result<Vec<Row>, PostgresFault> {
        self.wait(async { Ok(self.lent.client.query_typed(statement, parameters).await?) })
    }

    /// Ends the transaction.
    ///
    /// # Errors
    ///
    /// Returns the fault. The server might nevertheless have carried out the transaction.
    pub(super) fn commit(self) -> Result<(), PostgresFault> {
        self.wait(async { Ok(self.lent.client.batch_execute("COMMIT").await?) })?;
        self.postgres.take_back(self.lent);
        Ok(())
    }

    fn wait<T>(&self, asked: impl Future<Output = Result<T, PostgresFault>>) -> Result<T, PostgresFault> {
        self.runtime.block_on(self.postgres.before(self.deadline, asked))
    }
}

/// The runtime that runs the I/O of connections; `None` only while it is dropped.
struct Drivers(Option<Runtime>);

impl Drop for Drivers {
    fn drop(&mut self) {
        // Dropping a runtime blocks, and so panics in an asynchronous context. So the runtime is shut down without
        // waiting.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Postgres {
    /// Creates the pool without a connection. The first query connects, and makes the tables.
    ///
    /// # Errors
    ///
    /// Returns the error of the system if it can't start the thread for the connections' I/O.
    pub(super) fn new(settings: &PostgresSettings, tables: TableSet, target: Box<FindTarget>) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("postgres").enable_all().build()?;
        Ok(Self {
            drivers: Drivers(Some(runtime)),
            target,
            tables,
            are_tables_made: OnceCell::new(),
            places: Arc::new(Semaphore::new(settings.connections)),
            writing: Arc::new(Semaphore::new(1)),
            idle: Mutex::default(),
            patience: settings.timeout,
        })
    }

    /// Executes a statement and returns its rows.
    ///
    /// # Errors
    ///
    /// Returns the fault. The server might nevertheless have carried out the statement.
    pub(super) async fn ask(&self, statement: &str, parameters: &[TypedValue<'_>]) -> Result<Vec<Row>, PostgresFault> {
        self.before(self.deadline(), async {
            let lent = self.lend().await?;
            let rows = lent.client.query_typed(statement, parameters).await?;
            self.take_back(lent);
            Ok(rows)
        })
        .await
    }

    /// Executes a statement under the advisory lock, and returns its rows. The statement sees the effects of all
    /// statements that other processes have executed with this function.
    ///
    /// # Errors
    ///
    /// Returns the fault. The server might nevertheless have carried out the statement.
    pub(super) async fn ask_alone(
        &self,
        statement: &str,
        parameters: &[TypedValue<'_>],
    ) -> Result<Vec<Row>, PostgresFault> {
        self.before(self.deadline(), async {
            let lent = self.lend().await?;
            // After a fault the connection is closed, which rolls the transaction back and releases the lock.
            lent.client.batch_execute(&self.tables.begin()).await?;
            let rows = lent.client.query_typed(statement, parameters).await?;
            lent.client.batch_execute("COMMIT").await?;
            self.take_back(lent);
            Ok(rows)
        })
        .await
    }

    /// Begins a transaction. If it writes, it has the advisory lock, so it sees the effects of all transactions that have
    /// written before, and no other one writes until its end. If it only reads, it sees one state of the database, and
    /// waits for no lock.
    ///
    /// # Errors
    ///
    /// Returns the fault.
    pub(super) async fn begin(self: &Arc<Self>, writes: bool) -> Result<PostgresTransaction, PostgresFault> {
        let deadline = self.deadline();
        let begun = async {
            let writing = match writes {
                true => Some(Arc::clone(&self.writing).acquire_owned().await.map_err(|_| ends())?),
                false => None,
            };
            let lent = self.lend().await?;
            let begin = match writes {
                true => self.tables.begin(),
                false => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY".to_owned(),
            };
            // The time is read under the lock, so it is never before the time of a transaction that has written before.
            let answers = lent.client.simple_query(&format!("{begin}; {NOW}")).await?;
            let now = answers.iter().rev().find_map(|answer| match answer {
                SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
                _ => None,
            });
            let now = now.ok_or_else(|| PostgresFault::Refused("the server didn't tell the time".to_owned()))?;
            let runtime = self.drivers.0.as_ref().ok_or_else(ends)?.handle().clone();
            let postgres = Arc::clone(self);
            Ok(PostgresTransaction { postgres, runtime, lent, deadline, now, _writing: writing })
        };
        self.before(deadline, begun).await
    }

    fn deadline(&self) -> Instant {
        Instant::from_std(clock::instant()) + self.patience
    }

    async fn before<T>(
        &self,
        deadline: Instant,
        asked: impl Future<Output = Result<T, PostgresFault>>,
    ) -> Result<T, PostgresFault> {
        timeout_at(deadline, asked).await.unwrap_or(Err(PostgresFault::Late(self.patience)))
    }

    /// Waits for a permit and returns a connection. Unless [`take_back`](Self::take_back) takes the connection back, it
    /// is closed when it is dropped. So a connection on which a query failed, or was given up, is never used again.
    async fn lend(&self) -> Result<LentConnection, PostgresFault> {
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| ends())?;
        let client = match self.idle() {
            Some(client) => client,
            None => self.connect().await?,
        };
        Ok(LentConnection { client, _place: place })
    }

    /// Returns a connection to the pool after a query without a fault.
    fn take_back(&self, lent: LentConnection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(lent.client);
    }

    /// Takes the open idle connection that was used last out of the pool; `None` if there isn't one. Connections that
    /// have closed are removed.
    fn idle(&self) -> Option<Client> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|client| !client.is_closed());
        idle.pop()
    }

    async fn connect(&self) -> Result<Client, PostgresFault> {
        let unset = || PostgresFault::Unreachable("the configuration no longer has PostgreSQL".to_owned());
        let target = (self.target)().ok_or_else(unset)?;
        let runtime = self.drivers.0.as_ref().ok_or_else(ends)?;
        let client = runtime.spawn(open(target, self.tables.schema)).await.map_err(|_| ends())??;
        // The version of the tables is checked once per process. So a process continues to run after a later version of
        // the program has changed the tables. Test: `tables_of_a_later_version_are_left_alone`.
        self.are_tables_made.get_or_try_init(|| make_tables(&client, self.tables)).await?;
        Ok(client)
    }
}

fn ends() -> PostgresFault {
    PostgresFault::Unreachable("the process ends".to_owned())
}

/// Connects to the first address at which a server answers that accepts writes.
async fn open(target: PostgresTarget, schema: Option<&str>) -> Result<Client, PostgresFault> {
    let patience = target.settings.connect_timeout;
    let mut faults = Vec::new();
    for address in &target.settings.addresses {
        match timeout(patience, open_at(&address.value, &target, schema)).await {
            Ok(Ok(client)) => return Ok(client),
            Ok(Err(fault)) => faults.push(format!("{}: {fault}", address.value)),
            Err(_) => faults.push(format!("{}: no connection within {patience:?}", address.value)),
        }
    }
    Err(PostgresFault::Unreachable(faults.join("; ")))
}

async fn open_at(address: &str, target: &PostgresTarget, schema: Option<&str>) -> Result<Client, PostgresFault> {
    let PostgresTarget { settings, credentials } = target;
    let stream = TcpStream::connect(address).await.map_err(|error| unreachable(&error))?;
    stream.set_nodelay(true).map_err(|error| unreachable(&error))?;
    let mut config = Config::new();
    config.user(&settings.username).dbname(&settings.database).application_name("cursorgate");
    if let Some(password) = &settings.password {
        config.password(password.reveal());
    }
    let client = match credentials {
        None => {
            let (client, connection) = config.ssl_mode(SslMode::Disable).connect_raw(stream, NoTls).await?;
            drive(connection);
            client
        }
        Some(credentials) => {
            let host = address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']']);
            let tls = settings.tls.as_ref();
            let name = tls.and_then(|tls| tls.server_name.as_deref()).unwrap_or(host);
            let least = tls.map_or(TlsVersion::Tls12, |tls| tls.min_version);
            let configured = connector(credentials, least).map_err(|error| unreachable(&error))?;
            let tls = TlsConnector::new(configured, name);
            // `Require` by itself doesn't verify certificates, but the connector does.
            // Test: `the_certificate_of_the_database_is_verified`.
            let (client, connection) = config.ssl_mode(SslMode::Require).connect_raw(stream, tls).await?;
            drive(connection);
            client
        }
    };
    // The server ends a statement that the process has given up, and a transaction whose process is suspended. Neither
    // keeps its locks longer than the time limit of a query.
    let patience = settings.timeout.as_millis();
    let limits = format!(
        "SET statement_timeout = {patience}; SET lock_timeout = {patience};
         SET idle_in_transaction_session_timeout = {patience}"
    );
    client.batch_execute(&limits).await?;
    if let Some(schema) = schema {
        client.batch_execute(&format!("SET search_path = {schema}")).await?;
    }
    // A standby refuses writes, and the next address might be the primary's. So a connection to a standby counts as
    // failed.
    let rows = client.query_typed("SELECT pg_is_in_recovery()", &[]).await?;
    if answer::<bool>(&rows)?.unwrap_or_default() {
        return Err(PostgresFault::Unreachable("the server is a standby".to_owned()));
    }
    Ok(client)
}

/// Returns the TLS settings of a connection, which verify the server's certificate and its name. `least` is the lowest
/// permitted version of TLS.
fn connector(credentials: &PeerCredentials, least: TlsVersion) -> Result<ConnectConfiguration, ErrorStack> {
    // The builder begins with the certificate authorities of the system. Configured authorities replace these.
    let mut builder = SslConnector::builder(SslMethod::tls_client())?;
    builder.set_min_proto_version(Some(match least {
        TlsVersion::Tls12 => SslVersion::TLS1_2,
        TlsVersion::Tls13 => SslVersion::TLS1_3,
    }))?;
    if let Some(authorities) = &credentials.authorities {
        let mut store = X509StoreBuilder::new()?;
        for authority in authorities.iter() {
            store.add_cert(authority.clone())?;
        }
        builder.set_cert_store(store.build());
    }
    if let Some(identity) = &credentials.identity {
        builder.set_certificate(identity.leaf())?;
        builder.set_private_key(identity.key())?;
        for intermediate in identity.intermediates() {
            builder.add_extra_chain_cert(intermediate.clone())?;
        }
    }
    builder.build().configure()
}

/// Runs the I/O of a connection in a task until the connection ends. The error is dropped, because the client's next
/// query fails then.
fn drive<T: TlsStream + Unpin + Send + 'static>(connection: Connection<TcpStream, T>) {
    tokio::spawn(async move { drop(connection.await) });
}

impl TableSet {
    /// Returns the statements that begin a transaction with the lock.
    fn begin(self) -> String {
        format!("BEGIN; SELECT pg_advisory_xact_lock({})", self.lock)
    }
}

/// Brings the tables to the version that their steps lead to, in one process at a time.
async fn make_tables(client: &Client, tables: TableSet) -> Result<(), PostgresFault> {
    // Without the lock, processes that start at the same time would create the tables twice.
    // Test: `a_job_is_found_and_its_result_fetched_at_any_process`.
    client.batch_execute(&tables.begin()).await?;
    if let Some(schema) = tables.schema {
        // To create it needs a right that is not needed to use it, so an administrator may have created it.
        let known = format!("SELECT to_regnamespace('{schema}') IS NOT NULL");
        if !answer::<bool>(&client.query_typed(&known, &[]).await?)?.unwrap_or_default() {
            client.batch_execute(&format!("CREATE SCHEMA {schema}")).await?;
        }
    }
    let known = "SELECT to_regclass('cursorgate_version') IS NOT NULL";
    if !answer::<bool>(&client.query_typed(known, &[]).await?)?.unwrap_or_default() {
        client.batch_execute("CREATE TABLE cursorgate_version AS SELECT 0::bigint AS version").await?;
    }
    let rows = client.query_typed("SELECT version FROM cursorgate_version", &[]).await?;
    let version = answer::<i64>(&rows)?.unwrap_or_default();
    let Some(missing) = usize::try_from(version).ok().and_then(|known| tables.steps.get(known..)) else {
        // The connection is closed after this fault, which ends the transaction without a change.
        // Test: `tables_of_a_later_version_are_left_alone`.
        return Err(PostgresFault::Later(version));
    };
    for step in missing {
        client.batch_execute(step).await?;
    }
    let newest = tables.steps.len();
    client.batch_execute(&format!("UPDATE cursorgate_version SET version = {newest}; COMMIT")).await?;
    Ok(())
}

/// Returns the first column of the first row; `None` if there are no rows.
fn answer<'r, T: FromSql<'r>>(rows: &'r [Row]) -> Result<Option<T>, PostgresFault> {
    rows.first().map(|row| Ok(row.try_get(0)?)).transpose()
}

fn unreachable(error: &dyn std::error::Error) -> PostgresFault {
    PostgresFault::Unreachable(printable(&error.to_string()))
}

/// Returns the messages of an error and its sources as one string. A source whose message is part of the string already
/// is left out.
fn reasons(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(reason) = source {
        let reason_text = reason.to_string();
        if !text.contains(&reason_text) {
            text = format!("{text}: {reason_text}");
        }
        source = reason.source();
    }
    text
}

/// Returns the first [`MOST_SAID`] characters of a server's message that aren't control characters.
fn printable(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(MOST_SAID).collect()
}
