//! The environment of a configuration: variables and files, those of this process or others.

use std::{
    io::{self, Read as _},
    net::SocketAddr,
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use sha2::{Digest as _, Sha256};

/// The largest configuration file, dialect or envelope that is read, in bytes.
pub const FILE_SIZE_MAX: usize = 4 * 1024 * 1024;

/// The largest number of entries that are read of a folder.
const ENTRIES_MAX: usize = 100_000;

/// Spare capacity of a buffer, so that reading to the end of a file neither grows it nor uses another one.
const ROOM_FOR_THE_END: usize = 64;

/// The environment variables and files that a configuration names. Tests bring their own.
pub trait Environment {
    /// Returns an environment variable, or `None` if it is not set or not Unicode.
    fn variable(&self, name: &str) -> Option<String>;

    /// Returns the bytes of a file. Of a file larger than [`FILE_SIZE_MAX`], at least one byte more than that.
    ///
    /// # Errors
    ///
    /// Returns the error of the system that kept the file from being read.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Returns the names of the files and folders in a folder.
    ///
    /// # Errors
    ///
    /// Returns the error of the system, also if the path is not that of a folder.
    fn entries(&self, _folder: &Path) -> io::Result<Vec<String>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Returns the permissions of a file, or `None` if they are not known.
    fn permissions(&self, _path: &Path) -> Option<Permissions> {
        None
    }

    /// Returns the bytes that stand for the secret of a reference, if secrets are not opened; the same bytes for the
    /// same reference.
    fn invented(&self, _reference: &str) -> Option<Vec<u8>> {
        None
    }

    /// Returns the addresses that take the place of those in the file.
    fn addresses(&self) -> Addresses {
        Addresses::default()
    }

    /// Returns whether the process runs in a container, whose loopback can't be reached from outside.
    fn is_container(&self) -> bool {
        false
    }
}

/// Addresses that take the place of those in a file, from the command line or the environment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// The address of the only listener.
    pub listen: Option<SocketAddr>,
    /// The address of the admin listener.
    pub admin: Option<SocketAddr>,
}

/// The permissions of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// The nine bits of POSIX, and others above them.
    pub mode: u32,
    /// The owner's number; 0 is the system's administrator.
    pub owner: u32,
}

impl Permissions {
    /// Returns whether every account of the machine may write it.
    #[must_use]
    pub fn lets_everybody_write(self) -> bool {
        self.mode & 0o002 != 0
    }

    /// Returns whether accounts other than the owner's may read it. A group of a file that the administrator owns was
    /// chosen on purpose and does not count.
    #[must_use]
    pub fn lets_others_read(self) -> bool {
        let by_group = self.mode & 0o040 != 0 && self.owner != 0;
        by_group || self.mode & 0o004 != 0
    }
}

/// The environment and the files of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessEnvironment {
    /// The addresses of the command line.
    pub addresses: Addresses,
}

impl Environment for ProcessEnvironment {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = std::fs::File::open(path)?;
        let most = u64::try_from(FILE_SIZE_MAX).unwrap_or(u64::MAX);
        // The buffer has its full capacity from the beginning: a buffer that grows leaves a copy of its bytes in
        // memory, and a file may hold a key.
        let length = usize::try_from(file.metadata()?.len().min(most)).unwrap_or(FILE_SIZE_MAX);
        let mut bytes = Vec::with_capacity(length + ROOM_FOR_THE_END);
        // A byte more shows that the file is too large.
        file.take(most + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn entries(&self, folder: &Path) -> io::Result<Vec<String>> {
        let names = std::fs::read_dir(folder)?.take(ENTRIES_MAX);
        names.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn permissions(&self, path: &Path) -> Option<Permissions> {
        let metadata = std::fs::metadata(path).ok()?;
        Some(Permissions { mode: metadata.mode(), owner: metadata.uid() })
    }

    fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Returns whether this is a container: by the files that Docker and Podman put into each, and the variable that
    /// Kubernetes sets.
    fn is_container(&self) -> bool {
        let has_file = ["/.dockerenv", "/run/.containerenv"].iter().any(|path| Path::new(path).exists());
        has_file || std::env::var_os("KUBERNETES_SERVICE_HOST").is_some()
    }
}

/// An environment without its secrets, for checks of a configuration where they are not at hand, such as a review.
/// Their forms are checked, and random-looking bytes take their places.
#[derive(Clone, Copy)]
pub struct WithoutSecrets<'e>(pub &'e dyn Environment);

impl Environment for WithoutSecrets<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        self.0.variable(name)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.0.read(path)
    }

    fn entries(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.0.entries(folder)
    }

    fn invented(&self, reference: &str) -> Option<Vec<u8>> {
        let digest = Sha256::digest(reference);
        Some(digest.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect())
    }

    fn addresses(&self) -> Addresses {
        self.0.addresses()
    }
}
