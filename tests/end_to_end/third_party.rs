//! Real third-party servers as upstreams: json-server from npm, and an application of Django REST framework from PyPI.
//! `make test-env` installs them below the target directory. Each test starts its own server, on a free port.

use std::{
    io::{BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
};

use serde_json::Value;

use crate::harness::{Directory, http};

/// The kind of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// json-server 0.17, which pages by `_start` and `_end`, without a cap.
    JsonServer,
    /// Django REST framework with `PageNumberPagination`, which pages by `page` and by `page_size` up to 100.
    Django,
}

/// A third-party server, while it runs.
pub(crate) struct ThirdParty {
    /// The address of the server.
    pub(crate) address: SocketAddr,
    kind: Kind,
    child: Child,
    // The server ends when its standard input is closed, which happens even if this process is killed.
    _input: ChildStdin,
    _directory: Directory,
}

impl Kind {
    /// Returns the name by which the walkers know the server.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::JsonServer => "json-server",
            Self::Django => "django",
        }
    }

    /// Returns the path of the users at the upstream.
    pub(crate) fn users(self) -> &'static str {
        match self {
            Self::JsonServer => "/users",
            Self::Django => "/api/users/",
        }
    }

    /// Returns the path of one user's orders at the upstream.
    pub(crate) fn orders(self, user: u32) -> String {
        match self {
            Self::JsonServer => format!("/users/{user}/orders"),
            Self::Django => format!("/api/users/{user}/orders/"),
        }
    }

    /// Returns the configuration of a gateway in front of a server of this kind, with `/v2/users` and
    /// `/v2/users/{user}/orders`.
    pub(crate) fn configuration(self, address: SocketAddr) -> String {
        let (dialect, users, orders) = match self {
            Self::JsonServer => ("json-server-0.17", "/users", "/users/{user}/orders"),
            Self::Django => ("drf-page", "/api/users/", "/api/users/{user}/orders/"),
        };
        format!(
            r#"
[upstreams.legacy]
peers = ["{address}"]

[defaults]
old_clients = "none"
upstream = "legacy"
dialect = "{dialect}"
page_size = {{ default = 20, max = 250 }}

[routes.users]
path = "/v2/users"
upstream_path = "{users}"
order = ["-created_at", "id"]
sortable = ["created_at", "id"]
fields = {{ created_at = {{ type = "datetime", nulls = "none" }} }}

[routes.orders]
path = "/v2/users/{{user}}/orders"
upstream_path = "{orders}"
order = ["id"]
sortable = ["id"]
"#
        )
    }
}

impl ThirdParty {
    /// Starts a server and waits until it listens.
    pub(crate) fn start(kind: Kind) -> Self {
        let directory = Directory::new();
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/end_to_end/upstreams");
        let mut command = match kind {
            Kind::JsonServer => {
                let mut command = Command::new("node");
                command
                    .env("NODE_PATH", environment("json-server/node_modules"))
                    .arg(sources.join("json-server/server.js"));
                command
            }
            Kind::Django => {
                let mut command = Command::new(python());
                command.arg(sources.join("django/app.py")).arg(directory.path());
                command
            }
        };
        let (child, input, address) = launch(&mut command);
        Self { address, kind, child, _input: input, _directory: directory }
    }

    /// Returns the URL of a path at the server itself.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Returns the configuration of a gateway for this server.
    pub(crate) fn configuration(&self) -> String {
        self.kind.configuration(self.address)
    }

    /// Returns the number of requests that the server has received.
    pub(crate) fn count(&self) -> u64 {
        http::get(self.address, "/__count").json()["requests"].as_u64().expect("a count")
    }
}

impl Drop for ThirdParty {
    fn drop(&mut self) {
        // The server may have ended already, so an error is ignored.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a server that prints `port N` once it listens, and ends when its standard input is closed. Returns the
/// process, its standard input and its address.
pub(crate) fn launch(command: &mut Command) -> (Child, ChildStdin, SocketAddr) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|fault| panic!("{command:?}: {fault}; `make test-env` installs what it needs"));
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut line).expect("text");
    let port = line.trim().strip_prefix("port ").and_then(|port| port.parse().ok());
    let port: u16 = port.unwrap_or_else(|| panic!("{command:?} says {line:?} instead of its port"));
    let input = child.stdin.take().expect("it is piped");
    (child, input, SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

/// A program that [`launch`] has started. Dropping it ends the process.
pub(crate) struct Program {
    /// The address at which the program listens.
    pub(crate) address: SocketAddr,
    child: Child,
    // The program ends when its standard input is closed.
    _input: ChildStdin,
}

impl Program {
    /// Starts a program, and waits until it listens.
    pub(crate) fn start(command: &mut Command) -> Self {
        let (child, input, address) = launch(command);
        Self { address, child, _input: input }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // The program may have ended already, so an error is ignored.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the path of the Python that has the packages of `requirements.txt`.
pub(crate) fn python() -> PathBuf {
    environment("python/bin/python")
}

/// Runs the JavaScript module `file` in the folder `packages`, with the packages of the test environment of the same
/// name. Returns the JSON that the module prints.
pub(crate) fn run_module(packages: &str, file: &str, arguments: &[&str]) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/end_to_end");
    let program = folder.join(packages).join(file);
    let mut command = Command::new("timeout");
    command.arg("300").env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1").env("NODE_NO_WARNINGS", "1");
    // Node.js resolves the imports of a program on standard input from the working directory, so the program runs in
    // the folder with the packages.
    command.args(["node", "--input-type=module", "-"]).current_dir(environment(packages));
    command.stdin(std::fs::File::open(&program).expect("a client"));
    let output = command.args(arguments).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{file} {arguments:?}: {}\n{said}{complaints}", output.status);
    assert_eq!(complaints, "", "{file} {arguments:?}");
    serde_json::from_str(&said).unwrap_or_else(|fault| panic!("{file} {arguments:?}: {fault}\n{said}"))
}

/// Returns the path of a file or folder that `make test-env` has installed.
pub(crate) fn environment(path: &str) -> PathBuf {
    let root = std::env::var_os("CURSORGATE_TEST_ENV")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-env"), PathBuf::from);
    let path = root.join(path);
    assert!(path.exists(), "{} is not there: `make test-env` installs it", path.display());
    path
}
