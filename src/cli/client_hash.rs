//! `cursorgate client-hash`: finds the clients behind the hashes of the migration board, offline.

use std::{
    fmt::Write as _,
    io::{BufRead, Read as _},
    path::Path,
};

use super::{Failure, cursor, report};
use cursorgate_cursor::cursor::KeyRing;

/// The largest input in bytes. A longer one is refused.
const LARGEST: u64 = 64 << 20;

/// Reads identifications of clients from `input`, one a line, and prints the hash of each, with its name. Given hashes,
/// prints only those, and fails if one of them is not found.
pub(super) fn run(config: &Path, hashes: &[String], input: impl BufRead) -> Result<(), Failure> {
    let keys = cursor::keys(config)?;
    let mut text = String::new();
    let read = input.take(LARGEST + 1).read_to_string(&mut text);
    read.map_err(|error| Failure::mistaken(format!("standard input can't be read: {error}")))?;
    if text.len() as u64 > LARGEST {
        return Err(Failure::mistaken(format!("the input is larger than {} MiB", LARGEST >> 20)));
    }
    let known = hashed(&keys, &text);
    let wanted = |hash: &str| hashes.is_empty() || hashes.iter().any(|wanted| wanted.eq_ignore_ascii_case(hash));
    let mut out = String::new();
    for (hash, name) in known.iter().filter(|(hash, _)| wanted(hash)) {
        let _ = writeln!(out, "{hash}  {name}");
    }
    report::output(&out)?;
    let is_known = |hash: &&String| known.iter().any(|(known, _)| known.eq_ignore_ascii_case(hash));
    let missing: Vec<&str> = hashes.iter().filter(|hash| !is_known(hash)).map(String::as_str).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::failed(format!(
        "no line of the input has the hash {}: was it made with the signing_key of this configuration?",
        missing.join(", ")
    )))
}

/// Returns the hash of each line with its name: the text before a tab, or the number of the line, because the line
/// itself may be a secret.
fn hashed(keys: &KeyRing, text: &str) -> Vec<(String, String)> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let hashed = lines.map(|(number, line)| {
        let (name, value) = match line.split_once('\t') {
            Some((name, value)) => (name.to_owned(), value),
            None => (format!("line {}", number + 1), line),
        };
        // The board shows 1 for a hash of 0, which marks a free place in its table.
        (format!("{:016x}", keys.client_mark(value.trim().as_bytes()).max(1)), name)
    });
    hashed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_named_and_their_secrets_are_not_repeated() {
        let keys = KeyRing::new(1, &[(1, &[7; 32])]).unwrap();
        let hash = format!("{:016x}", keys.client_mark(b"canary"));
        let known = hashed(&keys, "canary\n\nAcme\tcanary\nother \r\n");
        assert_eq!(known[..2], [(hash.clone(), "line 1".to_owned()), (hash, "Acme".to_owned())]);
        assert_eq!(known[2].0, format!("{:016x}", keys.client_mark(b"other")));
    }
}
