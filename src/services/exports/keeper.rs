//! The work on all jobs of a process: it takes those that wait, a few at a time, and removes finished ones in time.

use std::{pin::pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use pingora::{server::ShutdownWatch, services::background::BackgroundService};
use tokio::{
    sync::Notify,
    task::{JoinSet, spawn_blocking},
};

use super::{
    job::is_id,
    run::{ExportRun, JobLock},
    store::{ExportStore, FinishedJob, files},
};
use crate::{
    config::settings::ExportSettings,
    gateway::{
        lifecycle::process::Stage,
        runtime::{clock, futures::caught},
    },
    services::{database::DatabaseFault, inner::InnerGateway, webhooks::Events},
};

/// The time after which a process looks for jobs that others have queued or left.
const LOOK: Duration = Duration::from_secs(1);

/// The most events that are raised at a look.
const EVENTS: usize = 100;

/// The looks between two removals of finished jobs.
const LOOKS_BETWEEN: u32 = 5;

/// The keeper of the jobs.
pub(in crate::services) struct ExportKeeper {
    pub(super) inner: Arc<InnerGateway>,
    pub(super) store: ExportStore,
    /// Notified when a request has queued a job.
    pub(super) queued: Arc<Notify>,
    /// None without webhooks.
    pub(super) events: Option<Events>,
}

#[async_trait]
impl BackgroundService for ExportKeeper {
    /// Works until the process stops. Jobs end at their next page then, and go on in another process.
    async fn start(&self, _shutdown: ShutdownWatch) {
        let vitals = self.inner.gateway().vitals.clone();
        let mut stopping = pin!(vitals.reached(Stage::Draining));
        let mut running = JoinSet::new();
        let mut looks = 0;
        // Each iteration waits for a job, its end, or the next look.
        loop {
            tokio::select! {
                () = &mut stopping => break,
                Some(_) = running.join_next() => {}
                () = self.queued.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
            let snapshot = self.inner.gateway().live.pin();
            let Some(settings) = &snapshot.services.exports else { continue };
            if let Err(fault) = self.announce().await {
                // Exports go on, and their events wait.
                tracing::error!(%fault, "events of exports wait");
            }
            let looked = async {
                self.take(settings, &mut running).await?;
                if looks % LOOKS_BETWEEN == 0 {
                    self.remove(settings).await?;
                }
                Ok::<(), DatabaseFault>(())
            };
            if let Err(fault) = looked.await {
                tracing::error!(%fault, "exports wait");
                tokio::time::sleep(LOOK).await;
            }
            looks += 1;
        }
        while running.join_next().await.is_some() {}
    }
}

impl ExportKeeper {
    /// Raises the events of jobs that have ended. A job's event is forgotten once it is raised: a process that ends in between
    /// leads to the same event again, which is not raised twice.
    async fn announce(&self) -> Result<(), DatabaseFault> {
        let Some(events) = &self.events else { return Ok(()) };
        for (id, announcement) in self.store.call(|jobs| jobs.announcements(EVENTS)).await? {
            events.raise(serde_json::from_str(&announcement)?).await?;
            self.store.call(move |jobs| jobs.announced(&id)).await?;
        }
        Ok(())
    }

    /// Takes jobs until the process has as many as it works on at a time.
    async fn take(&self, settings: &ExportSettings, running: &mut JoinSet<()>) -> Result<(), DatabaseFault> {
        if running.len() >= settings.at_once {
            return Ok(());
        }
        let candidates = self.store.call(|jobs| jobs.candidates(clock::unix_milliseconds())).await?;
        for id in candidates {
            if running.len() >= settings.at_once {
                return Ok(());
            }
            let path = self.store.results().join(&id);
            let taken = spawn_blocking(move || JobLock::take(&path)).await.map_err(|_| DatabaseFault::Task)?;
            let Some(lock) = taken? else { continue };
            let claimed = self.store.call(move |jobs| jobs.claim(&id, clock::unix_milliseconds())).await?;
            let Some((job, credentials)) = claimed else { continue };
            let run = ExportRun {
                inner: Arc::clone(&self.inner),
                store: self.store.clone(),
                settings: settings.clone(),
                job,
                credentials,
                lock,
            };
            // The process does not leave between a page and its place in the store.
            let in_flight = self.inner.gateway().vitals.enter();
            running.spawn(async move {
                match caught(pin!(run.run())).await {
                    Ok(Ok(())) => {}
                    Ok(Err(fault)) => tracing::error!(%fault, "an export is interrupted"),
                    Err(panic) => tracing::error!(panic, "an export is interrupted"),
                }
                drop(in_flight);
            });
        }
        Ok(())
    }

    /// Removes finished jobs beyond their time, their number and their size, and the files of jobs without a result.
    async fn remove(&self, settings: &ExportSettings) -> Result<(), DatabaseFault> {
        let settings = settings.clone();
        let results = self.store.results().to_owned();
        // Files are listed first: one that is younger than the list of jobs is not among them.
        let names = spawn_blocking(move || files(&results)).await.map_err(|_| DatabaseFault::Task)??;
        let with_result = self
            .store
            .call(move |jobs| {
                let finished = jobs.finished()?;
                for id in surplus(&finished, &settings, clock::unix_seconds()) {
                    jobs.remove(id)?;
                }
                jobs.with_result()
            })
            .await?;
        let results = self.store.results().to_owned();
        let removed = spawn_blocking(move || {
            for name in names.iter().filter(|name| is_id(name) && !with_result.contains(name)) {
                match std::fs::remove_file(results.join(name)) {
                    // Another process was faster.
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    removed => removed?,
                }
            }
            Ok(())
        });
        removed.await.map_err(|_| DatabaseFault::Task)?
    }
}

/// Returns the ids of the jobs that are not kept; `finished` has the newest first.
fn surplus<'j>(finished: &'j [FinishedJob], settings: &ExportSettings, now: u64) -> Vec<&'j str> {
    let most = u64::try_from(settings.keep_size).unwrap_or(u64::MAX);
    let mut size = 0_u64;
    let beyond = finished.iter().enumerate().filter(move |(place, job)| {
        size = size.saturating_add(job.bytes);
        let is_old = now.saturating_sub(job.finished) >= settings.keep.as_secs();
        is_old || *place >= settings.keep_jobs || (job.bytes > 0 && size > most)
    });
    beyond.map(|(_, job)| job.id.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_jobs_are_kept() {
        let job = |id: &str, finished, bytes| FinishedJob { id: id.to_owned(), finished, bytes };
        let finished = [job("e", 95, 40), job("d", 90, 0), job("c", 80, 70), job("b", 70, 10), job("a", 20, 0)];
        let kept = |keep, keep_jobs, keep_size| {
            let settings = ExportSettings {
                directory: "/x".into(),
                at_once: 1,
                per_client: 1,
                queue: 1,
                attempts: 1,
                page_timeout: Duration::ZERO,
                timeout: Duration::ZERO,
                size: 1,
                keep: Duration::from_secs(keep),
                keep_jobs,
                keep_size,
            };
            surplus(&finished, &settings, 100).concat()
        };
        assert_eq!(kept(1_000, 10, 1_000), "");
        assert_eq!(kept(30, 10, 1_000), "ba");
        assert_eq!(kept(1_000, 3, 1_000), "ba");
        assert_eq!(kept(1_000, 10, 100), "cb", "jobs without a result take no room");
    }
}
