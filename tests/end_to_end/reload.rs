//! Tests of reloads: their causes, their results, and the settings that they change. `lifecycle.rs` tests reloads under
//! load.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    os::unix::fs::{OpenOptionsExt as _, symlink},
    path::Path,
    process::Command,
};

use serde_json::Value;

use crate::harness::{
    Directory, eventually,
    gateway::{Gateway, KEY, Keys, OTHER_KEY, command, free_port, signal},
    http,
    list::{PLAIN, Setup, serve, users},
    upstream::Upstream,
};

const TOKEN: &str = "a-token-of-the-tests";

fn page_size(gateway: &Gateway) -> Value {
    gateway.get("/users").json()["pagination"]["pageSize"].clone()
}

/// A change is noticed if a file is renamed into place, if it is written in place, or if a link to its folder is
/// switched to another folder, as Kubernetes does with config maps. Faults are reported, and corrected by the next
/// change.
#[test]
fn a_change_of_the_file_is_noticed() {
    let upstream = Upstream::start(serve(users(60)));
    let setup = Setup { more: "[server]\nreload_on_change = true", ..PLAIN };
    let gateway = Gateway::start(&setup.configuration(upstream.address));
    let text = |size: u32| gateway.configuration().replace("default = 20", &format!("default = {size}"));
    let (good, file) = (text(20), gateway.file("cursorgate.toml"));
    let with = |size: u32| good.replace("default = 20", &format!("default = {size}"));
    let is_in_force = |size: u32, how: &str| eventually(how, || (page_size(&gateway) == size).then_some(()));
    gateway.rewrite_raw(&with(7));
    is_in_force(7, "a rename");
    std::fs::write(&file, with(8)).expect("it can be written");
    is_in_force(8, "a write");

    for (folder, size) in [("..one", 9), ("..two", 10)] {
        std::fs::create_dir(gateway.file(folder)).expect("a folder of the test");
        std::fs::write(gateway.file(folder).join("cursorgate.toml"), with(size)).expect("a file of the test");
    }
    let lead = |to: &str, from: &Path| {
        symlink(to, gateway.file("..draft")).expect("a link of the test");
        std::fs::rename(gateway.file("..draft"), from).expect("the same folder");
    };
    lead("..one", &gateway.file("..data"));
    lead("..data/cursorgate.toml", &file);
    is_in_force(9, "a link");
    lead("..two", &gateway.file("..data"));
    is_in_force(10, "another folder after the same link");

    std::fs::write(gateway.file("..two/cursorgate.toml"), "nonsense = = 1").expect("it can be written");
    let refused = "cursorgate_config_reloads_total{cause=\"change\",result=\"refused\"}";
    eventually("a fault is reported", || (gateway.metric(refused) == Some(1)).then_some(()));
    assert_eq!(page_size(&gateway), 10, "the previous one stays in force");
    std::fs::write(gateway.file("..two/cursorgate.toml"), with(11)).expect("it can be written");
    is_in_force(11, "the fault is mended");
}

/// Changes of files that the configuration names are also noticed, so a rotated key needs no signal.
#[test]
fn a_change_of_a_key_file_is_noticed() {
    let upstream = Upstream::start(serve(users(60)));
    let setup = Setup { more: "[server]\nreload_on_change = true", ..PLAIN };
    let gateway = Gateway::start(&setup.configuration(upstream.address));
    std::fs::write(gateway.file("key"), KEY).expect("a file of the test");
    let in_file = gateway.configuration().replace("env:CURSORGATE_KEY_1", "file:key");
    gateway.rewrite_raw(&in_file);
    let in_force = "cursorgate_config_reloads_total{cause=\"change\",result=\"in_force\"}";
    eventually("the file is noticed", || (gateway.metric(in_force) == Some(1)).then_some(()));
    let next = gateway.get("/users?limit=5").link("next").expect("a next page");
    assert_eq!(gateway.get(&next).outcome(), "200");
    std::fs::write(gateway.file("key"), OTHER_KEY).expect("it can be written");
    eventually("the key is noticed", || (gateway.get(&next).status == 400).then_some(()));
}

/// An operator can reload by a request, whose answer contains the result.
///
/// Row: A44
#[test]
fn an_operator_reloads_by_a_request() {
    let upstream = Upstream::start(serve(users(60)));
    let gateway = Gateway::start(&PLAIN.configuration(upstream.address));
    let ask = |method: &str, token: &str| {
        let authorization = format!("Bearer {token}");
        http::send(gateway.admin, method, "/reload", &[("Authorization", &authorization)], b"")
    };
    assert_eq!(ask("POST", TOKEN).status, 405, "without a token there is no such request");
    assert_eq!(http::get(gateway.admin, "/reload").json()["cause"], "start");

    std::fs::write(gateway.file("token"), format!("{TOKEN}\n")).expect("a file of the test");
    let hosts = "hosts = [\"gateway.test\"]";
    let text = gateway.configuration().replace(hosts, &format!("{hosts}, token = \"file:token\""));
    gateway.rewrite_raw(&text);
    gateway.signal("HUP");
    eventually("the token is in force", || (ask("POST", "wrong-token-of-the-tests").status == 401).then_some(()));

    let moved = format!("127.0.0.1:{}", free_port());
    let next = text.replace("default = 20", "default = 7").replace(&gateway.public.to_string(), &moved);
    gateway.rewrite_raw(&next);
    let done = ask("POST", TOKEN);
    assert_eq!(done.status, 200, "{done:?}");
    let result = done.json();
    assert_eq!((&result["in_force"], &result["cause"]), (&Value::Bool(true), &"admin".into()), "{result}");
    assert_eq!(result["needs_restart"], serde_json::json!(["listeners.public.address"]), "{result}");
    assert_eq!(page_size(&gateway), 7, "it is in force when the answer comes");

    gateway.rewrite_raw(&next.replace("order = [\"id\"]", "ordre = [\"id\"]"));
    let refused = ask("POST", TOKEN);
    assert_eq!(refused.status, 422, "{refused:?}");
    assert!(refused.json()["report"].as_str().is_some_and(|report| report.contains("ordre")), "{refused:?}");
    let seen = http::get(gateway.admin, "/reload").json();
    assert_eq!((&seen["in_force"], &seen["report"]), (&Value::Bool(false), &Value::Null), "{seen}");
    assert_eq!(ask("GET", TOKEN).json()["report"], refused.json()["report"]);
    assert_eq!(page_size(&gateway), 7);
    assert_eq!(gateway.metric("cursorgate_config_restart_needed"), Some(1), "the address still waits for a restart");
}

/// The answer to a reload has the results of all reloads before it, also of the one that has just ended.
#[test]
fn a_reload_is_reported_with_all_before_it() {
    let upstream = Upstream::start(serve(users(3)));
    let gateway = Gateway::start(&PLAIN.configuration(upstream.address));
    std::fs::write(gateway.file("token"), TOKEN).expect("a file of the test");
    let hosts = "hosts = [\"gateway.test\"]";
    gateway.rewrite_raw(&gateway.configuration().replace(hosts, &format!("{hosts}, token = \"file:token\"")));
    gateway.signal("HUP");
    let reload = || {
        let authorization = format!("Bearer {TOKEN}");
        http::send(gateway.admin, "POST", "/reload", &[("Authorization", &authorization)], b"")
    };
    eventually("the token is in force", || (reload().status == 200).then_some(()));
    let good = gateway.configuration();
    for round in 0..40_u32 {
        gateway.rewrite_raw(&good.replace("order = [\"id\"]", "ordre = [\"id\"]"));
        assert_eq!(reload().status, 422);
        gateway.rewrite_raw(&good);
        let results = reload().json();
        assert_eq!(
            (&results["in_force"], &results["earlier"][0]["in_force"]),
            (&true.into(), &false.into()),
            "{round}"
        );
    }
}

/// Reading the configuration at the start counts as a reload, and is reported with its warnings.
#[test]
fn the_start_is_reported_with_its_warnings() {
    let upstream = Upstream::start(serve(users(60)));
    let gateway = Gateway::start(&PLAIN.configuration(upstream.address));
    let warnings = || http::get(gateway.admin, "/reload").json()["warnings"].clone();
    let at_start = warnings();
    assert!(at_start.as_u64().is_some_and(|count| count > 0), "the route has relative links: {at_start}");
    gateway.signal("HUP");
    eventually("a reload", || (http::get(gateway.admin, "/reload").json()["cause"] == "signal").then_some(()));
    assert_eq!(warnings(), at_start);
}

/// A reload changes the lines and the format of the log.
#[test]
fn the_log_follows_a_reload() {
    let upstream = Upstream::start(serve(users(60)));
    let gateway = Gateway::start(&PLAIN.configuration(upstream.address));
    let log = |format: &str, access: &str| {
        let other = format!("log = {{ format = \"{format}\", access = \"{access}\" }}");
        let before = gateway.configuration();
        let line = before.lines().find(|line| line.starts_with("log = ")).expect("the harness writes it");
        gateway.rewrite_raw(&before.replace(line, &other));
        let number = gateway.metric("cursorgate_config_reloads_total{cause=\"signal\",result=\"in_force\"}");
        gateway.signal("HUP");
        eventually("it is reloaded", || {
            let now = gateway.metric("cursorgate_config_reloads_total{cause=\"signal\",result=\"in_force\"}");
            (now > number).then_some(())
        });
    };
    let lines =
        |mark: &str| gateway.log().iter().filter(|line| line.contains(mark) && line.contains("duration_ms")).count();
    gateway.get("/users?limit=1");
    eventually("a line", || (gateway.access_log().len() == 1).then_some(()));
    log("json", "errors");
    gateway.get("/users?limit=2");
    log("text", "all");
    gateway.get("/users?limit=3");
    eventually("a line for people", || (lines(" INFO ") == 1 && lines("/users") == 2).then_some(()));
    log("json", "all");
    gateway.get("/users?limit=4");
    eventually("a line for machines", || (gateway.access_log().len() == 2).then_some(()));
    assert_eq!(lines("/users"), 3, "none without an error:\n{}", gateway.log().join("\n"));
    gateway.rewrite(Keys::One, &PLAIN.configuration(upstream.address));
}

/// A reload that is requested during the start happens after the start. Without a handler, SIGHUP would end the
/// process. The key is a pipe, so the process waits in the middle of its start.
#[test]
fn a_reload_that_is_asked_for_during_the_start_comes_after_it() {
    let directory = Directory::new();
    let (file, pipe, log) = (directory.file("cursorgate.toml"), directory.file("key"), directory.file("log"));
    let upstream = Upstream::start(serve(users(3)));
    let setup = PLAIN.configuration(upstream.address);
    let text = format!(
        "version = 1\ncursor = {{ signing_key = 1, keys = {{ 1 = \"file:key\" }} }}\n\
         defaults = {{ old_clients = \"none\" }}\n{setup}"
    );
    std::fs::write(&file, text).expect("a file in the test's directory");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("it is a part of every system").success());
    let mut command = command();
    command.arg("run").arg("--config").arg(&file).env("CURSORGATE_LISTEN", format!("127.0.0.1:{}", free_port()));
    command.stderr(File::create(&log).expect("a file in the test's directory"));
    let mut process = command.spawn().expect("it runs");
    // A pipe can't be opened to write, without blocking, as long as no process reads it.
    let unread = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let reader = || OpenOptions::new().write(true).custom_flags(unread).open(&pipe).ok();
    let give = |mut key: File| key.write_all(KEY.as_bytes()).expect("it is read");
    let first = eventually("the process reads its key", reader);
    signal(process.id(), "HUP");
    give(first);
    let mut is_given = false;
    eventually("it reloads", || {
        let said = std::fs::read_to_string(&log).expect("a file of the test");
        assert!(process.try_wait().expect("it is our child").is_none(), "it has ended: {said}");
        // A key that is written earlier would be read by the start itself, and one that is written twice is no key.
        if !is_given && let Some(again) = said.contains("listening").then(reader).flatten() {
            give(again);
            is_given = true;
        }
        said.contains("configuration reloaded").then_some(())
    });
    signal(process.id(), "INT");
    process.wait().expect("it is our child");
}
