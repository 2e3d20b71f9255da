//! The files of a configuration, and the detection of changes since they were read.
//!
//! The files' metadata is read at intervals, and links are followed. Notifications of the operating system would miss
//! changes on network mounts, and changes of link targets, such as those of a Kubernetes config map. The notifications
//! would also save little: reading the metadata takes microseconds.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use cursorgate_config::{Addresses, Environment, Permissions};

/// The identity and version of a file: device, inode, size in bytes, and time of the last write in seconds and
/// nanoseconds. Replacing a file changes the inode, and writing to it changes the time.
type FileVersion = (u64, u64, u64, i64, i64);

/// The versions of files by path; `None` for a file that can't be found.
type FileVersions = BTreeMap<PathBuf, Option<FileVersion>>;

/// The files from which a configuration was read.
#[derive(Debug, Default)]
pub struct ConfigurationFiles {
    read: FileVersions,
    /// The versions at the last call of `have_changed`; at first those of `read`.
    seen: FileVersions,
}

impl ConfigurationFiles {
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.read.keys().map(PathBuf::as_path)
    }

    /// Returns whether a file has changed since the configuration was read, provided that no file has changed since the
    /// last call. Files that belong together are written one after the other, and a reload in between would read a
    /// mixture.
    pub fn have_changed(&mut self) -> bool {
        let now: FileVersions = self.read.keys().map(|path| (path.clone(), version(path))).collect();
        // A file that has just changed might not be complete yet, so a change is reported only after two calls have
        // found the same versions. Test: `a_change_is_reported_at_the_second_look_after_it`.
        let is_quiet = now == self.seen;
        self.seen = now;
        is_quiet && self.seen != self.read
    }
}

fn version(path: &Path) -> Option<FileVersion> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino(), found.size(), found.mtime(), found.mtime_nsec()))
}

/// An environment that reads through another environment, and records the files that are read, with their versions.
pub struct NotedEnvironment<'e, E> {
    environment: &'e E,
    read: RefCell<FileVersions>,
}

impl<'e, E: Environment> NotedEnvironment<'e, E> {
    /// Wraps an environment. No file has been recorded yet.
    pub fn new(environment: &'e E) -> Self {
        Self { environment, read: RefCell::default() }
    }

    /// Returns the files that were read through this environment.
    pub fn into_files(self) -> ConfigurationFiles {
        let read = self.read.into_inner();
        ConfigurationFiles { seen: read.clone(), read }
    }
}

impl<E: Environment> Environment for NotedEnvironment<'_, E> {
    fn variable(&self, name: &str) -> Option<String> {
        self.environment.variable(name)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        // The version is taken before the read, so a change between the two counts as unread. Files with keys are
        // recorded here too. Test: `a_change_of_a_key_file_is_noticed`.
        self.read.borrow_mut().entry(path.to_owned()).or_insert_with(|| version(path));
        self.environment.read(path)
    }

    /// Returns the names in a folder. The folder is recorded as a file: its version changes when an entry is added,
    /// removed or renamed.
    fn entries(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.read.borrow_mut().entry(folder.to_owned()).or_insert_with(|| version(folder));
        self.environment.entries(folder)
    }

    fn permissions(&self, path: &Path) -> Option<Permissions> {
        self.environment.permissions(path)
    }

    fn addresses(&self) -> Addresses {
        self.environment.addresses()
    }

    fn is_container(&self) -> bool {
        self.environment.is_container()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cursorgate_config::ProcessEnvironment;

    #[test]
    fn a_change_is_reported_at_the_second_look_after_it() {
        let folder = std::env::temp_dir().join(format!("cursorgate-files-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("one")).unwrap();
        std::fs::create_dir_all(folder.join("two")).unwrap();
        let path = |name: &str| folder.join(name);
        let link = |to: &str| {
            let _ = std::fs::remove_file(path("next"));
            std::os::unix::fs::symlink(to, path("next")).unwrap();
            std::fs::rename(path("next"), path("data")).unwrap();
        };
        for name in ["one/map", "two/map", "plain"] {
            std::fs::write(path(name), "text").unwrap();
        }
        link("one");
        let environment = ProcessEnvironment::default();
        let read = || {
            let noted = NotedEnvironment::new(&environment);
            for name in ["data/map", "plain", "missing"] {
                let _ = noted.read(&path(name));
            }
            noted.into_files()
        };
        let changes: [(&str, &dyn Fn()); 5] = [
            ("the file a link leads to is another one", &|| link("two")),
            ("a file is written", &|| std::fs::write(path("plain"), "longer text").unwrap()),
            ("a file is renamed into place", &|| {
                std::fs::write(path("draft"), "longer text").unwrap();
                std::fs::rename(path("draft"), path("plain")).unwrap();
            }),
            ("a file is removed", &|| std::fs::remove_file(path("plain")).unwrap()),
            ("a file that was missing is there", &|| std::fs::write(path("missing"), "").unwrap()),
        ];
        for (name, change) in changes {
            let mut files = read();
            assert!(!files.have_changed(), "before: {name}");
            change();
            assert!(!files.have_changed(), "it may still be written: {name}");
            assert!(files.have_changed(), "{name}");
        }
        assert!(!read().have_changed());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
