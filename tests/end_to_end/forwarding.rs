//! Tests of forwarded requests: methods and bodies, large transfers in constant memory, WebSockets, and event streams.

use std::io::{self, Write};

use crate::harness::{
    gateway::{Gateway, KEY},
    http,
    list::{Setup, serve, users},
    upstream::{After, Exchange, Gate, Upstream},
};

const FORWARD: Setup = Setup {
    upstream: "",
    route: "",
    more: "[routes.everything_else]\npath = \"/{*rest}\"\nupstream = \"legacy\"\naction = \"forward\"",
};

/// The size of the large transfers in bytes.
const LARGE: usize = 100 << 20;
/// The additional memory in bytes that a large transfer may take, compared with a small one.
const FLAT: u64 = 24 << 20;
/// The size of the pieces in which bodies are sent, in bytes.
const PIECE: usize = 64 << 10;

fn started(answer: impl Fn(&mut Exchange) -> io::Result<After> + Send + Sync + 'static) -> (Upstream, Gateway) {
    let upstream = Upstream::start(answer);
    let gateway = Gateway::start(&FORWARD.configuration(upstream.address));
    (upstream, gateway)
}

/// Returns the byte at index `at` of a body. The pattern repeats after 251 bytes, so no block whose size is a power of
/// two equals the next block.
fn pattern(at: usize) -> u8 {
    u8::try_from(at % 251).expect("below 251")
}

fn piece(from: usize, length: usize) -> Vec<u8> {
    (from..from + length).map(pattern).collect()
}

/// Requests with any method and body are forwarded byte for byte, and so are their answers.
///
/// Row: F63
#[test]
fn all_methods_and_bodies_are_forwarded_byte_for_byte() {
    let (upstream, gateway) = started(|exchange| {
        let mut told = exchange.request.method.clone().into_bytes();
        told.extend(exchange.body()?);
        exchange.reply("200 OK", &[("Content-Type", "application/octet-stream"), ("X-Echo", "yes")], &told)
    });
    let every_byte = (0..=u8::MAX).collect::<Vec<_>>();
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"] {
        for body in [&b""[..], &every_byte] {
            if method == "GET" && !body.is_empty() {
                continue;
            }
            let target = "/files/a%20b/c;d?x=%zz&y=1;2&cursor=abc&limit=0";
            let response = gateway.send(method, target, &[("X-Client", "kept")], body);
            assert_eq!(response.status, 200, "{method}: {response:?}");
            assert_eq!(response.body, [method.as_bytes(), body].concat(), "{method}");
            assert_eq!(response.header("x-echo"), Some("yes"));
            let request = upstream.requests().pop().expect("it was asked");
            assert_eq!(request.target, target, "{method}");
            assert_eq!(request.header("x-client"), Some("kept"), "{method}");
            assert_eq!(request.header("host"), Some("gateway.test"), "{method}");
        }
    }
    let head = gateway.send("HEAD", "/files/a", &[], b"");
    assert_eq!((head.status, head.header("content-length")), (200, Some("4")));
}

/// Some programs send JSON in a query as it is. Browsers encode these bytes, and servers take both.
#[test]
fn raw_quotes_in_a_query_reach_the_upstream() {
    let (upstream, gateway) = started(|exchange| exchange.reply("200 OK", &[], b"found"));
    let (raw, encoded) = (r#"/files?f={"a":"<b>"}&g=|^`"#, "/files?f={%22a%22:%22%3Cb%3E%22}&g=|^`");
    let mut connection = gateway.connect();
    for (body, rest) in [(&b""[..], ""), (b"{}", "Content-Length: 2\r\n")] {
        let method = if body.is_empty() { "GET" } else { "POST" };
        let head = format!("{method} {raw} HTTP/1.1\r\nHost: gateway.test\r\n{rest}\r\n");
        connection.send(&[head.as_bytes(), body].concat()).expect("it is sent");
        let answer = connection.response(method).expect("an answer");
        assert_eq!((answer.status, answer.text()), (200, "found"), "{answer:?}");
        assert_eq!(upstream.requests().pop().expect("it was asked").target, encoded);
    }
    let asked = upstream.count();
    for path in ["/a<b", "/a>b?c", "/a`b"] {
        assert_eq!(gateway.get(path).outcome(), "400 request_invalid", "{path}");
    }
    assert_eq!(upstream.count(), asked);
}

/// CGI-like servers read `_` in a header name as `-`. A client's header that they would confuse with a header of the
/// operator is therefore not forwarded.
#[test]
fn client_headers_that_resemble_headers_of_the_operator_are_not_forwarded() {
    let upstream = Upstream::start(serve(users(1)));
    let setup = Setup { upstream: "headers = { X-Api-Key = \"env:CURSORGATE_KEY_1\" }", ..FORWARD };
    let gateway = Gateway::start(&setup.configuration(upstream.address));
    for target in ["/users?limit=1", "/anything"] {
        let sent = [("X_Api_Key", "forged"), ("X-API-Key", "forged"), ("X_Other", "kept")];
        assert_eq!(gateway.send("GET", target, &sent, b"").status, 200, "{target}");
        let request = upstream.requests().pop().expect("it was asked");
        let keys = request.headers.iter().filter(|(name, _)| name.to_lowercase().replace('_', "-") == "x-api-key");
        assert_eq!(keys.map(|(_, value)| value.as_str()).collect::<Vec<_>>(), [KEY], "{target}: {request:?}");
        assert_eq!(request.header("x_other"), Some("kept"), "{target}");
    }
}

/// A client that names a header of routing or of the principal in `Connection` is refused, since the gateway would have
/// to remove that header.
///
/// Row: A16
#[test]
fn headers_of_routing_and_principal_cannot_be_nominated_on_any_path() {
    let (upstream, gateway) = started(serve(users(1)));
    for name in ["Host", "Authorization", "cookie", "X-Forwarded-For", "X_Forwarded_Host"] {
        let response = gateway.send("POST", "/anything", &[("Connection", &format!("keep-alive, {name}"))], b"x");
        assert_eq!(response.outcome(), "400 request_invalid", "{name}: {response:?}");
    }
    assert_eq!(upstream.count(), 0);
}

/// A connection to the upstream that is authenticated as a whole for one client is not used for other clients.
#[test]
fn connections_that_are_authenticated_themselves_are_not_shared() {
    let (_upstream, gateway) = started(|exchange| {
        let from = exchange.peer()?.to_string();
        exchange.reply("200 OK", &[], from.as_bytes())
    });
    let mut connection = gateway.connect();
    let mut from = |headers: &[(&str, &str)]| {
        let response = connection.request("GET", "/anything", headers, b"").expect("a response");
        assert_eq!(response.status, 200, "{response:?}");
        response.text().to_owned()
    };
    let shared = from(&[]);
    assert_eq!(from(&[]), shared, "connections are kept");
    let own = from(&[("Authorization", "NTLM TlR=")]);
    assert_ne!(own, shared);
    assert_eq!(from(&[]), shared);
    assert_ne!(from(&[("Authorization", "NTLM TlR=")]), own);
}

#[test]
fn statuses_and_headers_of_the_upstream_pass() {
    let (upstream, gateway) = started(serve(users(1)));
    for status in [
        "201 Created",
        "204 No Content",
        "301 Moved Permanently",
        "404 Not Found",
        "418 Teapot",
        "500 Oops",
        "503 Busy",
    ] {
        upstream.answer(move |exchange| {
            let headers = [("Location", "/elsewhere?page=2"), ("Link", "</x?page=2>; rel=\"next\""), ("ETag", "\"1\"")];
            if status.starts_with("204") {
                exchange.send(b"HTTP/1.1 204 No Content\r\nLocation: /elsewhere?page=2\r\nLink: </x?page=2>; rel=\"next\"\r\nETag: \"1\"\r\n\r\n")?;
                return Ok(After::KeepOpen);
            }
            exchange.reply(status, &headers, b"<html>not json</html>")
        });
        let response = gateway.get("/anything?page=1");
        assert_eq!(response.status.to_string(), status[..3]);
        assert_eq!(response.header("location"), Some("/elsewhere?page=2"), "{status}");
        assert_eq!(response.header("link"), Some("</x?page=2>; rel=\"next\""), "{status}");
        assert_eq!(response.header("etag"), Some("\"1\""), "{status}");
        if !status.starts_with("204") {
            assert_eq!(response.text(), "<html>not json</html>", "{status}");
        }
    }
}

#[test]
fn a_large_download_holds_memory_flat() {
    let (_upstream, gateway) = started(|exchange| {
        let length: usize = exchange.request.parameter("length").map_or(0, |text| text.parse().unwrap_or(0));
        exchange.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").as_bytes())?;
        let mut at = 0;
        while at < length {
            let part = PIECE.min(length - at);
            exchange.send(&piece(at, part))?;
            at += part;
        }
        Ok(After::KeepOpen)
    });
    let download = |length: usize| {
        let mut connection = gateway.connect();
        let request = format!("GET /large?length={length} HTTP/1.1\r\nHost: gateway.test\r\n\r\n");
        connection.send(request.as_bytes()).expect("it is sent");
        let (status, headers) = connection.head().expect("a head");
        assert_eq!(status, 200);
        let mut at = 0;
        let mut same = true;
        connection
            .body("GET", status, &headers, &mut |part| {
                same &= part.iter().enumerate().all(|(n, byte)| *byte == pattern(at + n));
                at += part.len();
            })
            .expect("the whole body");
        assert!(same && at == length, "{at} bytes of {length}, the same: {same}");
    };
    download(1 << 20);
    let before = gateway.peak_memory();
    download(LARGE);
    let grown = gateway.peak_memory().saturating_sub(before);
    assert!(grown < FLAT, "{LARGE} bytes through, and the memory grew by {grown}");
}

#[test]
fn a_large_upload_holds_memory_flat() {
    let (_upstream, gateway) = started(|exchange| {
        let length: usize = exchange.request.header("content-length").map_or(0, |text| text.parse().unwrap_or(0));
        let mut buffer = vec![0; PIECE];
        let (mut at, mut same) = (0, true);
        while at < length {
            let count = exchange.receive(&mut buffer)?;
            if count == 0 {
                return Ok(After::Close);
            }
            same &= buffer[..count].iter().enumerate().all(|(n, byte)| *byte == pattern(at + n));
            at += count;
        }
        exchange.reply("200 OK", &[], format!("{at} {same}").as_bytes())
    });
    let upload = |length: usize| {
        let mut connection = gateway.connect();
        let head = format!("PUT /large HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: {length}\r\n\r\n");
        connection.send(head.as_bytes()).expect("it is sent");
        let mut at = 0;
        while at < length {
            let part = PIECE.min(length - at);
            connection.send(&piece(at, part)).expect("it is sent");
            at += part;
        }
        let response = connection.response("PUT").expect("a response");
        assert_eq!(response.text(), format!("{length} true"));
    };
    upload(1 << 20);
    let before = gateway.peak_memory();
    upload(LARGE);
    let grown = gateway.peak_memory().saturating_sub(before);
    assert!(grown < FLAT, "{LARGE} bytes through, and the memory grew by {grown}");
}

#[test]
fn chunked_bodies_pass_in_both_directions() {
    let (_upstream, gateway) = started(|exchange| {
        let body = exchange.body()?;
        exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        for part in body.chunks(1_000) {
            exchange.send(format!("{:x}\r\n", part.len()).as_bytes())?;
            exchange.send(part)?;
            exchange.send(b"\r\n")?;
        }
        exchange.send(b"0\r\n\r\n")?;
        Ok(After::KeepOpen)
    });
    let mut connection = gateway.connect();
    let body = piece(0, 100_000);
    connection
        .send(b"POST /echo HTTP/1.1\r\nHost: gateway.test\r\nTransfer-Encoding: chunked\r\n\r\n")
        .expect("it is sent");
    for part in body.chunks(777) {
        connection.send(&[format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat()).expect("it is sent");
    }
    connection.send(b"0\r\n\r\n").expect("it is sent");
    let response = connection.response("POST").expect("a response");
    assert_eq!(response.status, 200);
    assert!(response.body == body, "{} bytes back", response.body.len());
}

/// Hop-by-hop headers and the framing of the upstream's answer are not passed on.
#[test]
fn hop_by_hop_headers_of_the_upstream_end_at_the_gateway() {
    let (_upstream, gateway) = started(|exchange| {
        exchange.send(
            b"HTTP/1.1 200 OK\r\nConnection: Upgrade, Keep-Alive, X-Hop\r\nUpgrade: h2,h2c\r\nKeep-Alive: timeout=5\r\n\
              X-Hop: 1\r\nX-End: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        )?;
        Ok(After::KeepOpen)
    });
    let response = gateway.get("/anything");
    assert_eq!((response.status, response.text(), response.header("x-end")), (200, "ok", Some("2")));
    for name in ["upgrade", "keep-alive", "x-hop"] {
        assert_eq!(response.header(name), None, "{response:?}");
    }
    let mut old = gateway.connect();
    old.send(b"GET /anything HTTP/1.0\r\nHost: gateway.test\r\n\r\n").expect("it is sent");
    let mut whole = Vec::new();
    io::Read::read_to_end(&mut old.stream(), &mut whole).expect("the end of the connection ends the body");
    let whole = String::from_utf8_lossy(&whole).to_ascii_lowercase();
    assert!(whole.ends_with("\r\n\r\nok") && !whole.contains("transfer-encoding"), "{whole}");
}

/// Each event is delivered at once: the upstream writes an event only after the client has received the previous one.
#[test]
fn server_sent_events_arrive_one_by_one() {
    let delivered = (0..5).map(|_| Gate::default()).collect::<Vec<_>>();
    let gates = delivered.clone();
    let (_upstream, gateway) = started(move |exchange| {
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        for (number, gate) in gates.iter().enumerate() {
            let event = format!("data: {number}\n\n");
            exchange.send(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes())?;
            gate.wait();
        }
        exchange.send(b"0\r\n\r\n")?;
        Ok(After::KeepOpen)
    });
    let mut connection = gateway.connect();
    connection
        .send(b"GET /events HTTP/1.1\r\nHost: gateway.test\r\nAccept: text/event-stream\r\n\r\n")
        .expect("it is sent");
    let (status, headers) = connection.head().expect("a head");
    assert_eq!(status, 200);
    assert_eq!(http::find(&headers, "content-type"), Some("text/event-stream"));
    let mut text = String::new();
    let mut next = 0;
    connection
        .body("GET", status, &headers, &mut |part| {
            text.push_str(&String::from_utf8_lossy(part));
            while text.contains(&format!("data: {next}\n\n")) {
                delivered[next].open();
                next += 1;
            }
        })
        .expect("the whole stream");
    assert_eq!(next, delivered.len(), "{text:?}");
}

/// The sample handshake of RFC 6455, section 1.3.
const HANDSHAKE: &str = "GET /socket HTTP/1.1\r\nHost: gateway.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
/// The server's `Sec-WebSocket-Accept` for the key of [`HANDSHAKE`].
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Encodes a text frame of at most 125 bytes (RFC 6455, section 5.2). Frames of clients are masked.
fn frame(text: &str, mask: Option<[u8; 4]>) -> Vec<u8> {
    let length = u8::try_from(text.len()).expect("a short frame");
    let mut frame = vec![0x81, length | if mask.is_some() { 0x80 } else { 0 }];
    frame.extend(mask.unwrap_or_default().iter().take(if mask.is_some() { 4 } else { 0 }));
    let mask = mask.unwrap_or_default();
    frame.extend(text.bytes().enumerate().map(|(at, byte)| byte ^ mask[at % 4]));
    frame
}

#[test]
fn a_websocket_echoes_through_the_gateway() {
    let (_upstream, gateway) = started(|exchange| {
        if exchange.request.header("sec-websocket-key") != Some("dGhlIHNhbXBsZSBub25jZQ==") {
            return exchange.reply("400 Bad Request", &[], b"no key");
        }
        exchange.send(
            format!("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {ACCEPT}\r\n\r\n")
                .as_bytes(),
        )?;
        loop {
            let head = exchange.receive_exactly(2)?;
            if head[0] != 0x81 {
                // A frame other than text is the client's last one, so the upstream closes the connection.
                return Ok(After::Close);
            }
            let mask = exchange.receive_exactly(4)?;
            let payload = exchange.receive_exactly(usize::from(head[1] & 0x7f))?;
            let text = payload.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]).collect::<Vec<_>>();
            exchange.send(&frame(&String::from_utf8_lossy(&text), None))?;
        }
    });
    let mut connection = gateway.connect();
    connection.send(HANDSHAKE.as_bytes()).expect("it is sent");
    let (status, headers) = connection.head().expect("a head");
    assert_eq!(status, 101, "{headers:?}");
    assert_eq!(http::find(&headers, "sec-websocket-accept"), Some(ACCEPT));
    for round in 0..50 {
        let text = format!("message {round}: zażółć 🦀");
        connection.send(&frame(&text, Some([7, round, 0xff, 0x80]))).expect("it is sent");
        let expected = frame(&text, None);
        assert_eq!(connection.receive(expected.len()).expect("the echo"), expected, "round {round}");
    }
    connection.send(&[0x88, 0x80, 0, 0, 0, 0]).expect("it is sent");
    assert!(connection.is_closed(), "the upstream's close reaches the client");
    let mut stream = connection.stream();
    let _ = stream.flush();
    assert_eq!(gateway.get("/socket").status, 400, "the gateway serves on");
}

/// If a client disconnects in the middle of a stream, the gateway closes the connection to the upstream.
#[test]
fn a_client_that_goes_away_ends_the_stream() {
    let ended = Gate::default();
    let gate = ended.clone();
    let (_upstream, gateway) = started(move |exchange| {
        exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        exchange.send(b"5\r\nhello\r\n")?;
        exchange.wait_for_close()?;
        gate.open();
        Ok(After::Close)
    });
    let mut connection = gateway.connect();
    connection.send(b"GET /stream HTTP/1.1\r\nHost: gateway.test\r\n\r\n").expect("it is sent");
    assert_eq!(connection.head().expect("a head").0, 200);
    drop(connection);
    ended.wait();
}
