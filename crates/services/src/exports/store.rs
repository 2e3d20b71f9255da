//! The interface to the stores of jobs and results, with the operations that the service, the keeper and the runs need,
//! and to the keys of bulk requests (`keys`), which are in the same store.
//!
//! There are two stores. Processes of one machine can share a directory (`directory`, `table`), and processes on
//! several machines can share a PostgreSQL database (`postgres`). Both stores follow the same rules. Only one process
//! at a time works on a job. The places of a job always fit the lengths of the parts of its result. A process that has lost a job no
//! longer changes it.

mod directory;
mod keys;
mod objects;
mod postgres;
mod table;

use std::{io, time::Duration};

use async_trait::async_trait;

pub(crate) use self::keys::{KeyEnd, KeyStore, NewKey, StoredKey};
pub(crate) use self::objects::ObjectFault;
pub(super) use self::{directory::DirectoryStore, postgres::PostgresJobs};
use super::job::{ExportJob, ExportedList, JobFault, JobProgress, JobState, ResultStretch};
use crate::{database::DatabaseFault, postgres::PostgresFault};
use cursorgate_gateway::session::service::BodySource;

/// The longest pause of a queued job before its next attempt.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// The largest number of jobs in an answer. Older jobs are in the answer to a request with the id of the last one.
pub(super) const MOST_LISTED: usize = 100;

#[derive(Debug, thiserror::Error)]
pub(crate) enum JobStoreFault {
    #[error(transparent)]
    Directory(#[from] DatabaseFault),
    #[error("PostgreSQL: {0}")]
    Shared(#[from] PostgresFault),
    #[error(transparent)]
    Objects(#[from] ObjectFault),
    #[error("the result: {0}")]
    Result(io::Error),
}

impl From<serde_json::Error> for JobStoreFault {
    fn from(error: serde_json::Error) -> Self {
        Self::Directory(DatabaseFault::Content(error))
    }
}

/// The result of an attempt to add a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Added {
    Queued,
    /// The client has a job of the list with the same key.
    Known,
    /// The client has as many unfinished jobs as it may have.
    ClientIsFull,
    QueueIsFull,
}

/// The largest numbers of unfinished jobs, per client and in the whole queue. A job beyond these numbers isn't added.
#[derive(Clone, Copy, Debug)]
pub(super) struct QueueLimits {
    pub(super) per_client: usize,
    pub(super) queue: usize,
}

impl QueueLimits {
    /// Returns the largest number of unfinished jobs of all clients at one address. Credentials aren't checked by the
    /// gateway, so a client could otherwise invent names and fill the queue alone.
    pub(super) fn per_network(self) -> usize {
        self.per_client.saturating_mul(4)
    }
}

/// The names of a client, one for each cursor key.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClientNames<'n> {
    /// The names under which the client's jobs are stored.
    pub(super) owners: &'n [String],
    /// The names under which limits count the client. Jobs under each of these names count for the client's limit.
    pub(super) counted: &'n [String],
}

/// The queues of a configuration without any ([`Takeable`]).
pub(super) const NO_QUEUES: &str = "{}";

/// The jobs that a process takes.
#[derive(Clone, Debug)]
pub(super) struct Takeable {
    pub(super) exports: bool,
    /// The largest numbers of jobs at work by the names of their queues, as a JSON object. The jobs of a queue that
    /// isn't there any more are taken one by one: they fail at once.
    pub(super) queues: String,
}

/// The state of a job after a process has ended its work on it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ended {
    Finished(JobState),
    /// The job waits at least this time before the next process takes it.
    Queued(Duration),
}

/// The values that are stored when a process ends its work on a job.
#[derive(Debug)]
pub(super) struct JobEnd {
    pub(super) ended: Ended,
    pub(super) progress: JobProgress,
    pub(super) fault: Option<JobFault>,
    /// The event of the job's end as JSON, which the keeper raises later; `None` if there is no event.
    pub(super) announcement: Option<String>,
}

/// The data of a finished job that decide whether it is removed.
#[derive(Debug)]
pub(super) struct FinishedJob {
    pub(super) id: String,
    /// The name of the client that began the job.
    pub(super) owner: String,
    /// The name of the client's address; `None` if it is unknown.
    pub(super) network: Option<String>,
    /// The time since the job's end, in seconds.
    pub(super) age: u64,
    /// The length of the job's result in bytes; 0 if there is no result.
    pub(super) bytes: u64,
}

/// A job that this process has taken to work on it.
pub(super) struct TakenJob {
    pub(super) job: ExportJob,
    /// The credentials of the job, sealed by `credentials::sealed`.
    pub(super) credentials: Vec<u8>,
    pub(super) lease: Box<dyn JobLease>,
}

/// A store of jobs and results. Every operation returns an error if the store has a fault.
#[async_trait]
pub(super) trait ExportStore: KeyStore {
    /// Checks that the store is there, without reading it.
    async fn check(&self) -> Result<(), JobStoreFault> {
        Ok(())
    }

    /// Checks that the store has room, and its object store too, after it couldn't store a page. `check` does it for a
    /// directory.
    async fn probe(&self) -> Result<(), JobStoreFault> {
        Ok(())
    }

    /// Checks that the object store is there, after a part of a result couldn't be read.
    async fn check_objects(&self) -> Result<(), JobStoreFault> {
        Ok(())
    }

    /// Adds a job with its sealed credentials, unless one of `limits` is reached by the exports or by the jobs of its
    /// queue, or the client has a job with the same
    /// key.
    async fn add(
        &self,
        job: ExportJob,
        names: ClientNames<'_>,
        credentials: Vec<u8>,
        limits: QueueLimits,
    ) -> Result<Added, JobStoreFault>;

    /// Returns a job of any client; `None` if there is no such job.
    async fn by_id(&self, id: &str) -> Result<Option<ExportJob>, JobStoreFault>;

    /// Returns the job that a client began with this key; `None` if there is no such job.
    async fn with_key(&self, key: &str, owners: &[String]) -> Result<Option<ExportJob>, JobStoreFault>;

    /// Queues a failed job again, with other sealed credentials if there are any. Does nothing if the job hasn't failed.
    /// Returns the job; `None` if there is no such job.
    async fn resume(&self, id: &str, credentials: Option<Vec<u8>>) -> Result<Option<ExportJob>, JobStoreFault>;

    /// Returns the newest jobs of all clients that are older than the job `before`, at most [`MOST_LISTED`], the newest
    /// first; none if that job has been removed.
    async fn newest(&self, before: Option<&str>) -> Result<Vec<ExportJob>, JobStoreFault>;

    /// Returns a job of a client; `None` if there is no such job, or it belongs to another client. `owners` are the
    /// client's names, one for each cursor key.
    async fn find(&self, id: &str, owners: &[String]) -> Result<Option<ExportJob>, JobStoreFault>;

    /// Returns the newest jobs that a client began for a list and that are older than the job `before`, at most
    /// [`MOST_LISTED`], the newest first; none if that job has been removed.
    async fn of_client(
        &self,
        owners: &[String],
        list: &ExportedList,
        before: Option<&str>,
    ) -> Result<Vec<ExportJob>, JobStoreFault>;

    /// Cancels an unfinished job. A process that is working on the job notices this at its next page. Returns `false` if
    /// the job had ended.
    async fn cancel(&self, id: &str) -> Result<bool, JobStoreFault>;

    /// Removes a finished job and its result.
    async fn remove(&self, id: &str) -> Result<(), JobStoreFault>;

    /// Opens a range of a result: these stretches of its parts, one after the other.
    async fn read(&self, id: &str, stretches: Vec<ResultStretch>) -> Result<Box<dyn BodySource>, JobStoreFault>;

    /// Takes the next job that waits, or whose process has ended; `None` if there isn't one. Jobs of the client with
    /// the fewest active jobs come first, so a client with many jobs doesn't delay the others. Among these jobs, the
    /// one with the highest priority is taken, and the oldest one if the priorities are equal. Jobs of a queue that has its number at work
    /// wait.
    async fn take(&self, takeable: &Takeable) -> Result<Option<TakenJob>, JobStoreFault>;

    /// Returns events of ended jobs that have not been raised yet. Each pair is the id of the job and the event as
    /// JSON. A store that several machines share reserves these events for this process for a while.
    async fn announcements(&self) -> Result<Vec<(String, String)>, JobStoreFault>;

    /// Removes the event of a job. Called after the event was raised.
    async fn announced(&self, id: &str) -> Result<(), JobStoreFault>;

    /// Returns all finished jobs, the newest first.
    async fn finished(&self) -> Result<Vec<FinishedJob>, JobStoreFault>;

    /// Removes results and parts of results whose job was cancelled or no longer exists.
    async fn sweep(&self) -> Result<(), JobStoreFault>;

    /// Returns the number of jobs in each state. States without jobs are left out.
    async fn counts(&self) -> Result<Vec<(JobState, u64)>, JobStoreFault>;
}

/// The right to work on a job. A process has this right until it ends the work, or the process itself ends. It also
/// loses the right when the job is cancelled and, in PostgreSQL, when another process takes the job after the lease has
/// expired.
#[async_trait]
pub(super) trait JobLease: Send {
    /// Cuts the parts of the result to their stored lengths. Returns `false` if one of them was shorter; all of them are
    /// empty then.
    async fn restore(&mut self, lengths: Vec<u64>) -> Result<bool, JobStoreFault>;

    /// Adds the bytes of a page to a part of the result, and stores the progress. Returns `false` if the process has
    /// lost the job; the stored job is unchanged then.
    async fn advance(&mut self, part: usize, bytes: Vec<u8>, progress: &JobProgress) -> Result<bool, JobStoreFault>;

    /// Ends the work: stores the state, the progress and the event in one transaction. If the job is finished and
    /// hasn't failed, its credentials are erased. A failed job can be resumed with them. Returns `false` if the process
    /// has lost the job; the stored job is unchanged then.
    async fn end(&mut self, end: JobEnd) -> Result<bool, JobStoreFault>;

    /// Ends the work after a fault of the object store, which the job shows until its next end. Counts an interruption,
    /// and leaves the progress as it is stored.
    async fn suspend(&mut self, _fault: &JobFault) -> Result<(), JobStoreFault> {
        Ok(())
    }
}
