//! The work on one job: each page is added to the result together with the place after it. Meanwhile the store's lease
//! keeps other processes away from the job.
//!
//! A long list whose keys are known is read in parts at the same time. A part is a walk like any other, which begins
//! right after an item and is proven page by page. It ends with the item after which the next part begins: the gateway
//! counts the items of a page that are at or before that item ([`ListPart::until`]), by the same comparison that decides
//! where the next part begins. So an item that keeps its keys belongs to exactly one part, whatever is added or deleted
//! at the seam, even if the item there is deleted. If a page doesn't show by its keys where its part ends, the part takes
//! the place of all parts after it.

use std::{collections::HashSet, sync::Arc, time::Duration};

use tokio::{sync::Semaphore, task::JoinSet};

use super::{
    items,
    job::{DuePage, JobDefinition, JobFault, JobPlace, JobProgress, ListHead, hash_of},
    page::{ExportPage, PageFault, PageReader},
    store::JobStoreFault,
    work::{Interruption, JobWork},
};
use crate::{caller::Caller, database::DatabaseFault, inner::InnerGateway};
use cursorgate_config::settings::ExportSettings;
use cursorgate_gateway::{
    Snapshot,
    runtime::clock,
    session::{list_part::ListPart, service::PageCause},
};

/// The smallest number of pages of a part. A list of fewer pages for each part is read in fewer parts.
const LEAST_PAGES: u64 = 10;

pub(super) struct ExportRun {
    work: JobWork,
    settings: ExportSettings,
    /// The pages that this process may request at the same time, for all jobs.
    readers: Arc<Semaphore>,
    /// The parts of the list of which no page was added since this process has taken the job.
    behind: HashSet<usize>,
    /// True if a page has failed: pages are then no larger than clients may ask for, to the end of this work.
    is_cautious: bool,
}

/// The values with which a job requests its next pages.
struct JobReader {
    inner: Arc<InnerGateway>,
    snapshot: Arc<Snapshot>,
    caller: Caller,
    private: String,
    definition: JobDefinition,
    timeout: Duration,
    is_cautious: bool,
}

impl JobReader {
    fn read(&self) -> PageReader<'_> {
        let Self { inner, snapshot, caller, private, definition, timeout, is_cautious } = self;
        let (gateway, timeout, is_cautious) = (inner.gateway(), *timeout, *is_cautious);
        PageReader { gateway, snapshot, caller, definition, private, timeout, cause: PageCause::Job, is_cautious }
    }
}

/// A page that was requested, or the reason that there is none.
struct PartPage {
    due: DuePage,
    page: Result<ExportPage, PageFault>,
    reader: Arc<JobReader>,
}

impl ExportRun {
    pub(super) fn new(work: JobWork, settings: ExportSettings, readers: Arc<Semaphore>) -> Self {
        let is_cautious = work.taken.job.progress.failures > 0;
        Self { work, settings, readers, behind: HashSet::new(), is_cautious }
    }

    /// Works on the job until the job is finished, a page fails, or the process stops, and stores the outcome.
    ///
    /// # Errors
    ///
    /// Returns the fault of the store. The job then continues after the last page that was stored.
    pub(super) async fn run(mut self) -> Result<(), JobStoreFault> {
        let worked = self.pages().await;
        self.work.end(worked, self.settings.retry_for).await
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
        let due = self.work.taken.job.progress.due();
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
                let part = ListPart { until: due.until.clone(), ..ListPart::default() };
                let page = reader.read().page(due.query.as_deref(), &part).await;
                PartPage { due, page, reader }
            });
        }
        Ok(())
    }

    /// Returns the reader of the next pages.
    fn reader(&self) -> Result<Arc<JobReader>, Interruption> {
        let snapshot = self.work.inner.gateway().live.pin();
        if self.work.inner.gateway().vitals.is_stopping() || snapshot.services.exports.is_none() {
            return Err(Interruption::Stopping);
        }
        if self.work.spent() > self.settings.timeout {
            let detail = format!("the export took longer than {:?}", self.settings.timeout);
            return Err(JobFault::new("export_timeout", detail).into());
        }
        let (caller, private) = self.work.credentials(snapshot.keys.as_deref())?;
        let definition = self.work.taken.job.definition.clone();
        let (inner, timeout) = (Arc::clone(&self.work.inner), self.settings.page_timeout);
        let is_cautious = self.is_cautious;
        Ok(Arc::new(JobReader { inner, snapshot, caller, private, definition, timeout, is_cautious }))
    }

    /// Returns whether the list can be divided: its first page is proven by keys, and the total says that each part
    /// would have several pages.
    fn is_divisible(&self) -> bool {
        let progress = &self.work.taken.job.progress;
        let at_first = progress.pages == 1 && matches!(progress.next, JobPlace::At(_));
        at_first && progress.is_proven() && self.parts() > 1
    }

    /// Returns the number of parts in which the list is read: one for each page that may be requested at the same time,
    /// but none of fewer than [`LEAST_PAGES`] pages.
    fn parts(&self) -> u64 {
        let JobProgress { items, total_before, .. } = &self.work.taken.job.progress;
        let least = items.saturating_mul(LEAST_PAGES);
        let most = u64::try_from(self.settings.at_once).unwrap_or(1);
        total_before.and_then(|total| total.checked_div(least)).unwrap_or(1).min(most)
    }

    /// Divides the list into parts of about the same length. The offsets at which they begin are estimates. What counts
    /// is that each part begins after an item, and that this item is after the one before: the page of the part before
    /// shows by its keys which items are not beyond it. Returns the next page of each part.
    async fn divide(&mut self, reader: &JobReader) -> Result<Vec<DuePage>, Interruption> {
        let progress = &self.work.taken.job.progress;
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
        let progress = &mut self.work.taken.job.progress;
        progress.divide(firsts);
        let due = progress.due();
        self.behind = due.iter().map(|due| due.part).collect();
        Ok(due)
    }

    /// Adds a page to its part of the result.
    async fn add(&mut self, due: &DuePage, mut page: ExportPage, reader: &JobReader) -> Result<(), Interruption> {
        let progress = &mut self.work.taken.job.progress;
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
            let items = progress.items.saturating_add(u64::try_from(page.items.len()).unwrap_or(u64::MAX));
            let lacking = progress.lacking(items);
            // Test: `an_export_of_a_list_that_grows_and_shrinks_is_complete`.
            if let Some(total) = progress.total_after.filter(|_| lacking > 0) {
                let seen = reader.read().last_item(total).await;
                progress.end_seen = seen.is_some_and(|seen| progress.ends_with(due.part, &page.items, &seen));
                // Equal totals don't say that the list has changed, so its beginning must.
                if let Some(head) = &progress.head
                    && progress.end_seen
                    && progress.total_changed() == Some(false)
                {
                    progress.growth_seen = reader.read().has_grown(head, lacking).await;
                }
            }
        }
        self.keep(due.part, page).await
    }

    /// Cuts the result to its stored lengths. If the result is shorter, the export begins again from the first page.
    /// Fails if too many processes have ended while they worked on the current page.
    async fn begin(&mut self) -> Result<(), Interruption> {
        self.work.begin()?;
        let lengths = self.work.taken.job.progress.lengths();
        if !self.work.taken.lease.restore(lengths).await? {
            // The file system has lost bytes that it had confirmed, or someone has removed a file.
            let id = &self.work.taken.job.id;
            tracing::warn!(id, "the result of an export is shorter than it was: the export begins anew");
            let JobProgress { attempts, spent, .. } = self.work.taken.job.progress;
            self.work.taken.job.progress =
                JobProgress { attempts, spent, ..JobProgress::begin(&self.work.taken.job.definition) };
        }
        let progress = &self.work.taken.job.progress;
        self.behind = progress.due().iter().map(|due| due.part).collect();
        Ok(())
    }

    /// Adds a page to a part of the result, and stores the progress with the place after the page.
    async fn keep(&mut self, part: usize, page: ExportPage) -> Result<(), Interruption> {
        let before = self.work.taken.job.progress.clone();
        let mut progress = before.clone();
        let now = clock::instant();
        progress.spend(now.saturating_duration_since(self.work.since));
        self.work.since = now;
        progress.add_standing(&page.level, page.is_unproven);
        progress.end_unproven |= page.is_end_unproven;
        if progress.pages == 0 {
            progress.total_before = page.total;
            let head = page.items.first().zip(page.next.clone());
            progress.head = head.map(|(first, next)| {
                let items = u64::try_from(page.items.len()).unwrap_or(u64::MAX);
                ListHead { first: hash_of(first), items, next }
            });
        }
        progress.last_item = progress.last_item_after(part, &page.items);
        let ends = page.next.is_none() && progress.is_last_part(part);
        self.behind.remove(&part);
        let is_level = self.behind.is_empty();
        let JobDefinition { format, formulas, compression, .. } = self.work.taken.job.definition;
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
        let is_kept = self.work.taken.lease.advance(part, bytes, &progress).await?;
        self.work.taken.job.progress = progress;
        if is_kept { Ok(()) } else { Err(Interruption::Lost) }
    }
}
