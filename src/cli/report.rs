//! The output of commands to the terminal and to files.

use std::{
    fs::OpenOptions,
    io::{self, IsTerminal, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use super::Failure;
use cursorgate_config::Diagnostics;

/// Writes the result of a command to standard output. If the reader closes the pipe early, as `head` does, this isn't
/// an error.
pub(super) fn output(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Writes a string to standard error. A failure to write it is ignored.
pub(super) fn note(text: &str) {
    // A failure to write to standard error can't be reported.
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Writes a new file, with permissions as of the account's other files, or for its owner alone if `is_secret`. Fails if
/// the file exists.
pub(super) fn create(path: &Path, text: &str, is_secret: bool) -> Result<(), Failure> {
    let mode = if is_secret { 0o600 } else { 0o666 };
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => exists(path),
        _ => Failure::failed(format!("{} can't be written: {error}", path.display())),
    })
}

/// Fails if a file exists that [`create`] would have to overwrite.
pub(super) fn absent(path: &Path) -> Result<(), Failure> {
    match path.symlink_metadata() {
        Ok(_) => Err(exists(path)),
        Err(_) => Ok(()),
    }
}

fn exists(path: &Path) -> Failure {
    let path = path.display();
    Failure::failed(format!("{path} exists, and no file is overwritten: choose another name, or remove it"))
}

/// Writes the reason of a failure to standard error, unless it has been reported.
pub(super) fn failure(failure: &Failure) {
    if !failure.message.is_empty() {
        note(&format!("cursorgate: {}\n", failure.message));
    }
}

/// Writes all diagnostics to standard error.
pub(super) fn diagnostics(diagnostics: &Diagnostics) {
    // An empty `NO_COLOR` doesn't count (<https://no-color.org>).
    let color = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
    let mut text = diagnostics.render(color);
    if !text.is_empty() {
        if !text.ends_with('\n') {
            text.push('\n');
        }
        note(&text);
    }
}

/// Returns the number of errors and warnings in words. Examples: "1 error", "2 errors, 1 warning".
pub(super) fn counts(diagnostics: &Diagnostics) -> String {
    match diagnostics.counts() {
        (errors, 0) => count(errors, "error"),
        (errors, warnings) => format!("{}, {}", count(errors, "error"), count(warnings, "warning")),
    }
}

/// Returns a number with its noun, for the noun `one` in the singular. Examples: "1 route", "2 routes", "no errors".
pub(super) fn count(number: usize, one: &str) -> String {
    match number {
        0 => format!("no {one}s"),
        1 => format!("1 {one}"),
        _ => format!("{number} {one}s"),
    }
}
