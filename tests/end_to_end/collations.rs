//! Tests with a service on PostgreSQL whose lists are sorted by text in different collations. Each list is learnt
//! without a description; its configuration is checked and served unchanged, and the list is walked while rows are
//! added and removed.

use std::{collections::HashSet, path::Path, process::Command};

use serde_json::json;

use crate::{
    harness::{
        Directory,
        gateway::{Gateway, KEY, command},
        http,
    },
    third_party::{launch, python},
    walk::verified_amid_changes,
};

/// Runs a command that must succeed, and returns its standard output and standard error.
fn run(command: &mut Command) -> String {
    let output = command.env("CURSORGATE_KEY", KEY).output().expect("the binary starts");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{command:?}: {said}");
    said
}

/// Returns the levels of all pages of a list but the last one: its end is never `exact` here.
fn levels(gateway: &Gateway) -> HashSet<String> {
    let (mut levels, mut cursor) = (HashSet::new(), "&cursor=start".to_owned());
    for _ in 0..100 {
        let page = gateway.get(&format!("/items?limit=40{cursor}"));
        assert_eq!(page.status, 200, "{page:?}");
        let body = page.json();
        let Some(next) = body["pagination"]["nextCursor"].as_str() else { return levels };
        cursor = format!("&cursor={next}");
        levels.extend(page.header("cursorgate-level").map(str::to_owned));
    }
    panic!("no end");
}

/// Learns a list that is sorted by a collation, checks and serves its configuration unchanged, and walks it while rows
/// are added and removed. Returns the configuration and the levels of its pages.
fn hold(collation: &str) -> (String, HashSet<String>) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/end_to_end/upstreams/postgres/service.py");
    let arguments = ["--rows", "900", "--collation", collation];
    let (mut child, input, address) = launch(Command::new(python()).arg(source).args(arguments));
    let (directory, direct) = (Directory::new(), format!("http://{address}/items"));
    let file = directory.file("learnt.toml");
    let learnt = run(command().args(["learn", &direct, "--delay", "0", "--out"]).arg(&file));
    let checked = run(command().args(["check", "--live", "--delay", "0"]).arg(&file));
    assert!(checked.contains("looks as configured"), "{collation}: {checked}");
    let text = std::fs::read_to_string(&file).expect("it was written");
    let gateway = Gateway::start_as_written(&text);
    let levels = levels(&gateway);
    // The new names sort before, after and between the other names. The first rows are removed.
    let report = verified_amid_changes(&gateway, "/items?cursor=start&limit=40", &direct, |turn| {
        let name = ["AAA new", "zzz new", "Mitte", "ÄÄ neu"][usize::try_from(turn % 4).expect("small")];
        let changes = json!([["insert", "2027-01-01 00:00:00+00", name], ["delete", turn + 1]]).to_string();
        assert_eq!(http::send(address, "POST", "/changes", &[], changes.as_bytes()).status, 200);
    });
    assert!(report.contains("none lost, none repeated"), "{collation}: {report}\n{learnt}");
    drop((gateway, input));
    // The service drops its database when its standard input ends, so the test waits for the end of the process.
    let _ = child.wait();
    (text, levels)
}

#[test]
fn a_list_that_is_sorted_by_bytes_is_served_exactly() {
    let (text, levels) = hold("binary");
    assert!(text.contains("name = { type = \"string\" }"), "{text}");
    assert_eq!(levels, HashSet::from(["exact".to_owned()]), "{text}");
}

#[test]
fn a_list_that_is_sorted_by_a_language_is_never_compared_by_bytes() {
    let (text, levels) = hold("language");
    assert!(!text.contains("name = { type = \"string\""), "{text}");
    assert!(!levels.contains("exact"), "{levels:?}\n{text}");
}

#[test]
fn a_list_that_is_sorted_without_regard_to_case_is_never_compared_by_bytes() {
    let (text, levels) = hold("insensitive");
    assert!(!text.contains("name = { type = \"string\""), "{text}");
    assert!(!levels.contains("exact"), "{levels:?}\n{text}");
}
