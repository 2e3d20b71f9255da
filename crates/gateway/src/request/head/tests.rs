use pingora::protocols::http::ServerSession;

use super::*;

fn request(lines: &[&str]) -> Vec<u8> {
    format!("{}\r\n\r\n", lines.join("\r\n")).into_bytes()
}

fn code(lines: &[&str]) -> Result<Framing, Code> {
    check(&request(lines)).map_err(|problem| problem.code)
}

#[test]
fn requests_with_invalid_or_ambiguous_framing_are_refused() {
    const LINE: &str = "POST /users HTTP/1.1";
    const HOST: &str = "Host: people";
    let length = |length| Ok(Framing::Length(length));
    for (fields, framing) in [
        (&[][..], length(0)),
        (&["Content-Length: 0"], length(0)),
        (&["content-LENGTH:\t12 "], length(12)),
        (&["Content-Length: 9223372036854775807"], length(i64::MAX as u64)),
        (&["Transfer-Encoding: chunked"], Ok(Framing::Open)),
        (&["Transfer-Encoding: Chunked"], Err(Code::RequestInvalid)),
        (&["Upgrade: websocket", "Connection: upgrade"], Ok(Framing::Open)),
        (&["Content-Length: 12", "Content-Length: 12"], Err(Code::RequestInvalid)),
        (&["Content-Length: 12, 12"], Err(Code::RequestInvalid)),
        (&["Content-Length: +12"], Err(Code::RequestInvalid)),
        (&["Content-Length: -1"], Err(Code::RequestInvalid)),
        (&["Content-Length: 0x10"], Err(Code::RequestInvalid)),
        (&["Content-Length: 1 2"], Err(Code::RequestInvalid)),
        (&["Content-Length:"], Err(Code::RequestInvalid)),
        (&["Content-Length: 9223372036854775808"], Err(Code::RequestInvalid)),
        (&["Content-Length : 12"], Err(Code::RequestInvalid)),
        (&["X: 1", " Content-Length: 12"], Err(Code::RequestInvalid)),
        (&["Content-Length: 12", "Transfer-Encoding: chunked"], Err(Code::RequestInvalid)),
        (&["Transfer-Encoding: chunked", "Content-Length: 12"], Err(Code::RequestInvalid)),
        (&["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], Err(Code::RequestInvalid)),
        (&["Transfer-Encoding: gzip, chunked"], Err(Code::RequestInvalid)),
        (&["Transfer-Encoding: chunked, chunked"], Err(Code::RequestInvalid)),
        (&["Transfer-Encoding: identity"], Err(Code::RequestInvalid)),
        (&["Transfer-Encoding: \x0bchunked"], Err(Code::RequestInvalid)),
        (&["Transfer-Encoding:"], Err(Code::RequestInvalid)),
        (&["X: a\0b"], Err(Code::RequestInvalid)),
        (&["X: a\rb"], Err(Code::RequestInvalid)),
        (&["X"], Err(Code::RequestInvalid)),
        (&[": x"], Err(Code::RequestInvalid)),
        (&["X y: z"], Err(Code::RequestInvalid)),
        (&["Host: people"], Err(Code::RequestInvalid)),
        (&["X: \u{e9}\t\u{e9}"], length(0)),
    ] {
        assert_eq!(code(&[&[LINE, HOST], fields].concat()), framing, "{fields:?}");
    }
    assert_eq!(code(&["POST / HTTP/1.0", "Transfer-Encoding: chunked"]), Err(Code::RequestInvalid));
    assert_eq!(code(&["GET / HTTP/1.0"]), length(0));
    let long = format!("{}: x", "a".repeat(LONGEST_NAME + 1));
    assert_eq!(code(&[LINE, HOST, &long]), Err(Code::HeadersTooLarge));
}

#[test]
fn a_request_line_has_three_parts() {
    for (line, is_sound) in [
        ("GET / HTTP/1.1", true),
        ("FROB /\u{e9}?a=b HTTP/1.1", true),
        ("GET http://people/x HTTP/1.1", true),
        ("GET HTTP://people HTTP/1.1", true),
        ("GET  / HTTP/1.1", false),
        ("GET / HTTP/1.1 ", false),
        (" GET / HTTP/1.1", false),
        ("GET /a b HTTP/1.1", false),
        ("GET /a\tb HTTP/1.1", false),
        ("GET /a#b HTTP/1.1", false),
        ("GET /a\x7f HTTP/1.1", false),
        ("GET\t/ HTTP/1.1", false),
        ("G@T / HTTP/1.1", false),
        ("GET /", false),
        ("GET / HTTP/0.9", false),
        ("GET / HTTP/2.0", false),
        ("GET / http/1.1", false),
        ("GET / HTTP/1.10", false),
        ("PRI * HTTP/2.0", false),
        ("OPTIONS * HTTP/1.1", false),
        ("CONNECT people:80 HTTP/1.1", false),
        ("TRACE / HTTP/1.1", false),
        ("GET people/x HTTP/1.1", false),
        ("GET http://people?x HTTP/1.1", false),
        ("GET http://other/x HTTP/1.1", false),
        ("GET http://user@people/ HTTP/1.1", false),
        ("GET http:///x HTTP/1.1", false),
        ("GET ws://people/x HTTP/1.1", false),
    ] {
        assert_eq!(code(&[line, "Host: people"]).is_ok(), is_sound, "{line:?}");
    }
    assert_eq!(code(&["GET / HTTP/1.1"]), Err(Code::RequestInvalid));
    assert!(code(&["GET http://people/ HTTP/1.1"]).is_ok());
    for host in ["a@b", "a/b", "a, b", "a b", "a:80:80", "\u{e9}"] {
        assert_eq!(code(&["GET / HTTP/1.1", &format!("Host: {host}")]), Err(Code::RequestInvalid), "{host}");
    }
    let long = format!("GET /{} HTTP/1.1", "a".repeat(LONGEST_TARGET));
    assert_eq!(code(&[&long, "Host: people"]), Err(Code::TargetTooLong));
}

/// The end of a head is found no matter how the head is cut into pieces.
#[test]
fn the_end_of_a_head_is_found_in_pieces_of_any_size() {
    let head = request(&["GET / HTTP/1.1", "Host: people", "X: y"]);
    let whole = [b"\r\n\r\n", head.as_slice(), b"behind"].concat();
    for piece in 1..whole.len() {
        let mut reading = HeadScanner::default();
        let mut scanned = 0;
        let found = whole.chunks(piece).find_map(|chunk| {
            let before = scanned;
            scanned += chunk.len();
            reading.ends(&whole[..scanned], before).unwrap()
        });
        assert_eq!(found, Some((4, 4 + head.len())), "{piece}");
    }
}

/// A head that arrives byte by byte takes no more work than a head that arrives at once. The test replaces bytes that
/// were already scanned with line feeds, which would be refused if they were scanned again. The first byte and the last
/// two bytes are kept, because they're checked together with the bytes that follow.
#[test]
fn each_byte_is_scanned_once() {
    let head = request(&["GET / HTTP/1.1", "Host: people", &format!("X: {}", "y".repeat(1_000)), "Z: z"]);
    for piece in [1, 2, 7, 100] {
        let (mut reading, mut bytes, mut found) = (HeadScanner::default(), Vec::new(), None);
        for chunk in head.chunks(piece) {
            let scanned = bytes.len();
            let spoilt = 1..scanned.saturating_sub(2).max(1);
            bytes[spoilt.start.min(scanned)..spoilt.end.min(scanned)].fill(b'\n');
            bytes.extend_from_slice(chunk);
            found = reading.ends(&bytes, scanned).unwrap_or_else(|_| panic!("scanned again, in pieces of {piece}"));
        }
        assert_eq!(found, Some((0, head.len())), "{piece}");
    }
}

#[test]
fn heads_with_a_wrong_first_byte_or_a_bare_line_feed_are_refused_at_once() {
    let judged = |bytes: &[u8]| HeadScanner::default().ends(bytes, 0).map_err(|problem| problem.code);
    for bytes in [&b"\x16\x03\x01"[..], b"\0", b" GET", b"GET / HTTP/1.1\nHost: a\r\n", b"\n", b"\r\n\n", b"{"] {
        // The bytes after a blank line are checked together with that line.
        let is_late = bytes.starts_with(b"\r\n");
        assert_eq!(judged(bytes), Err(Code::RequestInvalid), "{bytes:?} {is_late}");
    }
    for bytes in [&b""[..], b"G", b"\r", b"\r\n", b"GET / HTTP/1.1\r\n"] {
        assert_eq!(judged(bytes), Ok(None), "{bytes:?}");
    }
    let many = format!("GET / HTTP/1.1\r\n{}", "X: y\r\n".repeat(MOST_HEADERS + 1));
    assert_eq!(judged(many.as_bytes()), Err(Code::HeadersTooLarge));
    let most = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(MOST_HEADERS));
    assert!(judged(most.as_bytes()).is_ok_and(|ends| ends.is_some()));
}

#[test]
fn a_second_line_of_credentials_is_refused() {
    for name in ["Authorization", "authorization", "Proxy-Authorization"] {
        let (one, other) = (format!("{name}: Bearer one"), "AUTHORIZATION: Bearer two");
        let once = request(&["GET /users HTTP/1.1", "Host: people", &one]);
        assert!(check(&once).is_ok(), "{name}");
        let second = if name.starts_with("Proxy") { "proxy-authorization: x" } else { other };
        let twice = request(&["GET /users HTTP/1.1", "Host: people", &one, "X-A: b", second]);
        assert_eq!(check(&twice).unwrap_err().code, Code::RequestInvalid, "{name}");
    }
}

/// Pingora's parser accepts every head that passes the checks. Its refusals would have no body and no log line.
#[tokio::test]
async fn accepted_heads_are_parsed_by_pingora() {
    const SEEDS: u64 = 20_000;
    let base = request(&[
        "POST http://people/a?b=c HTTP/1.1",
        "Host: people",
        "Content-Length: 3",
        "Transfer-Encoding: chunked",
        "Connection: keep-alive, X-A",
        "Upgrade: websocket",
        "X-A: \u{e9}",
    ]);
    let pieces: [&[u8]; 12] =
        [b"\r\n", b" ", b"\t", b":", b",", b"http://", b"/", b"@", b"?#[]\\", b"\x80\xff", b"Host: people\r\n", b"%zz"];
    let mut passed = 0;
    for seed in 0..SEEDS {
        // Marsaglia's xorshift generator makes a different case from each seed.
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut below = |most: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state >> 33).unwrap() % most
        };
        let mut lines: Vec<&[u8]> = base.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end).collect();
        lines.retain(|line| !line.is_empty());
        // Up to four lines are removed, so some combinations are valid.
        for _ in 0..below(5) {
            let at = 1 + below(lines.len() - 1);
            lines.remove(at);
        }
        let mut head = lines.join(&b"\r\n"[..]);
        for _ in 0..below(3) {
            let at = below(head.len());
            match below(4) {
                0 => drop(head.remove(at)),
                1 => head[at] = u8::try_from(below(256)).unwrap(),
                2 => head[at] = head[at].to_ascii_uppercase(),
                _ => drop(head.splice(at..at, pieces[below(pieces.len())].iter().copied())),
            }
        }
        head.extend_from_slice(b"\r\n\r\n");
        let Ok(Some((start, end))) = HeadScanner::default().ends(&head, 0) else { continue };
        if check(&head[start..end]).is_err() {
            continue;
        }
        passed += 1;
        let (_client, server) = tokio::io::duplex(1);
        let mut session = ServerSession::new_http1(Box::new(server));
        session.set_pipelined_prefix(bytes::BytesMut::from(&head[start..end]));
        let parsed = session.read_request().await;
        assert!(parsed.is_ok(), "seed {seed}: {:?}: {parsed:?}", String::from_utf8_lossy(&head));
    }
    assert!(passed > SEEDS / 20, "{passed} passed: the heads are too broken to show anything");
}
