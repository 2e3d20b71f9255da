//! Tests of `/migration` of processes that share a store: all processes report the same board.

use serde_json::{Value, json};

use super::{Flavour, Rows, StoreServer, at, questions, serve, status, wait_until_up};
use crate::harness::{
    eventually,
    gateway::{Gateway, Keys},
    http,
    rows::{BY_OFFSET, configuration},
    upstream::Upstream,
};

const ROUTE: &str = "mode = \"offset\"\norder = [\"-score\", \"id\"]\nsortable = [\"score\", \"id\"]\n\
                     old_clients = \"pass\"\n[routes.users.legacy]\n\
                     client = { parameter = \"app\", shown = \"value\" }";

fn text(upstream: &Upstream, shared: &str) -> String {
    let route = configuration(upstream.address, BY_OFFSET, ROUTE);
    if shared.is_empty() { route } else { format!("[caches.shared]\n{shared}\n{route}") }
}

fn start(upstream: &Upstream, shared: &str) -> Gateway {
    let gateway = Gateway::start_with(Keys::One, &text(upstream, shared));
    wait_until_up(&gateway);
    gateway
}

fn ask(gateway: &Gateway, client: &str, count: usize) {
    for _ in 0..count {
        let answer = gateway.get(&format!("/users?offset=0&limit=3&app={client}"));
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

/// Returns the numbers of processes on the board, and the number of requests of each client.
fn board(gateway: &Gateway) -> (Value, Value) {
    let report = http::get(gateway.admin, "/migration").json();
    let clients = report["routes"][0]["clients"].as_array().expect("clients").iter();
    let clients: serde_json::Map<String, Value> = clients
        .map(|client| (client["client"].as_str().expect("a name").to_owned(), client["requests"].clone()))
        .collect();
    (report["processes"].clone(), clients.into())
}

/// Waits until the boards of all gateways have these processes and requests. A process publishes a request among its
/// clients while it runs, and by its paging only after its end.
fn wait_for(gateways: &[&Gateway], processes: &Value, clients: &Value) {
    let all: u64 = clients.as_object().expect("clients").values().filter_map(Value::as_u64).sum();
    for gateway in gateways {
        eventually("the board has all counts", || {
            (board(gateway) == (processes.clone(), clients.clone())).then_some(())?;
            let route = http::get(gateway.admin, "/migration").json()["routes"][0].clone();
            let sum = |hours: &Value| -> u64 { hours.as_array().into_iter().flatten().filter_map(Value::as_u64).sum() };
            let counts = [
                route["legacy"]["requests"].as_u64(),
                route["requests"]["legacy"].as_u64(),
                Some(sum(&route["legacy"]["hours"])),
                Some(sum(&route["hours"]["legacy"])),
            ];
            (counts == [Some(all); 4]).then_some(())
        });
    }
}

/// Each process reports the counts of all processes once, including processes that have ended.
#[test]
fn the_board_of_every_process_has_the_counts_of_all() {
    let (upstream, server) = (serve(&Rows::count(40)), StoreServer::start(Flavour::Redis));
    let [mut first, second] = [(); 2].map(|()| start(&upstream, &at(&server)));
    ask(&first, "shop", 3);
    ask(&second, "shop", 2);
    ask(&second, "app", 1);
    let read = |running: u64, ended: u64| json!({ "running": running, "ended": ended, "store": "read" });
    wait_for(&[&first, &second], &read(2, 0), &json!({ "shop": 5, "app": 1 }));
    // A process that stops normally has published its last counts.
    ask(&first, "app", 4);
    first.restart();
    wait_until_up(&first);
    wait_for(&[&first, &second], &read(2, 1), &json!({ "shop": 5, "app": 5 }));
    ask(&first, "late", 1);
    wait_for(&[&first, &second], &read(2, 1), &json!({ "shop": 5, "app": 5, "late": 1 }));
    // A killed process leaves the counts that it published.
    first.signal("KILL");
    first.ended();
    wait_for(&[&second], &read(2, 1), &json!({ "shop": 5, "app": 5, "late": 1 }));
}

/// A process that changes to another signing key counts its clients anew, and is still counted once.
#[test]
fn a_change_of_keys_doubles_no_count() {
    let (upstream, server) = (serve(&Rows::count(40)), StoreServer::start(Flavour::Redis));
    let text = text(&upstream, &at(&server));
    let [first, second] = [(); 2].map(|()| Gateway::start_with(Keys::BothBefore, &text));
    [&first, &second].into_iter().for_each(wait_until_up);
    ask(&first, "shop", 3);
    let read = json!({ "running": 2, "ended": 0, "store": "read" });
    wait_for(&[&first, &second], &read, &json!({ "shop": 3 }));
    first.rewrite(Keys::Both, &text);
    first.signal("HUP");
    eventually("it signs with the other key", || (server.keys_of("board1").len() == 2).then_some(()));
    ask(&first, "shop", 2);
    ask(&second, "shop", 1);
    eventually("the counts under both keys are one process's", || {
        let report = http::get(second.admin, "/migration").json();
        (report["processes"] == read && report["routes"][0]["clients"][0]["requests"] == 3).then_some(())
    });
}

/// Without the store, each process reports only its own counts. After the store has returned empty, each process
/// reports all counts again.
#[test]
fn a_board_that_is_lost_is_made_again() {
    let (upstream, mut server) = (serve(&Rows::count(40)), StoreServer::start(Flavour::Redis));
    let [first, second] = [(); 2].map(|()| start(&upstream, &at(&server)));
    ask(&first, "shop", 3);
    ask(&second, "app", 2);
    let both = json!({ "shop": 3, "app": 2 });
    let read = json!({ "running": 2, "ended": 0, "store": "read" });
    wait_for(&[&first, &second], &read, &both);
    server.kill();
    let alone = json!({ "running": 1, "ended": 0, "store": "down" });
    wait_for(&[&first], &alone, &json!({ "shop": 3 }));
    wait_for(&[&second], &alone, &json!({ "app": 2 }));
    server.start_again();
    wait_for(&[&first, &second], &read, &both);
    let none = Gateway::start(&text(&upstream, ""));
    assert_eq!(board(&none).0, json!({ "running": 1, "ended": 0, "store": "none" }));
    assert!(status(&none).is_null());
}

/// Entries that no process wrote are not counted, and the store doesn't contain names of clients.
///
/// Row: A24
#[test]
fn foreign_entries_are_not_counted_and_clients_are_not_readable() {
    let (upstream, server) = (serve(&Rows::count(40)), StoreServer::start(Flavour::Redis));
    let [first, second] = [(); 2].map(|()| start(&upstream, &at(&server)));
    ask(&first, "canary-client", 3);
    ask(&second, "shop", 1);
    let clients = json!({ "canary-client": 3, "shop": 1 });
    let read = json!({ "running": 2, "ended": 0, "store": "read" });
    wait_for(&[&first, &second], &read, &clients);
    let [name]: [String; 1] = server.keys_of("board1").try_into().expect("one board");
    let mut client = server.client();
    let fields: Vec<(String, Vec<u8>)> =
        redis::cmd("HGETALL").arg(&name).query(&mut client).expect("fields of processes");
    assert_eq!(fields.len(), 2);
    for (process, value) in &fields {
        let found = |secret: &[u8]| value.windows(secret.len()).any(|part| part == secret);
        assert!(!found(b"canary") && !found(b"users") && !process.contains("canary"));
    }
    // The entry of one process is written under the name of another process, and invalid values are added.
    for (process, value) in [("another", fields[0].1.as_slice()), ("rubbish", b"{}"), ("empty", b"")] {
        let () = redis::cmd("HSET").arg(&name).arg(process).arg(value).query(&mut client).expect("it is written");
    }
    assert_eq!(board(&first), (read, clients));
    assert!(questions(&first, "forged") >= 3);
}
