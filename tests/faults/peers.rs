//! Tests of unreachable peers among reachable ones: requests for pages and forwarded requests skip unreachable peers
//! until they are reachable again.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::harness::{
    eventually,
    gateway::{Gateway, free_port},
    list::{Setup, serve, users},
    upstream::{After, Gate, Upstream},
};

/// The largest number of attempts to reach a peer during a test: each failure doubles the time until the next attempt.
const MOST_TRIES: u64 = 8;

fn start(peers: &[SocketAddr]) -> Gateway {
    let setup = Setup {
        upstream: "timeouts = { connect = \"1s\" }",
        route: "",
        more: "[routes.rest]\npath = \"/rest/{*rest}\"\nupstream = \"legacy\"\naction = \"forward\"",
    };
    let all = peers.iter().map(|peer| format!("\"{peer}\"")).collect::<Vec<_>>().join(", ");
    let configuration = setup.configuration(peers[0]);
    Gateway::start(&configuration.replace(&format!("\"{}\"", peers[0]), &all))
}

fn nobody() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, free_port()).into()
}

/// Returns a listener with a full backlog, which answers no handshake, and the connections that fill the backlog.
fn blackhole() -> (TcpListener, Vec<TcpStream>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let waiting = (0..5_000).map_while(|_| TcpStream::connect_timeout(&address, Duration::from_millis(50)).ok());
    let waiting = waiting.collect();
    (listener, waiting)
}

/// Requests pages and forwarded answers in turn. Each request must succeed.
fn ask(gateway: &Gateway, requests: usize) {
    for _ in 0..requests {
        for target in ["/users?limit=5", "/rest/of/it"] {
            let response = gateway.get(target);
            assert_eq!(response.outcome(), "200", "{target}: {response:?}");
        }
    }
}

fn metric(gateway: &Gateway, name: &str) -> u64 {
    crate::harness::metric(gateway, &format!("{name}{{upstream=\"legacy\"}}"))
}

fn told(gateway: &Gateway, what: &str) -> usize {
    gateway.log().iter().filter(|line| line.contains(what)).count()
}

/// A peer that refuses connections is skipped, and is used again once it accepts them.
///
/// Row: F01, F05
#[test]
fn a_peer_that_refuses_is_passed_over_and_comes_back() {
    let (sick, well) = (nobody(), Upstream::start(serve(users(60))));
    let gateway = start(&[sick, well.address]);
    ask(&gateway, 40);
    let failures = metric(&gateway, "cursorgate_upstream_connect_failures_total");
    assert!((1..=MOST_TRIES).contains(&failures), "{failures} of 80 requests tried it");
    assert_eq!(metric(&gateway, "cursorgate_upstream_peers_resting"), 1);
    assert_eq!(told(&gateway, "peer is unhealthy"), 1, "{:?}", gateway.log());

    let back = Upstream::start_at(sick, serve(users(60)));
    eventually("it is asked again", || {
        ask(&gateway, 1);
        (back.count() > 0).then_some(())
    });
    eventually("that is told", || (told(&gateway, "peer is healthy again") == 1).then_some(()));
    assert_eq!(metric(&gateway, "cursorgate_upstream_peers_resting"), 0);
    let before = back.count();
    ask(&gateway, 10);
    assert_eq!(back.count() - before, 10, "each has its turn again");
}

/// A peer to which no connection can be made in time is skipped.
///
/// Row: F02, F05
#[test]
fn a_peer_that_answers_no_handshake_is_passed_over() {
    let (listener, waiting) = blackhole();
    let well = Upstream::start(serve(users(60)));
    let gateway = start(&[listener.local_addr().expect("it is bound"), well.address]);
    ask(&gateway, 40);
    let failures = metric(&gateway, "cursorgate_upstream_connect_failures_total");
    assert!((1..=MOST_TRIES).contains(&failures), "{failures} of 80 requests waited for it");
    drop((listener, waiting));
}

/// Requests succeed while only one peer of three is reachable.
///
/// Row: F01
#[test]
fn one_peer_of_three_is_enough() {
    let well = Upstream::start(serve(users(60)));
    let gateway = start(&[nobody(), nobody(), well.address]);
    ask(&gateway, 20);
    assert_eq!(metric(&gateway, "cursorgate_upstream_peers_resting"), 2);
}

/// Another program answers at the address of one peer, and doesn't speak HTTP.
#[test]
fn a_peer_that_speaks_no_http_is_passed_over() {
    let foreign = Upstream::start(|exchange| {
        exchange.send(b"SSH-2.0-OpenSSH_9.2\r\n")?;
        Ok(After::Close)
    });
    let well = Upstream::start(serve(users(60)));
    let gateway = start(&[foreign.address, well.address]);
    ask(&gateway, 20);
    assert!(foreign.count() > 0, "it was asked");
    assert_eq!(metric(&gateway, "cursorgate_upstream_peers_resting"), 1);
    // If no peer speaks HTTP, the client is told so, and nothing is tried again and again.
    let alone = start(&[foreign.address]);
    let before = foreign.count();
    assert_eq!(alone.get("/users?limit=5").outcome(), "502 upstream_malformed");
    assert_eq!(foreign.count(), before + 1);
}

/// The answers of one peer arrive byte by byte, slower than any page may.
#[test]
fn a_peer_whose_answers_drip_is_passed_over() {
    let dripping = Upstream::start(|exchange| {
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")?;
        loop {
            exchange.send(b" ")?;
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let well = Upstream::start(serve(users(60)));
    let setup = Setup { upstream: "timeouts = { first_byte = \"500ms\", whole = \"20s\" }", route: "", more: "" };
    let peers = format!("\"{}\", \"{}\"", dripping.address, well.address);
    let configuration = setup.configuration(well.address).replace(&format!("\"{}\"", well.address), &peers);
    let gateway = Gateway::start(&configuration);
    for _ in 0..4 {
        assert_eq!(gateway.get("/users?limit=5").outcome(), "200");
    }
    assert!(dripping.count() > 0, "it was asked");
}

/// A peer that takes long gets few requests: the others, which have none in flight, come first.
#[test]
fn a_slow_peer_gets_few_requests() {
    let (slow, release) = (Upstream::start(serve(users(60))), Gate::default());
    let gate = release.clone();
    slow.answer(move |exchange| {
        gate.wait();
        serve(users(60))(exchange)
    });
    let well = Upstream::start(serve(users(60)));
    let gateway = start(&[slow.address, well.address]);
    std::thread::scope(|scope| {
        scope.spawn(|| assert_eq!(gateway.get("/users?limit=5").outcome(), "200"));
        eventually("it was the first in turn", || (slow.count() == 1).then_some(()));
        ask(&gateway, 10);
        assert_eq!(slow.count(), 1, "the other peer was free");
        release.open();
    });
}

/// A connection with connection-based authentication serves one request and is not pooled. The pooled connection of an
/// earlier plain request outlives it.
#[test]
fn connections_of_one_request_are_not_kept() {
    const REQUESTS: usize = 20;
    let (closed, plain_closed) = (Arc::new(AtomicUsize::new(0)), Gate::default());
    let (counted, gate) = (Arc::clone(&closed), plain_closed.clone());
    let upstream = Upstream::start(move |exchange| {
        exchange.reply("200 OK", &[], b"{}")?;
        let is_plain = exchange.request.header("authorization").is_none();
        exchange.wait_for_close()?;
        if is_plain {
            gate.open();
        } else {
            counted.fetch_add(1, Ordering::SeqCst);
        }
        Ok(After::Close)
    });
    let gateway = start(&[upstream.address]);
    assert_eq!(gateway.get("/rest/plain").status, 200);
    for _ in 0..REQUESTS {
        let response = gateway.send("GET", "/rest/own", &[("Authorization", "Negotiate YII=")], b"");
        assert_eq!(response.status, 200, "{response:?}");
    }
    eventually("all are closed", || (closed.load(Ordering::SeqCst) == REQUESTS).then_some(()));
    assert!(!plain_closed.is_open(), "they were kept as long as any other");
}
