//! Jobs and results in a PostgreSQL database, which processes on several machines can share.
//!
//! A single statement writes a page and the progress of its job, so the server stores both or neither. A process works
//! on a job until its lease ends. The lease is a time by the clock of the database, which the process extends
//! regularly. A process whose lease has ended might not notice that. So every write names the claim of the process, and
//! the length of the result that the write continues. The write changes nothing if another process has taken the job
//! since, or if a failover of the server has lost the last write.
//!
//! A result is stored as rows, each with a part of its bytes. The place of a row says to which part of the list it
//! belongs, if the list is read in parts, and where it begins there ([`place`]). One statement to remove a large result would take too
//! long, so its parts are removed in several statements. `cursorgate_export_removals` lists the jobs whose parts are to
//! be removed.
//!
//! With an object store, pages are still stored as rows. Rows that have become long enough are moved: their bytes are
//! written into an object with a new name, and then one statement, which names the claim, replaces the rows with one
//! that names the object. `cursorgate_object_removals` lists the objects that no row names: each object from before it
//! is written until its row is stored, and from the removal of its row until it is removed. So a process can end at any
//! time without leaving an object behind, and the bucket needn't be listed.

mod lease;

use std::{collections::VecDeque, io, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use tokio_postgres::{
    Row,
    types::{FromSql, Type},
};

use self::lease::RowLease;
use super::{
    Added, ClientNames, ExportStore, FinishedJob, JobStoreFault, MOST_LISTED, NO_QUEUES, QueueLimits, Takeable,
    TakenJob, keys, objects::Objects,
};
use crate::{
    database::{natural, whole},
    exports::job::{ExportJob, ExportedList, JobDefinition, JobFault, JobProgress, JobState, ResultStretch},
    inner::InnerGateway,
    postgres::{Postgres, PostgresFault, PostgresTarget, TableSet, TypedValue},
};
use cursorgate_config::settings::{PostgresSettings, ServiceStoreSettings};
use cursorgate_gateway::session::service::BodySource;

const OLDER: &str =
    "($1 IS NULL OR (created, number) < (SELECT created, number FROM cursorgate_exports WHERE id = $1))";

/// The tables, with the lock `cursorga`.
const TABLE_SET: TableSet = TableSet {
    steps: &[TABLES, keys::POSTGRES, QUEUES, ACTIVE, OBJECTS, COUNTED],
    schema: None,
    lock: 0x6375_7273_6f72_6761,
};

/// The script that adds the column for the queues of jobs that aren't exports.
const QUEUES: &str = "ALTER TABLE cursorgate_exports ADD COLUMN queue text;";

/// The script that adds the index by which the active jobs of a client are counted for each of its waiting jobs. Without
/// it, a process needed two seconds to take one of 10,000 jobs.
const ACTIVE: &str = "CREATE INDEX cursorgate_exports_active ON cursorgate_exports (owner) WHERE state = 'active';";

/// The script that adds the columns by which jobs are counted, and an index of the jobs of queues that are at work. The
/// server computes the columns from JSON when a row is written: with 10,000 waiting jobs, parsing the JSON of each took
/// 80 to 170 ms for every job that was added or taken.
const COUNTED: &str = "
ALTER TABLE cursorgate_exports
    ADD COLUMN started boolean GENERATED ALWAYS AS (progress::json ->> 'started' IS NOT NULL) STORED,
    ADD COLUMN counted text GENERATED ALWAYS AS (coalesce(definition::json ->> 'counted', owner)) STORED,
    ADD COLUMN network text GENERATED ALWAYS AS (definition::json ->> 'network') STORED;
CREATE INDEX cursorgate_exports_at_work ON cursorgate_exports (queue)
    WHERE queue IS NOT NULL AND (state = 'active' OR (state = 'queued' AND started));
";

/// The script that adds objects. The row of an object has no bytes, but the object's name and its length.
const OBJECTS: &str = "
ALTER TABLE cursorgate_export_parts ADD COLUMN object text, ADD COLUMN length bigint;
CREATE TABLE cursorgate_object_removals (object text PRIMARY KEY, due timestamptz NOT NULL);
CREATE INDEX cursorgate_object_removals_due ON cursorgate_object_removals (due);
";

const TABLES: &str = "
CREATE TABLE cursorgate_exports (
    id text PRIMARY KEY,
    number bigint GENERATED ALWAYS AS IDENTITY,
    owner text NOT NULL,
    state text NOT NULL CHECK (state IN ('queued', 'active', 'completed', 'failed', 'cancelled')),
    priority bigint NOT NULL,
    claim bigint NOT NULL DEFAULT 0,
    lease_until timestamptz,
    interruptions bigint NOT NULL DEFAULT 0,
    created bigint NOT NULL,
    not_before timestamptz NOT NULL DEFAULT '-infinity',
    finished timestamptz,
    bytes bigint NOT NULL DEFAULT 0,
    definition text NOT NULL,
    progress text NOT NULL,
    fault text,
    announcement text,
    announced_until timestamptz NOT NULL DEFAULT '-infinity',
    credentials bytea
);
CREATE INDEX cursorgate_exports_unfinished ON cursorgate_exports (owner) WHERE state IN ('queued', 'active');
CREATE INDEX cursorgate_exports_by_owner ON cursorgate_exports (owner, number);
CREATE INDEX cursorgate_exports_announced ON cursorgate_exports (id) WHERE announcement IS NOT NULL;
CREATE TABLE cursorgate_export_parts (
    job text NOT NULL,
    place bigint NOT NULL,
    bytes bytea NOT NULL,
    PRIMARY KEY (job, place)
);
ALTER TABLE cursorgate_export_parts ALTER COLUMN bytes SET STORAGE EXTERNAL;
CREATE TABLE cursorgate_export_removals (job text PRIMARY KEY);
";

/// The columns of a job, in the order in which `read` expects them.
const COLUMNS: &str = "job.id, job.owner, job.state, job.claim, job.created, \
     floor(extract(epoch FROM job.finished))::bigint, job.definition, job.progress, job.fault, job.interruptions";

/// The largest number of bytes of a result in one row. A longer page takes several rows.
const PART: usize = 64 << 10;

/// The largest number of rows of a result that one statement reads. The next statement reads the rows after them.
const MOST_PARTS: i64 = 16;

/// The largest number of rows of a result that one statement removes.
const MOST_SWEPT: i64 = 1_000;
/// The largest number of rounds of a sweep, each of which removes up to [`MOST_SWEPT`] rows. The next sweep removes the
/// rest.
const MOST_SWEEPS: usize = 20;

/// The largest number of objects that a sweep removes.
const MOST_OBJECTS: i64 = 20;

/// The largest number of events that are reserved for this process at a time. Other events wait for a later call.
const MOST_ANNOUNCED: i64 = 100;
/// The time for which events are reserved for this process, in seconds.
const ANNOUNCING: f64 = 30.0;

#[derive(Clone)]
pub(in crate::exports) struct PostgresJobs {
    pub(super) postgres: Arc<Postgres>,
    objects: Arc<Objects>,
    lease: Duration,
}

impl PostgresJobs {
    /// Creates the store without a connection. The first operation connects, so a process can start while the server is
    /// down.
    ///
    /// # Errors
    ///
    /// Returns the error of the system if it can't start a thread for the connections' I/O.
    pub(in crate::exports) fn open(inner: &Arc<InnerGateway>, settings: &PostgresSettings) -> io::Result<Self> {
        // The settings are read for each connection, because a reload can change the address, the password and the
        // certificates.
        let objects = Arc::new(Objects::new(Arc::clone(inner)));
        let inner = Arc::clone(inner);
        let target = move || {
            let snapshot = inner.gateway().live.pin();
            let exports = snapshot.services.exports.as_ref()?;
            let ServiceStoreSettings::Postgres(settings) = &exports.store else { return None };
            Some(PostgresTarget::of(settings, snapshot.export_credentials.as_deref()))
        };
        let postgres = Arc::new(Postgres::new(settings, TABLE_SET, Box::new(target))?);
        Ok(Self { postgres, objects, lease: settings.lease })
    }

    /// Removes objects that no row names any more.
    async fn sweep_objects(&self) -> Result<(), JobStoreFault> {
        // A row whose removal has begun can't be stored any more (`RowLease::shift`).
        const DUE: &str = "
            UPDATE cursorgate_object_removals SET due = '-infinity' WHERE object IN (
                SELECT object FROM cursorgate_object_removals WHERE due <= now()
                ORDER BY due LIMIT $1 FOR UPDATE SKIP LOCKED
            ) RETURNING object";
        const DONE: &str = "DELETE FROM cursorgate_object_removals WHERE object = ANY($1)";
        if self.objects.can_remove() {
            let rows = self.postgres.ask(DUE, &[(&MOST_OBJECTS, Type::INT8)]).await?;
            let due: Vec<String> = rows.iter().map(|row| cell(row, 0)).collect::<Result<_, _>>()?;
            let removed = &due[..self.objects.remove_all(&due).await];
            if !removed.is_empty() {
                self.postgres.ask(DONE, &[(&removed, Type::TEXT_ARRAY)]).await?;
            }
        }
        Ok(())
    }
}

#[async_trait]
impl ExportStore for PostgresJobs {
    async fn probe(&self) -> Result<(), JobStoreFault> {
        // Updates of rows can succeed on a full disk, but not a page of a result. The block leaves no row behind.
        const PROBE: &str = "
            DO $$ BEGIN
                INSERT INTO cursorgate_export_parts VALUES ('probe', 0, decode(repeat('00', 65536), 'hex'));
                DELETE FROM cursorgate_export_parts WHERE job = 'probe';
            END $$";
        self.postgres.ask_alone(PROBE, &[]).await?;
        Ok(self.objects.probe().await?)
    }

    async fn check_objects(&self) -> Result<(), JobStoreFault> {
        Ok(self.objects.check().await?)
    }

    async fn add(
        &self,
        job: ExportJob,
        ClientNames { owners, counted }: ClientNames<'_>,
        credentials: Vec<u8>,
        limits: QueueLimits,
    ) -> Result<Added, JobStoreFault> {
        // Jobs under all names of the client count. Otherwise a change of keys would let the client exceed its limit.
        const ADD: &str = "
            WITH unfinished AS (
                SELECT count(*) AS everyone,
                       count(*) FILTER (WHERE counted = ANY($11)) AS own,
                       count(*) FILTER (WHERE network = $12) AS near
                FROM cursorgate_exports WHERE state IN ('queued', 'active') AND queue IS NOT DISTINCT FROM $16
            ), known AS (
                SELECT count(*) > 0 AS is_known FROM cursorgate_exports
                WHERE owner = ANY($14) AND definition::json ->> 'key' = $15
            ), added AS (
                INSERT INTO cursorgate_exports
                    (id, owner, state, priority, created, definition, progress, credentials, queue)
                SELECT $1, $2, $3, $4, $5, $6, $7, $8, $16 FROM unfinished, known
                WHERE own < $9 AND near < $13 AND everyone < $10 AND NOT is_known
                RETURNING 1
            )
            SELECT own < $9 AND near < $13, (SELECT count(*) FROM added) = 1, is_known FROM unfinished, known";
        let (definition, progress) = (serde_json::to_string(&job.definition)?, serde_json::to_string(&job.progress)?);
        let most = |count: usize| whole(u64::try_from(count).unwrap_or(u64::MAX));
        let queue = job.definition.call.as_ref().map(|call| &call.queue);
        let parameters: [TypedValue<'_>; 16] = [
            (&job.id, Type::TEXT),
            (&job.owner, Type::TEXT),
            (&job.state.word(), Type::TEXT),
            (&(job.definition.priority as i64), Type::INT8),
            (&whole(job.created), Type::INT8),
            (&definition, Type::TEXT),
            (&progress, Type::TEXT),
            (&credentials, Type::BYTEA),
            (&most(limits.per_client), Type::INT8),
            (&most(limits.queue), Type::INT8),
            (&counted, Type::TEXT_ARRAY),
            (&job.definition.network, Type::TEXT),
            (&most(limits.per_network()), Type::INT8),
            (&owners, Type::TEXT_ARRAY),
            (&job.definition.key, Type::TEXT),
            (&queue, Type::TEXT),
        ];
        // Two of these statements at the same time wouldn't see each other's job, and could both take the last place.
        // So they run one after the other.
        let rows = self.postgres.ask_alone(ADD, &parameters).await?;
        let Some(row) = rows.first() else { return Ok(Added::QueueIsFull) };
        let (has_room, is_added, is_known): (bool, bool, bool) = (cell(row, 0)?, cell(row, 1)?, cell(row, 2)?);
        Ok(match (has_room, is_added) {
            (_, true) => Added::Queued,
            _ if is_known => Added::Known,
            (false, _) => Added::ClientIsFull,
            (true, false) => Added::QueueIsFull,
        })
    }

    async fn by_id(&self, id: &str) -> Result<Option<ExportJob>, JobStoreFault> {
        let query = format!("SELECT {COLUMNS} FROM cursorgate_exports AS job WHERE id = $1");
        self.postgres.ask(&query, &[(&id, Type::TEXT)]).await?.first().map(read).transpose()
    }

    async fn with_key(&self, key: &str, owners: &[String]) -> Result<Option<ExportJob>, JobStoreFault> {
        let query = format!(
            "SELECT {COLUMNS} FROM cursorgate_exports AS job
             WHERE owner = ANY($1) AND definition::json ->> 'key' = $2 LIMIT 1"
        );
        let rows = self.postgres.ask(&query, &[(&owners, Type::TEXT_ARRAY), (&key, Type::TEXT)]).await?;
        rows.first().map(read).transpose()
    }

    async fn resume(&self, id: &str, credentials: Option<Vec<u8>>) -> Result<Option<ExportJob>, JobStoreFault> {
        const RESUME: &str = "
            UPDATE cursorgate_exports
            SET state = 'queued', not_before = '-infinity', finished = NULL, announcement = NULL, interruptions = 0,
                progress = $3, credentials = coalesce($4, credentials)
            WHERE id = $1 AND claim = $2 AND state = 'failed'";
        let Some(job) = self.by_id(id).await? else { return Ok(None) };
        if job.state == JobState::Failed {
            let progress = serde_json::to_string(&job.progress.resume())?;
            // The claim is named, so of two requests at the same time one resumes the job.
            let parameters: [TypedValue<'_>; 4] =
                [(&id, Type::TEXT), (&job.claim, Type::INT8), (&progress, Type::TEXT), (&credentials, Type::BYTEA)];
            self.postgres.ask(RESUME, &parameters).await?;
        }
        self.by_id(id).await
    }

    async fn newest(&self, before: Option<&str>) -> Result<Vec<ExportJob>, JobStoreFault> {
        let query = format!(
            "SELECT {COLUMNS} FROM cursorgate_exports AS job WHERE {OLDER}
             ORDER BY created DESC, number DESC LIMIT {MOST_LISTED}"
        );
        self.postgres.ask(&query, &[(&before, Type::TEXT)]).await?.iter().map(read).collect()
    }

    async fn find(&self, id: &str, owners: &[String]) -> Result<Option<ExportJob>, JobStoreFault> {
        let query = format!("SELECT {COLUMNS} FROM cursorgate_exports AS job WHERE id = $1 AND owner = ANY($2)");
        let rows = self.postgres.ask(&query, &[(&id, Type::TEXT), (&owners, Type::TEXT_ARRAY)]).await?;
        rows.first().map(read).transpose()
    }

    async fn of_client(
        &self,
        owners: &[String],
        list: &ExportedList,
        before: Option<&str>,
    ) -> Result<Vec<ExportJob>, JobStoreFault> {
        let query = format!(
            "SELECT {COLUMNS} FROM cursorgate_exports AS job WHERE {OLDER} AND owner = ANY($4)
                AND definition::json ->> 'normal_path' = $2
                AND definition::json ->> 'host' IS NOT DISTINCT FROM $3
             ORDER BY created DESC, number DESC LIMIT {MOST_LISTED}"
        );
        let parameters: [TypedValue<'_>; 4] = [
            (&before, Type::TEXT),
            (&list.normal_path, Type::TEXT),
            (&list.host, Type::TEXT),
            (&owners, Type::TEXT_ARRAY),
        ];
        let rows = self.postgres.ask(&query, &parameters).await?;
        rows.iter().map(read).collect()
    }

    async fn cancel(&self, id: &str) -> Result<bool, JobStoreFault> {
        // One statement cancels the job and records the removal. With two, a crash in between could leave parts that
        // are never removed.
        const CANCEL: &str = "
            WITH cancelled AS (
                UPDATE cursorgate_exports
                SET state = 'cancelled', finished = now(), lease_until = NULL, credentials = NULL
                WHERE id = $1 AND state IN ('queued', 'active') RETURNING id
            )
            INSERT INTO cursorgate_export_removals SELECT id FROM cancelled ON CONFLICT DO NOTHING
            RETURNING job";
        Ok(!self.postgres.ask(CANCEL, &[(&id, Type::TEXT)]).await?.is_empty())
    }

    async fn remove(&self, id: &str) -> Result<(), JobStoreFault> {
        const REMOVE: &str = "
            WITH removed AS (
                DELETE FROM cursorgate_exports WHERE id = $1 AND finished IS NOT NULL RETURNING id
            )
            INSERT INTO cursorgate_export_removals SELECT id FROM removed ON CONFLICT DO NOTHING";
        self.postgres.ask(REMOVE, &[(&id, Type::TEXT)]).await?;
        Ok(())
    }

    async fn read(&self, id: &str, stretches: Vec<ResultStretch>) -> Result<Box<dyn BodySource>, JobStoreFault> {
        let postgres = Arc::clone(&self.postgres);
        let (objects, job) = (Arc::clone(&self.objects), id.to_owned());
        let mut body = PartsBody { postgres, objects, job, stretches: stretches.into(), ready: VecDeque::new() };
        // The first bytes are read before the head is sent. So if the store is down, the client gets 503, not a
        // truncated answer.
        body.prepare().await?;
        Ok(Box::new(body))
    }

    async fn take(&self, takeable: &Takeable) -> Result<Option<TakenJob>, JobStoreFault> {
        // The jobs at work are counted once for the statement. Counted anew for each of 1,000 waiting jobs of a queue,
        // they took 5 s. A job that may be taken counts among them itself if it is active: its process has ended. SKIP
        // LOCKED skips a job that another process is taking at this moment, instead of waiting for it.
        // Test: `jobs_go_on_while_thousands_wait`.
        let take = format!(
            "WITH at_work AS MATERIALIZED (
                SELECT queue, count(*) AS jobs FROM cursorgate_exports
                WHERE queue IS NOT NULL AND (state = 'active' OR (state = 'queued' AND started)) GROUP BY queue
            ), bounds AS MATERIALIZED (
                SELECT key AS queue, value::bigint AS most FROM json_each_text($3::json)
            ), turns AS MATERIALIZED (
                SELECT owner, count(*) AS jobs FROM cursorgate_exports WHERE state = 'active' GROUP BY owner
            ), next AS MATERIALIZED (
                SELECT job.id, job.state FROM cursorgate_exports AS job
                LEFT JOIN at_work ON at_work.queue = job.queue
                LEFT JOIN bounds ON bounds.queue = job.queue
                LEFT JOIN turns ON turns.owner = job.owner
                WHERE ((state = 'queued' AND not_before <= now()) OR (state = 'active' AND lease_until <= now()))
                AND CASE WHEN job.queue IS NULL THEN $2
                    ELSE started OR coalesce(at_work.jobs, 0) - (state = 'active')::integer < coalesce(most, 1) END
                ORDER BY coalesce(turns.jobs, 0) - (state = 'active')::integer, priority DESC, number
                LIMIT 1 FOR UPDATE OF job SKIP LOCKED
            )
            UPDATE cursorgate_exports AS job
            SET state = 'active', claim = claim + 1, lease_until = now() + make_interval(secs => $1),
                interruptions = interruptions + CASE next.state WHEN 'active' THEN 1 ELSE 0 END
            FROM next WHERE job.id = next.id RETURNING {COLUMNS}, job.credentials"
        );
        let lease = self.lease.as_secs_f64();
        let parameters: [TypedValue<'_>; 3] =
            [(&lease, Type::FLOAT8), (&takeable.exports, Type::BOOL), (&takeable.queues, Type::TEXT)];
        // Two processes at the same time wouldn't see each other's job, and could both take the last place of a queue.
        let rows = match takeable.queues.as_str() {
            NO_QUEUES => self.postgres.ask(&take, &parameters).await?,
            _ => self.postgres.ask_alone(&take, &parameters).await?,
        };
        let Some(row) = rows.first() else { return Ok(None) };
        let job = read(row)?;
        let lease = RowLease::begin(self, &job);
        let credentials: Option<Vec<u8>> = cell(row, 10)?;
        Ok(Some(TakenJob { job, credentials: credentials.unwrap_or_default(), lease: Box::new(lease) }))
    }

    async fn announcements(&self) -> Result<Vec<(String, String)>, JobStoreFault> {
        const ANNOUNCE: &str = "
            UPDATE cursorgate_exports SET announced_until = now() + make_interval(secs => $1)
            WHERE id IN (
                SELECT id FROM cursorgate_exports WHERE announcement IS NOT NULL AND announced_until <= now()
                ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED
            ) RETURNING id, announcement";
        // If the process ends before it raises an event, the reservation expires and the event is returned again. So an
        // event can be raised twice, but is never lost.
        let rows = self.postgres.ask(ANNOUNCE, &[(&ANNOUNCING, Type::FLOAT8), (&MOST_ANNOUNCED, Type::INT8)]).await?;
        rows.iter().map(|row| Ok((cell(row, 0)?, cell(row, 1)?))).collect()
    }

    async fn announced(&self, id: &str) -> Result<(), JobStoreFault> {
        let forget = "UPDATE cursorgate_exports SET announcement = NULL WHERE id = $1";
        self.postgres.ask(forget, &[(&id, Type::TEXT)]).await?;
        Ok(())
    }

    async fn finished(&self) -> Result<Vec<FinishedJob>, JobStoreFault> {
        const FINISHED: &str = "
            SELECT id, floor(extract(epoch FROM now() - finished))::bigint,
                   CASE WHEN state IN ('completed', 'failed') THEN bytes ELSE 0 END, owner, definition::json ->> 'network'
            FROM cursorgate_exports WHERE finished IS NOT NULL ORDER BY finished DESC, number DESC";
        let rows = self.postgres.ask(FINISHED, &[]).await?;
        let finished = |row: &Row| {
            let (age, bytes) = (natural(cell(row, 1)?), natural(cell(row, 2)?));
            Ok(FinishedJob { id: cell(row, 0)?, owner: cell(row, 3)?, network: cell(row, 4)?, age, bytes })
        };
        rows.iter().map(finished).collect()
    }

    async fn sweep(&self) -> Result<(), JobStoreFault> {
        const PARTS: &str = "
            WITH gone AS (
                DELETE FROM cursorgate_export_parts WHERE job = $1 AND place IN (
                    SELECT place FROM cursorgate_export_parts WHERE job = $1 ORDER BY place LIMIT $2
                ) RETURNING object
            )
            INSERT INTO cursorgate_object_removals SELECT object, now() FROM gone WHERE object IS NOT NULL";
        // The removal is complete only when no part is left, because another process might be removing parts of the
        // same result.
        const DONE: &str = "
            DELETE FROM cursorgate_export_removals AS removal WHERE job = $1
            AND NOT EXISTS (SELECT FROM cursorgate_export_parts AS part WHERE part.job = removal.job)";
        // The number of rounds is bounded, because the keeper doesn't take jobs during a sweep. The next sweep
        // continues.
        for _ in 0..MOST_SWEEPS {
            let next = "SELECT job FROM cursorgate_export_removals ORDER BY job LIMIT 1";
            let rows = self.postgres.ask(next, &[]).await?;
            let Some(row) = rows.first() else { break };
            let job: String = cell(row, 0)?;
            self.postgres.ask(PARTS, &[(&job, Type::TEXT), (&MOST_SWEPT, Type::INT8)]).await?;
            self.postgres.ask(DONE, &[(&job, Type::TEXT)]).await?;
        }
        self.sweep_objects().await
    }

    async fn counts(&self) -> Result<Vec<(JobState, u64)>, JobStoreFault> {
        let rows = self.postgres.ask("SELECT state, count(*) FROM cursorgate_exports GROUP BY state", &[]).await?;
        let count = |row: &Row| Ok((state(cell(row, 0)?), natural(cell(row, 1)?)));
        rows.iter().map(count).collect()
    }
}

/// Bytes of a result that are sent next.
enum ReadyBytes {
    Read(Bytes),
    /// Bytes of an object: its name, the index of the first byte, and the number of bytes.
    Object(String, u64, u64),
}

/// A response body that reads a range of a result, up to [`MOST_PARTS`] rows or a piece of an object at a time.
struct PartsBody {
    postgres: Arc<Postgres>,
    objects: Arc<Objects>,
    job: String,
    /// The stretches of the result that are still to be read from the database.
    stretches: VecDeque<ResultStretch>,
    /// The bytes of rows that have been read, but not sent.
    ready: VecDeque<ReadyBytes>,
}

impl PartsBody {
    /// Reads up to [`MOST_PARTS`] more parts, beginning with the part that contains the next byte. Does nothing at the
    /// end of the range.
    async fn fill(&mut self) -> Result<(), JobStoreFault> {
        // The first byte of a range can lie inside a part, so the read begins with the part that contains it.
        // Test: `a_job_is_found_and_its_result_fetched_at_any_process`.
        const READ: &str = "
            SELECT place, bytes, object, length FROM cursorgate_export_parts
            WHERE job = $1 AND place < $3
            AND place >= (SELECT max(place) FROM cursorgate_export_parts WHERE job = $1 AND place <= $2)
            ORDER BY place LIMIT $4";
        let Some(stretch) = self.stretches.front_mut() else { return Ok(()) };
        let ResultStretch { part, first, count } = *stretch;
        let parameters: [TypedValue<'_>; 4] = [
            (&self.job, Type::TEXT),
            (&place(part, first), Type::INT8),
            (&place(part, first.saturating_add(count)), Type::INT8),
            (&MOST_PARTS, Type::INT8),
        ];
        let rows = self.postgres.ask(READ, &parameters).await?;
        for row in &rows {
            let (begin, bytes): (i64, &[u8]) = (cell(row, 0)?, cell(row, 1)?);
            let object: Option<String> = cell(row, 2)?;
            let whole = cell::<Option<i64>>(row, 3)?.map_or_else(|| length(bytes.len()), natural);
            // If a row doesn't continue the row before it, the result is being removed.
            let before = u64::try_from(place(part, stretch.first).saturating_sub(begin)).map_err(|_| removed())?;
            let sent = whole.checked_sub(before).filter(|rest| *rest > 0).ok_or_else(removed)?.min(stretch.count);
            stretch.first = stretch.first.saturating_add(sent);
            stretch.count = stretch.count.saturating_sub(sent);
            self.ready.push_back(match object {
                Some(object) => ReadyBytes::Object(object, before, sent),
                None => {
                    let range = usize::try_from(before).ok().zip(usize::try_from(before + sent).ok());
                    let read = range.and_then(|(first, end)| bytes.get(first..end)).ok_or_else(removed)?;
                    ReadyBytes::Read(Bytes::copy_from_slice(read))
                }
            });
        }
        if stretch.count == 0 {
            self.stretches.pop_front();
        }
        if self.ready.is_empty() { Err(removed()) } else { Ok(()) }
    }

    /// Reads the next bytes, unless they are there or the range ends.
    async fn prepare(&mut self) -> Result<(), JobStoreFault> {
        if self.ready.is_empty() {
            self.fill().await?;
        }
        if let Some(ReadyBytes::Object(object, first, count)) = self.ready.front_mut() {
            let read = self.objects.read(object, *first..first.saturating_add(*count)).await?;
            if read.is_empty() || length(read.len()) > *count {
                return Err(removed());
            }
            (*first, *count) = (*first + length(read.len()), *count - length(read.len()));
            if *count == 0 {
                self.ready.pop_front();
            }
            self.ready.push_front(ReadyBytes::Read(read));
        }
        Ok(())
    }
}

#[async_trait]
impl BodySource for PartsBody {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        self.prepare().await.map_err(io::Error::other)?;
        Ok(match self.ready.pop_front() {
            Some(ReadyBytes::Read(bytes)) => Some(bytes),
            _ => None,
        })
    }
}

fn removed() -> JobStoreFault {
    JobStoreFault::Result(io::Error::new(io::ErrorKind::UnexpectedEof, "the result has a gap: it is being removed"))
}

/// Returns the place of a byte of a result, by the index of its part and its index within the part. A part has less than
/// 2⁵⁰ bytes, the largest size of a result.
fn place(part: usize, byte: u64) -> i64 {
    whole(length(part) << 50).saturating_add(whole(byte))
}

/// Returns the value of a column, which is given by its index.
pub(super) fn cell<'r, T: FromSql<'r>>(row: &'r Row, column: usize) -> Result<T, JobStoreFault> {
    Ok(row.try_get(column).map_err(PostgresFault::from)?)
}

/// Returns the state with this word. The fallback is never used, because the table permits only the words of states.
fn state(word: &str) -> JobState {
    JobState::of(word).unwrap_or(JobState::Failed)
}

fn length(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn read(row: &Row) -> Result<ExportJob, JobStoreFault> {
    let (definition, progress, fault): (&str, &str, Option<&str>) = (cell(row, 6)?, cell(row, 7)?, cell(row, 8)?);
    let mut progress: JobProgress = serde_json::from_str(progress)?;
    // The column counts, not the member of `progress`: a process that takes the job updates only the column.
    progress.interruptions = u32::try_from(cell::<i64>(row, 9)?).unwrap_or(u32::MAX);
    Ok(ExportJob {
        id: cell(row, 0)?,
        owner: cell(row, 1)?,
        state: state(cell(row, 2)?),
        claim: cell(row, 3)?,
        created: natural(cell(row, 4)?),
        finished: cell::<Option<i64>>(row, 5)?.map(natural),
        definition: serde_json::from_str::<JobDefinition>(definition)?,
        progress,
        fault: fault.map(serde_json::from_str::<JobFault>).transpose()?,
    })
}
