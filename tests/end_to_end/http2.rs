//! Tests of HTTP/2 between clients and the gateway: the same pages, logs and limits as over HTTP/1.1, and the known
//! attacks on HTTP/2.

use std::{
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
};

use crate::harness::{
    eventually,
    gateway::{Gateway, free_port},
    http,
    http2::{
        CONTINUATION, Connection, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, HEADERS, PING, PRIORITY,
        RST_STREAM, SETTINGS, fields, frame, get,
    },
    list::{PLAIN, Setup, serve, users},
    metric,
    upstream::{After, Gate, Upstream},
};

const OK: u8 = 0x88;
const BAD_REQUEST: u8 = 0x8c;

const FORWARDS: Setup =
    Setup { more: "[routes.rest]\npath = \"/{*rest}\"\nupstream = \"legacy\"\naction = \"forward\"", ..PLAIN };

fn started(setup: &Setup) -> (Upstream, Gateway) {
    let upstream = Upstream::start(serve(users(60)));
    let gateway = Gateway::start(&setup.configuration(upstream.address));
    (upstream, gateway)
}

fn with_server(lines: &str) -> (Upstream, Gateway) {
    let upstream = Upstream::start(serve(users(60)));
    let gateway = Gateway::start(&format!("{}\n[server]\n{lines}", PLAIN.configuration(upstream.address)));
    (upstream, gateway)
}

fn connected(gateway: &Gateway) -> Connection {
    Connection::open(gateway.public).expect("the gateway listens")
}

fn dropped(gateway: &Gateway, reason: &str) -> u64 {
    metric(gateway, &format!("cursorgate_connections_dropped_total{{reason=\"{reason}\"}}"))
}

/// Asserts that the gateway still serves a new client.
fn serves(gateway: &Gateway) {
    let mut connection = connected(gateway);
    connection.get(1, "/users?limit=1").expect("it reads");
    assert_eq!(connection.answer(1).expect("it answers").0, OK);
    assert_eq!(gateway.get("/users?limit=1").status, 200);
}

fn curl(arguments: &[&str]) -> String {
    let output = Command::new("curl").args(["--silent", "--show-error", "--max-time", "60"]).args(arguments).output();
    let output = output.expect("curl is installed");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("JSON is text")
}

/// curl follows links over HTTP/2 with prior knowledge, and gets the same pages as over HTTP/1.1.
#[test]
fn curl_walks_a_list_by_http2() {
    let (_upstream, gateway) = started(&PLAIN);
    let mut target = "/users?limit=25".to_owned();
    let mut pages = 0;
    while !target.is_empty() {
        let url = gateway.url(&target);
        let by_2 = curl(&["--http2-prior-knowledge", "--compressed", "--write-out", "\n%{http_version}", &url]);
        let (body, version) = by_2.rsplit_once('\n').expect("curl writes the version");
        assert_eq!(version, "2");
        assert_eq!(body, curl(&["--http1.1", &url]));
        target = serde_json::from_str::<serde_json::Value>(body).expect("JSON")["links"]["next"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        pages += 1;
    }
    assert_eq!(pages, 3);
    assert_eq!(
        curl(&["--http2-prior-knowledge", "--head", &gateway.url("/users")]).lines().next(),
        Some("HTTP/2 200 ")
    );
    let log = eventually("all are logged", || Some(gateway.access_log()).filter(|log| log.len() >= 7));
    assert!(log.iter().all(|line| line["path"] == "/users" && line["status"] == 200), "{log:?}");
    assert_eq!(log.len(), 7);
}

/// Concurrent requests on one connection each get their own answer.
#[test]
fn a_connection_serves_many_requests_at_a_time() {
    let (upstream, gateway) = started(&PLAIN);
    let gate = Gate::default();
    let held = gate.clone();
    let answer = serve(users(60));
    upstream.answer(move |exchange| {
        held.wait();
        answer(exchange)
    });
    let mut connection = connected(&gateway);
    for number in 0..50_u32 {
        connection.get(2 * number + 1, &format!("/users?limit={}", number + 1)).expect("it reads");
    }
    eventually("all are asked for", || (upstream.count() >= 50).then_some(()));
    gate.open();
    let mut bodies = vec![Vec::new(); 50];
    let mut left = 50;
    while left > 0 {
        let part = connection.read_until(|frame| frame.kind == DATA).expect("it answers");
        bodies[usize::try_from(part.stream / 2).expect("a number")].extend_from_slice(&part.payload);
        left -= usize::from(part.flags & END_STREAM != 0);
        if part.payload.is_empty() {
            continue;
        }
        let length = u32::try_from(part.payload.len()).expect("a length").to_be_bytes();
        connection.send(&frame(0x8, 0, 0, &length)).expect("it reads");
    }
    for (body, count) in bodies.iter().zip(1..) {
        let page: serde_json::Value = serde_json::from_slice(body).expect("a page");
        assert_eq!(page["data"].as_array().map(Vec::len), Some(count));
    }
    eventually("the places are free", || (metric(&gateway, "cursorgate_connections") == 1).then_some(()));
}

/// Requests by HTTP/2 are forwarded as HTTP/1.1, with one `Host`, one line of cookies, and a body with a length or in
/// chunks.
#[test]
fn forwarded_requests_are_of_http1() {
    let (upstream, gateway) = started(&FORWARDS);
    upstream.answer(|exchange| {
        let body = exchange.body()?;
        let cookies = exchange.request.header("cookie").unwrap_or_default().to_owned();
        exchange.reply("200 OK", &[("X-Cookies", &cookies), ("Connection", "keep-alive")], &body)
    });
    let mut connection = connected(&gateway);
    let post = |more: &[(&str, &str)]| {
        let head = [(":method", "POST"), (":scheme", "http"), (":authority", "shop.example"), (":path", "/echo?a=b")];
        fields(&[&head, more].concat())
    };
    let cookies = [("cookie", "a=1"), ("te", "trailers"), ("cookie", "b=2")];
    connection.send(&frame(HEADERS, END_HEADERS, 1, &post(&cookies))).expect("it reads");
    connection.send(&frame(DATA, 0, 1, b"hello ")).expect("it reads");
    connection.send(&frame(DATA, 0, 1, b"world")).expect("it reads");
    // The trailers end the body.
    connection.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &fields(&[("x-sum", "1")]))).expect("it reads");
    assert_eq!(connection.answer(1).expect("it answers"), (OK, b"hello world".to_vec()));
    connection.send(&frame(HEADERS, END_HEADERS, 3, &post(&[("content-length", "3")]))).expect("it reads");
    connection.send(&frame(DATA, END_STREAM, 3, b"abc")).expect("it reads");
    assert_eq!(connection.answer(3).expect("it answers"), (OK, b"abc".to_vec()));
    let requests = upstream.requests();
    let [chunked, long] = &requests[..] else { panic!("{requests:?}") };
    for request in [chunked, long] {
        assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/echo?a=b"));
        assert_eq!(request.header("host"), Some("shop.example"));
        assert_eq!((request.header("te"), request.header("x-sum")), (None, None));
        assert!(request.header("via").is_some_and(|via| via.starts_with("2 ")), "{request:?}");
    }
    assert_eq!((chunked.header("cookie"), chunked.header("transfer-encoding")), (Some("a=1; b=2"), Some("chunked")));
    assert_eq!((long.header("content-length"), long.header("transfer-encoding")), (Some("3"), None));
}

/// Heads are checked by the rules of HTTP/1.1, and each refusal is logged.
#[test]
fn heads_are_refused_as_by_http1() {
    let (upstream, gateway) = started(&FORWARDS);
    let head = |method: &'static str, path: &'static str| {
        [(":method", method), (":scheme", "http"), (":authority", "gateway.test"), (":path", path)]
    };
    let long = "x".repeat(20_000);
    let cases: [(Vec<(&str, &str)>, &str); 6] = [
        (head("TRACE", "/x").to_vec(), "400"),
        (head("OPTIONS", "*").to_vec(), "400"),
        ([&head("GET", "/x")[..], &[("host", "other.test")]].concat(), "400"),
        ([&head("GET", "/x")[..], &[("host", "gateway.test"), ("host", "gateway.test")]].concat(), "400"),
        ([&head("GET", "/x")[..], &[("x-long", &long)]].concat(), "431"),
        (head("GET", "/a/../b").to_vec(), "400"),
    ];
    for (number, (case, status)) in cases.iter().enumerate() {
        let mut connection = connected(&gateway);
        let block = fields(case);
        let mut parts = block.chunks(16_000);
        let first = parts.next().expect("a head");
        let flags = if block.len() > 16_000 { END_STREAM } else { END_STREAM | END_HEADERS };
        connection.send(&frame(HEADERS, flags, 1, first)).expect("it reads");
        for part in parts {
            connection.send(&frame(CONTINUATION, END_HEADERS, 1, part)).expect("it reads");
        }
        let (first, _) = connection.answer(1).expect("it answers");
        assert_eq!(first == BAD_REQUEST, *status == "400", "{case:?}");
        let logged = eventually("it is logged", || gateway.access_log().get(number).cloned());
        assert_eq!(logged["status"].to_string(), *status, "{logged}");
        serves_nothing_more(&gateway, number + 1);
    }
    assert_eq!(upstream.count(), 0);
    serves(&gateway);
}

/// Asserts that the access log has exactly this number of lines, one for each refused head.
fn serves_nothing_more(gateway: &Gateway, lines: usize) {
    assert_eq!(gateway.access_log().len(), lines);
}

/// A listener without HTTP/2 refuses the preface of HTTP/2 like any other head that can't be read.
#[test]
fn http2_can_be_disabled_on_a_listener() {
    let upstream = Upstream::start(serve(users(60)));
    let other = std::net::SocketAddr::from(([127, 0, 0, 1], free_port()));
    let listener = format!("[listeners.plain]\naddress = \"{other}\"\nhttp2 = false");
    let gateway = Gateway::start(&format!("{}\n{listener}", PLAIN.configuration(upstream.address)));
    for address in [other, gateway.admin] {
        let mut connection = http::Connection::open(address).expect("it listens");
        connection.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").expect("it reads");
        assert_eq!(connection.response("PRI").expect("it answers").outcome(), "400 request_invalid");
        assert_eq!(http::get(address, "/nowhere").status, 404);
    }
    serves(&gateway);
}

/// A client that begins requests and resets them (rapid reset, CVE-2023-44487) is disconnected after a bounded number
/// of requests.
///
/// Row: A19
#[test]
fn a_client_that_resets_its_requests_is_disconnected() {
    let (upstream, gateway) = started(&PLAIN);
    let mut connection = connected(&gateway);
    for number in 0..20_000_u32 {
        let stream = 2 * number + 1;
        let both = [
            frame(HEADERS, END_HEADERS | END_STREAM, stream, &get("/users?limit=5")),
            frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()),
        ];
        if connection.send(&both.concat()).is_err() {
            break;
        }
    }
    // The socket may be reset before the reason is read, so a missing reason is accepted.
    assert!(connection.goes_away().is_none_or(|code| code == ENHANCE_YOUR_CALM));
    eventually("it is counted", || (dropped(&gateway, "flood") == 1).then_some(()));
    assert!(upstream.count() <= 150, "{}", upstream.count());
    serves(&gateway);
}

/// A client that sends pings, settings, priorities or empty frames without end is disconnected.
///
/// Row: A19
#[test]
fn a_client_that_floods_is_disconnected() {
    let (_upstream, gateway) = started(&PLAIN);
    let empty = [frame(HEADERS, END_HEADERS, 1, &get("/users")), frame(DATA, 0, 1, b"")].concat();
    for (number, flood) in [
        frame(PING, 0, 0, &[0; 8]),
        frame(SETTINGS, 0, 0, &[]),
        frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1]),
        frame(0xfa, 0, 0, &[0; 4]),
        frame(DATA, 0, 1, b""),
    ]
    .iter()
    .enumerate()
    {
        let mut connection = connected(&gateway);
        connection.send(&empty).expect("it reads");
        let many = flood.repeat(1_000);
        for _ in 0..100 {
            if connection.send(&many).is_err() {
                break;
            }
        }
        let code = connection.goes_away();
        assert!(code.is_none_or(|code| code == ENHANCE_YOUR_CALM), "{code:?} for {:?}", &flood[..9]);
        let number = u64::try_from(number).expect("a count");
        eventually("it is counted", || (dropped(&gateway, "flood") == number + 1).then_some(()));
    }
    serves(&gateway);
}

/// A head of endless continuations (CVE-2024-27316) takes bounded memory, and so does a head of many small fields.
///
/// Row: A19
#[test]
fn an_endless_head_takes_bounded_memory() {
    let (_upstream, gateway) = started(&PLAIN);
    serves(&gateway);
    let before = gateway.peak_memory();
    let block = fields(&[("x-a", "b"); 1_000]);
    for _ in 0..20 {
        let mut connection = connected(&gateway);
        connection.send(&frame(HEADERS, END_STREAM, 1, &get("/users"))).expect("it reads");
        let more = frame(CONTINUATION, 0, 1, &block);
        let sent = (0..2_000).take_while(|_| connection.send(&more).is_ok()).count();
        assert!(sent < 2_000, "16 MB of a head were read");
    }
    // A small head that names one field of the dynamic table many times decodes to a large one.
    let mut connection = connected(&gateway);
    let mut bomb = get("/users");
    bomb.extend_from_slice(&[0x40, 1, b'x', 0x7f, 0xa1, 0x1e]);
    bomb.extend(std::iter::repeat_n(b'y', 4_000));
    bomb.extend(std::iter::repeat_n(0xbe, 12_000));
    connection.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &bomb)).expect("it reads");
    // The head is answered with 431, or its connection ends.
    let answered = connection.answer(1);
    assert!(answered.is_err() || answered.is_ok_and(|(status, _)| status != OK));
    let grown = gateway.peak_memory().saturating_sub(before);
    assert!(grown < 24 << 20, "the memory grew by {grown}");
    serves(&gateway);
}

/// A head that arrives byte by byte is cut off after `head_timeout`, as over HTTP/1.1.
///
/// Row: A18
#[test]
fn a_head_that_drips_is_cut_by_http2_too() {
    let (_upstream, gateway) = with_server("head_timeout = \"1s\"");
    let mut connection = connected(&gateway);
    let head = frame(HEADERS, END_STREAM | END_HEADERS, 1, &fields(&[("x-long", &"x".repeat(15_000))]));
    let mut drip = head.iter();
    eventually("it is cut", || {
        let byte = *drip.next().expect("the deadline comes first");
        // The connection may have ended, so an error is ignored.
        let _ = connection.send(&[byte]);
        (dropped(&gateway, "head_timeout") == 1).then_some(())
    });
    let mut silent = Connection::silent(gateway.public).expect("it listens");
    silent.send(b"PRI * HTTP/2.0\r\n\r\nSM").expect("it reads");
    eventually("it is cut", || (dropped(&gateway, "head_timeout") == 2).then_some(()));
    serves(&gateway);
}

/// Each concurrent request counts for the limit of connections, as a separate connection would.
///
/// Row: A19
#[test]
fn streams_take_the_places_of_connections() {
    let (upstream, gateway) = with_server("connections = 8\nconnections_per_address = 8\nstreams_per_connection = 20");
    let gate = Gate::default();
    let held = gate.clone();
    let answer = serve(users(60));
    upstream.answer(move |exchange| {
        held.wait();
        answer(exchange)
    });
    let mut connection = connected(&gateway);
    for number in 0..20_u32 {
        connection.get(2 * number + 1, &format!("/users?limit={}", number + 1)).expect("it reads");
    }
    // The other twelve requests are refused with REFUSED_STREAM, after which a client may try again.
    let mut refused = 0;
    while refused < 12 {
        let reset = connection.read_until(|frame| frame.kind == RST_STREAM).expect("it answers");
        assert_eq!(reset.payload, 7_u32.to_be_bytes());
        refused += 1;
    }
    eventually("the others are asked for", || (upstream.count() == 8).then_some(()));
    gate.open();
    let mut ended = 0;
    while ended < 8 {
        let part = connection.read_until(|frame| frame.kind == DATA && frame.flags & END_STREAM != 0);
        ended += usize::from(part.is_ok_and(|part| part.stream % 2 == 1));
    }
    assert_eq!(dropped(&gateway, "full_for_address") + dropped(&gateway, "full"), 12);
}

/// The memory of the gateway stays bounded although clients request large pages and don't read them.
///
/// Row: A18
#[test]
fn slow_readers_by_http2_take_bounded_memory() {
    let items: Vec<String> =
        (1..=200).map(|id| format!(r#"{{"id":{id},"name":"user {id}","text":"{}"}}"#, "text ".repeat(2_000))).collect();
    let upstream = Upstream::start(serve(items));
    let gateway = Gateway::start(&format!(
        "{}\n[server]\nmemory = \"148MiB\"\nconnections = 1024",
        PLAIN.configuration(upstream.address)
    ));
    let before = gateway.resident_memory();
    let mut connections: Vec<Connection> = (0..10).map(|_| connected(&gateway)).collect();
    for connection in &mut connections {
        for number in 0..20_u32 {
            connection.get(2 * number + 1, "/users?limit=200").expect("it reads");
        }
    }
    eventually("all are answered or wait", || (gateway.access_log().len() > 100).then_some(()));
    let grown = gateway.resident_memory().saturating_sub(before);
    assert!(grown < 160 << 20, "the memory grew by {grown}");
    drop(connections);
    eventually("the memory is free", || (metric(&gateway, "cursorgate_memory_bytes") == 0).then_some(()));
    serves(&gateway);
}

/// If a client resets a stream, the gateway cancels the upstream request for that stream. A later request of the
/// connection is served.
#[test]
fn a_reset_cancels_one_request() {
    let (upstream, gateway) = started(&PLAIN);
    let answer = serve(users(60));
    let is_first = AtomicBool::new(true);
    upstream.answer(move |exchange| {
        if is_first.swap(false, Ordering::SeqCst) {
            exchange.wait_for_close()?;
            return Ok(After::Close);
        }
        answer(exchange)
    });
    let mut connection = connected(&gateway);
    connection.get(1, "/users?limit=40").expect("it reads");
    eventually("it is asked for", || (upstream.count() >= 1).then_some(()));
    connection.send(&frame(RST_STREAM, 0, 1, &8_u32.to_be_bytes())).expect("it reads");
    let line = eventually("it is logged", || gateway.access_log().first().cloned());
    assert_eq!(line["code"], "client_gone", "{line}");
    connection.get(3, "/users?limit=5").expect("it reads");
    assert_eq!(connection.answer(3).expect("it answers").0, OK);
}
