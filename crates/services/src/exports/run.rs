//! The work on one job: each page is added to the result together with the place after it. Meanwhile the store's lease
//! keeps other processes away from the job.
//!
//! A long list whose keys are known is read in parts at the same time. A part is a walk like any other, which begins
//! right after an item and is proven page by page. It ends with the item after which the next part begins: the gateway
//! counts the items of a page that are at or before that item ([`ListPart::until`]), by the same comparison that decides
//! where the next part begins. So an item that keeps its keys belongs to exactly one part, whatever is added or deleted
//! at the seam, even if the item there is deleted. If a page doesn't show by its keys where its part ends, the part takes
//! the place of all parts after it.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::Semaphore, task::JoinSet};

use super::{
    credentials::unsealed,
    items,
    job::{DuePage, ExportJob, JobDefinition, JobFault, JobPlace, JobProgress, JobState},
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
use cursorgate_gateway::{
    Snapshot,
    runtime::clock,
    session::{list_part::ListPart, service::PageCause},
};

/// The largest number of processes that may end while they work on the same page. After one more, the job fails.
/// Without this bound, a page that makes its process crash would crash one process after the other.
const MOST_INTERRUPTIONS: u32 = 10;

/// The smallest number of pages of a part. A list of fewer pages for each part is read in fewer parts.
const LEAST_PAGES: u64 = 10;

/// The pauses after failed attempts to read a page.
const BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), factor: 2, longest: Duration::from_secs(300) };

pub(super) struct ExportRun {
    pub(super) inner: Arc<InnerGateway>,
    pub(super) settings: ExportSettings,
    pub(super) taken: TakenJob,
    /// The pages that this process may request at the same time, for all jobs.
    pub(super) readers: Arc<Semaphore>,
    /// The parts of the list of which no page was added since this process has taken the job.
    pub(super) behind: HashSet<usize>,
    /// The time until which the work on the job is in `spent` of its progress.
    pub(super) since: Instant,
}

/// The values with which a job requests its next pages.
struct JobReader {
    inner: Arc<InnerGateway>,
    snapshot: Arc<Snapshot>,
    caller: Caller,
    private: String,
    definition: JobDefinition,
    timeout: Duration,
}

impl JobReader {
    fn read(&self) -> PageReader<'_> {
        let Self { inner, snapshot, caller, private, definition, timeout } = self;
        let (gateway, timeout, cause) = (inner.gateway(), *timeout, PageCause::Job);
        PageReader { gateway, snapshot, caller, definition, private, timeout, cause }
    }
}

/// A page that was requested, or the reason that there is none.
struct PartPage {
    due: DuePage,
    page: Result<ExportPage, PageFault>,
    reader: Arc<JobReader>,
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

    /// Reads the pages that are not in the result yet, and adds each of them. The next pages of all parts are read at
    /// the same time. After a fault, no further page is requested, and those that were requested are still added.
    async fn pages(&mut self) -> Result<(), Interruption> {
        self.begin().await?;
        let (mut reading, mut fault) = (JoinSet::new(), None);
        let mut requested = HashSet::new();
        // Each iteration adds a page, until the time limit of the job. There is no page to read if an earlier process
        // stored the last page but ended before it could end the job. Test: `no_item_is_added_to_a_complete_export`.
        loop {
            if fault.is_none() {
                fault = self.request(&mut reading, &mut requested).await.err();
            }
            let Some(read) = reading.join_next().await else { break };
            let PartPage { due, page, reader } = read.map_err(|_| Interruption::Store(DatabaseFault::Task.into()))?;
            requested.remove(&due.part);
            let added = match page {
                Ok(page) => self.add(&due, page, &reader).await,
                Err(fault) => Err(Interruption::Fault(fault)),
            };
            match added {
                Err(Interruption::Lost) => return Err(Interruption::Lost),
                Err(added) => fault = fault.or(Some(added)),
                Ok(()) => {}
            }
        }
        fault.map_or(Ok(()), Err)
    }

    /// Requests the next page of each part that isn't in `requested`.
    async fn request(
        &mut self,
        reading: &mut JoinSet<PartPage>,
        requested: &mut HashSet<usize>,
    ) -> Result<(), Interruption> {
        let due = self.taken.job.progress.due();
        if due.is_empty() {
            return Ok(());
        }
        let reader = self.reader()?;
        let due = if self.is_divisible() { self.divide(&reader).await? } else { due };
        for due in due.into_iter().filter(|due| requested.insert(due.part)) {
            let (reader, readers) = (Arc::clone(&reader), Arc::clone(&self.readers));
            reading.spawn(async move {
                // The semaphore is never closed. The pages of all jobs wait here, the first one first.
                let _permit = readers.acquire().await;
                let part = ListPart { at: None, until: due.until.clone() };
                let page = reader.read().page(due.query.as_deref(), &part).await;
                PartPage { due, page, reader }
            });
        }
        Ok(())
    }

    /// Returns the reader of the next pages.
    fn reader(&self) -> Result<Arc<JobReader>, Interruption> {
        let snapshot = self.inner.gateway().live.pin();
        if self.inner.gateway().vitals.is_stopping() || snapshot.services.exports.is_none() {
            return Err(Interruption::Stopping);
        }
        if self.spent() > self.settings.timeout {
            let detail = format!("the export took longer than {:?}", self.settings.timeout);
            return Err(JobFault::new("export_timeout", detail).into());
        }
        let (caller, private) = self.credentials(snapshot.keys.as_deref())?;
        let definition = self.taken.job.definition.clone();
        let (inner, timeout) = (Arc::clone(&self.inner), self.settings.page_timeout);
        Ok(Arc::new(JobReader { inner, snapshot, caller, private, definition, timeout }))
    }

    /// Returns whether the list can be divided: its first page is proven by keys, and the total says that each part
    /// would have several pages.
    fn is_divisible(&self) -> bool {
        let progress = &self.taken.job.progress;
        let at_first = progress.pages == 1 && matches!(progress.next, JobPlace::At(_));
        at_first && progress.is_proven() && self.parts() > 1
    }

    /// Returns the number of parts in which the list is read: one for each page that may be requested at the same time,
    /// but none of fewer than [`LEAST_PAGES`] pages.
    fn parts(&self) -> u64 {
        let JobProgress { items, total_before, .. } = &self.taken.job.progress;
        let least = items.saturating_mul(LEAST_PAGES);
        let most = u64::try_from(self.settings.at_once).unwrap_or(1);
        total_before.and_then(|total| total.checked_div(least)).unwrap_or(1).min(most)
    }

    /// Divides the list into parts of about the same length. The offsets at which they begin are estimates. What counts
    /// is that each part begins after an item, and that this item is after the one before: the page of the part before
    /// shows by its keys which items are not beyond it. Returns the next page of each part.
    async fn divide(&mut self, reader: &JobReader) -> Result<Vec<DuePage>, Interruption> {
        let progress = &self.taken.job.progress;
        let (parts, read, total) = (self.parts(), progress.items, progress.total_before.unwrap_or_default());
        let JobPlace::At(mut earlier) = progress.next.clone() else { return Ok(progress.due()) };
        let mut firsts = Vec::new();
        for part in 1..parts {
            // The part begins after the last item of this page, which is as long as the first one.
            let at = (total / parts).saturating_mul(part).saturating_sub(read);
            let _permit = self.readers.acquire().await;
            let found = reader.read().part_after(at, &earlier).await.map_err(Interruption::Fault)?;
            let Some(first) = found else { break };
            firsts.push(first.clone());
            earlier = first;
        }
        let progress = &mut self.taken.job.progress;
        progress.divide(firsts);
        let due = progress.due();
        self.behind = due.iter().map(|due| due.part).collect();
        Ok(due)
    }

    /// Adds a page to its part of the result.
    async fn add(&mut self, due: &DuePage, mut page: ExportPage, reader: &JobReader) -> Result<(), Interruption> {
        let progress = &mut self.taken.job.progress;
        // The page's part may have been joined to another one meanwhile, which reads the page again.
        if !progress.due().iter().any(|known| (known.part, &known.query) == (due.part, &due.query)) {
            return Ok(());
        }
        if due.until.is_some() && !page.end_part() {
            progress.join_after(due.part);
        }
        let is_last = page.next.is_none() && progress.due().iter().all(|other| other.part == due.part);
        if is_last && (page.total.is_some() || progress.total_before.is_some()) {
            // If the request fails, only the total is unknown. The result is complete nevertheless.
            progress.total_after = reader.read().probe().await.ok().and_then(|(_, total)| total);
        }
        self.keep(due.part, page).await
    }

    /// Returns the time that was spent on the job so far.
    fn spent(&self) -> Duration {
        Duration::from_millis(self.taken.job.progress.spent)
            .saturating_add(clock::instant().saturating_duration_since(self.since))
    }

    /// Cuts the result to its stored lengths. If the result is shorter, the export begins again from the first page.
    /// Fails if too many processes have ended while they worked on the current page.
    async fn begin(&mut self) -> Result<(), Interruption> {
        if self.taken.job.progress.interruptions > MOST_INTERRUPTIONS {
            let detail =
                format!("more than {MOST_INTERRUPTIONS} processes have ended while they worked on the same page");
            return Err(JobFault::new("interrupted_too_often", detail).into());
        }
        let lengths = self.taken.job.progress.lengths();
        if !self.taken.lease.restore(lengths).await? {
            // The file system has lost bytes that it had confirmed, or someone has removed a file.
            let id = &self.taken.job.id;
            tracing::warn!(id, "the result of an export is shorter than it was: the export begins anew");
            let JobProgress { attempts, spent, .. } = self.taken.job.progress;
            self.taken.job.progress = JobProgress { attempts, spent, ..JobProgress::begin(&self.taken.job.definition) };
        }
        let progress = &mut self.taken.job.progress;
        progress.started.get_or_insert_with(clock::unix_seconds);
        progress.attempts = progress.attempts.max(1);
        self.behind = progress.due().iter().map(|due| due.part).collect();
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

    /// Adds a page to a part of the result, and stores the progress with the place after the page.
    async fn keep(&mut self, part: usize, page: ExportPage) -> Result<(), Interruption> {
        let before = self.taken.job.progress.clone();
        let mut progress = before.clone();
        let now = clock::instant();
        progress.spend(now.saturating_duration_since(self.since));
        self.since = now;
        progress.add_standing(&page.level, page.is_unproven);
        progress.end_unproven |= page.is_end_unproven;
        if progress.pages == 0 {
            progress.total_before = page.total;
        }
        let ends = page.next.is_none() && progress.is_last_part(part);
        self.behind.remove(&part);
        let is_level = self.behind.is_empty();
        let JobDefinition { format, formulas, compression, .. } = self.taken.job.definition;
        let most = u64::try_from(self.settings.size).unwrap_or(u64::MAX);
        // On this thread, compression would delay other requests, so it runs on a thread that may block.
        let work = tokio::task::spawn_blocking(move || {
            let bytes = items::write_page(format, formulas, &page.items, ends, &mut progress)?;
            let bytes = compression.compress(bytes).map_err(JobStoreFault::Result)?;
            progress.bytes = before.bytes.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
            // Checked before the page is written, so a result is never larger than the bound.
            // Test: `finished_exports_are_kept_up_to_a_number_and_a_size`.
            if progress.bytes > most {
                let detail = format!("the result is larger than {most} bytes: ask for a part of the list by filters");
                return Err(JobFault::new("export_too_large", detail).into());
            }
            progress.pages += 1;
            progress.pass(part, page.next, &before);
            // Failures are counted separately for each page. Test: `a_page_is_tried_again_and_not_for_ever`. The page
            // that fails may be one of a part that hasn't gone on.
            if is_level {
                (progress.failures, progress.failing_at, progress.interruptions) = (0, None, 0);
            }
            Ok::<_, Interruption>((bytes, progress))
        });
        let (bytes, progress) = work.await.map_err(|_| Interruption::Store(DatabaseFault::Task.into()))??;
        let is_kept = self.taken.lease.advance(part, bytes, &progress).await?;
        self.taken.job.progress = progress;
        if is_kept { Ok(()) } else { Err(Interruption::Lost) }
    }
}
