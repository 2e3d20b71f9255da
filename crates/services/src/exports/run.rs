//! The work on one job: each page is added to the result together with the place after it. Meanwhile the store's lease
//! keeps other processes away from the job.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    credentials::unsealed,
    items,
    job::{ExportJob, JobDefinition, JobFault, JobPlace, JobProgress, JobState},
    page::{ExportPage, PageFault, PageReader},
    store::{Ended, JobEnd, JobStoreFault, LONGEST_WAIT, TakenJob},
};
use crate::{
    backoff::Backoff,
    caller::Caller,
    database::DatabaseFault,
    inner::InnerGateway,
    webhooks::{self, Event},
};
use cursorgate_config::settings::{EventType, ExportSettings};
use cursorgate_gateway::{runtime::clock, session::service::PageCause};

/// The largest number of processes that may end while they work on the same page. After one more, the job fails.
/// Without this bound, a page that makes its process crash would crash one process after the other.
const MOST_INTERRUPTIONS: u32 = 10;

/// The pauses after failed attempts to read a page.
const BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), factor: 2, longest: Duration::from_secs(300) };

pub(super) struct ExportRun {
    pub(super) inner: Arc<InnerGateway>,
    pub(super) settings: ExportSettings,
    pub(super) taken: TakenJob,
    /// The time until which the work on the job is in `spent` of its progress.
    pub(super) since: Instant,
}

/// The reason that the work on a job ends before its last page.
enum Interruption {
    Fault(PageFault),
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

impl From<JobFault> for Interruption {
    fn from(fault: JobFault) -> Self {
        Self::Fault(PageFault::Final(fault))
    }
}

impl ExportRun {
    /// Works on the job until the job is finished, a page fails, or the process stops, and stores the outcome.
    ///
    /// # Errors
    ///
    /// Returns the fault of the store. The job then continues after the last page that was stored.
    pub(super) async fn run(mut self) -> Result<(), JobStoreFault> {
        let worked = self.pages().await;
        let now = clock::instant();
        self.taken.job.progress.spend(now.saturating_duration_since(self.since));
        let (mut ended, fault) = match worked {
            Ok(()) => (Ended::Finished(JobState::Completed), None),
            // No attempt has failed now, so the fault of the last failed attempt stays for the client to read.
            Err(Interruption::Stopping) => (Ended::Queued(Duration::ZERO), self.taken.job.fault.clone()),
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
                match progress.fail(self.settings.retry_for) {
                    true => (Ended::Queued(wait.max(BACKOFF.pause(progress.failures))), Some(fault)),
                    false => (Ended::Finished(JobState::Failed), Some(fault)),
                }
            }
        };
        if let Ended::Queued(wait) = &mut ended {
            *wait = (*wait).min(LONGEST_WAIT);
            self.taken.job.progress.spend(*wait);
        }
        self.log(ended, fault.as_ref());
        let announcement = self.announcement(ended, fault.as_ref());
        let TakenJob { job, lease, .. } = self.taken;
        lease.end(JobEnd { ended, progress: job.progress, fault, announcement }).await
    }

    /// Returns the event of the job's end as JSON; `None` if the job continues or was cancelled, or if there are no
    /// webhooks. The event is for the operator's endpoints and, if the credentials can be opened, for the endpoints of
    /// the job's client.
    fn announcement(&self, ended: Ended, fault: Option<&JobFault>) -> Option<String> {
        let kind = match ended {
            Ended::Finished(JobState::Completed) => EventType::ExportCompleted,
            Ended::Finished(JobState::Failed) => EventType::ExportFailed,
            Ended::Finished(_) | Ended::Queued(_) => return None,
        };
        let snapshot = self.inner.gateway().live.pin();
        // Endpoints belong to the clients of headers, so no endpoint belongs to the client of a key in the query. Test:
        // `an_export_with_a_key_in_its_query_is_that_of_the_key`.
        let credentials = self.credentials(snapshot.keys.as_deref()).ok();
        let caller = credentials.filter(|(_, private)| private.is_empty()).map(|(caller, _)| caller);
        let audience = webhooks::audience(&snapshot, caller.as_ref())?;
        let data = self.taken.job.ended(kind == EventType::ExportCompleted, fault);
        let event = Event::new(kind, &self.taken.job.id, clock::unix_seconds(), audience, &data);
        serde_json::to_string(&event).ok()
    }

    fn log(&self, ended: Ended, fault: Option<&JobFault>) {
        let ExportJob { id, definition, progress, .. } = &self.taken.job;
        let (path, items, bytes) = (&definition.normal_path, progress.items, progress.bytes);
        let (code, status) = (fault.map(|fault| fault.code.as_str()), fault.and_then(|fault| fault.status));
        let said = "an export goes on later";
        match ended {
            Ended::Finished(JobState::Completed) => tracing::info!(id, path, items, bytes, "an export is completed"),
            Ended::Finished(_) => tracing::warn!(id, path, items, bytes, code, status, "an export has failed"),
            Ended::Queued(_) => tracing::info!(id, path, items, code, status, "{said}"),
        }
    }

    /// Reads the pages that are not in the result yet, and adds each of them.
    async fn pages(&mut self) -> Result<(), Interruption> {
        self.begin().await?;
        // Each iteration reads a page, until the time limit of the job. There is no page to read if an earlier process
        // stored the last page but ended before it could end the job. Test: `no_item_is_added_to_a_complete_export`.
        while self.taken.job.progress.next != JobPlace::End {
            let snapshot = self.inner.gateway().live.pin();
            if self.inner.gateway().vitals.is_stopping() || snapshot.services.exports.is_none() {
                return Err(Interruption::Stopping);
            }
            if self.spent() > self.settings.timeout {
                let detail = format!("the export took longer than {:?}", self.settings.timeout);
                return Err(JobFault::new("export_timeout", detail).into());
            }
            let (caller, private) = self.credentials(snapshot.keys.as_deref())?;
            // The job stays active without a lease. So it is taken again, as if this process had ended.
            let reader = PageReader {
                gateway: self.inner.gateway(),
                snapshot: &snapshot,
                caller: &caller,
                definition: &self.taken.job.definition,
                private: &private,
                timeout: self.settings.page_timeout,
                cause: PageCause::Job,
            };
            let next = match &self.taken.job.progress.next {
                JobPlace::At(query) => Some(query.as_str()),
                JobPlace::First | JobPlace::End => None,
            };
            let page = reader.page(next).await.map_err(Interruption::Fault)?;
            let has_total = page.total.is_some() || self.taken.job.progress.total_before.is_some();
            if page.next == JobPlace::End && has_total {
                // If the request fails, only the total is unknown. The result is complete nevertheless.
                self.taken.job.progress.total_after = reader.probe().await.ok().and_then(|(_, total)| total);
            }
            self.keep(page).await?;
        }
        Ok(())
    }

    /// Returns the time that was spent on the job so far.
    fn spent(&self) -> Duration {
        Duration::from_millis(self.taken.job.progress.spent)
            .saturating_add(clock::instant().saturating_duration_since(self.since))
    }

    /// Cuts the result to its stored length. If the result is shorter, the export begins again from the first page.
    /// Fails if too many processes have ended while they worked on the current page.
    async fn begin(&mut self) -> Result<(), Interruption> {
        if self.taken.job.progress.interruptions > MOST_INTERRUPTIONS {
            let detail =
                format!("more than {MOST_INTERRUPTIONS} processes have ended while they worked on the same page");
            return Err(JobFault::new("interrupted_too_often", detail).into());
        }
        let length = self.taken.job.progress.bytes;
        if !self.taken.lease.restore(length).await? {
            // The file system has lost bytes that it had confirmed, or someone has removed the file.
            let id = &self.taken.job.id;
            tracing::warn!(id, "the result of an export is shorter than it was: the export begins anew");
            let JobProgress { attempts, spent, .. } = self.taken.job.progress;
            self.taken.job.progress = JobProgress { attempts, spent, ..JobProgress::begin(&self.taken.job.definition) };
        }
        let progress = &mut self.taken.job.progress;
        progress.started.get_or_insert_with(clock::unix_seconds);
        progress.attempts = progress.attempts.max(1);
        Ok(())
    }

    /// Opens the credentials of the job: its client, and the client's private parameters.
    fn credentials(&self, keys: Option<&cursorgate_cursor::cursor::KeyRing>) -> Result<(Caller, String), Interruption> {
        let opened = keys.and_then(|keys| unsealed(keys, &self.taken.job.id, &self.taken.credentials));
        opened.ok_or_else(|| {
            let detail = "the key that sealed the credentials of the export is gone: begin another one";
            JobFault::new("credentials_unreadable", detail).into()
        })
    }

    /// Adds a page to the result, and stores the progress with the place after the page.
    async fn keep(&mut self, page: ExportPage) -> Result<(), Interruption> {
        let mut progress = self.taken.job.progress.clone();
        let now = clock::instant();
        progress.spend(now.saturating_duration_since(self.since));
        self.since = now;
        progress.add_standing(&page.level, page.is_unproven);
        progress.end_unproven |= page.is_end_unproven;
        if progress.pages == 0 {
            progress.total_before = page.total;
        }
        let is_last = page.next == JobPlace::End;
        let at = progress.bytes;
        let JobDefinition { format, formulas, compression, .. } = self.taken.job.definition;
        let most = u64::try_from(self.settings.size).unwrap_or(u64::MAX);
        // On this thread, compression would delay other requests, so it runs on a thread that may block.
        let work = tokio::task::spawn_blocking(move || {
            let bytes = items::write_page((format, formulas), &page.items, is_last, &mut progress)?;
            let bytes = compression.compress(bytes).map_err(JobStoreFault::Result)?;
            progress.bytes = at.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
            // Checked before the page is written, so a result is never larger than the bound.
            // Test: `finished_exports_are_kept_up_to_a_number_and_a_size`.
            if progress.bytes > most {
                let detail = format!("the result is larger than {most} bytes: ask for a part of the list by filters");
                return Err(JobFault::new("export_too_large", detail).into());
            }
            progress.pages += 1;
            progress.next = page.next;
            // Failures are counted separately for each page. Test: `a_page_is_tried_again_and_not_for_ever`.
            (progress.failures, progress.failing_at, progress.interruptions) = (0, None, 0);
            Ok::<_, Interruption>((bytes, progress))
        });
        let (bytes, progress) = work.await.map_err(|_| Interruption::Store(DatabaseFault::Task.into()))??;
        let is_kept = self.taken.lease.advance(bytes, &progress).await?;
        self.taken.job.progress = progress;
        if is_kept { Ok(()) } else { Err(Interruption::Lost) }
    }
}
