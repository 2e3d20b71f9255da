//! Reading of recorded exchanges from files: HTTP archives, contracts of dialects, and folders of both.

use std::{
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
};

use super::super::{Failure, report};
use cursorgate_config::{ProcessEnvironment, load_exchanges};
use cursorgate_learn::recording::{RecordedExchange, Recording, har};

/// The largest size of an archive, in bytes. Larger archives are refused.
const ARCHIVE: u64 = 64 << 20;
/// The largest number of archives and contracts in a folder. A folder with more of them is refused.
const FILES: usize = 1_000;

/// Reads the recorded exchanges with the upstream at a URL.
pub(super) fn read(paths: &[PathBuf], url: &str) -> Result<Recording, Failure> {
    let mut exchanges = Vec::new();
    for path in paths {
        for file in files(path)? {
            exchanges.extend(of_file(&file, url)?);
        }
    }
    Ok(Recording::new(exchanges))
}

/// Returns the path of a file, or for a folder the paths of its `.har` and `.toml` files, sorted by name.
fn files(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    let fault = |error| unreadable(path, &error);
    if !fs::metadata(path).map_err(fault)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(fault)? {
        let file = entry.map_err(fault)?.path();
        if file.extension().is_some_and(|kind| kind == "har" || kind == "toml") {
            files.push(file);
        }
        if files.len() > FILES {
            let message = format!("{}: a folder may have at most {FILES} files: name fewer", path.display());
            return Err(Failure::mistaken(message));
        }
    }
    if files.is_empty() {
        let message = format!("{}: the folder has no .har and no .toml file: name another", path.display());
        return Err(Failure::mistaken(message));
    }
    files.sort();
    Ok(files)
}

fn of_file(path: &Path, url: &str) -> Result<Vec<RecordedExchange>, Failure> {
    if path.extension().is_some_and(|kind| kind == "toml") {
        let (exchanges, diagnostics) = load_exchanges(path, &ProcessEnvironment::default());
        report::diagnostics(&diagnostics);
        let fault = || Failure::mistaken(format!("{}: the exchanges can't be read", path.display()));
        return Ok(exchanges.ok_or_else(fault)?.iter().map(RecordedExchange::of_contract).collect());
    }
    let mut text = Vec::new();
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    file.take(ARCHIVE + 1).read_to_end(&mut text).map_err(|error| unreadable(path, &error))?;
    if text.len() as u64 > ARCHIVE {
        let most = ARCHIVE >> 20;
        let message =
            format!("{}: the archive is larger than {most} MiB: save only the requests for the list", path.display());
        return Err(Failure::mistaken(message));
    }
    let read = har::read(&text, url).map_err(|fault| Failure::mistaken(format!("{}: {fault}", path.display())))?;
    if read.incomplete > 0 {
        let count = report::count(read.incomplete, "exchange");
        report::note(&format!(
            "{}: {count} without an answer, or with one whose body was not saved: save the archive with content, and \
             without the browser's cache",
            path.display()
        ));
    }
    Ok(read.exchanges)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::mistaken(format!("{} can't be read: {error}", path.display()))
}
