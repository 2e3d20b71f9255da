//! Tests of `collection.changed`: each change of a watched list and of a live page is announced once, to the clients
//! that may see the list.

use serde_json::{Value, json};

use super::{
    CLIENTS, ONE, TWO, active, deliveries, delivery, plain,
    receiver::{self, Receiver, signed_by},
    services,
};
use crate::harness::{
    Directory, eventually,
    gateway::Gateway,
    http,
    rows::{BY_OFFSET, BY_SCORE, Row, Rows, configuration},
    schema::faults,
    upstream::Upstream,
};

/// The credentials of the gateway's own requests, which watch the list.
const WATCH: &str = "Bearer watch-canary";

const CHANGED: &[&str] = &["collection.changed"];

/// Returns the table of an operator's endpoint for `collection.changed`, and writes its secret to a file.
fn audit(directory: &Directory, receiver: &Receiver) -> String {
    let secret = directory.file("secret");
    std::fs::write(&secret, receiver::SECRET).expect("a file");
    let (url, secret) = (receiver.url("/audit"), secret.display());
    format!(
        "[services.webhooks.endpoints.audit]\nurl = {url:?}\nevents = [\"collection.changed\"]\nsecret = \"file:{secret}\"\n"
    )
}

/// Waits until the upstream has received this number of additional requests. The last of them may not be answered yet.
fn asked(upstream: &Upstream, requests: usize) {
    let since = upstream.count();
    eventually("further requests", || (upstream.count() >= since + requests).then_some(()));
}

fn payloads(receiver: &Receiver) -> Vec<Value> {
    receiver.events().iter().map(receiver::Received::json).collect()
}

/// Waits until the receiver has exactly `count` events, and returns the last one.
fn events(receiver: &Receiver, count: usize) -> receiver::Received {
    let found = eventually(&format!("{count} events"), || Some(receiver.events()).filter(|all| all.len() >= count));
    assert_eq!(found.len(), count, "{:?}", payloads(receiver));
    found[count - 1].clone()
}

#[test]
fn a_change_of_a_watched_list_is_one_event_also_over_a_restart() {
    let rows = Rows::default();
    rows.change_of(WATCH, |own| own.extend((1..=9).map(|id| Row::new(id, id * 10))));
    let own = rows.clone();
    let upstream = Upstream::start(move |exchange| own.answer(exchange));
    let (directory, receiver) = (Directory::new(), Receiver::start());
    let credentials = directory.file("credentials");
    std::fs::write(&credentials, WATCH).expect("a file");
    let watch = format!(
        "[services.webhooks.watches.top]\npath = \"/users?limit=5&score__gte=20\"\ninterval = \"1s\"\n\
         headers = {{ Authorization = \"file:{}\" }}\n",
        credentials.display()
    );
    let tables = format!("{}{watch}{CLIENTS}", audit(&directory, &receiver));
    let services = services(&directory, &[receiver.port()], "", &tables);
    let start = || Gateway::start(&format!("{}{services}", configuration(upstream.address, BY_OFFSET, BY_SCORE)));
    let gateway = start();
    asked(&upstream, 3);
    assert_eq!(payloads(&receiver), Vec::<Value>::new(), "the list is as it was first seen");
    rows.change_of(WATCH, |own| own.push(Row::new(10, 500)));
    let event = events(&receiver, 1);
    assert!(signed_by(&event, receiver::SECRET));
    let payload = event.json();
    let mut schema: Value =
        serde_json::from_str(include_str!("../../../crates/gateway/src/openapi/events/collection.changed.json"))
            .expect("a schema");
    plain(&mut schema);
    assert_eq!(faults(&schema, &payload), Vec::<String>::new(), "{payload}");
    let data = &payload["data"];
    let facts = ["route", "path", "query", "watch"].map(|name| data[name].clone());
    assert_eq!(facts, ["users", "/users", "score__gte=20", "top"].map(Value::from), "{payload}");
    assert!(data["etag"].is_string() && !event.body.contains("row "), "no item: {payload}");
    let request = upstream.requests().pop().expect("a request");
    assert_eq!(request.header("authorization"), Some(WATCH));
    asked(&upstream, 3);
    events(&receiver, 1);
    // Rows beyond the page are not watched.
    rows.change_of(WATCH, |own| own.retain(|row| row.id != 1));
    asked(&upstream, 3);
    events(&receiver, 1);

    drop(gateway);
    let gateway = start();
    asked(&upstream, 3);
    events(&receiver, 1);
    drop(gateway);
    rows.change_of(WATCH, |own| own.push(Row::new(11, 600)));
    let gateway = start();
    assert_ne!(events(&receiver, 2).id(), event.id(), "what happened meanwhile is told");
    let second = start();
    rows.change_of(WATCH, |own| own.push(Row::new(12, 700)));
    events(&receiver, 3);
    asked(&upstream, 4);
    events(&receiver, 3);
    let logs = format!("{:?}{:?}", gateway.log(), second.log());
    assert!(!logs.contains("canary"), "{logs}");
}

/// A watch notices a change, also if ordinary requests get the page from the cache for much longer.
#[test]
fn a_watch_reads_no_kept_page() {
    let rows = Rows::count(9);
    let own = rows.clone();
    let upstream = Upstream::start(move |exchange| own.answer(exchange));
    let (directory, receiver) = (Directory::new(), Receiver::start());
    let watch = "[services.webhooks.watches.all]\npath = \"/users\"\ninterval = \"1s\"\n";
    let services = services(&directory, &[receiver.port()], "", &format!("{}{watch}", audit(&directory, &receiver)));
    let route = format!("{BY_SCORE}\npage_cache = {{ ttl = \"1h\" }}");
    let gateway = Gateway::start(&format!("{}{services}", configuration(upstream.address, BY_OFFSET, &route)));
    // Another page of the cache, so that the cache is seen to work.
    assert!(gateway.get("/users?limit=3").header("cache-status").is_some_and(|used| used.contains("stored")));
    assert!(gateway.get("/users?limit=3").header("cache-status").is_some_and(|used| used.contains("hit")));
    asked(&upstream, 3);
    rows.change(|rows| rows.push(Row::new(70, 700)));
    events(&receiver, 1);
}

/// Nobody asks for the pages of a watch, so they are no requests of a client, whose credentials they might have.
#[test]
fn a_watch_counts_in_no_limit_of_a_client() {
    let rows = Rows::count(9);
    let own = rows.clone();
    let upstream = Upstream::start(move |exchange| own.answer(exchange));
    let (directory, receiver) = (Directory::new(), Receiver::start());
    let watch = "[services.webhooks.watches.all]\npath = \"/users\"\ninterval = \"1s\"\n";
    let services = services(&directory, &[receiver.port()], "", &format!("{}{watch}", audit(&directory, &receiver)));
    let route = format!("{BY_SCORE}\nrate_limit = {{ requests = 1, per = \"1d\" }}");
    let _gateway = Gateway::start(&format!("{}{services}", configuration(upstream.address, BY_OFFSET, &route)));
    asked(&upstream, 2);
    for round in 1..=2 {
        rows.change(|rows| rows.push(Row::new(69 + u64::try_from(round).expect("a number"), 700)));
        events(&receiver, round);
    }
}

#[test]
fn a_watch_that_is_refused_is_reported_and_goes_on() {
    let rows = Rows::count(9);
    let own = rows.clone();
    let upstream = Upstream::start(|exchange| exchange.reply("403 Forbidden", &[], b""));
    let (directory, receiver) = (Directory::new(), Receiver::start());
    let watch = "[services.webhooks.watches.all]\npath = \"/users\"\ninterval = \"1s\"\n";
    let services = services(&directory, &[receiver.port()], "", &format!("{}{watch}", audit(&directory, &receiver)));
    let gateway = Gateway::start(&format!("{}{services}", configuration(upstream.address, BY_OFFSET, BY_SCORE)));
    let watched = || http::get(gateway.admin, "/webhooks").json()["watches"][0].clone();
    let refused = eventually("a refusal", || Some(watched()).filter(|watch| watch["error"].is_string()));
    let facts = ["name", "path", "error", "changed_at"].map(|name| refused[name].clone());
    assert_eq!(facts, [json!("all"), json!("/users"), json!("credentials_refused"), Value::Null]);
    upstream.answer(move |exchange| own.answer(exchange));
    let read = eventually("a page", || Some(watched()).filter(|watch| watch["error"].is_null()));
    assert!(read["asked_at"].is_string(), "{read}");
    rows.change(|rows| rows.push(Row::new(70, 700)));
    events(&receiver, 1);
    assert!(
        eventually("the time of the change", || watched()["changed_at"].as_str().map(str::to_owned)).ends_with('Z')
    );
}

/// Subscribes to a live page, waits for the first page, and returns the connection.
fn live(gateway: &Gateway, target: &str, credentials: &str) -> http::Connection {
    let mut connection = gateway.connect();
    let head = format!("GET {target} HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: {credentials}\r\n\r\n");
    connection.send(head.as_bytes()).expect("the gateway listens");
    assert_eq!(connection.head().expect("a head").0, 200);
    while !String::from_utf8_lossy(&connection.chunk().expect("a chunk")).contains("paginatedData") {}
    connection
}

/// A change of a live page is sent once, and only to the endpoint of the client whose page it is.
///
/// Row: A22
#[test]
fn a_change_of_a_live_page_is_one_event_for_its_own_client() {
    let rows = Rows::count(9);
    for whose in [ONE.1, TWO.1] {
        rows.change_of(whose, |own| own.push(Row::new(1, 1)));
    }
    let own = rows.clone();
    let upstream = Upstream::start(move |exchange| own.answer(exchange));
    let (directory, receiver) = (Directory::new(), Receiver::start());
    let live_pages = "\n[services.live]\nroutes = [\"users\"]\ninterval = { min = \"50ms\", max = \"50ms\" }\n";
    let services = services(&directory, &[receiver.port()], "", &format!("{CLIENTS}{live_pages}"));
    let start = || Gateway::start(&format!("{}{services}", configuration(upstream.address, BY_OFFSET, BY_SCORE)));
    let gateway = start();
    let one = active(&gateway, &[ONE], &receiver.url("/one"), CHANGED);
    let two = active(&gateway, &[TWO], &receiver.url("/two"), CHANGED);
    let target = "/users/live?limit=5&score__gte=1";
    let other = start();
    let _streams = [
        live(&gateway, target, ONE.1),
        live(&gateway, target, ONE.1),
        live(&other, target, ONE.1),
        live(&gateway, "/users/live", TWO.1),
    ];
    asked(&upstream, 20);
    assert_eq!(payloads(&receiver), Vec::<Value>::new());
    rows.change_of(ONE.1, |own| own.push(Row::new(2, 2)));
    delivery(&gateway, &one.path, &[ONE], "delivered");
    asked(&upstream, 20);
    let event = events(&receiver, 1);
    assert!(signed_by(&event, &one.secret));
    assert_eq!(event.request.target, "/one");
    let data = &event.json()["data"];
    let facts = ["route", "path", "query", "watch"].map(|name| data[name].clone());
    assert_eq!(facts, [json!("users"), json!("/users"), json!("score__gte=1"), Value::Null]);
    assert_eq!(deliveries(&gateway, &two.path, &[TWO]), Vec::<Value>::new());
    rows.change_of(TWO.1, |own| own.push(Row::new(3, 3)));
    delivery(&gateway, &two.path, &[TWO], "delivered");
    assert_eq!(events(&receiver, 2).request.target, "/two");
}
