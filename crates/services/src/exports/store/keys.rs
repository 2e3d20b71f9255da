//! The keys with which clients repeat bulk requests, in the store of exports, so that all processes that share it know
//! them, also after a restart. A key has one row. It has ended, or a request is running, or a process ended with the
//! request.
//!
//! A row isn't removed when its time is over, but when there is no room for a new one: a clock that is wrong for a moment
//! makes no process forget a key that is still needed.

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{OptionalExtension as _, named_params, params_from_iter};
use tokio_postgres::types::Type;

use super::{DirectoryStore, ExportStore as _, JobStoreFault, PostgresJobs, postgres::cell, table::JobTable};
use crate::{
    database::{DatabaseFault, count, limit, whole},
    postgres::TypedValue,
};
use cursorgate_gateway::runtime::clock;

/// The script that creates the table in PostgreSQL.
pub(super) const POSTGRES: &str = "
CREATE TABLE cursorgate_keys (
    name text PRIMARY KEY,
    claim text NOT NULL,
    body bytea NOT NULL,
    client text NOT NULL,
    network text,
    begun timestamptz NOT NULL DEFAULT now(),
    until timestamptz NOT NULL,
    has_ended boolean NOT NULL DEFAULT false,
    result bytea
);
CREATE INDEX cursorgate_keys_until ON cursorgate_keys (until);
";

/// The script that creates the table in SQLite. Times are in seconds since 1970.
pub(super) const SQLITE: &str = "
CREATE TABLE keys (
    name TEXT PRIMARY KEY,
    claim TEXT NOT NULL,
    body BLOB NOT NULL,
    client TEXT NOT NULL,
    network TEXT,
    begun INTEGER NOT NULL,
    until INTEGER NOT NULL,
    has_ended INTEGER NOT NULL DEFAULT 0,
    result BLOB
) STRICT;
CREATE INDEX keys_until ON keys (until);
";

/// The time after which a request that hasn't ended counts as one whose process ended. It is the longest time for which
/// a request goes on without its client.
const RUNNING: Duration = Duration::from_mins(10);

/// The shortest time for which a key without an end is kept.
const LEAST: Duration = Duration::from_hours(1);

/// A key that a request claims.
#[derive(Clone, Debug)]
pub(crate) struct NewKey {
    /// The names of the key, one for each cursor key. The name under the signing key is the first.
    pub(crate) names: Vec<String>,
    /// The id of the request, which ends the claim.
    pub(crate) claim: String,
    /// The SHA-256 of the request's body.
    pub(crate) body: Vec<u8>,
    /// The name of the client, and the one of its address.
    pub(crate) client: String,
    pub(crate) network: Option<String>,
    pub(crate) ttl: Duration,
    /// The largest numbers of keys: of a client, of an address, and of all.
    pub(crate) per_client: usize,
    pub(crate) per_network: usize,
    pub(crate) most: usize,
}

/// The state of a key in the store.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum StoredKey {
    /// The request is the first with this key, which the store now has.
    New,
    /// There are as many keys as there may be.
    Full,
    Known(KnownRow),
}

/// A key that the store has.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct KnownRow {
    /// The name for which the result is sealed.
    pub(crate) name: String,
    pub(crate) body: Vec<u8>,
    pub(crate) is_running: bool,
    /// The sealed result; `None` if it isn't kept, or isn't there yet.
    pub(crate) result: Option<Vec<u8>>,
}

/// The end of a request with a key.
#[derive(Clone, Debug)]
pub(crate) struct KeyEnd {
    pub(crate) name: String,
    pub(crate) claim: String,
    /// The sealed result; `None` if it isn't kept.
    pub(crate) result: Option<Vec<u8>>,
    pub(crate) ttl: Duration,
    /// The largest number of bytes of all results. Beyond it, the oldest are removed.
    pub(crate) size: usize,
}

/// A store of keys.
#[async_trait]
pub(crate) trait KeyStore: Send + Sync {
    /// Claims a key, unless the store has it or no room.
    async fn claim_key(&self, key: &NewKey) -> Result<StoredKey, JobStoreFault>;

    /// Ends a claim.
    async fn end_key(&self, end: &KeyEnd) -> Result<(), JobStoreFault>;

    /// Removes a claim whose request has changed nothing.
    async fn drop_key(&self, name: &str, claim: &str) -> Result<(), JobStoreFault>;
}

#[async_trait]
impl KeyStore for PostgresJobs {
    async fn claim_key(&self, key: &NewKey) -> Result<StoredKey, JobStoreFault> {
        const EXPIRED: &str = "DELETE FROM cursorgate_keys WHERE until <= now()";
        match self.try_claim(key).await? {
            StoredKey::Full => {
                self.postgres.ask(EXPIRED, &[]).await?;
                self.try_claim(key).await
            }
            found => Ok(found),
        }
    }

    async fn end_key(&self, end: &KeyEnd) -> Result<(), JobStoreFault> {
        const END: &str = "
            UPDATE cursorgate_keys SET has_ended = true, result = $3, until = now() + make_interval(secs => $4)
            WHERE name = $1 AND claim = $2";
        const SURPLUS: &str = "
            UPDATE cursorgate_keys SET result = NULL WHERE name IN (
                SELECT name FROM (
                    SELECT name, sum(octet_length(result)) OVER (ORDER BY begun DESC, name) AS sum
                    FROM cursorgate_keys WHERE result IS NOT NULL
                ) AS kept WHERE sum > $1
            )";
        let parameters: [TypedValue<'_>; 4] = [
            (&end.name, Type::TEXT),
            (&end.claim, Type::TEXT),
            (&end.result, Type::BYTEA),
            (&end.ttl.as_secs_f64(), Type::FLOAT8),
        ];
        self.postgres.ask(END, &parameters).await?;
        self.postgres.ask(SURPLUS, &[(&limit(end.size), Type::INT8)]).await?;
        Ok(())
    }

    async fn drop_key(&self, name: &str, claim: &str) -> Result<(), JobStoreFault> {
        let statement = "DELETE FROM cursorgate_keys WHERE name = $1 AND claim = $2";
        self.postgres.ask(statement, &[(&name, Type::TEXT), (&claim, Type::TEXT)]).await?;
        Ok(())
    }
}

impl PostgresJobs {
    async fn try_claim(&self, key: &NewKey) -> Result<StoredKey, JobStoreFault> {
        const CLAIM: &str = "
            WITH known AS (
                SELECT name, body, NOT has_ended AND begun > now() - make_interval(secs => $11) AS is_running, result
                FROM cursorgate_keys WHERE name = ANY($1) LIMIT 1
            ), counted AS (
                SELECT count(*) AS everyone, count(*) FILTER (WHERE client = $5) AS own,
                       count(*) FILTER (WHERE network = $6) AS near
                FROM cursorgate_keys
            ), added AS (
                INSERT INTO cursorgate_keys (name, claim, body, client, network, until)
                SELECT $2, $3, $4, $5, $6, now() + make_interval(secs => $7) FROM counted
                WHERE own < $8 AND near < $9 AND everyone < $10 AND NOT EXISTS (SELECT FROM known)
                RETURNING 1
            )
            SELECT (SELECT count(*) FROM added) = 1, known.name, known.body, known.is_running, known.result
            FROM (SELECT 1) AS one LEFT JOIN known ON true";
        let Some(name) = key.names.first() else { return Ok(StoredKey::Full) };
        let [client, network, most] = [key.per_client, key.per_network, key.most].map(limit);
        let parameters: [TypedValue<'_>; 11] = [
            (&key.names, Type::TEXT_ARRAY),
            (name, Type::TEXT),
            (&key.claim, Type::TEXT),
            (&key.body, Type::BYTEA),
            (&key.client, Type::TEXT),
            (&key.network, Type::TEXT),
            (&key.ttl.max(LEAST).as_secs_f64(), Type::FLOAT8),
            (&client, Type::INT8),
            (&network, Type::INT8),
            (&most, Type::INT8),
            (&RUNNING.as_secs_f64(), Type::FLOAT8),
        ];
        // Of two claims at the same time, the second sees the first.
        let rows = self.postgres.ask_alone(CLAIM, &parameters).await?;
        let Some(row) = rows.first() else { return Ok(StoredKey::Full) };
        if cell(row, 0)? {
            return Ok(StoredKey::New);
        }
        let Some(name) = cell::<Option<String>>(row, 1)? else { return Ok(StoredKey::Full) };
        Ok(StoredKey::Known(KnownRow { name, body: cell(row, 2)?, is_running: cell(row, 3)?, result: cell(row, 4)? }))
    }
}

#[async_trait]
impl KeyStore for DirectoryStore {
    async fn claim_key(&self, key: &NewKey) -> Result<StoredKey, JobStoreFault> {
        // A key in a directory that isn't there anymore is unknown to other processes.
        self.check().await?;
        let key = key.clone();
        self.call(move |table| table.claim_key(&key, clock::unix_seconds())).await
    }

    async fn end_key(&self, end: &KeyEnd) -> Result<(), JobStoreFault> {
        let end = end.clone();
        self.call(move |table| table.end_key(&end, clock::unix_seconds())).await
    }

    async fn drop_key(&self, name: &str, claim: &str) -> Result<(), JobStoreFault> {
        let (name, claim) = (name.to_owned(), claim.to_owned());
        let drop = move |table: &mut JobTable<'_>| {
            table.transaction.execute("DELETE FROM keys WHERE name = ?1 AND claim = ?2", [name, claim])?;
            Ok(())
        };
        self.call(drop).await
    }
}

impl JobTable<'_> {
    /// Claims a key, unless the table has it or no room. `now` is in seconds since 1970.
    fn claim_key(&mut self, key: &NewKey, now: u64) -> Result<StoredKey, DatabaseFault> {
        let places = vec!["?"; key.names.len()].join(", ");
        let query = format!("SELECT name, body, has_ended, begun, result FROM keys WHERE name IN ({places}) LIMIT 1");
        let after = whole(now.saturating_sub(RUNNING.as_secs()));
        let found = self.transaction.query_row(&query, params_from_iter(&key.names), |row| {
            let (has_ended, begun): (bool, i64) = (row.get(2)?, row.get(3)?);
            let is_running = !has_ended && begun > after;
            Ok(KnownRow { name: row.get(0)?, body: row.get(1)?, is_running, result: row.get(4)? })
        });
        if let Some(known) = found.optional()? {
            return Ok(StoredKey::Known(known));
        }
        if !self.has_room(key)? {
            self.transaction.execute("DELETE FROM keys WHERE until <= ?1", [whole(now)])?;
            if !self.has_room(key)? {
                return Ok(StoredKey::Full);
            }
        }
        self.transaction.execute(
            "INSERT INTO keys (name, claim, body, client, network, begun, until)
             VALUES (:name, :claim, :body, :client, :network, :now, :until)",
            named_params! {
                ":name": key.names.first(),
                ":claim": key.claim,
                ":body": key.body,
                ":client": key.client,
                ":network": key.network,
                ":now": whole(now),
                ":until": whole(now.saturating_add(key.ttl.max(LEAST).as_secs())),
            },
        )?;
        Ok(StoredKey::New)
    }

    fn has_room(&mut self, key: &NewKey) -> Result<bool, DatabaseFault> {
        let query =
            "SELECT count(*), count(*) FILTER (WHERE client = ?1), count(*) FILTER (WHERE network = ?2) FROM keys";
        let (all, own, near): (i64, i64, i64) =
            self.transaction
                .query_row(query, (&key.client, &key.network), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        Ok(count(all) < key.most && count(own) < key.per_client && count(near) < key.per_network)
    }

    /// Ends a claim. `now` is in seconds since 1970.
    fn end_key(&mut self, end: &KeyEnd, now: u64) -> Result<(), DatabaseFault> {
        self.transaction.execute(
            "UPDATE keys SET has_ended = 1, result = ?3, until = ?4 WHERE name = ?1 AND claim = ?2",
            (&end.name, &end.claim, &end.result, whole(now.saturating_add(end.ttl.as_secs()))),
        )?;
        self.transaction.execute(
            "UPDATE keys SET result = NULL WHERE name IN (
                 SELECT name FROM (
                     SELECT name, sum(length(result)) OVER (ORDER BY begun DESC, rowid DESC) AS sum
                     FROM keys WHERE result IS NOT NULL
                 ) WHERE sum > ?1
             )",
            [limit(end.size)],
        )?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, client: &str) -> NewKey {
        NewKey {
            names: vec![name.to_owned(), format!("old-{name}")],
            claim: format!("claim-{name}"),
            body: vec![7],
            client: client.to_owned(),
            network: Some("home".to_owned()),
            ttl: Duration::from_secs(60),
            per_client: 2,
            per_network: 3,
            most: 3,
        }
    }

    fn end(name: &str, result: &[u8], size: usize) -> KeyEnd {
        let (name, claim) = (name.to_owned(), format!("claim-{name}"));
        KeyEnd { name, claim, result: Some(result.to_vec()), ttl: Duration::from_secs(60), size }
    }

    #[tokio::test]
    async fn a_stored_key_is_claimed_once_and_outlives_a_wrong_clock() {
        let directory = std::env::temp_dir().join(format!("cursorgate-{}-stored-keys", std::process::id()));
        let store = DirectoryStore::open(&directory).unwrap();
        let checked = store.call(|table| {
            let known = |name: &str, is_running, result: Option<&[u8]>| {
                let (name, result) = (name.to_owned(), result.map(<[u8]>::to_vec));
                StoredKey::Known(KnownRow { name, body: vec![7], is_running, result })
            };
            assert_eq!(table.claim_key(&key("a", "one"), 1_000)?, StoredKey::New);
            assert_eq!(table.claim_key(&key("a", "one"), 1_599)?, known("a", true, None));
            assert_eq!(table.claim_key(&key("a", "one"), 1_600)?, known("a", false, None), "its process ended");
            table.end_key(&end("a", b"1234", 10), 1_601)?;
            let year = 400 * 86_400;
            assert_eq!(table.claim_key(&key("a", "one"), year)?, known("a", false, Some(b"1234")), "a wrong clock");
            let renamed = NewKey { names: vec!["new".to_owned(), "a".to_owned()], ..key("a", "one") };
            assert_eq!(table.claim_key(&renamed, 1_602)?, known("a", false, Some(b"1234")), "another signing key");
            assert_eq!(table.claim_key(&key("b", "one"), 1_603)?, StoredKey::New);
            assert_eq!(table.claim_key(&key("c", "one"), 1_604)?, StoredKey::Full, "the client's");
            assert_eq!(table.claim_key(&key("c", "two"), 1_605)?, StoredKey::New);
            assert_eq!(table.claim_key(&key("d", "two"), 1_606)?, StoredKey::Full, "all");
            table.end_key(&end("b", b"1234567", 10), 1_607)?;
            assert_eq!(table.claim_key(&key("a", "one"), 1_608)?, known("a", false, None), "the oldest makes room");
            assert_eq!(table.claim_key(&key("b", "one"), 1_608)?, known("b", false, Some(b"1234567")));
            assert_eq!(table.claim_key(&key("d", "two"), 1_661)?, StoredKey::New, "a's time is over");
            Ok(())
        });
        checked.await.unwrap();
        let _ = std::fs::remove_dir_all(directory);
    }
}
