//! Tests of slow upstreams: each deadline ends its wait, and no resource leaks.

use std::{io::Write as _, thread, time::Duration};

use crate::{
    harness::{
        gateway::Gateway,
        http,
        list::{PLAIN, Setup, body, serve, users},
        upstream::{After, Gate, Upstream},
    },
    recovery::{Kind, Rig, SHORT, everywhere, refused, within},
};

const SETUP: Setup = Setup { upstream: SHORT, ..PLAIN };

/// A request times out if the upstream sends no byte.
///
/// Row: F08
#[test]
fn an_answer_without_a_first_byte_times_out() {
    refused(&SETUP, everywhere("504 upstream_timeout"), |exchange| {
        exchange.wait_for_close()?;
        Ok(After::Close)
    });
}

/// A request times out if the upstream sends only a part of the head.
///
/// Row: F10
#[test]
fn a_response_with_an_incomplete_head_times_out() {
    refused(&SETUP, everywhere("504 upstream_timeout"), |exchange| {
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Le")?;
        exchange.wait_for_close()?;
        Ok(After::Close)
    });
}

/// An endless head times out, although each byte arrives within the timeout of one read.
///
/// Row: F09
#[test]
fn a_head_of_an_answer_that_drips_times_out() {
    refused(&SETUP, everywhere("504 upstream_timeout"), |exchange| {
        exchange.send(b"HTTP/1.1 200 OK\r\nX-Long: ")?;
        loop {
            // Once the gateway has closed the connection, the error of the write ends the loop.
            exchange.send(b"x")?;
            thread::sleep(Duration::from_millis(20));
        }
    });
}

/// A request times out if the upstream sends informational answers but no final one.
///
/// Row: F15
#[test]
fn informational_answers_that_drip_time_out() {
    let rig = Rig::with(&SETUP);
    rig.upstream.answer(|exchange| {
        exchange.send(b"HTTP/1.1 102 Processing\r\n\r\n")?;
        thread::sleep(Duration::from_millis(700));
        exchange.send(b"HTTP/1.1 102 Processing\r\n\r\n")?;
        exchange.wait_for_close()?;
        Ok(After::Close)
    });
    for kind in Kind::ALL {
        let mut connection = rig.gateway.connect();
        let mut response = connection.request("GET", kind.target(), &[], b"").expect("a response");
        while response.status == 102 {
            response = connection.response("GET").expect("a response");
        }
        assert_eq!(response.outcome(), "504 upstream_timeout", "{kind:?}: {response:?}");
    }
    rig.recovers();
}

/// A client that sends its body byte by byte does not occupy a worker of the upstream forever.
///
/// Row: A18
#[test]
fn a_request_that_drips_is_refused_in_time() {
    let rig = Rig::with(&SETUP);
    rig.upstream.answer(|exchange| {
        let body = exchange.body()?;
        exchange.reply("200 OK", &[], &body)
    });
    let mut connection = rig.gateway.connect();
    connection
        .send(b"POST /rest/of/it HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: 100000\r\n\r\n")
        .expect("it is sent");
    let mut stream = connection.stream().try_clone().expect("another handle");
    let dripping = thread::spawn(move || {
        // Once the gateway has closed the connection, the error of the write ends the loop.
        while stream.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    });
    let response = connection.response("POST").expect("a response");
    assert_eq!(response.outcome(), "400 body_invalid", "{response:?}");
    assert!(connection.is_closed(), "the connection ends with it");
    dripping.join().expect("it does not panic");
    rig.recovers();
}

/// Streams of unknown length, event streams and upgraded connections live as long as bytes arrive, even slowly. Event
/// streams and upgraded connections also survive silence.
#[test]
fn streams_live_as_long_as_bytes_arrive() {
    let setup = Setup { upstream: "timeouts = { first_byte = \"300ms\", whole = \"400ms\" }", ..PLAIN };
    let rig = Rig::with(&setup);
    for (kind, headers) in [("text/plain", 20), ("text/event-stream; charset=utf-8", 3)]
        .into_iter()
        .flat_map(|answer| Kind::PASSING.map(|kind| (kind, answer)))
    {
        let (content_type, events) = headers;
        let pause = Duration::from_millis(1_500 / events);
        rig.upstream.answer(move |exchange| {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n");
            exchange.send(head.as_bytes())?;
            for _ in 0..events {
                exchange.send(b"1\r\nx\r\n")?;
                thread::sleep(pause);
            }
            exchange.send(b"0\r\n\r\n")?;
            Ok(After::KeepOpen)
        });
        let response = rig.ask(kind).expect("the whole stream");
        assert_eq!(
            (response.status, response.body.len()),
            (200, usize::try_from(events).expect("a count")),
            "{kind:?}"
        );
    }
    rig.recovers();
}

/// After a switch of protocols, all bytes that the client gets are the upstream's, even if the upstream fails.
///
/// Row: F15
#[test]
fn bytes_after_a_switch_of_protocols_come_from_the_upstream_alone() {
    let setup = Setup { upstream: "timeouts = { first_byte = \"300ms\", whole = \"400ms\" }", ..PLAIN };
    let rig = Rig::with(&setup);
    for after in [After::Close, After::Reset] {
        rig.upstream.answer(move |exchange| {
            let head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
            exchange.send(head)?;
            let asked = exchange.receive_exactly(4)?;
            // The pause is much longer than other answers may be silent.
            thread::sleep(Duration::from_millis(1_200));
            exchange.send(&asked)?;
            Ok(after)
        });
        for target in [Kind::Forward.target(), Kind::Observe.target()] {
            let mut connection = rig.gateway.connect();
            let asked = format!(
                "GET {target} HTTP/1.1\r\nHost: gateway.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
            );
            connection.send(asked.as_bytes()).expect("it is sent");
            let (status, headers) = connection.head().expect("a head");
            assert_eq!((status, http::find(&headers, "link")), (101, None), "{headers:?}");
            connection.send(b"ping").expect("it is sent");
            assert_eq!(connection.receive(4).expect("the answer"), b"ping");
            assert!(connection.is_closed(), "{target}: nothing else comes");
        }
    }
    rig.recovers();
}

/// An old client gets an answer that takes longer than a page may take.
#[test]
fn a_forwarded_answer_has_a_time_of_its_own() {
    let timeouts = "timeouts = { connect = \"1s\", first_byte = \"200ms\", forwarded = \"30s\", whole = \"30s\" }";
    let setup = Setup { upstream: timeouts, route: "old_clients = \"pass\"", ..PLAIN };
    let (asked, ready) = (Gate::default(), Gate::default());
    let (seen, done) = (asked.clone(), ready.clone());
    let upstream = Upstream::start(move |exchange| {
        seen.open();
        done.wait();
        exchange.reply("200 OK", &[], b"a report")
    });
    let gateway = Gateway::start(&setup.configuration(upstream.address));
    thread::scope(|scope| {
        let old = scope.spawn(|| gateway.get("/users?report=all"));
        asked.wait();
        // The old request is still waiting when a page, which began later, is already too late.
        let page = gateway.get("/users?cursor=start");
        ready.open();
        assert_eq!(page.outcome(), "504 upstream_timeout");
        let old = old.join().expect("it ends");
        assert_eq!((old.status, old.text()), (200, "a report"), "{old:?}");
    });
}

/// A client may pause within its upload for longer than the first-byte timeout, because an upstream that waits for the
/// rest of the upload is not late.
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

/// An upstream may pause while it reads an upload, for as long as a write may take (`timeouts.whole`). Its closed window
/// doesn't make the connection a lost one.
#[test]
fn an_upstream_may_pause_within_an_upload() {
    const PAUSE: Duration = Duration::from_secs(7);
    // More than both sockets' buffers hold.
    const LENGTH: usize = 24 << 20;
    let setup = Setup { upstream: "timeouts = { whole = \"30s\" }", ..PLAIN };
    let upstream = Upstream::start(|exchange| {
        thread::sleep(PAUSE);
        let length = exchange.body()?.len().to_string();
        exchange.reply("200 OK", &[], length.as_bytes())
    });
    let gateway = Gateway::start(&setup.configuration(upstream.address));
    let response = gateway.send("PUT", "/users", &[], &vec![b'x'; LENGTH]);
    assert_eq!((response.status, response.text()), (200, LENGTH.to_string().as_str()), "{response:?}");
}

/// An endless body times out, although each byte arrives within the timeout of one read.
///
/// Row: F09
#[test]
fn a_body_that_drips_times_out() {
    refused(&SETUP, within("504 upstream_timeout"), |exchange| {
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")?;
        loop {
            // Once the gateway has closed the connection, the error of the write ends the loop.
            exchange.send(b" ")?;
            thread::sleep(Duration::from_millis(20));
        }
    });
}

/// A page that arrives byte by byte within the deadlines is served.
#[test]
fn a_page_whose_answer_arrives_slowly_is_served() {
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

/// The deadline of the client's request applies to all upstream requests of its page together.
///
/// Row: A20
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

/// Requests that wait for a slow upstream don't delay other requests.
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
        // These requests are answered while the slow ones still wait for `release`.
        for _ in 0..10 {
            assert_eq!(gateway.get("/users?limit=5").outcome(), "200");
        }
        release.open();
        for request in slow {
            assert_eq!(request.join().expect("it does not panic").outcome(), "200");
        }
    });
}
