//! Tests of the playground of the demo in a headless browser: the same list by `page=` and by `cursor=`, while rows are
//! added, deleted and moved. The screenshots are in target/playground; with `UPDATE_SNAPSHOTS=1`, the tests also write
//! the screenshot in the docs.

use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::Stdio,
    sync::PoisonError,
};

use serde_json::{Value, json};

use crate::{
    browser::{folder, is_sound, look},
    command_line::{Owned, STARTING_DEMO},
    harness::gateway::{command, free_port},
};

/// Starts a demo, and returns the process and the URL of its playground.
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
fn a_reader_sees_that_page_numbers_lose_rows_and_cursors_do_not() {
    let (_demo, url) = start();
    let saw = look("playground.mjs", &[&url], "playground");

    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let screenshot = folder("playground").join("to-the-end.png");
        std::fs::copy(screenshot, root.join("docs/pictures/playground.png")).expect("the picture of the docs");
    }
    let looks = ["desktop-light", "desktop-dark", "phone-light", "phone-dark"];
    is_sound(&saw, url.trim_end_matches("/playground/"), &looks);
    assert_ne!(saw["looks"]["desktop-light"], saw["looks"]["desktop-dark"], "light and dark differ");
    let details = saw["details"].as_str().expect("a text");
    for words in ["GET /users?cursor=start&limit=20", "exact: one answer", "GET /users?page=1&limit=22", "nextCursor"] {
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

/// Changes by the playground's own buttons reach a script as patches. The patches result in the same page as a GET,
/// even after the connection was broken.
#[test]
fn a_script_follows_a_live_page_by_patches() {
    let (_demo, url) = start();
    let saw = look("live.mjs", &[&url], "playground");
    is_sound(&saw, saw["origin"].as_str().expect("an origin"), &["live"]);
    assert_eq!((&saw["before"], &saw["pressed"]), (&json!("Not followed"), &json!("true")));
    for (kind, changes) in [("add", 2), ("delete", 2), ("move", 1)] {
        let types = saw["types"][kind].as_array().expect("the messages of a change");
        assert!(types.len() >= changes && types.iter().all(|message| message == "patch"), "{kind}: {types:?}");
    }
    let resumed = &saw["resumed"];
    assert_eq!((&resumed["types"], &resumed["failures"]), (&json!(["patch"]), &json!([])), "{saw}");
    assert_eq!(resumed["has"].as_str().map(str::len), Some(32), "Last-Event-ID: {saw}");
    assert_eq!(saw["opened"], json!([2, 3]), "the browser came again once");
    assert_eq!(saw["after"], json!(["false", "Not followed"]));
}
