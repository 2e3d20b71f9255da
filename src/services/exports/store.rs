//! The store of jobs and results: the operations that the service, the keeper and the runs need of it.
//!
//! There are two. A directory (`directory`, `table`) is shared by processes of one machine, a database of PostgreSQL
//! (`postgres`) by those of several. Both hold to the same rules: a job is worked on by one process at a time, the place of a
//! job is never before or beyond its result, and a process that has lost a job changes nothing.

mod directory;
mod postgres;
mod table;

use std::{io, time::Duration};

use async_trait::async_trait;

pub(super) use self::{directory::DirectoryStore, postgres::PostgresJobs};
use super::job::{ExportJob, JobFault, JobProgress, JobState};
use crate::{
    gateway::session::service::BodySource,
    services::{database::DatabaseFault, postgres::PostgresFault},
};

/// The most jobs of a list.
const MOST_LISTED: usize = 100;

/// A fault of the store.
#[derive(Debug, thiserror::Error)]
pub(super) enum JobStoreFault {
    #[error(transparent)]
    Directory(#[from] DatabaseFault),
    #[error("PostgreSQL: {0}")]
    Shared(#[from] PostgresFault),
    #[error("the result: {0}")]
    Result(io::Error),
}

impl From<serde_json::Error> for JobStoreFault {
    fn from(error: serde_json::Error) -> Self {
        Self::Directory(DatabaseFault::Content(error))
    }
}

/// The result of adding a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Added {
    Queued,
    /// The client has as many unfinished jobs as it may have.
    ClientIsFull,
    QueueIsFull,
}

/// The largest numbers of unfinished jobs.
#[derive(Clone, Copy, Debug)]
pub(super) struct QueueLimits {
    pub(super) per_client: usize,
    pub(super) queue: usize,
}

/// The end of a job, or its next attempt.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ended {
    Finished(JobState),
    /// The job waits for this time.
    Queued(Duration),
}

/// The end of the work on a job.
#[derive(Debug)]
pub(super) struct JobEnd {
    pub(super) ended: Ended,
    pub(super) progress: JobProgress,
    pub(super) fault: Option<JobFault>,
    /// The event that is to be raised.
    pub(super) announcement: Option<String>,
}

/// A finished job, as far as its removal needs it.
#[derive(Debug)]
pub(super) struct FinishedJob {
    pub(super) id: String,
    /// The time since its end, in seconds.
    pub(super) age: u64,
    /// The length of its result.
    pub(super) bytes: u64,
}

/// A job that the process has taken.
pub(super) struct TakenJob {
    pub(super) job: ExportJob,
    /// Sealed, as the store has them.
    pub(super) credentials: Vec<u8>,
    pub(super) lease: Box<dyn JobLease>,
}

/// The store.
#[async_trait]
pub(super) trait ExportStore: Send + Sync {
    /// Adds a job with its sealed credentials, if there is room for it.
    async fn add(&self, job: ExportJob, credentials: Vec<u8>, limits: QueueLimits) -> Result<Added, JobStoreFault>;

    /// Returns a job of a client, which has several names while keys are exchanged.
    async fn find(&self, id: &str, owners: &[String]) -> Result<Option<ExportJob>, JobStoreFault>;

    /// Returns the jobs of a client, the newest first.
    async fn of_client(&self, owners: &[String]) -> Result<Vec<ExportJob>, JobStoreFault>;

    /// Cancels an unfinished job. A process that works on it notices at its next page.
    async fn cancel(&self, id: &str) -> Result<(), JobStoreFault>;

    /// Removes a finished job with its result.
    async fn remove(&self, id: &str) -> Result<(), JobStoreFault>;

    /// Returns a part of a result: from this byte on, so many bytes.
    async fn read(&self, id: &str, part: (u64, u64)) -> Result<Box<dyn BodySource>, JobStoreFault>;

    /// Takes the next job that waits, or whose process has ended: that of the client with the fewest active jobs, then by
    /// priority, then the oldest.
    async fn take(&self) -> Result<Option<TakenJob>, JobStoreFault>;

    /// Returns events of jobs that have ended, which are not raised yet, each with the id of its job. They are for this
    /// process alone for a while.
    async fn announcements(&self) -> Result<Vec<(String, String)>, JobStoreFault>;

    /// Forgets the event of a job.
    async fn announced(&self, id: &str) -> Result<(), JobStoreFault>;

    /// Returns all finished jobs, the newest first.
    async fn finished(&self) -> Result<Vec<FinishedJob>, JobStoreFault>;

    /// Removes results, and parts of results, without a job that has them or may get them.
    async fn sweep(&self) -> Result<(), JobStoreFault>;

    /// Returns the number of jobs in each state that has some.
    async fn counts(&self) -> Result<Vec<(JobState, u64)>, JobStoreFault>;
}

/// The right to work on a job. The process has it until it ends the work, and loses it with its own end at the latest.
#[async_trait]
pub(super) trait JobLease: Send {
    /// Brings the result to the length that is stored. Returns false if the result is shorter than that.
    async fn restore(&mut self, length: u64) -> Result<bool, JobStoreFault>;

    /// Adds the bytes of a page to the result, and stores the place after them. Returns false if the process has lost the
    /// job; nothing has changed then.
    async fn advance(&mut self, bytes: Vec<u8>, progress: &JobProgress) -> Result<bool, JobStoreFault>;

    /// Ends the work, whose event is to be raised if it has one. Nothing happens if the process has lost the job. A finished
    /// job has no credentials.
    async fn end(self: Box<Self>, end: JobEnd) -> Result<(), JobStoreFault>;
}
