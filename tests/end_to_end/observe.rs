//! Tests of routes that observe: answers pass byte for byte, and the verdicts on these answers are counted and logged.

use std::{
    io::Write as _,
    sync::{Arc, Condvar, Mutex, PoisonError},
};

use flate2::{Compression, write::GzEncoder};
use serde_json::Value;

use crate::harness::{
    eventually,
    gateway::{Gateway, command},
    http,
    list::{Setup, body, serve, users},
    upstream::{After, Upstream},
};

const ROUTE: Setup = Setup {
    upstream: "",
    route: "action = \"observe\"\nold_clients = \"pass\"\nlegacy = { sunset = 2027-01-01 }\n\
            budgets = { answer_size = \"64KiB\" }",
    more: "",
};

/// A gateway whose access log is read line by line. `lines` is the number of lines that were read.
struct Watched {
    gateway: Gateway,
    lines: usize,
}

impl Watched {
    fn start(configuration: &str) -> Self {
        Self { gateway: Gateway::start(configuration), lines: 0 }
    }

    fn next_line(&mut self) -> Value {
        self.lines += 1;
        let wanted = self.lines;
        eventually("its line", || self.gateway.access_log().get(wanted - 1).cloned())
    }

    /// Sends a GET, and returns `observed`, `unobserved` and `detail` of its line.
    fn seen(&mut self, target: &str) -> (Option<String>, Option<String>, Option<String>) {
        self.gateway.get(target);
        let line = self.next_line();
        let text = |name: &str| line[name].as_str().map(str::to_owned);
        (text("observed"), text("unobserved"), text("detail"))
    }

    fn verdict(&mut self, target: &str) -> String {
        let (observed, unobserved, _) = self.seen(target);
        assert!(observed.is_some() != unobserved.is_some(), "one of them: {observed:?} {unobserved:?}");
        observed.or(unobserved).unwrap_or_default()
    }

    fn count(&self, sample: &str) -> u64 {
        let metrics = self.gateway.metrics();
        let line = metrics.text().lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        line.map_or(0, |count| count.parse().expect("a count"))
    }
}

#[test]
fn answers_pass_byte_for_byte_and_their_verdicts_are_counted() {
    let upstream = Upstream::start(serve(users(60)));
    let mut watched = Watched::start(&ROUTE.configuration(upstream.address));
    for target in ["/users?offset=20&limit=10", "/users", "/users?offset=59&limit=10&q=x", "/users?offset=90"] {
        let (direct, through) = (http::get(upstream.address, target), watched.gateway.get(target));
        assert_eq!((through.status, &through.body), (direct.status, &direct.body), "{target}");
        for name in ["link", "deprecation", "sunset", "cursorgate-level"] {
            assert_eq!(through.header(name), None, "{target} {name}");
        }
        let line = watched.next_line();
        assert_eq!((line["observed"].as_str(), line["code"].as_str()), (Some("servable"), None), "{target}: {line}");
    }
    // A `cursor` that the gateway didn't make is the service's own, or a filter.
    assert_eq!(watched.verdict("/users?limit=10&cursor=abc"), "servable");
    watched.gateway.send("HEAD", "/users?offset=20", &[], b"");
    let line = watched.next_line();
    assert!(line["observed"].is_null() && line["unobserved"].is_null(), "{line}");
    watched.gateway.send("GET", "/users?offset=20", &[("Range", "bytes=0-9")], b"");
    assert_eq!(watched.next_line()["unobserved"], "request");

    assert_eq!(watched.count("cursorgate_observed_total{route=\"users\",verdict=\"servable\"}"), 5);
    assert_eq!(watched.count("cursorgate_unobserved_total{route=\"users\",reason=\"request\"}"), 1);
    assert_eq!(watched.count("cursorgate_requests_total{route=\"users\",outcome=\"forwarded\",status=\"2xx\"}"), 7);
}

#[test]
fn every_cause_is_logged_once_with_an_example_without_values() {
    const CANARY: &str = "c4n4ry";
    let upstream = Upstream::start(serve(users(60)));
    let mut watched = Watched::start(&ROUTE.configuration(upstream.address));
    let list = |items: &str| format!(r#"{{"total":2,"items":[{items}]}}"#);
    let deep = format!(r#"{{"total":1,"items":[{}1{}]}}"#, "[".repeat(200), "]".repeat(200));
    let cases: [(&str, String, &str, &str); 12] = [
        ("200 OK", format!("<html>{CANARY}"), "shape", "not valid JSON"),
        ("200 OK", format!(r#"{{"data":["{CANARY}"]}}"#), "shape", "no array at"),
        ("200 OK", r#"{"items":[{"id":1}]}"#.to_owned(), "facts", "response.total"),
        ("200 OK", list(&format!(r#"{{"id":1}},{{"name":"{CANARY}"}}"#)), "ids", "item 2 of 2 has no id"),
        ("200 OK", list(&format!(r#"{{"id":"{CANARY}"}},{{"id":"{CANARY}"}}"#)), "ids", "item 2 of 2 is repeated"),
        ("200 OK", list(&format!(r#"{{"id":"{CANARY}"}},{{"id":1}}"#)), "kinds", "can't be compared"),
        ("200 OK", list(r#"{"id":2},{"id":1}"#), "order", "item 2 of an answer comes before"),
        ("200 OK", list(r#"{"id":1},{"id":2},{"id":3},{"id":4}"#), "size", "4 items came where 3"),
        ("200 OK", deep, "too_large", "nested deeper"),
        ("200 OK", format!("{{\"items\":[\"{}\"]}}", "x".repeat(70_000)), "too_large", "budgets.answer_size"),
        ("404 Not Found", format!("{{\"e\":\"{CANARY}\"}}"), "status", "404"),
        ("503 Oops", CANARY.to_owned(), "status", "503"),
    ];
    for (status, body, verdict, detail) in cases {
        let sent = body.clone();
        upstream.answer(move |exchange| exchange.reply(status, &[], sent.as_bytes()));
        let through = watched.gateway.get("/users?offset=0&limit=3");
        assert_eq!(through.body, body.as_bytes(), "{verdict}: it passes all the same");
        let line = watched.next_line();
        assert_eq!(line["observed"], verdict, "{line}");
        assert!(line["detail"].as_str().is_some_and(|text| text.contains(detail)), "{detail}: {line}");
    }
    upstream.answer(|exchange| exchange.reply("304 Not Modified", &[], b""));
    assert_eq!(watched.verdict("/users?offset=0"), "unchanged");
    upstream.answer(serve(users(60)));
    assert_eq!(watched.verdict("/users?offset=x"), "parameters");
    assert_eq!(watched.verdict("/users?sort=name"), "sort");

    let log = watched.gateway.log();
    assert!(!log.join("\n").contains(CANARY), "{log:#?}");
    let examples = |cause: &str| {
        let lines = log.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["level"] == "WARN" && line["cause"] == cause).count()
    };
    for cause in ["shape", "facts", "ids", "kinds", "order", "size", "too_large", "status", "parameters"] {
        assert_eq!(examples(cause), 1, "one example of {cause}: {log:#?}");
    }
}

#[test]
fn encoded_answers_pass_as_they_are_and_are_decoded_for_reading_alone() {
    let upstream = Upstream::start(serve(users(60)));
    let mut watched = Watched::start(&ROUTE.configuration(upstream.address));
    upstream.answer(|exchange| {
        let body = body(exchange, &users(60));
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(body.as_bytes())?;
        exchange.reply("200 OK", &[("Content-Encoding", "gzip")], &encoder.finish()?)
    });
    let (direct, through) = (http::get(upstream.address, "/users"), watched.gateway.get("/users"));
    assert_eq!(through.body, direct.body);
    assert_eq!(through.header("content-encoding"), Some("gzip"));
    assert_eq!(watched.next_line()["observed"], "servable");
    // The body is small, but decompresses to more bytes than the gateway reads.
    upstream.answer(|exchange| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&vec![b' '; 1 << 20])?;
        exchange.reply("200 OK", &[("Content-Encoding", "gzip")], &encoder.finish()?)
    });
    assert_eq!(watched.verdict("/users"), "too_large");
    upstream.answer(|exchange| exchange.reply("200 OK", &[("Content-Encoding", "br")], b"\x0b\x02\x80[]\x03"));
    assert_eq!(watched.verdict("/users"), "encoding");
    upstream.answer(|exchange| exchange.reply("200 OK", &[("Content-Encoding", "gzip")], b"no gzip"));
    assert_eq!(watched.verdict("/users"), "encoding");
}

/// An answer is checked only against the order that its request names. If the route doesn't know the order of a
/// request, the order isn't checked.
#[test]
fn observed_answers_are_checked_against_the_requested_order() {
    let upstream = Upstream::start(serve(users(60)));
    let route = "action = \"observe\"\nsortable = [\"id\"]";
    let mut watched = Watched::start(&Setup { route, ..ROUTE }.configuration(upstream.address));
    assert_eq!(watched.verdict("/users?offset=0&limit=5&sort=-id"), "servable");
    upstream.answer(|exchange| exchange.reply("200 OK", &[], br#"{"total":2,"items":[{"id":2},{"id":1}]}"#));
    assert_eq!(watched.verdict("/users?offset=0&limit=5&sort=-id"), "servable");
    assert_eq!(watched.verdict("/users?offset=0&limit=5&sort=id"), "order");
    assert_eq!(watched.verdict("/users?offset=0&limit=5"), "servable");
}

/// While as many answers are kept as the bound allows, another answer passes unread.
#[test]
fn observed_answers_beyond_the_bound_are_passed_on_unread() {
    const KEPT: usize = 16;
    let upstream = Upstream::start(serve(users(60)));
    let mut watched = Watched::start(&ROUTE.configuration(upstream.address));
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let opened = Arc::clone(&gate);
    upstream.answer(move |exchange| {
        exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{\"t\r\n")?;
        let (is_open, changed) = &*opened;
        let closed = is_open.lock().unwrap_or_else(PoisonError::into_inner);
        let _open = changed.wait_while(closed, |is_open| !*is_open);
        exchange.send(b"1b\r\notal\":1,\"items\":[{\"id\":7}]}\r\n0\r\n\r\n")?;
        Ok(After::KeepOpen)
    });
    let mut waiting: Vec<http::Connection> = (0..KEPT).map(|_| watched.gateway.connect()).collect();
    for client in &mut waiting {
        client.send(b"GET /users HTTP/1.1\r\nHost: people\r\n\r\n").expect("it is connected");
        client.head().expect("the head, and with it a place among those kept");
    }
    upstream.answer(serve(users(60)));
    assert_eq!(watched.verdict("/users?offset=0"), "busy");
    *gate.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
    gate.1.notify_all();
    for _ in 0..KEPT {
        assert_eq!(watched.next_line()["observed"], "servable");
    }
    assert_eq!(watched.verdict("/users?offset=0"), "servable");
}

/// The client gets the first part of an answer while the upstream still writes the second part. An incomplete answer
/// gets no verdict.
#[test]
fn observed_answers_are_streamed_to_the_client() {
    let upstream = Upstream::start(serve(users(60)));
    let mut watched = Watched::start(&ROUTE.configuration(upstream.address));
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    upstream.answer(move |exchange| {
        exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nf\r\n{\"total\":1,\"ite\r\n")?;
        // The upstream waits until the client has the first part.
        let _ = wait.lock().map(|wait| wait.recv());
        exchange.send(b"10\r\nms\":[{\"id\":7}]}\n\r\n0\r\n\r\n")?;
        Ok(After::KeepOpen)
    });
    let mut client = watched.gateway.connect();
    client.send(b"GET /users HTTP/1.1\r\nHost: people\r\n\r\n").expect("it is connected");
    let (status, _) = client.head().expect("the head");
    let first = client.receive(20).expect("the first part");
    assert_eq!((status, first.as_slice()), (200, &b"F\r\n{\"total\":1,\"ite\r\n"[..]));
    go.send(()).expect("the upstream waits");
    assert_eq!(watched.next_line()["observed"], "servable");

    upstream.answer(|exchange| {
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"total\":1,\"ite")?;
        Ok(After::Close)
    });
    let mut client = watched.gateway.connect();
    client.send(b"GET /users HTTP/1.1\r\nHost: people\r\n\r\n").expect("it is connected");
    assert!(client.response("GET").is_err(), "it breaks off for the client too");
    let line = watched.next_line();
    assert_eq!((line["observed"].as_str(), line["unobserved"].as_str()), (None, Some("cut")), "{line}");
}

#[test]
fn a_sample_of_answers_is_read_and_check_describes_it() {
    let upstream = Upstream::start(serve(users(60)));
    let setup = Setup { route: "action = \"observe\"\nobserve = { every = 3 }", ..ROUTE };
    let mut watched = Watched::start(&setup.configuration(upstream.address));
    let verdicts: Vec<String> = (0..7).map(|_| watched.verdict("/users?offset=0&limit=5")).collect();
    assert_eq!(verdicts, ["servable", "sample", "sample", "servable", "sample", "sample", "servable"]);

    let directory = crate::harness::Directory::new();
    let file = directory.file("cursorgate.toml");
    std::fs::write(&file, watched.gateway.configuration()).expect("a file in the test's directory");
    let output = command().arg("check").arg("--config").arg(&file).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("observes     every request passes through; one of 3 answers to old clients is read"),
        "{text}"
    );
    assert!(text.contains("exact: no item is skipped or repeated"), "{text}");
}

/// A route that observes has no pages. The service would ignore the cursor, and give its first page, so the request is
/// refused. All other requests pass, whatever parameters they have.
#[test]
fn a_route_that_observes_refuses_marked_requests() {
    let upstream = Upstream::start(serve(users(30)));
    let gateway = Gateway::start(&ROUTE.configuration(upstream.address));
    for query in ["cursor=start", "limit=3&cursor=~abc"] {
        let refused = gateway.get(&format!("/users?{query}"));
        assert_eq!(refused.outcome(), "503 not_paged", "{refused:?}");
        assert_eq!(refused.header("retry-after"), Some("60"), "{refused:?}");
    }
    assert_eq!(upstream.count(), 0);
    for query in ["", "limit=3", "cursor=abc", "offset=3&after=x"] {
        assert_eq!(gateway.get(&format!("/users?{query}")).status, 200, "{query}");
    }
    assert_eq!(gateway.send("POST", "/users?cursor=start", &[], b"").status, 200, "only reading has pages");
}

/// A name marks requests only once the route serves pages: until then, every client that sends it is an old one.
#[test]
fn a_name_that_old_clients_send_too_is_reported_and_passes() {
    let upstream = Upstream::start(serve(users(30)));
    let by = format!("{}\nnew_clients = {{ by = [\"count\"] }}", ROUTE.route);
    let by: &'static str = Box::leak(by.into_boxed_str());
    let gateway = Gateway::start(&Setup { route: by, ..ROUTE }.configuration(upstream.address));
    for _ in 0..2 {
        let passed = gateway.get("/users?count=5");
        assert_eq!((passed.status, passed.header("cursorgate-level")), (200, None), "{passed:?}");
    }
    assert_eq!(gateway.get("/users?count=5&cursor=start").outcome(), "503 not_paged", "a value is a mark");
    let found = eventually("the name is reported", || {
        let migration = http::get(gateway.admin, "/migration").json();
        let findings = migration["routes"][0]["findings"].as_array().cloned().unwrap_or_default();
        findings.into_iter().find(|found| found["kind"] == "marked_by_name")
    });
    assert_eq!(found["count"], 2, "{found}");
    assert!(found.to_string().contains("`count`") && found.to_string().contains("new_clients.by"), "{found}");
}
