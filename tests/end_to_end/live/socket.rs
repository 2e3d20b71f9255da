//! Tests of live pages over WebSockets.

use std::net::TcpStream;

use serde_json::{Value, json};
use tungstenite::{Message, WebSocket, protocol::Role};

use super::{ONE, configured, failing, get, start, stream::LiveStream, subscribers, table};
use crate::harness::{
    eventually,
    gateway::Gateway,
    http,
    list::{PLAIN, Setup},
};

/// The sample key of RFC 6455, section 1.3, and the answer to it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A client with a WebSocket, and its current page.
struct SocketClient {
    socket: WebSocket<TcpStream>,
    pings: usize,
    page: Value,
    id: Value,
}

impl SocketClient {
    fn open(gateway: &Gateway, target: &str, headers: &[(&str, &str)]) -> Self {
        Self::try_open(gateway, target, headers).unwrap_or_else(|refused| panic!("{refused:?}"))
    }

    fn try_open(gateway: &Gateway, target: &str, headers: &[(&str, &str)]) -> Result<Self, Box<http::Response>> {
        let mut connection = gateway.connect();
        let mut message = format!(
            "GET {target} HTTP/1.1\r\nHost: gateway.test\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
             Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n"
        );
        for (name, value) in headers {
            message.push_str(&format!("{name}: {value}\r\n"));
        }
        connection.send(format!("{message}\r\n").as_bytes()).expect("the gateway listens");
        let (status, headers) = connection.head().expect("a head");
        if status != 101 {
            let mut body = Vec::new();
            let read = connection.body("GET", status, &headers, &mut |part| body.extend_from_slice(part));
            read.expect("a body");
            return Err(Box::new(http::Response { status, headers, body }));
        }
        assert_eq!(http::find(&headers, "sec-websocket-accept"), Some(ACCEPT));
        assert_eq!(http::find(&headers, "sec-websocket-extensions"), None);
        // The gateway sends no message before the client's first one.
        let stream = connection.stream().try_clone().expect("a socket");
        let socket = WebSocket::from_raw_socket(stream, Role::Client, None);
        Ok(Self { socket, pings: 0, page: Value::Null, id: Value::Null })
    }

    fn send(&mut self, message: &Value) {
        self.socket.send(Message::text(message.to_string())).expect("it is sent");
    }

    /// Returns the next message, or the code and the reason with which the gateway closes the WebSocket.
    fn next(&mut self) -> Result<Value, (u16, String)> {
        loop {
            match self.socket.read().expect("a message") {
                Message::Text(text) => return Ok(serde_json::from_str(&text).expect("JSON")),
                Message::Ping(_) => self.pings += 1,
                Message::Pong(_) => {}
                Message::Close(frame) => {
                    let frame = frame.expect("a reason");
                    return Err((frame.code.into(), frame.reason.to_string()));
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// Reads the next page or patch and applies it. Returns its type.
    fn follow(&mut self) -> String {
        let message = self.next().expect("a message");
        let kind = message["type"].as_str().expect("a type").to_owned();
        match kind.as_str() {
            "paginatedData" => self.page = message["page"].clone(),
            "patch" => {
                assert_eq!(message["from"], self.id, "{message}");
                let patch: json_patch::Patch = serde_json::from_value(message["patch"].clone()).expect("a patch");
                json_patch::patch(&mut self.page, &patch).unwrap_or_else(|fault| panic!("{fault}: {message}"));
            }
            _ => panic!("{message}"),
        }
        self.id = message["id"].clone();
        kind
    }

    fn error(&mut self) -> (Value, Value, Value) {
        let message = self.next().expect("an error");
        assert_eq!(message["type"], "error", "{message}");
        (message["status"].clone(), message["code"].clone(), message["final"].clone())
    }
}

#[test]
fn a_web_socket_client_chooses_the_page_to_watch() {
    let (_upstream, rows, gateway) = start("heartbeat = \"1s\"");
    let mut client = SocketClient::open(&gateway, "/users/live?limit=5", &[]);
    client.send(&json!({ "type": "watchCollection" }));
    assert_eq!(client.follow(), "paginatedData");
    assert_eq!(client.page, get(&gateway, "/users?limit=5", &[]));
    rows.change(|rows| rows[39].note.push('!'));
    assert_eq!(client.follow(), "patch");
    assert_eq!(client.page, get(&gateway, "/users?limit=5", &[]));

    let next = client.page["pagination"]["nextCursor"].clone();
    client.send(&json!({ "type": "updateCursor", "cursor": next }));
    assert_eq!(client.follow(), "paginatedData");
    let target = format!("/users?limit=5&cursor={}", next.as_str().expect("a cursor"));
    assert_eq!(client.page, get(&gateway, &target, &[]));
    client.send(&json!({ "type": "watchCollection", "path": "/users", "collection": "users", "limit": 3, "sort": "id",
        "filters": { "score__gte": "100" } }));
    client.follow();
    assert_eq!(client.page, get(&gateway, "/users?limit=3&sort=id&score__gte=100", &[]));

    // A message that can't be read leaves the page as it is.
    for (message, code) in [
        (json!({ "type": "other" }), "body_invalid"),
        (json!({ "type": "watchCollection", "path": "/orders" }), "body_invalid"),
        (json!({ "type": "watchCollection", "collection": "orders" }), "body_invalid"),
        (json!({ "type": "watchCollection", "limit": 3, "filters": { "limit": "50" } }), "body_invalid"),
        (json!({ "type": "watchCollection", "filters": { "cursor": "x" } }), "body_invalid"),
        (json!({ "type": "watchCollection", "sort": "id", "filters": { "sort": "-id" } }), "body_invalid"),
    ] {
        client.send(&message);
        assert_eq!(client.error(), (json!(400), json!(code), json!(false)), "{message}");
    }
    rows.change(|rows| rows[9].note.push('!'));
    assert_eq!(client.follow(), "patch");
    // After a request for a page that fails, the client has no page.
    client.send(&json!({ "type": "updateCursor", "cursor": "x" }));
    assert_eq!(client.error(), (json!(400), json!("cursor_invalid"), json!(true)));
    let id = {
        client.send(&json!({ "type": "updateCursor", "cursor": null }));
        client.follow();
        client.id.clone()
    };
    // As long as a page is polled, a client that already has it gets only its changes.
    let mut keeper = LiveStream::open(&gateway, "/users/live?limit=3&sort=id&score__gte=100", &[]);
    keeper.follow();
    client.send(&json!({ "type": "watchCollection", "limit": 3, "sort": "id", "filters": { "score__gte": "100" },
        "lastEventId": id }));
    rows.change(|rows| rows[10].note.push('!'));
    assert_eq!((client.follow(), keeper.follow().name), ("patch".to_owned(), "patch".to_owned()));
    assert_eq!(client.page, get(&gateway, "/users?limit=3&sort=id&score__gte=100", &[]));
    drop(keeper);
    // Pings are sent in addition to messages. The library answers them, and the test waits until it has counted three
    // more.
    let until = client.pings + 3;
    while client.pings < until {
        rows.change(|rows| rows[9].note.push('!'));
        client.follow();
    }
    client.socket.close(None).expect("it is sent");
    drop(client);
    eventually("the end of the subscription", || (subscribers(&gateway) == 0).then_some(()));
    let log = gateway.access_log();
    let line = log.iter().find(|line| line["path"] == "/users/live" && line["status"] == 101).expect("its line");
    assert_eq!((&line["status"], &line["code"]), (&json!(101), &Value::Null));
    assert!(line["detail"].as_str().is_some_and(|detail| detail.ends_with("ended by client")), "{line}");
}

#[test]
fn a_web_socket_ends_with_the_process() {
    let (_upstream, _rows, mut gateway) = start("");
    let mut client = SocketClient::open(&gateway, "/users/live", &[]);
    client.send(&json!({ "type": "watchCollection" }));
    client.follow();
    // A client that does not answer does not delay the end of the process.
    let _silent = SocketClient::open(&gateway, "/users/live", &[]);
    gateway.signal("TERM");
    let last = client.next().expect("a last message");
    assert_eq!((&last["type"], &last["reason"]), (&json!("closing"), &json!("stopping")));
    assert!(last["retryAfter"].as_u64().is_some_and(|time| (1_000..=5_000).contains(&time)), "{last}");
    assert_eq!(client.next(), Err((1012, "stopping".to_owned())));
    assert!(gateway.ended().success());
}

/// A WebSocket from another origin is refused unless the CORS policy of the route allows the origin. Credentials of the
/// browser are then left out.
///
/// Row: A25
#[test]
fn a_script_of_another_origin_needs_the_policy_of_the_route() {
    let (upstream, _rows, own) = start("");
    let open = |gateway: &Gateway, origin: &str, path: &str| {
        let headers = [("Origin", origin), ("Cookie", "session=one"), ONE];
        SocketClient::try_open(gateway, path, &headers).map_err(|refused| refused.outcome())
    };
    assert!(open(&own, "http://gateway.test", "/users/live").is_ok());
    let refused = |opened: Result<SocketClient, String>| opened.err();
    for origin in ["https://evil.example", "null", "http://gateway.test.evil.example"] {
        assert_eq!(refused(open(&own, origin, "/users/live")), Some("403 origin_refused".to_owned()), "{origin}");
    }
    let text = configured(&upstream, "");
    let shared =
        Gateway::start(&text.replacen("path = \"/users\"", "path = \"/users\"\ncors = { origins = [\"*\"] }", 1));
    let mut client = open(&shared, "https://app.example", "/users/live").expect("any origin");
    let before = upstream.count();
    client.send(&json!({ "type": "watchCollection" }));
    client.follow();
    for request in &upstream.requests()[before..] {
        let sent = (request.header("cookie"), request.header("authorization"));
        assert_eq!(sent, (None, None), "without the credentials that a browser sends by itself");
    }
}

#[test]
fn violations_of_the_protocol_and_refused_credentials_end_a_socket() {
    let (upstream, status) = failing();
    let setup = Setup { upstream: "retries = { most = 0 }", ..PLAIN };
    let gateway = Gateway::start(&format!("{}{}", setup.configuration(upstream.address), table("")));
    let open = || SocketClient::open(&gateway, "/users/live", &[ONE]);
    let mut client = open();
    client.socket.send(Message::text("x".repeat(20 << 10))).expect("it is sent");
    assert_eq!(client.next(), Err((1009, "a message is too large".to_owned())));
    let mut client = open();
    client.socket.send(Message::binary(vec![1])).expect("it is sent");
    assert_eq!(client.next(), Err((1003, "a message is not text".to_owned())));
    // Refused credentials end the connection.
    let mut client = open();
    client.send(&json!({ "type": "watchCollection" }));
    client.follow();
    *status.lock().expect("the status") = Some("403 Forbidden");
    assert_eq!(client.error(), (json!(403), json!("credentials_refused"), json!(true)));
    assert_eq!(client.next(), Err((1008, "the credentials are refused".to_owned())));
    let wrong = gateway.send(
        "GET",
        "/users/live",
        &[("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "8")],
        b"",
    );
    assert_eq!(wrong.outcome(), "400 request_invalid");
    drop(client);
    eventually("the end of all subscriptions", || (subscribers(&gateway) == 0).then_some(()));
}

#[test]
fn frames_without_a_message_end_a_socket() {
    let (upstream, _) = failing();
    let gateway = Gateway::start(&format!("{}{}", PLAIN.configuration(upstream.address), table("heartbeat = \"60s\"")));
    let mut client = SocketClient::open(&gateway, "/users/live", &[ONE]);
    // Pings that fill less than the allowance do no harm.
    for _ in 0..100 {
        client.socket.send(Message::Ping(vec![0; 100].into())).expect("it is sent");
    }
    client.send(&json!({ "type": "watchCollection" }));
    client.follow();
    let mut flooded = SocketClient::open(&gateway, "/users/live", &[ONE]);
    for _ in 0..2_000 {
        // The gateway may have closed the connection meanwhile.
        if flooded.socket.send(Message::Ping(vec![0; 100].into())).is_err() {
            break;
        }
    }
    eventually("the end of the flood", || (subscribers(&gateway) == 1).then_some(()));
}
