//! Tests of client connections: their number, the time and the size of heads, refusals of malformed heads, and bytes
//! that belong to no request.

use std::{
    collections::HashSet,
    io::{self, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use crate::harness::{
    eventually,
    gateway::Gateway,
    http::Connection,
    list::{PLAIN, Setup, body, serve, users},
    upstream::{After, Gate, Upstream, message},
};

const FORWARD: &str = "[routes.rest]\npath = \"/{*rest}\"\nupstream = \"legacy\"\naction = \"forward\"\n";

/// Returns the value of a sample in the metrics; 0 if the metrics lack it.
fn counted(gateway: &Gateway, sample: &str) -> u64 {
    let metrics = gateway.metrics();
    let line = metrics.text().lines().find_map(|line| line.strip_prefix(sample).map(str::trim));
    line.map_or(0, |count| count.parse().expect("a number"))
}

fn dropped(gateway: &Gateway, reason: &str) -> u64 {
    counted(gateway, &format!("cursorgate_connections_dropped_total{{reason=\"{reason}\"}}"))
}

/// Keeps `count` connections open, which send a byte now and then, and replaces closed ones, until `stop` is set.
fn drip(address: SocketAddr, count: usize, stop: &AtomicBool) {
    let open = || {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nonblocking(true)?;
        stream.write_all(b"GET /users HTTP/1.1\r\nHost: people\r\nX-Drip: ")?;
        Ok::<TcpStream, io::Error>(stream)
    };
    let mut streams: Vec<Option<TcpStream>> = (0..count).map(|_| None).collect();
    while !stop.load(Ordering::SeqCst) {
        for slot in &mut streams {
            let is_closed =
                |stream: &mut TcpStream| matches!(stream.read(&mut [0; 512]), Ok(0)) || stream.write_all(b"x").is_err();
            if slot.as_mut().is_none_or(is_closed) {
                *slot = open().ok();
            }
            if stop.load(Ordering::SeqCst) {
                return;
            }
        }
        // The pause makes the clients slow. It does not wait for a condition.
        thread::sleep(Duration::from_millis(50));
    }
}

/// A guard that sets the flag to stop the clients of a test when it is dropped. The threads of the clients can then be
/// joined, even if the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A thousand slow connections don't keep other clients from being served, nor the health check from being answered.
///
/// Row: A18, F55
#[test]
fn a_thousand_slow_connections_shut_no_client_out() {
    const DESCRIPTORS: usize = 256;
    const DRIPS: usize = 1_000;
    let upstream = Upstream::start(serve(users(60)));
    let setup = Setup { more: FORWARD, ..PLAIN };
    let gateway = Gateway::start_limited(DESCRIPTORS, DESCRIPTORS, &setup.configuration(upstream.address));
    let limit = counted(&gateway, "cursorgate_connections_limit ");
    assert!((1..DESCRIPTORS as u64 / 2).contains(&limit), "{limit}");
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stop = Stop(&stop);
        for _ in 0..2 {
            scope.spawn(|| drip(gateway.public, DRIPS / 2, &stop));
        }
        eventually("quiet connections make room", || (dropped(&gateway, "displaced") > 2 * limit).then_some(()));
        for round in 0..40 {
            let page = gateway.get("/users?limit=5");
            assert_eq!(page.outcome(), "200", "round {round}");
            assert_eq!(gateway.get("/other").status, 200, "round {round}");
            assert!(gateway.is_healthy(), "round {round}");
        }
    });
    assert_eq!(dropped(&gateway, "full") + dropped(&gateway, "full_for_address"), 0);
    assert!(gateway.log().iter().any(|line| line.contains("too many connections")));
    eventually("all of them are given back", || (counted(&gateway, "cursorgate_connections ") == 0).then_some(()));
}

/// While idle connections hold all places, new clients take the places of those that have been idle for longest, and keep
/// them. If all connections are new, the oldest one makes room, and is told so.
///
/// Row: A18
#[test]
fn new_clients_take_the_places_of_idle_ones() {
    const PLACES: usize = 40;
    let upstream = Upstream::start(serve(users(60)));
    let setup = Setup { more: "[server]\nconnections = 40\nconnections_per_address = 40", ..PLAIN };
    let gateway = Gateway::start(&setup.configuration(upstream.address));
    let mut idle: Vec<Connection> = (0..PLACES).map(|_| gateway.connect()).collect();
    for connection in &mut idle {
        assert_eq!(connection.request("GET", "/users", &[], b"").expect("a response").status, 200);
    }
    let mut new: Vec<Connection> = (0..PLACES * 3 / 4).map(|_| gateway.connect()).collect();
    eventually("idle ones make room", || (dropped(&gateway, "displaced") == new.len() as u64).then_some(()));
    for connection in &mut new {
        assert_eq!(connection.request("GET", "/users", &[], b"").expect("a response").status, 200);
    }
    let newest = idle.last_mut().expect("forty");
    assert_eq!(newest.request("GET", "/users", &[], b"").expect("it has kept its place").status, 200);
    drop((idle, new));
    eventually("all places are free", || (counted(&gateway, "cursorgate_connections ") == 0).then_some(()));
    let oldest = gateway.connect();
    let silent: Vec<Connection> = (1..PLACES).map(|_| gateway.connect()).collect();
    eventually("all are connected", || (counted(&gateway, "cursorgate_connections ") == PLACES as u64).then_some(()));
    assert_eq!(gateway.connect().request("GET", "/users", &[], b"").expect("a response").status, 200);
    let mut told = String::new();
    oldest.stream().read_to_string(&mut told).expect("a response");
    assert!(told.starts_with("HTTP/1.1 503") && told.contains("too many connections"), "{told}");
    drop(silent);
}

/// A connection whose head arrives byte by byte is closed at one deadline for the whole head.
///
/// Row: A18
#[test]
fn a_head_has_one_deadline_for_all_its_bytes() {
    let upstream = Upstream::start(serve(users(60)));
    let setup = Setup { more: "[server]\nhead_timeout = \"1s\"", ..PLAIN };
    let gateway = Gateway::start(&setup.configuration(upstream.address));
    for (address, before) in [(gateway.public, 0), (gateway.public, 2), (gateway.admin, 0), (gateway.admin, 1)] {
        let mut connection = Connection::open(address).expect("it listens");
        for _ in 0..before {
            connection.request("GET", "/users", &[], b"").expect("a response");
        }
        let mut stream = connection.stream().try_clone().expect("it is open");
        stream.write_all(b"GET /users HTTP/1.1\r\nX-Drip: ").expect("it is sent");
        stream.set_read_timeout(Some(Duration::from_millis(20))).expect("it is open");
        // Each byte comes long before a deadline for a single read would pass, so a gateway with only that deadline
        // fails the test.
        eventually("the connection ends, without an answer", || {
            let sent = stream.write_all(b"x");
            match stream.read(&mut [0; 1]) {
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock && sent.is_ok() => None,
                Ok(1) => panic!("an answer"),
                _ => Some(()),
            }
        });
    }
    assert_eq!(dropped(&gateway, "head_timeout"), 2, "those of operators are not counted among the clients'");
    assert_eq!(gateway.get("/users").outcome(), "200");
}

/// A connection whose head arrives too slowly is closed long before the head timeout.
///
/// Row: A18
#[test]
fn a_head_has_a_least_rate() {
    let upstream = Upstream::start(serve(users(60)));
    // The timeout is longer than the harness waits, so it can't be the reason for the closed connections.
    let setup = Setup { more: "[server]\nhead_timeout = \"5m\"", ..PLAIN };
    let gateway = Gateway::start(&setup.configuration(upstream.address));
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stop = Stop(&stop);
        scope.spawn(|| drip(gateway.public, 10, &stop));
        eventually("each drip ends", || (dropped(&gateway, "head_timeout") >= 10).then_some(()));
    });
    assert_eq!(gateway.get("/users").outcome(), "200");
}

/// The gateway raises its soft limit of descriptors to the hard limit. Service managers set a low soft limit, for
/// programs that can't use more descriptors.
///
/// Row: F55
#[test]
fn the_limit_of_descriptors_is_raised_to_the_hard_one() {
    const SOFT: usize = 128;
    const HARD: usize = 1_024;
    const CLIENTS: usize = 200;
    let upstream = Upstream::start(serve(users(60)));
    let gateway = Gateway::start_limited(SOFT, HARD, &PLAIN.configuration(upstream.address));
    let limit = counted(&gateway, "cursorgate_connections_limit ");
    assert!((SOFT as u64..HARD as u64 / 2).contains(&limit), "{limit}");
    // All connections are open at the same time.
    let mut clients: Vec<Connection> = (0..CLIENTS).map(|_| gateway.connect()).collect();
    for client in &mut clients {
        let page = client.request("GET", "/users?limit=5", &[], b"").expect("a page");
        assert_eq!((page.outcome().as_str(), page.header("connection")), ("200", Some("keep-alive")), "{page:?}");
    }
    assert_eq!(counted(&gateway, "cursorgate_connections "), CLIENTS as u64);
    assert_eq!(dropped(&gateway, "displaced"), 0);
}

/// Incomplete heads take little more memory than their size. A head beyond the size limit is refused at once.
///
/// Row: A18, F61
#[test]
fn an_incomplete_head_takes_little_more_memory_than_its_size() {
    const HEAD: usize = 256 << 10;
    const COUNT: usize = 100;
    let upstream = Upstream::start(serve(users(60)));
    let setup = Setup { more: "[server]\nhead_size = \"256KiB\"\nthreads = 1", ..PLAIN };
    for (is_admin, count) in [(false, COUNT), (true, COUNT / 4)] {
        let gateway = Gateway::start(&setup.configuration(upstream.address));
        assert_eq!(gateway.get("/users").outcome(), "200");
        let address = if is_admin { gateway.admin } else { gateway.public };
        let before = gateway.resident_memory();
        let part = [b"GET /users HTTP/1.1\r\nX: ".to_vec(), vec![b'x'; HEAD - 100]].concat();
        let mut connections: Vec<Connection> =
            (0..count).map(|_| Connection::open(address).expect("it listens")).collect();
        for connection in &mut connections {
            connection.send(&part).expect("it is read");
        }
        let grown = eventually("the heads are read", || {
            let grown = gateway.resident_memory().saturating_sub(before);
            (grown >= (count - count / 10) as u64 * (HEAD - 100) as u64).then_some(grown)
        });
        assert!(grown <= count as u64 * HEAD as u64 * 3 / 2, "{grown} bytes for {count} heads");
        // A head beyond the limit is refused before its end.
        for connection in connections.iter_mut().take(3) {
            connection.send(&[b'x'; 200]).expect("it is read");
            let response = connection.response("GET").expect("a refusal");
            assert_eq!(response.outcome(), "431 headers_too_large");
            assert!(connection.is_closed());
        }
    }
}

/// A request target that is too long is refused before it is complete.
///
/// Row: F61
#[test]
fn a_request_target_that_is_too_long_is_refused_before_its_end_arrives() {
    let upstream = Upstream::start(serve(users(60)));
    let gateway = Gateway::start(&PLAIN.configuration(upstream.address));
    let mut connection = gateway.connect();
    connection.send(&[b"GET /".to_vec(), vec![b'a'; 20 << 10]].concat()).expect("it is sent");
    assert_eq!(connection.response("GET").expect("a refusal").outcome(), "414 target_too_long");
}

/// A malformed head is answered, logged and counted, without its content in the log.
///
/// Row: A17
#[test]
fn a_head_that_cannot_be_read_is_answered_logged_and_counted() {
    let upstream = Upstream::start(serve(users(60)));
    let gateway = Gateway::start(&PLAIN.configuration(upstream.address));
    let many = "X: y\r\n".repeat(257);
    let cases = [
        (
            "POST /users?cursor=CANARY HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n".to_owned(),
            "400 request_invalid",
        ),
        ("GET /users HTTP/1.1\r\nHost: a\r\nX: \0CANARY\r\n\r\n".to_owned(), "400 request_invalid"),
        ("GET /users HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(), "400 request_invalid"),
        (format!("GET /users HTTP/1.1\r\nHost: a\r\n{many}\r\n"), "431 headers_too_large"),
        ("\u{16}\u{3}\u{1}CANARY".to_owned(), "400 request_invalid"),
    ];
    for address in [gateway.public, gateway.admin] {
        for (request, outcome) in &cases {
            let mut connection = Connection::open(address).expect("it listens");
            connection.send(request.as_bytes()).expect("it is sent");
            let response = connection.response("GET").unwrap_or_else(|fault| panic!("{request:?}: {fault}"));
            assert_eq!(&response.outcome(), outcome, "{request:?}: {response:?}");
            assert_eq!((response.header("connection"), response.header("server")), (Some("close"), None));
            assert!(connection.is_closed(), "{request:?}");
        }
    }
    let lines = eventually("each has its line", || {
        let lines = gateway.access_log();
        (lines.len() == 2 * cases.len()).then_some(lines)
    });
    assert!(lines.iter().all(|line| line["detail"].is_string() && line["request_id"].is_string()), "{lines:?}");
    assert!(lines.iter().take(4).all(|line| line["path"] == "/users"), "{lines:?}");
    assert!(!format!("{lines:?}").contains("CANARY"), "{lines:?}");
    assert_eq!(
        counted(&gateway, "cursorgate_requests_total{route=\"\",outcome=\"request_invalid\",status=\"4xx\"}"),
        8
    );
    assert_eq!(
        counted(&gateway, "cursorgate_requests_total{route=\"\",outcome=\"headers_too_large\",status=\"4xx\"}"),
        2
    );
    assert_eq!(upstream.count(), 0);
}

/// Starts an upstream that answers after the gate opens, and a gateway with few connections in front of it.
fn crowded(server: &'static str) -> (Upstream, Gateway, Gate) {
    let release = Gate::default();
    let (gate, items) = (release.clone(), users(60));
    let upstream = Upstream::start(move |exchange| {
        gate.wait();
        let body = body(exchange, &items);
        exchange.reply("200 OK", &[], body.as_bytes())
    });
    let setup = Setup { more: server, upstream: "timeouts = { first_byte = \"50s\", whole = \"55s\" }", ..PLAIN };
    let gateway = Gateway::start(&setup.configuration(upstream.address));
    (upstream, gateway, release)
}

fn ask(gateway: &Gateway) -> Connection {
    let mut connection = gateway.connect();
    connection.send(b"GET /users?limit=5 HTTP/1.1\r\nHost: a\r\n\r\n").expect("it is sent");
    connection
}

/// If all connections are busy, new connections are refused with 503, and the busy ones are served to their end.
///
/// Row: F55
#[test]
fn busy_connections_are_never_closed_for_new_connections() {
    for (server, most, reason) in [
        ("[server]\nconnections = 9\nconnections_per_address = 3", 3, "full_for_address"),
        ("[server]\nconnections = 5\nconnections_per_address = 1\ntrusted_proxies = [\"127.0.0.0/8\"]", 5, "full"),
    ] {
        let (upstream, gateway, release) = crowded(server);
        let mut busy: Vec<Connection> = (0..most).map(|_| ask(&gateway)).collect();
        eventually("all are busy", || (upstream.count() == most).then_some(()));
        let mut refused = gateway.connect();
        let response = refused.response("GET").expect("it is told");
        assert_eq!(response.outcome(), "503 overloaded", "{server}");
        assert!(response.header("retry-after").is_some(), "{response:?}");
        assert!(refused.is_closed());
        assert_eq!(dropped(&gateway, reason), 1, "{server}");
        release.open();
        for connection in &mut busy {
            assert_eq!(connection.response("GET").expect("a page").outcome(), "200", "{server}");
        }
        // The connections are idle now, so one of them is closed for a new connection.
        assert_eq!(gateway.get("/users").outcome(), "200", "{server}");
        assert_eq!(dropped(&gateway, "displaced"), 1, "{server}");
    }
}

/// A client that sends two requests at once (pipelining) gets one answer, which announces the end of the connection.
#[test]
fn bytes_before_an_answer_end_the_connection_after_it() {
    let (entered, release) = (Gate::default(), Gate::default());
    let (asked, gate, items) = (entered.clone(), release.clone(), users(60));
    let upstream = Upstream::start(move |exchange| {
        asked.open();
        gate.wait();
        let body = body(exchange, &items);
        exchange.reply("200 OK", &[], body.as_bytes())
    });
    let setup = Setup { more: FORWARD, ..PLAIN };
    let gateway = Gateway::start(&setup.configuration(upstream.address));
    let request = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
    for (round, target) in ["/users?limit=5", "/other"].into_iter().enumerate() {
        // The second request is sent together with the first one, or while the first one is in flight.
        let mut connection = gateway.connect();
        if round == 0 {
            connection.send(request(target).as_bytes()).expect("it is sent");
            entered.wait();
            connection.send(request("/late").as_bytes()).expect("it is sent");
            // The test can't see when the gateway has read the second request, so it pauses.
            thread::sleep(Duration::from_millis(100));
            release.open();
        } else {
            connection.send(format!("{}{}", request(target), request("/late")).as_bytes()).expect("it is sent");
        }
        let response = connection.response("GET").expect("the first is answered");
        assert_eq!((response.status, response.header("connection")), (200, Some("close")), "{target}: {response:?}");
        assert!(connection.is_closed(), "{target}");
    }
    assert!(upstream.requests().iter().all(|request| request.path() != "/late"), "{:?}", upstream.requests());
}

/// A server that sends a body in answer to HEAD mixes up no answers of other requests.
#[test]
fn a_body_in_answer_to_head_reaches_no_client() {
    let bodies = Mutex::new(HashSet::new());
    let upstream = Upstream::start(move |exchange| {
        let (peer, body) = (exchange.peer()?, b"one");
        // The body of a HEAD before this request arrives only now, and looks like the answer to this request.
        if bodies.lock().unwrap().remove(&peer) {
            exchange.send(&message("200 OK", &[], b"of another request"))?;
        }
        if exchange.request.method == "HEAD" {
            bodies.lock().unwrap().insert(peer);
        }
        exchange.reply("200 OK", &[], body)
    });
    let gateway = Gateway::start(&Setup { more: FORWARD, ..PLAIN }.configuration(upstream.address));
    for method in ["HEAD", "GET", "HEAD", "HEAD", "GET", "GET"] {
        let answer = gateway.send(method, "/one", &[], b"");
        let body: &[u8] = if method == "HEAD" { b"" } else { b"one" };
        assert_eq!((answer.status, answer.header("content-length"), &answer.body[..]), (200, Some("3"), body));
    }
}

/// A forwarded request is answered although its client sends more bytes after it.
#[test]
fn a_forwarded_request_is_answered_though_its_client_sends_on() {
    let (entered, release) = (Gate::default(), Gate::default());
    let (asked, gate) = (entered.clone(), release.clone());
    let upstream = Upstream::start(move |exchange| {
        asked.open();
        gate.wait();
        exchange.reply("200 OK", &[], b"answer")
    });
    let setup = Setup { more: FORWARD, ..PLAIN };
    let gateway = Gateway::start(&setup.configuration(upstream.address));
    let mut connection = gateway.connect();
    connection.send(b"GET /other HTTP/1.1\r\nHost: a\r\n\r\n").expect("it is sent");
    entered.wait();
    connection.send(b"GET /late HTTP/1.1\r\nHost: a\r\n\r\n").expect("it is sent");
    thread::sleep(Duration::from_millis(100));
    release.open();
    let response = connection.response("GET").expect("it is answered");
    assert_eq!((response.status, response.text()), (200, "answer"));
    assert!(connection.is_closed());
    assert_eq!(upstream.count(), 1);
}

/// A client that closes its sending direction counts as disconnected, which RFC 9112, section 9.6, permits and the
/// README states.
///
/// Row: F60
#[test]
fn a_client_that_closes_its_sending_direction_is_gone() {
    let setup = Setup { more: FORWARD, upstream: "timeouts = { first_byte = \"50s\", whole = \"55s\" }", ..PLAIN };
    let (asked, cancelled) = (Gate::default(), Gate::default());
    for target in ["/users?limit=5", "/other"] {
        let (entered, closed) = (asked.clone(), cancelled.clone());
        let upstream = Upstream::start(move |exchange| {
            entered.open();
            exchange.wait_for_close()?;
            closed.open();
            Ok(After::Close)
        });
        let gateway = Gateway::start(&setup.configuration(upstream.address));
        let mut connection = gateway.connect();
        connection.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).expect("it is sent");
        asked.wait();
        connection.stream().shutdown(Shutdown::Write).expect("it is open");
        cancelled.wait();
        assert!(connection.is_closed(), "{target}: an answer");
    }
}

#[test]
fn a_connection_ends_after_ten_thousand_requests_and_says_so() {
    let upstream = Upstream::start(serve(users(60)));
    let gateway = Gateway::start(&PLAIN.configuration(upstream.address));
    let mut connection = gateway.connect();
    for number in 1..=10_000 {
        let response = connection.request("GET", &format!("/nothing/{number}"), &[], b"").expect("a response");
        assert_eq!(response.outcome(), "404 route_not_found", "{number}");
        let last = response.header("connection") == Some("close");
        assert_eq!(last, number == 10_000, "{number}");
    }
    assert!(connection.is_closed());
    assert_eq!(upstream.count(), 0);
}

/// If no descriptor is left for a connection to the upstream, the gateway reports its own overload, not a failure of
/// the upstream.
///
/// Row: F55
#[test]
fn without_descriptors_the_gateway_is_overloaded() {
    let upstream = Upstream::start(|exchange| {
        exchange.reply("200 OK", &[], b"{\"total\":0,\"items\":[]}")?;
        Ok(After::Close)
    });
    let setup = Setup { more: FORWARD, ..PLAIN };
    let gateway = Gateway::start(&setup.configuration(upstream.address));
    let mut kept = gateway.connect();
    assert_eq!(kept.request("GET", "/nothing", &[], b"").expect("a response").status, 200);
    gateway.exhaust_descriptors();
    for target in ["/users", "/other"] {
        let response = kept.request("GET", target, &[], b"").expect("a response");
        assert_eq!(response.outcome(), "503 overloaded", "{target}: {response:?}");
        assert!(response.header("retry-after").is_some(), "{response:?}");
        if response.header("connection") == Some("close") {
            break;
        }
    }
}
