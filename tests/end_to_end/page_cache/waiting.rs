//! Tests of simultaneous requests for one page: one request makes the page, and the other requests share it if they
//! may.

use super::{KEPT, PRIVATE, is_hit, start, status};
use crate::harness::{
    eventually,
    gateway::Gateway,
    http::{Connection, Response},
    list::Setup,
    upstream::{Exchange, Gate, Upstream},
};

/// Sends one request on each of many connections, with these headers. Opens the gate when all requests are in flight,
/// and returns the responses.
fn at_once(gateway: &Gateway, gate: &Gate, requests: &[Vec<(&str, &str)>]) -> Vec<Response> {
    let mut connections: Vec<Connection> = requests
        .iter()
        .map(|headers| {
            let mut connection = gateway.connect();
            let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let head = format!("GET /users HTTP/1.1\r\nHost: gateway.test\r\n{lines}\r\n");
            connection.send(head.as_bytes()).expect("it is open");
            connection
        })
        .collect();
    let wanted = u64::try_from(requests.len()).expect("a number");
    eventually("all are in flight", || (gateway.metric("cursorgate_requests_in_flight")? >= wanted).then_some(()));
    gate.open();
    connections.iter_mut().map(|connection| connection.response("GET").expect("a response")).collect()
}

/// Starts an upstream that answers each `Authorization` with its own rows once the gate is open.
fn gated() -> (Upstream, Gate) {
    let gate = Gate::default();
    let opened = gate.clone();
    let upstream = Upstream::start(move |exchange: &mut Exchange| {
        opened.wait();
        let who = exchange.request.header("authorization").unwrap_or("nobody").to_owned();
        let body = format!(r#"{{"total":1,"items":[{{"id":1,"who":"{who}"}}]}}"#);
        exchange.reply("200 OK", &[], body.as_bytes())
    });
    (upstream, gate)
}

/// A thousand simultaneous requests for one missing page cause one upstream request for each tenant.
///
/// Row: A22
#[test]
fn a_thousand_misses_at_once_are_one_for_each_tenant() {
    const MANY: usize = 1_000;
    let setup = Setup { more: "[server]\nconnections = 3000\nconnections_per_address = 2500", ..PRIVATE };
    for tenants in [&["Bearer one"][..], &["Bearer one", "Bearer two"]] {
        let (upstream, gate) = gated();
        let gateway = start(&setup, &upstream);
        let requests: Vec<Vec<(&str, &str)>> =
            (0..MANY).map(|number| vec![("Authorization", tenants[number % tenants.len()])]).collect();
        let pages = at_once(&gateway, &gate, &requests);
        for (number, page) in pages.iter().enumerate() {
            assert_eq!(page.json()["data"][0]["who"], tenants[number % tenants.len()], "{page:?}");
        }
        assert_eq!(upstream.count(), tenants.len());
        let made = pages.iter().filter(|page| status(page) == "cursorgate; fwd=miss; stored").count();
        // A request that arrives after the page is made is a hit.
        let is_shared = |page: &&Response| is_hit(page) || status(page) == "cursorgate; fwd=miss; collapsed";
        assert_eq!((made, pages.iter().filter(is_shared).count()), (tenants.len(), MANY - tenants.len()));
    }
}

/// Requests that wait for one page get different pages if the page varies by a header in which the requests differ.
///
/// Row: A22
#[test]
fn a_page_is_shared_only_by_the_waiting_requests_that_may_have_it() {
    let gate = Gate::default();
    let opened = gate.clone();
    let upstream = Upstream::start(move |exchange: &mut Exchange| {
        opened.wait();
        let language = exchange.request.header("accept-language").unwrap_or("none").to_owned();
        let body = format!(r#"{{"total":1,"items":[{{"id":1,"language":"{language}"}}]}}"#);
        exchange.reply("200 OK", &[("Vary", "Accept-Language")], body.as_bytes())
    });
    let gateway = start(&KEPT, &upstream);
    let languages = ["de", "en", "de", "fr", "en", "de"];
    let requests: Vec<Vec<(&str, &str)>> =
        languages.iter().map(|language| vec![("Accept-Language", *language)]).collect();
    for (page, language) in at_once(&gateway, &gate, &requests).iter().zip(languages) {
        assert_eq!(page.json()["data"][0]["language"], language);
    }
}

/// If a client closes its connection while other requests wait for its page, these requests are still served.
#[test]
fn a_client_that_leaves_fails_no_waiting_request() {
    let (upstream, gate) = gated();
    let gateway = start(&KEPT, &upstream);
    let ask = || {
        let mut connection = gateway.connect();
        connection.send(b"GET /users HTTP/1.1\r\nHost: gateway.test\r\n\r\n").expect("it is open");
        connection
    };
    let first = ask();
    eventually("the upstream is asked", || (upstream.count() == 1).then_some(()));
    let mut others: Vec<Connection> = (0..5).map(|_| ask()).collect();
    eventually("all are in flight", || (gateway.metric("cursorgate_requests_in_flight")? >= 6).then_some(()));
    drop(first);
    eventually("another one asks", || (upstream.count() == 2).then_some(()));
    gate.open();
    for connection in &mut others {
        assert_eq!(connection.response("GET").expect("a response").status, 200);
    }
    assert_eq!(upstream.count(), 2);
}
