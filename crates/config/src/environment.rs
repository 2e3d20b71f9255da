//! The environment of a configuration: the variables and files that it reads, of this process or of a test.

use std::{
    io::{self, Read as _},
    net::SocketAddr,
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use sha2::{Digest as _, Sha256};

/// The largest size of a configuration file, or of another file that it names, in bytes. A larger file is reported as
/// an error.
pub const FILE_SIZE_MAX: usize = 4 * 1024 * 1024;

/// The largest number of entries of a folder that are read. Further entries are ignored.
const ENTRIES_MAX: usize = 100_000;

/// The spare capacity of a buffer, in bytes. With it, reading to the end of a file neither makes the buffer grow nor
/// uses another one.
const ROOM_FOR_THE_END: usize = 64;

/// The environment variables and files that a configuration names. Tests implement the trait without real files.
pub trait Environment {
    /// Returns an environment variable; `None` if it isn't set or isn't Unicode.
    fn variable(&self, name: &str) -> Option<String>;

    /// Returns the bytes of a file. Of a file larger than [`FILE_SIZE_MAX`], more than that many bytes are returned,
    /// but not necessarily all.
    ///
    /// # Errors
    ///
    /// Returns the error of the system if the file can't be read.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Returns the names of the files and folders in a folder, in any order.
    ///
    /// # Errors
    ///
    /// Returns the error of the system, also if the path isn't a folder.
    fn entries(&self, _folder: &Path) -> io::Result<Vec<String>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Returns the permissions of a file; `None` if they aren't known.
    fn permissions(&self, _path: &Path) -> Option<Permissions> {
        None
    }

    /// Returns a substitute for the secret of a reference if this environment opens no secrets, and `None` otherwise.
    /// Equal references have equal substitutes.
    fn invented(&self, _reference: &str) -> Option<Vec<u8>> {
        None
    }

    /// Returns the addresses that replace those in the configuration.
    fn addresses(&self) -> Addresses {
        Addresses::default()
    }

    /// Returns whether the process runs in a container. The loopback address of a container can't be reached from
    /// outside.
    fn is_container(&self) -> bool {
        false
    }
}

/// Addresses from the command line or the environment, which replace those in a configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// The address that replaces the only listener's; `None` if the command has none.
    pub listen: Option<SocketAddr>,
    /// The address that replaces the admin listener's; `None` if the command has none.
    pub admin: Option<SocketAddr>,
}

/// The permissions of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// The POSIX file mode. Its lowest nine bits are the permissions.
    pub mode: u32,
    /// The user id of the owner; 0 is root.
    pub owner: u32,
}

impl Permissions {
    /// Returns whether every account of the machine may write the file.
    #[must_use]
    pub fn lets_everybody_write(self) -> bool {
        self.mode & 0o002 != 0
    }

    /// Returns whether accounts other than the owner's may read the file. If root owns the file, its group may read it
    /// too: an administrator has chosen that group.
    #[must_use]
    pub fn lets_others_read(self) -> bool {
        let by_group = self.mode & 0o040 != 0 && self.owner != 0;
        by_group || self.mode & 0o004 != 0
    }
}

/// The environment and the files of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessEnvironment {
    /// The addresses from the command line.
    pub addresses: Addresses,
}

impl Environment for ProcessEnvironment {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = std::fs::File::open(path)?;
        let most = u64::try_from(FILE_SIZE_MAX).unwrap_or(u64::MAX);
        // The file may contain a key. A buffer that grows leaves a copy of its bytes in memory, so this buffer has its
        // full capacity from the beginning.
        let length = usize::try_from(file.metadata()?.len().min(most)).unwrap_or(FILE_SIZE_MAX);
        let mut bytes = Vec::with_capacity(length + ROOM_FOR_THE_END);
        // One byte more than the limit shows that the file is too large.
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

    /// Returns whether a file exists that Docker or Podman creates in containers, or the variable is set that
    /// Kubernetes sets.
    fn is_container(&self) -> bool {
        let has_file = ["/.dockerenv", "/run/.containerenv"].iter().any(|path| Path::new(path).exists());
        has_file || std::env::var_os("KUBERNETES_SERVICE_HOST").is_some()
    }
}

/// An environment that opens no secrets, for checks on a machine that doesn't have them, such as in a pull request. The
/// form of each reference is checked, and a hash of the reference replaces the secret.
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
