//! The work on one job: page after page, each into the result file and then into the store.
//!
//! The process holds the lock of the result file (`flock`) for as long as it works on the job. The system gives the lock up
//! when the process ends, however that happens, and no other process can write as long as this one can: so the lock is the
//! lease of the job, without a clock. Bytes beyond the stored length are those of a page that was not stored; they are cut
//! off before the next page is written.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::Arc,
    time::Duration,
};

use super::{
    credentials::unsealed,
    items,
    job::{ExportJob, JobFault, JobPlace, JobProgress, JobState},
    page::{ExportPage, PageFault, PageReader},
    store::{Ended, ExportStore, JobTable},
};
use crate::{
    config::settings::{EventType, ExportSettings},
    gateway::runtime::clock,
    services::{
        backoff::Backoff,
        caller::Caller,
        database::DatabaseFault,
        inner::InnerGateway,
        webhooks::{self, Event},
    },
};

/// The most processes that may end while they work on the same page. A page that takes its process down would do so for
/// ever.
const MOST_INTERRUPTIONS: u32 = 10;

/// The waits after failed attempts.
const BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), factor: 2, longest: Duration::from_secs(300) };

/// The lock of a job: its result file, opened and locked.
#[derive(Debug)]
pub(super) struct JobLock {
    file: Arc<File>,
}

impl JobLock {
    /// Takes the lock of a job; `None` while another task or process has it.
    ///
    /// # Errors
    ///
    /// Returns the error of the file system.
    pub(super) fn take(path: &Path) -> io::Result<Option<Self>> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { file: Arc::new(file) })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// A job that the process has taken.
pub(super) struct ExportRun {
    pub(super) inner: Arc<InnerGateway>,
    pub(super) store: ExportStore,
    pub(super) settings: ExportSettings,
    pub(super) job: ExportJob,
    /// Sealed, as the store has them.
    pub(super) credentials: Vec<u8>,
    pub(super) lock: JobLock,
}

/// The reason that the work on a job ends before its last page.
enum Interruption {
    Fault(PageFault),
    /// The process stops, and another one goes on.
    Stopping,
    /// The job was cancelled, or another process has taken it.
    Lost,
    Store(DatabaseFault),
}

impl From<DatabaseFault> for Interruption {
    fn from(fault: DatabaseFault) -> Self {
        Self::Store(fault)
    }
}

impl From<JobFault> for Interruption {
    fn from(fault: JobFault) -> Self {
        Self::Fault(PageFault::Final(fault))
    }
}

impl ExportRun {
    /// Works on the job until its end, its next attempt, or the end of the process.
    ///
    /// # Errors
    ///
    /// Returns the fault of the store, after which the job is as its last stored page left it.
    pub(super) async fn run(mut self) -> Result<(), DatabaseFault> {
        let (ended, fault) = match self.pages().await {
            Ok(()) => (Ended::Finished(JobState::Completed), None),
            Err(Interruption::Stopping) => (Ended::Queued(0), self.job.fault.clone()),
            Err(Interruption::Lost) => return Ok(()),
            Err(Interruption::Store(fault)) => return Err(fault),
            Err(Interruption::Fault(PageFault::Final(fault))) => (Ended::Finished(JobState::Failed), Some(fault)),
            Err(Interruption::Fault(PageFault::Limited(fault, wait))) => (Ended::Queued(later(wait)), Some(fault)),
            Err(Interruption::Fault(PageFault::Again(fault, wait))) => {
                let progress = &mut self.job.progress;
                progress.attempts += 1;
                match progress.attempts < self.settings.attempts {
                    true => (Ended::Queued(later(wait.max(BACKOFF.pause(progress.attempts)))), Some(fault)),
                    false => (Ended::Finished(JobState::Failed), Some(fault)),
                }
            }
        };
        self.log(&ended, fault.as_ref());
        let announcement = self.announcement(&ended, fault.as_ref());
        let ExportJob { id, claim, progress, .. } = self.job;
        let end = move |jobs: &mut JobTable<'_>| {
            let outcome = (&progress, fault.as_ref());
            jobs.end((&id, claim), &ended, outcome, announcement.as_deref(), clock::unix_seconds())
        };
        // The lock outlives the write: no other process takes the job as it was before.
        let written = self.store.call(end).await;
        drop(self.lock);
        written
    }

    /// Returns the event of the job's end, if there are webhooks. It is for the endpoints of the job's client, as long as its
    /// credentials say who that is.
    fn announcement(&self, ended: &Ended, fault: Option<&JobFault>) -> Option<String> {
        let kind = match ended {
            Ended::Finished(JobState::Completed) => EventType::ExportCompleted,
            Ended::Finished(JobState::Failed) => EventType::ExportFailed,
            Ended::Finished(_) | Ended::Queued(_) => return None,
        };
        let snapshot = self.inner.gateway().live.pin();
        let caller = self.credentials(snapshot.keys.as_deref()).ok().map(|(caller, _)| caller);
        let audience = webhooks::audience(&snapshot, caller.as_ref())?;
        let data = self.job.ended(kind == EventType::ExportCompleted, fault);
        let event = Event::new(kind, &self.job.id, clock::unix_seconds(), audience, &data);
        serde_json::to_string(&event).ok()
    }

    fn log(&self, ended: &Ended, fault: Option<&JobFault>) {
        let ExportJob { id, definition, progress, .. } = &self.job;
        let (path, items, bytes) = (&definition.normal_path, progress.items, progress.bytes);
        let (code, status) = (fault.map(|fault| fault.code.as_str()), fault.and_then(|fault| fault.status));
        let said = "an export goes on later";
        match ended {
            Ended::Finished(JobState::Completed) => tracing::info!(id, path, items, bytes, "an export is completed"),
            Ended::Finished(_) => tracing::warn!(id, path, items, bytes, code, status, "an export has failed"),
            Ended::Queued(_) => tracing::info!(id, path, items, code, status, "{said}"),
        }
    }

    /// Reads the pages that are left.
    async fn pages(&mut self) -> Result<(), Interruption> {
        self.begin().await?;
        // Each iteration reads a page, within the time of the job. A process may have ended after the last one.
        while self.job.progress.next != JobPlace::End {
            let snapshot = self.inner.gateway().live.pin();
            if self.inner.gateway().vitals.is_stopping() || snapshot.services.exports.is_none() {
                return Err(Interruption::Stopping);
            }
            let now = clock::unix_seconds();
            if now.saturating_sub(self.job.created) > self.settings.timeout.as_secs() {
                let detail = format!("the export took longer than {:?}", self.settings.timeout);
                return Err(JobFault::new("export_timeout", detail).into());
            }
            let (caller, private) = self.credentials(snapshot.keys.as_deref())?;
            // Another attempt follows, as after the end of a process.
            let proxy = self.inner.proxy().await.map_err(|_| Interruption::Lost)?;
            let reader = PageReader {
                proxy: &proxy,
                snapshot: &snapshot,
                caller: &caller,
                definition: &self.job.definition,
                private: &private,
                timeout: self.settings.page_timeout,
            };
            let next = match &self.job.progress.next {
                JobPlace::At(query) => Some(query.as_str()),
                JobPlace::First | JobPlace::End => None,
            };
            let page = reader.page(next).await.map_err(Interruption::Fault)?;
            let has_total = page.total.is_some() || self.job.progress.total_before.is_some();
            if page.next == JobPlace::End && has_total {
                // Without an answer the total is not known, and the result is whole all the same.
                self.job.progress.total_after = reader.probe().await.ok().and_then(|(_, total)| total);
            }
            self.keep(page).await?;
        }
        Ok(())
    }

    /// Brings the result file to the length that is stored.
    async fn begin(&mut self) -> Result<(), Interruption> {
        if self.job.progress.interruptions > MOST_INTERRUPTIONS {
            let detail = format!("{MOST_INTERRUPTIONS} processes have ended while they worked on the same page");
            return Err(JobFault::new("interrupted_too_often", detail).into());
        }
        let (file, stored) = (Arc::clone(&self.lock.file), self.job.progress.bytes);
        let cut = blocking(move || {
            let length = file.metadata()?.len();
            file.set_len(if length < stored { 0 } else { stored })?;
            Ok(length < stored)
        });
        if cut.await? {
            // The file system has lost what it had acknowledged, or somebody has removed the file.
            tracing::warn!(id = self.job.id, "the result of an export is shorter than it was: the export begins anew");
            self.job.progress = JobProgress::begin(&self.job.definition);
        }
        self.job.progress.started.get_or_insert_with(clock::unix_seconds);
        Ok(())
    }

    /// Opens the credentials: the client, and its private parameters.
    fn credentials(&self, keys: Option<&crate::cursor::KeyRing>) -> Result<(Caller, String), Interruption> {
        let opened = keys.and_then(|keys| unsealed(keys, &self.job.id, &self.credentials));
        opened.ok_or_else(|| {
            let detail = "the key that sealed the credentials of the export is gone: begin another one";
            JobFault::new("credentials_unreadable", detail).into()
        })
    }

    /// Writes a page to the result, and then stores that it is there.
    async fn keep(&mut self, page: ExportPage) -> Result<(), Interruption> {
        let mut progress = self.job.progress.clone();
        progress.add_standing(&page.level, page.is_unproven);
        if progress.pages == 0 {
            progress.total_before = page.total;
        }
        let is_last = page.next == JobPlace::End;
        let (file, at) = (Arc::clone(&self.lock.file), progress.bytes);
        let (form, compression) = (self.job.definition.format, self.job.definition.compression);
        let most = u64::try_from(self.settings.size).unwrap_or(u64::MAX);
        let work = blocking(move || {
            let bytes = match items::write_page(form, &page.items, is_last, &mut progress) {
                Ok(bytes) => compression.compress(bytes)?,
                Err(fault) => return Ok(Err(fault)),
            };
            progress.bytes = at + u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            if progress.bytes > most {
                let detail = format!("the result is larger than {most} bytes: ask for a part of the list by filters");
                return Ok(Err(JobFault::new("export_too_large", detail)));
            }
            let mut file = &*file;
            file.seek(SeekFrom::Start(at))?;
            file.write_all(&bytes)?;
            // What is counted is on the disk before it is counted.
            file.sync_data()?;
            progress.pages += 1;
            progress.next = page.next;
            (progress.attempts, progress.interruptions) = (0, 0);
            Ok(Ok(progress))
        });
        let progress = work.await??;
        self.job.progress = progress.clone();
        let (id, claim) = (self.job.id.clone(), self.job.claim);
        match self.store.call(move |jobs| jobs.advance(&id, claim, &progress)).await? {
            true => Ok(()),
            false => Err(Interruption::Lost),
        }
    }
}

/// Runs work on files on a thread that may wait. A file system that fails may be full, and have room later.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, Interruption> {
    let done = tokio::task::spawn_blocking(work).await.map_err(|_| Interruption::Store(DatabaseFault::Task))?;
    done.map_err(|error| {
        tracing::error!(%error, "the result of an export can't be written");
        let fault = JobFault::new("result_unwritable", "the result can't be written: is the disk full?");
        Interruption::Fault(PageFault::Again(fault, Duration::ZERO))
    })
}

/// Returns the time after a wait, in milliseconds since 1970.
fn later(wait: Duration) -> u64 {
    clock::unix_milliseconds().saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
}
