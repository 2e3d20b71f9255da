//! Tests of the files in `deploy` against the program: names of metrics, paths of health checks, keys of
//! configurations, and times that depend on each other. The syntax of each format is checked by its own tools.
#![cfg(test)]

#[path = "../harness/mod.rs"]
mod harness;

mod commit;
mod compose;
mod dashboard;
mod helm;
mod image;
mod kubernetes;
mod metrics;
mod rules;
mod systemd;

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::Value;

use crate::harness::{Directory, gateway};

/// Returns the path of a file of the repository.
fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Returns the text of a file of the repository.
fn text(path: &str) -> String {
    fs::read_to_string(file(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns a command from a Python or npm package of the test environment.
fn installed(path: &str) -> Command {
    let environment = std::env::var_os("CURSORGATE_TEST_ENV").map(PathBuf::from);
    let environment = environment.unwrap_or_else(|| file("target/test-env"));
    let tool = environment.join(path);
    assert!(tool.exists(), "{} is missing: `make test-env` installs it", tool.display());
    Command::new(tool)
}

/// Returns `promtool` of the test environment, otherwise the system's.
fn promtool() -> Command {
    let environment = std::env::var_os("CURSORGATE_TEST_ENV").map_or_else(|| file("target/test-env"), PathBuf::from);
    let tool = environment.join("promtool/usr/bin/promtool");
    Command::new(if tool.exists() { tool } else { "promtool".into() })
}

/// Runs a command that must succeed, and returns its standard output and standard error.
fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{said}", output.status);
    said
}

/// Returns the documents of YAML files, with aliases resolved.
fn documents(paths: &[&str]) -> Vec<Value> {
    let mut python = installed("deploy/python/bin/python");
    python.arg(file("tests/deploy/documents.py")).args(paths.iter().map(|path| file(path)));
    serde_json::from_str(&succeed(&mut python)).expect("a list of documents")
}

/// Parses the TOML of a configuration, without checking its keys.
fn table(configuration: &str) -> Value {
    let mut python = installed("deploy/python/bin/python");
    python.arg(file("tests/deploy/documents.py")).arg("-").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut python = python.spawn().expect("it starts");
    python.stdin.take().expect("it is piped").write_all(configuration.as_bytes()).expect("it reads");
    let output = python.wait_with_output().expect("it ends");
    let mut tables: Vec<Value> = serde_json::from_slice(&output.stdout).expect("a table");
    tables.remove(0)
}

/// Runs `cursorgate check` on a configuration whose keys are files in the folder `keys`. For each of `names`, the
/// folder contains a file with the content `secret`. Returns whether the command succeeded, and its report.
fn check(configuration: &str, keys: &str, names: &[&str], secret: &str) -> (bool, String) {
    let directory = Directory::new();
    for name in names {
        fs::write(directory.file(name), secret).expect("a file of the test");
    }
    let here = directory.path().to_str().expect("a path of text");
    let path = directory.file("cursorgate.toml");
    fs::write(&path, configuration.replace(keys, here)).expect("a file of the test");
    let output = gateway::command().arg("check").arg("--config").arg(&path).output().expect("it runs");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), said)
}

/// Parses a duration of a configuration or a manifest, in seconds.
fn seconds(text: &str) -> Duration {
    let number = text.strip_suffix('s').unwrap_or(text);
    Duration::from_secs(number.parse().unwrap_or_else(|_| panic!("{text} is not in seconds")))
}

/// Returns the longest time that a process takes to stop: `drain_delay` plus `shutdown_timeout`, from the configuration
/// or the defaults.
fn time_to_stop(configuration: &str) -> Duration {
    let table = table(configuration);
    let time = |key: &str, default| table["server"][key].as_str().map_or(default, seconds);
    time("drain_delay", Duration::ZERO) + time("shutdown_timeout", Duration::from_secs(25))
}
