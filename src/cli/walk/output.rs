//! The items of a walk as lines, and the state from which an interrupted walk is resumed.
//!
//! Items are written first, and then the state, which contains the length of the file. A resumed walk truncates the
//! file to that length: the items after it belong to a page whose state was not written, and are read again.

use std::{
    ffi::OsString,
    fmt::Write as _,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufWriter, IsTerminal as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::super::Failure;
use super::walker::Walker;
use cursorgate_config::diagnostic::is_hidden;
use cursorgate_core::pagination::answer::Answer;
use cursorgate_tools::walk::{WalkPlace, WalkedPage, comparison::WalkCost};

/// The version of the state's format. A state with another version can't be resumed.
const VERSION: u32 = 1;

/// The largest number of characters of a URL that become a part of a file name. The rest of the URL is left out.
const LONGEST_NAME: usize = 120;

/// The state of an interrupted walk.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct WalkState {
    version: u32,
    url: String,
    /// The place of the next page; `None` before the first page and after the last one.
    pub(super) place: Option<WalkPlace>,
    /// The length of the file with the items, in bytes.
    length: u64,
    pub(super) items: u64,
    pub(super) pages: u64,
    requests: u64,
    bytes: u64,
    milliseconds: u64,
}

impl WalkState {
    pub(super) fn new(url: &str) -> Self {
        let url = url.to_owned();
        Self {
            version: VERSION,
            url,
            place: None,
            length: 0,
            items: 0,
            pages: 0,
            requests: 0,
            bytes: 0,
            milliseconds: 0,
        }
    }

    /// Adds a page to the state.
    pub(super) fn note(&mut self, page: &WalkedPage, walker: &Walker<'_>) {
        self.place.clone_from(&page.next);
        self.items += page.answer.items().len() as u64;
        self.pages += 1;
        self.requests = walker.cost.requests;
        self.bytes = walker.cost.bytes;
        self.milliseconds = u64::try_from(walker.cost.elapsed.as_millis()).unwrap_or(u64::MAX);
    }

    pub(super) fn cost(&self) -> WalkCost {
        WalkCost { requests: self.requests, bytes: self.bytes, elapsed: Duration::from_millis(self.milliseconds) }
    }
}

/// Escapes the characters of JSON that a terminal would obey or hide.
fn escaped(json: &[u8]) -> Vec<u8> {
    let mut escaped = String::with_capacity(json.len());
    for letter in String::from_utf8_lossy(json).chars() {
        match letter {
            // A tab is only between tokens.
            '\t' => escaped.push(' '),
            hidden if is_hidden(hidden) => {
                for unit in hidden.encode_utf16(&mut [0; 2]) {
                    let _ = write!(escaped, "\\u{unit:04x}");
                }
            }
            other => escaped.push(other),
        }
    }
    escaped.into_bytes()
}

/// The output for the items of a walk.
pub(super) enum ItemWriter {
    Stdout(BufWriter<io::Stdout>),
    /// A file for the items, with its path, and the path of the file for the state.
    File {
        items: BufWriter<File>,
        path: PathBuf,
        state: PathBuf,
    },
}

impl ItemWriter {
    /// Opens the outputs of all walks, and reads the states of interrupted ones. For several walks, or if `out` is an
    /// existing folder, `out` contains a file for each walk. If `out` is `None`, the only walk is written to standard
    /// output.
    pub(super) fn open_all(urls: &[String], out: Option<&Path>) -> Result<Vec<(Self, Option<WalkState>)>, Failure> {
        match (out, urls) {
            (None, [_]) => Ok(vec![(Self::Stdout(BufWriter::new(io::stdout())), None)]),
            (None, _) => Err(Failure::mistaken("of several lists, name a folder for their files: --out FOLDER")),
            (Some(file), [url]) if !file.is_dir() => Ok(vec![Self::open(file, url)?]),
            (Some(folder), _) => {
                fs::create_dir_all(folder)
                    .map_err(|error| Failure::failed(format!("{} can't be made: {error}", folder.display())))?;
                let names = names(urls);
                urls.iter().zip(names).map(|(url, name)| Self::open(&folder.join(name), url)).collect()
            }
        }
    }

    /// Opens a new file, or the file of an interrupted walk with its state.
    pub(super) fn open(path: &Path, url: &str) -> Result<(Self, Option<WalkState>), Failure> {
        let failed = |error: io::Error| Failure::failed(format!("{} can't be written: {error}", path.display()));
        let state_path = beside(path, ".walk");
        let state = read_state(&state_path, url)?;
        let mut options = OpenOptions::new();
        options.write(true);
        let file = match &state {
            Some(_) => options.open(path),
            // A file without a state doesn't belong to an interrupted walk, so it must not be overwritten. Test:
            // `a_killed_walk_goes_on_and_neither_loses_nor_repeats_items`.
            None => options.create_new(true).open(path),
        };
        let mut file = file.map_err(failed)?;
        // The file is locked, because another walk would truncate it.
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::failed(format!("{}: another walk writes it", path.display())));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let length = state.as_ref().map_or(0, |state| state.length);
        if file.metadata().map_err(failed)?.len() < length {
            let message = format!("{} is shorter than {} says: remove both", path.display(), state_path.display());
            return Err(Failure::failed(message));
        }
        file.set_len(length).and_then(|()| file.seek(SeekFrom::Start(length))).map_err(failed)?;
        let mut writer = Self::File { items: BufWriter::new(file), path: path.to_owned(), state: state_path };
        // The state is written at the start, because a walk that is killed before its first page must be resumable too.
        writer.keep(&state.clone().unwrap_or_else(|| WalkState::new(url)))?;
        Ok((writer, state))
    }

    /// Writes the items of an answer, each in a line. Returns `false` if the reader of standard output has closed the
    /// pipe.
    pub(super) fn write(&mut self, answer: &Answer) -> Result<bool, Failure> {
        let is_terminal = matches!(self, Self::Stdout(_)) && io::stdout().is_terminal();
        let out: &mut dyn io::Write = match self {
            Self::Stdout(out) => out,
            Self::File { items, .. } => items,
        };
        for index in 0..answer.items().len() {
            let mut line = answer.item(index).to_vec();
            // Line ends in JSON are only between tokens, where a blank means the same.
            line.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
            if is_terminal {
                line = escaped(&line);
            }
            line.push(b'\n');
            match out.write_all(&line) {
                // A reader such as `head` closes the pipe once it has enough lines, which isn't an error.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(false),
                written => written?,
            }
        }
        match out.flush() {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            flushed => Ok(flushed.map(|()| true)?),
        }
    }

    /// Writes the state of a walk, after its items are on disk. A walk to standard output has no state.
    pub(super) fn keep(&mut self, state: &WalkState) -> Result<(), Failure> {
        let Self::File { items, state: path, .. } = self else { return Ok(()) };
        items.flush()?;
        items.get_ref().sync_data()?;
        let state = WalkState { length: items.stream_position()?, ..state.clone() };
        let text = serde_json::to_vec(&state).map_err(|error| Failure::failed(error.to_string()))?;
        let draft = beside(path, ".new");
        // The file is replaced atomically: if the process is killed, the earlier state stays intact.
        fs::write(&draft, text)?;
        fs::rename(&draft, path)?;
        Ok(())
    }

    /// Removes the files of a failed walk that can't be resumed, because another walk may need their names.
    pub(super) fn discard(self) -> Result<(), Failure> {
        if let Self::File { path, .. } = &self {
            fs::remove_file(path)?;
        }
        self.finish()
    }

    /// Returns whether an interrupted walk can be resumed. Only a walk to a file can.
    pub(super) fn keeps_state(&self) -> bool {
        matches!(self, Self::File { .. })
    }

    /// Ends the output of a complete walk, and removes its state.
    pub(super) fn finish(self) -> Result<(), Failure> {
        match self {
            Self::Stdout(_) => Ok(()),
            Self::File { state, .. } => Ok(fs::remove_file(state)?),
        }
    }
}

/// Returns a path with `ending` appended to its name.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    PathBuf::from(name)
}

/// Reads the state of an interrupted walk; `None` if the file doesn't exist. Fails if the state belongs to a walk of
/// another URL.
fn read_state(path: &Path, url: &str) -> Result<Option<WalkState>, Failure> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::failed(format!("{} can't be read: {error}", path.display()))),
        Ok(bytes) => bytes,
    };
    let shown = path.display();
    let state: WalkState = serde_json::from_slice(&bytes)
        .map_err(|error| Failure::failed(format!("{shown} is not the state of a walk: {error}")))?;
    if state.version != VERSION || state.url != url {
        return Err(Failure::failed(format!("{shown} is the state of a walk of {}: name another file", state.url)));
    }
    Ok(Some(state))
}

/// Returns distinct file names for URLs, such as `people.internal-api-users.ndjson`.
fn names(urls: &[String]) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(urls.len());
    for url in urls {
        let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
        let plain = |letter: char| if letter.is_ascii_alphanumeric() || letter == '.' { letter } else { '-' };
        let name: String = rest.chars().map(plain).take(LONGEST_NAME).collect();
        let name = name.trim_matches(['-', '.']);
        let own = (1..).map(|number| match number {
            1 => format!("{name}.ndjson"),
            _ => format!("{name}-{number}.ndjson"),
        });
        // There are as many candidates as URLs, so one of them is free.
        names.extend(own.take(urls.len()).find(|own| !names.contains(own)));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_after_their_lists() {
        let urls = ["http://a:80/api/users?x=1", "https://a:80/api/users?x=1", "http://b/../"].map(str::to_owned);
        let expected = ["a-80-api-users-x-1.ndjson", "a-80-api-users-x-1-2.ndjson", "b.ndjson"];
        assert_eq!(names(&urls)[..2], expected[..2]);
        assert!(!names(&urls)[2].contains('/'), "{:?}", names(&urls));
    }
    #[test]
    fn a_terminal_obeys_and_hides_nothing_of_an_item() {
        let item = "{\t\"name\": \"\u{202e}ü \u{9b}31m\u{e0001}\"}";
        let expected = "{ \"name\": \"\\u202eü \\u009b31m\\udb40\\udc01\"}";
        assert_eq!(String::from_utf8(escaped(item.as_bytes())).as_deref(), Ok(expected));
    }
}
