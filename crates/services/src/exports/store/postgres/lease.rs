//! The lease of a job in PostgreSQL, with what its process writes: pages, objects in place of rows, and the end.

use std::{collections::HashMap, io, time::Duration};

use async_trait::async_trait;
use tokio::task::JoinHandle;
use tokio_postgres::types::Type;

use super::{
    super::{
        Ended, JobEnd, JobLease, JobStoreFault,
        objects::{LEAST, OBJECT},
    },
    MOST_PARTS, PART, PostgresJobs, cell, length, place, removed,
};
use crate::{
    database::{natural, whole},
    exports::job::{ExportJob, JobFault, JobProgress, JobState},
    id::new_id,
    postgres::TypedValue,
};

/// The time after which an object is removed whose row wasn't stored, in seconds. It is longer than any signature of a
/// request is valid, so the object isn't written after its removal.
const UNSTORED: f64 = 3_600.0;

/// The lease of a job. The job's row contains the time at which the lease ends.
pub(super) struct RowLease {
    /// The task that extends the lease.
    renewal: JoinHandle<()>,
    jobs: PostgresJobs,
    id: String,
    claim: i64,
    /// The length of the result in bytes, which this process read with the job and updates with each page that it adds.
    written: u64,
    /// The bytes that are in rows, by the index of the part; no value for a part that hasn't been read yet.
    tails: HashMap<usize, u64>,
}

impl RowLease {
    /// Begins to extend the lease of a job that this process has taken.
    pub(super) fn begin(jobs: &PostgresJobs, job: &ExportJob) -> Self {
        Self {
            renewal: renew(jobs.clone(), job.id.clone(), job.claim),
            jobs: jobs.clone(),
            id: job.id.clone(),
            claim: job.claim,
            written: job.progress.bytes,
            tails: HashMap::new(),
        }
    }

    /// Moves the first rows of a part into objects, as long as at least `least` bytes are in rows. Returns `false` if
    /// the process has lost the job.
    async fn move_rows(&mut self, part: usize, least: u64) -> Result<bool, JobStoreFault> {
        let Some(prefix) = self.jobs.objects.prefix() else { return Ok(true) };
        // Each round moves rows of a result, whose size is bounded.
        while self.tail(part).await? >= least {
            let name = new_id().ok_or_else(|| JobStoreFault::Result(io::Error::other("no random bytes")))?;
            if !self.shift(part, &format!("{prefix}{}/{part}-{name}", self.id)).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Returns the number of bytes of a part that are in rows.
    async fn tail(&mut self, part: usize) -> Result<u64, JobStoreFault> {
        const TAIL: &str = "
            SELECT coalesce(sum(length(bytes)), 0)::bigint FROM cursorgate_export_parts
            WHERE job = $1 AND place >= $2 AND place < $3 AND object IS NULL";
        if let Some(known) = self.tails.get(&part) {
            return Ok(*known);
        }
        let (begin, end) = (place(part, 0), place(part + 1, 0));
        let parameters: [TypedValue<'_>; 3] = [(&self.id, Type::TEXT), (&begin, Type::INT8), (&end, Type::INT8)];
        let rows = self.jobs.postgres.ask(TAIL, &parameters).await?;
        let tail = rows.first().map_or(Ok(0), |row| cell(row, 0)).map(natural)?;
        self.tails.insert(part, tail);
        Ok(tail)
    }

    /// Moves the first rows of a part into an object of this name. Returns `false` if the process has lost the job, or
    /// took too long.
    async fn shift(&mut self, part: usize, object: &str) -> Result<bool, JobStoreFault> {
        const ANNOUNCE: &str = "INSERT INTO cursorgate_object_removals VALUES ($1, now() + make_interval(secs => $2))";
        // If the removal of the object has begun, its time is over, and the rows stay.
        const SHIFT: &str = "
            WITH held AS (
                SELECT id FROM cursorgate_exports
                WHERE id = $1 AND claim = $2 AND state = 'active' AND bytes = $3 FOR UPDATE
            ), stored AS (
                DELETE FROM cursorgate_object_removals USING held WHERE object = $4 AND due > now() RETURNING 1
            ), dropped AS (
                DELETE FROM cursorgate_export_parts USING stored WHERE job = $1 AND place > $5 AND place <= $6
            )
            UPDATE cursorgate_export_parts AS part SET bytes = '', object = $4, length = $7 FROM stored
            WHERE part.job = $1 AND part.place = $5 RETURNING 1";
        let (bytes, first, last) = self.gather(part).await?;
        let moved = length(bytes.len());
        self.jobs.postgres.ask(ANNOUNCE, &[(&object, Type::TEXT), (&UNSTORED, Type::FLOAT8)]).await?;
        self.jobs.objects.write(object, bytes).await?;
        let parameters: [TypedValue<'_>; 7] = [
            (&self.id, Type::TEXT),
            (&self.claim, Type::INT8),
            (&whole(self.written), Type::INT8),
            (&object, Type::TEXT),
            (&first, Type::INT8),
            (&last, Type::INT8),
            (&whole(moved), Type::INT8),
        ];
        // If the answer is lost, the rows may be moved or not, and the next process sees which.
        let is_held = !self.jobs.postgres.ask(SHIFT, &parameters).await?.is_empty();
        if is_held {
            self.tails.entry(part).and_modify(|tail| *tail = tail.saturating_sub(moved));
        }
        Ok(is_held)
    }

    /// Reads the first rows of a part, up to about [`OBJECT`] bytes. Returns these, and the places of the first and of
    /// the last row.
    async fn gather(&self, part: usize) -> Result<(Vec<u8>, i64, i64), JobStoreFault> {
        const GATHER: &str = "
            SELECT place, bytes FROM cursorgate_export_parts
            WHERE job = $1 AND place >= $2 AND place < $3 AND object IS NULL ORDER BY place LIMIT $4";
        let size = self.tails.get(&part).map_or(0, |tail| (*tail).min(OBJECT));
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
        let (mut first, mut last) = (None, 0);
        // Each round reads rows, until there are enough or no more.
        while length(bytes.len()) < OBJECT {
            let from = first.map_or_else(|| place(part, 0), |_| last + 1);
            let parameters: [TypedValue<'_>; 4] = [
                (&self.id, Type::TEXT),
                (&from, Type::INT8),
                (&place(part + 1, 0), Type::INT8),
                (&MOST_PARTS, Type::INT8),
            ];
            let rows = self.jobs.postgres.ask(GATHER, &parameters).await?;
            if rows.is_empty() {
                break;
            }
            for row in &rows {
                let (begin, more): (i64, &[u8]) = (cell(row, 0)?, cell(row, 1)?);
                let expected = first.map_or(begin, |first: i64| first.saturating_add(whole(length(bytes.len()))));
                if begin != expected {
                    return Err(removed());
                }
                bytes.extend_from_slice(more);
                (first, last) = (first.or(Some(begin)), begin);
            }
        }
        let first = first.ok_or_else(removed)?;
        Ok((bytes, first, last))
    }
}

impl Drop for RowLease {
    fn drop(&mut self) {
        // Without renewals the lease expires, and another process can take the job.
        self.renewal.abort();
    }
}

/// Starts a task that extends a lease whenever a third of its duration has passed. The task ends when it is aborted, or
/// when the process has lost the lease.
fn renew(jobs: PostgresJobs, id: String, claim: i64) -> JoinHandle<()> {
    const RENEW: &str = "
        UPDATE cursorgate_exports SET lease_until = now() + make_interval(secs => $3)
        WHERE id = $1 AND claim = $2 AND state = 'active' RETURNING 1";
    tokio::spawn(async move {
        let lease = jobs.lease.as_secs_f64();
        loop {
            // An interval of a third leaves time to repeat a renewal that fails.
            tokio::time::sleep(jobs.lease / 3).await;
            let parameters: [TypedValue<'_>; 3] = [(&id, Type::TEXT), (&claim, Type::INT8), (&lease, Type::FLOAT8)];
            // After a fault, a later renewal might still be in time. If no renewal is, another process can take the
            // job, and the write of the next page detects that. Test: `a_process_that_stood_still_repeats_no_item`.
            if jobs.postgres.ask(RENEW, &parameters).await.is_ok_and(|rows| rows.is_empty()) {
                return;
            }
        }
    })
}

#[async_trait]
impl JobLease for RowLease {
    async fn restore(&mut self, _lengths: Vec<u64>) -> Result<bool, JobStoreFault> {
        // One statement writes both the bytes and their length, so they always agree.
        Ok(true)
    }

    async fn advance(&mut self, part: usize, bytes: Vec<u8>, progress: &JobProgress) -> Result<bool, JobStoreFault> {
        const ADVANCE: &str = "
            WITH held AS (
                UPDATE cursorgate_exports
                SET progress = $4, bytes = $5, interruptions = $9, lease_until = now() + make_interval(secs => $6)
                WHERE id = $1 AND claim = $2 AND state = 'active' AND bytes = $3 RETURNING id
            ), written AS (
                INSERT INTO cursorgate_export_parts (job, place, bytes)
                SELECT held.id, part.place, part.bytes FROM held, unnest($7, $8) AS part (place, bytes)
            )
            SELECT 1 FROM held";
        // This is done before the page is stored: after a fault, neither is, and the page is tried again.
        if !self.move_rows(part, OBJECT).await? {
            return Ok(false);
        }
        let parts: Vec<&[u8]> = bytes.chunks(PART).collect();
        let end = progress.lengths().get(part).copied().unwrap_or_default();
        let at = end.saturating_sub(length(bytes.len()));
        let places: Vec<i64> = (0..parts.len()).map(|row| place(part, at.saturating_add(length(row * PART)))).collect();
        let parameters: [TypedValue<'_>; 9] = [
            (&self.id, Type::TEXT),
            (&self.claim, Type::INT8),
            (&whole(self.written), Type::INT8),
            (&serde_json::to_string(progress)?, Type::TEXT),
            (&whole(progress.bytes), Type::INT8),
            (&self.jobs.lease.as_secs_f64(), Type::FLOAT8),
            (&places, Type::INT8_ARRAY),
            (&parts, Type::BYTEA_ARRAY),
            (&i64::from(progress.interruptions), Type::INT8),
        ];
        let is_held = !self.jobs.postgres.ask(ADVANCE, &parameters).await?.is_empty();
        if is_held {
            self.written = progress.bytes;
            self.tails.entry(part).and_modify(|tail| *tail += length(bytes.len()));
        }
        Ok(is_held)
    }

    async fn end(&mut self, end: JobEnd) -> Result<bool, JobStoreFault> {
        const END: &str = "
            UPDATE cursorgate_exports
            SET state = $4, not_before = now() + make_interval(secs => $5), lease_until = NULL,
                finished = CASE WHEN $6 THEN now() END, progress = $7, fault = $8, announcement = $9,
                credentials = CASE WHEN $6 AND $4 <> 'failed' THEN NULL ELSE credentials END
            WHERE id = $1 AND claim = $2 AND state = 'active' AND bytes = $3 RETURNING id";
        if matches!(end.ended, Ended::Finished(JobState::Completed)) {
            for part in 0..end.progress.lengths().len() {
                if !self.move_rows(part, LEAST).await? {
                    return Ok(false);
                }
            }
        }
        let (state, wait) = match end.ended {
            Ended::Finished(state) => (state, Duration::ZERO),
            Ended::Queued(wait) => (JobState::Queued, wait),
        };
        let parameters: [TypedValue<'_>; 9] = [
            (&self.id, Type::TEXT),
            (&self.claim, Type::INT8),
            (&whole(self.written), Type::INT8),
            (&state.word(), Type::TEXT),
            (&wait.as_secs_f64(), Type::FLOAT8),
            (&state.is_finished(), Type::BOOL),
            (&serde_json::to_string(&end.progress)?, Type::TEXT),
            (&end.fault.as_ref().map(serde_json::to_string).transpose()?, Type::TEXT),
            (&end.announcement, Type::TEXT),
        ];
        Ok(!self.jobs.postgres.ask(END, &parameters).await?.is_empty())
    }

    async fn suspend(&mut self, fault: &JobFault) -> Result<(), JobStoreFault> {
        const SUSPEND: &str = "
            UPDATE cursorgate_exports
            SET state = 'queued', lease_until = NULL, interruptions = interruptions + 1, fault = $3
            WHERE id = $1 AND claim = $2 AND state = 'active'";
        let fault = serde_json::to_string(fault)?;
        let parameters: [TypedValue<'_>; 3] = [(&self.id, Type::TEXT), (&self.claim, Type::INT8), (&fault, Type::TEXT)];
        self.jobs.postgres.ask(SUSPEND, &parameters).await?;
        Ok(())
    }
}
