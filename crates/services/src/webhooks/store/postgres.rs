//! The tables of webhooks in PostgreSQL. They are in a schema of their own, so the queries can have the names of SQLite's
//! tables, and the tables of exports can be in the same database.

use std::{io, sync::Arc};

use super::WebhookStore;
use crate::{
    inner::InnerGateway,
    postgres::{Postgres, PostgresTarget, TableSet},
    sql::SqlDatabase,
};
use cursorgate_config::settings::{PostgresSettings, ServiceStoreSettings};

/// The tables, with the lock `cursorgw`.
const TABLE_SET: TableSet = TableSet {
    steps: &[TABLES, TURNS, DISABLED_AT, FILTER, SUBJECT],
    schema: Some("cursorgate_webhooks"),
    lock: 0x6375_7273_6f72_6777,
};

/// The columns are those of SQLite, whose script documents them.
const TABLES: &str = "
CREATE TABLE endpoints (
    id text PRIMARY KEY,
    rowid bigint GENERATED ALWAYS AS IDENTITY,
    owner text,
    counted text,
    network text,
    state text NOT NULL CHECK (state IN ('unverified', 'active', 'disabled')),
    verified bigint NOT NULL,
    disabled_by text,
    failing_since bigint,
    events text NOT NULL,
    created bigint NOT NULL,
    mark text,
    number bigint,
    sealed bytea,
    whole_at bigint NOT NULL DEFAULT 0
);
CREATE INDEX endpoints_by_owner ON endpoints (owner, created);

CREATE TABLE events (
    id text PRIMARY KEY,
    kind text NOT NULL,
    created bigint NOT NULL,
    payload text NOT NULL,
    subject text
);
CREATE INDEX events_by_subject ON events (subject) WHERE subject IS NOT NULL;

CREATE TABLE deliveries (
    id text PRIMARY KEY,
    rowid bigint GENERATED ALWAYS AS IDENTITY,
    endpoint text NOT NULL,
    event text NOT NULL,
    state text NOT NULL CHECK (state IN ('queued', 'delivered', 'dead')),
    attempts bigint NOT NULL DEFAULT 0,
    claim bigint NOT NULL DEFAULT 0,
    not_before bigint NOT NULL,
    held_until bigint NOT NULL DEFAULT 0,
    created bigint NOT NULL,
    finished bigint,
    fault text,
    UNIQUE (endpoint, event)
);
CREATE INDEX deliveries_due ON deliveries (endpoint, not_before) WHERE state = 'queued';
CREATE INDEX deliveries_finished ON deliveries (finished) WHERE finished IS NOT NULL;
CREATE INDEX deliveries_by_endpoint ON deliveries (endpoint, rowid);
CREATE INDEX deliveries_by_event ON deliveries (event);
CREATE INDEX deliveries_dead ON deliveries (rowid) WHERE state = 'dead';

CREATE TABLE attempts (
    delivery text NOT NULL,
    number bigint NOT NULL,
    record text NOT NULL,
    PRIMARY KEY (delivery, number)
);

CREATE TABLE notices (
    cause text PRIMARY KEY,
    given bigint NOT NULL
);

CREATE TABLE windows (
    name text PRIMARY KEY,
    version text,
    seen bigint NOT NULL,
    changed bigint,
    watch text,
    not_before bigint NOT NULL DEFAULT 0,
    fault text
);
CREATE INDEX windows_by_age ON windows (seen);

CREATE TABLE holder (id text PRIMARY KEY);
INSERT INTO holder VALUES (md5(random()::text || clock_timestamp()::text));
";

const TURNS: &str = "
ALTER TABLE endpoints ADD COLUMN challenged_at bigint NOT NULL DEFAULT 0;
ALTER TABLE endpoints ADD COLUMN tested_at bigint NOT NULL DEFAULT 0;
";

const DISABLED_AT: &str = "ALTER TABLE endpoints ADD COLUMN disabled_at bigint;";

const FILTER: &str = "ALTER TABLE endpoints ADD COLUMN filter text;";

const SUBJECT: &str = "
ALTER TABLE endpoints ADD COLUMN subject text;
CREATE INDEX endpoints_by_subject ON endpoints (subject) WHERE subject IS NOT NULL;
";

impl WebhookStore {
    /// Creates the store without a connection. The first operation connects, so a process can start while the server is
    /// down.
    ///
    /// # Errors
    ///
    /// Returns the error of the system if it can't start a thread for the connections' I/O.
    pub(in crate::webhooks) fn connect(inner: &Arc<InnerGateway>, settings: &PostgresSettings) -> io::Result<Self> {
        let inner = Arc::clone(inner);
        let target = move || {
            let snapshot = inner.gateway().live.pin();
            let webhooks = snapshot.services.webhooks.as_ref()?;
            let ServiceStoreSettings::Postgres(settings) = &webhooks.store else { return None };
            Some(PostgresTarget::of(settings, snapshot.webhook_store_credentials.as_deref()))
        };
        let postgres = Postgres::new(settings, TABLE_SET, Box::new(target))?;
        Ok(Self { database: SqlDatabase::Postgres(Arc::new(postgres)), own: None })
    }
}
