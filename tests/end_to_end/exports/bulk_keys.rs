//! Tests of the keys of bulk requests in the store of exports: all processes that share it know them, also after a
//! restart.

use serde_json::json;

use super::{
    JSON, ONE,
    place::{Place, over_each_store},
};
use crate::harness::{
    eventually,
    gateway::Gateway,
    http::Response,
    list::PLAIN,
    upstream::{Gate, Upstream},
};

over_each_store! {
    a_key_runs_once_at_all_processes,
    a_request_whose_process_was_killed_runs_no_second_time,
}

/// Starts an upstream that counts orders. An order of `/orders/wait` is answered after the gate opens.
fn orders() -> (Upstream, Gate) {
    let gate = Gate::default();
    let held = gate.clone();
    let upstream = Upstream::start(move |exchange| {
        if exchange.request.path() == "/orders/wait" {
            held.wait();
        }
        let status = if exchange.request.path() == "/orders/refused" { "422 No" } else { "201 Created" };
        exchange.reply(status, &[JSON], b"{}")
    });
    (upstream, gate)
}

fn start(upstream: &Upstream, place: &Place) -> Gateway {
    let more =
        "[routes.orders]\npath = \"/orders/{*rest}\"\nupstream = \"legacy\"\naction = \"forward\"\n[services.bulk]\n";
    Gateway::start(&format!("{}{more}{}", PLAIN.configuration(upstream.address), place.table("")))
}

fn send(gateway: &Gateway, key: &str, path: &str) -> Response {
    let request = json!({ "operations": [{ "method": "POST", "path": path, "body": {} }] }).to_string();
    gateway.send("POST", "/bulk", &[ONE, JSON, ("Idempotency-Key", key)], request.as_bytes())
}

fn a_key_runs_once_at_all_processes(place: &Place) {
    let (upstream, gate) = orders();
    let (here, there) = (start(&upstream, place), start(&upstream, place));
    // A database under load may take its time to accept the first connection.
    let answered = |gateway: &Gateway| {
        eventually("an answer", || Some(send(gateway, "\"a\"", "/orders/1")).filter(|answer| answer.status != 503))
    };
    let first = answered(&here);
    assert_eq!((first.status, upstream.count()), (200, 1));
    for gateway in [&here, &there] {
        let again = answered(gateway);
        assert_eq!((again.status, again.body == first.body), (200, true), "the same answer");
    }
    assert_eq!(send(&there, "\"a\"", "/orders/2").outcome(), "422 idempotency_key_reused");
    let waiting = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| send(&here, "\"b\"", "/orders/wait"));
        eventually("the order is under way", || (upstream.count() == 2).then_some(()));
        assert_eq!(send(&there, "\"b\"", "/orders/wait").outcome(), "409 idempotency_key_in_use");
        gate.open();
        waiting.join().expect("an answer")
    });
    let of_other = send(&there, "\"b\"", "/orders/wait");
    assert_eq!((of_other.status, of_other.body == waiting.body), (200, true));
    drop((here, there));
    let restarted = start(&upstream, place);
    assert_eq!(send(&restarted, "\"a\"", "/orders/1").body, first.body);
    assert_eq!(upstream.count(), 2, "each order once");
    // A request that changed nothing uses up no key.
    for count in [3, 4] {
        assert_eq!(send(&restarted, "\"c\"", "/orders/refused").status, 200);
        assert_eq!(upstream.count(), count);
    }
}

fn a_request_whose_process_was_killed_runs_no_second_time(place: &Place) {
    let (upstream, gate) = orders();
    let (here, there) = (start(&upstream, place), start(&upstream, place));
    std::thread::scope(|scope| {
        let request = json!({ "operations": [{ "method": "POST", "path": "/orders/wait", "body": {} }] }).to_string();
        let mut connection = here.connect();
        scope.spawn(move || {
            let headers = [ONE, JSON, ("Idempotency-Key", "\"a\"")];
            let mut send = || connection.request("POST", "/bulk", &headers, request.as_bytes());
            while send().is_ok_and(|answer| answer.status == 503) {}
        });
        eventually("the order is under way", || (upstream.count() == 1).then_some(()));
        here.signal("KILL");
    });
    let second =
        eventually("an answer", || Some(send(&there, "\"a\"", "/orders/wait")).filter(|answer| answer.status != 503));
    assert_eq!(second.outcome(), "409 idempotency_key_in_use");
    gate.open();
    assert_eq!(upstream.count(), 1);
}

/// The client of a request that has run gets its answer although the database is away, and the result is stored once the
/// database is back.
#[test]
fn the_result_of_a_request_waits_for_a_database_that_is_away() {
    let (upstream, gate) = orders();
    let mut place = Place::postgres();
    let gateway = start(&upstream, &place);
    let Place::Postgres(server) = &mut place else { panic!("it is one") };
    let first = std::thread::scope(|scope| {
        let first = scope.spawn(|| {
            // A database under load may take its time to accept the first connection.
            eventually("an answer", || {
                Some(send(&gateway, "\"a\"", "/orders/wait")).filter(|first| first.status != 503)
            })
        });
        eventually("the order is under way", || (upstream.count() == 1).then_some(()));
        server.stop();
        gate.open();
        first.join().expect("an answer")
    });
    assert_eq!(first.status, 200, "{}", first.text());
    assert_eq!(send(&gateway, "\"a\"", "/orders/wait").outcome(), "503 store_unavailable");
    server.start_again();
    let again =
        eventually("the result", || Some(send(&gateway, "\"a\"", "/orders/wait")).filter(|again| again.status == 200));
    assert!(again.body == first.body && upstream.count() == 1, "{}", again.text());
}

/// Without its store, the gateway can't know whether a request has run, so it runs none with a key.
#[test]
fn a_key_waits_for_a_store_that_is_away() {
    let (upstream, _) = orders();
    let mut place = Place::postgres();
    let gateway = start(&upstream, &place);
    assert_eq!(send(&gateway, "\"a\"", "/orders/1").status, 200);
    let Place::Postgres(server) = &mut place else { panic!("it is one") };
    server.stop();
    for key in ["\"a\"", "\"b\""] {
        let refused = send(&gateway, key, "/orders/1");
        assert_eq!(refused.outcome(), "503 store_unavailable", "{key}");
        assert!(refused.header("retry-after").is_some() && refused.json()["retryable"] == true);
    }
    assert_eq!(upstream.count(), 1);
    server.start_again();
    let answer = |key: &str| {
        eventually("an answer", || Some(send(&gateway, key, "/orders/1")).filter(|answer| answer.status == 200))
    };
    answer("\"a\"");
    assert_eq!(upstream.count(), 1, "it has run");
    answer("\"b\"");
    assert_eq!(upstream.count(), 2);
}
