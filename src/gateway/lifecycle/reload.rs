//! Reloads: a configuration is read and compiled while requests go on, and then put in force as a whole or not at all.
//!
//! Files are read on a separate thread. A key may be a named pipe or lie on a mount that hangs; then the reload waits,
//! and requests and signals don't.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
};

use super::{live::Live, snapshot::Snapshot};
use crate::{
    config::{self, ProcessEnvironment, settings::Settings},
    gateway::runtime::clock,
};

/// Reloads the configuration on request.
#[derive(Debug)]
pub(crate) struct Reloader {
    path: PathBuf,
    environment: ProcessEnvironment,
    live: Arc<Live>,
    fixed: Fixed,
    last: Arc<LastReload>,
}

/// The result of the last reload; the configuration read at the start counts as one.
#[derive(Debug, Default)]
pub struct LastReload {
    failed: AtomicBool,
    succeeded_at: AtomicU64,
    running: AtomicBool,
}

impl LastReload {
    /// Returns whether the configuration that was read last is in force.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        !self.failed.load(Ordering::Relaxed)
    }

    /// Returns the time of the last successful reload, in seconds since 1970.
    #[must_use]
    pub fn succeeded_at(&self) -> u64 {
        self.succeeded_at.load(Ordering::Relaxed)
    }

    fn ended(&self, succeeded: bool) {
        if succeeded {
            self.succeeded_at.store(clock::unix_seconds(), Ordering::Relaxed);
        }
        self.failed.store(!succeeded, Ordering::Relaxed);
        self.running.store(false, Ordering::Relaxed);
    }
}

/// A handle that requests reloads.
#[derive(Debug)]
pub(crate) struct Reloads {
    wanted: mpsc::SyncSender<()>,
    last: Arc<LastReload>,
}

impl Reloads {
    /// Requests a reload and returns at once. Requests that arrive during a reload share one further reload, which
    /// reads the files as they are then.
    pub(crate) fn request(&self) {
        if self.last.running.load(Ordering::Relaxed) {
            tracing::warn!("a reload is in progress: this one follows it");
        }
        // A full channel means that a reload is pending already.
        let _ = self.wanted.try_send(());
    }
}

/// Settings that can't change without a restart, in a comparable form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fixed(Vec<(String, String)>);

impl Fixed {
    /// Returns the fixed settings of a configuration.
    #[must_use]
    pub(crate) fn of(settings: &Settings) -> Self {
        let mut keys: Vec<(String, String)> = Vec::new();
        for listener in &settings.listeners {
            let name = &listener.name;
            keys.push((format!("listeners.{name}.address"), listener.address.to_string()));
        }
        let admin = settings.admin.as_ref().map(|admin| admin.address);
        keys.push(("admin.address".to_owned(), format!("{admin:?}")));
        keys.push(("server.threads".to_owned(), settings.server.threads.to_string()));
        keys.push(("server.drain_delay".to_owned(), format!("{:?}", settings.server.drain_delay)));
        keys.push(("server.connections".to_owned(), format!("{:?}", settings.server.connections)));
        let per_address = format!("{:?}", settings.server.connections_per_address);
        keys.push(("server.connections_per_address".to_owned(), per_address));
        keys.push(("server.shutdown_timeout".to_owned(), format!("{:?}", settings.server.shutdown_timeout)));
        keys.push(("log".to_owned(), format!("{:?}", settings.log)));
        Self(keys)
    }

    /// Returns the keys whose values differ.
    #[must_use]
    pub(crate) fn differs(&self, other: &Self) -> Vec<String> {
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
    /// Creates a reloader of a file; `fixed` holds the settings that the process was started with.
    #[must_use]
    pub(crate) fn new(
        (path, environment): (PathBuf, ProcessEnvironment),
        live: Arc<Live>,
        fixed: Fixed,
        last: Arc<LastReload>,
    ) -> Self {
        last.ended(true);
        Self { path, environment, live, fixed, last }
    }

    /// Starts a thread that reloads on request.
    ///
    /// # Errors
    ///
    /// Returns an error if the thread can't be started.
    pub(crate) fn begin(self) -> std::io::Result<Reloads> {
        let (wanted, requests) = mpsc::sync_channel(1);
        let last = Arc::clone(&self.last);
        thread::Builder::new().name("reload".to_owned()).spawn(move || {
            for () in requests {
                self.last.running.store(true, Ordering::Relaxed);
                // The panic has been logged. It counts as a failed reload.
                let done = catch_unwind(AssertUnwindSafe(|| self.reload()));
                self.last.ended(done.unwrap_or(false));
            }
        })?;
        Ok(Reloads { wanted, last })
    }

    /// Reads the file and puts it in force; if it is invalid, reports the faults and changes nothing. Returns whether
    /// it succeeded.
    fn reload(&self) -> bool {
        let path = self.path.display();
        let (settings, mut diagnostics) = config::load(&self.path, &self.environment);
        let built = settings.as_ref().and_then(|settings| {
            Snapshot::build(settings, Some(&self.live.pin()), &mut diagnostics).map(|snapshot| (settings, snapshot))
        });
        let (errors, warnings) = diagnostics.counts();
        let Some((settings, snapshot)) = built else {
            let report = diagnostics.render(false);
            tracing::error!(%path, errors, report, "configuration not reloaded: the previous one stays in force");
            return false;
        };
        self.live.swap(snapshot);
        if warnings > 0 {
            tracing::warn!(warnings, report = diagnostics.render(false), "warnings");
        }
        for key in self.fixed.differs(&Fixed::of(settings)) {
            tracing::warn!(key, "{key} changed: needs a restart; everything else is in force");
        }
        tracing::info!(%path, routes = settings.routes.len(), "configuration reloaded");
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_a_restart_is_named() {
        let fixed = |keys: &[(&str, &str)]| {
            Fixed(keys.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
        };
        let before = fixed(&[("listeners.public.address", "1"), ("listeners.old.address", "2"), ("log", "3")]);
        let after = fixed(&[("listeners.public.address", "4"), ("listeners.new.address", "5"), ("log", "3")]);
        let changed = ["listeners.public.address", "listeners.old.address", "listeners.new.address"];
        assert_eq!(before.differs(&after), changed);
        assert!(before.differs(&before).is_empty());
    }
}
