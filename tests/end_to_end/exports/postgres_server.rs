//! Real PostgreSQL servers, each in its own folder, which end with their test.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use rustix::process::geteuid;
use tokio_postgres::{NoTls, SimpleQueryMessage};

use crate::harness::{
    Directory, eventually,
    gateway::{free_port, signal},
};

/// The number of attempts to start a server, whose port another process may take first.
const STARTS: usize = 5;

/// The account of the server if this process runs as root, since PostgreSQL refuses to run as root.
const ACCOUNT: &str = "postgres";

/// The password of the gateway's user.
pub(crate) const PASSWORD: &str = "canary-password-of-the-database";

/// A running server with a database for gateways, and a user that owns only this database.
pub(crate) struct PostgresServer {
    pub(crate) port: u16,
    /// The folder of the data. It is in the directory of temporary files, because the server's account can't access
    /// other folders.
    data: PathBuf,
    options: Vec<String>,
    child: Child,
    secrets: Directory,
}

impl PostgresServer {
    /// Starts a server with default settings.
    pub(crate) fn start() -> Self {
        Self::start_with(|_| Vec::new())
    }

    /// Starts a server with additional settings, which `settings` returns for the folder of the data.
    pub(crate) fn start_with(settings: impl Fn(&Path) -> Vec<String>) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        for _ in 0..STARTS {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = format!("cursorgate-postgres-{}-{number}", std::process::id());
            let (data, port) = (std::env::temp_dir().join(name), free_port());
            initialise(&data);
            let mut options = settings(&data);
            own(&data);
            options.extend([
                "listen_addresses=127.0.0.1".to_owned(),
                format!("port={port}"),
                format!("unix_socket_directories={}", data.display()),
                "fsync=off".to_owned(),
                "log_min_messages=panic".to_owned(),
            ]);
            let secrets = Directory::new();
            let file = secrets.file("password");
            std::fs::write(&file, PASSWORD).expect("a file in the test's directory");
            std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).expect("it is ours");
            let child = launch(&data, &options);
            let mut server = Self { port, data, options, child, secrets };
            if server.listens() {
                server.ask_at("postgres", &format!("CREATE ROLE gateway LOGIN PASSWORD '{PASSWORD}'"));
                server.ask_at("postgres", "CREATE DATABASE exports OWNER gateway");
                return server;
            }
        }
        panic!("no server after {STARTS} starts, each on another port");
    }

    /// Returns the table `[services.exports.postgres]` for this server, with additional lines.
    pub(crate) fn table(&self, lines: &str) -> String {
        self.table_of("exports", lines)
    }

    /// Returns the table of a service for this server, with additional lines.
    pub(crate) fn table_of(&self, service: &str, lines: &str) -> String {
        let Self { port, secrets, .. } = self;
        format!(
            "[services.{service}.postgres]\naddresses = [\"127.0.0.1:{port}\"]\ndatabase = \"exports\"\n\
             username = \"gateway\"\npassword = \"file:{}\"\n{lines}\n",
            secrets.file("password").display()
        )
    }

    /// Executes a statement as the superuser, and returns the first column of its rows.
    pub(crate) fn ask(&self, statement: &str) -> Vec<String> {
        self.ask_at("exports", statement)
    }

    fn ask_at(&self, database: &str, statement: &str) -> Vec<String> {
        self.answer(database, statement).expect("the server answers")
    }

    fn answer(&self, database: &str, statement: &str) -> Result<Vec<String>, tokio_postgres::Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut config = tokio_postgres::Config::new();
            config.host_path(&self.data).port(self.port).user("root").dbname(database);
            let (client, connection) = config.connect(NoTls).await?;
            let driver = tokio::spawn(connection);
            let messages = client.simple_query(statement).await?;
            drop(client);
            let _ = driver.await;
            let rows = messages.into_iter().filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or_default().to_owned()),
                _ => None,
            });
            Ok(rows.collect())
        })
    }

    /// Waits until the server answers. Returns `false` if it has ended.
    fn listens(&mut self) -> bool {
        eventually("the database answers", || {
            if self.child.try_wait().expect("it is our child").is_some() {
                return Some(false);
            }
            self.answer("postgres", "SELECT 1").is_ok().then_some(true)
        })
    }

    /// Stops the server, which closes all connections.
    pub(crate) fn stop(&mut self) {
        signal(self.child.id(), "INT");
        let child = &mut self.child;
        eventually("the database ends", || child.try_wait().expect("it is our child"));
    }

    /// Starts the server again, with its data.
    pub(crate) fn start_again(&mut self) {
        eventually("the database starts again", || {
            self.child = launch(&self.data, &self.options);
            self.listens().then_some(())
        });
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        // The server may have ended already, so an error is ignored.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.data);
    }
}

/// Returns the path of a PostgreSQL program in Debian's folder for the newest version, or else its bare name.
fn program(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions.map(|version| version.path().join("bin").join(name)).filter(|path| path.exists()).max();
    newest.unwrap_or_else(|| PathBuf::from(name))
}

/// Returns a command that runs as the server's account. Its process is killed when this thread ends.
fn as_server(name: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if geteuid().is_root() {
        command.args(["--reuid", ACCOUNT, "--regid", ACCOUNT, "--clear-groups"]);
    }
    command.arg(program(name)).current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn initialise(data: &Path) {
    std::fs::create_dir_all(data).expect("a folder for temporary files");
    own(data);
    let mut command = as_server("initdb");
    command.args(["--auth-local=trust", "--auth-host=scram-sha-256", "--username=root", "--encoding=UTF8"]);
    let status = command.arg("--no-sync").arg("--pgdata").arg(data).status();
    assert!(status.expect("util-linux is installed").success(), "initdb: `make test-env` installs PostgreSQL");
}

/// Makes the server's account the owner of a folder.
fn own(data: &Path) {
    if geteuid().is_root() {
        let status = Command::new("chown").arg("-R").arg(ACCOUNT).arg(data).status();
        assert!(status.expect("coreutils are installed").success(), "chown");
    }
}

fn launch(data: &Path, options: &[String]) -> Child {
    let mut command = as_server("postgres");
    command.arg("-D").arg(data);
    for option in options {
        command.args(["-c", option]);
    }
    command.spawn().expect("util-linux is installed")
}
