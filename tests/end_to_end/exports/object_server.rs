//! A real server of objects that speaks S3 and verifies signatures, in its own folder, which ends with its test.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
};

use crate::{
    harness::{
        Directory, eventually,
        gateway::{free_port, signal},
        http,
    },
    third_party::environment,
};

/// The number of attempts to start a server, whose port another process may take first.
const STARTS: usize = 5;

const ID: &str = "canary-id-of-the-key";

/// The secret of the access key, which no log may show.
pub(super) const SECRET: &str = "canary-secret-of-the-key";

/// A running server with an empty bucket.
pub(super) struct ObjectServer {
    port: u16,
    child: Child,
    directory: Arc<Directory>,
}

impl ObjectServer {
    pub(super) fn start() -> Self {
        let directory = Arc::new(Directory::new());
        std::fs::create_dir_all(directory.file("data/results")).expect("a folder for the bucket");
        for (name, text) in [("id", ID), ("secret", SECRET), ("other", "another-secret")] {
            std::fs::write(directory.file(name), text).expect("a file in the test's directory");
        }
        for _ in 0..STARTS {
            let port = free_port();
            let child = launch(directory.path(), port);
            let mut server = Self { port, child, directory: Arc::clone(&directory) };
            if server.listens() {
                return server;
            }
        }
        panic!("no server after {STARTS} starts, each on another port");
    }

    /// Returns the tables that make this server the object store of exports. `secret` is the name of the file with the
    /// secret of the access key.
    pub(super) fn tables(&self, secret: &str) -> String {
        let Self { port, directory, .. } = self;
        format!(
            "\n[services.exports.objects]\nupstream = \"storage\"\nbucket = \"s3://results/of/exports\"\n\
             access_key_id = \"file:{}\"\nsecret_access_key = \"file:{}\"\n\n\
             [upstreams.storage]\npeers = [\"127.0.0.1:{port}\"]\n",
            directory.file("id").display(),
            directory.file(secret).display(),
        )
    }

    /// Returns the objects with results that are in the bucket.
    pub(super) fn objects(&self) -> Vec<PathBuf> {
        let mut found = files(&self.directory.file("data/results/of/exports"));
        found.retain(|file| !file.ends_with("probe"));
        found
    }

    /// Kills the server. Its data stay.
    pub(super) fn stop(&mut self) {
        signal(self.child.id(), "KILL");
        let child = &mut self.child;
        eventually("the server of objects ends", || child.try_wait().expect("it is our child"));
    }

    /// Starts the server again, with its data.
    pub(super) fn start_again(&mut self) {
        eventually("the server of objects starts again", || {
            self.child = launch(self.directory.path(), self.port);
            self.listens().then_some(())
        });
    }

    /// Waits until the server answers. Returns `false` if it has ended.
    fn listens(&mut self) -> bool {
        let address = ([127, 0, 0, 1], self.port).into();
        eventually("the server of objects answers", || {
            if self.child.try_wait().expect("it is our child").is_some() {
                return Some(false);
            }
            http::Connection::open(address).is_ok().then_some(true)
        })
    }
}

impl Drop for ObjectServer {
    fn drop(&mut self) {
        // The server may have ended already, so an error is ignored.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn launch(directory: &Path, port: u16) -> Child {
    // The server is killed when this thread ends.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(environment("s3s-fs/bin/s3s-fs"));
    command.args(["--host", "127.0.0.1", "--port", &port.to_string(), "--access-key", ID, "--secret-key", SECRET]);
    command.arg(directory.join("data")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("util-linux is installed")
}

/// Returns the files in a directory and its subdirectories; none if it isn't there.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.flat_map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { vec![entry.path()] }).collect()
}
