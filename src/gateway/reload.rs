//! Another configuration, while requests go on: read, compiled, put in force as a whole, or not at all.

use std::{path::PathBuf, sync::Arc};

use super::{live::Live, snapshot::Snapshot};
use crate::config::{self, ProcessEnvironment, settings::Settings};

/// Reads the configuration again when it is told to.
#[derive(Debug)]
pub struct Reloader {
    path: PathBuf,
    live: Arc<Live>,
    fixed: Fixed,
}

/// What can't change without a restart, in a form that can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fixed(Vec<(String, String)>);

impl Fixed {
    /// What of a configuration can't change.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        let mut keys: Vec<(String, String)> = Vec::new();
        for listener in &settings.listeners {
            let name = &listener.name;
            keys.push((format!("listeners.{name}.address"), listener.address.to_string()));
            keys.push((format!("listeners.{name}.tls"), format!("{:?}", listener.tls)));
        }
        let admin = settings.admin.as_ref().map(|admin| admin.address);
        keys.push(("admin.address".to_owned(), format!("{admin:?}")));
        keys.push(("server.threads".to_owned(), settings.server.threads.to_string()));
        keys.push(("server.shutdown_timeout".to_owned(), format!("{:?}", settings.server.shutdown_timeout)));
        keys.push(("log".to_owned(), format!("{:?}", settings.log)));
        Self(keys)
    }

    /// The keys whose values are not the same.
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
    /// Reloads from a file into what is in force; `fixed` is what the process was started with.
    #[must_use]
    pub fn new(path: PathBuf, live: Arc<Live>, fixed: Fixed) -> Self {
        Self { path, live, fixed }
    }

    /// Reads the file and puts it in force, or reports what is wrong with it and changes nothing.
    pub fn reload(&self) {
        let path = self.path.display();
        let (settings, mut diagnostics) = config::load(&self.path, &ProcessEnvironment);
        let built = settings.as_ref().and_then(|settings| {
            Snapshot::build(settings, Some(&self.live.pin()), &mut diagnostics).map(|snapshot| (settings, snapshot))
        });
        let (errors, warnings) = diagnostics.counts();
        let Some((settings, snapshot)) = built else {
            let report = diagnostics.render(false);
            tracing::error!(%path, errors, report, "configuration not reloaded: what was in force stays in force");
            return;
        };
        self.live.swap(snapshot);
        if warnings > 0 {
            tracing::warn!(warnings, report = diagnostics.render(false), "warnings");
        }
        for key in self.fixed.differs(&Fixed::of(settings)) {
            tracing::warn!(key, "{key} changed: needs a restart; everything else is in force");
        }
        if settings.listeners.iter().any(|listener| listener.tls.is_some()) {
            tracing::info!("the listeners' certificates are those read at the start: a renewed one needs a restart");
        }
        tracing::info!(%path, routes = settings.routes.len(), "configuration reloaded");
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
