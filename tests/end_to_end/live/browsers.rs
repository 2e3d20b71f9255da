//! Tests of live pages as browsers request them: several streams on a connection of HTTP/2, and scripts of other
//! origins.

use std::collections::HashMap;

use super::{ONE, configured, get, metric, start, stream::LiveStream, subscribers};
use crate::harness::{
    PATIENCE, eventually,
    gateway::Gateway,
    http::{self, Response},
    http2::{Connection, DATA, END_STREAM, HEADERS, RST_STREAM, frame},
    now,
    rows::Row,
};

/// The first byte of a block of fields for the status 200 (RFC 7541, appendix A: index 8).
const OK: u8 = 0x88;

/// The error code CANCEL of HTTP/2, for the reset of a stream that is no longer needed.
const CANCEL: u32 = 0x8;

const APP: &str = "https://app.example.com";

/// An HTTP/2 client with several streams.
struct Browser {
    connection: Connection,
    /// The text of each stream so far.
    texts: HashMap<u32, String>,
    ended: Vec<u32>,
}

impl Browser {
    /// Reads frames until the data of a stream contain a text.
    fn wait_for(&mut self, stream: u32, text: &str) {
        let deadline = now() + PATIENCE;
        while !self.texts.get(&stream).is_some_and(|known| known.contains(text)) {
            assert!(now() < deadline, "stream {stream} has no {text:?}: {:?}", self.texts);
            self.read();
        }
    }

    fn read(&mut self) {
        let frame = self.connection.read().expect("a frame");
        match frame.kind {
            HEADERS => assert_eq!(frame.payload[0], OK, "stream {}", frame.stream),
            DATA => self.texts.entry(frame.stream).or_default().push_str(&String::from_utf8_lossy(&frame.payload)),
            RST_STREAM => panic!("{frame:?}"),
            _ => {}
        }
        if matches!(frame.kind, HEADERS | DATA) && frame.flags & END_STREAM != 0 {
            self.ended.push(frame.stream);
        }
    }
}

#[test]
fn streams_share_a_connection_of_http2() {
    let (_upstream, rows, mut gateway) = start("");
    let connection = Connection::open(gateway.public).expect("the gateway listens");
    let mut browser = Browser { connection, texts: HashMap::new(), ended: Vec::new() };
    for (stream, target) in [(1, "/users/live?limit=5"), (3, "/users/live?limit=5"), (5, "/users/live?limit=3")] {
        browser.connection.get(stream, target).expect("it reads");
        browser.wait_for(stream, "event: paginatedData");
    }
    assert_eq!(metric(&gateway, "cursorgate_live_pages"), 2);
    rows.change(|rows| rows.push(Row::new(100, 1_000)));
    for stream in [1, 3, 5] {
        browser.wait_for(stream, "row 100");
    }
    // Other requests of the connection are served at the same time.
    browser.connection.get(7, "/users?limit=5").expect("it reads");
    browser.wait_for(7, "\"row 100\"");
    let cancel = frame(RST_STREAM, 0, 1, &CANCEL.to_be_bytes());
    browser.connection.send(&cancel).expect("it reads");
    eventually("the end of a subscription", || (subscribers(&gateway) == 2).then_some(()));
    rows.change(|rows| rows.push(Row::new(101, 1_010)));
    for stream in [3, 5] {
        browser.wait_for(stream, "row 101");
    }
    gateway.signal("TERM");
    for stream in [3, 5] {
        browser.wait_for(stream, "event: closing");
    }
    while !(browser.ended.contains(&3) && browser.ended.contains(&5)) {
        browser.read();
    }
    assert!(gateway.ended().success());
}

/// A preflight and a live page have the CORS headers of the route for an allowed origin.
///
/// Row: A25
#[test]
fn a_script_of_an_allowed_origin_follows_a_live_page() {
    let (upstream, rows, without) = start("");
    rows.change_of(ONE.1, |own| own.push(Row::new(1, 1)));
    let policy = format!("path = \"/users\"\ncors = {{ origins = [{APP:?}], credentials = true }}");
    let text = configured(&upstream, "per_client = 1").replacen("path = \"/users\"", &policy, 1);
    let gateway = Gateway::start(&text);
    let asked = [
        ("Origin", APP),
        ("Access-Control-Request-Method", "GET"),
        ("Access-Control-Request-Headers", "authorization,cache-control,last-event-id"),
    ];
    let preflight = gateway.send("OPTIONS", "/users/live?limit=5", &asked, b"");
    let allowed = |answer: &Response| answer.header("access-control-allow-origin").map(str::to_owned);
    assert_eq!((preflight.status, allowed(&preflight).as_deref()), (204, Some(APP)), "{preflight:?}");
    let headers = preflight.header("access-control-allow-headers").unwrap_or_default();
    assert_eq!(headers, "authorization, cache-control, last-event-id");
    assert_eq!(preflight.header("access-control-allow-credentials"), Some("true"));

    let mut stream = LiveStream::open(&gateway, "/users/live?limit=5", &[("Origin", APP), ONE]);
    let told = |name| http::find(&stream.headers, name);
    assert_eq!(told("access-control-allow-origin"), Some(APP));
    assert_eq!(told("access-control-allow-credentials"), Some("true"));
    assert!(told("vary").is_some_and(|names| names.contains("Origin")), "{:?}", stream.headers);
    stream.follow();
    assert_eq!(stream.page, get(&gateway, "/users?limit=5", &[ONE]));
    // Scripts can also read refusals, with the reason.
    let refused = |gateway: &Gateway, origin| {
        let headers = [("Origin", origin), ONE];
        *LiveStream::try_open(gateway, "/users/live?limit=5", &headers).err().expect("a refusal")
    };
    let limit = refused(&gateway, APP);
    assert_eq!((limit.outcome().as_str(), allowed(&limit).as_deref()), ("429 live_limit", Some(APP)));
    drop(stream);
    eventually("its place is free", || (subscribers(&gateway) == 0).then_some(()));
    // Requests of other origins are also answered, but without CORS headers, so browsers keep the answers from scripts.
    for (gateway, origin) in [(&gateway, "https://evil.example"), (&without, APP)] {
        let stream = LiveStream::open(gateway, "/users/live?limit=5", &[("Origin", origin), ONE]);
        assert_eq!(http::find(&stream.headers, "access-control-allow-origin"), None, "{origin}");
        let preflight = gateway.send("OPTIONS", "/users/live", &[("Origin", origin), asked[1]], b"");
        assert_eq!(allowed(&preflight), None, "{origin}: {preflight:?}");
    }
}
