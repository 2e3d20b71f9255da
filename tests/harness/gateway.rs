//! The gateway under test as a process of the real binary, which ends with the test.

use std::{
    io::{BufRead, BufReader, Read},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::Value;

use super::{
    Directory, eventually,
    http::{self, Response},
    now,
};

/// The signing secret of the gateway under test: any text of at least 32 bytes.
pub(crate) const KEY: &str = "a-key-of-the-tests-and-of-nothing-else";
/// A second secret, for rotation.
pub(crate) const OTHER_KEY: &str = "another-key-of-the-tests-and-nothing-else";
/// The message of a debug build if the independent checker can't confirm a page from its answers.
const UNFOUNDED: &str = "a page does not follow from its answers";
/// The target of the log line of a panic, which fails only its own request.
const PANICKED: &str = "\"target\":\"cursorgate::panic\"";
/// The number of attempts to start a gateway: another process may take its port first.
const STARTS: usize = 5;
/// The time without new lines after which the output counts as complete. At most `SETTLING_ROUNDS` such waits are made.
const SETTLING: Duration = Duration::from_millis(30);
const SETTLING_ROUNDS: usize = 20;
/// The longest time to wait for requests in flight before metrics are returned.
const COUNTING: Duration = Duration::from_millis(500);

/// A running gateway. Dropping it ends the process and its successors.
pub(crate) struct Gateway {
    /// The address for clients.
    pub(crate) public: SocketAddr,
    /// The address for operators.
    pub(crate) admin: SocketAddr,
    child: Child,
    /// The latest process that has taken over from the first one; `None` before a handover.
    successor: Option<u32>,
    output: Output,
    directory: Directory,
}

/// The lines of both output streams of the process so far.
#[derive(Clone, Default)]
struct Output(Arc<(Mutex<Written>, Condvar)>);

#[derive(Default)]
struct Written {
    lines: Vec<String>,
    reading: Reading,
}

/// The treatment of the process's output.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Reading {
    /// The output is read continuously.
    #[default]
    Goes,
    /// The output is not read.
    Rests,
    /// The pipe is closed at the next output.
    Ends,
}

impl Output {
    fn collect(&self, stream: impl Read + Send + 'static) {
        let output = self.clone();
        thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                let (_, changed) = &*output.0;
                // While the reader waits, the pipe fills up. Test: `a_log_without_a_reader_stops_no_request`.
                let written = changed.wait_while(output.written(), |written| written.reading == Reading::Rests);
                let mut written = written.unwrap_or_else(PoisonError::into_inner);
                written.lines.push(line);
                // The pipe is dropped after the loop, so further writes to it fail. Test:
                // `a_log_that_cannot_be_written_stops_no_request`.
                if written.reading == Reading::Ends {
                    break;
                }
            }
        });
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, reading: Reading) {
        self.written().reading = reading;
        self.0.1.notify_all();
    }

    /// Waits until no more lines are written, and returns all lines. The process writes the lines of some milliseconds
    /// together.
    fn lines(&self) -> Vec<String> {
        let mut count = self.written().lines.len();
        // The number of rounds is limited, because a process under load does not stop writing.
        for _ in 0..SETTLING_ROUNDS {
            thread::sleep(SETTLING);
            let before = std::mem::replace(&mut count, self.written().lines.len());
            if before == count {
                break;
            }
        }
        self.written().lines.clone()
    }
}

/// Returns the path of the binary under test: the one that Cargo built for this test, unless `CURSORGATE_BIN` names
/// another.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("CURSORGATE_BIN")
        .or_else(|| option_env!("CARGO_BIN_EXE_cursorgate").map(Into::into))
        .map(PathBuf::from)
        .expect("cargo builds the binary for its integration tests; elsewhere CURSORGATE_BIN names one")
}

/// Returns a command for the binary, with the keys of the tests in its environment and an empty standard input.
pub(crate) fn command() -> Command {
    prepared(Command::new(binary()))
}

fn prepared(mut command: Command) -> Command {
    command.env("CURSORGATE_KEY_1", KEY).env("CURSORGATE_KEY_2", OTHER_KEY).stdin(Stdio::null());
    command
}

/// Returns a port without a listener. It is below the range of ports for outgoing connections, and each call returns
/// another port. Other processes therefore rarely take it before it is used, and callers retry if one does.
pub(crate) fn free_port() -> u16 {
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 12_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Test binaries that run in parallel start at different ports, which the process id chooses.
    let start = std::process::id().wrapping_mul(97) % COUNT;
    loop {
        let port = FIRST + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        let port = u16::try_from(port).expect("below 32,000");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// Makes a control group with this much memory below the one of this process. Returns `None` where that isn't possible,
/// which is usual: the group must be delegated with its memory (cgroups(7), version 2). Groups without processes cost
/// nothing, so this one stays.
fn control_group(memory: u64) -> Option<PathBuf> {
    let own = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let folder = PathBuf::from("/sys/fs/cgroup").join(own);
    let delegated = std::fs::read_to_string(folder.join("cgroup.subtree_control")).ok()?;
    if !delegated.split_whitespace().any(|controller| controller == "memory") {
        return None;
    }
    let made = folder.join(format!("cursorgate-tests-{}", std::process::id()));
    std::fs::create_dir_all(&made).ok()?;
    std::fs::write(made.join("memory.max"), memory.to_string()).ok()?;
    let _ = std::fs::write(made.join("memory.swap.max"), "0");
    Some(made)
}

impl Gateway {
    /// Starts a gateway with this configuration, to which listeners, log and cursor keys are added, and waits until it
    /// serves.
    pub(crate) fn start(configuration: &str) -> Self {
        Self::start_with(Keys::One, configuration)
    }

    /// Starts a gateway with other cursor keys.
    pub(crate) fn start_with(keys: Keys, configuration: &str) -> Self {
        Self::start_by(keys, configuration, || (command(), Stdio::piped()))
    }

    /// Starts a gateway whose addresses come from its environment, in place of the addresses in the file.
    pub(crate) fn start_elsewhere(configuration: &str) -> Self {
        let nowhere = || SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let in_file = |_, _| whole(nowhere(), nowhere(), Keys::One, configuration);
        Self::start_from(in_file, |public, admin| {
            let mut command = command();
            command.env("CURSORGATE_LISTEN", public.to_string()).env("CURSORGATE_ADMIN", admin.to_string());
            (command, Stdio::piped())
        })
    }

    /// Starts a gateway with exactly this file, which must have [admin] and use CURSORGATE_KEY. Its addresses come from
    /// its environment.
    pub(crate) fn start_as_written(file: &str) -> Self {
        Self::start_from(
            |_, _| file.to_owned(),
            |public, admin| {
                let mut command = command();
                command.env("CURSORGATE_LISTEN", public.to_string()).env("CURSORGATE_ADMIN", admin.to_string());
                command.env("CURSORGATE_KEY", KEY).env("CURSORGATE_PUBLIC_URL", format!("http://{public}"));
                (command, Stdio::piped())
            },
        )
    }

    /// Starts a gateway with another standard error.
    pub(crate) fn start_writing_to(standard_error: impl Fn() -> Stdio, keys: Keys, configuration: &str) -> Self {
        Self::start_by(keys, configuration, || (command(), standard_error()))
    }

    /// Starts a gateway with these soft and hard limits of open files.
    pub(crate) fn start_limited(soft: usize, hard: usize, configuration: &str) -> Self {
        Self::start_by(Keys::One, configuration, || {
            // `prlimit` replaces itself with the gateway, so the process id is the gateway's.
            let mut limited = Command::new("prlimit");
            limited.arg(format!("--nofile={soft}:{hard}")).arg(binary());
            (prepared(limited), Stdio::piped())
        })
    }

    /// Starts a gateway that the system ends if it takes too much memory: in a control group with this much memory if the
    /// machine lets the tests make one, and otherwise with this much address space.
    pub(crate) fn start_confined(group: u64, addresses: u64, configuration: &str) -> Self {
        let made = control_group(group);
        Self::start_by(Keys::One, configuration, || {
            // Both commands replace themselves with the gateway, so the process id is the gateway's.
            let confined = match &made {
                Some(folder) => {
                    let mut shell = Command::new("sh");
                    shell.args(["-c", "echo $$ > \"$1\"; shift; exec \"$@\"", "sh"]);
                    shell.arg(folder.join("cgroup.procs")).arg(binary());
                    shell
                }
                None => {
                    let mut limited = Command::new("prlimit");
                    limited.arg(format!("--as={addresses}")).arg(binary());
                    limited
                }
            };
            (prepared(confined), Stdio::piped())
        })
    }

    fn start_by(keys: Keys, configuration: &str, launch: impl Fn() -> (Command, Stdio)) -> Self {
        Self::start_from(|public, admin| whole(public, admin, keys, configuration), |_, _| launch())
    }

    /// Starts a gateway with the file and the command that these functions return for its addresses.
    fn start_from(
        text: impl Fn(SocketAddr, SocketAddr) -> String,
        launch: impl Fn(SocketAddr, SocketAddr) -> (Command, Stdio),
    ) -> Self {
        for _ in 0..STARTS {
            let public = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
            let admin = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
            let directory = Directory::new();
            let file = directory.file("cursorgate.toml");
            std::fs::write(&file, text(public, admin)).expect("a file in the test's directory");
            let (mut command, standard_error) = launch(public, admin);
            let output = Output::default();
            let child = spawn(command.stderr(standard_error), &file, &output);
            let mut gateway = Self { public, admin, child, successor: None, output, directory };
            if gateway.wait_until_it_serves() {
                return gateway;
            }
        }
        panic!("no gateway after {STARTS} starts, each on other ports");
    }

    /// Stops the process by SIGTERM, and starts another one with the same file and the same addresses.
    pub(crate) fn restart(&mut self) {
        self.signal("TERM");
        assert!(self.ended().success(), "{}", self.log().join("\n"));
        let file = self.directory.file("cursorgate.toml");
        self.child = spawn(command().stderr(Stdio::piped()), &file, &self.output);
        assert!(self.wait_until_it_serves(), "its addresses are free");
    }

    /// Waits until the gateway serves. Returns `false` if another process has one of the ports.
    fn wait_until_it_serves(&mut self) -> bool {
        let deadline = now() + super::PATIENCE;
        loop {
            // `os error 98` is EADDRINUSE on Linux. The log is checked first, because the process also ends for this
            // reason, and the caller then makes another attempt.
            let taken = self.log().iter().any(|line| line.contains("os error 98"));
            if taken {
                return false;
            }
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                panic!("the gateway ended with {status}:\n{}", self.log().join("\n"));
            }
            if self.listens(self.public) && self.listens(self.admin) && self.is_healthy() {
                return true;
            }
            assert!(now() < deadline, "the gateway doesn't serve:\n{}", self.log().join("\n"));
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Returns whether the admin listener answers the health check with 200.
    pub(crate) fn is_healthy(&self) -> bool {
        http::Connection::open(self.admin)
            .and_then(|mut connection| connection.request("GET", "/healthz", &[("Connection", "close")], b""))
            .is_ok_and(|response| response.status == 200)
    }

    /// Returns whether this process listens at the address, and not another process that took the port first.
    fn listens(&self, address: SocketAddr) -> bool {
        let process = PathBuf::from(format!("/proc/{}", self.child.id()));
        // The kernel writes addresses in the byte order of the machine. 0A is the state of listening sockets.
        let wanted = format!("0100007F:{:04X}", address.port());
        let Ok(table) = std::fs::read_to_string(process.join("net/tcp")) else {
            return false;
        };
        let Some(inode) = table.lines().find_map(|line| {
            let columns = line.split_whitespace().collect::<Vec<_>>();
            (columns.get(1) == Some(&wanted.as_str()) && columns.get(3) == Some(&"0A"))
                .then(|| columns.get(9).copied())?
        }) else {
            return false;
        };
        let descriptors = match std::fs::read_dir(process.join("fd")) {
            Ok(descriptors) => descriptors,
            // Only root may inspect a process that is not dumpable. For others, the process counts as listening.
            Err(fault) => return fault.kind() == std::io::ErrorKind::PermissionDenied,
        };
        let socket = format!("socket:[{inode}]");
        descriptors
            .filter_map(|descriptor| std::fs::read_link(descriptor.ok()?.path()).ok())
            .any(|target| target.to_string_lossy() == socket)
    }

    /// Sends a GET on a new connection.
    pub(crate) fn get(&self, target: &str) -> Response {
        http::get(self.public, target)
    }

    /// Sends a request on a new connection.
    pub(crate) fn send(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        http::send(self.public, method, target, headers, body)
    }

    /// Opens a connection to the address for clients.
    pub(crate) fn connect(&self) -> http::Connection {
        http::Connection::open(self.public).expect("the gateway listens")
    }

    /// Returns the URL of a path at the address for clients.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.public)
    }

    /// Returns all lines of output so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.output.lines()
    }

    /// Sets the treatment of the output.
    pub(crate) fn read_log(&self, reading: Reading) {
        self.output.read(reading);
    }

    /// Returns the metrics after the requests so far. Waits until no request is in flight, for at most [`COUNTING`]: a
    /// request is counted when it ends, which may be after its client has the answer.
    pub(crate) fn metrics(&self) -> Response {
        let deadline = now() + COUNTING;
        loop {
            let metrics = http::get(self.admin, "/metrics");
            if metrics.text().contains("\ncursorgate_requests_in_flight 0\n") || now() >= deadline {
                return metrics;
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Returns the value of a sample, by its name and labels as they are written, such as `name{label="value"}`;
    /// `None` if the metrics lack it.
    pub(crate) fn metric(&self, sample: &str) -> Option<u64> {
        let metrics = self.metrics();
        let line = metrics.text().lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '))?;
        Some(line.parse().expect("a number"))
    }

    /// Returns the lines of the access log so far.
    pub(crate) fn access_log(&self) -> Vec<Value> {
        self.log()
            .iter()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|line| line["target"] == "cursorgate::access")
            .collect()
    }

    /// Returns the peak resident memory in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        self.memory("VmHWM:")
    }

    /// Returns the resident memory in bytes.
    pub(crate) fn resident_memory(&self) -> u64 {
        self.memory("VmRSS:")
    }

    fn memory(&self, which: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(which)).expect("Linux says it");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number of KiB") * 1024
    }

    /// Replaces the configuration in the file, with the same listeners and with these keys.
    pub(crate) fn rewrite(&self, keys: Keys, configuration: &str) {
        self.rewrite_raw(&whole(self.public, self.admin, keys, configuration));
    }

    /// Returns the text of the configuration file.
    pub(crate) fn configuration(&self) -> String {
        std::fs::read_to_string(self.directory.file("cursorgate.toml")).expect("it was written")
    }

    /// Writes any text to the configuration file.
    pub(crate) fn rewrite_raw(&self, text: &str) {
        // The file is replaced atomically, so a reload never reads an incomplete file.
        let draft = self.directory.file("draft.toml");
        std::fs::write(&draft, text).expect("a file in the test's directory");
        std::fs::rename(&draft, self.directory.file("cursorgate.toml")).expect("a file in the test's directory");
    }

    /// Returns the path of a file next to the configuration.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.file(name)
    }

    /// Returns the process id of the latest successor, or of the first process if it has none.
    pub(crate) fn process(&self) -> u32 {
        self.successor.unwrap_or_else(|| self.child.id())
    }

    /// Sends a signal, as `kill -NAME` does.
    pub(crate) fn signal(&self, name: &str) {
        signal(self.process(), name);
    }

    /// Makes the process hand over to a successor, which this value represents from then on. Returns the id of the
    /// earlier process, which may still answer its clients.
    pub(crate) fn succeed(&mut self) -> u32 {
        // The successors are counted before the signal, since the new one may take over at once.
        let (before, known) = (self.process(), self.successors().len());
        self.signal("USR2");
        self.successor = Some(eventually("a successor takes over", || self.successors().get(known).copied()));
        before
    }

    /// Returns the ids of the processes that have taken over so far, from the log.
    fn successors(&self) -> Vec<u32> {
        let log = self.log();
        let lines = log.iter().filter(|line| line.contains("handed over"));
        lines
            .filter_map(|line| serde_json::from_str::<Value>(line).ok()?["process"].as_u64()?.try_into().ok())
            .collect()
    }

    /// Makes the process unable to open files.
    pub(crate) fn exhaust_descriptors(&self) {
        let process = self.child.id();
        let open = std::fs::read_dir(format!("/proc/{process}/fd")).expect("it runs");
        let numbers = open.filter_map(|file| file.ok()?.file_name().to_string_lossy().parse::<usize>().ok());
        let next = numbers.max().map_or(0, |last| last + 1);
        // A descriptor below the highest one may be free, so the soft limit is set below all open ones.
        let status =
            Command::new("prlimit").args([format!("--pid={process}"), format!("--nofile={}:{next}", 3)]).status();
        assert!(status.expect("util-linux is installed").success(), "prlimit");
    }

    /// Returns whether the first process runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_none()
    }

    /// Waits for the end of the first process, even if it has a successor.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let child = &mut self.child;
        eventually("the gateway ends", || child.try_wait().expect("it is our child"))
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // The process may have ended already, so an error is ignored.
        let _ = self.child.kill();
        let _ = self.child.wait();
        for successor in self.successors() {
            // If a successor has ended, its id may belong to another program.
            if is_running(successor) {
                signal(successor, "KILL");
            }
        }
        let log = self.output.written().lines.clone();
        // A panic during a panic would abort the process with all other tests, so the log is printed, and the check
        // below is left out.
        if thread::panicking() {
            let last = &log[log.len().saturating_sub(40)..];
            eprintln!("--- the gateway's last words\n{}\n---", last.join("\n"));
            return;
        }
        let is_fault = |line: &&String| line.contains(UNFOUNDED) || line.contains(PANICKED);
        let faults: Vec<&String> = log.iter().filter(is_fault).collect();
        assert!(faults.is_empty(), "{faults:#?}");
    }
}

/// The cursor keys of a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keys {
    /// Key 1, which signs.
    One,
    /// Key 1 signs, key 2 is already valid.
    BothBefore,
    /// Key 2 signs, key 1 is still valid.
    Both,
    /// Only key 2.
    Two,
}

fn spawn(command: &mut Command, file: &std::path::Path, output: &Output) -> Child {
    let command = command.args(["run", "--config"]).arg(file).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|fault| panic!("{}: {fault}", binary().display()));
    output.collect(child.stdout.take().expect("it is piped"));
    if let Some(standard_error) = child.stderr.take() {
        output.collect(standard_error);
    }
    child
}

/// Returns whether a gateway runs with this process id. An ended process that was not waited for (a zombie) does not
/// count.
pub(crate) fn is_running(process: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    status.starts_with("Name:\tcursorgate\n") && !status.contains("State:\tZ")
}

/// Sends a signal to a process.
pub(crate) fn signal(process: u32, name: &str) {
    let status = Command::new("sh").args(["-c", &format!("kill -{name} {process}")]).status().expect("a shell");
    assert!(status.success(), "kill -{name} {process}");
}

fn whole(public: SocketAddr, admin: SocketAddr, keys: Keys, rest: &str) -> String {
    let (signing, keys) = match keys {
        Keys::One => (1, r#"{ 1 = "env:CURSORGATE_KEY_1" }"#),
        Keys::BothBefore => (1, r#"{ 1 = "env:CURSORGATE_KEY_1", 2 = "env:CURSORGATE_KEY_2" }"#),
        Keys::Both => (2, r#"{ 1 = "env:CURSORGATE_KEY_1", 2 = "env:CURSORGATE_KEY_2" }"#),
        Keys::Two => (2, r#"{ 2 = "env:CURSORGATE_KEY_2" }"#),
    };
    // Most tests are about new clients alone.
    let defaults = if rest.contains("[defaults]") { "" } else { "defaults = { old_clients = \"none\" }" };
    let other_paths = if rest.contains("other_paths") { "" } else { "other_paths = \"refuse\"" };
    format!(
        r#"version = 1
{other_paths}
listeners.public = {{ address = "{public}" }}
admin = {{ address = "{admin}", hosts = ["gateway.test"] }}
log = {{ format = "json", level = "info" }}
cursor = {{ signing_key = {signing}, keys = {keys} }}
{defaults}
{rest}"#
    )
}
