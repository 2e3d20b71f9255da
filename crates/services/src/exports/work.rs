//! The work of a process on one job, and its end: the outcome and the event are stored together.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    credentials::unsealed,
    job::{ExportJob, JobDefinition, JobFault, JobState},
    page::PageFault,
    store::{Ended, JobEnd, JobStoreFault, LONGEST_WAIT, TakenJob},
};
use crate::{
    backoff::Backoff,
    caller::Caller,
    inner::InnerGateway,
    list::find_list,
    webhooks::{self, Event},
};
use cursorgate_cursor::cursor::KeyRing;
use cursorgate_gateway::runtime::clock;

/// The largest number of processes that may end while they work on the same page. After one more, the job fails.
/// Without this bound, a page that makes its process crash would crash one process after the other.
const MOST_INTERRUPTIONS: u32 = 10;

/// The pauses after failed attempts of a job.
const BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), factor: 2, longest: Duration::from_secs(300) };

/// A job that this process has taken.
pub(super) struct JobWork {
    pub(super) inner: Arc<InnerGateway>,
    pub(super) taken: TakenJob,
    /// The time until which the work on the job is in `spent` of its progress.
    pub(super) since: Instant,
}

/// The reason that the work on a job ends before the job is completed.
pub(super) enum Interruption {
    Fault(PageFault),
    /// The upstream goes on with the work for at least this time.
    Waiting(Duration),
    /// The process stops, and another process continues the job.
    Stopping,
    /// The job was cancelled, or another process has taken it.
    Lost,
    Store(JobStoreFault),
}

impl From<JobStoreFault> for Interruption {
    fn from(fault: JobStoreFault) -> Self {
        let JobStoreFault::Result(error) = fault else { return Self::Store(fault) };
        tracing::error!(%error, "the result of an export can't be written");
        // The file system might be full now, and have space later, so the page is tried again.
        let fault = JobFault::new("result_unwritable", "the result can't be written: is the disk full?");
        Self::Fault(PageFault::Again(fault, Duration::ZERO))
    }
}

impl From<PageFault> for Interruption {
    fn from(fault: PageFault) -> Self {
        Self::Fault(fault)
    }
}

impl From<JobFault> for Interruption {
    fn from(fault: JobFault) -> Self {
        Self::Fault(PageFault::Final(fault))
    }
}

impl JobWork {
    /// Notes that the work begins.
    ///
    /// # Errors
    ///
    /// Fails if too many processes have ended while they worked on the current page or request.
    pub(super) fn begin(&mut self) -> Result<(), Interruption> {
        let progress = &mut self.taken.job.progress;
        if progress.interruptions > MOST_INTERRUPTIONS {
            let detail =
                format!("more than {MOST_INTERRUPTIONS} processes have ended while they worked on the same request");
            return Err(JobFault::new("interrupted_too_often", detail).into());
        }
        progress.started.get_or_insert_with(clock::unix_seconds);
        progress.attempts = progress.attempts.max(1);
        Ok(())
    }

    /// Returns the time that was spent on the job so far.
    pub(super) fn spent(&self) -> Duration {
        Duration::from_millis(self.taken.job.progress.spent)
            .saturating_add(clock::instant().saturating_duration_since(self.since))
    }

    /// Opens the credentials of the job: its client, and the private parameters or the body of the request.
    pub(super) fn credentials(&self, keys: Option<&KeyRing>) -> Result<(Caller, String), Interruption> {
        let opened = keys.and_then(|keys| unsealed(keys, &self.taken.job.id, &self.taken.credentials));
        opened.ok_or_else(|| {
            let detail = "the key that sealed the credentials of the job is gone: begin another one";
            JobFault::new("credentials_unreadable", detail).into()
        })
    }

    /// Ends the work: stores its outcome, and the event of the job's end.
    ///
    /// # Errors
    ///
    /// Returns the fault of the store. The job then continues after what was stored last.
    pub(super) async fn end(
        mut self,
        worked: Result<(), Interruption>,
        retry_for: Duration,
    ) -> Result<(), JobStoreFault> {
        let ended = self.store_end(worked, retry_for).await;
        // The database is there, so the job can say why it waits. Test: `a_refused_key_is_told_and_not_shown`.
        if let Err(JobStoreFault::Objects(_)) = &ended {
            let detail = "the object store is away or refuses the result: the operator's log says why";
            self.taken.lease.suspend(&JobFault::new("store_unavailable", detail)).await?;
        }
        ended
    }

    async fn store_end(&mut self, worked: Result<(), Interruption>, retry_for: Duration) -> Result<(), JobStoreFault> {
        let now = clock::instant();
        self.taken.job.progress.spend(now.saturating_duration_since(self.since));
        let (mut ended, fault) = match worked {
            Ok(()) => (Ended::Finished(JobState::Completed), None),
            // No attempt has failed now, so the fault of the last failed attempt stays for the client to read.
            Err(Interruption::Stopping) => (Ended::Queued(Duration::ZERO), self.taken.job.fault.clone()),
            Err(Interruption::Waiting(wait)) => (Ended::Queued(wait), None),
            // Another process has taken the job, or its client has cancelled it. The job's state must stay as they set
            // it. Test: `a_process_that_stood_still_repeats_no_item`.
            Err(Interruption::Lost) => return Ok(()),
            Err(Interruption::Store(fault)) => return Err(fault),
            Err(Interruption::Fault(PageFault::Final(fault))) => (Ended::Finished(JobState::Failed), Some(fault)),
            // A refusal by a limit of the client doesn't use up an attempt.
            // Test: `limits_of_clients_slow_an_export_down`.
            Err(Interruption::Fault(PageFault::Limited(fault, wait))) => (Ended::Queued(wait), Some(fault)),
            Err(Interruption::Fault(PageFault::Again(fault, wait))) => {
                let progress = &mut self.taken.job.progress;
                match progress.fail(retry_for) {
                    true => (Ended::Queued(wait.max(BACKOFF.pause(progress.failures))), Some(fault)),
                    false => (Ended::Finished(JobState::Failed), Some(fault)),
                }
            }
        };
        if let Ended::Queued(wait) = &mut ended {
            *wait = (*wait).min(LONGEST_WAIT);
            self.taken.job.progress.spend(*wait);
        }
        let (announcement, progress) = (self.announcement(ended, fault.as_ref()), self.taken.job.progress.clone());
        let end = JobEnd { ended, progress, fault: fault.clone(), announcement };
        // A process that has lost the job tells nothing of its end: the process that has taken it does.
        if self.taken.lease.end(end).await? {
            self.log(ended, fault.as_ref());
            if let Ended::Finished(state) = ended {
                let is_call = self.taken.job.definition.call.is_some();
                self.inner.gateway().vitals.exports().end(is_call, state.word());
            }
        }
        Ok(())
    }

    /// Returns the event of the job's end as JSON; `None` if the job continues or was cancelled, or if there are no
    /// webhooks. The event is for the operator's endpoints and, if the credentials can be opened, for the endpoints of
    /// the job's client.
    fn announcement(&self, ended: Ended, fault: Option<&JobFault>) -> Option<String> {
        let Ended::Finished(state @ (JobState::Completed | JobState::Failed)) = ended else { return None };
        let job = &self.taken.job;
        let snapshot = self.inner.gateway().live.pin();
        // Endpoints belong to the clients of headers, so no endpoint belongs to the client of a key in the query. Test:
        // `an_export_with_a_key_in_its_query_is_that_of_the_key`.
        let credentials = self.credentials(snapshot.keys.as_deref()).ok();
        let is_of_headers = |private: &str| job.definition.call.is_some() || private.is_empty();
        let caller = credentials.filter(|(_, private)| is_of_headers(private)).map(|(caller, _)| caller);
        let audience = webhooks::audience(&snapshot, caller.as_ref())?;
        let JobDefinition { host, normal_path, call, .. } = &job.definition;
        let route = find_list(&snapshot, host.as_deref(), normal_path).filter(|_| call.is_none());
        let route = route.as_ref().map(|route| route.name.as_str());
        let (kind, data) = job.ended(state == JobState::Completed, fault, route);
        let event = Event::new(kind, &job.id, clock::unix_seconds(), audience, &data);
        serde_json::to_string(&event).ok()
    }

    fn log(&self, ended: Ended, fault: Option<&JobFault>) {
        let ExportJob { id, definition, progress, .. } = &self.taken.job;
        let (path, items, bytes) = (&definition.path, progress.items, progress.bytes);
        let queue = definition.call.as_ref().map(|call| call.queue.as_str());
        let (code, status) = (fault.map(|fault| fault.code.as_str()), fault.and_then(|fault| fault.status));
        match ended {
            Ended::Finished(JobState::Completed) => tracing::info!(id, queue, path, items, bytes, "a job is completed"),
            Ended::Finished(_) => tracing::warn!(id, queue, path, items, bytes, code, status, "a job has failed"),
            Ended::Queued(_) => tracing::info!(id, queue, path, items, code, status, "a job goes on later"),
        }
    }
}
