//! Tests of upstreams that can't be reached.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use crate::{
    harness::{
        gateway::{Gateway, free_port},
        http,
        list::{PLAIN, Setup, serve, users},
        upstream::{After, Upstream},
    },
    recovery::{SHORT, everywhere, refused, unreachable},
};

const FORWARD: &str = "[routes.rest]\npath = \"/rest/{*rest}\"\nupstream = \"legacy\"\naction = \"forward\"";
const SETUP: Setup = Setup { upstream: "", route: "", more: FORWARD };

/// An upstream at an address without a listener counts as unavailable.
///
/// Row: F01
#[test]
fn an_address_without_a_listener_is_unavailable() {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    unreachable(&PLAIN, address, "502 upstream_unavailable");
}

#[test]
fn an_upstream_that_closes_the_connection_at_once_is_unavailable() {
    refused(&PLAIN, everywhere("502 upstream_unavailable"), |_| Ok(After::Close));
    refused(&PLAIN, everywhere("502 upstream_unavailable"), |_| Ok(After::Reset));
}

/// If one upstream is down, routes to another upstream are not affected.
#[test]
fn routes_to_other_upstreams_go_on() {
    let upstream = Upstream::start(serve(users(60)));
    let down = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let configuration = PLAIN.configuration(upstream.address)
        + &format!(
            "[upstreams.down]\npeers = [\"{down}\"]\n[routes.down]\npath = \"/down\"\nupstream = \"down\"\ndialect = \"scripted\"\norder = [\"id\"]\n"
        );
    let gateway = Gateway::start(&configuration);
    for _ in 0..3 {
        assert_eq!(gateway.get("/down").outcome(), "502 upstream_unavailable");
        assert_eq!(gateway.get("/users").outcome(), "200");
    }
}

/// A name that can't be resolved fails the request, not the process or its start.
///
/// Row: F03
#[test]
fn a_name_that_does_not_resolve_fails_its_request_alone() {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let configuration = SETUP.configuration(address).replace(&address.to_string(), "no-such-host.invalid:80");
    let gateway = Gateway::start(&configuration);
    for target in ["/users?limit=5", "/rest/of/it", "/users?limit=5"] {
        let response = gateway.get(target);
        assert!(
            ["502 upstream_unavailable", "504 upstream_timeout"].contains(&response.outcome().as_str()),
            "{target}: {response:?}"
        );
        assert!(!format!("{response:?}").contains("no-such-host"), "{response:?}");
    }
    assert!(gateway.is_healthy());
}

/// The connect timeout ends a handshake that a peer with a full backlog never answers.
///
/// Row: F02
#[test]
fn a_handshake_without_an_answer_times_out() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    // The listener never accepts connections: once its backlog is full, handshakes are dropped.
    let mut waiting = Vec::new();
    for _ in 0..5_000 {
        match std::net::TcpStream::connect_timeout(&address, std::time::Duration::from_millis(50)) {
            Ok(stream) => waiting.push(stream),
            Err(_) => break,
        }
    }
    unreachable(&Setup { upstream: SHORT, ..PLAIN }, address, "504 upstream_timeout");
    drop(waiting);
}

/// An upstream that was down when the gateway started is used once it listens.
///
/// Row: F01
#[test]
fn an_upstream_that_starts_after_the_gateway_is_used() {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let gateway = Gateway::start(&SETUP.configuration(address));
    assert_eq!(gateway.get("/users?limit=5").outcome(), "502 upstream_unavailable");
    let _upstream = Upstream::start_at(address, serve(users(60)));
    assert_eq!(gateway.get("/users?limit=5").outcome(), "200");
    assert_eq!(http::get(gateway.public, "/rest/of/it").status, 200);
}
