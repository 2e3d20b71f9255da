//! Endpoints and their deliveries, in a directory that processes of one machine can share (SQLite), or in a PostgreSQL
//! database for processes on several machines.
//!
//! Both have the same queries (`crate::sql`), and all times in the store are of its own clock. This module contains the
//! queries for endpoints. The queries for deliveries are in `queue`, the ones for versions of watched pages in
//! `windows`, and the ones for operators' reports in `overview`.

mod overview;
mod postgres;
mod queue;
mod windows;

use std::path::Path;

pub(super) use self::{
    overview::{CountedEndpoint, DeadLetter, Revival, Revived, TimeRange},
    queue::{Claimed, DISABLED, Delivery, DeliveryState, EndedAttempt, NextStep, QueueBounds, Raised, TurnKind},
    windows::{SeenVersion, WatchRecord},
};
use super::endpoint::{DisabledBy, Endpoint, EndpointState};
use crate::{
    database::{Database, DatabaseFault, OwnDirectory, count, natural, whole},
    sql::{Row, SqlDatabase, SqlTransaction, SqlValue, places, values},
};
use cursorgate_config::settings::EndpointFilter;

/// The SQL scripts that create and change the tables in SQLite, one for each version.
const STEPS: [&str; 8] = [
    "
CREATE TABLE endpoints (
    id TEXT PRIMARY KEY,
    owner TEXT,
    state TEXT NOT NULL CHECK (state IN ('unverified', 'active', 'disabled')),
    verified INTEGER NOT NULL,
    gone INTEGER NOT NULL DEFAULT 0,
    events TEXT NOT NULL,
    created INTEGER NOT NULL,
    -- Of an endpoint of the operator: the URL that the state is of, hashed.
    mark TEXT,
    -- Of an endpoint of a client: the number of the key that sealed it, and its URL and its secrets.
    number INTEGER,
    sealed BLOB,
    -- The time at which its pace is whole again, in milliseconds since 1970.
    whole_at INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX endpoints_by_owner ON endpoints (owner, created);

CREATE TABLE events (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    created INTEGER NOT NULL,
    payload TEXT NOT NULL
) STRICT;

CREATE TABLE deliveries (
    id TEXT PRIMARY KEY,
    endpoint TEXT NOT NULL,
    event TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'delivered', 'dead')),
    attempts INTEGER NOT NULL DEFAULT 0,
    claim INTEGER NOT NULL DEFAULT 0,
    not_before INTEGER NOT NULL,
    -- The time until which a process has it, in milliseconds since 1970.
    held_until INTEGER NOT NULL DEFAULT 0,
    created INTEGER NOT NULL,
    finished INTEGER,
    fault TEXT,
    UNIQUE (endpoint, event)
) STRICT;
CREATE INDEX deliveries_due ON deliveries (endpoint, not_before) WHERE state = 'queued';
CREATE INDEX deliveries_finished ON deliveries (finished) WHERE finished IS NOT NULL;
CREATE INDEX deliveries_by_endpoint ON deliveries (endpoint, created);
CREATE INDEX deliveries_by_event ON deliveries (event);

CREATE TABLE attempts (
    delivery TEXT NOT NULL,
    number INTEGER NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (delivery, number)
) STRICT, WITHOUT ROWID;

-- The notices of sunsets that were given.
CREATE TABLE notices (
    cause TEXT PRIMARY KEY,
    given INTEGER NOT NULL
) STRICT;
",
    "
-- What an event is about, where a later one takes its place.
ALTER TABLE events ADD COLUMN subject TEXT;
CREATE INDEX events_by_subject ON events (subject) WHERE subject IS NOT NULL;

-- Pages as they were last seen.
CREATE TABLE windows (
    -- By a key of cursors.
    name TEXT PRIMARY KEY,
    version TEXT,
    seen INTEGER NOT NULL,
    changed INTEGER,
    -- Of a watch of the configuration: its name there, the time before which it is not asked for again, in milliseconds since
    -- 1970, and the fault of the last request.
    watch TEXT,
    not_before INTEGER NOT NULL DEFAULT 0,
    fault TEXT
) STRICT;
CREATE INDEX windows_by_age ON windows (seen);
",
    "
-- The name under which limits count the client; the owner's if it is missing. And the name of its address.
ALTER TABLE endpoints ADD COLUMN counted TEXT;
ALTER TABLE endpoints ADD COLUMN network TEXT;
",
    "
-- Why it is disabled, and since when no attempt has succeeded.
ALTER TABLE endpoints ADD COLUMN disabled_by TEXT;
UPDATE endpoints SET disabled_by = iif(gone, 'gone', 'client') WHERE state = 'disabled';
ALTER TABLE endpoints DROP COLUMN gone;
ALTER TABLE endpoints ADD COLUMN failing_since INTEGER;

-- The name of all processes with this directory, among those that share a store.
CREATE TABLE holder (id TEXT PRIMARY KEY) STRICT;
INSERT INTO holder VALUES (lower(hex(randomblob(16))));
",
    "
-- The times at which an endpoint may be challenged and tested again, in milliseconds since 1970.
ALTER TABLE endpoints ADD COLUMN challenged_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE endpoints ADD COLUMN tested_at INTEGER NOT NULL DEFAULT 0;
",
    "
-- The time at which it was disabled, in seconds since 1970; missing if an earlier version did it.
ALTER TABLE endpoints ADD COLUMN disabled_at INTEGER;
",
    "
-- The conditions of an endpoint of a client for events, as JSON; missing if there are none.
ALTER TABLE endpoints ADD COLUMN filter TEXT;
",
    "
-- The name of the client by which services emit events for it, as a hash; missing if it has none.
ALTER TABLE endpoints ADD COLUMN subject TEXT;
CREATE INDEX endpoints_by_subject ON endpoints (subject) WHERE subject IS NOT NULL;
",
];

const COLUMNS: &str = "id, owner, subject, state, verified, disabled_by, disabled_at, events, filter, created, sealed";

/// The largest number of endpoints that a query returns. A client can't have more endpoints than this.
const MOST_LISTED: usize = 1_000;

/// The result of an attempt to add an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Registered {
    Added,
    /// The client has as many endpoints as it may have.
    ClientIsFull,
    /// All clients together have as many endpoints as they may have.
    AllAreFull,
}

/// An endpoint of the operator, from the configuration.
#[derive(Clone, Debug)]
pub(super) struct OperatorsEndpoint {
    pub(super) id: String,
    /// A hash of the endpoint's URL, by which a changed URL is noticed.
    pub(super) mark: String,
    /// The types of events that the endpoint gets, such as `export.completed`.
    pub(super) events: Vec<String>,
    pub(super) filter: EndpointFilter,
}

/// The endpoints and types of events that the configuration permits.
#[derive(Clone, Debug)]
pub(super) struct Subscribers {
    pub(super) operators: Vec<OperatorsEndpoint>,
    /// The types of events to which clients can subscribe; empty if clients can't register endpoints.
    pub(super) of_clients: Vec<String>,
    /// The largest number of waiting deliveries to one endpoint.
    pub(super) most_waiting: usize,
}

impl Subscribers {
    /// Returns whether there can't be an endpoint that gets events of this type.
    pub(super) fn are_none(&self, kind: &str) -> bool {
        let asks = |events: &Vec<String>| events.iter().any(|known| known == kind);
        !asks(&self.of_clients) && !self.operators.iter().any(|endpoint| asks(&endpoint.events))
    }
}

#[derive(Clone)]
pub(super) struct WebhookStore {
    database: SqlDatabase,
    /// The directory; `None` with PostgreSQL.
    own: Option<OwnDirectory>,
}

/// The tables in a transaction. If a function returns an error, the transaction is rolled back.
pub(super) struct WebhookTables<'c> {
    transaction: &'c SqlTransaction<'c>,
}

impl WebhookStore {
    /// Opens the database in a directory. If the directory or the database is missing, it is created.
    ///
    /// # Errors
    ///
    /// Returns the fault of the directory or of its database.
    pub(super) fn open(directory: &Path) -> Result<Self, DatabaseFault> {
        let database = SqlDatabase::Sqlite(Database::open(&directory.join("webhooks.sqlite3"), &STEPS)?);
        Ok(Self { database, own: Some(OwnDirectory::open(directory, 0o002)?) })
    }

    /// Checks that a directory can be written. PostgreSQL tells of its faults by itself.
    ///
    /// # Errors
    ///
    /// Returns the fault of the directory.
    pub(super) async fn check(&self) -> Result<(), DatabaseFault> {
        match &self.own {
            Some(directory) => directory.check().await,
            None => Ok(()),
        }
    }

    /// Runs a function in one transaction of the database, on a thread that may block.
    ///
    /// # Errors
    ///
    /// Returns the fault of the function or of its transaction.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        function: impl FnOnce(&mut WebhookTables<'_>) -> Result<T, DatabaseFault> + Send + 'static,
    ) -> Result<T, DatabaseFault> {
        self.database.call(move |transaction| function(&mut WebhookTables { transaction })).await
    }

    /// Runs a function that only reads, which waits for no write.
    ///
    /// # Errors
    ///
    /// Returns the fault of the function or of its transaction.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        function: impl FnOnce(&mut WebhookTables<'_>) -> Result<T, DatabaseFault> + Send + 'static,
    ) -> Result<T, DatabaseFault> {
        self.database.read(move |transaction| function(&mut WebhookTables { transaction })).await
    }
}

/// The number of clients whose endpoints one address may have.
const CLIENTS_OF_NETWORK: usize = 4;

/// A client as limits count it.
#[derive(Clone, Debug)]
pub(super) struct RegisteringClient {
    /// Its names, one for each cursor key; the one under the signing key is the first.
    pub(super) names: Vec<String>,
    /// The name of its address; `None` if the address is unknown.
    pub(super) network: Option<String>,
}

/// The largest numbers of endpoints, per client and of all clients.
#[derive(Clone, Copy, Debug)]
pub(super) struct EndpointLimits {
    pub(super) per_client: usize,
    pub(super) all: usize,
}

impl WebhookTables<'_> {
    /// Returns the time of the transaction by the clock of the store, in milliseconds since 1970.
    pub(super) fn now(&self) -> u64 {
        self.transaction.now()
    }

    /// Adds an endpoint of a client, unless the limit of this client, of its address or of all clients is reached.
    /// `number` is the number of the key that sealed the endpoint.
    pub(super) fn register(
        &mut self,
        endpoint: &Endpoint,
        client: &RegisteringClient,
        limits: EndpointLimits,
        number: u32,
    ) -> Result<Registered, DatabaseFault> {
        // The endpoints are counted in the transaction that adds one, so two requests at the same time can't both take
        // the last place. Endpoints under all names of the client count. Otherwise a change of keys would let the
        // client exceed its limit.
        let query = format!(
            "SELECT count(*) FILTER (WHERE coalesce(counted, owner) IN ({})) AS own,
                 count(*) FILTER (WHERE network = ?1) AS near, count(*) AS everyone
             FROM endpoints WHERE owner IS NOT NULL",
            places(2, client.names.len())
        );
        let parameters = std::iter::once((&client.network).into()).chain(client.names.iter().map(SqlValue::from));
        let mut row = self.transaction.row(&query, &parameters.collect::<Vec<_>>())?;
        let mut counted = |name| row.as_mut().map_or(Ok(0), |row| row.take(name)).map(count);
        let (own, near, everyone) = (counted("own")?, counted("near")?, counted("everyone")?);
        // A client has a new name with each value of a header that no upstream checks. Test:
        // `noise_in_a_cookie_makes_no_new_client`.
        let per_network = limits.per_client.saturating_mul(CLIENTS_OF_NETWORK);
        if own >= limits.per_client || near >= per_network {
            return Ok(Registered::ClientIsFull);
        }
        // Endpoints of the operator don't count for the limit of all clients.
        if everyone >= limits.all {
            return Ok(Registered::AllAreFull);
        }
        self.transaction.execute(
            "INSERT INTO endpoints (id, owner, counted, network, state, verified, events, created, number, sealed, filter,
                 subject)
             VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?7, ?8, ?9, ?10, ?11)",
            values![
                &endpoint.id,
                &endpoint.owner,
                client.names.first().map(String::as_str),
                &client.network,
                endpoint.state.word(),
                &serde_json::to_string(&endpoint.events)?,
                whole(endpoint.created),
                number,
                endpoint.sealed.as_slice(),
                &written(&endpoint.filter)?,
                &endpoint.subject,
            ],
        )?;
        Ok(Registered::Added)
    }

    /// Stores a changed endpoint of a client. `number` is the number of the key that sealed the endpoint.
    pub(super) fn change(&mut self, endpoint: &Endpoint, number: u32) -> Result<(), DatabaseFault> {
        self.transaction.execute(
            "UPDATE endpoints SET owner = ?2, state = ?3, verified = ?4, disabled_by = ?5, events = ?6, number = ?7,
                 sealed = ?8, disabled_at = ?9, filter = ?10, subject = ?11,
                 failing_since = CASE WHEN state = ?3 THEN failing_since END
             WHERE id = ?1",
            values![
                &endpoint.id,
                &endpoint.owner,
                endpoint.state.word(),
                endpoint.is_verified,
                endpoint.disabled_by.map(DisabledBy::word),
                &serde_json::to_string(&endpoint.events)?,
                number,
                endpoint.sealed.as_slice(),
                endpoint.disabled_at.map(whole),
                &written(&endpoint.filter)?,
                &endpoint.subject,
            ],
        )?;
        Ok(())
    }

    /// Disables an active endpoint for a reason. An operator can also pause an endpoint that isn't active. Returns
    /// whether the endpoint has changed. `now` is in seconds since 1970.
    pub(super) fn disable(&mut self, id: &str, by: DisabledBy, now: u64) -> Result<bool, DatabaseFault> {
        // The end of an attempt that began before must not change the reason. Otherwise the client could enable an
        // endpoint that an operator has paused. Test: `an_endpoint_is_disabled_once`.
        let statement = "UPDATE endpoints SET state = 'disabled', disabled_by = ?2, disabled_at = ?3
             WHERE id = ?1 AND (state = 'active' OR ?2 = 'operator' AND disabled_by IS DISTINCT FROM ?2)";
        Ok(self.transaction.execute(statement, values![id, by.word(), whole(now)])? > 0)
    }

    /// Enables a disabled endpoint again; it is active if it was verified.
    pub(super) fn enable(&mut self, id: &str) -> Result<(), DatabaseFault> {
        let statement = "UPDATE endpoints SET state = CASE WHEN verified = 1 THEN 'active' ELSE 'unverified' END,
                 disabled_by = NULL, disabled_at = NULL, failing_since = NULL
             WHERE id = ?1 AND state = 'disabled'";
        self.transaction.execute(statement, values![id])?;
        Ok(())
    }

    /// Notes the end of an attempt for an endpoint. Returns the time since which no attempt has succeeded, in seconds
    /// since 1970; `None` if this one has. `now` is in seconds since 1970.
    pub(super) fn note_attempt(&mut self, id: &str, is_success: bool, now: u64) -> Result<Option<u64>, DatabaseFault> {
        let statement =
            "UPDATE endpoints SET failing_since = CASE WHEN ?2 = 0 THEN coalesce(failing_since, ?3) END WHERE id = ?1
             RETURNING failing_since";
        let since: Option<Option<i64>> = self.transaction.cell(statement, values![id, is_success, whole(now)])?;
        Ok(since.flatten().map(natural))
    }

    /// Removes an endpoint of a client, and all deliveries to it.
    pub(super) fn remove(&mut self, id: &str) -> Result<(), DatabaseFault> {
        for statement in [
            // Attempts are removed first: they are found through the deliveries, which the next statement removes.
            "DELETE FROM attempts WHERE delivery IN (SELECT id FROM deliveries WHERE endpoint = ?1)",
            "DELETE FROM deliveries WHERE endpoint = ?1",
            "DELETE FROM endpoints WHERE id = ?1",
        ] {
            self.transaction.execute(statement, values![id])?;
        }
        self.remove_lone_events()
    }

    /// Returns the endpoint with this id, of the operator or of any client; `None` if there is no such endpoint.
    pub(super) fn endpoint(&mut self, id: &str) -> Result<Option<Endpoint>, DatabaseFault> {
        let query = format!("SELECT {COLUMNS} FROM endpoints WHERE id = ?1");
        self.transaction.row(&query, values![id])?.map(read).transpose()
    }

    /// Returns an endpoint of a client; `None` if there is no such endpoint, or if it belongs to someone else. `owners`
    /// are the client's names, one for each cursor key.
    pub(super) fn find(&mut self, id: &str, owners: &[String]) -> Result<Option<Endpoint>, DatabaseFault> {
        // An endpoint of the operator has no owner, so a client can't find it.
        Ok(self.endpoint(id)?.filter(|endpoint| endpoint.owner.as_ref().is_some_and(|owner| owners.contains(owner))))
    }

    /// Returns the endpoints of a client, the oldest first. `owners` are the client's names, one for each cursor key.
    pub(super) fn of_client(&mut self, owners: &[String]) -> Result<Vec<Endpoint>, DatabaseFault> {
        self.of_names("owner", owners)
    }

    /// Returns the endpoints of the client that services name so, the oldest first.
    pub(super) fn of_subject(&mut self, subjects: &[String]) -> Result<Vec<Endpoint>, DatabaseFault> {
        self.of_names("subject", subjects)
    }

    fn of_names(&mut self, column: &str, names: &[String]) -> Result<Vec<Endpoint>, DatabaseFault> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let places = places(1, names.len());
        let query = format!(
            "SELECT {COLUMNS} FROM endpoints WHERE {column} IN ({places}) ORDER BY created, rowid LIMIT {MOST_LISTED}"
        );
        let names: Vec<SqlValue<'_>> = names.iter().map(SqlValue::from).collect();
        self.transaction.rows(&query, &names)?.into_iter().map(read).collect()
    }

    /// Returns the endpoints of all clients that are active, or are disabled after they were verified.
    pub(super) fn of_clients(&mut self) -> Result<Vec<Endpoint>, DatabaseFault> {
        let query =
            format!("SELECT {COLUMNS} FROM endpoints WHERE owner IS NOT NULL AND (state = 'active' OR verified = 1)");
        self.transaction.rows(&query, &[])?.into_iter().map(read).collect()
    }

    /// Stores an endpoint of the operator, or updates the stored one from the configuration. An endpoint whose URL has
    /// changed is active again, even if its earlier URL has answered with 410. `now` is in seconds since 1970.
    fn configure(&mut self, endpoint: &OperatorsEndpoint, now: u64) -> Result<(), DatabaseFault> {
        self.transaction.execute(
            "INSERT INTO endpoints (id, state, verified, events, created, mark, filter)
             VALUES (?1, 'active', 1, ?2, ?3, ?4, ?5)
             ON CONFLICT (id) DO UPDATE SET
                 state = CASE WHEN endpoints.mark = ?4 THEN endpoints.state ELSE 'active' END,
                 disabled_by = CASE WHEN endpoints.mark = ?4 THEN endpoints.disabled_by END,
                 disabled_at = CASE WHEN endpoints.mark = ?4 THEN endpoints.disabled_at END,
                 failing_since = CASE WHEN endpoints.mark = ?4 THEN endpoints.failing_since END,
                 events = ?2, mark = ?4, filter = ?5
             WHERE endpoints.mark <> ?4 OR endpoints.events <> ?2 OR endpoints.filter IS DISTINCT FROM ?5",
            values![
                &endpoint.id,
                &serde_json::to_string(&endpoint.events)?,
                whole(now),
                &endpoint.mark,
                &written(&endpoint.filter)?
            ],
        )?;
        Ok(())
    }

    /// Returns up to [`MOST_LISTED`] endpoints of clients that were sealed by another key than `number`.
    pub(super) fn sealed_by_others(&mut self, number: u32) -> Result<Vec<Endpoint>, DatabaseFault> {
        // Endpoints of the operator have no number. A comparison with NULL isn't true, so the query leaves these
        // endpoints out.
        let query = format!("SELECT {COLUMNS} FROM endpoints WHERE number <> ?1 LIMIT {MOST_LISTED}");
        self.transaction.rows(&query, values![number])?.into_iter().map(read).collect()
    }

    /// Returns whether the notice of a sunset with this cause has been raised.
    pub(super) fn has_notice(&mut self, cause: &str) -> Result<bool, DatabaseFault> {
        Ok(self.transaction.row("SELECT cause FROM notices WHERE cause = ?1", values![cause])?.is_some())
    }

    /// Records that the notice of a sunset with this cause has been raised. `now` is in seconds since 1970.
    pub(super) fn note(&mut self, cause: &str, now: u64) -> Result<(), DatabaseFault> {
        let statement = "INSERT INTO notices (cause, given) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        self.transaction.execute(statement, values![cause, whole(now)])?;
        Ok(())
    }
}

/// Returns a filter as it is stored; `None` without conditions.
fn written(filter: &EndpointFilter) -> Result<Option<String>, DatabaseFault> {
    let written = (!filter.is_empty()).then(|| serde_json::to_string(filter));
    Ok(written.transpose()?)
}

fn read(mut row: Row) -> Result<Endpoint, DatabaseFault> {
    let (state, events): (String, String) = (row.take("state")?, row.take("events")?);
    let filter: Option<String> = row.take("filter")?;
    Ok(Endpoint {
        id: row.take("id")?,
        owner: row.take("owner")?,
        subject: row.take("subject")?,
        // The fallback is never used, because the table permits only the words of states.
        state: EndpointState::of(&state).unwrap_or(EndpointState::Disabled),
        is_verified: row.take("verified")?,
        disabled_by: row.take::<Option<String>>("disabled_by")?.and_then(|word| DisabledBy::of(&word)),
        disabled_at: row.take::<Option<i64>>("disabled_at")?.map(natural),
        events: serde_json::from_str(&events)?,
        filter: filter.map(|filter| serde_json::from_str(&filter)).transpose()?.unwrap_or_default(),
        created: natural(row.take("created")?),
        sealed: row.take::<Option<Vec<u8>>>("sealed")?.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests;
