//! Tests of the table of attacks and faults in tests/attacks.md, with the tests of each row. A test belongs to the rows
//! that a line `Row: A01, F02` of its own comment names.

use std::{collections::BTreeMap, fmt::Write as _, fs};

use super::{files, root};

/// The folders with tests.
const FOLDERS: [&str; 4] = ["src", "tests", "crates", "fuzz"];

/// The tests of each row, as `file::test`, by row.
type Rows = BTreeMap<String, Vec<String>>;

/// Reads the rows of the tests in one file.
fn read(file: &str, text: &str, rows: &mut Rows) {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    for (at, line) in lines.iter().enumerate() {
        let Some(ids) = line.strip_prefix("/// Row: ").or_else(|| line.strip_prefix("//! Row: ")) else { continue };
        let is_of_file = line.starts_with("//!");
        let function = || lines[at..].iter().find_map(|line| line.trim_start_matches("async ").strip_prefix("fn "));
        let name = if is_of_file { "*" } else { function().and_then(|rest| rest.split('(').next()).unwrap_or("?") };
        for id in ids.split(',').map(str::trim) {
            rows.entry(id.to_owned()).or_default().push(format!("`{file}::{name}`"));
        }
    }
}

fn rows() -> Rows {
    let mut rows = Rows::new();
    for folder in FOLDERS {
        let mut found = Vec::new();
        files(&root().join(folder), "rs", &mut found);
        // This file mentions rows, but contains no test of a row, so it is skipped.
        for path in found.iter().filter(|path| !path.ends_with("tidy/rows.rs")) {
            let relative = path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
            read(relative.trim_end_matches(".rs"), &fs::read_to_string(path).unwrap(), &mut rows);
        }
    }
    rows
}

/// Returns the document with a new last column of its rows, and the rows that a test names but the table does not have.
fn written(document: &str, mut rows: Rows) -> (String, Rows) {
    let mut text = String::with_capacity(document.len());
    for line in document.lines() {
        let cells: Vec<&str> = line.split(" | ").collect();
        let id = line.strip_prefix("| ").and_then(|rest| rest.split(' ').next()).filter(|id| is_row(id));
        match (id, cells.get(1)) {
            (Some(id), Some(what)) => {
                let tests = rows.remove(id).unwrap_or_default();
                let tests = if tests.is_empty() { "none".to_owned() } else { tests.join(", ") };
                let what = what.trim_end_matches('|').trim();
                let _ = writeln!(text, "| {id} | {what} | {tests} |");
            }
            _ => {
                let _ = writeln!(text, "{line}");
            }
        }
    }
    (text, rows)
}

fn is_row(id: &str) -> bool {
    id.len() == 3 && id.starts_with(['A', 'F']) && id[1..].bytes().all(|byte| byte.is_ascii_digit())
}

#[test]
fn rows_are_read_and_written() {
    let mut rows = Rows::new();
    let test =
        "//! Row: A09\n/// Why.\n///\n/// Row: A01, F02\n#[test]\nfn holds() {}\n/// Row: F02\nasync fn too() {}\n";
    read("tests/x", test, &mut rows);
    let (text, left) = written("# Rows\n| A01 | one | |\n| F02 | two | `old` |\n| F03 | three | `old` |\n", rows);
    assert_eq!(
        text,
        "# Rows\n| A01 | one | `tests/x::holds` |\n| F02 | two | `tests/x::holds`, `tests/x::too` |\n| F03 | three | none |\n"
    );
    assert_eq!(left.keys().collect::<Vec<_>>(), ["A09"]);
}

#[test]
fn the_table_of_attacks_and_faults_names_their_tests() {
    let path = root().join("tests/attacks.md");
    let document = fs::read_to_string(&path).unwrap();
    let (text, left) = written(&document, rows());
    assert!(left.is_empty(), "no such row in tests/attacks.md: {left:?}");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&path, text).unwrap();
        return;
    }
    let stale: Vec<&str> = text.lines().zip(document.lines()).filter(|(a, b)| a != b).map(|(a, _)| a).collect();
    assert!(stale.is_empty() && text == document, "UPDATE_SNAPSHOTS=1 writes these: {stale:#?}");
}
