//! Reloads. A configuration is read and compiled while requests continue. It is then put in force as a whole or not at
//! all.
//!
//! Separate threads read the files. A key may be a named pipe, or be on a mount that hangs. In that case only the reload
//! waits, not requests or signals, and after [`LONGEST`] it is given up, so that a later one can succeed. Test:
//! `a_reload_that_hangs_stops_no_signal`.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use tokio::sync::watch;

use super::{
    files::{ConfigurationFiles, NotedEnvironment},
    live::Live,
    snapshot::Snapshot,
};
use crate::runtime::{clock, service_manager};
use cursorgate_config::{
    self as config, Diagnostics, ProcessEnvironment,
    settings::{LogSettings, ServiceStoreSettings, Settings},
};

/// The interval at which the files are checked for changes.
const LOOK: Duration = Duration::from_secs(1);

/// The longest time for which a reload reads and compiles a configuration.
const LONGEST: Duration = Duration::from_secs(60);

/// The largest number of threads of reloads that were given up and still hang. With so many, no reload begins.
const MOST_HUNG: usize = 4;

/// The largest number of results that are kept in addition to the last one. Older results are dropped.
const EARLIER: usize = 9;

/// The cause of a reload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReloadCause {
    /// The process started.
    #[default]
    Start,
    /// The process received SIGHUP.
    Signal,
    /// A file of the configuration has changed.
    Change,
    /// The admin listener received a request for a reload.
    Admin,
}

impl ReloadCause {
    /// All causes except the start.
    pub const LATER: [Self; 3] = [Self::Signal, Self::Change, Self::Admin];

    /// Returns the value of the cause in metrics and the log.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Signal => "signal",
            Self::Change => "change",
            Self::Admin => "admin",
        }
    }
}

/// The result of a reload, or of reading the configuration at the start.
#[derive(Clone, Debug)]
pub struct ReloadResult {
    /// The number of the reload; 0 for the start.
    pub number: u64,
    /// The cause; [`ReloadCause::Start`] only for the start.
    pub cause: ReloadCause,
    /// `true` if the configuration that was read is now in force.
    pub in_force: bool,
    /// The time at which the reload ended, in seconds since 1970.
    pub finished: u64,
    /// The number of errors; 0 if the configuration is now in force.
    pub errors: usize,
    /// The number of warnings, which a configuration with errors may also have.
    pub warnings: usize,
    /// The changed keys that need a restart, for example `server.threads`.
    pub needs_restart: Vec<String>,
    /// The diagnostics as text; empty if there are none.
    pub report: String,
}

/// The results of the last reloads, and the counts of all reloads. Reading the configuration at the start is reload 0.
#[derive(Debug)]
pub struct LastReload {
    /// The number of reloads that have begun.
    begun: AtomicU64,
    /// The result of the last reload that has ended.
    ended: watch::Sender<Arc<ReloadResult>>,
    /// The results before the last one, latest first, at most [`EARLIER`].
    earlier: Mutex<VecDeque<Arc<ReloadResult>>>,
    /// The time of the last successful reload, in seconds since 1970; the time of the start before the first one.
    succeeded_at: AtomicU64,
    /// The number of reloads by cause, in the order of [`ReloadCause::LATER`], and by success, with failures first.
    counts: [[AtomicU64; 2]; ReloadCause::LATER.len()],
}

impl Default for LastReload {
    fn default() -> Self {
        let now = clock::unix_seconds();
        let start = ReloadResult {
            number: 0,
            cause: ReloadCause::Start,
            in_force: true,
            finished: now,
            errors: 0,
            warnings: 0,
            needs_restart: Vec::new(),
            report: String::new(),
        };
        let ended = watch::Sender::new(Arc::new(start));
        Self {
            begun: AtomicU64::new(0),
            ended,
            earlier: Mutex::default(),
            succeeded_at: AtomicU64::new(now),
            counts: Default::default(),
        }
    }
}

impl LastReload {
    /// Records the diagnostics of the configuration that was read at the start. Test:
    /// `the_start_is_reported_with_its_warnings`.
    pub fn start(&self, diagnostics: &Diagnostics) {
        self.ended.send_modify(|start| {
            let start = Arc::make_mut(start);
            ((start.errors, start.warnings), start.report) = (diagnostics.counts(), report(diagnostics));
        });
    }

    /// Returns the result of the last reload that has ended.
    #[must_use]
    pub fn result(&self) -> Arc<ReloadResult> {
        Arc::clone(&self.ended.borrow())
    }

    /// Returns the results before this one, latest first. A reload that has ended since then isn't among them.
    #[must_use]
    pub fn before(&self, result: &ReloadResult) -> Vec<Arc<ReloadResult>> {
        let earlier = self.earlier.lock().unwrap_or_else(PoisonError::into_inner);
        earlier.iter().filter(|earlier| earlier.number < result.number).map(Arc::clone).collect()
    }

    /// Returns the time of the last successful reload, in seconds since 1970; the time of the start before the first
    /// one.
    #[must_use]
    pub fn succeeded_at(&self) -> u64 {
        self.succeeded_at.load(Ordering::Relaxed)
    }

    /// Returns the number of reloads for each cause, and for success (`true`) and failure (`false`). The start isn't
    /// counted.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, bool, u64)> {
        ReloadCause::LATER.iter().zip(&self.counts).flat_map(|(cause, counts)| {
            [false, true].into_iter().zip(counts).map(|(ok, count)| (cause.word(), ok, count.load(Ordering::Relaxed)))
        })
    }

    fn is_running(&self) -> bool {
        self.ended.borrow().number < self.begun.load(Ordering::Relaxed)
    }

    fn end(&self, result: ReloadResult) {
        if let Some(index) = ReloadCause::LATER.iter().position(|cause| *cause == result.cause) {
            self.counts[index][usize::from(result.in_force)].fetch_add(1, Ordering::Relaxed);
        }
        if result.in_force {
            self.succeeded_at.store(result.finished, Ordering::Relaxed);
        }
        // Whoever waits for the result asks for the earlier ones next. The lock is taken first, so that the result
        // before this one is among them. Test: `a_reload_is_reported_with_all_before_it`.
        let mut earlier = self.earlier.lock().unwrap_or_else(PoisonError::into_inner);
        earlier.push_front(self.ended.send_replace(Arc::new(result)));
        earlier.truncate(EARLIER);
    }
}

/// A handle by which reloads are requested.
#[derive(Clone, Debug)]
pub struct Reloads {
    /// A channel that contains at most one request.
    wanted: mpsc::SyncSender<ReloadCause>,
    last: Arc<LastReload>,
}

impl Reloads {
    /// Requests a reload and returns at once. All requests that arrive during a reload share the next one, which reads
    /// the files as they are then.
    pub fn request(&self, cause: ReloadCause) {
        if self.last.is_running() {
            tracing::warn!("a reload is in progress: this one follows it");
        }
        // A full channel contains an earlier request, whose reload serves this request too.
        let _ = self.wanted.try_send(cause);
    }

    /// Requests a reload, and returns its result once the reload has ended.
    pub async fn reload(&self, cause: ReloadCause) -> Arc<ReloadResult> {
        // A reload in progress may have read the files before they changed. Only a reload that begins after this point
        // counts.
        let next = self.last.begun.load(Ordering::SeqCst) + 1;
        let mut ended = self.last.ended.subscribe();
        self.request(cause);
        // `last` owns the sender, so the wait can't fail.
        let ended = ended.wait_for(|result| result.number >= next).await;
        ended.map_or_else(|_| self.last.result(), |result| Arc::clone(&result))
    }
}

/// The source of a configuration.
pub struct ConfigurationSource {
    /// The path of the configuration file.
    pub path: PathBuf,
    /// The environment whose variables the configuration may name.
    pub environment: ProcessEnvironment,
    /// All files from which the configuration in force was read.
    pub files: ConfigurationFiles,
}

/// The state of the thread that reloads the configuration, on request and when its files change.
pub struct Reloader {
    source: ConfigurationSource,
    live: Arc<Live>,
    fixed: Fixed,
    /// The log settings in force, and the function that changes them.
    log: (LogSettings, Box<dyn Fn(LogSettings) + Send>),
    last: Arc<LastReload>,
    /// The number of threads that read a configuration, including those that were given up.
    hung: Arc<AtomicUsize>,
}

/// Settings that can't change without a restart: pairs of a key and a comparable form of its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fixed(Vec<(String, String)>);

impl Fixed {
    /// Returns the fixed settings of a configuration.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        let mut keys: Vec<(String, String)> = Vec::new();
        for listener in &settings.listeners {
            let name = &listener.name;
            keys.push((format!("listeners.{name}.address"), listener.address.to_string()));
        }
        let admin = settings.admin.as_ref().map(|admin| admin.address);
        keys.push(("admin.address".to_owned(), format!("{admin:?}")));
        keys.push(("server.threads".to_owned(), settings.server.threads.to_string()));
        keys.push(("server.reuse_port".to_owned(), settings.server.reuse_port.to_string()));
        keys.push(("server.connections".to_owned(), format!("{:?}", settings.server.connections)));
        let per_address = format!("{:?}", settings.server.connections_per_address);
        keys.push(("server.connections_per_address".to_owned(), per_address));
        let exports = settings.services.exports.as_ref().map(|exports| &exports.store);
        let webhooks = settings.services.webhooks.as_ref().map(|webhooks| &webhooks.store);
        for (name, store) in [("exports", exports), ("webhooks", webhooks)] {
            let (mut directory, mut database) = (None, None);
            match store {
                None => {}
                Some(ServiceStoreSettings::Directory(path)) => directory = Some(path),
                Some(ServiceStoreSettings::Postgres(own)) => database = Some((own.place(), own.connections)),
            }
            keys.push((format!("services.{name}.directory"), format!("{directory:?}")));
            keys.push((format!("services.{name}.postgres"), format!("{database:?}")));
        }
        Self(keys)
    }

    /// Returns the keys whose values differ, including keys that only one of the configurations has.
    #[must_use]
    pub fn differs(&self, other: &Self) -> Vec<String> {
        let mut changed: Vec<String> = Vec::new();
        for (here, there) in [(self, other), (other, self)] {
            for key in here.0.iter().filter(|key| !there.0.contains(key)) {
                if !changed.contains(&key.0) {
                    changed.push(key.0.clone());
                }
            }
        }
        changed
    }
}

impl Reloader {
    /// Creates a reloader for a configuration. `fixed` contains the settings with which
    /// the process was started. `log` has the log settings, and the function that changes them.
    #[must_use]
    pub fn new(
        source: ConfigurationSource,
        live: Arc<Live>,
        fixed: Fixed,
        log: (LogSettings, Box<dyn Fn(LogSettings) + Send>),
        last: Arc<LastReload>,
    ) -> Self {
        Self { source, live, fixed, log, last, hung: Arc::default() }
    }

    /// Starts the thread that reloads, and returns the handle to it.
    ///
    /// # Errors
    ///
    /// Returns an error if the thread can't be started.
    pub fn begin(mut self) -> std::io::Result<Reloads> {
        // The channel has one place. All requests that arrive during a reload therefore share the next reload.
        let (wanted, requests) = mpsc::sync_channel(1);
        let last = Arc::clone(&self.last);
        thread::Builder::new().name("reload".to_owned()).spawn(move || {
            while let Some(cause) = self.next(&requests) {
                // The reload is counted before it reads the files. A request that arrives after this point may follow a
                // change of a file, so it waits for the next reload.
                let number = self.last.begun.fetch_add(1, Ordering::SeqCst) + 1;
                service_manager::reloading();
                // A panic has been logged already, and counts as a failed reload. The thread continues.
                let done = catch_unwind(AssertUnwindSafe(|| self.reload()));
                let outcome = done.unwrap_or_else(|_| ReloadOutcome { errors: 1, ..ReloadOutcome::default() });
                let ReloadOutcome { in_force, errors, warnings, needs_restart, report } = outcome;
                let finished = clock::unix_seconds();
                let result =
                    ReloadResult { number, cause, in_force, finished, errors, warnings, needs_restart, report };
                log_result(&self.source.path, &result);
                self.last.end(result);
                service_manager::ready();
            }
        })?;
        Ok(Reloads { wanted, last })
    }

    /// Waits for the cause of the next reload; returns `None` once all handles are dropped.
    fn next(&mut self, requests: &Receiver<ReloadCause>) -> Option<ReloadCause> {
        loop {
            match requests.recv_timeout(LOOK) {
                Ok(cause) => return Some(cause),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {
                    if self.live.pin().server.reload_on_change && self.source.files.have_changed() {
                        return Some(ReloadCause::Change);
                    }
                }
            }
        }
    }

    /// Reads the configuration and puts it in force. An invalid configuration changes nothing in force.
    fn reload(&mut self) -> ReloadOutcome {
        let (path, environment, previous) = (self.source.path.clone(), self.source.environment, self.live.pin());
        let read = within(LONGEST, &self.hung, move || ReadConfiguration::read(&path, &environment, &previous));
        let ReadConfiguration { settings, snapshot, files, diagnostics } = match read {
            Ok(read) => read,
            Err(Unread::Failed) => return ReloadOutcome { errors: 1, ..ReloadOutcome::default() },
            Err(Unread::Hangs) => {
                let report = format!(
                    "reading and compiling the configuration took longer than {} seconds, so this reload is given up: \
                     does one of its files hang, such as a named pipe or a file of a network mount?\n",
                    LONGEST.as_secs()
                );
                let needs_restart = self.last.result().needs_restart.clone();
                return ReloadOutcome { errors: 1, report, needs_restart, ..ReloadOutcome::default() };
            }
        };
        // The files are recorded even if there are errors, because the next change of a file may correct the errors.
        // Test: `a_change_of_the_file_is_noticed`.
        self.source.files = files;
        let built = settings.as_ref().zip(snapshot);
        let ((errors, warnings), report) = (diagnostics.counts(), report(&diagnostics));
        let Some((settings, snapshot)) = built else {
            // The configuration in force stays, and so do its keys that need a restart.
            let needs_restart = self.last.result().needs_restart.clone();
            return ReloadOutcome { in_force: false, errors, warnings, needs_restart, report };
        };
        // Requests in flight keep the previous snapshot. Test: `fifty_reloads_under_load_fail_no_request`.
        self.live.swap(snapshot.read_from(&self.source.files));
        let (in_force, change) = &mut self.log;
        if *in_force != settings.log {
            change(settings.log);
            *in_force = settings.log;
        }
        // The settings are compared with those at the start, not with those before this reload. A changed key has no
        // effect until the process restarts.
        let needs_restart = self.fixed.differs(&Fixed::of(settings));
        ReloadOutcome { in_force: true, errors, warnings, needs_restart, report }
    }
}

/// A configuration that was read and compiled.
struct ReadConfiguration {
    settings: Option<Settings>,
    snapshot: Option<Snapshot>,
    files: ConfigurationFiles,
    diagnostics: Diagnostics,
}

impl ReadConfiguration {
    fn read(path: &Path, environment: &ProcessEnvironment, previous: &Snapshot) -> Self {
        let environment = NotedEnvironment::new(environment);
        let (settings, mut diagnostics) = config::load(path, &environment);
        let files = environment.into_files();
        let built = settings.as_ref().and_then(|read| Snapshot::build(read, Some(previous), &mut diagnostics));
        Self { settings, snapshot: built, files, diagnostics }
    }
}

/// The reason that a configuration wasn't read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unread {
    /// It takes too long, or too many earlier attempts still hang.
    Hangs,
    /// The thread panicked, or couldn't be started. The panic has been logged.
    Failed,
}

/// Does work in a thread of its own, and waits for its result for at most `longest`. A thread that takes longer is left
/// to itself, and its result is dropped. `hung` counts such threads.
fn within<T: Send + 'static>(
    longest: Duration,
    hung: &Arc<AtomicUsize>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Unread> {
    if hung.load(Ordering::SeqCst) >= MOST_HUNG {
        return Err(Unread::Hangs);
    }
    hung.fetch_add(1, Ordering::SeqCst);
    let (done, result) = mpsc::sync_channel(1);
    let running = Arc::clone(hung);
    let begun = thread::Builder::new().name("reload-files".to_owned()).spawn(move || {
        let worked = catch_unwind(AssertUnwindSafe(work));
        running.fetch_sub(1, Ordering::SeqCst);
        if let Ok(worked) = worked {
            let _ = done.send(worked);
        }
    });
    if begun.is_err() {
        hung.fetch_sub(1, Ordering::SeqCst);
        return Err(Unread::Failed);
    }
    result.recv_timeout(longest).map_err(|error| match error {
        RecvTimeoutError::Timeout => Unread::Hangs,
        RecvTimeoutError::Disconnected => Unread::Failed,
    })
}

/// The result of a reload, without its number, cause and time.
#[derive(Default)]
struct ReloadOutcome {
    in_force: bool,
    errors: usize,
    warnings: usize,
    needs_restart: Vec<String>,
    report: String,
}

/// Returns diagnostics as text without colours, or an empty string if there are none.
fn report(diagnostics: &Diagnostics) -> String {
    if diagnostics.counts() == (0, 0) { String::new() } else { diagnostics.render(false) }
}

fn log_result(path: &Path, result: &ReloadResult) {
    let (path, cause) = (path.display(), result.cause.word());
    let ReloadResult { errors, warnings, report, .. } = result;
    if !result.in_force {
        tracing::error!(%path, cause, errors, report, "configuration not reloaded: the previous one stays in force");
        return;
    }
    if *warnings > 0 {
        tracing::warn!(warnings, report, "warnings");
    }
    for key in &result.needs_restart {
        tracing::warn!(key, "{key} changed: needs a restart; everything else is in force");
    }
    tracing::info!(%path, cause, "configuration reloaded");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_hangs_is_given_up_and_blocks_no_later_work() {
        let (hung, short) = (Arc::new(AtomicUsize::new(0)), Duration::from_millis(10));
        let (release, wait) = mpsc::channel::<()>();
        let wait = Arc::new(Mutex::new(wait));
        for _ in 0..MOST_HUNG {
            let wait = Arc::clone(&wait);
            let hangs = move || drop(wait.lock().map(|wait| wait.recv()));
            assert_eq!(within(short, &hung, hangs), Err(Unread::Hangs));
            let is_last = hung.load(Ordering::SeqCst) == MOST_HUNG;
            assert_eq!(within(LONGEST, &hung, || 1), if is_last { Err(Unread::Hangs) } else { Ok(1) });
        }
        drop(release);
        while hung.load(Ordering::SeqCst) > 0 {
            thread::yield_now();
        }
        assert_eq!(within(LONGEST, &hung, || 2), Ok(2));
        assert_eq!(within(LONGEST, &hung, || -> u8 { panic!("a fault of ours") }), Err(Unread::Failed));
    }

    #[test]
    fn keys_whose_changes_need_a_restart_are_named() {
        let fixed = |keys: &[(&str, &str)]| {
            Fixed(keys.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
        };
        let before =
            fixed(&[("listeners.public.address", "1"), ("listeners.old.address", "2"), ("server.threads", "3")]);
        let after =
            fixed(&[("listeners.public.address", "4"), ("listeners.new.address", "5"), ("server.threads", "3")]);
        let changed = ["listeners.public.address", "listeners.old.address", "listeners.new.address"];
        assert_eq!(before.differs(&after), changed);
        assert!(before.differs(&before).is_empty());
    }
}
