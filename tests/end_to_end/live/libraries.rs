//! Tests of live pages with clients that use public libraries: `eventsource`, `ws` and `fast-json-patch` from npm,
//! `websockets` and `jsonpatch` from PyPI, which `make test-env` installs. The messages must conform to
//! docs/live.asyncapi.json.

use std::{
    io::{BufRead as _, BufReader, Lines},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::{Value, json};

use super::{JSON, get, start, table};
use crate::{
    harness::{
        Numbers,
        gateway::Gateway,
        list::{PLAIN, body, users},
        rows::Row,
        upstream::Upstream,
    },
    third_party::environment,
};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/live.asyncapi.json");

/// A program that follows a live page, with the lines that it prints and the last page.
struct Follower {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    page: Value,
}

impl Follower {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("make test-env has installed it");
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        Self { child, lines, page: Value::Null }
    }

    fn next(&mut self) -> Value {
        let line = self.lines.next().expect("a further message").expect("text");
        serde_json::from_str(&line).unwrap_or_else(|fault| panic!("{fault}: {line}"))
    }

    fn follow_to(&mut self, page: &Value) {
        while self.page != *page {
            self.page = self.next()["page"].clone();
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // The program may have ended by itself, so an error is ignored.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Copies a script of the tests to the folder of its packages, and returns the copy's path.
fn script(name: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/end_to_end/live").join(name);
    let place = environment("live").join(name);
    // Node looks for packages next to the script, so the script is copied to their folder. Tests that run at the same
    // time write the same bytes.
    let draft = place.with_extension(format!("{}.draft", std::process::id()));
    std::fs::copy(source, &draft).expect("make test-env has made the folder");
    std::fs::rename(draft, &place).expect("the folder can be written");
    place
}

fn node(name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("node");
    command.arg(script(name)).args(arguments);
    command
}

fn python(arguments: &[&str]) -> Command {
    let mut command = Command::new(environment("live/python/bin/python"));
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/end_to_end/live/follow.py")).args(arguments);
    command
}

#[test]
fn the_messages_are_described_in_asyncapi() {
    let checked = node("check.mjs", &[DOCUMENT]).output().expect("node runs");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

#[test]
fn public_libraries_follow_random_changes() {
    let (_upstream, rows, gateway) = start("heartbeat = \"1s\"");
    let (url, socket) = (gateway.url("/users/live?limit=12"), format!("ws://{}/users/live", gateway.public));
    let watch = json!({ "type": "watchCollection", "limit": 12 }).to_string();
    let mut followers = [
        Follower::start(node("follow.mjs", &["events", &url, DOCUMENT])),
        Follower::start(node("follow.mjs", &["socket", &socket, DOCUMENT, &watch])),
    ];
    let host = gateway.public.to_string();
    let page = || get(&gateway, "/users?limit=12", &[("Host", &host)]);
    for follower in &mut followers {
        follower.follow_to(&page());
    }
    let mut numbers = Numbers::new(0xFEED);
    for round in 0..150_u64 {
        for _ in 0..=numbers.below(2) {
            let drawn = numbers.below(1_000);
            rows.change(|rows| {
                let place = drawn % rows.len();
                match drawn % 4 {
                    0 => rows.push(Row::new(1_000 + round, 400 - round)),
                    1 if rows.len() > 12 => drop(rows.remove(place)),
                    2 => rows[place].score = u64::try_from(drawn).expect("small"),
                    _ => rows[place].note = format!("note {drawn} \u{2028}é/~"),
                }
                rows.sort_by_key(|row| row.id);
                rows.dedup_by_key(|row| row.id);
            });
        }
        let page = page();
        for follower in &mut followers {
            follower.follow_to(&page);
        }
    }
}

#[test]
fn large_numbers_reach_a_client_that_reads_them() {
    let items = Arc::new(Mutex::new(users(3)));
    let served = Arc::clone(&items);
    let upstream = Upstream::start(move |exchange| {
        let page = body(exchange, &served.lock().unwrap_or_else(PoisonError::into_inner));
        exchange.reply("200 OK", &[JSON], page.as_bytes())
    });
    let mut gateway = Gateway::start(&format!("{}{}", PLAIN.configuration(upstream.address), table("")));
    let url = format!("ws://{}/users/live", gateway.public);
    let mut follower = Follower::start(python(&[&url, r#"{"type":"watchCollection"}"#]));
    assert_eq!(follower.next()["type"], "paginatedData");
    items.lock().unwrap_or_else(PoisonError::into_inner)[1] =
        r#"{"id":2,"n":123456789012345678901234567890,"f":0.10000000000000000001}"#.to_owned();
    let line = follower.lines.next().expect("a message").expect("text");
    assert!(line.contains("123456789012345678901234567890"), "{line}");
    assert!(line.contains("0.10000000000000000001"), "{line}");
    gateway.signal("TERM");
    assert_eq!(follower.next()["type"], "closing");
    let closed = follower.next();
    assert_eq!((&closed["code"], &closed["reason"]), (&json!(1012), &json!("stopping")));
    assert!(gateway.ended().success());
}
