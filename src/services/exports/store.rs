//! The interface of the stores of jobs and results: the operations that the service, the keeper and the runs need.
//!
//! There are two stores. A directory (`directory`, `table`) is shared by processes of one machine, a database of
//! PostgreSQL (`postgres`) by those of several. Both follow the same rules: one process at a time works on a job, the
//! place of a job always fits the length of its result, and a process that has lost a job no longer changes it.

mod directory;
mod postgres;
mod table;

use std::{io, time::Duration};

use async_trait::async_trait;

pub(super) use self::{directory::DirectoryStore, postgres::PostgresJobs};
use super::job::{ExportJob, ExportedList, JobFault, JobProgress, JobState};
use crate::{
    gateway::session::service::BodySource,
    services::{database::DatabaseFault, postgres::PostgresFault},
};

/// The most jobs that a client's list of exports has.
const MOST_LISTED: usize = 100;

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

/// The state of a job after the work of a process on it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ended {
    Finished(JobState),
    /// The job waits for at least this time until its next attempt.
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

/// The data of a finished job that decides on its removal.
#[derive(Debug)]
pub(super) struct FinishedJob {
    pub(super) id: String,
    /// The time since its end, in seconds.
    pub(super) age: u64,
    /// The length of its result; 0 if it has none.
    pub(super) bytes: u64,
}

/// A job that the process has taken.
pub(super) struct TakenJob {
    pub(super) job: ExportJob,
    /// The sealed credentials.
    pub(super) credentials: Vec<u8>,
    pub(super) lease: Box<dyn JobLease>,
}

/// A store of jobs and results. Every operation returns the fault of the store, if there is one.
#[async_trait]
pub(super) trait ExportStore: Send + Sync {
    /// Adds a job with its sealed credentials, if there is room for it. `owners` are all names of its client: jobs
    /// under each of them count.
    async fn add(
        &self,
        job: ExportJob,
        owners: &[String],
        credentials: Vec<u8>,
        limits: QueueLimits,
    ) -> Result<Added, JobStoreFault>;

    /// Returns a job of a client. A client has one name for each key of cursors.
    async fn find(&self, id: &str, owners: &[String]) -> Result<Option<ExportJob>, JobStoreFault>;

    /// Returns the newest jobs of a client for a list, the newest first.
    async fn of_client(&self, owners: &[String], list: &ExportedList) -> Result<Vec<ExportJob>, JobStoreFault>;

    /// Cancels an unfinished job. A process that works on it notices at its next page.
    async fn cancel(&self, id: &str) -> Result<(), JobStoreFault>;

    /// Removes a finished job with its result.
    async fn remove(&self, id: &str) -> Result<(), JobStoreFault>;

    /// Opens a part of a result, given by its first byte and the number of bytes.
    async fn read(&self, id: &str, part: (u64, u64)) -> Result<Box<dyn BodySource>, JobStoreFault>;

    /// Takes the next job that waits, or whose process has ended: one of the client with the fewest active jobs, of
    /// these the one with the highest priority, of these the oldest. So a client with many jobs does not hold up
    /// others.
    async fn take(&self) -> Result<Option<TakenJob>, JobStoreFault>;

    /// Returns events of ended jobs that are not raised yet, each with the id of its job. A store of several machines
    /// reserves them for this process for a while.
    async fn announcements(&self) -> Result<Vec<(String, String)>, JobStoreFault>;

    /// Removes the event of a job, after it was raised.
    async fn announced(&self, id: &str) -> Result<(), JobStoreFault>;

    /// Returns all finished jobs, the newest first.
    async fn finished(&self) -> Result<Vec<FinishedJob>, JobStoreFault>;

    /// Removes results, and parts of results, that belong to no queued, active or completed job.
    async fn sweep(&self) -> Result<(), JobStoreFault>;

    /// Returns the number of jobs by state, without states that no job has.
    async fn counts(&self) -> Result<Vec<(JobState, u64)>, JobStoreFault>;
}

/// The right to work on a job. A process has it until it ends the work. It loses the right when it ends itself, when
/// the job is cancelled, and in PostgreSQL when another process takes the job after the lease has run out.
#[async_trait]
pub(super) trait JobLease: Send {
    /// Cuts the result to the stored length. Returns false if it was shorter than that; it is empty then.
    async fn restore(&mut self, length: u64) -> Result<bool, JobStoreFault>;

    /// Adds the bytes of a page to the result, and stores the place after them. Returns false if the process has lost
    /// the job; the stored job is unchanged then.
    async fn advance(&mut self, bytes: Vec<u8>, progress: &JobProgress) -> Result<bool, JobStoreFault>;

    /// Ends the work: stores the state and the progress, with the event in the same transaction. The credentials of a
    /// finished job are erased. Does nothing if the process has lost the job.
    async fn end(self: Box<Self>, end: JobEnd) -> Result<(), JobStoreFault>;
}
