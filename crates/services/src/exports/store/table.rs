//! The jobs of a directory, in an SQLite database. Every change of a job is one transaction. `claim` is the number of
//! times that a process has taken the job, and a write with an earlier claim changes nothing.

use rusqlite::{OptionalExtension as _, Row, ToSql, Transaction, named_params, params_from_iter};

use super::{Added, ClientNames, Ended, FinishedJob, JobEnd, LONGEST_WAIT, MOST_LISTED, QueueLimits, Takeable, keys};
use crate::{
    database::{DatabaseFault, count, natural, whole},
    exports::job::{ExportJob, ExportedList, JobDefinition, JobFault, JobProgress, JobState},
};

/// The SQL scripts that create and change the tables, one for each version.
pub(super) const STEPS: [&str; 6] = [TABLES, ANNOUNCEMENTS, keys::SQLITE, QUEUES, ACTIVE, AT_WORK];

const TABLES: &str = "
CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'active', 'completed', 'failed', 'cancelled')),
    priority INTEGER NOT NULL,
    claim INTEGER NOT NULL DEFAULT 0,
    created INTEGER NOT NULL,
    not_before INTEGER NOT NULL DEFAULT 0,
    finished INTEGER,
    bytes INTEGER NOT NULL DEFAULT 0,
    definition TEXT NOT NULL,
    progress TEXT NOT NULL,
    fault TEXT,
    credentials BLOB
) STRICT;
CREATE INDEX jobs_by_state ON jobs (state);
CREATE INDEX jobs_by_owner ON jobs (owner, created);
";

/// The script that adds the column for the events of ended jobs, which are stored until they are raised.
const ANNOUNCEMENTS: &str = "
ALTER TABLE jobs ADD COLUMN announcement TEXT;
CREATE INDEX jobs_announced ON jobs (id) WHERE announcement IS NOT NULL;
";

/// The script that adds the column for the queues of jobs that aren't exports.
const QUEUES: &str = "ALTER TABLE jobs ADD COLUMN queue TEXT;";

/// The script that adds the index by which the active jobs of a client are counted for each of its waiting jobs.
const ACTIVE: &str = "CREATE INDEX jobs_active ON jobs (owner) WHERE state = 'active';";

/// The script that adds the index of the jobs of queues that are at work.
const AT_WORK: &str = "CREATE INDEX jobs_at_work ON jobs (queue)
    WHERE queue IS NOT NULL AND (state = 'active' OR (state = 'queued' AND progress ->> 'started' IS NOT NULL));";

/// The numbers of jobs by which it is decided which job is next: those at work in each queue with its bound, and the
/// active jobs of each client. They are counted once for a statement: with a count for each waiting job, the work grew
/// like the square of their number. A job of a queue is at work from its first request to its end, also while no process
/// works on it.
const COUNTS: &str = "WITH at_work AS MATERIALIZED (
        SELECT id, queue, progress ->> 'started' IS NOT NULL AS started FROM jobs
        WHERE queue IS NOT NULL AND (state = 'active' OR (state = 'queued' AND progress ->> 'started' IS NOT NULL))
    ), places AS MATERIALIZED (SELECT queue, count(*) AS taken FROM at_work GROUP BY queue),
    bounds AS MATERIALIZED (SELECT key AS queue, value AS most FROM json_each(?4)),
    turns AS MATERIALIZED (SELECT owner, count(*) AS jobs FROM jobs WHERE state = 'active' GROUP BY owner)";

/// The jobs with these numbers.
const COUNTED: &str = "FROM jobs AS job LEFT JOIN places ON places.queue = job.queue
    LEFT JOIN bounds ON bounds.queue = job.queue LEFT JOIN turns ON turns.owner = job.owner";

/// The condition that a job is one of those to take ([`Takeable`]). A job that is active counts among those at work
/// itself.
const TAKEABLE: &str = "CASE WHEN job.queue IS NULL THEN ?3
    ELSE coalesce(taken, 0) - (state = 'active') < coalesce(most, 1)
        OR id IN (SELECT id FROM at_work WHERE started) END";

/// The columns of a job that `read` needs.
const COLUMNS: &str = "id, owner, state, claim, created, finished, definition, progress, fault";

/// The largest number of candidates for the next job, including active jobs. Other jobs are left out. The processes of
/// one machine work on fewer jobs at a time than this, so active jobs leave room for waiting jobs.
const MOST_CANDIDATES: usize = 1_000;

/// The largest number of events that are returned at a time. Other events wait for a later call.
const MOST_ANNOUNCED: usize = 100;

/// The table of jobs in a transaction. If a function returns an error, the transaction is rolled back.
pub(super) struct JobTable<'c> {
    pub(super) transaction: &'c Transaction<'c>,
}

/// The condition that the pause of a queued job is over. A pause that would be longer than [`LONGEST_WAIT`] was stored
/// while the clock was wrong.
const OLDER: &str = "(?1 IS NULL OR (created, rowid) < (SELECT created, rowid FROM jobs WHERE id = ?1))";

const NEWEST_FIRST: &str = "ORDER BY created DESC, rowid DESC";

const DUE: &str = "(not_before <= ?1 OR not_before > ?2)";

/// Returns the time after which no pause that begins now ends, in milliseconds since 1970.
fn beyond(now: u64) -> i64 {
    whole(now.saturating_add(u64::try_from(LONGEST_WAIT.as_millis()).unwrap_or(u64::MAX)))
}

/// Returns the query for the ids of the jobs that could be taken, in the order in which to try them.
fn candidates_query() -> String {
    format!(
        "{COUNTS} SELECT id {COUNTED} WHERE (state = 'active' OR (state = 'queued' AND {DUE})) AND {TAKEABLE}
         ORDER BY coalesce(turns.jobs, 0) - (state = 'active'), priority DESC, created, job.rowid
         LIMIT {MOST_CANDIDATES}"
    )
}

/// Returns the query for a job, if it can be taken.
fn claim_query() -> String {
    let columns = COLUMNS.replace("owner", "job.owner");
    format!(
        "{COUNTS} SELECT {columns}, credentials {COUNTED}
         WHERE id = ?5 AND (state = 'active' OR (state = 'queued' AND {DUE})) AND {TAKEABLE}"
    )
}

impl JobTable<'_> {
    /// Adds a job with its sealed credentials, unless one of `limits` is reached, or the client has a job with the same
    /// key.
    pub(super) fn add(
        &mut self,
        job: &ExportJob,
        ClientNames { owners, counted }: ClientNames<'_>,
        credentials: &[u8],
        limits: QueueLimits,
    ) -> Result<Added, DatabaseFault> {
        if let Some(key) = &job.definition.key
            && self.with_key(key, owners)?.is_some()
        {
            return Ok(Added::Known);
        }
        // Jobs under all names of the client count. Otherwise a change of keys would let the client exceed its limit.
        // Test: `a_change_of_keys_does_not_raise_the_limit_of_a_clients_exports`.
        let places = vec!["?"; counted.len()].join(", ");
        let unfinished = format!(
            "SELECT count(*), count(*) FILTER (WHERE coalesce(definition ->> 'counted', owner) IN ({places})),
                    count(*) FILTER (WHERE definition ->> 'network' = ?)
             FROM jobs WHERE state IN ('queued', 'active') AND queue IS ?"
        );
        let queue = job.definition.call.as_ref().map(|call| &call.queue);
        let parameters = counted.iter().map(Some).chain([job.definition.network.as_ref(), queue]);
        let (all, own, near): (i64, i64, i64) =
            self.transaction.query_row(&unfinished, params_from_iter(parameters), |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
        // Test: `clients_with_many_names_do_not_fill_the_queue`.
        if count(own) >= limits.per_client || count(near) >= limits.per_network() {
            return Ok(Added::ClientIsFull);
        }
        if count(all) >= limits.queue {
            return Ok(Added::QueueIsFull);
        }
        self.transaction.execute(
            "INSERT INTO jobs (id, owner, state, priority, created, definition, progress, credentials, queue)
             VALUES (:id, :owner, :state, :priority, :created, :definition, :progress, :credentials, :queue)",
            named_params! {
                ":id": job.id,
                ":owner": job.owner,
                ":state": job.state.word(),
                ":priority": job.definition.priority as i64,
                ":created": whole(job.created),
                ":definition": serde_json::to_string(&job.definition)?,
                ":progress": serde_json::to_string(&job.progress)?,
                ":credentials": credentials,
                ":queue": queue,
            },
        )?;
        Ok(Added::Queued)
    }

    /// Returns a job of a client; `None` if there is no such job, or it belongs to another client. `owners` are the
    /// client's names, one for each cursor key.
    pub(super) fn find(&mut self, id: &str, owners: &[String]) -> Result<Option<ExportJob>, DatabaseFault> {
        Ok(self.by_id(id)?.filter(|job| owners.contains(&job.owner)))
    }

    /// Returns a job of any client; `None` if there is no such job.
    pub(super) fn by_id(&mut self, id: &str) -> Result<Option<ExportJob>, DatabaseFault> {
        let query = format!("SELECT {COLUMNS} FROM jobs WHERE id = ?1");
        self.transaction.query_row(&query, [id], |row| Ok(read(row))).optional()?.transpose()
    }

    /// Returns the job that a client began with this key; `None` if there is no such job.
    pub(super) fn with_key(&mut self, key: &str, owners: &[String]) -> Result<Option<ExportJob>, DatabaseFault> {
        let places = vec!["?"; owners.len()].join(", ");
        let query =
            format!("SELECT {COLUMNS} FROM jobs WHERE owner IN ({places}) AND definition ->> 'key' = ? LIMIT 1");
        let parameters = owners.iter().map(String::as_str).chain([key]);
        let found = self.transaction.query_row(&query, params_from_iter(parameters), |row| Ok(read(row))).optional()?;
        found.transpose()
    }

    /// Queues a failed job again, with other sealed credentials if there are any. Does nothing if the job hasn't failed.
    /// Returns the job; `None` if there is no such job. `now` is in seconds since 1970.
    pub(super) fn resume(&mut self, id: &str, credentials: Option<&[u8]>) -> Result<Option<ExportJob>, DatabaseFault> {
        let Some(mut job) = self.by_id(id)? else { return Ok(None) };
        if job.state == JobState::Failed {
            (job.state, job.finished, job.progress) = (JobState::Queued, None, job.progress.resume());
            self.transaction.execute(
                "UPDATE jobs SET state = 'queued', not_before = 0, finished = NULL, announcement = NULL,
                     progress = ?2, credentials = coalesce(?3, credentials) WHERE id = ?1",
                (id, serde_json::to_string(&job.progress)?, credentials),
            )?;
        }
        Ok(Some(job))
    }

    /// Returns the newest jobs of all clients that are older than the job `before`.
    pub(super) fn newest(&mut self, before: Option<&str>) -> Result<Vec<ExportJob>, DatabaseFault> {
        let query = format!("SELECT {COLUMNS} FROM jobs WHERE {OLDER} {NEWEST_FIRST} LIMIT {MOST_LISTED}");
        let mut statement = self.transaction.prepare(&query)?;
        let rows = statement.query_map([before], |row| Ok(read(row)))?;
        rows.map(|row| row?).collect()
    }

    /// Returns the newest jobs that a client began for a list and that are older than the job `before`.
    pub(super) fn of_client(
        &mut self,
        owners: &[String],
        list: &ExportedList,
        before: Option<&str>,
    ) -> Result<Vec<ExportJob>, DatabaseFault> {
        // The query filters by list, because jobs of other lists must not count towards `MOST_LISTED`.
        // Test: `the_exports_of_a_list_are_complete_among_exports_of_other_lists`.
        let places = vec!["?"; owners.len()].join(", ");
        let query = format!(
            "SELECT {COLUMNS} FROM jobs WHERE {OLDER} AND definition ->> 'normal_path' = ?2
             AND definition ->> 'host' IS ?3 AND owner IN ({places}) {NEWEST_FIRST} LIMIT {MOST_LISTED}"
        );
        let list: [&dyn ToSql; 3] = [&before, &list.normal_path, &list.host];
        let parameters = list.into_iter().chain(owners.iter().map(|owner| owner as &dyn ToSql));
        let mut statement = self.transaction.prepare(&query)?;
        let rows = statement.query_map(params_from_iter(parameters), |row| Ok(read(row)))?;
        rows.map(|row| row?).collect()
    }

    /// Returns the ids of the jobs that could be taken, in the order in which to try them. The order is by the number
    /// of the client's active jobs, then by priority, then by age. Active jobs are included, because their process
    /// might have ended, which only the job's lock shows. `now` is in milliseconds since 1970.
    pub(super) fn candidates(&mut self, now: u64, takeable: &Takeable) -> Result<Vec<String>, DatabaseFault> {
        let mut statement = self.transaction.prepare(&candidates_query())?;
        let parameters = (whole(now), beyond(now), takeable.exports, &takeable.queues);
        let rows = statement.query_map(parameters, |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Takes a job that this process has locked, and returns the job with its credentials. Returns `None` if the job
    /// can't be taken any more, for example because it was cancelled. `now` is in milliseconds since 1970.
    pub(super) fn claim(
        &mut self,
        id: &str,
        now: u64,
        takeable: &Takeable,
    ) -> Result<Option<(ExportJob, Vec<u8>)>, DatabaseFault> {
        // Another process may have taken the last place of the queue since the search for candidates.
        let parameters = (whole(now), beyond(now), takeable.exports, &takeable.queues, id);
        let found =
            self.transaction.query_row(&claim_query(), parameters, |row| Ok((read(row), row.get("credentials")?)));
        let Some((job, credentials)) = found.optional()? else { return Ok(None) };
        let (mut job, credentials): (ExportJob, Option<Vec<u8>>) = (job?, credentials);
        // If the job is active although its lock was free, its process ended while it worked on a page, so an
        // interruption is counted. Test: `a_process_that_has_lost_a_job_changes_nothing`.
        job.progress.interruptions += u32::from(job.state == JobState::Active);
        job.claim += 1;
        job.state = JobState::Active;
        self.transaction.execute(
            "UPDATE jobs SET state = 'active', claim = ?2, progress = ?3 WHERE id = ?1",
            (id, job.claim, serde_json::to_string(&job.progress)?),
        )?;
        Ok(Some((job, credentials.unwrap_or_default())))
    }

    /// Stores the progress of a job. Returns `false` if the process has lost the job.
    pub(super) fn advance(&mut self, id: &str, claim: i64, progress: &JobProgress) -> Result<bool, DatabaseFault> {
        // The statement changes no row if another process has taken the job since, or if the job was cancelled.
        // Test: `a_process_that_has_lost_a_job_changes_nothing`.
        let changed = self.transaction.execute(
            "UPDATE jobs SET progress = ?3, bytes = ?4 WHERE id = ?1 AND claim = ?2 AND state = 'active'",
            (id, claim, serde_json::to_string(progress)?, whole(progress.bytes)),
        )?;
        Ok(changed == 1)
    }

    /// Ends the work on a job, and stores its state, progress, fault and event. Returns `false` if the process has lost
    /// the job. `now` is in milliseconds since 1970.
    pub(super) fn end(&mut self, id: &str, claim: i64, end: &JobEnd, now: u64) -> Result<bool, DatabaseFault> {
        let JobEnd { ended, progress, fault, announcement } = end;
        let (state, not_before, finished) = match ended {
            Ended::Finished(state) => (*state, 0, Some(whole(now / 1_000))),
            Ended::Queued(wait) => {
                let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                (JobState::Queued, whole(now.saturating_add(wait)), None)
            }
        };
        let changed = self.transaction.execute(
            // Only an unfinished job and one that can be resumed need their credentials.
            // Test: `credentials_are_sealed_and_gone_with_the_job`.
            "UPDATE jobs SET state = :state, not_before = :not_before, finished = :finished, progress = :progress,
                 bytes = :bytes, fault = :fault, announcement = :announcement,
                 credentials = CASE WHEN :finished IS NULL OR :state = 'failed' THEN credentials END
             WHERE id = :id AND claim = :claim AND state = 'active'",
            named_params! {
                ":id": id,
                ":claim": claim,
                ":state": state.word(),
                ":not_before": not_before,
                ":finished": finished,
                ":progress": serde_json::to_string(progress)?,
                ":bytes": whole(progress.bytes),
                ":fault": fault.as_ref().map(serde_json::to_string).transpose()?,
                ":announcement": announcement,
            },
        )?;
        Ok(changed == 1)
    }

    /// Returns events of ended jobs that have not been raised yet. Each pair is the id of the job and the event as
    /// JSON.
    pub(super) fn announcements(&mut self) -> Result<Vec<(String, String)>, DatabaseFault> {
        let query = format!(
            "SELECT id, announcement FROM jobs WHERE announcement IS NOT NULL ORDER BY id LIMIT {MOST_ANNOUNCED}"
        );
        let mut statement = self.transaction.prepare(&query)?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Removes the event of a job. Called after the event was raised.
    pub(super) fn announced(&mut self, id: &str) -> Result<(), DatabaseFault> {
        self.transaction.execute("UPDATE jobs SET announcement = NULL WHERE id = ?1", [id])?;
        Ok(())
    }

    /// Cancels an unfinished job. A process that is working on the job notices this at its next page. Returns `false` if
    /// the job had ended. `now` is in seconds since 1970.
    pub(super) fn cancel(&mut self, id: &str, now: u64) -> Result<bool, DatabaseFault> {
        let changed = self.transaction.execute(
            "UPDATE jobs SET state = 'cancelled', finished = ?2, credentials = NULL
             WHERE id = ?1 AND state IN ('queued', 'active')",
            (id, whole(now)),
        )?;
        Ok(changed == 1)
    }

    /// Removes a finished job. Does nothing if the job is unfinished.
    pub(super) fn remove(&mut self, id: &str) -> Result<(), DatabaseFault> {
        self.transaction.execute("DELETE FROM jobs WHERE id = ?1 AND finished IS NOT NULL", [id])?;
        Ok(())
    }

    /// Returns all finished jobs, the newest first. `now` is in seconds since 1970.
    pub(super) fn finished(&mut self, now: u64) -> Result<Vec<FinishedJob>, DatabaseFault> {
        // Among jobs that end in the same second, the job that was begun last is the newest, so the older jobs are
        // removed first. Test: `finished_exports_are_kept_up_to_a_number_and_a_size`.
        let query =
            "SELECT id, finished, iif(state IN ('completed', 'failed'), bytes, 0), owner, definition ->> 'network'
                     FROM jobs WHERE finished IS NOT NULL
                     ORDER BY finished DESC, rowid DESC";
        let mut statement = self.transaction.prepare(query)?;
        let rows = statement.query_map([], |row| {
            let age = now.saturating_sub(natural(row.get(1)?));
            let (owner, network) = (row.get(3)?, row.get(4)?);
            Ok(FinishedJob { id: row.get(0)?, owner, network, age, bytes: natural(row.get(2)?) })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Returns the ids of the jobs that have a result, or can still get one.
    pub(super) fn with_result(&mut self) -> Result<Vec<String>, DatabaseFault> {
        let query = "SELECT id FROM jobs WHERE state <> 'cancelled'";
        let mut statement = self.transaction.prepare(query)?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Returns the number of jobs in each state. States without jobs are left out.
    pub(super) fn counts(&mut self) -> Result<Vec<(JobState, u64)>, DatabaseFault> {
        let mut statement = self.transaction.prepare("SELECT state, count(*) FROM jobs GROUP BY state")?;
        let rows = statement.query_map([], |row| {
            let word: String = row.get(0)?;
            Ok((JobState::of(&word), natural(row.get(1)?)))
        })?;
        let rows: Vec<_> = rows.collect::<Result<_, _>>()?;
        Ok(rows.into_iter().filter_map(|(state, count)| Some((state?, count))).collect())
    }
}

fn read(row: &Row<'_>) -> Result<ExportJob, DatabaseFault> {
    let state: String = row.get("state")?;
    let definition: String = row.get("definition")?;
    let progress: String = row.get("progress")?;
    let fault: Option<String> = row.get("fault")?;
    Ok(ExportJob {
        id: row.get("id")?,
        owner: row.get("owner")?,
        // The fallback is never used, because the table permits only the words of states.
        state: JobState::of(&state).unwrap_or(JobState::Failed),
        claim: row.get("claim")?,
        created: natural(row.get("created")?),
        finished: row.get::<_, Option<i64>>("finished")?.map(natural),
        definition: serde_json::from_str::<JobDefinition>(&definition)?,
        progress: serde_json::from_str::<JobProgress>(&progress)?,
        fault: fault.as_deref().map(serde_json::from_str::<JobFault>).transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf, time::Duration};

    use rusqlite::StatementStatus;

    use super::*;
    use crate::exports::{
        format::{Compression, ExportFormat, Formulas},
        job::Priority,
        store::{DirectoryStore, NO_QUEUES},
    };

    /// A store in a temporary directory for one test, which is removed at the end of the test.
    struct OwnStore(DirectoryStore, PathBuf);

    impl Drop for OwnStore {
        fn drop(&mut self) {
            // If this fails, the directory stays among the temporary files, which does no harm.
            let _ = fs::remove_dir_all(&self.1);
        }
    }

    fn store(name: &str) -> OwnStore {
        let directory = std::env::temp_dir().join(format!("cursorgate-{}-{name}", std::process::id()));
        OwnStore(DirectoryStore::open(&directory).unwrap(), directory)
    }

    fn all() -> Takeable {
        Takeable { exports: true, queues: NO_QUEUES.to_owned() }
    }

    fn job(id: &str, owner: &str, priority: Priority, created: u64) -> ExportJob {
        let definition = JobDefinition {
            network: None,
            key: None,
            counted: None,
            call: None,
            path: "/users".to_owned(),
            normal_path: "/users".to_owned(),
            host: None,
            exports_url: "https://api.test/users/exports".into(),
            query: String::new(),
            format: ExportFormat::Ndjson,
            compression: Compression::None,
            priority,
            columns: None,
            formulas: Formulas::Kept,
        };
        ExportJob {
            id: id.to_owned(),
            owner: owner.to_owned(),
            state: JobState::Queued,
            claim: 0,
            created,
            finished: None,
            progress: JobProgress::begin(&definition),
            definition,
            fault: None,
        }
    }

    fn ended(ended: Ended, progress: &JobProgress) -> JobEnd {
        JobEnd { ended, progress: progress.clone(), fault: None, announcement: None }
    }

    /// Adds a job whose client has only one name.
    fn add(jobs: &mut JobTable<'_>, job: &ExportJob, limits: QueueLimits) -> Result<Added, DatabaseFault> {
        let names = std::slice::from_ref(&job.owner);
        jobs.add(job, ClientNames { owners: names, counted: names }, b"sealed", limits)
    }

    const MANY: QueueLimits = QueueLimits { per_client: 100, queue: 100 };

    #[tokio::test]
    async fn a_process_that_has_lost_a_job_changes_nothing() {
        let store = store("lost");
        store
            .0
            .call(|jobs| {
                assert_eq!(add(jobs, &job("a", "one", Priority::Normal, 1), MANY)?, Added::Queued);
                let (first, credentials) = jobs.claim("a", 0, &all())?.unwrap();
                assert_eq!((credentials.as_slice(), first.progress.interruptions), (&b"sealed"[..], 0));
                let further = JobProgress { items: 7, bytes: 70, ..JobProgress::default() };
                assert!(jobs.advance("a", first.claim, &further)?);
                let (second, _) = jobs.claim("a", 0, &all())?.unwrap();
                assert_eq!((second.progress.items, second.progress.interruptions), (7, 1), "it goes on there");
                let stale = JobProgress { items: 9, ..JobProgress::default() };
                assert!(!jobs.advance("a", first.claim, &stale)?);
                assert!(!jobs.end("a", first.claim, &ended(Ended::Finished(JobState::Failed), &stale), 5_000)?);
                let owners = ["one".to_owned()];
                let found = jobs.find("a", &owners)?.unwrap();
                assert_eq!((found.state, found.progress.items), (JobState::Active, 7));
                assert!(jobs.end("a", second.claim, &ended(Ended::Finished(JobState::Completed), &further), 5_000)?);
                assert!(!jobs.cancel("a", 5)?);
                assert_eq!(jobs.counts()?, [(JobState::Completed, 1)]);
                assert_eq!(jobs.find("a", &owners)?.unwrap().state, JobState::Completed);
                assert!(jobs.claim("a", 0, &all())?.is_none() && jobs.find("a", &["two".to_owned()])?.is_none());
                let left: Option<Vec<u8>> =
                    jobs.transaction.query_row("SELECT credentials FROM jobs", [], |row| row.get(0))?;
                assert_eq!(left, None, "a finished job has no credentials");
                assert_eq!(jobs.resume("a", None)?.unwrap().state, JobState::Completed, "it hasn't failed");
                assert!(jobs.resume("b", None)?.is_none());
                Ok(())
            })
            .await
            .unwrap();
        let again = DirectoryStore::open(&store.1).unwrap();
        assert_eq!(again.call(|jobs| Ok(jobs.with_result()?.concat())).await.unwrap(), "a");
    }

    #[tokio::test]
    async fn a_pause_that_a_wrong_clock_made_long_is_over() {
        let store = store("clock");
        let call = |jobs: &mut JobTable<'_>| {
            add(jobs, &job("a", "one", Priority::Normal, 1), MANY)?;
            let (now, wrong) = (1_000_000, 1_000_000 + 400 * 86_400_000);
            let (taken, _) = jobs.claim("a", wrong, &all())?.unwrap();
            let pause = Duration::from_secs(60);
            jobs.end("a", taken.claim, &ended(Ended::Queued(pause), &taken.progress), wrong)?;
            assert!(jobs.candidates(wrong, &all())?.is_empty() && jobs.claim("a", wrong + 59_000, &all())?.is_none());
            assert_eq!(jobs.candidates(now, &all())?, ["a"]);
            assert!(jobs.claim("a", now, &all())?.is_some());
            Ok(())
        };
        store.0.call(call).await.unwrap();
    }

    #[tokio::test]
    async fn the_exports_of_a_list_are_complete_among_exports_of_other_lists() {
        let store = store("lists");
        let many = QueueLimits { per_client: 1_000, queue: 1_000 };
        let of = |id: &str, path: &str, host: Option<&str>, created| {
            let job = job(id, "one", Priority::Normal, created);
            let (normal_path, host) = (path.to_owned(), host.map(str::to_owned));
            ExportJob { definition: JobDefinition { normal_path, host, ..job.definition }, ..job }
        };
        let call = move |jobs: &mut JobTable<'_>| {
            for (id, path, host) in [("a", "/users", None), ("b", "/users", Some("api.test")), ("c", "/users", None)] {
                add(jobs, &of(id, path, host, 1), many)?;
            }
            for created in 2..2 + MOST_LISTED as u64 {
                add(jobs, &of(&created.to_string(), "/orders", None, created), many)?;
            }
            let mut ids = |path: &str, host: Option<&str>, before: Option<&str>| {
                let list = ExportedList { normal_path: path.to_owned(), host: host.map(str::to_owned) };
                let jobs = jobs.of_client(&["two".to_owned(), "one".to_owned()], &list, before)?;
                Ok::<_, DatabaseFault>(jobs.into_iter().map(|job| job.id).collect::<Vec<_>>())
            };
            assert_eq!(ids("/users", None, None)?, ["c", "a"]);
            assert_eq!(ids("/users", Some("api.test"), None)?, ["b"]);
            let newest = ids("/orders", None, None)?;
            assert_eq!(newest.len(), MOST_LISTED);
            // Jobs of the same second have an order, too.
            for (before, older) in [("c", &["a"][..]), ("a", &[]), ("gone", &[])] {
                assert_eq!(ids("/users", None, Some(before))?, older);
            }
            assert_eq!(ids("/orders", None, Some(&newest[9]))?, newest[10..]);
            let all: Vec<String> = jobs.newest(Some("2"))?.into_iter().map(|job| job.id).collect();
            assert_eq!(all, ["c", "b", "a"]);
            Ok(())
        };
        store.0.call(call).await.unwrap();
    }

    #[tokio::test]
    async fn clients_take_turns() {
        let store = store("turns");
        store
            .0
            .call(|jobs| {
                for (id, owner, priority, created) in [
                    ("a", "one", Priority::Normal, 1),
                    ("b", "one", Priority::Normal, 2),
                    ("c", "one", Priority::High, 3),
                    ("d", "two", Priority::Low, 4),
                ] {
                    add(jobs, &job(id, owner, priority, created), MANY)?;
                }
                assert_eq!(jobs.candidates(0, &all())?, ["c", "a", "b", "d"]);
                let (taken, _) = jobs.claim("c", 0, &all())?.unwrap();
                assert_eq!(jobs.candidates(0, &all())?, ["c", "d", "a", "b"], "the other client's turn");
                let wait = Ended::Queued(Duration::from_millis(50));
                jobs.end("c", taken.claim, &ended(wait, &taken.progress), 0)?;
                assert!(jobs.claim("c", 49, &all())?.is_none());
                assert_eq!(jobs.candidates(49, &all())?, ["a", "b", "d"], "it waits for its next attempt");
                assert_eq!(jobs.candidates(50, &all())?, ["c", "a", "b", "d"]);
                let two = QueueLimits { per_client: 3, queue: 100 };
                assert_eq!(add(jobs, &job("e", "one", Priority::Low, 5), two)?, Added::ClientIsFull);
                let four = QueueLimits { per_client: 100, queue: 4 };
                assert_eq!(add(jobs, &job("e", "two", Priority::Low, 5), four)?, Added::QueueIsFull);
                jobs.cancel("a", 9)?;
                assert_eq!(add(jobs, &job("e", "one", Priority::Low, 5), two)?, Added::Queued);
                Ok(())
            })
            .await
            .unwrap();
    }

    /// The work to take a job grows like the number of waiting jobs, not like its square.
    #[tokio::test]
    async fn taking_one_of_many_jobs_of_queues_counts_each_job_once() {
        const FILL: &str = "
            WITH RECURSIVE numbers (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < ?1)
            INSERT INTO jobs (id, owner, state, priority, created, definition, progress, queue)
            SELECT 'job' || number, 'client' || (number % ?2), 'queued', 1, number, definition,
                   CASE WHEN number <= 100 THEN json_set(progress, '$.started', 1) ELSE progress END,
                   'queue' || (number % ?2)
            FROM numbers, (SELECT definition, progress FROM jobs WHERE id = 'first')";
        for queues in [1, 50] {
            let mut works = Vec::new();
            for count in [1_000, 4_000] {
                let store = store(&format!("many-{queues}-{count}"));
                let call = move |jobs: &mut JobTable<'_>| {
                    add(jobs, &job("first", "one", Priority::Normal, 1), MANY)?;
                    jobs.transaction.execute(FILL, (count, queues))?;
                    let bounds: Vec<String> = (0..queues).map(|number| format!("\"queue{number}\":200")).collect();
                    let bounds = format!("{{{}}}", bounds.join(","));
                    let mut work = 0;
                    for query in [candidates_query(), claim_query()] {
                        let mut statement = jobs.transaction.prepare(&query)?;
                        let parameters = (1, beyond(1), true, &bounds, "job900");
                        let mut rows = match statement.parameter_count() {
                            4 => statement.query((1, beyond(1), true, &bounds))?,
                            _ => statement.query(parameters)?,
                        };
                        let mut found = 0;
                        while rows.next()?.is_some() {
                            found += 1;
                        }
                        drop(rows);
                        assert!(found > 0);
                        work += statement.get_status(StatementStatus::VmStep);
                    }
                    Ok(work)
                };
                works.push(store.0.call(call).await.unwrap());
            }
            assert!(works[1] < 6 * works[0], "{queues} queues: {works:?} steps with 1,000 and 4,000 jobs");
        }
    }

    #[tokio::test]
    async fn a_change_of_keys_does_not_raise_the_limit_of_a_clients_exports() {
        let store = store("keys");
        let call = |jobs: &mut JobTable<'_>| {
            let two = QueueLimits { per_client: 2, queue: 100 };
            let owners = ["new".to_owned(), "old".to_owned()];
            let names = ClientNames { owners: &owners, counted: &owners };
            let mut added =
                |id: &str, owner: &str| jobs.add(&job(id, owner, Priority::Normal, 1), names, b"sealed", two);
            assert_eq!((added("a", "old")?, added("b", "new")?), (Added::Queued, Added::Queued));
            assert_eq!(added("c", "new")?, Added::ClientIsFull);
            assert_eq!(add(jobs, &job("d", "another", Priority::Normal, 1), two)?, Added::Queued);
            Ok(())
        };
        store.0.call(call).await.unwrap();
    }

    #[tokio::test]
    async fn clients_with_many_names_do_not_fill_the_queue() {
        let store = store("networks");
        let call = |jobs: &mut JobTable<'_>| {
            let limits = QueueLimits { per_client: 2, queue: 100 };
            let mut added = |number: usize, network: &str| {
                let mut job = job(&format!("{network}{number}"), &format!("{network}{number}"), Priority::Normal, 1);
                job.definition.network = Some(network.to_owned());
                add(jobs, &job, limits)
            };
            for number in 0..8 {
                assert_eq!(added(number, "crowd")?, Added::Queued);
            }
            assert_eq!(added(8, "crowd")?, Added::ClientIsFull);
            assert_eq!(added(0, "home")?, Added::Queued);
            Ok(())
        };
        store.0.call(call).await.unwrap();
    }

    #[tokio::test]
    async fn a_database_of_a_later_version_is_left_alone() {
        let store = store("later");
        let later = i64::try_from(STEPS.len()).unwrap() + 1;
        let set = move |jobs: &mut JobTable<'_>| Ok(jobs.transaction.pragma_update(None, "user_version", later)?);
        store.0.call(set).await.unwrap();
        let again = DirectoryStore::open(&store.1);
        assert!(matches!(again, Err(DatabaseFault::Later(version)) if version == later));
    }
}
