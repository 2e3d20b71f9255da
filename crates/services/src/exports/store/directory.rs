//! Jobs and results in a directory, which processes of one machine can share. The directory contains an SQLite
//! database, and a file for each result. If a list is read in parts, its result has a file for each of them: `ID`,
//! `ID.1`, `ID.2`.
//!
//! A process locks the first file (`flock`) while it works on the job. The system releases the lock when the process
//! ends, even by a crash, so the lock can serve as the job's lease without a clock. Bytes after the stored length
//! belong to a page whose progress wasn't stored. These bytes are cut off before the next page is written.

use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt as _, AsyncSeekExt as _},
    task::spawn_blocking,
};

use super::{
    Added, ClientNames, ExportStore, FinishedJob, JobEnd, JobLease, JobStoreFault, QueueLimits, Takeable, TakenJob,
    table::{JobTable, STEPS},
};
use crate::{
    database::{Database, DatabaseFault, NO_LINK, OwnDirectory},
    exports::job::{ExportJob, ExportedList, JobProgress, JobState, ResultStretch, is_id},
};
use cursorgate_gateway::{runtime::clock, session::service::BodySource};

/// The largest part of a response body that is read at a time, in bytes.
const PART: usize = 64 << 10;

/// The largest number of searches for the next job. The keeper searches again a second later.
const MOST_SEARCHES: usize = 10;

/// The largest number of files of a result.
const MOST_FILES: usize = 64;

#[derive(Clone, Debug)]
pub(in crate::exports) struct DirectoryStore {
    database: Database,
    results: PathBuf,
    own: OwnDirectory,
}

impl DirectoryStore {
    /// Opens the store in a directory. A missing directory is created.
    ///
    /// # Errors
    ///
    /// Returns the fault of the directory or of its database.
    pub(in crate::exports) fn open(directory: &Path) -> Result<Self, DatabaseFault> {
        let results = directory.join("results");
        let own = OwnDirectory::open(&results, 0o007)?;
        let database = Database::open(&directory.join("jobs.sqlite3"), &STEPS)?;
        Ok(Self { database, results, own })
    }

    /// Runs a function in one transaction of the database, on a thread that may block.
    ///
    /// # Errors
    ///
    /// Returns the fault of the function or of its transaction.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        function: impl FnOnce(&mut JobTable<'_>) -> Result<T, DatabaseFault> + Send + 'static,
    ) -> Result<T, JobStoreFault> {
        Ok(self.database.call(move |transaction| function(&mut JobTable { transaction })).await?)
    }

    /// Runs a function that only reads, which waits for no write.
    ///
    /// # Errors
    ///
    /// Returns the fault of the function or of its transaction.
    async fn look<T: Send + 'static>(
        &self,
        function: impl FnOnce(&mut JobTable<'_>) -> Result<T, DatabaseFault> + Send + 'static,
    ) -> Result<T, JobStoreFault> {
        Ok(self.database.read(move |transaction| function(&mut JobTable { transaction })).await?)
    }
}

#[expect(
    clippy::redundant_closure_for_method_calls,
    reason = "a path to a method has one lifetime, and a transaction any"
)]
#[async_trait]
impl ExportStore for DirectoryStore {
    async fn check(&self) -> Result<(), JobStoreFault> {
        Ok(self.own.check().await?)
    }

    async fn add(
        &self,
        job: ExportJob,
        names: ClientNames<'_>,
        credentials: Vec<u8>,
        limits: QueueLimits,
    ) -> Result<Added, JobStoreFault> {
        // A job in a directory that isn't there anymore would never run, and on a full disk it would fail.
        self.check().await?;
        let (owners, counted) = (names.owners.to_owned(), names.counted.to_owned());
        let add = move |jobs: &mut JobTable<'_>| {
            jobs.add(&job, ClientNames { owners: &owners, counted: &counted }, &credentials, limits)
        };
        self.call(add).await
    }

    async fn by_id(&self, id: &str) -> Result<Option<ExportJob>, JobStoreFault> {
        let id = id.to_owned();
        self.look(move |jobs| jobs.by_id(&id)).await
    }

    async fn with_key(&self, key: &str, owners: &[String]) -> Result<Option<ExportJob>, JobStoreFault> {
        let (key, owners) = (key.to_owned(), owners.to_owned());
        self.look(move |jobs| jobs.with_key(&key, &owners)).await
    }

    async fn resume(&self, id: &str, credentials: Option<Vec<u8>>) -> Result<Option<ExportJob>, JobStoreFault> {
        self.check().await?;
        let id = id.to_owned();
        self.call(move |jobs| jobs.resume(&id, credentials.as_deref())).await
    }

    async fn newest(&self, before: Option<&str>) -> Result<Vec<ExportJob>, JobStoreFault> {
        let before = before.map(str::to_owned);
        self.look(move |jobs| jobs.newest(before.as_deref())).await
    }

    async fn find(&self, id: &str, owners: &[String]) -> Result<Option<ExportJob>, JobStoreFault> {
        let (id, owners) = (id.to_owned(), owners.to_owned());
        self.look(move |jobs| jobs.find(&id, &owners)).await
    }

    async fn of_client(
        &self,
        owners: &[String],
        list: &ExportedList,
        before: Option<&str>,
    ) -> Result<Vec<ExportJob>, JobStoreFault> {
        let (owners, list, before) = (owners.to_owned(), list.clone(), before.map(str::to_owned));
        self.look(move |jobs| jobs.of_client(&owners, &list, before.as_deref())).await
    }

    async fn cancel(&self, id: &str) -> Result<bool, JobStoreFault> {
        let id = id.to_owned();
        self.call(move |jobs| jobs.cancel(&id, clock::unix_seconds())).await
    }

    async fn remove(&self, id: &str) -> Result<(), JobStoreFault> {
        let removed = id.to_owned();
        self.call(move |jobs| jobs.remove(&removed)).await?;
        // If this fails, `sweep` removes the files later, because their job no longer exists.
        let mut parts = (0..MOST_FILES).map(|part| part_file(&self.results, id, part));
        while let Some(file) = parts.next()
            && tokio::fs::remove_file(file).await.is_ok()
        {}
        Ok(())
    }

    async fn read(&self, id: &str, stretches: Vec<ResultStretch>) -> Result<Box<dyn BodySource>, JobStoreFault> {
        let opened = async {
            let mut files = VecDeque::new();
            // All files are opened at once: the job can be removed while its result is sent.
            for ResultStretch { part, first, count } in stretches {
                let path = part_file(&self.results, id, part);
                let mut file = tokio::fs::OpenOptions::new().read(true).custom_flags(NO_LINK).open(path).await?;
                file.seek(SeekFrom::Start(first)).await?;
                files.push_back(FileStretch { file, left: count });
            }
            Ok(files)
        };
        Ok(Box::new(FileBody(opened.await.map_err(JobStoreFault::Result)?)))
    }

    async fn take(&self, takeable: &Takeable) -> Result<Option<TakenJob>, JobStoreFault> {
        for _ in 0..MOST_SEARCHES {
            let wanted = takeable.clone();
            let candidates = self.look(move |jobs| jobs.candidates(clock::unix_milliseconds(), &wanted)).await?;
            let mut is_outdated = false;
            for id in candidates {
                let path = self.results.join(&id);
                let Some(file) = blocking(move || lock(&path)).await? else { continue };
                // The lock is taken before the claim: it proves that no other process is working on an active job.
                // Test: `another_process_takes_over`.
                let wanted = takeable.clone();
                let claimed = self.call(move |jobs| jobs.claim(&id, clock::unix_milliseconds(), &wanted)).await?;
                let Some((job, credentials)) = claimed else {
                    // Another process may have taken the last place of the queue, for which a thousand others wait.
                    is_outdated = true;
                    break;
                };
                let files = vec![Arc::new(file)];
                let lease = FileLease { store: self.clone(), files, id: job.id.clone(), claim: job.claim };
                return Ok(Some(TakenJob { job, credentials, lease: Box::new(lease) }));
            }
            if !is_outdated {
                break;
            }
        }
        Ok(None)
    }

    async fn announcements(&self) -> Result<Vec<(String, String)>, JobStoreFault> {
        self.look(|jobs| jobs.announcements()).await
    }

    async fn announced(&self, id: &str) -> Result<(), JobStoreFault> {
        let id = id.to_owned();
        self.call(move |jobs| jobs.announced(&id)).await
    }

    async fn finished(&self) -> Result<Vec<FinishedJob>, JobStoreFault> {
        self.look(|jobs| jobs.finished(clock::unix_seconds())).await
    }

    async fn sweep(&self) -> Result<(), JobStoreFault> {
        let results = self.results.clone();
        // The files are listed before the jobs. Otherwise the file of a job that is added in between would seem to have
        // no job.
        let names = blocking(move || files(&results)).await?;
        let with_result = self.look(|jobs| jobs.with_result()).await?;
        let results = self.results.clone();
        blocking(move || {
            let job = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
            for name in names.iter().filter(|name| is_id(&job(name)) && !with_result.contains(&job(name))) {
                match fs::remove_file(results.join(name)) {
                    // Another process has removed the file already, so there is nothing to do.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    removed => removed?,
                }
            }
            Ok(())
        })
        .await
    }

    async fn counts(&self) -> Result<Vec<(JobState, u64)>, JobStoreFault> {
        self.look(|jobs| jobs.counts()).await
    }
}

/// The lease of a job: the files of its result, opened. The first one is locked.
struct FileLease {
    store: DirectoryStore,
    files: Vec<Arc<File>>,
    id: String,
    claim: i64,
}

impl FileLease {
    /// Returns the file of a part, which is created if it is missing.
    async fn file(&mut self, part: usize) -> Result<Arc<File>, JobStoreFault> {
        while self.files.len() <= part {
            let path = part_file(&self.store.results, &self.id, self.files.len());
            self.files.push(Arc::new(blocking(move || open(&path)).await?));
        }
        Ok(Arc::clone(&self.files[part]))
    }
}

#[async_trait]
impl JobLease for FileLease {
    async fn restore(&mut self, lengths: Vec<u64>) -> Result<bool, JobStoreFault> {
        let mut files = Vec::new();
        for (part, length) in lengths.into_iter().enumerate() {
            files.push((self.file(part).await?, length));
        }
        let cut = blocking(move || {
            let mut is_whole = true;
            for (file, length) in &files {
                is_whole &= file.metadata()?.len() >= *length;
            }
            for (file, length) in &files {
                file.set_len(if is_whole { *length } else { 0 })?;
            }
            Ok(is_whole)
        });
        cut.await
    }

    async fn advance(&mut self, part: usize, bytes: Vec<u8>, progress: &JobProgress) -> Result<bool, JobStoreFault> {
        let (file, progress) = (self.file(part).await?, progress.clone());
        let end = progress.lengths().get(part).copied().unwrap_or_default();
        let at = end.saturating_sub(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        let written = blocking(move || {
            let mut file = &*file;
            file.seek(SeekFrom::Start(at))?;
            file.write_all(&bytes)?;
            // The bytes are on the disk before their length is stored, so a loss of power can't leave a gap.
            file.sync_data()
        });
        written.await?;
        let (id, claim) = (self.id.clone(), self.claim);
        self.store.call(move |jobs| jobs.advance(&id, claim, &progress)).await
    }

    async fn end(&mut self, end: JobEnd) -> Result<bool, JobStoreFault> {
        let (id, claim) = (self.id.clone(), self.claim);
        // `self` keeps the lock until the write is done, so no other process can take the job in its earlier state.
        self.store.call(move |jobs| jobs.end(&id, claim, &end, clock::unix_milliseconds())).await
    }
}

/// Opens the result file of a job and locks it. Returns `None` while another task or process has the lock.
fn lock(path: &Path) -> io::Result<Option<File>> {
    let file = open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Opens the file of a result, which is created if it is missing.
fn open(path: &Path) -> io::Result<File> {
    // Another process might be writing pages into the file, so it isn't truncated before the lock is taken.
    // Test: `another_process_takes_over`.
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).custom_flags(NO_LINK).open(path)
}

/// Returns the path of the file with a part of a result.
fn part_file(results: &Path, id: &str, part: usize) -> PathBuf {
    results.join(if part == 0 { id.to_owned() } else { format!("{id}.{part}") })
}

/// Returns the names of the files in the directory of results. The name of a result file begins with the id of its job.
fn files(results: &Path) -> io::Result<Vec<String>> {
    fs::read_dir(results)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

/// Runs `work`, which reads or writes files, on a thread that may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, JobStoreFault> {
    spawn_blocking(work).await.map_err(|_| DatabaseFault::Task)?.map_err(JobStoreFault::Result)
}

/// A response body that reads stretches of the files of a result.
struct FileBody(VecDeque<FileStretch>);

/// The rest of a stretch of a file.
struct FileStretch {
    file: tokio::fs::File,
    left: u64,
}

#[async_trait]
impl BodySource for FileBody {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        while self.0.pop_front_if(|stretch| stretch.left == 0).is_some() {}
        let Some(FileStretch { file, left }) = self.0.front_mut() else { return Ok(None) };
        let size = usize::try_from(*left).unwrap_or(PART).min(PART);
        let mut part = BytesMut::zeroed(size);
        let read = file.read(&mut part).await?;
        if read == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file of the result is too short"));
        }
        part.truncate(read);
        *left -= u64::try_from(read).unwrap_or(*left);
        Ok(Some(part.freeze()))
    }
}
