//! The background work on jobs. A process takes queued jobs, a few at a time, raises the events of jobs that have
//! ended, and removes finished jobs after their time.

use std::{
    collections::{HashMap, HashSet},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use pingora::{server::ShutdownWatch, services::background::BackgroundService};
use serde_json::{Map, Value};
use tokio::{
    sync::{Notify, Semaphore},
    task::JoinSet,
};

use super::{
    call::CallRun,
    run::ExportRun,
    store::{ExportStore, FinishedJob, JobStoreFault, Takeable},
    work::JobWork,
};
use crate::{inner::InnerGateway, webhooks::Events};
use cursorgate_config::settings::{ExportSettings, JobSettings};
use cursorgate_gateway::{
    lifecycle::process::{InFlight, Stage},
    runtime::{clock, futures::caught},
};

/// The interval at which a process looks for jobs that other processes have queued or abandoned.
const LOOK: Duration = Duration::from_secs(1);

/// The time for which a finished job must seem old before it is removed.
const OLD: Duration = Duration::from_secs(60 * 60);

/// The number of looks from one removal of surplus finished jobs to the next.
const LOOKS_BETWEEN: u32 = 5;

pub(crate) struct ExportKeeper {
    pub(super) inner: Arc<InnerGateway>,
    pub(super) store: Arc<dyn ExportStore>,
    /// Wakes the keeper when a request has queued a job.
    pub(super) queued: Arc<Notify>,
    /// The events of webhooks; `None` without `[services.webhooks]`.
    pub(super) events: Option<Events>,
}

#[async_trait]
impl BackgroundService for ExportKeeper {
    /// Works on jobs until the process stops. Then the jobs stop after their current page, and another process
    /// continues them.
    async fn start(&self, _shutdown: ShutdownWatch) {
        let vitals = self.inner.gateway().vitals.clone();
        let mut stopping = pin!(vitals.reached(Stage::Draining));
        let (mut looks, mut old, mut work) = (0_u32, OldJobs::default(), Work::default());
        // Each iteration waits until a job is queued or ends, or until the next poll is due.
        loop {
            tokio::select! {
                () = &mut stopping => break,
                Some(_) = work.exports.join_next() => {}
                Some(_) = work.calls.join_next() => {}
                () = self.queued.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
            let snapshot = self.inner.gateway().live.pin();
            let Some(settings) = &snapshot.services.exports else { continue };
            let queues = snapshot.services.jobs.as_ref();
            work.resize(settings.at_once);
            let looked = {
                let old = looks.is_multiple_of(LOOKS_BETWEEN).then_some(&mut old);
                self.look(settings, queues, &mut work, old).await
            };
            looks = looks.wrapping_add(1);
            // A fault is logged when it begins and when it ends, not each second.
            // Test: `jobs_wait_for_a_database_that_is_away`.
            let has_changed = vitals.exports().store.note(looked.as_ref().copied().map_err(ToString::to_string));
            match &looked {
                Err(fault) if has_changed => {
                    tracing::error!(%fault, "the store of exports is unavailable: exports and their events wait");
                }
                Ok(()) if has_changed => tracing::warn!("the store of exports is available again"),
                _ => {}
            }
            if looked.is_err() {
                tokio::time::sleep(LOOK).await;
            }
        }
        while work.exports.join_next().await.is_some() || work.calls.join_next().await.is_some() {}
    }
}

impl ExportKeeper {
    /// Raises events and takes jobs. With `old`, also removes surplus finished jobs, and counts all jobs for the metrics.
    async fn look(
        &self,
        settings: &ExportSettings,
        queues: Option<&JobSettings>,
        work: &mut Work,
        old: Option<&mut OldJobs>,
    ) -> Result<(), JobStoreFault> {
        self.store.check().await?;
        // A full disk of the database refuses pages and nothing else, so a job that was taken again would only count one
        // more interruption, and fail after some. Test: `jobs_wait_for_a_database_without_room`.
        if work.is_in_doubt.load(Ordering::Relaxed) {
            self.store.probe().await?;
            work.is_in_doubt.store(false, Ordering::Relaxed);
        }
        // An event that can't be read must not stop exports, so this fault is returned only at the end.
        let announced = self.announce().await;
        self.take(settings, queues, work).await?;
        if let Some(old) = old {
            self.remove(settings, old).await?;
            let counts = self.store.counts().await?;
            let counts: Vec<(&str, u64)> = counts.iter().map(|(state, count)| (state.word(), *count)).collect();
            self.inner.gateway().vitals.exports().set(&counts);
        }
        // Downloads don't stop jobs, so this check is the last one.
        // Test: `an_export_and_a_download_wait_for_an_object_store_that_is_away`.
        announced.and(self.store.check_objects().await)
    }

    /// Raises the events of jobs that have ended. Each event is removed from its job after it was raised. If the
    /// process ends in between, the same event is raised again with the same id, and is dropped as a duplicate.
    async fn announce(&self) -> Result<(), JobStoreFault> {
        let Some(events) = &self.events else { return Ok(()) };
        for (id, announcement) in self.store.announcements().await? {
            // The keeper of webhooks says that their store is away: exports go on, and the events wait.
            // Test: `exports_go_on_while_the_store_of_webhooks_is_away`.
            if events.raise(serde_json::from_str(&announcement)?).await.is_err() {
                break;
            }
            self.store.announced(&id).await?;
        }
        Ok(())
    }

    /// Takes jobs until no job waits, or none that may run: the process works on at most `at_once` exports, and each
    /// queue has a bound of its own.
    async fn take(
        &self,
        settings: &ExportSettings,
        queues: Option<&JobSettings>,
        work: &mut Work,
    ) -> Result<(), JobStoreFault> {
        let queues = queues.map_or(&[][..], |jobs| &jobs.queues);
        let bounds: Map<String, Value> =
            queues.iter().map(|queue| (queue.name.clone(), Value::from(queue.at_once))).collect();
        let mut takeable = Takeable { exports: true, queues: Value::Object(bounds).to_string() };
        loop {
            takeable.exports = work.exports.len() < settings.at_once;
            let Some(taken) = self.store.take(&takeable).await? else { break };
            let own = JobWork { inner: Arc::clone(&self.inner), taken, since: clock::instant() };
            // A draining process waits for this guard, so it doesn't end before a page that it has read is stored.
            let in_flight = self.inner.gateway().vitals.enter();
            match &own.taken.job.definition.call {
                None => {
                    let (settings, readers) = (settings.clone(), Arc::clone(&work.readers));
                    let run = ExportRun::new(own, settings, readers);
                    work.exports.spawn(watched(
                        async move { run.run().await },
                        in_flight,
                        Arc::clone(&work.is_in_doubt),
                    ));
                }
                Some(call) => {
                    let queue = queues.iter().find(|queue| queue.name == call.queue).cloned();
                    let run = CallRun { work: own, queue };
                    work.calls.spawn(watched(async move { run.run().await }, in_flight, Arc::clone(&work.is_in_doubt)));
                }
            }
        }
        Ok(())
    }

    /// Removes finished jobs that exceed the bounds of age, number or size, and results that don't belong to a job.
    async fn remove(&self, settings: &ExportSettings, old: &mut OldJobs) -> Result<(), JobStoreFault> {
        let finished = self.store.finished().await?;
        old.look(&finished, settings.keep, clock::instant());
        for id in surplus(&finished, settings, old) {
            self.store.remove(id).await?;
        }
        self.store.sweep().await
    }
}

/// Runs the work on a job to its end. After a fault, the job stays active without a lease. So it is taken again, at most
/// `MOST_INTERRUPTIONS` times for a page or a request.
async fn watched(
    run: impl Future<Output = Result<(), JobStoreFault>>,
    in_flight: InFlight,
    is_in_doubt: Arc<AtomicBool>,
) {
    match caught(pin!(run)).await {
        Ok(Ok(())) => {}
        Ok(Err(fault)) => {
            is_in_doubt.store(true, Ordering::Relaxed);
            tracing::error!(%fault, "a job is interrupted, and goes on when the store works");
        }
        Err(panic) => tracing::error!(panic, "a job is interrupted, and is tried again"),
    }
    drop(in_flight);
}

/// The jobs on which this process works.
struct Work {
    exports: JoinSet<()>,
    calls: JoinSet<()>,
    /// The permits for pages that are requested at the same time, for all exports.
    readers: Arc<Semaphore>,
    /// The number of permits, including those in use.
    permits: usize,
    /// `true` after a page couldn't be stored, until the store has shown that it has room.
    is_in_doubt: Arc<AtomicBool>,
}

impl Default for Work {
    fn default() -> Self {
        let readers = Arc::new(Semaphore::new(0));
        let (exports, calls) = (JoinSet::new(), JoinSet::new());
        Self { exports, calls, readers, permits: 0, is_in_doubt: Arc::default() }
    }
}

impl Work {
    /// Changes the number of permits. Permits in use are taken away at a later call.
    fn resize(&mut self, permits: usize) {
        match permits.checked_sub(self.permits) {
            Some(more) => {
                self.readers.add_permits(more);
                self.permits = permits;
            }
            None => self.permits -= self.readers.forget_permits(self.permits - permits),
        }
    }
}

/// The finished jobs that seem older than `keep`, with the times at which this process first saw them as that. Ages are
/// by clocks that may be wrong for a while, so a job is removed only if it still seems old after [`OLD`], or after `keep`
/// if that is shorter.
#[derive(Debug, Default)]
struct OldJobs {
    seen: HashMap<String, Instant>,
    /// The jobs that may be removed.
    removable: HashSet<String>,
}

impl OldJobs {
    fn look(&mut self, finished: &[FinishedJob], keep: Duration, now: Instant) {
        let is_old = |job: &&FinishedJob| job.age >= keep.as_secs();
        let seen = finished.iter().filter(is_old).map(|job| (job.id.clone(), *self.seen.get(&job.id).unwrap_or(&now)));
        self.seen = seen.collect();
        let waited = |since: &Instant| now.saturating_duration_since(*since) >= keep.min(OLD);
        self.removable = self.seen.iter().filter(|entry| waited(entry.1)).map(|entry| entry.0.clone()).collect();
    }
}

/// Returns the ids of the finished jobs to remove. `finished` is in the order from the newest to the oldest job. Beyond
/// the bounds of number and size, the oldest job of the client that has most is removed, so a client with many jobs
/// doesn't displace those of the others. Clients at one address count as one, because a client can invent names. The
/// bound of size never removes a job without a result.
fn surplus<'j>(finished: &'j [FinishedJob], settings: &ExportSettings, old: &OldJobs) -> Vec<&'j str> {
    let (old, young): (Vec<_>, Vec<_>) = finished.iter().partition(|job| old.removable.contains(&job.id));
    let mut beyond: Vec<&str> = old.iter().map(|job| job.id.as_str()).collect();
    let number = u64::try_from(settings.keep_jobs).unwrap_or(u64::MAX);
    let young = bounded(young, number, |_| 1, &mut beyond);
    let size = u64::try_from(settings.keep_size).unwrap_or(u64::MAX);
    // Removing a job without a result wouldn't free space, and its weight is 0. Test: `the_newest_jobs_are_kept`.
    bounded(young, size, |job| job.bytes, &mut beyond);
    beyond
}

/// Removes jobs until the sum of their weights is at most `most`, and adds their ids to `beyond`. Returns the jobs that
/// are left, in their order.
fn bounded<'j>(
    mut jobs: Vec<&'j FinishedJob>,
    most: u64,
    weight: impl Fn(&FinishedJob) -> u64,
    beyond: &mut Vec<&'j str>,
) -> Vec<&'j FinishedJob> {
    let group = |job: &'j FinishedJob| -> &'j str { job.network.as_deref().unwrap_or(&job.owner) };
    let (mut all, mut groups, mut owners) = (0_u64, HashMap::new(), HashMap::new());
    for &job in &jobs {
        let weight = weight(job);
        all = all.saturating_add(weight);
        *groups.entry(group(job)).or_insert(0_u64) += weight;
        *owners.entry(job.owner.as_str()).or_insert(0_u64) += weight;
    }
    while all > most {
        // The last of several equal jobs is the oldest one.
        let heaviest = |place: &usize| (groups[group(jobs[*place])], owners[jobs[*place].owner.as_str()]);
        let places = (0..jobs.len()).filter(|&place| weight(jobs[place]) > 0);
        let Some(place) = places.max_by_key(heaviest) else { return jobs };
        let job = jobs.remove(place);
        let weight = weight(job);
        all -= weight;
        *groups.entry(group(job)).or_default() -= weight;
        *owners.entry(job.owner.as_str()).or_default() -= weight;
        beyond.push(&job.id);
    }
    jobs
}

#[cfg(test)]
mod tests {
    use super::*;
    use cursorgate_config::settings::{CountedBy, ServiceStoreSettings};

    fn settings(keep: u64, keep_jobs: usize, keep_size: usize) -> ExportSettings {
        ExportSettings {
            store: ServiceStoreSettings::Directory("/x".into()),
            at_once: 1,
            per_client: 1,
            key: CountedBy::Principal,
            queue: 1,
            retry_for: Duration::ZERO,
            page_timeout: Duration::ZERO,
            timeout: Duration::ZERO,
            size: 1,
            keep: Duration::from_secs(keep),
            keep_jobs,
            keep_size,
            objects: None,
        }
    }

    #[test]
    fn the_newest_jobs_are_kept() {
        let job = |id: &str, age, bytes| FinishedJob {
            id: id.to_owned(),
            owner: "one".to_owned(),
            network: None,
            age,
            bytes,
        };
        let finished = [job("e", 5, 40), job("d", 10, 0), job("c", 20, 70), job("b", 30, 10), job("a", 80, 0)];
        let begin = tokio::time::Instant::now().into_std();
        let kept = |keep, keep_jobs, keep_size| {
            let (settings, mut old) = (settings(keep, keep_jobs, keep_size), OldJobs::default());
            old.look(&finished, settings.keep, begin);
            old.look(&finished, settings.keep, begin + OLD);
            surplus(&finished, &settings, &old).concat()
        };
        assert_eq!(kept(1_000, 10, 1_000), "");
        assert_eq!(kept(30, 10, 1_000), "ba");
        assert_eq!(kept(1_000, 3, 1_000), "ab");
        assert_eq!(kept(1_000, 10, 100), "bc", "jobs without a result take no room");
    }

    #[test]
    fn a_wrong_clock_removes_no_job() {
        let job = |age| [FinishedJob { id: "a".to_owned(), owner: "one".to_owned(), network: None, age, bytes: 1 }];
        let (settings, mut old) = (settings(7 * 86_400, 10, 1_000), OldJobs::default());
        let begin = tokio::time::Instant::now().into_std();
        let mut removes = |age, seconds| {
            let finished = job(age);
            old.look(&finished, settings.keep, begin + Duration::from_secs(seconds));
            !surplus(&finished, &settings, &old).is_empty()
        };
        assert!(!removes(60, 0));
        assert!(!removes(400 * 86_400, 5), "the clock is wrong");
        assert!(!removes(400 * 86_400, 3_000));
        assert!(!removes(60, 3_005), "the clock is right again");
        assert!(!removes(400 * 86_400, 4_000), "what was seen before doesn't count");
        assert!(removes(400 * 86_400, 4_000 + 3_600), "it is old");
    }

    #[test]
    fn a_client_with_many_jobs_displaces_only_its_own() {
        let job = |id: String, owner: &str, network: &str, age| FinishedJob {
            id,
            owner: owner.to_owned(),
            network: Some(network.to_owned()),
            age,
            bytes: 10,
        };
        // The newest job is first. A client at one address has a name of its own for each job.
        let many = (0..20).map(|at| job(format!("m{at} "), &format!("name {at}"), "crowd", at));
        let alice = [job("a1 ".to_owned(), "alice", "home", 100), job("a2 ".to_owned(), "alice", "home", 101)];
        let finished: Vec<FinishedJob> = many.chain(alice).collect();
        let by_number = surplus(&finished, &settings(1_000, 18, 10_000), &OldJobs::default());
        assert_eq!(by_number, ["m19 ", "m18 ", "m17 ", "m16 "]);
        assert_eq!(surplus(&finished, &settings(1_000, 100, 180), &OldJobs::default()), by_number, "by size");
    }
}
