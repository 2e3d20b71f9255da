//! Tests of the framing and the content coding of answers: unrequested and broken ones.

use std::{
    io::{Read as _, Write as _},
    sync::{Arc, Mutex},
};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};

use crate::{
    harness::{
        list::{PLAIN, Setup, body, users},
        upstream::After,
    },
    recovery::{Expected, Kind, Passed, Rig, SHORT, as_a_page, everywhere, refused},
};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory takes all")
}

/// A page with an unrequested coding is decoded, while a forwarded answer keeps the upstream's coding.
///
/// Row: F18
#[test]
fn unsolicited_gzip_is_decoded() {
    let rig = Rig::start();
    for coding in ["gzip", "x-gzip", "GZIP"] {
        let items = users(60);
        rig.upstream.answer(move |exchange| {
            let body = gzip(body(exchange, &items).as_bytes());
            exchange.reply("200 OK", &[("Content-Encoding", coding)], &body)
        });
        let page = rig.ask(Kind::List).expect("a page");
        assert_eq!((page.outcome().as_str(), page.header("content-encoding")), ("200", None), "{coding}: {page:?}");
        assert_eq!(page.json()["data"][4]["id"], 5, "{coding}");
        for kind in Kind::PASSING {
            let passed = rig.ask(kind).expect("an answer");
            assert_eq!(passed.header("content-encoding"), Some(coding), "{kind:?}: {passed:?}");
            let mut plain = String::new();
            GzDecoder::new(&passed.body[..]).read_to_string(&mut plain).expect("the body as it came");
            assert!(plain.starts_with(r#"{"total":60,"items":[{"id":1,"#), "{kind:?}, {coding}: {plain}");
        }
        rig.recovers();
    }
}

/// Bodies with a broken or an unknown content coding are refused as malformed.
///
/// Row: F18
#[test]
fn broken_and_unknown_codings_are_malformed() {
    let good = gzip(br#"{"total":0,"items":[]}"#);
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0xff;
    let cut = good[..good.len() - 3].to_vec();
    let twice = gzip(&good);
    let behind = [&good[..], b"garbage"].concat();
    let rig = Rig::start();
    for (coding, bytes) in [
        ("gzip", flipped),
        ("gzip", cut),
        ("gzip", b"not gzip at all".to_vec()),
        ("gzip", Vec::new()),
        ("gzip, gzip", twice.clone()),
        ("gzip", twice),
        ("gzip", behind),
        ("br", b"{}".to_vec()),
        ("zstd", b"{}".to_vec()),
        ("nonsense", br#"{"total":0,"items":[]}"#.to_vec()),
    ] {
        rig.refuses(as_a_page("502 upstream_malformed"), move |exchange| {
            exchange.reply("200 OK", &[("Content-Encoding", coding)], &bytes)
        });
    }
}

/// The status takes precedence over the coding. The body of a failure or a redirect is not read, and a refusal that
/// can't be decoded passes with its coding.
#[test]
fn the_status_takes_precedence_over_the_coding() {
    for (status, outcome) in [("503 Busy", "503 upstream_unavailable"), ("302 Found", "502 upstream_redirected")] {
        refused(&PLAIN, as_a_page(outcome), move |exchange| {
            exchange.reply(status, &[("Content-Encoding", "br")], b"SECRET")
        });
    }
    let rig = Rig::start();
    let whole = gzip(b"no such tenant");
    let cut = whole[..whole.len() - 3].to_vec();
    for (sent, coding, body, passed) in [
        (whole, "gzip", b"no such tenant".to_vec(), None),
        (cut.clone(), "gzip", cut, Some("gzip")),
        (b"br".to_vec(), "br", b"br".to_vec(), Some("br")),
        (Vec::new(), "gzip", Vec::new(), None),
    ] {
        let response =
            rig.page_during(move |exchange| exchange.reply("404 Not Found", &[("Content-Encoding", coding)], &sent));
        assert_eq!((response.status, &response.body), (404, &body), "{coding}: {response:?}");
        assert_eq!(response.header("content-encoding"), passed, "{response:?}");
    }
    rig.recovers();
}

/// The decoding of a gzip body stops at the size limit of the route.
///
/// Row: A32
#[test]
fn a_decompression_bomb_is_too_large_and_takes_no_memory() {
    let bomb = gzip(&vec![b' '; 64 << 20]);
    let setup = Setup { upstream: "", route: "budgets = { answer_size = \"1MiB\" }", more: "" };
    let rig = Rig::with(&setup);
    rig.recovers();
    let before = rig.gateway.peak_memory();
    let response = rig.page_during(move |exchange| exchange.reply("200 OK", &[("Content-Encoding", "gzip")], &bomb));
    assert_eq!(response.outcome(), "502 upstream_too_large", "{response:?}");
    let grown = rig.gateway.peak_memory().saturating_sub(before);
    assert!(grown < 16 << 20, "the memory grew by {grown}");
    rig.recovers();
}

/// Answers with an invalid, an ambiguous or a too large head are refused.
///
/// Row: F17
#[test]
fn heads_that_are_not_http_are_refused() {
    let large =
        |size: usize| format!("HTTP/1.1 200 OK\r\nX-Large: {}\r\nContent-Length: 2\r\n\r\n{{}}", "x".repeat(size));
    let many = format!("HTTP/1.1 200 OK\r\n{}Content-Length: 2\r\n\r\n{{}}", "X: SECRET\r\n".repeat(101));
    let rig = Rig::start();
    for head in [
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/1.1\r\n\r\n",
        "HTTP/1.1 abc OK\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}1",
        "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nno colon here\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nX: SECRET\r\n folded\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "\0\0\0\0\0\0\0\0\0\0\0\0\r\n\r\n",
        &many,
        &large(70_000),
        &large(2 << 20),
    ] {
        // The beginning of the head is printed if the test fails.
        println!("{:?}", head.chars().take(60).collect::<String>());
        let bytes = head.as_bytes().to_vec();
        rig.refuses(everywhere("502 upstream_malformed"), move |exchange| {
            exchange.send(&bytes).map(|()| After::KeepOpen)
        });
    }
}

/// A connection is not reused after an ambiguous answer, because its state is unknown.
///
/// Row: F17
#[test]
fn a_connection_whose_answer_has_two_ends_is_not_reused() {
    let rig = Rig::start();
    let ports = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&ports);
    rig.upstream.answer(move |exchange| {
        seen.lock().expect("no test panicked").push(exchange.peer()?.port());
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
        exchange.send(head).map(|()| After::KeepOpen)
    });
    for kind in Kind::ALL.repeat(3) {
        let response = rig.ask(kind).expect("a response");
        assert_eq!(response.outcome(), "502 upstream_malformed", "{kind:?}: {response:?}");
    }
    let mut ports = ports.lock().expect("no test panicked").clone();
    let asked = ports.len();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!((asked, ports.len()), (12, 12), "each request on a connection of its own");
    rig.recovers();
}

/// Equal content lengths count as one (RFC 9110, section 8.6), also for the client that gets the answer.
///
/// Row: F17
#[test]
fn repeated_equal_content_lengths_are_accepted() {
    for lengths in ["Content-Length: {}\r\nContent-Length: {}", "Content-Length: {}, {}"] {
        let rig = Rig::start();
        let items = users(60);
        rig.upstream.answer(move |exchange| {
            let body = body(exchange, &items);
            let lengths = lengths.replace("{}", &body.len().to_string());
            exchange.send(format!("HTTP/1.1 200 OK\r\n{lengths}\r\n\r\n{body}").as_bytes()).map(|()| After::KeepOpen)
        });
        for kind in Kind::ALL {
            let response = rig.ask(kind).expect("a response");
            assert_eq!(response.outcome(), "200", "{kind:?}: {response:?}");
            let said = response.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
            let said = said.map(|(_, value)| value.clone()).collect::<Vec<_>>();
            assert_eq!(said, [response.body.len().to_string()], "{kind:?}");
        }
        rig.recovers();
    }
}

/// Bodies with invalid chunks are refused.
///
/// Row: F13
#[test]
fn malformed_chunks_are_refused() {
    let rig = Rig::start();
    for (chunks, list) in [
        ("zz\r\n{}\r\n0\r\n\r\n", "502 upstream_malformed"),
        ("-1\r\n{}\r\n0\r\n\r\n", "502 upstream_malformed"),
        ("ffffffffffffffffffff\r\n{}", "502 upstream_malformed"),
        ("5\r\n{}\r\n0\r\n\r\n", "502 upstream_truncated"),
    ] {
        println!("{chunks:?}");
        rig.refuses(Expected { list, passed: Passed::Cut }, move |exchange| {
            exchange.send(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}").as_bytes())?;
            Ok(After::Close)
        });
    }
}

/// Informational answers before the final one are skipped for pages, and passed on for forwarded requests.
///
/// Row: F15
#[test]
fn informational_responses_are_skipped() {
    let rig = Rig::start();
    let items = users(60);
    rig.upstream.answer(move |exchange| {
        exchange.send(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=\"preload\"\r\n\r\n")?;
        let body = body(exchange, &items);
        exchange.reply("200 OK", &[], body.as_bytes())
    });
    assert_eq!(rig.ask(Kind::List).expect("a page").outcome(), "200");
    for kind in Kind::PASSING {
        let mut connection = rig.gateway.connect();
        let early = connection.request("GET", kind.target(), &[], b"").expect("the hints");
        assert_eq!((early.status, early.header("link")), (103, Some("</style.css>; rel=\"preload\"")), "{kind:?}");
        assert_eq!(connection.response("GET").expect("the answer").status, 200, "{kind:?}");
    }
    rig.recovers();
}

/// The time of the whole answer and the number of informational answers are limited.
///
/// Row: F15
#[test]
fn informational_responses_without_end_are_refused() {
    let setup = Setup { upstream: SHORT, ..PLAIN };
    let rig = Rig::with(&setup);
    rig.upstream.answer(|exchange| {
        loop {
            // Once the gateway has closed the connection, the error of the write ends the loop.
            exchange.send(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
    });
    assert_eq!(rig.ask(Kind::List).expect("a refusal").outcome(), "502 upstream_malformed");
    for kind in Kind::PASSING {
        let mut connection = rig.gateway.connect();
        let mut response = connection.request("GET", kind.target(), &[], b"").expect("a response");
        let mut early = 0;
        while response.status == 100 {
            early += 1;
            response = connection.response("GET").expect("a response");
        }
        assert_eq!((early, response.outcome().as_str()), (8, "502 upstream_malformed"), "{kind:?}: {response:?}");
    }
    rig.recovers();
}

/// An unrequested switch of protocols is refused, and the bytes after it are discarded.
///
/// Row: F15
#[test]
fn an_unsolicited_switch_of_protocols_is_refused() {
    refused(&PLAIN, everywhere("502 upstream_malformed"), |exchange| {
        exchange.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nSECRET")?;
        Ok(After::KeepOpen)
    });
}

/// A switch of protocols is refused after an upgrade that was not forwarded. Only WebSocket upgrades are forwarded, and
/// none for a legacy client's page.
///
/// Row: F15
#[test]
fn a_switch_after_an_upgrade_that_was_not_forwarded_is_refused() {
    let rig = Rig::start();
    rig.upstream.answer(|exchange| {
        exchange.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nSECRET")?;
        Ok(After::KeepOpen)
    });
    for (kind, protocol) in [
        (Kind::Forward, "h2c"),
        (Kind::Observe, "foo, websocket"),
        (Kind::Legacy, "websocket"),
        (Kind::List, "websocket"),
    ] {
        let headers = [("Connection", "Upgrade"), ("Upgrade", protocol)];
        let response = rig.gateway.send("GET", kind.target(), &headers, b"");
        assert_eq!(response.outcome(), "502 upstream_malformed", "{kind:?}: {response:?}");
        assert!(!format!("{response:?}").contains("SECRET"), "{response:?}");
        let asked = rig.upstream.requests().pop().expect("it was asked");
        assert_eq!((asked.header("upgrade"), asked.header("connection")), (None, None), "{kind:?}: {asked:?}");
    }
    rig.recovers();
}

/// Trailers of an upstream are not sent to clients.
///
/// Row: F19
#[test]
fn trailers_reach_no_client() {
    let rig = Rig::start();
    let items = users(60);
    rig.upstream.answer(move |exchange| {
        let body = body(exchange, &items);
        let size = body.len();
        exchange.send(
            format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Set-Cookie\r\n\r\n{size:x}\r\n{body}\r\n0\r\nSet-Cookie: a=SECRET\r\n\r\n"
            )
            .as_bytes(),
        )?;
        Ok(After::Close)
    });
    for kind in Kind::ALL {
        // All bytes up to the end of the connection are read, because a client may take trailers for headers of the
        // answer.
        let mut connection = rig.gateway.connect();
        let request = format!("GET {} HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n\r\n", kind.target());
        connection.send(request.as_bytes()).expect("it is sent");
        let mut bytes = Vec::new();
        connection.stream().read_to_end(&mut bytes).expect("the connection ends");
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.starts_with("HTTP/1.1 200 ") && text.contains("\"id\":5"), "{kind:?}: {text}");
        assert!(!text.contains("SECRET"), "{kind:?}: {text}");
    }
    rig.recovers();
}
