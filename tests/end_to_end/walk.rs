//! Tests of `cursorgate walk`. Lists in each envelope are read to their ends, even after the process was killed. A walk
//! that is verified while rows are added and removed reports the items that clients lose by page; by cursor they lose
//! none.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use serde_json::{Value, json};

use crate::{
    harness::{
        Directory, eventually,
        gateway::{Gateway, KEY, command},
        http,
        list::{self, PLAIN},
        rows::{self, BY_OFFSET, Rows},
        upstream::{Exchange, Gate, Upstream},
    },
    third_party::{Kind, ThirdParty, launch, python},
};

/// The envelopes that are requested by GET.
const ENVELOPES: [&str; 11] =
    ["aip", "bare", "drf", "hal", "jsonapi", "odata", "ogc", "page-info", "relay", "standard", "stripe"];

/// Runs `cursorgate walk` with these arguments until it ends.
fn walk(arguments: &[&str]) -> Output {
    command().arg("walk").args(arguments).output().expect("the binary starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs a walk that must succeed, and returns one line for each item.
fn lines(arguments: &[&str]) -> Vec<String> {
    let output = walk(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout).lines().map(str::to_owned).collect()
}

/// Returns the id of an item as a string, without JSON quotes.
fn id(line: &str) -> String {
    let item: Value = serde_json::from_str(line).unwrap_or_else(|fault| panic!("{line}: {fault}"));
    item["id"].as_str().map_or_else(|| item["id"].to_string(), str::to_owned)
}

#[test]
fn each_envelope_is_walked_to_its_end() {
    let rows = Rows::count(57);
    let upstream = Upstream::start(move |exchange| rows.answer(exchange));
    let expected: Vec<String> = (1..=57).rev().map(|id: u64| id.to_string()).collect();
    for envelope in ENVELOPES {
        let mode = if envelope == "stripe" { "mode = \"seek\"" } else { "" };
        let route =
            format!("{}\nenvelope = \"{envelope}\"\npage_size = {{ default = 10, max = 50 }}\n{mode}", rows::BY_SCORE);
        let gateway = Gateway::start(&rows::configuration(upstream.address, BY_OFFSET, &route));
        let walked = lines(&[&gateway.url("/users")]);
        assert_eq!(walked.iter().map(|line| id(line)).collect::<Vec<_>>(), expected, "{envelope}");
        if envelope != "jsonapi" {
            assert_eq!(walked[0], r#"{"id":57,"score":570,"note":"row 57"}"#, "{envelope}: as it came");
        }
    }
    assert!(upstream.requests().iter().all(|request| request.method == "GET"));
}

#[test]
fn the_command_walk_follows_link_headers_and_dialects() {
    let rows = Rows::count(57);
    let upstream = Upstream::start(move |exchange| rows.answer(exchange));
    let expected: Vec<String> = (1..=57).map(|id: u64| id.to_string()).collect();
    let ids = |lines: &[String]| lines.iter().map(|line| id(line)).collect::<Vec<_>>();
    let walked = lines(&[&format!("http://{}/linked?limit=7", upstream.address)]);
    assert_eq!(ids(&walked), expected);
    // Without a link or a total, no answer shows that more pages follow.
    let rows = Rows::count(57);
    let upstream = Upstream::start(move |exchange| {
        let number = |name, usual| exchange.request.parameter(name).map_or(usual, |text| text.parse().unwrap_or(usual));
        let (page, size): (usize, usize) = (number("page", 1), number("limit", 20));
        let rows: Vec<String> = rows.all().iter().skip((page - 1) * size).take(size).map(rows::Row::json).collect();
        exchange.reply("200 OK", &[], format!("{{\"data\":[\n{}\n]}}", rows.join(",\n")).as_bytes())
    });
    let url = format!("http://{}/users?limit=10&team=a", upstream.address);
    let refused = walk(&[&url]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("--dialect NAME"), "{}", text(&refused.stderr));
    let walked = lines(&[&url, "--dialect", "page-limit"]);
    assert_eq!(ids(&walked), expected);
    let targets: Vec<String> = upstream.requests().into_iter().skip(1).map(|request| request.target).collect();
    assert_eq!(targets[..2], ["/users?team=a&page=1&limit=10", "/users?team=a&page=2&limit=10"]);
    // A walk refuses a dialect that uses POST, and a dialect that does not exist.
    for (dialect, expected, code) in [("batch-post", "only GET", 1), ("drf-pages", "drf-page", 2)] {
        let refused = walk(&[&url, "--dialect", dialect]);
        let said = text(&refused.stderr);
        assert!(refused.status.code() == Some(code) && said.contains(expected), "{dialect}: {said}");
    }
    assert!(upstream.requests().iter().all(|request| request.method == "GET"));
}

#[test]
fn walks_without_an_end_are_ended() {
    // The pages of the first upstream have no items and lead on without end; the pages of the second one lead in a
    // circle.
    for (modulus, expected) in [(u64::MAX, "1000 pages in a row have no item"), (3, "round in a circle")] {
        let upstream = Upstream::start(move |exchange| {
            let page: u64 = exchange.request.parameter("page").map_or(1, |text| text.parse().unwrap_or(1));
            let next = format!("/users?page={}", page % modulus + 1);
            let body = json!({ "count": 9, "next": next, "previous": null, "results": [] });
            exchange.reply("200 OK", &[], body.to_string().as_bytes())
        });
        let output = walk(&[&format!("http://{}/users", upstream.address)]);
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(1) && said.contains(expected), "{said}");
    }
}

#[test]
fn a_killed_walk_goes_on_and_neither_loses_nor_repeats_items() {
    let items = list::users(97);
    let (asked, gate) = (Arc::new(AtomicUsize::new(0)), Gate::default());
    let (count, shut, all) = (Arc::clone(&asked), gate.clone(), items.clone());
    let upstream = Upstream::start(move |exchange: &mut Exchange| {
        if count.fetch_add(1, Ordering::SeqCst) == 4 {
            shut.wait();
        }
        let body = list::body(exchange, &all);
        exchange.reply("200 OK", &[], body.as_bytes())
    });
    let gateway = Gateway::start(&PLAIN.configuration(upstream.address));
    let directory = Directory::new();
    let file = directory.file("users.ndjson");
    let arguments =
        ["walk", &gateway.url("/users?limit=10"), "--out", file.to_str().expect("UTF-8")].map(str::to_owned);
    let mut child = command().args(&arguments).stderr(Stdio::null()).spawn().expect("the binary starts");
    // The fifth request waits, so the state of the previous pages is written.
    let state = directory.file("users.ndjson.walk");
    eventually("the upstream is asked a fifth time", || (asked.load(Ordering::SeqCst) >= 5).then_some(()));
    child.kill().expect("it runs");
    let _ = child.wait();
    gate.open();
    assert!(state.exists());
    let before = std::fs::read_to_string(&file).expect("the file is there");
    assert!((1..97).contains(&before.lines().count()), "{before}");
    // The file ends with items of a page whose state was not written, cut in the middle of an item.
    std::fs::write(&file, format!("{before}{{\"id\":12,\"na")).expect("the file is there");
    let sent = upstream.count();
    let output = command().args(&arguments).output().expect("the binary starts");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(std::fs::read_to_string(&file).expect("the file is there"), items.join("\n") + "\n");
    assert!(!state.exists(), "a complete walk has no state");
    let again = upstream.requests()[sent..].iter().filter(|request| request.parameter("offset") == Some("0")).count();
    assert_eq!(again, 0, "it did not begin anew");
    // A walk doesn't overwrite a file, and doesn't continue a file of another list.
    let refused = command().args(&arguments).output().expect("the binary starts");
    assert_eq!(refused.status.code(), Some(1));
    std::fs::write(&state, r#"{"version":1,"url":"http://other/","place":null,"length":0,"items":0,"pages":0,"requests":0,"bytes":0,"milliseconds":0}"#)
        .expect("a file in the test's directory");
    let refused = command().args(&arguments).output().expect("the binary starts");
    assert!(text(&refused.stderr).contains("http://other/"), "{}", text(&refused.stderr));
}

/// A walk that was killed after its last page is complete. The state of a walk is removed after the last page was
/// stored, so a process that is killed in between leaves the state.
#[test]
fn a_walk_that_was_killed_after_its_last_page_is_complete() {
    let upstream = Upstream::start(list::serve(list::users(3)));
    let gateway = Gateway::start(&PLAIN.configuration(upstream.address));
    let directory = Directory::new();
    let (file, state) = (directory.file("users.ndjson"), directory.file("users.ndjson.walk"));
    let url = gateway.url("/users?limit=10");
    let items = list::users(3).join("\n") + "\n";
    let left = serde_json::json!({"version": 1, "url": url, "place": null, "length": items.len(), "items": 3, "pages": 1,
        "requests": 1, "bytes": items.len(), "milliseconds": 1});
    std::fs::write(&file, &items).expect("a file in the test's directory");
    std::fs::write(&state, left.to_string()).expect("a file in the test's directory");
    let output =
        command().args(["walk", &url, "--out", file.to_str().expect("UTF-8")]).output().expect("the binary starts");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(std::fs::read_to_string(&file).expect("the file is there"), items);
    assert!(!state.exists() && upstream.count() == 0);
}

#[test]
fn several_lists_are_walked_with_secrets_from_elsewhere_and_at_the_upstreams_pace() {
    let items = list::users(45);
    let requests = AtomicUsize::new(0);
    let upstream = Upstream::start(move |exchange: &mut Exchange| {
        let (key, token) = (exchange.request.header("x-api-key"), exchange.request.header("authorization"));
        if (key, token) != (Some("of-a-file"), Some("Bearer of-the-environment")) {
            return exchange.reply("401 Unauthorized", &[], b"{}");
        }
        match requests.fetch_add(1, Ordering::SeqCst) {
            0 => exchange.reply("429 Too Many Requests", &[("Retry-After", "0")], b"{}"),
            3 => exchange.reply("503 Service Unavailable", &[("Retry-After", "0")], b"{}"),
            _ if exchange.request.path() == "/busy" => {
                exchange.reply("429 Too Many Requests", &[("Retry-After", "0")], b"{}")
            }
            _ if exchange.request.path() == "/unsorted" => {
                let problem = br#"{"code":"upstream_unsorted","detail":"the order is another one"}"#;
                exchange.reply("502 Bad Gateway", &[], problem)
            }
            _ if exchange.request.path() == "/closed" => {
                exchange.reply("503 Service Unavailable", &[("Retry-After", "9999")], b"{}")
            }
            _ => {
                let body = list::body(exchange, &items);
                exchange.reply("200 OK", &[], body.as_bytes())
            }
        }
    });
    let directory = Directory::new();
    let key = directory.file("key");
    std::fs::write(&key, "of-a-file\n").expect("a file in the test's directory");
    let key = format!("X-Api-Key: file:{}", key.display());
    let url = |path: &str| format!("http://{}{path}", upstream.address);
    let dialect = directory.file("direct.toml");
    std::fs::write(
        &dialect,
        format!("version = 1\n{}", direct(upstream.address, &["/a", "/b", "/c", "/busy", "/closed", "/unsorted"])),
    )
    .expect("a file in the test's directory");
    let run = |more: &[&str]| -> Output {
        let mut command: Command = command();
        command.env("WALK_TOKEN", "of-the-environment").env("CURSORGATE_KEY", KEY).arg("walk");
        command.arg("--config").arg(&dialect).args(["--header", &key, "--retries", "2"]);
        command.args(["--header", "Authorization: Bearer {env:WALK_TOKEN}"]).args(more);
        command.output().expect("the binary starts")
    };
    let folder = directory.file("lists");
    let out = folder.to_str().expect("UTF-8");
    let output = run(&[&url("/a"), &url("/b"), &url("/c"), "--parallel", "2", "--out", out]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let files: Vec<_> =
        std::fs::read_dir(&folder).expect("it was made").map(|file| file.expect("a file").path()).collect();
    assert_eq!(files.len(), 3, "{files:?}");
    for file in &files {
        assert_eq!(std::fs::read_to_string(file).expect("a file").lines().count(), 45, "{}", file.display());
    }
    let said = text(&output.stderr);
    assert_eq!(said.matches(": 45 items, 3 pages, ").count(), 3, "{said}");
    let sent = upstream.count();
    let unused = directory.file("busy.ndjson");
    let failed = run(&[&url("/busy"), "--out", unused.to_str().expect("UTF-8")]);
    assert!(failed.status.code() == Some(1) && !unused.exists(), "a walk without a page leaves no file");
    for (path, expected, requests) in [
        ("/busy", "429, after 2 retries", 3),
        ("/closed", "Retry-After 9999", 1),
        ("/unsorted", "502: upstream_unsorted: the order is another one", 1),
    ] {
        let before = upstream.count();
        let output = run(&[&url(path)]);
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(1) && said.contains(expected), "{path}: {said}");
        assert_eq!(upstream.count() - before, requests, "{path}");
    }
    assert!(upstream.count() > sent);
    let refused = walk(&[&url("/a"), "--header", "X-Api-Key: env:NOT_SET_ANYWHERE"]);
    assert!(refused.status.code() == Some(2) && text(&refused.stderr).contains("NOT_SET_ANYWHERE is not set"));
}

/// Returns the configuration of routes at these paths, for lists that the harness serves by offset.
fn direct(address: std::net::SocketAddr, paths: &[&str]) -> String {
    let mut text = format!(
        "[cursor]\nsigning_key = 1\nkeys = {{ 1 = \"env:CURSORGATE_KEY\" }}\n[upstreams.legacy]\npeers = [\"{address}\"]\n\
         [dialects.scripted]\nrequest = {{ query = \"offset={{offset}}&limit={{size}}\" }}\n\
         response = {{ items = \"/items\", total = \"/total\" }}\n"
    );
    for path in paths {
        let name = path.trim_start_matches('/');
        text.push_str(&format!(
            "[routes.{name}]\npath = \"{path}\"\nupstream = \"legacy\"\ndialect = \"scripted\"\norder = [\"id\"]\n\
             old_clients = \"none\"\n"
        ));
    }
    text
}

/// Starts an upstream with a list by page, newest first, in which rows are added or removed with every second request.
fn changing() -> Upstream {
    let rows: Mutex<(usize, Vec<u64>)> = Mutex::new((0, (1..=260).rev().collect()));
    Upstream::start(move |exchange| {
        let number = |name, usual| exchange.request.parameter(name).map_or(usual, |text| text.parse().unwrap_or(usual));
        let (page, size): (usize, usize) = (number("page", 1), number("page_size", 20));
        let mut state = rows.lock().unwrap_or_else(PoisonError::into_inner);
        let (turn, rows) = &mut *state;
        *turn += 1;
        match *turn % 4 {
            0 => drop(rows.drain(2..4)),
            2 => {
                let newest = rows[0];
                rows.splice(0..0, [newest + 2, newest + 1]);
            }
            _ => {}
        }
        let from = (page - 1) * size;
        if from >= rows.len() && page > 1 {
            return exchange.reply("404 Not Found", &[], br#"{"detail":"Invalid page."}"#);
        }
        let results: Vec<Value> =
            rows.iter().skip(from).take(size).map(|id| json!({ "id": id, "name": format!("row {id}") })).collect();
        let next = (from + size < rows.len()).then(|| format!("http://django.internal/users?page={}", page + 1));
        let body = json!({ "count": rows.len(), "next": next, "previous": null, "results": results });
        exchange.reply("200 OK", &[], body.to_string().as_bytes())
    })
}

/// Starts a gateway for the changing list.
fn gateway(upstream: &Upstream, envelope: &str) -> Gateway {
    Gateway::start(&format!(
        "[upstreams.legacy]\npeers = [\"{}\"]\n[routes.users]\npath = \"/users\"\nupstream = \"legacy\"\n\
         dialect = \"drf-page\"\norder = [\"-id\"]\nenvelope = \"{envelope}\"\npage_size = {{ default = 20, max = 60 }}\n",
        upstream.address
    ))
}

/// Returns the number before a word, in the line of a report that begins with `way`; 0 if there is none.
fn said(report: &str, way: &str, word: &str) -> usize {
    let Some(line) = report.lines().find(|line| line.starts_with(way)) else { return 0 };
    let words: Vec<&str> = line.split([' ', ',', ';']).filter(|part| !part.is_empty()).collect();
    let at = words.iter().position(|part| *part == word);
    at.and_then(|at| words[at - 1].parse().ok()).unwrap_or(0)
}

#[test]
fn pages_lose_and_repeat_items_that_cursors_do_not() {
    for envelope in ["standard", "jsonapi"] {
        let upstream = changing();
        let gateway = gateway(&upstream, envelope);
        let directory = Directory::new();
        let page = directory.file("report.html");
        let direct = format!("http://{}/users?page_size=20", upstream.address);
        let output = walk(&[
            &gateway.url("/users"),
            "--verify",
            &direct,
            "--dialect",
            "drf-page",
            "--report",
            page.to_str().expect("UTF-8"),
        ]);
        let report = text(&output.stdout);
        assert!(output.status.success(), "{report}{}", text(&output.stderr));
        assert!(report.contains("No item was lost or repeated."), "{report}");
        assert!(report.contains("none lost, none repeated"), "{report}");
        assert!(said(&report, "by page", "lost") > 0 && said(&report, "by page", "repeated") > 0, "{report}");
        assert_eq!(report.contains("not compared"), envelope == "jsonapi", "{report}");
        assert!(said(&report, "meanwhile", "came") > 0 && said(&report, "meanwhile", "left") > 0, "{report}");
        let html = std::fs::read_to_string(&page).expect("it was written");
        assert!(html.contains("<td class=\"bad\">") && html.contains("No item was lost or repeated."), "{html}");
        for outside in ["<script", "src=", "href=", "@import", "url("] {
            assert!(!html.contains(outside), "{outside}: {html}");
        }
    }
    // If only the walk by page is verified, it loses items, and the exit code reports that.
    let upstream = changing();
    let direct = format!("http://{}/users?page_size=20", upstream.address);
    let output = walk(&[&direct, "--verify", &direct, "--dialect", "drf-page"]);
    assert_eq!(output.status.code(), Some(3), "{}{}", text(&output.stdout), text(&output.stderr));
    let unreachable =
        walk(&["http://127.0.0.1:9/users", "--verify", &direct, "--dialect", "drf-page", "--retries", "0"]);
    assert_eq!(unreachable.status.code(), Some(1), "{}", text(&unreachable.stdout));
}

/// A walk is verified with a configuration whose route describes the requests and the order of the direct list.
#[test]
fn a_walk_is_verified_by_the_route_of_a_configuration() {
    let rows = Rows::new((1..=90).map(|id| rows::Row::new(id, id % 9)));
    rows.change(|rows| rows.sort_by_key(|row| std::cmp::Reverse(row.score)));
    let upstream = Upstream::start(move |exchange| rows.answer(exchange));
    // The gateway sorts ties by id, while the upstream returns them in the order of insertion.
    let route = "order = [\"-score\", \"id\"]\npage_size = { default = 20, max = 40 }";
    let gateway = Gateway::start(&rows::configuration(upstream.address, BY_OFFSET, route));
    let file = gateway.file("cursorgate.toml");
    let file = file.to_str().expect("UTF-8");
    let direct = format!("http://{}/users", upstream.address);
    let verified = |file: &str| {
        let mut command = command();
        command.arg("walk").arg(gateway.url("/users")).args(["--verify", &direct, "--config", file]);
        command.env("CURSORGATE_KEY_1", KEY).output().expect("the binary starts")
    };
    let output = verified(file);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    let elsewhere = walk(&[&gateway.url("/users"), "--verify", "http://127.0.0.1:9/users", "--config", file]);
    assert_eq!(elsewhere.status.code(), Some(2), "{}", text(&elsewhere.stderr));
    assert!(Path::new(file).exists());
}

/// Verifies the walk of `/users` by the configuration of the gateway. Panics unless the report says that no item is lost.
fn assert_lossless(gateway: &Gateway, upstream: &Upstream) {
    let (file, direct) = (gateway.file("cursorgate.toml"), format!("http://{}/users", upstream.address));
    let mut command = command();
    command.arg("walk").arg(gateway.url("/users")).args(["--verify", &direct, "--config"]).arg(file);
    let output = command.env("CURSORGATE_KEY_1", KEY).output().expect("the binary starts");
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}{}", text(&output.stderr));
    assert!(said.contains("No item was lost or repeated"), "{said}");
}

/// Each answer has a link to a next page, also the empty ones after the end, which the dialect declares to be the end.
#[test]
fn a_list_whose_answers_always_lead_on_is_verified_if_empty_answers_are_its_end() {
    let upstream = Upstream::start(move |exchange| {
        let number = |name, usual| exchange.request.parameter(name).map_or(usual, |text| text.parse().unwrap_or(usual));
        let (from, size): (u64, u64) = (number("token", 0), number("size", 20));
        let items: Vec<Value> = (from + 1..=90.min(from + size)).map(|id| json!({ "id": id })).collect();
        let link = format!("</users?token={}>; rel=\"next\"", from + size);
        exchange.reply("200 OK", &[("Link", &link)], json!({ "items": items }).to_string().as_bytes())
    });
    let configured = direct(upstream.address, &["/users"]).replace("offset={offset}&limit", "token={token}&size");
    let configured = configured.replace("[cursor]\nsigning_key = 1\nkeys = { 1 = \"env:CURSORGATE_KEY\" }\n", "");
    let facts = "next_token = \"link:next\", token_param = \"token\", end = \"empty-page\"";
    let gateway = Gateway::start(&configured.replace("total = \"/total\"", facts));
    assert_lossless(&gateway, &upstream);
}

/// Five windows of ten rows in a row have no item, and answers say nothing about the end.
#[test]
fn a_list_that_leaves_out_a_stretch_of_rows_is_verified() {
    let upstream = Upstream::start(move |exchange| {
        let number = |name, usual| exchange.request.parameter(name).map_or(usual, |text| text.parse().unwrap_or(usual));
        let (from, size): (u64, u64) = (number("offset", 0), number("limit", 10).min(10));
        let rows = (from + 1..=90.min(from + size)).filter(|id| !(13..=70).contains(id));
        let items: Vec<Value> = rows.map(|id| json!({ "id": id })).collect();
        exchange.reply("200 OK", &[], json!({ "items": items }).to_string().as_bytes())
    });
    let configured = direct(upstream.address, &["/users"]).replace("total = \"/total\"", "hidden = true");
    let configured = configured.replace("[cursor]\nsigning_key = 1\nkeys = { 1 = \"env:CURSORGATE_KEY\" }\n", "");
    let configured = configured.replace("request = {", "size = { max = 10 }\nrequest = {");
    let gateway = Gateway::start(&format!("{configured}page_size = {{ default = 20, max = 40 }}\n"));
    assert_lossless(&gateway, &upstream);
}

/// Verifies the walk of a list while another thread changes the list continuously. Returns the report.
pub(crate) fn verified_amid_changes(
    gateway: &Gateway,
    path: &str,
    direct: &str,
    change: impl Fn(u64) + Sync,
) -> String {
    let file = gateway.file("cursorgate.toml");
    let done = AtomicBool::new(false);
    let output = thread::scope(|scope| {
        scope.spawn(|| {
            let turns = (0..).take_while(|_| !done.load(Ordering::SeqCst));
            turns.for_each(&change);
        });
        let mut command = command();
        command.arg("walk").arg(gateway.url(path)).args(["--verify", direct, "--config"]).arg(&file);
        command.env("CURSORGATE_KEY", KEY).env("CURSORGATE_KEY_1", KEY);
        let output = command.output();
        done.store(true, Ordering::SeqCst);
        output.expect("the binary starts")
    });
    let report = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{report}{}\n{}", text(&output.stderr), gateway.configuration());
    assert!(report.contains("none lost, none repeated"), "{report}");
    report
}

#[test]
fn json_server_is_verified_while_users_come_and_go() {
    let upstream = ThirdParty::start(Kind::JsonServer);
    let gateway = Gateway::start(&upstream.configuration());
    let users = Kind::JsonServer.users();
    let direct = upstream.url(&format!("{users}?_limit=20"));
    let report = verified_amid_changes(&gateway, "/v2/users", &direct, |turn| {
        // The first users are removed, which moves all others up, and new users are added at the end.
        let gone = http::send(upstream.address, "DELETE", &format!("{users}/{}", turn + 1), &[], b"");
        assert!(gone.status == 200 || gone.status == 404, "{gone:?}");
        let new = json!({ "name": "new", "created_at": "2031-01-01T00:00:00.000Z" }).to_string();
        let added =
            http::send(upstream.address, "POST", users, &[("Content-Type", "application/json")], new.as_bytes());
        assert_eq!(added.status, 201, "{added:?}");
    });
    assert!(said(&report, "meanwhile", "left") > 0, "{report}");
}

/// A walk is verified while items are added to a list in which forty items share each time and have no fixed order. The
/// service returns times in milliseconds and sorts by microseconds.
#[test]
fn a_service_on_postgresql_is_verified_while_items_come() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/end_to_end/upstreams/postgres/service.py");
    let (mut child, input, address) = launch(Command::new(python()).arg(source).args(["--rows", "1200"]));
    let directory = Directory::new();
    let file = directory.file("learnt.toml");
    let direct = format!("http://{address}/items");
    let learnt = command().args(["learn", &direct, "--delay", "0", "--out"]).arg(&file).output().expect("it starts");
    assert!(learnt.status.success(), "{}", text(&learnt.stdout));
    let gateway = Gateway::start_as_written(&std::fs::read_to_string(&file).expect("it was written"));
    let report = verified_amid_changes(&gateway, "/items?cursor=start&limit=50", &direct, |_| {
        let change = json!([["insert", "2027-01-01 00:00:00+00"]]).to_string();
        assert_eq!(http::send(address, "POST", "/changes", &[], change.as_bytes()).status, 200);
    });
    assert!(said(&report, "by page", "lost") + said(&report, "by offset", "lost") > 0, "{report}");
    drop((gateway, input));
    // The service drops its database when its standard input ends.
    let _ = child.wait();
}
