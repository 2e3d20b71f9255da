//! The playground of the demo, in a browser without windows: the same list by `page=` and by `cursor=`, while rows are
//! added, deleted and moved. The screenshots are in target/playground; `UPDATE_SNAPSHOTS=1` makes the one of the docs.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
    sync::PoisonError,
};

use serde_json::{Value, json};

use crate::{
    command_line::{Owned, STARTING_DEMO},
    harness::gateway::{command, free_port},
    third_party::environment,
};

/// Opens the page and returns what the browser saw.
fn look(url: &str) -> Value {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("playground");
    std::fs::create_dir_all(&folder).expect("the target directory can be written");
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/end_to_end/browser/playground.mjs");
    let mut command = Command::new("timeout");
    command.args(["300", "node", "--input-type=module", "-", url]).arg(&folder);
    command.env("NODE_NO_WARNINGS", "1").current_dir(environment("browser"));
    command.stdin(File::open(&script).expect("a script")).stderr(Stdio::piped());
    let output = command.output().expect("node runs");
    let (said, complaints) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{said}{complaints}", output.status);
    serde_json::from_str(&said).unwrap_or_else(|fault| panic!("{fault}\n{said}"))
}

/// Starts a demo, and returns the address of its playground.
fn start() -> (Owned, String) {
    let _starting = STARTING_DEMO.lock().unwrap_or_else(PoisonError::into_inner);
    let address = format!("127.0.0.1:{}", free_port());
    let mut demo = command();
    demo.args(["demo", "--listen", &address]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut demo = Owned(demo.spawn().expect("it runs"));
    let lines = BufReader::new(demo.0.stdout.take().expect("it is piped")).lines();
    let line = lines.map_while(Result::ok).find(|line| line.contains("/playground/")).expect("the page is named");
    let url = line.split_whitespace().last().expect("an address").to_owned();
    (demo, url)
}

#[test]
fn a_reader_sees_what_a_page_number_loses_and_a_cursor_does_not() {
    let (_demo, url) = start();
    let saw = look(&url);

    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let screenshot = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("playground").join("to-the-end.png");
        std::fs::copy(screenshot, root.join("docs/pictures/playground.png")).expect("the picture of the docs");
    }
    assert_eq!(saw["complaints"], json!([]), "errors in the console");
    assert_eq!(saw["origins"], json!([url.trim_end_matches("/playground/")]), "requests to other places");
    for (name, violations) in saw["violations"].as_object().expect("audits") {
        assert_eq!(violations, &json!([]), "{name}: accessibility");
        assert_eq!(saw["overflow"][name], 0, "{name}: wider than the screen");
    }
    assert_eq!(saw["violations"].as_object().map(serde_json::Map::len), Some(4), "all were audited");
    assert_ne!(saw["looks"]["desktop-light"], saw["looks"]["desktop-dark"], "light and dark differ");
    let details = saw["details"].as_str().expect("a text");
    for words in ["GET /users?limit=20", "exact: one answer", "GET /users?page=1&limit=22", "nextCursor"] {
        assert!(details.contains(words), "{words}: {details}");
    }
    assert_eq!(details.matches("GET /users?page=").count(), 1, "the requests of this page alone: {details}");
    assert_eq!(saw["again"], json!({ "page": 3, "cursor": 0 }), "users of the first page that came again");
    assert_eq!(saw["unseen"], Value::Null, "each control shows that it has the focus");
    let tabs = saw["tabs"].as_array().expect("a list");
    for name in ["limit", "begin", "to-the-end", "Add three at the front", "Next"] {
        assert!(tabs.iter().any(|tab| tab == name), "{name} is reached by Tab: {tabs:?}");
    }
    let verdict = |side: &str| saw["verdicts"][side].as_str().expect("a verdict").to_owned();
    assert!(verdict("cursor").starts_with("The end, exact: "), "{}", verdict("cursor"));
    assert!(verdict("cursor").ends_with(", 0 repeated, 0 lost"), "{}", verdict("cursor"));
    assert_eq!(saw["shown"]["count"], saw["shown"]["apart"], "each user once");
    assert!(verdict("page").starts_with("The end, with losses: "), "{}", verdict("page"));
    let scrolled = saw["scrolled"].as_str().expect("a verdict");
    assert!(scrolled.starts_with("The end, exact: ") && scrolled.ends_with("0 repeated, 0 lost"), "{scrolled}");
}
