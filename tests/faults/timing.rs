//! Upstreams that take their time: each deadline ends what it is for, and nothing is left behind.

use std::{thread, time::Duration};

use crate::{
    harness::{
        gateway::Gateway,
        list::{PLAIN, Setup, body, serve, users},
        upstream::{After, Gate, Upstream},
    },
    recovery::{SHORT, refused},
};

const SETUP: Setup = Setup { upstream: SHORT, ..PLAIN };

#[test]
fn no_first_byte() {
    refused(&SETUP, "504 upstream_timeout", |exchange| {
        exchange.wait_for_close()?;
        Ok(After::Close)
    });
}

#[test]
fn half_a_head() {
    refused(&SETUP, "504 upstream_timeout", |exchange| {
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Le")?;
        exchange.wait_for_close()?;
        Ok(After::Close)
    });
}

/// An upstream that waits for the rest of an upload is not late: the client may pause for longer than the first byte may
/// take.
#[test]
fn a_client_may_pause_within_its_upload() {
    const PAUSE: Duration = Duration::from_millis(600);
    let setup = Setup { upstream: "timeouts = { connect = \"1s\", first_byte = \"200ms\", whole = \"30s\" }", ..PLAIN };
    let upstream = Upstream::start(|exchange| {
        let body = exchange.body()?;
        exchange.reply("200 OK", &[], &body)
    });
    let gateway = Gateway::start(&setup.configuration(upstream.address));
    let mut connection = gateway.connect();
    connection.send(b"POST /users HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: 4\r\n\r\nab").expect("it is sent");
    thread::sleep(PAUSE);
    connection.send(b"cd").expect("it is sent");
    let response = connection.response("POST").expect("a response");
    assert_eq!((response.status, response.text()), (200, "abcd"), "{response:?}");
}

/// Every byte comes well within the time for one read, and the whole never ends.
#[test]
fn a_drip() {
    refused(&SETUP, "504 upstream_timeout", |exchange| {
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")?;
        loop {
            // Ends by the error when the gateway has closed.
            exchange.send(b" ")?;
            thread::sleep(Duration::from_millis(20));
        }
    });
}

/// Slow, and yet in time: a page that comes byte by byte is a page.
#[test]
fn a_slow_page_is_a_page() {
    let items = users(5);
    let upstream = Upstream::start(move |exchange| {
        let body = body(exchange, &items);
        let message = crate::harness::upstream::message("200 OK", &[], body.as_bytes());
        for byte in message {
            exchange.send(&[byte])?;
        }
        Ok(After::KeepOpen)
    });
    let gateway = Gateway::start(&PLAIN.configuration(upstream.address));
    let page = gateway.get("/users?limit=5");
    assert_eq!(page.outcome(), "200", "{page:?}");
    assert_eq!(page.json()["data"].as_array().map(Vec::len), Some(5));
}

/// The client's own deadline, across all upstream requests of its page.
#[test]
fn the_budget_of_time_ends_the_request() {
    const TIGHT: Setup = Setup {
        upstream: "timeouts = { first_byte = \"20s\", whole = \"30s\" }",
        route: "budgets = { time = \"500ms\" }",
        more: "",
    };
    let upstream = Upstream::start(|exchange| {
        exchange.wait_for_close()?;
        Ok(After::Close)
    });
    let gateway = Gateway::start(&TIGHT.configuration(upstream.address));
    let response = gateway.get("/users?limit=5");
    assert!(["504 upstream_timeout", "503 budget_exceeded"].contains(&response.outcome().as_str()), "{response:?}");
    upstream.answer(serve(users(60)));
    assert_eq!(gateway.get("/users?limit=5").outcome(), "200");
}

/// A request that waits for a slow upstream holds nobody up.
#[test]
fn slow_requests_do_not_hold_up_others() {
    let release = Gate::default();
    let (gate, items) = (release.clone(), users(60));
    let upstream = Upstream::start(move |exchange| {
        if exchange.request.parameter("slow").is_some() {
            gate.wait();
        }
        let body = body(exchange, &items);
        exchange.reply("200 OK", &[], body.as_bytes())
    });
    let setup = Setup { upstream: "timeouts = { first_byte = \"50s\", whole = \"55s\" }", ..PLAIN };
    let gateway = Gateway::start(&setup.configuration(upstream.address));
    thread::scope(|scope| {
        let slow = (0..32).map(|_| scope.spawn(|| gateway.get("/users?limit=5&slow=1"))).collect::<Vec<_>>();
        // Answered while the others still wait: they are let go only below.
        for _ in 0..10 {
            assert_eq!(gateway.get("/users?limit=5").outcome(), "200");
        }
        release.open();
        for request in slow {
            assert_eq!(request.join().expect("it does not panic").outcome(), "200");
        }
    });
}
