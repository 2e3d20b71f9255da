//! A copy of the core and the simulator, in which faults are planted. The copy is a separate workspace, whose build
//! directory is kept, so a fault recompiles only the crates that depend on the changed file.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use crate::fault::Fault;

/// The largest address space of a test process, in KiB. It stops a fault that allocates memory without end.
const MEMORY: u64 = 6 << 20;

/// The folders of the packages that are copied.
const MEMBERS: [&str; 2] = ["crates/core", "crates/sim"];

/// The interval at which a running process is checked.
const POLL: Duration = Duration::from_millis(50);

/// A test program to build.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Build {
    /// The core's unit tests.
    Unit,
    /// The simulator's tests.
    Simulator,
}

/// The result of a run of tests.
#[derive(Debug)]
pub(crate) enum Outcome {
    Passed,
    /// The name of the first test that failed, or the exit status of a process that ended before it named one.
    Failed(String),
    Hung,
}

/// The copy, with the number of walks of the simulator's tests, and the time limit of each build and each run.
#[derive(Debug)]
pub(crate) struct Scratch {
    folder: PathBuf,
    pub(crate) walks: u64,
    limit: Duration,
}

impl Scratch {
    /// Copies the core, the simulator, the page with which a test of the core compares it, the lock file, and the parts
    /// of the workspace's manifest that both packages need.
    pub(crate) fn new(root: &Path, walks: u64, limit: Duration) -> Result<Self, String> {
        let folder = root.join("target/mutants");
        let fill = || -> io::Result<()> {
            for member in MEMBERS {
                copy(&root.join(member), &folder.join(member))?;
            }
            fs::create_dir_all(folder.join("docs"))?;
            fs::copy(root.join("docs/guarantees.md"), folder.join("docs/guarantees.md"))?;
            write(&folder.join("Cargo.toml"), manifest(&fs::read_to_string(root.join("Cargo.toml"))?).as_bytes())?;
            fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).map(drop)
        };
        fill().map_err(|error| format!("{}: {error}", folder.display()))?;
        Ok(Self { folder, walks, limit })
    }

    /// Plants a fault in the copy, runs `work`, and restores the file.
    pub(crate) fn with<T>(&self, fault: &Fault, work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
        let path = self.folder.join("crates/core/src/pagination").join(&fault.file);
        let said = |error: io::Error| format!("{}: {error}", path.display());
        let sound = fs::read_to_string(&path).map_err(said)?;
        fs::write(&path, fault.plant(&sound)?).map_err(said)?;
        // The file is restored even if `work` fails, because the next fault must be planted in the original text.
        let result = work();
        fs::write(&path, sound).map_err(said)?;
        result
    }

    /// Builds a test program, and runs the tests that `arguments` select.
    pub(crate) fn test(&self, build: Build, arguments: &[&str]) -> Result<Outcome, String> {
        let program = self.build(build)?;
        let said = self.folder.join("said.txt");
        let mut command = Command::new("sh");
        // `exec` replaces the shell with the test program, so `run` kills the test program itself and leaves no orphan.
        command.args(["-c", &format!("ulimit -v {MEMORY}; exec \"$@\""), "sh"]).arg(program).args(arguments);
        command.current_dir(self.folder.join("crates/core")).env("WALKS", self.walks.to_string());
        let status = self.run(command, &said, |text| first_failed(text).is_some())?;
        let text = fs::read(&said).map_err(|error| format!("{}: {error}", said.display()))?;
        Ok(match (first_failed(&String::from_utf8_lossy(&text)), status) {
            (Some(failed), _) => Outcome::Failed(failed.to_owned()),
            (None, None) => Outcome::Hung,
            (None, Some(status)) if status.success() => Outcome::Passed,
            // The process ran out of memory or stack, and ended before it named the failed test.
            (None, Some(status)) => Outcome::Failed(status.to_string()),
        })
    }

    /// Builds the simulator as `cargo sim` does, and makes at most `walks` walks. Returns the number of walks made, and
    /// a line of the simulator's report for each guarantee that broke.
    pub(crate) fn broken_guarantees(&self, walks: u64) -> Result<(u64, Vec<String>), String> {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--profile", "sim", "--package", "cursorgate-sim"]).current_dir(&self.folder);
        let target = self.folder.join("target");
        build.env("CARGO_TARGET_DIR", &target);
        let status = self.run(build, &self.folder.join("built.txt"), |_| false)?;
        if !status.is_some_and(|status| status.success()) {
            return Err("it does not build".to_owned());
        }
        let said = self.folder.join("said.txt");
        let mut walk = Command::new("sh");
        walk.args(["-c", &format!("ulimit -v {MEMORY}; exec \"$@\""), "sh"]).arg(target.join("sim/cursorgate-sim"));
        walk.args(["walk", "--walks", &walks.to_string()]).current_dir(&self.folder);
        let status = self.run(walk, &said, |_| false)?;
        let text = fs::read_to_string(&said).map_err(|error| format!("{}: {error}", said.display()))?;
        // "G6 level" means that a page claims a lower level than it could. That breaks no guarantee.
        let is_broken =
            |line: &&str| line.starts_with('G') && !line.starts_with("G6 level") && line.contains(": broken ");
        let mut broken: Vec<String> = text.lines().filter(is_broken).map(str::to_owned).collect();
        // If a walk panics, the simulator ends without a report.
        let walked = text.lines().find_map(|line| line.strip_prefix("walks ")?.split(',').next()?.parse().ok());
        broken.extend((walked.is_none() && status.is_some()).then(|| "the simulator ends early".to_owned()));
        Ok((walked.unwrap_or(0), broken))
    }

    /// Builds a test program, and returns its path. The error contains the compiler's messages.
    fn build(&self, build: Build) -> Result<PathBuf, String> {
        let said = self.folder.join("built.txt");
        let mut command = Command::new(env!("CARGO"));
        command.args(["test", "--quiet", "--no-run", "--message-format", "json", "--package"]);
        match build {
            Build::Unit => command.args(["cursorgate-core", "--lib"]),
            Build::Simulator => command.arg("cursorgate-sim"),
        };
        command.current_dir(&self.folder).env("CARGO_TARGET_DIR", self.folder.join("target"));
        let status = self.run(command, &said, |_| false)?;
        let text = fs::read_to_string(&said).map_err(|error| format!("{}: {error}", said.display()))?;
        let messages = || text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        if !status.is_some_and(|status| status.success()) {
            let error = |message: serde_json::Value| {
                let message = message.get("message")?.clone();
                (message.get("level")? == "error").then(|| message.get("rendered")?.as_str().map(str::to_owned))?
            };
            return Err(format!("it does not build\n{}", messages().filter_map(error).collect::<String>()));
        }
        let program = |message: serde_json::Value| message.get("executable")?.as_str().map(PathBuf::from);
        messages().filter_map(program).next_back().ok_or_else(|| "cargo names no program".to_owned())
    }

    /// Runs a command, with its output in the file `said`, until the command ends. Kills the command if `enough` is
    /// true for the output so far, or if the time limit passes. Returns the exit status; `None` if the command was
    /// killed.
    fn run(
        &self,
        mut command: Command,
        said: &Path,
        enough: impl Fn(&str) -> bool,
    ) -> Result<Option<ExitStatus>, String> {
        let start = || -> io::Result<Child> {
            let out = File::create(said)?;
            command.stdin(Stdio::null()).stderr(out.try_clone()?).stdout(out).spawn()
        };
        let failed = |error: io::Error| format!("cargo, or a test of it, does not run: {error}");
        let mut child = { start }().map_err(failed)?;
        for _ in 0..self.limit.as_millis() / POLL.as_millis() {
            if let Some(status) = child.try_wait().map_err(failed)? {
                return Ok(Some(status));
            }
            if fs::read(said).is_ok_and(|text| enough(&String::from_utf8_lossy(&text))) {
                break;
            }
            thread::sleep(POLL);
        }
        child.kill().and_then(|()| child.wait()).map_err(failed)?;
        Ok(None)
    }
}

/// Returns the name of the first failed test in the output of a test program, which may still be running.
fn first_failed(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"))
}

/// Returns the manifest of the copy: a workspace with only [`MEMBERS`], and the shared settings and profiles of the
/// manifest `text`.
fn manifest(text: &str) -> String {
    let mut wanted = false;
    let shared = text.lines().filter(|line| {
        if let Some(header) = line.strip_prefix('[') {
            wanted = header.starts_with("workspace.") || header.starts_with("profile.");
        }
        wanted
    });
    let shared: Vec<&str> = shared.collect();
    format!("[workspace]\nresolver = \"3\"\nmembers = {MEMBERS:?}\n\n{}\n", shared.join("\n"))
}

/// Makes the folder `to` equal to the folder `from`. Files that are already equal aren't written, because cargo would
/// build them again.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(to)? {
        let entry = entry?;
        let (there, wanted) = (entry.path(), from.join(entry.file_name()));
        match (there.is_dir(), wanted.exists() && wanted.is_dir() == there.is_dir()) {
            (_, true) => {}
            (true, false) => fs::remove_dir_all(there)?,
            (false, false) => fs::remove_file(there)?,
        }
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() { copy(&path, &target)? } else { write(&target, &fs::read(&path)?)? }
    }
    Ok(())
}

/// Writes a file, unless it already has this content.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if fs::read(path).is_ok_and(|there| there == bytes) { Ok(()) } else { fs::write(path, bytes) }
}
