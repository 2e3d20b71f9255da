//! Tests of `cursorgate explain`, which describes the treatment of a request without opening a connection. With
//! `--live` it sends the requests, and describes the facts in each answer.

use std::{
    net::{Ipv4Addr, TcpListener},
    process::Output,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use serde_json::Value;

use crate::harness::{
    Directory,
    gateway::{Gateway, KEY, command},
    rows::{self, BY_OFFSET, BY_SCORE, BY_TEN, BY_TOKEN, Rows},
    upstream::Upstream,
};

const ROUTE: &str = "order = [\"-score\", \"id\"]\nsortable = [\"score\", \"id\"]\npage_size = { default = 20, max = 40 }\n\
                     old_clients = \"pass\"";

/// More routes: for another host, for a path below the list, and for all other paths.
const OTHERS: &str = "[routes.elsewhere]\nhosts = [\"other.test\"]\npath = \"/users\"\nupstream = \"legacy\"\naction = \"forward\"\n\
                      [routes.orders]\npath = \"/users/{id}/orders\"\nupstream = \"legacy\"\naction = \"forward\"\n\
                      [routes.rest]\npath = \"/{*rest}\"\nupstream = \"legacy\"\naction = \"forward\"\n";

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs `explain` with the configuration in `file`.
fn explain(file: &str, arguments: &[&str]) -> Output {
    let mut command = command();
    command.arg("explain").args(arguments).args(["--config", file]).env("CURSORGATE_KEY_1", KEY);
    command.output().expect("the binary starts")
}

#[test]
fn requests_are_explained_without_a_connection() {
    let rows = Rows::count(57);
    let upstream = Upstream::start(move |exchange| rows.answer(exchange));
    let configuration = rows::configuration(upstream.address, BY_OFFSET, ROUTE) + OTHERS;
    let gateway = Gateway::start(&configuration);
    let first = gateway.get("/users?cursor=start&limit=5");
    let cursor = first.json()["pagination"]["nextCursor"].as_str().expect("a cursor").to_owned();
    // The configuration is the same, but its upstream is a listener that counts connections.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let counted = listener.local_addr().expect("it is bound");
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    thread::spawn(move || {
        for stream in listener.incoming() {
            count.fetch_add(1, Ordering::SeqCst);
            drop(stream);
        }
    });
    let directory = Directory::new();
    let file = directory.file("cursorgate.toml");
    let own = gateway.configuration().replace(&upstream.address.to_string(), &counted.to_string());
    assert_ne!(own, gateway.configuration());
    std::fs::write(&file, own).expect("a file in the test's directory");
    let file = file.to_str().expect("UTF-8");
    let with_cursor = gateway.url(&format!("/users?limit=5&cursor={cursor}"));
    let tampered = gateway.url(&format!("/users?limit=5&cursor={}A", &cursor[..cursor.len() - 1]));
    let elsewhere = gateway.url(&format!("/users?limit=5&sort=score&cursor={cursor}"));
    let cases: [(&str, &str, i32, &[&str]); 9] = [
        (
            "GET",
            "/users?cursor=start&limit=5&team=a",
            0,
            &[
                "users: its path /users fits",
                "elsewhere: the route is for other.test",
                "which is longer",
                "rest: its path /{*rest} fits too",
                "standard, application/json",
                "the first page",
                "GET /users?team=a&",
                "from offset 0",
                "exact: no item is skipped",
                "cost",
            ],
        ),
        ("GET", &with_cursor, 0, &["the place of the cursor", "page cursor", "signature", "good", "GET /users?"]),
        ("GET", &tampered, 1, &["400 cursor_invalid"]),
        ("GET", &elsewhere, 1, &["400 cursor_mismatch"]),
        ("GET", "/users?offset=10", 0, &["forwarded", "as old clients do", "/users?offset=10"]),
        ("DELETE", "/users", 0, &["forwarded", "the list is not for DELETE"]),
        ("GET", "/users?cursor=start&limit=0", 1, &["refused", "limit_invalid"]),
        (
            "GET",
            "/users/7/orders",
            0,
            &["orders: its path", "the route forwards everything", "to legacy, as /users/7/orders"],
        ),
        ("GET", "http://other.test/users", 0, &["elsewhere: its path /users fits, at other.test"]),
    ];
    for (method, url, code, expected) in cases {
        let output = explain(file, &[method, url]);
        let said = text(&output.stdout);
        assert_eq!(output.status.code(), Some(code), "{url}: {said}{}", text(&output.stderr));
        for part in expected {
            assert!(said.contains(part), "{url}: {part:?} in\n{said}");
        }
        assert!(!said.contains(KEY), "{said}");
        let output = explain(file, &[method, url, "--format", "json"]);
        let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(document["method"], method, "{document}");
        assert!(document["treatment"]["action"].is_string(), "{document}");
    }
    // Without the keys, everything but the cursor is explained.
    let mut bare = command();
    bare.args(["explain", "GET", &with_cursor, "--config", file]).env_remove("CURSORGATE_KEY_1");
    let output = bare.output().expect("the binary starts");
    let said = text(&output.stdout);
    assert!(said.contains("the keys of cursors are not available") && said.contains("users: its path"), "{said}");
    assert_eq!(connections.load(Ordering::SeqCst), 0, "explain contacts nothing");
}

#[test]
fn a_live_explanation_shows_what_each_answer_proves() {
    let rows = Rows::count(57);
    let upstream = Upstream::start(move |exchange| rows.answer(exchange));
    let gateway = Gateway::start(&(rows::configuration(upstream.address, BY_OFFSET, ROUTE) + OTHERS));
    let file = gateway.file("cursorgate.toml");
    let file = file.to_str().expect("UTF-8");
    let first = gateway.get("/users?cursor=start&limit=5").json();
    let cursor = first["pagination"]["nextCursor"].as_str().expect("a cursor").to_owned();
    let before = upstream.count();
    let url = gateway.url(&format!("/users?limit=5&cursor={cursor}"));
    let said = text(&explain(file, &["GET", &url, "--live"]).stdout);
    for part in
        ["request 1", "step 1: GET /users?", "a list, ", "a total of 57", "200, ", " bytes, ", " ms", "page", "exact"]
    {
        assert!(said.contains(part), "{part:?} in\n{said}");
    }
    assert!(said.contains("follows the page's claims"), "{said}");
    assert!(upstream.count() > before);
    let output = explain(file, &["GET", &url, "--live", "--format", "json"]);
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let live = &document["treatment"]["live"];
    assert_eq!((&live["page"]["items"], &live["page"]["level"]), (&5.into(), &"exact".into()), "{document}");
    assert!(live["page"]["proof"].as_array().is_some_and(|lines| !lines.is_empty()), "{document}");
    assert_eq!(live["requests"][0]["answer"]["total"], 57, "{document}");
    // For a request that is not for a page, nothing is sent.
    let before = upstream.count();
    let output = explain(file, &["DELETE", "/users/7", "--live"]);
    assert!(text(&output.stdout).contains("nothing was sent"), "{}", text(&output.stdout));
    assert_eq!(upstream.count(), before);
    assert!(upstream.requests().iter().all(|request| request.method == "GET"));
    upstream.answer(|exchange| exchange.reply("500 Internal Server Error", &[], b"{}"));
    let output = explain(file, &["GET", &url, "--live"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("502 upstream_unavailable"), "{}", text(&output.stdout));
}

#[test]
fn pages_are_explained_in_every_mode() {
    let seek = format!("{BY_SCORE}\nmode = \"seek\"");
    let tokens = "upstream_path = \"/users/tokens\"\norder = [\"-score\", \"id\"]";
    for (name, reading, route, parts) in [
        ("filters", BY_OFFSET, BY_SCORE, ["pass the filter", "score__lte="]),
        ("seek", BY_OFFSET, seek.as_str(), ["the cursor's item, for its keys", "GET /users/53 "]),
        (
            "fixed pages",
            BY_TEN,
            "order = [\"-score\", \"id\"]\nsortable = [\"score\", \"id\"]",
            ["page 1 of 10 items", "GET /users?page=1"],
        ),
        ("tokens", BY_TOKEN, tokens, ["by the upstream's token", "/users/tokens?"]),
    ] {
        let rows = Rows::count(57);
        rows.change(|rows| rows.reverse());
        let upstream = Upstream::start(move |exchange| rows.answer(exchange));
        let gateway = Gateway::start(&rows::configuration(
            upstream.address,
            reading,
            &format!("page_size = {{ default = 5, max = 20 }}\n{route}"),
        ));
        let first = gateway.get("/users?cursor=start&limit=5").json();
        let cursor = first["pagination"]["nextCursor"].as_str().expect("a cursor").to_owned();
        let file = gateway.file("cursorgate.toml");
        let url = gateway.url(&format!("/users?limit=5&cursor={cursor}"));
        let before = upstream.count();
        let plan = explain(file.to_str().expect("UTF-8"), &["GET", &url]);
        assert_eq!(upstream.count(), before, "{name}");
        for part in parts {
            assert!(text(&plan.stdout).contains(part), "{name}: {part:?} in\n{}", text(&plan.stdout));
        }
        let live = explain(file.to_str().expect("UTF-8"), &["GET", &url, "--live"]);
        let said = text(&live.stdout);
        assert!(live.status.success() && said.contains("follows the page's claims"), "{name}: {said}");
        assert!(said.contains("5 items"), "{name}: {said}");
    }
}
