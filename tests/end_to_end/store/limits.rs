//! Tests of rate limits that processes count together, or separately if the store fails.

use std::{path::PathBuf, process::Command};

use serde_json::{Value, json};

use super::{Flavour, PATIENT, StoreServer, at, questions, server, status, wait_until_up, writes};
use crate::{
    harness::{
        eventually,
        gateway::{Gateway, Keys, signal},
        http::Response,
        list::{PLAIN, Setup, serve, users},
        upstream::Upstream,
    },
    rate_limits::{assert_limited, left},
    third_party::python,
};

/// A limit of five requests an hour. One request is available again after 12 minutes.
const FIVE: &str = "rate_limit = { requests = 5, per = \"1h\" }";

fn text(upstream: &Upstream, route: &str, shared: &str) -> String {
    let more = format!("[caches.shared]\n{shared}");
    let setup = Setup { route: leak(route), more: leak(&more), ..PLAIN };
    setup.configuration(upstream.address)
}

fn leak(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

fn list() -> Upstream {
    Upstream::start(serve(users(300)))
}

fn start(upstream: &Upstream, route: &str, shared: &str) -> Gateway {
    let gateway = Gateway::start(&text(upstream, route, shared));
    wait_until_up(&gateway);
    gateway
}

fn ask(gateway: &Gateway, target: &str, client: &str) -> Response {
    gateway.send("GET", target, &[("Authorization", client)], b"")
}

/// Sends a request of a client, which must be served. Returns the number of requests that remain.
fn served(gateway: &Gateway, client: &str) -> u64 {
    let answer = ask(gateway, "/users?cursor=start&limit=5", client);
    assert_eq!(answer.status, 200, "{answer:?}");
    left(&answer, "requests").expect("one field").0
}

fn assert_refused(gateway: &Gateway, client: &str) {
    assert_limited(&ask(gateway, "/users?cursor=start&limit=5", client), "requests", 720);
}

/// A client has one limit at all processes, and each client has a separate limit. A process that has just started
/// counts the client's earlier requests. A refused client is refused from memory.
#[test]
fn a_client_has_one_limit_at_all_processes() {
    for flavour in [Flavour::Redis, Flavour::Valkey] {
        let (upstream, server) = (list(), StoreServer::start(flavour));
        let [first, mut second] = [(); 2].map(|()| start(&upstream, FIVE, &at(&server)));
        for remaining in [4, 3, 2, 1, 0] {
            let gateway = if remaining % 2 == 0 { &first } else { &second };
            assert_eq!(served(gateway, "Bearer a"), remaining, "{flavour:?}");
        }
        assert_eq!(upstream.count(), 5);
        for gateway in [&first, &second] {
            assert_refused(gateway, "Bearer a");
            let asked = questions(gateway, "counted");
            assert_refused(gateway, "bearer  a");
            assert_eq!(questions(gateway, "counted"), asked, "{flavour:?}: the client was refused already");
        }
        assert_eq!([&second, &first].map(|gateway| served(gateway, "Bearer b")), [4, 3], "{flavour:?}");
        assert_eq!(upstream.count(), 7, "{flavour:?}: a refused request costs the upstream nothing");
        second.restart();
        wait_until_up(&second);
        assert_refused(&second, "Bearer a");
        assert_eq!(served(&second, "Bearer b"), 2, "{flavour:?}");
        // A changed limit begins anew, and the counts of the first limit stay in force.
        let other = start(&upstream, &FIVE.replace("= 5", "= 6"), &at(&server));
        assert_eq!((served(&other, "Bearer a"), served(&second, "Bearer b")), (5, 1), "{flavour:?}");
    }
}

/// A request is counted for two limits at once, and for neither limit if one of them refuses it.
#[test]
fn a_refusal_charges_no_other_limit() {
    let (upstream, server) = (list(), StoreServer::start(Flavour::Redis));
    let route = "rate_limit = { requests = 2, upstream_requests = 100, per = \"1h\" }";
    let [first, second] = [(); 2].map(|()| start(&upstream, route, &at(&server)));
    for gateway in [&first, &second] {
        assert_eq!(ask(gateway, "/users?cursor=start&limit=5", "a").status, 200);
    }
    for gateway in [&first, &second, &first, &second] {
        let refused = ask(gateway, "/users?cursor=start&limit=5", "a");
        assert_limited(&refused, "requests", 1_800);
        assert!(left(&refused, "upstream-requests").is_none_or(|(remaining, _)| remaining == 98), "{refused:?}");
    }
    assert_eq!(questions(&first, "counted") + questions(&second, "counted"), 4);
}

/// The upstream requests of pages count at all processes. If the upstream returns ten items at a time, a page of fifty
/// takes at least five.
#[test]
fn expensive_pages_are_paid_for_at_all_processes() {
    let (upstream, server) = (list(), StoreServer::start(Flavour::Valkey));
    let route = "rate_limit = { upstream_requests = 12, per = \"1h\" }";
    let configuration = text(&upstream, route, &at(&server))
        .replace("max = 200", "max = 50")
        .replace("[dialects.scripted]", "[dialects.scripted]\nsize = { max = 10 }");
    let gateways = [(); 2].map(|()| Gateway::start(&configuration));
    gateways.iter().for_each(wait_until_up);
    let (mut target, mut taken, mut turn) = ("/users?cursor=start&limit=50".to_owned(), 0, 0);
    while taken < 12 {
        let (gateway, before) = (&gateways[turn % 2], upstream.count());
        let known = writes(gateway, "stored");
        let page = ask(gateway, &target, "a");
        assert_eq!(page.status, 200, "some of the limit was left: {page:?}");
        taken += upstream.count() - before;
        let expected = u64::try_from(12_usize.saturating_sub(taken)).ok();
        assert_eq!(left(&page, "upstream-requests").map(|left| left.0), expected, "{page:?}");
        // The answer doesn't wait until the charge is stored, so the test does.
        eventually("the charge is stored", || (writes(gateway, "stored") > known).then_some(()));
        target = page.link("next").expect("a next page");
        turn += 1;
    }
    assert!(taken > 12 && turn > 1, "the last page took more than was left: {taken} in {turn} pages");
    let over = u64::try_from(taken - 12).expect("a small number");
    for gateway in &gateways {
        assert_limited(&ask(gateway, "/users?cursor=start&limit=1", "a"), "upstream-requests", (over + 1) * 300);
    }
    // A request that causes no upstream request is not counted.
    for gateway in [&gateways[0], &gateways[1], &gateways[0]] {
        let known = writes(gateway, "stored");
        let answer = ask(gateway, "/users?cursor=start&limit=none", "b");
        assert_eq!(left(&answer, "upstream-requests").map(|left| left.0), Some(12), "{answer:?}");
        eventually("the charge is stored", || (writes(gateway, "stored") > known).then_some(()));
    }
}

#[test]
fn legacy_requests_have_one_limit_at_all_processes() {
    let (upstream, server) = (list(), StoreServer::start(Flavour::Redis));
    let route = "rate_limit = { requests = 10, per = \"1h\" }\n\
                 old_clients = \"pass\"\nlegacy = { rate_limit = { requests = 3, per = \"1h\" } }";
    let [first, second] = [(); 2].map(|()| start(&upstream, route, &at(&server)));
    for (gateway, remaining) in [(&first, 2), (&second, 1), (&first, 0)] {
        let old = ask(gateway, "/users?offset=20", "a");
        assert_eq!((old.status, left(&old, "legacy").map(|left| left.0)), (200, Some(remaining)), "{old:?}");
    }
    for gateway in [&first, &second] {
        assert_limited(&ask(gateway, "/users?offset=20", "a"), "legacy", 1_200);
    }
    assert_eq!(served(&second, "a"), 4, "five legacy requests and a page count for the route");
}

/// While the store is stopped or dead, each process limits separately, from its last known counts. Afterwards, all
/// processes limit together again.
///
/// Row: F50
#[test]
fn a_store_that_fails_leaves_each_process_with_its_own_limit() {
    for flavour in [Flavour::Redis, Flavour::Valkey] {
        let (upstream, mut server) = (list(), StoreServer::start(flavour));
        // This test uses the default time limit, not the long one of other tests.
        let shared = at(&server).replace(PATIENT, "");
        let [first, second] = [(); 2].map(|()| start(&upstream, FIVE, &shared));
        for client in ["stopped", "killed"] {
            // A late answer is a miss: the process has counted the client's request separately.
            let remaining: u64 = [&first, &second, &first].map(|gateway| served(gateway, client))[2];
            assert!((2..=3).contains(&remaining), "{flavour:?} {client}: {remaining}");
            let late = [&first, &second].map(|gateway| questions(gateway, "late"));
            if client == "stopped" {
                server.signal("STOP");
            } else {
                server.kill();
            }
            for other in 0..10 {
                for gateway in [&first, &second] {
                    let remaining = served(gateway, &format!("{client}-{other}"));
                    // The signal may take effect after the first requests, and after three failures a process counts
                    // separately, so the first requests may be counted together.
                    let alone = if other < 5 { 3..=4 } else { 4..=4 };
                    assert!(alone.contains(&remaining), "{flavour:?} {client} {other}: {remaining}");
                }
            }
            let mut allowed = 0;
            while ask(&first, "/users?cursor=start&limit=5", client).status == 200 {
                allowed += 1;
            }
            assert_eq!(allowed, remaining, "{flavour:?} {client}: the process knew the rest");
            assert_refused(&first, client);
            for (gateway, before) in [&first, &second].into_iter().zip(late) {
                let late = questions(gateway, "late") - before;
                assert!(late <= 3, "{flavour:?} {client}: {late} requests waited for it");
                eventually("it is shown", || (status(gateway)["degraded"] == true).then_some(()));
            }
            if client == "stopped" {
                server.signal("CONT");
            } else {
                server.start_again();
            }
            [&first, &second].into_iter().for_each(wait_until_up);
        }
        eventually("they count together again", || {
            let known = [&first, &second].map(|gateway| questions(gateway, "counted"));
            let client = format!("after-{}-{}", known[0], known[1]);
            let both = [&first, &second].map(|gateway| served(gateway, &client));
            let asked = [&first, &second].map(|gateway| questions(gateway, "counted"));
            (asked == known.map(|count| count + 1)).then(|| assert_eq!(both, [4, 3], "{flavour:?}"))
        });
    }
}

/// The rights in the documentation suffice. Without the right to run scripts, each process limits separately, which is
/// logged once.
#[test]
fn rate_limits_need_only_the_documented_rights_of_the_store() {
    for flavour in [Flavour::Redis, Flavour::Valkey] {
        let rights = server::documented_rights().replace(">PASSWORD", ">hunter2-hunter2-hunter2");
        let fewer = rights.replace("user cursorgate ", "user reader ").replace(" +eval", "");
        let server = StoreServer::start_with(flavour, |_, _| format!("{rights}\n{fewer}\n"));
        let upstream = list();
        let shared = |user: &str| {
            format!("{}\nusername = \"{user}\"\npassword = \"file:{}\"", at(&server), server.file("password").display())
        };
        std::fs::write(server.file("password"), "hunter2-hunter2-hunter2\n").expect("a file");
        let [first, second] = [(); 2].map(|()| start(&upstream, FIVE, &shared("cursorgate")));
        assert_eq!([&first, &second].map(|gateway| served(gateway, "a")), [4, 3], "{flavour:?}");
        assert_eq!(status(&first)["degraded"], false, "{flavour:?}");
        let reader = start(&upstream, FIVE, &shared("reader"));
        assert_eq!([4, 3, 2, 1, 0].map(|_| served(&reader, "a")), [4, 3, 2, 1, 0], "{flavour:?}");
        assert_refused(&reader, "a");
        assert_eq!(questions(&reader, "refused"), 6, "{flavour:?}");
        let told = reader.log().into_iter().filter(|line| line.contains("NOPERM")).count();
        assert_eq!(told, 1, "{flavour:?}: {:#?}", reader.log());
        let reason = status(&reader)["servers"][0]["reason"].as_str().expect("a reason").to_owned();
        assert!(reason.contains("eval"), "{flavour:?}: {reason}");
    }
}

/// Processes that sign with different keys count separately, and no entry of the store names a client.
#[test]
fn entries_of_rate_limits_in_the_store_do_not_name_clients() {
    let (upstream, server) = (list(), StoreServer::start(Flavour::Redis));
    let configuration = text(&upstream, FIVE, &at(&server));
    let [old, new] = [Keys::BothBefore, Keys::Both].map(|keys| Gateway::start_with(keys, &configuration));
    [&old, &new].into_iter().for_each(wait_until_up);
    for gateway in [&old, &new] {
        assert_eq!(served(gateway, "Bearer canary-token"), 4);
    }
    let keys = server.keys_of("rate1");
    assert_eq!(keys.len(), 2, "{keys:?}");
    for key in &keys {
        let value: String = redis::cmd("GET").arg(key).query(&mut server.client()).expect("a text");
        for secret in ["canary", "Bearer", "users"] {
            assert!(!key.contains(secret) && !value.contains(secret), "{key}: {value}");
        }
    }
    // A writer to the store can only free a client from its limit, or lock the client out with a valid value.
    for (value, status) in [("", 200), ("nonsense", 200), ("requests:720000000:5=99999999999999999999", 429)] {
        for key in &keys {
            let () = redis::cmd("SET").arg(key).arg(value).query(&mut server.client()).expect("it is set");
        }
        let answer = ask(&new, "/users?cursor=start&limit=5", "Bearer canary-token");
        assert_eq!(answer.status, status, "{value}: {answer:?}");
    }
}

/// The fields suffice for polite clients of two processes. urllib3 is served after a refusal, and a program that reads
/// `RateLimit` is never refused, although its requests alternate between the processes.
#[test]
fn polite_clients_of_two_processes_are_served() {
    let walker = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/end_to_end/walkers/polite.py");
    let all: Vec<u64> = (1..=300).collect();
    let server = StoreServer::start(Flavour::Redis);
    for limits in
        ["requests = 4, per = \"2s\"", "requests = 40, burst = 3, per = \"20s\"", "upstream_requests = 4, per = \"2s\""]
    {
        for style in ["retry", "fields"] {
            let upstream = list();
            // Each run has its own prefix, so it has its own clients.
            let shared = format!("{}\nprefix = \"{style}-{}\"", at(&server), upstream.address.port());
            let route = format!("rate_limit = {{ {limits} }}");
            let [first, second] = [(); 2].map(|()| start(&upstream, &route, &shared));
            let mut polite = Command::new(python());
            polite.arg(&walker).args([style, &first.url("/users?cursor=start&limit=30"), &second.url("/")]);
            let output = polite.output().expect("python runs");
            assert!(output.status.success(), "{limits} {style}: {}", String::from_utf8_lossy(&output.stderr));
            let read: Value = serde_json::from_slice(&output.stdout).expect("JSON");
            assert_eq!(read["ids"], json!(all), "{limits} {style}");
            assert_eq!(read["refused"].as_u64() > Some(0), style == "retry", "{limits} {style}: {read}");
            for gateway in [&first, &second] {
                assert!(questions(gateway, "counted") > 3, "{limits} {style}: both were asked");
            }
        }
    }
}

/// Requests that a killed process has answered stay counted.
#[test]
fn a_killed_process_loses_no_counted_request() {
    let (upstream, server) = (list(), StoreServer::start(Flavour::Redis));
    let [first, second] = [(); 2].map(|()| start(&upstream, FIVE, &at(&server)));
    assert_eq!([4, 3].map(|_| served(&first, "a")), [4, 3]);
    signal(first.process(), "KILL");
    assert_eq!(served(&second, "a"), 2);
}
