//! A database of PostgreSQL, which processes of several machines share.
//!
//! The server carries out every query as a whole or not at all: it is one statement or one transaction. A connection
//! with a fault is closed, so that the next query begins with a new one. No query is repeated, because the server may
//! have carried out one whose answer was lost. The drivers of connections run on a runtime of their own, because
//! connections outlive the requests that open them.

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
    runtime::{Builder, Runtime},
    sync::{OnceCell, Semaphore, SemaphorePermit},
    time::timeout,
};
use tokio_postgres::{
    Client, Config, Connection, NoTls, Row,
    config::SslMode,
    tls::TlsStream,
    types::{FromSql, ToSql, Type},
};

use crate::{
    config::settings::{PostgresSettings, TlsVersion},
    tls::PeerCredentials,
};

/// The key of the advisory lock under which changes of tables and additions to queues happen one after the other: the
/// bytes `cursorga`, a number that other programs in the same database hardly use.
const LOCK: i64 = 0x6375_7273_6f72_6761;

/// The most characters of a fault of the server that are logged.
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

/// The server and the credentials of the configuration in force.
pub(super) struct PostgresTarget {
    pub(super) settings: PostgresSettings,
    /// `None` without TLS.
    pub(super) credentials: Option<Arc<PeerCredentials>>,
}

/// The function that returns the server before each connection, because a reload may have changed its user and its
/// certificates. `None` if the configuration has no server any more.
type FindTarget = dyn Fn() -> Option<PostgresTarget> + Send + Sync;

/// A pool of connections to one database.
pub(super) struct Postgres {
    drivers: Drivers,
    target: Box<FindTarget>,
    /// The changes of the tables, one for each version from the first on.
    steps: &'static [&'static str],
    are_tables_made: OnceCell<()>,
    /// A permit for each connection that may be in use.
    places: Semaphore,
    idle: Mutex<Vec<Client>>,
    /// The longest time of a query, with the wait for a connection.
    patience: Duration,
}

/// A connection in use, which is closed when it is dropped.
struct LentConnection<'p> {
    client: Client,
    _place: SemaphorePermit<'p>,
}

/// The runtime of the drivers.
struct Drivers(Option<Runtime>);

impl Drop for Drivers {
    fn drop(&mut self) {
        // Dropping a runtime blocks, and so panics in an asynchronous context.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Postgres {
    /// Creates the pool. The first query connects. `steps` are the changes of the tables, one for each version: tables
    /// of an earlier version get those that they lack.
    ///
    /// # Errors
    ///
    /// Returns the error of the system if it can't start the thread of the drivers.
    pub(super) fn new(
        settings: &PostgresSettings,
        steps: &'static [&'static str],
        target: Box<FindTarget>,
    ) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("postgres").enable_all().build()?;
        Ok(Self {
            drivers: Drivers(Some(runtime)),
            target,
            steps,
            are_tables_made: OnceCell::new(),
            places: Semaphore::new(settings.connections),
            idle: Mutex::default(),
            patience: settings.timeout,
        })
    }

    /// Carries out a statement and returns its rows.
    ///
    /// # Errors
    ///
    /// Returns the fault, after which the server may have carried the statement out.
    pub(super) async fn ask(&self, statement: &str, parameters: &[TypedValue<'_>]) -> Result<Vec<Row>, PostgresFault> {
        self.in_time(async {
            let lent = self.lend().await?;
            let rows = lent.client.query_typed(statement, parameters).await?;
            self.take_back(lent);
            Ok(rows)
        })
        .await
    }

    /// Carries out a statement under the advisory lock, so that it sees the effects of all statements that other
    /// processes carried out by this function before.
    ///
    /// # Errors
    ///
    /// Returns the fault, after which the server may have carried the statement out.
    pub(super) async fn ask_alone(
        &self,
        statement: &str,
        parameters: &[TypedValue<'_>],
    ) -> Result<Vec<Row>, PostgresFault> {
        self.in_time(async {
            let lent = self.lend().await?;
            // After a fault the connection is closed, which rolls the transaction back and gives the lock up.
            lent.client.batch_execute(&format!("BEGIN; SELECT pg_advisory_xact_lock({LOCK})")).await?;
            let rows = lent.client.query_typed(statement, parameters).await?;
            lent.client.batch_execute("COMMIT").await?;
            self.take_back(lent);
            Ok(rows)
        })
        .await
    }

    async fn in_time<T>(&self, asked: impl Future<Output = Result<T, PostgresFault>>) -> Result<T, PostgresFault> {
        timeout(self.patience, asked).await.unwrap_or(Err(PostgresFault::Late(self.patience)))
    }

    /// Waits for a permit and returns a connection. The connection is closed when it is dropped, unless it is taken
    /// back: so one on which a query failed, or was given up, is never used again.
    async fn lend(&self) -> Result<LentConnection<'_>, PostgresFault> {
        let place = self.places.acquire().await.map_err(|_| ends())?;
        let client = match self.idle() {
            Some(client) => client,
            None => self.connect().await?,
        };
        Ok(LentConnection { client, _place: place })
    }

    /// Takes back a connection that had no fault.
    fn take_back(&self, lent: LentConnection<'_>) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(lent.client);
    }

    /// Returns the idle connection that was used last, among those that are still open.
    fn idle(&self) -> Option<Client> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|client| !client.is_closed());
        idle.pop()
    }

    async fn connect(&self) -> Result<Client, PostgresFault> {
        let unset = || PostgresFault::Unreachable("the configuration has no PostgreSQL any more".to_owned());
        let target = (self.target)().ok_or_else(unset)?;
        let runtime = self.drivers.0.as_ref().ok_or_else(ends)?;
        let client = runtime.spawn(open(target)).await.map_err(|_| ends())??;
        // The version is checked once for each process: a process that has checked it goes on after a later version
        // has changed the tables. Test: `tables_of_a_later_version_are_left_alone`.
        self.are_tables_made.get_or_try_init(|| make_tables(&client, self.steps)).await?;
        Ok(client)
    }
}

fn ends() -> PostgresFault {
    PostgresFault::Unreachable("the process ends".to_owned())
}

/// Connects to the first address at which a server that accepts writes answers.
async fn open(target: PostgresTarget) -> Result<Client, PostgresFault> {
    let patience = target.settings.connect_timeout;
    let mut faults = Vec::new();
    for address in &target.settings.addresses {
        match timeout(patience, open_at(&address.value, &target)).await {
            Ok(Ok(client)) => return Ok(client),
            Ok(Err(fault)) => faults.push(format!("{}: {fault}", address.value)),
            Err(_) => faults.push(format!("{}: no connection within {patience:?}", address.value)),
        }
    }
    Err(PostgresFault::Unreachable(faults.join("; ")))
}

async fn open_at(address: &str, target: &PostgresTarget) -> Result<Client, PostgresFault> {
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
            // `Require` does not verify certificates: the connector does.
            // Test: `the_certificate_of_the_database_is_verified`.
            let (client, connection) = config.ssl_mode(SslMode::Require).connect_raw(stream, tls).await?;
            drive(connection);
            client
        }
    };
    // The server ends a statement that the process has given up, and a transaction whose process is suspended: neither
    // holds its locks longer than this.
    let patience = settings.timeout.as_millis();
    let limits = format!(
        "SET statement_timeout = {patience}; SET lock_timeout = {patience};
         SET idle_in_transaction_session_timeout = {patience}"
    );
    client.batch_execute(&limits).await?;
    // A standby refuses writes: the next address may be that of the primary.
    let rows = client.query_typed("SELECT pg_is_in_recovery()", &[]).await?;
    if answer::<bool>(&rows)?.unwrap_or_default() {
        return Err(PostgresFault::Unreachable("the server is a standby".to_owned()));
    }
    Ok(client)
}

/// Returns the TLS settings of a connection, which verifies the certificate of the server and its name.
fn connector(credentials: &PeerCredentials, least: TlsVersion) -> Result<ConnectConfiguration, ErrorStack> {
    // The builder begins with the authorities of the system, which those of the configuration replace.
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

/// Runs the I/O of a connection until it ends. The client's next query fails then, so that the error is not needed
/// here.
fn drive<T: TlsStream + Unpin + Send + 'static>(connection: Connection<TcpStream, T>) {
    tokio::spawn(async move { drop(connection.await) });
}

/// Brings the tables to the newest version, one process at a time.
async fn make_tables(client: &Client, steps: &[&str]) -> Result<(), PostgresFault> {
    // Processes that start at the same time would create the tables twice.
    // Test: `a_job_is_found_and_its_result_fetched_at_any_process`.
    client.batch_execute(&format!("BEGIN; SELECT pg_advisory_xact_lock({LOCK})")).await?;
    let known = "SELECT to_regclass('cursorgate_version') IS NOT NULL";
    if !answer::<bool>(&client.query_typed(known, &[]).await?)?.unwrap_or_default() {
        client.batch_execute("CREATE TABLE cursorgate_version AS SELECT 0::bigint AS version").await?;
    }
    let rows = client.query_typed("SELECT version FROM cursorgate_version", &[]).await?;
    let version = answer::<i64>(&rows)?.unwrap_or_default();
    let Some(missing) = usize::try_from(version).ok().and_then(|known| steps.get(known..)) else {
        // The connection is closed after this fault, which ends the transaction without a change.
        // Test: `tables_of_a_later_version_are_left_alone`.
        return Err(PostgresFault::Later(version));
    };
    for step in missing {
        client.batch_execute(step).await?;
    }
    let newest = steps.len();
    client.batch_execute(&format!("UPDATE cursorgate_version SET version = {newest}; COMMIT")).await?;
    Ok(())
}

/// Returns the first column of the first row; `None` without rows.
fn answer<'r, T: FromSql<'r>>(rows: &'r [Row]) -> Result<Option<T>, PostgresFault> {
    rows.first().map(|row| Ok(row.try_get(0)?)).transpose()
}

fn unreachable(error: &dyn std::error::Error) -> PostgresFault {
    PostgresFault::Unreachable(printable(&error.to_string()))
}

/// Returns an error and its sources as one text. Sources whose text is already there are left out.
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

/// Returns a text of the server without control characters, cut at [`MOST_SAID`] characters.
fn printable(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(MOST_SAID).collect()
}
